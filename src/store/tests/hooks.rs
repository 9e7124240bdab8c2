//! Lives here: the contract for webhook endpoints: who is told of what, what deliveries make of an
//! endpoint, their history, and what is asked for anew.
//! Never here: what an endpoint wants (`domain::endpoint`), HTTP.

use super::*;
use crate::domain::account::Organisation;
use crate::domain::credits::Credits;
use crate::domain::endpoint::tests::endpoint;
use crate::domain::endpoint::{Change, ENDPOINTS_MAX, Endpoint, Events, Reason};
use crate::domain::ids::{EndpointId, EventId};
use crate::domain::ledger::{Channel, Terms};
use crate::flow::{About, DeliveryRecord};
use crate::store::AuditEntry;
use crate::store::hooks::{
    DeliveryId, DeliveryPage, History, Made, Past, PastPage, Replay, Replayed, Rotated,
};
use crate::store::till::Purchase;
use crate::store::upkeep::{Tidied, Tidy};

on_each_store! {
    every_endpoint_that_wants_an_event_gets_one_of_its_own,
    who_has_no_endpoint_and_no_url_is_told_nothing,
    endpoints_outlast_a_restart_as_they_were_changed,
    an_organisation_has_so_many_endpoints_and_no_more,
    a_gone_endpoint_is_called_no_more_and_the_others_are_told,
    a_balance_that_comes_down_is_told_once_for_each_crossing,
    the_history_is_read_page_by_page_and_by_what_it_was,
    an_event_is_sent_anew_with_its_own_id_and_a_schedule_of_its_own,
    what_was_asked_for_anew_is_given_up_from_then_on,
    events_of_a_span_are_put_back_page_by_page,
    what_retention_deletes_soon_is_not_sent_anew,
    notices_go_with_the_messages_of_their_time,
}

const OTHER: OrgId = OrgId(Uuid::from_u128(8));

fn url_id(number: u128) -> EndpointId {
    EndpointId(Uuid::from_u128(number))
}

impl World {
    async fn with_endpoints(ground: &Ground, endpoints: Vec<Endpoint>) -> Self {
        let world = Self::open(ground).await;
        for (id, name) in [(ORG, "Duka"), (OTHER, "Soko")] {
            let org = Organisation {
                id,
                name: name.into(),
                country: "TZ".into(),
                senders: Vec::new(),
                webhook_secret: "whsec_x".to_owned().into(),
                created_at: Timestamp(1),
            };
            let created = world.store.create_org(org, Terms::Prepaid, None).await;
            assert!(created.unwrap());
        }
        for one in endpoints {
            let made = world.store.make_endpoint(one, None).await.unwrap();
            assert!(matches!(made, Made::Done(_)));
        }
        world
    }

    /// A message without an URL of its own, taken by its carrier.
    async fn send_quietly(&mut self, id: &str) -> Arc<Message> {
        let quiet = Message {
            webhook_url: None,
            ..message(1)
        };
        self.store.accept(quiet).await.unwrap();
        let mut committed = self.committed.recv().await.unwrap();
        let message = committed.messages.remove(0).message;
        self.submit(&message, &[id]).await;
        message
    }

    fn jobs(&mut self) -> Vec<EventJob> {
        let mut jobs: Vec<EventJob> = std::iter::from_fn(|| self.events.try_recv().ok()).collect();
        jobs.sort_by_key(|job| (job.seq(), job.sequence, job.target));
        jobs
    }

    async fn answered(&self, job: &EventJob, status: u16, retry_at: Option<Timestamp>) {
        let record = DeliveryRecord {
            job: job.clone(),
            at: Timestamp(4_000),
            latency_ms: 7,
            status: Some(status),
            error: None,
            response: Some(format!("it was {status}").into()),
            retry_at,
        };
        self.store.deliveries(vec![record]).await.unwrap();
    }

    async fn history(&self, page: DeliveryPage) -> Vec<(EventKind, u16, Option<u16>)> {
        let rows = self.store.delivery_page(&page).await.unwrap().rows;
        let row = |row: &Row| (row.kind, row.id.attempt, row.status);
        rows.iter().map(row).collect()
    }
}

