//! Lives here: how waiting messages leave the lane of an account that is out of use for longer
//! than their class waits: what is in memory at once, what is in the store page by page, OTP first.
//! A move is committed before anything is offered; the stream of commits then brings it to its
//! lane. What no other account can take stays where it is, in order.
//! Also here: lanes that an operator recalls from memory while their rows are changed.
//! Never here: when an account is given up (`flow::health`), who takes over (`domain::route`).

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::feed::{Feed, Lane};
use super::refill::{self, Page};
use crate::domain::class::Class;
use crate::domain::ids::{CarrierIndex, OrgId, Place};
use crate::domain::route::Ask;
use crate::domain::time::Timestamp;
use crate::flow::health::Hold;
use crate::flow::{Ready, Reroute, Return, Settlement, Steer};
use crate::telemetry::metrics::scheduler as meter;

/// Accounts are looked at so often: patience runs out by time.
pub(super) const LOOK: Duration = Duration::from_millis(250);
/// A lane that has been gone through is gone through again so long after that was begun, if nothing
/// is said.
const AGAIN: Duration = Duration::from_secs(30);
/// Moves in one commit.
const BATCH: usize = 256;
/// Moves that may wait for their commit beside those that were in memory; beyond it no page is
/// read.
const WAITING_MAX: usize = 1024;
/// Rows of one page that is gone through.
const PAGE: u32 = 256;

/// A move, and whether the message stands in the store only.
struct Move {
    reroute: Reroute,
    stored: bool,
}

/// How one lane's leaving stands.
#[derive(Default)]
struct Leaving {
    given_up: bool,
    /// Something has come into memory since it was gone through.
    dirty: bool,
    /// When it is gone through again.
    again: Option<Instant>,
    /// Whose rows are still to be gone through, and behind which place.
    sweep: VecDeque<(OrgId, Place)>,
    /// Moves of stored messages not yet committed: until then no page is loaded, or it might bring
    /// what is leaving.
    moving: usize,
}

/// What leaves, and what has been recalled.
pub(super) struct Moves {
    lanes: Vec<[Leaving; 3]>,
    /// In order of class.
    waiting: [VecDeque<Move>; 3],
    /// The commit under way, and from which lanes it takes stored messages.
    pub(super) committing: JoinSet<Vec<Lane>>,
    next_look: Instant,
    /// Somebody said that something has changed.
    asked: bool,
    recalled: HashMap<Lane, Vec<Return>>,
}

impl Moves {
    pub(super) fn new(accounts: usize) -> Self {
        Self {
            lanes: (0..accounts).map(|_| Default::default()).collect(),
            waiting: Default::default(),
            committing: JoinSet::new(),
            next_look: Instant::now(),
            asked: false,
            recalled: HashMap::new(),
        }
    }

    fn lane(&mut self, (carrier, class): Lane) -> &mut Leaving {
        &mut self.lanes[carrier.index()][class.index()]
    }

    /// When accounts are looked at next.
    pub(super) fn next_look(&self) -> Instant {
        self.next_look
    }

    /// Something has come into a lane's memory.
    pub(super) fn touched(&mut self, lane: Lane) {
        self.lane(lane).dirty = true;
    }

    /// Whether no page may be loaded: the store's rows are being gone through.
    pub(super) fn is_sweeping(&mut self, lane: Lane) -> bool {
        let leaving = self.lane(lane);
        leaving.moving > 0 || !leaving.sweep.is_empty()
    }

    /// The next page of the store to be gone through for this lane.
    pub(super) fn wanted(&mut self, lane: Lane) -> Option<(OrgId, Place, u32)> {
        let waiting: usize = self.waiting.iter().map(VecDeque::len).sum();
        let next = *self.lane(lane).sweep.front()?;
        (waiting < WAITING_MAX).then_some((next.0, next.1, PAGE))
    }

    /// Keeps what returns to a lane that has been recalled.
    pub(super) fn keep(&mut self, lane: Lane, what: Return) {
        self.recalled.entry(lane).or_default().push(what);
    }

