//! Lives here: handles of the webhook workers, prepared once.
//! Never here: names (they stand together in `metrics`), look-ups on the data path.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use super::{WEBHOOK_DELIVERIES, WEBHOOK_IN_FLIGHT, WEBHOOK_LEFT, WEBHOOK_SECONDS};

/// The handles of all workers.
pub struct Worker {
    delivered: [Counter; 4],
    failed: [Counter; 4],
    seconds: Histogram,
    in_flight: Gauge,
    left: Counter,
}

impl Worker {
    /// One for each kind of event, by its name in order.
    pub fn new(events: [&'static str; 4]) -> Self {
        let handles = |result: &'static str| {
            events.map(|event| counter!(WEBHOOK_DELIVERIES, "event" => event, "result" => result))
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
