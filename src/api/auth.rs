//! Lives here: who is calling: the key or the token from the headers, looked up, and whether it may
//! be used from where the request comes.
//! Never here: the form of keys (`domain::api_key`) and tokens (`tokens`), rate limits.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, header};

use super::call::Api;
use super::client::Peer;
use super::code::Code;
use super::error::{ApiError, Problem};
use super::time;
use crate::domain::account::Standing;
use crate::domain::api_key::{KeyError, Presented};
use crate::domain::class::Class;
use crate::domain::scope::Scope;
use crate::domain::time::Timestamp;
use crate::store::{Caller, Credential};
use crate::telemetry::metrics::api as meter;
use crate::tokens::{Bearer, Fault, is_token};

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Finds who makes a request, and its organisation.
pub(super) async fn sign_in(
    headers: &HeaderMap,
    peer: Peer,
    api: &Api,
) -> Result<Arc<Credential>, ApiError> {
    let now = time::now();
    let shown = shown(headers).map_err(Denied::into_error)?;
    let from = || peer.client(headers, &api.proxies);
    let credential = if is_token(shown) {
        by_token(shown, api, now).await?
    } else {
        by_key(shown, from, api).await?
    };
    match credential.standing(now) {
        Standing::Active => {}
        Standing::Expired => return Err(Denied::Expired.into_error()),
        Standing::Revoked => return Err(Denied::Unknown.into_error()),
    }
    if let Caller::Key(key) = &credential.caller
        && !key.networks.is_empty()
        && !key.admits(from())
    {
        return Err(Denied::Address.into_error());
    }
    api.store.note_use(&credential, now);
    Ok(credential)
}

async fn by_key(
    shown: &str,
    from: impl FnOnce() -> IpAddr,
    api: &Api,
) -> Result<Arc<Credential>, ApiError> {
    let presented = Presented::parse(shown).map_err(|error| Denied::Key(error).into_error())?;
    // The store is not asked for whoever failed too often. What others use from the same address, or
    // behind the same proxy, goes on.
    if let Some(refusal) = api.limits.blocked(from)
        && !api.store.has_seen(&presented.hash)
    {
        meter::auth_failed("blocked");
        return Err(refusal);
    }
    let found = api.store.credential(&presented.hash).await;
    let credential = found.map_err(ApiError::store)?;
    let credential = credential.ok_or_else(|| Denied::Unknown.into_error())?;
    if presented
        .live
        .is_some_and(|live| live != credential.is_live())
    {
        return Err(Denied::Environment.into_error());
    }
    Ok(credential)
}

async fn by_token(shown: &str, api: &Api, now: Timestamp) -> Result<Arc<Credential>, ApiError> {
    let wrong = || Denied::Token.into_error();
    let tokens = api.tokens.as_ref().ok_or_else(wrong)?;
    let bearer = tokens.check(shown, now).map_err(|fault| match fault {
        Fault::Wrong => wrong(),
        Fault::Expired => Denied::TokenExpired.into_error(),
    })?;
    let Bearer { user, org } = bearer;
    let found = api.store.user(user).await.map_err(ApiError::store)?;
    found
        .filter(|credential| credential.org.id == org)
        .ok_or_else(wrong)
}

/// Whether a caller may send a message of a class with a sender; `field` is the client's name of the
/// latter. That its organisation may use the sender is looked at elsewhere.
pub(super) fn may_send(
    caller: &Credential,
    class: Class,
    (field, sender): (&str, &str),
) -> Result<(), ApiError> {
    let scope = match class {
        Class::Otp => Scope::Otp,
        Class::Transactional | Class::Promotional => Scope::SmsSend,
    };
    if !caller.may(scope) {
        return Err(ApiError::lacks(scope));
    }
    if !caller.may_use(sender.trim()) {
        let message = "the key may not use this sender; use one of its list, or another key";
        let problem = Problem::field(field, message);
        return Err(ApiError::of_field(Code::SenderNotApproved, problem));
    }
    Ok(())
}

/// Why a caller is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Denied {
    Missing,
    Scheme,
    Conflict,
    Key(KeyError),
    Unknown,
    Expired,
    Environment,
    Address,
    Token,
    TokenExpired,
    /// A token where keys go.
    TokenPlace,
}

