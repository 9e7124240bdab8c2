//! Lives here: what can be wrong with a PDU: violations that decoding overlooks, errors that it cannot, and what
//! encoding refuses.
//! Never here: the session's answer to any of them.

use std::fmt;

use smallvec::SmallVec;
use thiserror::Error;

use crate::codec::Header;
use crate::status::CommandStatus;

/// A mandatory field, with the specification's name and limit (SMPP 4 and 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// `system_id`, at most 15 octets and NUL.
    SystemId,
    /// `password`, at most 8 octets and NUL.
    Password,
    /// `system_type`, at most 12 octets and NUL.
    SystemType,
    /// `interface_version`, one octet.
    InterfaceVersion,
    /// `addr_ton`, one octet.
    AddrTon,
    /// `addr_npi`, one octet.
    AddrNpi,
    /// `address_range`, at most 40 octets and NUL.
    AddressRange,
    /// `service_type`, at most 5 octets and NUL.
    ServiceType,
    /// `source_addr_ton`, one octet.
    SourceAddrTon,
    /// `source_addr_npi`, one octet.
    SourceAddrNpi,
    /// `source_addr`, at most 20 octets and NUL.
    SourceAddr,
    /// `dest_addr_ton`, one octet.
    DestAddrTon,
    /// `dest_addr_npi`, one octet.
    DestAddrNpi,
    /// `destination_addr`, at most 20 octets and NUL.
    DestinationAddr,
    /// `esm_class`, one octet.
    EsmClass,
    /// `protocol_id`, one octet.
    ProtocolId,
    /// `priority_flag`, one octet.
    PriorityFlag,
    /// `schedule_delivery_time`, empty or 16 octets, and NUL.
    ScheduleDeliveryTime,
    /// `validity_period`, empty or 16 octets, and NUL.
    ValidityPeriod,
    /// `registered_delivery`, one octet.
    RegisteredDelivery,
    /// `replace_if_present_flag`, one octet.
    ReplaceIfPresent,
    /// `data_coding`, one octet.
    DataCoding,
    /// `sm_default_msg_id`, one octet.
    SmDefaultMsgId,
    /// `sm_length`, one octet.
    SmLength,
    /// `short_message`, at most 254 octets.
    ShortMessage,
    /// `message_id`, at most 64 octets and NUL.
    MessageId,
}

impl Field {
    /// The specification's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SystemId => "system_id",
            Self::Password => "password",
            Self::SystemType => "system_type",
            Self::InterfaceVersion => "interface_version",
            Self::AddrTon => "addr_ton",
            Self::AddrNpi => "addr_npi",
            Self::AddressRange => "address_range",
            Self::ServiceType => "service_type",
            Self::SourceAddrTon => "source_addr_ton",
            Self::SourceAddrNpi => "source_addr_npi",
            Self::SourceAddr => "source_addr",
            Self::DestAddrTon => "dest_addr_ton",
            Self::DestAddrNpi => "dest_addr_npi",
            Self::DestinationAddr => "destination_addr",
            Self::EsmClass => "esm_class",
            Self::ProtocolId => "protocol_id",
            Self::PriorityFlag => "priority_flag",
            Self::ScheduleDeliveryTime => "schedule_delivery_time",
            Self::ValidityPeriod => "validity_period",
            Self::RegisteredDelivery => "registered_delivery",
            Self::ReplaceIfPresent => "replace_if_present_flag",
            Self::DataCoding => "data_coding",
            Self::SmDefaultMsgId => "sm_default_msg_id",
            Self::SmLength => "sm_length",
            Self::ShortMessage => "short_message",
            Self::MessageId => "message_id",
        }
    }

    /// The longest value the specification allows, in octets without NUL.
    #[must_use]
    pub const fn max_len(self) -> usize {
        match self {
            Self::SystemId => 15,
            Self::Password => 8,
            Self::SystemType => 12,
            Self::AddressRange => 40,
            Self::ServiceType => 5,
            Self::SourceAddr | Self::DestinationAddr => 20,
            Self::ScheduleDeliveryTime | Self::ValidityPeriod => 16,
            Self::ShortMessage => 254,
            Self::MessageId => 64,
            Self::InterfaceVersion
            | Self::AddrTon
            | Self::AddrNpi
            | Self::SourceAddrTon
            | Self::SourceAddrNpi
            | Self::DestAddrTon
            | Self::DestAddrNpi
            | Self::EsmClass
            | Self::ProtocolId
            | Self::PriorityFlag
            | Self::RegisteredDelivery
            | Self::ReplaceIfPresent
            | Self::DataCoding
            | Self::SmDefaultMsgId
            | Self::SmLength => 1,
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

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
    /// Octets behind the last field that are neither a field nor a TLV; they were dropped.
    TrailingOctets {
        /// How many.
        count: u32,
    },
    /// A response's TLVs stood where its string should be (some peers leave out the string with an error).
    TlvsWithoutString(Field),
    /// A request whose `command_status` is not zero.
    StatusInRequest(CommandStatus),
}

/// The violations of one PDU in the order of their places; two fit without allocation.
pub type Violations = SmallVec<[Violation; 2]>;

/// A PDU that cannot be read even leniently. The stream is unharmed: the frame was cut by `command_length`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{} (sequence {}): {reason}", header.command, header.sequence)]
pub struct DecodeError {
    /// The PDU's header, to answer with.
    pub header: Header,
    /// What was missing.
    pub reason: DecodeReason,
}

impl DecodeError {
    /// The status for the answer: always `ESME_RINVCMDLEN`, the PDU being shorter than its fields.
    #[must_use]
    pub const fn status(&self) -> CommandStatus {
        match self.reason {
            DecodeReason::Truncated { .. } => CommandStatus::ESME_RINVCMDLEN,
        }
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
    /// A time that is neither empty nor 16 octets (SMPP 7.1.1).
    #[error("{field} has {len} octets, it must be empty or have 16")]
    TimeLength {
        /// Which field.
        field: Field,
        /// Its length in octets, without NUL.
        len: usize,
    },
    /// Both `short_message` and a `message_payload` TLV (SMPP 4.4.1 allows one of them).
    #[error("short_message and message_payload together")]
    TwoMessages,
    /// A TLV value of more than 65 535 octets.
    #[error("TLV {tag:#06x} has {len} octets, at most 65535 are allowed")]
    TlvTooLong {
        /// Its tag.
        tag: u16,
        /// Its length in octets.
        len: usize,
    },
    /// A request with a `command_status` other than zero.
    #[error("a request with status {0}")]
    StatusInRequest(CommandStatus),
    /// The PDU would be longer than [`crate::codec::HARD_MAX_PDU`].
    #[error("the PDU would have {0} octets")]
    PduTooLong(usize),
}
