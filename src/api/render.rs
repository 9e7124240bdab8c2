//! Lives here: the bodies of successful answers in the `/v1` dialect (seed 003, field for field,
//! with our additions after the seed's fields).
//! Never here: errors, status codes, look-ups.

use std::fmt::Write as _;

use mnara_smpp::status::CommandStatus;
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::json::amount;
use super::time::{self, Text};
use crate::domain::class::Class;
use crate::domain::ids::MessageId;
use crate::domain::message::State;
use crate::domain::proof::ToldBy;
use crate::domain::time::Timestamp;
use crate::ingest::explain::Explanation;
use crate::ingest::{Accepted, DryRun};
use crate::store::{MessageView, TimelineEntry};

/// What stands for the text of a one-time password, and for one that is not kept any more: no
/// message is accepted without a text.
const REDACTED: &str = "[redacted]";

/// The answer to an accepted message. Written by hand: this is the busiest line of the daemon.
pub(super) fn accepted(accepted: &Accepted, class: Class) -> String {
    let mut digits = [0; uuid::fmt::Hyphenated::LENGTH];
    let queued_at = time::rfc3339(accepted.accepted_at);
    let scheduled_at = (accepted.state == State::Scheduled).then(|| time::rfc3339(accepted.due_at));
    let mut small = [0; 3];
    let segments = decimal(accepted.segments, &mut small);
    let mut json = String::with_capacity(448);
    json.push_str(r#"{"success":true,"data":{"id":""#);
    json.push_str(accepted.id.0.hyphenated().encode_lower(&mut digits));
    json.push_str(r#"","type":"sms","to":"+"#);
    json.push_str(accepted.to.digits());
    json.push_str(r#"","from":"#);
    push_text(&mut json, accepted.from.as_str());
    json.push_str(r#","status":""#);
    json.push_str(accepted.state.public());
    json.push_str(r#"","class":""#);
    json.push_str(class.name());
    json.push_str(r#"","segments":"#);
    json.push_str(segments);
    let _ = write!(json, r#","credits_cost":{}"#, accepted.cost);
    json.push_str(r#","queued_at":""#);
    json.push_str(queued_at.as_str());
    if let Some(at) = &scheduled_at {
        json.push_str(r#"","scheduled_at":""#);
        json.push_str(at.as_str());
    }
    json.push_str(r#"","timeline":{"queued_at":""#);
    json.push_str(queued_at.as_str());
    json.push_str(r#""}}}"#);
    json
}

/// The answer to a dry run: what would have been accepted, and how it would go.
pub(super) fn dry_run(run: &DryRun, class: Class) -> serde_json::Result<Vec<u8>> {
    let accepted = &run.accepted;
    let cost = run.route.cost_per_segment();
    let to = accepted.to.to_string();
    serde_json::to_vec(&Success {
        success: true,
        data: Rehearsal {
            kind: "sms",
            dry_run: true,
            to: &to,
            from: accepted.from.as_str(),
            status: accepted.state.public(),
            class: class.name(),
            encoding: run.encoding.name(),
            segments: accepted.segments,
            credits_cost: amount(accepted.cost),
            cost_micros: cost.map(|cost| cost.saturating_mul(accepted.segments.into())),
            carrier: run.route.carrier(),
            scheduled_at: (accepted.state == State::Scheduled)
                .then(|| time::rfc3339(accepted.due_at)),
            route: &run.route,
        },
    })
}

/// A message's details.
pub(super) fn message(view: &MessageView) -> serde_json::Result<Vec<u8>> {
    let message = &view.message;
    let (queued_at, sent_at) = (
        time::rfc3339(message.accepted_at),
        view.sent_at.map(time::rfc3339),
    );
    let ended = |status| {
        let at = view.final_at.filter(|_| view.state.public() == status);
        at.map(time::rfc3339)
    };
    let to = message.to.to_string();
    let details = Details {
        id: message.id.0,
        kind: "sms",
        to: &to,
        from: message.from.as_str(),
        status: view.state.public(),
        status_detail: view.state.name(),
        class: message.class.name(),
        body: if message.class == Class::Otp || message.body.is_empty() {
            REDACTED
        } else {
            &message.body
        },
        segments: message.segments,
        credits_cost: amount(message.cost),
        queued_at,
        scheduled_at: (message.due_at > message.accepted_at).then(|| time::rfc3339(message.due_at)),
        sent_at,
        timeline: Milestones {
            queued_at,
            sent_at,
            delivered_at: ended("delivered"),
            failed_at: ended("failed"),
            canceled_at: ended("canceled"),
        },
        failure_code: view.failure.map(|failure| failure.name()),
        failure_reason: view.failure.map(|failure| failure.reason()),
        failure_detail: view.detail.as_deref(),
        possible_duplicate: view.possible_duplicate,
        metadata: raw(message.metadata.as_deref()),
        tags: raw(message.tags.as_deref()),
        client_ref: message.client_ref.as_deref(),
    };
    serde_json::to_vec(&Success {
        success: true,
        data: details,
    })
}

/// Everything that happened to a message, in order of time.
pub(super) fn events(
    id: MessageId,
    accepted_at: Timestamp,
    entries: &[TimelineEntry],
) -> serde_json::Result<Vec<u8>> {
    let mut events = vec![(accepted_at, Event::Accepted {})];
    for entry in entries {
        push_events(&mut events, entry);
    }
    // Stable: what happened within one millisecond keeps the order of its cause.
    events.sort_by_key(|(at, _)| *at);
    let events = events.into_iter().map(Stamped::from).collect();
    serde_json::to_vec(&Success {
        success: true,
        data: Events { id: id.0, events },
    })
}

fn push_events<'a>(events: &mut Vec<(Timestamp, Event<'a>)>, entry: &'a TimelineEntry) {
    match entry {
        TimelineEntry::Attempt {
            at,
            answered_at,
            part,
            attempt,
            carrier,
            bind,
            sequence,
            state: _,
            status,
            carrier_message_id,
            told_by,
        } => {
            let (part, attempt) = (*part, *attempt);
            let submitted = Event::Submitted {
                bind,
                carrier,
                part,
                attempt,
                sequence: *sequence,
            };
            events.push((*at, submitted));
            let answer = answer(
                part,
                attempt,
                *status,
                carrier_message_id.as_deref(),
                *told_by,
            );
            events.push((*answered_at, answer));
        }
        TimelineEntry::Receipt {
            at,
            part,
            stat,
            err,
            done_date,
            conflict,
        } => {
            let dlr = Event::Dlr {
                part: *part,
                stat,
                err,
                done_date,
                conflict: *conflict,
            };
            events.push((*at, dlr));
        }
        TimelineEntry::Webhook {
            at,
            event,
            sequence,
            attempt,
            latency_ms,
            status,
            error,
        } => {
            let webhook = Event::Webhook {
                event_id: event.to_string(),
                sequence: *sequence,
                attempt: *attempt,
                status: *status,
                latency_ms: *latency_ms,
                error: error.as_deref(),
            };
            events.push((*at, webhook));
        }
    }
}

/// What came of a submit: an attempt without a status was never answered.
/// Of one that was in doubt a receipt may have proven that it was taken.
fn answer(
    part: u8,
    attempt: u16,
    status: Option<u32>,
    smsc_id: Option<&str>,
    told_by: Option<ToldBy>,
) -> Event<'_> {
    match (status, told_by) {
        (Some(status), told_by) => Event::CarrierAnswer {
            part,
            attempt,
            command_status: status,
            name: CommandStatus(status).name(),
            smsc_id,
            told_by: told_by.map(ToldBy::name),
        },
        (None, Some(told_by)) => Event::DoubtResolved {
            part,
            attempt,
            smsc_id,
            told_by: told_by.name(),
        },
        (None, None) => Event::NoAnswer { part, attempt },
    }
}

#[derive(Serialize)]
struct Success<T> {
    success: bool,
    data: T,
}

#[derive(Serialize)]
struct Rehearsal<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    dry_run: bool,
    to: &'a str,
    from: &'a str,
    /// What it would be.
    status: &'static str,
    class: &'static str,
    encoding: &'static str,
    segments: u8,
    credits_cost: serde_json::Value,
    /// Micro-units of money for all segments, if known.
    cost_micros: Option<u64>,
    carrier: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduled_at: Option<Text>,
    route: &'a Explanation,
}

#[derive(Serialize)]
struct Details<'a> {
    id: Uuid,
    #[serde(rename = "type")]
    kind: &'static str,
    to: &'a str,
    from: &'a str,
    status: &'static str,
    status_detail: &'static str,
    class: &'static str,
    body: &'a str,
    segments: u8,
    credits_cost: serde_json::Value,
    queued_at: Text,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduled_at: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_at: Option<Text>,
    timeline: Milestones,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_detail: Option<&'a str>,
    possible_duplicate: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_ref: Option<&'a str>,
}

#[derive(Serialize)]
struct Milestones {
    queued_at: Text,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_at: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivered_at: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed_at: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    canceled_at: Option<Text>,
}

#[derive(Serialize)]
struct Events<'a> {
    id: Uuid,
    events: Vec<Stamped<'a>>,
}

#[derive(Serialize)]
struct Stamped<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    at: Text,
    #[serde(flatten)]
    event: Event<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Event<'a> {
    Accepted {},
    Submitted {
        bind: &'a str,
        carrier: &'a str,
        part: u8,
        attempt: u16,
        sequence: u32,
    },
    CarrierAnswer {
        part: u8,
        attempt: u16,
        command_status: u32,
        name: &'static str,
        smsc_id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        told_by: Option<&'static str>,
    },
    DoubtResolved {
        part: u8,
        attempt: u16,
        smsc_id: Option<&'a str>,
        told_by: &'static str,
    },
    NoAnswer {
        part: u8,
        attempt: u16,
    },
    Dlr {
        part: u8,
        stat: &'a str,
        err: &'a str,
        done_date: &'a str,
        conflict: bool,
    },
    Webhook {
        event_id: String,
        sequence: u32,
        attempt: u16,
        status: Option<u16>,
        latency_ms: u32,
        error: Option<&'a str>,
    },
}

impl<'a> From<(Timestamp, Event<'a>)> for Stamped<'a> {
    fn from((at, event): (Timestamp, Event<'a>)) -> Self {
        Self {
            kind: event.kind(),
            at: time::rfc3339(at),
            event,
        }
    }
}

impl Event<'_> {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Accepted {} => "accepted",
            Self::Submitted { .. } => "submitted",
            Self::CarrierAnswer { .. } => "carrier_answer",
            Self::DoubtResolved { .. } => "doubt_resolved",
            Self::NoAnswer { .. } => "no_answer",
            Self::Dlr { .. } => "dlr",
            Self::Webhook { .. } => "webhook",
        }
    }
}

