//! Lives here: cell broadcast of SMPP 5.0 (4.4 there): sending, asking, cancelling. The response to cancelling is
//! only a header.
//! Never here: areas and channels, whose octets are the network's.

use super::layout::layout;
use super::wire::SOURCE;
use super::{Address, Field, OctetStr};
use crate::tlv::{Tlvs, tag};

/// What `broadcast_sm` cannot do without (SMPP 5.0 4.4.1.1).
const BROADCAST: [u16; 4] = [
    tag::BROADCAST_AREA_IDENTIFIER,
    tag::BROADCAST_CONTENT_TYPE,
    tag::BROADCAST_REP_NUM,
    tag::BROADCAST_FREQUENCY_INTERVAL,
];

/// What `query_broadcast_sm_resp` cannot do without (SMPP 5.0 4.6.1.3).
const BROADCAST_STATE: [u16; 3] = [
    tag::MESSAGE_STATE,
    tag::BROADCAST_AREA_IDENTIFIER,
    tag::BROADCAST_AREA_SUCCESS,
];

layout! {
    /// `broadcast_sm` (SMPP 5.0 4.4.1): a message to all handsets of an area.
    BroadcastSm {
        /// At most 5 octets, mostly empty.
        service_type: OctetStr = string(Field::ServiceType);
        /// Who sends; at most 20 octets.
        source: Address = address(SOURCE);
        /// The carrier's id of the broadcast to replace, at most 64 octets; empty for a new one.
        message_id: OctetStr = string(Field::MessageId);
        /// 0 to 4.
        priority_flag: u8 = octet(Field::PriorityFlag);
        /// Empty (at once) or 16 octets.
        schedule_delivery_time: OctetStr = time(Field::ScheduleDeliveryTime);
        /// Empty (the carrier's default) or 16 octets.
        validity_period: OctetStr = time(Field::ValidityPeriod);
        /// 1 replaces the broadcast `message_id`; else 0.
        replace_if_present: u8 = octet(Field::ReplaceIfPresent);
        /// The encoding of the message (SMPP 5.2.19).
        data_coding: u8 = data_coding();
        /// A canned message's number; 0 for none.
        sm_default_msg_id: u8 = octet(Field::SmDefaultMsgId);
        /// `broadcast_area_identifier`, `broadcast_content_type`, `broadcast_rep_num` and
        /// `broadcast_frequency_interval` are mandatory; the message is `message_payload`.
        tlvs: Tlvs = tlvs_with(BROADCAST);
    }
}

layout! {
    /// `broadcast_sm_resp` (SMPP 5.0 4.4.2).
    BroadcastSmResp {
        /// The carrier's id exactly as written, at most 64 octets.
        message_id: OctetStr = answer_string(Field::MessageId);
        /// `broadcast_error_status` with the `broadcast_area_identifier` of each area that failed.
        tlvs: Tlvs = tlvs();
    }
}

layout! {
    /// `query_broadcast_sm` (SMPP 5.0 4.6.1): asks for a broadcast's state.
    QueryBroadcastSm {
        /// The carrier's id, at most 64 octets.
        message_id: OctetStr = string(Field::MessageId);
        /// The sender, as it was submitted; at most 20 octets.
        source: Address = address(SOURCE);
        /// `user_message_reference`.
        tlvs: Tlvs = tlvs();
    }
}

layout! {
    /// `query_broadcast_sm_resp` (SMPP 5.0 4.6.1.3).
    QueryBroadcastSmResp {
        /// The carrier's id, at most 64 octets.
        message_id: OctetStr = answer_string(Field::MessageId);
        /// `message_state`, and for each area `broadcast_area_identifier` and `broadcast_area_success`, are
        /// mandatory.
        tlvs: Tlvs = tlvs_with(BROADCAST_STATE);
    }
}

layout! {
    /// `cancel_broadcast_sm` (SMPP 5.0 4.6.2): takes back a broadcast.
    CancelBroadcastSm {
        /// At most 5 octets; selects among several broadcasts when there is no id.
        service_type: OctetStr = string(Field::ServiceType);
        /// The carrier's id, at most 64 octets; empty for all broadcasts that fit the rest.
        message_id: OctetStr = string(Field::MessageId);
        /// The sender, as it was submitted; at most 20 octets.
        source: Address = address(SOURCE);
        /// `broadcast_content_type`, `user_message_reference`.
        tlvs: Tlvs = tlvs();
    }
}
