//! Lives here: the API driven in process against a real store on a file: what is answered to good
//! and to bad requests, and that bad ones leave nothing behind.
//! Never here: sockets (`server`), single functions (beside the code).

mod bad_input;
mod bodies;
mod bulk;
mod keys;
mod nul;
mod reads;
mod repeated;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;
use uuid::Uuid;

use super::call::Api;
use super::idempotency::Running;
use super::limits::Limits;
use super::{Rates, time, v1};
use crate::bulk::Bulk;
use crate::domain::account::{ApiKey, Organisation};
use crate::domain::allowance::Quota;
use crate::domain::api_key::NewKey;
use crate::domain::capability::Capability;
use crate::domain::class::ClassSet;
use crate::domain::ids::{CarrierId, KeyId, NetworkId, OrgId};
use crate::domain::ledger::Terms;
use crate::domain::route::{Account, Table};
use crate::domain::time::Timestamp;
use crate::flow::health::Health;
use crate::flow::routes::Routes;
use crate::ingest::{self, Ingest, plan};
use crate::store::people::Changed;
use crate::store::{self, Store};
use crate::webhooks::{self, Trials};

const BODY_MAX: usize = 4096;
const GOOD: &str = r#"{"to":"+255753276939","from":"MojaWave","message":"Hello"}"#;

/// The API over a store in a folder of its own.
struct House {
    router: Router,
    store: Store,
    key: String,
    stop: CancellationToken,
    tasks: TaskTracker,
    _folder: tempfile::TempDir,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
    json: Value,
}

