//! Lives here: the model's tables: what a row of each holds, what it is called and found by.
//! Never here: what changes them.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::jobs::Work;
use super::table::{Row, Table};
use super::till::Money;
use crate::domain::account::{ApiKey, Organisation};
use crate::domain::class::Class;
use crate::domain::endpoint::Endpoint;
use crate::domain::event::EventKind;
use crate::domain::ids::{
    CarrierIndex, EndpointId, EventId, IntentId, KeyId, MessageId, MessageSeq, OrgId, Place,
    ReceiptKey,
};
use crate::domain::lifecycle::SegmentState;
use crate::domain::message::{FailureCode, Message, State};
use crate::domain::receipt::Receipt;
use crate::domain::time::Timestamp;
use crate::domain::user::User;
use crate::flow::{DeliveryRecord, Notice};
use crate::store::control::{AuditEntry, HoldRow};
use crate::store::memo::Memo;
use crate::store::rows::{AttemptId, Stored};
use crate::store::{Carriers, MessageView};

/// The house's key of the number of the last commit.
pub(super) const COMMIT: &str = "commit";
/// No number above it has been given.
pub(super) const GIVEN: &str = "given";
/// The level that a program needs, see the migrations.
const COMPAT: &str = "compat";
/// There while nobody is: the last run ended by itself.
pub(super) const ORDERLY: &str = "orderly";

/// Everything.
#[derive(Clone, Default)]
pub(super) struct Tables {
    pub(super) house: Table<HouseRow>,
    pub(super) organisations: Table<Organisation>,
    pub(super) api_keys: Table<ApiKey>,
    pub(super) users: Table<User>,
    pub(super) messages: Table<MessageRow>,
    pub(super) attempts: Table<AttemptRow>,
    pub(super) receipt_events: Table<ReceiptEventRow>,
    pub(super) inbox: Table<InboxReceipt>,
    pub(super) intents: Table<IntentRow>,
    pub(super) outbox: Table<OutboxRow>,
    pub(super) deliveries: Table<DeliveryRow>,
    pub(super) audit: Table<AuditRow>,
    pub(super) holds: Table<HoldRow>,
    pub(super) money: Money,
    pub(super) memos: Table<Memo>,
    pub(super) work: Work,
    pub(super) endpoints: Table<Endpoint>,
    /// The days for whose messages there is room; not of any transaction.
    pub(super) days: BTreeSet<i64>,
}

impl Tables {
    /// Ends the transaction and keeps it.
    pub(super) fn commit(&mut self, kept: &mut Self) {
        self.house.commit(&mut kept.house);
        self.organisations.commit(&mut kept.organisations);
        self.api_keys.commit(&mut kept.api_keys);
        self.users.commit(&mut kept.users);
        self.messages.commit(&mut kept.messages);
        self.attempts.commit(&mut kept.attempts);
        self.receipt_events.commit(&mut kept.receipt_events);
        self.inbox.commit(&mut kept.inbox);
        self.intents.commit(&mut kept.intents);
        self.outbox.commit(&mut kept.outbox);
        self.deliveries.commit(&mut kept.deliveries);
        self.audit.commit(&mut kept.audit);
        self.holds.commit(&mut kept.holds);
        self.money.commit(&mut kept.money);
        self.memos.commit(&mut kept.memos);
        self.work.commit(&mut kept.work);
        self.endpoints.commit(&mut kept.endpoints);
    }

    /// Ends the transaction as if it had never been.
    pub(super) fn undo(&mut self, kept: &Self) {
        self.house.undo(&kept.house);
        self.organisations.undo(&kept.organisations);
        self.api_keys.undo(&kept.api_keys);
        self.users.undo(&kept.users);
        self.messages.undo(&kept.messages);
        self.attempts.undo(&kept.attempts);
        self.receipt_events.undo(&kept.receipt_events);
        self.inbox.undo(&kept.inbox);
        self.intents.undo(&kept.intents);
        self.outbox.undo(&kept.outbox);
        self.deliveries.undo(&kept.deliveries);
        self.audit.undo(&kept.audit);
        self.holds.undo(&kept.holds);
        self.money.undo(&kept.money);
        self.memos.undo(&kept.memos);
        self.work.undo(&kept.work);
        self.endpoints.undo(&kept.endpoints);
    }

