//! Lives here: what the documentation says of messages that are read back.
//! Never here: reading them.

use axum::http::Method;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::docs::{
    Book, ClassName, Failure, Metadata, Number, Operation, Status, StatusDetail, Tags,
};
use crate::api::json::Amount;
use crate::api::time::Text;

/// Describes the routes.
pub(in crate::api) fn describe(book: &mut Book) {
    let message = Operation::new(
        "getMessage",
        "Messages",
        "Get a message",
        "A message with its status, its cost and the times of its stations.",
    )
    .answers::<Message>(200, "The message.", MESSAGE);
    book.add(Method::GET, "/v1/messages/{id}", message);
    let events = Operation::new(
        "getMessageEvents",
        "Messages",
        "Get what happened to a message",
        "Everything that happened to a message, in order of time: accepted, each attempt and its answer, each receipt, \
         each webhook.",
    )
    .answers::<MessageEvents>(200, "The events.", EVENTS);
    book.add(Method::GET, "/v1/messages/{id}/events", events);
}

/// A message.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a form only: the answer borrows what it shows")]
pub(super) struct Message {
    id: Uuid,
    /// `sms`.
    #[schema(rename = "type")]
    kind: String,
    to: Number,
    from: String,
    status: Status,
    status_detail: StatusDetail,
    class: ClassName,
    /// The text; `[redacted]` for a one-time password and when it is not kept any more.
    body: String,
    segments: u8,
    credits_cost: Amount,
    /// When it was accepted.
    queued_at: Text,
    scheduled_at: Option<Text>,
    sent_at: Option<Text>,
    timeline: Timeline,
    failure_code: Option<Failure>,
    /// The same for people.
    failure_reason: Option<String>,
    /// What the carrier said of it.
    failure_detail: Option<String>,
    /// It was sent again although it may have been taken before.
    possible_duplicate: bool,
    metadata: Option<Metadata>,
    tags: Option<Tags>,
    /// Your own name of it.
    client_ref: Option<String>,
}

/// When a message came to each of its stations.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a form only: the answer borrows what it shows")]
pub(in crate::api) struct Timeline {
    queued_at: Text,
    sent_at: Option<Text>,
    delivered_at: Option<Text>,
    failed_at: Option<Text>,
    canceled_at: Option<Text>,
}

/// What happened to a message.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a form only: the answer borrows what it shows")]
struct MessageEvents {
    id: Uuid,
    events: Vec<MessageEvent>,
}

/// Something that happened; which fields there are depends on its `type`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a form only: the answer borrows what it shows")]
struct MessageEvent {
    /// `accepted`, `submitted`, `carrier_answer`, `doubt_resolved`, `no_answer`, `dlr` or `webhook`; more may come.
    #[schema(rename = "type")]
    kind: String,
    at: Text,
    /// Which of the message's segments, from 1.
    part: Option<u8>,
    /// Which attempt, from 1.
    attempt: Option<u32>,
    bind: Option<String>,
    carrier: Option<String>,
    /// SMPP's `sequence_number`, or the event's position among those of the message.
    sequence: Option<u32>,
    /// SMPP's `command_status`.
    command_status: Option<u32>,
    /// Its name.
    name: Option<String>,
    /// The carrier's id of the message.
    smsc_id: Option<String>,
    /// What has told the outcome of an attempt that was in doubt.
    told_by: Option<String>,
    /// The receipt's `stat`.
    stat: Option<String>,
    /// The receipt's `err`.
    err: Option<String>,
    /// The receipt's `done date`.
    done_date: Option<String>,
    /// The receipt contradicts an earlier one and had no effect.
    conflict: Option<bool>,
    event_id: Option<String>,
    /// The HTTP status of the webhook's answer.
    status: Option<u16>,
    latency_ms: Option<u32>,
    /// Why the webhook was not delivered.
    error: Option<String>,
}

const MESSAGE: &str = r#"{
  "id": "89b82624-f1a2-4f5e-85b5-102e79a06779",
  "type": "sms",
  "to": "+255753276939",
  "from": "MojaWave",
  "status": "delivered",
  "status_detail": "delivered",
  "class": "transactional",
  "body": "Hello from Mojawave! Your order has left.",
  "segments": 1,
  "credits_cost": 1,
  "queued_at": "2026-04-05T12:03:04.485Z",
  "sent_at": "2026-04-05T12:04:04.393Z",
  "timeline": {
    "queued_at": "2026-04-05T12:03:04.485Z",
    "sent_at": "2026-04-05T12:04:04.393Z",
    "delivered_at": "2026-04-05T12:05:06.751Z"
  },
  "possible_duplicate": false,
  "metadata": {"customer_id": "cust98765"},
  "tags": ["onboarding", "verification"]
}"#;

const EVENTS: &str = r#"{
  "id": "89b82624-f1a2-4f5e-85b5-102e79a06779",
  "events": [
    {"type": "accepted", "at": "2026-04-05T12:03:04.485Z"},
    {"type": "submitted", "at": "2026-04-05T12:04:04.101Z", "bind": "vodacom_tz/1", "carrier": "vodacom_tz",
     "part": 1, "attempt": 1, "sequence": 4711},
    {"type": "carrier_answer", "at": "2026-04-05T12:04:04.393Z", "part": 1, "attempt": 1, "command_status": 0,
     "name": "ESME_ROK", "smsc_id": "1A2B3C"},
    {"type": "dlr", "at": "2026-04-05T12:05:06.751Z", "part": 1, "stat": "DELIVRD", "err": "000",
     "done_date": "2604051205", "conflict": false}
  ]
}"#;
