//! Lives here: what organisations ask of their own messages: taken back, put off, listed; against
//! whatever is under way.
//! Never here: anything but tests.

use super::*;
use crate::domain::account::Organisation;
use crate::domain::credits::Credits;
use crate::domain::ids::{BindName, Place};
use crate::domain::ledger::{Channel, Terms};
use crate::flow::{Answered, Ready};
use crate::store::control::Obstacle;

on_each_store! {
    a_scheduled_message_is_taken_back_once_by_its_owner_only,
    what_is_held_for_a_message_that_is_taken_back_is_given_back,
    a_queued_message_that_was_taken_back_is_turned_back_at_its_intent,
    what_a_bind_may_have_is_not_taken_back,
    a_message_is_taken_back_or_released_but_never_sent_after,
    a_scheduled_message_is_put_off_and_on,
    lists_show_an_organisations_own_newest_first_in_pages,
    lists_keep_to_their_filters,
    a_list_looks_at_so_many_and_says_where_to_go_on,
}

const OTHER: OrgId = OrgId(Uuid::from_u128(8));
const NOW: Timestamp = Timestamp(3_000);
const LATER: Timestamp = Timestamp(9_000);

impl World {
    /// Accepts a message; it is not waited for in its lane.
    async fn put_down(&mut self, change: impl FnOnce(&mut Message)) -> Arc<Message> {
        let mut message = message(1);
        change(&mut message);
        let (org, id, scheduled) = (
            message.org,
            message.id,
            message.due_at > message.accepted_at,
        );
        self.store.accept(message).await.unwrap();
        if !scheduled {
            self.committed.recv().await.unwrap();
        }
        let found = self.store.message(org, id).await.unwrap();
        Arc::new(found.unwrap().message)
    }

    async fn scheduled(&mut self) -> Arc<Message> {
        self.put_down(|one| one.due_at = LATER).await
    }

    async fn take_back(&self, message: &Message) -> Result<(), Obstacle> {
        let done = self.store.take_back(ORG, message.id, NOW);
        done.await.unwrap()
    }

    /// Hands a message to a bind; whether it may send it.
    async fn hand(&self, message: &Arc<Message>) -> bool {
        let (to, mut answered) = mpsc::channel(1);
        let bind = (carrier(), BindName("mtn_ng/1".into()));
        let batch = vec![Ready::first(Arc::clone(message))];
        self.store.intend(bind, NOW, batch, to).unwrap();
        let Some(Answered::Intent { batch, .. }) = answered.recv().await else {
            panic!("an intent was asked for");
        };
        !batch.is_empty()
    }

    async fn listed(&self, change: impl FnOnce(&mut Listing)) -> (Vec<MessageId>, Listed) {
        let mut listing = Listing::of(Some(ORG), 10);
        change(&mut listing);
        let page = self.store.list(&listing).await.unwrap();
        let ids = page.messages.iter().map(|one| one.message.id).collect();
        (ids, page)
    }
}

async fn a_scheduled_message_is_taken_back_once_by_its_owner_only(ground: Ground) {
    let mut world = World::open(&ground).await;
    let message = world.scheduled().await;
    let strange = world.store.take_back(OTHER, message.id, NOW).await;
    assert_eq!(strange.unwrap(), Err(Obstacle::Missing));
    let strange = world.store.reschedule(OTHER, message.id, LATER).await;
    assert_eq!(strange.unwrap(), Err(Obstacle::Missing));
    assert_eq!(world.take_back(&message).await, Ok(()));
    let again = world.take_back(&message).await;
    assert_eq!(again, Err(Obstacle::Standing(State::Cancelled)));
    assert_eq!(world.state(&message).await, State::Cancelled);
    assert_eq!(world.events(), [(EventKind::Canceled, 2)]);
    assert_eq!(world.store.release_due(LATER, 10).await.unwrap(), 0);
    world.close().await;
}

async fn what_is_held_for_a_message_that_is_taken_back_is_given_back(ground: Ground) {
    let mut world = World::open(&ground).await;
    let org = Organisation {
        id: ORG,
        name: "Duka".into(),
        country: "TZ".into(),
        senders: Vec::new(),
        webhook_secret: "whsec_x".to_owned().into(),
        created_at: Timestamp(1),
    };
    let created = world.store.create_org(org, Terms::Postpaid, None).await;
    assert!(created.unwrap());
    let message = world
        .put_down(|one| {
            one.due_at = LATER;
            one.cost = Credits::whole(3);
        })
        .await;
    let reserved = async |world: &World| {
        let purses = world.store.purses_of(ORG).await.unwrap();
        let sms = purses.iter().find(|(channel, _)| *channel == Channel::Sms);
        sms.map(|(_, purse)| purse.reserved)
    };
    assert_eq!(reserved(&world).await, Some(Credits::whole(3)));
    assert_eq!(world.take_back(&message).await, Ok(()));
    assert_eq!(reserved(&world).await, Some(Credits::ZERO));
    assert!(world.take_back(&message).await.is_err());
    for check in world.store.check_purses(Some(ORG)).await.unwrap() {
        assert_eq!((check.differences(), check.open.count), (Vec::new(), 0));
    }
    world.close().await;
}

