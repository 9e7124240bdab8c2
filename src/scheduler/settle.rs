//! Lives here: the task that commits what outcomes mean (`decide`) and then sends back what must
//! be tried again; it also resends what is in doubt, this run's and the last one's.
//! Never here: deciding, lanes, PDUs, SQL.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Config;
use super::decide::{Decided, Settler, View};
use super::feed::Links;
use crate::domain::class::Class;
use crate::domain::ids::MessageSeq;
use crate::domain::proof::ToldBy;
use crate::domain::route::Ask;
use crate::domain::verdict::Verdict;
use crate::flow::{Answer, Outcome, Ready, Return, Waiting};
use crate::store::{Carriers, StoreError};
use crate::telemetry::metrics::receipts::Resolved;
use crate::telemetry::metrics::scheduler as meter;

/// Outcomes in one settlement at most.
const BATCH_MAX: usize = 512;
/// Messages in doubt that are read at a time.
const DOUBT_PAGE: u32 = 1_000;
/// How long a read that failed is left alone.
const READ_AGAIN: Duration = Duration::from_secs(1);
/// How long the task sleeps at most.
const IDLE: Duration = Duration::from_secs(3_600);

/// What the last run left in doubt, being read. Until it is, nothing is resent: a page might show
/// a message whose resend is on its way.
type Reading = JoinSet<Result<Vec<Waiting>, StoreError>>;

/// Commits outcomes until all binds have gone.
pub async fn run(
    config: Config,
    links: Links,
    mut outcomes: mpsc::Receiver<Vec<Outcome>>,
    returns: mpsc::Sender<Return>,
) {
    let mut settler = Settler::new(&config);
    let meters = Meters::new(&links.carriers);
    let mut gathered = Vec::new();
    let mut reading = Reading::new();
    read(&mut reading, &links, MessageSeq(0), Duration::ZERO);
    let (mut after, mut told) = (MessageSeq(0), false);
    loop {
        let idle = Instant::now() + IDLE;
        let due = settler.next_due().filter(|_| reading.is_empty());
        let due = due.unwrap_or(idle);
        // Every branch only takes from a queue or a timer: dropping one loses nothing. The reading
        // is first: outcomes may come without a pause, and until it has ended nothing is resent.
        tokio::select! {
            biased;
            Some(page) = reading.join_next() => {
                let wait = match page {
                    Ok(Ok(page)) => {
                        let last = page.last().map(|last| last.message.seq);
                        let full = page.len() == DOUBT_PAGE as usize;
                        let now = Instant::now();
                        page.into_iter().for_each(|one| settler.recover(one, now));
                        let Some(last) = last.filter(|_| full) else { continue };
                        after = last;
                        Duration::ZERO
                    }
                    Ok(Err(error)) => {
                        if !std::mem::replace(&mut told, true) {
                            tracing::error!(%error, "reading messages in doubt failed; trying until it works");
                        }
                        READ_AGAIN
                    }
                    Err(_) => READ_AGAIN,
                };
                read(&mut reading, &links, after, wait);
                continue;
            }
            first = outcomes.recv() => {
                let Some(first) = first else { return };
                gathered.extend(first);
            }
            () = tokio::time::sleep_until(due.into()) => {}
        }
        while gathered.len() < BATCH_MAX
            && let Ok(more) = outcomes.try_recv()
        {
            gathered.extend(more);
        }
        let decided = decide(
            &mut settler,
            &links,
            &meters,
            &mut gathered,
            reading.is_empty(),
        );
        if commit(&links, decided, &returns).await.is_err() {
            // The writer has gone: the store still holds these messages as intended, and the
            // next start finds them in doubt.
            return;
        }
    }
}

fn read(reading: &mut Reading, links: &Links, after: MessageSeq, wait: Duration) {
    let store = links.store.clone();
    reading.spawn(async move {
        tokio::time::sleep(wait).await;
        store.in_doubt(after, DOUBT_PAGE).await
    });
}

