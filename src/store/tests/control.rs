//! Lives here: what operators change of what waits: sweeps, cancels, resends, against everything
//! that may be under way; the audit in the same commit.
//! Never here: anything but tests.

use super::*;
use crate::domain::ids::BindName;
use crate::flow::{Answered, Ready};
use crate::store::control::{AuditEntry, Bookmark, Obstacle, Sweep, SweepAudit, Swept, Tally};

on_each_store! {
    a_purge_ends_what_waits_with_its_events_and_leaves_what_may_be_with_a_carrier,
    what_a_bind_pulled_before_the_recall_is_turned_back_at_its_intent,
    a_sweep_goes_through_a_lane_in_rounds_and_keeps_to_its_filters,
    moved_messages_stand_at_the_end_of_the_other_lane_in_their_order,
    a_message_is_cancelled_unless_it_may_be_with_a_carrier,
    an_otp_of_a_run_that_crashed_is_not_taken_back,
    a_message_in_doubt_is_resent_only_if_it_is_not_by_itself,
    holds_and_the_audit_outlast_the_run,
    a_test_message_is_cancelled_and_never_moved,
}

const OTHER: OrgId = OrgId(Uuid::from_u128(8));

impl World {
    async fn put(&mut self, change: impl FnOnce(&mut Message)) -> Arc<Message> {
        let mut message = message(1);
        change(&mut message);
        let scheduled = message.due_at > message.accepted_at;
        let id = message.id;
        self.store.accept(message).await.unwrap();
        if !scheduled {
            self.committed.recv().await.unwrap();
        }
        Arc::new(self.store.message_of(id).await)
    }

    async fn intend(&self, batch: &[&Arc<Message>], at: Timestamp) -> (usize, usize, IntentId) {
        let (to, mut answered) = mpsc::channel(1);
        let batch = batch
            .iter()
            .map(|one| Ready::first(Arc::clone(one)))
            .collect();
        let bind = (carrier(), BindName("mtn_ng/1".into()));
        self.store.intend(bind, at, batch, to).unwrap();
        match answered.recv().await.unwrap() {
            Answered::Intent {
                batch,
                turned_back,
                intent,
            } => (batch.len(), turned_back.len(), intent),
            Answered::Receipt { .. } => panic!("an intent was asked for"),
        }
    }

    async fn sweep(&self, change: impl FnOnce(&mut Sweep)) -> Swept {
        let mut sweep = sweep();
        change(&mut sweep);
        self.store.sweep(sweep).await.unwrap()
    }

    async fn cancel(&self, message: &Message, otp: bool) -> Result<(), Obstacle> {
        let cancelled = self.store.cancel(message.id, otp, "typo".into(), entry());
        cancelled.await.unwrap()
    }

    async fn resend(&self, message: &Message) -> Result<(), Obstacle> {
        self.store.resend(message.id, entry()).await.unwrap()
    }

    async fn put_in_doubt(&self, message: &Arc<Message>, possible_duplicate: bool) {
        let transitions = vec![Transition {
            possible_duplicate,
            ..moved(message, State::Uncertain)
        }];
        self.settle(Settlement {
            attempts: vec![attempt(message, 1, SegmentState::InDoubt, None)],
            transitions,
            ..Settlement::default()
        })
        .await;
    }

    async fn outcomes(&self) -> Vec<Box<str>> {
        let lines = self.store.audit(100).await.unwrap();
        lines.into_iter().map(|line| line.outcome).collect()
    }
}

impl Store {
    async fn message_of(&self, id: MessageId) -> Message {
        self.any_message(id).await.unwrap().unwrap().0.message
    }
}

fn entry() -> AuditEntry {
    AuditEntry {
        at: Timestamp(3_000),
        actor: "amina (admin token)".into(),
        action: "queue.purge".into(),
        subject: "mtn_ng".into(),
        detail: "{}".into(),
        outcome: "done".into(),
    }
}

fn sweep() -> Sweep {
    Sweep {
        carrier: "mtn_ng".into(),
        class: Class::Transactional,
        org: None,
        accepted_before: None,
        after: None,
        to: None,
        at: Timestamp(3_000),
        detail: "purged".into(),
        last: true,
        audit: SweepAudit {
            entry: entry(),
            row: None,
            before: (0, 0),
        },
    }
}

