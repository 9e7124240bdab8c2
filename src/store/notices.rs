//! Lives here: what events about no message say: their `data`, as it is written and as it is documented.
//! Never here: when it is said, and to whom (`engine`); the envelope around it (`webhooks`).

use serde::{Serialize, Serializer};
use utoipa::ToSchema;
use uuid::Uuid;

use super::jobs::JobView;
use crate::domain::credits::Credits;
use crate::domain::endpoint::{Endpoint, Reason};
use crate::domain::ids::EndpointId;
use crate::domain::ledger::{Channel, Purse};
use crate::domain::time::Timestamp;

/// A balance that has come down to its threshold: names and numbers as `GET /v1/credits` has them.
#[derive(Serialize, ToSchema)]
pub struct CreditsLow {
    /// What the credits are for: `sms`.
    service_type: &'static str,
    #[serde(serialize_with = "number")]
    #[schema(value_type = f64)]
    balance: Credits,
    #[serde(serialize_with = "number")]
    #[schema(value_type = f64)]
    total_purchased: Credits,
    #[serde(serialize_with = "number")]
    #[schema(value_type = f64)]
    total_consumed: Credits,
    #[serde(serialize_with = "number")]
    #[schema(value_type = f64)]
    low_balance_threshold: Credits,
    /// `true`.
    is_low_balance: bool,
}

/// A bulk job that is over.
#[derive(Serialize, ToSchema)]
pub struct BulkCompleted {
    /// The job's id.
    id: Uuid,
    /// Your name of it.
    name: Box<str>,
    /// `completed`, `failed` or `canceled`.
    status: &'static str,
    total_recipients: u32,
}

/// An endpoint that is not called any more.
#[derive(Serialize, ToSchema)]
pub struct EndpointDisabled {
    /// The endpoint's id.
    id: String,
    /// Where events were sent to.
    url: Box<str>,
    /// `disabled`.
    status: &'static str,
    /// `gone`: it answered 410. `failing`: it has only failed for five days.
    disabled_reason: &'static str,
}

/// An endpoint that is being tried.
#[derive(Serialize, ToSchema)]
pub struct EndpointTest {
    /// The endpoint's id.
    endpoint: String,
}

impl CreditsLow {
    /// What is said of a purse.
    pub fn new(channel: Channel, purse: &Purse) -> Self {
        Self {
            service_type: channel.name(),
            balance: purse.available,
            total_purchased: purse.purchased(),
            total_consumed: purse.consumed,
            low_balance_threshold: purse.threshold,
            is_low_balance: true,
        }
    }
}

impl BulkCompleted {
    /// What is said of a job that is over at this time.
    pub fn new(JobView { job, state, .. }: &JobView, at: Timestamp) -> Self {
        Self {
            id: job.id.0,
            name: job.name.clone(),
            status: state.name(job.due_at, at),
            total_recipients: job.total,
        }
    }
}

impl EndpointDisabled {
    /// What is said of an endpoint.
    pub fn new(endpoint: &Endpoint, reason: Reason) -> Self {
        Self {
            id: endpoint.id.to_string(),
            url: endpoint.url.clone(),
            status: "disabled",
            disabled_reason: reason.name(),
        }
    }
}

impl EndpointTest {
    /// What is said to an endpoint.
    pub fn new(endpoint: EndpointId) -> Self {
        Self {
            endpoint: endpoint.to_string(),
        }
    }
}

/// One of them as an event's `data`.
pub fn written(data: &impl Serialize) -> Box<str> {
    let text = serde_json::to_string(data);
    text.expect("texts, numbers and truths can all be written")
        .into()
}

/// Credits as a JSON number: an integer when they are whole.
fn number<S: Serializer>(credits: &Credits, to: S) -> Result<S::Ok, S::Error> {
    if credits.0 % 1000 == 0 {
        to.serialize_i64(credits.0 / 1000)
    } else {
        to.serialize_f64(credits.0 as f64 / 1000.0)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::domain::endpoint::{Events, tests::endpoint};
    use crate::domain::event::EventKind;
    use crate::domain::ids::OrgId;
    use crate::domain::ledger::Terms;

    /// What an event of a kind says, if it is about no message.
    pub(crate) fn sample(kind: EventKind) -> Option<Box<str>> {
        let one = endpoint(1, OrgId(Uuid::nil()), Events::ALL);
        Some(match kind {
            EventKind::Sent
            | EventKind::Delivered
            | EventKind::Failed
            | EventKind::Canceled
            | EventKind::Expired => return None,
            EventKind::CreditsLow => {
                written(&CreditsLow::new(Channel::Sms, &Purse::new(Terms::Prepaid)))
            }
            EventKind::BulkCompleted => written(&BulkCompleted {
                id: Uuid::nil(),
                name: "April".into(),
                status: "completed",
                total_recipients: 7,
            }),
            EventKind::EndpointDisabled => written(&EndpointDisabled::new(&one, Reason::Gone)),
            EventKind::Test => written(&EndpointTest::new(one.id)),
        })
    }

    #[test]
    fn credits_are_written_as_numbers() {
        let purse = Purse {
            available: Credits(2_500),
            threshold: Credits(1_234_567),
            ..Purse::new(Terms::Prepaid)
        };
        assert_eq!(
            &*written(&CreditsLow::new(Channel::Sms, &purse)),
            r#"{"service_type":"sms","balance":2.5,"total_purchased":2.5,"total_consumed":0,"low_balance_threshold":1234.567,"is_low_balance":true}"#
        );
    }
}
