//! Lives here: the breaker on a virtual clock: tables of troubles, an hour of flapping, storms.
//! Never here: anything but tests.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(100);
const QUICK: Duration = Duration::from_millis(20);

/// What happens to an account in a table's row.
type Weathering = fn(&mut Account);

/// A breaker, its clock and a carrier that behaves as told.
struct Account {
    breaker: Breaker,
    now: Instant,
    seen: Seen,
    changes: Vec<Change>,
}

impl Account {
    fn new() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        let now = Instant::now() + Duration::from_secs(100_000);
        let mut account = Self {
            breaker: Breaker::new(limits, now),
            now,
            seen: Seen {
                able: true,
                in_flight: 0,
                probes_out: 0,
                lone: false,
            },
            changes: Vec::new(),
        };
        account.look();
        account
    }

    fn look(&mut self) {
        let change = self.breaker.look(self.seen, 1.0, self.now);
        if let Some(change) = change {
            self.seen.probes_out = 0;
            self.changes.push(change);
        }
    }

    /// Time passes; `each` is asked on every tick.
    fn pass(&mut self, time: Duration, mut each: impl FnMut(&mut Self)) {
        let until = self.now + time;
        while self.now < until {
            self.now += TICK;
            each(self);
            self.look();
        }
    }

    fn idle(&mut self, time: Duration) {
        self.pass(time, |_| {});
    }

    fn answer(&mut self, answer: Answer, took: Duration) {
        self.breaker.answered(answer, took, self.now);
    }

    /// Ten answers a second.
    fn answers(&mut self, time: Duration, answer: Answer, took: Duration) {
        self.pass(time, |account| account.answer(answer, took));
    }

    fn is_closed(&self) -> bool {
        matches!(self.breaker.state, State::Closed { .. })
    }

    fn opened(&self) -> Vec<&'static str> {
        let opened = self.changes.iter().filter_map(|change| match change {
            Change::Opened(reason, _) => Some(reason.name()),
            Change::HalfOpened | Change::Closed => None,
        });
        opened.collect()
    }

    /// Probes go and come back like this.
    fn probe(&mut self, answer: Answer) {
        for _ in 0..self.breaker.probing().unwrap() {
            self.seen.probes_out += 1;
            self.now += QUICK;
            self.answer(answer, QUICK / 2);
        }
        self.look();
    }
}

/// Two of three answers are bad.
fn mixed(account: &mut Account, bad: Answer) {
    account.pass(SECOND * 12, |account| {
        account.answer(bad, QUICK);
        account.answer(bad, QUICK);
        account.answer(Answer::Good, QUICK);
    });
}

#[test]
fn each_trouble_opens_for_its_own_reason() {
    let table: [(&str, Weathering); 7] = [
        ("no_bind", |account| {
            account.seen.able = false;
            account.idle(SECOND * 2);
        }),
        ("failures", |account| {
            mixed(account, Answer::Failed);
        }),
        ("silence", |account| {
            mixed(account, Answer::Silent);
        }),
        ("bad_run", |account| {
            for _ in 0..5 {
                account.idle(SECOND * 20);
                account.answer(Answer::Silent, SECOND * 15);
                account.look();
            }
        }),
        ("slow", |account| {
            account.answers(SECOND * 25, Answer::Good, SECOND * 3);
        }),
        ("stalled", |account| {
            account.seen.in_flight = 3;
            account.idle(SECOND * 4);
        }),
        ("undelivered", |account| {
            account.pass(SECOND * 400, |account| {
                account.breaker.receipt(false, SECOND, account.now);
            });
        }),
    ];
    for (name, trouble) in table {
        let mut account = Account::new();
        account.pass(SECOND * 900, |account| {
            account.answer(Answer::Good, QUICK);
            account.breaker.receipt(true, SECOND, account.now);
        });
        assert!(account.changes.is_empty(), "{name}: {:?}", account.changes);
        trouble(&mut account);
        assert_eq!(account.opened()[0], name);
    }
}

