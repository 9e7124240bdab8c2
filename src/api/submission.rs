//! Lives here: the body of `POST /v1/sms/send`: the fields that it has.
//! Never here: how a field is read (`fields`), what the fields mean (`ingest`), reading the body from
//! the socket.

use std::borrow::Cow;
use std::time::Duration;

use serde::de::IgnoredAny;

use super::error::ApiError;
use super::fields::{Field, Fields, Form, MALFORMED, Names, SENSELESS};
use crate::domain::class::Class;
use crate::domain::time::Timestamp;
use crate::ingest::Submission;

/// Seconds that a message may be valid for: a minute, or as long as two days.
const VALIDITY: std::ops::RangeInclusive<u64> = 60..=172_800;

/// The form of a send.
struct Send;

impl Form<'_> for Send {
    const KIND: &'static str = "a JSON object";
    const OWN: &'static [Field] = &[Field::To, Field::ClientRef, Field::Validity];
    const LIST: Option<&'static str> = None;
    type List = IgnoredAny;
}

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
    names: Names,
}

impl<'a> Draft<'a> {
    /// Reads a body.
    ///
    /// # Errors
    /// `invalid_request` for what is no JSON object, missing or of a wrong type, with every such
    /// field; then `unprocessable` for all that mean nothing, then `schedule_invalid`.
    pub(super) fn parse(body: &'a [u8]) -> Result<Self, ApiError> {
        let mut fields = Fields::<Send>::read(body)?;
        let remedy = "give the recipient in E.164, for example +255712345678";
        let draft = Self {
            to: fields.needed(Field::To, remedy),
            from: fields.from(),
            message: fields.message(),
            webhook_url: fields.text(Field::WebhookUrl),
            due_at: fields.due(),
            class: fields.class(
                Class::default(),
                &Class::ALL,
                "must be otp, transactional or promotional",
            ),
            client_ref: fields.client_ref(),
            validity: validity(&mut fields),
            metadata: fields.metadata(),
            tags: fields.tags(),
            unknown: std::mem::take(&mut fields.unknown),
            names: fields.names,
        };
        fields.judge().map(|()| draft)
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

    /// The sender as it was typed.
    pub(super) fn sender(&self) -> &str {
        &self.from
    }

    /// The text to send.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// The client's own name of a field that ingest names.
    pub(super) fn name(&self, core: &'static str) -> &'static str {
        self.names.of_core(core)
    }
}

fn validity(fields: &mut Fields<'_, Send>) -> Option<Duration> {
    let (least, most) = (VALIDITY.start(), VALIDITY.end());
    match fields.json(Field::Validity)?.parse::<u64>() {
        Ok(seconds) if VALIDITY.contains(&seconds) => return Some(Duration::from_secs(seconds)),
        Ok(_) => {
            let wrong = format_args!("must be from {least} to {most} seconds");
            fields.wrong(SENSELESS, Field::Validity, wrong);
        }
        Err(_) => {
            let wrong = format_args!("must be a whole number of seconds, {least} to {most}");
            fields.wrong(MALFORMED, Field::Validity, wrong);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::code::Code;

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
    fn all_that_means_nothing_is_named_as_the_client_spelt_it() {
        let pointers = |body: &[u8]| {
            let error = Draft::parse(body).unwrap_err();
            (error.code, error.pointers())
        };
        let (code, found) = pointers(
            br#"{"to":"1","from":"M","message":"\u0000","class":"x","validity":1,"tags":["a"],
                "clientRef":"","metadata":{"a~b":[1]},"scheduledAt":"never"}"#,
        );
        assert_eq!(
            (code, found),
            (Code::InvalidRequest, vec!["/metadata/a~0b".into()])
        );
        let (code, found) = pointers(
            br#"{"to":"1","from":"M","message":"\u0000","class":"x","validity":1,"clientRef":"",
                "scheduledAt":"never"}"#,
        );
        assert_eq!(code, Code::Unprocessable);
        assert_eq!(found, ["/message", "/class", "/clientRef", "/validity"]);
        let (code, found) = pointers(br#"{"phone":"1","to":"2","from":"M","senderId":"M"}"#);
        assert_eq!(
            (code, found),
            (Code::InvalidRequest, vec!["/to".into(), "/message".into()])
        );
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