impl House {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = store::Config {
            url: format!("sqlite:{}", folder.path().join("api.db").display()),
            ..store::Config::default()
        };
        let (committed, mut drained) = mpsc::channel(16);
        let (events, _events) = mpsc::channel(16);
        let carriers = vec![CarrierId("vodacom_tz".into())];
        let store::Opened { store, writer, .. } = store::open(&config, carriers, committed, events)
            .await
            .unwrap();
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let writing = stop.clone();
        tasks.spawn(async move { writer.run(writing).await.unwrap() });
        tasks.spawn(async move { while drained.recv().await.is_some() {} });
        tasks.close();
        let plan = plan::parse(plan::BUILT_IN).unwrap();
        let account = |id: &str| {
            let (id, network) = (CarrierId(id.into()), NetworkId(id.into()));
            Account::new(id, network, ClassSet::ALL, Capability::default())
        };
        let accounts = vec![account("vodacom_tz")];
        let fallback = vec![None; plan.countries().len()];
        let table = Table::new(plan, accounts, fallback);
        let routes = Routes::new(table, Arc::new(Health::new(1, [None; 3])));
        let config = ingest::Config::default();
        let ingest = Arc::new(Ingest::new(config, store.clone(), Arc::new(routes)));
        let api = Api {
            bulk: Bulk::new(Arc::clone(&ingest), store.clone()),
            ingest,
            store: store.clone(),
            trials: Arc::new(Trials::new(
                &webhooks::Config::default(),
                Duration::from_millis(200),
            )),
            body_max: BODY_MAX,
            request_timeout: Duration::from_millis(300),
            proxies: Vec::new(),
            tokens: Some(Arc::new(keys::tokens())),
            limits: Limits::new(Rates {
                credits: Quota::per_minute(20).unwrap(),
                ..Rates::default()
            }),
            running: Running::default(),
        };
        let key = sign_up(&store, "One", 1).await;
        let router = v1::doors().router(Arc::new(api));
        Self {
            router,
            store,
            key,
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

    async fn call(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(body.to_vec()).unwrap();
        assert!(parts.headers.contains_key("x-request-id"), "{text}");
        Answer {
            status: parts.status,
            headers: parts.headers,
            json: serde_json::from_str(&text).unwrap_or(Value::Null),
            text,
        }
    }

    async fn send(&self, body: impl Into<Body>) -> Answer {
        self.call(self.post(body)).await
    }

    fn post(&self, body: impl Into<Body>) -> Request<Body> {
        Request::post("/v1/sms/send")
            .header("authorization", format!("Bearer {}", self.key))
            .body(body.into())
            .unwrap()
    }

    async fn get(&self, path: &str, key: &str) -> Answer {
        let request = Request::get(path)
            .header("x-api-key", key)
            .body(Body::empty())
            .unwrap();
        self.call(request).await
    }

    /// How many messages the store holds.
    async fn kept(&self) -> u64 {
        self.store
            .queue()
            .await
            .unwrap()
            .iter()
            .map(|row| row.messages)
            .sum()
    }
}

async fn sign_up(store: &Store, name: &str, seed: u8) -> String {
    let org = OrgId(Uuid::now_v7());
    let record = Organisation {
        id: org,
        name: name.into(),
        country: "TZ".into(),
        senders: vec!["MojaWave".into()],
        webhook_secret: "whsec_x".to_owned().into(),
        created_at: Timestamp(0),
    };
    let created = store.create_org(record, Terms::Postpaid, None);
    assert!(created.await.unwrap());
    let key = NewKey::from_random(true, [seed; 32]);
    let ids = (KeyId(Uuid::now_v7()), org);
    let record = ApiKey::new(ids, (key.hash, key.prefix), true, Timestamp(0));
    let created = store.create_key(record, None);
    assert_eq!(created.await.unwrap(), Changed::Done);
    key.text.expose_secret().to_owned()
}

#[tokio::test]
async fn no_route_of_the_api_is_served_without_a_key() {
    let house = House::open().await;
    for door in v1::doors().list() {
        let request = Request::builder().method(&door.method).uri(door.path);
        let answer = house.call(request.body(Body::empty()).unwrap()).await;
        let closed = answer.status == StatusCode::UNAUTHORIZED;
        assert_eq!(closed, door.scope.is_some(), "{door:?}");
    }
    house.close().await;
}

#[tokio::test]
async fn a_message_is_accepted_and_read_back_by_its_owner_only() {
    let house = House::open().await;
    let body = json!({
        "phone": "0753 276 939", "sender": "MOJAWAVE", "message": "Hé {}", "tags": ["a"],
        "metadata": {"customer_id": "cust98765"}, "class": "promotional",
        "webhook_url": "https://example.com/webhook/sms"
    });
    let answer = house.send(body.to_string()).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    let data = &answer.json["data"];
    assert_eq!(
        (&data["to"], &data["from"]),
        (&json!("+255753276939"), &json!("MojaWave"))
    );
    assert_eq!(
        (&data["status"], &data["class"]),
        (&json!("queued"), &json!("promotional"))
    );
    assert_eq!(data["queued_at"], data["timeline"]["queued_at"]);
    let path = format!("/v1/messages/{}", data["id"].as_str().unwrap());
    assert_eq!(answer.headers["location"], path.as_str());

    let read = house.get(&path, &house.key).await;
    assert_eq!(read.status, StatusCode::OK, "{}", read.text);
    let read = &read.json["data"];
    assert_eq!(
        (&read["body"], &read["tags"]),
        (&json!("Hé {}"), &json!(["a"]))
    );
    assert_eq!(read["metadata"], json!({"customer_id": "cust98765"}));
    assert_eq!(
        (&read["status_detail"], &read["type"]),
        (&json!("queued"), &json!("sms"))
    );
    assert_eq!(
        (&read["possible_duplicate"], &read["segments"]),
        (&json!(false), &json!(1))
    );

    let events = house.get(&format!("{path}/events"), &house.key).await;
    assert_eq!(
        events.json["data"]["events"][0]["type"], "accepted",
        "{}",
        events.text
    );

    let stranger = sign_up(&house.store, "Two", 2).await;
    for path in [
        &path,
        &format!("{path}/events"),
        "/v1/messages/x",
        "/v1/messages/x/events",
    ] {
        let answer = house.get(path, &stranger).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(answer.json["code"], "not_found");
    }
    house.close().await;
}

#[tokio::test]
async fn a_one_time_password_is_never_shown_again() {
    let house = House::open().await;
    let body = r#"{"to":"+255753276939","from":"MojaWave","message":"4821","class":"otp"}"#;
    let answer = house.send(body).await;
    let path = answer.headers["location"].to_str().unwrap().to_owned();
    let read = house.get(&path, &house.key).await;
    assert_eq!(read.json["data"]["body"], "[redacted]", "{}", read.text);
    house.close().await;
}

#[tokio::test]
async fn a_message_for_later_is_scheduled() {
    let house = House::open().await;
    let at = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(2);
    let body = json!({"to": "+255753276939", "from": "MojaWave", "message": "x", "scheduleAt": at.to_string()});
    let answer = house.send(body.to_string()).await;
    assert_eq!(
        answer.json["data"]["status"], "scheduled",
        "{}",
        answer.text
    );
    let shown = at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string();
    assert_eq!(answer.json["data"]["scheduled_at"], shown);
    house.close().await;
}

#[tokio::test]
async fn keys_that_do_not_fit_are_refused() {
    let house = House::open().await;
    let test = house.key.replace("sk_live", "sk_test");
    let alias = house.key.replace("sk_live_mw_", "mk_live_");
    let mut mistyped = house.key.clone();
    mistyped.pop();
    mistyped.push(if house.key.ends_with('0') { '1' } else { '0' });
    for (headers, status) in [
        (vec![], 401),
        (vec![("x-api-key", house.key.as_str())], 404),
        (vec![("x-api-key", alias.as_str())], 404),
        (vec![("x-api-key", test.as_str())], 401),
        (vec![("x-api-key", mistyped.as_str())], 401),
        (vec![("x-api-key", "sk_live_mw_8472910")], 401),
        (
            vec![
                ("x-api-key", house.key.as_str()),
                ("authorization", "Bearer x"),
            ],
            401,
        ),
        (vec![("authorization", "Basic eDp5")], 401),
    ] {
        let mut request = Request::get(format!("/v1/messages/{}", Uuid::nil()));
        for (name, value) in &headers {
            request = request.header(*name, *value);
        }
        let answer = house.call(request.body(Body::empty()).unwrap()).await;
        assert_eq!(
            answer.status.as_u16(),
            status,
            "{headers:?} {}",
            answer.text
        );
        if status == 401 {
            assert_eq!(answer.json["code"], "unauthorized");
            assert_eq!(answer.headers["www-authenticate"], "Bearer");
        }
    }
    house.close().await;
}

#[tokio::test]
async fn unknown_paths_and_wrong_methods_are_told_apart() {
    let house = House::open().await;
    for (method, path, status, allow) in [
        ("GET", "/", 404, None),
        ("POST", "/v1/sms/nothing", 404, None),
        ("GET", "/v1/sms/send", 405, Some("POST")),
        ("DELETE", "/v1/messages/x", 405, Some("GET,HEAD,PATCH")),
        ("POST", "/v1/messages/x/events", 405, Some("GET,HEAD")),
    ] {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .body(Body::empty())
            .unwrap();
        let answer = house.call(request).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path}");
        let allowed = answer
            .headers
            .get_all("allow")
            .iter()
            .map(|allow| allow.to_str().unwrap());
        assert_eq!(
            allowed.collect::<Vec<_>>(),
            allow.into_iter().collect::<Vec<_>>(),
            "{path}"
        );
        assert_eq!(answer.json["success"], false);
    }
    house.close().await;
}

