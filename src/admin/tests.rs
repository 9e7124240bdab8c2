//! Lives here: the operators' listener driven in process against a real store on a file.
//! Never here: sockets.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::*;
use crate::domain::api_key::Presented;
use crate::domain::capability::Capability;
use crate::domain::class::ClassSet;
use crate::domain::ids::{BindName, CarrierIndex, NetworkId};
use crate::domain::route::{Account, Table};
use crate::flow::bind::{BindCommand, BindStatus};
use crate::flow::health::Health;
use crate::ingest::{self, Ingest, plan};
use crate::store;
use crate::telemetry::metrics::recorder;
use crate::webhooks::{self, Trials};

mod binds;
mod erasing;
mod receipts;
mod sweeping;

const TOKEN: &str = "let me in";

struct House {
    router: Router,
    health: Arc<Health>,
    lanes: Vec<(CarrierId, Arc<Lanes>)>,
    store: Store,
    bind: watch::Sender<BindStatus>,
    /// What the bind is told.
    wanted: mpsc::Receiver<BindCommand>,
    draining: watch::Sender<bool>,
    /// What `feed` has been told.
    steers: mpsc::Receiver<String>,
    stop: CancellationToken,
    tasks: TaskTracker,
    folder: tempfile::TempDir,
}

fn table() -> Table {
    let plan = plan::parse(plan::BUILT_IN).unwrap();
    let unknown = vec![None; plan.countries().len()];
    let account = Account::new(
        CarrierId("one".into()),
        NetworkId("vodacom_tz".into()),
        ClassSet::ALL,
        Capability::default(),
    );
    Table::new(plan, vec![account], unknown)
}

impl House {
    async fn open(token: &str) -> Self {
        Self::open_in(tempfile::tempdir().unwrap(), token).await
    }

    async fn open_in(folder: tempfile::TempDir, token: &str) -> Self {
        let config = store::Config {
            url: format!("sqlite:{}", folder.path().join("admin.db").display()),
            ..store::Config::default()
        };
        let (committed, mut drained) = mpsc::channel(16);
        let (events, _events) = mpsc::channel(16);
        let carriers = vec![CarrierId("one".into()), CarrierId("two".into())];
        let store::Opened { store, writer, .. } =
            store::open(&config, carriers.clone(), committed, events)
                .await
                .unwrap();
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let writing = stop.clone();
        tasks.spawn(async move { writer.run(writing).await.unwrap() });
        tasks.spawn(async move { while drained.recv().await.is_some() {} });
        let (bind, view) = watch::channel(BindStatus {
            window: 10,
            last_error: Some("refused".into()),
            ..BindStatus::new(CarrierIndex(1), BindName("two/1".into()))
        });
        let (commands, wanted) = mpsc::channel(1);
        let (draining, drains) = watch::channel(false);
        let (reload, mut reloads) = mpsc::channel::<Reload>(1);
        tasks.spawn(async move {
            let mut answers =
                [Ok(vec!["rule a added".to_owned()]), Err("no".to_owned())].into_iter();
            while let Some(asked) = reloads.recv().await {
                let _ = asked.done.send(answers.next().unwrap_or(Ok(Vec::new())));
            }
        });
        let lanes = |id| (id, Arc::new(Lanes::new(4, 4, 1, Arc::new(Notify::new()))));
        let lanes: Vec<_> = carriers.iter().cloned().map(lanes).collect();
        let gated = lanes.iter().map(|(_, lanes)| Arc::clone(lanes)).collect();
        let health = Arc::new(Health::new(2, [None; 3]).with_lanes(gated, 3));
        let (steer, mut steered) = mpsc::channel(16);
        let (tell, steers) = mpsc::channel(256);
        tasks.spawn(async move {
            while let Some(what) = steered.recv().await {
                let told = match what {
                    Steer::Recall { lanes, done } => {
                        done.send(()).unwrap();
                        format!("recall {lanes:?}")
                    }
                    Steer::Release(lanes) => format!("release {lanes:?}"),
                    Steer::Look => "look".to_owned(),
                };
                // The test may not listen any more.
                let _ = tell.try_send(told);
            }
        });
        let holds = Holds::load(store.clone(), carriers, Arc::clone(&health), steer.clone());
        let routes = Arc::new(Routes::new(table(), Arc::clone(&health)));
        let ingest = Ingest::new(
            ingest::Config::default(),
            store.clone(),
            Arc::clone(&routes),
        );
        let bulk = Bulk::new(Arc::new(ingest), store.clone());
        let parts = Parts {
            store: store.clone(),
            trials: Arc::new(Trials::new(
                &webhooks::Config::default(),
                std::time::Duration::from_secs(1),
            )),
            metrics: recorder().1,
            binds: vec![BindHandle { view, commands }],
            lanes: lanes.clone(),
            dialects: vec![IdDialect::default(); 2],
            health: Arc::clone(&health),
            steer,
            holds: holds.await.unwrap(),
            draining: drains,
            routes,
            reload,
            tokens: None,
            bulk,
        };
        let (router, keeping) = router(token.to_owned().into(), parts, &stop);
        tasks.spawn(keeping);
        tasks.close();
        Self {
            router,
            health,
            lanes,
            store,
            bind,
            wanted,
            draining,
            steers,
            stop,
            tasks,
            folder,
        }
    }

