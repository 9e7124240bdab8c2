//! Lives here: the routing plan in force, what is known of the accounts and how they stand, put
//! together for those who choose an account: `ingest` for new messages, `scheduler` for waiting
//! ones.
//! Never here: the plan's own rules (`domain::route`).

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use super::health::{Breaker, Health, Hold};
use super::{Sign, SignedAnswer};
use crate::domain::ids::CarrierIndex;
use crate::domain::route::score::{NetworkKey, Scoreboard, Scores};
use crate::domain::route::{Ask, Choice, Decision, Standing, Table};
use crate::domain::time::Timestamp;

/// The way to an account. One for the whole daemon.
#[derive(Debug)]
pub struct Routes {
    table: ArcSwap<Table>,
    scores: ArcSwap<Scores>,
    health: Arc<Health>,
}

impl Routes {
    /// A plan over these accounts, of which nothing is known yet.
    pub fn new(table: Table, health: Arc<Health>) -> Self {
        Self {
            table: ArcSwap::from_pointee(table),
            scores: ArcSwap::default(),
            health,
        }
    }

    /// The plan in force now. Cheap; not to be held across a wait.
    pub fn table(&self) -> Guard<Arc<Table>> {
        self.table.load()
    }

    /// What is known of the accounts now. As [`Routes::table`].
    pub fn scores(&self) -> Guard<Arc<Scores>> {
        self.scores.load()
    }

    /// How the accounts stand.
    pub fn health(&self) -> &Arc<Health> {
        &self.health
    }

    /// Puts another plan over the same accounts in force, from the next decision on.
    pub fn replace(&self, table: Table) {
        self.table.store(Arc::new(table));
    }

    /// Counts a sign on the board of the one task that keeps it (`scheduler::health`). A receipt
    /// counts for its number's network; answers that say nothing of the account's system are left
    /// out.
    pub fn observe(&self, board: &mut Scoreboard, sign: &Sign, now: Timestamp) {
        match sign {
            Sign::Answer {
                carrier,
                class,
                answer,
                ..
            } => match answer {
                SignedAnswer::Accepted => board.answer(*carrier, *class, true, now),
                SignedAnswer::Failed | SignedAnswer::Silence => {
                    board.answer(*carrier, *class, false, now);
                }
                SignedAnswer::Throttled | SignedAnswer::Refused => {}
            },
            Sign::Receipt {
                carrier,
                to,
                class,
                delivered,
                took,
            } => {
                let table = self.table.load();
                let place = table.plan().place(*to, table.ported());
                let network = place.map_or(NetworkKey::ANY, |place| table.key(&place));
                board.receipt(*carrier, network, *class, delivered.then_some(*took), now);
            }
        }
    }

    /// Makes what the board knows now the base of decisions; by the same task, every second or so.
    pub fn publish(&self, scores: Scores) {
        self.scores.store(Arc::new(scores));
    }

    /// The account for a message: the plan's first fitting target that has not been tried and is
    /// in use; if none is in use, the first that has not been tried. `None`: no account may carry
    /// it (any more).
    pub fn choose(&self, ask: &Ask<'_>, tried: &[CarrierIndex], now: Timestamp) -> Option<Choice> {
        self.decide(ask, now)?
            .pick(tried, |carrier| self.standing(carrier))
    }

    /// The plan's whole answer, with the order of all targets.
    pub fn decide(&self, ask: &Ask<'_>, now: Timestamp) -> Option<Decision> {
        self.table.load().decide(ask, &self.scores.load(), now)
    }

    /// How an account stands, as [`Decision::pick`] asks. One that is half open is in use: its
    /// lane's gate lets through no more than its probes.
    pub fn standing(&self, carrier: CarrierIndex) -> Standing {
        match (self.health.hold(carrier), self.health.breaker(carrier)) {
            (Hold::Paused, _) => Standing::Paused,
            (Hold::Draining, _) => Standing::Draining,
            (Hold::Free, Breaker::Open) => Standing::Open,
            (Hold::Free, Breaker::Closed | Breaker::HalfOpen) => Standing::InUse,
        }
    }
}
