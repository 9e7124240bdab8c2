//! Lives here: the contract for money: what is accepted is paid for, what a carrier takes is used
//! up, what none takes is given back, and the books always agree with themselves.
//! Never here: how amounts move (`domain::ledger`).

use super::*;
use crate::domain::account::Organisation;
use crate::domain::credits::Credits;
use crate::domain::ledger::{Channel, Entry, Purse, PurseId, Terms};
use crate::domain::price::{Price, Scope};
use crate::store::AuditEntry;
use crate::store::batch::{Accept, Batch};
use crate::store::engine::{Engine, Unfinished};
use crate::store::memory::{CommitFault, Faults};
use crate::store::till::{Accounts, Bought, Purchase};

const PURSE: PurseId = (ORG, Channel::Sms);
const ONE: Credits = Credits::whole(1);

on_each_store! {
    of_a_hundred_at_once_against_a_balance_for_fifty_fifty_are_accepted,
    what_a_carrier_takes_is_used_up_once,
    what_no_carrier_takes_is_given_back_once,
    a_receipt_without_a_response_counts_as_taken,
    what_a_test_key_sends_costs_nothing,
    a_purchase_counts_once,
    balances_outlast_a_restart,
    who_pays_later_is_never_short,
    what_has_moved_on_a_day_becomes_a_line_when_it_is_over,
    prices_are_kept_and_replaced,
}

fn audit() -> AuditEntry {
    AuditEntry {
        at: Timestamp(1_000),
        actor: "tests".into(),
        action: "credits.buy".into(),
        subject: "x".into(),
        detail: "{}".into(),
        outcome: "done".into(),
    }
}

impl World {
    /// A world whose organisation has bought so many credits.
    pub(super) async fn with_credits(ground: &Ground, terms: Terms, credits: i64) -> Self {
        let world = Self::open(ground).await;
        let org = Organisation {
            id: ORG,
            name: "Duka".into(),
            country: "TZ".into(),
            senders: Vec::new(),
            webhook_secret: "whsec_x".to_owned().into(),
            created_at: Timestamp(1),
        };
        assert!(world.store.create_org(org, terms, None).await.unwrap());
        if credits > 0 {
            let bought = world.buy("first", Credits::whole(credits)).await;
            assert!(matches!(bought, Bought::Done(_)), "{bought:?}");
        }
        world
    }

    async fn buy(&self, reference: &str, amount: Credits) -> Bought {
        let purchase = Purchase {
            purse: PURSE,
            reference: reference.into(),
            at: Timestamp(1_000),
            amount,
            note: "".into(),
        };
        self.store.buy(purchase, audit()).await.unwrap()
    }

    async fn purse(&self) -> Purse {
        let purses = self.store.purses_of(ORG).await.unwrap();
        let sms = purses.iter().find(|(channel, _)| *channel == Channel::Sms);
        sms.expect("an organisation has a purse").1
    }

    /// Available, reserved, consumed, in credits; the ledger and the messages must say the same.
    pub(super) async fn amounts(&self) -> (i64, i64, i64) {
        let purse = self.purse().await;
        for check in self.store.check_purses(None).await.unwrap() {
            assert_eq!(check.differences(), [""; 0], "{check:?}");
        }
        let whole = |credits: Credits| credits.0 / 1000;
        (
            whole(purse.available),
            whole(purse.reserved),
            whole(purse.consumed),
        )
    }

    /// Accepts a message that costs so many credits.
    async fn pay(&mut self, credits: i64) -> Arc<Message> {
        let message = costing(credits);
        let id = message.id;
        self.store.accept(message).await.unwrap();
        loop {
            let committed = self.committed.recv().await.unwrap();
            if let Some(ready) = committed.messages.iter().find(|one| one.message.id == id) {
                return Arc::clone(&ready.message);
            }
        }
    }
}

fn costing(credits: i64) -> Message {
    Message {
        cost: Credits::whole(credits),
        ..message(1)
    }
}

