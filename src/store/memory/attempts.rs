//! Lives here: the model's attempts, and what responses, receipts and proofs write on them.
//! Never here: receipts without an attempt (`inbox`).

use std::collections::HashSet;
use std::sync::Arc;

use super::once;
use super::tables::{AttemptMark, AttemptRow, ReceiptEventRow, Settled, Tables};
use crate::domain::ids::{MessageSeq, ReceiptKey};
use crate::domain::lifecycle::SegmentState;
use crate::domain::proof::ToldBy;
use crate::domain::receipt::Receipt;
use crate::flow::AttemptRecord;
use crate::store::Carriers;
use crate::store::inbox::Match;
use crate::store::rows::{AttemptId, Doubt, Keyed, Proof, Recipient};

impl Tables {
    /// A message's attempts, by part and attempt.
    pub(super) fn attempts_of(
        &self,
        seq: MessageSeq,
    ) -> impl DoubleEndedIterator<Item = &AttemptRow> {
        self.attempts.range((seq, 0, 0)..=(seq, u8::MAX, u16::MAX))
    }

    pub(super) fn write_attempts(&mut self, attempts: &[(&AttemptRecord, Option<ReceiptKey>)]) {
        once(attempts, |(record, _)| id(record));
        for (record, key) in attempts {
            let new = written(record, *key);
            let in_doubt = |row: &AttemptRow| row.state == SegmentState::InDoubt;
            if self.attempts.get(&new.id).is_none() {
                self.attempts.put(new);
                continue;
            }
            self.attempts.change(&id(record), in_doubt, |row| {
                row.answered_at = new.answered_at;
                row.state = new.state;
                row.status = new.status;
                row.raw_id = new.raw_id;
                row.normalised = new.normalised;
                row.receipt_key = new.receipt_key;
                row.resolved = match new.state {
                    SegmentState::Submitted => Some(ToldBy::LateResponse as i64),
                    SegmentState::Refused => Some(ToldBy::LateRefusal as i64),
                    SegmentState::Delivered
                    | SegmentState::Undelivered
                    | SegmentState::Rejected
                    | SegmentState::Expired
                    | SegmentState::Unknown
                    | SegmentState::InDoubt => None,
                };
            });
        }
    }

    pub(super) fn keyed(&self, carriers: &Carriers, keys: &[ReceiptKey]) -> Vec<Keyed> {
        let keys: HashSet<ReceiptKey> = keys.iter().copied().collect();
        let mut found = Vec::new();
        for key in keys {
            let mark = AttemptMark::Key(key);
            for row in self.attempts.marked(mark.clone()..=mark) {
                let Some(message) = self.messages.get(&row.id.0) else {
                    continue;
                };
                found.push(Keyed {
                    key,
                    id: row.id,
                    carrier: (&*row.carrier).into(),
                    normalised: row.normalised.clone().unwrap_or_default(),
                    state: row.state,
                    possible_duplicate: message.possible_duplicate,
                    stored: message.stored(carriers),
                });
            }
        }
        found
    }

    pub(super) fn standing(&self, messages: &[MessageSeq]) -> Vec<(AttemptId, SegmentState)> {
        let messages: HashSet<MessageSeq> = messages.iter().copied().collect();
        let attempts = messages.into_iter().flat_map(|seq| self.attempts_of(seq));
        let mut standing: Vec<_> = attempts.map(|row| (row.id, row.state)).collect();
        standing.sort_by_key(|(id, _)| *id);
        standing
    }

    pub(super) fn settle_attempts(&mut self, settled: &[(AttemptId, SegmentState, &Receipt)]) {
        once(settled, |one| one.0);
        for (id, state, receipt) in settled {
            self.attempts.change(
                id,
                |_| true,
                |row| {
                    row.state = *state;
                    row.receipt = Some(Settled {
                        stat: receipt.stat.clone(),
                        err: receipt.err.clone(),
                        done_date: receipt.done_date.clone(),
                        at: receipt.received_at,
                        done_at: receipt.done_at,
                    });
                },
            );
        }
    }

    pub(super) fn note_receipts(&mut self, receipts: &[(AttemptId, &Receipt, bool)]) {
        for (id, receipt, conflict) in receipts {
            self.receipt_events.insert(ReceiptEventRow {
                id: *id,
                received_at: receipt.received_at,
                stat: receipt.stat.clone(),
                err: receipt.err.clone(),
                done_date: receipt.done_date.clone(),
                conflict: *conflict,
            });
        }
    }

    pub(super) fn doubts(&self, carriers: &Carriers, recipients: &[Recipient]) -> Vec<Doubt> {
        let mut found = Vec::new();
        for (carrier, to) in recipients.iter().collect::<HashSet<_>>() {
            let mark = AttemptMark::InDoubt(Arc::clone(&carrier.0), to.digits().into());
            found.extend(self.attempts.marked(mark.clone()..=mark));
        }
        found.sort_by_key(|row| row.id);
        let doubt = |row: &AttemptRow| {
            Some(Doubt {
                carrier: (&*row.carrier).into(),
                part: row.id.1,
                attempt: row.id.2,
                submitted_at: row.submitted_at,
                sent: ((&*row.bind).into(), row.sequence),
                stored: self.messages.get(&row.id.0)?.stored(carriers),
            })
        };
        found.into_iter().filter_map(doubt).collect()
    }

    pub(super) fn prove(&mut self, proofs: &[Proof]) {
        once(proofs, |one| (one.message, one.part, one.attempt));
        let in_doubt = |row: &AttemptRow| row.state == SegmentState::InDoubt;
        for proof in proofs {
            let id = (proof.message, proof.part, proof.attempt);
            self.attempts.change(&id, in_doubt, |row| {
                row.state = SegmentState::Submitted;
                row.resolved = Some(ToldBy::Receipt as i64);
                row.answered_at = proof.at;
                row.raw_id = Some(proof.raw_id.clone());
                row.normalised = Some(proof.normalised.clone());
                row.receipt_key = Some(proof.key);
            });
        }
    }

    pub(super) fn rekey(&mut self, rekeyed: &[(AttemptId, &Match)]) {
        let submitted = |row: &AttemptRow| row.state == SegmentState::Submitted;
        for (id, one) in rekeyed {
            self.attempts.change(id, submitted, |row| {
                row.normalised = Some(one.normalised.clone());
                row.receipt_key = Some(one.key);
            });
        }
    }
}

fn id(record: &AttemptRecord) -> AttemptId {
    (record.message.seq, record.part, record.attempt)
}

fn written(record: &AttemptRecord, key: Option<ReceiptKey>) -> AttemptRow {
    let in_doubt = record.state == SegmentState::InDoubt;
    let (raw_id, normalised) = record.carrier_message_id.clone().unzip();
    AttemptRow {
        id: id(record),
        carrier: Arc::clone(&record.carrier.0),
        bind: Arc::clone(&record.bind.0),
        sequence: record.sequence,
        submitted_at: record.submitted_at,
        answered_at: record.answered_at,
        state: record.state,
        status: record.status,
        raw_id,
        normalised,
        receipt_key: key,
        receipt: None,
        recipient: in_doubt.then(|| record.message.to.digits().into()),
        resolved: None,
    }
}
