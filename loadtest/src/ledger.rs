//! Lives here: what happened to each marked message, written lock-free by generator and simulators, and the
//! comparison of the two sides. Never here: sockets, or how the figures are printed.

use std::{
    ops::Range,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
    time::Instant,
};

use hdrhistogram::Histogram;
use uuid::Uuid;

use crate::{
    marker,
    smsc::{Fate, Observer, Submit},
};

/// Digits of a marker that make the number it goes to, on each of the networks.
const SUBSCRIBER_DIGITS: usize = 7;

/// One row per marker, preallocated: about 56 octets each. All times are microseconds since the ledger was made.
pub struct Ledger {
    epoch: Instant,
    rows: Vec<Row>,
    submits: AtomicU64,
    submitted: AtomicU64,
    unmarked: AtomicU64,
    misdirected: AtomicU64,
    receipts: AtomicU64,
    receipted: AtomicU64,
    last_submit_us: AtomicU64,
    last_receipt_us: AtomicU64,
}

#[derive(Default)]
struct Row {
    /// Time of the 201, plus one so that 0 means "none".
    accepted_us: AtomicU64,
    /// Time of the first accepted submit_sm, plus one.
    submitted_us: AtomicU64,
    id_high: AtomicU64,
    id_low: AtomicU64,
    /// Place of the first accepted submit_sm among all of them, from 0.
    place: AtomicU64,
    submits: AtomicU32,
    receipts: AtomicU32,
}

/// What is known of one marker. Times are microseconds on the ledger's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The marker.
    pub marker: u64,
    /// The id of its 201; nil without one.
    pub id: Uuid,
    /// When the 201 came.
    pub accepted_us: Option<u64>,
    /// When the first submit_sm was accepted, and its place among those of all markers.
    pub submitted: Option<(u64, u64)>,
    /// submit_sm accepted.
    pub submits: u32,
    /// Receipts acknowledged.
    pub receipts: u32,
}

impl Entry {
    /// From the 201 to the submit_sm, in microseconds; 0 when the submit_sm was first.
    pub fn waited_us(&self) -> Option<u64> {
        Some(self.submitted?.0.saturating_sub(self.accepted_us?))
    }
}

/// What is known of the webhooks of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notified {
    /// All that should come have come.
    pub complete: bool,
    /// One came twice under different ids.
    pub doubled: bool,
}

impl Notified {
    /// For a run without webhooks.
    pub const NOT_EXPECTED: Self = Self {
        complete: true,
        doubled: false,
    };
}

/// What the comparison of every 201 with every submit and receipt found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// 201s seen.
    pub accepted: u64,
    /// Accepted markers that the simulators never took.
    pub never_submitted: u64,
    /// Markers that the simulators took more than once.
    pub submitted_twice: u64,
    /// Markers taken though no 201 was seen: the request was in doubt, or was refused and sent all the same.
    pub submitted_unaccepted: u64,
    /// Accepted markers whose receipt the daemon never acknowledged.
    pub never_receipted: u64,
    /// Accepted markers whose webhooks did not all arrive.
    pub never_notified: u64,
    /// Accepted markers to which at least one of the three losses applies.
    pub lost: u64,
    /// Accepted markers with a webhook that came twice under different ids.
    pub notified_twice: u64,
    /// Markers submitted or notified twice, each counted once.
    pub duplicated: u64,
}

/// Totals so far; cheap enough to poll.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Marked submit_sm the simulators accepted, repeats included.
    pub submits: u64,
    /// Distinct markers among them.
    pub submitted: u64,
    /// Accepted submit_sm without a readable marker, or with one outside the ledger.
    pub unmarked: u64,
    /// Marked submit_sm to a number that does not end in the digits of its marker.
    pub misdirected: u64,
    /// Distinct markers whose receipt was acknowledged by the daemon.
    pub receipted: u64,
    /// When the last submit arrived.
    pub last_submit_us: u64,
    /// When the last receipt was acknowledged.
    pub last_receipt_us: u64,
}

impl Ledger {
    /// A ledger for the markers `0..size`.
    pub fn new(size: usize) -> Self {
        let mut rows = Vec::with_capacity(size);
        rows.resize_with(size, Row::default);
        Self {
            epoch: Instant::now(),
            rows,
            submits: AtomicU64::new(0),
            submitted: AtomicU64::new(0),
            unmarked: AtomicU64::new(0),
            misdirected: AtomicU64::new(0),
            receipts: AtomicU64::new(0),
            receipted: AtomicU64::new(0),
            last_submit_us: AtomicU64::new(0),
            last_receipt_us: AtomicU64::new(0),
        }
    }

