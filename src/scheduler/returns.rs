//! Lives here: messages that are to be tried again at a time. Pure: instants come in, messages
//! that are due go out.
//! Never here: lanes, clocks.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};
use std::time::Instant;

use super::feed::Lane;
use crate::flow::{Ready, Return};

/// Messages waiting for their time, for all accounts. Bounded by what binds have had in their
/// hands: a lane with too many here hands out no fresh ones (`feed`).
#[derive(Default)]
pub(super) struct Returns {
    due: BinaryHeap<Ticket>,
    /// How many wait for each lane.
    counts: HashMap<Lane, usize>,
    next: u64,
}

/// One message and its time; the greatest is due first, those due together in order of arrival.
struct Ticket {
    what: Return,
    number: u64,
}

impl Returns {
    /// Takes a message that is to be tried again.
    pub(super) fn take(&mut self, what: Return) {
        *self.counts.entry(lane_of(&what.ready)).or_default() += 1;
        self.next += 1;
        self.due.push(Ticket {
            what,
            number: self.next,
        });
    }

    /// When the next one is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.peek().map(|ticket| ticket.what.at)
    }

    /// The next one whose time has come.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Ready> {
        if self.next_due()? > now {
            return None;
        }
        let ready = self.due.pop()?.what.ready;
        self.uncount(lane_of(&ready));
        Some(ready)
    }

    /// Takes out all that are chosen, in the order of their times.
    pub(super) fn extract(&mut self, mut chosen: impl FnMut(&Ready) -> bool) -> Vec<Return> {
        if self.due.is_empty() {
            return Vec::new();
        }
        let mut tickets = std::mem::take(&mut self.due).into_vec();
        let mut out: Vec<Ticket> = tickets
            .extract_if(.., |ticket| chosen(&ticket.what.ready))
            .collect();
        self.due = tickets.into();
        out.sort_unstable_by(|one, other| other.cmp(one));
        for ticket in &out {
            self.uncount(lane_of(&ticket.what.ready));
        }
        out.into_iter().map(|ticket| ticket.what).collect()
    }

    /// How many wait for this lane.
    pub(super) fn waiting(&self, lane: Lane) -> usize {
        self.counts.get(&lane).copied().unwrap_or(0)
    }

    fn uncount(&mut self, lane: Lane) {
        if let Some(count) = self.counts.get_mut(&lane) {
            *count -= 1;
        }
    }
}

fn lane_of(ready: &Ready) -> Lane {
    (ready.carrier, ready.message.class)
}

impl Ord for Ticket {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |ticket: &Self| (ticket.what.at, ticket.number);
        key(other).cmp(&key(self))
    }
}

impl PartialOrd for Ticket {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ticket {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Ticket {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::class::Class;
    use crate::domain::ids::CarrierIndex;
    use crate::scheduler::decide::tests::ready;

    const LANE: Lane = (CarrierIndex(0), Class::Transactional);

    fn filled(start: Instant) -> Returns {
        let mut returns = Returns::default();
        for (seq, seconds) in [(1, 3), (2, 1), (3, 2), (4, 1)] {
            returns.take(Return {
                ready: ready(seq, 1),
                at: start + Duration::from_secs(seconds),
            });
        }
        returns
    }

    fn pops(returns: &mut Returns, now: Instant) -> Vec<i64> {
        std::iter::from_fn(|| returns.pop(now))
            .map(|ready| ready.message.seq.0)
            .collect()
    }

    #[test]
    fn returns_come_back_in_order_of_time_and_not_before() {
        let start = Instant::now();
        let mut returns = filled(start);
        assert_eq!(returns.waiting(LANE), 4);
        assert!(returns.pop(start).is_none());
        assert_eq!(
            pops(&mut returns, start + Duration::from_secs(9)),
            [2, 4, 3, 1]
        );
        assert_eq!(returns.waiting(LANE), 0);
    }

    #[test]
    fn what_is_taken_out_leaves_the_rest_in_order() {
        let start = Instant::now();
        let mut returns = filled(start);
        let out = returns.extract(|ready| ready.message.seq.0 < 3);
        let out: Vec<i64> = out.iter().map(|one| one.ready.message.seq.0).collect();
        assert_eq!((out, returns.waiting(LANE)), (vec![2, 1], 2));
        assert_eq!(pops(&mut returns, start + Duration::from_secs(9)), [4, 3]);
    }
}
