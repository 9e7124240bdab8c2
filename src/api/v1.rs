//! Lives here: the routes of the `/v1` dialect (seed 003): send a message, read it back, read what
//! happened to it.
//! Never here: the listener, the forms of bodies, checks of a message's meaning.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use axum::routing::{get, post};
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::error::{ApiError, Code, Problem};
use super::render;
use super::submission::Draft;
use super::time;
use super::{auth, credits, docs};
use crate::domain::ids::MessageId;
use crate::ingest::{Ingest, Refusal};
use crate::store::{MessageView, Store, StoreError};
use crate::telemetry::metrics::api::Route;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REQUEST_ID_MAX: usize = 64;
const MESSAGES: &str = "/v1/messages/";
const EVENTS: &str = "/events";

/// What the handlers share.
pub(super) struct Api {
    pub(super) ingest: Arc<Ingest>,
    pub(super) store: Store,
    pub(super) body_max: usize,
    pub(super) request_timeout: Duration,
    meters: Meters,
}

struct Meters {
    send: Route,
    message: Route,
    events: Route,
    credits: Route,
    other: Route,
}

impl Api {
    pub(super) fn new(
        ingest: Arc<Ingest>,
        store: Store,
        body_max: usize,
        request_timeout: Duration,
    ) -> Self {
        let meters = Meters {
            send: Route::new("/v1/sms/send", 201),
            message: Route::new("/v1/messages/{id}", 200),
            events: Route::new("/v1/messages/{id}/events", 200),
            credits: Route::new("/v1/credits", 200),
            other: Route::new("other", 404),
        };
        Self {
            ingest,
            store,
            body_max,
            request_timeout,
            meters,
        }
    }
}

/// The routes.
pub(super) fn router(api: Arc<Api>) -> Router {
    Router::new()
        .route("/v1/sms/send", post(send).fallback(only_post))
        .route("/v1/messages/{id}", get(message).fallback(only_get))
        .route("/v1/messages/{id}/events", get(events).fallback(only_get))
        .route("/v1/credits", get(balances).fallback(only_get))
        .route("/docs/errors/{code}", get(error_page).fallback(only_get))
        .fallback(unknown)
        .with_state(api)
}

async fn send(State(api): State<Arc<Api>>, request: Request) -> Response {
    let call = Call::new(request.headers(), &api);
    let done = accept(&api, request, call.deadline).await;
    call.answer(&api.meters.send, done)
}

async fn message(State(api): State<Arc<Api>>, request: Request) -> Response {
    let call = Call::new(request.headers(), &api);
    let done = within(call.deadline, read_message(&api, &request.into_parts().0)).await;
    call.answer(&api.meters.message, done)
}

async fn events(State(api): State<Arc<Api>>, request: Request) -> Response {
    let call = Call::new(request.headers(), &api);
    let done = within(call.deadline, read_events(&api, &request.into_parts().0)).await;
    call.answer(&api.meters.events, done)
}

async fn balances(State(api): State<Arc<Api>>, request: Request) -> Response {
    let call = Call::new(request.headers(), &api);
    let read = async {
        let json = credits::read(&api, &request.into_parts().0).await?;
        Ok(json_answer(StatusCode::OK, json.into()))
    };
    let done = within(call.deadline, read).await;
    call.answer(&api.meters.credits, done)
}

async fn error_page(State(api): State<Arc<Api>>, request: Request) -> Response {
    let page = docs::page(request.uri().path());
    Call::new(request.headers(), &api).answer(&api.meters.other, page)
}

async fn unknown(State(api): State<Arc<Api>>, request: Request) -> Response {
    let message = "there is nothing at this path; the API's paths begin with /v1/";
    let error = ApiError::new(Code::NotFound, message);
    Call::new(request.headers(), &api).answer(&api.meters.other, Err(error))
}

async fn only_post(State(api): State<Arc<Api>>, request: Request) -> Response {
    not_allowed(&api, &request, "POST")
}

async fn only_get(State(api): State<Arc<Api>>, request: Request) -> Response {
    not_allowed(&api, &request, "GET,HEAD")
}

fn not_allowed(api: &Api, request: &Request, allowed: &'static str) -> Response {
    let message = format!("this path takes {allowed} only");
    let error = ApiError::new(Code::MethodNotAllowed, message);
    let mut response = Call::new(request.headers(), api).answer(&api.meters.other, Err(error));
    response
        .headers_mut()
        .insert(header::ALLOW, HeaderValue::from_static(allowed));
    if request.method() == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    response
}

/// A request being answered.
struct Call {
    began: Instant,
    deadline: Instant,
    request_id: HeaderValue,
    /// The client asks for RFC 9457 errors.
    problem: bool,
}

impl Call {
    fn new(headers: &HeaderMap, api: &Api) -> Self {
        let began = Instant::now();
        let accept = headers.get(header::ACCEPT).map(HeaderValue::as_bytes);
        Self {
            began,
            deadline: began + api.request_timeout,
            request_id: request_id(headers),
            problem: accept.is_some_and(|accept| names(accept, b"application/problem+json")),
        }
    }

