//! Lives here: what the bodies of a send and of a bulk request share: which fields there are under which
//! names, their types and sizes, and what is said of a body that breaks these. Borrows from the
//! body; nothing is copied that has no escape in it.
//! Never here: which of the fields one request has (`submission`, `v1::bulk::body`), what they mean.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::code::Code;
use super::error::{ApiError, Problem};
use super::json::said_again;
use super::time;
use crate::domain::class::Class;
use crate::domain::time::Timestamp;

const METADATA_KEYS_MAX: usize = 50;
const METADATA_KEY_MAX: usize = 40;
const METADATA_VALUE_MAX: usize = 500;
const TAGS_MAX: usize = 10;
const TAG_MAX: usize = 64;
/// Characters of a client's own name for a message.
pub(super) const CLIENT_REF_MAX: usize = 64;
/// Unknown fields that are named in a warning: the body may hold thousands of them.
pub(super) const UNKNOWN_MAX: usize = 20;

/// The code of what is missing or of a wrong type, and of what is too much or means nothing.
pub(super) const MALFORMED: Code = Code::InvalidRequest;
pub(super) const SENSELESS: Code = Code::Unprocessable;
/// A field that there will be: hours of the day to send in.
const NOT_BUILT: [&str; 2] = ["send_window", "sendWindow"];
/// What is said of a text with a U+0000.
const NUL: &str = "has a NUL character; leave it out";
/// What is said of a time that is none.
pub(super) const NO_TIME: &str = "must be RFC 3339 with an offset, like 2026-04-05T15:03:04+03:00";

/// A field of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
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
    Name,
    OnMissing,
    Strict,
    Dedupe,
    RateLimit,
}

const FIELDS: usize = Field::RateLimit as usize + 1;

/// The fields that every form has.
const SHARED: [Field; 7] = [
    Field::From,
    Field::Message,
    Field::WebhookUrl,
    Field::ScheduleAt,
    Field::Metadata,
    Field::Tags,
    Field::Class,
];

impl Field {
    /// The names that clients of the products we serve use; the first is the core's.
    const fn names(self) -> &'static [&'static str] {
        match self {
            Self::To => &["to", "phone"],
            Self::From => &["from", "sender", "senderId", "from_"],
            Self::Message => &["message"],
            Self::WebhookUrl => &["webhook_url"],
            Self::ScheduleAt => &["schedule_at", "scheduleAt", "scheduledAt", "scheduled_at"],
            Self::Metadata => &["metadata"],
            Self::Tags => &["tags"],
            Self::Class => &["class"],
            Self::ClientRef => &["client_ref", "clientRef", "client_reference"],
            Self::Validity => &["validity"],
            Self::Name => &["name"],
            Self::OnMissing => &["on_missing"],
            Self::Strict => &["strict"],
            Self::Dedupe => &["dedupe"],
            Self::RateLimit => &["rate_limit"],
        }
    }
}

/// Refuses a body with fields that its request does not have.
///
/// # Errors
/// `unprocessable`, with each of them.
pub(super) fn known(unknown: &[Box<str>]) -> Result<(), ApiError> {
    if unknown.is_empty() {
        return Ok(());
    }
    let problems = unknown.iter().map(|name| {
        let detail = format!("{name} is no field of this request; leave it out");
        let mut problem = Problem::field(name, detail);
        // A recipient's: its place is a step of its own.
        if name.starts_with("recipients.") {
            problem.pointer = problem.pointer.replacen('.', "/", 2);
        }
        problem
    });
    Err(ApiError::of_fields(SENSELESS, problems.collect()))
}

/// The core's name of a field that clients may call otherwise.
pub(super) fn core_name(name: &str) -> &str {
    let known = SHARED.iter().map(|field| field.names());
    let mut named = known.filter(|names| names.contains(&name));
    named.next().map_or(name, |names| names[0])
}

/// A kind of request.
pub(super) trait Form<'a> {
    /// What its body is.
    const KIND: &'static str;
    /// The fields that it has beside the shared ones.
    const OWN: &'static [Field];
    /// The name of the field that is read where it stands, since it may be the most of the body.
    const LIST: Option<&'static str>;
    /// What that field holds.
    type List: Deserialize<'a>;
}

/// The names that the client used, by [`Field`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Names([u8; FIELDS]);

