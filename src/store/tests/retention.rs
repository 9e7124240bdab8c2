//! Lives here: the contract for what goes with time, and for what is erased.
//! Never here: the world it runs in (`tests`), what is due when (`housekeeping::plan`).

use std::cell::Cell;
use std::rc::Rc;

use sqlx::Connection;

use super::*;
use crate::domain::event::EventKind;
use crate::domain::ids::EventId;
use crate::domain::ledger::Terms;
use crate::flow::{About, DeliveryRecord};
use crate::store::erasure::{Erased, Erasure, Reached};
use crate::store::housekeeping::{Keeper, Retention};
use crate::store::memory::{CommitFault, Faults};
use crate::store::upkeep::{Dropped, Held, Page, Span, Survey, Tidied, Tidy, Wanted};

on_each_store! {
    a_day_goes_with_everything_of_its_messages,
    what_has_not_ended_stays_and_its_day_goes_when_it_has,
    what_its_owner_has_not_been_told_of_stays,
    a_late_word_between_look_and_deletion_keeps_its_message,
    what_is_still_said_of_a_day_that_has_gone_stops_nobody,
    texts_go_before_their_messages_and_of_what_was_open_later,
    a_clock_that_leaps_takes_nothing_with_it,
    days_and_pages_are_told_in_order,
    a_number_is_erased_from_all_that_has_ended,
    a_dry_run_erases_nothing,
    receipts_about_an_erased_number_go_too,
}

const DAY_MS: i64 = 86_400_000;

/// A message accepted on a day since 1970.
fn on(day: i64) -> Message {
    let accepted_at = Timestamp(day * DAY_MS + 1_000);
    Message {
        webhook_url: None,
        accepted_at,
        due_at: accepted_at,
        valid_until: accepted_at + Duration::from_secs(600),
        ..message(1)
    }
}

fn number() -> Msisdn {
    message(1).to
}

/// Keeps house at times that the test sets.
struct House {
    now: Rc<Cell<Timestamp>>,
    keeper: Keeper<Box<dyn Fn() -> Timestamp>>,
}

impl House {
    fn of(world: &World, messages_days: u32, bodies_days: u32) -> Self {
        Self::by(world, (messages_days, bodies_days), None)
    }

    fn by(world: &World, (messages_days, bodies_days): (u32, u32), leap: Option<u32>) -> Self {
        let now = Rc::new(Cell::new(Timestamp(0)));
        let clock = Rc::clone(&now);
        let config = Retention {
            messages_days: Some(messages_days),
            bodies_days: Some(bodies_days),
            clock_leap_days_max: leap,
        };
        let clock: Box<dyn Fn() -> Timestamp> = Box::new(move || clock.get());
        let stop = CancellationToken::new();
        Self {
            now,
            keeper: Keeper::new(config, world.store.clone(), clock, stop),
        }
    }

    /// Does what is due so many days and hours after 1970; says whether all of it is done.
    async fn tend(&mut self, day: i64, hour: i64) -> bool {
        self.now.set(Timestamp(day * DAY_MS + hour * 3_600_000));
        self.keeper.tend().await.unwrap()
    }
}

impl World {
    async fn keep_message(&mut self, message: Message) -> Arc<Message> {
        self.store.accept(message).await.unwrap();
        self.committed.recv().await.unwrap().messages[0]
            .message
            .clone()
    }

    /// Accepts, submits and delivers a message.
    async fn through(&mut self, message: Message, id: &str) -> Arc<Message> {
        let message = self.keep_message(message).await;
        self.submit(&message, &[id]).await;
        self.deliver(&message, id).await;
        message
    }

    async fn deliver(&self, message: &Message, id: &str) {
        let delivered = Receipt {
            received_at: message.accepted_at + Duration::from_secs(60),
            ..receipt(id, Some(SegmentState::Delivered))
        };
        let done = self.store.receipts(vec![delivered]).await.unwrap();
        assert_eq!(done, [ReceiptResult::Applied]);
    }

