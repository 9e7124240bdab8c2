//! Lives here: that nobody starves and nothing is lost or handed out twice, on a virtual clock and
//! in seeded storms of commits, reads and restarts.
//! Never here: anything but tests.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use uuid::Uuid;

use super::*;
use crate::domain::message::Message;
use crate::scheduler::decide::tests::ready as any;

const fn org(number: u128) -> OrgId {
    OrgId(Uuid::from_u128(number))
}

fn ready(number: u128, place: i64) -> Ready {
    let one = any(place, 1);
    let message = Message {
        org: org(number),
        ..Message::clone(&one.message)
    };
    Ready::first(Arc::new(message))
}

/// A lane whose store holds nothing.
fn known(max: usize) -> Fair {
    let mut fair = Fair::new(max);
    fair.found(0, Vec::new());
    fair
}

fn pops(fair: &mut Fair) -> Vec<i64> {
    std::iter::from_fn(|| fair.pop())
        .map(|ready| ready.place.0)
        .collect()
}

#[test]
fn a_message_read_from_the_store_is_not_taken_again_when_its_commit_is_told() {
    let mut fair = Fair::new(8);
    fair.take(ready(1, 5));
    assert!(
        fair.pop().is_none(),
        "until asked, the store may have others before it"
    );
    fair.found(0, vec![(org(1), Place(5))]);
    let wanted = fair.wanted().unwrap();
    assert_eq!((wanted.after, wanted.known), (Place(0), Place(5)));
    fair.page(wanted, vec![ready(1, 5), ready(1, 6)]);
    assert_eq!(pops(&mut fair), [5, 6]);
    fair.take(ready(1, 6));
    assert!(pops(&mut fair).is_empty(), "the page had it already");
    fair.take(ready(1, 7));
    assert_eq!(pops(&mut fair), [7]);
    assert!(fair.wanted().is_none() && fair.is_idle());
}

#[test]
fn an_organisation_stays_spilled_while_a_commit_is_newer_than_the_page() {
    let mut fair = Fair::new(8);
    fair.found(0, vec![(org(1), Place(4))]);
    let wanted = fair.wanted().unwrap();
    fair.take(ready(1, 9));
    fair.page(wanted, vec![ready(1, 4)]);
    let wanted = fair.wanted().unwrap();
    assert_eq!(
        wanted.after,
        Place(4),
        "9 was committed after the page was read"
    );
    fair.page(wanted, vec![ready(1, 9)]);
    assert!(fair.wanted().is_none());
    assert_eq!(pops(&mut fair), [4, 9]);
}

#[test]
fn a_message_that_ended_while_it_waited_does_not_keep_its_organisation_spilled() {
    let mut fair = Fair::new(8);
    fair.found(0, vec![(org(1), Place(9))]);
    let wanted = fair.wanted().unwrap();
    fair.page(wanted, Vec::new());
    assert!(fair.wanted().is_none(), "9 was known, and waits no more");
    fair.take(ready(1, 10));
    assert_eq!(pops(&mut fair), [10]);
}

#[test]
fn a_full_page_means_there_may_be_more() {
    let mut fair = Fair::new(2);
    fair.found(0, vec![(org(1), Place(9))]);
    let wanted = fair.wanted().unwrap();
    assert_eq!(wanted.limit, 1);
    fair.page(wanted, vec![ready(1, 3)]);
    assert_eq!(pops(&mut fair), [3]);
    assert!(fair.wanted().is_some());
}

#[test]
fn shares_of_memory_shrink_as_others_come_and_a_newcomer_finds_room() {
    let mut fair = known(1000);
    let mut place = 0;
    let mut commit = |fair: &mut Fair, number, count| {
        for _ in 0..count {
            place += 1;
            fair.take(ready(number, place));
        }
    };
    commit(&mut fair, 1, 5000);
    assert_eq!(fair.held(), 500, "alone it has half");
    commit(&mut fair, 2, 5000);
    assert_eq!(fair.held(), 750);
    for number in 3..253 {
        commit(&mut fair, number, 1);
        assert_eq!(fair.held() as u128, 748 + number);
    }
    commit(&mut fair, 253, 1);
    assert_eq!(fair.held(), 1000, "and no more");
    assert!(pops(&mut fair).len() == 1000 && fair.is_behind());
}

#[test]
fn one_million_spilled_messages_cost_the_ready_set_only() {
    let mut fair = known(2048);
    let one = ready(1, 1);
    for place in 1..=1_000_000 {
        fair.take(Ready {
            place: Place(place),
            ..one.clone()
        });
    }
    assert!(fair.held() <= 2048);
    assert!(fair.flows.len() == 1 && fair.round.len() == 1);
    assert!(fair.flows[0].queue.capacity() <= 2048);
}

