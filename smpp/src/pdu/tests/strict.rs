//! Lives here: what is written, and what is refused.
//! Never here: reading.

use bytes::{Bytes, BytesMut};

use super::{OK, THROTTLED, decode, encode};
use crate::codec::{CommandId, HEADER_LEN};
use crate::pdu::{
    Address, Bind, BindKind, BindResp, BroadcastSm, DataSm, DeliverSmResp, Destination,
    EncodeError, Field, OctetStr, Outbind, Pdu, SubmitMulti, SubmitSm, SubmitSmResp, Version,
    Violation,
};
use crate::status::CommandStatus;
use crate::tlv::{Tlv, Tlvs, tag};

#[test]
fn a_submit_sm_is_written_as_the_specification_lays_it_out() {
    let submit = SubmitSm {
        service_type: "CMT".into(),
        source: Address::new(5, 0, "MNARA"),
        dest: Address::new(1, 1, "255700000001"),
        esm_class: 0x40,
        protocol_id: 0x41,
        priority_flag: 2,
        validity_period: "000001000000000R".into(),
        registered_delivery: 1,
        data_coding: 8,
        short_message: Bytes::from_static(b"\0h\0i"),
        tlvs: [Tlv::u16(tag::USER_MESSAGE_REFERENCE, 0x0102)]
            .into_iter()
            .collect(),
        ..SubmitSm::default()
    };
    let wire = encode(&Pdu::SubmitSm(submit.clone()), OK);
    let expected = b"\0\0\0\x5a\0\0\0\x04\0\0\0\0\0\0\0\x07CMT\0\x05\0MNARA\0\x01\x01255700000001\0\x40\x41\x02\0\
        000001000000000R\0\x01\0\x08\0\x04\0h\0i\x02\x04\0\x02\x01\x02";
    let mut expected = expected.to_vec();
    expected[3] = expected.len() as u8;
    assert_eq!(wire, expected);
    assert_eq!(
        decode(CommandId::SUBMIT_SM, OK, &wire[16..]).pdu,
        Pdu::SubmitSm(submit)
    );
}

#[test]
fn a_status_in_a_request_is_seen_and_never_sent() {
    let decoded = decode(CommandId::ENQUIRE_LINK, THROTTLED, b"");
    assert_eq!(
        decoded.violations[..],
        [Violation::StatusInRequest(THROTTLED)]
    );
    let mut out = BytesMut::new();
    assert_eq!(
        Pdu::EnquireLink.encode(THROTTLED, 1, &mut out),
        Err(EncodeError::StatusInRequest(THROTTLED))
    );
}

#[test]
fn error_responses_are_sent_without_body_unless_they_carry_tlvs() {
    let mut resp = SubmitSmResp {
        message_id: "abc".into(),
        tlvs: Tlvs::new(),
    };
    assert_eq!(
        encode(&Pdu::SubmitSmResp(resp.clone()), OK)[16..],
        *b"abc\0"
    );
    assert_eq!(
        encode(&Pdu::SubmitSmResp(resp.clone()), THROTTLED).len(),
        HEADER_LEN
    );
    resp.tlvs.push(Tlv::u8(tag::CONGESTION_STATE, 99));
    assert_eq!(
        encode(&Pdu::SubmitSmResp(resp), THROTTLED)[16..],
        *b"abc\0\x04\x28\0\x01\x63"
    );
    let bind = BindResp {
        kind: BindKind::Receiver,
        system_id: "smsc".into(),
        tlvs: Tlvs::new(),
    };
    assert_eq!(
        encode(&Pdu::BindResp(bind), CommandStatus::ESME_RBINDFAIL).len(),
        HEADER_LEN
    );
    let resp = DeliverSmResp {
        message_id: "ignored".into(),
        tlvs: Tlvs::new(),
    };
    for status in [OK, CommandStatus::ESME_RX_T_APPN] {
        assert_eq!(
            encode(&Pdu::DeliverSmResp(resp.clone()), status)[16..],
            *b"\0"
        );
    }
}

