//! Lives here: what the writer makes of a store that fails, on the model, which fails as told: a
//! commit refused, one whose answer is lost, a database that is gone for a while.
//! Never here: what a transaction consists of.

use std::future::Future;

use tokio::time::timeout;

use super::*;
use crate::flow::health::Hold;
use crate::store::memory::{CommitFault, Faults, Poison};

/// Less than the writer waits before it asks again, and more than it takes to ask.
const SOON: Duration = Duration::from_millis(100);

async fn world() -> (Ground, World, Faults) {
    let ground = Ground::memory().await;
    let faults = ground.faults();
    let world = World::open(&ground).await;
    (ground, world, faults)
}

/// Asks for something and lets the writer take it up.
async fn asked<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    let asked = tokio::spawn(work);
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
    asked
}

impl World {
    fn submitting(&self, message: &Arc<Message>, id: &str) -> impl Future<Output = ()> + use<> {
        let settlement = Settlement {
            attempts: vec![taken(message, 1, id)],
            transitions: vec![moved(message, State::Submitted)],
            ..Settlement::default()
        };
        let store = self.store.clone();
        async move { store.settle(settlement).await.unwrap() }
    }

    fn accepting(&self, message: Message) -> impl Future<Output = Result<(), StoreError>> + use<> {
        let store = self.store.clone();
        async move { store.accept(message).await }
    }

    fn told(&mut self) -> Vec<MessageId> {
        let committed = std::iter::from_fn(|| self.committed.try_recv().ok());
        let messages = committed.flat_map(|one| one.messages);
        messages.map(|ready| ready.message.id).collect()
    }

    async fn knows(&self, id: MessageId) -> bool {
        self.store.any_message(id).await.unwrap().is_some()
    }
}

