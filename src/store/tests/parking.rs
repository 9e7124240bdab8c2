//! Lives here: the contract for receipts without an attempt: parked, in quarantine, replayed.
//! Never here: the world they run in (`tests`), proofs.

use mnara_smpp::receipt::{IdDialect, IdRule};

use super::*;
use crate::store::inbox::{Inbox, InboxPage, InboxRow, Keeping, Kept, Replay, Replayed};

on_each_store! {
    a_receipt_is_parked_then_in_quarantine_then_dropped,
    both_halves_of_the_inbox_are_bounded_and_the_oldest_go_first,
    an_old_receipt_in_quarantine_does_not_end_a_new_message,
    a_receipt_that_comes_again_out_of_quarantine_waits_again,
    a_replay_finds_what_the_corrected_rules_match,
    samples_are_the_ids_that_have_not_met,
    what_is_unmatched_of_a_span_is_counted_wherever_it_is,
}

const DELIVERED: Option<SegmentState> = Some(SegmentState::Delivered);

fn keeping(at: i64) -> Keeping {
    Keeping {
        at: Timestamp(at),
        parked_ttl: Duration::from_secs(600),
        parked_max: 100,
        quarantine_ttl: Duration::from_secs(86_400),
        quarantine_max: 100,
    }
}

const fn kept(quarantined: u64, dropped: u64) -> Kept {
    Kept {
        quarantined,
        dropped,
    }
}

fn replay(ids: IdDialect, dry_run: bool) -> Replay {
    Replay {
        carrier: carrier(),
        ids,
        since: Timestamp(0),
        limit: 1000,
        dry_run,
    }
}

impl World {
    async fn page(&self, inbox: Inbox) -> Vec<InboxRow> {
        let page = InboxPage {
            inbox,
            carrier: None,
            since: Timestamp(0),
            offset: 0,
            limit: 10,
        };
        self.store.inbox(&page).await.unwrap()
    }

    async fn keep(&self, keeping: Keeping) -> Kept {
        self.store.keep_receipts(keeping).await.unwrap()
    }
}

async fn a_receipt_is_parked_then_in_quarantine_then_dropped(ground: Ground) {
    let world = World::open(&ground).await;
    let mut known = receipt("A1", DELIVERED);
    known.evidence.recipient = Some(Msisdn::from_digits("2348031234567").unwrap());
    world.store.receipts(vec![known]).await.unwrap();
    assert_eq!(world.keep(keeping(600_000)).await, kept(0, 0));
    let parked = world.page(Inbox::Parked).await;
    assert_eq!(parked[0].recipient.as_deref(), Some("+2348***567"));
    assert_eq!(world.keep(keeping(604_000)).await, kept(1, 0));
    assert!(world.page(Inbox::Parked).await.is_empty());
    let quarantined = world.page(Inbox::Quarantine).await;
    assert_eq!(quarantined[0].quarantined_at, Some(Timestamp(604_000)));
    assert_eq!(world.keep(keeping(86_000_000)).await, kept(0, 0));
    assert_eq!(world.keep(keeping(90_000_000)).await, kept(0, 1));
    assert!(world.page(Inbox::Quarantine).await.is_empty());
    world.close().await;
}

async fn both_halves_of_the_inbox_are_bounded_and_the_oldest_go_first(ground: Ground) {
    let world = World::open(&ground).await;
    for (id, at) in [("A1", 1_000), ("A2", 2_000), ("A3", 3_000), ("A4", 4_000)] {
        let one = Receipt {
            received_at: Timestamp(at),
            ..receipt(id, DELIVERED)
        };
        world.store.receipts(vec![one.clone(), one]).await.unwrap();
    }
    let small = Keeping {
        parked_max: 1,
        quarantine_max: 2,
        ..keeping(5_000)
    };
    assert_eq!(world.keep(small).await, kept(3, 1));
    let ids =
        |rows: Vec<InboxRow>| -> Vec<Box<str>> { rows.into_iter().map(|row| row.raw_id).collect() };
    assert_eq!(ids(world.page(Inbox::Parked).await), ["A4".into()]);
    assert_eq!(
        ids(world.page(Inbox::Quarantine).await),
        ["A3".into(), "A2".into()]
    );
    let dropped = world
        .store
        .drop_receipts(carrier(), Timestamp(3_000), None)
        .await;
    assert_eq!(dropped.unwrap(), 1);
    world.close().await;
}

