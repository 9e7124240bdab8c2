//! Lives here: `/v1/keys`: an organisation's keys, listed, created, rotated, revoked by those who may.
//! Never here: what a key is worth (`domain::account`); the form of keys (`domain::api_key`).

mod describe;

use axum::http::StatusCode;
use axum::response::Response;
use ipnet::IpNet;
use rand::Rng;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::call::Visit;
use crate::api::code::Code;
use crate::api::docs::ScopeName;
use crate::api::doors::Doors;
use crate::api::error::{ApiError, Problem};
use crate::api::json as answers;
use crate::api::query::Query;
use crate::api::time::{self, Text};
use crate::domain::account::{ApiKey, Beyond, KEYS_MAX};
use crate::domain::api_key::NewKey;
use crate::domain::ids::KeyId;
use crate::domain::key_form::{self, FormError};
use crate::domain::scope::Scope;
use crate::domain::time::Timestamp;
use crate::store::people::{Changed, KeysOf};
use crate::store::{AuditEntry, Caller, Credential};

pub(in crate::api) use self::describe::describe;

/// Octets of a body: a hundred senders and a hundred networks are less.
const BODY_MAX: usize = 16 * 1024;
/// How a caller sees what was made of a change.
const LOOK: &str = "see GET /v1/keys";
/// A week: longer than any roll-out.
const GRACE_MAX_S: u64 = 604_800;

/// A new key. What is not known is refused: a key must not be worth more than was meant because of
/// a typing error.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Wanted {
    name: String,
    environment: Option<String>,
    scopes: Option<Vec<String>>,
    senders: Option<Vec<String>>,
    ips: Option<Vec<String>>,
    expires_at: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Rotation {
    grace_seconds: u64,
}

/// A key as it is shown.
#[derive(Serialize, ToSchema)]
#[schema(as = Key)]
struct Shown<'a> {
    id: Uuid,
    name: &'a str,
    /// Its first characters.
    prefix: &'a str,
    /// `live` or `test`.
    environment: &'static str,
    /// Whether it is good: `active`, or why not.
    status: &'static str,
    /// What it may do.
    #[schema(value_type = Vec<ScopeName>)]
    scopes: Vec<&'static str>,
    /// The senders that it may use; none: all of the organisation's.
    #[schema(value_type = Vec<String>)]
    senders: &'a [Box<str>],
    /// The addresses or networks that it may be used from; none: all.
    ips: Vec<String>,
    /// Requests in a minute; `null`: as many as others.
    #[schema(required)]
    rate_per_minute: Option<u32>,
    created_at: Text,
    #[schema(required)]
    expires_at: Option<Text>,
    /// To about a minute.
    #[schema(required)]
    last_used_at: Option<Text>,
    #[schema(required)]
    revoked_at: Option<Text>,
    /// Its successor.
    #[schema(required)]
    replaced_by: Option<Uuid>,
    /// The key itself, this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
}

impl<'a> Shown<'a> {
    fn new(key: &'a ApiKey, secret: Option<&'a SecretString>) -> Self {
        Self {
            id: key.id.0,
            name: &key.name,
            prefix: &key.prefix,
            environment: if key.live { "live" } else { "test" },
            status: key.standing(time::now()).name(),
            scopes: key.scopes.names().collect(),
            senders: &key.senders,
            ips: key.networks.iter().map(IpNet::to_string).collect(),
            rate_per_minute: key.rate,
            created_at: time::rfc3339(key.created_at),
            expires_at: key.expires_at.map(time::rfc3339),
            last_used_at: key.last_used_at.map(time::rfc3339),
            revoked_at: key.revoked_at.map(time::rfc3339),
            replaced_by: key.replaced_by.map(|id| id.0),
            key: secret.map(ExposeSecret::expose_secret),
        }
    }
}

pub(in crate::api) fn doors(doors: Doors) -> Doors {
    let scope = Scope::KeysWrite;
    doors
        .get("/v1/keys", scope, list)
        .post("/v1/keys", 201, scope, create)
        .get("/v1/keys/{id}", scope, read)
        .delete("/v1/keys/{id}", scope, revoke)
        .post("/v1/keys/{id}/rotate", 201, scope, rotate)
}

/// Those that are not revoked, the newest first; a test key sees test keys.
async fn list(visit: Visit) -> Result<Response, ApiError> {
    Query::read(&visit, &[])?;
    let wanted = KeysOf {
        org: visit.caller.org.id,
        unrevoked: Some(time::now()),
        test_only: !visit.caller.is_live(),
        limit: KEYS_MAX,
    };
    let keys = visit.api.store.keys_of(&wanted).await;
    let keys = keys.map_err(ApiError::store)?;
    let shown: Vec<_> = keys.iter().map(|key| Shown::new(key, None)).collect();
    answers::success(StatusCode::OK, &shown)
}

async fn read(visit: Visit) -> Result<Response, ApiError> {
    let key = find(&visit).await?;
    answers::success(StatusCode::OK, &Shown::new(&key, None))
}

