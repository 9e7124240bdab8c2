//! Lives here: what an outcome means for its message: submitted, tried again, sent elsewhere, in
//! doubt, or at its end. Pure: accounts are chosen by the question that the caller brings.
//! Never here: committing (`settle`), which of several doubts are open (`doubt`), clocks.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Config;
use super::doubt::{Doubts, Failure, No, Resolved};
use crate::domain::ids::{CarrierIndex, MessageSeq};
use crate::domain::lifecycle::SegmentState;
use crate::domain::message::{FailureCode, State};
use crate::domain::time::Timestamp;
use crate::domain::verdict::{AfterRetries, Retry, Verdict};
use crate::flow::{
    Answer, AttemptRecord, Outcome, Parts, Ready, Reroute, Return, Settlement, Transition, Waiting,
};

/// Resends in one commit at most: what a crash left in doubt is due all at once.
const RESENDS_MAX: usize = 256;
/// How long a message waits whose session was not what we thought; eight times as long each time, up to
/// the second: if the message is the cause, it must not end one session after the other.
const SESSION_AGAIN: Duration = Duration::from_secs(1);
const SESSION_AGAIN_MAX: Duration = Duration::from_secs(60);

/// What has been decided of a batch of outcomes.
#[derive(Debug, Default)]
pub(super) struct Decided {
    /// To be committed.
    pub(super) settlement: Settlement,
    /// To be sent back once it is.
    pub(super) returns: Vec<Return>,
}

/// The moment, and what is known in it.
pub(super) struct View<'a> {
    pub(super) now: Instant,
    pub(super) wall: Timestamp,
    /// The account for a message that its `tried` accounts do not have; `None` = there is none.
    /// Whether it is in use at the moment stands beside it.
    pub(super) choose: &'a dyn Fn(&Ready) -> Option<(CarrierIndex, bool)>,
}

/// How far a message has come in its present attempt.
#[derive(Default)]
struct Progress {
    /// Segments without an outcome.
    open: u32,
    attempt: u16,
    accepted: Parts,
    doubtful: Parts,
    retry: Option<Duration>,
    /// The carrier and we disagreed about the session.
    session: bool,
    /// The carrier's error counts, and bounds how often it is tried again.
    passing: Option<Retry>,
    /// This account will not take it.
    here: Option<Failure>,
    /// Nobody will.
    failed: Option<Failure>,
}

/// Decides what outcomes mean. Keeps what it must know of messages of several segments (while
/// they are in a bind's window) and of messages in doubt.
pub(super) struct Settler {
    attempts_max: u8,
    resend_after: [Option<Duration>; 3],
    several: HashMap<MessageSeq, Progress>,
    doubts: Doubts,
}

