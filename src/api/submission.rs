//! Lives here: the body of `POST /v1/sms/send` as text: which fields it has under which names,
//! their types and sizes. Borrows from the body; nothing is copied that has no escape in it.
//! Never here: what the fields mean (`ingest`), reading the body from the socket.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::code::Code;
use super::error::{ApiError, Problem};
use super::time;
use crate::domain::class::Class;
use crate::domain::time::Timestamp;
use crate::ingest::Submission;

const METADATA_KEYS_MAX: usize = 50;
const METADATA_KEY_MAX: usize = 40;
const METADATA_VALUE_MAX: usize = 500;
const TAGS_MAX: usize = 10;
const TAG_MAX: usize = 64;
const CLIENT_REF_MAX: usize = 64;
/// Seconds that a message may be valid for: a minute, or as long as two days.
const VALIDITY: std::ops::RangeInclusive<u64> = 60..=172_800;
/// Unknown fields that are named in a warning, and characters of each name: the body may hold
/// thousands of them.
const UNKNOWN_MAX: usize = 20;
const UNKNOWN_NAME_MAX: usize = 64;

/// A body whose fields have the right types and sizes.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    to: Cow<'a, str>,
    from: Cow<'a, str>,
    message: Cow<'a, str>,
    pub(super) class: Class,
    webhook_url: Option<Cow<'a, str>>,
    due_at: Option<Timestamp>,
    metadata: Option<&'a str>,
    tags: Option<&'a str>,
    client_ref: Option<Cow<'a, str>>,
    pub(super) validity: Option<Duration>,
    /// Fields that this request does not have.
    pub(super) unknown: Vec<Box<str>>,
    /// The names that the client used, by [`Field`].
    names: [&'static str; FIELDS],
}

impl<'a> Draft<'a> {
    /// Reads a body.
    ///
    /// # Errors
    /// `invalid_request` for what is no JSON object, missing or of a wrong type, with every such
    /// field; then `unprocessable` or `schedule_invalid` for the first that means nothing.
    pub(super) fn parse(body: &'a [u8]) -> Result<Self, ApiError> {
        let text = std::str::from_utf8(body).map_err(|error| {
            let at = error.valid_up_to();
            let message = format!("the body is not UTF-8 (octet {at}); send JSON in UTF-8");
            ApiError::new(Code::InvalidRequest, message)
        })?;
        let fields: Fields<'a> = serde_json::from_str(text).map_err(|error| {
            let message = format!("the body is not a JSON object that can be read: {error}");
            ApiError::new(Code::InvalidRequest, message)
        })?;
        fields.check()
    }

    /// What ingest takes; `live` as the caller's key.
    pub(super) fn submission(&self, live: bool) -> Submission<'_> {
        Submission {
            to: &self.to,
            from: &self.from,
            message: &self.message,
            class: self.class,
            webhook_url: self.webhook_url.as_deref(),
            due_at: self.due_at,
            metadata: self.metadata,
            tags: self.tags,
            client_ref: self.client_ref.as_deref(),
            validity: self.validity,
            live,
        }
    }

    /// The text to send.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// The client's own name of a field that ingest names.
    pub(super) fn name(&self, core: &'static str) -> &'static str {
        Field::ALL
            .into_iter()
            .find(|field| field.names()[0] == core)
            .map_or(core, |field| self.names[field as usize])
    }
}

const FIELDS: usize = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    To,
    From,
    Message,
    WebhookUrl,
    ScheduleAt,
    Metadata,
    Tags,
    Class,
    ClientRef,
    Validity,
}

impl Field {
    const ALL: [Self; FIELDS] = [
        Self::To,
        Self::From,
        Self::Message,
        Self::WebhookUrl,
        Self::ScheduleAt,
        Self::Metadata,
        Self::Tags,
        Self::Class,
        Self::ClientRef,
        Self::Validity,
    ];

    /// The names that clients of the products we serve use; the first is the core's.
    const fn names(self) -> &'static [&'static str] {
        match self {
            Self::To => &["to", "phone"],
            Self::From => &["from", "sender", "senderId", "from_"],
            Self::Message => &["message"],
            Self::WebhookUrl => &["webhook_url"],
            Self::ScheduleAt => &["schedule_at", "scheduleAt", "scheduledAt"],
            Self::Metadata => &["metadata"],
            Self::Tags => &["tags"],
            Self::Class => &["class"],
            Self::ClientRef => &["client_ref", "clientRef", "client_reference"],
            Self::Validity => &["validity"],
        }
    }
}