#[tokio::test]
async fn a_body_that_never_ends_is_given_up() {
    let house = House::open().await;
    let (sender, body) = channel_body();
    let answer = house.send(body).await;
    assert_eq!(
        answer.status,
        StatusCode::REQUEST_TIMEOUT,
        "{}",
        answer.text
    );
    assert_eq!(answer.json["code"], "request_timeout");
    drop(sender);
    house.close().await;
}

#[tokio::test]
async fn a_body_in_pieces_is_put_together_and_bounded() {
    let house = House::open().await;
    for (pieces, status) in [
        (vec![&GOOD[..1], &GOOD[1..20], &GOOD[20..]], 201),
        (vec![" "; BODY_MAX + 1], 413),
    ] {
        let (sender, body) = channel_body();
        let (answer, ()) = tokio::join!(house.send(body), async move {
            for piece in pieces {
                // The reader stops listening at its limit.
                let _ = sender.send(piece).await;
            }
        });
        assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
    }
    house.close().await;
}

#[tokio::test]
async fn a_store_that_is_gone_is_overload_not_a_fault() {
    let house = House::open().await;
    assert_eq!(house.send(GOOD).await.status, StatusCode::CREATED);
    house.store.health().set_well(false);
    let answer = house.send(GOOD).await;
    assert_eq!(
        answer.status,
        StatusCode::SERVICE_UNAVAILABLE,
        "{}",
        answer.text
    );
    assert_eq!(
        (&answer.json["code"], &answer.headers["retry-after"]),
        (&json!("overloaded"), &"1".parse().unwrap())
    );
    house.close().await;
}

#[tokio::test]
async fn errors_come_as_problem_details_when_asked_for() {
    let house = House::open().await;
    let mut request = house.post("{}");
    request
        .headers_mut()
        .insert("accept", "application/problem+json".parse().unwrap());
    request
        .headers_mut()
        .insert("x-request-id", "mine-1".parse().unwrap());
    let answer = house.call(request).await;
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    assert_eq!(
        (&answer.json["status"], &answer.json["request_id"]),
        (&json!(400), &json!("mine-1"))
    );
    assert_eq!(answer.headers["x-request-id"], "mine-1");
    let mut request = house.post(GOOD);
    request
        .headers_mut()
        .insert("x-request-id", "no good id".parse().unwrap());
    let answer = house.call(request).await;
    assert_ne!(answer.headers["x-request-id"], "no good id");
    house.close().await;
}

/// A body whose pieces come through a queue; it ends when the sender is dropped.
fn channel_body() -> (mpsc::Sender<&'static str>, Body) {
    struct Pieces(mpsc::Receiver<&'static str>);
    impl hyper::body::Body for Pieces {
        type Data = bytes::Bytes;
        type Error = std::convert::Infallible;
        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<hyper::body::Frame<bytes::Bytes>, Self::Error>>>
        {
            self.0.poll_recv(cx).map(|piece| {
                piece.map(|piece| {
                    Ok(hyper::body::Frame::data(bytes::Bytes::from_static(
                        piece.as_bytes(),
                    )))
                })
            })
        }
    }
    let (sender, receiver) = mpsc::channel(4);
    (sender, Body::new(Pieces(receiver)))
}
