//! Lives here: what the documentation says of endpoints, deliveries and replays.
//! Never here: the events themselves (`docs::webhooks`).

use axum::http::Method;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::Shown;
use super::history;
use crate::api::code::Code;
use crate::api::docs::{Book, Operation};
use crate::api::time::Text;

const TAG: &str = "Webhooks";

/// Describes the routes.
pub(in crate::api) fn describe(book: &mut Book) {
    endpoints(book);
    changes(book);
    trials(book);
    deliveries(book);
}

fn endpoint_id(operation: Operation) -> Operation {
    let form = json!({"type": "string", "pattern": "^we_"});
    operation.place("id", form, "The endpoint's id.")
}

fn endpoints(book: &mut Book) {
    let list = Operation::new(
        "listWebhookEndpoints",
        TAG,
        "List the endpoints",
        "The endpoints of your organisation, those of the sandbox for a test key.",
    )
    .answers_many::<Shown<'_>>("The endpoints.", LIST);
    book.add(Method::GET, "/v1/webhooks/endpoints", list);
    let make = Operation::new(
        "createWebhookEndpoint",
        TAG,
        "Create an endpoint",
        "From now on each event that the endpoint asks for is sent to its URL. Its secret signs them; it is shown this \
         once.",
    )
    .takes::<EndpointRequest>(REQUEST)
    .answers::<Shown<'_>>(201, "The endpoint; keep `secret`, it is not shown again.", CREATED)
    .located()
    .refuses(&[Code::Unprocessable]);
    book.add(Method::POST, "/v1/webhooks/endpoints", make);
    let one = Operation::new(
        "getWebhookEndpoint",
        TAG,
        "Get an endpoint",
        "An endpoint and how it fares.",
    )
    .answers::<Shown<'_>>(200, "The endpoint.", ENDPOINT);
    book.add(Method::GET, "/v1/webhooks/endpoints/{id}", endpoint_id(one));
}

