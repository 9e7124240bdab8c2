//! Lives here: what an outcome means for its message: [`Settler`] decides (pure), [`run`] commits
//! and then sends back what must be tried again.
//! Never here: lanes, PDUs, SQL.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::Config;
use crate::domain::class::Class;
use crate::domain::ids::{MessageSeq, Place};
use crate::domain::lifecycle::{self, DoubtPolicy, SegmentState};
use crate::domain::message::{FailureCode, Message, State};
use crate::domain::proof::ToldBy;
use crate::domain::time::Timestamp;
use crate::domain::verdict::{AfterRetries, Retry, Verdict};
use crate::flow::{
    Answer, AttemptRecord, Outcome, Parts, Ready, Return, Settlement, Transition, Tried,
};
use crate::store::{Carriers, Store};
use crate::telemetry::metrics::receipts::Resolved;
use crate::telemetry::metrics::scheduler as meter;

/// Outcomes in one settlement at most.
const BATCH_MAX: usize = 512;

/// Commits outcomes until all binds have gone.
pub async fn run(
    config: Config,
    store: Store,
    carriers: Arc<Carriers>,
    mut outcomes: mpsc::Receiver<Vec<Outcome>>,
    returns: mpsc::Sender<Return>,
) {
    let mut settler = Settler::new(config.attempts_max);
    let lanes = lane_meters(&carriers);
    let resolved = resolved_meter(&carriers);
    let mut gathered = Vec::new();
    while let Some(first) = outcomes.recv().await {
        gathered.extend(first);
        while gathered.len() < BATCH_MAX
            && let Ok(more) = outcomes.try_recv()
        {
            gathered.extend(more);
        }
        let mut decided = Decided::default();
        let now = Instant::now();
        for outcome in gathered.drain(..) {
            measure(&lanes, &outcome);
            measure_late(&resolved, &carriers, &outcome);
            settler.decide(outcome, now, &mut decided);
        }
        if !decided.settlement.is_empty() && store.settle(decided.settlement).await.is_err() {
            // The writer has gone: the store still holds these messages as intended, and the
            // next start finds them in doubt.
            return;
        }
        for again in decided.returns {
            if returns.send(again).await.is_err() {
                return;
            }
        }
    }
}

/// Handles for attempts in doubt that were answered after all.
fn resolved_meter(carriers: &Carriers) -> Resolved {
    let names: Vec<&str> = carriers.ids().iter().map(|id| &*id.0).collect();
    Resolved::new(&names, ToldBy::ALL.map(ToldBy::name))
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
    let lane = &lanes[message.carrier.index()][message.class.index()];
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
    let sent = matches!(outcome.answer, Answer::Accepted { .. } | Answer::InDoubt);
    if outcome.ready.possible_duplicate && sent && outcome.part == 1 {
        lane.possible_duplicate();
    }
}

/// What has been decided of a batch of outcomes.
#[derive(Debug, Default)]
pub struct Decided {
    /// To be committed.
    pub settlement: Settlement,
    /// To be sent back once it is.
    pub returns: Vec<Return>,
}

/// How far a message of several segments has come in its present attempt.
struct Progress {
    open: u32,
    accepted: Parts,
    doubtful: bool,
    retry: Option<Duration>,
    failed: Option<(FailureCode, Box<str>)>,
    /// The carrier's errors count, and bound how often they are tried again.
    passing: Option<Retry>,
}

/// Decides what outcomes mean. Keeps what it must know of messages of several segments.
pub struct Settler {
    attempts_max: u16,
    several: HashMap<MessageSeq, Progress>,
}

impl Settler {
    /// A settler that lets carriers answer `attempts_max` times with a passing error.
    pub fn new(attempts_max: u16) -> Self {
        Self {
            attempts_max,
            several: HashMap::new(),
        }
    }

    /// Decides one outcome.
    pub fn decide(&mut self, outcome: Outcome, now: Instant, decided: &mut Decided) {
        if let Some(record) = attempt_record(&outcome) {
            decided.settlement.attempts.push(record);
        }
        decided.settlement.closed_intents.extend(outcome.closes);
        if is_late(&outcome.answer) {
            return late(outcome, now, decided);
        }
        if matches!(outcome.answer, Answer::Expired) {
            let at = outcome.answered_at;
            return conclude(
                &outcome.ready,
                State::Expired,
                at,
                (FailureCode::Expired, None),
                decided,
            );
        }
        let seq = outcome.ready.message.seq;
        let progress = self.several.entry(seq).or_insert_with(|| Progress {
            open: outcome.ready.parts.count(),
            accepted: Parts(0),
            doubtful: false,
            retry: None,
            failed: None,
            passing: None,
        });
        progress.take(&outcome);
        if progress.open == 0
            && let Some(progress) = self.several.remove(&seq)
        {
            self.finish(&outcome, progress, now, decided);
        }
        debug_assert!(
            self.several.values().all(|progress| progress.open > 0),
            "finished ones are gone"
        );
    }

