//! Lives here: the store's face for receipts without an attempt: keeping their inbox within its
//! bounds, proofs, and what operators look at, replay and drop; and what applying receipts tells.
//! Never here: SQL, HTTP.

use std::time::Duration;

use mnara_smpp::receipt::IdDialect;

use super::asking::own;
use super::batch::{Chore, ChoreDone};
use super::reads::Reads;
use super::rows::AttemptId;
use super::{AuditEntry, Store, StoreError, replay};
use crate::domain::class::Class;
use crate::domain::ids::{CarrierId, CarrierIndex, ReceiptKey};
use crate::domain::learn::Samples;
use crate::domain::lifecycle::SegmentState;
use crate::domain::message::State;
use crate::domain::phone::Msisdn;
use crate::domain::receipt::Receipt;
use crate::domain::time::Timestamp;
use crate::flow::ReceiptResult;

/// Receipts of one transaction of a replay.
const REPLAY_ROUND: usize = 256;

/// What commits have made of receipts beyond the answers to those who brought them.
#[derive(Debug, Default)]
pub struct ReceiptNews {
    /// Parked receipts that an outcome or a proof brought home: whose, what they said (`None` =
    /// an intermediate state), what it came to.
    pub unparked: Vec<(CarrierId, Option<SegmentState>, ReceiptResult)>,
    /// Accounts whose attempts in doubt were proven to be taken, one entry for each attempt.
    pub proven: Vec<CarrierIndex>,
    /// Messages that receipts have ended.
    pub ended: Vec<Ended>,
}

impl ReceiptNews {
    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.unparked.is_empty() && self.proven.is_empty() && self.ended.is_empty()
    }
}

/// A message that a receipt has ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// The account whose receipt it was.
    pub carrier: CarrierIndex,
    /// Whom the message was for.
    pub to: Msisdn,
    /// Its class.
    pub class: Class,
    /// How it ended.
    pub state: State,
    /// From the carrier's yes to the receipt; `None` if the yes is not known.
    pub took: Option<Duration>,
}

/// The bounds of the inbox.
#[derive(Clone, Copy, Debug)]
pub struct Keeping {
    /// Now.
    pub at: Timestamp,
    /// How long a receipt is tried with each outcome; then it is in quarantine.
    pub parked_ttl: Duration,
    /// How many are tried; the oldest beyond go into quarantine.
    pub parked_max: u32,
    /// How long it is kept there.
    pub quarantine_ttl: Duration,
    /// How many are kept there; the oldest beyond are dropped.
    pub quarantine_max: u32,
}

/// What keeping the bounds came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Receipts that went into quarantine.
    pub quarantined: u64,
    /// Receipts that were dropped from it.
    pub dropped: u64,
}

/// The two halves of the inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inbox {
    /// Tried with each outcome that brings their id.
    Parked,
    /// For people.
    Quarantine,
}

/// Which receipts are asked for.
#[derive(Clone, Debug)]
pub struct InboxPage {
    /// Which half.
    pub inbox: Inbox,
    /// Of one account only.
    pub carrier: Option<CarrierId>,
    /// That came at this time or later.
    pub since: Timestamp,
    /// How many to skip, the newest first.
    pub offset: u32,
    /// How many at most.
    pub limit: u32,
}

/// A receipt without an attempt, as people may see it.
#[derive(Clone, Debug)]
pub struct InboxRow {
    /// Whose.
    pub carrier: CarrierId,
    /// The id as the carrier wrote it.
    pub raw_id: Box<str>,
    /// The id by the rule of its time.
    pub normalised: Box<str>,
    /// What it says; `None` = an intermediate state.
    pub state: Option<SegmentState>,
    /// The state as the carrier spelt it.
    pub stat: Box<str>,
    /// The error as the carrier spelt it.
    pub err: Box<str>,
    /// The carrier's own date.
    pub done_date: Box<str>,
    /// The recipient, masked, if it named one.
    pub recipient: Option<Box<str>>,
    /// When it came.
    pub received_at: Timestamp,
    /// Since when it is in quarantine.
    pub quarantined_at: Option<Timestamp>,
}

/// A request to try an account's unmatched receipts again by its present rule for ids.
#[derive(Clone, Debug)]
pub struct Replay {
    /// Which account.
    pub carrier: CarrierId,
    /// Its rules now, for responses too: those of the time stand in the attempts' rows.
    pub ids: IdDialect,
    /// Receipts that came at this time or later.
    pub since: Timestamp,
    /// How many receipts at most, the oldest first; 1 to 100,000.
    pub limit: u32,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// What a replay came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Receipts that have found their attempts.
    pub matched: u64,
    /// Receipts that have not, and stay where they are.
    pub unmatched: u64,
}

