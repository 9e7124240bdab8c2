//! Lives here: test keys: every magic number with its answer, its events and their times, nothing at
//! any carrier, nothing charged; and what a killed daemon has left.
//! Never here: live keys.

use std::time::{Duration, Instant};

use mnara_loadtest::hook::Event;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{Customer, LIMIT, Plan, World, eventually};

/// The first and last moment for an event, seconds after the call (seed 003).
const WINDOW: (f64, f64) = (2.0, 5.0);

/// A sent test message.
struct Sent {
    id: Uuid,
    called: Instant,
    answered: Instant,
}

/// A customer who has two credits, with a test key.
async fn sandbox() -> (World, Customer) {
    let world = World::start(Plan::simple()).await;
    let create = ["org", "create", "Duka", "--country", "TZ"];
    let duka = world.ctl(&create).await;
    world
        .hook
        .set_secret(duka["webhook_secret"].as_str().unwrap());
    let bought = ["credits", "add", "Duka", "2", "--reference", "INV-1"];
    world.ctl(&bought).await;
    let tester = world.tester_of("Duka").await;
    assert!(tester.key.starts_with("sk_test_mw_"), "{}", tester.key);
    (world, tester)
}

fn body(world: &World, to: &str) -> Value {
    json!({"to": to, "from": "MNARA", "message": "Habari", "webhook_url": world.hook.url()})
}

async fn send(world: &World, tester: &Customer, to: &str) -> Sent {
    let called = Instant::now();
    let answer = tester.try_send(&body(world, to)).await.unwrap();
    assert_eq!(answer.status, 201, "{to}: {}", answer.text());
    let data = &answer.json()["data"];
    assert_eq!(
        (&data["status"], &data["credits_cost"]),
        (&json!("queued"), &json!(0))
    );
    Sent {
        id: answer.id(),
        called,
        answered: Instant::now(),
    }
}

fn events_of(world: &World, id: Uuid) -> Vec<Event> {
    let events = world.hook.events().into_iter();
    events
        .filter(|event| event.message_id == Some(id))
        .collect()
}

async fn status(tester: &Customer, id: Uuid, wanted: &str, limit: Duration) -> Value {
    eventually(&format!("{id} is {wanted}"), limit, async || {
        let message = tester.message(id).await;
        (message["status"] == wanted).then_some(message)
    })
    .await
}

async fn nothing_left_the_house(world: &World, tester: &Customer) {
    assert_eq!(world.carrier().log.count(|_| true), 0, "no carrier saw any");
    let answer = tester
        .call(hyper::Method::GET, "/v1/credits", "")
        .await
        .unwrap();
    let sms = answer.json()["data"]["sms"].clone();
    let amounts = ["balance", "reserved", "total_consumed"].map(|name| sms[name].as_i64());
    assert_eq!(amounts, [Some(2), Some(0), Some(0)]);
    let shown = world.ctl(&["credits", "show", "Duka"]).await;
    assert_eq!(shown["differences"], json!([]));
}

#[tokio::test]
async fn every_magic_number_ends_as_documented_with_its_events_in_two_to_five_seconds() {
    let (world, tester) = sandbox().await;
    let table = [
        (
            "+255750000001",
            "delivered",
            None,
            &["sent", "delivered"][..],
        ),
        (
            "+255750000002",
            "failed",
            Some("absent_subscriber"),
            &["sent", "failed"],
        ),
        (
            "+255750000003",
            "failed",
            Some("unknown_subscriber"),
            &["failed"],
        ),
        ("+255750000004", "failed", Some("blocked_dnd"), &["failed"]),
        (
            "+255750000005",
            "failed",
            Some("expired"),
            &["sent", "failed"],
        ),
        ("+255750000006", "delivered", None, &["sent", "delivered"]),
        (
            "+255750000012",
            "failed",
            Some("carrier_rejected"),
            &["sent", "failed"],
        ),
        ("+255753276939", "delivered", None, &["sent", "delivered"]),
        ("+2348030000001", "delivered", None, &["sent", "delivered"]),
        ("+2348030000004", "failed", Some("blocked_dnd"), &["failed"]),
    ];
    let mut sent = Vec::new();
    for (to, ..) in table {
        sent.push(send(&world, &tester, to).await);
    }
    for ((to, wanted, failure, kinds), sent) in table.into_iter().zip(&sent) {
        let message = status(&tester, sent.id, wanted, LIMIT).await;
        let code = failure.map_or(Value::Null, Value::from);
        assert_eq!(message["failure_code"], code, "{to}: {message}");
        let events = eventually(&format!("the events of {to}"), LIMIT, async || {
            let events = events_of(&world, sent.id);
            (events.len() >= kinds.len()).then_some(events)
        })
        .await;
        let told: Vec<_> = events.iter().map(|event| event.kind.as_str()).collect();
        let expected: Vec<_> = kinds.iter().map(|kind| format!("message.{kind}")).collect();
        assert_eq!(told, expected, "{to}");
        for event in &events {
            let envelope: Value = serde_json::from_slice(&event.body).unwrap();
            assert_eq!(envelope["livemode"], false, "{to}");
            let after = |from: Instant| event.at.duration_since(from).as_secs_f64();
            let at = (after(sent.called), after(sent.answered));
            assert!(at.0 >= WINDOW.0, "{to}: {} after {} s", event.kind, at.0);
            assert!(at.1 <= WINDOW.1, "{to}: {} after {} s", event.kind, at.1);
        }
    }
    assert_eq!(world.hook.counts().bad_signatures, 0);
    let throttled = ["carrier=\"sandbox\"", "reason=\"throttled\""];
    assert_eq!(world.metric("mnara_retries_total", &throttled).await, 1.0);
    nothing_left_the_house(&world, &tester).await;
}

