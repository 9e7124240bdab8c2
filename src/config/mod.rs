//! Lives here: the configuration file: read, overlaid by the environment, checked as a whole,
//! turned into each part's own `Config`. Defaults stand with the parts.
//! Never here: opening sockets or files other than those the configuration names.

mod callers;
mod carriers;
mod check;
mod failover;
mod file;
mod keys;
mod place;
mod profile;
mod retention;
mod routing;
mod rules;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;

pub use self::keys::Keys;
use crate::domain::route::Table;
use crate::ingest::ported::{self, Ported};
use crate::store::housekeeping::Retention;
use crate::telemetry::logging;
use crate::{api, carrier, inbound, ingest, scheduler, store, webhooks};

/// Everything the daemon needs, checked.
#[derive(Debug)]
pub struct Config {
    /// The doors' REST listener.
    pub api: api::Config,
    /// The admin listener.
    pub admin: Admin,
    /// The store.
    pub store: store::Config,
    /// Accepting messages.
    pub ingest: ingest::Config,
    /// Lanes, retries, ends.
    pub scheduler: scheduler::Config,
    /// What all binds share.
    pub carrier: carrier::Config,
    /// The accounts, in order.
    pub accounts: Vec<carrier::AccountConfig>,
    /// Receipts without a message.
    pub receipts: inbound::Config,
    /// How long messages and texts are kept.
    pub retention: Retention,
    /// Webhook workers.
    pub webhooks: webhooks::Config,
    /// Logging.
    pub log: logging::Config,
    /// The numbering plan and the routing plan, without ported numbers.
    pub routes: Table,
    /// Where the ported numbers are, if any are known; see [`Config::read_ported`].
    pub ported: Option<PathBuf>,
    /// How long shutdown may take in all.
    pub shutdown_timeout: Duration,
    /// The file it was read from.
    pub path: PathBuf,
    /// The file's keys, to tell later which have changed.
    pub keys: Keys,
}

/// The admin listener's part: its token may be made at start.
#[derive(Debug)]
pub struct Admin {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The token as configured; otherwise one is made and kept in `token_path`.
    pub token: Option<SecretString>,
    /// Where a made token is kept, readable by the daemon's user only.
    pub token_path: PathBuf,
}

/// Why a configuration is refused: where, what, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {message}")]
pub struct ConfigError {
    /// `file:line:column`, or the file alone.
    pub place: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl Config {
    /// Reads the file of ported numbers, which may have millions of rows: it takes a second or
    /// two and must not be done by a task. All of them or none; none without a file.
    ///
    /// # Errors
    /// The first line that is wrong, and what to do.
    pub fn read_ported(&self) -> Result<Ported, ConfigError> {
        let Some(path) = &self.ported else {
            return Ok(Ported::default());
        };
        ported::read(path, self.routes.plan()).map_err(|error| ConfigError {
            place: match error.line {
                Some(line) => format!("{}:{line}", path.display()),
                None => path.display().to_string(),
            },
            message: error.message,
        })
    }
}

/// Reads and checks a configuration file; `environment` overlays it (`MNARA__API__LISTEN`).
///
/// # Errors
/// The first thing that is wrong, with its place.
pub fn load(
    path: &Path,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Config, ConfigError> {
    parse(&text(path)?, path, environment)
}

/// Reads how the daemon is reached, for `ctl`: only `[admin]` and `store.url` must be right, so
/// that an operator halfway through an edit can still command.
///
/// # Errors
/// What is wrong in these, with its place.
pub fn load_admin(
    path: &Path,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Admin, ConfigError> {
    parse_admin(&text(path)?, path, environment)
}

fn parse_admin(
    text: &str,
    path: &Path,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Admin, ConfigError> {
    let typed = place::Source::new(text, path);
    let salvaged = file::salvage(&typed);
    let typed = place::Source::new(salvaged.as_deref().unwrap_or(text), path);
    let needed = environment
        .into_iter()
        .filter(|(name, _)| file::is_reach(name));
    let overlaid = file::overlay(&typed, needed)?;
    let source = place::Source::new(&overlaid, path);
    let read = file::read_reach(&source)
        .and_then(|reach| check::admin(&reach.admin, &reach.store.url, &source));
    read.map_err(|error| match overlaid == text {
        true => error,
        // The places are those of another text.
        false => ConfigError {
            place: path.display().to_string(),
            message: error.message,
        },
    })
}

fn text(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|error| ConfigError {
        place: path.display().to_string(),
        message: format!("cannot be read: {error}"),
    })
}

/// Checks a configuration text as if it stood in `path`.
///
/// # Errors
/// The first thing that is wrong, with its place.
pub fn parse(
    text: &str,
    path: &Path,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Config, ConfigError> {
    let typed = place::Source::new(text, path);
    let text = file::overlay(&typed, environment)?;
    let source = place::Source::new(&text, path);
    let checked = file::read(&source).and_then(|file| check::check(&file, &source));
    checked.map_err(|error| match text == typed.text {
        true => error,
        // The environment's values have no place in the file, and have moved those of others.
        false => ConfigError {
            place: format!(
                "{} with MNARA__ variables of the environment",
                path.display()
            ),
            message: error.message,
        },
    })
}

#[cfg(test)]
mod tests;
