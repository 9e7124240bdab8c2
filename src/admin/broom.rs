//! Lives here: `queue purge` and `queue reroute`: which messages, told before it is done.
//! Never here: doing it (`sweep`).

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::Admin;
use super::error::{self, Refused};
use super::messages::refused;
use super::request::{
    Body, Done, Operator, account, class, in_time, now, organisation, quoted, read, reason,
};
use super::sweep::{Broom, Selection, Tale};
use super::waiting::held;
use crate::domain::class::Class;
use crate::domain::message::State as MessageState;
use crate::domain::sandbox;
use crate::flow::health::Hold;

/// Ids that a dry run names.
const SAMPLE: usize = 5;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    carrier: Option<String>,
    class: Option<String>,
    org: Option<String>,
    older_than_s: Option<u64>,
    /// The account to move to: reroute only.
    to: Option<String>,
    reason: String,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Swept {
    #[serde(flatten)]
    done: Done,
    /// Messages cancelled or moved; in a dry run those that are to be looked at.
    changed: u64,
    /// Left alone because they may be with a carrier.
    left_alone: u64,
    /// Accounts in use whose OTP were left alone.
    otp_in_use: Vec<Box<str>>,
    /// There is more: give the command again.
    more: bool,
    /// Some of the messages: dry run only.
    sample: Vec<Uuid>,
}

/// `POST /admin/v1/queue/purge`.
pub(super) async fn purge(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let operator = Operator::admit(&admin, &headers)?;
    let asked: Wanted = read(body)?;
    if asked.to.is_some() {
        return Err(Refused::invalid("`to` goes with reroute"));
    }
    sweep(&admin, &operator, &asked).await
}

/// `POST /admin/v1/queue/reroute`.
pub(super) async fn reroute(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let operator = Operator::admit(&admin, &headers)?;
    let asked: Wanted = read(body)?;
    if asked.to.is_none() {
        return Err(Refused::invalid("`to` must name an account"));
    }
    sweep(&admin, &operator, &asked).await
}

async fn sweep(admin: &Admin, operator: &Operator, asked: &Wanted) -> Result<Response, Refused> {
    let why = reason(&asked.reason)?;
    let selection = selection(admin, asked).await?;
    let to = match &asked.to {
        Some(typed) => Some(account(admin, typed)?),
        None => None,
    };
    if to.is_some() && asked.to.as_deref().map(str::trim) == asked.carrier.as_deref() {
        return Err(Refused::invalid(
            "what waits for this account is there already: `to` must be another",
        ));
    }
    if asked.dry_run {
        return dry_run(admin, asked, &selection).await;
    }
    let (action, subject) = match &asked.to {
        Some(to) => ("queue.reroute", format!("{} to {to}", subject(asked))),
        None => ("queue.purge", subject(asked)),
    };
    let detail = json!({"reason": why, "carrier": asked.carrier, "class": asked.class,
        "org": asked.org, "older_than_s": asked.older_than_s, "to": asked.to});
    let broom = Broom {
        selection,
        to,
        detail: "cancelled by the operator".into(),
        audit: operator.entry(action, &subject, &detail, "begun"),
    };
    let tale = admin.sweeping.sweep(broom).await;
    let tale = tale.map_err(|refusal| refused(refusal, true));
    let tale = operator.told((action, &subject), tale)?;
    let undo = undo(admin, asked, why).filter(|_| tale.changed > 0);
    let mut outcome = outcome(admin, asked, &tale);
    if undo.is_some() {
        outcome.push_str("; undone, what else waits there by then moves too");
    }
    let swept = Swept {
        done: Done::new(outcome, undo),
        changed: tale.changed,
        left_alone: tale.spared,
        otp_in_use: tale.otp_in_use,
        more: tale.more,
        sample: Vec::new(),
    };
    Ok(error::json(StatusCode::OK, &swept))
}

async fn dry_run(
    admin: &Admin,
    asked: &Wanted,
    selection: &Selection,
) -> Result<Response, Refused> {
    let mut tale = Tale::default();
    let mut sample = Vec::new();
    for (carrier, class) in &selection.lanes {
        let lane = (&**carrier, *class);
        let look = admin
            .parts
            .store
            .preview(lane, selection.org, selection.accepted_before);
        let (count, ids) = in_time(look).await?;
        if count == 0 {
            continue;
        }
        if *class == Class::Otp && !admin.sweeper.is_quiet(carrier) {
            tale.otp_in_use.push(carrier.clone());
            tale.spared += count;
            continue;
        }
        tale.changed += count;
        sample.extend(ids.into_iter().map(|id| id.0));
    }
    sample.truncate(SAMPLE);
    let swept = Swept {
        done: Done::would(format_args!(
            "{}; of them those that may be with a carrier would be left alone",
            outcome(admin, asked, &tale)
        )),
        changed: tale.changed,
        left_alone: tale.spared,
        otp_in_use: tale.otp_in_use,
        more: false,
        sample,
    };
    Ok(error::json(StatusCode::OK, &swept))
}

