//! Lives here: one bind's task over its whole life: connecting, waiting after trouble, one
//! session after another until shutdown.
//! Never here: what happens within a session (`live`).

use std::sync::Arc;
use std::time::Duration;

use mnara_smpp::client::BindError;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::backoff::{Backoff, Trouble};
use super::dial::{Dial, Dialled, Failed};
use super::live::Live;
use super::pace::Pace;
use super::{Config, Links, Seat, WINDOW_MAX, signs};
use crate::domain::ids::IntentId;
use crate::domain::time::Timestamp;
use crate::flow::bind::{BindCommand, BindStatus};
use crate::flow::{Answer, Answered, Outcome, Ready};
use crate::telemetry::metrics::carrier as meter;

/// States as metrics and `ctl binds` name them.
pub(super) const CONNECTING: &str = "connecting";
pub(super) const BOUND: &str = "bound";
const WAITING: &str = "waiting";
const BACKING_OFF: &str = "backing_off";
pub(super) const UNBINDING: &str = "unbinding";
const DOWN: &str = "down";
const CLOSED: &str = "closed";
const STATES: [&str; 7] = [
    WAITING,
    CONNECTING,
    BOUND,
    BACKING_OFF,
    UNBINDING,
    DOWN,
    CLOSED,
];

/// Intents whose answers may be on their way at a time: each holds a segment of what may be staged
/// of its class.
const INTENTS_MAX: usize = 3 * WINDOW_MAX;

/// How long an ending bind waits for intents under way.
const LAST_INTENTS: Duration = Duration::from_secs(5);

/// As long as nothing else happens.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// A session that lasted this long was a good one: the next trouble starts anew.
const GOOD_SESSION: Duration = Duration::from_secs(30);

/// How a bind tells what it is doing.
pub(super) struct Tell {
    view: watch::Sender<BindStatus>,
    pub(super) meter: meter::Bind,
    now: fn() -> Timestamp,
}

impl Tell {
    /// The bind enters a state; `error` is why, if it is trouble.
    pub(super) fn state(&self, state: &'static str, error: Option<&str>) {
        self.meter.state(state, &STATES);
        self.view.send_modify(|view| {
            if view.state != state {
                view.since = (self.now)();
            }
            view.state = state;
            view.bound = state == BOUND;
            if let Some(error) = error {
                view.last_error = Some(error.into());
            }
        });
    }

    /// What is under way: segments in flight, and segments answered in the last second. Whoever
    /// looks sees it; nobody is woken.
    pub(super) fn progress(&self, in_flight: usize, pace: &mut Pace) {
        self.meter.in_flight(in_flight);
        let now = std::time::Instant::now();
        self.view.send_if_modified(|view| {
            view.in_flight = in_flight as u32;
            view.tps = pace.recent(now);
            view.tps_allowed = pace.rate() as u32;
            view.slowed = pace.is_slowed(now);
            false
        });
    }

    /// The carrier said "slower".
    pub(super) fn throttled(&self) {
        self.meter.throttled();
        self.view.send_if_modified(|view| {
            view.throttled += 1;
            false
        });
    }

    fn limits(&self, window: usize, tps: u32) {
        self.meter.limits(window, tps);
        self.view.send_modify(|view| {
            view.window = window as u32;
            view.tps_limit = tps;
        });
    }

    fn host(&self, host: &str) {
        self.view.send_modify(|view| view.host = host.into());
    }
}

