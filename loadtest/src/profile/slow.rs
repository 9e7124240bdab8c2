//! Lives here: the profile `slow-carrier`: what one window reaches over a long way, and what a carrier with answers
//! after half a minute does to its neighbours. Never here: what other profiles share.

use std::{ops::Range, time::Duration};

use super::{
    Options, ProfileError,
    files::Account,
    measure::{quantile_ms, sliced_p99_ms, waits},
    sheet::Sheet,
    stage::{STALL_MAX, Setup, Site, Stage},
    traffic::Traffic,
};
use crate::{
    http::HttpReport,
    ledger::Notified,
    networks::{NETWORKS, Network},
    smsc::{Script, Span},
};

/// Answers after 20 ms; after 30 s; at once.
const FAR: Network = NETWORKS[0];
const STUCK: Network = NETWORKS[1];
const NEAR: Network = NETWORKS[2];

const FAR_MS: u64 = 20;
const STUCK_MS: u64 = 30_000;

/// Messages a second to each while neighbours are compared.
const FAR_RATE: f64 = 500.0;
const STUCK_RATE: f64 = 100.0;
const NEAR_RATE: f64 = 200.0;

/// Share of a window that is kept for OTP (`otp_reserve_percent`): others have the rest.
const OTP_RESERVE: f64 = 0.1;

/// Percentiles are taken of slices as long as this.
const SLICE_US: u64 = 2_000_000;

struct Plan {
    window: usize,
    seconds: f64,
    /// Messages of one class to fill the window with.
    bulk: u64,
}

/// The markers of one part, for each network.
struct Part {
    far: Range<u64>,
    stuck: Range<u64>,
    near: Range<u64>,
}

impl Plan {
    fn new(options: &Options) -> Self {
        let window = options.window.unwrap_or(100);
        let seconds = options.time_limit.map_or(20.0, |limit| limit.as_secs_f64());
        // Half as much again as the window can take in that time: it works while they are queued.
        let per_second = window as f64 * 1000.0 / FAR_MS as f64;
        Self {
            window,
            seconds,
            bulk: options
                .messages
                .unwrap_or((per_second * seconds * 1.5) as u64),
        }
    }

    fn part(&self, number: u64) -> Part {
        let counts = [FAR_RATE, STUCK_RATE, NEAR_RATE].map(|rate| (rate * self.seconds) as u64);
        let first = 2 * self.bulk + number * counts.iter().sum::<u64>();
        let second = first + counts[0];
        let third = second + counts[1];
        Part {
            far: first..second,
            stuck: second..third,
            near: third..third + counts[2],
        }
    }
}

fn answers_after(ms: u64) -> Script {
    Script {
        response_delay_ms: Span::fixed(ms),
        ..Script::without_receipts()
    }
}

pub(super) fn setup(options: &Options) -> Setup {
    let plan = Plan::new(options);
    // A tenth of the window cannot reach what the whole one must.
    let far = if options.sabotage {
        plan.window / 10
    } else {
        plan.window
    };
    let mut stuck = Account::of(STUCK, plan.window);
    stuck.bind[0].response_timeout_ms = 2 * STUCK_MS;
    Setup {
        sites: vec![
            Site::new(Account::of(FAR, far), answers_after(FAR_MS)),
            Site::new(stuck, answers_after(0)),
            Site::new(Account::of(NEAR, plan.window), answers_after(0)),
        ],
        markers: plan.part(2).far.start,
        limit: Duration::from_secs_f64(240.0 + 10.0 * plan.seconds),
    }
}

