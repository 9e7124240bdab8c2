//! Lives here: webhook endpoints seen from outside: what they are told and in what order, rotation,
//! history, replay, what ends them, and the guides' own snippets over what was really sent.
//! Never here: the schedule of retries; `webhooks` has its own tests.

use std::io::Write;
use std::process::{Command, Stdio};

use hyper::Method;
use mnara_loadtest::hook::{Answer, Event, HookConfig, Receiver};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{Customer, LIMIT, Plan, World, eventually, header, sms};

const ENDPOINTS: &str = "/v1/webhooks/endpoints";

async fn receiver() -> Receiver {
    Receiver::start(HookConfig::default()).await.unwrap()
}

async fn ask(customer: &Customer, method: Method, path: &str, body: Value, status: u16) -> Value {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let answer = customer.call(method, path, body).await.unwrap();
    assert_eq!(answer.status, status, "{path}: {}", answer.text());
    answer.json()
}

/// An endpoint at a receiver, which then checks its signatures.
async fn endpoint(customer: &Customer, at: &Receiver, more: Value) -> Value {
    let mut body = more;
    body["url"] = at.url().into();
    let made = ask(customer, Method::POST, ENDPOINTS, body, 201).await;
    let made = made["data"].clone();
    at.set_secret(made["secret"].as_str().unwrap());
    made
}

fn path(endpoint: &Value) -> String {
    format!("{ENDPOINTS}/{}", endpoint["id"].as_str().unwrap())
}

async fn send(customer: &Customer, number: u64) -> Uuid {
    let text = format!("text {number}");
    customer
        .send(&sms("vodacom_tz", number, "transactional", &text))
        .await
}

async fn told(at: &Receiver, count: usize) -> Vec<Event> {
    let come = at.wait_until(LIMIT, |hook| hook.events().len() >= count);
    assert!(come.await, "{count} events: {:?}", at.counts());
    at.events()
}

fn body(event: &Event) -> Value {
    serde_json::from_slice(&event.body).unwrap()
}

#[tokio::test]
async fn an_endpoint_is_told_of_everything_in_sequence() {
    let world = World::start(Plan::simple()).await;
    let client = &world.client;
    let (all, some) = (receiver().await, receiver().await);
    let made = endpoint(client, &all, json!({})).await;
    assert_eq!(made["events"], json!(["*"]));
    assert_eq!(made["livemode"], true);
    let only = json!({"events": ["message.delivered"], "format": "moaa"});
    endpoint(client, &some, only).await;
    let id = send(client, 1).await;
    world.until(id, "delivered").await;
    let mut events: Vec<Value> = told(&all, 2).await.iter().map(body).collect();
    events.sort_by_key(|event| event["sequence"].as_u64());
    let kinds: Vec<_> = events.iter().map(|event| &event["type"]).collect();
    assert_eq!(kinds, ["message.sent", "message.delivered"]);
    assert_eq!(events[1]["sequence"], 2);
    assert_eq!(events[1]["data"]["id"], id.to_string());
    assert_eq!(all.counts().bad_signatures, 0);
    let flat = told(&some, 1).await;
    let object = body(&flat[0]);
    assert_eq!(object["event"], "message.delivered");
    assert_eq!(object["message_id"], id.to_string());
    assert_eq!(object["status"], "delivered");
    assert_eq!(
        header(&flat[0], "x-moaa-signature"),
        format!("sha256={}", header(&flat[0], "x-mojawave-signature"))
    );
    // Nothing of it is another's: neither to be seen nor to be had.
    world
        .ctl(&["org", "create", "Other", "--country", "TZ"])
        .await;
    let other = world.customer_of("Other").await;
    let listed = ask(&other, Method::GET, ENDPOINTS, Value::Null, 200).await;
    assert_eq!(listed["data"], json!([]));
    ask(&other, Method::GET, &path(&made), Value::Null, 404).await;
    ask(&other, Method::DELETE, &path(&made), Value::Null, 404).await;
    let history = ask(
        &other,
        Method::GET,
        "/v1/webhooks/deliveries",
        Value::Null,
        200,
    )
    .await;
    assert_eq!(history["data"], json!([]));
    // What was shown once is not shown again.
    let shown = ask(client, Method::GET, &path(&made), Value::Null, 200).await;
    assert!(shown["data"].get("secret").is_none());
}