    /// The tables as the first migration leaves them.
    pub(super) fn new() -> Self {
        let mut new = Self::default();
        new.leave(COMMIT, 0);
        new.leave(COMPAT, 1);
        new
    }

    /// A number that a run leaves to the next; 0 = none.
    pub(super) fn left(&self, key: &'static str) -> i64 {
        self.house.get(&key).map_or(0, |row| row.value)
    }

    /// Leaves a number to the next run.
    pub(super) fn leave(&mut self, key: &'static str, value: i64) {
        self.house.put(HouseRow { key, value });
    }
}

#[derive(Clone)]
pub(super) struct HouseRow {
    pub(super) key: &'static str,
    pub(super) value: i64,
}

impl Row for HouseRow {
    type Key = &'static str;
    type Mark = ();

    fn key(&self) -> &'static str {
        self.key
    }
}

impl Row for Organisation {
    type Key = OrgId;
    /// Its name.
    type Mark = Box<str>;

    fn key(&self) -> OrgId {
        self.id
    }

    fn marks(&self) -> Vec<Box<str>> {
        vec![self.name.clone()]
    }
}

impl Row for ApiKey {
    type Key = KeyId;
    /// Its hash.
    type Mark = [u8; 32];

    fn key(&self) -> KeyId {
        self.id
    }

    fn marks(&self) -> Vec<[u8; 32]> {
        vec![self.hash]
    }
}

#[derive(Clone)]
pub(super) struct MessageRow {
    /// As accepted; its account is the one below.
    pub(super) message: Message,
    pub(super) carrier: Arc<str>,
    pub(super) state: State,
    pub(super) sent_at: Option<Timestamp>,
    pub(super) final_at: Option<Timestamp>,
    pub(super) failure: Option<FailureCode>,
    pub(super) detail: Option<Box<str>>,
    pub(super) possible_duplicate: bool,
    pub(super) place: Place,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum MessageMark {
    Id(MessageId),
    /// In a lane, by organisation and place.
    Waiting(Arc<str>, Class, OrgId, Place),
    /// Scheduled, by its due time.
    Scheduled(Timestamp),
    /// Queued, by its validity.
    Unsent(Timestamp),
    /// Submitted or uncertain, by its validity.
    Open(Timestamp),
    InDoubt(MessageSeq),
}

impl Row for MessageRow {
    type Key = MessageSeq;
    type Mark = MessageMark;

    fn key(&self) -> MessageSeq {
        self.message.seq
    }

    fn marks(&self) -> Vec<MessageMark> {
        let Message {
            seq,
            id,
            org,
            class,
            due_at,
            valid_until,
            ..
        } = self.message;
        let carrier = Arc::clone(&self.carrier);
        let id = MessageMark::Id(id);
        match self.state {
            State::Scheduled => vec![id, MessageMark::Scheduled(due_at)],
            State::Queued => vec![
                id,
                MessageMark::Waiting(carrier, class, org, self.place),
                MessageMark::Unsent(valid_until),
            ],
            State::Uncertain => vec![
                id,
                MessageMark::Open(valid_until),
                MessageMark::InDoubt(seq),
            ],
            State::Submitted => vec![id, MessageMark::Open(valid_until)],
            State::Delivered
            | State::Undelivered
            | State::Rejected
            | State::Expired
            | State::Unknown
            | State::Cancelled
            | State::Failed => vec![id],
        }
    }
}

impl MessageRow {
    /// The message, with its account of now.
    pub(super) fn message(&self, carriers: &Carriers) -> Message {
        Message {
            carrier: carriers
                .index(&self.carrier)
                .unwrap_or(CarrierIndex(u16::MAX)),
            ..self.message.clone()
        }
    }

