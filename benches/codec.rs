//! Lives here: the cost of one PDU: decoding and encoding a submit_sm of 100 octets, reading a receipt.
//! Never here: sockets, sessions.

use std::hint::black_box;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use mnara_smpp::codec::{Frame, FrameDecoder};
use mnara_smpp::pdu::{Address, DeliverSm, Pdu, SubmitSm, esm_class};
use mnara_smpp::receipt;
use mnara_smpp::status::CommandStatus;

const RECEIPT: &str = "id:0123456789 sub:001 dlvrd:001 submit date:2601010000 done date:2601010001 \
                       stat:DELIVRD err:000 text:Hujambo, karibu sana";

fn submit() -> Pdu {
    Pdu::SubmitSm(SubmitSm {
        source: Address::new(5, 0, "MNARA"),
        dest: Address::new(1, 1, "255753276939"),
        validity_period: "000001000000000R".into(),
        registered_delivery: 1,
        short_message: Bytes::from(vec![b'x'; 100]),
        ..SubmitSm::default()
    })
}

fn deliver() -> Pdu {
    Pdu::DeliverSm(DeliverSm {
        source: Address::new(1, 1, "255753276939"),
        dest: Address::new(5, 0, "MNARA"),
        esm_class: esm_class::RECEIPT,
        short_message: Bytes::from_static(RECEIPT.as_bytes()),
        ..DeliverSm::default()
    })
}

fn wire(pdu: &Pdu) -> BytesMut {
    let mut out = BytesMut::new();
    pdu.encode(CommandStatus::ESME_ROK, 1, &mut out)
        .expect("the specification allows these PDUs");
    out
}

fn frame(octets: &mut BytesMut) -> Frame<'_> {
    let next = FrameDecoder::default().next(octets);
    next.expect("we wrote it").expect("it is whole")
}

fn codec(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("codec");
    group.throughput(Throughput::Elements(1));
    group.bench_function("submit_sm of 100 octets, encode", |bench| {
        let pdu = submit();
        let mut out = BytesMut::with_capacity(512);
        bench.iter(|| {
            out.clear();
            let encoded = black_box(&pdu).encode(CommandStatus::ESME_ROK, 1, &mut out);
            black_box(&out);
            encoded
        });
    });
    group.bench_function("submit_sm of 100 octets, frame and decode", |bench| {
        let octets = wire(&submit());
        bench.iter_batched_ref(
            || octets.clone(),
            |octets| Pdu::decode(frame(octets)),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("deliver_sm, frame, decode and read the receipt", |bench| {
        let octets = wire(&deliver());
        bench.iter_batched_ref(
            || octets.clone(),
            |octets| match Pdu::decode(frame(octets)) {
                Ok(decoded) => match decoded.pdu {
                    Pdu::DeliverSm(deliver) => {
                        receipt::parse(&deliver).map(|receipt| black_box(&receipt).state())
                    }
                    other => unreachable!("a deliver_sm was written, not {other:?}"),
                },
                Err(error) => unreachable!("it decodes: {error}"),
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = codec
}
criterion_main!(benches);
