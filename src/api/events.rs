//! Lives here: the body of `GET /v1/messages/{id}/events`: what happened to a message, in order, and
//! what it cost by which way (seed 001's timelines and attribution).
//! Never here: look-ups; the message itself (`render`).

use mnara_smpp::status::CommandStatus;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::json::amount;
use super::time::{self, Text};
use crate::domain::credits::Credits;
use crate::domain::message::State;
use crate::domain::proof::ToldBy;
use crate::domain::time::Timestamp;
use crate::ingest::explain::Explanation;
use crate::store::{MessageView, TimelineEntry};

/// What is known of the way that a message went.
pub(super) struct Way {
    /// What the plan in force makes of it: decisions are not kept, only what came of them.
    pub(super) decision: Option<Explanation>,
    /// When it was asked.
    pub(super) asked_at: Timestamp,
    /// The account that had it last; `None`: one that is configured no more.
    pub(super) account: Option<Box<str>>,
    /// The recipient's network.
    pub(super) network: Option<Box<str>>,
}

/// Everything that happened to a message, in order of time.
pub(super) fn events(
    view: &MessageView,
    way: &Way,
    entries: &[TimelineEntry],
) -> serde_json::Result<Vec<u8>> {
    let message = &view.message;
    let last = entries.iter().rev().find_map(|entry| match entry {
        TimelineEntry::Attempt { carrier, .. } => Some(&**carrier),
        TimelineEntry::Receipt { .. } | TimelineEntry::Webhook { .. } => None,
    });
    let target = last.or(way.account.as_deref());
    let rule = way.decision.as_ref().and_then(Explanation::rule);
    let mut events = vec![(message.accepted_at, Event::Accepted {})];
    let routed = Event::Routed {
        target_id: target,
        decision: way.decision.as_ref(),
        as_of: time::rfc3339(way.asked_at),
    };
    events.push((message.accepted_at, routed));
    push_waits(&mut events, view);
    for entry in entries {
        push_events(&mut events, entry);
    }
    if let Some(at) = view.final_at {
        let ended = Event::Ended {
            status: view.state.public(),
            status_detail: view.state.name(),
            failure_code: view.failure.map(|failure| failure.name()),
        };
        events.push((at, ended));
    }
    // Stable: what happened within one millisecond keeps the order of its cause.
    events.sort_by_key(|(at, _)| *at);
    let data = Events {
        id: message.id.0,
        status: view.state.public(),
        network: way.network.as_deref(),
        cost_per_segment: per_segment(message.cost, message.segments),
        route_id: rule,
        route_name: rule,
        target_id: target,
        target_name: target,
        events: events.into_iter().map(Stamped::from).collect(),
    };
    serde_json::to_vec(&serde_json::json!({"success": true, "data": data}))
}

/// What each segment cost, in credits.
pub(super) fn per_segment(cost: Credits, segments: u8) -> Value {
    amount(Credits(cost.0 / i64::from(segments.max(1))))
}

/// When it came to wait for its time, and for a carrier.
fn push_waits(events: &mut Vec<(Timestamp, Event<'_>)>, view: &MessageView) {
    let message = &view.message;
    if message.due_at <= message.accepted_at {
        return events.push((message.accepted_at, Event::Queued {}));
    }
    let due_at = time::rfc3339(message.due_at);
    events.push((message.accepted_at, Event::Scheduled { due_at }));
    let taken_back = view.final_at.is_some_and(|at| at < message.due_at);
    if view.state != State::Scheduled && !taken_back {
        events.push((message.due_at, Event::Queued {}));
    }
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
struct Events<'a> {
    id: Uuid,
    status: &'static str,
    network: Option<&'a str>,
    /// In credits.
    cost_per_segment: Value,
    /// The rule of the routing plan; `null`: none matched.
    route_id: Option<&'a str>,
    route_name: Option<&'a str>,
    /// The account.
    target_id: Option<&'a str>,
    target_name: Option<&'a str>,
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
    Routed {
        target_id: Option<&'a str>,
        /// Rule, candidates and why, as the plan has it at `as_of`.
        decision: Option<&'a Explanation>,
        as_of: Text,
    },
    Scheduled {
        due_at: Text,
    },
    Queued {},
    Ended {
        status: &'static str,
        status_detail: &'static str,
        failure_code: Option<&'static str>,
    },
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
            Self::Routed { .. } => "routed",
            Self::Scheduled { .. } => "scheduled",
            Self::Queued {} => "queued",
            Self::Ended { .. } => "ended",
            Self::Submitted { .. } => "submitted",
            Self::CarrierAnswer { .. } => "carrier_answer",
            Self::DoubtResolved { .. } => "doubt_resolved",
            Self::NoAnswer { .. } => "no_answer",
            Self::Dlr { .. } => "dlr",
            Self::Webhook { .. } => "webhook",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::render::tests::view;
    use crate::domain::ids::EventId;
    use crate::domain::lifecycle::SegmentState;

    fn told(view: &MessageView, entries: &[TimelineEntry]) -> Value {
        let way = Way {
            decision: None,
            asked_at: Timestamp(99),
            account: Some("airtel_tz".into()),
            network: Some("vodacom_tz".into()),
        };
        serde_json::from_slice(&events(view, &way, entries).unwrap()).unwrap()
    }

    fn kinds(told: &Value) -> Vec<&str> {
        let events = told["data"]["events"].as_array().unwrap();
        let kinds = events.iter().map(|event| event["type"].as_str().unwrap());
        kinds.collect()
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
        let mut view = view();
        view.message.accepted_at = Timestamp(5);
        view.message.due_at = Timestamp(5);
        view.message.segments = 2;
        view.message.cost = Credits(1_500);
        view.final_at = Some(Timestamp(60));
        let told = told(&view, &entries);
        assert_eq!(
            kinds(&told),
            [
                "accepted",
                "routed",
                "queued",
                "submitted",
                "dlr",
                "carrier_answer",
                "webhook",
                "ended"
            ]
        );
        let data = &told["data"];
        let events = &data["events"];
        assert_eq!(events[5]["name"], "ESME_RTHROTTLED");
        assert_eq!(events[3]["at"], "1970-01-01T00:00:00.010Z");
        assert_eq!(data["cost_per_segment"], 0.75);
        assert_eq!(data["route_id"], Value::Null);
        // Who had it last, not who has it by the row.
        assert_eq!(data["target_name"], "vodacom_tz");
    }

    #[test]
    fn what_was_taken_back_before_its_time_was_never_queued() {
        let mut view = view();
        view.message.due_at = Timestamp(50);
        view.state = State::Scheduled;
        assert_eq!(
            kinds(&told(&view, &[])),
            ["accepted", "routed", "scheduled"]
        );
        view.state = State::Cancelled;
        view.final_at = Some(Timestamp(20));
        let cancelled = told(&view, &[]);
        assert_eq!(
            kinds(&cancelled),
            ["accepted", "routed", "scheduled", "ended"]
        );
        assert_eq!(cancelled["data"]["target_id"], "airtel_tz");
        view.state = State::Delivered;
        view.final_at = Some(Timestamp(70));
        assert_eq!(kinds(&told(&view, &[]))[3..], ["queued", "ended"]);
    }
}