async fn a_queued_message_that_was_taken_back_is_turned_back_at_its_intent(ground: Ground) {
    let mut world = World::open(&ground).await;
    let (kept, gone) = (
        world.put_down(|_| {}).await,
        world.put_down(|one| one.class = Class::Promotional).await,
    );
    assert_eq!(world.take_back(&gone).await, Ok(()));
    // However long it stands in its lane's memory.
    let (to, mut answered) = mpsc::channel(1);
    let bind = (carrier(), BindName("mtn_ng/1".into()));
    let batch = [&kept, &gone].map(|one| Ready::first(Arc::clone(one)));
    let late = Timestamp(gone.valid_until.0 - 1);
    world.store.intend(bind, late, batch.into(), to).unwrap();
    let Some(Answered::Intent {
        batch, turned_back, ..
    }) = answered.recv().await
    else {
        panic!("an intent was asked for");
    };
    let seqs = |batch: &[Ready]| -> Vec<_> { batch.iter().map(|one| one.message.seq).collect() };
    assert_eq!(seqs(&batch), [kept.seq]);
    assert_eq!(seqs(&turned_back), [gone.seq]);
    world.close().await;
}

async fn what_a_bind_may_have_is_not_taken_back(ground: Ground) {
    let mut world = World::open(&ground).await;
    let otp = world.put_down(|one| one.class = Class::Otp).await;
    assert_eq!(world.take_back(&otp).await, Err(Obstacle::Otp));
    let handed = world.put_down(|_| {}).await;
    assert!(world.hand(&handed).await);
    assert_eq!(world.take_back(&handed).await, Err(Obstacle::UnderWay));
    let sent = world.put_down(|_| {}).await;
    world.submit(&sent, &["A1"]).await;
    let standing = Err(Obstacle::Standing(State::Submitted));
    assert_eq!(world.take_back(&sent).await, standing);
    let put_off = world.store.reschedule(ORG, sent.id, LATER).await;
    assert_eq!(put_off.unwrap(), standing);
    world.close().await;
}

/// Both at once, many times: whoever is told yes is right.
async fn a_message_is_taken_back_or_released_but_never_sent_after(ground: Ground) {
    let mut world = World::open(&ground).await;
    let mut taken_back = 0;
    for round in 0..24 {
        let message = world.scheduled().await;
        let (store, id) = (world.store.clone(), message.id);
        let release = tokio::spawn(async move { store.release_due(LATER, 10).await.unwrap() });
        if round % 2 == 0 {
            tokio::task::yield_now().await;
        }
        let done = world.store.take_back(ORG, id, LATER).await.unwrap();
        let released = release.await.unwrap();
        let state = world.state(&message).await;
        match done {
            Ok(()) => {
                taken_back += 1;
                assert_eq!(state, State::Cancelled);
            }
            Err(why) => panic!("nobody has it yet: {why:?}"),
        }
        // It has come to its lane before it was taken back: a bind is turned back.
        if released == 1 {
            let lane = world.committed.recv().await.unwrap();
            assert_eq!(lane.messages[0].message.id, id);
            assert!(!world.hand(&message).await, "it was sent after all");
        }
    }
    assert_eq!(taken_back, 24);
    world.close().await;
}

async fn a_scheduled_message_is_put_off_and_on(ground: Ground) {
    let mut world = World::open(&ground).await;
    let message = world.scheduled().await;
    let valid_for = message.valid_until.0 - message.due_at.0;
    let put = async |world: &World, due_at| {
        let done = world.store.reschedule(ORG, message.id, due_at).await;
        done.unwrap()
    };
    assert_eq!(put(&world, Timestamp(20_000)).await, Ok(()));
    assert_eq!(world.store.release_due(LATER, 10).await.unwrap(), 0);
    world.close().await;
    let mut world = World::open(&ground).await;
    assert_eq!(put(&world, Timestamp(4_000)).await, Ok(()));
    let found = world.store.message(ORG, message.id).await.unwrap().unwrap();
    assert_eq!(found.message.due_at, Timestamp(4_000));
    assert_eq!(found.message.valid_until.0, 4_000 + valid_for);
    let released = world.store.release_due(Timestamp(4_000), 10).await;
    assert_eq!(released.unwrap(), 1);
    let ready = &world.committed.recv().await.unwrap().messages[0];
    assert_ne!(ready.place, Place(message.seq.0));
    let standing = Err(Obstacle::Standing(State::Queued));
    assert_eq!(put(&world, LATER).await, standing);
    world.close().await;
}

