//! Lives here: the tests of reading receipts, one case for each dialect that production finds.
//! Never here: ids as keys (`id_rule`), dates (`date`), fields (`fields`), writing (`write`).

use bytes::Bytes;
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::{
    Incoming, MessageType, NetworkError, Receipt, ReceiptError, ReceiptState, parse, parse_content,
};
use crate::pdu::{Address, DataSm, DeliverSm};
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

fn typed(esm_class: u8, text: &str) -> DeliverSm {
    DeliverSm {
        esm_class,
        ..deliver(text)
    }
}

fn with_tlvs(text: &str, tlvs: impl IntoIterator<Item = Tlv>) -> DeliverSm {
    DeliverSm {
        tlvs: tlvs.into_iter().collect(),
        ..deliver(text)
    }
}

fn with_octets(octets: impl Into<Bytes>) -> DeliverSm {
    DeliverSm {
        short_message: octets.into(),
        ..deliver("")
    }
}

fn owned(deliver: &DeliverSm) -> Receipt<'static> {
    parse(deliver).expect("a receipt").into_owned()
}

fn read(text: &str) -> Receipt<'static> {
    owned(&deliver(text))
}

fn id_tlv(id: &str) -> Tlv {
    Tlv::cstr(tag::RECEIPTED_MESSAGE_ID, id)
}

fn utf16(text: &str, order: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(order).collect()
}

#[test]
fn the_form_of_appendix_b_is_read_whole() {
    let receipt = read(APPENDIX_B);
    assert_eq!(receipt.message_type(), MessageType::Receipt);
    assert_eq!(
        (receipt.id(), receipt.text_id(), receipt.tlv_id()),
        ("0123456789", Some("0123456789"), None)
    );
    assert_eq!(
        (receipt.state(), receipt.state_text(), receipt.is_final()),
        (ReceiptState::Delivered, "DELIVRD", true)
    );
    assert_eq!((receipt.sub(), receipt.dlvrd()), (Some(1), Some(1)));
    assert_eq!(
        (receipt.submit_date(), receipt.done_date()),
        ("2611211024", "2611211025")
    );
    assert_eq!((receipt.err(), receipt.quote()), ("000", "Habari"));
    assert_eq!(receipt.text(), APPENDIX_B);
    assert_eq!(
        (receipt.network_error(), receipt.message_state()),
        (None, None)
    );
    assert!(!receipt.ids_differ() && !receipt.states_differ());
    let minutes = [receipt.submitted_at(), receipt.done_at()]
        .map(|at| at.map(|at| (at.local.year(), at.local.minute())));
    assert_eq!(minutes, [Some((2026, 24)), Some((2026, 25))]);
}

#[test]
fn dialects_of_the_text_are_read() {
    use ReceiptState::{Delivered, Expired, Rejected, Undeliverable, Unknown};
    for (text, id, state, err) in [
        (
            "stat:EXPIRED err:0112 done date:261121102407 id:77",
            "77",
            Expired,
            "0112",
        ),
        ("id: 5 stat: REJECTD err: 9", "5", Rejected, "9"),
        ("id:5,stat:FAILED,err:1", "5", Undeliverable, "1"),
        ("id:5|stat:FAILED|err:1|", "5", Undeliverable, "1"),
        ("id:\"5\"; stat:'UNDELIV'; err:1;", "5", Undeliverable, "1"),
        (
            "id:5 sub:001 dlvrd:000 stat:GONE err:\0text:\u{1b}x",
            "5",
            Unknown,
            "",
        ),
        ("id:5\tstat:UNDELIV\nerr:1\0\0", "5", Undeliverable, "1"),
        ("id:12:34 stat:0", "12:34", Delivered, ""),
        ("id:5 status:DELIVRD error:3", "5", Delivered, "3"),
        ("\u{feff}id:5 stat:DELIVRD", "5", Delivered, ""),
    ] {
        let receipt = read(text);
        assert_eq!(
            (receipt.id(), receipt.state(), receipt.err()),
            (id, state, err),
            "{text:?}"
        );
    }
    assert_eq!(
        read("id:5 stat:GONE").state_text(),
        "GONE",
        "an unknown state is kept as written"
    );
}

#[test]
fn trap_03_ids_of_any_length_are_kept_as_written() {
    let long = "f".repeat(80);
    assert_eq!(read(&format!("id:{long} stat:DELIVRD")).id(), long);
    assert_eq!(owned(&with_tlvs("", [id_tlv(&long)])).id(), long);
    assert_eq!(read("id:000a stat:DELIVRD").id(), "000a");
}