    async fn close(self) -> tempfile::TempDir {
        self.stop.cancel();
        drop((self.router, self.store));
        self.tasks.wait().await;
        self.folder
    }

    async fn call(&self, method: &str, path: &str, body: impl ToString) -> (StatusCode, String) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {TOKEN}"))
            .header("x-mnara-operator", "amina")
            .body(Body::from(body.to_string()))
            .unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn json(&self, method: &str, path: &str, body: impl ToString) -> (u16, Value) {
        let (status, text) = self.call(method, path, body).await;
        (
            status.as_u16(),
            serde_json::from_str(&text).unwrap_or(Value::Null),
        )
    }
}

#[tokio::test]
async fn an_organisation_and_its_key_are_created_and_the_key_opens_the_api() {
    let house = House::open(TOKEN).await;
    let body = json!({"name": "Demo", "country": "tz", "senders": ["MojaWave", "MOJAWAVE"]});
    let (status, org) = house.json("POST", "/admin/v1/orgs", &body).await;
    assert_eq!(status, 201, "{org}");
    assert_eq!(
        (&org["country"], &org["senders"]),
        (&json!("TZ"), &json!(["MojaWave"]))
    );
    let secret = org["webhook_secret"].as_str().unwrap();
    assert_eq!((&secret[..6], secret.len()), ("whsec_", 6 + 44));
    assert_eq!(house.json("POST", "/admin/v1/orgs", &body).await.0, 409);

    for wanted in [&org["name"], &org["id"]] {
        let (status, key) = house
            .json("POST", "/admin/v1/keys", json!({"org": wanted}))
            .await;
        assert_eq!((status, &key["org"]), (201, &org["id"]), "{key}");
        let text = key["key"].as_str().unwrap();
        assert!(text.starts_with(key["prefix"].as_str().unwrap()), "{key}");
        let presented = Presented::parse(text).unwrap();
        let found = house
            .store
            .credential(&presented.hash)
            .await
            .unwrap()
            .unwrap();
        assert_eq!((&*found.org.name, found.is_live()), ("Demo", true));
    }
    let bring = |key: &str, weak: bool| {
        let body = json!({"org": "Demo", "key": key, "weak": weak});
        house.json("POST", "/admin/v1/keys", body)
    };
    let literal = "mk_live_0123456789abcdefghijkl_0123456789";
    let (status, key) = bring(literal, false).await;
    assert_eq!((status, &key["key"]), (201, &Value::Null), "{key}");
    assert_eq!(key["prefix"], "mk_live_0123");
    let hash = Presented::parse(literal).unwrap().hash;
    assert!(house.store.credential(&hash).await.unwrap().is_some());
    let seeds = "sk_live_mw_8472910";
    for (literal, weak, status) in [
        (literal, false, 409),
        (seeds, false, 400),
        (seeds, true, 201),
        ("sk_test_mw_0123456789abcdefghij", false, 400),
        ("eyJ0123456789.abcdefghij.klmnopqrst", true, 400),
        ("", true, 400),
    ] {
        let (found, told) = bring(literal, weak).await;
        assert_eq!(found, status, "{told}");
        assert!(!told.to_string().contains("0123456789a"), "{told}");
    }
    let (_, audit) = house.json("GET", "/admin/v1/audit", "").await;
    let made = audit["audit"].as_array().unwrap().iter();
    let made = made.filter(|row| row["action"] == "key.create" && row["outcome"] == "created");
    let told: Vec<_> = made
        .map(|row| (&row["detail"]["brought"], &row["detail"]["weak"]))
        .collect();
    let (yes, no, ours) = (&json!(true), &json!(false), &Value::Null);
    assert_eq!(
        told,
        [(yes, yes), (yes, no), (ours, ours), (ours, ours)],
        "{audit}"
    );
    house.close().await;
}

