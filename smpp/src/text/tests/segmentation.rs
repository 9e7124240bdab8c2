//! Lives here: tests of dividing texts.
//! Never here: putting parts together again beyond what proves the division.

use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

use super::super::{
    Carriage, Charset, Concat, ConcatKind, Encoding, Gsm7, Layout, Locking, Method, Packing,
    Single, TextError, TextProfile, concat, elements, split_udh, tables,
};
use super::{encoded_text, encoding, method};
use crate::pdu::{SubmitSm, esm_class};
use crate::tlv::tag;

const PORTS: &[u8] = &[0x05, 4, 0x0B, 0x84, 0x23, 0xF0];

fn national(locking: Locking, single: Single) -> Encoding {
    Encoding::Gsm7(Gsm7 { locking, single }, Packing::Unpacked)
}

/// Splits, checks the count and that each part fits, and reads the parts back.
fn join(text: &str, layout: &Layout<'_>, encoding: Encoding) -> Result<String, TextError> {
    let segments = layout.split(text)?;
    assert_eq!(segments.parts.len(), layout.segment_count(text));
    let profile = profile(encoding);
    let total = segments.parts.len();
    let mut joined = String::new();
    for (number, part) in (1..).zip(&segments.parts) {
        let expected = |reference, kind| Concat {
            kind,
            reference,
            total: u8::try_from(total).expect("at most 255"),
            part: number,
        };
        let (header, _) = split_udh(if part.udhi { &part.octets } else { &[] });
        match (concat(header), part.carriage) {
            (Some(found), Carriage::ShortMessage) => {
                assert_eq!(found, expected(found.reference, found.kind));
            }
            (None, Carriage::Sar(found)) => {
                assert_eq!(found, expected(found.reference, ConcatKind::Sar));
            }
            (None, Carriage::ShortMessage | Carriage::Payload) => assert_eq!(total, 1),
            other => panic!("{other:?}"),
        }
        let header_len = if part.udhi { header.len() + 1 } else { 0 };
        if part.carriage != Carriage::Payload {
            let body = part.octets.len() - header_len;
            let room = encoding.capacity(header_len);
            match encoding {
                Encoding::Gsm7(_, Packing::Packed) => assert!(part.octets.len() <= 140),
                Encoding::Ucs2 => assert!(body.is_multiple_of(2) && body / 2 <= room),
                _ => assert!(body <= room),
            }
        }
        let read = profile.decode(part.data_coding, part.udhi, &part.octets);
        joined.push_str(&read.text);
    }
    Ok(joined)
}

fn profile(encoding: Encoding) -> TextProfile {
    TextProfile {
        packing: match encoding {
            Encoding::Gsm7(_, packing) => packing,
            Encoding::Ascii | Encoding::Latin1 | Encoding::Ucs2 => Packing::Unpacked,
        },
        ..TextProfile::default()
    }
}

/// What packing may do to a carriage return at the very end: see `pack`.
fn same_text(read: &str, sent: &str, encoding: Encoding) -> bool {
    read == sent
        || matches!(encoding, Encoding::Gsm7(_, Packing::Packed))
            && sent.ends_with('\r')
            && read.strip_suffix('\r') == Some(sent)
}

