//! Lives here: `submit_sm_resp` and `deliver_sm_resp`: one string, then TLVs, either of which peers leave out.
//! Never here: matching a response to its request.

use super::layout::layout;
use super::{Field, OctetStr};
use crate::tlv::Tlvs;

layout! {
    hot
    /// `submit_sm_resp` (SMPP 4.4.2). With an error status it is sent without body, unless it carries TLVs.
    SubmitSmResp {
        /// The carrier's id exactly as written, at most 64 octets; empty with an error status.
        message_id: OctetStr = answer_string(Field::MessageId);
        /// None in 3.4; `congestion_state` and others from 5.0 peers.
        tlvs: Tlvs = tlvs();
    }
}

layout! {
    hot
    /// `deliver_sm_resp` (SMPP 4.6.2). Its body is sent with every status: 4.6.2 has no exception for errors, unlike
    /// 4.4.2.
    DeliverSmResp {
        /// Unused by the specification: whatever a peer wrote on decode, always sent empty.
        message_id: OctetStr = unused_string(Field::MessageId);
        /// None in 3.4.
        tlvs: Tlvs = tlvs();
    }
}
