//! Lives here: tests of the alphabets, character by character, and of packing.
//! Never here: messages.

use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

use super::super::{
    Charset, Encoding, Gsm7, Locking, SenderError, Single, alphanumeric_sender, ascii_decode,
    ascii_encode, cyrillic_decode, fill_bits, hebrew_decode, latin1_decode, latin1_encode, pack,
    sender_text, ucs2_decode, ucs2_encode, unpack,
};
use super::{LOCKING, SINGLE, tables};

fn gsm7_octets(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    Gsm7::DEFAULT
        .encode(text, &mut out)
        .expect("the text is in GSM 03.38");
    out
}

fn packed(septets: &[u8], header_len: usize) -> Vec<u8> {
    let mut out = Vec::new();
    pack(septets, header_len, &mut out);
    out
}

/// Code points of the default alphabet, as in the specification's table; 0x1B is the escape.
fn default_code_point(septet: u8) -> u32 {
    match septet {
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
        ascii => u32::from(ascii),
    }
}

/// Where a locking shift table differs from the default alphabet, in code points (23.038, A.3.1 and A.3.3; the same
/// in AOSP, in Nokia's converters, in CyberChef and in a Go library).
fn locking_differences(locking: Locking) -> &'static [(u8, u32)] {
    match locking {
        Locking::Default => &[],
        Locking::Turkish => &[
            (0x04, 0x20AC),
            (0x07, 0x131),
            (0x0B, 0x11E),
            (0x0C, 0x11F),
            (0x1C, 0x15E),
            (0x1D, 0x15F),
            (0x40, 0x130),
            (0x60, 0xE7),
        ],
        Locking::Portuguese => &[
            (0x04, 0xEA),
            (0x06, 0xFA),
            (0x07, 0xED),
            (0x08, 0xF3),
            (0x09, 0xE7),
            (0x0B, 0xD4),
            (0x0C, 0xF4),
            (0x0E, 0xC1),
            (0x0F, 0xE1),
            (0x12, 0xAA),
            (0x13, 0xC7),
            (0x14, 0xC0),
            (0x15, 0x221E),
            (0x16, 0x5E),
            (0x17, 0x5C),
            (0x18, 0x20AC),
            (0x19, 0xD3),
            (0x1A, 0x7C),
            (0x1C, 0xC2),
            (0x1D, 0xE2),
            (0x1E, 0xCA),
            (0x24, 0xBA),
            (0x40, 0xCD),
            (0x5B, 0xC3),
            (0x5C, 0xD5),
            (0x5D, 0xDA),
            (0x60, 0x7E),
            (0x7B, 0xE3),
            (0x7C, 0xF5),
            (0x7D, 0x60),
        ],
    }
}

/// What a single shift table has beyond the ten characters of the extension table, in code points (23.038, A.2.1 to
/// A.2.3; sources as above, save that CyberChef lacks Portuguese 0x05).
fn single_additions(single: Single) -> &'static [(u8, u32)] {
    match single {
        Single::Default => &[],
        Single::Turkish => &[
            (0x47, 0x11E),
            (0x49, 0x130),
            (0x53, 0x15E),
            (0x63, 0xE7),
            (0x67, 0x11F),
            (0x69, 0x131),
            (0x73, 0x15F),
        ],
        Single::Spanish => &[
            (0x09, 0xE7),
            (0x41, 0xC1),
            (0x49, 0xCD),
            (0x4F, 0xD3),
            (0x55, 0xDA),
            (0x61, 0xE1),
            (0x69, 0xED),
            (0x6F, 0xF3),
            (0x75, 0xFA),
        ],
        Single::Portuguese => &[
            (0x05, 0xEA),
            (0x09, 0xE7),
            (0x0B, 0xD4),
            (0x0C, 0xF4),
            (0x0E, 0xC1),
            (0x0F, 0xE1),
            (0x12, 0x3A6),
            (0x13, 0x393),
            (0x15, 0x3A9),
            (0x16, 0x3A0),
            (0x17, 0x3A8),
            (0x18, 0x3A3),
            (0x19, 0x398),
            (0x1F, 0xCA),
            (0x41, 0xC0),
            (0x49, 0xCD),
            (0x4F, 0xD3),
            (0x55, 0xDA),
            (0x5B, 0xC3),
            (0x5C, 0xD5),
            (0x61, 0xC2),
            (0x69, 0xED),
            (0x6F, 0xF3),
            (0x75, 0xFA),
            (0x7B, 0xE3),
            (0x7C, 0xF5),
            (0x7F, 0xE2),
        ],
    }
}

