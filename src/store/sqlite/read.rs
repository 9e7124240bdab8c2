//! Lives here: what the API, the console and the scheduler read, on their own connections.
//! Never here: writing; a transaction.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use sqlx::Row;
use sqlx::sqlite::SqlitePool;

use super::bulk::Bulk;
use super::{accept, settle};
use crate::domain::class::Class;
use crate::domain::ids::{CarrierIndex, EventId, MessageId, MessageSeq, OrgId, Place};
use crate::domain::lifecycle::SegmentState;
use crate::domain::message::State;
use crate::domain::proof::ToldBy;
use crate::domain::time::Timestamp;
use crate::flow::{Parts, Tried, Waiting};
use crate::store::{Carriers, MessageView, QueueRow, StoreError, TimelineEntry};

/// One message of an organisation.
pub(super) async fn message(
    pool: &SqlitePool,
    carriers: &Carriers,
    org: OrgId,
    id: MessageId,
) -> Result<Option<MessageView>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "select {}, m.final_at, m.failure, m.detail, m.possible_duplicate from messages m \
         where m.id = ? and m.org = ?",
        accept::COLUMNS
    ));
    let row = sqlx::query(sql)
        .bind(&id.0.as_bytes()[..])
        .bind(&org.0.as_bytes()[..])
        .fetch_optional(pool)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let stored = accept::message(&row, carriers)?;
    Ok(Some(MessageView {
        message: stored.message,
        state: stored.state,
        sent_at: stored.sent_at,
        final_at: row.try_get::<Option<i64>, _>(18)?.map(Timestamp),
        failure: accept::failure(row.try_get(19)?),
        detail: row.try_get::<Option<&str>, _>(20)?.map(Into::into),
        possible_duplicate: row.try_get(21)?,
    }))
}

/// Everything that happened to a message, in order of time.
pub(super) async fn timeline(
    pool: &SqlitePool,
    seq: MessageSeq,
) -> Result<Vec<TimelineEntry>, StoreError> {
    let mut entries = Vec::new();
    let attempts = sqlx::query(
        "select part, attempt, carrier, bind, sequence, submitted_at, answered_at, state, status, \
         carrier_message_id, stat, err, done_date, receipt_at, resolved from attempts where message = ? \
         order by attempt, part",
    )
    .bind(seq.0)
    .fetch_all(pool)
    .await?;
    for row in &attempts {
        let state = SegmentState::from_index(row.try_get(7)?);
        let part: u8 = row.try_get(0)?;
        entries.push(TimelineEntry::Attempt {
            at: Timestamp(row.try_get(5)?),
            answered_at: Timestamp(row.try_get(6)?),
            part,
            attempt: row.try_get(1)?,
            carrier: row.try_get::<&str, _>(2)?.into(),
            bind: row.try_get::<&str, _>(3)?.into(),
            sequence: row.try_get(4)?,
            state: state.ok_or(StoreError::Corrupt {
                what: "attempts.state",
            })?,
            status: row.try_get(8)?,
            carrier_message_id: row.try_get::<Option<&str>, _>(9)?.map(Into::into),
            told_by: row
                .try_get::<Option<i64>, _>(14)?
                .and_then(ToldBy::from_index),
        });
        if let Some(at) = row.try_get::<Option<i64>, _>(13)? {
            entries.push(TimelineEntry::Receipt {
                at: Timestamp(at),
                part,
                stat: row.try_get::<&str, _>(10)?.into(),
                err: row.try_get::<&str, _>(11)?.into(),
                done_date: row.try_get::<&str, _>(12)?.into(),
                conflict: false,
            });
        }
    }
    entries.append(&mut side_events(pool, seq).await?);
    entries.sort_by_key(TimelineEntry::at);
    Ok(entries)
}

