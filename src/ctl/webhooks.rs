//! Lives here: `ctl webhooks`.
//! Never here: what an endpoint is (`admin` judges).

use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{self, CtlError};
use super::table::table;
use super::{Target, done, or_dash, period, read};

/// What to do with webhook endpoints.
#[derive(Debug, clap::Subcommand)]
pub enum WebhooksCommand {
    /// Show endpoints and how they stand.
    Endpoints {
        /// Only of this organisation: name or id.
        #[arg(long)]
        org: Option<String>,
    },
    /// Show an organisation's attempts to deliver, newest events first.
    Deliveries {
        /// The organisation's name or id.
        org: String,
        /// Only these: delivered or failed.
        #[arg(long)]
        status: Option<String>,
        /// Only of this type, as message.failed.
        #[arg(long)]
        event: Option<String>,
        /// Only to this endpoint.
        #[arg(long)]
        endpoint: Option<String>,
        /// So many.
        #[arg(long)]
        limit: Option<u32>,
        /// Of test keys.
        #[arg(long)]
        test: bool,
    },
    /// Send events again: one, or what an endpoint was told of in a span.
    Replay {
        /// One event, by its id.
        #[arg(long, requires = "org", conflicts_with = "endpoint")]
        event: Option<String>,
        /// Whose event: name or id.
        #[arg(long)]
        org: Option<String>,
        /// What this endpoint was told of.
        #[arg(long, requires = "since", required_unless_present = "event")]
        endpoint: Option<String>,
        /// From so long ago on: 90s, 30m, 2h, 1d.
        #[arg(long, value_parser = period)]
        since: Option<u64>,
        /// Until so long ago.
        #[arg(long, value_parser = period)]
        until: Option<u64>,
        /// Behind this event: where the command before has ended.
        #[arg(long, requires = "endpoint")]
        after: Option<String>,
        /// Only what it has not taken.
        #[arg(long)]
        failed: bool,
        /// An event of a test key.
        #[arg(long)]
        test: bool,
    },
    /// Have an endpoint told of what happens from now on.
    Enable {
        /// Its id.
        id: String,
    },
    /// Have an endpoint told of nothing any more.
    Disable {
        /// Its id.
        id: String,
    },
    /// Send an endpoint a test event, and say what came of it.
    Test {
        /// Its id.
        id: String,
    },
}

const ENDPOINTS: &str = "/admin/v1/webhooks/endpoints";

impl WebhooksCommand {
    pub(super) async fn ask(&self, target: &Target) -> Result<Value, CtlError> {
        match self {
            Self::Endpoints { org } => client::get(target, ENDPOINTS, &[("org", org)]).await,
            Self::Deliveries {
                org,
                status,
                event,
                endpoint,
                limit,
                test,
            } => {
                let query = [
                    ("org", &Some(org.clone())),
                    ("status", status),
                    ("event", event),
                    ("endpoint", endpoint),
                    ("limit", &limit.map(|limit| limit.to_string())),
                    ("test", &Some(test.to_string())),
                ];
                client::get(target, "/admin/v1/webhooks/deliveries", &query).await
            }
            Self::Replay {
                event,
                org,
                endpoint,
                since,
                until,
                after,
                failed,
                test,
            } => {
                let body = json!({"event": event, "org": org, "endpoint": endpoint,
                    "since_s": since, "until_s": until, "after": after, "failed_only": failed, "test": test});
                client::post(target, "/admin/v1/webhooks/replay", &body).await
            }
            Self::Enable { id } => switch(target, id, true).await,
            Self::Disable { id } => switch(target, id, false).await,
            Self::Test { id } => {
                let path = format!("{ENDPOINTS}/{id}/test");
                client::post(target, &path, &json!({})).await
            }
        }
    }

    pub(super) fn shown(&self, told: Value) -> Result<String, CtlError> {
        match self {
            Self::Endpoints { .. } => read(told).map(|endpoints: Endpoints| endpoints.shown()),
            Self::Deliveries { .. } => read(told).map(|deliveries: Deliveries| deliveries.shown()),
            Self::Replay { .. }
            | Self::Enable { .. }
            | Self::Disable { .. }
            | Self::Test { .. } => done(told),
        }
    }
}

async fn switch(target: &Target, id: &str, enabled: bool) -> Result<Value, CtlError> {
    let path = format!("{ENDPOINTS}/{id}");
    client::post(target, &path, &json!({"enabled": enabled})).await
}

#[derive(Deserialize)]
struct Endpoints {
    endpoints: Vec<Endpoint>,
}

#[derive(Deserialize)]
struct Endpoint {
    id: String,
    org: String,
    environment: String,
    url: String,
    events: Vec<String>,
    format: String,
    status: String,
    reason: Option<String>,
    failing_since: Option<String>,
}

impl Endpoints {
    fn shown(self) -> String {
        let rows = self.endpoints.into_iter().map(|one| {
            let status = match one.reason {
                Some(reason) => format!("{} ({reason})", one.status),
                None => one.status,
            };
            [
                one.id,
                one.org,
                one.environment,
                one.url,
                one.events.join(","),
                one.format,
                status,
                or_dash(one.failing_since),
            ]
        });
        table(
            [
                "ID",
                "ORGANISATION",
                "KEYS",
                "HOST",
                "EVENTS",
                "FORMAT",
                "STATUS",
                "FAILING SINCE",
            ],
            rows,
        )
    }
}

#[derive(Deserialize)]
struct Deliveries {
    deliveries: Vec<Delivery>,
    /// There are older ones.
    more: bool,
}

#[derive(Deserialize)]
struct Delivery {
    at: String,
    id: String,
    event: String,
    target: String,
    message: Option<String>,
    attempt: u16,
    http_status: Option<u16>,
    latency_ms: u32,
    error: Option<String>,
}

impl Deliveries {
    fn shown(self) -> String {
        let rows = self.deliveries.into_iter().map(|one| {
            let status = one.http_status.map(|status| status.to_string());
            [
                one.at,
                one.event,
                one.target,
                or_dash(one.message),
                one.attempt.to_string(),
                or_dash(status),
                format!("{} ms", one.latency_ms),
                or_dash(one.error),
                one.id,
            ]
        });
        let mut shown = table(
            [
                "AT", "EVENT", "TARGET", "MESSAGE", "ATTEMPT", "STATUS", "TOOK", "ERROR", "ID",
            ],
            rows,
        );
        if self.more {
            shown.push_str("there are older ones: give a higher --limit, or more filters\n");
        }
        shown
    }
}
