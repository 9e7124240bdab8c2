//! Lives here: `data_sm` and its response (SMPP 4.7), sent by either side.
//! Never here: what the message says.

use bytes::Bytes;

use super::layout::layout;
use super::wire::{LONG_DEST, LONG_SOURCE};
use super::{Address, Field, OctetStr, esm_class};
use crate::tlv::{Tlvs, tag};

layout! {
    /// `data_sm` (SMPP 4.7.1): a message of interactive applications, or a receipt, in either direction.
    DataSm {
        /// At most 5 octets, mostly empty.
        service_type: OctetStr = string(Field::ServiceType);
        /// Who sends; at most 64 octets.
        source: Address = address(LONG_SOURCE);
        /// Who receives; at most 64 octets.
        dest: Address = address(LONG_DEST);
        /// Mode, type and features; see [`esm_class`].
        esm_class: u8 = octet(Field::EsmClass);
        /// Which receipts are wanted; see [`super::registered_delivery`].
        registered_delivery: u8 = octet(Field::RegisteredDelivery);
        /// The encoding of the message (SMPP 5.2.19).
        data_coding: u8 = data_coding();
        /// Optional parameters in wire order; the message is `message_payload`.
        tlvs: Tlvs = tlvs();
    }
}

impl DataSm {
    /// The message's octets: the `message_payload` TLV; empty without one.
    #[must_use]
    pub fn message(&self) -> &[u8] {
        self.tlvs
            .get(tag::MESSAGE_PAYLOAD)
            .map_or(&[], Bytes::as_ref)
    }

    /// Whether the message starts with a user data header.
    #[must_use]
    pub const fn has_udh(&self) -> bool {
        self.esm_class & esm_class::UDHI != 0
    }
}

layout! {
    /// `data_sm_resp` (SMPP 4.7.2). Its body is sent with every status: `delivery_failure_reason` and others explain
    /// an error.
    DataSmResp {
        /// The receiver's id exactly as written, at most 64 octets.
        message_id: OctetStr = answer_string(Field::MessageId);
        /// `delivery_failure_reason`, `network_error_code`, `additional_status_info_text`, `dpf_result`.
        tlvs: Tlvs = tlvs();
    }
}
