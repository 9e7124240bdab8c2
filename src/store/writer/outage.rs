//! Lives here: how the writer tells that commits do not work, or work again: to everybody by
//! `StoreHealth`, to people by the log, each reason once.
//! Never here: what is tried again, and when a batch is given up (`writer`).

use std::pin::pin;
use std::time::Duration;

use tokio::time::timeout;

use super::{Ends, Task, refuse};
use crate::store::StoreError;
use crate::store::rows::Rows;
use crate::telemetry::metrics::store as meter;

/// How long the writer waits before it tries a failed commit again.
const RETRY: Duration = Duration::from_millis(250);

/// A commit that takes longer is as good as none: a server that is frozen, or a network that loses
/// everything, breaks no connection for a while. Many times what a slow disk takes.
const LATE: Duration = Duration::from_secs(5);

/// Why nothing is accepted while a commit is late.
const NO_ANSWER: &str = "a commit has had no answer for five seconds";

/// What has been told of, since commits worked last, of why they do not.
#[derive(Default)]
pub(super) struct Told(Vec<String>);

impl Told {
    /// Reasons of one outage that are told; what more there is brings nobody further.
    const MAX: usize = 16;

    /// Whether this is to be told.
    fn is_news(&mut self, why: String) -> bool {
        let news = self.0.len() < Self::MAX && !self.0.contains(&why);
        if news {
            self.0.push(why);
        }
        news
    }
}

/// Waits for a transaction. If it is late the store is not well until something is kept: nothing
/// is accepted or submitted any more, and who waits in the queues is told no.
pub(super) async fn in_time<T>(
    work: impl Future<Output = T>,
    ends: &mut Ends,
    told: &mut Told,
    meter: &meter::Writer,
) -> T {
    let mut work = pin!(work);
    if let Ok(done) = timeout(LATE, work.as_mut()).await {
        return done;
    }
    if ends.health.set_well(false) && told.is_news(NO_ANSWER.into()) {
        tracing::error!(
            error = NO_ANSWER,
            "accepting and submitting are suspended; whoever waits for it is told that it may be kept"
        );
    }
    meter.sick();
    loop {
        refuse_waiting(ends);
        if let Ok(done) = timeout(RETRY, work.as_mut()).await {
            return done;
        }
    }
}

/// Who has asked for a yes meanwhile need not wait for it.
fn refuse_waiting(ends: &mut Ends) {
    let mut waiting = Vec::new();
    for queue in &mut ends.accepts {
        waiting.extend(std::iter::from_fn(|| queue.try_recv().ok()));
    }
    refuse(&mut waiting);
}

impl<R: Rows> Task<R> {
    pub(super) fn set_well(&mut self) {
        self.told = Told::default();
        if self.ends.health.set_well(true) {
            tracing::info!("the store commits again");
        }
    }

    pub(super) fn set_sick(&mut self, error: &StoreError) {
        let news = self.told.is_news(error.to_string());
        if self.ends.health.set_well(false) {
            tracing::error!(%error, "commit failed; accepting and submitting are suspended");
        } else if news {
            tracing::error!(%error, "commits fail for another reason now");
        }
        self.meter.sick();
    }

    /// A further try has failed. What has been told of is not told of again.
    pub(super) async fn still_sick(&mut self, error: &StoreError) {
        if self.told.is_news(error.to_string()) {
            tracing::error!(%error, "the database cannot be had again yet");
        }
        refuse_waiting(&mut self.ends);
        tokio::time::sleep(RETRY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_of_an_outage_is_told_once() {
        let mut told = Told::default();
        let said = ["lost", "lost", "in use", "lost", "no room", "in use"];
        let news = said.map(|why| told.is_news(why.into()));
        assert_eq!(news, [true, false, true, false, true, false]);
        let many = (0..100).filter(|number| told.is_news(number.to_string()));
        assert_eq!(many.count(), Told::MAX - 3);
    }
}
