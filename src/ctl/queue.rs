//! Lives here: `ctl queue`.
//! Never here: why messages wait (`admin` says it).

use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{self, CtlError};
use super::table::table;
use super::{Target, done, or_dash, period, read};

/// What to do with what waits.
#[derive(Debug, clap::Subcommand)]
pub enum QueueCommand {
    /// Show what waits, by account and class, and why (the usual command).
    Show {
        /// Only this account.
        #[arg(long)]
        carrier: Option<String>,
        /// Only this class: otp, transactional, promotional.
        #[arg(long)]
        class: Option<String>,
        /// Only this organisation, by name or id.
        #[arg(long)]
        org: Option<String>,
    },
    /// Cancel what waits: at least one filter. Never touches what may be with a carrier, nor OTP
    /// unless their account has been paused for five seconds. Cannot be undone.
    Purge(SweepArguments),
    /// Move what waits to the end of another account's lanes: at least one filter.
    Reroute {
        /// That account.
        #[arg(long)]
        to: String,
        /// Which messages.
        #[command(flatten)]
        sweep: SweepArguments,
    },
}

/// Which of the waiting messages, and why.
#[derive(Debug, clap::Args)]
pub struct SweepArguments {
    /// Only this account's; it may be configured no more.
    #[arg(long)]
    carrier: Option<String>,
    /// Only this class: otp, transactional, promotional.
    #[arg(long)]
    class: Option<String>,
    /// Only this organisation's, by name or id.
    #[arg(long)]
    org: Option<String>,
    /// Only those accepted longer ago: 90s, 30m, 2h, 1d.
    #[arg(long, value_name = "TIME", value_parser = period)]
    older_than: Option<u64>,
    /// Why, for the audit.
    #[arg(long)]
    reason: String,
    /// Only count and name a few.
    #[arg(long)]
    dry_run: bool,
}

impl QueueCommand {
    /// Without a word more everything is shown.
    pub(super) const ALL: Self = Self::Show {
        carrier: None,
        class: None,
        org: None,
    };

    pub(super) async fn ask(&self, target: &Target) -> Result<Value, CtlError> {
        match self {
            Self::Show {
                carrier,
                class,
                org,
            } => {
                let query = [("carrier", carrier), ("class", class), ("org", org)];
                client::get(target, "/admin/v1/queue", &query).await
            }
            Self::Purge(sweep) => sweep.ask(target, "/admin/v1/queue/purge", None).await,
            Self::Reroute { to, sweep } => {
                sweep.ask(target, "/admin/v1/queue/reroute", Some(to)).await
            }
        }
    }

    pub(super) fn shown(&self, told: Value) -> Result<String, CtlError> {
        match self {
            Self::Show { .. } => read(told).map(|queue: Queue| queue.shown()),
            Self::Purge(_) | Self::Reroute { .. } => {
                let swept: Swept = read(told.clone())?;
                let sample = swept.sample.into_iter().map(|id| format!("  {id}\n"));
                Ok(done(told)? + &sample.collect::<String>())
            }
        }
    }
}

impl SweepArguments {
    /// The daemon works some seconds at a time; it is asked again as long as it gets on.
    async fn ask(
        &self,
        target: &Target,
        path: &str,
        to: Option<&String>,
    ) -> Result<Value, CtlError> {
        let mut body = json!({"carrier": self.carrier, "class": self.class, "org": self.org,
            "older_than_s": self.older_than, "reason": self.reason, "dry_run": self.dry_run});
        if let Some(to) = to {
            body["to"] = json!(to);
        }
        let (mut before, mut undo) = (0, Value::Null);
        loop {
            let mut told = client::post(target, path, &body).await?;
            // The last request may have found nothing more.
            if told["undo"].is_null() {
                told["undo"] = undo;
            }
            let swept: Swept = read(told.clone())?;
            if !swept.more || swept.changed == 0 {
                if before > 0 {
                    told["changed"] = json!(before + swept.changed);
                    told["outcome"] = json!(format!("{before} before, {}", swept.outcome));
                }
                return Ok(told);
            }
            before += swept.changed;
            undo = told["undo"].take();
        }
    }
}