type Row = crate::store::hooks::DeliveryRow;

fn all() -> DeliveryPage {
    DeliveryPage {
        org: ORG,
        live: true,
        after: None,
        delivered: None,
        kind: None,
        target: None,
        limit: 100,
        look: 100,
    }
}

fn audit(at: i64) -> AuditEntry {
    AuditEntry {
        at: Timestamp(at),
        actor: "tests".into(),
        action: "credits.buy".into(),
        subject: "x".into(),
        detail: "{}".into(),
        outcome: "done".into(),
    }
}

async fn every_endpoint_that_wants_an_event_gets_one_of_its_own(ground: Ground) {
    let delivered = Events::NONE.with(EventKind::Delivered);
    let test = Endpoint {
        live: false,
        ..endpoint(3, ORG, Events::ALL)
    };
    let endpoints = vec![
        endpoint(1, ORG, Events::ALL),
        endpoint(2, ORG, delivered),
        test,
        endpoint(4, OTHER, Events::ALL),
    ];
    let mut world = World::with_endpoints(&ground, endpoints).await;
    let message = world.accept(1).await;
    world.submit(&message, &["A1"]).await;
    world.receive("A1", Some(SegmentState::Delivered)).await;
    let jobs = world.jobs();
    let told: Vec<_> = jobs
        .iter()
        .map(|job| (job.kind, job.sequence, job.target))
        .collect();
    assert_eq!(
        told,
        [
            (EventKind::Sent, 1, None),
            (EventKind::Sent, 1, Some(url_id(1))),
            (EventKind::Delivered, 2, None),
            (EventKind::Delivered, 2, Some(url_id(1))),
            (EventKind::Delivered, 2, Some(url_id(2))),
        ]
    );
    let ids: HashSet<EventId> = jobs.iter().map(|job| job.event).collect();
    assert_eq!(ids.len(), 5);
    let due = world.store.claim_events(Timestamp(i64::MAX / 2), 100).await;
    assert_eq!(due.unwrap().len(), 5);
    world.close().await;
}

async fn who_has_no_endpoint_and_no_url_is_told_nothing(ground: Ground) {
    let mut world = World::with_endpoints(&ground, vec![endpoint(4, OTHER, Events::ALL)]).await;
    world.send_quietly("A1").await;
    world.receive("A1", Some(SegmentState::Delivered)).await;
    assert!(world.jobs().is_empty());
    world.close().await;
}

async fn endpoints_outlast_a_restart_as_they_were_changed(ground: Ground) {
    let world = World::with_endpoints(
        &ground,
        vec![endpoint(1, ORG, Events::ALL), endpoint(2, ORG, Events::ALL)],
    )
    .await;
    let store = &world.store;
    let change = Change {
        url: Some("https://example.com/other".into()),
        events: Some(Events::NONE.with(EventKind::CreditsLow)),
        enabled: Some(false),
        ..Change::default()
    };
    let changed = store.change_endpoint((ORG, url_id(1)), change.clone(), Timestamp(9), None);
    assert!(changed.await.unwrap().is_some());
    // Not another's.
    let foreign = store.change_endpoint((OTHER, url_id(1)), change, Timestamp(9), None);
    assert!(foreign.await.unwrap().is_none());
    let secret = "whsec_bmV3".to_owned();
    let rotate = async |org, secret: String, at, until| {
        let span = (Timestamp(at), Timestamp(until));
        let rotated = store.rotate_secret((org, url_id(1)), secret.into(), span, None);
        rotated.await.unwrap()
    };
    assert!(matches!(
        rotate(OTHER, secret.clone(), 9, 99).await,
        Rotated::Missing
    ));
    assert!(matches!(
        rotate(ORG, secret.clone(), 9, 99).await,
        Rotated::Done(_)
    ));
    let again = rotate(ORG, "whsec_b25l".to_owned(), 10, 200).await;
    assert!(
        matches!(again, Rotated::Overlap(Timestamp(99))),
        "{again:?}"
    );
    assert!(
        !store
            .remove_endpoint((OTHER, url_id(2)), None)
            .await
            .unwrap()
    );
    assert!(store.remove_endpoint((ORG, url_id(2)), None).await.unwrap());
    world.close().await;
    let world = World::open(&ground).await;
    let endpoints = Arc::clone(&world.store.endpoints());
    assert_eq!(endpoints.all().count(), 1);
    let one = endpoints.get(url_id(1)).unwrap();
    assert_eq!(&*one.url, "https://example.com/other");
    assert_eq!(one.events.names(), ["credits.low"]);
    assert_eq!(one.disabled, Some((Timestamp(9), Reason::Asked)));
    let secrets = one.secrets(Timestamp(98));
    assert_eq!(secrets.current, "whsec_bmV3");
    assert!(secrets.old.is_some());
    world.close().await;
}