#[tokio::test]
async fn what_cannot_be_created_is_refused_with_its_reason() {
    let house = House::open(TOKEN).await;
    for (path, body, status) in [
        ("/admin/v1/orgs", json!({"name": "", "country": "TZ"}), 400),
        (
            "/admin/v1/orgs",
            json!({"name": "x".repeat(65), "country": "TZ"}),
            400,
        ),
        (
            "/admin/v1/orgs",
            json!({"name": "a\u{0}b", "country": "TZ"}),
            400,
        ),
        ("/admin/v1/keys", json!({"org": "a\u{0}b"}), 400),
        ("/admin/v1/keys", json!({"org": "a\\\u{0}b"}), 400),
        // Not the character, but its spelling.
        ("/admin/v1/keys", json!({"org": r"a\u0000b"}), 404),
        ("/admin/v1/orgs?after=a%00", json!({}), 400),
        ("/admin/v1/orgs", json!({"name": "a", "country": "XX"}), 400),
        (
            "/admin/v1/orgs",
            json!({"name": "a", "country": "TZ", "senders": ["@"]}),
            400,
        ),
        (
            "/admin/v1/orgs",
            json!({"name": "a", "country": "TZ", "unknown": 1}),
            400,
        ),
        ("/admin/v1/orgs", json!("x".repeat(BODY_MAX)), 413),
        ("/admin/v1/keys", json!({"org": "nobody"}), 404),
        ("/admin/v1/keys", json!({"org": uuid::Uuid::nil()}), 404),
        ("/admin/v1/keys", json!({}), 400),
        ("/admin/v1/nothing", json!({}), 404),
        ("/admin/v1/audit", json!({}), 405),
    ] {
        let (found, refused) = house.json("POST", path, &body).await;
        assert_eq!(found, status, "{path} {refused}");
        assert!(
            refused["code"].is_string() && refused["message"].is_string(),
            "{refused}"
        );
    }
    house.close().await;
}

#[tokio::test]
async fn control_wants_the_token_and_an_empty_token_admits_nobody() {
    for configured in ["other", ""] {
        let house = House::open(configured).await;
        for (method, path) in [
            ("POST", "/admin/v1/orgs"),
            ("POST", "/admin/v1/keys"),
            ("GET", "/admin/v1/binds"),
            ("GET", "/admin/v1/queue"),
            ("GET", "/admin/v1/carriers"),
            ("POST", "/admin/v1/carriers"),
            ("GET", "/admin/v1/audit"),
            ("POST", "/admin/v1/queue/purge"),
            ("POST", "/admin/v1/queue/reroute"),
            ("GET", "/admin/v1/carriers/learn-ids"),
            ("GET", "/admin/v1/receipts"),
            ("POST", "/admin/v1/reload"),
            ("GET", "/admin/v1/routes/explain"),
            ("POST", "/admin/v1/receipts/replay"),
            ("POST", "/admin/v1/receipts/drop"),
            ("GET", "/admin/v1/messages/1"),
            ("POST", "/admin/v1/messages/1/cancel"),
            ("POST", "/admin/v1/messages/1/resend"),
        ] {
            assert_eq!(
                house.call(method, path, "").await.0,
                StatusCode::UNAUTHORIZED,
                "{path}"
            );
            for header in ["Bearer ", "Bearer", "Basic b3RoZXI="] {
                let request = Request::builder().method(method).uri(path);
                let request = request
                    .header("authorization", header)
                    .body(Body::empty())
                    .unwrap();
                let response = house.router.clone().oneshot(request).await.unwrap();
                assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{header:?}");
            }
        }
        assert_eq!(house.call("GET", "/livez", "").await.0, StatusCode::OK);
        assert_eq!(house.call("GET", "/metrics", "").await.0, StatusCode::OK);
        house.close().await;
    }
}