#[test]
fn trap_06_a_data_sm_brings_the_same_receipt() {
    let tlvs = || {
        let payload = Tlv::new(tag::MESSAGE_PAYLOAD, APPENDIX_B);
        [
            payload,
            id_tlv("0123456789"),
            Tlv::u8(tag::MESSAGE_STATE, 2),
        ]
    };
    let data = DataSm {
        source: Address::new(1, 1, "255750000001"),
        esm_class: 0x04,
        tlvs: tlvs().into_iter().collect(),
        ..DataSm::default()
    };
    let receipt = parse(&data).expect("a receipt");
    assert_eq!(receipt, owned(&with_tlvs("", tlvs())));
    assert_eq!(receipt.text(), APPENDIX_B);
    assert_eq!(Incoming::from(&data).source.addr, "255750000001");

    let only_tlvs = DataSm {
        tlvs: tlvs().into_iter().skip(1).collect(),
        ..data.clone()
    };
    let receipt = parse(&only_tlvs).expect("a receipt");
    assert_eq!(
        (receipt.id(), receipt.state()),
        ("0123456789", ReceiptState::Delivered)
    );

    let header = [b"\x05\0\x03\x01\x01\x01", APPENDIX_B.as_bytes()].concat();
    let with_header = DataSm {
        esm_class: 0x44,
        tlvs: [Tlv::new(tag::MESSAGE_PAYLOAD, header)]
            .into_iter()
            .collect(),
        ..data
    };
    assert_eq!(parse(&with_header), Ok(read(APPENDIX_B)));
}

#[test]
fn trap_07_fields_may_be_missing_or_in_another_case_and_order() {
    let receipt =
        read("ID:a-b Submit Date:2611211024 DONE DATE:2611211025 Stat:delivrd Err:21b TEXT:");
    assert_eq!(
        (receipt.id(), receipt.state(), receipt.err()),
        ("a-b", ReceiptState::Delivered, "21b")
    );
    assert_eq!((receipt.sub(), receipt.dlvrd()), (None, None));
    let receipt = read("err:1 done date:2611211025 dlvrd:x id:7 sub:002 text:a stat:UNDELIV");
    assert_eq!((receipt.sub(), receipt.dlvrd()), (Some(2), None));
    assert_eq!(
        (receipt.submit_date(), receipt.done_date()),
        ("", "2611211025")
    );
    let receipt = read("id:7");
    assert_eq!(receipt.state(), ReceiptState::Unknown);
    assert!(receipt.submitted_at().is_none() && receipt.quote().is_empty());
}

#[test]
fn trap_08_a_date_of_any_form_is_kept_and_read() {
    let receipt = read(
        "id:1 submit date:180711070003912+ done date:2018-07-11 10:00:03 stat:DELIVRD err:000",
    );
    assert_eq!(receipt.submit_date(), "180711070003912+");
    assert_eq!(receipt.done_date(), "2018-07-11 10:00:03");
    let unix = |at: Option<super::ReceiptDate>| at.map(|at| at.unix(12));
    assert_eq!(unix(receipt.submitted_at()), Some(1_531_281_603));
    assert_eq!(unix(receipt.done_at()), Some(1_531_292_403));
    let receipt = read("id:1 done date:yesterday stat:DELIVRD");
    assert_eq!(
        (receipt.done_date(), receipt.done_at()),
        ("yesterday", None)
    );
}

#[test]
fn trap_09_err_is_text_and_states_are_vendors_words() {
    for (text, err, state) in [
        (
            "id:1 stat:FAILED err:21b",
            "21b",
            ReceiptState::Undeliverable,
        ),
        ("id:1 stat:BUFFRED err:0021", "0021", ReceiptState::Enroute),
        (
            "id:1 stat:0 err:ESME_RX",
            "ESME_RX",
            ReceiptState::Delivered,
        ),
    ] {
        let receipt = read(text);
        assert_eq!((receipt.err(), receipt.state()), (err, state), "{text}");
    }
}

#[test]
fn trap_10_the_body_may_be_ucs2_whatever_data_coding_says() {
    let plain = read(APPENDIX_B);
    let mut ucs2 = Vec::new();
    ucs2_encode(APPENDIX_B, &mut ucs2);
    let little = utf16(APPENDIX_B, u16::to_le_bytes);
    for data_coding in [0, 1, 3, 8, 0x18, 0xF5] {
        for octets in [ucs2.clone(), little.clone(), APPENDIX_B.into()] {
            let body = DeliverSm {
                data_coding,
                ..with_octets(octets)
            };
            assert_eq!(owned(&body), plain, "data_coding {data_coding}");
        }
    }
    let marked = [
        [b"\xfe\xff", &ucs2[..]].concat(),
        [b"\xff\xfe", &little[..]].concat(),
    ];
    for octets in marked {
        let receipt = owned(&with_octets(octets));
        assert_eq!((receipt.id(), receipt.quote()), ("0123456789", "Habari"));
    }
    let latin1 = owned(&with_octets(&b"id:1 stat:DELIVRD text:caf\xe9"[..]));
    assert_eq!((latin1.id(), latin1.quote()), ("1", "café"));
}

