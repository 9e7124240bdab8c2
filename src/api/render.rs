//! Lives here: the bodies of successful answers in the `/v1` dialect (seed 003, field for field,
//! with our additions after the seed's fields).
//! Never here: errors, status codes, look-ups.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::events::per_segment;
use super::json::amount;
use super::time::{self, Text};
use crate::domain::class::Class;
use crate::domain::message::State;
use crate::ingest::explain::Explanation;
use crate::ingest::{Accepted, DryRun};
use crate::store::MessageView;

/// What stands for the text of a one-time password, and for one that is not kept any more: no
/// message is accepted without a text.
const REDACTED: &str = "[redacted]";

/// What the answer to a send says beside what was accepted.
pub(super) struct Said<'a> {
    pub(super) class: Class,
    /// The text.
    pub(super) body: &'a str,
    /// What has become of it meanwhile, if its caller has waited for that.
    pub(super) outcome: Option<&'a MessageView>,
    pub(super) warnings: &'a [Warning],
}

/// What a client should know of a request that was done all the same.
#[derive(Debug, Serialize)]
pub(super) struct Warning {
    /// The field, as the client spelt it.
    pub(super) param: Box<str>,
    pub(super) code: &'static str,
    pub(super) detail: String,
}

/// The answer to an accepted message. Written by hand: this is the busiest line of the daemon.
pub(super) fn accepted(accepted: &Accepted, said: &Said<'_>) -> String {
    let mut digits = [0; uuid::fmt::Hyphenated::LENGTH];
    let queued_at = time::rfc3339(accepted.accepted_at);
    let scheduled_at = (accepted.state == State::Scheduled).then(|| time::rfc3339(accepted.due_at));
    let sent_at = said
        .outcome
        .and_then(|view| view.sent_at)
        .map(time::rfc3339);
    let state = said.outcome.map_or(accepted.state, |view| view.state);
    let mut small = [0; 3];
    let segments = decimal(accepted.segments, &mut small);
    let body = shown(said.class, said.body);
    let mut json = String::with_capacity(480 + body.len());
    json.push_str(r#"{"success":true,"data":{"id":""#);
    json.push_str(accepted.id.0.hyphenated().encode_lower(&mut digits));
    json.push_str(r#"","type":"sms","to":"+"#);
    json.push_str(accepted.to.digits());
    json.push_str(r#"","from":"#);
    push_text(&mut json, accepted.from.as_str());
    json.push_str(r#","status":""#);
    json.push_str(state.public());
    json.push_str(r#"","class":""#);
    json.push_str(said.class.name());
    json.push_str(r#"","body":"#);
    push_text(&mut json, body);
    json.push_str(r#","segments":"#);
    json.push_str(segments);
    let _ = write!(json, r#","credits_cost":{}"#, accepted.cost);
    push_time(&mut json, r#","queued_at":""#, Some(&queued_at));
    push_time(&mut json, r#","scheduled_at":""#, scheduled_at.as_ref());
    push_time(&mut json, r#","sent_at":""#, sent_at.as_ref());
    push_time(&mut json, r#","timeline":{"queued_at":""#, Some(&queued_at));
    push_time(&mut json, r#","sent_at":""#, sent_at.as_ref());
    json.push('}');
    if let Some(failure) = said.outcome.and_then(|view| view.failure) {
        json.push_str(r#","failure_code":""#);
        json.push_str(failure.name());
        json.push_str(r#"","failure_reason":"#);
        push_text(&mut json, failure.reason());
    }
    json.push('}');
    if !said.warnings.is_empty() {
        json.push_str(r#","warnings":"#);
        json.push_str(&serde_json::to_string(said.warnings).unwrap_or_else(|_| "[]".into()));
    }
    json.push('}');
    json
}

/// Appends a time, if there is one, behind its name and before its closing quote.
fn push_time(json: &mut String, name: &str, at: Option<&Text>) {
    if let Some(at) = at {
        json.push_str(name);
        json.push_str(at.as_str());
        json.push('"');
    }
}

/// A message's text, or what stands for it.
pub(super) fn shown(class: Class, body: &str) -> &str {
    if class == Class::Otp || body.is_empty() {
        REDACTED
    } else {
        body
    }
}

/// The answer to a dry run: what would have been accepted, and how it would go.
pub(super) fn dry_run(
    run: &DryRun,
    class: Class,
    warnings: &[Warning],
) -> serde_json::Result<Vec<u8>> {
    let accepted = &run.accepted;
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
            carrier: run.route.carrier(),
            scheduled_at: (accepted.state == State::Scheduled)
                .then(|| time::rfc3339(accepted.due_at)),
            route: &run.route,
        },
        warnings,
    })
}

/// What a list shows of a message, and its details.
pub(super) fn details(view: &MessageView) -> Details<'_> {
    let message = &view.message;
    let (queued_at, sent_at) = (
        time::rfc3339(message.accepted_at),
        view.sent_at.map(time::rfc3339),
    );
    let ended = |status| {
        let at = view.final_at.filter(|_| view.state.public() == status);
        at.map(time::rfc3339)
    };
    Details {
        id: message.id.0,
        kind: "sms",
        to: message.to.to_string(),
        from: message.from.as_str(),
        status: view.state.public(),
        status_detail: view.state.name(),
        class: message.class.name(),
        body: shown(message.class, &message.body),
        segments: message.segments,
        credits_cost: amount(message.cost),
        cost_per_segment: per_segment(message.cost, message.segments),
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
        valid_until: time::rfc3339(message.valid_until),
        livemode: message.live,
    }
}

#[derive(Serialize)]
struct Success<'a, T> {
    success: bool,
    data: T,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    warnings: &'a [Warning],
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
    carrier: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduled_at: Option<Text>,
    route: &'a Explanation,
}

/// A message's details.
#[derive(Serialize)]
pub(super) struct Details<'a> {
    id: Uuid,
    #[serde(rename = "type")]
    kind: &'static str,
    to: String,
    from: &'a str,
    status: &'static str,
    status_detail: &'static str,
    class: &'static str,
    body: &'a str,
    segments: u8,
    credits_cost: serde_json::Value,
    cost_per_segment: serde_json::Value,
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
    /// After this it is not sent any more.
    valid_until: Text,
    livemode: bool,
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

/// The client's own JSON, as it was checked at the door.
fn raw(json: Option<&str>) -> Option<&RawValue> {
    serde_json::from_str(json?).ok()
}

/// Appends a JSON string.
fn push_text(json: &mut String, text: &str) {
    let special = |octet: u8| octet < 0x20 || octet == b'"' || octet == b'\\';
    // Not `any`: without an early end many octets are looked at together.
    if !text
        .bytes()
        .fold(false, |found, octet| found | special(octet))
    {
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
pub(super) mod tests {
    use super::*;
    use crate::domain::credits::Credits;
    use crate::domain::ids::{CarrierIndex, MessageId, MessageSeq, OrgId};
    use crate::domain::message::{Encoding, FailureCode, Message};
    use crate::domain::phone::{Msisdn, Sender};
    use crate::domain::time::Timestamp;

    /// A delivered message.
    pub(in crate::api) fn view() -> MessageView {
        MessageView {
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
        }
    }

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
            valid_until: Timestamp(1_775_390_584_485),
        };
        let mut said = Said {
            class: Class::Otp,
            body: "a code",
            outcome: None,
            warnings: &[],
        };
        assert_eq!(
            accepted(&done, &said),
            "{\"success\":true,\"data\":{\"id\":\"00000000-0000-0000-0000-000000000000\",\
             \"type\":\"sms\",\"to\":\"+255753276939\",\"from\":\"MojaWave\",\"status\":\"queued\",\
             \"class\":\"otp\",\"body\":\"[redacted]\",\"segments\":10,\"credits_cost\":10,\
             \"queued_at\":\"2026-04-05T12:03:04.485Z\",\
             \"timeline\":{\"queued_at\":\"2026-04-05T12:03:04.485Z\"}}}"
        );
        done.state = State::Scheduled;
        said.class = Class::Promotional;
        let json = accepted(&done, &said);
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["data"]["scheduled_at"], "2026-04-05T12:03:04.485Z");
        let mut outcome = view();
        outcome.state = State::Rejected;
        outcome.sent_at = Some(done.due_at);
        outcome.failure = Some(FailureCode::CarrierRejected);
        said.outcome = Some(&outcome);
        let warnings = [Warning {
            param: "colour".into(),
            code: "unknown_field",
            detail: "ignored".into(),
        }];
        said.warnings = &warnings;
        let json = accepted(&done, &said);
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        let data = &value["data"];
        assert_eq!(data["status"], "failed");
        assert_eq!(data["timeline"]["sent_at"], "2026-04-05T12:03:04.485Z");
        assert_eq!(data["failure_code"], "carrier_rejected");
        assert_eq!(value["warnings"][0]["param"], "colour");
    }

    #[test]
    fn what_is_not_kept_any_more_is_told_as_such() {
        let mut view = view();
        let shown = |view: &MessageView| {
            let value = serde_json::to_value(details(view)).unwrap();
            let text = |name: &str| value[name].as_str().unwrap().to_owned();
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
}
