//! Lives here: a program of this version on the schema of the next one.
//! Never here: how migrations are written.

use super::*;

/// What the next version might add: a column that may be absent, a table, an index.
const EXPAND: &str = "alter table messages add column margin bigint; \
    create table tariffs (carrier text primary key, price bigint); \
    create index messages_by_final on messages (final_at) where final_at is not null; \
    insert into _sqlx_migrations (version, description, installed_on, success, checksum, \
    execution_time) values (2, 'next', current_timestamp, true, 'x', 1);";

/// What only programs of level 2 can live with.
const CONTRACT: &str = "update house set value = 2 where key = 'compat'";

async fn run(sql: &mut Sql, text: &'static str) {
    match sql.conn().unwrap().db() {
        Db::Postgres(conn, _) => {
            sqlx::raw_sql(text).execute(conn).await.unwrap();
        }
        Db::Sqlite(conn) => {
            let text = text.replace("bigint", "integer");
            let text = sqlx::AssertSqlSafe(text);
            sqlx::raw_sql(text).execute(conn).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_schema_that_has_only_grown_is_run_on() {
    let (database, folder) = (database(), TempDir::new().unwrap());
    for url in [database.url(), file(&folder)] {
        let (mut sql, _reader) = opened(url.clone()).await.unwrap();
        sql.prepare_day(DAY).await.unwrap();
        commit(&mut sql, 1).await.unwrap();
        assert!(kept(&mut sql, 1).await);
        run(&mut sql, EXPAND).await;
        commit(&mut sql, 2).await.unwrap();
        assert!(kept(&mut sql, 2).await);
        sql.close(true).await.unwrap();
        let (mut sql, _reader) = opened(url).await.unwrap();
        sql.prepare_day(DAY + 10).await.unwrap();
        commit(&mut sql, 3).await.unwrap();
        assert!(kept(&mut sql, 1).await && kept(&mut sql, 3).await);
    }
}

#[tokio::test]
async fn a_schema_that_this_version_cannot_live_with_is_refused() {
    let (database, folder) = (database(), TempDir::new().unwrap());
    for url in [database.url(), file(&folder)] {
        let (mut sql, _reader) = opened(url.clone()).await.unwrap();
        run(&mut sql, CONTRACT).await;
        sql.close(true).await.unwrap();
        let error = refused(url).await;
        assert!(
            error.contains("level 2 or later") && error.contains("of level 1"),
            "{error}"
        );
    }
}