async fn an_organisation_has_so_many_endpoints_and_no_more(ground: Ground) {
    let full = (1..=ENDPOINTS_MAX as u128).map(|id| endpoint(id, ORG, Events::ALL));
    let world = World::with_endpoints(&ground, full.collect()).await;
    let one_more = endpoint(1_000, ORG, Events::ALL);
    let made = world.store.make_endpoint(one_more, None).await.unwrap();
    assert!(matches!(made, Made::TooMany));
    world.close().await;
}

async fn a_gone_endpoint_is_called_no_more_and_the_others_are_told(ground: Ground) {
    let disabled = Events::NONE.with(EventKind::EndpointDisabled);
    let endpoints = vec![endpoint(1, ORG, Events::ALL), endpoint(2, ORG, disabled)];
    let mut world = World::with_endpoints(&ground, endpoints).await;
    world.send_quietly("A1").await;
    let sent = world.jobs().remove(0);
    world.answered(&sent, 410, None).await;
    let one = world.store.endpoints().get(url_id(1)).cloned().unwrap();
    assert_eq!(one.disabled, Some((Timestamp(4_000), Reason::Gone)));
    let told = world.jobs();
    assert_eq!(told.len(), 1);
    assert_eq!(
        (told[0].kind, told[0].target),
        (EventKind::EndpointDisabled, Some(url_id(2)))
    );
    let notice = told[0].notice().unwrap();
    assert!(notice.data.contains(&url_id(1).to_string()), "{notice:?}");
    world.receive("A1", Some(SegmentState::Delivered)).await;
    assert!(world.jobs().is_empty());
    // A notice is told like any other event, and its history stands beside theirs.
    world.answered(&told[0], 200, None).await;
    let page = world.history(all()).await;
    assert!(page.contains(&(EventKind::EndpointDisabled, 1, Some(200))));
    let far = Timestamp(i64::MAX / 2);
    assert!(world.store.claim_events(far, 10).await.unwrap().is_empty());
    world.close().await;
}

async fn a_balance_that_comes_down_is_told_once_for_each_crossing(ground: Ground) {
    let mut world = World::with_endpoints(&ground, vec![endpoint(1, ORG, Events::ALL)]).await;
    let purse = (ORG, Channel::Sms);
    let buy = async |amount: i64, at: i64| {
        let purchase = Purchase {
            purse,
            reference: at.to_string().into(),
            at: Timestamp(at),
            amount: Credits::whole(amount),
            note: "".into(),
        };
        world.store.buy(purchase, audit(at)).await.unwrap();
    };
    buy(3, 10).await;
    let set = world
        .store
        .set_threshold(purse, Credits::whole(1), audit(11));
    assert!(set.await.unwrap());
    for (amount, at) in [(-1, 20), (-1, 21), (-1, 22), (5, 23), (-4, 24)] {
        buy(amount, at).await;
    }
    let low = world.jobs();
    let told: Vec<_> = low
        .iter()
        .map(|job| (job.kind, job.at, job.notice().unwrap().data.clone()))
        .collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(
        (told[0].0, told[0].1),
        (EventKind::CreditsLow, Timestamp(21))
    );
    assert_eq!(told[1].1, Timestamp(24));
    assert!(told[0].2.contains("\"balance\":1,"), "{}", told[0].2);
    // They read back from the outbox as they were made.
    let due = world.store.claim_events(Timestamp(i64::MAX / 2), 10).await;
    let mut due = due.unwrap();
    due.sort_by_key(EventJob::seq);
    let read: Vec<_> = due.iter().map(|job| job.notice().unwrap()).collect();
    let made: Vec<_> = low.iter().map(|job| job.notice().unwrap()).collect();
    assert_eq!(read, made);
    world.close().await;
}

