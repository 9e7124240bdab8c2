//! Lives here: the words of the contract as forms: closed sets, taken from where the code names
//! them, and the small forms that stand in many places.
//! Never here: the words themselves (`domain`).

use std::borrow::Cow;

use serde_json::{Value, json};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::ERRORS;
use crate::api::code::Code;
use crate::api::json::Amount;
use crate::api::time::Text;
use crate::domain::class::Class;
use crate::domain::message::{Encoding, FailureCode, State};
use crate::domain::scope::Scope;

fn words(text: &str, words: impl IntoIterator<Item = &'static str>) -> Value {
    let mut named: Vec<&str> = Vec::new();
    for word in words {
        if !named.contains(&word) {
            named.push(word);
        }
    }
    json!({"type": "string", "enum": named, "description": text})
}

/// Makes forms with names of their own. utoipa knows their names only: its own forms cannot say all
/// that JSON Schema can.
macro_rules! forms {
    ($($type:ty, $name:literal, $schema:expr;)*) => {
        $(
            impl PartialSchema for $type {
                fn schema() -> RefOr<Schema> {
                    RefOr::T(Schema::default())
                }
            }

            impl ToSchema for $type {
                fn name() -> Cow<'static, str> {
                    Cow::Borrowed($name)
                }
            }
        )*

        /// The form of this name, if it is one of these.
        pub(super) fn written(name: &str) -> Option<Value> {
            match name {
                $($name => Some($schema),)*
                _ => None,
            }
        }
    };
}

/// A message's `status`.
pub(in crate::api) struct Status;
/// Its `status_detail`.
pub(in crate::api) struct StatusDetail;
/// Its `class`.
pub(in crate::api) struct ClassName;
/// Its `failure_code`.
pub(in crate::api) struct Failure;
/// How its text is encoded.
pub(in crate::api) struct EncodingName;
/// What a key may do.
pub(in crate::api) struct ScopeName;
/// An error's `code`.
pub(in crate::api) struct ErrorCode;
/// Its coarse `type`.
pub(in crate::api) struct ErrorFamily;
/// A phone number, as answered.
pub(in crate::api) struct Number;
/// What an event in a timeline tells of a status.
pub(in crate::api) struct EventStatus;
/// The client's own keys and values.
pub(in crate::api) struct Metadata;
/// The client's own words.
pub(in crate::api) struct Tags;

forms! {
    Amount, "Credits", json!({
        "type": "number",
        "description": "Credits: an integer when they are whole, else with at most three decimal places.",
    });
    Text, "Time", json!({
        "type": "string", "format": "date-time", "description": "RFC 3339 in UTC, with milliseconds.",
    });
    Status, "MessageStatus", words(
        "Where a message stands. `queued`: kept by us; `sent`: taken by a carrier; `delivered`: on the handset.",
        State::ALL.map(State::public),
    );
    StatusDetail, "MessageStatusDetail", words(
        "The same in finer steps. `uncertain`: perhaps sent, and being found out; `unknown`: never to be learnt.",
        State::ALL.map(State::name),
    );
    ClassName, "MessageClass", words(
        "What a message is for: `otp` goes before `transactional`, and that before `promotional`.",
        Class::ALL.map(Class::name),
    );
    Failure, "FailureCode", words("Why a message failed.", FailureCode::ALL.map(FailureCode::name));
    EncodingName, "Encoding", words(
        "`gsm7`: 160 characters in one segment, 153 in each of several; `ucs2`: 70 and 67.",
        [Encoding::Gsm7.name(), Encoding::Ucs2.name()],
    );
    ScopeName, "Scope", words("What a key may do; `admin` is all of it.", Scope::ALL.map(Scope::name));
    ErrorCode, "ErrorCode", words(
        &format!("What went wrong; each code has a page at `{ERRORS}{{code}}`. More may come."),
        Code::ALL.iter().map(|code| code.name()),
    );
    ErrorFamily, "ErrorType", words(
        "The coarse kind of an error.",
        Code::ALL.iter().map(|code| code.family()),
    );
    Number, "PhoneNumber", json!({
        "type": "string", "pattern": r"^(\+[0-9]{7,15}|\[erased\])$",
        "description": "E.164, with the plus sign. `[erased]`: a person asked us not to keep the number.",
    });
    EventStatus, "EventStatus", json!({
        "type": ["string", "integer"],
        "description": "The message's status, or the HTTP status of a webhook's answer.",
    });
    Metadata, "Metadata", json!({
        "type": "object", "maxProperties": 50,
        "propertyNames": {"maxLength": 40},
        "additionalProperties": {"type": ["string", "number", "boolean"]},
        "description": "Your own keys and values: at most 50 of 40 and 500 characters. Nothing of it is sent to the \
            recipient; answers and webhooks repeat it.",
    });
    Tags, "Tags", json!({
        "type": "array", "maxItems": 10, "items": {"type": "string", "maxLength": 64},
        "description": "Your own words, at most ten.",
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_code_each_once() {
        let expected = [
            "scheduled",
            "queued",
            "sent",
            "delivered",
            "failed",
            "canceled",
        ];
        assert_eq!(written(&Status::name()).unwrap()["enum"], json!(expected));
        assert_eq!(written(&Amount::name()).unwrap()["type"], "number");
        assert_eq!(written("Message"), None);
    }
}