    fn answer(self, meter: &Route, done: Result<Response, ApiError>) -> Response {
        let mut response =
            done.unwrap_or_else(|error| error.response(&self.request_id, self.problem));
        response.headers_mut().insert(REQUEST_ID, self.request_id);
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

async fn accept(api: &Api, request: Request, deadline: Instant) -> Result<Response, ApiError> {
    if !api.store.health().is_well() {
        // It could not be kept: who sends it need not wait until his key has not been found.
        return Err(ApiError::store(StoreError::Unavailable));
    }
    let credential = within(deadline, auth::sign_in(request.headers(), &api.store)).await?;
    let dry_run = dry_run(request.uri().query())?;
    let form = request
        .headers()
        .get(header::CONTENT_TYPE)
        .map(HeaderValue::as_bytes);
    let form = form.is_some_and(|kind| {
        names(kind, b"application/x-www-form-urlencoded") || names(kind, b"multipart/form-data")
    });
    let body = read_body(request, api.body_max, deadline).await?;
    let draft = Draft::parse(&body).map_err(|error| match form {
        // curl's -d says "form" although its data is JSON: only what is not JSON is refused.
        true => ApiError::new(
            Code::InvalidRequest,
            "the body is not JSON; send JSON with content-type application/json",
        ),
        false => error,
    })?;
    let refused = |refusal: Refusal| {
        let param = refusal.field().map(|core| draft.name(core));
        ApiError::refused(refusal, param)
    };
    if dry_run {
        let run = api
            .ingest
            .dry_run(&credential.org, draft.submission(), time::now())
            .map_err(refused)?;
        let json = render::dry_run(&run, draft.class).map_err(|_| unwritable())?;
        return Ok(json_answer(StatusCode::OK, json.into()));
    }
    let accepting = api
        .ingest
        .accept(&credential.org, draft.submission(), time::now());
    let done = timeout_at(deadline, accepting).await;
    let done = done.map_err(|_| ApiError::in_doubt())?;
    let accepted = done.map_err(refused)?;
    let json = render::accepted(&accepted, draft.class);
    let mut response = json_answer(StatusCode::CREATED, json.into());
    if let Ok(location) = HeaderValue::try_from(format!("{MESSAGES}{}", accepted.id)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// Whether the query asks for a dry run. What is neither yes nor no is refused: a message must not
/// be sent because of a typing error.
fn dry_run(query: Option<&str>) -> Result<bool, ApiError> {
    let pairs = query.unwrap_or_default().split('&');
    let mut wanted = false;
    for pair in pairs {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if name == "dry_run" {
            wanted = match value {
                "true" | "1" => true,
                "false" | "0" => false,
                _ => {
                    let problem = Problem::field("dry_run", "dry_run must be true or false");
                    return Err(ApiError::of_field(Code::InvalidRequest, problem));
                }
            };
        }
    }
    Ok(wanted)
}

/// Reads a body whole, up to the limit. A body that came in one piece is not copied.
async fn read_body(request: Request, max: usize, deadline: Instant) -> Result<Bytes, ApiError> {
    let too_large = || {
        let message = format!("the body is larger than {max} octets; send less");
        ApiError::new(Code::PayloadTooLarge, message)
    };
    let declared = request.headers().get(header::CONTENT_LENGTH);
    let declared = declared.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > max as u64) {
        return Err(too_large());
    }
    let mut body = request.into_body();
    let mut first = Bytes::new();
    let mut rest = Vec::new();
    while let Some(frame) = timeout_at(deadline, body.frame()).await.map_err(|_| {
        let message = "the body did not arrive in time; send it again on another connection";
        ApiError::new(Code::RequestTimeout, message)
    })? {
        let frame = frame.map_err(|_| {
            ApiError::new(Code::InvalidRequest, "the body broke off; send it again")
        })?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if first.len() + rest.len() + data.len() > max {
            return Err(too_large());
        }
        if first.is_empty() && rest.is_empty() {
            first = data;
        } else {
            if rest.is_empty() {
                rest.extend_from_slice(&first);
                first = Bytes::new();
            }
            rest.extend_from_slice(&data);
        }
    }
    Ok(if rest.is_empty() { first } else { rest.into() })
}

async fn read_message(api: &Api, request: &Parts) -> Result<Response, ApiError> {
    let view = find(api, request).await?;
    let json = render::message(&view).map_err(|_| unwritable())?;
    Ok(json_answer(StatusCode::OK, json.into()))
}

async fn read_events(api: &Api, request: &Parts) -> Result<Response, ApiError> {
    let message = find(api, request).await?.message;
    let entries = api
        .store
        .timeline(message.seq)
        .await
        .map_err(ApiError::store)?;
    let json = render::events(message.id, message.accepted_at, &entries);
    Ok(json_answer(
        StatusCode::OK,
        json.map_err(|_| unwritable())?.into(),
    ))
}

/// The caller's message that the path names.
async fn find(api: &Api, request: &Parts) -> Result<MessageView, ApiError> {
    let credential = auth::sign_in(&request.headers, &api.store).await?;
    let missing = || {
        let message = "there is no message with this id; check it, it is in the answer to the send";
        ApiError::new(Code::NotFound, message)
    };
    let path = request.uri.path();
    let id = path
        .strip_prefix(MESSAGES)
        .map(|id| id.strip_suffix(EVENTS).unwrap_or(id));
    let id = id
        .and_then(|id| Uuid::try_parse(id).ok())
        .ok_or_else(missing)?;
    let found = api.store.message(credential.org.id, MessageId(id)).await;
    found.map_err(ApiError::store)?.ok_or_else(missing)
}

pub(super) fn unwritable() -> ApiError {
    ApiError::new(
        Code::ServerError,
        "the answer could not be written; tell us the request id",
    )
}

/// Bounds a read from the store.
async fn within<T>(
    deadline: Instant,
    work: impl Future<Output = Result<T, ApiError>>,
) -> Result<T, ApiError> {
    timeout_at(deadline, work).await.unwrap_or_else(|_| {
        Err(ApiError::new(
            Code::Overloaded,
            "the store did not answer in time; try again shortly",
        ))
    })
}

fn json_answer(status: StatusCode, json: Body) -> Response {
    let mut response = Response::new(json);
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
