//! Lives here: what the engine asks of the rows and changes in them: the trait behind which the
//! databases and the in-memory model stand, and the types that both sides speak.
//! Never here: SQL; what a transaction consists of (`engine`); channels.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::batch::Intent;
use super::control::{AuditEntry, HoldRow, Sweep};
use super::desk::Desk;
use super::hooks::Hooks;
use super::inbox::{Keeping, Kept, Match};
use super::jobs::{Campaigns, Jobs};
use super::memo::Memos;
use super::people::People;
use super::till::Till;
use super::upkeep::Upkeep;
use super::{Carriers, StoreError};
use crate::domain::ids::{
    BindName, CarrierId, EventId, IntentId, MessageId, MessageSeq, OrgId, Place, ReceiptKey,
};
use crate::domain::lifecycle::{self, SegmentState};
use crate::domain::message::{FailureCode, Message, State};
use crate::domain::phone::Msisdn;
use crate::domain::receipt::Receipt;
use crate::domain::time::Timestamp;
use crate::flow::{AttemptRecord, DeliveryRecord, EventJob, Reroute, Transition};

/// Message, part, attempt.
pub(super) type AttemptId = (MessageSeq, u8, u16);

/// Where a proof may be found: an account and a recipient.
pub(super) type Recipient = (CarrierId, Msisdn);

/// How a commit can fail.
#[derive(Debug)]
pub(super) enum Unkept {
    /// Nothing of it was kept.
    Refused(StoreError),
    /// The answer was lost on its way: [`Rows::was_kept`] tells.
    Unknown(StoreError),
}

/// A message as stored, with what has become of it.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) message: Message,
    /// Where it stands.
    pub(super) state: State,
    /// When a carrier took it.
    pub(super) sent_at: Option<Timestamp>,
}

/// One move of a message, in the form that the rows need.
#[derive(Clone, Debug)]
pub(super) struct Move {
    pub(super) seq: MessageSeq,
    pub(super) to: State,
    pub(super) at: Timestamp,
    pub(super) failure: Option<FailureCode>,
    pub(super) detail: Option<Box<str>>,
    pub(super) possible_duplicate: bool,
    /// The states it may start from, as a bit mask over their numbers.
    pub(super) from: i64,
}

impl Move {
    /// What receipts have come to: every state may be left that the lifecycle lets go. `why` is
    /// what a receipt says of the failure beyond the state.
    pub(super) fn by_receipt(
        seq: MessageSeq,
        to: State,
        at: Timestamp,
        detail: Option<Box<str>>,
        why: Option<FailureCode>,
    ) -> Self {
        Self {
            seq,
            to,
            at,
            failure: why.or_else(|| lifecycle::failure_of(to)),
            detail,
            possible_duplicate: false,
            from: legal_from(to),
        }
    }
}

impl From<&Transition> for Move {
    /// What an attempt's outcome or the clock has come to. It never undoes what a carrier has
    /// taken: only receipts, and the clock's `unknown`, end a submitted message; and the sandbox's own
    /// clock one that nobody has taken.
    fn from(transition: &Transition) -> Self {
        let submitted = 1 << State::Submitted.index();
        let from = match transition.to {
            State::Unknown => legal_from(State::Unknown),
            State::Expired if !transition.message.live => 1 << State::Queued.index() | submitted,
            // What is in doubt has perhaps been sent: only the carrier can say that it expired.
            State::Expired => 1 << State::Queued.index(),
            to => legal_from(to) & !submitted,
        };
        Self {
            seq: transition.message.seq,
            to: transition.to,
            at: transition.at,
            failure: transition.failure,
            detail: transition.detail.clone(),
            possible_duplicate: transition.possible_duplicate,
            from,
        }
    }
}

/// The states from which a move to `to` is legal, as a bit mask over their numbers.
fn legal_from(to: State) -> i64 {
    State::ALL
        .into_iter()
        .filter(|from| lifecycle::permits(*from, to))
        .fold(0, |mask, from| mask | 1 << from.index())
}

