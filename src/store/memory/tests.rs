//! Lives here: the model by itself: transactions, faults, crashes, and the statements whose rules
//! are easily got wrong.
//! Never here: the store's contract (`store::tests`), which runs on the model too.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::{CommitFault, Disk, Faults, Memory, MemoryReader};
use crate::domain::class::Class;
use crate::domain::ids::{
    BindName, CarrierId, CarrierIndex, IntentId, MessageId, MessageSeq, OrgId, Place, ReceiptKey,
};
use crate::domain::lifecycle::SegmentState;
use crate::domain::message::{Encoding, Message, State};
use crate::domain::phone::{Msisdn, Sender};
use crate::domain::receipt::{Evidence, Receipt};
use crate::domain::time::Timestamp;
use crate::flow::{AttemptRecord, Parts, Ready, Reroute, Transition};
use crate::store::batch::Intent;
use crate::store::inbox::{Inbox, InboxPage, Keeping, Kept};
use crate::store::reads::Reads;
use crate::store::rows::{Move, Overdue, Rows, Unkept, first_of_day};
use crate::store::{Carriers, StoreError};

const ORG: OrgId = OrgId(Uuid::from_u128(7));
const ONE: CarrierIndex = CarrierIndex(0);
const TWO: CarrierIndex = CarrierIndex(1);

fn account(name: &str) -> CarrierId {
    CarrierId(name.into())
}

fn open(disk: &Disk, faults: &Faults) -> Result<(Memory, MemoryReader), StoreError> {
    let carriers = Carriers::new(vec![account("one"), account("two")]);
    disk.open(Arc::new(carriers), faults.clone())
}

/// A store with room for the first day, in a transaction.
async fn begun() -> (Memory, MemoryReader) {
    let (mut rows, reader) = open(&Disk::default(), &Faults::default()).unwrap();
    rows.prepare_day(0).await.unwrap();
    rows.begin().await.unwrap();
    (rows, reader)
}

fn message(seq: i64, class: Class, segments: u8) -> Arc<Message> {
    Arc::new(Message {
        seq: MessageSeq(seq),
        id: MessageId(Uuid::from_u128(seq.unsigned_abs().into())),
        org: ORG,
        class,
        to: Msisdn::from_digits("2348031234567").unwrap(),
        from: Sender::parse("MNARA").unwrap(),
        body: "hujambo".into(),
        encoding: Encoding::Gsm7,
        segments,
        carrier: ONE,
        webhook_url: None,
        metadata: None,
        tags: None,
        client_ref: None,
        live: true,
        cost: Default::default(),
        accepted_at: Timestamp(1_000 + seq),
        due_at: Timestamp(1_000),
        valid_until: Timestamp(50_000),
    })
}

fn plain(seq: i64) -> Arc<Message> {
    message(seq, Class::Transactional, 1)
}

fn attempt(message: &Arc<Message>, part: u8, state: SegmentState) -> AttemptRecord {
    AttemptRecord {
        message: Arc::clone(message),
        part,
        attempt: 1,
        carrier: account("one"),
        bind: BindName("one/1".into()),
        sequence: 9,
        submitted_at: Timestamp(2_000),
        answered_at: Timestamp(2_100),
        state,
        status: None,
        carrier_message_id: None,
    }
}

fn receipt(id: &str, stat: &str, received_at: i64) -> Receipt {
    Receipt {
        carrier: account("one"),
        key: ReceiptKey::new(&account("one"), id),
        normalised: id.into(),
        raw_id: id.into(),
        state: None,
        stat: stat.into(),
        err: "000".into(),
        failure: None,
        done_date: "2601010101".into(),
        done_at: None,
        evidence: Evidence::default(),
        received_at: Timestamp(received_at),
    }
}

fn moved(message: &Arc<Message>, to: State, at: i64) -> Move {
    Move::from(&Transition {
        message: Arc::clone(message),
        carrier: ONE,
        to,
        at: Timestamp(at),
        sent_at: None,
        failure: None,
        detail: Some("why".into()),
        possible_duplicate: false,
    })
}

async fn count(reader: &MemoryReader) -> u64 {
    let queue = reader.queue().await.unwrap();
    queue.iter().map(|row| row.messages).sum()
}

