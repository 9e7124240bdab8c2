//! Lives here: what organisations change of their own messages: one taken back, one put off.
//! Never here: whether a message may be taken back (`judge`); operators' changes (`control`).

use std::collections::{HashMap, HashSet};

use super::Engine;
use super::control::cancelling;
use super::judge::may_cancel;
use crate::domain::ids::{MessageId, MessageSeq, OrgId};
use crate::domain::message::{Message, State};
use crate::domain::time::Timestamp;
use crate::store::StoreError;
use crate::store::batch::Effects;
use crate::store::control::Obstacle;
use crate::store::desk::{DeskDone, DeskWork};
use crate::store::rows::{Candidate, Rows};

/// Messages that are remembered as taken back while they may still be in a lane's memory. More are
/// as if an operator had changed what waits: every batch is looked at until their validity ends.
const TAKEN_BACK_MAX: usize = 65_536;

/// What the owner reads.
const DETAIL: &str = "canceled by request";

/// Queued messages that their owners have taken back. They are still in their lanes' memory, from
/// which nobody takes them: a bind that pulls one is turned back at its intent. It may hold some that
/// were not taken back, or have gone: the rows are asked.
#[derive(Default)]
pub(super) struct TakenBack {
    /// Each with the end of its validity.
    messages: HashMap<MessageSeq, Timestamp>,
    /// No end is before this.
    soonest: Timestamp,
}

impl TakenBack {
    /// Whether the rows are to be asked before this message is sent.
    pub(super) fn has(&self, message: MessageSeq) -> bool {
        self.messages.contains_key(&message)
    }

    /// Remembers a message for as long as it could be sent; `false`: there are too many.
    fn put(&mut self, message: MessageSeq, valid_until: Timestamp, now: Timestamp) -> bool {
        if self.messages.len() >= TAKEN_BACK_MAX && self.soonest < now {
            // What is overdue is not sent any more, whatever became of it. Looked through once for
            // all that a job takes back at this time, not for each message.
            self.messages.retain(|_, until| *until >= now);
            self.soonest = now;
        }
        let room = self.messages.len() < TAKEN_BACK_MAX;
        if room {
            self.messages.insert(message, valid_until);
            self.soonest = self.soonest.min(valid_until);
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
            self.forget_waiting(&found.message, at);
        }
        let cancelling = cancelling(found.message, at, DETAIL);
        self.transitions(&[&cancelling], effects).await?;
        Ok(Ok(()))
    }

    /// A queued message is taken back: should a bind pull it, the rows are asked first.
    pub(super) fn forget_waiting(&mut self, message: &Message, at: Timestamp) {
        let valid_until = message.valid_until;
        if !self.taken_back.put(message.seq, valid_until, at) {
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
    use super::*;

    #[test]
    fn what_is_overdue_makes_room_for_what_is_taken_back() {
        let mut taken_back = TakenBack::default();
        for number in 0..TAKEN_BACK_MAX as i64 {
            assert!(taken_back.put(MessageSeq(number), Timestamp(10), Timestamp(5)));
        }
        assert!(!taken_back.put(MessageSeq(-1), Timestamp(10), Timestamp(10)));
        assert!(!taken_back.has(MessageSeq(-1)) && taken_back.has(MessageSeq(0)));
        assert!(taken_back.put(MessageSeq(-1), Timestamp(20), Timestamp(11)));
        assert!(taken_back.has(MessageSeq(-1)) && !taken_back.has(MessageSeq(0)));
    }
}
