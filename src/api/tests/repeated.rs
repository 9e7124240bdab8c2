//! Lives here: requests that name themselves, and requests that are too many, in process.
//! Never here: crashes (`tests/scenarios/idempotency.rs`), the bucket (`domain::allowance`).

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use hyper::body::{Bytes, Frame};

use super::*;

const OTHER: &str = r#"{"to":"+255753276939","from":"MojaWave","message":"Bye"}"#;

/// An empty body that tells whether it was read.
#[derive(Clone, Default)]
struct Told(Arc<AtomicBool>);

impl hyper::body::Body for Told {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.store(true, Ordering::Relaxed);
        Poll::Ready(None)
    }
}

impl House {
    fn named(&self, name: &str, body: impl Into<Body>) -> Request<Body> {
        let mut request = self.post(body);
        let name = name.parse().unwrap();
        request.headers_mut().insert("idempotency-key", name);
        request
    }

    async fn once(&self, name: &str, body: &'static str) -> Answer {
        self.call(self.named(name, body)).await
    }
}

fn is_replay(answer: &Answer) -> bool {
    let header = answer.headers.get("idempotent-replayed");
    header.is_some_and(|value| value == "true")
}

#[tokio::test]
async fn a_named_send_is_carried_out_once_and_answered_the_same() {
    let house = House::open().await;
    let first = house.once("order-7", GOOD).await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.text);
    assert!(!is_replay(&first));
    for name in ["order-7", "\"order-7\""] {
        let again = house.once(name, GOOD).await;
        assert_eq!((again.status, &again.text), (first.status, &first.text));
        assert!(is_replay(&again));
        assert_eq!(again.headers["content-type"], "application/json");
    }
    assert_eq!(house.kept().await, 1);

    let reused = house.once("order-7", OTHER).await;
    assert_eq!(reused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(reused.json["code"], "idempotency_key_reused");
    // It stays with the first.
    assert_eq!(house.once("order-7", GOOD).await.text, first.text);

    // Another path, another key of the organisation's, another organisation.
    let mut elsewhere = house.named("order-7", OTHER);
    *elsewhere.uri_mut() = "/v1/sms/send?strict=true".parse().unwrap();
    assert_eq!(house.call(elsewhere).await.status, StatusCode::CREATED);
    let stranger = sign_up(&house.store, "Two", 2).await;
    let mut of_another = house.named("order-7", OTHER);
    let key = format!("Bearer {stranger}").parse().unwrap();
    of_another.headers_mut().insert("authorization", key);
    assert_eq!(house.call(of_another).await.status, StatusCode::CREATED);
    assert_eq!(house.kept().await, 3);
    house.close().await;
}

#[tokio::test]
async fn twins_at_the_same_time_are_one_message() {
    let house = House::open().await;
    let once = || house.once("twin", GOOD);
    let answers: [Answer; 4] = tokio::join!(once(), once(), once(), once()).into();
    let ids: Vec<&Value> = answers.iter().map(|one| &one.json["data"]["id"]).collect();
    assert!(
        ids[0].is_string() && ids.iter().all(|id| *id == ids[0]),
        "{ids:?}"
    );
    assert_eq!(answers.iter().filter(|one| !is_replay(one)).count(), 1);
    assert_eq!(house.kept().await, 1);
    house.close().await;
}

#[tokio::test]
async fn a_refusal_that_would_come_again_is_replayed_in_its_form() {
    let house = House::open().await;
    let wrong = r#"{"to":"+15","from":"MojaWave","message":"Hello"}"#;
    for (name, body, status) in [("a", wrong, 422), ("b", "{", 400)] {
        let first = house.once(name, body).await;
        assert_eq!(first.status.as_u16(), status, "{}", first.text);
        let again = house.once(name, body).await;
        assert!(
            is_replay(&again) && again.text == first.text,
            "{}",
            again.text
        );
        assert_eq!(again.status, first.status);
        let reused = house.once(name, GOOD).await;
        assert_eq!(reused.json["code"], "idempotency_key_reused");
    }
    let mut problem = house.named("c", wrong);
    let kind: axum::http::HeaderValue = "application/problem+json".parse().unwrap();
    problem.headers_mut().insert("accept", kind.clone());
    let first = house.call(problem).await;
    let again = house.once("c", wrong).await;
    assert_eq!(again.text, first.text);
    assert_eq!(again.headers["content-type"], kind);
    assert_eq!(house.kept().await, 0);
    house.close().await;
}

