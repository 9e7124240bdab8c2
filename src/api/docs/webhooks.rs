//! Lives here: the section `webhooks` of the description: what we send and how it is signed. utoipa
//! knows no webhooks, and the envelope is written by hand (`webhooks::envelope`): forms of its own.
//! Never here: sending (`webhooks`).

use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::book::{Book, JSON, example_of};
use super::words::{Failure, Metadata, Number, Status, StatusDetail, Tags};
use crate::api::json::Amount;
use crate::api::time::Text;
use crate::api::v1::Timeline;
use crate::store::notices::{BulkCompleted, CreditsLow, EndpointDisabled, EndpointTest};

/// An event as it is sent, whatever it is about.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a form only: the text is written by hand")]
struct EventEnvelope {
    /// The event's id, the same over all attempts: what has this id has been seen.
    id: String,
    /// What happened.
    #[schema(rename = "type")]
    kind: String,
    /// When it happened.
    created_at: Text,
    /// `false`: of a test key.
    livemode: bool,
    /// Position among the events about the same thing, rising; events may arrive in another order.
    sequence: u32,
    /// What it is about.
    #[schema(value_type = Object)]
    data: (),
}

/// A message, as events tell of it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a form only: the text is written by hand")]
struct EventMessage {
    id: Uuid,
    /// `sms`.
    #[schema(rename = "type")]
    kind: String,
    to: Number,
    from: String,
    status: Status,
    status_detail: StatusDetail,
    /// The text; never that of a one-time password.
    #[schema(nullable = false)]
    body: Option<String>,
    segments: u8,
    credits_cost: Amount,
    timeline: Timeline,
    #[schema(nullable = false)]
    failure_code: Option<Failure>,
    /// The same for people.
    #[schema(nullable = false)]
    failure_reason: Option<String>,
    #[schema(nullable = false)]
    metadata: Option<Metadata>,
    #[schema(nullable = false)]
    tags: Option<Tags>,
    /// Your own name of the message.
    #[schema(nullable = false)]
    client_ref: Option<String>,
}

/// A kind of event: its name, what it says, an example of its data.
struct Kind {
    name: &'static str,
    text: &'static str,
    data: fn(&mut Book) -> Value,
    example: &'static str,
}

