//! Lives here: whose turn it is in one lane, and how much of it is in memory: deficit round robin
//! over the organisations that have something waiting, each with a cursor into the store behind.
//!
//! An organisation that just became active is served before those with a standing backlog, once,
//! as new flows are in `fq_codel`; after that a quantum each in turn, counted in segments. Memory
//! is shared by a dynamic threshold (Choudhury and Hahne, 1998): each organisation may hold as
//! many messages as places are free, so that shares shrink as others come, room for a newcomer
//! remains, and the sum never passes the limit.
//! Pure. Never here: reading the store, the queue in front of the binds (`flow::lane`), clocks.

use std::collections::{HashMap, VecDeque};

use crate::domain::ids::{OrgId, Place};
use crate::flow::Ready;

/// Segments that an organisation is served in its turn. Small, so that a campaign with its turn
/// half done delays others by little; a turn costs a few operations only.
const QUANTUM: i32 = 24;
/// Segments of the first turn of one that just became active: about what a small sender has at a
/// time. With 100 messages each beside a campaign, nine are through within 10 % of the time that
/// they take alone, and the campaign still has half of their share (with one quantum of 48 they
/// take 11 % longer, with a first turn of 96 the campaign has a quarter).
const FIRST: i32 = 64;
/// Rows of one page at most, so that a read stays short.
const PAGE_MAX: usize = 512;
/// Organisations looked at for the next page in one go.
const LOOK: usize = 64;

/// Which messages of one organisation in one lane have been loaded.
#[derive(Clone, Copy, Debug)]
struct Cursor {
    /// Everything up to here is or has been in memory.
    loaded: Place,
    /// The newest that is known to have been committed.
    newest: Place,
    /// Some of it is in the store only.
    spilled: bool,
}

impl Cursor {
    /// Everything before this place is or has been in memory.
    fn before(place: Place) -> Self {
        Self {
            loaded: Place(place.0 - 1),
            newest: place,
            spilled: false,
        }
    }

    /// Nothing after `base` is loaded, and the store has something up to `newest`.
    fn behind(base: Place, newest: Place) -> Self {
        Self {
            loaded: base,
            newest,
            spilled: true,
        }
    }

    /// A message has been committed. Is it for memory?
    fn committed(&mut self, place: Place) -> bool {
        self.newest = self.newest.max(place);
        !self.spilled && place > self.loaded
    }

    /// A page has been read after `loaded` and its messages up to `last` are in memory. At the
    /// end of what waits, what was `known` before the page was read and did not stand in it waits
    /// no more (it has been ended by the clock, say): it counts as loaded.
    fn read(&mut self, last: Option<Place>, was_the_end: bool, known: Place) {
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

/// In which list an organisation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listed {
    Nowhere,
    /// Just became active.
    Fresh,
    /// Has been served, or comes from the store.
    Standing,
}

/// One organisation's part of the lane.
#[derive(Debug)]
struct Flow {
    org: OrgId,
    queue: VecDeque<Ready>,
    cursor: Cursor,
    /// Segments it may still be served in this turn.
    deficit: i32,
    listed: Listed,
    /// It stands among those that may have a page to be read.
    in_round: bool,
}

/// A page that is wanted from the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Whose messages.
    pub(super) org: OrgId,
    /// Behind this place.
    pub(super) after: Place,
    /// How many.
    pub(super) limit: usize,
    /// The newest that was known when the page was asked for.
    pub(super) known: Place,
    /// What is read for an older epoch than the present one is of no use.
    pub(super) epoch: u32,
}

/// One lane's messages in memory, and what is known of those in the store.
///
/// An organisation without an entry here has nothing waiting: everything of it up to `told` is or
/// has been in memory. Entries cost some hundred octets and are there only for organisations with
/// something waiting.
#[derive(Debug)]
pub(super) struct Fair {
    /// Messages in memory at most.
    max: usize,
    held: usize,
    flows: Vec<Flow>,
    vacant: Vec<usize>,
    index: HashMap<OrgId, usize>,
    fresh: VecDeque<usize>,
    standing: VecDeque<usize>,
    /// Who may want a page, the next first.
    round: VecDeque<usize>,
    /// Idle entries whose cursor is ahead of what has been told.
    ahead: Vec<usize>,
    /// The newest place of a commit that has been told.
    told: Place,
    /// The store has been asked who has a backlog.
    known: bool,
    /// Everything up to here has been told or loaded of those who were idle when `known` ended.
    base: Place,
    /// Nothing is to be loaded: somebody changes the rows.
    shut: bool,
    /// Counts what makes reads under way useless.
    epoch: u32,
}

