//! Lives here: `ctl erase`.
//! Never here: what is erased (`store`).

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{self, CtlError};
use super::{Target, read};

/// Whose messages are erased, and why.
#[derive(Debug, clap::Args)]
pub struct EraseArguments {
    /// The number, with its country code.
    #[arg(long, value_name = "NUMBER")]
    to: String,
    /// Why, for the audit; without the number.
    #[arg(long)]
    reason: String,
    /// Only count.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Deserialize)]
struct Told {
    dry_run: bool,
    to: String,
    messages: u64,
    receipts: u64,
    recipients: u64,
    answers: u64,
    open: u64,
    untold: u64,
    days: BTreeSet<i64>,
    next: Option<String>,
}

/// What the answers' counts add up to.
const COUNTS: [&str; 6] = [
    "messages",
    "receipts",
    "recipients",
    "answers",
    "open",
    "untold",
];

impl EraseArguments {
    /// The daemon looks through everything some seconds at a time, and is asked until it has seen
    /// all of it.
    pub(super) async fn ask(&self, target: &Target) -> Result<Value, CtlError> {
        let mut body = json!({"to": self.to, "reason": self.reason, "dry_run": self.dry_run});
        let mut before: Option<Value> = None;
        loop {
            let mut told = client::post(target, "/admin/v1/erase", &body).await?;
            let next = read::<Told>(told.clone())?.next;
            if let Some(before) = &before {
                add(&mut told, before);
            }
            match next {
                None => {
                    told["outcome"] = json!(read::<Told>(told.clone())?.outcome());
                    return Ok(told);
                }
                Some(next) => body["after"] = json!(next),
            }
            before = Some(told);
        }
    }

    pub(super) fn shown(told: Value) -> Result<String, CtlError> {
        let told: Told = read(told)?;
        let mut shown = told.outcome() + "\n";
        for (count, what) in [
            (told.open, "have not ended yet"),
            (told.untold, "have ended, but their owners wait to be told"),
        ] {
            if count > 0 {
                shown.push_str(&format!("left as they are, since they {what}: {count}\n"));
            }
        }
        if told.open + told.untold > 0 {
            shown.push_str(
                "give the command again when the last of them has: a day or two after the time for \
                 which it is scheduled, up to 90 days ahead, and five days more if its owner cannot \
                 be told\n",
            );
        }
        if !told.days.is_empty() {
            let days: Vec<String> = told.days.iter().map(i64::to_string).collect();
            let days = days.join(" ");
            shown.push_str(&format!("days (what stays on disk: README): {days}\n"));
        }
        Ok(shown)
    }
}

impl Told {
    fn outcome(&self) -> String {
        let would = if self.dry_run {
            "dry run: it would be "
        } else {
            ""
        };
        format!(
            "{} {would}erased from messages: {}, from receipts: {}, from jobs and campaigns: {}, \
             from answers: {}",
            self.to, self.messages, self.receipts, self.recipients, self.answers
        )
    }
}

/// Adds what the requests before have come to.
fn add(told: &mut Value, before: &Value) {
    for name in COUNTS {
        let count = |told: &Value| told[name].as_u64().unwrap_or_default();
        told[name] = json!(count(told) + count(before));
    }
    let days = |told: &Value| told["days"].as_array().cloned().unwrap_or_default();
    // One day may be looked through in two requests.
    let both = [days(before), days(told)].concat();
    let both: BTreeSet<i64> = both.iter().filter_map(Value::as_i64).collect();
    told["days"] = json!(both);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(messages: u64, open: u64, untold: u64) -> Value {
        json!({"dry_run": false, "outcome": "", "undo": null, "to": "+2557***678",
            "messages": messages, "receipts": 1, "recipients": 2, "answers": 0, "open": open, "untold": untold,
            "days": [20778 - messages, 20778], "next": null})
    }

    #[test]
    fn what_is_left_is_told_with_what_to_do() {
        assert_eq!(
            EraseArguments::shown(told(3, 0, 0)).unwrap(),
            "+2557***678 erased from messages: 3, from receipts: 1, from jobs and campaigns: 2, from answers: 0\n\
             days (what stays on disk: README): 20775 20778\n"
        );
        assert_eq!(
            EraseArguments::shown(told(3, 2, 1)).unwrap(),
            "+2557***678 erased from messages: 3, from receipts: 1, from jobs and campaigns: 2, from answers: 0\n\
             left as they are, since they have not ended yet: 2\n\
             left as they are, since they have ended, but their owners wait to be told: 1\n\
             give the command again when the last of them has: a day or two after the time for \
             which it is scheduled, up to 90 days ahead, and five days more if its owner cannot be \
             told\n\
             days (what stays on disk: README): 20775 20778\n"
        );
    }

    #[test]
    fn several_answers_are_told_as_one() {
        let mut last = told(2, 0, 1);
        add(&mut last, &told(40, 5, 0));
        let told: Told = read(last).unwrap();
        let counts = (told.messages, told.receipts, told.open, told.untold);
        assert_eq!(counts, (42, 2, 5, 1));
        assert_eq!(told.days, [20738, 20776, 20778].into());
    }
}
