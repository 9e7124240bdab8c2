//! Lives here: the interactive page: Swagger UI, whole in the binary, under a policy that lets it
//! load nothing from anywhere else.
//! Never here: the description that it shows.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use axum::body::{Body, Bytes};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use utoipa_swagger_ui::{Config, serve};

use super::{fixed, missing};
use crate::api::error::ApiError;

/// Where it is.
pub(super) const PAGE: &str = "/docs/";

/// The page sets styles of elements and shows pictures that stand in its own style sheet; all else
/// is a file of ours.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                      img-src 'self' data:; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
    // The key is not kept in the browser, and no validator elsewhere is asked.
    let config = Config::from("/openapi.json")
        .persist_authorization(false)
        .validator_url("none");
    Arc::new(config)
});

/// `/docs` is `/docs/`: the page names its files beside itself.
pub(super) fn entry(_: &Parts) -> Result<Response, ApiError> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, HeaderValue::from_static(PAGE));
    Ok(response)
}

/// The page and its files.
pub(super) fn file(head: &Parts) -> Result<Response, ApiError> {
    let name = head.uri.path().strip_prefix(PAGE).unwrap_or_default();
    let found = serve(name, Arc::clone(&CONFIG)).ok().flatten();
    let Some(file) = found else {
        return Err(missing("there is no such file of the page"));
    };
    let kind = HeaderValue::try_from(file.content_type.as_str())
        .unwrap_or(HeaderValue::from_static("application/octet-stream"));
    let bytes = match file.bytes {
        Cow::Borrowed(there) => Bytes::from_static(there),
        Cow::Owned(made) => made.into(),
    };
    let mut response = fixed(bytes, kind);
    let headers = response.headers_mut();
    let policy = HeaderValue::from_static(POLICY);
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    Ok(response)
}
