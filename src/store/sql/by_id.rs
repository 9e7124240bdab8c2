//! Lives here: finding one message by its public id, without asking every day's partition first.
//! Never here: what is read of it, or why.

use super::db::{Db, Row};
use super::messages::{COLUMNS, likely};
use super::statement::Statement;
use crate::domain::ids::MessageId;

/// A statement that reads a message by its id: [`COLUMNS`] and some more.
pub(in crate::store) struct ById {
    /// Only among its likely numbers: PostgreSQL looks into two partitions.
    near: Statement,
    /// Among all: the only form for SQLite, whose messages are one table, and the second for
    /// PostgreSQL, for what a clock that was set has put on another day.
    any: Statement,
}

impl ById {
    /// `more` is what is read behind [`COLUMNS`], of `messages m`, with a comma before.
    pub(in crate::store) fn new(more: &str) -> Self {
        let select = format!("select {COLUMNS}{more} from messages m where m.id = $1");
        Self {
            near: Statement::made(format!("{select} and m.seq >= $2 and m.seq < $3")),
            any: Statement::made(select),
        }
    }

    /// The message's row, if there is one.
    pub(in crate::store) async fn fetch(
        &self,
        db: &mut Db<'_>,
        id: MessageId,
    ) -> sqlx::Result<Option<Row>> {
        if let Db::Postgres(..) = db
            && let Some((from, before)) = likely(id)
        {
            let values = [id.0.into(), from.0.into(), before.0.into()];
            let found = self.near.fetch_optional(db, &values).await?;
            if found.is_some() {
                return Ok(found);
            }
        }
        self.any.fetch_optional(db, &[id.0.into()]).await
    }
}
