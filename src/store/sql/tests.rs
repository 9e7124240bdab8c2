//! Lives here: what opening, losing and reopening a database must keep to, on a real PostgreSQL
//! and on SQLite; `plans` looks at how PostgreSQL goes about its statements.
//! Never here: what the rows answer (the contract suite).

mod changes;
mod level;
mod loss;
mod plans;
mod proxy;

use std::time::{Duration, Instant};

use mnara_privatepg::Database;
use sqlx::Connection;
use tempfile::TempDir;
use uuid::Uuid;

use super::db::Db;
use super::*;
use crate::domain::class::Class;
use crate::domain::ids::{CarrierId, CarrierIndex, MessageId, MessageSeq, OrgId};
use crate::domain::message::{Encoding, Message};
use crate::domain::phone::{Msisdn, Sender};
use crate::domain::time::Timestamp;
use crate::store::reads::Reads;
use crate::store::rows::{Rows, Unkept, first_of_day};

/// A day of which there are partitions once a test has prepared it.
const DAY: i64 = 20_778;

fn database() -> Database {
    Database::fresh().unwrap_or_else(|error| panic!("{error}"))
}

fn config(url: String) -> Config {
    Config {
        url,
        ..Config::default()
    }
}

async fn opened(url: String) -> Result<(Sql, Reader), StoreError> {
    let carriers = Carriers::new(vec![CarrierId("mtn_ng".into())]);
    open(&config(url), Arc::new(carriers)).await
}

async fn refused(url: String) -> String {
    match opened(url).await {
        Ok(_) => panic!("it was opened"),
        Err(error) => error.to_string(),
    }
}

fn file(folder: &TempDir) -> String {
    format!("sqlite:{}/mnara.db", folder.path().display())
}

fn message(number: i64) -> Arc<Message> {
    let at = Timestamp(DAY * 86_400_000 + 1_000);
    Arc::new(Message {
        seq: MessageSeq(first_of_day(DAY).0 + number),
        id: MessageId(Uuid::now_v7()),
        org: OrgId(Uuid::from_u128(7)),
        class: Class::Transactional,
        to: Msisdn::from_digits("2348031234567").unwrap(),
        from: Sender::parse("MNARA").unwrap(),
        body: "hujambo".into(),
        encoding: Encoding::Gsm7,
        segments: 1,
        carrier: CarrierIndex(0),
        webhook_url: None,
        metadata: None,
        tags: None,
        client_ref: None,
        live: true,
        cost: Default::default(),
        accepted_at: at,
        due_at: at,
        valid_until: Timestamp(at.0 + 50_000),
    })
}

/// Commits one new message as the next commit.
async fn commit(sql: &mut Sql, number: i64) -> Result<(), Unkept> {
    sql.begin().await.map_err(Unkept::Refused)?;
    let written = sql.insert_messages(&[message(number)]).await;
    written.map_err(Unkept::Refused)?;
    sql.commit(number).await
}

async fn kept(sql: &mut Sql, number: i64) -> bool {
    sql.begin().await.unwrap();
    let found = sql.messages(&[message(number).seq]).await.unwrap();
    sql.rollback().await;
    !found.is_empty()
}

#[tokio::test]
async fn a_second_daemon_is_refused_on_postgresql_and_told_who_has_it() {
    let database = database();
    let (first, _reader) = opened(database.url()).await.unwrap();
    let error = refused(database.url()).await;
    let process = format!("\"mnara writer (process {})\"", std::process::id());
    assert!(error.contains(&process), "{error}");
    first.close(true).await.unwrap();
    opened(database.url()).await.unwrap();
}

#[tokio::test]
async fn while_the_writer_changes_its_runtime_no_other_daemon_gets_the_lock() {
    let database = database();
    let (mut sql, _reader) = opened(database.url()).await.unwrap();
    let mut other = sqlx::PgConnection::connect(&database.url()).await.unwrap();
    let entering = async {
        for _ in 0..20 {
            sql.enter().await.unwrap();
            assert!(sql.conn.is_some());
        }
    };
    let asking = async {
        loop {
            let had: bool = sqlx::query_scalar("select pg_try_advisory_lock($1)")
                .bind(postgres::LOCK)
                .fetch_one(&mut other)
                .await
                .unwrap();
            assert!(!had, "it was to be had");
        }
    };
    tokio::select! {
        () = entering => {}
        () = asking => {}
    }
    // What is left is one lock, and as before it goes with its session.
    let held = database.run("select count(*) from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())");
    assert_eq!(held.unwrap().trim(), "1");
    drop(sql);
    opened(database.url()).await.unwrap();
}

