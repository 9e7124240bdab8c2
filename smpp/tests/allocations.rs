//! Lives here: the proof that decoding asks the allocator for nothing.
//! Never here: times (`smpp/rivals`).

use std::hint::black_box;

use allocation_counter::measure;
use bytes::BytesMut;
use mnara_smpp::codec::FrameDecoder;
use mnara_smpp::pdu::{Address, DeliverSm, Pdu, SubmitSm, SubmitSmResp, esm_class};
use mnara_smpp::status::CommandStatus;
use mnara_smpp::tlv::{Tlv, tag};

/// PDUs of each kind in one read buffer.
const COUNT: usize = 50;

fn samples() -> [Pdu; 4] {
    let source = Address::new(1, 1, "255753276939");
    let dest = Address::new(5, 0, "MNARA");
    [
        Pdu::SubmitSm(SubmitSm {
            source: dest.clone(),
            dest: source.clone(),
            validity_period: "000001000000000R".into(),
            short_message: vec![b'x'; 160].into(),
            ..SubmitSm::default()
        }),
        Pdu::DeliverSm(DeliverSm {
            source,
            dest,
            esm_class: esm_class::RECEIPT,
            short_message: b"id:0123456789 stat:DELIVRD err:000"[..].into(),
            tlvs: [
                Tlv::cstr(tag::RECEIPTED_MESSAGE_ID, "0123456789"),
                Tlv::u8(tag::MESSAGE_STATE, 2),
            ]
            .into_iter()
            .collect(),
            ..DeliverSm::default()
        }),
        Pdu::SubmitSmResp(SubmitSmResp {
            // Longer than what a string keeps in itself.
            message_id: "0b9d3f5e-6a0f-4c0e-9f0e-3f5e6a0f4c0e".into(),
            ..SubmitSmResp::default()
        }),
        Pdu::EnquireLink,
    ]
}

/// A buffer as the reader of a socket leaves it, with `count` of each sample.
fn read_buffer(count: usize) -> BytesMut {
    let mut buf = BytesMut::new();
    for sequence in 1..=count {
        for pdu in samples() {
            pdu.encode(CommandStatus::ESME_ROK, sequence as u32, &mut buf)
                .expect("the specification allows the samples");
        }
    }
    buf
}

fn decode_next(decoder: &mut FrameDecoder, buf: &mut BytesMut) {
    let frame = decoder.next(buf).expect("sound").expect("whole");
    let decoded = Pdu::decode(frame).expect("readable");
    assert!(decoded.violations.is_empty());
    black_box(&decoded);
}

#[test]
fn framing_and_decoding_a_full_read_buffer_allocates_nothing() {
    let mut decoder = FrameDecoder::default();
    let mut buf = read_buffer(COUNT);
    // The first split gives the buffer its reference count, once in the buffer's life.
    let first = measure(|| decode_next(&mut decoder, &mut buf));
    assert_eq!(first.count_total, 1, "{first:?}");

    let rest = measure(|| {
        while !buf.is_empty() {
            decode_next(&mut decoder, &mut buf);
        }
    });
    assert_eq!(rest.count_total, 0, "{rest:?}");
}

#[test]
fn encoding_into_a_buffer_with_room_allocates_nothing() {
    let samples = samples();
    let mut out = BytesMut::with_capacity(1024);
    let encoding = measure(|| {
        for pdu in &samples {
            out.clear();
            pdu.encode(CommandStatus::ESME_ROK, 1, &mut out)
                .expect("writable");
            black_box(&out);
        }
    });
    assert_eq!(encoding.count_total, 0, "{encoding:?}");
}
