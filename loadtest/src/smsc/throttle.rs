//! Lives here: the simulator's segments-per-second limit. Never here: a clock; the caller gives the time.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// GCRA over all binds of a simulator: `rate` per second with a burst of a tenth of a second (at least one).
#[derive(Debug)]
pub(super) struct Throttle {
    /// Theoretical arrival time of the next segment, nanoseconds since the simulator started.
    next_ns: AtomicU64,
}

impl Throttle {
    pub(super) fn new() -> Self {
        Self {
            next_ns: AtomicU64::new(0),
        }
    }

    /// True when a segment at `now` is within `rate`. A rate of 0 lets nothing through.
    pub(super) fn allows(&self, rate: u32, now: Duration) -> bool {
        if rate == 0 {
            return false;
        }
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let interval = 1_000_000_000 / u64::from(rate).min(1_000_000_000);
        let tolerance = (interval * u64::from(rate / 10)).max(interval);
        self.next_ns
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| {
                let start = next.max(now);
                (start + interval <= now + tolerance).then_some(start + interval)
            })
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_at_double_the_rate_lets_half_of_it_through() {
        let throttle = Throttle::new();
        let passed = (0..2000u64)
            .filter(|i| throttle.allows(1000, Duration::from_micros(i * 500)))
            .count();
        assert!((1000..=1100).contains(&passed), "{passed}");
    }

    #[test]
    fn a_rate_of_one_takes_one_a_second_and_zero_takes_none() {
        let throttle = Throttle::new();
        let passed = (0..30u64)
            .filter(|i| throttle.allows(1, Duration::from_millis(i * 100)))
            .count();
        assert_eq!(passed, 3);
        assert!(!throttle.allows(0, Duration::from_secs(100)));
    }
}