async fn an_old_receipt_in_quarantine_does_not_end_a_new_message(ground: Ground) {
    let mut world = World::open(&ground).await;
    world.receive("A1", DELIVERED).await;
    world.keep(keeping(1_000_000)).await;
    let message = world.accept(1).await;
    world.submit(&message, &["A1"]).await;
    assert_eq!(world.state(&message).await, State::Submitted);
    assert_eq!(world.receive("A1", DELIVERED).await, ReceiptResult::Applied);
    world.close().await;
}

async fn a_receipt_that_comes_again_out_of_quarantine_waits_again(ground: Ground) {
    let mut world = World::open(&ground).await;
    world.receive("A1", DELIVERED).await;
    world.keep(keeping(1_000_000)).await;
    world.receive("A1", DELIVERED).await;
    let message = world.accept(1).await;
    world.submit(&message, &["A1"]).await;
    assert_eq!(world.state(&message).await, State::Delivered);
    world.close().await;
}

async fn a_replay_finds_what_the_corrected_rules_match(ground: Ground) {
    let mut world = World::open(&ground).await;
    let (hex, other) = (world.accept(1).await, world.accept(2).await);
    world.submit(&hex, &["FAB"]).await;
    world.submit(&other, &["0A", "0B"]).await;
    // 4011, 10 and 11 are what the responses said in hex; 99 is nobody's.
    for id in ["4011", "0010", "11", "99"] {
        world.receive(id, DELIVERED).await;
    }
    world.keep(keeping(1_000_000)).await;
    world.receive("4011", Some(SegmentState::Delivered)).await;
    world.events();
    let ids = IdDialect {
        response: IdRule::HexToDecimal,
        receipt: IdRule::Decimal,
    };
    let expected = Replayed {
        matched: 3,
        unmatched: 1,
    };
    let dry = world.store.replay_receipts(&replay(ids, true), None).await;
    assert_eq!(dry.unwrap(), expected);
    assert_eq!(world.state(&hex).await, State::Submitted);
    let done = world.store.replay_receipts(&replay(ids, false), None).await;
    assert_eq!(done.unwrap(), expected);
    assert_eq!(world.state(&hex).await, State::Delivered);
    assert_eq!(world.state(&other).await, State::Delivered);
    assert_eq!(
        world.events(),
        [(EventKind::Delivered, 2), (EventKind::Delivered, 2)]
    );
    let again = world.store.replay_receipts(&replay(ids, false), None).await;
    assert_eq!(
        again.unwrap(),
        Replayed {
            matched: 0,
            unmatched: 1
        }
    );
    world.close().await;
}

async fn samples_are_the_ids_that_have_not_met(ground: Ground) {
    let mut world = World::open(&ground).await;
    let (met, unmet) = (world.accept(1).await, world.accept(1).await);
    world.submit(&met, &["1"]).await;
    world.receive("1", DELIVERED).await;
    world.submit(&unmet, &["FAB"]).await;
    world.receive("4011", DELIVERED).await;
    let samples = world.store.id_samples(&carrier(), Timestamp(0), 100).await;
    let samples = samples.unwrap();
    let responses: Vec<_> = samples.responses.iter().map(|one| &*one.raw).collect();
    let receipts: Vec<_> = samples.receipts.iter().map(|one| &*one.raw).collect();
    assert_eq!((&*responses, &*receipts), (&["FAB"][..], &["4011"][..]));
    world.close().await;
}

async fn what_is_unmatched_of_a_span_is_counted_wherever_it_is(ground: Ground) {
    let mut world = World::open(&ground).await;
    for (id, at) in [("A1", 1_000), ("A2", 2_000), ("A3", 3_000)] {
        let one = Receipt {
            received_at: Timestamp(at),
            ..receipt(id, DELIVERED)
        };
        world.store.receipts(vec![one]).await.unwrap();
    }
    let tiny = Keeping {
        parked_max: 2,
        ..keeping(3_500)
    };
    assert_eq!(world.keep(tiny).await, kept(1, 0));
    let message = world.accept(1).await;
    world.submit(&message, &["A2"]).await;
    let span = (Timestamp(1_000), Timestamp(3_000));
    let counted = world.store.unmatched_receipts(span.0, span.1).await;
    assert_eq!(counted.unwrap(), [(CarrierIndex(0), 1)]);
    world.close().await;
}
