//! Lives here: whole tables, page by page in the order of their keys, out of one database and into
//! another that nobody uses yet.
//!
//! A page is written in one transaction and pages follow their keys, so the last key that is there
//! says how far a writer has come that was broken off.
//! Never here: what is copied where (`store::copy`), what is made up (`store::fill`).

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnectOptions;

use super::bulk::Bulk;
use super::commit::BEGIN;
use super::db::{Db, Kind, Row, Value};
use super::statement::Statement;
use super::tables::{TABLES, Table};
use super::{Pool, Reader, Sql, days, house, take, within};
use crate::domain::ids::MessageSeq;
use crate::store::rows::day_of_seq;
use crate::store::{Carriers, Config, StoreError};

/// Rows of a page; at most some ten MiB even of the longest.
pub(in crate::store) const PAGE: usize = 2048;

/// A table as a sequence of pages.
pub(in crate::store) struct Pages {
    /// The table.
    pub(in crate::store) table: &'static Table,
    first: Statement,
    after: Statement,
    last: Statement,
    write: Bulk,
}

/// All tables but `house`, what refers to another behind it.
pub(in crate::store) static PAGES: LazyLock<Vec<Pages>> =
    LazyLock::new(|| TABLES.iter().map(Pages::new).collect());

impl Pages {
    fn new(table: &'static Table) -> Self {
        let names = |columns: &[super::tables::Column], after: &str| {
            let names: Vec<String> = columns
                .iter()
                .map(|column| format!("{}{after}", column.name))
                .collect();
            names.join(", ")
        };
        let (name, first) = (table.name, table.key()[0].name);
        let (columns, key) = (names(table.columns, ""), names(table.key(), ""));
        let values: Vec<String> = (1..=table.key).map(|place| format!("${place}")).collect();
        let values = values.join(", ");
        let kinds: Vec<Kind> = table.columns.iter().map(|column| column.kind).collect();
        Self {
            table,
            first: Statement::made(format!(
                "select {columns} from {name} order by {key} limit {PAGE}"
            )),
            // The first column by itself tells which partitions need not be asked.
            after: Statement::made(format!(
                "select {columns} from {name} where {first} >= $1 and ({key}) > ({values}) \
                 order by {key} limit {PAGE}"
            )),
            last: Statement::made(format!(
                "select {key} from {name} order by {} limit 1",
                names(table.key(), " desc")
            )),
            write: Bulk::made(
                format!("insert into {name} ({columns}) {{rows}} on conflict do nothing"),
                Box::leak(kinds.into_boxed_slice()),
            ),
        }
    }

    /// Whether a key is the same in both databases: a text may have been cleaned.
    pub(in crate::store) fn keys_are_kept(&self) -> bool {
        let mut key = self.table.key().iter();
        key.all(|column| column.kind != Kind::Text)
    }

    /// A row's columns.
    pub(in crate::store) fn cells<'r>(&self, row: &'r Row) -> Result<Vec<Value<'r>>, StoreError> {
        let columns = self.table.columns.iter().enumerate();
        columns
            .map(|(place, column)| row.value(place, column.kind))
            .collect()
    }
}

/// Takes a database for this process as a daemon would, though it be a copy that is not complete.
pub(in crate::store) async fn take_whole(url: &str) -> Result<Sql, StoreError> {
    let config = Config {
        url: url.into(),
        readers: 1,
        ..Config::default()
    };
    let carriers = Arc::new(Carriers::new(Vec::new()));
    let (sql, Reader { pool, .. }) = take(&config, carriers).await?;
    match pool {
        Pool::Sqlite(pool) => pool.close().await,
        Pool::Postgres(server) => server.close().await,
    }
    Ok(sql)
}

/// The file that a URL names and that is not there: opening it would make it.
pub(in crate::store) fn missing_file(url: &str) -> Option<String> {
    let options: SqliteConnectOptions = url.strip_prefix("sqlite:")?.parse().ok()?;
    let path: &Path = options.get_filename();
    (!path.exists()).then(|| path.display().to_string())
}

impl Sql {
    /// The page behind a row (its key is enough), or the first one; empty at the end.
    pub(in crate::store) async fn page(
        &mut self,
        pages: &Pages,
        after: Option<&Row>,
    ) -> Result<Vec<Row>, StoreError> {
        let patience = self.patience;
        let mut db = self.conn()?.db();
        let Some(row) = after else {
            return Ok(pages.first.fetch(&mut db, &[]).await?);
        };
        let key = pages.table.key().iter().enumerate();
        let key: Result<Vec<Value<'_>>, StoreError> = key
            .map(|(place, column)| row.value(place, column.kind))
            .collect();
        let key = key?;
        within(patience, async {
            Ok(pages.after.fetch(&mut db, &key).await?)
        })
        .await
    }

