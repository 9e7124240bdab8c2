//! Lives here: reading the configuration again while the daemon runs: all of `[routing]` and its
//! files in one swap, or nothing; and reading the ported numbers at start.
//! Never here: what the files mean (`config`), what differs (`domain::route::diff`).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use anyhow::Context;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::config::{self, Config, ConfigError, Keys};
use crate::domain::route::Table;
use crate::domain::route::diff;
use crate::flow::Steer;
use crate::flow::routes::{Reload, Routes};
use crate::ingest::ported::Ported;
use crate::telemetry::metrics::routing as meter;

/// The one task that reloads. It owns what the daemon was started with.
pub(super) struct Reloader {
    path: PathBuf,
    keys: Keys,
    routes: Arc<Routes>,
    /// To `feed`. Full: it is busy with wishes, each of which makes it look at its lanes anew.
    steer: mpsc::Sender<Steer>,
}

impl Reloader {
    /// For a daemon that was started with this configuration.
    pub(super) fn new(config: &Config, routes: Arc<Routes>, steer: mpsc::Sender<Steer>) -> Self {
        Self {
            path: config.path.clone(),
            keys: config.keys.clone(),
            routes,
            steer,
        }
    }

    /// Reloads whenever it is asked, until `stop`. One at a time.
    pub(super) async fn run(self, mut asked: mpsc::Receiver<Reload>, stop: CancellationToken) {
        // Dropping the wait loses nothing: `recv` is cancel-safe.
        while let Some(Some(ask)) = stop.run_until_cancelled(asked.recv()).await {
            let done = self.reload().await;
            meter::reloaded(done.is_ok(), SystemTime::now());
            match &done {
                Ok(lines) => {
                    for line in lines {
                        tracing::info!(change = %line, "configuration reloaded");
                    }
                    if lines.is_empty() {
                        tracing::info!("configuration reloaded; nothing has changed");
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "configuration not reloaded; nothing changed");
                }
            }
            // Whoever asked may have gone; the log has it.
            let _ = ask.done.send(done);
        }
    }

    /// Reads and checks everything beside the runtime, then swaps. Says what has changed, line by
    /// line, or why nothing was.
    async fn reload(&self) -> Result<Vec<String>, String> {
        let (path, routes) = (self.path.clone(), Arc::clone(&self.routes));
        let read = tokio::task::spawn_blocking(move || read(&path, &routes));
        let New {
            table,
            ported_modified,
            keys,
            mut lines,
        } = read
            .await
            .map_err(|error| format!("reading the configuration failed: {error}"))?
            .map_err(|error| error.to_string())?;
        meter::ported(table.ported().len(), ported_modified);
        self.routes.replace(table);
        // Waiting messages may have a better target now.
        let _ = self.steer.try_send(Steer::Look);
        lines.extend(self.keys.changed(&keys));
        Ok(lines)
    }
}

/// What a configuration brings that can be put in force now.
struct New {
    table: Table,
    ported_modified: Option<SystemTime>,
    /// All keys of the file.
    keys: Keys,
    /// How the table differs from the one in force.
    lines: Vec<String>,
}

fn read(path: &Path, routes: &Routes) -> Result<New, ConfigError> {
    let config = config::load(path, std::env::vars())?;
    let ported = ported(&config)?;
    let in_force = routes.table();
    let table = config
        .routes
        .over(in_force.accounts())
        .map_err(|stranger| {
            let message = format!(
                "{stranger}, which the running daemon does not have; accounts need a restart"
            );
            ConfigError {
                place: path.display().to_string(),
                message,
            }
        })?;
    let table = table.with_ported(ported.overlay);
    Ok(New {
        lines: diff::lines(&in_force, &table),
        ported_modified: ported.modified,
        keys: config.keys,
        table,
    })
}

fn ported(config: &Config) -> Result<Ported, ConfigError> {
    let begun = Instant::now();
    let ported = config.read_ported()?;
    if let Some(path) = &config.ported {
        let (rows, took) = (ported.overlay.len(), begun.elapsed());
        tracing::info!(path = %path.display(), rows, ?took, "ported numbers read");
    }
    Ok(ported)
}

/// Puts the ported numbers into a configuration's plan, before anything is opened.
///
/// # Errors
/// [`ConfigError`]: the file is wrong.
pub(super) async fn with_ported(config: Config) -> anyhow::Result<Config> {
    let read = tokio::task::spawn_blocking(move || {
        let mut config = config;
        let ported = ported(&config)?;
        meter::ported(ported.overlay.len(), ported.modified);
        config.routes = config.routes.with_ported(ported.overlay);
        Ok::<Config, ConfigError>(config)
    });
    Ok(read.await.context("reading the ported numbers failed")??)
}
