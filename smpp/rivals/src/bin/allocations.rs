//! Lives here: how often each crate asks the allocator per PDU, and for how many octets.
//! Never here: times; counting would spoil them.

use std::hint::black_box;

use allocation_counter::measure;
use mnara_smpp_rivals::{
    Codec, Mnara, Rusmpp, Smpp34Deliver, Smpp34Submit, SmppCodecDeliver, SmppCodecSubmit,
    assert_same_octets, receipt_wire, submit_wire,
};

/// PDUs that are counted; one more is read before, because `BytesMut` makes its reference count at the first split.
const COUNT: u64 = 100;

fn line<C: Codec>(octets: &[u8]) {
    assert_same_octets::<C>(octets);
    let mut input = C::input(&octets.repeat(COUNT as usize + 1));
    let pdu = C::decode(&mut input);
    let decoding = measure(|| {
        for _ in 0..COUNT {
            black_box(&C::decode(&mut input));
        }
    });

    let mut pdus: Vec<C::Outgoing> = (0..=COUNT).map(|_| C::outgoing(&pdu)).collect();
    let (first, rest) = pdus.split_first_mut().expect("one more than counted");
    let mut out = C::Output::default();
    C::encode(first, &mut out);
    let encoding = measure(|| {
        for pdu in rest {
            C::encode(pdu, &mut out);
            black_box(&out);
        }
    });

    let per_pdu = |total: u64| total as f64 / COUNT as f64;
    println!(
        "    {:<16}{:>8.2} ({:>4} octets){:>8.2} ({:>4} octets)",
        C::NAME,
        per_pdu(decoding.count_total),
        per_pdu(decoding.bytes_total),
        per_pdu(encoding.count_total),
        per_pdu(encoding.bytes_total),
    );
}

fn main() {
    println!("Allocations per PDU:              decode                  encode");
    println!("  submit_sm");
    let octets = submit_wire();
    line::<Mnara>(&octets);
    line::<Rusmpp>(&octets);
    line::<Smpp34Submit>(&octets);
    line::<SmppCodecSubmit>(&octets);
    println!("  receipt deliver_sm");
    let octets = receipt_wire();
    line::<Mnara>(&octets);
    line::<Rusmpp>(&octets);
    line::<Smpp34Deliver>(&octets);
    line::<SmppCodecDeliver>(&octets);
}
