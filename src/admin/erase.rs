//! Lives here: erasing a person's number at the operator's word, as acts on personal data ask for.
//! Never here: finding and changing messages (`store`).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Admin;
use super::error::{self, Refused};
use super::request::{Body, Done, Operator, changed, read, reason};
use crate::domain::phone::{Msisdn, Typed};
use crate::store::erasure::{Erased, Erasure, NowhereError, Reached};

/// A search works so long and then says where to go on: `ctl` waits no longer than 15 seconds.
const SPAN: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// With its country code.
    to: String,
    /// Where to go on, as the last answer's `next` said.
    after: Option<String>,
    reason: String,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Told {
    #[serde(flatten)]
    done: Done,
    /// Masked.
    to: String,
    /// Messages erased, or that would be.
    messages: u64,
    /// Receipts without a message deleted, or that would be.
    receipts: u64,
    /// Recipients of bulk jobs and campaigns that are not sent to now, or would not be.
    recipients: u64,
    /// Answers kept for an `Idempotency-Key` that were emptied, or would be.
    answers: u64,
    /// Messages that have not ended.
    open: u64,
    /// Ended messages whose owners have not been told of it yet.
    untold: u64,
    /// The days of the messages, since 1970, as PostgreSQL's partitions bear them.
    days: BTreeSet<i64>,
    /// Where to go on: give the command again with this as `after`.
    next: Option<String>,
}

/// `POST /admin/v1/erase`. Broken off, it has done a part; it may be given again at any time. Each
/// request has its line in the audit if it has changed something; the last one always has.
pub(super) async fn erase(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let operator = Operator::admit(&admin, &headers)?;
    let asked: Wanted = read(body)?;
    let why = reason(&asked.reason)?;
    let number = number(&asked.to)?;
    let after = match &asked.after {
        None => Reached::START,
        Some(next) => next
            .parse()
            .map_err(|error: NowhereError| Refused::invalid(error.to_string()))?,
    };
    if number.is_in(why) {
        return Err(Refused::invalid(
            "the reason names the number, which the audit would keep: say why without it",
        ));
    }
    let action = "erase";
    let entry = (!asked.dry_run).then(|| {
        let detail = json!({"reason": why});
        operator.entry(action, &number.masked(), &detail, "begun")
    });
    let table = admin.parts.routes.table();
    let countries = table.plan().countries();
    let its = countries
        .iter()
        .filter(|country| number.digits().starts_with(&*country.calling_code));
    let erasure = Erasure {
        number,
        countries: its.map(|country| country.code.clone()).collect(),
        after,
        span: SPAN,
        entry,
    };
    let erased = changed(admin.parts.store.erase(erasure)).await;
    let erased = if asked.dry_run {
        erased?
    } else {
        operator.told((action, &number.masked()), erased)?
    };
    let told = Told {
        done: done(&number, &erased, asked.dry_run),
        to: number.masked(),
        messages: erased.messages,
        receipts: erased.receipts,
        recipients: erased.recipients,
        answers: erased.answers,
        open: erased.open,
        untold: erased.untold,
        days: erased.days,
        next: erased.next.map(|next| next.to_string()),
    };
    Ok(error::json(StatusCode::OK, &told))
}

fn number(typed: &str) -> Result<Msisdn, Refused> {
    match Msisdn::parse(typed) {
        Ok(Typed::International(number)) => Ok(number),
        Ok(Typed::Local(_)) => Err(Refused::invalid(
            "give the number with its country code, for example +255712345678",
        )),
        Err(error) => Err(Refused::invalid(error.to_string())),
    }
}

fn done(number: &Msisdn, erased: &Erased, dry_run: bool) -> Done {
    let outcome = format!(
        "{} erased from messages: {}, from receipts: {}, from jobs and campaigns: {}, from answers: {}",
        number.masked(),
        erased.messages,
        erased.receipts,
        erased.recipients,
        erased.answers
    );
    if dry_run {
        Done::would(outcome)
    } else {
        Done::new(outcome, None)
    }
}
