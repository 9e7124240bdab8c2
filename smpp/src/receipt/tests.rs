//! Lives here: the tests of reading receipts, one case for each dialect that production finds.
//! Never here: ids as keys (`id_rule`), dates (`date`).

use bytes::Bytes;
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::{
    NetworkError, Receipt, ReceiptError, ReceiptState, is_receipt, looks_like_receipt, parse,
    parse_content,
};
use crate::pdu::DeliverSm;
use crate::text::ucs2_encode;
use crate::tlv::{Tlv, tag};

const APPENDIX_B: &str = "id:0123456789 sub:001 dlvrd:001 submit date:2611211024 done date:2611211025 stat:DELIVRD err:000 text:Habari";

fn deliver(text: &str) -> DeliverSm {
    DeliverSm {
        esm_class: 0x04,
        short_message: Bytes::copy_from_slice(text.as_bytes()),
        ..DeliverSm::default()
    }
}

fn with_tlvs(text: &str, tlvs: impl IntoIterator<Item = Tlv>) -> DeliverSm {
    DeliverSm {
        tlvs: tlvs.into_iter().collect(),
        ..deliver(text)
    }
}

fn read(text: &str) -> Receipt {
    parse(&deliver(text)).expect("a receipt")
}

#[test]
fn the_form_of_appendix_b_is_read() {
    let receipt = read(APPENDIX_B);
    let expected = Receipt {
        id: "0123456789".to_owned(),
        text_id: None,
        state: ReceiptState::Delivered,
        state_text: "DELIVRD".to_owned(),
        err: "000".to_owned(),
        submit_date: "2611211024".to_owned(),
        done_date: "2611211025".to_owned(),
        network_error: None,
        intermediate: false,
        conflict: false,
    };
    assert_eq!(receipt, expected);
    assert_eq!(
        receipt.done_at().map(|at| (at.year, at.minute)),
        Some((2026, 25))
    );
    assert_eq!(receipt.submitted_at().map(|at| at.minute), Some(24));
}

#[test]
fn dialects_of_the_text_are_read() {
    use ReceiptState::{Delivered, Expired, Rejected, Undeliverable, Unknown};
    for (text, id, state, err) in [
        (
            "id:1 submit date:2611211024 done date:2611211025 stat:DELIVRD err:000",
            "1",
            Delivered,
            "000",
        ),
        ("ID:a-b Stat:delivrd Err:21b TEXT:", "a-b", Delivered, "21b"),
        (
            "stat:EXPIRED err:0112 done date:261121102407 id:77",
            "77",
            Expired,
            "0112",
        ),
        ("id: 5 stat: REJECTD err: 9", "5", Rejected, "9"),
        ("id:5,stat:FAILED,err:1", "5", Undeliverable, "1"),
        (
            "id:5 sub:001 dlvrd:000 stat:GONE err:\0text:\u{1b}x",
            "5",
            Unknown,
            "",
        ),
        ("id:5\tstat:UNDELIV\nerr:1\0\0", "5", Undeliverable, "1"),
        (
            "text:id:9 hello stat:DELIVRD id:5 stat:UNDELIV err:3",
            "5",
            Undeliverable,
            "3",
        ),
        ("id:12:34 stat:0", "12:34", Delivered, ""),
        ("id:5 status:DELIVRD error:3", "5", Delivered, "3"),
        ("\u{feff}id:5 stat:DELIVRD", "5", Delivered, ""),
    ] {
        let receipt = read(text);
        assert_eq!(
            (receipt.id.as_str(), receipt.state, receipt.err.as_str()),
            (id, state, err),
            "{text:?}"
        );
    }
    assert_eq!(
        read("id:5 stat:GONE").state_text,
        "GONE",
        "an unknown state is kept as written"
    );
    let long = "f".repeat(80);
    assert_eq!(read(&format!("id:{long} stat:DELIVRD")).id, long);
}

