//! Lives here: the JSON of a webhook (the envelopes of seeds 003 and 004), a pure function of the event, so that
//! every attempt sends the same octets.
//! Never here: signatures, HTTP. The text is written directly: a tree of JSON values would cost
//! some thirty allocations for each event.

use std::io::Write;

use bytes::Bytes;

use crate::domain::class::Class;
use crate::domain::endpoint::Format;
use crate::domain::message::{FailureCode, Message, State};
use crate::domain::time::Timestamp;
use crate::flow::{About, EventJob};

/// Octets of an envelope besides text, metadata and tags, rounded up.
const FRAME: usize = 640;

/// The body of the request that tells about an event. What is absent is left out, as is a text that
/// is not kept any more; the text of one-time passwords always is.
pub fn body(job: &EventJob, format: Format) -> Bytes {
    let out = match (&job.about, format) {
        (About::Message { message, .. }, Format::Mojawave) => of_message(job, message),
        (About::Message { message, .. }, Format::Moaa) => flat(job, message),
        (About::Notice(notice), Format::Mojawave) => {
            let mut out = begun(job, FRAME + notice.data.len());
            put(&mut out, format_args!(",\"data\":{}}}", notice.data));
            out
        }
        (About::Notice(notice), Format::Moaa) => {
            let mut out = Vec::with_capacity(FRAME + notice.data.len());
            text(&mut out, "{\"event\":", job.kind.name());
            time(&mut out, ",\"created_at\":", job.at);
            put(&mut out, format_args!(",\"data\":{}}}", notice.data));
            out
        }
    };
    out.into()
}

/// Seed 003's envelope up to its `data`.
fn begun(job: &EventJob, capacity: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(capacity);
    put(&mut out, format_args!("{{\"id\":\"{}\"", job.event));
    put(&mut out, format_args!(",\"type\":\"{}\"", job.kind.name()));
    time(&mut out, ",\"created_at\":", job.at);
    put(
        &mut out,
        format_args!(",\"livemode\":{},\"sequence\":{}", job.live(), job.sequence),
    );
    out
}

fn of_message(job: &EventJob, message: &Message) -> Vec<u8> {
    let stored = |text: &Option<Box<str>>| text.as_deref().map_or(0, str::len);
    let capacity = FRAME + message.body.len() + stored(&message.metadata) + stored(&message.tags);
    let mut out = begun(job, capacity);
    put(
        &mut out,
        format_args!(",\"data\":{{\"id\":\"{}\",\"type\":\"sms\"", message.id),
    );
    put(&mut out, format_args!(",\"to\":\"{}\"", message.to));
    text(&mut out, ",\"from\":", message.from.as_str());
    let (state, failure) = came_to(job);
    text(&mut out, ",\"status\":", state.public());
    text(&mut out, ",\"status_detail\":", state.name());
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
    timeline(&mut out, job, message);
    if let Some(failure) = failure {
        text(&mut out, ",\"failure_code\":", failure.name());
        text(&mut out, ",\"failure_reason\":", failure.reason());
    }
    if let Some(client_ref) = &message.client_ref {
        text(&mut out, ",\"client_ref\":", client_ref);
    }
    // Checked to be an object and an array when the message was accepted.
    if let Some(metadata) = &message.metadata {
        put(&mut out, format_args!(",\"metadata\":{metadata}"));
    }
    if let Some(tags) = &message.tags {
        put(&mut out, format_args!(",\"tags\":{tags}"));
    }
    out.extend_from_slice(b"}}");
    out
}

/// Seed 004's object: its fields, and the position among the message's events.
fn flat(job: &EventJob, message: &Message) -> Vec<u8> {
    let mut out = Vec::with_capacity(FRAME);
    text(&mut out, "{\"event\":", job.kind.name());
    put(
        &mut out,
        format_args!(
            ",\"message_id\":\"{}\",\"phone\":\"{}\"",
            message.id, message.to
        ),
    );
    text(&mut out, ",\"sender_id\":", message.from.as_str());
    let (state, failure) = came_to(job);
    text(&mut out, ",\"status\":", state.public());
    match state {
        State::Delivered => time(&mut out, ",\"delivered_at\":", job.at),
        State::Scheduled
        | State::Queued
        | State::Uncertain
        | State::Submitted
        | State::Undelivered
        | State::Rejected
        | State::Expired
        | State::Unknown
        | State::Failed
        | State::Cancelled => out.extend_from_slice(b",\"delivered_at\":null"),
    }
    if let Some(failure) = failure {
        text(&mut out, ",\"failure_code\":", failure.name());
    }
    put(&mut out, format_args!(",\"sequence\":{}}}", job.sequence));
    out
}

/// The state that an event about a message tells of.
fn came_to(job: &EventJob) -> (State, Option<FailureCode>) {
    match &job.about {
        About::Message { state, failure, .. } => (*state, *failure),
        About::Notice(_) => (State::Scheduled, None),
    }
}

