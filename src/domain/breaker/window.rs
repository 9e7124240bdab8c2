//! Lives here: a breaker's memory: the last answers and receipts in slots that pass out of sight,
//! and what is usual, learnt from the slots that have passed.
//! Never here: what is too much (`breaker`).

use std::time::{Duration, Instant};

use super::Answer;

/// Slots of a window.
const SLOTS: usize = 10;
/// Buckets of response times, two for each power of two from 1 ms to 131 s.
const BUCKETS: usize = 34;
/// Slots with traffic before anything is called usual.
const KNOWN: u32 = 10;
/// Slots over which the usual response time is an average: ten minutes of traffic.
const ANSWER_SLOTS: u32 = 600;
/// Slots over which the usual share of delivered messages is an average: an hour of traffic.
const DELIVERY_SLOTS: u32 = 120;

/// A ring of slots by time; what passes out of it is handed on.
#[derive(Debug)]
struct Ring<S> {
    slots: [S; SLOTS],
    /// Number of the newest slot, counted from `begin`.
    newest: u64,
    begin: Instant,
    slot: Duration,
}

impl<S: Copy + Default> Ring<S> {
    fn new(window: Duration, now: Instant) -> Self {
        Self {
            slots: [S::default(); SLOTS],
            newest: 0,
            begin: now,
            slot: (window / SLOTS as u32).max(Duration::from_millis(1)),
        }
    }

    /// Moves on to `now`; `passed` gets every slot that passes out of sight.
    fn advance(&mut self, now: Instant, mut passed: impl FnMut(&S)) {
        let age = now.saturating_duration_since(self.begin);
        let number = (age.as_nanos() / self.slot.as_nanos()) as u64;
        let steps = number.saturating_sub(self.newest).min(SLOTS as u64);
        for step in 1..=steps {
            let slot = &mut self.slots[((self.newest + step) % SLOTS as u64) as usize];
            passed(slot);
            *slot = S::default();
        }
        // More steps than slots empty them all: which one is the newest matters no more.
        self.newest = self.newest.max(number);
    }

    fn newest(&mut self) -> &mut S {
        &mut self.slots[(self.newest % SLOTS as u64) as usize]
    }

    fn clear(&mut self) {
        self.slots = [S::default(); SLOTS];
    }
}

/// The answers of one slot.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    good: u32,
    failed: u32,
    silent: u32,
    times: Times<u32>,
}

/// How many of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) good: u32,
    pub(super) failed: u32,
    pub(super) silent: u32,
}

/// A histogram of response times.
#[derive(Clone, Copy, Debug)]
struct Times<N>([N; BUCKETS]);

impl<N: Copy + Default> Default for Times<N> {
    fn default() -> Self {
        Self([N::default(); BUCKETS])
    }
}

/// The bucket of a response time.
fn bucket(took: Duration) -> usize {
    let ms = (took.as_millis() as u64).clamp(1, 1 << 17);
    let power = ms.ilog2();
    // In its power of two, below or above the middle (in octaves).
    let upper = ((ms * ms) >> (2 * power + 1)) & 1;
    ((2 * power) as usize + upper as usize).min(BUCKETS - 1)
}

impl Times<u32> {
    fn count(&self) -> u32 {
        self.0.iter().sum()
    }
}

impl Times<f64> {
    /// The upper bound of the bucket in which the 95th percentile lies.
    fn p95(&self) -> Duration {
        let total: f64 = self.0.iter().sum();
        let mut sum = 0.0;
        let found = self.0.iter().position(|count| {
            sum += count;
            sum >= total * 0.95
        });
        let bound = found.unwrap_or(BUCKETS - 1) + 1;
        Duration::from_secs_f64(2f64.powf(bound as f64 / 2.0) / 1000.0)
    }
}

/// The last answers and the usual response time.
#[derive(Debug)]
pub(super) struct Answers {
    ring: Ring<Slot>,
    usual: Times<f64>,
    /// Slots learnt from, at most [`ANSWER_SLOTS`].
    learnt: u32,
}

impl Answers {
    pub(super) fn new(window: Duration, now: Instant) -> Self {
        Self {
            ring: Ring::new(window, now),
            usual: Times::default(),
            learnt: 0,
        }
    }

    /// Moves on to `now`. What passes out of sight of a working account is what is usual.
    pub(super) fn advance(&mut self, now: Instant, learn: bool) {
        let (usual, learnt) = (&mut self.usual, &mut self.learnt);
        self.ring.advance(now, |slot| {
            if learn {
                fold(usual, learnt, &slot.times);
            }
        });
    }

    pub(super) fn note(&mut self, answer: Answer, took: Duration) {
        let slot = self.ring.newest();
        let timed = match answer {
            Answer::Good => {
                slot.good += 1;
                true
            }
            Answer::Failed => {
                slot.failed += 1;
                true
            }
            Answer::Silent => {
                slot.silent += 1;
                false
            }
            Answer::Busy => false,
        };
        if timed {
            slot.times.0[bucket(took)] += 1;
        }
    }

    /// A response time that counts for nothing but the usual, as long as that is not known.
    pub(super) fn learn(&mut self, took: Duration) {
        if self.learnt < KNOWN {
            let mut times = Times::default();
            times.0[bucket(took)] = 1;
            fold(&mut self.usual, &mut self.learnt, &times);
        }
    }

