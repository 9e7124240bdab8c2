//! Lives here: opening an SQLite database: its file, its rights, its lock, its settings.
//! Never here: statements about messages.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection};

use super::db::Conn;
use super::{Home, Pool, STATEMENTS, house, schema};
use crate::store::{Config, StoreError};

/// Opens the database, creating it and its folder, migrates it and takes it for this process.
pub(super) async fn open(config: &Config) -> Result<(Conn, Home, Pool), StoreError> {
    let failed = |cause| StoreError::Open {
        url: config.url.clone(),
        cause,
    };
    let options = SqliteConnectOptions::from_str(&config.url)
        .map_err(failed)?
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(5))
        .pragma("temp_store", "memory")
        // 16 MiB: at each commit SQLite walks the cache's whole table, which grows with the cache.
        .pragma("cache_size", "-16384")
        .pragma("wal_autocheckpoint", "4000")
        .statement_cache_capacity(STATEMENTS)
        .disable_statement_logging();
    let lock = prepare(options.get_filename())?;
    let mut conn = SqliteConnection::connect_with(&options)
        .await
        .map_err(failed)?;
    let migrations = schema::sqlite();
    migrations.run(&mut conn).await?;
    let mut conn = Conn::Sqlite(conn);
    house::admits(&mut conn.db(), schema::level_of(&migrations)).await?;
    let pool = SqlitePoolOptions::new()
        .max_connections(config.readers)
        .acquire_timeout(config.read_timeout)
        .connect_with(options.clone().read_only(true).create_if_missing(false))
        .await
        .map_err(failed)?;
    let home = Home::Sqlite {
        options: Box::new(options),
        _lock: lock,
    };
    Ok((conn, home, Pool::Sqlite(pool)))
}

/// A new connection for the writer, instead of one whose thread has ended.
pub(super) async fn connect(options: &SqliteConnectOptions) -> Result<Conn, StoreError> {
    Ok(Conn::Sqlite(SqliteConnection::connect_with(options).await?))
}

/// Makes the folder and the file if they are not there, readable by the daemon's user only (they
/// hold texts, numbers and secrets; SQLite gives its log the same rights), and takes the database
/// for this process. A second daemon would otherwise recover what the first has under way: its
/// intents would count as lost, and its messages be sent twice.
fn prepare(database: &Path) -> Result<File, StoreError> {
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |source| StoreError::Folder { path, source }
    };
    if let Some(folder) = database.parent() {
        let mut builder = DirBuilder::new();
        builder
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(failed(folder))?;
    }
    let private = |path: &Path| {
        let mut options = OpenOptions::new();
        options
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path)
            .map_err(failed(path))
    };
    let mut beside = database.as_os_str().to_owned();
    beside.push(".lock");
    let beside = PathBuf::from(beside);
    let lock = private(&beside)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(StoreError::InUse {
                holder: format!("it holds {}", beside.display()),
            });
        }
        Err(TryLockError::Error(source)) => return Err(failed(&beside)(source)),
    }
    private(database)?;
    Ok(lock)
}
