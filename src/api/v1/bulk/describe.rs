//! Lives here: what the documentation says of bulk jobs.
//! Never here: jobs.

use axum::http::Method;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::code::Code;
use crate::api::docs::{
    Book, ClassName, EncodingName, Metadata, Number, Operation, Status, StatusDetail, Tags,
};
use crate::api::json::Amount;
use crate::api::time::Text;
use crate::api::v1::send::DescribedWarning as Warning;

const TAG: &str = "Bulk";

/// What a body of this form may be refused for.
pub(in crate::api) const REFUSALS: [Code; 9] = [
    Code::InsufficientBalance,
    Code::SenderNotApproved,
    Code::Unprocessable,
    Code::InvalidNumber,
    Code::UnroutableNumber,
    Code::SenderInvalid,
    Code::MessageTooLong,
    Code::ScheduleInvalid,
    Code::TemplateVariableMissing,
];

/// Describes the routes.
pub(in crate::api) fn describe(book: &mut Book) {
    let create = Operation::new(
        "sendBulk",
        TAG,
        "Send to many",
        "One text to up to 10,000 recipients. `{{name}}` in it stands for a value of each recipient, \
         `{{name|default}}` for one that may be missing. A 202 means that all of it is kept and paid for; it is then \
         sent in the background. A number that is none does not hold up the others unless `strict` says so.",
    )
    .query("dry_run", json!({"type": "boolean"}), "`true`: nothing is kept; the first ten texts are shown as they would be sent.")
    .takes::<BulkRequest>(REQUEST)
    .answers::<BulkAccepted>(202, "The job is kept.", ACCEPTED)
    .located()
    .answers::<BulkAccepted>(200, "A dry run: nothing was kept.", ACCEPTED)
    .idempotent()
    .refuses(&REFUSALS);
    book.add(Method::POST, "/v1/sms/bulk", create);
    let list = Operation::new(
        "listBulkJobs",
        TAG,
        "List the jobs",
        "Your jobs, the newest first.",
    )
    .query(
        "limit",
        json!({"type": "integer", "minimum": 1, "maximum": 100, "default": 20}),
        "Jobs of a page.",
    )
    .query(
        "cursor",
        json!({"type": "string"}),
        "`next_cursor` of the page before.",
    )
    .answers_page::<BulkSummary>("A page of them.", LIST);
    book.add(Method::GET, "/v1/sms/bulk", list);
    let show = Operation::new("getBulkJob", TAG, "Get a job", "How far a job has come.")
        .answers::<BulkJob>(200, "The job.", JOB);
    book.add(Method::GET, "/v1/sms/bulk/{id}", show);
    steps(book);
    results(book);
}

fn steps(book: &mut Book) {
    for (id, path, summary, text) in [
        (
            "pauseBulkJob",
            "/v1/sms/bulk/{id}/pause",
            "Pause a job",
            "Nothing more of it is sent until it is resumed.",
        ),
        (
            "resumeBulkJob",
            "/v1/sms/bulk/{id}/resume",
            "Resume a job",
            "A job that was paused goes on.",
        ),
        (
            "cancelBulkJob",
            "/v1/sms/bulk/{id}/cancel",
            "Cancel a job",
            "What has not been sent never is, and what was held for it is given back.",
        ),
    ] {
        let step = Operation::new(id, TAG, summary, text)
            .answers::<BulkJob>(200, "The job.", JOB)
            .refuses(&[Code::Conflict]);
        book.add(Method::POST, path, step);
    }
}

fn results(book: &mut Book) {
    let messages = Operation::new(
        "listBulkMessages",
        TAG,
        "List a job's recipients",
        "What has become of each recipient, in the order of the request.",
    )
    .query(
        "limit",
        json!({"type": "integer", "minimum": 1, "maximum": 500, "default": 100}),
        "Recipients of a page.",
    )
    .query(
        "cursor",
        json!({"type": "integer", "minimum": 0}),
        "`next_cursor` of the page before.",
    )
    .answers_page::<BulkOutcome>("A page of them.", OUTCOMES);
    book.add(Method::GET, "/v1/sms/bulk/{id}/messages", messages);
    let errors = Operation::new(
        "getBulkErrors",
        TAG,
        "Get a job's failures as CSV",
        "The recipients that nothing was sent to, or that it did not reach.",
    )
    .answers_text(
        200,
        "The file.",
        "text/csv",
        "recipient,to,failure_code,failure_reason,message_id,client_ref\r\n",
    );
    book.add(Method::GET, "/v1/sms/bulk/{id}/errors.csv", errors);
}

