//! Lives here: the receipts that wait for one system_id, whichever bind will carry them.
//! Never here: SMPP.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::{due::Due, receipts::ReceiptJob};

/// Receipts of one system_id by the tick they are due at. Locked once per batch of a connection.
pub(super) struct Account {
    waiting: Mutex<Due<Arc<ReceiptJob>>>,
    /// Notified when a connection has put in receipts that it cannot carry itself.
    pub(super) wake: Notify,
}

impl Account {
    pub(super) fn new() -> Self {
        Self {
            waiting: Mutex::new(Due::new()),
            wake: Notify::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Takes all of `jobs` up to a backlog of `max`; returns how many were lost.
    pub(super) fn push(&self, jobs: &mut Vec<(u64, Arc<ReceiptJob>)>, max: usize) -> u64 {
        let mut lost = 0;
        let mut waiting = self.lock();
        for (tick, job) in jobs.drain(..) {
            if waiting.len() < max {
                waiting.push(tick, job);
            } else {
                lost += 1;
            }
        }
        lost
    }

    /// Moves up to `limit` receipts due at `tick` to `out`; returns when the next one is due.
    pub(super) fn pop(
        &self,
        tick: u64,
        limit: usize,
        out: &mut Vec<Arc<ReceiptJob>>,
    ) -> Option<u64> {
        let mut waiting = self.lock();
        waiting.pop(tick, limit, out);
        waiting.next()
    }

    fn lock(&self) -> MutexGuard<'_, Due<Arc<ReceiptJob>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
