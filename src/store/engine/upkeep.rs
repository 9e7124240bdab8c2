//! Lives here: retention, redaction and erasure as the writer does them: each in a transaction of
//! its own, between batches; and what is still said of messages that have gone with it.
//! Never here: what is due (`housekeeping`), how rows are dropped (`rows`).

use std::collections::HashSet;

use super::{Engine, Unfinished};
use crate::domain::ids::MessageSeq;
use crate::store::StoreError;
use crate::store::batch::Batch;
use crate::store::control::AuditEntry;
use crate::store::rows::{Rows, Unkept, day_of_seq};
use crate::store::upkeep::{Dropped, Erase, Tidied, Tidy};

impl<R: Rows> Engine<R> {
    /// Does it and commits it. Of what is [`Unfinished::Unknown`] there is nothing to tell anybody:
    /// it is asked for again.
    pub(in crate::store) async fn tidy(&mut self, work: &Tidy) -> Result<Tidied, Unfinished> {
        // Before it is known whether they go: to prepare a day twice does nothing, nor to ask for what
        // is there.
        match work {
            Tidy::DropDay(day) => {
                self.prepared.remove(day);
                self.gone_before = self.gone_before.max(day + 1);
            }
            Tidy::Delete(messages) => {
                let days = messages.iter().map(|(seq, _)| day_of_seq(*seq) + 1);
                self.gone_before = days.fold(self.gone_before, i64::max);
            }
            Tidy::Redact(_) | Tidy::ComeTo(_) | Tidy::Erase(_) => {}
        }
        self.begin().await?;
        let done = match self.tidied(work).await {
            Ok(done) => done,
            Err(error) => {
                self.rows.rollback().await;
                return Err(error.into());
            }
        };
        if let Tidied::Day(Dropped::Busy | Dropped::Held | Dropped::ByRows) = done {
            self.rows.rollback().await;
            return Ok(done);
        }
        match self.rows.commit(self.commits + 1).await {
            Ok(()) => {
                self.commits += 1;
                Ok(done)
            }
            Err(Unkept::Refused(error)) => {
                self.rows.rollback().await;
                Err(error.into())
            }
            Err(Unkept::Unknown(error)) => {
                self.unresolved = true;
                Err(Unfinished::Unknown(Box::default(), error))
            }
        }
    }

    /// The messages that the batch has something to say of and that have gone: a late answer, a second
    /// worker's delivery. Nothing of it is written. Nobody would find it, or delete it again, and
    /// where days are dropped as a whole it would have no place. A run only hears of messages that
    /// were there while it ran, so only those are asked for that are as old as what it has deleted.
    pub(super) async fn gone(&mut self, batch: &Batch) -> Result<HashSet<MessageSeq>, StoreError> {
        let settlements = batch.settlements.iter();
        let attempts = settlements.flat_map(|settle| &settle.settlement.attempts);
        // Notices are of no message: what is said of them has its place.
        let deliveries = batch.deliveries.iter().flat_map(|one| &one.records);
        let deliveries = deliveries.filter(|record| record.job.notice().is_none());
        let said = attempts
            .map(|record| record.message.seq)
            .chain(deliveries.map(|record| record.job.seq()));
        let mut old: HashSet<MessageSeq> = said
            .filter(|seq| day_of_seq(*seq) < self.gone_before)
            .collect();
        if !old.is_empty() {
            let asked: Vec<MessageSeq> = old.iter().copied().collect();
            let there = self.rows.there(&asked).await?;
            old.retain(|seq| !there.contains(seq));
        }
        Ok(old)
    }

    async fn tidied(&mut self, work: &Tidy) -> Result<Tidied, StoreError> {
        Ok(match work {
            Tidy::DropDay(day) => Tidied::Day(self.rows.drop_day(*day).await?),
            Tidy::Delete(messages) => Tidied::Messages(self.rows.delete(messages).await?),
            Tidy::Redact(messages) => Tidied::Messages(self.rows.redact(messages).await?),
            Tidy::ComeTo(marks) => {
                self.rows.come_to(*marks).await?;
                Tidied::Done
            }
            Tidy::Erase(erase) => self.erase(erase).await?,
        })
    }

    async fn erase(&mut self, erase: &Erase) -> Result<Tidied, StoreError> {
        let messages = self.rows.erase(&erase.messages).await?;
        let receipts = match erase.receipts_about {
            Some(number) => self.rows.forget(number).await?,
            None => 0,
        };
        let changed = (erase.before.0 + messages, erase.before.1 + receipts);
        let left = erase.left + (erase.messages.len() as u64 - messages);
        let outcome = format!(
            "messages erased: {}, left as they are: {left}; receipts deleted: {}; recipients of \
             jobs and campaigns erased: {}; answers emptied: {}",
            changed.0, changed.1, erase.beside.0, erase.beside.1
        );
        let row = match erase.row {
            Some(row) => {
                self.rows.renote(row, &outcome).await?;
                row
            }
            None => {
                let entry = AuditEntry {
                    outcome: outcome.into(),
                    ..erase.entry.clone()
                };
                self.rows.note(&entry).await?
            }
        };
        Ok(Tidied::Erased {
            messages,
            receipts,
            row,
        })
    }
}
