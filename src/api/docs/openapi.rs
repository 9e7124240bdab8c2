//! Lives here: the OpenAPI 3.1 description as JSON, made of the routes (`Doors`) and what is said
//! beside their handlers (`Book`), with what all routes share: how to sign in, headers, errors.
//! Never here: what one route takes and answers (`v1`).

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::ERRORS;
use super::book::{self, Answer, Book, JSON, Operation, Page};
use super::samples;
use super::webhooks;
use crate::api::code::Code;
use crate::api::doors::Door;
use crate::api::error;

const PROBLEM: &str = "application/problem+json";

/// What is said of the API as a whole.
const INTRODUCTION: &str = "Send SMS to the mobile networks of Tanzania and Nigeria and learn what became of them.\n\n\
**Signing in.** `Authorization: Bearer KEY` or `X-API-Key: KEY`. Keys that begin with `sk_live_` send; those that begin \
with `sk_test_` go the same way, but reach no carrier and cost nothing.\n\n\
**Answers** are `{\"success\":true,\"data\":…}`. Errors have a `code` that never changes its meaning, a `message`, the \
field (`error.param`, `errors[].pointer`) and the page of the code (`error.doc_url`); with \
`Accept: application/problem+json` they have the form of RFC 9457. Every answer has an `X-Request-Id`.\n\n\
**Sending twice by mistake.** Give each send, bulk send and launch of a campaign an `Idempotency-Key`: if it is sent again \
within 24 hours, its first answer is given again and nothing happens a second time. Other requests do not look at it.\n\n\
**Growth.** `/v1` only grows: new routes, optional fields and values of enumerations may come, nothing goes. Read \
answers with that in mind.";

const TAGS: [(&str, &str); 7] = [
    (
        "Messages",
        "One message at a time: send, read back, follow, take back.",
    ),
    (
        "Bulk",
        "One text for up to 10,000 recipients, asynchronously.",
    ),
    (
        "Campaigns",
        "Bulk sends that are prepared, kept and started later.",
    ),
    ("Credits", "What is left to send with."),
    (
        "Webhooks",
        "Where events are sent to, what was sent, and sending it again.",
    ),
    ("Keys", "The API keys of the organisation."),
    ("Documentation", "This description and what is made of it."),
];

/// The description of these routes.
pub(super) fn document(doors: &[Door], mut book: Book) -> Value {
    let hooks = webhooks::section(&mut book);
    error::describe(&mut book);
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    let mut refusals = BTreeMap::new();
    for page in &book.pages {
        let door = doors
            .iter()
            .find(|door| door.path == page.path && door.method == page.method);
        let scope = door.and_then(|door| door.scope);
        let method = page.method.as_str().to_ascii_lowercase();
        let scope = scope.map(|scope| scope.name());
        let described = operation(page, scope, &mut refusals);
        paths
            .entry(page.path)
            .or_default()
            .insert(method, described);
    }
    let used = |tag: &str| book.pages.iter().any(|page| page.operation.tag == tag);
    let tags: Vec<Value> = TAGS
        .into_iter()
        .filter(|(name, _)| used(name))
        .map(|(name, text)| json!({"name": name, "description": text}))
        .collect();
    let schemas = book.schemas;
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Mnara API", "version": "1.0.0", "description": INTRODUCTION,
            "license": {"name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT"},
        },
        "servers": [{"url": "/", "description": "The gateway that serves this description."}],
        "tags": tags,
        "paths": paths,
        "webhooks": hooks,
        "components": {
            "schemas": schemas,
            "responses": refusals,
            "examples": examples(),
            "headers": headers(),
            "securitySchemes": {
                "bearer": {
                    "type": "http", "scheme": "bearer",
                    "description": "An API key, or the token (JWT) of a user.",
                },
                "apiKey": {
                    "type": "apiKey", "in": "header", "name": "X-API-Key",
                    "description": "An API key.",
                },
            },
        },
    })
}

