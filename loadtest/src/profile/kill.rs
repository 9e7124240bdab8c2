//! Lives here: the profile `pg-kill`: under load, PostgreSQL is killed with SIGKILL again and again and started again
//! after a while; nothing may be lost or applied twice. Never here: what other profiles share.

use std::{ops::Range, time::Duration};

use mnara_privatepg::Blow;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use uuid::Uuid;

use super::{
    Options, ProfileError,
    files::Account,
    inspect::Told,
    sheet::Sheet,
    stage::{Reading, Setup, Site, Stage},
    traffic::Traffic,
};
use crate::{
    http::HttpReport,
    ledger::{Entry, Notified},
    networks::{NETWORKS, Network},
    smsc::{Receipts, Script, Span},
};

/// Each class has half of the load. Marker m goes to network m modulo 2.
const CLASSES: [&str; 2] = ["otp", "transactional"];
const PAIR: [Network; 2] = [NETWORKS[0], NETWORKS[1]];

/// The moments of all runs are the same.
const SEED: u64 = 5;

/// Load before a kill, and how long the server is then away, in milliseconds.
const BEFORE_MS: (u64, u64) = (2_000, 5_000);
const AWAY_MS: (u64, u64) = (200, 3_000);

/// Load is planned with this for the server's recovery after each kill.
const RECOVERY: Duration = Duration::from_secs(2);

/// And goes on for this after the last one.
const AFTER: Duration = Duration::from_secs(5);

/// Once the server lets sessions in, messages are accepted again after this.
const RESUMED_MAX_S: f64 = 10.0;

/// A transactional message in doubt waits for proof for a minute; each wait gives up after 20 s without movement.
const WAITS: usize = 4;

/// One loss of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Strike {
    after: Duration,
    away: Duration,
    blow: Blow,
}

/// When a strike fell and when the server was back, in microseconds on the ledger's clock.
struct Struck {
    fell_us: u64,
    back_us: u64,
}

struct Plan {
    rate: f64,
    strikes: Vec<Strike>,
}

impl Plan {
    fn new(options: &Options) -> Self {
        let mut rng = StdRng::seed_from_u64(SEED);
        let mut between =
            |(least, most): (u64, u64)| Duration::from_millis(rng.random_range(least..=most));
        let strikes = (0..options.kills.unwrap_or(10).max(1)).map(|number| Strike {
            after: between(BEFORE_MS),
            away: between(AWAY_MS),
            blow: if number % 2 == 0 {
                Blow::Everything
            } else {
                Blow::Postmaster
            },
        });
        Self {
            strikes: strikes.collect(),
            rate: options.rate.unwrap_or(400.0),
        }
    }

    fn total(&self) -> Duration {
        let each = |strike: &Strike| strike.after + strike.away + RECOVERY;
        self.strikes.iter().map(each).sum::<Duration>() + AFTER
    }

    /// The markers of each class.
    fn markers(&self) -> [Range<u64>; 2] {
        let each = (self.rate / 2.0 * self.total().as_secs_f64()) as u64;
        [0..each, each..2 * each]
    }

    /// A marker that nobody sends.
    fn pretended(&self) -> u64 {
        self.markers()[1].end
    }
}

pub(super) fn setup(options: &Options) -> Setup {
    let plan = Plan::new(options);
    let site = |network| {
        let script = Script {
            // So slow that there is always something under way.
            response_delay_ms: Span::between(5, 60),
            receipts: Receipts {
                delay_ms: Span::fixed(100),
                ..Receipts::default()
            },
            ..Script::default()
        };
        Site::new(Account::of(network, options.window.unwrap_or(50)), script)
    };
    Setup {
        sites: PAIR.map(site).into(),
        markers: plan.pretended() + 1,
        limit: plan.total() * 3 + Duration::from_secs(300),
    }
}

