//! Lives here: the numbers by which a breaker judges, with their defaults.
//! Never here: the judgement (`breaker`), how they are typed (`config`).

use std::time::Duration;

/// From when on an account counts as unfit, and how it comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Without a bind that can submit for so long: opens.
    pub bind_grace: Duration,
    /// The same at start, before a bind has been up for the first time.
    pub start_grace: Duration,
    /// Answers of this time are judged together.
    pub window: Duration,
    /// Fewer answers (or receipts, ten times as many) are not judged.
    pub samples_min: u32,
    /// Percentage of failed and missing answers in the window that opens.
    pub bad_percent: u32,
    /// So many failed or missing answers in a row, a second apart at least, open: for accounts
    /// with too little traffic to fill a window.
    pub run: u32,
    /// Response times (95th percentile) below this are never slow.
    pub slow_floor: Duration,
    /// So many times the usual response time is slow.
    pub slow_factor: u32,
    /// Slow for so long: opens.
    pub slow_for: Duration,
    /// Segments in flight and no answer at all for so long: opens.
    pub stall: Duration,
    /// Receipts of this time are judged together.
    pub delivery_window: Duration,
    /// A percentage of delivered messages at or above this is never a collapse.
    pub delivery_floor_percent: u32,
    /// First wait after opening.
    pub cool_down_min: Duration,
    /// Longest wait: each opening doubles it.
    pub cool_down_max: Duration,
    /// Closed for so long: the next trouble begins with the first wait again.
    pub quiet: Duration,
    /// Messages that may try a half-open account.
    pub probes: u32,
    /// Percentage of the probes that must be answered well.
    pub probe_percent: u32,
    /// How long probes may stay unanswered.
    pub probe_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bind_grace: Duration::from_secs(1),
            start_grace: Duration::from_secs(15),
            window: Duration::from_secs(10),
            samples_min: 20,
            bad_percent: 50,
            run: 5,
            slow_floor: Duration::from_secs(2),
            slow_factor: 5,
            slow_for: Duration::from_secs(10),
            stall: Duration::from_secs(3),
            delivery_window: Duration::from_secs(300),
            delivery_floor_percent: 40,
            cool_down_min: Duration::from_secs(5),
            cool_down_max: Duration::from_secs(300),
            quiet: Duration::from_secs(600),
            probes: 5,
            probe_percent: 60,
            probe_timeout: Duration::from_secs(10),
        }
    }
}