    async fn view(&self, message: &Message) -> Option<MessageView> {
        self.store.message(ORG, message.id).await.unwrap()
    }

    async fn is_kept(&self, message: &Message) -> bool {
        self.view(message).await.is_some()
    }

    async fn body(&self, message: &Message) -> String {
        self.view(message).await.unwrap().message.body.into()
    }

    async fn erase(&self, entry: Option<AuditEntry>) -> Erased {
        let erasure = Erasure {
            number: number(),
            countries: vec!["KE".into(), "TZ".into()],
            after: Reached::START,
            span: Duration::from_secs(60),
            entry,
        };
        self.store.erase(erasure).await.unwrap()
    }
}

async fn a_day_goes_with_everything_of_its_messages(ground: Ground) {
    let mut world = World::open(&ground).await;
    let old = world.through(on(10), "A1").await;
    let next = world.through(on(11), "A2").await;
    let mut house = House::of(&world, 90, 90);
    house.tend(100, 23).await;
    assert!(world.is_kept(&old).await);
    house.tend(101, 0).await;
    assert!(!world.is_kept(&old).await && world.is_kept(&next).await);
    assert!(world.store.timeline(old.seq).await.unwrap().is_empty());
    assert_eq!(world.store.timeline(next.seq).await.unwrap().len(), 2);
    // A carrier's word about what is gone finds nothing, and harms nothing.
    let late = world.receive("A1", Some(SegmentState::Undelivered)).await;
    assert_eq!(late, ReceiptResult::Parked);
    house.tend(102, 0).await;
    assert!(!world.is_kept(&next).await);
    assert_eq!(
        world.store.inner.reader.held(10).await.unwrap(),
        Held::default()
    );
    world.close().await;
}

async fn what_has_not_ended_stays_and_its_day_goes_when_it_has(ground: Ground) {
    let mut world = World::open(&ground).await;
    let ended = world.through(on(10), "A1").await;
    let open = world.keep_message(on(10)).await;
    let other = world.through(on(11), "A2").await;
    let mut house = House::of(&world, 90, 90);
    house.tend(103, 0).await;
    assert!(!world.is_kept(&ended).await && !world.is_kept(&other).await);
    assert!(world.is_kept(&open).await);
    world.submit(&open, &["A3"]).await;
    world.deliver(&open, "A3").await;
    house.tend(103, 0).await;
    assert!(
        world.is_kept(&open).await,
        "the day is looked at every hour"
    );
    house.tend(103, 1).await;
    assert!(!world.is_kept(&open).await);
    world.close().await;
}

async fn what_is_still_said_of_a_day_that_has_gone_stops_nobody(ground: Ground) {
    let mut world = World::open(&ground).await;
    let gone = world.through(on(10), "A1").await;
    let mut house = House::of(&world, 90, 90);
    house.tend(101, 0).await;
    assert!(!world.is_kept(&gone).await);
    let delivered = DeliveryRecord {
        job: of(gone.clone()),
        at: Timestamp(101 * DAY_MS),
        latency_ms: 3,
        status: Some(200),
        error: None,
        response: None,
        retry_at: None,
    };
    let said = async {
        // A late answer to its first attempt, and a second worker's word on its event.
        world.submit(&gone, &["A2"]).await;
        world.store.deliveries(vec![delivered]).await.unwrap();
        // Nothing of it is kept: nobody would ever look for it, or delete it.
        assert!(world.store.timeline(gone.seq).await.unwrap().is_empty());
        let days = world.store.inner.reader.days().await.unwrap();
        assert!(!days.contains(&10), "{days:?}");
        let word = world.receive("A2", Some(SegmentState::Delivered)).await;
        assert_eq!(word, ReceiptResult::Parked);
        // The clock has been put right.
        world.store.accept(on(10)).await.unwrap();
    };
    let done = tokio::time::timeout(Duration::from_secs(10), said).await;
    done.expect("the writer goes on");
    assert!(!world.is_kept(&gone).await);
    world.close().await;
}

