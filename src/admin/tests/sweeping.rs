//! Lives here: purges, reroutes, cancels and resends through the listener: what `feed` is told
//! before and after, what operators are answered.
//! Never here: races (`store::tests::control`, the scenarios).

use std::time::Duration;

use uuid::Uuid;

use super::*;
use crate::admin::request::now;
use crate::domain::account::Organisation;
use crate::domain::class::Class;
use crate::domain::ids::{MessageId, MessageSeq, OrgId};
use crate::domain::ledger::Terms;
use crate::domain::message::{Encoding, Message};
use crate::domain::phone::{Msisdn, Sender};
use crate::domain::time::Timestamp;

const ORG: OrgId = OrgId(Uuid::from_u128(7));

impl House {
    async fn put(&self, change: impl FnOnce(&mut Message)) -> Uuid {
        let at = now();
        let mut message = Message {
            seq: MessageSeq(0),
            id: MessageId(Uuid::now_v7()),
            org: ORG,
            class: Class::Transactional,
            to: Msisdn::from_digits("255753276939").unwrap(),
            from: Sender::parse("MNARA").unwrap(),
            body: "a secret text".into(),
            encoding: Encoding::Gsm7,
            segments: 1,
            carrier: CarrierIndex(0),
            webhook_url: None,
            metadata: None,
            tags: None,
            client_ref: None,
            live: true,
            cost: Default::default(),
            accepted_at: at,
            due_at: at,
            valid_until: at + Duration::from_secs(3600),
        };
        change(&mut message);
        let id = message.id.0;
        self.store.accept(message).await.unwrap();
        id
    }

    async fn post(&self, path: &str, body: impl ToString) -> (u16, Value) {
        self.json("POST", &format!("/admin/v1/{path}"), body).await
    }

    async fn state(&self, id: Uuid) -> String {
        let (_, told) = self
            .json("GET", &format!("/admin/v1/messages/{id}"), "")
            .await;
        told["state"].as_str().unwrap().to_owned()
    }

    /// The next orders to `feed`, which must be all.
    async fn steered(&mut self, count: usize) -> Vec<String> {
        let mut told = Vec::new();
        for _ in 0..count {
            told.push(self.steers.recv().await.unwrap());
        }
        assert!(self.steers.try_recv().is_err());
        told
    }
}

#[tokio::test]
async fn a_purge_recalls_its_lanes_cancels_and_releases_them() {
    let mut house = House::open(TOKEN).await;
    let org = Organisation {
        id: ORG,
        name: "Duka".into(),
        country: "TZ".into(),
        senders: Vec::new(),
        webhook_secret: "x".to_owned().into(),
        created_at: Timestamp(0),
    };
    house
        .store
        .create_org(org, Terms::Postpaid, None)
        .await
        .unwrap();
    let mine = house.put(|_| {}).await;
    let other = house.put(|one| one.org = OrgId(Uuid::from_u128(8))).await;
    let elsewhere = house.put(|one| one.carrier = CarrierIndex(1)).await;
    let otp = house.put(|one| one.class = Class::Otp).await;

    let ask =
        |dry: bool| json!({"carrier": "one", "org": "Duka", "reason": "typo", "dry_run": dry});
    let (status, told) = house.post("queue/purge", ask(true)).await;
    assert_eq!(
        (status, &told["changed"], &told["left_alone"]),
        (200, &json!(1), &json!(1))
    );
    assert_eq!(told["sample"], json!([mine]));
    assert_eq!(told["otp_in_use"], json!(["one"]));
    assert!(
        house.steers.try_recv().is_err(),
        "a dry run changes nothing"
    );

    let (status, told) = house.post("queue/purge", ask(false)).await;
    assert_eq!(
        (status, &told["changed"], &told["more"]),
        (200, &json!(1), &json!(false)),
        "{told}"
    );
    let lane = "[(CarrierIndex(0), Transactional)]";
    assert_eq!(
        house.steered(2).await,
        [format!("recall {lane}"), format!("release {lane}")]
    );
    assert_eq!(house.state(mine).await, "cancelled");
    for kept in [other, elsewhere, otp] {
        assert_eq!(house.state(kept).await, "queued");
    }
    let (_, told) = house.json("GET", "/admin/v1/audit", "").await;
    let line = &told["audit"][0];
    assert_eq!(
        (&line["action"], &line["subject"]),
        (&json!("queue.purge"), &json!("one Duka"))
    );
    assert_eq!(line["outcome"], "1 changed, 1 left alone");
    assert_eq!(line["detail"]["reason"], "typo");
    house.close().await;
}

