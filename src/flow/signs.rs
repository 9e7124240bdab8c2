//! Lives here: observations of accounts, and the channel by which they reach their judge.
//! Never here: who judges (`scheduler::health`).

use std::time::Duration;

use tokio::sync::mpsc;

use crate::domain::class::Class;
use crate::domain::ids::CarrierIndex;
use crate::domain::phone::Msisdn;
use crate::telemetry::metrics::scheduler as meter;

/// Batches of observations that may wait; full: what comes is dropped and counted, because
/// statistics must never make a bind wait.
const SIGNS: usize = 1024;

/// One observation of an account, for whoever judges its health. Observations are statistics: a
/// full queue drops them.
#[derive(Clone, Debug)]
pub enum Sign {
    /// A submit_sm was answered, or given up.
    Answer {
        /// The account that was tried.
        carrier: CarrierIndex,
        /// Of which class the message was.
        class: Class,
        /// What came of it.
        answer: SignedAnswer,
        /// How long the carrier took; for [`SignedAnswer::Silence`] the whole wait.
        took: Duration,
    },
    /// A message had its last word from a carrier.
    Receipt {
        /// The account that took it.
        carrier: CarrierIndex,
        /// Whom it was for.
        to: Msisdn,
        /// Of which class it was.
        class: Class,
        /// On the handset (true) or not.
        delivered: bool,
        /// From the carrier's yes to its receipt.
        took: Duration,
    },
}

/// What a submit_sm came to, as far as its account's health goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedAnswer {
    /// Taken.
    Accepted,
    /// The carrier asked for a slower pace: it works, and is busy.
    Throttled,
    /// Refused for the message's own sake: says nothing of the account.
    Refused,
    /// Refused for the account's or the system's sake.
    Failed,
    /// No answer, or the bind was lost.
    Silence,
}

/// The sending side.
#[derive(Clone, Debug)]
pub struct Signs(mpsc::Sender<Vec<Sign>>);

/// A channel for observations.
pub fn channel() -> (Signs, mpsc::Receiver<Vec<Sign>>) {
    let (to, from) = mpsc::channel(SIGNS);
    (Signs(to), from)
}

impl Signs {
    /// Tells the judge, if it keeps up. Never waits.
    pub fn tell(&self, signs: Vec<Sign>) {
        if signs.is_empty() {
            return;
        }
        match self.0.try_send(signs) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(signs)) => meter::signs_dropped(signs.len()),
            // Only at shutdown: nobody judges any more.
            Err(mpsc::error::TrySendError::Closed(_)) => {}
        }
    }
}