fn changes(book: &mut Book) {
    let change = Operation::new(
        "updateWebhookEndpoint",
        TAG,
        "Change an endpoint",
        "What is left out stays. `\"status\": \"enabled\"` switches on what has been switched off.",
    )
    .takes::<EndpointChange>(r#"{"events": ["message.delivered", "message.failed"]}"#)
    .answers::<Shown<'_>>(200, "The endpoint.", ENDPOINT)
    .refuses(&[Code::Unprocessable]);
    book.add(
        Method::PATCH,
        "/v1/webhooks/endpoints/{id}",
        endpoint_id(change),
    );
    let remove = Operation::new(
        "deleteWebhookEndpoint",
        TAG,
        "Delete an endpoint",
        "Nothing is sent to it any more, also of what waits.",
    )
    .answers::<Deleted>(
        200,
        "It is gone.",
        r#"{"id": "we_019d5d7c6a4d7c309a533f1c2f9d6b1e", "deleted": true}"#,
    );
    book.add(
        Method::DELETE,
        "/v1/webhooks/endpoints/{id}",
        endpoint_id(remove),
    );
    let rotate = Operation::new(
        "rotateWebhookSecret",
        TAG,
        "Rotate an endpoint's secret",
        "Until `cutover_at` both secrets sign `webhook-signature`, and the old one the headers that hold one signature. \
         While two secrets hold there cannot be a third (409): wait until `cutover_at`, or give `overlap_seconds` 0, \
         after which only the new one holds.",
    )
    .may_take::<SecretRotation>(r#"{"overlap_seconds": 86400}"#)
    .answers::<Shown<'_>>(200, "The endpoint; keep `secret`, it is not shown again.", CREATED)
    .refuses(&[Code::Conflict]);
    book.add(
        Method::POST,
        "/v1/webhooks/endpoints/{id}/rotate-secret",
        endpoint_id(rotate),
    );
}

fn trials(book: &mut Book) {
    let test = Operation::new(
        "testWebhookEndpoint",
        TAG,
        "Try an endpoint",
        "Sends an event of the type `endpoint.test` now and tells what was answered. An organisation may try four \
         endpoints at once.",
    )
    .answers::<Trial>(200, "What was sent and answered.", TRIAL);
    book.add(
        Method::POST,
        "/v1/webhooks/endpoints/{id}/test",
        endpoint_id(test),
    );
    let span = Operation::new(
        "replayWebhookEndpoint",
        TAG,
        "Send a span of events again",
        "What happened from `since` to `until` is sent to the endpoint again, under the same event ids, the oldest \
         first: those events that were tried before. One request does some ten thousand; while `has_more` is true, ask \
         for the rest with the same parameters and `cursor`. Events whose message is deleted within a day are left out, \
         as those whose message has gone. What is asked for is tried ten times within some 42 hours, as if it were \
         new, and given up after five days at the latest; until then its message is kept.",
    )
    .query("since", instant(), "From when on; it must be given.")
    .query("until", instant(), "Until when; now if it is left out.")
    .query("status", json!({"type": "string", "enum": ["all", "failed"]}), "`failed`: only what did not arrive.")
    .query("cursor", json!({"type": "string"}), "`next_cursor` of the request before.")
    .answers::<Replayed>(202, "They will be sent.", r#"{"replayed": 12, "has_more": false, "next_cursor": null}"#)
    .refuses(&[Code::Unprocessable]);
    book.add(
        Method::POST,
        "/v1/webhooks/endpoints/{id}/replay",
        endpoint_id(span),
    );
}

fn deliveries(book: &mut Book) {
    let list = Operation::new(
        "listWebhookDeliveries",
        TAG,
        "List the deliveries",
        "Each attempt to deliver an event, the newest first. One request looks at 20,000 attempts: with filters that \
         little fits a page may hold less than `limit`, even nothing, and say `has_more`; go on with `next_cursor`.",
    )
    .query(
        "status",
        json!({"type": "string", "enum": ["delivered", "failed"]}),
        "Only such attempts.",
    )
    .query(
        "event",
        json!({"type": "string"}),
        "Only events of this type.",
    )
    .query(
        "endpoint",
        json!({"type": "string"}),
        "Only attempts at this endpoint.",
    )
    .query(
        "cursor",
        json!({"type": "string"}),
        "`next_cursor` of the page before.",
    )
    .query(
        "limit",
        json!({"type": "integer", "minimum": 1, "maximum": 100, "default": 20}),
        "Attempts of a page.",
    )
    .answers_page::<history::Shown<'_>>("A page of them.", DELIVERIES);
    book.add(Method::GET, "/v1/webhooks/deliveries", list);
    let one = Operation::new(
        "getWebhookDelivery",
        TAG,
        "Get a delivery",
        "An attempt with what was sent and the first 4 KiB of what was answered.",
    )
    .place(
        "id",
        json!({"type": "string", "pattern": "^dlv_"}),
        "The delivery's id.",
    )
    .answers::<DeliveryDetails>(200, "The delivery.", DELIVERY);
    book.add(Method::GET, "/v1/webhooks/deliveries/{id}", one);
    let again = Operation::new(
        "replayWebhookEvent",
        TAG,
        "Send an event again",
        "An event is sent again, under the same id, to who was told of it; not if its message is deleted within a day. \
         It is tried ten times within some 42 hours, as if it were new.",
    )
    .place(
        "id",
        json!({"type": "string", "pattern": "^evt_"}),
        "The event's id.",
    )
    .answers::<EventReplayed>(202, "It will be sent.", r#"{"replayed": 1}"#);
    book.add(Method::POST, "/v1/webhooks/events/{id}/replay", again);
}

fn instant() -> Value {
    json!({"type": "string", "format": "date-time"})
}

/// An endpoint to make.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a form only: the body is read field by field")]
struct EndpointRequest {
    /// Where events are sent to: https, and nothing inside a private network.
    #[schema(format = "uri")]
    url: String,
    /// The types of events to send; `*` is all, and what is left out means all.
    events: Option<Vec<String>>,
    format: Option<EndpointFormat>,
    /// What you know it by.
    #[schema(max_length = 200)]
    description: Option<String>,
    status: Option<EndpointStatus>,
}

/// What to change of an endpoint.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a form only: the body is read field by field")]
struct EndpointChange {
    #[schema(format = "uri")]
    url: Option<String>,
    /// The types of events to send; `*` is all.
    events: Option<Vec<String>>,
    format: Option<EndpointFormat>,
    #[schema(max_length = 200)]
    description: Option<String>,
    status: Option<EndpointStatus>,
}

/// How events are written.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "a form only")]
enum EndpointFormat {
    Mojawave,
    Moaa,
}

/// Whether events are sent.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "a form only")]
enum EndpointStatus {
    Enabled,
    Disabled,
}

/// How a secret is rotated.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a form only: the body is read field by field")]
struct SecretRotation {
    /// How long both secrets sign: a day if it is left out.
    #[schema(maximum = 604800)]
    overlap_seconds: Option<u64>,
}

/// What is gone.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a form only: the answer is made of values")]
struct Deleted {
    id: String,
    /// `true`.
    deleted: bool,
}

/// What came of trying an endpoint.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a form only: the answer is made of values")]
struct Trial {
    event_id: String,
    /// It answered with a 2xx.
    delivered: bool,
    #[schema(required)]
    http_status: Option<u16>,
    latency_ms: u64,
    /// Why there was no answer.
    #[schema(required)]
    error: Option<String>,
    /// What was sent.
    #[schema(value_type = Object)]
    request: (),
    /// What was answered.
    #[schema(value_type = Object)]
    response: (),
    created_at: Text,
}

/// How many events will be sent.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a form only: the answer is made of values")]
struct Replayed {
    replayed: u64,
    /// There may be more: ask again with `next_cursor`.
    has_more: bool,
    #[schema(required)]
    next_cursor: Option<String>,
}

/// To how many an event will be sent.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a form only: the answer is made of values")]
struct EventReplayed {
    replayed: u64,
}

/// An attempt to deliver an event, with what was sent and answered.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a form only: the answer is made of values")]
struct DeliveryDetails {
    id: String,
    event_id: String,
    event: String,
    #[schema(required)]
    endpoint_id: Option<String>,
    #[schema(required)]
    message_id: Option<String>,
    attempt: u16,
    /// `delivered` or `failed`.
    status: String,
    #[schema(required)]
    http_status: Option<u16>,
    latency_ms: u32,
    #[schema(required)]
    error: Option<String>,
    created_at: Text,
    event_created_at: Text,
    /// As it is written today: an endpoint may have moved, a text may be kept no more.
    #[schema(value_type = Object)]
    request: (),
    /// Its status and the first 4 KiB of its body.
    #[schema(value_type = Object)]
    response: (),
}

const REQUEST: &str = r#"{
  "url": "https://example.com/webhooks",
  "events": ["message.delivered", "message.failed"],
  "description": "orders"
}"#;

const ENDPOINT: &str = r#"{
  "id": "we_019d5d7c6a4d7c309a533f1c2f9d6b1e",
  "url": "https://example.com/webhooks",
  "events": ["message.delivered", "message.failed"],
  "format": "mojawave",
  "description": "orders",
  "livemode": true,
  "status": "enabled",
  "disabled_at": null,
  "disabled_reason": null,
  "failing_since": null,
  "cutover_at": null,
  "created_at": "2026-04-05T12:03:04.485Z"
}"#;

const LIST: &str = r#"[{
  "id": "we_019d5d7c6a4d7c309a533f1c2f9d6b1e",
  "url": "https://example.com/webhooks",
  "events": ["message.delivered", "message.failed"],
  "format": "mojawave",
  "description": "orders",
  "livemode": true,
  "status": "enabled",
  "disabled_at": null,
  "disabled_reason": null,
  "failing_since": null,
  "cutover_at": null,
  "created_at": "2026-04-05T12:03:04.485Z"
}]"#;

