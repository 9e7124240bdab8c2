//! Lives here: `ctl messages`.
//! Never here: what may be cancelled or resent (`admin`, `store`).

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::client::{self, CtlError};
use super::table::table;
use super::{Target, done, or_dash, period, read};

/// What to do with a message.
#[derive(Debug, clap::Subcommand)]
pub enum MessagesCommand {
    /// Find messages, the newest first; `trace` tells the whole story of one.
    Find(FindArguments),
    /// Show everything that is known of it but its text: where it stands, why it waits, every
    /// attempt, receipt and webhook.
    Trace {
        /// Its id, as the API gave it.
        id: String,
    },
    /// Take it back: a scheduled one, or a queued one that no carrier can have. Cannot be undone.
    Cancel(ChangeArguments),
    /// Send it again although it may have been sent: an uncertain one that is not resent by itself.
    Resend(ChangeArguments),
}

/// What is known of a message.
#[derive(Debug, clap::Args)]
pub struct FindArguments {
    /// Its recipient, in E.164.
    #[arg(long, value_name = "NUMBER")]
    to: Option<String>,
    /// The customer's own name for it.
    #[arg(long)]
    client_ref: Option<String>,
    /// Where it stands: scheduled, queued, uncertain, sent, delivered, failed, expired, …
    #[arg(long)]
    status: Option<String>,
    /// Whose, by name or id.
    #[arg(long)]
    org: Option<String>,
    /// Accepted no longer ago than: 90s, 30m, 2h, 1d.
    #[arg(long, value_name = "TIME", value_parser = period)]
    since: Option<u64>,
    /// Accepted longer ago than.
    #[arg(long, value_name = "TIME", value_parser = period)]
    until: Option<u64>,
    /// As many at most.
    #[arg(long)]
    limit: Option<u32>,
}

/// Which message, and why.
#[derive(Debug, clap::Args)]
pub struct ChangeArguments {
    /// Its id, as the API gave it.
    id: String,
    /// Why, for the audit.
    #[arg(long)]
    reason: String,
    /// Only tell what would be done.
    #[arg(long)]
    dry_run: bool,
}

impl MessagesCommand {
    pub(super) async fn ask(&self, target: &Target) -> Result<Value, CtlError> {
        match self {
            Self::Find(wanted) => wanted.ask(target).await,
            Self::Trace { id } => client::get(target, &path(id, ""), &[]).await,
            Self::Cancel(change) => change.ask(target, "/cancel").await,
            Self::Resend(change) => change.ask(target, "/resend").await,
        }
    }

    pub(super) fn shown(&self, told: Value) -> Result<String, CtlError> {
        match self {
            Self::Find(_) => read(told).map(|found: Found| found.shown()),
            Self::Trace { .. } => read(told).map(|trace: Trace| trace.shown()),
            Self::Cancel(_) | Self::Resend(_) => done(told),
        }
    }
}

impl FindArguments {
    async fn ask(&self, target: &Target) -> Result<Value, CtlError> {
        let number = |value: Option<u64>| value.map(|value| value.to_string());
        let query = [
            ("to", &self.to),
            ("client_ref", &self.client_ref),
            ("status", &self.status),
            ("org", &self.org),
            ("since_s", &number(self.since)),
            ("until_s", &number(self.until)),
            ("limit", &number(self.limit.map(u64::from))),
        ];
        client::get(target, "/admin/v1/messages", &query).await
    }
}

impl ChangeArguments {
    async fn ask(&self, target: &Target, what: &str) -> Result<Value, CtlError> {
        let body = json!({"reason": self.reason, "dry_run": self.dry_run});
        client::post(target, &path(&self.id, what), &body).await
    }
}

fn path(id: &str, what: &str) -> String {
    let mut path = "/admin/v1/messages/".to_owned();
    client::encode(&mut path, id);
    path + what
}

#[derive(Deserialize)]
struct Found {
    messages: Vec<Line>,
    more: bool,
}