/// What outlives a session: the queue of answers and the outcomes not yet passed on.
pub(super) struct Desk {
    pub(super) seat: Seat,
    pub(super) config: Config,
    pub(super) links: Links,
    pub(super) tell: Tell,
    pub(super) answers: mpsc::Receiver<Answered>,
    pub(super) answers_to: mpsc::Sender<Answered>,
    pub(super) commands: mpsc::Receiver<BindCommand>,
    /// Whether the operator wants it bound.
    up: bool,
    /// The operator wants it to bind anew at once.
    again: bool,
    /// A person has been called for the credentials.
    alarmed: bool,
    /// Number of the present session; answers to receipts of earlier ones are void.
    pub(super) session: u64,
    pub(super) outcomes: Vec<Outcome>,
    /// How fast it may write: what a carrier has said of that holds for the next session, too.
    pub(super) pace: Pace,
    /// Segments that may await their answer.
    pub(super) window: usize,
    /// Segments of each class whose intent the writer has, those of earlier sessions included.
    pub(super) intending: [usize; 3],
    /// deliver_sm handed over and not yet answered, those of earlier sessions included: the
    /// queue of answers has room for this many.
    pub(super) receipts: usize,
}

/// Runs a bind until `stop`, then until its window is empty or the drain time is over.
pub(super) async fn run(
    seat: Seat,
    config: Config,
    links: Links,
    (view, commands): (watch::Sender<BindStatus>, mpsc::Receiver<BindCommand>),
    stop: CancellationToken,
) {
    let account = &seat.account.config.id;
    let meter = meter::Bind::new(&account.0, &seat.name.0);
    // Room for every answer that can be on its way: an intent holds at least one staged segment
    // (`pull`), and no more than `receipts_max` receipts wait at a time.
    let (answers_to, answers) = mpsc::channel(config.receipts_max + INTENTS_MAX);
    let now = links.now;
    let tell = Tell { view, meter, now };
    let limit = seat.config.tps(&seat.account.config);
    let burst = match seat.config.max_tps {
        Some(_) => seat.config.burst,
        None => seat.account.config.burst,
    };
    let pace = Pace::new(limit, burst, std::time::Instant::now());
    let window = seat.config.window;
    tell.limits(window, limit);
    let mut desk = Desk {
        seat,
        config,
        links,
        tell,
        answers,
        answers_to,
        commands,
        up: true,
        again: false,
        alarmed: false,
        session: 0,
        outcomes: Vec::new(),
        pace,
        window,
        intending: [0; 3],
        receipts: 0,
    };
    let mut backoff = Backoff::default();
    while !stop.is_cancelled() {
        if !desk.up {
            desk.tell.state(DOWN, None);
            desk.wait(FOREVER, &stop).await;
            continue;
        }
        desk.again = false;
        let wait = match desk.connect(&stop).await {
            None => continue,
            Some(Ok(dialled)) => {
                let since = Instant::now();
                let trouble = desk.serve(dialled, &stop).await;
                if since.elapsed() >= GOOD_SESSION {
                    backoff.reset();
                }
                backoff.next(trouble, rand::random())
            }
            Some(Err(failed)) => {
                let trouble = desk.refused(&failed.error);
                let wait = failed.wait;
                wait.unwrap_or_else(|| backoff.next(trouble, rand::random()))
            }
        };
        if !stop.is_cancelled() && desk.up && !desk.again {
            desk.wait(wait, &stop).await;
        }
    }
    desk.flush().await;
    desk.last_intents().await;
    desk.flush().await;
    desk.tell.state(CLOSED, None);
}

impl Desk {
    /// Waits for its turn, connects and binds; `None` when somebody wants something else. Intents
    /// answered meanwhile go back.
    async fn connect(&mut self, stop: &CancellationToken) -> Option<Result<Dialled, Failed>> {
        self.tell.state(WAITING, None);
        let account = Arc::clone(&self.seat.account);
        let dial = Dial::of(&self.seat, self.window);
        let admitted = self.unless(stop, account.pool.admit()).await?;
        self.tell.state(CONNECTING, None);
        self.unless(stop, dial.dial(admitted)).await
    }