    /// A page has been read. What moves and what does not is decided by `route`.
    pub(super) fn swept(
        &mut self,
        lane: Lane,
        org: OrgId,
        rows: Vec<Ready>,
        route: impl Fn(&Ready) -> Option<CarrierIndex>,
    ) {
        let leaving = &mut self.lanes[lane.0.index()][lane.1.index()];
        // Given up no more, or recalled, meanwhile.
        let Some(at) = leaving.sweep.iter().position(|(swept, _)| *swept == org) else {
            return;
        };
        match rows.last() {
            Some(last) if rows.len() == PAGE as usize => leaving.sweep[at].1 = last.place,
            Some(_) | None => {
                leaving.sweep.remove(at);
            }
        }
        for ready in rows {
            if let Some(to) = route(&ready) {
                leaving.moving += 1;
                let reroute = Reroute { ready, to };
                self.waiting[lane.1.index()].push_back(Move {
                    reroute,
                    stored: true,
                });
            }
        }
    }

    /// A commit has ended.
    pub(super) fn committed(&mut self, lanes: Vec<Lane>) {
        for lane in lanes {
            self.lane(lane).moving -= 1;
        }
    }
}

impl Feed {
    /// An operator, or the judge of health, asks for something.
    pub(super) fn steer(&mut self, steer: Steer) {
        match steer {
            Steer::Look => self.moves.asked = true,
            Steer::Recall { lanes, done } => self.recall(lanes, done),
            Steer::Release(lanes) => self.release(lanes),
        }
    }

    /// Goes through the lanes that are given up, if it is time, and commits moves that wait.
    pub(super) fn look(&mut self, now: Instant) {
        if self.moves.asked || now >= self.moves.next_look {
            self.moves.next_look = now + LOOK;
            let (asked, wall) = (std::mem::take(&mut self.moves.asked), (self.links.now)());
            for class in Class::ALL {
                for account in 0..self.accounts.len() {
                    self.look_at((CarrierIndex(account as u16), class), asked, now, wall);
                }
            }
        }
        self.commit_moves();
    }

    fn look_at(&mut self, lane: Lane, asked: bool, now: Instant, wall: Timestamp) {
        let (carrier, class) = lane;
        let given_up = self.links.routes.health().is_given_up(carrier, class, wall);
        let fair = &mut self.accounts[carrier.index()].fair[class.index()];
        let leaving = self.moves.lane(lane);
        if !given_up || fair.is_shut() {
            leaving.given_up = false;
            leaving.sweep.clear();
            return;
        }
        if asked || !leaving.given_up {
            (leaving.again, leaving.dirty) = (None, true);
        }
        // Those who wait elsewhere may pass this account over now.
        let newly = !leaving.given_up;
        leaving.given_up = true;
        // What has been begun is gone through to its end, whatever changes meanwhile, or whoever
        // stands last would never have a turn; then it begins anew.
        let due = leaving.again.is_none_or(|again| now >= again);
        let idle = leaving.moving == 0 && leaving.sweep.is_empty();
        if due && idle && !fair.is_unknown() {
            (leaving.again, leaving.dirty) = (Some(now + AGAIN), true);
            leaving.sweep = fair.survey();
        }
        let leaves = std::mem::take(&mut leaving.dirty);
        self.moves.asked |= newly;
        if leaves {
            self.leave(lane, now, wall);
        }
    }

    /// Takes out of memory what can go elsewhere; the rest keeps its order. Each message is asked
    /// for once: the answer may use up an invitation, or be another a moment later.
    fn leave(&mut self, lane: Lane, now: Instant, wall: Timestamp) {
        let (carrier, class) = lane;
        let links = &self.links;
        let mut leaving = Vec::new();
        let mut stays = |ready: Ready| match links.elsewhere(&ready, wall) {
            Some(to) => {
                leaving.push((ready, to));
                None
            }
            None => Some(ready),
        };
        let account = &mut self.accounts[carrier.index()];
        let (returned, fresh) = account.lanes.recall(class);
        let back = returned.into_iter().filter_map(&mut stays);
        let back = back.filter_map(|ready| account.lanes.give_back(ready).err());
        let mut full: Vec<Ready> = back.collect();
        let back = fresh.into_iter().filter_map(&mut stays);
        full.extend(back.filter_map(|ready| account.lanes.offer(ready).err()));
        let of_lane = |ready: &Ready| ready.carrier == carrier && ready.message.class == class;
        for Return { ready, at } in self.returns.extract(of_lane) {
            if let Some(ready) = stays(ready) {
                self.returns.take(Return { ready, at });
            }
        }
        // Binds filled the place meanwhile; it goes back before fresh ones.
        for ready in full {
            self.returns.take(Return { ready, at: now });
        }
        let fair = &mut account.fair[class.index()];
        leaving.append(&mut fair.extract(|ready| links.elsewhere(ready, wall)));
        for (ready, to) in leaving {
            // The other account has not refused it yet.
            let ready = Ready {
                refusals: 0,
                ..ready
            };
            let reroute = Reroute { ready, to };
            self.moves.waiting[class.index()].push_back(Move {
                reroute,
                stored: false,
            });
        }
        self.top_up(lane);
    }