#[test]
fn trap_10_the_text_may_be_in_the_payload() {
    let plain = read(APPENDIX_B);
    let payload = || Tlv::new(tag::MESSAGE_PAYLOAD, APPENDIX_B);
    for filler in ["", "\0", " ", "report"] {
        assert_eq!(owned(&with_tlvs(filler, [payload()])), plain, "{filler:?}");
    }
    let taken = owned(&with_tlvs("id:7 stat:EXPIRED", [payload()]));
    assert_eq!(taken.id(), "7");
}

#[test]
fn trap_11_nul_and_escape_do_not_end_the_text() {
    let receipt = read("id:1 stat:\0UNDELIV err:\x001 text:\0\u{1b}e\0 done date:2611211025");
    assert_eq!(
        (receipt.state(), receipt.err()),
        (ReceiptState::Undeliverable, "1")
    );
    assert_eq!(receipt.done_date(), "2611211025");
    assert_eq!(receipt.quote(), "\0\u{1b}e\0 done date:2611211025");
    let early = read("text:\0@\u{1b}< id:1 stat:DELIVRD");
    assert_eq!(
        (early.id(), early.quote()),
        ("1", "\0@\u{1b}< id:1 stat:DELIVRD")
    );
}

#[test]
fn trap_12_tlvs_win_and_the_conflict_stays_visible() {
    let state = |value| Tlv::u8(tag::MESSAGE_STATE, value);
    let only_tlvs = owned(&with_tlvs("", [id_tlv("04000000086ECD50"), state(5)]));
    assert_eq!(
        (only_tlvs.id(), only_tlvs.state()),
        ("04000000086ECD50", ReceiptState::Undeliverable)
    );
    assert!(!only_tlvs.ids_differ() && !only_tlvs.states_differ());

    let id_only = owned(&with_tlvs(
        "id:04000000086ecd50 stat:EXPIRED",
        [id_tlv("04000000086ECD50")],
    ));
    assert_eq!(id_only.id(), "04000000086ECD50");
    assert_eq!(id_only.state(), ReceiptState::Expired);
    assert!(!id_only.ids_differ());

    let both = owned(&with_tlvs(
        "id:288230376293190992 stat:DELIVRD",
        [id_tlv("04000000086ECD50"), state(8)],
    ));
    assert_eq!(
        (both.id(), both.tlv_id(), both.text_id()),
        (
            "04000000086ECD50",
            Some("04000000086ECD50"),
            Some("288230376293190992")
        )
    );
    assert_eq!(
        (both.state(), both.tlv_state(), both.text_state()),
        (
            ReceiptState::Rejected,
            Some(ReceiptState::Rejected),
            Some(ReceiptState::Delivered)
        )
    );
    assert!(both.ids_differ() && both.states_differ());

    let odd_state = owned(&with_tlvs("id:1 stat:DELIVRD", [state(77)]));
    assert_eq!(
        (
            odd_state.state(),
            odd_state.message_state(),
            odd_state.tlv_state()
        ),
        (ReceiptState::Delivered, Some(77), None)
    );
    for (octets, state) in [
        (&b"\0\x03"[..], Some(ReceiptState::Expired)),
        (b"\x03\0", None),
        (b"", None),
    ] {
        let tlv = Tlv::new(tag::MESSAGE_STATE, octets);
        assert_eq!(owned(&with_tlvs("id:1", [tlv])).tlv_state(), state);
    }
    let no_nul = Tlv::new(tag::RECEIPTED_MESSAGE_ID, Bytes::from_static(b" abc "));
    assert_eq!(owned(&with_tlvs("", [no_nul])).id(), "abc");
    assert_eq!(owned(&with_tlvs("id:9", [id_tlv(" ")])).id(), "9");
}

#[test]
fn trap_13_a_network_error_is_read_beside_the_text() {
    let tlv = Tlv::new(tag::NETWORK_ERROR_CODE, Bytes::from_static(b"034"));
    let receipt = owned(&with_tlvs("id:1 stat:UNDELIV err:21b", [tlv]));
    assert_eq!(
        (receipt.network_error(), receipt.err()),
        (Some(NetworkError { kind: 0, code: 34 }), "21b")
    );
}

