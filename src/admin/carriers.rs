//! Lives here: the accounts as they stand, and the operator's hold on each: pause, drain, resume.
//! Never here: keeping holds (`holds`), what they do to messages (`flow::health`).

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Admin;
use super::error::{self, Refused};
use super::request::{
    Body, Done, Operator, account, changed, in_time, now, quoted, read, reason, told,
};
use super::waiting::held;
use crate::domain::class::Class;
use crate::domain::ids::CarrierIndex;
use crate::domain::message::State as MessageState;
use crate::flow::health::Hold;
use crate::store::{HoldRow, Tally};

/// How long a hold may last; without an end it lasts until it is taken off.
const HOLD_MAX_S: u64 = 90 * 86_400;

#[derive(Serialize)]
struct Carriers {
    carriers: Vec<CarrierRow>,
}

#[derive(Serialize)]
struct CarrierRow {
    carrier: String,
    hold: &'static str,
    /// Why it is held, by whom, since when and until when.
    held: Option<String>,
    held_until: Option<String>,
    breaker: &'static str,
    /// Why the breaker is not closed, and since when.
    breaker_why: Option<Box<str>>,
    breaker_since: Option<String>,
    binds_bound: u32,
    binds: u32,
    queued: Counts,
    scheduled: u64,
    in_doubt: u64,
}

#[derive(Default, Serialize)]
struct Counts {
    otp: u64,
    transactional: u64,
    promotional: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Held {
    carrier: String,
    hold: Wanted,
    reason: Option<String>,
    for_s: Option<u64>,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Wanted {
    Paused,
    Draining,
    Free,
}

impl Wanted {
    const fn hold(self) -> Hold {
        match self {
            Self::Paused => Hold::Paused,
            Self::Draining => Hold::Draining,
            Self::Free => Hold::Free,
        }
    }

    const fn action(self) -> &'static str {
        match self {
            Self::Paused => "carriers.pause",
            Self::Draining => "carriers.drain",
            Self::Free => "carriers.resume",
        }
    }

    const fn means(self) -> &'static str {
        match self {
            Self::Paused => {
                "nothing is submitted to it; waiting messages move to other accounts where the \
                 routing plan has some, each class after its patience"
            }
            Self::Draining => "nothing new is routed to it; what waits is sent",
            Self::Free => "it takes messages again",
        }
    }
}

/// `GET /admin/v1/carriers`.
pub(super) async fn list(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    Operator::admit(&admin, &headers)?;
    let tallies = in_time(admin.parts.store.tallies()).await?;
    let holds = admin.holds.rows();
    let mut carriers = Vec::with_capacity(admin.parts.lanes.len());
    for (index, (id, _)) in admin.parts.lanes.iter().enumerate() {
        let index = CarrierIndex(index as u16);
        let (binds_bound, binds) = admin.binds_of(index);
        let hold = holds.iter().find(|row| row.carrier == *id);
        let opened = admin.parts.health.opened(index);
        let mut row = CarrierRow {
            carrier: id.to_string(),
            hold: hold.map_or(Hold::Free, |row| row.hold).name(),
            held: hold.map(held),
            held_until: hold.and_then(|row| row.until).map(told),
            breaker: admin.parts.health.breaker(index).name(),
            breaker_why: opened.as_ref().map(|opened| opened.why.clone()),
            breaker_since: opened.map(|opened| told(opened.at)),
            binds_bound,
            binds,
            queued: Counts::default(),
            scheduled: 0,
            in_doubt: 0,
        };
        for tally in tallies.iter().filter(|tally| *tally.carrier == *id.0) {
            row.add(tally);
        }
        carriers.push(row);
    }
    Ok(error::json(StatusCode::OK, &Carriers { carriers }))
}

impl CarrierRow {
    fn add(&mut self, tally: &Tally) {
        match (tally.state, tally.class) {
            (MessageState::Scheduled, _) => self.scheduled += tally.messages,
            (MessageState::Uncertain, _) => self.in_doubt += tally.messages,
            (_, Class::Otp) => self.queued.otp += tally.messages,
            (_, Class::Transactional) => self.queued.transactional += tally.messages,
            (_, Class::Promotional) => self.queued.promotional += tally.messages,
        }
    }
}

/// `POST /admin/v1/carriers`: an account is paused, drained or taken up again.
pub(super) async fn hold(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let operator = Operator::admit(&admin, &headers)?;
    let asked: Held = read(body)?;
    let index = account(&admin, &asked.carrier)?;
    let id = &admin.parts.lanes[index.index()].0;
    let wanted = asked.hold;
    let given = asked.reason.as_deref().map(reason).transpose()?;
    let known = admin
        .holds
        .rows()
        .into_iter()
        .find(|row| row.carrier == *id);
    let why = match wanted {
        Wanted::Free if known.is_none() && admin.holds.is_sure() => {
            return Err(Refused::conflict(format!("{id} is not held")));
        }
        Wanted::Free if asked.for_s.is_some() => {
            return Err(Refused::invalid("for_s goes with paused and draining"));
        }
        Wanted::Free => given.unwrap_or_default(),
        Wanted::Paused | Wanted::Draining => given
            .ok_or_else(|| Refused::invalid("a reason is needed: give one with `--reason TEXT`"))?,
    };
    if asked.for_s.is_some_and(|s| !(1..=HOLD_MAX_S).contains(&s)) {
        return Err(Refused::invalid("for_s must be 1 second to 90 days"));
    }
    let now = now();
    let until = asked.for_s.map(|s| now + Duration::from_secs(s));
    let outcome = outcome(&id.0, wanted, until.map(told).as_deref());
    if asked.dry_run {
        return Ok(Done::would(outcome).answer());
    }
    let detail = json!({"reason": why, "until": until.map(told), "was": known.as_ref().map(held)});
    let row = HoldRow {
        carrier: id.clone(),
        hold: wanted.hold(),
        reason: why.into(),
        actor: operator.name().into(),
        at: now,
        until,
    };
    let audit = operator.entry(wanted.action(), &id.0, &detail, wanted.hold().name());
    let done = changed(admin.holds.order(row, audit)).await;
    operator.told((wanted.action(), &id.0), done)?;
    let undo = match wanted {
        Wanted::Paused | Wanted::Draining => format!("mnara ctl carriers resume {id}"),
        Wanted::Free => known.map_or_else(String::new, |row| {
            let command = if row.hold == Hold::Draining {
                "drain"
            } else {
                "pause"
            };
            format!(
                "mnara ctl carriers {command} {id} --reason {}",
                quoted(&row.reason)
            )
        }),
    };
    Ok(Done::new(outcome, Some(undo)).answer())
}

fn outcome(id: &str, wanted: Wanted, until: Option<&str>) -> String {
    let until = until.map_or_else(String::new, |until| format!(" until {until}"));
    format!(
        "{id} is {}{until}: {}",
        wanted.hold().name(),
        wanted.means()
    )
}
