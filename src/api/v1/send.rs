//! Lives here: `POST /v1/sms/send`.
//! Never here: the form of its body (`submission`), checks of a message's meaning (`ingest`).

mod describe;

use std::sync::Arc;

use axum::body::Bytes;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use tokio::time::timeout_at;

use super::messages::MESSAGES;
use crate::api::call::Visit;
use crate::api::code::Code;
use crate::api::doors::Doors;
use crate::api::error::{ApiError, Problem};
use crate::api::idempotency::{self, Once};
use crate::api::submission::Draft;
use crate::api::{auth, json, render, time};
use crate::domain::scope::Scope;
use crate::ingest::{Accepted, Refusal};

pub(in crate::api) use self::describe::describe;

pub(in crate::api) fn doors(doors: Doors) -> Doors {
    doors.post_either("/v1/sms/send", 201, (Scope::SmsSend, Scope::Otp), send)
}

async fn send(mut visit: Visit) -> Result<Response, ApiError> {
    let dry_run = dry_run(visit.head.uri.query())?;
    let body = visit.body(visit.api.body_max).await?;
    let (visit, body) = (&visit, &body);
    if dry_run {
        return rehearse(visit, body);
    }
    idempotency::once(visit, body, |once| accept(visit, body, once)).await
}

async fn accept(visit: &Visit, body: &[u8], once: Option<Arc<Once>>) -> Result<Response, ApiError> {
    let draft = parse(visit, body)?;
    let (ingest, org) = (&visit.api.ingest, &visit.caller.org);
    let (submission, now) = (draft.submission(), time::now());
    let answer = |accepted: &Accepted| Bytes::from(render::accepted(accepted, draft.class));
    let accepting = async {
        match &once {
            None => ingest.accept(org, submission, now).await.map(Ok),
            Some(once) => {
                let memo = |accepted: &Accepted| once.memo(StatusCode::CREATED, answer(accepted));
                ingest.accept_once(org, submission, now, memo).await
            }
        }
    };
    let done = timeout_at(visit.deadline, accepting).await;
    let done = done.map_err(|_| ApiError::in_doubt())?;
    let accepted = match done.map_err(|refusal| refused(refusal, &draft))? {
        Ok(accepted) => accepted,
        Err(repeat) => return idempotency::repeated(repeat),
    };
    let mut response = json::answer(StatusCode::CREATED, answer(&accepted));
    if let Ok(location) = HeaderValue::try_from(format!("{MESSAGES}{}", accepted.id)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// What would become of it.
fn rehearse(visit: &Visit, body: &[u8]) -> Result<Response, ApiError> {
    let draft = parse(visit, body)?;
    let (ingest, org) = (&visit.api.ingest, &visit.caller.org);
    let run = ingest.dry_run(org, draft.submission(), time::now());
    let run = run.map_err(|refusal| refused(refusal, &draft))?;
    let json = render::dry_run(&run, draft.class).map_err(json::unwritable)?;
    Ok(json::answer(StatusCode::OK, json))
}

/// What the body asks for, if the caller may.
fn parse<'b>(visit: &Visit, body: &'b [u8]) -> Result<Draft<'b>, ApiError> {
    let draft = Draft::parse(body).map_err(|error| {
        // Only what is not JSON is refused for being a form.
        if visit.says_form() {
            let message = "the body is not JSON; send JSON with content-type application/json";
            ApiError::new(Code::InvalidRequest, message)
        } else {
            error
        }
    })?;
    let sender = (draft.name("from"), draft.submission().from);
    auth::may_send(&visit.caller, draft.class, sender)?;
    Ok(draft)
}

fn refused(refusal: Refusal, draft: &Draft<'_>) -> ApiError {
    let param = refusal.field().map(|core| draft.name(core));
    ApiError::refused(refusal, param)
}

/// Whether the query asks for a dry run. What is neither yes nor no is refused: a message must not
/// be sent because of a typing error.
fn dry_run(query: Option<&str>) -> Result<bool, ApiError> {
    let pairs = query.unwrap_or_default().split('&');
    let mut wanted = false;
    for pair in pairs {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if name == "dry_run" {
            wanted = match value {
                "true" | "1" => true,
                "false" | "0" => false,
                _ => {
                    let problem = Problem::field("dry_run", "dry_run must be true or false");
                    return Err(ApiError::of_field(Code::InvalidRequest, problem));
                }
            };
        }
    }
    Ok(wanted)
}