async fn a_purge_ends_what_waits_with_its_events_and_leaves_what_may_be_with_a_carrier(
    ground: Ground,
) {
    let mut world = World::open(&ground).await;
    let waiting = world.put(|_| {}).await;
    let scheduled = world.put(|one| one.due_at = Timestamp(9_000)).await;
    let promotional = world.put(|one| one.class = Class::Promotional).await;
    let intended = world.put(|_| {}).await;
    let (taken, _, intent) = world.intend(&[&intended], Timestamp(2_000)).await;
    assert_eq!(taken, 1);
    // One segment of two is with the carrier, the other is to be tried again.
    let half = world.put(|one| one.segments = 2).await;
    world
        .settle(Settlement {
            attempts: vec![super::taken(&half, 1, "a1")],
            ..Settlement::default()
        })
        .await;
    let refused = world.put(|_| {}).await;
    world
        .settle(Settlement {
            attempts: vec![attempt(&refused, 1, SegmentState::Refused, None)],
            ..Settlement::default()
        })
        .await;

    let swept = world.sweep(|_| {}).await;
    assert_eq!((swept.changed, swept.spared, swept.next), (2, 2, None));
    for purged in [&waiting, &refused] {
        assert_eq!(world.state(purged).await, State::Cancelled);
    }
    for kept in [&intended, &half, &promotional] {
        assert_eq!(world.state(kept).await, State::Queued);
    }
    assert_eq!(world.state(&scheduled).await, State::Scheduled);
    let canceled = (EventKind::Canceled, 2);
    assert_eq!(world.events(), [canceled, canceled]);
    let view = world.store.message(ORG, waiting.id).await.unwrap().unwrap();
    assert_eq!(
        view.failure,
        Some(crate::domain::message::FailureCode::Canceled)
    );
    assert_eq!(world.outcomes().await, ["2 changed, 2 left alone".into()]);

    // Its intent comes to its end: then nothing keeps it.
    world
        .settle(Settlement {
            closed_intents: vec![intent],
            ..Settlement::default()
        })
        .await;
    assert_eq!(world.sweep(|_| {}).await.changed, 1);
    assert_eq!(world.state(&intended).await, State::Cancelled);
    world.close().await;
}

async fn what_a_bind_pulled_before_the_recall_is_turned_back_at_its_intent(ground: Ground) {
    let mut world = World::open(&ground).await;
    let purged = world.put(|_| {}).await;
    let moved = world.put(|one| one.class = Class::Promotional).await;
    let other = world.put(|one| one.class = Class::Otp).await;
    world.sweep(|_| {}).await;
    let elsewhere = |sweep: &mut Sweep| {
        sweep.class = Class::Promotional;
        sweep.to = Some(CarrierId("elsewhere".into()));
    };
    assert_eq!(world.sweep(elsewhere).await.changed, 1);
    let batch = [&purged, &moved, &other];
    let (taken, turned_back, _) = world.intend(&batch, Timestamp(3_100)).await;
    assert_eq!((taken, turned_back), (1, 2));
    // After five minutes nothing that old is about any more, and the look is saved.
    let (taken, turned_back, _) = world.intend(&[&purged], Timestamp(303_000)).await;
    assert_eq!((taken, turned_back), (1, 0));
    world.close().await;
}

async fn a_sweep_goes_through_a_lane_in_rounds_and_keeps_to_its_filters(ground: Ground) {
    let mut world = World::open(&ground).await;
    for index in 0..600 {
        let org = if index % 3 == 0 { OTHER } else { ORG };
        world
            .put(|one| {
                one.org = org;
                one.accepted_at = Timestamp(1_000 + index);
                one.due_at = one.accepted_at;
            })
            .await;
    }
    let before = Some(Timestamp(1_300));
    let mut total = 0;
    let mut next = None;
    let mut row = None;
    for round in 0.. {
        let swept = world
            .sweep(|sweep| {
                sweep.org = Some(ORG);
                sweep.accepted_before = before;
                sweep.after = next;
                sweep.audit.row = row;
                sweep.audit.before = (total, 0);
            })
            .await;
        total += swept.changed;
        row = Some(swept.audit);
        next = swept.next;
        if next.is_none() {
            assert_eq!(round, 1, "400 rows are two rounds");
            break;
        }
        assert!(matches!(next, Some(Bookmark(org, _)) if org == ORG));
    }
    assert_eq!(total, 200, "two of three of the first 300");
    assert_eq!(world.outcomes().await, ["200 changed, 0 left alone".into()]);
    let tallies = world.store.tallies().await.unwrap();
    let waiting = |org: OrgId| -> Vec<(u64, Timestamp)> {
        let of = tallies.iter().filter(|tally: &&Tally| tally.org == org);
        of.map(|tally| (tally.messages, tally.oldest)).collect()
    };
    assert_eq!(waiting(OTHER), [(200, Timestamp(1_000))]);
    assert_eq!(waiting(ORG), [(200, Timestamp(1_301))]);
    world.close().await;
}

