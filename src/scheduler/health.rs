//! Lives here: the task that owns all breakers: it gathers what is observed of each account, lets
//! `domain::breaker` judge, and makes the verdict known: `flow::health`, the lanes' gates, the
//! log, the metrics, and a nod to `feed` to look whether messages should move. It keeps the
//! scoreboard as well, by which `predictive` chooses.
//! Never here: when a breaker opens, which messages move.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::domain::breaker::{self, Change, Limits, Seen};
use crate::domain::class::Class;
use crate::domain::ids::{CarrierId, CarrierIndex};
use crate::domain::route::score::Scoreboard;
use crate::domain::time::Timestamp;
use crate::flow::Steer;
use crate::flow::bind::BindStatus;
use crate::flow::health::{Breaker, Health, Hold, Opened};
use crate::flow::lane::Lanes;
use crate::flow::routes::Routes;
use crate::flow::signs::{Sign, SignedAnswer};
use crate::telemetry::metrics::scheduler as meter;

/// Between two looks at all accounts.
const TICK: Duration = Duration::from_millis(100);
/// How often what is known of the accounts becomes the base of decisions.
const PUBLISH: Duration = Duration::from_secs(1);
/// Probes that have left their lane and are neither in flight nor answered for so long were not
/// sent (past their validity, or given back): others may go.
const PROBE_LOST: Duration = Duration::from_secs(1);
/// Batches of observations taken at a time.
const BATCHES: usize = 64;

/// What comes in, and where the nod goes.
pub struct Inputs {
    /// Observations.
    pub signs: mpsc::Receiver<Vec<Sign>>,
    /// Every bind, as it describes itself.
    pub binds: Vec<watch::Receiver<BindStatus>>,
    /// To `feed`. Full: the nod is repeated at the next look.
    pub steer: mpsc::Sender<Steer>,
}

/// One account and its breaker.
struct Patient {
    index: CarrierIndex,
    id: CarrierId,
    lanes: Arc<Lanes>,
    breaker: breaker::Breaker,
    meter: meter::Breaker,
    /// Its binds that can submit.
    binds: Vec<watch::Receiver<BindStatus>>,
    /// When it left full use.
    since: Option<Instant>,
    /// Since when probes are out, and nothing is in flight or answered.
    lost_since: Option<Instant>,
    /// Whether it invites messages, and OTP as well.
    inviting: (bool, bool),
}

struct Judge {
    limits: Limits,
    routes: Arc<Routes>,
    /// What `predictive` goes by.
    board: Scoreboard,
    published: Instant,
    patients: Vec<Patient>,
    steer: mpsc::Sender<Steer>,
    nod_due: bool,
}

/// Judges all accounts (id and lanes, in the configuration's order) until `stop`. `now` reads the wall clock.
pub async fn run(
    limits: Limits,
    accounts: Vec<(CarrierId, Arc<Lanes>)>,
    routes: Arc<Routes>,
    inputs: Inputs,
    now: impl Fn() -> Timestamp,
    stop: CancellationToken,
) {
    let Inputs {
        mut signs,
        binds,
        steer,
    } = inputs;
    let mut judge = Judge::new(limits, accounts, routes, &binds, steer, Instant::now());
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut batches = Vec::with_capacity(BATCHES);
    loop {
        // Every branch only takes from a queue or a timer: dropping one loses nothing. The timer
        // is first: a flood of observations must not keep their judgement waiting.
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = tick.tick() => judge.look(Instant::now(), now()),
            _ = signs.recv_many(&mut batches, BATCHES), if !signs.is_closed() => {
                let (at, wall) = (Instant::now(), now());
                for sign in batches.drain(..).flatten() {
                    judge.note(&sign, at, wall);
                }
            }
        }
    }
}

