//! Lives here: campaigns (seed 000): drafts of bulk jobs that can be made, read, changed, deleted and
//! launched. A draft's body is that of `POST /v1/sms/bulk`; what it means is judged at its launch.
//! Never here: the form of that body (`bulk::body`), jobs.

mod describe;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::bulk::body::Draft;
use super::bulk::{self, BODY_MAX};
use crate::api::call::Visit;
use crate::api::code::Code;
use crate::api::doors::Doors;
use crate::api::error::{ApiError, Problem};
use crate::api::fields::{core_name, known};
use crate::api::idempotency::{self, Once, Refusals};
use crate::api::json;
use crate::api::query::Query;
use crate::api::time::{self, Text};
use crate::domain::class::Class;
use crate::domain::ids::{CampaignId, JobId};
use crate::domain::phone::Sender;
use crate::domain::scope::Scope;
use crate::domain::template::Template;
use crate::domain::time::Timestamp;
use crate::ingest::{Ingest, Refusal};
use crate::store::StoreError;
use crate::store::jobs::{Campaign, DRAFTS_MAX};

pub(in crate::api) use self::describe::describe;

/// How a caller sees what was made of a change.
const LOOK: &str = "see GET /v1/campaigns";
/// Campaigns of a page, as asked for and at most.
const PAGE: u32 = 20;
const PAGE_MAX: u32 = 100;

pub(in crate::api) fn doors(doors: Doors) -> Doors {
    let (send, read) = (Scope::SmsSend, Scope::MessagesRead);
    doors
        .post("/v1/campaigns", 201, send, create)
        .get("/v1/campaigns", read, list)
        .get("/v1/campaigns/{id}", read, show)
        .patch("/v1/campaigns/{id}", send, change)
        .delete("/v1/campaigns/{id}", send, delete)
        .post("/v1/campaigns/{id}/launch", 202, send, launch)
}

#[derive(Serialize)]
struct Shown<'a> {
    id: Uuid,
    name: &'a str,
    status: &'static str,
    job_id: Option<Uuid>,
    created_at: Text,
    updated_at: Text,
    livemode: bool,
    from: &'a str,
    message: &'a str,
    class: &'static str,
    total_recipients: u32,
    scheduled_at: Option<Text>,
    personalization_fields: Vec<&'a str>,
}

fn shown(campaign: &Campaign) -> Shown<'_> {
    let template = Template::parse(&campaign.message);
    let mut fields = template.map_or_else(|_| Vec::new(), |template| template.fields().to_vec());
    fields.sort_unstable();
    Shown {
        id: campaign.id.0,
        name: &campaign.name,
        status: match campaign.job {
            None => "draft",
            Some(_) => "launched",
        },
        job_id: campaign.job.map(|job| job.0),
        created_at: time::rfc3339(campaign.created_at),
        updated_at: time::rfc3339(campaign.updated_at),
        livemode: campaign.live,
        from: &campaign.from,
        message: &campaign.message,
        class: campaign.class.name(),
        total_recipients: campaign.total,
        scheduled_at: campaign.due_at.map(time::rfc3339),
        personalization_fields: fields,
    }
}

/// Gives a campaign this body, which can be read; its places must be well-formed.
fn fill(mut campaign: Campaign, body: &[u8]) -> Result<Campaign, ApiError> {
    let draft = Draft::parse(body)?;
    // What is not known is not kept either: nobody would see it, or miss it, before the launch.
    known(&draft.unknown)?;
    // It is shown in lists: what is judged at the launch is only whether it may be used.
    Sender::parse(&draft.request.from).map_err(|error| {
        let param = Some(draft.name("from"));
        ApiError::refused(Refusal::Sender(error), param)
    })?;
    let request = draft.request;
    Template::parse(&request.message).map_err(|error| {
        let problem = Problem::field("message", format!("message: {error}"));
        ApiError::of_field(Code::Unprocessable, problem)
    })?;
    campaign.name = (&*request.name).into();
    campaign.from = (&*request.from).into();
    campaign.message = (&*request.message).into();
    campaign.class = request.class;
    // At most ten thousand: the body has been checked.
    campaign.total = u32::try_from(request.recipients.len()).unwrap_or(u32::MAX);
    campaign.due_at = request.due_at;
    // It has just been read as JSON: it is UTF-8.
    campaign.body = String::from_utf8_lossy(body).into();
    Ok(campaign)
}

