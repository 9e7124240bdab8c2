//! Lives here: the task that fills the lanes: from commits as they happen, from the store when a
//! lane has spilled (at start every lane has), and from retries whose time has come.
//!
//! It waits for nobody: reads from the store run beside it, one at a time.
//! Never here: what an outcome means (`settle`), taking messages out of lanes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::returns::Returns;
use super::{Config, settle};
use crate::domain::class::Class;
use crate::domain::ids::{CarrierIndex, MessageSeq};
use crate::domain::message::{Message, State};
use crate::flow::lane::Lanes;
use crate::flow::{Committed, Ready, Return, Tried, Waiting};
use crate::store::{Store, StoreError};

/// How long a lane whose read failed is left alone.
const READ_AGAIN: Duration = Duration::from_secs(1);
/// How long a return that found its lane full waits.
const FULL_AGAIN: Duration = Duration::from_millis(100);
const DOUBT_PAGE: u32 = 1_000;

/// What comes in.
pub struct Inputs {
    /// Messages just made durable, in order.
    pub committed: mpsc::Receiver<Committed>,
    /// Messages to be tried again.
    pub returns: mpsc::Receiver<Return>,
    /// Rung by lanes that have spilled and run low.
    pub refill: Arc<Notify>,
    /// Rises while this loop turns; the watchdog looks at it.
    pub beat: Arc<AtomicU64>,
}

/// Which messages of one lane have been loaded.
#[derive(Clone, Copy, Debug)]
struct Cursor {
    /// Everything of this lane up to here is or has been in memory.
    loaded: MessageSeq,
    /// The newest that is known to have been committed.
    newest: MessageSeq,
    /// Some of it is in the store only.
    spilled: bool,
}

impl Cursor {
    /// At start nothing is loaded.
    const START: Self = Self {
        loaded: MessageSeq(0),
        newest: MessageSeq(0),
        spilled: true,
    };

    /// A message has been committed. Should it be offered to the lane?
    fn committed(&mut self, seq: MessageSeq) -> bool {
        self.newest = self.newest.max(seq);
        !self.spilled && seq > self.loaded
    }

    /// A page has been read after `loaded` and its messages up to `last` are in the lane. At the
    /// end of the lane, what was `known` before the page was read and did not stand in it waits
    /// no more (it has been ended by the clock, say): it counts as loaded.
    fn read(&mut self, last: Option<MessageSeq>, was_the_end: bool, known: MessageSeq) {
        if let Some(last) = last {
            self.loaded = self.loaded.max(last);
        }
        if was_the_end {
            self.loaded = self.loaded.max(known);
        }
        self.newest = self.newest.max(self.loaded);
        self.spilled = !(was_the_end && self.newest <= self.loaded);
    }
}

type Lane = (CarrierIndex, Class);

/// A page read from the store.
enum Page {
    Lane {
        lane: Lane,
        limit: usize,
        known: MessageSeq,
        rows: Result<Vec<Waiting>, StoreError>,
    },
    Doubt {
        rows: Result<Vec<Waiting>, StoreError>,
    },
}

struct Feed {
    config: Config,
    store: Store,
    accounts: Vec<Arc<Lanes>>,
    cursors: Vec<[Cursor; 3]>,
    returns: Returns,
    reading: JoinSet<Page>,
    /// OTP messages up to here may have been sent before a crash: they need no intent.
    before_start: MessageSeq,
    not_before: Instant,
    /// Messages in doubt of the last run behind this one are still to be read.
    doubt_after: Option<MessageSeq>,
}