pub(super) async fn drive(stage: &mut Stage<'_>, options: &Options) -> Result<Sheet, ProfileError> {
    let plan = Plan::new(options);
    let tenant = stage.tenant("bank").await?;
    stage.hook.set_secret(&tenant.org.webhook_secret);
    let mut running = Vec::new();
    for (class, markers) in CLASSES.into_iter().zip(plan.markers()) {
        let traffic = Traffic::open(&tenant.key, class, &PAIR, markers, plan.rate / 2.0);
        running.push(stage.send(Traffic {
            webhook_url: Some(stage.hook.url()),
            ..traffic
        }));
    }
    let binds = binds_made(stage);
    let mut struck = Vec::new();
    for strike in &plan.strikes {
        stage.pause(strike.after).await?;
        (stage.progress)(&format!(
            "kill -9, {:?}, for {:?}",
            strike.blow, strike.away
        ));
        let fell_us = stage.now_us();
        stage.store.kill9(strike.blow).await?;
        stage.pause(strike.away).await?;
        stage.store.restart().await?;
        let back_us = stage.now_us();
        struck.push(Struck { fell_us, back_us });
    }
    let mut sent = Vec::new();
    for one in running {
        sent.push(one.done(stage).await?);
    }
    if options.sabotage {
        let now = std::time::Instant::now();
        stage.ledger.accept(plan.pretended(), Uuid::max(), now);
    }
    (stage.progress)("waiting for what is under way or in doubt");
    let accepted = sent.iter().map(|one| one.accepted).sum();
    let arrived = |now: &Reading| {
        let stations = [now.totals.receipted, now.hook.sent, now.hook.delivered];
        stations.into_iter().all(|count| count >= accepted)
    };
    for _ in 0..WAITS {
        stage.drained(arrived).await?;
    }
    stage.quiet().await;

    let mut sheet = Sheet::new("pg-kill");
    let wanted = plan.strikes.len() as f64;
    sheet.at_least("kills", struck.len() as f64, wanted);
    judge_answers(&sent, &mut sheet);
    judge_messages(stage, &tenant.key, &sent, &mut sheet).await?;
    judge_resumption(stage, &struck, &mut sheet);
    let lost_binds = binds_made(stage) - binds;
    sheet.at_most("binds_lost", lost_binds as f64, 0.0);
    sheet.figure("offered_per_s", plan.rate);
    Ok(sheet)
}

fn binds_made(stage: &Stage<'_>) -> u64 {
    stage.smscs.iter().map(|smsc| smsc.stats().binds).sum()
}

/// A request is answered, with yes or with "later".
fn judge_answers(sent: &[HttpReport], sheet: &mut Sheet) {
    let of = |status: u16| -> u64 {
        let counts = sent.iter().map(|one| one.statuses.get(&status).copied());
        counts.flatten().sum()
    };
    let answers: u64 = sent.iter().flat_map(|one| one.statuses.values()).sum();
    let errors: u64 = sent.iter().map(|one| one.errors).sum();
    sheet.at_least("accepted", of(201) as f64, 1.0);
    sheet.figure("answered_503", of(503) as f64);
    sheet.at_most(
        "answered_otherwise",
        (answers - of(201) - of(503)) as f64,
        0.0,
    );
    sheet.at_most("unanswered", errors as f64, 0.0);
    if let Some(error) = sent.iter().find_map(|one| one.first_error.clone()) {
        sheet.note("first_error", error.into());
    }
}

