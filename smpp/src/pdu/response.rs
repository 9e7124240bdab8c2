//! Lives here: `submit_sm_resp`, `deliver_sm_resp`, and the shape they share with `bind_resp`: one string, then
//! TLVs, either of which peers leave out.
//! Never here: matching a response to its request.

use super::fault::{EncodeError, Field, Violation};
use super::octet_str::OctetStr;
use super::wire::{Reader, Writer, string_len, tlvs_len};
use crate::codec::Header;
use crate::status::CommandStatus;
use crate::tlv::{self, Tlvs};

/// `submit_sm_resp` (SMPP 4.4.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubmitSmResp {
    /// The carrier's id exactly as written, at most 64 octets; empty with an error status.
    pub message_id: OctetStr,
    /// None in 3.4; `congestion_state` and others from 5.0 peers.
    pub tlvs: Tlvs,
}

impl SubmitSmResp {
    pub(super) fn read(header: &Header, reader: &mut Reader<'_>) -> Self {
        let (message_id, tlvs) = read_string_and_tlvs(reader, header, Field::MessageId);
        Self { message_id, tlvs }
    }

    pub(super) fn len(&self, status: CommandStatus) -> Result<usize, EncodeError> {
        response_len(&self.message_id, Field::MessageId, &self.tlvs, status)
    }

    pub(super) fn write(&self, status: CommandStatus, writer: &mut Writer<'_>) {
        write_response(&self.message_id, &self.tlvs, status, writer);
    }
}

/// `deliver_sm_resp` (SMPP 4.6.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliverSmResp {
    /// Unused by the specification: whatever a peer wrote on decode, always sent empty.
    pub message_id: OctetStr,
    /// None in 3.4.
    pub tlvs: Tlvs,
}

impl DeliverSmResp {
    pub(super) fn read(header: &Header, reader: &mut Reader<'_>) -> Self {
        let (message_id, tlvs) = read_string_and_tlvs(reader, header, Field::MessageId);
        Self { message_id, tlvs }
    }

    /// The body is sent with every status: 4.6.2 has no exception for errors, unlike 4.4.2.
    pub(super) fn len(&self) -> Result<usize, EncodeError> {
        Ok(1 + tlvs_len(&self.tlvs)?)
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) {
        writer.u8(0);
        writer.tlvs(&self.tlvs);
    }
}

/// Reads a string and TLVs where each may be absent. `00 1D 00 02 68 69` may be an empty string and junk, or one
/// TLV behind an absent string: the reading that explains every octet wins, the regular one first.
pub(super) fn read_string_and_tlvs(
    reader: &mut Reader<'_>,
    header: &Header,
    field: Field,
) -> (OctetStr, Tlvs) {
    let rest = reader.rest();
    if rest.is_empty() {
        if header.status.is_ok() {
            reader.violations.push(Violation::MissingField(field));
        }
        return (OctetStr::EMPTY, Tlvs::new());
    }
    // The tags a response can carry start with a control character; the digits of an id lie in the vendors' range.
    if rest[0] < b' ' && !reads_regularly(rest) && tlv::is_plausible(rest) {
        reader.violations.push(Violation::TlvsWithoutString(field));
        return (OctetStr::EMPTY, reader.tlvs());
    }
    (reader.last_string(field), reader.tlvs())
}

/// Whether the octets are a string of visible characters, its NUL, and whole TLVs to the end.
fn reads_regularly(rest: &[u8]) -> bool {
    let Some(nul) = rest.iter().position(|octet| *octet == 0) else {
        return false;
    };
    rest[..nul].iter().all(|octet| *octet >= b' ') && tlv::is_whole(&rest[nul + 1..])
}

/// Octets of the body. With an error status there is none (SMPP 4.4.2), except to carry TLVs, which 5.0 allows
/// (`congestion_state` beside `ESME_RTHROTTLED`).
pub(super) fn response_len(
    text: &OctetStr,
    field: Field,
    tlvs: &Tlvs,
    status: CommandStatus,
) -> Result<usize, EncodeError> {
    let len = string_len(text, field)? + tlvs_len(tlvs)?;
    Ok(if has_body(tlvs, status) { len } else { 0 })
}

pub(super) fn write_response(
    text: &OctetStr,
    tlvs: &Tlvs,
    status: CommandStatus,
    writer: &mut Writer<'_>,
) {
    if has_body(tlvs, status) {
        writer.string(text);
        writer.tlvs(tlvs);
    }
}

fn has_body(tlvs: &Tlvs, status: CommandStatus) -> bool {
    status.is_ok() || !tlvs.is_empty()
}
