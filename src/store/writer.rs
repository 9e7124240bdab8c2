//! Lives here: the one task that writes. It takes what has arrived, commits it as one
//! transaction, and only then answers everybody in it.
//!
//! The queues form the batches: while one commit runs the next one gathers. Accepts come before
//! other work and OTP accepts before all; other work is capped for each transaction so that a
//! lump of it does not delay accepts (400 updates at once made the accept p99 three times worse,
//! `reference/storage.md`).
//! Never here: SQL, deciding what happens to messages, what becomes of a batch that the database
//! refuses for what is in it (`aside`).

mod aside;
mod outage;

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::aside::Aside;
use self::outage::{Told, in_time};
use super::batch::{Accept, Batch, Deliveries, Effects, Errand, Intent, Receipts, Settle};
use super::directory::Directory;
use super::engine::{Engine, Unfinished};
use super::inbox::ReceiptNews;
use super::portions::Kind;
use super::rows::Rows;
use super::upkeep::Request;
use super::waits::Waits;
use super::{Carriers, Config, StoreError};
use crate::domain::class::Class;
use crate::domain::endpoint::{Endpoints, Reason};
use crate::domain::ids::{BindName, CarrierId, EventId, IntentId};
use crate::domain::message::State;
use crate::domain::time::Timestamp;
use crate::flow::{Answered, Committed, EventJob, Ready, Settlement, StoreHealth};
use crate::telemetry::metrics::{store as meter, webhooks};

/// How soon an event is due again that found the webhook workers' queue full.
const LEFT_FOR: Duration = Duration::from_secs(1);

/// Work other than accepts.
#[derive(Debug)]
pub(super) enum Work {
    Intent(IntentRequest),
    Settle(Settle),
    Receipts(Receipts),
    Deliveries(Deliveries),
    Errand(Box<Errand>),
    Leave(Vec<(EventId, Timestamp)>),
    Tidy(Box<Request>),
}

/// An intent that has no id yet.
#[derive(Debug)]
pub(super) struct IntentRequest {
    pub(super) carrier: CarrierId,
    pub(super) bind: BindName,
    pub(super) at: Timestamp,
    pub(super) batch: Vec<Ready>,
    pub(super) to: mpsc::Sender<Answered>,
}

/// What woke the writer.
enum Arrived {
    Accept(Accept),
    Work(Work),
}

/// The writer's task, to be run until shutdown.
pub struct Writer {
    orderly: Arc<AtomicBool>,
    run: Box<dyn FnOnce(CancellationToken) -> Running + Send>,
}

/// The writer at work.
type Running = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send>>;

impl Writer {
    /// `run` is a [`Task`]'s, of a type that is known where this is called: only there is it known
    /// that it may change threads.
    pub(super) fn new(
        orderly: Arc<AtomicBool>,
        run: impl FnOnce(CancellationToken) -> Running + Send + 'static,
    ) -> Self {
        Self {
            orderly,
            run: Box::new(run),
        }
    }

    /// Whether the end will be noted as orderly: true until somebody knows better.
    pub fn orderly(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.orderly)
    }

    /// Runs until `stop`, then commits what has still arrived and closes the database, noting
    /// that the run ended well unless `orderly` says otherwise.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be closed; [`StoreError::Diverged`] when it has
    /// lost commits, after which this process knows things that never were.
    pub async fn run(self, stop: CancellationToken) -> Result<(), StoreError> {
        (self.run)(stop).await
    }
}

/// The same, over rows of a kind.
pub(super) struct Task<R> {
    engine: Engine<R>,
    ends: Ends,
    accepts_max: usize,
    rows_max: usize,
    /// Events that the workers' queue had no room for, and when they are due again: written with
    /// the next commit. At most two for each message of a batch.
    left: Vec<(EventId, Timestamp)>,
    /// Intents all of whose messages were turned back: closed with the next commit.
    closed: Vec<IntentId>,
    /// What is to be tidied between batches, one after each; at most what the queue holds, and who
    /// asks waits for the answer.
    tidying: VecDeque<Request>,
    orderly: Arc<AtomicBool>,
    told: Told,
    aside: Aside,
    meter: meter::Writer,
    reached: meter::Reached,
    endpoints: webhooks::Endpoints,
}

