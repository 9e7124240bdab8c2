//! Lives here: who is calling: the key from the headers, looked up by its hash.
//! Never here: the form of keys (`domain::api_key`), what a caller may do, rate limits.

use std::sync::Arc;

use axum::http::{HeaderMap, header};

use super::code::Code;
use super::error::ApiError;
use crate::domain::api_key::{KeyError, Presented};
use crate::store::{Credential, Store};
use crate::telemetry::metrics::api as meter;

const API_KEY: &str = "x-api-key";

/// Finds the key of a request and its organisation.
pub(super) async fn sign_in(
    headers: &HeaderMap,
    store: &Store,
) -> Result<Arc<Credential>, ApiError> {
    let presented = presented(headers).map_err(Denied::into_error)?;
    let found = store.credential(&presented.hash).await;
    let credential = found.map_err(ApiError::store)?;
    let Some(credential) = credential else {
        return Err(Denied::Unknown.into_error());
    };
    let live = presented.live.unwrap_or(credential.key.live);
    // A test key must never send: the sandbox that will serve it does not exist yet.
    if live != credential.key.live || !credential.key.live {
        return Err(Denied::Environment.into_error());
    }
    Ok(credential)
}

/// Why a caller is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Denied {
    Missing,
    Scheme,
    Conflict,
    Key(KeyError),
    Unknown,
    Environment,
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
            Self::Environment => (
                "environment",
                "the API key is for the other environment; use a live key",
            ),
        };
        meter::auth_failed(reason);
        ApiError::new(Code::Unauthorized, message)
    }
}

/// The one key that the headers carry, however often they carry it.
fn presented(headers: &HeaderMap) -> Result<Presented, Denied> {
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
        if key.replace(found).is_some_and(|earlier| earlier != found) {
            return Err(Denied::Conflict);
        }
    }
    Presented::parse(key.ok_or(Denied::Missing)?).map_err(Denied::Key)
}

fn bearer(text: &str) -> Option<&str> {
    let (scheme, key) = text.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

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
        let expected = Presented::parse("sk_live_mw_8472910");
        for pairs in [
            &[("authorization", "Bearer sk_live_mw_8472910")][..],
            &[("authorization", "bearer   sk_live_mw_8472910 ")],
            &[("x-api-key", "sk_live_mw_8472910")],
            &[
                ("authorization", "Bearer sk_live_mw_8472910"),
                ("x-api-key", "sk_live_mw_8472910"),
            ],
        ] {
            assert_eq!(presented(&headers(pairs)).ok(), expected.ok(), "{pairs:?}");
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
            (&[("x-api-key", "")], Denied::Key(KeyError::Malformed)),
            (&[("x-api-key", "a b")], Denied::Key(KeyError::Malformed)),
        ] {
            assert_eq!(presented(&headers(pairs)), Err(denied), "{pairs:?}");
        }
    }
}
