//! Lives here: lists of messages: `GET /v1/messages`, a page at a time, and the same as a CSV file.
//! Never here: the fields of a message (`render`), the file's form (`csv`), cursors' form (`cursor`).

use axum::extract::Query;
use axum::http::{HeaderValue, header};
use axum::response::Response;

use super::export;
use crate::api::call::Visit;
use crate::api::code::Code;
use crate::api::doors::Doors;
use crate::api::error::{ApiError, Problem};
use crate::api::json::said_again;
use crate::api::{cursor, json, render, time};
use crate::domain::class::Class;
use crate::domain::ids::NetworkId;
use crate::domain::message::State;
use crate::domain::scope::Scope;
use crate::domain::time::Timestamp;
use crate::ingest::Ingest;
use crate::store::{Listed, Listing, Store, StoreError};

/// Messages of a page, if the client does not say, and at most (`reference/api.md`).
const LIMIT: u32 = 50;
const LIMIT_MAX: u32 = 100;
/// How often a page that is not full yet is gone on with: each time as many messages are looked at as
/// [`Listing::look`] says.
const LOOKS: usize = 5;
const DAY_MS: i64 = 86_400_000;

pub(in crate::api) fn doors(doors: Doors) -> Doors {
    let read = Scope::MessagesRead;
    doors
        .get("/v1/messages", read, list)
        .get("/v1/messages.csv", read, file)
}

/// What is asked for.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) listing: Listing,
    /// Only to numbers of this network. The rows do not know it: the plan does.
    pub(super) network: Option<NetworkId>,
    /// A CSV file instead of a page.
    csv: bool,
}

async fn list(visit: Visit) -> Result<Response, ApiError> {
    let wanted = Wanted::read(&visit)?;
    if wanted.csv || wants_csv(&visit) {
        return export::answer(&visit, wanted);
    }
    let (store, ingest) = (&visit.api.store, &visit.api.ingest);
    let page = wanted.page(store, ingest).await.map_err(ApiError::store)?;
    let next = page.next.map(|at| cursor::seal(visit.caller.org.id, at));
    let shown: Vec<_> = page.messages.iter().map(render::details).collect();
    json::page(&shown, next)
}

async fn file(visit: Visit) -> Result<Response, ApiError> {
    let wanted = Wanted::read(&visit)?;
    export::answer(&visit, wanted)
}

fn wants_csv(visit: &Visit) -> bool {
    let accept = visit.head.headers.get(header::ACCEPT);
    accept
        .map(HeaderValue::as_bytes)
        .is_some_and(|accept| accept.starts_with(b"text/csv"))
}

impl Wanted {
    /// Reads the query.
    ///
    /// # Errors
    /// `invalid_request` for a filter that there is not, that comes twice or that means nothing: a
    /// list that leaves one out would show what was not asked for.
    fn read(visit: &Visit) -> Result<Self, ApiError> {
        let pairs = Query::<Vec<(String, String)>>::try_from_uri(&visit.head.uri);
        let Query(pairs) = pairs.map_err(|error| {
            let message = format!("the query cannot be read: {error}");
            ApiError::new(Code::InvalidRequest, message)
        })?;
        let org = visit.caller.org.id;
        let mut wanted = Self {
            listing: Listing {
                live: Some(visit.caller.is_live()),
                ..Listing::of(Some(org), LIMIT)
            },
            network: None,
            csv: false,
        };
        let mut seen = Vec::new();
        for (name, value) in &pairs {
            // It counts as absent.
            if value.is_empty() {
                continue;
            }
            let filter = filter(name);
            let put = if seen.contains(&filter) {
                let said = said_again(name);
                Err(format!("{said} filters by {filter} again; give it once"))
            } else {
                wanted.put(visit, name, value)
            };
            put.map_err(|detail| {
                let problem = Problem::field(said_again(name), detail);
                ApiError::of_field(Code::InvalidRequest, problem)
            })?;
            // What is not known has been refused: these are few.
            seen.push(filter);
        }
        Ok(wanted)
    }

