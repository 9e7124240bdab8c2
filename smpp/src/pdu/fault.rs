//! Lives here: what can be wrong with a PDU: violations that decoding overlooks, errors that it cannot, and what
//! encoding refuses.
//! Never here: the session's answer to any of them.

use std::fmt;

use bytes::Bytes;
use smallvec::SmallVec;
use thiserror::Error;

use super::wire::shown::Hidden;
use super::{Field, Version};
use crate::codec::Header;
use crate::status::CommandStatus;
use crate::tlv::TLVS_MAX;

/// What a peer got wrong and decoding overlooked. Worth counting per carrier; never a reason to refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Violation {
    /// The PDU ended inside this string, where its NUL should be; the octets there were taken.
    MissingTerminator(Field),
    /// The PDU ended before this last field; it was taken as empty.
    MissingField(Field),
    /// The string is longer than the specification allows; it was kept whole.
    OverLong {
        /// Which string.
        field: Field,
        /// Its length in octets, without NUL.
        len: u32,
    },
    /// `sm_length` did not fit the PDU; the message was taken with another length.
    SmLength {
        /// What `sm_length` said, in octets.
        declared: u8,
        /// The octets taken.
        taken: u32,
    },
    /// A NUL stood between `short_message` and what follows; it was dropped.
    NulAfterMessage,
    /// Both `short_message` and the `message_payload` TLV carry text; `message()` returns the former.
    TwoMessages,
    /// The last TLV has fewer octets than its length says; it was dropped, those before it were kept.
    TruncatedTlv {
        /// Its tag.
        tag: u16,
        /// The length it states, in octets.
        declared: u16,
        /// The octets that were there.
        available: u32,
    },
    /// TLVs beyond [`crate::tlv::TLVS_MAX`]; they were dropped.
    TooManyTlvs {
        /// Their octets.
        octets: u32,
    },
    /// Octets behind the last field that are neither a field nor a TLV; they were dropped.
    TrailingOctets {
        /// How many.
        count: u32,
    },
    /// A response's TLVs stood where its string should be (some peers leave out the string with an error).
    TlvsWithoutString(Field),
    /// A standard TLV whose length its definition does not allow; its value was kept as it is.
    TlvLength {
        /// Its tag.
        tag: u16,
        /// Its length in octets.
        len: u32,
    },
    /// A TLV that this PDU cannot do without is not there (broadcast operations).
    MissingTlv(u16),
    /// A request whose `command_status` is not zero.
    StatusInRequest(CommandStatus),
}

/// The violations of one PDU in the order of their places; two fit without allocation.
pub type Violations = SmallVec<[Violation; 2]>;

/// A PDU that cannot be read even leniently. The stream is unharmed: the frame was cut by `command_length`.
#[derive(Clone, PartialEq, Eq, Error)]
#[error("{} (sequence {}): {reason}", header.command, header.sequence)]
pub struct DecodeError {
    /// The PDU's header, to answer with.
    pub header: Header,
    /// What was wrong.
    pub reason: DecodeReason,
    /// The body as it came, to keep for a person; a slice of the frame. `Debug` shows its length only.
    pub body: Bytes,
}

impl DecodeError {
    #[cold]
    pub(super) fn new(header: Header, body: Bytes, reason: DecodeReason) -> Self {
        Self {
            header,
            reason,
            body,
        }
    }

    /// The status for the answer.
    #[must_use]
    pub const fn status(&self) -> CommandStatus {
        match self.reason {
            DecodeReason::Truncated { .. } => CommandStatus::ESME_RINVCMDLEN,
            DecodeReason::DestFlag { .. } => CommandStatus::ESME_RINVDESTFLAG,
        }
    }
}

impl fmt::Debug for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecodeError")
            .field("header", &self.header)
            .field("reason", &self.reason)
            .field("body", &Hidden(self.body.len()))
            .finish()
    }
}

/// Why a PDU cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeReason {
    /// The body ended before this mandatory field.
    #[error("the body ended before {field}")]
    Truncated {
        /// The first field that was not there.
        field: Field,
    },
    /// A destination of a `submit_multi` that is neither an address nor a list: what follows cannot be told apart.
    #[error("dest_flag is {value}, it must be 1 or 2")]
    DestFlag {
        /// What stood there.
        value: u8,
    },
}

/// What the specification forbids to send. The caller's value is at fault; sending it again cannot help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EncodeError {
    /// A string or message over its limit.
    #[error("{field} has {len} octets, at most {} are allowed", field.max_len())]
    TooLong {
        /// Which field.
        field: Field,
        /// Its length in octets, without NUL.
        len: usize,
    },
    /// A time that is neither empty nor `YYMMDDhhmmsstnnp` (SMPP 7.1.1).
    #[error("{field} of {len} octets must be empty or YYMMDDhhmmsstnnp")]
    Time {
        /// Which field.
        field: Field,
        /// Its length in octets, without NUL.
        len: usize,
    },
    /// A value that the specification reserves.
    #[error("{field} {value} is reserved")]
    Reserved {
        /// Which field.
        field: Field,
        /// Its value.
        value: u8,
    },
    /// A list with too many elements, or with none.
    #[error("{field} is {count}, it must be at least 1 for destinations and at most {}", field.max_len())]
    Count {
        /// Which list.
        field: Field,
        /// How many elements it has.
        count: usize,
    },
    /// Both `short_message` and a `message_payload` TLV (SMPP 4.4.1 allows one of them).
    #[error("short_message and message_payload together")]
    TwoMessages,
    /// A standard TLV whose length its definition does not allow, or any of more than 65 535 octets.
    #[error("TLV {tag:#06x} cannot have {len} octets")]
    TlvLength {
        /// Its tag.
        tag: u16,
        /// Its length in octets.
        len: usize,
    },
    /// More TLVs than [`crate::tlv::TLVS_MAX`]: this many.
    #[error("{0} TLVs, at most {TLVS_MAX} are allowed")]
    TooManyTlvs(usize),
    /// A TLV that this PDU cannot do without is not there.
    #[error("TLV {0:#06x} is mandatory here")]
    MissingTlv(u16),
    /// The version agreed with the peer does not know this.
    #[error("SMPP {version} has no {what}")]
    NotInVersion {
        /// What it lacks.
        what: &'static str,
        /// The version.
        version: Version,
    },
    /// A request with a `command_status` other than zero.
    #[error("a request with status {0}")]
    StatusInRequest(CommandStatus),
    /// The PDU would be longer than [`crate::codec::HARD_MAX_PDU`].
    #[error("the PDU would have {0} octets")]
    PduTooLong(usize),
}
