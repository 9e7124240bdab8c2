//! Lives here: what the tests of this folder share.
//! Never here: tests.

mod any;
mod lenient;
mod roundtrip;
mod strict;

use bytes::{Bytes, BytesMut};

use super::{DecodeError, Decoded, DeliverSm, Pdu, SubmitSmResp, Violation};
use crate::codec::{CommandId, Frame, HEADER_LEN, Header};
use crate::status::CommandStatus;

const OK: CommandStatus = CommandStatus::ESME_ROK;
const THROTTLED: CommandStatus = CommandStatus::ESME_RTHROTTLED;

fn header(command: CommandId, status: CommandStatus, body: &[u8]) -> Header {
    Header {
        length: (HEADER_LEN + body.len()) as u32,
        command,
        status,
        sequence: 7,
    }
}

fn read(command: CommandId, status: CommandStatus, body: &[u8]) -> Result<Decoded, DecodeError> {
    let header = header(command, status, body);
    Pdu::decode(Frame::new(header, &mut BytesMut::from(body)))
}

/// Without the quick way for well-formed PDUs.
fn read_leniently(
    command: CommandId,
    status: CommandStatus,
    body: &[u8],
) -> Result<Decoded, DecodeError> {
    Pdu::decode_lenient(header(command, status, body), Bytes::copy_from_slice(body))
}

fn decode(command: CommandId, status: CommandStatus, body: &[u8]) -> Decoded {
    read(command, status, body).expect("readable")
}

fn encode(pdu: &Pdu, status: CommandStatus) -> Vec<u8> {
    let mut out = BytesMut::new();
    pdu.encode(status, 7, &mut out).expect("writable");
    out.to_vec()
}

/// A submit_sm or deliver_sm body up to and including `sm_length`, with these last octets.
fn message_body(data_coding: u8, sm_length: u8, rest: &[u8]) -> Vec<u8> {
    let mut body = b"\0\x01\x01255700000001\0\x05\0MNARA\0\x04\0\0\0\0\x01\0".to_vec();
    body.extend_from_slice(&[data_coding, 0, sm_length]);
    body.extend_from_slice(rest);
    body
}

fn deliver(data_coding: u8, sm_length: u8, rest: &[u8]) -> (DeliverSm, Vec<Violation>) {
    let decoded = decode(
        CommandId::DELIVER_SM,
        OK,
        &message_body(data_coding, sm_length, rest),
    );
    match decoded.pdu {
        Pdu::DeliverSm(deliver) => (deliver, decoded.violations.to_vec()),
        other => panic!("not a deliver_sm: {other:?}"),
    }
}

fn submit_resp(status: CommandStatus, body: &[u8]) -> (SubmitSmResp, Vec<Violation>) {
    let decoded = decode(CommandId::SUBMIT_SM_RESP, status, body);
    match decoded.pdu {
        Pdu::SubmitSmResp(resp) => (resp, decoded.violations.to_vec()),
        other => panic!("not a submit_sm_resp: {other:?}"),
    }
}
