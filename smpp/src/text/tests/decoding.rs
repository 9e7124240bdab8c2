//! Lives here: tests of reading octets by `data_coding`.
//! Never here: alphabets in detail.

use proptest::prelude::{any, prop_assert, proptest};

use super::super::{Charset, Packing, TextProfile, message_class};

fn read(profile: &TextProfile, data_coding: u8, octets: &[u8]) -> String {
    profile.decode(data_coding, false, octets).text
}

#[test]
fn trap_46_the_profile_says_what_data_coding_0_and_1_mean() {
    let pound = |default| {
        let profile = TextProfile {
            default,
            ..TextProfile::default()
        };
        read(&profile, 0, b"\xa35 \x01")
    };
    assert_eq!(pound(Charset::Gsm7), "\u{fffd}5 £");
    assert_eq!(pound(Charset::Latin1), "£5 \u{1}");
    assert_eq!(pound(Charset::Ascii), "\u{fffd}5 \u{1}");
    assert_eq!(pound(Charset::Utf8), "\u{fffd}5 \u{1}");
    let utf8 = TextProfile {
        default: Charset::Utf8,
        ..TextProfile::default()
    };
    assert_eq!(read(&utf8, 0, "ẹ".as_bytes()), "ẹ");
    // GSM octets labelled 0x01, as node-smpp sends them.
    let mislabelled = TextProfile {
        ia5: Charset::Gsm7,
        ..TextProfile::default()
    };
    assert_eq!(read(&mislabelled, 1, b"\x1be5"), "€5");
    assert_eq!(read(&TextProfile::default(), 1, b"\x1be5"), "\u{1b}e5");
}

#[test]
fn trap_49_gsm_coding_groups_are_not_masked_with_0x0f() {
    let profile = TextProfile {
        // What SMPP's own 0 means has no say in GSM's groups.
        default: Charset::Latin1,
        ..TextProfile::default()
    };
    for (range, charset) in [
        (0x10..=0x13, Charset::Gsm7),
        (0x14..=0x17, Charset::Binary),
        (0x18..=0x1B, Charset::Ucs2),
        (0x1C..=0x1F, Charset::Gsm7),
        (0x20..=0xBF, Charset::Latin1),
        (0xC0..=0xDF, Charset::Gsm7),
        (0xE0..=0xEF, Charset::Ucs2),
        (0xF0..=0xF3, Charset::Gsm7),
        (0xF4..=0xF7, Charset::Binary),
        (0xF8..=0xFB, Charset::Gsm7),
        (0xFC..=0xFF, Charset::Binary),
    ] {
        for data_coding in range {
            assert_eq!(profile.charset(data_coding), charset, "{data_coding:#04x}");
        }
    }
    assert_eq!(read(&profile, 0x18, b"\x04\x36"), "ж", "flash");
    assert_eq!(read(&profile, 0xF0, b"\x00\x1be"), "@€");
    assert_eq!(
        read(&profile, 0xF4, b"\xff\x00"),
        "\u{ff}\u{0}",
        "binary keeps its octets"
    );
    let classes = [0x00, 0x08, 0x10, 0x1A, 0xC8, 0xF0, 0xF6].map(message_class);
    assert_eq!(
        classes,
        [None, None, Some(0), Some(2), None, Some(0), Some(2)]
    );
}

#[test]
fn smpp_values_mean_what_the_specification_says() {
    let charsets: Vec<Charset> = (0..16)
        .map(|value| TextProfile::default().charset(value))
        .collect();
    assert_eq!(
        charsets,
        [
            Charset::Gsm7,
            Charset::Ascii,
            Charset::Binary,
            Charset::Latin1,
            Charset::Binary,
            Charset::Unsupported,
            Charset::Cyrillic,
            Charset::Hebrew,
            Charset::Ucs2,
            Charset::Unsupported,
            Charset::Unsupported,
            Charset::Gsm7,
            Charset::Gsm7,
            Charset::Unsupported,
            Charset::Unsupported,
            Charset::Gsm7,
        ]
    );
    let profile = TextProfile::default();
    assert_eq!(read(&profile, 6, b"\xb6"), "Ж");
    assert_eq!(read(&profile, 7, b"\xe0"), "א");
}

#[test]
fn the_header_is_set_apart_and_names_the_tables() {
    let profile = TextProfile::default();
    let read = profile.decode(0, true, b"\x06\x24\x01\x03\x25\x01\x01\x07\x1b\x05");
    assert_eq!(read.header, b"\x24\x01\x03\x25\x01\x01");
    assert_eq!(read.text, "ıê");
    // A header that claims more than there is is text.
    assert_eq!(profile.decode(0, true, b"\x50ab").text, "Pab");
    let packed = TextProfile {
        packing: Packing::Packed,
        ..profile
    };
    // 05 00 03 …, a fill bit, then "a".
    assert_eq!(
        packed.decode(0, true, b"\x05\0\x03\x01\x02\x01\xc2").text,
        "a"
    );
    assert_eq!(
        packed.decode(0, false, b"\xe8\x32\x9b\xfd\x06").text,
        "hello"
    );
}

#[test]
fn trap_51_a_byte_order_mark_of_a_careless_sender_is_no_text() {
    let profile = TextProfile::default();
    assert_eq!(read(&profile, 8, b"\xfe\xff\x04\x36"), "ж");
    assert_eq!(
        read(&profile, 8, b"\xff\xfe\x36\x04\x3d\xd8\x00\xde"),
        "ж😀"
    );
    assert_eq!(read(&profile, 8, b"\xd8\x3d\xde\x00"), "😀");
}

proptest! {
    #[test]
    fn every_octet_string_has_a_reading(
        data_coding in any::<u8>(),
        udhi in any::<bool>(),
        packed in any::<bool>(),
        octets in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let profile = TextProfile {
            packing: if packed { Packing::Packed } else { Packing::Unpacked },
            ..TextProfile::default()
        };
        let read = profile.decode(data_coding, udhi, &octets);
        prop_assert!(read.header.len() <= octets.len());
        prop_assert!(!udhi || read.header.len() < octets.len() || octets.is_empty());
    }
}