async fn state(rows: &mut Memory, seq: i64) -> State {
    rows.messages(&[MessageSeq(seq)]).await.unwrap()[0].state
}

#[tokio::test]
async fn readers_see_what_is_committed_and_nothing_else() {
    let (mut rows, reader) = begun().await;
    rows.insert_messages(&[plain(1)]).await.unwrap();
    assert_eq!(count(&reader).await, 0);
    rows.commit(1).await.unwrap();
    assert_eq!(count(&reader).await, 1);

    rows.begin().await.unwrap();
    rows.insert_messages(&[plain(2)]).await.unwrap();
    rows.make_moves(&[&moved(&plain(1), State::Failed, 5_000)])
        .await
        .unwrap();
    rows.rollback().await;
    rows.begin().await.unwrap();
    assert_eq!(state(&mut rows, 1).await, State::Queued);
    assert!(rows.messages(&[MessageSeq(2)]).await.unwrap().is_empty());
    assert_eq!(count(&reader).await, 1);
}

#[tokio::test]
async fn faults_happen_once_and_leave_nothing_behind() {
    let (disk, faults) = (Disk::default(), Faults::default());
    let (mut rows, _) = open(&disk, &faults).unwrap();
    rows.prepare_day(0).await.unwrap();
    let empty = disk.dump();

    faults.fail_begins(1);
    assert!(rows.begin().await.is_err());
    faults.fail_statement(2);
    rows.begin().await.unwrap();
    let before = faults.statements();
    rows.insert_messages(&[plain(1)]).await.unwrap();
    assert!(rows.mark(&[MessageSeq(1)]).await.is_err());
    assert_eq!(faults.statements() - before, 2);
    rows.rollback().await;
    assert!(faults.spent());

    faults.plan_commits([Some(CommitFault::Refused)]);
    rows.begin().await.unwrap();
    rows.insert_messages(&[plain(1)]).await.unwrap();
    assert!(matches!(rows.commit(1).await, Err(Unkept::Refused(_))));
    rows.rollback().await;
    faults.plan_commits([None, Some(CommitFault::Refused)]);
    rows.probe().await.unwrap();
    assert!(rows.probe().await.is_err());
    assert!(faults.spent());
    assert_eq!(disk.dump(), empty);
}

#[tokio::test]
async fn a_lost_answer_tells_the_truth_when_asked_again() {
    for (fault, kept) in [
        (CommitFault::LostBefore, false),
        (CommitFault::LostAfter, true),
    ] {
        let (disk, faults) = (Disk::default(), Faults::default());
        let (mut rows, reader) = open(&disk, &faults).unwrap();
        rows.prepare_day(0).await.unwrap();
        faults.plan_commits([Some(fault)]);
        faults.fail_questions(2);
        rows.begin().await.unwrap();
        rows.insert_messages(&[plain(1)]).await.unwrap();
        assert!(matches!(rows.commit(1).await, Err(Unkept::Unknown(_))));
        assert!(rows.was_kept(1).await.is_err());
        assert!(rows.was_kept(1).await.is_err());
        assert_eq!(rows.was_kept(1).await.unwrap(), kept);
        assert_eq!(count(&reader).await, u64::from(kept));
        rows.begin().await.unwrap();
        let found = rows.messages(&[MessageSeq(1)]).await.unwrap();
        assert_eq!(found.len(), usize::from(kept));
    }
}

#[tokio::test]
async fn a_database_that_goes_takes_the_open_transaction_with_it() {
    let (disk, faults) = (Disk::default(), Faults::default());
    let (mut rows, reader) = open(&disk, &faults).unwrap();
    rows.prepare_day(0).await.unwrap();
    rows.begin().await.unwrap();
    rows.insert_messages(&[plain(1)]).await.unwrap();
    faults.go();
    assert!(reader.queue().await.is_err());
    assert!(rows.mark(&[]).await.is_err());
    faults.come_back();
    assert!(rows.mark(&[]).await.is_err());
    assert!(matches!(rows.commit(1).await, Err(Unkept::Unknown(_))));
    assert!(!rows.was_kept(1).await.unwrap());
    faults.go();
    assert!(rows.begin().await.is_err());
    assert!(rows.probe().await.is_err());
    assert!(rows.was_kept(1).await.is_err());
    assert!(rows.prepare_day(1).await.is_err());
    faults.come_back();
    rows.begin().await.unwrap();
    rows.insert_messages(&[plain(1)]).await.unwrap();
    rows.commit(1).await.unwrap();
    assert_eq!(count(&reader).await, 1);
}

