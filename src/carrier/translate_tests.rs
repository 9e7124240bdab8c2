//! Lives here: what of a message goes to the wire, and what comes of a receipt, under each profile.
//! Never here: anything but tests.

use mnara_smpp::pdu::{DeliverSm, esm_class};
use mnara_smpp::receipt::{IdDialect, IdRule};
use proptest::prelude::{prop_assert_eq, proptest};

use super::*;
use crate::carrier::bind::tests::message;
use crate::domain::class::Class;
use crate::domain::message::FailureCode;
use crate::domain::phone::Sender;

fn account() -> CarrierId {
    CarrierId("c".into())
}

fn with(change: impl FnOnce(&mut Profile)) -> Profile {
    let mut profile = Profile::default();
    change(&mut profile);
    profile
}

/// Everything of a message as it goes to the wire.
fn wire(profile: &Profile, message: &Message, wanted: Parts) -> Vec<SubmitSm> {
    pieces(profile, message, wanted)
        .iter()
        .map(|piece| submit_sm(profile, message, piece, Timestamp(0)))
        .collect()
}

fn deliver(esm_class: u8, text: &str) -> DeliverSm {
    DeliverSm {
        esm_class,
        short_message: Bytes::copy_from_slice(text.as_bytes()),
        ..DeliverSm::default()
    }
}

fn read(profile: &Profile, pdu: &DeliverSm) -> Receipt {
    match delivered(&account(), profile, pdu.into(), Timestamp(5)) {
        Delivered::Receipt(receipt) => receipt,
        Delivered::Useless | Delivered::Acknowledgement | Delivered::MobileOriginated => {
            panic!("a receipt")
        }
    }
}

#[test]
fn a_segment_carries_sender_kind_validity_and_the_wish_for_a_receipt() {
    let mut message = message("hujambo", 1);
    message.valid_until = Timestamp(3_723_000);
    let pdu = &wire(&Profile::default(), &message, Parts::all(1))[0];
    assert_eq!((pdu.source.ton, pdu.source.npi), (5, 0));
    assert_eq!(pdu.validity_period.as_bytes(), b"000000010203000R");
    assert_eq!(
        (pdu.esm_class, pdu.registered_delivery, pdu.data_coding),
        (0, 1, 0)
    );
    assert_eq!(&pdu.short_message[..], b"hujambo");
    assert!(pdu.tlvs.is_empty() && pdu.service_type.is_empty() && pdu.priority_flag == 0);
}

#[test]
fn the_profile_fills_the_fields_of_a_submit() {
    let profile = with(|profile| {
        profile.addresses.short_code = TonNpi { ton: 6, npi: 9 };
        profile.addresses.recipient = TonNpi { ton: 2, npi: 8 };
        profile.submit.validity_period = false;
        profile.submit.service_type = OctetStr::copy_from_slice(b"OTP");
        profile.submit.user_message_reference = true;
        profile.submit.priority = [3, 2, 1];
        profile.submit.registered_delivery = 0x11;
        profile.text.gsm7_data_coding = 0xF1;
    });
    let mut message = message("hujambo", 1);
    message.from = Sender::parse("15300").unwrap();
    message.class = Class::Otp;
    let pdu = &wire(&profile, &message, Parts::all(1))[0];
    assert_eq!((pdu.source.ton, pdu.source.npi), (6, 9));
    assert_eq!((pdu.dest.ton, pdu.dest.npi), (2, 8));
    assert_eq!((pdu.priority_flag, pdu.registered_delivery), (3, 0x11));
    assert_eq!(
        (pdu.data_coding, pdu.service_type.as_bytes()),
        (0xF1, &b"OTP"[..])
    );
    assert!(pdu.validity_period.is_empty());
    let reference = pdu.tlvs.get_u16(tag::USER_MESSAGE_REFERENCE);
    assert_eq!(reference, Some(message.id.reference(1)));
    let silent = with(|profile| profile.receipts.request = false);
    assert_eq!(
        wire(&silent, &message, Parts::all(1))[0].registered_delivery,
        0
    );
}

