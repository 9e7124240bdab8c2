//! Lives here: counting who is in, per key, up to a limit.
//! Never here: whose limits.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many places each key has taken; keys without one are forgotten.
pub(super) struct Tally<K>(Mutex<HashMap<K, usize>>);

/// One place taken; dropping it gives it back.
pub(super) struct Place<K: Eq + Hash> {
    tally: Arc<Tally<K>>,
    key: K,
}

impl<K: Eq + Hash + Clone> Tally<K> {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(HashMap::new())))
    }

    /// A place for `key`, unless it has `max` already.
    pub(super) fn take(self: &Arc<Self>, key: &K, max: usize) -> Option<Place<K>> {
        let mut counts = self.counts();
        let count = counts.get(key).copied().unwrap_or(0);
        if count >= max {
            return None;
        }
        counts.insert(key.clone(), count + 1);
        Some(Place {
            tally: Arc::clone(self),
            key: key.clone(),
        })
    }
}

impl<K> Tally<K> {
    /// Held for a few instructions that cannot panic.
    fn counts(&self) -> MutexGuard<'_, HashMap<K, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut counts = self.tally.counts();
        if let Some(count) = counts.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn places_are_limited_per_key_and_come_back() {
        let tally = Tally::new();
        let first = tally.take(&"a", 2);
        let second = tally.take(&"a", 2);
        assert!(first.is_some() && second.is_some());
        assert!(tally.take(&"a", 2).is_none());
        assert!(tally.take(&"b", 2).is_some());
        drop(first);
        assert!(tally.take(&"a", 2).is_some());
        drop(second);
        assert!(tally.counts().is_empty());
    }
}
