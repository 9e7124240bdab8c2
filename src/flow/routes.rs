//! Lives here: the routing plan in force and how the accounts stand, put together for those who
//! choose an account: `ingest` for new messages, `scheduler` for waiting ones.
//! Never here: the plan's own rules (`domain::route`).

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use super::health::Health;
use crate::domain::ids::CarrierIndex;
use crate::domain::route::{Ask, Table};
use crate::domain::time::Timestamp;

/// The way to an account. One for the whole daemon.
#[derive(Debug)]
pub struct Routes {
    table: ArcSwap<Table>,
    health: Arc<Health>,
}

/// The account to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Which.
    pub carrier: CarrierIndex,
    /// It is in use; otherwise no account is, and the message waits at its first choice.
    pub available: bool,
}

impl Routes {
    /// A plan over these accounts.
    pub fn new(table: Table, health: Arc<Health>) -> Self {
        Self {
            table: ArcSwap::from_pointee(table),
            health,
        }
    }

    /// The plan in force now. Cheap; not to be held across a wait.
    pub fn table(&self) -> Guard<Arc<Table>> {
        self.table.load()
    }

    /// How the accounts stand.
    pub fn health(&self) -> &Arc<Health> {
        &self.health
    }

    /// Puts another plan in force, from the next decision on.
    pub fn replace(&self, table: Table) {
        self.table.store(Arc::new(table));
    }

    /// The account for a message: the plan's first target that has not been tried and is in use
    /// for this class; if none is in use, the first that has not been tried. `None`: no account
    /// may carry it (any more).
    pub fn choose(&self, ask: &Ask<'_>, tried: &[CarrierIndex], now: Timestamp) -> Option<Choice> {
        let targets = self.table.load().targets(ask);
        let mut left = targets.into_iter().filter(|target| !tried.contains(target));
        let first = left.next()?;
        let available = |target: CarrierIndex| self.health.takes_new(target, ask.class, now);
        if available(first) {
            return Some(Choice {
                carrier: first,
                available: true,
            });
        }
        let other = left.find(|target| available(*target));
        Some(Choice {
            carrier: other.unwrap_or(first),
            available: other.is_some(),
        })
    }
}
