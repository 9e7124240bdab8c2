//! Lives here: a PostgreSQL database for one test, on the server of `DATABASE_URL`.
//!
//! Migrating an empty database takes longer than most tests. It is done once for each version of the
//! migrations, in a template that stays on the server; each test gets a copy of it in some 30 ms.
//! Never here: what the store does with its database.

use std::env;
use std::str::FromStr;

use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

/// Names the server.
const URL_VARIABLE: &str = "DATABASE_URL";

/// Held while the template is made: each test is a process of its own, and all of them want it.
const TEMPLATE_LOCK: i64 = 0x6d6e_6172_6174_0001;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// A database with the schema and nothing in it, dropped in the end, whoever is still connected.
pub(super) struct Database {
    /// To the database by which the server was named.
    server: PgConnectOptions,
    name: String,
}

impl Database {
    pub(super) async fn fresh() -> Self {
        let url = env::var(URL_VARIABLE).unwrap_or_default();
        assert!(
            !url.is_empty(),
            "run `cargo xtask test`, or set {URL_VARIABLE} to a PostgreSQL 15 where the role may \
             create databases"
        );
        let server = PgConnectOptions::from_str(&url).expect(URL_VARIABLE);
        let mut conn = PgConnection::connect_with(&server).await.unwrap();
        let template = template(&mut conn, &server).await;
        let name = format!("mnara_contract_{}", Uuid::now_v7().simple());
        run(&mut conn, format!("create database {name} template {template}")).await;
        conn.close().await.unwrap();
        Self { server, name }
    }

    /// How it is reached.
    pub(super) fn url(&self) -> String {
        let url = self.server.clone().database(&self.name);
        sqlx::ConnectOptions::to_url_lossy(&url).into()
    }
}

impl Drop for Database {
    /// The test's own runtime may be the one that unwinds: the work is done by another.
    fn drop(&mut self) {
        let drop = format!("drop database if exists {} with (force)", self.name);
        let server = self.server.clone();
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all();
            runtime.build()?.block_on(async {
                let mut conn = PgConnection::connect_with(&server).await?;
                sqlx::query(AssertSqlSafe(drop)).execute(&mut conn).await?;
                conn.close().await
            })
        });
        // The server may be gone by now, and its databases with it.
        let _ = dropped.join();
    }
}

/// The name of the migrated template, which is made if there is none.
async fn template(conn: &mut PgConnection, server: &PgConnectOptions) -> String {
    let version = MIGRATIONS.iter().flat_map(|one| one.checksum.iter().take(6));
    let version: String = version.map(|octet| format!("{octet:02x}")).collect();
    let name = format!("mnara_contract_template_{version}");
    if is_there(conn, &name).await {
        return name;
    }
    run(conn, format!("select pg_advisory_lock({TEMPLATE_LOCK})")).await;
    if !is_there(conn, &name).await {
        // One that was begun and never finished.
        run(conn, format!("drop database if exists {name} with (force)")).await;
        // Not from template1, to which others may be connected; and sorted as SQLite sorts.
        run(
            conn,
            format!(
                "create database {name} template template0 encoding 'UTF8' lc_collate 'C' lc_ctype 'C'"
            ),
        )
        .await;
        let mut inside = PgConnection::connect_with(&server.clone().database(&name)).await.unwrap();
        MIGRATIONS.run(&mut inside).await.unwrap();
        inside.close().await.unwrap();
        run(conn, format!("alter database {name} is_template true")).await;
    }
    run(conn, format!("select pg_advisory_unlock({TEMPLATE_LOCK})")).await;
    name
}

/// Whether this template is there and finished.
async fn is_there(conn: &mut PgConnection, name: &str) -> bool {
    let found = sqlx::query("select 1 from pg_database where datname = $1 and datistemplate");
    let found = found.bind(name).fetch_optional(conn).await.unwrap();
    found.is_some()
}

async fn run(conn: &mut PgConnection, sql: String) {
    sqlx::query(AssertSqlSafe(sql)).execute(conn).await.unwrap();
}