impl Names {
    /// The client's own name of a field.
    pub(super) fn of(&self, field: Field) -> &'static str {
        field.names()[usize::from(self.0[field as usize])]
    }

    /// The client's own name of a field that the core names.
    pub(super) fn of_core(&self, core: &'static str) -> &'static str {
        let mut named = SHARED.into_iter().chain([Field::To]);
        let field = named.find(|field| field.names()[0] == core);
        field.map_or(core, |field| self.of(field))
    }
}

/// The fields of a body as JSON text, and what is wrong with them. `null` counts as absent: client
/// libraries send it for what their caller left out.
pub(super) struct Fields<'a, F: Form<'a>> {
    values: [Option<&'a RawValue>; FIELDS],
    pub(super) names: Names,
    pub(super) list: Option<F::List>,
    /// The first fields that this request does not have.
    pub(super) unknown: Vec<Box<str>>,
    /// What is wrong, each with the code of it.
    wrong: Vec<Problem>,
    twice: bool,
}

impl<'de, F: Form<'de>> Deserialize<'de> for Fields<'de, F> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor<'de, F: Form<'de>>(PhantomData<Fields<'de, F>>);
        impl<'de, F: Form<'de>> Visitor<'de> for FieldsVisitor<'de, F> {
            type Value = Fields<'de, F>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut fields = Fields::<F> {
                    values: [None; FIELDS],
                    names: Names::default(),
                    list: None,
                    unknown: Vec::new(),
                    wrong: Vec::new(),
                    twice: false,
                };
                while let Some(Key(key)) = map.next_key()? {
                    if let Some(list) = F::LIST.filter(|list| *list == key) {
                        let earlier = fields.list.replace(map.next_value()?);
                        fields.once(list, earlier.map(|_| list));
                    } else if let Some((field, name)) = named(F::OWN, &key) {
                        fields.put(field, name, map.next_value()?);
                    } else if let Some(name) = NOT_BUILT.into_iter().find(|name| *name == key) {
                        fields.not_built(name, map.next_value()?);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                        if fields.unknown.len() < UNKNOWN_MAX {
                            fields.unknown.push(said_again(&key).into());
                        }
                    }
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(FieldsVisitor(PhantomData))
    }
}

/// The field that has this name, and which of its names that is.
fn named(own: &[Field], key: &str) -> Option<(Field, u8)> {
    SHARED.iter().chain(own).find_map(|field| {
        let mut names = (0..).zip(field.names());
        let (at, _) = names.find(|(_, name)| **name == key)?;
        Some((*field, at))
    })
}

impl<'a, F: Form<'a>> Fields<'a, F> {
    /// Reads a body.
    ///
    /// # Errors
    /// `invalid_request` for what is no JSON object.
    pub(super) fn read(body: &'a [u8]) -> Result<Self, ApiError> {
        let text = std::str::from_utf8(body).map_err(|error| {
            let at = error.valid_up_to();
            let message = format!("the body is not UTF-8 (octet {at}); send JSON in UTF-8");
            ApiError::new(Code::InvalidRequest, message)
        })?;
        serde_json::from_str(text).map_err(|error| {
            let message = format!("the body is not {} that can be read: {error}", F::KIND);
            ApiError::new(Code::InvalidRequest, message)
        })
    }

    fn put(&mut self, field: Field, name: u8, value: &'a RawValue) {
        if value.get() == "null" {
            return;
        }
        let earlier = self.values[field as usize].replace(value);
        let earlier = earlier.map(|_| self.names.of(field));
        self.names.0[field as usize] = name;
        self.once(self.names.of(field), earlier);
    }

    /// Whoever names hours of the day must not have it sent at others.
    fn not_built(&mut self, name: &str, value: &RawValue) {
        if value.get() != "null" {
            let detail =
                format!("{name} is not available; give the time to send at as schedule_at");
            self.problem(SENSELESS, Problem::field(name, detail));
        }
    }

    /// Notes a field that was given before. One note is enough: the body may hold thousands of them.
    fn once(&mut self, name: &'static str, earlier: Option<&'static str>) {
        let Some(earlier) = earlier.filter(|_| !self.twice) else {
            return;
        };
        self.twice = true;
        self.problem(MALFORMED, Problem::field(name, twice(name, earlier)));
    }

