//! Lives here: the contract for organisations, keys and users: what is revoked or removed is known
//! nowhere any more once that is told, and everything outlasts a restart.
//! Never here: what a key is worth (`domain::account`).

use super::*;
use crate::domain::account::{ApiKey, KEYS_MAX, Organisation, Standing};
use crate::domain::ids::{KeyId, UserId};
use crate::domain::ledger::Terms;
use crate::domain::scope::{Scope, Scopes};
use crate::domain::user::{Role, User};
use crate::store::memory::CommitFault;
use crate::store::people::{Changed, KeysOf, Roster};
use crate::store::{AuditEntry, Caller};

on_each_store! {
    keys_are_found_by_hash_and_only_for_existing_organisations,
    a_key_keeps_everything_that_was_said_of_it,
    what_is_revoked_is_not_remembered,
    a_successor_takes_a_keys_place_and_the_old_one_goes_in_its_time,
    an_organisation_has_so_many_keys_and_no_more,
    uses_are_written_once_a_minute_and_never_go_back,
    keys_that_were_used_are_known_from_the_start,
    a_removed_user_is_not_remembered,
    organisations_are_listed_by_name,
}

fn audit(at: i64) -> AuditEntry {
    AuditEntry {
        at: Timestamp(at),
        actor: "tests".into(),
        action: "key.revoke".into(),
        subject: "x".into(),
        detail: "{}".into(),
        outcome: "done".into(),
    }
}

fn organisation(id: OrgId, name: &str) -> Organisation {
    Organisation {
        id,
        name: name.into(),
        country: "TZ".into(),
        senders: vec!["DUKA".into()],
        webhook_secret: "whsec_x".to_owned().into(),
        created_at: Timestamp(1),
    }
}

fn key(hash: u8) -> ApiKey {
    let ids = (KeyId(Uuid::now_v7()), ORG);
    ApiKey::new(ids, ([hash; 32], "sk_live_mw_a".into()), true, Timestamp(1))
}

fn user(email: &str) -> User {
    User {
        id: UserId(Uuid::now_v7()),
        org: ORG,
        email: email.into(),
        name: "Asha".into(),
        role: Role::Developer,
        created_at: Timestamp(1),
    }
}

impl World {
    async fn settled(ground: &Ground) -> Self {
        let world = Self::open(ground).await;
        let org = organisation(ORG, "Duka");
        assert!(
            world
                .store
                .create_org(org, Terms::Prepaid, None)
                .await
                .unwrap()
        );
        world
    }

    async fn keep_key(&self, key: &ApiKey) -> Changed {
        self.store.create_key(key.clone(), None).await.unwrap()
    }

    /// The key of this hash, if it works at a time.
    async fn working(&self, hash: u8, at: i64) -> bool {
        let found = self.store.credential(&[hash; 32]).await.unwrap();
        found.is_some_and(|found| found.standing(Timestamp(at)) == Standing::Active)
    }

    async fn known(&self, id: KeyId) -> ApiKey {
        self.store.key(id).await.unwrap().expect("it was written")
    }
}

async fn keys_are_found_by_hash_and_only_for_existing_organisations(ground: Ground) {
    let world = World::open(&ground).await;
    assert_eq!(
        world.keep_key(&key(3)).await,
        Changed::Missing,
        "no organisation"
    );
    let org = organisation(ORG, "Duka");
    let create = |org| world.store.create_org(org, Terms::Prepaid, None);
    assert!(create(org.clone()).await.unwrap());
    assert!(!create(org).await.unwrap(), "the name is taken");
    assert_eq!(world.keep_key(&key(3)).await, Changed::Done);
    let found = world.store.credential(&[3; 32]).await.unwrap().unwrap();
    assert_eq!((&*found.org.name, found.org.senders.len()), ("Duka", 1));
    assert!(world.store.credential(&[4; 32]).await.unwrap().is_none());
    assert_eq!(
        world.keep_key(&key(3)).await,
        Changed::Missing,
        "not at random"
    );
    world.close().await;
}

async fn a_key_keeps_everything_that_was_said_of_it(ground: Ground) {
    let world = World::settled(&ground).await;
    let full = ApiKey {
        live: false,
        name: "Till 3".into(),
        scopes: Scopes::of([Scope::Otp, Scope::KeysWrite]),
        senders: vec!["DUKA".into(), "Soko".into()],
        networks: ["10.0.0.0/8", "2001:db8::/32"]
            .map(|net| net.parse().unwrap())
            .into(),
        expires_at: Some(Timestamp(99)),
        rate: Some(3_000_000_000),
        ..key(1)
    };
    assert_eq!(world.keep_key(&full).await, Changed::Done);
    let plain = key(2);
    assert_eq!(world.keep_key(&plain).await, Changed::Done);
    assert_eq!(world.known(full.id).await, full);
    assert_eq!(world.known(plain.id).await, plain);
    let all = KeysOf {
        org: ORG,
        unrevoked: None,
        test_only: false,
        limit: 9,
    };
    let listed = world.store.keys_of(&all).await.unwrap();
    assert_eq!(listed, [plain.clone(), full.clone()], "the newest first");
    let one = KeysOf { limit: 1, ..all };
    assert_eq!(world.store.keys_of(&one).await.unwrap(), [plain]);
    let tests = KeysOf {
        test_only: true,
        ..one
    };
    let listed = world.store.keys_of(&tests).await.unwrap();
    assert_eq!(
        listed,
        std::slice::from_ref(&full),
        "the limit holds for what is wanted"
    );
    world.close().await;
    let world = World::open(&ground).await;
    let found = world.store.credential(&[1; 32]).await.unwrap().unwrap();
    assert!(matches!(&found.caller, Caller::Key(key) if *key == full));
    world.close().await;
}

