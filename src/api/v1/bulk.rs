//! Lives here: bulk jobs: `POST /v1/sms/bulk` and what can be asked of a job (seed 003, with our
//! additions behind the seed's fields).
//! Never here: the form of the body (`body`), a job's results (`results`), what recipients get
//! (`bulk`).

pub(in crate::api) mod body;
mod describe;
mod results;

use std::sync::Arc;

use axum::body::Bytes;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::timeout_at;
use uuid::Uuid;

use self::body::Draft;
use crate::api::auth;
use crate::api::call::Visit;
use crate::api::code::Code;
use crate::api::doors::Doors;
use crate::api::error::{ApiError, Problem};
use crate::api::idempotency::{self, Once, Refusals};
use crate::api::json::{self, Amount};
use crate::api::query::Query;
use crate::api::render::Warning;
use crate::api::time::{self, Text};
use crate::bulk::{self, Fault, Prepared, Refused};
use crate::domain::ids::JobId;
use crate::domain::job::{Counts, Step, Why};
use crate::domain::scope::Scope;
use crate::domain::time::Timestamp;
use crate::ingest::{Ingest, Refusal};
use crate::store::Credential;
use crate::store::jobs::{JobView, Ordered, Stepped, Whose};

pub(in crate::api) use self::describe::{
    ACCEPTED, BulkAccepted, BulkRecipient, BulkRequest, OnMissing, REFUSALS, REQUEST, describe,
};

/// Octets of a body: ten thousand recipients with some values each.
pub(in crate::api) const BODY_MAX: usize = 8 * 1024 * 1024;
/// Where jobs are; a job's own path is this and its id.
pub(in crate::api) const JOBS: &str = "/v1/sms/bulk/";
/// How a caller sees what was made of a change.
const LOOK: &str = "see GET /v1/sms/bulk";
/// Jobs of a page, as asked for and at most.
const PAGE: u32 = 20;
const PAGE_MAX: u32 = 100;
/// Recipients that a dry run shows.
const SHOWN: usize = 10;

pub(in crate::api) fn doors(doors: Doors) -> Doors {
    let (send, read) = (Scope::SmsSend, Scope::MessagesRead);
    doors
        .with_query()
        .post("/v1/sms/bulk", 202, send, create)
        .get("/v1/sms/bulk", read, list)
        .get("/v1/sms/bulk/{id}", read, show)
        .post("/v1/sms/bulk/{id}/pause", 200, send, pause)
        .post("/v1/sms/bulk/{id}/resume", 200, send, resume)
        .post("/v1/sms/bulk/{id}/cancel", 200, send, cancel)
        .get("/v1/sms/bulk/{id}/messages", read, results::messages)
        .get("/v1/sms/bulk/{id}/errors.csv", read, results::errors)
}

/// The answer to an accepted job: the seed's fields, then ours.
#[derive(Serialize)]
struct Accepted<'a> {
    job_id: Uuid,
    status: &'static str,
    total_recipients: u32,
    estimated_credits: Amount,
    has_personalization: bool,
    personalization_fields: &'a [String],
    scheduled_at: Text,
    created_at: Text,
    name: &'a str,
    class: &'static str,
    total_segments: u64,
    /// Recipients that nothing is sent to; the first hundred are in `errors`.
    failed_recipients: u32,
    errors: Vec<Failed<'a>>,
    warnings: Vec<Warning>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    recipients: Vec<Foreseen<'a>>,
}

#[derive(Serialize)]
struct Failed<'a> {
    pointer: String,
    code: &'static str,
    detail: &'a str,
}

#[derive(Serialize)]
struct Foreseen<'a> {
    to: String,
    body: &'a str,
    encoding: &'static str,
    segments: u8,
    credits_cost: Amount,
}

async fn create(mut visit: Visit) -> Result<Response, ApiError> {
    let query = Query::read(&visit, &["dry_run"])?;
    let dry_run = query.flag("dry_run")?;
    let body = visit.packed_body(BODY_MAX).await?;
    let (visit, form) = (&visit, visit.says_form());
    if dry_run {
        let (prepared, unknown) = prepare(visit, body, form).await?;
        return Ok(json::answer(
            StatusCode::OK,
            accepted(&prepared, &unknown, true)?,
        ));
    }
    let work = async |once: Option<Arc<Once>>| {
        let (prepared, unknown) = prepare(visit, body.clone(), form).await?;
        order(visit, (prepared, unknown), once).await
    };
    idempotency::once(visit, &body, Refusals::Kept, work).await
}

