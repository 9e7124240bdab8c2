//! Lives here: bulk jobs, their chunks and campaigns in the model.
//! Never here: legal steps (`domain::job`).

use std::collections::{BTreeMap, HashMap};

use super::table::{Row, Table};
use super::tables::Tables;
use super::{Memory, MemoryReader};
use crate::domain::credits::Credits;
use crate::domain::ids::{CampaignId, JobId, MessageSeq, OrgId};
use crate::domain::job::{JobState, Without};
use crate::domain::time::Timestamp;
use crate::store::jobs::{
    Board, Body, Campaign, Campaigns, Chunk, ChunkState, ChunkView, Draft, Drafts, Expansion, Job,
    JobView, Jobs, Standing, Whose,
};
use crate::store::{MessageView, StoreError};

type Answer<T> = Result<T, StoreError>;

/// A chunk and whose it is.
#[derive(Clone)]
pub(super) struct ChunkRow {
    pub(super) job: JobId,
    pub(super) view: ChunkView,
    pub(super) body: Vec<u8>,
}

impl ChunkRow {
    fn named(&self) -> Body {
        Body {
            job: self.job,
            chunk: self.view.number,
            span: self.view.span,
            packed: self.body.clone(),
        }
    }
}

impl Row for JobView {
    type Key = JobId;
    type Mark = ();

    fn key(&self) -> JobId {
        self.job.id
    }
}

impl Row for ChunkRow {
    type Key = (JobId, u32);
    type Mark = ();

    fn key(&self) -> (JobId, u32) {
        (self.job, self.view.number)
    }
}

impl Row for Campaign {
    type Key = CampaignId;
    type Mark = ();

    fn key(&self) -> CampaignId {
        self.id
    }
}

/// The tables of jobs.
#[derive(Clone, Default)]
pub(super) struct Work {
    pub(super) jobs: Table<JobView>,
    pub(super) chunks: Table<ChunkRow>,
    pub(super) campaigns: Table<Campaign>,
}

impl Work {
    /// Ends the transaction and keeps it.
    pub(super) fn commit(&mut self, kept: &mut Self) {
        self.jobs.commit(&mut kept.jobs);
        self.chunks.commit(&mut kept.chunks);
        self.campaigns.commit(&mut kept.campaigns);
    }

    /// Ends the transaction as if it had never been.
    pub(super) fn undo(&mut self, kept: &Self) {
        self.jobs.undo(&kept.jobs);
        self.chunks.undo(&kept.chunks);
        self.campaigns.undo(&kept.campaigns);
    }

    /// Jobs that were over before a time, the first first.
    fn over(&self, before: Timestamp) -> Vec<JobId> {
        let over = self.jobs.all().filter_map(|view| {
            let at = view.completed_at.filter(|at| *at < before)?;
            Some((at, view.job.id))
        });
        let mut over: Vec<(Timestamp, JobId)> = over.collect();
        over.sort();
        over.into_iter().map(|(_, job)| job).collect()
    }

    fn launched_as(&self, job: JobId) -> Vec<CampaignId> {
        let campaigns = self.campaigns.all();
        let its = campaigns.filter(|one| one.job == Some(job));
        its.map(Row::key).collect()
    }

    fn chunks_of(&self, job: JobId) -> impl DoubleEndedIterator<Item = &ChunkRow> {
        self.chunks.range((job, 0)..=(job, u32::MAX))
    }
}

impl Tables {
    fn due_jobs(&self, now: Timestamp, each: u32, limit: u32) -> Vec<JobView> {
        let open = self.work.jobs.all().filter(|view| match view.state {
            JobState::Scheduled | JobState::Processing => view.job.due_at <= now,
            JobState::Canceling => true,
            JobState::Paused | JobState::Completed | JobState::Failed | JobState::Canceled => false,
        });
        let mut open: Vec<&JobView> = open.collect();
        open.sort_by_key(|view| (view.job.due_at, view.job.id));
        let rest = |view: &JobView| {
            let waits = |row: &ChunkRow| row.view.state == ChunkState::Waiting;
            match view.state {
                JobState::Canceling => 0,
                _ if self.work.chunks_of(view.job.id).any(waits) => 1,
                _ => 2,
            }
        };
        let mut of_org: HashMap<(OrgId, u8), u32> = HashMap::new();
        let mut turns: Vec<(u8, u32, &JobView)> = Vec::new();
        for view in open {
            let rest = rest(view);
            let turn = of_org.entry((view.job.org, rest)).or_default();
            *turn += 1;
            turns.push((rest, *turn, view));
        }
        turns.retain(|(_, turn, _)| *turn <= each);
        turns.sort_by_key(|(rest, turn, view)| (*rest, *turn, view.job.due_at, view.job.id));
        let due = turns.into_iter().map(|(.., view)| view);
        due.take(limit as usize).cloned().collect()
    }

