//! Lives here: octets of a peer: every sample PDU, and one seed for each trap of the wire.
//! Never here: what is legal in them (`smpp/tests/samples`).

use bytes::BytesMut;
use mnara_smpp::codec::{CommandId, HEADER_LEN, Header};
use mnara_smpp::status::CommandStatus;

use crate::samples;

const OK: CommandStatus = CommandStatus::ESME_ROK;
const THROTTLED: CommandStatus = CommandStatus::ESME_RTHROTTLED;

pub(crate) fn seeds() -> Vec<(String, Vec<u8>)> {
    let mut seeds = Vec::new();
    for sample in samples::all() {
        let mut out = BytesMut::new();
        sample
            .pdu
            .encode(sample.status, 7, &mut out)
            .expect("the samples are legal");
        seeds.push((sample.name, out.to_vec()));
    }
    for (name, octets) in responses()
        .into_iter()
        .chain(messages())
        .chain(tlvs())
        .chain(headers())
        .chain(streams())
    {
        seeds.push((format!("trap_{name}"), octets));
    }
    seeds
}

type Traps = Vec<(&'static str, Vec<u8>)>;

fn pdu(command: CommandId, status: CommandStatus, sequence: u32, body: &[u8]) -> Vec<u8> {
    let header = Header {
        length: (HEADER_LEN + body.len()) as u32,
        command,
        status,
        sequence,
    };
    [&header.to_octets()[..], body].concat()
}

/// A deliver_sm with these octets behind `data_coding` and `sm_default_msg_id`.
fn deliver(data_coding: u8, sm_length: u8, rest: &[u8]) -> Vec<u8> {
    let mut body = b"\0\x01\x01255700000001\0\x05\0MNARA\0\x04\0\0\0\0\x01\0".to_vec();
    body.extend_from_slice(&[data_coding, 0, sm_length]);
    body.extend_from_slice(rest);
    pdu(CommandId::DELIVER_SM, OK, 7, &body)
}

fn responses() -> Traps {
    let submit = CommandId::SUBMIT_SM_RESP;
    let bind = CommandId::BIND_TRANSCEIVER_RESP;
    let refused = CommandStatus::ESME_RBINDFAIL;
    vec![
        ("20_error_without_body", pdu(submit, THROTTLED, 7, b"")),
        ("20_error_with_nul", pdu(submit, THROTTLED, 7, b"\0")),
        ("20_error_with_id", pdu(submit, THROTTLED, 7, b"4711\0")),
        (
            "20_tlvs_without_id",
            pdu(submit, THROTTLED, 7, b"\x04\x28\0\x01\x50"),
        ),
        (
            "20_text_tlv_without_id",
            pdu(submit, THROTTLED, 7, b"\x00\x1D\x00\x03hi\0"),
        ),
        ("20_ok_without_body", pdu(submit, OK, 7, b"")),
        ("21_id_without_nul", pdu(submit, OK, 7, b"4711")),
        (
            "22_congestion_state",
            pdu(submit, OK, 7, b"4711\0\x04\x28\0\x01\x50"),
        ),
        (
            "22_data_sm_resp_body_with_error",
            pdu(
                CommandId::DATA_SM_RESP,
                THROTTLED,
                7,
                b"4711\0\x04\x25\0\x01\x03",
            ),
        ),
        ("23_bind_resp_without_tlvs", pdu(bind, OK, 1, b"smsc\0")),
        ("23_bind_resp_empty_name", pdu(bind, OK, 1, b"\0")),
        ("23_bind_resp_no_body", pdu(bind, OK, 1, b"")),
        (
            "23_failed_bind_with_name",
            pdu(bind, refused, 1, b"smsc\0\x02\x10\0\x01\x34"),
        ),
    ]
}

fn messages() -> Traps {
    let bind = CommandId::BIND_TRANSCEIVER;
    vec![
        ("24_nul_after_message", deliver(0, 5, b"hello\0")),
        (
            "24_nul_after_message_and_tlv",
            deliver(0, 5, b"hello\0\x04\x27\0\x01\x02"),
        ),
        ("24_length_one_short", deliver(0, 4, b"hello")),
        (
            "24_length_one_short_and_tlv",
            deliver(0, 4, b"hello\x04\x27\0\x01\x02"),
        ),
        ("24_length_one_long", deliver(0, 6, b"hello")),
        ("24_ucs2_length_one_short", deliver(8, 3, b"\0h\x01\0")),
        ("24_length_far_too_long", deliver(0, 200, b"hello")),
        (
            "31_strings_over_limit",
            pdu(
                bind,
                OK,
                1,
                b"a_system_id_of_many\0password9\0a_system_type_too\x00\x34\0\0\0",
            ),
        ),
        (
            "31_service_type_of_six_and_long_sender",
            pdu(
                CommandId::SUBMIT_SM,
                OK,
                7,
                b"SERVIC\0\x05\0a_sender_of_twenty_five_c\0\x01\x01255700000001\0\0\0\0\0\0\0\0\0\0\x02hi",
            ),
        ),
        (
            "32_odd_times",
            pdu(
                CommandId::SUBMIT_SM,
                OK,
                7,
                b"\0\x05\0M\0\x01\x01255700000001\0\0\0\x0000000000500000R\x00261121102530014+\0\x01\0\0\0\x02hi",
            ),
        ),
        (
            "48_latin1_sender",
            pdu(
                CommandId::DELIVER_SM,
                OK,
                7,
                b"\0\x05\0Caf\xE9\0\x01\x01255\0\0\0\0\0\0\0\0\0\0\x02hi",
            ),
        ),
        ("request_cut_short", pdu(CommandId::SUBMIT_SM, OK, 7, b"\0\x05")),
    ]
}

fn tlvs() -> Traps {
    vec![
        (
            "25_last_tlv_cut_short",
            deliver(0, 2, b"hi\x04\x27\0\x01\x02\x00\x1E\0\x0A12345"),
        ),
        ("25_half_a_tlv_header", deliver(0, 2, b"hi\x04\x27")),
        (
            "26_unknown_tlv_is_no_string",
            deliver(0, 2, b"hi\x15\x01\0\x04a\0b\0\x99\x99\0\0"),
        ),
        (
            "26_callback_num_junk",
            deliver(0, 2, b"hi\x03\x81\0\x01\xFF\x03\x81\0\0\x03\x02\0\x02ab"),
        ),
        (
            "26_integers_of_odd_length",
            deliver(
                0,
                2,
                b"hi\x02\x04\0\x01\x07\x04\x27\0\x02\0\x02\x00\x10\0\x02\0\x01",
            ),
        ),
        (
            "13_network_error_as_digits",
            deliver(0, 0, b"\x04\x23\0\x03034\x00\x1E\0\x044711"),
        ),
        (
            "33_alert_of_none_and_one_octet",
            deliver(0, 2, b"hi\x13\x0C\0\0\x13\x0C\0\x01\x01"),
        ),
        ("two_messages", deliver(0, 2, b"hi\x04\x24\0\x05hello")),
    ]
}

fn headers() -> Traps {
    let link = CommandId::ENQUIRE_LINK;
    let huge = |length: u32| [&length.to_be_bytes()[..], &[0; 12]].concat();
    vec![
        (
            "27_enquire_link_resp_with_octet",
            pdu(CommandId::ENQUIRE_LINK_RESP, OK, 7, b"\0"),
        ),
        ("28_huge_length", huge(0x7FFF_FFFF)),
        ("28_negative_length", huge(0xFFFF_FFF0)),
        ("28_length_below_header", huge(15)),
        ("28_line_end", b"\r\n".to_vec()),
        ("28_http", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()),
        (
            "30_vendor_status",
            pdu(CommandId::SUBMIT_SM_RESP, CommandStatus(0x0401), 7, b""),
        ),
        (
            "30_reserved_status",
            pdu(CommandId::SUBMIT_SM_RESP, CommandStatus(0x94), 7, b"\0"),
        ),
        ("34_sequence_zero", pdu(link, OK, 0, b"")),
        ("34_sequence_of_32_bits", pdu(link, OK, 0x806A_179B, b"")),
        (
            "36_nack_of_sequence_zero",
            pdu(CommandId::GENERIC_NACK, CommandStatus(3), 0, b""),
        ),
        (
            "unknown_command",
            pdu(CommandId(0x0001_0123), OK, 7, b"whatever"),
        ),
        ("status_in_request", pdu(link, THROTTLED, 7, b"")),
    ]
}

/// Several PDUs in one read. The first answers what the ESME of the session target sent with number 1.
fn streams() -> Traps {
    let bound = pdu(CommandId::BIND_TRANSCEIVER_RESP, OK, 1, b"smsc\0");
    let bind = pdu(
        CommandId::BIND_TRANSCEIVER,
        OK,
        1,
        b"mnara\0secret\0\0\x34\0\0\0",
    );
    let link = pdu(CommandId::ENQUIRE_LINK, OK, 1, b"");
    let answer = |sequence| pdu(CommandId::SUBMIT_SM_RESP, OK, sequence, b"4711\0");
    let unbind = pdu(CommandId::UNBIND, OK, 9, b"");
    let receipt = deliver(0, 5, b"hello");
    let submit = pdu(
        CommandId::SUBMIT_SM,
        OK,
        2,
        b"\0\x05\0M\0\x01\x01255\0\0\0\0\0\0\0\0\0\0\x02hi",
    );
    vec![
        (
            "29_coalesced_behind_bind_resp",
            [&bound[..], &receipt, &answer(2), &answer(3), &link].concat(),
        ),
        (
            "29_coalesced_behind_bind",
            [&bind[..], &submit, &link, &submit].concat(),
        ),
        (
            "37_unbind_behind_answers",
            [&bound[..], &answer(2), &unbind].concat(),
        ),
        ("38_bind_twice", [&bind[..], &bind].concat()),
        ("39_enquire_link_before_bind", [&link[..], &bind].concat()),
        (
            "35_same_number_both_ways",
            [&bound[..], &link, &answer(1)].concat(),
        ),
        (
            "36_nack_answers_request",
            [
                &bound[..],
                &pdu(CommandId::GENERIC_NACK, CommandStatus(3), 2, b""),
            ]
            .concat(),
        ),
    ]
}
