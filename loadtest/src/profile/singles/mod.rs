//! Lives here: the profiles `singles` (REST singles through the durable store to the simulators) and `singles-full`
//! (the same with receipts and signed webhooks). Never here: what other profiles share.

mod report;

use std::time::Duration;

use self::report::{Gathered, counts_since, sheet};
use super::{
    Options, Profile, ProfileError,
    files::{Account, Bind},
    proc,
    sheet::Sheet,
    stage::{Reading, Setup, Site, Stage},
    traffic::Traffic,
};
use crate::{
    http::{HttpReport, Pace},
    ledger::Notified,
    networks::{NETWORKS, Network},
    smsc::{Receipts, Script, Span},
};

/// Markers kept ready per second of a run that is limited by time and not by messages.
const MARKERS_PER_S: u64 = 100_000;

/// A profile with all its numbers.
struct Plan {
    full: bool,
    networks: Vec<Network>,
    connections: usize,
    messages: u64,
    warm_up: u64,
    pace: Pace,
    binds: usize,
    window: usize,
}

impl Plan {
    fn new(profile: Profile, options: &Options) -> Self {
        let full = profile == Profile::SinglesFull;
        let by_time = options
            .time_limit
            .map(|limit| (limit.as_secs() + 1) * MARKERS_PER_S);
        Self {
            full,
            networks: NETWORKS[..options
                .networks
                .unwrap_or(NETWORKS.len())
                .clamp(1, NETWORKS.len())]
                .to_vec(),
            connections: options.connections.unwrap_or(128).max(1),
            messages: options
                .messages
                .or(by_time)
                .unwrap_or(if full { 60_000 } else { 200_000 })
                .max(1),
            warm_up: options.warm_up.unwrap_or(4_000),
            pace: options
                .rate
                .map_or(Pace::Closed, |per_second| Pace::Open { per_second }),
            binds: options.binds.unwrap_or(1).max(1),
            window: options.window.unwrap_or(200).max(1),
        }
    }

    fn script(&self) -> Script {
        if self.full {
            let receipts = Receipts {
                delay_ms: Span::fixed(20),
                ..Receipts::default()
            };
            Script {
                receipts,
                ..Script::default()
            }
        } else {
            Script::without_receipts()
        }
    }
}

pub(super) fn setup(profile: Profile, options: &Options) -> Setup {
    let plan = Plan::new(profile, options);
    let site = |network: &Network| {
        let account = Account {
            bind: vec![Bind::new("transceiver", plan.window).times(plan.binds)],
            ..Account::of(*network, plan.window)
        };
        Site::new(account, plan.script())
    };
    Setup {
        sites: plan.networks.iter().map(site).collect(),
        markers: plan.warm_up.saturating_add(plan.messages),
        limit: Duration::from_secs(3_600),
    }
}

pub(super) async fn drive(
    profile: Profile,
    stage: &mut Stage<'_>,
    options: &Options,
) -> Result<Sheet, ProfileError> {
    let plan = Plan::new(profile, options);
    let tenant = stage.tenant("load").await?;
    stage.hook.set_secret(&tenant.org.webhook_secret);
    let traffic = Traffic {
        key: tenant.key,
        class: None,
        networks: plan.networks.clone(),
        markers: plan.warm_up..plan.warm_up.saturating_add(plan.messages),
        pace: plan.pace,
        connections: plan.connections,
        time_limit: options.time_limit,
        webhook_url: plan.full.then(|| stage.hook.url()),
    };
    stage
        .warm_up(Traffic {
            markers: 0..plan.warm_up,
            pace: Pace::Closed,
            time_limit: None,
            ..traffic.clone()
        })
        .await?;
    let idle = Reading::default();
    stage
        .drained(|now| arrived(plan.full, now, &idle) >= plan.warm_up)
        .await?;
    (stage.progress)(&format!(
        "measuring {} messages on {} connections",
        plan.messages, plan.connections
    ));
    let before = stage.reading();
    let meter = Meter::start(stage);
    let http = stage.sent(traffic).await?;
    stage
        .drained(|now| arrived(plan.full, now, &before) >= http.accepted)
        .await?;
    let used = meter.used(stage);
    stage.quiet().await;
    Ok(conclude(profile, &plan, stage, &http, &before, used))
}

