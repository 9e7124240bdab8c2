//! Lives here: what waits, by account, class and organisation, and why.
//! Never here: changing it (`broom`), the sentences (`waiting`).

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Admin;
use super::error::{Refused, json};
use super::request::{Asked, Operator, asked, class, in_time, now, organisation};
use super::waiting::{Standing, why};
use crate::domain::class::Class;
use crate::domain::ids::CarrierIndex;
use crate::domain::message::State as MessageState;
use crate::domain::sandbox;
use crate::domain::time::Timestamp;
use crate::flow::health::Breaker;
use crate::store::Tally;

/// What is wanted of the queue.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    carrier: Option<String>,
    class: Option<String>,
    org: Option<String>,
}

#[derive(Serialize)]
struct Queue {
    lanes: Vec<LaneRow>,
}

#[derive(Serialize)]
struct LaneRow {
    carrier: String,
    class: &'static str,
    /// In the lane, ready for a bind.
    ready: usize,
    /// Whether more of the lane waits in the store only.
    spilled: bool,
    #[serde(flatten)]
    waits: Waits,
    /// Why the queued ones wait; `None` = there are none.
    why: Option<String>,
    orgs: Vec<OrgRow>,
}

#[derive(Serialize)]
struct OrgRow {
    org: Uuid,
    name: Box<str>,
    #[serde(flatten)]
    waits: Waits,
}

#[derive(Clone, Copy, Default, Serialize)]
struct Waits {
    /// Not yet taken by a carrier, in the lane or not.
    queued: u64,
    /// For later.
    scheduled: u64,
    /// Perhaps taken by a carrier.
    in_doubt: u64,
    /// Seconds since the oldest queued one was accepted.
    oldest_queued_s: Option<u64>,
    /// Seconds until the next scheduled one is due.
    next_due_s: Option<u64>,
}

impl Waits {
    fn add(&mut self, tally: &Tally, now: Timestamp) {
        match tally.state {
            MessageState::Scheduled => {
                self.scheduled += tally.messages;
                let due = tally.due.map(|due| due.since(now).as_secs());
                self.next_due_s = self.next_due_s.into_iter().chain(due).min();
            }
            MessageState::Uncertain => self.in_doubt += tally.messages,
            _ => {
                self.queued += tally.messages;
                let age = now.since(tally.oldest).as_secs();
                self.oldest_queued_s = self.oldest_queued_s.max(Some(age));
            }
        }
    }
}

/// `GET /admin/v1/queue`: a row for each account and class, its organisations in it; accounts that
/// are configured no more appear while messages wait for them.
pub(super) async fn show(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    query: Asked<Wanted>,
) -> Result<Response, Refused> {
    Operator::admit(&admin, &headers)?;
    let wanted = asked(query)?;
    let only = wanted.class.as_deref().map(class).transpose()?;
    let org = match &wanted.org {
        Some(typed) => Some(organisation(&admin, typed).await?.id),
        None => None,
    };
    let mut tallies = in_time(admin.parts.store.tallies()).await?;
    tallies.retain(|tally| org.is_none_or(|org| tally.org == org));
    let now = now();
    let mut lanes: Vec<LaneRow> = Vec::new();
    for (carrier, _) in &admin.parts.lanes {
        lanes.extend(Class::ALL.map(|class| admin.lane_row(&carrier.0, class)));
    }
    for tally in &tallies {
        let name = tally.class.name();
        let found = lanes
            .iter()
            .position(|lane| lane.class == name && *lane.carrier == *tally.carrier);
        let at = found.unwrap_or_else(|| {
            lanes.push(admin.lane_row(&tally.carrier, tally.class));
            lanes.len() - 1
        });
        lanes[at].add(tally, now);
    }
    lanes.retain(|lane| {
        wanted.carrier.as_ref().is_none_or(|id| *id == lane.carrier)
            && only.is_none_or(|class| class.name() == lane.class)
    });
    if let Some(id) = wanted.carrier.filter(|_| lanes.is_empty()) {
        return Err(Refused::missing(format!(
            "there is no account {id} and nothing waits for it; `mnara ctl carriers` lists them"
        )));
    }
    for lane in lanes.iter_mut().filter(|lane| lane.waits.queued > 0) {
        lane.why = Class::parse(lane.class).map(|class| admin.why(&lane.carrier, class));
    }
    Ok(json(StatusCode::OK, &Queue { lanes }))
}