const CREATED: &str = r#"{
  "id": "we_019d5d7c6a4d7c309a533f1c2f9d6b1e",
  "url": "https://example.com/webhooks",
  "events": ["message.delivered", "message.failed"],
  "format": "mojawave",
  "description": "orders",
  "livemode": true,
  "status": "enabled",
  "disabled_at": null,
  "disabled_reason": null,
  "failing_since": null,
  "cutover_at": null,
  "created_at": "2026-04-05T12:03:04.485Z",
  "secret": "whsec_…"
}"#;

const TRIAL: &str = r#"{
  "event_id": "evt_019d5d7e4b017d5c9f0a6d0f2b6c8e11",
  "delivered": true,
  "http_status": 200,
  "latency_ms": 84,
  "error": null,
  "request": {"url": "https://example.com/webhooks", "body": "{}"},
  "response": {"body": "ok"},
  "created_at": "2026-04-05T12:03:04.485Z"
}"#;

const DELIVERIES: &str = r#"[{
  "id": "dlv_019d5d7e4b017d5c9f0a6d0f2b6c8e11_1",
  "event_id": "evt_019d5d7e4b017d5c9f0a6d0f2b6c8e11",
  "event": "message.delivered",
  "endpoint_id": "we_019d5d7c6a4d7c309a533f1c2f9d6b1e",
  "message_id": "89b82624-f1a2-4f5e-85b5-102e79a06779",
  "attempt": 1,
  "status": "delivered",
  "http_status": 200,
  "latency_ms": 84,
  "error": null,
  "created_at": "2026-04-05T12:05:06.800Z",
  "event_created_at": "2026-04-05T12:05:06.751Z"
}]"#;

const DELIVERY: &str = r#"{
  "id": "dlv_019d5d7e4b017d5c9f0a6d0f2b6c8e11_1",
  "event_id": "evt_019d5d7e4b017d5c9f0a6d0f2b6c8e11",
  "event": "message.delivered",
  "endpoint_id": "we_019d5d7c6a4d7c309a533f1c2f9d6b1e",
  "message_id": "89b82624-f1a2-4f5e-85b5-102e79a06779",
  "attempt": 1,
  "status": "delivered",
  "http_status": 200,
  "latency_ms": 84,
  "error": null,
  "created_at": "2026-04-05T12:05:06.800Z",
  "event_created_at": "2026-04-05T12:05:06.751Z",
  "request": {"url": "https://example.com/webhooks", "headers": {"content-type": "application/json"}, "body": "{}"},
  "response": {"status": 200, "body": "ok"}
}"#;