    pub(super) fn stored(&self, carriers: &Carriers) -> Stored {
        Stored {
            message: self.message(carriers),
            state: self.state,
            sent_at: self.sent_at,
        }
    }

    pub(super) fn view(&self, carriers: &Carriers) -> MessageView {
        MessageView {
            message: self.message(carriers),
            state: self.state,
            sent_at: self.sent_at,
            final_at: self.final_at,
            failure: self.failure,
            detail: self.detail.clone(),
            possible_duplicate: self.possible_duplicate,
        }
    }
}

#[derive(Clone)]
pub(super) struct AttemptRow {
    pub(super) id: AttemptId,
    pub(super) carrier: Arc<str>,
    pub(super) bind: Arc<str>,
    pub(super) sequence: u32,
    pub(super) submitted_at: Timestamp,
    pub(super) answered_at: Timestamp,
    pub(super) state: SegmentState,
    pub(super) status: Option<u32>,
    pub(super) raw_id: Option<Box<str>>,
    pub(super) normalised: Option<Box<str>>,
    pub(super) receipt_key: Option<ReceiptKey>,
    /// The final receipt.
    pub(super) receipt: Option<Settled>,
    /// The message's, in attempts that were in doubt.
    pub(super) recipient: Option<Box<str>>,
    pub(super) resolved: Option<i64>,
}

/// What a final receipt writes on the attempt that it settles.
#[derive(Clone)]
pub(super) struct Settled {
    pub(super) stat: Box<str>,
    pub(super) err: Box<str>,
    pub(super) done_date: Box<str>,
    pub(super) at: Timestamp,
    pub(super) done_at: Option<Timestamp>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum AttemptMark {
    /// In doubt, at an account and a recipient.
    InDoubt(Arc<str>, Box<str>),
    Key(ReceiptKey),
}

impl Row for AttemptRow {
    type Key = AttemptId;
    type Mark = AttemptMark;

    fn key(&self) -> AttemptId {
        self.id
    }

    fn marks(&self) -> Vec<AttemptMark> {
        let in_doubt = self.state == SegmentState::InDoubt;
        let recipient = self.recipient.clone().filter(|_| in_doubt);
        let at = recipient.map(|to| AttemptMark::InDoubt(Arc::clone(&self.carrier), to));
        at.into_iter()
            .chain(self.receipt_key.map(AttemptMark::Key))
            .collect()
    }
}

#[derive(Clone)]
pub(super) struct ReceiptEventRow {
    pub(super) id: AttemptId,
    pub(super) received_at: Timestamp,
    pub(super) stat: Box<str>,
    pub(super) err: Box<str>,
    pub(super) done_date: Box<str>,
    pub(super) conflict: bool,
}

impl Row for ReceiptEventRow {
    type Key = (AttemptId, Timestamp, Box<str>);
    type Mark = ();

    fn key(&self) -> Self::Key {
        (self.id, self.received_at, self.stat.clone())
    }
}

/// A receipt without an attempt.
#[derive(Clone)]
pub(super) struct InboxReceipt {
    pub(super) receipt: Receipt,
    pub(super) quarantined_at: Option<Timestamp>,
}

/// Account, normalised id, stat, done date.
pub(super) type InboxKey = (Arc<str>, Box<str>, Box<str>, Box<str>);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum InboxMark {
    /// Parked, by key.
    Key(ReceiptKey),
    /// Parked, by account and recipient.
    Recipient(Arc<str>, Box<str>),
    /// Parked, by the time at which it came.
    Parked(Timestamp),
    /// In quarantine since then, come then.
    Quarantine(Timestamp, Timestamp),
}

/// What a receipt is called by in the inbox.
pub(super) fn inbox_key(receipt: &Receipt) -> InboxKey {
    (
        Arc::clone(&receipt.carrier.0),
        receipt.normalised.clone(),
        receipt.stat.clone(),
        receipt.done_date.clone(),
    )
}

impl Row for InboxReceipt {
    type Key = InboxKey;
    type Mark = InboxMark;

