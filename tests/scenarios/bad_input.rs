//! Lives here: requests that are wrong in every way we know: 4xx with code, message and field,
//! and nothing stored.
//! Never here: faults of ours.

use hyper::Method;
use serde_json::{Value, json};

use crate::world::{Plan, World, sms};

fn with(field: &str, value: impl Into<Value>) -> Vec<u8> {
    let mut body = sms("vodacom_tz", 1, "transactional", "hello");
    body[field] = value.into();
    body.to_string().into_bytes()
}

fn without(field: &str) -> Vec<u8> {
    let mut body = sms("vodacom_tz", 1, "transactional", "hello");
    body.as_object_mut().unwrap().remove(field);
    body.to_string().into_bytes()
}

/// Body, status, code, and the field at fault.
fn table() -> Vec<(Vec<u8>, u16, &'static str, &'static str)> {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let raw = |text: &str| text.as_bytes().to_vec();
    vec![
        (raw(""), 400, "invalid_request", ""),
        (raw("{"), 400, "invalid_request", ""),
        (raw("null"), 400, "invalid_request", ""),
        (raw("[]"), 400, "invalid_request", ""),
        (raw("\"text\""), 400, "invalid_request", ""),
        (
            raw("to=%2B255753276939&message=hi"),
            400,
            "invalid_request",
            "",
        ),
        (raw("{} trailing"), 400, "invalid_request", ""),
        (
            b"{\"to\":\"\xff\xfe\"}".to_vec(),
            400,
            "invalid_request",
            "",
        ),
        (deep.into_bytes(), 400, "invalid_request", ""),
        (without("to"), 400, "invalid_request", "to"),
        (without("from"), 400, "invalid_request", "from"),
        (without("message"), 400, "invalid_request", "message"),
        (
            with("to", 255_753_276_939_u64),
            400,
            "invalid_request",
            "to",
        ),
        (
            with("to", json!(["+255753276939"])),
            400,
            "invalid_request",
            "to",
        ),
        (
            with("message", json!({})),
            400,
            "invalid_request",
            "message",
        ),
        (with("metadata", "text"), 400, "invalid_request", "metadata"),
        (with("tags", "text"), 400, "invalid_request", "tags"),
        (with("to", ""), 422, "invalid_number", "to"),
        (with("to", "hello"), 422, "invalid_number", "to"),
        (with("to", "+1"), 422, "invalid_number", "to"),
        (with("to", "+25575327693"), 422, "invalid_number", "to"),
        (
            with("to", "+255753276939; drop table messages"),
            422,
            "invalid_number",
            "to",
        ),
        (with("to", "+254712345678"), 422, "", "to"),
        (with("to", "+255713276939"), 422, "unroutable_number", "to"),
        (with("from", ""), 422, "sender_invalid", "from"),
        (with("from", "TWELVE CHARS"), 422, "sender_invalid", "from"),
        (with("from", "Ünïcode"), 422, "sender_invalid", "from"),
        (with("message", ""), 422, "unprocessable", "message"),
        (with("message", "a\0b"), 422, "unprocessable", "message"),
        (
            with("message", "x".repeat(1531)),
            422,
            "message_too_long",
            "message",
        ),
        (
            with("message", "ш".repeat(671)),
            422,
            "message_too_long",
            "message",
        ),
        (with("class", "urgent"), 422, "unprocessable", "class"),
        (
            with("schedule_at", "tomorrow"),
            422,
            "schedule_invalid",
            "schedule_at",
        ),
        (
            with("schedule_at", "2026-01-01T00:00:00"),
            422,
            "schedule_invalid",
            "schedule_at",
        ),
        (
            with("schedule_at", "2020-01-01T00:00:00Z"),
            422,
            "schedule_invalid",
            "schedule_at",
        ),
        (
            with("schedule_at", "9999-01-01T00:00:00Z"),
            422,
            "schedule_invalid",
            "schedule_at",
        ),
        (
            with("webhook_url", "not a url"),
            422,
            "unprocessable",
            "webhook_url",
        ),
        (
            with("webhook_url", "ftp://example.com/"),
            422,
            "unprocessable",
            "webhook_url",
        ),
        (
            with("webhook_url", "http://169.254.169.254/"),
            422,
            "unprocessable",
            "webhook_url",
        ),
        (
            with("webhook_url", "https://[::ffff:10.0.0.1]/"),
            422,
            "unprocessable",
            "webhook_url",
        ),
        (
            with("message", "x".repeat(300_000)),
            413,
            "payload_too_large",
            "",
        ),
    ]
}