async fn lists_show_an_organisations_own_newest_first_in_pages(ground: Ground) {
    let mut world = World::open(&ground).await;
    let mut own = Vec::new();
    for number in 0..9 {
        let org = if number % 3 == 0 { OTHER } else { ORG };
        let message = world.put_down(|one| one.org = org).await;
        if org == ORG {
            own.insert(0, message.id);
        }
    }
    assert_eq!(world.listed(|_| {}).await.0, own);
    let (mut all, mut before) = (Vec::new(), Some(Listing::of(None, 1).before));
    while let Some(from) = before {
        let page = world
            .listed(|one| (one.limit, one.before) = (4, from))
            .await;
        all.extend(page.0);
        before = page.1.next;
    }
    assert_eq!(all, own);
    assert_eq!(world.listed(|one| one.org = None).await.0.len(), 9);
    world.close().await;
}

async fn lists_keep_to_their_filters(ground: Ground) {
    let mut world = World::open(&ground).await;
    let plain = world.put_down(|_| {}).await.id;
    let other = world
        .put_down(|one| {
            one.to = Msisdn::from_digits("255712345678").unwrap();
            one.from = Sender::parse("Duka").unwrap();
            one.class = Class::Promotional;
            one.client_ref = Some("order 7".into());
            one.tags = Some(r#"["spring", "a\"b", "\u00e9"]"#.into());
            one.live = false;
            one.accepted_at = Timestamp(2_000);
            one.due_at = Timestamp(2_000);
        })
        .await;
    let strange = world
        .put_down(|one| {
            one.org = OTHER;
            one.client_ref = Some("order 7".into());
        })
        .await;
    let odd = world.put_down(|one| one.tags = Some(r#"["\u0000"]"#.into()));
    let odd = odd.await.id;
    world.submit(&other, &["A1"]).await;
    let only = [other.id];
    let filters: [fn(&mut Listing); 12] = [
        |one| one.states = vec![State::Submitted, State::Delivered],
        |one| one.to = Some(Msisdn::from_digits("255712345678").unwrap()),
        |one| one.from = Some("dUKA".into()),
        |one| one.class = Some(Class::Promotional),
        |one| one.client_ref = Some("order 7".into()),
        |one| one.tag = Some("spring".into()),
        |one| one.tag = Some("a\"b".into()),
        |one| one.tag = Some("é".into()),
        |one| one.live = Some(false),
        |one| one.since = Timestamp(2_000),
        |one| (one.since, one.until) = (Timestamp(1_001), Timestamp(2_001)),
        |one| {
            one.client_ref = Some("order 7".into());
            one.class = Some(Class::Promotional);
        },
    ];
    for (number, filter) in filters.into_iter().enumerate() {
        assert_eq!(world.listed(filter).await.0, only, "filter {number}");
    }
    let until = world.listed(|one| one.until = Timestamp(2_000)).await;
    assert_eq!(until.0, [odd, plain]);
    assert!(
        world
            .listed(|one| one.tag = Some("sprin".into()))
            .await
            .0
            .is_empty()
    );
    let anybody = world.listed(|one| {
        one.org = None;
        one.client_ref = Some("order 7".into());
    });
    assert_eq!(anybody.await.0, [strange.id, other.id]);
    world.close().await;
}

async fn a_list_looks_at_so_many_and_says_where_to_go_on(ground: Ground) {
    let mut world = World::open(&ground).await;
    let first = world.put_down(|one| one.class = Class::Otp).await.id;
    for _ in 0..5 {
        world.put_down(|_| {}).await;
    }
    let look = |one: &mut Listing| (one.class, one.look) = (Some(Class::Otp), 2);
    let (mut pages, mut found, mut before) = (0, Vec::new(), None);
    loop {
        let page = world.listed(|one| {
            look(one);
            one.before = before.unwrap_or(one.before);
        });
        let (ids, page) = page.await;
        found.extend(ids);
        pages += 1;
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!((pages, found), (3, vec![first]));
    // What others call theirs is not looked at.
    let name = |one: &mut Message| one.client_ref = Some("order 7".into());
    let own = world.put_down(name).await.id;
    for _ in 0..5 {
        world
            .put_down(|one| (one.org, _) = (OTHER, name(one)))
            .await;
    }
    let page = world.listed(|one| (one.client_ref, one.look) = (Some("order 7".into()), 2));
    let (ids, page) = page.await;
    assert_eq!((ids, page.next), (vec![own], None));
    world.close().await;
}