async fn create(mut visit: Visit) -> Result<Response, ApiError> {
    let wanted: Wanted = body(&mut visit).await?;
    let (record, secret) = wanted.key(&visit.caller, time::now())?;
    may_give(&visit.caller, &record)?;
    let audit = note(&visit.caller, ("key.create", "created"), &record);
    let created = visit.api.store.create_key(record.clone(), Some(audit));
    match visit.changing(LOOK, created).await? {
        Changed::Done => answers::success(StatusCode::CREATED, &Shown::new(&record, Some(&secret))),
        Changed::Full => {
            let message = format!("the organisation has {KEYS_MAX} keys; revoke some first");
            Err(ApiError::new(Code::Conflict, message))
        }
        Changed::Taken | Changed::Missing => {
            let message = "the key could not be created; send the request again";
            Err(ApiError::new(Code::Conflict, message))
        }
    }
}

async fn rotate(mut visit: Visit) -> Result<Response, ApiError> {
    let Rotation { grace_seconds } = body(&mut visit).await?;
    if grace_seconds > GRACE_MAX_S {
        let message = format!("grace_seconds must be 0 to {GRACE_MAX_S}");
        return Err(field("grace_seconds", message));
    }
    let old = visit.within(find(&visit)).await?;
    may_give(&visit.caller, &old)?;
    let now = time::now();
    let new = secret(old.live);
    let record = ApiKey {
        id: KeyId(Uuid::now_v7()),
        hash: new.hash,
        prefix: new.prefix,
        created_at: now,
        revoked_at: None,
        replaced_by: None,
        last_used_at: None,
        ..old
    };
    let ends = Timestamp(now.0 + 1000 * grace_seconds.cast_signed());
    let mut audit = note(&visit.caller, ("key.rotate", "rotated"), &record);
    audit.subject = old.id.to_string().into();
    let store = &visit.api.store;
    let rotated = store.rotate_key(old.id, ends, record.clone(), audit);
    match visit.changing(LOOK, rotated).await? {
        Changed::Done => {
            answers::success(StatusCode::CREATED, &Shown::new(&record, Some(&new.text)))
        }
        Changed::Full => {
            let message = format!(
                "the organisation has {KEYS_MAX} keys: there is no room for both; rotate it without \
                 grace_seconds, or revoke some first"
            );
            Err(ApiError::new(Code::Conflict, message))
        }
        Changed::Taken | Changed::Missing => {
            let message = "the key has been revoked or has a successor already; rotate that one";
            Err(ApiError::new(Code::Conflict, message))
        }
    }
}

/// Who may change keys can revoke any that leaks, but for those that stand above him.
async fn revoke(visit: Visit) -> Result<Response, ApiError> {
    let key = visit.within(find(&visit)).await?;
    if key.scopes.allow(Scope::Admin) && !visit.caller.may(Scope::Admin) {
        return Err(ApiError::lacks(Scope::Admin));
    }
    let audit = note(&visit.caller, ("key.revoke", "revoked"), &key);
    let at = audit.at;
    let revoked = visit.api.store.revoke_key(key.org, key.id, audit);
    match visit.changing(LOOK, revoked).await? {
        Changed::Done => {
            let key = ApiKey {
                revoked_at: Some(at),
                ..key
            };
            answers::success(StatusCode::OK, &Shown::new(&key, None))
        }
        // It is so already.
        Changed::Missing | Changed::Taken | Changed::Full => {
            answers::success(StatusCode::OK, &Shown::new(&key, None))
        }
    }
}

impl Wanted {
    /// The key that is wanted, and its text. Bounds that are not named are the caller's own.
    fn key(&self, caller: &Credential, now: Timestamp) -> Result<(ApiKey, SecretString), ApiError> {
        let own = match &caller.caller {
            Caller::Key(key) => Some(key),
            Caller::User(_) => None,
        };
        let name = key_form::name(&self.name).map_err(mistyped)?;
        let live = match self.environment.as_deref() {
            None => caller.is_live(),
            Some("live") => true,
            Some("test") => false,
            Some(_) => return Err(field("environment", "environment must be live or test")),
        };
        let scopes = self.scopes.as_deref().map(key_form::scopes);
        let scopes = scopes.transpose().map_err(mistyped)?;
        let senders = self.senders.as_deref().map(key_form::senders);
        let senders = senders.transpose().map_err(mistyped)?;
        let networks = self.ips.as_deref().map(key_form::networks);
        let networks = networks.transpose().map_err(mistyped)?;
        let expires_at = self.expires_at.as_deref();
        let expires_at = expires_at.map(|text| expiry(text, now)).transpose()?;
        let new = secret(live);
        let ids = (KeyId(Uuid::now_v7()), caller.org.id);
        let plain = ApiKey::new(ids, (new.hash, new.prefix), live, now);
        let key = ApiKey {
            name,
            scopes: scopes.unwrap_or(plain.scopes),
            senders: senders
                .or_else(|| own.map(|own| own.senders.clone()))
                .unwrap_or_default(),
            networks: networks
                .or_else(|| own.map(|own| own.networks.clone()))
                .unwrap_or_default(),
            expires_at: expires_at.or_else(|| own.and_then(|own| own.expires_at)),
            rate: caller.rate(),
            ..plain
        };
        Ok((key, new.text))
    }
}