#[test]
fn several_segments_share_a_reference_at_every_attempt() {
    let message = message(&"a".repeat(200), 2);
    let profile = Profile::default();
    let parts = wire(&profile, &message, Parts::all(2));
    assert_eq!(
        parts[0].short_message[..6],
        [5, 0, 3, reference(&message).0, 2, 1]
    );
    assert_eq!(wire(&profile, &message, Parts::all(2)), parts);
    assert_eq!(wire(&profile, &message, Parts::one(2)), parts[1..]);
}

#[test]
fn each_method_of_segmentation_has_its_own_wire() {
    let message = message(&"a".repeat(300), 2);
    let (_, long) = reference(&message);
    let method = |method| with(|profile| profile.text.segmentation = method);

    let parts = wire(&method(Segmentation::Udh16), &message, Parts::all(2));
    let [high, low] = long.to_be_bytes();
    assert_eq!(parts[1].short_message[..7], [6, 8, 4, high, low, 2, 2]);
    assert_eq!(parts[1].esm_class, esm_class::UDHI);

    let parts = wire(&method(Segmentation::Sar), &message, Parts::all(2));
    assert_eq!((parts.len(), parts[1].esm_class), (2, 0));
    assert_eq!(parts[1].tlvs.get_u16(tag::SAR_MSG_REF_NUM), Some(long));
    assert_eq!(parts[1].tlvs.get_u8(tag::SAR_SEGMENT_SEQNUM), Some(2));

    let payload = method(Segmentation::Payload);
    let whole = pieces(&payload, &message, Parts::all(2));
    assert_eq!((whole.len(), whole[0].parts), (1, Parts::all(2)));
    let pdu = submit_sm(&payload, &message, &whole[0], Timestamp(0));
    assert!(pdu.short_message.is_empty());
    assert_eq!(pdu.tlvs.get(tag::MESSAGE_PAYLOAD).unwrap().len(), 300);
    // What another account has begun goes on in parts.
    let rest = wire(&payload, &message, Parts::one(2));
    assert_eq!(rest[0].short_message[..6], [5, 0, 3, low, 2, 2]);
}

#[test]
fn a_method_that_needs_more_parts_than_were_counted_gives_way_to_the_counting_one() {
    // 153 septets with an 8-bit reference, 152 with a 16-bit one: 306 is two parts, or three.
    let message = message(&"a".repeat(306), 2);
    for method in [Segmentation::Udh16, Segmentation::Sar] {
        let profile = with(|profile| profile.text.segmentation = method);
        let parts = wire(&profile, &message, Parts::all(2));
        assert_eq!(parts.len(), 2, "{method:?}");
        assert_eq!(parts[0].short_message[..3], [5, 0, 3], "{method:?}");
    }
}

#[test]
fn a_text_that_cannot_be_cut_as_it_was_counted_is_not_sent_at_all() {
    let profile = Profile::default();
    assert!(pieces(&profile, &message(&"a".repeat(400), 2), Parts::all(2)).is_empty());
    assert!(pieces(&profile, &message("short", 2), Parts::all(2)).is_empty());
}

