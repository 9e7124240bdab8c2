//! Lives here: where the daemon under test keeps its store: SQLite in the run's folder, or a database of its own on a
//! given PostgreSQL or on a private one. Never here: what a profile does with it.

use std::{
    io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use mnara_privatepg::{Blow, Database, Durability, Error, Server};
use tokio::task::spawn_blocking;

use super::{ProfileError, proc};

/// A kind of store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StoreKind {
    /// A file in the run's folder.
    #[default]
    Sqlite,
    /// A database of its own, on [`Options::database_url`](super::Options::database_url) or on a private server in the
    /// run's folder with PostgreSQL's defaults, so that a commit survives the loss of power as it does with SQLite.
    Postgres,
}

impl StoreKind {
    /// The name on the command line and in the result.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

/// An empty store, gone when dropped.
pub(super) struct Store {
    kind: StoreKind,
    url: String,
    // Dropped before the server it is on.
    database: Option<Database>,
    server: Option<Arc<Mutex<Server>>>,
}

impl Store {
    /// Makes one. Takes a second or two for a private server, during which nothing else runs.
    pub(super) fn make(
        kind: StoreKind,
        given: Option<&str>,
        folder: &Path,
    ) -> Result<Self, ProfileError> {
        let (server, database) = match (kind, given) {
            (StoreKind::Sqlite, _) => (None, None),
            (StoreKind::Postgres, Some(url)) => (None, Some(Database::on(url)?)),
            (StoreKind::Postgres, None) => {
                let server = Server::start_below(folder, Durability::Durable)?;
                let database = Database::on(&server.url("postgres"))?;
                (Some(Arc::new(Mutex::new(server))), Some(database))
            }
        };
        let url = database.as_ref().map_or_else(
            || format!("sqlite:{}", folder.join("mnara.db").display()),
            Database::url,
        );
        Ok(Self {
            kind,
            url,
            database,
            server,
        })
    }

    pub(super) fn kind(&self) -> StoreKind {
        self.kind
    }

    /// What the configuration says, password included.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// User and system time of a private server, all its processes, in ticks.
    pub(super) fn cpu_ticks(&self) -> Option<u64> {
        proc::family_cpu_ticks(self.pid()?)
    }

    /// Resident memory of a private server, all its processes, in MiB.
    pub(super) fn memory_mib(&self) -> Option<f64> {
        Some(proc::family_rss_kib(self.pid()?)? as f64 / 1024.0)
    }

    /// Lets PostgreSQL do now what it would do by itself after a great change, in the middle of a measurement.
    pub(super) fn settle(&self) -> Result<(), ProfileError> {
        if let Some(database) = &self.database {
            database.run("VACUUM (ANALYZE)")?;
            if self.server.is_some() {
                database.run("CHECKPOINT")?;
            }
        }
        Ok(())
    }

    /// SIGKILL for a private server; returns when none of its processes is left.
    pub(super) async fn kill9(&self, blow: Blow) -> Result<(), ProfileError> {
        self.change(move |server| server.kill9(blow)).await
    }

    /// Starts a killed private server again; returns when it lets sessions in.
    pub(super) async fn restart(&self) -> Result<(), ProfileError> {
        self.change(Server::restart).await
    }

    /// Away from the thread of the simulators.
    async fn change(
        &self,
        work: impl FnOnce(&mut Server) -> Result<(), Error> + Send + 'static,
    ) -> Result<(), ProfileError> {
        let server = self.server.clone().ok_or_else(|| {
            let why = "only a private PostgreSQL may be killed and started again";
            io::Error::new(io::ErrorKind::Unsupported, why)
        })?;
        let work = move || work(&mut server.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(spawn_blocking(work).await.map_err(io::Error::other)??)
    }

    fn pid(&self) -> Option<u32> {
        let server = self.server.as_ref()?;
        server.lock().unwrap_or_else(PoisonError::into_inner).pid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_private_server_is_metered_killed_and_started_again() {
        let folder = super::super::folder().unwrap();
        let store = Store::make(StoreKind::Postgres, None, folder.path()).unwrap();
        assert!(store.url().starts_with("postgres://"));
        assert!(store.cpu_ticks().is_some());
        assert!(store.memory_mib().is_some_and(|mib| mib > 1.0));
        store.settle().unwrap();
        store.kill9(Blow::Everything).await.unwrap();
        assert_eq!(store.cpu_ticks(), None);
        store.restart().await.unwrap();
        store.settle().unwrap();
    }

    #[tokio::test]
    async fn sqlite_lies_in_the_runs_folder_and_has_no_server_to_kill() {
        let store = Store::make(StoreKind::Sqlite, Some("x"), Path::new("/a")).unwrap();
        assert_eq!(store.url(), "sqlite:/a/mnara.db");
        assert_eq!((store.cpu_ticks(), store.memory_mib()), (None, None));
        assert!(store.kill9(Blow::Everything).await.is_err());
    }
}