async fn moved_messages_stand_at_the_end_of_the_other_lane_in_their_order(ground: Ground) {
    let mut world = World::open(&ground).await;
    let first = world.put(|_| {}).await;
    let second = world.put(|_| {}).await;
    let to = Some(CarrierId("elsewhere".into()));
    let swept = world.sweep(|sweep| sweep.to = to.clone()).await;
    assert_eq!((swept.changed, swept.spared), (2, 0));
    for (message, ahead) in [(&first, 0), (&second, 1)] {
        let (view, lane) = world.store.any_message(message.id).await.unwrap().unwrap();
        assert_eq!((view.state, &*lane), (State::Queued, "elsewhere"));
        assert_eq!(world.store.ahead_of(message.id).await.unwrap(), ahead);
    }
    assert_eq!(
        world.events(),
        [],
        "nobody is told: it only waits elsewhere"
    );
    // The account is configured no more: what waits for it can be swept all the same.
    let swept = world
        .sweep(|sweep| sweep.carrier = "elsewhere".into())
        .await;
    assert_eq!(swept.changed, 2);
    world.close().await;
}

async fn a_message_is_cancelled_unless_it_may_be_with_a_carrier(ground: Ground) {
    let mut world = World::open(&ground).await;
    let scheduled = world.put(|one| one.due_at = Timestamp(9_000)).await;
    let queued = world.put(|_| {}).await;
    let intended = world.put(|_| {}).await;
    world.intend(&[&intended], Timestamp(2_000)).await;
    let doubtful = world.put(|_| {}).await;
    world.put_in_doubt(&doubtful, false).await;
    let otp = world.put(|one| one.class = Class::Otp).await;
    assert_eq!(world.cancel(&scheduled, false).await, Ok(()));
    assert_eq!(world.cancel(&queued, false).await, Ok(()));
    assert_eq!(
        world.cancel(&intended, false).await,
        Err(Obstacle::UnderWay)
    );
    let standing = |state| Err(Obstacle::Standing(state));
    assert_eq!(
        world.cancel(&doubtful, false).await,
        standing(State::Uncertain)
    );
    assert_eq!(world.cancel(&otp, false).await, Err(Obstacle::Otp));
    assert_eq!(world.cancel(&otp, true).await, Ok(()));
    assert_eq!(
        world.cancel(&queued, false).await,
        standing(State::Cancelled)
    );
    let nobody = message(1);
    assert_eq!(world.cancel(&nobody, false).await, Err(Obstacle::Missing));
    let canceled = (EventKind::Canceled, 2);
    assert_eq!(world.events(), [canceled; 3]);
    let outcomes = world.outcomes().await;
    let done = outcomes.iter().filter(|outcome| &***outcome == "done");
    assert_eq!((outcomes.len(), done.count()), (8, 3), "{outcomes:?}");
    // Its time comes and finds it cancelled.
    assert_eq!(
        world
            .store
            .release_due(Timestamp(10_000), 10)
            .await
            .unwrap(),
        0
    );
    world.close().await;
}

async fn an_otp_of_a_run_that_crashed_is_not_taken_back(ground: Ground) {
    let mut world = World::open(&ground).await;
    let otp = world.put(|one| one.class = Class::Otp).await;
    world.writer.abort();
    let _ = (&mut world.writer).await;
    drop(world);
    let mut world = World::open(&ground).await;
    let fresh = world.put(|one| one.class = Class::Otp).await;
    assert_eq!(world.cancel(&otp, true).await, Err(Obstacle::Otp));
    let swept = world.sweep(|sweep| sweep.class = Class::Otp).await;
    assert_eq!((swept.changed, swept.spared), (1, 1));
    assert_eq!(world.state(&fresh).await, State::Cancelled);
    world.close().await;
}

