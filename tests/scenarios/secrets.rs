//! Lives here: what must never stand in the log, searched for in the log of a busy daemon.
//! Never here: the log's form.

use hyper::Method;
use mnara_loadtest::hook::Answer;
use mnara_loadtest::smsc::{Rule, Script, Then, When};
use serde_json::json;

use crate::world::{CREDENTIALS, Carrier, LIMIT, Plan, World, eventually};

#[tokio::test]
async fn texts_keys_secrets_and_whole_numbers_never_reach_the_log_even_at_debug() {
    let refuse = When {
        text_contains: Some("refuse".into()),
        ..When::default()
    };
    let undelivered = When {
        text_contains: Some("absent".into()),
        ..When::default()
    };
    let script = Script {
        rules: vec![
            Rule::when(refuse, Then::Status(0x0B)),
            Rule::when(
                undelivered,
                Then::Receipt(mnara_loadtest::smsc::Stat::Undeliv),
            ),
        ],
        ..Script::default()
    };
    let plan =
        Plan::of([Carrier::simulated("vodacom_tz", script)]).with("[log]\nlevel = \"debug\"");
    let mut world = World::start(plan).await;
    world.hook.answer_next([Answer::Status(500)]);
    for (index, text) in ["fine", "refuse", "absent"].iter().enumerate() {
        for class in ["otp", "transactional"] {
            let text = format!("CANARYTEXT {text}");
            let mut sms = world.sms("vodacom_tz", 4_711_000 + index as u64, class, &text);
            sms["metadata"] = json!({"secret": "CANARYMETA"});
            let url = sms["webhook_url"].as_str().unwrap().to_owned();
            sms["webhook_url"] = format!("{url}?token=CANARYURL").into();
            let id = world.client.send(&sms).await;
            eventually("it has ended", LIMIT, async || {
                let status = world.client.message(id).await["status"].take();
                (status == "delivered" || status == "failed").then_some(())
            })
            .await;
        }
    }
    badly(&world).await;
    world.carrier().smsc.disconnect_all();
    world.until_ready().await;
    world.daemon.terminate().await;
    assert!(world.daemon.ended().await.success());

    let token = std::fs::read_to_string(world.folder().join("admin.token")).unwrap();
    let lines = world.daemon.log().lines();
    assert!(lines.len() > 10, "the daemon did log");
    let secrets = [
        "CANARY",
        CREDENTIALS.1,
        &world.secret,
        world.secret.strip_prefix("whsec_").unwrap(),
        &world.client.key,
        token.trim(),
        "2557547110",
        "754711000",
        "754711001",
        "754711002",
    ];
    for secret in secrets {
        let found: Vec<_> = lines.iter().filter(|line| line.contains(secret)).collect();
        assert!(found.is_empty(), "{secret} stands in {found:#?}");
    }
}

/// Requests that fail in different places.
async fn badly(world: &World) {
    let client = &world.client;
    let bodies = [
        r#"{"to":"+255754711000","from":"MNARA","message":"CANARYTEXT"#.to_owned(),
        json!({"to": "+255754711000999", "from": "MNARA", "message": "CANARYTEXT"}).to_string(),
        json!({"to": "+255754711000", "from": "CANARY?SENDER", "message": "CANARYTEXT"})
            .to_string(),
        json!({"to": "+255754711000", "from": "MNARA", "message": "CANARYTEXT",
            "webhook_url": "http://10.0.0.1/CANARYURL"})
        .to_string(),
    ];
    for body in bodies {
        let answer = client
            .call(Method::POST, "/v1/sms/send", body)
            .await
            .unwrap();
        assert!((400..500).contains(&answer.status), "{}", answer.text());
    }
    let mut stranger = client.clone();
    stranger.key = format!("{}x", client.key);
    let answer = stranger
        .call(Method::GET, "/v1/messages/CANARYPATH?key=CANARYQUERY", "")
        .await;
    assert_eq!(answer.unwrap().status, 401);
}
