//! Lives here: receipts of nobody and attempts in doubt, brought together and settled by what
//! `domain::proof` says of them.
//! Never here: what proves what.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::moves::once;
use super::{Engine, receipts, rollup};
use crate::domain::ids::{MessageSeq, ReceiptKey};
use crate::domain::lifecycle::SegmentState;
use crate::domain::message::State;
use crate::domain::proof::{self, Doubtful, Orphan};
use crate::domain::receipt::Receipt;
use crate::domain::time::Timestamp;
use crate::flow::{AttemptRecord, Transition};
use crate::store::StoreError;
use crate::store::batch::Effects;
use crate::store::rows::{Doubt, Proof, Recipient, Rows, Stored};

/// Where proofs may be found now that this batch has put attempts in doubt and parked receipts.
/// Receipts that bring our reference back are looked at once; others must ripen first.
pub(super) fn recipients<'a>(
    records: &[&AttemptRecord],
    parked: impl Iterator<Item = &'a Receipt>,
) -> (HashSet<Recipient>, HashSet<Recipient>) {
    let doubts = records
        .iter()
        .filter(|record| record.state == SegmentState::InDoubt)
        .map(|record| (record.carrier.clone(), record.message.to))
        .collect();
    let orphans = parked
        .filter(|receipt| receipt.evidence.reference.is_some())
        .filter_map(|receipt| Some((receipt.carrier.clone(), receipt.evidence.recipient?)))
        .collect();
    (doubts, orphans)
}

/// By account and recipient.
type ByRecipient<T> = BTreeMap<(Box<str>, Box<str>), Vec<T>>;

fn place((carrier, to): &Recipient) -> (Box<str>, Box<str>) {
    ((&*carrier.0).into(), to.digits().into())
}

async fn doubts(
    rows: &mut impl Rows,
    recipients: &[Recipient],
) -> Result<ByRecipient<Doubt>, StoreError> {
    let mut found: ByRecipient<Doubt> = BTreeMap::new();
    for doubt in rows.doubts(recipients).await? {
        let to = doubt.stored.message.to.digits().into();
        let place = (doubt.carrier.clone(), to);
        found.entry(place).or_default().push(doubt);
    }
    Ok(found)
}

async fn orphans(
    rows: &mut impl Rows,
    recipients: &[Recipient],
) -> Result<ByRecipient<Receipt>, StoreError> {
    let mut found: ByRecipient<Receipt> = BTreeMap::new();
    for receipt in rows.orphans(recipients).await? {
        if let Some(to) = receipt.evidence.recipient {
            let place = ((&*receipt.carrier.0).into(), to.digits().into());
            found.entry(place).or_default().push(receipt);
        }
    }
    Ok(found)
}

/// The proofs at one recipient.
fn proofs_of(orphans: &[Receipt], doubts: &[Doubt], now: Timestamp) -> Vec<Proof> {
    let loose: Vec<Orphan<'_>> = orphans
        .iter()
        .map(|receipt| Orphan {
            normalised: &receipt.normalised,
            evidence: &receipt.evidence,
            received_at: receipt.received_at,
        })
        .collect();
    let doubtful: Vec<Doubtful<'_>> = doubts.iter().map(doubtful).collect();
    let mut proofs = Vec::new();
    for (orphan, attempt) in proof::proofs(&loose, &doubtful, now) {
        let (receipt, proven) = (&orphans[orphan], &doubts[attempt]);
        let with_it = doubts.iter().filter(|doubt| went_with(doubt, proven));
        for doubt in with_it {
            proofs.push(Proof {
                message: doubt.stored.message.seq,
                part: doubt.part,
                attempt: doubt.attempt,
                carrier: receipt.carrier.clone(),
                raw_id: receipt.raw_id.clone(),
                normalised: receipt.normalised.clone(),
                key: receipt.key,
                at: receipt.received_at,
            });
        }
    }
    proofs
}

/// Whether one submit_sm carried both: itself, or other parts of its message where the carrier
/// divides messages.
fn went_with(doubt: &Doubt, proven: &Doubt) -> bool {
    let of = |doubt: &Doubt| (doubt.stored.message.seq, doubt.attempt);
    of(doubt) == of(proven)
        && (doubt.part == proven.part || (proven.sent.1 != 0 && doubt.sent == proven.sent))
}

