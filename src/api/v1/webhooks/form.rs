//! Lives here: what clients send of endpoints: which fields, of which types and sizes.
//! Never here: what becomes of them.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::api::code::Code;
use crate::api::error::{ApiError, Problem};
use crate::api::json;
use crate::domain::endpoint::{Change, Events, Format};
use crate::domain::event::EventKind;
use crate::webhooks::Trials;

/// What an endpoint is told of that does not say.
pub(super) const EVENTS: Events = Events::ALL;
/// And how.
pub(super) const FORMAT: Format = Format::Mojawave;
/// Characters of a description.
const DESCRIPTION_MAX: usize = 200;
/// Problems that are told of one body: it may hold thousands of fields.
const PROBLEMS_MAX: usize = 20;
/// How long two secrets hold after a rotation that does not say.
const OVERLAP: Duration = Duration::from_secs(24 * 3600);
/// And at most.
const OVERLAP_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// An endpoint as its owner wants it. `null` counts as absent, as everywhere; what is not known is
/// refused: who names it believes that it holds.
#[derive(Debug, Default)]
pub(super) struct Form {
    pub(super) url: Option<String>,
    events: Option<Events>,
    format: Option<Format>,
    description: Option<String>,
    enabled: Option<bool>,
}

impl Form {
    /// Reads a body; what is wrong with its fields is told together.
    ///
    /// # Errors
    /// `invalid_request`.
    pub(super) fn read(body: &[u8]) -> Result<Self, ApiError> {
        let fields: Map<String, Value> = json::object(body)?;
        let mut form = Self::default();
        let mut problems = Vec::new();
        for (name, value) in &fields {
            let done = match name.as_str() {
                "url" | "events" | "format" | "description" | "status" if value.is_null() => Ok(()),
                "url" => text(value).map(|url| form.url = Some(url)),
                "events" => events(value).map(|events| form.events = Some(events)),
                "format" => format(value).map(|format| form.format = Some(format)),
                "description" => description(value).map(|words| form.description = Some(words)),
                "status" => status(value).map(|enabled| form.enabled = Some(enabled)),
                _ => Err(UNKNOWN.to_owned()),
            };
            if let Err(detail) = done
                && problems.len() < PROBLEMS_MAX
            {
                let name = json::said_again(name);
                problems.push(Problem::field(name, format!("{name} {detail}")));
            }
        }
        if problems.is_empty() {
            Ok(form)
        } else {
            Err(ApiError::of_fields(Code::InvalidRequest, problems))
        }
    }

    /// The same as a change.
    ///
    /// # Errors
    /// `unprocessable` for a URL that is not called.
    pub(super) fn change(self, trials: &Trials) -> Result<Change, ApiError> {
        if let Some(url) = &self.url {
            trials.url(url).map_err(|error| {
                let problem = Problem::field("url", error.to_string());
                ApiError::of_field(Code::Unprocessable, problem)
            })?;
        }
        Ok(Change {
            url: self.url.map(Into::into),
            events: self.events,
            format: self.format,
            description: self.description.map(Into::into),
            enabled: self.enabled,
        })
    }
}

/// How long two secrets are to hold: `overlap_seconds` of a body that may be empty.
///
/// # Errors
/// `invalid_request`.
pub(super) fn overlap(body: &[u8]) -> Result<Duration, ApiError> {
    if body.trim_ascii().is_empty() {
        return Ok(OVERLAP);
    }
    let fields: Map<String, Value> = json::object(body)?;
    if let Some(name) = fields.keys().find(|name| *name != "overlap_seconds") {
        let name = json::said_again(name);
        let problem = Problem::field(name, format!("{name} {UNKNOWN}"));
        return Err(ApiError::of_field(Code::InvalidRequest, problem));
    }
    let Some(value) = fields.get("overlap_seconds").filter(|one| !one.is_null()) else {
        return Ok(OVERLAP);
    };
    let seconds = value.as_u64().map(Duration::from_secs);
    seconds.filter(|one| *one <= OVERLAP_MAX).ok_or_else(|| {
        let max = OVERLAP_MAX.as_secs();
        let detail = format!("overlap_seconds must be a whole number from 0 to {max} (7 days)");
        ApiError::of_field(
            Code::InvalidRequest,
            Problem::field("overlap_seconds", detail),
        )
    })
}