    /// What is held for recipients of an organisation's live jobs that have no messages yet, and how
    /// many they are.
    pub(super) fn held_by_jobs(&self, org: OrgId) -> (Credits, u64) {
        let jobs = self.work.jobs.all();
        let own = jobs.filter(|view| view.job.org == org && view.job.live);
        let chunks = own.flat_map(|view| self.work.chunks_of(view.job.id));
        let waiting = chunks.filter(|row| row.view.state == ChunkState::Waiting);
        waiting.fold((Credits::ZERO, 0), |(cost, number), row| {
            let good = row.view.recipients - row.view.refused;
            (cost + row.view.cost, number + u64::from(good))
        })
    }

    fn standings(&self, job: JobId, from: u32, until: u32) -> Vec<Standing> {
        let mut found = BTreeMap::new();
        for row in self.work.chunks.range((job, from)..=(job, until)) {
            let Some((first, last)) = row.view.span else {
                continue;
            };
            for message in self.messages.range(first..=last) {
                let key = (
                    row.view.number,
                    message.state.index(),
                    message.sent_at.is_some(),
                );
                let one = found.entry(key).or_insert(Standing {
                    chunk: row.view.number,
                    state: message.state,
                    sent: message.sent_at.is_some(),
                    number: 0,
                    cost: Credits::ZERO,
                });
                one.number += 1;
                one.cost += message.message.cost;
            }
        }
        found.into_values().collect()
    }
}

impl Jobs for Memory {
    async fn insert_job(&mut self, job: &Job, chunks: &[Chunk]) -> Answer<()> {
        let work = &mut self.tables()?.0.work;
        work.jobs.put(JobView {
            job: job.clone(),
            state: JobState::Scheduled,
            started_at: None,
            completed_at: None,
        });
        for (number, chunk) in (0..).zip(chunks) {
            work.chunks.put(ChunkRow {
                job: job.id,
                view: ChunkView {
                    number,
                    state: ChunkState::Waiting,
                    recipients: chunk.recipients,
                    refused: chunk.refused,
                    cost: chunk.cost,
                    span: None,
                },
                body: chunk.body.clone(),
            });
        }
        Ok(())
    }

    async fn job(&mut self, id: JobId) -> Answer<Option<JobView>> {
        Ok(self.tables()?.0.work.jobs.get(&id).cloned())
    }

    async fn move_job(&mut self, moved: &JobView) -> Answer<()> {
        let jobs = &mut self.tables()?.0.work.jobs;
        jobs.change(
            &moved.job.id,
            |_| true,
            |view| {
                view.state = moved.state;
                view.started_at = moved.started_at;
                view.completed_at = moved.completed_at;
            },
        );
        Ok(())
    }

    async fn chunk(&mut self, job: JobId, number: u32) -> Answer<Option<ChunkView>> {
        let chunks = &self.tables()?.0.work.chunks;
        Ok(chunks.get(&(job, number)).map(|row| row.view))
    }

    async fn expanded(
        &mut self,
        expansion: &Expansion,
        span: Option<(MessageSeq, MessageSeq)>,
    ) -> Answer<()> {
        let chunks = &mut self.tables()?.0.work.chunks;
        chunks.change(
            &(expansion.job, expansion.chunk),
            |_| true,
            |row| {
                row.view.state = ChunkState::Expanded;
                row.view.refused = expansion.refused;
                row.view.span = span;
                row.body.clone_from(&expansion.body);
            },
        );
        Ok(())
    }

    async fn drop_chunks(&mut self, job: JobId) -> Answer<Credits> {
        let work = &mut self.tables()?.0.work;
        let waiting = |row: &&ChunkRow| row.view.state == ChunkState::Waiting;
        let waiting = work.chunks_of(job).filter(waiting);
        let waiting: Vec<_> = waiting.map(|row| (row.key(), row.view.cost)).collect();
        let mut held = Credits::ZERO;
        for (key, cost) in waiting {
            held += cost;
            let dropped = |row: &mut ChunkRow| row.view.state = ChunkState::Dropped;
            work.chunks.change(&key, |_| true, dropped);
        }
        Ok(held)
    }

