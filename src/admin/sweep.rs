//! Lives here: changes of what waits: lanes recalled, their rows changed in bounded commits, lanes
//! released. One task does one after another, so that no lane is recalled twice, and it finishes
//! what it began although whoever asked has hung up.
//! Never here: which rows may be changed (`store`), HTTP.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::holds::Hand;
use super::request::now;
use crate::domain::class::Class;
use crate::domain::ids::{CarrierId, CarrierIndex, MessageId, OrgId};
use crate::domain::message::State;
use crate::domain::time::Timestamp;
use crate::flow::Steer;
use crate::flow::bind::BindStatus;
use crate::flow::health::Hold;
use crate::store::{AuditEntry, Obstacle, Store, StoreError, Sweep, SweepAudit};

/// Orders that may wait; more are refused: nobody types that fast.
const ORDERS: usize = 16;
/// A broad sweep works so long and then says that there is more: its lanes load nothing meanwhile.
const SPAN: Duration = Duration::from_secs(5);
/// An account has been paused for so long before its OTP may be touched: by then what its binds
/// were answered last is committed.
const QUIET: Duration = Duration::from_secs(5);
/// How long the scheduler may take to recall lanes.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a message is looked for that moves to another lane meanwhile.
const TRIES: u32 = 5;

/// Which messages, and what becomes of them.
#[derive(Debug)]
pub(super) struct Broom {
    pub(super) selection: Selection,
    /// To this account's lanes; `None` = they are cancelled.
    pub(super) to: Option<CarrierIndex>,
    /// What the messages' owners read.
    pub(super) detail: Box<str>,
    pub(super) audit: AuditEntry,
}

/// Which messages.
#[derive(Clone, Debug)]
pub(super) struct Selection {
    /// The lanes; an account may be configured no more.
    pub(super) lanes: Vec<(Box<str>, Class)>,
    pub(super) org: Option<OrgId>,
    pub(super) accepted_before: Option<Timestamp>,
}

/// What a sweep has come to.
#[derive(Debug, Default)]
pub(super) struct Tale {
    pub(super) changed: u64,
    /// May be with a carrier; OTP of accounts in use among them.
    pub(super) spared: u64,
    /// Accounts whose OTP were left alone because they are in use.
    pub(super) otp_in_use: Vec<Box<str>>,
    /// Its time was over before its lanes were.
    pub(super) more: bool,
}

/// What a single message can be told to do.
#[derive(Debug)]
pub(super) enum Single {
    Cancel { detail: Box<str> },
    Resend,
}

/// Why an order was not carried out.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The store's reason.
    Store(StoreError),
    /// The message is left as it is.
    Left(Obstacle),
    /// It moves from lane to lane; or the scheduler does not answer.
    Unsteady,
}

enum Order {
    Sweep {
        broom: Broom,
        reply: oneshot::Sender<Result<Tale, Refusal>>,
    },
    Single {
        message: MessageId,
        single: Single,
        audit: AuditEntry,
        reply: oneshot::Sender<Result<(), Refusal>>,
    },
}

/// The way to the task.
#[derive(Clone)]
pub(super) struct Sweeping {
    orders: mpsc::Sender<Order>,
}

/// The task and what it works on.
pub(super) struct Sweeper {
    pub(super) store: Store,
    pub(super) accounts: Vec<CarrierId>,
    pub(super) binds: Vec<watch::Receiver<BindStatus>>,
    pub(super) holds: Hand,
    pub(super) steer: mpsc::Sender<Steer>,
}

type Lane = (CarrierIndex, Class);

impl Sweeping {
    /// Sweeps; returns when it is durable.
    pub(super) async fn sweep(&self, broom: Broom) -> Result<Tale, Refusal> {
        let (reply, done) = oneshot::channel();
        self.order(Order::Sweep { broom, reply })?;
        done.await.map_err(|_| StoreError::Closed)?
    }

    /// Changes one message; returns when it is durable.
    pub(super) async fn single(
        &self,
        message: MessageId,
        single: Single,
        audit: AuditEntry,
    ) -> Result<(), Refusal> {
        let (reply, done) = oneshot::channel();
        self.order(Order::Single {
            message,
            single,
            audit,
            reply,
        })?;
        done.await.map_err(|_| StoreError::Closed)?
    }

