//! Lives here: keys and users seen from outside: made and ended by an operator and by customers
//! themselves, refused from the next request on.
//! Never here: what a key is worth (`domain::account`).

use std::io::Write;

use hyper::Method;
use mnara_loadtest::smsc::Script;
use serde_json::{Value, json};

use crate::world::{Carrier, Customer, LIMIT, Plan, World, eventually, sms};

async fn world() -> World {
    let mut secret = tempfile::NamedTempFile::new().unwrap();
    writeln!(secret, "0123456789abcdef0123456789abcdef").unwrap();
    let jwt = format!(
        "[api.jwt]\nissuer = \"https://console.duka.tz\"\naudience = \"mnara\"\n\
         algorithm = \"HS256\"\nkey_file = \"{}\"",
        secret.path().display()
    );
    let carrier = Carrier::simulated("vodacom_tz", Script::default());
    // The file is read at start only.
    World::start(Plan::of([carrier]).with(&jwt)).await
}

/// Who calls with this key, or token.
fn with(world: &World, key: &Value) -> Customer {
    Customer::new(world.daemon.api, key.as_str().unwrap().to_owned())
}

async fn status(customer: &Customer, method: Method, path: &str) -> (u16, String) {
    let answer = customer.call(method, path, "").await.unwrap();
    let code = answer.json()["code"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    (answer.status, code)
}

async fn credits(customer: &Customer) -> (u16, String) {
    status(customer, Method::GET, "/v1/credits").await
}

fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn a_key_that_was_made_elsewhere_is_taken_along() {
    let world = world().await;
    let literal = "mt_live_0123456789abcdefghij";
    let file = world.config.with_file_name("key.txt");
    std::fs::write(&file, format!("{literal}\n")).unwrap();
    let path = file.to_str().unwrap();
    let create = ["keys", "create", "--org", "Tester", "--key-from", path];
    let made = world.ctl(&create).await;
    assert_eq!(made["key"], Value::Null, "{made}");
    let customer = with(&world, &literal.into());
    assert_eq!(credits(&customer).await.0, 200);
    let again = world.try_ctl(&create).await;
    assert!(
        again.contains("there is a key with this secret already"),
        "{again}"
    );
    std::fs::write(&file, "sk_live_mw_8472910").unwrap();
    let weak = world.try_ctl(&create).await;
    assert!(
        weak.contains("can be guessed") && weak.contains("--weak"),
        "{weak}"
    );
    let nowhere = [&create[..5], &["/nowhere"]].concat();
    let unread = world.try_ctl(&nowhere).await;
    assert!(unread.contains("cannot read /nowhere"), "{unread}");
}

#[tokio::test]
async fn a_key_ends_at_once_and_its_successor_takes_over() {
    let world = world().await;
    let made = world
        .ctl(&["keys", "create", "--org", "Tester", "--name", "Till"])
        .await;
    let (id, till) = (made["id"].as_str().unwrap(), with(&world, &made["key"]));
    assert_eq!(credits(&till).await.0, 200);
    let rotated = world.ctl(&["keys", "rotate", id, "--grace", "2h"]).await;
    let second = with(&world, &rotated["key"]);
    assert_eq!(
        (credits(&till).await.0, credits(&second).await.0),
        (200, 200)
    );
    let again = world.try_ctl(&["keys", "rotate", id]).await;
    assert!(again.contains("has a successor already"), "{again}");
    world.ctl(&["keys", "revoke", id]).await;
    assert_eq!(credits(&till).await, refused(401, "unauthorized"));
    let id = rotated["id"].as_str().unwrap();
    let rotated = world.ctl(&["keys", "rotate", id]).await;
    assert_eq!(credits(&second).await, refused(401, "unauthorized"));
    let third = with(&world, &rotated["key"]);
    assert_eq!(credits(&third).await.0, 200);
    let id = rotated["id"].as_str().unwrap();
    eventually("a use is written", LIMIT, async || {
        let shown = world.ctl(&["keys", "show", id]).await;
        shown["last_used_at"].is_string().then_some(())
    })
    .await;
    let left = world.ctl(&["keys", "list", "--org", "Tester"]).await;
    let all = world
        .ctl(&["keys", "list", "--org", "Tester", "--all"])
        .await;
    let count = |told: &Value| told["keys"].as_array().unwrap().len();
    assert_eq!((count(&left), count(&all)), (2, 4));
    assert!(
        !all.to_string()
            .contains(&rotated["key"].as_str().unwrap()[12..])
    );
    let orgs = world.ctl(&["orgs", "list"]).await;
    assert_eq!(orgs["orgs"][0]["name"], "Tester");
    assert!(!orgs.to_string().contains("whsec_"));
}

#[tokio::test]
async fn a_key_is_held_to_its_scopes_senders_addresses_and_time() {
    let world = world().await;
    let create = ["keys", "create", "--org", "Tester"];
    let make = async |more: &[&str]| {
        let made = world.ctl(&[&create[..], more].concat()).await;
        with(&world, &made["key"])
    };
    let otp = make(&["--scope", "otp", "--sender", "MojaWave"]).await;
    assert_eq!(credits(&otp).await, refused(403, "forbidden"));
    let mut body = sms("vodacom_tz", 1, "otp", "a code");
    body["from"] = json!("MOJAWAVE");
    assert_eq!(otp.try_send(&body).await.unwrap().status, 201);
    body["from"] = json!("Other");
    let told = otp.try_send(&body).await.unwrap();
    assert_eq!(
        (told.status, &told.json()["code"]),
        (403, &json!("sender_not_approved"))
    );
    let told = otp
        .try_send(&sms("vodacom_tz", 2, "transactional", "x"))
        .await
        .unwrap();
    assert_eq!(
        (told.status, &told.json()["details"]["scope"]),
        (403, &json!("sms:send"))
    );

    let near = make(&["--ip", "127.0.0.0/8", "--ip", "::1"]).await;
    assert_eq!(credits(&near).await.0, 200);
    let far = make(&["--ip", "192.0.2.0/24"]).await;
    assert_eq!(credits(&far).await, refused(403, "ip_not_allowed"));

    let soon = in_two_seconds();
    let short = make(&["--expires", &soon]).await;
    eventually("the key expires", LIMIT, async || {
        (credits(&short).await == refused(401, "key_expired")).then_some(())
    })
    .await;
    for wrong in [
        &["--scope", "everything"][..],
        &["--ip", "10.0.0.0/33"],
        &["--expires", "2001-01-01T00:00:00Z"],
        &["--rate", "0"],
    ] {
        world.try_ctl(&[&create[..], wrong].concat()).await;
    }
    // A test key's messages go nowhere near a carrier.
    let test = make(&["--test"]).await;
    assert_eq!(credits(&test).await.0, 200);
    let before = world.carrier().log.count(|_| true);
    let _ = test
        .try_send(&sms("vodacom_tz", 3, "otp", "x"))
        .await
        .unwrap();
    let sent = world.client.send(&sms("vodacom_tz", 4, "otp", "y")).await;
    eventually("the live one is there", LIMIT, async || {
        (world.client.message(sent).await["status"] == "delivered").then_some(())
    })
    .await;
    assert_eq!(world.carrier().log.count(|_| true), before + 1);
}

fn in_two_seconds() -> String {
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(2);
    soon.to_string()
}

#[tokio::test]
async fn customers_look_after_their_keys_and_users_call_with_tokens() {
    let world = world().await;
    let org = ["--org", "Tester"];
    let user = [
        "users",
        "create",
        "asha@duka.tz",
        "--name",
        "Asha",
        "--role",
        "owner",
    ];
    world.ctl(&[&user[..], &org].concat()).await;
    let token = ["users", "token", "asha@duka.tz"];
    let told = world.ctl(&[&token[..], &org].concat()).await;
    let asha = with(&world, &told["token"]);
    assert_eq!(
        credits(&asha).await.0,
        200,
        "seed 003: a user's token reads credits"
    );
    let wanted = r#"{"name":"Core","scopes":["credits:read"]}"#;
    let made = asha.call(Method::POST, "/v1/keys", wanted).await.unwrap();
    assert_eq!(made.status, 201, "{}", made.text());
    let made = made.json()["data"].clone();
    let core = with(&world, &made["key"]);
    assert_eq!(credits(&core).await.0, 200);
    let path = format!("/v1/keys/{}", made["id"].as_str().unwrap());
    assert_eq!(
        status(&core, Method::DELETE, &path).await,
        refused(403, "forbidden")
    );
    assert_eq!(status(&asha, Method::DELETE, &path).await.0, 200);
    assert_eq!(credits(&core).await, refused(401, "unauthorized"));
    let remove = ["users", "remove", "asha@duka.tz"];
    world.ctl(&[&remove[..], &org].concat()).await;
    assert_eq!(credits(&asha).await, refused(401, "unauthorized"));
    world.try_ctl(&[&token[..], &org].concat()).await;
    let audit = world.ctl(&["audit", "--limit", "20"]).await.to_string();
    for action in [
        "user.create",
        "user.token",
        "key.create",
        "key.revoke",
        "user.remove",
    ] {
        assert!(audit.contains(action), "{action}: {audit}");
    }
    assert!(!audit.contains(told["token"].as_str().unwrap()));
}