const EXTENSION: [(u8, u32); 10] = [
    (0x0A, 0x0C),
    (0x14, 0x5E),
    (0x28, 0x7B),
    (0x29, 0x7D),
    (0x2F, 0x5C),
    (0x3C, 0x5B),
    (0x3D, 0x7E),
    (0x3E, 0x5D),
    (0x40, 0x7C),
    (0x65, 0x20AC),
];

fn in_table(table: &[(u8, u32)], code: u8) -> Option<u32> {
    table
        .iter()
        .find(|entry| entry.0 == code)
        .map(|entry| entry.1)
}

#[test]
fn all_septets_of_all_tables_stand_for_the_characters_of_23_038() {
    for locking in LOCKING {
        for single in SINGLE {
            let tables = Gsm7 { locking, single };
            let plain = |septet| {
                in_table(locking_differences(locking), septet)
                    .unwrap_or_else(|| default_code_point(septet))
            };
            for septet in 0u8..128 {
                let expected = char::from_u32(plain(septet))
                    .expect("a code point")
                    .to_string();
                let place = format!("{tables:?} {septet:#04x}");
                if septet != 0x1B {
                    assert_eq!(tables.decode(&[septet]), expected, "{place}");
                    let mut out = Vec::new();
                    assert_eq!(tables.encode(&expected, &mut out), Ok(()), "{place}");
                    assert_eq!(out, [septet], "{place}");
                }
                let extended = in_table(&EXTENSION, septet)
                    .or_else(|| in_table(single_additions(single), septet));
                let expected = extended.unwrap_or_else(|| plain(septet));
                let expected = char::from_u32(expected).expect("a code point").to_string();
                assert_eq!(tables.decode(&[0x1B, septet]), expected, "{place} escaped");
                if extended.is_some() {
                    let mut out = Vec::new();
                    assert_eq!(
                        tables.encode(&expected, &mut out),
                        Ok(()),
                        "{place} escaped"
                    );
                    // A character that the locking table has too takes its one septet.
                    assert!(out == [0x1B, septet] || out.len() == 1, "{place}: {out:?}");
                }
            }
        }
    }
}

#[test]
fn national_languages_have_the_numbers_of_23_038() {
    let locking: Vec<_> = LOCKING.iter().map(|table| table.language()).collect();
    let single: Vec<_> = SINGLE.iter().map(|table| table.language()).collect();
    assert_eq!(locking, [None, Some(1), Some(3)]);
    assert_eq!(single, [None, Some(1), Some(2), Some(3)]);
    for language in 0..=u8::MAX {
        let locking = Locking::from_language(language);
        assert!(locking == Locking::Default || locking.language() == Some(language));
        let single = Single::from_language(language);
        assert!(single == Single::Default || single.language() == Some(language));
    }
}

#[test]
fn every_octet_has_a_reading() {
    assert_eq!(Gsm7::DEFAULT.decode(b"a\x1b"), "a ");
    assert_eq!(Gsm7::DEFAULT.decode(b"a\x1b\x1bb"), "a b");
    assert_eq!(Gsm7::DEFAULT.decode(b"\x1bA"), "A");
    assert_eq!(Gsm7::DEFAULT.decode(b"\xff"), "\u{fffd}");
    assert_eq!(ucs2_decode(b"\0a\0"), "a\u{fffd}");
    assert_eq!(ucs2_decode(b"\xd8\x00\0a"), "\u{fffd}a");
    assert_eq!(ascii_decode(b"a\xe9"), "a\u{fffd}");
    assert_eq!(latin1_decode(b"a\xe9\x80"), "aé\u{80}");
    assert_eq!(
        cyrillic_decode(b"a\xbf\xe0\xf0\xfd\xa1\xad"),
        "aПр№§Ё\u{ad}"
    );
    assert_eq!(
        hebrew_decode(b"a\xf9\xec\xe5\xed\xaa\xa1"),
        "aשלום×\u{fffd}"
    );
}