fn expiry(text: &str, now: Timestamp) -> Result<Timestamp, ApiError> {
    time::parse(text).filter(|at| *at > now).ok_or_else(|| {
        let message = "expires_at must be RFC 3339 with an offset, later than now";
        field("expires_at", message)
    })
}

/// A new secret.
fn secret(live: bool) -> NewKey {
    let mut octets = [0; 32];
    rand::rng().fill_bytes(&mut octets);
    NewKey::from_random(live, octets)
}

fn mistyped(
    FormError {
        field,
        item,
        message,
    }: FormError,
) -> ApiError {
    let problem = match item {
        Some(at) => Problem::inside(field, &at.to_string(), message),
        None => Problem::field(field, message),
    };
    ApiError::of_field(Code::Unprocessable, problem)
}

fn field(name: &str, message: impl Into<std::borrow::Cow<'static, str>>) -> ApiError {
    ApiError::of_field(Code::Unprocessable, Problem::field(name, message))
}

/// Reads a body; an empty one is one in which nothing is said.
async fn body<T: Default + DeserializeOwned>(visit: &mut Visit) -> Result<T, ApiError> {
    read_body(&visit.body(BODY_MAX).await?)
}

fn read_body<T: Default + DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    if body.trim_ascii().is_empty() {
        return Ok(T::default());
    }
    answers::object(body)
}

/// The key of the caller's organisation that the path names. Who works in the test environment does
/// not see the other.
async fn find(visit: &Visit) -> Result<ApiKey, ApiError> {
    let missing = || {
        let message = "there is no key with this id; see GET /v1/keys";
        ApiError::new(Code::NotFound, message)
    };
    let id = visit.id("id").ok_or_else(missing)?;
    let found = visit.api.store.key(KeyId(id)).await;
    let found = found.map_err(ApiError::store)?;
    found
        .filter(|key| key.org == visit.caller.org.id && sees(&visit.caller, key))
        .ok_or_else(missing)
}

fn sees(caller: &Credential, key: &ApiKey) -> bool {
    caller.is_live() || !key.live
}

/// Nobody makes a key that is worth more than his own.
fn may_give(caller: &Credential, key: &ApiKey) -> Result<(), ApiError> {
    let Some(beyond) = caller.beyond(key) else {
        return Ok(());
    };
    let message = match beyond {
        Beyond::Scope(scope) => return Err(ApiError::lacks(scope)),
        Beyond::Senders => "your key is held to senders; the other may have no others",
        Beyond::Networks => "your key is held to addresses; the other may have no others",
        Beyond::Expiry => "your key expires; the other may not outlive it",
        Beyond::Rate => "the other key has a pace that yours has not; have an operator rotate it",
        Beyond::Live => "a test key can make test keys only",
    };
    Err(ApiError::new(Code::Forbidden, message))
}

/// The line of the audit; the log has it too.
fn note(caller: &Credential, (action, outcome): (&str, &str), key: &ApiKey) -> AuditEntry {
    let actor = caller.actor();
    let subject = key.id.to_string();
    tracing::info!(actor, action, subject, "a customer's change of keys");
    let detail = json!({
        "org": key.org.0, "prefix": key.prefix, "name": key.name,
        "scopes": key.scopes.names().collect::<Vec<_>>(), "senders": key.senders,
        "ips": key.networks.iter().map(IpNet::to_string).collect::<Vec<_>>(),
    });
    AuditEntry {
        at: time::now(),
        actor: actor.into(),
        action: action.into(),
        subject: subject.into(),
        detail: detail.to_string().into(),
        outcome: outcome.into(),
    }
}

/// The bodies as the fuzz targets read them.
#[cfg(test)]
pub(in crate::api) mod fuzzing {
    use super::{ApiError, Rotation, Timestamp, Wanted, expiry, key_form, mistyped, read_body};

    /// `POST /v1/keys`, up to what the caller may give.
    pub(in crate::api) fn create(body: &[u8]) -> Result<(), ApiError> {
        let wanted: Wanted = read_body(body)?;
        let senders = wanted.senders.as_deref().map(key_form::senders);
        senders.transpose().map_err(mistyped)?;
        let scopes = wanted.scopes.as_deref().map(key_form::scopes);
        scopes.transpose().map_err(mistyped)?;
        let networks = wanted.ips.as_deref().map(key_form::networks);
        networks.transpose().map_err(mistyped)?;
        let now = Timestamp(0);
        let expires_at = wanted.expires_at.as_deref();
        expires_at.map(|text| expiry(text, now)).transpose()?;
        Ok(())
    }

    /// `POST /v1/keys/{id}/rotate`.
    pub(in crate::api) fn rotate(body: &[u8]) -> Result<(), ApiError> {
        read_body::<Rotation>(body).map(|_| ())
    }
}
