//! Lives here: the contract for receipts that prove what became of attempts in doubt.
//! Never here: the world they run in (`tests`), what proves what (`domain::proof`).

use super::*;
use crate::domain::proof::ToldBy;
use crate::domain::receipt::Words;

on_each_store! {
    a_receipt_of_nobody_proves_an_attempt_in_doubt_once_it_is_ripe,
    a_receipt_with_our_reference_is_proof_at_once,
    a_receipt_that_came_before_the_doubt_resolves_it_in_the_same_commit,
    two_messages_alike_in_doubt_are_not_guessed_at,
    a_receipt_of_another_account_or_recipient_proves_nothing,
    a_proof_turns_the_waiting_resend_back,
    what_one_submit_carried_is_proven_together,
    segments_in_doubt_are_proven_one_by_one,
    the_receipts_of_two_copies_in_doubt_are_both_taken,
    a_doubt_that_a_crash_left_is_resolved_by_its_receipt,
    a_late_answer_leaves_its_mark_in_the_timeline,
}

/// When the daemon looks whether a receipt has ripened.
const LATER: Timestamp = Timestamp(10_000);

fn doubted(message: &Arc<Message>, part: u8, attempt_number: u16) -> AttemptRecord {
    AttemptRecord {
        attempt: attempt_number,
        ..attempt(message, part, SegmentState::InDoubt, None)
    }
}

fn of(message: &Message, id: &str, state: Option<SegmentState>) -> Receipt {
    Receipt {
        evidence: Evidence {
            recipient: Some(message.to),
            sender: "MNARA".into(),
            words: Words("hujambo".into()),
            submitted_at: Some(Timestamp(1_500)),
            reference: None,
        },
        ..receipt(id, state)
    }
}

impl World {
    /// A message whose only attempt is in doubt.
    async fn in_doubt(&mut self) -> Arc<Message> {
        let message = self.accept(1).await;
        self.leave_parts_in_doubt(&message, vec![doubted(&message, 1, 1)])
            .await;
        message
    }

    async fn leave_parts_in_doubt(&self, message: &Arc<Message>, attempts: Vec<AttemptRecord>) {
        self.settle(Settlement {
            attempts,
            transitions: vec![moved(message, State::Uncertain)],
            ..Settlement::default()
        })
        .await;
    }

    async fn bring(&self, receipt: Receipt) -> ReceiptResult {
        self.store.receipts(vec![receipt]).await.unwrap()[0]
    }

    async fn ripen(&self) -> u64 {
        let proven = self.store.prove_receipts(Timestamp(0), LATER).await;
        proven.unwrap()
    }

    async fn parked(&self) -> usize {
        let page = inbox::InboxPage {
            inbox: inbox::Inbox::Parked,
            carrier: Some(carrier()),
            since: Timestamp(0),
            offset: 0,
            limit: 10,
        };
        self.store.inbox(&page).await.unwrap().len()
    }
}

const DELIVERED: Option<SegmentState> = Some(SegmentState::Delivered);

async fn a_receipt_of_nobody_proves_an_attempt_in_doubt_once_it_is_ripe(ground: Ground) {
    let mut world = World::open(&ground).await;
    let message = world.in_doubt().await;
    let brought = world.bring(of(&message, "A1", DELIVERED)).await;
    assert_eq!(brought, ReceiptResult::Parked);
    assert_eq!(world.state(&message).await, State::Uncertain);
    assert_eq!(world.ripen().await, 1);
    assert_eq!(world.state(&message).await, State::Delivered);
    assert_eq!(
        world.events(),
        [(EventKind::Sent, 1), (EventKind::Delivered, 2)]
    );
    assert_eq!(world.parked().await, 0);
    let story = world.store.timeline(message.seq).await.unwrap();
    let told = |entry: &TimelineEntry| {
        matches!(entry, TimelineEntry::Attempt { told_by: Some(ToldBy::Receipt),
            carrier_message_id: Some(id), .. } if &**id == "A1")
    };
    assert!(story.iter().any(told), "{story:?}");
    // From here on it is an ordinary id.
    let again = world.bring(of(&message, "A1", DELIVERED)).await;
    assert_eq!(again, ReceiptResult::Duplicate);
    assert_eq!(world.ripen().await, 0);
    world.close().await;
}

