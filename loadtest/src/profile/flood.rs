//! Lives here: the profile `receipt-flood`: the same load twice, first with one receipt for each message, then with
//! ten. Never here: what other profiles share.

use std::{ops::Range, time::Duration};

use super::{
    Options, ProfileError,
    files::Account,
    measure::{quantile_ms, submitted_between, waits},
    sheet::Sheet,
    stage::{STALL_MAX, Setup, Site, Stage},
    traffic::Traffic,
};
use crate::{
    http::HttpReport,
    ledger::Notified,
    networks::{NETWORKS, Network},
    smsc::{Receipts, Rule, Script, Span, Stat, Then, When},
};

const NETWORKS_USED: usize = 4;

/// With the final one, which comes twice, ten.
const INTERMEDIATE: usize = 8;

/// Time from a message to its last receipt.
const DELAY_MS: u64 = 500;

struct Plan {
    /// Messages a second beside the OTP.
    rate: f64,
    otp_rate: f64,
    seconds: f64,
}

/// The markers of one part.
struct Part {
    otp: Range<u64>,
    other: Range<u64>,
}

impl Plan {
    fn new(options: &Options) -> Self {
        Self {
            rate: options.rate.unwrap_or(1_000.0),
            otp_rate: 100.0,
            seconds: options.time_limit.map_or(20.0, |limit| limit.as_secs_f64()),
        }
    }

    fn part(&self, number: u64) -> Part {
        let otps = (self.otp_rate * self.seconds) as u64;
        let others = (self.rate * self.seconds) as u64;
        let first = number * (otps + others);
        Part {
            otp: first..first + otps,
            other: first + otps..first + otps + others,
        }
    }
}

fn networks() -> Vec<Network> {
    NETWORKS[..NETWORKS_USED].to_vec()
}

fn script(flood: bool, sabotage: bool) -> Script {
    let lost = When {
        every_nth: Some(500),
        ..When::default()
    };
    Script {
        receipts: Receipts {
            delay_ms: Span::fixed(DELAY_MS),
            intermediate: vec![Stat::Enroute; if flood { INTERMEDIATE } else { 0 }],
            duplicate: flood,
            ..Receipts::default()
        },
        // Some receipts never come, as if the daemon had lost them.
        rules: if flood && sabotage {
            vec![Rule::when(lost, Then::NoReceipt)]
        } else {
            Vec::new()
        },
        ..Script::default()
    }
}

pub(super) fn setup(options: &Options) -> Setup {
    let plan = Plan::new(options);
    let window = options.window.unwrap_or(200);
    let site = |network| Site::new(Account::of(network, window), script(false, false));
    Setup {
        sites: networks().into_iter().map(site).collect(),
        markers: plan.part(2).other.end,
        limit: Duration::from_secs_f64(180.0 + 10.0 * plan.seconds),
    }
}

pub(super) async fn drive(stage: &mut Stage<'_>, options: &Options) -> Result<Sheet, ProfileError> {
    let plan = Plan::new(options);
    let key = stage.tenant("bank").await?.key;
    let warm = Traffic::closed(&key, "otp", &networks(), plan.part(2).otp, 16);
    stage.warm_up(warm).await?;
    let quiet = run(stage, &plan, &key, plan.part(0)).await?;
    let memory = stage.memory.peak_mib();
    for smsc in &stage.smscs {
        smsc.set_script(script(true, options.sabotage));
    }
    let flooded = run(stage, &plan, &key, plan.part(1)).await?;

    let measured = plan.part(0).otp.start..plan.part(1).other.end;
    let accepted = stage.ledger.entries(measured.clone());
    let ids: Vec<_> = accepted
        .filter(|entry| entry.accepted_us.is_some())
        .map(|entry| entry.id)
        .collect();
    let told = stage.told(&key, &ids).await?;
    let ended = told
        .values()
        .filter(|told| told.status_detail == "delivered");

    let mut sheet = Sheet::new("receipt-flood");
    let comparison = stage
        .ledger
        .compare(measured, true, |_| Notified::NOT_EXPECTED);
    let sent: Vec<&HttpReport> = quiet.sent.iter().chain(&flooded.sent).collect();
    sheet.nothing_lost(&comparison, &sent);
    sheet.at_most("not_delivered", (ids.len() - ended.count()) as f64, 0.0);
    let share = flooded.submitted_per_s / quiet.submitted_per_s;
    sheet.at_least("submit_share_kept", share, 0.95);
    sheet.at_most("otp_p99_ms", flooded.otp_p99_ms, 50.0);
    sheet.at_most("memory_growth_mib", stage.memory.peak_mib() - memory, 100.0);
    // Otherwise there was no flood.
    sheet.at_least("receipts_per_submit", flooded.receipts_per_submit, 9.5);
    sheet.figure("otp_quiet_p99_ms", quiet.otp_p99_ms);
    sheet.figure("otp_p99_ratio", flooded.otp_p99_ms / quiet.otp_p99_ms);
    sheet.figure("submitted_per_s", flooded.submitted_per_s);
    sheet.figure("submitted_quiet_per_s", quiet.submitted_per_s);
    sheet.figure("receipts_done_after_s", flooded.drained_s);
    sheet.figure("memory_peak_mib", stage.memory.peak_mib());
    Ok(sheet)
}

/// What came of one part.
struct Ran {
    sent: Vec<HttpReport>,
    submitted_per_s: f64,
    otp_p99_ms: f64,
    receipts_per_submit: f64,
    /// From the last message to the last receipt.
    drained_s: f64,
}

async fn run(
    stage: &mut Stage<'_>,
    plan: &Plan,
    key: &str,
    part: Part,
) -> Result<Ran, ProfileError> {
    let acknowledged = |stage: &Stage<'_>| -> u64 {
        let stats = stage.smscs.iter().map(|smsc| smsc.stats());
        stats.map(|stats| stats.receipts_acknowledged).sum()
    };
    let (before, receipts) = (stage.reading().totals, acknowledged(stage));
    let (networks, from) = (networks(), stage.now_us());
    let running = [
        stage.send(Traffic::open(
            key,
            "otp",
            &networks,
            part.otp.clone(),
            plan.otp_rate,
        )),
        stage.send(Traffic::open(
            key,
            "transactional",
            &networks,
            part.other.clone(),
            plan.rate,
        )),
    ];
    let mut sent = Vec::new();
    for one in running {
        sent.push(one.done(stage).await?);
    }
    let until = stage.now_us();
    let all = part.otp.start..part.other.end;
    stage.submitted(all.clone(), STALL_MAX).await?;
    let accepted: u64 = sent.iter().map(|one| one.accepted).sum();
    stage
        .drained(|now| now.totals.receipted - before.receipted >= accepted)
        .await?;
    // What else the carriers have to tell.
    while stage.smscs.iter().any(|smsc| smsc.receipts_waiting() > 0) {
        stage.pause(Duration::from_millis(20)).await?;
    }
    let end = stage.now_us();
    stage.quiet().await;
    let taken = submitted_between(stage.ledger.entries(all), from, until);
    let otp = waits(stage.ledger.entries(part.otp), end);
    Ok(Ran {
        sent,
        submitted_per_s: taken as f64 * 1e6 / (until - from) as f64,
        otp_p99_ms: quantile_ms(&otp, 0.99),
        receipts_per_submit: (acknowledged(stage) - receipts) as f64 / accepted as f64,
        drained_s: (end - until) as f64 / 1e6,
    })
}
