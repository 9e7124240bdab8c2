//! Lives here: every refusal the API can answer with and its rendering, also that of RFC 9457 for
//! those who ask for it.
//! Never here: the codes (`code`), deciding to refuse.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::code::Code;
use super::docs::{Book, ERRORS, ErrorCode, ErrorFamily};
use super::json::amount;
use crate::domain::ledger::Shortfall;
use crate::domain::scope::Scope;
use crate::ingest::Refusal;
use crate::store::StoreError;

impl Code {
    fn of(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::Number(_) | Refusal::Place(_) => Self::InvalidNumber,
            Refusal::Unroutable => Self::UnroutableNumber,
            Refusal::Sender(_) | Refusal::SenderNotCarried(_) => Self::SenderInvalid,
            Refusal::SenderNotApproved => Self::SenderNotApproved,
            Refusal::EmptyMessage | Refusal::WebhookUrl(_) => Self::Unprocessable,
            Refusal::MessageTooLong { .. } => Self::MessageTooLong,
            Refusal::Schedule => Self::ScheduleInvalid,
            Refusal::Balance(_) => Self::InsufficientBalance,
            Refusal::TooMany(_) => Self::RateLimitExceeded,
            Refusal::Fault => Self::ServerError,
            Refusal::Store(error) => Self::of_store(error),
        }
    }

    fn of_store(error: &StoreError) -> Self {
        if error.refused() {
            Self::Overloaded
        } else {
            Self::ServerError
        }
    }
}

/// What is wrong with one field.
#[derive(Debug)]
pub(super) struct Problem {
    /// The field, as the client spelt it; a path with dots inside objects.
    pub(super) param: String,
    /// The JSON pointer to it.
    pub(super) pointer: String,
    /// Its own code, where problems differ in it.
    pub(super) code: Option<Code>,
    /// What is wrong and what to do.
    pub(super) detail: Cow<'static, str>,
}

impl Problem {
    /// A problem of a field at the top of the body.
    pub(super) fn field(name: &str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            param: name.to_owned(),
            pointer: format!("/{name}"),
            code: None,
            detail: detail.into(),
        }
    }

    /// A problem of a member or item of such a field.
    pub(super) fn inside(name: &str, key: &str, detail: impl Into<Cow<'static, str>>) -> Self {
        let escaped = key.replace('~', "~0").replace('/', "~1");
        Self {
            param: format!("{name}.{key}"),
            pointer: format!("/{name}/{escaped}"),
            code: None,
            detail: detail.into(),
        }
    }
}

/// A refusal.
#[derive(Debug)]
pub(super) struct ApiError {
    pub(super) code: Code,
    message: Cow<'static, str>,
    problems: Vec<Problem>,
    /// What a program needs of it beside the code: a JSON object.
    details: Option<serde_json::Value>,
    /// For the log, never for the client.
    cause: Option<Box<StoreError>>,
    /// Seconds after which it may be tried again.
    retry_after: Option<u64>,
    /// The sandbox was asked for it: nobody is called.
    asked_for: bool,
}

impl ApiError {
    /// How its rendering begins unless it is RFC 9457's.
    pub(super) const ENVELOPE: &[u8] = b"{\"success\":";

