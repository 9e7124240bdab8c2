//! Lives here: SMPP client load against any SMSC: several binds, a window, a closed loop or a rate.
//! Never here: REST.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use hdrhistogram::Histogram;
use mnara_smpp::{
    client::{self, BindError, Connect},
    pdu::{Address, Bind, DeliverSmResp, Pdu, SubmitSm},
    session::{Action, Input, SessionConfig},
    status::CommandStatus,
    transport::Connection,
};
use tokio::{
    task::JoinSet,
    time::{sleep_until, timeout},
};

use crate::{
    ledger::latency_histogram,
    marker::{MARKER_LEN, write_marker},
    networks::Network,
};

/// After the last submit, outstanding answers are awaited this long.
const DRAIN_MAX: Duration = Duration::from_secs(30);

/// One run of SMPP load.
#[derive(Clone)]
pub struct EsmeConfig {
    /// Where to connect.
    pub connect: Connect,
    /// How to bind.
    pub bind: Bind,
    /// Binds, each on its own connection.
    pub binds: usize,
    /// Outstanding submit_sm per bind.
    pub window: usize,
    /// submit_sm per second over all binds; `None` is a closed loop.
    pub per_second: Option<f64>,
    /// submit_sm to send over all binds.
    pub messages: u64,
    /// Stop after this time even if messages are left.
    pub time_limit: Option<Duration>,
    /// registered_delivery of every submit_sm.
    pub registered_delivery: u8,
    /// source_addr, alphanumeric.
    pub sender: String,
    /// Text after the marker, ASCII.
    pub text: String,
    /// Destinations cycle through these; must not be empty.
    pub networks: Vec<Network>,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct EsmeReport {
    /// submit_sm sent.
    pub submitted: u64,
    /// submit_sm answered with ESME_ROK.
    pub accepted: u64,
    /// Answers by command_status.
    pub statuses: BTreeMap<u32, u64>,
    /// submit_sm without an answer (timeout or lost bind).
    pub unanswered: u64,
    /// deliver_sm received.
    pub delivered: u64,
    /// Binds that ended before the run did.
    pub binds_lost: u64,
    /// From the first submit to the last answer.
    pub elapsed: Duration,
    /// From submit_sm to its answer, in microseconds.
    pub latency: Histogram<u64>,
}

impl EsmeReport {
    /// submit_sm/submit_sm_resp pairs per second.
    pub fn pairs_per_s(&self) -> f64 {
        let answered: u64 = self.statuses.values().sum();
        // Exact far beyond any count a run can reach.
        answered as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

/// Binds, sends until messages or time are used up, waits for the outstanding answers and unbinds.
///
/// # Errors
/// When one of the binds cannot be made; nothing is sent then.
pub async fn run(config: &EsmeConfig) -> Result<EsmeReport, BindError> {
    let session = SessionConfig {
        window: config.window.max(1),
        ..SessionConfig::esme()
    };
    let mut connections = Vec::new();
    for _ in 0..config.binds.max(1) {
        connections.push(client::bind(&config.connect, &config.bind, session.clone()).await?);
    }
    let started = Instant::now();
    let shared = Arc::new(Shared {
        next: AtomicU64::new(0),
        sent: AtomicU64::new(0),
        started,
        stop_at: config.time_limit.map(|limit| started + limit),
        tally: Mutex::new(Tally::new(started)),
        config: config.clone(),
    });
    let mut tasks = JoinSet::new();
    for connection in connections {
        tasks.spawn(drive(connection, Arc::clone(&shared)));
    }
    while let Some(ended) = tasks.join_next().await {
        if ended.is_err() {
            shared.tally().binds_lost += 1;
        }
    }
    let tally = shared.tally();
    Ok(EsmeReport {
        submitted: shared.sent.load(Ordering::Relaxed),
        accepted: tally
            .statuses
            .get(&CommandStatus::ESME_ROK.0)
            .copied()
            .unwrap_or(0),
        statuses: tally.statuses.clone(),
        unanswered: tally.unanswered,
        delivered: tally.delivered,
        binds_lost: tally.binds_lost,
        elapsed: tally.last_answer.saturating_duration_since(started),
        latency: tally.latency.clone(),
    })
}

struct Shared {
    config: EsmeConfig,
    next: AtomicU64,
    sent: AtomicU64,
    started: Instant,
    stop_at: Option<Instant>,
    tally: Mutex<Tally>,
}

struct Tally {
    statuses: BTreeMap<u32, u64>,
    unanswered: u64,
    delivered: u64,
    binds_lost: u64,
    last_answer: Instant,
    latency: Histogram<u64>,
}

impl Tally {
    fn new(started: Instant) -> Self {
        Self {
            statuses: BTreeMap::new(),
            unanswered: 0,
            delivered: 0,
            binds_lost: 0,
            last_answer: started,
            latency: latency_histogram(),
        }
    }

    /// Counts an action; true when the connection is over.
    fn count(&mut self, action: &Action<()>, now: Instant) -> bool {
        match action {
            Action::Response { status, rtt, .. } => {
                *self.statuses.entry(status.0).or_default() += 1;
                self.latency
                    .saturating_record(u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX));
                self.last_answer = now;
            }
            Action::Expired { .. } | Action::InDoubt { .. } => self.unanswered += 1,
            Action::Request {
                pdu: Pdu::DeliverSm(_),
                ..
            } => self.delivered += 1,
            Action::Closed { .. } => return true,
            Action::Request { .. }
            | Action::Bound { .. }
            | Action::BindRejected { .. }
            | Action::BindRequested { .. }
            | Action::Late { .. }
            | Action::Notified { .. }
            | Action::PeerUnbinding
            | Action::Congestion { .. }
            | Action::Notice(_) => {}
        }
        false
    }
}

/// What the next submit of a connection waits for.
enum Turn {
    /// It may go now.
    Now(u64),
    /// Its scheduled time.
    At(u64, Instant),
    /// Nothing is left to send.
    Over,
}

impl Shared {
    fn tally(&self) -> std::sync::MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self) -> Turn {
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        if index >= self.config.messages {
            return Turn::Over;
        }
        match self.config.per_second {
            None => Turn::Now(index),
            Some(rate) => Turn::At(
                index,
                self.started + Duration::from_secs_f64(index as f64 / rate.max(0.001)),
            ),
        }
    }

