//! Lives here: how many requests a caller may make in a minute: a bucket that holds a minute's worth
//! and fills up evenly.
//! Never here: clocks (`now` comes in), whose bucket it is, what a caller is told.

use std::num::NonZeroU32;

/// A minute, in nanoseconds.
const MINUTE: u64 = 60_000_000_000;

/// How many requests may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quota {
    /// As many as there are.
    Unlimited,
    /// So many in a minute on average, and so many at once: in any span of `t` minutes no more
    /// than this times `1 + t`.
    PerMinute(NonZeroU32),
}

impl Quota {
    /// So many in a minute; `None`: it is none.
    pub fn per_minute(requests: u32) -> Option<Self> {
        NonZeroU32::new(requests).map(Self::PerMinute)
    }
}

/// One caller's bucket: at which time it will be full, in nanoseconds since any fixed moment. The
/// default is a full one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level(u64);

/// What is left after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Requests that may be made now.
    pub requests: u32,
    /// Nanoseconds until all may again.
    pub full_in: u64,
}

/// There is nothing left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent {
    /// Nanoseconds until one request may be made.
    pub next_in: u64,
    /// As [`Left::full_in`].
    pub full_in: u64,
}

impl Level {
    /// Takes a request out of the bucket; `per_minute` fit into it.
    ///
    /// # Errors
    /// There is none in it; it stays as it is.
    pub fn take(&mut self, per_minute: NonZeroU32, now: u64) -> Result<Left, Spent> {
        let one = MINUTE / u64::from(per_minute.get());
        let whole = one * u64::from(per_minute.get());
        // A bucket that is fuller than full is full. One from before its quota was lowered holds
        // nothing for longer than a minute.
        let missing = self.0.saturating_sub(now).min(MINUTE);
        let taken = missing + one;
        if taken > whole {
            return Err(Spent {
                next_in: taken - whole,
                full_in: missing,
            });
        }
        self.0 = now.saturating_add(taken);
        Ok(Left {
            requests: ((whole - taken) / one).try_into().unwrap_or(u32::MAX),
            full_in: taken,
        })
    }

    /// Whether it is full: as good as none.
    pub const fn is_full(self, now: u64) -> bool {
        self.0 <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn quota(per_minute: u32) -> NonZeroU32 {
        NonZeroU32::new(per_minute).unwrap()
    }

    #[test]
    fn a_minutes_worth_may_go_at_once_and_then_one_by_one() {
        let mut level = Level::default();
        for left in (0..120).rev() {
            let taken = level.take(quota(120), SECOND).unwrap();
            assert_eq!(taken.requests, left);
            assert_eq!(taken.full_in, u64::from(120 - left) * SECOND / 2);
        }
        let spent = level.take(quota(120), SECOND).unwrap_err();
        assert_eq!((spent.next_in, spent.full_in), (SECOND / 2, 60 * SECOND));
        let early = level.take(quota(120), SECOND + SECOND / 2 - 1);
        assert_eq!(early.unwrap_err().next_in, 1);
        assert!(level.take(quota(120), SECOND + SECOND / 2).is_ok());
        assert!(level.take(quota(120), SECOND + SECOND / 2).is_err());
    }

    #[test]
    fn what_is_refused_takes_nothing() {
        let mut level = Level::default();
        level.take(quota(1), 0).unwrap();
        for _ in 0..1_000 {
            assert_eq!(level.take(quota(1), 0).unwrap_err().next_in, 60 * SECOND);
        }
        assert!(!level.is_full(60 * SECOND - 1) && level.is_full(60 * SECOND));
        assert!(level.take(quota(1), 60 * SECOND).is_ok());
    }

    #[test]
    fn a_lowered_quota_holds_nobody_up_for_longer_than_a_minute() {
        let mut level = Level::default();
        while level.take(quota(600), 0).is_ok() {}
        assert!(level.take(quota(7), 0).is_err());
        assert!(level.take(quota(7), 60 * SECOND).is_ok());
        // Nor does a raised one, or one that does not divide a minute.
        while level.take(quota(7), 0).is_ok() {}
        assert!(level.take(quota(u32::MAX), 60 * SECOND).is_ok());
    }

    /// Callers that ask as they like: now and then, in bursts, all the time.
    #[test]
    fn in_no_span_is_there_more_than_a_minutes_worth_and_what_flowed_in() {
        let mut state = 0x9E37_79B9_7F4A_7C15u64;
        let mut roll = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for per_minute in [1, 7, 60, 100, 600, 1_000_000] {
            let (mut level, mut now) = (Level::default(), 0);
            let mut taken: Vec<u64> = Vec::new();
            for _ in 0..3_000 {
                now += match roll() % 4 {
                    0 => roll() % (20 * SECOND),
                    1 => roll() % SECOND,
                    _ => 0,
                };
                if level.take(quota(per_minute), now).is_ok() {
                    taken.push(now);
                }
            }
            for (first, begin) in taken.iter().enumerate().step_by(7) {
                for (last, end) in taken.iter().enumerate().skip(first).step_by(5) {
                    let count = (last - first + 1) as f64;
                    let minutes = (end - begin) as f64 / MINUTE as f64;
                    let most = f64::from(per_minute) * (1.0 + minutes);
                    assert!(count <= most + 1e-3, "{count} > {most} of {per_minute}");
                }
            }
        }
    }
}
