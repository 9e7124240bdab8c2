//! Lives here: events from the outbox to their receivers: the dispatcher, which hands each event
//! to its host's workers and sweeps the outbox for what is due, and the recorder, which commits
//! what came of the attempts.
//!
//! Everything in memory is a copy: what is dropped here (queue full, shutdown, crash) is still in
//! the outbox, and its lease brings it back. Receivers may therefore see an event twice; its id
//! stays the same.
//! Never here: what an event means, SQL, who listens.

mod client;
mod envelope;
mod guard;
mod host;
mod schedule;
mod sign;
#[cfg(test)]
mod tests;
mod trial;
mod worker;

use std::borrow::Cow;
use std::collections::HashMap;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use self::client::Client;
pub use self::envelope::body as written;
use self::host::{Held, Host, Job, Pushed};
pub use self::sign::new_secret;
pub use self::trial::{Busy, Trials, Tried};
use self::worker::{Ended, Report, Shared};
use crate::domain::ids::{EndpointId, EventId};
use crate::domain::time::Timestamp;
use crate::domain::webhook_url::WebhookUrl;
use crate::flow::{About, EventJob};
use crate::store::{Store, StoreError};

/// Events taken from the channel or the outbox, or records committed, at once.
const BATCH: usize = 256;
/// Records that wait for the store; beyond it workers wait.
const REPORTS: usize = 1024;
/// Hosts in memory; events of further ones wait in the outbox until one has gone idle.
const HOSTS_MAX: usize = 1024;
/// How soon an event is offered again to a host that was busy.
const BUSY_FOR: Duration = Duration::from_secs(1);
/// And to one that is failing: its backlog must not stand before everybody's events in every sweep.
const FAILING_FOR: Duration = Duration::from_secs(600);
/// Full sweeps that a failing host's backlog may take up in one tick: 2,048 events, so that a
/// backlog of a million is passed over within its ten minutes.
const SWEEPS_MAX: u32 = 8;
/// Why an endpoint's events come to nothing.
const DISABLED: &str = "the endpoint is disabled";
const DELETED: &str = "the endpoint has been deleted";
/// How long attempts under way may take to end at shutdown.
const LAST_ATTEMPTS: Duration = Duration::from_secs(2);
/// How long the last records may take to be committed at shutdown.
const LAST_RECORDS: Duration = Duration::from_secs(5);

/// The webhooks' own configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Whether receivers on this machine may be called, also without TLS: for tests and the demo.
    pub allow_loopback: bool,
    /// How long one attempt may take in all.
    pub timeout: Duration,
    /// How long resolving and connecting may take of it.
    pub connect_timeout: Duration,
    /// Attempts under way at once, at least 2. Failing hosts get half of them at most; workers,
    /// each with a connection, number at most twice this and one for each further host.
    pub concurrency: usize,
    /// Attempts under way at once to one host, at least 1.
    pub per_host: usize,
    /// Events of one host that may wait in memory; further ones wait in the outbox.
    pub queue: usize,
    /// Events of all hosts in memory, waiting or under way.
    pub queue_total: usize,
    /// Delay before each attempt, the first one's included; their number is that of attempts.
    pub retry_delays: Vec<Duration>,
    /// Octets of an answer that are read before its connection is dropped.
    pub response_max: usize,
    /// How often the outbox is swept for events that are due.
    pub sweep_every: Duration,
}

impl Default for Config {
    fn default() -> Self {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 60 * MINUTE;
        let delays = [
            0,
            5,
            30,
            2 * MINUTE,
            10 * MINUTE,
            30 * MINUTE,
            2 * HOUR,
            5 * HOUR,
            10 * HOUR,
            24 * HOUR,
        ];
        Self {
            allow_loopback: false,
            timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(3),
            concurrency: 256,
            per_host: 16,
            queue: 4096,
            queue_total: 65_536,
            retry_delays: delays.map(Duration::from_secs).to_vec(),
            response_max: 64 * 1024,
            sweep_every: Duration::from_secs(1),
        }
    }
}