    /// The last row's key, if there is a row.
    pub(in crate::store) async fn last_key(
        &mut self,
        pages: &Pages,
    ) -> Result<Option<Row>, StoreError> {
        let mut db = self.conn()?.db();
        Ok(pages.last.fetch_optional(&mut db, &[]).await?)
    }

    /// Writes rows in one transaction, after making the partitions that they need. What has a key
    /// that is there already is left out.
    pub(in crate::store) async fn write_page(
        &mut self,
        pages: &Pages,
        rows: &[Vec<Value<'_>>],
    ) -> Result<(), StoreError> {
        let patience = self.patience;
        if let Db::Postgres(conn, _) = self.conn()?.db() {
            let day = |row: &Vec<Value<'_>>| match row[0] {
                Value::Int(Some(seq)) => Some(day_of_seq(MessageSeq(seq))),
                _ => None,
            };
            let days: BTreeSet<i64> = rows.iter().filter_map(day).collect();
            within(patience, days::receive(conn, pages.table.name, &days)).await?;
        }
        self.command(BEGIN).await?;
        let mut db = self.conn()?.db();
        let written = async {
            pages.write.execute_any(&mut db, rows, |row| row).await?;
            Ok(())
        };
        within(patience, written).await?;
        self.command("commit").await
    }

    /// Prepares for much writing. A crash may lose the last pages then: whoever goes on looks for
    /// the last key that is there.
    pub(in crate::store) async fn hurry(&mut self) -> Result<(), StoreError> {
        match self.conn()?.db() {
            Db::Sqlite(conn) => {
                // 256 MiB: receipt keys are random, and a day of them should fit.
                let pragmas = "pragma synchronous = normal; pragma cache_size = -262144";
                sqlx::raw_sql(pragmas).execute(conn).await?;
            }
            Db::Postgres(conn, _) => {
                let set = "set synchronous_commit = off";
                sqlx::raw_sql(set).execute(conn).await?;
            }
        }
        Ok(())
    }

    /// Ends the hurry: what is committed from here on is durable, and all that was before it. Lets
    /// the database look at what it has been given.
    pub(in crate::store) async fn unhurry(&mut self) -> Result<(), StoreError> {
        match self.conn()?.db() {
            Db::Sqlite(conn) => {
                let pragma = "pragma synchronous = full";
                sqlx::raw_sql(pragma).execute(conn).await?;
            }
            Db::Postgres(conn, _) => unhurry(conn).await?,
        }
        Ok(())
    }

    /// The mark of a copy that is not complete: the number of its original's last commit.
    pub(in crate::store) async fn copying(&mut self) -> Result<Option<i64>, StoreError> {
        house::copying(&mut self.conn()?.db()).await
    }

    /// Marks this store as a copy that is not complete, of a store with this many commits.
    pub(in crate::store) async fn mark_copying(&mut self, commit: i64) -> Result<(), StoreError> {
        house::mark_copying(&mut self.conn()?.db(), commit).await
    }

    /// Takes the mark off.
    pub(in crate::store) async fn unmark_copying(&mut self) -> Result<(), StoreError> {
        house::unmark_copying(&mut self.conn()?.db()).await
    }

    /// How many commits the store has seen.
    pub(in crate::store) async fn commits(&mut self) -> Result<i64, StoreError> {
        house::last_commit(&mut self.conn()?.db()).await
    }

    /// What the last run has left to the next, a key and a number each.
    pub(in crate::store) async fn belongings(&mut self) -> Result<Vec<Row>, StoreError> {
        house::belongings(&mut self.conn()?.db()).await
    }

    /// Takes such things over.
    pub(in crate::store) async fn put_down(&mut self, rows: &[Row]) -> Result<(), StoreError> {
        for row in rows {
            house::put_down(&mut self.conn()?.db(), row).await?;
        }
        Ok(())
    }
}

async fn unhurry(conn: &mut PgConnection) -> Result<(), StoreError> {
    for sql in [
        // Ids that were brought along have not moved the sequence.
        "select setval(pg_get_serial_sequence('audit', 'id'), coalesce(max(id), 1), \
         max(id) is not null) from audit",
        // Both: otherwise the server's own vacuum goes through all of it while the daemon is at work.
        "vacuum (analyze)",
        "set synchronous_commit = on",
    ] {
        sqlx::raw_sql(sql).execute(&mut *conn).await?;
    }
    Ok(())
}
