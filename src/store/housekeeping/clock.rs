//! Lives here: whether the time may be believed before anything is destroyed by it. Pure.
//! Never here: what is due (`plan`), reading clocks.

use std::time::Duration;

use crate::domain::time::Timestamp;
use crate::store::rows::day_of;

/// A clock that was doubted is believed when it has kept step for so long: an operator has had a
/// working day to see that it is wrong. To keep for a day longer what might go costs nothing.
const STEADY: Duration = Duration::from_secs(24 * 3600);
/// How far the wall clock may drift from the time that the run has run before it counts as set anew.
const DRIFT: Duration = Duration::from_secs(3600);

/// What is thought of the clock. A server without a battery begins anywhere, and a bad source of time
/// sets it years ahead: all that is stored would be past its time.
#[derive(Debug)]
pub(super) struct Clock {
    /// It may differ by so many days from what it was when it was believed last; `None` = by any.
    leap_days_max: Option<u32>,
    doubt: Option<Doubt>,
}

/// Since when the clock goes as it does.
#[derive(Clone, Copy, Debug)]
struct Doubt {
    /// What it showed.
    now: Timestamp,
    /// How long the run had run.
    ran: Duration,
}

impl Clock {
    /// Nothing is known yet.
    pub(super) const fn new(leap_days_max: Option<u32>) -> Self {
        Self {
            leap_days_max,
            doubt: None,
        }
    }

    /// Whether `now` may be acted upon: it is near `last`, the day on which the clock was believed
    /// last, be it by another run; or has kept step with `ran`, how long this run has run, for
    /// [`STEADY`].
    pub(super) fn believes(&mut self, now: Timestamp, ran: Duration, last: i64) -> bool {
        let leap = day_of(now).abs_diff(last);
        if self.leap_days_max.is_none_or(|max| leap <= u64::from(max)) {
            self.doubt = None;
            return true;
        }
        let here = Doubt { now, ran };
        let doubt = self.doubt.filter(|doubt| doubt.keeps_step(here));
        let doubt = *self.doubt.insert(doubt.unwrap_or(here));
        let steady = ran.saturating_sub(doubt.ran) >= STEADY;
        if steady {
            self.doubt = None;
        }
        steady
    }

    /// Whether the clock was doubted when it was asked about last.
    pub(super) const fn is_doubted(&self) -> bool {
        self.doubt.is_some()
    }
}

impl Doubt {
    /// Whether as much time has passed on the wall since as in the run.
    fn keeps_step(self, later: Self) -> bool {
        let ran = later.ran.saturating_sub(self.ran).as_millis();
        let ran = i64::try_from(ran).unwrap_or(i64::MAX);
        let shown = later.now.0.saturating_sub(self.now.0);
        u128::from(shown.abs_diff(ran)) <= DRIFT.as_millis()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(day: i64) -> Timestamp {
        Timestamp(day * 86_400_000)
    }

    #[test]
    fn days_that_follow_each_other_are_believed() {
        let mut clock = Clock::new(Some(3));
        for (day, last) in [(100, 100), (101, 100), (103, 100), (97, 100)] {
            assert!(clock.believes(at(day), Duration::ZERO, last));
        }
        assert!(!clock.believes(at(104), Duration::ZERO, 100));
        assert!(!clock.believes(at(96), Duration::ZERO, 100));
        assert!(clock.is_doubted());
        // It has been put right.
        assert!(clock.believes(at(100), HOUR, 100) && !clock.is_doubted());
    }

    #[test]
    fn a_leap_is_believed_after_a_day_in_step() {
        let mut clock = Clock::new(Some(3));
        for hours in 0..24 {
            assert!(!clock.believes(at(200) + HOUR * hours, HOUR * hours, 100));
        }
        assert!(clock.believes(at(201), HOUR * 24, 100));
        assert!(!clock.is_doubted());
    }

    #[test]
    fn a_clock_that_is_set_again_has_its_day_before_it() {
        let mut clock = Clock::new(Some(3));
        assert!(!clock.believes(at(200), Duration::ZERO, 100));
        assert!(!clock.believes(at(400), HOUR * 23, 100));
        assert!(!clock.believes(at(401), HOUR * 46, 100));
        assert!(clock.believes(at(401) + HOUR, HOUR * 47, 100));
        // To be shown another day by standing still is to be set back.
        assert!(!clock.believes(at(600), HOUR * 48, 100));
        assert!(!clock.believes(at(600), HOUR * 73, 100));
    }

    #[test]
    fn an_operator_may_have_any_clock_believed() {
        let mut clock = Clock::new(None);
        assert!(clock.believes(at(100_000), Duration::ZERO, 1));
        assert!(clock.believes(Timestamp(i64::MAX), Duration::ZERO, 1));
    }
}