/// A key of the body.
enum Key {
    Known(Field, &'static str),
    Unknown(Box<str>),
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl Visitor<'_> for KeyVisitor {
            type Value = Key;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field name")
            }
            fn visit_str<E>(self, key: &str) -> Result<Key, E> {
                for field in Field::ALL {
                    for name in field.names() {
                        if *name == key {
                            return Ok(Key::Known(field, name));
                        }
                    }
                }
                Ok(Key::Unknown(key.chars().take(UNKNOWN_NAME_MAX).collect()))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

/// The known fields as JSON text. `null` counts as absent: client libraries send it for what
/// their caller left out.
#[derive(Default)]
struct Fields<'a> {
    values: [Option<(&'static str, &'a RawValue)>; FIELDS],
    twice: Vec<Problem>,
    unknown: Vec<Box<str>>,
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;
        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Fields<'de>, M::Error> {
                let mut fields = Fields::default();
                while let Some(key) = map.next_key()? {
                    match key {
                        Key::Known(field, name) => fields.put(field, name, map.next_value()?),
                        Key::Unknown(name) => {
                            map.next_value::<IgnoredAny>()?;
                            if fields.unknown.len() < UNKNOWN_MAX {
                                fields.unknown.push(name);
                            }
                        }
                    }
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(FieldsVisitor)
    }
}

impl<'a> Fields<'a> {
    fn put(&mut self, field: Field, name: &'static str, value: &'a RawValue) {
        if value.get() == "null" {
            return;
        }
        match self.values[field as usize].replace((name, value)) {
            // One note is enough: the body may hold thousands of them.
            Some((earlier, _)) if self.twice.is_empty() => {
                let detail = if earlier == name {
                    format!("{name} is given twice; give it once")
                } else {
                    format!("{name} and {earlier} are the same field; give one of them")
                };
                self.twice.push(Problem::field(name, detail));
            }
            Some(_) | None => {}
        }
    }

    fn check(self) -> Result<Draft<'a>, ApiError> {
        let mut names = Field::ALL.map(|field| field.names()[0]);
        for (name, value) in names.iter_mut().zip(&self.values) {
            if let Some((given, _)) = value {
                *name = given;
            }
        }
        let value = |field: Field| self.values[field as usize];
        let mut problems = self.twice;
        let mut text = |field: Field, remedy: Option<&str>| {
            let read = match (value(field), remedy) {
                (Some((name, raw)), _) => read_text(raw.get())
                    .map(Some)
                    .map_err(|wrong| Problem::field(name, format!("{name} {wrong}"))),
                (None, None) => Ok(None),
                (None, Some(remedy)) => {
                    let name = field.names()[0];
                    Err(Problem::field(name, format!("{name} is missing; {remedy}")))
                }
            };
            read.unwrap_or_else(|problem| {
                problems.push(problem);
                None
            })
        };
        let to = text(
            Field::To,
            Some("give the recipient in E.164, for example +255712345678"),
        );
        let from = text(
            Field::From,
            Some("give a registered sender id of at most 11 characters"),
        );
        let message = text(Field::Message, Some("give the text to send"));
        let webhook_url = text(Field::WebhookUrl, None);
        let schedule_at = text(Field::ScheduleAt, None);
        let class = text(Field::Class, None);
        let client_ref = text(Field::ClientRef, None);
        let mut too_much = Vec::new();
        let validity = value(Field::Validity)
            .and_then(|(name, raw)| read_validity(name, raw.get(), &mut problems, &mut too_much));
        if let Some((name, raw)) = value(Field::Metadata) {
            check_metadata(name, raw.get(), &mut problems, &mut too_much);
        }
        if let Some((name, raw)) = value(Field::Tags) {
            check_tags(name, raw.get(), &mut problems, &mut too_much);
        }
        let (Some(to), Some(from), Some(message), true) = (to, from, message, problems.is_empty())
        else {
            return Err(ApiError::of_fields(Code::InvalidRequest, problems));
        };
        if !too_much.is_empty() {
            return Err(ApiError::of_fields(Code::Unprocessable, too_much));
        }
        let json = |field: Field| value(field).map(|(_, raw)| raw.get());
        Ok(Draft {
            message: sendable(message)?,
            class: read_class(class.as_deref())?,
            due_at: read_due(names[Field::ScheduleAt as usize], schedule_at.as_deref())?,
            metadata: json(Field::Metadata),
            tags: json(Field::Tags),
            client_ref: read_client_ref(names[Field::ClientRef as usize], client_ref)?,
            to,
            from,
            webhook_url,
            validity,
            unknown: self.unknown,
            names,
        })
    }
}