fn decide(
    settler: &mut Settler,
    links: &Links,
    meters: &Meters,
    outcomes: &mut Vec<Outcome>,
    may_resend: bool,
) -> Decided {
    let wall = (links.now)();
    let choose = |ready: &Ready| {
        let ask = Ask::from(&*ready.message);
        let choice = links.routes.choose(&ask, &ready.tried, wall)?;
        Some((choice.carrier, choice.available))
    };
    let view = View {
        now: Instant::now(),
        wall,
        choose: &choose,
    };
    let mut decided = Decided::default();
    for outcome in outcomes.drain(..) {
        measure(&meters.lanes, &outcome);
        measure_late(&meters.resolved, &links.carriers, &outcome);
        settler.decide(&outcome, &view, &mut decided);
    }
    if may_resend {
        settler.due(&view, &mut decided);
    }
    decided
}

async fn commit(
    links: &Links,
    decided: Decided,
    returns: &mpsc::Sender<Return>,
) -> Result<(), StoreError> {
    for reroute in &decided.settlement.reroutes {
        let (from, to) = (reroute.ready.carrier, reroute.to);
        let doubt = reroute.ready.possible_duplicate;
        if from != to {
            let (from, to) = (links.carriers.text(from), links.carriers.text(to));
            let reason = if doubt { "doubt" } else { "refused" };
            meter::failover(&from, &to, reroute.ready.message.class.name(), reason);
        }
    }
    if !decided.settlement.is_empty() {
        links.store.settle(decided.settlement).await?;
    }
    for again in decided.returns {
        returns.send(again).await.map_err(|_| StoreError::Closed)?;
    }
    Ok(())
}

/// What is counted of outcomes.
struct Meters {
    lanes: Vec<[meter::Lane; 3]>,
    /// Attempts in doubt that were answered after all.
    resolved: Resolved,
}

impl Meters {
    fn new(carriers: &Carriers) -> Self {
        let names: Vec<&str> = carriers.ids().iter().map(|id| &*id.0).collect();
        Self {
            lanes: lane_meters(carriers),
            resolved: Resolved::new(&names, ToldBy::ALL.map(ToldBy::name)),
        }
    }
}

fn measure_late(resolved: &Resolved, carriers: &Carriers, outcome: &Outcome) {
    let told_by = match outcome.answer {
        Answer::Accepted { late: true, .. } => ToldBy::LateResponse,
        Answer::Refused { late: true, .. } => ToldBy::LateRefusal,
        Answer::Accepted { late: false, .. }
        | Answer::Refused { late: false, .. }
        | Answer::NotSent
        | Answer::InDoubt
        | Answer::Expired => return,
    };
    if let Some(carrier) = carriers.index(&outcome.carrier.0) {
        resolved.count(carrier.index(), told_by.place());
    }
}

/// Handles for every lane, by account and class.
pub(super) fn lane_meters(carriers: &Carriers) -> Vec<[meter::Lane; 3]> {
    let lanes = |id: &str| Class::ALL.map(|class| meter::Lane::new(id, class.name()));
    carriers.ids().iter().map(|id| lanes(&id.0)).collect()
}