#[tokio::test]
async fn readiness_follows_binds_store_and_drain() {
    let house = House::open(TOKEN).await;
    let ready = async || house.call("GET", "/readyz?verbose", "").await;
    let (status, told) = ready().await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(told.contains("no bind is bound"), "{told}");

    house.bind.send_modify(|status| status.bound = true);
    let (status, told) = ready().await;
    assert_eq!(status, StatusCode::OK, "{told}");
    assert!(told.contains("[!] one: 0 of 0 binds bound"), "{told}");
    assert!(told.contains("[+] two: 1 of 1 binds bound"), "{told}");
    assert_eq!(house.call("GET", "/readyz", "").await.1, "ready\n");

    house.store.health().set_well(false);
    assert_eq!(ready().await.0, StatusCode::SERVICE_UNAVAILABLE);
    house.store.health().set_well(true);
    house.draining.send_replace(true);
    assert_eq!(ready().await.0, StatusCode::SERVICE_UNAVAILABLE);
    house.close().await;
}

#[tokio::test]
async fn binds_and_queue_are_told_with_their_accounts() {
    let house = House::open(TOKEN).await;
    let (_, told) = house.json("GET", "/admin/v1/binds", "").await;
    assert_eq!(
        told,
        json!({"binds": [{"carrier": "two", "bind": "two/1", "state": "connecting", "since": null,
            "bound": false, "host": "", "classes": ["otp", "transactional", "promotional"],
            "in_flight": 0, "window": 10, "tps": 0, "tps_allowed": 0, "tps_limit": 0,
            "throttled": 0, "until_restart": null, "last_error": "refused"}]})
    );
    let (_, told) = house.json("GET", "/admin/v1/queue", "").await;
    assert_eq!(told["lanes"].as_array().unwrap().len(), 6, "{told}");
    assert_eq!(
        (&told["lanes"][0]["carrier"], &told["lanes"][0]["class"]),
        (&json!("one"), &json!("otp"))
    );
    house.close().await;
}

