//! Lives here: every type that travels between tasks; to read it is to read the daemon.
//!
//! ```text
//! api -> ingest --Message--> store writer --Committed--> scheduler feed --Ready--> lane
//!   lane --Ready--> carrier bind --Intent--> store writer
//!   carrier bind --Outcome--> scheduler settle --Settlement--> store writer --EventJob--> webhooks
//!   carrier bind --ReceiptArrived--> inbound --Receipt--> store writer --EventJob--> webhooks
//! ```
//!
//! Who may wait for whom (the reason why no circle of full queues can form): the writer waits
//! for `feed` only; `feed` waits for nobody; everybody else may wait for the writer.
//! Never here: behaviour beyond the queues' own (`lane`), SQL, HTTP, PDUs.

pub mod bind;
pub mod health;
pub mod lane;
mod ready;
pub mod routes;
pub mod signs;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

pub use self::ready::{Parts, Ready, Tried};
use crate::domain::class::Class;
use crate::domain::event::EventKind;
use crate::domain::ids::{
    BindName, CarrierId, CarrierIndex, EndpointId, EventId, IntentId, MessageSeq, OrgId, Place,
};
use crate::domain::lifecycle::SegmentState;
use crate::domain::message::{FailureCode, Message, State};
use crate::domain::receipt::Receipt;
use crate::domain::time::Timestamp;
use crate::domain::verdict::Verdict;

/// Messages that one commit has brought to their lanes, in the order of their places: new ones,
/// scheduled ones whose time has come, and those that come from another lane. The one way into a
/// lane: whoever reads the store beside it knows by the place what has been told already.
#[derive(Debug)]
pub struct Committed {
    /// With `carrier` the lane's account.
    pub messages: Vec<Ready>,
}

/// What became of one submit_sm: the single edge that returns from a carrier.
#[derive(Debug)]
pub struct Outcome {
    /// The message, as the bind took it from the lane.
    pub ready: Ready,
    /// Which segment, from 1.
    pub part: u8,
    /// The intent that has all its outcomes with this one.
    pub closes: Option<IntentId>,
    /// The account that was tried.
    pub carrier: CarrierId,
    /// The bind that tried.
    pub bind: BindName,
    /// Sequence number on that bind; 0 = never written.
    pub sequence: u32,
    /// When the PDU was handed to the session.
    pub submitted_at: Timestamp,
    /// When the answer came (or was given up).
    pub answered_at: Timestamp,
    /// The answer.
    pub answer: Answer,
}

/// A carrier's answer to one submit_sm, or the lack of it.
#[derive(Clone, Debug)]
pub enum Answer {
    /// ROK. The id is empty when the carrier gave none: then no receipt can be matched.
    Accepted {
        /// As the carrier wrote it.
        raw_id: Box<str>,
        /// After the account's rule for ids in responses.
        normalised: Box<str>,
        /// The response came after its timer, for an attempt already reported in doubt.
        late: bool,
    },
    /// A command_status other than ROK.
    Refused {
        /// The raw 32 bits.
        status: u32,
        /// What the account's table makes of it.
        verdict: Verdict,
        /// As in `Accepted`.
        late: bool,
    },
    /// The bind ended before the PDU was handed to it: not an attempt.
    NotSent,
    /// Handed to the bind, never answered: perhaps taken.
    InDoubt,
    /// Popped after its validity: never sent.
    Expired,
}

/// What `settle` has decided of outcomes, to be committed as one.
#[derive(Debug, Default)]
pub struct Settlement {
    /// Attempt rows to write, one for each answered segment.
    pub attempts: Vec<AttemptRecord>,
    /// Moves of messages, legal ones only take effect.
    pub transitions: Vec<Transition>,
    /// Intents all of whose segments have an outcome now.
    pub closed_intents: Vec<IntentId>,
    /// Messages that go to the end of a lane; after the transitions.
    pub reroutes: Vec<Reroute>,
}

/// A message's move to the end of a lane: another account's, or anew its own. It takes effect if
/// the message still waits in the lane that `ready` names; the stream of commits then tells where
/// it has come to.
#[derive(Clone, Debug)]
pub struct Reroute {
    /// The message, as it is to be sent from there; `carrier` is the account that it leaves.
    pub ready: Ready,
    /// Whose lane.
    pub to: CarrierIndex,
}

impl Settlement {
    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.attempts.is_empty()
            && self.transitions.is_empty()
            && self.closed_intents.is_empty()
            && self.reroutes.is_empty()
    }
}