async fn what_its_owner_has_not_been_told_of_stays(ground: Ground) {
    let mut world = World::open(&ground).await;
    let url = Some("http://127.0.0.1:1/".into());
    let told = Message {
        webhook_url: url,
        ..on(10)
    };
    let waits = world.keep_message(told).await;
    let quiet = world.through(on(10), "A1").await;
    let mut ended = moved(&waits, State::Failed);
    ended.at = Timestamp(100 * DAY_MS);
    world
        .settle(Settlement {
            attempts: Vec::new(),
            transitions: vec![ended],
            closed_intents: Vec::new(),
            reroutes: Vec::new(),
        })
        .await;
    let event = world.events.recv().await.unwrap();
    let mut house = House::of(&world, 90, 90);
    house.tend(103, 0).await;
    assert!(!world.is_kept(&quiet).await && world.is_kept(&waits).await);
    let delivered = DeliveryRecord {
        job: event,
        at: Timestamp(103 * DAY_MS),
        latency_ms: 1,
        status: Some(200),
        error: None,
        response: None,
        retry_at: None,
    };
    world.store.deliveries(vec![delivered]).await.unwrap();
    house.tend(103, 1).await;
    assert!(!world.is_kept(&waits).await);
    assert!(world.store.timeline(waits.seq).await.unwrap().is_empty());
    world.close().await;
}

/// A message on a day whose owner has been told of all that has become of it: sent, and then
/// nothing more from its carrier.
async fn silent(world: &mut World, id: &str) -> Arc<Message> {
    let message = Message {
        webhook_url: Some("http://127.0.0.1:1/".into()),
        ..on(10)
    };
    let message = world.keep_message(message).await;
    world.submit(&message, &[id]).await;
    world
        .settle(Settlement {
            transitions: vec![moved(&message, State::Unknown)],
            ..Settlement::default()
        })
        .await;
    for _ in 0..2 {
        let event = world.events.recv().await.unwrap();
        let told = told(&event);
        world.store.deliveries(vec![told]).await.unwrap();
    }
    message
}

fn told(event: &EventJob) -> DeliveryRecord {
    DeliveryRecord {
        job: event.clone(),
        at: event.at,
        latency_ms: 1,
        status: Some(200),
        error: None,
        response: None,
        retry_at: None,
    }
}

/// An event of a delivered message that nobody has been told of.
fn of(message: Arc<Message>) -> EventJob {
    EventJob {
        event: EventId(Uuid::now_v7()),
        target: None,
        kind: EventKind::Delivered,
        sequence: 2,
        about: About::Message {
            message,
            sent_at: None,
            state: State::Delivered,
            failure: None,
        },
        at: Timestamp(0),
        attempts: 0,
        attempts_before: 0,
    }
}

async fn a_late_word_between_look_and_deletion_keeps_its_message(ground: Ground) {
    let mut world = World::open(&ground).await;
    let quiet = silent(&mut world, "A1").await;
    let spoken_of = silent(&mut world, "A2").await;
    let day = Span {
        after: MessageSeq(0),
        before: MessageSeq(i64::MAX),
    };
    let reader = &world.store.inner.reader;
    assert_eq!(reader.held(10).await.unwrap(), Held::default());
    let page = reader.page(day, Wanted::Ended, 10).await.unwrap();
    assert_eq!(page.found.len(), 2);
    let late = world.receive("A2", Some(SegmentState::Delivered)).await;
    assert_eq!(late, ReceiptResult::Applied);

    let whole = world.store.tidy(Tidy::DropDay(10)).await.unwrap();
    assert!(matches!(
        whole,
        Tidied::Day(Dropped::Held | Dropped::ByRows)
    ));
    assert!(world.is_kept(&quiet).await && world.is_kept(&spoken_of).await);
    let each = world.store.tidy(Tidy::Delete(page.found)).await.unwrap();
    assert_eq!(each, Tidied::Messages(1));
    assert!(!world.is_kept(&quiet).await && world.is_kept(&spoken_of).await);

    // Who was to deliver the event is gone.
    world.close().await;
    let world = World::open(&ground).await;
    let now = Timestamp(101 * DAY_MS);
    let due = world.store.claim_events(now, 10).await.unwrap();
    assert_eq!(due.len(), 1);
    assert_eq!(
        (due[0].seq(), due[0].kind),
        (spoken_of.seq, EventKind::Delivered)
    );
    let mut house = House::of(&world, 90, 90);
    house.tend(101, 0).await;
    assert!(world.is_kept(&spoken_of).await);
    world.store.deliveries(vec![told(&due[0])]).await.unwrap();
    house.tend(101, 1).await;
    assert!(!world.is_kept(&spoken_of).await);
    world.close().await;
}

