//! Lives here: the task that makes messages of jobs' recipients: one chunk after the other, fairly
//! over organisations, and never more of a job than a window of unsent ones, so that to pause or to
//! cancel takes effect at once and other traffic finds short queues.
//!
//! All that it knows it has read: a chunk and its messages change in one commit, so a start goes on
//! where the last run was stopped, whatever stopped it.
//! Never here: accepting jobs (`accept`), lanes, SQL.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::accept;
use crate::domain::ids::{JobId, OrgId};
use crate::domain::job::{self, Counts, Entry, JobState, Step, Waits};
use crate::domain::message::{Message, State};
use crate::domain::template::Template;
use crate::domain::time::Timestamp;
use crate::ingest::Ingest;
use crate::ingest::batch::Shared;
use crate::store::jobs::{Body, ChunkState, ChunkView, Expansion, JobView, Standing, Stepped};
use crate::store::{Store, StoreError};
use crate::telemetry::metrics::bulk as meter;

/// How often it is looked what is due, if nobody wakes the task; and what has been sent of a job
/// that empties its window in a second,
const LOOK: Duration = Duration::from_millis(250);
/// of a slow one,
const LOOK_SLOW: Duration = Duration::from_secs(1);
/// and of one where nothing moves: a doubt may last for a day, but carriers come back.
const LOOK_MAX: Duration = Duration::from_secs(4);
/// How often jobs are looked up of which nothing has been heard.
const LIST: Duration = Duration::from_secs(1);
/// Jobs of one organisation that are worked at together, and of all. The others wait. Those that only
/// wait for an outcome take no place from those that have something to do.
const EACH: u32 = 8;
const JOBS: u32 = 256;
/// Organisations that are served between two looks.
const TURNS: usize = 8;
/// A job that could not be read or written is left alone for so long.
const REST: Duration = Duration::from_secs(10);
/// The task.
pub struct Runner {
    ingest: Arc<Ingest>,
    store: Store,
    wake: Arc<Notify>,
    work: HashMap<JobId, Work>,
    /// When each organisation was served last, by a counter: who waits longest comes first.
    served: HashMap<OrgId, u64>,
    turn: u64,
    /// Jobs that are left alone, and until when.
    resting: HashMap<JobId, Instant>,
    /// The last thing that was asked of the store failed.
    doubted: bool,
    well: bool,
}

/// A job at work.
struct Work {
    view: JobView,
    chunks: Vec<ChunkView>,
    /// The first chunk that waits.
    next: usize,
    /// Chunks that may have unsent messages.
    open: HashSet<u32>,
    unsent: u64,
    window: u64,
    looked: Instant,
    /// When it is to be looked again, after that.
    again: Duration,
    /// Not before this is the next chunk's turn.
    not_before: Instant,
    served: u64,
}

impl Work {
    fn new(view: JobView, chunks: Vec<ChunkView>, now: Instant) -> Self {
        let waits = |chunk: &ChunkView| chunk.state == ChunkState::Waiting;
        let open = chunks.iter().filter(|chunk| chunk.span.is_some());
        Self {
            next: chunks.iter().position(waits).unwrap_or(chunks.len()),
            open: open.map(|chunk| chunk.number).collect(),
            view,
            chunks,
            // Nothing is known until the first look.
            unsent: u64::MAX,
            window: job::WINDOW_MIN,
            looked: now,
            again: LOOK,
            not_before: now,
            served: 0,
        }
    }

    fn is_ready(&self, now: Instant) -> bool {
        self.next < self.chunks.len() && self.unsent < self.window && self.not_before <= now
    }

    /// A chunk has become messages.
    fn went(&mut self, messages: u64, now: Instant) {
        if let Some(chunk) = self.chunks.get_mut(self.next) {
            chunk.state = ChunkState::Expanded;
            if messages > 0 {
                self.open.insert(chunk.number);
            }
            let rate = u64::from(self.view.job.rate_limit);
            if let Some(ms) = (messages * 1000).checked_div(rate) {
                self.not_before = self.not_before.max(now - LOOK) + Duration::from_millis(ms);
            }
        }
        self.unsent = self.unsent.saturating_add(messages);
        self.again = LOOK;
        self.next += 1;
    }
}

impl Runner {
    pub(super) fn new((ingest, store): (Arc<Ingest>, Store), wake: Arc<Notify>) -> Self {
        Self {
            ingest,
            store,
            wake,
            work: HashMap::new(),
            served: HashMap::new(),
            turn: 0,
            resting: HashMap::new(),
            doubted: false,
            well: true,
        }
    }

