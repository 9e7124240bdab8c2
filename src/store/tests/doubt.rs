//! Lives here: the contract for messages in doubt: late answers, resends, ends that cross.
//! Never here: the world they run in (`tests`).

use super::*;
use crate::flow::Reroute;

on_each_store! {
    a_message_sent_twice_is_marked_although_its_first_answer_came_late,
    a_second_doubt_is_kept_so_that_a_restart_does_not_resend,
    a_refused_resend_does_not_undo_what_a_carrier_has_taken,
    an_end_that_is_told_twice_is_announced_once,
    a_move_that_is_said_twice_in_one_batch_is_announced_once,
    a_move_that_two_commits_say_in_one_millisecond_is_announced_once,
    a_doubt_and_its_late_answer_in_one_batch_end_submitted,
    late_answers_for_all_segments_resolve_a_long_message,
    a_resend_whose_message_was_taken_meanwhile_is_turned_back,
    a_mark_that_only_memory_knew_goes_with_a_move_and_a_resend_is_marked_when_it_has_gone,
    segments_that_are_all_taken_need_no_resend_although_one_was_ordered,
    a_crash_puts_in_doubt_what_the_last_of_several_accounts_had,
    a_late_refusal_of_what_an_operator_has_resent_does_not_queue_it_twice,
}

fn settlement(attempts: Vec<AttemptRecord>, transitions: Vec<Transition>) -> Settlement {
    Settlement {
        attempts,
        transitions,
        closed_intents: Vec::new(),
        ..Settlement::default()
    }
}

fn second(record: AttemptRecord) -> AttemptRecord {
    AttemptRecord {
        attempt: 2,
        ..record
    }
}

fn marked(transition: Transition) -> Transition {
    Transition {
        possible_duplicate: true,
        ..transition
    }
}

async fn a_message_sent_twice_is_marked_although_its_first_answer_came_late(ground: Ground) {
    let mut world = World::open(&ground).await;
    let message = world.accept(1).await;
    let doubt = attempt(&message, 1, SegmentState::InDoubt, None);
    world
        .settle(settlement(
            vec![doubt],
            vec![moved(&message, State::Uncertain)],
        ))
        .await;
    world.submit(&message, &["A1"]).await;
    let again = second(taken(&message, 1, "A2"));
    let submitted = Transition {
        at: Timestamp(7_000),
        ..marked(moved(&message, State::Submitted))
    };
    world.settle(settlement(vec![again], vec![submitted])).await;
    let view = world.store.message(ORG, message.id).await.unwrap().unwrap();
    assert!(view.possible_duplicate);
    assert_eq!(world.events(), [(EventKind::Sent, 1)]);
    world.close().await;
}

async fn a_second_doubt_is_kept_so_that_a_restart_does_not_resend(ground: Ground) {
    let mut world = World::open(&ground).await;
    let message = world.accept(1).await;
    world
        .settle(settlement(
            Vec::new(),
            vec![moved(&message, State::Uncertain)],
        ))
        .await;
    let again = marked(moved(&message, State::Uncertain));
    world.settle(settlement(Vec::new(), vec![again])).await;
    world.close().await;
    let world = World::open(&ground).await;
    let doubtful = world.store.in_doubt(MessageSeq(0), 10).await.unwrap();
    assert!(doubtful[0].possible_duplicate, "it has had its one resend");
    world.close().await;
}

async fn a_refused_resend_does_not_undo_what_a_carrier_has_taken(ground: Ground) {
    let mut world = World::open(&ground).await;
    let message = world.accept(1).await;
    world.submit(&message, &["A1"]).await;
    world
        .settle(settlement(
            Vec::new(),
            vec![moved(&message, State::Rejected)],
        ))
        .await;
    assert_eq!(world.state(&message).await, State::Submitted);
    assert_eq!(
        world.receive("A1", Some(SegmentState::Rejected)).await,
        ReceiptResult::Applied
    );
    assert_eq!(
        world.state(&message).await,
        State::Rejected,
        "the carrier's own word does"
    );
    world.close().await;
}

