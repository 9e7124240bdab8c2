//! Lives here: bulk jobs seen from outside: ten thousand recipients with a text each, a job paused, resumed and taken back, a daemon killed in the middle, another
//! customer beside a long job, a campaign.
//! Never here: the seed's own request (`seed_003`), how recipients are packed, whose turn it is.

use std::collections::HashMap;
use std::time::Duration;

use hyper::Method;
use mnara_loadtest::networks;
use mnara_loadtest::smsc::Script;
use serde_json::{Value, json};

use crate::world::{Carrier, Customer, LIMIT, Plan, World, eventually, sms};

/// A job takes longer than a message.
const LONG: Duration = Duration::from_secs(120);

/// A body with so many recipients, each with a code of its own.
fn job(recipients: u64, message: &str) -> Value {
    let vodacom = networks::by_id("vodacom_tz").unwrap();
    let recipients: Vec<Value> = (0..recipients)
        .map(|index| {
            let code = format!("C{index:05}");
            json!({"to": vodacom.number(index), "personalization": {"name": "John", "code": code}})
        })
        .collect();
    json!({"name": "Q1", "from": "MNARA", "message": message, "recipients": recipients})
}

async fn post(customer: &Customer, path: &str, body: &Value) -> (u16, Value) {
    let answer = customer
        .call(Method::POST, path, body.to_string())
        .await
        .unwrap();
    (answer.status, answer.json())
}

/// Makes a job that must be accepted; returns its path.
async fn create(customer: &Customer, body: &Value) -> String {
    let (status, told) = post(customer, "/v1/sms/bulk", body).await;
    assert_eq!(status, 202, "{told}");
    format!("/v1/sms/bulk/{}", told["data"]["job_id"].as_str().unwrap())
}

async fn get(customer: &Customer, path: &str) -> Value {
    let answer = customer.call(Method::GET, path, "").await.unwrap();
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()
}

async fn shown(customer: &Customer, job: &str) -> Value {
    get(customer, job).await["data"].take()
}

async fn until(customer: &Customer, job: &str, status: &str) -> Value {
    eventually(&format!("{job} is {status}"), LONG, async || {
        let shown = shown(customer, job).await;
        (shown["status"] == status).then_some(shown)
    })
    .await
}

async fn balances(customer: &Customer) -> [i64; 3] {
    let sms = get(customer, "/v1/credits").await["data"]["sms"].take();
    ["balance", "reserved", "total_consumed"].map(|name| sms[name].as_i64().unwrap())
}

async fn prepaid(account: &'static str, credits: &str) -> (World, Customer) {
    let carrier = Carrier::simulated("vodacom_tz", Script::default()).account(account);
    let world = World::start(Plan::of([carrier])).await;
    world
        .ctl(&["org", "create", "Duka", "--country", "TZ"])
        .await;
    let add = ["credits", "add", "Duka", credits, "--reference", "INV-1"];
    world.ctl(&add).await;
    let duka = world.customer_of("Duka").await;
    (world, duka)
}

/// What each text was submitted as, how often.
fn copies(world: &World) -> HashMap<String, usize> {
    let mut copies = HashMap::new();
    for submit in world.carrier().log.snapshot() {
        *copies.entry(submit.text).or_default() += 1;
    }
    copies
}

#[tokio::test]
async fn ten_thousand_recipients_get_each_a_text_of_their_own_once() {
    let (world, duka) = prepaid("max_tps = 10000", "10001").await;
    let mut body = job(10_000, "Habari {{name|ndugu}}, namba yako ni {{code}}");
    body["recipients"][7]["to"] = "+2557".into();
    let path = create(&duka, &body).await;
    assert_eq!(balances(&duka).await[0], 2);
    let done = until(&duka, &path, "completed").await;
    let list = get(&duka, "/v1/sms/bulk?limit=1").await;
    assert_eq!(list["data"][0]["id"], done["id"]);
    let counts =
        ["sent_count", "failed_count", "total_credits_cost"].map(|name| done[name].as_i64());
    assert_eq!(counts, [Some(9_999), Some(1), Some(9_999)]);
    let copies = copies(&world);
    assert_eq!(copies.len(), 9_999);
    assert!(copies.values().all(|count| *count == 1));
    assert!(copies.contains_key("Habari John, namba yako ni C09999"));
    assert_eq!(balances(&duka).await, [2, 0, 9_999]);
    let books = world.ctl(&["credits", "show", "Duka"]).await;
    assert_eq!(books["differences"], json!([]));

    let page = get(&duka, &format!("{path}/messages?cursor=6&limit=3")).await;
    let found = ["recipient", "status"].map(|name| page["data"][1][name].clone());
    assert_eq!(found, [json!(7), json!("failed")]);
    assert_eq!(
        (&page["data"][2]["recipient"], &page["next_cursor"]),
        (&json!(8), &json!("9"))
    );
    let csv = duka
        .call(Method::GET, &format!("{path}/errors.csv"), "")
        .await;
    let csv = csv.unwrap().text();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 2, "{csv}");
    assert!(lines[1].starts_with("7,+2557,invalid_number,"), "{csv}");
}

