//! Lives here: receipts that have found no attempt: looked at, tried again by the account's present
//! rule for ids, dropped.
//! Never here: how receipts are matched (`store`).

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Admin;
use super::error::{self, Refused};
use super::request::{
    Asked, Body, Done, Operator, account, asked, changed, in_time, now, read, reason, told,
};
use crate::store::inbox::{Inbox, InboxPage, InboxRow, Replay};

const LIMIT: u32 = 50;
const LIMIT_MAX: u32 = 1000;
const REPLAY: u32 = 10_000;
const REPLAY_MAX: u32 = 100_000;
/// Receipts are kept for a week.
const SINCE_S: u64 = 7 * 86_400;

/// Which receipts are wanted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    carrier: Option<String>,
    /// Those that are still tried with each outcome, instead of those in quarantine.
    parked: Option<bool>,
    since_s: Option<u64>,
    offset: Option<u32>,
    limit: Option<u32>,
}

#[derive(Serialize)]
struct Receipts {
    receipts: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    carrier: String,
    raw_id: Box<str>,
    normalised: Box<str>,
    state: Option<&'static str>,
    stat: Box<str>,
    err: Box<str>,
    done_date: Box<str>,
    /// Masked.
    recipient: Option<Box<str>>,
    received_at: String,
    quarantined_at: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Again {
    carrier: String,
    since_s: Option<u64>,
    limit: Option<u32>,
    reason: Option<String>,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Replayed {
    #[serde(flatten)]
    done: Done,
    matched: u64,
    unmatched: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Away {
    carrier: String,
    /// Those that came longer ago.
    older_than_s: u64,
    reason: String,
    #[serde(default)]
    dry_run: bool,
}

/// `GET /admin/v1/receipts`: newest first.
pub(super) async fn list(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    query: Asked<Wanted>,
) -> Result<Response, Refused> {
    Operator::admit(&admin, &headers)?;
    let wanted = asked(query)?;
    let limit = limited(wanted.limit, LIMIT, LIMIT_MAX)?;
    let carrier = match &wanted.carrier {
        Some(typed) => {
            let index = account(&admin, typed)?;
            Some(admin.parts.lanes[index.index()].0.clone())
        }
        None => None,
    };
    let page = InboxPage {
        inbox: if wanted.parked == Some(true) {
            Inbox::Parked
        } else {
            Inbox::Quarantine
        },
        carrier,
        since: now() - Duration::from_secs(wanted.since_s.unwrap_or(SINCE_S)),
        offset: wanted.offset.unwrap_or(0),
        limit,
    };
    let rows = in_time(admin.parts.store.inbox(&page)).await?;
    let receipts = rows.into_iter().map(Row::from).collect();
    Ok(error::json(StatusCode::OK, &Receipts { receipts }))
}

/// `POST /admin/v1/receipts/replay`.
pub(super) async fn replay(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let operator = Operator::admit(&admin, &headers)?;
    let asked: Again = read(body)?;
    let index = account(&admin, &asked.carrier)?;
    let why = asked.reason.as_deref().map(reason).transpose()?;
    let id = &admin.parts.lanes[index.index()].0;
    let since_s = asked.since_s.unwrap_or(SINCE_S);
    let replay = Replay {
        carrier: id.clone(),
        ids: admin.parts.dialects[index.index()],
        since: now() - Duration::from_secs(since_s),
        limit: limited(asked.limit, REPLAY, REPLAY_MAX)?,
        dry_run: asked.dry_run,
    };
    let detail = json!({"reason": why, "since_s": since_s, "limit": replay.limit});
    let action = "receipts.replay";
    let audit = (!asked.dry_run)
        .then(|| operator.entry(action, &id.0, &detail, "begun: what fits is matched"));
    let done = changed(admin.parts.store.replay_receipts(&replay, audit)).await;
    let done = if asked.dry_run {
        done?
    } else {
        operator.told((action, &id.0), done)?
    };
    let outcome = format!(
        "{} receipts of {id} found their attempts, {} did not",
        done.matched, done.unmatched
    );
    let replayed = Replayed {
        done: if asked.dry_run {
            Done::would(outcome)
        } else {
            Done::new(outcome, None)
        },
        matched: done.matched,
        unmatched: done.unmatched,
    };
    Ok(error::json(StatusCode::OK, &replayed))
}

/// `POST /admin/v1/receipts/drop`.
pub(super) async fn discard(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let operator = Operator::admit(&admin, &headers)?;
    let asked: Away = read(body)?;
    let index = account(&admin, &asked.carrier)?;
    let why = reason(&asked.reason)?;
    let id = &admin.parts.lanes[index.index()].0;
    let age = asked.older_than_s;
    if asked.dry_run {
        let outcome = format!("receipts of {id} in quarantine for more than {age} s are dropped");
        return Ok(Done::would(outcome).answer());
    }
    let detail = json!({"reason": why, "older_than_s": age});
    let action = "receipts.drop";
    let audit = operator.entry(action, &id.0, &detail, "dropped");
    let before = now() - Duration::from_secs(age);
    let dropping = admin
        .parts
        .store
        .drop_receipts(id.clone(), before, Some(audit));
    let dropped = operator.told((action, &id.0), changed(dropping).await)?;
    Ok(Done::new(format!("{dropped} receipts of {id} dropped"), None).answer())
}

fn limited(asked: Option<u32>, usual: u32, most: u32) -> Result<u32, Refused> {
    let limit = asked.unwrap_or(usual);
    if (1..=most).contains(&limit) {
        Ok(limit)
    } else {
        Err(Refused::invalid(format!("limit must be 1 to {most}")))
    }
}

impl From<InboxRow> for Row {
    fn from(row: InboxRow) -> Self {
        Self {
            carrier: row.carrier.to_string(),
            raw_id: row.raw_id,
            normalised: row.normalised,
            state: row.state.map(|state| state.name()),
            stat: row.stat,
            err: row.err,
            done_date: row.done_date,
            recipient: row.recipient,
            received_at: told(row.received_at),
            quarantined_at: row.quarantined_at.map(told),
        }
    }
}