fn doubtful(doubt: &Doubt) -> Doubtful<'_> {
    let message = &doubt.stored.message;
    Doubtful {
        message: message.seq,
        part: doubt.part,
        attempt: doubt.attempt,
        reference: message.id.reference(doubt.part),
        sender: message.from.as_str(),
        body: &message.body,
        submitted_at: doubt.submitted_at,
    }
}

/// The move of a message of one segment that was in doubt.
fn submitted(stored: Stored, at: Timestamp) -> Option<Transition> {
    let open = matches!(stored.state, State::Queued | State::Uncertain);
    (open && stored.message.segments == 1).then(|| Transition {
        carrier: stored.message.carrier,
        message: Arc::new(stored.message),
        to: State::Submitted,
        at,
        sent_at: Some(at),
        failure: None,
        detail: None,
        possible_duplicate: false,
    })
}

impl<R: Rows> Engine<R> {
    /// Looks for proofs where attempts have just been put in doubt (`doubted`) and where receipts
    /// of nobody wait (`orphaned`), and applies what it finds as if the responses had come.
    pub(super) async fn prove(
        &mut self,
        (doubted, orphaned): (HashSet<Recipient>, HashSet<Recipient>),
        now: Timestamp,
        effects: &mut Effects,
    ) -> Result<(), StoreError> {
        let mut recipients: Vec<Recipient> = orphaned.into_iter().collect();
        if !self.parked.is_empty() && !doubted.is_empty() {
            // Rarely has one of them a receipt in the inbox.
            let doubted: Vec<Recipient> = doubted.into_iter().collect();
            let found = orphans(&mut self.rows, &doubted).await?;
            let has = |recipient: &Recipient| found.contains_key(&place(recipient));
            recipients.extend(doubted.into_iter().filter(has));
        }
        if recipients.is_empty() {
            return Ok(());
        }
        let mut doubts = doubts(&mut self.rows, &recipients).await?;
        recipients.retain(|recipient| doubts.contains_key(&place(recipient)));
        if recipients.is_empty() {
            return Ok(());
        }
        let orphans = orphans(&mut self.rows, &recipients).await?;
        let mut proofs: Vec<Proof> = Vec::new();
        let mut messages: BTreeMap<MessageSeq, (Stored, Timestamp)> = BTreeMap::new();
        for (recipient, orphans) in &orphans {
            let here = doubts.remove(recipient).unwrap_or_default();
            let proven = proofs_of(orphans, &here, now);
            for doubt in here {
                let seq = doubt.stored.message.seq;
                if let Some(proof) = proven.iter().find(|proof| proof.message == seq) {
                    messages.insert(seq, (doubt.stored, proof.at));
                }
            }
            proofs.extend(proven);
        }
        if proofs.is_empty() {
            return Ok(());
        }
        // Two receipts may prove the same attempt: parts that went in one submit_sm.
        let attempt = |proof: &Proof| (proof.message, proof.part, proof.attempt);
        let named: Vec<Proof> = once(&proofs, attempt).into_iter().cloned().collect();
        self.rows.prove(&named).await?;
        self.take_proofs(proofs, messages, effects).await
    }

    async fn take_proofs(
        &mut self,
        proofs: Vec<Proof>,
        messages: BTreeMap<MessageSeq, (Stored, Timestamp)>,
        effects: &mut Effects,
    ) -> Result<(), StoreError> {
        let several: HashMap<MessageSeq, Timestamp> = messages
            .iter()
            .filter(|(_, (stored, _))| stored.message.segments > 1)
            .map(|(seq, (_, at))| (*seq, *at))
            .collect();
        let mut moves: Vec<Transition> = messages
            .into_values()
            .filter_map(|(stored, at)| submitted(stored, at))
            .collect();
        moves.extend(rollup::accepted_late(&mut self.rows, &several).await?);
        self.transitions(&moves.iter().collect::<Vec<_>>(), effects)
            .await?;
        let keys: Vec<ReceiptKey> = proofs.iter().map(|proof| proof.key).collect();
        let receipts = self.rows.unpark(&keys).await?;
        let also: Vec<MessageSeq> = several.into_keys().collect();
        let correlated = receipts::apply(&mut self.rows, &self.endpoints, &receipts, &also).await?;
        let carriers = self.rows.carriers();
        effects.proven.extend(
            proofs
                .iter()
                .filter_map(|proof| carriers.index(&proof.carrier.0)),
        );
        self.correlated(&receipts, receipts.len(), correlated, effects);
        effects.home.extend(keys);
        Ok(())
    }
}
