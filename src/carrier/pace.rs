//! Lives here: how fast a bind may write: its limit, what its carrier lets it (`throttle`), and the
//! warm-up of a fresh session, put together over its tokens (`rate`).
//! Never here: the account's own limit, which its binds share.

use std::time::{Duration, Instant};

use super::rate::{Gcra, default_burst, sustained};
use super::throttle::Throttle;
use crate::domain::class::Class;

/// The pace at which a warm-up begins.
const COLD: f64 = 0.1;
/// The throttle's pace is put into the tokens this often; it moves a few percent in that time.
const STEP: Duration = Duration::from_millis(20);

/// One bind's pace. It outlives sessions: what a carrier has said of our pace holds for the next.
#[derive(Debug)]
pub(super) struct Pace {
    tokens: Gcra,
    throttle: Throttle,
    /// As configured: segments a second, and how many at once.
    configured: (u32, Option<u32>),
    limit: u32,
    /// The sustained pace under the limit.
    top: f64,
    warm_up: Option<(Instant, Duration)>,
    rate: f64,
    stepped: Instant,
}

impl Pace {
    /// A pace of at most `limit` segments a second, `burst` at once.
    pub(super) fn new(limit: u32, burst: Option<u32>, now: Instant) -> Self {
        let top = top(limit, burst);
        Self {
            tokens: Gcra::new(limit, burst),
            throttle: Throttle::new(top),
            configured: (limit, burst),
            limit,
            top,
            warm_up: None,
            rate: top,
            stepped: now,
        }
    }

    /// An operator's limit, or the configured one again.
    pub(super) fn set_limit(&mut self, limit: Option<u32>, now: Instant) {
        let (configured, burst) = self.configured;
        self.limit = limit.unwrap_or(configured).max(1);
        self.top = top(self.limit, burst);
        self.tokens.set_limit(self.limit, burst);
        self.throttle.set_limit(self.top);
        self.put(now);
    }

    /// A fresh session: its pace rises from a tenth to all of it in this time.
    pub(super) fn begin(&mut self, warm_up: Duration, now: Instant) {
        self.warm_up = (!warm_up.is_zero()).then_some((now, warm_up));
        self.put(now);
    }

    /// Lets time work. To be called before asking for tokens.
    pub(super) fn step(&mut self, now: Instant) {
        if now >= self.stepped + STEP {
            self.put(now);
        }
    }

    fn put(&mut self, now: Instant) {
        self.stepped = now;
        let mut rate = self.throttle.rate(now).min(self.top);
        if let Some((since, length)) = self.warm_up {
            let share = now.saturating_duration_since(since).as_secs_f64() / length.as_secs_f64();
            if share >= 1.0 {
                self.warm_up = None;
            }
            rate = rate.min(self.top * (COLD + (1.0 - COLD) * share));
        }
        self.rate = rate;
        self.tokens.set_rate(rate);
    }

    /// Segments a second allowed now.
    pub(super) fn rate(&self) -> f64 {
        self.rate
    }

    /// Whether the carrier has asked for less, and still has it.
    pub(super) fn is_slowed(&self, now: Instant) -> bool {
        self.throttle.is_slowed(now)
    }

    /// Segments that the carrier took in the last second.
    pub(super) fn recent(&mut self, now: Instant) -> u32 {
        self.throttle.recent(now)
    }

    /// The limit in force.
    pub(super) fn limit(&self) -> u32 {
        self.limit
    }

    /// Until when nothing may go, because the carrier said so.
    pub(super) fn paused(&self, now: Instant) -> Option<Instant> {
        self.throttle.paused(now)
    }

    /// When a segment of this class may go: `None` = now.
    pub(super) fn wait(&self, class: Class, now: Instant) -> Option<Instant> {
        self.paused(now).or_else(|| self.tokens.wait(class, now))
    }

    /// A segment goes: `wait` has allowed it.
    pub(super) fn charge(&self, class: Class, now: Instant) {
        let taken = self.tokens.take(class, now);
        debug_assert!(taken.is_ok(), "asked before");
    }

    /// The carrier took a segment sent at `sent`.
    pub(super) fn accepted(&mut self, sent: Instant, now: Instant) {
        self.throttle.accepted(sent, now);
    }

    /// The carrier said "slower" to a segment sent at `sent`.
    pub(super) fn throttled(&mut self, sent: Instant, pause: Duration, now: Instant) {
        self.throttle.throttled(sent, pause, now);
        self.put(now);
    }

    /// The carrier's congestion_state.
    pub(super) fn congestion(&mut self, state: u8, now: Instant) {
        self.throttle.congestion(state, now);
        self.put(now);
    }
}

fn top(limit: u32, burst: Option<u32>) -> f64 {
    let burst = burst.unwrap_or(default_burst(limit)).clamp(1, limit.max(1));
    sustained(limit, burst)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(pace: &mut Pace, from: Instant, length: Duration) -> u32 {
        let (mut now, mut sent) = (from, 0);
        while now < from + length {
            pace.step(now);
            match pace.wait(Class::Transactional, now) {
                None => {
                    pace.charge(Class::Transactional, now);
                    sent += 1;
                }
                Some(until) => now = until.min(now + STEP),
            }
        }
        sent
    }

    #[test]
    fn a_fresh_session_begins_slowly_and_rises() {
        let now = Instant::now();
        let mut pace = Pace::new(100, None, now);
        pace.begin(Duration::from_secs(10), now);
        let second = |number: u64| now + Duration::from_secs(number);
        let first = sent(&mut pace, second(0), Duration::from_secs(1));
        assert!(!pace.is_slowed(second(1)), "nobody has asked for less");
        let fifth = sent(&mut pace, second(5), Duration::from_secs(1));
        let after = sent(&mut pace, second(11), Duration::from_secs(1));
        assert!((8..=18).contains(&first), "{first}");
        assert!((50..=65).contains(&fifth), "{fifth}");
        assert!((95..=100).contains(&after), "{after}");
    }

    #[test]
    fn a_pace_is_slowed_from_the_carriers_word_until_it_is_back() {
        let now = Instant::now();
        let mut pace = Pace::new(100, None, now);
        assert!(pace.rate() < 100.0, "the burst has its share of the limit");
        assert!(!pace.is_slowed(now));
        let said = now + Duration::from_secs(1);
        pace.throttled(now, Duration::from_millis(100), said);
        assert!(pace.is_slowed(said));
        pace.step(said + Duration::from_secs(60));
        assert!(!pace.is_slowed(said + Duration::from_secs(60)));
    }

    #[test]
    fn the_operators_limit_is_in_force_until_it_is_taken_back() {
        let now = Instant::now();
        let mut pace = Pace::new(100, None, now);
        pace.set_limit(Some(10), now);
        let from = now + Duration::from_secs(1);
        assert_eq!(sent(&mut pace, from, Duration::from_secs(1)), 10);
        pace.set_limit(None, from + Duration::from_secs(1));
        assert_eq!(pace.limit(), 100);
        let from = from + Duration::from_secs(2);
        assert!(sent(&mut pace, from, Duration::from_secs(1)) >= 95);
    }
}
