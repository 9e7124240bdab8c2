//! Lives here: one bad row does not stop the rest: what becomes of each kind of part that the
//! database will not have, and of what stood beside it. On the model, which refuses as told, and
//! on the databases, with a rule that a part breaks.
//! Never here: how a batch is divided (`portions`).

use std::future::Future;
use std::sync::atomic::Ordering;

use tokio::time::timeout;

use super::*;
use crate::store::memory::{CommitFault, Faults, Poison};

on_databases! {
    what_breaks_a_rule_of_the_database_is_set_aside_and_the_rest_commits,
}

/// More than the writer takes to find the part; without it, it tries the batch for ever.
const BOUND: Duration = Duration::from_secs(20);

async fn world() -> (Ground, World, Faults) {
    let ground = Ground::memory().await;
    let faults = ground.faults();
    let world = World::open(&ground).await;
    (ground, world, faults)
}

async fn in_time<T>(work: impl Future<Output = T>) -> T {
    timeout(BOUND, work).await.expect("the writer goes on")
}

fn answers(messages: &[&Arc<Message>]) -> Settlement {
    let ids = ["A1", "A2", "A3", "A4"];
    Settlement {
        attempts: messages
            .iter()
            .enumerate()
            .map(|(index, message)| taken(message, 1, ids[index % 4]))
            .collect(),
        transitions: messages
            .iter()
            .map(|message| moved(message, State::Submitted))
            .collect(),
        ..Settlement::default()
    }
}

impl World {
    /// Asks for all of them at once, so that they are in one batch.
    async fn accept_together(&self, messages: Vec<Message>) -> Vec<Result<(), StoreError>> {
        let asked: Vec<_> = messages
            .into_iter()
            .map(|message| {
                let store = self.store.clone();
                tokio::spawn(async move { store.accept(message).await })
            })
            .collect();
        let mut told = Vec::new();
        for one in asked {
            told.push(in_time(one).await.unwrap());
        }
        told
    }

    async fn accept_some<const N: usize>(&mut self) -> [Arc<Message>; N] {
        let mut accepted = Vec::new();
        for _ in 0..N {
            accepted.push(self.accept(1).await);
        }
        accepted.try_into().unwrap()
    }

    fn lanes_were_told(&mut self) -> Vec<MessageId> {
        let committed = std::iter::from_fn(|| self.committed.try_recv().ok());
        let messages = committed.flat_map(|one| one.messages);
        messages.map(|ready| ready.message.id).collect()
    }

    async fn states<const N: usize>(&self, messages: &[Arc<Message>; N]) -> [State; N] {
        let mut states = [State::Failed; N];
        for (state, message) in states.iter_mut().zip(messages) {
            *state = self.state(message).await;
        }
        states
    }
}

fn unfit(told: &[Result<(), StoreError>]) -> Vec<bool> {
    let is_unfit = |one: &Result<(), StoreError>| match one {
        Ok(()) => false,
        Err(StoreError::Unfit) => true,
        Err(other) => panic!("{other}"),
    };
    told.iter().map(is_unfit).collect()
}

#[tokio::test(start_paused = true)]
async fn a_message_that_the_database_will_not_have_is_refused_alone() {
    let (_ground, mut world, faults) = world().await;
    let messages: Vec<Message> = (0..7).map(|_| message(1)).collect();
    let ids: Vec<MessageId> = messages.iter().map(|one| one.id).collect();
    faults.poison([2, 3, 6].map(|index| Poison::Message(ids[index])));
    let told = world.accept_together(messages).await;
    assert_eq!(unfit(&told), [false, false, true, true, false, false, true]);
    assert!(world.store.health().is_well());
    let kept = [ids[0], ids[1], ids[4], ids[5]];
    assert_eq!(world.lanes_were_told(), kept);
    world.accept(1).await;
    world.close().await;
}

