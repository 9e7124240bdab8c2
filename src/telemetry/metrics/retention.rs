//! Lives here: what retention, redaction and erasure have done, told now and then.
//! Never here: names (they stand together in `metrics`).

use std::time::{SystemTime, UNIX_EPOCH};

use metrics::{counter, gauge};

use super::{
    RETENTION_CLOCK_DOUBTED, RETENTION_DAYS, RETENTION_HELD, RETENTION_MESSAGES, RETENTION_OLDEST,
    RETENTION_SUCCESS,
};

/// A day of messages is gone.
pub fn day_dropped() {
    counter!(RETENTION_DAYS).increment(1);
}

/// So many messages were deleted one by one.
pub fn deleted(messages: u64) {
    counter!(RETENTION_MESSAGES, "what" => "deleted").increment(messages);
}

/// So many messages have lost their text for its age.
pub fn redacted(messages: u64) {
    counter!(RETENTION_MESSAGES, "what" => "redacted").increment(messages);
}

/// From so many messages a person was erased.
pub fn erased(messages: u64) {
    counter!(RETENTION_MESSAGES, "what" => "erased").increment(messages);
}

/// When the oldest day kept began (Unix time), and how many days are due that cannot go yet.
pub fn found(oldest_s: Option<i64>, held: usize) {
    gauge!(RETENTION_OLDEST).set(oldest_s.unwrap_or_default() as f64);
    gauge!(RETENTION_HELD).set(held as f64);
}

/// Whether retention does nothing because the clock has leapt.
pub fn doubts_clock(doubts: bool) {
    gauge!(RETENTION_CLOCK_DOUBTED).set(f64::from(u8::from(doubts)));
}

/// Nothing has been done yet: an alarm on what was done last must not miss a run that never does.
pub fn begun() {
    gauge!(RETENTION_SUCCESS).set(0);
}

/// All that was due is done.
pub fn succeeded(at: SystemTime) {
    let at = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    gauge!(RETENTION_SUCCESS).set(at.as_secs_f64());
}
