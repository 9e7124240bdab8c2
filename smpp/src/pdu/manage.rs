//! Lives here: asking for, cancelling and replacing a submitted message (SMPP 4.8 to 4.10). The responses to
//! cancelling and replacing are only a header.
//! Never here: whether the carrier offers it; most do not.

use bytes::Bytes;

use super::layout::layout;
use super::wire::{DEST, SOURCE};
use super::{Address, Field, OctetStr};
use crate::tlv::Tlvs;

layout! {
    /// `query_sm` (SMPP 4.8.1): asks for a message's state.
    QuerySm {
        /// The carrier's id, at most 64 octets.
        message_id: OctetStr = string(Field::MessageId);
        /// The sender of the message, as it was submitted; at most 20 octets.
        source: Address = address(SOURCE);
    }
}

layout! {
    /// `query_sm_resp` (SMPP 4.8.2).
    QuerySmResp {
        /// The carrier's id, at most 64 octets.
        message_id: OctetStr = answer_id(Field::MessageId);
        /// When the message came to its end: empty or 16 octets.
        final_date: OctetStr = answer_time(Field::FinalDate);
        /// [`crate::receipt::ReceiptState::from_value`] names it.
        message_state: u8 = answer_octet(Field::MessageState);
        /// The network's error; 0 for none.
        error_code: u8 = answer_octet(Field::ErrorCode);
        /// None in 3.4; `congestion_state` from 5.0 peers.
        tlvs: Tlvs = tlvs();
    }
}

layout! {
    /// `cancel_sm` (SMPP 4.9.1): takes back one message, or, without id, all between two addresses.
    CancelSm {
        /// At most 5 octets; selects among several messages when there is no id.
        service_type: OctetStr = string(Field::ServiceType);
        /// The carrier's id, at most 64 octets; empty for all messages that fit the rest.
        message_id: OctetStr = string(Field::MessageId);
        /// The sender, as it was submitted; at most 20 octets.
        source: Address = address(SOURCE);
        /// The receiver; empty when there is an id.
        dest: Address = address(DEST);
    }
}

layout! {
    /// `replace_sm` (SMPP 4.10.1): gives a message that still waits another text and other times.
    ReplaceSm {
        /// The carrier's id, at most 64 octets.
        message_id: OctetStr = string(Field::MessageId);
        /// The sender, as it was submitted; at most 20 octets.
        source: Address = address(SOURCE);
        /// Empty (keep) or 16 octets.
        schedule_delivery_time: OctetStr = time(Field::ScheduleDeliveryTime);
        /// Empty (keep) or 16 octets.
        validity_period: OctetStr = time(Field::ValidityPeriod);
        /// Which receipts are wanted; see [`super::registered_delivery`].
        registered_delivery: u8 = octet(Field::RegisteredDelivery);
        /// A canned message's number; 0 for none.
        sm_default_msg_id: u8 = octet(Field::SmDefaultMsgId);
        /// The new text in the old one's encoding, at most 254 octets (255 from version 5.0).
        short_message: Bytes = message();
        /// None in 3.4; `message_payload` from 5.0.
        tlvs: Tlvs = tlvs_beside();
    }
}
