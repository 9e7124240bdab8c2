//! Lives here: what bulk jobs and campaigns ask of the rows and of the writer: jobs, the chunks that
//! their recipients wait in, drafts of jobs.
//! Never here: SQL; what a recipient's message says and costs (`bulk`); whose turn it is.

mod campaigns;

use std::sync::Arc;

pub use self::campaigns::{Campaign, DRAFTS_MAX, Draft};
pub(super) use self::campaigns::{CampaignWork, Campaigns, Drafts};
use super::asking::own;
use super::batch::{Chore, ChoreDone};
use super::control::AuditEntry;
use super::memo::{Memo, Repeat};
use super::{MessageView, Store, StoreError};
use crate::domain::class::Class;
use crate::domain::credits::Credits;
use crate::domain::ids::{JobId, MessageSeq, OrgId};
use crate::domain::job::{Counts, JobState, Step, Without};
use crate::domain::ledger::Shortfall;
use crate::domain::message::{Message, State};
use crate::domain::phone::{Msisdn, Sender};
use crate::domain::time::Timestamp;

/// A job as it was asked for.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// Whose.
    pub org: OrgId,
    /// Of a live key, as are its messages.
    pub live: bool,
    /// The client's name for it.
    pub name: Box<str>,
    /// Sender of all its messages.
    pub from: Sender,
    /// The text with its places (`domain::template`).
    pub template: Box<str>,
    /// Class of all its messages.
    pub class: Class,
    /// Where the events of its messages go, and its own.
    pub webhook_url: Option<Box<str>>,
    /// As of a message; each of its messages has the same.
    pub metadata: Option<Box<str>>,
    /// As of a message; each of its messages has the same.
    pub tags: Option<Box<str>>,
    /// What the client personalises: names of fields, a JSON array.
    pub fields: Box<str>,
    /// Messages a second at most; 0 = no limit but the carriers'.
    pub rate_limit: u32,
    /// How many recipients it names.
    pub total: u32,
    /// What all its messages cost: held from the beginning.
    pub cost: Credits,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// Not before this.
    pub due_at: Timestamp,
}

/// Whose jobs are listed.
#[derive(Clone, Copy, Debug)]
pub enum Whose {
    /// Everybody's.
    All,
    /// An organisation's.
    Org(OrgId),
    /// What an organisation's live keys see, or its test keys.
    Keys(OrgId, bool),
}

/// A job and where it stands.
#[derive(Clone, Debug)]
pub struct JobView {
    /// As it was asked for.
    pub job: Job,
    /// Where it stands.
    pub state: JobState,
    /// When its first recipients became messages.
    pub started_at: Option<Timestamp>,
    /// When it was over.
    pub completed_at: Option<Timestamp>,
}

/// Recipients of a job that become messages together.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// How many.
    pub recipients: u32,
    /// How many of them nothing is sent to.
    pub refused: u32,
    /// What is held for the others.
    pub cost: Credits,
    /// They themselves, as `domain::job` packs them.
    pub body: Vec<u8>,
}

/// Where a chunk stands. The numbers are kept in the store and never change meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkState {
    /// Its recipients have no messages.
    Waiting = 0,
    /// They have, in a run of numbers.
    Expanded = 1,
    /// They will have none: the job was taken back.
    Dropped = 2,
}

impl ChunkState {
    /// The state with this number in the store.
    pub(super) const fn from_index(index: i64) -> Option<Self> {
        match index {
            0 => Some(Self::Waiting),
            1 => Some(Self::Expanded),
            2 => Some(Self::Dropped),
            _ => None,
        }
    }
}

/// A chunk without its recipients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkView {
    /// Its place in the job, from 0.
    pub number: u32,
    /// Where it stands.
    pub state: ChunkState,
    /// How many recipients.
    pub recipients: u32,
    /// How many of them nothing is sent to.
    pub refused: u32,
    /// What was held for the others when it waited.
    pub cost: Credits,
    /// The numbers of its messages, both ends included; `None`: it has none.
    pub span: Option<(MessageSeq, MessageSeq)>,
}

/// How many messages of a chunk stand alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The chunk's number.
    pub chunk: u32,
    /// Where they stand.
    pub state: State,
    /// A carrier has taken them.
    pub sent: bool,
    /// How many.
    pub number: u64,
    /// What they cost together.
    pub cost: Credits,
}

