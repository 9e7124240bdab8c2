//! Lives here: a statement over single values, in the words of both databases.
//!
//! One text serves both: `$1` is understood by both, and `indexed by NAME`, by which SQLite is
//! held to an index, is left out for PostgreSQL (its sessions are forbidden other plans, see
//! `postgres`). In a join with a list, `a == v.b` holds PostgreSQL to walking the list and looking
//! `a` up by its index: it becomes `a = any(array[v.b])`. With a plain `=` it may also walk the
//! table beside every row of the list, and does so for ever when the table was empty as the
//! statement was planned. Where the words differ more the statement has a text of its own for
//! PostgreSQL.
//! Never here: statements over lists (`bulk`); what statements mean.

use std::sync::OnceLock;

use super::db::{Db, Row, Value, bind_postgres, bind_sqlite};

/// A statement.
pub(in crate::store) struct Statement {
    text: &'static str,
    postgres: OnceLock<&'static str>,
}

impl Statement {
    /// One text for both.
    pub(in crate::store) const fn new(text: &'static str) -> Self {
        Self {
            text,
            postgres: OnceLock::new(),
        }
    }

    /// One text for both, put together at run time: once, in a static.
    pub(in crate::store) fn made(text: String) -> Self {
        Self::new(Box::leak(text.into_boxed_str()))
    }

    /// A text for each.
    pub(in crate::store) fn each(sqlite: String, postgres: String) -> Self {
        let statement = Self::made(sqlite);
        let postgres = Box::leak(postgres.into_boxed_str());
        let _ = statement.postgres.set(postgres);
        statement
    }

    fn postgres(&self) -> &'static str {
        self.postgres.get_or_init(|| for_postgres(self.text))
    }

    /// Executes the statement; returns how many rows it changed.
    pub(in crate::store) async fn execute(
        &self,
        db: &mut Db<'_>,
        values: &[Value<'_>],
    ) -> sqlx::Result<u64> {
        match db {
            Db::Sqlite(conn) => {
                let query = values
                    .iter()
                    .copied()
                    .fold(sqlx::query(self.text), bind_sqlite);
                Ok(query.execute(&mut **conn).await?.rows_affected())
            }
            Db::Postgres(conn, _) => {
                let query = sqlx::query(self.postgres());
                let query = values.iter().copied().fold(query, bind_postgres);
                Ok(query.execute(&mut **conn).await?.rows_affected())
            }
        }
    }

    /// Executes the statement and collects what it returns.
    pub(in crate::store) async fn fetch(
        &self,
        db: &mut Db<'_>,
        values: &[Value<'_>],
    ) -> sqlx::Result<Vec<Row>> {
        match db {
            Db::Sqlite(conn) => {
                let query = values
                    .iter()
                    .copied()
                    .fold(sqlx::query(self.text), bind_sqlite);
                let rows = query.fetch_all(&mut **conn).await?;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
            Db::Postgres(conn, _) => {
                let query = sqlx::query(self.postgres());
                let query = values.iter().copied().fold(query, bind_postgres);
                let rows = query.fetch_all(&mut **conn).await?;
                Ok(rows.into_iter().map(Row::Postgres).collect())
            }
        }
    }

    /// The first row that the statement returns, if any.
    pub(in crate::store) async fn fetch_optional(
        &self,
        db: &mut Db<'_>,
        values: &[Value<'_>],
    ) -> sqlx::Result<Option<Row>> {
        Ok(self.fetch(db, values).await?.into_iter().next())
    }

    /// The one row that the statement returns.
    pub(in crate::store) async fn fetch_one(
        &self,
        db: &mut Db<'_>,
        values: &[Value<'_>],
    ) -> sqlx::Result<Row> {
        let row = self.fetch_optional(db, values).await?;
        row.ok_or(sqlx::Error::RowNotFound)
    }
}

/// The text in PostgreSQL's words. Kept for good: once for each statement.
pub(super) fn for_postgres(text: &'static str) -> &'static str {
    const HINT: &str = "indexed by ";
    const LOOK_UP: &str = "== ";
    if !(text.contains(HINT) || text.contains(LOOK_UP)) {
        return text;
    }
    let plain = each_word(text, HINT, |_| String::new()).replace("  ", " ");
    let plain = each_word(&plain, LOOK_UP, |value| format!("= any(array[{value}])"));
    Box::leak(plain.into_boxed_str())
}

/// The text with each `mark` and the word behind it replaced.
fn each_word(text: &str, mark: &str, instead: impl Fn(&str) -> String) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(mark) {
        let in_word = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '.' | '$');
        let end = after.find(|letter| !in_word(letter)).unwrap_or(after.len());
        plain.push_str(before);
        plain.push_str(&instead(&after[..end]));
        rest = &after[end..];
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::for_postgres;

    #[test]
    fn hints_for_sqlite_are_left_out_for_postgresql() {
        assert_eq!(
            for_postgres(
                "select 1 from a indexed by a_x where b = 1 and c in (select d from e indexed by e_y)"
            ),
            "select 1 from a where b = 1 and c in (select d from e )"
        );
    }

    #[test]
    fn look_ups_by_a_list_keep_their_direction_in_postgresql() {
        assert_eq!(
            for_postgres("update t set a = v.a from v where t.b == v.b and t.c = v.c"),
            "update t set a = v.a from v where t.b = any(array[v.b]) and t.c = v.c"
        );
    }
}
