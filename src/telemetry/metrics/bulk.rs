//! Lives here: what is counted of bulk jobs: a few times a second at most, so without handles.
//! Never here: names (they stand together in `metrics`).

use metrics::{counter, gauge};

use super::{BULK_AT_WORK, BULK_JOBS, BULK_RECIPIENTS};

/// A job has been accepted: recipients to be sent to, and others.
pub fn accepted(good: u64, refused: u64) {
    counter!(BULK_JOBS, "event" => "accepted").increment(1);
    counter!(BULK_RECIPIENTS, "result" => "accepted").increment(good);
    counter!(BULK_RECIPIENTS, "result" => "refused").increment(refused);
}

/// Recipients have become messages.
pub fn expanded(messages: u64) {
    counter!(BULK_RECIPIENTS, "result" => "expanded").increment(messages);
}

/// A job has ended: `completed`, `failed` or `canceled`.
pub fn ended(event: &'static str) {
    counter!(BULK_JOBS, "event" => event).increment(1);
}

/// A job could not be read or written, and is left alone for a while.
pub fn spared() {
    counter!(BULK_JOBS, "event" => "spared").increment(1);
}

/// So many jobs are worked at.
pub fn at_work(jobs: usize) {
    gauge!(BULK_AT_WORK).set(jobs as f64);
}
