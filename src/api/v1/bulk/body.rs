//! Lives here: the body of `POST /v1/sms/bulk` as text: one pass over it, everything borrowed that has
//! no escape in it. Recipients are read where they stand, the other fields afterwards.
//! Never here: what the fields mean (`bulk`), texts and prices.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::api::code::Code;
use crate::api::error::{ApiError, Problem};
use crate::api::json::said_again;
use crate::api::submission::{
    check_metadata, check_tags, kind, read_client_ref, read_due, read_text,
};
use crate::bulk::{Recipient, Request};
use crate::domain::class::Class;
use crate::domain::job::RECIPIENTS_MAX;
use crate::domain::template::OnMissing;

/// Characters of a job's name at most.
const NAME_MAX: usize = 200;
/// Values that one recipient may bring.
const VALUES_MAX: usize = 50;
/// Characters of a field's name, and of its value.
const FIELD_MAX: usize = 40;
const VALUE_MAX: usize = 1600;
/// Messages a second that may be asked for at most: beyond it the carriers' pace is the limit.
const RATE_MAX: u32 = 10_000;
/// Problems of recipients that are told.
const PROBLEMS_MAX: usize = 100;

/// A body whose fields have the right types and sizes.
#[derive(Debug)]
pub(in crate::api) struct Draft<'a> {
    pub(in crate::api) request: Request<'a>,
    /// Fields that mean nothing here, the first of them.
    pub(in crate::api) unknown: Vec<Cow<'a, str>>,
}

impl<'a> Draft<'a> {
    /// Reads a body.
    ///
    /// # Errors
    /// `invalid_request` for what is no JSON object, missing or of a wrong type; then
    /// `unprocessable` or `schedule_invalid` for what means nothing.
    pub(in crate::api) fn parse(body: &'a [u8]) -> Result<Self, ApiError> {
        let text = std::str::from_utf8(body).map_err(|error| {
            let at = error.valid_up_to();
            let message = format!("the body is not UTF-8 (octet {at}); send JSON in UTF-8");
            ApiError::new(Code::InvalidRequest, message)
        })?;
        let fields: Fields<'a> = serde_json::from_str(text).map_err(|error| {
            let message = format!("the body is not a bulk request that can be read: {error}");
            ApiError::new(Code::InvalidRequest, message)
        })?;
        fields.check()
    }
}

/// The fields as they stand in the body; `null` counts as absent.
#[derive(Default)]
struct Fields<'a> {
    scalars: [Option<&'a RawValue>; FIELDS],
    recipients: Option<Recipients<'a>>,
    unknown: Vec<Cow<'a, str>>,
    twice: Option<&'static str>,
}

const FIELDS: usize = 12;

/// Names by place; the first is the core's.
const NAMES: [&[&str]; FIELDS] = [
    &["name"],
    &["from", "sender", "senderId", "from_"],
    &["message"],
    &["webhook_url"],
    &["schedule_at", "scheduleAt", "scheduledAt"],
    &["metadata"],
    &["tags"],
    &["class"],
    &["on_missing"],
    &["strict"],
    &["dedupe"],
    &["rate_limit"],
];
const NAME: usize = 0;
const FROM: usize = 1;
const MESSAGE: usize = 2;
const WEBHOOK_URL: usize = 3;
const SCHEDULE_AT: usize = 4;
const METADATA: usize = 5;
const TAGS: usize = 6;
const CLASS: usize = 7;
const ON_MISSING: usize = 8;
const STRICT: usize = 9;
const DEDUPE: usize = 10;
const RATE_LIMIT: usize = 11;

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
                while let Some(Name(key)) = map.next_key()? {
                    if key == "recipients" {
                        let again = fields.recipients.replace(map.next_value()?);
                        fields.twice = again.map(|_| "recipients").or(fields.twice);
                        continue;
                    }
                    let known = NAMES.iter().position(|names| names.contains(&&*key));
                    let Some(field) = known else {
                        map.next_value::<IgnoredAny>()?;
                        if fields.unknown.len() < PROBLEMS_MAX {
                            fields.unknown.push(said_again(&key).to_owned().into());
                        }
                        continue;
                    };
                    let value: &RawValue = map.next_value()?;
                    if value.get() != "null" && fields.scalars[field].replace(value).is_some() {
                        fields.twice = Some(NAMES[field][0]);
                    }
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(FieldsVisitor)
    }
}

