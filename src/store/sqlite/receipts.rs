//! Lives here: correlating receipts with attempts and applying what `domain::lifecycle` decides,
//! inside the transaction that will also answer for them.
//! Never here: parsing receipts, sending answers.

pub(super) mod inbox;
pub(super) mod proof;
pub(super) mod replay;
mod rollup;

use std::collections::{HashMap, HashSet};

use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

use super::accept::{self, Stored};
use super::bulk::Bulk;
use crate::domain::class::Class;
use crate::domain::ids::{CarrierIndex, MessageSeq, ReceiptKey};
use crate::domain::lifecycle::{self, Applied, SegmentState};
use crate::domain::message::{FailureCode, State};
use crate::domain::receipt::Receipt;
use crate::flow::{EventJob, ReceiptResult};
use crate::store::inbox::Ended;
use crate::store::{Carriers, StoreError};

pub(super) use rollup::accepted_late;

/// Message, part, attempt.
pub(in crate::store) type AttemptId = (MessageSeq, u8, u16);

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
    /// Messages of which several copies may be under way.
    resent: HashSet<MessageSeq>,
}

/// The outcome of [`apply`].
pub(super) struct Correlated {
    pub(super) results: Vec<ReceiptResult>,
    pub(super) jobs: Vec<EventJob>,
    pub(super) reached: Vec<(CarrierIndex, Class, State)>,
    pub(super) ended: Vec<Ended>,
}

/// Correlates and applies `receipts` in order. `also` are messages whose roll-up must be looked
/// at again although no receipt of this batch names them (their last segment was just accepted).
pub(super) async fn apply(
    conn: &mut SqliteConnection,
    carriers: &Carriers,
    receipts: &[Receipt],
    also: &[MessageSeq],
) -> Result<Correlated, StoreError> {
    let mut effects = Effects {
        touched: also.iter().copied().collect(),
        ..Effects::default()
    };
    let (mut candidates, mut messages) =
        candidates(conn, carriers, receipts, &mut effects.resent).await?;
    let results = receipts
        .iter()
        .map(|receipt| effects.take(receipt, candidates.get_mut(&receipt.key)))
        .collect();
    write(conn, &effects).await?;
    let rolled = rollup::roll_up(conn, carriers, &effects, &mut messages).await?;
    Ok(Correlated {
        results,
        jobs: rolled.jobs,
        reached: rolled.reached,
        ended: rolled.ended,
    })
}

impl<'a> Effects<'a> {
    /// A carrier that counts its ids anew means its newest message; one that gives all segments of
    /// a message the same id means all of them.
    fn take(&mut self, receipt: &'a Receipt, found: Option<&mut Vec<Candidate>>) -> ReceiptResult {
        let named = |candidate: &Candidate| {
            *candidate.carrier == *receipt.carrier.0 && candidate.normalised == receipt.normalised
        };
        let list = found.map_or(&mut [][..], |list| list.as_mut_slice());
        let newest = list
            .iter()
            .filter(|one| named(one))
            .map(|one| one.id.0)
            .max();
        let mut result = ReceiptResult::Parked;
        for candidate in list
            .iter_mut()
            .filter(|one| named(one) && Some(one.id.0) == newest)
        {
            let one = self.take_one(receipt, candidate);
            if matches!(result, ReceiptResult::Parked | ReceiptResult::Duplicate) {
                result = one;
            }
        }
        if result == ReceiptResult::Parked {
            self.parked.push(receipt);
        }
        result
    }

    fn take_one(&mut self, receipt: &'a Receipt, candidate: &mut Candidate) -> ReceiptResult {
        match lifecycle::apply_receipt(candidate.state, receipt.state) {
            Applied::Settled(state) => {
                candidate.state = state;
                self.settled.push((candidate.id, state, receipt));
                self.touched.insert(candidate.id.0);
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

/// The attempts that carry one of the receipts' keys, and the messages they belong to; notes
/// which of these may have been sent more than once.
async fn candidates(
    conn: &mut SqliteConnection,
    carriers: &Carriers,
    receipts: &[Receipt],
    resent: &mut HashSet<MessageSeq>,
) -> Result<
    (
        HashMap<ReceiptKey, Vec<Candidate>>,
        HashMap<MessageSeq, Stored>,
    ),
    StoreError,
> {
    static FIND: std::sync::LazyLock<Bulk> = std::sync::LazyLock::new(|| {
        let head = format!(
            "select {}, a.receipt_key, a.part, a.attempt, a.carrier, a.normalised, a.state, \
             m.possible_duplicate \
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
        let id: AttemptId = (seq, row.try_get(19)?, row.try_get(20)?);
        if id.2 > 1 || row.try_get(24)? {
            resent.insert(seq);
        }
        candidates.entry(key).or_default().push(Candidate {
            id,
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
    "with v (message, part, attempt, state, stat, err, done_date, receipt_at, done_at) as (values",
    "(?,?,?,?,?,?,?,?,?)",
    ") update attempts set state = v.state, stat = v.stat, err = v.err, done_date = v.done_date, \
     receipt_at = v.receipt_at, done_at = v.done_at from v where attempts.message = v.message \
     and attempts.part = v.part and attempts.attempt = v.attempt",
);

static EVENTS: Bulk = Bulk::new(
    "insert into receipt_events (message, part, attempt, received_at, stat, err, done_date, conflict) values",
    "(?,?,?,?,?,?,?,?)",
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
                    .bind(receipt.done_at.map(|at| at.0))
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
    inbox::park(conn, &effects.parked).await
}
