//! Lives here: the history of deliveries as its owner reads it, and events that he asks for anew.
//! Never here: endpoints themselves.

use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::find;
use crate::api::call::Visit;
use crate::api::code::Code;
use crate::api::error::{ApiError, Problem};
use crate::api::{json, query, time};
use crate::domain::endpoint::Format;
use crate::domain::event::EventKind;
use crate::domain::ids::{EndpointId, EventId};
use crate::domain::time::Timestamp;
use crate::flow::About;
use crate::store::hooks::{Delivery, DeliveryId, DeliveryPage, DeliveryRow, Replay, Replayed};
use crate::webhooks;

/// Rows of a page, unless it says.
const LIMIT: u32 = 20;
/// And at most.
const LIMIT_MAX: u32 = 100;
/// Attempts that one request looks at: some tens of milliseconds of a reader.
const LOOK: u32 = 20_000;

#[derive(Deserialize)]
struct Wanted {
    status: Option<String>,
    event: Option<String>,
    endpoint: Option<String>,
    cursor: Option<String>,
    limit: Option<String>,
}

/// An attempt to deliver an event.
#[derive(Serialize, ToSchema)]
#[schema(as = Delivery)]
pub(super) struct Shown<'a> {
    id: String,
    event_id: String,
    /// The event's type.
    event: &'static str,
    /// `null`: the message's own URL.
    #[schema(required)]
    endpoint_id: Option<String>,
    #[schema(required)]
    message_id: Option<String>,
    /// Which attempt, from 1.
    attempt: u16,
    /// `delivered` or `failed`.
    status: &'static str,
    #[schema(required)]
    http_status: Option<u16>,
    latency_ms: u32,
    /// Why there was no answer.
    #[schema(required)]
    error: Option<&'a str>,
    created_at: time::Text,
    event_created_at: time::Text,
}

impl<'a> Shown<'a> {
    fn new(row: &'a DeliveryRow) -> Self {
        Self {
            id: row.id.to_string(),
            event_id: row.id.event.to_string(),
            event: row.kind.name(),
            endpoint_id: row.target.map(|id| id.to_string()),
            message_id: row.message.map(|id| id.to_string()),
            attempt: row.id.attempt,
            status: match row.status {
                Some(200..=299) => "delivered",
                Some(_) | None => "failed",
            },
            http_status: row.status,
            latency_ms: row.latency_ms,
            error: row.error.as_deref(),
            created_at: time::rfc3339(row.at),
            event_created_at: time::rfc3339(row.happened_at),
        }
    }
}

/// `GET /v1/webhooks/deliveries`.
pub(super) async fn list(visit: Visit) -> Result<Response, ApiError> {
    let page = page(&visit)?;
    let found = visit.api.store.delivery_page(&page).await;
    let found = found.map_err(ApiError::store)?;
    let shown: Vec<Shown<'_>> = found.rows.iter().map(Shown::new).collect();
    json::page(&shown, found.next.map(|last| last.to_string()))
}

fn page(visit: &Visit) -> Result<DeliveryPage, ApiError> {
    let known = ["status", "event", "endpoint", "cursor", "limit"];
    let wanted: Wanted = query(visit, &known)?;
    let delivered = match wanted.status.as_deref() {
        None => None,
        Some("delivered") => Some(true),
        Some("failed") => Some(false),
        Some(_) => return Err(wrong("status", "status must be delivered or failed")),
    };
    let kind = match wanted.event.as_deref() {
        None => None,
        Some(name) => Some(EventKind::named(name).ok_or_else(|| {
            wrong(
                "event",
                "event must be the type of an event, as message.sent",
            )
        })?),
    };
    let target = match wanted.endpoint.as_deref() {
        None => None,
        Some(id) => Some(
            EndpointId::parse(id)
                .ok_or_else(|| wrong("endpoint", "endpoint must be the id of one, as we_…"))?,
        ),
    };
    let after = match wanted.cursor.as_deref() {
        None => None,
        Some(cursor) => Some(DeliveryId::parse(cursor).ok_or_else(not_a_cursor)?),
    };
    let limit = match wanted.limit.as_deref().map(str::parse::<u32>) {
        None => LIMIT,
        Some(Ok(limit @ 1..=LIMIT_MAX)) => limit,
        Some(_) => return Err(wrong("limit", "limit must be a number from 1 to 100")),
    };
    Ok(DeliveryPage {
        org: visit.caller.org.id,
        live: visit.caller.is_live(),
        after,
        delivered,
        kind,
        target,
        limit,
        look: LOOK,
    })
}

/// `GET /v1/webhooks/deliveries/{id}`: with what was sent, written anew, and what was answered.
pub(super) async fn one(visit: Visit) -> Result<Response, ApiError> {
    let missing = || {
        let message = "there is no delivery with this id; GET /v1/webhooks/deliveries lists them";
        ApiError::new(Code::NotFound, message)
    };
    let id = DeliveryId::parse(visit.param("id")).ok_or_else(missing)?;
    let found = visit.api.store.delivery(visit.caller.org.id, id).await;
    let found = found.map_err(ApiError::store)?;
    let own = |one: &Delivery| one.job.live() == visit.caller.is_live();
    let delivery = found.filter(own).ok_or_else(missing)?;
    let shown = serde_json::to_value(Shown::new(&delivery.row)).map_err(json::unwritable)?;
    let mut shown = match shown {
        serde_json::Value::Object(shown) => shown,
        _ => serde_json::Map::new(),
    };
    shown.insert("request".into(), request(&visit, &delivery));
    let response = json!({"status": delivery.row.status, "body": delivery.response});
    shown.insert("response".into(), response);
    json::success(StatusCode::OK, &shown)
}