#[tokio::test]
async fn a_connection_lost_while_the_writer_changes_its_runtime_is_replaced_later() {
    let database = database();
    let (mut sql, _reader) = opened(database.url()).await.unwrap();
    sql.prepare_day(DAY).await.unwrap();
    database
        .run("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name like 'mnara writer%'")
        .unwrap();
    sql.enter().await.unwrap();
    commit(&mut sql, 1).await.unwrap();
}

#[tokio::test]
async fn a_second_daemon_is_refused_on_sqlite() {
    let folder = TempDir::new().unwrap();
    let (first, _reader) = opened(file(&folder)).await.unwrap();
    let error = refused(file(&folder)).await;
    assert!(error.contains("mnara.db.lock"), "{error}");
    first.close(true).await.unwrap();
    opened(file(&folder)).await.unwrap();
}

#[tokio::test]
async fn no_error_shows_a_password() {
    for url in [
        "postgres://u:hush@127.0.0.1:1/d",
        "postgres://u:hush@127.0.0.1:99999/d",
        "postgres://u:hush@127.0.0.1:1/d?pasword=hush",
        "postgres://127.0.0.1:1/d?user=u&password=hush",
        "postgres://u:hu/hush@127.0.0.1/d",
        "mysql://u:hush@127.0.0.1/d",
        "postgres:hush",
        "postgres://u:5432/hush@127.0.0.1/d",
        "postgres://u:5432#hush@127.0.0.1/d",
        "sqlite:postgres://u:hush@127.0.0.1/d",
    ] {
        let error = refused(url.into()).await;
        assert!(!error.contains("hush"), "{error}");
    }
    let error = refused("postgres://u:hush@127.0.0.1:1/d".into()).await;
    assert!(error.contains("postgres://u@127.0.0.1:1/d"), "{error}");
    let error = refused("postgres://u:5432/hush@127.0.0.1/d".into()).await;
    assert!(error.contains("/ is written %2F"), "{error}");
    let error = refused("sqlite:postgres://u@127.0.0.1/d".into()).await;
    assert!(error.contains("begins with postgres://"), "{error}");
    let error = refused("mysql://h/d".into()).await;
    assert!(error.contains("neither with sqlite: nor"), "{error}");
}

#[tokio::test]
async fn a_database_of_another_encoding_is_refused() {
    let database = database();
    database
        .run("create database mnara_ascii_test template template0 encoding 'SQL_ASCII' lc_collate 'C' lc_ctype 'C'")
        .unwrap();
    let (server, _) = database
        .url()
        .rsplit_once('/')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    let error = refused(format!("{server}/mnara_ascii_test")).await;
    database.run("drop database mnara_ascii_test").unwrap();
    assert!(error.contains("encoding is SQL_ASCII"), "{error}");
}

#[tokio::test]
async fn synchronous_commit_is_on_whatever_the_role_says() {
    let database = database();
    database
        .run("do $$ begin execute format('alter database %I set synchronous_commit = off', current_database()); end $$")
        .unwrap();
    let (mut sql, _reader) = opened(database.url()).await.unwrap();
    let Db::Postgres(conn, _) = sql.conn().unwrap().db() else {
        unreachable!("the URL is PostgreSQL's");
    };
    let setting: String = sqlx::query_scalar("show synchronous_commit")
        .fetch_one(conn)
        .await
        .unwrap();
    assert_eq!(setting, "on");
}

#[tokio::test]
async fn a_server_that_logs_values_is_noticed_and_an_error_logs_none() {
    let database = database();
    let logging = |set: &str| {
        let sql = format!(
            "do $$ begin execute format('alter database %I set {set}', current_database()); end $$"
        );
        database.run(&sql).unwrap();
    };
    logging("log_parameter_max_length_on_error = -1");
    for (set, told) in [
        ("log_min_duration_statement = -1", false),
        ("log_min_duration_statement = 500", true),
        ("log_parameter_max_length = 0", false),
    ] {
        logging(set);
        let (mut sql, _reader) = opened(database.url()).await.unwrap();
        let Db::Postgres(conn, _) = sql.conn().unwrap().db() else {
            unreachable!("the URL is PostgreSQL's");
        };
        assert_eq!(postgres::logs_values(conn).await.unwrap(), told, "{set}");
        let on_error: String = sqlx::query_scalar("show log_parameter_max_length_on_error")
            .fetch_one(conn)
            .await
            .unwrap();
        assert_eq!(on_error, "0");
        sql.close(true).await.unwrap();
    }
}