async fn texts_go_before_their_messages_and_of_what_was_open_later(ground: Ground) {
    let mut world = World::open(&ground).await;
    let ended = world.through(on(10), "A1").await;
    let open = world.keep_message(on(10)).await;
    let next = world.through(on(11), "A2").await;
    let young = world.through(on(12), "A3").await;
    let mut house = House::of(&world, 90, 30);
    house.tend(42, 0).await;
    assert_eq!(world.body(&ended).await, "");
    assert_eq!(world.body(&next).await, "");
    assert_eq!(world.body(&open).await, "hujambo");
    assert_eq!(world.body(&young).await, "hujambo");
    let marks = world.store.inner.reader.marks().await.unwrap();
    let (looked, done) = (12, 0);
    assert_eq!((marks.looked, marks.done), (looked, done));
    let view = world.view(&ended).await.unwrap();
    assert_eq!((view.message.to, view.message.segments), (number(), 1));
    assert!(view.message.metadata.is_some());
    world.submit(&open, &["A4"]).await;
    world.deliver(&open, "A4").await;
    // The next run knows how far this one has come.
    world.close().await;
    let world = World::open(&ground).await;
    let mut house = House::of(&world, 90, 30);
    house.tend(42, 1).await;
    assert_eq!(world.body(&open).await, "");
    assert_eq!(world.body(&young).await, "hujambo");
    let marks = world.store.inner.reader.marks().await.unwrap();
    let (looked, done) = (12, 12);
    assert_eq!((marks.looked, marks.done), (looked, done));
    world.close().await;
}

async fn a_clock_that_leaps_takes_nothing_with_it(ground: Ground) {
    let mut world = World::open(&ground).await;
    let old = world.through(on(10), "A1").await;
    let young = world.through(on(30), "A2").await;
    let house = |world: &World| House::by(world, (20, 10), Some(3));
    house(&world).tend(31, 0).await;
    assert!(!world.is_kept(&old).await && world.body(&young).await == "hujambo");
    // It is set years ahead; traffic goes on by it, and the next runs find it so.
    let mut keeper = house(&world);
    assert!(!keeper.tend(5_000, 0).await);
    world.through(on(5_000), "A3").await;
    keeper.tend(5_000, 1).await;
    world.close().await;
    let world = World::open(&ground).await;
    let mut keeper = house(&world);
    keeper.tend(5_000, 2).await;
    keeper.tend(5_001, 0).await;
    assert_eq!(world.body(&young).await, "hujambo");
    // It is right again.
    keeper.tend(32, 0).await;
    assert_eq!(world.body(&young).await, "hujambo");
    assert_eq!(world.store.inner.reader.marks().await.unwrap().seen, 32);
    for day in [35, 38, 41] {
        keeper.tend(day, 0).await;
    }
    assert_eq!(world.body(&young).await, "");
    keeper.tend(60, 0).await;
    assert!(world.is_kept(&young).await);
    // Who has been away so long may say that it is.
    House::of(&world, 20, 10).tend(60, 0).await;
    assert!(!world.is_kept(&young).await);
    world.close().await;
}

