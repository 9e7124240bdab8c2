//! Lives here: `/v1/webhooks/…`: the routes, and endpoints made, changed, tried and removed.
//! Never here: the form of what is sent to us (`form`), the history (`history`), HTTP to receivers.

mod describe;
mod form;
mod history;

use std::sync::Arc;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use self::form::Form;
use crate::api::call::Visit;
use crate::api::code::Code;
use crate::api::doors::Doors;
use crate::api::error::{ApiError, Problem};
use crate::api::query::Query;
use crate::api::{json, time};
use crate::domain::endpoint::{ENDPOINTS_MAX, Endpoint};
use crate::domain::ids::{EndpointId, OrgId};
use crate::domain::scope::Scope;
use crate::store::hooks::{Made, Rotated};
use crate::webhooks::{self, Busy};

pub(in crate::api) use self::describe::describe;

/// How a caller sees what was made of a change.
const LOOK: &str = "see GET /v1/webhooks/endpoints";
/// Seconds after which a further endpoint may be tried: most receivers answer sooner.
const TRIAL_AGAIN_S: u64 = 2;
/// Octets of a body here at most.
const BODY_MAX: usize = 16 * 1024;

pub(in crate::api) fn doors(doors: Doors) -> Doors {
    let (read, write) = (Scope::WebhooksRead, Scope::WebhooksWrite);
    doors
        .get("/v1/webhooks/endpoints", read, list)
        .post("/v1/webhooks/endpoints", 201, write, make)
        .get("/v1/webhooks/endpoints/{id}", read, one)
        .patch("/v1/webhooks/endpoints/{id}", write, change)
        .delete("/v1/webhooks/endpoints/{id}", write, remove)
        .post(
            "/v1/webhooks/endpoints/{id}/rotate-secret",
            200,
            write,
            rotate,
        )
        .post("/v1/webhooks/endpoints/{id}/test", 200, write, try_out)
        .with_query()
        .post(
            "/v1/webhooks/endpoints/{id}/replay",
            202,
            write,
            history::replay_span,
        )
        .get("/v1/webhooks/deliveries", read, history::list)
        .get("/v1/webhooks/deliveries/{id}", read, history::one)
        .post(
            "/v1/webhooks/events/{id}/replay",
            202,
            write,
            history::replay_event,
        )
}

/// An endpoint as its owner sees it; its secret only where it is new.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookEndpoint)]
struct Shown<'a> {
    id: String,
    /// Where events are sent to.
    url: &'a str,
    /// The types of events that it asks for.
    events: Vec<&'static str>,
    /// How they are written: `mojawave` or `moaa`.
    format: &'static str,
    description: &'a str,
    /// `false`: it is told of what test keys do.
    livemode: bool,
    /// `enabled` or `disabled`.
    status: &'static str,
    #[schema(required)]
    disabled_at: Option<time::Text>,
    #[schema(required)]
    disabled_reason: Option<&'static str>,
    /// Since when nothing has arrived there.
    #[schema(required)]
    failing_since: Option<time::Text>,
    /// Until then the secret before signs too, and alone in the headers that hold one signature.
    #[schema(required)]
    cutover_at: Option<time::Text>,
    created_at: time::Text,
    /// Signs its events; shown where it is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
}

impl<'a> Shown<'a> {
    fn new(endpoint: &'a Endpoint, with_secret: bool) -> Self {
        let now = time::now();
        let old = endpoint.old.as_ref().filter(|(_, until)| now < *until);
        Self {
            id: endpoint.id.to_string(),
            url: &endpoint.url,
            events: endpoint.events.names(),
            format: endpoint.format.name(),
            description: &endpoint.description,
            livemode: endpoint.live,
            status: if endpoint.is_enabled() {
                "enabled"
            } else {
                "disabled"
            },
            disabled_at: endpoint.disabled.map(|(at, _)| time::rfc3339(at)),
            disabled_reason: endpoint.disabled.map(|(_, reason)| reason.name()),
            failing_since: endpoint.failing_since.map(time::rfc3339),
            cutover_at: old.map(|(_, until)| time::rfc3339(*until)),
            created_at: time::rfc3339(endpoint.created_at),
            secret: with_secret.then(|| endpoint.secret.expose_secret()),
        }
    }
}

async fn list(visit: Visit) -> Result<Response, ApiError> {
    Query::read(&visit, &[])?;
    let endpoints = Arc::clone(&visit.api.store.endpoints());
    let live = visit.caller.is_live();
    let own = endpoints.of(visit.caller.org.id).iter();
    let own = own.filter(|one| one.live == live);
    let shown: Vec<Shown<'_>> = own.map(|one| Shown::new(one, false)).collect();
    json::success(StatusCode::OK, &shown)
}