/// Every 201 has ended well, at the carrier, at the webhook and in the store; nothing went twice unmarked.
async fn judge_messages(
    stage: &Stage<'_>,
    key: &str,
    sent: &[HttpReport],
    sheet: &mut Sheet,
) -> Result<(), ProfileError> {
    let found = stage.ledger.compare(0..u64::MAX, true, |id| {
        let seen = stage.hook.seen(id);
        Notified {
            complete: seen.sent && seen.delivered,
            doubled: seen.doubled,
        }
    });
    let all: Vec<Entry> = stage.ledger.entries(0..u64::MAX).collect();
    let accepted: Vec<&Entry> = all.iter().filter(|one| one.accepted_us.is_some()).collect();
    let ids: Vec<Uuid> = accepted.iter().map(|entry| entry.id).collect();
    let told = stage.told(key, &ids).await?;
    let unended = accepted.iter().filter(|entry| {
        let delivered = |told: &Told| told.status_detail == "delivered";
        !told.get(&entry.id).is_some_and(delivered)
    });
    let twice = accepted.iter().filter(|entry| entry.submits > 1);
    let unmarked = twice.clone().filter(|entry| {
        let marked = |told: &Told| told.possible_duplicate;
        !told.get(&entry.id).is_some_and(marked)
    });
    let contradicted = ids.iter().filter(|id| {
        let seen = stage.hook.seen(**id);
        seen.delivered && seen.failed
    });
    let hook = stage.hook.counts();
    let wrong = hook.bad_signatures + hook.unreadable + hook.untracked;
    let unanswered: u64 = sent.iter().map(|one| one.errors).sum();
    sheet.at_most("lost", found.lost as f64, 0.0);
    sheet.at_most("not_delivered_in_store", unended.count() as f64, 0.0);
    sheet.figure("duplicates", twice.count() as f64);
    sheet.at_most("duplicates_unmarked", unmarked.count() as f64, 0.0);
    sheet.at_most("webhooks_doubled", found.notified_twice as f64, 0.0);
    sheet.at_most("webhooks_contradicted", contradicted.count() as f64, 0.0);
    sheet.at_most("wrong_webhooks", wrong as f64, 0.0);
    sheet.figure("webhook_repeats", hook.repeats as f64);
    // A request without an answer may have been accepted; a 503 says that it was not.
    let without = found.submitted_unaccepted as f64;
    sheet.at_most("submitted_without_201", without, unanswered as f64);
    Ok(())
}

/// How long each loss lasted, and how soon after it messages were accepted again.
fn judge_resumption(stage: &Stage<'_>, struck: &[Struck], sheet: &mut Sheet) {
    let entries = stage.ledger.entries(0..u64::MAX);
    let mut accepts: Vec<u64> = entries.filter_map(|entry| entry.accepted_us).collect();
    accepts.sort_unstable();
    let resumed: Vec<f64> = struck
        .iter()
        .map(|one| resumed_s(&accepts, one.back_us))
        .collect();
    let away = struck
        .iter()
        .map(|one| (one.back_us - one.fell_us) as f64 / 1e6);
    // Not a number, which never passes, where nothing was accepted any more.
    let longest = resumed.iter().copied().fold(0.0, worst);
    sheet.at_most("resumed_s_max", longest, RESUMED_MAX_S);
    sheet.note("resumed_s", resumed.into());
    sheet.note("away_s", away.collect::<Vec<_>>().into());
}

/// `f64::max` would take a number for larger than none.
fn worst(one: f64, other: f64) -> f64 {
    if one.is_nan() || one > other {
        one
    } else {
        other
    }
}

/// From the server's return to the next 201. Sorted times.
fn resumed_s(accepts: &[u64], back_us: u64) -> f64 {
    let next = accepts.partition_point(|at| *at < back_us);
    let next = accepts.get(next).copied();
    next.map_or(f64::NAN, |at| (at - back_us) as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_moments_are_seeded_within_their_bounds_and_both_blows_fall() {
        let plan = Plan::new(&Options::default());
        assert_eq!(plan.strikes, Plan::new(&Options::default()).strikes);
        let within = |time: Duration, (least, most): (u64, u64)| {
            (least..=most).contains(&(time.as_millis() as u64))
        };
        for strike in &plan.strikes {
            assert!(within(strike.after, BEFORE_MS) && within(strike.away, AWAY_MS));
        }
        for blow in [Blow::Everything, Blow::Postmaster] {
            assert!(plan.strikes.iter().any(|strike| strike.blow == blow));
        }
        assert_eq!(plan.strikes.len(), 10);
    }

    #[test]
    fn resumption_counts_from_the_servers_return_and_never_is_no_number() {
        assert_eq!(resumed_s(&[1, 2_000_000, 3_500_000], 3_000_000), 0.5);
        assert_eq!(resumed_s(&[1, 3_000_000], 3_000_000), 0.0);
        assert!(resumed_s(&[1], 3_000_000).is_nan());
        assert!([1.0, f64::NAN, 2.0].into_iter().fold(0.0, worst).is_nan());
        assert_eq!([1.0, 3.0, 2.0].into_iter().fold(0.0, worst), 3.0);
    }
}