impl Settler {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            attempts_max: config.attempts_max,
            resend_after: config.resend_after,
            several: HashMap::new(),
            doubts: Doubts::default(),
        }
    }

    /// Decides one outcome.
    pub(super) fn decide(&mut self, outcome: &Outcome, view: &View<'_>, decided: &mut Decided) {
        if let Some(record) = attempt_record(outcome) {
            decided.settlement.attempts.push(record);
        }
        decided.settlement.closed_intents.extend(outcome.closes);
        let seq = outcome.ready.message.seq;
        if is_late(&outcome.answer) {
            return self.late(outcome, view, decided);
        }
        if matches!(outcome.answer, Answer::Expired) {
            let failure = (FailureCode::Expired, None);
            return self.fail(
                &outcome.ready,
                State::Expired,
                outcome.answered_at,
                failure,
                decided,
            );
        }
        let progress = self.several.entry(seq).or_insert_with(|| Progress {
            open: outcome.ready.parts.count(),
            attempt: outcome.ready.attempt,
            ..Progress::default()
        });
        progress.open = progress.open.saturating_sub(1);
        progress.take(outcome);
        if progress.open == 0
            && let Some(progress) = self.several.remove(&seq)
        {
            self.finish(outcome, progress, view, decided);
        }
        debug_assert!(
            self.several.values().all(|progress| progress.open > 0),
            "finished ones are gone"
        );
    }

    /// All segments of this attempt have their outcome.
    fn finish(
        &mut self,
        last: &Outcome,
        progress: Progress,
        view: &View<'_>,
        decided: &mut Decided,
    ) {
        let (at, seq) = (last.answered_at, last.ready.message.seq);
        let left = Ready {
            parts: last.ready.parts.without(progress.accepted),
            ..last.ready.clone()
        };
        if let Some(failure) = progress.failed {
            return self.fail(&left, State::Rejected, at, failure, decided);
        }
        if !progress.doubtful.is_empty() {
            return self.doubt(&left, progress.doubtful, at, view, decided);
        }
        if left.parts.is_empty() {
            self.doubts.over(seq);
            return decided.submitted(&left, at);
        }
        if let Some(failure) = progress.here {
            return self.elsewhere(left, failure, at, view, decided);
        }
        let delay = progress.retry.unwrap_or_default();
        let Some(retry) = progress.passing else {
            return match progress.session {
                true => self.another_session(left, delay, view, decided),
                false => decided.again(left, view.now + delay),
            };
        };
        let refusals = left.refusals.saturating_add(1);
        let next = retry.next(u16::from(refusals));
        let Some(wait) = next.filter(|_| refusals < self.attempts_max) else {
            let words = Some("too many attempts".into());
            return match retry.then {
                AfterRetries::OtherRoute(code) => {
                    self.elsewhere(left, (code, words), at, view, decided);
                }
                AfterRetries::Permanent(code) => {
                    self.fail(&left, State::Rejected, at, (code, words), decided);
                }
            };
        };
        let wait = spread(wait.max(delay), &left);
        if at + wait >= left.message.valid_until {
            let failure = (
                FailureCode::Expired,
                Some("no time for another attempt".into()),
            );
            return self.fail(&left, State::Expired, at, failure, decided);
        }
        let again = Ready {
            attempt: left.attempt + 1,
            refusals,
            ..left
        };
        decided.again(again, view.now + wait);
    }

    /// A session ended over it. That is no fault of the message's, unless it happens again and again:
    /// then another account has it, if there is one.
    fn another_session(
        &self,
        left: Ready,
        delay: Duration,
        view: &View<'_>,
        decided: &mut Decided,
    ) {
        let times = left.refusals;
        let mut ready = Ready {
            refusals: times.saturating_add(1),
            ..left
        };
        if ready.refusals >= self.attempts_max {
            let mut moved = Ready {
                attempt: ready.attempt + 1,
                refusals: 0,
                ..ready.clone()
            };
            add_tried(&mut moved);
            if let Some((to, _)) = (view.choose)(&moved) {
                return decided
                    .settlement
                    .reroutes
                    .push(Reroute { ready: moved, to });
            }
            // Nobody else may have it: it stays, and waits its longest.
            ready.refusals = times;
        }
        let wait = SESSION_AGAIN.saturating_mul(8u32.pow(times.min(3).into()));
        let wait = wait.min(SESSION_AGAIN_MAX).max(delay);
        decided.again(ready, view.now + wait);
    }

    /// The next account that may carry it, or the end.
    fn elsewhere(
        &mut self,
        ready: Ready,
        failure: Failure,
        at: Timestamp,
        view: &View<'_>,
        decided: &mut Decided,
    ) {
        let mut ready = Ready {
            attempt: ready.attempt + 1,
            refusals: 0,
            ..ready
        };
        add_tried(&mut ready);
        match (view.choose)(&ready) {
            Some((to, _)) => decided.settlement.reroutes.push(Reroute { ready, to }),
            None => self.fail(&ready, State::Rejected, at, failure, decided),
        }
    }

    /// It has come to its end; unless an earlier attempt may have been taken: in doubt is not
    /// failed.
    fn fail(
        &mut self,
        ready: &Ready,
        to: State,
        at: Timestamp,
        failure: Failure,
        decided: &mut Decided,
    ) {
        if let Some(failure) = self.doubts.resend_failed(ready.message.seq, failure) {
            decided.moved(ready, to, at, Some(failure));
        }
    }

    /// The class decides whether it is resent; once at most.
    fn doubt(
        &mut self,
        left: &Ready,
        doubtful: Parts,
        at: Timestamp,
        view: &View<'_>,
        decided: &mut Decided,
    ) {
        decided.moved(left, State::Uncertain, at, None);
        let delay = self.resend_after[left.message.class.index()];
        let due = delay.filter(|_| !left.possible_duplicate);
        let due = due.map(|delay| view.now + delay);
        self.doubts
            .hold(left, (doubtful, left.parts), due, view.now);
    }

    /// The answer to an attempt that was already given up as in doubt.
    fn late(&mut self, outcome: &Outcome, view: &View<'_>, decided: &mut Decided) {
        let (ready, part, at) = (&outcome.ready, outcome.part, outcome.answered_at);
        let seq = ready.message.seq;
        // Others of its segments are still under way: it has part in what becomes of them.
        if let Some(progress) = self.several.get_mut(&seq)
            && progress.attempt == ready.attempt
            && progress.doubtful.contains(part)
        {
            progress.doubtful = progress.doubtful.without(Parts::one(part));
            return progress.take(outcome);
        }
        let resolved = match &outcome.answer {
            Answer::Accepted { .. } => {
                // Of several segments the store knows which are still in doubt.
                if ready.message.segments == 1 {
                    decided.submitted(ready, at);
                }
                self.doubts.taken(seq, part)
            }
            Answer::Refused {
                verdict, status, ..
            } => match no(*verdict, *status) {
                Some(no) => self.doubts.refused(seq, ready.attempt, part, no),
                None => Resolved::Nothing,
            },
            Answer::NotSent | Answer::InDoubt | Answer::Expired => Resolved::Nothing,
        };
        match resolved {
            Resolved::Nothing | Resolved::Taken => {}
            Resolved::Failed(ready, failure) => {
                decided.moved(&ready, State::Rejected, at, Some(failure));
            }
            Resolved::Again(mut ready, here) => {
                let mut to = Some(ready.carrier);
                if here.is_some() {
                    add_tried(&mut ready);
                    to = (view.choose)(&ready).map(|(to, _)| to);
                }
                match to {
                    Some(to) => {
                        decided.moved(&ready, State::Queued, at, None);
                        decided.settlement.reroutes.push(Reroute { ready, to });
                    }
                    None => decided.moved(&ready, State::Rejected, at, here),
                }
            }
        }
    }

    /// Takes over a message that the last run left in doubt.
    pub(super) fn recover(&mut self, waiting: Waiting, now: Instant) {
        let delay = self.resend_after[waiting.message.class.index()];
        let known = self.doubts.holds(waiting.message.seq);
        let Some(delay) = delay.filter(|_| !known && !waiting.possible_duplicate) else {
            return;
        };
        let ready = Ready {
            parts: waiting.parts,
            attempt: waiting.attempts,
            tried: waiting.tried,
            ..Ready::first(waiting.message)
        };
        if !ready.parts.is_empty() {
            let doubtful = (ready.parts, ready.parts);
            self.doubts.hold(&ready, doubtful, Some(now + delay), now);
        }
    }

    /// When a resend is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.doubts.next()
    }

    /// Resends what is due and still valid, on another account if there is one in use; some of it
    /// at a time.
    pub(super) fn due(&mut self, view: &View<'_>, decided: &mut Decided) {
        while decided.settlement.reroutes.len() < RESENDS_MAX
            && let Some(mut ready) = self.doubts.due(view.now)
        {
            if ready.message.valid_until <= view.wall {
                self.doubts.not_resent(ready.message.seq);
                continue;
            }
            add_tried(&mut ready);
            let other = (view.choose)(&ready).filter(|(_, in_use)| *in_use);
            let to = other.map_or(ready.carrier, |(to, _)| to);
            decided.settlement.reroutes.push(Reroute { ready, to });
        }
    }
}

