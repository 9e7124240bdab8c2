//! Lives here: the PDUs of a messaging session, read leniently and written strictly.
//! Never here: framing (`codec`), sequence numbers and state (`session`).

mod bind;
mod fault;
mod octet_str;
mod response;
mod short_message;
mod wire;

use bytes::{Bytes, BytesMut};

pub use bind::{Bind, BindKind, BindResp};
pub use fault::{DecodeError, DecodeReason, EncodeError, Field, Violation, Violations};
pub use octet_str::OctetStr;
pub use response::{DeliverSmResp, SubmitSmResp};
pub use short_message::{Address, DeliverSm, SubmitSm, esm_class};

use crate::codec::{CommandId, Frame, HARD_MAX_PDU, HEADER_LEN, Header};
use crate::status::CommandStatus;
use wire::{Reader, Writer};

/// One PDU without its header's status and sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pdu {
    /// A bind request of any kind.
    Bind(Bind),
    /// A bind response of any kind.
    BindResp(BindResp),
    /// `submit_sm`.
    SubmitSm(SubmitSm),
    /// `submit_sm_resp`.
    SubmitSmResp(SubmitSmResp),
    /// `deliver_sm`.
    DeliverSm(DeliverSm),
    /// `deliver_sm_resp`.
    DeliverSmResp(DeliverSmResp),
    /// `enquire_link`.
    EnquireLink,
    /// `enquire_link_resp`.
    EnquireLinkResp,
    /// `unbind`.
    Unbind,
    /// `unbind_resp`.
    UnbindResp,
    /// `generic_nack`.
    GenericNack,
    /// Any other command, standard or not, with its body unread.
    Unknown {
        /// Its `command_id`.
        command: CommandId,
        /// Its body: a slice of the frame.
        body: Bytes,
    },
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
    /// The `command_id` this PDU is sent with.
    #[must_use]
    pub const fn command(&self) -> CommandId {
        match self {
            Self::Bind(bind) => bind.kind.command(),
            Self::BindResp(resp) => resp.kind.command().response(),
            Self::SubmitSm(_) => CommandId::SUBMIT_SM,
            Self::SubmitSmResp(_) => CommandId::SUBMIT_SM_RESP,
            Self::DeliverSm(_) => CommandId::DELIVER_SM,
            Self::DeliverSmResp(_) => CommandId::DELIVER_SM_RESP,
            Self::EnquireLink => CommandId::ENQUIRE_LINK,
            Self::EnquireLinkResp => CommandId::ENQUIRE_LINK_RESP,
            Self::Unbind => CommandId::UNBIND,
            Self::UnbindResp => CommandId::UNBIND_RESP,
            Self::GenericNack => CommandId::GENERIC_NACK,
            Self::Unknown { command, .. } => *command,
        }
    }

    /// Reads a frame's body leniently: whatever can be understood is, and what was wrong is listed.
    ///
    /// Messages, TLV values and strings of more than 23 octets are slices of the frame; nothing is copied to
    /// the heap.
    ///
    /// # Errors
    /// [`DecodeError`] when a mandatory field in the middle of a request is missing. Responses always decode.
    #[inline]
    pub fn decode(frame: &Frame) -> Result<Decoded, DecodeError> {
        let header = &frame.header;
        let mut reader = Reader::new(&frame.body);
        if !header.status.is_ok() && !header.command.is_response() {
            reader
                .violations
                .push(Violation::StatusInRequest(header.status));
        }
        let fail = |reason| DecodeError {
            header: *header,
            reason,
        };
        // Each arm builds the result itself: a PDU of 300 octets passed on through a common tail would be copied
        // once more, which costs a tenth of the decoding.
        match header.command {
            CommandId::SUBMIT_SM => {
                let pdu = Self::SubmitSm(SubmitSm::read(&mut reader).map_err(fail)?);
                Ok(Decoded {
                    pdu,
                    violations: reader.violations,
                })
            }
            CommandId::DELIVER_SM => {
                let pdu = Self::DeliverSm(DeliverSm::read(&mut reader).map_err(fail)?);
                Ok(Decoded {
                    pdu,
                    violations: reader.violations,
                })
            }
            CommandId::SUBMIT_SM_RESP => {
                let pdu = Self::SubmitSmResp(SubmitSmResp::read(header, &mut reader));
                Ok(Decoded {
                    pdu,
                    violations: reader.violations,
                })
            }
            CommandId::DELIVER_SM_RESP => {
                let pdu = Self::DeliverSmResp(DeliverSmResp::read(header, &mut reader));
                Ok(Decoded {
                    pdu,
                    violations: reader.violations,
                })
            }
            _ => {
                let pdu = Self::read_rare(frame, &mut reader).map_err(fail)?;
                Ok(Decoded {
                    pdu,
                    violations: reader.violations,
                })
            }
        }
    }

    /// The commands that are not sent for each message.
    #[inline(never)]
    fn read_rare(frame: &Frame, reader: &mut Reader<'_>) -> Result<Self, DecodeReason> {
        let header = &frame.header;
        Ok(match header.command {
            CommandId::ENQUIRE_LINK => bare(reader, Self::EnquireLink),
            CommandId::ENQUIRE_LINK_RESP => bare(reader, Self::EnquireLinkResp),
            CommandId::UNBIND => bare(reader, Self::Unbind),
            CommandId::UNBIND_RESP => bare(reader, Self::UnbindResp),
            CommandId::GENERIC_NACK => bare(reader, Self::GenericNack),
            command => match bind_kind(command) {
                Some((kind, false)) => Self::Bind(Bind::read(kind, reader)?),
                Some((kind, true)) => Self::BindResp(BindResp::read(kind, header, reader)),
                None => Self::Unknown {
                    command,
                    body: frame.body.clone(),
                },
            },
        })
    }

    /// Appends the PDU with its header to `out`.
    ///
    /// A response with an error status is sent without body, as SMPP 4.1.2 and 4.4.2 want it, unless it carries
    /// TLVs; `deliver_sm_resp` always has its empty `message_id`.
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
        let total = HEADER_LEN + self.body_len(status)?;
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
        self.write_body(status, &mut writer);
        debug_assert!(
            writer.is_full(),
            "body_len and write_body disagree about {command}"
        );
        Ok(())
    }

    #[inline]
    fn body_len(&self, status: CommandStatus) -> Result<usize, EncodeError> {
        match self {
            Self::Bind(bind) => bind.len(),
            Self::BindResp(resp) => resp.len(status),
            Self::SubmitSm(submit) => submit.len(),
            Self::SubmitSmResp(resp) => resp.len(status),
            Self::DeliverSm(deliver) => deliver.len(),
            Self::DeliverSmResp(resp) => resp.len(),
            Self::EnquireLink
            | Self::EnquireLinkResp
            | Self::Unbind
            | Self::UnbindResp
            | Self::GenericNack => Ok(0),
            Self::Unknown { body, .. } => Ok(body.len()),
        }
    }

    #[inline]
    fn write_body(&self, status: CommandStatus, writer: &mut Writer<'_>) {
        match self {
            Self::Bind(bind) => bind.write(writer),
            Self::BindResp(resp) => resp.write(status, writer),
            Self::SubmitSm(submit) => submit.write(writer),
            Self::SubmitSmResp(resp) => resp.write(status, writer),
            Self::DeliverSm(deliver) => deliver.write(writer),
            Self::DeliverSmResp(resp) => resp.write(writer),
            Self::EnquireLink
            | Self::EnquireLinkResp
            | Self::Unbind
            | Self::UnbindResp
            | Self::GenericNack => {}
            Self::Unknown { body, .. } => writer.octets(body),
        }
    }
}

/// A PDU that is only a header; some peers add octets.
fn bare(reader: &mut Reader<'_>, pdu: Pdu) -> Pdu {
    reader.end();
    pdu
}

/// Which bind a command is, and whether it is the response.
const fn bind_kind(command: CommandId) -> Option<(BindKind, bool)> {
    Some(match command {
        CommandId::BIND_TRANSMITTER => (BindKind::Transmitter, false),
        CommandId::BIND_RECEIVER => (BindKind::Receiver, false),
        CommandId::BIND_TRANSCEIVER => (BindKind::Transceiver, false),
        CommandId::BIND_TRANSMITTER_RESP => (BindKind::Transmitter, true),
        CommandId::BIND_RECEIVER_RESP => (BindKind::Receiver, true),
        CommandId::BIND_TRANSCEIVER_RESP => (BindKind::Transceiver, true),
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
