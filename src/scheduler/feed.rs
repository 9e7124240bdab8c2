//! Lives here: the task that fills the lanes: from commits as they happen, from what waits in turn
//! behind them (`fair`, `refill`), and from retries whose time has come; and empties those whose
//! account is given up (`moves`).
//!
//! It waits for nobody: reads and commits run beside it, one at a time.
//! Never here: what an outcome means (`settle`), taking messages out of lanes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::Config;
use super::fair::Fair;
use super::moves::Moves;
use super::refill::Refill;
use super::returns::Returns;
use crate::domain::class::Class;
use crate::domain::ids::{CarrierIndex, Place};
use crate::domain::time::Timestamp;
use crate::flow::lane::Lanes;
use crate::flow::routes::Routes;
use crate::flow::{Committed, Ready, Return, Steer};
use crate::store::{Carriers, Store};

/// How long the loop sleeps at most.
const IDLE: Duration = Duration::from_secs(1);
/// How long a message that found its lane full waits.
const FULL_AGAIN: Duration = Duration::from_millis(100);

/// What comes in.
pub struct Inputs {
    /// Messages just brought to their lanes, in order.
    pub committed: mpsc::Receiver<Committed>,
    /// Messages to be tried again.
    pub returns: mpsc::Receiver<Return>,
    /// What the operator and the judge of health ask for.
    pub steer: mpsc::Receiver<Steer>,
    /// Rung by lanes behind which more waits and that run low.
    pub refill: Arc<Notify>,
    /// Rises while this loop turns; the watchdog looks at it.
    pub beat: Arc<AtomicU64>,
}

/// Whom the scheduler's tasks talk to.
#[derive(Clone)]
pub struct Links {
    /// The store.
    pub store: Store,
    /// The way to an account.
    pub routes: Arc<Routes>,
    /// The accounts' names.
    pub carriers: Arc<Carriers>,
    /// Reads the wall clock.
    pub now: fn() -> Timestamp,
}

/// One account's lanes, and what waits in turn behind each.
pub(super) struct Account {
    pub(super) lanes: Arc<Lanes>,
    pub(super) fair: [Fair; 3],
    /// A commit has brought something behind the lanes, or into them.
    touched: bool,
}

/// Which lane.
pub(super) type Lane = (CarrierIndex, Class);

pub(super) struct Feed {
    config: Config,
    pub(super) links: Links,
    pub(super) accounts: Vec<Account>,
    pub(super) returns: Returns,
    pub(super) refill: Refill,
    pub(super) moves: Moves,
}

/// Fills the lanes until `stop`. `before_start` is the newest place at start.
pub async fn run(
    config: Config,
    links: Links,
    accounts: Vec<Arc<Lanes>>,
    before_start: Place,
    mut inputs: Inputs,
    stop: CancellationToken,
) {
    let mut feed = Feed::new(config, links, accounts, before_start);
    feed.refill();
    loop {
        let due = feed.next_wake();
        inputs.beat.fetch_add(1, Ordering::Relaxed);
        // Every branch only takes from a queue or a timer: dropping one loses nothing.
        // Commits come first: what was committed before a move, or before an operator's release, has
        // been told when that is heard of, and cannot be taken for new after it.
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            Some(committed) = inputs.committed.recv() => feed.committed(committed.messages),
            Some(what) = inputs.returns.recv() => {
                feed.returns.take(what);
            }
            Some(page) = feed.refill.reading.join_next() => {
                if let Ok(page) = page {
                    feed.page(page);
                }
            }
            Some(steer) = inputs.steer.recv() => feed.steer(steer),
            Some(lanes) = feed.moves.committing.join_next() => {
                // A commit of ours does not panic; if it did, its lanes would only load no more.
                feed.moves.committed(lanes.unwrap_or_default());
            }
            () = inputs.refill.notified() => feed.run_low(),
            () = tokio::time::sleep_until(due.into()) => {}
        }
        let now = Instant::now();
        feed.due(now);
        feed.look(now);
        feed.refill();
    }
}