/// Fills the lanes until `stop`. `before_start` is the newest message at start.
pub async fn run(
    config: Config,
    store: Store,
    accounts: Vec<Arc<Lanes>>,
    before_start: MessageSeq,
    mut inputs: Inputs,
    stop: CancellationToken,
) {
    let mut feed = Feed {
        cursors: vec![[Cursor::START; 3]; accounts.len()],
        config,
        store,
        accounts,
        returns: Returns::default(),
        reading: JoinSet::new(),
        before_start,
        not_before: Instant::now(),
        doubt_after: Some(MessageSeq(0)),
    };
    feed.refill();
    loop {
        let due = feed.next_wake();
        inputs.beat.fetch_add(1, Ordering::Relaxed);
        // Every branch only takes from a queue or a timer: dropping one loses nothing.
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            Some(committed) = inputs.committed.recv() => feed.committed(committed.messages),
            Some(what) = inputs.returns.recv() => {
                feed.returns.take(what);
            }
            Some(page) = feed.reading.join_next() => {
                if let Ok(page) = page {
                    feed.page(page);
                }
            }
            () = inputs.refill.notified() => {}
            () = tokio::time::sleep_until(due.into()) => {}
        }
        feed.due(Instant::now());
        feed.refill();
    }
}

impl Feed {
    fn next_wake(&self) -> Instant {
        let idle = Instant::now() + READ_AGAIN;
        self.returns.next_due().map_or(idle, |due| due.min(idle))
    }

    fn committed(&mut self, messages: Vec<Arc<Message>>) {
        let mut touched = vec![false; self.accounts.len()];
        for message in messages {
            let (carrier, class) = (message.carrier.index(), message.class.index());
            let Some(lanes) = self.accounts.get(carrier) else {
                continue;
            };
            let cursor = &mut self.cursors[carrier][class];
            if !cursor.committed(message.seq) {
                continue;
            }
            let seq = message.seq;
            match lanes.offer(Ready::first(message)) {
                Ok(()) => {
                    cursor.loaded = seq;
                    touched[carrier] = true;
                }
                Err(_) => {
                    cursor.spilled = true;
                    lanes.set_spilled(Class::ALL[class], true);
                }
            }
        }
        for (lanes, _) in self
            .accounts
            .iter()
            .zip(touched)
            .filter(|(_, touched)| *touched)
        {
            lanes.wake();
        }
    }

    /// Puts what is due back into its lane, before fresh messages.
    fn due(&mut self, now: Instant) {
        while let Some(ready) = self.returns.pop(now) {
            let carrier = ready.message.carrier;
            let Some(lanes) = self.accounts.get(carrier.index()) else {
                continue;
            };
            if let Err(ready) = lanes.give_back(ready) {
                self.returns.take(Return::Again {
                    ready,
                    at: now + FULL_AGAIN,
                    in_doubt: false,
                });
                continue;
            }
            lanes.wake();
        }
        self.hold();
    }

    /// An account with too many messages waiting for a retry takes no fresh ones.
    fn hold(&self) {
        for (index, lanes) in self.accounts.iter().enumerate() {
            let waiting = self.returns.waiting(CarrierIndex(index as u16));
            if lanes.set_held(waiting >= self.config.returns_max) {
                lanes.wake();
            }
        }
    }

    /// Starts reading for the first spilled lane, in order of class, that has run half empty.
    fn refill(&mut self) {
        if !self.reading.is_empty() || Instant::now() < self.not_before {
            return;
        }
        if let Some(after) = self.doubt_after {
            return self.read_doubt(after);
        }
        let lanes = Class::ALL.into_iter().flat_map(|class| {
            (0..self.accounts.len()).map(move |account| (CarrierIndex(account as u16), class))
        });
        let capacity = self.config.ready_max;
        for lane in lanes {
            let (account, class) = (lane.0.index(), lane.1);
            let room = self.accounts[account].room(class);
            let cursor = self.cursors[account][class.index()];
            if cursor.spilled && room * 2 >= capacity {
                return self.read_lane(lane, cursor, room);
            }
        }
    }

    fn read_lane(&mut self, lane: Lane, cursor: Cursor, limit: usize) {
        let store = self.store.clone();
        self.reading.spawn(async move {
            let rows = store.waiting(lane, cursor.loaded, limit as u32).await;
            Page::Lane {
                lane,
                limit,
                known: cursor.newest,
                rows,
            }
        });
    }

    fn read_doubt(&mut self, after: MessageSeq) {
        let store = self.store.clone();
        self.reading.spawn(async move {
            Page::Doubt {
                rows: store.in_doubt(after, DOUBT_PAGE).await,
            }
        });
    }