    /// Takes one filter; what is wrong with it.
    fn put(&mut self, visit: &Visit, name: &str, value: &str) -> Result<(), String> {
        let ingest = &visit.api.ingest;
        let listing = &mut self.listing;
        let means = |what: &str| format!("{name} must be {what}");
        match filter(name) {
            "cursor" => {
                let at = cursor::open(visit.caller.org.id, value);
                listing.before =
                    at.ok_or_else(|| means("the next_cursor of a page of this list"))?;
            }
            "limit" => {
                let limit = value.parse().ok();
                let fits = |limit: &u32| (1..=LIMIT_MAX).contains(limit);
                let limit = limit.filter(fits);
                listing.limit = limit.ok_or_else(|| means("from 1 to 100"))?;
            }
            "status" => listing.states = states(value).map_err(|()| means(STATUSES))?,
            "network" => {
                let known = ingest.network_named(value);
                let known = known.ok_or_else(|| means("a network's id or name"))?;
                self.network = Some(known);
            }
            "to" => {
                let number = ingest.number(&visit.caller.org, value);
                listing.to = Some(number.map_err(|refusal| refusal.to_string())?);
            }
            "from" => listing.from = Some(value.into()),
            "class" => {
                let class = Class::parse(value);
                let class = class.ok_or_else(|| means("otp, transactional or promotional"))?;
                listing.class = Some(class);
            }
            "client_ref" => listing.client_ref = Some(value.into()),
            "tag" => listing.tag = Some(value.into()),
            "since" => {
                listing.since = instant(value, false).ok_or_else(|| means(INSTANT))?;
            }
            "until" => {
                listing.until = instant(value, true).ok_or_else(|| means(INSTANT))?;
            }
            "format" => {
                self.csv = match value {
                    "csv" => true,
                    "json" => false,
                    _ => return Err(means("json or csv")),
                };
            }
            _ => {
                let name = said_again(name);
                return Err(format!(
                    "{name} is no filter of this list; there are status, network, to, from, \
                     class, client_ref, tag, since, until, limit, cursor and format"
                ));
            }
        }
        if listing.client_ref.as_deref().is_some_and(has_nul)
            || listing.tag.as_deref().is_some_and(has_nul)
            || listing.from.as_deref().is_some_and(has_nul)
        {
            return Err(means("text without a NUL character"));
        }
        Ok(())
    }

    /// A page, gone on with until it is full, or so many messages have been looked at.
    pub(super) async fn page(&self, store: &Store, ingest: &Ingest) -> Result<Listed, StoreError> {
        let mut page = Listed::default();
        let mut listing = self.listing.clone();
        for _ in 0..LOOKS {
            let found = store.list(&listing).await?;
            page.next = found.next;
            let fits = |network: &NetworkId, to| ingest.network(to).as_ref() == Some(network);
            let fitting = found.messages.into_iter().filter(|one| {
                let network = self.network.as_ref();
                network.is_none_or(|network| fits(network, one.message.to))
            });
            page.messages.extend(fitting);
            let missing = self.listing.limit as usize - page.messages.len();
            let (Some(next), 1..) = (page.next, missing) else {
                break;
            };
            listing.before = next;
            listing.limit = missing.try_into().unwrap_or(self.listing.limit);
        }
        Ok(page)
    }
}

/// The filter that has this name, which may be another one's: `phone` is `to`.
fn filter(name: &str) -> &str {
    match name {
        "telco" => "network",
        "phone" => "to",
        "sender" | "senderId" | "sender_id" => "from",
        "clientRef" => "client_ref",
        "date_from" | "dateFrom" => "since",
        "date_to" | "dateTo" => "until",
        name => name,
    }
}

const STATUSES: &str =
    "some of scheduled, queued, sent, delivered, failed and canceled, with commas between";
const INSTANT: &str = "a day like 2026-04-05, or RFC 3339 with an offset";

fn has_nul(text: &str) -> bool {
    text.contains('\0')
}

/// The states that clients see under these names.
fn states(names: &str) -> Result<Vec<State>, ()> {
    let mut states = Vec::new();
    for name in names.split(',') {
        let known = states.len();
        let named = |state: &State| state.public() == name.trim();
        states.extend(State::ALL.into_iter().filter(named));
        if states.len() == known {
            return Err(());
        }
    }
    Ok(states)
}

/// A time, or a day in UTC: its first moment, or the first after it.
fn instant(text: &str, end: bool) -> Option<Timestamp> {
    // A plus in a query means a space.
    let text = text.replace(' ', "+");
    if text.len() == "2026-04-05".len() {
        let day = time::parse(&format!("{text}T00:00:00Z"))?;
        return Some(Timestamp(day.0 + if end { DAY_MS } else { 0 }));
    }
    time::parse(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_status_is_all_the_states_behind_it() {
        let queued = [State::Queued, State::Uncertain];
        assert_eq!(states("queued").unwrap(), queued);
        assert_eq!(states("failed, delivered").unwrap().len(), 6);
        for wrong in ["", "submitted", "queued,", "x"] {
            assert_eq!(states(wrong), Err(()), "{wrong}");
        }
    }

    #[test]
    fn a_day_ends_where_the_next_one_begins() {
        let (first, end) = (instant("2026-04-05", false), instant("2026-04-05", true));
        assert_eq!(end.unwrap().0 - first.unwrap().0, DAY_MS);
        assert_eq!(
            instant("2026-04-05T15:03:04 03:00", false),
            instant("2026-04-05T12:03:04Z", true)
        );
        assert_eq!(instant("yesterday!", false), None);
    }
}