async fn side_events(pool: &SqlitePool, seq: MessageSeq) -> Result<Vec<TimelineEntry>, StoreError> {
    let mut entries = Vec::new();
    let receipts = sqlx::query(
        "select part, stat, err, done_date, received_at, conflict from receipt_events where message = ?",
    )
    .bind(seq.0)
    .fetch_all(pool)
    .await?;
    for row in &receipts {
        entries.push(TimelineEntry::Receipt {
            at: Timestamp(row.try_get(4)?),
            part: row.try_get(0)?,
            stat: row.try_get::<&str, _>(1)?.into(),
            err: row.try_get::<&str, _>(2)?.into(),
            done_date: row.try_get::<&str, _>(3)?.into(),
            conflict: row.try_get(5)?,
        });
    }
    let deliveries = sqlx::query(
        "select event, sequence, attempt, at, latency_ms, status, error from deliveries where message = ?",
    )
    .bind(seq.0)
    .fetch_all(pool)
    .await?;
    for row in &deliveries {
        entries.push(TimelineEntry::Webhook {
            at: Timestamp(row.try_get(3)?),
            event: EventId(accept::uuid(row, 0)?),
            sequence: row.try_get(1)?,
            attempt: row.try_get(2)?,
            latency_ms: row.try_get(4)?,
            status: row.try_get(5)?,
            error: row.try_get::<Option<&str>, _>(6)?.map(Into::into),
        });
    }
    Ok(entries)
}

/// An organisation's next queued messages in one lane, after `after`, in order of place.
pub(super) async fn waiting(
    pool: &SqlitePool,
    carriers: &Carriers,
    (lane, org): ((CarrierIndex, Class), OrgId),
    after: Place,
    limit: u32,
) -> Result<Vec<Waiting>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "select {}, m.possible_duplicate, m.place from messages m indexed by messages_waiting \
         where m.state = 1 and m.carrier = ? and m.class = ? and m.org = ? and m.place > ? \
         order by m.place limit ?",
        accept::COLUMNS
    ));
    let rows = sqlx::query(sql)
        .bind(carriers.text(lane.0))
        .bind(lane.1.index() as i64)
        .bind(&org.0.as_bytes()[..])
        .bind(after.0)
        .bind(limit)
        .fetch_all(pool)
        .await?;
    with_attempts(pool, carriers, &rows).await
}

/// The organisations of which messages are queued in a lane, each with its newest place. The
/// index is entered once for each organisation, however much each has waiting.
pub(super) async fn backlog(
    pool: &SqlitePool,
    carriers: &Carriers,
    lane: (CarrierIndex, Class),
) -> Result<Vec<(OrgId, Place)>, StoreError> {
    let rows = sqlx::query(
        "with recursive o (org) as (select min(org) from messages indexed by messages_waiting \
         where state = 1 and carrier = ?1 and class = ?2 union all select (select min(m.org) \
         from messages m indexed by messages_waiting where m.state = 1 and m.carrier = ?1 \
         and m.class = ?2 and m.org > o.org) from o where o.org is not null) \
         select o.org, (select max(m.place) from messages m indexed by messages_waiting \
         where m.state = 1 and m.carrier = ?1 and m.class = ?2 and m.org = o.org) \
         from o where o.org is not null",
    )
    .bind(carriers.text(lane.0))
    .bind(lane.1.index() as i64)
    .fetch_all(pool)
    .await?;
    rows.iter()
        .map(|row| Ok((OrgId(accept::uuid(row, 0)?), Place(row.try_get(1)?))))
        .collect()
}

/// The messages in doubt, the oldest first.
pub(super) async fn in_doubt(
    pool: &SqlitePool,
    carriers: &Carriers,
    after: MessageSeq,
    limit: u32,
) -> Result<Vec<Waiting>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "select {}, m.possible_duplicate, m.place from messages m indexed by messages_in_doubt \
         where m.state = 3 and m.seq > ? order by m.seq limit ?",
        accept::COLUMNS
    ));
    let rows = sqlx::query(sql)
        .bind(after.0)
        .bind(limit)
        .fetch_all(pool)
        .await?;
    with_attempts(pool, carriers, &rows).await
}