/// One row of a message's history with carriers.
#[derive(Debug)]
pub struct AttemptRecord {
    /// Whose attempt.
    pub message: Arc<Message>,
    /// Which segment, from 1.
    pub part: u8,
    /// Which attempt, from 1.
    pub attempt: u16,
    /// The account.
    pub carrier: CarrierId,
    /// The bind.
    pub bind: BindName,
    /// Sequence number on the bind.
    pub sequence: u32,
    /// When it was handed to the session.
    pub submitted_at: Timestamp,
    /// When it was answered.
    pub answered_at: Timestamp,
    /// Where the segment stands.
    pub state: SegmentState,
    /// The raw command_status, if there was an answer.
    pub status: Option<u32>,
    /// The carrier's id, raw and normalised, if it gave one.
    pub carrier_message_id: Option<(Box<str>, Box<str>)>,
}

/// A message's move to another state.
#[derive(Debug)]
pub struct Transition {
    /// Which message.
    pub message: Arc<Message>,
    /// The account that it waits for, or that has answered.
    pub carrier: CarrierIndex,
    /// Where to.
    pub to: State,
    /// When.
    pub at: Timestamp,
    /// When a carrier took it, if one is known to have.
    pub sent_at: Option<Timestamp>,
    /// Why, if it failed.
    pub failure: Option<FailureCode>,
    /// The carrier's own words or status, for people.
    pub detail: Option<Box<str>>,
    /// An attempt may have been taken twice.
    pub possible_duplicate: bool,
}

/// A receipt that a bind has read; it is answered when `ack` says so.
#[derive(Debug)]
pub struct ReceiptArrived {
    /// The receipt, translated.
    pub receipt: Receipt,
    /// Where the answer goes.
    pub ack: ReceiptAck,
}

/// The PDU that brought a receipt and is to be answered in kind: some carriers send receipts as data_sm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiptPdu {
    /// deliver_sm.
    DeliverSm,
    /// data_sm.
    DataSm,
}

/// The way back to the bind that waits to answer a receipt.
#[derive(Debug)]
pub struct ReceiptAck {
    /// The bind's own queue of answers.
    pub to: tokio::sync::mpsc::Sender<Answered>,
    /// Which session of the bind: a number that has meanwhile rebound drops stale answers.
    pub session: u64,
    /// Its sequence number.
    pub sequence: u32,
    /// What brought it.
    pub pdu: ReceiptPdu,
}

/// What a bind is told about a deliver_sm or an intent it handed over.
#[derive(Debug)]
pub enum Answered {
    /// Committed: answer ROK (true), or could not be kept: ask for redelivery (false).
    Receipt {
        /// As in [`ReceiptAck`].
        session: u64,
        /// As in [`ReceiptAck`].
        sequence: u32,
        /// As in [`ReceiptAck`].
        pdu: ReceiptPdu,
        /// Whether the receipt is durable.
        kept: bool,
    },
    /// The intent of this batch is durable.
    Intent {
        /// The batch, handed back.
        batch: Vec<Ready>,
        /// What must not be sent any more: resends whose message has meanwhile turned out to be
        /// with the carrier, or has ended; and everything, when the daemon ends without the commit.
        turned_back: Vec<Ready>,
        /// Its intent.
        intent: IntentId,
    },
}

/// What applying a receipt came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiptResult {
    /// The segment and perhaps the message moved.
    Applied,
    /// Intermediate state, kept as an event.
    Intermediate,
    /// The same word again.
    Duplicate,
    /// Another final word: kept, without effect.
    Conflict,
    /// No attempt has this id yet: parked until an outcome brings it or its time is up.
    Parked,
    /// The database will not have it: it is not kept.
    Refused,
}

/// A webhook event for one target, durable in the outbox and due now.
#[derive(Clone, Debug)]
pub struct EventJob {
    /// The event's id, the same over all attempts.
    pub event: EventId,
    /// The endpoint that is told; `None`: the message's own URL is.
    pub target: Option<EndpointId>,
    /// What happened, as the target is told.
    pub kind: EventKind,
    /// Position among the message's events, from 1, rising; the same for all who are told of one.
    pub sequence: u32,
    /// What it is about.
    pub about: About,
    /// When it happened.
    pub at: Timestamp,
    /// Attempts already made to deliver this event.
    pub attempts: u16,
    /// Those of them that were made before somebody asked for it anew: the schedule of retries begins
    /// behind them.
    pub attempts_before: u16,
}

/// What an event is about.
#[derive(Clone, Debug)]
pub enum About {
    /// A message.
    Message {
        /// The message.
        message: Arc<Message>,
        /// When a carrier took it, if one has.
        sent_at: Option<Timestamp>,
        /// The state it reached.
        state: State,
        /// Why it failed, if it did.
        failure: Option<FailureCode>,
    },
    /// Something of an organisation.
    Notice(Arc<Notice>),
}

