//! Lives here: statements over many rows at once.
//!
//! The text holds `{rows}` where the list goes. For SQLite it becomes `values (?,?),(?,?)…`,
//! prepared for a few fixed numbers of rows; for PostgreSQL `select * from unnest($1::…[], …)`,
//! one array for each column and one plan for any number of rows. One statement for each row costs
//! 3.4 CPU-seconds per 100,000 rows, lists of 100 rows 0.26 (`reference/storage.md`).
//!
//! For SQLite every statement is also a hand-over to the database's thread and back, which on busy
//! cores takes longer than its work: a list that falls between two sizes is therefore filled up
//! with copies of its last row rather than cut into pieces. So every statement here must bear to
//! see a row twice (`on conflict do nothing`, `in`, `update … from`); and since PostgreSQL refuses
//! to update one row twice, `on conflict do update` must be given each key once. An insert of rows
//! that are new by construction says `{once}` at its end: PostgreSQL is spared `on conflict do
//! nothing`, by which it looks for each row before it writes it, and confirms it after.
//!
//! A text that says `{messages}` or `{attempts}` goes to PostgreSQL's partitions of the day (`days`)
//! where those are known, a day after the other. Its rows begin with the number of a message.
//! Never here: what the statements mean.

use std::sync::OnceLock;

use sqlx::{AssertSqlSafe, SqlSafeStr as _, SqlStr};

use super::days::{self, Days};
use super::db::{Db, Kind, PgQuery, Row, SqliteQuery, Value, bind_sqlite, clean};
use super::statement::for_postgres;
use crate::domain::ids::MessageSeq;
use crate::store::rows::day_of_seq;

/// Numbers of rows that SQLite's statements are prepared for, ascending.
const SIZES: [usize; 18] = [
    1, 2, 4, 8, 12, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 192, 256,
];
const ROWS_MAX: usize = SIZES[SIZES.len() - 1];
/// Rows of one PostgreSQL statement: bounds the arrays.
const PG_ROWS_MAX: usize = 1024;

/// A statement over rows of these kinds.
pub(in crate::store) struct Bulk {
    text: &'static str,
    kinds: &'static [Kind],
    sqlite: [OnceLock<&'static str>; SIZES.len()],
    postgres: OnceLock<&'static str>,
}

impl Bulk {
    /// `text` holds `{rows}` once.
    pub(in crate::store) const fn new(text: &'static str, kinds: &'static [Kind]) -> Self {
        Self {
            text,
            kinds,
            sqlite: [const { OnceLock::new() }; SIZES.len()],
            postgres: OnceLock::new(),
        }
    }

    /// The same, put together at run time: once, in a static.
    pub(in crate::store) fn made(text: String, kinds: &'static [Kind]) -> Self {
        Self::new(Box::leak(text.into_boxed_str()), kinds)
    }

    /// A text for each database.
    pub(in crate::store) fn each(sqlite: String, postgres: &str, kinds: &'static [Kind]) -> Self {
        let bulk = Self::made(sqlite, kinds);
        let _ = bulk.postgres.set(unnested(postgres, kinds));
        bulk
    }

    /// SQLite's text for at least this many rows, and for how many exactly. Made once for each
    /// size and kept for good: a bounded number of texts for each statement of the program.
    fn sqlite(&self, rows: usize) -> (&'static str, usize) {
        let place = SIZES.partition_point(|size| *size < rows);
        let text = self.sqlite[place].get_or_init(|| {
            let row = format!("({})", vec!["?"; self.kinds.len()].join(","));
            let rows = format!("values {}", vec![row; SIZES[place]].join(","));
            let text = self.text.replace("{rows}", &rows);
            let text = text.replace("{once}", "on conflict do nothing");
            Box::leak(days::named(&text, None).into_boxed_str())
        });
        (text, SIZES[place])
    }

    fn postgres(&self) -> &'static str {
        self.postgres
            .get_or_init(|| unnested(for_postgres(self.text), self.kinds))
    }

