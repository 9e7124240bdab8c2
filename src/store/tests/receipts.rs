//! Lives here: the contract for receipts, early, late, doubled or contradictory.
//! Never here: the world they run in (`tests`).

use super::*;
use crate::domain::message::FailureCode;

on_each_store! {
    a_submitted_and_delivered_message_has_its_two_events_in_order,
    duplicates_have_no_effect_and_contradictions_are_kept_as_events,
    a_receipt_before_its_response_waits_for_it_even_over_a_restart,
    a_receipt_of_another_account_never_matches,
    what_a_receipt_s_error_means_is_why_its_message_failed,
    one_receipt_speaks_for_all_parts_that_went_in_one_submit,
    a_message_of_several_segments_is_delivered_when_all_are,
    a_late_response_mends_the_attempt_that_was_in_doubt,
    an_id_that_the_carrier_uses_anew_means_the_newest_message,
    a_copy_that_failed_waits_for_the_one_under_way_in_either_order,
}

async fn a_submitted_and_delivered_message_has_its_two_events_in_order(ground: Ground) {
    let mut world = World::open(&ground).await;
    let message = world.accept(1).await;
    world.submit(&message, &["A1"]).await;
    assert_eq!(world.events(), [(EventKind::Sent, 1)]);
    assert_eq!(world.receive("A1", None).await, ReceiptResult::Intermediate);
    assert_eq!(
        world.receive("A1", Some(SegmentState::Delivered)).await,
        ReceiptResult::Applied
    );
    assert_eq!(world.events(), [(EventKind::Delivered, 2)]);
    assert_eq!(world.state(&message).await, State::Delivered);
    world.close().await;
}

async fn duplicates_have_no_effect_and_contradictions_are_kept_as_events(ground: Ground) {
    let mut world = World::open(&ground).await;
    let message = world.accept(1).await;
    world.submit(&message, &["A1"]).await;
    world.receive("A1", Some(SegmentState::Delivered)).await;
    world.events();
    assert_eq!(
        world.receive("A1", Some(SegmentState::Delivered)).await,
        ReceiptResult::Duplicate
    );
    assert_eq!(
        world.receive("A1", Some(SegmentState::Expired)).await,
        ReceiptResult::Conflict
    );
    assert_eq!(world.events(), []);
    assert_eq!(world.state(&message).await, State::Delivered);
    let timeline = world.store.timeline(message.seq).await.unwrap();
    let conflicts = timeline
        .iter()
        .filter(|entry| matches!(entry, TimelineEntry::Receipt { conflict: true, .. }))
        .count();
    assert_eq!(conflicts, 1);
    world.close().await;
}

async fn a_receipt_before_its_response_waits_for_it_even_over_a_restart(ground: Ground) {
    let mut world = World::open(&ground).await;
    let message = world.accept(1).await;
    assert_eq!(
        world.receive("A1", Some(SegmentState::Delivered)).await,
        ReceiptResult::Parked
    );
    world.close().await;
    let mut world = World::open(&ground).await;
    world.submit(&message, &["A1"]).await;
    assert_eq!(world.state(&message).await, State::Delivered);
    assert_eq!(
        world.events(),
        [(EventKind::Sent, 1), (EventKind::Delivered, 2)]
    );
    world.close().await;
}

async fn a_receipt_of_another_account_never_matches(ground: Ground) {
    let mut world = World::open(&ground).await;
    let message = world.accept(1).await;
    world.submit(&message, &["A1"]).await;
    let other = CarrierId("glo_ng".into());
    let forged = Receipt {
        key: ReceiptKey::new(&carrier(), "A1"),
        carrier: other,
        ..receipt("A1", Some(SegmentState::Rejected))
    };
    assert_eq!(
        world.store.receipts(vec![forged]).await.unwrap(),
        [ReceiptResult::Parked]
    );
    assert_eq!(world.state(&message).await, State::Submitted);
    world.close().await;
}

async fn what_a_receipt_s_error_means_is_why_its_message_failed(ground: Ground) {
    let mut world = World::open(&ground).await;
    let message = world.accept(1).await;
    // It outruns the response, and keeps its meaning in the inbox.
    let early = Receipt {
        failure: Some(FailureCode::BlockedDnd),
        ..receipt("A1", Some(SegmentState::Undelivered))
    };
    let results = world.store.receipts(vec![early]).await.unwrap();
    assert_eq!(results, [ReceiptResult::Parked]);
    world.submit(&message, &["A1"]).await;
    assert_eq!(world.state(&message).await, State::Undelivered);
    let view = world.store.message(ORG, message.id).await.unwrap().unwrap();
    assert_eq!(view.failure, Some(FailureCode::BlockedDnd));
    world.close().await;
}

