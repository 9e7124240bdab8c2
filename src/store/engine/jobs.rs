//! Lives here: bulk jobs in the writer's transactions: a job with its chunks and what it costs; a
//! chunk that becomes messages, at once and once; a job that is taken back.
//! Never here: whose turn it is, what a message says (`bulk`); legal steps (`domain::job`).

use std::collections::HashSet;
use std::sync::Arc;

use super::Engine;
use super::control::cancelling;
use super::hooks::Announcement;
use super::judge::may_cancel;
use crate::domain::credits::Credits;
use crate::domain::event::EventKind;
use crate::domain::ids::{JobId, MessageSeq, OrgId};
use crate::domain::job::{JobState, Step, without};
use crate::domain::ledger::Channel;
use crate::domain::lifecycle::SegmentState;
use crate::domain::message::Message;
use crate::domain::phone::Msisdn;
use crate::domain::time::Timestamp;
use crate::flow::Ready;
use crate::store::StoreError;
use crate::store::batch::{Batch, Chore, Effects};
use crate::store::jobs::{
    CampaignWork, ChunkState, ChunkView, DRAFTS_MAX, Expansion, JobView, JobsDone, JobsWork, Order,
    Ordered, Stepped,
};
use crate::store::notices::{self, BulkCompleted};
use crate::store::rows::{Candidate, Rows, day_of, day_of_seq};

impl<R: Rows> Engine<R> {
    /// Does what is wanted of jobs.
    pub(super) async fn jobs(
        &mut self,
        work: &JobsWork,
        effects: &mut Effects,
    ) -> Result<JobsDone, StoreError> {
        Ok(match work {
            JobsWork::Create(order) => JobsDone::Ordered(self.order(order, effects).await?),
            JobsWork::Expand(expansion) => {
                JobsDone::Changed(self.expand(expansion, effects).await?)
            }
            JobsWork::Step(org, job, step, at) => {
                JobsDone::Stepped(self.step(*org, *job, (*step, *at), effects).await?)
            }
            JobsWork::Sweep(job, chunk, at) => {
                JobsDone::Count(self.sweep_chunk(*job, *chunk, *at, effects).await?)
            }
            JobsWork::Forget(before, limit) => {
                let jobs = self.rows.forget_jobs(*before, *limit).await?;
                JobsDone::Count(jobs + self.rows.forget_drafts(*before, *limit).await?)
            }
            JobsWork::Redact(before, limit) => {
                JobsDone::Count(self.rows.redact_jobs(*before, *limit).await?)
            }
            JobsWork::Erase(whose, number, at) => {
                JobsDone::Count(self.erase_recipient(*whose, number, *at, effects).await?)
            }
            JobsWork::Campaign(work) => JobsDone::Changed(self.campaign(work).await?),
        })
    }

    async fn campaign(&mut self, work: &CampaignWork) -> Result<bool, StoreError> {
        match work {
            CampaignWork::Draft(campaign) => {
                let room = self.rows.drafts(campaign.org).await? < DRAFTS_MAX;
                if room {
                    self.rows.draft(campaign).await?;
                }
                Ok(room)
            }
            CampaignWork::Redraft(campaign, seen) => self.rows.redraft(campaign, *seen).await,
            CampaignWork::Delete(whose, id) => self.rows.delete_campaign(*whose, *id).await,
        }
    }

