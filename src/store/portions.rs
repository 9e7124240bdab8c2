//! Lives here: how a batch is divided when the database refuses it for what is in it, down to the
//! smallest part that can be committed alone, and what is written instead of such a part.
//!
//! The front half holds what comes first, in this order: accepts, what carriers answered, receipts,
//! intents (which look at what was answered), and the rest. Portions are committed one after the
//! other, so what is said of one message keeps its order.
//! Never here: when a batch is divided, who is told (`writer`).

use std::collections::HashSet;
use std::mem;

use tokio::sync::oneshot;

use super::batch::{Accept, Batch, Deliveries, Errand, Intent, Receipts, Settle};
use crate::domain::ids::{EventId, IntentId, MessageId, MessageSeq};
use crate::domain::message::{Message, State};
use crate::domain::time::Timestamp;
use crate::flow::{Reroute, Settlement, Transition};

/// What a part is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A message to accept.
    Accept,
    /// What carriers answered for one message.
    Answer,
    /// A move of one message without an attempt.
    Move,
    /// One receipt.
    Receipt,
    /// A batch about to be handed to a bind.
    Intent,
    /// The end of intents.
    Closing,
    /// One attempt to deliver an event.
    Delivery,
    /// An event that is due again.
    Event,
    /// Rare work.
    Chore,
}

impl Kind {
    /// All, in the order of their numbers.
    pub(super) const ALL: [Self; 9] = [
        Self::Accept,
        Self::Answer,
        Self::Move,
        Self::Receipt,
        Self::Intent,
        Self::Closing,
        Self::Delivery,
        Self::Event,
        Self::Chore,
    ];

    /// The name in metrics and in the log.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Answer => "answer",
            Self::Move => "move",
            Self::Receipt => "receipt",
            Self::Intent => "intent",
            Self::Closing => "intent_end",
            Self::Delivery => "delivery",
            Self::Event => "event",
            Self::Chore => "chore",
        }
    }

    /// Whether somebody waits who is told no, and may ask again: nothing is lost with it.
    pub(super) const fn is_told(self) -> bool {
        match self {
            Self::Accept | Self::Chore => true,
            Self::Answer
            | Self::Move
            | Self::Receipt
            | Self::Intent
            | Self::Closing
            | Self::Delivery
            | Self::Event => false,
        }
    }
}

/// The only part of a batch.
#[derive(Debug)]
pub(super) enum Alone {
    Accept(Accept),
    Settle(Settle),
    Receipt(Receipts),
    Intent(Intent),
    Closing(IntentId),
    Delivery(Deliveries),
    Event(EventId),
    Chore(Box<Errand>),
}

/// A task of several parts that can be committed one after the other.
trait Divide: Sized {
    fn parts(&self) -> usize;

    /// Takes the first parts out, fewer than there are. The rest answers for all: it is dealt with
    /// after them.
    fn divide(&mut self, parts: usize) -> Self;
}

impl Batch {
    /// How many parts it has that can be committed alone.
    pub(super) fn parts(&self) -> usize {
        self.accepts.len()
            + parts(&self.settlements)
            + parts(&self.receipts)
            + self.intents.len()
            + self.closed.len()
            + parts(&self.deliveries)
            + self.left.len()
            + self.chores.len()
    }

    /// Takes the first half of its parts out.
    pub(super) fn divide(&mut self) -> Self {
        let mut room = self.parts() / 2;
        self.rows /= 2;
        Self {
            accepts: front(&mut self.accepts, &mut room),
            settlements: divided(&mut self.settlements, &mut room),
            receipts: divided(&mut self.receipts, &mut room),
            intents: front(&mut self.intents, &mut room),
            closed: front(&mut self.closed, &mut room),
            deliveries: divided(&mut self.deliveries, &mut room),
            left: front(&mut self.left, &mut room),
            chores: front(&mut self.chores, &mut room),
            rows: self.rows,
            refusals: self.refusals,
            instead: self.instead,
        }
    }

    /// The kinds of its parts, some more than once.
    pub(super) fn kinds(&self) -> impl Iterator<Item = Kind> {
        fn some<T>(list: &[T], kind: Kind) -> Option<Kind> {
            (!list.is_empty()).then_some(kind)
        }
        let settlements = self.settlements.iter();
        let settlements = settlements.flat_map(|one| settled_kinds(&one.settlement));
        settlements.chain(
            [
                some(&self.accepts, Kind::Accept),
                some(&self.receipts, Kind::Receipt),
                some(&self.intents, Kind::Intent),
                some(&self.closed, Kind::Closing),
                some(&self.deliveries, Kind::Delivery),
                some(&self.left, Kind::Event),
                some(&self.chores, Kind::Chore),
            ]
            .into_iter()
            .flatten(),
        )
    }