#[test]
fn all_states_and_vendor_words_are_known() {
    for value in 0..=9 {
        assert_eq!(
            ReceiptState::from_value(value).map(ReceiptState::value),
            Some(value)
        );
    }
    assert_eq!(ReceiptState::from_value(10), None);
    for (value, words) in [
        (0, "SCHEDLD SCHEDULED"),
        (1, "ENROUTE ACKED BUFFRED BUFFERD"),
        (2, "DELIVRD DELIVERED delivered 0"),
        (3, "EXPIRED"),
        (4, "DELETED"),
        (5, "UNDELIV UNDELIVERABLE FAILED"),
        (6, "ACCEPTD ACCEPTED"),
        (7, "UNKNOWN"),
        (8, "REJECTD REJECTED"),
        (9, "SKIPPED"),
    ] {
        for word in words.split(' ') {
            assert_eq!(
                ReceiptState::from_text(word).map(ReceiptState::value),
                Some(value),
                "{word}"
            );
        }
    }
    assert!(!ReceiptState::Accepted.is_final() && !ReceiptState::Enroute.is_final());
    assert!(ReceiptState::Unknown.is_final() && ReceiptState::Delivered.is_final());
}

#[test]
fn tlvs_win_and_the_conflict_stays_visible() {
    let id = || Tlv::cstr(tag::RECEIPTED_MESSAGE_ID, "04000000086ECD50");
    let only_tlvs =
        parse(&with_tlvs("", [id(), Tlv::u8(tag::MESSAGE_STATE, 5)])).expect("a receipt");
    assert_eq!(
        (only_tlvs.state, only_tlvs.conflict),
        (ReceiptState::Undeliverable, false)
    );

    let id_only = parse(&with_tlvs("id:04000000086ecd50 stat:EXPIRED", [id()])).expect("a receipt");
    assert_eq!(id_only.id, "04000000086ECD50");
    assert_eq!(
        (id_only.state, id_only.conflict),
        (ReceiptState::Expired, false)
    );

    let both = with_tlvs(
        "id:288230376293190992 stat:DELIVRD",
        [id(), Tlv::u8(tag::MESSAGE_STATE, 2)],
    );
    let both = parse(&both).expect("a receipt");
    assert_eq!(both.text_id.as_deref(), Some("288230376293190992"));
    assert!(both.conflict);

    let states = with_tlvs(
        "id:04000000086ECD50 stat:DELIVRD",
        [id(), Tlv::u8(tag::MESSAGE_STATE, 8)],
    );
    let states = parse(&states).expect("a receipt");
    assert_eq!(
        (states.state, states.state_text.as_str()),
        (ReceiptState::Rejected, "DELIVRD")
    );
    assert!(states.conflict && states.text_id.is_none());

    let odd_state = parse(&with_tlvs(
        "id:1 stat:DELIVRD",
        [Tlv::u8(tag::MESSAGE_STATE, 77)],
    ))
    .expect("a receipt");
    assert_eq!(
        (odd_state.state, odd_state.conflict),
        (ReceiptState::Delivered, false)
    );

    let no_nul = Tlv::new(tag::RECEIPTED_MESSAGE_ID, Bytes::from_static(b"abc"));
    assert_eq!(
        parse(&with_tlvs("", [no_nul])).expect("a receipt").id,
        "abc"
    );
}

#[test]
fn network_error_codes_are_read_in_four_forms() {
    for (octets, expected) in [
        (
            &b"\x03\x01\x02"[..],
            Some(NetworkError {
                kind: 3,
                code: 0x0102,
            }),
        ),
        (b"034", Some(NetworkError { kind: 0, code: 34 })),
        (b"034\0", Some(NetworkError { kind: 0, code: 34 })),
        (b"\x03034", Some(NetworkError { kind: 3, code: 34 })),
        (
            b"\x03\0\x01\x02",
            Some(NetworkError {
                kind: 3,
                code: 0x0102,
            }),
        ),
        (b"\x03", None),
        (b"", None),
    ] {
        let tlv = Tlv::new(tag::NETWORK_ERROR_CODE, Bytes::from_static(octets));
        assert_eq!(
            parse(&with_tlvs("id:1 stat:UNDELIV", [tlv]))
                .expect("a receipt")
                .network_error,
            expected
        );
    }
}