async fn of_a_hundred_at_once_against_a_balance_for_fifty_fifty_are_accepted(ground: Ground) {
    let world = World::with_credits(&ground, Terms::Prepaid, 50).await;
    let accepts: Vec<_> = (0..100)
        .map(|_| {
            let store = world.store.clone();
            tokio::spawn(async move { store.accept(costing(1)).await })
        })
        .collect();
    let (mut paid, mut refused) = (0, 0);
    for accept in accepts {
        match accept.await.unwrap() {
            Ok(()) => paid += 1,
            Err(StoreError::Short(short)) => {
                assert_eq!((short.required, short.missing()), (ONE, ONE));
                refused += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((paid, refused), (50, 50));
    assert_eq!(world.amounts().await, (0, 50, 0));
    let checks = world.store.check_purses(Some(ORG)).await.unwrap();
    let open: Vec<u64> = checks.iter().map(|check| check.open.count).collect();
    assert_eq!(open, [50, 0], "text messages, e-mail");
    world.close().await;
}

async fn what_a_carrier_takes_is_used_up_once(ground: Ground) {
    let mut world = World::with_credits(&ground, Terms::Prepaid, 10).await;
    let message = world.pay(2).await;
    assert_eq!(world.amounts().await, (8, 2, 0));
    world.submit(&message, &["A1"]).await;
    assert_eq!(world.amounts().await, (8, 0, 2));
    world.submit(&message, &["A2"]).await;
    world.receive("A1", Some(SegmentState::Delivered)).await;
    assert_eq!(world.amounts().await, (8, 0, 2));
    world.close().await;
}

async fn what_no_carrier_takes_is_given_back_once(ground: Ground) {
    let mut world = World::with_credits(&ground, Terms::Prepaid, 10).await;
    let refused = world.pay(3).await;
    let overdue = world.pay(2).await;
    for _ in 0..2 {
        let rejected = vec![moved(&refused, State::Rejected)];
        let refusal = attempt(&refused, 1, SegmentState::Refused, None);
        world
            .settle(Settlement {
                attempts: vec![refusal],
                transitions: rejected,
                closed_intents: Vec::new(),
                reroutes: Vec::new(),
            })
            .await;
    }
    assert_eq!(world.amounts().await, (8, 2, 0));
    let late = Timestamp(60_000);
    for _ in 0..2 {
        let ended = world.store.end_overdue(late, late, late, 10).await;
        ended.unwrap();
    }
    assert_eq!(world.state(&overdue).await, State::Expired);
    assert_eq!(world.amounts().await, (10, 0, 0));
    world.close().await;
}

async fn a_receipt_without_a_response_counts_as_taken(ground: Ground) {
    let mut world = World::with_credits(&ground, Terms::Prepaid, 10).await;
    let message = world.pay(1).await;
    // In doubt, and then its late response: its receipt ends it without a move to submitted.
    world
        .settle(Settlement {
            attempts: vec![attempt(&message, 1, SegmentState::InDoubt, None)],
            transitions: vec![moved(&message, State::Uncertain)],
            closed_intents: Vec::new(),
            reroutes: Vec::new(),
        })
        .await;
    assert_eq!(world.amounts().await, (9, 1, 0));
    world
        .settle(Settlement {
            attempts: vec![taken(&message, 1, "A1")],
            transitions: Vec::new(),
            closed_intents: Vec::new(),
            reroutes: Vec::new(),
        })
        .await;
    world.receive("A1", Some(SegmentState::Delivered)).await;
    assert_eq!(world.state(&message).await, State::Delivered);
    assert_eq!(world.amounts().await, (9, 0, 1));
    world.close().await;
}

async fn what_a_test_key_sends_costs_nothing(ground: Ground) {
    let world = World::with_credits(&ground, Terms::Prepaid, 0).await;
    let free = Message {
        live: false,
        ..costing(1)
    };
    world.store.accept(free).await.unwrap();
    let short = world.store.accept(costing(1)).await;
    assert!(matches!(short, Err(StoreError::Short(_))), "{short:?}");
    assert_eq!(world.amounts().await, (0, 0, 0));
    world.close().await;
}

async fn a_purchase_counts_once(ground: Ground) {
    let world = World::with_credits(&ground, Terms::Prepaid, 5).await;
    assert_eq!(world.buy("first", ONE).await, Bought::Known);
    let back = world.buy("too much", Credits::whole(-6)).await;
    assert!(matches!(back, Bought::Short(short) if short.missing() == ONE));
    let back = world.buy("too much", Credits::whole(-5)).await;
    assert!(matches!(back, Bought::Done(purse) if purse.available == Credits::ZERO));
    assert_eq!(world.amounts().await, (0, 0, 0));
    let purchases = world.store.purchases(PURSE, 10).await.unwrap();
    let references: Vec<&str> = purchases.iter().map(|one| &*one.reference).collect();
    assert_eq!(references, ["first", "too much"]);
    world.close().await;
}

async fn balances_outlast_a_restart(ground: Ground) {
    let mut world = World::with_credits(&ground, Terms::Prepaid, 3).await;
    let message = world.pay(1).await;
    world.submit(&message, &["A1"]).await;
    world.pay(2).await;
    world.close().await;
    let world = World::open(&ground).await;
    assert_eq!(world.amounts().await, (0, 2, 1));
    let short = world.store.accept(costing(1)).await;
    assert!(matches!(short, Err(StoreError::Short(_))), "{short:?}");
    world.close().await;
}

async fn who_pays_later_is_never_short(ground: Ground) {
    let mut world = World::with_credits(&ground, Terms::Postpaid, 0).await;
    let taken = world.pay(2).await;
    world.pay(1).await;
    world.submit(&taken, &["A1"]).await;
    assert_eq!(world.amounts().await, (0, 1, 2));
    let late = Timestamp(60_000);
    world.store.end_overdue(late, late, late, 10).await.unwrap();
    assert_eq!(world.amounts().await, (0, 0, 2));
    assert_eq!(world.purse().await.purchased(), Credits::whole(2));
    world.close().await;
}

async fn what_has_moved_on_a_day_becomes_a_line_when_it_is_over(ground: Ground) {
    const DAY_MS: i64 = 24 * 3600 * 1000;
    let mut world = World::with_credits(&ground, Terms::Prepaid, 9).await;
    let first = world.pay(2).await;
    world.submit(&first, &["A1"]).await;
    let (next, late) = (Timestamp(DAY_MS + 5), Timestamp(3 * DAY_MS));
    let tomorrow = Message {
        accepted_at: next,
        valid_until: late,
        ..costing(3)
    };
    world.store.accept(tomorrow).await.unwrap();
    assert_eq!(world.amounts().await, (4, 3, 2));
    world.close().await;
    let world = World::open(&ground).await;
    let end = Timestamp(late.0 + 1);
    world.store.end_overdue(end, end, end, 10).await.unwrap();
    assert_eq!(world.amounts().await, (7, 0, 2));
    let days = world.store.ledger(PURSE, 10).await.unwrap();
    let told: Vec<_> = days
        .iter()
        .map(|day| {
            (
                day.day,
                Entry::ALL.map(|entry| day.moved.by(entry).amount.0 / 1000),
            )
        })
        .collect();
    assert_eq!(
        told,
        [(3, [0, 0, 0, 3]), (1, [0, 3, 0, 0]), (0, [9, 2, 2, 0])]
    );
    let newest = world.store.ledger(PURSE, 1).await.unwrap();
    assert_eq!(newest, days[..1]);
    world.close().await;
}

async fn prices_are_kept_and_replaced(ground: Ground) {
    let world = World::open(&ground).await;
    let scope = Scope {
        org: Some(ORG),
        country: Some("TZ".into()),
        network: None,
        class: Some(Class::Otp),
    };
    for milli in [900, 850] {
        let price = Price {
            scope: scope.clone(),
            per_segment: Credits(milli),
        };
        world.store.set_price(price, audit()).await.unwrap();
    }
    let of = |world: &World| world.store.prices().of(ORG, "TZ", None, Class::Otp);
    assert_eq!(of(&world), Credits(850));
    world.close().await;
    let world = World::open(&ground).await;
    assert_eq!(of(&world), Credits(850));
    assert!(
        world
            .store
            .remove_price(scope.clone(), audit())
            .await
            .unwrap()
    );
    assert!(!world.store.remove_price(scope, audit()).await.unwrap());
    assert_eq!(of(&world), ONE);
    world.close().await;
}

/// Neither the transaction that finds it out nor its statement that reads the books anew comes
/// through at first.
#[tokio::test]
async fn a_commit_that_is_known_late_is_in_the_books_whatever_fails_then() {
    for fail in [
        |faults: &Faults| faults.fail_begins(1),
        |faults: &Faults| faults.fail_statement(1),
    ] {
        let ground = Ground::memory().await;
        let world = World::with_credits(&ground, Terms::Prepaid, 10).await;
        world.close().await;
        let Ground::Memory(disk, faults) = &ground else {
            unreachable!("it is the model");
        };
        let carriers = Arc::new(Carriers::new(vec![carrier()]));
        let (rows, reader) = disk.open(carriers, faults.clone()).unwrap();
        let (mut engine, _) = Engine::start(rows).await.unwrap();
        let accept = |engine: &mut Engine<_>| {
            let mut message = costing(2);
            message.seq = engine.next_seq(message.accepted_at);
            let message = Arc::new(message);
            let (reply, _) = oneshot::channel();
            Batch {
                accepts: vec![Accept {
                    message,
                    memo: None,
                    reply,
                }],
                ..Batch::default()
            }
        };
        faults.plan_commits([Some(CommitFault::LostAfter)]);
        let batch = accept(&mut engine);
        let lost = engine.commit(&batch).await;
        assert!(matches!(lost, Err(Unfinished::Unknown(..))));
        fail(faults);
        let batch = accept(&mut engine);
        assert!(engine.commit(&batch).await.is_err());
        let kept = engine.commit(&batch).await.unwrap();
        assert!(kept.short.is_empty());
        let purses = reader.purses_of(ORG).await.unwrap();
        let (_, sms) = purses[0];
        assert_eq!(
            (sms.available, sms.reserved),
            (Credits::whole(6), Credits::whole(4))
        );
    }
}