#[test]
fn another_alphabet_changes_the_octets_and_never_the_parts() {
    let alphabet = |alphabet| with(|profile| profile.text.alphabet = alphabet);
    let latin = alphabet(Alphabet::Latin1);
    let one = &wire(&latin, &message("£5 [là] ñ_@", 1), Parts::all(1))[0];
    assert_eq!(&one.short_message[..], b"\xA35 [l\xE0] \xF1_@");
    // Brackets take two septets on the air, one octet here.
    let long = message(&"[a]".repeat(60), 2);
    let parts = wire(&latin, &long, Parts::all(2));
    assert!(
        parts
            .iter()
            .all(|part| part.short_message[..3] == [5, 0, 3])
    );
    let text: Vec<u8> = parts
        .iter()
        .flat_map(|part| part.short_message[6..].to_vec())
        .collect();
    assert_eq!(text, "[a]".repeat(60).as_bytes());

    // The euro sign is in GSM 03.38 only.
    let euro = message("5 €", 1);
    let pdu = &wire(&latin, &euro, Parts::all(1))[0];
    assert_eq!(
        (pdu.data_coding, &pdu.short_message[4..]),
        (8, &b"\x20\xAC"[..])
    );
    assert_eq!(
        wire(&alphabet(Alphabet::Ascii), &message("é", 1), Parts::all(1))[0].data_coding,
        8
    );
    let too_long = message(&format!("€{}", "a".repeat(100)), 1);
    assert!(pieces(&latin, &too_long, Parts::all(1)).is_empty());

    let packed = alphabet(Alphabet::Gsm7Packed);
    let pdu = &wire(&packed, &message("hellohello", 1), Parts::all(1))[0];
    assert_eq!(
        pdu.short_message[..],
        *b"\xE8\x32\x9B\xFD\x46\x97\xD9\xEC\x37"
    );
}

proptest! {
    #[test]
    fn every_profile_sends_every_wanted_part_once_or_nothing(
        text in "[ -_a-~€éñ\n]{1,700}",
        alphabet in 0usize..4,
        method in 0usize..4,
        wanted: u16,
    ) {
        let profile = with(|profile| {
            profile.text.alphabet =
                [Alphabet::Gsm7, Alphabet::Gsm7Packed, Alphabet::Latin1, Alphabet::Ascii][alphabet];
            profile.text.segmentation = [
                Segmentation::Udh8,
                Segmentation::Udh16,
                Segmentation::Sar,
                Segmentation::Payload,
            ][method];
        });
        let counted = Layout::new(text::Encoding::GSM7, Method::Udh8(0)).segment_count(&text);
        let message = message(&text, counted as u8);
        let wanted = Parts(wanted & Parts::all(message.segments).0);
        let pieces = pieces(&profile, &message, wanted);
        let sent: u32 = pieces.iter().map(|piece| piece.parts.count()).sum();
        let union = pieces.iter().fold(0, |all, piece| all | piece.parts.0);
        if !pieces.is_empty() {
            prop_assert_eq!((sent, union), (wanted.count(), wanted.0));
        }
        if matches!(profile.text.alphabet, Alphabet::Gsm7 | Alphabet::Gsm7Packed) {
            prop_assert_eq!(sent, wanted.count());
        }
    }
}

#[test]
fn deliver_sm_is_told_apart() {
    let profile = Profile::default();
    let kind = |profile: &Profile, esm_class, text| match delivered(
        &account(),
        profile,
        (&deliver(esm_class, text)).into(),
        Timestamp(5),
    ) {
        Delivered::Receipt(receipt) => format!("{:?}", receipt.state),
        Delivered::Useless => "useless".into(),
        Delivered::Acknowledgement => "acknowledgement".into(),
        Delivered::MobileOriginated => "message".into(),
    };
    let plain = with(|profile| profile.receipts.esm_class_0 = true);
    let undelivered = "id:77 stat:UNDELIV err:21b text:";
    for (esm_class, text, by_default, by_content) in [
        (0x04, undelivered, "Some(Undelivered)", "Some(Undelivered)"),
        (0x44, undelivered, "Some(Undelivered)", "Some(Undelivered)"),
        (0x04, "id:77 stat:ENROUTE err:000", "None", "None"),
        (0x04, "stat:DELIVRD", "useless", "useless"),
        (0x08, undelivered, "acknowledgement", "acknowledgement"),
        (0x10, "yes", "acknowledgement", "acknowledgement"),
        (0x18, "", "acknowledgement", "acknowledgement"),
        (0x00, undelivered, "message", "Some(Undelivered)"),
        (0x00, "STOP", "message", "message"),
    ] {
        assert_eq!(
            kind(&profile, esm_class, text),
            by_default,
            "{esm_class:#x} {text}"
        );
        assert_eq!(
            kind(&plain, esm_class, text),
            by_content,
            "{esm_class:#x} {text}"
        );
    }
}

