//! Lives here: the ready queues of one carrier account, the channel by which the scheduler hands
//! messages to binds. Lock-free and short: whose message is next is decided behind them, late.
//! Never here: who fills them (`scheduler::feed`) or at what rate they empty (`carrier`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use crossbeam_queue::ArrayQueue;
use tokio::sync::Notify;

use super::Ready;
use crate::domain::class::{Class, ClassSet};

/// One lane: what is fresh, and what came back and goes first.
#[derive(Debug)]
struct Lane {
    fresh: ArrayQueue<Ready>,
    returned: ArrayQueue<Ready>,
    /// Messages of this lane in memory behind this queue.
    behind: AtomicUsize,
    /// More of this lane waits behind this queue, in memory or in the store.
    more: AtomicBool,
    /// Only returned messages are handed out: too many wait for a retry.
    held: AtomicBool,
}

/// The lanes of one carrier account, one for each class.
#[derive(Debug)]
pub struct Lanes {
    lanes: [Lane; 3],
    binds: Box<[Notify]>,
    /// Rung when a lane behind which more waits has run half empty.
    refill: Arc<Notify>,
    /// A [`Gate`].
    gate: AtomicU64,
    /// The gate was shut, not used up: what binds hold unwritten goes back, too.
    closed: AtomicBool,
}

/// What may still pass: one word, so that it changes at once.
#[derive(Clone, Copy)]
struct Gate {
    /// How often it has been set.
    turn: u32,
    /// How many messages may pass; [`OPEN`] = no limit.
    left: u32,
}

/// A gate that lets everything through.
const OPEN: u32 = u32::MAX;

impl Gate {
    const fn of(word: u64) -> Self {
        Self {
            turn: (word >> 32) as u32,
            left: word as u32,
        }
    }

    const fn word(self) -> u64 {
        (self.turn as u64) << 32 | self.left as u64
    }

    const fn followed_by(self, left: u32) -> Self {
        Self {
            turn: self.turn.wrapping_add(1),
            left,
        }
    }
}

impl Lanes {
    /// Lanes of `capacity` messages for each class (and as many returned ones), served by
    /// `binds` binds. `refill` is rung when a lane behind which more waits runs low.
    pub fn new(capacity: usize, returned: usize, binds: usize, refill: Arc<Notify>) -> Self {
        let lane = || Lane {
            fresh: ArrayQueue::new(capacity.max(1)),
            returned: ArrayQueue::new(returned.max(1)),
            behind: AtomicUsize::new(0),
            more: AtomicBool::new(false),
            held: AtomicBool::new(false),
        };
        Self {
            lanes: [lane(), lane(), lane()],
            binds: (0..binds).map(|_| Notify::new()).collect(),
            refill,
            gate: AtomicU64::new(
                Gate {
                    turn: 0,
                    left: OPEN,
                }
                .word(),
            ),
            closed: AtomicBool::new(false),
        }
    }

