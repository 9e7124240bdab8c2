//! Lives here: opening a PostgreSQL database: what its sessions are set to, what its server must
//! be, and the lock by which one daemon has it.
//!
//! The lock is an advisory one of the writer's session. It is free only when that session has
//! ended, and with it its transaction: whoever gets the lock knows that nothing which was sent
//! before can still be decided. So there must be no pooler between that shares sessions.
//! Never here: statements about messages.

use std::str::FromStr;
use std::time::Duration;

use secrecy::ExposeSecret;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row};

use super::db::Conn;
use super::{Home, LOCK_WAIT, Pool, STATEMENTS, house};
use crate::store::{Config, StoreError};

/// The house lock's number: "mnara" in ASCII, and 1. Advisory locks are each database's own.
pub(super) const LOCK: i64 = 0x6d6e_6172_6100_0001;

/// How often it is asked for the lock while another has it.
const LOCK_POLL: Duration = Duration::from_millis(100);

/// How long it may take to connect; beyond it the next try is as good.
const CONNECT: Duration = Duration::from_secs(5);

/// The oldest server: 15.
const VERSION_MIN: i32 = 150_000;

/// What a URL may say. sqlx would ignore the rest with a line in the log that tells its value, be
/// it a password whose key was misspelt.
const PARAMETERS: [&str; 20] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "statement-cache-capacity",
    "options",
    "options[search_path]",
    "options[role]",
];

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

/// Opens the database, migrates it and takes it for this process.
pub(super) async fn open(config: &Config) -> Result<(Conn, Home, Pool), StoreError> {
    let (mut options, shown) = parse(&config.url)?;
    if let Some(password) = &config.password {
        options = options.password(password.expose_secret());
    }
    let failed = |error| match error {
        StoreError::Sql(source) => StoreError::Open {
            url: shown.clone(),
            source,
        },
        error => error,
    };
    let writer = session(&options, "writer", WRITER);
    let mut conn = locked(&writer, LOCK_WAIT).await.map_err(failed)?;
    advise(&mut conn).await?;
    let mut migrations = sqlx::migrate!("migrations/postgres");
    // What a newer version has added; what it has taken away `house` tells.
    migrations.set_ignore_missing(true);
    migrations.run(&mut conn).await?;
    let mut conn = Conn::Postgres(Box::new(conn));
    house::admits(&mut conn.db(), level()).await?;
    let pool = PgPoolOptions::new()
        .max_connections(config.readers)
        .acquire_timeout(config.read_timeout)
        .connect_with(session(&options, "reader", READER))
        .await
        .map_err(|source| failed(source.into()))?;
    let home = Home::Postgres(Box::new(writer));
    Ok((conn, home, Pool::Postgres(pool)))
}

/// A new connection for the writer, which has the lock, to a schema that this program knows.
pub(super) async fn connect(
    options: &PgConnectOptions,
    wait: Duration,
) -> Result<Conn, StoreError> {
    let conn = locked(options, wait).await?;
    let mut conn = Conn::Postgres(Box::new(conn));
    house::admits(&mut conn.db(), level()).await?;
    Ok(conn)
}

/// A new connection for the writer, in the place of one that has the lock. At no moment is the lock
/// to be had for another daemon: in between both share it, and whoever asks for it wants it alone.
pub(super) async fn hand_over(
    options: &PgConnectOptions,
    mut old: PgConnection,
    wait: Duration,
) -> Result<Conn, StoreError> {
    let work = async {
        let mut conn = PgConnection::connect_with(options).await?;
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
    let conn = super::within(CONNECT + wait, work).await?;
    let mut conn = Conn::Postgres(Box::new(conn));
    house::admits(&mut conn.db(), level()).await?;
    Ok(conn)
}

/// The level of the schema that this program is written for.
fn level() -> i64 {
    house::level_of(&sqlx::migrate!("migrations/postgres"))
}

/// What the URL says, and how it may be shown.
pub(super) fn parse(url: &str) -> Result<(PgConnectOptions, String), StoreError> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let unknown = query
        .split('&')
        .map(|pair| pair.split_once('=').map_or(pair, |(key, _)| key))
        .any(|key| !key.is_empty() && !PARAMETERS.contains(&key));
    if unknown {
        return Err(StoreError::Url {
            why: format!(
                "it has a parameter that is none of {}; in a password, ? is written %3F",
                PARAMETERS.join(", ")
            ),
        });
    }
    // What sqlx says of a URL that it cannot read names the part, not its text.
    let options = PgConnectOptions::from_str(url).map_err(|error| StoreError::Url {
        why: format!("{error}; it looks like postgres://USER:PASSWORD@HOST:PORT/DATABASE"),
    })?;
    let host = match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => options.get_host().to_owned(),
    };
    let shown = format!(
        "postgres://{}@{host}:{}/{}",
        options.get_username(),
        options.get_port(),
        options.get_database().unwrap_or_default()
    );
    Ok((options, shown))
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
async fn advise(conn: &mut PgConnection) -> Result<(), StoreError> {
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
    let deadline = tokio::time::Instant::now() + wait;
    loop {
        let row = sqlx::query("select pg_try_advisory_lock($1)")
            .bind(LOCK)
            .fetch_one(&mut *conn)
            .await?;
        if row.try_get(0)? {
            return Ok(());
        }
        if tokio::time::Instant::now() >= deadline {
            let holder = holder(conn).await?;
            return Err(StoreError::InUse { holder });
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