const KINDS: &[Kind] = &[
    Kind {
        name: "message.sent",
        text: "A carrier has taken the message.",
        data: Book::form::<EventMessage>,
        example: r#"{"id": "89b82624-f1a2-4f5e-85b5-102e79a06779", "type": "sms", "to": "+255753276939",
            "from": "MojaWave", "status": "sent", "status_detail": "submitted",
            "body": "Hello from Mojawave! Your order has left.", "segments": 1, "credits_cost": 1,
            "timeline": {"queued_at": "2026-04-05T12:03:04.485Z", "sent_at": "2026-04-05T12:04:04.393Z"}}"#,
    },
    Kind {
        name: "message.delivered",
        text: "The handset has the message.",
        data: Book::form::<EventMessage>,
        example: r#"{"id": "89b82624-f1a2-4f5e-85b5-102e79a06779", "type": "sms", "to": "+255753276939",
            "from": "MojaWave", "status": "delivered", "status_detail": "delivered",
            "body": "Hello from Mojawave! Your order has left.", "segments": 1, "credits_cost": 1,
            "timeline": {"queued_at": "2026-04-05T12:03:04.485Z", "sent_at": "2026-04-05T12:04:04.393Z",
            "delivered_at": "2026-04-05T12:05:06.751Z"}, "metadata": {"customer_id": "cust98765"},
            "tags": ["onboarding", "verification"]}"#,
    },
    Kind {
        name: "message.failed",
        text: "The message has ended without being delivered; `failure_code` says why.",
        data: Book::form::<EventMessage>,
        example: r#"{"id": "89b82624-f1a2-4f5e-85b5-102e79a06779", "type": "sms", "to": "+255753276939",
            "from": "MojaWave", "status": "failed", "status_detail": "undelivered",
            "body": "Hello from Mojawave! Your order has left.", "segments": 1, "credits_cost": 1,
            "timeline": {"queued_at": "2026-04-05T12:03:04.485Z", "sent_at": "2026-04-05T12:04:04.393Z",
            "failed_at": "2026-04-05T12:05:06.751Z"}, "failure_code": "absent_subscriber",
            "failure_reason": "The handset could not be reached."}"#,
    },
    Kind {
        name: "message.canceled",
        text: "The message was taken back before a carrier had it.",
        data: Book::form::<EventMessage>,
        example: r#"{"id": "89b82624-f1a2-4f5e-85b5-102e79a06779", "type": "sms", "to": "+255753276939",
            "from": "MojaWave", "status": "canceled", "status_detail": "cancelled",
            "body": "Hello from Mojawave! Your order has left.", "segments": 1, "credits_cost": 0,
            "timeline": {"queued_at": "2026-04-05T12:03:04.485Z", "canceled_at": "2026-04-05T12:05:06.751Z"}}"#,
    },
    Kind {
        name: "message.expired",
        text: "The message's time was over before it was delivered; for those who have asked for it.",
        data: Book::form::<EventMessage>,
        example: r#"{"id": "89b82624-f1a2-4f5e-85b5-102e79a06779", "type": "sms", "to": "+255753276939",
            "from": "MojaWave", "status": "failed", "status_detail": "expired",
            "body": "Hello from Mojawave! Your order has left.", "segments": 1, "credits_cost": 1,
            "timeline": {"queued_at": "2026-04-05T12:03:04.485Z", "failed_at": "2026-04-05T12:05:06.751Z"},
            "failure_code": "expired", "failure_reason": "It was not delivered in time."}"#,
    },
    Kind {
        name: "credits.low",
        text: "A balance has come down to its threshold.",
        data: Book::form::<CreditsLow>,
        example: r#"{"service_type": "sms", "balance": 500, "total_purchased": 10000, "total_consumed": 9500,
            "low_balance_threshold": 500, "is_low_balance": true}"#,
    },
    Kind {
        name: "bulk.completed",
        text: "A bulk job has come to its end.",
        data: Book::form::<BulkCompleted>,
        example: r#"{"id": "ec0fb57c-8b90-4e21-9f96-48235d6a05ac", "name": "April", "status": "completed",
            "total_recipients": 1000}"#,
    },
    Kind {
        name: "endpoint.disabled",
        text: "An endpoint of the organisation is not called any more.",
        data: Book::form::<EndpointDisabled>,
        example: r#"{"id": "we_019d5d7c6a4d7c309a533f1c2f9d6b1e", "url": "https://example.com/webhooks",
            "status": "disabled", "disabled_reason": "gone"}"#,
    },
    Kind {
        name: "endpoint.test",
        text: "Sent to try an endpoint.",
        data: Book::form::<EndpointTest>,
        example: r#"{"endpoint": "we_019d5d7c6a4d7c309a533f1c2f9d6b1e"}"#,
    },
];

const TEXT: &str = "Sent as POST to the URL of the message (`webhook_url`) and to each endpoint that asks for such \
    events. Any 2xx within 10 seconds is success; after anything else it is sent again, 10 times within some 42 hours, \
    with the same `id`. Verify a signature over the octets of the body before you read it.";

/// The section; the forms go into the book.
pub(super) fn section(book: &mut Book) -> Map<String, Value> {
    let envelope = book.form::<EventEnvelope>();
    let kinds = KINDS.iter();
    kinds
        .map(|kind| (kind.name.to_owned(), event(kind, &envelope, book)))
        .collect()
}

fn event(kind: &Kind, envelope: &Value, book: &mut Book) -> Value {
    let data = (kind.data)(book);
    let shown = json!({
        "id": "evt_019d5d7e4b017d5c9f0a6d0f2b6c8e11", "type": kind.name,
        "created_at": "2026-04-05T12:05:06.751Z", "livemode": true, "sequence": 2,
        "data": example_of(kind.example),
    });
    let schema = json!({"allOf": [
        envelope,
        {"type": "object", "properties": {"type": {"const": kind.name}, "data": data}},
    ]});
    let answer = |text: &str| json!({"description": text});
    json!({"post": {
        "operationId": kind.name.replace('.', "_"),
        "tags": ["Webhooks"],
        "summary": kind.name,
        "description": format!("{} {TEXT}", kind.text),
        "parameters": headers(),
        "requestBody": {"required": true, "content": {JSON: {"schema": schema, "example": shown}}},
        "responses": {
            "2XX": answer("You have it."),
            "410": answer("You do not want it any more: an endpoint that answers so is switched off."),
            "default": answer("It is sent again later; `Retry-After` is heeded."),
        },
        "security": [],
    }})
}

