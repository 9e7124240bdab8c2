//! Lives here: what somebody changes on the server beside the daemon: a role's password, who owns the
//! tables, a table of a day.
//! Never here: lost connections (`loss`).

use mnara_privatepg::{Durability, Server};
use secrecy::ExposeSecret;

use super::loss::port;
use super::*;
use crate::store::PasswordFile;

#[tokio::test]
async fn a_changed_password_is_read_again_by_the_writer_and_by_readers() {
    // A server that really asks for passwords: that of DATABASE_URL may trust everybody.
    let server = Server::start(Durability::Fast).unwrap();
    let postgres = Database::on(&server.url("postgres")).unwrap();
    postgres
        .run("create role duka login password 'one'")
        .unwrap();
    postgres.run("create database duka owner duka").unwrap();
    let admin = Database::on(&server.url("duka")).unwrap();
    let changed = |password: &str, sessions: &str| {
        let alter = format!("alter role duka password '{password}'");
        admin.run(&alter).unwrap();
        let end = format!(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity \
             where usename = 'duka' and application_name like '{sessions}'"
        );
        admin.run(&end).unwrap();
    };
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("password");
    let file = PasswordFile::new(path.clone());
    std::fs::write(&path, "one\n").unwrap();
    assert_eq!(file.read().unwrap().expose_secret(), "one");
    let url = format!(
        "postgres://duka@127.0.0.1:{}/duka",
        port(&server.url("duka"))
    );
    let config = Config {
        password_file: Some(file),
        ..config(url)
    };
    let (mut sql, reader) = open(&config, Arc::new(Carriers::new(vec![])))
        .await
        .unwrap();

    // A reader is the first to hear of it.
    std::fs::write(&path, "two\n").unwrap();
    changed("two", "mnara%");
    assert_eq!(reader.audit(1).await.unwrap().len(), 0);
    sql.probe().await.unwrap();
    // The writer is, and while the file is late it goes on asking.
    changed("three", "mnara writer%");
    let error = sql.probe().await.unwrap_err().to_string();
    assert!(error.contains("28P01") && !error.contains("two"), "{error}");
    std::fs::write(&path, "").unwrap();
    let error = sql.probe().await.unwrap_err().to_string();
    assert!(error.contains("first line is empty"), "{error}");
    std::fs::write(&path, "three\n").unwrap();
    sql.probe().await.unwrap();
    changed("three", "mnara%");
    assert_eq!(reader.audit(1).await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_role_that_does_not_own_the_tables_is_refused_and_told_what_to_do() {
    let database = database();
    let (sql, _reader) = opened(database.url()).await.unwrap();
    sql.close(true).await.unwrap();
    let role = format!("mnara_guest_{}", Uuid::now_v7().simple());
    database
        .run(&format!(
            "create role {role} login password 'guest'; grant all on all tables in schema public to {role}; \
             grant all on all sequences in schema public to {role}; grant all on schema public to {role}"
        ))
        .unwrap();
    let url = database.url();
    let (user, _) = url.split_once('@').unwrap();
    let guest = url.replace(user, &format!("postgres://{role}:guest"));
    let error = refused(guest.clone()).await;
    let owned = database
        .run(&format!(
            "do $$ declare t text; begin for t in select c.oid::regclass from pg_class c where \
             relnamespace = 'public'::regnamespace and relkind in ('r', 'p') loop \
             execute format('alter table %s owner to {role}', t); end loop; end $$"
        ))
        .and_then(|_| database.run("select 1"));
    let opened = opened(guest).await;
    let done = opened.map(drop);
    database
        .run(&format!(
            "reassign owned by {role} to current_user; drop owned by {role}; drop role {role}"
        ))
        .unwrap();
    owned.unwrap();
    done.unwrap();
    assert!(error.contains("table attempts belongs to role"), "{error}");
    let remedy = format!("alter table attempts owner to {role}");
    assert!(error.contains(&remedy), "{error}");
}

#[tokio::test]
async fn a_day_s_table_that_somebody_dropped_is_made_anew() {
    let database = database();
    let (mut sql, _reader) = opened(database.url()).await.unwrap();
    // Long ago: nobody prepares it again.
    let old = DAY - 20;
    sql.prepare_day(old).await.unwrap();
    let gone = format!("drop table attempts_d{old}, deliveries_d{old}");
    let there = format!(
        "select to_regclass('attempts_d{old}') is not null and to_regclass('deliveries_d{old}') is not null"
    );
    // While it runs: with the next day that is prepared.
    database.run(&gone).unwrap();
    sql.prepare_day(DAY).await.unwrap();
    commit(&mut sql, 1).await.unwrap();
    assert_eq!(database.run(&there).unwrap().trim(), "t");
    sql.close(true).await.unwrap();
    // At the next start, before anything is written.
    database.run(&gone).unwrap();
    let (mut sql, _reader) = opened(database.url()).await.unwrap();
    sql.begin().await.unwrap();
    assert_eq!(database.run(&there).unwrap().trim(), "t");
    sql.rollback().await;
}
