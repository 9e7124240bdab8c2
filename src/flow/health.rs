//! Lives here: how every account stands, as all parts may read it: the breaker, the operator's
//! hold, and what follows from both: the gate of its lanes, whether it takes new messages. One
//! task writes each word (`scheduler::health` the breaker, `admin` the hold); reading costs an
//! atomic load.
//! Never here: when a breaker opens (`domain::breaker`), who moves messages (`scheduler::feed`).

use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;

use super::lane::Lanes;
use crate::domain::class::Class;
use crate::domain::ids::CarrierIndex;
use crate::domain::time::Timestamp;

/// Clocks read a moment apart may differ by so much without having been set.
const CLOCK_STEP: Duration = Duration::from_secs(1);

/// How an account's breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Breaker {
    /// In use.
    Closed = 0,
    /// Not to be used.
    Open = 1,
    /// A few messages find out whether it can be used again.
    HalfOpen = 2,
}

impl Breaker {
    /// The name in metrics and in the console.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// An operator's hold on an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Hold {
    /// None.
    Free = 0,
    /// Nothing is submitted; waiting messages move or wait as if the breaker were open.
    Paused = 1,
    /// Nothing new is routed to it; what waits is sent.
    Draining = 2,
}

impl Hold {
    /// The name in the store, in metrics and in the console.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Paused => "paused",
            Self::Draining => "draining",
        }
    }
}

/// One account's standing.
#[derive(Debug, Default)]
struct Account {
    breaker: AtomicU8,
    hold: AtomicU8,
    /// Since when it is out of use (open or paused), milliseconds; 0 = in use. A half-open
    /// account goes on counting: an attempt that fails does not begin the wait anew.
    out_since: AtomicI64,
    /// New messages that may come to it while it is half-open.
    invited: AtomicU32,
    /// The first class in order of service that is invited: more urgent ones are spared.
    first_invited: AtomicU8,
    /// Why the breaker is not closed, for people.
    opened: ArcSwapOption<Opened>,
}

/// Why a breaker opened, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// In words.
    pub why: Box<str>,
    /// When.
    pub at: Timestamp,
}

/// How every account stands, by its index.
#[derive(Debug)]
pub struct Health {
    accounts: Box<[Account]>,
    /// How long messages of each class stand by an account that is out of use; `None` = for good.
    patience: [Option<Duration>; 3],
    /// The accounts' lanes, whose gates follow. Empty where there are none to be shut.
    lanes: Vec<Arc<Lanes>>,
    /// Messages that may try a half-open account.
    probes: u32,
    /// Held while a word and the gate that follows from it are written: breaker and hold have
    /// different writers. Nobody reads under it, and it is never held across a wait.
    writing: Mutex<()>,
}

/// The gate that follows from breaker and hold: how many messages may leave the lanes. The only
/// place that says so.
const fn gate(breaker: Breaker, hold: Hold, probes: u32) -> Option<u32> {
    match (hold, breaker) {
        (Hold::Paused, _) | (Hold::Free | Hold::Draining, Breaker::Open) => Some(0),
        (Hold::Free | Hold::Draining, Breaker::HalfOpen) => Some(probes),
        (Hold::Free | Hold::Draining, Breaker::Closed) => None,
    }
}

impl Health {
    /// All accounts in use. `patience` in the order of [`Class::ALL`].
    pub fn new(accounts: usize, patience: [Option<Duration>; 3]) -> Self {
        Self {
            accounts: (0..accounts).map(|_| Account::default()).collect(),
            patience,
            lanes: Vec::new(),
            probes: 0,
            writing: Mutex::new(()),
        }
    }

    /// With these accounts' lanes, in their order, and so many probes for a half-open account.
    pub fn with_lanes(self, lanes: Vec<Arc<Lanes>>, probes: u32) -> Self {
        Self {
            lanes,
            probes,
            ..self
        }
    }

    /// How the breaker stands.
    pub fn breaker(&self, carrier: CarrierIndex) -> Breaker {
        match self.load(carrier, |account| &account.breaker) {
            0 => Breaker::Closed,
            1 => Breaker::Open,
            _ => Breaker::HalfOpen,
        }
    }

    /// The operator's hold.
    pub fn hold(&self, carrier: CarrierIndex) -> Hold {
        match self.load(carrier, |account| &account.hold) {
            0 => Hold::Free,
            1 => Hold::Paused,
            _ => Hold::Draining,
        }
    }

    fn load(&self, carrier: CarrierIndex, word: impl Fn(&Account) -> &AtomicU8) -> u8 {
        let account = self.accounts.get(carrier.index());
        account.map_or(0, |account| word(account).load(Ordering::Relaxed))
    }

