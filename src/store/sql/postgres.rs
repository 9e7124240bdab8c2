//! Lives here: opening a PostgreSQL database: what its sessions are set to, what its server must
//! be, and the lock by which one daemon has it.
//!
//! The lock is an advisory one of the writer's session. It is free only when that session has
//! ended, and with it its transaction: whoever gets the lock knows that nothing which was sent
//! before can still be decided. So there must be no pooler between that shares sessions.
//! Never here: statements about messages.

use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Postgres, Row};

use super::db::Conn;
use super::{Home, LOCK_WAIT, Pool, STATEMENTS, days, house, schema, url};
use crate::store::{Config, PasswordFile, StoreError};

/// The house lock's number: "mnara" in ASCII, and 1. Advisory locks are each database's own.
pub(super) const LOCK: i64 = 0x6d6e_6172_6100_0001;

/// How often it is asked for the lock while another has it.
const LOCK_POLL: Duration = Duration::from_millis(100);

/// After how long it says that it waits: our own session that hands the lock over needs a moment too.
const LOCK_TELL: Duration = Duration::from_secs(1);

/// How long it may take to connect; beyond it the next try is as good.
const CONNECT: Duration = Duration::from_secs(5);

/// The oldest server: 15.
const VERSION_MIN: i32 = 150_000;

/// Settings of every session.
const SETTINGS: &[(&str, &str)] = &[
    // Statements are prepared once and meet every number of rows. A plan of its own for each
    // execution costs more than the execution.
    ("plan_cache_mode", "force_generic_plan"),
    // Such a plan may be made while a table is empty, and stays: it must be the one by index then
    // already. Every statement has one.
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("max_parallel_workers_per_gather", "0"),
    // Compiling takes longer than any of the statements.
    ("jit", "off"),
    // Whatever the role or the database say: each statement sees what is committed.
    ("default_transaction_isolation", "read committed"),
    // The server ends the session, and so frees the house lock, of a client that went without a
    // word: after 10 + 3 * 5 seconds of silence, or 20 seconds in which it took no answer. A
    // session that is busy looks for its client every 5 seconds.
    ("tcp_keepalives_idle", "10"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "20s"),
    ("client_connection_check_interval", "5s"),
    // No text, number or secret in the server's log, as far as it is ours to say (see `advise`).
    ("log_parameter_max_length_on_error", "0"),
    // Migrations say what was there already; a rollback of nothing is meant.
    ("client_min_messages", "error"),
];

/// Settings of the writer's session.
const WRITER: &[(&str, &str)] = &[
    // A COMMIT is never cancelled, whatever the role says; nor is a long list.
    ("statement_timeout", "0"),
    ("idle_session_timeout", "0"),
    // Nobody else writes; who has locked rows by hand must not stop all accepting.
    ("lock_timeout", "5s"),
    // The writer waits for nobody within a transaction. A process that was stopped there must not
    // hold dead rows and the lock for ever.
    ("idle_in_transaction_session_timeout", "60s"),
];

/// Settings of the readers' sessions.
const READER: &[(&str, &str)] = &[
    ("default_transaction_read_only", "on"),
    // Less than the daemon itself waits.
    ("statement_timeout", "20s"),
    ("lock_timeout", "5s"),
    ("idle_in_transaction_session_timeout", "20s"),
];

/// A server: how sessions are opened there, and the readers' pool of them.
pub(super) struct Server {
    /// Without the password of the file.
    options: PgConnectOptions,
    password_file: Option<PasswordFile>,
    readers: PgPool,
}

impl Server {
    /// A new connection for the writer, which has the lock, to a schema that this program knows.
    pub(super) async fn connect(&self, wait: Duration) -> Result<Conn, StoreError> {
        let options = self.renewed()?;
        let conn = locked(&session(&options, "writer", WRITER), wait).await?;
        known(conn).await
    }

    /// A new connection for the writer, in the place of one that has the lock. At no moment is the
    /// lock to be had for another daemon: in between both share it, and whoever asks for it wants it
    /// alone.
    pub(super) async fn hand_over(
        &self,
        mut old: PgConnection,
        wait: Duration,
    ) -> Result<Conn, StoreError> {
        let options = session(&self.renewed()?, "writer", WRITER);
        let work = async {
            let mut conn = PgConnection::connect_with(&options).await?;
            examine(&mut conn).await?;
            sqlx::raw_sql(AssertSqlSafe(format!(
                "select pg_advisory_lock_shared({LOCK}); select pg_advisory_unlock({LOCK})"
            )))
            .execute(&mut old)
            .await?;
            let shared = format!("select pg_advisory_lock_shared({LOCK})");
            sqlx::raw_sql(AssertSqlSafe(shared))
                .execute(&mut conn)
                .await?;
            // If that fails the session has ended too.
            let _ = old.close().await;
            take_lock(&mut conn, wait).await?;
            let unshared = format!("select pg_advisory_unlock_shared({LOCK})");
            sqlx::raw_sql(AssertSqlSafe(unshared))
                .execute(&mut conn)
                .await?;
            Ok(conn)
        };
        known(super::within(CONNECT + wait, work).await?).await
    }

