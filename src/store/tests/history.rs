//! Lives here: random histories played on two stores at once: both answer and tell the same at each
//! step, and hold the same at the end. A database against the model; the model with faults against
//! the model without.
//! Never here: what the histories are made of (`deeds`), playing them (`player`).

mod customers;
mod deeds;
mod player;
mod words;

use std::collections::{HashMap, HashSet};
use std::env;
use std::fmt::Debug;
use std::ops::Range;
use std::time::Duration;

use uuid::Uuid;

use self::deeds::{DAYS, Deed, history};
use self::player::Player;
use super::dice::Dice;
use super::ground::Ground;
use super::jobs::{campaign, chunk, job, order};
use crate::domain::account::{ApiKey, Organisation};
use crate::domain::credits::Credits;
use crate::domain::endpoint::Events;
use crate::domain::endpoint::tests::endpoint;
use crate::domain::ids::{KeyId, OrgId, UserId};
use crate::domain::ledger::{Channel, Terms};
use crate::domain::time::Timestamp;
use crate::domain::user::{Role, User};
use crate::store::AuditEntry;
use crate::store::jobs::Job;
use crate::store::memory::{CommitFault, Faults};
use crate::store::people::PeopleWork;
use crate::store::till::Purchase;

/// Rounds of a history: a few hours, over midnight.
const ROUNDS: usize = 60;
/// How many histories are played: `MNARA_HISTORIES=1000 cargo nextest run histor`.
const COUNT_VARIABLE: &str = "MNARA_HISTORIES";
/// Replays one and prints it: `MNARA_HISTORY_SEED=17 cargo nextest run --no-capture histor`.
const SEED_VARIABLE: &str = "MNARA_HISTORY_SEED";

/// The longest time for which the database is gone.
const OUTAGE: Duration = Duration::from_secs(2);
/// Numbers of messages and places of a history's days; nothing else is as large.
const NUMBERS: Range<i64> = DAYS.start << 40..DAYS.end << 40;

#[tokio::test]
async fn in_any_history_sqlite_does_what_the_model_does() {
    compare(25, Ground::sqlite().await, Ground::memory().await).await;
}

#[tokio::test]
async fn in_any_history_postgres_does_what_the_model_does() {
    compare(6, Ground::postgres().await, Ground::memory().await).await;
}