    /// A refusal of the request as a whole.
    pub(super) fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
            problems: Vec::new(),
            details: None,
            cause: None,
            retry_after: None,
            asked_for: false,
        }
    }

    /// The same, with the seconds after which it may be tried again.
    pub(super) const fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// A refusal for fields; the first of them is the `param`.
    pub(super) fn of_fields(code: Code, problems: Vec<Problem>) -> Self {
        let message = match problems.first() {
            Some(first) => first.detail.clone(),
            None => "the request is invalid".into(),
        };
        Self {
            code,
            message,
            problems,
            details: None,
            cause: None,
            retry_after: None,
            asked_for: false,
        }
    }

    /// A refusal for one field.
    pub(super) fn of_field(code: Code, problem: Problem) -> Self {
        Self::of_fields(code, vec![problem])
    }

    /// A refusal for recipients of a job, of whom the first are named.
    pub(super) fn of_recipients(code: Code, problems: Vec<Problem>, number: usize) -> Self {
        Self {
            details: Some(json!({ "failed_recipients": number })),
            ..Self::of_fields(code, problems)
        }
    }

    /// Where the problems are.
    #[cfg(test)]
    pub(super) fn pointers(&self) -> Vec<String> {
        let pointers = self.problems.iter().map(|problem| problem.pointer.clone());
        pointers.collect()
    }

    /// Ingest's refusal; `param` is the client's name of the field at fault.
    pub(super) fn refused(refusal: Refusal, param: Option<&'static str>) -> Self {
        let code = Code::of(&refusal);
        if let Refusal::Store(error) = refusal {
            return Self::store(error);
        }
        let details = match &refusal {
            Refusal::Balance(short) => Some(balance(short)),
            _ => None,
        };
        let asked_for = matches!(refusal, Refusal::Fault);
        let retry_after = match &refusal {
            Refusal::TooMany(wait) => Some(wait.as_secs()),
            _ => None,
        };
        let message = refusal.to_string();
        let error = match param {
            Some(param) => Self::of_field(code, Problem::field(param, message)),
            None => Self::new(code, message),
        };
        Self {
            details,
            asked_for,
            retry_after,
            ..error
        }
    }

    /// The caller has not this scope.
    pub(super) fn lacks(scope: Scope) -> Self {
        let scope = scope.name();
        let message = format!("the key lacks the scope {scope}; use one that has it");
        Self {
            details: Some(json!({ "scope": scope })),
            ..Self::new(Code::Forbidden, message)
        }
    }

    /// Whether a message was kept is not known: perhaps it is a moment later. 503 would invite a
    /// duplicate.
    pub(super) fn in_doubt() -> Self {
        let message = "the store did not answer in time; the message may have been accepted, or \
                       not: look for it in GET /v1/messages, or wait for its webhook, before you \
                       send it again; with an Idempotency-Key, just repeat the request";
        Self::doubtful(message)
    }

    /// Whether a change was made is not known; `look` is what its caller does to see it.
    pub(super) fn unsure(look: &str) -> Self {
        let message = format!(
            "the store did not answer in time; the change may have been made, or not: {look} \
             before you ask for it again"
        );
        Self::doubtful(message)
    }

    fn doubtful(message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            cause: Some(Box::new(StoreError::InDoubt)),
            ..Self::new(Code::ServerError, message)
        }
    }

    /// The store's refusal or fault.
    pub(super) fn store(error: StoreError) -> Self {
        if matches!(error, StoreError::InDoubt) {
            return Self::in_doubt();
        }
        let code = Code::of_store(&error);
        let message = match code {
            Code::Overloaded => "the service cannot take requests at present; try again shortly",
            _ => "something went wrong on our side; tell us the request id",
        };
        Self {
            cause: Some(Box::new(error)),
            ..Self::new(code, message)
        }
    }

    /// The answer. `problem` asks for RFC 9457.
    pub(super) fn response(&self, request_id: &HeaderValue, problem: bool) -> Response {
        let id = request_id.to_str().unwrap_or_default();
        if self.code == Code::ServerError && !self.asked_for {
            match &self.cause {
                // The writer says once why, for all of them.
                Some(error) if matches!(**error, StoreError::InDoubt) => {
                    tracing::debug!(request_id = id, %error, "request in doubt");
                }
                Some(error) => tracing::error!(request_id = id, %error, "request failed"),
                None => tracing::error!(request_id = id, error = %self.message, "request failed"),
            }
        }
        let kind = if problem {
            "application/problem+json"
        } else {
            "application/json"
        };
        let mut response = Response::new(Body::from(self.rendered(id, problem)));
        *response.status_mut() = self.code.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        match self.code {
            Code::Unauthorized | Code::KeyExpired => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            // What is left of such a request is not worth reading.
            Code::RequestTimeout | Code::PayloadTooLarge => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        let overloaded = (self.code == Code::Overloaded).then_some(1);
        if let Some(seconds) = self.retry_after.or(overloaded) {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }

    /// The answer's body.
    pub(super) fn rendered(&self, request_id: &str, problem: bool) -> Vec<u8> {
        if problem {
            self.problem_json(request_id)
        } else {
            self.json(request_id)
        }
    }

    /// What is wrong and what to do.
    #[cfg(test)]
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    fn items(&self) -> Vec<Item<'_>> {
        let item = |problem| Item::new(self.code.name(), problem);
        self.problems.iter().map(item).collect()
    }

    /// The first field at fault.
    pub(super) fn param(&self) -> Option<&str> {
        self.problems.first().map(|problem| problem.param.as_str())
    }

    fn json(&self, request_id: &str) -> Vec<u8> {
        let code = self.code.name();
        let envelope = Envelope {
            success: false,
            code,
            message: &self.message,
            error: Detail {
                family: self.code.family(),
                code,
                message: &self.message,
                param: self.param(),
                doc_url: format!("{ERRORS}{code}"),
                request_id,
            },
            errors: self.items(),
            details: self.details.as_ref(),
        };
        serde_json::to_vec(&envelope).unwrap_or_default()
    }

    fn problem_json(&self, request_id: &str) -> Vec<u8> {
        let problem = ProblemJson {
            family: format!("{ERRORS}{}", self.code.name()),
            title: self.code.status().canonical_reason().unwrap_or("Error"),
            status: self.code.status().as_u16(),
            detail: &self.message,
            code: self.code.name(),
            param: self.param(),
            request_id,
            errors: self.items(),
            details: self.details.as_ref(),
        };
        serde_json::to_vec(&problem).unwrap_or_default()
    }
}

/// What is there, what is needed, what is missing.
fn balance(short: &Shortfall) -> serde_json::Value {
    json!({
        "balance": amount(short.balance),
        "required": amount(short.required),
        "shortfall": amount(short.missing()),
    })
}