#[test]
fn what_is_no_fault_of_the_account_never_opens_it() {
    let table: [(&str, Weathering); 7] = [
        ("slower, please", |account| {
            account.answers(SECOND * 60, Answer::Busy, SECOND * 5);
        }),
        ("a few failures", |account| {
            account.answers(SECOND * 10, Answer::Good, QUICK);
            for _ in 0..20 {
                account.answers(SECOND, Answer::Good, QUICK);
                account.answer(Answer::Failed, QUICK);
                account.look();
            }
        }),
        ("too few to tell", |account| {
            for _ in 0..4 {
                account.idle(SECOND * 2);
                account.answer(Answer::Failed, QUICK);
                account.look();
            }
        }),
        ("one of two binds is cut with its window", |account| {
            account.answers(SECOND * 10, Answer::Good, QUICK);
            for _ in 0..200 {
                account.answer(Answer::Silent, QUICK);
            }
            account.answers(SECOND * 10, Answer::Good, QUICK);
        }),
        ("a bind that is back within its grace", |account| {
            account.seen.able = false;
            account.idle(SECOND / 2);
            account.seen.able = true;
            account.idle(SECOND * 10);
        }),
        ("slower than usual and still quick", |account| {
            account.answers(SECOND * 60, Answer::Good, QUICK);
            account.answers(SECOND * 60, Answer::Good, SECOND);
        }),
        ("slow from the first day", |account| {
            account.seen.in_flight = 2;
            account.answers(SECOND * 300, Answer::Good, SECOND * 8);
        }),
    ];
    for (name, calm) in table {
        let mut account = Account::new();
        calm(&mut account);
        assert!(account.changes.is_empty(), "{name}: {:?}", account.changes);
    }
}

#[test]
fn at_start_binds_have_longer_to_come_up() {
    let mut account = Account::new();
    account.breaker = Breaker::new(Limits::default(), account.now);
    account.seen.able = false;
    account.idle(SECOND * 14);
    assert!(account.is_closed());
    account.idle(SECOND * 2);
    assert_eq!(account.opened(), ["no_bind"]);
}

#[test]
fn an_answer_proves_a_bind_that_no_look_has_seen() {
    let mut account = Account::new();
    account.breaker = Breaker::new(Limits::default(), account.now);
    account.seen.able = false;
    account.answer(Answer::Good, QUICK);
    account.idle(Limits::default().bind_grace + SECOND);
    assert_eq!(account.opened(), ["no_bind"]);
}

#[test]
fn after_a_bind_is_back_and_has_stayed_probes_close_it() {
    let mut account = Account::new();
    account.seen.able = false;
    account.idle(SECOND * 60);
    account.seen.able = true;
    account.idle(SECOND * 4);
    assert_eq!(account.changes.len(), 1, "{:?}", account.changes);
    account.idle(SECOND * 2);
    assert_eq!(account.changes[1..], [Change::HalfOpened]);
    account.probe(Answer::Good);
    assert_eq!(account.changes[2..], [Change::Closed]);
}

#[test]
fn a_failed_probe_opens_it_for_twice_as_long() {
    let mut account = Account::new();
    account.answers(SECOND * 3, Answer::Failed, QUICK);
    let mut waits = Vec::new();
    for _ in 0..8 {
        while account.breaker.probing().is_none() {
            account.idle(TICK);
        }
        account.probe(Answer::Failed);
        if let Some(Change::Opened(Reason::Probes { .. }, wait)) = account.changes.last() {
            waits.push(wait.as_secs());
        }
    }
    assert_eq!(waits, [10, 20, 40, 80, 160, 300, 300, 300]);
}

#[test]
fn a_quiet_time_makes_the_first_wait_short_again() {
    let mut account = Account::new();
    let trip = |account: &mut Account| {
        account.answers(SECOND * 3, Answer::Failed, QUICK);
        let Some(Change::Opened(_, wait)) = account.changes.last().copied() else {
            panic!("{:?}", account.changes);
        };
        while account.breaker.probing().is_none() {
            account.idle(TICK);
        }
        account.probe(Answer::Good);
        assert!(account.is_closed());
        wait.as_secs()
    };
    assert_eq!((trip(&mut account), trip(&mut account)), (5, 10));
    account.idle(SECOND * 600);
    assert_eq!(trip(&mut account), 5);
}

#[test]
fn probes_that_are_never_answered_fail() {
    let mut account = Account::new();
    account.answers(SECOND * 3, Answer::Failed, QUICK);
    account.idle(SECOND * 6);
    account.seen.probes_out = 3;
    account.idle(SECOND * 11);
    assert_eq!(account.opened(), ["failures", "probes"]);
}