    /// Works until `stop`; a chunk at hand is finished. `now` reads the wall clock.
    pub async fn run(mut self, now: impl Fn() -> Timestamp, stop: CancellationToken) {
        let mut listed = None::<Instant>;
        while !stop.is_cancelled() {
            let mut list = listed.is_none_or(|at| at.elapsed() >= LIST);
            let busy = if self.store.health().is_well() {
                if list {
                    listed = Some(Instant::now());
                }
                let done = self.round(now(), list).await;
                self.heed(done)
            } else {
                false
            };
            if busy {
                continue;
            }
            // Nothing is lost when a branch is dropped: a wake that was stored stays stored.
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.wake.notified() => list = true,
                () = tokio::time::sleep(LOOK) => list = false,
            }
            if list {
                listed = None;
            }
        }
    }

    /// Says once that something is in the way, and once that it works again.
    fn heed(&mut self, done: Result<bool, StoreError>) -> bool {
        match done {
            Ok(busy) => {
                if !std::mem::replace(&mut self.well, true) {
                    tracing::info!("bulk jobs go on");
                }
                busy
            }
            Err(error) => {
                if std::mem::replace(&mut self.well, false) {
                    tracing::warn!(%error, "bulk jobs wait: the store does not answer");
                }
                false
            }
        }
    }

    /// Looks, and serves those whose turn it is; says whether there may be more to be done at once.
    async fn round(&mut self, now: Timestamp, list: bool) -> Result<bool, StoreError> {
        if list {
            self.list(now).await?;
        }
        let jobs: Vec<JobId> = self.work.keys().copied().collect();
        for job in jobs {
            let done = self.look(job, now).await;
            self.spare(job, done)?;
        }
        let turns = self.turns(Instant::now());
        let mut busy = false;
        for job in turns {
            let done = self.expand(job, now).await;
            let done = self.spare(job, done)?.unwrap_or(Served::Spoilt);
            let Some(work) = self.work.get_mut(&job) else {
                continue;
            };
            match done {
                Served::Made(messages) => {
                    meter::expanded(messages);
                    work.went(messages, Instant::now());
                    busy = true;
                }
                // Somebody has paused it, or taken it back: what is known of it is old.
                Served::Stopped => {
                    self.work.remove(&job);
                }
                Served::Spoilt => {
                    self.resting.insert(job, Instant::now() + REST);
                }
            }
        }
        Ok(busy)
    }

    /// What is wrong with one job is no reason to leave the others alone.
    ///
    /// # Errors
    /// It is the store that does not answer.
    fn spare<T>(
        &mut self,
        job: JobId,
        done: Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let error = match done {
            Ok(done) => {
                self.doubted = false;
                return Ok(Some(done));
            }
            Err(error) => error,
        };
        let its_own = matches!(error, StoreError::Corrupt { .. } | StoreError::Unfit);
        let gone = matches!(error, StoreError::Unavailable | StoreError::Closed);
        // Two in a row that say nothing of a row: it is not the jobs.
        if gone || (!its_own && std::mem::replace(&mut self.doubted, true)) {
            return Err(error);
        }
        tracing::error!(job = %job, %error, "a bulk job cannot be read or written; it waits");
        meter::spared();
        self.resting.insert(job, Instant::now() + REST);
        Ok(None)
    }

    /// Finds out which jobs there are.
    async fn list(&mut self, now: Timestamp) -> Result<(), StoreError> {
        self.resting.retain(|_, until| *until > Instant::now());
        let mut due = self.store.due_jobs(now, EACH, JOBS).await?;
        due.retain(|view| !self.resting.contains_key(&view.job.id));
        let there: HashSet<JobId> = due.iter().map(|view| view.job.id).collect();
        self.work.retain(|job, _| there.contains(job));
        for view in due {
            if view.state == JobState::Canceling {
                let job = view.job.id;
                self.work.remove(&job);
                let done = self.take_back(view, now).await;
                self.spare(job, done)?;
            } else if !self.work.contains_key(&view.job.id) {
                let chunks = self.store.chunks(view.job.id).await;
                if let Some(chunks) = self.spare(view.job.id, chunks)? {
                    let work = Work::new(view, chunks, Instant::now());
                    self.work.insert(work.view.job.id, work);
                }
            }
        }
        let orgs: HashSet<OrgId> = self.work.values().map(|work| work.view.job.org).collect();
        self.served.retain(|org, _| orgs.contains(org));
        meter::at_work(self.work.len());
        Ok(())
    }

    /// Looks what has become of a job's messages; ends the job if nothing of it waits.
    async fn look(&mut self, id: JobId, now: Timestamp) -> Result<(), StoreError> {
        let Some(work) = self.work.get_mut(&id) else {
            return Ok(());
        };
        let since = work.looked.elapsed();
        if self.resting.contains_key(&id) || (work.unsent != u64::MAX && since < work.again) {
            return Ok(());
        }
        let mut unsent = 0;
        let ends = work.open.iter().min().zip(work.open.iter().max());
        if let Some((from, until)) = ends {
            let found = self.store.standings(id, *from, *until).await?;
            let mut waiting: HashMap<u32, u64> = HashMap::new();
            for one in &found {
                let mut counts = Counts::default();
                counts.add(one.state, one.sent, one.number, one.cost);
                *waiting.entry(one.chunk).or_default() += counts.open();
            }
            work.open
                .retain(|chunk| waiting.get(chunk).is_some_and(|number| *number > 0));
            unsent = waiting.values().sum();
        }
        if work.unsent != u64::MAX {
            let sent = work.unsent.saturating_sub(unsent);
            work.window = job::window(sent, since);
            work.again = again(work.again, (sent, since), work.window);
        }
        work.unsent = unsent;
        work.looked = Instant::now();
        if unsent == 0 && work.next == work.chunks.len() {
            let view = work.view.clone();
            self.finish(view, now).await?;
            self.work.remove(&id);
        }
        Ok(())
    }

    async fn finish(&self, view: JobView, now: Timestamp) -> Result<(), StoreError> {
        let counts = self.store.job_counts(&view).await?;
        if counts.open() > 0 {
            // A chunk came to be while nobody looked: another look will see it.
            return Ok(());
        }
        let sent = counts.sent > 0;
        self.end(view.job.id, Step::Finish { sent }, now).await
    }

    /// Cancels what waits of a job that is being taken back. What a bind has under way is looked at
    /// again: it is sent, or comes back.
    async fn take_back(&self, view: JobView, now: Timestamp) -> Result<(), StoreError> {
        let job = view.job.id;
        let found = self.store.standings(job, 0, u32::MAX >> 1).await?;
        let waits = |one: &&Standing| matches!(one.state, State::Scheduled | State::Queued);
        let chunks: BTreeSet<u32> = found.iter().filter(waits).map(|one| one.chunk).collect();
        if chunks.is_empty() {
            return self.end(job, Step::Finish { sent: false }, now).await;
        }
        for chunk in chunks {
            self.store.sweep_chunk(job, chunk, now).await?;
        }
        Ok(())
    }

    async fn end(&self, job: JobId, step: Step, now: Timestamp) -> Result<(), StoreError> {
        let stepped = self.store.step_job(None, job, (step, now), None).await?;
        if let Stepped::Done(view) = stepped {
            meter::ended(view.state.name(now, now));
        }
        Ok(())
    }

    /// The jobs whose turn it is: of each organisation one, those first that have waited longest.
    fn turns(&mut self, now: Instant) -> Vec<JobId> {
        let mut first: HashMap<OrgId, (u64, JobId)> = HashMap::new();
        let ready =
            |(id, work): &(&JobId, &Work)| work.is_ready(now) && !self.resting.contains_key(id);
        for (id, work) in self.work.iter().filter(ready) {
            let one = first.entry(work.view.job.org).or_insert((work.served, *id));
            *one = (*one).min((work.served, *id));
        }
        let mut turns: Vec<(u64, OrgId, JobId)> = first
            .into_iter()
            .map(|(org, (_, job))| (self.served.get(&org).copied().unwrap_or(0), org, job))
            .collect();
        turns.sort_unstable();
        turns.truncate(TURNS);
        for (_, org, job) in &turns {
            self.turn += 1;
            self.served.insert(*org, self.turn);
            if let Some(work) = self.work.get_mut(job) {
                work.served = self.turn;
            }
        }
        turns.into_iter().map(|(_, _, job)| job).collect()
    }

    /// Makes messages of a job's next chunk.
    async fn expand(&self, job: JobId, now: Timestamp) -> Result<Served, StoreError> {
        let chunk = self.work.get(&job).and_then(|work| {
            let chunk = work.chunks.get(work.next)?;
            Some((&work.view, chunk.number))
        });
        let Some((view, chunk)) = chunk else {
            return Ok(Served::Stopped);
        };
        let Some(body) = self.store.bodies(job, chunk, chunk).await?.pop() else {
            return Ok(Served::Stopped);
        };
        let Some(expansion) = compose(&self.ingest, view, body, now) else {
            tracing::error!(job = %job, chunk, "a bulk job's recipients cannot be read; it waits");
            return Ok(Served::Spoilt);
        };
        let made = expansion.messages.len() as u64;
        match self.store.expand(expansion).await {
            Ok(true) => Ok(Served::Made(made)),
            Ok(false) => Ok(Served::Stopped),
            Err(error) => Err(error),
        }
    }
}

