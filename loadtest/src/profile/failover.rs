//! Lives here: the profile `failover`: two networks with two accounts each; under mixed load the first carrier of one
//! dies and the first carrier of the other hangs; later both come back. Never here: what other profiles share.

use std::{ops::Range, time::Duration};

use super::{
    Options, ProfileError,
    files::Account,
    inspect::Told,
    measure::{quantile_ms, waits},
    sheet::Sheet,
    stage::{Setup, Site, Stage},
    traffic::Traffic,
};
use crate::{
    ledger::Entry,
    networks::{NETWORKS, Network},
    smsc::{Presence, Receipts, Script, Span},
};

/// The network whose first carrier dies, and the one whose first carrier hangs. Marker m goes to network m modulo 2.
const PAIR: [Network; 2] = [NETWORKS[0], NETWORKS[1]];

/// Classes with their share of the load, in the order of their markers.
const MIX: [(&str, f64); 3] = [("otp", 0.4), ("transactional", 0.4), ("promotional", 0.2)];

/// After this a response is missing. A carrier that hangs cannot be noticed sooner by it.
const RESPONSE_MAX_S: f64 = 3.0;

/// An OTP in doubt is sent again after this, a transactional message after a minute.
const OTP_DOUBT_S: f64 = 5.0;
const DOUBT_MAX_S: f64 = 60.0;

/// OTP are on the other route after this.
const MOVED_S: f64 = 5.0;

/// With a shorter outage what waited for the end of it would still be in time.
const OUTAGE_MIN_S: f64 = 12.0;

const BEFORE_S: f64 = 8.0;
const AFTER_S: f64 = 30.0;

/// The share of the first account is judged in this time before the end.
const SETTLED_S: f64 = 5.0;

const SAMPLE: Duration = Duration::from_millis(500);

struct Plan {
    rate: f64,
    outage_s: f64,
    window: usize,
}

impl Plan {
    fn new(options: &Options) -> Self {
        Self {
            rate: options.rate.unwrap_or(300.0),
            outage_s: options
                .time_limit
                .map_or(20.0, |limit| limit.as_secs_f64().max(OUTAGE_MIN_S)),
            window: options.window.unwrap_or(50),
        }
    }

    fn total_s(&self) -> f64 {
        BEFORE_S + self.outage_s + AFTER_S
    }

    /// The markers of each class.
    fn markers(&self) -> [Range<u64>; 3] {
        let mut next = 0;
        MIX.map(|(_, share)| {
            let first = next;
            next += (self.rate * share * self.total_s()) as u64;
            first..next
        })
    }
}

pub(super) fn setup(options: &Options) -> Setup {
    let plan = Plan::new(options);
    let site = |network: Network, suffix| {
        let mut account = Account::of(network, plan.window).named(suffix);
        account.bind[0].response_timeout_ms = (RESPONSE_MAX_S * 1000.0) as u64;
        account.bind[0].enquire_link_s = 2;
        let script = Script {
            // So slow that there is always something under way.
            response_delay_ms: Span::fixed(100),
            receipts: Receipts {
                delay_ms: Span::fixed(200),
                ..Receipts::default()
            },
            ..Script::default()
        };
        Site::new(account, script)
    };
    let mut sites = vec![site(PAIR[0], "first"), site(PAIR[1], "first")];
    if !options.sabotage {
        sites.extend([site(PAIR[0], "second"), site(PAIR[1], "second")]);
    }
    Setup {
        sites,
        markers: plan.markers()[2].end,
        limit: Duration::from_secs_f64(plan.total_s() + 4.0 * DOUBT_MAX_S),
    }
}