async fn one_receipt_speaks_for_all_parts_that_went_in_one_submit(ground: Ground) {
    let mut world = World::open(&ground).await;
    let message = world.accept(3).await;
    world.submit(&message, &["A1", "A1", "A1"]).await;
    let delivered = || receipt("A1", Some(SegmentState::Delivered));
    let results = world.store.receipts(vec![delivered(), delivered()]).await;
    assert_eq!(
        results.unwrap(),
        [ReceiptResult::Applied, ReceiptResult::Duplicate]
    );
    assert_eq!(world.state(&message).await, State::Delivered);
    world.close().await;
}

async fn a_message_of_several_segments_is_delivered_when_all_are(ground: Ground) {
    let mut world = World::open(&ground).await;
    let message = world.accept(2).await;
    let first = vec![taken(&message, 1, "A1")];
    world
        .settle(Settlement {
            attempts: first,
            ..Settlement::default()
        })
        .await;
    // Both receipts come before the message counts as submitted.
    assert_eq!(
        world.receive("A1", Some(SegmentState::Delivered)).await,
        ReceiptResult::Applied
    );
    assert_eq!(
        world.receive("A2", Some(SegmentState::Delivered)).await,
        ReceiptResult::Parked
    );
    assert_eq!(world.state(&message).await, State::Queued);
    let second = Settlement {
        attempts: vec![taken(&message, 2, "A2")],
        transitions: vec![moved(&message, State::Submitted)],
        closed_intents: Vec::new(),
        ..Settlement::default()
    };
    world.settle(second).await;
    assert_eq!(world.state(&message).await, State::Delivered);
    assert_eq!(
        world.events(),
        [(EventKind::Sent, 1), (EventKind::Delivered, 2)]
    );
    world.close().await;
}

async fn a_late_response_mends_the_attempt_that_was_in_doubt(ground: Ground) {
    let mut world = World::open(&ground).await;
    let message = world.accept(1).await;
    let doubt = Settlement {
        attempts: vec![attempt(&message, 1, SegmentState::InDoubt, None)],
        transitions: vec![moved(&message, State::Uncertain)],
        closed_intents: vec![IntentId(1)],
        ..Settlement::default()
    };
    world.settle(doubt).await;
    assert_eq!(world.state(&message).await, State::Uncertain);
    world.submit(&message, &["A1"]).await;
    assert_eq!(world.state(&message).await, State::Submitted);
    assert_eq!(
        world.receive("A1", Some(SegmentState::Delivered)).await,
        ReceiptResult::Applied
    );
    world.close().await;
}

async fn an_id_that_the_carrier_uses_anew_means_the_newest_message(ground: Ground) {
    let mut world = World::open(&ground).await;
    let (old, new) = (world.accept(1).await, world.accept(1).await);
    world.submit(&old, &["1"]).await;
    world.submit(&new, &["1"]).await;
    world.receive("1", Some(SegmentState::Delivered)).await;
    assert_eq!(world.state(&old).await, State::Submitted);
    assert_eq!(world.state(&new).await, State::Delivered);
    world.close().await;
}

async fn a_copy_that_failed_waits_for_the_one_under_way_in_either_order(ground: Ground) {
    for order in [["A1", "A2"], ["A2", "A1"]] {
        let ground = ground.another().await;
        let mut world = World::open(&ground).await;
        let message = world.accept(1).await;
        world.submit(&message, &["A1"]).await;
        let again = AttemptRecord {
            attempt: 2,
            ..taken(&message, 1, "A2")
        };
        let marked = Transition {
            at: Timestamp(7_000),
            possible_duplicate: true,
            ..moved(&message, State::Submitted)
        };
        world
            .settle(Settlement {
                attempts: vec![again],
                transitions: vec![marked],
                ..Settlement::default()
            })
            .await;
        for id in order {
            let state = match id {
                "A1" => SegmentState::Undelivered,
                _ => SegmentState::Delivered,
            };
            world.receive(id, Some(state)).await;
        }
        assert_eq!(world.state(&message).await, State::Delivered, "{order:?}");
        assert_eq!(
            world.events(),
            [(EventKind::Sent, 1), (EventKind::Delivered, 2)]
        );
        world.close().await;
    }
}
