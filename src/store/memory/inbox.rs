//! Lives here: the model's receipts without an attempt: parked, in quarantine, gone.
//! Never here: finding their attempts.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::once;
use super::tables::{InboxKey, InboxMark, InboxReceipt, Tables, inbox_key};
use crate::domain::ids::{CarrierId, CarrierIndex, ReceiptKey};
use crate::domain::receipt::Receipt;
use crate::domain::time::Timestamp;
use crate::store::Carriers;
use crate::store::inbox::{Inbox, InboxPage, InboxRow, Keeping, Kept, Match};
use crate::store::rows::Recipient;

const FIRST: Timestamp = Timestamp(i64::MIN);
const LAST: Timestamp = Timestamp(i64::MAX);
const PARKED: std::ops::RangeInclusive<InboxMark> =
    InboxMark::Parked(FIRST)..=InboxMark::Parked(LAST);
const QUARANTINE: std::ops::RangeInclusive<InboxMark> =
    InboxMark::Quarantine(FIRST, FIRST)..=InboxMark::Quarantine(LAST, LAST);

impl Tables {
    pub(super) fn parked_keys(&self) -> HashSet<ReceiptKey> {
        self.inbox
            .marked(PARKED)
            .map(|row| row.receipt.key)
            .collect()
    }

    pub(super) fn park(&mut self, receipts: &[&Receipt]) {
        once(receipts, |receipt| inbox_key(receipt));
        for receipt in receipts {
            let row = InboxReceipt {
                receipt: Receipt::clone(receipt),
                quarantined_at: None,
            };
            let in_quarantine = |row: &InboxReceipt| row.quarantined_at.is_some();
            if !self.inbox.insert(row) {
                self.inbox
                    .change(&inbox_key(receipt), in_quarantine, |row| {
                        row.receipt.received_at = receipt.received_at;
                        row.quarantined_at = None;
                    });
            }
        }
    }

    pub(super) fn unpark(&mut self, keys: &[ReceiptKey]) -> Vec<Receipt> {
        let mut taken = Vec::new();
        for key in keys {
            let mark = InboxMark::Key(*key);
            let found = self.inbox.keys(mark.clone()..=mark);
            taken.extend(found.iter().filter_map(|key| self.inbox.remove(key)));
        }
        in_order(taken.iter().map(|row| &row.receipt))
    }

    pub(super) fn orphans(&self, recipients: &[Recipient]) -> Vec<Receipt> {
        let mut found = Vec::new();
        for (carrier, to) in recipients.iter().collect::<HashSet<_>>() {
            let mark = InboxMark::Recipient(Arc::clone(&carrier.0), to.digits().into());
            found.extend(self.inbox.marked(mark.clone()..=mark));
        }
        in_order(found.into_iter().map(|row| &row.receipt))
    }

    pub(super) fn orphaned(&self, from: Timestamp, until: Timestamp) -> HashSet<Recipient> {
        if from > until {
            return HashSet::new();
        }
        let span = InboxMark::Parked(from)..=InboxMark::Parked(until);
        let parked = self.inbox.marked(span).map(|row| &row.receipt);
        parked
            .filter_map(|receipt| Some((receipt.carrier.clone(), receipt.evidence.recipient?)))
            .collect()
    }

    pub(super) fn keep_inbox(&mut self, keeping: &Keeping) -> Kept {
        let aged = InboxMark::Parked(keeping.at - keeping.parked_ttl);
        let mut quarantined = self.inbox.keys(InboxMark::Parked(FIRST)..aged);
        self.quarantine(&quarantined, keeping.at);
        let spare = self.oldest_beyond(PARKED, keeping.parked_max);
        self.quarantine(&spare, keeping.at);
        quarantined.extend(spare);

        let aged = InboxMark::Quarantine(keeping.at - keeping.quarantine_ttl, FIRST);
        let mut dropped = self.inbox.keys(InboxMark::Quarantine(FIRST, FIRST)..aged);
        self.drop_receipts(&dropped);
        let spare = self.oldest_beyond(QUARANTINE, keeping.quarantine_max);
        self.drop_receipts(&spare);
        dropped.extend(spare);
        Kept {
            quarantined: quarantined.len() as u64,
            dropped: dropped.len() as u64,
        }
    }