/// Messages since `before` that have reached the last station of the profile.
fn arrived(full: bool, now: &Reading, before: &Reading) -> u64 {
    let submitted = now.totals.submitted - before.totals.submitted;
    if !full {
        return submitted;
    }
    submitted
        .min(now.totals.receipted - before.totals.receipted)
        .min(now.hook.sent - before.hook.sent)
        .min(now.hook.delivered - before.hook.delivered)
}

/// CPU time in ticks: of the daemon, of a private PostgreSQL, and of this process.
struct Meter([Option<u64>; 3]);

impl Meter {
    fn start(stage: &Stage<'_>) -> Self {
        Self([
            proc::cpu_ticks(stage.daemon.pid()),
            stage.store.cpu_ticks(),
            proc::cpu_ticks(std::process::id()),
        ])
    }

    /// Seconds of each since then.
    fn used(&self, stage: &Stage<'_>) -> [Option<f64>; 3] {
        let Self(now) = Self::start(stage);
        let ticks_per_s = proc::ticks_per_s() as f64;
        std::array::from_fn(|one| Some(now[one]?.saturating_sub(self.0[one]?) as f64 / ticks_per_s))
    }
}

fn conclude(
    profile: Profile,
    plan: &Plan,
    stage: &Stage<'_>,
    http: &HttpReport,
    before: &Reading,
    [daemon_cpu_s, postgres_cpu_s, generator_cpu_s]: [Option<f64>; 3],
) -> Sheet {
    let full = plan.full;
    let now = stage.reading();
    let hook = counts_since(now.hook, before.hook);
    let measured = plan.warm_up..u64::MAX;
    let comparison = stage.ledger.compare(measured.clone(), full, |id| {
        if !full {
            return Notified::NOT_EXPECTED;
        }
        let seen = stage.hook.seen(id);
        Notified {
            complete: seen.sent && seen.delivered,
            doubled: seen.doubled,
        }
    });
    let started_us = stage.ledger.micros(http.started);
    let until = |last_us: u64| Duration::from_micros(last_us.saturating_sub(started_us));
    let hook_time = stage
        .hook
        .last_request_at()
        .map(|at| at.saturating_duration_since(http.started));
    let submitted = now.totals.submitted - before.totals.submitted;
    let receipted = now.totals.receipted - before.totals.receipted;
    sheet(&Gathered {
        profile: profile.name(),
        http,
        comparison,
        submitted: (submitted, until(now.totals.last_submit_us)),
        delivered: full.then(|| (receipted, until(now.totals.last_receipt_us))),
        webhooks: full.then(|| (hook.sent + hook.delivered, hook_time.unwrap_or_default())),
        hook,
        accept_to_submit_p99_us: stage
            .ledger
            .accept_to_submit(measured)
            .value_at_quantile(0.99),
        daemon_cpu_s,
        postgres_cpu_s,
        postgres_rss_mib: stage.store.memory_mib(),
        generator_cpu_s,
        daemon_rss_mib: stage.memory.peak_mib(),
        connections: plan.connections,
        networks: plan.networks.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Totals;

    #[test]
    fn options_override_the_defaults_of_a_profile() {
        let plan = Plan::new(Profile::Singles, &Options::default());
        assert_eq!(
            (plan.messages, plan.connections, plan.networks.len()),
            (200_000, 128, 8)
        );
        assert!(plan.script().receipts.mix.is_empty());
        let options = Options {
            time_limit: Some(Duration::from_secs(2)),
            networks: Some(3),
            ..Options::default()
        };
        let plan = Plan::new(Profile::SinglesFull, &options);
        assert_eq!((plan.messages, plan.networks.len()), (300_000, 3));
        assert!(!plan.script().receipts.mix.is_empty());
        assert_eq!(setup(Profile::Singles, &options).sites.len(), 3);
    }

    #[test]
    fn a_full_profile_has_arrived_only_when_its_slowest_part_has() {
        let before = Reading {
            totals: Totals {
                submitted: 10,
                receipted: 10,
                ..Totals::default()
            },
            ..Reading::default()
        };
        let mut now = before;
        now.totals.submitted = 110;
        assert_eq!(arrived(false, &now, &before), 100);
        now.totals.receipted = 60;
        (now.hook.sent, now.hook.delivered) = (90, 40);
        assert_eq!(arrived(true, &now, &before), 40);
    }
}
