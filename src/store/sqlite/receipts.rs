//! Lives here: correlating receipts with attempts and applying what `domain::lifecycle` decides,
//! inside the transaction that will also answer for them; the parked ones.
//! Never here: parsing receipts, sending answers.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

use super::accept::{self, Stored, carrier_text};
use super::bulk::Bulk;
use super::settle::{self, Move};
use crate::domain::class::Class;
use crate::domain::ids::{CarrierId, CarrierIndex, MessageSeq, ReceiptKey};
use crate::domain::lifecycle::{self, Applied, SegmentState};
use crate::domain::message::{FailureCode, State};
use crate::domain::receipt::{Evidence, Receipt};
use crate::domain::time::Timestamp;
use crate::flow::{EventJob, EventKind, ReceiptResult, Transition};
use crate::store::sqlite::outbox;
use crate::store::{Carriers, StoreError};

type AttemptId = (MessageSeq, u8, u16);

/// One attempt that a receipt of this batch may belong to.
struct Candidate {
    id: AttemptId,
    carrier: Box<str>,
    normalised: Box<str>,
    state: SegmentState,
}

/// What a batch of receipts comes to, gathered in memory before it is written in bulk.
#[derive(Default)]
struct Effects<'a> {
    settled: Vec<(AttemptId, SegmentState, &'a Receipt)>,
    events: Vec<(AttemptId, &'a Receipt, bool)>,
    parked: Vec<&'a Receipt>,
    touched: HashSet<MessageSeq>,
}

/// The outcome of [`apply`].
pub(super) struct Correlated {
    pub(super) results: Vec<ReceiptResult>,
    pub(super) jobs: Vec<EventJob>,
    pub(super) reached: Vec<(CarrierIndex, Class, State)>,
}

/// Correlates and applies `receipts` in order. `also` are messages whose roll-up must be looked
/// at again although no receipt of this batch names them (their last segment was just accepted).
pub(super) async fn apply(
    conn: &mut SqliteConnection,
    carriers: &Carriers,
    receipts: &[Receipt],
    also: &[MessageSeq],
) -> Result<Correlated, StoreError> {
    let (mut candidates, mut messages) = candidates(conn, carriers, receipts).await?;
    let mut effects = Effects {
        touched: also.iter().copied().collect(),
        ..Effects::default()
    };
    let results = receipts
        .iter()
        .map(|receipt| effects.take(receipt, candidates.get_mut(&receipt.key)))
        .collect();
    write(conn, &effects).await?;
    let (jobs, reached) = roll_up(conn, carriers, &effects, &mut messages).await?;
    Ok(Correlated {
        results,
        jobs,
        reached,
    })
}

impl<'a> Effects<'a> {
    fn take(&mut self, receipt: &'a Receipt, found: Option<&mut Vec<Candidate>>) -> ReceiptResult {
        let named = |candidate: &&mut Candidate| {
            *candidate.carrier == *receipt.carrier.0 && candidate.normalised == receipt.normalised
        };
        let mut named = found.into_iter().flatten().filter(named);
        let Some(candidate) = named.next() else {
            self.parked.push(receipt);
            return ReceiptResult::Parked;
        };
        match lifecycle::apply_receipt(candidate.state, receipt.state) {
            Applied::Settled(state) => {
                let (message, _, attempt) = candidate.id;
                // Where one submit_sm carried all parts, its id and its receipt are theirs too.
                let others = named.filter(|other| {
                    (other.id.0, other.id.2) == (message, attempt) && !other.state.is_final()
                });
                for part in std::iter::once(candidate).chain(others) {
                    part.state = state;
                    self.settled.push((part.id, state, receipt));
                }
                self.touched.insert(message);
                ReceiptResult::Applied
            }
            Applied::Intermediate => {
                self.events.push((candidate.id, receipt, false));
                ReceiptResult::Intermediate
            }
            Applied::Duplicate => ReceiptResult::Duplicate,
            Applied::Conflict => {
                self.events.push((candidate.id, receipt, true));
                ReceiptResult::Conflict
            }
        }
    }
}

impl Effects<'_> {
    /// Why a message has ended, where a receipt of it says more than the state.
    fn failure(&self, seq: MessageSeq) -> Option<FailureCode> {
        let mut receipts = self.settled.iter().filter(|settled| settled.0.0 == seq);
        receipts.find_map(|settled| settled.2.failure)
    }
}

