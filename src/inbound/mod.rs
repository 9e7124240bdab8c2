//! Lives here: the owner of receipts between a bind and the store: they are gathered, committed,
//! and only then answered.
//! Never here: parsing PDUs (`carrier::translate`), deciding what a receipt does
//! (`domain::lifecycle`, applied by the store).

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::flow::{Answered, ReceiptAck, ReceiptArrived, ReceiptResult};
use crate::store::{Carriers, Store};
use crate::telemetry::metrics::carrier::Receipts;

/// Receipts in one transaction at most.
const BATCH_MAX: usize = 256;

const RESULTS: [(ReceiptResult, &str); 5] = [
    (ReceiptResult::Applied, "applied"),
    (ReceiptResult::Intermediate, "intermediate"),
    (ReceiptResult::Duplicate, "duplicate"),
    (ReceiptResult::Conflict, "conflict"),
    (ReceiptResult::Parked, "parked"),
];

/// Commits and answers receipts until all binds have gone. While one batch is being committed
/// the next one gathers in the queue; a full queue makes binds send receipts back.
pub async fn run(
    store: Store,
    carriers: Arc<Carriers>,
    mut arrived: mpsc::Receiver<ReceiptArrived>,
) {
    let names: Vec<&str> = carriers.ids().iter().map(|id| &*id.0).collect();
    let meter = Receipts::new(&names, RESULTS.map(|(_, name)| name));
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while arrived.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let (receipts, acks): (Vec<_>, Vec<_>) =
            batch.drain(..).map(|one| (one.receipt, one.ack)).unzip();
        let accounts: Vec<_> = receipts
            .iter()
            .map(|receipt| receipt.carrier.clone())
            .collect();
        match store.receipts(receipts).await {
            Ok(results) => {
                for ((ack, carrier), result) in acks.into_iter().zip(accounts).zip(results) {
                    if let Some(place) = RESULTS.iter().position(|(known, _)| *known == result) {
                        meter.committed(&carrier.0, place);
                    }
                    answer(&ack, true);
                }
            }
            // The daemon is going down: the carrier keeps them and sends them again.
            Err(_) => acks.iter().for_each(|ack| answer(ack, false)),
        }
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
