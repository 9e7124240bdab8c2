//! Lives here: `submit_sm` and `deliver_sm`, which share one layout (SMPP 4.4.1 and 4.6.1), and addresses.
//! Never here: text encodings (`text`), receipts (`receipt`).

use bytes::Bytes;

use super::fault::{DecodeReason, EncodeError, Field, Violation};
use super::octet_str::OctetStr;
use super::wire::{Reader, Writer, saturated, string_len, time_len, tlvs_len};
use crate::tlv::{self, Tlvs, tag};

/// The bits of `esm_class` (SMPP 5.2.12).
pub mod esm_class {
    /// Bits 5 to 2: the message type. Test `esm_class & TYPE_MASK`, never the whole octet.
    pub const TYPE_MASK: u8 = 0x3C;
    /// Type: a delivery receipt.
    pub const RECEIPT: u8 = 0x04;
    /// Type: an intermediate delivery notification.
    pub const INTERMEDIATE: u8 = 0x20;
    /// Feature: the message starts with a user data header.
    pub const UDHI: u8 = 0x40;
}

/// An address with its type and plan (SMPP 5.2.5, 5.2.6).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Address {
    /// Type of number: 0 unknown, 1 international, 5 alphanumeric.
    pub ton: u8,
    /// Numbering plan: 0 unknown, 1 E.164.
    pub npi: u8,
    /// At most 20 octets (40 in a bind).
    pub addr: OctetStr,
}

impl Address {
    /// An address from its three parts.
    pub fn new(ton: u8, npi: u8, addr: impl Into<OctetStr>) -> Self {
        Self {
            ton,
            npi,
            addr: addr.into(),
        }
    }
}

macro_rules! short_message {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct $name {
            /// At most 5 octets, mostly empty.
            pub service_type: OctetStr,
            /// Who sends.
            pub source: Address,
            /// Who receives.
            pub dest: Address,
            /// Mode, type and features; see [`esm_class`].
            pub esm_class: u8,
            /// GSM protocol identifier.
            pub protocol_id: u8,
            /// 0 to 3.
            pub priority_flag: u8,
            /// Empty (at once) or 16 octets, `YYMMDDhhmmsstnnp`.
            pub schedule_delivery_time: OctetStr,
            /// Empty (the carrier's default) or 16 octets.
            pub validity_period: OctetStr,
            /// Which receipts are wanted (SMPP 5.2.17); 1 is a final one.
            pub registered_delivery: u8,
            /// 1 replaces an earlier message of the same service type and addresses.
            pub replace_if_present: u8,
            /// The encoding of the message (SMPP 5.2.19): 0 carrier default, 3 Latin-1, 8 UCS-2.
            pub data_coding: u8,
            /// A canned message's number; 0 for none.
            pub sm_default_msg_id: u8,
            /// At most 254 octets, the user data header included. A slice of the frame when decoded.
            pub short_message: Bytes,
            /// Optional parameters in wire order.
            pub tlvs: Tlvs,
        }

        impl $name {
            /// The message's octets: `short_message`, or the `message_payload` TLV when that is empty.
            #[must_use]
            pub fn message(&self) -> &Bytes {
                if self.short_message.is_empty() {
                    self.tlvs.get(tag::MESSAGE_PAYLOAD).unwrap_or(&self.short_message)
                } else {
                    &self.short_message
                }
            }

            /// Whether the message starts with a user data header.
            #[must_use]
            pub const fn has_udh(&self) -> bool {
                self.esm_class & esm_class::UDHI != 0
            }

            #[inline]
            pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeReason> {
                let service_type = reader.string(Field::ServiceType)?;
                let source = Address {
                    ton: reader.u8(Field::SourceAddrTon)?,
                    npi: reader.u8(Field::SourceAddrNpi)?,
                    addr: reader.string(Field::SourceAddr)?,
                };
                let dest = Address {
                    ton: reader.u8(Field::DestAddrTon)?,
                    npi: reader.u8(Field::DestAddrNpi)?,
                    addr: reader.string(Field::DestinationAddr)?,
                };
                let esm_class = reader.u8(Field::EsmClass)?;
                let protocol_id = reader.u8(Field::ProtocolId)?;
                let priority_flag = reader.u8(Field::PriorityFlag)?;
                let schedule_delivery_time = reader.string(Field::ScheduleDeliveryTime)?;
                let validity_period = reader.string(Field::ValidityPeriod)?;
                let registered_delivery = reader.u8(Field::RegisteredDelivery)?;
                let replace_if_present = reader.u8(Field::ReplaceIfPresent)?;
                let data_coding = reader.u8(Field::DataCoding)?;
                let sm_default_msg_id = reader.u8(Field::SmDefaultMsgId)?;
                let sm_length = reader.u8(Field::SmLength)?;
                let (short_message, tlvs) = read_message(reader, sm_length, data_coding);
                Ok(Self {
                    service_type,
                    source,
                    dest,
                    esm_class,
                    protocol_id,
                    priority_flag,
                    schedule_delivery_time,
                    validity_period,
                    registered_delivery,
                    replace_if_present,
                    data_coding,
                    sm_default_msg_id,
                    short_message,
                    tlvs,
                })
            }

            #[inline]
            pub(super) fn len(&self) -> Result<usize, EncodeError> {
                let len = self.short_message.len();
                if len > Field::ShortMessage.max_len() {
                    return Err(EncodeError::TooLong { field: Field::ShortMessage, len });
                }
                if len > 0 && self.tlvs.get(tag::MESSAGE_PAYLOAD).is_some() {
                    return Err(EncodeError::TwoMessages);
                }
                Ok(string_len(&self.service_type, Field::ServiceType)?
                    + string_len(&self.source.addr, Field::SourceAddr)?
                    + string_len(&self.dest.addr, Field::DestinationAddr)?
                    + time_len(&self.schedule_delivery_time, Field::ScheduleDeliveryTime)?
                    + time_len(&self.validity_period, Field::ValidityPeriod)?
                    + SINGLE_OCTETS
                    + len
                    + tlvs_len(&self.tlvs)?)
            }

            #[inline]
            pub(super) fn write(&self, writer: &mut Writer<'_>) {
                writer.string(&self.service_type);
                writer.octets(&[self.source.ton, self.source.npi]);
                writer.string(&self.source.addr);
                writer.octets(&[self.dest.ton, self.dest.npi]);
                writer.string(&self.dest.addr);
                writer.octets(&[self.esm_class, self.protocol_id, self.priority_flag]);
                writer.string(&self.schedule_delivery_time);
                writer.string(&self.validity_period);
                writer.octets(&[
                    self.registered_delivery,
                    self.replace_if_present,
                    self.data_coding,
                    self.sm_default_msg_id,
                    // `len` has refused more than 254.
                    self.short_message.len() as u8,
                ]);
                writer.octets(&self.short_message);
                writer.tlvs(&self.tlvs);
            }
        }
    };
}

