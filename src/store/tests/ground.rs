//! Lives here: where a store lives while a test opens, closes and crashes it.
//! Never here: what is tested.

use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::domain::ids::CarrierId;
use crate::flow::{Committed, EventJob};
use crate::store::sql::db::Db;
use crate::store::sql::dump::{Dump, dump};
use crate::store::{Config, Opened, open};

/// A place for one store, empty at first and gone at the end of its test, however that ends.
pub(super) enum Ground {
    /// A folder with the file.
    Sqlite(TempDir),
}

impl Ground {
    pub(super) async fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().unwrap())
    }

    /// An empty one of the same kind.
    pub(super) async fn another(&self) -> Self {
        match self {
            Self::Sqlite(_) => Self::sqlite().await,
        }
    }

    fn url(&self) -> String {
        match self {
            Self::Sqlite(folder) => format!("sqlite:{}/mnara.db", folder.path().display()),
        }
    }

    /// Opens the store that lives here.
    pub(super) async fn open(
        &self,
        carriers: Vec<CarrierId>,
        committed: mpsc::Sender<Committed>,
        events: mpsc::Sender<EventJob>,
    ) -> Opened {
        let config = Config {
            url: self.url(),
            ..Config::default()
        };
        open(&config, carriers, committed, events).await.unwrap()
    }

    /// What every table holds; the store must be closed.
    pub(super) async fn dump(&self) -> Dump {
        match self {
            Self::Sqlite(_) => {
                let mut conn = SqliteConnection::connect(&self.url()).await.unwrap();
                dump(&mut Db::Sqlite(&mut conn)).await.unwrap()
            }
        }
    }

    /// Changes tables behind the store's back.
    pub(super) async fn run(&self, sql: &str) {
        let sql = sqlx::AssertSqlSafe(sql);
        match self {
            Self::Sqlite(_) => {
                let pool = sqlx::SqlitePool::connect(&self.url()).await.unwrap();
                sqlx::query(sql).execute(&pool).await.unwrap();
                pool.close().await;
            }
        }
    }
}