    /// The window's answers. Silence in a single slot is one event, however many answers it
    /// swallowed: a bind that is cut loses all its window at once.
    pub(super) fn sum(&self) -> Sum {
        let slots = &self.ring.slots;
        let sum = |of: fn(&Slot) -> u32| slots.iter().map(of).sum::<u32>();
        let silent = sum(|slot| slot.silent);
        let moments = slots.iter().filter(|slot| slot.silent > 0).count();
        Sum {
            good: sum(|slot| slot.good),
            failed: sum(|slot| slot.failed),
            silent: if moments > 1 { silent } else { silent.min(1) },
        }
    }

    /// The 95th percentile of the window's response times, if there are so many.
    pub(super) fn recent(&self, samples_min: u32) -> Option<Duration> {
        let mut all = Times::<f64>::default();
        let mut count = 0;
        for slot in &self.ring.slots {
            count += slot.times.count();
            for (sum, one) in all.0.iter_mut().zip(slot.times.0) {
                *sum += f64::from(one);
            }
        }
        (count >= samples_min.max(1)).then(|| all.p95())
    }

    /// The usual 95th percentile, once it is known.
    pub(super) fn usual(&self) -> Option<Duration> {
        (self.learnt >= KNOWN).then(|| self.usual.p95())
    }

    /// Forgets the window, keeps what is usual.
    pub(super) fn clear(&mut self) {
        self.ring.clear();
    }
}

/// Every slot with traffic weighs the same, however much traffic it had.
fn fold(usual: &mut Times<f64>, learnt: &mut u32, times: &Times<u32>) {
    let count = times.count();
    if count == 0 {
        return;
    }
    *learnt = (*learnt + 1).min(ANSWER_SLOTS);
    for (usual, one) in usual.0.iter_mut().zip(times.0) {
        *usual += (f64::from(one) / f64::from(count) - *usual) / f64::from(*learnt);
    }
}

/// The receipts of one slot.
#[derive(Clone, Copy, Debug, Default)]
struct Words {
    delivered: u32,
    all: u32,
}

/// The last receipts and the usual share of delivered messages.
#[derive(Debug)]
pub(super) struct Deliveries {
    ring: Ring<Words>,
    usual: f64,
    learnt: u32,
}

impl Deliveries {
    pub(super) fn new(window: Duration, now: Instant) -> Self {
        Self {
            ring: Ring::new(window, now),
            usual: 0.0,
            learnt: 0,
        }
    }

    pub(super) fn advance(&mut self, now: Instant) {
        let (usual, learnt) = (&mut self.usual, &mut self.learnt);
        self.ring.advance(now, |slot| {
            if slot.all > 0 {
                *learnt = (*learnt + 1).min(DELIVERY_SLOTS);
                let share = f64::from(slot.delivered) / f64::from(slot.all);
                *usual += (share - *usual) / f64::from(*learnt);
            }
        });
    }

    pub(super) fn note(&mut self, delivered: bool) {
        let slot = self.ring.newest();
        slot.all += 1;
        slot.delivered += u32::from(delivered);
    }

    /// Percentages delivered in the window and usually; `None` while either is not known.
    pub(super) fn percent(&self, samples_min: u32) -> Option<(u32, u32)> {
        let all: u32 = self.ring.slots.iter().map(|slot| slot.all).sum();
        let delivered: u32 = self.ring.slots.iter().map(|slot| slot.delivered).sum();
        let known = all >= samples_min.max(1) && self.learnt >= KNOWN;
        known.then(|| (delivered * 100 / all, (self.usual * 100.0) as u32))
    }

    pub(super) fn clear(&mut self) {
        self.ring.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_half_octaves_and_take_everything() {
        let at = |ms| bucket(Duration::from_millis(ms));
        assert_eq!([at(0), at(1), at(2), at(3), at(4)], [0, 0, 2, 3, 4]);
        assert_eq!((at(1000), at(30_000)), (19, 29));
        assert_eq!(at(u64::MAX), BUCKETS - 1);
        let mut times = Times::<f64>::default();
        times.0[at(1000)] = 1.0;
        let p95 = times.p95().as_millis();
        assert!((1000..1500).contains(&p95), "{p95}");
    }

    #[test]
    fn a_window_forgets_what_is_older_and_learns_from_it() {
        let begin = Instant::now();
        let mut answers = Answers::new(Duration::from_secs(10), begin);
        for second in 0..15u64 {
            answers.advance(begin + Duration::from_secs(second), true);
            answers.note(Answer::Good, Duration::from_millis(20));
        }
        assert_eq!(answers.sum().good, 10);
        assert_eq!(answers.usual(), None, "five slots have passed");
        answers.advance(begin + Duration::from_secs(3600), true);
        assert_eq!(answers.sum(), Sum::default());
        let usual = answers.usual().unwrap();
        assert!(usual < Duration::from_millis(30), "{usual:?}");
    }

    #[test]
    fn silence_of_one_moment_is_one_event() {
        let begin = Instant::now();
        let mut answers = Answers::new(Duration::from_secs(10), begin);
        for _ in 0..100 {
            answers.note(Answer::Silent, Duration::from_secs(30));
        }
        assert_eq!(answers.sum().silent, 1);
        answers.advance(begin + Duration::from_secs(1), true);
        answers.note(Answer::Silent, Duration::from_secs(30));
        assert_eq!(answers.sum().silent, 101);
    }
}
