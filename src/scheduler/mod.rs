//! Lives here: what owns a message between its commit and a carrier's answer: lanes filled,
//! retries timed, outcomes decided, overdue messages ended.
//! Never here: sockets, PDUs, SQL, receipts.

mod decide;
mod doubt;
mod fair;
pub mod feed;
pub mod health;
mod keeper;
mod moves;
mod refill;
mod returns;
pub mod settle;

use std::time::Duration;

pub use keeper::keep;

use crate::domain::breaker::Limits;

/// The scheduler's own configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Messages ready in memory for each account and class; the rest waits in the store.
    pub ready_max: usize,
    /// Messages of one account and class waiting for a retry; beyond it the account takes no fresh
    /// ones of that class.
    pub returns_max: usize,
    /// Attempts of one message that one account may answer with a passing error.
    pub attempts_max: u8,
    /// After how long a message in doubt is resent, once, in the order of `Class::ALL`; `None` =
    /// never by itself.
    pub resend_after: [Option<Duration>; 3],
    /// How long after its validity a message may wait for the carrier's last word.
    pub grace: Duration,
    /// The longest that a bind waits for an answer.
    pub answer_max: Duration,
    /// How long messages of each class stand by an account that is out of use before they move to
    /// another, in the order of `Class::ALL`; `None` = for good.
    pub patience: [Option<Duration>; 3],
    /// From when on an account counts as unfit, and how it comes back.
    pub breaker: Limits,
}

/// The share of a second's messages that stand in front of the binds, in the order that is then
/// settled.
const LANE_SHARE: usize = 50;
/// Messages in front of the binds at least: a slow account's binds still pull some at a time.
const LANE_MIN: usize = 16;

impl Config {
    /// Messages that stand in front of the binds of an account of this pace, for each class: about
    /// 20 ms of it. Of `ready_max` at most half, so that most is still in turn.
    pub fn lane(&self, max_tps: u32) -> usize {
        (max_tps as usize / LANE_SHARE)
            .max(LANE_MIN)
            .min(self.ready_max / 2)
            .max(1)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ready_max: 2048,
            returns_max: 10_000,
            attempts_max: 3,
            // A second OTP is harmless and a missing one is not; a second advertisement is worse
            // than none.
            resend_after: [
                Some(Duration::from_secs(5)),
                Some(Duration::from_secs(60)),
                None,
            ],
            grace: Duration::from_secs(24 * 3600),
            answer_max: Duration::from_secs(30),
            patience: [Some(Duration::ZERO), Some(Duration::from_secs(5)), None],
            breaker: Limits::default(),
        }
    }
}