async fn a_message_in_doubt_is_resent_only_if_it_is_not_by_itself(ground: Ground) {
    let mut world = World::open(&ground).await;
    let held = world.put(|one| one.class = Class::Promotional).await;
    let waits = world.put(|_| {}).await;
    let resent = world.put(|_| {}).await;
    let old = world
        .put(|one| {
            one.class = Class::Promotional;
            one.valid_until = Timestamp(2_000);
        })
        .await;
    let (_, _, intent) = world.intend(&[&held], Timestamp(1_500)).await;
    for (message, marked) in [
        (&held, false),
        (&waits, false),
        (&resent, true),
        (&old, false),
    ] {
        world.put_in_doubt(message, marked).await;
    }
    assert_eq!(world.resend(&held).await, Err(Obstacle::UnderWay));
    world
        .settle(Settlement {
            closed_intents: vec![intent],
            ..Settlement::default()
        })
        .await;
    assert_eq!(world.resend(&held).await, Ok(()));
    assert_eq!(world.resend(&waits).await, Err(Obstacle::ResentByItself));
    assert_eq!(world.resend(&resent).await, Ok(()));
    assert_eq!(world.resend(&old).await, Err(Obstacle::Overdue));
    let again = world.resend(&held).await;
    assert_eq!(
        again,
        Err(Obstacle::Standing(State::Queued)),
        "once for each command"
    );
    let view = world.store.message(ORG, held.id).await.unwrap().unwrap();
    assert!(view.possible_duplicate && view.state == State::Queued);
    assert_eq!(world.store.ahead_of(held.id).await.unwrap(), 0);
    // What was perhaps sent before is not taken back.
    assert_eq!(world.cancel(&held, false).await, Err(Obstacle::Attempted));
    // The carrier's late yes, and the resend's intent after it.
    world.submit(&held, &["late"]).await;
    let resend = Ready {
        possible_duplicate: true,
        ..Ready::first(Arc::clone(&held))
    };
    let (to, mut answered) = mpsc::channel(1);
    let bind = (carrier(), BindName("mtn_ng/1".into()));
    world
        .store
        .intend(bind, Timestamp(3_200), vec![resend], to)
        .unwrap();
    let Some(Answered::Intent { turned_back, .. }) = answered.recv().await else {
        panic!("an intent was asked for")
    };
    assert_eq!(turned_back.len(), 1);
    world.close().await;
}

async fn holds_and_the_audit_outlast_the_run(ground: Ground) {
    let world = World::open(&ground).await;
    let hold = |hold, until| HoldRow {
        carrier: carrier(),
        hold,
        reason: "works".into(),
        actor: "amina".into(),
        at: Timestamp(5),
        until,
    };
    use crate::flow::health::Hold;
    world
        .store
        .hold(hold(Hold::Paused, None), entry())
        .await
        .unwrap();
    let draining = hold(Hold::Draining, Some(Timestamp(9)));
    world.store.hold(draining.clone(), entry()).await.unwrap();
    world.store.note(entry()).await.unwrap();
    world.close().await;
    let world = World::open(&ground).await;
    assert_eq!(world.store.holds().await.unwrap(), [draining]);
    assert_eq!(world.store.audit(2).await.unwrap(), [entry(), entry()]);
    world.store.free(carrier(), entry()).await.unwrap();
    assert_eq!(world.store.holds().await.unwrap(), []);
    assert_eq!(world.store.audit(100).await.unwrap().len(), 4);
    world.close().await;
}

async fn a_test_message_is_cancelled_and_never_moved(ground: Ground) {
    let mut world = World::open(&ground).await;
    let (live, test) = (
        world.put(|_| {}).await,
        world.put(|one| one.live = false).await,
    );
    let to = Some(CarrierId("other".into()));
    let moving = Sweep { to, ..sweep() };
    let swept = world.store.sweep(moving).await.unwrap();
    assert_eq!((swept.changed, swept.spared), (1, 1));
    let stands = async |message: &Message| {
        let found = world.store.any_message(message.id).await.unwrap();
        found.unwrap().1
    };
    assert_eq!(&*stands(&live).await, "other");
    assert_eq!(&*stands(&test).await, "mtn_ng");
    let purged = world.store.sweep(sweep()).await.unwrap();
    assert_eq!(purged.changed, 1);
    assert_eq!(world.state(&test).await, State::Cancelled);
    world.close().await;
}
