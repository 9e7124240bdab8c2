//! Lives here: handles of the store, prepared once.
//! Never here: names (they stand together in `metrics`), look-ups on the data path.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use super::{
    ACCEPTED, LIFECYCLE_REFUSED, MESSAGES, STORE_BATCH_ROWS, STORE_COMMIT_SECONDS, STORE_COMMITS,
    STORE_FAILURES, STORE_HEALTHY, STORE_SET_ASIDE, WEBHOOK_LEFT,
};

/// Messages that reached a state, by account and class: exact, because it is counted where the
/// moves are made.
pub struct Reached {
    carriers: Vec<[Vec<Counter>; 3]>,
}

impl Reached {
    /// Handles for these accounts, classes and states, each in order.
    pub fn new(carriers: &[&str], classes: [&'static str; 3], states: &[&'static str]) -> Self {
        let handles = |carrier: &str| {
            classes.map(|class| {
                let handle = |state: &&'static str| {
                    counter!(MESSAGES, "carrier" => carrier.to_owned(), "class" => class, "state" => *state)
                };
                states.iter().map(handle).collect()
            })
        };
        Self {
            carriers: carriers.iter().map(|carrier| handles(carrier)).collect(),
        }
    }

    /// A message of this account and class has reached this state.
    pub fn count(&self, carrier: usize, class: usize, state: usize) {
        if let Some(classes) = self.carriers.get(carrier) {
            classes[class][state].increment(1);
        }
    }
}

/// The writer's handles.
pub struct Writer {
    accepted: [Counter; 3],
    commits: Counter,
    failures: Counter,
    seconds: Histogram,
    accepts: Histogram,
    rows: Histogram,
    healthy: Gauge,
    left: Counter,
    refused: Counter,
    aside: Vec<Counter>,
}

impl Writer {
    /// Looks the handles up once; `classes` are the classes' names in order, `kinds` those of what
    /// can be set aside.
    pub fn new(classes: [&'static str; 3], kinds: &[&'static str]) -> Self {
        Self {
            accepted: classes.map(|class| counter!(ACCEPTED, "class" => class)),
            commits: counter!(STORE_COMMITS),
            failures: counter!(STORE_FAILURES),
            seconds: histogram!(STORE_COMMIT_SECONDS),
            accepts: histogram!(STORE_BATCH_ROWS, "kind" => "accept"),
            rows: histogram!(STORE_BATCH_ROWS, "kind" => "work"),
            healthy: gauge!(STORE_HEALTHY),
            left: counter!(WEBHOOK_LEFT),
            refused: counter!(LIFECYCLE_REFUSED),
            aside: kinds
                .iter()
                .map(|kind| counter!(STORE_SET_ASIDE, "kind" => *kind))
                .collect(),
        }
    }

    /// A message is durable, whether or not its client still waits for the answer.
    pub fn accepted(&self, class: usize) {
        self.accepted[class].increment(1);
    }

    /// A transaction is durable.
    pub fn committed(&self, took: Duration, accepts: usize, rows: usize) {
        self.commits.increment(1);
        self.seconds.record(took);
        self.healthy.set(1);
        if accepts > 0 {
            self.accepts.record(accepts as f64);
        }
        if rows > 0 {
            self.rows.record(rows as f64);
        }
    }

    /// A try to commit a transaction failed.
    pub fn failed(&self) {
        self.failures.increment(1);
    }

    /// Commits do not work.
    pub fn sick(&self) {
        self.healthy.set(0);
    }

    /// The database will not have a part of this kind.
    pub fn set_aside(&self, kind: usize) {
        if let Some(kind) = self.aside.get(kind) {
            kind.increment(1);
        }
    }

    /// The workers' queue was full.
    pub fn event_left_in_outbox(&self) {
        self.left.increment(1);
    }

    /// Moves that the lifecycle does not permit.
    pub fn refused(&self, moves: u64) {
        self.refused.increment(moves);
    }
}
