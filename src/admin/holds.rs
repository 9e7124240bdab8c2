//! Lives here: the accounts that operators hold: loaded before anything is submitted, changed one
//! at a time, ended when their time has come. One task owns them.
//! Never here: what a hold does to messages (`flow::health`, `scheduler`).

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::request::now;
use crate::domain::ids::{CarrierId, CarrierIndex};
use crate::domain::time::Timestamp;
use crate::flow::health::{Health, Hold};
use crate::flow::{Settlement, Steer};
use crate::store::{AuditEntry, HoldRow, Store, StoreError};

/// Changes that may wait; more are refused: nobody types that fast.
const ORDERS: usize = 16;
/// How often it is looked whether a hold has ended: the wall clock may be set meanwhile.
const LOOK: Duration = Duration::from_secs(1);

/// A change of one account's hold; [`Hold::Free`] ends it.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) row: HoldRow,
    pub(super) audit: AuditEntry,
    pub(super) reply: oneshot::Sender<Result<(), StoreError>>,
}

/// All holds and what they act upon.
pub struct Holds {
    store: Store,
    accounts: Vec<CarrierId>,
    health: Arc<Health>,
    steer: mpsc::Sender<Steer>,
    known: Known,
}

/// What is known of what the store holds.
#[derive(Clone, Debug)]
struct Known {
    rows: Vec<HoldRow>,
    /// No change is in doubt.
    sure: bool,
}

/// The way to the task that owns the holds.
#[derive(Clone)]
pub(super) struct Hand {
    orders: mpsc::Sender<Order>,
    known: watch::Receiver<Known>,
}

impl Holds {
    /// Reads the holds and puts them in force; those whose time has passed end.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read: then it is not known what may be submitted.
    pub async fn load(
        store: Store,
        accounts: Vec<CarrierId>,
        health: Arc<Health>,
        steer: mpsc::Sender<Steer>,
    ) -> Result<Self, StoreError> {
        let known = Known {
            rows: store.holds().await?,
            sure: true,
        };
        let mut holds = Self {
            store,
            accounts,
            health,
            steer,
            known,
        };
        let now = now();
        for row in &holds.known.rows {
            holds.apply(&row.carrier, row.hold, now);
            tracing::warn!(carrier = %row.carrier, hold = row.hold.name(), reason = %row.reason,
                "an account is held by an operator");
        }
        match holds.expire(now).await {
            // It ends when the store is well again.
            Err(error) if !error.passes() => Err(error),
            Ok(()) | Err(_) => Ok(holds),
        }
    }

    /// The task, and the way to it.
    pub(super) fn split(self, stop: CancellationToken) -> (Hand, impl Future<Output = ()>) {
        let (orders, ordered) = mpsc::channel(ORDERS);
        let (told, known) = watch::channel(self.known.clone());
        (Hand { orders, known }, self.run(ordered, told, stop))
    }

    async fn run(
        mut self,
        mut orders: mpsc::Receiver<Order>,
        told: watch::Sender<Known>,
        stop: CancellationToken,
    ) {
        let mut tick = tokio::time::interval(LOOK);
        loop {
            // Every branch only takes from a queue or a timer: dropping one loses nothing.
            tokio::select! {
                () = stop.cancelled() => return,
                Some(order) = orders.recv() => {
                    let done = self.order(order.row, order.audit).await;
                    told.send_replace(self.known.clone());
                    // Whoever asked may have hung up; it is done all the same.
                    let _ = order.reply.send(done);
                }
                // A closed store ends with the daemon, which ends this task too.
                _ = tick.tick() => {
                    let _ = self.turn(now()).await;
                    told.send_replace(self.known.clone());
                }
            }
        }
    }

    /// One turn of the clock. What fails is done at the next one.
    async fn turn(&mut self, now: Timestamp) -> Result<(), StoreError> {
        if !self.store.health().is_well() {
            return Ok(());
        }
        if !self.known.sure {
            self.ascertain().await?;
        }
        self.expire(now).await
    }

    /// Puts in force what the store holds after a change in doubt.
    async fn ascertain(&mut self) -> Result<(), StoreError> {
        // It is written behind all that the writer was given before: by then that is decided.
        self.store.settle(Settlement::default()).await?;
        let rows = self.store.holds().await?;
        let now = now();
        for carrier in &self.accounts {
            let row = rows.iter().find(|row| row.carrier == *carrier);
            self.apply(carrier, row.map_or(Hold::Free, |row| row.hold), now);
        }
        self.known = Known { rows, sure: true };
        Ok(())
    }

    async fn order(&mut self, row: HoldRow, audit: AuditEntry) -> Result<(), StoreError> {
        let (carrier, hold) = (row.carrier.clone(), row.hold);
        let done = match hold {
            Hold::Free => self.store.free(carrier.clone(), audit).await,
            Hold::Paused | Hold::Draining => self.store.hold(row.clone(), audit).await,
        };
        if matches!(done, Err(StoreError::InDoubt)) {
            self.known.sure = false;
        }
        done?;
        let rows = &mut self.known.rows;
        rows.retain(|known| known.carrier != carrier);
        if hold != Hold::Free {
            rows.push(row);
            rows.sort_by(|a, b| a.carrier.cmp(&b.carrier));
        }
        self.apply(&carrier, hold, now());
        Ok(())
    }

    /// Ends what has had its time.
    async fn expire(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let over = |row: &HoldRow| row.until.is_some_and(|until| until <= now);
        let rows = self.known.rows.iter();
        let ended: Vec<HoldRow> = rows.filter(|row| over(row)).cloned().collect();
        for row in &ended {
            let audit = AuditEntry {
                at: now,
                actor: "mnara".into(),
                action: "carriers.resume".into(),
                subject: (&*row.carrier.0).into(),
                detail: json!({"was": row.hold.name(), "reason": row.reason, "by": row.actor})
                    .to_string()
                    .into(),
                outcome: "its time has passed".into(),
            };
            let free = HoldRow {
                hold: Hold::Free,
                ..row.clone()
            };
            self.order(free, audit).await?;
            tracing::info!(carrier = %row.carrier, "an operator's hold has ended by itself");
        }
        Ok(())
    }

    /// Puts a hold in force. An account that is configured no more has none.
    fn apply(&self, carrier: &CarrierId, hold: Hold, now: Timestamp) {
        if let Some(place) = self.accounts.iter().position(|id| id == carrier) {
            self.health.set_hold(CarrierIndex(place as u16), hold, now);
        }
        // A full queue has a look in it already, or an order after which `feed` looks anyway.
        let _ = self.steer.try_send(Steer::Look);
    }
}

impl Hand {
    /// What is held now.
    pub(super) fn rows(&self) -> Vec<HoldRow> {
        self.known.borrow().rows.clone()
    }

    /// Whether that is so in the store too: no change is in doubt.
    pub(super) fn is_sure(&self) -> bool {
        self.known.borrow().sure
    }

    /// Carries a change out; returns once it is durable and in force.
    ///
    /// # Errors
    /// [`StoreError::Overloaded`]: too many changes wait; the store's own.
    pub(super) async fn order(&self, row: HoldRow, audit: AuditEntry) -> Result<(), StoreError> {
        let (reply, done) = oneshot::channel();
        let order = Order { row, audit, reply };
        self.orders.try_send(order).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
        })?;
        done.await.map_err(|_| StoreError::Closed)?
    }
}
