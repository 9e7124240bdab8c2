//! Lives here: a worker of one host: takes its jobs one after the other over its own connection
//! and reports each attempt. At most `per_host` of them run for a host; they end when idle.
//! Never here: what the request looks like, when to try again.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use secrecy::ExposeSecret;
use tokio::sync::{MutexGuard, Semaphore, SemaphorePermit, mpsc};
use tokio_util::sync::CancellationToken;

use super::client::{self, Answer, Client, Line, Post};
use super::envelope;
use super::host::{Hold, Host, Job};
use super::schedule::{self, Next};
use super::sign::Signed;
use super::{BUSY_FOR, Config, DELETED, DISABLED};
use crate::domain::endpoint::{Format, Secrets};
use crate::domain::event::EventKind;
use crate::domain::time::Timestamp;
use crate::domain::webhook_url::WebhookUrl;
use crate::flow::{DeliveryRecord, EventJob};
use crate::store::Store;
use crate::telemetry::metrics::webhooks as meter;

/// A worker and its connection last this long without work.
const IDLE: Duration = Duration::from_secs(15);

/// A record to commit; its event may be offered again when that is done.
pub(super) struct Report {
    pub(super) record: DeliveryRecord,
    pub(super) hold: Hold,
}

/// What all workers share.
pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) store: Store,
    pub(super) client: Client,
    /// One permit for each attempt under way.
    pub(super) slots: Semaphore,
    /// Failing hosts have to share these, so that they never take all of `slots`.
    pub(super) failing_slots: Semaphore,
    /// When it is full, workers wait: the store is behind.
    pub(super) reports: mpsc::Sender<Report>,
    pub(super) meter: meter::Worker,
    pub(super) stop: CancellationToken,
}

/// The right to make one attempt.
struct Admission<'a> {
    _turn: Option<(MutexGuard<'a, ()>, SemaphorePermit<'a>)>,
    _slot: SemaphorePermit<'a>,
}

/// How an attempt ended.
pub(super) struct Ended {
    pub(super) answer: Option<Answer>,
    pub(super) error: Option<Box<str>>,
    /// Trying again is pointless.
    hopeless: bool,
}

/// Runs until the host has had no job for a while, or until told to stop.
pub(super) async fn run(shared: Arc<Shared>, host: Arc<Host>) {
    let mut line = None;
    while let Some(job) = next(&shared, &host, &mut line).await {
        // Dropping a job leaves its event in the outbox.
        let Some(_admission) = admit(&shared, &host).await else {
            return;
        };
        deliver(&shared, &host, &mut line, job).await;
    }
}

async fn next(shared: &Shared, host: &Host, line: &mut Option<Line>) -> Option<Job> {
    loop {
        if shared.stop.is_cancelled() {
            return None;
        }
        if let Some(job) = host.pop() {
            return Some(job);
        }
        // Nothing is lost when a branch is dropped: a permit not taken stays for another, and a
        // connection may be polled at any time.
        let timed_out = tokio::select! {
            woken = tokio::time::timeout(IDLE, host.wake.acquire()) => match woken {
                Ok(permit) => {
                    if let Ok(permit) = permit {
                        permit.forget();
                    }
                    false
                }
                Err(_) => true,
            },
            () = client::ended(line) => false,
            () = shared.stop.cancelled() => false,
        };
        host.resume();
        if timed_out && host.leave() {
            return None;
        }
    }
}

/// Waits for a turn; `None` when told to stop.
async fn admit<'a>(shared: &'a Shared, host: &'a Host) -> Option<Admission<'a>> {
    let wait = async {
        let mut turn = None;
        if host.is_failing() {
            let own = host.turn.lock().await;
            // It may have recovered while this worker waited.
            if host.is_failing() {
                let shared = shared.failing_slots.acquire().await.ok()?;
                turn = Some((own, shared));
            }
        }
        let slot = shared.slots.acquire().await.ok()?;
        Some(Admission {
            _turn: turn,
            _slot: slot,
        })
    };
    // All of these waits may be dropped; they give back what they hold.
    tokio::select! {
        biased;
        admission = wait => admission,
        () = shared.stop.cancelled() => None,
    }
}