/// Delivers events until `stop`. Attempts under way may then end within two seconds; what is not
/// delivered stays in the outbox. The store's writer must outlive this.
pub async fn run(
    config: Config,
    store: Store,
    events: mpsc::Receiver<EventJob>,
    stop: CancellationToken,
) {
    let (reports, reported) = mpsc::channel(REPORTS);
    let shared = Arc::new(Shared {
        client: Client::new(&config),
        slots: Semaphore::new(config.concurrency.max(1)),
        failing_slots: Semaphore::new((config.concurrency / 2).max(1)),
        reports,
        meter: worker::meter(),
        store: store.clone(),
        stop,
        config,
    });
    let dispatcher = Dispatcher {
        shared,
        held: Arc::default(),
        hosts: HashMap::new(),
        workers: JoinSet::new(),
        claim: None,
        left: Vec::new(),
        sweeps: 0,
    };
    let mut recorder = pin!(record(store, reported));
    tokio::select! {
        // The store has closed: nothing can be recorded, so nothing more is sent.
        () = &mut recorder => {}
        () = dispatcher.run(events) => {
            if timeout(LAST_RECORDS, recorder).await.is_err() {
                tracing::warn!("the last webhook records were not committed in time; their events will be sent again");
            }
        }
    }
}

/// Commits records in the batches that form while the previous commit runs.
async fn record(store: Store, mut reports: mpsc::Receiver<Report>) {
    let mut batch = Vec::with_capacity(BATCH);
    while reports.recv_many(&mut batch, BATCH).await > 0 {
        // The holds are dropped only after the commit, so that the sweep cannot slip in between.
        let (records, _holds): (Vec<_>, Vec<_>) = batch
            .drain(..)
            .map(|report| (report.record, report.hold))
            .unzip();
        if store.deliveries(records).await.is_err() {
            return;
        }
    }
}

type Claim = Pin<Box<dyn Future<Output = Result<Vec<EventJob>, StoreError>> + Send>>;

struct Dispatcher {
    shared: Arc<Shared>,
    held: Arc<Held>,
    hosts: HashMap<Box<str>, Arc<Host>>,
    workers: JoinSet<Arc<Host>>,
    claim: Option<Claim>,
    /// Events that their host had no room for, and when they are to be offered again.
    left: Vec<(EventId, Timestamp)>,
    /// Sweeps since the last tick.
    sweeps: u32,
}

impl Dispatcher {
    async fn run(mut self, mut events: mpsc::Receiver<EventJob>) {
        let mut tick = interval(self.shared.config.sweep_every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::with_capacity(BATCH);
        let mut open = true;
        let stop = self.shared.stop.clone();
        loop {
            // Nothing is lost when a branch is dropped: all are cancel-safe, and the claim is kept.
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(ended) = self.workers.join_next(), if !self.workers.is_empty() => {
                    self.reap(ended);
                }
                claimed = claimed(&mut self.claim) => {
                    if let Ok(jobs) = claimed {
                        self.offer_claimed(jobs);
                    }
                }
                _ = tick.tick(), if self.claim.is_none() => {
                    self.sweeps = 0;
                    self.sweep();
                }
                count = events.recv_many(&mut batch, BATCH), if open => {
                    open = count > 0;
                    for job in batch.drain(..) {
                        self.offer(job);
                    }
                }
            }
            if !self.left.is_empty() {
                self.shared
                    .store
                    .leave_events(std::mem::take(&mut self.left));
            }
        }
        let all = async { while self.workers.join_next().await.is_some() {} };
        if timeout(LAST_ATTEMPTS, all).await.is_err() {
            self.workers.shutdown().await;
        }
    }

    /// Asks the outbox for what is due, if there is room for it.
    fn sweep(&mut self) {
        let room = self
            .shared
            .config
            .queue_total
            .saturating_sub(self.held.len())
            .min(BATCH);
        if room > 0 {
            let store = self.shared.store.clone();
            let limit = room as u32;
            self.claim = Some(Box::pin(async move {
                store.claim_events(worker::now(), limit).await
            }));
        }
    }

    /// Goes on at once while full batches find room, or are soon passed over; else the outbox waits
    /// for the next tick, so that a dead receiver's backlog does not keep the store busy.
    fn offer_claimed(&mut self, jobs: Vec<EventJob>) {
        let claimed = jobs.len();
        let mut kept = 0;
        for job in jobs {
            kept += usize::from(self.offer(job));
        }
        self.sweeps += 1;
        if claimed == BATCH && (2 * kept >= claimed || self.sweeps < SWEEPS_MAX) {
            self.sweep();
        }
    }