impl Judge {
    fn new(
        limits: Limits,
        accounts: Vec<(CarrierId, Arc<Lanes>)>,
        routes: Arc<Routes>,
        binds: &[watch::Receiver<BindStatus>],
        steer: mpsc::Sender<Steer>,
        now: Instant,
    ) -> Self {
        let patients = accounts.into_iter().zip(0..).map(|((id, lanes), index)| {
            let index = CarrierIndex(index);
            let own = binds.iter().filter(|bind| {
                let status = bind.borrow();
                status.carrier == index && status.submits
            });
            Patient {
                index,
                breaker: breaker::Breaker::new(limits, now),
                meter: meter::Breaker::new(&id.0),
                binds: own.cloned().collect(),
                since: None,
                lost_since: None,
                inviting: (false, false),
                id,
                lanes,
            }
        });
        Self {
            limits,
            routes,
            board: Scoreboard::default(),
            published: now,
            patients: patients.collect(),
            steer,
            nod_due: false,
        }
    }

    fn note(&mut self, sign: &Sign, now: Instant, wall: Timestamp) {
        self.routes.observe(&mut self.board, sign, wall);
        match *sign {
            Sign::Answer {
                carrier,
                answer,
                took,
                ..
            } => {
                if let Some(patient) = self.patients.get_mut(carrier.index()) {
                    patient.lost_since = None;
                    patient.breaker.answered(judged(answer), took, now);
                }
            }
            Sign::Receipt {
                carrier,
                class,
                delivered,
                took,
                ..
            } => {
                if let Some(patient) = self.patients.get_mut(carrier.index())
                    && class != Class::Promotional
                {
                    patient.breaker.receipt(delivered, took, now);
                }
            }
        }
    }

    fn look(&mut self, now: Instant, wall: Timestamp) {
        let health = self.routes.health();
        for patient in &mut self.patients {
            let seen = patient.seen(&self.routes, self.limits.probes);
            if let Some(change) = patient.breaker.look(seen, rand::random(), now) {
                patient.apply(change, health, now, wall);
                self.nod_due = true;
            } else if patient.breaker.probing().is_some() {
                self.nod_due |= patient.probe(seen, health, now);
            }
            if let Some(since) = patient.since {
                patient.meter.open_for(now.saturating_duration_since(since));
            }
        }
        if self.nod_due && self.steer.try_send(Steer::Look).is_ok() {
            self.nod_due = false;
        }
        if now.saturating_duration_since(self.published) >= PUBLISH {
            self.published = now;
            self.routes.publish(self.board.snapshot(wall));
        }
    }
}

impl Patient {
    fn seen(&self, routes: &Routes, probes: u32) -> Seen {
        let health = routes.health();
        let (mut able, mut in_flight) = (false, 0);
        for bind in &self.binds {
            let status = bind.borrow();
            able |= status.bound;
            in_flight += status.in_flight;
        }
        let left = self.lanes.allowance();
        Seen {
            able,
            in_flight,
            probes_out: match (self.breaker.probing(), left) {
                (Some(_), Some(left)) if health.hold(self.index) != Hold::Paused => {
                    probes.saturating_sub(left)
                }
                (Some(_) | None, _) => 0,
            },
            lone: routes.is_lone(self.index),
        }
    }

    /// A half-open account: sees to it that somebody tries it. Says whether it invites some who were
    /// not invited before: they may be waiting with another account.
    fn probe(&mut self, seen: Seen, health: &Health, now: Instant) -> bool {
        if seen.probes_out == 0 || seen.in_flight > 0 {
            self.lost_since = None;
        } else {
            let since = *self.lost_since.get_or_insert(now);
            if now.saturating_duration_since(since) >= PROBE_LOST {
                self.lost_since = None;
                health.renew_probes(self.index);
            }
        }
        let lanes = &self.lanes;
        let waits = |class: Class| lanes.depth(class) > 0 || lanes.is_spilled(class);
        let invited = if Class::ALL.into_iter().any(waits) {
            0
        } else {
            lanes.allowance().unwrap_or(0)
        };
        let even_otp = self.breaker.lacks_probes(now);
        health.invite(self.index, invited, even_otp);
        let inviting = (invited > 0, invited > 0 && even_otp);
        let before = std::mem::replace(&mut self.inviting, inviting);
        inviting > before
    }