/// The client's own JSON, as it was checked at the door.
fn raw(json: Option<&str>) -> Option<&RawValue> {
    serde_json::from_str(json?).ok()
}

/// Appends a JSON string.
fn push_text(json: &mut String, text: &str) {
    let plain = |octet: u8| octet >= 0x20 && octet != b'"' && octet != b'\\';
    if text.bytes().all(plain) {
        json.push('"');
        json.push_str(text);
        json.push('"');
    } else {
        json.push_str(&serde_json::Value::from(text).to_string());
    }
}

fn decimal(number: u8, into: &mut [u8; 3]) -> &str {
    *into = [number / 100, number / 10 % 10, number % 10].map(|digit| b'0' + digit);
    let zeros = into[..2].iter().take_while(|digit| **digit == b'0').count();
    std::str::from_utf8(&into[zeros..]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::credits::Credits;
    use crate::domain::ids::{CarrierIndex, EventId, MessageSeq, OrgId};
    use crate::domain::lifecycle::SegmentState;
    use crate::domain::message::{Encoding, Message};
    use crate::domain::phone::{Msisdn, Sender};

    #[test]
    fn the_accepted_answer_is_json_in_the_seeds_order() {
        let mut done = Accepted {
            id: MessageId(Uuid::nil()),
            to: Msisdn::from_digits("255753276939").unwrap(),
            from: Sender::parse("MojaWave").unwrap(),
            state: State::Queued,
            segments: 10,
            cost: Credits::whole(10),
            accepted_at: Timestamp(1_775_390_584_485),
            due_at: Timestamp(1_775_390_584_485),
        };
        assert_eq!(
            accepted(&done, Class::Otp),
            "{\"success\":true,\"data\":{\"id\":\"00000000-0000-0000-0000-000000000000\",\
             \"type\":\"sms\",\"to\":\"+255753276939\",\"from\":\"MojaWave\",\"status\":\"queued\",\
             \"class\":\"otp\",\"segments\":10,\"credits_cost\":10,\
             \"queued_at\":\"2026-04-05T12:03:04.485Z\",\
             \"timeline\":{\"queued_at\":\"2026-04-05T12:03:04.485Z\"}}}"
        );
        done.state = State::Scheduled;
        let json = accepted(&done, Class::Promotional);
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["data"]["scheduled_at"], "2026-04-05T12:03:04.485Z");
    }

    #[test]
    fn what_is_not_kept_any_more_is_told_as_such() {
        let mut view = MessageView {
            message: Message {
                seq: MessageSeq(1),
                id: MessageId(Uuid::nil()),
                org: OrgId(Uuid::nil()),
                class: Class::Transactional,
                to: Msisdn::from_digits("255753276939").unwrap(),
                from: Sender::parse("MojaWave").unwrap(),
                body: "Habari".into(),
                encoding: Encoding::Gsm7,
                segments: 1,
                carrier: CarrierIndex(0),
                webhook_url: None,
                metadata: None,
                tags: None,
                client_ref: None,
                live: true,
                cost: Default::default(),
                accepted_at: Timestamp(0),
                due_at: Timestamp(0),
                valid_until: Timestamp(0),
            },
            state: State::Delivered,
            sent_at: None,
            final_at: None,
            failure: None,
            detail: None,
            possible_duplicate: false,
        };
        let shown = |view: &MessageView| {
            let json = message(view).unwrap();
            let value: serde_json::Value = serde_json::from_slice(&json).unwrap();
            let text = |name: &str| value["data"][name].as_str().unwrap().to_owned();
            (text("to"), text("body"))
        };
        let whole = ("+255753276939".to_owned(), "Habari".to_owned());
        assert_eq!(shown(&view), whole);
        view.message.body = "".into();
        assert_eq!(shown(&view), (whole.0, REDACTED.to_owned()));
        view.message.to = Msisdn::ERASED;
        assert_eq!(shown(&view), ("[erased]".into(), REDACTED.into()));
    }

    #[test]
    fn small_numbers_are_written_without_zeros_in_front() {
        for number in 0..=u8::MAX {
            assert_eq!(decimal(number, &mut [0; 3]), number.to_string());
        }
    }

    #[test]
    fn a_timeline_is_told_in_order_of_time() {
        let entries = [
            TimelineEntry::Attempt {
                at: Timestamp(10),
                answered_at: Timestamp(40),
                part: 1,
                attempt: 1,
                carrier: "vodacom_tz".into(),
                bind: "vodacom_tz/1".into(),
                sequence: 7,
                state: SegmentState::Delivered,
                status: Some(0x58),
                carrier_message_id: None,
                told_by: None,
            },
            TimelineEntry::Receipt {
                at: Timestamp(30),
                part: 1,
                stat: "DELIVRD".into(),
                err: "000".into(),
                done_date: "2604051203".into(),
                conflict: false,
            },
            TimelineEntry::Webhook {
                at: Timestamp(50),
                event: EventId(Uuid::nil()),
                sequence: 1,
                attempt: 1,
                latency_ms: 3,
                status: Some(204),
                error: None,
            },
        ];
        let json = events(MessageId(Uuid::nil()), Timestamp(5), &entries).unwrap();
        let first = br#""events":[{"type":"accepted","at":"1970-01-01T00:00:00.005Z"},"#;
        assert!(json.windows(first.len()).any(|window| window == first));
        let value: serde_json::Value = serde_json::from_slice(&json).unwrap();
        let events = value["data"]["events"].as_array().unwrap();
        let kinds: Vec<_> = events
            .iter()
            .map(|event| event["type"].as_str().unwrap())
            .collect();
        assert_eq!(
            kinds,
            ["accepted", "submitted", "dlr", "carrier_answer", "webhook"]
        );
        assert_eq!(events[3]["name"], "ESME_RTHROTTLED");
        assert_eq!(events[1]["at"], "1970-01-01T00:00:00.010Z");
    }
}