impl Feed {
    pub(super) fn new(
        config: Config,
        links: Links,
        accounts: Vec<Arc<Lanes>>,
        before_start: Place,
    ) -> Self {
        let account = |lanes: Arc<Lanes>| {
            // What stands in front of the binds counts.
            let behind = config.ready_max.saturating_sub(lanes.capacity());
            Account {
                lanes,
                fair: Class::ALL.map(|_| Fair::new(behind)),
                touched: false,
            }
        };
        Self {
            moves: Moves::new(accounts.len()),
            refill: Refill::new(links.store.clone(), before_start),
            accounts: accounts.into_iter().map(account).collect(),
            config,
            links,
            returns: Returns::default(),
        }
    }

    fn next_wake(&self) -> Instant {
        let idle = Instant::now() + IDLE;
        let due = self.returns.next_due().unwrap_or(idle);
        idle.min(due).min(self.moves.next_look())
    }

    fn committed(&mut self, messages: Vec<Ready>) {
        for ready in messages {
            let Some(account) = self.accounts.get_mut(ready.carrier.index()) else {
                continue;
            };
            account.touched = true;
            if ready.place == Place::default() {
                // A resend: in no lane's order.
                let at = Instant::now();
                self.returns.take(Return { ready, at });
                continue;
            }
            self.moves.touched((ready.carrier, ready.message.class));
            let fair = &mut account.fair[ready.message.class.index()];
            if !fair.is_idle() {
                fair.take(ready);
                continue;
            }
            let place = ready.place;
            match account.lanes.offer(ready) {
                Ok(()) => fair.tell(place),
                Err(ready) => fair.take(ready),
            }
        }
        for index in 0..self.accounts.len() {
            if std::mem::take(&mut self.accounts[index].touched) {
                for class in Class::ALL {
                    self.top_up((CarrierIndex(index as u16), class));
                }
                self.accounts[index].lanes.wake();
            }
        }
    }

    /// Some lane has run half empty.
    fn run_low(&mut self) {
        for index in 0..self.accounts.len() {
            for class in Class::ALL {
                if self.accounts[index].lanes.runs_low(class) {
                    self.top_up((CarrierIndex(index as u16), class));
                }
            }
        }
    }

    /// Moves what is next in turn in front of the binds.
    pub(super) fn top_up(&mut self, (carrier, class): Lane) {
        let Account { lanes, fair, .. } = &mut self.accounts[carrier.index()];
        let fair = &mut fair[class.index()];
        let mut any = false;
        for _ in 0..lanes.room(class) {
            let Some(ready) = fair.pop() else { break };
            any = true;
            if let Err(ready) = lanes.offer(ready) {
                // Only this task fills lanes, so the room was there.
                let at = Instant::now();
                self.returns.take(Return { ready, at });
            }
        }
        lanes.set_behind(class, fair.held(), fair.is_behind());
        if any {
            lanes.wake();
        }
    }

    /// Puts what is due back into its lane, before fresh messages.
    fn due(&mut self, now: Instant) {
        while let Some(ready) = self.returns.pop(now) {
            let lane = (ready.carrier, ready.message.class);
            let Some(account) = self.accounts.get(lane.0.index()) else {
                continue;
            };
            if account.fair[lane.1.index()].is_shut() {
                self.moves.keep(lane, Return { ready, at: now });
                continue;
            }
            self.moves.touched(lane);
            if let Err(ready) = account.lanes.give_back(ready) {
                let at = now + FULL_AGAIN;
                self.returns.take(Return { ready, at });
                continue;
            }
            account.lanes.wake();
        }
        self.hold();
    }

    /// A lane with too many messages waiting for a retry hands out no fresh ones.
    fn hold(&self) {
        for (index, account) in self.accounts.iter().enumerate() {
            for class in Class::ALL {
                let waiting = self.returns.waiting((CarrierIndex(index as u16), class));
                let held = waiting >= self.config.returns_max;
                if account.lanes.set_held(class, held) {
                    account.lanes.wake();
                }
            }
        }
    }
}