    /// Opens the gate (`None`), shuts it (`Some(0)`), or lets so many messages through: probes of
    /// an account that is coming back. Wakes the binds: something may pass, or is to go back. Called by
    /// `flow::health` alone.
    pub fn set_gate(&self, allowance: Option<u32>) {
        let left = allowance.map_or(OPEN, |allowance| allowance.min(OPEN - 1));
        // The closure always gives a value, so this cannot fail.
        let _ = self
            .gate
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |gate| {
                Some(Gate::of(gate).followed_by(left).word())
            });
        self.closed.store(left == 0, Ordering::Relaxed);
        self.wake();
    }

    /// Whether the account is not to be used: binds give back what they have not written. What a
    /// gate let through that has counted down to nothing still goes.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// How many messages may still pass; `None` = the gate is open.
    pub fn allowance(&self) -> Option<u32> {
        let left = Gate::of(self.gate.load(Ordering::Relaxed)).left;
        (left != OPEN).then_some(left)
    }

    /// Whether the gate lets nothing through now.
    pub fn is_shut(&self) -> bool {
        self.allowance() == Some(0)
    }

    /// One place of the gate's allowance, if it has one: the gate that gave it.
    fn pass(&self) -> Option<Gate> {
        let mut given = Gate::of(self.gate.load(Ordering::Relaxed));
        if given.left != OPEN {
            let pass = |gate| {
                given = Gate::of(gate);
                match given.left {
                    OPEN => Some(gate),
                    left => left
                        .checked_sub(1)
                        .map(|left| Gate { left, ..given }.word()),
                }
            };
            self.gate
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, pass)
                .ok()?;
        }
        Some(given)
    }

    /// The place goes back: nothing was there to be handed out. A gate that has been set anew
    /// meanwhile takes nothing back, or one that has been shut would let a message through.
    fn unpassed(&self, given: Gate) {
        let back = |gate| {
            let now = Gate::of(gate);
            let same = now.turn == given.turn && now.left != OPEN;
            same.then(|| {
                Gate {
                    left: now.left + 1,
                    ..now
                }
                .word()
            })
        };
        // An error says that there was nothing to give back to.
        let _ = self
            .gate
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, back);
    }

    /// Puts a fresh message at the end of its lane.
    ///
    /// # Errors
    /// The message itself when the lane is full: it stays in the store.
    pub fn offer(&self, ready: Ready) -> Result<(), Ready> {
        self.lanes[ready.message.class.index()].fresh.push(ready)
    }

    /// Puts a message that has been out back before all fresh ones of its class.
    ///
    /// # Errors
    /// The message itself when there is no room: it is to be offered again in a moment.
    pub fn give_back(&self, ready: Ready) -> Result<(), Ready> {
        self.lanes[ready.message.class.index()].returned.push(ready)
    }

    /// Takes everything of one class out, past the gate: what has been out before, and what is
    /// fresh, each in order. A bind may take some of it meanwhile.
    pub fn recall(&self, class: Class) -> (Vec<Ready>, Vec<Ready>) {
        let lane = &self.lanes[class.index()];
        let all = |queue: &ArrayQueue<Ready>| {
            let drain = std::iter::from_fn(|| queue.pop());
            drain.take(queue.capacity()).collect()
        };
        (all(&lane.returned), all(&lane.fresh))
    }

    /// Takes the next message of a class; which class is next the bind decides, which serves
    /// these. While the gate counts probes that order is turned round: what may be lost is tried
    /// first, and a class has nothing while one behind it waits.
    pub fn take(&self, class: Class, served: ClassSet) -> Option<Ready> {
        // Most looks find nothing; the gate's allowance is left alone then.
        if self.ready_now(class) == 0 && !self.is_spilled(class) {
            return None;
        }
        let given = self.pass()?;
        if given.left == OPEN {
            return self.take_of(class);
        }
        let later = |other: &Class| *other > class && served.contains(*other);
        let mut others = Class::ALL.into_iter().filter(later);
        let waits = others.any(|other| self.has(other));
        let probe = if waits { None } else { self.take_of(class) };
        if probe.is_none() {
            self.unpassed(given);
        }
        probe
    }

    fn take_of(&self, class: Class) -> Option<Ready> {
        let lane = &self.lanes[class.index()];
        let ready = lane.returned.pop().or_else(|| {
            let held = lane.held.load(Ordering::Relaxed);
            if held { None } else { lane.fresh.pop() }
        });
        if lane.more.load(Ordering::Relaxed) && self.runs_low(class) {
            self.refill.notify_one();
        }
        ready
    }

    /// Messages of one class in memory: those ready here and those behind them.
    pub fn depth(&self, class: Class) -> usize {
        self.ready_now(class) + self.lanes[class.index()].behind.load(Ordering::Relaxed)
    }

    fn ready_now(&self, class: Class) -> usize {
        let lane = &self.lanes[class.index()];
        lane.fresh.len() + lane.returned.len()
    }

    /// Whether a message of one class would be handed out.
    fn has(&self, class: Class) -> bool {
        let lane = &self.lanes[class.index()];
        !lane.returned.is_empty() || !lane.held.load(Ordering::Relaxed) && !lane.fresh.is_empty()
    }

    /// Whether the queue of fresh messages of one class is half empty.
    pub fn runs_low(&self, class: Class) -> bool {
        let fresh = &self.lanes[class.index()].fresh;
        fresh.len() * 2 <= fresh.capacity()
    }

    /// Fresh messages of one class at most.
    pub fn capacity(&self) -> usize {
        self.lanes[0].fresh.capacity()
    }

    /// Free places for fresh messages of one class.
    pub fn room(&self, class: Class) -> usize {
        let fresh = &self.lanes[class.index()].fresh;
        fresh.capacity() - fresh.len()
    }

    /// Says whether fresh messages of a class are withheld for now; returns whether they have just
    /// been released.
    pub fn set_held(&self, class: Class, held: bool) -> bool {
        let lane = &self.lanes[class.index()];
        lane.held.swap(held, Ordering::Relaxed) && !held
    }

    /// Says what waits behind this queue: messages in memory, and whether there are more in the
    /// store.
    pub fn set_behind(&self, class: Class, held: usize, more: bool) {
        let lane = &self.lanes[class.index()];
        lane.behind.store(held, Ordering::Relaxed);
        lane.more.store(more || held > 0, Ordering::Relaxed);
    }

    /// Whether more of a class waits behind this queue.
    pub fn is_spilled(&self, class: Class) -> bool {
        self.lanes[class.index()].more.load(Ordering::Relaxed)
    }

    /// Wakes every bind: something has become ready.
    pub fn wake(&self) {
        for bind in &self.binds {
            bind.notify_one();
        }
    }

    /// Waits until something may have become ready for this bind. Cancel-safe.
    pub async fn ready(&self, bind: usize) {
        self.binds[bind].notified().await;
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::ids::{CarrierIndex, MessageId, MessageSeq, OrgId};
    use crate::domain::message::{Encoding, Message};
    use crate::domain::phone::{Msisdn, Sender};
    use crate::domain::time::Timestamp;

    /// A message of this class for the first account.
    fn message(class: Class) -> Message {
        Message {
            seq: MessageSeq(1),
            id: MessageId(Uuid::from_u128(1)),
            org: OrgId(Uuid::nil()),
            class,
            to: Msisdn::from_digits("255753276939").unwrap(),
            from: Sender::parse("MNARA").unwrap(),
            body: "x".into(),
            encoding: Encoding::Gsm7,
            segments: 1,
            carrier: CarrierIndex(0),
            webhook_url: None,
            metadata: None,
            tags: None,
            client_ref: None,
            live: true,
            cost: Default::default(),
            accepted_at: Timestamp(0),
            due_at: Timestamp(0),
            valid_until: Timestamp(i64::MAX),
        }
    }

    fn lanes(classes: &[Class]) -> Lanes {
        let lanes = Lanes::new(10, 10, 1, Arc::new(Notify::new()));
        for class in classes {
            let message = message(*class);
            lanes.offer(Ready::first(Arc::new(message))).unwrap();
        }
        lanes
    }

    #[test]
    fn a_gate_that_counts_lets_the_least_urgent_through_first_and_then_nothing() {
        use Class::{Otp, Promotional, Transactional};
        let lanes = lanes(&[Otp, Transactional, Promotional, Otp]);
        lanes.set_gate(Some(3));
        let take = |class| lanes.take(class, ClassSet::ALL).is_some();
        assert!(!take(Otp) && !take(Transactional) && take(Promotional));
        assert!(!take(Otp) && take(Transactional) && take(Otp));
        assert!(lanes.is_shut() && !lanes.is_closed() && !take(Otp));
        lanes.set_gate(Some(0));
        assert!(lanes.is_closed());
        lanes.set_gate(None);
        assert!(take(Otp) && !lanes.is_closed());
    }

    #[test]
    fn a_class_with_too_many_retries_withholds_its_own_fresh_messages_only() {
        use Class::{Otp, Promotional};
        let lanes = lanes(&[Otp, Promotional]);
        assert!(!lanes.set_held(Promotional, true));
        lanes.set_gate(Some(2));
        let take = |class| lanes.take(class, ClassSet::ALL).is_some();
        assert!(
            !take(Promotional) && take(Otp),
            "nor do they stand before probes"
        );
        assert!(lanes.set_held(Promotional, false));
        assert!(take(Promotional));
    }

    #[test]
    fn a_look_into_empty_lanes_uses_no_allowance() {
        let lanes = lanes(&[]);
        lanes.set_gate(Some(1));
        assert!(lanes.take(Class::Promotional, ClassSet::ALL).is_none());
        assert_eq!(lanes.allowance(), Some(1));
    }

    #[test]
    fn a_bind_for_otp_alone_probes_with_otp() {
        let lanes = lanes(&[Class::Otp, Class::Promotional]);
        lanes.set_gate(Some(1));
        assert!(lanes.take(Class::Otp, ClassSet::of([Class::Otp])).is_some());
    }

    #[test]
    fn a_gate_that_was_shut_meanwhile_takes_no_place_back() {
        let lanes = lanes(&[]);
        lanes.set_gate(Some(1));
        let given = lanes.pass().unwrap();
        lanes.set_gate(Some(0));
        lanes.unpassed(given);
        assert!(lanes.is_shut());
    }
}
