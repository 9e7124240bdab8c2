//! Lives here: what is known of the accounts from their receipts and answers, and what an account
//! is worth for a message: the memory behind `predictive`.
//! Never here: who feeds it. That is one task (`scheduler::health`): it owns the [`Scoreboard`],
//! gives it every `flow::signs::Sign` (`Routes::observe`) and publishes a snapshot every second or so
//! (`Routes::publish`).

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::class::Class;
use crate::domain::ids::{CarrierIndex, NetworkId, fnv};
use crate::domain::time::Timestamp;

/// After this time an observation counts half.
const HALF_LIFE: Duration = Duration::from_secs(20 * 60);
/// What is forgotten within this time is not worth the arithmetic.
const STEP: Duration = Duration::from_secs(1);
/// Cells at most, about 150 octets each; beyond it the one that knows least makes room.
const CELLS_MAX: usize = 4096;
/// A cell that counts for less than this is dropped from the next snapshot.
const WORTHLESS: f32 = 0.05;

/// What is taken for true of an account of which nothing is known: so many observations ...
const PRIOR_WEIGHT: f32 = 10.0;
/// ... with this share delivered ...
const PRIOR_DELIVERED: f32 = 0.9;
/// ... within this time, seconds ...
const PRIOR_MEDIAN: f32 = 5.0;
/// ... and this share of submits answered.
const PRIOR_ANSWERED: f32 = 0.99;
/// An account's record with other classes counts for so many observations of a class of its own.
const KIN_WEIGHT: f32 = 20.0;

/// Latency buckets: bucket k ends at [`BUCKET_FIRST`] x 2^(k/2) seconds; the last is open.
const BUCKETS: usize = 32;
/// Where the first bucket ends, seconds.
const BUCKET_FIRST: f32 = 0.25;

/// A network, by a hash of its id, so that what is known outlives another numbering plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NetworkKey(u32);

impl NetworkKey {
    /// Numbers of no known network; also what is known of an account with all networks.
    pub const ANY: Self = Self(0);

    /// The key of a network.
    pub fn new(network: &NetworkId) -> Self {
        Self((fnv(network.0.as_bytes()) >> 32) as u32)
    }
}

/// The place of answers among the cells: they are known by account and class only.
const ANSWERS: NetworkKey = NetworkKey(u32::MAX);

/// What a cell is about; without a class: all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    carrier: CarrierIndex,
    network: NetworkKey,
    class: Option<Class>,
}

/// Observations of one kind, the older the lighter.
#[derive(Clone, Debug)]
struct Cell {
    at: Timestamp,
    good: f32,
    bad: f32,
    took: [f32; BUCKETS],
}

impl Cell {
    const fn new(at: Timestamp) -> Self {
        Self {
            at,
            good: 0.0,
            bad: 0.0,
            took: [0.0; BUCKETS],
        }
    }

    /// What is left of an observation of the cell's time.
    fn left(&self, now: Timestamp) -> f32 {
        (-now.since(self.at).as_secs_f32() / HALF_LIFE.as_secs_f32()).exp2()
    }

    fn forget(&mut self, now: Timestamp) {
        if now.since(self.at) < STEP {
            return;
        }
        let left = self.left(now);
        self.at = now;
        self.good *= left;
        self.bad *= left;
        for bucket in &mut self.took {
            *bucket *= left;
        }
    }

    fn count(&mut self, good: bool, took: Option<Duration>, now: Timestamp) {
        self.forget(now);
        if good {
            self.good += 1.0;
        } else {
            self.bad += 1.0;
        }
        if let Some(took) = took {
            self.took[bucket(took)] += 1.0;
        }
    }

    fn weight(&self) -> f32 {
        self.good + self.bad
    }

    /// The median of what was delivered, seconds.
    fn median(&self) -> Option<f32> {
        let half = self.took.iter().sum::<f32>() / 2.0;
        if half <= 0.0 {
            return None;
        }
        let mut below = 0.0;
        for (index, bucket) in self.took.iter().enumerate() {
            if below + bucket >= half {
                let (from, to) = (bound(index), bound(index + 1));
                return Some(from + (to - from) * (half - below) / bucket);
            }
            below += bucket;
        }
        Some(bound(BUCKETS))
    }
}

fn bucket(took: Duration) -> usize {
    let ratio = took.as_secs_f32() / BUCKET_FIRST;
    if ratio <= 1.0 {
        return 0;
    }
    ((ratio.log2() * 2.0).ceil() as usize).min(BUCKETS - 1)
}

/// Where a bucket begins, seconds.
fn bound(index: usize) -> f32 {
    match index {
        0 => 0.0,
        index => BUCKET_FIRST * ((index - 1) as f32 / 2.0).exp2(),
    }
}

/// The memory of one task: counts what is observed and forgets it again.
#[derive(Debug, Default)]
pub struct Scoreboard {
    cells: BTreeMap<Key, Cell>,
}

