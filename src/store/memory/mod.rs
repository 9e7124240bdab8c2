//! Lives here: the model of the store: the rows in plain maps, what is committed on a [`Disk`]
//! that outlives its daemons, and faults where tests want them. The contract's tests and the
//! simulations run on it; the databases must agree with it ([`Disk::dump`]).
//! Never here: what the real databases are spared (`sql`), what a transaction consists of
//! (`engine`).

mod attempts;
mod desk;
mod dump;
mod faults;
mod hooks;
mod inbox;
mod jobs;
mod memos;
mod messages;
mod operators;
mod outbox;
mod people;
mod reader;
mod start;
mod table;
mod tables;
mod tests;
mod till;
mod upkeep;
mod writer;

use std::collections::HashSet;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(in crate::store) use self::dump::Dump;
pub(in crate::store) use self::faults::{CommitFault, Faults, Poison};
use self::tables::Tables;
use crate::store::{Carriers, StoreError};

/// What is committed. It outlives the stores that are opened on it, one at a time. Cheap to clone.
#[derive(Clone)]
pub(in crate::store) struct Disk(Arc<Mutex<Platter>>);

struct Platter {
    kept: Tables,
    in_use: bool,
}

/// The writer's side. Dropped without `close` it is a crash: what was not committed is gone, and
/// the next one finds no note of an orderly end.
pub(in crate::store) struct Memory {
    lock: Lock,
    carriers: Arc<Carriers>,
    faults: Faults,
    /// What is committed, and what the open transaction has made of it.
    tables: Tables,
    /// The open transaction: in which life of the connection it was begun.
    open: Option<u64>,
}

/// The readers' side.
#[derive(Clone)]
pub(in crate::store) struct MemoryReader {
    disk: Disk,
    carriers: Arc<Carriers>,
    faults: Faults,
}

/// Keeps a second daemon away until it is dropped.
struct Lock(Disk);

impl Drop for Lock {
    fn drop(&mut self) {
        self.0.platter().in_use = false;
    }
}

impl Default for Disk {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Platter {
            kept: Tables::new(),
            in_use: false,
        })))
    }
}

impl Disk {
    /// Opens the store that lives here, with its faults to come.
    ///
    /// # Errors
    /// [`StoreError::InUse`]: one is open already.
    pub(in crate::store) fn open(
        &self,
        carriers: Arc<Carriers>,
        faults: Faults,
    ) -> Result<(Memory, MemoryReader), StoreError> {
        faults.reach()?;
        let mut platter = self.platter();
        if platter.in_use {
            let holder = "the model's disk".into();
            return Err(StoreError::InUse { holder });
        }
        platter.in_use = true;
        let tables = platter.kept.clone();
        drop(platter);
        let writer = Memory {
            lock: Lock(self.clone()),
            carriers: Arc::clone(&carriers),
            faults: faults.clone(),
            tables,
            open: None,
        };
        let reader = MemoryReader {
            disk: self.clone(),
            carriers,
            faults,
        };
        Ok((writer, reader))
    }

    /// What is committed.
    pub(in crate::store) fn dump(&self) -> Dump {
        self.platter().kept.dump()
    }

    fn platter(&self) -> MutexGuard<'_, Platter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the trait says "each once", its caller has to see to it: PostgreSQL will not touch a row
/// twice in one statement, and SQLite would not say in which order.
fn once<T, K: Eq + Hash + Debug>(list: &[T], key: impl Fn(&T) -> K) {
    let mut seen = HashSet::with_capacity(list.len());
    for one in list.iter().map(key) {
        assert!(!seen.contains(&one), "{one:?} comes twice in one statement");
        seen.insert(one);
    }
}