/// A delivered event may overtake the sent one: then nobody knows yet when it was sent.
fn timeline(out: &mut Vec<u8>, job: &EventJob, message: &Message) {
    let sent_at = match &job.about {
        About::Message { sent_at, .. } => *sent_at,
        About::Notice(_) => None,
    };
    let (sent_at, end) = match came_to(job).0 {
        State::Submitted => (Some(job.at), None),
        State::Delivered => (sent_at, Some(",\"delivered_at\":")),
        State::Cancelled => (None, Some(",\"canceled_at\":")),
        State::Undelivered | State::Rejected | State::Expired | State::Unknown | State::Failed => {
            (sent_at, Some(",\"failed_at\":"))
        }
        State::Scheduled | State::Queued | State::Uncertain => (sent_at, None),
    };
    time(out, ",\"timeline\":{\"queued_at\":", message.accepted_at);
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
    use crate::domain::event::EventKind;
    use crate::domain::ids::{CarrierIndex, EventId, MessageId, MessageSeq, OrgId};
    use crate::domain::message::Encoding;
    use crate::domain::phone::{Msisdn, Sender};
    use crate::flow::Notice;

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
        let state = match kind {
            EventKind::Sent => State::Submitted,
            EventKind::Delivered => State::Delivered,
            EventKind::Canceled => State::Cancelled,
            EventKind::Expired => State::Expired,
            EventKind::Failed
            | EventKind::CreditsLow
            | EventKind::BulkCompleted
            | EventKind::EndpointDisabled
            | EventKind::Test => State::Undelivered,
        };
        EventJob {
            event: EventId(Uuid::from_u128(1)),
            target: None,
            kind,
            sequence: 2,
            about: About::Message {
                message: Arc::new(message),
                sent_at: None,
                state,
                failure: (kind == EventKind::Failed).then_some(FailureCode::AbsentSubscriber),
            },
            at: AT,
            attempts: 0,
            attempts_before: 0,
        }
    }

    pub(in crate::webhooks) fn delivered_body() -> Bytes {
        let message = message(Class::Transactional, "https://example.com/");
        body(&job(EventKind::Delivered, message), Format::Mojawave)
    }

    #[test]
    fn a_delivered_event_has_seed_003s_envelope() {
        let mut job = job(
            EventKind::Delivered,
            message(Class::Transactional, "https://example.com/"),
        );
        if let About::Message { sent_at, .. } = &mut job.about {
            *sent_at = Some(AT - std::time::Duration::from_millis(1123));
        }
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
        let bytes = body(&job, Format::Mojawave);
        assert_eq!(std::str::from_utf8(&bytes).unwrap(), expected);
        assert_eq!(bytes, body(&job, Format::Mojawave));
    }

    #[test]
    fn a_delivered_event_has_seed_004s_fields() {
        let message = message(Class::Transactional, "https://example.com/");
        let bytes = body(&job(EventKind::Delivered, message), Format::Moaa);
        let expected = concat!(
            r#"{"event":"message.delivered","message_id":"00000000-0000-0000-0000-000000000007","#,
            r#""phone":"+255753276939","sender_id":"MojaWave","status":"delivered","#,
            r#""delivered_at":"2026-04-05T12:05:01.123Z","sequence":2}"#,
        );
        assert_eq!(std::str::from_utf8(&bytes).unwrap(), expected);
    }

    #[test]
    fn a_notice_brings_its_own_data() {
        let notice = Notice {
            seq: MessageSeq(3),
            org: OrgId(Uuid::from_u128(9)),
            live: false,
            data: r#"{"balance":2}"#.into(),
        };
        let message = message(Class::Transactional, "https://example.com/");
        let job = EventJob {
            about: About::Notice(Arc::new(notice)),
            ..job(EventKind::CreditsLow, message)
        };
        let expected = concat!(
            r#"{"id":"evt_00000000000000000000000000000001","type":"credits.low","#,
            r#""created_at":"2026-04-05T12:05:01.123Z","livemode":false,"sequence":2,"#,
            r#""data":{"balance":2}}"#,
        );
        let bytes = body(&job, Format::Mojawave);
        assert_eq!(std::str::from_utf8(&bytes).unwrap(), expected);
        let flat: serde_json::Value = serde_json::from_slice(&body(&job, Format::Moaa)).unwrap();
        assert_eq!(flat["event"], "credits.low");
        assert_eq!(flat["data"]["balance"], 2);
    }

    #[test]
    fn the_event_of_a_test_message_says_that_it_is_one() {
        let mut message = message(Class::Transactional, "https://example.com/");
        message.live = false;
        let bytes = body(&job(EventKind::Sent, message), Format::Mojawave);
        let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(value["livemode"], false);
    }

    #[test]
    fn the_text_of_one_time_passwords_is_left_out() {
        let message = message(Class::Otp, "https://example.com/");
        let bytes = body(&job(EventKind::Sent, message), Format::Mojawave);
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
            serde_json::from_slice(&body(&job(EventKind::Failed, message), Format::Mojawave))
                .unwrap();
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
            serde_json::from_slice(&body(&job(EventKind::Sent, message), Format::Mojawave))
                .unwrap();
        assert_eq!(value["data"]["body"], all);
    }
}
