//! Lives here: decoding and encoding by four crates in one run, and the table of it.
//! Never here: what exactly is compared (`src/lib.rs`).
//!
//! Each measurement works through batches of 128 PDUs that lie in one buffer, as they come from a busy peer: the
//! buffer's own allocation is outside the clock, the drop of what was decoded is inside. The table at the end holds
//! medians of our own samples (a batch each), so that a busy neighbour disturbs little.

use std::cell::RefCell;
use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Bencher, Criterion};
use mnara_smpp_rivals::{
    Codec, Mnara, Rusmpp, Smpp34Deliver, Smpp34Submit, SmppCodecDeliver, SmppCodecSubmit,
    assert_same_octets, receipt_wire, submit_wire,
};

/// PDUs of one batch: 13 or 26 kB of octets, so that the first-level cache holds them.
const BATCH: usize = 128;

/// One line of the table.
struct Row {
    what: String,
    /// Nanoseconds, in the order of the columns.
    medians: Vec<(&'static str, f64)>,
}

/// What a measurement of one crate and one direction found, in nanoseconds per PDU.
#[derive(Default)]
struct Samples(RefCell<Vec<f64>>);

impl Samples {
    fn measure(&self, bench: &mut Bencher<'_>, mut batch: impl FnMut(usize) -> Duration) {
        bench.iter_custom(|iterations| {
            let mut total = Duration::ZERO;
            let mut left = usize::try_from(iterations).unwrap_or(usize::MAX);
            while left > 0 {
                let count = left.min(BATCH);
                let took = batch(count);
                if count == BATCH {
                    self.0
                        .borrow_mut()
                        .push(took.as_nanos() as f64 / BATCH as f64);
                }
                total += took;
                left -= count;
            }
            total
        });
    }

    fn median(self) -> f64 {
        let mut samples = self.0.into_inner();
        samples.sort_by(f64::total_cmp);
        samples.get(samples.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

fn decode<C: Codec>(count: usize, octets: &[u8]) -> Duration {
    let mut input = C::input(&octets.repeat(count));
    let started = Instant::now();
    for _ in 0..count {
        black_box(&C::decode(&mut input));
    }
    started.elapsed()
}

fn encode<C: Codec>(pdu: &C::Decoded, count: usize, out: &mut C::Output) -> Duration {
    let mut pdus: Vec<C::Outgoing> = (0..count).map(|_| C::outgoing(pdu)).collect();
    let started = Instant::now();
    for pdu in &mut pdus {
        C::encode(black_box(pdu), out);
        black_box(&out);
    }
    started.elapsed()
}

fn column<C: Codec>(criterion: &mut Criterion, what: &str, octets: &[u8], rows: &mut [Row; 2]) {
    assert_same_octets::<C>(octets);
    let [decoding, encoding] = rows;
    let samples = Samples::default();
    criterion.bench_function(&format!("{what}, decode/{}", C::NAME), |bench| {
        samples.measure(bench, |count| decode::<C>(count, octets));
    });
    decoding.medians.push((C::NAME, samples.median()));

    let pdu = C::decode(&mut C::input(octets));
    let mut out = C::Output::default();
    let samples = Samples::default();
    criterion.bench_function(&format!("{what}, encode/{}", C::NAME), |bench| {
        samples.measure(bench, |count| encode::<C>(&pdu, count, &mut out));
    });
    encoding.medians.push((C::NAME, samples.median()));
}

fn rows(what: &str) -> [Row; 2] {
    ["decode", "encode"].map(|direction| Row {
        what: format!("{what}, {direction}"),
        medians: Vec::new(),
    })
}

fn print<'a>(rows: impl IntoIterator<Item = &'a Row>) {
    println!("\nMedian nanoseconds per PDU, and how many times ours:");
    for row in rows {
        let ours = row.medians.first().map_or(f64::NAN, |(_, median)| *median);
        println!("  {}", row.what);
        for (name, median) in &row.medians {
            println!("    {name:<16}{median:>8.1} ns{:>8.2} x", median / ours);
        }
    }
}

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();

    let octets = submit_wire();
    let what = format!("submit_sm of {} octets", octets.len());
    let mut submit = rows(&what);
    column::<Mnara>(&mut criterion, &what, &octets, &mut submit);
    column::<Rusmpp>(&mut criterion, &what, &octets, &mut submit);
    column::<Smpp34Submit>(&mut criterion, &what, &octets, &mut submit);
    column::<SmppCodecSubmit>(&mut criterion, &what, &octets, &mut submit);

    let octets = receipt_wire();
    let what = format!("receipt deliver_sm of {} octets", octets.len());
    let mut receipt = rows(&what);
    column::<Mnara>(&mut criterion, &what, &octets, &mut receipt);
    column::<Rusmpp>(&mut criterion, &what, &octets, &mut receipt);
    column::<Smpp34Deliver>(&mut criterion, &what, &octets, &mut receipt);
    column::<SmppCodecDeliver>(&mut criterion, &what, &octets, &mut receipt);

    criterion.final_summary();
    print(submit.iter().chain(&receipt));
}