async fn an_end_that_is_told_twice_is_announced_once(ground: Ground) {
    let mut world = World::open(&ground).await;
    let message = world.accept(1).await;
    world
        .store
        .end_overdue(Timestamp(60_000), Timestamp(0), Timestamp(61_000), 10)
        .await
        .unwrap();
    assert_eq!(world.events(), [(EventKind::Failed, 2)]);
    world
        .settle(settlement(
            Vec::new(),
            vec![moved(&message, State::Expired)],
        ))
        .await;
    assert_eq!(world.events(), []);
    world.close().await;
}

async fn a_move_that_is_said_twice_in_one_batch_is_announced_once(ground: Ground) {
    let mut world = World::open(&ground).await;
    let message = world.accept(1).await;
    // Both attempts were answered in the same millisecond.
    let attempts = vec![taken(&message, 1, "A1"), second(taken(&message, 1, "A2"))];
    let moves = [(); 2].map(|()| moved(&message, State::Submitted)).into();
    world.settle(settlement(attempts, moves)).await;
    assert_eq!(world.events(), [(EventKind::Sent, 1)]);
    world.close().await;
}

async fn a_move_that_two_commits_say_in_one_millisecond_is_announced_once(ground: Ground) {
    let mut world = World::open(&ground).await;
    let message = world.accept(1).await;
    for attempts in [
        vec![taken(&message, 1, "A1")],
        vec![second(taken(&message, 1, "A2"))],
    ] {
        let moves = vec![moved(&message, State::Submitted)];
        world.settle(settlement(attempts, moves)).await;
    }
    assert_eq!(world.events(), [(EventKind::Sent, 1)]);
    world.close().await;
}

async fn a_doubt_and_its_late_answer_in_one_batch_end_submitted(ground: Ground) {
    let mut world = World::open(&ground).await;
    let message = world.accept(1).await;
    let attempts = vec![
        attempt(&message, 1, SegmentState::InDoubt, None),
        taken(&message, 1, "A1"),
    ];
    let moves = vec![
        moved(&message, State::Uncertain),
        moved(&message, State::Submitted),
    ];
    world.settle(settlement(attempts, moves)).await;
    assert_eq!(world.state(&message).await, State::Submitted);
    assert_eq!(world.events(), [(EventKind::Sent, 1)]);
    world.close().await;
}

async fn late_answers_for_all_segments_resolve_a_long_message(ground: Ground) {
    let mut world = World::open(&ground).await;
    let message = world.accept(2).await;
    let doubts = (1..=2)
        .map(|part| attempt(&message, part, SegmentState::InDoubt, None))
        .collect();
    world
        .settle(settlement(doubts, vec![moved(&message, State::Uncertain)]))
        .await;
    world
        .settle(settlement(vec![taken(&message, 1, "A1")], Vec::new()))
        .await;
    assert_eq!(world.state(&message).await, State::Uncertain);
    world
        .settle(settlement(vec![taken(&message, 2, "A2")], Vec::new()))
        .await;
    assert_eq!(world.state(&message).await, State::Submitted);
    assert_eq!(world.events(), [(EventKind::Sent, 1)]);
    world.close().await;
}

async fn a_resend_whose_message_was_taken_meanwhile_is_turned_back(ground: Ground) {
    let mut world = World::open(&ground).await;
    let (taken, open) = (world.accept(1).await, world.accept(1).await);
    world.submit(&taken, &["A1"]).await;
    let (to, mut answers) = mpsc::channel(1);
    let resend = |message: &Arc<Message>| Ready {
        possible_duplicate: true,
        ..Ready::first(Arc::clone(message))
    };
    let batch = vec![resend(&taken), resend(&open)];
    world
        .store
        .intend(
            (carrier(), BindName("mtn_ng/1".into())),
            Timestamp(1),
            batch,
            to,
        )
        .unwrap();
    let Some(Answered::Intent {
        batch, turned_back, ..
    }) = answers.recv().await
    else {
        panic!("the intent is durable");
    };
    assert_eq!(batch[0].message.seq, open.seq);
    assert_eq!(turned_back[0].message.seq, taken.seq);
    world.close().await;
}

