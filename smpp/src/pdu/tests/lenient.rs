//! Lives here: reading what peers get wrong, one case for each trap that production finds.
//! Never here: framing.

use bytes::Bytes;

use super::{OK, THROTTLED, decode, deliver, encode, message_body, read, submit_resp};
use crate::codec::{CommandId, HEADER_LEN};
use crate::pdu::{BindKind, DataSmResp, DecodeReason, Field, Pdu, Violation};
use crate::status::CommandStatus;
use crate::tlv::{Tlv, tag};

const STATE: &[u8] = b"\x04\x27\0\x01\x02";

#[test]
fn well_formed_messages_have_no_violations() {
    let (sm, violations) = deliver(0, 5, b"hello");
    assert_eq!((&sm.short_message[..], violations), (&b"hello"[..], vec![]));
    assert_eq!(
        (sm.source.addr, sm.dest.addr),
        ("255700000001".into(), "MNARA".into())
    );
    let (sm, violations) = deliver(0, 5, &[b"hello", STATE].concat());
    assert_eq!(
        (sm.tlvs.get_u8(tag::MESSAGE_STATE), violations),
        (Some(2), vec![])
    );
    let (sm, violations) = deliver(0, 0, b"\x04\x24\0\x03abc");
    assert_eq!((&sm.message()[..], violations), (&b"abc"[..], vec![]));
    let (sm, violations) = deliver(0, 2, b"hi\x99\x99\0\x02\0\0");
    assert_eq!(
        (sm.tlvs.len(), violations),
        (1, vec![]),
        "unknown tags are kept"
    );
}

fn mended(data_coding: u8, sm_length: u8, rest: &[u8], message: &[u8], violation: Violation) {
    for tail in [&b""[..], STATE] {
        let (sm, violations) = deliver(data_coding, sm_length, &[rest, tail].concat());
        assert_eq!(&sm.short_message[..], message, "{rest:?} {tail:?}");
        assert_eq!(sm.tlvs.is_empty(), tail.is_empty(), "{rest:?} {tail:?}");
        assert_eq!(violations, [violation], "{rest:?} {tail:?}");
    }
}

#[test]
fn trap_24_a_nul_behind_the_message_or_a_miscounted_sm_length_is_mended() {
    let length = |declared, taken| Violation::SmLength { declared, taken };
    mended(0, 5, b"hello\0", b"hello", Violation::NulAfterMessage);
    mended(0, 4, b"hello", b"hello", length(4, 5));
    mended(0, 6, b"hello", b"hello", length(6, 5));
    mended(8, 3, b"\0h\x01\0", b"\0h\x01\0", length(3, 4));
    mended(8, 4, b"\0h\0i\0", b"\0h\0i", Violation::NulAfterMessage);
}

#[test]
fn a_message_boundary_beyond_mending_keeps_the_message() {
    let (sm, violations) = deliver(0, 200, b"hello");
    assert_eq!(&sm.short_message[..], b"hello");
    let length = Violation::SmLength {
        declared: 200,
        taken: 5,
    };
    assert_eq!(violations, [length]);
    let (sm, violations) = deliver(0, 5, b"hello\x01\x02");
    assert_eq!(&sm.short_message[..], b"hello");
    assert_eq!(violations, [Violation::TrailingOctets { count: 2 }]);
}

#[test]
fn trap_25_an_incomplete_last_tlv_costs_only_itself() {
    let (sm, violations) = deliver(0, 2, &[b"hi", STATE, b"\0\x1e\0\x0a12345"].concat());
    assert_eq!(&sm.short_message[..], b"hi");
    assert_eq!(
        (sm.tlvs.len(), sm.tlvs.get_u8(tag::MESSAGE_STATE)),
        (1, Some(2))
    );
    let cut = Violation::TruncatedTlv {
        tag: tag::RECEIPTED_MESSAGE_ID,
        declared: 10,
        available: 5,
    };
    assert_eq!(violations, [cut]);
}

#[test]
fn text_in_both_places_is_seen() {
    let (sm, violations) = deliver(0, 2, b"hi\x04\x24\0\x03abc");
    assert_eq!(
        (&sm.message()[..], violations),
        (&b"hi"[..], vec![Violation::TwoMessages])
    );
}