/// The attempts that carry one of the receipts' keys, and the messages they belong to.
async fn candidates(
    conn: &mut SqliteConnection,
    carriers: &Carriers,
    receipts: &[Receipt],
) -> Result<
    (
        HashMap<ReceiptKey, Vec<Candidate>>,
        HashMap<MessageSeq, Stored>,
    ),
    StoreError,
> {
    static FIND: std::sync::LazyLock<Bulk> = std::sync::LazyLock::new(|| {
        let head = format!(
            "select {}, a.receipt_key, a.part, a.attempt, a.carrier, a.normalised, a.state \
             from attempts a join messages m on m.seq = a.message \
             where a.receipt_key is not null and a.receipt_key in (",
            accept::COLUMNS
        );
        Bulk::new(Box::leak(head.into_boxed_str()), "?", ")")
    });
    let keys: Vec<ReceiptKey> = receipts
        .iter()
        .map(|receipt| receipt.key)
        .collect::<HashSet<_>>()
        .into_iter()
        .collect();
    let rows = FIND
        .fetch(conn, &keys, |query, key| query.bind(key.0))
        .await?;
    let mut candidates: HashMap<ReceiptKey, Vec<Candidate>> = HashMap::with_capacity(rows.len());
    let mut messages = HashMap::with_capacity(rows.len());
    for row in &rows {
        let seq = MessageSeq(row.try_get(0)?);
        let key = ReceiptKey(row.try_get(18)?);
        candidates.entry(key).or_default().push(Candidate {
            id: (seq, row.try_get(19)?, row.try_get(20)?),
            carrier: row.try_get::<&str, _>(21)?.into(),
            normalised: row.try_get::<&str, _>(22)?.into(),
            state: segment(row.try_get(23)?)?,
        });
        if let std::collections::hash_map::Entry::Vacant(place) = messages.entry(seq) {
            place.insert(accept::message(row, carriers)?);
        }
    }
    Ok((candidates, messages))
}

fn segment(index: i64) -> Result<SegmentState, StoreError> {
    SegmentState::from_index(index).ok_or(StoreError::Corrupt {
        what: "attempts.state",
    })
}

static SETTLE: Bulk = Bulk::new(
    "with v (message, part, attempt, state, stat, err, done_date, receipt_at) as (values",
    "(?,?,?,?,?,?,?,?)",
    ") update attempts set state = v.state, stat = v.stat, err = v.err, done_date = v.done_date, \
     receipt_at = v.receipt_at from v where attempts.message = v.message \
     and attempts.part = v.part and attempts.attempt = v.attempt",
);

static EVENTS: Bulk = Bulk::new(
    "insert into receipt_events (message, part, attempt, received_at, stat, err, done_date, conflict) values",
    "(?,?,?,?,?,?,?,?)",
    "on conflict do nothing",
);

static PARK: Bulk = Bulk::new(
    "insert into receipt_inbox (carrier, normalised, stat, done_date, receipt_key, state, raw_id, err, received_at, failure) values",
    "(?,?,?,?,?,?,?,?,?,?)",
    "on conflict do nothing",
);

