//! Lives here: the contract for requests that name themselves: each is carried out once, and told
//! the same however often it is repeated, whatever goes wrong in between.
//! Never here: what is worth keeping (`api`).

use std::collections::HashMap;

use bytes::Bytes;

use super::dice::Dice;
use super::history::{seeds, soothe, vex};
use super::*;
use crate::domain::credits::Credits;
use crate::domain::ledger::Terms;
use crate::store::memo::{Memo, Repeat};

on_each_store! {
    a_repeated_request_is_told_what_was_answered_and_sends_nothing,
    twins_in_one_batch_are_one_message,
    what_could_not_be_paid_leaves_no_answer,
    a_refusal_is_kept_once,
    old_answers_are_dropped_the_oldest_first,
}

fn memo(name: u8, body: &'static str) -> Memo {
    Memo {
        key: [name; 32],
        fingerprint: [0; 32],
        status: 201,
        body: Bytes::from_static(body.as_bytes()),
        at: Timestamp(1_000),
    }
}

impl World {
    async fn once(&self, memo: &Memo) -> Option<Repeat> {
        let done = self.store.accept_once(message(1), Arc::new(memo.clone()));
        done.await.unwrap()
    }

    /// How many messages have come to their lanes since the last time.
    fn sent(&mut self) -> usize {
        std::iter::from_fn(|| self.committed.try_recv().ok())
            .map(|committed| committed.messages.len())
            .sum()
    }
}

#[track_caller]
fn replays(repeat: Option<Repeat>, memo: &Memo) {
    match repeat {
        Some(Repeat::Replay(known)) => assert!(*known == *memo, "{known:?}"),
        other => panic!("{other:?}"),
    }
}