async fn the_history_is_read_page_by_page_and_by_what_it_was(ground: Ground) {
    let endpoints = vec![
        endpoint(1, ORG, Events::ALL),
        endpoint(4, OTHER, Events::ALL),
    ];
    let mut world = World::with_endpoints(&ground, endpoints).await;
    let message = world.send_quietly("A1").await;
    let sent = world.jobs().remove(0);
    world.answered(&sent, 500, Some(Timestamp(9_000))).await;
    let again = EventJob {
        attempts: 1,
        ..sent.clone()
    };
    world.answered(&again, 200, None).await;
    world.receive("A1", Some(SegmentState::Delivered)).await;
    let delivered = world.jobs().remove(0);
    world
        .answered(&delivered, 503, Some(Timestamp(9_000)))
        .await;
    let everything = [
        (EventKind::Delivered, 1, Some(503)),
        (EventKind::Sent, 2, Some(200)),
        (EventKind::Sent, 1, Some(500)),
    ];
    assert_eq!(world.history(all()).await, everything);
    let mut page = DeliveryPage { limit: 2, ..all() };
    let first = world.store.delivery_page(&page).await.unwrap();
    assert_eq!(first.rows[0].message, Some(message.id));
    assert_eq!(first.rows[0].target, Some(url_id(1)));
    assert_eq!(first.next, Some(first.rows[1].id));
    page.after = first.next;
    assert_eq!(world.history(page).await, everything[2..]);
    let end = world.store.delivery_page(&page).await.unwrap();
    assert_eq!(end.next, None);
    // One that fits little looks at no more than it may, and says where to go on.
    page = DeliveryPage {
        delivered: Some(true),
        look: 1,
        ..all()
    };
    let first = world.store.delivery_page(&page).await.unwrap();
    assert_eq!(
        (first.rows.len(), first.next.map(|id| id.event)),
        (0, Some(delivered.event))
    );
    page.after = first.next;
    let second = world.store.delivery_page(&page).await.unwrap();
    assert_eq!(
        (second.rows.len(), second.next.map(|id| id.attempt)),
        (1, Some(2))
    );
    page.after = second.next;
    let third = world.store.delivery_page(&page).await.unwrap();
    assert_eq!((third.rows.len(), third.next), (0, None));
    let of = async |page| world.history(page).await;
    let failed = DeliveryPage {
        delivered: Some(false),
        ..all()
    };
    assert_eq!(of(failed).await, [everything[0], everything[2]]);
    let kind = DeliveryPage {
        kind: Some(EventKind::Sent),
        delivered: Some(true),
        ..all()
    };
    assert_eq!(of(kind).await, [everything[1]]);
    let target = DeliveryPage {
        target: Some(url_id(2)),
        ..all()
    };
    assert_eq!(of(target).await, []);
    let foreign = DeliveryPage {
        org: OTHER,
        ..all()
    };
    assert_eq!(of(foreign).await, []);
    let test = DeliveryPage {
        live: false,
        ..all()
    };
    assert_eq!(of(test).await, []);
    let id = DeliveryId {
        event: sent.event,
        attempt: 2,
    };
    let one = world.store.delivery(ORG, id).await.unwrap().unwrap();
    assert_eq!(one.response.as_deref(), Some("it was 200"));
    assert_eq!((one.job.attempts, one.job.kind), (1, EventKind::Sent));
    let About::Message { message: read, .. } = &one.job.about else {
        panic!("it is about a message");
    };
    assert_eq!(read.id, message.id);
    assert!(world.store.delivery(OTHER, id).await.unwrap().is_none());
    world.close().await;
}

