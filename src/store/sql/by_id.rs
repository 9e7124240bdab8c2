//! Lives here: finding one message by its public id, without asking every day's partition first.
//! Never here: what is read of it, or why.

use super::db::{Db, Row};
use super::messages::COLUMNS;
use super::statement::Statement;
use crate::domain::ids::MessageId;
use crate::domain::time::Timestamp;
use crate::store::rows::{day_of, first_of_day};

/// Days on which a message may have been accepted by the time in its id: the id is made a moment
/// before its number is given, over a midnight at worst.
const DAYS: i64 = 2;

/// A statement that reads a message by its id: [`COLUMNS`] and some more.
pub(in crate::store) struct ById {
    /// Only among the numbers of two days: PostgreSQL looks into two partitions.
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
        if let Db::Postgres(_) = db
            && let Some((from, until)) = span(id)
        {
            let values = [id.0.into(), from.into(), until.into()];
            let found = self.near.fetch_optional(db, &values).await?;
            if found.is_some() {
                return Ok(found);
            }
        }
        self.any.fetch_optional(db, &[id.0.into()]).await
    }
}

/// The numbers that messages have if they were accepted when this id was made, the end not
/// included; `None` for an id that tells no time (clients ask for what they like).
fn span(id: MessageId) -> Option<(i64, i64)> {
    let (seconds, _) = id.0.get_timestamp()?.to_unix();
    let made = Timestamp(i64::try_from(seconds).ok()?.checked_mul(1000)?);
    let day = day_of(made);
    Some((first_of_day(day).0, first_of_day(day + DAYS).0))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_span_of_an_id_is_its_day_and_the_next() {
        let id = Uuid::parse_str("01890a5d-ac96-774b-bcce-b302099a8057").unwrap();
        let made = Timestamp(0x0189_0a5d_ac96);
        let (from, until) = span(MessageId(id)).unwrap();
        assert_eq!(from, first_of_day(day_of(made)).0);
        assert_eq!(until, first_of_day(day_of(made) + 2).0);
    }

    #[test]
    fn no_id_that_a_client_makes_up_has_an_impossible_span() {
        assert!(span(MessageId(Uuid::nil())).is_none());
        let last = Uuid::parse_str("ffffffff-ffff-7fff-bfff-ffffffffffff").unwrap();
        let (from, until) = span(MessageId(last)).unwrap();
        assert!(0 < from && from < until);
    }
}