#[test]
fn a_receipt_is_kept_as_written_and_read_by_the_profile() {
    let profile = with(|profile| {
        profile.ids = IdDialect {
            response: IdRule::HexToDecimal,
            receipt: IdRule::Decimal,
        };
        profile.submit.user_message_reference = true;
        profile.errors.texts = vec![("21b".into(), FailureCode::BlockedDnd)];
        profile.receipts.timezone = jiff::tz::TimeZone::fixed(jiff::tz::offset(3));
    });
    let text = "id:0077 submit date:2611211020 done date:2611211024 stat:UNDELIV err:21b \
                text:Habari ya asubuhi, mpendwa";
    let mut pdu = deliver(0x04, text);
    pdu.source.addr = OctetStr::copy_from_slice(b"+255753276939");
    pdu.dest.addr = OctetStr::copy_from_slice(b"MojaWave");
    pdu.tlvs.push(Tlv::u16(tag::USER_MESSAGE_REFERENCE, 0xABCD));
    let receipt = read(&profile, &pdu);
    assert_eq!((&*receipt.raw_id, &*receipt.normalised), ("0077", "77"));
    assert_eq!((&*receipt.stat, &*receipt.err), ("UNDELIV", "21b"));
    assert_eq!(receipt.failure, Some(FailureCode::BlockedDnd));
    assert_eq!(&*receipt.done_date, "2611211024");
    let minute = 60_000;
    let done = Timestamp((1_795_256_647 - 7 - 3 * 3_600) * 1_000);
    assert_eq!(receipt.done_at, Some(done));
    let evidence = receipt.evidence;
    assert_eq!(evidence.recipient.unwrap().digits(), "255753276939");
    assert_eq!(&*evidence.sender, "MojaWave");
    assert_eq!(&*evidence.words.0, "Habari ya asubuhi, m");
    assert_eq!(evidence.submitted_at, Some(Timestamp(done.0 - 4 * minute)));
    assert_eq!(evidence.reference, Some(0xABCD));
}

#[test]
fn only_a_number_in_full_says_whom_a_message_was_for() {
    for (address, expected) in [
        ("255753276939", Some("255753276939")),
        ("+255753276939", Some("255753276939")),
        ("00255753276939", Some("255753276939")),
        ("0753276939", None),
        ("MojaWave", None),
        ("", None),
    ] {
        let found = international(address);
        assert_eq!(found.as_ref().map(Msisdn::digits), expected, "{address}");
    }
}

#[test]
fn an_error_is_a_failure_only_where_something_failed() {
    let profile = with(|profile| {
        profile.errors.texts = vec![("5".into(), FailureCode::SpamFiltered)];
    });
    for (stat, failure) in [
        ("DELIVRD", None),
        ("ENROUTE", None),
        ("REJECTD", Some(FailureCode::SpamFiltered)),
    ] {
        let pdu = deliver(0x04, &format!("id:1 stat:{stat} err:005"));
        assert_eq!(read(&profile, &pdu).failure, failure, "{stat}");
    }
}

proptest! {
    #[test]
    fn no_receipt_panics_and_what_is_kept_is_bounded(esm_class: u8, text in "\\PC{0,80}|id:[0-9]{0,200} stat:[A-Z]{0,50} err:\\PC{0,60} done date:[0-9]{0,40} text:\\PC{0,40}") {
        let pdu = deliver(esm_class, &text);
        let profile = with(|profile| profile.receipts.esm_class_0 = true);
        if let Delivered::Receipt(receipt) =
            delivered(&account(), &profile, (&pdu).into(), Timestamp(5))
        {
            let kept = [
                (&receipt.raw_id, 128),
                (&receipt.stat, 32),
                (&receipt.err, 32),
                (&receipt.done_date, 32),
                (&receipt.evidence.sender, 21),
                (&receipt.evidence.words.0, 20),
            ];
            for (text, most) in kept {
                prop_assert_eq!(text.chars().count().min(most), text.chars().count());
            }
        }
    }
}