/// What came of trying to commit a batch.
enum Tried {
    /// Everybody has been told.
    Kept,
    /// Nothing was kept.
    Refused(Batch, StoreError),
    /// Nothing was kept, for what is in it.
    Unfit(Batch, StoreError),
    /// The daemon must end, or was told to, before it was known; everybody has been told.
    Unknown(Result<(), StoreError>),
}

/// What reaches the writer, and what it tells others.
pub(super) struct Ends {
    /// By class.
    pub(super) accepts: [mpsc::Receiver<Accept>; 3],
    pub(super) work: mpsc::Receiver<Work>,
    pub(super) committed: mpsc::Sender<Committed>,
    pub(super) events: mpsc::Sender<EventJob>,
    pub(super) news: mpsc::Sender<ReceiptNews>,
    pub(super) health: Arc<StoreHealth>,
    pub(super) directory: Arc<Directory>,
    pub(super) waits: Arc<Waits>,
}

impl<R: Rows> Task<R> {
    pub(super) fn new(config: &Config, engine: Engine<R>, carriers: &Carriers, ends: Ends) -> Self {
        let classes = Class::ALL.map(Class::name);
        let carriers: Vec<&str> = carriers.ids().iter().map(|id| &*id.0).collect();
        let reached = meter::Reached::new(&carriers, classes, &State::ALL.map(State::name));
        let endpoints = webhooks::Endpoints::new(&Reason::ALL.map(Reason::name));
        count(&endpoints, &engine.published().load());
        Self {
            engine,
            ends,
            accepts_max: config.accepts_max,
            rows_max: config.rows_max,
            left: Vec::new(),
            closed: Vec::new(),
            tidying: VecDeque::new(),
            orderly: Arc::new(AtomicBool::new(true)),
            told: Told::default(),
            aside: Aside::default(),
            meter: meter::Writer::new(classes, &Kind::ALL.map(Kind::name)),
            reached,
            endpoints,
        }
    }

