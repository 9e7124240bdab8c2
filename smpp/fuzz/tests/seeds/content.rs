//! Lives here: seeds of what lies inside PDUs: TLVs, receipts in all dialects, times, user data headers, texts.
//! Never here: PDUs (`wire`).

use mnara_smpp::text::ucs2_encode;

use crate::samples::optional;

type List = Vec<(String, Vec<u8>)>;

fn named<const N: usize>(seeds: [(&str, &[u8]); N]) -> List {
    seeds
        .into_iter()
        .map(|(name, octets)| (name.to_owned(), octets.to_vec()))
        .collect()
}

pub(crate) fn tlvs() -> List {
    let every = optional::every();
    let mut octets = Vec::new();
    for tlv in &every {
        octets.extend_from_slice(&tlv.tag.to_be_bytes());
        octets.extend_from_slice(&(tlv.value.len() as u16).to_be_bytes());
        octets.extend_from_slice(&tlv.value);
    }
    let mut seeds = named([
        ("repeated", b"\x03\x81\0\x01a\x03\x81\0\x01b\x03\x81\0\0"),
        (
            "unknown_and_vendor",
            b"\x99\x99\0\x02ab\x14\x01\0\x011\x3F\xFF\0\0",
        ),
        ("cut_short", b"\x04\x27\0\x01\x02\x00\x1E\0\x0A12345"),
        ("half_a_header", b"\x04\x27\0\x01\x02\x00\x1E\0"),
        ("length_of_65535", b"\x04\x24\xFF\xFFabc"),
        (
            "string_without_nul",
            b"\x00\x1E\0\x03abc\x00\x1D\0\x05a\0b\0c",
        ),
    ]);
    seeds.push(("every".to_owned(), octets));
    seeds
}

const APPENDIX_B: &str = "id:0123456789 sub:001 dlvrd:001 submit date:2611211024 done date:2611211025 stat:DELIVRD err:000 text:Habari";

/// `data_coding`, `esm_class`, text.
pub(crate) fn receipts() -> List {
    let mut seeds = List::new();
    let mut receipt = |name: &str, coding: u8, class: u8, text: &[u8]| {
        seeds.push((name.to_owned(), [&[coding, class], text].concat()));
    };
    let mut ucs2 = Vec::new();
    ucs2_encode(APPENDIX_B, &mut ucs2);
    receipt("appendix_b", 0, 0x04, APPENDIX_B.as_bytes());
    receipt(
        "trap_06_from_a_bind_without_class",
        0,
        0,
        APPENDIX_B.as_bytes(),
    );
    receipt("trap_10_ucs2", 8, 0x04, &ucs2);
    receipt("trap_10_ucs2_labelled_default", 0, 0x04, &ucs2);
    receipt(
        "trap_10_ascii_labelled_ucs2",
        8,
        0x04,
        APPENDIX_B.as_bytes(),
    );
    let udh = [b"\x05\0\x03\x01\x01\x01", APPENDIX_B.as_bytes()].concat();
    receipt("trap_16_behind_a_header", 0, 0x44, &udh);
    receipt("trap_15_intermediate", 0, 0x20, b"id:1");
    for (name, text) in [
        (
            "trap_07_without_counts",
            &b"id:1 submit date:2611211024 done date:2611211025 stat:DELIVRD err:000"[..],
        ),
        ("trap_07_case", b"ID:a-b Stat:delivrd Err:21b TEXT:"),
        (
            "trap_07_reordered",
            b"stat:EXPIRED err:0112 done date:261121102407 id:77",
        ),
        ("trap_07_spaces", b"id: 5 stat: REJECTD err: 9"),
        ("trap_07_commas", b"id:5,stat:FAILED,err:1"),
        (
            "trap_08_dates_of_12_digits",
            b"id:5 submit date:261121102407 done date:202611211024 stat:DELIVRD",
        ),
        (
            "trap_08_dates_of_14_digits",
            b"id:5 submit date:20261121102407 done date:20261121102409 stat:DELIVRD",
        ),
        (
            "trap_08_dates_with_offset",
            b"id:5 submit date:180711070003912+ done date:1807110700 stat:DELIVRD",
        ),
        (
            "trap_09_error_in_letters",
            b"id:5 stat:UNDELIV err:21b text:",
        ),
        ("trap_09_vendor_state", b"id:5 stat:BUFFERD err:0"),
        ("trap_09_state_zero", b"id:12:34 stat:0"),
        (
            "trap_11_control_characters",
            b"id:5 sub:001 dlvrd:000 stat:GONE err:\0text:\x1Bx",
        ),
        ("trap_11_nuls_at_the_end", b"id:5\tstat:UNDELIV\nerr:1\0\0"),
        (
            "trap_03_long_id",
            b"id:ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff stat:DELIVRD",
        ),
        ("trap_03_leading_zeros", b"id:04000000086ECD50 stat:DELIVRD"),
        (
            "text_first",
            b"text:id:9 hello stat:DELIVRD id:5 stat:UNDELIV err:3",
        ),
        ("other_names", b"id:5 status:DELIVRD error:3"),
        ("byte_order_mark", b"\xEF\xBB\xBFid:5 stat:DELIVRD"),
        ("no_id", b"stat:DELIVRD"),
        ("no_receipt", b"my id: 12, call me"),
        ("empty", b""),
    ] {
        receipt(name, 0, 0x04, text);
    }
    seeds
}