#[tokio::test]
async fn a_job_is_paused_resumed_and_taken_back() {
    let (world, duka) = prepaid("max_tps = 200", "5000").await;
    let path = create(&duka, &job(4_000, "Code {{code}}")).await;
    let sent = async || shown(&duka, &path).await["sent_count"].as_u64().unwrap();
    eventually("some are sent", LIMIT, async || {
        (sent().await > 50).then_some(())
    })
    .await;
    let (status, told) = post(&duka, &format!("{path}/pause"), &json!({})).await;
    assert_eq!(
        (status, &told["data"]["status"]),
        (200, &json!("paused")),
        "{told}"
    );
    let (status, again) = post(&duka, &format!("{path}/pause"), &json!({})).await;
    assert_eq!((status, &again["data"]["status"]), (200, &json!("paused")));
    // What was in the lanes is sent; then nothing more.
    let calm = eventually("nothing is queued", LIMIT, async || {
        let shown = shown(&duka, &path).await;
        (shown["queued_count"] == 0).then_some(shown)
    })
    .await;
    assert!(calm["pending_count"].as_u64().unwrap() > 2_000, "{calm}");
    let so_far = calm["sent_count"].as_u64().unwrap();

    let id = path.rsplit('/').next().unwrap();
    world
        .ctl(&["jobs", "resume", id, "--reason", "asked"])
        .await;
    eventually("it goes on", LIMIT, async || {
        (sent().await > so_far).then_some(())
    })
    .await;
    let (status, told) = post(&duka, &format!("{path}/cancel"), &json!({})).await;
    assert_eq!(
        (status, &told["data"]["status"]),
        (200, &json!("canceled")),
        "{told}"
    );
    let ended = eventually("all of it has ended", LIMIT, async || {
        let shown = shown(&duka, &path).await;
        let over = shown["completed_at"].is_string() && shown["queued_count"] == 0;
        over.then_some(shown)
    })
    .await;
    let count = |name: &str| ended[name].as_u64().unwrap();
    assert_eq!(
        count("sent_count") + count("canceled_count"),
        4_000,
        "{ended}"
    );
    let submits = world.carrier().log.count(|_| true) as u64;
    assert_eq!(submits, count("sent_count"));
    let spent = i64::try_from(count("sent_count")).unwrap();
    assert_eq!(balances(&duka).await, [5_000 - spent, 0, spent]);
    let books = world.ctl(&["credits", "show", "Duka"]).await;
    assert_eq!(books["differences"], json!([]));
    let jobs = world.ctl(&["jobs", "list", "--org", "Duka"]).await;
    assert_eq!(jobs["jobs"][0]["state"], "canceled");
}

#[tokio::test]
async fn a_daemon_killed_in_the_middle_loses_and_repeats_nobody() {
    let (mut world, mut duka) = prepaid("max_tps = 1000", "3000").await;
    let path = create(&duka, &job(3_000, "Code {{code}}")).await;
    world.carrier().until_submits(400).await;
    world.daemon.kill().await;
    world.restart().await;
    duka.api = world.daemon.api;
    // What a bind had when it was killed is in doubt, and promotional texts are never resent.
    let calm = eventually("everybody has been sent to", LONG, async || {
        let shown = shown(&duka, &path).await;
        let sent = shown["sent_count"].as_u64()? + shown["queued_count"].as_u64()?;
        let told = world.carrier().log.count(|_| true) as u64;
        (sent == 3_000 && told + 64 > 3_000).then_some(shown)
    })
    .await;
    assert_eq!(calm["failed_count"], 0);
    let in_doubt = calm["queued_count"].as_u64().unwrap();
    assert!(in_doubt <= 200, "{in_doubt} are in doubt");
    let copies = copies(&world);
    assert!(
        copies.values().all(|count| *count == 1),
        "somebody has it twice"
    );
    assert!(
        copies.len() as u64 + in_doubt >= 3_000,
        "{} and {in_doubt}",
        copies.len()
    );
}

