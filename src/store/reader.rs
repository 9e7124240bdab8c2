//! Lives here: the readers of whichever store is open, behind one type.
//! Never here: SQL, writing.

use std::collections::HashSet;

use bytes::Bytes;

use super::control::{AuditEntry, HoldRow, Tally};
use super::desk::{Listed, Listing, Lists};
use super::hooks::{Deliveries, Delivery, DeliveryId, DeliveryPage, History, Past, PastPage};
use super::inbox::{InboxPage, InboxRow};
use super::jobs::{Board, Body, Campaign, ChunkView, Drafts, JobView, Standing, Whose};
use super::memo::{Answers, Memo, MemoKey};
#[cfg(test)]
use super::memory;
use super::people::{KeysOf, Roster};
use super::reads::{OrgBy, Reads, Response};
use super::rows::{AttemptId, Candidate};
use super::till::{Accounts, Check, Purchase};
use super::upkeep::{Held, Marks, Page, Span, Survey, Wanted};
use super::{MessageView, QueueRow, StoreError, TimelineEntry, sql};
use crate::domain::account::{ApiKey, Organisation};
use crate::domain::class::Class;
use crate::domain::ids::{
    CampaignId, CarrierId, CarrierIndex, JobId, KeyId, MessageId, MessageSeq, OrgId, Place, UserId,
};
use crate::domain::ledger::{Channel, Day, Purse, PurseId};
use crate::domain::message::Message;
use crate::domain::phone::Msisdn;
use crate::domain::price::Price;
use crate::domain::receipt::Receipt;
use crate::domain::time::Timestamp;
use crate::domain::user::User;
use crate::flow::Waiting;

/// The readers' side of an open store.
pub(super) enum Reader {
    Sql(sql::Reader),
    #[cfg(test)]
    Memory(memory::MemoryReader),
}

macro_rules! each {
    ($self:ident, $reader:ident => $asked:expr) => {
        match $self {
            Self::Sql($reader) => $asked,
            #[cfg(test)]
            Self::Memory($reader) => $asked,
        }
    };
}

impl Reads for Reader {
    async fn message(&self, org: OrgId, id: MessageId) -> Result<Option<MessageView>, StoreError> {
        each!(self, reader => reader.message(org, id).await)
    }

    async fn any_message(
        &self,
        id: MessageId,
    ) -> Result<Option<(MessageView, Box<str>)>, StoreError> {
        each!(self, reader => reader.any_message(id).await)
    }

    async fn timeline(&self, seq: MessageSeq) -> Result<Vec<TimelineEntry>, StoreError> {
        each!(self, reader => reader.timeline(seq).await)
    }

    async fn waiting(
        &self,
        lane: (CarrierIndex, Class),
        org: OrgId,
        after: Place,
        limit: u32,
    ) -> Result<Vec<Waiting>, StoreError> {
        each!(self, reader => reader.waiting(lane, org, after, limit).await)
    }

    async fn backlog(
        &self,
        lane: (CarrierIndex, Class),
    ) -> Result<Vec<(OrgId, Place)>, StoreError> {
        each!(self, reader => reader.backlog(lane).await)
    }

    async fn still_there(
        &self,
        carrier: CarrierIndex,
        messages: &[MessageSeq],
    ) -> Result<HashSet<MessageSeq>, StoreError> {
        each!(self, reader => reader.still_there(carrier, messages).await)
    }

    async fn in_doubt(&self, after: MessageSeq, limit: u32) -> Result<Vec<Waiting>, StoreError> {
        each!(self, reader => reader.in_doubt(after, limit).await)
    }

    async fn sandboxed(
        &self,
        after: MessageSeq,
        limit: u32,
    ) -> Result<Vec<(Message, Timestamp)>, StoreError> {
        each!(self, reader => reader.sandboxed(after, limit).await)
    }

    async fn queue(&self) -> Result<Vec<QueueRow>, StoreError> {
        each!(self, reader => reader.queue().await)
    }

    async fn tallies(&self) -> Result<Vec<Tally>, StoreError> {
        each!(self, reader => reader.tallies().await)
    }

    async fn ahead_of(&self, id: MessageId) -> Result<u64, StoreError> {
        each!(self, reader => reader.ahead_of(id).await)
    }