impl Scoreboard {
    /// A message had its last word from a carrier.
    pub fn receipt(
        &mut self,
        carrier: CarrierIndex,
        network: NetworkKey,
        class: Class,
        delivered: Option<Duration>,
        now: Timestamp,
    ) {
        for class in [Some(class), None] {
            let key = Key {
                carrier,
                network,
                class,
            };
            self.cell(key, now)
                .count(delivered.is_some(), delivered, now);
        }
    }

    /// A submit_sm was answered by a system that works (true), or was not.
    pub fn answer(&mut self, carrier: CarrierIndex, class: Class, well: bool, now: Timestamp) {
        let key = Key {
            carrier,
            network: ANSWERS,
            class: Some(class),
        };
        self.cell(key, now).count(well, None, now);
    }

    fn cell(&mut self, key: Key, now: Timestamp) -> &mut Cell {
        if self.cells.len() >= CELLS_MAX && !self.cells.contains_key(&key) {
            let weight = |cell: &Cell| cell.weight() * cell.left(now);
            let least = self
                .cells
                .iter()
                .min_by(|one, other| weight(one.1).total_cmp(&weight(other.1)))
                .map(|(key, _)| *key);
            if let Some(least) = least {
                self.cells.remove(&least);
            }
        }
        self.cells.entry(key).or_insert_with(|| Cell::new(now))
    }

    /// What is known now, to be published.
    pub fn snapshot(&mut self, now: Timestamp) -> Scores {
        self.cells.retain(|_, cell| {
            cell.forget(now);
            cell.weight() >= WORTHLESS
        });
        let rows = self
            .cells
            .iter()
            .filter(|(key, _)| key.network != ANSWERS)
            .map(|(key, cell)| (*key, self.estimate(*key, cell)));
        let answers = self
            .cells
            .iter()
            .filter_map(|(key, cell)| (key.network == ANSWERS).then_some((*key, cell.share())));
        Scores {
            rows: rows.collect(),
            answers: answers.collect(),
        }
    }

    fn estimate(&self, key: Key, cell: &Cell) -> Known {
        let kin = key.class.and_then(|_| {
            let kin = Key { class: None, ..key };
            self.cells
                .get(&kin)
                .map(|kin| kin.known(&Known::NOTHING, PRIOR_WEIGHT))
        });
        match kin {
            Some(kin) => cell.known(&kin, KIN_WEIGHT),
            None => cell.known(&Known::NOTHING, PRIOR_WEIGHT),
        }
    }
}

impl Cell {
    fn known(&self, prior: &Known, weight: f32) -> Known {
        let count = self.weight();
        let blend = |mine: f32, count: f32, prior: f32, weight: f32| {
            (mine * count + prior * weight) / (count + weight)
        };
        let took: f32 = self.took.iter().sum();
        Known {
            count,
            delivered_raw: if count > 0.0 { self.good / count } else { 0.0 },
            delivered: (self.good + prior.delivered * weight) / (count + weight),
            median: self.median().map_or(prior.median, |mine| {
                blend(mine, took, prior.median, weight / 4.0)
            }),
        }
    }

    fn share(&self) -> f32 {
        (self.good + PRIOR_ANSWERED * PRIOR_WEIGHT) / (self.weight() + PRIOR_WEIGHT)
    }
}

/// What is known of an account with a network and a class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Known {
    /// Receipts that this rests on, the older the lighter.
    pub count: f32,
    /// Share of those delivered, as counted.
    pub delivered_raw: f32,
    /// The share that is expected, between what was counted and what is taken for granted.
    pub delivered: f32,
    /// Median time to the receipt of what was delivered, seconds.
    pub median: f32,
}

impl Known {
    const NOTHING: Self = Self {
        count: 0.0,
        delivered_raw: 0.0,
        delivered: PRIOR_DELIVERED,
        median: PRIOR_MEDIAN,
    };
}

/// An immutable snapshot of what is known: read by every decision, never changed.
#[derive(Debug, Default)]
pub struct Scores {
    rows: Box<[(Key, Known)]>,
    answers: Box<[(Key, f32)]>,
}

impl Scores {
    /// What is known of an account; of one that is unknown here, what is known of it with other
    /// classes; failing that, what is taken for granted.
    pub fn known(&self, carrier: CarrierIndex, network: NetworkKey, class: Class) -> Known {
        let key = |class| Key {
            carrier,
            network,
            class,
        };
        if let Some(known) = find(&self.rows, key(Some(class))) {
            return known;
        }
        let Some(kin) = find(&self.rows, key(None)) else {
            return Known::NOTHING;
        };
        Known {
            count: 0.0,
            delivered_raw: 0.0,
            ..kin
        }
    }

    /// The share of submits that the account's system answers well.
    pub fn answered(&self, carrier: CarrierIndex, class: Class) -> f32 {
        let key = Key {
            carrier,
            network: ANSWERS,
            class: Some(class),
        };
        find(&self.answers, key).unwrap_or(PRIOR_ANSWERED)
    }
}

fn find<T: Copy>(rows: &[(Key, T)], key: Key) -> Option<T> {
    let at = rows.binary_search_by_key(&key, |row| row.0).ok()?;
    Some(rows[at].1)
}

