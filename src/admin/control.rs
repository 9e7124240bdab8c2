//! Lives here: the endpoints of `ctl`: organisations, keys, binds, queue. All want the token.
//! Never here: tables for people (`ctl`), the form of keys (`domain::api_key`).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::Rng;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use tokio::time::timeout;
use uuid::Uuid;

use super::Admin;
use super::error::{Refused, json};
use crate::domain::account::{ApiKey, Organisation};
use crate::domain::api_key::NewKey;
use crate::domain::class::Class;
use crate::domain::ids::{KeyId, OrgId};
use crate::domain::message::State as MessageState;
use crate::domain::phone::Sender;
use crate::domain::time::Timestamp;
use crate::store::StoreError;

const NAME_MAX: usize = 64;
const SENDERS_MAX: usize = 1000;
/// How long the store may take.
const PATIENCE: Duration = Duration::from_secs(10);

type Body = Result<Bytes, BytesRejection>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewOrg {
    name: String,
    country: String,
    #[serde(default)]
    senders: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFor {
    /// Name or id.
    org: String,
}

#[derive(Serialize)]
struct OrgCreated<'a> {
    id: Uuid,
    name: &'a str,
    country: &'a str,
    senders: &'a [Box<str>],
    webhook_secret: &'a str,
}

#[derive(Serialize)]
struct KeyCreated<'a> {
    id: Uuid,
    org: Uuid,
    prefix: &'a str,
    key: &'a str,
}

#[derive(Serialize)]
struct Binds {
    binds: Vec<BindRow>,
}

#[derive(Serialize)]
struct BindRow {
    carrier: String,
    bind: String,
    state: &'static str,
    bound: bool,
    in_flight: u32,
    window: u32,
    last_error: Option<Box<str>>,
}

#[derive(Serialize)]
struct Queue {
    lanes: Vec<QueueRow>,
}

#[derive(Default, Serialize)]
struct QueueRow {
    carrier: String,
    class: &'static str,
    /// In the lane, ready for a bind.
    ready: usize,
    /// Whether more of the lane waits in the store only.
    spilled: bool,
    /// Not yet taken by a carrier, in the lane or not.
    queued: u64,
    /// For later.
    scheduled: u64,
    /// Seconds since the oldest queued one was accepted.
    oldest_queued_s: Option<u64>,
}

/// `POST /admin/v1/orgs`.
pub(super) async fn create_org(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    admit(&admin, &headers)?;
    let asked: NewOrg = read(body)?;
    let name = asked.name.trim();
    let length = name.chars().count();
    if !(1..=NAME_MAX).contains(&length) || name.chars().any(char::is_control) {
        return Err(Refused::invalid(
            "name must have 1 to 64 printable characters",
        ));
    }
    let country = asked.country.trim().to_ascii_uppercase();
    let known = &admin.parts.countries;
    if !known.iter().any(|code| **code == *country) {
        let message = format!("country must be one of {}", known.join(", "));
        return Err(Refused::invalid(message));
    }
    let org = Organisation {
        id: OrgId(Uuid::now_v7()),
        name: name.into(),
        country: country.into(),
        senders: senders(&asked.senders)?,
        webhook_secret: format!("whsec_{}", STANDARD.encode(random())).into(),
        created_at: now(),
    };
    if !in_time(admin.parts.store.create_org(org.clone(), None)).await? {
        let message = format!("there is an organisation named {name}; choose another name");
        return Err(Refused::conflict(message));
    }
    tracing::info!(org = %org.id, country = %org.country, "organisation created");
    let created = OrgCreated {
        id: org.id.0,
        name: &org.name,
        country: &org.country,
        senders: &org.senders,
        webhook_secret: org.webhook_secret.expose_secret(),
    };
    Ok(json(StatusCode::CREATED, &created))
}

/// `POST /admin/v1/keys`: always a live key; test keys come with the sandbox.
pub(super) async fn create_key(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    admit(&admin, &headers)?;
    let asked: KeyFor = read(body)?;
    let store = &admin.parts.store;
    let wanted = asked.org.trim();
    let by_id = match Uuid::try_parse(wanted) {
        Ok(id) => in_time(store.organisation(OrgId(id)))
            .await?
            .map(|org| org.id),
        Err(_) => None,
    };
    let org = match by_id {
        Some(org) => Some(org),
        None => in_time(store.organisation_named(wanted))
            .await?
            .map(|org| org.id),
    };
    let org = org.ok_or_else(|| {
        Refused::missing(
            "there is no organisation of this name or id; create it with `ctl org create`",
        )
    })?;
    let key = NewKey::from_random(true, random());
    let record = ApiKey {
        id: KeyId(Uuid::now_v7()),
        org,
        hash: key.hash,
        prefix: key.prefix.clone(),
        live: true,
        created_at: now(),
    };
    let id = record.id;
    if !in_time(store.create_key(record, None)).await? {
        return Err(Refused::conflict("the key could not be created; try again"));
    }
    tracing::info!(org = %org, key = %id, prefix = %key.prefix, "key created");
    let created = KeyCreated {
        id: id.0,
        org: org.0,
        prefix: &key.prefix,
        key: key.text.expose_secret(),
    };
    Ok(json(StatusCode::CREATED, &created))
}

