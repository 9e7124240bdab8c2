//! Lives here: the section `webhooks` of the description: what we send and how it is signed. utoipa
//! knows no webhooks, and the envelope is written by hand (`webhooks::envelope`): forms of its own.
//! Never here: sending (`webhooks`).

use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::book::{Book, JSON, example_of};
use super::words::{ClassName, Failure, Metadata, Number, Status, StatusDetail, Tags};
use crate::api::json::Amount;
use crate::api::time::Text;
use crate::api::v1::Timeline;

/// An event as it is sent, whatever it is about.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a form only: the text is written by hand")]
struct EventEnvelope {
    /// The event's id, the same over all attempts: what has this id has been seen.
    id: String,
    /// What happened.
    #[schema(rename = "type")]
    kind: String,
    /// When it happened.
    created_at: Text,
    /// `false`: of a test key.
    livemode: bool,
    /// Position among the events about the same thing, rising; events may arrive in another order.
    sequence: u32,
    /// What it is about.
    #[schema(value_type = Object)]
    data: (),
}

/// A message, as events tell of it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a form only: the text is written by hand")]
struct EventMessage {
    id: Uuid,
    /// `sms`.
    #[schema(rename = "type")]
    kind: String,
    to: Number,
    from: String,
    status: Status,
    status_detail: StatusDetail,
    class: Option<ClassName>,
    /// The text; never that of a one-time password.
    #[schema(nullable = false)]
    body: Option<String>,
    segments: u8,
    credits_cost: Amount,
    timeline: Timeline,
    #[schema(nullable = false)]
    failure_code: Option<Failure>,
    /// The same for people.
    #[schema(nullable = false)]
    failure_reason: Option<String>,
    #[schema(nullable = false)]
    metadata: Option<Metadata>,
    #[schema(nullable = false)]
    tags: Option<Tags>,
    /// Your own name of the message.
    #[schema(nullable = false)]
    client_ref: Option<String>,
}

/// A kind of event: its name, what it says, an example of its data.
struct Kind {
    name: &'static str,
    text: &'static str,
    data: fn(&mut Book) -> Value,
    example: &'static str,
}

const KINDS: &[Kind] = &[
    Kind {
        name: "message.sent",
        text: "A carrier has taken the message.",
        data: Book::form::<EventMessage>,
        example: r#"{"id": "89b82624-f1a2-4f5e-85b5-102e79a06779", "type": "sms", "to": "+255753276939",
            "from": "MojaWave", "status": "sent", "status_detail": "submitted",
            "body": "Hello from Mojawave! Your order has left.", "segments": 1, "credits_cost": 1,
            "timeline": {"queued_at": "2026-04-05T12:03:04.485Z", "sent_at": "2026-04-05T12:04:04.393Z"}}"#,
    },
    Kind {
        name: "message.delivered",
        text: "The handset has the message.",
        data: Book::form::<EventMessage>,
        example: r#"{"id": "89b82624-f1a2-4f5e-85b5-102e79a06779", "type": "sms", "to": "+255753276939",
            "from": "MojaWave", "status": "delivered", "status_detail": "delivered",
            "body": "Hello from Mojawave! Your order has left.", "segments": 1, "credits_cost": 1,
            "timeline": {"queued_at": "2026-04-05T12:03:04.485Z", "sent_at": "2026-04-05T12:04:04.393Z",
            "delivered_at": "2026-04-05T12:05:06.751Z"}, "metadata": {"customer_id": "cust98765"},
            "tags": ["onboarding", "verification"]}"#,
    },
    Kind {
        name: "message.failed",
        text: "The message has ended without being delivered; `failure_code` says why.",
        data: Book::form::<EventMessage>,
        example: r#"{"id": "89b82624-f1a2-4f5e-85b5-102e79a06779", "type": "sms", "to": "+255753276939",
            "from": "MojaWave", "status": "failed", "status_detail": "undelivered",
            "body": "Hello from Mojawave! Your order has left.", "segments": 1, "credits_cost": 1,
            "timeline": {"queued_at": "2026-04-05T12:03:04.485Z", "sent_at": "2026-04-05T12:04:04.393Z",
            "failed_at": "2026-04-05T12:05:06.751Z"}, "failure_code": "absent_subscriber",
            "failure_reason": "The handset could not be reached."}"#,
    },
    Kind {
        name: "message.canceled",
        text: "The message was taken back before a carrier had it.",
        data: Book::form::<EventMessage>,
        example: r#"{"id": "89b82624-f1a2-4f5e-85b5-102e79a06779", "type": "sms", "to": "+255753276939",
            "from": "MojaWave", "status": "canceled", "status_detail": "cancelled",
            "body": "Hello from Mojawave! Your order has left.", "segments": 1, "credits_cost": 0,
            "timeline": {"queued_at": "2026-04-05T12:03:04.485Z", "canceled_at": "2026-04-05T12:05:06.751Z"}}"#,
    },
    Kind {
        name: "message.expired",
        text: "The message's time was over before it was delivered; for those who have asked for it.",
        data: |_| json!({"type": "object"}),
        example: r#"{"id": "89b82624-f1a2-4f5e-85b5-102e79a06779", "status": "failed", "status_detail": "expired"}"#,
    },
    Kind {
        name: "credits.low",
        text: "A balance has come down to its threshold.",
        data: |_| json!({"type": "object"}),
        example: r#"{"service_type": "sms", "balance": 500, "low_balance_threshold": 500}"#,
    },
    Kind {
        name: "bulk.completed",
        text: "A bulk job has come to its end.",
        data: |_| json!({"type": "object"}),
        example: r#"{"id": "ec0fb57c-8b90-4e21-9f96-48235d6a05ac", "status": "completed"}"#,
    },
    Kind {
        name: "endpoint.disabled",
        text: "An endpoint of the organisation is not called any more.",
        data: |_| json!({"type": "object"}),
        example: r#"{"id": "we_019d5d7c6a4d7c309a533f1c2f9d6b1e"}"#,
    },
    Kind {
        name: "endpoint.test",
        text: "Sent to try an endpoint.",
        data: |_| json!({"type": "object"}),
        example: r#"{}"#,
    },
];

