//! Lives here: what of retention and redaction is due, given the time and what there is. Pure.
//! Never here: the store, tasks, clocks.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Retention;
use crate::domain::time::Timestamp;
use crate::store::rows::day_of;
use crate::store::upkeep::Marks;

/// How long a day that could not be finished is left alone: what holds it up takes hours or days.
const HELD_FOR: Duration = Duration::from_secs(3600);

/// What there is.
#[derive(Clone, Debug, Default)]
pub(super) struct There {
    /// The days of which there are messages, in order.
    pub(super) days: Vec<i64>,
    /// How far earlier rounds have come.
    pub(super) marks: Marks,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The messages of this day have been kept for long enough.
    Drop(i64),
    /// The texts of this day have been.
    Redact(i64),
}

/// What is due when, and which days have to wait.
#[derive(Debug)]
pub(super) struct Plan {
    config: Retention,
    /// Days that hold what may not be dropped yet, and when they are looked at again. One entry for
    /// each day at most.
    held: BTreeMap<i64, Timestamp>,
    /// The first day that redaction has not done holds something open; it is looked at again then.
    redaction_held: Timestamp,
}

impl Plan {
    /// Nothing is known yet.
    pub(super) const fn new(config: Retention) -> Self {
        Self {
            config,
            held: BTreeMap::new(),
            redaction_held: Timestamp(i64::MIN),
        }
    }

    /// The next step; `None`: nothing is due now.
    pub(super) fn next(&self, now: Timestamp, there: &There) -> Option<Step> {
        self.to_drop(now, there)
            .or_else(|| self.to_redact(now, there))
    }

    fn to_drop(&self, now: Timestamp, there: &There) -> Option<Step> {
        let end = first_kept(self.config.messages_days, now)?;
        let due = there.days.iter().take_while(|day| **day < end);
        let is_free = |day: &&i64| self.held.get(day).is_none_or(|until| *until <= now);
        due.copied().find(|day| is_free(&day)).map(Step::Drop)
    }

    /// First what has never been looked at; then, a day at a time, what was left because it was
    /// open.
    fn to_redact(&self, now: Timestamp, there: &There) -> Option<Step> {
        let end = first_kept(self.config.bodies_days, now)?;
        let Marks { looked, done, .. } = there.marks;
        let first_from = |from: i64, until: i64| {
            let mut days = there.days.iter().copied();
            days.find(|day| (from..until).contains(day))
        };
        let again = || {
            let may = self.redaction_held <= now;
            first_from(done, looked.min(end)).filter(|_| may)
        };
        first_from(looked, end).or_else(again).map(Step::Redact)
    }

    /// A day holds what may not be dropped yet.
    pub(super) fn hold(&mut self, day: i64, now: Timestamp) {
        self.held.insert(day, now + HELD_FOR);
    }

    /// A day is gone.
    pub(super) fn dropped(&mut self, day: i64) {
        self.held.remove(&day);
    }

    /// How many days are held up.
    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    /// A day has been gone through for texts; `open`: something in it had not ended when that
    /// began. Returns how far redaction has come with it.
    pub(super) fn redacted(
        &mut self,
        day: i64,
        open: bool,
        now: Timestamp,
        there: &There,
    ) -> Marks {
        let Marks { looked, done, seen } = there.marks;
        let mut before = there.days.iter().take_while(|other| **other < day);
        let first = before.all(|other| *other < done);
        if first && open {
            self.redaction_held = now + HELD_FOR;
        }
        Marks {
            looked: looked.max(day + 1),
            done: if first && !open {
                done.max(day + 1)
            } else {
                done
            },
            seen,
        }
    }
}

impl There {
    /// The day on which the clock was believed last, as far as it is known: in a store that has not
    /// been looked at yet, that of its newest message.
    pub(super) fn last_seen(&self, now: Timestamp) -> i64 {
        match self.marks.seen {
            0 => self.days.last().copied().unwrap_or_else(|| day_of(now)),
            seen => seen,
        }
    }
}

