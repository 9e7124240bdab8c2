//! Lives here: the pace a bind allows itself when its carrier says "slower": multiplicative
//! decrease, additive recovery to what the carrier was seen to take, careful probing above it. Pure.
//! Never here: queues (messages keep their order because the whole bind slows), the tokens (`rate`).
//!
//! RTHROTTLED says that we are too fast, not how fast we may be. What the carrier took in the last
//! second does say it, while we asked for more: that is the ceiling. A cut goes to a little under it;
//! the pace is back at the ceiling after a second or so, and then probes above it, slowly at first and
//! doubling its step, so that a passing trouble is forgotten within half a minute.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What is left of the pace after a cut.
const CUT: f64 = 0.94;
/// The same while most segments are refused: the pace is far above what the carrier takes.
const DEEP_CUT: f64 = 0.7;
/// From the cut back to the ceiling.
const RECOVER: Duration = Duration::from_millis(1_000);
/// How far the pace rises above the ceiling in the first seconds of probing: this share of the
/// ceiling times 2^(t / `PROBE_DOUBLES`) - 1.
const PROBE: f64 = 0.02;
const PROBE_DOUBLES: f64 = 2.0;
/// The first pause, as a share of the verdict's. It doubles while nothing is taken.
const FIRST_PAUSE: f64 = 0.1;
/// The verdict of congestion_state 100, which has no status of its own.
const CONGESTED: Duration = Duration::from_millis(500);
/// How often "nearly congested" cuts while it lasts.
const NEARLY_EVERY: Duration = Duration::from_secs(1);
/// Seconds of answers that tell a pace.
const ENOUGH: f64 = 0.8;
/// Of the limit, the pace when nothing at all is taken.
const BLIND: f64 = 0.1;
const SLOWEST: f64 = 0.5;
const SECOND: Duration = Duration::from_secs(1);
const SLICE: Duration = Duration::from_millis(50);
/// Slices of the sliding second.
const SLICES: usize = 20;

/// The pace a bind allows itself, segments a second.
#[derive(Debug)]
pub(super) struct Throttle {
    limit: f64,
    cut: Option<Cut>,
    pause_until: Option<Instant>,
    /// Pauses of the last second.
    pauses: VecDeque<(Instant, Instant)>,
    /// The pause after the next cut, as a share of the verdict's.
    next_pause: f64,
    seen: Seen,
    congestion: u8,
    /// Since when the pace must not rise.
    held_since: Option<Instant>,
}

/// The last decrease.
#[derive(Clone, Copy, Debug)]
struct Cut {
    /// Answers to what was sent before are no news.
    at: Instant,
    /// The end of its pause: the recovery begins.
    resume: Instant,
    from: f64,
    ceiling: f64,
}

impl Throttle {
    /// Starts at `limit` segments a second.
    pub(super) fn new(limit: f64) -> Self {
        Self {
            limit,
            cut: None,
            pause_until: None,
            pauses: VecDeque::new(),
            next_pause: FIRST_PAUSE,
            seen: Seen::default(),
            congestion: 0,
            held_since: None,
        }
    }

    /// Another limit from now on.
    pub(super) fn set_limit(&mut self, limit: f64) {
        self.limit = limit;
    }

    /// The pace now.
    pub(super) fn rate(&mut self, now: Instant) -> f64 {
        if self.congestion >= 90 && self.cut.is_none_or(|cut| now >= cut.resume + NEARLY_EVERY) {
            self.nearly(now);
        }
        let Some(cut) = self.cut else {
            return self.limit;
        };
        let until = self.held_since.unwrap_or(now);
        let rate = cut.rate(until);
        if rate >= self.limit {
            self.cut = None;
            return self.limit;
        }
        rate
    }

    /// Segments taken in the last second.
    pub(super) fn recent(&mut self, now: Instant) -> u32 {
        self.seen.last_second(now).0
    }

    /// Whether what the carrier said keeps the pace under the limit, or nothing may go.
    pub(super) fn is_slowed(&self, now: Instant) -> bool {
        self.paused(now).is_some() || self.rate_of(now) < self.limit
    }

    /// Until when nothing may go.
    pub(super) fn paused(&self, now: Instant) -> Option<Instant> {
        self.pause_until.filter(|until| *until > now)
    }

    /// The carrier took a segment sent at `sent`.
    pub(super) fn accepted(&mut self, sent: Instant, now: Instant) {
        self.seen.answer(sent, now).0 += 1;
        if self.cut.is_none_or(|cut| sent > cut.at) {
            self.next_pause = FIRST_PAUSE;
        }
    }

    /// The carrier said "slower" to a segment sent at `sent`; `pause` is the verdict's, the longest.
    pub(super) fn throttled(&mut self, sent: Instant, pause: Duration, now: Instant) {
        self.seen.answer(sent, now).1 += 1;
        // A window full of RTHROTTLED is one word, not a hundred.
        if self.cut.is_none_or(|cut| sent > cut.at) {
            self.decrease(pause, now);
        }
    }

    /// The carrier's congestion_state, 0 to 100 (SMPP 5.0, 4.8.4.18).
    pub(super) fn congestion(&mut self, state: u8, now: Instant) {
        self.congestion = state;
        if state < 80 {
            if let (Some(since), Some(cut)) = (self.held_since.take(), &mut self.cut) {
                cut.resume += now.saturating_duration_since(since.max(cut.resume));
            }
        } else if self.held_since.is_none() {
            self.held_since = Some(now);
        }
        if state >= 100 && self.cut.is_none_or(|cut| now >= cut.resume) {
            self.decrease(CONGESTED, now);
        }
    }