/// A text for many.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a form only: the body is read field by field")]
pub(in crate::api) struct BulkRequest {
    /// What you know the job by.
    #[schema(max_length = 200)]
    name: Option<String>,
    /// A sender of yours: at most 11 letters, digits, spaces and `. _ & -`, or a short code.
    from: String,
    /// The text, with places for each recipient's values.
    message: String,
    #[schema(min_items = 1, max_items = 10000)]
    recipients: Vec<BulkRecipient>,
    /// Where the events of the messages and of the job are sent to.
    #[schema(format = "uri")]
    webhook_url: Option<String>,
    /// When to begin: RFC 3339 with an offset, at most 90 days ahead.
    #[schema(format = DateTime)]
    schedule_at: Option<String>,
    metadata: Option<Metadata>,
    tags: Option<Tags>,
    /// `promotional` if it is left out.
    class: Option<ClassName>,
    /// What becomes of a recipient without a value and default for a place.
    on_missing: Option<OnMissing>,
    /// A number that is none refuses the whole job.
    strict: Option<bool>,
    /// A number that comes twice is sent to once.
    dedupe: Option<bool>,
    /// Messages a second at most.
    #[schema(minimum = 1, maximum = 10000)]
    rate_limit: Option<u32>,
}

/// One of them.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a form only: the body is read field by field")]
pub(in crate::api) struct BulkRecipient {
    /// The recipient in E.164, or in the local form of your organisation's country.
    to: String,
    /// The values of the places: at most 50.
    #[schema(value_type = Option<Metadata>)]
    personalization: Option<()>,
    /// Your own name of the message.
    #[schema(min_length = 1, max_length = 64)]
    client_ref: Option<String>,
}

/// What becomes of a recipient that lacks a value.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "a form only")]
pub(in crate::api) enum OnMissing {
    /// Nothing is sent to anybody.
    Fail,
    /// Nothing is sent to this one.
    Skip,
    /// The place stays empty.
    Empty,
}

/// A job that is kept.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a form only: the answer borrows what it shows")]
pub(in crate::api) struct BulkAccepted {
    job_id: Uuid,
    status: String,
    total_recipients: u32,
    /// What is held for it.
    estimated_credits: Amount,
    has_personalization: bool,
    personalization_fields: Vec<String>,
    scheduled_at: Text,
    created_at: Text,
    name: String,
    class: ClassName,
    total_segments: u64,
    /// Recipients that nothing is sent to; the first hundred are in `errors`.
    failed_recipients: u32,
    errors: Vec<BulkFault>,
    warnings: Vec<Warning>,
    /// Of a dry run: the first ten as they would be sent.
    #[schema(nullable = false)]
    recipients: Option<Vec<BulkForeseen>>,
}

/// A recipient that nothing is sent to.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a form only: the answer borrows what it shows")]
struct BulkFault {
    /// The JSON pointer to what is wrong.
    pointer: String,
    code: String,
    detail: String,
}

/// A message as it would be sent.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a form only: the answer borrows what it shows")]
struct BulkForeseen {
    to: Number,
    body: String,
    encoding: EncodingName,
    segments: u8,
    credits_cost: Amount,
}

/// A job, as lists show it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a form only: the answer borrows what it shows")]
struct BulkSummary {
    id: Uuid,
    name: String,
    /// `scheduled`, `queued`, `processing`, `paused`, `completed`, `failed` or `canceled`.
    status: String,
    total_recipients: u32,
    #[schema(required)]
    completed_at: Option<Text>,
    from: String,
    class: ClassName,
    message: String,
    estimated_credits: Amount,
    #[schema(required)]
    personalization_fields: Option<Vec<String>>,
    scheduled_at: Text,
    created_at: Text,
    #[schema(required)]
    started_at: Option<Text>,
    #[schema(required)]
    rate_limit: Option<u32>,
    metadata: Option<Metadata>,
    tags: Option<Tags>,
    livemode: bool,
}

/// A job and how far it has come.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a form only: the answer borrows what it shows")]
struct BulkJob {
    id: Uuid,
    name: String,
    /// `scheduled`, `queued`, `processing`, `paused`, `completed`, `failed` or `canceled`.
    status: String,
    total_recipients: u32,
    sent_count: u64,
    progress_percent: f64,
    total_credits_cost: Amount,
    #[schema(required)]
    completed_at: Option<Text>,
    pending_count: u64,
    queued_count: u64,
    delivered_count: u64,
    failed_count: u64,
    canceled_count: u64,
    from: String,
    class: ClassName,
    message: String,
    estimated_credits: Amount,
    #[schema(required)]
    personalization_fields: Option<Vec<String>>,
    scheduled_at: Text,
    created_at: Text,
    #[schema(required)]
    started_at: Option<Text>,
    #[schema(required)]
    rate_limit: Option<u32>,
    metadata: Option<Metadata>,
    tags: Option<Tags>,
    livemode: bool,
}