    fn stopped(&self) -> bool {
        self.stop_at.is_some_and(|at| Instant::now() >= at)
    }

    fn submit(&self, index: u64) -> Pdu {
        let mut text = vec![b' '; MARKER_LEN + 1 + self.config.text.len()];
        write_marker(index, &mut text);
        text[MARKER_LEN + 1..].copy_from_slice(self.config.text.as_bytes());
        let networks = &self.config.networks;
        let dest = networks
            .get(usize::try_from(index).unwrap_or(0) % networks.len().max(1))
            .map_or_else(String::new, |network| network.number(index));
        Pdu::SubmitSm(SubmitSm {
            source: Address {
                ton: 5,
                npi: 0,
                addr: self.config.sender.as_str().into(),
            },
            dest: Address {
                ton: 1,
                npi: 1,
                addr: dest.trim_start_matches('+').into(),
            },
            registered_delivery: self.config.registered_delivery,
            short_message: Bytes::from(text),
            ..SubmitSm::default()
        })
    }
}

async fn drive(mut connection: Connection<()>, shared: Arc<Shared>) {
    let mut actions = Vec::new();
    let mut turn = shared.turn();
    loop {
        fill(&mut connection, &shared, &mut turn, &mut actions);
        let over = matches!(turn, Turn::Over);
        if over && connection.session().in_flight() == 0 {
            break;
        }
        let wake = match turn {
            Turn::At(_, at) if connection.session().window_free() > 0 => Some(at),
            Turn::At(..) | Turn::Now(_) | Turn::Over => shared.stop_at.filter(|_| !over),
        };
        // drive keeps its octets when dropped; the timer is only a reason to look again.
        tokio::select! {
            () = connection.drive(&mut actions) => {}
            () = sleep_until(wake.unwrap_or_else(|| Instant::now() + DRAIN_MAX).into()) => {
                if over {
                    let left = u64::try_from(connection.session().in_flight()).unwrap_or(0);
                    shared.tally().unanswered += left;
                    break;
                }
            }
        }
        if settle(&mut connection, &shared, &mut actions) {
            shared.tally().binds_lost += 1;
            return;
        }
    }
    // A peer that does not answer the unbind within the session's own timeout is left.
    let _ = connection.send(Input::Unbind, &mut actions);
    let bye = async {
        while !settle(&mut connection, &shared, &mut actions) {
            connection.drive(&mut actions).await;
        }
    };
    let _ = timeout(DRAIN_MAX, bye).await;
}

/// Sends as much as window and schedule allow.
fn fill(
    connection: &mut Connection<()>,
    shared: &Shared,
    turn: &mut Turn,
    actions: &mut Vec<Action<()>>,
) {
    if shared.stopped() {
        *turn = Turn::Over;
    }
    while connection.session().window_free() > 0 {
        let index = match *turn {
            Turn::Now(index) => index,
            Turn::At(index, at) if at <= Instant::now() => index,
            Turn::At(..) | Turn::Over => return,
        };
        if connection
            .send(
                Input::Request {
                    pdu: &shared.submit(index),
                    token: (),
                },
                actions,
            )
            .is_err()
        {
            return;
        }
        shared.sent.fetch_add(1, Ordering::Relaxed);
        *turn = shared.turn();
    }
}

/// Counts what came, answers deliver_sm; true when the connection is over.
fn settle(connection: &mut Connection<()>, shared: &Shared, actions: &mut Vec<Action<()>>) -> bool {
    let mut over = false;
    let mut more = Vec::new();
    let now = Instant::now();
    let mut tally = shared.tally();
    for action in actions.drain(..) {
        over |= tally.count(&action, now);
        if let Action::Request {
            sequence,
            pdu: Pdu::DeliverSm(_),
            ..
        } = action
        {
            let pdu = Pdu::DeliverSmResp(DeliverSmResp::default());
            // Refused only when the connection is over, which its own action tells.
            let _ = connection.send(
                Input::Respond {
                    sequence,
                    status: CommandStatus::ESME_ROK,
                    pdu: &pdu,
                },
                &mut more,
            );
        }
    }
    drop(tally);
    actions.append(&mut more);
    over
}
