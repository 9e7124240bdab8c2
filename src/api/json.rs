//! Lives here: what all answers in JSON share: the envelope of success, and how amounts are written;
//! and what small bodies share: that they are objects.
//! Never here: errors, the fields of one answer or body.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};
use serde_json::{Number, Value};

use super::code::Code;
use super::error::ApiError;
use crate::domain::credits::Credits;

/// Credits as a JSON number: an integer when they are whole, else with at most three places.
pub(super) struct Amount(pub(super) Credits);

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        amount(self.0).serialize(serializer)
    }
}

/// The same as a value.
pub(super) fn amount(credits: Credits) -> Value {
    if credits.0 % 1000 == 0 {
        return Value::from(credits.0 / 1000);
    }
    // At most 2^53 thousandths are exact: nine billions of credits.
    let fraction = Number::from_f64(credits.0 as f64 / 1000.0);
    fraction.map_or(Value::Null, Value::Number)
}

#[derive(Serialize)]
struct Success<'a, T> {
    success: bool,
    data: &'a T,
}

/// `{"success":true,"data":…}` with this status.
///
/// # Errors
/// `server_error` for what cannot be written: none of ours.
pub(super) fn success(status: StatusCode, data: &impl Serialize) -> Result<Response, ApiError> {
    Ok(answer(status, written(data)?))
}

/// The same, not yet an answer.
///
/// # Errors
/// As [`success`].
pub(super) fn written(data: &impl Serialize) -> Result<Vec<u8>, ApiError> {
    let json = serde_json::to_vec(&Success {
        success: true,
        data,
    });
    json.map_err(unwritable)
}

#[derive(Serialize)]
struct Page<'a, T> {
    success: bool,
    data: &'a [T],
    has_more: bool,
    /// What `cursor` is to be for the next page; `null`: this is the last one.
    next_cursor: Option<String>,
}

/// A page of a list.
///
/// # Errors
/// As [`success`].
pub(super) fn page<T: Serialize>(
    data: &[T],
    next_cursor: Option<String>,
) -> Result<Response, ApiError> {
    let json = serde_json::to_vec(&Page {
        success: true,
        data,
        has_more: next_cursor.is_some(),
        next_cursor,
    });
    Ok(answer(StatusCode::OK, json.map_err(unwritable)?))
}

/// JSON that is written already.
pub(super) fn answer(status: StatusCode, json: impl Into<Body>) -> Response {
    let mut response = Response::new(json.into());
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// Characters of a client's own words that an error says again.
const SAID_AGAIN: usize = 64;
/// And of what the reader says of a body, which may name a field of it.
const FAULT_MAX: usize = 300;

/// Reads a body that is an object. A list is none: it would be taken for an object's fields by their
/// place.
///
/// # Errors
/// `invalid_request`.
pub(super) fn object<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let refused = |why: &str| {
        let why: String = why.chars().take(FAULT_MAX).collect();
        let message = format!("the body is not a JSON object that can be used: {why}");
        ApiError::new(Code::InvalidRequest, message)
    };
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(refused("it must begin with { and name its fields"));
    }
    serde_json::from_slice(body).map_err(|error| refused(&error.to_string()))
}

/// A client's own name of something, as far as an error says it again.
pub(super) fn said_again(name: &str) -> &str {
    let end = name.char_indices().nth(SAID_AGAIN);
    end.map_or(name, |(end, _)| &name[..end])
}

/// What becomes of an answer that could not be written.
pub(super) fn unwritable(_: serde_json::Error) -> ApiError {
    let message = "the answer could not be written; tell us the request id";
    ApiError::new(Code::ServerError, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, serde::Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Small {
        number: u8,
    }

    #[test]
    fn a_list_is_no_object_and_a_long_name_is_cut() {
        assert_eq!(object::<Small>(b" {\"number\":7}").unwrap().number, 7);
        let long = format!("{{\"{}\":1}}", "x".repeat(9_000));
        for wrong in ["", "[]", "[60]", " [7]", "null", "7", "{", "{}x", &long] {
            let error = object::<Small>(wrong.as_bytes()).unwrap_err();
            assert_eq!(error.code, Code::InvalidRequest, "{wrong}");
            let said = format!("{error:?}");
            assert!(said.contains("the body is not a JSON object"), "{said}");
            assert!(said.len() < 600, "{said}");
        }
        assert_eq!(said_again(&"é".repeat(65)).chars().count(), 64);
    }

    #[test]
    fn whole_credits_are_written_as_integers() {
        for (milli, text) in [
            (5_000_000, "5000"),
            (0, "0"),
            (1_500, "1.5"),
            (-20, "-0.02"),
        ] {
            assert_eq!(amount(Credits(milli)).to_string(), text);
        }
    }
}
