//! Lives here: what organisations change of their own messages: one taken back, one put off.
//! Never here: whether a message may be taken back (`judge`); operators' changes (`control`).

use std::collections::{BTreeMap, HashSet};

use super::Engine;
use super::control::cancelling;
use super::judge::may_cancel;
use crate::domain::ids::{MessageId, MessageSeq, OrgId};
use crate::domain::message::State;
use crate::domain::time::Timestamp;
use crate::store::StoreError;
use crate::store::batch::Effects;
use crate::store::control::Obstacle;
use crate::store::desk::{DeskDone, DeskWork};
use crate::store::rows::{Candidate, Rows};

/// Runs of messages that are remembered as taken back while they may still be in a lane's memory: a
/// message each, or a chunk of a bulk job. More are as if an operator had changed what waits: every
/// batch is looked at until their validity ends.
const TAKEN_BACK_MAX: usize = 65_536;

/// What the owner reads.
const DETAIL: &str = "canceled by request";

/// Queued messages that their owners have taken back. They are still in their lanes' memory, from
/// which nobody takes them: a bind that pulls one is turned back at its intent. It may hold some that
/// were not taken back, or have gone: the rows are asked.
#[derive(Default)]
pub(super) struct TakenBack {
    /// By the first number of a run, its last number and the end of its validity. No two meet.
    runs: BTreeMap<MessageSeq, (MessageSeq, Timestamp)>,
    /// No end is before this.
    soonest: Timestamp,
}

impl TakenBack {
    /// Whether the rows are to be asked before this message is sent.
    pub(super) fn has(&self, message: MessageSeq) -> bool {
        let before = self.runs.range(..=message).next_back();
        before.is_some_and(|(_, (last, _))| *last >= message)
    }

    /// Remembers a run, both ends included, for as long as one of it could be sent; `false`: there
    /// are too many.
    fn put(
        &mut self,
        (mut first, mut last): (MessageSeq, MessageSeq),
        mut until: Timestamp,
        now: Timestamp,
    ) -> bool {
        if self.runs.len() >= TAKEN_BACK_MAX && self.soonest < now {
            // What is overdue is not sent any more, whatever became of it. Looked through once for
            // all that is taken back at this time.
            self.runs.retain(|_, (_, until)| *until >= now);
            self.soonest = now;
        }
        // What it meets becomes one with it.
        while let Some((&start, &(end, ends))) = self.runs.range(..=last).next_back()
            && end >= first
        {
            self.runs.remove(&start);
            (first, last, until) = (first.min(start), last.max(end), until.max(ends));
        }
        let room = self.runs.len() < TAKEN_BACK_MAX;
        if room {
            self.runs.insert(first, (last, until));
            self.soonest = self.soonest.min(until);
        }
        room
    }
}

impl<R: Rows> Engine<R> {
    /// Does what an organisation wants with a message of its own.
    pub(super) async fn desk(
        &mut self,
        work: &DeskWork,
        effects: &mut Effects,
    ) -> Result<DeskDone, StoreError> {
        match *work {
            DeskWork::Cancel { org, message, at } => {
                self.take_back((org, message), at, effects).await
            }
            DeskWork::Reschedule {
                org,
                message,
                due_at,
            } => self.reschedule((org, message), due_at).await,
        }
    }

    async fn take_back(
        &mut self,
        whose: (OrgId, MessageId),
        at: Timestamp,
        effects: &mut Effects,
    ) -> Result<DeskDone, StoreError> {
        let Some(found) = self.own(whose).await? else {
            return Ok(Err(Obstacle::Missing));
        };
        let queued = found.state == State::Queued;
        let under_way = match queued {
            true => self.rows.under_way().await?,
            false => HashSet::new(),
        };
        // An OTP leaves no trace while a bind has it: its owner cannot take it out of a lane.
        if let Err(why) = may_cancel(&found, &under_way, false, self.unsure) {
            return Ok(Err(why));
        }
        if queued {
            let seq = found.message.seq;
            self.forget_waiting((seq, seq), found.message.valid_until, at);
        }
        let cancelling = cancelling(found.message, at, DETAIL);
        self.transitions(&[&cancelling], effects).await?;
        Ok(Ok(()))
    }

