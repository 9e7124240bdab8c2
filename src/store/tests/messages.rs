//! Lives here: the contract for messages, intents, events and accounts.
//! Never here: the world they run in (`tests`).

use super::*;

on_each_store! {
    a_message_reads_back_as_it_was_accepted,
    the_lifecycle_refuses_what_is_not_legal,
    what_was_intended_and_has_no_outcome_is_uncertain_after_a_restart,
    waiting_messages_come_in_order_with_what_is_left_of_them,
    a_scheduled_message_reaches_its_lane_when_due,
    places_rise_over_crashes,
    every_message_ends_by_its_validity_and_grace,
    events_are_given_up_by_their_time_the_oldest_first,
    an_undelivered_event_comes_back_and_a_delivered_one_does_not,
    a_thousand_accepts_share_commits_and_keep_their_order,
    test_messages_that_are_submitted_are_found_page_by_page,
}

async fn a_message_reads_back_as_it_was_accepted(ground: Ground) {
    let mut world = World::open(&ground).await;
    let message = world.accept(1).await;
    let view = world.store.message(ORG, message.id).await.unwrap().unwrap();
    assert_eq!(view.state, State::Queued);
    assert_eq!(
        (&*view.message.body, view.message.to),
        ("hujambo", message.to)
    );
    assert_eq!(view.message.metadata.as_deref(), Some("{\"a\":1}"));
    let stranger = OrgId(Uuid::from_u128(8));
    assert!(
        world
            .store
            .message(stranger, message.id)
            .await
            .unwrap()
            .is_none()
    );
    world.close().await;
}

async fn the_lifecycle_refuses_what_is_not_legal(ground: Ground) {
    let mut world = World::open(&ground).await;
    let message = world.accept(1).await;
    world.submit(&message, &["A1"]).await;
    world.receive("A1", Some(SegmentState::Delivered)).await;
    world.events();
    let back = Settlement {
        transitions: vec![moved(&message, State::Submitted)],
        ..Settlement::default()
    };
    world.settle(back).await;
    assert_eq!(world.state(&message).await, State::Delivered);
    assert_eq!(world.events(), []);
    world.close().await;
}

async fn what_was_intended_and_has_no_outcome_is_uncertain_after_a_restart(ground: Ground) {
    let mut world = World::open(&ground).await;
    let (lost, safe) = (world.accept(1).await, world.accept(1).await);
    let (to, mut answers) = mpsc::channel(4);
    for message in [&lost, &safe] {
        let batch = vec![Ready::first(Arc::clone(message))];
        world
            .store
            .intend(
                (carrier(), BindName("mtn_ng/1".into())),
                Timestamp(1),
                batch,
                to.clone(),
            )
            .unwrap();
    }
    let mut intents = Vec::new();
    for _ in 0..2 {
        let Some(Answered::Intent { intent, .. }) = answers.recv().await else {
            panic!("the intent is durable");
        };
        intents.push(intent);
    }
    let done = Settlement {
        attempts: vec![taken(&safe, 1, "A1")],
        transitions: vec![moved(&safe, State::Submitted)],
        closed_intents: vec![intents[1]],
        reroutes: Vec::new(),
    };
    world.settle(done).await;
    world.close().await;
    let world = World::open(&ground).await;
    assert_eq!(world.uncertain, 1);
    assert_eq!(world.state(&lost).await, State::Uncertain);
    assert_eq!(world.state(&safe).await, State::Submitted);
    let doubtful = world.store.in_doubt(MessageSeq(0), 10).await.unwrap();
    assert_eq!(doubtful.len(), 1);
    assert!(
        !doubtful[0].possible_duplicate,
        "its one resend is still to come"
    );
    assert_eq!(
        doubtful[0].attempts, 1,
        "the interrupted attempt is part of the story"
    );
    let story = world.store.timeline(lost.seq).await.unwrap();
    let doubted = |entry: &TimelineEntry| {
        matches!(
            entry,
            TimelineEntry::Attempt {
                state: SegmentState::InDoubt,
                attempt: 1,
                ..
            }
        )
    };
    assert_eq!(
        story.iter().filter(|entry| doubted(entry)).count(),
        1,
        "{story:?}"
    );
    assert_eq!(world.store.timeline(safe.seq).await.unwrap().len(), 1);
    world.close().await;
}

