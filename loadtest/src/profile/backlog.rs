//! Lives here: the profile `otp-under-backlog`: OTP pass a million promotional messages that wait for a carrier which
//! is at its limit. Never here: what other profiles share.
//!
//! The same OTP load runs twice, first alone. The backlog is not waited for: it would take the carrier a quarter of
//! an hour.

use std::time::Duration;

use super::{
    Options, ProfileError,
    files::Account,
    measure::{quantile_ms, submitted_between, waits},
    sheet::Sheet,
    stage::{STALL_MAX, Setup, Site, Stage},
    traffic::Traffic,
};
use crate::{
    http::Pace,
    ledger::Notified,
    networks::{NETWORKS, Network},
    smsc::Script,
};

/// The only network.
const NETWORK: Network = NETWORKS[0];

/// Queueing the backlog is given up after this.
const QUEUE_MAX: Duration = Duration::from_secs(300);

struct Plan {
    backlog: u64,
    tps: u32,
    rate: f64,
    /// OTP of the warm-up and of each measured part.
    warm_up: u64,
    otps: u64,
    seconds: f64,
}

impl Plan {
    fn new(options: &Options) -> Self {
        let seconds = options.time_limit.map_or(30.0, |limit| limit.as_secs_f64());
        let rate = options.rate.unwrap_or(100.0);
        Self {
            backlog: options.messages.unwrap_or(1_000_000),
            tps: options.tps.unwrap_or(1_000),
            rate,
            warm_up: options.warm_up.unwrap_or(1_000),
            otps: ((rate * seconds) as u64).max(1),
            seconds,
        }
    }
}

pub(super) fn setup(options: &Options) -> Setup {
    let plan = Plan::new(options);
    let account = Account {
        max_tps: plan.tps,
        ..Account::of(NETWORK, options.window.unwrap_or(200))
    };
    let script = Script {
        throttle_per_s: Some(plan.tps),
        // A second's worth: what the simulator reads late in one go, because this process had to wait for a
        // processor, is no fault of the daemon's pace.
        throttle_burst_ms: Some(1_000),
        ..Script::without_receipts()
    };
    Setup {
        sites: vec![Site::new(account, script)],
        markers: plan.warm_up + 2 * plan.otps + plan.backlog,
        limit: QUEUE_MAX + Duration::from_secs_f64(120.0 + 3.0 * plan.seconds),
    }
}

pub(super) async fn drive(stage: &mut Stage<'_>, options: &Options) -> Result<Sheet, ProfileError> {
    let plan = Plan::new(options);
    let (bank, shop) = (stage.tenant("bank").await?, stage.tenant("shop").await?);
    let alone = plan.warm_up..plan.warm_up + plan.otps;
    let loaded = alone.end..alone.end + plan.otps;
    let backlog = loaded.end..loaded.end + plan.backlog;
    let otp = |class, markers| Traffic::open(&bank.key, class, &[NETWORK], markers, plan.rate);
    stage
        .warm_up(Traffic {
            pace: Pace::Closed,
            ..otp("otp", 0..plan.warm_up)
        })
        .await?;
    let first = stage.sent(otp("otp", alone.clone())).await?;
    stage.submitted(alone.clone(), STALL_MAX).await?;

    let memory = stage.memory.now_mib();
    (stage.progress)(&format!("queueing {} promotional messages", plan.backlog));
    let connections = options.connections.unwrap_or(128);
    let queued = stage
        .sent(Traffic {
            time_limit: Some(QUEUE_MAX),
            ..Traffic::closed(
                &shop.key,
                "promotional",
                &[NETWORK],
                backlog.clone(),
                connections,
            )
        })
        .await?;
    let from = stage.now_us();
    let mut second = otp("otp", loaded.clone());
    if options.sabotage {
        // Of the class and the organisation of those that wait, each has to wait behind them.
        (second.class, second.key) = (Some("promotional"), shop.key);
    }
    let second = stage.sent(second).await?;
    let until = stage.now_us();
    stage
        .submitted(loaded.clone(), Duration::from_secs(5))
        .await?;
    let left = queued.accepted - submitted_between(stage.ledger.entries(backlog.clone()), 0, until);
    let taken = submitted_between(stage.ledger.entries(0..u64::MAX), from, until);

    let now = stage.now_us();
    let unloaded_us = waits(stage.ledger.entries(alone.clone()), now);
    let loaded_us = waits(stage.ledger.entries(loaded.clone()), now);
    let (unloaded, under) = (
        quantile_ms(&unloaded_us, 0.99),
        quantile_ms(&loaded_us, 0.99),
    );
    let otps = stage
        .ledger
        .compare(alone.start..loaded.end, false, |_| Notified::NOT_EXPECTED);
    let all = stage
        .ledger
        .compare(0..u64::MAX, false, |_| Notified::NOT_EXPECTED);
    let growth = stage.memory.peak_mib() - memory;

    let mut sheet = Sheet::new("otp-under-backlog");
    sheet.accepted(&[&first, &queued, &second]);
    sheet.at_most("otp_p99_ratio", under / unloaded, 1.2);
    sheet.at_most("otp_p99_ms", under, 50.0);
    sheet.at_most("memory_growth_mib", growth, 250.0);
    sheet.at_most("otp_lost", otps.lost as f64, 0.0);
    sheet.at_most("duplicated", all.duplicated as f64, 0.0);
    sheet.at_most(
        "submitted_without_201",
        all.submitted_unaccepted as f64,
        0.0,
    );
    // Without these two the OTP would have met no backlog and no limit.
    sheet.at_least("backlog_left", left as f64, plan.backlog as f64 / 2.0);
    let share = taken as f64 * 1e6 / (until - from) as f64 / f64::from(plan.tps);
    sheet.at_least("carrier_limit_used", share, 0.95);
    sheet.figure("queued", queued.accepted as f64);
    let pace = queued.accepted as f64 / queued.elapsed.as_secs_f64();
    sheet.figure("queued_per_s", pace);
    sheet.figure("otp_per_s", plan.rate);
    sheet.figure("carrier_limit_per_s", plan.tps.into());
    sheet.figure("otp_unloaded_p50_ms", quantile_ms(&unloaded_us, 0.5));
    sheet.figure("otp_unloaded_p99_ms", unloaded);
    sheet.figure("otp_p50_ms", quantile_ms(&loaded_us, 0.5));
    sheet.figure("otp_max_ms", quantile_ms(&loaded_us, 1.0));
    sheet.figure("memory_before_mib", memory);
    sheet.figure("throttled", stage.smscs[0].stats().throttled as f64);
    Ok(sheet)
}