pub(crate) fn times() -> List {
    named([
        ("absolute", b"261121102530004+"),
        ("absolute_west", b"000101000000048-"),
        ("absolute_last", b"991231235959948+"),
        ("leap_day", b"280229120000000+"),
        ("no_leap_day", b"270229120000000+"),
        ("relative", b"000007000000000R"),
        ("relative_longest", b"991231235959000R"),
        ("trap_32_hours_beyond_a_day", b"000000720000000R"),
        ("trap_32_without_tenths", b"26112110253004+"),
        ("trap_32_three_tenths", b"26112110253000004+"),
        ("trap_32_without_zone", b"261121102530"),
        ("trap_32_lower_case", b"000001000000000r"),
        ("trap_08_10_digits", b"2611211025"),
        ("trap_08_14_digits", b"20261121102530"),
        ("trap_08_12_digits_with_century", b"202611211025"),
        ("trap_08_with_offset", b"180711070003912+"),
        ("zulu", b"261121102530Z"),
        ("blanks", b" 261121102530004+ "),
        ("nul", b"261121102530004+\0junk"),
        ("empty", b""),
    ])
}

pub(crate) fn udhs() -> List {
    named([
        ("concat_8", b"\x05\0\x03\x2A\x03\x01text"),
        ("concat_16", b"\x06\x08\x04\x01\x2A\x03\x02text"),
        ("ports_8", b"\x04\x04\x02\x10\x20text"),
        ("ports_16", b"\x06\x05\x04\x0B\x84\x23\xF0text"),
        (
            "concat_and_ports",
            b"\x0B\x05\x04\x0B\x84\x23\xF0\0\x03\x2A\x02\x02text",
        ),
        ("single_shift", b"\x03\x24\x01\x01text"),
        ("locking_shift", b"\x03\x25\x01\x03text"),
        (
            "both_shifts_and_concat",
            b"\x0B\x24\x01\x01\x25\x01\x01\0\x03\x01\x02\x01text",
        ),
        ("part_zero", b"\x05\0\x03\x2A\x03\0text"),
        ("part_beyond_total", b"\x05\0\x03\x2A\x03\x04text"),
        ("element_too_long", b"\x05\0\x04\x2A\x03\x01text"),
        ("header_longer_than_message", b"\x20\0\x03\x2A\x03\x01text"),
        ("empty_header", b"\0text"),
        ("header_alone", b"\x05\0\x03\x2A\x03\x01"),
        ("empty", b""),
    ])
}

pub(crate) fn texts() -> List {
    let mut seeds = named([
        ("ascii", b"Hujambo, karibu sana"),
        (
            "septets_low",
            b"\0\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0A\x0B\x0C\x0D\x0E\x0F",
        ),
        (
            "septets_greek",
            b"\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1A\x1C\x1D\x1E\x1F",
        ),
        (
            "septets_accents",
            b"\x24\x40\x5B\x5C\x5D\x5E\x5F\x60\x7B\x7C\x7D\x7E\x7F",
        ),
        (
            "extension",
            b"\x1B\x0A\x1B\x14\x1B\x28\x1B\x29\x1B\x2F\x1B\x3C\x1B\x3D\x1B\x3E\x1B\x40\x1B\x65",
        ),
        ("escape_of_nothing_known", b"a\x1B\x41b\x1B\x1Bc\x1B"),
        ("above_a_septet", b"a\x80\xFFb\x1B\xE5"),
        ("trap_48_at_sign", b"\0a\0"),
        ("accents", "£¥èéùìòÇØøÅå ÄÖÑÜ§ äöñüà".as_bytes()),
        ("euro_and_brackets", "€ {[~]} ^ \\ |".as_bytes()),
        ("swahili_and_emoji", "Habari 😀 za leo".as_bytes()),
        ("cyrillic", "Привет".as_bytes()),
        ("turkish", "ğĞşŞıİçÇ".as_bytes()),
        ("empty", b""),
    ]);
    for (name, text, count) in [
        ("gsm7_160", "a", 160),
        ("gsm7_161", "a", 161),
        ("trap_50_escape_at_153", "€", 160),
        ("ucs2_70", "ж", 70),
        ("ucs2_71", "ж", 71),
        ("trap_51_surrogates_at_67", "😀", 70),
    ] {
        seeds.push((name.to_owned(), text.repeat(count).into_bytes()));
    }
    seeds
}