async fn what_is_revoked_is_not_remembered(ground: Ground) {
    let world = World::settled(&ground).await;
    let (one, other) = (key(1), key(2));
    world.keep_key(&one).await;
    world.keep_key(&other).await;
    assert!(world.working(1, 10).await && world.working(2, 10).await);
    let revoke = |org, id, at| world.store.revoke_key(org, id, audit(at));
    let foreign = OrgId(Uuid::from_u128(8));
    assert_eq!(revoke(foreign, one.id, 10).await.unwrap(), Changed::Missing);
    assert!(world.working(1, 10).await, "not theirs to revoke");
    assert_eq!(revoke(ORG, one.id, 10).await.unwrap(), Changed::Done);
    assert!(!world.working(1, 10).await && world.working(2, 10).await);
    assert_eq!(revoke(ORG, one.id, 11).await.unwrap(), Changed::Missing);
    assert_eq!(world.known(one.id).await.revoked_at, Some(Timestamp(10)));
    let left = KeysOf {
        org: ORG,
        unrevoked: Some(Timestamp(10)),
        test_only: false,
        limit: 9,
    };
    assert_eq!(world.store.keys_of(&left).await.unwrap(), [other]);
    let refused = world.store.audit(1).await.unwrap().remove(0);
    assert_eq!(&*refused.outcome, "refused: there is no such thing");
    world.close().await;
}

