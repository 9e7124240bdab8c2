//! Lives here: requests that expired, remembered so that a late answer finds its owner.
//! Never here: requests still in the window (`in_flight`).

use std::collections::{HashMap, VecDeque};

use crate::codec::CommandId;

/// The operation and the owner's value of an expired request.
pub(super) struct LateEntry<T> {
    pub(super) command: CommandId,
    pub(super) token: T,
    stamp: u64,
}

/// At most `max` expired requests; the oldest is forgotten first.
pub(super) struct LateTable<T> {
    entries: HashMap<u32, LateEntry<T>>,
    /// Numbers in order of expiry with their stamps; those answered since are recognised by the stamp and dropped.
    order: VecDeque<(u32, u64)>,
    max: usize,
    stamp: u64,
}

impl<T> LateTable<T> {
    pub(super) fn new(max: usize) -> Self {
        Self {
            entries: HashMap::new(),
            order: VecDeque::new(),
            max,
            stamp: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn contains(&self, sequence: u32) -> bool {
        !self.entries.is_empty() && self.entries.contains_key(&sequence)
    }

    pub(super) fn command(&self, sequence: u32) -> Option<CommandId> {
        self.entries.get(&sequence).map(|entry| entry.command)
    }

    pub(super) fn insert(&mut self, sequence: u32, command: CommandId, token: T) {
        if self.max == 0 {
            return;
        }
        self.stamp += 1;
        self.entries.insert(
            sequence,
            LateEntry {
                command,
                token,
                stamp: self.stamp,
            },
        );
        self.order.push_back((sequence, self.stamp));
        while self.entries.len() > self.max {
            let Some((oldest, stamp)) = self.order.pop_front() else {
                break;
            };
            if self
                .entries
                .get(&oldest)
                .is_some_and(|entry| entry.stamp == stamp)
            {
                self.entries.remove(&oldest);
            }
        }
        // Answered numbers leave their order entry behind; sweeping at twice the limit costs constant time each.
        if self.order.len() > self.max.saturating_mul(2) {
            let entries = &self.entries;
            self.order
                .retain(|(n, stamp)| entries.get(n).is_some_and(|entry| entry.stamp == *stamp));
        }
    }

    pub(super) fn remove(&mut self, sequence: u32) -> Option<LateEntry<T>> {
        self.entries.remove(&sequence)
    }

    /// Debug builds: the bounds hold.
    pub(super) fn check(&self) {
        debug_assert!(self.entries.len() <= self.max);
        debug_assert!(self.entries.len() <= self.order.len());
        debug_assert!(self.order.len() <= self.max.saturating_mul(2).saturating_add(1));
    }
}

#[cfg(test)]
mod tests {
    use super::{CommandId, LateTable};

    #[test]
    fn the_oldest_is_forgotten_first() {
        let mut table = LateTable::new(2);
        for n in 1..=3 {
            table.insert(n, CommandId::SUBMIT_SM, n);
        }
        assert!(!table.contains(1));
        assert_eq!(table.remove(2).map(|e| e.token), Some(2));
        assert_eq!(table.remove(3).map(|e| e.token), Some(3));
    }

    #[test]
    fn answered_entries_do_not_push_out_waiting_ones_or_grow_the_table() {
        let mut table = LateTable::new(2);
        table.insert(1, CommandId::SUBMIT_SM, 1);
        for n in 2..1_000 {
            table.insert(n, CommandId::SUBMIT_SM, n);
            assert!(table.remove(n).is_some());
            table.check();
        }
        assert!(table.contains(1));
    }

    #[test]
    fn a_limit_of_zero_remembers_nothing() {
        let mut table = LateTable::new(0);
        table.insert(1, CommandId::SUBMIT_SM, 1);
        assert!(!table.contains(1));
        table.check();
    }
}