#[test]
fn trap_50_boundaries_lie_at_160_153_152_and_their_like() {
    let udh8 = Method::Udh8(1);
    for (encoding, method, unit, units, parts) in [
        (Encoding::GSM7, udh8, "a", 0, 1),
        (Encoding::GSM7, udh8, "a", 160, 1),
        (Encoding::GSM7, udh8, "a", 161, 2),
        (Encoding::GSM7, udh8, "a", 306, 2),
        (Encoding::GSM7, udh8, "a", 307, 3),
        (Encoding::GSM7, Method::Udh16(1), "a", 304, 2),
        (Encoding::GSM7, Method::Udh16(1), "a", 305, 3),
        (Encoding::GSM7, Method::Sar(1), "a", 304, 2),
        (Encoding::GSM7, Method::Sar(1), "a", 305, 3),
        (Encoding::GSM7, Method::Payload, "a", 305, 1),
        (Encoding::GSM7, udh8, "€", 80, 1),
        (Encoding::GSM7, udh8, "€", 81, 2),
        (Encoding::GSM7, udh8, "€", 152, 2),
        (Encoding::GSM7, udh8, "€", 153, 3),
        (Encoding::GSM7_PACKED, udh8, "a", 160, 1),
        (Encoding::GSM7_PACKED, udh8, "a", 161, 2),
        (Encoding::GSM7_PACKED, udh8, "a", 306, 2),
        (Encoding::GSM7_PACKED, udh8, "a", 307, 3),
        (Encoding::GSM7_PACKED, Method::Udh16(1), "a", 304, 2),
        (Encoding::GSM7_PACKED, Method::Udh16(1), "a", 305, 3),
        (Encoding::Latin1, udh8, "é", 140, 1),
        (Encoding::Latin1, udh8, "é", 268, 2),
        (Encoding::Latin1, udh8, "é", 269, 3),
        (Encoding::Latin1, Method::Udh16(1), "é", 266, 2),
        (Encoding::Latin1, Method::Udh16(1), "é", 267, 3),
        (Encoding::Ascii, udh8, "a", 141, 2),
        (Encoding::Ucs2, udh8, "ж", 70, 1),
        (Encoding::Ucs2, udh8, "ж", 71, 2),
        (Encoding::Ucs2, udh8, "ж", 134, 2),
        (Encoding::Ucs2, udh8, "ж", 135, 3),
        (Encoding::Ucs2, Method::Udh16(1), "ж", 132, 2),
        (Encoding::Ucs2, Method::Udh16(1), "ж", 133, 3),
        (Encoding::Ucs2, udh8, "😀", 35, 1),
        (Encoding::Ucs2, udh8, "😀", 36, 2),
        (Encoding::Ucs2, udh8, "😀", 66, 2),
        (Encoding::Ucs2, udh8, "😀", 67, 3),
    ] {
        let text = unit.repeat(units);
        let layout = Layout::new(encoding, method);
        let what = format!("{units} of {unit} in {encoding:?} by {method:?}");
        assert_eq!(layout.segment_count(&text), parts, "{what}");
        assert_eq!(join(&text, &layout, encoding), Ok(text), "{what}");
    }
}

#[test]
fn trap_50_a_full_packed_part_is_140_octets_with_its_fill_bit() {
    let layout = Layout::new(Encoding::GSM7_PACKED, Method::Udh8(7));
    let segments = layout.split(&"a".repeat(161)).expect("encodable");
    assert_eq!(segments.parts[0].octets.len(), 140);
    assert_eq!(segments.parts[0].octets[..7], [5, 0, 3, 7, 2, 1, 0xC2]);
    let unpacked = Layout::new(Encoding::GSM7, Method::Udh8(7));
    let segments = unpacked.split(&"a".repeat(161)).expect("encodable");
    assert_eq!(segments.parts[0].octets.len(), 6 + 153);
    assert_eq!(segments.parts[0].octets[6], b'a', "no fill bit unpacked");
}

#[test]
fn announced_tables_take_their_room_from_the_text() {
    // 160 septets less the header's: 155 behind one table, 152 behind two; with concatenation 149 and 146.
    for (encoding, single, part) in [
        (national(Locking::Turkish, Single::Default), 155, 149),
        (national(Locking::Default, Single::Spanish), 155, 149),
        (national(Locking::Portuguese, Single::Portuguese), 152, 146),
    ] {
        let layout = Layout::new(encoding, Method::Udh8(9));
        for (units, parts) in [
            (single, 1),
            (single + 1, 2),
            (part * 2, 2),
            (part * 2 + 1, 3),
        ] {
            let text = "a".repeat(units);
            assert_eq!(layout.segment_count(&text), parts, "{units} {encoding:?}");
            assert_eq!(join(&text, &layout, encoding), Ok(text));
        }
    }
    let layout = Layout::new(national(Locking::Turkish, Single::Turkish), Method::Udh8(9));
    let segments = layout.split("Işık").expect("Turkish");
    let part = &segments.parts[0];
    assert!(part.udhi && part.data_coding == 0);
    assert_eq!(part.octets[..], *b"\x06\x24\x01\x01\x25\x01\x01I\x1d\x07k");
    let segments = layout.split(&"ş".repeat(200)).expect("Turkish");
    assert_eq!(segments.parts[1].octets[..6], [11, 0, 3, 9, 2, 2]);
}

#[test]
fn an_application_header_goes_into_every_part() {
    let layout = Layout::new(Encoding::GSM7, Method::Udh8(9));
    let layout = layout.with_elements(PORTS).expect("well-formed");
    let segments = layout.split("short").expect("encodable");
    assert_eq!(
        segments.parts[0].octets[..],
        *b"\x06\x05\x04\x0b\x84\x23\xf0short"
    );
    assert!(segments.parts[0].udhi);
    // Twelve octets of header: 128 are left, 146 septets.
    for (units, parts) in [(152, 1), (153, 2), (292, 2), (293, 3)] {
        assert_eq!(layout.segment_count(&"a".repeat(units)), parts, "{units}");
    }
    let segments = layout.split(&"a".repeat(200)).expect("encodable");
    for part in &segments.parts {
        let (header, _) = split_udh(&part.octets);
        let found: Vec<u8> = elements(header).map(|(element, _)| element).collect();
        assert_eq!(found, [0x00, 0x05]);
    }
    let long = [0x70, 99].into_iter().chain([0; 99]).collect::<Vec<u8>>();
    for bad in [&[0, 3, 1, 2, 1][..], &[0x25, 1, 1], &[5, 4, 1], &[5], &long] {
        assert_eq!(
            layout.with_elements(bad),
            Err(TextError::BadElements),
            "{bad:?}"
        );
    }
}