/// When a job is to be looked at again of which so many were sent in so long: four times while its
/// window empties; where nothing was sent, after twice the time.
fn again(before: Duration, (sent, since): (u64, Duration), window: u64) -> Duration {
    let Some(left) = window.checked_div(4 * sent) else {
        return (2 * before).clamp(LOOK, LOOK_MAX);
    };
    let left = u32::try_from(left).unwrap_or(u32::MAX);
    since.saturating_mul(left).clamp(LOOK, LOOK_SLOW)
}

/// What came of a turn.
enum Served {
    /// So many messages.
    Made(u64),
    /// The job stands elsewhere than this task knew.
    Stopped,
    /// The chunk cannot be read or written.
    Spoilt,
}

/// The messages of a chunk's recipients. Who could be sent to when the job was accepted, and now
/// cannot (its route has been taken out of the plan), fails. `None`: they cannot be read.
fn compose(ingest: &Ingest, view: &JobView, chunk: Body, now: Timestamp) -> Option<Expansion> {
    let job = &view.job;
    let template = Template::parse(&job.template).ok()?;
    let entries = job::unpack(&chunk.packed)?;
    let shared = Shared {
        org: job.org,
        live: job.live,
        from: job.from.clone(),
        class: job.class,
    };
    let mut text = String::new();
    let mut expansion = Expansion {
        job: job.id,
        chunk: chunk.chunk,
        messages: Vec::with_capacity(entries.len()),
        body: Vec::with_capacity(entries.len()),
        refused: 0,
        seen: Vec::new(),
        at: now,
    };
    for entry in entries {
        let refused = match entry {
            Entry::Sent => {
                job::pack(&Entry::Sent, &mut expansion.body);
                continue;
            }
            Entry::Refused { to, why } => (to.to_owned(), why),
            Entry::Waits(waits) => {
                match message(ingest, &shared, &template, &waits, (&mut text, now)) {
                    Ok(message) => {
                        expansion.messages.push(Message {
                            webhook_url: job.webhook_url.clone(),
                            metadata: job.metadata.clone(),
                            tags: job.tags.clone(),
                            client_ref: waits.client_ref.map(Into::into),
                            ..message
                        });
                        job::pack(&Entry::Sent, &mut expansion.body);
                        continue;
                    }
                    Err(why) => (waits.to.digits().to_owned(), why),
                }
            }
        };
        let (to, why) = (&*refused.0, refused.1);
        expansion.refused += 1;
        job::pack(&Entry::Refused { to, why }, &mut expansion.body);
    }
    expansion.seen = chunk.packed;
    Some(expansion)
}

