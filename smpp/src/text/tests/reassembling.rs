//! Lives here: tests of the reassembler.
//! Never here: how parts are made.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

use super::super::{
    AbandonReason, Abandoned, ConcatKind, Encoding, Fragment, Gsm7, Layout, Locking, Method,
    Offered, PART_OVERHEAD, Packing, Reassembler, ReassemblyLimits, Refusal, Single, TextProfile,
};
use super::{encoded_text, method};
use crate::codec::FrameDecoder;
use crate::pdu::{Address, DeliverSm, Pdu, SubmitSm, esm_class};
use crate::status::CommandStatus;

/// A part as a handset sends it: 8-bit reference, GSM 7 bit.
fn deliver(from: &'static str, reference: u8, total: u8, part: u8, text: &str) -> DeliverSm {
    let mut octets = vec![5, 0, 3, reference, total, part];
    octets.extend_from_slice(text.as_bytes());
    DeliverSm {
        source: Address::new(1, 1, from),
        dest: Address::new(3, 0, "15000"),
        esm_class: esm_class::UDHI,
        short_message: Bytes::from(octets),
        ..DeliverSm::default()
    }
}

/// A reassembler, its clock and what it gave up.
struct Bench {
    reassembler: Reassembler,
    now: Instant,
    abandoned: Vec<Abandoned>,
}

impl Bench {
    fn new(limits: ReassemblyLimits) -> Self {
        Self {
            reassembler: Reassembler::new(limits),
            now: Instant::now(),
            abandoned: Vec::new(),
        }
    }

    fn offer(&mut self, deliver: &DeliverSm) -> Offered {
        self.reassembler
            .offer(Fragment::from(deliver), self.now, &mut self.abandoned)
    }

    /// Reason and texts of what was given up since the last call.
    fn given_up(&mut self) -> Vec<(AbandonReason, String)> {
        let profile = TextProfile::default();
        self.abandoned
            .drain(..)
            .map(|abandoned| (abandoned.reason, abandoned.partial.text(&profile)))
            .collect()
    }
}

/// What the peer reads.
fn over_the_wire(submit: SubmitSm) -> SubmitSm {
    let mut wire = BytesMut::new();
    Pdu::SubmitSm(submit)
        .encode(CommandStatus::ESME_ROK, 1, &mut wire)
        .expect("a segment fits its submit_sm");
    let frame = FrameDecoder::default().next(&mut wire).expect("framed");
    let decoded = Pdu::decode(frame.expect("whole")).expect("it decodes");
    assert!(decoded.violations.is_empty(), "{:?}", decoded.violations);
    match decoded.pdu {
        Pdu::SubmitSm(submit) => submit,
        other => panic!("a submit_sm was written, not {other:?}"),
    }
}

fn text(offered: &Offered) -> Option<String> {
    match offered {
        Offered::Complete(assembled) => Some(assembled.text(&TextProfile::default())),
        Offered::Held { .. } | Offered::Duplicate | Offered::Refused(_) => None,
    }
}

#[test]
fn parts_in_any_order_become_the_text_and_duplicates_are_ignored() {
    let mut bench = Bench::new(ReassemblyLimits::default());
    assert_eq!(
        bench.offer(&deliver("1", 7, 3, 3, "c")),
        Offered::Held { missing: 2 }
    );
    assert_eq!(
        bench.offer(&deliver("1", 7, 3, 1, "a")),
        Offered::Held { missing: 1 }
    );
    assert_eq!(bench.offer(&deliver("1", 7, 3, 3, "c")), Offered::Duplicate);
    let whole = bench.offer(&deliver("1", 7, 3, 2, "b"));
    assert_eq!(text(&whole).as_deref(), Some("abc"));
    assert!(bench.reassembler.is_empty() && bench.reassembler.octets() == 0);
    assert_eq!(bench.reassembler.next_deadline(), None);
    assert!(bench.given_up().is_empty());
}