/// A lane on a virtual clock: `rate` messages a second leave it, by way of a short queue in front
/// of the binds, and a page is read in `READ_MS`.
struct Lane {
    fair: Fair,
    stored: HashMap<OrgId, BTreeMap<Place, Ready>>,
    front: VecDeque<Ready>,
    front_max: usize,
    reading: Option<(u64, Wanted)>,
    served: HashMap<OrgId, Vec<u64>>,
}

const READ_MS: u64 = 5;

impl Lane {
    fn new(rate: u64) -> Self {
        Self {
            fair: known(2048),
            stored: HashMap::new(),
            front: VecDeque::new(),
            front_max: (rate / 50).max(16) as usize,
            reading: None,
            served: HashMap::new(),
        }
    }

    fn commit(&mut self, ready: Ready) {
        let stored = self.stored.entry(ready.message.org).or_default();
        stored.insert(ready.place, ready.clone());
        self.fair.take(ready);
    }

    /// Runs for so long; a message leaves every 1000/rate ms.
    fn run(&mut self, from: u64, until: u64, rate: u64) {
        for now in from..until {
            if self.front.len() * 2 <= self.front_max {
                while self.front.len() < self.front_max
                    && let Some(ready) = self.fair.pop()
                {
                    self.front.push_back(ready);
                }
            }
            if let Some((at, wanted)) = self.reading
                && at <= now
            {
                self.reading = None;
                let behind = (
                    std::ops::Bound::Excluded(wanted.after),
                    std::ops::Bound::Unbounded,
                );
                let rows = self.stored[&wanted.org].range(behind);
                let rows = rows
                    .take(wanted.limit)
                    .map(|(_, ready)| ready.clone())
                    .collect();
                self.fair.page(wanted, rows);
            }
            if self.reading.is_none() {
                self.reading = self.fair.wanted().map(|wanted| (now + READ_MS, wanted));
            }
            for _ in 0..(now + 1) * rate / 1000 - now * rate / 1000 {
                if let Some(ready) = self.front.pop_front() {
                    let served = self.served.entry(ready.message.org).or_default();
                    served.push(now);
                }
            }
        }
    }
}

/// Nine organisations with 100 messages each, beside one with so many, which came before.
/// When each of the nine was through, and the share of each of all during that time.
fn nine_beside(big: i64, rate: u64) -> (u64, Vec<f64>) {
    let mut lane = Lane::new(rate);
    for place in 1..=big {
        lane.commit(ready(10, place));
    }
    let start = 1000;
    lane.run(0, start, rate);
    let mut place = big;
    for _ in 0..100 {
        for number in 1..=9 {
            place += 1;
            lane.commit(ready(number, place));
        }
    }
    lane.run(start, start + 20_000, rate);
    let last = (1..=9).map(|number| lane.served[&org(number)][99]).max();
    let last = last.unwrap();
    let during = |number| {
        let served = lane.served.get(&org(number));
        let served = served.map_or(&[][..], |served| served);
        let within = served.iter().filter(|at| (start..=last).contains(at));
        within.count() as f64
    };
    (last - start, (1..=10).map(during).collect())
}

fn jain(shares: &[f64]) -> f64 {
    let sum: f64 = shares.iter().sum();
    let squares: f64 = shares.iter().map(|share| share * share).sum();
    sum * sum / (shares.len() as f64 * squares)
}

#[test]
fn nine_small_organisations_are_through_as_if_the_big_one_were_not_there() {
    for rate in [100, 500, 2000] {
        let (alone, _) = nine_beside(0, rate);
        let (beside, shares) = nine_beside(100_000, rate);
        let slower = beside as f64 / alone as f64;
        assert!(
            slower < 1.1,
            "{rate}: {alone} ms alone, {beside} ms beside: {slower:.3}"
        );
        let index = jain(&shares);
        assert!(index >= 0.95, "{rate}: {index:.3} of {shares:?}");
    }
}

#[test]
fn standing_backlogs_are_served_alike_whatever_their_size() {
    let mut lane = Lane::new(1000);
    let mut place = 0;
    for (number, count) in [(1, 40_000), (2, 9_000), (3, 4_000), (4, 20_000)] {
        for _ in 0..count {
            place += 1;
            lane.commit(ready(number, place));
        }
    }
    lane.run(0, 10_000, 1000);
    let shares: Vec<f64> = (1..=4)
        .map(|number| lane.served[&org(number)].len() as f64)
        .collect();
    assert!(jain(&shares) > 0.99, "{shares:?}");
}

