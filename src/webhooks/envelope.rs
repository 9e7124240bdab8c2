//! Lives here: the JSON of a webhook (seed 003's envelope), a pure function of the event, so that
//! every attempt sends the same octets.
//! Never here: signatures, HTTP. The text is written directly: a tree of JSON values would cost
//! some thirty allocations for each event.

use std::io::Write;

use bytes::Bytes;

use crate::domain::class::Class;
use crate::domain::time::Timestamp;
use crate::flow::{EventJob, EventKind};

/// Octets of an envelope besides text, metadata and tags, rounded up.
const FRAME: usize = 640;

/// The body of the request that tells about an event. What is absent is left out, as is a text that
/// is not kept any more; the text of one-time passwords always is.
pub(super) fn body(job: &EventJob) -> Bytes {
    let message = &*job.message;
    let stored = |text: &Option<Box<str>>| text.as_deref().map_or(0, str::len);
    let capacity = FRAME + message.body.len() + stored(&message.metadata) + stored(&message.tags);
    let mut out = Vec::with_capacity(capacity);
    put(&mut out, format_args!("{{\"id\":\"{}\"", job.event));
    put(&mut out, format_args!(",\"type\":\"{}\"", job.kind.name()));
    time(&mut out, ",\"created_at\":", job.at);
    put(
        &mut out,
        format_args!(
            ",\"livemode\":true,\"sequence\":{},\"data\":{{\"id\":\"{}\",\"type\":\"sms\"",
            job.sequence, message.id
        ),
    );
    put(&mut out, format_args!(",\"to\":\"{}\"", message.to));
    text(&mut out, ",\"from\":", message.from.as_str());
    text(&mut out, ",\"status\":", job.state.public());
    text(&mut out, ",\"status_detail\":", job.state.name());
    match message.class {
        Class::Transactional | Class::Promotional if !message.body.is_empty() => {
            text(&mut out, ",\"body\":", &message.body);
        }
        Class::Otp | Class::Transactional | Class::Promotional => {}
    }
    put(
        &mut out,
        format_args!(
            ",\"segments\":{},\"credits_cost\":{}",
            message.segments, message.cost
        ),
    );
    timeline(&mut out, job);
    if let Some(failure) = job.failure {
        text(&mut out, ",\"failure_code\":", failure.name());
        text(&mut out, ",\"failure_reason\":", failure.reason());
    }
    // Checked to be an object and an array when the message was accepted.
    if let Some(metadata) = &message.metadata {
        put(&mut out, format_args!(",\"metadata\":{metadata}"));
    }
    if let Some(tags) = &message.tags {
        put(&mut out, format_args!(",\"tags\":{tags}"));
    }
    out.extend_from_slice(b"}}");
    out.into()
}

/// A delivered event may overtake the sent one: then nobody knows yet when it was sent.
fn timeline(out: &mut Vec<u8>, job: &EventJob) {
    let (sent_at, end) = match job.kind {
        EventKind::Sent => (Some(job.at), None),
        EventKind::Delivered => (job.sent_at, Some(",\"delivered_at\":")),
        EventKind::Failed => (job.sent_at, Some(",\"failed_at\":")),
        EventKind::Canceled => (None, Some(",\"canceled_at\":")),
    };
    time(
        out,
        ",\"timeline\":{\"queued_at\":",
        job.message.accepted_at,
    );
    if let Some(sent_at) = sent_at {
        time(out, ",\"sent_at\":", sent_at);
    }
    if let Some(name) = end {
        time(out, name, job.at);
    }
    out.push(b'}');
}

fn text(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    serde_json::to_writer(out, value).expect("a string is JSON and a Vec takes all");
}

