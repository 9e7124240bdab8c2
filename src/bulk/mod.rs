//! Lives here: bulk jobs: a request of up to ten thousand recipients checked and packed (`accept`),
//! and the task that makes messages of them, chunk by chunk (`runner`). A product built on `ingest`.
//! Never here: HTTP, SQL, lanes.

mod accept;
mod runner;

use std::sync::Arc;

use tokio::sync::{Notify, Semaphore};

pub use self::accept::{Fault, Foreseen, Prepared, Recipient, Refused, Request};
pub use self::runner::Runner;
use crate::domain::account::Organisation;
use crate::domain::ids::{JobId, OrgId};
use crate::domain::job::Step;
use crate::domain::time::Timestamp;
use crate::ingest::Ingest;
use crate::store::jobs::{Order, Ordered, Stepped};
use crate::store::{AuditEntry, Store, StoreError};
use crate::telemetry::metrics::bulk as meter;

/// Bodies that are read and checked at once: each takes a core for some tens of milliseconds, and a
/// few times its size of memory. Who comes meanwhile waits.
const AT_ONCE: usize = 2;

/// The way in. Cheap to share.
#[derive(Clone)]
pub struct Bulk {
    ingest: Arc<Ingest>,
    store: Store,
    wake: Arc<Notify>,
    turns: Arc<Semaphore>,
}

impl Bulk {
    /// The way into `store`.
    pub fn new(ingest: Arc<Ingest>, store: Store) -> Self {
        Self {
            ingest,
            store,
            wake: Arc::new(Notify::new()),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// The task that makes messages of jobs. One for each store.
    pub fn runner(&self) -> Runner {
        let parts = (Arc::clone(&self.ingest), self.store.clone());
        Runner::new(parts, Arc::clone(&self.wake))
    }

    /// Waits for its turn, then does work that takes a core for a while on a thread of its own: the
    /// runtime's threads are for OTPs.
    ///
    /// # Errors
    /// [`StoreError::Closed`]: the daemon ends.
    pub async fn on_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Ingest) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let turn = turn.map_err(|_| StoreError::Closed)?;
        let ingest = Arc::clone(&self.ingest);
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work(&ingest)
        });
        done.await.map_err(|_| StoreError::Closed)
    }

    /// Makes a job durable.
    ///
    /// # Errors
    /// As [`Store::order_job`].
    pub async fn create(&self, order: Order) -> Result<Ordered, StoreError> {
        let refused: u32 = order.chunks.iter().map(|chunk| chunk.refused).sum();
        let total = order.job.total;
        let ordered = self.store.order_job(order).await?;
        if let Ordered::Done = ordered {
            meter::accepted(u64::from(total - refused), refused.into());
            self.wake.notify_one();
        }
        Ok(ordered)
    }

    /// Takes a job a step further; `org`: only if it is this one's.
    ///
    /// # Errors
    /// As [`Store::order_job`].
    pub async fn step(
        &self,
        org: Option<OrgId>,
        job: JobId,
        (step, at): (Step, Timestamp),
        audit: Option<AuditEntry>,
    ) -> Result<Stepped, StoreError> {
        let stepped = self.store.step_job(org, job, (step, at), audit).await?;
        self.wake.notify_one();
        Ok(stepped)
    }
}

/// Checks a request and packs its recipients; the part of accepting a job that takes long.
///
/// # Errors
/// [`Refused`]: nothing of it may be sent.
pub fn prepare(
    ingest: &Ingest,
    whose: (&Organisation, bool),
    request: &Request<'_>,
    now: Timestamp,
) -> Result<Prepared, Refused> {
    accept::prepare(ingest, whose, request, now)
}