    async fn redact_jobs(&mut self, before: Timestamp, limit: u32) -> Answer<u64> {
        let work = &mut self.tables()?.0.work;
        let mut over = work.over(before);
        over.retain(|job| {
            work.jobs
                .get(job)
                .is_some_and(|view| !view.job.template.is_empty())
        });
        over.truncate(limit as usize);
        for job in &over {
            let redact = |view: &mut JobView| view.job.template = "".into();
            work.jobs.change(job, |_| true, redact);
            let dropped = |row: &&ChunkRow| row.view.state == ChunkState::Dropped;
            let chunks: Vec<_> = work.chunks_of(*job).filter(dropped).map(Row::key).collect();
            for chunk in chunks {
                work.chunks.change(&chunk, |_| true, |row| row.body.clear());
            }
            for campaign in work.launched_as(*job) {
                let redact = |row: &mut Campaign| row.message = "".into();
                work.campaigns.change(&campaign, |_| true, redact);
            }
        }
        Ok(over.len() as u64)
    }

    async fn body(&mut self, job: JobId, number: u32) -> Answer<Option<Body>> {
        let chunks = &self.tables()?.0.work.chunks;
        Ok(chunks.get(&(job, number)).map(ChunkRow::named))
    }

    async fn erase_recipient(&mut self, whose: (JobId, u32), left: &Without) -> Answer<()> {
        let chunks = &mut self.tables()?.0.work.chunks;
        chunks.change(
            &whose,
            |_| true,
            |row| {
                row.body.clone_from(&left.body);
                row.view.refused += left.refused;
                row.view.cost -= left.cost;
            },
        );
        Ok(())
    }

    async fn forget_jobs(&mut self, before: Timestamp, limit: u32) -> Answer<u64> {
        let work = &mut self.tables()?.0.work;
        let mut over = work.over(before);
        over.truncate(limit as usize);
        for job in &over {
            work.jobs.remove(job);
            let chunks: Vec<_> = work.chunks_of(*job).map(Row::key).collect();
            for chunk in chunks {
                work.chunks.remove(&chunk);
            }
            for campaign in work.launched_as(*job) {
                work.campaigns.remove(&campaign);
            }
        }
        Ok(over.len() as u64)
    }
}

impl Campaigns for Memory {
    async fn drafts(&mut self, org: OrgId) -> Answer<u32> {
        let campaigns = self.tables()?.0.work.campaigns.all();
        let drafts = campaigns.filter(|one| one.org == org && one.job.is_none());
        Ok(u32::try_from(drafts.count()).unwrap_or(u32::MAX))
    }

    async fn draft(&mut self, campaign: &Campaign) -> Answer<()> {
        self.tables()?.0.work.campaigns.put(campaign.clone());
        Ok(())
    }

    async fn redraft(&mut self, campaign: &Campaign, seen: Timestamp) -> Answer<bool> {
        let campaigns = &mut self.tables()?.0.work.campaigns;
        let org = campaign.org;
        let right = |row: &Campaign| row.org == org && row.job.is_none() && row.updated_at == seen;
        Ok(campaigns.change(&campaign.id, right, |row| {
            row.clone_from(campaign);
        }))
    }

    async fn launch(&mut self, (org, (id, seen)): (OrgId, Draft), job: JobId) -> Answer<bool> {
        let campaigns = &mut self.tables()?.0.work.campaigns;
        let right = |row: &Campaign| row.org == org && row.job.is_none() && row.updated_at == seen;
        Ok(campaigns.change(&id, right, |row| {
            row.job = Some(job);
            row.body = "".into();
        }))
    }

    async fn delete_campaign(&mut self, whose: (OrgId, bool), id: CampaignId) -> Answer<bool> {
        let campaigns = &mut self.tables()?.0.work.campaigns;
        let own = campaigns
            .get(&id)
            .is_some_and(|one| (one.org, one.live) == whose);
        Ok(own && campaigns.remove(&id).is_some())
    }