    fn decrease(&mut self, pause: Duration, now: Instant) {
        let rate = self.rate_of(now);
        let (taken, refused) = self.seen.last_second(now);
        let time = self.unpaused(now);
        // A carrier that takes nothing at all says nothing of its limit; the pause grows instead.
        let seen = if taken == 0 {
            rate.min(self.limit * BLIND)
        } else {
            // One more: a second cuts through the segments at both its ends.
            f64::from(taken + 1) / time
        };
        // A few tenths of a second say little: a short burst, or the first answers of a full window.
        let least = if time < ENOUGH { rate / 2.0 } else { 0.0 };
        let ceiling = rate.min(seen.max(least)).max(SLOWEST);
        let share = if refused > 2 * taken { DEEP_CUT } else { CUT };
        let until = now + pause.mul_f64(self.next_pause);
        self.next_pause = (self.next_pause * 2.0).min(1.0);
        self.pause_until = Some(until);
        self.pauses.push_back((now, until));
        self.cut = Some(Cut {
            at: now,
            resume: until,
            from: (ceiling * share).max(SLOWEST),
            ceiling: if share == CUT {
                ceiling
            } else {
                ceiling * share
            },
        });
        self.held_since = (self.congestion >= 80).then_some(until);
    }

    /// A step down without a pause, not under half of what the carrier takes.
    fn nearly(&mut self, now: Instant) {
        let rate = self.rate_of(now);
        let (taken, _) = self.seen.last_second(now);
        let from = (rate * CUT).max(f64::from(taken) / 2.0).max(SLOWEST);
        if from < rate {
            self.cut = Some(Cut {
                at: now,
                resume: now,
                from,
                ceiling: rate,
            });
            self.held_since = Some(now);
        }
    }

    fn rate_of(&self, now: Instant) -> f64 {
        let until = self.held_since.unwrap_or(now);
        self.cut
            .map_or(self.limit, |cut| cut.rate(until).min(self.limit))
    }

    /// How much of the last second segments were allowed to go, and did.
    fn unpaused(&mut self, now: Instant) -> f64 {
        let since = now.checked_sub(self.seen.covered(now)).unwrap_or(now);
        let since = self.seen.busy_since.map_or(since, |busy| busy.max(since));
        while self.pauses.front().is_some_and(|(_, end)| *end <= since) {
            self.pauses.pop_front();
        }
        let paused: Duration = self
            .pauses
            .iter()
            .map(|(begin, end)| {
                (*end)
                    .min(now)
                    .saturating_duration_since((*begin).max(since))
            })
            .sum();
        let span = now.saturating_duration_since(since);
        span.saturating_sub(paused).max(SLICE).as_secs_f64()
    }
}

impl Cut {
    fn rate(&self, now: Instant) -> f64 {
        let since = now.saturating_duration_since(self.resume);
        let share = since.as_secs_f64() / RECOVER.as_secs_f64();
        if share < 1.0 {
            return self.from + (self.ceiling - self.from) * share;
        }
        let probing = since.saturating_sub(RECOVER).as_secs_f64();
        // Beyond a hundred doublings everything is above any limit.
        let step = (probing / PROBE_DOUBLES).min(100.0).exp2() - 1.0;
        self.ceiling * PROBE.mul_add(step, 1.0)
    }
}

/// What was taken and refused in the last second, in slices.
#[derive(Debug, Default)]
struct Seen {
    start: Option<Instant>,
    /// The first answer after a second or more without any: a full window sent at once is answered at once, too, so
    /// time counts from here.
    busy_since: Option<Instant>,
    last: Option<Instant>,
    /// Number of the newest slice since `start`: enough for years.
    newest: u32,
    slices: [(u32, u32); SLICES],
}

impl Seen {
    /// Where an answer is counted.
    fn answer(&mut self, sent: Instant, now: Instant) -> &mut (u32, u32) {
        if self.last.is_none_or(|last| last + SECOND < sent) {
            self.busy_since = Some(now);
        }
        self.last = Some(now);
        self.slice(now)
    }

    /// The slice of now; older ones fall out.
    fn slice(&mut self, now: Instant) -> &mut (u32, u32) {
        let start = *self.start.get_or_insert(now);
        let number = (now.saturating_duration_since(start).as_nanos() / SLICE.as_nanos()) as u32;
        let passed = number.saturating_sub(self.newest).min(SLICES as u32);
        for back in 0..passed {
            self.slices[(number - back) as usize % SLICES] = (0, 0);
        }
        self.newest = self.newest.max(number);
        &mut self.slices[self.newest as usize % SLICES]
    }

    /// The time that the slices hold: the newest is not full yet.
    fn covered(&self, now: Instant) -> Duration {
        let begun = self.start.unwrap_or(now) + SLICE * self.newest;
        SLICE * (SLICES as u32 - 1) + now.saturating_duration_since(begun)
    }

    fn last_second(&mut self, now: Instant) -> (u32, u32) {
        self.slice(now);
        self.slices
            .iter()
            .fold((0, 0), |sum, slice| (sum.0 + slice.0, sum.1 + slice.1))
    }
}

#[cfg(test)]
#[path = "throttle_tests.rs"]
mod tests;
