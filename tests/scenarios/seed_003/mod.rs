//! Lives here: the requests and answers that seed 003 prints, against the real daemon: the printed key,
//! bodies, status codes and JSON, only the host and the webhook's address changed.
//! Never here: what the seed only describes; how JSON is held against JSON (`printed`).

mod printed;

use hyper::Method;
use mnara_loadtest::smsc::{Rule, Script, Then};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sqlx::{Connection, SqliteConnection};
use tokio::process::Command;

use self::printed::holds;
use crate::world::{Answer, Carrier, Customer, LIMIT, Plan, World, eventually, header};

/// The key of the seed's examples.
const KEY: &str = "sk_live_mw_8472910";

/// "Quickstart".
const CURL: &str = r#"curl -X POST https://api.mojawave.com/v1/sms/send \
  -H "Authorization: Bearer sk_live_mw_8472910" \
  -H "Content-Type: application/json" \
  -d '{
    "to": "+255753276939",
    "from": "MojaWave",
    "message": "Hello from Mojawave! Your verification code is 1234."
  }'"#;

/// "SMS — Send Message", the example request body.
const SEND: &str = r#"{
  "to": "+255753276939",
  "from": "MojaWave",
  "message": "Hello from Mojawave! Your verification code is 1234.",
  "webhook_url": "https://example.com/webhook/sms",
  "metadata": {
    "customer_id": "cust98765"
  },
  "tags": ["onboarding", "verification"]
}"#;

/// Its answer, without `sent_at`: at accept no carrier has it (`reference/api.md`, points 1 and 2).
const ACCEPTED: &str = r#"{
  "success": true,
  "data": {
    "id": "89b82624-f1a2-4f5e-85b5-102e79a06779",
    "type": "sms",
    "to": "+255753276939",
    "status": "queued",
    "segments": 1,
    "credits_cost": 1,
    "queued_at": "2026-04-05T12:03:04.485Z"
  }
}"#;

/// The same as printed, for who prefers to wait for a carrier.
const SENT: &str = r#"{
  "success": true,
  "data": {
    "id": "89b82624-f1a2-4f5e-85b5-102e79a06779",
    "type": "sms",
    "to": "+255753276939",
    "status": "sent",
    "segments": 1,
    "credits_cost": 1,
    "queued_at": "2026-04-05T12:03:04.485Z",
    "sent_at": "2026-04-05T12:04:04.393Z"
  }
}"#;

/// "Quickstart", its answer.
const STARTED: &str = r#"{
  "success": true,
  "data": {
    "id": "89b82624-f1a2-4f5e-85b5-102e79a06779",
    "type": "sms",
    "to": "+255753276939",
    "status": "sent",
    "body": "Hello from Mojawave! Your verification code is 1234.",
    "segments": 1,
    "credits_cost": 1,
    "timeline": {
      "queued_at": "2026-04-05T12:03:04.485Z",
      "sent_at": "2026-04-05T12:04:04.393Z"
    }
  }
}"#;

/// "SMS — Get Message Details".
const DETAILS: &str = r#"{
  "success": true,
          "data": {
    "id": "89b82624-f1a2-4f5e-85b5-102e79a06779",
    "type": "sms",
    "to": "+255753276939",
    "from": "MojaWave",
    "status": "delivered",
    "segments": 1,
    "credits_cost": 1,
    "timeline": {
      "queued_at": "2026-04-05T12:03:04.485Z",
      "sent_at": "2026-04-05T12:04:04.393Z",
      "delivered_at": "2026-04-05T12:05:06.751Z"
    }
  }
}"#;

/// "SMS — Bulk Send".
const BULK: &str = r#"{
  "name": "Marketing Campaign Q1",
  "from": "MOJAWAVE",
  "message": "Hello , your code is ",
  "recipients": [
    {
      "to": "+255712345678",
      "personalization": {
        "name": "John",
        "code": "ABC123"
      }
    },
    {
      "to": "+255712345678",
      "personalization": {
        "name": "Jane",
        "code": "ABC123"
      }
    }
  ],
  "webhook_url": "https://example.com/webhooks"
}"#;

/// Its answer.
const JOB: &str = r#"{
  "success": true,
  "data": {
    "job_id": "ec0fb57c-8b90-4e21-9f96-48235d6a05ac",
    "status": "scheduled",
    "total_recipients": 2,
    "estimated_credits": 2,
    "has_personalization": true,
    "personalization_fields": ["code", "name"],
    "scheduled_at": "2026-04-05T12:07:14.559Z",
    "created_at": "2026-04-05T12:06:25.317Z"
  }
}"#;

