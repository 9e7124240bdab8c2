//! Lives here: what a bind takes from its account's lanes: how many segments, of which classes,
//! at which pace.
//! Never here: sockets, sessions, intents.

use std::time::Instant;

use super::rate::Gcra;
use super::throttle::Throttle;
use crate::domain::class::Class;
use crate::domain::time::Timestamp;
use crate::flow::Ready;
use crate::flow::lane::Lanes;

/// Segments of one intent at most: a batch is a row, and a crash puts its messages in doubt.
const BATCH_MAX: u32 = 64;

/// A bind's hand in the lanes.
pub(super) struct Puller {
    /// Window slots that only OTP may use.
    otp_slots: usize,
    rate: Gcra,
    throttle: Throttle,
    /// Segments taken since `since`, for the rate that was really reached.
    taken: u32,
    since: Instant,
    recent: f64,
}

/// What a pull has brought.
#[derive(Default)]
pub(super) struct Pulled {
    /// Need no intent: OTP.
    pub(super) at_once: Vec<Ready>,
    /// Need their intent committed first.
    pub(super) to_intend: Vec<Ready>,
    /// Were past their validity.
    pub(super) expired: Vec<Ready>,
    /// Nothing may be taken before this, though there may be something.
    pub(super) wait_until: Option<Instant>,
    /// It ended for want of messages, or with a full batch: look again when the bell rings.
    pub(super) empty: bool,
}

impl Puller {
    /// For a bind of this window and pace.
    pub(super) fn new(window: usize, otp_reserve_percent: u8, max_tps: u32, now: Instant) -> Self {
        let otp_slots = (window * usize::from(otp_reserve_percent) / 100).min(window - 1);
        Self {
            otp_slots,
            rate: Gcra::new(max_tps),
            throttle: Throttle::new(max_tps, now),
            taken: 0,
            since: now,
            recent: f64::from(max_tps),
        }
    }

    /// Takes what fits into `free` window slots now.
    pub(super) fn pull(
        &mut self,
        lanes: &Lanes,
        account: &Gcra,
        mut free: usize,
        now: Instant,
        wall: Timestamp,
    ) -> Pulled {
        let mut pulled = Pulled::default();
        if let Some(rate) = self.throttle.recover(now) {
            self.rate.set_rate(rate);
        }
        let mut intended = 0;
        while free > 0 {
            if intended >= BATCH_MAX {
                // There may be more; an OTP that comes now must not wait for this batch.
                pulled.empty = true;
                break;
            }
            let shut = self
                .throttle
                .paused(now)
                .or_else(|| account.wait(now))
                .or_else(|| self.rate.wait(now));
            if shut.is_some() {
                pulled.wait_until = shut;
                break;
            }
            let limit = if free > self.otp_slots {
                Class::Promotional
            } else {
                Class::Otp
            };
            let Some(ready) = lanes.take(limit) else {
                pulled.empty = true;
                break;
            };
            if ready.message.valid_until < wall {
                pulled.expired.push(ready);
                continue;
            }
            let segments = ready.parts.count();
            account.charge(segments, now);
            self.rate.charge(segments, now);
            self.count(segments, now);
            free = free.saturating_sub(segments as usize);
            // For OTP the accept is the intent: in doubt it is resent anyway, and time counts.
            // One that is already a resend is recorded like the rest: it goes once only.
            if ready.message.class == Class::Otp && !ready.possible_duplicate {
                pulled.at_once.push(ready);
            } else {
                intended += segments;
                pulled.to_intend.push(ready);
            }
        }
        pulled
    }

    /// The carrier said "slower".
    pub(super) fn slow_down(&mut self, pause: std::time::Duration, now: Instant) {
        self.count(0, now);
        if let Some(rate) = self.throttle.slow_down(pause, self.recent, now) {
            self.rate.set_rate(rate);
        }
    }

    fn count(&mut self, segments: u32, now: Instant) {
        self.taken += segments;
        let span = now.saturating_duration_since(self.since).as_secs_f64();
        if span >= 0.25 {
            // A span with a long silence in it says nothing about the pace.
            if span < 1.0 {
                self.recent = f64::from(self.taken) / span;
            }
            self.taken = 0;
            self.since = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::sync::Notify;

    use super::*;
    use crate::carrier::bind::tests::message;
    use crate::domain::message::Message;

    fn lanes(classes: &[Class]) -> Lanes {
        let lanes = Lanes::new(1000, 10, 1, 4, Arc::new(Notify::new()));
        for class in classes {
            let message = Message {
                class: *class,
                ..message("x", 1)
            };
            lanes.offer(Ready::first(Arc::new(message))).unwrap();
        }
        lanes
    }

    fn pull(lanes: &Lanes, free: usize, wall: i64) -> Pulled {
        let now = Instant::now() + Duration::from_secs(1);
        let mut puller = Puller::new(100, 10, 10_000, now);
        puller.pull(lanes, &Gcra::new(10_000), free, now, Timestamp(wall))
    }

    #[test]
    fn otp_goes_at_once_and_the_rest_waits_for_its_intent() {
        use Class::{Otp, Promotional, Transactional};
        let pulled = pull(&lanes(&[Promotional, Transactional, Otp]), 50, 0);
        assert_eq!((pulled.at_once.len(), pulled.to_intend.len()), (1, 2));
        assert_eq!(pulled.to_intend[0].message.class, Transactional);
        assert!(pulled.empty);
    }

    #[test]
    fn the_last_slots_of_a_window_are_for_otp() {
        let full = lanes(&[Class::Transactional; 30]);
        assert_eq!(
            pull(&full, 12, 0).to_intend.len(),
            2,
            "10 of 100 slots are reserved"
        );
        let both = lanes(&[Class::Transactional, Class::Otp]);
        let pulled = pull(&both, 5, 0);
        assert_eq!((pulled.at_once.len(), pulled.to_intend.len()), (1, 0));
    }

    #[test]
    fn promotional_has_its_floor() {
        let mut classes = vec![Class::Transactional; 40];
        classes.extend([Class::Promotional; 40]);
        let pulled = pull(&lanes(&classes), 50, 0);
        let promotional = pulled
            .to_intend
            .iter()
            .filter(|ready| ready.message.class == Class::Promotional)
            .count();
        assert!((7..=9).contains(&promotional), "{promotional}");
    }

    #[test]
    fn what_is_past_its_validity_is_not_sent() {
        let lanes = lanes(&[]);
        let stale = Message {
            valid_until: Timestamp(10),
            ..message("x", 1)
        };
        lanes.offer(Ready::first(Arc::new(stale))).unwrap();
        let pulled = pull(&lanes, 50, 11);
        assert_eq!((pulled.expired.len(), pulled.to_intend.len()), (1, 0));
    }

    #[test]
    fn a_spent_rate_says_when_to_come_back() {
        let lanes = lanes(&[Class::Transactional; 60]);
        let now = Instant::now() + Duration::from_secs(1);
        let mut puller = Puller::new(100, 0, 100, now);
        let account = Gcra::new(10_000);
        let pulled = puller.pull(&lanes, &account, 50, now, Timestamp(0));
        assert!(pulled.to_intend.len() <= 2, "{}", pulled.to_intend.len());
        assert!(pulled.wait_until.is_some_and(|until| until > now));
    }
}
