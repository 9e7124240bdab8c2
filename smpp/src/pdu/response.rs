//! Lives here: `submit_sm_resp` and `deliver_sm_resp`: one string, then TLVs, either of which peers leave out; and
//! the plain yes to any request.
//! Never here: matching a response to its request.

use super::layout::layout;
use super::{BroadcastSmResp, DataSmResp, Field, OctetStr, Pdu, SubmitMultiResp};
use crate::tlv::Tlvs;

impl Pdu {
    /// The response that takes this request on, with an id for it where the operation gives one (`deliver_sm_resp`
    /// has no use for it). `None` for what needs more of an answer (`query_sm`), or none at all.
    #[must_use]
    pub fn accepted(&self, message_id: OctetStr) -> Option<Self> {
        let tlvs = Tlvs::new();
        Some(match self {
            Self::SubmitSm(_) => Self::SubmitSmResp(SubmitSmResp { message_id, tlvs }),
            Self::DeliverSm(_) => Self::DeliverSmResp(DeliverSmResp::default()),
            Self::DataSm(_) => Self::DataSmResp(DataSmResp { message_id, tlvs }),
            Self::SubmitMulti(_) => Self::SubmitMultiResp(SubmitMultiResp {
                message_id,
                ..SubmitMultiResp::default()
            }),
            Self::BroadcastSm(_) => Self::BroadcastSmResp(BroadcastSmResp { message_id, tlvs }),
            Self::CancelSm(_) => Self::CancelSmResp,
            Self::ReplaceSm(_) => Self::ReplaceSmResp,
            Self::CancelBroadcastSm(_) => Self::CancelBroadcastSmResp,
            _ => return None,
        })
    }
}

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