#[test]
fn a_message_of_its_own_is_complete_at_once() {
    let mut bench = Bench::new(ReassemblyLimits::default());
    let plain = DeliverSm {
        short_message: Bytes::from_static(b"STOP"),
        ..DeliverSm::default()
    };
    assert_eq!(text(&bench.offer(&plain)).as_deref(), Some("STOP"));
    assert_eq!(
        text(&bench.offer(&deliver("1", 1, 1, 1, "one of one"))).as_deref(),
        Some("one of one")
    );
    // Part 3 of 2 is no part.
    assert_eq!(
        text(&bench.offer(&deliver("1", 1, 2, 3, "odd"))).as_deref(),
        Some("odd")
    );
    assert!(bench.reassembler.is_empty());
}

#[test]
fn messages_are_kept_apart_by_address_reference_total_and_kind() {
    let mut bench = Bench::new(ReassemblyLimits::default());
    let held = Offered::Held { missing: 1 };
    let mut other_dest = deliver("1", 7, 2, 2, "x");
    other_dest.dest = Address::new(3, 0, "15001");
    let mut wide = deliver("1", 7, 2, 2, "x");
    wide.short_message = Bytes::from_static(b"\x06\x08\x04\x00\x07\x02\x02x");
    assert_eq!(bench.offer(&deliver("1", 7, 2, 1, "a")), held);
    assert_eq!(bench.offer(&deliver("2", 7, 2, 2, "x")), held);
    assert_eq!(bench.offer(&deliver("1", 8, 2, 2, "x")), held);
    assert_eq!(
        bench.offer(&deliver("1", 7, 3, 2, "x")),
        Offered::Held { missing: 2 }
    );
    assert_eq!(bench.offer(&other_dest), held);
    assert_eq!(bench.offer(&wide), held);
    assert_eq!(bench.reassembler.len(), 6);
    assert_eq!(
        text(&bench.offer(&deliver("1", 7, 2, 2, "b"))).as_deref(),
        Some("ab")
    );
}

#[test]
fn a_contradicting_part_gives_up_the_old_message_and_starts_a_new_one() {
    let mut bench = Bench::new(ReassemblyLimits::default());
    bench.offer(&deliver("1", 7, 2, 1, "old"));
    assert_eq!(
        bench.offer(&deliver("1", 7, 2, 1, "new")),
        Offered::Held { missing: 1 }
    );
    assert_eq!(
        bench.given_up(),
        [(AbandonReason::Contradicted, "old".to_owned())]
    );
    assert_eq!(
        text(&bench.offer(&deliver("1", 7, 2, 2, "er"))).as_deref(),
        Some("newer")
    );
}

#[test]
fn a_message_expires_with_the_parts_it_had() {
    let mut bench = Bench::new(ReassemblyLimits {
        expiry: Duration::from_secs(60),
        ..ReassemblyLimits::default()
    });
    bench.offer(&deliver("1", 7, 3, 3, "c"));
    let deadline = bench.now + Duration::from_secs(60);
    assert_eq!(bench.reassembler.next_deadline(), Some(deadline));
    bench.now += Duration::from_secs(59);
    bench.offer(&deliver("1", 7, 3, 1, "a"));
    assert_eq!(
        bench.reassembler.next_deadline(),
        Some(deadline),
        "a later part buys no time"
    );
    bench.now = deadline;
    bench.reassembler.expire(bench.now, &mut bench.abandoned);
    let abandoned = &bench.abandoned[0].partial;
    let numbers: Vec<u8> = abandoned.parts.iter().map(|part| part.number).collect();
    assert_eq!(numbers, [1, 3]);
    let concat = abandoned.concat.expect("it was a part");
    assert_eq!(
        (concat.kind, concat.reference, concat.total),
        (ConcatKind::Udh8, 7, 3)
    );
    assert_eq!(
        bench.given_up(),
        [(AbandonReason::Expired, "ac".to_owned())]
    );
    // An offer looks at the clock by itself.
    bench.offer(&deliver("1", 7, 2, 1, "x"));
    bench.now += Duration::from_secs(61);
    assert_eq!(
        bench.offer(&deliver("1", 7, 2, 2, "y")),
        Offered::Held { missing: 1 }
    );
    assert_eq!(bench.given_up(), [(AbandonReason::Expired, "x".to_owned())]);
}