/// A chunk whose recipients become messages.
#[derive(Clone, Debug)]
pub struct Expansion {
    /// Of which job.
    pub job: JobId,
    /// Which of its chunks.
    pub chunk: u32,
    /// The messages, in the order of their recipients.
    pub messages: Vec<Message>,
    /// What is left to be kept of the recipients.
    pub body: Vec<u8>,
    /// How many of them nothing is sent to.
    pub refused: u32,
    /// What was read of it ([`Body::packed`]): it is not the chunk any more if somebody's number has
    /// been erased from it since.
    pub seen: Vec<u8>,
    /// When.
    pub at: Timestamp,
}

/// A chunk's recipients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// Of which job.
    pub job: JobId,
    /// Which of its chunks.
    pub chunk: u32,
    /// The numbers of its messages, both ends included; `None`: it has none.
    pub span: Option<(MessageSeq, MessageSeq)>,
    /// They themselves, as `domain::job` packs them. Empty: they were dropped, and it is over.
    pub packed: Vec<u8>,
}

/// A job to accept.
#[derive(Clone, Debug)]
pub struct Order {
    /// The job.
    pub job: Job,
    /// Its recipients.
    pub chunks: Vec<Chunk>,
    /// The campaign that it is launched from, if it is.
    pub campaign: Option<Draft>,
    /// What its request is answered, if that names itself: kept with the job.
    pub memo: Option<Arc<Memo>>,
}

/// What came of an order.
#[derive(Clone, Debug)]
pub enum Ordered {
    /// The job is durable, with all that it will cost held for it.
    Done,
    /// Its request repeats one: nothing was kept.
    Repeats(Repeat),
    /// Its campaign has been launched before, or is gone: nothing was kept.
    Launched,
    /// It cannot be paid: nothing was kept.
    Short(Shortfall),
}

/// What came of a step.
#[derive(Clone, Debug)]
pub enum Stepped {
    /// The job as it is now.
    Done(Box<JobView>),
    /// It is not to be taken from where the job stands.
    Refused(JobState),
    /// There is no such job.
    Missing,
}

/// The changes, each within the open transaction.
pub(super) trait Jobs {
    /// Writes a job, scheduled, and its chunks, waiting. Ids are new.
    async fn insert_job(&mut self, job: &Job, chunks: &[Chunk]) -> Result<(), StoreError>;

    /// A job.
    async fn job(&mut self, id: JobId) -> Result<Option<JobView>, StoreError>;

    /// Writes where a job stands.
    async fn move_job(&mut self, moved: &JobView) -> Result<(), StoreError>;

    /// A chunk.
    async fn chunk(&mut self, job: JobId, number: u32) -> Result<Option<ChunkView>, StoreError>;

    /// Writes that a chunk's recipients have these messages, and what is kept of them.
    async fn expanded(
        &mut self,
        expansion: &Expansion,
        span: Option<(MessageSeq, MessageSeq)>,
    ) -> Result<(), StoreError>;

    /// Drops a job's waiting chunks; returns what was held for them.
    async fn drop_chunks(&mut self, job: JobId) -> Result<Credits, StoreError>;

