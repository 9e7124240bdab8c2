//! Lives here: what share of each account's receipts finds no message, over a sliding window, and
//! when that is reason for an alarm. Pure: a receipt counts when it comes; whether it was matched is
//! asked a moment later, because receipts outrun responses.
//! Never here: the store that knows, the metrics, the log.

use std::collections::VecDeque;
use std::time::Duration;

use crate::domain::ids::CarrierIndex;
use crate::domain::time::Timestamp;

/// The length of one slice of the window, milliseconds.
const SLICE_MS: i64 = 10_000;

/// How long after its end a slice is judged: the time that responses, late ones included, usually
/// have.
const GRACE: Duration = Duration::from_secs(30);

/// Slices of the window: ten minutes.
const WINDOW: usize = 60;

/// Fewer receipts say nothing of an account.
const RECEIPTS_MIN: u64 = 50;

/// One or two strangers are no pattern.
const UNMATCHED_MIN: u64 = 5;

/// How an account's receipts fare.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Standing {
    /// Which account.
    pub(super) carrier: CarrierIndex,
    /// Unmatched receipts in the slice just judged.
    pub(super) unmatched: u64,
    /// Unmatched among all of the window, 0 to 1.
    pub(super) ratio: f64,
    /// Whether that is too much.
    pub(super) alarm: bool,
    /// Whether it has just become so.
    pub(super) raised: bool,
}

/// A span of time whose unmatched receipts are to be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Due {
    /// Its begin, inclusive.
    pub(super) from: Timestamp,
    /// Its end, exclusive.
    pub(super) until: Timestamp,
    /// Whether any of its receipts was parked; otherwise all were matched.
    pub(super) parked: bool,
}

#[derive(Debug)]
struct Slice {
    number: i64,
    receipts: Vec<u64>,
    unmatched: Vec<u64>,
    parked: bool,
    judged: bool,
}

/// The shares of all accounts.
#[derive(Debug)]
pub(super) struct Share {
    accounts: usize,
    percent: u32,
    slices: VecDeque<Slice>,
    alarms: Vec<bool>,
}

impl Share {
    /// Shares of so many accounts; the alarm is raised above `percent`, 0 = never.
    pub(super) fn new(accounts: usize, percent: u32) -> Self {
        Self {
            accounts,
            percent,
            slices: VecDeque::with_capacity(WINDOW + 8),
            alarms: vec![false; accounts],
        }
    }

    /// A receipt has come. One of a slice that was never opened or is judged already is not counted.
    pub(super) fn count(&mut self, carrier: CarrierIndex, at: Timestamp, parked: bool) {
        let number = at.0.div_euclid(SLICE_MS);
        if self.slices.back().is_none_or(|last| last.number < number) {
            self.slices.push_back(Slice {
                number,
                receipts: vec![0; self.accounts],
                unmatched: vec![0; self.accounts],
                parked: false,
                judged: false,
            });
        }
        let slice = self.slices.iter_mut().rev();
        let slice = slice
            .take_while(|slice| !slice.judged)
            .find(|slice| slice.number <= number);
        if let Some(slice) = slice
            && let Some(receipts) = slice.receipts.get_mut(carrier.index())
        {
            *receipts += 1;
            slice.parked |= parked;
        }
    }

    /// The next slice whose time to be judged has come.
    pub(super) fn due(&self, now: Timestamp) -> Option<Due> {
        let slice = self.slices.iter().find(|slice| !slice.judged)?;
        let until = Timestamp((slice.number + 1) * SLICE_MS);
        (until + GRACE <= now).then_some(Due {
            from: Timestamp(slice.number * SLICE_MS),
            until,
            parked: slice.parked,
        })
    }

    /// Judges the slice that was due, by the receipts of it that are still unmatched; says how all
    /// accounts stand.
    pub(super) fn judge(
        &mut self,
        now: Timestamp,
        unmatched: &[(CarrierIndex, u64)],
    ) -> Vec<Standing> {
        if let Some(slice) = self.slices.iter_mut().find(|slice| !slice.judged) {
            slice.judged = true;
            for (carrier, count) in unmatched {
                if let Some(place) = slice.unmatched.get_mut(carrier.index()) {
                    *place = *count;
                }
            }
        }
        let mut standings = self.stand(now);
        for (carrier, count) in unmatched {
            if let Some(standing) = standings.get_mut(carrier.index()) {
                standing.unmatched = *count;
            }
        }
        standings
    }