#[test]
fn trap_31_strings_over_their_limit_are_kept_whole_and_never_sent() {
    let mut body = b"LONGTYPE\0\x05\0A sender of 25 characters\0\x01\x01255700000001\0".to_vec();
    body.extend_from_slice(b"\0\0\0\0\0\0\0\0\0\0");
    let decoded = decode(CommandId::SUBMIT_SM, OK, &body);
    let Pdu::SubmitSm(submit) = decoded.pdu else {
        panic!("a submit_sm")
    };
    assert_eq!(submit.service_type, "LONGTYPE");
    assert_eq!(submit.source.addr, "A sender of 25 characters");
    let over = |field, len| Violation::OverLong { field, len };
    assert_eq!(
        decoded.violations[..],
        [over(Field::ServiceType, 8), over(Field::SourceAddr, 25)]
    );
}

fn submit_resp_reads(
    status: CommandStatus,
    body: &[u8],
    id: &str,
    tlvs: usize,
    violations: &[Violation],
) {
    let (resp, seen) = submit_resp(status, body);
    assert_eq!(resp.message_id, id, "{body:?}");
    assert_eq!(resp.tlvs.len(), tlvs, "{body:?}");
    assert_eq!(seen, violations, "{body:?}");
}

#[test]
fn trap_21_message_id_without_terminator_and_other_shapes_of_an_accepting_answer() {
    let missing = Violation::MissingField(Field::MessageId);
    let bare = Violation::MissingTerminator(Field::MessageId);
    let trailing = Violation::TrailingOctets { count: 1 };
    let over = Violation::OverLong {
        field: Field::MessageId,
        len: 70,
    };
    submit_resp_reads(OK, b"04000000086ECD50\0", "04000000086ECD50", 0, &[]);
    submit_resp_reads(OK, b"ab\0\x04\x28\0\x01\x50", "ab", 1, &[]);
    submit_resp_reads(OK, b"12345", "12345", 0, &[bare]);
    submit_resp_reads(OK, b"", "", 0, &[missing]);
    submit_resp_reads(OK, b"12\0\0", "12", 0, &[trailing]);
    let long = "f".repeat(70);
    submit_resp_reads(OK, format!("{long}\0").as_bytes(), &long, 0, &[over]);
}

#[test]
fn trap_20_an_error_answer_without_body_or_with_tlvs_after_an_absent_message_id() {
    let no_id = Violation::TlvsWithoutString(Field::MessageId);
    submit_resp_reads(THROTTLED, b"", "", 0, &[]);
    submit_resp_reads(THROTTLED, b"\0", "", 0, &[]);
    submit_resp_reads(THROTTLED, b"77\0", "77", 0, &[]);
    submit_resp_reads(THROTTLED, b"\0\x04\x28\0\x01\x50", "", 1, &[]);
    submit_resp_reads(THROTTLED, b"\x04\x28\0\x01\x50", "", 1, &[no_id]);
    submit_resp_reads(THROTTLED, b"\0\x1d\0\x03hm\0", "", 1, &[no_id]);
    submit_resp_reads(CommandStatus(0x4A1), b"", "", 0, &[]);
    submit_resp_reads(CommandStatus(0x94), b"", "", 0, &[]);
}

#[test]
fn trap_23_bind_resp_without_tlvs_without_system_id_or_with_one_and_an_error() {
    let version = b"\x02\x10\0\x01\x34";
    for (status, body, system_id, peer_version) in [
        (OK, [b"smsc\0", &version[..]].concat(), "smsc", Some(0x34)),
        (OK, b"smsc\0".to_vec(), "smsc", None),
        (OK, [b"\0", &version[..]].concat(), "", Some(0x34)),
        (OK, version.to_vec(), "", Some(0x34)),
        (
            CommandStatus::ESME_RINVPASWD,
            b"smsc\0".to_vec(),
            "smsc",
            None,
        ),
        (CommandStatus::ESME_RINVPASWD, b"".to_vec(), "", None),
    ] {
        let decoded = decode(CommandId::BIND_TRANSCEIVER_RESP, status, &body);
        let Pdu::BindResp(resp) = decoded.pdu else {
            panic!("a bind_resp")
        };
        assert_eq!(resp.kind, BindKind::Transceiver);
        assert_eq!(resp.system_id, system_id);
        assert_eq!(resp.tlvs.get_u8(tag::SC_INTERFACE_VERSION), peer_version);
    }
}