async fn an_event_is_sent_anew_with_its_own_id_and_a_schedule_of_its_own(ground: Ground) {
    let mut world = World::with_endpoints(&ground, vec![endpoint(1, ORG, Events::ALL)]).await;
    let _ = world.send_quietly("A1").await;
    let sent = world.jobs().remove(0);
    let last = EventJob {
        attempts: 9,
        ..sent.clone()
    };
    world.answered(&last, 500, None).await;
    let now = Timestamp(50_000);
    let one = Replay::Event(sent.event);
    let replay = async |whose, replay| {
        let done = world.store.replay_events(whose, replay, now, None).await;
        done.unwrap().events
    };
    assert_eq!(replay((OTHER, true), one).await, 0);
    assert_eq!(replay((ORG, false), one).await, 0);
    assert_eq!(replay((ORG, true), one).await, 1);
    let due = world.store.claim_events(now, 10).await.unwrap().remove(0);
    assert_eq!((due.event, due.sequence), (sent.event, sent.sequence));
    assert_eq!((due.attempts, due.attempts_before), (10, 10));
    world.answered(&due, 200, None).await;
    let span = |since, until, failed_only| Replay::Span {
        endpoint: url_id(1),
        since: Timestamp(since),
        until: Timestamp(until),
        failed_only,
        after: None,
    };
    assert_eq!(replay((ORG, true), span(0, 2_000, false)).await, 0);
    assert_eq!(replay((ORG, true), span(0, 9_000, true)).await, 0);
    assert_eq!(replay((ORG, true), span(0, 9_000, false)).await, 1);
    let due = world.store.claim_events(now, 10).await.unwrap();
    assert_eq!(due[0].attempts_before, 11);
    world.close().await;
}

async fn what_was_asked_for_anew_is_given_up_from_then_on(ground: Ground) {
    let mut world = World::with_endpoints(&ground, vec![endpoint(1, ORG, Events::ALL)]).await;
    let _ = world.send_quietly("A1").await;
    let sent = world.jobs().remove(0);
    world.answered(&sent, 500, None).await;
    let replay = Replay::Event(sent.event);
    let now = Timestamp(50_000);
    let asked = world.store.replay_events((ORG, true), replay, now, None);
    assert_eq!(asked.await.unwrap().events, 1);
    assert_eq!(world.store.give_up_events(now, 10).await.unwrap(), 0);
    assert_eq!(world.store.claim_events(now, 10).await.unwrap().len(), 1);
    // Asked for again while it waits: that does not begin its time anew.
    let later = Timestamp(60_000);
    let asked = world.store.replay_events((ORG, true), replay, later, None);
    assert_eq!(asked.await.unwrap().events, 1);
    assert_eq!(world.store.give_up_events(now, 10).await.unwrap(), 0);
    assert_eq!(world.store.give_up_events(later, 10).await.unwrap(), 1);
    assert!(
        world
            .store
            .claim_events(later, 10)
            .await
            .unwrap()
            .is_empty()
    );
    world.close().await;
}

/// Events of an endpoint's three messages, by id; each has been tried twice, and taken the second time
/// but for the last.
async fn told_of_three(world: &mut World) -> Vec<EventJob> {
    for id in ["A1", "A2", "A3"] {
        world.send_quietly(id).await;
    }
    let mut sent = world.jobs();
    sent.sort_by_key(|job| job.event);
    for (place, job) in sent.iter().enumerate() {
        world.answered(job, 500, Some(Timestamp(9_000))).await;
        let again = EventJob {
            attempts: 1,
            ..job.clone()
        };
        let status = if place == 2 { 500 } else { 200 };
        world.answered(&again, status, None).await;
    }
    sent
}

