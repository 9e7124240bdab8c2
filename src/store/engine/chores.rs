//! Lives here: the writer's rare work: releasing what is due, ending what is overdue, leasing
//! events.
//! Never here: operators' changes (`control`), the inbox (`receipts`).

use std::sync::Arc;

use super::Engine;
use crate::domain::lifecycle;
use crate::domain::message::State;
use crate::domain::time::Timestamp;
use crate::flow::{Ready, Transition};
use crate::store::StoreError;
use crate::store::batch::{Chore, ChoreDone, EVENT_LEASE, Effects};
use crate::store::rows::{Overdue, Rows, Stored};

impl<R: Rows> Engine<R> {
    /// Does one of them.
    pub(super) async fn chore(
        &mut self,
        chore: &Chore,
        effects: &mut Effects,
    ) -> Result<ChoreDone, StoreError> {
        Ok(match chore {
            Chore::People(work) => ChoreDone::People(self.people(work, effects).await?),
            Chore::Control(control) => ChoreDone::Controlled(self.control(control, effects).await?),
            Chore::ReleaseDue { now, limit } => {
                ChoreDone::Count(self.release_due(*now, *limit, effects).await?)
            }
            Chore::ClaimEvents { now, limit } => {
                let jobs = self.rows.due_events(*now, *limit).await?;
                let leased: Vec<_> = jobs
                    .iter()
                    .map(|job| (job.event, *now + EVENT_LEASE))
                    .collect();
                self.rows.set_due(&leased).await?;
                ChoreDone::Events(jobs)
            }
            Chore::Jobs(work) => ChoreDone::Jobs(self.jobs(work, effects).await?),
            Chore::Till(work) => ChoreDone::Till(self.till(work, effects).await?),
            Chore::Desk(work) => ChoreDone::Desk(self.desk(work, effects).await?),
            Chore::Memo(work) => self.memo(work).await?,
            Chore::Hooks(work) => ChoreDone::Hooks(self.hooks(work, effects).await?),
            Chore::Receipts(work) => ChoreDone::Receipts(self.inbox(work, effects).await?),
            Chore::GiveUpEvents { before, limit } => {
                ChoreDone::Count(self.rows.give_up_events(*before, *limit).await?)
            }
            Chore::EndOverdue {
                queued_before,
                open_before,
                at,
                limit,
            } => {
                let cut = (*queued_before, *open_before);
                ChoreDone::Count(self.end_overdue(cut, *at, *limit, effects).await?)
            }
        })
    }

    /// Moves scheduled messages whose time has come to their lanes, each to a fresh place at the
    /// end.
    async fn release_due(
        &mut self,
        now: Timestamp,
        limit: u32,
        effects: &mut Effects,
    ) -> Result<u64, StoreError> {
        let due = self.rows.due(now, limit).await?;
        let mut released = Vec::with_capacity(due.len());
        for message in due {
            released.push(Ready {
                place: self.next_place(),
                ..Ready::first(Arc::new(message))
            });
        }
        let placed: Vec<_> = released
            .iter()
            .map(|ready| (ready.message.seq, ready.place))
            .collect();
        self.rows.release(&placed).await?;
        effects.committed.extend(released);
        Ok(placed.len() as u64)
    }

    /// Ends what should have ended: queued messages past their validity expire, submitted and
    /// uncertain ones past validity and grace become unknown.
    async fn end_overdue(
        &mut self,
        (queued_before, open_before): (Timestamp, Timestamp),
        at: Timestamp,
        limit: u32,
        effects: &mut Effects,
    ) -> Result<u64, StoreError> {
        let unsent = self.rows.overdue(Overdue::Unsent, queued_before, limit);
        let mut overdue = unsent.await?;
        overdue.append(&mut self.rows.overdue(Overdue::Open, open_before, limit).await?);
        let ends: Vec<Transition> = overdue.into_iter().map(|one| ended(one, at)).collect();
        self.transitions(&ends.iter().collect::<Vec<_>>(), effects)
            .await?;
        Ok(ends.len() as u64)
    }
}

fn ended(stored: Stored, at: Timestamp) -> Transition {
    let to = if stored.state == State::Queued {
        State::Expired
    } else {
        State::Unknown
    };
    Transition {
        sent_at: stored.sent_at,
        carrier: stored.message.carrier,
        message: Arc::new(stored.message),
        to,
        at,
        failure: lifecycle::failure_of(to),
        detail: None,
        possible_duplicate: false,
    }
}