#[test]
fn while_it_owes_answers_it_is_not_tried() {
    let mut account = Account::new();
    account.seen.in_flight = 10;
    account.idle(SECOND * 40);
    assert_eq!(account.opened(), ["stalled"]);
    assert_eq!(account.breaker.probing(), None);
    account.seen.in_flight = 0;
    account.idle(TICK);
    assert_eq!(account.changes[1..], [Change::HalfOpened]);
}

#[test]
fn a_lack_of_probes_is_told_and_a_single_good_one_is_enough_when_no_more_come() {
    let mut account = Account::new();
    account.answers(SECOND * 3, Answer::Failed, QUICK);
    account.idle(SECOND * 6);
    assert!(!account.breaker.lacks_probes(account.now));
    account.idle(SECOND * 60);
    assert!(account.breaker.lacks_probes(account.now));
    account.seen.probes_out = 1;
    account.idle(TICK);
    assert!(!account.breaker.lacks_probes(account.now));
    account.answer(Answer::Good, TICK);
    account.idle(SECOND * 11);
    assert!(account.is_closed());
}

#[test]
fn late_answers_to_what_was_sent_before_it_opened_are_no_probes() {
    let mut account = Account::new();
    account.answers(SECOND * 3, Answer::Failed, QUICK);
    account.idle(SECOND * 6);
    for _ in 0..50 {
        account.answer(Answer::Silent, SECOND * 30);
        account.answer(Answer::Good, SECOND * 30);
    }
    account.look();
    assert_eq!(account.opened(), ["failures"]);
    assert!(!account.is_closed());
}

#[test]
fn a_bind_that_goes_up_and_down_for_an_hour_changes_hardly_anything() {
    for (up, down) in [(3, 3), (6, 6), (20, 2), (2, 20), (60, 5)] {
        let mut account = Account::new();
        let begin = account.now;
        while account.now < begin + SECOND * 3600 {
            account.seen.able = true;
            account.pass(SECOND * up, |account| {
                if account.breaker.probing().is_some() {
                    account.probe(Answer::Good);
                }
            });
            account.seen.able = false;
            account.idle(SECOND * down);
        }
        let changes = account.changes.len();
        assert!(changes <= 13, "{up} s up, {down} s down: {changes} changes");
    }
}

#[test]
fn a_lone_account_is_tried_again_as_soon_as_it_can_be_and_never_too_slow() {
    let mut account = Account::new();
    account.seen.lone = true;
    account.answers(SECOND * 60, Answer::Good, QUICK);
    account.answers(SECOND * 60, Answer::Good, SECOND * 5);
    assert!(account.changes.is_empty());
    account.seen.able = false;
    account.idle(SECOND * 2);
    account.seen.able = true;
    account.idle(TICK);
    assert_eq!(account.changes[1..], [Change::Closed]);
    account.answers(SECOND * 5, Answer::Failed, QUICK);
    account.idle(SECOND * 11);
    for _ in 0..6 {
        account.probe(Answer::Failed);
        account.idle(SECOND * 6);
        assert_eq!(account.changes.last(), Some(&Change::HalfOpened));
    }
}

#[test]
fn a_process_that_stood_still_does_not_blame_the_carrier() {
    let mut account = Account::new();
    account.answers(SECOND * 60, Answer::Good, QUICK);
    account.seen.in_flight = 10;
    account.idle(SECOND);
    account.now += SECOND * 60;
    account.look();
    assert!(account.is_closed());
}

#[test]
fn a_slow_carrier_is_learnt_even_if_it_is_first_taken_for_dead() {
    let mut account = Account::new();
    let slow = SECOND * 30;
    // Ten segments in flight at all times, each answered after half a minute.
    account.seen.in_flight = 10;
    account.idle(SECOND * 12);
    assert_eq!(account.opened(), ["stalled"]);
    account.idle(SECOND * 18);
    account.answers(SECOND * 2, Answer::Good, slow);
    account.seen.in_flight = 0;
    // Probes take as long, and are given the time.
    while account.breaker.probing().is_none() {
        account.idle(TICK);
    }
    account.seen.probes_out = 5;
    account.idle(SECOND * 29);
    account.answers(SECOND * 2, Answer::Good, slow - SECOND * 2);
    assert!(account.is_closed(), "{:?}", account.changes);
    account.seen.in_flight = 10;
    account.answers(SECOND * 600, Answer::Good, slow);
    assert!(account.is_closed(), "{:?}", account.changes);
}

