//! Lives here: the endpoints about keys: listed, shown, created, rotated, revoked.
//! Never here: what a key is worth (`domain::account`); the form of keys (`domain::api_key`).

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use ipnet::IpNet;
use rand::Rng;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::Admin;
use super::error::{self, Refused};
use super::request::{
    Asked, Body, Done, Operator, asked, changed, in_time, now, organisation, read, told,
};
use crate::domain::account::{ApiKey, KEYS_MAX};
use crate::domain::api_key::NewKey;
use crate::domain::ids::KeyId;
use crate::domain::key_form::{self, FormError};
use crate::domain::time::Timestamp;
use crate::store::people::{Changed, KeysOf};
use crate::tokens::is_token;

/// A week: longer than any roll-out.
const GRACE_MAX_S: u64 = 604_800;

/// Whose keys.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Whose {
    /// Name or id.
    org: String,
    /// Also those that are revoked: as many as an organisation may have at once, the newest.
    #[serde(default)]
    all: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Name or id.
    org: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    test: bool,
    scopes: Option<Vec<String>>,
    #[serde(default)]
    senders: Vec<String>,
    #[serde(default)]
    ips: Vec<String>,
    /// RFC 3339.
    expires_at: Option<String>,
    /// Requests a minute.
    rate: Option<u32>,
    /// A key that was made elsewhere.
    key: Option<SecretString>,
    /// It may be one that can be guessed.
    #[serde(default)]
    weak: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotation {
    #[serde(default)]
    grace_s: u64,
}

#[derive(Serialize)]
struct Listed<'a> {
    keys: Vec<Shown<'a>>,
}

/// A key as an operator sees it.
#[derive(Serialize)]
struct Shown<'a> {
    id: Uuid,
    org: Uuid,
    name: &'a str,
    prefix: &'a str,
    environment: &'static str,
    status: &'static str,
    scopes: Vec<&'static str>,
    senders: &'a [Box<str>],
    ips: Vec<String>,
    rate: Option<u32>,
    created_at: String,
    expires_at: Option<String>,
    last_used_at: Option<String>,
    revoked_at: Option<String>,
    replaced_by: Option<Uuid>,
    /// The key itself, this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
}

impl<'a> Shown<'a> {
    fn new(key: &'a ApiKey, secret: Option<&'a SecretString>) -> Self {
        Self {
            id: key.id.0,
            org: key.org.0,
            name: &key.name,
            prefix: &key.prefix,
            environment: if key.live { "live" } else { "test" },
            status: key.standing(now()).name(),
            scopes: key.scopes.names().collect(),
            senders: &key.senders,
            ips: key.networks.iter().map(IpNet::to_string).collect(),
            rate: key.rate,
            created_at: told(key.created_at),
            expires_at: key.expires_at.map(told),
            last_used_at: key.last_used_at.map(told),
            revoked_at: key.revoked_at.map(told),
            replaced_by: key.replaced_by.map(|id| id.0),
            key: secret.map(ExposeSecret::expose_secret),
        }
    }
}

/// `GET /admin/v1/keys?org=…`.
pub(super) async fn list(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    whose: Asked<Whose>,
) -> Result<Response, Refused> {
    Operator::admit(&admin, &headers)?;
    let whose = asked(whose)?;
    let wanted = KeysOf {
        org: organisation(&admin, &whose.org).await?.id,
        unrevoked: (!whose.all).then(now),
        test_only: false,
        limit: KEYS_MAX,
    };
    let keys = in_time(admin.parts.store.keys_of(&wanted)).await?;
    let keys = keys.iter().map(|key| Shown::new(key, None)).collect();
    Ok(error::json(StatusCode::OK, &Listed { keys }))
}

/// `GET /admin/v1/keys/{id}`.
pub(super) async fn show(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    Operator::admit(&admin, &headers)?;
    let key = find(&admin, &id).await?;
    Ok(error::json(StatusCode::OK, &Shown::new(&key, None)))
}

/// `POST /admin/v1/keys`.
pub(super) async fn create(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let operator = Operator::admit(&admin, &headers)?;
    let wanted: Wanted = read(body)?;
    let org = organisation(&admin, &wanted.org).await?;
    let brought = wanted.key.as_ref();
    let new = match brought {
        None => secret(!wanted.test),
        Some(text) if is_token(text.expose_secret()) => {
            return Err(Refused::invalid(
                "the key has the form of a user's token; take another",
            ));
        }
        Some(text) => NewKey::brought(!wanted.test, text.expose_secret(), wanted.weak)
            .map_err(|error| Refused::invalid(error.to_string()))?,
    };
    let ids = (KeyId(Uuid::now_v7()), org.id);
    let plain = ApiKey::new(ids, (new.hash, new.prefix), !wanted.test, now());
    let scopes = wanted.scopes.as_deref().map(key_form::scopes);
    let record = ApiKey {
        name: key_form::name(&wanted.name).map_err(mistyped)?,
        scopes: scopes
            .transpose()
            .map_err(mistyped)?
            .unwrap_or(plain.scopes),
        senders: key_form::senders(&wanted.senders).map_err(mistyped)?,
        networks: key_form::networks(&wanted.ips).map_err(mistyped)?,
        expires_at: wanted.expires_at.as_deref().map(expiry).transpose()?,
        rate: wanted.rate,
        ..plain
    };
    if record.rate == Some(0) {
        return Err(Refused::invalid("rate must be at least 1 request a minute"));
    }
    let subject = record.id.to_string();
    let mut detail = detail(&record);
    if brought.is_some() {
        detail["brought"] = true.into();
        detail["weak"] = wanted.weak.into();
    }
    let audit = operator.entry("key.create", &subject, &detail, "created");
    let store = &admin.parts.store;
    let created = changed(store.create_key(record.clone(), Some(audit))).await;
    let created = created.and_then(|done| match done {
        Changed::Done => Ok(()),
        Changed::Full => Err(Refused::conflict(format!(
            "the organisation has {KEYS_MAX} keys; revoke some first"
        ))),
        Changed::Taken | Changed::Missing => Err(Refused::conflict(match brought {
            None => "the key could not be created; try again",
            Some(_) => "there is a key with this secret already, perhaps of another organisation",
        })),
    });
    operator.told(("key.create", &subject), created)?;
    // Who brought it has it.
    let shown = Shown::new(&record, Some(&new.text).filter(|_| brought.is_none()));
    Ok(error::json(StatusCode::CREATED, &shown))
}

