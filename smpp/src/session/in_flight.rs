//! Lives here: the window: requests of ours that wait for an answer, by sequence number and by age.
//! Never here: what an answer means, and requests that have expired (`late`).

use std::time::Instant;

use crate::codec::CommandId;

/// End of the age list.
const NIL: u32 = u32::MAX;

/// One outstanding request.
pub(super) struct Entry<T> {
    pub(super) sequence: u32,
    pub(super) command: CommandId,
    pub(super) sent: Instant,
    pub(super) token: T,
    octets: usize,
    older: u32,
    newer: u32,
}

/// A ring of slots addressed by `sequence & mask`, threaded by a list in order of sending.
///
/// Insert, find, remove and "which is the oldest" take constant time and no allocation. The ring has at least twice
/// as many slots as the window, so a number whose slot is taken is skipped and a free one is near.
pub(super) struct InFlight<T> {
    slots: Box<[Option<Entry<T>>]>,
    mask: u32,
    window: usize,
    len: usize,
    octets: usize,
    oldest: u32,
    newest: u32,
}

impl<T> InFlight<T> {
    /// `window` is 1 to 65 536 (`SessionConfig::clamped`).
    pub(super) fn new(window: usize) -> Self {
        let capacity = (window * 2).next_power_of_two();
        let mask = u32::try_from(capacity - 1).expect("the window is at most 65 536");
        let slots = std::iter::repeat_with(|| None).take(capacity).collect();
        Self {
            slots,
            mask,
            window,
            len: 0,
            octets: 0,
            oldest: NIL,
            newest: NIL,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn free(&self) -> usize {
        self.window.saturating_sub(self.len)
    }

    /// Another window from now on. A smaller one takes effect as answers come; for a larger one the ring grows.
    pub(super) fn resize(&mut self, window: usize) {
        self.window = window;
        if (window * 2).next_power_of_two() <= self.slots.len() {
            return;
        }
        let mut grown = Self::new(window);
        // Numbers that had slots of their own have them in a larger ring, too.
        while let Some(entry) = self.remove_oldest() {
            grown.insert(
                entry.sequence,
                entry.command,
                entry.token,
                entry.octets,
                entry.sent,
            );
        }
        *self = grown;
    }

    /// Octets on the wire of all entries.
    pub(super) fn octets(&self) -> usize {
        self.octets
    }

    /// Whether the slot that `sequence` would use is taken, by itself or by another number.
    pub(super) fn occupied(&self, sequence: u32) -> bool {
        self.slots[self.index(sequence)].is_some()
    }

    /// The caller has checked `free() > 0` and `!occupied(sequence)`.
    pub(super) fn insert(
        &mut self,
        sequence: u32,
        command: CommandId,
        token: T,
        octets: usize,
        now: Instant,
    ) {
        debug_assert!(self.free() > 0 && !self.occupied(sequence));
        let at = sequence & self.mask;
        let older = self.newest;
        match self.entry_mut(older) {
            Some(entry) => entry.newer = at,
            None => self.oldest = at,
        }
        self.newest = at;
        self.slots[at as usize] = Some(Entry {
            sequence,
            command,
            sent: now,
            token,
            octets,
            older,
            newer: NIL,
        });
        self.len += 1;
        self.octets += octets;
    }

    pub(super) fn find(&self, sequence: u32) -> Option<&Entry<T>> {
        self.slots[self.index(sequence)]
            .as_ref()
            .filter(|entry| entry.sequence == sequence)
    }

    pub(super) fn remove(&mut self, sequence: u32) -> Option<Entry<T>> {
        let index = self.index(sequence);
        let entry = self.slots[index].take_if(|entry| entry.sequence == sequence)?;
        match self.entry_mut(entry.older) {
            Some(older) => older.newer = entry.newer,
            None => self.oldest = entry.newer,
        }
        match self.entry_mut(entry.newer) {
            Some(newer) => newer.older = entry.older,
            None => self.newest = entry.older,
        }
        self.len -= 1;
        self.octets -= entry.octets;
        Some(entry)
    }

    /// The request sent first among those outstanding.
    pub(super) fn oldest(&self) -> Option<&Entry<T>> {
        self.slots.get(self.oldest as usize)?.as_ref()
    }

    pub(super) fn remove_oldest(&mut self) -> Option<Entry<T>> {
        let sequence = self.oldest()?.sequence;
        self.remove(sequence)
    }

    /// Debug builds: the counter, the slots and the list agree.
    pub(super) fn check(&self) {
        debug_assert!(self.len <= self.slots.len() / 2, "window exceeded");
        debug_assert_eq!(
            self.len == 0,
            self.oldest == NIL,
            "the list and the counter disagree"
        );
        debug_assert_eq!(
            self.len == 0,
            self.newest == NIL,
            "the list and the counter disagree"
        );
    }

    fn index(&self, sequence: u32) -> usize {
        (sequence & self.mask) as usize
    }

    /// `NIL` is never an index: the ring has at most 131 072 slots.
    fn entry_mut(&mut self, at: u32) -> Option<&mut Entry<T>> {
        self.slots.get_mut(at as usize)?.as_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::{CommandId, InFlight, Instant};

    fn sequences(mut table: InFlight<u32>) -> Vec<u32> {
        std::iter::from_fn(|| table.remove_oldest().map(|entry| entry.sequence)).collect()
    }

    fn filled(window: usize, numbers: &[u32]) -> InFlight<u32> {
        let now = Instant::now();
        let mut table = InFlight::new(window);
        for &n in numbers {
            table.insert(n, CommandId::SUBMIT_SM, n, 16, now);
        }
        table
    }

    #[test]
    fn entries_come_out_in_order_of_sending() {
        assert_eq!(sequences(filled(4, &[7, 1, 5])), [7, 1, 5]);
    }

    #[test]
    fn removal_anywhere_keeps_the_order() {
        for (gone, left) in [(7, [1, 5]), (1, [7, 5]), (5, [7, 1])] {
            let mut table = filled(4, &[7, 1, 5]);
            assert_eq!(table.remove(gone).map(|e| e.token), Some(gone));
            assert!(table.remove(gone).is_none(), "twice");
            assert_eq!(table.octets(), 32);
            table.check();
            assert_eq!(sequences(table), left);
        }
    }

    #[test]
    fn a_number_of_the_same_slot_is_not_mistaken_for_the_one_in_it() {
        let mut table = filled(4, &[1]);
        assert!(table.occupied(9));
        assert!(table.find(9).is_none());
        assert!(table.remove(9).is_none());
        assert_eq!(table.len(), 1);
        assert_eq!(table.free(), 3);
    }
}