    /// Written by `scheduler::health` alone. The gate has followed when this returns.
    pub fn set_breaker(&self, carrier: CarrierIndex, breaker: Breaker, now: Timestamp) {
        self.write(carrier, now, |account| {
            account.breaker.store(breaker as u8, Ordering::Relaxed);
            account.invited.store(0, Ordering::Relaxed);
            if breaker == Breaker::Closed {
                account.opened.store(None);
            }
        });
    }

    /// Why a breaker has opened; forgotten when it closes. Written by `scheduler::health` alone.
    pub fn set_opened(&self, carrier: CarrierIndex, opened: Opened) {
        if let Some(account) = self.accounts.get(carrier.index()) {
            account.opened.store(Some(Arc::new(opened)));
        }
    }

    /// Why and when the breaker opened, if it is not closed.
    pub fn opened(&self, carrier: CarrierIndex) -> Option<Arc<Opened>> {
        self.accounts.get(carrier.index())?.opened.load_full()
    }

    /// Written by the operator's hand alone. The gate has followed when this returns.
    pub fn set_hold(&self, carrier: CarrierIndex, hold: Hold, now: Timestamp) {
        self.write(carrier, now, |account| {
            account.hold.store(hold as u8, Ordering::Relaxed);
        });
    }

    fn write(&self, carrier: CarrierIndex, now: Timestamp, word: impl FnOnce(&Account)) {
        let Some(account) = self.accounts.get(carrier.index()) else {
            return;
        };
        let _writing = self.writer();
        word(account);
        let (breaker, hold) = (self.breaker(carrier), self.hold(carrier));
        let since = account.out_since.load(Ordering::Relaxed);
        if self.is_out(carrier) && since == 0 {
            account.out_since.store(now.0, Ordering::Relaxed);
        } else if breaker == Breaker::Closed && hold != Hold::Paused {
            account.out_since.store(0, Ordering::Relaxed);
        }
        if let Some(lanes) = self.lanes.get(carrier.index()) {
            lanes.set_gate(gate(breaker, hold, self.probes));
        }
    }

    fn writer(&self) -> MutexGuard<'_, ()> {
        // It guards no value that a panic could leave half written.
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets probes go anew: those that went were not sent.
    pub fn renew_probes(&self, carrier: CarrierIndex) {
        let _writing = self.writer();
        if self.breaker(carrier) == Breaker::HalfOpen
            && self.hold(carrier) != Hold::Paused
            && let Some(lanes) = self.lanes.get(carrier.index())
        {
            lanes.set_gate(Some(self.probes));
        }
    }

    /// Invites so many new messages to a half-open account whose lanes are empty: somebody has to
    /// try it. OTP is asked only when nothing else has come.
    pub fn invite(&self, carrier: CarrierIndex, messages: u32, even_otp: bool) {
        if let Some(account) = self.accounts.get(carrier.index()) {
            let first = if even_otp {
                Class::Otp
            } else {
                Class::Transactional
            };
            account.first_invited.store(first as u8, Ordering::Relaxed);
            account.invited.store(messages, Ordering::Relaxed);
        }
    }

    /// Uses up one invitation, if there is one for this class.
    pub fn accept_invitation(&self, carrier: CarrierIndex, class: Class) -> bool {
        let Some(account) = self.accounts.get(carrier.index()) else {
            return false;
        };
        let less = |left: u32| left.checked_sub(1);
        class as u8 >= account.first_invited.load(Ordering::Relaxed)
            && account
                .invited
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
                .is_ok()
    }

    /// Whether nothing may be submitted to it: its breaker is open, or it is paused.
    pub fn is_out(&self, carrier: CarrierIndex) -> bool {
        self.breaker(carrier) == Breaker::Open || self.hold(carrier) == Hold::Paused
    }

    /// Whether a message of this class, new or waiting, should rather be with another account, if
    /// there is one: this one has been out of use for longer than the class waits.
    pub fn is_given_up(&self, carrier: CarrierIndex, class: Class, now: Timestamp) -> bool {
        if !self.is_out(carrier) {
            return false;
        }
        let since = self.accounts.get(carrier.index());
        let since = since.map_or(0, |account| account.out_since.load(Ordering::Relaxed));
        let since = Timestamp(since);
        // The wall clock has been set back: nobody knows how long it has been.
        let set_back = since.since(now) > CLOCK_STEP;
        self.patience[class.index()].is_some_and(|patience| set_back || now >= since + patience)
    }