#[test]
fn trap_15_states_on_the_way_are_not_final_under_either_type() {
    for text in [
        "id:1 stat:ENROUTE",
        "id:1 stat:ACCEPTD",
        "id:1 stat:BUFFRED",
    ] {
        assert!(!read(text).is_final(), "{text}");
    }
    assert!(read("id:1 stat:DELIVRD").is_final());
    let notification = owned(&typed(0x20, "id:1"));
    assert_eq!(
        (
            notification.message_type(),
            notification.state(),
            notification.is_final()
        ),
        (MessageType::Intermediate, ReceiptState::Enroute, false)
    );
    assert!(!owned(&typed(0x20, "id:1 stat:DELIVRD")).is_final());
    assert!(!owned(&typed(0x20, "id:1 stat:GONE")).is_final());
}

#[test]
fn trap_16_a_receipt_may_have_a_user_data_header() {
    let plain = read(APPENDIX_B);
    let header = |text: &[u8]| {
        let octets = [b"\x05\0\x03\x01\x01\x01", text].concat();
        DeliverSm {
            esm_class: 0x44,
            ..with_octets(octets)
        }
    };
    assert_eq!(owned(&header(APPENDIX_B.as_bytes())), plain);
    assert_eq!(owned(&header(&utf16(APPENDIX_B, u16::to_be_bytes))), plain);
    let no_header = typed(0x44, APPENDIX_B);
    assert_eq!(owned(&no_header), plain, "the bit is set and there is none");
    let unflagged = DeliverSm {
        esm_class: 0x04,
        ..header(APPENDIX_B.as_bytes())
    };
    assert_eq!(parse(&unflagged).expect("a receipt").id(), "0123456789");
}

#[test]
fn trap_16_content_is_matched_only_when_asked() {
    let message = typed(0, APPENDIX_B);
    let refused = Err(ReceiptError::NotAReceipt(MessageType::Default));
    assert_eq!(parse(&message), refused);
    let matched = parse_content(&message).expect("it looks like one");
    assert_eq!(
        (matched.message_type(), matched.id(), matched.is_final()),
        (MessageType::Default, "0123456789", true)
    );
    for ordinary in ["my id: 12, call me", "stat:DELIVRD", "", "id:1"] {
        assert_eq!(parse_content(&typed(0, ordinary)), refused, "{ordinary}");
    }
    let tlvs = [id_tlv("1"), Tlv::u8(tag::MESSAGE_STATE, 2)];
    for some in [&tlvs[..], &tlvs[..1]] {
        let tlvs = DeliverSm {
            esm_class: 0,
            ..with_tlvs("", some.iter().cloned())
        };
        assert_eq!(parse_content(&tlvs).is_ok(), some.len() == 2);
    }
    assert_eq!(parse_content(&deliver(APPENDIX_B)), Ok(read(APPENDIX_B)));
    assert_eq!(parse_content(&deliver("")), Err(ReceiptError::NoId));
}

#[test]
fn what_an_sme_acknowledges_is_not_a_receipt_even_by_content() {
    for (esm_class, message_type) in [
        (0x08, MessageType::DeliveryAck),
        (0x10, MessageType::UserAck),
        (0x18, MessageType::ConversationAbort),
        (0x24, MessageType::Reserved(0x24)),
    ] {
        let refused = Err(ReceiptError::NotAReceipt(message_type));
        let pdu = typed(esm_class, APPENDIX_B);
        assert_eq!(parse(&pdu), refused);
        assert_eq!(parse_content(&pdu), refused);
        assert!(!message_type.is_receipt());
    }
}

#[test]
fn trap_17_the_receipts_source_is_the_messages_destination() {
    let pdu = DeliverSm {
        source: Address::new(1, 1, "255750000001"),
        dest: Address::new(5, 0, "MNARA"),
        ..deliver(APPENDIX_B)
    };
    assert_eq!(Incoming::from(&pdu).source.addr, "255750000001");
    assert_eq!(Incoming::from(&pdu).dest.addr, "MNARA");
}

#[test]
fn a_receipt_without_an_id_is_refused_and_its_quote_is_not_shown_in_debug() {
    assert_eq!(parse(&deliver("stat:DELIVRD")), Err(ReceiptError::NoId));
    assert_eq!(parse(&deliver("")), Err(ReceiptError::NoId));
    let shown = format!("{:?}", read(APPENDIX_B));
    assert!(shown.contains("0123456789") && !shown.contains("Habari"));
}