async fn days_and_pages_are_told_in_order(ground: Ground) {
    let mut world = World::open(&ground).await;
    let mut seqs = Vec::new();
    for (day, id) in [(10, "A1"), (10, "A2"), (11, "A3"), (14, "A4")] {
        seqs.push((world.through(on(day), id).await.seq, State::Delivered));
    }
    let open = world.keep_message(on(14)).await;
    let reader = &world.store.inner.reader;
    let days = reader.days().await.unwrap();
    let used = [10, 11, 14];
    // Rows kept by days have some without messages too.
    assert!(days.is_sorted() && used.iter().all(|day| days.contains(day)));
    let span = |after: i64| Span {
        after: MessageSeq(after),
        before: MessageSeq(i64::MAX),
    };
    let page = reader.page(span(0), Wanted::Texts, 3).await.unwrap();
    let (found, upto) = (seqs[..3].to_vec(), Some(seqs[2].0));
    assert_eq!(page, Page { found, upto });
    let rest = reader.page(span(seqs[2].0.0), Wanted::Texts, 3).await;
    let (found, upto) = (vec![seqs[3]], None);
    assert_eq!(rest.unwrap(), Page { found, upto });
    let ended = reader.page(span(0), Wanted::Ended, 10).await.unwrap();
    assert_eq!(ended.found, seqs);
    let all = reader.page(span(0), Wanted::To(number()), 10).await;
    assert_eq!(all.unwrap().found.last(), Some(&(open.seq, State::Queued)));
    assert_eq!(reader.held(10).await.unwrap(), Held::default());
    assert!(reader.held(14).await.unwrap().open);
    assert_eq!(reader.held(20).await.unwrap(), Held::default());
    world.close().await;
}

async fn a_number_is_erased_from_all_that_has_ended(ground: Ground) {
    let mut world = World::open(&ground).await;
    let ended = world.through(on(10), "A1").await;
    let other = Message {
        to: Msisdn::from_digits("2348039999999").unwrap(),
        ..on(10)
    };
    let other = world.through(other, "A2").await;
    let told = Message {
        webhook_url: Some("http://127.0.0.1:1/".into()),
        ..on(11)
    };
    let untold = world.through(told, "A3").await;
    let open = world.keep_message(on(12)).await;

    let first = world.erase(Some(erasing::entry(number()))).await;
    let expected = Erased {
        messages: 1,
        receipts: 0,
        recipients: 0,
        answers: 0,
        open: 1,
        untold: 1,
        days: [10].into(),
        next: None,
    };
    assert_eq!(first, expected);
    let view = world.view(&ended).await.unwrap();
    let message = &view.message;
    assert!(message.to.is_erased() && message.body.is_empty());
    assert!(message.metadata.is_none() && view.detail.is_none());
    // What is for billing and statistics stays.
    assert_eq!((view.state, message.segments), (State::Delivered, 1));
    assert_eq!(world.store.timeline(ended.seq).await.unwrap().len(), 2);
    for whole in [&other, &untold, &open] {
        let view = world.view(whole).await.unwrap();
        assert_eq!(
            (view.message.to, &*view.message.body),
            (whole.to, "hujambo")
        );
    }
    let lines = world.store.audit(10).await.unwrap();
    assert_eq!(lines.len(), 1);
    assert_eq!(
        &*lines[0].outcome,
        "messages erased: 1, left as they are: 2; receipts deleted: 0; recipients of jobs and \
         campaigns erased: 0; answers emptied: 0"
    );

    world.submit(&open, &["A4"]).await;
    world.deliver(&open, "A4").await;
    let again = world.erase(Some(erasing::entry(number()))).await;
    assert_eq!((again.messages, again.open, again.untold), (1, 0, 1));
    // A late word about an erased message changes its story, and nothing else.
    assert_eq!(
        world.receive("A1", Some(SegmentState::Undelivered)).await,
        ReceiptResult::Conflict
    );
    assert!(world.view(&ended).await.unwrap().message.to.is_erased());
    world.close().await;
}

