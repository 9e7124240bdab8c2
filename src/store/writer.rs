//! Lives here: the one task that writes. It takes what has arrived, commits it as one
//! transaction, and only then answers everybody in it.
//!
//! The queues form the batches: while one commit runs the next one gathers. Accepts come before
//! other work and OTP accepts before all; other work is capped for each transaction so that a
//! lump of it does not delay accepts (400 updates at once made the accept p99 three times worse,
//! `reference/storage.md`).
//! Never here: SQL, deciding what happens to messages.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::batch::{Accept, Batch, Deliveries, Effects, Errand, Intent, Receipts, Settle};
use super::inbox::ReceiptNews;
use super::sqlite::Sqlite;
use super::{Config, StoreError};
use crate::domain::class::Class;
use crate::domain::ids::{BindName, CarrierId, EventId, IntentId};
use crate::domain::message::State;
use crate::domain::time::Timestamp;
use crate::flow::{Answered, Committed, EventJob, Ready, Settlement, StoreHealth};
use crate::telemetry::metrics::store as meter;

/// How long the writer waits before it tries a failed commit again.
const RETRY: Duration = Duration::from_millis(250);

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
    sqlite: Sqlite,
    health: Arc<StoreHealth>,
    accepts: [mpsc::Receiver<Accept>; 3],
    work: mpsc::Receiver<Work>,
    committed: mpsc::Sender<Committed>,
    events: mpsc::Sender<EventJob>,
    news: mpsc::Sender<ReceiptNews>,
    accepts_max: usize,
    rows_max: usize,
    /// Events that the workers' queue had no room for, and when they are due again: written with
    /// the next commit. At most two for each message of a batch.
    left: Vec<(EventId, Timestamp)>,
    /// Intents all of whose messages were turned back: closed with the next commit.
    closed: Vec<IntentId>,
    orderly: Arc<AtomicBool>,
    meter: meter::Writer,
    reached: meter::Reached,
}

