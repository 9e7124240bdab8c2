//! Lives here: single messages: everything that is known of one but its text, and taking it back
//! or sending it again.
//! Never here: whether that is safe (`sweep`, `store`).

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use super::Admin;
use super::error::{self, Refused};
use super::request::{Body, Change, Done, Operator, in_time, now, read, reason, told};
use super::sweep::{Refusal, Single};
use crate::domain::ids::MessageId;
use crate::domain::message::State as MessageState;
use crate::domain::proof::ToldBy;
use crate::store::{MessageView, Obstacle, TimelineEntry};

#[derive(Serialize)]
struct Trace {
    id: Uuid,
    org: Uuid,
    org_name: Option<Box<str>>,
    class: &'static str,
    /// Masked.
    to: String,
    from: String,
    segments: u8,
    /// The account in whose lane it stands, or which took it.
    carrier: Box<str>,
    state: &'static str,
    accepted_at: String,
    due_at: Option<String>,
    valid_until: String,
    sent_at: Option<String>,
    final_at: Option<String>,
    failure: Option<&'static str>,
    detail: Option<Box<str>>,
    possible_duplicate: bool,
    /// Why it waits now, if it does.
    why: Option<String>,
    /// Messages of its lane that stand before it, if it waits in one.
    ahead: Option<u64>,
    timeline: Vec<Event>,
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Event {
    Attempt {
        at: String,
        answered_at: String,
        part: u8,
        attempt: u16,
        carrier: Box<str>,
        bind: Box<str>,
        sequence: u32,
        state: &'static str,
        command_status: Option<String>,
        carrier_message_id: Option<Box<str>>,
        /// What told the outcome of an attempt that was in doubt.
        told_by: Option<&'static str>,
    },
    Receipt {
        at: String,
        part: u8,
        stat: Box<str>,
        err: Box<str>,
        done_date: Box<str>,
        conflict: bool,
    },
    Webhook {
        at: String,
        id: String,
        sequence: u32,
        attempt: u16,
        latency_ms: u32,
        http_status: Option<u16>,
        error: Option<Box<str>>,
    },
}

impl From<TimelineEntry> for Event {
    fn from(entry: TimelineEntry) -> Self {
        match entry {
            TimelineEntry::Attempt {
                at,
                answered_at,
                part,
                attempt,
                carrier,
                bind,
                sequence,
                state,
                status,
                carrier_message_id,
                told_by,
            } => Self::Attempt {
                at: told(at),
                answered_at: told(answered_at),
                part,
                attempt,
                carrier,
                bind,
                sequence,
                state: state.name(),
                command_status: status.map(|status| format!("0x{status:08X}")),
                carrier_message_id,
                told_by: told_by.map(ToldBy::name),
            },
            TimelineEntry::Receipt {
                at,
                part,
                stat,
                err,
                done_date,
                conflict,
            } => Self::Receipt {
                at: told(at),
                part,
                stat,
                err,
                done_date,
                conflict,
            },
            TimelineEntry::Webhook {
                at,
                event,
                sequence,
                attempt,
                latency_ms,
                status,
                error,
            } => Self::Webhook {
                at: told(at),
                id: event.to_string(),
                sequence,
                attempt,
                latency_ms,
                http_status: status,
                error,
            },
        }
    }
}

/// `GET /admin/v1/messages/{id}`: of any organisation, without its text.
pub(super) async fn trace(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    Operator::admit(&admin, &headers)?;
    let store = &admin.parts.store;
    let id = message(&id)?;
    let found = in_time(store.any_message(id)).await?;
    let (view, carrier) = found.ok_or_else(missing)?;
    let MessageView { message, state, .. } = &view;
    let org = in_time(store.organisation(message.org)).await?;
    let timeline = in_time(store.timeline(message.seq)).await?;
    let queued = *state == MessageState::Queued;
    let ahead = if queued {
        Some(in_time(store.ahead_of(id)).await?)
    } else {
        None
    };
    let why = match state {
        MessageState::Queued => Some(admin.why(&carrier, message.class)),
        MessageState::Scheduled => Some(format!("it is for later: {}", told(message.due_at))),
        MessageState::Uncertain => Some(
            "an attempt has had no answer: a late one, a receipt or a resend ends the doubt".into(),
        ),
        MessageState::Submitted => Some("with the carrier: its receipt is awaited".into()),
        MessageState::Delivered
        | MessageState::Undelivered
        | MessageState::Rejected
        | MessageState::Expired
        | MessageState::Unknown
        | MessageState::Cancelled
        | MessageState::Failed => None,
    };
    let trace = Trace {
        id: message.id.0,
        org: message.org.0,
        org_name: org.map(|org| org.name.clone()),
        class: message.class.name(),
        to: message.to.masked(),
        from: message.from.as_str().to_owned(),
        segments: message.segments,
        carrier,
        state: state.name(),
        accepted_at: told(message.accepted_at),
        due_at: (message.due_at > message.accepted_at).then(|| told(message.due_at)),
        valid_until: told(message.valid_until),
        sent_at: view.sent_at.map(told),
        final_at: view.final_at.map(told),
        failure: view.failure.map(|code| code.name()),
        detail: view.detail.clone(),
        possible_duplicate: view.possible_duplicate,
        why,
        ahead,
        timeline: timeline.into_iter().map(Event::from).collect(),
    };
    Ok(error::json(StatusCode::OK, &trace))
}

/// `POST /admin/v1/messages/{id}/cancel`.
pub(super) async fn cancel(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    Path(id): Path<String>,
    body: Body,
) -> Result<Response, Refused> {
    change(&admin, &headers, &id, body, true).await
}

/// `POST /admin/v1/messages/{id}/resend`.
pub(super) async fn resend(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    Path(id): Path<String>,
    body: Body,
) -> Result<Response, Refused> {
    change(&admin, &headers, &id, body, false).await
}

async fn change(
    admin: &Admin,
    headers: &HeaderMap,
    id: &str,
    body: Body,
    cancel: bool,
) -> Result<Response, Refused> {
    let operator = Operator::admit(admin, headers)?;
    let asked: Change = read(body)?;
    let why = reason(&asked.reason)?;
    let message = message(id)?;
    let (action, outcome) = if cancel {
        ("messages.cancel", "cancelled; its owner is told by webhook")
    } else {
        (
            "messages.resend",
            "queued again, marked as a possible duplicate",
        )
    };
    if asked.dry_run {
        let found = in_time(admin.parts.store.any_message(message)).await?;
        let (view, carrier) = found.ok_or_else(missing)?;
        let store = &admin.parts.store;
        let judged = if cancel {
            let quiet = admin.sweeper.is_quiet(&carrier);
            in_time(store.may_cancel(message, quiet)).await?
        } else {
            in_time(store.may_resend(message, now())).await?
        };
        judged.map_err(|obstacle| refused(Refusal::Left(obstacle), cancel))?;
        return Ok(Done::would(format_args!(
            "it is {} with {carrier}; it would be {outcome}, unless it may be with the carrier by \
             then",
            view.state.name()
        ))
        .answer());
    }
    let detail = json!({"reason": why});
    let audit = operator.entry(action, &message.to_string(), &detail, outcome);
    let single = if cancel {
        Single::Cancel {
            detail: "cancelled by the operator".into(),
        }
    } else {
        Single::Resend
    };
    let done = admin.sweeping.single(message, single, audit).await;
    let done = done.map_err(|refusal| refused(refusal, cancel));
    operator.told((action, &message.to_string()), done)?;
    Ok(Done::new(format!("{message} is {outcome}"), None).answer())
}

fn message(typed: &str) -> Result<MessageId, Refused> {
    Uuid::try_parse(typed.trim())
        .map(MessageId)
        .map_err(|_| Refused::invalid("a message's id is a UUID, as the API gave it"))
}

fn missing() -> Refused {
    Refused::missing("there is no message of this id")
}

/// What the operator is told.
pub(super) fn refused(refusal: Refusal, cancel: bool) -> Refused {
    let obstacle = match refusal {
        Refusal::Store(error) => return Refused::store(&error),
        Refusal::Unsteady => return Refused::unavailable(),
        Refusal::Left(obstacle) => obstacle,
    };
    let message = match obstacle {
        Obstacle::Missing => return missing(),
        Obstacle::Standing(state) if cancel => format!(
            "it is {}: only scheduled and queued messages can be cancelled",
            state.name()
        ),
        Obstacle::Standing(state) => format!(
            "it is {}: only uncertain messages can be resent",
            state.name()
        ),
        Obstacle::UnderWay => "a bind has it under way; look at it again in a moment".into(),
        Obstacle::Attempted => {
            "an earlier attempt may have reached a carrier: it can only end by itself".into()
        }
        Obstacle::Otp => {
            "an OTP is perhaps being sent: pause its account, wait five seconds, then \
                          try again (`mnara ctl carriers pause`); one that a crash left behind \
                          cannot be cancelled"
                .into()
        }
        Obstacle::ResentByItself => "it is resent by itself in a moment".into(),
        Obstacle::Overdue => "its validity has ended".into(),
    };
    Refused::conflict(message)
}