pub(super) async fn drive(stage: &mut Stage<'_>, options: &Options) -> Result<Sheet, ProfileError> {
    let plan = Plan::new(options);
    let tenant = stage.tenant("bank").await?;
    let markers = plan.markers();
    let mut running = Vec::new();
    for ((class, share), markers) in MIX.into_iter().zip(&markers) {
        let rate = plan.rate * share;
        let traffic = Traffic::open(&tenant.key, class, &PAIR, markers.clone(), rate);
        running.push(stage.send(traffic));
    }
    let mut samples = Samples::default();
    samples.take(stage, BEFORE_S).await?;
    (stage.progress)("one carrier dies, another hangs");
    let fault = stage.now_us();
    stage.smscs[0].set_presence(Presence::Down);
    stage.smscs[1].set_presence(Presence::Hung);
    samples.take(stage, plan.outage_s).await?;
    (stage.progress)("both come back");
    let back = stage.now_us();
    for smsc in &stage.smscs[..2] {
        smsc.set_presence(Presence::Up);
    }
    samples.take(stage, AFTER_S).await?;
    let mut sent = Vec::new();
    for one in running {
        sent.push(one.done(stage).await?);
    }
    (stage.progress)("waiting for what is in doubt");
    // A resend of what the dead carrier had taken is a second submit, which nothing but time tells of.
    let resent = seconds(fault) + RESPONSE_MAX_S + DOUBT_MAX_S + 5.0;
    let left = (resent - seconds(stage.now_us())).max(0.0);
    stage.pause(Duration::from_secs_f64(left)).await?;
    let must_come = markers[0].start..markers[1].end;
    stage.submitted(must_come, Duration::from_secs(10)).await?;
    stage.quiet().await;

    let mut sheet = Sheet::new("failover");
    sheet.accepted(&sent.iter().collect::<Vec<_>>());
    judge_losses(stage, &plan, &tenant.key, &markers, &mut sheet).await?;
    judge_otp(stage, markers[0].clone(), fault, back, &mut sheet);
    if !options.sabotage {
        samples.judge(seconds(back), &mut sheet);
    }
    sheet.figure("messages_per_s", plan.rate);
    sheet.figure("outage_s", plan.outage_s);
    Ok(sheet)
}

fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

/// Nothing lost, and each duplicate marked.
async fn judge_losses(
    stage: &Stage<'_>,
    plan: &Plan,
    key: &str,
    markers: &[Range<u64>; 3],
    sheet: &mut Sheet,
) -> Result<(), ProfileError> {
    let promotional = markers[2].clone();
    let all: Vec<Entry> = stage.ledger.entries(0..u64::MAX).collect();
    let unsent = |entry: &&Entry| entry.accepted_us.is_some() && entry.submits == 0;
    let missing: Vec<Entry> = all.iter().filter(unsent).copied().collect();
    let twice: Vec<Entry> = all.into_iter().filter(|entry| entry.submits > 1).collect();
    let ids: Vec<_> = missing.iter().chain(&twice).map(|entry| entry.id).collect();
    let told = stage.told(key, &ids).await?;
    // Promotional is never sent again by itself: what hung with the carrier stays in doubt, and says so.
    let doubtful = |entry: &Entry| {
        let detail = told.get(&entry.id).map(|told| told.status_detail.as_str());
        promotional.contains(&entry.marker) && matches!(detail, Some("uncertain" | "unknown"))
    };
    let in_doubt = missing.iter().filter(|entry| doubtful(entry)).count();
    let unmarked = twice.iter().filter(|entry| {
        let marked = |told: &Told| told.possible_duplicate;
        !told.get(&entry.id).is_some_and(marked)
    });
    // One bind of each carrier in trouble.
    let windows = (PAIR.len() * plan.window) as f64;
    sheet.at_most("lost", (missing.len() - in_doubt) as f64, 0.0);
    sheet.at_most("promotional_in_doubt", in_doubt as f64, windows);
    sheet.at_most("duplicates", twice.len() as f64, windows);
    sheet.at_most("duplicates_unmarked", unmarked.count() as f64, 0.0);
    Ok(())
}

/// How soon OTP were on the other route.
fn judge_otp(stage: &Stage<'_>, otp: Range<u64>, fault: u64, back: u64, sheet: &mut Sheet) {
    let now = stage.now_us();
    let after = |time_s: f64| fault + (time_s * 1e6) as u64;
    let of = |network: u64, from: u64, until: u64| {
        let entries = stage.ledger.entries(otp.clone());
        let chosen = entries.filter(|entry| {
            let accepted = entry.accepted_us.unwrap_or(0);
            entry.marker % PAIR.len() as u64 == network && (from..until).contains(&accepted)
        });
        waits(chosen, now)
    };
    let quantile_s = |waits: &[u64], quantile| quantile_ms(waits, quantile) / 1000.0;
    let died = of(0, fault, back);
    sheet.at_most("otp_p99_s_after_death", quantile_s(&died, 0.99), MOVED_S);
    sheet.figure("otp_p50_s_after_death", quantile_s(&died, 0.5));
    // What was written to a carrier that hangs is in doubt: first the response must be missing, then comes the
    // wait of the class. Whatever is accepted after that meets a carrier that is known to hang.
    let known = after(RESPONSE_MAX_S + 2.0);
    let doubted = of(1, after(-0.2), known);
    let longest = RESPONSE_MAX_S + OTP_DOUBT_S + MOVED_S;
    sheet.at_most("otp_max_s_when_hanging", quantile_s(&doubted, 1.0), longest);
    let later = of(1, known, back);
    sheet.at_most("otp_p99_s_once_hanging", quantile_s(&later, 0.99), MOVED_S);
    sheet.figure("otp_p99_s_when_hanging", quantile_s(&doubted, 0.99));
}