    async fn forget_drafts(&mut self, before: Timestamp, limit: u32) -> Answer<u64> {
        let campaigns = &mut self.tables()?.0.work.campaigns;
        let stale = campaigns
            .all()
            .filter(|one| one.job.is_none() && one.updated_at < before);
        let mut stale: Vec<_> = stale.map(|one| (one.updated_at, one.id)).collect();
        stale.sort_unstable();
        stale.truncate(limit as usize);
        for (_, draft) in &stale {
            campaigns.remove(draft);
        }
        Ok(stale.len() as u64)
    }
}

impl Board for MemoryReader {
    async fn job_view(&self, id: JobId) -> Answer<Option<JobView>> {
        self.look(|tables, _| tables.work.jobs.get(&id).cloned())
    }

    async fn job_list(&self, of: Whose, before: Option<JobId>, limit: u32) -> Answer<Vec<JobView>> {
        self.look(|tables, _| {
            let all = tables.work.jobs.all().rev();
            all.filter(|JobView { job, .. }| match of {
                Whose::All => true,
                Whose::Org(org) => job.org == org,
                Whose::Keys(org, live) => job.org == org && job.live == live,
            })
            .filter(|view| before.is_none_or(|before| view.job.id < before))
            .take(limit as usize)
            .cloned()
            .collect()
        })
    }

    async fn due_jobs(&self, now: Timestamp, each: u32, limit: u32) -> Answer<Vec<JobView>> {
        self.look(|tables, _| tables.due_jobs(now, each, limit))
    }

    async fn chunks(&self, job: JobId) -> Answer<Vec<ChunkView>> {
        self.look(|tables, _| tables.work.chunks_of(job).map(|row| row.view).collect())
    }

    async fn bodies(&self, job: JobId, from: u32, until: u32) -> Answer<Vec<Body>> {
        self.look(|tables, _| {
            let rows = tables.work.chunks.range((job, from)..=(job, until));
            rows.map(ChunkRow::named).collect()
        })
    }

    async fn named(&self, (job, chunk): (JobId, u32), limit: u32) -> Answer<Vec<Body>> {
        self.look(|tables, _| {
            let rows = tables.work.chunks.range((job, chunk.saturating_add(1))..);
            rows.filter(|row| row.view.state != ChunkState::Expanded || row.view.refused > 0)
                .take(limit as usize)
                .map(ChunkRow::named)
                .collect()
        })
    }

    async fn standings(&self, job: JobId, from: u32, until: u32) -> Answer<Vec<Standing>> {
        self.look(|tables, _| tables.standings(job, from, until))
    }

    async fn messages_of(&self, job: JobId, from: u32, until: u32) -> Answer<Vec<MessageView>> {
        self.look(|tables, carriers| {
            let chunks = tables.work.chunks.range((job, from)..=(job, until));
            let spans = chunks.filter_map(|row| row.view.span);
            let rows = spans.flat_map(|(first, last)| tables.messages.range(first..=last));
            rows.map(|row| row.view(carriers)).collect()
        })
    }
}

impl Drafts for MemoryReader {
    async fn campaigns(
        &self,
        (org, live): (OrgId, bool),
        before: Option<CampaignId>,
        limit: u32,
    ) -> Answer<Vec<Campaign>> {
        self.look(|tables, _| {
            let all = tables.work.campaigns.all().rev();
            all.filter(|one| one.org == org && one.live == live)
                .filter(|one| before.is_none_or(|before| one.id < before))
                .take(limit as usize)
                .map(face)
                .collect()
        })
    }

    async fn campaign(&self, org: OrgId, id: CampaignId) -> Answer<Option<Campaign>> {
        self.look(|tables, _| {
            let found = tables.work.campaigns.get(&id);
            found.filter(|one| one.org == org).cloned()
        })
    }

    async fn campaign_face(&self, org: OrgId, id: CampaignId) -> Answer<Option<Campaign>> {
        self.look(|tables, _| {
            let found = tables.work.campaigns.get(&id);
            found.filter(|one| one.org == org).map(face)
        })
    }

    async fn draft_after(&self, after: CampaignId) -> Answer<Option<Campaign>> {
        self.look(|tables, _| {
            let mut all = tables.work.campaigns.all();
            all.find(|one| one.id > after && one.job.is_none()).cloned()
        })
    }
}

/// Without its body.
fn face(campaign: &Campaign) -> Campaign {
    Campaign {
        body: "".into(),
        ..campaign.clone()
    }
}