#[tokio::test]
async fn otp_are_purged_only_of_an_account_that_has_been_paused_for_a_while() {
    let mut house = House::open(TOKEN).await;
    let otp = house.put(|one| one.class = Class::Otp).await;
    let ask = || json!({"carrier": "one", "class": "otp", "reason": "works"});
    let pause = json!({"carrier": "one", "hold": "paused", "reason": "works"});
    house.post("carriers", pause).await;
    let (_, told) = house.post("queue/purge", ask()).await;
    assert_eq!(
        (&told["changed"], &told["otp_in_use"]),
        (&json!(0), &json!(["one"])),
        "too soon"
    );
    assert_eq!(told["left_alone"], 1, "as the dry run says: {told}");
    let (_, audit) = house.json("GET", "/admin/v1/audit?limit=1", "").await;
    assert_eq!(audit["audit"][0]["outcome"], "0 changed, 1 left alone");
    let (status, told) = house
        .post(
            &format!("messages/{otp}/cancel"),
            json!({"reason": "works"}),
        )
        .await;
    assert_eq!(status, 409, "{told}");
    let dry = json!({"reason": "works", "dry_run": true});
    let (_, dry) = house.post(&format!("messages/{otp}/cancel"), dry).await;
    assert_eq!(dry, told, "a dry run judges the same");
    assert!(
        told["message"]
            .as_str()
            .unwrap()
            .contains("pause its account"),
        "{told}"
    );

    // As if it had been paused earlier: the hold outlasts a restart.
    let hold = store::HoldRow {
        carrier: CarrierId("one".into()),
        hold: crate::flow::health::Hold::Paused,
        reason: "works".into(),
        actor: "amina".into(),
        at: now() - Duration::from_secs(60),
        until: None,
    };
    let audit = store::AuditEntry {
        at: now(),
        actor: "amina".into(),
        action: "test".into(),
        subject: "one".into(),
        detail: "{}".into(),
        outcome: "done".into(),
    };
    house.store.hold(hold, audit).await.unwrap();
    house = House::open_in(house.close().await, TOKEN).await;
    let (_, told) = house.post("queue/purge", ask()).await;
    assert_eq!(told["changed"], 1, "{told}");
    assert_eq!(house.state(otp).await, "cancelled");
    house.close().await;
}

#[tokio::test]
async fn a_reroute_has_both_lanes_read_again() {
    let mut house = House::open(TOKEN).await;
    let moved = house.put(|_| {}).await;
    let ask = json!({"carrier": "one", "to": "two", "reason": "it's works; $(rm)"});
    let (status, told) = house.post("queue/reroute", &ask).await;
    assert_eq!((status, &told["changed"]), (200, &json!(1)), "{told}");
    assert_eq!(
        told["undo"],
        r"mnara ctl queue reroute --carrier two --to one --reason 'it'\''s works; $(rm)'"
    );
    let lanes = "[(CarrierIndex(0), Transactional), (CarrierIndex(1), Transactional)]";
    assert_eq!(
        house.steered(2).await,
        [format!("recall {lanes}"), format!("release {lanes}")]
    );
    let (_, told) = house
        .json("GET", &format!("/admin/v1/messages/{moved}"), "")
        .await;
    assert_eq!(
        (&told["carrier"], &told["state"]),
        (&json!("two"), &json!("queued"))
    );
    assert_eq!(told["why"], "none of the account's 1 binds is up: refused");
    let (_, told) = house.json("GET", "/admin/v1/queue?carrier=two", "").await;
    assert_eq!(told["lanes"][1]["queued"], 1, "{told}");
    assert_eq!(
        told["lanes"][1]["why"],
        "none of the account's 1 binds is up: refused"
    );
    let pause = json!({"carrier": "two", "hold": "paused", "reason": "it's late"});
    house.post("carriers", pause).await;
    let (_, told) = house.post("queue/reroute", &ask).await;
    assert_eq!(
        (&told["changed"], &told["undo"]),
        (&json!(0), &Value::Null),
        "nothing is left to move: {told}"
    );
    let outcome = told["outcome"].as_str().unwrap();
    assert!(outcome.contains("it is paused by amina"), "{told}");
    let resume = json!({"carrier": "two", "hold": "free"});
    let (_, told) = house.post("carriers", resume).await;
    assert_eq!(
        told["undo"],
        r"mnara ctl carriers pause two --reason 'it'\''s late'"
    );
    house.close().await;
}