    /// How all accounts stand now that time has passed; for when no receipt comes any more.
    pub(super) fn stand(&mut self, now: Timestamp) -> Vec<Standing> {
        let window = i64::try_from(WINDOW).unwrap_or(i64::MAX);
        let oldest = now.0.div_euclid(SLICE_MS).saturating_sub(window);
        while self
            .slices
            .front()
            .is_some_and(|first| first.judged && first.number < oldest)
        {
            self.slices.pop_front();
        }
        (0..self.accounts)
            .map(|account| {
                let judged = || self.slices.iter().filter(|slice| slice.judged);
                let receipts: u64 = judged().map(|slice| slice.receipts[account]).sum();
                let unmatched: u64 = judged().map(|slice| slice.unmatched[account]).sum();
                let alarm = self.percent > 0
                    && receipts >= RECEIPTS_MIN
                    && unmatched >= UNMATCHED_MIN
                    && unmatched * 100 > u64::from(self.percent) * receipts;
                let before = std::mem::replace(&mut self.alarms[account], alarm);
                Standing {
                    carrier: CarrierIndex(u16::try_from(account).unwrap_or(u16::MAX)),
                    unmatched: 0,
                    ratio: (unmatched as f64 / receipts.max(1) as f64).min(1.0),
                    alarm,
                    raised: alarm && !before,
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: CarrierIndex = CarrierIndex(0);
    const TWO: CarrierIndex = CarrierIndex(1);

    fn at(seconds: i64) -> Timestamp {
        Timestamp(1_000_000_000_000 + seconds * 1000)
    }

    /// Counts so many receipts in a slice, then judges it with so many unmatched.
    fn slice(share: &mut Share, begin: i64, receipts: u64, unmatched: u64) -> Standing {
        for _ in 0..receipts {
            share.count(ONE, at(begin), true);
        }
        let now = at(begin + 41);
        assert!(share.due(now).is_some());
        share.judge(now, &[(ONE, unmatched)])[0]
    }

    #[test]
    fn nothing_is_judged_before_the_responses_had_their_time() {
        let mut share = Share::new(1, 1);
        share.count(ONE, at(0), false);
        assert_eq!(share.due(at(39)), None);
        let due = share.due(at(40)).unwrap();
        assert_eq!((due.from, due.until, due.parked), (at(0), at(10), false));
    }

    #[test]
    fn the_alarm_is_raised_once_and_falls_with_the_share() {
        let mut share = Share::new(1, 1);
        let first = slice(&mut share, 0, 1000, 10);
        assert!(!first.alarm, "1 % is not above 1 %");
        let second = slice(&mut share, 10, 1000, 20);
        assert!(second.alarm && second.raised);
        assert!((second.ratio - 0.015).abs() < 1e-9);
        let third = slice(&mut share, 20, 1000, 10);
        assert!(third.alarm && !third.raised);
        let fourth = slice(&mut share, 30, 10_000, 0);
        assert!(!fourth.alarm && !fourth.raised);
        let again = slice(&mut share, 40, 1000, 900);
        assert!(again.raised);
    }

    #[test]
    fn few_receipts_and_single_strangers_are_no_alarm() {
        let mut share = Share::new(1, 1);
        assert!(!slice(&mut share, 0, 40, 40).alarm);
        let mut share = Share::new(1, 1);
        assert!(!slice(&mut share, 0, 60, 4).alarm);
        assert!(slice(&mut share, 10, 60, 1).alarm);
    }

    #[test]
    fn a_threshold_of_zero_never_alarms() {
        let mut share = Share::new(1, 0);
        assert!(!slice(&mut share, 0, 1000, 1000).alarm);
    }

    #[test]
    fn the_window_slides_even_when_nothing_comes_any_more() {
        let mut share = Share::new(2, 1);
        for _ in 0..100 {
            share.count(TWO, at(0), true);
        }
        assert!(share.judge(at(41), &[(TWO, 100)])[1].alarm);
        assert!(!share.judge(at(41), &[])[0].alarm);
        assert!(share.stand(at(599))[1].alarm);
        assert!(!share.stand(at(620))[1].alarm);
        assert!(share.slices.is_empty());
    }

    #[test]
    fn a_receipt_that_was_stamped_a_moment_ago_counts_in_its_own_slice() {
        let mut share = Share::new(1, 1);
        share.count(ONE, at(8), false);
        share.count(ONE, at(12), false);
        share.count(ONE, at(9), true);
        assert!(share.due(at(60)).unwrap().parked);
        share.judge(at(60), &[]);
        assert!(!share.due(at(60)).unwrap().parked);
    }
}