    fn oldest_beyond(&self, half: std::ops::RangeInclusive<InboxMark>, max: u32) -> Vec<InboxKey> {
        let mut keys = self.inbox.keys(half);
        keys.truncate(keys.len().saturating_sub(max as usize));
        keys
    }

    fn quarantine(&mut self, keys: &[InboxKey], at: Timestamp) {
        for key in keys {
            let quarantined = |row: &mut InboxReceipt| row.quarantined_at = Some(at);
            self.inbox.change(key, |_| true, quarantined);
        }
    }

    fn drop_receipts(&mut self, keys: &[InboxKey]) {
        for key in keys {
            self.inbox.remove(key);
        }
    }

    pub(super) fn discard(&mut self, carrier: &CarrierId, before: Timestamp) -> u64 {
        let seen_enough =
            |receipt: &Receipt| receipt.carrier == *carrier && receipt.received_at < before;
        let rows = self.inbox.marked(QUARANTINE);
        let gone = rows.filter(|row| seen_enough(&row.receipt));
        let gone: Vec<InboxKey> = gone.map(|row| inbox_key(&row.receipt)).collect();
        self.drop_receipts(&gone);
        gone.len() as u64
    }

    pub(super) fn take_matched(&mut self, matches: &[Match]) -> Vec<bool> {
        let keys: Vec<InboxKey> = matches.iter().map(|one| inbox_key(&one.receipt)).collect();
        let there = |key: &InboxKey| self.inbox.get(key).is_some();
        let there = keys.iter().map(there).collect();
        self.drop_receipts(&keys);
        there
    }

    pub(super) fn inbox_page(&self, page: &InboxPage) -> Vec<InboxRow> {
        let half = match page.inbox {
            Inbox::Parked => PARKED,
            Inbox::Quarantine => QUARANTINE,
        };
        let of = |carrier: &CarrierId| page.carrier.as_ref().is_none_or(|of| of == carrier);
        self.inbox
            .marked(half)
            .rev()
            .filter(|row| row.receipt.received_at >= page.since && of(&row.receipt.carrier))
            .skip(page.offset as usize)
            .take(page.limit as usize)
            .map(shown)
            .collect()
    }

    pub(super) fn unmatched(
        &self,
        carriers: &Carriers,
        from: Timestamp,
        until: Timestamp,
    ) -> Vec<(CarrierIndex, u64)> {
        let mut counts: BTreeMap<CarrierIndex, u64> = BTreeMap::new();
        for row in self.inbox.all() {
            let came = (from..until).contains(&row.receipt.received_at);
            let early = row.quarantined_at.is_none_or(|since| since >= from);
            if let Some(carrier) = carriers
                .index(&row.receipt.carrier.0)
                .filter(|_| came && early)
            {
                *counts.entry(carrier).or_default() += 1;
            }
        }
        counts.into_iter().collect()
    }

    pub(super) fn inbox_since(
        &self,
        carrier: &CarrierId,
        since: Timestamp,
        limit: u32,
    ) -> Vec<Receipt> {
        let receipts = self.inbox.all().map(|row| &row.receipt);
        let mut found =
            in_order(receipts.filter(|one| one.carrier == *carrier && one.received_at >= since));
        found.truncate(limit as usize);
        found
    }
}

/// By the time at which they came, those of one millisecond by what they are called.
fn in_order<'a>(receipts: impl Iterator<Item = &'a Receipt>) -> Vec<Receipt> {
    let mut receipts: Vec<Receipt> = receipts.cloned().collect();
    receipts.sort_by_cached_key(|receipt| (receipt.received_at, inbox_key(receipt)));
    receipts
}

fn shown(row: &InboxReceipt) -> InboxRow {
    let receipt = row.receipt.clone();
    let recipient = receipt.evidence.recipient;
    InboxRow {
        carrier: receipt.carrier,
        raw_id: receipt.raw_id,
        normalised: receipt.normalised,
        state: receipt.state,
        stat: receipt.stat,
        err: receipt.err,
        done_date: receipt.done_date,
        recipient: recipient.map(|to| to.masked().into()),
        received_at: receipt.received_at,
        quarantined_at: row.quarantined_at,
    }
}
