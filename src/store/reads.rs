//! Lives here: what is asked of the rows beside the writer: the trait behind which the readers of
//! the databases and of the in-memory model stand.
//! Never here: SQL; changes (`rows`).

use std::collections::HashSet;

use super::control::{AuditEntry, HoldRow};
use super::desk::Lists;
use super::hooks::History;
use super::inbox::{InboxPage, InboxRow};
use super::jobs::{Board, Drafts};
use super::memo::Answers;
use super::people::Roster;
use super::rows::{AttemptId, Candidate};
use super::till::Accounts;
use super::upkeep::Survey;
use super::{MessageView, QueueRow, StoreError, Tally, TimelineEntry};
use crate::domain::class::Class;
use crate::domain::ids::{CarrierId, CarrierIndex, MessageId, MessageSeq, OrgId, Place};
use crate::domain::message::Message;
use crate::domain::phone::Msisdn;
use crate::domain::receipt::Receipt;
use crate::domain::time::Timestamp;
use crate::flow::Waiting;

/// An attempt that has an id and no final receipt.
#[derive(Clone, Debug)]
pub(super) struct Response {
    pub(super) id: AttemptId,
    /// The carrier's id as it wrote it.
    pub(super) raw: Box<str>,
}

/// What an organisation is looked up by.
#[derive(Clone, Copy, Debug)]
pub(super) enum OrgBy<'a> {
    Id(OrgId),
    Name(&'a str),
}

/// What is read beside the writer: committed rows only, any number of readers at once.
pub(super) trait Reads:
    Survey + Accounts + Lists + Answers + Roster + Board + Drafts + History
{
    /// One message of an organisation.
    async fn message(&self, org: OrgId, id: MessageId) -> Result<Option<MessageView>, StoreError>;

    /// A message of any organisation, and the account by whose id its row stands.
    async fn any_message(
        &self,
        id: MessageId,
    ) -> Result<Option<(MessageView, Box<str>)>, StoreError>;

    /// Everything that happened to a message after its acceptance, in order of time; at one time
    /// attempts (by number and part, each with its receipt behind it) before other receipts, and
    /// these before webhooks.
    async fn timeline(&self, seq: MessageSeq) -> Result<Vec<TimelineEntry>, StoreError>;

    /// An organisation's next queued messages in a lane after `after`, in order of place.
    async fn waiting(
        &self,
        lane: (CarrierIndex, Class),
        org: OrgId,
        after: Place,
        limit: u32,
    ) -> Result<Vec<Waiting>, StoreError>;

    /// The organisations of which messages are queued in a lane, by id, each with its newest place.
    async fn backlog(&self, lane: (CarrierIndex, Class))
    -> Result<Vec<(OrgId, Place)>, StoreError>;

    /// Which of these messages still wait in an account's lanes, or are in doubt there.
    async fn still_there(
        &self,
        carrier: CarrierIndex,
        messages: &[MessageSeq],
    ) -> Result<HashSet<MessageSeq>, StoreError>;

    /// Messages in doubt after `after`, in order.
    async fn in_doubt(&self, after: MessageSeq, limit: u32) -> Result<Vec<Waiting>, StoreError>;

    /// Test messages behind `after` that are submitted, in order, each with the time of that.
    async fn sandboxed(
        &self,
        after: MessageSeq,
        limit: u32,
    ) -> Result<Vec<(Message, Timestamp)>, StoreError>;

    /// What waits: queued and scheduled messages by account and class, in no order.
    async fn queue(&self) -> Result<Vec<QueueRow>, StoreError>;

    /// What waits, by lane and organisation, in no order.
    async fn tallies(&self) -> Result<Vec<Tally>, StoreError>;

    /// How many queued messages of its lane stand before this one.
    async fn ahead_of(&self, id: MessageId) -> Result<u64, StoreError>;

    /// How many queued messages of a lane would be looked at by a sweep of it, and the ids of the
    /// first five by organisation and place.
    async fn preview(
        &self,
        lane: (&str, Class),
        org: Option<OrgId>,
        accepted_before: Option<Timestamp>,
    ) -> Result<(u64, Vec<MessageId>), StoreError>;

    /// As [`super::rows::Rows::candidate`].
    async fn candidate(&self, id: MessageId) -> Result<Option<Candidate>, StoreError>;

    /// As [`super::rows::Rows::under_way`].
    async fn under_way(&self) -> Result<HashSet<MessageSeq>, StoreError>;

    /// The audit's last lines, newest first.
    async fn audit(&self, limit: u32) -> Result<Vec<AuditEntry>, StoreError>;

    /// All holds, by account.
    async fn holds(&self) -> Result<Vec<HoldRow>, StoreError>;

    /// A page of the inbox, the newest first: by `received_at`, in quarantine by
    /// `quarantined_at` and then `received_at`.
    async fn inbox(&self, page: &InboxPage) -> Result<Vec<InboxRow>, StoreError>;

    /// How many receipts that came in this span of time are in the inbox, by account: parked, or
    /// put into quarantine no earlier than `from`. `until` is not of the span.
    async fn unmatched(
        &self,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<(CarrierIndex, u64)>, StoreError>;

    /// An account's receipts in either half of the inbox that came at `since` or later, the oldest
    /// first.
    async fn inbox_since(
        &self,
        carrier: &CarrierId,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<Receipt>, StoreError>;

    /// An account's attempts behind `after` that have an id and no final receipt, in the order of
    /// message, part and attempt; with the recipients of their messages.
    async fn responses(
        &self,
        carrier: &CarrierId,
        after: AttemptId,
        limit: u32,
    ) -> Result<Vec<(Response, Msisdn)>, StoreError>;

    /// A number below those of all messages accepted at this time or later.
    async fn before(&self, at: Timestamp) -> Result<MessageSeq, StoreError>;
}
