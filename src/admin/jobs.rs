//! Lives here: the endpoints about bulk jobs: listed, shown, paused, resumed, taken back.
//! Never here: legal steps (`domain::job`), recipients.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::Admin;
use super::error::{self, Refused};
use super::request::{Asked, Body, Change, Done, Operator, asked, changed, in_time, now};
use super::request::{organisation, read, reason, told};
use crate::domain::ids::JobId;
use crate::domain::job::{Counts, Step};
use crate::domain::time::Timestamp;
use crate::store::jobs::{JobView, Stepped, Whose};

/// Jobs that are listed, as asked for and at most.
const LIMIT: u32 = 50;
const LIMIT_MAX: u32 = 500;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// Name or id; without it: of all.
    org: Option<String>,
    limit: Option<u32>,
}

#[derive(Serialize)]
struct Jobs {
    jobs: Vec<Shown>,
}

#[derive(Serialize)]
struct Shown {
    id: Uuid,
    org: String,
    name: Box<str>,
    state: &'static str,
    class: &'static str,
    live: bool,
    recipients: u32,
    cost: String,
    created_at: String,
    due_at: String,
    completed_at: Option<String>,
}

#[derive(Serialize)]
struct Detailed {
    #[serde(flatten)]
    job: Shown,
    pending: u64,
    queued: u64,
    sent: u64,
    delivered: u64,
    failed: u64,
    canceled: u64,
    percent: f64,
    spent: String,
}

async fn shown(admin: &Admin, view: &JobView) -> Result<Shown, Refused> {
    let job = &view.job;
    let org = in_time(admin.parts.store.organisation(job.org)).await?;
    Ok(Shown {
        id: job.id.0,
        org: org.map_or_else(|| job.org.to_string(), |org| org.name.to_string()),
        name: job.name.clone(),
        state: view.state.name(job.due_at, now()),
        class: job.class.name(),
        live: job.live,
        recipients: job.total,
        cost: job.cost.to_string(),
        created_at: told(job.created_at),
        due_at: told(job.due_at),
        completed_at: view.completed_at.map(told),
    })
}

/// `GET /admin/v1/jobs`: the newest first.
pub(super) async fn list(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    which: Asked<Which>,
) -> Result<Response, Refused> {
    Operator::admit(&admin, &headers)?;
    let which = asked(which)?;
    let org = match &which.org {
        Some(org) => Whose::Org(organisation(&admin, org).await?.id),
        None => Whose::All,
    };
    let limit = which.limit.unwrap_or(LIMIT).min(LIMIT_MAX);
    let found = in_time(admin.parts.store.jobs(org, None, limit)).await?;
    let mut jobs = Vec::with_capacity(found.len());
    for view in &found {
        jobs.push(shown(&admin, view).await?);
    }
    Ok(error::json(StatusCode::OK, &Jobs { jobs }))
}

/// `GET /admin/v1/jobs/{id}`.
pub(super) async fn show(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    Operator::admit(&admin, &headers)?;
    let view = find(&admin, &id).await?;
    let counts: Counts = in_time(admin.parts.store.job_counts(&view)).await?;
    let detailed = Detailed {
        job: shown(&admin, &view).await?,
        pending: counts.pending,
        queued: counts.queued,
        sent: counts.sent,
        delivered: counts.delivered,
        failed: counts.failed,
        canceled: counts.canceled,
        percent: counts.percent(),
        spent: counts.cost.to_string(),
    };
    Ok(error::json(StatusCode::OK, &detailed))
}

/// `POST /admin/v1/jobs/{id}/pause`, `…/resume`, `…/cancel`.
pub(super) async fn change(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    Path((id, what)): Path<(String, String)>,
    body: Body,
) -> Result<Response, Refused> {
    let operator = Operator::admit(&admin, &headers)?;
    let asked: Change = read(body)?;
    let why = reason(&asked.reason)?;
    let (step, action, outcome, undo) = match &*what {
        "pause" => (Step::Pause, "jobs.pause", "paused", Some("resume")),
        "resume" => (Step::Resume, "jobs.resume", "resumed", Some("pause")),
        "cancel" => (Step::Cancel, "jobs.cancel", "canceled", None),
        _ => {
            return Err(Refused::missing(
                "a job can be paused, resumed and canceled",
            ));
        }
    };
    let view = find(&admin, &id).await?;
    let job = view.job.id;
    let stands = |view: &JobView| view.state.name(Timestamp(0), Timestamp(0));
    let impossible =
        |state: &str| Refused::conflict(format!("the job is {state}: it cannot be {outcome}"));
    if asked.dry_run {
        let next = view.state.after(step, view.started_at.is_some());
        next.ok_or_else(|| impossible(stands(&view)))?;
        return Ok(Done::would(format_args!("job {job} would be {outcome}")).answer());
    }
    let subject = job.to_string();
    let entry = operator.entry(action, &subject, &json!({"reason": why}), outcome);
    let stepping = admin.parts.bulk.step(None, job, (step, now()), Some(entry));
    let done = changed(stepping).await.and_then(|stepped| match stepped {
        Stepped::Done(_) => Ok(()),
        Stepped::Refused(state) => Err(impossible(state.name(Timestamp(0), Timestamp(0)))),
        Stepped::Missing => Err(missing()),
    });
    operator.told((action, &subject), done)?;
    let undo = undo.map(|undo| format!("mnara ctl jobs {undo} {job} --reason …"));
    Ok(Done::new(format!("job {job} is {outcome}"), undo).answer())
}

fn missing() -> Refused {
    Refused::missing("there is no bulk job of this id; `mnara ctl jobs` lists them")
}

async fn find(admin: &Admin, typed: &str) -> Result<JobView, Refused> {
    let id = Uuid::try_parse(typed.trim()).map_err(|_| missing())?;
    let found = in_time(admin.parts.store.job(None, JobId(id))).await?;
    found.ok_or_else(missing)
}