fn refused(submit: SubmitSm, error: EncodeError) {
    let mut out = BytesMut::from(&b"before"[..]);
    assert_eq!(Pdu::SubmitSm(submit).encode(OK, 1, &mut out), Err(error));
    assert_eq!(&out[..], b"before");
}

#[test]
fn what_the_specification_forbids_is_refused_and_nothing_is_written() {
    let base = SubmitSm::default;
    let too_long = |field, len| EncodeError::TooLong { field, len };
    let address = |len: usize| Address::new(1, 1, "1".repeat(len));
    let service_type = "SIXSIX".into();
    refused(
        SubmitSm {
            service_type,
            ..base()
        },
        too_long(Field::ServiceType, 6),
    );
    refused(
        SubmitSm {
            source: address(21),
            ..base()
        },
        too_long(Field::SourceAddr, 21),
    );
    refused(
        SubmitSm {
            dest: address(30),
            ..base()
        },
        too_long(Field::DestinationAddr, 30),
    );
    let short_message: Bytes = vec![0; 256].into();
    refused(
        SubmitSm {
            short_message,
            ..base()
        },
        too_long(Field::ShortMessage, 256),
    );
    let validity_period = "2611".into();
    let field = Field::ValidityPeriod;
    refused(
        SubmitSm {
            validity_period,
            ..base()
        },
        EncodeError::Time { field, len: 4 },
    );
    let short_message = Bytes::from_static(b"x");
    let tlvs: Tlvs = [Tlv::new(tag::MESSAGE_PAYLOAD, short_message.clone())]
        .into_iter()
        .collect();
    refused(
        SubmitSm {
            short_message,
            tlvs,
            ..base()
        },
        EncodeError::TwoMessages,
    );
    let tlvs: Tlvs = [Tlv::new(0x1400, vec![0; 65_536])].into_iter().collect();
    refused(
        SubmitSm { tlvs, ..base() },
        EncodeError::TlvLength {
            tag: 0x1400,
            len: 65_536,
        },
    );
}

#[test]
fn the_limits_themselves_are_allowed() {
    let bind = Pdu::Bind(Bind {
        password: "ninechars".into(),
        ..Bind::default()
    });
    let field = Field::Password;
    let error = bind.encode(OK, 1, &mut BytesMut::new());
    assert_eq!(error, Err(EncodeError::TooLong { field, len: 9 }));
    let asked = |password: OctetStr| {
        let bind = Bind {
            password,
            long_credentials: true,
            ..Bind::default()
        };
        Pdu::Bind(bind).encode(OK, 1, &mut BytesMut::new())
    };
    assert_eq!(asked("ninechars".into()), Ok(()), "a carrier issued it");
    assert_eq!(
        asked("x".repeat(65).into()),
        Err(EncodeError::TooLong { field, len: 65 })
    );
    let bind = Pdu::Bind(Bind {
        password: "8letters".into(),
        ..Bind::default()
    });
    assert_eq!(encode(&bind, OK).len(), HEADER_LEN + 15);
    let most = SubmitSm {
        short_message: vec![0; 254].into(),
        source: Address::new(1, 1, "1".repeat(20)),
        ..SubmitSm::default()
    };
    assert_eq!(
        encode(&Pdu::SubmitSm(most), OK).len(),
        HEADER_LEN + 17 + 254 + 20
    );
}

#[test]
fn trap_34_sequence_numbers_of_any_size_are_written() {
    for sequence in [0, 1, 0x7FFF_FFFF, 0x806A_179B, u32::MAX] {
        let mut out = BytesMut::new();
        Pdu::EnquireLinkResp
            .encode(OK, sequence, &mut out)
            .expect("writable");
        assert_eq!(out[12..], sequence.to_be_bytes());
    }
}