impl Writer {
    pub(super) fn new(
        config: &Config,
        sqlite: Sqlite,
        health: Arc<StoreHealth>,
        accepts: [mpsc::Receiver<Accept>; 3],
        work: mpsc::Receiver<Work>,
        (committed, events, news): (
            mpsc::Sender<Committed>,
            mpsc::Sender<EventJob>,
            mpsc::Sender<ReceiptNews>,
        ),
    ) -> Self {
        let classes = Class::ALL.map(Class::name);
        let carriers: Vec<&str> = sqlite.carriers().ids().iter().map(|id| &*id.0).collect();
        let reached = meter::Reached::new(&carriers, classes, &State::ALL.map(State::name));
        Self {
            sqlite,
            health,
            accepts,
            work,
            committed,
            events,
            news,
            accepts_max: config.accepts_max,
            rows_max: config.rows_max,
            left: Vec::new(),
            closed: Vec::new(),
            orderly: Arc::new(AtomicBool::new(true)),
            meter: meter::Writer::new(classes),
            reached,
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
    /// [`StoreError`] when the database cannot be closed.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), StoreError> {
        loop {
            let mut batch = Batch::default();
            let [otp, transactional, promotional] = &mut self.accepts;
            // Nothing is lost when a branch is dropped: `recv` and `cancelled` are cancel-safe.
            let first = tokio::select! {
                biased;
                Some(accept) = otp.recv() => Arrived::Accept(accept),
                Some(accept) = transactional.recv() => Arrived::Accept(accept),
                Some(accept) = promotional.recv() => Arrived::Accept(accept),
                Some(work) = self.work.recv() => Arrived::Work(work),
                () = stop.cancelled() => break,
            };
            match first {
                Arrived::Accept(accept) => self.take_accept(accept, &mut batch),
                Arrived::Work(work) => self.take_work(work, &mut batch),
            }
            self.drain(&mut batch);
            self.commit(batch, &stop).await;
        }
        loop {
            let mut batch = Batch::default();
            self.drain(&mut batch);
            if batch.is_empty() {
                break;
            }
            self.commit(batch, &stop).await;
        }
        self.sqlite
            .close(self.orderly.load(Ordering::Relaxed))
            .await
    }

    fn drain(&mut self, batch: &mut Batch) {
        batch.left.append(&mut self.left);
        batch.closed.append(&mut self.closed);
        for class in 0..self.accepts.len() {
            while batch.accepts.len() < self.accepts_max
                && let Ok(accept) = self.accepts[class].try_recv()
            {
                self.take_accept(accept, batch);
            }
        }
        while batch.rows < self.rows_max
            && let Ok(work) = self.work.try_recv()
        {
            self.take_work(work, batch);
        }
    }

    fn take_accept(&mut self, mut accept: Accept, batch: &mut Batch) {
        let seq = self.sqlite.next_seq();
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
            Work::Errand(_) => 16,
            Work::Leave(events) => events.len(),
        };
        match work {
            Work::Intent(IntentRequest {
                carrier,
                bind,
                at,
                batch: ready,
                to,
            }) => {
                let id = self.sqlite.next_intent();
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
        }
    }

    /// Commits a batch. If that fails its accepts are refused and the rest is tried again until
    /// it succeeds or the daemon is told to stop: what a carrier said cannot be unsaid.
    async fn commit(&mut self, mut batch: Batch, stop: &CancellationToken) {
        loop {
            let begun = Instant::now();
            match self.sqlite.commit(&batch).await {
                Ok(effects) => {
                    if self.health.set_well(true) {
                        tracing::info!("the store commits again");
                    }
                    self.meter
                        .committed(begun.elapsed(), batch.accepts.len(), batch.rows);
                    return self.answer(batch, effects).await;
                }
                Err(error) => {
                    if self.health.set_well(false) {
                        tracing::error!(%error, "commit failed; accepting and submitting are suspended");
                    }
                    self.meter.failed();
                    for accept in batch.accepts.drain(..) {
                        // A client that has gone needs no answer.
                        let _ = accept.reply.send(Err(StoreError::Unavailable));
                    }
                }
            }
            if stop.is_cancelled() || batch.is_empty() {
                return self.until_well(stop).await;
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Waits until commits work again. What a batch still holds when the daemon ends meanwhile is
    /// not lost: it was never committed, so the next start finds its messages as they were.
    async fn until_well(&mut self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            match self.sqlite.probe().await {
                Ok(()) => {
                    self.health.set_well(true);
                    tracing::info!("the store commits again");
                    return;
                }
                Err(_) => tokio::time::sleep(RETRY).await,
            }
        }
    }

    /// Tells everybody in the batch. Those who have gone meanwhile need no answer.
    async fn answer(&mut self, batch: Batch, effects: Effects) {
        for accept in batch.accepts {
            self.meter.accepted(accept.message.class.index());
            let _ = accept.reply.send(Ok(()));
        }
        if !effects.committed.is_empty() {
            // `feed` waits for nobody, so this wait is short; it ends only at shutdown, when what
            // is durable may stay in the store.
            let _ = self
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
            let _ = settle.reply.send(());
        }
        for (receipts, results) in batch.receipts.into_iter().zip(effects.receipts) {
            let _ = receipts.reply.send(results);
        }
        for deliveries in batch.deliveries {
            let _ = deliveries.reply.send(());
        }
        for (errand, done) in batch.chores.into_iter().zip(effects.chores) {
            let _ = errand.reply.send(done);
        }
        for event in effects.events {
            if let Err(full) = self.events.try_send(event) {
                let due = Timestamp::from(SystemTime::now()) + LEFT_FOR;
                self.left.push((full.into_inner().event, due));
                self.meter.event_left_in_outbox();
            }
        }
        for (carrier, class, state) in effects.reached {
            let state = State::ALL.iter().position(|known| *known == state);
            self.reached
                .count(carrier.index(), class.index(), state.unwrap_or_default());
        }
        self.meter.refused(effects.refused_moves);
        let news = ReceiptNews {
            unparked: effects.unparked,
            proven: effects.proven,
            ended: effects.ended,
        };
        if !news.is_empty() {
            // Statistics: nobody waits for them.
            let _ = self.news.try_send(news);
        }
    }
}
