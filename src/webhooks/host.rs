//! Lives here: the events in memory: the set of them all, and one bounded queue for each host,
//! so that a dead receiver blocks only itself.
//! Never here: HTTP, the store.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dashmap::DashSet;
use tokio::sync::{Mutex as Turn, Semaphore};

use crate::domain::ids::EventId;
use crate::domain::webhook_url::WebhookUrl;
use crate::flow::EventJob;

/// Failures in a row after which a host is called by one worker at a time.
const FAILING: u32 = 5;
/// Events of a failing host that stay in memory; the rest waits in the outbox.
const FAILING_QUEUE: usize = 64;

/// The events that are in memory, so that the sweep does not bring one twice.
#[derive(Debug, Default)]
pub(super) struct Held {
    events: DashSet<EventId>,
    count: AtomicUsize,
}

/// An event's place in [`Held`]; dropping it gives the event back to the outbox's sweep.
#[derive(Debug)]
pub(super) struct Hold {
    held: Arc<Held>,
    event: EventId,
}

/// An event on its way, from the channel or the sweep to the commit of its delivery's record.
pub(super) struct Job {
    pub(super) event: EventJob,
    pub(super) url: WebhookUrl,
    pub(super) hold: Hold,
}

/// One receiver: scheme, name and port, and the endpoint if it is one. Endpoints that share a name have
/// queues, workers and failures of their own, so that a dead one does not hold up the others.
pub(super) struct Host {
    /// What it is kept by.
    pub(super) key: Box<str>,
    /// Its origin.
    pub(super) origin: Box<str>,
    /// A permit for each job pushed while a worker idled.
    pub(super) wake: Semaphore,
    /// Held for an attempt while the host fails.
    pub(super) turn: Turn<()>,
    state: Mutex<State>,
    queue_max: usize,
    workers_max: usize,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Job>,
    workers: usize,
    idle: usize,
    failures: u32,
}

/// What became of a job offered to a host.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pushed {
    /// Its workers will take it.
    Queued,
    /// It waits, and another worker is wanted: it is counted already.
    Spawn,
    /// No room.
    Full,
}

impl Held {
    /// Takes an event, unless it is in memory already.
    pub(super) fn take(self: &Arc<Self>, event: EventId) -> Option<Hold> {
        self.events.insert(event).then(|| {
            self.count.fetch_add(1, Ordering::Relaxed);
            Hold {
                held: Arc::clone(self),
                event,
            }
        })
    }

