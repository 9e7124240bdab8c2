//! Lives here: correlating receipts with attempts and applying what `domain::lifecycle` decides,
//! inside the transaction that will also answer for them.
//! Never here: parsing receipts, sending answers, what they come to for whole messages (`rollup`).

use std::collections::{BTreeSet, HashMap, HashSet};

use super::moves::once;
use super::rollup;
use crate::domain::credits::Credits;
use crate::domain::endpoint::Endpoints;
use crate::domain::ids::{MessageSeq, OrgId, ReceiptKey};
use crate::domain::lifecycle::{self, Applied, SegmentState};
use crate::domain::message::FailureCode;
use crate::domain::receipt::Receipt;
use crate::domain::time::Timestamp;
use crate::flow::{EventJob, ReceiptResult};
use crate::store::StoreError;
use crate::store::batch::Reached;
use crate::store::inbox::Ended;
use crate::store::rows::{AttemptId, Rows, Stored};

/// The outcome of [`apply`].
pub(super) struct Correlated {
    pub(super) results: Vec<ReceiptResult>,
    pub(super) jobs: Vec<EventJob>,
    pub(super) reached: Vec<Reached>,
    pub(super) ended: Vec<Ended>,
    pub(super) taken: Vec<(OrgId, Credits, Timestamp)>,
}

/// One attempt that a receipt of this batch may belong to.
struct Candidate {
    id: AttemptId,
    carrier: Box<str>,
    normalised: Box<str>,
    state: SegmentState,
}

/// What a batch of receipts comes to, gathered in memory before it is written in bulk.
#[derive(Default)]
pub(super) struct Sorted<'a> {
    pub(super) settled: Vec<(AttemptId, SegmentState, &'a Receipt)>,
    events: Vec<(AttemptId, &'a Receipt, bool)>,
    parked: Vec<&'a Receipt>,
    pub(super) touched: BTreeSet<MessageSeq>,
    /// Messages of which several copies may be under way.
    pub(super) resent: HashSet<MessageSeq>,
}

/// What the receipts of a batch say of one message.
pub(super) struct Said<'a> {
    /// The one that settled an attempt last.
    pub(super) last: &'a Receipt,
    /// Why the message has ended, where a receipt says more than the state.
    pub(super) failure: Option<FailureCode>,
}

/// The attempts that carry one of a batch's keys, and the messages they belong to.
#[derive(Default)]
struct Found {
    candidates: HashMap<ReceiptKey, Vec<Candidate>>,
    messages: HashMap<MessageSeq, Stored>,
}

/// Correlates and applies `receipts` in order. `also` are messages whose roll-up must be looked
/// at again although no receipt of this batch names them (their last segment was just accepted).
pub(super) async fn apply(
    rows: &mut impl Rows,
    endpoints: &Endpoints,
    receipts: &[Receipt],
    also: &[MessageSeq],
) -> Result<Correlated, StoreError> {
    let mut sorted = Sorted::about(also);
    let mut found = find(rows, receipts, &mut sorted.resent).await?;
    let results = receipts
        .iter()
        .map(|receipt| sorted.take(receipt, found.candidates.get_mut(&receipt.key)))
        .collect();
    rows.settle_attempts(&sorted.settled).await?;
    rows.note_receipts(&sorted.events).await?;
    rows.park(&sorted.to_park()).await?;
    let rolled = rollup::roll_up(rows, endpoints, &sorted, &mut found.messages).await?;
    Ok(Correlated {
        results,
        jobs: rolled.jobs,
        reached: rolled.reached,
        ended: rolled.ended,
        taken: rolled.taken,
    })
}

impl<'a> Sorted<'a> {
    /// No receipts, and these messages to look at.
    pub(super) fn about<'m>(messages: impl IntoIterator<Item = &'m MessageSeq>) -> Self {
        Self {
            touched: messages.into_iter().copied().collect(),
            ..Self::default()
        }
    }

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

    /// The rows that the inbox is to hold, each once.
    fn to_park(&self) -> Vec<&'a Receipt> {
        let row = |one: &&'a Receipt| {
            let one: &'a Receipt = one;
            (&one.carrier, &*one.normalised, &*one.stat, &*one.done_date)
        };
        once(&self.parked, row).into_iter().copied().collect()
    }

    /// What the batch says of each message that it settles attempts of.
    pub(super) fn said(&self) -> HashMap<MessageSeq, Said<'a>> {
        let mut said = HashMap::with_capacity(self.settled.len());
        for ((seq, _, _), _, receipt) in &self.settled {
            let one = said.entry(*seq).or_insert(Said {
                last: receipt,
                failure: None,
            });
            one.last = receipt;
            one.failure = one.failure.or(receipt.failure);
        }
        said
    }
}

/// Looks attempts up by the receipts' keys; notes which of their messages may have been sent more
/// than once.
async fn find(
    rows: &mut impl Rows,
    receipts: &[Receipt],
    resent: &mut HashSet<MessageSeq>,
) -> Result<Found, StoreError> {
    let Some(now) = receipts.iter().map(|receipt| receipt.received_at).max() else {
        return Ok(Found::default());
    };
    let keys: Vec<ReceiptKey> = once(receipts, |receipt| receipt.key)
        .into_iter()
        .map(|receipt| receipt.key)
        .collect();
    let keyed = rows.keyed(&keys, now).await?;
    let mut found = Found {
        candidates: HashMap::with_capacity(keyed.len()),
        messages: HashMap::with_capacity(keyed.len()),
    };
    for one in keyed {
        let seq = one.id.0;
        if one.id.2 > 1 || one.possible_duplicate {
            resent.insert(seq);
        }
        found
            .candidates
            .entry(one.key)
            .or_default()
            .push(Candidate {
                id: one.id,
                carrier: one.carrier,
                normalised: one.normalised,
                state: one.state,
            });
        found.messages.entry(seq).or_insert(one.stored);
    }
    Ok(found)
}
