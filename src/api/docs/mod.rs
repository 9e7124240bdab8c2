//! Lives here: the documentation that the gateway serves itself: the OpenAPI description, its
//! interactive page, the Postman collection, the pages of the errors. All of it is made once, of
//! what stands beside the handlers, and needs nothing from elsewhere.
//! Never here: what is said of one route (`v1`).

mod book;
#[cfg(test)]
mod contract;
mod errors;
#[cfg(test)]
mod growth;
mod llms;
mod openapi;
mod page;
mod postman;
mod samples;
mod webhooks;
mod words;

use std::sync::LazyLock;

use axum::body::{Body, Bytes};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub(super) use self::book::{Book, Operation};
pub(super) use self::errors::ERRORS;
pub(super) use self::words::{
    ClassName, EncodingName, ErrorCode, ErrorFamily, EventStatus, Failure, Metadata, Number,
    ScopeName, Status, StatusDetail, Tags,
};
use super::code::Code;
use super::doors::Doors;
use super::error::ApiError;
use super::v1;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// A client asks again whether it has the newest; the page's files change with the daemon alone.
const ASK: HeaderValue = HeaderValue::from_static("no-cache");
const KEEP: HeaderValue = HeaderValue::from_static("public, max-age=3600");

/// The pages' routes.
pub(super) fn doors(doors: Doors) -> Doors {
    doors
        .page("/openapi.json", |head| Ok(DOCUMENTS.openapi.answer(head)))
        .page("/postman.json", |head| Ok(DOCUMENTS.postman.answer(head)))
        .page("/llms.txt", |head| Ok(DOCUMENTS.llms.answer(head)))
        .page("/docs", page::entry)
        .page("/docs/", page::file)
        .page("/docs/{file}", page::file)
        .page("/docs/errors", errors::list)
        .page("/docs/errors/{code}", errors::page)
}

/// What is made once.
struct Documents {
    openapi: Prepared,
    postman: Prepared,
    llms: Prepared,
}

static DOCUMENTS: LazyLock<Documents> = LazyLock::new(|| {
    let openapi = description();
    Documents {
        postman: Prepared::new(written(&postman::collection(&openapi)), JSON),
        llms: Prepared::new(llms::text(&openapi), TEXT),
        openapi: Prepared::new(written(&openapi), JSON),
    }
});

/// The OpenAPI description.
fn description() -> Value {
    let mut book = Book::default();
    v1::describe(&mut book);
    openapi::document(v1::doors().list(), book)
}

/// The ids of the routes that take a JSON body.
#[cfg(test)]
pub(super) fn bodies() -> Vec<&'static str> {
    let mut book = Book::default();
    v1::describe(&mut book);
    let pages = book.pages.iter().map(|page| &page.operation);
    let taking = pages.filter(|operation| operation.body.is_some());
    taking.map(|operation| operation.id).collect()
}

/// As it is committed and served: for people too.
fn written(value: &Value) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}

/// A document that stays the same as long as the daemon runs.
struct Prepared {
    bytes: Bytes,
    kind: HeaderValue,
    /// What tells one state of it from another.
    tag: HeaderValue,
}

impl Prepared {
    fn new(text: String, kind: HeaderValue) -> Self {
        let digest = Sha256::digest(text.as_bytes());
        let digits: String = digest[..8]
            .iter()
            .map(|octet| format!("{octet:02x}"))
            .collect();
        let tag = HeaderValue::try_from(format!("\"{digits}\""));
        Self {
            bytes: text.into(),
            kind,
            tag: tag.unwrap_or(HeaderValue::from_static("\"\"")),
        }
    }

    /// The document, or that the client has it.
    fn answer(&self, head: &Parts) -> Response {
        let has = head
            .headers
            .get_all(header::IF_NONE_MATCH)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|one| one.trim().trim_start_matches("W/").as_bytes() == self.tag.as_bytes());
        let mut response = fixed(self.bytes.clone(), self.kind.clone());
        if has {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            *response.body_mut() = Body::empty();
        }
        let headers = response.headers_mut();
        headers.insert(header::ETAG, self.tag.clone());
        headers.insert(header::CACHE_CONTROL, ASK);
        response
    }
}

/// A page.
fn fixed(body: impl Into<Body>, kind: HeaderValue) -> Response {
    let mut response = Response::new(body.into());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(header::CACHE_CONTROL, KEEP);
    let sniffing = HeaderValue::from_static("nosniff");
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, sniffing);
    response
}

fn missing(message: &'static str) -> ApiError {
    ApiError::new(Code::NotFound, message)
}

/// What is said of the pages themselves.
pub(super) fn describe(book: &mut Book) {
    for (path, operation) in pages() {
        book.add(Method::GET, path, operation);
    }
}

fn pages() -> [(&'static str, Operation); 5] {
    let page = |id, summary, text| Operation::new(id, "Documentation", summary, text);
    let string = || json!({"type": "string"});
    let prepared = |operation: Operation, kind, example| {
        operation
            .header("If-None-Match", string(), "The ETag of what you have.")
            .answers_text(200, "The document; it has an ETag.", kind, example)
            .answers_text(304, "You have it.", kind, example)
    };
    let openapi = page(
        "getOpenapi",
        "This description",
        "The OpenAPI description of this gateway.",
    );
    let postman = page(
        "getPostman",
        "The Postman collection",
        "The same as a collection (v2.1) to import.",
    );
    let llms = page(
        "getLlms",
        "The API in short",
        "The same in short, for language models.",
    );
    let errors = page(
        "listErrors",
        "The codes of errors",
        "All codes, and what to do about each.",
    );
    let error = page(
        "getError",
        "An error's page",
        "What a code means and what to do about it; `doc_url` leads here.",
    );
    let code = json!({"$ref": "#/components/schemas/ErrorCode"});
    let shown = "invalid_request (HTTP 400)";
    [
        ("/openapi.json", prepared(openapi, book::JSON, "{}")),
        ("/postman.json", prepared(postman, book::JSON, "{}")),
        ("/llms.txt", prepared(llms, "text/plain", "# Mnara API")),
        (
            "/docs/errors",
            errors.answers_text(200, "The codes.", "text/plain", shown),
        ),
        (
            "/docs/errors/{code}",
            error.place("code", code, "The code.").answers_text(
                200,
                "The page.",
                "text/plain",
                shown,
            ),
        ),
    ]
}
