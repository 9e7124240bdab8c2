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
use crate::domain::ids::{BindName, CarrierIndex};
use crate::store;
use crate::telemetry::metrics::recorder;

const TOKEN: &str = "let me in";

struct House {
    router: Router,
    store: Store,
    bind: watch::Sender<BindStatus>,
    draining: watch::Sender<bool>,
    stop: CancellationToken,
    tasks: TaskTracker,
    _folder: tempfile::TempDir,
}

impl House {
    async fn open(token: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
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
        tasks.close();
        let (bind, binds) = watch::channel(BindStatus {
            carrier: CarrierIndex(1),
            bind: BindName("two/1".into()),
            state: "connecting",
            bound: false,
            submits: true,
            in_flight: 0,
            window: 10,
            last_error: Some("refused".into()),
        });
        let (draining, drains) = watch::channel(false);
        let lanes = |id| {
            (
                id,
                Arc::new(Lanes::new(4, 4, 1, 0, Arc::new(Notify::new()))),
            )
        };
        let parts = Parts {
            store: store.clone(),
            metrics: recorder().1,
            binds: vec![binds],
            lanes: carriers.into_iter().map(lanes).collect(),
            draining: drains,
            countries: vec!["TZ".into(), "NG".into()],
        };
        let router = router(token.to_owned().into(), parts);
        Self {
            router,
            store,
            bind,
            draining,
            stop,
            tasks,
            _folder: folder,
        }
    }

    async fn close(self) {
        self.stop.cancel();
        drop((self.router, self.store));
        self.tasks.wait().await;
    }

    async fn call(&self, method: &str, path: &str, body: impl ToString) -> (StatusCode, String) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {TOKEN}"))
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
        assert_eq!((&*found.org.name, found.key.live), ("Demo", true));
    }
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
        ("/admin/v1/binds", json!({}), 405),
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
        json!({"binds": [{"carrier": "two", "bind": "two/1", "state": "connecting", "bound": false,
            "in_flight": 0, "window": 10, "last_error": "refused"}]})
    );
    let (_, told) = house.json("GET", "/admin/v1/queue", "").await;
    assert_eq!(told["lanes"].as_array().unwrap().len(), 6, "{told}");
    assert_eq!(
        (&told["lanes"][0]["carrier"], &told["lanes"][0]["class"]),
        (&json!("one"), &json!("otp"))
    );
    house.close().await;
}