#[tokio::test]
async fn a_history_goes_on_when_its_store_is_moved_at_every_restart() {
    let mut empty: Option<HashSet<&str>> = None;
    for seed in seeds(14) {
        let story = customers().into_iter().chain(history(seed, ROUNDS));
        let mut calm = Player::on(Ground::memory().await).await;
        let mut mover = Player::on(Ground::sqlite().await).await;
        mover.moves = Some(Vec::new());
        for (round, deeds) in story.enumerate() {
            let (expected, words) = (calm.play(&deeds).await, mover.play(&deeds).await);
            assert!(
                words == expected,
                "a move shows; replay with {SEED_VARIABLE}={seed}\nround {round}: {deeds:#?}\n{}",
                unlike(&expected, &words)
            );
        }
        for dump in mover.moves.iter().flatten() {
            let none = |(table, rows): (&&'static str, &Vec<_>)| rows.is_empty().then_some(*table);
            let these: HashSet<&str> = dump.iter().filter_map(none).collect();
            empty = Some(match empty {
                Some(empty) => empty.intersection(&these).copied().collect(),
                None => these,
            });
        }
        assert_eq!(mover.end().await, calm.end().await, "seed {seed}");
    }
    if env::var_os(SEED_VARIABLE).is_none() {
        assert_eq!(empty, Some(HashSet::new()), "tables that were never copied");
    }
}

#[tokio::test(start_paused = true)]
async fn faults_change_nothing_of_a_history_but_the_numbers_it_skips() {
    for seed in seeds(60) {
        let mut dice = Dice::new(!seed);
        let story = history(seed, ROUNDS);
        let mut calm = Player::on(Ground::memory().await).await;
        let mut vexed = Player::on(Ground::memory().await).await;
        let (mut names, mut vexed_names) = (Names::default(), Names::default());
        // A place may be given anew after a restart, unless a try has skipped it.
        let restarts = |deeds: &[Deed]| matches!(deeds, [Deed::Restart(_)]);
        let story = story.iter().filter(|deeds| !restarts(deeds));
        for (round, deeds) in story.enumerate() {
            let expected = names.of_all(&calm.play(deeds).await);
            // What an operator changes makes the engine look at intents; a try that failed, too.
            let watched = deeds.iter().any(Deed::is_operators)
                && deeds.iter().any(|deed| matches!(deed, Deed::Intend { .. }));
            if !(watched || deeds.iter().any(Deed::stands_alone)) {
                vex(&mut dice, &vexed.faults());
            }
            let words = vexed_names.of_all(&vexed.play(deeds).await);
            // Whatever was planned and not needed; an outage ends by itself.
            tokio::time::sleep(OUTAGE).await;
            soothe(&vexed.faults());
            assert!(
                words == expected,
                "faults show; replay with {SEED_VARIABLE}={seed}\nround {round}: {deeds:#?}\n{}",
                unlike(&expected, &words)
            );
        }
        let (mut expected, mut found) = (calm.end().await, vexed.end().await);
        // The number of the last commit, and of the last message, say how many tries there were.
        expected.remove("house");
        found.remove("house");
        for (table, rows) in expected {
            let expected = names.of_all(&lines(&rows));
            let found = vexed_names.of_all(&lines(&found[table]));
            assert!(
                found == expected,
                "faults show in {table}; replay with {SEED_VARIABLE}={seed}\n{}",
                unlike(&expected, &found)
            );
        }
    }
}

/// An organisation with a key, a user, an endpoint, purchases on two days, a job and a campaign, which
/// few histories come to.
fn customers() -> [Vec<Deed>; 8] {
    let (org, at) = (OrgId(Uuid::from_u128(1)), Timestamp(1));
    let organisation = Organisation {
        id: org,
        name: "Mteja".into(),
        country: "TZ".into(),
        senders: Vec::new(),
        webhook_secret: "whsec_y".to_owned().into(),
        created_at: at,
    };
    let ids = (KeyId(Uuid::from_u128(2)), org);
    let key = ApiKey {
        name: "Till".into(),
        senders: vec!["DUKA".into()],
        networks: vec!["10.0.0.0/8".parse().expect("a network")],
        expires_at: Some(Timestamp(1 << 40)),
        rate: Some(90),
        ..ApiKey::new(ids, ([0xA5; 32], "sk_live_mw_b".into()), true, at)
    };
    let user = User {
        id: UserId(Uuid::from_u128(3)),
        org,
        email: "asha@mteja.tz".into(),
        name: "Asha".into(),
        role: Role::Viewer,
        created_at: at,
    };
    let bought = |at: Timestamp| {
        let purchase = Purchase {
            purse: (org, Channel::Sms),
            reference: format!("day of {}", at.0).into(),
            at,
            amount: Credits::whole(5),
            note: "".into(),
        };
        let audit = AuditEntry {
            at,
            actor: "tests".into(),
            action: "credits.buy".into(),
            subject: "Mteja".into(),
            detail: "{}".into(),
            outcome: "done".into(),
        };
        vec![Deed::Buy(purchase, audit)]
    };
    [
        vec![Deed::People(
            PeopleWork::CreateOrg(organisation, Terms::Prepaid),
            None,
        )],
        vec![Deed::People(PeopleWork::CreateKey(key.into()), None)],
        vec![Deed::People(PeopleWork::CreateUser(user), None)],
        bought(at),
        // A day that is over goes from the purse into the ledger.
        bought(Timestamp(at.0 + 86_400_000)),
        vec![Deed::MakeEndpoint(endpoint(3, org, Events::ALL))],
        vec![Deed::Order(Box::new(order(
            &Job { org, ..job(4, 1) },
            vec![chunk()],
        )))],
        vec![Deed::Draft(campaign(5, org))],
    ]
}

/// Plans what goes wrong in the round to come.
pub(super) fn vex(dice: &mut Dice, faults: &Faults) {
    match dice.below(6) {
        0 => faults.fail_begins(1 + u32::try_from(dice.below(3)).expect("few")),
        1 => faults.fail_statement(1 + dice.roll() % 12),
        2 => {
            faults.go();
            let back = OUTAGE.mul_f64(0.1 * dice.below(10) as f64);
            let faults = faults.clone();
            tokio::spawn(async move {
                tokio::time::sleep(back).await;
                faults.come_back();
            });
        }
        3 | 4 => {
            let all = [
                None,
                Some(CommitFault::Refused),
                Some(CommitFault::LostBefore),
                Some(CommitFault::LostAfter),
            ];
            faults.plan_commits((0..3).map(|_| dice.one_of(&all)));
            faults.fail_questions(u32::try_from(dice.below(3)).expect("few"));
        }
        _ => {}
    }
}

/// Takes back what was planned.
pub(super) fn soothe(faults: &Faults) {
    faults.come_back();
    faults.fail_begins(0);
    faults.fail_statement(0);
    faults.plan_commits([]);
    faults.fail_questions(0);
}

/// Numbers of messages and places by the order in which they appear: a try that failed has used
/// some up.
#[derive(Default)]
struct Names(HashMap<i64, usize>);

impl Names {
    fn of_all(&mut self, lines: &[String]) -> Vec<String> {
        lines.iter().map(|line| self.of(line)).collect()
    }

    fn of(&mut self, line: &str) -> String {
        let mut named = String::with_capacity(line.len());
        let mut rest = line;
        while let Some(begin) = rest.find(|letter: char| letter.is_ascii_digit()) {
            named.push_str(&rest[..begin]);
            rest = &rest[begin..];
            let end = rest.find(|letter: char| !letter.is_ascii_digit());
            let (digits, after) = rest.split_at(end.unwrap_or(rest.len()));
            match digits.parse::<i64>() {
                Ok(number) if NUMBERS.contains(&number) => {
                    let next = self.0.len();
                    let name = self.0.entry(number).or_insert(next);
                    named.push_str(&format!("no. {name}"));
                }
                Ok(_) | Err(_) => named.push_str(digits),
            }
            rest = after;
        }
        named + rest
    }
}

/// Plays this many histories on fresh grounds of both kinds.
async fn compare(count: u64, one: Ground, other: Ground) {
    for seed in seeds(count) {
        let story = history(seed, ROUNDS);
        if let Err(difference) = differ(&story, &one, &other).await {
            panic!("the stores differ; replay with {SEED_VARIABLE}={seed}\n{difference}");
        }
    }
}

pub(super) fn seeds(count: u64) -> Range<u64> {
    let number = |name| {
        env::var(name)
            .ok()
            .map(|value| value.parse().expect("a number"))
    };
    if let Some(seed) = number(SEED_VARIABLE) {
        return seed..seed + 1;
    }
    0..number(COUNT_VARIABLE).unwrap_or(count)
}

async fn differ(story: &[Vec<Deed>], one: &Ground, other: &Ground) -> Result<(), String> {
    let mut players = [
        Player::on(one.another().await).await,
        Player::on(other.another().await).await,
    ];
    for (round, deeds) in story.iter().enumerate() {
        let mut words = Vec::new();
        for player in &mut players {
            words.push(player.play(deeds).await);
        }
        if env::var_os(SEED_VARIABLE).is_some() {
            eprintln!("round {round}: {deeds:?}\n{}\n", words[0].join("\n"));
        }
        if words[0] != words[1] {
            let said = unlike(&words[0], &words[1]);
            return Err(format!("round {round}: {deeds:#?}\n{said}"));
        }
    }
    let [one, other] = players;
    let (one, other) = (one.end().await, other.end().await);
    for (table, rows) in &one {
        if other.get(table) != Some(rows) {
            let others = other.get(table).map_or_else(Vec::new, |rows| lines(rows));
            return Err(format!("table {table}\n{}", unlike(&lines(rows), &others)));
        }
    }
    Ok(())
}

fn lines<T: Debug>(rows: &[T]) -> Vec<String> {
    rows.iter().map(|row| format!("{row:?}")).collect()
}

/// What only one of them has.
fn unlike(one: &[String], other: &[String]) -> String {
    let only = |mark, these: &[String], those: &[String]| -> String {
        let missing = these.iter().filter(|line| !those.contains(line));
        missing.map(|line| format!("{mark} {line}\n")).collect()
    };
    only('-', one, other) + &only('+', other, one)
}
