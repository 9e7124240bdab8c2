//! Lives here: webhook endpoints as operators see them: listed, enabled, disabled, tried; their
//! deliveries, and events sent anew.
//! Never here: what an endpoint is (`domain::endpoint`), HTTP to receivers (`webhooks`).

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Admin;
use super::error::{self, Refused};
use super::request::{Asked, Body, Done, Operator, asked, changed, in_time, now};
use super::request::{organisation, read, told};
use crate::domain::endpoint::{Change, Endpoint};
use crate::domain::event::EventKind;
use crate::domain::ids::{EndpointId, EventId};
use crate::store::hooks::{DeliveryPage, DeliveryRow, Replay};

/// Deliveries that are shown, unless it says, and at most.
const LIMIT: u32 = 20;
const LIMIT_MAX: u32 = 1000;
/// Attempts that are looked at, whether they fit or not.
const LOOK: u32 = 200_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Whose {
    /// Name or id; none: everybody's.
    org: Option<String>,
}

#[derive(Serialize)]
struct ShownEndpoint {
    id: String,
    org: String,
    environment: &'static str,
    /// Without what stands behind the host: paths and queries of webhooks often hold tokens.
    url: String,
    events: Vec<&'static str>,
    format: &'static str,
    status: &'static str,
    reason: Option<&'static str>,
    failing_since: Option<String>,
}

/// `GET /admin/v1/webhooks/endpoints`.
pub(super) async fn endpoints(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    whose: Asked<Whose>,
) -> Result<Response, Refused> {
    Operator::admit(&admin, &headers)?;
    let org = match asked(whose)?.org {
        Some(org) => Some(organisation(&admin, &org).await?.id),
        None => None,
    };
    let store = &admin.parts.store;
    let all = Arc::clone(&store.endpoints());
    let mut wanted: Vec<&Arc<Endpoint>> = match org {
        Some(org) => all.of(org).iter().collect(),
        None => all.all().collect(),
    };
    wanted.sort_by_key(|one| (one.org, one.created_at, one.id));
    let mut shown = Vec::with_capacity(wanted.len());
    for one in wanted {
        let org = in_time(store.organisation(one.org)).await?;
        let name = org.map_or_else(|| one.org.to_string(), |org| org.name.to_string());
        shown.push(shown_endpoint(one, name));
    }
    Ok(error::json(StatusCode::OK, &json!({"endpoints": shown})))
}

fn shown_endpoint(one: &Endpoint, org: String) -> ShownEndpoint {
    ShownEndpoint {
        id: one.id.to_string(),
        org,
        environment: if one.live { "live" } else { "test" },
        url: origin(&one.url).to_owned(),
        events: one.events.names(),
        format: one.format.name(),
        status: if one.is_enabled() {
            "enabled"
        } else {
            "disabled"
        },
        reason: one.disabled.map(|(_, reason)| reason.name()),
        failing_since: one.failing_since.map(told),
    }
}

/// A URL up to its path.
fn origin(url: &str) -> &str {
    let begin = url.find("://").map_or(0, |place| place + 3);
    let end = url[begin..].find(['/', '?']);
    end.map_or(url, |end| &url[..begin + end])
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Name or id.
    org: String,
    status: Option<String>,
    event: Option<String>,
    endpoint: Option<String>,
    limit: Option<u32>,
    #[serde(default)]
    test: bool,
}

#[derive(Serialize)]
struct ShownDelivery {
    at: String,
    id: String,
    event: &'static str,
    target: String,
    message: Option<String>,
    attempt: u16,
    http_status: Option<u16>,
    latency_ms: u32,
    error: Option<Box<str>>,
}

/// `GET /admin/v1/webhooks/deliveries`.
pub(super) async fn deliveries(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    wanted: Asked<Wanted>,
) -> Result<Response, Refused> {
    Operator::admit(&admin, &headers)?;
    let wanted = asked(wanted)?;
    let org = organisation(&admin, &wanted.org).await?;
    let delivered = match wanted.status.as_deref() {
        None => None,
        Some("delivered") => Some(true),
        Some("failed") => Some(false),
        Some(_) => return Err(Refused::invalid("status must be delivered or failed")),
    };
    let kind = wanted.event.as_deref().map(|name| {
        EventKind::named(name)
            .ok_or_else(|| Refused::invalid("event must be a type, as message.sent"))
    });
    let target = wanted.endpoint.as_deref().map(endpoint_id);
    let page = DeliveryPage {
        org: org.id,
        live: !wanted.test,
        after: None,
        delivered,
        kind: kind.transpose()?,
        target: target.transpose()?,
        limit: wanted.limit.unwrap_or(LIMIT).clamp(1, LIMIT_MAX),
        look: LOOK,
    };
    let found = in_time(admin.parts.store.delivery_page(&page)).await?;
    let more = found.next.is_some();
    let shown: Vec<ShownDelivery> = found.rows.into_iter().map(shown_delivery).collect();
    Ok(error::json(
        StatusCode::OK,
        &json!({"deliveries": shown, "more": more}),
    ))
}