#[tokio::test]
async fn a_crash_keeps_what_is_committed_and_is_found_out() {
    let (disk, faults) = (Disk::default(), Faults::default());
    let (mut rows, _) = open(&disk, &faults).unwrap();
    assert!(matches!(
        open(&disk, &faults),
        Err(StoreError::InUse { .. })
    ));
    rows.prepare_day(0).await.unwrap();
    rows.begin().await.unwrap();
    rows.insert_messages(&[plain(4)]).await.unwrap();
    rows.commit(1).await.unwrap();
    rows.begin().await.unwrap();
    rows.insert_messages(&[plain(5)]).await.unwrap();
    drop(rows);

    let (mut rows, reader) = open(&disk, &faults).unwrap();
    rows.begin().await.unwrap();
    let house = rows.house().await.unwrap();
    assert_eq!(
        (house.last, house.orderly, house.commit),
        (Place(4), false, 1)
    );
    assert_eq!(count(&reader).await, 1);
    rows.commit(2).await.unwrap();
    rows.close(true).await.unwrap();

    for orderly in [true, false] {
        let (mut rows, _) = open(&disk, &faults).unwrap();
        rows.begin().await.unwrap();
        let house = rows.house().await.unwrap();
        assert_eq!(house.orderly, orderly);
        rows.commit(house.commit + 1).await.unwrap();
    }
}

#[tokio::test]
async fn a_message_needs_room_on_its_day() {
    let (mut rows, _) = begun().await;
    let seq = first_of_day(3).0;
    assert!(rows.insert_messages(&[plain(seq)]).await.is_err());
    rows.rollback().await;
    rows.prepare_day(3).await.unwrap();
    rows.begin().await.unwrap();
    rows.insert_messages(&[plain(seq)]).await.unwrap();
}

#[tokio::test]
async fn moves_are_made_from_where_they_may_start() {
    let (mut rows, _) = begun().await;
    let (one, two) = (plain(1), plain(2));
    rows.insert_messages(&[Arc::clone(&one), Arc::clone(&two)])
        .await
        .unwrap();
    let moves = [
        moved(&one, State::Submitted, 2_100),
        moved(&plain(3), State::Failed, 1),
    ];
    let made = rows.make_moves(&moves.each_ref()).await.unwrap();
    assert_eq!(made, [true, false]);
    // What a carrier has taken is not undone by an outcome, and its time stays.
    let undone = moved(&one, State::Failed, 2_200);
    assert_eq!(rows.make_moves(&[&undone]).await.unwrap(), [false]);
    let end = Move::by_receipt(one.seq, State::Delivered, Timestamp(3_000), None, None);
    assert_eq!(rows.make_moves(&[&end]).await.unwrap(), [true]);
    let stored = rows.messages(&[one.seq]).await.unwrap();
    assert_eq!(stored[0].state, State::Delivered);
    assert_eq!(stored[0].sent_at, Some(Timestamp(2_100)));
    let overdue = rows.overdue(Overdue::Unsent, Timestamp(50_001), 9).await;
    let overdue: Vec<_> = overdue.unwrap().iter().map(|one| one.message.seq).collect();
    assert_eq!(overdue, [two.seq]);
    assert!(
        rows.overdue(Overdue::Unsent, Timestamp(50_000), 9)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn only_what_is_in_doubt_is_answered_a_second_time() {
    let (mut rows, reader) = begun().await;
    let one = message(1, Class::Transactional, 2);
    rows.insert_messages(&[Arc::clone(&one)]).await.unwrap();
    let doubtful = attempt(&one, 1, SegmentState::InDoubt);
    let refused = attempt(&one, 2, SegmentState::Refused);
    rows.write_attempts(&[(&doubtful, None), (&refused, None)])
        .await
        .unwrap();
    let at = [(account("one"), one.to), (account("one"), one.to)];
    assert_eq!(rows.doubts(&at).await.unwrap().len(), 1);
    let key = ReceiptKey::new(&account("one"), "A");
    for part in [1, 2] {
        let late = AttemptRecord {
            carrier_message_id: Some(("a".into(), "A".into())),
            sequence: 77,
            ..attempt(&one, part, SegmentState::Submitted)
        };
        rows.write_attempts(&[(&late, Some(key))]).await.unwrap();
    }
    assert!(rows.doubts(&at).await.unwrap().is_empty());
    let found = rows.keyed(&[key, key], Timestamp(9_000)).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].id, (one.seq, 1, 1));
    rows.commit(1).await.unwrap();
    let dump = reader.disk.dump();
    let resolved: Vec<_> = dump["attempts"]
        .iter()
        .map(|row| (row[5].as_deref(), row[8].as_deref(), row[19].as_deref()))
        .collect();
    assert_eq!(
        resolved,
        [
            (Some("9"), Some("0"), Some("1")),
            (Some("9"), Some("6"), None)
        ]
    );
}

