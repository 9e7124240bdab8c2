//! Lives here: what the daemon forgets by itself, and what it forgets when told to.
//! Never here: what is due when (`store::housekeeping`), the rows (the store's contract).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mnara::domain::class::Class;
use mnara::domain::ids::{CarrierId, CarrierIndex, MessageId, MessageSeq, OrgId};
use mnara::domain::message::{Encoding, Message, State};
use mnara::domain::phone::{Msisdn, Sender};
use mnara::domain::time::Timestamp;
use mnara::flow::{Settlement, Transition};
use mnara::store;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::daemon::ctl;
use crate::world::{LIMIT, Plan, World, eventually};

const DAY: Duration = Duration::from_secs(86_400);

/// Keeps messages of these ages, each of which could not be sent.
async fn keep_old(url: &str, ages: &[u32]) -> Vec<MessageId> {
    let config = store::Config {
        url: url.to_owned(),
        ..store::Config::default()
    };
    let (committed_to, mut committed) = mpsc::channel(16);
    let (events, _events) = mpsc::channel(16);
    let carriers = vec![CarrierId("vodacom_tz".into())];
    let opened = store::open(&config, carriers, committed_to, events).await;
    let opened = opened.unwrap();
    let stop = CancellationToken::new();
    let writing = tokio::spawn(opened.writer.run(stop.clone()));
    let mut ids = Vec::new();
    for age in ages {
        let at = Timestamp::from(SystemTime::now()) - DAY * *age;
        opened.store.accept(message(at)).await.unwrap();
        let message = committed.recv().await.unwrap().messages.remove(0).message;
        ids.push(message.id);
        let failed = Settlement {
            transitions: vec![failed(message, at)],
            ..Settlement::default()
        };
        opened.store.settle(failed).await.unwrap();
    }
    stop.cancel();
    writing.await.unwrap().unwrap();
    ids
}

fn message(at: Timestamp) -> Message {
    Message {
        seq: MessageSeq(0),
        id: MessageId(Uuid::now_v7()),
        org: OrgId(Uuid::from_u128(7)),
        class: Class::Transactional,
        to: Msisdn::from_digits("255753276939").unwrap(),
        from: Sender::parse("MNARA").unwrap(),
        body: "an old text".into(),
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
        valid_until: at + DAY,
    }
}

fn failed(message: Arc<Message>, at: Timestamp) -> Transition {
    Transition {
        carrier: message.carrier,
        message,
        to: State::Failed,
        at,
        sent_at: None,
        failure: None,
        detail: None,
        possible_duplicate: false,
    }
}

async fn old_messages_go(url: &str) {
    let ids = keep_old(url, &[100, 40, 1]).await;
    let world = World::start(Plan::simple().stored_at(url)).await;
    eventually("retention has been seen to", LIMIT, async || {
        let done = world.metric("mnara_retention_success_timestamp_seconds", &[]);
        (done.await > 0.0).then_some(())
    })
    .await;
    let count = async |what| {
        world
            .metric("mnara_retention_messages_total", &[what])
            .await
    };
    assert_eq!(count("redacted").await, 1.0);
    assert!(
        world
            .metric("mnara_retention_days_dropped_total", &[])
            .await
            >= 1.0
    );
    let missing = async |id: &MessageId| {
        let trace = ["messages", "trace", &id.to_string()];
        let output = ctl(&world.config, world.daemon.admin, &trace).await;
        !output.status.success()
    };
    assert!(missing(&ids[0]).await);
    assert!(!missing(&ids[1]).await && !missing(&ids[2]).await);
}

async fn a_person_is_erased(plan: Plan) {
    let world = World::start(plan).await;
    let mut sms = world.sms("vodacom_tz", 4_711, "transactional", "for your eyes only");
    sms["metadata"] = json!({"name": "Asha"});
    let number = sms["to"].as_str().unwrap().to_owned();
    let id = world.client.send(&sms).await;
    let other = world.sms("vodacom_tz", 4_712, "transactional", "for others");
    let other = world.client.send(&other).await;
    for id in [id, other] {
        world.until(id, "delivered").await;
    }
    let erase = ["erase", "--to", &number, "--reason", "she asked for it"];
    // Until her operator has been told of both events they are not to be taken from it.
    let told = eventually("all events are told", LIMIT, async || {
        let dry = [&erase[..], &["--dry-run"]].concat();
        let told = world.ctl(&dry).await;
        (told["untold"] == 0).then_some(told)
    })
    .await;
    assert_eq!((&told["messages"], &told["open"]), (&json!(1), &json!(0)));
    assert_eq!(world.client.message(id).await["to"], number);

    let told = world.ctl(&erase).await;
    assert_eq!(told["messages"], 1, "{told}");
    let message = world.client.message(id).await;
    assert_eq!(message["to"], "[erased]");
    assert_eq!(message["body"], "[redacted]");
    assert!(message.get("metadata").is_none(), "{message}");
    assert_eq!(
        (&message["status"], &message["segments"]),
        (&json!("delivered"), &json!(1))
    );
    assert_eq!(world.client.message(other).await["body"], "for others");
    assert_eq!(world.ctl(&erase).await["messages"], 0);

    let audit = world.ctl(&["audit"]).await.to_string();
    assert!(
        audit.contains("she asked for it") && !audit.contains(&number),
        "{audit}"
    );
    let digits = number.trim_start_matches('+');
    let log = world.daemon.log().lines();
    assert!(!log.iter().any(|line| line.contains(digits)));
}

#[tokio::test]
async fn what_is_old_goes_and_texts_go_before() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("old.db").display());
    old_messages_go(&url).await;
}

#[tokio::test]
async fn a_person_s_number_is_erased_for_good() {
    a_person_is_erased(Plan::simple()).await;
}