/// `POST /admin/v1/keys/{id}/rotate`: the old one works for so long still.
pub(super) async fn rotate(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    Path(id): Path<String>,
    body: Body,
) -> Result<Response, Refused> {
    let operator = Operator::admit(&admin, &headers)?;
    let Rotation { grace_s } = read(body)?;
    if grace_s > GRACE_MAX_S {
        return Err(Refused::invalid("grace must be at most 7 days"));
    }
    let old = find(&admin, &id).await?;
    let new = secret(old.live);
    let at = now();
    let (subject, old_id) = (old.id.to_string(), old.id);
    let record = ApiKey {
        id: KeyId(Uuid::now_v7()),
        hash: new.hash,
        prefix: new.prefix,
        created_at: at,
        revoked_at: None,
        replaced_by: None,
        last_used_at: None,
        ..old
    };
    let ends = Timestamp(at.0 + 1000 * grace_s.cast_signed());
    let audit = operator.entry("key.rotate", &subject, &detail(&record), "rotated");
    let store = &admin.parts.store;
    let rotated = changed(store.rotate_key(old_id, ends, record.clone(), audit)).await;
    let rotated = rotated.and_then(|done| match done {
        Changed::Done => Ok(()),
        Changed::Full => Err(Refused::conflict(format!(
            "the organisation has {KEYS_MAX} keys: there is no room for both; rotate it without grace, \
             or revoke some first"
        ))),
        Changed::Taken | Changed::Missing => Err(Refused::conflict(
            "the key has been revoked or has a successor already; rotate that one",
        )),
    });
    operator.told(("key.rotate", &subject), rotated)?;
    let shown = Shown::new(&record, Some(&new.text));
    Ok(error::json(StatusCode::CREATED, &shown))
}

/// `POST /admin/v1/keys/{id}/revoke`.
pub(super) async fn revoke(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    let operator = Operator::admit(&admin, &headers)?;
    let key = find(&admin, &id).await?;
    let subject = key.id.to_string();
    let audit = operator.entry("key.revoke", &subject, &detail(&key), "revoked");
    let revoked = changed(admin.parts.store.revoke_key(key.org, key.id, audit)).await;
    let revoked = revoked.and_then(|done| match done {
        Changed::Done => Ok(()),
        Changed::Taken | Changed::Missing | Changed::Full => {
            Err(Refused::conflict("the key has been revoked before"))
        }
    });
    operator.told(("key.revoke", &subject), revoked)?;
    let outcome = format!(
        "the key {}… is revoked: no request is let in by it",
        key.prefix
    );
    Ok(Done::new(outcome, None).answer())
}

async fn find(admin: &Admin, typed: &str) -> Result<ApiKey, Refused> {
    let missing = || Refused::missing("there is no key with this id; see `ctl keys list`");
    let id = Uuid::try_parse(typed.trim()).map_err(|_| missing())?;
    let found = in_time(admin.parts.store.key(KeyId(id))).await?;
    found.ok_or_else(missing)
}

fn secret(live: bool) -> NewKey {
    let mut octets = [0; 32];
    rand::rng().fill_bytes(&mut octets);
    NewKey::from_random(live, octets)
}

fn expiry(typed: &str) -> Result<Timestamp, Refused> {
    let at: Option<jiff::Timestamp> = typed.trim().parse().ok();
    let at = at.map(|at| Timestamp(at.as_millisecond()));
    at.filter(|at| *at > now()).ok_or_else(|| {
        Refused::invalid(
            "expires must be RFC 3339 with an offset, such as 2027-01-31T00:00:00Z, later than now",
        )
    })
}

fn mistyped(error: FormError) -> Refused {
    Refused::invalid(error.message)
}

fn detail(key: &ApiKey) -> serde_json::Value {
    json!({
        "org": key.org.0, "prefix": key.prefix, "name": key.name, "live": key.live,
        "scopes": key.scopes.names().collect::<Vec<_>>(), "senders": key.senders,
        "ips": key.networks.iter().map(IpNet::to_string).collect::<Vec<_>>(), "rate": key.rate,
    })
}