/// The codes that a route may answer with: its own, and those of every route with such a caller,
/// path, query or body.
fn codes(operation: &Operation, path: &str, guarded: bool) -> Vec<Code> {
    let mut codes = operation.codes.clone();
    let has = |place: &str| operation.parameters.iter().any(|one| one.place == place);
    if guarded {
        codes.extend([
            Code::Unauthorized,
            Code::KeyExpired,
            Code::Forbidden,
            Code::IpNotAllowed,
            Code::RateLimitExceeded,
            Code::ServerError,
            Code::Overloaded,
        ]);
    }
    if path.contains('{') {
        codes.push(Code::NotFound);
    }
    let asks = guarded && (has("query") || has("header"));
    if asks || operation.body.is_some() || operation.idempotent {
        codes.push(Code::InvalidRequest);
    }
    if operation.body.is_some() {
        codes.extend([
            Code::RequestTimeout,
            Code::PayloadTooLarge,
            Code::UnsupportedMediaType,
        ]);
    }
    if operation.idempotent {
        codes.extend([Code::IdempotencyInProgress, Code::IdempotencyKeyReused]);
    }
    let mut every = Code::ALL.to_vec();
    every.retain(|code| codes.contains(code));
    every
}

fn operation(
    page: &Page,
    scope: Option<&'static str>,
    refusals: &mut BTreeMap<String, Value>,
) -> Value {
    let operation = &page.operation;
    let codes = codes(operation, page.path, scope.is_some());
    let mut responses = Map::new();
    for answer in &operation.answers {
        let described = answer_of(answer, operation, scope.is_some());
        responses.insert(answer.status.to_string(), described);
    }
    let mut statuses: Vec<StatusCode> = codes.iter().map(|code| code.status()).collect();
    statuses.dedup();
    for status in statuses {
        let named = codes.iter().filter(|code| code.status() == status);
        let named: Vec<Code> = named.copied().collect();
        let names: Vec<&str> = named.iter().map(|code| code.name()).collect();
        // The same refusals have one place and one name.
        let name = names.join(".") + if scope.is_some() { "" } else { ".open" };
        let reference = json!({"$ref": format!("#/components/responses/{name}")});
        refusals
            .entry(name)
            .or_insert_with(|| refusal(status, &named, scope.is_some()));
        responses
            .entry(status.as_str().to_owned())
            .or_insert(reference);
    }
    let names: Vec<&str> = codes.iter().map(|code| code.name()).collect();
    let text = match scope {
        Some(scope) => format!("{}\n\nScope: `{scope}`.", operation.text),
        None => operation.text.to_owned(),
    };
    let security = match scope {
        Some(scope) => json!([{"bearer": [scope]}, {"apiKey": [scope]}]),
        None => json!([]),
    };
    let mut described = json!({
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": text,
        "responses": responses,
        "security": security,
        "x-error-codes": names,
        "x-codeSamples": samples::of(page),
    });
    let parameters = parameters(page);
    if !parameters.is_empty() {
        described["parameters"] = parameters.into();
    }
    if let Some(body) = &operation.body {
        described["requestBody"] = json!({
            "required": !body.optional,
            "content": {JSON: {"schema": body.schema, "example": book::example_of(body.example)}},
        });
    }
    described
}

fn parameters(page: &Page) -> Vec<Value> {
    let operation = &page.operation;
    let mut parameters = Vec::new();
    for name in places(page.path) {
        if !operation.parameters.iter().any(|one| one.name == name) {
            parameters.push(json!({
                "name": name, "in": "path", "required": true,
                "description": "The id, as it was answered when this was made.",
                "schema": {"type": "string", "format": "uuid"},
            }));
        }
    }
    for one in &operation.parameters {
        parameters.push(json!({
            "name": one.name, "in": one.place, "required": one.place == "path",
            "description": one.text, "schema": one.schema,
        }));
    }
    if operation.idempotent {
        parameters.push(json!({
            "name": "Idempotency-Key", "in": "header", "required": false,
            "description": "Any text that is new for each thing to be done, for example a UUID. The same key with the \
                same body is answered as the first time, for 24 hours, with `Idempotent-Replayed: true`.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]{1,255}$"},
        }));
    }
    parameters
}

