//! Lives here: the tests of the text module.
//! Never here: anything else.

use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::{
    Concat, Encoding, TextError, concat, detect, gsm7, gsm7_decode, gsm7_encode, segment_count,
    split, split_udh, ucs2_decode, ucs2_encode,
};

fn gsm7_octets(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    gsm7_encode(text, &mut out).expect("the text is in GSM 03.38");
    out
}

/// Puts the parts' texts together again, checking the headers.
fn join(text: &str, encoding: Encoding) -> Result<String, TextError> {
    let segments = split(text, encoding, 0x2A)?;
    let total = u8::try_from(segments.parts.len()).expect("at most 255");
    let mut joined = String::new();
    for (part, octets) in (1..).zip(&segments.parts) {
        let body = if segments.has_udh() {
            assert_eq!(octets[..6], [5, 0, 3, 0x2A, total, part]);
            let (header, body) = split_udh(octets);
            assert_eq!(
                concat(header),
                Some(Concat {
                    reference: 0x2A,
                    total,
                    part
                })
            );
            assert!(octets.len() <= 159);
            body
        } else {
            assert!(octets.len() <= 160);
            &octets[..]
        };
        joined.push_str(&match encoding {
            Encoding::Gsm7 => gsm7_decode(body),
            Encoding::Ucs2 => ucs2_decode(body),
        });
    }
    Ok(joined)
}

#[test]
fn all_128_septets_stand_for_the_characters_of_23_038() {
    // Code points as in the specification's table, row by row; 0x1B is the escape.
    let table: [u32; 128] = std::array::from_fn(|septet| match septet {
        0x00 => 0x40,
        0x01 => 0xA3,
        0x02 => 0x24,
        0x03 => 0xA5,
        0x04 => 0xE8,
        0x05 => 0xE9,
        0x06 => 0xF9,
        0x07 => 0xEC,
        0x08 => 0xF2,
        0x09 => 0xC7,
        0x0B => 0xD8,
        0x0C => 0xF8,
        0x0E => 0xC5,
        0x0F => 0xE5,
        0x10 => 0x394,
        0x11 => 0x5F,
        0x12 => 0x3A6,
        0x13 => 0x393,
        0x14 => 0x39B,
        0x15 => 0x3A9,
        0x16 => 0x3A0,
        0x17 => 0x3A8,
        0x18 => 0x3A3,
        0x19 => 0x398,
        0x1A => 0x39E,
        0x1B => 0x20,
        0x1C => 0xC6,
        0x1D => 0xE6,
        0x1E => 0xDF,
        0x1F => 0xC9,
        0x24 => 0xA4,
        0x40 => 0xA1,
        0x5B => 0xC4,
        0x5C => 0xD6,
        0x5D => 0xD1,
        0x5E => 0xDC,
        0x5F => 0xA7,
        0x60 => 0xBF,
        0x7B => 0xE4,
        0x7C => 0xF6,
        0x7D => 0xF1,
        0x7E => 0xFC,
        0x7F => 0xE0,
        ascii => ascii as u32,
    });
    for (septet, code_point) in (0u8..).zip(table) {
        let character = char::from_u32(code_point).expect("a code point");
        assert_eq!(
            gsm7_decode(&[septet]),
            character.to_string(),
            "septet {septet:#04x}"
        );
        if septet != gsm7::ESC {
            assert_eq!(gsm7_octets(&character.to_string()), [septet]);
        }
    }
}

#[test]
fn extension_characters_take_the_escape_and_two_octets() {
    for (code, character) in [
        (0x0A, "\u{c}"),
        (0x14, "^"),
        (0x28, "{"),
        (0x29, "}"),
        (0x2F, "\\"),
        (0x3C, "["),
        (0x3D, "~"),
        (0x3E, "]"),
        (0x40, "|"),
        (0x65, "€"),
    ] {
        assert_eq!(gsm7_octets(character), [0x1B, code]);
        assert_eq!(gsm7_decode(&[0x1B, code]), character);
    }
}

#[test]
fn every_octet_has_a_reading() {
    assert_eq!(gsm7_decode(b"a\x1b"), "a ");
    assert_eq!(gsm7_decode(b"a\x1b\x1bb"), "a b");
    assert_eq!(gsm7_decode(b"\x1bA"), "A");
    assert_eq!(gsm7_decode(b"\xff"), "\u{fffd}");
    assert_eq!(ucs2_decode(b"\0a\0"), "a\u{fffd}");
    assert_eq!(ucs2_decode(b"\xd8\x00\0a"), "\u{fffd}a");
}

#[test]
fn a_character_outside_the_alphabet_is_named_and_nothing_is_written() {
    let mut out = vec![1];
    assert_eq!(gsm7_encode("abc`d", &mut out), Err('`'));
    assert_eq!(out, [1]);
    assert_eq!(
        split("ç", Encoding::Gsm7, 0),
        Err(TextError::NotEncodable('ç'))
    );
    assert_eq!(detect("Ω€{}@"), Encoding::Gsm7);
    assert_eq!(detect("ẹ káàárọ̀"), Encoding::Ucs2);
    assert_eq!(
        (Encoding::Gsm7.data_coding(), Encoding::Ucs2.data_coding()),
        (0, 8)
    );
}