async fn waiting_messages_come_in_order_with_what_is_left_of_them(ground: Ground) {
    let mut world = World::open(&ground).await;
    let (one, two, three) = (
        world.accept(1).await,
        world.accept(3).await,
        world.accept(1).await,
    );
    world
        .settle(Settlement {
            attempts: vec![taken(&two, 2, "A2")],
            ..Settlement::default()
        })
        .await;
    world.submit(&three, &["A3"]).await;
    let lane = (CarrierIndex(0), Class::Transactional);
    let page = world
        .store
        .waiting(lane, ORG, ids::Place(0), 10)
        .await
        .unwrap();
    let seen: Vec<_> = page
        .iter()
        .map(|one| (one.message.seq, one.parts, one.attempts))
        .collect();
    assert_eq!(seen, [(one.seq, Parts(1), 0), (two.seq, Parts(0b101), 1)]);
    assert_eq!(
        world
            .store
            .waiting(lane, ORG, ids::Place(one.seq.0), 10)
            .await
            .unwrap()
            .len(),
        1
    );
    let queue = world.store.queue().await.unwrap();
    assert_eq!(
        (queue.len(), queue[0].messages, queue[0].oldest),
        (1, 2, Timestamp(1_000))
    );
    world.close().await;
}

async fn places_rise_over_crashes(ground: Ground) {
    let mut last = 0;
    for _ in 0..3 {
        let mut world = World::open(&ground).await;
        assert!(world.last.0 >= last, "{:?} was given by then", world.last);
        let scheduled = Message {
            due_at: Timestamp(5_000),
            ..message(1)
        };
        world.store.accept(scheduled).await.unwrap();
        let accepted = world.accept(1).await;
        assert!(accepted.seq.0 > last);
        world.store.release_due(Timestamp(5_000), 1).await.unwrap();
        let released = world.committed.recv().await.unwrap().messages.remove(0);
        assert!(released.place.0 > accepted.seq.0);
        last = released.place.0;
        // What waits no more has had its place all the same.
        world.submit(&released.message, &["A1"]).await;
        world.writer.abort();
        let _ = world.writer.await;
    }
}

async fn a_scheduled_message_reaches_its_lane_when_due(ground: Ground) {
    let mut world = World::open(&ground).await;
    let scheduled = Message {
        due_at: Timestamp(5_000),
        ..message(1)
    };
    let id = scheduled.id;
    world.store.accept(scheduled).await.unwrap();
    let later = world.accept(1).await;
    assert_eq!(
        world.store.release_due(Timestamp(4_999), 10).await.unwrap(),
        0
    );
    assert_eq!(
        world.store.release_due(Timestamp(5_000), 10).await.unwrap(),
        1
    );
    let committed = world.committed.recv().await.unwrap();
    let released = &committed.messages[0];
    assert_eq!(released.message.id, id);
    assert!(
        released.message.seq < later.seq && released.place.0 > later.seq.0,
        "it keeps its number, and its lane sees it in the order of its release"
    );
    assert_eq!(world.state(&released.message).await, State::Queued);
    let lane = (CarrierIndex(0), Class::Transactional);
    let backlog = world.store.backlog(lane).await.unwrap();
    assert_eq!(backlog, [(ORG, released.place)]);
    world.close().await;
}

async fn every_message_ends_by_its_validity_and_grace(ground: Ground) {
    let mut world = World::open(&ground).await;
    let (queued, open) = (world.accept(1).await, world.accept(1).await);
    world.submit(&open, &["A1"]).await;
    world.events();
    let end = |queued_before, open_before| {
        world.store.end_overdue(
            Timestamp(queued_before),
            Timestamp(open_before),
            Timestamp(60_000),
            100,
        )
    };
    assert_eq!(end(50_000, 50_000).await.unwrap(), 0);
    assert_eq!(end(50_001, 50_000).await.unwrap(), 1);
    assert_eq!(end(50_001, 50_001).await.unwrap(), 1);
    assert_eq!(world.state(&queued).await, State::Expired);
    assert_eq!(world.state(&open).await, State::Unknown);
    assert_eq!(
        world.events(),
        [(EventKind::Failed, 2), (EventKind::Failed, 2)]
    );
    // The carrier's late word still counts.
    assert_eq!(
        world.receive("A1", Some(SegmentState::Delivered)).await,
        ReceiptResult::Applied
    );
    assert_eq!(world.state(&open).await, State::Delivered);
    assert_eq!(world.events(), [(EventKind::Delivered, 3)]);
    world.close().await;
}