async fn a_dry_run_erases_nothing(ground: Ground) {
    let mut world = World::open(&ground).await;
    let ended = world.through(on(10), "A1").await;
    assert_eq!(world.erase(None).await.messages, 1);
    assert_eq!(world.body(&ended).await, "hujambo");
    assert!(world.store.audit(10).await.unwrap().is_empty());
    world.close().await;
}

async fn receipts_about_an_erased_number_go_too(ground: Ground) {
    let world = World::open(&ground).await;
    for (id, to) in [("A1", "2348031234567"), ("A2", "2348039999999")] {
        let mut receipt = receipt(id, Some(SegmentState::Delivered));
        receipt.evidence.recipient = Some(Msisdn::from_digits(to).unwrap());
        world.store.receipts(vec![receipt]).await.unwrap();
    }
    assert_eq!(world.erase(None).await.receipts, 1);
    assert_eq!(
        world.erase(Some(erasing::entry(number()))).await.receipts,
        1
    );
    assert_eq!(
        world.erase(Some(erasing::entry(number()))).await.receipts,
        0
    );
    let other = Msisdn::from_digits("2348039999999").unwrap();
    assert_eq!(world.store.inner.reader.about(other).await.unwrap(), 1);
    world.close().await;
}

/// A day is dropped under a lock for which readers must be through.
#[tokio::test]
async fn a_reader_in_the_way_puts_a_drop_off_and_holds_up_nothing_else() {
    let ground = Ground::postgres().await;
    let mut world = World::with_credits(&ground, Terms::Postpaid, 0).await;
    let old = world.through(on(10), "A1").await;
    let Ground::Postgres(database) = &ground else {
        unreachable!("this ground is PostgreSQL");
    };
    let mut reader = sqlx::PgConnection::connect(&database.url()).await.unwrap();
    for sql in ["begin", "select count(*) from messages"] {
        sqlx::query(sql).execute(&mut reader).await.unwrap();
    }
    let job = world.job_over(old.accepted_at).await;
    let mut house = House::of(&world, 90, 90);
    // An alarm that goes by what was done last must hear of it.
    assert!(!house.tend(101, 0).await);
    assert!(world.is_kept(&old).await);
    // Jobs go by their own time.
    assert!(world.store.job(None, job).await.unwrap().is_none());
    assert!(world.store.health().is_well());
    world.through(on(101), "A2").await;
    sqlx::query("rollback").execute(&mut reader).await.unwrap();
    assert!(house.tend(101, 0).await);
    assert!(!world.is_kept(&old).await);
    assert!(!world.store.inner.reader.days().await.unwrap().contains(&10));
    world.close().await;
}

#[tokio::test]
async fn what_of_it_fails_keeps_nothing_else_from_being_committed() {
    let ground = Ground::memory().await;
    let faults = ground.faults();
    let mut world = World::open(&ground).await;
    let old = world.through(on(10), "A1").await;
    let mut house = House::of(&world, 90, 90);
    // Else the day's first look would write that.
    House::of(&world, 100, 100).tend(101, 0).await;
    let before = faults.statements();
    House::of(&world, 100, 100).tend(101, 0).await;
    let jobs = faults.statements() - before;
    // Behind what is asked about jobs, in two commits: being asked to drop the day whole; its rows;
    // and the commit's answer.
    for fail in [
        |faults: &Faults, jobs| faults.fail_statement(jobs + 1),
        |faults: &Faults, jobs| faults.fail_statement(jobs + 2),
        |faults: &Faults, _| faults.plan_commits([None, None, Some(CommitFault::Refused)]),
        |faults: &Faults, _| faults.plan_commits([None, None, Some(CommitFault::LostBefore)]),
    ] {
        fail(&faults, jobs);
        assert!(!house.tend(101, 0).await);
        assert!(world.is_kept(&old).await);
        world.keep_message(on(101)).await;
    }
    faults.plan_commits([None, None, Some(CommitFault::LostAfter)]);
    house.tend(101, 0).await;
    assert!(!world.is_kept(&old).await);
    world.keep_message(on(101)).await;
    world.close().await;
}