pub(super) async fn drive(stage: &mut Stage<'_>, options: &Options) -> Result<Sheet, ProfileError> {
    let plan = Plan::new(options);
    let key = stage.tenant("shop").await?.key;
    let connections = options.connections.unwrap_or(64);
    let (mut bulk, mut reach) = (Vec::new(), Vec::new());
    for (class, first) in [("otp", 0), ("transactional", plan.bulk)] {
        let markers = first..first + plan.bulk;
        let traffic = Traffic::closed(&key, class, &[FAR], markers.clone(), connections);
        bulk.push(stage.sent(traffic).await?);
        reach.push(reached(stage, &plan, markers.end).await?);
        stage.submitted(markers, Duration::from_secs(120)).await?;
    }

    let without = neighbours(stage, &plan, &key, 0, NEAR).await?;
    stage.smscs[1].set_script(answers_after(STUCK_MS));
    // Sent to the carrier that answers nobody, the near one's messages must be seen to wait.
    let near = if options.sabotage { STUCK } else { NEAR };
    let with = neighbours(stage, &plan, &key, 1, near).await?;

    let mut sheet = Sheet::new("slow-carrier");
    let mut sent: Vec<&HttpReport> = without.sent.iter().chain(&with.sent).collect();
    sent.extend(&bulk);
    sheet.accepted(&sent);
    let parts = [plan.part(0), plan.part(1)];
    let mut lost = 0;
    for markers in [
        0..2 * plan.bulk,
        parts[0].far.start..parts[0].near.end,
        parts[1].far.clone(),
        parts[1].near.clone(),
    ] {
        let found = stage
            .ledger
            .compare(markers, false, |_| Notified::NOT_EXPECTED);
        lost += found.lost;
    }
    let all = stage
        .ledger
        .compare(0..u64::MAX, false, |_| Notified::NOT_EXPECTED);
    sheet.at_most("lost", lost as f64, 0.0);
    sheet.at_most("duplicated", all.duplicated as f64, 0.0);
    let others = reach[1].limit_per_s * (1.0 - OTP_RESERVE);
    sheet.at_least(
        "window_used_by_otp",
        reach[0].per_s / reach[0].limit_per_s,
        0.98,
    );
    sheet.at_least("window_used_by_others", reach[1].per_s / others, 0.98);
    sheet.at_most(
        "near_p99_ratio",
        with.near_p99_ms / without.near_p99_ms,
        1.1,
    );
    sheet.at_most("far_p99_ratio", with.far_p99_ms / without.far_p99_ms, 1.1);
    let waiting = stage.smscs[1].stats();
    // The stuck carrier holds all it can get, or nothing was stuck.
    let held = waiting.accepted - waiting.held - parts[0].stuck.clone().count() as u64;
    let window = plan.window as f64 * (1.0 - OTP_RESERVE);
    sheet.at_least("stuck_unanswered", held as f64, window);
    for (class, reach) in ["otp", "others"].into_iter().zip(&reach) {
        sheet.figure(&format!("{class}_submitted_per_s"), reach.per_s);
        sheet.figure(&format!("{class}_window_over_rtt_per_s"), reach.limit_per_s);
        sheet.figure(&format!("{class}_rtt_ms"), reach.rtt_ms);
    }
    for (name, part) in [("without", &without), ("with", &with)] {
        sheet.figure(&format!("near_{name}_p99_ms"), part.near_p99_ms);
        sheet.figure(&format!("far_{name}_p99_ms"), part.far_p99_ms);
        sheet.figure(&format!("near_{name}_p50_ms"), part.near_p50_ms);
    }
    Ok(sheet)
}

/// What a full window came to.
struct Reach {
    per_s: f64,
    /// Window over the round trip, which is what the simulator in truth took to answer: its timer and its turn at the
    /// processor come on top of the 20 ms.
    limit_per_s: f64,
    rtt_ms: f64,
}

/// Watches the queue run down, from when nobody feeds it until the carrier has taken nearly all of `total`.
async fn reached(stage: &mut Stage<'_>, plan: &Plan, total: u64) -> Result<Reach, ProfileError> {
    stage.pause(Duration::from_millis(200)).await?;
    let reading = |stage: &Stage<'_>| (stage.now_us(), stage.smscs[0].stats());
    let (from, before) = reading(stage);
    let deadline = from + (plan.seconds * 1e6) as u64;
    let nearly = total.saturating_sub(10 * plan.window as u64);
    let (mut until, mut now) = (from, before);
    while until < deadline {
        stage.pause(Duration::from_millis(20)).await?;
        let (at, stats) = reading(stage);
        if stats.accepted >= nearly {
            break;
        }
        (until, now) = (at, stats);
    }
    // Nothing left to watch when all were gone before the last was queued.
    let held = (now.held - before.held) as f64;
    let rtt_ms = (now.held_us - before.held_us) as f64 / held / 1000.0;
    Ok(Reach {
        per_s: held * 1e6 / (until - from) as f64,
        limit_per_s: plan.window as f64 * 1000.0 / rtt_ms,
        rtt_ms,
    })
}

/// What one part was like for the carriers beside the stuck one.
struct Neighbours {
    sent: Vec<HttpReport>,
    near_p50_ms: f64,
    near_p99_ms: f64,
    far_p99_ms: f64,
}

async fn neighbours(
    stage: &mut Stage<'_>,
    plan: &Plan,
    key: &str,
    number: u64,
    near: Network,
) -> Result<Neighbours, ProfileError> {
    let part = plan.part(number);
    let open = |network, markers: &Range<u64>, rate| {
        Traffic::open(key, "transactional", &[network], markers.clone(), rate)
    };
    let running = [
        stage.send(open(STUCK, &part.stuck, STUCK_RATE)),
        stage.send(open(FAR, &part.far, FAR_RATE)),
        stage.send(open(near, &part.near, NEAR_RATE)),
    ];
    let mut sent = Vec::new();
    for one in running {
        sent.push(one.done(stage).await?);
    }
    stage.submitted(part.far.clone(), STALL_MAX).await?;
    stage
        .submitted(part.near.clone(), Duration::from_secs(5))
        .await?;
    let now = stage.now_us();
    let entries = |markers: &Range<u64>| stage.ledger.entries(markers.clone());
    Ok(Neighbours {
        sent,
        near_p50_ms: quantile_ms(&waits(entries(&part.near), now), 0.5),
        near_p99_ms: sliced_p99_ms(entries(&part.near), SLICE_US, now),
        far_p99_ms: sliced_p99_ms(entries(&part.far), SLICE_US, now),
    })
}