/// What a storm's carrier does for a while.
#[derive(Clone, Copy, Debug)]
enum Weather {
    Fair,
    NoBind,
    Failing,
    Mute,
    Slow,
    Throttling,
    Undelivering,
    Idle,
}

const WEATHERS: [Weather; 8] = [
    Weather::Fair,
    Weather::NoBind,
    Weather::Failing,
    Weather::Mute,
    Weather::Slow,
    Weather::Throttling,
    Weather::Undelivering,
    Weather::Idle,
];

/// Half a second of a weather.
fn blow(account: &mut Account, weather: Weather, random: &mut StdRng) {
    account.now += SECOND / 2;
    account.seen.able = !matches!(weather, Weather::NoBind);
    account.seen.in_flight = 0;
    let probing = account.breaker.probing();
    let sent = match (account.is_closed(), probing) {
        (true, _) => random.random_range(0..8),
        (false, Some(probes)) => random.random_range(0..=probes - account.seen.probes_out),
        (false, None) => 0,
    };
    if probing.is_some() {
        account.seen.probes_out += sent;
    }
    let took = Duration::from_millis(random.random_range(1..400));
    for _ in 0..sent {
        match weather {
            Weather::Fair | Weather::Undelivering => account.answer(Answer::Good, took),
            Weather::NoBind => account.answer(Answer::Silent, took),
            Weather::Failing => account.answer(Answer::Failed, took),
            Weather::Mute => account.seen.in_flight += 5,
            Weather::Slow => account.answer(Answer::Good, took * 30),
            Weather::Throttling => account.answer(Answer::Busy, took),
            Weather::Idle => {}
        }
        let delivered = !matches!(weather, Weather::Undelivering);
        account.breaker.receipt(delivered, took, account.now);
    }
    account.look();
}

fn storm(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let limits = Limits {
        delivery_window: SECOND * 60,
        samples_min: random.random_range(5..30),
        probes: random.random_range(1..8),
        ..Limits::default()
    };
    let mut account = Account::with(limits);
    account.seen.lone = random.random_bool(0.2);
    let begin = account.now;
    for _ in 0..random.random_range(2..12) {
        let weather = WEATHERS[random.random_range(0..WEATHERS.len())];
        for _ in 0..random.random_range(1..40) {
            let before = account.changes.len();
            blow(&mut account, weather, &mut random);
            if account.changes[before..] == [Change::HalfOpened] {
                assert!(account.seen.able, "seed {seed}: half-open without a bind");
            }
        }
    }
    let lone = account.seen.lone;
    // Legal order: opened, half-opened, then either.
    let mut last = Change::Closed;
    for change in &account.changes {
        let legal = match change {
            Change::Opened(..) => !matches!(last, Change::Opened(..)),
            Change::HalfOpened => matches!(last, Change::Opened(..)),
            Change::Closed => last == Change::HalfOpened || was_lone_without_bind(&last, lone),
        };
        assert!(legal, "seed {seed}: {change:?} after {last:?}");
        last = *change;
    }
    // Waits double, so openings are few, whatever the weather.
    if !account.seen.lone {
        let minutes = account.now.duration_since(begin).as_secs() as usize / 60;
        let opened = account.opened().len();
        assert!(opened <= 5 + minutes, "seed {seed}: opened {opened} times");
    }
    // In the end the carrier is well, and is used again.
    let limit = account.now + SECOND * 700;
    while !account.is_closed() {
        assert!(account.now < limit, "seed {seed}: {:?}", account.breaker);
        blow(&mut account, Weather::Fair, &mut random);
    }
}

fn was_lone_without_bind(last: &Change, lone: bool) -> bool {
    lone && matches!(last, Change::Opened(Reason::NoBind(_), _))
}

#[test]
fn no_storm_breaks_the_rules() {
    for seed in 0..12_000 {
        storm(seed);
    }
}
