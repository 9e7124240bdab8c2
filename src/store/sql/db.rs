//! Lives here: a connection of either database, values on their way to it, and rows on their way
//! back. With `bulk` and `statement` it is all that the statements know of dialects.
//! Never here: statements.

use std::borrow::Cow;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{Postgres, Row as _, Sqlite, TypeInfo as _, ValueRef as _};
use uuid::Uuid;

use super::days::Days;
use crate::store::StoreError;

/// A connection, owned or lent by a pool.
pub(in crate::store) enum Conn {
    Sqlite(SqliteConnection),
    Postgres(Box<PgConnection>),
    PooledSqlite(PoolConnection<Sqlite>),
    PooledPostgres(PoolConnection<Postgres>),
}

impl Conn {
    /// The connection as the statements take it.
    pub(in crate::store) fn db(&mut self) -> Db<'_> {
        match self {
            Self::Sqlite(conn) => Db::Sqlite(conn),
            Self::Postgres(conn) => Db::Postgres(conn, None),
            Self::PooledSqlite(conn) => Db::Sqlite(conn),
            Self::PooledPostgres(conn) => Db::Postgres(conn, None),
        }
    }

    /// Closes the connection rather than give it back to its pool in the middle of an answer.
    pub(super) fn give_up(self) {
        match self {
            Self::Sqlite(_) | Self::Postgres(_) => {}
            Self::PooledSqlite(conn) => drop(conn.detach()),
            Self::PooledPostgres(conn) => drop(conn.detach()),
        }
    }
}

/// A connection of either database, borrowed.
pub(in crate::store) enum Db<'c> {
    Sqlite(&'c mut SqliteConnection),
    /// With the days that have partitions, if they are known.
    Postgres(&'c mut PgConnection, Option<&'c Days>),
}

impl<'c> Db<'c> {
    /// The same, knowing these days.
    pub(super) fn with(self, known: Option<&'c Days>) -> Self {
        match self {
            Self::Postgres(conn, _) => Self::Postgres(conn, known),
            sqlite => sqlite,
        }
    }
}

/// A value to bind. Numbers are 64 bits wide everywhere; columns may be narrower.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) enum Value<'q> {
    Int(Option<i64>),
    Text(Option<&'q str>),
    Bytes(Option<&'q [u8]>),
    Id(Option<Uuid>),
}

/// What a column holds: the same four.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::store) enum Kind {
    Int,
    Text,
    Bytes,
    Id,
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Self::Int(Some(value))
    }
}

impl From<Option<i64>> for Value<'_> {
    fn from(value: Option<i64>) -> Self {
        Self::Int(value)
    }
}

impl From<u32> for Value<'_> {
    fn from(value: u32) -> Self {
        Self::Int(Some(value.into()))
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Self::Int(Some(value.into()))
    }
}

impl<'q> From<&'q str> for Value<'q> {
    fn from(value: &'q str) -> Self {
        Self::Text(Some(value))
    }
}

impl<'q> From<Option<&'q str>> for Value<'q> {
    fn from(value: Option<&'q str>) -> Self {
        Self::Text(value)
    }
}

impl<'q> From<&'q [u8]> for Value<'q> {
    fn from(value: &'q [u8]) -> Self {
        Self::Bytes(Some(value))
    }
}

impl From<Uuid> for Value<'_> {
    fn from(value: Uuid) -> Self {
        Self::Id(Some(value))
    }
}

impl From<Option<Uuid>> for Value<'_> {
    fn from(value: Option<Uuid>) -> Self {
        Self::Id(value)
    }
}