#[tokio::test]
async fn a_hold_is_in_force_at_once_outlasts_a_restart_and_ends_by_itself() {
    let mut house = House::open(TOKEN).await;
    let pause = json!({"carrier": "two", "hold": "paused", "reason": "works", "for_s": 3600});
    let dry = json!({"carrier": "two", "hold": "paused", "reason": "works", "dry_run": true});
    let (status, told) = house.json("POST", "/admin/v1/carriers", &dry).await;
    assert_eq!((status, &told["dry_run"]), (200, &json!(true)), "{told}");
    assert!(!house.lanes[1].1.is_shut(), "a dry run changes nothing");
    assert!(house.steers.try_recv().is_err());

    let (status, told) = house.json("POST", "/admin/v1/carriers", &pause).await;
    assert_eq!(status, 200, "{told}");
    assert_eq!(told["undo"], "mnara ctl carriers resume two");
    assert_eq!(house.steers.recv().await.unwrap(), "look");
    assert!(house.lanes[1].1.is_shut() && !house.lanes[0].1.is_shut());
    assert!(house.health.is_out(CarrierIndex(1)));
    let (_, told) = house.json("GET", "/admin/v1/carriers", "").await;
    assert_eq!(told["carriers"][0]["hold"], "free");
    let held = &told["carriers"][1];
    assert_eq!(held["hold"], "paused");
    let words = held["held"].as_str().unwrap();
    assert!(words.starts_with("paused by amina (admin token)") && words.ends_with("works"));

    house = House::open_in(house.close().await, TOKEN).await;
    assert!(
        house.lanes[1].1.is_shut(),
        "held before anything is submitted"
    );
    let brief = json!({"carrier": "two", "hold": "paused", "reason": "works", "for_s": 1});
    assert_eq!(
        house.call("POST", "/admin/v1/carriers", &brief).await.0,
        200
    );
    let limit = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while house.lanes[1].1.is_shut() {
        assert!(std::time::Instant::now() < limit, "it does not end");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let (_, told) = house.json("GET", "/admin/v1/audit?limit=10", "").await;
    let actions: Vec<_> = told["audit"].as_array().unwrap().iter().collect();
    let seen = |at: usize| {
        (
            &actions[at]["actor"],
            &actions[at]["action"],
            &actions[at]["subject"],
        )
    };
    assert_eq!(
        seen(0),
        (&json!("mnara"), &json!("carriers.resume"), &json!("two"))
    );
    let amina = json!("amina (admin token)");
    assert_eq!(seen(1), (&amina, &json!("carriers.pause"), &json!("two")));
    assert_eq!(actions[1]["detail"]["reason"], "works");
    assert_eq!(actions.len(), 3, "{told}");
    house.close().await;
}

#[tokio::test]
async fn holds_are_refused_with_their_reason() {
    let house = House::open(TOKEN).await;
    for (body, status, says) in [
        (json!({"carrier": "two", "hold": "paused"}), 400, "--reason"),
        (
            json!({"carrier": "two", "hold": "paused", "reason": "x"}),
            400,
            "3 to 200",
        ),
        (
            json!({"carrier": "two", "hold": "paused", "reason": "why\nnot"}),
            400,
            "printable",
        ),
        (
            json!({"carrier": "six", "hold": "paused", "reason": "works"}),
            404,
            "ctl carriers",
        ),
        (
            json!({"carrier": "two", "hold": "gone", "reason": "works"}),
            400,
            "gone",
        ),
        (json!({"carrier": "two", "hold": "free"}), 409, "not held"),
        (
            json!({"carrier": "two", "hold": "draining", "reason": "works", "for_s": 0}),
            400,
            "for_s",
        ),
        (
            json!({"carrier": "two", "hold": "draining", "reason": "works", "odd": 0}),
            400,
            "odd",
        ),
    ] {
        let (found, told) = house.json("POST", "/admin/v1/carriers", &body).await;
        assert_eq!(found, status, "{body} {told}");
        assert!(told["message"].as_str().unwrap().contains(says), "{told}");
    }
    for path in [
        "/admin/v1/audit?limit=0",
        "/admin/v1/audit?odd=1",
        "/admin/v1/queue?class=x",
    ] {
        assert_eq!(house.json("GET", path, "").await.0, 400, "{path}");
    }
    assert_eq!(
        house.json("GET", "/admin/v1/queue?carrier=six", "").await.0,
        404
    );
    let (_, told) = house.json("GET", "/admin/v1/audit", "").await;
    assert_eq!(
        told,
        json!({"audit": []}),
        "what was refused changed nothing"
    );
    house.close().await;
}

#[tokio::test]
async fn a_route_is_explained_and_wrong_questions_are_answered_with_a_remedy() {
    let house = House::open(TOKEN).await;
    let ask = async |query: &str| {
        house
            .json("GET", &format!("/admin/v1/routes/explain?{query}"), "")
            .await
    };
    let (status, told) = ask("to=%2B255753276939&class=otp").await;
    assert_eq!(status, 200, "{told}");
    assert_eq!(
        (&told["carrier"], &told["from"]),
        (&"one".into(), &"MNARA".into())
    );
    assert_eq!(told["candidates"][0]["reason"], "number 1 in order");
    let (status, told) = ask("to=255622345678").await;
    assert_eq!((status, &told["carrier"]), (200, &Value::Null), "{told}");
    let org = json!({"name": "Shop", "country": "TZ", "senders": ["SHOP"]});
    house.json("POST", "/admin/v1/orgs", org).await;
    let (status, told) = ask("to=0753276939&org=Shop&from=shop").await;
    assert_eq!((status, &told["from"]), (200, &"SHOP".into()), "{told}");
    for (query, status, words) in [
        ("class=otp", 400, "missing field `to`"),
        ("to=0753276939", 400, "give it in E.164"),
        ("to=255753276939&class=sms", 400, "class must be"),
        (
            "to=255753276939&segments=11",
            400,
            "segments must be 1 to 10",
        ),
        (
            "to=255753276939&sgements=1",
            400,
            "unknown field `sgements`",
        ),
        ("to=255753276939&org=nobody", 404, "no organisation"),
        ("to=255753276939&org=Shop&from=BANK", 400, "not approved"),
    ] {
        let (found, told) = ask(query).await;
        let message = told["message"].as_str().unwrap();
        assert!(
            found == status && message.contains(words),
            "{query}: {told}"
        );
    }
    house.close().await;
}

#[tokio::test]
async fn a_reload_tells_what_has_changed_or_why_nothing_has() {
    let house = House::open(TOKEN).await;
    let (status, told) = house.json("POST", "/admin/v1/reload", "").await;
    assert_eq!((status, told), (200, json!({"changes": ["rule a added"]})));
    let (status, told) = house.json("POST", "/admin/v1/reload", "").await;
    assert_eq!(status, 409, "{told}");
    assert_eq!(told["message"], "nothing was changed: no");
    house.close().await;
}