/// Makes a job durable, and says so.
pub(super) async fn order(
    visit: &Visit,
    (mut prepared, unknown): (Prepared, Vec<Box<str>>),
    once: Option<Arc<Once>>,
) -> Result<Response, ApiError> {
    let shown = Bytes::from(accepted(&prepared, &unknown, false)?);
    let id = prepared.order.job.id;
    prepared.order.memo = once.map(|once| once.memo(StatusCode::ACCEPTED, shown.clone()));
    let creating = visit.api.bulk.create(prepared.order);
    match visit.changing(LOOK, creating).await? {
        Ordered::Done => {}
        Ordered::Repeats(repeat) => return idempotency::repeated(repeat),
        Ordered::Launched => return Err(super::campaigns::launched(None)),
        Ordered::Short(short) => return Err(ApiError::refused(Refusal::Balance(short), None)),
    }
    let mut response = json::answer(StatusCode::ACCEPTED, shown);
    if let Ok(location) = HeaderValue::try_from(format!("{JOBS}{id}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// Reads and checks a body on a thread of its own, when its turn comes.
pub(super) async fn prepare(
    visit: &Visit,
    body: Bytes,
    form: bool,
) -> Result<(Prepared, Vec<Box<str>>), ApiError> {
    let caller = Arc::clone(&visit.caller);
    let work = move |ingest: &Ingest| read(ingest, &caller, &body, form, time::now());
    on_turn(visit, work).await
}

/// Does what takes a core for a while on a thread of its own, when its turn comes.
pub(super) async fn on_turn<T: Send + 'static>(
    visit: &Visit,
    work: impl FnOnce(&Ingest) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let done = timeout_at(visit.deadline, visit.api.bulk.on_turn(work)).await;
    let done = done.map_err(|_| {
        let message = "too many bulk requests are being read; try again shortly";
        ApiError::new(Code::Overloaded, message)
    })?;
    done.map_err(ApiError::store)?
}

fn read(
    ingest: &Ingest,
    caller: &Credential,
    body: &[u8],
    form: bool,
    now: Timestamp,
) -> Result<(Prepared, Vec<Box<str>>), ApiError> {
    let draft = Draft::parse(body).map_err(|error| {
        // Only what is not JSON is refused for being a form.
        if form && serde_json::from_slice::<&RawValue>(body).is_err() {
            let message = "the body is not JSON; send JSON with content-type application/json";
            ApiError::new(Code::InvalidRequest, message)
        } else {
            error
        }
    })?;
    let request = &draft.request;
    let sender = (draft.name("from"), &*request.from);
    auth::may_send(caller, request.class, sender)?;
    let whose = (&caller.org, caller.is_live());
    let prepared = bulk::prepare(ingest, whose, request, now);
    let prepared = prepared.map_err(|why| refused(why, &draft))?;
    Ok((prepared, draft.unknown))
}

fn refused(refused: Refused, draft: &Draft<'_>) -> ApiError {
    match refused {
        Refused::Shared(refusal) => {
            let param = refusal.field().map(|core| draft.name(core));
            ApiError::refused(refusal, param)
        }
        Refused::Template(error) => {
            let problem = Problem::field("message", format!("message: {error}"));
            ApiError::of_field(Code::Unprocessable, problem)
        }
        Refused::Fields => {
            let detail = "recipients bring more than 100 different fields; send fewer";
            ApiError::of_field(Code::Unprocessable, Problem::field("recipients", detail))
        }
        Refused::Recipients(faults, number) => {
            let code = faults
                .first()
                .map_or(Code::Unprocessable, |fault| code(fault.why));
            let problems = faults.iter().map(|fault| Problem {
                code: Some(self::code(fault.why)),
                ..body::problem(fault.recipient, &path(fault), fault.detail.to_string())
            });
            ApiError::of_recipients(code, problems.collect(), number)
        }
    }
}

fn code(why: Why) -> Code {
    match why {
        Why::Number => Code::InvalidNumber,
        Why::Unroutable => Code::UnroutableNumber,
        Why::Sender => Code::SenderInvalid,
        Why::TooLong => Code::MessageTooLong,
        Why::Missing => Code::TemplateVariableMissing,
        Why::Text | Why::Duplicate | Why::Erased => Code::Unprocessable,
    }
}

/// Where in a recipient a fault is.
fn path(fault: &Fault) -> String {
    match (&fault.field, fault.why) {
        (Some(field), _) => format!("/personalization{}", body::step(field)),
        (None, Why::Number | Why::Unroutable | Why::Duplicate | Why::Erased) => "/to".into(),
        (None, Why::Sender | Why::TooLong | Why::Text | Why::Missing) => String::new(),
    }
}

/// What an accepted job is answered with.
pub(super) fn accepted(
    prepared: &Prepared,
    unknown: &[Box<str>],
    dry_run: bool,
) -> Result<Vec<u8>, ApiError> {
    let job = &prepared.order.job;
    let failed = |fault: &'_ Fault| format!("/recipients/{}{}", fault.recipient, path(fault));
    let shown = Accepted {
        job_id: job.id.0,
        status: "scheduled",
        total_recipients: job.total,
        estimated_credits: Amount(job.cost),
        has_personalization: !prepared.fields.is_empty(),
        personalization_fields: &prepared.fields,
        scheduled_at: time::rfc3339(job.due_at),
        created_at: time::rfc3339(job.created_at),
        name: &job.name,
        class: job.class.name(),
        total_segments: prepared.segments,
        failed_recipients: prepared
            .order
            .chunks
            .iter()
            .map(|chunk| chunk.refused)
            .sum(),
        errors: prepared
            .faults
            .iter()
            .map(|fault| Failed {
                pointer: failed(fault),
                code: fault.why.code(),
                detail: &fault.detail,
            })
            .collect(),
        warnings: unknown
            .iter()
            .map(|name| Warning {
                param: name.clone(),
                code: "unknown_field",
                detail: format!("{name} is no field of this request; it was ignored"),
            })
            .collect(),
        recipients: prepared
            .foreseen
            .iter()
            .take(if dry_run { SHOWN } else { 0 })
            .map(|one| Foreseen {
                to: one.quote.to.to_string(),
                body: &one.text,
                encoding: one.quote.encoding.name(),
                segments: one.quote.segments,
                credits_cost: Amount(one.quote.cost),
            })
            .collect(),
    };
    json::written(&shown)
}

/// A job: the seed's fields, then ours.
#[derive(Serialize)]
struct Details<'a> {
    id: Uuid,
    name: &'a str,
    status: &'static str,
    total_recipients: u32,
    sent_count: u64,
    progress_percent: f64,
    total_credits_cost: Amount,
    completed_at: Option<Text>,
    pending_count: u64,
    queued_count: u64,
    delivered_count: u64,
    failed_count: u64,
    canceled_count: u64,
    #[serde(flatten)]
    summary: Summary<'a>,
}

/// What a list shows of a job too.
#[derive(Serialize)]
struct Summary<'a> {
    from: &'a str,
    class: &'static str,
    message: &'a str,
    estimated_credits: Amount,
    personalization_fields: Option<&'a RawValue>,
    scheduled_at: Text,
    created_at: Text,
    started_at: Option<Text>,
    rate_limit: Option<u32>,
    metadata: Option<&'a RawValue>,
    tags: Option<&'a RawValue>,
    livemode: bool,
}

