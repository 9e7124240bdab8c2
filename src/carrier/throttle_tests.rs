//! Lives here: the throttle against simulated carriers on a virtual clock, and its single steps.
//! Never here: sockets.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::carrier::rate::{Gcra, default_burst, sustained};
use crate::domain::class::Class;

/// How a carrier counts.
#[derive(Clone, Copy, Debug)]
enum Judge {
    /// Tokens that refill steadily, so many at most.
    Bucket { size: f64 },
    /// So many in each calendar second.
    Second,
}

/// A carrier with a true limit, a bind's window, and what the configuration believes.
#[derive(Debug)]
struct World {
    judge: Judge,
    limit: f64,
    rtt: Duration,
    window: usize,
    configured: u32,
    phase: f64,
}

impl World {
    fn dice(seed: u64) -> Self {
        let mut dice = StdRng::seed_from_u64(seed);
        let limit = 10f64.powf(dice.random_range(1.0..2.8)).round();
        let judge = if dice.random() {
            Judge::Bucket {
                size: (limit * dice.random_range(0.02..1.0)).max(2.0),
            }
        } else {
            Judge::Second
        };
        Self {
            judge,
            limit,
            rtt: Duration::from_micros(dice.random_range(5_000..100_000)),
            window: dice.random_range(10..=200),
            configured: (limit * dice.random_range(1.0..20.0)) as u32,
            phase: dice.random(),
        }
    }

    /// What cannot be passed: the carrier's limit, or a window in a round trip, or our own limit.
    fn possible(&self) -> f64 {
        let ours = sustained(self.configured, default_burst(self.configured));
        self.limit
            .min(self.window as f64 / self.rtt.as_secs_f64())
            .min(ours)
    }
}

struct Ran {
    /// Accepted in each second since the first refusal.
    seconds: Vec<u32>,
    refused: u32,
    accepted: u32,
}

/// A saturated bind for `length` after the first refusal (or from the start, if there is none).
fn run(world: &World, length: u64) -> Ran {
    let start = Instant::now();
    let at = |seconds: f64| start + Duration::from_secs_f64(seconds);
    let gcra = Gcra::new(world.configured, None);
    let top = sustained(world.configured, default_burst(world.configured));
    let mut throttle = Throttle::new(top);
    let (mut tokens, mut filled) = (world.limit, start);
    if let Judge::Bucket { size } = world.judge {
        tokens = size;
    }
    let (mut second, mut in_second) = (0u64, 0.0);
    let mut judge = |arrives: Instant| match world.judge {
        Judge::Bucket { size } => {
            let passed = arrives.saturating_duration_since(filled).as_secs_f64();
            (tokens, filled) = ((tokens + passed * world.limit).min(size), arrives);
            let take = tokens >= 1.0;
            tokens -= f64::from(u8::from(take));
            take
        }
        Judge::Second => {
            let number = (arrives.duration_since(start).as_secs_f64() + world.phase) as u64;
            if number != second {
                (second, in_second) = (number, 0.0);
            }
            let take = in_second < world.limit;
            in_second += f64::from(u8::from(take));
            take
        }
    };
    let mut answers: VecDeque<(Instant, Instant, bool)> = VecDeque::new();
    let mut ran = Ran {
        seconds: Vec::new(),
        refused: 0,
        accepted: 0,
    };
    let (mut now, mut found) = (start, None);
    let far = at(length as f64 + 30.0);
    while now < found.map_or(far, |found: Instant| found + Duration::from_secs(length)) {
        while let Some((answered, sent, taken)) = answers.front().copied()
            && answered <= now
        {
            answers.pop_front();
            if taken {
                throttle.accepted(sent, now);
                ran.accepted += 1;
                let since = now.duration_since(found.unwrap_or(start)).as_secs() as usize;
                if ran.seconds.len() <= since {
                    ran.seconds.resize(since + 1, 0);
                }
                ran.seconds[since] += 1;
            } else {
                if found.is_none() {
                    found = Some(now);
                    ran.seconds.clear();
                }
                ran.refused += 1;
                throttle.throttled(sent, Duration::from_millis(500), now);
            }
        }
        gcra.set_rate(throttle.rate(now).min(top));
        let mut open = None;
        loop {
            if answers.len() >= world.window {
                break;
            }
            let wait = throttle
                .paused(now)
                .or_else(|| gcra.take(Class::Transactional, now).err());
            if wait.is_some() {
                open = wait;
                break;
            }
            let taken = judge(now + world.rtt / 2);
            answers.push_back((now + world.rtt, now, taken));
        }
        let answer = answers.front().map(|(at, ..)| *at);
        let next = [open, answer].into_iter().flatten().min();
        now = next
            .expect("a full window has an answer to wait for")
            .max(now);
    }
    ran
}