#[test]
fn long_messages_count_by_their_segments() {
    let mut fair = known(4096);
    for place in 1..=800 {
        let mut one = ready(u128::from(place % 2 == 0), place);
        if place % 2 == 0 {
            one.parts = crate::flow::Parts::all(10);
        }
        fair.take(one);
    }
    let mut segments = [0; 2];
    for _ in 0..300 {
        let ready = fair.pop().unwrap();
        segments[usize::from(ready.message.org == org(1))] += ready.parts.count();
    }
    let (short, long) = (f64::from(segments[0]), f64::from(segments[1]));
    assert!((0.8..1.25).contains(&(short / long)), "{segments:?}");
}

/// A small generator, so that a storm is its seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % sides
    }
}

/// The store, the stream of commits, a read under way, and the lane, in any interleaving.
struct Storm {
    dice: Dice,
    /// A message of each organisation.
    messages: [Ready; 4],
    fair: Fair,
    /// What waits, as the store has it.
    stored: BTreeMap<(OrgId, Place), Ready>,
    /// Committed, not yet told.
    untold: VecDeque<Ready>,
    /// A read that the store has answered and that is still to be handled.
    read: Option<Read>,
    next: i64,
    /// Handed out, and still in the store: a carrier has not answered.
    out: BTreeSet<(OrgId, Place)>,
    done: HashMap<OrgId, Vec<i64>>,
    /// Ended by the clock, or taken back by an operator.
    ended: BTreeSet<Place>,
    /// Gone to another lane.
    moved: BTreeSet<Place>,
    /// What a recall has taken out of memory.
    kept: Option<Vec<Ready>>,
    /// The lane is given up: whose rows are gone through, and what is about to leave.
    sweep: VecDeque<(OrgId, Place)>,
    leaving: Vec<(OrgId, Place)>,
}

enum Read {
    Backlog(u32, Vec<(OrgId, Place)>),
    Page(Wanted, Vec<Ready>),
}