#[test]
fn the_oldest_gives_way_when_messages_or_octets_are_full() {
    let mut bench = Bench::new(ReassemblyLimits {
        messages_max: 2,
        octets_max: 3 * (PART_OVERHEAD + 10),
        ..ReassemblyLimits::default()
    });
    for (from, text) in [("1", "a"), ("2", "b"), ("3", "c")] {
        assert_eq!(
            bench.offer(&deliver(from, 7, 9, 1, text)),
            Offered::Held { missing: 8 }
        );
    }
    assert_eq!(
        bench.given_up(),
        [(AbandonReason::MessagesFull, "a".to_owned())]
    );
    bench.offer(&deliver("2", 7, 9, 2, "bb"));
    bench.offer(&deliver("2", 7, 9, 3, "bbb"));
    // The newcomer's own message is the oldest, but it is the other that goes.
    assert_eq!(
        bench.given_up(),
        [(AbandonReason::OctetsFull, "c".to_owned())]
    );
    let refused = bench.offer(&deliver("2", 7, 9, 4, "bbbb"));
    assert_eq!(refused, Offered::Refused(Refusal::TooLarge));
    assert_eq!(
        bench.given_up(),
        [(AbandonReason::OctetsFull, "bbbbbbbbbb".to_owned())]
    );
    assert_eq!(
        (bench.reassembler.len(), bench.reassembler.octets()),
        (0, 0)
    );
    bench.offer(&deliver("4", 7, 9, 1, "d"));
    bench.reassembler.drain(&mut bench.abandoned);
    assert_eq!(bench.given_up(), [(AbandonReason::Drained, "d".to_owned())]);
}

#[test]
fn a_message_of_too_many_parts_is_refused() {
    let mut bench = Bench::new(ReassemblyLimits {
        parts_max: 10,
        ..ReassemblyLimits::default()
    });
    let offered = bench.offer(&deliver("1", 7, 11, 1, "a"));
    assert_eq!(offered, Offered::Refused(Refusal::TooManyParts(11)));
    assert!(bench.reassembler.is_empty());
}

#[test]
fn characters_divided_between_parts_are_whole_and_encodings_may_change() {
    let mut bench = Bench::new(ReassemblyLimits::default());
    let ucs2 = |part, octets: &'static [u8]| {
        let mut deliver = deliver("1", 7, 3, part, "");
        deliver.data_coding = 8;
        deliver.short_message = [&deliver.short_message[..], octets].concat().into();
        deliver
    };
    bench.offer(&ucs2(1, b"\0a\xd8\x3d"));
    bench.offer(&ucs2(2, b"\xde\x00\0b"));
    assert_eq!(
        text(&bench.offer(&deliver("1", 7, 3, 3, "c"))).as_deref(),
        Some("a😀bc")
    );
    bench.offer(&deliver("1", 7, 2, 1, "5 \x1b"));
    assert_eq!(
        text(&bench.offer(&deliver("1", 7, 2, 2, "e"))).as_deref(),
        Some("5 €")
    );
}

#[test]
fn no_carriage_return_between_two_packed_parts_is_taken_for_filler_or_doubled() {
    let national = Gsm7 {
        locking: Locking::Portuguese,
        single: Single::Turkish,
    };
    let profile = TextProfile {
        packing: Packing::Packed,
        ..TextProfile::default()
    };
    for tables in [Gsm7::DEFAULT, national] {
        let encoding = Encoding::Gsm7(tables, Packing::Packed);
        for method in [Method::Udh8(1), Method::Udh16(1), Method::Sar(1)] {
            for (before, behind) in (130..160).flat_map(|n| [(n, "\r["), (n, "\r\r["), (n, "\ra")])
            {
                let sent = format!("{}{behind}{}", "a".repeat(before), "b".repeat(40));
                let layout = Layout::new(encoding, method);
                let parts = layout.split(&sent).expect("encodable and short").parts;
                assert_eq!(parts.len(), layout.segment_count(&sent));
                let octets = parts.iter().map(|part| (part.udhi, &part.octets[..]));
                assert_eq!(profile.decode_parts(0, octets), sent, "{method:?}");
            }
        }
    }
}