#[test]
fn a_character_outside_the_alphabet_is_named_and_nothing_is_written() {
    let mut out = vec![1];
    assert_eq!(Gsm7::DEFAULT.encode("abc`d", &mut out), Err('`'));
    assert_eq!(latin1_encode("été €", &mut out), Err('€'));
    assert_eq!(ascii_encode("été", &mut out), Err('é'));
    assert_eq!(out, [1]);
    for (encoding, held, refused) in [
        (Encoding::GSM7, "Ω€{}@é", "ç"),
        (Encoding::Ascii, "{}`", "é"),
        (Encoding::Latin1, "ç\u{ff}", "€"),
    ] {
        assert!(
            encoding.encodes(held) && !encoding.encodes(refused),
            "{encoding:?}"
        );
    }
    assert!(Encoding::Ucs2.encodes("ẹ káàárọ̀ 😀"));
}

#[test]
fn trap_48_the_at_sign_is_octet_zero_in_a_body_and_refused_in_a_sender() {
    assert_eq!(gsm7_octets("a@b"), [b'a', 0, b'b']);
    assert_eq!(Gsm7::DEFAULT.decode(b"a\0b"), "a@b", "no NUL cuts the text");
    assert_eq!(unpack(&packed(&gsm7_octets("@@@@@@@@"), 0), 0), [0; 8]);
    assert_eq!(
        alphanumeric_sender("me@work", Charset::Gsm7),
        Err(SenderError::Nul('@'))
    );
    let ascii = alphanumeric_sender("me@work", Charset::Ascii).expect("0x40 in ASCII");
    assert_eq!(ascii.addr.as_bytes(), b"me@work");
}

#[test]
fn trap_52_a_name_has_type_5_plan_0_and_at_most_11_septets() {
    let sender = alphanumeric_sender("MNARA_TZ", Charset::Gsm7).expect("eight characters");
    assert_eq!((sender.ton, sender.npi), (5, 0));
    assert_eq!(sender.addr.as_bytes(), b"MNARA\x11TZ");
    assert_eq!(sender_text(&sender, Charset::Gsm7), "MNARA_TZ");
    let latin1 = alphanumeric_sender("Café", Charset::Latin1).expect("é is in both");
    assert_eq!(latin1.addr.as_bytes(), b"Caf\xe9");
    assert_eq!(sender_text(&latin1, Charset::Latin1), "Café");
    for (name, alphabet, error) in [
        ("", Charset::Ascii, SenderError::Empty),
        ("twelve chars", Charset::Ascii, SenderError::TooLong(12)),
        ("ten letters€", Charset::Gsm7, SenderError::TooLong(13)),
        ("ẹkọ", Charset::Gsm7, SenderError::NotEncodable('ẹ')),
        ("Café", Charset::Ascii, SenderError::NotEncodable('é')),
        ("+255700", Charset::Ascii, SenderError::Number),
        ("15000", Charset::Ascii, SenderError::Number),
    ] {
        assert_eq!(alphanumeric_sender(name, alphabet), Err(error), "{name}");
    }
}

#[test]
fn packing_gives_the_octets_of_known_texts() {
    for (text, octets) in [
        ("hello", &[0xE8, 0x32, 0x9B, 0xFD, 0x06][..]),
        (
            "hellohello",
            &[0xE8, 0x32, 0x9B, 0xFD, 0x46, 0x97, 0xD9, 0xEC, 0x37],
        ),
        ("*100#", &[0xAA, 0x18, 0x0C, 0x36, 0x02]),
        // Seven spare bits hold a carriage return, else they would be an at sign.
        ("1234567", &[0x31, 0xD9, 0x8C, 0x56, 0xB3, 0xDD, 0x1A]),
        ("12345678", &[0x31, 0xD9, 0x8C, 0x56, 0xB3, 0xDD, 0x70]),
    ] {
        let septets = gsm7_octets(text);
        assert_eq!(packed(&septets, 0), octets, "{text}");
        assert_eq!(unpack(octets, 0), septets, "{text}");
    }
    // A carriage return of the text's own that ends an octet is doubled.
    assert_eq!(packed(b"1234567\r", 0).len(), 8);
    assert_eq!(unpack(&packed(b"1234567\r", 0), 0), b"1234567\r\r");
    assert_eq!(packed(b"", 6), b"");
    assert_eq!(unpack(b"", 6), b"");
}

