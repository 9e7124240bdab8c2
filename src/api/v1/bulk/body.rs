//! Lives here: the body of `POST /v1/sms/bulk`: the fields that it has, and its recipients, which are
//! read where they stand. One pass over it, everything borrowed that has no escape in it.
//! Never here: how the other fields are read (`fields`), what they mean (`bulk`), texts and prices.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::api::error::{ApiError, Problem};
use crate::api::fields::{
    CLIENT_REF_MAX, Field, Fields, Form, Key, MALFORMED, Names, SENSELESS, UNKNOWN_MAX,
    is_client_ref, kind, read_text, twice,
};
use crate::api::json::said_again;
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

/// The form of a bulk request.
struct Bulk;

impl<'a> Form<'a> for Bulk {
    const KIND: &'static str = "a bulk request";
    const OWN: &'static [Field] = &[
        Field::Name,
        Field::OnMissing,
        Field::Strict,
        Field::Dedupe,
        Field::RateLimit,
    ];
    const LIST: Option<&'static str> = Some("recipients");
    type List = Recipients<'a>;
}

/// A body whose fields have the right types and sizes.
#[derive(Debug)]
pub(in crate::api) struct Draft<'a> {
    pub(in crate::api) request: Request<'a>,
    /// Fields that this request does not have.
    pub(in crate::api) unknown: Vec<Box<str>>,
    names: Names,
}

impl<'a> Draft<'a> {
    /// Reads a body.
    ///
    /// # Errors
    /// `invalid_request` for what is no JSON object, missing or of a wrong type; then
    /// `unprocessable`, then `schedule_invalid` for what means nothing.
    pub(in crate::api) fn parse(body: &'a [u8]) -> Result<Self, ApiError> {
        let mut fields = Fields::<Bulk>::read(body)?;
        let request = Request {
            name: name(&mut fields),
            from: fields.from(),
            message: fields.message(),
            webhook_url: fields.text(Field::WebhookUrl),
            due_at: fields.due(),
            // What goes to many at once is never as urgent as a one-time password.
            class: fields.class(
                Class::Promotional,
                &[Class::Transactional, Class::Promotional],
                "must be transactional or promotional; send one-time passwords with /v1/sms/send",
            ),
            on_missing: on_missing(&mut fields),
            strict: fields.flag(Field::Strict),
            dedupe: fields.flag(Field::Dedupe),
            recipients: recipients(&mut fields),
            metadata: fields.metadata().map(Cow::Borrowed),
            tags: fields.tags().map(Cow::Borrowed),
            rate_limit: rate_limit(&mut fields),
        };
        fields.judge()?;
        Ok(Self {
            request,
            unknown: fields.unknown,
            names: fields.names,
        })
    }

    /// The client's own name of a field that the core names.
    pub(in crate::api) fn name(&self, core: &'static str) -> &'static str {
        self.names.of_core(core)
    }
}

fn name<'a>(fields: &mut Fields<'a, Bulk>) -> Cow<'a, str> {
    let name = fields.text(Field::Name).unwrap_or_default();
    if name.chars().count() > NAME_MAX || name.chars().any(char::is_control) {
        let wrong = format_args!("must have at most {NAME_MAX} printable characters");
        fields.wrong(SENSELESS, Field::Name, wrong);
    }
    name
}

fn on_missing(fields: &mut Fields<'_, Bulk>) -> OnMissing {
    let Some(name) = fields.text(Field::OnMissing) else {
        return OnMissing::Fail;
    };
    OnMissing::parse(&name).unwrap_or_else(|| {
        fields.wrong(SENSELESS, Field::OnMissing, "must be fail, skip or empty");
        OnMissing::Fail
    })
}

fn rate_limit(fields: &mut Fields<'_, Bulk>) -> u32 {
    let Some(json) = fields.json(Field::RateLimit) else {
        return 0;
    };
    match json.parse() {
        Ok(rate @ 1..=RATE_MAX) => rate,
        Ok(_) | Err(_) => {
            let wrong =
                format_args!("must be a whole number of messages a second, 1 to {RATE_MAX}");
            fields.wrong(SENSELESS, Field::RateLimit, wrong);
            0
        }
    }
}

fn recipients<'a>(fields: &mut Fields<'a, Bulk>) -> Vec<Recipient<'a>> {
    let found = fields.list.take().unwrap_or_default();
    if found.list.is_empty() {
        let detail = "recipients is missing or empty; give an array of recipients";
        fields.problem(MALFORMED, Problem::field("recipients", detail));
    }
    let room = UNKNOWN_MAX.saturating_sub(fields.unknown.len());
    fields.unknown.extend(found.unknown.into_iter().take(room));
    for problem in found.problems {
        fields.problem(MALFORMED, problem);
    }
    if found.more {
        let detail =
            format!("there are more than {RECIPIENTS_MAX} recipients; send several requests");
        fields.problem(SENSELESS, Problem::field("recipients", detail));
    }
    found.list
}

/// The recipients, and what is wrong with them.
#[derive(Default)]
struct Recipients<'a> {
    list: Vec<Recipient<'a>>,
    /// More than may be: the rest was passed over.
    more: bool,
    problems: Vec<Problem>,
    /// The first fields that a recipient does not have.
    unknown: Vec<Box<str>>,
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
                while let Some(One(recipient, wrong, unknown)) = seq.next_element()? {
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
                    if let Some(name) = unknown
                        && found.unknown.len() < UNKNOWN_MAX
                    {
                        let place = found.list.len();
                        let name = format!("recipients.{place}.{}", said_again(&name));
                        found.unknown.push(name.into());
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

/// A recipient, the first thing that is wrong with it, and the first of its fields that there is not.
struct One<'a>(Recipient<'a>, Wrong, Option<Cow<'a, str>>);

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
                let mut one = One(Recipient::default(), None, None);
                let mut named: Option<Cow<'de, str>> = None;
                while let Some(Key(key)) = map.next_key()? {
                    match &*key {
                        "to" | "phone" => {
                            if let Some(earlier) = named {
                                one.wrong(Some((step(&key), twice(&key, &earlier).into())));
                            }
                            one.to(&key, map.next_value()?);
                            named = Some(key);
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
                            one.2.get_or_insert(key);
                        }
                    }
                }
                if named.is_none() {
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
        Self(recipient, None, None)
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
        match read_text(value.get()) {
            Ok(text) if is_client_ref(&text) => self.0.client_ref = Some(text),
            Ok(_) | Err(_) => {
                let most = CLIENT_REF_MAX;
                let detail = format!("{key} must be a string of 1 to {most} printable characters");
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
                while let Some((Key(name), value)) = map.next_entry::<_, &RawValue>()? {
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

#[cfg(test)]
mod tests;