/// `GET /admin/v1/binds`.
pub(super) async fn binds(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    admit(&admin, &headers)?;
    let row = |bind: &tokio::sync::watch::Receiver<crate::flow::BindStatus>| {
        let status = bind.borrow();
        let carrier = admin.parts.lanes.get(status.carrier.index());
        BindRow {
            carrier: carrier.map_or_else(String::new, |(id, _)| id.to_string()),
            bind: status.bind.to_string(),
            state: status.state,
            bound: status.bound,
            in_flight: status.in_flight,
            window: status.window,
            last_error: status.last_error.clone(),
        }
    };
    let binds = admin.parts.binds.iter().map(row).collect();
    Ok(json(StatusCode::OK, &Binds { binds }))
}

/// `GET /admin/v1/queue`: a row for each account and class; accounts that are configured no more
/// appear while messages wait for them.
pub(super) async fn queue(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    admit(&admin, &headers)?;
    let waiting = in_time(admin.parts.store.queue()).await?;
    let mut lanes = Vec::new();
    for (carrier, lane) in &admin.parts.lanes {
        for class in Class::ALL {
            lanes.push(QueueRow {
                carrier: carrier.to_string(),
                class: class.name(),
                ready: lane.depth(class),
                spilled: lane.is_spilled(class),
                ..QueueRow::default()
            });
        }
    }
    let now = now();
    for row in &waiting {
        let class = row.class.name();
        let found = lanes
            .iter()
            .position(|lane| lane.class == class && *lane.carrier == *row.carrier);
        let at = found.unwrap_or_else(|| {
            lanes.push(QueueRow {
                carrier: row.carrier.to_string(),
                class,
                ..QueueRow::default()
            });
            lanes.len() - 1
        });
        if row.state == MessageState::Scheduled {
            lanes[at].scheduled += row.messages;
        } else {
            lanes[at].queued += row.messages;
            lanes[at].oldest_queued_s = Some(now.since(row.oldest).as_secs());
        }
    }
    Ok(json(StatusCode::OK, &Queue { lanes }))
}

/// Compares without telling by its time how much was right. An empty token admits nobody.
fn admit(admin: &Admin, headers: &HeaderMap) -> Result<(), Refused> {
    let token = admin.token.expose_secret().as_bytes();
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    let right = given.is_some_and(|given| bool::from(given.as_bytes().ct_eq(token)));
    if right && !token.is_empty() {
        Ok(())
    } else {
        Err(Refused::token())
    }
}

fn read<T: for<'de> Deserialize<'de>>(body: Body) -> Result<T, Refused> {
    let body = body.map_err(|rejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            Refused::too_large()
        } else {
            Refused::invalid("the body broke off; send it again")
        }
    })?;
    serde_json::from_slice(&body)
        .map_err(|error| Refused::invalid(format!("the body cannot be read: {error}")))
}

fn senders(typed: &[String]) -> Result<Vec<Box<str>>, Refused> {
    if typed.len() > SENDERS_MAX {
        return Err(Refused::invalid(format!(
            "at most {SENDERS_MAX} senders are allowed"
        )));
    }
    let mut senders: Vec<Box<str>> = Vec::with_capacity(typed.len());
    for text in typed {
        let sender = Sender::parse(text).map_err(|error| Refused::invalid(error.to_string()))?;
        if !senders
            .iter()
            .any(|known| known.eq_ignore_ascii_case(sender.as_str()))
        {
            senders.push(sender.as_str().into());
        }
    }
    Ok(senders)
}

async fn in_time<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, Refused> {
    match timeout(PATIENCE, work).await {
        Ok(done) => done.map_err(Refused::store),
        Err(_) => Err(Refused::unavailable()),
    }
}

fn random() -> [u8; 32] {
    let mut octets = [0; 32];
    rand::rng().fill_bytes(&mut octets);
    octets
}

fn now() -> Timestamp {
    SystemTime::now().into()
}
