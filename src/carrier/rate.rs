//! Lives here: the pace of segments (GCRA) and the window of an account, shared by its binds
//! without a lock.
//! Never here: clocks (instants come in), the reasons for a pace (`throttle`, config).

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::domain::class::Class;

/// The generic cell rate algorithm over segments.
///
/// Of `limit` segments a second `burst` may leave at once; the sustained pace is then
/// `limit - (burst - 1)`, so that no sliding second ever holds more than `limit`: a burst is
/// paid for with pace. About half of the burst is kept for OTP: the others wait for their token
/// while an OTP still finds one.
#[derive(Debug)]
pub(super) struct Gcra {
    start: Instant,
    /// Nanoseconds for one segment.
    interval: AtomicU64,
    /// The same at the limit, and how many segments it lets run ahead.
    at_limit: AtomicU64,
    ahead: AtomicU64,
    /// Nanoseconds by which OTP may run ahead of the pace.
    slack: AtomicU64,
    /// The same for the other classes.
    slack_of_others: AtomicU64,
    /// Theoretical arrival time of the next segment, nanoseconds after `start`.
    next: AtomicU64,
}

/// How far a pace slower than the limit may run ahead.
const SLOWED_BURST: Duration = Duration::from_millis(10);

/// Segments that may leave at once where nothing is said: the pace stays at 97 % of the limit.
pub(super) const fn default_burst(limit: u32) -> u32 {
    1 + (limit as u64 * 3 / 100) as u32
}

impl Gcra {
    /// A pace of at most `limit` segments a second (at least 1), `burst` of them at once.
    pub(super) fn new(limit: u32, burst: Option<u32>) -> Self {
        let gcra = Self {
            start: Instant::now(),
            interval: AtomicU64::new(0),
            at_limit: AtomicU64::new(0),
            ahead: AtomicU64::new(0),
            slack: AtomicU64::new(0),
            slack_of_others: AtomicU64::new(0),
            next: AtomicU64::new(0),
        };
        gcra.set_limit(limit, burst);
        gcra
    }

    /// Changes the limit from now on.
    pub(super) fn set_limit(&self, limit: u32, burst: Option<u32>) {
        let limit = limit.max(1);
        let burst = burst.unwrap_or(default_burst(limit)).clamp(1, limit);
        let interval = interval(sustained(limit, burst));
        self.at_limit.store(interval, Ordering::Relaxed);
        self.ahead.store(u64::from(burst - 1), Ordering::Relaxed);
        self.pace(interval, u64::MAX);
    }

    /// Goes slower than the limit, or as fast again, from now on. A pace that a carrier has asked
    /// for has hardly a burst: what a pause has held back must not come at once.
    pub(super) fn set_rate(&self, rate: f64) {
        let (interval, at_limit) = (interval(rate), self.at_limit.load(Ordering::Relaxed));
        if interval > at_limit {
            self.pace(interval, SLOWED_BURST.as_nanos() as u64);
        } else {
            self.pace(at_limit, u64::MAX);
        }
    }

    fn pace(&self, interval: u64, slack_max: u64) {
        let (at_limit, ahead) = (&self.at_limit, self.ahead.load(Ordering::Relaxed));
        let slack = |ahead: u64| (ahead * at_limit.load(Ordering::Relaxed)).min(slack_max);
        self.slack.store(slack(ahead), Ordering::Relaxed);
        let others = slack(ahead - ahead / 2);
        self.slack_of_others.store(others, Ordering::Relaxed);
        self.interval.store(interval, Ordering::Relaxed);
    }

    /// When a segment of this class may go: `None` = now.
    pub(super) fn wait(&self, class: Class, now: Instant) -> Option<Instant> {
        let next = self.next.load(Ordering::Relaxed);
        let open = next.saturating_sub(self.slack(class));
        (open > self.nanos(now)).then(|| self.instant(open))
    }

    /// Takes the token for a segment of this class that goes now.
    ///
    /// # Errors
    /// When there will be one.
    pub(super) fn take(&self, class: Class, now: Instant) -> Result<(), Instant> {
        let (slack, interval) = (self.slack(class), self.interval.load(Ordering::Relaxed));
        let now = self.nanos(now);
        let take = |next: u64| {
            let open = next.saturating_sub(slack) <= now;
            open.then(|| next.max(now).saturating_add(interval))
        };
        self.next
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .map(|_| ())
            .map_err(|next| self.instant(next.saturating_sub(slack)))
    }

    fn slack(&self, class: Class) -> u64 {
        match class {
            Class::Otp => self.slack.load(Ordering::Relaxed),
            Class::Transactional | Class::Promotional => {
                self.slack_of_others.load(Ordering::Relaxed)
            }
        }
    }

    fn instant(&self, nanos: u64) -> Instant {
        self.start + Duration::from_nanos(nanos)
    }

    fn nanos(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.start).as_nanos()).unwrap_or(u64::MAX)
    }
}

/// The pace that can be kept up under a limit.
pub(super) fn sustained(limit: u32, burst: u32) -> f64 {
    f64::from(limit.saturating_sub(burst.saturating_sub(1)).max(1))
}

/// Rounded up: a pace is never faster than it says.
fn interval(rate: f64) -> u64 {
    (1e9 / rate.max(0.01)).ceil() as u64
}

/// The window of an account: segments that all its binds together may have unanswered.
#[derive(Debug)]
pub(super) struct Slots {
    limit: usize,
    /// The last ones, which only OTP may use.
    for_otp: usize,
    taken: AtomicUsize,
    /// Somebody was refused and waits for the bell.
    wanted: AtomicBool,
}