#[tokio::test]
async fn while_two_secrets_hold_both_sign_and_the_old_one_leads_the_legacy_header() {
    let world = World::start(Plan::simple()).await;
    let client = &world.client;
    let at = receiver().await;
    let made = endpoint(client, &at, json!({"events": ["message.sent"]})).await;
    let rotate = format!("{}/rotate-secret", path(&made));
    let rotated = ask(client, Method::POST, &rotate, Value::Null, 200).await;
    assert_ne!(rotated["data"]["secret"], made["secret"]);
    assert!(rotated["data"]["cutover_at"].is_string());
    send(client, 1).await;
    let both = told(&at, 1).await.remove(0);
    assert_eq!(both.signature_ok, Some(true), "the old secret still leads");
    let signatures: Vec<&str> = header(&both, "webhook-signature").split(' ').collect();
    assert_eq!(signatures.len(), 2);
    assert!(signatures.iter().all(|one| one.starts_with("v1,")));
    let third = ask(client, Method::POST, &rotate, Value::Null, 409).await;
    assert_eq!(third["code"], "conflict");
    let until = rotated["data"]["cutover_at"].as_str().unwrap();
    let message = third["message"].as_str().unwrap();
    assert!(message.contains(until), "{message}");
    let at_once = json!({"overlap_seconds": 0});
    let last = ask(client, Method::POST, &rotate, at_once, 200).await;
    at.set_secret(last["data"]["secret"].as_str().unwrap());
    send(client, 2).await;
    let one = told(&at, 2).await.remove(1);
    assert_eq!(one.signature_ok, Some(true), "the new secret leads now");
    assert!(!header(&one, "webhook-signature").contains(' '));
}

#[tokio::test]
async fn what_was_told_can_be_read_and_told_again() {
    let world = World::start(Plan::simple()).await;
    let client = &world.client;
    let at = receiver().await;
    let made = endpoint(client, &at, json!({"events": ["message.sent"]})).await;
    at.answer_next([Answer::Status(500)]);
    let id = send(client, 1).await;
    // The first answer was a failure; five seconds later it is tried again.
    let events = told(&at, 2).await;
    assert_eq!(events[0].body, events[1].body);
    let name = header(&events[0], "webhook-id").to_owned();
    let history = "/v1/webhooks/deliveries?event=message.sent";
    let listed = eventually("both attempts are recorded", LIMIT, async || {
        let listed = ask(client, Method::GET, history, Value::Null, 200).await;
        (listed["data"].as_array().unwrap().len() == 2).then_some(listed)
    })
    .await;
    let (second, first) = (&listed["data"][0], &listed["data"][1]);
    assert_eq!(
        (&first["status"], &second["status"]),
        (&json!("failed"), &json!("delivered"))
    );
    assert_eq!(first["http_status"], 500);
    assert_eq!(first["message_id"], id.to_string());
    assert_eq!(first["endpoint_id"], made["id"]);
    let one = format!("/v1/webhooks/deliveries/{}", first["id"].as_str().unwrap());
    let one = ask(client, Method::GET, &one, Value::Null, 200).await;
    let sent = String::from_utf8(events[0].body.clone()).unwrap();
    assert_eq!(one["data"]["request"]["body"], sent);
    assert_eq!(one["data"]["request"]["headers"]["webhook-id"], name);
    assert_eq!(one["data"]["response"]["status"], 500);
    let first_page = ask(
        client,
        Method::GET,
        &format!("{history}&limit=1"),
        Value::Null,
        200,
    )
    .await;
    let cursor = first_page["next_cursor"].as_str().unwrap();
    let next = format!("{history}&limit=1&cursor={cursor}");
    let next = ask(client, Method::GET, &next, Value::Null, 200).await;
    assert_eq!(next["data"][0], *first);
    assert_eq!(next["has_more"], false);

    let again = format!("/v1/webhooks/events/{name}/replay");
    let replayed = ask(client, Method::POST, &again, Value::Null, 202).await;
    assert_eq!(replayed["data"]["replayed"], 1);
    let events = told(&at, 3).await;
    assert_eq!(header(&events[2], "webhook-id"), name);
    assert_eq!(events[2].body, events[0].body);
    eventually("the third attempt is recorded", LIMIT, async || {
        let listed = ask(client, Method::GET, history, Value::Null, 200).await;
        (listed["data"].as_array().unwrap().len() == 3).then_some(())
    })
    .await;
    let span = format!("{}/replay?since=2020-01-01T00:00:00Z", path(&made));
    let replayed = ask(client, Method::POST, &span, Value::Null, 202).await;
    let all = json!({"replayed": 1, "has_more": false, "next_cursor": null});
    assert_eq!(replayed["data"], all);
    let behind = format!("{span}&cursor={name}");
    let none = ask(client, Method::POST, &behind, Value::Null, 202).await;
    assert_eq!(none["data"]["replayed"], 0);
    told(&at, 4).await;
    let wrong = format!("{span}&cursor=dlv_1");
    ask(client, Method::POST, &wrong, Value::Null, 400).await;
    let backwards = format!("{span}&until=2019-01-01T00:00:00Z");
    ask(client, Method::POST, &backwards, Value::Null, 400).await;

    let test = format!("{}/test", path(&made));
    let tried = ask(client, Method::POST, &test, Value::Null, 200).await;
    assert_eq!(tried["data"]["delivered"], true);
    assert_eq!(tried["data"]["http_status"], 200);
    let events = told(&at, 5).await;
    assert_eq!(events[4].kind, "endpoint.test");
    assert_eq!(events[4].signature_ok, Some(true));
}

