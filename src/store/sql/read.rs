//! Lives here: what the API, the console and the scheduler read of messages.
//! Never here: writing; a transaction; counting what waits (`tallies`).

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock};

use super::bulk::Bulk;
use super::by_id::ById;
use super::db::{Db, Kind, Row};
use super::messages::{self, COLUMNS, NEXT, account, failure};
use super::statement::Statement;
use crate::domain::class::Class;
use crate::domain::ids::{CarrierIndex, EventId, MessageId, MessageSeq, OrgId, Place};
use crate::domain::lifecycle::SegmentState;
use crate::domain::message::Message;
use crate::domain::proof::ToldBy;
use crate::domain::time::Timestamp;
use crate::flow::{Parts, Tried, Waiting};
use crate::store::rows::Stored;
use crate::store::{Carriers, MessageView, StoreError, TimelineEntry};

/// What [`viewed`] reads behind [`COLUMNS`].
pub(in crate::store) const MORE: &str = ", m.final_at, m.failure, m.detail, m.possible_duplicate";

/// One message of an organisation.
pub(in crate::store) async fn message(
    db: &mut Db<'_>,
    carriers: &Carriers,
    org: OrgId,
    id: MessageId,
) -> Result<Option<MessageView>, StoreError> {
    let found = view(db, id).await?;
    let own = match found {
        Some(row) if OrgId(row.id(2)?) == org => row,
        Some(_) | None => return Ok(None),
    };
    viewed(&own, carriers).map(Some)
}

/// A message of any organisation, and the account by whose id its row stands.
pub(in crate::store) async fn any_message(
    db: &mut Db<'_>,
    carriers: &Carriers,
    id: MessageId,
) -> Result<Option<(MessageView, Box<str>)>, StoreError> {
    let Some(row) = view(db, id).await? else {
        return Ok(None);
    };
    Ok(Some((viewed(&row, carriers)?, row.text(5)?.into())))
}

async fn view(db: &mut Db<'_>, id: MessageId) -> sqlx::Result<Option<Row>> {
    static VIEW: LazyLock<ById> = LazyLock::new(|| ById::new(MORE));
    VIEW.fetch(db, id).await
}

/// Reads a row selected with [`COLUMNS`] and [`MORE`].
pub(in crate::store) fn viewed(row: &Row, carriers: &Carriers) -> Result<MessageView, StoreError> {
    let stored = messages::message(row, carriers)?;
    Ok(MessageView {
        message: stored.message,
        state: stored.state,
        sent_at: stored.sent_at,
        final_at: row.opt_int(NEXT)?.map(Timestamp),
        failure: failure(row.opt_text(NEXT + 1)?),
        detail: row.opt_text(NEXT + 2)?.map(Into::into),
        possible_duplicate: row.flag(NEXT + 3)?,
    })
}

/// Everything that happened to a message, in order of time.
pub(in crate::store) async fn timeline(
    db: &mut Db<'_>,
    seq: MessageSeq,
) -> Result<Vec<TimelineEntry>, StoreError> {
    static ATTEMPTS: Statement = Statement::new(
        "select part, attempt, carrier, bind, sequence, submitted_at, answered_at, state, status, \
         carrier_message_id, stat, err, done_date, receipt_at, resolved from attempts \
         where message = $1 order by attempt, part",
    );
    let mut entries = Vec::new();
    for row in &ATTEMPTS.fetch(db, &[seq.0.into()]).await? {
        let state = SegmentState::from_index(row.int(7)?);
        let part: u8 = row.small(0)?;
        entries.push(TimelineEntry::Attempt {
            at: Timestamp(row.int(5)?),
            answered_at: Timestamp(row.int(6)?),
            part,
            attempt: row.small(1)?,
            carrier: row.text(2)?.into(),
            bind: row.text(3)?.into(),
            sequence: row.small(4)?,
            state: state.ok_or(StoreError::Corrupt {
                what: "attempts.state",
            })?,
            status: row.opt_small(8)?,
            carrier_message_id: row.opt_text(9)?.map(Into::into),
            told_by: row.opt_int(14)?.and_then(ToldBy::from_index),
        });
        if let Some(at) = row.opt_int(13)? {
            entries.push(TimelineEntry::Receipt {
                at: Timestamp(at),
                part,
                stat: row.text(10)?.into(),
                err: row.text(11)?.into(),
                done_date: row.text(12)?.into(),
                conflict: false,
            });
        }
    }
    side_events(db, seq, &mut entries).await?;
    entries.sort_by_key(TimelineEntry::at);
    Ok(entries)
}

