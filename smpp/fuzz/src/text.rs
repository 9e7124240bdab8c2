//! Lives here: the targets about the text of messages: user data headers and reassembly, alphabets and segmentation.
//! Never here: receipts (`content`).

use std::time::{Duration, Instant};

use bytes::Bytes;
use mnara_smpp::pdu::{Address, SubmitSm};
use mnara_smpp::text::{
    Candidates, Charset, Encoding, Fragment, Gsm7, Layout, Locking, Method, Offered, PARTS_MAX,
    PAYLOAD_MAX, Packing, Reassembler, ReassemblyLimits, Single, TextProfile, alphanumeric_sender,
    concat, elements, pack, sender_text, split_udh, tables, transliterate, ucs2_decode, unpack,
};
use mnara_smpp::tlv::Tlvs;

use crate::random::SplitMix64;

/// ReassemblyLimits that a small input reaches.
const LIMITS: ReassemblyLimits = ReassemblyLimits {
    messages_max: 3,
    octets_max: 600,
    parts_max: 4,
    expiry: Duration::from_secs(60),
};

/// Longest text that is divided, in octets of UTF-8: enough for several parts of every encoding.
const TEXT_MAX: usize = 700;

/// A user data header and the text behind it are the message, whole and in order, and its numbers make sense.
/// Messages of several parts are put together within the limits, whatever the parts claim.
///
/// # Panics
/// When it is not so.
pub fn udh(data: &[u8]) {
    let (header, body) = split_udh(data);
    if header.is_empty() {
        assert!(body == data || data.split_first() == Some((&0, body)));
    } else {
        let length = u8::try_from(header.len()).expect("a header has one octet of length");
        assert_eq!([&[length][..], header, body].concat(), data);
    }
    for octets in [header, data] {
        let whole: usize = elements(octets).map(|(_, data)| 2 + data.len()).sum();
        assert!(whole <= octets.len());
        let _ = tables(octets);
        if let Some(concat) = concat(octets) {
            assert!(
                concat.part >= 1 && concat.part <= concat.total,
                "{concat:?}"
            );
        }
    }
    for data_coding in [0, 1, 3, 6, 7, 8, 0x11, 0xF5] {
        for packing in [Packing::Unpacked, Packing::Packed] {
            let profile = TextProfile {
                packing,
                ..TextProfile::default()
            };
            assert_eq!(profile.decode(data_coding, true, data).header, header);
        }
    }
    reassemble_pieces(data);
}

/// The octets, cut into messages at places that they determine themselves.
fn reassemble_pieces(mut data: &[u8]) {
    let mut random = SplitMix64::of_input(data);
    let address = Address::new(1, 1, "255753276939");
    let tlvs = Tlvs::new();
    let mut reassembler = Reassembler::new(LIMITS);
    let mut abandoned = Vec::new();
    let mut now = Instant::now();
    while !data.is_empty() {
        let (piece, behind) = data.split_at(data.len().min(1 + random.below(16)));
        data = behind;
        now += Duration::from_millis(random.next() % 20_000);
        let fragment = Fragment {
            source: &address,
            dest: &address,
            udhi: true,
            data_coding: 0,
            octets: piece,
            tlvs: &tlvs,
        };
        if let Offered::Complete(message) = reassembler.offer(fragment, now, &mut abandoned) {
            let numbers: Vec<u8> = message.parts.iter().map(|part| part.number).collect();
            let total = message.concat.map_or(1, |concat| concat.total);
            assert_eq!(numbers, (1..=total).collect::<Vec<_>>());
            let _ = message.text(&TextProfile::default());
        }
        assert!(reassembler.len() <= LIMITS.messages_max);
        assert!(reassembler.octets() <= LIMITS.octets_max);
    }
    reassembler.drain(&mut abandoned);
    assert!(reassembler.is_empty() && reassembler.octets() == 0);
}

