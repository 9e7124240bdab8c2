//! Lives here: what has become of each recipient of a job, page by page, and of those that failed as
//! a CSV file. Recipients are told in the order of the request.
//! Never here: the job as a whole (`bulk`).

use std::collections::VecDeque;

use axum::response::Response;
use serde::Serialize;
use uuid::Uuid;

use super::find;
use crate::api::call::Visit;
use crate::api::csv::{self, Rows, guarded, guarded_number};
use crate::api::error::ApiError;
use crate::api::json::{self, Amount};
use crate::api::query::Query;
use crate::api::time::{self, Text};
use crate::domain::job::{Entry, unpack};
use crate::domain::message::State;
use crate::domain::phone::Msisdn;
use crate::store::jobs::{ChunkState, ChunkView, JobView};
use crate::store::{MessageView, Store, StoreError};

/// Recipients of a page, as asked for and at most.
const PAGE: u32 = 100;
const PAGE_MAX: u32 = 500;
/// Chunks are read together up to so many recipients, and one chunk more.
const TOGETHER: u32 = 2_000;

/// A recipient and what has become of it.
#[derive(Serialize)]
struct Outcome {
    /// Its place in the request, from 0.
    recipient: u32,
    /// The message's id; `null`: there is none.
    id: Option<Uuid>,
    to: String,
    status: &'static str,
    status_detail: &'static str,
    segments: Option<u8>,
    credits_cost: Option<Amount>,
    sent_at: Option<Text>,
    delivered_at: Option<Text>,
    failure_code: Option<&'static str>,
    failure_reason: Option<&'static str>,
    client_ref: Option<Box<str>>,
}

/// `GET /v1/sms/bulk/{id}/messages`.
pub(super) async fn messages(visit: Visit) -> Result<Response, ApiError> {
    let query = Query::read(&visit, &["cursor", "limit"])?;
    let limit = query.number("limit", PAGE, 1..=PAGE_MAX)?;
    let from = query.number("cursor", 0, 0..=u32::MAX)?;
    let view = find(&visit).await?;
    let store = &visit.api.store;
    let chunks = store.chunks(view.job.id).await.map_err(ApiError::store)?;
    let until = from.saturating_add(limit);
    let wanted: Vec<_> = placed(&chunks)
        .filter(|(first, chunk)| *first < until && first + chunk.recipients > from)
        .collect();
    let found = outcomes(store, &view, &wanted).await;
    let mut outcomes = found.map_err(ApiError::store)?;
    outcomes.retain(|one| one.recipient >= from);
    outcomes.truncate(limit as usize);
    // Where the page ends, though messages that are gone leave nothing of it.
    let next = (until < view.job.total).then_some(until);
    json::page(&outcomes, next.map(|next| next.to_string()))
}

/// `GET /v1/sms/bulk/{id}/errors.csv`: at most ten thousand lines, so it is put together in memory
/// (a megabyte and a half), some chunks at a time.
pub(super) async fn errors(visit: Visit) -> Result<Response, ApiError> {
    let view = find(&visit).await?;
    let store = &visit.api.store;
    let chunks = store.chunks(view.job.id).await.map_err(ApiError::store)?;
    let mut rows = Rows::default();
    rows.write([
        "recipient",
        "to",
        "failure_code",
        "failure_reason",
        "message_id",
        "client_ref",
    ]);
    let placed: Vec<_> = placed(&chunks).collect();
    let mut rest = &placed[..];
    while let Some((start, _)) = rest.first() {
        let near = rest.partition_point(|(first, _)| first - start < TOGETHER);
        let (together, after) = rest.split_at(near);
        rest = after;
        let found = outcomes(store, &view, together).await;
        let failed = found.map_err(ApiError::store)?.into_iter();
        for one in failed.filter(|one| one.status == State::Failed.public()) {
            rows.write([
                &*one.recipient.to_string(),
                &guarded_number(&one.to),
                one.failure_code.unwrap_or_default(),
                one.failure_reason.unwrap_or_default(),
                &one.id.map(|id| id.to_string()).unwrap_or_default(),
                &guarded(one.client_ref.as_deref().unwrap_or_default()),
            ]);
        }
    }
    let name = format!("bulk-{}-errors.csv", view.job.id);
    Ok(csv::file(&name, rows.written()))
}

