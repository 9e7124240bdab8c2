//! Lives here: what every command of `ctl` has in common: the token, who asks, bodies and queries
//! read strictly, reasons, the store's patience, the line of the audit.
//! Never here: what single commands do.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Query, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use subtle::ConstantTimeEq;
use tokio::time::timeout;
use uuid::Uuid;

use super::Admin;
use super::error::{Refused, json};
use crate::domain::account::Organisation;
use crate::domain::class::Class;
use crate::domain::ids::{CarrierIndex, OrgId};
use crate::domain::time::Timestamp;
use crate::store::{AuditEntry, StoreError};

/// How long the store may take to look something up.
const PATIENCE: Duration = Duration::from_secs(10);
/// And to change something: more than it gives a single commit, after which it knows more than that
/// the time was up; less than `ctl` waits.
const TO_CHANGE: Duration = Duration::from_secs(12);
/// Where `ctl` tells the login name of whoever typed the command.
const OPERATOR: &str = "x-mnara-operator";
const OPERATOR_MAX: usize = 64;
/// What nobody types, and PostgreSQL cannot keep; how JSON spells it, and what is said of it.
const NUL_ESCAPED: &[u8] = b"\\u0000";
const NUL: &str = "the request has a NUL character; leave it out";
/// Characters of a reason.
const REASON: std::ops::RangeInclusive<usize> = 3..=200;

/// A body as it came.
pub(super) type Body = Result<Bytes, BytesRejection>;
/// A query as it came.
pub(super) type Asked<T> = Result<Query<T>, QueryRejection>;

/// Who asks: let in by the token, named by himself.
pub(super) struct Operator(Box<str>);

/// Whose something is wanted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Whose {
    /// Name or id.
    pub(super) org: String,
}

/// A change of what the path names.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    pub(super) reason: String,
    #[serde(default)]
    pub(super) dry_run: bool,
}

/// What a change has come to, as every command that changes something answers.
#[derive(Serialize)]
pub(super) struct Done {
    /// Nothing was changed.
    pub(super) dry_run: bool,
    /// A sentence.
    pub(super) outcome: String,
    /// The command that takes it back; `None` = nothing can.
    pub(super) undo: Option<String>,
}

impl Operator {
    /// Compares the token without telling by its time how much was right. An empty token admits
    /// nobody.
    pub(super) fn admit(admin: &Admin, headers: &HeaderMap) -> Result<Self, Refused> {
        let token = admin.token.expose_secret().as_bytes();
        let given = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let given = given.and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        let right = given.is_some_and(|given| bool::from(given.as_bytes().ct_eq(token)));
        if !right || token.is_empty() {
            return Err(Refused::token());
        }
        // `to_str` lets printable ASCII through only.
        let name = headers.get(OPERATOR).and_then(|name| name.to_str().ok());
        let name: String = name
            .unwrap_or_default()
            .trim()
            .chars()
            .take(OPERATOR_MAX)
            .collect();
        Ok(Self(if name.is_empty() {
            "admin token".into()
        } else {
            format!("{name} (admin token)").into()
        }))
    }

    /// As the audit names him.
    pub(super) fn name(&self) -> &str {
        &self.0
    }

    /// A line of the audit, dated now.
    pub(super) fn entry(
        &self,
        action: &str,
        subject: &str,
        detail: &Value,
        outcome: &str,
    ) -> AuditEntry {
        AuditEntry {
            at: now(),
            actor: self.0.clone(),
            action: action.into(),
            subject: subject.into(),
            detail: detail.to_string().into(),
            outcome: outcome.into(),
        }
    }

    /// Tells the log what has become of a command, and gives it back.
    pub(super) fn told<T>(
        &self,
        (action, subject): (&str, &str),
        done: Result<T, Refused>,
    ) -> Result<T, Refused> {
        let actor = &*self.0;
        match &done {
            Ok(_) => tracing::info!(actor, action, subject, "an operator's command"),
            Err(refused) => {
                let why = refused.code();
                tracing::info!(actor, action, subject, why, "an operator's command failed");
            }
        }
        done
    }
}

impl Done {
    /// Something has been changed.
    pub(super) fn new(outcome: impl Into<String>, undo: Option<String>) -> Self {
        Self {
            dry_run: false,
            outcome: outcome.into(),
            undo,
        }
    }

    /// Nothing has been changed; this would be.
    pub(super) fn would(outcome: impl std::fmt::Display) -> Self {
        Self {
            dry_run: true,
            outcome: format!("dry run: {outcome}"),
            undo: None,
        }
    }