/// Any octets have a reading in every alphabet, and what was read is written and read again alike. A text is
/// divided into as many parts as were counted, which say it again when they are put together.
///
/// # Panics
/// When it is not so.
pub fn gsm7(data: &[u8]) {
    for locking in [Locking::Default, Locking::Turkish, Locking::Portuguese] {
        for single in [
            Single::Default,
            Single::Turkish,
            Single::Spanish,
            Single::Portuguese,
        ] {
            septets_again(Gsm7 { locking, single }, data);
        }
    }
    for header_len in [0, 6, 7] {
        let octets: Vec<u8> = data.iter().map(|octet| octet & 0x7F).collect();
        let mut packed = Vec::new();
        pack(&octets, header_len, &mut packed);
        let unpacked = unpack(&packed, header_len);
        // A carriage return that ends an octet is doubled, as 23.038 (6.1.2.3.1) wants it.
        if unpacked.strip_suffix(b"\r") != Some(&octets) || octets.last() != Some(&b'\r') {
            assert_eq!(unpacked, octets, "behind {header_len}");
        }
    }
    let _ = ucs2_decode(data);
    let mut random = SplitMix64::of_input(data);
    say_again(&Gsm7::DEFAULT.decode(data), &mut random);
    if let Ok(text) = str::from_utf8(data) {
        say_again(text, &mut random);
    }
}

fn septets_again(alphabet: Gsm7, data: &[u8]) {
    let read = alphabet.decode(data);
    let mut octets = Vec::new();
    match alphabet.encode(&read, &mut octets) {
        Ok(()) => {
            assert_eq!(alphabet.decode(&octets), read, "{alphabet:?}");
            assert!(octets.iter().all(|octet| *octet < 0x80));
        }
        Err(character) => {
            assert_eq!(character, char::REPLACEMENT_CHARACTER, "{alphabet:?}");
            assert!(data.iter().any(|octet| *octet >= 0x80), "{read:?}");
            assert!(octets.is_empty());
        }
    }
}

fn say_again(text: &str, random: &mut SplitMix64) {
    let text = match text.char_indices().find(|(at, _)| *at >= TEXT_MAX) {
        Some((end, _)) => &text[..end],
        None => text,
    };
    let _ = transliterate(text);
    if let Ok(sender) = alphanumeric_sender(text, Charset::Gsm7) {
        assert_eq!(sender_text(&sender, Charset::Gsm7), text);
    }
    let turkish = Gsm7 {
        locking: Locking::Turkish,
        single: Single::Turkish,
    };
    let reference = random.next() as u16;
    let methods = [
        Method::Udh8(reference as u8),
        Method::Udh16(reference),
        Method::Sar(reference),
        Method::Payload,
    ];
    let encodings = [
        Encoding::GSM7,
        Encoding::GSM7_PACKED,
        Encoding::Gsm7(turkish, Packing::Unpacked),
        Encoding::Gsm7(turkish, Packing::Packed),
        Encoding::Ascii,
        Encoding::Latin1,
        Encoding::Ucs2,
    ];
    let method = *random.pick(&methods);
    let candidates = Candidates {
        encodings: &encodings,
        method,
        latin1_within_gsm7: false,
    };
    let cheapest = candidates.cheapest(text).expect("UCS-2 holds every text");
    for encoding in [cheapest, *random.pick(&encodings)] {
        if encoding.encodes(text) {
            divide_and_join(text, encoding, method);
        }
    }
}

fn divide_and_join(text: &str, encoding: Encoding, method: Method) {
    let layout = Layout::new(encoding, method);
    let count = layout.segment_count(text);
    let segments = layout.split(text).expect("the text is short");
    assert_eq!(segments.parts.len(), count, "{encoding:?} {method:?}");
    assert!(count <= PARTS_MAX);
    let packing = match encoding {
        Encoding::Gsm7(_, packing) => packing,
        Encoding::Ascii | Encoding::Latin1 | Encoding::Ucs2 => Packing::Unpacked,
    };
    let profile = TextProfile {
        packing,
        ..TextProfile::default()
    };
    let mut reassembler = Reassembler::new(ReassemblyLimits::default());
    let mut abandoned = Vec::new();
    let now = Instant::now();
    let mut joined = None;
    // The last part arrives first.
    for segment in segments.parts.iter().rev() {
        assert!(segment.octets.len() <= PAYLOAD_MAX);
        let mut submit = SubmitSm {
            short_message: Bytes::new(),
            ..SubmitSm::default()
        };
        segment.fill(&mut submit);
        assert!(submit.short_message.len() <= 160);
        match reassembler.offer(Fragment::from(&submit), now, &mut abandoned) {
            Offered::Complete(message) => joined = Some(message.text(&profile)),
            other => assert!(matches!(other, Offered::Held { .. }), "{other:?}"),
        }
    }
    let joined = joined.expect("all parts have been offered");
    if packing == Packing::Packed {
        // Those that `pack` doubles at the end of a part.
        assert_eq!(joined.replace('\r', ""), text.replace('\r', ""));
    } else {
        assert_eq!(joined, text, "{encoding:?} {method:?}");
    }
}