async fn events_of_a_span_are_put_back_page_by_page(ground: Ground) {
    let mut world = World::with_endpoints(&ground, vec![endpoint(1, ORG, Events::ALL)]).await;
    let sent = told_of_three(&mut world).await;
    let ids: Vec<EventId> = sent.iter().map(|job| job.event).collect();
    let mut past = Past {
        org: ORG,
        live: true,
        target: Some(url_id(1)),
        after: EventId(Uuid::nil()),
        upto: EventId(Uuid::max()),
        failed_only: false,
        kept_from: MessageSeq(0),
        look: 3,
    };
    let reader = &world.store.inner.reader;
    let events =
        |page: &PastPage| -> Vec<EventId> { page.events.iter().map(|one| one.1).collect() };
    // Three attempts are looked at: the second event is one of two, and is looked at as a whole.
    let first = reader.past(&past).await.unwrap();
    assert_eq!(
        (events(&first), first.next),
        (ids[..2].to_vec(), Some(ids[1]))
    );
    past.after = ids[1];
    let last = reader.past(&past).await.unwrap();
    assert_eq!((events(&last), last.next), (ids[2..].to_vec(), None));
    past.after = EventId(Uuid::nil());
    past.failed_only = true;
    let none = reader.past(&past).await.unwrap();
    assert_eq!((events(&none), none.next), (vec![], Some(ids[1])));
    past.look = 100;
    let failed = reader.past(&past).await.unwrap();
    assert_eq!((events(&failed), failed.next), (ids[2..].to_vec(), None));
    past.upto = ids[1];
    assert_eq!(reader.past(&past).await.unwrap(), PastPage::default());

    let now = Timestamp(50_000);
    let rest = Replay::Span {
        endpoint: url_id(1),
        since: Timestamp(0),
        until: Timestamp(9_000),
        failed_only: false,
        after: Some(ids[0]),
    };
    let done = world.store.replay_events((ORG, true), rest, now, None);
    let expected = Replayed {
        events: 2,
        next: None,
    };
    assert_eq!(done.await.unwrap(), expected);
    let due = world.store.claim_events(now, 10).await.unwrap();
    let due: HashSet<EventId> = due.iter().map(|job| job.event).collect();
    assert_eq!(due, HashSet::from([ids[1], ids[2]]));
    world.close().await;
}

async fn what_retention_deletes_soon_is_not_sent_anew(ground: Ground) {
    let mut world = World::with_endpoints(&ground, vec![endpoint(1, ORG, Events::ALL)]).await;
    let sent = told_of_three(&mut world).await;
    let past = |kept_from| Past {
        org: ORG,
        live: true,
        target: None,
        after: EventId(Uuid::nil()),
        upto: EventId(Uuid::max()),
        failed_only: false,
        kept_from,
        look: 100,
    };
    let second = sent.iter().map(EventJob::seq).max().unwrap();
    let reader = &world.store.inner.reader;
    let page = reader.past(&past(second)).await.unwrap();
    assert!(page.events.iter().all(|one| one.0 == second), "{page:?}");
    assert_eq!(page.events.len(), 1);
    world.close().await;
}

async fn notices_go_with_the_messages_of_their_time(ground: Ground) {
    let endpoints = vec![endpoint(1, ORG, Events::ALL), endpoint(2, ORG, Events::ALL)];
    let mut world = World::with_endpoints(&ground, endpoints).await;
    let first = world.send_quietly("A1").await;
    let jobs = world.jobs();
    world.answered(&jobs[0], 410, None).await;
    world.answered(&jobs[1], 200, None).await;
    let notice = world.jobs().remove(0);
    assert_eq!(notice.kind, EventKind::EndpointDisabled);
    world.answered(&notice, 200, None).await;
    let second = world.send_quietly("A2").await;
    for message in [&first, &second] {
        let id = if message.seq == first.seq { "A1" } else { "A2" };
        world.receive(id, Some(SegmentState::Delivered)).await;
    }
    assert_eq!(world.history(all()).await.len(), 3);
    let both = vec![
        (first.seq, State::Delivered),
        (second.seq, State::Delivered),
    ];
    let gone = world.store.tidy(Tidy::Delete(both)).await.unwrap();
    assert_eq!(gone, Tidied::Messages(2));
    assert_eq!(world.history(all()).await, []);
    world.close().await;
}
