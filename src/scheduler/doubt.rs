//! Lives here: messages that a carrier has perhaps taken: which attempts at which segments are in
//! doubt, when a message is resent (once), and what a late answer makes of it. Pure.
//!
//! A proof that comes another way (a receipt) moves the message in the store; the commit that
//! would send it again sees that, so nothing need be told here.
//! Never here: the class's times (`Config`), where a resend goes (`decide`), clocks.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use crate::domain::ids::MessageSeq;
use crate::domain::message::FailureCode;
use crate::flow::{Parts, Ready};

/// How long a late answer can still find its message here after its resend: sessions wait no
/// longer for one. With it the table is bounded by what binds can put in doubt in that time.
const LATE: Duration = Duration::from_secs(600);

/// Why a message fails, and the carrier's words for it.
pub(super) type Failure = (FailureCode, Option<Box<str>>);

/// What a carrier has said no to, as far as what follows goes.
#[derive(Clone, Debug)]
pub(super) enum No {
    /// Another attempt may be taken.
    Passing,
    /// Another account may take it.
    Here(Failure),
    /// Nobody will.
    Final(Failure),
}

/// What a late answer has come to.
#[derive(Debug)]
pub(super) enum Resolved {
    /// Nothing but the attempt's row, or more answers are awaited.
    Nothing,
    /// Every segment is with a carrier.
    Taken,
    /// Nothing is in doubt any more, and these segments are with nobody: try again at once, as no
    /// duplicate; elsewhere, if the account will not have them.
    Again(Ready, Option<Failure>),
    /// Nothing is in doubt any more, and nobody takes it.
    Failed(Ready, Failure),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Not resent yet, or never to be.
    Waiting,
    /// Its resend is on its way.
    UnderWay,
    /// Its resend has come to nothing.
    Over,
}

#[derive(Debug)]
struct Doubt {
    /// What is sent again: the parts that are not known to be with a carrier.
    ready: Ready,
    /// Attempts and parts without an answer.
    open: SmallVec<[(u16, u8); 4]>,
    phase: Phase,
    /// The account will not have it.
    here: Option<Failure>,
    /// What its resend has failed with.
    failed: Option<Failure>,
    /// Which of the doubts it is: a message may be in doubt anew, and then has new times.
    number: u64,
}

/// When to look at a doubt again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Time {
    at: Instant,
    seq: MessageSeq,
    /// The doubt's number.
    number: u64,
    /// Its resend is due; otherwise it is to be forgotten.
    resend: bool,
}

/// All messages in doubt of which an answer may come, or that may be resent.
#[derive(Debug, Default)]
pub(super) struct Doubts {
    held: HashMap<MessageSeq, Doubt>,
    times: BinaryHeap<Reverse<Time>>,
    /// Doubts so far.
    number: u64,
}

impl Doubts {
    /// An attempt has left `doubtful` parts in doubt; `left` are those and all that are with
    /// nobody. The message is resent at `due`, unless this was its resend.
    pub(super) fn hold(
        &mut self,
        ready: &Ready,
        (doubtful, left): (Parts, Parts),
        due: Option<Instant>,
        now: Instant,
    ) {
        let seq = ready.message.seq;
        let open = doubtful.iter().map(|part| (ready.attempt, part));
        if let Some(known) = self.held.get_mut(&seq) {
            known.open.extend(open);
            known.phase = Phase::Over;
            return;
        }
        self.number += 1;
        let number = self.number;
        let doubt = Doubt {
            number,
            ready: Ready {
                parts: left,
                attempt: ready.attempt + 1,
                refusals: 0,
                ..ready.clone()
            },
            open: open.collect(),
            phase: Phase::Waiting,
            here: None,
            failed: None,
        };
        self.held.insert(seq, doubt);
        let time = |at, resend| {
            Reverse(Time {
                at,
                seq,
                number,
                resend,
            })
        };
        self.times.extend(due.map(|due| time(due, true)));
        self.times.push(time(due.unwrap_or(now) + LATE, false));
    }

    /// Whether a message is known here.
    pub(super) fn holds(&self, seq: MessageSeq) -> bool {
        self.held.contains_key(&seq)
    }

