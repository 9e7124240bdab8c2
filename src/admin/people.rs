//! Lives here: the endpoints about organisations: listed, shown, created.
//! Never here: their keys (`keys`) and users (`users`).

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::Rng;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::Admin;
use super::error::{self, Refused};
use super::request::{
    Asked, Body, Operator, asked, changed, in_time, now, organisation, read, told,
};
use crate::domain::account::Organisation;
use crate::domain::ids::OrgId;
use crate::domain::ledger::Terms;
use crate::domain::phone::Sender;

const NAME_MAX: usize = 64;
const SENDERS_MAX: usize = 1000;
/// Organisations of one list.
const LIST_MAX: u32 = 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewOrg {
    name: String,
    country: String,
    #[serde(default)]
    senders: Vec<String>,
    /// Pays for what it has used, not before.
    #[serde(default)]
    postpaid: bool,
}

#[derive(Serialize)]
struct OrgCreated<'a> {
    id: Uuid,
    name: &'a str,
    country: &'a str,
    senders: &'a [Box<str>],
    webhook_secret: &'a str,
}

/// `POST /admin/v1/orgs`.
pub(super) async fn create(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let operator = Operator::admit(&admin, &headers)?;
    let asked: NewOrg = read(body)?;
    let name = asked.name.trim();
    let length = name.chars().count();
    if !(1..=NAME_MAX).contains(&length) || name.chars().any(char::is_control) {
        return Err(Refused::invalid(
            "name must have 1 to 64 printable characters",
        ));
    }
    let country = asked.country.trim().to_ascii_uppercase();
    check_country(&admin, &country)?;
    let org = Organisation {
        id: OrgId(Uuid::now_v7()),
        name: name.into(),
        country: country.into(),
        senders: senders(&asked.senders)?,
        webhook_secret: format!("whsec_{}", STANDARD.encode(random())).into(),
        created_at: now(),
    };
    let terms = if asked.postpaid {
        Terms::Postpaid
    } else {
        Terms::Prepaid
    };
    let detail = json!({"name": org.name, "postpaid": asked.postpaid, "country": org.country, "senders": org.senders});
    let (action, id) = ("org.create", org.id.to_string());
    let audit = operator.entry(action, &id, &detail, "created");
    let created = changed(
        admin
            .parts
            .store
            .create_org(org.clone(), terms, Some(audit)),
    )
    .await;
    if !operator.told((action, &id), created)? {
        let message = format!("there is an organisation named {name}; choose another name");
        return Err(Refused::conflict(message));
    }
    let created = OrgCreated {
        id: org.id.0,
        name: &org.name,
        country: &org.country,
        senders: &org.senders,
        webhook_secret: org.webhook_secret.expose_secret(),
    };
    Ok(error::json(StatusCode::CREATED, &created))
}

/// Where a list of organisations goes on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    /// Behind this name.
    #[serde(default)]
    after: String,
}

/// Which organisation.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// Name or id.
    org: String,
}

#[derive(Serialize)]
struct Listed {
    orgs: Vec<Shown>,
    /// There are more behind the last.
    more: bool,
}

#[derive(Serialize)]
struct Shown {
    id: Uuid,
    name: Box<str>,
    country: Box<str>,
    senders: Vec<Box<str>>,
    created_at: String,
}

impl From<Organisation> for Shown {
    fn from(org: Organisation) -> Self {
        Self {
            id: org.id.0,
            name: org.name,
            country: org.country,
            senders: org.senders,
            created_at: told(org.created_at),
        }
    }
}

/// `GET /admin/v1/orgs`: by name, so many at a time. Never their secrets.
pub(super) async fn list(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    page: Asked<Page>,
) -> Result<Response, Refused> {
    Operator::admit(&admin, &headers)?;
    let after = asked(page)?.after;
    let orgs = in_time(admin.parts.store.organisations(&after, LIST_MAX)).await?;
    let more = orgs.len() == LIST_MAX as usize;
    let orgs = orgs.into_iter().map(Shown::from).collect();
    Ok(error::json(StatusCode::OK, &Listed { orgs, more }))
}

/// `GET /admin/v1/orgs/show?org=…`.
pub(super) async fn show(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    which: Asked<Which>,
) -> Result<Response, Refused> {
    Operator::admit(&admin, &headers)?;
    let org = organisation(&admin, &asked(which)?.org).await?;
    Ok(error::json(
        StatusCode::OK,
        &Shown::from(Organisation::clone(&org)),
    ))
}

/// Only a country of the numbering plan can be an organisation's.
fn check_country(admin: &Admin, country: &str) -> Result<(), Refused> {
    let table = admin.parts.routes.table();
    if table.plan().country(country).is_some() {
        return Ok(());
    }
    let known = table.plan().countries().iter();
    let known: Vec<&str> = known.map(|country| &*country.code).collect();
    let message = format!("country must be one of {}", known.join(", "));
    Err(Refused::invalid(message))
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

fn random() -> [u8; 32] {
    let mut octets = [0; 32];
    rand::rng().fill_bytes(&mut octets);
    octets
}