#[test]
fn sar_parts_have_their_numbers_in_tlvs_and_no_header() {
    let segments = Layout::new(Encoding::GSM7, Method::Sar(0x1234))
        .split(&"a".repeat(200))
        .expect("encodable");
    let part = &segments.parts[1];
    assert!(!part.udhi);
    assert_eq!(part.octets.len(), 48);
    let mut submit = SubmitSm::default();
    part.fill(&mut submit);
    assert_eq!((submit.esm_class, submit.short_message.len()), (0, 48));
    assert_eq!(submit.tlvs.get_u16(tag::SAR_MSG_REF_NUM), Some(0x1234));
    assert_eq!(submit.tlvs.get_u8(tag::SAR_TOTAL_SEGMENTS), Some(2));
    assert_eq!(submit.tlvs.get_u8(tag::SAR_SEGMENT_SEQNUM), Some(2));
}

#[test]
fn a_long_payload_goes_as_one_tlv_and_a_short_text_in_short_message() {
    let layout = Layout::new(Encoding::Ucs2, Method::Payload);
    let mut submit = SubmitSm {
        esm_class: esm_class::UDHI,
        ..SubmitSm::default()
    };
    layout.split(&"ж".repeat(300)).expect("short enough").parts[0].fill(&mut submit);
    assert_eq!((submit.esm_class, submit.data_coding), (0, 8));
    assert!(submit.short_message.is_empty());
    assert_eq!(submit.message().len(), 600);
    let segments = layout.split("ж").expect("encodable");
    assert_eq!(segments.parts[0].carriage, Carriage::ShortMessage);
    assert_eq!(
        layout.split(&"ж".repeat(32_768)),
        Err(TextError::TooLong(65_536))
    );
}

#[test]
fn a_single_plain_part_fills_a_submit_sm_without_header() {
    let segments = Layout::new(Encoding::Latin1, Method::Udh8(1))
        .split("é")
        .expect("encodable");
    let mut submit = SubmitSm::default();
    segments.parts[0].fill(&mut submit);
    assert_eq!((submit.esm_class, submit.data_coding), (0, 3));
    assert_eq!(&submit.short_message[..], b"\xe9");
    assert!(submit.tlvs.is_empty());
}

#[test]
fn trap_50_escape_pairs_move_whole_to_the_next_part() {
    let text = format!("{}€{}", "a".repeat(152), "b".repeat(20));
    let segments = Layout::new(Encoding::GSM7, Method::Udh8(7)).split(&text);
    let parts = segments.expect("encodable").parts;
    assert_eq!(parts[0].octets.len(), 6 + 152);
    assert_eq!(parts[1].octets[6..8], [0x1B, 0x65]);
}

#[test]
fn trap_51_ucs2_is_big_endian_without_mark_even_and_keeps_surrogates_together() {
    let text = format!("{}😀{}", "ж".repeat(66), "ж".repeat(20));
    let segments = Layout::new(Encoding::Ucs2, Method::Udh8(7)).split(&text);
    let parts = segments.expect("encodable").parts;
    assert_eq!(parts[0].octets.len(), 6 + 132);
    assert_eq!(parts[0].octets[6..8], [0x04, 0x36]);
    assert!(parts.iter().all(|part| part.octets.len() % 2 == 0));
    // A header of seven octets leaves 133: the odd one stays empty.
    let segments = Layout::new(Encoding::Ucs2, Method::Udh16(7)).split(&text);
    let parts = segments.expect("encodable").parts;
    assert!(parts.iter().all(|part| part.octets.len() % 2 == 1));
    assert_eq!(parts[0].octets.len(), 7 + 132);
}

#[test]
fn a_carriage_return_never_fills_the_last_septet_of_a_packed_part() {
    let layout = Layout::new(Encoding::GSM7_PACKED, Method::Udh8(7));
    for text in [
        format!("{}\r", "a".repeat(159)),
        format!("{}\r{}", "a".repeat(152), "b".repeat(20)),
        format!("{}\r\r{}", "a".repeat(151), "b".repeat(20)),
    ] {
        assert_eq!(layout.segment_count(&text), 2);
        assert_eq!(join(&text, &layout, Encoding::GSM7_PACKED), Ok(text));
    }
}

