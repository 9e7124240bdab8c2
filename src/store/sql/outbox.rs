//! Lives here: webhook events waiting in the outbox, and the record of attempts to deliver them.
//! Never here: HTTP, signatures, the schedule of retries.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use super::bulk::Bulk;
use super::db::{Db, Kind, Row, Value, readable};
use super::messages::{self, COLUMNS, NEXT};
use super::statement::Statement;
use crate::domain::event::EventKind;
use crate::domain::ids::{EndpointId, EventId, MessageSeq, OrgId};
use crate::domain::message::{FailureCode, State};
use crate::domain::time::Timestamp;
use crate::flow::{About, DeliveryRecord, EventJob, Notice};
use crate::store::batch::EVENT_LEASE;
use crate::store::hooks::first_event_of;
use crate::store::{Carriers, StoreError};

static INSERT: Bulk = Bulk::new(
    "insert into outbox (event, message, sequence, kind, at, state, failure, due_at, target, org, \
     live, data) {rows} {once}",
    &[
        Kind::Id,
        Kind::Int,
        Kind::Int,
        Kind::Int,
        Kind::Int,
        Kind::Int,
        Kind::Text,
        Kind::Int,
        Kind::Id,
        Kind::Id,
        Kind::Int,
        Kind::Text,
    ],
);

/// As [`Rows::insert_events`](crate::store::rows::Rows::insert_events).
pub(in crate::store) async fn insert_events(
    db: &mut Db<'_>,
    jobs: &[EventJob],
) -> Result<(), StoreError> {
    INSERT
        .execute(db, jobs, |job| {
            let (state, failure) = outcome(&job.about);
            let notice = job.notice();
            [
                job.event.0.into(),
                job.seq().0.into(),
                job.sequence.into(),
                job.kind.index().into(),
                job.at.0.into(),
                state.index().into(),
                failure.map(FailureCode::name).into(),
                (job.at + EVENT_LEASE).0.into(),
                Value::Id(job.target.map(|target| target.0)),
                Value::Id(notice.map(|notice| notice.org.0)),
                notice.map(|notice| i64::from(notice.live)).into(),
                notice.map(|notice| &*notice.data).into(),
            ]
        })
        .await?;
    Ok(())
}

/// What a message came to; a notice's columns say nothing.
pub(super) fn outcome(about: &About) -> (State, Option<FailureCode>) {
    match about {
        About::Message { state, failure, .. } => (*state, *failure),
        About::Notice(_) => (State::Scheduled, None),
    }
}

static HISTORY: Bulk = Bulk::new(
    "insert into deliveries (message, event, attempt, sequence, at, latency_ms, status, error, \
     response, org, live, target, kind, happened_at, state, failure, data) \
     {rows} on conflict do nothing",
    &[
        Kind::Int,
        Kind::Id,
        Kind::Int,
        Kind::Int,
        Kind::Int,
        Kind::Int,
        Kind::Int,
        Kind::Text,
        Kind::Text,
        Kind::Id,
        Kind::Int,
        Kind::Id,
        Kind::Int,
        Kind::Int,
        Kind::Int,
        Kind::Text,
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
            let job = &record.job;
            let (state, failure) = outcome(&job.about);
            [
                job.seq().0.into(),
                job.event.0.into(),
                i64::from(record.attempt()).into(),
                job.sequence.into(),
                record.at.0.into(),
                record.latency_ms.into(),
                record.status.map(i64::from).into(),
                record.error.as_deref().into(),
                record.response.as_deref().into(),
                job.org().0.into(),
                job.live().into(),
                Value::Id(job.target.map(|target| target.0)),
                job.kind.index().into(),
                job.at.0.into(),
                state.index().into(),
                failure.map(FailureCode::name).into(),
                job.notice().map(|notice| &*notice.data).into(),
            ]
        })
        .await?;
    let mut done = Vec::new();
    // The last record of an event speaks: a statement that met it twice would take either.
    let mut again = HashMap::new();
    for record in records {
        match record.retry_at {
            Some(at) => {
                again.insert(record.job.event, (at, record.attempt()));
            }
            None => done.push(record.job.event),
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
    // entry more. What was asked for anew may be old: it has its time from then on.
    static GIVE_UP: Statement = Statement::new(
        "delete from outbox where event <= (select event from (select event from outbox \
         where event < $1 and (asked_at is null or asked_at < $3) order by event limit $2) old \
         order by event desc limit 1) and (asked_at is null or asked_at < $3)",
    );
    let values = [
        first_event_of(before).0.into(),
        limit.into(),
        before.0.into(),
    ];
    Ok(GIVE_UP.execute(db, &values).await?)
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
            "select {COLUMNS}, {EVENT}, o.at, o.attempts, o.attempts_before, o.org, o.live \
             from outbox o left join messages m on m.seq == o.message where o.due_at <= $1 \
             and (m.seq is not null or o.data is not null) order by o.due_at limit $2"
        ))
    });
    let rows = DUE.fetch(db, &[now.0.into(), limit.into()]).await?;
    Ok(readable(&rows, "an event", |row| due(row, carriers)))
}

fn due(row: &Row, carriers: &Carriers) -> Result<EventJob, StoreError> {
    let at = NEXT + EVENT_COLUMNS;
    let whose = row.opt_id(at + 3)?.map(OrgId);
    let live = row.opt_int(at + 4)? == Some(1);
    let mut job = event(row, carriers, whose, live)?;
    job.at = Timestamp(row.int(at)?);
    job.attempts = row.small(at + 1)?;
    job.attempts_before = row.small(at + 2)?;
    Ok(job)
}

/// The columns of an event under the alias `o`, behind [`COLUMNS`]: the same in `outbox` and in
/// `deliveries`.
pub(super) const EVENT: &str =
    "o.event, o.message, o.sequence, o.kind, o.state, o.failure, o.target, o.data";
/// How many they are.
pub(super) const EVENT_COLUMNS: usize = 8;

/// Reads a row that begins with [`COLUMNS`] and [`EVENT`]; `whose` is known of notices. When it
/// happened and how often it was tried is the caller's matter.
pub(super) fn event(
    row: &Row,
    carriers: &Carriers,
    whose: Option<OrgId>,
    live: bool,
) -> Result<EventJob, StoreError> {
    let corrupt = |what| StoreError::Corrupt { what };
    let state = State::from_index(row.int(NEXT + 4)?).ok_or_else(|| corrupt("an event's state"))?;
    let about = match row.opt_text(NEXT + 7)? {
        Some(data) => About::Notice(Arc::new(Notice {
            seq: MessageSeq(row.int(NEXT + 1)?),
            org: whose.ok_or_else(|| corrupt("a notice's organisation"))?,
            live,
            data: data.into(),
        })),
        None => {
            let stored = messages::message(row, carriers)?;
            About::Message {
                message: Arc::new(stored.message),
                sent_at: stored.sent_at,
                state,
                failure: messages::failure(row.opt_text(NEXT + 5)?),
            }
        }
    };
    Ok(EventJob {
        event: EventId(row.id(NEXT)?),
        target: row.opt_id(NEXT + 6)?.map(EndpointId),
        kind: EventKind::from_index(row.int(NEXT + 3)?)
            .ok_or_else(|| corrupt("an event's kind"))?,
        sequence: row.small(NEXT + 2)?,
        about,
        at: Timestamp(0),
        attempts: 0,
        attempts_before: 0,
    })
}