const TEXT: &str = "Sent as POST to the URL of the message (`webhook_url`) and to each endpoint that asks for such \
    events. Any 2xx within 10 seconds is success; after anything else it is sent again, 10 times within some 42 hours, \
    with the same `id`. Verify a signature over the octets of the body before you read it.";

/// The section; the forms go into the book.
pub(super) fn section(book: &mut Book) -> Map<String, Value> {
    let envelope = book.form::<EventEnvelope>();
    let kinds = KINDS.iter();
    kinds
        .map(|kind| (kind.name.to_owned(), event(kind, &envelope, book)))
        .collect()
}

fn event(kind: &Kind, envelope: &Value, book: &mut Book) -> Value {
    let data = (kind.data)(book);
    let shown = json!({
        "id": "evt_019d5d7e4b017d5c9f0a6d0f2b6c8e11", "type": kind.name,
        "created_at": "2026-04-05T12:05:06.751Z", "livemode": true, "sequence": 2,
        "data": example_of(kind.example),
    });
    let schema = json!({"allOf": [
        envelope,
        {"type": "object", "properties": {"type": {"const": kind.name}, "data": data}},
    ]});
    let answer = |text: &str| json!({"description": text});
    json!({"post": {
        "operationId": kind.name.replace('.', "_"),
        "tags": ["Webhooks"],
        "summary": kind.name,
        "description": format!("{} {TEXT}", kind.text),
        "parameters": headers(),
        "requestBody": {"required": true, "content": {JSON: {"schema": schema, "example": shown}}},
        "responses": {
            "2XX": answer("You have it."),
            "410": answer("You do not want it any more: an endpoint that answers so is switched off."),
            "default": answer("It is sent again later; `Retry-After` is heeded."),
        },
        "security": [],
    }})
}

fn headers() -> Value {
    let header = |name: &str, text: &str| {
        json!({
            "name": name, "in": "header", "required": true, "description": text,
            "schema": {"type": "string"},
        })
    };
    json!([
        header("webhook-id", "The event's id."),
        header(
            "webhook-timestamp",
            "When this attempt was made, in seconds since 1970."
        ),
        header(
            "webhook-signature",
            "`v1,` and base64 of HMAC-SHA256 over `id.timestamp.body` (Standard Webhooks); the key is what stands after \
             `whsec_`, decoded from base64. While a secret is being changed there are two, with a space between."
        ),
        header(
            "X-MojaWave-Signature",
            "HMAC-SHA256 over the body in hexadecimal digits; the key is the whole secret as it is shown."
        ),
        header("X-Moaa-Signature", "`sha256=` and the same digits."),
    ])
}