/// Which of these messages still wait in an account's lanes, or are in doubt there.
pub(super) async fn still_there(
    pool: &SqlitePool,
    carriers: &Carriers,
    carrier: CarrierIndex,
    messages: &[MessageSeq],
) -> Result<HashSet<MessageSeq>, StoreError> {
    let Some(carrier) = carriers.id(carrier) else {
        return Ok(HashSet::new());
    };
    let asked: Vec<_> = messages.iter().map(|seq| (*seq, carrier)).collect();
    let mut conn = pool.acquire().await?;
    Ok(settle::still_unsent(&mut conn, &asked).await?)
}

/// What a message's attempts say of the next one.
#[derive(Default)]
struct Story {
    taken: Parts,
    attempts: u16,
    tried: Tried,
}

async fn with_attempts(
    pool: &SqlitePool,
    carriers: &Carriers,
    rows: &[sqlx::sqlite::SqliteRow],
) -> Result<Vec<Waiting>, StoreError> {
    static ATTEMPTS: Bulk = Bulk::new(
        "select message, part, attempt, state, carrier from attempts where message in (",
        "?",
        ")",
    );
    let seqs = rows
        .iter()
        .map(|row| row.try_get(0))
        .collect::<sqlx::Result<Vec<i64>>>()?;
    let mut conn = pool.acquire().await?;
    let mut story: HashMap<i64, Story> = HashMap::new();
    for row in ATTEMPTS
        .fetch(&mut conn, &seqs, |query, seq| query.bind(*seq))
        .await?
    {
        let story = story.entry(row.try_get(0)?).or_default();
        story.attempts = story.attempts.max(row.try_get(2)?);
        match SegmentState::from_index(row.try_get(3)?) {
            Some(state) if state == SegmentState::Submitted || state.is_final() => {
                story.taken.insert(row.try_get(1)?);
            }
            _ => {
                let account = carriers.index(row.try_get(4)?);
                let known = |account: &CarrierIndex| story.tried.contains(account);
                story.tried.extend(account.filter(|one| !known(one)));
            }
        }
    }
    let mut waiting = Vec::with_capacity(rows.len());
    for row in rows {
        let accept::Stored { message, state, .. } = accept::message(row, carriers)?;
        let story = story.remove(&message.seq.0).unwrap_or_default();
        waiting.push(Waiting {
            state,
            place: Place(row.try_get(19)?),
            tried: story.tried,
            parts: Parts::all(message.segments).without(story.taken),
            attempts: story.attempts,
            possible_duplicate: row.try_get(18)?,
            message: Arc::new(message),
        });
    }
    Ok(waiting)
}

/// What waits in the store, by account, class and state.
pub(super) async fn queue(pool: &SqlitePool) -> Result<Vec<QueueRow>, StoreError> {
    let rows = sqlx::query(
        "select carrier, class, state, count(*), min(accepted_at) from messages \
         indexed by messages_waiting where state = 1 group by carrier, class \
         union all select carrier, class, state, count(*), min(accepted_at) from messages \
         indexed by messages_scheduled where state = 0 group by carrier, class",
    )
    .fetch_all(pool)
    .await?;
    let mut queue = Vec::with_capacity(rows.len());
    for row in &rows {
        queue.push(QueueRow {
            carrier: row.try_get::<&str, _>(0)?.into(),
            class: Class::from_index(row.try_get(1)?).ok_or(StoreError::Corrupt {
                what: "messages.class",
            })?,
            state: State::from_index(row.try_get(2)?).ok_or(StoreError::Corrupt {
                what: "messages.state",
            })?,
            messages: row.try_get::<i64, _>(3)?.unsigned_abs(),
            oldest: Timestamp(row.try_get(4)?),
        });
    }
    Ok(queue)
}