impl LaneRow {
    fn add(&mut self, tally: &Tally, now: Timestamp) {
        self.waits.add(tally, now);
        let found = self.orgs.iter().position(|row| row.org == tally.org.0);
        let at = found.unwrap_or_else(|| {
            self.orgs.push(OrgRow {
                org: tally.org.0,
                name: tally.org_name.clone(),
                waits: Waits::default(),
            });
            self.orgs.len() - 1
        });
        self.orgs[at].waits.add(tally, now);
    }
}

impl Admin {
    fn lane_row(&self, carrier: &str, class: Class) -> LaneRow {
        let lanes = self.parts.lanes.iter().find(|(id, _)| *id.0 == *carrier);
        LaneRow {
            carrier: carrier.to_owned(),
            class: class.name(),
            ready: lanes.map_or(0, |(_, lanes)| lanes.depth(class)),
            spilled: lanes.is_some_and(|(_, lanes)| lanes.is_spilled(class)),
            waits: Waits::default(),
            why: None,
            orgs: Vec::new(),
        }
    }

    /// Why queued messages of a lane wait.
    pub(super) fn why(&self, carrier: &str, class: Class) -> String {
        if *carrier == *sandbox::ACCOUNT && self.parts.store.health().is_well() {
            return "test messages: the sandbox answers each two seconds after it is due".into();
        }
        let place = self
            .parts
            .lanes
            .iter()
            .position(|(id, _)| *id.0 == *carrier);
        let index = place.map(|place| CarrierIndex(place as u16));
        let lanes = place.map(|place| &self.parts.lanes[place].1);
        let holds = self.holds.rows();
        let opened = index.and_then(|index| self.parts.health.opened(index));
        let binds: Vec<_> = self
            .parts
            .binds
            .iter()
            .map(|bind| bind.view.borrow().clone())
            .filter(|status| Some(status.carrier) == index)
            .collect();
        let mut bound = binds.iter().filter(|status| status.bound).peekable();
        let any = bound.peek().is_some();
        let up = binds.iter().filter(|status| status.bound);
        let (slowed, allowed, in_flight) =
            up.fold((false, 0, 0), |(slowed, pace, flying), status| {
                (
                    slowed || status.slowed,
                    pace + status.tps_allowed,
                    flying + status.in_flight,
                )
            });
        why(&Standing {
            store_well: self.parts.store.health().is_well(),
            configured: index.is_some(),
            hold: holds.iter().find(|row| *row.carrier.0 == *carrier),
            breaker: index.map_or(Breaker::Closed, |index| self.parts.health.breaker(index)),
            opened: opened.as_deref(),
            binds: index.map_or((0, 0), |index| self.binds_of(index)),
            last_error: binds.iter().find_map(|status| status.last_error.as_deref()),
            windows_full: any && bound.all(|status| status.in_flight >= status.window),
            throttled: slowed.then_some(allowed),
            in_flight,
            ready: lanes.map_or(0, |lanes| lanes.depth(class) as u64),
            spilled: lanes.is_some_and(|lanes| lanes.is_spilled(class)),
        })
    }

    /// Binds of an account that can submit, and all.
    pub(super) fn binds_of(&self, carrier: CarrierIndex) -> (u32, u32) {
        let mut binds = (0, 0);
        for bind in &self.parts.binds {
            let status = bind.view.borrow();
            if status.carrier == carrier {
                binds.0 += u32::from(status.bound);
                binds.1 += 1;
            }
        }
        binds
    }
}