/// Chunks, each with the place of its first recipient.
fn placed(chunks: &[ChunkView]) -> impl Iterator<Item = (u32, &ChunkView)> {
    chunks.iter().scan(0, |first, chunk| {
        let place = *first;
        *first += chunk.recipients;
        Some((place, chunk))
    })
}

/// What has become of the recipients of chunks that follow one another: two statements.
async fn outcomes(
    store: &Store,
    view: &JobView,
    chunks: &[(u32, &ChunkView)],
) -> Result<Vec<Outcome>, StoreError> {
    let (Some((_, first)), Some((_, last))) = (chunks.first(), chunks.last()) else {
        return Ok(Vec::new());
    };
    let bodies = store.bodies(view.job.id, first.number, last.number).await?;
    let messages = store.messages_of(view.job.id, first.number, last.number);
    let mut messages = VecDeque::from(messages.await?);
    let mut outcomes = Vec::new();
    for ((first, chunk), body) in chunks.iter().zip(&bodies) {
        // Messages that are gone already are passed over. The chunk may have come to have some since
        // it was listed.
        let its = body.span.map_or(0, |(_, last)| {
            messages.partition_point(|view| view.message.seq <= last)
        });
        let its: Vec<MessageView> = messages.drain(..its).collect();
        outcomes.extend(of_chunk((*first, chunk), &body.packed, its)?);
    }
    Ok(outcomes)
}

/// What has become of a chunk's recipients.
fn of_chunk(
    (first, chunk): (u32, &ChunkView),
    packed: &[u8],
    messages: Vec<MessageView>,
) -> Result<Vec<Outcome>, StoreError> {
    if packed.is_empty() {
        // They were taken back, and who they were is past its time.
        let places = first..first + chunk.recipients;
        return Ok(places.map(taken_back).collect());
    }
    let entries = unpack(packed).ok_or(StoreError::Corrupt {
        what: "job_chunks.body",
    })?;
    let mut messages = messages.into_iter();
    let outcomes = entries
        .iter()
        .zip(first..)
        .filter_map(|(entry, place)| match entry {
            // A message that is gone already is passed over.
            Entry::Sent => messages.next().map(|message| sent(place, message)),
            Entry::Waits(waits) => {
                let state = match chunk.state {
                    ChunkState::Dropped => State::Cancelled,
                    ChunkState::Waiting | ChunkState::Expanded => State::Scheduled,
                };
                Some(Outcome {
                    to: waits.to.to_string(),
                    status: state.public(),
                    status_detail: state.name(),
                    client_ref: waits.client_ref.map(Into::into),
                    ..nothing(place)
                })
            }
            Entry::Refused { to, why } => Some(Outcome {
                to: (*to).to_owned(),
                status: State::Failed.public(),
                status_detail: State::Failed.name(),
                failure_code: Some(why.code()),
                failure_reason: Some(why.reason()),
                ..nothing(place)
            }),
        });
    Ok(outcomes.collect())
}

fn taken_back(recipient: u32) -> Outcome {
    Outcome {
        to: Msisdn::ERASED.to_string(),
        status: State::Cancelled.public(),
        status_detail: State::Cancelled.name(),
        ..nothing(recipient)
    }
}

fn nothing(recipient: u32) -> Outcome {
    Outcome {
        recipient,
        id: None,
        to: String::new(),
        status: "",
        status_detail: "",
        segments: None,
        credits_cost: None,
        sent_at: None,
        delivered_at: None,
        failure_code: None,
        failure_reason: None,
        client_ref: None,
    }
}

fn sent(recipient: u32, view: MessageView) -> Outcome {
    let message = view.message;
    let delivered = view.state == State::Delivered;
    Outcome {
        recipient,
        id: Some(message.id.0),
        to: message.to.to_string(),
        status: view.state.public(),
        status_detail: view.state.name(),
        segments: Some(message.segments),
        credits_cost: Some(Amount(message.cost)),
        sent_at: view.sent_at.map(time::rfc3339),
        delivered_at: view.final_at.filter(|_| delivered).map(time::rfc3339),
        failure_code: view.failure.map(|failure| failure.name()),
        failure_reason: view.failure.map(|failure| failure.reason()),
        client_ref: message.client_ref,
    }
}
