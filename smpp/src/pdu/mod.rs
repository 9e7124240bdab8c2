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
pub use bind::{Bind, BindKind, BindResp, LONG_CREDENTIAL_MAX};
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
use wire::{Plain, Reader, Writer};

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
    /// Whether an error status leaves the body out, as SMPP 4.1.2, 4.4.2 and 4.5.2 want it of these responses; TLVs
    /// are worth a body (5.0: `congestion_state` beside `ESME_RTHROTTLED`).
    fn is_bodiless(&self) -> bool {
        match self {
            Self::BindResp(resp) => resp.tlvs.is_empty(),
            Self::SubmitSmResp(resp) => resp.tlvs.is_empty(),
            Self::SubmitMultiResp(resp) => resp.tlvs.is_empty(),
            // 5.0: its TLVs are mandatory only where there is something to tell.
            Self::QueryBroadcastSmResp(resp) => resp.tlvs.is_empty(),
            _ => false,
        }
    }
}

impl Header {
    /// A header whose length [`Header::put`] will fill in.
    const fn of(command: CommandId, status: CommandStatus, sequence: u32) -> Self {
        Self {
            length: 0,
            command,
            status,
            sequence,
        }
    }

    /// Appends the header and a body of `len` octets.
    #[inline]
    fn put(
        mut self,
        len: usize,
        write: impl FnOnce(&mut Writer<'_>),
        out: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        if !self.status.is_ok() && !self.command.is_response() {
            return Err(EncodeError::StatusInRequest(self.status));
        }
        let total = HEADER_LEN + len;
        if total > HARD_MAX_PDU {
            return Err(EncodeError::PduTooLong(total));
        }
        // `HARD_MAX_PDU` is far below.
        self.length = total as u32;
        let start = out.len();
        out.resize(start + total, 0);
        let mut writer = Writer::new(&mut out[start..]);
        writer.octets(&self.to_octets());
        write(&mut writer);
        debug_assert!(
            writer.is_full(),
            "{} was not written as it was measured",
            self.command
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests;
