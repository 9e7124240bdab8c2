//! Lives here: handles of the scheduler, prepared once.
//! Never here: names (they stand together in `metrics`), look-ups on the data path.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use super::{
    BREAKER_OPEN_SECONDS, BREAKER_TRANSITIONS, FAILOVER, POSSIBLE_DUPLICATES, QUEUE_DEPTH,
    QUEUE_SPILLED, RETRIES, ROUTE_HEALTH, SIGNS_DROPPED, STAGE_SECONDS,
};

/// A waiting message goes to another account.
pub fn failover(from: &str, to: &str, class: &'static str, reason: &'static str) {
    let (from, to) = (from.to_owned(), to.to_owned());
    counter!(FAILOVER, "from" => from, "to" => to, "class" => class, "reason" => reason)
        .increment(1);
}

/// The handles of one account and class.
pub struct Lane {
    carrier: String,
    depth: Gauge,
    spilled: Gauge,
    to_submit: Histogram,
    duplicates: Counter,
}

impl Lane {
    /// The handles of a lane.
    pub fn new(carrier: &str, class: &'static str) -> Self {
        let carrier = carrier.to_owned();
        Self {
            depth: gauge!(QUEUE_DEPTH, "carrier" => carrier.clone(), "class" => class),
            spilled: gauge!(QUEUE_SPILLED, "carrier" => carrier.clone(), "class" => class),
            to_submit: histogram!(STAGE_SECONDS, "carrier" => carrier.clone(), "class" => class, "stage" => "submit"),
            duplicates: counter!(POSSIBLE_DUPLICATES, "carrier" => carrier.clone(), "class" => class),
            carrier,
        }
    }

    /// What the lane holds now.
    pub fn depth(&self, depth: usize, spilled: bool) {
        self.depth.set(depth as f64);
        self.spilled.set(f64::from(u8::from(spilled)));
    }

    /// A message was handed to its carrier this long after its acceptance, and taken.
    pub fn submitted(&self, after: Duration) {
        self.to_submit.record(after);
    }

    /// A segment goes back to be tried again.
    pub fn retried(&self, reason: &'static str) {
        counter!(RETRIES, "carrier" => self.carrier.clone(), "reason" => reason).increment(1);
    }

    /// A message is resent although an attempt is in doubt.
    pub fn possible_duplicate(&self) {
        self.duplicates.increment(1);
    }
}

/// The handles of one account's breaker.
pub struct Breaker {
    carrier: String,
    health: Gauge,
    open_seconds: Gauge,
}

impl Breaker {
    /// The handles of an account's breaker, which is closed.
    pub fn new(carrier: &str) -> Self {
        let carrier = carrier.to_owned();
        let health = gauge!(ROUTE_HEALTH, "carrier" => carrier.clone());
        health.set(1.0);
        Self {
            health,
            open_seconds: gauge!(BREAKER_OPEN_SECONDS, "carrier" => carrier.clone()),
            carrier,
        }
    }

    /// It changed to this state for this reason; `health` from 0 (open) to 1 (closed).
    pub fn changed(&self, to: &'static str, reason: &'static str, health: f64) {
        self.health.set(health);
        counter!(BREAKER_TRANSITIONS, "carrier" => self.carrier.clone(), "to" => to, "reason" => reason)
            .increment(1);
    }

    /// It has not been closed for so long.
    pub fn open_for(&self, since: Duration) {
        self.open_seconds.set(since.as_secs_f64());
    }
}

/// So many observations of accounts were dropped.
pub fn signs_dropped(count: usize) {
    counter!(SIGNS_DROPPED).increment(count as u64);
}