/// A receipt of the inbox with the attempt that it belongs to by the rules now in force.
#[derive(Clone, Debug)]
pub(super) struct Match {
    /// As it is in the inbox, with the id of its time.
    pub(super) receipt: Receipt,
    /// Its id now.
    pub(super) normalised: Box<str>,
    /// Its key now.
    pub(super) key: ReceiptKey,
    /// The attempts that have this id now.
    pub(super) attempts: Vec<AttemptId>,
}

/// Rare work of the writer on the inbox.
#[derive(Debug)]
pub(super) enum InboxWork {
    Keep(Keeping),
    Prove {
        from: Timestamp,
        now: Timestamp,
    },
    Replay {
        matches: Vec<Match>,
    },
    Discard {
        carrier: CarrierId,
        before: Timestamp,
    },
}

/// What it came to.
#[derive(Debug, Default)]
pub(super) struct InboxDone {
    pub(super) kept: Kept,
    pub(super) count: u64,
}

impl Store {
    /// Keeps the inbox of receipts within its bounds.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] at once while commits fail, [`StoreError::Closed`].
    pub async fn keep_receipts(&self, keeping: Keeping) -> Result<Kept, StoreError> {
        let work = Chore::Receipts(InboxWork::Keep(keeping));
        Ok(inbox_done(self.errand(work).await?).kept)
    }

    /// Looks whether receipts that came since `from` and have waited long enough for their
    /// responses (`domain::proof::RIPE`) prove that attempts in doubt were taken; returns how
    /// many did.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] at once while commits fail, [`StoreError::Closed`].
    pub async fn prove_receipts(&self, from: Timestamp, now: Timestamp) -> Result<u64, StoreError> {
        let work = Chore::Receipts(InboxWork::Prove { from, now });
        Ok(inbox_done(self.errand(work).await?).count)
    }

    /// Drops an account's receipts in quarantine that came before a time; returns how many.
    ///
    /// # Errors
    /// As of [`Store::create_org`].
    pub async fn drop_receipts(
        &self,
        carrier: CarrierId,
        before: Timestamp,
        audit: Option<AuditEntry>,
    ) -> Result<u64, StoreError> {
        let work = Chore::Receipts(InboxWork::Discard { carrier, before });
        Ok(inbox_done(self.command(work, audit).await?).count)
    }

    /// A page of the receipts that have found no attempt, the newest first.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub async fn inbox(&self, page: &InboxPage) -> Result<Vec<InboxRow>, StoreError> {
        self.inner.reader.inbox(page).await
    }

    /// How many receipts that came from `from` until before `until` have found no attempt, by
    /// account.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn unmatched_receipts(
        &self,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<(CarrierIndex, u64)>, StoreError> {
        self.inner.reader.unmatched(from, until).await
    }

    /// Tries an account's unmatched receipts again, each with the attempts since three days
    /// before it that have no final receipt: both ids by the account's present rules. Reads
    /// through those attempts: seconds for millions. The audit's line is written with the first
    /// of its commits; where nothing matches there is none.
    ///
    /// # Errors
    /// As of [`Store::create_org`], and [`StoreError::Sql`], [`StoreError::Corrupt`]: what was done
    /// before stays done, and may be asked for again.
    pub async fn replay_receipts(
        &self,
        replay: &Replay,
        mut audit: Option<AuditEntry>,
    ) -> Result<Replayed, StoreError> {
        let (matches, unmatched) = replay::matches(&self.inner.reader, replay).await?;
        let mut done = Replayed {
            matched: matches.len() as u64,
            unmatched,
        };
        if replay.dry_run {
            return Ok(done);
        }
        done.matched = 0;
        let mut begun = false;
        let mut rest = matches.into_iter().peekable();
        while rest.peek().is_some() {
            let matches: Vec<Match> = rest.by_ref().take(REPLAY_ROUND).collect();
            let asked = matches.len() as u64;
            let work = Chore::Receipts(InboxWork::Replay { matches });
            let round = self.command(work, audit.take()).await;
            let round = round.map_err(|error| error.after(begun))?;
            begun = true;
            let matched = inbox_done(round).count;
            done.matched += matched;
            done.unmatched += asked.saturating_sub(matched);
        }
        Ok(done)
    }

    /// Ids of an account's responses without receipts, and of its receipts without responses,
    /// since a time: what its rules for ids can be learnt from (`domain::learn`).
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub async fn id_samples(
        &self,
        carrier: &CarrierId,
        since: Timestamp,
        limit: u32,
    ) -> Result<Samples, StoreError> {
        replay::samples(&self.inner.reader, carrier, since, limit).await
    }
}

fn inbox_done(done: ChoreDone) -> InboxDone {
    own!(done, ChoreDone::Receipts(done) => done)
}