    /// All segments of this attempt have their outcome.
    fn finish(&self, last: &Outcome, progress: Progress, now: Instant, decided: &mut Decided) {
        let ready = &last.ready;
        let at = last.answered_at;
        let left = Parts(ready.parts.0 & !progress.accepted.0);
        if let Some((code, detail)) = progress.failed {
            return conclude(ready, State::Rejected, at, (code, Some(detail)), decided);
        }
        if progress.doubtful {
            return doubt(ready, left, at, now, decided);
        }
        let Some(delay) = progress.retry else {
            return taken(ready, at, decided);
        };
        if let Some(retry) = progress.passing
            && ready.attempt >= self.attempts_max.min(u16::from(retry.attempts) + 1)
        {
            let (AfterRetries::OtherRoute(code) | AfterRetries::Permanent(code)) = retry.then;
            let failure = (code, Some("too many attempts".into()));
            return conclude(ready, State::Rejected, at, failure, decided);
        }
        let attempt = ready.attempt + u16::from(progress.passing.is_some());
        let again = Ready {
            parts: left,
            attempt,
            ..ready.clone()
        };
        decided.returns.push(Return::Again {
            ready: again,
            at: now + delay,
            in_doubt: false,
        });
    }
}

impl Progress {
    fn take(&mut self, outcome: &Outcome) {
        self.open = self.open.saturating_sub(1);
        match &outcome.answer {
            Answer::Accepted { .. } => self.accepted.insert(outcome.part),
            Answer::Refused {
                verdict, status, ..
            } => match verdict {
                Verdict::Accepted => self.accepted.insert(outcome.part),
                Verdict::Retry(retry) => {
                    self.again(retry.next(outcome.ready.attempt).unwrap_or(retry.after));
                    // Of several segments the one that may be tried least often decides.
                    let least = self.passing.map_or(u8::MAX, |known| known.attempts);
                    if retry.attempts < least || self.passing.is_none() {
                        self.passing = Some(*retry);
                    }
                }
                Verdict::SlowDown(delay) => self.again(*delay),
                Verdict::Session => self.again(Duration::from_secs(1)),
                Verdict::AfterAcceptance => self.doubtful = true,
                Verdict::OtherRoute(code) | Verdict::Permanent(code) => {
                    self.failed = Some((*code, format!("command_status 0x{status:08X}").into()));
                }
            },
            Answer::NotSent => self.again(Duration::ZERO),
            Answer::InDoubt => self.doubtful = true,
            Answer::Expired => {}
        }
    }

    fn again(&mut self, delay: Duration) {
        self.retry = Some(self.retry.map_or(delay, |known| known.max(delay)));
    }
}

fn is_late(answer: &Answer) -> bool {
    matches!(
        answer,
        Answer::Accepted { late: true, .. } | Answer::Refused { late: true, .. }
    )
}

/// The answer to an attempt that was already given up as in doubt. A resend may wait, be under way
/// or have been answered meanwhile, so a late answer starts nothing: what was taken is not resent
/// if it still waits, and what was refused leaves the resend to speak for the message. Only where
/// the class never resends is a late refusal the last word.
fn late(outcome: Outcome, now: Instant, decided: &mut Decided) {
    let message = &outcome.ready.message;
    let at = outcome.answered_at;
    match outcome.answer {
        Answer::Accepted { .. } => {
            decided
                .returns
                .push(Return::Taken(message.seq, outcome.part));
            // Of several segments the store knows which are still in doubt.
            if message.segments == 1 {
                taken(&outcome.ready, at, decided);
            }
        }
        Answer::Refused { verdict, .. }
            if lifecycle::in_doubt(message.class) == DoubtPolicy::Hold && message.segments == 1 =>
        {
            match verdict {
                Verdict::OtherRoute(code) | Verdict::Permanent(code) => {
                    conclude(&outcome.ready, State::Rejected, at, (code, None), decided);
                }
                Verdict::Retry(Retry { after: delay, .. }) | Verdict::SlowDown(delay) => {
                    again(outcome, now + delay, decided);
                }
                Verdict::Session | Verdict::Accepted => again(outcome, now, decided),
                // As much in doubt as before.
                Verdict::AfterAcceptance => {}
            }
        }
        Answer::Refused { .. } | Answer::NotSent | Answer::InDoubt | Answer::Expired => {}
    }
}

