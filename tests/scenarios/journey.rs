//! Lives here: one message, all the way: REST, SMPP, receipt, webhook; the signatures as receivers check them.
//! Never here: anything going wrong.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use mnara_loadtest::hook::Event;
use serde_json::json;
use sha2::Sha256;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::world::{LIMIT, Plan, Stored, World, eventually, header};

/// Seed 003, "Signature Verification": the function as printed; the lines below it stand for the
/// view, which gets body, header and secret from its framework.
const SEED_SNIPPET: &str = r#"
import hmac, hashlib

def verify_signature(payload: bytes, sig: str, secret: str) -> bool:
    expected = hmac.new(
        secret.encode(),
        payload,
        hashlib.sha256
    ).hexdigest()
    return hmac.compare_digest(expected, sig)

import sys
print(verify_signature(sys.stdin.buffer.read(), sys.argv[1], sys.argv[2]))
"#;

#[tokio::test]
async fn a_message_travels_from_rest_over_smpp_and_its_receipt_to_a_signed_webhook() {
    the_whole_way(Stored::Sqlite).await;
}

#[tokio::test]
async fn a_message_travels_from_rest_over_smpp_and_its_receipt_to_a_signed_webhook_on_postgresql() {
    the_whole_way(Stored::Postgres).await;
}

async fn the_whole_way(stored: Stored) {
    let world = World::start(Plan::simple().stored(stored)).await;
    let mut sms = world.sms("vodacom_tz", 7, "transactional", "Habari za asubuhi");
    sms["metadata"] = json!({"customer_id": "cust98765"});
    sms["tags"] = json!(["onboarding"]);
    let answer = world.client.try_send(&sms).await.unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text());
    let id = answer.id();
    assert_eq!(answer.headers["location"], format!("/v1/messages/{id}"));
    let accepted = answer.json()["data"].take();
    assert_eq!(
        (&accepted["status"], &accepted["segments"]),
        (&json!("queued"), &json!(1))
    );

    let told = |hook: &_| World::told(hook, id);
    assert!(
        world.hook.wait_until(LIMIT, told).await,
        "sent and delivered are told"
    );
    let submits = world.carrier().submits_of("Habari za asubuhi");
    assert_eq!(submits.len(), 1);
    assert_eq!(
        (&*submits[0].source, &*submits[0].dest),
        ("MNARA", "255750000007")
    );

    let message = world.until(id, "delivered").await;
    assert_eq!(message["status"], "delivered");
    assert_eq!(message["body"], "Habari za asubuhi");
    assert_eq!(message["metadata"], sms["metadata"]);
    assert!(message["timeline"]["delivered_at"].is_string(), "{message}");
    assert_eq!(message["possible_duplicate"], false);

    let counts = world.hook.counts();
    assert_eq!((counts.sent, counts.delivered, counts.failed), (1, 1, 0));
    assert_eq!((counts.bad_signatures, counts.doubled), (0, 0));
    for event in world.hook.events() {
        check_signatures(&event, &world.secret);
    }
    let delivered = delivered_event(&world);
    let body: serde_json::Value = serde_json::from_slice(&delivered.body).unwrap();
    assert_eq!(body["data"]["metadata"], sms["metadata"]);
    assert_eq!(body["id"], header(&delivered, "webhook-id"));
    timeline_tells_the_story(&world, id).await;
}

#[tokio::test]
async fn the_seeds_python_snippet_accepts_the_webhook_and_refuses_a_changed_octet() {
    let world = World::start(Plan::simple()).await;
    let sms = world.sms("vodacom_tz", 1, "transactional", "Verify me: é €");
    let id = world.client.send(&sms).await;
    assert!(
        world
            .hook
            .wait_until(LIMIT, |hook| World::told(hook, id))
            .await
    );
    let event = delivered_event(&world);
    let signature = header(&event, "X-MojaWave-Signature");
    assert_eq!(
        snippet(&event.body, signature, &world.secret).await,
        "True\n"
    );
    let mut changed = event.body.clone();
    changed[20] ^= 1;
    assert_eq!(snippet(&changed, signature, &world.secret).await, "False\n");
}

impl World {
    /// Whether both good events of a message have come.
    fn told(hook: &mnara_loadtest::hook::Receiver, id: uuid::Uuid) -> bool {
        let seen = hook.seen(id);
        seen.sent && seen.delivered
    }
}

fn delivered_event(world: &World) -> Event {
    let events = world.hook.events();
    let found = events
        .into_iter()
        .find(|event| event.kind == "message.delivered");
    found.unwrap()
}

async fn timeline_tells_the_story(world: &World, id: uuid::Uuid) {
    // Deliveries are recorded after the receiver has answered.
    let events = eventually("both deliveries are recorded", LIMIT, async || {
        let events = world.client.events(id).await;
        let webhooks = events.iter().filter(|event| event["type"] == "webhook");
        (webhooks.count() == 2).then_some(events)
    })
    .await;
    let kinds: Vec<&str> = events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    for kind in ["accepted", "submitted", "carrier_answer", "dlr"] {
        let count = kinds.iter().filter(|known| **known == kind).count();
        assert_eq!(count, 1, "{kind} in {kinds:?}");
    }
    assert_eq!(kinds[0], "accepted");
    let answer = events
        .iter()
        .find(|event| event["type"] == "carrier_answer")
        .unwrap();
    assert_eq!(answer["name"], "ESME_ROK");
    let submits = world.carrier().log.snapshot();
    assert_eq!(answer["smsc_id"], submits[0].message_id);
    let times: Vec<&str> = events
        .iter()
        .map(|event| event["at"].as_str().unwrap())
        .collect();
    assert!(times.is_sorted(), "{times:?}");
}

fn check_signatures(event: &Event, secret: &str) {
    let (id, at) = (
        header(event, "webhook-id"),
        header(event, "webhook-timestamp"),
    );
    let hex = |octets: &[u8]| {
        octets
            .iter()
            .map(|octet| format!("{octet:02x}"))
            .collect::<String>()
    };
    let legacy = hex(&mac(secret.as_bytes(), &[&event.body]));
    assert_eq!(header(event, "X-MojaWave-Signature"), legacy);
    assert_eq!(
        header(event, "X-Moaa-Signature"),
        format!("sha256={legacy}")
    );
    let key = STANDARD
        .decode(secret.strip_prefix("whsec_").unwrap())
        .unwrap();
    let standard = mac(
        &key,
        &[id.as_bytes(), b".", at.as_bytes(), b".", &event.body],
    );
    assert_eq!(
        header(event, "webhook-signature"),
        format!("v1,{}", STANDARD.encode(standard))
    );
}

fn mac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

async fn snippet(body: &[u8], signature: &str, secret: &str) -> String {
    let mut python = Command::new("python3")
        .args(["-c", SEED_SNIPPET, signature, secret])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("this scenario runs the seed's snippet: install python3");
    let mut stdin = python.stdin.take().unwrap();
    stdin.write_all(body).await.unwrap();
    drop(stdin);
    let output = python.wait_with_output().await.unwrap();
    String::from_utf8(output.stdout).unwrap()
}