/// A key, borrowed if it has no escape.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field name")
            }
            fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(key)))
            }
            fn visit_str<E>(self, key: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(key.to_owned())))
            }
        }
        deserializer.deserialize_str(NameVisitor)
    }
}

/// The recipients, and what is wrong with them.
#[derive(Default)]
struct Recipients<'a> {
    list: Vec<Recipient<'a>>,
    /// More than may be: the rest was passed over.
    more: bool,
    problems: Vec<Problem>,
}

impl<'de> Deserialize<'de> for Recipients<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor;
        impl<'de> Visitor<'de> for ListVisitor {
            type Value = Recipients<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of recipients")
            }
            fn visit_unit<E>(self) -> Result<Recipients<'de>, E> {
                Ok(Recipients::default())
            }
            fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Recipients<'de>, S::Error> {
                let mut found = Recipients::default();
                while let Some(One(recipient, wrong)) = seq.next_element()? {
                    if found.list.len() == RECIPIENTS_MAX {
                        found.more = true;
                        while seq.next_element::<IgnoredAny>()?.is_some() {}
                        return Ok(found);
                    }
                    if let Some((path, detail)) = wrong
                        && found.problems.len() < PROBLEMS_MAX
                    {
                        found
                            .problems
                            .push(problem(found.list.len(), &path, detail));
                    }
                    found.list.push(recipient);
                }
                Ok(found)
            }
        }
        deserializer.deserialize_any(ListVisitor)
    }
}

/// A problem of one recipient; `path` is below it.
pub(in crate::api) fn problem(
    index: usize,
    path: &str,
    detail: impl Into<Cow<'static, str>>,
) -> Problem {
    let dotted = path.replace('/', ".").replace("~1", "/").replace("~0", "~");
    Problem {
        param: format!("recipients.{index}{dotted}"),
        pointer: format!("/recipients/{index}{path}"),
        code: None,
        detail: detail.into(),
    }
}

/// A member's step in a JSON pointer.
pub(in crate::api) fn step(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

type Wrong = Option<(String, Cow<'static, str>)>;

/// A recipient and the first thing that is wrong with it.
struct One<'a>(Recipient<'a>, Wrong);

impl<'de> Deserialize<'de> for One<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneVisitor;
        impl<'de> Visitor<'de> for OneVisitor {
            type Value = One<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a recipient: {\"to\": \"+255…\", \"personalization\": {…}}")
            }
            fn visit_borrowed_str<E>(self, to: &'de str) -> Result<One<'de>, E> {
                Ok(One::of(Cow::Borrowed(to)))
            }
            fn visit_str<E>(self, to: &str) -> Result<One<'de>, E> {
                Ok(One::of(Cow::Owned(to.to_owned())))
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<One<'de>, M::Error> {
                let mut one = One(Recipient::default(), None);
                let mut named = false;
                while let Some(Name(key)) = map.next_key()? {
                    match &*key {
                        "to" | "phone" => {
                            named = true;
                            one.to(&key, map.next_value()?);
                        }
                        "personalization" | "personalisation" => {
                            let Values(values, wrong) = map.next_value()?;
                            one.0.values = values;
                            one.wrong(wrong.map(|(path, detail)| (step(&key) + &path, detail)));
                        }
                        "client_ref" | "clientRef" | "client_reference" => {
                            one.client_ref(&key, map.next_value()?);
                        }
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                if !named {
                    let detail = "to is missing; give the recipient in E.164";
                    one.wrong(Some(("/to".into(), detail.into())));
                }
                Ok(one)
            }
        }
        deserializer.deserialize_any(OneVisitor)
    }
}

impl<'a> One<'a> {
    fn of(to: Cow<'a, str>) -> Self {
        let recipient = Recipient {
            to,
            ..Recipient::default()
        };
        Self(recipient, None)
    }

