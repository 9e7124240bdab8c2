//! Lives here: `ctl erase`.
//! Never here: what is erased (`store`).

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
    /// Why, for the audit, which keeps the number masked.
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
    open: u64,
    untold: u64,
    next: Option<i64>,
}

/// What the answers' counts add up to.
const COUNTS: [&str; 4] = ["messages", "receipts", "open", "untold"];

impl EraseArguments {
    /// The daemon looks through the messages some seconds at a time, and is asked until it has seen
    /// them all.
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
                shown.push_str(&format!("{count} messages {what}: left as they are\n"));
            }
        }
        if told.open + told.untold > 0 {
            shown.push_str("give the command again when they have: in a day or so\n");
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
            "{} {would}erased from {} messages and {} receipts",
            self.to, self.messages, self.receipts
        )
    }
}

/// Adds what the requests before have come to.
fn add(told: &mut Value, before: &Value) {
    for name in COUNTS {
        let count = |told: &Value| told[name].as_u64().unwrap_or_default();
        told[name] = json!(count(told) + count(before));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(messages: u64, open: u64, untold: u64) -> Value {
        json!({"dry_run": false, "outcome": "", "undo": null, "to": "+2557***678",
            "messages": messages, "receipts": 1, "open": open, "untold": untold, "next": null})
    }

    #[test]
    fn what_is_left_is_told_with_what_to_do() {
        assert_eq!(
            EraseArguments::shown(told(3, 0, 0)).unwrap(),
            "+2557***678 erased from 3 messages and 1 receipts\n"
        );
        assert_eq!(
            EraseArguments::shown(told(3, 2, 1)).unwrap(),
            "+2557***678 erased from 3 messages and 1 receipts\n\
             2 messages have not ended yet: left as they are\n\
             1 messages have ended, but their owners wait to be told: left as they are\n\
             give the command again when they have: in a day or so\n"
        );
    }

    #[test]
    fn several_answers_are_told_as_one() {
        let mut last = told(2, 0, 1);
        add(&mut last, &told(40, 5, 0));
        let told: Told = read(last).unwrap();
        let counts = (told.messages, told.receipts, told.open, told.untold);
        assert_eq!(counts, (42, 2, 5, 1));
    }
}