/// The request as it is written today: an endpoint may have moved, a text may be kept no more.
fn request(visit: &Visit, delivery: &Delivery) -> serde_json::Value {
    let job = &delivery.job;
    let endpoint = job.target.and_then(|id| {
        let endpoints = visit.api.store.endpoints();
        endpoints.get(id).cloned()
    });
    let url = match (&endpoint, &job.about) {
        (Some(endpoint), _) => Some(endpoint.url.clone()),
        (None, About::Message { message, .. }) if job.target.is_none() => {
            message.webhook_url.clone()
        }
        (None, About::Message { .. } | About::Notice(_)) => None,
    };
    let format = endpoint.map_or(Format::Mojawave, |endpoint| endpoint.format);
    let body = webhooks::written(job, format);
    json!({
        "url": url,
        "headers": {
            "content-type": "application/json",
            "webhook-id": job.event.to_string(),
            "webhook-timestamp": delivery.row.at.0.div_euclid(1000).to_string(),
        },
        "body": String::from_utf8_lossy(&body),
    })
}

#[derive(Deserialize)]
struct Asked {
    since: Option<String>,
    until: Option<String>,
    status: Option<String>,
    cursor: Option<String>,
}

/// `POST /v1/webhooks/endpoints/{id}/replay`: what happened in a span is told again.
pub(super) async fn replay_span(visit: Visit) -> Result<Response, ApiError> {
    let endpoint = find(&visit)?;
    if !endpoint.is_enabled() {
        let message = "the endpoint is disabled; enable it first (PATCH status enabled)";
        return Err(ApiError::new(Code::Unprocessable, message));
    }
    let asked: Asked = query(&visit, &["since", "until", "status", "cursor"])?;
    let now = time::now();
    let since = instant("since", asked.since.as_deref())?
        .ok_or_else(|| wrong("since", "since is missing; say from when on (RFC 3339)"))?;
    let until = instant("until", asked.until.as_deref())?.unwrap_or(now);
    if until <= since {
        return Err(wrong("until", "until must be later than since"));
    }
    let failed_only = match asked.status.as_deref() {
        None | Some("all") => false,
        Some("failed") => true,
        Some(_) => return Err(wrong("status", "status must be all or failed")),
    };
    let after = match asked.cursor.as_deref() {
        None => None,
        Some(cursor) => Some(EventId::parse(cursor).ok_or_else(not_a_cursor)?),
    };
    let replay = Replay::Span {
        endpoint: endpoint.id,
        since,
        until,
        failed_only,
        after,
    };
    let done = replayed(&visit, replay, now).await?;
    let data = json!({
        "replayed": done.events,
        "has_more": done.next.is_some(),
        "next_cursor": done.next.map(|event| event.to_string()),
    });
    json::success(StatusCode::ACCEPTED, &data)
}

/// `POST /v1/webhooks/events/{id}/replay`.
pub(super) async fn replay_event(visit: Visit) -> Result<Response, ApiError> {
    let missing = || {
        let message = "there is no event with this id of which a delivery was tried, or what it is \
                       about is deleted within a day";
        ApiError::new(Code::NotFound, message)
    };
    let id = EventId::parse(visit.param("id")).ok_or_else(missing)?;
    let done = replayed(&visit, Replay::Event(id), time::now()).await?;
    if done.events == 0 {
        return Err(missing());
    }
    json::success(StatusCode::ACCEPTED, &json!({"replayed": done.events}))
}

async fn replayed(visit: &Visit, replay: Replay, now: Timestamp) -> Result<Replayed, ApiError> {
    let caller = &visit.caller;
    let whose = (caller.org.id, caller.is_live());
    let replaying = visit.api.store.replay_events(whose, replay, now, None);
    let look = "see GET /v1/webhooks/deliveries";
    visit.changing(look, replaying).await
}

fn not_a_cursor() -> ApiError {
    wrong(
        "cursor",
        "cursor must be the next_cursor of the page before",
    )
}

fn instant(name: &str, text: Option<&str>) -> Result<Option<Timestamp>, ApiError> {
    let Some(text) = text else {
        return Ok(None);
    };
    let detail = format!("{name} must be RFC 3339 with an offset, as 2026-04-05T12:00:00Z");
    let at = time::parse(text).ok_or_else(|| wrong(name, detail))?;
    Ok(Some(at))
}

/// The query, of whose parameters each is known and given once.
fn query<T: for<'de> Deserialize<'de>>(visit: &Visit, known: &[&str]) -> Result<T, ApiError> {
    query::Query::read(visit, known)?;
    let query = Query::<T>::try_from_uri(&visit.head.uri);
    query.map(|Query(query)| query).map_err(|_| {
        let message = "the query cannot be read: give its values percent-encoded";
        ApiError::new(Code::InvalidRequest, message)
    })
}

fn wrong(name: &str, detail: impl Into<std::borrow::Cow<'static, str>>) -> ApiError {
    ApiError::of_field(Code::InvalidRequest, Problem::field(name, detail))
}