#[derive(Deserialize)]
struct Swept {
    outcome: String,
    changed: u64,
    more: bool,
    sample: Vec<String>,
}

#[derive(Deserialize)]
struct Queue {
    lanes: Vec<Lane>,
}

#[derive(Deserialize)]
struct Lane {
    carrier: String,
    class: String,
    ready: u64,
    spilled: bool,
    #[serde(flatten)]
    waits: Waits,
    why: Option<String>,
    orgs: Vec<Org>,
}

#[derive(Deserialize)]
struct Org {
    name: String,
    org: String,
    #[serde(flatten)]
    waits: Waits,
}

#[derive(Deserialize)]
struct Waits {
    queued: u64,
    scheduled: u64,
    in_doubt: u64,
    oldest_queued_s: Option<u64>,
    next_due_s: Option<u64>,
}

impl Queue {
    /// A line for each lane; under it, where several organisations wait, one for each.
    fn shown(self) -> String {
        let head = [
            "CARRIER",
            "CLASS",
            "QUEUED",
            "READY",
            "SCHEDULED",
            "IN DOUBT",
            "OLDEST",
            "NEXT DUE",
            "WHY",
        ];
        let rows = self.lanes.into_iter().flat_map(|lane| {
            let more = if lane.spilled { "+" } else { "" };
            let ready = format!("{}{more}", lane.ready);
            let several = lane.orgs.len() > 1;
            let own = row(lane.carrier, lane.class, ready, &lane.waits, lane.why);
            let orgs = lane.orgs.into_iter().filter(move |_| several).map(|org| {
                let name = if org.name.is_empty() {
                    org.org
                } else {
                    org.name
                };
                row(
                    String::new(),
                    format!("  {name}"),
                    String::new(),
                    &org.waits,
                    Some(String::new()),
                )
            });
            std::iter::once(own).chain(orgs)
        });
        table(head, rows)
    }
}

fn row(
    carrier: String,
    class: String,
    ready: String,
    waits: &Waits,
    why: Option<String>,
) -> [String; 9] {
    let seconds = |time: Option<u64>| or_dash(time.map(|s| format!("{s} s")));
    [
        carrier,
        class,
        waits.queued.to_string(),
        ready,
        waits.scheduled.to_string(),
        waits.in_doubt.to_string(),
        seconds(waits.oldest_queued_s),
        seconds(waits.next_due_s),
        or_dash(why),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_are_shown_with_their_organisations_and_why_they_wait() {
        let org = |name: &str, queued: u64| {
            json!({"org": "0190", "name": name, "queued": queued, "scheduled": 0, "in_doubt": 0,
                "oldest_queued_s": 4, "next_due_s": null})
        };
        let lane = |orgs: Value, why: Option<&str>| {
            json!({"carrier": "mtn_ng", "class": "otp", "ready": 5, "spilled": true, "queued": 9,
                "scheduled": 0, "in_doubt": 1, "oldest_queued_s": 4, "next_due_s": 60,
                "why": why, "orgs": orgs})
        };
        let told = json!({"lanes": [lane(json!([org("Duka", 9)]), None),
            lane(json!([org("Duka", 4), org("", 5)]), Some("paused"))]});
        assert_eq!(
            QueueCommand::ALL.shown(told).unwrap(),
            "CARRIER  CLASS   QUEUED  READY  SCHEDULED  IN DOUBT  OLDEST  NEXT DUE  WHY\n\
             mtn_ng   otp     9       5+     0          1         4 s     60 s      -\n\
             mtn_ng   otp     9       5+     0          1         4 s     60 s      paused\n\
             \u{20}          Duka  4              0          0         4 s     -\n\
             \u{20}          0190  5              0          0         4 s     -\n"
        );
        assert!(matches!(
            QueueCommand::ALL.shown(json!({})),
            Err(CtlError::Strange)
        ));
    }
}
