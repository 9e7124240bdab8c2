//! Lives here: a message as accepted (immutable from then on) and the states it moves through.
//! Never here: which moves are legal (`lifecycle`), nor how it is stored or sent.

use std::fmt;

use super::class::Class;
use super::credits::Credits;
use super::ids::{CarrierIndex, MessageId, MessageSeq, OrgId};
use super::phone::{Msisdn, Sender};
use super::time::Timestamp;

/// What an organisation asked us to send, normalised, composed and routed.
///
/// Shared as `Arc<Message>` from commit to carrier; nothing in it changes. `Debug` leaves the
/// text out.
#[derive(Clone)]
pub struct Message {
    /// Order of acceptance; 0 until the writer has given it.
    pub seq: MessageSeq,
    /// Public id.
    pub id: MessageId,
    /// Whose message it is.
    pub org: OrgId,
    /// Order of service and policy in doubt.
    pub class: Class,
    /// Recipient.
    pub to: Msisdn,
    /// Sender.
    pub from: Sender,
    /// The text, UTF-8, at most 10 segments of it.
    pub body: Box<str>,
    /// The alphabet its segments use.
    pub encoding: Encoding,
    /// Number of segments, 1 to 10.
    pub segments: u8,
    /// The account that carries it.
    pub carrier: CarrierIndex,
    /// Where this message's events go.
    pub webhook_url: Option<Box<str>>,
    /// The client's `metadata` object, as the JSON text it sent.
    pub metadata: Option<Box<str>>,
    /// The client's `tags` array, as JSON text.
    pub tags: Option<Box<str>>,
    /// The client's own name for it, at most 64 characters.
    pub client_ref: Option<Box<str>>,
    /// Of a live key; those of a test key meet no carrier and cost nothing.
    pub live: bool,
    /// What all its segments cost its organisation.
    pub cost: Credits,
    /// When the client's request was accepted.
    pub accepted_at: Timestamp,
    /// Not before this; equal to `accepted_at` unless scheduled.
    pub due_at: Timestamp,
    /// After this it must not be submitted any more.
    pub valid_until: Timestamp,
}

impl Message {
    /// Whether a message goes to its lane at once, or waits for its time.
    pub fn initial_state(&self) -> State {
        if self.due_at > self.accepted_at {
            State::Scheduled
        } else {
            State::Queued
        }
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("seq", &self.seq.0)
            .field("id", &self.id.0)
            .field("class", &self.class)
            .field("to", &self.to)
            .field("segments", &self.segments)
            .finish_non_exhaustive()
    }
}

/// The alphabet of a message's segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// GSM 03.38 with its extension table: 160 septets, 153 in each of several parts.
    Gsm7,
    /// UCS-2 (UTF-16BE in practice): 70 code units, 67 in each of several parts.
    Ucs2,
}

impl Encoding {
    /// The name used in the API and in metrics, also kept in the store by position.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gsm7 => "gsm7",
            Self::Ucs2 => "ucs2",
        }
    }

    /// The number kept in the store.
    pub const fn index(self) -> i64 {
        self as i64
    }

    /// The encoding with this number in the store.
    pub const fn from_index(index: i64) -> Option<Self> {
        match index {
            0 => Some(Self::Gsm7),
            1 => Some(Self::Ucs2),
            _ => None,
        }
    }
}

