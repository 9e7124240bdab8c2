//! Lives here: `POST /v1/sms/send`.
//! Never here: the form of its body (`submission`), checks of a message's meaning (`ingest`).

mod describe;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use tokio::time::{Instant, timeout_at};

use super::messages::MESSAGES;
use crate::api::call::Visit;
use crate::api::code::Code;
use crate::api::doors::Doors;
use crate::api::error::ApiError;
use crate::api::idempotency::{self, Once, Refusals};
use crate::api::query::Query;
use crate::api::render::{self, Said, Warning};
use crate::api::submission::Draft;
use crate::api::{auth, fields, json, time};
use crate::domain::ids::MessageId;
use crate::domain::message::State;
use crate::domain::scope::Scope;
use crate::ingest::{Accepted, Refusal};
use crate::store::MessageView;

pub(in crate::api) use self::describe::{Warning as DescribedWarning, describe};

/// RFC 7240.
const PREFER: HeaderName = HeaderName::from_static("prefer");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
/// Seconds that a caller may wait for a carrier (`reference/api.md`).
const WAIT_MAX: u64 = 10;

pub(in crate::api) fn doors(doors: Doors) -> Doors {
    doors
        .with_query()
        .post_either("/v1/sms/send", 201, (Scope::SmsSend, Scope::Otp), send)
}

async fn send(mut visit: Visit) -> Result<Response, ApiError> {
    let asked = Asked::read(visit.head.uri.query())?;
    let body = visit.body(visit.api.body_max).await?;
    let (visit, body) = (&visit, &body);
    if asked.dry_run {
        return rehearse(visit, body, asked);
    }
    let mut fresh = None;
    let kept = &mut fresh;
    let response = idempotency::once(visit, body, Refusals::Kept, move |once| {
        accept((visit, body), asked, once, kept)
    })
    .await?;
    // Whoever repeats the request meanwhile is answered at once.
    match (wanted_wait(&visit.head.headers), fresh) {
        (Some(wait), Some(fresh)) if fresh.accepted.state == State::Queued => {
            Ok(Box::pin(fresh.waited(visit, wait, response)).await)
        }
        _ => Ok(response),
    }
}

/// A message that this request was the one to send.
struct Fresh<'b> {
    draft: Draft<'b>,
    accepted: Accepted,
}

impl Fresh<'_> {
    /// Its answer when it has come to something or the time is up; `first` is that of now.
    async fn waited(&self, visit: &Visit, wait: u64, mut first: Response) -> Response {
        let waited = outcome(visit, self.accepted.id, wait).await;
        if let Some((view, applied)) = waited {
            let body = answer(&self.draft, &self.accepted, Some(&view));
            *first.body_mut() = body.into();
            first.headers_mut().insert(PREFERENCE_APPLIED, applied);
        }
        first
    }
}

fn answer(draft: &Draft<'_>, accepted: &Accepted, outcome: Option<&MessageView>) -> Bytes {
    let said = Said {
        class: draft.class,
        body: draft.message(),
        outcome,
        warnings: &warnings(draft, accepted),
    };
    Bytes::from(render::accepted(accepted, &said))
}

/// Has the message kept; `fresh` learns of it, unless it was before.
async fn accept<'b>(
    (visit, body): (&Visit, &'b [u8]),
    asked: Asked,
    once: Option<Arc<Once>>,
    fresh: &mut Option<Fresh<'b>>,
) -> Result<Response, ApiError> {
    let draft = parse(visit, body, asked)?;
    let (ingest, org) = (&visit.api.ingest, &visit.caller.org);
    let (submission, now) = (draft.submission(visit.caller.is_live()), time::now());
    let accepting = async {
        match &once {
            None => ingest.accept(org, submission, now).await.map(Ok),
            Some(once) => {
                let memo = |accepted: &Accepted| {
                    once.memo(StatusCode::CREATED, answer(&draft, accepted, None))
                };
                Box::pin(ingest.accept_once(org, submission, now, memo)).await
            }
        }
    };
    let done = timeout_at(visit.deadline, accepting).await;
    let done = done.map_err(|_| ApiError::in_doubt())?;
    let accepted = match done.map_err(|refusal| refused(refusal, &draft))? {
        Ok(accepted) => accepted,
        Err(repeat) => return idempotency::repeated(repeat),
    };
    let written = answer(&draft, &accepted, None);
    let mut response = json::answer(StatusCode::CREATED, written);
    if let Ok(location) = HeaderValue::try_from(format!("{MESSAGES}{}", accepted.id)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    *fresh = Some(Fresh { draft, accepted });
    Ok(response)
}

/// What would become of it.
fn rehearse(visit: &Visit, body: &[u8], asked: Asked) -> Result<Response, ApiError> {
    let draft = parse(visit, body, asked)?;
    let (ingest, org) = (&visit.api.ingest, &visit.caller.org);
    let run = ingest.dry_run(org, draft.submission(visit.caller.is_live()), time::now());
    let run = run.map_err(|refusal| refused(refusal, &draft))?;
    let warnings = warnings(&draft, &run.accepted);
    let json = render::dry_run(&run, draft.class, &warnings).map_err(json::unwritable)?;
    Ok(json::answer(StatusCode::OK, json))
}

/// What the body asks for, if the caller may.
fn parse<'b>(visit: &Visit, body: &'b [u8], asked: Asked) -> Result<Draft<'b>, ApiError> {
    let draft = Draft::parse(body).map_err(|error| {
        // Only what is not JSON is refused for being a form.
        if visit.says_form() {
            let message = "the body is not JSON; send JSON with content-type application/json";
            ApiError::new(Code::InvalidRequest, message)
        } else {
            error
        }
    })?;
    if asked.strict {
        fields::known(&draft.unknown)?;
    }
    let sender = (draft.name("from"), draft.sender());
    auth::may_send(&visit.caller, draft.class, sender)?;
    Ok(draft)
}

