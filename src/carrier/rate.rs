//! Lives here: the pace of segments: GCRA, shared by the binds of an account without a lock.
//! Never here: clocks (instants come in), the reasons for a pace (`throttle`, config).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The generic cell rate algorithm over segments: at most `rate` a second, with a burst of a
/// hundredth of a second (at least one segment), so that no sliding second sees more than
/// `rate` and one percent.
#[derive(Debug)]
pub(super) struct Gcra {
    start: Instant,
    /// Nanoseconds for one segment.
    interval: AtomicU64,
    /// Theoretical arrival time of the next segment, nanoseconds after `start`.
    next: AtomicU64,
}

const BURST: Duration = Duration::from_millis(10);

impl Gcra {
    /// A pace of `rate` segments a second, at least 1.
    pub(super) fn new(rate: u32) -> Self {
        Self {
            start: Instant::now(),
            interval: AtomicU64::new(interval(f64::from(rate.max(1)))),
            next: AtomicU64::new(0),
        }
    }

    /// Changes the pace from now on.
    pub(super) fn set_rate(&self, rate: f64) {
        self.interval.store(interval(rate), Ordering::Relaxed);
    }

    /// `None`: a segment may go now. Otherwise the instant at which one may.
    pub(super) fn wait(&self, now: Instant) -> Option<Instant> {
        let next = self.next.load(Ordering::Relaxed);
        let slack = (BURST.as_nanos() as u64).saturating_sub(self.interval.load(Ordering::Relaxed));
        let open = next.saturating_sub(slack);
        (open > self.nanos(now)).then(|| self.start + Duration::from_nanos(open))
    }

    /// Charges `segments` that go now.
    pub(super) fn charge(&self, segments: u32, now: Instant) {
        let cost = u64::from(segments) * self.interval.load(Ordering::Relaxed);
        let now = self.nanos(now);
        let add = |next: u64| Some(next.max(now).saturating_add(cost));
        // The closure always gives a value, so this cannot fail.
        let _ = self
            .next
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    fn nanos(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.start).as_nanos()).unwrap_or(u64::MAX)
    }
}

fn interval(rate: f64) -> u64 {
    (1e9 / rate.max(0.01)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent_within(gcra: &Gcra, from: Instant, span: Duration, step: Duration) -> u32 {
        let mut sent = 0;
        let mut now = from;
        while now < from + span {
            while gcra.wait(now).is_none() {
                gcra.charge(1, now);
                sent += 1;
            }
            now += step;
        }
        sent
    }

    #[test]
    fn no_second_sees_more_than_the_rate_and_one_percent() {
        let gcra = Gcra::new(1000);
        let start = Instant::now() + Duration::from_secs(1);
        for second in 0..5 {
            let from = start + Duration::from_secs(second);
            let sent = sent_within(
                &gcra,
                from,
                Duration::from_secs(1),
                Duration::from_micros(100),
            );
            assert!((990..=1010).contains(&sent), "{sent} in second {second}");
        }
    }

    #[test]
    fn a_slow_pace_still_lets_one_through() {
        let gcra = Gcra::new(1);
        let start = Instant::now() + Duration::from_secs(1);
        let sent = sent_within(
            &gcra,
            start,
            Duration::from_secs(10),
            Duration::from_millis(1),
        );
        assert!((10..=11).contains(&sent), "{sent}");
    }

    #[test]
    fn a_long_message_is_paid_for_by_those_after_it() {
        let gcra = Gcra::new(100);
        let now = Instant::now() + Duration::from_secs(1);
        assert!(gcra.wait(now).is_none());
        gcra.charge(10, now);
        let open = gcra
            .wait(now)
            .expect("ten segments take a tenth of a second");
        assert!(open >= now + Duration::from_millis(99), "{:?}", open - now);
    }
}