    /// Number of markers the ledger can hold.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True for a ledger of no markers.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// `at` on the ledger's clock, in microseconds; 0 for an instant before it was made.
    pub fn micros(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.epoch).as_micros()).unwrap_or(u64::MAX)
    }

    /// Records the 201 for `marker`.
    pub fn accept(&self, marker: u64, id: Uuid, at: Instant) {
        let Some(row) = self.row(marker) else { return };
        let (high, low) = id.as_u64_pair();
        row.id_high.store(high, Ordering::Relaxed);
        row.id_low.store(low, Ordering::Relaxed);
        row.accepted_us
            .store(self.micros(at) + 1, Ordering::Release);
    }

    /// Totals over all markers.
    pub fn totals(&self) -> Totals {
        Totals {
            submits: self.submits.load(Ordering::Relaxed),
            submitted: self.submitted.load(Ordering::Relaxed),
            unmarked: self.unmarked.load(Ordering::Relaxed),
            misdirected: self.misdirected.load(Ordering::Relaxed),
            receipted: self.receipted.load(Ordering::Relaxed),
            last_submit_us: self.last_submit_us.load(Ordering::Relaxed),
            last_receipt_us: self.last_receipt_us.load(Ordering::Relaxed),
        }
    }

    /// What is known of each of `markers`, as far as the ledger reaches.
    pub fn entries(&self, markers: Range<u64>) -> impl Iterator<Item = Entry> + '_ {
        let at = |marker| usize::try_from(marker).unwrap_or(usize::MAX);
        let end = at(markers.end).min(self.rows.len());
        let rows = &self.rows[at(markers.start).min(end)..end];
        rows.iter()
            .zip(markers)
            .map(|(row, marker)| row.entry(marker))
    }

    /// Compares both sides for `markers`. `receipts` says whether every message should have one, and
    /// `notified` what came of the webhooks of a message id.
    pub fn compare(
        &self,
        markers: Range<u64>,
        receipts: bool,
        notified: impl Fn(Uuid) -> Notified,
    ) -> Comparison {
        let mut found = Comparison::default();
        for entry in self.entries(markers) {
            let twice = entry.submits > 1;
            found.submitted_twice += u64::from(twice);
            if entry.accepted_us.is_none() {
                found.submitted_unaccepted += u64::from(entry.submits > 0);
                found.duplicated += u64::from(twice);
                continue;
            }
            let unsubmitted = entry.submits == 0;
            let unreceipted = receipts && entry.receipts == 0;
            let webhooks = notified(entry.id);
            let unnotified = !webhooks.complete;
            found.notified_twice += u64::from(webhooks.doubled);
            found.duplicated += u64::from(twice || webhooks.doubled);
            found.accepted += 1;
            found.never_submitted += u64::from(unsubmitted);
            found.never_receipted += u64::from(unreceipted);
            found.never_notified += u64::from(unnotified);
            found.lost += u64::from(unsubmitted || unreceipted || unnotified);
        }
        found
    }

    /// From the 201 arriving at the client to the submit_sm arriving at the simulator, in microseconds. A submit that
    /// overtook its own 201 counts as 0.
    pub fn accept_to_submit(&self, markers: Range<u64>) -> Histogram<u64> {
        let mut histogram = latency_histogram();
        for waited in self.entries(markers).filter_map(|entry| entry.waited_us()) {
            histogram.saturating_record(waited);
        }
        histogram
    }

    fn row(&self, marker: u64) -> Option<&Row> {
        self.rows.get(usize::try_from(marker).ok()?)
    }
}

impl Row {
    fn entry(&self, marker: u64) -> Entry {
        // The times are written last and read first: what they vouch for is there.
        let since = |time: &AtomicU64| time.load(Ordering::Acquire).checked_sub(1);
        let (accepted_us, submitted_us) = (since(&self.accepted_us), since(&self.submitted_us));
        Entry {
            marker,
            id: Uuid::from_u64_pair(
                self.id_high.load(Ordering::Relaxed),
                self.id_low.load(Ordering::Relaxed),
            ),
            accepted_us,
            submitted: submitted_us.map(|at| (at, self.place.load(Ordering::Relaxed))),
            submits: self.submits.load(Ordering::Acquire),
            receipts: self.receipts.load(Ordering::Acquire),
        }
    }
}

impl Observer for Ledger {
    fn submit(&self, submit: &Submit<'_>) -> u64 {
        if !matches!(submit.fate, Fate::Accepted) || submit.part > 1 {
            return u64::MAX;
        }
        let found = if submit.data_coding == 0x08 {
            marker::read_marker_ucs2(submit.text)
        } else {
            marker::read_marker(submit.text)
        };
        let Some((marker, row)) = found.and_then(|marker| Some((marker, self.row(marker)?))) else {
            self.unmarked.fetch_add(1, Ordering::Relaxed);
            return u64::MAX;
        };
        let mut subscriber = [0; SUBSCRIBER_DIGITS];
        marker::write_digits(marker, &mut subscriber);
        if !submit.dest.ends_with(&subscriber) {
            self.misdirected.fetch_add(1, Ordering::Relaxed);
        }
        let at = self.micros(submit.at);
        if row.submits.fetch_add(1, Ordering::AcqRel) == 0 {
            let place = self.submitted.fetch_add(1, Ordering::Relaxed);
            row.place.store(place, Ordering::Relaxed);
            row.submitted_us.store(at + 1, Ordering::Release);
        }
        self.submits.fetch_add(1, Ordering::Relaxed);
        self.last_submit_us.fetch_max(at, Ordering::Relaxed);
        marker
    }