impl Slots {
    /// So many slots (at least 1), of which a share in percent is for OTP.
    pub(super) fn new(limit: usize, otp_reserve_percent: u8) -> Self {
        Self {
            limit,
            for_otp: reserve(limit, otp_reserve_percent),
            taken: AtomicUsize::new(0),
            wanted: AtomicBool::new(false),
        }
    }

    /// Takes a slot for a segment of this class, if there is one.
    pub(super) fn take(&self, class: Class) -> bool {
        if self.try_take(class) {
            return true;
        }
        // Said before looking again: whoever frees a slot after this look rings.
        self.wanted.store(true, Ordering::SeqCst);
        self.try_take(class)
    }

    fn try_take(&self, class: Class) -> bool {
        let limit = match class {
            Class::Otp => self.limit,
            Class::Transactional | Class::Promotional => self.limit - self.for_otp,
        };
        let take = |taken: usize| (taken < limit).then_some(taken + 1);
        self.taken
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take)
            .is_ok()
    }

    /// Gives a slot back; says whether somebody waits for it.
    #[must_use]
    pub(super) fn free(&self) -> bool {
        let before = self.taken.fetch_sub(1, Ordering::SeqCst);
        debug_assert!(before > 0, "each slot is freed once");
        self.wanted.swap(false, Ordering::SeqCst)
    }
}

/// How many of so many slots only OTP may use; the others always have one.
pub(super) fn reserve(window: usize, percent: u8) -> usize {
    (window * usize::from(percent) / 100).min(window.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// The most that any second held, and the average of the saturated pace.
    struct Watch {
        recent: VecDeque<Instant>,
        most: usize,
        sent: u32,
    }

    impl Watch {
        fn new() -> Self {
            Self {
                recent: VecDeque::new(),
                most: 0,
                sent: 0,
            }
        }

        fn sent(&mut self, at: Instant) {
            while self
                .recent
                .front()
                .is_some_and(|first| *first + SECOND <= at)
            {
                self.recent.pop_front();
            }
            self.recent.push_back(at);
            self.most = self.most.max(self.recent.len());
            self.sent += 1;
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn no_sliding_second_of_several_binds_passes_the_limit(
            seed in any::<u64>(),
            limit in 1u32..3_000,
            burst in proptest::option::of(1u32..200),
            binds in 1usize..5,
        ) {
            let mut dice = StdRng::seed_from_u64(seed);
            let account = Gcra::new(limit, burst);
            let each: Vec<Gcra> = (0..binds).map(|_| Gcra::new(limit, None)).collect();
            let mut now = Instant::now();
            let mut watch = Watch::new();
            for _ in 0..1_500 {
                let step = match dice.random_range(0..10u32) {
                    0 => dice.random_range(0..400_000u64),
                    _ => dice.random_range(0..2_000_000 / u64::from(limit) + 10),
                };
                now += Duration::from_micros(step);
                let bind = &each[dice.random_range(0..binds)];
                // Now and then a bind is slowed down, or recovers.
                if dice.random_range(0..50u32) == 0 {
                    let most = sustained(limit, default_burst(limit));
                    bind.set_rate(most * dice.random_range(0.1..=1.0));
                }
                let class = Class::ALL[dice.random_range(0..3usize)];
                for _ in 0..dice.random_range(1..40u32) {
                    if bind.wait(class, now).is_none()
                        && account.take(class, now).is_ok()
                    {
                        prop_assert!(bind.take(class, now).is_ok());
                        watch.sent(now);
                    }
                }
            }
            prop_assert!(watch.most <= limit as usize, "{} in a second of {limit}, seed {seed}", watch.most);
        }

        #[test]
        fn a_saturated_pace_reaches_nearly_the_limit(limit in 1u32..2_000) {
            let gcra = Gcra::new(limit, None);
            let start = Instant::now();
            let (mut now, mut watch) = (start, Watch::new());
            while now < start + 10 * SECOND {
                match gcra.take(Class::Transactional, now) {
                    Ok(()) => watch.sent(now),
                    Err(until) => now = until,
                }
            }
            prop_assert!(watch.most <= limit as usize);
            let share = f64::from(watch.sent) / f64::from(limit * 10);
            prop_assert!(share >= 0.95, "{share} of {limit}");
        }
    }

    #[test]
    fn otp_finds_a_token_when_the_others_have_taken_theirs() {
        let gcra = Gcra::new(1_000, None);
        let now = Instant::now() + SECOND;
        let mut others = 0;
        while gcra.take(Class::Promotional, now).is_ok() {
            others += 1;
        }
        let mut otp = 0;
        while gcra.take(Class::Otp, now).is_ok() {
            otp += 1;
        }
        assert_eq!((others, otp), (16, 15));
        assert!(gcra.wait(Class::Otp, now) < gcra.wait(Class::Promotional, now));
    }

    #[test]
    fn low_limits_have_no_burst() {
        assert_eq!([1, 33, 34, 100, 500].map(default_burst), [1, 1, 2, 4, 16]);
    }

    #[test]
    fn a_shared_window_keeps_its_last_slots_for_otp_and_tells_who_waits() {
        let slots = Slots::new(10, 20);
        let others = (0..20).filter(|_| slots.take(Class::Promotional)).count();
        assert_eq!(others, 8);
        let otp = (0..20).filter(|_| slots.take(Class::Otp)).count();
        assert_eq!(otp, 2);
        assert!(slots.free(), "somebody was refused");
        assert!(!slots.free());
        assert_eq!(
            (reserve(1, 90), reserve(10, 10), reserve(100, 0)),
            (0, 1, 0)
        );
    }
}