    fn page(&mut self, page: Page) {
        match page {
            Page::Lane {
                lane,
                limit,
                known,
                rows: Ok(rows),
            } => self.lane_read(lane, limit, known, rows),
            Page::Doubt { rows: Ok(rows) } => self.doubt_read(rows),
            Page::Lane {
                rows: Err(error), ..
            }
            | Page::Doubt { rows: Err(error) } => {
                tracing::error!(%error, "reading waiting messages failed; trying again");
                self.not_before = Instant::now() + READ_AGAIN;
            }
        }
    }

    fn lane_read(
        &mut self,
        (carrier, class): Lane,
        limit: usize,
        known: MessageSeq,
        rows: Vec<Waiting>,
    ) {
        let lanes = &self.accounts[carrier.index()];
        let mut was_the_end = rows.len() < limit;
        let mut last = None;
        for waiting in rows {
            let seq = waiting.message.seq;
            let ready = self.ready(waiting);
            if lanes.offer(ready).is_err() {
                was_the_end = false;
                break;
            }
            last = Some(seq);
        }
        let cursor = &mut self.cursors[carrier.index()][class.index()];
        cursor.read(last, was_the_end, known);
        lanes.set_spilled(class, cursor.spilled);
        lanes.wake();
    }

    fn ready(&self, waiting: Waiting) -> Ready {
        let otp_of_before = waiting.message.class == Class::Otp
            && waiting.message.seq <= self.before_start
            && waiting.state == State::Queued;
        Ready {
            carrier: waiting.message.carrier,
            tried: Tried::new(),
            parts: waiting.parts,
            attempt: waiting.attempts + 1,
            possible_duplicate: waiting.possible_duplicate || otp_of_before,
            message: waiting.message,
        }
    }

    /// Messages that the last run left in doubt: their class decides.
    fn doubt_read(&mut self, rows: Vec<Waiting>) {
        let full = rows.len() == DOUBT_PAGE as usize;
        self.doubt_after = rows.last().filter(|_| full).map(|last| last.message.seq);
        let now = Instant::now();
        for waiting in rows {
            let Waiting {
                message,
                parts,
                attempts,
                possible_duplicate,
                ..
            } = waiting;
            let resend = settle::resend(&message, parts, attempts, possible_duplicate);
            if let Some((ready, delay)) = resend.filter(|(ready, _)| !ready.parts.is_empty()) {
                self.returns.take(Return::Again {
                    ready,
                    at: now + delay,
                    in_doubt: true,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_read_from_the_store_is_not_loaded_again_when_its_commit_is_told() {
        let mut cursor = Cursor::START;
        assert!(
            !cursor.committed(MessageSeq(5)),
            "a spilled lane leaves it in the store"
        );
        cursor.read(Some(MessageSeq(6)), true, MessageSeq(5));
        assert!(!cursor.spilled);
        assert!(!cursor.committed(MessageSeq(6)), "the page had it already");
        assert!(cursor.committed(MessageSeq(7)));
    }

    #[test]
    fn a_lane_stays_spilled_while_a_commit_is_newer_than_the_page() {
        let mut cursor = Cursor::START;
        cursor.committed(MessageSeq(9));
        cursor.read(Some(MessageSeq(4)), true, MessageSeq(4));
        assert!(cursor.spilled, "9 was committed after the page was read");
        cursor.read(Some(MessageSeq(9)), true, MessageSeq(9));
        assert!(!cursor.spilled);
    }

    #[test]
    fn a_message_that_ended_while_it_waited_does_not_keep_its_lane_spilled() {
        let mut cursor = Cursor::START;
        cursor.committed(MessageSeq(9));
        cursor.read(None, true, MessageSeq(9));
        assert!(!cursor.spilled, "9 was known, and waits no more");
        assert!(cursor.committed(MessageSeq(10)));
    }

    #[test]
    fn a_full_page_means_there_may_be_more() {
        let mut cursor = Cursor::START;
        cursor.read(Some(MessageSeq(4)), false, MessageSeq(9));
        assert!(cursor.spilled);
    }
}