#[tokio::test]
async fn bad_requests_are_answered_4xx_with_code_message_and_field_and_nothing_is_stored() {
    let mut world = World::start(Plan::simple()).await;
    for (body, status, code, field) in table() {
        let shown = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
        let answer = world
            .client
            .call(Method::POST, "/v1/sms/send", body)
            .await
            .unwrap();
        assert_eq!(answer.status, status, "{shown}: {}", answer.text());
        let json = answer.json();
        assert_eq!(json["success"], false, "{shown}");
        if !code.is_empty() {
            assert_eq!(json["code"], code, "{shown}: {json}");
        }
        assert!(!json["message"].as_str().unwrap().is_empty(), "{shown}");
        if !field.is_empty() {
            assert_eq!(json["error"]["param"], field, "{shown}: {json}");
        }
        assert!(answer.headers.contains_key("x-request-id"));
    }
    nothing_was_stored(&world).await;
    assert!(world.daemon.lives());
}

#[tokio::test]
async fn bad_keys_paths_and_methods_are_refused() {
    let world = World::start(Plan::simple()).await;
    let good = sms("vodacom_tz", 1, "transactional", "hello").to_string();
    let long = "k".repeat(5000);
    let mut mistyped = world.client.key.clone();
    mistyped.replace_range(20..21, if &mistyped[20..21] == "a" { "b" } else { "a" });
    for key in [
        "",
        "nonsense",
        "sk_live_mw_",
        &mistyped,
        &long,
        "sk_test_mw_abc",
    ] {
        let mut stranger = world.client.clone();
        stranger.key = key.to_owned();
        let answer = stranger
            .call(Method::POST, "/v1/sms/send", good.clone())
            .await
            .unwrap();
        assert_eq!(answer.status, 401, "{key}: {}", answer.text());
        assert_eq!(answer.json()["code"], "unauthorized");
    }
    let requests = [
        (Method::GET, "/v1/sms/send", 405),
        (Method::DELETE, "/v1/messages/x", 405),
        (Method::POST, "/v1/messages/x", 405),
        (Method::GET, "/v1/messages/not-a-uuid", 404),
        (
            Method::GET,
            "/v1/messages/00000000-0000-0000-0000-000000000000",
            404,
        ),
        (Method::GET, "/v1/messages/%00/events", 404),
        (Method::GET, "/", 404),
        (Method::GET, "/metrics", 404),
        (Method::GET, "/admin/v1/binds", 404),
        (Method::POST, "/v1/../admin/v1/orgs", 404),
        (Method::OPTIONS, "/v1/sms/send", 405),
    ];
    for (method, path, status) in requests {
        let answer = world.client.call(method.clone(), path, "").await.unwrap();
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
    }
    nothing_was_stored(&world).await;
}

async fn nothing_was_stored(world: &World) {
    let queue = world.ctl(&["queue"]).await;
    for lane in queue["lanes"].as_array().unwrap() {
        assert_eq!(lane["queued"], 0, "{lane}");
        assert_eq!(lane["scheduled"], 0, "{lane}");
    }
    let accepted = world.metric("mnara_messages_accepted_total", &[]).await;
    assert_eq!(accepted, 0.0);
    assert_eq!(world.carrier().smsc.stats().submits, 0);
}