/// Something of an organisation that its endpoints are told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// A number of its own, of those that messages have: it goes with its day.
    pub seq: MessageSeq,
    /// Whose.
    pub org: OrgId,
    /// Whether live (true) or test endpoints are told.
    pub live: bool,
    /// The event's `data`, a JSON object.
    pub data: Box<str>,
}

impl EventJob {
    /// The number of what it is about.
    pub fn seq(&self) -> MessageSeq {
        match &self.about {
            About::Message { message, .. } => message.seq,
            About::Notice(notice) => notice.seq,
        }
    }

    /// Whose it is.
    pub fn org(&self) -> OrgId {
        match &self.about {
            About::Message { message, .. } => message.org,
            About::Notice(notice) => notice.org,
        }
    }

    /// Whether it is of the live environment.
    pub fn live(&self) -> bool {
        match &self.about {
            About::Message { message, .. } => message.live,
            About::Notice(notice) => notice.live,
        }
    }

    /// What it says of an organisation, if it does.
    pub fn notice(&self) -> Option<&Notice> {
        match &self.about {
            About::Message { .. } => None,
            About::Notice(notice) => Some(notice),
        }
    }
}

/// The result of one attempt to deliver an event.
#[derive(Debug)]
pub struct DeliveryRecord {
    /// The event, as it was before the attempt.
    pub job: EventJob,
    /// When the attempt began.
    pub at: Timestamp,
    /// How long it took, milliseconds.
    pub latency_ms: u32,
    /// The HTTP status, if there was one.
    pub status: Option<u16>,
    /// What went wrong, in our words, at most 200 characters.
    pub error: Option<Box<str>>,
    /// The beginning of the answer's body, at most 4 KiB.
    pub response: Option<Box<str>>,
    /// Try again then; `None` = done with it (delivered or given up).
    pub retry_at: Option<Timestamp>,
}

impl DeliveryRecord {
    /// Number of this attempt, from 1.
    pub fn attempt(&self) -> u16 {
        self.job.attempts.saturating_add(1)
    }

    /// Whether the receiver has the event.
    pub fn is_delivered(&self) -> bool {
        matches!(self.status, Some(200..=299))
    }
}

/// A message that waits in the store for its lane, or in doubt, as read back from it.
#[derive(Debug)]
pub struct Waiting {
    /// The message.
    pub message: Arc<Message>,
    /// Queued or uncertain.
    pub state: State,
    /// Its place in its lane.
    pub place: Place,
    /// Accounts that have refused it, or left it in doubt.
    pub tried: Tried,
    /// Segments not yet taken by a carrier.
    pub parts: Parts,
    /// Attempts already made.
    pub attempts: u16,
    /// An earlier attempt may have reached a carrier.
    pub possible_duplicate: bool,
}

/// A return to the lane that it came from, by way of `feed`.
#[derive(Debug)]
pub struct Return {
    /// What to send.
    pub ready: Ready,
    /// Not before.
    pub at: Instant,
}

/// Shared word of the store's health: binds do not submit and the API does not accept while the
/// store cannot commit, because an outcome that cannot be recorded is a duplicate in waiting.
#[derive(Debug, Default)]
pub struct StoreHealth {
    sick: AtomicBool,
}

impl StoreHealth {
    /// Whether commits work.
    pub fn is_well(&self) -> bool {
        !self.sick.load(Ordering::Relaxed)
    }

    /// Set by the writer alone. Returns whether this changed anything.
    pub fn set_well(&self, well: bool) -> bool {
        self.sick.swap(!well, Ordering::Relaxed) == well
    }
}

/// What the operator's hand asks of `feed`.
#[derive(Debug)]
pub enum Steer {
    /// Take these lanes' messages out of memory (lanes, retries) and load nothing until
    /// [`Steer::Release`]: somebody is about to change their rows, or to give them rows of other
    /// lanes. Answered when done.
    Recall {
        /// Which lanes.
        lanes: Vec<(CarrierIndex, Class)>,
        /// The answer.
        done: tokio::sync::oneshot::Sender<()>,
    },
    /// Load these lanes again: what was in memory and still waits there, and what has come.
    Release(Vec<(CarrierIndex, Class)>),
    /// An account's standing has changed, or the routing plan: look whether messages should move.
    Look,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_reports_changes_once() {
        let health = StoreHealth::default();
        assert!(health.is_well());
        assert!(health.set_well(false));
        assert!(!health.set_well(false));
        assert!(health.set_well(true));
    }
}
