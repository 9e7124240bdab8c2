//! Lives here: statements over many rows at once, prepared for a few fixed numbers of rows.
//!
//! One statement for each row costs 3.4 CPU-seconds per 100,000 rows, lists of 100 rows 0.26
//! (`reference/storage.md`). Every statement is also a hand-over to the database's thread and
//! back, which on busy cores takes longer than its work: a list that falls between two sizes is
//! therefore filled up with copies of its last row rather than cut into pieces. So every
//! statement here must bear to see a row twice (`on conflict`, `in`, `update … from`).
//! Never here: what the statements mean.

use std::sync::OnceLock;

use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteConnection, SqliteRow};

/// A query on its way to having its values bound.
pub(super) type Bound = Query<'static, Sqlite, SqliteArguments>;

/// Numbers of rows that statements are prepared for, ascending.
const SIZES: [usize; 18] = [
    1, 2, 4, 8, 12, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 192, 256,
];
const ROWS_MAX: usize = SIZES[SIZES.len() - 1];

/// A statement of the form `head row, row, … tail`.
pub(super) struct Bulk {
    head: &'static str,
    row: &'static str,
    tail: &'static str,
    sizes: [OnceLock<&'static str>; SIZES.len()],
}

impl Bulk {
    pub(super) const fn new(head: &'static str, row: &'static str, tail: &'static str) -> Self {
        Self {
            head,
            row,
            tail,
            sizes: [const { OnceLock::new() }; SIZES.len()],
        }
    }

    /// The text for at least this many rows, and for how many exactly. Made once for each size
    /// and kept for good: a bounded number of texts for each statement of the program.
    fn sql(&self, rows: usize) -> (&'static str, usize) {
        let place = SIZES.partition_point(|size| *size < rows);
        let text = self.sizes[place].get_or_init(|| {
            let rows = vec![self.row; SIZES[place]].join(",");
            Box::leak(format!("{} {rows} {}", self.head, self.tail).into_boxed_str())
        });
        (text, SIZES[place])
    }

    fn bound<T>(&self, rows: &[T], bind: impl Fn(Bound, &T) -> Bound) -> Bound {
        let (sql, size) = self.sql(rows.len());
        let copies = rows.last().into_iter().cycle().take(size - rows.len());
        rows.iter().chain(copies).fold(sqlx::query(sql), bind)
    }

    /// Executes the statement over all rows; returns how many rows it changed.
    pub(super) async fn execute<T>(
        &self,
        conn: &mut SqliteConnection,
        rows: &[T],
        bind: impl Fn(Bound, &T) -> Bound,
    ) -> sqlx::Result<u64> {
        let mut changed = 0;
        for chunk in rows.chunks(ROWS_MAX) {
            let done = self.bound(chunk, &bind).execute(&mut *conn).await?;
            changed += done.rows_affected();
        }
        Ok(changed)
    }

    /// Executes the statement over all rows and collects what it returns.
    pub(super) async fn fetch<T>(
        &self,
        conn: &mut SqliteConnection,
        rows: &[T],
        bind: impl Fn(Bound, &T) -> Bound,
    ) -> sqlx::Result<Vec<SqliteRow>> {
        let mut found = Vec::with_capacity(rows.len());
        for chunk in rows.chunks(ROWS_MAX) {
            found.append(&mut self.bound(chunk, &bind).fetch_all(&mut *conn).await?);
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static INSERT: Bulk = Bulk::new("insert into t values", "(?,?)", "on conflict do nothing");

    #[test]
    fn a_statement_repeats_its_row_up_to_the_next_size() {
        let (sql, size) = INSERT.sql(3);
        assert_eq!(size, 4);
        assert_eq!(
            sql,
            "insert into t values (?,?),(?,?),(?,?),(?,?) on conflict do nothing"
        );
        assert_eq!(INSERT.sql(ROWS_MAX).1, ROWS_MAX);
    }

    #[tokio::test]
    async fn filling_up_changes_nothing_twice() {
        use sqlx::{Connection, Row};
        let mut conn = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        sqlx::query("create table t (a integer primary key, b integer)")
            .execute(&mut conn)
            .await
            .unwrap();
        let rows: Vec<i64> = (0..261).collect();
        let changed = INSERT
            .execute(&mut conn, &rows, |query, row| query.bind(*row).bind(1))
            .await
            .unwrap();
        assert_eq!(changed, 261);
        static RAISE: Bulk = Bulk::new(
            "with v (a) as (values",
            "(?)",
            ") update t set b = b + 1 from v where t.a = v.a",
        );
        let changed = RAISE
            .execute(&mut conn, &rows[..21], |query, row| query.bind(*row))
            .await
            .unwrap();
        assert_eq!(changed, 21);
        static READ: Bulk = Bulk::new("select b from t where a in (", "?", ")");
        let read = READ
            .fetch(&mut conn, &rows[..21], |query, row| query.bind(*row))
            .await
            .unwrap();
        assert_eq!(read.len(), 21);
        assert!(read.iter().all(|row| row.get::<i64, _>(0) == 2));
    }
}
