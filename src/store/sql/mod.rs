//! Lives here: the store's rows in SQLite and in PostgreSQL: one set of statements; opening the
//! database that the URL names, and the connections to it: the writer's own, the readers' pool.
//! Never here: channels, tasks, decisions about messages.

mod attempts;
mod bulk;
mod by_id;
mod campaigns;
mod commit;
mod days;
pub(super) mod db;
mod desk;
#[cfg(test)]
pub(super) mod dump;
mod endpoints;
mod hooks;
mod house;
mod inbox;
mod jobs;
mod memos;
mod messages;
mod operators;
mod outbox;
pub(super) mod pages;
mod people;
mod postgres;
mod purses;
mod read;
mod reader;
mod receipts;
mod retain;
mod roster;
mod rows;
mod schema;
mod sqlite;
mod statement;
pub(super) mod tables;
mod tallies;
#[cfg(test)]
mod tests;
mod till;
mod upkeep;
mod url;

use std::fs::File;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};

use self::days::Days;
use self::db::Conn;
use self::postgres::Server;
use self::url::Kind;
use super::{Carriers, Config, StoreError};

/// How long an answer of a PostgreSQL server may take before the connection counts as lost. A
/// healthy one answers in milliseconds; one whose disk stalls in a checkpoint, in seconds; a peer
/// that is gone without a word (power, a cut cable) never, and the kernel would wait a quarter of
/// an hour. Longer than the server's own limits (`postgres`), so that its answer comes first.
const ANSWER: Duration = Duration::from_secs(30);

/// The same for what a start settles: of millions of webhook events that wait it takes the leases,
/// in one statement. That could be done no sooner by the next start.
const START: Duration = Duration::from_secs(600);

/// How long a start waits for the house lock on a server: the session of a daemon that was killed
/// ends as soon as its server has seen it.
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// Prepared statements that a connection keeps. There are about a hundred, for SQLite in up to
/// eighteen sizes each; PostgreSQL has some fifteen of them once for each day that is spoken of.
const STATEMENTS: usize = 512;

/// The writer's side: its own connection, and what it takes to get another one.
pub(in crate::store) struct Sql {
    /// `None`: lost.
    conn: Option<Conn>,
    home: Home,
    /// The days that have partitions; `None`: to be read before the next transaction.
    days: Option<Days>,
    carriers: Arc<Carriers>,
    /// The number of the last commit that is known to be kept.
    kept: i64,
    /// The number of a commit whose answer was lost.
    asked: Option<i64>,
    /// The last one that moves of this transaction have left on their rows: the number of its commit
    /// and how many there were before (16 bits).
    stamp: i64,
    /// How long an answer may take: [`START`], then [`ANSWER`].
    patience: Duration,
}

/// Where the rows are.
enum Home {
    Sqlite {
        options: Box<SqliteConnectOptions>,
        /// Keeps a second daemon away; the system lets go of it with the process, however it ends.
        _lock: File,
    },
    /// Here the writer's session holds the lock.
    Postgres(Arc<Server>),
}

/// The readers' side: any number of readers at once.
pub(in crate::store) struct Reader {
    pool: Pool,
    carriers: Arc<Carriers>,
}

enum Pool {
    Sqlite(SqlitePool),
    Postgres(Arc<Server>),
}

/// Whether the URL is one that [`open`] understands.
pub(in crate::store) fn check_url(url: &str) -> Result<(), StoreError> {
    match Kind::of(url)? {
        // Whatever there is stands for a path.
        Kind::Sqlite => Ok(()),
        Kind::Postgres => {
            url::parse(url)?;
            url::check_files(url)
        }
    }
}

/// Whether a URL that [`check_url`] has nothing against holds a password.
pub(in crate::store) fn has_password(url: &str) -> bool {
    url::parse(url).is_ok_and(|named| named.has_password)
}

/// Opens the database that the URL names, brings its schema up to date and takes it for this
/// process.
pub(in crate::store) async fn open(
    config: &Config,
    carriers: Arc<Carriers>,
) -> Result<(Sql, Reader), StoreError> {
    let (mut sql, reader) = take(config, carriers).await?;
    if house::copying(&mut sql.conn()?.db()).await?.is_some() {
        return Err(StoreError::Incomplete);
    }
    Ok((sql, reader))
}

/// The same for a copy that may not be complete.
async fn take(config: &Config, carriers: Arc<Carriers>) -> Result<(Sql, Reader), StoreError> {
    let (conn, home, pool) = match Kind::of(&config.url)? {
        Kind::Sqlite => sqlite::open(config).await?,
        Kind::Postgres => postgres::open(config).await?,
    };
    let mut sql = Sql {
        conn: Some(conn),
        home,
        days: None,
        carriers: Arc::clone(&carriers),
        kept: 0,
        asked: None,
        stamp: 0,
        patience: START,
    };
    sql.kept = sql.last_commit().await?;
    Ok((sql, Reader { pool, carriers }))
}

impl Sql {
    /// The writer's connection.
    fn conn(&mut self) -> Result<&mut Conn, StoreError> {
        self.conn.as_mut().ok_or_else(lost)
    }

    /// Lets go of a connection that an error has broken, and of what may have caused any other: a
    /// partition that somebody dropped by hand.
    fn heed<T>(&mut self, done: Result<T, StoreError>) -> Result<T, StoreError> {
        if done.is_err() {
            self.days = None;
        }
        if let Err(error) = &done
            && error.breaks()
        {
            self.conn = None;
        }
        done
    }

    /// The number of the last commit as the rows have it.
    async fn last_commit(&mut self) -> Result<i64, StoreError> {
        let patience = self.patience;
        let conn = self.conn()?;
        let read = within(patience, house::last_commit(&mut conn.db())).await;
        self.heed(read)
    }

    /// Connects again after a loss. Returns the number of the last commit that is there.
    async fn reconnect(&mut self) -> Result<i64, StoreError> {
        let conn = match &self.home {
            Home::Sqlite { options, .. } => sqlite::connect(options).await?,
            Home::Postgres(server) => server.connect(Duration::ZERO).await?,
        };
        self.take_up(conn).await
    }

    /// Goes on with a new connection, if its rows are as this run has left them: `kept` commits, or
    /// one more whose answer was lost.
    async fn take_up(&mut self, conn: Conn) -> Result<i64, StoreError> {
        self.conn = Some(conn);
        let error = match self.last_commit().await {
            Ok(found) if found == self.kept || Some(found) == self.asked => return Ok(found),
            Ok(found) => StoreError::Diverged {
                expected: self.kept,
                found,
            },
            Err(error) => error,
        };
        self.conn = None;
        Err(error)
    }
}

/// Waits for an answer, but not for ever. Only for what is dropped with its connection after that:
/// a future of sqlx that is cancelled leaves its connection in the middle of an answer.
async fn within<T>(
    patience: Duration,
    answer: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(patience, answer).await {
        Ok(done) => done,
        Err(_) => Err(sqlx::Error::Io(io::Error::new(
            io::ErrorKind::TimedOut,
            "the database gave no answer",
        ))
        .into()),
    }
}

/// There is no connection at present.
fn lost() -> StoreError {
    sqlx::Error::Io(io::Error::new(
        io::ErrorKind::NotConnected,
        "the connection to the database is lost",
    ))
    .into()
}