    /// A late yes: a carrier has this part.
    pub(super) fn taken(&mut self, seq: MessageSeq, part: u8) -> Resolved {
        let Some(doubt) = self.held.get_mut(&seq) else {
            return Resolved::Nothing;
        };
        doubt.open.retain(|(_, open)| *open != part);
        doubt.ready.parts = doubt.ready.parts.without(Parts::one(part));
        if doubt.ready.parts.is_empty() {
            self.held.remove(&seq);
            return Resolved::Taken;
        }
        self.settled(seq)
    }

    /// A late no to one attempt at one part.
    pub(super) fn refused(&mut self, seq: MessageSeq, attempt: u16, part: u8, no: No) -> Resolved {
        let Some(doubt) = self.held.get_mut(&seq) else {
            return Resolved::Nothing;
        };
        let open = doubt.open.len();
        doubt.open.retain(|one| *one != (attempt, part));
        if doubt.open.len() == open {
            return Resolved::Nothing;
        }
        match no {
            No::Passing => {}
            No::Here(failure) => doubt.here = Some(failure),
            No::Final(failure) if doubt.phase == Phase::Waiting => {
                return self.end(seq, failure);
            }
            No::Final(failure) => doubt.failed = Some(failure),
        }
        self.settled(seq)
    }

    /// What follows once nothing is open.
    fn settled(&mut self, seq: MessageSeq) -> Resolved {
        let Some(doubt) = self.held.get(&seq).filter(|doubt| doubt.open.is_empty()) else {
            return Resolved::Nothing;
        };
        match doubt.phase {
            Phase::Waiting => match self.held.remove(&seq) {
                Some(doubt) => Resolved::Again(doubt.ready, doubt.here),
                None => Resolved::Nothing,
            },
            // The resend speaks for the message.
            Phase::UnderWay => Resolved::Nothing,
            Phase::Over => {
                let failure = doubt.failed.clone().or_else(|| doubt.here.clone());
                self.end(seq, failure.unwrap_or((FailureCode::CarrierRejected, None)))
            }
        }
    }

    fn end(&mut self, seq: MessageSeq, failure: Failure) -> Resolved {
        match self.held.remove(&seq) {
            Some(doubt) => Resolved::Failed(doubt.ready, failure),
            None => Resolved::Nothing,
        }
    }

    /// A message was taken by a carrier in the ordinary way.
    pub(super) fn over(&mut self, seq: MessageSeq) {
        self.held.remove(&seq);
    }

    /// A resend has failed. Gives the failure back if the message has failed with it: if an
    /// earlier attempt is still in doubt it has not.
    pub(super) fn resend_failed(&mut self, seq: MessageSeq, failure: Failure) -> Option<Failure> {
        match self.held.get_mut(&seq) {
            Some(doubt) if !doubt.open.is_empty() => {
                doubt.phase = Phase::Over;
                doubt.failed = Some(failure);
                None
            }
            Some(_) => {
                self.held.remove(&seq);
                Some(failure)
            }
            None => Some(failure),
        }
    }

    /// The next message whose resend is due, to be marked as a possible duplicate.
    pub(super) fn due(&mut self, now: Instant) -> Option<Ready> {
        while self.next().is_some_and(|at| at <= now) {
            let Reverse(time) = self.times.pop()?;
            let doubt = self.held.get_mut(&time.seq);
            let Some(doubt) = doubt.filter(|doubt| doubt.number == time.number) else {
                continue;
            };
            if !time.resend {
                self.held.remove(&time.seq);
            } else if doubt.phase == Phase::Waiting {
                doubt.phase = Phase::UnderWay;
                return Some(Ready {
                    possible_duplicate: true,
                    ..doubt.ready.clone()
                });
            }
        }
        None
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.times.peek().map(|Reverse(time)| time.at)
    }

    /// A resend that was due is not made: its message's validity has ended.
    pub(super) fn not_resent(&mut self, seq: MessageSeq) {
        if let Some(doubt) = self.held.get_mut(&seq) {
            doubt.phase = Phase::Over;
        }
    }
}