    /// A connection of the readers' pool. If a new one is refused for its password, that has perhaps
    /// been changed: it is read again, and asked once more.
    pub(super) async fn reader(&self) -> Result<PoolConnection<Postgres>, StoreError> {
        match self.readers.acquire().await {
            Err(error) if self.password_file.is_some() && refuses_role(&error) => {
                self.renewed()?;
                Ok(self.readers.acquire().await?)
            }
            done => Ok(done?),
        }
    }

    /// How many readers there may be at once.
    pub(super) fn readers_max(&self) -> u32 {
        self.readers.options().get_max_connections()
    }

    /// Ends the readers' sessions.
    pub(super) async fn close(&self) {
        self.readers.close().await;
    }

    /// The options with the password as it stands in its file now; readers go by it from here on.
    fn renewed(&self) -> Result<PgConnectOptions, StoreError> {
        let options = with_password(&self.options, self.password_file.as_ref())?;
        if self.password_file.is_some() {
            let readers = session(&options, "reader", READER);
            self.readers.set_connect_options(readers);
        }
        Ok(options)
    }
}

/// Opens the database, migrates it and takes it for this process.
pub(super) async fn open(config: &Config) -> Result<(Conn, Home, Pool), StoreError> {
    let url::Named { options, shown, .. } = url::parse(&config.url)?;
    let failed = |error| match error {
        StoreError::Sql(cause) => StoreError::Open {
            url: shown.clone(),
            cause,
        },
        error => error,
    };
    let whole = with_password(&options, config.password_file.as_ref())?;
    let writer = session(&whole, "writer", WRITER);
    let mut conn = locked(&writer, LOCK_WAIT).await.map_err(failed)?;
    advise(&mut conn, config.readers).await?;
    days::examine_owners(&mut conn).await?;
    schema::postgres().run(&mut conn).await?;
    let conn = known(conn).await?;
    let readers = PgPoolOptions::new()
        .max_connections(config.readers)
        .acquire_timeout(config.read_timeout)
        .connect_with(session(&whole, "reader", READER))
        .await
        .map_err(|cause| failed(cause.into()))?;
    let server = Arc::new(Server {
        options,
        password_file: config.password_file.clone(),
        readers,
    });
    Ok((
        conn,
        Home::Postgres(Arc::clone(&server)),
        Pool::Postgres(server),
    ))
}

/// The options with the password of the file, if there is one.
fn with_password(
    options: &PgConnectOptions,
    file: Option<&PasswordFile>,
) -> Result<PgConnectOptions, StoreError> {
    let options = options.clone();
    match file {
        Some(file) => Ok(options.password(file.read()?.expose_secret())),
        None => Ok(options),
    }
}

/// Whether the server lets the role in no more, or not with this password.
fn refuses_role(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|answer| answer.code());
    code.is_some_and(|code| code == "28P01" || code == "28000")
}

/// The connection, if its schema is one that this program knows.
async fn known(conn: PgConnection) -> Result<Conn, StoreError> {
    let mut conn = Conn::Postgres(Box::new(conn));
    house::admits(&mut conn.db(), level()).await?;
    Ok(conn)
}

/// The level of the schema that this program is written for.
fn level() -> i64 {
    schema::level_of(&schema::postgres())
}

/// Options for a session with these settings beside those of all.
fn session(options: &PgConnectOptions, role: &str, own: &[(&str, &str)]) -> PgConnectOptions {
    let settings = SETTINGS.iter().chain(own).copied();
    options
        .clone()
        .application_name(&format!("mnara {role} (process {})", std::process::id()))
        .options(settings)
        .statement_cache_capacity(STATEMENTS)
        .disable_statement_logging()
}

/// Connects, looks at the server and takes the house lock.
async fn locked(options: &PgConnectOptions, wait: Duration) -> Result<PgConnection, StoreError> {
    let work = async {
        let mut conn = PgConnection::connect_with(options).await?;
        examine(&mut conn).await?;
        take_lock(&mut conn, wait).await?;
        Ok(conn)
    };
    super::within(CONNECT + wait, work).await
}