    /// How long messages of a class stand by; `None` = for good.
    pub fn patience(&self, class: Class) -> Option<Duration> {
        self.patience[class.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: CarrierIndex = CarrierIndex(0);

    fn health() -> Health {
        Health::new(
            1,
            [Some(Duration::ZERO), Some(Duration::from_secs(5)), None],
        )
    }

    #[test]
    fn each_class_has_its_own_patience_with_an_account_out_of_use() {
        let health = health();
        let at = Timestamp(1_000_000);
        health.set_breaker(ONE, Breaker::Open, at);
        assert!(health.is_given_up(ONE, Class::Otp, at));
        assert!(!health.is_given_up(ONE, Class::Transactional, at));
        let later = at + Duration::from_secs(5);
        assert!(health.is_given_up(ONE, Class::Transactional, later));
        assert!(!health.is_given_up(ONE, Class::Promotional, at + Duration::from_secs(86_400)));
        health.set_breaker(ONE, Breaker::HalfOpen, later);
        assert!(!health.is_given_up(ONE, Class::Otp, later));
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_stop_patience_from_ending() {
        let health = health();
        let at = Timestamp(10_000_000);
        health.set_breaker(ONE, Breaker::Open, at);
        let hour_before = at - Duration::from_secs(3_600);
        assert!(health.is_given_up(ONE, Class::Otp, hour_before));
        assert!(health.is_given_up(ONE, Class::Transactional, hour_before));
        assert!(!health.is_given_up(ONE, Class::Promotional, hour_before));
        let moment_before = at - Duration::from_millis(20);
        assert!(!health.is_given_up(ONE, Class::Transactional, moment_before));
    }

    #[test]
    fn an_attempt_that_fails_does_not_begin_the_wait_anew() {
        let health = health();
        let at = Timestamp(1_000_000);
        health.set_breaker(ONE, Breaker::Open, at);
        let later = at + Duration::from_secs(6);
        health.set_breaker(ONE, Breaker::HalfOpen, later);
        health.set_breaker(ONE, Breaker::Open, later);
        assert!(health.is_given_up(ONE, Class::Transactional, later));
        health.set_breaker(ONE, Breaker::Closed, later);
        health.set_breaker(ONE, Breaker::Open, later);
        assert!(!health.is_given_up(ONE, Class::Transactional, later));
    }

    #[test]
    fn a_half_open_account_takes_those_invited_and_otp_only_when_nothing_else_came() {
        let (health, at) = (health(), Timestamp(1));
        health.set_breaker(ONE, Breaker::HalfOpen, at);
        let takes = |class| health.accept_invitation(ONE, class);
        assert!(!takes(Class::Promotional));
        health.invite(ONE, 2, false);
        assert!(!takes(Class::Otp));
        assert!(takes(Class::Transactional) && takes(Class::Promotional));
        assert!(!takes(Class::Promotional), "two were invited");
        health.invite(ONE, 2, true);
        assert!(takes(Class::Otp));
        health.set_breaker(ONE, Breaker::Open, at);
        assert!(!takes(Class::Otp), "it is tried no more");
    }

    #[test]
    fn the_gate_follows_breaker_and_hold_in_any_order() {
        let lanes = Arc::new(Lanes::new(4, 4, 1, Arc::default()));
        let health = health().with_lanes(vec![Arc::clone(&lanes)], 3);
        let at = Timestamp(1);
        health.set_breaker(ONE, Breaker::Open, at);
        assert_eq!(lanes.allowance(), Some(0));
        health.set_hold(ONE, Hold::Paused, at);
        health.set_breaker(ONE, Breaker::HalfOpen, at);
        health.renew_probes(ONE);
        assert_eq!(lanes.allowance(), Some(0), "a pause outlasts the breaker");
        health.set_hold(ONE, Hold::Draining, at);
        assert_eq!(lanes.allowance(), Some(3));
        health.set_breaker(ONE, Breaker::Closed, at);
        assert_eq!(lanes.allowance(), None);
        health.set_hold(ONE, Hold::Paused, at);
        health.set_breaker(ONE, Breaker::Open, at);
        health.set_hold(ONE, Hold::Free, at);
        assert_eq!(lanes.allowance(), Some(0), "the breaker outlasts a pause");
    }

    #[test]
    fn a_drained_account_takes_nothing_new_and_keeps_what_it_has() {
        let health = health();
        let at = Timestamp(1);
        health.set_hold(ONE, Hold::Draining, at);
        assert!(!health.is_out(ONE));
    }

    #[test]
    fn a_pause_counts_from_its_own_begin_and_outlasts_the_breaker() {
        let health = health();
        let at = Timestamp(1_000_000);
        health.set_hold(ONE, Hold::Paused, at);
        health.set_breaker(ONE, Breaker::Open, at + Duration::from_secs(4));
        health.set_breaker(ONE, Breaker::Closed, at + Duration::from_secs(5));
        assert!(health.is_given_up(ONE, Class::Transactional, at + Duration::from_secs(5)));
        health.set_hold(ONE, Hold::Free, at + Duration::from_secs(6));
        assert!(!health.is_out(ONE));
    }
}