async fn a_receipt_with_our_reference_is_proof_at_once(ground: Ground) {
    let mut world = World::open(&ground).await;
    let (message, other) = (world.in_doubt().await, world.in_doubt().await);
    let mut brought = of(&message, "A1", None);
    brought.evidence.reference = Some(message.id.reference(1));
    brought.evidence.words = Words::default();
    world.bring(brought).await;
    assert_eq!(world.state(&message).await, State::Submitted);
    assert_eq!(world.state(&other).await, State::Uncertain);
    assert_eq!(world.events(), [(EventKind::Sent, 1)]);
    assert_eq!(world.receive("A1", DELIVERED).await, ReceiptResult::Applied);
    assert_eq!(world.state(&message).await, State::Delivered);
    world.close().await;
}

async fn a_receipt_that_came_before_the_doubt_resolves_it_in_the_same_commit(ground: Ground) {
    let mut world = World::open(&ground).await;
    let message = world.accept(1).await;
    world.bring(of(&message, "A1", DELIVERED)).await;
    let late = AttemptRecord {
        answered_at: LATER,
        ..doubted(&message, 1, 1)
    };
    world.leave_parts_in_doubt(&message, vec![late]).await;
    assert_eq!(world.state(&message).await, State::Delivered);
    assert_eq!(
        world.events(),
        [(EventKind::Sent, 1), (EventKind::Delivered, 2)]
    );
    world.close().await;
}

async fn two_messages_alike_in_doubt_are_not_guessed_at(ground: Ground) {
    let mut world = World::open(&ground).await;
    let (one, two) = (world.in_doubt().await, world.in_doubt().await);
    world.bring(of(&one, "A1", DELIVERED)).await;
    assert_eq!(world.ripen().await, 0);
    for message in [&one, &two] {
        assert_eq!(world.state(message).await, State::Uncertain);
    }
    assert_eq!(world.parked().await, 1);
    // The late response of one of them settles both questions but the other's.
    world.submit(&one, &["A1"]).await;
    assert_eq!(world.state(&one).await, State::Delivered);
    assert_eq!(world.state(&two).await, State::Uncertain);
    world.close().await;
}

async fn a_receipt_of_another_account_or_recipient_proves_nothing(ground: Ground) {
    let mut world = World::open(&ground).await;
    let message = world.in_doubt().await;
    let mut stranger = of(&message, "A1", DELIVERED);
    stranger.evidence.recipient = Some(Msisdn::from_digits("2348039999999").unwrap());
    world.bring(stranger).await;
    let other = CarrierId("glo_ng".into());
    let elsewhere = Receipt {
        key: ReceiptKey::new(&other, "A2"),
        carrier: other,
        ..of(&message, "A2", DELIVERED)
    };
    world.bring(elsewhere).await;
    assert_eq!(world.ripen().await, 0);
    assert_eq!(world.state(&message).await, State::Uncertain);
    world.close().await;
}

async fn a_proof_turns_the_waiting_resend_back(ground: Ground) {
    let mut world = World::open(&ground).await;
    let message = world.in_doubt().await;
    world.bring(of(&message, "A1", None)).await;
    assert_eq!(world.ripen().await, 1);
    let (to, mut answers) = mpsc::channel(1);
    let resend = Ready {
        possible_duplicate: true,
        attempt: 2,
        ..Ready::first(Arc::clone(&message))
    };
    let bind = (carrier(), BindName("mtn_ng/1".into()));
    world
        .store
        .intend(bind, Timestamp(1), vec![resend], to)
        .unwrap();
    let Some(Answered::Intent { batch, .. }) = answers.recv().await else {
        panic!("the intent is durable");
    };
    assert!(batch.is_empty());
    world.close().await;
}

