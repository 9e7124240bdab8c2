//! Lives here: what a run finds of the last one, and what it was about to send: intents.
//! Never here: what an engine concludes from it.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::tables::{
    AttemptRow, COMMIT, GIVEN, IntentRow, MessageMark, MessageRow, ORDERLY, Tables,
};
use crate::domain::class::Class;
use crate::domain::ids::{BindName, CarrierId, IntentId, MessageSeq, Place};
use crate::domain::lifecycle::SegmentState;
use crate::domain::message::State;
use crate::store::batch::Intent;
use crate::store::rows::{House, Interrupted};

impl Tables {
    pub(super) fn open_house(&mut self) -> House {
        let newest = self.messages.all().next_back().map(|row| row.message.seq.0);
        let house = House {
            last: Place(self.left(GIVEN).max(newest.unwrap_or(0))),
            orderly: self.house.remove(&ORDERLY).is_some(),
            commit: self.left(COMMIT),
        };
        let leased = self.outbox.all();
        let leased = leased.filter(|row| row.attempts == 0 && row.due_at > row.event.at);
        for event in leased.map(|row| row.event.event).collect::<Vec<_>>() {
            self.outbox
                .change(&event, |_| true, |row| row.due_at = row.event.at);
        }
        house
    }

    pub(super) fn intend(&mut self, intents: &[Intent]) {
        for intent in intents {
            let batch = intent.batch.iter();
            self.intents.insert(IntentRow {
                id: intent.id,
                carrier: Arc::clone(&intent.carrier.0),
                bind: Arc::clone(&intent.bind.0),
                at: intent.at,
                messages: batch.map(|ready| ready.message.seq).collect(),
            });
        }
    }

    pub(super) fn close_intents(&mut self, intents: &[IntentId]) {
        for id in intents {
            self.intents.remove(id);
        }
    }

    pub(super) fn under_way(&self) -> HashSet<MessageSeq> {
        let intents = self.intents.all();
        intents
            .flat_map(|row| row.messages.iter().copied())
            .collect()
    }

    pub(super) fn interrupted(&self) -> Vec<Interrupted> {
        let mut found = BTreeMap::new();
        // The newest intent comes last.
        for intent in self.intents.all() {
            for message in &intent.messages {
                let one = Interrupted {
                    message: *message,
                    carrier: CarrierId(Arc::clone(&intent.carrier)),
                    bind: BindName(Arc::clone(&intent.bind)),
                    at: intent.at,
                };
                found.insert(*message, one);
            }
        }
        found.into_values().collect()
    }

    pub(super) fn doubt(&mut self, interrupted: &[Interrupted]) -> u64 {
        super::once(interrupted, |one| one.message);
        let open = |row: &MessageRow| matches!(row.state, State::Queued | State::Uncertain);
        let mut doubted = 0;
        for one in interrupted {
            let Some(row) = self.messages.get(&one.message).filter(|row| open(row)) else {
                continue;
            };
            let (segments, to) = (row.message.segments, row.message.to);
            let attempt = 1 + self
                .attempts_of(one.message)
                .map(|row| row.id.2)
                .max()
                .unwrap_or(0);
            let taken: HashSet<u8> = self
                .attempts_of(one.message)
                .filter(|row| !matches!(row.state, SegmentState::Refused | SegmentState::InDoubt))
                .map(|row| row.id.1)
                .collect();
            for part in (1..=segments).filter(|part| !taken.contains(part)) {
                self.attempts.put(AttemptRow {
                    id: (one.message, part, attempt),
                    carrier: Arc::clone(&one.carrier.0),
                    bind: Arc::clone(&one.bind.0),
                    sequence: 0,
                    submitted_at: one.at,
                    answered_at: one.at,
                    state: SegmentState::InDoubt,
                    status: None,
                    raw_id: None,
                    normalised: None,
                    receipt_key: None,
                    receipt: None,
                    recipient: Some(to.digits().into()),
                    resolved: None,
                });
            }
            doubted += u64::from(self.messages.change(&one.message, open, |row| {
                let again = row.state == State::Uncertain || row.message.class == Class::Otp;
                row.possible_duplicate |= again;
                row.state = State::Uncertain;
            }));
        }
        for id in self.intents.all().map(|row| row.id).collect::<Vec<_>>() {
            self.intents.remove(&id);
        }
        doubted
    }

    /// Messages in doubt behind one, in order.
    pub(super) fn uncertain(&self, after: MessageSeq) -> impl Iterator<Item = &MessageRow> {
        let from = MessageMark::InDoubt(MessageSeq(after.0.saturating_add(1)));
        let until = MessageMark::InDoubt(MessageSeq(i64::MAX));
        self.messages.marked(from..=until)
    }
}
