//! Lives here: the endpoints about users: listed, created, removed; a token for one.
//! Never here: the form of tokens (`tokens`), what a role may do (`domain::user`).

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::Admin;
use super::error::{self, Refused};
use super::request::{
    Asked, Body, Done, Operator, Whose, asked, changed, in_time, now, organisation, quoted, read,
    told,
};
use crate::domain::account::Organisation;
use crate::domain::ids::UserId;
use crate::domain::key_form;
use crate::domain::user::{Role, User, email};
use crate::store::people::{Changed, USERS_MAX};
use crate::tokens::{Bearer, LIFE_MAX};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    org: String,
    email: String,
    name: String,
    role: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Who {
    org: String,
    email: String,
}

#[derive(Serialize)]
struct Listed {
    users: Vec<Shown>,
}

#[derive(Serialize)]
struct Shown {
    id: Uuid,
    org: Uuid,
    email: Box<str>,
    name: Box<str>,
    role: &'static str,
    created_at: String,
}

#[derive(Serialize)]
struct Token<'a> {
    email: &'a str,
    role: &'static str,
    token: &'a str,
    expires_in_s: u64,
}

impl From<User> for Shown {
    fn from(user: User) -> Self {
        Self {
            id: user.id.0,
            org: user.org.0,
            email: user.email,
            name: user.name,
            role: user.role.name(),
            created_at: told(user.created_at),
        }
    }
}

/// `GET /admin/v1/users?org=…`.
pub(super) async fn list(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    whose: Asked<Whose>,
) -> Result<Response, Refused> {
    Operator::admit(&admin, &headers)?;
    let org = organisation(&admin, &asked(whose)?.org).await?;
    let users = in_time(admin.parts.store.users_of(org.id)).await?;
    let users = users.into_iter().map(Shown::from).collect();
    Ok(error::json(StatusCode::OK, &Listed { users }))
}

/// `POST /admin/v1/users`.
pub(super) async fn create(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let operator = Operator::admit(&admin, &headers)?;
    let wanted: Wanted = read(body)?;
    let org = organisation(&admin, &wanted.org).await?;
    let name = key_form::name(&wanted.name).map_err(|error| Refused::invalid(error.message))?;
    if name.is_empty() {
        return Err(Refused::invalid("name must say how the person is called"));
    }
    let user = User {
        id: UserId(Uuid::now_v7()),
        org: org.id,
        email: email(&wanted.email)
            .ok_or_else(|| Refused::invalid("email must be an address such as asha@duka.tz"))?,
        name,
        role: Role::parse(wanted.role.trim())
            .ok_or_else(|| Refused::invalid("role must be owner, admin, developer or viewer"))?,
        created_at: now(),
    };
    let subject = user.id.to_string();
    let detail = json!({"org": user.org.0, "email": user.email, "role": user.role.name()});
    let audit = operator.entry("user.create", &subject, &detail, "created");
    let created = changed(admin.parts.store.create_user(user.clone(), audit)).await;
    let created = created.and_then(|done| match done {
        Changed::Done => Ok(()),
        Changed::Full => Err(Refused::conflict(format!(
            "the organisation has {USERS_MAX} users; remove some first"
        ))),
        Changed::Taken | Changed::Missing => Err(Refused::conflict(
            "the organisation has a user of this address; remove that one first",
        )),
    });
    operator.told(("user.create", &subject), created)?;
    Ok(error::json(StatusCode::CREATED, &Shown::from(user)))
}

/// `POST /admin/v1/users/remove`: tokens of the user let nobody in any more.
pub(super) async fn remove(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let operator = Operator::admit(&admin, &headers)?;
    let who: Who = read(body)?;
    let (org, user) = find(&admin, &who).await?;
    let subject = user.id.to_string();
    let detail = json!({"org": user.org.0, "email": user.email, "role": user.role.name()});
    let audit = operator.entry("user.remove", &subject, &detail, "removed");
    let removed = changed(admin.parts.store.remove_user(org.id, user.id, audit)).await;
    let removed = removed.and_then(|done| match done {
        Changed::Done => Ok(()),
        Changed::Taken | Changed::Missing | Changed::Full => Err(nobody()),
    });
    operator.told(("user.remove", &subject), removed)?;
    let undo = format!(
        "mnara ctl users create {} --org {} --name {} --role {}",
        quoted(&user.email),
        quoted(&org.name),
        quoted(&user.name),
        user.role.name()
    );
    let outcome = format!("{} is no user of {} any more", user.email, org.name);
    Ok(Done::new(outcome, Some(undo)).answer())
}

/// `POST /admin/v1/users/token`: a token, good for a quarter of an hour. It stands in the audit.
pub(super) async fn token(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let operator = Operator::admit(&admin, &headers)?;
    let who: Who = read(body)?;
    let Some(tokens) = &admin.parts.tokens else {
        let message = "no tokens are accepted here; add [api.jwt] to the configuration";
        return Err(Refused::conflict(message));
    };
    let (org, user) = find(&admin, &who).await?;
    let bearer = Bearer {
        user: user.id,
        org: org.id,
    };
    let Some(token) = tokens.sign(bearer, now(), LIFE_MAX) else {
        let message =
            "only the public key is known here; tokens are signed where the private one is";
        return Err(Refused::conflict(message));
    };
    let subject = user.id.to_string();
    let detail = json!({"org": user.org.0, "email": user.email, "role": user.role.name()});
    let audit = operator.entry("user.token", &subject, &detail, "issued");
    let noted = changed(admin.parts.store.note(audit)).await;
    operator.told(("user.token", &subject), noted)?;
    let token = Token {
        email: &user.email,
        role: user.role.name(),
        token: token.expose_secret(),
        expires_in_s: LIFE_MAX.as_secs(),
    };
    Ok(error::json(StatusCode::OK, &token))
}

async fn find(admin: &Admin, who: &Who) -> Result<(Arc<Organisation>, User), Refused> {
    let org = organisation(admin, &who.org).await?;
    let address = email(&who.email).ok_or_else(nobody)?;
    let users = in_time(admin.parts.store.users_of(org.id)).await?;
    let user = users.into_iter().find(|user| user.email == address);
    Ok((org, user.ok_or_else(nobody)?))
}

fn nobody() -> Refused {
    Refused::missing("the organisation has no user of this address; see `ctl users list`")
}