async fn create(mut visit: Visit) -> Result<Response, ApiError> {
    let body = visit.packed_body(BODY_MAX).await?;
    let now = time::now();
    let campaign = Campaign {
        id: CampaignId(Uuid::now_v7()),
        org: visit.caller.org.id,
        live: visit.caller.is_live(),
        name: "".into(),
        from: "".into(),
        message: "".into(),
        class: Class::Promotional,
        total: 0,
        due_at: None,
        body: "".into(),
        created_at: now,
        updated_at: now,
        job: None,
    };
    let campaign = bulk::on_turn(&visit, move |_| fill(campaign, &body)).await?;
    let drafting = visit.api.store.draft(campaign.clone());
    if !visit.changing(LOOK, drafting).await? {
        let message = format!(
            "the organisation has {DRAFTS_MAX} campaigns that are not launched; delete one that is \
             not needed"
        );
        return Err(ApiError::new(Code::Conflict, message));
    }
    let mut response = json::success(StatusCode::CREATED, &shown(&campaign))?;
    if let Ok(location) = HeaderValue::try_from(format!("/v1/campaigns/{}", campaign.id)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

async fn list(visit: Visit) -> Result<Response, ApiError> {
    let query = Query::read(&visit, &["cursor", "limit"])?;
    let limit = query.number("limit", PAGE, 1..=PAGE_MAX)?;
    let before = query.id("cursor")?.map(CampaignId);
    let whose = (visit.caller.org.id, visit.caller.is_live());
    let found = visit.api.store.campaigns(whose, before, limit + 1).await;
    let mut found = found.map_err(ApiError::store)?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next = found
        .last()
        .filter(|_| more)
        .map(|last| last.id.to_string());
    let shown: Vec<_> = found.iter().map(shown).collect();
    json::page(&shown, next)
}

async fn show(visit: Visit) -> Result<Response, ApiError> {
    json::success(StatusCode::OK, &shown(&face(&visit).await?))
}

/// Changes the fields that the body names; `null` takes one away.
async fn change(mut visit: Visit) -> Result<Response, ApiError> {
    let changes = visit.packed_body(BODY_MAX).await?;
    let mut campaign = draft(&visit).await?;
    let seen = campaign.updated_at;
    // Each draft has a time of its own: by it a change or a launch knows which it has read.
    campaign.updated_at = time::now().max(Timestamp(seen.0 + 1));
    let work = move |_: &Ingest| {
        let body = changed(&campaign.body, &changes)?;
        fill(campaign, body.as_bytes())
    };
    let campaign = bulk::on_turn(&visit, work).await?;
    let changing = visit.api.store.redraft(campaign.clone(), seen);
    if !visit.changing(LOOK, changing).await? {
        return Err(launched(None));
    }
    json::success(StatusCode::OK, &shown(&campaign))
}

/// A draft's body with changes to it. Values stand as they were written: a number of many digits is
/// kept to the last of them. A field may have any of its names, in both.
///
/// # Errors
/// `invalid_request`, `payload_too_large`.
pub(in crate::api) fn changed(body: &str, changes: &[u8]) -> Result<String, ApiError> {
    let changes: BTreeMap<String, &RawValue> =
        serde_json::from_slice(changes).map_err(|error| {
            let message = format!("the body is not a JSON object that can be read: {error}");
            ApiError::new(Code::InvalidRequest, message)
        })?;
    let fields: serde_json::Result<BTreeMap<String, &RawValue>> = serde_json::from_str(body);
    let fields = fields.map_err(json::unwritable)?;
    let mut left: BTreeMap<&str, &RawValue> = BTreeMap::new();
    let given = fields.iter().filter(|(_, value)| value.get() != "null");
    left.extend(given.map(|(name, value)| (core_name(name), *value)));
    let mut new = BTreeMap::new();
    for (name, value) in &changes {
        let core = core_name(name);
        left.remove(core);
        if value.get() != "null" && new.insert(core, *value).is_some() {
            let problem = Problem::field(core, format!("{core} is given twice; give it once"));
            return Err(ApiError::of_field(Code::InvalidRequest, problem));
        }
    }
    left.extend(new);
    let body = serde_json::to_string(&left).map_err(json::unwritable)?;
    if body.len() > BODY_MAX {
        let message = format!("the campaign is larger than {BODY_MAX} octets; send less");
        return Err(ApiError::new(Code::PayloadTooLarge, message));
    }
    Ok(body)
}

/// Deletes a campaign; the job that it was launched as goes on.
async fn delete(visit: Visit) -> Result<Response, ApiError> {
    let id = visit.id("id").map(CampaignId).ok_or_else(missing)?;
    let whose = (visit.caller.org.id, visit.caller.is_live());
    let deleting = visit.api.store.delete_campaign(whose, id);
    if !visit.changing(LOOK, deleting).await? {
        return Err(missing());
    }
    let shown = serde_json::json!({"id": id.0, "deleted": true});
    json::success(StatusCode::OK, &shown)
}

/// Makes the job, once: the draft and the job change in one commit. A draft that has been changed
/// since is another request.
async fn launch(visit: Visit) -> Result<Response, ApiError> {
    let visit = &visit;
    let work = async |once: Option<Arc<Once>>| {
        let campaign = visit.within(find(visit)).await?;
        if let Some(job) = campaign.job {
            return Err(launched(Some(job)));
        }
        let body = Bytes::from(campaign.body.into_string());
        let (mut prepared, unknown) = bulk::prepare(visit, body, false).await?;
        prepared.order.campaign = Some((campaign.id, campaign.updated_at));
        bulk::order(visit, (prepared, unknown), once).await
    };
    // The draft can be mended, and the request be the same.
    idempotency::once(visit, b"", Refusals::Forgotten, work).await
}

fn missing() -> ApiError {
    ApiError::new(Code::NotFound, "there is no campaign with this id")
}

pub(super) fn launched(job: Option<JobId>) -> ApiError {
    let message = match job {
        Some(job) => format!("the campaign has been launched as the bulk job {job}; make another"),
        None => {
            "the campaign has been changed, launched or deleted meanwhile; read it again".into()
        }
    };
    ApiError::new(Code::Conflict, message)
}

/// The caller's campaign that the path names. A key sees those of its own environment.
async fn find(visit: &Visit) -> Result<Campaign, ApiError> {
    let id = visit.id("id").map(CampaignId).ok_or_else(missing)?;
    let found = visit.api.store.campaign(visit.caller.org.id, id).await;
    own(visit, found)
}

/// The same without its body, which may be megabytes.
async fn face(visit: &Visit) -> Result<Campaign, ApiError> {
    let id = visit.id("id").map(CampaignId).ok_or_else(missing)?;
    let found = visit.api.store.campaign_face(visit.caller.org.id, id).await;
    own(visit, found)
}

fn own(visit: &Visit, found: Result<Option<Campaign>, StoreError>) -> Result<Campaign, ApiError> {
    let own = |campaign: &Campaign| campaign.live == visit.caller.is_live();
    let found = found.map_err(ApiError::store)?;
    found.filter(own).ok_or_else(missing)
}

/// The same, if it has not been launched.
async fn draft(visit: &Visit) -> Result<Campaign, ApiError> {
    let campaign = visit.within(find(visit)).await?;
    match campaign.job {
        None => Ok(campaign),
        Some(job) => Err(launched(Some(job))),
    }
}
