//! Lives here: the operator's side: `ctl` in both forms, and who is let in.
//! Never here: readiness under drain (`drain`) and without binds (`binding`).

use hyper::Request;

use crate::daemon::ctl;
use crate::world::{Plan, World, sms};

#[tokio::test]
async fn ctl_creates_and_shows_for_people_and_for_programs() {
    let world = World::start(Plan::simple()).await;
    let org = world
        .ctl(&[
            "org",
            "create",
            "Shop",
            "--country",
            "tz",
            "--postpaid",
            "--sender",
            "SHOP",
            "--sender",
            "15055",
        ])
        .await;
    assert_eq!(org["name"], "Shop");
    assert_eq!(org["country"], "TZ");
    assert_eq!(org["senders"], serde_json::json!(["SHOP", "15055"]));
    assert!(
        org["webhook_secret"]
            .as_str()
            .unwrap()
            .starts_with("whsec_")
    );
    let shop = world.customer_of(org["id"].as_str().unwrap()).await;
    assert!(shop.key.starts_with("sk_live_mw_"));

    // The organisation's senders bind its keys.
    let refused = shop
        .try_send(&sms("vodacom_tz", 1, "transactional", "not ours"))
        .await
        .unwrap();
    assert_eq!(refused.status, 403);
    assert_eq!(refused.json()["code"], "sender_not_approved");
    let mut ours = sms("vodacom_tz", 1, "transactional", "ours");
    ours["from"] = "shop".into();
    let id = shop.send(&ours).await;
    let sent = shop.message(id).await;
    assert_eq!(sent["from"], "SHOP", "as registered");
    // Another organisation does not see it.
    let hidden = world
        .client
        .call(hyper::Method::GET, &format!("/v1/messages/{id}"), "")
        .await
        .unwrap();
    assert_eq!(hidden.status, 404);

    let binds = world.ctl(&["binds"]).await;
    assert_eq!(binds["binds"][0]["state"], "bound");
    assert_eq!(binds["binds"][0]["window"], 50);
    let table = text(&world, &["binds"]).await;
    let mut lines = table.lines();
    assert!(lines.next().unwrap().starts_with("CARRIER"), "{table}");
    let line = lines.next().unwrap();
    assert!(
        line.starts_with("vodacom_tz") && line.contains("bound"),
        "{table}"
    );
    let queue = text(&world, &["queue"]).await;
    assert_eq!(queue.lines().count(), 4, "{queue}");
    let org = text(&world, &["org", "create", "Duka", "--country", "TZ"]).await;
    assert!(org.contains("webhook secret  whsec_"), "{org}");
    let key = text(&world, &["key", "create", "--org", "Duka"]).await;
    assert!(key.contains("sk_live_mw_"), "{key}");
}

#[tokio::test]
async fn ctl_says_what_is_wrong_and_fails() {
    let world = World::start(Plan::simple()).await;
    let table: [(&[&str], &str); 5] = [
        (&["org", "create", "Tester", "--country", "TZ"], "Tester"),
        (&["org", "create", "Far", "--country", "XX"], "country"),
        (&["org", "create", "", "--country", "TZ"], "name"),
        (&["key", "create", "--org", "Nobody"], "organisation"),
        (
            &[
                "org",
                "create",
                "S",
                "--country",
                "TZ",
                "--sender",
                "far too long a name",
            ],
            "sender",
        ),
    ];
    for (arguments, says) in table {
        let output = ctl(&world.config, world.daemon.admin, arguments).await;
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {error}");
        assert!(error.contains(says), "{arguments:?}: {error}");
        assert!(output.stdout.is_empty());
    }
    let nowhere = "127.0.0.1:1".parse().unwrap();
    let output = ctl(&world.config, nowhere, &["binds"]).await;
    assert_eq!(output.status.code(), Some(1));
}

#[tokio::test]
async fn without_the_token_nothing_is_told_or_changed() {
    let world = World::start(Plan::simple()).await;
    let admin = world.daemon.admin;
    for (path, authorization) in [
        ("/admin/v1/binds", None),
        ("/admin/v1/queue", Some("Bearer wrong")),
        ("/admin/v1/queue", Some("Bearer ")),
        ("/admin/v1/binds", Some("Basic YTpi")),
    ] {
        let mut request = Request::get(format!("http://{admin}{path}"));
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        let request = request.body(Default::default()).unwrap();
        let answer = world.client.request(request).await.unwrap();
        assert_eq!(answer.status, 401, "{path} {authorization:?}");
        assert!(!answer.text().contains("vodacom"));
    }
    // A configuration with another token, as on another machine.
    let other = world.folder().join("other.toml");
    let text = std::fs::read_to_string(&world.config).unwrap();
    let admin_section = "[admin]\ntoken = \"another token of 16\"";
    std::fs::write(&other, text.replace("[admin]", admin_section)).unwrap();
    let output = ctl(
        &other,
        admin,
        &["org", "create", "Thief", "--country", "TZ"],
    )
    .await;
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("token"), "{error}");
    let mode = std::fs::metadata(world.folder().join("admin.token")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&mode.permissions());
    assert_eq!(mode & 0o777, 0o600);
}

async fn text(world: &World, arguments: &[&str]) -> String {
    let output = ctl(&world.config, world.daemon.admin, arguments).await;
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}