    fn receipt_acknowledged(&self, tag: u64, at: Instant) {
        let Some(row) = self.row(tag) else { return };
        self.receipts.fetch_add(1, Ordering::Relaxed);
        if row.receipts.fetch_add(1, Ordering::AcqRel) == 0 {
            self.receipted.fetch_add(1, Ordering::Relaxed);
        }
        self.last_receipt_us
            .fetch_max(self.micros(at), Ordering::Relaxed);
    }
}

/// A histogram for latencies in microseconds, 1 µs to 10 minutes, three digits.
pub fn latency_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 600_000_000, 3)
        .expect("constant bounds that the crate documents as legal")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn submit(ledger: &Ledger, text: &[u8], after: Duration) -> u64 {
        ledger.submit(&Submit {
            system_id: "mnara",
            source: b"MNARA",
            dest: b"255750000001",
            text,
            data_coding: 0,
            reference: None,
            part: 1,
            parts: 1,
            registered_delivery: 1,
            message_id: "1",
            fate: Fate::Accepted,
            at: ledger.epoch + after,
        })
    }

    #[test]
    fn the_comparison_finds_lost_doubled_and_unaccepted_markers() {
        let ledger = Ledger::new(5);
        for marker in 0..4 {
            ledger.accept(marker, Uuid::from_u128(u128::from(marker)), ledger.epoch);
        }
        for text in [
            &b"#000000000 a"[..],
            b"#000000001 b",
            b"#000000001 b",
            b"#000000002 c",
            b"#000000004 e",
        ] {
            submit(&ledger, text, Duration::ZERO);
        }
        ledger.receipt_acknowledged(0, ledger.epoch);
        ledger.receipt_acknowledged(1, ledger.epoch);
        let found = ledger.compare(0..5, true, |id| Notified {
            complete: id.as_u128() != 1,
            doubled: id.as_u128() <= 1,
        });
        let expected = Comparison {
            accepted: 4,
            never_submitted: 1,
            submitted_twice: 1,
            submitted_unaccepted: 1,
            never_receipted: 2,
            never_notified: 1,
            lost: 3,
            notified_twice: 2,
            duplicated: 2,
        };
        assert_eq!(found, expected);
        assert_eq!(ledger.totals().submitted, 4);
        assert_eq!(ledger.totals().submits, 5);
        assert_eq!(
            ledger.compare(0..5, false, |_| Notified::NOT_EXPECTED).lost,
            1
        );
    }

    #[test]
    fn the_warm_up_is_left_out_of_the_comparison() {
        let ledger = Ledger::new(3);
        ledger.accept(0, Uuid::nil(), ledger.epoch);
        ledger.accept(2, Uuid::max(), ledger.epoch);
        submit(&ledger, b"#000000002 x", Duration::ZERO);
        let found = ledger.compare(1..3, false, |id| Notified {
            complete: id == Uuid::max(),
            doubled: false,
        });
        assert_eq!((found.accepted, found.lost), (1, 0));
    }

    #[test]
    fn a_submit_that_overtakes_its_201_counts_as_no_delay() {
        let ledger = Ledger::new(2);
        submit(&ledger, b"#000000000 x", Duration::from_micros(10));
        ledger.accept(0, Uuid::nil(), ledger.epoch + Duration::from_micros(50));
        ledger.accept(1, Uuid::nil(), ledger.epoch + Duration::from_micros(50));
        submit(&ledger, b"#000000001 x", Duration::from_micros(450));
        let histogram = ledger.accept_to_submit(0..2);
        assert_eq!(
            (histogram.len(), histogram.min(), histogram.max()),
            (2, 0, 400)
        );
    }

    #[test]
    fn a_marker_at_another_number_is_misdirected() {
        let ledger = Ledger::new(3);
        for text in [&b"#000000001 x"[..], b"#000000002 x"] {
            submit(&ledger, text, Duration::ZERO);
        }
        assert_eq!(ledger.totals().submits, 2);
        assert_eq!(ledger.totals().misdirected, 1);
    }

    #[test]
    fn foreign_texts_are_counted_and_do_not_disturb_a_row() {
        let ledger = Ledger::new(1);
        assert_eq!(
            submit(&ledger, b"hello there you", Duration::ZERO),
            u64::MAX
        );
        assert_eq!(
            submit(&ledger, b"#000000009 beyond", Duration::ZERO),
            u64::MAX
        );
        assert_eq!(ledger.totals().unmarked, 2);
        ledger.receipt_acknowledged(u64::MAX, ledger.epoch);
        assert_eq!(ledger.totals().receipted, 0);
    }
}