/// The lanes that the filters leave: also of accounts that are configured no more.
async fn selection(admin: &Admin, asked: &Wanted) -> Result<Selection, Refused> {
    if asked.to.is_some() && asked.carrier.as_deref() == Some(sandbox::ACCOUNT) {
        return Err(Refused::invalid(
            "test messages stay with the sandbox: no carrier gets them",
        ));
    }
    if asked.carrier.is_none() && asked.class.is_none() && asked.org.is_none() {
        return Err(Refused::invalid(
            "everything is too much: give at least one of carrier, class and org",
        ));
    }
    let only = asked.class.as_deref().map(class).transpose()?;
    let org = match &asked.org {
        Some(typed) => Some(organisation(admin, typed).await?),
        None => None,
    };
    let tallies = in_time(admin.parts.store.tallies()).await?;
    let mut lanes: Vec<(Box<str>, Class)> = tallies
        .into_iter()
        .filter(|tally| tally.state == MessageState::Queued)
        .filter(|tally| org.as_ref().is_none_or(|org| tally.org == org.id))
        .filter(|tally| only.is_none_or(|class| tally.class == class))
        .filter(|tally| {
            asked
                .carrier
                .as_deref()
                .is_none_or(|id| *id == *tally.carrier)
        })
        .filter(|tally| asked.to.as_deref() != Some(&*tally.carrier))
        .filter(|tally| asked.to.is_none() || *tally.carrier != *sandbox::ACCOUNT)
        .map(|tally| (tally.carrier, tally.class))
        .collect();
    lanes.sort_unstable();
    lanes.dedup();
    if lanes.is_empty()
        && let Some(typed) = &asked.carrier
        && typed != sandbox::ACCOUNT
    {
        account(admin, typed)?;
    }
    Ok(Selection {
        lanes,
        org: org.map(|org| org.id),
        accepted_before: asked.older_than_s.map(|s| now() - Duration::from_secs(s)),
    })
}

fn subject(asked: &Wanted) -> String {
    let parts = [&asked.carrier, &asked.class, &asked.org];
    let parts: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
    parts.join(" ")
}

/// The way back of a reroute from an account that is still configured.
fn undo(admin: &Admin, asked: &Wanted, why: &str) -> Option<String> {
    let (to, from) = asked.to.as_ref().zip(asked.carrier.as_ref())?;
    account(admin, from).ok()?;
    let mut command = format!(
        "mnara ctl queue reroute --carrier {} --to {}",
        to.trim(),
        from.trim()
    );
    // Writing to a String cannot fail.
    if let Some(class) = &asked.class {
        let _ = write!(command, " --class {class}");
    }
    if let Some(org) = &asked.org {
        let _ = write!(command, " --org {}", quoted(org));
    }
    if let Some(seconds) = asked.older_than_s {
        let _ = write!(command, " --older-than {seconds}s");
    }
    let _ = write!(command, " --reason {}", quoted(why));
    Some(command)
}

fn outcome(admin: &Admin, asked: &Wanted, tale: &Tale) -> String {
    let what = match &asked.to {
        Some(to) => format!("moved to {to}"),
        None => "cancelled".to_owned(),
    };
    let mut told = format!("{} {what}, {} left alone", tale.changed, tale.spared);
    // Writing to a String cannot fail.
    if !tale.otp_in_use.is_empty() {
        let accounts = tale.otp_in_use.join(", ");
        let _ = write!(
            told,
            "; otp of {accounts} only five seconds after it is paused"
        );
    }
    let holds = admin.holds.rows();
    let paused = holds.iter().find(|row| {
        row.hold == Hold::Paused && asked.to.as_deref().map(str::trim) == Some(&*row.carrier.0)
    });
    if let Some(hold) = paused {
        let _ = write!(told, "; they wait there, it is {}", held(hold));
    }
    if tale.more {
        told.push_str("; there is more: give the command again");
    }
    told
}
