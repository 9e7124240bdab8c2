//! Lives here: one bind's task over its whole life: connecting, waiting after trouble, one
//! session after another until shutdown.
//! Never here: what happens within a session (`live`).

use std::time::Duration;

use mnara_smpp::client::{self, BindError};
use mnara_smpp::pdu::{Bind, BindKind, OctetStr};
use mnara_smpp::session::SessionConfig;
use mnara_smpp::transport::Connection;
use secrecy::ExposeSecret;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::backoff::{Backoff, Trouble};
use super::live::{Handed, Live};
use super::pace::Pace;
use super::{BindConfig, Config, Links, Mode, Seat, WINDOW_MAX, profile, signs};
use crate::domain::ids::IntentId;
use crate::flow::{Answer, Answered, BindStatus, Outcome, Ready};
use crate::telemetry::metrics::carrier as meter;

/// States as metrics and `ctl binds` name them.
pub(super) const CONNECTING: &str = "connecting";
pub(super) const BOUND: &str = "bound";
const BACKING_OFF: &str = "backing_off";
pub(super) const UNBINDING: &str = "unbinding";
const CLOSED: &str = "closed";
const STATES: [&str; 5] = [CONNECTING, BOUND, BACKING_OFF, UNBINDING, CLOSED];

/// Intents whose answers may be on their way at a time: each holds a segment of what may be staged
/// of its class.
const INTENTS_MAX: usize = 3 * WINDOW_MAX;

/// How long an ending bind waits for intents under way.
const LAST_INTENTS: Duration = Duration::from_secs(5);

/// A session that lasted this long was a good one: the next trouble starts anew.
const GOOD_SESSION: Duration = Duration::from_secs(30);

/// How a bind tells what it is doing.
pub(super) struct Tell {
    view: watch::Sender<BindStatus>,
    pub(super) meter: meter::Bind,
}

impl Tell {
    /// The bind enters a state; `error` is why, if it is trouble.
    pub(super) fn state(&self, state: &'static str, error: Option<&str>) {
        self.meter.state(state, &STATES);
        self.view.send_modify(|view| {
            view.state = state;
            view.bound = state == BOUND;
            view.in_flight = 0;
            if let Some(error) = error {
                view.last_error = Some(error.into());
            }
        });
    }

    /// Segments in flight.
    pub(super) fn in_flight(&self, count: usize) {
        self.meter.in_flight(count);
        self.view.send_if_modified(|view| {
            view.in_flight = count as u32;
            false
        });
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
    view: watch::Sender<BindStatus>,
    stop: CancellationToken,
) {
    let account = &seat.account.config.id;
    let meter = meter::Bind::new(&account.0, &seat.name.0, seat.config.window as u32);
    // Room for every answer that can be on its way: an intent holds at least one staged segment
    // (`pull`), and no more than `receipts_max` receipts wait at a time.
    let (answers_to, answers) = mpsc::channel(config.receipts_max + INTENTS_MAX);
    let tell = Tell { view, meter };
    let limit = seat.config.max_tps.unwrap_or(seat.account.config.max_tps);
    let burst = match seat.config.max_tps {
        Some(_) => seat.config.burst,
        None => seat.account.config.burst,
    };
    let pace = Pace::new(limit, burst, std::time::Instant::now());
    let window = seat.config.window;
    let mut desk = Desk {
        seat,
        config,
        links,
        tell,
        answers,
        answers_to,
        session: 0,
        outcomes: Vec::new(),
        pace,
        window,
        intending: [0; 3],
        receipts: 0,
    };
    let mut backoff = Backoff::default();
    while !stop.is_cancelled() {
        desk.tell.state(CONNECTING, None);
        let trouble = match desk.connect(&stop).await {
            None => break,
            Some(Ok(connection)) => {
                desk.session += 1;
                desk.tell.state(BOUND, None);
                tracing::info!(bind = %desk.seat.name, "bound");
                let since = Instant::now();
                let reason = Live::new(&mut desk, connection).run(&stop).await;
                if since.elapsed() >= GOOD_SESSION {
                    backoff.reset();
                }
                desk.ended(reason, stop.is_cancelled())
            }
            Some(Err(error)) => desk.refused(&error),
        };
        if stop.is_cancelled() {
            break;
        }
        let wait = backoff.next(trouble, rand::random());
        desk.wait(wait, &stop).await;
    }
    desk.flush().await;
    desk.last_intents().await;
    desk.flush().await;
    desk.tell.state(CLOSED, None);
}

impl Desk {
    /// Connects and binds; `None` when told to stop. Intents answered meanwhile go back.
    async fn connect(
        &mut self,
        stop: &CancellationToken,
    ) -> Option<Result<Connection<Handed>, BindError>> {
        let to = connect_of(&self.seat.config);
        let spoken = &self.seat.account.config.profile.session;
        let bind = bind_of(&self.seat.config, spoken);
        let session = session_of(&self.seat.config, spoken);
        let binding = client::bind(&to, &bind, session);
        tokio::pin!(binding);
        loop {
            // `binding` is pinned outside: a branch that is dropped loses nothing of it.
            tokio::select! {
                () = stop.cancelled() => return None,
                done = &mut binding => return Some(done),
                Some(answer) = self.answers.recv() => {
                    self.unclaimed(answer);
                    self.flush().await;
                }
            }
        }
    }

    fn refused(&self, error: &BindError) -> Trouble {
        let trouble = Trouble::of(error);
        let text = error.to_string();
        let bind = &self.seat.name;
        if trouble == Trouble::Credentials {
            tracing::error!(%bind, error = text, "the carrier refuses our credentials; trying rarely");
        } else {
            tracing::warn!(%bind, error = text, "bind failed; trying again");
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

    async fn wait(&mut self, wait: Duration, stop: &CancellationToken) {
        let until = Instant::now() + wait;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep_until(until) => return,
                Some(answer) = self.answers.recv() => {
                    self.unclaimed(answer);
                    self.flush().await;
                }
            }
        }
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

fn connect_of(config: &BindConfig) -> client::Connect {
    client::Connect {
        tls: config.tls.clone(),
        connect_timeout: config.connect_timeout,
        ..client::Connect::new(config.host.clone(), config.port)
    }
}

fn bind_of(config: &BindConfig, spoken: &profile::Session) -> Bind {
    let octets = |text: &str| OctetStr::copy_from_slice(text.as_bytes());
    Bind {
        kind: match config.mode {
            Mode::Transmitter => BindKind::Transmitter,
            Mode::Receiver => BindKind::Receiver,
            Mode::Transceiver => BindKind::Transceiver,
        },
        system_id: octets(&config.system_id),
        password: octets(config.password.expose_secret()),
        system_type: octets(&config.system_type),
        interface_version: spoken.interface_version,
        // `check` has let through what the carrier issued.
        long_credentials: true,
        ..Bind::default()
    }
}

fn session_of(config: &BindConfig, spoken: &profile::Session) -> SessionConfig {
    SessionConfig {
        least_version: spoken.least_version,
        untold_version: spoken.untold_version,
        window: config.window,
        bind_timeout: config.connect_timeout,
        response_timeout: config.response_timeout,
        enquire_link_interval: config.enquire_link_interval,
        ..SessionConfig::esme()
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
            accepted_at: Timestamp(0),
            due_at: Timestamp(0),
            valid_until: Timestamp(i64::MAX),
        }
    }
}