/// Receipts as production shows them; the property tests break these.
const REAL: [&[u8]; 7] = [
    APPENDIX_B.as_bytes(),
    b"id:c449ab9744f47b6af1879e49e75e4f40 sub:001 dlvrd:0 submit date:0610191018 done date:0610191018 stat:ACCEPTD err:0 text:This is an Acti",
    b"id:7220bb6bd0be98fa628de66590f80070 sub:1 dlvrd:1 submit date:091009 091009 done date:2018-07-11 07:00:03 stat:DELIVRD err:21b Text:-",
    b"id:4 submit date:180711070003912+ done date:20180711070003 stat:FAILED err:0112",
    b"\0i\0d\0:\x001\0 \0s\0t\0a\0t\0:\0D\0E\0L\0I\0V\0R\0D",
    b"\x05\0\x03\x07\x02\x01id:1 stat:EXPIRED text:caf\xe9 \0\x1b\x65",
    b"text:id:9 stat:DELIVRD id:5 stat:UNDELIV err:3",
];

fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let edits = proptest::collection::vec((any::<u16>(), any::<u8>(), 0..4u8), 0..8);
    (0..REAL.len(), edits).prop_map(|(which, edits)| {
        let mut octets = REAL[which].to_vec();
        for (at, octet, edit) in edits {
            let at = usize::from(at) % (octets.len() + 1);
            match edit {
                0 => octets.insert(at, octet),
                1 => octets.truncate(at),
                2 => octets.extend_from_within(at..),
                _ => octets
                    .iter_mut()
                    .skip(at)
                    .take(1)
                    .for_each(|old| *old = octet),
            }
        }
        octets
    })
}

fn scraps() -> impl Strategy<Value = Vec<u8>> {
    let scrap = prop_oneof![
        Just("id:".to_owned()),
        Just("stat:".to_owned()),
        Just("submit date:".to_owned()),
        Just("text:".to_owned()),
        Just("err :".to_owned()),
        Just(" ".to_owned()),
        "\\PC{0,6}",
    ];
    proptest::collection::vec(scrap, 0..20).prop_map(|scraps| scraps.concat().into_bytes())
}

proptest! {
    #[test]
    fn trap_07_fields_are_found_in_any_order(
        fields in Just(vec!["id:4711", "sub:001", "dlvrd:001", "submit date:2611211024", "done date:2611211025", "stat:EXPIRED", "err:007"]).prop_shuffle(),
        upper: bool,
    ) {
        let text = fields.join(" ") + " text:id:0 stat:DELIVRD";
        let receipt = read(&if upper { text.to_uppercase() } else { text });
        prop_assert_eq!(receipt.id(), "4711");
        prop_assert_eq!(receipt.state(), ReceiptState::Expired);
        prop_assert_eq!(receipt.err(), "007");
        prop_assert_eq!((receipt.sub(), receipt.dlvrd()), (Some(1), Some(1)));
        prop_assert_eq!(receipt.submit_date(), "2611211024");
        prop_assert_eq!(receipt.done_date(), "2611211025");
    }

    #[test]
    fn no_octets_panic_and_an_id_is_never_empty(
        esm_class in prop_oneof![Just(0x04u8), Just(0x44), Just(0x20), Just(0)],
        octets in prop_oneof![mutated(), scraps(), proptest::collection::vec(any::<u8>(), 0..200)],
        tlvs in proptest::collection::vec(
            (
                prop_oneof![Just(tag::RECEIPTED_MESSAGE_ID), Just(tag::MESSAGE_STATE), Just(tag::NETWORK_ERROR_CODE), Just(tag::MESSAGE_PAYLOAD)],
                prop_oneof![mutated(), proptest::collection::vec(any::<u8>(), 0..8)],
            ),
            0..4,
        ),
    ) {
        let tlvs = tlvs.into_iter().map(|(tag, value)| Tlv::new(tag, value)).collect();
        let pdu = DeliverSm { esm_class, short_message: octets.into(), tlvs, ..DeliverSm::default() };
        if let Ok(receipt) = parse_content(&pdu) {
            prop_assert!(!receipt.id().is_empty());
            prop_assert_eq!(receipt.id().trim(), receipt.id());
            let _ = (receipt.done_at(), receipt.submitted_at(), receipt.sub(), receipt.dlvrd());
            prop_assert_eq!(&receipt.clone().into_owned(), &receipt);
            prop_assert!(receipt.text().contains(receipt.quote()));
        }
    }
}