fn measure(lanes: &[[meter::Lane; 3]], outcome: &Outcome) {
    let message = &outcome.ready.message;
    let Some(lanes) = lanes.get(outcome.ready.carrier.index()) else {
        return;
    };
    let lane = &lanes[message.class.index()];
    match &outcome.answer {
        Answer::Accepted { .. } if outcome.part == 1 => {
            lane.submitted(outcome.submitted_at.since(message.accepted_at));
        }
        Answer::Refused {
            verdict: Verdict::SlowDown(_),
            ..
        } => lane.retried("throttled"),
        Answer::Refused {
            verdict: Verdict::Retry(_),
            ..
        } => lane.retried("error"),
        Answer::Refused {
            verdict: Verdict::Session,
            ..
        } => lane.retried("session"),
        Answer::NotSent => lane.retried("not_sent"),
        Answer::InDoubt
        | Answer::Refused {
            verdict: Verdict::AfterAcceptance,
            ..
        } => lane.retried("in_doubt"),
        Answer::Accepted { .. } | Answer::Refused { .. } | Answer::Expired => {}
    }
    // Once for each attempt, whichever of its parts are left to go: a late yes was counted in doubt.
    let first = outcome.ready.parts.iter().next() == Some(outcome.part);
    let sent = matches!(
        outcome.answer,
        Answer::Accepted { late: false, .. } | Answer::InDoubt
    );
    if outcome.ready.possible_duplicate && sent && first {
        lane.possible_duplicate();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::decide::tests::{outcome, ready};
    use super::*;
    use crate::domain::ids::{CarrierId, CarrierIndex};
    use crate::domain::message::{Message, State};
    use crate::domain::time::Timestamp;
    use crate::flow::health::Health;
    use crate::flow::routes::Routes;
    use crate::flow::routes::tests::two_of_a_network;
    use crate::flow::{Settlement, Transition};
    use crate::store;

    #[tokio::test]
    async fn what_is_in_doubt_is_resent_although_outcomes_come_without_a_pause() {
        let folder = tempfile::tempdir().unwrap();
        let stored = store::Config {
            url: format!("sqlite:{}/mnara.db", folder.path().display()),
            ..store::Config::default()
        };
        let ids = ["first", "second"].map(|id| CarrierId(id.into())).to_vec();
        let (committed_to, mut committed) = mpsc::channel(16);
        let events = mpsc::channel(16).0;
        let opened = store::open(&stored, ids.clone(), committed_to, events)
            .await
            .unwrap();
        let stop = tokio_util::sync::CancellationToken::new();
        let mut tasks = JoinSet::new();
        let (writer, stopped) = (opened.writer, stop.clone());
        tasks.spawn(async move { writer.run(stopped).await.unwrap() });
        let message = Message::clone(&ready(1, 1).message);
        opened.store.accept(message).await.unwrap();
        let message = committed.recv().await.unwrap().messages.remove(0).message;
        let doubt = Settlement {
            transitions: vec![Transition {
                message: Arc::clone(&message),
                carrier: CarrierIndex(0),
                to: State::Uncertain,
                at: Timestamp(2_000),
                sent_at: None,
                failure: None,
                detail: None,
                possible_duplicate: false,
            }],
            ..Settlement::default()
        };
        opened.store.settle(doubt).await.unwrap();

        let config = Config {
            resend_after: [Some(Duration::from_millis(100)); 3],
            ..Config::default()
        };
        let health = Arc::new(Health::new(2, config.patience));
        let links = Links {
            store: opened.store,
            routes: Arc::new(Routes::new(two_of_a_network(), health)),
            carriers: Arc::new(Carriers::new(ids)),
            now: || Timestamp(2_200),
        };
        let (outcomes_to, outcomes) = mpsc::channel(2 * BATCH_MAX);
        let (returns_to, mut returns) = mpsc::channel(4 * BATCH_MAX);
        tasks.spawn(run(config, links, outcomes, returns_to));
        tasks.spawn(async move { while returns.recv().await.is_some() {} });
        let flood = tokio::spawn(async move {
            let unsent = ready(99, 1);
            loop {
                // With something to commit, so that the next ones are there when it is done.
                let outcome = outcome(&unsent, 1, Answer::NotSent);
                if outcomes_to.send(vec![outcome]).await.is_err() {
                    return;
                }
            }
        });
        let resent = tokio::time::timeout(Duration::from_secs(20), committed.recv()).await;
        let resent = resent.expect("it is resent").unwrap().messages.remove(0);
        assert_eq!(resent.message.seq, message.seq);
        assert!(resent.possible_duplicate);
        flood.abort();
        stop.cancel();
        while tasks.join_next().await.is_some() {}
    }
}
