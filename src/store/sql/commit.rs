//! Lives here: the writer's transactions: how they begin and end, and what is done when the
//! connection, or the answer to a COMMIT, is lost.
//!
//! Transactions are plain statements on the writer's own connection, and only there: a transaction
//! object of sqlx that is dropped at the wrong moment spoils its connection (sqlx #4393).
//! Never here: what is in a transaction.

use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection};

use super::days::Days;
use super::db::{Conn, Db};
use super::statement::Statement;
use super::{ANSWER, Home, LOCK_WAIT, Sql, days, house, lost, within};
use crate::store::StoreError;
use crate::store::rows::Unkept;

impl Sql {
    /// To be called in the runtime that will drive the connection. One to a server that was opened
    /// in another runtime would be woken through it, so it is given up for a new one. Should that
    /// fail the connection is lost, as it may be at any other time: the next transaction begins on
    /// another one.
    pub(super) async fn enter(&mut self) -> Result<(), StoreError> {
        self.patience = ANSWER;
        let Home::Postgres(server) = &self.home else {
            return Ok(());
        };
        let Some(Conn::Postgres(old)) = self.conn.take() else {
            return Ok(());
        };
        let entered = match server.hand_over(*old, LOCK_WAIT).await {
            Ok(conn) => self.take_up(conn).await,
            Err(error) => Err(error),
        };
        match entered {
            Err(error) if error.ends() => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Begins; on a new connection if the old one is lost, or turns out to be.
    pub(super) async fn begin(&mut self) -> Result<(), StoreError> {
        if self.conn.is_some() {
            match self.begin_here().await {
                // Nothing has begun: it may be asked of another connection.
                Err(_) if self.conn.is_none() => {}
                done => return done,
            }
        }
        self.reconnect().await?;
        self.begin_here().await
    }

    async fn begin_here(&mut self) -> Result<(), StoreError> {
        let patience = self.patience;
        if self.days.is_none()
            && let Db::Postgres(conn, _) = self.conn()?.db()
        {
            let read = within(patience, Days::read(conn)).await;
            self.days = Some(self.heed(read)?);
        }
        self.stamp = (self.kept + 1) << 16;
        self.command(BEGIN).await
    }

    /// Writes the number and commits, in one exchange: were the transaction not fit to be committed
    /// the number could not be written, and the COMMIT would not be reached.
    pub(super) async fn commit(&mut self, number: i64) -> Result<(), Unkept> {
        let patience = self.patience;
        let conn = self.conn().map_err(Unkept::Refused)?;
        let done = match conn.db() {
            Db::Sqlite(conn) => sqlite_commit(conn, number).await,
            Db::Postgres(conn, _) => within(patience, postgres_commit(conn, number)).await,
        };
        match self.heed(done) {
            Ok(()) => {
                self.kept = number;
                Ok(())
            }
            // An answer that leaves the connection whole is the database's word.
            Err(error) if self.conn.is_some() => Err(Unkept::Refused(error)),
            Err(error) => {
                self.asked = Some(number);
                Err(Unkept::Unknown(error))
            }
        }
    }

    /// Rolls back, if there is anything to roll back. What cannot even do that is lost, and then
    /// the transaction is too.
    pub(super) async fn rollback(&mut self) {
        if self.command("rollback").await.is_err()
            && let Some(Conn::Postgres(_)) = &self.conn
        {
            self.conn = None;
        }
    }

    /// Whether the commit of this number was kept. A new connection has the house lock: the old
    /// session has ended, so what is there now stays.
    pub(super) async fn was_kept(&mut self, number: i64) -> Result<bool, StoreError> {
        let found = match &self.conn {
            Some(_) => self.last_commit().await?,
            None => self.reconnect().await?,
        };
        if found != number && found != self.kept {
            return Err(StoreError::Diverged {
                expected: self.kept,
                found,
            });
        }
        self.kept = found;
        self.asked = None;
        Ok(found == number)
    }

    /// Makes the partitions of a day and of those after it; SQLite needs none.
    pub(super) async fn prepare_day(&mut self, day: i64) -> Result<(), StoreError> {
        let readers = match &self.home {
            Home::Sqlite { .. } => return Ok(()),
            Home::Postgres(server) => server.readers_max(),
        };
        if self.conn.is_none() {
            self.reconnect().await?;
        }
        self.days = None;
        let patience = self.patience;
        let done = match self.conn()?.db() {
            Db::Sqlite(_) => Ok(()),
            Db::Postgres(conn, _) => within(patience, days::prepare(conn, day, readers)).await,
        };
        self.heed(done)
    }

    /// A commit that really writes and leaves nothing behind.
    pub(super) async fn probe(&mut self) -> Result<(), StoreError> {
        self.begin().await?;
        let patience = self.patience;
        let written = within(patience, write_and_delete(&mut self.conn()?.db())).await;
        let done = match self.heed(written) {
            Ok(()) => self.command("commit").await,
            Err(error) => Err(error),
        };
        if done.is_err() {
            self.rollback().await;
        }
        done
    }

    /// Notes an orderly end, truncates SQLite's write-ahead log, and closes.
    pub(super) async fn close(mut self, orderly: bool) -> Result<(), StoreError> {
        if self.conn.is_none() {
            self.reconnect().await?;
        }
        let patience = self.patience;
        let mut conn = self.conn.take().ok_or_else(lost)?;
        if orderly {
            within(patience, house::sign_off(&mut conn.db())).await?;
        }
        match conn {
            Conn::Sqlite(mut conn) => {
                sqlx::query("pragma wal_checkpoint(truncate)")
                    .execute(&mut conn)
                    .await?;
                conn.close().await?;
            }
            Conn::Postgres(conn) => within(patience, async { Ok(conn.close().await?) }).await?,
            // The writer's own is none of a pool.
            Conn::PooledSqlite(_) | Conn::PooledPostgres(_) => {}
        }
        Ok(())
    }

    /// A word that needs no answer but done.
    pub(super) async fn command(&mut self, command: &'static str) -> Result<(), StoreError> {
        let patience = self.patience;
        let done = match self.conn()?.db() {
            Db::Sqlite(conn) => {
                // Another connection of this process only reads; to wait for the right to write
                // now is to fail now and not halfway.
                let command = if command == BEGIN {
                    "begin immediate"
                } else {
                    command
                };
                let done = sqlx::query(command).execute(conn).await;
                done.map(drop).map_err(StoreError::from)
            }
            Db::Postgres(conn, _) => {
                let done = async {
                    sqlx::raw_sql(command).execute(conn).await?;
                    Ok(())
                };
                within(patience, done).await
            }
        };
        self.heed(done)
    }
}

pub(super) const BEGIN: &str = "begin";

async fn sqlite_commit(conn: &mut SqliteConnection, number: i64) -> Result<(), StoreError> {
    // Two statements, handed over to the database's thread as one.
    sqlx::query("update house set value = ?1 where key = 'commit'; commit")
        .bind(number)
        .execute(conn)
        .await?;
    Ok(())
}

async fn postgres_commit(conn: &mut PgConnection, number: i64) -> Result<(), StoreError> {
    // Numbers need no quoting, and only a text without parameters may be two statements.
    sqlx::raw_sql(AssertSqlSafe(format!(
        "update house set value = {number} where key = 'commit'; commit"
    )))
    .execute(conn)
    .await?;
    Ok(())
}

async fn write_and_delete(db: &mut Db<'_>) -> Result<(), StoreError> {
    static WRITE: Statement = Statement::new(
        "insert into intents (id, carrier, bind, at, messages) values (0, '', '', 0, $1) \
         on conflict (id) do nothing",
    );
    static DELETE: Statement = Statement::new("delete from intents where id = 0");
    WRITE.execute(db, &[(&[0; 8192][..]).into()]).await?;
    DELETE.execute(db, &[]).await?;
    Ok(())
}
