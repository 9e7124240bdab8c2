//! Lives here: what receipts come to for whole messages: which have had their last word, and the
//! events that say so.
//! Never here: finding attempts (`receipts`), rules (`domain::lifecycle`).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

use super::{Effects, segment};
use crate::domain::class::Class;
use crate::domain::ids::{CarrierIndex, MessageSeq};
use crate::domain::lifecycle::{self, SegmentState};
use crate::domain::message::State;
use crate::domain::receipt::Receipt;
use crate::domain::time::Timestamp;
use crate::flow::{EventJob, EventKind, Transition};
use crate::store::inbox::Ended;
use crate::store::sqlite::accept::{self, Stored};
use crate::store::sqlite::bulk::Bulk;
use crate::store::sqlite::outbox;
use crate::store::sqlite::settle::{self, Move};
use crate::store::{Carriers, StoreError};

/// What a roll-up came to.
#[derive(Default)]
pub(super) struct Rolled {
    pub(super) jobs: Vec<EventJob>,
    pub(super) reached: Vec<(CarrierIndex, Class, State)>,
    pub(super) ended: Vec<Ended>,
}

/// Moves the touched messages whose segments have all had their last word, with their events.
pub(super) async fn roll_up(
    conn: &mut SqliteConnection,
    carriers: &Carriers,
    effects: &Effects<'_>,
    messages: &mut HashMap<MessageSeq, Stored>,
) -> Result<Rolled, StoreError> {
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
        let last = last_word(effects, *seq);
        let known = stored.sent_at.unwrap_or(stored.message.accepted_at);
        let at = last.map_or(known, |settled| settled.2.received_at);
        let detail = (to != State::Delivered)
            .then(|| last.map(|settled| words(settled.2)))
            .flatten();
        let why = (to != State::Delivered)
            .then(|| effects.failure(*seq))
            .flatten();
        moves.push(Move::by_receipt(*seq, to, at, detail, why));
    }
    let made = settle::moves(conn, &moves).await?;
    let mut rolled = Rolled::default();
    for (one, _) in moves.into_iter().zip(made).filter(|(_, made)| *made) {
        let Some(stored) = messages.remove(&one.seq) else {
            continue;
        };
        let message = &stored.message;
        let last = last_word(effects, one.seq);
        // After a move to another account the receipt still comes from the one that took it.
        let carrier = last.and_then(|(_, _, receipt)| carriers.index(&receipt.carrier.0));
        let carrier = carrier.unwrap_or(message.carrier);
        rolled.reached.push((carrier, message.class, one.to));
        if let Some((_, _, receipt)) = last {
            rolled.ended.push(Ended {
                carrier,
                to: message.to,
                class: message.class,
                state: one.to,
                took: stored.sent_at.map(|sent| receipt.received_at.since(sent)),
            });
        }
        rolled.jobs.extend(event(stored, &one));
    }
    outbox::insert(conn, &rolled.jobs).await?;
    Ok(rolled)
}

/// The receipt of this batch that ended a message.
fn last_word<'a, 'b>(
    effects: &'b Effects<'a>,
    seq: MessageSeq,
) -> Option<&'b (super::AttemptId, SegmentState, &'a Receipt)> {
    effects.settled.iter().rev().find(|one| one.0.0 == seq)
}

/// The messages of several segments, of these, that were in doubt (or wait to be resent for it) and
/// all of whose segments have turned out to be with the carrier: their moves to submitted.
pub(in crate::store::sqlite) async fn accepted_late(
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
    messages.retain(|_, stored| matches!(stored.state, State::Queued | State::Uncertain));
    if messages.is_empty() {
        return Ok(Vec::new());
    }
    let parts = segments(conn, &effects, &messages).await?;
    let taken = |seq: &MessageSeq, stored: &Stored| {
        parts.get(seq).is_some_and(|parts| {
            parts.len() == usize::from(stored.message.segments)
                && parts.iter().all(|part| is_taken(*part))
        })
    };
    messages.retain(|seq, stored| taken(seq, stored));
    let submitted = |(seq, stored): (MessageSeq, Stored)| Transition {
        carrier: stored.message.carrier,
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

/// Where each segment of the touched messages stands.
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
    // A message of one segment that was sent once is where its receipt says; no need to read it
    // back.
    for ((seq, _, _), state, _) in &effects.settled {
        let once = messages
            .get(seq)
            .is_some_and(|stored| stored.message.segments == 1 && !effects.resent.contains(seq));
        if once {
            parts.insert(*seq, vec![*state]);
        }
    }
    let several: Vec<MessageSeq> = effects
        .touched
        .iter()
        .filter(|seq| !parts.contains_key(seq))
        .copied()
        .collect();
    let mut attempts: BTreeMap<(MessageSeq, u8), Vec<SegmentState>> = BTreeMap::new();
    for row in PARTS
        .fetch(conn, &several, |query, seq| query.bind(seq.0))
        .await?
    {
        let place = (MessageSeq(row.try_get(0)?), row.try_get::<u8, _>(1)?);
        attempts
            .entry(place)
            .or_default()
            .push(segment(row.try_get(2)?)?);
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
