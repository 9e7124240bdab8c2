//! Lives here: one carrier account's breaker as a pure decision: what carriers answered and how
//! the binds stand in, "open", "try it" and "close" with their reasons out.
//! Never here: clocks, random sources, what open means for messages (`flow::health`), the task
//! that asks (`scheduler::health`).
//!
//! ```text
//!            trouble               cooled down, with a bind up
//!   closed ───────────> open ──────────────────────────────────> half-open
//!     ^                 │ ^           a probe fails                │   │
//!     │                 │ └────────────────────────────────────────┘   │
//!     ├─────────────────┘ a lone account's bind is back                │
//!     └─────────────────────── enough probes answered ─────────────────┘
//! ```

mod limits;
mod reason;
mod window;

use std::time::{Duration, Instant};

pub use self::limits::Limits;
pub use self::reason::Reason;
use self::window::{Answers, Deliveries};

/// What one submit_sm came to, as far as the account's health goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Taken, or refused for the message's own sake: the account works.
    Good,
    /// The carrier asks for a slower pace: it works, its response times say nothing.
    Busy,
    /// Refused for the account's or the system's sake.
    Failed,
    /// None came.
    Silent,
}

/// How the account stands at a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// A bind that can submit is up.
    pub able: bool,
    /// Segments that await their answer.
    pub in_flight: u32,
    /// Messages that have left the lane as probes since it became half-open.
    pub probes_out: u32,
    /// No other account in use could carry its messages. Then slowness does not open it, it is
    /// tried again after the first wait each time, and in use again as soon as a bind is up that
    /// was missing: better a bad way than none.
    pub lone: bool,
}

/// A change of the breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Not to be used. It is tried again when it has cooled down for so long with a bind up.
    Opened(Reason, Duration),
    /// Probes may go.
    HalfOpened,
    /// In use again.
    Closed,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed {
        since: Instant,
    },
    Open {
        since: Instant,
        cool_down: Duration,
        /// It opened for want of a bind: a bind that is up is the whole cure.
        no_bind: bool,
    },
    HalfOpen {
        since: Instant,
        good: u32,
        bad: u32,
        /// When the first probe was seen to be out.
        first_out: Option<Instant>,
    },
}

/// Whether a bind can submit, and since when.
#[derive(Clone, Copy, Debug)]
enum Binds {
    NotYet { since: Instant },
    Up { since: Instant },
    Down { since: Instant },
}

/// Failed or missing answers one after another.
#[derive(Clone, Copy, Debug, Default)]
struct Run {
    count: u32,
    last: Option<Instant>,
}

/// One account's breaker.
#[derive(Debug)]
pub struct Breaker {
    limits: Limits,
    state: State,
    binds: Binds,
    answers: Answers,
    deliveries: Deliveries,
    run: Run,
    slow_since: Option<Instant>,
    /// Since when there have been segments in flight without any answer.
    stalled_since: Option<Instant>,
    /// What was submitted before says nothing any more.
    trusted: Instant,
    /// Openings since the last quiet time.
    openings: u32,
    looked: Instant,
}

/// Bad answers this close together are one event: a bind that is cut loses its whole window.
const MOMENT: Duration = Duration::from_secs(1);
/// Fewer segments in flight are too little to speak of a stall.
const STALL_IN_FLIGHT: u32 = 3;
/// Without a look for so long the process itself stood still: answers may wait to be read.
const ABSENT: Duration = Duration::from_secs(1);

impl Breaker {
    /// Closed, before any bind has been up.
    pub fn new(limits: Limits, now: Instant) -> Self {
        Self {
            state: State::Closed { since: now },
            binds: Binds::NotYet { since: now },
            answers: Answers::new(limits.window, now),
            deliveries: Deliveries::new(limits.delivery_window, now),
            run: Run::default(),
            slow_since: None,
            stalled_since: None,
            trusted: now,
            openings: 0,
            looked: now,
            limits,
        }
    }

    /// How many probes may go now; `None` unless it is half-open.
    pub fn probing(&self) -> Option<u32> {
        match self.state {
            State::HalfOpen { .. } => Some(self.limits.probes),
            State::Closed { .. } | State::Open { .. } => None,
        }
    }

    /// Whether it has been half-open for as long as a probe may take, and none has gone out: what
    /// there is to send is OTP only.
    pub fn lacks_probes(&self, now: Instant) -> bool {
        match self.state {
            State::HalfOpen {
                since,
                first_out: None,
                ..
            } => now.saturating_duration_since(since) >= self.limits.probe_timeout,
            State::HalfOpen { .. } | State::Closed { .. } | State::Open { .. } => false,
        }
    }