/// "SMS — Get Bulk Job Details".
const JOB_DONE: &str = r#"{
  "success": true,
  "data": {
    "id": "ec0fb57c-8b90-4e21-9f96-48235d6a05ac",
    "name": "Marketing Campaign Q1",
    "status": "completed",
    "total_recipients": 2,
    "sent_count": 2,
    "progress_percent": 100.0,
    "total_credits_cost": 2,
    "completed_at": "2026-04-05T12:08:09.610Z"
  }
}"#;

/// "Webhooks — Overview & Events", without its comment.
const ENVELOPE: &str = r#"{
  "id": "evt_3r9qhz7b1k",
  "type": "message.delivered",
  "created_at": "2026-04-05T12:05:01Z",
  "livemode": true,
  "data": {
    "id": "89b82624-f1a2-4f5e-85b5-102e79a06779"
  }
}"#;

/// "Credits — Check Balance".
const CREDITS: &str = r#"{
  "success": true,
  "data": {
    "sms": {
      "service_type": "sms",
      "balance": 5000,
      "total_purchased": 10000,
      "total_consumed": 5000,
      "low_balance_threshold": 500,
      "is_low_balance": false
    },
    "email": {
      "service_type": "email",
      "balance": 200,
      "total_purchased": 1000,
      "total_consumed": 800,
      "low_balance_threshold": 100,
      "is_low_balance": true
    }
  }
}"#;

/// The seed's customer: its key as printed, and one simulated carrier. Keys that are made are longer,
/// and no mail is sent yet: these two stand in the rows by our hand.
async fn printed_world() -> (World, Customer) {
    printed_world_of(Plan::simple()).await
}

async fn printed_world_of(plan: Plan) -> (World, Customer) {
    let mut world = World::start(plan).await;
    let create = ["org", "create", "MojaWave", "--country", "TZ"];
    let org = world
        .ctl(&[&create[..], &["--sender", "MojaWave"]].concat())
        .await;
    world
        .hook
        .set_secret(org["webhook_secret"].as_str().unwrap());
    for (amount, channel) in [("10000", "sms"), ("1000", "email")] {
        let add = ["credits", "add", "MojaWave", amount, "--reference", "INV-1"];
        world
            .ctl(&[&add[..], &["--channel", channel]].concat())
            .await;
    }
    for (threshold, channel) in [("500", "sms"), ("100", "email")] {
        let low = ["credits", "threshold", "MojaWave", threshold];
        world
            .ctl(&[&low[..], &["--channel", channel]].concat())
            .await;
    }
    let mut customer = world.customer_of("MojaWave").await;
    world.daemon.terminate().await;
    world.daemon.ended().await;
    by_hand(&world, &customer.key).await;
    world.restart().await;
    customer.api = world.daemon.api;
    customer.key = KEY.into();
    (world, customer)
}

async fn by_hand(world: &World, key: &str) {
    let url = format!("sqlite:{}", world.folder().join("mnara.db").display());
    let mut rows = SqliteConnection::connect(&url).await.unwrap();
    let hash = |secret: &str| Sha256::digest(secret.as_bytes()).to_vec();
    let printed = hash(KEY.strip_prefix("sk_live_mw_").unwrap());
    let made = hash(key.strip_prefix("sk_live_mw_").unwrap());
    let changed = sqlx::query("update api_keys set hash = $1 where hash = $2")
        .bind(printed)
        .bind(made)
        .execute(&mut rows)
        .await
        .unwrap();
    assert_eq!(changed.rows_affected(), 1);
    let spent = "update purses set available = 200000, consumed = 800000 \
                 where channel = 1 and available = 1000000";
    let changed = sqlx::query(spent).execute(&mut rows).await.unwrap();
    assert_eq!(changed.rows_affected(), 1);
    rows.close().await.unwrap();
}

async fn get(customer: &Customer, path: &str) -> Answer {
    let answer = customer.call(Method::GET, path, "").await.unwrap();
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer
}

