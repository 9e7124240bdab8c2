//! Lives here: one message read back, what happened to it, and what its owner may still change:
//! taken back, or put off.
//! Never here: sending (`send`), lists (`list`), the fields of the answers (`render`).

mod describe;

use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use crate::api::call::Visit;
use crate::api::code::Code;
use crate::api::doors::Doors;
use crate::api::error::{ApiError, Problem};
use crate::api::events::{self, Way};
use crate::api::fields::NO_TIME;
use crate::api::{json, render, time};
use crate::domain::ids::MessageId;
use crate::domain::message::State;
use crate::domain::scope::Scope;
use crate::domain::time::Timestamp;
use crate::store::{MessageView, Obstacle};

pub(in crate::api) use self::describe::{Timeline, describe};

/// Where messages are; a message's own path is this and its id.
pub(super) const MESSAGES: &str = "/v1/messages/";

/// How a caller sees what was made of a change.
const LOOK: &str = "read the message again";

pub(in crate::api) fn doors(doors: Doors) -> Doors {
    let (read, send) = (Scope::MessagesRead, Scope::SmsSend);
    doors
        .get("/v1/messages/{id}", read, message)
        .patch("/v1/messages/{id}", send, reschedule)
        .post("/v1/messages/{id}/cancel", 200, send, cancel)
        .get("/v1/messages/{id}/events", read, events)
}

async fn message(visit: Visit) -> Result<Response, ApiError> {
    told(&find(&visit).await?)
}

async fn events(visit: Visit) -> Result<Response, ApiError> {
    let view = find(&visit).await?;
    let entries = visit.api.store.timeline(view.message.seq).await;
    let entries = entries.map_err(ApiError::store)?;
    let (ingest, message, now) = (&visit.api.ingest, &view.message, time::now());
    let way = Way {
        decision: ingest.explain(message, now),
        asked_at: now,
        account: ingest.account(message.carrier).map(|id| (*id.0).into()),
        network: ingest.network(message.to).map(|id| (*id.0).into()),
    };
    let json = events::events(&view, &way, &entries).map_err(json::unwritable)?;
    Ok(json::answer(StatusCode::OK, json))
}

async fn cancel(visit: Visit) -> Result<Response, ApiError> {
    let id = visit.within(find(&visit)).await?.message.id;
    let (store, org) = (&visit.api.store, visit.caller.org.id);
    let taking = store.take_back(org, id, time::now());
    match visit.changing(LOOK, taking).await? {
        // Whoever asks twice is told the same.
        Ok(()) | Err(Obstacle::Standing(State::Cancelled)) => {}
        Err(why) => return Err(left(why, "canceled")),
    }
    changed(&visit).await
}

/// The body of a change. What is not known is refused: who names it believes that it is changed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    #[serde(alias = "scheduleAt", alias = "scheduledAt", alias = "scheduled_at")]
    schedule_at: String,
}

async fn reschedule(mut visit: Visit) -> Result<Response, ApiError> {
    let id = visit.within(find(&visit)).await?.message.id;
    let due_at = read_time(&visit.body(visit.api.body_max).await?)?;
    let param = "schedule_at";
    let due_at = visit.api.ingest.due(Some(due_at), time::now());
    let due_at = due_at.map_err(|refusal| ApiError::refused(refusal, Some(param)))?;
    let (store, org) = (&visit.api.store, visit.caller.org.id);
    let done = visit.changing(LOOK, store.reschedule(org, id, due_at));
    done.await?.map_err(|why| left(why, "given another time"))?;
    changed(&visit).await
}

/// Reads the body of a change.
///
/// # Errors
/// `invalid_request`, `schedule_invalid`.
pub(in crate::api) fn read_time(body: &[u8]) -> Result<Timestamp, ApiError> {
    let change: Change = json::object(body)?;
    time::parse(&change.schedule_at).ok_or_else(|| {
        let detail = format!("schedule_at {NO_TIME}");
        ApiError::of_field(Code::ScheduleInvalid, Problem::field("schedule_at", detail))
    })
}

/// A message that was changed. It is written: that it cannot be read now is no reason to do it again.
async fn changed(visit: &Visit) -> Result<Response, ApiError> {
    told(&visit.within(find(visit)).await?)
}

fn told(view: &MessageView) -> Result<Response, ApiError> {
    json::success(StatusCode::OK, &render::details(view))
}

/// Why a message was left as it is.
fn left(why: Obstacle, what: &str) -> ApiError {
    let message = match why {
        Obstacle::Missing => return missing(),
        Obstacle::Standing(State::Queued) => {
            format!("the message is queued already: only a scheduled one can be {what}")
        }
        Obstacle::Standing(state) => format!(
            "the message is {}: it cannot be {what} any more",
            state.public()
        ),
        Obstacle::Otp => {
            "a one-time password that is queued may be under way to a carrier; only a \
                          scheduled one can be canceled"
                .into()
        }
        Obstacle::UnderWay | Obstacle::Attempted | Obstacle::ResentByItself | Obstacle::Overdue => {
            "the message is under way to a carrier and may have been taken; read it again for \
             what became of it"
                .into()
        }
    };
    ApiError::new(Code::Conflict, message)
}

fn missing() -> ApiError {
    let message = "there is no message with this id; check it, it is in the answer to the send";
    ApiError::new(Code::NotFound, message)
}

/// The id that the path names.
fn id(visit: &Visit) -> Result<MessageId, ApiError> {
    visit.id("id").map(MessageId).ok_or_else(missing)
}

/// The caller's message that the path names. A key sees the messages of its own environment.
async fn find(visit: &Visit) -> Result<MessageView, ApiError> {
    let found = visit.api.store.message(visit.caller.org.id, id(visit)?);
    let found = found.await.map_err(ApiError::store)?;
    let own = |view: &MessageView| view.message.live == visit.caller.is_live();
    found.filter(own).ok_or_else(missing)
}