/// Where a message stands. The numbers are kept in the store and never change meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum State {
    /// Waits for its due time.
    Scheduled = 0,
    /// Waits in a lane, in the store behind it, or for a retry.
    Queued = 1,
    /// Perhaps sent: the outcome of an attempt is unknown.
    Uncertain = 3,
    /// Taken by the carrier; a receipt is awaited.
    Submitted = 4,
    /// The carrier says the handset has it.
    Delivered = 5,
    /// The carrier gave up.
    Undelivered = 6,
    /// The carrier refused it.
    Rejected = 7,
    /// Its validity ran out before delivery.
    Expired = 8,
    /// Its outcome cannot be learnt any more.
    Unknown = 9,
    /// The client took it back.
    Cancelled = 10,
    /// We could not send it (no route, expired before submit).
    Failed = 11,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 11] = [
        Self::Scheduled,
        Self::Queued,
        Self::Uncertain,
        Self::Submitted,
        Self::Delivered,
        Self::Undelivered,
        Self::Rejected,
        Self::Expired,
        Self::Unknown,
        Self::Cancelled,
        Self::Failed,
    ];

    /// The number kept in the store.
    pub const fn index(self) -> i64 {
        self as i64
    }

    /// The state with this number in the store.
    pub fn from_index(index: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.index() == index)
    }

    /// Nothing follows but a late word from the carrier.
    pub const fn is_terminal(self) -> bool {
        !matches!(
            self,
            Self::Scheduled | Self::Queued | Self::Uncertain | Self::Submitted
        )
    }

    /// The finer name: `status_detail` in the API, `status` in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Queued => "queued",
            Self::Uncertain => "uncertain",
            Self::Submitted => "submitted",
            Self::Delivered => "delivered",
            Self::Undelivered => "undelivered",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Unknown => "unknown",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }

    /// The smaller set that API clients see as `status` (`reference/api.md`, point 2).
    pub const fn public(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Queued | Self::Uncertain => "queued",
            Self::Submitted => "sent",
            Self::Delivered => "delivered",
            Self::Undelivered | Self::Rejected | Self::Expired | Self::Unknown | Self::Failed => {
                "failed"
            }
            Self::Cancelled => "canceled",
        }
    }
}

/// Why a message failed, as the API names it (`failure_code`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureCode {
    /// The handset was not reachable for the whole validity.
    AbsentSubscriber,
    /// The network does not know the number.
    UnknownSubscriber,
    /// The recipient's operator blocks such messages to this number (DND).
    BlockedDnd,
    /// The carrier's filter took it for spam.
    SpamFiltered,
    /// The carrier refused the submit or the delivery.
    CarrierRejected,
    /// The validity ran out.
    Expired,
    /// No account could carry it.
    RouteUnavailable,
    /// The client took it back.
    Canceled,
    /// The outcome never became known.
    OutcomeUnknown,
}

impl FailureCode {
    /// Every code.
    pub const ALL: [Self; 9] = [
        Self::AbsentSubscriber,
        Self::UnknownSubscriber,
        Self::BlockedDnd,
        Self::SpamFiltered,
        Self::CarrierRejected,
        Self::Expired,
        Self::RouteUnavailable,
        Self::Canceled,
        Self::OutcomeUnknown,
    ];

    /// The code in API answers, webhooks and the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AbsentSubscriber => "absent_subscriber",
            Self::UnknownSubscriber => "unknown_subscriber",
            Self::BlockedDnd => "blocked_dnd",
            Self::SpamFiltered => "spam_filtered",
            Self::CarrierRejected => "carrier_rejected",
            Self::Expired => "expired",
            Self::RouteUnavailable => "route_unavailable",
            Self::Canceled => "canceled",
            Self::OutcomeUnknown => "outcome_unknown",
        }
    }

    /// Reads a code back from the store.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.name() == name)
    }

    /// The sentence for people (`failure_reason`).
    pub const fn reason(self) -> &'static str {
        match self {
            Self::AbsentSubscriber => "The handset could not be reached.",
            Self::UnknownSubscriber => "The network does not know this number.",
            Self::BlockedDnd => "The recipient's operator blocks such messages to this number.",
            Self::SpamFiltered => "The carrier's filter took the message for spam.",
            Self::CarrierRejected => "The carrier refused the message.",
            Self::Expired => "The message was not delivered within its validity.",
            Self::RouteUnavailable => "No carrier could take the message.",
            Self::Canceled => "The message was canceled.",
            Self::OutcomeUnknown => "The carrier never told the outcome.",
        }
    }

    /// Whether sending the same message again is pointless.
    pub const fn permanent(self) -> bool {
        match self {
            Self::UnknownSubscriber
            | Self::BlockedDnd
            | Self::SpamFiltered
            | Self::CarrierRejected
            | Self::Canceled => true,
            Self::AbsentSubscriber
            | Self::Expired
            | Self::RouteUnavailable
            | Self::OutcomeUnknown => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_numbers_round_trip() {
        for state in State::ALL {
            assert_eq!(State::from_index(state.index()), Some(state));
        }
        assert_eq!(State::from_index(2), None);
        for code in FailureCode::ALL {
            assert_eq!(FailureCode::parse(code.name()), Some(code));
        }
        for encoding in [Encoding::Gsm7, Encoding::Ucs2] {
            assert_eq!(Encoding::from_index(encoding.index()), Some(encoding));
        }
    }
}
