//! Lives here: the audit, told.
//! Never here: writing it: that happens with each change.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Admin;
use super::error::{Refused, json};
use super::request::{Asked, Operator, asked, in_time, told};
use crate::store::AuditEntry;

const LIMIT_MAX: u32 = 1000;
const LIMIT: u32 = 20;

/// What is wanted of the audit.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    limit: Option<u32>,
}

#[derive(Serialize)]
struct Audit {
    audit: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    at: String,
    actor: Box<str>,
    action: Box<str>,
    subject: Box<str>,
    detail: Value,
    outcome: Box<str>,
}

/// `GET /admin/v1/audit`: newest first.
pub(super) async fn list(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    query: Asked<Wanted>,
) -> Result<Response, Refused> {
    Operator::admit(&admin, &headers)?;
    let limit = asked(query)?.limit.unwrap_or(LIMIT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Refused::invalid(format!("limit must be 1 to {LIMIT_MAX}")));
    }
    let lines = in_time(admin.parts.store.audit(limit)).await?;
    let audit = lines.into_iter().map(Line::from).collect();
    Ok(json(StatusCode::OK, &Audit { audit }))
}

impl From<AuditEntry> for Line {
    fn from(entry: AuditEntry) -> Self {
        Self {
            at: told(entry.at),
            actor: entry.actor,
            action: entry.action,
            subject: entry.subject,
            detail: serde_json::from_str(&entry.detail).unwrap_or_default(),
            outcome: entry.outcome,
        }
    }
}