/// Whether the server is one that this program can rely on; what the session can see to is seen to.
async fn examine(conn: &mut PgConnection) -> Result<(), StoreError> {
    let row = sqlx::query(
        "select current_setting('server_version_num')::int4, current_setting('server_encoding'), \
         pg_is_in_recovery(), current_setting('synchronous_commit')",
    )
    .fetch_one(&mut *conn)
    .await?;
    let refuse = |why: String| Err(StoreError::Server { why });
    let version: i32 = row.try_get(0)?;
    if version < VERSION_MIN {
        return refuse(format!(
            "it is version {}; 15 or later is needed",
            version / 10_000
        ));
    }
    let encoding: &str = row.try_get(1)?;
    if encoding != "UTF8" {
        return refuse(format!(
            "the database's encoding is {encoding}; create it with encoding UTF8"
        ));
    }
    if row.try_get(2)? {
        return refuse("it is a standby, which cannot be written to; name the primary".into());
    }
    if row.try_get::<&str, _>(3)? == "off" {
        sqlx::query("set synchronous_commit = on")
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}

/// Says what is not as it should be on a server that will do all the same: when a store is opened,
/// not with every connection.
async fn advise(conn: &mut PgConnection, readers: u32) -> Result<(), StoreError> {
    let row = sqlx::query(
        "select current_setting('fsync'), \
         (select reset_val from pg_settings where name = 'synchronous_commit')",
    )
    .fetch_one(&mut *conn)
    .await?;
    if row.try_get::<&str, _>(0)? == "off" {
        tracing::warn!(
            "fsync is off on the PostgreSQL server: a crash of its machine loses messages"
        );
    }
    if row.try_get::<&str, _>(1)? == "off" {
        tracing::warn!(
            "synchronous_commit is off on the PostgreSQL server: it is on for this daemon's session"
        );
    }
    days::look_at_locks(conn, readers).await?;
    if logs_values(conn).await? {
        tracing::warn!(
            "the PostgreSQL server logs statements with their values: texts, numbers and secrets \
             come into its log; let its superuser set log_parameter_max_length to 0 for our role"
        );
    }
    Ok(())
}

/// Whether the server writes the values of this session's statements into its log.
pub(super) async fn logs_values(conn: &mut PgConnection) -> Result<bool, StoreError> {
    let row = sqlx::query(
        "select current_setting('log_parameter_max_length') <> '0' \
         and (current_setting('log_statement') in ('mod', 'all') \
         or current_setting('log_min_duration_statement') <> '-1' \
         or current_setting('log_min_duration_sample') <> '-1')",
    )
    .fetch_one(conn)
    .await?;
    Ok(row.try_get(0)?)
}

/// Takes the house lock, within a time.
async fn take_lock(conn: &mut PgConnection, wait: Duration) -> Result<(), StoreError> {
    let begun = tokio::time::Instant::now();
    let mut told = false;
    loop {
        let row = sqlx::query("select pg_try_advisory_lock($1)")
            .bind(LOCK)
            .fetch_one(&mut *conn)
            .await?;
        if row.try_get(0)? {
            return Ok(());
        }
        if begun.elapsed() >= wait {
            let holder = holder(conn).await?;
            return Err(StoreError::InUse { holder });
        }
        if begun.elapsed() >= LOCK_TELL && !std::mem::replace(&mut told, true) {
            let holder = holder(conn).await?;
            tracing::info!(%holder, ?wait, "another daemon uses the database; waiting for its end");
        }
        tokio::time::sleep(LOCK_POLL).await;
    }
}

/// Who holds the house lock, as far as this role may see it.
async fn holder(conn: &mut PgConnection) -> Result<String, StoreError> {
    let found = sqlx::query(
        "select a.pid, coalesce(a.application_name, ''), \
         coalesce(host(a.client_addr), 'its own machine') \
         from pg_locks l join pg_stat_activity a on a.pid = l.pid \
         where l.locktype = 'advisory' and l.granted and l.objsubid = 1 \
         and a.pid <> pg_backend_pid() \
         and l.database = (select oid from pg_database where datname = current_database()) \
         and (l.classid::int8 << 32 | l.objid::int8) = $1",
    )
    .bind(LOCK)
    .fetch_optional(conn)
    .await?;
    let Some(row) = found else {
        return Ok("it held its lock a moment ago".into());
    };
    let (pid, name, from): (i32, &str, &str) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    Ok(format!(
        "\"{name}\" from {from} holds its lock (server process {pid})"
    ))
}
