//! Lives here: messages read back, and what happened to them.
//! Never here: sending them (`send`), the fields of the answers (`render`).

mod describe;

use axum::http::StatusCode;
use axum::response::Response;

use crate::api::call::Visit;
use crate::api::code::Code;
use crate::api::doors::Doors;
use crate::api::error::ApiError;
use crate::api::{json, render};
use crate::domain::ids::MessageId;
use crate::domain::scope::Scope;
use crate::store::MessageView;

pub(in crate::api) use self::describe::{Timeline, describe};

/// Where messages are; a message's own path is this and its id.
pub(super) const MESSAGES: &str = "/v1/messages/";

pub(in crate::api) fn doors(doors: Doors) -> Doors {
    let read = Scope::MessagesRead;
    doors
        .get("/v1/messages/{id}", read, message)
        .get("/v1/messages/{id}/events", read, events)
}

async fn message(visit: Visit) -> Result<Response, ApiError> {
    let json = render::message(&find(&visit).await?).map_err(json::unwritable)?;
    Ok(json::answer(StatusCode::OK, json))
}

async fn events(visit: Visit) -> Result<Response, ApiError> {
    let message = find(&visit).await?.message;
    let entries = visit.api.store.timeline(message.seq).await;
    let entries = entries.map_err(ApiError::store)?;
    let json = render::events(message.id, message.accepted_at, &entries);
    let json = json.map_err(json::unwritable)?;
    Ok(json::answer(StatusCode::OK, json))
}

/// The caller's message that the path names.
async fn find(visit: &Visit) -> Result<MessageView, ApiError> {
    let missing = || {
        let message = "there is no message with this id; check it, it is in the answer to the send";
        ApiError::new(Code::NotFound, message)
    };
    let id = visit.id("id").ok_or_else(missing)?;
    let org = visit.caller.org.id;
    let found = visit.api.store.message(org, MessageId(id)).await;
    found.map_err(ApiError::store)?.ok_or_else(missing)
}