#[tokio::test]
async fn another_customer_does_not_wait_behind_a_long_job() {
    let (world, duka) = prepaid("max_tps = 100", "10000").await;
    let path = create(&duka, &job(10_000, "Code {{code}}")).await;
    world.carrier().until_submits(100).await;
    let id = world
        .client
        .send(&sms("vodacom_tz", 20_000, "promotional", "a text of mine"))
        .await;
    // A hundred seconds of the job wait before it, by the clock; by its turn none.
    let sent = eventually(
        "the other customer's text is sent",
        Duration::from_secs(20),
        async || {
            let message = world.client.message(id).await;
            (message["status"] == "delivered").then_some(message)
        },
    );
    sent.await;
    assert_eq!(shown(&duka, &path).await["status"], "processing");
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_and_says_which() {
    let (_world, duka) = prepaid("max_tps = 1000", "2").await;
    let bulk = "/v1/sms/bulk";
    let (status, told) = post(&duka, bulk, &job(3, "x")).await;
    assert_eq!(
        (status, &told["code"]),
        (402, &json!("insufficient_balance")),
        "{told}"
    );
    assert_eq!(
        told["details"],
        json!({"balance": 2, "required": 3, "shortfall": 1})
    );
    let (status, told) = post(&duka, bulk, &job(2, "{{sir}}")).await;
    assert_eq!(
        (status, &told["code"]),
        (422, &json!("template_variable_missing")),
        "{told}"
    );
    let pointer = "/recipients/0/personalization/sir";
    assert_eq!(told["errors"][0]["pointer"], pointer);
    let mut strict = job(2, "x");
    strict["recipients"][1]["to"] = "+1".into();
    strict["strict"] = true.into();
    let (status, told) = post(&duka, bulk, &strict).await;
    assert_eq!(
        (status, &told["code"]),
        (422, &json!("invalid_number")),
        "{told}"
    );
    assert_eq!(told["errors"][0]["pointer"], "/recipients/1/to");
    let (status, told) = post(&duka, "/v1/sms/bulk?dry_run=true", &job(2, "Hi {{name}}")).await;
    assert_eq!(
        (status, &told["data"]["recipients"][1]["body"]),
        (200, &json!("Hi John"))
    );
    assert_eq!(balances(&duka).await, [2, 0, 0]);
}

#[tokio::test]
async fn a_campaign_is_drafted_changed_and_launched_once() {
    let (_world, duka) = prepaid("max_tps = 1000", "10").await;
    let (status, told) = post(&duka, "/v1/campaigns", &job(2, "Hello {{name}}")).await;
    assert_eq!(
        (status, &told["data"]["status"]),
        (201, &json!("draft")),
        "{told}"
    );
    let path = format!("/v1/campaigns/{}", told["data"]["id"].as_str().unwrap());
    let change = json!({"message": "Habari {{name}}", "name": "Q2"}).to_string();
    let changed = duka.call(Method::PATCH, &path, change).await.unwrap();
    assert_eq!(changed.json()["data"]["message"], "Habari {{name}}");
    let (status, told) = post(&duka, &format!("{path}/launch"), &json!({})).await;
    assert_eq!(status, 202, "{told}");
    let job = format!("/v1/sms/bulk/{}", told["data"]["job_id"].as_str().unwrap());
    until(&duka, &job, "completed").await;
    let (status, _) = post(&duka, &format!("{path}/launch"), &json!({})).await;
    assert_eq!(status, 409);
    let list = get(&duka, "/v1/campaigns").await;
    let found = ["name", "status"].map(|name| list["data"][0][name].clone());
    assert_eq!(found, [json!("Q2"), json!("launched")]);
    let gone = duka.call(Method::DELETE, &path, "").await.unwrap();
    assert_eq!(gone.status, 200);
    assert_eq!(duka.call(Method::GET, &path, "").await.unwrap().status, 404);
    assert_eq!(shown(&duka, &job).await["sent_count"], 2);
}