/// A recipient and what has become of it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a form only: the answer borrows what it shows")]
struct BulkOutcome {
    /// Its place in the request, from 0.
    recipient: u32,
    /// The message's id; `null`: there is none.
    #[schema(required)]
    id: Option<Uuid>,
    /// As it was given, if it is no number. `[erased]`: it was taken out at a person's request, or the
    /// job was canceled and its texts are past their time.
    to: String,
    status: Status,
    status_detail: StatusDetail,
    #[schema(required)]
    segments: Option<u8>,
    credits_cost: Option<Amount>,
    sent_at: Option<Text>,
    delivered_at: Option<Text>,
    /// Of a message, its own. Where there is none: `invalid_number`, `unroutable_number`,
    /// `sender_invalid`, `message_too_long`, `unprocessable`, `template_variable_missing`,
    /// `duplicate` (the job names the number before) or `erased` (a person asked us not to keep the
    /// number). More may come.
    #[schema(required)]
    failure_code: Option<String>,
    #[schema(required)]
    failure_reason: Option<String>,
    #[schema(required)]
    client_ref: Option<String>,
}

pub(in crate::api) const REQUEST: &str = r#"{
  "name": "Marketing Campaign Q1",
  "from": "MOJAWAVE",
  "message": "Hello {{name}}, your code is {{code}}",
  "recipients": [
    {
      "to": "+255753276939",
      "personalization": {
        "name": "John",
        "code": "ABC123"
      }
    },
    {
      "to": "+255753276939",
      "personalization": {
        "name": "Jane",
        "code": "ABC123"
      }
    }
  ],
  "webhook_url": "https://example.com/webhooks"
}"#;

pub(in crate::api) const ACCEPTED: &str = r#"{
  "job_id": "ec0fb57c-8b90-4e21-9f96-48235d6a05ac",
  "status": "scheduled",
  "total_recipients": 2,
  "estimated_credits": 2,
  "has_personalization": true,
  "personalization_fields": ["code", "name"],
  "scheduled_at": "2026-04-05T12:07:14.559Z",
  "created_at": "2026-04-05T12:06:25.317Z",
  "name": "Marketing Campaign Q1",
  "class": "transactional",
  "total_segments": 2,
  "failed_recipients": 0,
  "errors": [],
  "warnings": []
}"#;

const LIST: &str = r#"[{
  "id": "ec0fb57c-8b90-4e21-9f96-48235d6a05ac",
  "name": "Marketing Campaign Q1",
  "status": "completed",
  "total_recipients": 2,
  "completed_at": "2026-04-05T12:08:09.610Z",
  "from": "MOJAWAVE",
  "class": "transactional",
  "message": "Hello {{name}}, your code is {{code}}",
  "estimated_credits": 2,
  "personalization_fields": ["code", "name"],
  "scheduled_at": "2026-04-05T12:07:14.559Z",
  "created_at": "2026-04-05T12:06:25.317Z",
  "started_at": "2026-04-05T12:07:14.601Z",
  "rate_limit": null,
  "metadata": null,
  "tags": null,
  "livemode": true
}]"#;

const JOB: &str = r#"{
  "id": "ec0fb57c-8b90-4e21-9f96-48235d6a05ac",
  "name": "Marketing Campaign Q1",
  "status": "completed",
  "total_recipients": 2,
  "sent_count": 2,
  "progress_percent": 100.0,
  "total_credits_cost": 2,
  "completed_at": "2026-04-05T12:08:09.610Z",
  "pending_count": 0,
  "queued_count": 0,
  "delivered_count": 2,
  "failed_count": 0,
  "canceled_count": 0,
  "from": "MOJAWAVE",
  "class": "transactional",
  "message": "Hello {{name}}, your code is {{code}}",
  "estimated_credits": 2,
  "personalization_fields": ["code", "name"],
  "scheduled_at": "2026-04-05T12:07:14.559Z",
  "created_at": "2026-04-05T12:06:25.317Z",
  "started_at": "2026-04-05T12:07:14.601Z",
  "rate_limit": null,
  "metadata": null,
  "tags": null,
  "livemode": true
}"#;

const OUTCOMES: &str = r#"[{
  "recipient": 0,
  "id": "89b82624-f1a2-4f5e-85b5-102e79a06779",
  "to": "+255753276939",
  "status": "delivered",
  "status_detail": "delivered",
  "segments": 1,
  "credits_cost": 1,
  "sent_at": "2026-04-05T12:07:15.101Z",
  "delivered_at": "2026-04-05T12:07:18.204Z",
  "failure_code": null,
  "failure_reason": null,
  "client_ref": null
}]"#;