    /// Executes the statement over all rows; returns how many rows it changed. `fill` gives the
    /// values of one row, in the columns' order.
    pub(in crate::store) async fn execute<'q, T, const N: usize>(
        &self,
        db: &mut Db<'_>,
        rows: &'q [T],
        fill: impl Fn(&'q T) -> [Value<'q>; N],
    ) -> sqlx::Result<u64> {
        self.execute_any(db, rows, fill).await
    }

    /// The same over rows of which only the statement knows how wide they are.
    pub(in crate::store) async fn execute_any<'q, T, R: AsRef<[Value<'q>]>>(
        &self,
        db: &mut Db<'_>,
        rows: &'q [T],
        fill: impl Fn(&'q T) -> R,
    ) -> sqlx::Result<u64> {
        let mut changed = 0;
        match db {
            Db::Sqlite(conn) => {
                for chunk in rows.chunks(ROWS_MAX) {
                    let done = self.for_sqlite(chunk, &fill).execute(&mut **conn).await?;
                    changed += done.rows_affected();
                }
            }
            Db::Postgres(conn, days) => {
                for query in self.for_pg(*days, rows, &fill) {
                    changed += query.execute(&mut **conn).await?.rows_affected();
                }
            }
        }
        Ok(changed)
    }

    /// Executes the statement over all rows and collects what it returns.
    pub(in crate::store) async fn fetch<'q, T, const N: usize>(
        &self,
        db: &mut Db<'_>,
        rows: &'q [T],
        fill: impl Fn(&'q T) -> [Value<'q>; N],
    ) -> sqlx::Result<Vec<Row>> {
        let mut found = Vec::with_capacity(rows.len());
        match db {
            Db::Sqlite(conn) => {
                for chunk in rows.chunks(ROWS_MAX) {
                    let part = self.for_sqlite(chunk, &fill).fetch_all(&mut **conn).await?;
                    found.extend(part.into_iter().map(Row::Sqlite));
                }
            }
            Db::Postgres(conn, days) => {
                for query in self.for_pg(*days, rows, &fill) {
                    let part = query.fetch_all(&mut **conn).await?;
                    found.extend(part.into_iter().map(Row::Postgres));
                }
            }
        }
        Ok(found)
    }

    fn for_sqlite<'q, T, R: AsRef<[Value<'q>]>>(
        &self,
        rows: &'q [T],
        fill: impl Fn(&'q T) -> R,
    ) -> SqliteQuery {
        let (sql, size) = self.sqlite(rows.len());
        let copies = rows.last().into_iter().cycle().take(size - rows.len());
        rows.iter()
            .chain(copies)
            .fold(sqlx::query(sql), |query, row| {
                let row = fill(row);
                debug_assert_eq!(row.as_ref().len(), self.kinds.len(), "{}", self.text);
                row.as_ref().iter().copied().fold(query, bind_sqlite)
            })
    }

    /// The statements for PostgreSQL: one, as a rule, or one for each day.
    fn for_pg<'q, T, R: AsRef<[Value<'q>]>>(
        &self,
        days: Option<&Days>,
        rows: &'q [T],
        fill: impl Fn(&'q T) -> R,
    ) -> Vec<PgQuery> {
        let text = self.postgres();
        let mut rows: Vec<R> = rows.iter().map(fill).collect();
        let whole = |text: SqlStr, rows: &[R]| -> Vec<PgQuery> {
            let chunks = rows.chunks(PG_ROWS_MAX);
            chunks.map(|rows| self.one(text.clone(), rows)).collect()
        };
        if !days::is_parted(text) {
            return whole(text.into_sql_str(), &rows);
        }
        let named = |day| AssertSqlSafe(days::named(text, day)).into_sql_str();
        let Some(days) = days else {
            return whole(named(None), &rows);
        };
        let day = |row: &R| int(row.as_ref()[0]).map_or(0, |seq| day_of_seq(MessageSeq(seq)));
        rows.sort_by_key(day);
        rows.chunk_by(|a, b| day(a) == day(b))
            .filter(|rows| days.have(text, day(&rows[0])))
            .flat_map(|rows| whole(named(Some(day(&rows[0]))), rows))
            .collect()
    }

    fn one<'q, R: AsRef<[Value<'q>]>>(&self, sql: SqlStr, rows: &[R]) -> PgQuery {
        let mut query = sqlx::query(sql);
        for (column, kind) in self.kinds.iter().enumerate() {
            let cells = rows.iter().map(|row| row.as_ref()[column]);
            query = match kind {
                Kind::Int => query.bind(cells.map(int).collect::<Vec<_>>()),
                Kind::Text => query.bind(cells.map(text).collect::<Vec<_>>()),
                Kind::Bytes => query.bind(cells.map(bytes).collect::<Vec<_>>()),
                Kind::Id => query.bind(cells.map(id).collect::<Vec<_>>()),
            };
        }
        query
    }
}