#[tokio::test]
async fn the_quickstarts_curl_works_with_its_own_key() {
    let (world, customer) = printed_world().await;
    let line = CURL.replace(
        "https://api.mojawave.com",
        &format!("http://{}", customer.api),
    );
    let output = Command::new("sh").args(["-c", &line]).output().await;
    let output = output.expect("this scenario runs curl: install it");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let told = String::from_utf8(output.stdout).unwrap();
    holds(ACCEPTED, &told, &[]);
    let answer: Value = serde_json::from_str(&told).unwrap();
    let timeline = &answer["data"]["timeline"]["queued_at"];
    assert!(timeline.is_string(), "the quickstart's form: {told}");
    let id = answer["data"]["id"].as_str().unwrap();
    eventually("it is delivered", LIMIT, async || {
        let details = get(&customer, &format!("/v1/messages/{id}")).await;
        (details.json()["data"]["status"] == "delivered").then_some(())
    })
    .await;
    let submits = world.carrier().log.snapshot();
    let text = "Hello from Mojawave! Your verification code is 1234.";
    assert_eq!((&*submits[0].source, &*submits[0].text), ("MojaWave", text));
}

#[tokio::test]
async fn send_details_and_webhook_are_as_printed() {
    let (world, customer) = printed_world().await;
    let body = SEND.replace("https://example.com/webhook/sms", &world.hook.url());
    let answer = customer
        .call(Method::POST, "/v1/sms/send", body)
        .await
        .unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text());
    holds(ACCEPTED, &answer.text(), &[]);
    let id = answer.id();
    assert_eq!(answer.headers["location"], format!("/v1/messages/{id}"));
    let details = eventually("it is delivered", LIMIT, async || {
        let details = get(&customer, &format!("/v1/messages/{id}")).await;
        (details.json()["data"]["status"] == "delivered").then_some(details)
    })
    .await;
    holds(DETAILS, &details.text(), &[]);
    let data = &details.json()["data"];
    assert_eq!(data["metadata"], json!({"customer_id": "cust98765"}));
    assert_eq!(data["tags"], json!(["onboarding", "verification"]));
    let told = |hook: &mnara_loadtest::hook::Receiver| hook.seen(id).delivered;
    assert!(world.hook.wait_until(LIMIT, told).await);
    let events = world.hook.events();
    let delivered = events
        .iter()
        .find(|event| event.kind == "message.delivered");
    let delivered = delivered.unwrap();
    let envelope = String::from_utf8(delivered.body.clone()).unwrap();
    holds(ENVELOPE, &envelope, &[]);
    let resource: Value = serde_json::from_str(&envelope).unwrap();
    let resource = &resource["data"];
    assert_eq!(
        (&resource["status"], &resource["to"]),
        (&json!("delivered"), &json!("+255753276939")),
    );
    assert_eq!(header(delivered, "X-MojaWave-Signature").len(), 64);
    assert_eq!(world.hook.counts().bad_signatures, 0);
}

#[tokio::test]
async fn who_waits_is_answered_sent_as_printed() {
    let silent = Script {
        rules: vec![Rule::always(Then::NoReceipt)],
        ..Script::default()
    };
    let plan = Plan::of([Carrier::simulated("vodacom_tz", silent)]);
    let (world, customer) = printed_world_of(plan).await;
    let body = SEND.replace("https://example.com/webhook/sms", &world.hook.url());
    let request = hyper::Request::post(format!("http://{}/v1/sms/send", customer.api))
        .header("authorization", format!("Bearer {KEY}"))
        .header("prefer", "wait=10")
        .body(body.into());
    let answer = customer.request(request.unwrap()).await.unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text());
    holds(SENT, &answer.text(), &[]);
    holds(STARTED, &answer.text(), &[]);
}

#[tokio::test]
async fn a_bulk_request_its_answer_and_its_job_are_as_printed() {
    let tigo = Carrier::simulated("tigo_tz", Script::default());
    let (world, customer) = printed_world_of(Plan::of([tigo])).await;
    let body = BULK.replace("https://example.com/webhooks", &world.hook.url());
    let bulk = "/v1/sms/bulk";
    let answer = customer.call(Method::POST, bulk, body).await.unwrap();
    assert_eq!(answer.status, 202, "{}", answer.text());
    holds(JOB, &answer.text(), &[]);
    let id = answer.json()["data"]["job_id"].clone();
    let path = format!("{bulk}/{}", id.as_str().unwrap());
    let done = eventually("it is completed", LIMIT, async || {
        let job = get(&customer, &path).await;
        (job.json()["data"]["status"] == "completed").then_some(job)
    })
    .await;
    holds(JOB_DONE, &done.text(), &[]);
    assert_eq!(done.json()["data"]["id"], id);
}