impl Fair {
    /// Nothing in memory, and nobody asked yet what the store holds.
    pub(super) fn new(max: usize) -> Self {
        Self {
            max: max.max(1),
            held: 0,
            flows: Vec::new(),
            vacant: Vec::new(),
            index: HashMap::new(),
            fresh: VecDeque::new(),
            standing: VecDeque::new(),
            round: VecDeque::new(),
            ahead: Vec::new(),
            told: Place(0),
            known: false,
            base: Place(0),
            shut: false,
            epoch: 0,
        }
    }

    /// Whether the store has still to be asked who has a backlog.
    pub(super) fn is_unknown(&self) -> bool {
        !self.known && !self.shut
    }

    /// The present epoch of reads.
    pub(super) fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Whether nothing waits at all: a new message need not wait its turn.
    pub(super) fn is_idle(&self) -> bool {
        self.known && self.index.is_empty()
    }

    /// Messages in memory.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Whether anything waits here or in the store.
    pub(super) fn is_behind(&self) -> bool {
        !self.known || self.held > 0 || !self.round.is_empty()
    }

    /// A commit up to this place has been told, and needs no turn.
    pub(super) fn tell(&mut self, place: Place) {
        self.told = self.told.max(place);
        if !self.known {
            // Then nobody may be forgotten.
            return;
        }
        for id in std::mem::take(&mut self.ahead) {
            self.tidy(id);
        }
    }

    /// A message has been committed; commits are told in order of place.
    pub(super) fn take(&mut self, ready: Ready) {
        let (org, place) = (ready.message.org, ready.place);
        let id = match self.index.get(&org) {
            Some(id) => *id,
            None if self.known => self.enter(org, Cursor::before(place)),
            None => self.enter(org, Cursor::behind(self.base, place)),
        };
        // Until the backlog is known the store may have something that was never told.
        let admitted = self.known && self.flows[id].queue.len() < self.max - self.held;
        let cursor = &mut self.flows[id].cursor;
        if !cursor.committed(place) {
            // A page has brought it, or will.
        } else if admitted {
            cursor.loaded = place;
            self.push(id, ready, Listed::Fresh);
        } else {
            cursor.spilled = true;
        }
        self.enter_round(id);
        // Only now: an idle entry may be what tells that a page has brought this message already.
        self.tell(place);
        self.tidy(id);
        self.check();
    }

    /// The store has been asked: these have a backlog up to a place each.
    pub(super) fn found(&mut self, epoch: u32, backlog: Vec<(OrgId, Place)>) {
        if epoch != self.epoch {
            return;
        }
        for (org, newest) in backlog {
            let id = match self.index.get(&org) {
                Some(id) => *id,
                None => self.enter(org, Cursor::behind(self.base, newest)),
            };
            let cursor = &mut self.flows[id].cursor;
            cursor.newest = cursor.newest.max(newest);
            cursor.spilled |= cursor.newest > cursor.loaded;
            self.enter_round(id);
        }
        self.known = true;
        self.check();
    }

    /// The next page to be read: of the organisations in turn, one that would at least double what
    /// it has in memory.
    pub(super) fn wanted(&mut self) -> Option<Wanted> {
        if !self.known {
            return None;
        }
        for _ in 0..self.round.len().min(LOOK) {
            let id = self.round.pop_front()?;
            let (free, flow) = (self.max - self.held, &mut self.flows[id]);
            if !flow.cursor.spilled {
                flow.in_round = false;
                self.tidy(id);
                continue;
            }
            self.round.push_back(id);
            let has = flow.queue.len();
            let room = free.saturating_sub(has).div_ceil(2);
            if room >= has.max(1) {
                return Some(Wanted {
                    org: flow.org,
                    after: flow.cursor.loaded,
                    limit: room.min(PAGE_MAX),
                    known: flow.cursor.newest,
                    epoch: self.epoch,
                });
            }
        }
        None
    }

    /// A page has been read. What finds no room stays in the store.
    pub(super) fn page(&mut self, wanted: Wanted, rows: Vec<Ready>) {
        let Some(&id) = self.index.get(&wanted.org) else {
            return;
        };
        if wanted.epoch != self.epoch {
            return;
        }
        let mut was_the_end = rows.len() < wanted.limit;
        let mut last = None;
        for ready in rows {
            if self.held >= self.max {
                was_the_end = false;
                break;
            }
            last = Some(ready.place);
            self.push(id, ready, Listed::Standing);
        }
        let cursor = &mut self.flows[id].cursor;
        cursor.read(last, was_the_end, wanted.known);
        self.enter_round(id);
        self.tidy(id);
        self.check();
    }

