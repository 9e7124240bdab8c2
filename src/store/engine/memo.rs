//! Lives here: where a transaction meets what has been answered before: what repeats a request is
//! left out, what is done is noted with it.
//! Never here: SQL; what is worth noting.

use std::sync::Arc;

use super::Engine;
use crate::store::StoreError;
use crate::store::batch::{Accept, ChoreDone};
use crate::store::memo::{Known, Memo, MemoKey, MemoWork, Repeat};
use crate::store::rows::Rows;

impl<R: Rows> Engine<R> {
    /// What the requests behind these messages have been answered before. Asks nothing if none of
    /// them names itself.
    pub(super) async fn known(&mut self, accepts: &[Accept]) -> Result<Known, StoreError> {
        let memos = accepts.iter().filter_map(|accept| accept.memo.as_ref());
        let mut keys: Vec<MemoKey> = memos.map(|memo| memo.key).collect();
        if keys.is_empty() {
            return Ok(Known::default());
        }
        keys.sort_unstable();
        keys.dedup();
        Ok(Known::new(self.rows.memos(&keys).await?))
    }

    /// Whether a chore's request has been answered before: then it is not to be done.
    pub(super) async fn repeat(&mut self, memo: &Memo) -> Result<Option<Repeat>, StoreError> {
        let known = Known::new(self.rows.memos(&[memo.key]).await?);
        Ok(known.repeat(memo))
    }

    /// Notes what a chore's request is answered; in the transaction that does it.
    pub(super) async fn note_memo(&mut self, memo: &Arc<Memo>) -> Result<(), StoreError> {
        self.rows.put_memos(&[Arc::clone(memo)]).await
    }

    /// Does what is asked about answers alone.
    pub(super) async fn memo(&mut self, work: &MemoWork) -> Result<ChoreDone, StoreError> {
        Ok(match work {
            MemoWork::Keep(memo) => {
                let repeat = self.repeat(memo).await?;
                if repeat.is_none() {
                    self.note_memo(memo).await?;
                }
                ChoreDone::Kept(repeat)
            }
            MemoWork::Empty(keys) => {
                self.rows.empty_memos(keys).await?;
                ChoreDone::Count(keys.len() as u64)
            }
            MemoWork::Drop { before, limit } => {
                ChoreDone::Count(self.rows.drop_memos(*before, *limit).await?)
            }
        })
    }
}