#[tokio::test]
async fn every_answer_has_the_headers_of_the_printed_limits() {
    // Other worlds have no limits; this one those that nobody has changed.
    let (world, customer) = printed_world_of(Plan::simple().with("[api.limits]")).await;
    let tester = world.tester_of("MojaWave").await;
    let number = |answer: &Answer, name: &str| {
        let value = answer.headers[name].to_str().unwrap();
        value.parse::<u64>().unwrap()
    };
    let now = u64::try_from(jiff::Timestamp::now().as_second()).unwrap();
    for (customer, path, limit) in [
        (&customer, "/v1/sms/bulk", 600),
        (&tester, "/v1/sms/bulk", 120),
        (&customer, "/v1/credits", 120),
    ] {
        let answer = get(customer, path).await;
        assert_eq!(number(&answer, "X-RateLimit-Limit"), limit, "{path}");
        assert_eq!(
            number(&answer, "X-RateLimit-Remaining"),
            limit - 1,
            "{path}"
        );
        let reset = number(&answer, "X-RateLimit-Reset");
        assert!((now..=now + 70).contains(&reset), "{path}: {now}, {reset}");
    }
    let path = "/v1/messages/89b82624-f1a2-4f5e-85b5-102e79a06779";
    let refused = customer.call(Method::GET, path, "").await.unwrap();
    assert_eq!(refused.status, 404);
    assert_eq!(number(&refused, "X-RateLimit-Limit"), 600);
}

#[tokio::test]
async fn credits_are_as_printed_by_either_header() {
    let (world, mut customer) = printed_world().await;
    // The half of what was bought, in one message.
    let price = ["prices", "set", "5000", "--org", "MojaWave"];
    world.ctl(&price).await;
    let sms = json!({"to": "+255753276939", "from": "MOJAWAVE", "message": "Habari"});
    let id = customer.send(&sms).await;
    eventually("it is paid for", LIMIT, async || {
        (customer.message(id).await["status"] == "delivered").then_some(())
    })
    .await;
    // The purse of e-mail stands a hundred above its threshold in the seed, and is low there all the
    // same: its table says "at or below".
    let printed = CREDITS.replace("\"is_low_balance\": true", "\"is_low_balance\": false");
    holds(&printed, &get(&customer, "/v1/credits").await.text(), &[]);
    customer.key = KEY.replace("sk_live_mw_", "mw_live_");
    holds(&printed, &get(&customer, "/v1/credits").await.text(), &[]);
    let request = hyper::Request::get(format!("http://{}/v1/credits", customer.api))
        .header("x-api-key", &customer.key)
        .body(http_body_util::Full::default());
    let answer = customer.request(request.unwrap()).await.unwrap();
    holds(&printed, &answer.text(), &[]);
}

#[tokio::test]
async fn every_row_of_the_table_of_errors_is_met() {
    let (world, customer) = printed_world().await;
    let tester = world.tester_of("MojaWave").await;
    let mut stranger = customer.clone();
    stranger.key = "sk_live_mw_YOUR_KEY".into();
    let to = |to: &str| json!({"to": to, "from": "MojaWave", "message": "Habari"}).to_string();
    let live = "+255753276939";
    let empty = json!({"to": live, "from": "MojaWave", "message": ""}).to_string();
    for (customer, body, status, code) in [
        (&customer, "{\"to\": 1}".to_owned(), 400, "invalid_request"),
        (&customer, "{".to_owned(), 400, "invalid_request"),
        (&stranger, to(live), 401, "unauthorized"),
        (&tester, to("+255750000008"), 402, "insufficient_balance"),
        (&customer, empty, 422, "unprocessable"),
        (&tester, to("+255750000010"), 429, "rate_limit_exceeded"),
        (&tester, to("+255750000011"), 500, "server_error"),
    ] {
        let path = "/v1/sms/send";
        let answer = customer.call(Method::POST, path, body).await.unwrap();
        let told = answer.json();
        assert_eq!(
            (answer.status, &told["code"]),
            (status, &json!(code)),
            "{told}"
        );
        assert!(told["message"].is_string(), "{told}");
    }
}