#[tokio::test]
async fn what_was_interrupted_is_in_doubt_where_no_carrier_has_it() {
    let (mut rows, reader) = begun().await;
    let one = message(1, Class::Transactional, 2);
    let otp = message(2, Class::Otp, 1);
    let done = plain(3);
    let all = [&one, &otp, &done].map(Arc::clone);
    rows.insert_messages(&all).await.unwrap();
    rows.write_attempts(&[
        (&attempt(&one, 1, SegmentState::Submitted), None),
        (&attempt(&one, 2, SegmentState::Refused), None),
    ])
    .await
    .unwrap();
    rows.make_moves(&[&moved(&done, State::Failed, 5_000)])
        .await
        .unwrap();
    let intent = |id, carrier: &str, batch: &[&Arc<Message>]| Intent {
        id: IntentId(id),
        carrier: account(carrier),
        bind: BindName("b".into()),
        at: Timestamp(id),
        batch: batch
            .iter()
            .map(|one| Ready::first(Arc::clone(one)))
            .collect(),
        to: tokio::sync::mpsc::channel(1).0,
    };
    let intents = [
        intent(2, "two", &[&otp, &one]),
        intent(1, "one", &[&done, &one]),
    ];
    rows.intend(&intents).await.unwrap();
    let interrupted = rows.interrupted().await.unwrap();
    let newest: Vec<_> = interrupted
        .iter()
        .map(|one| (one.message.0, &*one.carrier.0))
        .collect();
    assert_eq!(newest, [(1, "two"), (2, "two"), (3, "one")]);
    assert_eq!(rows.doubt(&interrupted).await.unwrap(), 2);
    assert!(rows.under_way().await.unwrap().is_empty());
    let standing = rows.standing(&[MessageSeq(2), MessageSeq(1)]).await;
    assert_eq!(
        standing.unwrap(),
        [
            ((one.seq, 1, 1), SegmentState::Submitted),
            ((one.seq, 2, 1), SegmentState::Refused),
            ((one.seq, 2, 2), SegmentState::InDoubt),
            ((otp.seq, 1, 1), SegmentState::InDoubt),
        ]
    );
    rows.commit(1).await.unwrap();
    let waiting = reader.in_doubt(MessageSeq(0), 9).await.unwrap();
    let told: Vec<_> = waiting
        .iter()
        .map(|one| {
            (
                one.possible_duplicate,
                one.parts,
                one.attempts,
                &one.tried[..],
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (false, Parts::one(2), 2, &[ONE, TWO][..]),
            (true, Parts::one(1), 1, &[TWO][..])
        ]
    );
}

#[tokio::test]
async fn a_reroute_takes_only_what_waits_at_the_account_it_names() {
    let (mut rows, reader) = begun().await;
    let all = [plain(1), plain(2), plain(3)];
    rows.insert_messages(&all).await.unwrap();
    rows.make_moves(&[&moved(&all[1], State::Uncertain, 5_000)])
        .await
        .unwrap();
    let reroute = |message: &Arc<Message>, carrier| Reroute {
        ready: Ready {
            carrier,
            possible_duplicate: true,
            ..Ready::first(Arc::clone(message))
        },
        to: TWO,
    };
    let reroutes = [
        reroute(&all[0], ONE),
        reroute(&all[1], ONE),
        reroute(&all[2], TWO),
    ];
    let placed: Vec<_> = reroutes.iter().zip((10..).map(Place)).collect();
    let come = rows.reroute(&placed).await.unwrap();
    assert_eq!(come.len(), 2);
    assert_eq!(come[&MessageSeq(1)], State::Queued);
    assert_eq!(come[&MessageSeq(2)], State::Uncertain);
    rows.commit(1).await.unwrap();
    let lane = (TWO, Class::Transactional);
    assert_eq!(reader.backlog(lane).await.unwrap(), [(ORG, Place(10))]);
    let marked = |view: Option<crate::store::MessageView>| view.unwrap().possible_duplicate;
    assert!(marked(reader.message(ORG, all[0].id).await.unwrap()));
    assert!(!marked(reader.message(ORG, all[1].id).await.unwrap()));
    let waiting = reader.waiting(lane, ORG, Place(9), 5).await.unwrap();
    assert_eq!(waiting.len(), 1);
    assert!(
        reader
            .waiting(lane, ORG, Place(10), 5)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn the_inbox_keeps_its_bounds() {
    let (mut rows, reader) = begun().await;
    let all: Vec<Receipt> = (0..6)
        .map(|n| receipt(&format!("id{n}"), "DELIVRD", 100 * n))
        .collect();
    rows.park(&all.iter().collect::<Vec<_>>()).await.unwrap();
    let keeping = Keeping {
        at: Timestamp(600),
        parked_ttl: Duration::from_millis(500),
        parked_max: 3,
        quarantine_ttl: Duration::from_secs(10),
        quarantine_max: 2,
    };
    // id0 is too old, id1 and id2 are too many; of these three the oldest is dropped.
    let kept = rows.keep_inbox(&keeping).await.unwrap();
    assert_eq!(
        kept,
        Kept {
            quarantined: 3,
            dropped: 1
        }
    );
    assert_eq!(rows.parked_keys().await.unwrap().len(), 3);
    // What is in quarantine is not taken; one that comes again is parked anew.
    let keys: Vec<_> = all.iter().map(|one| one.key).collect();
    let again = receipt("id2", "DELIVRD", 900);
    let other = receipt("id2", "UNDELIV", 50);
    rows.park(&[&again, &other]).await.unwrap();
    let home = rows.unpark(&keys).await.unwrap();
    let home: Vec<_> = home
        .iter()
        .map(|one| (&*one.normalised, one.received_at.0))
        .collect();
    assert_eq!(
        home,
        [
            ("id2", 50),
            ("id3", 300),
            ("id4", 400),
            ("id5", 500),
            ("id2", 900)
        ]
    );
    rows.commit(1).await.unwrap();
    let page = |inbox| InboxPage {
        inbox,
        carrier: None,
        since: Timestamp(0),
        offset: 0,
        limit: 9,
    };
    assert!(reader.inbox(&page(Inbox::Parked)).await.unwrap().is_empty());
    let rest = reader.inbox(&page(Inbox::Quarantine)).await.unwrap();
    assert_eq!(rest.len(), 1);
    assert_eq!(&*rest[0].raw_id, "id1");
    let span = |from, until| reader.unmatched(Timestamp(from), Timestamp(until));
    assert_eq!(span(100, 101).await.unwrap(), [(ONE, 1)]);
    assert!(span(0, 100).await.unwrap().is_empty());
    rows.begin().await.unwrap();
    assert_eq!(
        rows.discard(&account("one"), Timestamp(100)).await.unwrap(),
        0
    );
    assert_eq!(
        rows.discard(&account("one"), Timestamp(101)).await.unwrap(),
        1
    );
}

#[tokio::test]
#[should_panic(expected = "comes twice in one statement")]
async fn a_statement_that_must_not_see_a_row_twice_says_so() {
    let (mut rows, _) = begun().await;
    let one = moved(&plain(1), State::Failed, 1);
    let _ = rows.make_moves(&[&one, &one]).await;
}