#[derive(Deserialize)]
struct Line {
    id: String,
    org_name: Option<String>,
    class: String,
    to: String,
    from: String,
    client_ref: Option<String>,
    state: String,
    failure: Option<String>,
    accepted_at: String,
}

impl Found {
    fn shown(self) -> String {
        let head = ["AT", "ID", "ORG", "CLASS", "FROM", "TO", "STATE", "REF"];
        let rows = self.messages.into_iter().map(|line| {
            let state = match line.failure {
                Some(failure) if failure != line.state => format!("{} ({failure})", line.state),
                Some(_) | None => line.state,
            };
            [
                line.accepted_at,
                line.id,
                or_dash(line.org_name),
                line.class,
                line.from,
                line.to,
                state,
                or_dash(line.client_ref),
            ]
        });
        let mut text = table(head, rows);
        if self.more {
            text.push_str("there are older ones: narrow the search, or raise --limit\n");
        }
        text
    }
}

/// A message's facts in the daemon's order, its timeline apart.
#[derive(Deserialize)]
struct Trace {
    timeline: Vec<Map<String, Value>>,
    #[serde(flatten)]
    facts: Map<String, Value>,
}

impl Trace {
    fn shown(self) -> String {
        let known = ORDER
            .into_iter()
            .filter_map(|name| Some((name, self.facts.get(name)?)));
        let facts = known
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| [name.replace('_', " "), plain(value)]);
        let events = self.timeline.into_iter().map(|mut event| {
            let mut take = |name: &str| plain(&event.remove(name).unwrap_or_default());
            let (at, what) = (take("at"), take("event"));
            let rest = event.iter().filter(|(_, value)| !value.is_null());
            let rest = rest.map(|(name, value)| format!("{name}: {}", plain(value)));
            [at, what, rest.collect::<Vec<_>>().join(", ")]
        });
        let timeline = table(["AT", "EVENT", "DETAIL"], events);
        format!("{}\n{timeline}", table(["MESSAGE", ""], facts))
    }
}

const ORDER: [&str; 19] = [
    "id",
    "org_name",
    "class",
    "from",
    "to",
    "segments",
    "state",
    "why",
    "ahead",
    "carrier",
    "accepted_at",
    "due_at",
    "valid_until",
    "sent_at",
    "final_at",
    "failure",
    "detail",
    "possible_duplicate",
    "org",
];

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_shown_with_its_timeline() {
        let told = json!({"id": "01", "org": "02", "org_name": "Duka", "class": "otp",
            "state": "queued", "why": "paused by amina", "ahead": 0, "sent_at": null,
            "possible_duplicate": false,
            "timeline": [{"at": "T1", "event": "attempt", "part": 1, "error": null}]});
        let trace = MessagesCommand::Trace { id: "01".into() };
        assert_eq!(
            trace.shown(told).unwrap(),
            "MESSAGE\n\
             id                  01\n\
             org name            Duka\n\
             class               otp\n\
             state               queued\n\
             why                 paused by amina\n\
             ahead               0\n\
             possible duplicate  false\n\
             org                 02\n\
             \n\
             AT  EVENT    DETAIL\n\
             T1  attempt  part: 1\n"
        );
    }

    #[test]
    fn messages_found_are_a_line_each() {
        let told = json!({"more": true, "messages": [{"id": "01", "org": "02", "org_name": "Duka",
            "class": "otp", "to": "+2557***78", "from": "Bank", "client_ref": null,
            "state": "expired", "failure": "expired", "accepted_at": "T1"}]});
        let find = MessagesCommand::Find(FindArguments {
            to: None,
            client_ref: None,
            status: None,
            org: None,
            since: None,
            until: None,
            limit: None,
        });
        assert_eq!(
            find.shown(told).unwrap(),
            "AT  ID  ORG   CLASS  FROM  TO          STATE    REF\n\
             T1  01  Duka  otp    Bank  +2557***78  expired  -\n\
             there are older ones: narrow the search, or raise --limit\n"
        );
    }
}
