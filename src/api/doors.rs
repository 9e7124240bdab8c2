//! Lives here: the table of routes and the way of every request through it: its id, its caller, the
//! scope that it needs, its handler, its answer.
//! Never here: handlers (`v1`), the listener (`server`).

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};

use super::auth;
use super::call::{Api, Call, Visit};
use super::client::Peer;
use super::code::Code;
use super::deadline::within;
use super::error::ApiError;
use super::limits::Policy;
use super::query::Query;
use crate::domain::scope::Scope;
use crate::store::{Credential, StoreError};
use crate::telemetry::metrics::api::Route;

/// The routes, as they are collected.
#[derive(Default)]
pub(super) struct Doors {
    doors: Vec<Door>,
    /// The next one has a query of its own.
    queried: bool,
    paths: BTreeMap<&'static str, MethodRouter<Arc<Api>>>,
}

/// One of them.
#[derive(Clone, Debug)]
pub(super) struct Door {
    pub(super) method: Method,
    /// Its path, with `{name}` where a parameter stands.
    pub(super) path: &'static str,
    /// What its caller must have; `None`: it is open to all.
    pub(super) scope: Option<Scope>,
    /// The status of its success.
    usual: u16,
    /// A change that reads its query.
    pub(super) queried: bool,
}

impl Doors {
    /// A read. It is bounded by the request's time as a whole.
    pub(super) fn get<H, F>(self, path: &'static str, scope: Scope, handler: H) -> Self
    where
        H: Fn(Visit) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<Response, ApiError>> + Send,
    {
        let bounded = move |visit: Visit| {
            let deadline = visit.deadline;
            let reading = handler(visit);
            within(deadline, reading)
        };
        self.visited((Method::GET, 200), path, scope, bounded)
    }

    /// A change that is answered with `usual` when it is done. What it waits for it bounds itself:
    /// only it knows what is in doubt when the time is up.
    pub(super) fn post<H, F>(self, path: &'static str, usual: u16, scope: Scope, handler: H) -> Self
    where
        H: Fn(Visit) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<Response, ApiError>> + Send,
    {
        self.visited((Method::POST, usual), path, scope, handler)
    }

    /// The change that is named next reads its query. The others refuse any: what is to be only tried
    /// must not be done.
    pub(super) fn with_query(mut self) -> Self {
        self.queried = true;
        self
    }

    /// As [`Doors::post`], for a caller that has either of two scopes; which of them it must be, the
    /// handler finds out.
    pub(super) fn post_either<H, F>(
        self,
        path: &'static str,
        usual: u16,
        (scope, or): (Scope, Scope),
        handler: H,
    ) -> Self
    where
        H: Fn(Visit) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<Response, ApiError>> + Send,
    {
        self.led((Method::POST, usual), path, (scope, Some(or)), handler)
    }

    /// As [`Doors::post`].
    pub(super) fn patch<H, F>(self, path: &'static str, scope: Scope, handler: H) -> Self
    where
        H: Fn(Visit) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<Response, ApiError>> + Send,
    {
        self.visited((Method::PATCH, 200), path, scope, handler)
    }

    /// As [`Doors::post`].
    pub(super) fn delete<H, F>(self, path: &'static str, scope: Scope, handler: H) -> Self
    where
        H: Fn(Visit) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<Response, ApiError>> + Send,
    {
        self.visited((Method::DELETE, 200), path, scope, handler)
    }

    /// A page for everybody.
    pub(super) fn page(
        self,
        path: &'static str,
        handler: fn(&Parts) -> Result<Response, ApiError>,
    ) -> Self {
        let meter = Arc::new(Route::new("other", 404));
        let page = move |State(api): State<Arc<Api>>, request: Request| {
            let (head, _) = request.into_parts();
            let answer = Call::new(&head.headers, &api).answer(&meter, handler(&head));
            async move { answer }
        };
        let door = Door {
            method: Method::GET,
            path,
            scope: None,
            usual: 200,
            queried: false,
        };
        self.add(door, on(MethodFilter::GET, page))
    }

    fn visited<H, F>(
        self,
        (method, usual): (Method, u16),
        path: &'static str,
        scope: Scope,
        handler: H,
    ) -> Self
    where
        H: Fn(Visit) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<Response, ApiError>> + Send,
    {
        self.led((method, usual), path, (scope, None), handler)
    }

    fn led<H, F>(
        mut self,
        (method, usual): (Method, u16),
        path: &'static str,
        (scope, or): (Scope, Option<Scope>),
        handler: H,
    ) -> Self
    where
        H: Fn(Visit) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<Response, ApiError>> + Send,
    {
        let filter = match method {
            Method::POST => MethodFilter::POST,
            Method::PATCH => MethodFilter::PATCH,
            Method::DELETE => MethodFilter::DELETE,
            _ => MethodFilter::GET,
        };
        let door = Door {
            method,
            path,
            scope: Some(scope),
            usual,
            queried: std::mem::take(&mut self.queried),
        };
        let way = Arc::new(Way {
            meter: Route::new(path, door.usual),
            changes: filter != MethodFilter::GET,
            queried: door.queried,
            path,
            scope,
            or,
            policy: if scope == Scope::CreditsRead {
                Policy::Credits
            } else {
                Policy::Default
            },
        });
        let serve = move |State(api): State<Arc<Api>>, request: Request| {
            let (way, handler) = (Arc::clone(&way), handler.clone());
            async move { way.serve(api, request, handler).await }
        };
        self.add(door, on(filter, serve))
    }

    fn add(mut self, door: Door, method: MethodRouter<Arc<Api>>) -> Self {
        let there = self.paths.remove(door.path).unwrap_or_default();
        self.paths.insert(door.path, there.merge(method));
        self.doors.push(door);
        self
    }

    /// All of them, in the order in which they were named.
    pub(super) fn list(&self) -> &[Door] {
        &self.doors
    }

    /// The router; what is not among the routes is refused.
    pub(super) fn router(self, api: Arc<Api>) -> Router {
        let other = Arc::new(Route::new("other", 404));
        let mut router = Router::new();
        for (path, methods) in self.paths {
            let allowed = allowed(self.doors.iter().filter(|door| door.path == path));
            let meter = Arc::clone(&other);
            let refuse = move |State(api): State<Arc<Api>>, request: Request| {
                let answer = not_allowed(&api, &meter, &request, &allowed);
                async move { answer }
            };
            router = router.route(path, methods.fallback(refuse));
        }
        let unknown = move |State(api): State<Arc<Api>>, request: Request| {
            let message = "there is nothing at this path; the API's paths begin with /v1/";
            let error = ApiError::new(Code::NotFound, message);
            let answer = Call::new(request.headers(), &api).answer(&other, Err(error));
            async move { answer }
        };
        router.fallback(unknown).with_state(api)
    }
}

/// The way of a request to a handler.
struct Way {
    meter: Route,
    /// It changes something: pointless while nothing can be kept.
    changes: bool,
    /// It has a query of its own.
    queried: bool,
    path: &'static str,
    scope: Scope,
    /// Or this one.
    or: Option<Scope>,
    policy: Policy,
}

impl Way {
    async fn serve<F>(
        &self,
        api: Arc<Api>,
        request: Request,
        handler: impl Fn(Visit) -> F,
    ) -> Response
    where
        F: Future<Output = Result<Response, ApiError>>,
    {
        let mut call = Call::new(request.headers(), &api);
        let peer = request.extensions().get().copied().unwrap_or(Peer::NOBODY);
        let from = (request.headers(), peer);
        let admitted = self.admit(&api, from, &mut call).await;
        let done = match admitted.and_then(|caller| self.unasked(request.uri(), caller)) {
            Ok(caller) => handler(Visit::new(api, caller, request, self.path, &call)).await,
            Err(error) => Err(error),
        };
        call.answer(&self.meter, done)
    }

    /// Refuses a query of a change that has none.
    fn unasked<T>(&self, uri: &Uri, caller: T) -> Result<T, ApiError> {
        if let Some(query) = uri.query().filter(|_| self.changes && !self.queried) {
            Query::of_text(query, &[])?;
        }
        Ok(caller)
    }

    async fn admit(
        &self,
        api: &Api,
        (headers, peer): (&HeaderMap, Peer),
        call: &mut Call,
    ) -> Result<Arc<Credential>, ApiError> {
        if self.changes && !api.store.health().is_well() {
            // It could not be kept: who asks need not wait until his key has not been found.
            return Err(ApiError::store(StoreError::Unavailable));
        }
        let signed_in = within(call.deadline, auth::sign_in(headers, peer, api)).await;
        let caller = signed_in.map_err(|error| {
            let failed = error.code.status() == StatusCode::UNAUTHORIZED;
            if !failed && error.code != Code::IpNotAllowed {
                return error;
            }
            let from = peer.client(headers, &api.proxies);
            api.limits.failed(from).unwrap_or(error)
        })?;
        call.standing = api.limits.count(&caller, self.policy);
        if let Some(refusal) = call.standing.and_then(|standing| standing.refusal()) {
            return Err(refusal);
        }
        if caller.may(self.scope) || self.or.is_some_and(|other| caller.may(other)) {
            Ok(caller)
        } else {
            Err(ApiError::lacks(self.scope))
        }
    }
}

/// The Allow header of a path.
fn allowed<'a>(doors: impl Iterator<Item = &'a Door>) -> HeaderValue {
    let mut methods = Vec::new();
    for door in doors {
        methods.push(door.method.as_str());
        if door.method == Method::GET {
            methods.push("HEAD");
        }
    }
    HeaderValue::try_from(methods.join(",")).unwrap_or(HeaderValue::from_static("GET"))
}

fn not_allowed(api: &Api, meter: &Route, request: &Request, allowed: &HeaderValue) -> Response {
    let shown = allowed.to_str().unwrap_or_default();
    let message = format!("this path takes {shown} only");
    let error = ApiError::new(Code::MethodNotAllowed, message);
    let mut response = Call::new(request.headers(), api).answer(meter, Err(error));
    response
        .headers_mut()
        .insert(header::ALLOW, allowed.clone());
    if request.method() == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    response
}
