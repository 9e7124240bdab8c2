//! Lives here: the routing plan seen from outside: dry run, explanation and the real thing agree,
//! and a reload puts another plan in force, or nothing.
//! Never here: decisions case by case; `domain::route` has its own tests.

use std::fmt::Write;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request};
use mnara_loadtest::networks;
use mnara_loadtest::smsc::Script;
use serde_json::{Value, json};

use crate::world::{Answer, Carrier, LIMIT, Plan, World, eventually};

const ACCOUNTS: [&str; 4] = ["vodacom_tz", "tigo_tz", "airtel_tz", "halotel_tz"];
const STRATEGIES: [&str; 4] = ["priority", "weighted", "least_cost", "predictive"];
const CLASSES: [&str; 3] = ["otp", "transactional", "promotional"];

/// A rule for each strategy, chosen by the sender.
fn rules() -> String {
    let mut text = String::new();
    for (strategy, turn) in STRATEGIES.into_iter().zip(0..) {
        let targets = ACCOUNTS.iter().enumerate().map(|(n, account)| {
            let cost = 5_000 + (n + turn) % 4 * 1_000;
            let weight = match strategy {
                "weighted" => format!("weight = {n}, "),
                _ => String::new(),
            };
            format!("{{ carrier = \"{account}\", {weight}cost_micros = {cost} }}")
        });
        let targets = targets.collect::<Vec<_>>().join(", ");
        writeln!(
            text,
            "[[routing.rule]]\nname = \"by-{strategy}\"\nsender = \"{}*\"\nstrategy = \
             \"{strategy}\"\ntargets = [{targets}]",
            &strategy[..6]
        )
        .unwrap();
    }
    text
}

async fn world(sections: &str) -> World {
    let carriers = ACCOUNTS.map(|id| Carrier::simulated(id, Script::default()));
    World::start(Plan::of(carriers).with(sections)).await
}

async fn admin(world: &World, method: Method, path: &str) -> Answer {
    let token = std::fs::read_to_string(world.folder().join("admin.token")).unwrap();
    let request = Request::builder()
        .method(method)
        .uri(format!("http://{}{path}", world.daemon.admin))
        .header("authorization", format!("Bearer {}", token.trim()))
        .body(Full::new(Bytes::new()));
    world.client.request(request.unwrap()).await.unwrap()
}

async fn dry_run(world: &World, body: &Value) -> Answer {
    let path = "/v1/sms/send?dry_run=true";
    let answer = world.client.call(Method::POST, path, body.to_string());
    answer.await.unwrap()
}

/// A dry run's `data.route`, octet for octet: it is the last field.
/// What an operator is told, as the customer is: what we pay carriers is ours.
fn without_costs(mut told: Value) -> Value {
    const COST: &str = "cost_per_segment_micros";
    told.as_object_mut().unwrap().remove(COST);
    for one in told["candidates"].as_array_mut().unwrap() {
        let cost = one.as_object_mut().unwrap().remove(COST);
        assert!(cost.is_some_and(|cost| cost.is_u64()));
        let reason = one["reason"].as_str().unwrap();
        if let Some((_, rest)) = reason.split_once(" micro-units a segment") {
            one["reason"] = format!("number {} by cost{rest}", one["rank"]).into();
        }
    }
    told
}

#[tokio::test]
async fn dry_run_explanation_and_the_real_thing_agree() {
    let world = world(&rules()).await;
    let mut carriers = std::collections::BTreeSet::new();
    let mut sent = Vec::new();
    for n in 0..120_u64 {
        let account = ACCOUNTS[(n % 4) as usize];
        let strategy = STRATEGIES[(n / 4 % 4) as usize];
        let class = CLASSES[(n / 16 % 3) as usize];
        let to = networks::by_id(account).unwrap().number(n * 7_919);
        let from = &strategy[..strategy.len().min(10)];
        let body = json!({"to": to, "from": from, "message": format!("n{n}"), "class": class});
        let rehearsed = dry_run(&world, &body).await;
        assert_eq!(rehearsed.status, 200, "{}", rehearsed.text());
        let path = format!(
            "/admin/v1/routes/explain?to={}&class={class}&from={from}&org=Tester",
            to.replace('+', "%2B")
        );
        let explained = admin(&world, Method::GET, &path).await;
        assert!(!rehearsed.text().contains("micro"), "what we pay");
        assert_eq!(
            rehearsed.json()["data"]["route"],
            without_costs(explained.json())
        );
        let data = rehearsed.json()["data"].take();
        assert_eq!(data["segments"], 1);
        assert_eq!(data["encoding"], "gsm7");
        let carrier = data["carrier"].as_str().unwrap().to_owned();
        assert_eq!(data["route"]["carrier"], *carrier);
        carriers.insert((strategy, carrier.clone()));
        sent.push((body, carrier));
    }
    assert!(carriers.len() >= 6, "{carriers:?}");
    let accepted = world.metric("mnara_messages_accepted_total", &[]).await;
    assert_eq!(accepted, 0.0, "a dry run keeps nothing");
    for (body, carrier) in &sent {
        // What predictive knows changes with the receipts of these very messages.
        if !body["from"].as_str().unwrap().starts_with("predict") {
            let id = world.client.send(body).await;
            world.until(id, "delivered").await;
            let submits = world
                .carrier_of(carrier)
                .submits_of(body["message"].as_str().unwrap());
            assert_eq!(submits.len(), 1, "{body} goes to {carrier}");
        }
    }
}

