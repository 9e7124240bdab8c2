//! Lives here: what requests that name themselves have been answered, in the model.
//! Never here: which requests repeat one (`store::memo`).

use std::sync::Arc;

use bytes::Bytes;

use super::table::Row;
use super::{Memory, MemoryReader, once};
use crate::domain::time::Timestamp;
use crate::store::StoreError;
use crate::store::memo::{Answers, Memo, MemoKey, Memos};

type Answer<T> = Result<T, StoreError>;

impl Row for Memo {
    type Key = MemoKey;
    type Mark = Timestamp;

    fn key(&self) -> MemoKey {
        self.key
    }

    fn marks(&self) -> Vec<Timestamp> {
        vec![self.at]
    }
}

impl Memos for Memory {
    async fn memos(&mut self, keys: &[MemoKey]) -> Answer<Vec<Memo>> {
        let memos = &self.tables()?.0.memos;
        Ok(keys
            .iter()
            .filter_map(|key| memos.get(key))
            .cloned()
            .collect())
    }

    async fn put_memos(&mut self, memos: &[Arc<Memo>]) -> Answer<()> {
        once(memos, |memo| memo.key);
        let table = &mut self.tables()?.0.memos;
        for memo in memos {
            assert!(table.insert((**memo).clone()), "it was looked for before");
        }
        Ok(())
    }

    async fn empty_memos(&mut self, keys: &[MemoKey]) -> Answer<()> {
        let table = &mut self.tables()?.0.memos;
        for key in keys {
            table.change(key, |_| true, |memo| memo.body = Bytes::new());
        }
        Ok(())
    }

    async fn drop_memos(&mut self, before: Timestamp, limit: u32) -> Answer<u64> {
        let table = &mut self.tables()?.0.memos;
        let mut old = table.keys(..before);
        old.truncate(limit as usize);
        for key in &old {
            table.remove(key);
        }
        Ok(old.len() as u64)
    }
}

impl Answers for MemoryReader {
    async fn memo(&self, key: &MemoKey) -> Answer<Option<Memo>> {
        self.look(|tables, _| tables.memos.get(key).cloned())
    }

    async fn answers(&self, after: &MemoKey, limit: u32) -> Answer<Vec<(MemoKey, Bytes)>> {
        self.look(|tables, _| {
            let behind = tables.memos.all().filter(|memo| memo.key > *after);
            let answers = behind.map(|memo| (memo.key, memo.body.clone()));
            answers.take(limit as usize).collect()
        })
    }
}