    /// A field's JSON text.
    pub(super) fn json(&self, field: Field) -> Option<&'a str> {
        self.values[field as usize].map(RawValue::get)
    }

    /// Has the request refused for this.
    pub(super) fn problem(&mut self, code: Code, problem: Problem) {
        let code = Some(code);
        self.wrong.push(Problem { code, ..problem });
    }

    /// Has the request refused for a field; `what` is wrong with it.
    pub(super) fn wrong(&mut self, code: Code, field: Field, what: impl fmt::Display) {
        let name = self.names.of(field);
        self.problem(code, Problem::field(name, format!("{name} {what}")));
    }

    /// Refuses the request for what was found wrong.
    ///
    /// # Errors
    /// `invalid_request` with every field that is missing or of a wrong type, or else
    /// `unprocessable` with all that mean nothing, or else `schedule_invalid`.
    pub(super) fn judge(&mut self) -> Result<(), ApiError> {
        let codes = [MALFORMED, SENSELESS, Code::ScheduleInvalid].map(Some);
        let gravest = codes
            .into_iter()
            .find(|code| self.wrong.iter().any(|problem| problem.code == *code));
        let Some(Some(code)) = gravest else {
            return Ok(());
        };
        self.wrong.retain(|problem| problem.code == Some(code));
        Err(ApiError::of_fields(code, std::mem::take(&mut self.wrong)))
    }

    /// The text of a field.
    pub(super) fn text(&mut self, field: Field) -> Option<Cow<'a, str>> {
        match read_text(self.json(field)?) {
            // It ends the text on many handsets and in many carriers' software, and PostgreSQL cannot
            // keep it. Without an escape there is none.
            Ok(Cow::Owned(text)) if text.contains('\0') => {
                self.wrong(SENSELESS, field, NUL);
                Some(text.into())
            }
            Ok(text) => Some(text),
            Err(wrong) => {
                self.wrong(MALFORMED, field, wrong);
                None
            }
        }
    }

    /// The text of a field that must be there, or an empty one in a request that is refused.
    pub(super) fn needed(&mut self, field: Field, remedy: &str) -> Cow<'a, str> {
        if self.json(field).is_none() {
            self.wrong(MALFORMED, field, format_args!("is missing; {remedy}"));
        }
        self.text(field).unwrap_or_default()
    }

    /// The sender.
    pub(super) fn from(&mut self) -> Cow<'a, str> {
        let remedy = "give a registered sender id of at most 11 characters";
        self.needed(Field::From, remedy)
    }

    /// The text to send.
    pub(super) fn message(&mut self) -> Cow<'a, str> {
        self.needed(Field::Message, "give the text to send")
    }

    /// The class, `default` where none is given; `wrong` is said of one that is none of these.
    pub(super) fn class(&mut self, default: Class, of: &[Class], wrong: &str) -> Class {
        let Some(name) = self.text(Field::Class) else {
            return default;
        };
        let found = Class::parse(&name).filter(|class| of.contains(class));
        found.unwrap_or_else(|| {
            self.wrong(SENSELESS, Field::Class, wrong);
            default
        })
    }

    /// The client's own name for the message.
    pub(super) fn client_ref(&mut self) -> Option<Cow<'a, str>> {
        let text = self.text(Field::ClientRef)?;
        if !is_client_ref(&text) {
            let wrong = format_args!("must have 1 to {CLIENT_REF_MAX} printable characters");
            self.wrong(SENSELESS, Field::ClientRef, wrong);
        }
        Some(text)
    }

    /// Yes or no; no where it is not given.
    pub(super) fn flag(&mut self, field: Field) -> bool {
        match self.json(field) {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => {
                self.wrong(MALFORMED, field, "must be true or false");
                false
            }
        }
    }

    /// The metadata as JSON text.
    pub(super) fn metadata(&mut self) -> Option<&'a str> {
        let json = self.json(Field::Metadata)?;
        let name = self.names.of(Field::Metadata);
        if !json.starts_with('{') {
            let wrong = format_args!("must be an object, not {}", kind(json));
            self.wrong(MALFORMED, Field::Metadata, wrong);
            return None;
        }
        let Ok(Members(members)) = serde_json::from_str(json) else {
            let wrong = "has a key that is no text; send well-formed Unicode";
            self.wrong(MALFORMED, Field::Metadata, wrong);
            return None;
        };
        if members.len() > METADATA_KEYS_MAX {
            let wrong = format_args!("has more than {METADATA_KEYS_MAX} keys; send fewer");
            self.wrong(SENSELESS, Field::Metadata, wrong);
            return None;
        }
        for (key, value) in members {
            let (code, detail) = match value_length(value.get()) {
                Err(wrong) => (MALFORMED, format!("{name}.{key} {wrong}")),
                Ok(_) if key.contains('\0') => (SENSELESS, format!("{name} has a key that {NUL}")),
                Ok(_) if has_nul(value.get()) => (SENSELESS, format!("{name}.{key} {NUL}")),
                Ok(_) if key.chars().count() > METADATA_KEY_MAX => {
                    let most = METADATA_KEY_MAX;
                    let detail = format!("{name} has a key of more than {most} characters");
                    (SENSELESS, detail)
                }
                Ok(length) if length > METADATA_VALUE_MAX => {
                    let most = METADATA_VALUE_MAX;
                    let detail = format!("{name}.{key} has more than {most} characters");
                    (SENSELESS, detail)
                }
                Ok(_) => continue,
            };
            self.problem(code, Problem::inside(name, &key, detail));
        }
        Some(json)
    }

    /// The tags as JSON text.
    pub(super) fn tags(&mut self) -> Option<&'a str> {
        let json = self.json(Field::Tags)?;
        let name = self.names.of(Field::Tags);
        let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(json) else {
            let wrong = format_args!("must be an array of strings, not {}", kind(json));
            self.wrong(MALFORMED, Field::Tags, wrong);
            return None;
        };
        if items.len() > TAGS_MAX {
            let wrong = format_args!("has more than {TAGS_MAX} items; send fewer");
            self.wrong(SENSELESS, Field::Tags, wrong);
            return None;
        }
        for (index, item) in items.iter().enumerate() {
            let (code, wrong) = match read_text(item.get()) {
                Ok(text) if text.contains('\0') => (SENSELESS, NUL.into()),
                Ok(text) if text.chars().count() <= TAG_MAX => continue,
                Ok(_) => {
                    let wrong = format!("has more than {TAG_MAX} characters");
                    (SENSELESS, wrong.into())
                }
                Err(wrong) => (MALFORMED, wrong),
            };
            let detail = format!("{name}.{index} {wrong}");
            self.problem(code, Problem::inside(name, &index.to_string(), detail));
        }
        Some(json)
    }

    /// When it is to be sent.
    pub(super) fn due(&mut self) -> Option<Timestamp> {
        let text = self.text(Field::ScheduleAt)?;
        let due = time::parse(&text);
        if due.is_none() {
            self.wrong(Code::ScheduleInvalid, Field::ScheduleAt, NO_TIME);
        }
        due
    }
}