#[test]
fn a_bind_is_read_with_long_password_and_without_range_and_shows_no_secret() {
    let decoded = decode(CommandId::BIND_RECEIVER, OK, b"esme\0ninechars\0\0\x34\0\0");
    let Pdu::Bind(bind) = decoded.pdu else {
        panic!("a bind")
    };
    assert_eq!(
        (bind.kind, bind.password.as_bytes()),
        (BindKind::Receiver, &b"ninechars"[..])
    );
    let over = Violation::OverLong {
        field: Field::Password,
        len: 9,
    };
    assert_eq!(
        decoded.violations[..],
        [over, Violation::MissingField(Field::AddressRange)]
    );
    let shown = format!("{bind:?}");
    assert!(
        shown.contains("***") && !shown.contains("ninechars"),
        "{shown}"
    );
}

#[test]
fn trap_27_bare_pdus_tolerate_octets_and_are_sent_without() {
    for (pdu, command) in [
        (Pdu::EnquireLink, CommandId::ENQUIRE_LINK),
        (Pdu::EnquireLinkResp, CommandId::ENQUIRE_LINK_RESP),
        (Pdu::Unbind, CommandId::UNBIND),
        (Pdu::UnbindResp, CommandId::UNBIND_RESP),
        (Pdu::GenericNack, CommandId::GENERIC_NACK),
    ] {
        let decoded = decode(command, OK, b"\0");
        assert_eq!((&decoded.pdu, pdu.command()), (&pdu, command));
        assert_eq!(
            decoded.violations[..],
            [Violation::TrailingOctets { count: 1 }]
        );
        assert_eq!(encode(&pdu, OK).len(), HEADER_LEN);
    }
}

#[test]
fn a_vendors_command_is_handed_on_with_its_body() {
    let command = CommandId(0x0001_0200);
    let decoded = decode(command, OK, b"body");
    let body = Bytes::from_static(b"body");
    assert_eq!(decoded.pdu, Pdu::Unknown { command, body });
    assert_eq!(encode(&decoded.pdu, OK)[16..], *b"body");
}

#[test]
fn a_request_that_ends_early_is_an_error_that_names_the_field() {
    let whole = message_body(0, 0, b"");
    for len in 0..whole.len() {
        let error = read(CommandId::SUBMIT_SM, OK, &whole[..len]).expect_err("cut");
        assert_eq!(error.header.sequence, 7);
        assert_eq!(error.status(), CommandStatus::ESME_RINVCMDLEN);
    }
    let error = read(CommandId::SUBMIT_SM, OK, b"\0\x01").expect_err("cut");
    assert_eq!(
        error.reason,
        DecodeReason::Truncated {
            field: Field::SourceAddrNpi
        }
    );
    assert_eq!(
        error.to_string(),
        "submit_sm (sequence 7): the body ended before source_addr_npi"
    );
    assert_eq!(error.body, &b"\0\x01"[..], "kept for a person");
    assert!(format!("{error:?}").contains("<2 octets>"), "{error:?}");
}

#[test]
fn trap_22_tlvs_in_any_response_are_kept() {
    for command in [
        CommandId::SUBMIT_SM_RESP,
        CommandId::DELIVER_SM_RESP,
        CommandId::DATA_SM_RESP,
        CommandId::BROADCAST_SM_RESP,
    ] {
        for status in [OK, THROTTLED] {
            let decoded = decode(command, status, b"ab\0\x04\x28\0\x01\x50");
            let tlvs = decoded.pdu.tlvs().expect("a layout with TLVs");
            assert_eq!(tlvs.get_u8(tag::CONGESTION_STATE), Some(0x50), "{command}");
            assert_eq!(decoded.violations.len(), 0, "{command}");
        }
    }
    let delivery_failed = Pdu::DataSmResp(DataSmResp {
        message_id: "ab".into(),
        tlvs: [Tlv::u8(tag::DELIVERY_FAILURE_REASON, 3)]
            .into_iter()
            .collect(),
    });
    let status = CommandStatus::ESME_RDELIVERYFAILURE;
    assert_eq!(
        encode(&delivery_failed, status)[16..],
        *b"ab\0\x04\x25\0\x01\x03",
        "data_sm_resp has a body with an error, too"
    );
}