proptest! {
    #[test]
    fn split_parts_in_any_order_are_the_text(
        (encoding, sent) in encoded_text(900),
        method in method(),
        seeds in proptest::collection::vec(any::<u64>(), 0..20),
    ) {
        let segments = Layout::new(encoding, method).split(&sent).expect("encodable and short");
        let mut pdus: Vec<SubmitSm> = segments.parts.iter().map(|part| {
            let mut submit = SubmitSm::default();
            part.fill(&mut submit);
            over_the_wire(submit)
        }).collect();
        for (at, seed) in seeds.iter().enumerate() {
            let len = pdus.len();
            pdus.swap(at % len, (*seed % len as u64) as usize);
        }
        let mut reassembler = Reassembler::new(ReassemblyLimits::default());
        let mut abandoned = Vec::new();
        let now = Instant::now();
        let mut whole = None;
        for (offered, pdu) in (1..).zip(&pdus) {
            match reassembler.offer(Fragment::from(pdu), now, &mut abandoned) {
                Offered::Complete(assembled) => {
                    prop_assert_eq!(offered, pdus.len());
                    whole = Some(assembled);
                }
                other => prop_assert_eq!(other, Offered::Held { missing: (pdus.len() - offered) as u8 }),
            }
        }
        let packing = match encoding {
            Encoding::Gsm7(_, packing) => packing,
            Encoding::Ascii | Encoding::Latin1 | Encoding::Ucs2 => Packing::Unpacked,
        };
        let profile = TextProfile { packing, ..TextProfile::default() };
        let read = whole.expect("all parts were offered").text(&profile);
        // Packing may double a carriage return at the very end.
        let doubled = packing == Packing::Packed && sent.ends_with('\r') && read.strip_suffix('\r') == Some(&sent);
        prop_assert!(read == sent || doubled, "{:?} is not {:?}", read, sent);
        prop_assert!(abandoned.is_empty() && reassembler.is_empty());
    }

    #[test]
    fn hostile_fragments_never_break_the_limits_and_are_all_accounted_for(
        fragments in proptest::collection::vec((0u8..4, 0u8..4, 0u8..5, 0u8..6, 0usize..40, 0u64..20), 0..200),
    ) {
        let limits = ReassemblyLimits {
            messages_max: 5,
            octets_max: 5 * PART_OVERHEAD,
            parts_max: 3,
            expiry: Duration::from_secs(30),
        };
        let mut reassembler = Reassembler::new(limits);
        let mut abandoned = Vec::new();
        let mut now = Instant::now();
        let (mut out, mut kept_in) = (0, 0);
        for (from, reference, total, part, len, later) in fragments {
            now += Duration::from_secs(later);
            let from = ["1", "2", "3", "4"][usize::from(from)];
            let pdu = deliver(from, reference, total, part, &"x".repeat(len));
            kept_in += 1;
            match reassembler.offer(Fragment::from(&pdu), now, &mut abandoned) {
                Offered::Complete(assembled) => out += assembled.parts.len(),
                // Refused as too large: it is among the abandoned.
                Offered::Held { .. } | Offered::Refused(Refusal::TooLarge) => {}
                Offered::Duplicate | Offered::Refused(Refusal::TooManyParts(_)) => kept_in -= 1,
            }
            prop_assert!(reassembler.len() <= limits.messages_max);
            prop_assert!(reassembler.octets() <= limits.octets_max);
        }
        reassembler.drain(&mut abandoned);
        out += abandoned.iter().map(|abandoned| abandoned.partial.parts.len()).sum::<usize>();
        prop_assert_eq!(out, kept_in);
    }
}