/// An attempt that carries a receipt's key, with its message.
#[derive(Debug)]
pub(super) struct Keyed {
    pub(super) key: ReceiptKey,
    pub(super) id: AttemptId,
    pub(super) carrier: Box<str>,
    pub(super) normalised: Box<str>,
    pub(super) state: SegmentState,
    /// The message's mark.
    pub(super) possible_duplicate: bool,
    pub(super) stored: Stored,
}

/// One attempt in doubt, with its message.
#[derive(Debug)]
pub(super) struct Doubt {
    pub(super) carrier: Box<str>,
    pub(super) part: u8,
    pub(super) attempt: u16,
    pub(super) submitted_at: Timestamp,
    /// The bind and the sequence number on it; 0 = not known any more.
    pub(super) sent: (Box<str>, u32),
    pub(super) stored: Stored,
}

/// An attempt that turned out to be with its carrier, by the id that its receipt brought.
#[derive(Clone, Debug)]
pub(super) struct Proof {
    pub(super) message: MessageSeq,
    pub(super) part: u8,
    pub(super) attempt: u16,
    pub(super) carrier: CarrierId,
    pub(super) raw_id: Box<str>,
    pub(super) normalised: Box<str>,
    pub(super) key: ReceiptKey,
    pub(super) at: Timestamp,
}

/// One message, looked at before an operator changes it.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) message: Message,
    pub(super) state: State,
    /// A segment may be with a carrier: it has been taken, or is in doubt.
    pub(super) attempted: bool,
    pub(super) possible_duplicate: bool,
}

/// One row of a lane as a sweep looks at it.
#[derive(Debug)]
pub(super) struct LaneRow {
    pub(super) org: OrgId,
    pub(super) place: Place,
    /// As for [`Candidate`].
    pub(super) attempted: bool,
    /// `None`: the row cannot be read.
    pub(super) message: Option<Message>,
}

/// An attempt that the last run had intended and not settled.
#[derive(Clone, Debug)]
pub(super) struct Interrupted {
    pub(super) message: MessageSeq,
    pub(super) carrier: CarrierId,
    pub(super) bind: BindName,
    pub(super) at: Timestamp,
}

/// Which messages are overdue by their validity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// Queued ones.
    Unsent,
    /// Submitted and uncertain ones.
    Open,
}

/// What the last run has left to this one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct House {
    /// No number above it has been given, as a `seq` or as a place; 0 in an empty store.
    pub(super) last: Place,
    /// The last run ended by itself: every attempt that it made has its outcome.
    pub(super) orderly: bool,
    /// The number of the last commit.
    pub(super) commit: i64,
}