#[derive(Serialize)]
struct Listed<'a> {
    id: Uuid,
    name: &'a str,
    status: &'static str,
    total_recipients: u32,
    completed_at: Option<Text>,
    #[serde(flatten)]
    summary: Summary<'a>,
}

fn listed(view: &JobView) -> Listed<'_> {
    let job = &view.job;
    Listed {
        id: job.id.0,
        name: &job.name,
        status: view.state.name(job.due_at, time::now()),
        total_recipients: job.total,
        completed_at: view.completed_at.map(time::rfc3339),
        summary: summary(view),
    }
}

/// JSON that was checked when it came.
fn raw(json: Option<&str>) -> Option<&RawValue> {
    serde_json::from_str(json?).ok()
}

fn summary(view: &JobView) -> Summary<'_> {
    let job = &view.job;
    Summary {
        from: job.from.as_str(),
        class: job.class.name(),
        message: &job.template,
        estimated_credits: Amount(job.cost),
        personalization_fields: raw(Some(&job.fields)),
        scheduled_at: time::rfc3339(job.due_at),
        created_at: time::rfc3339(job.created_at),
        started_at: view.started_at.map(time::rfc3339),
        rate_limit: (job.rate_limit > 0).then_some(job.rate_limit),
        metadata: raw(job.metadata.as_deref()),
        tags: raw(job.tags.as_deref()),
        livemode: job.live,
    }
}

