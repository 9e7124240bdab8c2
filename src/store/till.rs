//! Lives here: what money asks of the rows and of the writer: purses, the ledger, purchases, prices.
//! Never here: SQL; how amounts move (`domain::ledger`); what a message costs (`ingest`).

use std::sync::Arc;

use arc_swap::Guard;

use super::asking::own;
use super::batch::{Chore, ChoreDone};
use super::control::AuditEntry;
use super::{Store, StoreError};
use crate::domain::credits::Credits;
use crate::domain::ids::OrgId;
use crate::domain::ledger::{Account, Channel, Day, Moved, Purse, PurseId, Shortfall, Sum};
use crate::domain::price::{Price, PriceList, Scope};
use crate::domain::time::Timestamp;

/// What was bought, or taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purchase {
    /// Whose purse.
    pub purse: PurseId,
    /// The operator's own, of a receipt or an invoice: one counts once.
    pub reference: Box<str>,
    /// When.
    pub at: Timestamp,
    /// How much; negative: taken back.
    pub amount: Credits,
    /// Why, for people.
    pub note: Box<str>,
}

/// What came of a purchase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bought {
    /// The purse as it is now.
    Done(Purse),
    /// Its reference has been used before: nothing was changed.
    Known,
    /// More was to be taken back than there is: nothing was changed.
    Short(Shortfall),
    /// There is no such purse.
    Missing,
}

/// A purse and what it must agree with, all of one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    /// Whose.
    pub id: PurseId,
    /// As it is kept.
    pub purse: Purse,
    /// What its ledger says of all days before its last.
    pub before: Moved,
    /// What all open messages that no carrier has taken cost together, and how many they are; with
    /// those that bulk jobs have yet to make.
    pub open: Sum,
}

impl Check {
    /// Where they disagree, in words; empty if they do not.
    pub fn differences(&self) -> Vec<String> {
        let ledger = self.purse.differences(&self.before).into_iter();
        let mut told: Vec<String> = ledger
            .map(|(account, kept, summed)| {
                let account = account.name();
                format!("{account} is {kept}, the ledger says {summed}")
            })
            .collect();
        if self.purse.reserved != self.open.amount {
            told.push(format!(
                "{} is {}, but {} open messages cost {}",
                Account::Reserved.name(),
                self.purse.reserved,
                self.open.count,
                self.open.amount
            ));
        }
        told
    }
}

/// The changes, each within the open transaction.
pub(super) trait Till {
    /// Every purse.
    async fn purses(&mut self) -> Result<Vec<(PurseId, Purse)>, StoreError>;

    /// Writes purses, each once, instead of what was known of them.
    async fn put_purses(&mut self, purses: &[(PurseId, Purse)]) -> Result<(), StoreError>;

    /// Writes days that are over into the ledger, each once and for good.
    async fn post(&mut self, days: &[(PurseId, Day)]) -> Result<(), StoreError>;

    /// Writes a purchase; `false`: its reference has been used.
    async fn note_purchase(&mut self, purchase: &Purchase) -> Result<bool, StoreError>;

    /// Writes a price, instead of one of the same scope.
    async fn put_price(&mut self, price: &Price) -> Result<(), StoreError>;

    /// Takes a price away; `false`: there is none of this scope.
    async fn remove_price(&mut self, scope: &Scope) -> Result<bool, StoreError>;
}

/// What is read beside the writer.
pub(super) trait Accounts {
    /// An organisation's purses, by channel.
    async fn purses_of(&self, org: OrgId) -> Result<Vec<(Channel, Purse)>, StoreError>;

    /// A purse's last days on which something moved, newest first; its open day is one of them.
    async fn ledger(&self, purse: PurseId, limit: u32) -> Result<Vec<Day>, StoreError>;

    /// A purse's last purchases, newest first.
    async fn purchases(&self, purse: PurseId, limit: u32) -> Result<Vec<Purchase>, StoreError>;

    /// All prices, in no order.
    async fn prices(&self) -> Result<Vec<Price>, StoreError>;

    /// An organisation's purses, or all, each with what it must agree with; of one moment.
    async fn checks(&self, org: Option<OrgId>) -> Result<Vec<Check>, StoreError>;
}