/// The rows, as the one transaction that is open changes them.
///
/// Unless a method says otherwise it is called between [`Rows::begin`] and [`Rows::commit`], and
/// its lists may be of any length and name a row twice; where it says *each once*, to name it once
/// is the caller's matter. An error leaves the transaction to be rolled back.
pub(super) trait Rows:
    Upkeep + Till + Desk + Memos + People + Jobs + Campaigns + Hooks + Send
{
    /// The configured accounts.
    fn carriers(&self) -> &Arc<Carriers>;

    /// Called once by the task that will drive the rows, in its runtime: a connection that was
    /// opened in another one would be woken through it. Outside a transaction.
    async fn enter(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Begins a transaction. After a lost connection: on a new one, once it is sure that the old
    /// one can change nothing any more.
    async fn begin(&mut self) -> Result<(), StoreError>;

    /// Commits as the commit of this number: one more than the last that was kept. What was
    /// refused is still to be rolled back; after an unknown end there is no transaction any more,
    /// and [`Rows::was_kept`] comes before all else.
    async fn commit(&mut self, number: i64) -> Result<(), Unkept>;

    /// Gives up the transaction, if there is one.
    async fn rollback(&mut self);

    /// Whether the commit of this number, the last that was tried, was kept. Outside a
    /// transaction; asks a new connection where the old one is lost. An error: not known yet, ask
    /// again.
    async fn was_kept(&mut self, number: i64) -> Result<bool, StoreError>;

    /// Makes sure that new rows of messages with numbers of this day have where to go, be it an old
    /// day that has been dropped. Outside a transaction.
    async fn prepare_day(&mut self, day: i64) -> Result<(), StoreError>;

    /// Finds out whether commits work, by one that really writes and leaves nothing behind.
    /// Outside a transaction.
    async fn probe(&mut self) -> Result<(), StoreError>;

    /// Notes how the run ends, and closes. Outside a transaction; called once, last.
    async fn close(self, orderly: bool) -> Result<(), StoreError>;

    // What a run finds when it begins.

    /// What the last run has left; the note of its orderly end is taken off. Leases on events
    /// never attempted are ended, so that they are due since they happened: their workers have
    /// gone with their process.
    async fn house(&mut self) -> Result<House, StoreError>;

    /// Notes for the next run, as [`House::last`], that numbers up to this one may have been given.
    async fn note_given(&mut self, last: Place) -> Result<(), StoreError>;

    /// The attempts that stand in an open intent, ordered by message; of several of one message
    /// the one in the newest intent, which is with the account that had the message last.
    async fn interrupted(&mut self) -> Result<Vec<Interrupted>, StoreError>;

    /// Puts what was interrupted in doubt and forgets all intents: of each message still queued or
    /// uncertain every segment that no carrier has taken (no attempt of it stands otherwise than
    /// refused or in doubt) gets one more attempt, in doubt, with sequence 0 and numbered one
    /// above the message's highest; the message becomes uncertain, marked as a possible duplicate
    /// if it was uncertain already or is an OTP. Each message once; returns how many there were to
    /// put in doubt, with or without such a segment.
    async fn doubt(&mut self, interrupted: &[Interrupted]) -> Result<u64, StoreError>;

    // Messages.

    /// Writes new messages, each queued, or scheduled if its due time is later than its accept;
    /// their place is their seq. A seq that is there already stays as it is. Their days have been
    /// prepared, and with them the places of all that will be written of them.
    async fn insert_messages(&mut self, messages: &[Arc<Message>]) -> Result<(), StoreError>;

    /// Those of these messages that exist, in no order.
    async fn messages(&mut self, seqs: &[MessageSeq]) -> Result<Vec<Stored>, StoreError>;

    /// At most `limit` scheduled messages that are due, the first due first.
    async fn due(&mut self, now: Timestamp, limit: u32) -> Result<Vec<Message>, StoreError>;

    /// Queues scheduled messages, each once, at a place; others stay as they are.
    async fn release(&mut self, placed: &[(MessageSeq, Place)]) -> Result<(), StoreError>;

    /// At most `limit` messages valid until before a time, the first overdue first. A row that cannot
    /// be read is left out, with a line in the log: it is nothing to stop all writing for.
    async fn overdue(
        &mut self,
        which: Overdue,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<Stored>, StoreError>;

    /// Marks messages as possible duplicates.
    async fn mark(&mut self, messages: &[MessageSeq]) -> Result<(), StoreError>;

    /// Makes moves, each of another message, where [`Move::from`] permits; says of each whether it
    /// was made. `sent_at` is only written where there is none, by a move to submitted; `final_at`,
    /// failure and detail are replaced by the move's, or emptied where it has none (`final_at`:
    /// where it is no end). The mark is not the moves' matter.
    async fn make_moves(&mut self, moves: &[&Move]) -> Result<Vec<bool>, StoreError>;

    /// Puts messages that are queued or in doubt at the account that each reroute's `ready` names
    /// at their new accounts and places, each message once; a queued one keeps the mark that its
    /// `ready` bears. Returns, for those that have come there, where they stand.
    async fn reroute(
        &mut self,
        reroutes: &[(&Reroute, Place)],
    ) -> Result<HashMap<MessageSeq, State>, StoreError>;

    /// Which of these messages are queued or in doubt, each at the account beside it.
    async fn unsent(
        &mut self,
        asked: &[(MessageSeq, &CarrierId)],
    ) -> Result<HashSet<MessageSeq>, StoreError>;

    // Attempts.

    /// Writes attempts, each once, of messages that are there. One that is there already is replaced
    /// if it is in doubt (its answer has come late: `resolved` is 1 for a yes, 2 for a no), else left
    /// as it is.
    async fn write_attempts(
        &mut self,
        attempts: &[(&AttemptRecord, Option<ReceiptKey>)],
    ) -> Result<(), StoreError>;

    /// The attempts that carry one of these keys. `at` is now: attempts of messages accepted on
    /// its day and the day before are found at less cost.
    async fn keyed(&mut self, keys: &[ReceiptKey], at: Timestamp)
    -> Result<Vec<Keyed>, StoreError>;

    /// Where the attempts of these messages stand, ordered by message, part and attempt.
    async fn standing(
        &mut self,
        messages: &[MessageSeq],
    ) -> Result<Vec<(AttemptId, SegmentState)>, StoreError>;

    /// Writes receipts onto the attempts that they settle, wherever these stand, each once.
    async fn settle_attempts(
        &mut self,
        settled: &[(AttemptId, SegmentState, &Receipt)],
    ) -> Result<(), StoreError>;

    /// Writes receipts that changed nothing but are part of the story; `true` = a contradiction.
    /// Of several of an attempt that say the same at the same millisecond the first stays.
    async fn note_receipts(
        &mut self,
        receipts: &[(AttemptId, &Receipt, bool)],
    ) -> Result<(), StoreError>;

    /// The attempts in doubt at these recipients: each once, in no order.
    async fn doubts(&mut self, recipients: &[Recipient]) -> Result<Vec<Doubt>, StoreError>;

    /// Gives attempts in doubt, each once, the ids that their receipts have brought (`resolved` 3,
    /// answered when the receipt came); what is in doubt no more stays as it is.
    async fn prove(&mut self, proofs: &[Proof]) -> Result<(), StoreError>;

    /// Gives submitted attempts the ids of now; what is named twice is given the same.
    async fn rekey(&mut self, rekeyed: &[(AttemptId, &Match)]) -> Result<(), StoreError>;

    // Intents.

    /// Records what is about to be handed to binds.
    async fn intend(&mut self, intents: &[Intent]) -> Result<(), StoreError>;

    /// Forgets intents all of whose outcomes are recorded.
    async fn close_intents(&mut self, intents: &[IntentId]) -> Result<(), StoreError>;

    /// The messages in open intents: a few batches for each bind.
    async fn under_way(&mut self) -> Result<HashSet<MessageSeq>, StoreError>;

    // Receipts without an attempt.

    /// The keys that are parked. What is in quarantine waits for a person: carriers count their
    /// ids anew, and an old receipt must not end a new message. Also outside a transaction.
    async fn parked_keys(&mut self) -> Result<HashSet<ReceiptKey>, StoreError>;

    /// Parks receipts, each (carrier, normalised id, stat, done date) once. One that is in
    /// quarantine is parked again, with its new time and else as it was; one that is parked stays
    /// as it is.
    async fn park(&mut self, receipts: &[&Receipt]) -> Result<(), StoreError>;

    /// Takes parked receipts with these keys out of the inbox, in the order in which they came.
    async fn unpark(&mut self, keys: &[ReceiptKey]) -> Result<Vec<Receipt>, StoreError>;

    /// Parked receipts about these recipients: each once, in no order.
    async fn orphans(&mut self, recipients: &[Recipient]) -> Result<Vec<Receipt>, StoreError>;

    /// Where receipts are parked that came in this span (both ends included) and name a recipient.
    async fn orphaned(
        &mut self,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<HashSet<Recipient>, StoreError>;

    /// Keeps the inbox within its bounds: what is old, and the oldest beyond the number, goes into
    /// quarantine; what is old there, and the oldest beyond the number (by `quarantined_at`, then
    /// `received_at`), is dropped. Old is what came, or has been there, for longer than its time.
    async fn keep_inbox(&mut self, keeping: &Keeping) -> Result<Kept, StoreError>;

    /// Drops an account's receipts in quarantine that came before a time; returns how many.
    async fn discard(&mut self, carrier: &CarrierId, before: Timestamp) -> Result<u64, StoreError>;

    /// Takes matched receipts out of the inbox, out of either half; says of each whether it was
    /// still there, of one named twice both times the same.
    async fn take_matched(&mut self, matches: &[Match]) -> Result<Vec<bool>, StoreError>;

    // Webhook events.

    /// Writes events, leased to the worker that is about to be told of them.
    async fn insert_events(&mut self, jobs: &[EventJob]) -> Result<(), StoreError>;

    /// Records attempts to deliver, of messages that are there, takes what is done out of the outbox,
    /// and says when the rest is due again. An attempt that is recorded already stays as it is.
    async fn record_deliveries(&mut self, records: &[&DeliveryRecord]) -> Result<(), StoreError>;

    /// Says when events are due, each once.
    async fn set_due(&mut self, events: &[(EventId, Timestamp)]) -> Result<(), StoreError>;

    /// At most `limit` events that are due, the first due first; not leased by this. Events whose
    /// message is gone are not among them.
    async fn due_events(&mut self, now: Timestamp, limit: u32)
    -> Result<Vec<EventJob>, StoreError>;

    /// Drops at most `limit` events that happened before a time, the oldest first; returns how many.
    /// Their ids say when they happened ([`v7`](super::engine::v7)). What was asked for anew goes by the
    /// time when it was.
    async fn give_up_events(&mut self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;

    // Operators.

    /// Writes a line of the audit; returns its row.
    async fn note(&mut self, entry: &AuditEntry) -> Result<i64, StoreError>;

    /// Replaces the outcome of a line of the audit.
    async fn renote(&mut self, row: i64, outcome: &str) -> Result<(), StoreError>;

    /// Remembers a hold instead of what was known of its account.
    async fn hold(&mut self, hold: &HoldRow) -> Result<(), StoreError>;

    /// Forgets a hold.
    async fn free(&mut self, carrier: &CarrierId) -> Result<(), StoreError>;

    /// At most `limit` queued messages of the sweep's lane (of its organisation, if it names one)
    /// behind its bookmark, by organisation and place. Whatever its `accepted_before`.
    async fn lane_page(&mut self, sweep: &Sweep, limit: u32) -> Result<Vec<LaneRow>, StoreError>;

    /// Puts queued messages, each once, into another account's lane; returns how many.
    async fn to_lane(
        &mut self,
        placed: &[(MessageSeq, Place)],
        to: &CarrierId,
    ) -> Result<u64, StoreError>;

    /// Queues a message in doubt anew, marked as a possible duplicate; another stays as it is.
    async fn requeue(&mut self, message: MessageSeq, place: Place) -> Result<(), StoreError>;

    /// The message with this id.
    async fn candidate(&mut self, id: MessageId) -> Result<Option<Candidate>, StoreError>;
}

/// Bits of the message numbers below the day: a million million a day.
const DAY_BITS: u32 = 40;
const DAY_MS: i64 = 86_400_000;

/// The day of a time, since 1970 UTC; never negative.
pub(super) const fn day_of(at: Timestamp) -> i64 {
    let day = at.0.div_euclid(DAY_MS);
    if day < 0 { 0 } else { day }
}

/// The day of a message's number.
pub(super) const fn day_of_seq(seq: MessageSeq) -> i64 {
    seq.0 >> DAY_BITS
}

/// The first number of a day: messages accepted on it, and everything of theirs, have this or a
/// higher one, as long as the clock has not gone back over a midnight.
pub(super) const fn first_of_day(day: i64) -> MessageSeq {
    MessageSeq(day << DAY_BITS)
}
