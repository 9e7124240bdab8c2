//! Lives here: the cost of a message's way through its lane.
//! Never here: who fills and empties lanes.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mnara::domain::class::{Class, ClassSet};
use mnara::flow::Ready;
use mnara::flow::lane::Lanes;
use tokio::sync::Notify;

mod message;

fn lanes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("lanes");
    group.throughput(Throughput::Elements(1));
    for class in Class::ALL {
        let lanes = Lanes::new(2048, 64, 2, Arc::new(Notify::new()));
        let ready = Ready::first(Arc::new(message::message(class)));
        group.bench_function(format!("{} push and pop", class.name()), |bench| {
            bench.iter(|| {
                let offered = lanes.offer(black_box(&ready).clone());
                assert!(offered.is_ok(), "the lane has room");
                lanes.take(class, ClassSet::ALL)
            });
        });
    }
    let lanes = Lanes::new(2048, 64, 2, Arc::new(Notify::new()));
    let mixed: Vec<Ready> = (0..1000)
        .map(|index| Ready::first(Arc::new(message::message(Class::ALL[index % 3]))))
        .collect();
    group.throughput(Throughput::Elements(1000));
    group.bench_function("1000 of all classes in, then out by priority", |bench| {
        bench.iter(|| {
            for ready in &mixed {
                assert!(lanes.offer(ready.clone()).is_ok(), "the lane has room");
            }
            let mut out = 0;
            for class in Class::ALL {
                while lanes.take(class, ClassSet::ALL).is_some() {
                    out += 1;
                }
            }
            assert_eq!(out, mixed.len());
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = lanes
}
criterion_main!(benches);