    async fn preview(
        &self,
        lane: (&str, Class),
        org: Option<OrgId>,
        accepted_before: Option<Timestamp>,
    ) -> Result<(u64, Vec<MessageId>), StoreError> {
        each!(self, reader => reader.preview(lane, org, accepted_before).await)
    }

    async fn candidate(&self, id: MessageId) -> Result<Option<Candidate>, StoreError> {
        each!(self, reader => reader.candidate(id).await)
    }

    async fn under_way(&self) -> Result<HashSet<MessageSeq>, StoreError> {
        each!(self, reader => reader.under_way().await)
    }

    async fn audit(&self, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        each!(self, reader => reader.audit(limit).await)
    }

    async fn holds(&self) -> Result<Vec<HoldRow>, StoreError> {
        each!(self, reader => reader.holds().await)
    }

    async fn inbox(&self, page: &InboxPage) -> Result<Vec<InboxRow>, StoreError> {
        each!(self, reader => reader.inbox(page).await)
    }

    async fn unmatched(
        &self,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<(CarrierIndex, u64)>, StoreError> {
        each!(self, reader => reader.unmatched(from, until).await)
    }

    async fn inbox_since(
        &self,
        carrier: &CarrierId,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<Receipt>, StoreError> {
        each!(self, reader => reader.inbox_since(carrier, since, limit).await)
    }

    async fn responses(
        &self,
        carrier: &CarrierId,
        after: AttemptId,
        limit: u32,
    ) -> Result<Vec<(Response, Msisdn)>, StoreError> {
        each!(self, reader => reader.responses(carrier, after, limit).await)
    }

    async fn before(&self, at: Timestamp) -> Result<MessageSeq, StoreError> {
        each!(self, reader => reader.before(at).await)
    }
}

impl Survey for Reader {
    async fn days(&self) -> Result<Vec<i64>, StoreError> {
        each!(self, reader => reader.days().await)
    }

    async fn held(&self, day: i64) -> Result<Held, StoreError> {
        each!(self, reader => reader.held(day).await)
    }

    async fn page(&self, span: Span, wanted: Wanted, limit: u32) -> Result<Page, StoreError> {
        each!(self, reader => reader.page(span, wanted, limit).await)
    }

    async fn awaited(&self, messages: &[MessageSeq]) -> Result<HashSet<MessageSeq>, StoreError> {
        each!(self, reader => reader.awaited(messages).await)
    }

    async fn about(&self, number: Msisdn) -> Result<u64, StoreError> {
        each!(self, reader => reader.about(number).await)
    }

    async fn marks(&self) -> Result<Marks, StoreError> {
        each!(self, reader => reader.marks().await)
    }
}

impl Roster for Reader {
    async fn key(&self, hash: &[u8; 32]) -> Result<Option<(ApiKey, Organisation)>, StoreError> {
        each!(self, reader => reader.key(hash).await)
    }

    async fn used_last(&self, limit: u32) -> Result<Vec<(ApiKey, Organisation)>, StoreError> {
        each!(self, reader => reader.used_last(limit).await)
    }

    async fn user(&self, id: UserId) -> Result<Option<(User, Organisation)>, StoreError> {
        each!(self, reader => reader.user(id).await)
    }

    async fn organisation(&self, by: OrgBy<'_>) -> Result<Option<Organisation>, StoreError> {
        each!(self, reader => reader.organisation(by).await)
    }

    async fn organisations(
        &self,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Organisation>, StoreError> {
        each!(self, reader => reader.organisations(after, limit).await)
    }

    async fn keys_of(&self, wanted: &KeysOf) -> Result<Vec<ApiKey>, StoreError> {
        each!(self, reader => reader.keys_of(wanted).await)
    }

    async fn key_by_id(&self, id: KeyId) -> Result<Option<ApiKey>, StoreError> {
        each!(self, reader => reader.key_by_id(id).await)
    }

    async fn users_of(&self, org: OrgId) -> Result<Vec<User>, StoreError> {
        each!(self, reader => reader.users_of(org).await)
    }
}

impl Accounts for Reader {
    async fn purses_of(&self, org: OrgId) -> Result<Vec<(Channel, Purse)>, StoreError> {
        each!(self, reader => reader.purses_of(org).await)
    }

    async fn ledger(&self, purse: PurseId, limit: u32) -> Result<Vec<Day>, StoreError> {
        each!(self, reader => reader.ledger(purse, limit).await)
    }

    async fn purchases(&self, purse: PurseId, limit: u32) -> Result<Vec<Purchase>, StoreError> {
        each!(self, reader => reader.purchases(purse, limit).await)
    }

    async fn prices(&self) -> Result<Vec<Price>, StoreError> {
        each!(self, reader => reader.prices().await)
    }

    async fn checks(&self, org: Option<OrgId>) -> Result<Vec<Check>, StoreError> {
        each!(self, reader => reader.checks(org).await)
    }
}

impl Lists for Reader {
    async fn list(&self, listing: &Listing) -> Result<Listed, StoreError> {
        each!(self, reader => reader.list(listing).await)
    }
}

impl Answers for Reader {
    async fn memo(&self, key: &MemoKey) -> Result<Option<Memo>, StoreError> {
        each!(self, reader => reader.memo(key).await)
    }

    async fn answers(
        &self,
        after: &MemoKey,
        limit: u32,
    ) -> Result<Vec<(MemoKey, Bytes)>, StoreError> {
        each!(self, reader => reader.answers(after, limit).await)
    }
}

impl Board for Reader {
    async fn job_view(&self, id: JobId) -> Result<Option<JobView>, StoreError> {
        each!(self, reader => reader.job_view(id).await)
    }

    async fn job_list(
        &self,
        of: Whose,
        before: Option<JobId>,
        limit: u32,
    ) -> Result<Vec<JobView>, StoreError> {
        each!(self, reader => reader.job_list(of, before, limit).await)
    }

    async fn due_jobs(
        &self,
        now: Timestamp,
        each: u32,
        limit: u32,
    ) -> Result<Vec<JobView>, StoreError> {
        each!(self, reader => reader.due_jobs(now, each, limit).await)
    }

    async fn chunks(&self, job: JobId) -> Result<Vec<ChunkView>, StoreError> {
        each!(self, reader => reader.chunks(job).await)
    }

    async fn bodies(&self, job: JobId, from: u32, until: u32) -> Result<Vec<Body>, StoreError> {
        each!(self, reader => reader.bodies(job, from, until).await)
    }

    async fn named(&self, after: (JobId, u32), limit: u32) -> Result<Vec<Body>, StoreError> {
        each!(self, reader => reader.named(after, limit).await)
    }

    async fn standings(
        &self,
        job: JobId,
        from: u32,
        until: u32,
    ) -> Result<Vec<Standing>, StoreError> {
        each!(self, reader => reader.standings(job, from, until).await)
    }

    async fn messages_of(
        &self,
        job: JobId,
        from: u32,
        until: u32,
    ) -> Result<Vec<MessageView>, StoreError> {
        each!(self, reader => reader.messages_of(job, from, until).await)
    }
}

impl Drafts for Reader {
    async fn campaigns(
        &self,
        whose: (OrgId, bool),
        before: Option<CampaignId>,
        limit: u32,
    ) -> Result<Vec<Campaign>, StoreError> {
        each!(self, reader => reader.campaigns(whose, before, limit).await)
    }

    async fn campaign(&self, org: OrgId, id: CampaignId) -> Result<Option<Campaign>, StoreError> {
        each!(self, reader => reader.campaign(org, id).await)
    }

    async fn campaign_face(
        &self,
        org: OrgId,
        id: CampaignId,
    ) -> Result<Option<Campaign>, StoreError> {
        each!(self, reader => reader.campaign_face(org, id).await)
    }

    async fn draft_after(&self, after: CampaignId) -> Result<Option<Campaign>, StoreError> {
        each!(self, reader => reader.draft_after(after).await)
    }
}

impl History for Reader {
    async fn delivery_page(&self, page: &DeliveryPage) -> Result<Deliveries, StoreError> {
        each!(self, reader => reader.delivery_page(page).await)
    }

    async fn past(&self, past: &Past) -> Result<PastPage, StoreError> {
        each!(self, reader => reader.past(past).await)
    }

    async fn delivery(&self, org: OrgId, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        each!(self, reader => reader.delivery(org, id).await)
    }
}