#[tokio::test]
async fn an_endpoint_that_is_gone_is_called_no_more_until_somebody_says_so() {
    let world = World::start(Plan::simple()).await;
    let client = &world.client;
    let (gone, other) = (receiver().await, receiver().await);
    let made = endpoint(client, &gone, json!({})).await;
    endpoint(client, &other, json!({"events": ["endpoint.disabled"]})).await;
    gone.set_answer(Answer::Status(410));
    let id = send(client, 1).await;
    world.until(id, "delivered").await;
    let notice = body(&told(&other, 1).await[0]);
    assert_eq!(notice["type"], "endpoint.disabled");
    assert_eq!(notice["data"]["id"], made["id"]);
    assert_eq!(notice["data"]["disabled_reason"], "gone");
    let shown = ask(client, Method::GET, &path(&made), Value::Null, 200).await;
    assert_eq!(shown["data"]["status"], "disabled");
    assert_eq!(shown["data"]["disabled_reason"], "gone");
    let listed = world
        .ctl(&["webhooks", "endpoints", "--org", "Tester"])
        .await;
    assert_eq!(listed["endpoints"][0]["reason"], "gone");
    let calls = gone.counts().requests;
    gone.set_answer(Answer::Status(200));
    let enabled = json!({"status": "enabled"});
    let enabled = ask(client, Method::PATCH, &path(&made), enabled, 200).await;
    assert_eq!(enabled["data"]["status"], "enabled");
    assert_eq!(gone.counts().requests, calls);
    let id = send(client, 2).await;
    world.until(id, "delivered").await;
    assert!(gone.wait_until(LIMIT, |hook| hook.seen(id).delivered).await);
    let named = made["id"].as_str().unwrap();
    let tried = world.ctl(&["webhooks", "test", named]).await;
    let outcome = tried["outcome"].as_str().unwrap();
    assert!(outcome.contains("HTTP 200"), "{outcome}");
    world.ctl(&["webhooks", "disable", named]).await;
    let shown = ask(client, Method::GET, &path(&made), Value::Null, 200).await;
    assert_eq!(shown["data"]["disabled_reason"], "asked");
    let deliveries = world.ctl(&["webhooks", "deliveries", "Tester"]).await;
    assert!(deliveries["deliveries"].as_array().unwrap().len() >= 4);
    ask(client, Method::DELETE, &path(&made), Value::Null, 200).await;
    ask(client, Method::GET, &path(&made), Value::Null, 404).await;
}

#[tokio::test]
async fn a_balance_that_comes_down_is_told_once() {
    let world = World::start(Plan::simple()).await;
    world
        .ctl(&["org", "create", "Duka", "--country", "TZ"])
        .await;
    let add = ["credits", "add", "Duka", "5", "--reference", "INV-1"];
    world.ctl(&add).await;
    world.ctl(&["credits", "threshold", "Duka", "3"]).await;
    let duka = world.customer_of("Duka").await;
    let at = receiver().await;
    endpoint(
        &duka,
        &at,
        json!({"events": ["credits.low", "message.delivered"]}),
    )
    .await;
    for number in 1..=4 {
        send(&duka, number).await;
    }
    let events = told(&at, 5).await;
    let low: Vec<Value> = events
        .iter()
        .map(body)
        .filter(|event| event["type"] == "credits.low")
        .collect();
    assert_eq!(low.len(), 1, "{low:?}");
    let data = &low[0]["data"];
    assert_eq!(data["service_type"], "sms");
    assert_eq!(data["low_balance_threshold"], 3);
    assert_eq!(data["is_low_balance"], true);
    assert!(data["balance"].as_i64().unwrap() <= 3);
}