    /// Notes what a submit_sm came to, `took` after it was sent (for silence: the whole wait).
    pub fn answered(&mut self, answer: Answer, took: Duration, now: Instant) {
        if answer != Answer::Silent {
            self.stalled_since = None;
            // A bind that came and went between two looks has been there all the same: what is
            // missing now is no slow start.
            if let Binds::NotYet { .. } = self.binds {
                self.binds = Binds::Up { since: now };
            }
        }
        let learn = matches!(self.state, State::Closed { .. });
        self.answers.advance(now, learn);
        let stale = now
            .checked_sub(took)
            .is_none_or(|submitted| submitted < self.trusted);
        if stale || matches!(self.state, State::Open { .. }) {
            // It may still teach how long this carrier usually takes.
            if answer == Answer::Good {
                self.answers.learn(took);
            }
            return;
        }
        match &mut self.state {
            State::Open { .. } => {}
            State::HalfOpen { good, bad, .. } => match answer {
                Answer::Good | Answer::Busy => *good += 1,
                Answer::Failed | Answer::Silent => *bad += 1,
            },
            State::Closed { .. } => {
                self.answers.note(answer, took);
                self.run.note(answer, now);
            }
        }
    }

    /// Notes a message's last word, `took` after it was taken. Not to be told of promotional
    /// ones: how many of those arrive is the list's merit, not the carrier's.
    pub fn receipt(&mut self, delivered: bool, took: Duration, now: Instant) {
        self.deliveries.advance(now);
        let fresh = now
            .checked_sub(took)
            .is_some_and(|taken| taken >= self.trusted);
        if fresh && matches!(self.state, State::Closed { .. }) {
            self.deliveries.note(delivered);
        }
    }

    /// Decides. To be called several times a second, and after answers were noted. `jitter`
    /// (0.0 to 1.0) spreads the waits of accounts that fell together.
    pub fn look(&mut self, seen: Seen, jitter: f64, now: Instant) -> Option<Change> {
        if now.saturating_duration_since(self.looked) > ABSENT {
            self.stalled_since = None;
        }
        self.looked = now;
        self.observe(seen, now);
        let change = match self.state {
            State::Closed { .. } => self
                .trouble(seen, now)
                .map(|reason| self.open(reason, jitter, now)),
            State::Open { .. } => self.cooled_down(seen, now),
            State::HalfOpen { .. } => self.probed(seen, jitter, now),
        };
        self.check();
        change
    }

    fn observe(&mut self, seen: Seen, now: Instant) {
        self.binds = match (self.binds, seen.able) {
            (Binds::NotYet { .. } | Binds::Down { .. }, true) => Binds::Up { since: now },
            (Binds::Up { .. }, false) => Binds::Down { since: now },
            (same, _) => same,
        };
        if seen.in_flight < STALL_IN_FLIGHT {
            self.stalled_since = None;
        } else {
            self.stalled_since.get_or_insert(now);
        }
        if let State::HalfOpen {
            first_out,
            good,
            bad,
            ..
        } = &mut self.state
        {
            if seen.probes_out > 0 || *good + *bad > 0 {
                first_out.get_or_insert(now);
            } else {
                // Those that went were never sent, and have been renewed.
                *first_out = None;
            }
        }
    }

    fn no_bind(&self, now: Instant) -> Option<Reason> {
        let (since, grace) = match self.binds {
            Binds::Up { .. } => return None,
            Binds::Down { since } => (since, self.limits.bind_grace),
            Binds::NotYet { since } => (since, self.limits.start_grace),
        };
        let lasted = now.saturating_duration_since(since);
        (lasted >= grace).then_some(Reason::NoBind(lasted))
    }

    /// What is wrong with a closed account, if something is.
    fn trouble(&mut self, seen: Seen, now: Instant) -> Option<Reason> {
        self.answers.advance(now, true);
        self.deliveries.advance(now);
        let no_bind = self.no_bind(now);
        let slow = self.slow(now);
        no_bind
            .or_else(|| self.bad_answers())
            .or_else(|| (self.run.count >= self.limits.run).then_some(Reason::Run(self.run.count)))
            .or_else(|| {
                (!seen.lone)
                    .then(|| {
                        self.stalled(seen.in_flight, now)
                            .or(slow)
                            .or_else(|| self.undelivered())
                    })
                    .flatten()
            })
    }

    fn bad_answers(&self) -> Option<Reason> {
        let sum = self.answers.sum();
        let (failed, silent) = (sum.failed, sum.silent);
        let of = sum.good + failed + silent;
        let bad = (failed + silent) * 100 >= of * self.limits.bad_percent;
        (of >= self.limits.samples_min && bad).then_some(Reason::Answers { failed, silent, of })
    }

    fn slow(&mut self, now: Instant) -> Option<Reason> {
        let usual = self.answers.usual()?;
        let recent = self.answers.recent(self.limits.samples_min);
        let limit = (usual * self.limits.slow_factor).max(self.limits.slow_floor);
        let Some(recent) = recent.filter(|recent| *recent > limit) else {
            self.slow_since = None;
            return None;
        };
        let since = *self.slow_since.get_or_insert(now);
        let sustained = now.saturating_duration_since(since) >= self.limits.slow_for;
        sustained.then_some(Reason::Slow { now: recent, usual })
    }

