//! Lives here: the timer structure of receipts and delayed answers. Never here: a clock; the caller gives the tick.

use std::collections::{BTreeMap, VecDeque};

/// Items in millisecond buckets. Pushing is one look-up, nearly always in a bucket that exists; popping takes whole
/// buckets from the front. First in, first out within a bucket.
#[derive(Debug)]
pub(super) struct Due<T> {
    buckets: BTreeMap<u64, VecDeque<T>>,
    len: usize,
    /// An emptied bucket kept for the next one, so that a steady stream does not allocate.
    spare: Option<VecDeque<T>>,
}

impl<T> Due<T> {
    pub(super) fn new() -> Self {
        Self {
            buckets: BTreeMap::new(),
            len: 0,
            spare: None,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn push(&mut self, tick: u64, item: T) {
        let spare = &mut self.spare;
        self.buckets
            .entry(tick)
            .or_insert_with(|| spare.take().unwrap_or_default())
            .push_back(item);
        self.len += 1;
    }

    /// The tick of the earliest item.
    pub(super) fn next(&self) -> Option<u64> {
        self.buckets.first_key_value().map(|(tick, _)| *tick)
    }

    /// Moves up to `limit` items that are due at `now` into `out`.
    pub(super) fn pop(&mut self, now: u64, limit: usize, out: &mut Vec<T>) {
        let mut left = limit;
        while left > 0 {
            let Some(mut entry) = self.buckets.first_entry() else {
                break;
            };
            if *entry.key() > now {
                break;
            }
            let bucket = entry.get_mut();
            let taken = left.min(bucket.len());
            out.extend(bucket.drain(..taken));
            left -= taken;
            self.len -= taken;
            if bucket.is_empty() {
                self.spare = Some(entry.remove());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_come_out_in_order_of_their_ticks_and_not_before() {
        let mut due = Due::new();
        for (tick, item) in [(5, 'c'), (1, 'a'), (5, 'd'), (3, 'b'), (9, 'e')] {
            due.push(tick, item);
        }
        let mut out = Vec::new();
        due.pop(5, 3, &mut out);
        assert_eq!(out, vec!['a', 'b', 'c']);
        assert_eq!((due.len(), due.next()), (2, Some(5)));
        due.pop(8, 10, &mut out);
        assert_eq!(out, vec!['a', 'b', 'c', 'd']);
        due.pop(9, 10, &mut out);
        assert_eq!((due.len(), due.next(), out.len()), (0, None, 5));
    }
}