    /// Hands an event to its host's workers; false if it is in memory already or stays in the
    /// outbox.
    fn offer(&mut self, event: EventJob) -> bool {
        let id = event.event;
        let Some(hold) = self.held.take(id) else {
            return false;
        };
        let url = match self.url(&event) {
            Ok(url) => url,
            Err(error) => {
                let ended = Ended::hopeless(&error);
                let record = worker::record(event, worker::now(), Duration::ZERO, ended, None);
                // Full: the store is behind, and the sweep brings the event again.
                let _ = self.shared.reports.try_send(Report { record, hold });
                return false;
            }
        };
        let key = key(&url, event.target);
        let host = match self.hosts.get(&*key) {
            Some(host) if self.held.len() <= self.shared.config.queue_total => host,
            None if self.hosts.len() < HOSTS_MAX => {
                let config = &self.shared.config;
                let workers = config.per_host.max(1);
                let host = Host::new(&key, url.origin(), config.queue, workers);
                self.hosts
                    .entry(key.as_ref().into())
                    .or_insert(Arc::new(host))
            }
            Some(_) | None => {
                self.shared.meter.left_in_outbox(1);
                return false;
            }
        };
        // A worker keeps a connection: idle ones of many hosts must not use up the descriptors.
        let crowded = self.workers.len() >= 2 * self.shared.config.concurrency;
        match host.push(Job { event, url, hold }, crowded) {
            Pushed::Queued => true,
            Pushed::Spawn => {
                let (shared, host) = (Arc::clone(&self.shared), Arc::clone(host));
                self.workers.spawn(async move {
                    worker::run(shared, Arc::clone(&host)).await;
                    host
                });
                true
            }
            Pushed::Full => {
                self.shared.meter.left_in_outbox(1);
                let wait = if host.is_failing() {
                    FAILING_FOR
                } else {
                    BUSY_FOR
                };
                self.left.push((id, worker::now() + wait));
                false
            }
        }
    }

    /// Where an event goes now. URLs were checked when they were taken; the switch for loopback may have
    /// been turned since.
    fn url(&self, event: &EventJob) -> Result<WebhookUrl, String> {
        let endpoints = self.shared.store.endpoints();
        let url = match (event.target, &event.about) {
            (Some(id), _) => match endpoints.get(id) {
                Some(endpoint) if endpoint.is_enabled() => &*endpoint.url,
                Some(_) => return Err(DISABLED.into()),
                None => return Err(DELETED.into()),
            },
            (None, About::Message { message, .. }) => {
                message.webhook_url.as_deref().unwrap_or_default()
            }
            (None, About::Notice(_)) => "",
        };
        let allow_loopback = self.shared.config.allow_loopback;
        WebhookUrl::parse(url, allow_loopback).map_err(|error| error.to_string())
    }

    /// A worker has ended; the last one takes its host along.
    fn reap(&mut self, ended: Result<Arc<Host>, JoinError>) {
        match ended {
            Ok(host) => {
                let current = self.hosts.get(&host.key);
                // Another one may have come in its place since its last worker left.
                if host.is_deserted() && current.is_some_and(|other| Arc::ptr_eq(other, &host)) {
                    self.hosts.remove(&host.key);
                }
            }
            // Its host stays with one worker less; its event is swept up again.
            Err(error) => tracing::error!(%error, "a webhook worker panicked; please report this"),
        }
    }
}

/// What a receiver is kept by: its origin, and the endpoint if it is one.
fn key(url: &WebhookUrl, endpoint: Option<EndpointId>) -> Cow<'_, str> {
    match endpoint {
        None => Cow::Borrowed(url.origin()),
        Some(id) => Cow::Owned(format!("{} {id}", url.origin())),
    }
}

async fn claimed(claim: &mut Option<Claim>) -> Result<Vec<EventJob>, StoreError> {
    match claim {
        Some(future) => {
            let jobs = future.await;
            *claim = None;
            jobs
        }
        None => std::future::pending().await,
    }
}
