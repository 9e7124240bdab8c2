//! Lives here: private PostgreSQL servers for tests and load profiles, and fresh databases on a server that is there
//! already. Never here: anything the daemon needs, or what is done in a database.
//!
//! Only the standard library, because `cargo xtask` is built with it before anything else. For Linux: who is alive is
//! read from /proc.

mod binaries;
mod database;
mod server;

use std::{error, fmt, io, path::PathBuf};

pub use binaries::{BIN_VARIABLE, Binaries, MAJOR_MIN};
pub use database::{Database, URL_VARIABLE};
pub use server::{Blow, Durability, Server, Stop};

/// Why there is no server or no database. None of these is worth a retry by itself.
#[derive(Debug)]
pub enum Error {
    /// PostgreSQL's programs are not on this machine, or too old.
    Missing {
        /// What was found instead.
        found: String,
    },
    /// A test asked for a database and nobody said on which server.
    NoUrl,
    /// The URL of the server cannot be read.
    BadUrl {
        /// What is wrong with it; never the URL itself, which holds a password.
        why: &'static str,
    },
    /// A program ended with an error.
    Failed {
        /// Which one, or what it was to do.
        what: String,
        /// What it printed, or the end of its log.
        said: String,
    },
    /// A file or a process could not be handled.
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
}

impl Error {
    fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    fn path(path: &std::path::Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path: PathBuf = path.to_owned();
        move |source| Self::Io {
            what: path.display().to_string(),
            source,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { found } => write!(
                f,
                "{found}: install PostgreSQL {MAJOR_MIN} or newer (Debian and Ubuntu: apt-get install \
                 postgresql-{MAJOR_MIN}, or postgresql), or name the folder of its programs in {BIN_VARIABLE}"
            ),
            Self::NoUrl => write!(
                f,
                "this test needs PostgreSQL: run `cargo xtask test` (a few tests: `cargo xtask test -- NAMES`), or set {URL_VARIABLE} to a PostgreSQL \
                 {MAJOR_MIN} where the role may create databases"
            ),
            Self::BadUrl { why } => write!(
                f,
                "the URL of PostgreSQL cannot be used ({why}); it looks like \
                 postgres://USER[:PASSWORD]@HOST:PORT/DATABASE"
            ),
            Self::Failed { what, said } => write!(f, "{what} failed: {}", said.trim()),
            Self::Io { what, source } => write!(f, "{what}: {source}"),
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Missing { .. } | Self::NoUrl | Self::BadUrl { .. } | Self::Failed { .. } => None,
        }
    }
}