impl Storm {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let max = 1 + dice.roll(12) as usize;
        Self {
            fair: Fair::new(max),
            messages: [0, 1, 2, 3].map(|number| ready(number, 0)),
            dice,
            stored: BTreeMap::new(),
            untold: VecDeque::new(),
            read: None,
            next: 0,
            out: BTreeSet::new(),
            done: HashMap::new(),
            ended: BTreeSet::new(),
            moved: BTreeSet::new(),
            kept: None,
            sweep: VecDeque::new(),
            leaving: Vec::new(),
        }
    }

    fn step(&mut self) {
        match self.dice.roll(12) {
            0..=3 => self.commit(),
            4 | 5 => self.tell(),
            6 | 7 => self.read(),
            8 | 9 => self.serve(),
            10 => self.answer(),
            _ => match self.dice.roll(12) {
                0 => self.restart(),
                1 => self.end_one(),
                2 | 3 => self.operate(),
                4 => self.give_up(),
                5 => self.leave_memory(),
                _ => self.tell(),
            },
        }
    }

    fn commit(&mut self) {
        for _ in 0..=self.dice.roll(4) {
            self.next += 1;
            let number = self.dice.roll(4).min(self.dice.roll(4)) as usize;
            let one = Ready {
                place: Place(self.next),
                ..self.messages[number].clone()
            };
            let key = (one.message.org, one.place);
            self.stored.insert(key, one.clone());
            self.untold.push_back(one);
        }
    }

    fn tell(&mut self) {
        let Some(one) = self.untold.pop_front() else {
            return;
        };
        if self.fair.is_idle() && self.dice.roll(2) == 0 {
            self.fair.tell(one.place);
            self.hand(&one);
        } else {
            self.fair.take(one);
        }
    }

    /// An operator recalls the lane, changes rows, and releases it. Others go on meanwhile.
    fn operate(&mut self) {
        let Some(kept) = self.kept.take() else {
            self.sweep.clear();
            self.kept = Some(self.fair.recall());
            return;
        };
        for _ in 0..self.dice.roll(3) {
            self.end_one();
        }
        for _ in 0..self.dice.roll(3) {
            // From another lane, and never told.
            self.commit();
            self.untold.pop_back();
        }
        self.fair.release();
        for one in kept {
            if self.stored.contains_key(&(one.message.org, one.place)) {
                self.hand(&one);
            }
        }
    }

    /// The account is given up: the store's rows are gone through.
    fn give_up(&mut self) {
        if self.leaving.is_empty() && self.kept.is_none() {
            self.sweep = self.fair.survey();
        }
    }

    /// Some of what is in memory goes to another lane.
    fn leave_memory(&mut self) {
        let odd = |ready: &Ready| (ready.place.0 % 2 == 1).then_some(());
        for (one, ()) in self.fair.extract(odd) {
            self.stored.remove(&(one.message.org, one.place));
            self.moved.insert(one.place);
        }
    }

    /// One page of the sweep is read, or what it found leaves.
    fn sweep(&mut self) {
        // `feed` hears of a commit before it hears that a later one, its own, is done.
        while !self.leaving.is_empty() && !self.untold.is_empty() {
            self.tell();
        }
        for key in std::mem::take(&mut self.leaving) {
            assert!(!self.out.contains(&key), "{key:?} was loaded meanwhile");
            if self.stored.remove(&key).is_some() {
                self.moved.insert(key.1);
            }
        }
        let Some((org, after)) = self.sweep.pop_front() else {
            return;
        };
        let rows = self
            .stored
            .range((org, Place(after.0 + 1))..=(org, Place(i64::MAX)));
        let page: Vec<_> = rows.take(3).map(|(key, _)| *key).collect();
        if let Some(last) = page.last().filter(|_| page.len() == 3) {
            self.sweep.push_back(*last);
        }
        self.leaving = page.into_iter().filter(|key| key.1.0 % 2 == 0).collect();
    }

    /// Asks for a read, or handles the one that was asked for: what happens between is a race.
    fn read(&mut self) {
        match self.read.take() {
            Some(Read::Backlog(epoch, backlog)) => self.fair.found(epoch, backlog),
            Some(Read::Page(wanted, rows)) => self.fair.page(wanted, rows),
            None if !self.sweep.is_empty() || !self.leaving.is_empty() => self.sweep(),
            None if self.fair.is_unknown() => {
                let mut newest = BTreeMap::new();
                for (org, place) in self.stored.keys() {
                    newest.insert(*org, *place);
                }
                let epoch = self.fair.epoch();
                self.read = Some(Read::Backlog(epoch, newest.into_iter().collect()));
            }
            None => {
                if let Some(wanted) = self.fair.wanted() {
                    let from = (wanted.org, Place(wanted.after.0 + 1));
                    let rows = self.stored.range(from..=(wanted.org, Place(i64::MAX)));
                    let rows = rows.take(wanted.limit).map(|(_, one)| one.clone());
                    self.read = Some(Read::Page(wanted, rows.collect()));
                }
            }
        }
    }

    fn serve(&mut self) {
        for _ in 0..=self.dice.roll(4) {
            if let Some(one) = self.fair.pop() {
                self.hand(&one);
            }
        }
    }

    fn hand(&mut self, one: &Ready) {
        assert!(!self.moved.contains(&one.place), "{} has moved", one.place);
        let done = self.done.entry(one.message.org).or_default();
        assert!(
            done.last().is_none_or(|last| *last < one.place.0),
            "{} after {done:?}",
            one.place
        );
        done.push(one.place.0);
        self.out.insert((one.message.org, one.place));
    }

    /// A carrier answers what it was handed: the store has it waiting no more.
    fn answer(&mut self) {
        for key in std::mem::take(&mut self.out) {
            self.stored.remove(&key);
        }
    }

    /// The clock ends a message that waits in the store. One in memory ends when it is taken.
    fn end_one(&mut self) {
        let nth = self.dice.roll(8) as usize;
        let Some(key) = self.stored.keys().nth(nth).copied() else {
            return;
        };
        if !self.out.contains(&key) {
            self.stored.remove(&key);
            self.ended.insert(key.1);
        }
    }

    /// What memory held is gone; the store has it. A carrier's answers were all recorded.
    fn restart(&mut self) {
        self.answer();
        self.fair = Fair::new(1 + self.dice.roll(12) as usize);
        self.untold.clear();
        self.read = None;
        self.kept = None;
        self.sweep.clear();
        self.leaving.clear();
    }

    fn finish(mut self) {
        if self.kept.is_some() {
            self.operate();
        }
        for _ in 0..10_000 {
            while !self.untold.is_empty() {
                self.tell();
            }
            self.read();
            self.serve();
            self.answer();
            if self.stored.is_empty() && self.read.is_none() && !self.fair.is_behind() {
                break;
            }
        }
        // What a restart found is never told; the next commit says that it is over.
        self.fair.tell(Place(self.next));
        assert!(self.fair.pop().is_none());
        assert!(self.stored.is_empty(), "left: {:?}", self.stored.keys());
        assert!(self.fair.is_idle(), "nothing is kept of what is over");
        let mut all: Vec<i64> = self.done.into_values().flatten().collect();
        let handed = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), handed, "nothing twice");
        let lost = (1..=self.next).filter(|place| {
            let gone = Place(*place);
            let gone = self.ended.contains(&gone) || self.moved.contains(&gone);
            all.binary_search(place).is_err() && !gone
        });
        assert_eq!(lost.count(), 0, "nothing lost");
    }
}

#[test]
fn in_any_storm_every_message_is_handed_out_once_and_in_order() {
    for seed in 0..10_000 {
        let story = std::panic::catch_unwind(|| {
            let mut storm = Storm::new(seed);
            for _ in 0..80 {
                storm.step();
            }
            storm.finish();
        });
        assert!(story.is_ok(), "seed {seed}");
    }
}
