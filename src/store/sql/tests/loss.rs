//! Lives here: lost connections, lost answers, and databases that are not what they were.
//! Never here: what the writer does about it.

use sqlx::Connection;

use super::proxy::{Fate, Proxy};
use super::*;

/// The server's port in a URL.
pub(super) fn port(url: &str) -> u16 {
    let (_, rest) = url.rsplit_once('@').unwrap();
    let (authority, _) = rest.split_once('/').unwrap();
    authority.rsplit_once(':').unwrap().1.parse().unwrap()
}

async fn through(database: &Database) -> (Proxy, Sql, Reader) {
    let url = database.url();
    let server = port(&url);
    let proxy = Proxy::to(server).await;
    let url = url.replace(&format!(":{server}/"), &format!(":{}/", proxy.port));
    let (mut sql, reader) = opened(url).await.unwrap();
    sql.prepare_day(DAY).await.unwrap();
    commit(&mut sql, 1).await.unwrap();
    (proxy, sql, reader)
}

/// Ends the writer's session from outside.
fn kill(database: &Database) {
    let killed = database
        .run("select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = current_database() and application_name like 'mnara writer%'")
        .unwrap();
    assert_eq!(killed.trim(), "1");
}

#[tokio::test]
async fn a_commit_that_never_arrived_was_not_kept() {
    let database = database();
    let (proxy, mut sql, _reader) = through(&database).await;
    proxy.next_commit(Fate::Lost);
    assert!(matches!(commit(&mut sql, 2).await, Err(Unkept::Unknown(_))));
    assert!(!sql.was_kept(2).await.unwrap());
    assert!(!kept(&mut sql, 2).await);
    commit(&mut sql, 2).await.unwrap();
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_was_kept() {
    let database = database();
    let (proxy, mut sql, _reader) = through(&database).await;
    proxy.next_commit(Fate::Unanswered);
    assert!(matches!(commit(&mut sql, 2).await, Err(Unkept::Unknown(_))));
    assert!(sql.was_kept(2).await.unwrap());
    assert!(kept(&mut sql, 2).await);
    commit(&mut sql, 3).await.unwrap();
}

#[tokio::test]
async fn a_connection_that_could_not_be_looked_at_is_not_gone_on_with() {
    let database = database();
    let (mut sql, _reader) = opened(database.url()).await.unwrap();
    kill(&database);
    database
        .run("delete from house where key = 'commit'")
        .unwrap();
    for _ in 0..2 {
        assert!(sql.begin().await.is_err());
    }
}

#[tokio::test]
async fn a_session_ended_before_its_commit_has_kept_nothing() {
    let database = database();
    let (mut sql, _reader) = opened(database.url()).await.unwrap();
    sql.prepare_day(DAY).await.unwrap();
    sql.begin().await.unwrap();
    sql.insert_messages(&[message(1)]).await.unwrap();
    kill(&database);
    assert!(matches!(sql.commit(1).await, Err(Unkept::Unknown(_))));
    assert!(!sql.was_kept(1).await.unwrap());
    assert!(!kept(&mut sql, 1).await);
}

#[tokio::test]
async fn a_session_ended_within_a_transaction_is_replaced_for_the_next_one() {
    let database = database();
    let (mut sql, _reader) = opened(database.url()).await.unwrap();
    sql.prepare_day(DAY).await.unwrap();
    sql.begin().await.unwrap();
    kill(&database);
    let error = sql.insert_messages(&[message(1)]).await.unwrap_err();
    assert!(error.passes(), "{error}");
    sql.rollback().await;
    assert!(matches!(sql.commit(1).await, Err(Unkept::Refused(_))));
    commit(&mut sql, 1).await.unwrap();
    // Idle sessions too, and nobody hears of it.
    kill(&database);
    commit(&mut sql, 2).await.unwrap();
    kill(&database);
    sql.probe().await.unwrap();
}

#[tokio::test]
async fn a_late_commit_is_not_taken_for_none() {
    let database = database();
    let (mut sql, _reader) = opened(database.url()).await.unwrap();
    sql.prepare_day(DAY).await.unwrap();
    sql.patience = Duration::from_millis(300);
    let (mut other, held) = (
        sqlx::PgConnection::connect(&database.url()).await.unwrap(),
        "begin; select * from house where key = 'commit' for update",
    );
    sqlx::raw_sql(held).execute(&mut other).await.unwrap();
    assert!(matches!(commit(&mut sql, 1).await, Err(Unkept::Unknown(_))));
    // The old session still waits, and may still commit: nobody knows.
    let error = sql.was_kept(1).await.unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    sqlx::raw_sql("commit").execute(&mut other).await.unwrap();
    let told = loop {
        match sql.was_kept(1).await {
            Ok(told) => break told,
            Err(StoreError::InUse { .. }) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(told, kept(&mut sql, 1).await);
}

#[tokio::test]
async fn a_database_that_is_not_as_it_was_left_is_not_written_to() {
    let database = database();
    let (sql, _reader) = opened(database.url()).await.unwrap();
    sql.close(true).await.unwrap();
    // Back in time, and ahead by what another daemon has written.
    for (last, found) in [(2, 0), (4, 5)] {
        let set = |number| format!("update house set value = {number} where key = 'commit'");
        database.run(&set(last - 1)).unwrap();
        let (mut sql, _reader) = opened(database.url()).await.unwrap();
        sql.prepare_day(DAY).await.unwrap();
        commit(&mut sql, last).await.unwrap();
        database.run(&set(found)).unwrap();
        kill(&database);
        let error = sql.begin().await.unwrap_err();
        let told = format!("number {found}, not {last}");
        assert!(matches!(error, StoreError::Diverged { .. }), "{error}");
        assert!(error.to_string().contains(&told), "{error}");
    }
}

#[tokio::test]
async fn a_reader_whose_session_ends_may_ask_again() {
    let database = database();
    let (sql, reader) = opened(database.url()).await.unwrap();
    assert_eq!(reader.audit(1).await.unwrap().len(), 0);
    let mut conn = reader.conn().await.unwrap();
    let killed = "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = current_database() and application_name like 'mnara reader%'";
    database.run(killed).unwrap();
    let error = operators::audit(&mut conn.db(), 1).await.unwrap_err();
    assert!(error.passes(), "{error}");
    drop(conn);
    assert_eq!(reader.audit(1).await.unwrap().len(), 0);
    sql.close(true).await.unwrap();
}

#[tokio::test]
async fn what_a_server_says_of_a_value_shows_it_in_no_error() {
    let database = database();
    let url = database.url();
    let mut conn = sqlx::PgConnection::connect(&url).await.unwrap();
    for (text, code) in [
        ("select 'hujambo'::bigint", "22P02"),
        ("do $$ begin raise 'hujambo'; end $$", "P0001"),
        (
            "create temp table t (body text check (body = '')); insert into t values ('hujambo')",
            "23514",
        ),
    ] {
        let error = sqlx::raw_sql(text).execute(&mut conn).await.unwrap_err();
        let error = StoreError::from(error);
        let told = error.to_string();
        assert!(error.is_of_contents(), "{told}");
        assert!(told.contains(code) && !told.contains("hujambo"), "{told}");
    }
}