async fn write(conn: &mut SqliteConnection, effects: &Effects<'_>) -> sqlx::Result<()> {
    SETTLE
        .execute(
            conn,
            &effects.settled,
            |query, ((message, part, attempt), state, receipt)| {
                query
                    .bind(message.0)
                    .bind(i64::from(*part))
                    .bind(i64::from(*attempt))
                    .bind(state.index())
                    .bind(&*receipt.stat)
                    .bind(&*receipt.err)
                    .bind(&*receipt.done_date)
                    .bind(receipt.received_at.0)
            },
        )
        .await?;
    EVENTS
        .execute(
            conn,
            &effects.events,
            |query, ((message, part, attempt), receipt, conflict)| {
                query
                    .bind(message.0)
                    .bind(i64::from(*part))
                    .bind(i64::from(*attempt))
                    .bind(receipt.received_at.0)
                    .bind(&*receipt.stat)
                    .bind(&*receipt.err)
                    .bind(&*receipt.done_date)
                    .bind(i64::from(*conflict))
            },
        )
        .await?;
    PARK.execute(conn, &effects.parked, |query, receipt| {
        query
            .bind(carrier_text(&receipt.carrier))
            .bind(&*receipt.normalised)
            .bind(&*receipt.stat)
            .bind(&*receipt.done_date)
            .bind(receipt.key.0)
            .bind(receipt.state.map(SegmentState::index))
            .bind(&*receipt.raw_id)
            .bind(&*receipt.err)
            .bind(receipt.received_at.0)
            .bind(receipt.failure.map(FailureCode::name))
    })
    .await?;
    Ok(())
}

/// Moves the touched messages whose segments have all had their last word, with their events.
async fn roll_up(
    conn: &mut SqliteConnection,
    carriers: &Carriers,
    effects: &Effects<'_>,
    messages: &mut HashMap<MessageSeq, Stored>,
) -> Result<(Vec<EventJob>, Vec<(CarrierIndex, Class, State)>), StoreError> {
    let missing: Vec<MessageSeq> = effects
        .touched
        .iter()
        .filter(|seq| !messages.contains_key(seq))
        .copied()
        .collect();
    load(conn, carriers, &missing, messages).await?;
    let parts = segments(conn, effects, messages).await?;
    let mut moves = Vec::with_capacity(effects.touched.len());
    for seq in &effects.touched {
        let Some(stored) = messages.get(seq) else {
            continue;
        };
        let Some(to) = parts.get(seq).and_then(|parts| final_state(stored, parts)) else {
            continue;
        };
        let last = effects
            .settled
            .iter()
            .rev()
            .find(|settled| settled.0.0 == *seq);
        let at = last.map_or(stored.message.accepted_at, |settled| settled.2.received_at);
        let detail = (to != State::Delivered)
            .then(|| last.map(|settled| words(settled.2)))
            .flatten();
        let why = (to != State::Delivered)
            .then(|| effects.failure(*seq))
            .flatten();
        moves.push(Move::by_receipt(*seq, to, at, detail, why));
    }
    let made = settle::moves(conn, &moves).await?;
    let (mut jobs, mut reached) = (Vec::new(), Vec::with_capacity(moves.len()));
    for (one, _) in moves.into_iter().zip(made).filter(|(_, made)| *made) {
        if let Some(stored) = messages.remove(&one.seq) {
            reached.push((stored.message.carrier, stored.message.class, one.to));
            jobs.extend(event(stored, &one));
        }
    }
    outbox::insert(conn, &jobs).await?;
    Ok((jobs, reached))
}