/// Known not to have been taken: back to the lane as its next attempt.
fn again(outcome: Outcome, at: Instant, decided: &mut Decided) {
    decided.settlement.transitions.push(Transition {
        message: Arc::clone(&outcome.ready.message),
        to: State::Queued,
        at: outcome.answered_at,
        sent_at: None,
        failure: None,
        detail: None,
        possible_duplicate: false,
    });
    let attempt = outcome.ready.attempt + 1;
    let ready = Ready {
        attempt,
        ..outcome.ready
    };
    decided.returns.push(Return::Again {
        ready,
        at,
        in_doubt: false,
    });
}

fn taken(ready: &Ready, at: Timestamp, decided: &mut Decided) {
    decided.settlement.transitions.push(Transition {
        message: Arc::clone(&ready.message),
        to: State::Submitted,
        at,
        sent_at: Some(at),
        failure: None,
        detail: None,
        possible_duplicate: ready.possible_duplicate,
    });
}

fn conclude(
    ready: &Ready,
    to: State,
    at: Timestamp,
    (failure, detail): (FailureCode, Option<Box<str>>),
    decided: &mut Decided,
) {
    decided.settlement.transitions.push(Transition {
        message: Arc::clone(&ready.message),
        to,
        at,
        sent_at: None,
        failure: Some(failure),
        detail,
        possible_duplicate: ready.possible_duplicate,
    });
}

/// In doubt is not failed: the class decides, and a message is resent once at most.
fn doubt(ready: &Ready, left: Parts, at: Timestamp, now: Instant, decided: &mut Decided) {
    decided.settlement.transitions.push(Transition {
        message: Arc::clone(&ready.message),
        to: State::Uncertain,
        at,
        sent_at: None,
        failure: None,
        detail: None,
        possible_duplicate: ready.possible_duplicate,
    });
    if let Some((ready, delay)) = resend(
        &ready.message,
        left,
        ready.attempt,
        ready.possible_duplicate,
    ) {
        decided.returns.push(Return::Again {
            ready,
            at: now + delay,
            in_doubt: true,
        });
    }
}

/// The one resend that a message in doubt may have, and after how long.
pub(super) fn resend(
    message: &Arc<Message>,
    parts: Parts,
    attempts: u16,
    resent: bool,
) -> Option<(Ready, Duration)> {
    match lifecycle::in_doubt(message.class) {
        DoubtPolicy::ResendAfter(delay) if !resent => {
            let ready = Ready {
                message: Arc::clone(message),
                carrier: message.carrier,
                place: Place(0),
                tried: Tried::new(),
                parts,
                attempt: attempts + 1,
                possible_duplicate: true,
            };
            Some((ready, delay))
        }
        DoubtPolicy::ResendAfter(_) | DoubtPolicy::Hold => None,
    }
}

/// The row for an outcome. Being throttled or never written is no attempt.
fn attempt_record(outcome: &Outcome) -> Option<AttemptRecord> {
    let (state, status, id) = match &outcome.answer {
        Answer::Accepted {
            raw_id, normalised, ..
        } => {
            let id = (!raw_id.is_empty()).then(|| (raw_id.clone(), normalised.clone()));
            (SegmentState::Submitted, Some(0), id)
        }
        Answer::Refused {
            verdict: Verdict::SlowDown(_) | Verdict::Session,
            late: false,
            ..
        } => {
            return None;
        }
        Answer::Refused {
            verdict: Verdict::AfterAcceptance,
            status,
            ..
        } => (SegmentState::InDoubt, Some(*status), None),
        Answer::Refused { status, .. } => (SegmentState::Refused, Some(*status), None),
        Answer::InDoubt => (SegmentState::InDoubt, None, None),
        Answer::NotSent | Answer::Expired => return None,
    };
    Some(AttemptRecord {
        message: Arc::clone(&outcome.ready.message),
        part: outcome.part,
        attempt: outcome.ready.attempt,
        carrier: outcome.carrier.clone(),
        bind: outcome.bind.clone(),
        sequence: outcome.sequence,
        submitted_at: outcome.submitted_at,
        answered_at: outcome.answered_at,
        state,
        status,
        carrier_message_id: id,
    })
}

#[cfg(test)]
#[path = "settle_tests.rs"]
pub(super) mod tests;
