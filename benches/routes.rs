//! Lives here: the cost of choosing an account, and of reading the ported numbers.
//! Never here: what is chosen.

use std::hint::black_box;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mnara::domain::capability::{Capability, Pattern};
use mnara::domain::class::{Class, ClassSet};
use mnara::domain::ids::{CarrierId, CarrierIndex, NetworkId, OrgId};
use mnara::domain::phone::{Msisdn, Sender};
use mnara::domain::route::{Account, Ask, Match, Rule, Strategy, Table, Target};
use mnara::domain::time::Timestamp;
use mnara::flow::health::Health;
use mnara::flow::routes::Routes;
use mnara::ingest::{plan, ported};
use uuid::Uuid;

const ACCOUNTS: u16 = 8;
const PORTED: u64 = 5_000_000;
const FIRST: u64 = 255_740_000_000;

fn table(strategy: Strategy) -> Table {
    let plan = plan::parse(plan::BUILT_IN).expect("the built-in plan is a good one");
    let account = |n: u16| {
        let (id, network) = (
            CarrierId(format!("a{n}").into()),
            NetworkId("mtn_ng".into()),
        );
        Account::new(id, network, ClassSet::ALL, Capability::default())
    };
    let target = |n: u16| Target {
        carrier: CarrierIndex(n),
        weight: 1,
        cost: Some(1_000 + u64::from(n)),
    };
    // 49 rules for senders that are not asked about, then the one that decides.
    let rule = |n: usize| Rule {
        name: format!("rule{n}").into(),
        matches: Match {
            country: None,
            network: None,
            classes: ClassSet::ALL,
            sender: (n < 49).then(|| Pattern(format!("SENDER{n}*").into())),
            org: None,
        },
        strategy,
        targets: (0..4).map(target).collect(),
    };
    let unknown = vec![None; plan.countries().len()];
    Table::new(plan, (0..ACCOUNTS).map(account).collect(), unknown)
        .with_rules((0..50).map(rule).collect())
}

/// Writes five million rows, reads them, and says how long that took.
fn overlay() -> ported::Ported {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("ported.csv");
    let file = std::fs::File::create(&path).expect("a file can be made in it");
    let mut file = std::io::BufWriter::new(file);
    let mut line = |text: &str| file.write_all(text.as_bytes()).expect("the disk has room");
    line("msisdn,network\n");
    for n in 0..PORTED {
        // Spread over ten million numbers in no order.
        let number = FIRST + n * 7_368_787 % 10_000_000;
        line(&format!("{number},tigo_tz\n"));
    }
    file.flush().expect("the disk has room");
    let plan = plan::parse(plan::BUILT_IN).expect("the built-in plan is a good one");
    let begun = Instant::now();
    let read = ported::read(&path, &plan).expect("the rows above are good");
    println!(
        "{} ported numbers read in {:?}",
        read.overlay.len(),
        begun.elapsed()
    );
    read
}

fn routes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("routes");
    group.throughput(Throughput::Elements(1));
    let overlay = overlay().overlay;
    let sender = Sender::parse("BANK").expect("a well-formed sender");
    let asks: Vec<Ask<'_>> = (0..65_536_u64)
        .map(|n| {
            let number = FIRST + n * 2_654_435_761 % 10_000_000;
            Ask {
                to: Msisdn::from_digits(&number.to_string()).expect("a well-formed number"),
                from: &sender,
                class: Class::Transactional,
                org: OrgId(Uuid::nil()),
                segments: 1,
                live: true,
            }
        })
        .collect();
    let mut overlay = Some(overlay);
    for strategy in Strategy::ALL {
        let table = table(strategy);
        let table = match overlay.take() {
            Some(overlay) => table.with_ported(overlay),
            None => table,
        };
        let ported = if table.ported().is_empty() {
            ""
        } else {
            ", 5M ported"
        };
        let routes = Routes::new(
            table,
            Arc::new(Health::new(usize::from(ACCOUNTS), [None; 3])),
        );
        let mut next = 0;
        group.bench_function(format!("choose by {}{ported}", strategy.name()), |bench| {
            bench.iter(|| {
                next = (next + 1) % asks.len();
                routes.choose(black_box(&asks[next]), &[], Timestamp(1_775_390_584_485))
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
    targets = routes
}
criterion_main!(benches);