impl Progress {
    fn take(&mut self, outcome: &Outcome) {
        let part = outcome.part;
        match &outcome.answer {
            Answer::Accepted { .. } => self.accepted.insert(part),
            Answer::Refused {
                verdict, status, ..
            } => match *verdict {
                Verdict::Accepted => self.accepted.insert(part),
                Verdict::Retry(retry) => {
                    // Of several segments the one that may be tried least often decides.
                    if self
                        .passing
                        .is_none_or(|known| retry.attempts < known.attempts)
                    {
                        self.passing = Some(retry);
                    }
                }
                Verdict::SlowDown(delay) => self.again(delay),
                Verdict::Session => self.session = true,
                Verdict::AfterAcceptance => self.doubtful.insert(part),
                Verdict::OtherRoute(code) => self.here = Some((code, words(*status))),
                Verdict::Permanent(code) => self.failed = Some((code, words(*status))),
            },
            Answer::NotSent => self.again(Duration::ZERO),
            Answer::InDoubt => self.doubtful.insert(part),
            Answer::Expired => {}
        }
    }

    fn again(&mut self, delay: Duration) {
        self.retry = Some(self.retry.map_or(delay, |known| known.max(delay)));
    }
}

impl Decided {
    fn submitted(&mut self, ready: &Ready, at: Timestamp) {
        self.moved(ready, State::Submitted, at, None);
    }