#[test]
fn boundaries_lie_at_160_153_70_and_67() {
    for (encoding, unit, units, parts) in [
        (Encoding::Gsm7, "a", 0, 1),
        (Encoding::Gsm7, "a", 160, 1),
        (Encoding::Gsm7, "a", 161, 2),
        (Encoding::Gsm7, "a", 306, 2),
        (Encoding::Gsm7, "a", 307, 3),
        (Encoding::Gsm7, "€", 80, 1),
        (Encoding::Gsm7, "€", 81, 2),
        (Encoding::Gsm7, "€", 152, 2),
        (Encoding::Gsm7, "€", 153, 3),
        (Encoding::Ucs2, "ж", 70, 1),
        (Encoding::Ucs2, "ж", 71, 2),
        (Encoding::Ucs2, "ж", 134, 2),
        (Encoding::Ucs2, "ж", 135, 3),
        (Encoding::Ucs2, "😀", 35, 1),
        (Encoding::Ucs2, "😀", 36, 2),
        (Encoding::Ucs2, "😀", 66, 2),
        (Encoding::Ucs2, "😀", 67, 3),
    ] {
        let text = unit.repeat(units);
        assert_eq!(segment_count(&text, encoding), parts, "{units} of {unit}");
        assert_eq!(
            split(&text, encoding, 1).map(|segments| segments.parts.len()),
            Ok(parts)
        );
        assert_eq!(join(&text, encoding), Ok(text));
    }
}

#[test]
fn pairs_move_whole_to_the_next_part() {
    let text = format!("{}€{}", "a".repeat(152), "b".repeat(20));
    let segments = split(&text, Encoding::Gsm7, 7).expect("encodable");
    assert_eq!(segments.parts[0].len(), 6 + 152);
    assert_eq!(segments.parts[1][6..8], [0x1B, 0x65]);
    let text = format!("{}😀{}", "ж".repeat(66), "ж".repeat(20));
    let segments = split(&text, Encoding::Ucs2, 7).expect("encodable");
    assert_eq!(segments.parts[0].len(), 6 + 132);
    assert!(segments.parts.iter().all(|part| part.len() % 2 == 0));
}

#[test]
fn at_most_255_parts_are_sent() {
    let most = "a".repeat(255 * 153);
    assert_eq!(
        split(&most, Encoding::Gsm7, 0).map(|segments| segments.parts.len()),
        Ok(255)
    );
    assert_eq!(
        split(&format!("{most}a"), Encoding::Gsm7, 0),
        Err(TextError::TooManyParts(256))
    );
    assert_eq!(segment_count(&format!("{most}a"), Encoding::Gsm7), 256);
}

#[test]
fn headers_are_found_among_other_elements_and_broken_ones_ignored() {
    let (header, text) = split_udh(b"\x0a\x24\x01\x03\x08\x04\x01\x02\x03\x01\x00hi");
    assert_eq!(header.len(), 10);
    assert_eq!(text, b"hi");
    assert_eq!(
        concat(header),
        Some(Concat {
            reference: 0x0102,
            total: 3,
            part: 1
        })
    );
    assert_eq!(split_udh(b"\x09abc"), (&b""[..], &b"\x09abc"[..]));
    assert_eq!(split_udh(b""), (&b""[..], &b""[..]));
    for broken in [
        &b"\0\x03\x01\x02\x03"[..],
        b"\0\x03\x01\x02\x00",
        b"\0\x09\x01",
        b"\0",
        b"\0\x02\x01\x02",
    ] {
        assert_eq!(concat(broken), None, "{broken:?}");
    }
}

fn gsm7_text() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        8 => (0u8..128).prop_map(|septet| gsm7_decode(&[septet])),
        2 => (0usize..10).prop_map(|at| ["\u{c}", "^", "{", "}", "\\", "[", "~", "]", "|", "€"][at].to_owned()),
    ];
    proptest::collection::vec(character, 0..700).prop_map(|characters| characters.concat())
}

proptest! {
    #[test]
    fn gsm7_text_survives_the_way_there_and_back(text in gsm7_text()) {
        prop_assert_eq!(&gsm7_decode(&gsm7_octets(&text)), &text);
        prop_assert_eq!(detect(&text), Encoding::Gsm7);
        prop_assert_eq!(join(&text, Encoding::Gsm7), Ok(text));
    }

    #[test]
    fn any_text_survives_ucs2(text in any::<String>()) {
        let mut out = Vec::new();
        ucs2_encode(&text, &mut out);
        prop_assert_eq!(ucs2_decode(&out), text);
    }

    #[test]
    fn the_count_is_what_is_sent(gsm in gsm7_text(), any in "\\PC{0,300}") {
        for (text, encoding) in [(&gsm, Encoding::Gsm7), (&gsm, Encoding::Ucs2), (&any, Encoding::Ucs2)] {
            let segments = split(text, encoding, 9).expect("encodable and short");
            prop_assert_eq!(segments.parts.len(), segment_count(text, encoding));
            prop_assert_eq!(&join(text, encoding).expect("encodable"), text);
        }
        if detect(&any) == Encoding::Ucs2 {
            prop_assert!(split(&any, Encoding::Gsm7, 9).is_err());
        }
    }

    #[test]
    fn decoding_never_panics(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = gsm7_decode(&octets);
        let _ = ucs2_decode(&octets);
        let (header, _) = split_udh(&octets);
        let _ = concat(header);
    }
}