    /// Takes from at most `limit` jobs that were over before a time, and from the campaigns that they
    /// come from, their texts, and the recipients that were never sent to; returns how many.
    async fn redact_jobs(&mut self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;

    /// A chunk's recipients.
    async fn body(&mut self, job: JobId, number: u32) -> Result<Option<Body>, StoreError>;

    /// Writes a chunk's recipients without an erased one.
    async fn erase_recipient(
        &mut self,
        whose: (JobId, u32),
        left: &Without,
    ) -> Result<(), StoreError>;

    /// Deletes at most `limit` jobs that were over before a time, with their chunks and the
    /// campaigns that they come from; returns how many.
    async fn forget_jobs(&mut self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;
}

/// What is read beside the writer.
pub(super) trait Board {
    /// A job.
    async fn job_view(&self, id: JobId) -> Result<Option<JobView>, StoreError>;

    /// Jobs before this one, of these, the newest first.
    async fn job_list(
        &self,
        of: Whose,
        before: Option<JobId>,
        limit: u32,
    ) -> Result<Vec<JobView>, StoreError>;

    /// What there is to be done for: first jobs that are being taken back, then those that are due,
    /// then those that only wait for outcomes; of each organisation and kind the first due, at most
    /// `each`; in all at most `limit`.
    async fn due_jobs(
        &self,
        now: Timestamp,
        each: u32,
        limit: u32,
    ) -> Result<Vec<JobView>, StoreError>;

    /// A job's chunks, in their order.
    async fn chunks(&self, job: JobId) -> Result<Vec<ChunkView>, StoreError>;

    /// The recipients of a job's chunks, from a chunk to a chunk, both included.
    async fn bodies(&self, job: JobId, from: u32, until: u32) -> Result<Vec<Body>, StoreError>;

    /// The first chunks behind this one, of all jobs, in which there may be numbers.
    async fn named(&self, after: (JobId, u32), limit: u32) -> Result<Vec<Body>, StoreError>;

    /// Where the messages of a job's chunks stand, from a chunk to a chunk, both included.
    async fn standings(
        &self,
        job: JobId,
        from: u32,
        until: u32,
    ) -> Result<Vec<Standing>, StoreError>;

    /// The messages of a job's chunks, from a chunk to a chunk, both included, in their order.
    async fn messages_of(
        &self,
        job: JobId,
        from: u32,
        until: u32,
    ) -> Result<Vec<MessageView>, StoreError>;
}

/// What the writer is asked for.
#[derive(Debug)]
pub(super) enum JobsWork {
    Create(Box<Order>),
    Expand(Box<Expansion>),
    /// For the organisation, if one is named.
    Step(Option<OrgId>, JobId, Step, Timestamp),
    Sweep(JobId, u32, Timestamp),
    Forget(Timestamp, u32),
    Redact(Timestamp, u32),
    /// Takes a number out of a chunk.
    Erase((JobId, u32), Msisdn, Timestamp),
    Campaign(CampaignWork),
}

/// What came of it.
#[derive(Debug)]
pub(super) enum JobsDone {
    Ordered(Ordered),
    Stepped(Stepped),
    Changed(bool),
    Count(u64),
}

impl JobsDone {
    /// The audit's word for what was not done.
    pub(super) const fn refusal(&self) -> Option<&'static str> {
        match self {
            Self::Stepped(Stepped::Refused(_)) => Some("refused: the job stands elsewhere"),
            Self::Stepped(Stepped::Missing) => Some("refused: there is no such job"),
            Self::Stepped(Stepped::Done(_))
            | Self::Ordered(_)
            | Self::Changed(_)
            | Self::Count(_) => None,
        }
    }
}

impl Store {
    /// Accepts a job; returns once it is known what has become of that. [`Ordered::Short`] comes as an
    /// error, as with messages.
    ///
    /// # Errors
    /// [`StoreError::Short`], [`StoreError::Unavailable`], [`StoreError::Closed`],
    /// [`StoreError::Unfit`]: nothing was kept. [`StoreError::InDoubt`]: it may have been.
    pub async fn order_job(&self, order: Order) -> Result<Ordered, StoreError> {
        let work = JobsWork::Create(Box::new(order));
        let done = self.jobs_command(work, None).await?;
        match own!(done, JobsDone::Ordered(ordered) => ordered) {
            Ordered::Short(short) => Err(StoreError::Short(short)),
            ordered => Ok(ordered),
        }
    }

    /// Makes messages of a chunk's recipients, at once and once; `false`: the job has been stopped,
    /// or the chunk has its messages.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] at once while commits fail, [`StoreError::Closed`],
    /// [`StoreError::Unfit`]: nothing was done.
    pub async fn expand(&self, expansion: Expansion) -> Result<bool, StoreError> {
        let work = JobsWork::Expand(Box::new(expansion));
        self.job_changed(work).await
    }

    /// Takes a job a step further; `org`: only if it is this one's.
    ///
    /// # Errors
    /// As [`Store::order_job`].
    pub async fn step_job(
        &self,
        org: Option<OrgId>,
        job: JobId,
        (step, at): (Step, Timestamp),
        audit: Option<AuditEntry>,
    ) -> Result<Stepped, StoreError> {
        let work = JobsWork::Step(org, job, step, at);
        let done = self.jobs_command(work, audit).await?;
        Ok(own!(done, JobsDone::Stepped(stepped) => stepped))
    }

    /// Cancels what no carrier has of a chunk of a job that is being taken back; returns how many
    /// messages.
    ///
    /// # Errors
    /// As [`Store::expand`].
    pub async fn sweep_chunk(
        &self,
        job: JobId,
        chunk: u32,
        at: Timestamp,
    ) -> Result<u64, StoreError> {
        self.job_count(JobsWork::Sweep(job, chunk, at)).await
    }

    /// Takes the texts of at most `limit` jobs that were over before a time; returns how many.
    ///
    /// # Errors
    /// As [`Store::expand`].
    pub async fn redact_jobs(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.job_count(JobsWork::Redact(before, limit)).await
    }