fn headers() -> Value {
    let header = |name: &str, text: &str| {
        json!({
            "name": name, "in": "header", "required": true, "description": text,
            "schema": {"type": "string"},
        })
    };
    json!([
        header("webhook-id", "The event's id."),
        header(
            "webhook-timestamp",
            "When this attempt was made, in seconds since 1970."
        ),
        header(
            "webhook-signature",
            "`v1,` and base64 of HMAC-SHA256 over `id.timestamp.body` (Standard Webhooks); the key is what stands after \
             `whsec_`, decoded from base64. While a secret is being changed there are two, with a space between."
        ),
        header(
            "X-MojaWave-Signature",
            "HMAC-SHA256 over the body in hexadecimal digits; the key is the whole secret as it is shown."
        ),
        header("X-Moaa-Signature", "`sha256=` and the same digits."),
    ])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use super::*;
    use crate::domain::class::Class;
    use crate::domain::credits::Credits;
    use crate::domain::endpoint::Format;
    use crate::domain::event::EventKind;
    use crate::domain::ids::{CarrierIndex, EventId, MessageId, MessageSeq, OrgId};
    use crate::domain::message::{Encoding, FailureCode, Message, State};
    use crate::domain::phone::{Msisdn, Sender};
    use crate::domain::time::Timestamp;
    use crate::flow::{About, EventJob, Notice};
    use crate::store::notices::tests::sample;
    use crate::webhooks;

    fn about_message(state: State, failure: Option<FailureCode>) -> About {
        let message = Message {
            seq: MessageSeq(0),
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
            metadata: Some(r#"{"a":1}"#.into()),
            tags: Some(r#"["b"]"#.into()),
            client_ref: Some("c".into()),
            live: true,
            cost: Credits::whole(1),
            accepted_at: Timestamp(1),
            due_at: Timestamp(1),
            valid_until: Timestamp(2),
        };
        About::Message {
            message: Arc::new(message),
            sent_at: Some(Timestamp(2)),
            state,
            failure,
        }
    }

    fn about(kind: EventKind) -> About {
        if let Some(data) = sample(kind) {
            return About::Notice(Arc::new(Notice {
                seq: MessageSeq(0),
                org: OrgId(Uuid::nil()),
                live: true,
                data,
            }));
        }
        match kind {
            EventKind::Delivered => about_message(State::Delivered, None),
            EventKind::Canceled => about_message(State::Cancelled, None),
            EventKind::Expired => about_message(State::Expired, Some(FailureCode::Expired)),
            EventKind::Failed => about_message(State::Failed, Some(FailureCode::CarrierRejected)),
            _ => about_message(State::Submitted, None),
        }
    }

    fn names(object: &Value) -> BTreeSet<&str> {
        let members = object.as_object().unwrap().keys();
        members.map(String::as_str).collect()
    }

    /// The fields of a form, and those of them that are always there.
    fn fields<'a>(book: &'a Book, form: &str) -> (BTreeSet<&'a str>, BTreeSet<&'a str>) {
        let form = &book.schemas[form];
        let required = form["required"].as_array().unwrap().iter();
        let required = required.map(|name| name.as_str().unwrap()).collect();
        (names(&form["properties"]), required)
    }

    #[test]
    fn what_is_sent_has_the_fields_that_are_described() {
        let mut book = Book::default();
        let kinds = section(&mut book);
        let (envelope, _) = fields(&book, "EventEnvelope");
        let mut of_messages = BTreeSet::new();
        for kind in EventKind::ALL {
            let job = EventJob {
                event: EventId(Uuid::nil()),
                target: None,
                kind,
                sequence: 1,
                about: about(kind),
                at: Timestamp(3),
                attempts: 0,
                attempts_before: 0,
            };
            let sent = webhooks::written(&job, Format::Mojawave);
            let sent: Value = serde_json::from_slice(&sent).unwrap();
            assert_eq!(names(&sent), envelope, "{kind:?}");
            let told = &kinds[kind.name()]["post"]["requestBody"]["content"][JSON];
            let parts = told["schema"]["allOf"].as_array().unwrap();
            let form = parts[1]["properties"]["data"]["$ref"].as_str().unwrap();
            let form = form.rsplit('/').next().unwrap();
            let (all, required) = fields(&book, form);
            let data = names(&sent["data"]);
            assert!(required.is_subset(&data), "{kind:?}: {data:?}");
            if form == "EventMessage" {
                let data = data.into_iter().map(str::to_owned);
                of_messages.extend(data);
            } else {
                assert_eq!(data, all, "{kind:?}");
            }
        }
        let (all, _) = fields(&book, "EventMessage");
        assert_eq!(of_messages, all.into_iter().map(str::to_owned).collect());
    }
}
