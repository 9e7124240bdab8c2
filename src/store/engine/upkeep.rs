//! Lives here: retention, redaction and erasure as the writer does them: each in a transaction of
//! its own, between batches.
//! Never here: what is due (`housekeeping`), how rows are dropped (`rows`).

use super::{Engine, Unfinished};
use crate::store::StoreError;
use crate::store::control::AuditEntry;
use crate::store::rows::{Rows, Unkept};
use crate::store::upkeep::{Dropped, Erase, Tidied, Tidy};

impl<R: Rows> Engine<R> {
    /// Does it and commits it. Of what is [`Unfinished::Unknown`] there is nothing to tell anybody:
    /// it is asked for again.
    pub(in crate::store) async fn tidy(&mut self, work: &Tidy) -> Result<Tidied, Unfinished> {
        if let Tidy::DropDay(day) = work {
            // Before it is known whether it goes: to prepare a day twice does nothing.
            self.prepared.remove(day);
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
            "{} messages erased, {left} left as they are; {} receipts deleted",
            changed.0, changed.1
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
