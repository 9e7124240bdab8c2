//! Lives here: the sandbox between lanes and a real store: what it answers, what it leaves alone.
//! Never here: the timetable (`domain::sandbox`), the daemon around it (`tests/scenarios/sandbox.rs`).

use tokio::sync::Notify;

use super::*;
use crate::carrier::bind::tests::message;
use crate::domain::phone::Msisdn;
use crate::flow::{Committed, EventJob, signs};
use crate::store::{self, Store};

const LIMIT: Duration = Duration::from_secs(30);

struct House {
    store: Store,
    lanes: Arc<Lanes>,
    committed: mpsc::Receiver<Committed>,
    _events: mpsc::Receiver<EventJob>,
    outcomes: mpsc::Receiver<Vec<Outcome>>,
    receipts: mpsc::Receiver<ReceiptArrived>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
    _folder: tempfile::TempDir,
}

impl House {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = store::Config {
            url: format!("sqlite:{}/mnara.db", folder.path().display()),
            ..store::Config::default()
        };
        let (committed_to, committed) = mpsc::channel(16);
        let (events_to, events) = mpsc::channel(16);
        let opened = store::open(&config, Vec::new(), committed_to, events_to)
            .await
            .unwrap();
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        let (writer, written) = (opened.writer, stop.clone());
        tasks.spawn(async move { writer.run(written).await.unwrap() });
        let (outcomes_to, outcomes) = mpsc::channel(16);
        let (receipts_to, receipts) = mpsc::channel(16);
        let links = Links {
            store: opened.store.clone(),
            outcomes: outcomes_to,
            receipts: receipts_to,
            signs: signs::channel().0,
            now,
        };
        let lanes = Arc::new(Lanes::new(LANE, LANE, 1, Arc::new(Notify::new())));
        let own = (CarrierIndex(0), Arc::clone(&lanes));
        start(&mut tasks, own, links, stop.clone());
        Self {
            store: opened.store,
            lanes,
            committed,
            _events: events,
            outcomes,
            receipts,
            stop,
            tasks,
            _folder: folder,
        }
    }

    /// Accepts a message that was due three seconds ago, and puts it in the lane.
    async fn offer(&mut self, to: &str, live: bool) -> Arc<Message> {
        let due_at = now() - Duration::from_secs(3);
        let message = Message {
            id: crate::domain::ids::MessageId(uuid::Uuid::now_v7()),
            to: Msisdn::from_digits(to).unwrap(),
            live,
            accepted_at: due_at,
            due_at,
            ..message("a test", 2)
        };
        self.store.accept(message).await.unwrap();
        let committed = self.committed.recv().await.unwrap();
        let message = Arc::clone(&committed.messages[0].message);
        self.lanes
            .offer(Ready::first(Arc::clone(&message)))
            .unwrap();
        self.lanes.wake();
        message
    }

    async fn outcomes(&mut self) -> Vec<Outcome> {
        let come = tokio::time::timeout(LIMIT, self.outcomes.recv()).await;
        come.unwrap().unwrap()
    }

    async fn close(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

fn now() -> Timestamp {
    std::time::SystemTime::now().into()
}

#[tokio::test]
async fn each_part_is_answered_and_gets_its_receipt_again_until_it_is_kept() {
    let mut house = House::open().await;
    let message = house.offer("255750000002", false).await;
    let outcomes = house.outcomes().await;
    let accepted: Vec<_> = outcomes
        .iter()
        .map(|outcome| match &outcome.answer {
            Answer::Accepted { raw_id, .. } => (outcome.part, raw_id.clone()),
            other => panic!("{other:?}"),
        })
        .collect();
    let ids = [1, 2].map(|part| (part, carrier_id(message.seq, part)));
    assert_eq!(accepted, ids);
    for kept in [false, true] {
        for (_, id) in &ids {
            let come = tokio::time::timeout(LIMIT, house.receipts.recv()).await;
            let ReceiptArrived { receipt, ack } = come.unwrap().unwrap();
            assert_eq!((&receipt.raw_id, &*receipt.stat), (id, "UNDELIV"));
            let answer = Answered::Receipt {
                session: ack.session,
                sequence: ack.sequence,
                pdu: ack.pdu,
                kept: kept || *id != ids[0].1,
            };
            ack.to.send(answer).await.unwrap();
        }
    }
    house.close().await;
}

#[tokio::test]
async fn a_live_message_is_handed_on() {
    let mut house = House::open().await;
    house.offer("255750000001", true).await;
    let outcomes = house.outcomes().await;
    assert_eq!(outcomes.len(), 2);
    for outcome in &outcomes {
        let handed_on = matches!(
            outcome.answer,
            Answer::Refused {
                verdict: Verdict::OtherRoute(_),
                ..
            }
        );
        assert!(handed_on, "{:?}", outcome.answer);
    }
    house.close().await;
}

#[tokio::test]
async fn what_waits_no_more_is_left_alone() {
    let mut house = House::open().await;
    let gone = house.offer("255750000001", false).await;
    let cancelled = Settlement {
        transitions: vec![Transition {
            message: Arc::clone(&gone),
            carrier: CarrierIndex(0),
            to: State::Cancelled,
            at: now(),
            sent_at: None,
            failure: Some(FailureCode::Canceled),
            detail: None,
            possible_duplicate: false,
        }],
        ..Settlement::default()
    };
    // It may have been answered before it was cancelled.
    house.store.settle(cancelled).await.unwrap();
    let late = Ready::first(Arc::clone(&gone));
    house.lanes.offer(late).unwrap();
    let other = house.offer("255750000003", false).await;
    loop {
        let outcomes = house.outcomes().await;
        if outcomes
            .iter()
            .any(|one| one.ready.message.seq == other.seq)
        {
            assert_eq!(outcomes.len(), 2, "{outcomes:?}");
            break;
        }
    }
    house.close().await;
}

#[test]
fn who_has_more_under_way_than_is_his_leaves_room_for_others() {
    let of = |org: u128| {
        let message = Message {
            org: OrgId(uuid::Uuid::from_u128(org)),
            ..message("a test", 1)
        };
        Step::End(Arc::new(message), Timestamp(0))
    };
    let (now, later) = (Timestamp(1_000), Timestamp(61_000));
    let mut steps = Timetable::default();
    let mut at_once = 0;
    for _ in 0..3 * HELD_MAX {
        assert!(steps.len() < HELD_MAX, "the lanes would be left alone");
        steps.put_in_turn(later, now, of(1));
        at_once += usize::from(steps.take(now).is_some());
    }
    assert_eq!((steps.len(), at_once), (SHARE, 3 * HELD_MAX - SHARE));
    steps.put_in_turn(later, now, of(2));
    assert!(steps.take(now).is_none(), "the other's has its time");
    for _ in 0..=SHARE {
        assert!(steps.take(later).is_some());
    }
    assert!(steps.of.is_empty() && steps.next().is_none());
    steps.put_in_turn(later, now, of(1));
    assert!(steps.take(now).is_none(), "there is room again");
}
