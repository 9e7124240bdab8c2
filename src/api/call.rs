//! Lives here: one request while it is served: who calls, its path, its body within its bounds, its
//! deadline; and what the answers to all of them share.
//! Never here: routes (`doors`), what a request means (`v1`).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::Response;
use ipnet::IpNet;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::body;
use super::deadline::within;
use super::error::ApiError;
use super::idempotency::{self, Running};
use super::limits::{Limits, Standing};
use crate::bulk::Bulk;
use crate::ingest::{Ingest, Refusal};
use crate::store::{Credential, Store, StoreError};
use crate::telemetry::metrics::api::Route;
use crate::tokens::Tokens;
use crate::webhooks::Trials;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REQUEST_ID_MAX: usize = 64;

/// What the handlers share.
pub(super) struct Api {
    pub(super) ingest: Arc<Ingest>,
    pub(super) bulk: Bulk,
    pub(super) store: Store,
    /// What tries webhook endpoints at their owners' wish.
    pub(super) trials: Arc<Trials>,
    pub(super) body_max: usize,
    pub(super) request_timeout: Duration,
    pub(super) proxies: Vec<IpNet>,
    pub(super) tokens: Option<Arc<Tokens>>,
    pub(super) limits: Limits,
    pub(super) running: Running,
}

/// A request of a caller who is known and may make it.
pub(super) struct Visit {
    pub(super) api: Arc<Api>,
    pub(super) caller: Arc<Credential>,
    pub(super) head: Parts,
    pub(super) deadline: Instant,
    /// Only of a request that names itself: others are not answered anew.
    asked: Option<Asked>,
    /// The route's path, with `{name}` where a parameter stands.
    template: &'static str,
    /// Never locked: it only lets handlers that wait hold a `&Visit`.
    body: Mutex<Body>,
}

impl Visit {
    pub(super) fn new(
        api: Arc<Api>,
        caller: Arc<Credential>,
        request: Request,
        template: &'static str,
        call: &Call,
    ) -> Self {
        let (head, body) = request.into_parts();
        let asked = head.headers.contains_key(idempotency::NAME);
        let asked = asked.then(|| call.asked.clone());
        Self {
            api,
            caller,
            head,
            deadline: call.deadline,
            asked,
            template,
            body: Mutex::new(body),
        }
    }

    /// Whether the request names itself (`Idempotency-Key`).
    pub(super) const fn is_named(&self) -> bool {
        self.asked.is_some()
    }

    /// The body of a named request's refusal, as its answer will have it.
    pub(super) fn rendered(&self, error: &ApiError) -> Vec<u8> {
        let asked = self.asked.as_ref();
        let problem = asked.is_some_and(|asked| asked.problem);
        error.rendered(asked.map_or("", Asked::id), problem)
    }

    /// What stands in the path in the place of `{name}`, as it is written there.
    pub(super) fn param(&self, name: &str) -> &str {
        let places = self
            .template
            .split('/')
            .zip(self.head.uri.path().split('/'));
        let inside = |place: &str| {
            let name_there = place
                .strip_prefix('{')
                .and_then(|rest| rest.strip_suffix('}'));
            name_there == Some(name)
        };
        let mut found = places.filter(|(place, _)| inside(place));
        found.next().map_or("", |(_, given)| given)
    }

    /// The same as an id; `None` if it is none.
    pub(super) fn id(&self, name: &str) -> Option<Uuid> {
        Uuid::try_parse(self.param(name)).ok()
    }

    /// Reads the body whole, up to `max` octets, once. One that came in one piece is not copied.
    ///
    /// # Errors
    /// `payload_too_large`, `request_timeout`, `invalid_request`, `unsupported_media_type`.
    pub(super) async fn body(&mut self, max: usize) -> Result<Bytes, ApiError> {
        let unread = self.take_body();
        body::plain(&self.head.headers, unread, max, self.deadline).await
    }

