//! Lives here: random histories played on two stores at once: both answer and tell the same at each
//! step, and hold the same at the end.
//! Never here: what the histories are made of (`deeds`), playing them (`player`).

mod deeds;
mod player;

use std::env;

use self::deeds::{Deed, history};
use self::player::Player;
use super::ground::Ground;

/// Rounds of a history: a few hours, over midnight.
const ROUNDS: usize = 60;
/// How many histories are played: `MNARA_HISTORIES=1000 cargo nextest run histor`.
const COUNT_VARIABLE: &str = "MNARA_HISTORIES";
/// Replays one and prints it: `MNARA_HISTORY_SEED=17 cargo nextest run --no-capture histor`.
const SEED_VARIABLE: &str = "MNARA_HISTORY_SEED";

#[tokio::test]
async fn in_any_history_sqlite_does_what_sqlite_does() {
    compare(10, Ground::sqlite().await, Ground::sqlite().await).await;
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

fn seeds(count: u64) -> std::ops::Range<u64> {
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
            let rows: Vec<String> = rows.iter().map(|row| format!("{row:?}")).collect();
            let others = other.get(table).into_iter().flatten();
            let others: Vec<String> = others.map(|row| format!("{row:?}")).collect();
            return Err(format!("table {table}\n{}", unlike(&rows, &others)));
        }
    }
    Ok(())
}

/// What only one of them has.
fn unlike(one: &[String], other: &[String]) -> String {
    let only = |mark, these: &[String], those: &[String]| -> String {
        let missing = these.iter().filter(|line| !those.contains(line));
        missing.map(|line| format!("{mark} {line}\n")).collect()
    };
    only('-', one, other) + &only('+', other, one)
}