    /// Waits for this, unless the daemon ends or the operator wants something else.
    async fn unless<T>(
        &mut self,
        stop: &CancellationToken,
        what: impl Future<Output = T>,
    ) -> Option<T> {
        tokio::pin!(what);
        loop {
            // `what` is pinned outside: a branch that is dropped loses nothing of it.
            tokio::select! {
                () = stop.cancelled() => return None,
                done = &mut what => return Some(done),
                Some(answer) = self.answers.recv() => {
                    self.unclaimed(answer);
                    self.flush().await;
                }
                Some(command) = self.commands.recv() => {
                    self.command(command);
                    if !self.up || self.again {
                        return None;
                    }
                }
            }
        }
    }

    async fn wait(&mut self, wait: Duration, stop: &CancellationToken) {
        let _ = self.unless(stop, tokio::time::sleep(wait)).await;
    }

    /// One session, from its bind to its end.
    async fn serve(&mut self, dialled: Dialled, stop: &CancellationToken) -> Trouble {
        let Dialled {
            connection,
            place,
            host,
        } = dialled;
        self.session += 1;
        self.alarm(false);
        self.tell.host(&host);
        self.tell.state(BOUND, None);
        tracing::info!(bind = %self.seat.name, %host, "bound");
        let reason = Live::new(self, connection).run(stop).await;
        // The connection is gone by now, and only now another may take its place.
        drop(place);
        let expected = stop.is_cancelled() || !self.up || self.again;
        self.ended(reason, expected)
    }

    /// What the operator wants; says whether the session is to be left for it.
    pub(super) fn command(&mut self, command: BindCommand) -> bool {
        tracing::info!(bind = %self.seat.name, ?command, "operator");
        let now = std::time::Instant::now();
        match command {
            BindCommand::Up => {
                self.up = true;
                // Not to be waited for, where it waits; a session that stands goes on.
                self.again = true;
                return false;
            }
            BindCommand::Down => {
                self.up = false;
                return true;
            }
            BindCommand::Rebind => {
                (self.up, self.again) = (true, true);
                return true;
            }
            BindCommand::SetTps(tps) => self.pace.set_limit(tps, now),
            BindCommand::SetWindow(window) => {
                let window = window.unwrap_or(self.seat.config.window);
                self.window = window.clamp(1, WINDOW_MAX);
            }
        }
        self.tell.limits(self.window, self.pace.limit());
        false
    }

    fn alarm(&mut self, alarmed: bool) {
        if self.alarmed != alarmed {
            self.alarmed = alarmed;
            self.tell.meter.alarm(Trouble::Credentials.name(), alarmed);
        }
    }

    fn refused(&mut self, error: &BindError) -> Trouble {
        let trouble = Trouble::of(error);
        let text = error.to_string();
        let bind = &self.seat.name;
        if trouble != Trouble::Credentials {
            tracing::warn!(%bind, error = text, "bind failed; trying again");
        } else if self.alarmed {
            tracing::warn!(%bind, error = text, "the carrier still refuses our credentials");
        } else {
            tracing::error!(%bind, error = text, "the carrier refuses our credentials; trying rarely");
            self.alarm(true);
        }
        self.tell.meter.ended(trouble.name());
        self.tell.state(BACKING_OFF, Some(&text));
        trouble
    }

    fn ended(&self, reason: &'static str, expected: bool) -> Trouble {
        if expected {
            tracing::info!(bind = %self.seat.name, reason, "session ended");
        } else {
            tracing::warn!(bind = %self.seat.name, reason, "session ended");
        }
        self.tell.meter.ended(reason);
        self.tell.state(BACKING_OFF, Some(reason));
        Trouble::Network
    }

    /// An answer that comes while there is no session for it.
    fn unclaimed(&mut self, answer: Answered) {
        match answer {
            Answered::Intent {
                batch,
                turned_back,
                intent,
            } => {
                self.answered_intent(&batch, &turned_back);
                self.give_back(batch, Some(intent));
            }
            Answered::Receipt { .. } => self.receipts = self.receipts.saturating_sub(1),
        }
    }