/// The names between braces.
pub(super) fn places(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

fn answer_of(answer: &Answer, operation: &Operation, guarded: bool) -> Value {
    let mut headers = shared_headers(guarded);
    if answer.located {
        headers.insert("Location".to_owned(), header("Location"));
    }
    if operation.idempotent {
        let name = "Idempotent-Replayed";
        headers.insert(name.to_owned(), header(name));
    }
    let mut described = json!({"description": answer.text, "headers": headers});
    let empty = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED];
    if !empty.iter().any(|status| status.as_u16() == answer.status) {
        let content = json!({"schema": answer.schema, "example": answer.example});
        described["content"] = json!({answer.kind: content});
        if let Some((kind, example)) = answer.or {
            let content = json!({"schema": {"type": "string"}, "example": example});
            described["content"][kind] = content;
        }
    }
    described
}

fn refusal(status: StatusCode, codes: &[Code], guarded: bool) -> Value {
    let mut headers = shared_headers(guarded);
    match status {
        StatusCode::UNAUTHORIZED => {
            headers.insert("WWW-Authenticate".to_owned(), header("WWW-Authenticate"));
        }
        StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            headers.insert("Retry-After".to_owned(), header("Retry-After"));
        }
        _ => {}
    }
    let mut text = Vec::new();
    let mut examples = Map::new();
    for code in codes {
        let (name, page) = (code.name(), code.page());
        text.push(format!("[`{name}`]({ERRORS}{name}): {page}"));
        let example = json!({"$ref": format!("#/components/examples/{name}")});
        examples.insert(name.to_owned(), example);
    }
    json!({
        "description": text.join("\n\n"),
        "headers": headers,
        "content": {
            JSON: {"schema": {"$ref": "#/components/schemas/Error"}, "examples": examples},
            PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}},
        },
    })
}

/// How each refusal looks.
fn examples() -> Map<String, Value> {
    let example = |code: &Code| {
        let name = code.name();
        let message = code.status().canonical_reason().unwrap_or("Error");
        let shown = json!({
            "success": false, "code": name, "message": message,
            "error": {
                "type": code.family(), "code": name, "message": message, "param": null,
                "doc_url": format!("{ERRORS}{name}"),
                "request_id": "019d5d7c-6a4d-7c30-9a53-3f1c2f9d6b1e",
            },
            "errors": [],
        });
        (name.to_owned(), json!({"summary": name, "value": shown}))
    };
    Code::ALL.iter().map(example).collect()
}

/// The headers of every answer.
const ALWAYS: [&str; 1] = ["X-Request-Id"];
/// The headers of every answer to a caller.
const LIMITS: [&str; 5] = [
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
    "RateLimit-Policy",
    "RateLimit",
];

fn shared_headers(guarded: bool) -> Map<String, Value> {
    let limits = if guarded { &LIMITS[..] } else { &[] };
    let names = ALWAYS.iter().chain(limits);
    names
        .map(|name| ((*name).to_owned(), header(name)))
        .collect()
}

fn header(name: &str) -> Value {
    json!({"$ref": format!("#/components/headers/{name}")})
}

fn headers() -> Value {
    let text = |text: &str| json!({"description": text, "schema": {"type": "string"}});
    let number =
        |text: &str| json!({"description": text, "schema": {"type": "integer", "minimum": 0}});
    json!({
        "X-Request-Id": text("The request's own `X-Request-Id` if it had a sane one, else a new one. Tell it to us when \
            something is wrong."),
        "X-RateLimit-Limit": number("Requests that the key may make in a minute."),
        "X-RateLimit-Remaining": number("Requests that are left in the present window."),
        "X-RateLimit-Reset": number("When the window ends, in seconds since 1970."),
        "RateLimit-Policy": text("The same limit in the form of the IETF draft: `\"default\";q=600;w=60`."),
        "RateLimit": text("What is left of it: `\"default\";r=599;t=60`."),
        "Retry-After": number("Seconds after which to try again."),
        "Location": text("The path of what was made."),
        "Idempotent-Replayed": json!({
            "description": "`true` on an answer that was given before, to the same `Idempotency-Key`.",
            "schema": {"type": "string", "const": "true"},
        }),
        "WWW-Authenticate": text("`Bearer`."),
    })
}
