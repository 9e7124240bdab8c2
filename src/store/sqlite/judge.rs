//! Lives here: whether a single message may be cancelled or resent by an operator: one judgement
//! for the change itself and for its dry run.
//! Never here: the change (`control`), sweeps' rows (they are judged by the page, there too).

use std::collections::HashSet;

use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

use super::{Reader, accept};
use crate::domain::class::Class;
use crate::domain::ids::{self, MessageId};
use crate::domain::message::{Message, State};
use crate::domain::time::Timestamp;
use crate::store::control::Obstacle;
use crate::store::{Carriers, StoreError};

/// Whether a segment may be with a carrier: it has been taken, or is in doubt.
pub(super) const ATTEMPTED: &str =
    "exists (select 1 from attempts a where a.message = m.seq and a.state <> 6)";

/// One message, looked at before it is changed.
pub(super) struct Candidate {
    pub(super) message: Message,
    state: State,
    attempted: bool,
    possible_duplicate: bool,
}

impl Reader {
    /// What stands in the way of cancelling a message, by the committed rows.
    pub(in crate::store) async fn may_cancel(
        &self,
        id: MessageId,
        otp: bool,
    ) -> Result<Result<(), Obstacle>, StoreError> {
        let mut conn = self.pool.acquire().await?;
        let Some(found) = candidate(&mut conn, &self.carriers, id).await? else {
            return Ok(Err(Obstacle::Missing));
        };
        Ok(may_cancel(&mut conn, &found, otp, self.unsure).await?)
    }

    /// What stands in the way of resending a message, by the committed rows.
    pub(in crate::store) async fn may_resend(
        &self,
        id: MessageId,
        at: Timestamp,
    ) -> Result<Result<(), Obstacle>, StoreError> {
        let mut conn = self.pool.acquire().await?;
        let Some(found) = candidate(&mut conn, &self.carriers, id).await? else {
            return Ok(Err(Obstacle::Missing));
        };
        Ok(may_resend(&mut conn, &found, at).await?)
    }
}

/// The message with this id.
pub(super) async fn candidate(
    conn: &mut SqliteConnection,
    carriers: &Carriers,
    id: MessageId,
) -> Result<Option<Candidate>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "select {}, {ATTEMPTED}, m.possible_duplicate from messages m where m.id = ?",
        accept::COLUMNS
    ));
    let row = sqlx::query(sql)
        .bind(id.0.as_bytes().to_vec())
        .fetch_optional(conn)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let accept::Stored { message, state, .. } = accept::message(&row, carriers)?;
    Ok(Some(Candidate {
        message,
        state,
        attempted: row.try_get(18)?,
        possible_duplicate: row.try_get(19)?,
    }))
}

/// Whether it can be cancelled. `otp` says that no bind can have an OTP of its account.
pub(super) async fn may_cancel(
    conn: &mut SqliteConnection,
    candidate: &Candidate,
    otp: bool,
    unsure: ids::Place,
) -> sqlx::Result<Result<(), Obstacle>> {
    let Candidate { message, state, .. } = candidate;
    Ok(match state {
        State::Scheduled => Ok(()),
        State::Queued if candidate.attempted => Err(Obstacle::Attempted),
        State::Queued if message.class == Class::Otp && (!otp || message.seq.0 <= unsure.0) => {
            Err(Obstacle::Otp)
        }
        State::Queued if under_way(conn).await?.contains(&message.seq.0) => Err(Obstacle::UnderWay),
        State::Queued => Ok(()),
        State::Uncertain
        | State::Submitted
        | State::Delivered
        | State::Undelivered
        | State::Rejected
        | State::Expired
        | State::Unknown
        | State::Cancelled
        | State::Failed => Err(Obstacle::Standing(*state)),
    })
}

/// Whether it can be resent by an operator: it is in doubt, nobody has it, and nobody will resend
/// it by itself.
pub(super) async fn may_resend(
    conn: &mut SqliteConnection,
    candidate: &Candidate,
    at: Timestamp,
) -> sqlx::Result<Result<(), Obstacle>> {
    let message = &candidate.message;
    if candidate.state != State::Uncertain {
        return Ok(Err(Obstacle::Standing(candidate.state)));
    }
    if message.class != Class::Promotional && !candidate.possible_duplicate {
        return Ok(Err(Obstacle::ResentByItself));
    }
    if message.valid_until <= at {
        return Ok(Err(Obstacle::Overdue));
    }
    let intended = under_way(conn).await?;
    Ok(if intended.contains(&message.seq.0) {
        Err(Obstacle::UnderWay)
    } else {
        Ok(())
    })
}

/// The messages in open intents: a few batches for each bind.
pub(super) async fn under_way(conn: &mut SqliteConnection) -> sqlx::Result<HashSet<i64>> {
    let rows = sqlx::query("select messages from intents")
        .fetch_all(conn)
        .await?;
    let mut found = HashSet::new();
    for row in &rows {
        let blob: &[u8] = row.try_get(0)?;
        let (numbers, _) = blob.as_chunks::<8>();
        found.extend(numbers.iter().map(|octets| i64::from_be_bytes(*octets)));
    }
    Ok(found)
}