    pub(super) fn orderly(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.orderly)
    }

    pub(super) async fn run(mut self, stop: CancellationToken) -> Result<(), StoreError> {
        self.engine.enter().await?;
        loop {
            let mut batch = Batch::default();
            if self.tidying.is_empty() {
                let [otp, transactional, promotional] = &mut self.ends.accepts;
                // Nothing is lost when a branch is dropped: `recv` and `cancelled` are cancel-safe.
                let first = tokio::select! {
                    biased;
                    Some(accept) = otp.recv() => Arrived::Accept(accept),
                    Some(accept) = transactional.recv() => Arrived::Accept(accept),
                    Some(accept) = promotional.recv() => Arrived::Accept(accept),
                    Some(work) = self.ends.work.recv() => Arrived::Work(work),
                    () = stop.cancelled() => break,
                };
                match first {
                    Arrived::Accept(accept) => self.take_accept(accept, &mut batch),
                    Arrived::Work(work) => self.take_work(work, &mut batch),
                }
            }
            self.drain(&mut batch);
            if !batch.is_empty() {
                self.commit(batch, &stop).await?;
            }
            if let Some(request) = self.tidying.pop_front() {
                self.tidy(request, &stop).await?;
            }
        }
        loop {
            let mut batch = Batch::default();
            self.drain(&mut batch);
            if batch.is_empty() {
                break;
            }
            self.commit(batch, &stop).await?;
        }
        self.engine
            .close(self.orderly.load(Ordering::Relaxed))
            .await
    }

    fn drain(&mut self, batch: &mut Batch) {
        batch.left.append(&mut self.left);
        batch.closed.append(&mut self.closed);
        for class in 0..self.ends.accepts.len() {
            while batch.accepts.len() < self.accepts_max
                && let Ok(accept) = self.ends.accepts[class].try_recv()
            {
                self.take_accept(accept, batch);
            }
        }
        while batch.rows < self.rows_max
            && let Ok(work) = self.ends.work.try_recv()
        {
            self.take_work(work, batch);
        }
    }

    fn take_accept(&mut self, mut accept: Accept, batch: &mut Batch) {
        let seq = self.engine.next_seq(accept.message.accepted_at);
        Arc::get_mut(&mut accept.message)
            .expect("the queue held the only reference: Store::accept made it")
            .seq = seq;
        batch.accepts.push(accept);
    }

    fn take_work(&mut self, work: Work, batch: &mut Batch) {
        batch.rows += match &work {
            Work::Intent(_) => 1,
            Work::Settle(settle) => {
                let Settlement {
                    attempts,
                    transitions,
                    closed_intents: _,
                    reroutes,
                } = &settle.settlement;
                attempts.len() + transitions.len() + 2 * reroutes.len()
            }
            Work::Receipts(receipts) => 2 * receipts.receipts.len(),
            Work::Deliveries(deliveries) => 2 * deliveries.records.len(),
            Work::Errand(errand) => errand.chore.rows(),
            Work::Leave(events) => events.len(),
            Work::Tidy(_) => 0,
        };
        match work {
            Work::Intent(IntentRequest {
                carrier,
                bind,
                at,
                batch: ready,
                to,
            }) => {
                let id = self.engine.next_intent();
                batch.intents.push(Intent {
                    id,
                    carrier,
                    bind,
                    at,
                    batch: ready,
                    to,
                });
            }
            Work::Settle(settle) => batch.settlements.push(settle),
            Work::Receipts(receipts) => batch.receipts.push(receipts),
            Work::Deliveries(deliveries) => batch.deliveries.push(deliveries),
            Work::Errand(errand) => batch.chores.push(*errand),
            Work::Leave(events) => batch.left.extend(events),
            Work::Tidy(request) => self.tidying.push_back(*request),
        }
    }

    /// Does what is to be tidied, in a transaction of its own. Who asked for it may ask again: it is
    /// not tried twice, and does not suspend anything, unless the connection is lost with it.
    async fn tidy(&mut self, request: Request, stop: &CancellationToken) -> Result<(), StoreError> {
        if !request.asked.begin() {
            return Ok(());
        }
        let tidying = self.engine.tidy(&request.work);
        let done = in_time(tidying, &mut self.ends, &mut self.told, &self.meter).await;
        if done.is_err() {
            self.meter.failed();
        }
        let done = match done {
            Ok(done) => {
                self.set_well();
                Ok(done)
            }
            Err(Unfinished::Refused(error)) if error.ends() => return Err(error),
            Err(Unfinished::Refused(error) | Unfinished::Unfit(error)) => Err(error),
            Err(Unfinished::Unknown(effects, error)) => {
                self.set_sick(&error);
                let kept = self.was_kept(&effects, stop).await?;
                self.until_well(stop).await?;
                // What it has come to is lost with the answer, if it was kept.
                Err(match kept {
                    Some(false) => error,
                    Some(true) | None => StoreError::InDoubt,
                })
            }
        };
        request.asked.answer(done);
        // It was late, and then came to nothing.
        self.until_well(stop).await
    }

    /// Commits a batch. If that fails its accepts are refused and the rest is tried again until
    /// it succeeds or the daemon is told to stop: what a carrier said cannot be unsaid. If the
    /// answer is lost nobody is told anything until the database has said what became of it.
    /// If it is refused for what is in it, it is divided ([`aside`]).
    async fn commit(&mut self, batch: Batch, stop: &CancellationToken) -> Result<(), StoreError> {
        let mut todo = VecDeque::from([batch]);
        while let Some(batch) = todo.pop_front() {
            let (batch, error) = match self.try_commit(batch, stop).await {
                Tried::Kept => continue,
                Tried::Unknown(known) => {
                    todo.into_iter().for_each(dismiss);
                    return known;
                }
                Tried::Refused(batch, error) => (batch, error),
                Tried::Unfit(batch, error) => {
                    let Some(batch) = self.sift(batch, &error, &mut todo) else {
                        continue;
                    };
                    (batch, error)
                }
            };
            if error.ends() {
                return Err(error);
            }
            self.set_sick(&error);
            todo.push_front(batch);
            for batch in &mut todo {
                refuse(&mut batch.accepts);
            }
            todo.retain(|batch| !batch.is_empty());
            if stop.is_cancelled() || todo.is_empty() {
                todo.into_iter().for_each(dismiss);
                return self.until_well(stop).await;
            }
            self.still_sick(&error).await;
        }
        // What was to be tried again has been called off, or was late and set aside.
        self.until_well(stop).await
    }

    /// Tries once to commit, and tells everybody in the batch if it is kept, or if nobody knows.
    async fn try_commit(&mut self, mut batch: Batch, stop: &CancellationToken) -> Tried {
        batch.chores.retain(|errand| errand.asked.begin());
        if batch.is_empty() {
            return Tried::Kept;
        }
        if let Some(effects) = self.engine.all_short(&batch) {
            self.answer(batch, effects).await;
            return Tried::Kept;
        }
        let begun = Instant::now();
        let commit = self.engine.commit(&batch);
        let done = in_time(commit, &mut self.ends, &mut self.told, &self.meter);
        let (effects, error) = match done.await {
            Ok(effects) => {
                self.set_well();
                self.meter
                    .committed(begun.elapsed(), batch.accepts.len(), batch.rows);
                self.answer(batch, effects).await;
                return Tried::Kept;
            }
            Err(unfinished) => {
                self.meter.failed();
                match unfinished {
                    Unfinished::Refused(error) => return Tried::Refused(rest(batch), error),
                    Unfinished::Unfit(error) => return Tried::Unfit(rest(batch), error),
                    Unfinished::Unknown(effects, error) => (effects, error),
                }
            }
        };
        // It may be so already. Until that is known nobody goes by what was remembered before; what is
        // read meanwhile is forgotten again if it was kept.
        for gone in &effects.forgotten {
            self.ends.directory.forget(gone);
        }
        self.set_sick(&error);
        match self.was_kept(&effects, stop).await {
            Ok(Some(true)) => {
                self.set_well();
                self.answer(batch, *effects).await;
                Tried::Kept
            }
            Ok(Some(false)) => Tried::Refused(rest(batch), error),
            unknown @ (Ok(None) | Err(_)) => {
                for accept in batch.accepts {
                    let _ = accept.reply.send(Err(StoreError::InDoubt));
                }
                for errand in batch.chores {
                    errand.asked.answer(Err(StoreError::InDoubt));
                }
                turn_back(batch.intents);
                Tried::Unknown(unknown.map(drop))
            }
        }
    }

    /// Whether a commit whose answer was lost was kept; `None`: told to stop before it was known.
    async fn was_kept(
        &mut self,
        effects: &Effects,
        stop: &CancellationToken,
    ) -> Result<Option<bool>, StoreError> {
        loop {
            match self.engine.was_kept(effects).await {
                Ok(kept) => return Ok(Some(kept)),
                Err(error) if error.ends() => return Err(error),
                Err(_) if stop.is_cancelled() => return Ok(None),
                Err(error) => self.still_sick(&error).await,
            }
        }
    }

    /// Waits until commits work again. What a batch still holds when the daemon ends meanwhile is
    /// not lost: it was never committed, so the next start finds its messages as they were.
    async fn until_well(&mut self, stop: &CancellationToken) -> Result<(), StoreError> {
        while !self.ends.health.is_well() && !stop.is_cancelled() {
            match self.engine.probe().await {
                Ok(()) => self.set_well(),
                Err(error) if error.ends() => return Err(error),
                Err(error) => self.still_sick(&error).await,
            }
        }
        Ok(())
    }

    /// Tells everybody in the batch. Those who have gone meanwhile need no answer.
    async fn answer(&mut self, batch: Batch, effects: Effects) {
        self.aside.kept(&batch);
        // Before who asked for it is told that it is so.
        for gone in &effects.forgotten {
            self.ends.directory.forget(gone);
        }
        for accept in batch.accepts {
            let seq = accept.message.seq;
            let done = if let Some(short) = effects.short.get(&seq) {
                Err(StoreError::Short(*short))
            } else if let Some(repeat) = effects.repeats.get(&seq) {
                Ok(Some(repeat.clone()))
            } else {
                self.meter.accepted(accept.message.class.index());
                Ok(None)
            };
            let _ = accept.reply.send(done);
        }
        if !effects.committed.is_empty() {
            // `feed` waits for nobody, so this wait is short; it ends only at shutdown, when what
            // is durable may stay in the store.
            let _ = self
                .ends
                .committed
                .send(Committed {
                    messages: effects.committed,
                })
                .await;
        }
        for intent in batch.intents {
            let (turned_back, batch): (Vec<Ready>, Vec<Ready>) = intent
                .batch
                .into_iter()
                .partition(|ready| effects.stale.contains(&ready.message.seq));
            if batch.is_empty() {
                self.closed.push(intent.id);
            }
            let answer = Answered::Intent {
                batch,
                turned_back,
                intent: intent.id,
            };
            // A bind keeps room for all its intents; a closed queue means that it has ended.
            if intent.to.try_send(answer).is_err() {
                tracing::debug!(bind = %intent.bind, "intent answered to a bind that has ended");
            }
        }
        for settle in batch.settlements {
            let _ = settle.reply.map(|reply| reply.send(()));
        }
        for (receipts, results) in batch.receipts.into_iter().zip(effects.receipts) {
            receipts.answer(results);
        }
        for deliveries in batch.deliveries {
            let _ = deliveries.reply.map(|reply| reply.send(()));
        }
        for (errand, done) in batch.chores.into_iter().zip(effects.chores) {
            errand.asked.answer(Ok(done));
        }
        for event in effects.events {
            if let Err(full) = self.ends.events.try_send(event) {
                let due = Timestamp::from(SystemTime::now()) + LEFT_FOR;
                self.left.push((full.into_inner().event, due));
                self.meter.event_left_in_outbox();
            }
        }
        self.ends.waits.wake(&effects.reached);
        for one in effects.reached {
            let state = State::ALL.iter().position(|known| *known == one.state);
            let (carrier, class) = (one.carrier.index(), one.class.index());
            self.reached
                .count(carrier, class, state.unwrap_or_default());
        }
        self.meter.refused(effects.refused_moves);
        if let Some(endpoints) = &effects.endpoints {
            count(&self.endpoints, endpoints);
        }
        for (endpoint, reason) in effects.disabled {
            tracing::warn!(%endpoint, reason = reason.name(),
                "a webhook endpoint is not called any more");
            self.endpoints.ended(reason as usize);
        }
        let news = ReceiptNews {
            unparked: effects.unparked,
            proven: effects.proven,
            ended: effects.ended,
        };
        if !news.is_empty() {
            // Statistics: nobody waits for them.
            let _ = self.ends.news.try_send(news);
        }
    }
}

fn count(meter: &webhooks::Endpoints, endpoints: &Endpoints) {
    let (enabled, disabled) = endpoints.counts();
    meter.stand(enabled, disabled);
}

/// Tells those who wait for a yes that nothing was kept. A client that has gone needs no answer.
fn refuse(accepts: &mut Vec<Accept>) {
    for accept in accepts.drain(..) {
        let _ = accept.reply.send(Err(StoreError::Unavailable));
    }
}

/// A batch of which nothing was kept: its chores may be called off until it is tried again.
fn rest(batch: Batch) -> Batch {
    for errand in &batch.chores {
        errand.asked.rest();
    }
    batch
}

/// Tells everybody in a batch that the daemon ends without its commit.
fn dismiss(mut batch: Batch) {
    refuse(&mut batch.accepts);
    turn_back(batch.intents);
}

/// Tells binds that wait for their intents that none will come: the daemon ends without the commit,
/// and the messages are found as they were.
fn turn_back(intents: Vec<Intent>) {
    for intent in intents {
        let answer = Answered::Intent {
            batch: Vec::new(),
            turned_back: intent.batch,
            intent: intent.id,
        };
        // As in `answer`.
        let _ = intent.to.try_send(answer);
    }
}
