//! Lives here: `submit_multi` and its response (SMPP 4.5).
//! Never here: distribution lists, which only the carrier knows.

use bytes::Bytes;

use super::layout::layout;
use super::wire::SOURCE;
use super::{Address, Field, OctetStr};
use crate::status::CommandStatus;
use crate::tlv::Tlvs;

/// One destination of a `submit_multi` (SMPP 4.5.1.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Destination {
    /// An address of at most 20 octets.
    Address(Address),
    /// The name of a distribution list at the carrier, at most 20 octets.
    List(OctetStr),
}

impl Destination {
    /// `dest_flag` of an address (SMPP 5.2.25).
    pub(super) const ADDRESS: u8 = 1;
    /// `dest_flag` of a list.
    pub(super) const LIST: u8 = 2;
}

/// One destination that a `submit_multi` did not reach (SMPP 4.5.2.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Unsuccess {
    /// Which; at most 20 octets.
    pub dest: Address,
    /// Why.
    pub status: CommandStatus,
}

layout! {
    /// `submit_multi` (SMPP 4.5.1): one message to several destinations.
    SubmitMulti {
        /// At most 5 octets, mostly empty.
        service_type: OctetStr = string(Field::ServiceType);
        /// Who sends; at most 20 octets.
        source: Address = address(SOURCE);
        /// Who receives: 1 to 254, 255 from version 5.0.
        dests: Vec<Destination> = destinations();
        /// Mode, type and features; see [`super::esm_class`].
        esm_class: u8 = octet(Field::EsmClass);
        /// GSM protocol identifier.
        protocol_id: u8 = octet(Field::ProtocolId);
        /// 0 to 3; 4 in some networks of 5.0.
        priority_flag: u8 = octet(Field::PriorityFlag);
        /// Empty (at once) or 16 octets, `YYMMDDhhmmsstnnp`.
        schedule_delivery_time: OctetStr = time(Field::ScheduleDeliveryTime);
        /// Empty (the carrier's default) or 16 octets.
        validity_period: OctetStr = time(Field::ValidityPeriod);
        /// Which receipts are wanted; see [`super::registered_delivery`].
        registered_delivery: u8 = octet(Field::RegisteredDelivery);
        /// 1 replaces an earlier message; else 0.
        replace_if_present: u8 = octet(Field::ReplaceIfPresent);
        /// The encoding of the message (SMPP 5.2.19).
        data_coding: u8 = data_coding();
        /// A canned message's number; 0 for none.
        sm_default_msg_id: u8 = octet(Field::SmDefaultMsgId);
        /// At most 254 octets (255 from version 5.0).
        short_message: Bytes = message();
        /// Optional parameters in wire order.
        tlvs: Tlvs = tlvs_beside();
    }
}

layout! {
    /// `submit_multi_resp` (SMPP 4.5.2). With an error status it is sent without body, unless it carries TLVs.
    SubmitMultiResp {
        /// The carrier's id exactly as written, at most 64 octets; one for all destinations.
        message_id: OctetStr = answer_id(Field::MessageId);
        /// The destinations that were refused, at most 255.
        unsuccess: Vec<Unsuccess> = failures();
        /// None in 3.4.
        tlvs: Tlvs = tlvs();
    }
}