#[test]
fn reserved_values_and_impossible_lists_are_refused() {
    let base = SubmitSm::default;
    let (field, value) = (Field::PriorityFlag, 5);
    refused(
        SubmitSm {
            priority_flag: value,
            ..base()
        },
        EncodeError::Reserved { field, value },
    );
    let (field, value) = (Field::ReplaceIfPresent, 2);
    refused(
        SubmitSm {
            replace_if_present: value,
            ..base()
        },
        EncodeError::Reserved { field, value },
    );
    let field = Field::ValidityPeriod;
    refused(
        SubmitSm {
            validity_period: "261121102400000Z".into(),
            ..base()
        },
        EncodeError::Time { field, len: 16 },
    );
    let tlvs: Tlvs = [Tlv::u16(tag::SAR_TOTAL_SEGMENTS, 2)].into_iter().collect();
    let tag = tag::SAR_TOTAL_SEGMENTS;
    refused(
        SubmitSm { tlvs, ..base() },
        EncodeError::TlvLength { tag, len: 2 },
    );

    let encoded = |pdu: Pdu| pdu.encode(OK, 1, &mut BytesMut::new());
    let field = Field::NumberOfDests;
    for count in [0, 256] {
        let dests = vec![Destination::List("l".into()); count];
        let multi = SubmitMulti {
            dests,
            ..SubmitMulti::default()
        };
        assert_eq!(
            encoded(Pdu::SubmitMulti(multi)),
            Err(EncodeError::Count { field, count })
        );
    }
    assert_eq!(
        encoded(Pdu::BroadcastSm(BroadcastSm::default())),
        Err(EncodeError::MissingTlv(tag::BROADCAST_AREA_IDENTIFIER))
    );
}

#[test]
fn an_older_version_is_sent_only_what_it_knows() {
    let lacks = |pdu: Pdu, version: Version, what| {
        assert_eq!(
            pdu.fits(version),
            Err(EncodeError::NotInVersion { what, version })
        );
    };
    let submit = |len: usize| SubmitSm {
        short_message: vec![0; len].into(),
        ..SubmitSm::default()
    };
    lacks(
        Pdu::SubmitSm(submit(255)),
        Version::V3_4,
        "a short_message of 255 octets",
    );
    assert_eq!(Pdu::SubmitSm(submit(255)).fits(Version::V5_0), Ok(()));
    assert_eq!(Pdu::SubmitSm(submit(254)).fits(Version::V3_3), Ok(()));
    lacks(
        Pdu::BroadcastSm(BroadcastSm::default()),
        Version::V3_4,
        "broadcast_sm",
    );
    lacks(
        Pdu::CancelBroadcastSmResp,
        Version::V3_4,
        "cancel_broadcast_sm_resp",
    );
    lacks(Pdu::DataSm(DataSm::default()), Version::V3_3, "data_sm");
    lacks(
        Pdu::Bind(Bind::default()),
        Version::V3_3,
        "bind_transceiver",
    );
    let tlvs: Tlvs = [Tlv::u16(tag::USER_MESSAGE_REFERENCE, 1)]
        .into_iter()
        .collect();
    let tagged = SubmitSm {
        tlvs,
        ..SubmitSm::default()
    };
    lacks(Pdu::SubmitSm(tagged), Version::V3_3, "optional parameters");
    let message_id = "123456789".into();
    let resp = SubmitSmResp {
        message_id,
        tlvs: Tlvs::new(),
    };
    assert_eq!(Pdu::SubmitSmResp(resp).fits(Version(0)), Ok(()));
    assert_eq!(format!("{} {:?}", Version::V3_4, Version::V5_0), "3.4 5.0");
}

#[test]
fn no_message_and_no_password_is_shown() {
    let submit = SubmitSm {
        short_message: Bytes::from_static(b"code 1234"),
        ..SubmitSm::default()
    };
    let outbind = Outbind {
        system_id: "smsc".into(),
        password: "secret".into(),
    };
    let shown = format!("{:?} {:?}", Pdu::SubmitSm(submit), Pdu::Outbind(outbind));
    assert!(shown.contains("short_message: <9 octets>"), "{shown}");
    assert!(
        !shown.contains("1234") && !shown.contains("secret"),
        "{shown}"
    );
}
