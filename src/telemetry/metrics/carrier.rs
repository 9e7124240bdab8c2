//! Lives here: handles of a bind and of receipts, prepared once.
//! Never here: names (they stand together in `metrics`), look-ups on the data path.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use super::{
    BIND_ALARM, BIND_IN_FLIGHT, BIND_RECONNECTS, BIND_RESPONSE_SECONDS, BIND_STATE, BIND_SUBMITS,
    BIND_THROTTLED, BIND_TPS, BIND_WINDOW, MO_REFUSED, PDU_ERRORS, RECEIPTS_REFUSED,
};

/// The handles of one bind.
pub struct Bind {
    carrier: String,
    bind: String,
    in_flight: Gauge,
    accepted: Counter,
    refused: Counter,
    in_doubt: Counter,
    throttled: Counter,
    seconds: Histogram,
    receipts_refused: Counter,
    mo_refused: Counter,
}

impl Bind {
    /// The handles of a bind.
    pub fn new(carrier: &str, bind: &str) -> Self {
        let (carrier, bind) = (carrier.to_owned(), bind.to_owned());
        let submits = |verdict: &'static str| counter!(BIND_SUBMITS, "carrier" => carrier.clone(), "bind" => bind.clone(), "verdict" => verdict);
        Self {
            in_flight: gauge!(BIND_IN_FLIGHT, "carrier" => carrier.clone(), "bind" => bind.clone()),
            accepted: submits("accepted"),
            refused: submits("refused"),
            in_doubt: submits("in_doubt"),
            throttled: counter!(BIND_THROTTLED, "carrier" => carrier.clone(), "bind" => bind.clone()),
            seconds: histogram!(BIND_RESPONSE_SECONDS, "carrier" => carrier.clone(), "bind" => bind.clone()),
            receipts_refused: counter!(RECEIPTS_REFUSED, "carrier" => carrier.clone()),
            mo_refused: counter!(MO_REFUSED, "carrier" => carrier.clone()),
            carrier,
            bind,
        }
    }

    /// Which of its states the bind is in.
    pub fn state(&self, state: &'static str, all: &[&'static str]) {
        for each in all {
            gauge!(BIND_STATE, "carrier" => self.carrier.clone(), "bind" => self.bind.clone(), "state" => *each)
                .set(f64::from(u8::from(*each == state)));
        }
    }

    /// Its limits: segments that may await their answer, and segments a second.
    pub fn limits(&self, window: usize, tps: u32) {
        gauge!(BIND_WINDOW, "carrier" => self.carrier.clone(), "bind" => self.bind.clone())
            .set(window as f64);
        gauge!(BIND_TPS, "carrier" => self.carrier.clone(), "bind" => self.bind.clone())
            .set(f64::from(tps));
    }

    /// Whether a person is needed, and for what.
    pub fn alarm(&self, reason: &'static str, on: bool) {
        gauge!(BIND_ALARM, "carrier" => self.carrier.clone(), "bind" => self.bind.clone(), "reason" => reason)
            .set(f64::from(u8::from(on)));
    }

    /// Segments in flight.
    pub fn in_flight(&self, count: usize) {
        self.in_flight.set(count as f64);
    }

    /// A segment was answered, with ROK or with an error.
    pub fn answered(&self, well: bool, took: Duration) {
        let counter = if well { &self.accepted } else { &self.refused };
        counter.increment(1);
        self.seconds.record(took);
    }

    /// The carrier asked for a slower pace.
    pub fn throttled(&self) {
        self.throttled.increment(1);
    }

    /// A segment was not answered.
    pub fn in_doubt(&self) {
        self.in_doubt.increment(1);
    }

    /// A session ended.
    pub fn ended(&self, reason: &'static str) {
        counter!(BIND_RECONNECTS, "carrier" => self.carrier.clone(), "bind" => self.bind.clone(), "reason" => reason)
            .increment(1);
    }

    /// A PDU could not be used.
    pub fn pdu_error(&self, reason: &'static str) {
        counter!(PDU_ERRORS, "carrier" => self.carrier.clone(), "reason" => reason).increment(1);
    }

    /// A receipt was sent back because the inbox was full.
    pub fn receipt_refused(&self) {
        self.receipts_refused.increment(1);
    }

    /// A mobile-originated message was refused.
    pub fn mo_refused(&self) {
        self.mo_refused.increment(1);
    }
}