async fn side_events(
    db: &mut Db<'_>,
    seq: MessageSeq,
    entries: &mut Vec<TimelineEntry>,
) -> Result<(), StoreError> {
    static RECEIPTS: Statement = Statement::new(
        "select part, stat, err, done_date, received_at, conflict from receipt_events \
         where message = $1 order by part, attempt, received_at, stat",
    );
    static DELIVERIES: Statement = Statement::new(
        "select event, sequence, attempt, at, latency_ms, status, error from deliveries \
         where message = $1 order by event, attempt",
    );
    for row in &RECEIPTS.fetch(db, &[seq.0.into()]).await? {
        entries.push(TimelineEntry::Receipt {
            at: Timestamp(row.int(4)?),
            part: row.small(0)?,
            stat: row.text(1)?.into(),
            err: row.text(2)?.into(),
            done_date: row.text(3)?.into(),
            conflict: row.flag(5)?,
        });
    }
    for row in &DELIVERIES.fetch(db, &[seq.0.into()]).await? {
        entries.push(TimelineEntry::Webhook {
            at: Timestamp(row.int(3)?),
            event: EventId(row.id(0)?),
            sequence: row.small(1)?,
            attempt: row.small(2)?,
            latency_ms: row.small(4)?,
            status: row.opt_small(5)?,
            error: row.opt_text(6)?.map(Into::into),
        });
    }
    Ok(())
}

/// An organisation's next queued messages in a lane after `after`, in order of place.
pub(in crate::store) async fn waiting(
    db: &mut Db<'_>,
    carriers: &Carriers,
    lane: (CarrierIndex, Class),
    org: OrgId,
    after: Place,
    limit: u32,
) -> Result<Vec<Waiting>, StoreError> {
    static WAITING: LazyLock<Statement> = LazyLock::new(|| {
        Statement::made(format!(
            "select {COLUMNS}, m.possible_duplicate, m.place \
             from messages m indexed by messages_waiting \
             where m.state = 1 and m.carrier = $1 and m.class = $2 and m.org = $3 \
             and m.place > $4 order by m.place limit $5"
        ))
    });
    let values = [
        account(carriers, lane.0).into(),
        (lane.1.index() as i64).into(),
        org.0.into(),
        after.0.into(),
        limit.into(),
    ];
    let rows = WAITING.fetch(db, &values).await?;
    with_attempts(db, carriers, &rows).await
}

/// The organisations of which messages are queued in a lane, by id, each with its newest place.
/// The index is entered once for each organisation, however much each has waiting. (Not by
/// `min(org)`: PostgreSQL knows no least uuid.)
pub(in crate::store) async fn backlog(
    db: &mut Db<'_>,
    carriers: &Carriers,
    lane: (CarrierIndex, Class),
) -> Result<Vec<(OrgId, Place)>, StoreError> {
    static BACKLOG: LazyLock<Statement> = LazyLock::new(|| {
        const LANE: &str = "from messages m indexed by messages_waiting where m.state = 1 \
                            and m.carrier = $1 and m.class = $2";
        Statement::made(format!(
            "with recursive o (org) as (\
             select (select m.org {LANE} order by m.org limit 1) \
             union all select (select m.org {LANE} and m.org > o.org order by m.org limit 1) \
             from o where o.org is not null) \
             select o.org, (select m.place {LANE} and m.org = o.org \
             order by m.place desc limit 1) from o where o.org is not null order by o.org"
        ))
    });
    let values = [
        account(carriers, lane.0).into(),
        (lane.1.index() as i64).into(),
    ];
    let rows = BACKLOG.fetch(db, &values).await?;
    rows.iter()
        .map(|row| Ok((OrgId(row.id(0)?), Place(row.int(1)?))))
        .collect()
}

/// Which of these messages still wait in an account's lanes, or are in doubt there.
pub(in crate::store) async fn still_there(
    db: &mut Db<'_>,
    carriers: &Carriers,
    carrier: CarrierIndex,
    messages: &[MessageSeq],
) -> Result<HashSet<MessageSeq>, StoreError> {
    let Some(carrier) = carriers.id(carrier) else {
        return Ok(HashSet::new());
    };
    let asked: Vec<_> = messages.iter().map(|seq| (*seq, carrier)).collect();
    messages::unsent(db, &asked).await
}

