//! Lives here: finding messages of any organisation by what a person knows of them: the number, the
//! customer's own name for it, where it stands, when it was accepted.
//! Never here: all that is known of one (`messages`); texts.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Admin;
use super::error::{self, Refused};
use super::request::{Asked, Operator, asked, in_time, now, organisation, told};
use crate::domain::message::State as MessageState;
use crate::domain::phone::Msisdn;
use crate::store::{Listed, Listing};

/// Lines, if nobody says.
const LIMIT: u32 = 20;
const LIMIT_MAX: u32 = 1000;
/// Messages that are looked at: an index knows them by organisation and by its `client_ref` only.
const LOOK: u32 = 200_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    to: Option<Box<str>>,
    client_ref: Option<Box<str>>,
    status: Option<Box<str>>,
    org: Option<Box<str>>,
    /// Accepted so many seconds ago at most,
    since_s: Option<u64>,
    /// and at least.
    until_s: Option<u64>,
    limit: Option<u32>,
}

#[derive(Serialize)]
struct Found {
    messages: Vec<Line>,
    /// There are older ones that were not looked at.
    more: bool,
}

#[derive(Serialize)]
struct Line {
    id: Uuid,
    org: Uuid,
    org_name: Option<Box<str>>,
    class: &'static str,
    /// Masked.
    to: String,
    from: String,
    client_ref: Option<Box<str>>,
    state: &'static str,
    failure: Option<&'static str>,
    accepted_at: String,
}

/// `GET /admin/v1/messages`: the newest first.
pub(super) async fn find(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    query: Asked<Wanted>,
) -> Result<Response, Refused> {
    Operator::admit(&admin, &headers)?;
    let listing = listing(&admin, asked(query)?).await?;
    let store = &admin.parts.store;
    let Listed { messages, next } = in_time(store.list(&listing)).await?;
    let mut lines = Vec::with_capacity(messages.len());
    for view in &messages {
        let message = &view.message;
        let org = in_time(store.organisation(message.org)).await?;
        lines.push(Line {
            id: message.id.0,
            org: message.org.0,
            org_name: org.map(|org| org.name.clone()),
            class: message.class.name(),
            to: message.to.masked(),
            from: message.from.as_str().to_owned(),
            client_ref: message.client_ref.clone(),
            state: view.state.name(),
            failure: view.failure.map(|code| code.name()),
            accepted_at: told(message.accepted_at),
        });
    }
    let found = Found {
        messages: lines,
        more: next.is_some(),
    };
    Ok(error::json(StatusCode::OK, &found))
}

async fn listing(admin: &Admin, wanted: Wanted) -> Result<Listing, Refused> {
    let limit = wanted.limit.unwrap_or(LIMIT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Refused::invalid(format!("limit must be 1 to {LIMIT_MAX}")));
    }
    let org = match wanted.org {
        Some(typed) => Some(organisation(admin, &typed).await?.id),
        None => None,
    };
    let number = |typed: &str| {
        let digits = typed.trim().trim_start_matches('+');
        Msisdn::from_digits(digits)
            .map_err(|_| Refused::invalid("a number is given in E.164, like +255712345678"))
    };
    let states = match wanted.status.as_deref() {
        Some(name) => states(name)?,
        None => Vec::new(),
    };
    let ago = |seconds: u64| now() - Duration::from_secs(seconds);
    let all = Listing::of(org, limit);
    Ok(Listing {
        to: wanted.to.as_deref().map(number).transpose()?,
        client_ref: wanted.client_ref,
        states,
        since: wanted.since_s.map_or(all.since, ago),
        until: wanted.until_s.map_or(all.until, ago),
        look: LOOK,
        ..all
    })
}

/// The states of this name: ours, or the one that customers see.
fn states(name: &str) -> Result<Vec<MessageState>, Refused> {
    let all = MessageState::ALL.into_iter();
    let own: Vec<_> = all.clone().filter(|state| state.name() == name).collect();
    let public: Vec<_> = all.filter(|state| state.public() == name).collect();
    match (own.is_empty(), public.is_empty()) {
        (_, false) => Ok(public),
        (false, true) => Ok(own),
        (true, true) => {
            let names: Vec<_> = MessageState::ALL.map(MessageState::name).into();
            let names = names.join(", ");
            Err(Refused::invalid(format!(
                "status is sent or one of {names}"
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_ours_or_the_customers() {
        let found = |name| states(name).ok();
        assert_eq!(found("sent"), Some(vec![MessageState::Submitted]));
        assert_eq!(found("uncertain"), Some(vec![MessageState::Uncertain]));
        assert_eq!(found("failed").map(|states| states.len()), Some(5));
        assert_eq!(found("lost"), None);
    }
}