fn details(view: &JobView, counts: &Counts) -> Result<Response, ApiError> {
    let job = &view.job;
    json::success(
        StatusCode::OK,
        &Details {
            id: job.id.0,
            name: &job.name,
            status: view.state.name(job.due_at, time::now()),
            total_recipients: job.total,
            sent_count: counts.sent,
            progress_percent: counts.percent(),
            total_credits_cost: Amount(counts.cost),
            completed_at: view.completed_at.map(time::rfc3339),
            pending_count: counts.pending,
            queued_count: counts.queued,
            delivered_count: counts.delivered,
            failed_count: counts.failed,
            canceled_count: counts.canceled,
            summary: summary(view),
        },
    )
}

async fn show(visit: Visit) -> Result<Response, ApiError> {
    let view = find(&visit).await?;
    let counts = visit.api.store.job_counts(&view).await;
    details(&view, &counts.map_err(ApiError::store)?)
}

async fn list(visit: Visit) -> Result<Response, ApiError> {
    let query = Query::read(&visit, &["cursor", "limit"])?;
    let limit = query.number("limit", PAGE, 1..=PAGE_MAX)?;
    let before = query.id("cursor")?.map(JobId);
    let whose = Whose::Keys(visit.caller.org.id, visit.caller.is_live());
    let jobs = visit.api.store.jobs(whose, before, limit + 1).await;
    let mut jobs = jobs.map_err(ApiError::store)?;
    let more = jobs.len() > limit as usize;
    jobs.truncate(limit as usize);
    let next = jobs
        .last()
        .filter(|_| more)
        .map(|view| view.job.id.to_string());
    let listed: Vec<_> = jobs.iter().map(listed).collect();
    json::page(&listed, next)
}

async fn pause(visit: Visit) -> Result<Response, ApiError> {
    step(visit, Step::Pause).await
}

async fn resume(visit: Visit) -> Result<Response, ApiError> {
    step(visit, Step::Resume).await
}

async fn cancel(visit: Visit) -> Result<Response, ApiError> {
    step(visit, Step::Cancel).await
}

/// Takes a job a step further and shows it.
async fn step(visit: Visit, step: Step) -> Result<Response, ApiError> {
    let id = visit.within(find(&visit)).await?.job.id;
    let org = Some(visit.caller.org.id);
    let stepping = visit.api.bulk.step(org, id, (step, time::now()), None);
    match visit.changing(LOOK, stepping).await? {
        Stepped::Missing => return Err(missing()),
        Stepped::Done(_) => {}
        // Who asks again for what is so already is told so.
        Stepped::Refused(state) if step.leads_to(state) => {}
        Stepped::Refused(state) => {
            let state = state.name(Timestamp(0), Timestamp(0));
            let message = format!("the job is {state}; that cannot be done from there");
            return Err(ApiError::new(Code::Conflict, message));
        }
    }
    let view = visit.within(find(&visit)).await?;
    let counts = async {
        let counts = visit.api.store.job_counts(&view).await;
        counts.map_err(ApiError::store)
    };
    details(&view, &visit.within(counts).await?)
}

fn missing() -> ApiError {
    let message = "there is no bulk job with this id; check it, it is in the answer to the request";
    ApiError::new(Code::NotFound, message)
}

/// The caller's job that the path names. A key sees the jobs of its own environment.
async fn find(visit: &Visit) -> Result<JobView, ApiError> {
    let id = visit.id("id").map(JobId).ok_or_else(missing)?;
    let found = visit.api.store.job(Some(visit.caller.org.id), id).await;
    let own = |view: &JobView| view.job.live == visit.caller.is_live();
    let found = found.map_err(ApiError::store)?;
    found.filter(own).ok_or_else(missing)
}
