//! Lives here: handles of the webhook workers, prepared once.
//! Never here: names (they stand together in `metrics`), look-ups on the data path.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use super::{
    WEBHOOK_DELIVERIES, WEBHOOK_ENDPOINTS, WEBHOOK_ENDPOINTS_ENDED, WEBHOOK_IN_FLIGHT,
    WEBHOOK_LEFT, WEBHOOK_SECONDS,
};

/// The writer's handles for endpoints.
pub struct Endpoints {
    enabled: Gauge,
    disabled: Gauge,
    ended: Vec<Counter>,
}

impl Endpoints {
    /// One counter for each reason, by its name in order.
    pub fn new(reasons: &[&'static str]) -> Self {
        let standing = |status: &'static str| gauge!(WEBHOOK_ENDPOINTS, "status" => status);
        let ended = |reason: &&'static str| counter!(WEBHOOK_ENDPOINTS_ENDED, "reason" => *reason);
        Self {
            enabled: standing("enabled"),
            disabled: standing("disabled"),
            ended: reasons.iter().map(ended).collect(),
        }
    }

    /// How many there are.
    pub fn stand(&self, enabled: usize, disabled: usize) {
        self.enabled.set(enabled as f64);
        self.disabled.set(disabled as f64);
    }

    /// One is not called any more.
    pub fn ended(&self, reason: usize) {
        self.ended[reason].increment(1);
    }
}

/// The handles of all workers.
pub struct Worker {
    delivered: Vec<Counter>,
    failed: Vec<Counter>,
    seconds: Histogram,
    in_flight: Gauge,
    left: Counter,
}

impl Worker {
    /// One for each kind of event, by its name in order.
    pub fn new(events: &[&'static str]) -> Self {
        let handles = |result: &'static str| {
            let counter = |event: &&'static str| counter!(WEBHOOK_DELIVERIES, "event" => *event, "result" => result);
            events.iter().map(counter).collect()
        };
        Self {
            delivered: handles("delivered"),
            failed: handles("failed"),
            seconds: histogram!(WEBHOOK_SECONDS),
            in_flight: gauge!(WEBHOOK_IN_FLIGHT),
            left: counter!(WEBHOOK_LEFT),
        }
    }

    /// An attempt has ended.
    pub fn attempted(&self, event: usize, delivered: bool, took: Duration) {
        let counters = if delivered {
            &self.delivered
        } else {
            &self.failed
        };
        counters[event].increment(1);
        self.seconds.record(took);
    }

    /// Events being delivered now.
    pub fn in_flight(&self, count: usize) {
        self.in_flight.set(count as f64);
    }

    /// Events were put back to the outbox because a queue was full.
    pub fn left_in_outbox(&self, count: usize) {
        self.left.increment(count as u64);
    }
}
