//! Lives here: what profiles work out of the ledger's entries. Pure.
//! Never here: targets.

use crate::ledger::Entry;

/// How long each accepted entry waited for its submit_sm, sorted, in microseconds. What has not been submitted at
/// `until_us` has waited until then.
pub(super) fn waits(entries: impl Iterator<Item = Entry>, until_us: u64) -> Vec<u64> {
    let mut waits: Vec<u64> = entries
        .filter_map(|entry| {
            let unsubmitted = until_us.saturating_sub(entry.accepted_us?);
            Some(entry.waited_us().unwrap_or(unsubmitted))
        })
        .collect();
    waits.sort_unstable();
    waits
}

/// The quantile of sorted microseconds, in milliseconds; not a number when there are none.
pub(super) fn quantile_ms(sorted: &[u64], quantile: f64) -> f64 {
    let rank = (sorted.len() as f64 * quantile).ceil() as usize;
    sorted
        .get(rank.max(1) - 1)
        .map_or(f64::NAN, |micros| *micros as f64 / 1000.0)
}

/// The 99th percentile of each slice of time (by accept), and of these the median: one stall of the machine moves
/// one slice and not the result.
pub(super) fn sliced_p99_ms(
    entries: impl Iterator<Item = Entry>,
    slice_us: u64,
    until_us: u64,
) -> f64 {
    let mut slices: std::collections::BTreeMap<u64, Vec<Entry>> = Default::default();
    for entry in entries {
        if let Some(accepted) = entry.accepted_us {
            slices.entry(accepted / slice_us).or_default().push(entry);
        }
    }
    let fullest = slices.values().map(Vec::len).max().unwrap_or(0);
    let mut p99s: Vec<f64> = slices
        .into_values()
        // The first and the last slice are cut short.
        .filter(|slice| slice.len() * 2 > fullest)
        .map(|slice| quantile_ms(&waits(slice.into_iter(), until_us), 0.99))
        .collect();
    p99s.sort_by(f64::total_cmp);
    p99s.get(p99s.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Entries whose first submit_sm came at `from_us` or later and before `until_us`.
pub(super) fn submitted_between(
    entries: impl Iterator<Item = Entry>,
    from_us: u64,
    until_us: u64,
) -> u64 {
    let within = |entry: &Entry| {
        let submitted = entry.submitted;
        submitted.is_some_and(|(at, _)| (from_us..until_us).contains(&at))
    };
    entries.filter(within).count() as u64
}

/// When the first and the last of these were submitted.
pub(super) fn submit_span(entries: impl Iterator<Item = Entry>) -> Option<(u64, u64)> {
    entries
        .filter_map(|entry| Some(entry.submitted?.0))
        .fold(None, |span, at| {
            let (first, last) = span.unwrap_or((at, at));
            Some((first.min(at), last.max(at)))
        })
}

/// Entries that were submitted behind one whose marker is larger by more than `slack`, which is what may be under way
/// at the same time.
pub(super) fn overtaken(entries: impl Iterator<Item = Entry>, slack: u64) -> u64 {
    let mut order: Vec<(u64, u64)> = entries
        .filter_map(|entry| Some((entry.submitted?.1, entry.marker)))
        .collect();
    order.sort_unstable();
    let mut furthest = 0;
    let mut count = 0;
    for (_, marker) in order {
        count += u64::from(marker.saturating_add(slack) < furthest);
        furthest = furthest.max(marker);
    }
    count
}

/// Jain's index of fairness: 1 when all have the same, 1/n when one has everything.
pub(super) fn jain(shares: &[f64]) -> f64 {
    let sum: f64 = shares.iter().sum();
    let squares: f64 = shares.iter().map(|share| share * share).sum();
    sum * sum / (shares.len() as f64 * squares)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn entry(marker: u64, accepted: u64, submitted: Option<(u64, u64)>) -> Entry {
        Entry {
            marker,
            id: Uuid::nil(),
            accepted_us: Some(accepted),
            submitted,
            submits: u32::from(submitted.is_some()),
            receipts: 0,
        }
    }

    #[test]
    fn what_was_never_submitted_has_waited_until_now() {
        let entries = [entry(0, 100, Some((350, 0))), entry(1, 100, None)];
        assert_eq!(waits(entries.into_iter(), 10_100), vec![250, 10_000]);
        assert_eq!(quantile_ms(&[1_000, 2_000], 0.99), 2.0);
        assert_eq!(quantile_ms(&[1_000, 2_000], 0.5), 1.0);
        assert!(quantile_ms(&[], 0.99).is_nan());
    }

    #[test]
    fn one_stall_moves_one_slice_and_not_the_median() {
        let quick = (0..300).map(|n| entry(n, n * 10, Some((n * 10 + 50, n))));
        let stalled = quick.map(|mut entry| {
            if entry.marker < 100 {
                entry.submitted = Some((1_000_000, 0));
            }
            entry
        });
        assert_eq!(sliced_p99_ms(stalled, 1_000, 0), 0.05);
    }

    #[test]
    fn only_those_passed_by_more_than_the_slack_are_overtaken() {
        let order = [0, 3, 1, 2, 9, 4];
        let entries = || {
            (0..)
                .zip(order)
                .map(|(place, m)| entry(m, 0, Some((0, place))))
        };
        assert_eq!(overtaken(entries(), 0), 3);
        assert_eq!(overtaken(entries(), 2), 1);
        assert_eq!(overtaken(entries(), 5), 0);
    }

    #[test]
    fn jain_is_one_for_equals_and_a_tenth_for_one_of_ten() {
        assert!((jain(&[3.0; 10]) - 1.0).abs() < 1e-9);
        let mut one = [0.0; 10];
        one[4] = 7.0;
        assert!((jain(&one) - 0.1).abs() < 1e-9);
        assert!(jain(&[]).is_nan());
    }

    #[test]
    fn a_span_of_time_holds_its_beginning_and_not_its_end() {
        let entries = || (0..10).map(|n| entry(n, 0, Some((n * 10, n))));
        assert_eq!(submitted_between(entries(), 20, 50), 3);
        assert_eq!(submit_span(entries()), Some((0, 90)));
        assert_eq!(submit_span(std::iter::empty()), None);
    }
}