#[test]
fn trap_26_unknown_tags_and_standard_tags_of_odd_length_lose_no_octet() {
    let (sm, violations) = deliver(
        0,
        2,
        b"hi\x03\x81\0\x01\xff\x15\x01\0\x03a\0b\x02\x0a\0\x01\x07",
    );
    let values: Vec<&[u8]> = sm.tlvs.iter().map(|tlv| &tlv.value[..]).collect();
    assert_eq!(values, [&b"\xff"[..], b"a\0b", b"\x07"]);
    let odd = |tag, len| Violation::TlvLength { tag, len };
    assert_eq!(
        violations,
        [odd(tag::CALLBACK_NUM, 1), odd(tag::SOURCE_PORT, 1)]
    );
}

#[test]
fn trap_30_vendor_and_reserved_statuses_are_no_errors_of_decoding() {
    for status in [0x94, 0x400, 0x4FF, 0x500, u32::MAX] {
        let (resp, violations) = submit_resp(CommandStatus(status), b"");
        assert!(resp.message_id.is_empty() && violations.is_empty());
    }
}

#[test]
fn trap_33_alert_on_message_delivery_has_no_octet_or_one() {
    for (wire, allowed) in [
        (&b"\x13\x0c\0\0"[..], true),
        (b"\x13\x0c\0\x01\x01", true),
        (b"\x13\x0c\0\x02\x01\x01", false),
    ] {
        let (sm, violations) = deliver(0, 0, wire);
        assert_eq!(sm.tlvs.len(), 1);
        assert_eq!(violations.is_empty(), allowed);
    }
}

#[test]
fn trap_48_a_nul_inside_a_message_is_a_character() {
    let (sm, violations) = deliver(0, 4, b"a\0b\0");
    assert_eq!(
        (&sm.short_message[..], violations),
        (&b"a\0b\0"[..], vec![])
    );
}

#[test]
fn a_cut_response_always_decodes_and_says_what_is_missing() {
    let whole = b"id\0\x01\x01\x01255700000001\0\0\0\0\x0b";
    let decoded = decode(CommandId::SUBMIT_MULTI_RESP, OK, whole);
    let Pdu::SubmitMultiResp(resp) = &decoded.pdu else {
        panic!("a submit_multi_resp")
    };
    assert_eq!(resp.unsuccess[0].status, CommandStatus::ESME_RINVDSTADR);
    assert_eq!(decoded.violations.len(), 0);
    for len in 0..whole.len() {
        let decoded = decode(CommandId::SUBMIT_MULTI_RESP, OK, &whole[..len]);
        assert_ne!(decoded.violations.len(), 0, "{len}");
        let refused = decode(CommandId::QUERY_SM_RESP, THROTTLED, &whole[..len]);
        assert!(matches!(refused.pdu, Pdu::QuerySmResp(_)));
    }
    let empty = decode(CommandId::QUERY_SM_RESP, THROTTLED, b"");
    assert_eq!(empty.violations.len(), 0, "an error needs no body");
}

#[test]
fn failures_behind_an_empty_message_id_are_no_tlvs() {
    // As TLVs: dest_addr_subunit of no octet, then a vendor's 0x1900 of 34, to the end.
    let first = &b"\0\0\x19\0\0\x22\0\x0b"[..];
    let others = b"\0\0\x19\0\0\0\0\x0b".repeat(4);
    let body = [&b"\0\x05"[..], first, &others].concat();
    let decoded = decode(CommandId::SUBMIT_MULTI_RESP, OK, &body);
    let Pdu::SubmitMultiResp(resp) = &decoded.pdu else {
        panic!("a submit_multi_resp")
    };
    assert_eq!((resp.unsuccess.len(), decoded.violations.len()), (5, 0));
}

#[test]
fn a_destination_that_is_neither_address_nor_list_is_an_error() {
    let body = b"\0\x05\0MNARA\0\x02\x01\x01\x01255700000001\0\x03list\0\0\0\0\0\0\0\0\0\0\0";
    let error = read(CommandId::SUBMIT_MULTI, OK, body).expect_err("flag 3");
    assert_eq!(error.reason, DecodeReason::DestFlag { value: 3 });
    assert_eq!(error.status(), CommandStatus::ESME_RINVDESTFLAG);
}