#[tokio::test(start_paused = true)]
async fn what_carriers_said_of_a_message_and_cannot_be_written_leaves_it_in_doubt() {
    let (ground, mut world, faults) = world().await;
    let messages = world.accept_some::<3>().await;
    let (to, mut answered) = mpsc::channel(1);
    let bind = (carrier(), BindName("mtn_ng/1".into()));
    let batch = messages.iter().map(|one| Ready::first(Arc::clone(one)));
    let intended = world.store.intend(bind, Timestamp(1), batch.collect(), to);
    intended.unwrap();
    let Some(Answered::Intent { intent, .. }) = answered.recv().await else {
        panic!("the intent is durable");
    };
    faults.poison([Poison::Attempt(messages[1].seq)]);
    let settlement = Settlement {
        closed_intents: vec![intent],
        ..answers(&messages.iter().collect::<Vec<_>>())
    };
    let store = world.store.clone();
    let new = tokio::spawn(async move { store.accept(message(1)).await });
    in_time(world.settle(settlement)).await;
    in_time(new).await.unwrap().unwrap();
    let [sent, doubt] = [State::Submitted, State::Uncertain];
    assert_eq!(world.states(&messages).await, [sent, doubt, sent]);
    assert_eq!(world.events().len(), 2);
    assert!(world.store.health().is_well());
    world.close().await;
    let dump = ground.dump().await;
    assert_eq!((dump["intents"].len(), dump["attempts"].len()), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_even_be_put_in_doubt_is_left_and_the_end_is_not_orderly() {
    let (_ground, mut world, faults) = world().await;
    let messages = world.accept_some::<3>().await;
    let bad = messages[1].seq;
    faults.poison([Poison::Attempt(bad), Poison::Move(bad)]);
    in_time(world.settle(answers(&messages.iter().collect::<Vec<_>>()))).await;
    let [sent, queued] = [State::Submitted, State::Queued];
    assert_eq!(world.states(&messages).await, [sent, queued, sent]);
    assert!(!world.orderly.load(Ordering::Relaxed));
    world.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_receipt_that_cannot_be_written_is_not_kept_and_its_neighbours_are() {
    let (_ground, mut world, faults) = world().await;
    let messages = world.accept_some::<3>().await;
    world
        .settle(answers(&messages.iter().collect::<Vec<_>>()))
        .await;
    faults.poison([Poison::Receipt(ReceiptKey::new(&carrier(), "A2"))]);
    let delivered = Some(SegmentState::Delivered);
    let receipts = ["A1", "A2", "A3", "A1"].map(|id| receipt(id, delivered));
    let results = in_time(world.store.receipts(receipts.into())).await;
    let [applied, refused] = [ReceiptResult::Applied, ReceiptResult::Refused];
    let twice = ReceiptResult::Duplicate;
    assert_eq!(results.unwrap(), [applied, refused, applied, twice]);
    let [end, open] = [State::Delivered, State::Submitted];
    assert_eq!(world.states(&messages).await, [end, open, end]);
    // Its carrier sends it again, and by then the fault is mended.
    faults.cure();
    assert_eq!(world.receive("A2", delivered).await, applied);
    world.close().await;
}

#[tokio::test(start_paused = true)]
async fn messages_of_an_intent_that_cannot_be_written_come_to_their_lane_again_unsent() {
    let (_ground, mut world, faults) = world().await;
    let messages = world.accept_some::<2>().await;
    faults.poison([Poison::Intent(messages[1].seq)]);
    let (to, mut answered) = mpsc::channel(1);
    let bind = (carrier(), BindName("mtn_ng/1".into()));
    let batch = messages.iter().map(|one| Ready::first(Arc::clone(one)));
    let intended = world.store.intend(bind, Timestamp(1), batch.collect(), to);
    intended.unwrap();
    let Some(Answered::Intent {
        batch, turned_back, ..
    }) = in_time(answered.recv()).await
    else {
        panic!("it is answered");
    };
    assert_eq!((batch.len(), turned_back.len()), (0, 2));
    let again = in_time(world.committed.recv()).await.unwrap().messages;
    let again: Vec<MessageSeq> = again.iter().map(|ready| ready.message.seq).collect();
    assert_eq!(again, messages.each_ref().map(|one| one.seq));
    world.close().await;
}

#[tokio::test(start_paused = true)]
async fn chores_and_deliveries_that_cannot_be_written_do_not_stop_others() {
    let (_ground, mut world, faults) = world().await;
    let scheduled = Message {
        due_at: Timestamp(2_000),
        ..message(1)
    };
    world.store.accept(scheduled).await.unwrap();
    let later = MessageSeq(1);
    let queued = world.accept(1).await;
    world.submit(&queued, &["A1"]).await;
    let event = world.events.recv().await.unwrap();
    faults.poison([Poison::Delivery(event.event), Poison::Release(later)]);
    let record = DeliveryRecord {
        job: event,
        at: Timestamp(3_000),
        latency_ms: 4,
        status: Some(200),
        error: None,
        response: None,
        retry_at: None,
    };
    let store = world.store.clone();
    let delivered = tokio::spawn(async move { store.deliveries(vec![record]).await });
    let released = in_time(world.store.release_due(Timestamp(9_000), 10)).await;
    assert!(matches!(released, Err(StoreError::Unfit)), "{released:?}");
    in_time(delivered).await.unwrap().unwrap();
    faults.cure();
    let released = world.store.release_due(Timestamp(9_000), 10).await;
    assert_eq!(released.unwrap(), 1);
    world.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_part_that_is_refused_does_not_change_the_order_of_what_is_said_of_a_message() {
    let (_ground, mut world, faults) = world().await;
    let one = world.accept(1).await;
    let bad = message(1);
    faults.poison([Poison::Message(bad.id)]);
    let doubt = Settlement {
        attempts: vec![attempt(&one, 1, SegmentState::InDoubt, None)],
        transitions: vec![moved(&one, State::Uncertain)],
        ..Settlement::default()
    };
    let (first, second) = (world.store.clone(), world.store.clone());
    let first = tokio::spawn(async move { first.settle(doubt).await });
    let late = answers(&[&one]);
    let second = tokio::spawn(async move { second.settle(late).await });
    assert_eq!(unfit(&world.accept_together(vec![bad]).await), [true]);
    in_time(first).await.unwrap().unwrap();
    in_time(second).await.unwrap().unwrap();
    assert_eq!(world.state(&one).await, State::Submitted);
    assert_eq!(world.events(), [(EventKind::Sent, 1)]);
    world.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_portion_whose_commit_is_not_known_is_asked_for_before_anything_is_retried() {
    for (fault, kept) in [
        (CommitFault::LostAfter, true),
        (CommitFault::LostBefore, false),
    ] {
        let (ground, mut world, faults) = world().await;
        let messages: Vec<Message> = (0..4).map(|_| message(1)).collect();
        let ids: Vec<MessageId> = messages.iter().map(|one| one.id).collect();
        faults.poison([Poison::Message(ids[0])]);
        // The second message alone, then the last two.
        faults.plan_commits([None, Some(fault)]);
        faults.fail_questions(2);
        let told = world.accept_together(messages).await;
        assert!(matches!(told[0], Err(StoreError::Unfit)));
        assert!(told[1].is_ok());
        for one in &told[2..] {
            let refused = matches!(one, Err(StoreError::Unavailable));
            assert_eq!((one.is_ok(), refused), (kept, !kept), "{one:?}");
        }
        let upto = if kept { 4 } else { 2 };
        assert_eq!(world.lanes_were_told(), ids[1..upto]);
        world.close().await;
        assert_eq!(ground.dump().await["messages"].len(), upto - 1);
    }
}

#[tokio::test(start_paused = true)]
async fn when_nothing_of_a_kind_can_be_written_the_writer_waits_instead_of_losing_it_all() {
    let (_ground, mut world, faults) = world().await;
    let messages = world.accept_some::<40>().await;
    faults.poison(messages.iter().map(|one| Poison::Attempt(one.seq)));
    let (store, all) = (world.store.clone(), messages.clone());
    let settled = tokio::spawn(async move {
        let all: Vec<_> = all.iter().collect();
        store.settle(answers(&all)).await.unwrap();
    });
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!settled.is_finished() && !world.store.health().is_well());
    let states = world.states(&messages).await;
    let doubts = states.iter().filter(|one| **one == State::Uncertain);
    assert_eq!(doubts.count(), 16, "as many as were given up");
    faults.cure();
    in_time(settled).await.unwrap();
    assert!(world.store.health().is_well());
    let states = world.states(&messages).await;
    let sent = states.iter().filter(|one| **one == State::Submitted);
    assert_eq!(sent.count(), 24);
    world.accept(1).await;
    world.close().await;
}

/// A check where the database has them, a trigger that raises where it has not.
async fn forbid(ground: &Ground, table: &str, rule: &str) {
    let sql = match ground {
        Ground::Sqlite(_) => format!(
            "create trigger no_{table} before insert on {table} when not (new.{rule}) \
             begin select raise(abort, 'not this one'); end"
        ),
        Ground::Postgres(_) => {
            format!("alter table {table} add constraint not_this check ({rule})")
        }
        Ground::Memory(..) => panic!("the model refuses by itself"),
    };
    ground.run(&sql).await;
}

async fn what_breaks_a_rule_of_the_database_is_set_aside_and_the_rest_commits(ground: Ground) {
    let mut world = World::open(&ground).await;
    let messages = world.accept_some::<3>().await;
    forbid(&ground, "messages", "body <> 'BAD'").await;
    forbid(&ground, "attempts", "carrier_message_id <> 'A2'").await;
    forbid(&ground, "receipt_inbox", "normalised <> 'X2'").await;
    let bad = Message {
        body: "BAD".into(),
        ..message(1)
    };
    let told = world
        .accept_together(vec![message(1), bad, message(1)])
        .await;
    assert_eq!(unfit(&told), [false, true, false]);
    in_time(world.settle(answers(&messages.iter().collect::<Vec<_>>()))).await;
    let [sent, doubt] = [State::Submitted, State::Uncertain];
    assert_eq!(world.states(&messages).await, [sent, doubt, sent]);
    let receipts = ["X1", "X2", "A1"].map(|id| receipt(id, Some(SegmentState::Delivered)));
    let results = in_time(world.store.receipts(receipts.into())).await;
    let [parked, refused] = [ReceiptResult::Parked, ReceiptResult::Refused];
    assert_eq!(results.unwrap(), [parked, refused, ReceiptResult::Applied]);
    assert!(world.store.health().is_well());
    world.close().await;
    let dump = ground.dump().await;
    assert_eq!((dump["messages"].len(), dump["attempts"].len()), (5, 2));
}