/// The first day all of whose messages are kept: of those before, the youngest is older than so
/// many times 24 hours.
pub(in crate::store) fn first_kept(days: Option<u32>, now: Timestamp) -> Option<i64> {
    days.map(|days| day_of(now) - i64::from(days))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn at(day: i64) -> Timestamp {
        Timestamp(day * 86_400_000)
    }

    fn plan(messages_days: impl Into<Option<u32>>, bodies_days: impl Into<Option<u32>>) -> Plan {
        Plan::new(Retention {
            messages_days: messages_days.into(),
            bodies_days: bodies_days.into(),
            clock_leap_days_max: None,
        })
    }

    fn marks(looked: i64, done: i64) -> Marks {
        let seen = 0;
        Marks { looked, done, seen }
    }

    fn there(days: &[i64], looked: i64, done: i64) -> There {
        There {
            days: days.to_vec(),
            marks: marks(looked, done),
        }
    }

    #[test]
    fn a_day_goes_when_its_youngest_message_is_old_enough() {
        let plan = plan(90, None);
        let there = there(&[100, 101], 0, 0);
        let last = at(100) + DAY + 90 * DAY - Duration::from_millis(1);
        assert_eq!(plan.next(last, &there), None);
        let next = last + Duration::from_millis(1);
        assert_eq!(plan.next(next, &there), Some(Step::Drop(100)));
    }

    #[test]
    fn what_is_kept_for_good_is_never_due() {
        let there = there(&[1, 2, 3], 0, 0);
        assert_eq!(plan(None, None).next(at(100_000), &there), None);
        let texts = plan(None, 30).next(at(100_000), &there);
        assert_eq!(texts, Some(Step::Redact(1)));
    }

    #[test]
    fn a_day_that_is_held_lets_others_pass_and_is_looked_at_again() {
        let mut plan = plan(10, None);
        let there = there(&[1, 2], 0, 0);
        let now = at(20);
        plan.hold(1, now);
        assert_eq!(plan.next(now, &there), Some(Step::Drop(2)));
        plan.hold(2, now);
        assert_eq!((plan.next(now, &there), plan.held()), (None, 2));
        assert_eq!(plan.next(now + HELD_FOR, &there), Some(Step::Drop(1)));
        plan.dropped(1);
        assert_eq!(plan.held(), 1);
    }

    /// Does what is due until nothing is, with these days open; says which days were gone through.
    fn redact(plan: &mut Plan, there: &mut There, now: Timestamp, open: &[i64]) -> Vec<i64> {
        let mut seen = Vec::new();
        while let Some(Step::Redact(day)) = plan.next(now, there) {
            seen.push(day);
            there.marks = plan.redacted(day, open.contains(&day), now, there);
        }
        seen
    }

    #[test]
    fn texts_go_day_by_day_and_no_day_is_read_twice() {
        let mut plan = plan(90, 30);
        let mut there = there(&[10, 11, 15], 0, 0);
        assert_eq!(redact(&mut plan, &mut there, at(42), &[]), [10, 11]);
        assert_eq!(there.marks, marks(12, 12));
        assert_eq!(redact(&mut plan, &mut there, at(45), &[]), [] as [i64; 0]);
        assert_eq!(redact(&mut plan, &mut there, at(46), &[]), [15]);
    }

    #[test]
    fn what_was_open_is_looked_at_again_once_it_has_ended() {
        let mut plan = plan(90, 30);
        let mut there = there(&[10, 11, 12, 13], 0, 0);
        let now = at(43);
        assert_eq!(redact(&mut plan, &mut there, now, &[11]), [10, 11, 12]);
        assert_eq!(there.marks, marks(13, 11));
        assert_eq!(plan.next(now, &there), None);
        // Still open: the day holds up those behind it, which were looked at meanwhile.
        let later = now + HELD_FOR;
        assert_eq!(redact(&mut plan, &mut there, later, &[11]), [11]);
        assert_eq!(there.marks, marks(13, 11));
        let ended = later + HELD_FOR;
        assert_eq!(redact(&mut plan, &mut there, ended, &[]), [11, 12]);
        assert_eq!(there.marks, marks(13, 13));
    }

    #[test]
    fn days_that_were_dropped_hold_nothing_up() {
        let mut plan = plan(90, 30);
        let mut there = there(&[50], 13, 11);
        assert_eq!(redact(&mut plan, &mut there, at(81), &[]), [50]);
        assert_eq!(there.marks, marks(51, 51));
    }
}