#[tokio::test(start_paused = true)]
async fn while_a_commit_is_not_known_nobody_is_told_and_when_it_was_kept_everybody_once() {
    let (ground, mut world, faults) = world().await;
    let submitted = world.accept(1).await;
    faults.plan_commits([Some(CommitFault::LostAfter)]);
    faults.fail_questions(2);
    let new = message(1);
    let id = new.id;
    let (mut accepted, settled) = world.together(new, &submitted).await;
    assert!(timeout(SOON, &mut accepted).await.is_err());
    assert!(!settled.is_finished());
    assert!(world.told().is_empty() && world.events().is_empty());
    assert!(!world.store.health().is_well());
    accepted.await.unwrap().unwrap();
    settled.await.unwrap();
    assert_eq!(world.told(), [id]);
    assert_eq!(world.events(), [(EventKind::Sent, 1)]);
    assert_eq!(world.state(&submitted).await, State::Submitted);
    world.close().await;
    let dump = ground.dump().await;
    assert_eq!((dump["messages"].len(), dump["attempts"].len()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn accepts_of_a_kept_commit_are_answered_yes_and_told_once() {
    let (ground, mut world, faults) = world().await;
    faults.plan_commits([Some(CommitFault::LostAfter)]);
    faults.fail_questions(1);
    let new = message(1);
    let id = new.id;
    let mut accepted = asked(world.accepting(new)).await;
    assert!(timeout(SOON, &mut accepted).await.is_err());
    assert!(world.told().is_empty());
    let late = world.store.accept(message(1)).await;
    assert!(matches!(late, Err(StoreError::Unavailable)), "{late:?}");
    accepted.await.unwrap().unwrap();
    let next = world.accept_after(id).await;
    assert_eq!(world.told(), []);
    assert!(world.knows(id).await);
    world.close().await;
    let dump = ground.dump().await;
    assert_eq!(dump["messages"].len(), 2, "and {next} alone");
}

#[tokio::test(start_paused = true)]
async fn a_lost_commit_refuses_its_accepts_and_applies_the_rest_once() {
    let (ground, mut world, faults) = world().await;
    let submitted = world.accept(1).await;
    faults.plan_commits([Some(CommitFault::LostBefore)]);
    faults.fail_questions(1);
    let new = message(1);
    let id = new.id;
    let (mut accepted, settled) = world.together(new, &submitted).await;
    assert!(timeout(SOON, &mut accepted).await.is_err(), "not known yet");
    assert!(!settled.is_finished() && world.events().is_empty());
    let refused = accepted.await.unwrap();
    assert!(
        matches!(refused, Err(StoreError::Unavailable)),
        "{refused:?}"
    );
    settled.await.unwrap();
    assert!(!world.knows(id).await);
    assert_eq!(world.told(), []);
    assert_eq!(world.events(), [(EventKind::Sent, 1)]);
    world.close().await;
    let dump = ground.dump().await;
    assert_eq!((dump["messages"].len(), dump["attempts"].len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_refused_commit_refuses_its_accepts_at_once_and_applies_the_rest_once() {
    let (_ground, mut world, faults) = world().await;
    let submitted = world.accept(1).await;
    faults.plan_commits([Some(CommitFault::Refused), Some(CommitFault::Refused)]);
    let new = message(1);
    let id = new.id;
    let (accepted, settled) = world.together(new, &submitted).await;
    let refused = timeout(SOON, accepted).await.expect("at once").unwrap();
    assert!(
        matches!(refused, Err(StoreError::Unavailable)),
        "{refused:?}"
    );
    assert!(!world.store.health().is_well());
    settled.await.unwrap();
    assert!(world.store.health().is_well());
    assert!(!world.knows(id).await);
    assert_eq!(world.events(), [(EventKind::Sent, 1)]);
    world.accept(1).await;
    world.close().await;
}

#[tokio::test(start_paused = true)]
async fn while_the_database_is_gone_accepts_are_refused_at_once_and_outcomes_wait() {
    let (ground, mut world, faults) = world().await;
    let submitted = world.accept(1).await;
    faults.go();
    let (accepted, settled) = world.together(message(1), &submitted).await;
    let refused = timeout(SOON, accepted).await.expect("at once").unwrap();
    assert!(
        matches!(refused, Err(StoreError::Unavailable)),
        "{refused:?}"
    );
    for _ in 0..40 {
        tokio::time::sleep(Duration::from_millis(777)).await;
        let refused = timeout(SOON, world.store.accept(message(1))).await;
        let refused = refused.expect("at once");
        assert!(
            matches!(refused, Err(StoreError::Unavailable)),
            "{refused:?}"
        );
    }
    assert!(!settled.is_finished());
    assert_eq!(world.events(), []);
    faults.come_back();
    settled.await.unwrap();
    assert_eq!(world.events(), [(EventKind::Sent, 1)]);
    assert_eq!(world.state(&submitted).await, State::Submitted);
    world.accept(1).await;
    world.close().await;
    assert_eq!(ground.dump().await["messages"].len(), 2);
}

impl World {
    fn pausing(&self) -> impl Future<Output = Result<(), StoreError>> + use<> {
        let hold = HoldRow {
            carrier: carrier(),
            hold: Hold::Paused,
            reason: "a test".into(),
            actor: "me".into(),
            at: Timestamp(1),
            until: None,
        };
        let audit = AuditEntry {
            at: Timestamp(1),
            actor: "me".into(),
            action: "carriers.pause".into(),
            subject: "mtn_ng".into(),
            detail: "{}".into(),
            outcome: "paused".into(),
        };
        let store = self.store.clone();
        async move { store.hold(hold, audit).await }
    }
}

#[tokio::test(start_paused = true)]
async fn a_command_that_was_refused_during_an_outage_is_not_carried_out_after_it() {
    let (_ground, mut world, faults) = world().await;
    let submitted = world.accept(1).await;
    faults.go();
    // The first waits for its own commit as long as an operator may; the others are not even asked.
    for patience in [Duration::from_secs(11), SOON, SOON] {
        let refused = timeout(patience, world.pausing()).await.expect("in time");
        assert!(
            matches!(refused, Err(StoreError::Unavailable)),
            "{refused:?}"
        );
    }
    let settled = asked(world.submitting(&submitted, "a")).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    faults.come_back();
    settled.await.unwrap();
    assert!(world.store.holds().await.unwrap().is_empty());
    assert!(world.store.audit(10).await.unwrap().is_empty());
    world.pausing().await.unwrap();
    assert_eq!(world.store.holds().await.unwrap().len(), 1);
    world.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_command_whose_commit_is_not_known_in_time_is_in_doubt() {
    for (fault, kept) in [(CommitFault::LostAfter, 1), (CommitFault::LostBefore, 0)] {
        let (_ground, world, faults) = world().await;
        faults.plan_commits([Some(fault)]);
        faults.fail_questions(100);
        let begun = tokio::time::Instant::now();
        let told = world.pausing().await;
        assert!(matches!(told, Err(StoreError::InDoubt)), "{told:?}");
        assert!(begun.elapsed() < Duration::from_secs(11));
        faults.fail_questions(0);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(world.store.health().is_well());
        assert_eq!(world.store.holds().await.unwrap().len(), kept);
        world.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn while_a_commit_is_late_nothing_is_accepted_and_its_answer_ends_that() {
    let (_ground, mut world, faults) = world().await;
    faults.freeze(Duration::from_secs(8));
    let first = asked(world.accepting(message(1))).await;
    let behind = asked(world.accepting(message(1))).await;
    tokio::time::sleep(Duration::from_millis(4_900)).await;
    assert!(world.store.health().is_well() && !behind.is_finished());
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!world.store.health().is_well());
    for refused in [
        timeout(SOON, behind).await.expect("at once").unwrap(),
        world.store.accept(message(1)).await,
    ] {
        assert!(
            matches!(refused, Err(StoreError::Unavailable)),
            "{refused:?}"
        );
    }
    first.await.unwrap().unwrap();
    assert!(world.store.health().is_well());
    assert_eq!(world.told().len(), 1);
    faults.freeze(Duration::ZERO);
    world.accept(1).await;
    world.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_late_commit_that_came_to_nothing_is_followed_by_a_probe() {
    let (_ground, mut world, faults) = world().await;
    faults.poison([Poison::Message(MessageId(Uuid::from_u128(1)))]);
    faults.freeze(Duration::from_secs(8));
    let mut bad = message(1);
    bad.id = MessageId(Uuid::from_u128(1));
    let refused = asked(world.accepting(bad)).await;
    tokio::time::sleep(Duration::from_secs(9)).await;
    faults.freeze(Duration::ZERO);
    let refused = refused.await.unwrap();
    assert!(matches!(refused, Err(StoreError::Unfit)), "{refused:?}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(world.store.health().is_well());
    world.accept(1).await;
    world.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_command_that_waited_behind_a_late_commit_in_vain_is_not_carried_out() {
    let (_ground, world, faults) = world().await;
    faults.freeze(Duration::from_secs(20));
    let first = asked(world.accepting(message(1))).await;
    let refused = world.pausing().await;
    assert!(
        matches!(refused, Err(StoreError::Unavailable)),
        "{refused:?}"
    );
    first.await.unwrap().unwrap();
    faults.freeze(Duration::ZERO);
    world.pausing().await.unwrap();
    assert_eq!(world.store.audit(10).await.unwrap().len(), 1);
    world.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_only_held_accepts_is_followed_by_a_probe() {
    let (_ground, mut world, faults) = world().await;
    faults.plan_commits([Some(CommitFault::Refused), Some(CommitFault::Refused)]);
    let refused = world.store.accept(message(1)).await;
    assert!(
        matches!(refused, Err(StoreError::Unavailable)),
        "{refused:?}"
    );
    // Nothing asks for anything: the store finds out by itself that it is well again.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(world.store.health().is_well() && faults.spent());
    world.accept(1).await;
    world.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_is_not_known_at_the_end_is_found_at_the_next_start() {
    for (fault, kept) in [
        (CommitFault::LostAfter, true),
        (CommitFault::LostBefore, false),
    ] {
        let (ground, mut world, faults) = world().await;
        faults.plan_commits([Some(fault)]);
        faults.fail_questions(u32::MAX);
        let new = message(1);
        let id = new.id;
        let mut accepted = asked(world.accepting(new)).await;
        assert!(timeout(SOON, &mut accepted).await.is_err());
        world.writer.abort();
        let _ = (&mut world.writer).await;
        assert!(matches!(accepted.await.unwrap(), Err(StoreError::Closed)));
        drop(world);
        faults.fail_questions(0);
        let mut world = World::open(&ground).await;
        assert_eq!(world.knows(id).await, kept);
        world.accept(1).await;
        world.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn told_to_stop_while_a_commit_is_not_known_the_writer_says_in_doubt() {
    let (_ground, world, faults) = world().await;
    faults.plan_commits([Some(CommitFault::LostAfter)]);
    faults.fail_questions(u32::MAX);
    let mut accepted = asked(world.accepting(message(1))).await;
    assert!(timeout(SOON, &mut accepted).await.is_err());
    world.stop.cancel();
    let answer = accepted.await.unwrap();
    assert!(matches!(answer, Err(StoreError::InDoubt)), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn told_to_stop_while_it_cannot_commit_the_writer_turns_intents_back() {
    let (ground, mut world, faults) = world().await;
    let message = world.accept(1).await;
    faults.go();
    let (to, mut answered) = mpsc::channel(1);
    let bind = (carrier(), BindName("mtn_ng/1".into()));
    let batch = vec![Ready::first(Arc::clone(&message))];
    world
        .store
        .intend(bind, Timestamp(2_000), batch, to)
        .unwrap();
    assert!(timeout(SOON, answered.recv()).await.is_err());
    world.stop.cancel();
    match answered.recv().await.unwrap() {
        Answered::Intent {
            batch, turned_back, ..
        } => assert_eq!((batch.len(), turned_back.len()), (0, 1)),
        Answered::Receipt { .. } => panic!("an intent was asked for"),
    }
    // The database cannot be closed either.
    assert!((&mut world.writer).await.is_err());
    drop(world);
    faults.come_back();
    let world = World::open(&ground).await;
    assert_eq!(world.state(&message).await, State::Queued);
    assert_eq!(world.uncertain, 0);
    world.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_commit_not_known_at_the_end_lends_its_number_to_no_other() {
    let (_ground, mut world, faults) = world().await;
    let submitted = world.accept(1).await;
    faults.plan_commits([Some(CommitFault::LostAfter), Some(CommitFault::LostBefore)]);
    faults.fail_questions(2);
    let accepted = asked(world.accepting(message(1))).await;
    let settlement = Settlement {
        attempts: vec![taken(&submitted, 1, "A1")],
        transitions: vec![moved(&submitted, State::Submitted)],
        ..Settlement::default()
    };
    let store = world.store.clone();
    let settled = asked(async move { store.settle(settlement).await }).await;
    world.stop.cancel();
    let answer = accepted.await.unwrap();
    assert!(matches!(answer, Err(StoreError::InDoubt)), "{answer:?}");
    let answer = settled.await.unwrap();
    assert!(matches!(answer, Err(StoreError::Closed)), "{answer:?}");
    world.writer.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn wherever_a_transaction_fails_it_is_as_if_it_had_been_made_once() {
    for statement in 1..60 {
        let (ground, mut world, faults) = world().await;
        let message = world.accept(2).await;
        world.receive("A1", Some(SegmentState::Delivered)).await;
        faults.fail_statement(statement);
        world.submit(&message, &["A1", "A2"]).await;
        let reached = faults.spent();
        faults.fail_statement(0);
        assert_eq!(world.events(), [(EventKind::Sent, 1)], "{statement}");
        world.receive("A2", Some(SegmentState::Delivered)).await;
        assert_eq!(world.state(&message).await, State::Delivered, "{statement}");
        world.close().await;
        let dump = ground.dump().await;
        assert!(dump["receipt_inbox"].is_empty() && dump["outbox"].len() == 2);
        if !reached {
            assert!(statement > 5, "the transaction has that many statements");
            return;
        }
    }
    panic!("more statements than expected");
}

#[tokio::test(start_paused = true)]
async fn a_try_that_would_have_put_receipts_in_quarantine_does_not_lose_sight_of_them() {
    let (_ground, mut world, faults) = world().await;
    let message = world.accept(1).await;
    world.receive("A1", Some(SegmentState::Delivered)).await;
    let keeping = inbox::Keeping {
        at: Timestamp(9_000),
        parked_ttl: Duration::from_secs(5),
        parked_max: 100,
        quarantine_ttl: Duration::from_secs(5),
        quarantine_max: 100,
    };
    faults.plan_commits([Some(CommitFault::Refused)]);
    let store = world.store.clone();
    let kept = tokio::spawn(async move { store.keep_receipts(keeping).await.unwrap() });
    // In the same batch: its response comes first, and the receipt is at home.
    world.submit(&message, &["A1"]).await;
    assert_eq!(kept.await.unwrap(), inbox::Kept::default());
    assert_eq!(world.state(&message).await, State::Delivered);
    world.close().await;
}

#[tokio::test(start_paused = true)]
async fn an_event_that_several_workers_leave_at_once_is_left_once() {
    let (_ground, mut world, _) = world().await;
    let message = world.accept(1).await;
    world.submit(&message, &["A1"]).await;
    let event = world.events.recv().await.unwrap().event;
    for due in [5_000, 8_000] {
        world.store.leave_events(vec![(event, Timestamp(due))]);
    }
    for (now, found) in [(7_999, 0), (8_000, 1)] {
        let claimed = world.store.claim_events(Timestamp(now), 10).await.unwrap();
        assert_eq!(claimed.len(), found, "the last word holds");
    }
    world.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_start_whose_commit_was_kept_unheard_still_knows_that_the_last_run_ended_well() {
    let (ground, mut world, faults) = world().await;
    world.accept(1).await;
    world.close().await;
    faults.plan_commits([Some(CommitFault::LostAfter)]);
    faults.fail_questions(3);
    let world = World::open(&ground).await;
    assert!(faults.spent());
    assert_eq!(world.last, ids::Place(0), "nothing is unsure");
    world.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_start_whose_commit_was_lost_may_be_begun_anew() {
    let (ground, mut world, faults) = world().await;
    world.accept(1).await;
    world.close().await;
    faults.plan_commits([Some(CommitFault::LostBefore)]);
    faults.fail_questions(3);
    let (committed, events) = (mpsc::channel(1).0, mpsc::channel(1).0);
    let opened = ground.try_open(vec![carrier()], committed, events).await;
    let error = opened.err().expect("nothing was kept");
    assert!(error.is_away(), "{error}");
    let world = World::open(&ground).await;
    assert_eq!(world.last, ids::Place(0), "nothing is unsure");
    world.close().await;
}

impl World {
    /// Asks for a yes and tells an outcome, so that both are in one batch.
    async fn together(
        &self,
        new: Message,
        submitted: &Arc<Message>,
    ) -> (JoinHandle<Result<(), StoreError>>, JoinHandle<()>) {
        let accepted = tokio::spawn(self.accepting(new));
        let settled = asked(self.submitting(submitted, "A1")).await;
        (accepted, settled)
    }

    /// Accepts another message; all that lanes have been told is this one and the one before.
    async fn accept_after(&mut self, first: MessageId) -> MessageId {
        let second = message(1);
        let id = second.id;
        self.store.accept(second).await.unwrap();
        assert_eq!(self.told(), [first, id]);
        id
    }
}
