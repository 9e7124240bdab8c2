//! Lives here: the PDUs of a messaging session, read leniently and written strictly.
//! Never here: framing (`codec`), sequence numbers and state (`session`).

mod address;
mod bind;
mod broadcast;
mod data;
mod fault;
mod field;
mod layout;
mod manage;
mod message;
mod multi;
mod notify;
mod octet_str;
mod response;
mod version;
mod wire;

use bytes::{Bytes, BytesMut};

pub use address::{Address, npi, ton};
pub use bind::{Bind, BindKind, BindResp};
pub use broadcast::{
    BroadcastSm, BroadcastSmResp, CancelBroadcastSm, QueryBroadcastSm, QueryBroadcastSmResp,
};
pub use data::{DataSm, DataSmResp};
pub use fault::{DecodeError, DecodeReason, EncodeError, Violation, Violations};
pub use field::Field;
pub use manage::{CancelSm, QuerySm, QuerySmResp, ReplaceSm};
pub use message::{DeliverSm, SubmitSm, esm_class, registered_delivery};
pub use multi::{Destination, SubmitMulti, SubmitMultiResp, Unsuccess};
pub use notify::{AlertNotification, Outbind};
pub use octet_str::OctetStr;
pub use response::{DeliverSmResp, SubmitSmResp};
pub use version::Version;

use crate::codec::{CommandId, Frame, HARD_MAX_PDU, HEADER_LEN, Header};
use crate::status::CommandStatus;
pub(crate) use wire::shown::Hidden;
use wire::{Reader, Writer};

layout::pdus! {
    hot {
        SubmitSm = SUBMIT_SM, "`submit_sm`.";
        SubmitSmResp = SUBMIT_SM_RESP, "`submit_sm_resp`.";
        DeliverSm = DELIVER_SM, "`deliver_sm`.";
        DeliverSmResp = DELIVER_SM_RESP, "`deliver_sm_resp`.";
    }
    rare {
        Outbind = OUTBIND, "`outbind`; it has no response.";
        SubmitMulti = SUBMIT_MULTI, "`submit_multi`.";
        SubmitMultiResp = SUBMIT_MULTI_RESP, "`submit_multi_resp`.";
        DataSm = DATA_SM, "`data_sm`.";
        DataSmResp = DATA_SM_RESP, "`data_sm_resp`.";
        QuerySm = QUERY_SM, "`query_sm`.";
        QuerySmResp = QUERY_SM_RESP, "`query_sm_resp`.";
        CancelSm = CANCEL_SM, "`cancel_sm`.";
        ReplaceSm = REPLACE_SM, "`replace_sm`.";
        AlertNotification = ALERT_NOTIFICATION, "`alert_notification`; it has no response.";
        BroadcastSm = BROADCAST_SM, "`broadcast_sm`.";
        BroadcastSmResp = BROADCAST_SM_RESP, "`broadcast_sm_resp`.";
        QueryBroadcastSm = QUERY_BROADCAST_SM, "`query_broadcast_sm`.";
        QueryBroadcastSmResp = QUERY_BROADCAST_SM_RESP, "`query_broadcast_sm_resp`.";
        CancelBroadcastSm = CANCEL_BROADCAST_SM, "`cancel_broadcast_sm`.";
    }
    bare {
        CancelSmResp = CANCEL_SM_RESP, "`cancel_sm_resp`.";
        ReplaceSmResp = REPLACE_SM_RESP, "`replace_sm_resp`.";
        CancelBroadcastSmResp = CANCEL_BROADCAST_SM_RESP, "`cancel_broadcast_sm_resp`.";
        EnquireLink = ENQUIRE_LINK, "`enquire_link`.";
        EnquireLinkResp = ENQUIRE_LINK_RESP, "`enquire_link_resp`.";
        Unbind = UNBIND, "`unbind`.";
        UnbindResp = UNBIND_RESP, "`unbind_resp`.";
        GenericNack = GENERIC_NACK, "`generic_nack`.";
    }
}

/// A PDU and what the peer got wrong in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// The PDU.
    pub pdu: Pdu,
    /// What was overlooked; empty for a well-formed PDU.
    pub violations: Violations,
}

impl Pdu {
    /// Appends the PDU with its header to `out`.
    ///
    /// Enforces the limits of version 5.0; [`Pdu::fits`] narrows them to an older one.
    ///
    /// # Errors
    /// [`EncodeError`] for what the specification forbids; `out` is then as it was.
    #[inline]
    pub fn encode(
        &self,
        status: CommandStatus,
        sequence: u32,
        out: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        let command = self.command();
        if !status.is_ok() && !command.is_response() {
            return Err(EncodeError::StatusInRequest(status));
        }
        let bodiless = self.is_bodiless(status);
        let total = HEADER_LEN + if bodiless { 0 } else { self.body_len()? };
        let Some(length) = u32::try_from(total).ok().filter(|_| total <= HARD_MAX_PDU) else {
            return Err(EncodeError::PduTooLong(total));
        };
        let start = out.len();
        out.resize(start + total, 0);
        let mut writer = Writer::new(&mut out[start..]);
        writer.octets(
            &Header {
                length,
                command,
                status,
                sequence,
            }
            .to_octets(),
        );
        if !bodiless {
            self.write_body(&mut writer);
        }
        debug_assert!(
            writer.is_full(),
            "body_len and write_body disagree about {command}"
        );
        Ok(())
    }

    /// Whether the body is left out, as SMPP 4.1.2, 4.4.2 and 4.5.2 want it of a response with an error status; TLVs
    /// are worth one (5.0: `congestion_state` beside `ESME_RTHROTTLED`).
    #[inline]
    fn is_bodiless(&self, status: CommandStatus) -> bool {
        if status.is_ok() {
            return false;
        }
        match self {
            Self::BindResp(resp) => resp.tlvs.is_empty(),
            Self::SubmitSmResp(resp) => resp.tlvs.is_empty(),
            Self::SubmitMultiResp(resp) => resp.tlvs.is_empty(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