#[tokio::test]
async fn a_pace_under_the_limit_is_told_as_the_carriers_wish_only_after_its_word() {
    let house = House::open(TOKEN).await;
    let id = house.put(|one| one.carrier = CarrierIndex(1)).await;
    house.bind.send_modify(|status| {
        status.bound = true;
        (status.tps_allowed, status.tps_limit, status.in_flight) = (95, 100, 1);
    });
    let why = async || {
        let path = format!("/admin/v1/messages/{id}");
        house.json("GET", &path, "").await.1["why"].clone()
    };
    let told = why().await;
    assert!(
        told.as_str()
            .unwrap()
            .starts_with("awaiting the carrier's answer"),
        "{told}"
    );
    house.bind.send_modify(|status| status.slowed = true);
    assert_eq!(
        why().await,
        "the carrier asks for less: 95 segments a second now"
    );
    house.close().await;
}

#[tokio::test]
async fn single_messages_are_traced_and_cancelled() {
    let mut house = House::open(TOKEN).await;
    let queued = house.put(|_| {}).await;
    let later = Timestamp(now().0 + 60_000);
    let scheduled = house.put(|one| one.due_at = later).await;
    let (status, told) = house
        .json("GET", &format!("/admin/v1/messages/{queued}"), "")
        .await;
    assert_eq!((status, &told["ahead"]), (200, &json!(0)), "{told}");
    assert_eq!(told["to"], "+2557***939");
    assert!(!told.to_string().contains("secret text"), "{told}");

    for (id, dry_run) in [(queued, true), (queued, false), (scheduled, false)] {
        let ask = json!({"reason": "typo", "dry_run": dry_run});
        let (status, told) = house.post(&format!("messages/{id}/cancel"), ask).await;
        assert_eq!((status, &told["dry_run"]), (200, &json!(dry_run)), "{told}");
    }
    let lane = "[(CarrierIndex(0), Transactional)]";
    assert_eq!(
        house.steered(2).await,
        [format!("recall {lane}"), format!("release {lane}")],
        "a scheduled one is in no lane"
    );
    for id in [queued, scheduled] {
        assert_eq!(house.state(id).await, "cancelled");
        for what in ["cancel", "resend"] {
            let ask = json!({"reason": "typo", "dry_run": true});
            let (status, told) = house.post(&format!("messages/{id}/{what}"), ask).await;
            assert_eq!(status, 409, "a dry run judges the same: {told}");
        }
        let (status, told) = house
            .post(&format!("messages/{id}/cancel"), json!({"reason": "typo"}))
            .await;
        assert_eq!(status, 409, "{told}");
        let (status, told) = house
            .post(&format!("messages/{id}/resend"), json!({"reason": "asked"}))
            .await;
        assert_eq!(status, 409, "{told}");
        assert!(
            told["message"]
                .as_str()
                .unwrap()
                .contains("it is cancelled"),
            "{told}"
        );
    }
    let (_, told) = house.json("GET", "/admin/v1/audit", "").await;
    let lines = told["audit"].as_array().unwrap();
    assert_eq!(lines.len(), 6, "refusals too: {told}");
    house.close().await;
}

#[tokio::test]
async fn what_cannot_be_swept_is_refused_with_its_reason() {
    let house = House::open(TOKEN).await;
    let nobody = format!("messages/{}/cancel", Uuid::nil());
    for (path, body, status, says) in [
        (
            "queue/purge",
            json!({"reason": "works"}),
            400,
            "at least one",
        ),
        ("queue/purge", json!({"carrier": "one"}), 400, "reason"),
        (
            "queue/purge",
            json!({"carrier": "one", "to": "two", "reason": "works"}),
            400,
            "reroute",
        ),
        (
            "queue/purge",
            json!({"carrier": "six", "reason": "works"}),
            404,
            "six",
        ),
        (
            "queue/purge",
            json!({"class": "sms", "reason": "works"}),
            400,
            "class",
        ),
        (
            "queue/purge",
            json!({"org": "Nobody", "reason": "works"}),
            404,
            "organisation",
        ),
        (
            "queue/reroute",
            json!({"carrier": "one", "reason": "works"}),
            400,
            "to",
        ),
        (
            "queue/reroute",
            json!({"carrier": "one", "to": "one", "reason": "works"}),
            400,
            "there already",
        ),
        (
            "queue/reroute",
            json!({"carrier": "one", "to": "six", "reason": "works"}),
            404,
            "six",
        ),
        (
            "queue/reroute",
            json!({"carrier": "one", "to": "two", "reason": "works", "odd": 1}),
            400,
            "odd",
        ),
        (&nobody, json!({"reason": "works"}), 404, "no message"),
        ("messages/1/cancel", json!({"reason": "works"}), 400, "UUID"),
        ("messages/1/resend", json!({}), 400, "reason"),
    ] {
        let (found, told) = house.post(path, body.clone()).await;
        assert_eq!(found, status, "{path} {body} {told}");
        assert!(told["message"].as_str().unwrap().contains(says), "{told}");
    }
    house.close().await;
}
