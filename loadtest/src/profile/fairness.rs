//! Lives here: the profile `fairness`: nine organisations with little, beside one that has filled the queue before
//! them. Never here: what other profiles share.
//!
//! The nine come twice: alone, and behind the flood. Each time first in a burst, where all want more than there is,
//! then at four fifths of their fair share. In the burst a fair carrier's time has ten takers instead of nine, so that
//! each finishes ten ninths later; at less than their share they must not feel the flood at all.

use std::{ops::Range, time::Duration};

use super::{
    Options, ProfileError,
    files::Account,
    measure::{jain, submitted_between},
    sheet::Sheet,
    stage::{Setup, Site, Stage, Tenant},
    traffic::{Running, Traffic},
};
use crate::{
    http::HttpReport,
    ledger::Notified,
    networks::{NETWORKS, Network},
    smsc::Script,
};

/// The only network.
const NETWORK: Network = NETWORKS[0];

/// The small organisations.
const SMALL: u64 = 9;

/// What each of them has, in the burst and again at its pace.
const EACH: u64 = 100;

/// Part of the fair share that the small ones use at their pace.
const PACE: f64 = 0.8;

/// How much later than they should the small ones may finish.
const LATER_MAX: f64 = 1.1;

struct Plan {
    flood: u64,
    tps: u32,
}

impl Plan {
    fn new(options: &Options) -> Self {
        Self {
            flood: options.messages.unwrap_or(100_000),
            tps: options.tps.unwrap_or(200),
        }
    }

    /// Messages a second of one small organisation at its pace.
    fn pace(&self) -> f64 {
        PACE * f64::from(self.tps) / (SMALL + 1) as f64
    }

    /// No part may take longer than three times what it should, and a little.
    fn part_max(&self) -> Duration {
        let burst = (SMALL + 1) as f64 * EACH as f64 / f64::from(self.tps);
        Duration::from_secs_f64(10.0 + 3.0 * burst.max(EACH as f64 / self.pace()))
    }
}

pub(super) fn setup(options: &Options) -> Setup {
    let plan = Plan::new(options);
    let account = Account {
        max_tps: plan.tps,
        ..Account::of(NETWORK, options.window.unwrap_or(20))
    };
    Setup {
        sites: vec![Site::new(account, Script::without_receipts())],
        markers: EACH * (1 + 4 * SMALL) + plan.flood,
        limit: Duration::from_secs(180) + 4 * plan.part_max(),
    }
}

pub(super) async fn drive(stage: &mut Stage<'_>, options: &Options) -> Result<Sheet, ProfileError> {
    let plan = Plan::new(options);
    let big = stage.tenant("big").await?;
    let mut small = Vec::new();
    for number in 0..SMALL {
        // With one key for all there is one organisation, and its first come first.
        small.push(if options.sabotage {
            big.clone()
        } else {
            stage.tenant(&format!("small-{number}")).await?
        });
    }
    let warm = Traffic::closed(&small[0].key, "promotional", &[NETWORK], 0..EACH, 4);
    stage.warm_up(warm).await?;
    let parts: Vec<Range<u64>> = (0..4)
        .map(|part| EACH * (1 + part * SMALL)..EACH * (1 + (part + 1) * SMALL))
        .collect();
    let flood = parts[3].end..parts[3].end + plan.flood;

    let burst_alone = part(stage, &plan, &small, parts[0].clone(), None).await?;
    let paced_alone = part(stage, &plan, &small, parts[1].clone(), Some(plan.pace())).await?;
    (stage.progress)(&format!(
        "queueing {} messages of one organisation",
        plan.flood
    ));
    let connections = options.connections.unwrap_or(64);
    let queued = stage
        .sent(Traffic {
            time_limit: Some(Duration::from_secs(120)),
            ..Traffic::closed(
                &big.key,
                "promotional",
                &[NETWORK],
                flood.clone(),
                connections,
            )
        })
        .await?;
    let burst = part(stage, &plan, &small, parts[2].clone(), None).await?;
    let shares = shares(stage, parts[2].clone(), flood.clone());
    let paced = part(stage, &plan, &small, parts[3].clone(), Some(plan.pace())).await?;
    let left = submitted_between(stage.ledger.entries(flood.clone()), 0, u64::MAX);

    let mut sheet = Sheet::new("fairness");
    let all = [&burst_alone, &paced_alone, &burst, &paced];
    let mut sent: Vec<&HttpReport> = all.iter().flat_map(|part| &part.sent).collect();
    sent.push(&queued);
    let nine = stage
        .ledger
        .compare(0..flood.start, false, |_| Notified::NOT_EXPECTED);
    sheet.nothing_lost(&nine, &sent);
    let fair = (SMALL + 1) as f64 / SMALL as f64;
    sheet.at_most(
        "burst_later_than_fair",
        burst.latest() / (burst_alone.latest() * fair),
        LATER_MAX,
    );
    sheet.at_most(
        "paced_later_than_alone",
        paced.worst_against(&paced_alone),
        LATER_MAX,
    );
    sheet.at_least("jain_index", jain(&shares), 0.95);
    // The flood must still stand at the end.
    sheet.at_least("flood_left", (queued.accepted - left) as f64, 1.0);
    sheet.figure("carrier_limit_per_s", plan.tps.into());
    sheet.figure("flood", queued.accepted as f64);
    sheet.figure("burst_alone_s", burst_alone.latest());
    sheet.figure("burst_s", burst.latest());
    sheet.figure(
        "burst_later_than_alone",
        burst.latest() / burst_alone.latest(),
    );
    sheet.figure("paced_alone_s", paced_alone.latest());
    sheet.figure("paced_s", paced.latest());
    sheet.note("burst_shares", shares.into());
    Ok(sheet)
}

