//! Lives here: messages that are to be tried again at a time, and those whose resend may still be
//! called off. Pure: instants come in, messages that are due go out.
//! Never here: lanes, clocks.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Instant;

use crate::domain::ids::{CarrierIndex, MessageSeq};
use crate::flow::{Parts, Ready, Return};

/// Messages waiting for their time, for all accounts.
#[derive(Default)]
pub(super) struct Returns {
    due: BinaryHeap<Reverse<(Instant, u64)>>,
    waiting: HashMap<u64, (Ready, bool)>,
    /// Messages in doubt that wait here, and their parts that have turned out to be taken.
    in_doubt: HashMap<MessageSeq, Parts>,
    /// How many wait for each account.
    counts: HashMap<CarrierIndex, usize>,
    next: u64,
}

impl Returns {
    /// Takes what `settle` sends back.
    pub(super) fn take(&mut self, what: Return) {
        match what {
            Return::Again {
                ready,
                at,
                in_doubt,
            } => {
                if in_doubt {
                    self.in_doubt.insert(ready.message.seq, Parts(0));
                }
                *self.counts.entry(ready.carrier).or_default() += 1;
                self.next += 1;
                self.due.push(Reverse((at, self.next)));
                self.waiting.insert(self.next, (ready, in_doubt));
            }
            Return::Taken(seq, part) => {
                if let Some(taken) = self.in_doubt.get_mut(&seq) {
                    taken.insert(part);
                }
            }
        }
    }

    /// When the next one is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.peek().map(|Reverse((at, _))| *at)
    }

    /// The next one whose time has come; resends that were called off are skipped.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Ready> {
        while self.next_due().is_some_and(|at| at <= now) {
            let Reverse((_, ticket)) = self.due.pop()?;
            let (mut ready, in_doubt) = self.waiting.remove(&ticket)?;
            if let Some(count) = self.counts.get_mut(&ready.carrier) {
                *count -= 1;
            }
            if in_doubt && let Some(taken) = self.in_doubt.remove(&ready.message.seq) {
                ready.parts = ready.parts.without(taken);
            }
            if !ready.parts.is_empty() {
                return Some(ready);
            }
        }
        None
    }

    /// How many wait for this account.
    pub(super) fn waiting(&self, carrier: CarrierIndex) -> usize {
        self.counts.get(&carrier).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::scheduler::settle::tests::ready;

    #[test]
    fn returns_come_back_in_order_of_time_and_not_before() {
        let mut returns = Returns::default();
        let start = Instant::now();
        for (seq, seconds) in [(1, 3), (2, 1), (3, 2)] {
            let at = start + Duration::from_secs(seconds);
            returns.take(Return::Again {
                ready: ready(seq, 1),
                at,
                in_doubt: false,
            });
        }
        assert_eq!(returns.waiting(CarrierIndex(0)), 3);
        assert!(returns.pop(start).is_none());
        let late = start + Duration::from_secs(9);
        let order: Vec<i64> = std::iter::from_fn(|| returns.pop(late))
            .map(|ready| ready.message.seq.0)
            .collect();
        assert_eq!(order, [2, 3, 1]);
        assert_eq!(returns.waiting(CarrierIndex(0)), 0);
    }

    #[test]
    fn proof_of_acceptance_calls_a_resend_off() {
        let mut returns = Returns::default();
        let start = Instant::now();
        for seq in [1, 2] {
            returns.take(Return::Again {
                ready: ready(seq, 1),
                at: start,
                in_doubt: true,
            });
        }
        returns.take(Return::Taken(MessageSeq(1), 1));
        assert_eq!(returns.pop(start).map(|ready| ready.message.seq.0), Some(2));
        assert!(returns.pop(start).is_none());
    }

    #[test]
    fn only_the_parts_still_in_doubt_are_resent() {
        let mut returns = Returns::default();
        let start = Instant::now();
        let ready = ready(1, 3);
        returns.take(Return::Again {
            ready,
            at: start,
            in_doubt: true,
        });
        returns.take(Return::Taken(MessageSeq(1), 2));
        assert_eq!(
            returns.pop(start).map(|ready| ready.parts),
            Some(Parts(0b101))
        );
    }
}
