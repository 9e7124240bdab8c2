//! Lives here: the cost of turning a text into segments.
//! Never here: PDUs.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mnara_smpp::text::{Candidates, Encoding, Layout, Method};

fn segmentation(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("segmentation");
    let texts = [
        ("160 GSM, 1 part", "Habari! ".repeat(20), Encoding::GSM7, 1),
        ("400 GSM, 3 parts", "Habari! ".repeat(50), Encoding::GSM7, 3),
        (
            "100 UCS-2, 2 parts",
            "Шикамоо, ё".repeat(10),
            Encoding::Ucs2,
            2,
        ),
    ];
    for (name, text, encoding, parts) in texts {
        let layout = Layout::new(encoding, Method::Udh8(7));
        let cut = layout.split(&text).expect("these texts are short");
        assert_eq!(Candidates::COMMON.cheapest(&text), Some(encoding), "{name}");
        assert_eq!(cut.parts.len(), parts, "{name}");
        group.throughput(Throughput::Elements(parts as u64));
        group.bench_function(format!("{name}: detect and split"), |bench| {
            bench.iter(|| {
                let encoding = Candidates::COMMON.cheapest(black_box(&text));
                encoding.map(|encoding| Layout::new(encoding, Method::Udh8(7)).split(&text))
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = segmentation
}
criterion_main!(benches);