async fn a_mark_that_only_memory_knew_goes_with_a_move_and_a_resend_is_marked_when_it_has_gone(
    ground: Ground,
) {
    let mut world = World::open(&ground).await;
    let (queued, doubtful) = (world.accept(1).await, world.accept(1).await);
    let uncertain = vec![moved(&doubtful, State::Uncertain)];
    world.settle(settlement(Vec::new(), uncertain)).await;
    let again = |message: &Arc<Message>| Reroute {
        ready: Ready {
            possible_duplicate: true,
            ..Ready::first(Arc::clone(message))
        },
        to: CarrierIndex(0),
    };
    let moves = Settlement {
        reroutes: vec![again(&queued), again(&doubtful)],
        ..Settlement::default()
    };
    world.settle(moves).await;
    let lane = (CarrierIndex(0), Class::Transactional);
    let waiting = world.store.waiting(lane, ORG, ids::Place(0), 10).await;
    assert!(waiting.unwrap()[0].possible_duplicate);
    let open = world.store.in_doubt(MessageSeq(0), 10).await.unwrap();
    assert!(!open[0].possible_duplicate, "a restart now would resend it");
    world.close().await;
}

async fn segments_that_are_all_taken_need_no_resend_although_one_was_ordered(ground: Ground) {
    let mut world = World::open(&ground).await;
    let message = world.accept(2).await;
    let doubts = [1, 2].map(|part| attempt(&message, part, SegmentState::InDoubt, None));
    let uncertain = vec![moved(&message, State::Uncertain)];
    world.settle(settlement(doubts.into(), uncertain)).await;
    let ordered = vec![moved(&message, State::Queued)];
    world.settle(settlement(Vec::new(), ordered)).await;
    world
        .settle(settlement(vec![taken(&message, 1, "A1")], Vec::new()))
        .await;
    assert_eq!(world.state(&message).await, State::Queued);
    world
        .settle(settlement(vec![taken(&message, 2, "A2")], Vec::new()))
        .await;
    assert_eq!(world.state(&message).await, State::Submitted);
    world.close().await;
}

async fn a_crash_puts_in_doubt_what_the_last_of_several_accounts_had(ground: Ground) {
    let mut world = World::open(&ground).await;
    let message = world.accept(1).await;
    let (to, mut answers) = mpsc::channel(2);
    for account in ["mtn_ng", "glo_ng"] {
        let by = (CarrierId(account.into()), BindName("x/1".into()));
        let batch = vec![Ready::first(Arc::clone(&message))];
        let intended = world.store.intend(by, Timestamp(1), batch, to.clone());
        intended.unwrap();
        answers.recv().await.unwrap();
    }
    world.close().await;
    let world = World::open(&ground).await;
    let story = world.store.timeline(message.seq).await.unwrap();
    let accounts: Vec<&str> = story
        .iter()
        .filter_map(|entry| match entry {
            TimelineEntry::Attempt { carrier, .. } => Some(&**carrier),
            TimelineEntry::Receipt { .. } | TimelineEntry::Webhook { .. } => None,
        })
        .collect();
    assert_eq!(accounts, ["glo_ng"]);
    world.close().await;
}

async fn a_late_refusal_of_what_an_operator_has_resent_does_not_queue_it_twice(ground: Ground) {
    let mut world = World::open(&ground).await;
    let (resent, doubtful) = (world.accept(1).await, world.accept(1).await);
    let uncertain = vec![moved(&doubtful, State::Uncertain)];
    world.settle(settlement(Vec::new(), uncertain)).await;
    let again = |message: &Arc<Message>| Reroute {
        ready: Ready::first(Arc::clone(message)),
        to: CarrierIndex(0),
    };
    let refused = Settlement {
        transitions: vec![
            moved(&resent, State::Queued),
            moved(&doubtful, State::Queued),
        ],
        reroutes: vec![again(&resent), again(&doubtful)],
        ..Settlement::default()
    };
    world.settle(refused).await;
    let told = world.committed.recv().await.unwrap().messages;
    let told: Vec<MessageSeq> = told.iter().map(|ready| ready.message.seq).collect();
    assert_eq!(told, [doubtful.seq]);
    world.close().await;
}
