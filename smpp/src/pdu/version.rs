//! Lives here: the versions of SMPP and what each of them does not know.
//! Never here: agreeing on one (`session`).

use std::fmt;

use super::{DeliverSmResp, EncodeError, Pdu, QuerySmResp, SubmitMultiResp, SubmitSmResp};
use crate::codec::CommandId;
use crate::tlv::Tlvs;

/// An `interface_version` (SMPP 5.2.4): any octet; 3.3 and all before it are 0x00 to 0x33.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u8);

impl Version {
    /// 3.3: no TLVs, no transceiver.
    pub const V3_3: Self = Self(0x33);
    /// 3.4.
    pub const V3_4: Self = Self(0x34);
    /// 5.0: broadcast, `congestion_state`, messages of 255 octets.
    pub const V5_0: Self = Self(0x50);

    /// Whether a peer of this version reads optional parameters (SMPP 3.4.1).
    #[must_use]
    pub const fn has_tlvs(self) -> bool {
        self.0 >= Self::V3_4.0
    }
}

impl Default for Version {
    /// 3.4, which nearly all carriers speak.
    fn default() -> Self {
        Self::V3_4
    }
}

impl fmt::Display for Version {
    /// `3.4`: the high digit and the low one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}.{:x}", self.0 >> 4, self.0 & 0x0F)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Longest `short_message`, and most destinations, before 5.0.
const SHORT_MAX: usize = 254;
impl CommandId {
    /// The first version with this operation; vendors' operations belong to all.
    #[must_use]
    pub const fn since(self) -> Version {
        match self.request() {
            Self::BIND_TRANSCEIVER | Self::OUTBIND | Self::ALERT_NOTIFICATION | Self::DATA_SM => {
                Version::V3_4
            }
            Self::BROADCAST_SM | Self::QUERY_BROADCAST_SM | Self::CANCEL_BROADCAST_SM => {
                Version::V5_0
            }
            _ => Version(0),
        }
    }
}

impl Pdu {
    /// Whether a peer of this version can read the PDU. An id of more than 8 octets passes, though 3.3 has no more: its
    /// servers give longer ones, and a yes that could not be told would be asked for again. [`Pdu::encode`] enforces the limits of 5.0, which are the
    /// widest; this narrows them.
    ///
    /// # Errors
    /// [`EncodeError::NotInVersion`] names what the version lacks.
    pub fn fits(&self, version: Version) -> Result<(), EncodeError> {
        let lacks = |what| Err(EncodeError::NotInVersion { what, version });
        let command = self.command();
        if command.since() > version {
            return lacks(command.name());
        }
        if version >= Version::V5_0 {
            return Ok(());
        }
        if self.short_message_len() > SHORT_MAX {
            return lacks("a short_message of 255 octets");
        }
        if let Self::SubmitMulti(multi) = self
            && multi.dests.len() > SHORT_MAX
        {
            return lacks("255 destinations");
        }
        if version.has_tlvs() {
            return Ok(());
        }
        if self.tlvs().is_some_and(|tlvs| !tlvs.is_empty()) {
            return lacks("optional parameters");
        }
        Ok(())
    }

    /// The same answer without optional parameters, for a peer that does not read them: what they say is a hint, and
    /// the answer itself must not be lost for it.
    pub(crate) fn plain_answer(&self) -> Option<Self> {
        let tlvs = Tlvs::new();
        Some(match self.clone() {
            Self::SubmitSmResp(resp) => Self::SubmitSmResp(SubmitSmResp { tlvs, ..resp }),
            Self::DeliverSmResp(resp) => Self::DeliverSmResp(DeliverSmResp { tlvs, ..resp }),
            Self::SubmitMultiResp(resp) => Self::SubmitMultiResp(SubmitMultiResp { tlvs, ..resp }),
            Self::QuerySmResp(resp) => Self::QuerySmResp(QuerySmResp { tlvs, ..resp }),
            _ => return None,
        })
    }

    /// The PDU's optional parameters, if its layout has them.
    #[must_use]
    pub fn tlvs(&self) -> Option<&Tlvs> {
        Some(match self {
            Self::Bind(pdu) => &pdu.tlvs,
            Self::BindResp(pdu) => &pdu.tlvs,
            Self::SubmitSm(pdu) => &pdu.tlvs,
            Self::SubmitSmResp(pdu) => &pdu.tlvs,
            Self::DeliverSm(pdu) => &pdu.tlvs,
            Self::DeliverSmResp(pdu) => &pdu.tlvs,
            Self::DataSm(pdu) => &pdu.tlvs,
            Self::DataSmResp(pdu) => &pdu.tlvs,
            Self::SubmitMulti(pdu) => &pdu.tlvs,
            Self::SubmitMultiResp(pdu) => &pdu.tlvs,
            Self::QuerySmResp(pdu) => &pdu.tlvs,
            Self::ReplaceSm(pdu) => &pdu.tlvs,
            Self::AlertNotification(pdu) => &pdu.tlvs,
            Self::BroadcastSm(pdu) => &pdu.tlvs,
            Self::BroadcastSmResp(pdu) => &pdu.tlvs,
            Self::QueryBroadcastSm(pdu) => &pdu.tlvs,
            Self::QueryBroadcastSmResp(pdu) => &pdu.tlvs,
            Self::CancelBroadcastSm(pdu) => &pdu.tlvs,
            Self::Outbind(_)
            | Self::QuerySm(_)
            | Self::CancelSm(_)
            | Self::CancelSmResp
            | Self::ReplaceSmResp
            | Self::CancelBroadcastSmResp
            | Self::EnquireLink
            | Self::EnquireLinkResp
            | Self::Unbind
            | Self::UnbindResp
            | Self::GenericNack
            | Self::Unknown { .. } => return None,
        })
    }

    /// Octets of `short_message`; 0 where there is none.
    pub(crate) fn short_message_len(&self) -> usize {
        match self {
            Self::SubmitSm(pdu) => pdu.short_message.len(),
            Self::DeliverSm(pdu) => pdu.short_message.len(),
            Self::SubmitMulti(pdu) => pdu.short_message.len(),
            Self::ReplaceSm(pdu) => pdu.short_message.len(),
            _ => 0,
        }
    }
}