    fn apply(&mut self, change: Change, health: &Health, now: Instant, wall: Timestamp) {
        let carrier = &self.id;
        (self.lost_since, self.inviting) = (None, (false, false));
        match change {
            Change::Opened(reason, cool_down) => {
                health.set_breaker(self.index, Breaker::Open, wall);
                let why = reason.to_string().into();
                health.set_opened(self.index, Opened { why, at: wall });
                self.meter.changed(Breaker::Open.name(), reason.name(), 0.0);
                self.since.get_or_insert(now);
                tracing::warn!(%carrier, reason = %reason, ?cool_down, "account out of use");
            }
            Change::HalfOpened => {
                health.set_breaker(self.index, Breaker::HalfOpen, wall);
                self.meter
                    .changed(Breaker::HalfOpen.name(), "cooled_down", 0.5);
                tracing::info!(%carrier, "account is being tried");
            }
            Change::Closed => {
                health.set_breaker(self.index, Breaker::Closed, wall);
                self.meter.changed(Breaker::Closed.name(), "probes", 1.0);
                self.meter.open_for(Duration::ZERO);
                let out = self.since.take();
                let out = out.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
                tracing::info!(%carrier, ?out, "account back in use");
            }
        }
    }
}

const fn judged(answer: SignedAnswer) -> breaker::Answer {
    match answer {
        SignedAnswer::Accepted | SignedAnswer::Refused => breaker::Answer::Good,
        SignedAnswer::Throttled => breaker::Answer::Busy,
        SignedAnswer::Failed => breaker::Answer::Failed,
        SignedAnswer::Silence => breaker::Answer::Silent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::BindName;
    use crate::flow::routes::tests::two_of_a_network;

    const AT: Timestamp = Timestamp(1_000_000);
    const ONE: CarrierIndex = CarrierIndex(0);

    /// Two accounts of one network, each with one bind.
    struct House {
        judge: Judge,
        binds: Vec<watch::Sender<BindStatus>>,
        lanes: Vec<Arc<Lanes>>,
        nods: mpsc::Receiver<Steer>,
        now: Instant,
    }

    impl House {
        fn new() -> Self {
            let lanes: Vec<_> = (0..2)
                .map(|_| Arc::new(Lanes::new(4, 4, 1, Arc::default())))
                .collect();
            let (binds, views): (Vec<_>, Vec<_>) = (0..2u16)
                .map(|index| {
                    watch::channel(BindStatus {
                        state: "bound",
                        bound: true,
                        ..BindStatus::new(CarrierIndex(index), BindName("x/1".into()))
                    })
                })
                .unzip();
            let limits = Limits::default();
            let health = Health::new(2, [None; 3]).with_lanes(lanes.clone(), limits.probes);
            let routes = Routes::new(two_of_a_network(), Arc::new(health));
            let ids = ["first", "second"].map(|id| CarrierId(id.into()));
            let accounts = ids.into_iter().zip(lanes.clone());
            let (steer, nods) = mpsc::channel(1);
            let now = Instant::now();
            let routes = Arc::new(routes);
            let judge = Judge::new(limits, accounts.collect(), routes, &views, steer, now);
            Self {
                judge,
                binds,
                lanes,
                nods,
                now,
            }
        }

        fn pass(&mut self, time: Duration) {
            let until = self.now + time;
            while self.now < until {
                self.now += TICK;
                self.judge.look(self.now, AT);
            }
        }

        fn sign(&mut self, answer: SignedAnswer) {
            let sign = Sign::Answer {
                carrier: ONE,
                class: Class::Transactional,
                answer,
                took: Duration::ZERO,
            };
            self.judge.note(&sign, self.now, AT);
        }

        fn breaker(&self) -> Breaker {
            self.judge.routes.health().breaker(ONE)
        }

        /// Brings the first account to half-open, by way of a lost bind.
        fn half_open(&mut self) {
            self.pass(TICK);
            self.binds[0].send_modify(|status| status.bound = false);
            self.pass(Duration::from_secs(2));
            assert_eq!(self.breaker(), Breaker::Open);
            self.binds[0].send_modify(|status| status.bound = true);
            self.pass(Duration::from_secs(6));
            assert_eq!(self.breaker(), Breaker::HalfOpen);
        }
    }

    #[test]
    fn a_lost_bind_shuts_the_gate_and_feed_is_told() {
        let mut house = House::new();
        house.pass(TICK);
        house.binds[0].send_modify(|status| status.bound = false);
        house.pass(Duration::from_secs(2));
        assert_eq!(house.breaker(), Breaker::Open);
        assert!(house.lanes[0].is_shut() && !house.lanes[1].is_shut());
        assert!(matches!(house.nods.try_recv(), Ok(Steer::Look)));
        house.pass(Duration::from_secs(3));
        assert!(house.nods.try_recv().is_err(), "nothing has changed since");
    }

    #[test]
    fn a_receiver_that_is_bound_does_not_make_an_account_fit() {
        let mut house = House::new();
        house.binds[0].send_modify(|status| status.submits = false);
        let views: Vec<_> = house.binds.iter().map(watch::Sender::subscribe).collect();
        let own = |patient: &Patient| patient.binds.len();
        let accounts = house
            .judge
            .patients
            .drain(..)
            .map(|one| (one.id, one.lanes));
        let judge = Judge::new(
            Limits::default(),
            accounts.collect(),
            Arc::clone(&house.judge.routes),
            &views,
            house.judge.steer.clone(),
            house.now,
        );
        let counts: Vec<_> = judge.patients.iter().map(own).collect();
        assert_eq!(counts, [0, 1]);
    }

    #[test]
    fn an_account_that_is_tried_invites_messages_and_is_closed_by_their_answers() {
        let mut house = House::new();
        house.half_open();
        house.pass(TICK);
        let health = Arc::clone(house.judge.routes.health());
        assert!(!health.accept_invitation(ONE, Class::Otp));
        assert!(health.accept_invitation(ONE, Class::Promotional));
        for _ in 0..3 {
            house.sign(SignedAnswer::Accepted);
        }
        house.pass(TICK);
        assert_eq!(house.breaker(), Breaker::Closed);
        assert_eq!(house.lanes[0].allowance(), None);
        assert!(!health.accept_invitation(ONE, Class::Otp), "none is needed");
        house.pass(PUBLISH);
        let answered = house
            .judge
            .routes
            .scores()
            .answered(ONE, Class::Transactional);
        assert!(answered > 0.99, "the scoreboard is published: {answered}");
    }

    #[test]
    fn otp_is_invited_when_nothing_else_has_come() {
        let mut house = House::new();
        house.half_open();
        house.pass(Duration::from_secs(11));
        let health = house.judge.routes.health();
        assert!(health.accept_invitation(ONE, Class::Otp));
    }

    #[test]
    fn feed_is_told_when_somebody_new_is_invited() {
        let mut house = House::new();
        house.half_open();
        let told = |house: &mut House, time| {
            house.pass(time);
            std::iter::from_fn(|| house.nods.try_recv().ok()).count()
        };
        told(&mut house, Duration::ZERO);
        assert_eq!(told(&mut house, TICK), 1, "it is tried, and invites");
        assert_eq!(told(&mut house, 70 * TICK), 0);
        assert_eq!(told(&mut house, 30 * TICK), 1, "even OTP");
    }

    #[test]
    fn probes_that_were_never_sent_are_renewed() {
        let mut house = House::new();
        house.half_open();
        house.lanes[0].set_gate(Some(0));
        house.pass(Duration::from_secs(2));
        assert_eq!(house.lanes[0].allowance(), Some(Limits::default().probes));
        house.lanes[0].set_gate(Some(0));
        house.binds[0].send_modify(|status| status.in_flight = 5);
        house.pass(Duration::from_secs(11));
        assert_eq!(house.breaker(), Breaker::Open, "sent, and not answered");
    }
}
