//! Lives here: `ctl carriers`.
//! Never here: what a hold does (`admin`, `flow::health`).

use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{self, CtlError};
use super::table::table;
use super::{Target, done, or_dash, period, read};

const PATH: &str = "/admin/v1/carriers";

/// What to do with an account.
#[derive(Debug, clap::Subcommand)]
pub enum CarriersCommand {
    /// Show every account: what holds it, its breaker, its binds, what waits (the usual command).
    List,
    /// Submit nothing to it; what waits moves to other accounts where the plan has some.
    Pause(HoldArguments),
    /// Route nothing new to it; what waits is still sent.
    Drain(HoldArguments),
    /// Propose rules for message ids from the account's own unmatched ones.
    LearnIds {
        /// The account.
        id: String,
        /// From ids of this time: 2h, 1d (three days).
        #[arg(long, value_name = "TIME", value_parser = period)]
        since: Option<u64>,
    },
    /// End a pause or a drain.
    Resume {
        /// The account.
        id: String,
        /// Why, for the audit.
        #[arg(long)]
        reason: Option<String>,
        /// Only tell what would be done.
        #[arg(long)]
        dry_run: bool,
    },
}

/// How an account is held.
#[derive(Debug, clap::Args)]
pub struct HoldArguments {
    /// The account.
    id: String,
    /// Why: the audit and `ctl carriers` tell it.
    #[arg(long)]
    reason: String,
    /// End it by itself after so long: 90s, 30m, 2h, 1d. Otherwise it lasts until `resume`, also
    /// over a restart.
    #[arg(long = "for", value_name = "TIME", value_parser = period)]
    time: Option<u64>,
    /// Only tell what would be done.
    #[arg(long)]
    dry_run: bool,
}

impl CarriersCommand {
    pub(super) async fn ask(&self, target: &Target) -> Result<Value, CtlError> {
        let body = match self {
            Self::List => return client::get(target, PATH, &[]).await,
            Self::LearnIds { id, since } => {
                let since = since.map(|since| since.to_string());
                let query = [("carrier", &Some(id.clone())), ("since_s", &since)];
                return client::get(target, "/admin/v1/carriers/learn-ids", &query).await;
            }
            Self::Pause(arguments) => arguments.body("paused"),
            Self::Drain(arguments) => arguments.body("draining"),
            Self::Resume {
                id,
                reason,
                dry_run,
            } => json!({"carrier": id, "hold": "free", "reason": reason, "dry_run": dry_run}),
        };
        client::post(target, PATH, &body).await
    }

    pub(super) fn shown(&self, told: Value) -> Result<String, CtlError> {
        match self {
            Self::List => read(told).map(|carriers: Carriers| carriers.shown()),
            Self::LearnIds { .. } => read(told).map(|learnt: Learnt| learnt.shown()),
            Self::Pause(_) | Self::Drain(_) | Self::Resume { .. } => done(told),
        }
    }
}

impl HoldArguments {
    fn body(&self, hold: &str) -> Value {
        json!({"carrier": self.id, "hold": hold, "reason": self.reason, "for_s": self.time,
            "dry_run": self.dry_run})
    }
}

#[derive(Deserialize)]
struct Learnt {
    outcome: String,
    matched: u64,
    disagreeing: u64,
    responses: u64,
    receipts: u64,
    examples: Vec<(String, String)>,
}

impl Learnt {
    fn shown(self) -> String {
        let counts = format!(
            "{} of {} receipts meet one of {} responses, {} disagree\n",
            self.matched, self.receipts, self.responses, self.disagreeing
        );
        let rows = self.examples.into_iter().map(|(one, other)| [one, other]);
        format!(
            "{}\n{counts}{}",
            self.outcome,
            table(["RESPONSE", "RECEIPT"], rows)
        )
    }
}

#[derive(Deserialize)]
struct Carriers {
    carriers: Vec<Carrier>,
}

#[derive(Deserialize)]
struct Carrier {
    carrier: String,
    hold: String,
    held: Option<String>,
    breaker: String,
    breaker_why: Option<String>,
    binds_bound: u32,
    binds: u32,
    queued: Queued,
    scheduled: u64,
    in_doubt: u64,
}

#[derive(Deserialize)]
struct Queued {
    otp: u64,
    transactional: u64,
    promotional: u64,
}

impl Carriers {
    fn shown(self) -> String {
        let head = [
            "CARRIER",
            "BINDS",
            "BREAKER",
            "OTP",
            "TRANSACTIONAL",
            "PROMOTIONAL",
            "SCHEDULED",
            "IN DOUBT",
            "HOLD",
        ];
        let rows = self.carriers.into_iter().map(|row| {
            [
                row.carrier,
                format!("{}/{}", row.binds_bound, row.binds),
                match row.breaker_why {
                    Some(why) => format!("{}: {why}", row.breaker),
                    None => row.breaker,
                },
                row.queued.otp.to_string(),
                row.queued.transactional.to_string(),
                row.queued.promotional.to_string(),
                row.scheduled.to_string(),
                row.in_doubt.to_string(),
                or_dash(row.held.or((row.hold != "free").then_some(row.hold))),
            ]
        });
        table(head, rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_shown_with_what_holds_them() {
        let row = |carrier: &str, hold: &str, held: Option<&str>| {
            json!({"carrier": carrier, "hold": hold, "held": held, "held_until": null,
                "breaker": "closed", "breaker_why": null, "binds_bound": 1, "binds": 2, "scheduled": 0, "in_doubt": 4,
                "queued": {"otp": 0, "transactional": 3, "promotional": 0}})
        };
        let told = json!({"carriers": [row("one", "free", None),
            row("two", "paused", Some("paused by amina"))]});
        assert_eq!(
            CarriersCommand::List.shown(told).unwrap(),
            "CARRIER  BINDS  BREAKER  OTP  TRANSACTIONAL  PROMOTIONAL  SCHEDULED  IN DOUBT  HOLD\n\
             one      1/2    closed   0    3              0            0          4         -\n\
             two      1/2    closed   0    3              0            0          4         \
             paused by amina\n"
        );
    }
}