/// One part: the nine send, and are waited for.
struct Part {
    sent: Vec<HttpReport>,
    /// When each had its last message at the carrier, in seconds from the first request.
    finished_s: Vec<f64>,
}

impl Part {
    fn latest(&self) -> f64 {
        self.finished_s.iter().copied().fold(f64::NAN, f64::max)
    }

    /// The largest ratio of one organisation's time to its time then.
    fn worst_against(&self, then: &Self) -> f64 {
        let ratios = self.finished_s.iter().zip(&then.finished_s);
        ratios
            .map(|(now, then)| now / then)
            .fold(f64::NAN, f64::max)
    }
}

/// The markers of one organisation among those of a part.
fn own(part: &Range<u64>, number: u64) -> Range<u64> {
    let first = part.start + number * EACH;
    first..first + EACH
}

async fn part(
    stage: &mut Stage<'_>,
    plan: &Plan,
    small: &[Tenant],
    markers: Range<u64>,
    pace: Option<f64>,
) -> Result<Part, ProfileError> {
    let started = stage.now_us();
    let running: Vec<Running> = (0..)
        .zip(small)
        .map(|(number, tenant)| {
            let own = own(&markers, number);
            stage.send(match pace {
                Some(rate) => Traffic::open(&tenant.key, "promotional", &[NETWORK], own, rate),
                None => Traffic::closed(&tenant.key, "promotional", &[NETWORK], own, 4),
            })
        })
        .collect();
    let mut sent = Vec::new();
    for one in running {
        sent.push(one.done(stage).await?);
    }
    stage.submitted(markers.clone(), plan.part_max()).await?;
    let now = stage.now_us();
    let finished_s = (0..SMALL).map(|number| {
        let entries = stage.ledger.entries(own(&markers, number));
        // What has not come has at least taken until now.
        let ends = entries.map(|entry| entry.submitted.map_or(now, |(at, _)| at));
        ends.max().unwrap_or(now).saturating_sub(started) as f64 / 1e6
    });
    Ok(Part {
        sent,
        finished_s: finished_s.collect(),
    })
}

/// What each of the ten got while all wanted: from the last 201 of the nine until the first of them had finished.
fn shares(stage: &Stage<'_>, part: Range<u64>, flood: Range<u64>) -> Vec<f64> {
    let ledger = &stage.ledger;
    let accepted = ledger
        .entries(part.clone())
        .filter_map(|entry| entry.accepted_us);
    let from = accepted.max().unwrap_or(0);
    let finished = (0..SMALL).map(|number| {
        let mut last = 0;
        for entry in ledger.entries(own(&part, number)) {
            last = last.max(entry.submitted.map_or(u64::MAX, |(at, _)| at));
        }
        last
    });
    // When none of them got anything to its end, all wanted until now.
    let until = finished.min().unwrap_or(0).min(stage.now_us());
    let got = |markers| submitted_between(ledger.entries(markers), from, until) as f64;
    (0..SMALL)
        .map(|number| got(own(&part, number)))
        .chain([got(flood)])
        .collect()
}
