//! Lives here: the model's messages: accepted, queued, moved, read back.
//! Never here: what has been sent of them (`attempts`).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::faults::violated;
use super::once;
use super::tables::{MessageMark, MessageRow, Tables};
use crate::domain::class::Class;
use crate::domain::ids::{CarrierId, MessageId, MessageSeq, OrgId, Place};
use crate::domain::lifecycle::SegmentState;
use crate::domain::message::{Message, State};
use crate::domain::time::Timestamp;
use crate::flow::Reroute;
use crate::store::control::{Bookmark, Sweep};
use crate::store::rows::{Candidate, LaneRow, Move, Overdue, Stored, day_of_seq};
use crate::store::{Carriers, StoreError};

/// An id above all others.
pub(super) const LAST_ORG: OrgId = OrgId(uuid::Uuid::max());

impl Tables {
    /// The message with this id.
    pub(super) fn message(&self, id: MessageId) -> Option<&MessageRow> {
        let mark = MessageMark::Id(id);
        self.messages.marked(mark.clone()..=mark).next()
    }

    /// The queued messages of a lane from a place in its order on: by organisation and place.
    pub(super) fn lane<'a>(
        &'a self,
        (carrier, class): (&str, Class),
        from: (OrgId, Place),
        until: (OrgId, Place),
    ) -> impl DoubleEndedIterator<Item = &'a MessageRow> + use<'a> {
        let carrier: Arc<str> = carrier.into();
        let from = MessageMark::Waiting(Arc::clone(&carrier), class, from.0, from.1);
        let until = MessageMark::Waiting(carrier, class, until.0, until.1);
        // From behind the end on there is nothing, and a map's range may not end before it begins.
        let sound = from <= until;
        let rows = sound.then(|| self.messages.marked(from..=until));
        rows.into_iter().flatten()
    }

    pub(super) fn insert_messages(
        &mut self,
        carriers: &Carriers,
        messages: &[Arc<Message>],
    ) -> Result<(), StoreError> {
        for message in messages {
            if self.messages.get(&message.seq).is_some() {
                continue;
            }
            if self.message(message.id).is_some() {
                return Err(violated("messages.id is unique"));
            }
            if !self.days.contains(&day_of_seq(message.seq)) {
                return Err(violated("there is no room for messages of this day"));
            }
            self.messages.put(MessageRow {
                message: Message::clone(message),
                carrier: carriers.text(message.carrier),
                state: message.initial_state(),
                sent_at: None,
                final_at: None,
                failure: None,
                detail: None,
                possible_duplicate: false,
                place: Place(message.seq.0),
            });
        }
        Ok(())
    }

    pub(super) fn stored(&self, carriers: &Carriers, seqs: &[MessageSeq]) -> Vec<Stored> {
        let asked: HashSet<&MessageSeq> = seqs.iter().collect();
        let found = asked.into_iter().filter_map(|seq| self.messages.get(seq));
        found.map(|row| row.stored(carriers)).collect()
    }

    pub(super) fn due(&self, carriers: &Carriers, now: Timestamp, limit: u32) -> Vec<Message> {
        let from = MessageMark::Scheduled(Timestamp(i64::MIN));
        self.messages
            .marked(from..=MessageMark::Scheduled(now))
            .take(limit as usize)
            .map(|row| row.message(carriers))
            .collect()
    }

    pub(super) fn release(&mut self, placed: &[(MessageSeq, Place)]) {
        once(placed, |one| one.0);
        let scheduled = |row: &MessageRow| row.state == State::Scheduled;
        for (seq, place) in placed {
            self.messages.change(seq, scheduled, |row| {
                row.state = State::Queued;
                row.place = *place;
            });
        }
    }

    pub(super) fn overdue(
        &self,
        carriers: &Carriers,
        which: Overdue,
        before: Timestamp,
        limit: u32,
    ) -> Vec<Stored> {
        let mark = match which {
            Overdue::Unsent => MessageMark::Unsent,
            Overdue::Open => MessageMark::Open,
        };
        self.messages
            .marked(mark(Timestamp(i64::MIN))..mark(before))
            .take(limit as usize)
            .map(|row| row.stored(carriers))
            .collect()
    }

    pub(super) fn mark(&mut self, messages: &[MessageSeq]) {
        for seq in messages {
            let marked = |row: &mut MessageRow| row.possible_duplicate = true;
            self.messages.change(seq, |_| true, marked);
        }
    }

    pub(super) fn make_moves(&mut self, moves: &[&Move]) -> Vec<bool> {
        once(moves, |one| one.seq);
        let make = |one: &&Move| {
            let legal = |row: &MessageRow| (one.from >> row.state.index()) & 1 == 1;
            self.messages.change(&one.seq, legal, |row| {
                row.state = one.to;
                let submitted = (one.to == State::Submitted).then_some(one.at);
                row.sent_at = row.sent_at.or(submitted);
                row.final_at = one.to.is_terminal().then_some(one.at);
                row.failure = one.failure;
                row.detail = one.detail.clone();
            })
        };
        moves.iter().map(make).collect()
    }

    pub(super) fn reroute(
        &mut self,
        carriers: &Carriers,
        reroutes: &[(&Reroute, Place)],
    ) -> HashMap<MessageSeq, State> {
        once(reroutes, |one| one.0.ready.message.seq);
        let mut come = HashMap::new();
        for (reroute, place) in reroutes {
            let ready = &reroute.ready;
            let source = carriers.text(ready.carrier);
            let there = |row: &MessageRow| row.carrier == source && waits(row.state);
            self.messages.change(&ready.message.seq, there, |row| {
                row.carrier = carriers.text(reroute.to);
                row.place = *place;
                let queued = row.state == State::Queued;
                row.possible_duplicate |= ready.possible_duplicate && queued;
                come.insert(ready.message.seq, row.state);
            });
        }
        come
    }

    pub(super) fn unsent(&self, asked: &[(MessageSeq, &CarrierId)]) -> HashSet<MessageSeq> {
        let unsent = |(seq, carrier): &&(MessageSeq, &CarrierId)| {
            let row = self.messages.get(seq);
            row.is_some_and(|row| row.carrier == carrier.0 && waits(row.state))
        };
        asked.iter().filter(unsent).map(|one| one.0).collect()
    }

    /// Whether a segment of a message may be with a carrier.
    fn attempted(&self, seq: MessageSeq) -> bool {
        let mut attempts = self.attempts_of(seq);
        attempts.any(|row| row.state != SegmentState::Refused)
    }

    pub(super) fn candidate(&self, carriers: &Carriers, id: MessageId) -> Option<Candidate> {
        self.message(id).map(|row| Candidate {
            message: row.message(carriers),
            state: row.state,
            attempted: self.attempted(row.message.seq),
            possible_duplicate: row.possible_duplicate,
        })
    }

    pub(super) fn lane_page(&self, carriers: &Carriers, sweep: &Sweep, limit: u32) -> Vec<LaneRow> {
        let first = sweep.org.unwrap_or(OrgId(uuid::Uuid::nil()));
        let Bookmark(org, place) = sweep.after.unwrap_or(Bookmark(first, -1));
        let last = sweep.org.unwrap_or(LAST_ORG);
        let from = (org, Place(place.saturating_add(1)));
        self.lane((&sweep.carrier, sweep.class), from, (last, Place(i64::MAX)))
            .take(limit as usize)
            .map(|row| LaneRow {
                org: row.message.org,
                place: row.place,
                attempted: self.attempted(row.message.seq),
                message: Some(row.message(carriers)),
            })
            .collect()
    }

    pub(super) fn put_in_lane(&mut self, placed: &[(MessageSeq, Place)], to: &CarrierId) -> u64 {
        once(placed, |one| one.0);
        let queued = |row: &MessageRow| row.state == State::Queued;
        let mut moved = 0;
        for (seq, place) in placed {
            moved += u64::from(self.messages.change(seq, queued, |row| {
                row.carrier = Arc::clone(&to.0);
                row.place = *place;
            }));
        }
        moved
    }

    pub(super) fn requeue(&mut self, message: MessageSeq, place: Place) {
        let uncertain = |row: &MessageRow| row.state == State::Uncertain;
        self.messages.change(&message, uncertain, |row| {
            row.state = State::Queued;
            row.place = place;
            row.possible_duplicate = true;
        });
    }
}

/// Whether a message that stands so may still be sent.
fn waits(state: State) -> bool {
    matches!(state, State::Queued | State::Uncertain)
}