#[test]
fn goodput_is_nearly_the_carriers_limit_ten_seconds_after_finding_it() {
    let mut worst = (1.0, 0);
    for seed in 0..120 {
        let world = World::dice(seed);
        let ran = run(&world, 40);
        let settled: u32 = ran.seconds[10..40].iter().sum();
        let share = f64::from(settled) / 30.0 / world.possible();
        if share < worst.0 {
            worst = (share, seed);
        }
        if share < 0.95 {
            println!(
                "{share:.3} seed {seed}: {world:?}, refused {}, accepted {}, {:?}",
                ran.refused, ran.accepted, ran.seconds
            );
        }
    }
    println!("worst {worst:?}");
    assert!(worst.0 >= 0.95, "{worst:?}");
}

const VERDICT: Duration = Duration::from_millis(500);

/// A throttle that has had a steady second at `rate`, and the end of that second.
fn steady(limit: f64, rate: u32) -> (Throttle, Instant) {
    let start = Instant::now();
    let mut throttle = Throttle::new(limit);
    for number in 0..rate {
        let now = start + Duration::from_secs(1) * number / rate;
        throttle.accepted(now, now);
    }
    (throttle, start + Duration::from_secs(1))
}

#[test]
fn a_window_of_throttled_answers_is_one_cut() {
    let (mut throttle, now) = steady(1_000.0, 500);
    let sent = now - Duration::from_millis(20);
    throttle.throttled(sent, VERDICT, now);
    let rate = throttle.rate(now);
    assert!((450.0..500.0).contains(&rate), "{rate}");
    for _ in 0..99 {
        throttle.throttled(sent, VERDICT, now + Duration::from_millis(5));
    }
    assert!((throttle.rate(now) - rate).abs() < f64::EPSILON);
    assert!(throttle.paused(now).is_some());
    assert!(throttle.paused(now + Duration::from_millis(60)).is_none());
}

#[test]
fn the_pause_grows_while_nothing_is_taken_up_to_the_verdicts() {
    let (mut throttle, mut now) = steady(100.0, 100);
    let mut pauses = Vec::new();
    for _ in 0..6 {
        throttle.throttled(now, VERDICT, now);
        let until = throttle.paused(now).expect("a cut pauses");
        pauses.push((until - now).as_millis());
        now = until + Duration::from_millis(1);
    }
    assert_eq!(pauses, [50, 100, 200, 400, 500, 500]);
    throttle.accepted(now, now);
    now += Duration::from_millis(1);
    throttle.throttled(now, VERDICT, now);
    assert_eq!(
        throttle.paused(now).map(|until| (until - now).as_millis()),
        Some(50)
    );
}

#[test]
fn a_passing_trouble_is_forgotten_in_half_a_minute() {
    let (mut throttle, now) = steady(1_000.0, 50);
    throttle.throttled(now, VERDICT, now);
    let after = |seconds: u64| now + Duration::from_secs(seconds);
    let (soon, later) = (throttle.rate(after(2)), throttle.rate(after(10)));
    assert!(soon < 55.0, "{soon}: no leap, whatever limit is configured");
    assert!(later > soon);
    assert!((throttle.rate(after(30)) - 1_000.0).abs() < f64::EPSILON);
}

#[test]
fn congestion_holds_then_slows_then_stops() {
    let (mut throttle, now) = steady(1_000.0, 100);
    throttle.throttled(now, VERDICT, now);
    let after = |millis: u64| now + Duration::from_millis(millis);
    throttle.congestion(79, after(2_000));
    let free = throttle.rate(after(4_000));
    assert!(free > throttle.rate(after(3_000)));
    throttle.congestion(85, after(4_000));
    assert!((throttle.rate(after(9_000)) - free).abs() < 1.0, "held");
    throttle.congestion(50, after(9_000));
    assert!(
        (throttle.rate(after(9_000)) - free).abs() < 1.0,
        "no leap after a hold"
    );
    throttle.congestion(95, after(10_000));
    let slow = throttle.rate(after(10_000));
    let slower = throttle.rate(after(11_100));
    assert!(slow < free * 1.1 && slower < slow, "{free} {slow} {slower}");
    assert!(throttle.paused(after(11_100)).is_none());
    throttle.congestion(100, after(12_000));
    assert!(throttle.paused(after(12_000)).is_some());
}