#[tokio::test]
async fn a_dry_run_makes_every_check_of_a_real_send() {
    let world = world("").await;
    let good = json!({"to": "+255753276939", "from": "MNARA", "message": "x"});
    for (key, value) in [
        ("to", json!("+254700000000")),
        ("to", json!("+255222222222")),
        ("to", json!("12")),
        ("from", json!("much too long a sender")),
        ("message", json!("")),
        ("message", json!("x".repeat(2_000))),
        ("class", json!("sms")),
        ("webhook_url", json!("http://10.0.0.1/")),
        ("schedule_at", json!("2020-01-01T00:00:00Z")),
        ("to", json!("+2348031234567")),
    ] {
        let mut body = good.clone();
        body[key] = value;
        let real = world.client.try_send(&body).await.unwrap();
        let rehearsed = dry_run(&world, &body).await;
        assert!(real.status >= 400, "{body}: {}", real.text());
        assert_eq!(rehearsed.status, real.status, "{body}");
        assert_eq!(rehearsed.json()["code"], real.json()["code"], "{body}");
        assert_eq!(
            rehearsed.json()["message"],
            real.json()["message"],
            "{body}"
        );
    }
    let typing_error =
        world
            .client
            .call(Method::POST, "/v1/sms/send?dry_run=yes", good.to_string());
    assert_eq!(typing_error.await.unwrap().status, 400);
    let real = world
        .client
        .call(Method::POST, "/v1/sms/send?dry_run=false", good.to_string());
    assert_eq!(real.await.unwrap().status, 201);
}

#[tokio::test]
async fn a_reload_puts_all_in_force_or_nothing_and_says_what() {
    let world = world("[routing]").await;
    let path = world.folder().join("mnara.toml");
    let file = std::fs::read_to_string(&path).unwrap();
    let write = |name: &str, text: &str| std::fs::write(world.folder().join(name), text).unwrap();
    let body = json!({"to": "+255753276939", "from": "MNARA", "message": "x"});
    let carrier = async || {
        let answer = dry_run(&world, &body).await;
        answer.json()["data"]["carrier"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(carrier().await, "vodacom_tz");

    // A plan that is wrong in its last line changes nothing, and says where.
    let keys = "[routing]\nplan = \"./plan.toml\"\nported = \"./ported.csv\"\n";
    write(
        "mnara.toml",
        &file
            .replace("[routing]\n", keys)
            .replacen("10000", "9000", 1),
    );
    write(
        "ported.csv",
        "msisdn,network\n255753276939,halotel_tz\n255753276930,nobody\n",
    );
    let rule =
        "[[rule]]\nname = \"all\"\nclass = [\"otp\"]\ntargets = [{ carrier = \"tigo_tz\" }]\n";
    write("plan.toml", rule);
    let refused = admin(&world, Method::POST, "/admin/v1/reload").await;
    assert_eq!(refused.status, 409, "{}", refused.text());
    let message = refused.json()["message"].as_str().unwrap().to_owned();
    assert!(
        message.contains("ported.csv:3: network \"nobody\""),
        "{message}"
    );
    assert_eq!(carrier().await, "vodacom_tz");
    assert_eq!(world.metric("mnara_config_reload_success", &[]).await, 0.0);

    // Put right, it is in force at once, by both ways in.
    write("ported.csv", "msisdn,network\n255753276939,halotel_tz\n");
    let done = admin(&world, Method::POST, "/admin/v1/reload").await;
    assert_eq!(
        done.json()["changes"],
        json!([
            "rule all added: priority over tigo_tz",
            "ported numbers: 1 rows, before 0: 1 added, 0 removed, 0 to another network",
            "carrier.vodacom_tz.max_tps changed: needs a restart",
        ]),
        "{}",
        done.text()
    );
    assert_eq!(carrier().await, "halotel_tz");
    assert_eq!(world.metric("mnara_config_reload_success", &[]).await, 1.0);
    assert_eq!(world.metric("mnara_ported_rows", &[]).await, 1.0);
    write("plan.toml", &rule.replace("class = [\"otp\"]\n", ""));
    world.daemon.hang_up().await;
    eventually("the rule is for everything", LIMIT, async || {
        (carrier().await == "tigo_tz").then_some(())
    })
    .await;

    // An account that does not run cannot be routed to.
    let second = file.split_once("[[carrier]]").unwrap().1;
    let second = second.split("[[carrier]]").next().unwrap();
    let second = second.replacen("id = \"vodacom_tz\"", "id = \"second\"", 1);
    write(
        "mnara.toml",
        &format!("{}\n[[carrier]]{second}", file.replace("[routing]\n", keys)),
    );
    write("plan.toml", &rule.replace("tigo_tz", "second"));
    let refused = admin(&world, Method::POST, "/admin/v1/reload").await;
    let message = refused.json()["message"].as_str().unwrap().to_owned();
    assert!(
        message.contains("rule all names account second"),
        "{message}"
    );
    assert_eq!(carrier().await, "tigo_tz");
}