#[tokio::test]
async fn what_the_sandbox_refuses_is_refused_as_on_a_live_key() {
    let (world, tester) = sandbox().await;
    for (to, status, code) in [
        ("+255750000008", 402, "insufficient_balance"),
        ("+255750000009", 403, "sender_not_approved"),
        ("+255750000010", 429, "rate_limit_exceeded"),
        ("+255750000011", 500, "server_error"),
        ("+2348030000008", 402, "insufficient_balance"),
        ("+255999", 422, "invalid_number"),
    ] {
        let answer = tester.try_send(&body(&world, to)).await.unwrap();
        let told = answer.json();
        assert_eq!(
            (answer.status, &told["code"]),
            (status, &json!(code)),
            "{told}"
        );
        assert_eq!(told["success"], false);
        match status {
            402 => {
                let details = json!({"balance": 0, "required": 1, "shortfall": 1});
                assert_eq!(told["details"], details);
            }
            429 => assert_eq!(answer.headers["retry-after"], "1"),
            403 => assert_eq!(told["error"]["param"], "from"),
            _ => {}
        }
    }
    // Nobody is called for a fault that was asked for.
    let errors = world.daemon.log().events().into_iter();
    assert_eq!(errors.filter(|line| line["level"] == "ERROR").count(), 0);
    // A dry run tells the same, and where it would go.
    let dry = async |to: &str| {
        let text = body(&world, to).to_string();
        let path = "/v1/sms/send?dry_run=true";
        tester.call(hyper::Method::POST, path, text).await.unwrap()
    };
    assert_eq!(dry("+255750000009").await.status, 403);
    let told = dry("+255750000001").await.json();
    assert_eq!(told["data"]["carrier"], "sandbox", "{told}");
    nothing_left_the_house(&world, &tester).await;
}

#[tokio::test]
async fn what_a_killed_daemon_has_left_in_the_sandbox_still_ends() {
    let (mut world, mut tester) = sandbox().await;
    let slow = send(&world, &tester, "+255750000007").await;
    let silent = send(&world, &tester, "+255750000005").await;
    status(&tester, slow.id, "sent", LIMIT).await;
    let queued = send(&world, &tester, "+255750000001").await;
    world.daemon.kill().await;
    world.restart().await;
    tester.api = world.daemon.api;
    status(&tester, silent.id, "failed", LIMIT).await;
    let message = status(&tester, queued.id, "delivered", LIMIT).await;
    assert_eq!(message["possible_duplicate"], false);
    let minute = Duration::from_secs(60);
    status(&tester, slow.id, "delivered", minute + LIMIT).await;
    assert!(slow.called.elapsed() >= minute, "a minute after the call");
    nothing_left_the_house(&world, &tester).await;
}

#[tokio::test]
async fn operators_can_cancel_test_messages_and_move_them_nowhere() {
    let (world, tester) = sandbox().await;
    let sent = send(&world, &tester, "+255750000001").await;
    let reroute = [
        "queue",
        "reroute",
        "--carrier",
        "sandbox",
        "--to",
        "vodacom_tz",
    ];
    let reroute = [&reroute[..], &["--reason", "a test"]].concat();
    let refused = world.try_ctl(&reroute).await;
    assert!(refused.contains("stay with the sandbox"), "{refused}");
    let purge = [
        "queue",
        "purge",
        "--carrier",
        "sandbox",
        "--reason",
        "a test",
    ];
    world.ctl(&purge).await;
    status(&tester, sent.id, "canceled", LIMIT).await;
    // Longer than its answer would take.
    let other = send(&world, &tester, "+255750000001").await;
    status(&tester, other.id, "delivered", LIMIT).await;
    let events = tester.events(sent.id).await;
    let kinds: Vec<_> = events.iter().map(|event| &event["type"]).collect();
    assert!(!kinds.contains(&&json!("carrier_answer")), "{kinds:?}");
    let accounts = world.ctl(&["carriers", "list"]).await.to_string();
    assert!(
        !accounts.contains("sandbox"),
        "it is no carrier: {accounts}"
    );
    nothing_left_the_house(&world, &tester).await;
}