#[test]
fn at_most_255_parts_are_sent() {
    for method in [Method::Udh8(0), Method::Sar(0)] {
        let layout = Layout::new(Encoding::GSM7, method);
        let room = if method == Method::Udh8(0) { 153 } else { 152 };
        let most = "a".repeat(255 * room);
        assert_eq!(
            layout.split(&most).map(|segments| segments.parts.len()),
            Ok(255)
        );
        let more = format!("{most}a");
        assert_eq!(layout.split(&more), Err(TextError::TooManyParts(256)));
        assert_eq!(layout.segment_count(&more), 256);
    }
}

#[test]
fn headers_are_found_among_other_elements_and_broken_ones_ignored() {
    let (header, text) = split_udh(b"\x0a\x24\x01\x03\x08\x04\x01\x02\x03\x01\x00hi");
    assert_eq!((header.len(), text), (10, &b"hi"[..]));
    let found = Concat {
        kind: ConcatKind::Udh16,
        reference: 0x0102,
        total: 3,
        part: 1,
    };
    assert_eq!(concat(header), Some(found));
    assert_eq!(tables(header).single, Single::Portuguese);
    // Of several elements the last that makes sense counts.
    let both = b"\0\x03\x01\x02\x01\x08\x04\x01\x02\x03\x01\0\x03\x01\x02\x03";
    assert_eq!(concat(both), Some(found));
    // A table not known here is read as the default, and the last of several counts.
    assert_eq!(tables(b"\x25\x01\x01\x25\x01\x06"), Gsm7::DEFAULT);
    assert_eq!(split_udh(b"\x09abc"), (&b""[..], &b"\x09abc"[..]));
    assert_eq!(split_udh(b""), (&b""[..], &b""[..]));
    for broken in [
        &b"\0\x03\x01\x02\x03"[..],
        b"\0\x03\x01\x02\x00",
        b"\0\x03\x01\x00\x00",
        b"\0\x09\x01",
        b"\0",
        b"\0\x02\x01\x02",
    ] {
        assert_eq!(concat(broken), None, "{broken:?}");
    }
}

#[test]
fn the_charset_of_each_encoding_is_what_its_data_coding_says() {
    for (encoding, data_coding, charset) in [
        (Encoding::GSM7, 0, Charset::Gsm7),
        (Encoding::GSM7_PACKED, 0, Charset::Gsm7),
        (Encoding::Ascii, 1, Charset::Ascii),
        (Encoding::Latin1, 3, Charset::Latin1),
        (Encoding::Ucs2, 8, Charset::Ucs2),
    ] {
        assert_eq!(encoding.data_coding(), data_coding);
        assert_eq!(TextProfile::default().charset(data_coding), charset);
    }
}

proptest! {
    #[test]
    fn the_count_is_what_is_sent_and_the_parts_are_the_text(
        (encoding, text) in encoded_text(700),
        method in method(),
        ports in any::<bool>(),
    ) {
        let layout = Layout::new(encoding, method);
        let layout = if ports { layout.with_elements(PORTS).expect("well-formed") } else { layout };
        let read = join(&text, &layout, encoding).expect("encodable and short");
        prop_assert!(same_text(&read, &text, encoding), "{:?} is not {:?}", read, text);
        prop_assert!(encoding.encodes(&text));
    }

    #[test]
    fn packed_and_unpacked_parts_hold_the_same_texts((encoding, text) in encoded_text(700), method in method()) {
        if let Encoding::Gsm7(tables, _) = encoding {
            // Packing treats carriage returns specially.
            let text = text.replace('\r', " ");
            let read = [Packing::Unpacked, Packing::Packed].map(|packing| {
                let encoding = Encoding::Gsm7(tables, packing);
                let segments = Layout::new(encoding, method).split(&text).expect("encodable");
                let texts = segments.parts.iter().map(|part| {
                    profile(encoding).decode(part.data_coding, part.udhi, &part.octets).text
                });
                texts.collect::<Vec<String>>()
            });
            prop_assert_eq!(&read[0], &read[1]);
        }
    }

    #[test]
    fn what_an_encoding_lacks_is_refused_by_split(text in any::<String>(), encoding in encoding(), method in method()) {
        let layout = Layout::new(encoding, method);
        prop_assert!(layout.segment_count(&text) >= 1);
        match layout.split(&text) {
            Ok(segments) => {
                prop_assert!(encoding.encodes(&text));
                prop_assert_eq!(segments.parts.len(), layout.segment_count(&text));
            }
            Err(error) => {
                prop_assert!(!encoding.encodes(&text));
                prop_assert!(matches!(error, TextError::NotEncodable(character) if text.contains(character)));
            }
        }
    }
}
