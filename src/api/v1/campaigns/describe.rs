//! Lives here: what the documentation says of campaigns.
//! Never here: campaigns.

use axum::http::Method;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::code::Code;
use crate::api::docs::{Book, ClassName, Metadata, Operation, Tags};
use crate::api::time::Text;
use crate::api::v1::bulk::{
    ACCEPTED, BulkAccepted, BulkRecipient, BulkRequest, OnMissing, REFUSALS, REQUEST,
};

const TAG: &str = "Campaigns";

/// Describes the routes.
pub(in crate::api) fn describe(book: &mut Book) {
    drafts(book);
    changes(book);
}

fn drafts(book: &mut Book) {
    let create = Operation::new(
        "createCampaign",
        TAG,
        "Create a campaign",
        "Keeps a bulk send for later: the body is that of `POST /v1/sms/bulk`, but fields that there are not are \
         refused. Nothing is sent or paid for before it is launched, and its numbers are judged then. Your organisation \
         may have a hundred that are not launched, those of test keys counted.",
    )
    .takes::<BulkRequest>(REQUEST)
    .answers::<Campaign>(201, "The campaign.", CAMPAIGN)
    .located()
    .refuses(&[Code::Conflict, Code::SenderInvalid, Code::Unprocessable, Code::ScheduleInvalid]);
    let list = Operation::new(
        "listCampaigns",
        TAG,
        "List the campaigns",
        "Your campaigns, the newest first.",
    )
    .query(
        "limit",
        json!({"type": "integer", "minimum": 1, "maximum": 100, "default": 20}),
        "Campaigns of a page.",
    )
    .query(
        "cursor",
        json!({"type": "string"}),
        "`next_cursor` of the page before.",
    )
    .answers_page::<Campaign>("A page of them.", LIST);
    let show = Operation::new(
        "getCampaign",
        TAG,
        "Get a campaign",
        "A campaign as it would be launched.",
    )
    .answers::<Campaign>(200, "The campaign.", CAMPAIGN);
    book.add(Method::POST, "/v1/campaigns", create);
    book.add(Method::GET, "/v1/campaigns", list);
    book.add(Method::GET, "/v1/campaigns/{id}", show);
}

fn changes(book: &mut Book) {
    let change = Operation::new(
        "updateCampaign",
        TAG,
        "Change a campaign",
        "The fields that the body names are changed; `null` takes one away. One that has been launched stays.",
    )
    .takes::<CampaignChange>(r#"{"message": "Hello {{name}}"}"#)
    .answers::<Campaign>(200, "The campaign.", CAMPAIGN)
    .refuses(&[Code::Conflict, Code::SenderInvalid, Code::Unprocessable, Code::ScheduleInvalid]);
    let delete = Operation::new(
        "deleteCampaign",
        TAG,
        "Delete a campaign",
        "The job that it was launched as goes on.",
    )
    .answers::<CampaignDeleted>(
        200,
        "It is gone.",
        r#"{"id": "ec0fb57c-8b90-4e21-9f96-48235d6a05ac", "deleted": true}"#,
    );
    let mut refusals = REFUSALS.to_vec();
    refusals.push(Code::Conflict);
    let launch = Operation::new(
        "launchCampaign",
        TAG,
        "Launch a campaign",
        "It becomes a bulk job, once. A refusal is not kept: mend the campaign and launch it again, with the same \
         `Idempotency-Key` if you like. There is no `dry_run` of a launch; try `POST /v1/sms/bulk?dry_run=true`.",
    )
    .answers::<BulkAccepted>(202, "The job is kept.", ACCEPTED)
    .located()
    .idempotent()
    .refuses(&refusals);
    book.add(Method::PATCH, "/v1/campaigns/{id}", change);
    book.add(Method::DELETE, "/v1/campaigns/{id}", delete);
    book.add(Method::POST, "/v1/campaigns/{id}/launch", launch);
}

/// What to change of a campaign: any fields of a bulk send.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a form only: any field may be there")]
struct CampaignChange {
    name: Option<String>,
    from: Option<String>,
    message: Option<String>,
    /// All of them: they take the place of those before.
    #[schema(min_items = 1, max_items = 10000)]
    recipients: Option<Vec<BulkRecipient>>,
    #[schema(format = "uri")]
    webhook_url: Option<String>,
    #[schema(format = DateTime)]
    schedule_at: Option<String>,
    metadata: Option<Metadata>,
    tags: Option<Tags>,
    class: Option<ClassName>,
    on_missing: Option<OnMissing>,
    strict: Option<bool>,
    dedupe: Option<bool>,
    #[schema(minimum = 1, maximum = 10000)]
    rate_limit: Option<u32>,
}

/// A campaign.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a form only: the answer borrows what it shows")]
struct Campaign {
    id: Uuid,
    name: String,
    /// `draft` or `launched`.
    status: String,
    /// The job that it was launched as.
    #[schema(required)]
    job_id: Option<Uuid>,
    created_at: Text,
    updated_at: Text,
    livemode: bool,
    from: String,
    message: String,
    class: ClassName,
    total_recipients: u32,
    scheduled_at: Option<Text>,
    personalization_fields: Vec<String>,
}

/// What is gone.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a form only: the answer is made of values")]
struct CampaignDeleted {
    id: Uuid,
    /// `true`.
    deleted: bool,
}

const CAMPAIGN: &str = r#"{
  "id": "ec0fb57c-8b90-4e21-9f96-48235d6a05ac",
  "name": "Marketing Campaign Q1",
  "status": "draft",
  "job_id": null,
  "created_at": "2026-04-05T12:06:25.317Z",
  "updated_at": "2026-04-05T12:06:25.317Z",
  "livemode": true,
  "from": "MOJAWAVE",
  "message": "Hello {{name}}, your code is {{code}}",
  "class": "transactional",
  "total_recipients": 2,
  "scheduled_at": null,
  "personalization_fields": ["code", "name"]
}"#;

const LIST: &str = r#"[{
  "id": "ec0fb57c-8b90-4e21-9f96-48235d6a05ac",
  "name": "Marketing Campaign Q1",
  "status": "draft",
  "job_id": null,
  "created_at": "2026-04-05T12:06:25.317Z",
  "updated_at": "2026-04-05T12:06:25.317Z",
  "livemode": true,
  "from": "MOJAWAVE",
  "message": "Hello {{name}}, your code is {{code}}",
  "class": "transactional",
  "total_recipients": 2,
  "scheduled_at": null,
  "personalization_fields": ["code", "name"]
}]"#;