#[tokio::test]
async fn readers_cannot_write_and_are_not_waited_for_by_new_partitions() {
    let database = database();
    let (mut sql, reader) = opened(database.url()).await.unwrap();
    let mut conn = reader.conn().await.unwrap();
    let Db::Postgres(conn, _) = conn.db() else {
        unreachable!("the URL is PostgreSQL's");
    };
    sqlx::raw_sql("begin; select * from messages; select * from attempts")
        .execute(&mut *conn)
        .await
        .unwrap();
    let begun = Instant::now();
    sql.prepare_day(DAY).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(4));
    let written = sqlx::raw_sql("delete from intents").execute(conn).await;
    assert!(written.is_err());
    commit(&mut sql, 1).await.unwrap();
    assert!(kept(&mut sql, 1).await);
}

#[tokio::test]
async fn partitions_are_made_two_days_ahead_and_once() {
    let database = database();
    let (mut sql, _reader) = opened(database.url()).await.unwrap();
    sql.prepare_day(DAY).await.unwrap();
    sql.prepare_day(DAY).await.unwrap();
    sql.prepare_day(DAY + 1).await.unwrap();
    let Db::Postgres(conn, _) = sql.conn().unwrap().db() else {
        unreachable!("the URL is PostgreSQL's");
    };
    for parted in &days::PARTED {
        let mut there = days::days(conn, parted.table).await.unwrap();
        there.sort_unstable();
        assert_eq!(there, (DAY..=DAY + 3).collect::<Vec<_>>());
    }
    // An old day is made alone: those after it have been dropped.
    sql.prepare_day(DAY - 20).await.unwrap();
    let Db::Postgres(conn, _) = sql.conn().unwrap().db() else {
        unreachable!("the URL is PostgreSQL's");
    };
    let there = days::days(conn, "attempts").await.unwrap();
    assert_eq!(there.len(), 5);
    assert!(there.contains(&(DAY - 20)));
}

#[tokio::test]
async fn what_a_start_settles_may_take_longer_than_an_answer_later() {
    let database = database();
    let (mut sql, _reader) = opened(database.url()).await.unwrap();
    assert_eq!(sql.patience, START);
    sql.enter().await.unwrap();
    assert_eq!(sql.patience, ANSWER);
}

#[tokio::test]
async fn both_databases_remember_the_last_commit_and_how_the_run_ended() {
    let (database, folder) = (database(), TempDir::new().unwrap());
    for url in [database.url(), file(&folder)] {
        let (mut sql, reader) = opened(url.clone()).await.unwrap();
        sql.prepare_day(DAY).await.unwrap();
        commit(&mut sql, 1).await.unwrap();
        sql.enter().await.unwrap();
        commit(&mut sql, 2).await.unwrap();
        assert!(sql.was_kept(2).await.unwrap());
        sql.probe().await.unwrap();
        assert_eq!(reader.holds().await.unwrap().len(), 0);
        sql.close(true).await.unwrap();
        for orderly in [true, false] {
            let (mut sql, _reader) = opened(url.clone()).await.unwrap();
            sql.begin().await.unwrap();
            let house = sql.house().await.unwrap();
            let expected = crate::store::rows::House {
                last: crate::domain::ids::Place(message(2).seq.0),
                orderly,
                commit: 2,
            };
            assert_eq!(house, expected);
            sql.rollback().await;
            sql.begin().await.unwrap();
            sql.house().await.unwrap();
            // The note is off from now on.
            sql.commit(2).await.unwrap();
            sql.close(false).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_refused_commit_keeps_nothing() {
    let (database, folder) = (database(), TempDir::new().unwrap());
    for url in [database.url(), file(&folder)] {
        let (mut sql, _reader) = opened(url).await.unwrap();
        sql.prepare_day(DAY).await.unwrap();
        sql.begin().await.unwrap();
        sql.insert_messages(&[message(1)]).await.unwrap();
        if matches!(sql.home, Home::Postgres(_)) {
            let mut nowhere = (*message(2)).clone();
            nowhere.seq = first_of_day(DAY + 100);
            assert!(sql.insert_messages(&[nowhere.into()]).await.is_err());
            // The transaction is aborted: a bare COMMIT would be answered by ROLLBACK, as a success.
            assert!(matches!(sql.commit(1).await, Err(Unkept::Refused(_))));
        }
        sql.rollback().await;
        assert!(!kept(&mut sql, 1).await);
        commit(&mut sql, 1).await.unwrap();
    }
}