async fn a_repeated_request_is_told_what_was_answered_and_sends_nothing(ground: Ground) {
    let mut world = World::open(&ground).await;
    let first = memo(1, "{\"id\":1}");
    assert!(world.once(&first).await.is_none());
    let again = memo(1, "{\"id\":2}");
    replays(world.once(&again).await, &first);
    let other = Memo {
        fingerprint: [9; 32],
        ..again
    };
    let reused = world.once(&other).await;
    assert!(matches!(reused, Some(Repeat::Reused)), "{reused:?}");
    assert_eq!(world.sent(), 1);
    world.close().await;

    // Another run has only what is written.
    let mut world = World::open(&ground).await;
    replays(world.once(&memo(1, "{\"id\":3}")).await, &first);
    let known = world.store.answered(&first.key, &first.fingerprint);
    replays(known.await.unwrap(), &first);
    let reused = world.store.answered(&first.key, &other.fingerprint);
    assert!(matches!(reused.await.unwrap(), Some(Repeat::Reused)));
    assert!(
        world
            .store
            .answered(&[2; 32], &[0; 32])
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(world.sent(), 0);
    world.close().await;
}

async fn twins_in_one_batch_are_one_message(ground: Ground) {
    let mut world = World::open(&ground).await;
    let (one, two) = (memo(1, "first"), memo(1, "second"));
    let other = Memo {
        fingerprint: [9; 32],
        ..memo(1, "third")
    };
    let alone = memo(2, "alone");
    let plain = world.store.accept(message(1));
    let done = tokio::join!(
        world.once(&one),
        plain,
        world.once(&two),
        world.once(&other),
        world.once(&alone)
    );
    assert!(done.0.is_none() && done.1.is_ok() && done.4.is_none());
    replays(done.2, &one);
    assert!(matches!(done.3, Some(Repeat::Reused)));
    assert_eq!(world.sent(), 3);
    world.close().await;
}

async fn what_could_not_be_paid_leaves_no_answer(ground: Ground) {
    let mut world = World::with_credits(&ground, Terms::Prepaid, 1).await;
    let costing = |credits| Message {
        cost: Credits::whole(credits),
        ..message(1)
    };
    let asked = Arc::new(memo(1, "yes"));
    for _ in 0..2 {
        let short = world
            .store
            .accept_once(costing(2), Arc::clone(&asked))
            .await;
        assert!(matches!(short, Err(StoreError::Short(_))), "{short:?}");
    }
    let done = world
        .store
        .accept_once(costing(1), Arc::clone(&asked))
        .await;
    assert!(done.unwrap().is_none());
    // Now that it is answered its repetition is, too, though there is nothing left to pay with.
    let again = world
        .store
        .accept_once(costing(1), Arc::clone(&asked))
        .await;
    replays(again.unwrap(), &asked);
    assert_eq!(world.sent(), 1);
    world.close().await;
}

async fn a_refusal_is_kept_once(ground: Ground) {
    let mut world = World::open(&ground).await;
    let refusal = Memo {
        status: 422,
        ..memo(1, "no")
    };
    let kept = world.store.keep_answer(Arc::new(refusal.clone())).await;
    assert!(kept.unwrap().is_none());
    let again = world.store.keep_answer(Arc::new(memo(1, "other"))).await;
    replays(again.unwrap(), &refusal);
    replays(world.once(&memo(1, "yes")).await, &refusal);
    assert_eq!(world.sent(), 0);
    world.close().await;
}

async fn old_answers_are_dropped_the_oldest_first(ground: Ground) {
    let world = World::open(&ground).await;
    for name in 1..=5 {
        let at = Timestamp(1_000 * i64::from(name));
        assert!(
            world
                .once(&Memo {
                    at,
                    ..memo(name, "")
                })
                .await
                .is_none()
        );
    }
    let before = Timestamp(4_000);
    for expected in [2, 1, 0] {
        let dropped = world.store.drop_answers(before, 2).await.unwrap();
        assert_eq!(dropped, expected);
    }
    assert!(world.once(&memo(3, "")).await.is_none());
    assert!(world.once(&memo(4, "")).await.is_some());
    world.close().await;
}

/// Clients repeat what they have no answer to. Their messages are new ones each time: only the name
/// of the request says that it is the same.
#[tokio::test(start_paused = true)]
async fn a_client_that_repeats_itself_over_crashes_and_lost_answers_sends_one_message() {
    for seed in seeds(40) {
        let mut dice = Dice::new(seed);
        let ground = Ground::memory().await;
        let faults = ground.faults();
        let mut world = World::open(&ground).await;
        // What each request was told first.
        let mut told: HashMap<u8, Bytes> = HashMap::new();
        let mut number = 0u32;
        for _ in 0..60 {
            vex(&mut dice, &faults);
            let clients: Vec<_> = (0..1 + dice.below(4))
                .map(|_| {
                    number += 1;
                    let name = u8::try_from(dice.below(12)).expect("few");
                    let body = Bytes::from(format!("{name} by {number}"));
                    let asked = Arc::new(Memo {
                        body,
                        ..memo(name, "")
                    });
                    let one = Message {
                        client_ref: Some(name.to_string().into()),
                        class: dice.one_of(&Class::ALL),
                        ..message(1)
                    };
                    let store = world.store.clone();
                    tokio::spawn(async move {
                        let done = store.accept_once(one, Arc::clone(&asked)).await;
                        (name, asked.body.clone(), done)
                    })
                })
                .collect();
            if dice.percent(30) {
                // A moment later, in the midst of it, the daemon is killed.
                for _ in 0..dice.below(12) {
                    tokio::task::yield_now().await;
                }
                world.writer.abort();
                let _ = (&mut world.writer).await;
                drop(world);
                soothe(&faults);
                world = World::open(&ground).await;
            }
            for client in clients {
                let (name, mine, done) = client.await.unwrap();
                let answer = match done {
                    Ok(None) => mine,
                    Ok(Some(Repeat::Replay(known))) => known.body.clone(),
                    Ok(Some(Repeat::Reused)) => panic!("seed {seed}: {name} is the same"),
                    Err(_) => continue,
                };
                let first = told.entry(name).or_insert_with(|| answer.clone());
                assert_eq!(*first, answer, "seed {seed}: two answers to request {name}");
            }
            soothe(&faults);
        }
        world.close().await;
        let dump = ground.dump().await;
        let refs = dump["messages"].iter().map(|row| row[14].clone().unwrap());
        let mut messages: HashMap<Box<str>, usize> = HashMap::new();
        refs.for_each(|name| *messages.entry(name).or_default() += 1);
        for (name, count) in &messages {
            assert_eq!(
                *count, 1,
                "seed {seed}: request {name} was carried out again"
            );
        }
        for name in told.keys() {
            let carried_out = messages.contains_key(name.to_string().as_str());
            assert!(carried_out, "seed {seed}: request {name} was answered only");
        }
    }
}
