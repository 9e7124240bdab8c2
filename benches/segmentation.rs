//! Lives here: the cost of turning a text into segments.
//! Never here: PDUs.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mnara_smpp::text::{self, Encoding};

fn segmentation(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("segmentation");
    let texts = [
        ("160 GSM, 1 part", "Habari! ".repeat(20), Encoding::Gsm7, 1),
        ("400 GSM, 3 parts", "Habari! ".repeat(50), Encoding::Gsm7, 3),
        (
            "100 UCS-2, 2 parts",
            "Шикамоо, ё".repeat(10),
            Encoding::Ucs2,
            2,
        ),
    ];
    for (name, text, encoding, parts) in texts {
        let cut = |text: &str| text::split(text, encoding, 7).expect("these texts are short");
        assert_eq!(text::detect(&text), encoding, "{name}");
        assert_eq!(cut(&text).parts.len(), parts, "{name}");
        group.throughput(Throughput::Elements(parts as u64));
        group.bench_function(format!("{name}: detect and split"), |bench| {
            bench.iter(|| {
                let encoding = text::detect(black_box(&text));
                text::split(&text, encoding, 7)
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