/// The messages in doubt after `after`, in order.
pub(in crate::store) async fn in_doubt(
    db: &mut Db<'_>,
    carriers: &Carriers,
    after: MessageSeq,
    limit: u32,
) -> Result<Vec<Waiting>, StoreError> {
    static IN_DOUBT: LazyLock<Statement> = LazyLock::new(|| {
        Statement::made(format!(
            "select {COLUMNS}, m.possible_duplicate, m.place \
             from messages m indexed by messages_in_doubt \
             where m.state = 3 and m.seq > $1 order by m.seq limit $2"
        ))
    });
    let rows = IN_DOUBT.fetch(db, &[after.0.into(), limit.into()]).await?;
    with_attempts(db, carriers, &rows).await
}

/// Test messages behind `after` that are submitted, in order, each with the time of that.
pub(in crate::store) async fn sandboxed(
    db: &mut Db<'_>,
    carriers: &Carriers,
    after: MessageSeq,
    limit: u32,
) -> Result<Vec<(Message, Timestamp)>, StoreError> {
    // The index's own words: by them alone SQLite knows that it may use it.
    static SANDBOXED: LazyLock<Statement> = LazyLock::new(|| {
        Statement::made(format!(
            "select {COLUMNS} from messages m indexed by messages_in_doubt \
             where (m.state = 3 or (m.state = 4 and m.live = 0)) and m.seq > $1 \
             and +m.state = 4 and +m.live = 0 order by m.seq limit $2"
        ))
    });
    let rows = SANDBOXED.fetch(db, &[after.0.into(), limit.into()]).await?;
    rows.iter()
        .map(|row| {
            let stored = messages::message(row, carriers)?;
            let sent_at = stored.sent_at.unwrap_or(stored.message.accepted_at);
            Ok((stored.message, sent_at))
        })
        .collect()
}

/// What a message's attempts say of the next one.
#[derive(Default)]
struct Story {
    taken: Parts,
    attempts: u16,
    tried: Tried,
}

/// Messages selected with [`COLUMNS`], the mark and the place, each with what its attempts say.
async fn with_attempts(
    db: &mut Db<'_>,
    carriers: &Carriers,
    rows: &[Row],
) -> Result<Vec<Waiting>, StoreError> {
    let mut stories = stories(db, carriers, rows).await?;
    let mut waiting = Vec::with_capacity(rows.len());
    for row in rows {
        let Stored { message, state, .. } = messages::message(row, carriers)?;
        let story = stories.remove(&message.seq.0).unwrap_or_default();
        waiting.push(Waiting {
            state,
            place: Place(row.int(NEXT + 1)?),
            tried: story.tried,
            parts: Parts::all(message.segments).without(story.taken),
            attempts: story.attempts,
            possible_duplicate: row.flag(NEXT)?,
            message: Arc::new(message),
        });
    }
    Ok(waiting)
}

async fn stories(
    db: &mut Db<'_>,
    carriers: &Carriers,
    rows: &[Row],
) -> Result<HashMap<i64, Story>, StoreError> {
    static ATTEMPTS: Bulk = Bulk::new(
        "select message, part, attempt, state, carrier from attempts where message in ({rows})",
        &[Kind::Int],
    );
    let seqs: Vec<i64> = rows
        .iter()
        .map(|row| row.int(0))
        .collect::<sqlx::Result<_>>()?;
    let mut stories: HashMap<i64, Story> = HashMap::new();
    for row in ATTEMPTS.fetch(db, &seqs, |seq| [(*seq).into()]).await? {
        let story = stories.entry(row.int(0)?).or_default();
        story.attempts = story.attempts.max(row.small(2)?);
        match SegmentState::from_index(row.int(3)?) {
            Some(state) if state == SegmentState::Submitted || state.is_final() => {
                story.taken.insert(row.small(1)?);
            }
            _ => {
                let account = carriers.index(row.text(4)?);
                let known = |account: &CarrierIndex| story.tried.contains(account);
                story.tried.extend(account.filter(|one| !known(one)));
            }
        }
    }
    Ok(stories)
}
