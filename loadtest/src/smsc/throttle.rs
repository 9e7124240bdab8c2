//! Lives here: the simulator's segments-per-second limit. Never here: a clock; the caller gives the time.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// One limit over all binds of a simulator, counted either way.
#[derive(Debug)]
pub(super) struct Throttle {
    /// GCRA: theoretical arrival time of the next segment, nanoseconds since the simulator started.
    next_ns: AtomicU64,
    /// Fixed windows: the number of the window (upper half) and what it has let through.
    window: AtomicU64,
}

impl Throttle {
    pub(super) fn new() -> Self {
        Self {
            next_ns: AtomicU64::new(0),
            window: AtomicU64::new(0),
        }
    }

    /// True when a segment at `now` is within what windows of `length` may take at `rate` per second.
    pub(super) fn allows_in_window(&self, rate: u32, length: Duration, now: Duration) -> bool {
        let length_ms = length.as_millis().max(1);
        let quota = u64::try_from(u128::from(rate) * length_ms / 1000).unwrap_or(u64::MAX);
        // Half a word holds the windows of 49 days, were each of them one millisecond long.
        let number = u64::try_from(now.as_millis() / length_ms).unwrap_or(0) & 0xFFFF_FFFF;
        self.window
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |state| {
                let taken = if state >> 32 == number {
                    state & 0xFFFF_FFFF
                } else {
                    0
                };
                (taken < quota).then_some(number << 32 | (taken + 1))
            })
            .is_ok()
    }

    /// GCRA: true when a segment at `now` is within `rate`, with a burst of so much time at that rate (at least one
    /// segment). A rate of 0 lets nothing through.
    pub(super) fn allows(&self, rate: u32, burst: Duration, now: Duration) -> bool {
        if rate == 0 {
            return false;
        }
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let interval = 1_000_000_000 / u64::from(rate).min(1_000_000_000);
        let burst = u64::try_from(burst.as_nanos()).unwrap_or(u64::MAX);
        let tolerance = (burst - burst % interval).max(interval);
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

    const BURST: Duration = Duration::from_millis(100);

    #[test]
    fn a_second_at_double_the_rate_lets_half_of_it_through() {
        let throttle = Throttle::new();
        let passed = (0..2000u64)
            .filter(|i| throttle.allows(1000, BURST, Duration::from_micros(i * 500)))
            .count();
        assert!((1000..=1100).contains(&passed), "{passed}");
    }

    #[test]
    fn a_fixed_window_takes_its_quota_at_once_and_nothing_until_the_next() {
        let throttle = Throttle::new();
        let passed = |from_ms: u64, until_ms: u64| {
            (from_ms..until_ms)
                .filter(|ms| {
                    let now = Duration::from_millis(*ms);
                    throttle.allows_in_window(100, Duration::from_secs(1), now)
                })
                .count()
        };
        assert_eq!((passed(0, 100), passed(100, 1000)), (100, 0));
        assert_eq!((passed(1000, 2000), passed(5500, 6000)), (100, 100));
    }

    #[test]
    fn a_rate_of_one_takes_one_a_second_and_zero_takes_none() {
        let throttle = Throttle::new();
        let passed = (0..30u64)
            .filter(|i| throttle.allows(1, BURST, Duration::from_millis(i * 100)))
            .count();
        assert_eq!(passed, 3);
        assert!(!throttle.allows(0, BURST, Duration::from_secs(100)));
    }
}