async fn deliver(shared: &Shared, host: &Host, line: &mut Option<Line>, job: Job) {
    let Job { event, url, hold } = job;
    shared.meter.in_flight(in_flight(shared));
    let at = now();
    let begun = Instant::now();
    let ended = match event.target {
        Some(id) => {
            let endpoint = shared.store.endpoints().get(id).cloned();
            match endpoint.as_deref() {
                Some(endpoint) if endpoint.is_enabled() => {
                    let (secrets, format) = (endpoint.secrets(at), endpoint.format);
                    attempt(&shared.client, line, &url, &event, (secrets, format), at).await
                }
                Some(_) => Ended::hopeless(DISABLED),
                None => Ended::hopeless(DELETED),
            }
        }
        None => match shared.store.organisation(event.org()).await {
            Err(error) => {
                tracing::debug!(%error, "the organisation cannot be read; the event stays in the outbox");
                // Soon again, and not only when its lease ends.
                shared
                    .store
                    .leave_events(vec![(event.event, at + BUSY_FOR)]);
                return;
            }
            Ok(None) => Ended::hopeless("the organisation does not exist"),
            Ok(Some(org)) => {
                let secrets = Secrets {
                    current: org.webhook_secret.expose_secret(),
                    old: None,
                };
                let how = (secrets, Format::Mojawave);
                attempt(&shared.client, line, &url, &event, how, at).await
            }
        },
    };
    let took = begun.elapsed();
    let status = ended.status();
    let delivered = matches!(status, Some(200..=299));
    shared.meter.attempted(event.kind as usize, delivered, took);
    if delivered {
        host.succeeded();
    } else {
        let left = host.failed(schedule::is_overloaded(status));
        shared.meter.left_in_outbox(left);
        tracing::debug!(
            host = %host.origin, event = %event.event, attempt = event.attempts.saturating_add(1), status,
            error = ended.error.as_deref(), "webhook attempt failed"
        );
    }
    report(shared, event, hold, ended, at, took).await;
    // One less: this attempt's own slot is given back right after.
    shared.meter.in_flight(in_flight(shared).saturating_sub(1));
}

/// One attempt; by a job that is not from the outbox too.
pub(super) async fn attempt(
    client: &Client,
    line: &mut Option<Line>,
    url: &WebhookUrl,
    event: &EventJob,
    (secrets, format): (Secrets<'_>, Format),
    at: Timestamp,
) -> Ended {
    let id = event.event.to_string();
    let body = envelope::body(event, format);
    let signed = match Signed::new(secrets, &id, at.0.div_euclid(1000), &body) {
        Ok(signed) => signed,
        Err(error) => return Ended::without_answer(&error),
    };
    let post = Post {
        url,
        id: &id,
        signed: &signed,
        body,
    };
    match client.post(line, &post).await {
        Ok(answer) => Ended::with(answer),
        Err(trouble) => Ended::without_answer(&trouble),
    }
}

/// The caller's own attempt is among them: it holds a slot.
fn in_flight(shared: &Shared) -> usize {
    shared
        .config
        .concurrency
        .saturating_sub(shared.slots.available_permits())
}

async fn report(
    shared: &Shared,
    event: EventJob,
    hold: Hold,
    ended: Ended,
    at: Timestamp,
    took: Duration,
) {
    // Counted from where somebody has asked for it anew.
    let attempt = event.attempts.saturating_sub(event.attempts_before);
    let retry_after = ended.answer.as_ref().and_then(|answer| answer.retry_after);
    let next = if ended.hopeless {
        Next::GiveUp
    } else {
        // Spread by a fifth, so that what failed together does not return together.
        let jitter = rand::random_range(0.8..1.2);
        schedule::next(
            &shared.config.retry_delays,
            attempt.saturating_add(1),
            ended.status(),
            retry_after,
            jitter,
        )
    };
    let retry_at = match next {
        Next::Done | Next::GiveUp => None,
        Next::Again(delay) => Some(now() + delay),
    };
    let record = record(event, at, took, ended, retry_at);
    // The recorder outlives the workers; were it gone, the event would stay in the outbox.
    let _ = shared.reports.send(Report { record, hold }).await;
}

/// A record of an attempt.
pub(super) fn record(
    job: EventJob,
    at: Timestamp,
    took: Duration,
    ended: Ended,
    retry_at: Option<Timestamp>,
) -> DeliveryRecord {
    DeliveryRecord {
        job,
        at,
        latency_ms: milliseconds(took),
        status: ended.status(),
        error: ended.error,
        response: ended.answer.and_then(|answer| answer.text),
        retry_at,
    }
}

/// A span as records have it.
pub(super) fn milliseconds(took: Duration) -> u32 {
    u32::try_from(took.as_millis()).unwrap_or(u32::MAX)
}

/// The handles of all workers.
pub(super) fn meter() -> meter::Worker {
    meter::Worker::new(&EventKind::ALL.map(EventKind::name))
}

/// The wall clock.
pub(super) fn now() -> Timestamp {
    SystemTime::now().into()
}

impl Ended {
    fn with(answer: Answer) -> Self {
        let error = match answer.status {
            200..=299 => None,
            status => Some(format!("HTTP {status}").into()),
        };
        Self {
            answer: Some(answer),
            error,
            hopeless: false,
        }
    }

    fn without_answer(error: &dyn std::error::Error) -> Self {
        Self {
            answer: None,
            error: Some(error.to_string().into()),
            hopeless: false,
        }
    }

    pub(super) fn hopeless(error: &str) -> Self {
        Self {
            answer: None,
            error: Some(error.into()),
            hopeless: true,
        }
    }

    pub(super) fn status(&self) -> Option<u16> {
        self.answer.as_ref().map(|answer| answer.status)
    }
}