#[test]
fn the_body_may_be_ucs2_or_in_the_payload_or_behind_a_header() {
    let mut ucs2 = Vec::new();
    ucs2_encode(APPENDIX_B, &mut ucs2);
    let plain = read(APPENDIX_B);
    // Labelled rightly and wrongly, both ways round.
    for (data_coding, octets) in [
        (8, ucs2.clone()),
        (0, ucs2.clone()),
        (8, APPENDIX_B.into()),
        (3, APPENDIX_B.into()),
        (1, APPENDIX_B.into()),
    ] {
        let body = DeliverSm {
            data_coding,
            short_message: octets.into(),
            ..deliver("")
        };
        assert_eq!(
            parse(&body).as_ref(),
            Ok(&plain),
            "data_coding {data_coding}"
        );
    }
    let payload = with_tlvs("", [Tlv::new(tag::MESSAGE_PAYLOAD, APPENDIX_B)]);
    assert_eq!(parse(&payload).as_ref(), Ok(&plain));
    let udh = [b"\x05\0\x03\x01\x01\x01", APPENDIX_B.as_bytes()].concat();
    let udh = DeliverSm {
        esm_class: 0x44,
        short_message: udh.into(),
        ..deliver("")
    };
    assert_eq!(parse(&udh), Ok(plain));
}

#[test]
fn esm_class_is_masked_and_can_be_overruled() {
    for (esm_class, expected) in [
        (0x04, true),
        (0x44, true),
        (0x07, true),
        (0x84, true),
        (0x20, true),
        (0x00, false),
        (0x08, false),
        (0x10, false),
        (0x24, false),
        (0x40, false),
    ] {
        assert_eq!(
            is_receipt(&DeliverSm {
                esm_class,
                ..deliver("")
            }),
            expected,
            "{esm_class:#04x}"
        );
    }
    let message = DeliverSm {
        esm_class: 0,
        ..deliver(APPENDIX_B)
    };
    assert_eq!(parse(&message), Err(ReceiptError::NotAReceipt));
    assert!(looks_like_receipt(&message));
    assert!(!looks_like_receipt(&deliver("my id: 12, call me")));
    assert_eq!(parse_content(&message), parse(&deliver(APPENDIX_B)));
    assert_eq!(parse(&deliver("stat:DELIVRD")), Err(ReceiptError::NoId));
}

#[test]
fn a_notification_without_state_is_on_its_way() {
    let notification = parse(&DeliverSm {
        esm_class: 0x20,
        ..deliver("id:1")
    })
    .expect("a receipt");
    assert_eq!(
        (notification.state, notification.intermediate),
        (ReceiptState::Enroute, true)
    );
    assert_eq!(read("id:1").state, ReceiptState::Unknown);
}

fn scraps() -> impl Strategy<Value = String> {
    let scrap = prop_oneof![
        Just("id:".to_owned()),
        Just("stat:".to_owned()),
        Just("submit date:".to_owned()),
        Just("text:".to_owned()),
        Just("err :".to_owned()),
        Just(" ".to_owned()),
        "\\PC{0,6}",
    ];
    proptest::collection::vec(scrap, 0..20).prop_map(|scraps| scraps.concat())
}

proptest! {
    #[test]
    fn fields_are_found_in_any_order(
        fields in Just(vec!["id:4711", "sub:001", "dlvrd:001", "submit date:2611211024", "done date:2611211025", "stat:EXPIRED", "err:007"]).prop_shuffle(),
        upper: bool,
    ) {
        let text = fields.join(" ") + " text:id:0 stat:DELIVRD";
        let receipt = read(&if upper { text.to_uppercase() } else { text });
        prop_assert_eq!(receipt.id, "4711");
        prop_assert_eq!(receipt.state, ReceiptState::Expired);
        prop_assert_eq!(receipt.err, "007");
        prop_assert_eq!(receipt.submit_date, "2611211024");
        prop_assert_eq!(receipt.done_date, "2611211025");
    }

    #[test]
    fn no_text_panics_and_an_id_is_never_empty(text in scraps()) {
        if let Ok(receipt) = parse(&deliver(&text)) {
            prop_assert!(!receipt.id.is_empty());
        }
    }

    #[test]
    fn no_octets_panic(
        esm_class in prop_oneof![Just(0x04u8), Just(0x44), Just(0x20)],
        octets in proptest::collection::vec(any::<u8>(), 0..200),
        tlvs in proptest::collection::vec((prop_oneof![Just(0x1Eu16), Just(0x427), Just(0x423)], proptest::collection::vec(any::<u8>(), 0..8)), 0..4),
    ) {
        let tlvs = tlvs.into_iter().map(|(tag, value)| Tlv::new(tag, value)).collect();
        let _ = parse(&DeliverSm { esm_class, short_message: octets.into(), tlvs, ..DeliverSm::default() });
    }
}