impl Denied {
    fn into_error(self) -> ApiError {
        let (reason, message) = match self {
            Self::Missing => (
                "missing",
                "no API key was given; send `Authorization: Bearer KEY` or `X-API-Key: KEY`",
            ),
            Self::Scheme => (
                "scheme",
                "the Authorization header is not `Bearer KEY`; send it in that form",
            ),
            Self::Conflict => (
                "conflict",
                "the request carries different API keys; send one",
            ),
            Self::Key(KeyError::Malformed) => (
                "malformed",
                "the API key is not one; send it exactly as it was shown when it was created",
            ),
            Self::Key(KeyError::Checksum) => (
                "checksum",
                "the API key is mistyped (its check sum is wrong); copy it again",
            ),
            Self::Unknown => (
                "unknown",
                "the API key is not known or has been revoked; check it or create another",
            ),
            Self::Expired => (
                "expired",
                "the API key has expired; use its successor, or create another",
            ),
            Self::Environment => (
                "environment",
                "the API key is not for the environment that its prefix names; send it exactly as it \
                 was shown when it was created",
            ),
            Self::Address => (
                "address",
                "the API key may not be used from this address; call from one of its list, or have \
                 the list changed",
            ),
            Self::Token => (
                "token",
                "the token is not one of this service's, or its user has been removed; sign in again",
            ),
            Self::TokenExpired => ("token_expired", "the token has expired; sign in again"),
            Self::TokenPlace => (
                "token_place",
                "X-API-Key takes API keys only; send a user's token as `Authorization: Bearer TOKEN`",
            ),
        };
        meter::auth_failed(reason);
        let code = match self {
            Self::Expired => Code::KeyExpired,
            Self::Address => Code::IpNotAllowed,
            Self::Missing
            | Self::Scheme
            | Self::Conflict
            | Self::Key(_)
            | Self::Unknown
            | Self::Environment
            | Self::Token
            | Self::TokenExpired
            | Self::TokenPlace => Code::Unauthorized,
        };
        ApiError::new(code, message)
    }
}

/// The one key or token that the headers carry, however often they carry it.
fn shown(headers: &HeaderMap) -> Result<&str, Denied> {
    let mut key: Option<&str> = None;
    for value in headers.get_all(header::AUTHORIZATION) {
        let text = value
            .to_str()
            .map_err(|_| Denied::Key(KeyError::Malformed))?;
        let found = bearer(text).ok_or(Denied::Scheme)?;
        if key.replace(found).is_some_and(|earlier| earlier != found) {
            return Err(Denied::Conflict);
        }
    }
    for value in headers.get_all(API_KEY) {
        let text = value
            .to_str()
            .map_err(|_| Denied::Key(KeyError::Malformed))?;
        let found = text.trim();
        if is_token(found) {
            return Err(Denied::TokenPlace);
        }
        if key.replace(found).is_some_and(|earlier| earlier != found) {
            return Err(Denied::Conflict);
        }
    }
    key.ok_or(Denied::Missing)
}

fn bearer(text: &str) -> Option<&str> {
    let (scheme, key) = text.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_key_is_found_in_either_header() {
        for pairs in [
            &[("authorization", "Bearer sk_live_mw_8472910")][..],
            &[("authorization", "bearer   sk_live_mw_8472910 ")],
            &[("x-api-key", "sk_live_mw_8472910")],
            &[
                ("authorization", "Bearer sk_live_mw_8472910"),
                ("x-api-key", "sk_live_mw_8472910"),
            ],
        ] {
            assert_eq!(
                shown(&headers(pairs)),
                Ok("sk_live_mw_8472910"),
                "{pairs:?}"
            );
        }
    }

    #[test]
    fn headers_that_name_no_one_key_are_refused() {
        for (pairs, denied) in [
            (&[][..], Denied::Missing),
            (&[("authorization", "Basic eDp5")], Denied::Scheme),
            (&[("authorization", "sk_live_mw_8472910")], Denied::Scheme),
            (
                &[("authorization", "Bearer a"), ("x-api-key", "b")],
                Denied::Conflict,
            ),
            (&[("x-api-key", "a"), ("x-api-key", "b")], Denied::Conflict),
            (&[("authorization", "Bearer ")], Denied::Scheme),
            (&[("x-api-key", "eyJ.b.c")], Denied::TokenPlace),
            (
                &[
                    ("authorization", "Bearer eyJ.b.c"),
                    ("x-api-key", "eyJ.b.c"),
                ],
                Denied::TokenPlace,
            ),
        ] {
            assert_eq!(shown(&headers(pairs)), Err(denied), "{pairs:?}");
        }
    }
}