    /// Its last part.
    pub(super) fn into_alone(mut self) -> Option<Alone> {
        debug_assert!(self.parts() < 2, "it can be divided");
        None.or_else(|| self.accepts.pop().map(Alone::Accept))
            .or_else(|| self.settlements.pop().map(Alone::Settle))
            .or_else(|| self.receipts.pop().map(Alone::Receipt))
            .or_else(|| self.intents.pop().map(Alone::Intent))
            .or_else(|| self.closed.pop().map(Alone::Closing))
            .or_else(|| self.deliveries.pop().map(Alone::Delivery))
            .or_else(|| self.left.pop().map(|(event, _)| Alone::Event(event)))
            .or_else(|| self.chores.pop().map(Box::new).map(Alone::Chore))
    }

    /// A batch that is written instead of a part.
    pub(super) fn instead(settle: Settle) -> Self {
        Self {
            settlements: vec![settle],
            instead: true,
            ..Self::default()
        }
    }
}

fn front<T>(list: &mut Vec<T>, room: &mut usize) -> Vec<T> {
    let taken = list.len().min(*room);
    *room -= taken;
    let rest = list.split_off(taken);
    mem::replace(list, rest)
}

fn parts<T: Divide>(list: &[T]) -> usize {
    list.iter().map(Divide::parts).sum()
}

/// As [`front`], but the last one that is taken may be taken in part.
fn divided<T: Divide>(list: &mut Vec<T>, room: &mut usize) -> Vec<T> {
    let mut whole = 0;
    while let Some(one) = list.get(whole)
        && one.parts() <= *room
    {
        *room -= one.parts();
        whole += 1;
    }
    let mut taken = front(list, &mut whole);
    if *room > 0
        && let Some(one) = list.first_mut()
    {
        taken.push(one.divide(*room));
        *room = 0;
    }
    taken
}

impl Divide for Settle {
    /// One for each message, one for the intents that end with it.
    fn parts(&self) -> usize {
        let ends = usize::from(!self.settlement.closed_intents.is_empty());
        (messages(&self.settlement).len() + ends).max(1)
    }

    fn divide(&mut self, parts: usize) -> Self {
        let all = mem::take(&mut self.settlement);
        let chosen: HashSet<MessageSeq> = messages(&all).into_iter().take(parts).collect();
        let is_chosen = |message: &Message| chosen.contains(&message.seq);
        let attempts = all.attempts.into_iter();
        let (attempts, attempts_left) = attempts.partition(|one| is_chosen(&one.message));
        let transitions = all.transitions.into_iter();
        let (transitions, transitions_left) = transitions.partition(|one| is_chosen(&one.message));
        let reroutes = all.reroutes.into_iter();
        let (reroutes, reroutes_left) = reroutes.partition(|one| is_chosen(&one.ready.message));
        self.settlement = Settlement {
            attempts: attempts_left,
            transitions: transitions_left,
            // An intent ends when all that is said of its messages is written.
            closed_intents: all.closed_intents,
            reroutes: reroutes_left,
        };
        Self {
            settlement: Settlement {
                attempts,
                transitions,
                closed_intents: Vec::new(),
                reroutes,
            },
            reply: None,
        }
    }
}

impl Divide for Receipts {
    fn parts(&self) -> usize {
        self.receipts.len().max(1)
    }

    fn divide(&mut self, parts: usize) -> Self {
        let (reply, results) = oneshot::channel();
        Self {
            receipts: self.receipts.drain(..parts).collect(),
            earlier: self.earlier.replace(results),
            reply,
        }
    }
}

impl Divide for Deliveries {
    fn parts(&self) -> usize {
        self.records.len().max(1)
    }

    fn divide(&mut self, parts: usize) -> Self {
        Self {
            records: self.records.drain(..parts).collect(),
            reply: None,
        }
    }
}

/// The messages of a settlement, each once, in order.
fn messages(settlement: &Settlement) -> Vec<MessageSeq> {
    let attempts = settlement.attempts.iter().map(|one| one.message.seq);
    let transitions = settlement.transitions.iter().map(|one| one.message.seq);
    let reroutes = settlement.reroutes.iter().map(|one| one.ready.message.seq);
    let mut seen = HashSet::new();
    let all = attempts.chain(transitions).chain(reroutes);
    all.filter(|seq| seen.insert(*seq)).collect()
}

/// The message that a settlement of one part is about; `None`: it only ends intents.
pub(super) fn subject(settlement: &Settlement) -> Option<MessageId> {
    let attempts = settlement.attempts.iter().map(|one| one.message.id);
    let transitions = settlement.transitions.iter().map(|one| one.message.id);
    let reroutes = settlement.reroutes.iter().map(|one| one.ready.message.id);
    attempts.chain(transitions).chain(reroutes).next()
}

fn settled_kinds(settlement: &Settlement) -> impl Iterator<Item = Kind> + use<> {
    let answered: HashSet<MessageSeq> = settlement
        .attempts
        .iter()
        .map(|one| one.message.seq)
        .collect();
    let ends = !settlement.closed_intents.is_empty();
    let moved = messages(settlement).len() > answered.len();
    // One that says nothing is a move of nobody.
    let moved = moved || (answered.is_empty() && !ends);
    [
        (!answered.is_empty()).then_some(Kind::Answer),
        moved.then_some(Kind::Move),
        ends.then_some(Kind::Closing),
    ]
    .into_iter()
    .flatten()
}