const UNKNOWN: &str = "is no field of this request; leave it out";

fn text(value: &Value) -> Result<String, String> {
    let text = value.as_str().ok_or("must be a string")?;
    Ok(text.to_owned())
}

fn description(value: &Value) -> Result<String, String> {
    let text = text(value)?;
    let long = text.chars().count() > DESCRIPTION_MAX;
    if long || text.chars().any(char::is_control) {
        return Err(format!(
            "must have at most {DESCRIPTION_MAX} printable characters"
        ));
    }
    Ok(text)
}

/// Kinds that can be asked for: all but the one that is made to try an endpoint, which every endpoint
/// gets.
fn events(value: &Value) -> Result<Events, String> {
    let names = || {
        let kinds = EventKind::ALL.into_iter();
        let kinds = kinds.filter(|kind| *kind != EventKind::Test);
        let names: Vec<&str> = kinds.map(EventKind::name).collect();
        format!(
            "must be a list of at least one of {} or *",
            names.join(", ")
        )
    };
    let list = value.as_array().ok_or_else(names)?;
    let mut events = Events::NONE;
    for item in list {
        let name = item.as_str().ok_or_else(names)?;
        if name == "*" {
            events = Events::ALL;
            continue;
        }
        let kind = EventKind::named(name).filter(|kind| *kind != EventKind::Test);
        events = events.with(kind.ok_or_else(names)?);
    }
    if events == Events::NONE {
        return Err(names());
    }
    Ok(events)
}

fn format(value: &Value) -> Result<Format, String> {
    let format = value.as_str().and_then(Format::named);
    format.ok_or_else(|| "must be mojawave or moaa".to_owned())
}

fn status(value: &Value) -> Result<bool, String> {
    match value.as_str() {
        Some("enabled") => Ok(true),
        Some("disabled") => Ok(false),
        Some(_) | None => Err("must be enabled or disabled".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_told_by_field() {
        for body in [
            r#"[]"#,
            r#"{"url":1}"#,
            r#"{"other":null}"#,
            r#"{"secret":"whsec_x","status":"enabled"}"#,
            r#"{"events":[]}"#,
            r#"{"events":"*"}"#,
            r#"{"events":["message.read"]}"#,
            r#"{"events":["endpoint.test"]}"#,
            r#"{"format":"xml"}"#,
            r#"{"status":true}"#,
            r#"{"description":"a\nb"}"#,
        ] {
            let error = Form::read(body.as_bytes()).unwrap_err();
            assert_eq!(error.code, Code::InvalidRequest, "{body}");
        }
        let long = format!(r#"{{"description":"{}"}}"#, "x".repeat(201));
        assert!(Form::read(long.as_bytes()).is_err());
    }

    #[test]
    fn what_is_absent_stays_absent() {
        let form = Form::read(br#"{"url":null,"events":["message.sent"]}"#).unwrap();
        assert!(form.url.is_none() && form.format.is_none() && form.enabled.is_none());
        assert_eq!(form.events.unwrap().names(), ["message.sent"]);
        let all = Form::read(br#"{"events":["message.sent","*"]}"#).unwrap();
        assert_eq!(all.events, Some(Events::ALL));
    }

    #[test]
    fn two_secrets_hold_for_a_day_unless_somebody_says_otherwise() {
        assert_eq!(overlap(b"").unwrap(), OVERLAP);
        assert_eq!(overlap(b"{}").unwrap(), OVERLAP);
        let none = overlap(br#"{"overlap_seconds":0}"#).unwrap();
        assert_eq!(none, Duration::ZERO);
        for wrong in ["604801", "-1", "1.5", "\"1\""] {
            let body = format!(r#"{{"overlap_seconds":{wrong}}}"#);
            assert!(overlap(body.as_bytes()).is_err(), "{wrong}");
        }
        for wrong in ["24", "[]", "[3600]", r#"{"overlap":0}"#] {
            assert!(overlap(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
