//! Lives here: what the documentation says of sending a message.
//! Never here: sending it; the names of the body's fields, which a test holds against these.

use axum::http::Method;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::code::Code;
use crate::api::docs::{
    Book, ClassName, EncodingName, Failure, Metadata, Number, Operation, Status, Tags,
};
use crate::api::json::Amount;
use crate::api::time::Text;
use crate::api::v1::messages::Timeline;

/// Describes the route.
pub(in crate::api) fn describe(book: &mut Book) {
    let send = Operation::new(
        "sendSms",
        "Messages",
        "Send a message",
        "Sends one SMS. A 201 means that the message is kept and will not be lost; what becomes of it is told by \
         webhooks and by `GET /v1/messages/{id}`. A long text is split into segments. `phone`, `sender`, `senderId` and \
         `scheduleAt` are other names of `to`, `from` and `schedule_at`. Messages of the class `otp` need the scope \
         `otp` too.",
    )
    .query(
        "dry_run",
        json!({"type": "boolean"}),
        "`true`: nothing is kept, sent or charged; the answer tells what would happen, and is a 200.",
    )
    .query(
        "strict",
        json!({"type": "boolean"}),
        "`true`: a field that the request does not have is refused (422); otherwise it is ignored and named in \
         `warnings`.",
    )
    .header(
        "Prefer",
        json!({"type": "string", "examples": ["wait=2"]}),
        "`wait=N`: answer when a carrier has the message or it has ended, after N seconds (at most 10) in any case.",
    )
    .takes::<SendRequest>(REQUEST)
    .answers::<Accepted>(201, "The message is kept.", ACCEPTED)
    .located()
    .beside::<Warning>("warnings")
    .answers::<DryRun>(200, "A dry run: nothing was kept.", REHEARSAL)
    .beside::<Warning>("warnings")
    .idempotent()
    .refuses(&[
        Code::InsufficientBalance,
        Code::SenderNotApproved,
        Code::Unprocessable,
        Code::InvalidNumber,
        Code::UnroutableNumber,
        Code::SenderInvalid,
        Code::MessageTooLong,
        Code::ScheduleInvalid,
    ]);
    book.add(Method::POST, "/v1/sms/send", send);
}

/// A message to send.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a form only: the body is read field by field")]
pub(super) struct SendRequest {
    /// The recipient in E.164, or in the local form of your organisation's country.
    #[schema(examples("+255712345678"))]
    to: String,
    /// A sender of yours: at most 11 letters, digits, spaces and `. _ & -`, or a short code.
    #[schema(examples("MOJAWAVE"))]
    from: String,
    /// The text.
    message: String,
    /// Where the events of this message are sent to.
    #[schema(format = "uri")]
    webhook_url: Option<String>,
    /// When to send it: RFC 3339 with an offset, at most 90 days ahead.
    #[schema(format = DateTime)]
    schedule_at: Option<String>,
    metadata: Option<Metadata>,
    tags: Option<Tags>,
    /// `transactional` if it is left out.
    class: Option<ClassName>,
    /// Your own name of the message, to find it by.
    #[schema(min_length = 1, max_length = 64)]
    client_ref: Option<String>,
    /// For how many seconds after its time it may be sent.
    #[schema(minimum = 60, maximum = 172800)]
    validity: Option<u64>,
}

/// What you should know of a request that was done all the same.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a form only: the answer borrows what it shows")]
pub(in crate::api) struct Warning {
    /// The field, as the request spelt it.
    param: String,
    /// `unknown_field` or `validity_cut`; more may come.
    code: String,
    detail: String,
}

/// A message that is kept.
#[derive(ToSchema)]
#[schema(as = AcceptedMessage)]
#[expect(dead_code, reason = "a form only: the answer is written by hand")]
struct Accepted {
    id: Uuid,
    /// `sms`.
    #[schema(rename = "type")]
    kind: String,
    to: Number,
    from: String,
    status: Status,
    class: ClassName,
    /// The text; `[redacted]` for a one-time password.
    body: String,
    segments: u8,
    credits_cost: Amount,
    queued_at: Text,
    scheduled_at: Option<Text>,
    /// Of a caller who has waited for it.
    sent_at: Option<Text>,
    failure_code: Option<Failure>,
    failure_reason: Option<String>,
    timeline: Timeline,
}

/// What a dry run tells: what would have been accepted, and how it would go.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a form only: the answer borrows what it shows")]
struct DryRun {
    /// `sms`.
    #[schema(rename = "type")]
    kind: String,
    /// `true`.
    dry_run: bool,
    to: Number,
    from: String,
    /// What it would be.
    status: Status,
    class: ClassName,
    encoding: EncodingName,
    segments: u8,
    credits_cost: Amount,
    /// The account that it would go to.
    #[schema(required)]
    carrier: Option<String>,
    scheduled_at: Option<Text>,
    /// Why it goes there, for people: what it holds may change.
    #[schema(value_type = Object)]
    route: (),
}

const REQUEST: &str = r#"{
  "to": "+255753276939",
  "from": "MojaWave",
  "message": "Hello from Mojawave! Your verification code is 1234.",
  "webhook_url": "https://example.com/webhook/sms",
  "metadata": {
    "customer_id": "cust98765"
  },
  "tags": ["onboarding", "verification"]
}"#;

const ACCEPTED: &str = r#"{
  "id": "89b82624-f1a2-4f5e-85b5-102e79a06779",
  "type": "sms",
  "to": "+255753276939",
  "from": "MojaWave",
  "status": "queued",
  "class": "transactional",
  "body": "Hello from Mojawave! Your verification code is 1234.",
  "segments": 1,
  "credits_cost": 1,
  "queued_at": "2026-04-05T12:03:04.485Z",
  "timeline": {"queued_at": "2026-04-05T12:03:04.485Z"}
}"#;

const REHEARSAL: &str = r#"{
  "type": "sms",
  "dry_run": true,
  "to": "+255753276939",
  "from": "MojaWave",
  "status": "queued",
  "class": "transactional",
  "encoding": "gsm7",
  "segments": 1,
  "credits_cost": 1,
  "carrier": "vodacom_tz",
  "route": {"network": "vodacom_tz", "rule": "default", "strategy": "priority"}
}"#;