    /// As an answer.
    pub(super) fn answer(&self) -> Response {
        json(StatusCode::OK, self)
    }
}

/// A word for a POSIX shell, whatever stands in it.
pub(super) fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Reads a body; unknown fields are refused by `T`.
pub(super) fn read<T: for<'de> Deserialize<'de>>(body: Body) -> Result<T, Refused> {
    let body = body.map_err(|rejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            Refused::too_large()
        } else {
            Refused::invalid("the body broke off; send it again")
        }
    })?;
    if has_nul(&body) {
        return Err(Refused::invalid(NUL));
    }
    serde_json::from_slice(&body)
        .map_err(|error| Refused::invalid(format!("the body cannot be read: {error}")))
}

/// Whether a string of this JSON has one: an escaped backslash before `u0000` is none.
fn has_nul(json: &[u8]) -> bool {
    let parts = json.windows(NUL_ESCAPED.len()).enumerate();
    let mut found = parts.filter(|(_, part)| *part == NUL_ESCAPED);
    found.any(|(at, _)| {
        let before = json[..at].iter().rev();
        before.take_while(|octet| **octet == b'\\').count() % 2 == 0
    })
}

/// No path or query has one: nothing has such a name.
pub(super) async fn without_nul(request: Request, next: Next) -> Response {
    if request
        .uri()
        .path_and_query()
        .is_some_and(|all| all.as_str().contains("%00"))
    {
        return Refused::invalid(NUL).into_response();
    }
    next.run(request).await
}

/// Reads a query; unknown fields are refused by `T`.
pub(super) fn asked<T>(query: Asked<T>) -> Result<T, Refused> {
    query
        .map(|Query(asked)| asked)
        .map_err(|rejection| Refused::invalid(rejection.body_text()))
}

/// A reason that says something, in one line.
pub(super) fn reason(typed: &str) -> Result<&str, Refused> {
    let reason = typed.trim();
    if REASON.contains(&reason.chars().count()) && !reason.chars().any(char::is_control) {
        Ok(reason)
    } else {
        Err(Refused::invalid(
            "reason must have 3 to 200 printable characters: the audit keeps it",
        ))
    }
}

/// A class by its name.
pub(super) fn class(typed: &str) -> Result<Class, Refused> {
    Class::parse(typed)
        .ok_or_else(|| Refused::invalid("class must be otp, transactional or promotional"))
}

/// A configured account by its id.
pub(super) fn account(admin: &Admin, typed: &str) -> Result<CarrierIndex, Refused> {
    let lanes = &admin.parts.lanes;
    let found = lanes.iter().position(|(id, _)| *id.0 == *typed.trim());
    found
        .and_then(|index| u16::try_from(index).ok())
        .map(CarrierIndex)
        .ok_or_else(|| {
            Refused::missing(format!(
                "there is no account {typed}; `mnara ctl carriers` lists them"
            ))
        })
}

/// An organisation by its name or id.
pub(super) async fn organisation(admin: &Admin, typed: &str) -> Result<Arc<Organisation>, Refused> {
    let (store, wanted) = (&admin.parts.store, typed.trim());
    let by_id = match Uuid::try_parse(wanted) {
        Ok(id) => in_time(store.organisation(OrgId(id))).await?,
        Err(_) => None,
    };
    let org = match by_id {
        Some(org) => Some(org),
        None => in_time(store.organisation_named(wanted))
            .await?
            .map(Arc::new),
    };
    org.ok_or_else(|| {
        Refused::missing(
            "there is no organisation of this name or id; create it with `ctl orgs create`",
        )
    })
}

/// Waits for the store to look something up, within its patience.
pub(super) async fn in_time<T>(
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, Refused> {
    match timeout(PATIENCE, work).await {
        Ok(done) => done.map_err(|error| Refused::store(&error)),
        Err(_) => Err(Refused::unavailable()),
    }
}

/// Waits for the store to change something, within its patience.
pub(super) async fn changed<T>(
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, Refused> {
    match timeout(TO_CHANGE, work).await {
        Ok(done) => done.map_err(|error| Refused::store(&error)),
        Err(_) => Err(Refused::in_doubt()),
    }
}

/// RFC 3339 in UTC, to the second. Times outside the calendar become its start.
pub(super) fn told(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_millisecond(at.0).unwrap_or_default();
    format!("{at:.0}")
}

/// The wall clock.
pub(super) fn now() -> Timestamp {
    SystemTime::now().into()
}
