//! Lives here: what has been answered to requests that name themselves (`Idempotency-Key`): kept in
//! the transaction of what they asked for, so that a repetition is told the same and does nothing.
//! Never here: SQL; what a key is made of and what is worth keeping (`api`).

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::asking::own;
use super::batch::{Chore, ChoreDone};
use super::{Store, StoreError};
use crate::domain::time::Timestamp;

/// How long an answer is kept at least.
pub const KEPT: Duration = Duration::from_secs(24 * 3600);

/// What a request is called by: a hash of whose it is, what it is for, and its own name.
pub type MemoKey = [u8; 32];

/// An answer.
#[derive(Clone, PartialEq, Eq)]
pub struct Memo {
    /// The request's.
    pub key: MemoKey,
    /// A hash of its body, by which another request of the same name is told from a repetition.
    pub fingerprint: [u8; 32],
    /// The answer's status.
    pub status: u16,
    /// The answer's body: it may hold a message's text. Empty: it held a number that has been erased.
    pub body: Bytes,
    /// When it was given.
    pub at: Timestamp,
}

impl fmt::Debug for Memo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memo")
            .field("status", &self.status)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

/// Why a request that names itself is not carried out: one of its name has been.
#[derive(Clone, Debug)]
pub enum Repeat {
    /// It is the same one: this was answered.
    Replay(Arc<Memo>),
    /// It is another one.
    Reused,
}

impl Repeat {
    /// What a request is, in the light of what one of its name was answered.
    fn of(known: &Arc<Memo>, fingerprint: &[u8; 32]) -> Self {
        if known.fingerprint == *fingerprint {
            Self::Replay(Arc::clone(known))
        } else {
            Self::Reused
        }
    }
}

/// What a batch's requests have been answered before, or are with this batch.
#[derive(Debug, Default)]
pub(super) struct Known {
    all: HashMap<MemoKey, Arc<Memo>>,
    /// Those that this batch is to write.
    pub(super) new: Vec<Arc<Memo>>,
}

impl Known {
    /// What has been answered before.
    pub(super) fn new(before: Vec<Memo>) -> Self {
        let all = before.into_iter().map(|memo| (memo.key, Arc::new(memo)));
        Self {
            all: all.collect(),
            new: Vec::new(),
        }
    }

    /// Whether a request has been answered.
    pub(super) fn repeat(&self, memo: &Memo) -> Option<Repeat> {
        let known = self.all.get(&memo.key)?;
        Some(Repeat::of(known, &memo.fingerprint))
    }

    /// It is now.
    pub(super) fn add(&mut self, memo: &Arc<Memo>) {
        self.all.insert(memo.key, Arc::clone(memo));
        self.new.push(Arc::clone(memo));
    }
}

/// The changes, each within the open transaction.
pub(super) trait Memos {
    /// Those of these answers that there are, in no order.
    async fn memos(&mut self, keys: &[MemoKey]) -> Result<Vec<Memo>, StoreError>;

    /// Writes answers, each once. One that is there already is an error where another daemon may
    /// have written it: the whole is tried again, and finds it.
    async fn put_memos(&mut self, memos: &[Arc<Memo>]) -> Result<(), StoreError>;

    /// Empties these answers: what was asked for stays done, and is not done again.
    async fn empty_memos(&mut self, keys: &[MemoKey]) -> Result<(), StoreError>;

    /// Drops at most `limit` answers given before a time, the oldest first; returns how many.
    async fn drop_memos(&mut self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;
}

/// What is read beside the writer.
pub(super) trait Answers {
    /// An answer.
    async fn memo(&self, key: &MemoKey) -> Result<Option<Memo>, StoreError>;

    /// The first answers behind this one, in the order of their keys.
    async fn answers(
        &self,
        after: &MemoKey,
        limit: u32,
    ) -> Result<Vec<(MemoKey, Bytes)>, StoreError>;
}

/// What the writer is asked for.
#[derive(Debug)]
pub(super) enum MemoWork {
    /// To keep an answer that goes with nothing else.
    Keep(Arc<Memo>),
    /// As [`Memos::empty_memos`].
    Empty(Vec<MemoKey>),
    /// As [`Memos::drop_memos`].
    Drop { before: Timestamp, limit: u32 },
}

impl Store {
    /// Keeps an answer that goes with nothing else, a refusal; a repetition is told instead what was
    /// answered first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] at once while commits fail, [`StoreError::Closed`],
    /// [`StoreError::Unfit`]: it was not kept. [`StoreError::InDoubt`]: it may have been.
    pub async fn keep_answer(&self, memo: Arc<Memo>) -> Result<Option<Repeat>, StoreError> {
        let keep = Chore::Memo(MemoWork::Keep(memo));
        Ok(own!(self.errand(keep).await?, ChoreDone::Kept(repeat) => repeat))
    }

    /// What the request of this name was answered, if it was; `fingerprint` tells whether it is
    /// the same one.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn answered(
        &self,
        key: &MemoKey,
        fingerprint: &[u8; 32],
    ) -> Result<Option<Repeat>, StoreError> {
        let known = self.inner.reader.memo(key).await?;
        Ok(known.map(|known| Repeat::of(&Arc::new(known), fingerprint)))
    }

    /// Empties these answers, for an operator.
    pub(super) async fn empty_answers(&self, keys: Vec<MemoKey>) -> Result<u64, StoreError> {
        let empty = Chore::Memo(MemoWork::Empty(keys));
        Ok(own!(self.command(empty, None).await?, ChoreDone::Count(count) => count))
    }

    /// Drops at most `limit` answers given before a time, the oldest first; returns how many.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] at once while commits fail, [`StoreError::Closed`].
    pub async fn drop_answers(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.count(Chore::Memo(MemoWork::Drop { before, limit }))
            .await
    }
}