fn shown_delivery(row: DeliveryRow) -> ShownDelivery {
    let target = row.target.map(|id| id.to_string());
    ShownDelivery {
        at: told(row.at),
        id: row.id.to_string(),
        event: row.kind.name(),
        target: target.unwrap_or_else(|| "the message's own".to_owned()),
        message: row.message.map(|id| id.to_string()),
        attempt: row.id.attempt,
        http_status: row.status,
        latency_ms: row.latency_ms,
        error: row.error,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Switch {
    enabled: bool,
}

/// `POST /admin/v1/webhooks/endpoints/{id}`.
pub(super) async fn switch(
    State(admin): State<Arc<Admin>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let operator = Operator::admit(&admin, &headers)?;
    let Switch { enabled } = read(body)?;
    let endpoint = find(&admin, &id)?;
    let (action, undo) = if enabled {
        ("webhooks.enable", "disable")
    } else {
        ("webhooks.disable", "enable")
    };
    let change = Change {
        enabled: Some(enabled),
        ..Change::default()
    };
    let whose = (endpoint.org, endpoint.id);
    let audit = operator.entry(action, &id, &json!({}), "done");
    let store = &admin.parts.store;
    let done = changed(store.change_endpoint(whose, change, now(), Some(audit))).await;
    let done = done.and_then(|endpoint| endpoint.ok_or_else(missing));
    operator.told((action, &id), done)?;
    let outcome = if enabled {
        format!("{id} is told of what happens from now on")
    } else {
        format!("{id} is told of nothing any more")
    };
    let undo = format!("mnara ctl webhooks {undo} {id}");
    Ok(Done::new(outcome, Some(undo)).answer())
}

/// `POST /admin/v1/webhooks/endpoints/{id}/test`.
pub(super) async fn try_out(
    State(admin): State<Arc<Admin>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    Operator::admit(&admin, &headers)?;
    let endpoint = find(&admin, &id)?;
    let tried = admin.parts.trials.try_out(&endpoint).await;
    let Ok(tried) = tried else {
        return Err(Refused::unavailable());
    };
    let outcome = match (tried.status, &tried.error) {
        (Some(status @ 200..=299), _) => {
            format!("{id} took it: HTTP {status} in {} ms", tried.latency_ms)
        }
        (_, error) => format!(
            "{id} did not take it: {} after {} ms",
            error.as_deref().unwrap_or("no answer"),
            tried.latency_ms
        ),
    };
    Ok(Done::new(outcome, None).answer())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Again {
    /// Name or id: whose event.
    org: Option<String>,
    event: Option<String>,
    endpoint: Option<String>,
    /// Seconds ago.
    since_s: Option<u64>,
    until_s: Option<u64>,
    /// The event at which the command before has ended.
    after: Option<String>,
    #[serde(default)]
    failed_only: bool,
    #[serde(default)]
    test: bool,
}

/// `POST /admin/v1/webhooks/replay`: one event, or what an endpoint was told of in a span.
pub(super) async fn replay(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let operator = Operator::admit(&admin, &headers)?;
    let again: Again = read(body)?;
    let now = now();
    let ago = |seconds: u64| now - Duration::from_secs(seconds);
    let (whose, replay, subject) = match (&again.event, &again.endpoint, &again.org) {
        (Some(event), None, Some(org)) => {
            let org = organisation(&admin, org).await?;
            let id = event_id(event)?;
            ((org.id, !again.test), Replay::Event(id), event)
        }
        (None, Some(id), None) => {
            let endpoint = find(&admin, id)?;
            let since_s = again
                .since_s
                .ok_or_else(|| Refused::invalid("since is missing: say from when on"))?;
            let span = Replay::Span {
                endpoint: endpoint.id,
                since: ago(since_s),
                until: ago(again.until_s.unwrap_or(0)),
                failed_only: again.failed_only,
                after: again.after.as_deref().map(event_id).transpose()?,
            };
            ((endpoint.org, endpoint.live), span, id)
        }
        _ => {
            return Err(Refused::invalid(
                "say either an event and its org, or an endpoint and since when",
            ));
        }
    };
    let action = "webhooks.replay";
    let detail = json!({"since_s": again.since_s, "until_s": again.until_s,
        "failed_only": again.failed_only});
    let audit = operator.entry(action, subject, &detail, "done");
    let store = &admin.parts.store;
    let done = changed(store.replay_events(whose, replay, now, Some(audit))).await;
    let done = operator.told((action, subject), done)?;
    let mut outcome = format!("{} events are sent again", done.events);
    if let Some(next) = done.next {
        outcome.push_str(&format!("; there may be more: go on with --after {next}"));
    }
    Ok(Done::new(outcome, None).answer())
}

fn event_id(typed: &str) -> Result<EventId, Refused> {
    let id = EventId::parse(typed.trim());
    id.ok_or_else(|| Refused::invalid("event must be the id of one, as evt_…"))
}

fn endpoint_id(typed: &str) -> Result<EndpointId, Refused> {
    EndpointId::parse(typed.trim()).ok_or_else(missing)
}

fn find(admin: &Admin, typed: &str) -> Result<Arc<Endpoint>, Refused> {
    let id = endpoint_id(typed)?;
    let endpoints = admin.parts.store.endpoints();
    endpoints.get(id).cloned().ok_or_else(missing)
}

fn missing() -> Refused {
    Refused::missing("there is no endpoint of this id; look with `ctl webhooks endpoints`")
}

#[cfg(test)]
mod tests {
    use super::origin;

    #[test]
    fn what_stands_behind_a_host_is_not_shown() {
        assert_eq!(
            origin("https://example.com:8443/a?token=b"),
            "https://example.com:8443"
        );
        assert_eq!(origin("https://example.com?token=b"), "https://example.com");
        assert_eq!(origin("https://example.com"), "https://example.com");
    }
}