    /// How many events are in memory.
    pub(super) fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.held.events.remove(&self.event);
        self.held.count.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Host {
    pub(super) fn new(key: &str, origin: &str, queue_max: usize, workers_max: usize) -> Self {
        Self {
            key: key.into(),
            origin: origin.into(),
            wake: Semaphore::new(0),
            turn: Turn::new(()),
            state: Mutex::default(),
            queue_max,
            workers_max,
        }
    }

    /// Queues a job. While there are too many workers (`crowded`) a host gets one only.
    pub(super) fn push(&self, job: Job, crowded: bool) -> Pushed {
        let mut state = self.state();
        let failing = state.failures >= FAILING;
        let max = if failing {
            FAILING_QUEUE.min(self.queue_max)
        } else {
            self.queue_max
        };
        if state.waiting.len() >= max {
            return Pushed::Full;
        }
        state.waiting.push_back(job);
        if state.idle > 0 {
            self.wake.add_permits(1);
        }
        let workers_max = if crowded { 1 } else { self.workers_max };
        if state.waiting.len() > state.idle && state.workers < workers_max {
            state.workers += 1;
            return Pushed::Spawn;
        }
        Pushed::Queued
    }

    /// The next job; without one the worker counts as idle until [`Host::resume`].
    pub(super) fn pop(&self) -> Option<Job> {
        let mut state = self.state();
        let job = state.waiting.pop_front();
        if job.is_none() {
            state.idle += 1;
        }
        job
    }

    /// An idle worker has woken.
    pub(super) fn resume(&self) {
        self.state().idle -= 1;
    }

    /// A worker wants to end; refused while something waits.
    pub(super) fn leave(&self) -> bool {
        let mut state = self.state();
        let may = state.waiting.is_empty();
        if may {
            state.workers -= 1;
        }
        may
    }

    /// Whether nothing is left of it but its name.
    pub(super) fn is_deserted(&self) -> bool {
        let state = self.state();
        state.workers == 0 && state.waiting.is_empty()
    }

    /// Whether it has to be called by one worker at a time.
    pub(super) fn is_failing(&self) -> bool {
        self.state().failures >= FAILING
    }

    /// An attempt succeeded.
    pub(super) fn succeeded(&self) {
        self.state().failures = 0;
    }

    /// An attempt failed; `overloaded` narrows the host at once. Returns how many jobs were put
    /// back to the outbox.
    pub(super) fn failed(&self, overloaded: bool) -> usize {
        let mut state = self.state();
        state.failures = if overloaded {
            state.failures.max(FAILING)
        } else {
            state.failures.saturating_add(1)
        };
        if state.failures < FAILING || state.waiting.len() <= FAILING_QUEUE {
            return 0;
        }
        let left = state.waiting.split_off(FAILING_QUEUE);
        drop(state);
        left.len()
    }

    /// Nothing that can panic runs under this lock; were it poisoned, its state would be whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::super::envelope::tests::{job, message};
    use super::*;
    use crate::domain::class::Class;
    use crate::domain::event::EventKind;

    fn push(host: &Host, held: &Arc<Held>, number: u128) -> Pushed {
        let mut event = job(
            EventKind::Sent,
            message(Class::Transactional, "https://example.com/"),
        );
        event.event = EventId(Uuid::from_u128(number));
        let job = Job {
            hold: held.take(event.event).unwrap(),
            url: WebhookUrl::parse("https://example.com/", false).unwrap(),
            event,
        };
        host.push(job, false)
    }

    #[test]
    fn a_full_queue_gives_its_event_back() {
        let held = Arc::new(Held::default());
        let host = Host::new("key", "https://example.com", 2, 1);
        assert_eq!(push(&host, &held, 1), Pushed::Spawn);
        assert_eq!(push(&host, &held, 2), Pushed::Queued);
        assert_eq!(push(&host, &held, 3), Pushed::Full);
        assert_eq!(held.len(), 2);
        assert!(held.take(EventId(Uuid::from_u128(2))).is_none());
        assert!(held.take(EventId(Uuid::from_u128(3))).is_some());
    }

    #[test]
    fn workers_are_asked_for_only_beyond_those_that_idle() {
        let held = Arc::new(Held::default());
        let host = Host::new("key", "https://example.com", 9, 2);
        assert_eq!(push(&host, &held, 1), Pushed::Spawn);
        assert!(host.pop().is_some());
        assert!(host.pop().is_none());
        assert_eq!(push(&host, &held, 2), Pushed::Queued);
        assert_eq!(host.wake.available_permits(), 1);
        assert_eq!(push(&host, &held, 3), Pushed::Spawn);
        assert_eq!(push(&host, &held, 4), Pushed::Queued);
        host.resume();
        assert!(!host.leave());
        while host.pop().is_some() {}
        host.resume();
        assert!(host.leave());
        assert!(!host.is_deserted());
        assert!(host.leave());
        assert!(host.is_deserted());
    }

    #[test]
    fn a_failing_host_keeps_little_in_memory_until_it_succeeds() {
        let held = Arc::new(Held::default());
        let host = Host::new("key", "https://example.com", 1000, 16);
        for number in 0..100 {
            push(&host, &held, number);
        }
        for _ in 1..FAILING {
            assert_eq!(host.failed(false), 0);
        }
        assert!(!host.is_failing());
        assert_eq!(host.failed(false), 100 - FAILING_QUEUE);
        assert!(host.is_failing());
        assert_eq!(held.len(), FAILING_QUEUE);
        assert_eq!(push(&host, &held, 200), Pushed::Full);
        host.succeeded();
        assert_eq!(push(&host, &held, 200), Pushed::Queued);
        host.failed(true);
        assert!(host.is_failing());
    }
}
