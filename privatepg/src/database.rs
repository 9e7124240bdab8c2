//! Lives here: a fresh database on a running server, dropped at the end; URLs taken apart.
//! Never here: starting a server.

use std::{
    env,
    path::PathBuf,
    process::{Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use crate::{Error, binaries::Binaries};

/// Names the server that tests use; its role may create databases.
pub const URL_VARIABLE: &str = "DATABASE_URL";

/// Tells the databases of one process apart.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// A new and empty database. Dropping it drops the database, whoever is still connected.
#[derive(Debug)]
pub struct Database {
    server: Url,
    name: String,
}

impl Database {
    /// A new database on the server of `DATABASE_URL`.
    ///
    /// # Errors
    /// [`Error::NoUrl`] when the variable is not set, otherwise those of [`Database::on`].
    pub fn fresh() -> Result<Self, Error> {
        match env::var(URL_VARIABLE) {
            Ok(url) if !url.is_empty() => Self::on(&url),
            Ok(_) | Err(_) => Err(Error::NoUrl),
        }
    }

    /// A new database on the server of `url`, whose own database is only a way in.
    ///
    /// # Errors
    /// When the URL cannot be read, `psql` is missing, the server is away or the role may not create databases.
    pub fn on(url: &str) -> Result<Self, Error> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let name = format!(
            "mnara_{}_{}_{}",
            since.map_or(0, |since| since.as_micros()),
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let server = Url::parse(url)?;
        // template0, because others may be connected to template1, which then cannot be copied.
        server.run(&format!(
            "CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"
        ))?;
        Ok(Self { server, name })
    }

    /// Its URL, password included.
    pub fn url(&self) -> String {
        self.server.whole(&self.name)
    }

    /// Runs SQL in it and returns the rows, fields separated by `|`: for what a test wants to see or to spoil.
    ///
    /// # Errors
    /// When `psql` is missing or the server refuses.
    pub fn run(&self, sql: &str) -> Result<String, Error> {
        Url {
            database: self.name.clone(),
            ..self.server.clone()
        }
        .run(sql)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        // A private server may be gone by now, and its databases with it.
        self.server.run(&drop).ok();
    }
}

/// `postgres://USER[:PASSWORD]@HOST:PORT/DATABASE[?OPTIONS]` in its parts.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Url {
    scheme: String,
    user: String,
    /// As it stands in the URL, percent signs and all.
    password: Option<String>,
    host: String,
    database: String,
    /// With its question mark.
    options: String,
}

impl std::fmt::Debug for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown(&self.database))
    }
}

impl Url {
    pub(crate) fn parse(url: &str) -> Result<Self, Error> {
        let bad = |why| Error::BadUrl { why };
        let (scheme, rest) = url.split_once("://").ok_or(bad("no ://"))?;
        if scheme != "postgres" && scheme != "postgresql" {
            return Err(bad("it does not begin with postgres://"));
        }
        let (rest, options) = rest.split_at(rest.find('?').unwrap_or(rest.len()));
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, host) = authority.rsplit_once('@').ok_or(bad("no user"))?;
        let (user, password) = match user.split_once(':') {
            Some((user, password)) => (user, Some(password.to_owned())),
            None => (user, None),
        };
        Ok(Self {
            scheme: scheme.to_owned(),
            user: user.to_owned(),
            password,
            host: host.to_owned(),
            database: database.to_owned(),
            options: options.to_owned(),
        })
    }

    /// The URL of another database of the same server.
    pub(crate) fn whole(&self, database: &str) -> String {
        let password = self.password.iter().map(|word| format!(":{word}"));
        self.with(&password.collect::<String>(), database)
    }

    /// The same without the password.
    fn shown(&self, database: &str) -> String {
        self.with("", database)
    }

    fn with(&self, password: &str, database: &str) -> String {
        let Self {
            scheme,
            user,
            host,
            options,
            ..
        } = self;
        format!("{scheme}://{user}{password}@{host}/{database}{options}")
    }

    /// Runs SQL through `psql`, which is wherever PostgreSQL is, and returns what it printed.
    pub(crate) fn run(&self, sql: &str) -> Result<String, Error> {
        let psql = Binaries::find().map_or(PathBuf::from("psql"), |found| found.program("psql"));
        let mut command = Command::new(psql);
        command
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d"])
            .arg(self.shown(&self.database))
            .args(["-c", sql])
            .env("PGCONNECT_TIMEOUT", "10")
            .stdin(Stdio::null());
        if let Some(password) = &self.password {
            // Not among the arguments, which every user of the machine can read.
            command.env("PGPASSWORD", decoded(password)?);
        }
        let output = command.output().map_err(|source| Error::Io {
            what: "psql cannot be started (Debian and Ubuntu: apt-get install postgresql-client)"
                .to_owned(),
            source,
        })?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(Error::Failed {
            what: format!("psql on {self:?}"),
            said: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}

/// Percent signs resolved.
fn decoded(text: &str) -> Result<String, Error> {
    let bad = Error::BadUrl {
        why: "the password's percent signs",
    };
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        if octet != b'%' {
            octets.push(octet);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        match (digit(), digit()) {
            (Some(high), Some(low)) => octets.push((high * 16 + low) as u8),
            _ => return Err(bad),
        }
    }
    String::from_utf8(octets).map_err(|_| bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_keeps_its_options_and_its_password_in_another_database() {
        for (url, expected) in [
            ("postgres://u:p%40@h:5432/db", "postgres://u:p%40@h:5432/x"),
            (
                "postgresql://u@h/db?sslmode=require",
                "postgresql://u@h/x?sslmode=require",
            ),
            ("postgres://u:p@[::1]:5432", "postgres://u:p@[::1]:5432/x"),
        ] {
            assert_eq!(Url::parse(url).unwrap().whole("x"), expected);
        }
    }

    #[test]
    fn a_url_is_shown_without_its_password() {
        let url = Url::parse("postgres://u:secret@h:1/db").unwrap();
        assert_eq!(format!("{url:?}"), "postgres://u@h:1/db");
    }

    #[test]
    fn what_is_no_url_of_postgresql_is_refused() {
        for url in ["", "sqlite:/a", "mysql://u@h/d", "postgres://h/d"] {
            assert!(
                matches!(Url::parse(url), Err(Error::BadUrl { .. })),
                "{url}"
            );
        }
    }

    #[test]
    fn a_password_is_decoded_and_a_broken_one_refused() {
        assert_eq!(decoded("a%40b%C3%A9").unwrap(), "a@bé");
        assert!(decoded("a%4").is_err());
        assert!(decoded("a%+4").is_err());
        assert!(decoded("%ff").is_err());
    }
}