fn refused(refusal: Refusal, draft: &Draft<'_>) -> ApiError {
    let param = refusal.field().map(|core| draft.name(core));
    ApiError::refused(refusal, param)
}

/// What the query asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Asked {
    dry_run: bool,
    strict: bool,
}

impl Asked {
    fn read(query: Option<&str>) -> Result<Self, ApiError> {
        let query = Query::of_text(query.unwrap_or_default(), &["dry_run", "strict"])?;
        Ok(Self {
            dry_run: query.flag("dry_run")?,
            strict: query.flag("strict")?,
        })
    }
}

/// What the client should know although its message was accepted.
fn warnings(draft: &Draft<'_>, accepted: &Accepted) -> Vec<Warning> {
    let unknown = draft.unknown.iter().map(|name| Warning {
        param: name.clone(),
        code: "unknown_field",
        detail: format!("{name} is no field of this request; it was ignored"),
    });
    let mut warnings: Vec<Warning> = unknown.collect();
    let valid_for = accepted.valid_until.since(accepted.due_at);
    if draft.validity.is_some_and(|asked| asked > valid_for) {
        let seconds = valid_for.as_secs();
        warnings.push(Warning {
            param: "validity".into(),
            code: "validity_cut",
            detail: format!("messages of this class are valid for {seconds} seconds at most"),
        });
    }
    warnings
}

/// How long the caller would wait, if at all. A preference that cannot be read is none.
fn wanted_wait(headers: &HeaderMap) -> Option<u64> {
    let values = headers.get_all(PREFER).into_iter();
    let mut preferences = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    let seconds = preferences.find_map(|preference| {
        let (name, value) = preference.split(';').next()?.split_once('=')?;
        let wait = name.trim().eq_ignore_ascii_case("wait");
        let value = value.trim().trim_matches('"');
        wait.then(|| value.parse::<u64>().ok())?
    })?;
    (seconds > 0).then(|| seconds.min(WAIT_MAX))
}

/// Waits until a carrier has the message or it has ended, and reads what it has come to. `None`: too
/// many wait, or the store cannot say; the message is accepted all the same.
async fn outcome(
    visit: &Visit,
    message: MessageId,
    seconds: u64,
) -> Option<(MessageView, HeaderValue)> {
    let until = Instant::now() + Duration::from_secs(seconds);
    let org = visit.caller.org.id;
    let store = &visit.api.store;
    let mut wait = store.wait_for(message)?;
    let read = async || store.message(org, message).await.ok().flatten();
    // What happened before anybody waited.
    let mut view = read().await?;
    if matches!(view.state, State::Queued | State::Uncertain)
        && timeout_at(until, wait.over()).await.is_ok()
    {
        view = read().await?;
    }
    let applied = HeaderValue::try_from(format!("wait={seconds}")).ok()?;
    Some((view, applied))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_waits_as_long_as_it_prefers_and_ten_seconds_at_most() {
        for (values, wait) in [
            (&["wait=2"][..], Some(2)),
            (&["respond-async, Wait=\"3\"; x=1"], Some(3)),
            (&["return=minimal", "wait=100"], Some(10)),
            (&["wait=0"], None),
            (&["wait=-1"], None),
            (&["wait"], None),
            (&[], None),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(PREFER, HeaderValue::from_static(value));
            }
            assert_eq!(wanted_wait(&headers), wait, "{values:?}");
        }
    }

    #[test]
    fn a_query_is_yes_or_no() {
        let asked = Asked::read(Some("strict=1&dry_run=false")).unwrap();
        assert!(asked.strict && !asked.dry_run);
        assert_eq!(Asked::read(None).unwrap(), Asked::default());
        for wrong in ["strict=yes", "dry_run", "dryrun=true", "strict=1&strict=1"] {
            assert!(Asked::read(Some(wrong)).is_err(), "{wrong}");
        }
    }
}
