//! Lives here: where a store lives while a test opens, closes and crashes it.
//! Never here: what is tested.

use mnara_privatepg::Database;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::domain::ids::CarrierId;
use crate::flow::{Committed, EventJob};
use crate::store::memory::{Disk, Faults};
use crate::store::sql::db::Db;
use crate::store::sql::dump::{Dump, dump};
use crate::store::{Config, Opened, StoreError, open, open_model};

/// A place for one store, empty at first and gone at the end of its test, however that ends.
pub(super) enum Ground {
    /// A folder with the file.
    Sqlite(TempDir),
    /// A database of its own on the server of `DATABASE_URL`. Copying a migrated template would
    /// take as long as migrating it.
    Postgres(Database),
    /// The model's disk.
    Memory(Disk, Faults),
}

impl Ground {
    pub(super) async fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().unwrap())
    }

    pub(super) async fn postgres() -> Self {
        Self::Postgres(Database::fresh().unwrap_or_else(|error| panic!("{error}")))
    }

    pub(super) async fn memory() -> Self {
        Self::Memory(Disk::default(), Faults::default())
    }

    /// The URL of the database.
    pub(super) fn url(&self) -> String {
        match self {
            Self::Sqlite(folder) => file(folder),
            Self::Postgres(database) => database.url(),
            Self::Memory(..) => panic!("the model has no address"),
        }
    }

    /// An empty one of the other database.
    pub(super) async fn across(&self) -> Self {
        match self {
            Self::Sqlite(_) => Self::postgres().await,
            Self::Postgres(_) => Self::sqlite().await,
            Self::Memory(..) => panic!("the model is moved nowhere"),
        }
    }

    /// What goes wrong here.
    pub(super) fn faults(&self) -> Faults {
        match self {
            Self::Memory(_, faults) => faults.clone(),
            Self::Sqlite(_) | Self::Postgres(_) => panic!("only the model fails as told"),
        }
    }

    /// An empty one of the same kind.
    pub(super) async fn another(&self) -> Self {
        match self {
            Self::Sqlite(_) => Self::sqlite().await,
            Self::Postgres(_) => Self::postgres().await,
            Self::Memory(..) => Self::memory().await,
        }
    }

    /// Opens the store that lives here.
    pub(super) async fn open(
        &self,
        carriers: Vec<CarrierId>,
        committed: mpsc::Sender<Committed>,
        events: mpsc::Sender<EventJob>,
    ) -> Opened {
        self.try_open(carriers, committed, events).await.unwrap()
    }

    /// The same for one that may refuse to open.
    pub(super) async fn try_open(
        &self,
        carriers: Vec<CarrierId>,
        committed: mpsc::Sender<Committed>,
        events: mpsc::Sender<EventJob>,
    ) -> Result<Opened, StoreError> {
        match self {
            Self::Sqlite(_) | Self::Postgres(_) => {
                let config = Config {
                    url: self.url(),
                    ..Config::default()
                };
                open(&config, carriers, committed, events).await
            }
            Self::Memory(disk, faults) => {
                open_model(disk, faults.clone(), carriers, committed, events).await
            }
        }
    }

    /// What every table holds; the store must be closed.
    pub(super) async fn dump(&self) -> Dump {
        match self {
            Self::Sqlite(folder) => {
                let mut conn = SqliteConnection::connect(&file(folder)).await.unwrap();
                dump(&mut Db::Sqlite(&mut conn)).await.unwrap()
            }
            Self::Postgres(database) => {
                let mut conn = PgConnection::connect(&database.url()).await.unwrap();
                dump(&mut Db::Postgres(&mut conn, None)).await.unwrap()
            }
            Self::Memory(disk, _) => disk.dump(),
        }
    }

    /// Changes tables behind the store's back.
    pub(super) async fn run(&self, sql: &str) {
        let sql = sqlx::AssertSqlSafe(sql);
        match self {
            Self::Sqlite(folder) => {
                let mut conn = SqliteConnection::connect(&file(folder)).await.unwrap();
                sqlx::query(sql).execute(&mut conn).await.unwrap();
                conn.close().await.unwrap();
            }
            Self::Postgres(database) => {
                let mut conn = PgConnection::connect(&database.url()).await.unwrap();
                sqlx::query(sql).execute(&mut conn).await.unwrap();
                conn.close().await.unwrap();
            }
            Self::Memory(..) => panic!("the model has no statements"),
        }
    }
}

fn file(folder: &TempDir) -> String {
    format!("sqlite:{}/mnara.db", folder.path().display())
}