/// What is said of a field that was given before, by one of its names.
pub(super) fn twice(name: &str, earlier: &str) -> String {
    if earlier == name {
        format!("{name} is given twice; give it once")
    } else {
        format!("{name} and {earlier} are the same field; give one of them")
    }
}

/// Printable, so that it can stand in lists, files and logs of the client as it is.
pub(super) fn is_client_ref(text: &str) -> bool {
    (1..=CLIENT_REF_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control)
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

/// Whether a value is a text with a U+0000; `json` is one JSON value, already scanned.
fn has_nul(json: &str) -> bool {
    json.contains("\\u0000") && read_text(json).is_ok_and(|text| text.contains('\0'))
}

/// The characters of a value that a client brings along, or what is wrong with it.
fn value_length(json: &str) -> Result<usize, Cow<'static, str>> {
    match json.as_bytes().first() {
        Some(b'"') => read_text(json).map(|text| text.chars().count()),
        Some(b't' | b'f') => Ok(0),
        Some(b'-' | b'0'..=b'9') if json.parse().is_ok_and(f64::is_finite) => Ok(json.len()),
        _ => Err("must be a string, a number or a boolean".into()),
    }
}

/// A key, borrowed if it has no escape.
pub(super) struct Key<'a>(pub(super) Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field name")
            }
            fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(key)))
            }
            fn visit_str<E>(self, key: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(key.to_owned())))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
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
