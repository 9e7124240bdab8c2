//! Lives here: the owner of receipts between a bind and the store: they are gathered, committed,
//! and only then answered; those without a message are looked after until they find one.
//! Never here: parsing PDUs (`carrier::translate`), deciding what a receipt does
//! (`domain::lifecycle`, applied by the store).

mod care;
mod share;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use self::care::Care;
use crate::domain::ids::CarrierIndex;
use crate::domain::time::Timestamp;
use crate::flow::signs::Signs;
use crate::flow::{Answered, ReceiptAck, ReceiptArrived, ReceiptResult};
use crate::store::inbox::ReceiptNews;
use crate::store::{Carriers, Store};

/// Receipts in one transaction at most. Each counts as two rows, and there is never more than one
/// batch with the writer: under a flood of receipts half of each transaction (`rows_max`) is left
/// to outcomes and intents, and the flood waits in the queue or with the carrier.
const BATCH_MAX: usize = 128;

/// How often receipts without a message are looked after.
const TICK: Duration = Duration::from_secs(1);

/// How receipts without a message are kept, and when they are too many.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// How long a receipt waits for its response before it goes into quarantine.
    pub parked_ttl: Duration,
    /// How many wait; the oldest beyond go into quarantine.
    pub parked_max: u32,
    /// How long quarantine keeps a receipt.
    pub quarantine_ttl: Duration,
    /// How many it keeps; the oldest beyond are dropped.
    pub quarantine_max: u32,
    /// The share of unmatched receipts, in percent, above which an account's alarm is raised;
    /// 0 = never.
    pub unmatched_alarm_percent: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            parked_ttl: Duration::from_secs(600),
            parked_max: 100_000,
            quarantine_ttl: Duration::from_secs(7 * 86_400),
            quarantine_max: 100_000,
            unmatched_alarm_percent: 1,
        }
    }
}

/// What `inbound` is fed by, and whom it tells.
#[derive(Debug)]
pub struct Inputs {
    /// Receipts that binds have read.
    pub receipts: mpsc::Receiver<ReceiptArrived>,
    /// What the store's commits made of receipts.
    pub news: mpsc::Receiver<ReceiptNews>,
    /// Who judges accounts by the ends of their messages.
    pub signs: Signs,
}

/// Commits and answers receipts until all binds have gone. While one batch is being committed
/// the next one gathers in the queue; a full queue makes binds send receipts back. `now` reads
/// the wall clock.
pub async fn run(
    config: Config,
    store: Store,
    carriers: Arc<Carriers>,
    inputs: Inputs,
    now: impl Fn() -> Timestamp,
) {
    let Inputs {
        receipts: mut arrived,
        mut news,
        signs,
    } = inputs;
    let mut care = Care::new(config, store.clone(), &carriers, signs, now());
    let mut batch = Vec::with_capacity(BATCH_MAX);
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        // Nothing is lost when a branch is dropped: `recv_many`, `recv` and `tick` are
        // cancel-safe.
        tokio::select! {
            count = arrived.recv_many(&mut batch, BATCH_MAX) => {
                if count == 0 {
                    break;
                }
                commit(&store, &carriers, &mut batch, &mut care).await;
            }
            Some(news) = news.recv() => care.tell(news),
            // The store is closed only at shutdown, which ends this task by its binds.
            _ = tick.tick() => { let _ = care.turn(now()).await; }
        }
    }
    while let Ok(news) = news.try_recv() {
        care.tell(news);
    }
}

async fn commit(
    store: &Store,
    carriers: &Carriers,
    batch: &mut Vec<ReceiptArrived>,
    care: &mut Care,
) {
    let (receipts, acks): (Vec<_>, Vec<_>) =
        batch.drain(..).map(|one| (one.receipt, one.ack)).unzip();
    let told: Vec<_> = receipts
        .iter()
        .map(|receipt| {
            let carrier = carriers.index(&receipt.carrier.0);
            let carrier = carrier.unwrap_or(CarrierIndex(u16::MAX));
            (carrier, receipt.state, receipt.received_at)
        })
        .collect();
    match store.receipts(receipts).await {
        Ok(results) => {
            for ((ack, (carrier, state, at)), result) in acks.into_iter().zip(told).zip(results) {
                answer(&ack, result != ReceiptResult::Refused);
                care.took(carrier, state, at, result);
            }
        }
        // The daemon is going down: the carrier keeps them and sends them again.
        Err(_) => acks.iter().for_each(|ack| answer(ack, false)),
    }
}

/// A bind keeps room for all its answers; one that has ended needs none.
fn answer(ack: &ReceiptAck, kept: bool) {
    let _ = ack.to.try_send(Answered::Receipt {
        session: ack.session,
        sequence: ack.sequence,
        pdu: ack.pdu,
        kept,
    });
}