/// What is written of a message instead of all that was said of it: that it is in doubt, unless
/// nothing of it can have reached a carrier (then it stays where it is, and its time ends it).
/// Text of a carrier's is not in it.
pub(super) fn doubt(settlement: &Settlement) -> Option<Settlement> {
    let sent = |one: &&Transition| matches!(one.to, State::Submitted | State::Uncertain);
    let answer = settlement.attempts.iter().map(|one| {
        let at: Timestamp = one.answered_at;
        (&one.message, one.message.carrier, at)
    });
    let moves = settlement.transitions.iter().filter(sent);
    let moves = moves.map(|one| (&one.message, one.carrier, one.at));
    let (message, carrier, at) = answer.chain(moves).next()?;
    let mut moves = settlement.transitions.iter();
    Some(Settlement {
        transitions: vec![Transition {
            message: message.clone(),
            carrier,
            to: State::Uncertain,
            at,
            sent_at: None,
            failure: None,
            detail: None,
            possible_duplicate: moves.any(|one| one.possible_duplicate),
        }],
        ..Settlement::default()
    })
}

/// What is written instead of an intent: its messages, not to be sent by their bind now, come to the
/// end of their own lane again.
pub(super) fn again(intent: &Intent) -> Settlement {
    let reroutes = intent.batch.iter().map(|ready| Reroute {
        ready: ready.clone(),
        to: ready.carrier,
    });
    Settlement {
        reroutes: reroutes.collect(),
        ..Settlement::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{CarrierId, ReceiptKey};
    use crate::domain::receipt::{Evidence, Receipt};
    use crate::flow::ReceiptResult;

    fn receipt(id: u64) -> Receipt {
        let carrier = CarrierId("mtn_ng".into());
        let id: Box<str> = id.to_string().into();
        Receipt {
            key: ReceiptKey::new(&carrier, &id),
            carrier,
            normalised: id.clone(),
            raw_id: id,
            state: None,
            stat: "".into(),
            err: "".into(),
            failure: None,
            done_date: "".into(),
            done_at: None,
            evidence: Evidence::default(),
            received_at: Timestamp(0),
        }
    }

    /// A batch of `tasks` tasks of `receipts` receipts, each with a number of its own, and of as many
    /// intents that end and events that are left.
    fn batch(tasks: u64, receipts: u64) -> (Batch, Vec<oneshot::Receiver<Vec<ReceiptResult>>>) {
        let (mut batch, mut answers) = (Batch::default(), Vec::new());
        for task in 0..tasks {
            let (reply, answer) = oneshot::channel();
            let numbers = (0..receipts).map(|one| receipt(task * receipts + one));
            batch.receipts.push(Receipts {
                receipts: numbers.collect(),
                earlier: None,
                reply,
            });
            answers.push(answer);
            batch.closed.push(IntentId(task as i64));
            batch
                .left
                .push((EventId(uuid::Uuid::from_u128(task.into())), Timestamp(0)));
        }
        (batch, answers)
    }

    #[test]
    fn halves_of_halves_are_all_the_parts_each_once_and_in_their_order() {
        for (tasks, receipts) in [(1, 1), (1, 7), (3, 5), (8, 16), (5, 1)] {
            let (whole, answers) = batch(tasks, receipts);
            let mut todo = std::collections::VecDeque::from([whole]);
            let (mut ids, mut ends, mut events) = (Vec::new(), 0, 0);
            while let Some(mut one) = todo.pop_front() {
                if one.parts() > 1 {
                    let (parts, first) = (one.parts(), one.divide());
                    assert_eq!(first.parts() + one.parts(), parts);
                    assert_eq!(first.parts(), parts / 2);
                    todo.push_front(one);
                    todo.push_front(first);
                    continue;
                }
                match one.into_alone().unwrap() {
                    Alone::Receipt(receipts) => {
                        let id: u64 = receipts.receipts[0].raw_id.parse().unwrap();
                        ids.push(id);
                        let result = [ReceiptResult::Applied, ReceiptResult::Refused];
                        receipts.answer(vec![result[id as usize % 2]]);
                    }
                    Alone::Closing(_) => ends += 1,
                    Alone::Event(_) => events += 1,
                    other => panic!("nobody asked for {other:?}"),
                }
            }
            assert_eq!(ids, (0..tasks * receipts).collect::<Vec<_>>());
            assert_eq!((ends, events), (tasks, tasks));
            // Who asked hears of all that was his, in his order.
            let told = answers
                .into_iter()
                .flat_map(|mut one| one.try_recv().unwrap());
            let refused = told.map(|one| u64::from(one == ReceiptResult::Refused));
            let odd = (0..tasks * receipts).map(|id| id % 2);
            assert!(refused.eq(odd));
        }
    }
}