    /// The days of messages that a batch's chores will write.
    pub(super) fn expanding<'b>(&self, batch: &'b Batch) -> impl Iterator<Item = i64> + use<'b, R> {
        // Of a clock that has gone back the numbers go on where they were.
        let least = day_of_seq(MessageSeq(self.next_place));
        let chores = batch.chores.iter();
        chores.filter_map(move |errand| match &errand.chore {
            Chore::Jobs(JobsWork::Expand(expansion)) => Some(day_of(expansion.at).max(least)),
            _ => None,
        })
    }

    /// Holds what the whole job costs, and writes it with what its request is answered.
    async fn order(&mut self, order: &Order, effects: &mut Effects) -> Result<Ordered, StoreError> {
        let job = &order.job;
        if let Some(memo) = &order.memo
            && let Some(repeat) = self.repeat(memo).await?
        {
            return Ok(Ordered::Repeats(repeat));
        }
        // On a sheet of its own: a campaign that is launched already is not paid for.
        let mut sheet = effects.sheet.clone();
        if job.live {
            let (purse, day) = ((job.org, Channel::Sms), day_of(job.created_at));
            if let Err(short) = sheet.reserve(&self.books, purse, day, job.cost) {
                return Ok(Ordered::Short(short));
            }
        }
        if let Some(campaign) = order.campaign {
            let whose = (job.org, campaign);
            if !self.rows.launch(whose, job.id).await? {
                return Ok(Ordered::Launched);
            }
        }
        effects.sheet = sheet;
        self.rows.insert_job(job, &order.chunks).await?;
        if let Some(memo) = &order.memo {
            self.note_memo(memo).await?;
        }
        Ok(Ordered::Done)
    }

    /// Makes messages of a chunk's recipients. What was held for them is held for the messages; what
    /// no message needs is given back.
    async fn expand(
        &mut self,
        expansion: &Expansion,
        effects: &mut Effects,
    ) -> Result<bool, StoreError> {
        let Some(mut view) = self.rows.job(expansion.job).await? else {
            return Ok(false);
        };
        let next = match view.state {
            JobState::Processing => None,
            state => match state.after(Step::Begin, false) {
                Some(next) => Some(next),
                None => return Ok(false),
            },
        };
        let chunk = self.rows.chunk(expansion.job, expansion.chunk).await?;
        let waits = |chunk: &ChunkView| chunk.state == ChunkState::Waiting;
        let Some(chunk) = chunk.filter(waits) else {
            return Ok(false);
        };
        let body = self.rows.body(expansion.job, expansion.chunk).await?;
        if body.is_none_or(|body| body.packed != expansion.seen) {
            return Ok(false);
        }
        let numbered = expansion.messages.iter().map(|message| {
            Arc::new(Message {
                seq: self.next_seq(message.accepted_at),
                ..message.clone()
            })
        });
        let messages: Vec<Arc<Message>> = numbered.collect();
        self.rows.insert_messages(&messages).await?;
        let ends = messages.first().zip(messages.last());
        let span = ends.map(|(first, last)| (first.seq, last.seq));
        self.rows.expanded(expansion, span).await?;
        if let Some(next) = next {
            view.state = next;
            view.started_at = view.started_at.or(Some(expansion.at));
            self.rows.move_job(&view).await?;
        }
        let kept: Credits = messages.iter().map(|message| message.cost).sum();
        self.give_back(&view, chunk.cost - kept, expansion.at, effects);
        effects
            .committed
            .extend(messages.into_iter().map(Ready::first));
        Ok(true)
    }

    async fn step(
        &mut self,
        org: Option<OrgId>,
        job: JobId,
        (step, at): (Step, Timestamp),
        effects: &mut Effects,
    ) -> Result<Stepped, StoreError> {
        let found = self.rows.job(job).await?;
        let own = |view: &JobView| org.is_none_or(|org| view.job.org == org);
        let Some(mut view) = found.filter(own) else {
            return Ok(Stepped::Missing);
        };
        let Some(next) = view.state.after(step, view.started_at.is_some()) else {
            return Ok(Stepped::Refused(view.state));
        };
        view.state = next;
        if next == JobState::Canceling {
            let held = self.rows.drop_chunks(job).await?;
            self.give_back(&view, held, at, effects);
        }
        if next.is_over() {
            view.completed_at = Some(at);
            self.notify(over(&view, at), effects);
        }
        self.rows.move_job(&view).await?;
        Ok(Stepped::Done(Box::new(view)))
    }

    /// Cancels what no carrier has of a chunk.
    async fn sweep_chunk(
        &mut self,
        job: JobId,
        chunk: u32,
        at: Timestamp,
        effects: &mut Effects,
    ) -> Result<u64, StoreError> {
        let view = self.rows.job(job).await?;
        if view.is_none_or(|view| view.state != JobState::Canceling) {
            return Ok(0);
        }
        let chunk = self.rows.chunk(job, chunk).await?;
        let Some((first, last)) = chunk.and_then(|chunk| chunk.span) else {
            return Ok(0);
        };
        let seqs: Vec<MessageSeq> = (first.0..=last.0).map(MessageSeq).collect();
        let stored = self.rows.messages(&seqs).await?;
        let standing = self.rows.standing(&seqs).await?;
        let attempted = standing.into_iter();
        let attempted: HashSet<MessageSeq> = attempted
            .filter(|(_, state)| *state != SegmentState::Refused)
            .map(|((seq, ..), _)| seq)
            .collect();
        let under_way = self.rows.under_way().await?;
        let candidates = stored.into_iter().map(|stored| Candidate {
            attempted: attempted.contains(&stored.message.seq),
            message: stored.message,
            state: stored.state,
            possible_duplicate: false,
        });
        let moves: Vec<_> = candidates
            .filter(|one| may_cancel(one, &under_way, false, self.unsure).is_ok())
            .map(|one| cancelling(one.message, at, "its job was canceled"))
            .collect();
        // The chunk as a whole: what of it is not taken back is only looked at.
        if let Some(until) = moves.iter().map(|one| one.message.valid_until).max() {
            self.forget_waiting((first, last), until, at);
        }
        self.transitions(&moves.iter().collect::<Vec<_>>(), effects)
            .await?;
        Ok(moves.len() as u64)
    }

    /// Takes a number out of a chunk. What was held for it while it waited is given back.
    async fn erase_recipient(
        &mut self,
        (job, chunk): (JobId, u32),
        number: &Msisdn,
        at: Timestamp,
        effects: &mut Effects,
    ) -> Result<u64, StoreError> {
        let view = self.rows.job(job).await?;
        let stands = self.rows.chunk(job, chunk).await?;
        let body = self.rows.body(job, chunk).await?;
        let (Some(view), Some(stands), Some(body)) = (view, stands, body) else {
            return Ok(0);
        };
        let left = without(&body.packed, number).filter(|left| left.recipients > 0);
        let Some(left) = left else { return Ok(0) };
        self.rows.erase_recipient((job, chunk), &left).await?;
        if stands.state == ChunkState::Waiting {
            self.give_back(&view, left.cost, at, effects);
        }
        Ok(left.recipients.into())
    }

    /// Gives back what was held for recipients of a job that will have no messages.
    fn give_back(&self, view: &JobView, amount: Credits, at: Timestamp, effects: &mut Effects) {
        if view.job.live && amount > Credits::ZERO {
            let purse = (view.job.org, Channel::Sms);
            let sheet = &mut effects.sheet;
            sheet.refund(&self.books, purse, day_of(at), amount);
        }
    }
}

/// What is said of a job that is over.
fn over(view: &JobView, at: Timestamp) -> Announcement {
    Announcement {
        org: view.job.org,
        live: view.job.live,
        kind: EventKind::BulkCompleted,
        at,
        data: notices::written(&BulkCompleted::new(view, at)),
    }
}