async fn make(mut visit: Visit) -> Result<Response, ApiError> {
    let body = visit.body(BODY_MAX).await?;
    let form = Form::read(&body)?;
    let url = form.url.clone().ok_or_else(|| {
        let problem = Problem::field("url", "url is missing; say where events go");
        ApiError::of_field(Code::InvalidRequest, problem)
    })?;
    let change = form.change(&visit.api.trials)?;
    let now = time::now();
    let blank = Endpoint {
        id: EndpointId(Uuid::now_v7()),
        org: visit.caller.org.id,
        live: visit.caller.is_live(),
        url: url.into(),
        events: form::EVENTS,
        format: form::FORMAT,
        description: "".into(),
        secret: webhooks::new_secret(),
        old: None,
        disabled: None,
        failing_since: None,
        created_at: now,
    };
    let endpoint = blank.changed(&change, now);
    let making = visit.api.store.make_endpoint(endpoint, None);
    match visit.changing(LOOK, making).await? {
        Made::Done(made) => {
            let mut response = json::success(StatusCode::CREATED, &Shown::new(&made, true))?;
            let location = format!("/v1/webhooks/endpoints/{}", made.id);
            if let Ok(location) = HeaderValue::try_from(location) {
                response.headers_mut().insert(header::LOCATION, location);
            }
            Ok(response)
        }
        Made::TooMany => {
            let message = format!(
                "an organisation may have {ENDPOINTS_MAX} endpoints; remove one that is not needed"
            );
            Err(ApiError::new(Code::Unprocessable, message))
        }
    }
}

async fn one(visit: Visit) -> Result<Response, ApiError> {
    let endpoint = find(&visit)?;
    json::success(StatusCode::OK, &Shown::new(&endpoint, false))
}

async fn change(mut visit: Visit) -> Result<Response, ApiError> {
    let endpoint = find(&visit)?;
    let body = visit.body(BODY_MAX).await?;
    let change = Form::read(&body)?.change(&visit.api.trials)?;
    let changed = visit
        .api
        .store
        .change_endpoint(whose(&endpoint), change, time::now(), None);
    let changed = visit.changing(LOOK, changed).await?;
    let changed = changed.ok_or_else(missing)?;
    json::success(StatusCode::OK, &Shown::new(&changed, false))
}

async fn remove(visit: Visit) -> Result<Response, ApiError> {
    let endpoint = find(&visit)?;
    let removed = visit.api.store.remove_endpoint(whose(&endpoint), None);
    if !visit.changing(LOOK, removed).await? {
        return Err(missing());
    }
    let data = json!({"id": endpoint.id.to_string(), "deleted": true});
    json::success(StatusCode::OK, &data)
}

async fn rotate(mut visit: Visit) -> Result<Response, ApiError> {
    let endpoint = find(&visit)?;
    let body = visit.body(BODY_MAX).await?;
    let now = time::now();
    let span = (now, now + form::overlap(&body)?);
    let secret: SecretString = webhooks::new_secret();
    let rotated = visit
        .api
        .store
        .rotate_secret(whose(&endpoint), secret, span, None);
    match visit.changing(LOOK, rotated).await? {
        Rotated::Done(rotated) => json::success(StatusCode::OK, &Shown::new(&rotated, true)),
        Rotated::Overlap(until) => {
            let message = format!(
                "two secrets hold until {}, and a third would end the older of them before; wait until \
                 then, or give overlap_seconds 0, which ends both at once",
                time::rfc3339(until).as_str()
            );
            Err(ApiError::new(Code::Conflict, message))
        }
        Rotated::Missing => Err(missing()),
    }
}

/// Sends an event that is of no consequence, and tells what the receiver said.
async fn try_out(visit: Visit) -> Result<Response, ApiError> {
    let endpoint = find(&visit)?;
    let tried = visit.api.trials.try_out(&endpoint).await;
    let tried = tried.map_err(|busy| match busy {
        Busy::All => {
            let message = "too many endpoints are being tried; try again shortly";
            ApiError::new(Code::Overloaded, message)
        }
        Busy::Organisation => {
            let message = "your organisation is trying as many endpoints as it may at once; try again \
                           when one of them has answered";
            ApiError::new(Code::RateLimitExceeded, message).retry_after(TRIAL_AGAIN_S)
        }
    })?;
    let data = json!({
        "event_id": tried.event.to_string(),
        "delivered": matches!(tried.status, Some(200..=299)),
        "http_status": tried.status,
        "latency_ms": tried.latency_ms,
        "error": tried.error,
        "request": {"url": endpoint.url, "body": tried.request},
        "response": {"body": tried.response},
        "created_at": time::rfc3339(tried.at),
    });
    json::success(StatusCode::OK, &data)
}

/// The caller's endpoint that the path names, of his key's environment.
fn find(visit: &Visit) -> Result<Arc<Endpoint>, ApiError> {
    let id = EndpointId::parse(visit.param("id")).ok_or_else(missing)?;
    let endpoints = visit.api.store.endpoints();
    let caller = &visit.caller;
    let own = |one: &&Arc<Endpoint>| one.org == caller.org.id && one.live == caller.is_live();
    endpoints.get(id).filter(own).cloned().ok_or_else(missing)
}

fn whose(endpoint: &Endpoint) -> (OrgId, EndpointId) {
    (endpoint.org, endpoint.id)
}

fn missing() -> ApiError {
    let message =
        "there is no webhook endpoint with this id; GET /v1/webhooks/endpoints lists them";
    ApiError::new(Code::NotFound, message)
}

/// The bodies as the fuzz targets read them.
#[cfg(test)]
pub(in crate::api) mod fuzzing {
    use super::{ApiError, Form, form};

    /// What an endpoint is made or changed by.
    pub(in crate::api) fn endpoint(body: &[u8]) -> Result<(), ApiError> {
        Form::read(body).map(|_| ())
    }

    /// `POST /v1/webhooks/endpoints/{id}/rotate-secret`.
    pub(in crate::api) fn rotate(body: &[u8]) -> Result<(), ApiError> {
        form::overlap(body).map(|_| ())
    }
}
