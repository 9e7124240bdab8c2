//! Lives here: what receipts come to for whole messages: which have had their last word, and the
//! events that say so.
//! Never here: finding attempts (`receipts`), rules (`domain::lifecycle`).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::hooks::{self, Happened};
use super::moves;
use super::receipts::Sorted;
use crate::domain::credits::Credits;
use crate::domain::endpoint::Endpoints;
use crate::domain::ids::{MessageSeq, OrgId};
use crate::domain::lifecycle::{self, SegmentState};
use crate::domain::message::State;
use crate::domain::receipt::Receipt;
use crate::domain::time::Timestamp;
use crate::flow::{EventJob, Transition};
use crate::store::StoreError;
use crate::store::batch::Reached;
use crate::store::inbox::Ended;
use crate::store::rows::{Move, Rows, Stored};

/// What a roll-up came to.
#[derive(Default)]
pub(super) struct Rolled {
    pub(super) jobs: Vec<EventJob>,
    pub(super) reached: Vec<Reached>,
    pub(super) ended: Vec<Ended>,
    /// Messages that a carrier turns out to have had though no response said so: whose, what they
    /// cost, when that was heard.
    pub(super) taken: Vec<(OrgId, Credits, Timestamp)>,
}

/// Moves the touched messages whose segments have all had their last word, with their events.
pub(super) async fn roll_up(
    rows: &mut impl Rows,
    endpoints: &Endpoints,
    sorted: &Sorted<'_>,
    messages: &mut HashMap<MessageSeq, Stored>,
) -> Result<Rolled, StoreError> {
    let missing: Vec<MessageSeq> = sorted
        .touched
        .iter()
        .filter(|seq| !messages.contains_key(seq))
        .copied()
        .collect();
    load(rows, &missing, messages).await?;
    let parts = segments(rows, sorted, messages).await?;
    let said = sorted.said();
    let mut ends = Vec::with_capacity(sorted.touched.len());
    for seq in &sorted.touched {
        let Some(stored) = messages.get(seq) else {
            continue;
        };
        let Some(to) = parts.get(seq).and_then(|parts| final_state(stored, parts)) else {
            continue;
        };
        let said = said.get(seq);
        let known = stored.sent_at.unwrap_or(stored.message.accepted_at);
        let at = said.map_or(known, |said| said.last.received_at);
        let failed = said.filter(|_| to != State::Delivered);
        let detail = failed.map(|said| words(said.last));
        let why = failed.and_then(|said| said.failure);
        ends.push(Move::by_receipt(*seq, to, at, detail, why));
    }
    let made = moves::make(rows, &ends).await?;
    let mut rolled = Rolled::default();
    for (one, _) in ends.into_iter().zip(made).filter(|(_, made)| *made) {
        let Some(stored) = messages.remove(&one.seq) else {
            continue;
        };
        let message = &stored.message;
        let last = said.get(&one.seq).map(|said| said.last);
        // After a move to another account the receipt still comes from the one that took it.
        let carrier = last.and_then(|receipt| rows.carriers().index(&receipt.carrier.0));
        let carrier = carrier.unwrap_or(message.carrier);
        rolled.reached.push(Reached {
            message: message.id,
            carrier,
            class: message.class,
            state: one.to,
        });
        if let Some(receipt) = last {
            rolled.ended.push(Ended {
                carrier,
                to: message.to,
                class: message.class,
                state: one.to,
                took: stored.sent_at.map(|sent| receipt.received_at.since(sent)),
            });
        }
        // What had ended before has been settled then.
        if stored.sent_at.is_none() && !stored.state.is_terminal() && stored.message.live {
            let message = &stored.message;
            rolled.taken.push((message.org, message.cost, one.at));
        }
        announce(endpoints, stored, &one, &mut rolled.jobs);
    }
    Ok(rolled)
}