    fn order(&self, order: Order) -> Result<(), StoreError> {
        self.orders.try_send(order).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
        })
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Sweeper {
    /// The task, and the way to it.
    pub(super) fn split(
        self: Arc<Self>,
        stop: CancellationToken,
    ) -> (Sweeping, impl Future<Output = ()>) {
        let (orders, mut ordered) = mpsc::channel(ORDERS);
        let task = async move {
            // What has begun is finished: only waiting for the next order is called off.
            while let Some(Some(order)) = stop.run_until_cancelled(ordered.recv()).await {
                // Whoever asked may have hung up; it is done all the same.
                match order {
                    Order::Sweep { broom, reply } => drop(reply.send(self.sweep(broom).await)),
                    Order::Single {
                        message,
                        single,
                        audit,
                        reply,
                    } => drop(reply.send(self.single(message, single, audit).await)),
                }
            }
        };
        (Sweeping { orders }, task)
    }

    /// Whether no OTP of an account can be with a bind: nothing has been pulled for a while, and
    /// nothing awaits its answer.
    pub(super) fn is_quiet(&self, carrier: &str) -> bool {
        let Some(index) = self.index(carrier) else {
            return true;
        };
        let rows = self.holds.rows();
        let paused = rows.iter().any(|row| {
            *row.carrier.0 == *carrier && row.hold == Hold::Paused && now().since(row.at) >= QUIET
        });
        let idle = |bind: &watch::Receiver<BindStatus>| {
            let status = bind.borrow();
            status.carrier != index || status.in_flight == 0
        };
        paused && self.store.health().is_well() && self.binds.iter().all(idle)
    }

    fn index(&self, carrier: &str) -> Option<CarrierIndex> {
        let place = self.accounts.iter().position(|id| *id.0 == *carrier);
        place.map(|place| CarrierIndex(place as u16))
    }

    async fn sweep(&self, broom: Broom) -> Result<Tale, Refusal> {
        let mut tale = Tale::default();
        let (touched, in_use): (Vec<_>, Vec<_>) = broom
            .selection
            .lanes
            .iter()
            .cloned()
            .partition(|(carrier, class)| *class != Class::Otp || self.is_quiet(carrier));
        for (carrier, class) in in_use {
            let Selection {
                org,
                accepted_before,
                ..
            } = broom.selection;
            let lane = (&*carrier, class);
            let (spared, _) = self.store.preview(lane, org, accepted_before).await?;
            tale.spared += spared;
            if spared > 0 {
                tale.otp_in_use.push(carrier);
            }
        }
        let mut lanes: Vec<Lane> = touched
            .iter()
            .filter_map(|(carrier, class)| Some((self.index(carrier)?, *class)))
            .collect();
        if let Some(to) = broom.to {
            // What comes to these lanes stands in the store only: they are to be read again.
            lanes.extend(touched.iter().map(|(_, class)| (to, *class)));
        }
        lanes.sort_unstable();
        lanes.dedup();
        self.recall(&lanes).await?;
        let done = self.rounds(&broom, &touched, &mut tale).await;
        self.release(lanes).await;
        done?;
        Ok(tale)
    }

    async fn rounds(
        &self,
        broom: &Broom,
        lanes: &[(Box<str>, Class)],
        tale: &mut Tale,
    ) -> Result<(), StoreError> {
        let begun = Instant::now();
        let to = broom.to.map(|to| self.accounts[to.index()].clone());
        let mut row = None;
        for (at, (carrier, class)) in lanes.iter().enumerate() {
            let mut after = None;
            loop {
                if begun.elapsed() >= SPAN {
                    tale.more = true;
                    return Ok(());
                }
                let sweep = Sweep {
                    carrier: carrier.clone(),
                    class: *class,
                    org: broom.selection.org,
                    accepted_before: broom.selection.accepted_before,
                    after,
                    to: to.clone(),
                    at: now(),
                    detail: broom.detail.clone(),
                    last: at + 1 == lanes.len(),
                    audit: SweepAudit {
                        entry: broom.audit.clone(),
                        row,
                        before: (tale.changed, tale.spared),
                    },
                };
                let swept = self.store.sweep(sweep).await;
                let swept = swept.map_err(|error| error.after(row.is_some()))?;
                tale.changed += swept.changed;
                tale.spared += swept.spared;
                row = Some(swept.audit);
                after = swept.next;
                if after.is_none() {
                    break;
                }
            }
        }
        if row.is_none() {
            let outcome = match tale.spared {
                0 => "nothing was there to be changed".into(),
                spared => format!("0 changed, {spared} left alone"),
            };
            let entry = AuditEntry {
                outcome: outcome.into(),
                ..broom.audit.clone()
            };
            self.store.note(entry).await?;
        }
        Ok(())
    }

    /// Recalls the message's lane, if it has one, and changes it.
    async fn single(
        &self,
        message: MessageId,
        single: Single,
        audit: AuditEntry,
    ) -> Result<(), Refusal> {
        for _ in 0..TRIES {
            let Some((view, carrier)) = self.store.any_message(message).await? else {
                return Err(Refusal::Left(Obstacle::Missing));
            };
            let class = view.message.class;
            let quiet = class == Class::Otp && self.is_quiet(&carrier);
            let waits = match single {
                Single::Cancel { .. } => {
                    view.state == State::Queued && (class != Class::Otp || quiet)
                }
                Single::Resend => view.state == State::Uncertain,
            };
            let lane = self.index(&carrier).filter(|_| waits);
            let lanes: Vec<Lane> = lane.map(|carrier| (carrier, class)).into_iter().collect();
            self.recall(&lanes).await?;
            let now_in = self.store.any_message(message).await;
            let moved =
                now_in.is_ok_and(|now_in| now_in.is_none_or(|(_, now_in)| now_in != carrier));
            if moved {
                self.release(lanes).await;
                continue;
            }
            let done = match &single {
                Single::Cancel { detail } => {
                    let cancel = self.store.cancel(message, quiet, detail.clone(), audit);
                    cancel.await
                }
                Single::Resend => self.store.resend(message, audit).await,
            };
            self.release(lanes).await;
            return done?.map_err(Refusal::Left);
        }
        Err(Refusal::Unsteady)
    }

    async fn recall(&self, lanes: &[Lane]) -> Result<(), Refusal> {
        if lanes.is_empty() {
            return Ok(());
        }
        let (done, recalled) = oneshot::channel();
        let recall = Steer::Recall {
            lanes: lanes.to_vec(),
            done,
        };
        let asked = async {
            self.steer.send(recall).await.ok()?;
            recalled.await.ok()
        };
        // The scheduler ends before this task does: then nothing is to be changed any more.
        match timeout(PATIENCE, asked).await {
            Ok(Some(())) => Ok(()),
            Ok(None) => Err(Refusal::Unsteady),
            Err(_) => {
                self.release(lanes.to_vec()).await;
                Err(Refusal::Unsteady)
            }
        }
    }

    async fn release(&self, lanes: Vec<Lane>) {
        if !lanes.is_empty() {
            // As in `recall`: the next start loads all lanes.
            let _ = timeout(PATIENCE, self.steer.send(Steer::Release(lanes))).await;
        }
    }
}
