//! Lives here: what is asked of the writer and may be called off: who asks knows whether it was.
//! Never here: what cannot be unsaid (outcomes, receipts); what is asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::batch::{Chore, ChoreDone, Errand};
use super::control::AuditEntry;
use super::upkeep::{Request, Tidied, Tidy};
use super::writer::Work;
use super::{Store, StoreError};

/// How long an operator's command waits for the writer: longer than any commit of a server that
/// answers, shorter than `ctl` waits.
const PATIENCE: Duration = Duration::from_secs(10);
/// The daemon's own work waits until it is known what has become of it.
const FOR_EVER: Duration = Duration::MAX;

/// What a chore came to, which is told in the chore's own kind: `own!(done, Kind(what) => what)`.
macro_rules! own {
    ($done:expr, $kind:pat => $what:expr) => {{
        let $kind = $done else {
            unreachable!("a chore is answered in its own kind");
        };
        $what
    }};
}
pub(super) use own;

/// Nobody has taken it up.
const WAITS: u8 = 0;
/// A transaction with it has been begun.
const BEGUN: u8 = 1;
/// Who asked has gone before that.
const CALLED_OFF: u8 = 2;

/// The writer's side: it says whether it may be begun, and takes the answer.
#[derive(Debug)]
pub(super) struct Asked<T> {
    stage: Arc<AtomicU8>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

/// The side of whoever asks. Dropping it calls off what has not been begun.
#[derive(Debug)]
struct Answer<T> {
    stage: Arc<AtomicU8>,
    reply: oneshot::Receiver<Result<T, StoreError>>,
}

/// Both sides of one question.
fn ask<T>() -> (Asked<T>, Answer<T>) {
    let stage = Arc::new(AtomicU8::new(WAITS));
    let (to, reply) = oneshot::channel();
    let asked = Asked {
        stage: Arc::clone(&stage),
        reply: to,
    };
    (asked, Answer { stage, reply })
}

impl Store {
    /// Has the writer do something between two batches, for the daemon itself.
    pub(super) async fn tidy(&self, work: Tidy) -> Result<Tidied, StoreError> {
        let request = |asked| Work::Tidy(Box::new(Request { work, asked }));
        self.ask(FOR_EVER, request).await
    }

    /// The same, for an operator.
    pub(super) async fn tidy_soon(&self, work: Tidy) -> Result<Tidied, StoreError> {
        let request = |asked| Work::Tidy(Box::new(Request { work, asked }));
        self.ask(PATIENCE, request).await
    }

    /// Has the writer do a chore, for the daemon itself.
    pub(super) async fn errand(&self, chore: Chore) -> Result<ChoreDone, StoreError> {
        let audit = None;
        let errand = |asked| Errand {
            chore,
            audit,
            asked,
        };
        let errand = |asked| Work::Errand(Box::new(errand(asked)));
        self.ask(FOR_EVER, errand).await
    }

    /// The same, for an operator.
    pub(super) async fn command(
        &self,
        chore: Chore,
        audit: Option<AuditEntry>,
    ) -> Result<ChoreDone, StoreError> {
        let errand = |asked| Errand {
            chore,
            audit,
            asked,
        };
        let errand = |asked| Work::Errand(Box::new(errand(asked)));
        self.ask(PATIENCE, errand).await
    }

    /// Nothing is asked while commits fail. Whoever is told no does not find it done later.
    async fn ask<T>(
        &self,
        patience: Duration,
        work: impl FnOnce(Asked<T>) -> Work,
    ) -> Result<T, StoreError> {
        if !self.inner.health.is_well() {
            return Err(StoreError::Unavailable);
        }
        let (asked, answer) = ask();
        answer.within(patience, self.send(work(asked))).await
    }

    pub(super) async fn count(&self, chore: Chore) -> Result<u64, StoreError> {
        Ok(own!(self.errand(chore).await?, ChoreDone::Count(count) => count))
    }
}

impl<T> Asked<T> {
    /// To be asked before each transaction that it would be part of; `false`: it has been called off,
    /// and must not be done.
    pub(super) fn begin(&self) -> bool {
        // Who has gone while it was under way was told that it may be done, not that it will be.
        !self.reply.is_closed() && shift(&self.stage, WAITS, BEGUN)
    }

    /// The transaction has come to nothing, for certain. It may be begun again.
    pub(super) fn rest(&self) {
        shift(&self.stage, BEGUN, WAITS);
    }

    /// Says what has become of it. Who has gone needs no answer.
    pub(super) fn answer(self, done: Result<T, StoreError>) {
        let _ = self.reply.send(done);
    }
}

impl<T> Answer<T> {
    /// Sends the question and waits for its answer, so long at most.
    ///
    /// # Errors
    /// Those of the answer; [`StoreError::Unavailable`]: it was called off, nothing was done;
    /// [`StoreError::InDoubt`]: it was under way when the time was up.
    async fn within(
        mut self,
        patience: Duration,
        sent: impl Future<Output = Result<(), StoreError>>,
    ) -> Result<T, StoreError> {
        let answered = async {
            sent.await?;
            match (&mut self.reply).await {
                Ok(done) => done,
                // The writer has ended: with its transaction, or without.
                Err(_) if self.stage.load(Ordering::Acquire) == BEGUN => Err(StoreError::InDoubt),
                Err(_) => Err(StoreError::Closed),
            }
        };
        match timeout(patience, answered).await {
            Ok(done) => done,
            Err(_) if shift(&self.stage, WAITS, CALLED_OFF) => Err(StoreError::Unavailable),
            Err(_) => Err(StoreError::InDoubt),
        }
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        shift(&self.stage, WAITS, CALLED_OFF);
    }
}

/// Whether it was this side that came first.
fn shift(stage: &AtomicU8, from: u8, to: u8) -> bool {
    stage
        .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
        .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sent() -> Result<(), StoreError> {
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_given_up_before_it_was_begun_is_never_begun() {
        let (asked, answer) = ask::<()>();
        let done = answer.within(PATIENCE, sent()).await;
        assert!(matches!(done, Err(StoreError::Unavailable)), "{done:?}");
        assert!(!asked.begin());
        let (asked, answer) = ask::<()>();
        drop(answer);
        assert!(!asked.begin());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_given_up_while_it_was_under_way_is_in_doubt() {
        let (asked, answer) = ask::<()>();
        assert!(asked.begin());
        let done = answer.within(PATIENCE, sent()).await;
        assert!(matches!(done, Err(StoreError::InDoubt)), "{done:?}");
        let (asked, answer) = ask::<()>();
        assert!(asked.begin());
        drop(asked);
        let done = answer.within(FOR_EVER, sent()).await;
        assert!(matches!(done, Err(StoreError::InDoubt)), "{done:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_came_to_nothing_is_begun_again_while_somebody_waits() {
        let (asked, answer) = ask::<()>();
        assert!(asked.begin());
        asked.rest();
        assert!(asked.begin());
        asked.rest();
        let done = answer.within(PATIENCE, sent()).await;
        assert!(matches!(done, Err(StoreError::Unavailable)), "{done:?}");
        assert!(!asked.begin());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_reaches_whoever_waits_and_a_writer_that_ends_before_is_closed() {
        let (asked, answer) = ask();
        assert!(asked.begin());
        asked.answer(Ok(7));
        assert!(matches!(answer.within(PATIENCE, sent()).await, Ok(7)));
        let (asked, answer) = ask::<()>();
        drop(asked);
        let done = answer.within(FOR_EVER, sent()).await;
        assert!(matches!(done, Err(StoreError::Closed)), "{done:?}");
    }
}