fn message(
    ingest: &Ingest,
    shared: &Shared,
    template: &Template<'_>,
    waits: &Waits<'_>,
    (text, now): (&mut String, Timestamp),
) -> Result<Message, job::Why> {
    // What was missing was seen when the job was accepted: what is missing still may be.
    let rendered = template.render(&waits.values, true, text);
    rendered.map_err(|_| job::Why::Missing)?;
    let composed = ingest.compose(shared, (waits.to, waits.cost), text, now);
    composed.map_err(|refusal| accept::why(&refusal))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_looked_at_as_often_as_its_window_empties() {
        let ms = Duration::from_millis;
        for (before, sent, since, window, expected) in [
            // It waits for outcomes: less and less often, within bounds.
            (LOOK, 0, LOOK, 400, ms(500)),
            (ms(3_000), 0, ms(3_000), 400, LOOK_MAX),
            (LOOK_MAX, 0, LOOK_MAX, 400, LOOK_MAX),
            // It flies.
            (LOOK_MAX, 4_000, LOOK, 4_000, LOOK),
            (LOOK, 500, LOOK, 4_000, ms(500)),
            // It crawls.
            (LOOK, 1, LOOK, 400, LOOK_SLOW),
        ] {
            let found = again(before, (sent, since), window);
            assert_eq!(found, expected, "{sent} in {since:?}");
        }
    }
}