    fn wrong(&mut self, wrong: Wrong) {
        self.1 = self.1.take().or(wrong);
    }

    fn to(&mut self, key: &str, value: &'a RawValue) {
        match read_text(value.get()) {
            Ok(to) => self.0.to = to,
            Err(wrong) => self.wrong(Some((step(key), format!("{key} {wrong}").into()))),
        }
    }

    fn client_ref(&mut self, key: &str, value: &'a RawValue) {
        if value.get() == "null" {
            return;
        }
        let read = read_text(value.get()).ok();
        match read.map(|text| read_client_ref(key, Some(text))) {
            Some(Ok(text)) => self.0.client_ref = text,
            Some(Err(_)) | None => {
                let detail = format!("{key} must be a string of 1 to 64 printable characters");
                self.wrong(Some((step(key), detail.into())));
            }
        }
    }
}

/// Values by name, and the first thing that is wrong with them. Numbers stand as they were written.
struct Values<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>, Wrong);

impl<'de> Deserialize<'de> for Values<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ValuesVisitor;
        impl<'de> Visitor<'de> for ValuesVisitor {
            type Value = Values<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of values")
            }
            fn visit_unit<E>(self) -> Result<Values<'de>, E> {
                Ok(Values(Vec::new(), None))
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Values<'de>, M::Error> {
                let mut values = Vec::with_capacity(map.size_hint().unwrap_or(2).min(VALUES_MAX));
                let mut wrong = None;
                while let Some((Name(name), value)) = map.next_entry::<_, &RawValue>()? {
                    match read_value(&name, value.get()) {
                        Ok(None) => {}
                        Ok(Some(_)) if values.len() == VALUES_MAX => {
                            let detail = format!("there are more than {VALUES_MAX} values");
                            wrong = wrong.or(Some((String::new(), detail.into())));
                        }
                        Ok(Some(value)) => values.push((name, value)),
                        Err(detail) => {
                            wrong = wrong.or(Some((step(said_again(&name)), detail.into())));
                        }
                    }
                }
                Ok(Values(values, wrong))
            }
        }
        deserializer.deserialize_any(ValuesVisitor)
    }
}

/// A value's text; `None`: it is absent.
fn read_value<'a>(name: &str, json: &'a str) -> Result<Option<Cow<'a, str>>, String> {
    if name.chars().count() > FIELD_MAX {
        return Err(format!("a name has more than {FIELD_MAX} characters"));
    }
    let text = match json.as_bytes().first() {
        Some(b'n') => return Ok(None),
        Some(b'"') => read_text(json).map_err(|wrong| format!("{name} {wrong}"))?,
        Some(b'{' | b'[') => {
            let found = kind(json);
            return Err(format!(
                "{name} must be a string, a number or a boolean, not {found}"
            ));
        }
        _ => Cow::Borrowed(json),
    };
    // Octets are no fewer than characters: nearly always this is enough.
    if text.len() > VALUE_MAX && text.chars().count() > VALUE_MAX {
        return Err(format!("{name} has more than {VALUE_MAX} characters"));
    }
    Ok(Some(text))
}