/// A carrier that hung takes at once what still stood in its socket when it is back; that is no choice of the
/// daemon's.
const CAUGHT_UP_S: f64 = 1.0;

/// What each carrier had taken, again and again.
#[derive(Default)]
struct Samples(Vec<(f64, Vec<u64>)>);

impl Samples {
    async fn take(&mut self, stage: &mut Stage<'_>, time_s: f64) -> Result<(), ProfileError> {
        let end = seconds(stage.now_us()) + time_s;
        loop {
            let now = seconds(stage.now_us());
            let taken = stage.smscs.iter().map(|smsc| smsc.stats().accepted);
            self.0.push((now, taken.collect()));
            if now >= end {
                return Ok(());
            }
            stage.pause(SAMPLE).await?;
        }
    }

    /// The share of a network's first account in each step from `from_s` on.
    fn shares(&self, network: usize, from_s: f64) -> Vec<f64> {
        let steps = self.0.windows(2).filter(|pair| pair[0].0 >= from_s);
        let shares = steps.filter_map(|pair| {
            let taken = |site: usize| (pair[1].1[site] - pair[0].1[site]) as f64;
            let (first, second) = (taken(network), taken(network + PAIR.len()));
            (first + second > 0.0).then(|| first / (first + second))
        });
        shares.collect()
    }

    /// The first account has its share again, and got it at one go.
    fn judge(&self, back_s: f64, sheet: &mut Sheet) {
        let end = self.0.last().map_or(back_s, |(at, _)| *at);
        let names = [
            ("share_back_after_death", "switches_after_death"),
            ("share_back_after_hanging", "switches_after_hanging"),
        ];
        for (network, (share, switches)) in names.into_iter().enumerate() {
            let settled = self.shares(network, end - SETTLED_S);
            let mean = settled.iter().sum::<f64>() / settled.len() as f64;
            sheet.at_least(share, mean, 0.9);
            let turns = switched(&self.shares(network, back_s + CAUGHT_UP_S));
            sheet.at_most(switches, turns as f64, 1.0);
        }
    }
}

/// How often the majority changes.
fn switched(shares: &[f64]) -> usize {
    let majority = |share: &f64| *share >= 0.5;
    let pairs = shares.windows(2);
    pairs
        .filter(|pair| majority(&pair[0]) != majority(&pair[1]))
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_return_is_one_switch_and_flapping_is_more() {
        assert_eq!(switched(&[0.0, 0.0, 0.1, 1.0, 1.0]), 1);
        assert_eq!(switched(&[0.0, 0.9, 0.1, 1.0, 0.2]), 4);
        assert_eq!(switched(&[]), 0);
    }

    #[test]
    fn shares_are_those_of_each_step_and_of_one_network() {
        let samples = Samples(vec![
            (0.0, vec![0, 0, 0, 0]),
            (1.0, vec![10, 5, 0, 5]),
            (2.0, vec![10, 5, 30, 5]),
        ]);
        assert_eq!(samples.shares(0, 0.0), vec![1.0, 0.0]);
        assert_eq!(samples.shares(0, 1.0), vec![0.0]);
        assert_eq!(
            samples.shares(1, 0.0),
            vec![0.5],
            "a step without any says nothing"
        );
    }

    #[test]
    fn every_class_has_its_own_markers() {
        let plan = Plan::new(&Options::default());
        let markers = plan.markers();
        assert_eq!(markers[0].start, 0);
        assert_eq!(
            (markers[0].end, markers[1].end),
            (markers[1].start, markers[2].start)
        );
    }
}
