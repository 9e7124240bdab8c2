//! Lives here: `submit_sm` and `deliver_sm`, which share one layout (SMPP 4.4.1 and 4.6.1), and the bits of their
//! octets.
//! Never here: text encodings (`text`), receipts (`receipt`).

use bytes::Bytes;

use super::layout::layout;
use super::wire::{DEST, SOURCE};
use super::{Address, Field, OctetStr};
use crate::tlv::{Tlvs, tag};

/// The bits of `esm_class` (SMPP 5.2.12).
pub mod esm_class {
    /// Bits 1 and 0: the messaging mode of a submission. No meaning in a delivery.
    pub const MODE_MASK: u8 = 0x03;
    /// Mode: the carrier's default, mostly store and forward.
    pub const MODE_DEFAULT: u8 = 0x00;
    /// Mode: datagram, one attempt.
    pub const MODE_DATAGRAM: u8 = 0x01;
    /// Mode: transaction; the response tells of the delivery.
    pub const MODE_TRANSACTION: u8 = 0x02;
    /// Mode: store and forward.
    pub const MODE_STORE_AND_FORWARD: u8 = 0x03;
    /// Bits 5 to 2: the message type. Test `esm_class & TYPE_MASK`, never the whole octet: 0x44 is a receipt with
    /// a user data header.
    pub const TYPE_MASK: u8 = 0x3C;
    /// Type: a delivery receipt.
    pub const RECEIPT: u8 = 0x04;
    /// Type: an acknowledgement by the receiving SME.
    pub const DELIVERY_ACK: u8 = 0x08;
    /// Type: an acknowledgement by the receiving user.
    pub const USER_ACK: u8 = 0x10;
    /// Type: conversation abort (Korean CDMA).
    pub const CONVERSATION_ABORT: u8 = 0x18;
    /// Type: an intermediate delivery notification.
    pub const INTERMEDIATE: u8 = 0x20;
    /// Feature: the message starts with a user data header.
    pub const UDHI: u8 = 0x40;
    /// Feature: reply path.
    pub const REPLY_PATH: u8 = 0x80;
}

/// The bits of `registered_delivery` (SMPP 5.2.17).
pub mod registered_delivery {
    /// Bits 1 and 0: which final receipts are wanted.
    pub const RECEIPT_MASK: u8 = 0x03;
    /// No receipt.
    pub const NONE: u8 = 0x00;
    /// A receipt for success and for failure.
    pub const FINAL: u8 = 0x01;
    /// A receipt for failure only.
    pub const FAILURE: u8 = 0x02;
    /// A receipt for success only (5.0; reserved in 3.4).
    pub const SUCCESS: u8 = 0x03;
    /// An acknowledgement by the receiving SME.
    pub const DELIVERY_ACK: u8 = 0x04;
    /// An acknowledgement by the receiving user.
    pub const USER_ACK: u8 = 0x08;
    /// Intermediate notifications: bit 4, as the specification's table has it; its text says 5 and errs.
    pub const INTERMEDIATE: u8 = 0x10;
}

macro_rules! short_message {
    ($(#[$doc:meta])* $name:ident) => {
        layout! {
            hot
            $(#[$doc])*
            $name {
                /// At most 5 octets, mostly empty.
                service_type: OctetStr = string(Field::ServiceType);
                /// Who sends; at most 20 octets.
                source: Address = address(SOURCE);
                /// Who receives; at most 20 octets.
                dest: Address = address(DEST);
                /// Mode, type and features; see [`esm_class`].
                esm_class: u8 = octet(Field::EsmClass);
                /// GSM protocol identifier.
                protocol_id: u8 = octet(Field::ProtocolId);
                /// 0 to 3; 4 in some networks of 5.0.
                priority_flag: u8 = octet(Field::PriorityFlag);
                /// Empty (at once) or 16 octets, `YYMMDDhhmmsstnnp`.
                schedule_delivery_time: OctetStr = time(Field::ScheduleDeliveryTime);
                /// Empty (the carrier's default) or 16 octets.
                validity_period: OctetStr = time(Field::ValidityPeriod);
                /// Which receipts are wanted; see [`registered_delivery`].
                registered_delivery: u8 = octet(Field::RegisteredDelivery);
                /// 1 replaces an earlier message of the same service type and addresses; else 0.
                replace_if_present: u8 = octet(Field::ReplaceIfPresent);
                /// The encoding of the message (SMPP 5.2.19): 0 carrier default, 3 Latin-1, 8 UCS-2.
                data_coding: u8 = data_coding();
                /// A canned message's number; 0 for none.
                sm_default_msg_id: u8 = octet(Field::SmDefaultMsgId);
                /// At most 254 octets (255 from version 5.0), the user data header included. A slice of the frame
                /// when decoded.
                short_message: Bytes = message();
                /// Optional parameters in wire order.
                tlvs: Tlvs = tlvs_beside();
            }
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