    /// Of a run of messages some that were queued are taken back: should a bind pull one, the rows
    /// are asked first.
    pub(super) fn forget_waiting(
        &mut self,
        run: (MessageSeq, MessageSeq),
        valid_until: Timestamp,
        at: Timestamp,
    ) {
        if !self.taken_back.put(run, valid_until, at) {
            self.watchful_until = self.watchful_until.max(valid_until);
        }
    }

    async fn reschedule(
        &mut self,
        whose: (OrgId, MessageId),
        due_at: Timestamp,
    ) -> Result<DeskDone, StoreError> {
        let Some(found) = self.own(whose).await? else {
            return Ok(Err(Obstacle::Missing));
        };
        if found.state != State::Scheduled {
            return Ok(Err(Obstacle::Standing(found.state)));
        }
        let message = &found.message;
        let valid_for = message.valid_until.0 - message.due_at.0;
        let valid_until = Timestamp(due_at.0.saturating_add(valid_for));
        let done = self.rows.reschedule(message.seq, due_at, valid_until);
        // It stands as it was found: nobody else writes.
        Ok(match done.await? {
            true => Ok(()),
            false => Err(Obstacle::Standing(found.state)),
        })
    }

    /// The message, if it is the organisation's.
    async fn own(
        &mut self,
        (org, id): (OrgId, MessageId),
    ) -> Result<Option<Candidate>, StoreError> {
        let found = self.rows.candidate(id).await?;
        Ok(found.filter(|one| one.message.org == org))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(number: i64) -> (MessageSeq, MessageSeq) {
        (MessageSeq(2 * number), MessageSeq(2 * number))
    }

    #[test]
    fn what_is_overdue_makes_room_for_what_is_taken_back() {
        let mut taken_back = TakenBack::default();
        for number in 0..TAKEN_BACK_MAX as i64 {
            assert!(taken_back.put(one(number), Timestamp(10), Timestamp(5)));
        }
        assert!(!taken_back.put(one(-1), Timestamp(10), Timestamp(10)));
        assert!(!taken_back.has(MessageSeq(-2)) && taken_back.has(MessageSeq(0)));
        assert!(taken_back.put(one(-1), Timestamp(20), Timestamp(11)));
        assert!(taken_back.has(MessageSeq(-2)) && !taken_back.has(MessageSeq(0)));
    }

    #[test]
    fn canceled_jobs_fill_it_by_their_chunks_and_not_by_their_messages() {
        let mut taken_back = TakenBack::default();
        for chunk in 0..TAKEN_BACK_MAX as i64 {
            let run = (MessageSeq(1000 * chunk), MessageSeq(1000 * chunk + 199));
            // A sweep may come to a chunk again.
            for _ in 0..2 {
                assert!(taken_back.put(run, Timestamp(10), Timestamp(5)));
            }
        }
        for (number, taken) in [(0, true), (199, true), (200, false), (65_535_199, true)] {
            assert_eq!(taken_back.has(MessageSeq(number)), taken, "{number}");
        }
    }

    proptest! {
        #[test]
        fn whatever_was_put_is_found_for_as_long_as_it_could_be_sent(
            runs in proptest::collection::vec((0..60_i64, 0..12_i64, 0..9_i64), 0..24)
        ) {
            let mut taken_back = TakenBack::default();
            for (first, length, until) in &runs {
                let run = (MessageSeq(*first), MessageSeq(first + length));
                prop_assert!(taken_back.put(run, Timestamp(*until), Timestamp(0)));
            }
            for number in 0..80 {
                let its = runs.iter().filter(|(first, length, _)| {
                    (*first..=first + length).contains(&number)
                });
                let until = its.map(|(.., until)| *until).max();
                prop_assert_eq!(taken_back.has(MessageSeq(number)), until.is_some());
                let run = taken_back.runs.range(..=MessageSeq(number)).next_back();
                if let Some(until) = until {
                    prop_assert!(run.is_some_and(|(_, (_, kept))| kept.0 >= until));
                }
            }
        }
    }
}
