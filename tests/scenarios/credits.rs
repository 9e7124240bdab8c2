//! Lives here: money seen from outside: what a message costs, when it is refused, what is given back.
//! Never here: how amounts move.

use hyper::Method;
use mnara_loadtest::smsc::{Rule, Script, Span, Then};
use mnara_smpp::status::CommandStatus;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::world::{Carrier, Customer, LIMIT, Plan, Stored, World, eventually, sms};

/// A world with one network, and a customer that pays before it sends.
async fn prepaid(script: Script, credits: &str) -> (World, Customer) {
    prepaid_on(Stored::Sqlite, script, credits).await
}

async fn prepaid_on(stored: Stored, script: Script, credits: &str) -> (World, Customer) {
    let carrier = Carrier::simulated("vodacom_tz", script);
    let world = World::start(Plan::of([carrier]).stored(stored)).await;
    let create = ["org", "create", "Duka", "--country", "TZ"];
    world.ctl(&create).await;
    let add = ["credits", "add", "Duka", credits, "--reference", "INV-1"];
    let told = world.ctl(&add).await;
    assert_eq!(
        told["outcome"],
        format!("Duka has {credits} credits for sms")
    );
    let duka = world.customer_of("Duka").await;
    (world, duka)
}

async fn balances(customer: &Customer) -> Value {
    let answer = customer.call(Method::GET, "/v1/credits", "").await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["data"]["sms"].clone()
}

async fn until(customer: &Customer, wanted: [i64; 3]) {
    let what = format!("balance, reserved and consumed {wanted:?}");
    eventually(&what, LIMIT, async || {
        let sms = balances(customer).await;
        let amounts = ["balance", "reserved", "total_consumed"].map(|name| sms[name].as_i64());
        (amounts == wanted.map(Some)).then_some(())
    })
    .await;
}

async fn reaches(customer: &Customer, id: Uuid, status: &str) {
    eventually(status, LIMIT, async || {
        (customer.message(id).await["status"] == status).then_some(())
    })
    .await;
}

fn text(number: u64) -> Value {
    sms(
        "vodacom_tz",
        number,
        "transactional",
        &format!("text {number}"),
    )
}

#[tokio::test]
async fn what_is_not_paid_for_is_refused_and_says_what_is_missing() {
    let (world, duka) = prepaid(Script::default(), "2").await;
    let first = duka.send(&text(1)).await;
    assert_eq!(duka.message(first).await["credits_cost"], 1);
    let second = duka.send(&text(2)).await;
    let refused = duka.try_send(&text(3)).await.unwrap();
    assert_eq!(refused.status, 402, "{}", refused.text());
    let told = refused.json();
    assert_eq!(told["code"], "insufficient_balance");
    let details = json!({"balance": 0, "required": 1, "shortfall": 1});
    assert_eq!(told["details"], details);
    for id in [first, second] {
        reaches(&duka, id, "delivered").await;
    }
    until(&duka, [0, 0, 2]).await;
    // The same receipt twice counts once.
    let again = ["credits", "add", "Duka", "2", "--reference", "INV-1"];
    assert!(world.try_ctl(&again).await.contains("has been used"));
    let more = ["credits", "add", "Duka", "1", "--reference", "INV-2"];
    world.ctl(&more).await;
    duka.send(&text(4)).await;
    let shown = world.ctl(&["credits", "show", "Duka"]).await;
    assert_eq!(shown["purchases"].as_array().unwrap().len(), 2);
    let mail = [
        "credits",
        "add",
        "Duka",
        "7.5",
        "--reference",
        "INV-1",
        "--channel",
        "email",
    ];
    assert_eq!(
        world.ctl(&mail).await["outcome"],
        "Duka has 7.5 credits for email"
    );
    let answer = duka.call(Method::GET, "/v1/credits", "").await.unwrap();
    assert_eq!(answer.json()["data"]["email"]["balance"], 7.5);
}

#[tokio::test]
async fn of_a_hundred_at_once_fifty_are_paid_and_sigkill_changes_no_balance() {
    hundred_at_once(Stored::Sqlite).await;
}

#[tokio::test]
async fn of_a_hundred_at_once_fifty_are_paid_and_sigkill_changes_no_balance_on_postgresql() {
    hundred_at_once(Stored::Postgres).await;
}

async fn hundred_at_once(stored: Stored) {
    let slow = Script {
        response_delay_ms: Span::between(5, 60),
        ..Script::default()
    };
    let (mut world, mut duka) = prepaid_on(stored, slow, "50").await;
    let mut sends = JoinSet::new();
    for number in 0..100 {
        let duka = duka.clone();
        sends.spawn(async move { duka.try_send(&text(number)).await.unwrap().status });
    }
    let statuses = sends.join_all().await;
    let answered = |wanted: u16| statuses.iter().filter(|status| **status == wanted).count();
    assert_eq!((answered(201), answered(402)), (50, 50));
    world.daemon.kill().await;
    world.restart().await;
    duka.api = world.daemon.api;
    let verified = world.ctl(&["credits", "verify", "--org", "Duka"]).await;
    assert_eq!(verified["purses"], 2);
    let sms = balances(&duka).await;
    let [left, reserved, consumed] =
        ["balance", "reserved", "total_consumed"].map(|name| sms[name].as_i64().unwrap());
    assert_eq!((left, reserved + consumed), (0, 50));
}

#[tokio::test]
async fn what_no_carrier_takes_costs_nothing() {
    let refusing = Script {
        rules: vec![Rule::always(Then::status(CommandStatus::ESME_RINVDSTADR))],
        ..Script::default()
    };
    let (world, duka) = prepaid(refusing, "5").await;
    let id = duka.send(&text(1)).await;
    reaches(&duka, id, "failed").await;
    until(&duka, [5, 0, 0]).await;
    let shown = world.ctl(&["credits", "show", "Duka"]).await;
    assert_eq!(shown["differences"], json!([]));
}

#[tokio::test]
async fn prices_are_by_organisation_network_country_and_class() {
    let (world, duka) = prepaid(Script::default(), "20").await;
    let own = ["prices", "set", "0.85", "--org", "Duka", "--class", "otp"];
    world.ctl(&own).await;
    world
        .ctl(&["prices", "set", "2", "--network", "vodacom_tz"])
        .await;
    world.ctl(&["prices", "set", "3", "--country", "tz"]).await;
    let cost = async |class: &str, text: &str| {
        let id = duka.send(&sms("vodacom_tz", 7, class, text)).await;
        duka.message(id).await["credits_cost"].clone()
    };
    assert_eq!(cost("otp", "a code").await, 0.85);
    assert_eq!(cost("transactional", "a receipt").await, 2);
    assert_eq!(cost("transactional", &"x".repeat(200)).await, 4);
    world
        .ctl(&["prices", "remove", "--network", "vodacom_tz"])
        .await;
    assert_eq!(cost("transactional", "by country").await, 3);
    let shown = world.ctl(&["prices"]).await;
    let shown = shown["prices"].as_array().unwrap();
    let countries: Vec<_> = shown.iter().map(|price| &price["country"]).collect();
    assert_eq!(countries, [&json!(null), &json!("TZ")]);
}
