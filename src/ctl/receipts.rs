//! Lives here: `ctl receipts`.
//! Never here: how receipts are matched (`store`).

use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{self, CtlError};
use super::table::table;
use super::{Target, done, or_dash, period, read};

/// What to do with receipts that have found no attempt.
#[derive(Debug, clap::Subcommand)]
pub enum ReceiptsCommand {
    /// Show them, newest first.
    List {
        /// Only this account's.
        #[arg(long)]
        carrier: Option<String>,
        /// Those that are still tried with each outcome, instead of those in quarantine.
        #[arg(long)]
        parked: bool,
        /// That came within this time: 30m, 2h, 1d (a week).
        #[arg(long, value_name = "TIME", value_parser = period)]
        since: Option<u64>,
        /// So many at most (50).
        #[arg(long)]
        limit: Option<u32>,
        /// After so many.
        #[arg(long)]
        offset: Option<u32>,
    },
    /// Try an account's again, all ids read by its present rule: after the rule was corrected.
    Replay {
        /// The account.
        carrier: String,
        /// That came within this time: 30m, 2h, 1d (a week).
        #[arg(long, value_name = "TIME", value_parser = period)]
        since: Option<u64>,
        /// So many at most, the oldest first (10,000).
        #[arg(long)]
        limit: Option<u32>,
        /// Why, for the audit.
        #[arg(long)]
        reason: Option<String>,
        /// Only count.
        #[arg(long)]
        dry_run: bool,
    },
    /// Drop an account's from quarantine. Cannot be undone.
    Drop {
        /// The account.
        carrier: String,
        /// Those that came longer ago: 30m, 2h, 1d.
        #[arg(long, value_name = "TIME", value_parser = period)]
        older_than: u64,
        /// Why, for the audit.
        #[arg(long)]
        reason: String,
        /// Only tell what would be done.
        #[arg(long)]
        dry_run: bool,
    },
}

impl ReceiptsCommand {
    pub(super) async fn ask(&self, target: &Target) -> Result<Value, CtlError> {
        match self {
            Self::List {
                carrier,
                parked,
                since,
                limit,
                offset,
            } => {
                let query = [
                    ("carrier", carrier),
                    ("parked", &Some(parked.to_string())),
                    ("since_s", &since.map(|since| since.to_string())),
                    ("limit", &limit.map(|limit| limit.to_string())),
                    ("offset", &offset.map(|offset| offset.to_string())),
                ];
                client::get(target, "/admin/v1/receipts", &query).await
            }
            Self::Replay {
                carrier,
                since,
                limit,
                reason,
                dry_run,
            } => {
                let body = json!({"carrier": carrier, "since_s": since, "limit": limit,
                    "reason": reason, "dry_run": dry_run});
                client::post(target, "/admin/v1/receipts/replay", &body).await
            }
            Self::Drop {
                carrier,
                older_than,
                reason,
                dry_run,
            } => {
                let body = json!({"carrier": carrier, "older_than_s": older_than,
                    "reason": reason, "dry_run": dry_run});
                client::post(target, "/admin/v1/receipts/drop", &body).await
            }
        }
    }

    pub(super) fn shown(&self, told: Value) -> Result<String, CtlError> {
        match self {
            Self::List { .. } => read(told).map(|receipts: Receipts| receipts.shown()),
            Self::Replay { .. } | Self::Drop { .. } => done(told),
        }
    }
}

#[derive(Deserialize)]
struct Receipts {
    receipts: Vec<Receipt>,
}

#[derive(Deserialize)]
struct Receipt {
    carrier: String,
    raw_id: String,
    normalised: String,
    stat: String,
    err: String,
    done_date: String,
    recipient: Option<String>,
    received_at: String,
}

impl Receipts {
    fn shown(self) -> String {
        let head = [
            "CAME", "CARRIER", "ID", "AS READ", "STAT", "ERR", "DONE", "TO",
        ];
        let rows = self.receipts.into_iter().map(|row| {
            [
                row.received_at,
                row.carrier,
                row.raw_id,
                row.normalised,
                row.stat,
                row.err,
                row.done_date,
                or_dash(row.recipient),
            ]
        });
        table(head, rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receipts_are_shown_with_their_ids_as_written_and_as_read() {
        let told = json!({"receipts": [{"carrier": "one", "raw_id": "0A", "normalised": "10",
            "state": "delivered", "stat": "DELIVRD", "err": "000", "done_date": "2611211600",
            "recipient": null, "received_at": "T1", "quarantined_at": null}]});
        let list = ReceiptsCommand::List {
            carrier: None,
            parked: false,
            since: None,
            limit: None,
            offset: None,
        };
        assert_eq!(
            list.shown(told).unwrap(),
            "CAME  CARRIER  ID  AS READ  STAT     ERR  DONE        TO\n\
             T1    one      0A  10       DELIVRD  000  2611211600  -\n"
        );
    }
}
