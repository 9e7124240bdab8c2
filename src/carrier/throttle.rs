//! Lives here: how a bind slows down when its carrier says so: multiplicative decrease, additive
//! recovery. Pure.
//! Never here: queues (messages keep their order because the whole bind slows).

use std::time::{Duration, Instant};

/// One cut for the answers of one moment: a window full of RTHROTTLED is one word, not a hundred.
const CUT_AT_MOST_EVERY: Duration = Duration::from_millis(200);
const RECOVER_EVERY: Duration = Duration::from_millis(250);
/// Of the rate after the last cut, each time: a tenth in a second, whatever limit is configured.
const RECOVER_BY: f64 = 0.025;
/// The step doubles after each such time without a cut, so that a passing trouble is forgotten.
const DOUBLE_EVERY: Duration = Duration::from_secs(5);
const SLOWEST: f64 = 0.5;

/// The pace a bind allows itself, segments a second.
#[derive(Debug)]
pub(super) struct Throttle {
    limit: f64,
    rate: f64,
    paused_until: Option<Instant>,
    /// The last cut, and the rate it left.
    last_cut: Option<(Instant, f64)>,
    last_rise: Instant,
}

impl Throttle {
    /// Starts at `limit` segments a second.
    pub(super) fn new(limit: u32, now: Instant) -> Self {
        let limit = f64::from(limit.max(1));
        Self {
            limit,
            rate: limit,
            paused_until: None,
            last_cut: None,
            last_rise: now,
        }
    }

    /// The carrier said "slower": pause, and go on at two thirds of what really went out.
    /// `recent` is the bind's own measured rate. Returns the new rate if it changed.
    pub(super) fn slow_down(&mut self, pause: Duration, recent: f64, now: Instant) -> Option<f64> {
        self.paused_until = Some(
            self.paused_until
                .map_or(now + pause, |known| known.max(now + pause)),
        );
        if self
            .last_cut
            .is_some_and(|(cut, _)| now < cut + CUT_AT_MOST_EVERY)
        {
            return None;
        }
        self.rate = (self.rate.min(recent.max(SLOWEST)) * 0.66).max(SLOWEST);
        self.last_cut = Some((now, self.rate));
        self.last_rise = now;
        Some(self.rate)
    }

    /// Lets time work. Returns the new rate if it changed.
    pub(super) fn recover(&mut self, now: Instant) -> Option<f64> {
        let (cut, from) = self.last_cut?;
        if self.rate >= self.limit || now < self.last_rise + RECOVER_EVERY {
            return None;
        }
        self.last_rise = now;
        let quiet = now.saturating_duration_since(cut).as_secs() / DOUBLE_EVERY.as_secs();
        let step = (from * RECOVER_BY).max(0.1) * f64::from(1u32 << quiet.min(20));
        self.rate = (self.rate + step).min(self.limit);
        Some(self.rate)
    }

    /// Until when nothing may go.
    pub(super) fn paused(&self, now: Instant) -> Option<Instant> {
        self.paused_until.filter(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_of_throttled_answers_is_one_cut() {
        let now = Instant::now();
        let mut throttle = Throttle::new(100, now);
        assert_eq!(
            throttle.slow_down(Duration::from_millis(500), 90.0, now),
            Some(90.0 * 0.66)
        );
        for _ in 0..99 {
            assert_eq!(
                throttle.slow_down(Duration::from_millis(500), 90.0, now),
                None
            );
        }
        assert!(throttle.paused(now).is_some());
        assert!(throttle.paused(now + Duration::from_secs(1)).is_none());
    }

    #[test]
    fn a_limit_configured_far_too_high_does_not_make_the_recovery_leap() {
        let mut now = Instant::now();
        let mut throttle = Throttle::new(10_000, now);
        throttle.slow_down(Duration::ZERO, 60.0, now);
        for _ in 0..16 {
            now += RECOVER_EVERY;
            throttle.recover(now);
        }
        assert!(throttle.rate < 60.0, "{} after four seconds", throttle.rate);
    }

    #[test]
    fn the_pace_recovers_to_its_limit_and_no_further() {
        let mut now = Instant::now();
        let mut throttle = Throttle::new(100, now);
        throttle.slow_down(Duration::ZERO, 100.0, now);
        let mut last = 66.0;
        for _ in 0..200 {
            now += RECOVER_EVERY;
            if let Some(rate) = throttle.recover(now) {
                assert!(rate > last);
                last = rate;
            }
        }
        assert!((last - 100.0).abs() < f64::EPSILON);
    }
}
