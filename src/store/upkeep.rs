//! Lives here: what retention, redaction and erasure ask of the rows: what is looked for beside the
//! writer, and what is then changed by message, a bounded list at a time.
//! Never here: SQL; when anything is due (`housekeeping`).

use std::collections::HashSet;

use super::StoreError;
use super::asking::Asked;
use super::control::AuditEntry;
use crate::domain::ids::MessageSeq;
use crate::domain::message::State;
use crate::domain::phone::Msisdn;

/// Messages between two numbers, neither of which is among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) after: MessageSeq,
    pub(super) before: MessageSeq,
}

/// Which messages of a span are looked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted {
    /// Those that have ended.
    Ended,
    /// Those that have ended and still have their text.
    Texts,
    /// Those to this number.
    To(Msisdn),
}

/// What part of a span holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    /// What was looked for, in order of number, each with where it stands.
    pub(super) found: Vec<(MessageSeq, State)>,
    /// The last message that was looked at; `None`: the span's end has been reached.
    pub(super) upto: Option<MessageSeq>,
}

/// What keeps a day from being dropped as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    /// Messages that have not ended.
    pub(super) open: bool,
    /// Events that wait in the outbox.
    pub(super) events: bool,
}

/// What came of dropping a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dropped {
    /// Everything of its messages is gone.
    Gone,
    /// Readers were in the way; nothing has changed. Later.
    Busy,
    /// Something of it has not ended, or an event of it waits; nothing has changed.
    Held,
    /// These rows know no days: message by message, then.
    ByRows,
}

/// What housekeeping leaves to its next run, in days since 1970: of the messages' numbers how far
/// redaction has come, and of the clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    /// All days before this one have been gone through once.
    pub(super) looked: i64,
    /// All days before this one are done: nothing of them was open when they were last gone
    /// through. Never above `looked`.
    pub(super) done: i64,
    /// The day on which the clock was believed last; 0 = never yet.
    pub(super) seen: i64,
}

/// The changes, each within the open transaction; lists name a message once.
pub(super) trait Upkeep {
    /// Drops everything of a day's messages at once, if these rows are kept by days and nothing
    /// holds the day. Alone in its transaction, which is to be rolled back unless the day is
    /// [`Dropped::Gone`].
    async fn drop_day(&mut self, day: i64) -> Result<Dropped, StoreError>;

    /// Deletes those of these messages that still stand in this state, which is an end, with their
    /// attempts, receipts and deliveries; returns how many. Those with events in the outbox are not
    /// among them: they have been left out after they were found ([`Survey::awaited`]), and who has
    /// had an event since stands elsewhere.
    async fn delete(&mut self, messages: &[(MessageSeq, State)]) -> Result<u64, StoreError>;

    /// Which of these messages there are.
    async fn there(&mut self, messages: &[MessageSeq]) -> Result<HashSet<MessageSeq>, StoreError>;

    /// Takes the text from those of these messages that have ended; returns how many.
    async fn redact(&mut self, messages: &[MessageSeq]) -> Result<u64, StoreError>;

    /// Takes from those of these messages that still stand in this state, which is an end, all that
    /// tells of a person: recipient ([`Msisdn::ERASED`]), text, metadata, tags, the carrier's
    /// words, the URL of their events; the recipient from their attempts, and what webhook receivers
    /// answered. Returns how many.
    async fn erase(&mut self, messages: &[(MessageSeq, State)]) -> Result<u64, StoreError>;

    /// Deletes the receipts about this number, parked or in quarantine; returns how many.
    async fn forget(&mut self, number: Msisdn) -> Result<u64, StoreError>;

    /// Remembers how far housekeeping has come.
    async fn come_to(&mut self, marks: Marks) -> Result<(), StoreError>;
}

/// What is looked for beside the writer.
pub(super) trait Survey {
    /// The days of which there is something, in order; of rows kept by days also those that are
    /// empty.
    async fn days(&self) -> Result<Vec<i64>, StoreError>;

    /// What keeps a day from being dropped.
    async fn held(&self, day: i64) -> Result<Held, StoreError>;

    /// Looks at the first messages of a span, at most `limit` of them, and names the wanted ones.
    async fn page(&self, span: Span, wanted: Wanted, limit: u32) -> Result<Page, StoreError>;

    /// Which of these messages have events in the outbox.
    async fn awaited(&self, messages: &[MessageSeq]) -> Result<HashSet<MessageSeq>, StoreError>;

    /// How many receipts about this number are parked or in quarantine.
    async fn about(&self, number: Msisdn) -> Result<u64, StoreError>;

    /// How far housekeeping has come.
    async fn marks(&self) -> Result<Marks, StoreError>;
}

/// What the writer is asked to do between two batches, in a transaction of its own: what of it
/// fails keeps nothing else from being committed. All of it may be asked for again.
#[derive(Debug)]
pub(super) enum Tidy {
    /// As [`Upkeep::drop_day`].
    DropDay(i64),
    /// As [`Upkeep::delete`].
    Delete(Vec<(MessageSeq, State)>),
    /// As [`Upkeep::redact`].
    Redact(Vec<MessageSeq>),
    /// As [`Upkeep::come_to`].
    ComeTo(Marks),
    Erase(Erase),
}

/// A round of an erasure, with the line of the audit that its rounds share.
#[derive(Debug)]
pub(super) struct Erase {
    /// As for [`Upkeep::erase`].
    pub(super) messages: Vec<(MessageSeq, State)>,
    /// As for [`Upkeep::forget`], if the receipts' turn has come.
    pub(super) receipts_about: Option<Msisdn>,
    /// The line; its outcome is written by the store.
    pub(super) entry: AuditEntry,
    /// Its row, once the first round has written it.
    pub(super) row: Option<i64>,
    /// Messages and receipts of the rounds before.
    pub(super) before: (u64, u64),
    /// Recipients that never were messages, and answers: erased before the messages.
    pub(super) beside: (u64, u64),
    /// Messages that have been left as they are.
    pub(super) left: u64,
}

/// What it came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tidied {
    Done,
    Day(Dropped),
    Messages(u64),
    Erased {
        messages: u64,
        receipts: u64,
        /// The audit's row.
        row: i64,
    },
}

/// What is to be tidied and who waits for it.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) work: Tidy,
    pub(super) asked: Asked<Tidied>,
}
