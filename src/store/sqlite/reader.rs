//! Lives here: the readers' face of the embedded store, one line for each question.
//! Never here: SQL (`read`, `people`).

use std::collections::HashSet;

use super::receipts::{inbox, replay};
use super::{OrgBy, Reader, control, people, read};
use crate::domain::account::{ApiKey, Organisation};
use crate::domain::class::Class;
use crate::domain::ids::{CarrierId, CarrierIndex, MessageId, MessageSeq, OrgId, Place};
use crate::domain::learn::Samples;
use crate::domain::time::Timestamp;
use crate::flow::Waiting;
use crate::store::inbox::{InboxPage, InboxRow, Match, Replay};
use crate::store::{AuditEntry, HoldRow, MessageView, QueueRow, StoreError, Tally, TimelineEntry};

impl Reader {
    pub(in crate::store) async fn message(
        &self,
        org: OrgId,
        id: MessageId,
    ) -> Result<Option<MessageView>, StoreError> {
        read::message(&self.pool, &self.carriers, org, id).await
    }

    pub(in crate::store) async fn timeline(
        &self,
        seq: MessageSeq,
    ) -> Result<Vec<TimelineEntry>, StoreError> {
        read::timeline(&self.pool, seq).await
    }

    pub(in crate::store) async fn waiting(
        &self,
        lane: (CarrierIndex, Class),
        org: OrgId,
        after: Place,
        limit: u32,
    ) -> Result<Vec<Waiting>, StoreError> {
        read::waiting(&self.pool, &self.carriers, (lane, org), after, limit).await
    }

    pub(in crate::store) async fn backlog(
        &self,
        lane: (CarrierIndex, Class),
    ) -> Result<Vec<(OrgId, Place)>, StoreError> {
        read::backlog(&self.pool, &self.carriers, lane).await
    }

    pub(in crate::store) async fn still_there(
        &self,
        carrier: CarrierIndex,
        messages: &[MessageSeq],
    ) -> Result<HashSet<MessageSeq>, StoreError> {
        read::still_there(&self.pool, &self.carriers, carrier, messages).await
    }

    pub(in crate::store) async fn in_doubt(
        &self,
        after: MessageSeq,
        limit: u32,
    ) -> Result<Vec<Waiting>, StoreError> {
        read::in_doubt(&self.pool, &self.carriers, after, limit).await
    }

    pub(in crate::store) async fn queue(&self) -> Result<Vec<QueueRow>, StoreError> {
        read::queue(&self.pool).await
    }

    pub(in crate::store) async fn audit(&self, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        control::audit(&self.pool, limit).await
    }

    pub(in crate::store) async fn holds(&self) -> Result<Vec<HoldRow>, StoreError> {
        control::holds(&self.pool).await
    }

    pub(in crate::store) async fn tallies(&self) -> Result<Vec<Tally>, StoreError> {
        control::tallies(&self.pool).await
    }

    pub(in crate::store) async fn preview(
        &self,
        lane: (&str, Class),
        org: Option<OrgId>,
        accepted_before: Option<Timestamp>,
    ) -> Result<(u64, Vec<MessageId>), StoreError> {
        control::preview(&self.pool, lane, org, accepted_before).await
    }

    pub(in crate::store) async fn any_message(
        &self,
        id: MessageId,
    ) -> Result<Option<(MessageView, Box<str>)>, StoreError> {
        control::any_message(&self.pool, &self.carriers, id).await
    }

    pub(in crate::store) async fn ahead_of(&self, id: MessageId) -> Result<u64, StoreError> {
        control::ahead_of(&self.pool, id).await
    }

    pub(in crate::store) async fn inbox(
        &self,
        page: &InboxPage,
    ) -> Result<Vec<InboxRow>, StoreError> {
        inbox::list(&self.pool, page).await
    }

    pub(in crate::store) async fn unmatched(
        &self,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<(CarrierIndex, u64)>, StoreError> {
        inbox::unmatched(&self.pool, &self.carriers, from, until).await
    }

    pub(in crate::store) async fn replay(
        &self,
        replay: &Replay,
    ) -> Result<(Vec<Match>, u64), StoreError> {
        replay::matches(&self.pool, replay).await
    }

    pub(in crate::store) async fn id_samples(
        &self,
        carrier: &CarrierId,
        since: Timestamp,
        limit: u32,
    ) -> Result<Samples, StoreError> {
        replay::samples(&self.pool, carrier, since, limit).await
    }

    pub(in crate::store) async fn key(
        &self,
        hash: &[u8; 32],
    ) -> Result<Option<(ApiKey, Organisation)>, StoreError> {
        people::key(&self.pool, hash).await
    }

    pub(in crate::store) async fn organisation(
        &self,
        by: OrgBy<'_>,
    ) -> Result<Option<Organisation>, StoreError> {
        people::organisation(&self.pool, by).await
    }
}
