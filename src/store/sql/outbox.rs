//! Lives here: webhook events waiting in the outbox, and the record of attempts to deliver them.
//! Never here: HTTP, signatures, the schedule of retries.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use uuid::Uuid;

use super::bulk::Bulk;
use super::db::{Db, Kind, Row, readable};
use super::messages::{self, COLUMNS, NEXT};
use super::statement::Statement;
use crate::domain::ids::EventId;
use crate::domain::message::{FailureCode, State};
use crate::domain::time::Timestamp;
use crate::flow::{DeliveryRecord, EventJob, EventKind};
use crate::store::batch::EVENT_LEASE;
use crate::store::{Carriers, StoreError};

static INSERT: Bulk = Bulk::new(
    "insert into outbox (event, message, sequence, kind, at, state, failure, due_at) {rows} \
     {once}",
    &[
        Kind::Id,
        Kind::Int,
        Kind::Int,
        Kind::Int,
        Kind::Int,
        Kind::Int,
        Kind::Text,
        Kind::Int,
    ],
);

/// As [`Rows::insert_events`](crate::store::rows::Rows::insert_events).
pub(in crate::store) async fn insert_events(
    db: &mut Db<'_>,
    jobs: &[EventJob],
) -> Result<(), StoreError> {
    INSERT
        .execute(db, jobs, |job| {
            [
                job.event.0.into(),
                job.message.seq.0.into(),
                job.sequence.into(),
                (job.kind as i64).into(),
                job.at.0.into(),
                job.state.index().into(),
                job.failure.map(FailureCode::name).into(),
                (job.at + EVENT_LEASE).0.into(),
            ]
        })
        .await?;
    Ok(())
}

static HISTORY: Bulk = Bulk::new(
    "insert into deliveries (message, sequence, attempt, event, at, latency_ms, status, error) \
     {rows} on conflict do nothing",
    &[
        Kind::Int,
        Kind::Int,
        Kind::Int,
        Kind::Id,
        Kind::Int,
        Kind::Int,
        Kind::Int,
        Kind::Text,
    ],
);
static DONE: Bulk = Bulk::new("delete from outbox where event in ({rows})", &[Kind::Id]);
static AGAIN: Bulk = Bulk::new(
    "with v (event, due_at, attempts) as ({rows}) update outbox set due_at = v.due_at, \
     attempts = v.attempts from v where outbox.event == v.event",
    &[Kind::Id, Kind::Int, Kind::Int],
);

/// As [`Rows::record_deliveries`](crate::store::rows::Rows::record_deliveries).
pub(in crate::store) async fn record_deliveries(
    db: &mut Db<'_>,
    records: &[&DeliveryRecord],
) -> Result<(), StoreError> {
    HISTORY
        .execute(db, records, |record| {
            [
                record.message.0.into(),
                record.sequence.into(),
                i64::from(record.attempt).into(),
                record.event.0.into(),
                record.at.0.into(),
                record.latency_ms.into(),
                record.status.map(i64::from).into(),
                record.error.as_deref().into(),
            ]
        })
        .await?;
    let mut done = Vec::new();
    // The last record of an event speaks: a statement that met it twice would take either.
    let mut again = HashMap::new();
    for record in records {
        match record.retry_at {
            Some(at) => {
                again.insert(record.event, (at, record.attempt));
            }
            None => done.push(record.event),
        }
    }
    DONE.execute(db, &done, |event| [event.0.into()]).await?;
    let again: Vec<_> = again.into_iter().collect();
    AGAIN
        .execute(db, &again, |(event, (at, attempt))| {
            [event.0.into(), at.0.into(), i64::from(*attempt).into()]
        })
        .await?;
    Ok(())
}

/// As [`Rows::set_due`](crate::store::rows::Rows::set_due).
pub(in crate::store) async fn set_due(
    db: &mut Db<'_>,
    events: &[(EventId, Timestamp)],
) -> Result<(), StoreError> {
    static DUE: Bulk = Bulk::new(
        "with v (event, due_at) as ({rows}) update outbox set due_at = v.due_at from v \
         where outbox.event == v.event",
        &[Kind::Id, Kind::Int],
    );
    DUE.execute(db, events, |(event, at)| [event.0.into(), at.0.into()])
        .await?;
    Ok(())
}

/// As [`Rows::give_up_events`](crate::store::rows::Rows::give_up_events).
pub(in crate::store) async fn give_up_events(
    db: &mut Db<'_>,
    before: Timestamp,
    limit: u32,
) -> Result<u64, StoreError> {
    // By the key: an index of its own on `at` would cost every event, and every delay of one, an
    // entry more.
    static GIVE_UP: Statement = Statement::new(
        "delete from outbox where event <= (select event from \
         (select event from outbox where event < $1 order by event limit $2) old \
         order by event desc limit 1)",
    );
    let values = [first_event_of(before).0.into(), limit.into()];
    Ok(GIVE_UP.execute(db, &values).await?)
}

/// No event that happened at this time or later has a lower id than this.
fn first_event_of(at: Timestamp) -> EventId {
    let ms = u128::try_from(at.0).unwrap_or(0);
    // A UUIDv7 begins with 48 bits of milliseconds.
    EventId(Uuid::from_u128(ms << 80))
}

/// As [`Rows::due_events`](crate::store::rows::Rows::due_events).
pub(in crate::store) async fn due_events(
    db: &mut Db<'_>,
    carriers: &Carriers,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<EventJob>, StoreError> {
    static DUE: LazyLock<Statement> = LazyLock::new(|| {
        Statement::made(format!(
            "select {COLUMNS}, o.event, o.sequence, o.kind, o.at, o.state, o.failure, o.attempts \
             from outbox o join messages m on m.seq == o.message where o.due_at <= $1 \
             order by o.due_at limit $2"
        ))
    });
    let rows = DUE.fetch(db, &[now.0.into(), limit.into()]).await?;
    Ok(readable(&rows, "an event", |row| job(row, carriers)))
}

fn job(row: &Row, carriers: &Carriers) -> Result<EventJob, StoreError> {
    let stored = messages::message(row, carriers)?;
    let kind = EventKind::from_index(row.int(NEXT + 2)?);
    let state = State::from_index(row.int(NEXT + 4)?);
    Ok(EventJob {
        event: EventId(row.id(NEXT)?),
        sequence: row.small(NEXT + 1)?,
        kind: kind.ok_or(StoreError::Corrupt {
            what: "outbox.kind",
        })?,
        at: Timestamp(row.int(NEXT + 3)?),
        state: state.ok_or(StoreError::Corrupt {
            what: "outbox.state",
        })?,
        failure: messages::failure(row.opt_text(NEXT + 5)?),
        attempts: row.small(NEXT + 6)?,
        sent_at: stored.sent_at,
        message: Arc::new(stored.message),
    })
}
