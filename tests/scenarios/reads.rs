//! Lives here: what a customer reads and changes of its messages: waits for a carrier, lists, files,
//! taking back and putting off; and how an operator finds them.
//! Never here: every filter (`api`), every obstacle (`store`).

use std::time::{Duration, SystemTime};

use hyper::{Method, Request};
use mnara_loadtest::smsc::{Rule, Script, Then};
use mnara_smpp::status::CommandStatus;
use serde_json::{Value, json};

use crate::world::{Carrier, Plan, World, sms};

fn ahead(seconds: u64) -> String {
    let at = SystemTime::now() + Duration::from_secs(seconds);
    jiff::Timestamp::try_from(at).unwrap().to_string()
}

async fn wait_for(world: &World, body: &Value) -> crate::world::Answer {
    let client = &world.client;
    let request = Request::post(format!("http://{}/v1/sms/send", client.api))
        .header("authorization", format!("Bearer {}", client.key))
        .header("prefer", "wait=8")
        .body(body.to_string().into());
    client.request(request.unwrap()).await.unwrap()
}

#[tokio::test]
async fn who_prefers_to_wait_is_told_that_a_carrier_has_the_message_or_has_refused_it() {
    let refusing = Script {
        rules: vec![Rule::always(Then::status(CommandStatus::ESME_RINVDSTADR))],
        ..Script::default()
    };
    let world = World::start(Plan::of([
        Carrier::simulated("vodacom_tz", Script::default()),
        Carrier::simulated("airtel_tz", refusing),
    ]))
    .await;
    let sent = wait_for(&world, &sms("vodacom_tz", 1, "otp", "a code")).await;
    assert_eq!(sent.status, 201, "{}", sent.text());
    let data = &sent.json()["data"];
    assert!(["sent", "delivered"].contains(&data["status"].as_str().unwrap()));
    assert_eq!(data["sent_at"], data["timeline"]["sent_at"]);
    assert!(data["sent_at"].is_string());
    assert_eq!(sent.headers["preference-applied"], "wait=8");
    let refused = wait_for(&world, &sms("airtel_tz", 1, "transactional", "no")).await;
    let data = &refused.json()["data"];
    assert_eq!((refused.status, &data["status"]), (201, &json!("failed")));
    assert!(data["failure_code"].is_string());
}

#[tokio::test]
async fn a_message_is_put_off_taken_back_listed_and_found() {
    let world = World::start(Plan::simple()).await;
    let client = &world.client;
    let other = {
        world
            .ctl(&["org", "create", "Other", "--country", "TZ", "--postpaid"])
            .await;
        world.customer_of("Other").await
    };
    let mut first = world.sms("vodacom_tz", 1, "transactional", "put off");
    first["schedule_at"] = ahead(600).into();
    first["client_ref"] = "order 1".into();
    let mut second = world.sms("vodacom_tz", 2, "transactional", "taken back");
    second["schedule_at"] = ahead(3).into();
    let (first, second) = (client.send(&first).await, client.send(&second).await);

    let soon = json!({"schedule_at": ahead(1)}).to_string();
    let path = format!("/v1/messages/{first}");
    let strange = other.call(Method::PATCH, &path, soon.clone()).await;
    assert_eq!(strange.unwrap().status, 404);
    let done = client.call(Method::PATCH, &path, soon).await.unwrap();
    assert_eq!(done.status, 200, "{}", done.text());
    let path = format!("/v1/messages/{second}/cancel");
    assert_eq!(
        other.call(Method::POST, &path, "").await.unwrap().status,
        404
    );
    let done = client.call(Method::POST, &path, "").await.unwrap();
    assert_eq!(done.status, 200, "{}", done.text());
    world.until(first, "delivered").await;
    assert_eq!(world.carrier().submits_of("put off").len(), 1);
    let events = client.events(first).await;
    let kinds: Vec<&str> = events
        .iter()
        .map(|one| one["type"].as_str().unwrap())
        .collect();
    assert_eq!(kinds[..4], ["accepted", "routed", "scheduled", "queued"]);
    // It was never sent.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(world.carrier().submits_of("taken back").is_empty());
    assert_eq!(client.message(second).await["status"], "canceled");

    let list = client.call(Method::GET, "/v1/messages", "").await.unwrap();
    let listed = list.json()["data"].as_array().unwrap().len();
    assert_eq!(listed, 2, "{}", list.text());
    let file = client
        .call(Method::GET, "/v1/messages.csv", "")
        .await
        .unwrap();
    assert_eq!(file.text().lines().count(), 3, "{}", file.text());
    for path in ["/v1/messages", "/v1/messages.csv"] {
        let strange = other.call(Method::GET, path, "").await.unwrap();
        assert!(!strange.text().contains(&first.to_string()));
    }
    for (arguments, found) in [
        (&["--client-ref", "order 1"][..], 1),
        (&["--org", "Tester", "--since", "1h"], 2),
        (&["--status", "canceled"], 1),
        (&["--org", "Other"], 0),
    ] {
        let arguments = [&["messages", "find"], arguments].concat();
        let told = world.ctl(&arguments).await;
        assert_eq!(told["messages"].as_array().unwrap().len(), found, "{told}");
    }
}