/// A JSON string's text, or what is wrong with it. `json` is one JSON value, already scanned.
pub(super) fn read_text(json: &str) -> Result<Cow<'_, str>, Cow<'static, str>> {
    let Some(inner) = json
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    else {
        return Err(format!("must be a string, not {}", kind(json)).into());
    };
    if !inner.contains('\\') {
        return Ok(Cow::Borrowed(inner));
    }
    serde_json::from_str(json)
        .map(Cow::Owned)
        .map_err(|_| "has an escape that is no character; send well-formed Unicode".into())
}

pub(super) fn kind(json: &str) -> &'static str {
    match json.as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

/// A NUL ends the text on many handsets and in many carriers' software.
fn sendable(message: Cow<'_, str>) -> Result<Cow<'_, str>, ApiError> {
    if message.contains('\0') {
        let problem = Problem::field("message", "message has a NUL character; leave it out");
        return Err(ApiError::of_field(Code::Unprocessable, problem));
    }
    Ok(message)
}

fn read_class(name: Option<&str>) -> Result<Class, ApiError> {
    let Some(name) = name else {
        return Ok(Class::default());
    };
    Class::parse(name).ok_or_else(|| {
        let detail = "class must be otp, transactional or promotional";
        ApiError::of_field(Code::Unprocessable, Problem::field("class", detail))
    })
}

/// Printable, so that it can stand in lists, files and logs of the client as it is.
pub(super) fn read_client_ref<'a>(
    name: &str,
    text: Option<Cow<'a, str>>,
) -> Result<Option<Cow<'a, str>>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let length = text.chars().count();
    if (1..=CLIENT_REF_MAX).contains(&length) && !text.chars().any(char::is_control) {
        return Ok(Some(text));
    }
    let detail = format!("{name} must have 1 to {CLIENT_REF_MAX} printable characters");
    let problem = Problem::field(name, detail);
    Err(ApiError::of_field(Code::Unprocessable, problem))
}

fn read_validity(
    name: &str,
    json: &str,
    problems: &mut Vec<Problem>,
    too_much: &mut Vec<Problem>,
) -> Option<Duration> {
    let (least, most) = (VALIDITY.start(), VALIDITY.end());
    match json.parse::<u64>() {
        Ok(seconds) if VALIDITY.contains(&seconds) => return Some(Duration::from_secs(seconds)),
        Ok(_) => {
            let detail = format!("{name} must be from {least} to {most} seconds");
            too_much.push(Problem::field(name, detail));
        }
        Err(_) => {
            let detail = format!("{name} must be a whole number of seconds, {least} to {most}");
            problems.push(Problem::field(name, detail));
        }
    }
    None
}

pub(super) fn read_due(name: &str, text: Option<&str>) -> Result<Option<Timestamp>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    time::parse(text).map(Some).ok_or_else(|| {
        let detail =
            format!("{name} must be RFC 3339 with an offset, like 2026-04-05T15:03:04+03:00");
        ApiError::of_field(Code::ScheduleInvalid, Problem::field(name, detail))
    })
}

