//! Lives here: what the documentation says of keys.
//! Never here: keys.

use axum::http::Method;
use utoipa::ToSchema;

use super::Shown;
use crate::api::code::Code;
use crate::api::docs::{Book, Operation, ScopeName};

const TAG: &str = "Keys";

/// Describes the routes.
pub(in crate::api) fn describe(book: &mut Book) {
    let list = Operation::new(
        "listKeys",
        TAG,
        "List the keys",
        "The keys of your organisation that are not revoked, the newest first. No key itself is ever shown again: know \
         them by `prefix` and `name`. A test key sees test keys.",
    )
    .answers_many::<Shown<'_>>("The keys.", KEYS);
    let create = Operation::new(
        "createKey",
        TAG,
        "Create a key",
        "Makes a key and shows it, this once. What you leave out is as with the key that you call with, and no key can \
         be worth more than that one.",
    )
    .may_take::<KeyRequest>(REQUEST)
    .answers::<Shown<'_>>(201, "The key; keep `key`, it is not shown again.", CREATED)
    .refuses(&[Code::Unprocessable, Code::Conflict]);
    let read = Operation::new(
        "getKey",
        TAG,
        "Get a key",
        "What a key is worth, and when it was used last.",
    )
    .answers::<Shown<'_>>(200, "The key.", KEY);
    let revoke = Operation::new(
        "revokeKey",
        TAG,
        "Revoke a key",
        "From now on the key is refused. Revoking it again changes nothing. A key with the scope `admin` is revoked \
         by such a key only.",
    )
    .answers::<Shown<'_>>(200, "The key, revoked.", KEY);
    let rotate = Operation::new(
        "rotateKey",
        TAG,
        "Rotate a key",
        "Makes a successor that is worth the same, and ends the key at once, or after `grace_seconds`.",
    )
    .may_take::<KeyRotation>(r#"{"grace_seconds": 3600}"#)
    .answers::<Shown<'_>>(201, "The successor; keep `key`, it is not shown again.", CREATED)
    .refuses(&[Code::Unprocessable, Code::Conflict]);
    for (method, path, operation) in [
        (Method::GET, "/v1/keys", list),
        (Method::POST, "/v1/keys", create),
        (Method::GET, "/v1/keys/{id}", read),
        (Method::DELETE, "/v1/keys/{id}", revoke),
        (Method::POST, "/v1/keys/{id}/rotate", rotate),
    ] {
        book.add(method, path, operation);
    }
}

/// A key to make.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a form only: the body has types that check more")]
struct KeyRequest {
    /// What you know it by.
    #[schema(max_length = 64, nullable = false)]
    name: Option<String>,
    /// `live` or `test`.
    environment: Option<KeyEnvironment>,
    /// What it may do.
    #[schema(min_items = 1)]
    scopes: Option<Vec<ScopeName>>,
    /// The senders that it may use; none: all of the organisation's.
    #[schema(max_items = 100)]
    senders: Option<Vec<String>>,
    /// The addresses or networks that it may be used from; none: all.
    #[schema(max_items = 100, examples("192.0.2.0/24"))]
    ips: Option<Vec<String>>,
    /// When it ends: RFC 3339 with an offset.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// Where a key sends.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "a form only")]
enum KeyEnvironment {
    Live,
    Test,
}

/// How a key is rotated.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a form only: the body has types that check more")]
struct KeyRotation {
    /// How long the old key is still good.
    #[schema(maximum = 604800, nullable = false)]
    grace_seconds: Option<u64>,
}

const REQUEST: &str = r#"{
  "name": "billing",
  "scopes": ["sms:send", "messages:read"]
}"#;

const KEY: &str = r#"{
  "id": "019d5d7c-6a4d-7c30-9a53-3f1c2f9d6b1e",
  "name": "billing",
  "prefix": "sk_live_mw_8",
  "environment": "live",
  "status": "active",
  "scopes": ["sms:send", "messages:read"],
  "senders": [],
  "ips": [],
  "rate_per_minute": null,
  "created_at": "2026-04-05T12:03:04.485Z",
  "expires_at": null,
  "last_used_at": "2026-04-05T12:05:06.751Z",
  "revoked_at": null,
  "replaced_by": null
}"#;

const KEYS: &str = r#"[{
  "id": "019d5d7c-6a4d-7c30-9a53-3f1c2f9d6b1e",
  "name": "billing",
  "prefix": "sk_live_mw_8",
  "environment": "live",
  "status": "active",
  "scopes": ["sms:send", "messages:read"],
  "senders": [],
  "ips": [],
  "rate_per_minute": null,
  "created_at": "2026-04-05T12:03:04.485Z",
  "expires_at": null,
  "last_used_at": "2026-04-05T12:05:06.751Z",
  "revoked_at": null,
  "replaced_by": null
}]"#;

const CREATED: &str = r#"{
  "id": "019d5d7c-6a4d-7c30-9a53-3f1c2f9d6b1e",
  "name": "billing",
  "prefix": "sk_live_mw_8",
  "environment": "live",
  "status": "active",
  "scopes": ["sms:send", "messages:read"],
  "senders": [],
  "ips": [],
  "rate_per_minute": null,
  "created_at": "2026-04-05T12:03:04.485Z",
  "expires_at": null,
  "last_used_at": null,
  "revoked_at": null,
  "replaced_by": null,
  "key": "sk_live_mw_…"
}"#;
