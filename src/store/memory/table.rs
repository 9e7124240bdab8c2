//! Lives here: one table of the model: rows by key, found by their marks too, and which of them
//! the open transaction has touched.
//! Never here: what the rows mean.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeBounds;
use std::sync::Arc;

/// A row of a table.
pub(super) trait Row: Clone {
    /// What the row is called by.
    type Key: Ord + Clone;
    /// What rows are found by beside their keys: the entries of all the table's indexes.
    type Mark: Ord + Clone;

    /// This row's.
    fn key(&self) -> Self::Key;

    /// This row's.
    fn marks(&self) -> Vec<Self::Mark> {
        Vec::new()
    }
}

/// Rows in the order of their keys. Copies share the rows.
#[derive(Clone)]
pub(super) struct Table<R: Row> {
    rows: BTreeMap<R::Key, Arc<R>>,
    marks: BTreeMap<R::Mark, BTreeSet<R::Key>>,
    touched: BTreeSet<R::Key>,
}

impl<R: Row> Default for Table<R> {
    fn default() -> Self {
        Self {
            rows: BTreeMap::new(),
            marks: BTreeMap::new(),
            touched: BTreeSet::new(),
        }
    }
}

impl<R: Row> Table<R> {
    /// The row with this key.
    pub(super) fn get(&self, key: &R::Key) -> Option<&R> {
        self.rows.get(key).map(|row| &**row)
    }

    /// All rows, in the order of their keys.
    pub(super) fn all(&self) -> impl DoubleEndedIterator<Item = &R> {
        self.rows.values().map(|row| &**row)
    }

    /// The rows whose keys lie in a range, in their order.
    pub(super) fn range(
        &self,
        keys: impl RangeBounds<R::Key>,
    ) -> impl DoubleEndedIterator<Item = &R> {
        self.rows.range(keys).map(|(_, row)| &**row)
    }

    /// The rows that have a mark in this range, ordered by mark and key.
    pub(super) fn marked(
        &self,
        marks: impl RangeBounds<R::Mark>,
    ) -> impl DoubleEndedIterator<Item = &R> {
        let keys = self.marks.range(marks).flat_map(|(_, keys)| keys);
        keys.filter_map(|key| self.get(key))
    }

    /// The keys of [`Table::marked`].
    pub(super) fn keys(&self, marks: impl RangeBounds<R::Mark>) -> Vec<R::Key> {
        self.marked(marks).map(Row::key).collect()
    }

    /// Writes a row, instead of one that is there already.
    pub(super) fn put(&mut self, row: R) {
        let key = row.key();
        self.touched.insert(key.clone());
        self.set(key, Some(Arc::new(row)));
    }

    /// Writes a row unless there is one already; whether it did.
    pub(super) fn insert(&mut self, row: R) -> bool {
        let absent = self.get(&row.key()).is_none();
        if absent {
            self.put(row);
        }
        absent
    }

    /// Changes the row with this key where it is `right`; whether it did.
    pub(super) fn change(
        &mut self,
        key: &R::Key,
        right: impl FnOnce(&R) -> bool,
        change: impl FnOnce(&mut R),
    ) -> bool {
        let Some(row) = self.get(key).filter(|row| right(row)) else {
            return false;
        };
        let mut row = row.clone();
        change(&mut row);
        self.put(row);
        true
    }

    /// Takes a row out.
    pub(super) fn remove(&mut self, key: &R::Key) -> Option<Arc<R>> {
        let gone = self.rows.get(key).cloned();
        self.touched.insert(key.clone());
        self.set(key.clone(), None);
        gone
    }

    /// Ends the transaction: what it has touched is in `kept` as it is here.
    pub(super) fn commit(&mut self, kept: &mut Self) {
        for key in std::mem::take(&mut self.touched) {
            kept.set(key.clone(), self.rows.get(&key).cloned());
        }
    }

    /// Ends the transaction: what it has touched is here as it is in `kept`.
    pub(super) fn undo(&mut self, kept: &Self) {
        for key in std::mem::take(&mut self.touched) {
            self.set(key.clone(), kept.rows.get(&key).cloned());
        }
    }

    fn set(&mut self, key: R::Key, row: Option<Arc<R>>) {
        for mark in self.get(&key).map(Row::marks).unwrap_or_default() {
            if let Some(keys) = self.marks.get_mut(&mark) {
                keys.remove(&key);
                if keys.is_empty() {
                    self.marks.remove(&mark);
                }
            }
        }
        for mark in row.iter().flat_map(|row| row.marks()) {
            self.marks.entry(mark).or_default().insert(key.clone());
        }
        match row {
            Some(row) => self.rows.insert(key, row),
            None => self.rows.remove(&key),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone)]
    struct Pet(u8, &'static str);

    impl Row for Pet {
        type Key = u8;
        type Mark = &'static str;

        fn key(&self) -> u8 {
            self.0
        }

        fn marks(&self) -> Vec<&'static str> {
            vec![self.1]
        }
    }

    fn named(table: &Table<Pet>, name: &'static str) -> Vec<u8> {
        table.keys(name..=name)
    }

    #[test]
    fn marks_follow_their_rows_through_commit_and_undo() {
        let (mut work, mut kept) = (Table::default(), Table::default());
        assert!(work.insert(Pet(1, "a")) && work.insert(Pet(2, "a")));
        assert!(!work.insert(Pet(1, "b")));
        work.commit(&mut kept);
        assert_eq!(named(&kept, "a"), [1, 2]);

        assert!(work.change(&1, |pet| pet.1 == "a", |pet| pet.1 = "b"));
        assert!(!work.change(&1, |pet| pet.1 == "a", |pet| pet.1 = "c"));
        work.remove(&2);
        work.put(Pet(3, "b"));
        assert_eq!((named(&work, "a"), named(&work, "b")), (vec![], vec![1, 3]));
        assert_eq!(named(&kept, "a"), [1, 2]);
        work.undo(&kept);
        assert_eq!((named(&work, "a"), named(&work, "b")), (vec![1, 2], vec![]));
        assert_eq!(work.all().count(), 2);
    }
}