/// What is said of errors in the description of the API.
pub(super) fn describe(book: &mut Book) {
    book.form::<Envelope<'_>>();
    book.form::<ProblemJson<'_>>();
}

/// An error.
#[derive(Serialize, ToSchema)]
#[schema(as = Error)]
struct Envelope<'a> {
    /// `false`.
    success: bool,
    #[schema(value_type = ErrorCode)]
    code: &'static str,
    /// What is wrong and what to do, for people.
    message: &'a str,
    error: Detail<'a>,
    /// Every field that is at fault, if fields are.
    errors: Vec<Item<'a>>,
    /// What a program needs beside the code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    details: Option<&'a serde_json::Value>,
}

/// The same in the form of Stripe.
#[derive(Serialize, ToSchema)]
#[schema(as = ErrorDetail)]
struct Detail<'a> {
    /// The coarse kind by which a program chooses what to do.
    #[serde(rename = "type")]
    #[schema(value_type = ErrorFamily)]
    family: &'static str,
    #[schema(value_type = ErrorCode)]
    code: &'static str,
    message: &'a str,
    /// The first field at fault, as the request spelt it.
    #[schema(required)]
    param: Option<&'a str>,
    /// The page of the code.
    doc_url: String,
    /// Tell it to us.
    request_id: &'a str,
}

/// An error in the form of RFC 9457.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
struct ProblemJson<'a> {
    /// The page of the code.
    #[serde(rename = "type")]
    family: String,
    /// What the status means.
    title: &'static str,
    /// The status.
    status: u16,
    /// What is wrong and what to do, for people.
    detail: &'a str,
    #[schema(value_type = ErrorCode)]
    code: &'static str,
    /// The first field at fault, as the request spelt it.
    #[schema(required)]
    param: Option<&'a str>,
    /// Tell it to us.
    request_id: &'a str,
    /// Every field that is at fault, if fields are.
    errors: Vec<Item<'a>>,
    /// What a program needs beside the code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    details: Option<&'a serde_json::Value>,
}

/// A field at fault.
#[derive(Serialize, ToSchema)]
#[schema(as = FieldError)]
struct Item<'a> {
    /// The JSON pointer to it.
    pointer: &'a str,
    #[schema(value_type = ErrorCode)]
    code: &'static str,
    /// What is wrong and what to do.
    detail: &'a str,
}

impl<'a> Item<'a> {
    fn new(code: &'static str, problem: &'a Problem) -> Self {
        Self {
            pointer: &problem.pointer,
            code: problem.code.map_or(code, Code::name),
            detail: &problem.detail,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::credits::Credits;
    use crate::domain::numbering::PlanError;
    use crate::domain::phone::{MsisdnError, SenderError};

    #[test]
    fn this_door_and_ingest_name_every_refusal_alike() {
        for refusal in [
            Refusal::Number(MsisdnError::Empty),
            Refusal::Place(PlanError::NotMobile),
            Refusal::Unroutable,
            Refusal::Sender(SenderError::Empty),
            Refusal::SenderNotCarried("sender_kind_not_allowed"),
            Refusal::SenderNotApproved,
            Refusal::EmptyMessage,
            Refusal::MessageTooLong {
                segments: 11,
                max: 10,
            },
            Refusal::Schedule,
            Refusal::Balance(Shortfall {
                balance: Credits::ZERO,
                required: Credits::whole(1),
            }),
            Refusal::Store(StoreError::Overloaded),
            Refusal::Store(StoreError::Unavailable),
            Refusal::Store(StoreError::Unfit),
            Refusal::Store(StoreError::Closed),
            Refusal::Store(StoreError::InDoubt),
            Refusal::Store(StoreError::Corrupt { what: "x" }),
        ] {
            assert_eq!(Code::of(&refusal).name(), refusal.code());
        }
    }

    #[test]
    fn pointers_escape_what_json_pointer_reserves() {
        let problem = Problem::inside("metadata", "a/b~c", "x");
        assert_eq!(problem.pointer, "/metadata/a~1b~0c");
        assert_eq!(problem.param, "metadata.a/b~c");
    }

    #[test]
    fn what_may_be_kept_is_not_said_to_be_refused() {
        let error = ApiError::store(StoreError::InDoubt);
        assert_eq!(error.code, Code::ServerError);
        assert!(error.message.contains("may have been accepted"));
        let error = ApiError::unsure("see GET /v1/keys");
        assert!(
            error
                .message
                .contains("may have been made, or not: see GET /v1/keys before")
        );
    }

    #[test]
    fn the_cause_of_a_fault_stays_inside() {
        let error = ApiError::store(StoreError::Corrupt {
            what: "messages.state",
        });
        let json = String::from_utf8(error.json("r")).unwrap();
        assert!(json.as_bytes().starts_with(ApiError::ENVELOPE));
        assert!(
            json.contains("server_error") && !json.contains("messages.state"),
            "{json}"
        );
    }
}