#[tokio::test(start_paused = true)]
async fn while_it_is_not_known_whether_a_key_was_revoked_nobody_goes_by_what_was_remembered() {
    let ground = Ground::memory().await;
    let world = World::settled(&ground).await;
    let one = key(1);
    world.keep_key(&one).await;
    assert!(world.working(1, 10).await);
    ground.faults().plan_commits([Some(CommitFault::LostAfter)]);
    ground.faults().fail_questions(100);
    let store = world.store.clone();
    let revoking = tokio::spawn(async move { store.revoke_key(ORG, one.id, audit(10)).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!revoking.is_finished() && !world.store.health().is_well());
    assert!(
        !world.working(1, 10).await,
        "it is so, though nobody knows yet"
    );
    ground.faults().fail_questions(0);
    assert_eq!(revoking.await.unwrap().unwrap(), Changed::Done);
    assert!(!world.working(1, 10).await);
    world.close().await;
}

async fn a_successor_takes_a_keys_place_and_the_old_one_goes_in_its_time(ground: Ground) {
    let world = World::settled(&ground).await;
    let old = key(1);
    world.keep_key(&old).await;
    assert!(world.working(1, 10).await);
    let new = |hash, at| ApiKey {
        created_at: Timestamp(at),
        ..key(hash)
    };
    let rotate = |id, ends, new: &ApiKey| {
        let ends = Timestamp(ends);
        world.store.rotate_key(id, ends, new.clone(), audit(10))
    };
    let second = new(2, 10);
    assert_eq!(rotate(old.id, 50, &second).await.unwrap(), Changed::Done);
    assert!(
        world.working(1, 49).await && !world.working(1, 50).await,
        "grace"
    );
    assert!(world.working(2, 50).await);
    assert_eq!(world.known(old.id).await.replaced_by, Some(second.id));
    let third = new(3, 20);
    let again = rotate(old.id, 50, &third).await.unwrap();
    assert_eq!(again, Changed::Missing, "it has its successor");
    assert!(!world.working(3, 20).await);
    assert_eq!(rotate(second.id, 20, &third).await.unwrap(), Changed::Done);
    assert!(
        !world.working(2, 20).await && world.working(3, 20).await,
        "no grace"
    );
    // A grace can be cut short.
    let cut = world.store.revoke_key(ORG, old.id, audit(30)).await;
    assert_eq!(cut.unwrap(), Changed::Done);
    assert!(!world.working(1, 30).await);
    assert_eq!(world.known(old.id).await.replaced_by, Some(second.id));
    world.close().await;
}

async fn an_organisation_has_so_many_keys_and_no_more(ground: Ground) {
    let world = World::settled(&ground).await;
    let numbered = |number: u32| {
        let mut hash = [0; 32];
        hash[..4].copy_from_slice(&number.to_be_bytes());
        ApiKey { hash, ..key(0) }
    };
    let first = numbered(0);
    assert_eq!(world.keep_key(&first).await, Changed::Done);
    for number in 1..KEYS_MAX {
        assert_eq!(world.keep_key(&numbered(number)).await, Changed::Done);
    }
    assert_eq!(world.keep_key(&numbered(KEYS_MAX)).await, Changed::Full);
    let rotate = |ends, number| {
        let (ends, successor) = (Timestamp(ends), numbered(number));
        world.store.rotate_key(first.id, ends, successor, audit(1))
    };
    // With a grace both work for a while.
    let graced = rotate(2, KEYS_MAX).await;
    assert_eq!(graced.unwrap(), Changed::Full);
    let second = numbered(KEYS_MAX + 1);
    let at_once = world
        .store
        .rotate_key(first.id, Timestamp(1), second.clone(), audit(1));
    assert_eq!(at_once.await.unwrap(), Changed::Done);
    assert_eq!(world.keep_key(&numbered(KEYS_MAX)).await, Changed::Full);
    let gone = world.store.revoke_key(ORG, second.id, audit(1)).await;
    assert_eq!(gone.unwrap(), Changed::Done);
    assert_eq!(world.keep_key(&numbered(KEYS_MAX)).await, Changed::Done);
    world.close().await;
}

async fn uses_are_written_once_a_minute_and_never_go_back(ground: Ground) {
    let world = World::settled(&ground).await;
    let one = key(1);
    world.keep_key(&one).await;
    let used = |at| {
        let world = &world;
        async move {
            let found = world.store.credential(&[1; 32]).await.unwrap().unwrap();
            world.store.note_use(&found, Timestamp(at));
            world.store.write_uses().await.unwrap();
            world.known(key_id(&found)).await.last_used_at
        }
    };
    assert_eq!(used(100_000).await, Some(Timestamp(100_000)));
    assert_eq!(used(159_999).await, Some(Timestamp(100_000)));
    assert_eq!(used(160_000).await, Some(Timestamp(160_000)));
    assert_eq!(used(20_000).await, Some(Timestamp(160_000)));
    world.close().await;
}

async fn keys_that_were_used_are_known_from_the_start(ground: Ground) {
    let world = World::settled(&ground).await;
    for number in 1..=3 {
        world.keep_key(&key(number)).await;
    }
    for number in [1, 2] {
        let found = world.store.credential(&[number; 32]).await;
        let at = Timestamp(number.into());
        world.store.note_use(&found.unwrap().unwrap(), at);
    }
    world.store.write_uses().await.unwrap();
    world.close().await;
    let world = World::open(&ground).await;
    let known = [1, 2, 3].map(|number| world.store.has_seen(&[number; 32]));
    assert_eq!(known, [true, true, false]);
    let last = world.store.inner.reader.used_last(1).await.unwrap();
    let [(one, org)] = &last[..] else {
        panic!("one was asked for: {last:?}");
    };
    assert_eq!((one.last_used_at, org.id), (Some(Timestamp(2)), ORG));
    world.close().await;
}

fn key_id(credential: &Credential) -> KeyId {
    KeyId(credential.id())
}

async fn a_removed_user_is_not_remembered(ground: Ground) {
    let world = World::settled(&ground).await;
    let create = |user: &User| world.store.create_user(user.clone(), audit(1));
    let (asha, juma) = (user("asha@duka.tz"), user("juma@duka.tz"));
    assert_eq!(create(&juma).await.unwrap(), Changed::Done);
    assert_eq!(create(&asha).await.unwrap(), Changed::Done);
    assert_eq!(create(&user("asha@duka.tz")).await.unwrap(), Changed::Taken);
    let listed = world.store.users_of(ORG).await.unwrap();
    assert_eq!(listed, [asha.clone(), juma]);
    let found = world.store.user(asha.id).await.unwrap().unwrap();
    assert!(found.may(Scope::SmsSend) && !found.may(Scope::KeysWrite));
    let remove = |org| world.store.remove_user(org, asha.id, audit(2));
    let foreign = OrgId(Uuid::from_u128(8));
    assert_eq!(remove(foreign).await.unwrap(), Changed::Missing);
    assert_eq!(remove(ORG).await.unwrap(), Changed::Done);
    assert!(world.store.user(asha.id).await.unwrap().is_none());
    assert_eq!(remove(ORG).await.unwrap(), Changed::Missing);
    assert_eq!(world.store.users_of(ORG).await.unwrap().len(), 1);
    world.close().await;
}

async fn organisations_are_listed_by_name(ground: Ground) {
    let world = World::open(&ground).await;
    for (number, name) in (10..).zip(["Soko", "Duka", "benki"]) {
        let org = organisation(OrgId(Uuid::from_u128(number)), name);
        assert!(
            world
                .store
                .create_org(org, Terms::Prepaid, None)
                .await
                .unwrap()
        );
    }
    let names = |orgs: Vec<Organisation>| -> Vec<String> {
        orgs.iter().map(|org| org.name.to_string()).collect()
    };
    let first = world.store.organisations("", 2).await.unwrap();
    assert_eq!(names(first), ["Duka", "Soko"]);
    let rest = world.store.organisations("Soko", 2).await.unwrap();
    assert_eq!(names(rest), ["benki"]);
    world.close().await;
}
