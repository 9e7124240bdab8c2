//! Lives here: erasing a person's number from what has ended, some seconds at a time: no index
//! knows numbers (their order is random, and each accept would pay for it), so all messages are
//! looked through beside the writer, and what is found is changed in small rounds. First from what
//! waits to become messages (`waiting`), so that none comes to be behind the search.
//! Never here: SQL; who may ask (`admin`).

mod reached;
mod waiting;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

pub use self::reached::{NowhereError, Reached};
use super::control::AuditEntry;
use super::rows::day_of_seq;
use super::upkeep::{Erase, Span, Survey, Tidied, Tidy, Wanted};
use super::{Store, StoreError};
use crate::domain::ids::MessageSeq;
use crate::domain::message::State;
use crate::domain::phone::Msisdn;
use crate::telemetry::metrics::retention as meter;

/// Messages that a reader looks at in one statement: some milliseconds.
const PAGE: u32 = 4096;
/// Messages that one transaction changes, with their attempts.
const ROUND: usize = 64;

/// Whose messages are erased, and how far the search has come.
#[derive(Clone, Debug)]
pub struct Erasure {
    /// The number.
    pub number: Msisdn,
    /// Its country, by its ISO code, or all that share its calling code: there it may be typed as a
    /// local one.
    pub countries: Vec<Box<str>>,
    /// Behind what to go on.
    pub after: Reached,
    /// How long to work before an answer is given.
    pub span: Duration,
    /// The line of the audit, which says at the end what has been done; `None` = nothing is
    /// changed, only counted.
    pub entry: Option<AuditEntry>,
}

/// What has been found and done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Messages erased, or that would be.
    pub messages: u64,
    /// Receipts deleted from the inbox, or that would be.
    pub receipts: u64,
    /// Recipients taken out of bulk jobs and campaigns, or that would be.
    pub recipients: u64,
    /// Answers kept for an `Idempotency-Key` that were emptied, or would be.
    pub answers: u64,
    /// Messages left as they are because they have not ended.
    pub open: u64,
    /// Ended ones left as they are because their owners have not been told of it.
    pub untold: u64,
    /// The days of the messages, since 1970: a database keeps what was written over for a while.
    pub days: BTreeSet<i64>,
    /// Where to go on; `None` = all has been looked through.
    pub next: Option<Reached>,
}

impl Store {
    /// Looks through everything for a number and erases it: from messages, if they have ended and no
    /// event of them waits. May be asked for again at any time: what is erased is not found again.
    ///
    /// # Errors
    /// [`StoreError`]: what was done until then is kept; [`StoreError::InDoubt`] if that is, or may
    /// be, something.
    pub async fn erase(&self, erasure: Erasure) -> Result<Erased, StoreError> {
        let mut row = None;
        let done = self.erase_in_rounds(&erasure, &mut row).await;
        done.map_err(|error| error.after(row.is_some()))
    }

    /// `row` is the audit's, once it has been written.
    async fn erase_in_rounds(
        &self,
        erasure: &Erasure,
        row: &mut Option<i64>,
    ) -> Result<Erased, StoreError> {
        let begun = Instant::now();
        let mut erased = Erased::default();
        let mut reached = erasure.after;
        while let Some(next) = self.erase_page(reached, erasure, row, &mut erased).await? {
            reached = next;
            if begun.elapsed() >= erasure.span {
                if let (Some(entry), Some(_)) = (&erasure.entry, &row) {
                    // What is no message is told too.
                    self.erase_round((&[], None), entry, *row, &mut erased)
                        .await?;
                }
                erased.next = Some(reached);
                return Ok(erased);
            }
        }
        match &erasure.entry {
            None => erased.receipts = self.inner.reader.about(erasure.number).await?,
            Some(entry) => {
                let about = Some(erasure.number);
                self.erase_round((&[], about), entry, *row, &mut erased)
                    .await?;
            }
        }
        Ok(erased)
    }

    /// Looks at what comes next; returns how far that is.
    async fn erase_page(
        &self,
        reached: Reached,
        erasure: &Erasure,
        row: &mut Option<i64>,
        erased: &mut Erased,
    ) -> Result<Option<Reached>, StoreError> {
        Ok(Some(match reached {
            Reached::Draft(after) => self.erase_from_draft(after, erasure, row, erased).await?,
            Reached::Chunk(job, chunk) => {
                let after = (job, chunk);
                self.erase_from_jobs(after, erasure, row, erased).await?
            }
            Reached::Answer(after) => self.erase_from_answers(after, erasure, row, erased).await?,
            Reached::Message(after) => {
                let upto = self
                    .erase_from_messages(after, erasure, row, erased)
                    .await?;
                return Ok(upto.map(Reached::Message));
            }
        }))
    }

    async fn erase_from_messages(
        &self,
        after: MessageSeq,
        erasure: &Erasure,
        row: &mut Option<i64>,
        erased: &mut Erased,
    ) -> Result<Option<MessageSeq>, StoreError> {
        let span = Span {
            after,
            before: MessageSeq(i64::MAX),
        };
        let wanted = Wanted::To(erasure.number);
        let page = self.inner.reader.page(span, wanted, PAGE).await?;
        let chosen = self.erasable(&page.found, erased).await?;
        let days = chosen.iter().map(|(seq, _)| day_of_seq(*seq));
        erased.days.extend(days);
        match &erasure.entry {
            None => erased.messages += chosen.len() as u64,
            Some(entry) => {
                for round in chosen.chunks(ROUND) {
                    let round = self.erase_round((round, None), entry, *row, erased);
                    *row = Some(round.await?);
                }
            }
        }
        Ok(page.upto)
    }

    /// Those that may be erased; the others are counted.
    async fn erasable(
        &self,
        found: &[(MessageSeq, State)],
        erased: &mut Erased,
    ) -> Result<Vec<(MessageSeq, State)>, StoreError> {
        let ended = found
            .iter()
            .copied()
            .filter(|(_, state)| state.is_terminal());
        let mut ended: Vec<_> = ended.collect();
        erased.open += (found.len() - ended.len()) as u64;
        if !ended.is_empty() {
            let seqs: Vec<MessageSeq> = ended.iter().map(|(seq, _)| *seq).collect();
            let awaited = self.inner.reader.awaited(&seqs).await?;
            ended.retain(|(seq, _)| !awaited.contains(seq));
            erased.untold += (seqs.len() - ended.len()) as u64;
        }
        Ok(ended)
    }

    /// One round; returns the audit's row. A message that a late word has moved since it was found
    /// is left: its event waits now.
    async fn erase_round(
        &self,
        (messages, receipts_about): (&[(MessageSeq, State)], Option<Msisdn>),
        entry: &AuditEntry,
        row: Option<i64>,
        erased: &mut Erased,
    ) -> Result<i64, StoreError> {
        let asked = messages.len() as u64;
        let erase = Erase {
            messages: messages.to_vec(),
            receipts_about,
            entry: entry.clone(),
            row,
            before: (erased.messages, erased.receipts),
            beside: (erased.recipients, erased.answers),
            left: erased.open + erased.untold,
        };
        match self.tidy_soon(Tidy::Erase(erase)).await? {
            Tidied::Erased {
                messages,
                receipts,
                row,
            } => {
                meter::erased(messages);
                erased.messages += messages;
                erased.receipts += receipts;
                erased.untold += asked - messages;
                Ok(row)
            }
            Tidied::Done | Tidied::Day(_) | Tidied::Messages(_) => Err(StoreError::Closed),
        }
    }
}