    /// The next message in turn.
    pub(super) fn pop(&mut self) -> Option<Ready> {
        loop {
            let list = if self.fresh.is_empty() {
                &mut self.standing
            } else {
                &mut self.fresh
            };
            let id = *list.front()?;
            let flow = &mut self.flows[id];
            if flow.deficit > 0
                && let Some(ready) = flow.queue.pop_front()
            {
                flow.deficit -= ready.parts.count().cast_signed();
                self.held -= 1;
                return Some(ready);
            }
            list.pop_front();
            let empty = flow.queue.is_empty();
            if empty && (flow.listed == Listed::Standing || self.standing.is_empty()) {
                flow.listed = Listed::Nowhere;
                self.tidy(id);
                continue;
            }
            // One that was fresh passes all that stand before it can be fresh again.
            if !empty {
                flow.deficit += QUANTUM;
            }
            flow.listed = Listed::Standing;
            self.standing.push_back(id);
        }
    }

    /// Takes everything out of memory, each organisation's in order. Until [`Fair::release`] what
    /// is committed stays in the store, and what is being read is of no use.
    pub(super) fn recall(&mut self) -> Vec<Ready> {
        if self.known {
            self.base = self.told;
        }
        (self.shut, self.known) = (true, false);
        self.epoch += 1;
        std::iter::from_fn(|| self.pop()).collect()
    }

    /// The rows have been changed: the store is to be asked anew who has a backlog.
    pub(super) fn release(&mut self) {
        self.shut = false;
    }

    /// Whether it has been recalled and not released.
    pub(super) fn is_shut(&self) -> bool {
        self.shut
    }

    /// Takes out of memory what `chosen` has something for, with that; the rest keeps its order.
    pub(super) fn extract<T>(
        &mut self,
        mut chosen: impl FnMut(&Ready) -> Option<T>,
    ) -> Vec<(Ready, T)> {
        let mut out = Vec::new();
        for flow in &mut self.flows {
            for _ in 0..flow.queue.len() {
                let Some(ready) = flow.queue.pop_front() else {
                    break;
                };
                match chosen(&ready) {
                    Some(what) => out.push((ready, what)),
                    None => flow.queue.push_back(ready),
                }
            }
        }
        self.held -= out.len();
        out
    }

    /// Whose messages are in the store only, and behind which place. Pages that are being read
    /// are of no use any more: somebody else goes through these rows.
    pub(super) fn survey(&mut self) -> VecDeque<(OrgId, Place)> {
        self.epoch += 1;
        let spilled = self.flows.iter().filter(|flow| flow.cursor.spilled);
        spilled.map(|flow| (flow.org, flow.cursor.loaded)).collect()
    }

    fn enter(&mut self, org: OrgId, cursor: Cursor) -> usize {
        let flow = Flow {
            org,
            queue: VecDeque::new(),
            cursor,
            deficit: 0,
            listed: Listed::Nowhere,
            in_round: false,
        };
        let id = if let Some(id) = self.vacant.pop() {
            self.flows[id] = flow;
            id
        } else {
            self.flows.push(flow);
            self.flows.len() - 1
        };
        self.index.insert(org, id);
        id
    }

    fn push(&mut self, id: usize, ready: Ready, list: Listed) {
        self.flows[id].queue.push_back(ready);
        self.held += 1;
        self.list(id, list);
    }

    fn list(&mut self, id: usize, list: Listed) {
        let flow = &mut self.flows[id];
        if flow.listed != Listed::Nowhere {
            return;
        }
        flow.listed = list;
        match list {
            Listed::Nowhere => {}
            Listed::Fresh => {
                flow.deficit = FIRST;
                self.fresh.push_back(id);
            }
            Listed::Standing => {
                flow.deficit = flow.deficit.min(0) + QUANTUM;
                self.standing.push_back(id);
            }
        }
    }

    fn enter_round(&mut self, id: usize) {
        let flow = &mut self.flows[id];
        if flow.cursor.spilled && !flow.in_round {
            flow.in_round = true;
            self.round.push_back(id);
        }
    }

    /// Forgets an organisation of which nothing waits.
    fn tidy(&mut self, id: usize) {
        let flow = &mut self.flows[id];
        let waits = !flow.queue.is_empty() || flow.cursor.spilled || flow.in_round;
        if waits || flow.listed != Listed::Nowhere || self.index.get(&flow.org) != Some(&id) {
            return;
        }
        if flow.cursor.loaded > self.told || !self.known {
            // A commit that a page has brought already is still to be told, or the backlog is
            // still to be asked for, and would be read from further back.
            if !self.ahead.contains(&id) {
                self.ahead.push(id);
            }
            return;
        }
        self.index.remove(&flow.org);
        flow.queue = VecDeque::new();
        self.vacant.push(id);
    }

    fn check(&self) {
        debug_assert!(self.held <= self.max, "memory is bounded");
        debug_assert_eq!(
            self.index.len() + self.vacant.len(),
            self.flows.len(),
            "every entry is in use or vacant"
        );
    }
}

#[cfg(test)]
#[path = "fair_tests.rs"]
mod tests;