    fn moved(&mut self, ready: &Ready, to: State, at: Timestamp, failure: Option<Failure>) {
        let (failure, detail) = failure.unzip();
        self.settlement.transitions.push(Transition {
            message: Arc::clone(&ready.message),
            carrier: ready.carrier,
            to,
            at,
            sent_at: (to == State::Submitted).then_some(at),
            failure,
            detail: detail.flatten(),
            possible_duplicate: ready.possible_duplicate,
        });
    }

    fn again(&mut self, ready: Ready, at: Instant) {
        self.returns.push(Return { ready, at });
    }
}

/// What a late refusal says; `None` = that the attempt stays in doubt.
fn no(verdict: Verdict, status: u32) -> Option<No> {
    Some(match verdict {
        Verdict::Accepted | Verdict::AfterAcceptance => return None,
        Verdict::Retry(_) | Verdict::SlowDown(_) | Verdict::Session => No::Passing,
        Verdict::OtherRoute(code) => No::Here((code, words(status))),
        Verdict::Permanent(code) => No::Final((code, words(status))),
    })
}

fn words(status: u32) -> Option<Box<str>> {
    Some(format!("command_status 0x{status:08X}").into())
}

fn add_tried(ready: &mut Ready) {
    if !ready.tried.contains(&ready.carrier) {
        ready.tried.push(ready.carrier);
    }
}

/// Up to a quarter longer, so that what failed together does not come back together. By the
/// message's own number: the same always, and spread well enough.
fn spread(wait: Duration, ready: &Ready) -> Duration {
    let mixed = (ready.message.seq.0 + i64::from(ready.attempt))
        .cast_unsigned()
        .wrapping_mul(0x9E37_79B9_7F4A_7C15);
    wait + wait / 1024 * (mixed >> 56) as u32
}

fn is_late(answer: &Answer) -> bool {
    matches!(
        answer,
        Answer::Accepted { late: true, .. } | Answer::Refused { late: true, .. }
    )
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
#[path = "decide_tests.rs"]
pub(super) mod tests;

#[cfg(test)]
#[path = "doubt_tests.rs"]
mod doubt_tests;
