//! Lives here: statements over many rows at once, prepared for 1, 2, 4 … 128 rows.
//!
//! One statement for each row costs 3.4 CPU-seconds per 100,000 rows, lists of 100 rows 0.26
//! (`reference/storage.md`). The sizes are powers of two so that eight prepared statements serve
//! every batch.
//! Never here: what the statements mean.

use std::sync::OnceLock;

use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteConnection, SqliteRow};

/// A query on its way to having its values bound.
pub(super) type Bound = Query<'static, Sqlite, SqliteArguments>;

const SIZES: usize = 8;
const ROWS_MAX: usize = 1 << (SIZES - 1);

/// A statement of the form `head row, row, … tail`.
pub(super) struct Bulk {
    head: &'static str,
    row: &'static str,
    tail: &'static str,
    sizes: [OnceLock<&'static str>; SIZES],
}

impl Bulk {
    pub(super) const fn new(head: &'static str, row: &'static str, tail: &'static str) -> Self {
        Self {
            head,
            row,
            tail,
            sizes: [const { OnceLock::new() }; SIZES],
        }
    }

    /// The text for `1 << power` rows. Made once for each size and kept for good: at most eight
    /// texts for each statement of the program.
    fn sql(&self, power: usize) -> &'static str {
        self.sizes[power].get_or_init(|| {
            let rows = vec![self.row; 1 << power].join(",");
            Box::leak(format!("{} {rows} {}", self.head, self.tail).into_boxed_str())
        })
    }

    /// Executes the statement over all rows; returns how many rows it changed.
    pub(super) async fn execute<T>(
        &self,
        conn: &mut SqliteConnection,
        rows: &[T],
        bind: impl Fn(Bound, &T) -> Bound,
    ) -> sqlx::Result<u64> {
        let mut changed = 0;
        for chunk in Chunks(rows) {
            let query = bind_all(self.sql(power(chunk.len())), chunk, &bind);
            changed += query.execute(&mut *conn).await?.rows_affected();
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
        for chunk in Chunks(rows) {
            let query = bind_all(self.sql(power(chunk.len())), chunk, &bind);
            found.append(&mut query.fetch_all(&mut *conn).await?);
        }
        Ok(found)
    }
}

fn bind_all<T>(sql: &'static str, rows: &[T], bind: impl Fn(Bound, &T) -> Bound) -> Bound {
    rows.iter()
        .fold(sqlx::query(sql), |query, row| bind(query, row))
}

const fn power(rows: usize) -> usize {
    rows.trailing_zeros() as usize
}

/// Cuts a slice into pieces whose lengths are powers of two, at most [`ROWS_MAX`].
struct Chunks<'a, T>(&'a [T]);

impl<'a, T> Iterator for Chunks<'a, T> {
    type Item = &'a [T];

    fn next(&mut self) -> Option<Self::Item> {
        let length = self.0.len();
        if length == 0 {
            return None;
        }
        let largest = (1 << (usize::BITS - 1 - length.leading_zeros())).min(ROWS_MAX);
        let (chunk, rest) = self.0.split_at(largest);
        self.0 = rest;
        Some(chunk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_powers_of_two_and_cover_everything() {
        let rows: Vec<usize> = (0..327).collect();
        let chunks: Vec<usize> = Chunks(&rows).map(<[usize]>::len).collect();
        assert_eq!(chunks, [128, 128, 64, 4, 2, 1]);
        assert_eq!(Chunks(&rows).flatten().copied().collect::<Vec<_>>(), rows);
    }

    #[test]
    fn a_statement_repeats_its_row() {
        static INSERT: Bulk = Bulk::new("insert into t values", "(?,?)", "on conflict do nothing");
        assert_eq!(
            INSERT.sql(1),
            "insert into t values (?,?),(?,?) on conflict do nothing"
        );
    }
}