async fn events_are_given_up_by_their_time_the_oldest_first(ground: Ground) {
    let mut world = World::open(&ground).await;
    // The newest is written first.
    for (at, id) in [(9_000, "A1"), (3_999, "A2"), (4_000, "A3"), (1_000, "A4")] {
        let message = world.accept(1).await;
        let submitted = Transition {
            at: Timestamp(at),
            ..moved(&message, State::Submitted)
        };
        let settlement = Settlement {
            attempts: vec![taken(&message, 1, id)],
            transitions: vec![submitted],
            ..Settlement::default()
        };
        world.settle(settlement).await;
    }
    let store = &world.store;
    let left = async || {
        let later = Timestamp(3_600_000);
        let events = store.claim_events(later, 10).await.unwrap();
        store.leave_events(events.iter().map(|job| (job.event, job.at)).collect());
        events.iter().map(|job| job.at.0).collect::<Vec<_>>()
    };
    let before = Timestamp(4_000);
    assert_eq!(left().await, [1_000, 3_999, 4_000, 9_000]);
    assert_eq!(store.give_up_events(before, 1).await.unwrap(), 1);
    assert_eq!(left().await, [3_999, 4_000, 9_000]);
    assert_eq!(store.give_up_events(before, 10).await.unwrap(), 1);
    assert_eq!(left().await, [4_000, 9_000]);
    assert_eq!(store.give_up_events(before, 10).await.unwrap(), 0);
    world.close().await;
}

async fn an_undelivered_event_comes_back_and_a_delivered_one_does_not(ground: Ground) {
    let mut world = World::open(&ground).await;
    let message = world.accept(1).await;
    world.submit(&message, &["A1"]).await;
    let job = world.events.recv().await.unwrap();
    let record = |attempt: u16, retry_at| DeliveryRecord {
        job: EventJob {
            attempts: attempt - 1,
            ..job.clone()
        },
        at: Timestamp(3_000),
        latency_ms: 4,
        status: Some(500),
        error: None,
        response: None,
        retry_at,
    };
    world
        .store
        .deliveries(vec![record(1, Some(Timestamp(8_000)))])
        .await
        .unwrap();
    assert!(
        world
            .store
            .claim_events(Timestamp(7_999), 10)
            .await
            .unwrap()
            .is_empty()
    );
    let again = world
        .store
        .claim_events(Timestamp(8_000), 10)
        .await
        .unwrap();
    assert_eq!(
        (again.len(), again[0].event, again[0].attempts),
        (1, job.event, 1)
    );
    assert!(
        world
            .store
            .claim_events(Timestamp(8_001), 10)
            .await
            .unwrap()
            .is_empty(),
        "leased"
    );
    world.store.deliveries(vec![record(2, None)]).await.unwrap();
    assert!(
        world
            .store
            .claim_events(Timestamp(i64::MAX / 2), 10)
            .await
            .unwrap()
            .is_empty()
    );
    world.close().await;
}

async fn a_thousand_accepts_share_commits_and_keep_their_order(ground: Ground) {
    let mut world = World::open(&ground).await;
    let accepts = (0..1000).map(|_| {
        let store = world.store.clone();
        tokio::spawn(async move { store.accept(message(1)).await })
    });
    for accept in accepts.collect::<Vec<_>>() {
        accept.await.unwrap().unwrap();
    }
    let (mut last, mut seen, mut commits) = (MessageSeq(0), 0, 0);
    while seen < 1000 {
        let committed = tokio::time::timeout(Duration::from_secs(10), world.committed.recv())
            .await
            .unwrap()
            .unwrap();
        commits += 1;
        for ready in committed.messages {
            assert!(ready.message.seq > last);
            last = ready.message.seq;
            seen += 1;
        }
    }
    assert!(commits < 500, "{commits} commits for 1000 accepts");
    world.close().await;
}

async fn test_messages_that_are_submitted_are_found_page_by_page(ground: Ground) {
    let mut world = World::open(&ground).await;
    let mut taken = Vec::new();
    for live in [false, true, false, false, false] {
        let message = Message { live, ..message(1) };
        world.store.accept(message).await.unwrap();
        let committed = world.committed.recv().await.unwrap();
        taken.push(Arc::clone(&committed.messages[0].message));
    }
    for (message, id) in taken.iter().zip(["A", "B", "C", "D"]) {
        world.submit(message, &[id]).await;
    }
    world.receive("C", Some(SegmentState::Delivered)).await;
    let found = async |after| {
        let page = world.store.sandboxed(after, 1).await.unwrap();
        let one = |(message, at): &(Message, Timestamp)| (message.seq, *at);
        page.iter().map(one).collect::<Vec<_>>()
    };
    let at = Timestamp(2_100);
    assert_eq!(found(MessageSeq(0)).await, [(taken[0].seq, at)]);
    assert_eq!(found(taken[0].seq).await, [(taken[3].seq, at)]);
    assert_eq!(
        found(taken[3].seq).await,
        [],
        "the last one is still queued"
    );
    world.close().await;
}