/// The messages of several segments, of these, that were in doubt (or wait to be resent for it) and
/// all of whose segments have turned out to be with the carrier: their moves to submitted.
pub(super) async fn accepted_late(
    rows: &mut impl Rows,
    candidates: &HashMap<MessageSeq, Timestamp>,
) -> Result<Vec<Transition>, StoreError> {
    let sorted = Sorted::about(candidates.keys());
    let seqs: Vec<MessageSeq> = sorted.touched.iter().copied().collect();
    let mut messages = HashMap::new();
    load(rows, &seqs, &mut messages).await?;
    messages.retain(|_, stored| matches!(stored.state, State::Queued | State::Uncertain));
    if messages.is_empty() {
        return Ok(Vec::new());
    }
    let parts = segments(rows, &sorted, &messages).await?;
    let taken = |seq: &MessageSeq, stored: &Stored| {
        parts.get(seq).is_some_and(|parts| {
            parts.len() == usize::from(stored.message.segments)
                && parts.iter().all(|part| is_taken(*part))
        })
    };
    let submitted = |seq: MessageSeq| {
        let stored = messages.remove(&seq)?;
        let at = candidates.get(&seq).copied()?;
        taken(&seq, &stored).then(|| Transition {
            carrier: stored.message.carrier,
            message: Arc::new(stored.message),
            to: State::Submitted,
            at,
            sent_at: Some(at),
            failure: None,
            detail: None,
            possible_duplicate: false,
        })
    };
    Ok(seqs.into_iter().filter_map(submitted).collect())
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

fn announce(endpoints: &Endpoints, stored: Stored, one: &Move, jobs: &mut Vec<EventJob>) {
    let message = &stored.message;
    if message.webhook_url.is_none() && endpoints.of(message.org).is_empty() {
        return;
    }
    // The order of a message's events: sent 1, its end 2, a carrier's late word 3.
    let late = stored.state.is_terminal();
    let happened = Happened {
        state: one.to,
        sequence: if late { 3 } else { 2 },
        at: one.at,
        sent_at: stored.sent_at,
        failure: one.failure,
    };
    hooks::tell(endpoints, &Arc::new(stored.message), &happened, jobs);
}

async fn load(
    rows: &mut impl Rows,
    seqs: &[MessageSeq],
    messages: &mut HashMap<MessageSeq, Stored>,
) -> Result<(), StoreError> {
    for stored in rows.messages(seqs).await? {
        messages.insert(stored.message.seq, stored);
    }
    Ok(())
}

/// Where each segment of the touched messages stands.
async fn segments(
    rows: &mut impl Rows,
    sorted: &Sorted<'_>,
    messages: &HashMap<MessageSeq, Stored>,
) -> Result<HashMap<MessageSeq, Vec<SegmentState>>, StoreError> {
    let mut parts: HashMap<MessageSeq, Vec<SegmentState>> = HashMap::new();
    // A message of one segment that was sent once is where its receipt says; no need to read it
    // back.
    for ((seq, _, _), state, _) in &sorted.settled {
        let once = messages
            .get(seq)
            .is_some_and(|stored| stored.message.segments == 1 && !sorted.resent.contains(seq));
        if once {
            parts.insert(*seq, vec![*state]);
        }
    }
    let several: Vec<MessageSeq> = sorted
        .touched
        .iter()
        .filter(|seq| !parts.contains_key(seq))
        .copied()
        .collect();
    let mut attempts: BTreeMap<(MessageSeq, u8), Vec<SegmentState>> = BTreeMap::new();
    for ((seq, part, _), state) in rows.standing(&several).await? {
        attempts.entry((seq, part)).or_default().push(state);
    }
    for ((seq, _), attempts) in attempts {
        let stands = lifecycle::of_attempts(&attempts);
        parts.entry(seq).or_default().extend(stands);
    }
    Ok(parts)
}

/// Whether a carrier has taken a segment that stands so.
const fn is_taken(state: SegmentState) -> bool {
    !matches!(state, SegmentState::Refused | SegmentState::InDoubt)
}
