//! Lives here: the store moved from SQLite to PostgreSQL between two runs of the daemon: everything
//! goes on there.
//! Never here: what a copy refuses and how it is proved; `store` has its own tests.

use std::time::{Duration, SystemTime};

use mnara_loadtest::hook::Answer;
use mnara_loadtest::smsc::{Receipts, Script, Span};
use serde_json::Value;
use uuid::Uuid;

use crate::daemon::run;
use crate::postgres::database;
use crate::world::{Carrier, LIMIT, Plan, World, eventually};

/// Messages of each sort.
const EACH: u64 = 5;

#[tokio::test]
async fn a_daemon_goes_on_on_postgresql_where_it_stopped_on_sqlite() {
    let receipts_come_late = Script {
        receipts: Receipts {
            delay_ms: Span::fixed(4_000),
            ..Receipts::default()
        },
        ..Script::default()
    };
    let carriers =
        ["vodacom_tz", "mtn_ng"].map(|id| Carrier::simulated(id, receipts_come_late.clone()));
    let mut world = World::start(Plan::of(carriers)).await;
    world.hook.set_answer(Answer::Status(500));
    let pause = ["carriers", "pause", "mtn_ng", "--reason", "we move"];
    world.ctl(&pause).await;

    // Some are with the carrier, their receipts and webhooks to come; some wait for their account,
    // some for their time.
    let due_at = SystemTime::now() + Duration::from_secs(8);
    let due_at = jiff::Timestamp::try_from(due_at).unwrap().to_string();
    let (mut sent, mut held, mut later) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..EACH {
        let text = |sort: &str| format!("{sort} {n}");
        let sms = world.sms("vodacom_tz", n, "transactional", &text("sent"));
        sent.push(world.client.send(&sms).await);
        let sms = world.sms("mtn_ng", n, "otp", &text("held"));
        held.push(world.client.send(&sms).await);
        let mut sms = world.sms("vodacom_tz", n, "promotional", &text("later"));
        sms["schedule_at"] = due_at.as_str().into();
        later.push(world.client.send(&sms).await);
    }
    for id in &sent {
        world.until(*id, "submitted").await;
    }
    let old = format!("sqlite:{}", world.folder().join("mnara.db").display());
    let database = database();
    let copy = [
        "ctl",
        "store",
        "copy",
        "--from",
        &old,
        "--to",
        &database.url(),
    ]
    .map(str::to_owned);
    let copy: Vec<&str> = copy.iter().map(String::as_str).collect();
    let early = run(&copy).await;
    let why = String::from_utf8_lossy(&early.stderr);
    assert_eq!(early.status.code(), Some(1));
    assert!(
        why.contains("--from: another daemon uses the database"),
        "{why}"
    );

    world.daemon.terminate().await;
    assert!(world.daemon.ended().await.success());
    let copied = run(&[&copy[..], &["--json"]].concat()).await;
    let told = String::from_utf8_lossy(&copied.stderr);
    assert!(copied.status.success(), "{told}");
    let copied: Value = serde_json::from_slice(&copied.stdout).unwrap();
    assert_eq!(copied["complete"], true, "{copied}");
    let rows = |table: &str| {
        let tables = copied["tables"].as_array().unwrap();
        let found = tables.iter().find(|one| one["table"] == table);
        found.unwrap()["to"]["rows"].as_u64().unwrap()
    };
    assert_eq!(rows("messages"), EACH * 3);
    assert!(rows("outbox") >= EACH, "webhooks are outstanding");
    let file = std::fs::read_to_string(&world.config).unwrap();
    assert!(file.contains(&old));
    std::fs::write(&world.config, file.replace(&old, &database.url())).unwrap();
    world.hook.set_answer(Answer::Status(204));
    world.restart().await;
    let recovered = world.daemon.log().event("store opened").unwrap();
    assert_eq!(recovered["uncertain"], 0, "the end was orderly there too");

    // The customer's key is known, and so is the operator's hold.
    for id in &held {
        assert_eq!(world.client.message(*id).await["status_detail"], "queued");
    }
    world.ctl(&["carriers", "resume", "mtn_ng"]).await;
    let all: Vec<Uuid> = [sent, held, later].concat();
    for id in &all {
        let message = world.until(*id, "delivered").await;
        assert_eq!(message["possible_duplicate"], false, "{message}");
    }
    for carrier in world.carriers() {
        let mut texts: Vec<String> = carrier.log.snapshot().into_iter().map(|s| s.text).collect();
        let submits = texts.len();
        texts.sort();
        texts.dedup();
        assert_eq!(submits, texts.len(), "nothing went twice");
    }
    eventually("all events are delivered", LIMIT, async || {
        let told = |id: &Uuid| world.hook.seen(*id).sent && world.hook.seen(*id).delivered;
        all.iter().all(told).then_some(())
    })
    .await;
    // SQLite is what it was.
    assert!(world.folder().join("mnara.db").exists());
}
