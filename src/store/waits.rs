//! Lives here: who waits until a carrier has taken a message, or it has ended otherwise.
//! Never here: how long they wait (`api`), what they are told.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::Store;
use super::batch::Reached;
use crate::domain::ids::MessageId;
use crate::domain::message::State;

/// Who waits at once. One more is told at once what there is: as if it had not asked to wait.
const WAITS_MAX: usize = 1024;

/// The waiting, by message. What nobody waits for costs the writer one look at a number a commit.
#[derive(Default)]
pub(super) struct Waits {
    waiting: AtomicUsize,
    by_message: Mutex<HashMap<MessageId, oneshot::Sender<()>>>,
}

/// One who waits. Dropping it ends the wait.
pub struct Wait {
    waits: Arc<Waits>,
    message: MessageId,
    over: oneshot::Receiver<()>,
}

impl Waits {
    fn begin(self: &Arc<Self>, message: MessageId) -> Option<Wait> {
        let (to, over) = oneshot::channel();
        let mut waiting = self.lock();
        if waiting.len() >= WAITS_MAX {
            return None;
        }
        let Entry::Vacant(place) = waiting.entry(message) else {
            return None;
        };
        place.insert(to);
        self.waiting.store(waiting.len(), Ordering::Release);
        drop(waiting);
        Some(Wait {
            waits: Arc::clone(self),
            message,
            over,
        })
    }

    /// Wakes who waits for one of these messages. To be called after the commit.
    pub(super) fn wake(&self, reached: &[Reached]) {
        if self.waiting.load(Ordering::Acquire) == 0 {
            return;
        }
        let left = |one: &&Reached| {
            !matches!(
                one.state,
                State::Scheduled | State::Queued | State::Uncertain
            )
        };
        let mut waiting = self.lock();
        for one in reached.iter().filter(left) {
            if let Some(to) = waiting.remove(&one.message) {
                let _ = to.send(());
            }
        }
        self.waiting.store(waiting.len(), Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<MessageId, oneshot::Sender<()>>> {
        self.by_message
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wait {
    /// Returns when a carrier has taken the message, or it has ended.
    pub async fn over(&mut self) {
        let _ = (&mut self.over).await;
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let mut waiting = self.waits.lock();
        waiting.remove(&self.message);
        self.waits.waiting.store(waiting.len(), Ordering::Release);
    }
}

impl Store {
    /// Waits for a message from now on: what it has come to before must be read after this. `None`:
    /// too many wait.
    pub fn wait_for(&self, message: MessageId) -> Option<Wait> {
        self.inner.waits.begin(message)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;
    use uuid::Uuid;

    use super::*;
    use crate::domain::class::Class;
    use crate::domain::ids::CarrierIndex;

    fn reached(number: u128, state: State) -> Reached {
        Reached {
            message: MessageId(Uuid::from_u128(number)),
            carrier: CarrierIndex(0),
            class: Class::Otp,
            state,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_woken_by_the_message_that_has_left_and_by_no_other() {
        let waits = Arc::new(Waits::default());
        let mut wait = waits.begin(MessageId(Uuid::from_u128(7))).unwrap();
        assert!(waits.begin(wait.message).is_none());
        waits.wake(&[reached(8, State::Submitted), reached(7, State::Uncertain)]);
        let soon = timeout(Duration::from_secs(1), wait.over()).await;
        assert!(soon.is_err());
        waits.wake(&[reached(7, State::Submitted)]);
        wait.over().await;
        drop(wait);
        assert_eq!(waits.waiting.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn no_more_than_so_many_wait_at_once() {
        let waits = Arc::new(Waits::default());
        let begin = |number: usize| waits.begin(MessageId(Uuid::from_u128(number as u128)));
        let all: Vec<_> = (0..WAITS_MAX)
            .map(|number| begin(number).unwrap())
            .collect();
        assert!(begin(WAITS_MAX).is_none());
        drop(all);
        assert!(begin(WAITS_MAX).is_some());
    }
}