    /// The same of one that may come packed (`Content-Encoding: gzip`): `max` holds for what is sent
    /// and for what it unpacks to.
    ///
    /// # Errors
    /// As [`Visit::body`].
    pub(super) async fn packed_body(&mut self, max: usize) -> Result<Bytes, ApiError> {
        let unread = self.take_body();
        body::packed(&self.head.headers, unread, max, self.deadline).await
    }

    fn take_body(&mut self) -> Body {
        let body = self.body.get_mut().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(body)
    }

    /// Whether the body is said to be a form: for the error if it is not JSON. curl's `-d` says so
    /// of JSON too.
    pub(super) fn says_form(&self) -> bool {
        let kind = self.head.headers.get(header::CONTENT_TYPE);
        kind.map(HeaderValue::as_bytes).is_some_and(|kind| {
            names(kind, b"application/x-www-form-urlencoded") || names(kind, b"multipart/form-data")
        })
    }

    /// Bounds a read of a change by the request's time; reads are bounded as a whole.
    ///
    /// # Errors
    /// `overloaded` when it is over, else those of `work`.
    pub(super) async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, ApiError> {
        within(self.deadline, work).await
    }

    /// Bounds a change by the request's time. `look` is what its caller does to see whether it was
    /// made, if that is not known by then.
    ///
    /// # Errors
    /// `server_error` if it is not known, else those of `work`.
    pub(super) async fn changing<T>(
        &self,
        look: &str,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, ApiError> {
        match timeout_at(self.deadline, work).await {
            Err(_) | Ok(Err(StoreError::InDoubt)) => Err(ApiError::unsure(look)),
            Ok(done) => done.map_err(|error| ApiError::refused(Refusal::from(error), None)),
        }
    }
}

/// What a request's answer needs of it.
pub(super) struct Call {
    began: Instant,
    pub(super) deadline: Instant,
    asked: Asked,
    /// Where the caller stands, if it has a limit.
    pub(super) standing: Option<Standing>,
}

/// How a request wants to be answered.
#[derive(Clone)]
struct Asked {
    request_id: HeaderValue,
    /// The client asks for RFC 9457 errors.
    problem: bool,
}

impl Asked {
    fn id(&self) -> &str {
        self.request_id.to_str().unwrap_or_default()
    }
}

impl Call {
    pub(super) fn new(headers: &HeaderMap, api: &Api) -> Self {
        let began = Instant::now();
        let accept = headers.get(header::ACCEPT).map(HeaderValue::as_bytes);
        Self {
            began,
            deadline: began + api.request_timeout,
            asked: Asked {
                request_id: request_id(headers),
                problem: accept.is_some_and(|accept| names(accept, b"application/problem+json")),
            },
            standing: None,
        }
    }

    pub(super) fn answer(self, meter: &Route, done: Result<Response, ApiError>) -> Response {
        let Asked {
            request_id,
            problem,
        } = self.asked;
        let mut response = done.unwrap_or_else(|error| error.response(&request_id, problem));
        let headers = response.headers_mut();
        headers.insert(REQUEST_ID, request_id);
        if let Some(standing) = &self.standing {
            standing.tell(headers);
        }
        meter.answered(response.status().as_u16(), self.began.elapsed());
        response
    }
}

/// The client's own id if it is a sane one, so that its logs and ours name the request alike.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    if let Some(given) = headers.get(REQUEST_ID)
        && (1..=REQUEST_ID_MAX).contains(&given.len())
        && given.as_bytes().iter().all(u8::is_ascii_graphic)
    {
        return given.clone();
    }
    let mut digits = [0; uuid::fmt::Hyphenated::LENGTH];
    let id = Uuid::now_v7().hyphenated().encode_lower(&mut digits);
    HeaderValue::from_str(id).unwrap_or(HeaderValue::from_static("none"))
}

fn names(accept: &[u8], kind: &[u8]) -> bool {
    accept
        .windows(kind.len())
        .any(|window| window.eq_ignore_ascii_case(kind))
}