/// The messages of several segments, of these, that were in doubt and all of whose segments have
/// turned out to be with the carrier: their moves to submitted.
pub(super) async fn accepted_late(
    conn: &mut SqliteConnection,
    carriers: &Carriers,
    candidates: &HashMap<MessageSeq, Timestamp>,
) -> Result<Vec<Transition>, StoreError> {
    let effects = Effects {
        touched: candidates.keys().copied().collect(),
        ..Effects::default()
    };
    let seqs: Vec<MessageSeq> = effects.touched.iter().copied().collect();
    let mut messages = HashMap::new();
    load(conn, carriers, &seqs, &mut messages).await?;
    messages.retain(|_, stored| stored.state == State::Uncertain);
    if messages.is_empty() {
        return Ok(Vec::new());
    }
    let parts = segments(conn, &effects, &messages).await?;
    let taken = |seq: &MessageSeq, stored: &Stored| {
        parts.get(seq).is_some_and(|parts| {
            parts.len() == usize::from(stored.message.segments)
                && parts.iter().all(|part| weight(*part) > 0)
        })
    };
    messages.retain(|seq, stored| taken(seq, stored));
    let submitted = |(seq, stored): (MessageSeq, Stored)| Transition {
        message: Arc::new(stored.message),
        to: State::Submitted,
        at: candidates[&seq],
        sent_at: Some(candidates[&seq]),
        failure: None,
        detail: None,
        possible_duplicate: false,
    };
    Ok(messages.into_iter().map(submitted).collect())
}

/// A message may only be concluded once all its segments are with the carrier.
fn final_state(stored: &Stored, parts: &[SegmentState]) -> Option<State> {
    let concluded = !matches!(stored.state, State::Scheduled | State::Queued);
    (concluded && parts.len() == usize::from(stored.message.segments))
        .then(|| lifecycle::roll_up(parts))
        .flatten()
        .filter(|to| lifecycle::permits(stored.state, *to))
}

fn words(receipt: &Receipt) -> Box<str> {
    format!("stat:{} err:{}", receipt.stat, receipt.err).into()
}

fn event(stored: Stored, one: &Move) -> Option<EventJob> {
    stored.message.webhook_url.as_ref()?;
    // The order of a message's events: sent 1, its end 2, a carrier's late word 3.
    let late = stored.state.is_terminal();
    Some(EventJob {
        event: outbox::new_event(),
        kind: EventKind::of_state(one.to)?,
        sequence: if late { 3 } else { 2 },
        at: one.at,
        sent_at: stored.sent_at,
        state: one.to,
        failure: accept::failure(one.failure),
        attempts: 0,
        message: Arc::new(stored.message),
    })
}

async fn load(
    conn: &mut SqliteConnection,
    carriers: &Carriers,
    seqs: &[MessageSeq],
    messages: &mut HashMap<MessageSeq, Stored>,
) -> Result<(), StoreError> {
    static LOAD: std::sync::LazyLock<Bulk> = std::sync::LazyLock::new(|| {
        let head = format!(
            "select {} from messages m where m.seq in (",
            accept::COLUMNS
        );
        Bulk::new(Box::leak(head.into_boxed_str()), "?", ")")
    });
    for row in LOAD
        .fetch(conn, seqs, |query, seq| query.bind(seq.0))
        .await?
    {
        let stored = accept::message(&row, carriers)?;
        messages.insert(stored.message.seq, stored);
    }
    Ok(())
}

/// Where each segment of the touched messages stands: the last attempt of each part.
async fn segments(
    conn: &mut SqliteConnection,
    effects: &Effects<'_>,
    messages: &HashMap<MessageSeq, Stored>,
) -> Result<HashMap<MessageSeq, Vec<SegmentState>>, StoreError> {
    static PARTS: Bulk = Bulk::new(
        "select message, part, state from attempts where message in (",
        "?",
        ") order by message, part, attempt",
    );
    let mut parts: HashMap<MessageSeq, Vec<SegmentState>> = HashMap::new();
    // A message of one segment is where its receipt says; no need to read it back.
    for ((seq, _, _), state, _) in &effects.settled {
        if messages
            .get(seq)
            .is_some_and(|stored| stored.message.segments == 1)
        {
            parts.insert(*seq, vec![*state]);
        }
    }
    let several: Vec<MessageSeq> = effects
        .touched
        .iter()
        .filter(|seq| !parts.contains_key(seq))
        .copied()
        .collect();
    let mut last: HashMap<(MessageSeq, u8), SegmentState> = HashMap::new();
    for row in PARTS
        .fetch(conn, &several, |query, seq| query.bind(seq.0))
        .await?
    {
        let place = (MessageSeq(row.try_get(0)?), row.try_get::<u8, _>(1)?);
        let state = segment(row.try_get(2)?)?;
        // What a carrier has taken outweighs what it refused or left in doubt, whenever.
        let entry = last.entry(place).or_insert(state);
        if weight(state) >= weight(*entry) {
            *entry = state;
        }
    }
    let mut sorted: Vec<_> = last.into_iter().collect();
    sorted.sort_unstable_by_key(|(place, _)| *place);
    for ((seq, _), state) in sorted {
        parts.entry(seq).or_default().push(state);
    }
    Ok(parts)
}