    fn stalled(&self, in_flight: u32, now: Instant) -> Option<Reason> {
        let since = now.saturating_duration_since(self.stalled_since?);
        // Twice what would be slow is a stall; a carrier not known yet gets more time.
        let limit = match self.answers.usual() {
            Some(usual) => (usual * self.limits.slow_factor * 2).max(self.limits.stall),
            None => self.limits.stall * 3,
        };
        (since >= limit).then_some(Reason::Stalled { in_flight, since })
    }

    fn undelivered(&self) -> Option<Reason> {
        let (now, usual) = self.deliveries.percent(self.limits.samples_min * 10)?;
        let collapsed = now < self.limits.delivery_floor_percent && now * 2 < usual;
        collapsed.then_some(Reason::Undelivered { now, usual })
    }

    fn open(&mut self, reason: Reason, jitter: f64, now: Instant) -> Change {
        if let State::Closed { since } = self.state
            && now.saturating_duration_since(since) >= self.limits.quiet
        {
            self.openings = 0;
        }
        let doubled = self
            .limits
            .cool_down_min
            .saturating_mul(1 << self.openings.min(16))
            .min(self.limits.cool_down_max);
        self.openings = self.openings.saturating_add(1);
        let cool_down = doubled.mul_f64(0.8 + 0.2 * jitter.clamp(0.0, 1.0));
        self.state = State::Open {
            since: now,
            cool_down,
            no_bind: matches!(reason, Reason::NoBind(_)),
        };
        self.forget();
        Change::Opened(reason, cool_down)
    }

    /// An open account is tried again when it has cooled down, with a bind up all the while and
    /// no answer owed: one that goes up and down faster than that stays open, however long it
    /// does so.
    fn cooled_down(&mut self, seen: Seen, now: Instant) -> Option<Change> {
        let (
            State::Open {
                since,
                cool_down,
                no_bind,
            },
            Binds::Up { since: up },
        ) = (self.state, self.binds)
        else {
            return None;
        };
        let wait = match (seen.lone, no_bind) {
            (false, _) => cool_down,
            (true, false) => cool_down.min(self.limits.cool_down_min),
            // Its bind is back, and nobody else could carry its messages: nothing to find out.
            (true, true) => return Some(self.close(now)),
        };
        // As long as it owes answers there is no room for probes, and they would wait in vain.
        if seen.in_flight > 0 && !seen.lone {
            return None;
        }
        (now >= since.max(up) + wait).then(|| {
            self.trusted = now;
            self.state = State::HalfOpen {
                since: now,
                good: 0,
                bad: 0,
                first_out: None,
            };
            Change::HalfOpened
        })
    }

    fn probed(&mut self, seen: Seen, jitter: f64, now: Instant) -> Option<Change> {
        let State::HalfOpen {
            good,
            bad,
            first_out,
            ..
        } = self.state
        else {
            return None;
        };
        if let Some(reason) = self.no_bind(now) {
            return Some(self.open(reason, jitter, now));
        }
        let probes = self.limits.probes;
        let needed = (probes * self.limits.probe_percent).div_ceil(100).max(1);
        if good >= needed {
            return Some(self.close(now));
        }
        if bad > probes - needed {
            let of = good + bad;
            return Some(self.open(Reason::Probes { bad, of }, jitter, now));
        }
        // A carrier that usually takes long may do so with probes.
        let usual = self.answers.usual().unwrap_or_default() * 2;
        let timeout = self.limits.probe_timeout.max(usual);
        let over = first_out.is_some_and(|out| now.saturating_duration_since(out) >= timeout);
        if !over {
            return None;
        }
        if bad == 0 && good > 0 && good >= seen.probes_out {
            // Nothing more came to try it with, and what came went well.
            return Some(self.close(now));
        }
        let of = seen.probes_out.max(good + bad);
        let bad = of - good;
        Some(self.open(Reason::Probes { bad, of }, jitter, now))
    }

    fn close(&mut self, now: Instant) -> Change {
        self.forget();
        self.state = State::Closed { since: now };
        Change::Closed
    }

    /// Old troubles are not held against it twice.
    fn forget(&mut self) {
        self.answers.clear();
        self.deliveries.clear();
        self.run = Run::default();
        self.slow_since = None;
        self.stalled_since = None;
    }

    fn check(&self) {
        match self.state {
            State::Closed { .. } => {}
            State::Open { cool_down, .. } => {
                debug_assert!(cool_down <= self.limits.cool_down_max);
                debug_assert!(self.openings > 0);
                debug_assert_eq!(self.run.count, 0);
            }
            State::HalfOpen { good, since, .. } => {
                debug_assert!(good < self.limits.probes);
                debug_assert!(self.trusted == since, "only probes are judged");
                debug_assert!(!matches!(self.binds, Binds::NotYet { .. }));
            }
        }
    }
}

impl Run {
    fn note(&mut self, answer: Answer, now: Instant) {
        match answer {
            Answer::Good | Answer::Busy => *self = Self::default(),
            Answer::Failed | Answer::Silent => {
                let apart = |last: Instant| now.saturating_duration_since(last) >= MOMENT;
                if self.last.is_none_or(apart) {
                    self.count += 1;
                    self.last = Some(now);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