/// What an account is worth for a message, 0 to 1: the chance that it is delivered, less for a
/// slow one and less for a dear one, each as much as the class minds. `price` is the cheapest
/// fitting target's cost over this one's, 1 where a cost is not known.
///
/// Rounded to hundredths: smaller differences are noise, and between equals the plan's order
/// decides, so that recipients do not change routes for nothing.
pub fn worth(class: Class, known: &Known, answered: f32, price: f64) -> f64 {
    let chance = f64::from(known.delivered * answered);
    let patience = [20.0, 120.0, 3600.0][class.index()];
    let speed = patience / (patience + f64::from(known.median));
    let thrift = [0.05, 0.3, 0.6][class.index()];
    let cost = 1.0 - thrift * (1.0 - price);
    (chance * speed * cost * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: CarrierIndex = CarrierIndex(0);
    const NET: NetworkKey = NetworkKey(7);
    const START: Timestamp = Timestamp(1_000_000);

    fn seconds(seconds: f32) -> Option<Duration> {
        Some(Duration::from_secs_f32(seconds))
    }

    #[test]
    fn what_was_counted_is_found_again() {
        let mut board = Scoreboard::default();
        for n in 0..1_000 {
            let delivered = if n % 20 == 0 { None } else { seconds(3.0) };
            board.receipt(ONE, NET, Class::Otp, delivered, START);
        }
        let scores = board.snapshot(START);
        let known = scores.known(ONE, NET, Class::Otp);
        assert!((known.count - 1000.0).abs() < 0.1, "{known:?}");
        assert!((known.delivered_raw - 0.95).abs() < 0.001, "{known:?}");
        assert!((known.delivered - 0.95).abs() < 0.01, "{known:?}");
        assert!((2.8..=4.0).contains(&known.median), "{known:?}");
    }

    #[test]
    fn half_is_forgotten_after_the_half_life_and_all_in_the_end() {
        let mut board = Scoreboard::default();
        for _ in 0..100 {
            board.receipt(ONE, NET, Class::Otp, seconds(1.0), START);
        }
        let scores = board.snapshot(START + HALF_LIFE);
        assert!((scores.known(ONE, NET, Class::Otp).count - 50.0).abs() < 0.1);
        let scores = board.snapshot(START + HALF_LIFE * 30);
        assert_eq!(scores.known(ONE, NET, Class::Otp), Known::NOTHING);
        assert!(board.cells.is_empty());
    }

    #[test]
    fn an_unknown_class_is_judged_by_its_kin_and_a_stranger_by_the_prior() {
        let mut board = Scoreboard::default();
        for _ in 0..500 {
            board.receipt(ONE, NET, Class::Promotional, None, START);
        }
        let scores = board.snapshot(START);
        let kin = scores.known(ONE, NET, Class::Otp);
        assert!(kin.delivered < 0.1 && kin.count < 0.1, "{kin:?}");
        assert_eq!(scores.known(ONE, NetworkKey(8), Class::Otp), Known::NOTHING);
    }

    #[test]
    fn silence_lowers_the_share_of_answers_and_only_that() {
        let mut board = Scoreboard::default();
        for n in 0..100 {
            board.answer(ONE, Class::Otp, n % 2 == 0, START);
        }
        let scores = board.snapshot(START);
        assert!((0.5..0.6).contains(&scores.answered(ONE, Class::Otp)));
        assert!(scores.answered(ONE, Class::Promotional) > 0.98);
        assert_eq!(scores.known(ONE, NET, Class::Otp), Known::NOTHING);
    }

    #[test]
    fn the_board_is_bounded() {
        let mut board = Scoreboard::default();
        for n in 0..CELLS_MAX as u32 / 2 + 50 {
            board.receipt(ONE, NetworkKey(n), Class::Otp, None, START);
        }
        assert_eq!(board.cells.len(), CELLS_MAX);
    }

    #[test]
    fn latency_matters_to_otp_and_price_to_promotional() {
        let slow = Known {
            median: 60.0,
            ..Known::NOTHING
        };
        let otp = |known, price| worth(Class::Otp, known, 1.0, price);
        let promotional = |known, price| worth(Class::Promotional, known, 1.0, price);
        assert!(otp(&slow, 1.0) < otp(&Known::NOTHING, 0.5));
        assert!(promotional(&slow, 1.0) > promotional(&Known::NOTHING, 0.5));
    }

    #[test]
    fn medians_are_read_from_the_buckets_at_every_scale() {
        for wanted in [0.1_f32, 0.3, 1.0, 3.0, 30.0, 600.0, 9_000.0] {
            let mut board = Scoreboard::default();
            for _ in 0..1_000 {
                board.receipt(ONE, NET, Class::Otp, seconds(wanted), START);
            }
            let found = board.snapshot(START).known(ONE, NET, Class::Otp).median;
            let ratio = found / wanted;
            assert!((0.6..=1.8).contains(&ratio), "{wanted}: {found}");
        }
    }
}
