//! Lives here: webhook events waiting in the outbox, and the record of attempts to deliver them.
//! Never here: HTTP, signatures, the schedule of retries.

use std::sync::Arc;

use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

use super::accept;
use super::bulk::Bulk;
use crate::domain::ids::EventId;
use crate::domain::message::State;
use crate::domain::time::Timestamp;
use crate::flow::{DeliveryRecord, EventJob, EventKind};
use crate::store::{Carriers, StoreError};

pub(super) use crate::store::batch::{LEASE, new_event};

static INSERT: Bulk = Bulk::new(
    "insert into outbox (event, message, sequence, kind, at, state, failure, due_at) values",
    "(?,?,?,?,?,?,?,?)",
    "on conflict (event) do nothing",
);

/// Writes events, leased to the worker that is about to be told of them.
pub(super) async fn insert(conn: &mut SqliteConnection, jobs: &[EventJob]) -> sqlx::Result<()> {
    INSERT
        .execute(conn, jobs, |query, job| {
            query
                .bind(&job.event.0.as_bytes()[..])
                .bind(job.message.seq.0)
                .bind(i64::from(job.sequence))
                .bind(job.kind as i64)
                .bind(job.at.0)
                .bind(job.state.index())
                .bind(job.failure.map(|code| code.name()))
                .bind((job.at + LEASE).0)
        })
        .await?;
    Ok(())
}

static HISTORY: Bulk = Bulk::new(
    "insert into deliveries (message, sequence, attempt, event, at, latency_ms, status, error) values",
    "(?,?,?,?,?,?,?,?)",
    "on conflict do nothing",
);
static DONE: Bulk = Bulk::new("delete from outbox where event in (", "?", ")");
static AGAIN: Bulk = Bulk::new(
    "with v (event, due_at, attempts) as (values",
    "(?,?,?)",
    ") update outbox set due_at = v.due_at, attempts = v.attempts from v where outbox.event = v.event",
);

/// Records attempts, and takes what is done out of the outbox.
pub(super) async fn record(
    conn: &mut SqliteConnection,
    records: &[&DeliveryRecord],
) -> sqlx::Result<()> {
    HISTORY
        .execute(conn, records, |query, record| {
            query
                .bind(record.message.0)
                .bind(i64::from(record.sequence))
                .bind(i64::from(record.attempt))
                .bind(&record.event.0.as_bytes()[..])
                .bind(record.at.0)
                .bind(i64::from(record.latency_ms))
                .bind(record.status.map(i64::from))
                .bind(record.error.as_deref())
        })
        .await?;
    let (again, done): (Vec<_>, Vec<_>) = records
        .iter()
        .copied()
        .partition(|record| record.retry_at.is_some());
    DONE.execute(conn, &done, |query, record| {
        query.bind(&record.event.0.as_bytes()[..])
    })
    .await?;
    AGAIN
        .execute(conn, &again, |query, record| {
            query
                .bind(&record.event.0.as_bytes()[..])
                .bind(record.retry_at.map(|at| at.0))
                .bind(i64::from(record.attempt))
        })
        .await?;
    Ok(())
}

static LEASED: Bulk = Bulk::new(
    "with v (event, due_at) as (values",
    "(?,?)",
    ") update outbox set due_at = v.due_at from v where outbox.event = v.event",
);

/// Says when events that nobody holds or somebody now leases are due again.
pub(super) async fn due_at(
    conn: &mut SqliteConnection,
    events: &[(EventId, Timestamp)],
) -> sqlx::Result<()> {
    LEASED
        .execute(conn, events, |query, (event, at)| {
            query.bind(&event.0.as_bytes()[..]).bind(at.0)
        })
        .await?;
    Ok(())
}

/// Gives up events from before a time: their receiver has not taken them for days.
pub(super) async fn give_up(conn: &mut SqliteConnection, before: Timestamp) -> sqlx::Result<u64> {
    let done = sqlx::query("delete from outbox where at < ?")
        .bind(before.0)
        .execute(conn)
        .await?;
    Ok(done.rows_affected())
}

/// Leases at most `limit` events that are due to the caller.
pub(super) async fn claim(
    conn: &mut SqliteConnection,
    carriers: &Carriers,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<EventJob>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "select {}, o.event, o.sequence, o.kind, o.at, o.state, o.failure, o.attempts \
         from outbox o join messages m on m.seq = o.message where o.due_at <= ? \
         order by o.due_at limit ?",
        accept::COLUMNS
    ));
    let rows = sqlx::query(sql)
        .bind(now.0)
        .bind(limit)
        .fetch_all(&mut *conn)
        .await?;
    let mut jobs = Vec::with_capacity(rows.len());
    for row in &rows {
        let stored = accept::message(row, carriers)?;
        let kind = EventKind::from_index(row.try_get(20)?);
        let state = State::from_index(row.try_get(22)?);
        jobs.push(EventJob {
            event: EventId(accept::uuid(row, 18)?),
            sequence: row.try_get::<u32, _>(19)?,
            kind: kind.ok_or(StoreError::Corrupt {
                what: "outbox.kind",
            })?,
            at: Timestamp(row.try_get(21)?),
            state: state.ok_or(StoreError::Corrupt {
                what: "outbox.state",
            })?,
            failure: accept::failure(row.try_get(23)?),
            attempts: row.try_get::<u16, _>(24)?,
            sent_at: stored.sent_at,
            message: Arc::new(stored.message),
        });
    }
    let leased: Vec<_> = jobs.iter().map(|job| (job.event, now + LEASE)).collect();
    due_at(conn, &leased).await?;
    Ok(jobs)
}
