//! Lives here: the profile `throttle`: carriers that take a quarter of what the configuration says, one counting in a
//! bucket, one in fixed windows. Never here: what other profiles share.

use std::{ops::Range, time::Duration};

use mnara_smpp::status::CommandStatus;
use tokio::time::timeout;

use super::{
    Options, ProfileError,
    files::Account,
    measure::{overtaken, submit_span, submitted_between},
    sheet::Sheet,
    stage::{Setup, Site, Stage},
    traffic::Traffic,
};
use crate::{
    ledger::{Entry, Notified},
    networks::{NETWORKS, Network},
    smsc::Script,
};

/// The carrier with the bucket, and the one with windows of a second. Marker m goes to network m modulo 2.
const CARRIERS: [Network; 2] = [NETWORKS[0], NETWORKS[1]];

/// Markers of a network lie this far apart.
const STEP: u64 = CARRIERS.len() as u64;

/// The configured limit is so many times the true one.
const OVERSTATED: u32 = 4;

/// The daemon has this long to find the limit.
const FINDING_S: f64 = 10.0;

/// Share of the limit that must be used from then on.
const GOODPUT_MIN: f64 = 0.95;

struct Plan {
    limit: u32,
    seconds: f64,
    /// Messages of each of the two organisations, half of them for either carrier.
    each: u64,
    connections: usize,
    window: usize,
}

impl Plan {
    fn new(options: &Options) -> Self {
        let limit = options.tps.unwrap_or(500);
        let seconds = options.time_limit.map_or(30.0, |limit| limit.as_secs_f64());
        Self {
            limit,
            seconds,
            // A little more than the measured time can take, so that the carriers never run dry in it.
            each: (f64::from(limit) * (FINDING_S + seconds) * 1.05) as u64,
            connections: options.connections.unwrap_or(16),
            window: options.window.unwrap_or(50),
        }
    }
}

pub(super) fn setup(options: &Options) -> Setup {
    let plan = Plan::new(options);
    let site = |network: Network, window_ms| {
        let account = Account {
            max_tps: plan.limit * OVERSTATED,
            ..Account::of(network, plan.window)
        };
        let script = Script {
            throttle_per_s: Some(plan.limit),
            throttle_window_ms: window_ms,
            // A status that means "never" instead of "later": messages fail, and the checks must notice.
            throttle_status: options.sabotage.then_some(CommandStatus::ESME_RINVDSTADR.0),
            ..Script::without_receipts()
        };
        Site::new(account, script)
    };
    Setup {
        sites: vec![site(CARRIERS[0], None), site(CARRIERS[1], Some(1_000))],
        markers: 2 * plan.each,
        limit: Duration::from_secs_f64(240.0 + 10.0 * plan.seconds),
    }
}

pub(super) async fn drive(stage: &mut Stage<'_>, options: &Options) -> Result<Sheet, ProfileError> {
    let plan = Plan::new(options);
    let organisations = [0..plan.each, plan.each..2 * plan.each];
    let mut running = Vec::new();
    for (name, markers) in ["first", "second"].into_iter().zip(&organisations) {
        let tenant = stage.tenant(name).await?;
        let markers = markers.clone();
        running.push(stage.send(Traffic::closed(
            &tenant.key,
            "transactional",
            &CARRIERS,
            markers,
            plan.connections,
        )));
    }
    let mut sent = Vec::new();
    for one in running {
        sent.push(one.done(stage).await?);
    }
    (stage.progress)("draining");
    let accepted: u64 = sent.iter().map(|one| one.accepted).sum();
    // At a third of the limit it would have to be over; what is still missing then is lost.
    let slowest = Duration::from_secs_f64(3.0 * accepted as f64 / f64::from(plan.limit));
    let drained = stage.drained(|now| now.totals.submitted >= accepted);
    if let Ok(ended) = timeout(slowest, drained).await {
        ended?;
    }
    stage.quiet().await;

    let mut sheet = Sheet::new("throttle");
    let comparison = stage
        .ledger
        .compare(0..u64::MAX, false, |_| Notified::NOT_EXPECTED);
    sheet.nothing_lost(&comparison, &sent.iter().collect::<Vec<_>>());
    for (index, goodput) in ["goodput_bucket", "goodput_window"].into_iter().enumerate() {
        let share = goodput_of(stage, &plan, index as u64);
        sheet.at_least(goodput, share, GOODPUT_MIN);
    }
    // Of one organisation at one carrier; a window and what was being accepted together may change places.
    let slack = STEP * (plan.window + plan.connections) as u64;
    let late: u64 = organisations
        .iter()
        .flat_map(|own| (0..STEP).map(move |index| (own, index)))
        .map(|(own, index)| overtaken(of_carrier(stage, own.clone(), index), slack))
        .sum();
    sheet.at_most("overtaken", late as f64, 0.0);
    sheet.figure("carrier_limit_per_s", plan.limit.into());
    sheet.figure("configured_per_s", (plan.limit * OVERSTATED).into());
    for (smsc, name) in stage
        .smscs
        .iter()
        .zip(["throttled_bucket", "throttled_window"])
    {
        let stats = smsc.stats();
        sheet.figure(name, stats.throttled as f64 / stats.submits as f64);
    }
    Ok(sheet)
}

fn of_carrier<'a>(
    stage: &'a Stage<'_>,
    markers: Range<u64>,
    index: u64,
) -> impl Iterator<Item = Entry> + 'a {
    let entries = stage.ledger.entries(markers);
    entries.filter(move |entry| entry.marker % STEP == index)
}

/// What a carrier took of its limit, from ten seconds after its first message on and as long as there was enough.
fn goodput_of(stage: &Stage<'_>, plan: &Plan, index: u64) -> f64 {
    let entries = || of_carrier(stage, 0..u64::MAX, index);
    let Some((first, last)) = submit_span(entries()) else {
        return 0.0;
    };
    let from = first + (FINDING_S * 1e6) as u64;
    let until = from + (plan.seconds * 1e6) as u64;
    // When everything came sooner than the limit allows, there is nothing to measure.
    if until > last {
        return f64::NAN;
    }
    let taken = submitted_between(entries(), from, until) as f64;
    taken / (f64::from(plan.limit) * plan.seconds)
}