#[test]
fn septets_start_on_a_boundary_of_their_own_behind_a_header() {
    let fills: Vec<usize> = (0..=8).map(fill_bits).collect();
    assert_eq!(fills, [0, 6, 5, 4, 3, 2, 1, 0, 6]);
    // 0x05 … 0x01 and one fill bit: 'a' (0x61) is shifted to 0xC2.
    assert_eq!(packed(b"a", 6), [0xC2]);
    assert_eq!(packed(b"a", 7), [0x61]);
}

/// Packing written down as 23.038 says it: a string of bits, lowest first.
fn packed_by_bits(septets: &[u8], fill: usize) -> Vec<u8> {
    let mut bits = vec![false; fill];
    for septet in septets {
        bits.extend((0..7).map(|bit| septet >> bit & 1 == 1));
    }
    let octet = |bits: &[bool]| (0..).zip(bits).map(|(at, bit)| u8::from(*bit) << at).sum();
    bits.chunks(8).map(octet).collect()
}

proptest! {
    #[test]
    fn packed_septets_lie_as_the_specification_draws_them(
        septets in proptest::collection::vec(0u8..128, 0..300),
        header_len in 0usize..20,
    ) {
        let fill = fill_bits(header_len);
        let spare = (8 - (fill + septets.len() * 7) % 8) % 8;
        let mut padded = septets.clone();
        let ends_in_filler = spare == 0 && septets.last() == Some(&b'\r');
        if !septets.is_empty() && (spare == 7 || ends_in_filler) {
            padded.push(b'\r');
        }
        let expected = if septets.is_empty() { Vec::new() } else { packed_by_bits(&padded, fill) };
        let octets = packed(&septets, header_len);
        prop_assert_eq!(&octets, &expected);
        prop_assert_eq!(unpack(&octets, header_len), if ends_in_filler { padded } else { septets });
    }

    #[test]
    fn every_alphabet_gives_its_texts_back(tables in tables(), octets in proptest::collection::vec(any::<u8>(), 0..200), any in any::<String>()) {
        let septets: Vec<u8> = octets.iter().map(|octet| octet & 0x7F).collect();
        let text = tables.decode(&septets);
        let mut out = Vec::new();
        prop_assert_eq!(tables.encode(&text, &mut out), Ok(()));
        prop_assert_eq!(tables.decode(&out), text.as_str());
        prop_assert_eq!(out.len(), text.chars().map(|character| tables.septets(character).unwrap_or(0)).sum::<usize>());

        let text = latin1_decode(&octets);
        let mut out = Vec::new();
        prop_assert_eq!(latin1_encode(&text, &mut out), Ok(()));
        prop_assert_eq!(&out, &octets);

        let text = ascii_decode(&septets);
        let mut out = Vec::new();
        prop_assert_eq!(ascii_encode(&text, &mut out), Ok(()));
        prop_assert_eq!(&out, &septets);

        let mut out = Vec::new();
        ucs2_encode(&any, &mut out);
        prop_assert_eq!(ucs2_decode(&out), any);
    }

    #[test]
    fn decoders_never_panic(tables in tables(), octets in proptest::collection::vec(any::<u8>(), 0..300), header_len in 0usize..300) {
        let septets = unpack(&octets, header_len);
        prop_assert!(septets.iter().all(|septet| *septet < 128));
        for octets in [&octets, &septets] {
            let _ = tables.decode(octets);
            let _ = ucs2_decode(octets);
            let _ = ascii_decode(octets);
            let _ = cyrillic_decode(octets);
            let _ = hebrew_decode(octets);
        }
    }
}