async fn what_one_submit_carried_is_proven_together(ground: Ground) {
    let mut world = World::open(&ground).await;
    let message = world.accept(3).await;
    let attempts = (1..=3).map(|part| doubted(&message, part, 1)).collect();
    world.leave_parts_in_doubt(&message, attempts).await;
    world.bring(of(&message, "A1", DELIVERED)).await;
    assert_eq!(world.ripen().await, 3);
    assert_eq!(world.state(&message).await, State::Delivered);
    world.close().await;
}

async fn segments_in_doubt_are_proven_one_by_one(ground: Ground) {
    let mut world = World::open(&ground).await;
    let message = world.accept(2).await;
    let second = AttemptRecord {
        sequence: 10,
        ..doubted(&message, 2, 1)
    };
    let attempts = vec![doubted(&message, 1, 1), second];
    world.leave_parts_in_doubt(&message, attempts).await;
    for (part, id) in [(2, "A2"), (1, "A1")] {
        assert_eq!(world.state(&message).await, State::Uncertain);
        let mut brought = of(&message, id, DELIVERED);
        brought.evidence.reference = Some(message.id.reference(part));
        world.bring(brought).await;
    }
    assert_eq!(world.state(&message).await, State::Delivered);
    assert_eq!(
        world.events(),
        [(EventKind::Sent, 1), (EventKind::Delivered, 2)]
    );
    world.close().await;
}

async fn the_receipts_of_two_copies_in_doubt_are_both_taken(ground: Ground) {
    let mut world = World::open(&ground).await;
    let message = world.accept(1).await;
    let attempts = vec![doubted(&message, 1, 1), doubted(&message, 1, 2)];
    world.leave_parts_in_doubt(&message, attempts).await;
    for id in ["A1", "A2"] {
        world.bring(of(&message, id, DELIVERED)).await;
    }
    assert_eq!(world.ripen().await, 2);
    assert_eq!(world.state(&message).await, State::Delivered);
    assert_eq!(world.parked().await, 0);
    world.close().await;
}

async fn a_doubt_that_a_crash_left_is_resolved_by_its_receipt(ground: Ground) {
    let mut world = World::open(&ground).await;
    let message = world.accept(1).await;
    let (to, mut answers) = mpsc::channel(1);
    let bind = (carrier(), BindName("mtn_ng/1".into()));
    let batch = vec![Ready::first(Arc::clone(&message))];
    world
        .store
        .intend(bind, Timestamp(2_000), batch, to)
        .unwrap();
    answers.recv().await.unwrap();
    world.close().await;
    let world = World::open(&ground).await;
    assert_eq!(world.state(&message).await, State::Uncertain);
    world.bring(of(&message, "A1", DELIVERED)).await;
    assert_eq!(world.ripen().await, 1);
    assert_eq!(world.state(&message).await, State::Delivered);
    world.close().await;
}

async fn a_late_answer_leaves_its_mark_in_the_timeline(ground: Ground) {
    for (state, told_by) in [
        (SegmentState::Submitted, ToldBy::LateResponse),
        (SegmentState::Refused, ToldBy::LateRefusal),
    ] {
        let ground = ground.another().await;
        let mut world = World::open(&ground).await;
        let message = world.in_doubt().await;
        let answer = attempt(&message, 1, state, None);
        world
            .settle(Settlement {
                attempts: vec![answer],
                ..Settlement::default()
            })
            .await;
        let story = world.store.timeline(message.seq).await.unwrap();
        let TimelineEntry::Attempt { told_by: told, .. } = &story[0] else {
            panic!("{story:?}");
        };
        assert_eq!(*told, Some(told_by));
        world.close().await;
    }
}