    /// Takes a number out of a chunk; returns how many recipients had it.
    pub(super) async fn erase_recipient(
        &self,
        whose: (JobId, u32),
        number: Msisdn,
        at: Timestamp,
    ) -> Result<u64, StoreError> {
        let work = JobsWork::Erase(whose, number, at);
        let done = self.jobs_command(work, None).await?;
        Ok(own!(done, JobsDone::Count(count) => count))
    }

    /// Deletes at most `limit` jobs that were over before a time, and as many drafts that have not
    /// been changed since; returns how many.
    ///
    /// # Errors
    /// As [`Store::expand`].
    pub async fn forget_jobs(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.job_count(JobsWork::Forget(before, limit)).await
    }

    /// A job; `org`: only if it is this one's.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub async fn job(&self, org: Option<OrgId>, id: JobId) -> Result<Option<JobView>, StoreError> {
        let found = self.inner.reader.job_view(id).await?;
        Ok(found.filter(|view| org.is_none_or(|org| view.job.org == org)))
    }

    /// Jobs before this one, of these, the newest first.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub async fn jobs(
        &self,
        of: Whose,
        before: Option<JobId>,
        limit: u32,
    ) -> Result<Vec<JobView>, StoreError> {
        self.inner.reader.job_list(of, before, limit).await
    }

    /// Jobs that are being taken back, that are due, and that only wait for outcomes: of each
    /// organisation and kind the first `each`, in all the first `limit`.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub async fn due_jobs(
        &self,
        now: Timestamp,
        each: u32,
        limit: u32,
    ) -> Result<Vec<JobView>, StoreError> {
        self.inner.reader.due_jobs(now, each, limit).await
    }

    /// A job's chunks, in their order.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub async fn chunks(&self, job: JobId) -> Result<Vec<ChunkView>, StoreError> {
        self.inner.reader.chunks(job).await
    }

    /// The recipients of a job's chunks, from a chunk to a chunk, both included.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn bodies(&self, job: JobId, from: u32, until: u32) -> Result<Vec<Body>, StoreError> {
        self.inner.reader.bodies(job, from, until).await
    }

    /// Where the messages of a job's chunks stand, from a chunk to a chunk, both included.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub async fn standings(
        &self,
        job: JobId,
        from: u32,
        until: u32,
    ) -> Result<Vec<Standing>, StoreError> {
        self.inner.reader.standings(job, from, until).await
    }

    /// The messages of a job's chunks, from a chunk to a chunk, both included, in their order.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub async fn messages_of(
        &self,
        job: JobId,
        from: u32,
        until: u32,
    ) -> Result<Vec<MessageView>, StoreError> {
        self.inner.reader.messages_of(job, from, until).await
    }

    /// What has become of a job's recipients.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub async fn job_counts(&self, view: &JobView) -> Result<Counts, StoreError> {
        let chunks = self.chunks(view.job.id).await?;
        let standings = self.standings(view.job.id, 0, u32::MAX >> 1).await?;
        Ok(counted(view, &chunks, &standings))
    }

    async fn job_changed(&self, work: JobsWork) -> Result<bool, StoreError> {
        let done = self.errand(Chore::Jobs(work)).await?;
        Ok(own!(done, ChoreDone::Jobs(JobsDone::Changed(changed)) => changed))
    }

    async fn job_count(&self, work: JobsWork) -> Result<u64, StoreError> {
        let done = self.errand(Chore::Jobs(work)).await?;
        Ok(own!(done, ChoreDone::Jobs(JobsDone::Count(count)) => count))
    }

    async fn jobs_command(
        &self,
        work: JobsWork,
        audit: Option<AuditEntry>,
    ) -> Result<JobsDone, StoreError> {
        let done = self.command(Chore::Jobs(work), audit).await?;
        Ok(own!(done, ChoreDone::Jobs(done) => done))
    }
}

/// What has become of a job's recipients, by what its chunks and their messages say.
pub fn counted(view: &JobView, chunks: &[ChunkView], standings: &[Standing]) -> Counts {
    let mut counts = Counts {
        total: view.job.total.into(),
        ..Counts::default()
    };
    for chunk in chunks {
        let good = u64::from(chunk.recipients.saturating_sub(chunk.refused));
        counts.failed += u64::from(chunk.refused);
        match chunk.state {
            ChunkState::Waiting => counts.pending += good,
            ChunkState::Dropped => counts.canceled += good,
            ChunkState::Expanded => {}
        }
    }
    for one in standings {
        counts.add(one.state, one.sent, one.number, one.cost);
    }
    counts
}