    /// Commits the moves that wait, one commit at a time, OTP first.
    fn commit_moves(&mut self) {
        if !self.moves.committing.is_empty() {
            return;
        }
        let mut moves = Vec::new();
        for waiting in &mut self.moves.waiting {
            let room = BATCH - moves.len();
            moves.extend(waiting.drain(..room.min(waiting.len())));
        }
        if moves.is_empty() {
            return;
        }
        for Move { reroute, .. } in &moves {
            self.links.count_move(reroute);
        }
        let stored = moves.iter().filter(|one| one.stored);
        let lanes = stored
            .map(|one| (one.reroute.ready.carrier, one.reroute.ready.message.class))
            .collect();
        let settlement = Settlement {
            reroutes: moves.into_iter().map(|one| one.reroute).collect(),
            ..Settlement::default()
        };
        let store = self.links.store.clone();
        self.moves.committing.spawn(async move {
            // Closed only at shutdown: then the messages are found where they were.
            let _ = store.settle(settlement).await;
            lanes
        });
    }

    fn recall(&mut self, lanes: Vec<Lane>, done: oneshot::Sender<()>) {
        let now = Instant::now();
        for lane in lanes {
            let Some(account) = self.accounts.get_mut(lane.0.index()) else {
                continue;
            };
            let (returned, fresh) = account.lanes.recall(lane.1);
            let behind = account.fair[lane.1.index()].recall();
            let of_lane = |ready: &Ready| ready.carrier == lane.0 && ready.message.class == lane.1;
            let retries = self.returns.extract(of_lane);
            // What leaves from the store is there still, and will be read again.
            let waiting = std::mem::take(&mut self.moves.waiting[lane.1.index()]);
            let (leaving, others): (VecDeque<_>, VecDeque<_>) = waiting
                .into_iter()
                .partition(|one| of_lane(&one.reroute.ready));
            self.moves.waiting[lane.1.index()] = others;
            let state = self.moves.lane(lane);
            state.moving -= leaving.iter().filter(|one| one.stored).count();
            state.sweep.clear();
            let leaving = leaving.into_iter().filter(|one| !one.stored);
            let kept = self.moves.recalled.entry(lane).or_default();
            kept.extend(retries);
            let readies = returned.into_iter().chain(fresh).chain(behind);
            let readies = readies.chain(leaving.map(|one| one.reroute.ready));
            kept.extend(readies.map(|ready| Return { ready, at: now }));
            self.top_up(lane);
        }
        // Who asked has gone: then a release will follow, or the end.
        let _ = done.send(());
    }

    /// What was in memory goes back if it still waits there; the rest is read from the store.
    fn release(&mut self, lanes: Vec<Lane>) {
        for lane in lanes {
            let Some(account) = self.accounts.get_mut(lane.0.index()) else {
                continue;
            };
            account.fair[lane.1.index()].release();
            let kept = self.moves.recalled.remove(&lane).unwrap_or_default();
            if !kept.is_empty() {
                let store = self.links.store.clone();
                self.refill.reading.spawn(async move {
                    Page::Kept(refill::still_there(store, lane.0, kept).await)
                });
            }
        }
    }
}

impl super::feed::Links {
    /// Another account for a message, if one may have it now.
    pub(super) fn elsewhere(&self, ready: &Ready, wall: Timestamp) -> Option<CarrierIndex> {
        let ask = Ask::from(&*ready.message);
        let choice = self.routes.choose(&ask, &ready.tried, wall)?;
        (choice.available && choice.carrier != ready.carrier).then_some(choice.carrier)
    }

    fn count_move(&self, reroute: &Reroute) {
        let reason = match self.routes.health().hold(reroute.ready.carrier) {
            Hold::Paused => "paused",
            Hold::Free | Hold::Draining => "breaker",
        };
        let (from, to) = (
            self.carriers.text(reroute.ready.carrier),
            self.carriers.text(reroute.to),
        );
        meter::failover(&from, &to, reroute.ready.message.class.name(), reason);
    }
}

#[cfg(test)]
#[path = "moves_tests.rs"]
mod tests;