/// RFC 3339 in UTC with milliseconds. Times outside the calendar (year 9999) become its start.
fn time(out: &mut Vec<u8>, name: &str, at: Timestamp) {
    let at = jiff::Timestamp::from_millisecond(at.0).unwrap_or_default();
    put(out, format_args!("{name}\"{at:.3}\""));
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a Vec takes all");
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use uuid::Uuid;

    use super::*;
    use crate::domain::credits::Credits;
    use crate::domain::ids::{CarrierIndex, EventId, MessageId, MessageSeq, OrgId};
    use crate::domain::message::{Encoding, FailureCode, Message, State};
    use crate::domain::phone::{Msisdn, Sender};

    /// 2026-04-05T12:05:01.123Z.
    const AT: Timestamp = Timestamp(1_775_390_701_123);

    pub(in crate::webhooks) fn message(class: Class, url: &str) -> Message {
        Message {
            seq: MessageSeq(0),
            id: MessageId(Uuid::from_u128(7)),
            org: OrgId(Uuid::from_u128(9)),
            class,
            to: Msisdn::from_digits("255753276939").unwrap(),
            from: Sender::parse("MojaWave").unwrap(),
            body: "Habari \"yako\"\n€".into(),
            encoding: Encoding::Ucs2,
            segments: 1,
            carrier: CarrierIndex(0),
            webhook_url: Some(url.into()),
            metadata: Some(r#"{"customer_id":"cust98765"}"#.into()),
            tags: Some(r#"["onboarding"]"#.into()),
            client_ref: None,
            live: true,
            cost: Credits::whole(1),
            accepted_at: AT - std::time::Duration::from_secs(60),
            due_at: AT,
            valid_until: AT + std::time::Duration::from_secs(3600),
        }
    }

    pub(in crate::webhooks) fn job(kind: EventKind, message: Message) -> EventJob {
        EventJob {
            event: EventId(Uuid::from_u128(1)),
            kind,
            sequence: 2,
            message: Arc::new(message),
            at: AT,
            sent_at: None,
            state: match kind {
                EventKind::Sent => State::Submitted,
                EventKind::Delivered => State::Delivered,
                EventKind::Failed => State::Undelivered,
                EventKind::Canceled => State::Cancelled,
            },
            failure: (kind == EventKind::Failed).then_some(FailureCode::AbsentSubscriber),
            attempts: 0,
        }
    }

    pub(in crate::webhooks) fn delivered_body() -> Bytes {
        body(&job(
            EventKind::Delivered,
            message(Class::Transactional, "https://example.com/"),
        ))
    }

    #[test]
    fn a_delivered_event_has_seed_003s_envelope() {
        let mut job = job(
            EventKind::Delivered,
            message(Class::Transactional, "https://example.com/"),
        );
        job.sent_at = Some(AT - std::time::Duration::from_millis(1123));
        let expected = concat!(
            r#"{"id":"evt_00000000000000000000000000000001","type":"message.delivered","#,
            r#""created_at":"2026-04-05T12:05:01.123Z","livemode":true,"sequence":2,"#,
            r#""data":{"id":"00000000-0000-0000-0000-000000000007","type":"sms","#,
            r#""to":"+255753276939","from":"MojaWave","status":"delivered","#,
            r#""status_detail":"delivered","body":"Habari \"yako\"\n€","segments":1,"#,
            r#""credits_cost":1,"timeline":{"queued_at":"2026-04-05T12:04:01.123Z","#,
            r#""sent_at":"2026-04-05T12:05:00.000Z","delivered_at":"2026-04-05T12:05:01.123Z"},"#,
            r#""metadata":{"customer_id":"cust98765"},"tags":["onboarding"]}}"#,
        );
        assert_eq!(std::str::from_utf8(&body(&job)).unwrap(), expected);
        assert_eq!(body(&job), body(&job.clone()));
    }

    #[test]
    fn the_text_of_one_time_passwords_is_left_out() {
        let bytes = body(&job(
            EventKind::Sent,
            message(Class::Otp, "https://example.com/"),
        ));
        let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert!(value["data"].get("body").is_none());
        assert!(!std::str::from_utf8(&bytes).unwrap().contains("Habari"));
        let timeline = value["data"]["timeline"].as_object().unwrap();
        assert_eq!(
            timeline.keys().collect::<Vec<_>>(),
            ["queued_at", "sent_at"]
        );
        assert_eq!(value["data"]["status"], "sent");
    }

    #[test]
    fn a_failed_event_says_why_and_leaves_absent_things_out() {
        let mut message = message(Class::Promotional, "https://example.com/");
        message.metadata = None;
        message.tags = None;
        let value: serde_json::Value =
            serde_json::from_slice(&body(&job(EventKind::Failed, message))).unwrap();
        let data = &value["data"];
        assert_eq!(data["status"], "failed");
        assert_eq!(data["status_detail"], "undelivered");
        assert_eq!(data["failure_code"], "absent_subscriber");
        assert!(data["failure_reason"].is_string());
        assert!(data.get("metadata").is_none() && data.get("tags").is_none());
        assert!(data["timeline"].get("sent_at").is_none());
        assert!(data["timeline"].get("failed_at").is_some());
    }

    #[test]
    fn every_character_of_a_text_survives_the_envelope() {
        let mut message = message(Class::Transactional, "https://example.com/");
        let all: String = (0..0x3000u32).filter_map(char::from_u32).collect();
        message.body = all.clone().into();
        let value: serde_json::Value =
            serde_json::from_slice(&body(&job(EventKind::Sent, message))).unwrap();
        assert_eq!(value["data"]["body"], all);
    }
}