/// A value of another kind than its column is an error of this program that any test of the
/// statement shows: it reads as absent.
fn int(value: Value<'_>) -> Option<i64> {
    if let Value::Int(value) = value {
        value
    } else {
        None
    }
}

fn text(value: Value<'_>) -> Option<std::borrow::Cow<'_, str>> {
    if let Value::Text(value) = value {
        value.map(clean)
    } else {
        None
    }
}

fn bytes(value: Value<'_>) -> Option<&[u8]> {
    if let Value::Bytes(value) = value {
        value
    } else {
        None
    }
}

fn id(value: Value<'_>) -> Option<uuid::Uuid> {
    if let Value::Id(value) = value {
        value
    } else {
        None
    }
}

fn unnested(text: &str, kinds: &[Kind]) -> &'static str {
    let arrays: Vec<String> = kinds
        .iter()
        .zip(1..)
        .map(|(kind, place)| {
            let array = match kind {
                Kind::Int => "int8",
                Kind::Text => "text",
                Kind::Bytes => "bytea",
                Kind::Id => "uuid",
            };
            format!("${place}::{array}[]")
        })
        .collect();
    let rows = format!("select * from unnest({})", arrays.join(", "));
    Box::leak(
        text.replace("{rows}", &rows)
            .replace("{once}", "")
            .into_boxed_str(),
    )
}

#[cfg(test)]
mod tests {
    use sqlx::Connection;
    use sqlx::sqlite::SqliteConnection;

    use super::*;

    static INSERT: Bulk = Bulk::new(
        "insert into t {rows} on conflict do nothing",
        &[Kind::Int, Kind::Text],
    );

    #[test]
    fn a_statement_repeats_its_row_up_to_the_next_size() {
        let (sql, size) = INSERT.sqlite(3);
        assert_eq!(size, 4);
        assert_eq!(
            sql,
            "insert into t values (?,?),(?,?),(?,?),(?,?) on conflict do nothing"
        );
        assert_eq!(INSERT.sqlite(ROWS_MAX).1, ROWS_MAX);
    }

    #[test]
    fn for_postgresql_each_column_is_an_array() {
        assert_eq!(
            INSERT.postgres(),
            "insert into t select * from unnest($1::int8[], $2::text[]) on conflict do nothing"
        );
    }

    #[tokio::test]
    async fn filling_up_changes_nothing_twice() {
        let mut conn = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        let mut db = Db::Sqlite(&mut conn);
        let rows: Vec<i64> = (0..261).collect();
        let create = super::super::statement::Statement::new(
            "create table t (a integer primary key, b text)",
        );
        create.execute(&mut db, &[]).await.unwrap();
        let changed = INSERT
            .execute(&mut db, &rows, |row| [(*row).into(), "x".into()])
            .await
            .unwrap();
        assert_eq!(changed, 261);
        static RAISE: Bulk = Bulk::new(
            "with v (a) as ({rows}) update t set b = b || 'y' from v where t.a = v.a",
            &[Kind::Int],
        );
        let changed = RAISE
            .execute(&mut db, &rows[..21], |row| [(*row).into()])
            .await
            .unwrap();
        assert_eq!(changed, 21);
        static READ: Bulk = Bulk::new("select b from t where a in ({rows})", &[Kind::Int]);
        let read = READ
            .fetch(&mut db, &rows[..21], |row| [(*row).into()])
            .await
            .unwrap();
        assert_eq!(read.len(), 21);
        assert!(read.iter().all(|row| row.text(0).unwrap() == "xy"));
    }
}
