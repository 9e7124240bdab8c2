//! Lives here: `POST /v1/sms/send`.
//! Never here: the form of its body (`submission`), checks of a message's meaning (`ingest`).

mod describe;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use tokio::time::timeout_at;

use super::messages::MESSAGES;
use crate::api::call::Visit;
use crate::api::code::Code;
use crate::api::doors::Doors;
use crate::api::error::{ApiError, Problem};
use crate::api::submission::Draft;
use crate::api::{auth, json, render, time};
use crate::domain::scope::Scope;
use crate::ingest::Refusal;

pub(in crate::api) use self::describe::describe;

pub(in crate::api) fn doors(doors: Doors) -> Doors {
    doors.post_either("/v1/sms/send", 201, (Scope::SmsSend, Scope::Otp), send)
}

async fn send(mut visit: Visit) -> Result<Response, ApiError> {
    let dry_run = dry_run(visit.head.uri.query())?;
    let body = visit.body(visit.api.body_max).await?;
    let draft = Draft::parse(&body).map_err(|error| {
        // Only what is not JSON is refused for being a form.
        if visit.says_form() {
            let message = "the body is not JSON; send JSON with content-type application/json";
            ApiError::new(Code::InvalidRequest, message)
        } else {
            error
        }
    })?;
    let refused = |refusal: Refusal| {
        let param = refusal.field().map(|core| draft.name(core));
        ApiError::refused(refusal, param)
    };
    let sender = (draft.name("from"), draft.submission().from);
    auth::may_send(&visit.caller, draft.class, sender)?;
    let (ingest, org) = (&visit.api.ingest, &visit.caller.org);
    if dry_run {
        let run = ingest.dry_run(org, draft.submission(), time::now());
        let run = run.map_err(refused)?;
        let json = render::dry_run(&run, draft.class).map_err(json::unwritable)?;
        return Ok(json::answer(StatusCode::OK, json));
    }
    let accepting = ingest.accept(org, draft.submission(), time::now());
    let done = timeout_at(visit.deadline, accepting).await;
    let accepted = done.map_err(|_| ApiError::in_doubt())?.map_err(refused)?;
    let json = render::accepted(&accepted, draft.class);
    let mut response = json::answer(StatusCode::CREATED, json);
    if let Ok(location) = HeaderValue::try_from(format!("{MESSAGES}{}", accepted.id)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
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
