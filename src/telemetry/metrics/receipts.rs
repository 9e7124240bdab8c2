//! Lives here: handles of what becomes of receipts, prepared once.
//! Never here: names (they stand together in `metrics`), look-ups on the data path.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use super::{
    DLR_DROPPED, DLR_LATENCY, DLR_QUARANTINED, DLR_UNMATCHED, DLR_UNMATCHED_ALARM,
    DLR_UNMATCHED_RATIO, RECEIPTS, UNCERTAIN_RESOLVED,
};

/// Attempts in doubt whose outcome became known.
pub struct Resolved {
    accounts: Vec<[Counter; 3]>,
}

impl Resolved {
    /// Handles for these accounts and the names of what tells an outcome, each in order.
    pub fn new(carriers: &[&str], told_by: [&'static str; 3]) -> Self {
        let handles = |carrier: &&str| {
            told_by.map(
                |by| counter!(UNCERTAIN_RESOLVED, "carrier" => (*carrier).to_owned(), "by" => by),
            )
        };
        Self {
            accounts: carriers.iter().map(handles).collect(),
        }
    }

    /// An attempt of this account is in doubt no more.
    pub fn count(&self, carrier: usize, by: usize) {
        if let Some(counters) = self.accounts.get(carrier) {
            counters[by].increment(1);
        }
    }
}

struct Account {
    /// By state, then by result.
    results: Vec<Vec<Counter>>,
    seconds: Histogram,
    unmatched: Counter,
    ratio: Gauge,
    alarm: Gauge,
}

/// What becomes of receipts, by account.
pub struct Receipts {
    accounts: Vec<Account>,
    quarantined: Counter,
    dropped: Counter,
}

impl Receipts {
    /// Handles for these accounts, states and results, each in the order in which they are
    /// counted.
    pub fn new(carriers: &[&str], states: &[&'static str], results: &[&'static str]) -> Self {
        let account = |carrier: &&str| {
            let counters = |state: &'static str| {
                let handle = |result: &&'static str| counter!(RECEIPTS, "carrier" => (*carrier).to_owned(), "state" => state, "result" => *result);
                results.iter().map(handle).collect()
            };
            Account {
                results: states.iter().map(|state| counters(state)).collect(),
                seconds: histogram!(DLR_LATENCY, "carrier" => (*carrier).to_owned()),
                unmatched: counter!(DLR_UNMATCHED, "carrier" => (*carrier).to_owned()),
                ratio: gauge!(DLR_UNMATCHED_RATIO, "carrier" => (*carrier).to_owned()),
                alarm: gauge!(DLR_UNMATCHED_ALARM, "carrier" => (*carrier).to_owned()),
            }
        };
        Self {
            accounts: carriers.iter().map(account).collect(),
            quarantined: counter!(DLR_QUARANTINED),
            dropped: counter!(DLR_DROPPED),
        }
    }

    /// A receipt of this account is durable.
    pub fn committed(&self, carrier: usize, state: usize, result: usize) {
        if let Some(account) = self.accounts.get(carrier) {
            account.results[state][result].increment(1);
        }
    }

    /// A receipt has ended its message, so long after the carrier took it.
    pub fn took(&self, carrier: usize, took: Duration) {
        if let Some(account) = self.accounts.get(carrier) {
            account.seconds.record(took);
        }
    }

    /// How an account's receipts fare: newly unmatched ones, their share, and whether it is too
    /// much.
    pub fn standing(&self, carrier: usize, unmatched: u64, ratio: f64, alarm: bool) {
        if let Some(account) = self.accounts.get(carrier) {
            account.unmatched.increment(unmatched);
            account.ratio.set(ratio);
            account.alarm.set(f64::from(u8::from(alarm)));
        }
    }

    /// Receipts went into quarantine, and out of it for good.
    pub fn kept(&self, quarantined: u64, dropped: u64) {
        self.quarantined.increment(quarantined);
        self.dropped.increment(dropped);
    }
}
