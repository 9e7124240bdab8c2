//! Lives here: the channel by which observations of accounts reach their judge.
//! Never here: what they say (`flow::Sign`), who judges (`scheduler::health`).

use tokio::sync::mpsc;

use super::Sign;
use crate::telemetry::metrics::scheduler as meter;

/// Batches of observations that may wait; full: what comes is dropped and counted, because
/// statistics must never make a bind wait.
const SIGNS: usize = 1024;

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