impl<'a> Fields<'a> {
    fn check(self) -> Result<Draft<'a>, ApiError> {
        let mut problems = Vec::new();
        if let Some(name) = self.twice {
            let detail = format!("{name} is given twice; give it once");
            problems.push(Problem::field(name, detail));
        }
        let scalars = self.scalars;
        let mut text = |field: usize, remedy: Option<&str>| {
            let name = NAMES[field][0];
            let found = match (scalars[field], remedy) {
                (Some(raw), _) => read_text(raw.get())
                    .map(Some)
                    .map_err(|wrong| format!("{name} {wrong}")),
                (None, None) => Ok(None),
                (None, Some(remedy)) => Err(format!("{name} is missing; {remedy}")),
            };
            found.unwrap_or_else(|detail| {
                problems.push(Problem::field(name, detail));
                None
            })
        };
        let name = text(NAME, None).unwrap_or_default();
        let sender = "give a registered sender id of at most 11 characters";
        let from = text(FROM, Some(sender));
        let message = text(MESSAGE, Some("give the text to send"));
        let webhook_url = text(WEBHOOK_URL, None);
        let schedule_at = text(SCHEDULE_AT, None);
        let (class, on_missing) = (text(CLASS, None), text(ON_MISSING, None));
        let mut flag = |field: usize| match scalars[field].map(RawValue::get) {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => {
                let name = NAMES[field][0];
                problems.push(Problem::field(
                    name,
                    format!("{name} must be true or false"),
                ));
                false
            }
        };
        let (strict, dedupe) = (flag(STRICT), flag(DEDUPE));
        let recipients = self.recipients.unwrap_or_default();
        if recipients.list.is_empty() {
            let detail = "recipients is missing or empty; give an array of recipients";
            problems.push(Problem::field("recipients", detail));
        }
        problems.extend(recipients.problems);
        let mut too_much = Vec::new();
        if let Some(raw) = scalars[METADATA] {
            check_metadata(NAMES[METADATA][0], raw.get(), &mut problems, &mut too_much);
        }
        if let Some(raw) = scalars[TAGS] {
            check_tags(NAMES[TAGS][0], raw.get(), &mut problems, &mut too_much);
        }
        let (Some(from), Some(message), true) = (from, message, problems.is_empty()) else {
            return Err(ApiError::of_fields(Code::InvalidRequest, problems));
        };
        if recipients.more {
            let detail =
                format!("there are more than {RECIPIENTS_MAX} recipients; send several requests");
            too_much.push(Problem::field("recipients", detail));
        }
        if name.chars().count() > NAME_MAX || name.chars().any(char::is_control) {
            let detail = format!("name must have at most {NAME_MAX} printable characters");
            too_much.push(Problem::field("name", detail));
        }
        let class = read_class(class.as_deref(), &mut too_much);
        let on_missing = match on_missing
            .as_deref()
            .map_or(Some(OnMissing::Fail), OnMissing::parse)
        {
            Some(on_missing) => on_missing,
            None => {
                let detail = "on_missing must be fail, skip or empty";
                too_much.push(Problem::field("on_missing", detail));
                OnMissing::Fail
            }
        };
        let rate_limit = read_rate(scalars[RATE_LIMIT], &mut too_much);
        if !too_much.is_empty() {
            return Err(ApiError::of_fields(Code::Unprocessable, too_much));
        }
        let json = |field: usize| scalars[field].map(|raw| Cow::Borrowed(raw.get()));
        Ok(Draft {
            request: Request {
                name,
                from,
                message,
                recipients: recipients.list,
                class,
                webhook_url,
                due_at: read_due(NAMES[SCHEDULE_AT][0], schedule_at.as_deref())?,
                metadata: json(METADATA),
                tags: json(TAGS),
                on_missing,
                strict,
                dedupe,
                rate_limit,
            },
            unknown: self.unknown,
        })
    }
}

/// What goes to many at once is never as urgent as a one-time password: these go one by one.
fn read_class(name: Option<&str>, too_much: &mut Vec<Problem>) -> Class {
    match name.map(Class::parse) {
        None => Class::Promotional,
        Some(Some(class @ (Class::Transactional | Class::Promotional))) => class,
        Some(Some(Class::Otp) | None) => {
            let detail = "class must be transactional or promotional; send one-time passwords with \
                          /v1/sms/send";
            too_much.push(Problem::field("class", detail));
            Class::Promotional
        }
    }
}

fn read_rate(raw: Option<&RawValue>, too_much: &mut Vec<Problem>) -> u32 {
    let Some(raw) = raw else { return 0 };
    match raw.get().parse() {
        Ok(rate @ 1..=RATE_MAX) => rate,
        Ok(_) | Err(_) => {
            let detail =
                format!("rate_limit must be a whole number of messages a second, 1 to {RATE_MAX}");
            too_much.push(Problem::field("rate_limit", detail));
            0
        }
    }
}

#[cfg(test)]
mod tests;
