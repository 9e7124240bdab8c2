//! Lives here: what the documentation says of messages that are read back.
//! Never here: reading them.

use axum::http::Method;
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::code::Code;
use crate::api::docs::{
    Book, ClassName, EventStatus, Failure, Metadata, Number, Operation, Status, StatusDetail, Tags,
};
use crate::api::json::Amount;
use crate::api::time::Text;

const TAG: &str = "Messages";

/// Describes the routes.
pub(in crate::api) fn describe(book: &mut Book) {
    let message = Operation::new(
        "getMessage",
        TAG,
        "Get a message",
        "A message with its status, its cost and the times of its stations.",
    )
    .answers::<Message>(200, "The message.", MESSAGE);
    book.add(Method::GET, "/v1/messages/{id}", message);
    let reschedule = Operation::new(
        "rescheduleMessage",
        TAG,
        "Give a scheduled message another time",
        "A message that is not due yet is sent at another time.",
    )
    .takes::<Reschedule>(r#"{"schedule_at": "2026-04-06T09:00:00+03:00"}"#)
    .answers::<Message>(200, "The message.", MESSAGE)
    .refuses(&[Code::Conflict, Code::ScheduleInvalid]);
    book.add(Method::PATCH, "/v1/messages/{id}", reschedule);
    let cancel = Operation::new(
        "cancelMessage",
        TAG,
        "Take a message back",
        "A message that no carrier can have is never sent, and what was held for it is given back. 409 says that it is \
         too late. Asking again changes nothing.",
    )
    .answers::<Message>(200, "The message, canceled.", MESSAGE)
    .refuses(&[Code::Conflict]);
    book.add(Method::POST, "/v1/messages/{id}/cancel", cancel);
    let events = Operation::new(
        "getMessageEvents",
        TAG,
        "Get what happened to a message",
        "Everything that happened to a message, in order of time: accepted, where it goes and why, each attempt and its \
         answer, each receipt, each webhook; with what it costs and by which route.",
    )
    .answers::<MessageEvents>(200, "The events.", EVENTS);
    book.add(Method::GET, "/v1/messages/{id}/events", events);
    lists(book);
}

fn lists(book: &mut Book) {
    let list = Operation::new(
        "listMessages",
        TAG,
        "List messages",
        "Your messages, the newest first, a page at a time: those of the sandbox for a test key. Filters may be combined.",
    );
    let limit = json!({"type": "integer", "minimum": 1, "maximum": 100, "default": 50});
    let list = filters(list)
        .query("limit", limit, "Messages of a page.")
        .query("cursor", string(), "`next_cursor` of the page before.")
        .query(
            "format",
            json!({"type": "string", "enum": ["json", "csv"]}),
            "`csv`: a file, as `/v1/messages.csv`.",
        )
        .answers_page::<Message>("A page of them.", LIST)
        .or_kind("text/csv", CSV)
        .refuses(&[Code::Unprocessable]);
    book.add(Method::GET, "/v1/messages", list);
    let file = Operation::new(
        "exportMessages",
        TAG,
        "Export messages as CSV",
        "The same as a file, of at most 31 days.",
    );
    let file = filters(file)
        .answers_text(200, "The file.", "text/csv", CSV)
        .refuses(&[Code::Unprocessable]);
    book.add(Method::GET, "/v1/messages.csv", file);
}

fn filters(operation: Operation) -> Operation {
    operation
        .query(
            "status",
            string(),
            "Some of the statuses, with commas between.",
        )
        .query("network", string(), "Only to numbers of this network.")
        .query("to", string(), "Only to this number.")
        .query("from", string(), "Only from this sender.")
        .query(
            "class",
            json!({"$ref": "#/components/schemas/MessageClass"}),
            "Only of this class.",
        )
        .query("client_ref", string(), "Only those that you have named so.")
        .query("tag", string(), "Only those with this tag.")
        .query(
            "since",
            string(),
            "Not before this day (`2026-04-05`) or time (RFC 3339).",
        )
        .query("until", string(), "Up to this day or time.")
}

fn string() -> Value {
    json!({"type": "string"})
}

/// Another time.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a form only")]
struct Reschedule {
    /// When to send it: RFC 3339 with an offset, at most 90 days ahead.
    #[schema(format = DateTime)]
    schedule_at: String,
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
    cost_per_segment: Amount,
    /// After this it is not sent any more.
    valid_until: Text,
    /// `false`: of a test key.
    livemode: bool,
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
    status: Status,
    #[schema(required)]
    network: Option<String>,
    cost_per_segment: Amount,
    /// The rule of the routing plan; `null`: none matched.
    #[schema(required)]
    route_id: Option<String>,
    #[schema(required)]
    route_name: Option<String>,
    /// The carrier account that had it last.
    #[schema(required)]
    target_id: Option<String>,
    #[schema(required)]
    target_name: Option<String>,
    events: Vec<MessageEvent>,
}

/// Something that happened; which fields there are depends on its `type`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a form only: the answer borrows what it shows")]
struct MessageEvent {
    /// `accepted`, `routed`, `submitted`, `carrier_answer`, `doubt_resolved`, `no_answer`, `dlr` or `webhook`; more may come.
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
    /// The message's status, or the HTTP status of a webhook's answer.
    #[schema(value_type = Option<EventStatus>)]
    status: (),
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
  "cost_per_segment": 1,
  "valid_until": "2026-04-06T12:03:04.485Z",
  "livemode": true,
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
  "status": "delivered",
  "network": "vodacom_tz",
  "cost_per_segment": 1,
  "route_id": "default",
  "route_name": "default",
  "target_id": "vodacom_tz",
  "target_name": "vodacom_tz",
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

const LIST: &str = r#"[{
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
  "cost_per_segment": 1,
  "valid_until": "2026-04-06T12:03:04.485Z",
  "livemode": true,
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
}]"#;

const CSV: &str = "id,to,from,message,status\r\n";