#[tokio::test]
async fn an_url_that_leads_inside_is_refused_with_its_reason() {
    let world = World::start(Plan::simple()).await;
    for url in [
        "https://10.0.0.1/hook",
        "https://0x7f000001/hook",
        "https://2130706433/hook",
        "https://0177.0.0.1/hook",
        "https://[::ffff:127.0.0.1]/hook",
        "https://169.254.169.254/latest",
        "http://example.com/hook",
        "https://example.com:22/hook",
        "https://user:word@example.com/hook",
        "not a url",
    ] {
        let body = json!({"url": url});
        let refused = ask(&world.client, Method::POST, ENDPOINTS, body, 422).await;
        assert_eq!(refused["error"]["param"], "url", "{url}");
    }
    let refused = ask(&world.client, Method::POST, ENDPOINTS, json!({}), 400).await;
    assert_eq!(refused["error"]["param"], "url");
    let wrong = json!({"url": "https://example.com/", "events": ["message.read"]});
    let refused = ask(&world.client, Method::POST, ENDPOINTS, wrong, 400).await;
    assert_eq!(refused["error"]["param"], "events");
}

/// Seed 003's functions, letter by letter, with what feeds them.
const PYTHON: &str = r#"
import hmac, hashlib

def verify_signature(payload: bytes, sig: str, secret: str) -> bool:
    expected = hmac.new(
        secret.encode(),
        payload,
        hashlib.sha256
    ).hexdigest()
    return hmac.compare_digest(expected, sig)

import sys
print("fine" if verify_signature(sys.stdin.buffer.read(), sys.argv[1], sys.argv[2]) else "Forbidden")
"#;
const NODE: &str = r"
import { createHmac, timingSafeEqual } from 'crypto';

function verifySignature(payload, sig, secret) {
  const expected = createHmac('sha256', secret)
    .update(payload)
    .digest('hex');
  return timingSafeEqual(
    Buffer.from(expected),
    Buffer.from(sig)
  );
}

import { readFileSync } from 'fs';
const [sig, secret] = process.argv.slice(-2);
console.log(verifySignature(readFileSync(0), sig, secret) ? 'fine' : 'Forbidden');
";
/// On the command line the request's body is the standard input.
const PHP: &str = r"
$_SERVER['HTTP_X_MOJAWAVE_SIGNATURE'] = $argv[1];
putenv('WEBHOOK_SECRET=' . $argv[2]);

$payload = file_get_contents('php://stdin');
$sig     = $_SERVER['HTTP_X_MOJAWAVE_SIGNATURE'] ?? '';
$secret  = getenv('WEBHOOK_SECRET');

$expected = hash_hmac('sha256', $payload, $secret);

if (!hash_equals($expected, $sig)) {
    http_response_code(403);
    exit('Forbidden');
}
echo 'fine';
";

/// What a snippet says; `None`: its interpreter is not on this machine.
fn says(interpreter: &[&str], event: &Event, secret: &str, body: &[u8]) -> Option<String> {
    let signature = header(event, "x-mojawave-signature");
    let mut child = Command::new(interpreter[0])
        .args(&interpreter[1..])
        .args([signature, secret])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    child.stdin.take().unwrap().write_all(body).unwrap();
    let output = child.wait_with_output().unwrap();
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[tokio::test]
async fn the_guides_snippets_accept_what_we_send_and_refuse_a_changed_octet() {
    let world = World::start(Plan::simple()).await;
    let client = &world.client;
    let at = receiver().await;
    let made = endpoint(client, &at, json!({})).await;
    let id = send(client, 1).await;
    world.until(id, "delivered").await;
    let events = told(&at, 2).await;
    let secret = made["secret"].as_str().unwrap();
    let snippets: [(&str, Vec<&str>); 3] = [
        ("Python", vec!["python3", "-c", PYTHON]),
        ("Node", vec!["node", "--input-type=module", "-e", NODE]),
        ("PHP", vec!["php", "-r", PHP, "--"]),
    ];
    let mut ran = 0;
    for (language, interpreter) in snippets {
        for event in &events {
            let Some(said) = says(&interpreter, event, secret, &event.body) else {
                eprintln!("{language} is not on this machine: its snippet was not run");
                break;
            };
            assert_eq!(said, "fine", "{language}");
            let mut changed = event.body.clone();
            changed[10] ^= 1;
            let said = says(&interpreter, event, secret, &changed).unwrap();
            assert_eq!(said, "Forbidden", "{language}");
            ran += 1;
        }
    }
    assert!(ran > 0, "python3 at least is on every machine that tests");
}
