//! Lives here: the databases' faces for retention, redaction and erasure: the writer's and the
//! readers'.
//! Never here: statements (`retain`).

use std::collections::HashSet;

use super::db::Conn;
use super::{ANSWER, Reader, Sql, lost, reader, retain, rows, within};
use crate::domain::ids::MessageSeq;
use crate::domain::message::State;
use crate::domain::phone::Msisdn;
use crate::store::StoreError;
use crate::store::upkeep::{Dropped, Held, Marks, Page, Span, Survey, Upkeep, Wanted};

impl Upkeep for Sql {
    async fn drop_day(&mut self, day: i64) -> Result<Dropped, StoreError> {
        // Gone only when that is committed.
        self.days = None;
        rows::ask!(self, |db| retain::drop_day(db, day))
    }

    async fn delete(&mut self, messages: &[(MessageSeq, State)]) -> Result<u64, StoreError> {
        rows::ask!(self, |db| retain::delete(db, messages))
    }

    async fn there(&mut self, messages: &[MessageSeq]) -> Result<HashSet<MessageSeq>, StoreError> {
        rows::ask!(self, |db| retain::there(db, messages))
    }

    async fn redact(&mut self, messages: &[MessageSeq]) -> Result<u64, StoreError> {
        rows::ask!(self, |db| retain::redact(db, messages))
    }

    async fn erase(&mut self, messages: &[(MessageSeq, State)]) -> Result<u64, StoreError> {
        rows::ask!(self, |db| retain::erase(db, messages))
    }

    async fn forget(&mut self, number: Msisdn) -> Result<u64, StoreError> {
        rows::ask!(self, |db| retain::forget(db, number))
    }

    async fn come_to(&mut self, marks: Marks) -> Result<(), StoreError> {
        rows::ask!(self, |db| retain::come_to(db, marks))
    }
}

impl Survey for Reader {
    async fn days(&self) -> Result<Vec<i64>, StoreError> {
        reader::ask!(self, |db| retain::all_days(db))
    }

    async fn held(&self, day: i64) -> Result<Held, StoreError> {
        reader::ask!(self, |db| retain::held(db, day))
    }

    async fn page(&self, span: Span, wanted: Wanted, limit: u32) -> Result<Page, StoreError> {
        reader::ask!(self, |db| retain::page(db, span, wanted, limit))
    }

    async fn awaited(&self, messages: &[MessageSeq]) -> Result<HashSet<MessageSeq>, StoreError> {
        reader::ask!(self, |db| retain::awaited(db, messages))
    }

    async fn about(&self, number: Msisdn) -> Result<u64, StoreError> {
        reader::ask!(self, |db| retain::about(db, number))
    }

    async fn marks(&self) -> Result<Marks, StoreError> {
        reader::ask!(self, |db| retain::marks(db))
    }
}
