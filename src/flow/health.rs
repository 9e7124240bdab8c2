//! Lives here: how every account stands, as all parts may read it: the breaker, the operator's
//! hold. One task writes each word (`scheduler::health` the breaker, `admin` the hold); reading
//! costs an atomic load.
//! Never here: when a breaker opens (`domain::breaker`), who moves messages (`scheduler::feed`).

use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};
use std::time::Duration;

use crate::domain::class::Class;
use crate::domain::ids::CarrierIndex;
use crate::domain::time::Timestamp;

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
    /// Since when it is out of use (open or paused), milliseconds; 0 = in use.
    out_since: AtomicI64,
}

/// How every account stands, by its index.
#[derive(Debug)]
pub struct Health {
    accounts: Box<[Account]>,
    /// How long messages of each class stand by an account that is out of use; `None` = for good.
    patience: [Option<Duration>; 3],
}

impl Health {
    /// All accounts in use. `patience` in the order of [`Class::ALL`].
    pub fn new(accounts: usize, patience: [Option<Duration>; 3]) -> Self {
        Self {
            accounts: (0..accounts).map(|_| Account::default()).collect(),
            patience,
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

    /// Written by `scheduler::health` alone.
    pub fn set_breaker(&self, carrier: CarrierIndex, breaker: Breaker, now: Timestamp) {
        if let Some(account) = self.accounts.get(carrier.index()) {
            account.breaker.store(breaker as u8, Ordering::Relaxed);
            self.mark(account, carrier, now);
        }
    }

    /// Written by the operator's hand alone.
    pub fn set_hold(&self, carrier: CarrierIndex, hold: Hold, now: Timestamp) {
        if let Some(account) = self.accounts.get(carrier.index()) {
            account.hold.store(hold as u8, Ordering::Relaxed);
            self.mark(account, carrier, now);
        }
    }

    fn mark(&self, account: &Account, carrier: CarrierIndex, now: Timestamp) {
        let out = self.is_out(carrier);
        let since = account.out_since.load(Ordering::Relaxed);
        if out && since == 0 {
            account.out_since.store(now.0, Ordering::Relaxed);
        } else if !out {
            account.out_since.store(0, Ordering::Relaxed);
        }
    }

    /// Whether nothing may be submitted to it: its breaker is open, or it is paused.
    pub fn is_out(&self, carrier: CarrierIndex) -> bool {
        self.breaker(carrier) == Breaker::Open || self.hold(carrier) == Hold::Paused
    }

    /// Whether a message of this class should rather be with another account, if there is one:
    /// this one has been out of use for longer than the class waits.
    pub fn is_given_up(&self, carrier: CarrierIndex, class: Class, now: Timestamp) -> bool {
        if !self.is_out(carrier) {
            return false;
        }
        let since = self.accounts.get(carrier.index());
        let since = since.map_or(0, |account| account.out_since.load(Ordering::Relaxed));
        self.patience[class.index()].is_some_and(|patience| now >= Timestamp(since) + patience)
    }

    /// How long messages of a class stand by; `None` = for good.
    pub fn patience(&self, class: Class) -> Option<Duration> {
        self.patience[class.index()]
    }

    /// Whether a new message of this class may be given to it.
    pub fn takes_new(&self, carrier: CarrierIndex, class: Class, now: Timestamp) -> bool {
        self.hold(carrier) != Hold::Draining && !self.is_given_up(carrier, class, now)
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
    fn a_drained_account_takes_nothing_new_and_keeps_what_it_has() {
        let health = health();
        let at = Timestamp(1);
        health.set_hold(ONE, Hold::Draining, at);
        assert!(!health.takes_new(ONE, Class::Promotional, at));
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