/// Which of two attempts at a segment speaks for it.
const fn weight(state: SegmentState) -> u8 {
    match state {
        SegmentState::Refused | SegmentState::InDoubt => 0,
        SegmentState::Submitted => 1,
        SegmentState::Delivered
        | SegmentState::Undelivered
        | SegmentState::Rejected
        | SegmentState::Expired
        | SegmentState::Unknown => 2,
    }
}

/// The receipt keys that are parked, to be kept in memory.
pub(super) async fn parked_keys(conn: &mut SqliteConnection) -> sqlx::Result<HashSet<ReceiptKey>> {
    let rows = sqlx::query("select receipt_key from receipt_inbox")
        .fetch_all(conn)
        .await?;
    rows.iter()
        .map(|row| Ok(ReceiptKey(row.try_get(0)?)))
        .collect()
}

/// Takes parked receipts with these keys out of the inbox.
pub(super) async fn unpark(
    conn: &mut SqliteConnection,
    keys: &[ReceiptKey],
) -> Result<Vec<Receipt>, StoreError> {
    static TAKE: Bulk = Bulk::new(
        "delete from receipt_inbox where receipt_key in (",
        "?",
        ") returning carrier, normalised, stat, done_date, receipt_key, state, raw_id, err, received_at, failure",
    );
    let rows = TAKE
        .fetch(conn, keys, |query, key| query.bind(key.0))
        .await?;
    let mut receipts = Vec::with_capacity(rows.len());
    for row in &rows {
        let state: Option<i64> = row.try_get(5)?;
        receipts.push(Receipt {
            carrier: CarrierId(row.try_get::<&str, _>(0)?.into()),
            normalised: row.try_get::<&str, _>(1)?.into(),
            stat: row.try_get::<&str, _>(2)?.into(),
            done_date: row.try_get::<&str, _>(3)?.into(),
            key: ReceiptKey(row.try_get(4)?),
            state: state.map(segment).transpose()?,
            raw_id: row.try_get::<&str, _>(6)?.into(),
            err: row.try_get::<&str, _>(7)?.into(),
            failure: accept::failure(row.try_get(9)?),
            done_at: None,
            evidence: Evidence::default(),
            received_at: Timestamp(row.try_get(8)?),
        });
    }
    receipts.sort_by_key(|receipt| receipt.received_at);
    Ok(receipts)
}

/// Drops parked receipts older than `before`, and the oldest beyond `limit`; returns how many.
pub(super) async fn forget(
    conn: &mut SqliteConnection,
    before: Timestamp,
    limit: u32,
) -> sqlx::Result<u64> {
    let aged = sqlx::query("delete from receipt_inbox where received_at < ?")
        .bind(before.0)
        .execute(&mut *conn)
        .await?
        .rows_affected();
    let spare = sqlx::query(
        "delete from receipt_inbox where (carrier, normalised, stat, done_date) in (select carrier, \
         normalised, stat, done_date from receipt_inbox order by received_at desc limit -1 offset ?)",
    )
    .bind(limit)
    .execute(&mut *conn)
    .await?
    .rows_affected();
    Ok(aged + spare)
}
