//! Lives here: trying an endpoint at its owner's wish: one request at once, and what came of it. It
//! leaves no trace in the outbox or in the history.
//! Never here: retries, who may ask.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::client::Client;
use super::worker::{self, milliseconds};
use super::{Config, envelope};
use crate::domain::endpoint::Endpoint;
use crate::domain::event::EventKind;
use crate::domain::ids::{EventId, MessageSeq, OrgId};
use crate::domain::time::Timestamp;
use crate::domain::webhook_url::{UrlError, WebhookUrl};
use crate::flow::{About, EventJob, Notice};
use crate::store::notices::{self, EndpointTest};

/// Trials under way at once; further ones are turned away.
const TRIALS: usize = 16;
/// And of one organisation: slow receivers of one do not keep the others from trying theirs.
const TRIALS_EACH: usize = 4;

/// What calls endpoints at their owners' wish.
pub struct Trials {
    client: Client,
    allow_loopback: bool,
    /// Whose trials are under way, at most [`TRIALS`].
    under_way: Mutex<Vec<OrgId>>,
}

/// Why an endpoint is not tried now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Busy {
    /// Too many of everybody's are being tried.
    All,
    /// Too many of the organisation's.
    Organisation,
}

/// A place among those under way, given back when it is dropped.
struct Turn<'a>(&'a Mutex<Vec<OrgId>>, OrgId);

/// What a trial came to.
#[derive(Debug)]
pub struct Tried {
    /// The event that was sent.
    pub event: EventId,
    /// The octets that were sent.
    pub request: Box<str>,
    /// When.
    pub at: Timestamp,
    /// How long it took.
    pub latency_ms: u32,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// What went wrong.
    pub error: Option<Box<str>>,
    /// The beginning of the answer's body.
    pub response: Option<Box<str>>,
}

impl Trials {
    /// With the same limits as every other request, but within `timeout`.
    pub fn new(config: &Config, timeout: Duration) -> Self {
        let config = Config {
            timeout: config.timeout.min(timeout),
            ..config.clone()
        };
        Self {
            client: Client::new(&config),
            allow_loopback: config.allow_loopback,
            under_way: Mutex::default(),
        }
    }

    /// Reads a URL as endpoints may have it.
    ///
    /// # Errors
    /// [`UrlError`].
    pub fn url(&self, text: &str) -> Result<WebhookUrl, UrlError> {
        WebhookUrl::parse(text, self.allow_loopback)
    }

    /// Sends an endpoint an event that is of no consequence.
    ///
    /// # Errors
    /// [`Busy`]: nothing was sent.
    pub async fn try_out(&self, endpoint: &Endpoint) -> Result<Tried, Busy> {
        let _turn = self.turn(endpoint.org)?;
        let at = worker::now();
        let event = EventJob {
            event: EventId(Uuid::now_v7()),
            target: Some(endpoint.id),
            kind: EventKind::Test,
            sequence: 1,
            about: About::Notice(Arc::new(Notice {
                seq: MessageSeq(0),
                org: endpoint.org,
                live: endpoint.live,
                data: notices::written(&EndpointTest::new(endpoint.id)),
            })),
            at,
            attempts: 0,
            attempts_before: 0,
        };
        let body = envelope::body(&event, endpoint.format);
        let begun = Instant::now();
        let ended = match self.url(&endpoint.url) {
            Ok(url) => {
                let how = (endpoint.secrets(at), endpoint.format);
                worker::attempt(&self.client, &mut None, &url, &event, how, at).await
            }
            Err(error) => worker::Ended::hopeless(&error.to_string()),
        };
        Ok(Tried {
            event: event.event,
            request: String::from_utf8_lossy(&body).into(),
            at,
            latency_ms: milliseconds(begun.elapsed()),
            status: ended.status(),
            error: ended.error,
            response: ended.answer.and_then(|answer| answer.text),
        })
    }

    fn turn(&self, org: OrgId) -> Result<Turn<'_>, Busy> {
        let mut under_way = lock(&self.under_way);
        if under_way.iter().filter(|one| **one == org).count() >= TRIALS_EACH {
            return Err(Busy::Organisation);
        }
        if under_way.len() >= TRIALS {
            return Err(Busy::All);
        }
        under_way.push(org);
        Ok(Turn(&self.under_way, org))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut under_way = lock(self.0);
        if let Some(place) = under_way.iter().position(|one| *one == self.1) {
            under_way.swap_remove(place);
        }
    }
}

/// Nothing that can panic runs under this lock; were it poisoned, the list would be whole.
fn lock(under_way: &Mutex<Vec<OrgId>>) -> MutexGuard<'_, Vec<OrgId>> {
    under_way.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_organisation_cannot_take_all_turns() {
        let trials = Trials::new(&Config::default(), Duration::from_secs(1));
        let org = |number| OrgId(Uuid::from_u128(number));
        let greedy: Vec<_> = (0..TRIALS_EACH).map(|_| trials.turn(org(0)).ok()).collect();
        assert!(greedy.iter().all(Option::is_some));
        assert_eq!(trials.turn(org(0)).err(), Some(Busy::Organisation));
        let others = (TRIALS_EACH..TRIALS).map(|number| trials.turn(org(number as u128)).ok());
        let others: Vec<_> = others.collect();
        assert!(others.iter().all(Option::is_some));
        assert_eq!(trials.turn(org(99)).err(), Some(Busy::All));
        drop(greedy);
        assert!(trials.turn(org(0)).is_ok());
        drop(others);
        assert!(lock(&trials.under_way).is_empty());
    }
}