#[tokio::test]
async fn what_may_be_otherwise_next_time_is_tried_again() {
    let house = House::open().await;
    let foreign = r#"{"to":"+255753276939","from":"Other","message":"Hello"}"#;
    for _ in 0..2 {
        let refused = house.once("d", foreign).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.text);
        assert!(!is_replay(&refused));
    }
    assert_eq!(house.once("d", GOOD).await.status, StatusCode::CREATED);
    // A rehearsal keeps nothing either.
    let mut rehearsal = house.named("e", GOOD);
    *rehearsal.uri_mut() = "/v1/sms/send?dry_run=true".parse().unwrap();
    assert_eq!(house.call(rehearsal).await.status, StatusCode::OK);
    assert_eq!(house.kept().await, 1);
    house.close().await;
}

#[tokio::test]
async fn a_name_that_is_none_is_refused_by_its_header() {
    let house = House::open().await;
    let long = "x".repeat(256);
    for name in ["a b", "\"open", "\"\"", &long] {
        let refused = house.call(house.named(name, GOOD)).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{}", refused.text);
        assert_eq!(refused.json["error"]["param"], "Idempotency-Key");
    }
    assert_eq!(house.kept().await, 0);
    house.close().await;
}

#[tokio::test]
async fn too_many_requests_are_refused_and_every_answer_says_what_is_left() {
    let house = House::open().await;
    for left in (0..20).rev() {
        let answer = house.get("/v1/credits", &house.key).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        assert_eq!(answer.headers["x-ratelimit-limit"], "20");
        assert_eq!(
            answer.headers["x-ratelimit-remaining"],
            left.to_string().as_str()
        );
        assert_eq!(answer.headers["ratelimit-policy"], "\"credits\";q=20;w=60");
        let reset: i64 = answer.headers["x-ratelimit-reset"]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        let ahead = reset - jiff::Timestamp::now().as_second();
        assert!((1..=61).contains(&ahead), "{ahead}");
    }
    let refused = house.get("/v1/credits", &house.key).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.json["code"], "rate_limit_exceeded");
    assert_eq!(refused.headers["retry-after"], "3");
    assert_eq!(refused.headers["x-ratelimit-remaining"], "0");
    // What has its own limit does not count among the others.
    let other = house.get("/v1/messages/x", &house.key).await;
    assert_eq!(other.status, StatusCode::NOT_FOUND);
    assert_eq!(other.headers["x-ratelimit-remaining"], "599");
    let bad = house.send("{").await;
    assert_eq!(bad.headers["ratelimit"], "\"default\";r=598;t=1");
    house.close().await;
}

#[tokio::test]
async fn a_request_too_many_is_refused_before_its_body_is_read() {
    let house = House::open().await;
    for _ in 0..2_000 {
        let body = Told::default();
        let answer = house.send(Body::new(body.clone())).await;
        let read = body.0.load(Ordering::Relaxed);
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            assert!(!read, "its body was read");
            return house.close().await;
        }
        assert!(
            read && answer.status == StatusCode::BAD_REQUEST,
            "{}",
            answer.text
        );
    }
    panic!("2000 requests were not too many");
}

#[tokio::test]
async fn who_comes_too_often_without_a_key_is_told_to_wait_and_nobody_else_is() {
    let house = House::open().await;
    house.get("/v1/credits", &house.key).await;
    for told in 0..2_000 {
        let answer = house.get("/v1/credits", "sk_live_mw_wrong").await;
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            assert!(answer.headers.contains_key("retry-after"));
            let good = house.get("/v1/credits", &house.key).await;
            assert_eq!(
                good.status,
                StatusCode::OK,
                "the same address, with a key in use"
            );
            assert!(told >= 100, "{told}");
            return house.close().await;
        }
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }
    panic!("2000 requests without a key were not too many");
}