/// What the writer is asked for.
#[derive(Debug)]
pub(super) enum TillWork {
    Buy(Purchase),
    Threshold(PurseId, Credits),
    SetPrice(Price),
    RemovePrice(Scope),
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(super) enum TillDone {
    Bought(Bought),
    /// Whether there was something to change.
    Changed(bool),
}

impl TillDone {
    /// The audit's word for what was not done.
    pub(super) const fn refusal(self) -> Option<&'static str> {
        match self {
            Self::Bought(Bought::Done(_)) | Self::Changed(true) => None,
            Self::Bought(Bought::Known) => Some("refused: this reference has been used"),
            Self::Bought(Bought::Short(_)) => Some("refused: there is less than that"),
            Self::Bought(Bought::Missing) | Self::Changed(false) => {
                Some("refused: there is no such thing")
            }
        }
    }
}

impl Store {
    /// Buys credits, or takes some back.
    ///
    /// # Errors
    /// As for every operator's command ([`StoreError::Unavailable`]: nothing was done;
    /// [`StoreError::InDoubt`]).
    pub async fn buy(&self, purchase: Purchase, audit: AuditEntry) -> Result<Bought, StoreError> {
        let done = self.till(TillWork::Buy(purchase), audit).await?;
        Ok(own!(done, TillDone::Bought(bought) => bought))
    }

    /// Sets the balance from which on down a purse counts as low; `false`: there is no such purse.
    ///
    /// # Errors
    /// As [`Store::buy`].
    pub async fn set_threshold(
        &self,
        purse: PurseId,
        threshold: Credits,
        audit: AuditEntry,
    ) -> Result<bool, StoreError> {
        self.change(TillWork::Threshold(purse, threshold), audit)
            .await
    }

    /// Sets a price. What is accepted from then on costs that.
    ///
    /// # Errors
    /// As [`Store::buy`].
    pub async fn set_price(&self, price: Price, audit: AuditEntry) -> Result<(), StoreError> {
        let done = self.reprice(TillWork::SetPrice(price), audit).await;
        done.map(drop)
    }

    /// Takes a price away; `false`: there is none of this scope.
    ///
    /// # Errors
    /// As [`Store::buy`].
    pub async fn remove_price(&self, scope: Scope, audit: AuditEntry) -> Result<bool, StoreError> {
        self.reprice(TillWork::RemovePrice(scope), audit).await
    }

    /// The prices of now. Cheap; not to be held across a wait.
    pub fn prices(&self) -> Guard<Arc<PriceList>> {
        self.inner.prices.load()
    }

    /// Changes a price, and has it in force. Changes follow one another: the last one to read has
    /// read them all.
    async fn reprice(&self, work: TillWork, audit: AuditEntry) -> Result<bool, StoreError> {
        let _turn = self.inner.repricing.lock().await;
        let changed = self.change(work, audit).await?;
        // It is written: not to be told as if nothing were.
        let prices = self.inner.reader.prices().await;
        let prices = prices.map_err(|_| StoreError::InDoubt)?;
        self.inner.prices.store(Arc::new(PriceList::new(prices)));
        Ok(changed)
    }

    /// An organisation's purses, by channel.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn purses_of(&self, org: OrgId) -> Result<Vec<(Channel, Purse)>, StoreError> {
        self.inner.reader.purses_of(org).await
    }

    /// A purse's last days on which something moved, newest first. The first may not be over.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn ledger(&self, purse: PurseId, limit: u32) -> Result<Vec<Day>, StoreError> {
        self.inner.reader.ledger(purse, limit).await
    }

    /// A purse's last purchases, newest first.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn purchases(&self, purse: PurseId, limit: u32) -> Result<Vec<Purchase>, StoreError> {
        self.inner.reader.purchases(purse, limit).await
    }

    /// An organisation's purses, or all, each with what it must agree with. All is of one moment, so
    /// that it agrees while messages move as well. Reads every open message.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn check_purses(&self, org: Option<OrgId>) -> Result<Vec<Check>, StoreError> {
        self.inner.reader.checks(org).await
    }

    async fn change(&self, work: TillWork, audit: AuditEntry) -> Result<bool, StoreError> {
        let done = self.till(work, audit).await?;
        Ok(own!(done, TillDone::Changed(changed) => changed))
    }

    async fn till(&self, work: TillWork, audit: AuditEntry) -> Result<TillDone, StoreError> {
        let done = self.command(Chore::Till(work), Some(audit)).await?;
        Ok(own!(done, ChoreDone::Till(done) => done))
    }
}