    /// The writer is asked for the intent of this batch.
    pub(super) fn intends(&mut self, batch: &[Ready]) {
        for ready in batch {
            self.intending[ready.message.class.index()] += ready.parts.count() as usize;
        }
    }

    /// The writer has answered this intent.
    pub(super) fn answered_intent(&mut self, batch: &[Ready], turned_back: &[Ready]) {
        for ready in batch.iter().chain(turned_back) {
            let (class, parts) = (ready.message.class, ready.parts.count() as usize);
            let intending = &mut self.intending[class.index()];
            debug_assert!(parts <= *intending, "each intent is answered once");
            *intending = intending.saturating_sub(parts);
        }
    }

    /// Segments whose intent the writer has.
    pub(super) fn intending(&self) -> usize {
        self.intending.iter().sum()
    }

    /// What was to be sent cannot be sent by this bind now.
    pub(super) fn give_back(&mut self, batch: Vec<Ready>, intent: Option<IntentId>) {
        let last = batch.len();
        for (index, ready) in batch.into_iter().enumerate() {
            let parts: Vec<u8> = ready.parts.iter().collect();
            let last_part = parts.last().copied();
            for part in parts {
                let closes = intent.filter(|_| index + 1 == last && Some(part) == last_part);
                let now = (self.links.now)();
                self.outcomes.push(Outcome {
                    part,
                    closes,
                    carrier: self.seat.account.config.id.clone(),
                    bind: self.seat.name.clone(),
                    sequence: 0,
                    submitted_at: now,
                    answered_at: now,
                    answer: Answer::NotSent,
                    ready: ready.clone(),
                });
            }
        }
    }

    /// Waits for the intents that the writer still has, so that an orderly end leaves none open.
    pub(super) async fn last_intents(&mut self) {
        let waiting = async {
            while self.intending() > 0
                && let Some(answer) = self.answers.recv().await
            {
                self.unclaimed(answer);
            }
        };
        // A store that cannot commit now leaves them uncommitted: their messages are untouched.
        let _ = tokio::time::timeout(LAST_INTENTS, waiting).await;
    }

    /// The outcomes, to be passed on. What they say of the account's health goes its own way.
    pub(super) fn take_outcomes(&mut self) -> Vec<Outcome> {
        let outcomes = std::mem::take(&mut self.outcomes);
        let signs = outcomes
            .iter()
            .filter_map(|outcome| signs::of(self.seat.account.index, outcome));
        self.links.signs.tell(signs.collect());
        outcomes
    }

    /// Passes outcomes on; waits when `settle` is behind.
    pub(super) async fn flush(&mut self) {
        if !self.outcomes.is_empty() {
            let outcomes = self.take_outcomes();
            // Closed only at shutdown: then the store still holds the intents, and the next
            // start finds these messages in doubt.
            let _ = self.links.outcomes.send(outcomes).await;
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use uuid::Uuid;

    use crate::domain::class::Class;
    use crate::domain::ids::{CarrierIndex, MessageId, MessageSeq, OrgId};
    use crate::domain::message::{Encoding, Message};
    use crate::domain::phone::{Msisdn, Sender};
    use crate::domain::time::Timestamp;

    /// A GSM message with this text and number of segments.
    pub(in crate::carrier) fn message(text: &str, segments: u8) -> Message {
        Message {
            seq: MessageSeq(1),
            id: MessageId(Uuid::from_u128(0x42)),
            org: OrgId(Uuid::nil()),
            class: Class::Transactional,
            to: Msisdn::from_digits("255753276939").unwrap(),
            from: Sender::parse("MNARA").unwrap(),
            body: text.into(),
            encoding: Encoding::Gsm7,
            segments,
            carrier: CarrierIndex(0),
            webhook_url: None,
            metadata: None,
            tags: None,
            client_ref: None,
            live: true,
            cost: Default::default(),
            accepted_at: Timestamp(0),
            due_at: Timestamp(0),
            valid_until: Timestamp(i64::MAX),
        }
    }
}