/// Text as PostgreSQL can hold it: it knows no U+0000. Bodies with one are refused at the door;
/// what is left are carriers' dirty fields.
pub(in crate::store) fn clean(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

pub(super) type SqliteQuery = Query<'static, Sqlite, SqliteArguments>;
pub(super) type PgQuery = Query<'static, Postgres, PgArguments>;

pub(super) fn bind_sqlite(query: SqliteQuery, value: Value<'_>) -> SqliteQuery {
    match value {
        Value::Int(value) => query.bind(value),
        Value::Text(value) => query.bind(value),
        Value::Bytes(value) => query.bind(value),
        Value::Id(None) => query.bind(None::<&[u8]>),
        Value::Id(Some(id)) => query.bind(&id.as_bytes()[..]),
    }
}

pub(super) fn bind_postgres(query: PgQuery, value: Value<'_>) -> PgQuery {
    match value {
        Value::Int(value) => query.bind(value),
        Value::Text(value) => query.bind(value.map(clean)),
        Value::Bytes(value) => query.bind(value),
        Value::Id(value) => query.bind(value),
    }
}

/// A row of either database. Columns are read by their place, from 0.
pub(in crate::store) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    /// A number.
    pub(in crate::store) fn int(&self, column: usize) -> sqlx::Result<i64> {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            // Narrower columns decode into 64 bits as well; the checked getter would not have it.
            Self::Postgres(row) => row.try_get_unchecked(column),
        }
    }

    /// A number that may be absent.
    pub(in crate::store) fn opt_int(&self, column: usize) -> sqlx::Result<Option<i64>> {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get_unchecked(column),
        }
    }

    /// A number that fits a narrower type, as every one that this program has written.
    pub(in crate::store) fn small<T: TryFrom<i64>>(&self, column: usize) -> Result<T, StoreError> {
        T::try_from(self.int(column)?).map_err(|_| too_large())
    }

    /// The same, if it is not absent.
    pub(in crate::store) fn opt_small<T: TryFrom<i64>>(
        &self,
        column: usize,
    ) -> Result<Option<T>, StoreError> {
        let value = self.opt_int(column)?;
        value
            .map(|value| T::try_from(value).map_err(|_| too_large()))
            .transpose()
    }

    /// A flag: 0 or 1, or what PostgreSQL's `exists` gives.
    pub(in crate::store) fn flag(&self, column: usize) -> sqlx::Result<bool> {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => {
                if row.try_get_raw(column)?.type_info().name() == "BOOL" {
                    row.try_get(column)
                } else {
                    Ok(row.try_get_unchecked::<i64, _>(column)? != 0)
                }
            }
        }
    }

    /// A text.
    pub(in crate::store) fn text(&self, column: usize) -> sqlx::Result<&str> {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
    }

    /// A text that may be absent.
    pub(in crate::store) fn opt_text(&self, column: usize) -> sqlx::Result<Option<&str>> {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
    }

    /// Octets.
    pub(in crate::store) fn bytes(&self, column: usize) -> sqlx::Result<&[u8]> {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
    }

    /// What a column holds, of whichever kind.
    pub(in crate::store) fn value(
        &self,
        column: usize,
        kind: Kind,
    ) -> Result<Value<'_>, StoreError> {
        Ok(match (kind, self) {
            (Kind::Int, _) => Value::Int(self.opt_int(column)?),
            (Kind::Text, _) => Value::Text(self.opt_text(column)?),
            (Kind::Bytes, Self::Sqlite(row)) => Value::Bytes(row.try_get(column)?),
            (Kind::Bytes, Self::Postgres(row)) => Value::Bytes(row.try_get(column)?),
            (Kind::Id, _) => Value::Id(self.opt_id(column)?),
        })
    }

    /// A 16-octet id.
    pub(in crate::store) fn id(&self, column: usize) -> Result<Uuid, StoreError> {
        match self {
            Self::Sqlite(row) => Uuid::from_slice(row.try_get(column)?)
                .map_err(|_| StoreError::Corrupt { what: "an id" }),
            Self::Postgres(row) => Ok(row.try_get(column)?),
        }
    }

    /// A 16-octet id that may be absent.
    pub(in crate::store) fn opt_id(&self, column: usize) -> Result<Option<Uuid>, StoreError> {
        match self {
            Self::Sqlite(row) => {
                let octets: Option<&[u8]> = row.try_get(column)?;
                let id = octets.map(Uuid::from_slice).transpose();
                id.map_err(|_| StoreError::Corrupt { what: "an id" })
            }
            Self::Postgres(row) => Ok(row.try_get(column)?),
        }
    }
}

/// Reads rows on the writer's way. One that cannot be read is left out, with a line in the log: what
/// it was read for would be refused with it, and set aside (`writer::aside`).
pub(super) fn readable<T>(
    rows: &[Row],
    what: &'static str,
    read: impl Fn(&Row) -> Result<T, StoreError>,
) -> Vec<T> {
    rows.iter()
        .filter_map(|row| {
            read(row)
                .inspect_err(|error| {
                    tracing::error!(%error, "{what} cannot be read and is passed over");
                })
                .ok()
        })
        .collect()
}

const fn too_large() -> StoreError {
    StoreError::Corrupt {
        what: "a number out of its range",
    }
}