pub(super) fn check_metadata(
    name: &str,
    json: &str,
    problems: &mut Vec<Problem>,
    too_much: &mut Vec<Problem>,
) {
    if !json.starts_with('{') {
        let detail = format!("{name} must be an object, not {}", kind(json));
        return problems.push(Problem::field(name, detail));
    }
    let Ok(Members(members)) = serde_json::from_str(json) else {
        let detail = format!("{name} has a key that is no text; send well-formed Unicode");
        return problems.push(Problem::field(name, detail));
    };
    if members.len() > METADATA_KEYS_MAX {
        let detail = format!("{name} has more than {METADATA_KEYS_MAX} keys; send fewer");
        return too_much.push(Problem::field(name, detail));
    }
    for (key, value) in members {
        let length = match value.get().as_bytes().first() {
            Some(b'"') => match read_text(value.get()) {
                Ok(text) => text.chars().count(),
                Err(wrong) => {
                    problems.push(Problem::inside(name, &key, format!("{name}.{key} {wrong}")));
                    continue;
                }
            },
            Some(b't' | b'f') => 0,
            Some(b'-' | b'0'..=b'9') if value.get().parse().is_ok_and(f64::is_finite) => {
                value.get().len()
            }
            _ => {
                let detail = format!("{name}.{key} must be a string, a number or a boolean");
                problems.push(Problem::inside(name, &key, detail));
                continue;
            }
        };
        if key.chars().count() > METADATA_KEY_MAX {
            let detail = format!("{name} has a key of more than {METADATA_KEY_MAX} characters");
            too_much.push(Problem::inside(name, &key, detail));
        } else if length > METADATA_VALUE_MAX {
            let detail = format!("{name}.{key} has more than {METADATA_VALUE_MAX} characters");
            too_much.push(Problem::inside(name, &key, detail));
        }
    }
}

pub(super) fn check_tags(
    name: &str,
    json: &str,
    problems: &mut Vec<Problem>,
    too_much: &mut Vec<Problem>,
) {
    let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(json) else {
        let detail = format!("{name} must be an array of strings, not {}", kind(json));
        return problems.push(Problem::field(name, detail));
    };
    if items.len() > TAGS_MAX {
        let detail = format!("{name} has more than {TAGS_MAX} items; send fewer");
        return too_much.push(Problem::field(name, detail));
    }
    for (index, item) in items.iter().enumerate() {
        let index = index.to_string();
        match read_text(item.get()) {
            Ok(text) if text.chars().count() <= TAG_MAX => {}
            Ok(_) => {
                let detail = format!("{name}.{index} has more than {TAG_MAX} characters");
                too_much.push(Problem::inside(name, &index, detail));
            }
            Err(wrong) => {
                let detail = format!("{name}.{index} {wrong}");
                problems.push(Problem::inside(name, &index, detail));
            }
        }
    }
}

/// An object's members; reading stops soon after the most that is allowed.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Members<'de>, M::Error> {
                let mut members = Vec::new();
                while let Some(key) = map.next_key::<String>()? {
                    let value = map.next_value()?;
                    if members.len() <= METADATA_KEYS_MAX {
                        members.push((key, value));
                    }
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_body_is_borrowed_and_an_escaped_text_is_read() {
        let body = br#"{"phone":"+255753276939","senderId":"MojaWave","message":"a\u00e9\n",
            "metadata":{"k":1.5,"b":true,"s":"x"},"tags":["a"],"class":"otp","unknown":[{}],
            "scheduledAt":"2026-04-05T15:03:04+03:00","webhook_url":null}"#;
        let draft = Draft::parse(body).unwrap();
        assert!(matches!(draft.to, Cow::Borrowed("+255753276939")));
        assert_eq!((&*draft.from, &*draft.message), ("MojaWave", "a\u{e9}\n"));
        assert_eq!(
            (draft.class, draft.webhook_url.is_none()),
            (Class::Otp, true)
        );
        assert_eq!(draft.due_at, Some(Timestamp(1_775_390_584_000)));
        assert_eq!(draft.metadata, Some(r#"{"k":1.5,"b":true,"s":"x"}"#));
        assert_eq!(draft.tags, Some(r#"["a"]"#));
        assert_eq!(draft.name("to"), "phone");
        assert_eq!(draft.name("from"), "senderId");
        assert_eq!(draft.name("schedule_at"), "scheduledAt");
        assert_eq!(draft.name("message"), "message");
        assert_eq!(draft.unknown, ["unknown".into()]);
    }

    #[test]
    fn no_body_makes_the_reader_panic() {
        let body = br#"{"to":"+255753276939","from":"M","message":"a\ud83d\ude00","metadata":{"a":[1]},"tags":["\ud800"]}"#;
        for end in 0..body.len() {
            assert!(Draft::parse(&body[..end]).is_err());
            for octet in [0, b'"', b'{', b'\\', 0xff] {
                let mut body = body.to_vec();
                body[end] = octet;
                let _ = Draft::parse(&body);
            }
        }
    }
}