short_message! {
    /// `submit_sm` (SMPP 4.4.1): a message from the ESME to the carrier.
    SubmitSm
}

short_message! {
    /// `deliver_sm` (SMPP 4.6.1): a message or a receipt from the carrier to the ESME.
    DeliverSm
}

/// Fields of one octet: two ton, two npi, esm_class, protocol_id, priority_flag, registered_delivery,
/// replace_if_present_flag, data_coding, sm_default_msg_id, sm_length.
const SINGLE_OCTETS: usize = 12;

/// `data_coding` of UCS-2, whose messages have an even number of octets.
const UCS2: u8 = 0x08;

#[inline]
fn read_message(reader: &mut Reader<'_>, sm_length: u8, data_coding: u8) -> (Bytes, Tlvs) {
    let declared = usize::from(sm_length);
    if reader.rest().len() != declared {
        return read_message_and_tail(reader, sm_length, data_coding);
    }
    (reader.octets(declared), Tlvs::new())
}

fn read_message_and_tail(reader: &mut Reader<'_>, sm_length: u8, data_coding: u8) -> (Bytes, Tlvs) {
    let declared = usize::from(sm_length);
    let taken = match boundary(reader.rest(), declared, data_coding) {
        Boundary::At(taken) => taken,
        Boundary::NulAt(taken) => {
            let message = reader.octets(taken);
            reader.octets(1);
            reader.violations.push(Violation::NulAfterMessage);
            return (message, reader.tlvs());
        }
    };
    if taken != declared {
        reader.violations.push(Violation::SmLength {
            declared: sm_length,
            taken: saturated(taken),
        });
    }
    let message = reader.octets(taken);
    let tlvs = reader.tlvs();
    if !message.is_empty() && tlvs.get(tag::MESSAGE_PAYLOAD).is_some() {
        reader.violations.push(Violation::TwoMessages);
    }
    (message, tlvs)
}

/// Where the message ends.
enum Boundary {
    /// After so many octets.
    At(usize),
    /// After so many octets, and a NUL that belongs to nothing follows.
    NulAt(usize),
}

/// Peers miscount `sm_length` by one, or end the message with a NUL that they do not count. `sm_length` is
/// believed when whole TLVs follow; otherwise the neighbouring boundary behind which only known TLVs (or nothing)
/// follow is taken; otherwise `sm_length` again, and the tail becomes a violation.
fn boundary(rest: &[u8], declared: usize, data_coding: u8) -> Boundary {
    let Some(tail) = rest.get(declared..) else {
        return Boundary::At(rest.len());
    };
    if tlv::is_whole(tail) {
        return Boundary::At(declared);
    }
    let one_more = tlv::is_plausible(&tail[1..]);
    let half_a_character = data_coding == UCS2 && declared % 2 == 1;
    if one_more && tail[0] == 0 && !half_a_character {
        return Boundary::NulAt(declared);
    }
    if one_more {
        return Boundary::At(declared + 1);
    }
    let one_less = declared
        .checked_sub(1)
        .filter(|less| tlv::is_plausible(&rest[*less..]));
    Boundary::At(one_less.unwrap_or(declared))
}
