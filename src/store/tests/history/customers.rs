//! Lives here: customers in random histories: organisations, keys, purchases, prices; what must hold
//! of their purses at the end.
//! Never here: what their messages cost (`deeds`).

use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use super::super::World;
use super::super::dice::Dice;
use super::deeds::{Deed, ORGS, org};
use crate::domain::account::{ApiKey, Organisation};
use crate::domain::class::Class;
use crate::domain::credits::Credits;
use crate::domain::ids::{KeyId, NetworkId, UserId};
use crate::domain::ledger::{Channel, Terms};
use crate::domain::message::Message;
use crate::domain::price::{Price, Scope};
use crate::domain::time::Timestamp;
use crate::domain::user::{Role, User};
use crate::store::AuditEntry;
use crate::store::memo::Memo;
use crate::store::people::PeopleWork;
use crate::store::till::Purchase;

/// Another organisation, or another key or user, or one less; `before`: how many of each there were.
pub(super) fn people(dice: &mut Dice, audit: AuditEntry, before: &mut (u8, u8)) -> Deed {
    let (orgs, keys) = before;
    let (now, audit) = (audit.at, Some(audit));
    let number = dice.below(4);
    let id = KeyId(Uuid::from_u128(0x9_0000 + number as u128));
    let user = UserId(Uuid::from_u128(0xA_0000 + number as u128));
    let work = match dice.below(8) {
        0 | 1 => {
            *orgs = (*orgs + 1) % 4;
            let org = Organisation {
                id: org(10 + usize::from(*orgs)),
                name: format!("Duka {}", *orgs % 3).into(),
                country: "TZ".into(),
                senders: vec!["DUKA".into()],
                webhook_secret: "whsec_x".to_owned().into(),
                created_at: now,
            };
            PeopleWork::CreateOrg(org, Terms::Prepaid)
        }
        2 | 3 => PeopleWork::CreateKey(another(dice, now, keys).into()),
        4 => PeopleWork::Rotate {
            id,
            ends: now,
            successor: another(dice, now, keys).into(),
        },
        5 => PeopleWork::Revoke {
            org: org(dice.below(4)),
            id,
            at: now,
        },
        6 => PeopleWork::NoteUses(vec![(id, now), (KeyId(user.0), now)]),
        _ if dice.percent(30) => PeopleWork::RemoveUser(org(number), user),
        _ => PeopleWork::CreateUser(User {
            id: user,
            org: org(number),
            email: format!("asha{number}@duka.tz").into(),
            name: "Asha".into(),
            role: dice.one_of(&Role::ALL),
            created_at: now,
        }),
    };
    Deed::People(work, audit)
}

fn another(dice: &mut Dice, now: Timestamp, keys: &mut u8) -> ApiKey {
    *keys = (*keys + 1) % 4;
    let id = KeyId(Uuid::from_u128(0x9_0000 + u128::from(*keys)));
    let ids = (id, org(dice.below(4)));
    let secret = ([*keys; 32], "sk_live_mw_a".into());
    ApiKey::new(ids, secret, dice.percent(50), now)
}

/// A purchase, or a price.
pub(super) fn money(dice: &mut Dice, now: Timestamp, audit: AuditEntry) -> Deed {
    if dice.percent(60) {
        let purchase = Purchase {
            purse: (org(dice.below(ORGS + 1)), dice.one_of(&Channel::ALL)),
            reference: format!("INV-{}", dice.below(9)).into(),
            at: now,
            amount: Credits(dice.one_of(&[5_000, 250, -1_500])),
            note: "by hand".into(),
        };
        return Deed::Buy(purchase, audit);
    }
    let scope = Scope {
        org: dice.percent(50).then(|| org(dice.below(ORGS))),
        country: dice.percent(50).then(|| "NG".into()),
        network: dice.percent(50).then(|| NetworkId("mtn_ng".into())),
        class: dice.percent(50).then(|| dice.one_of(&Class::ALL)),
    };
    let price = Price {
        scope,
        per_segment: Credits(dice.one_of(&[850, 1_200])),
    };
    Deed::Price(price, audit)
}

/// What a request that names itself and brings this message is answered.
pub(super) fn answer(message: &Message) -> Arc<Memo> {
    let mut key = [0; 32];
    key[..16].copy_from_slice(message.id.0.as_bytes());
    Arc::new(Memo {
        key,
        fingerprint: [1; 32],
        status: 201,
        body: Bytes::copy_from_slice(message.body.as_bytes()),
        at: message.accepted_at,
    })
}

/// Requests that name themselves and are refused: a few, so that they come again.
pub(super) fn requests(dice: &mut Dice, now: Timestamp) -> Deed {
    if dice.percent(30) {
        return Deed::DropAnswers(now);
    }
    Deed::Refuse(Memo {
        key: [dice.one_of(&[1, 2, 3]); 32],
        fingerprint: [dice.one_of(&[1, 1, 2]); 32],
        status: 422,
        body: Bytes::from_static(b"{}"),
        at: now,
    })
}

/// The organisations that send: they pay later, so that nothing is refused for its cost.
pub(super) async fn open_purses(world: &World) {
    for number in 0..ORGS {
        let org = Organisation {
            id: org(number),
            name: format!("Org {number}").into(),
            country: "TZ".into(),
            senders: Vec::new(),
            webhook_secret: "whsec_x".to_owned().into(),
            created_at: Timestamp(1),
        };
        let created = world.store.create_org(org, Terms::Postpaid, None).await;
        assert!(created.unwrap());
    }
}

/// What purses hold is what their ledger says, and what open messages cost that nobody has taken.
pub(super) async fn check_purses(world: &World) {
    for check in world.store.check_purses(None).await.unwrap() {
        assert_eq!(check.differences(), [""; 0], "{check:?}");
    }
}
