//! Lives here: what a commit of 1, 10 and 100 accepted messages costs on a real file.
//! Never here: HTTP, settlements.

use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mnara::domain::class::Class;
use mnara::domain::ids::CarrierId;
use mnara::store::{self, Config, Store};
use tokio::runtime::Runtime;
use tokio::sync::{Barrier, mpsc};
use tokio_util::sync::CancellationToken;

mod message;

fn accepts(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = Config {
        url: format!("sqlite:{}", folder.path().join("bench.db").display()),
        ..Config::default()
    };
    let (committed_to, mut committed) = mpsc::channel(64);
    let (events_to, _events) = mpsc::channel(64);
    let carriers = vec![CarrierId("vodacom_tz".into())];
    let opened = runtime
        .block_on(store::open(&config, carriers, committed_to, events_to))
        .expect("a fresh database opens");
    let stop = CancellationToken::new();
    let (writer, stopped) = (opened.writer, stop.clone());
    let writer = runtime.spawn(async move { writer.run(stopped).await });
    runtime.spawn(async move { while committed.recv().await.is_some() {} });

    let mut group = criterion.benchmark_group("store");
    for batch in [1_usize, 10, 100] {
        group.throughput(Throughput::Elements(batch as u64));
        let store = opened.store.clone();
        group.bench_function(BenchmarkId::new("accepts at a time", batch), |bench| {
            bench.iter_custom(|rounds| runtime.block_on(clients(&store, batch, rounds)));
        });
    }
    group.finish();
    stop.cancel();
    let closed = runtime.block_on(writer).expect("the writer does not panic");
    closed.expect("the database closes");
}

/// `batch` clients that send one message each, all at a time, `rounds` times.
async fn clients(store: &Store, batch: usize, rounds: u64) -> Duration {
    let barrier = Arc::new(Barrier::new(batch));
    let began = Instant::now();
    let client = |_| {
        let (store, barrier) = (store.clone(), Arc::clone(&barrier));
        tokio::spawn(async move {
            for _ in 0..rounds {
                barrier.wait().await;
                let accepted = store.accept(message::message(Class::Transactional)).await;
                accepted.expect("a healthy store accepts");
            }
        })
    };
    let clients: Vec<_> = (0..batch).map(client).collect();
    for client in clients {
        client.await.expect("clients do not panic");
    }
    began.elapsed()
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2));
    targets = accepts
}
criterion_main!(benches);
