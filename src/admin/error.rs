//! Lives here: what the operators' listener answers when it refuses: a status, a code, a sentence.
//! Never here: the customers' error catalogue (`api`).

use std::borrow::Cow;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::store::StoreError;

/// A refusal.
#[derive(Debug)]
pub(super) struct Refused {
    status: StatusCode,
    code: &'static str,
    message: Cow<'static, str>,
}

#[derive(Serialize)]
struct Body<'a> {
    code: &'static str,
    message: &'a str,
}

impl Refused {
    pub(super) fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            code: "invalid_request",
            message: message.into(),
        }
    }

    pub(super) fn conflict(message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status: StatusCode::CONFLICT,
            code: "conflict",
            message: message.into(),
        }
    }

    pub(super) fn missing(message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            code: "not_found",
            message: message.into(),
        }
    }

    pub(super) fn too_large() -> Self {
        Self {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            code: "payload_too_large",
            message: "the body is too large; send less".into(),
        }
    }

    pub(super) fn token() -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            code: "unauthorized",
            message: "the admin token is missing or wrong; send `Authorization: Bearer TOKEN`"
                .into(),
        }
    }

    /// The store does not answer, or is going down.
    pub(super) fn unavailable() -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            code: "unavailable",
            message: "the store does not answer at present: nothing was changed; try again".into(),
        }
    }

    /// The store was at it when the time was up, or has done a part: no word to try again at once.
    pub(super) fn in_doubt() -> Self {
        Self {
            status: StatusCode::GATEWAY_TIMEOUT,
            code: "in_doubt",
            message: "the store has not answered in time: it may have been done, or a part of it; \
                      look at what exists before you try again"
                .into(),
        }
    }

    /// The same, where only the line of the audit is in doubt, which comes before the deed.
    pub(super) fn but_for_the_audit(self) -> Self {
        if self.code == "in_doubt" {
            let message = "nothing was changed, although the audit may say so; try again";
            return Self {
                message: message.into(),
                ..Self::unavailable()
            };
        }
        self
    }

    /// What kind it is.
    pub(super) fn code(&self) -> &'static str {
        self.code
    }

    /// The store's refusal or fault; a fault is logged here, once.
    pub(super) fn store(error: &StoreError) -> Self {
        if matches!(error, StoreError::InDoubt) {
            return Self::in_doubt();
        }
        if error.passes() {
            return Self::unavailable();
        }
        tracing::error!(%error, "an admin request failed");
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            code: "server_error",
            message: "the store failed; the daemon's log says why".into(),
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let body = Body {
            code: self.code,
            message: &self.message,
        };
        let mut response = json(self.status, &body);
        if self.status == StatusCode::UNAUTHORIZED {
            let bearer = HeaderValue::from_static("Bearer");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, bearer);
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            let soon = HeaderValue::from_static("1");
            response.headers_mut().insert(header::RETRY_AFTER, soon);
        }
        response
    }
}

/// A JSON answer.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let kind = HeaderValue::from_static("application/json");
    match serde_json::to_vec(body) {
        Ok(body) => (status, [(header::CONTENT_TYPE, kind)], body).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

pub(super) async fn not_found() -> Refused {
    Refused::missing("there is nothing at this path")
}

pub(super) async fn not_allowed() -> Refused {
    Refused {
        status: StatusCode::METHOD_NOT_ALLOWED,
        code: "method_not_allowed",
        message: "this path does not take this method".into(),
    }
}