    fn key(&self) -> InboxKey {
        inbox_key(&self.receipt)
    }

    fn marks(&self) -> Vec<InboxMark> {
        let receipt = &self.receipt;
        if let Some(since) = self.quarantined_at {
            return vec![InboxMark::Quarantine(since, receipt.received_at)];
        }
        let recipient = receipt.evidence.recipient.map(|to| to.digits().into());
        let carrier = Arc::clone(&receipt.carrier.0);
        let recipient = recipient.map(|to| InboxMark::Recipient(carrier, to));
        [
            InboxMark::Key(receipt.key),
            InboxMark::Parked(receipt.received_at),
        ]
        .into_iter()
        .chain(recipient)
        .collect()
    }
}

#[derive(Clone)]
pub(super) struct IntentRow {
    pub(super) id: IntentId,
    pub(super) carrier: Arc<str>,
    pub(super) bind: Arc<str>,
    pub(super) at: Timestamp,
    pub(super) messages: Vec<MessageSeq>,
}

impl Row for IntentRow {
    type Key = IntentId;
    type Mark = ();

    fn key(&self) -> IntentId {
        self.id
    }
}

/// What an event says, in the outbox and in the history.
#[derive(Clone)]
pub(super) struct EventRow {
    pub(super) event: EventId,
    pub(super) message: MessageSeq,
    pub(super) sequence: u32,
    pub(super) kind: EventKind,
    pub(super) at: Timestamp,
    pub(super) state: State,
    pub(super) failure: Option<FailureCode>,
    pub(super) target: Option<EndpointId>,
    pub(super) notice: Option<Arc<Notice>>,
}

#[derive(Clone)]
pub(super) struct OutboxRow {
    pub(super) event: EventRow,
    pub(super) due_at: Timestamp,
    pub(super) attempts: u16,
    pub(super) attempts_before: u16,
    pub(super) asked_at: Option<Timestamp>,
}

impl Row for OutboxRow {
    type Key = EventId;
    /// When it is due.
    type Mark = Timestamp;

    fn key(&self) -> EventId {
        self.event.event
    }

    fn marks(&self) -> Vec<Timestamp> {
        vec![self.due_at]
    }
}

#[derive(Clone)]
pub(super) struct DeliveryRow {
    pub(super) event: EventRow,
    pub(super) org: OrgId,
    pub(super) live: bool,
    pub(super) attempt: u16,
    pub(super) at: Timestamp,
    pub(super) latency_ms: u32,
    pub(super) status: Option<u16>,
    pub(super) error: Option<Box<str>>,
    pub(super) response: Option<Box<str>>,
}

impl From<&DeliveryRecord> for DeliveryRow {
    fn from(record: &DeliveryRecord) -> Self {
        Self {
            event: (&record.job).into(),
            org: record.job.org(),
            live: record.job.live(),
            attempt: record.attempt(),
            at: record.at,
            latency_ms: record.latency_ms,
            status: record.status,
            error: record.error.clone(),
            response: record.response.clone(),
        }
    }
}

impl Row for DeliveryRow {
    type Key = (MessageSeq, EventId, u16);
    type Mark = ();

    fn key(&self) -> Self::Key {
        (self.event.message, self.event.event, self.attempt)
    }
}

#[derive(Clone)]
pub(super) struct AuditRow {
    pub(super) id: i64,
    pub(super) entry: AuditEntry,
}

impl Row for AuditRow {
    type Key = i64;
    type Mark = ();

    fn key(&self) -> i64 {
        self.id
    }
}

impl Row for HoldRow {
    type Key = Arc<str>;
    type Mark = ();

    fn key(&self) -> Arc<str> {
        Arc::clone(&self.carrier.0)
    }
}
