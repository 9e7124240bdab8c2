//! Lives here: trying an endpoint at its owner's wish: one request at once, and what came of it. It
//! leaves no trace in the outbox or in the history.
//! Never here: retries, who may ask.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use uuid::Uuid;

use super::client::Client;
use super::worker::{self, milliseconds};
use super::{Config, envelope};
use crate::domain::endpoint::Endpoint;
use crate::domain::event::EventKind;
use crate::domain::ids::{EventId, MessageSeq};
use crate::domain::time::Timestamp;
use crate::domain::webhook_url::{UrlError, WebhookUrl};
use crate::flow::{About, EventJob, Notice};

/// Trials under way at once; further ones are turned away.
const TRIALS: usize = 16;

/// What calls endpoints at their owners' wish.
pub struct Trials {
    client: Client,
    allow_loopback: bool,
    turns: Semaphore,
}

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
            turns: Semaphore::new(TRIALS),
        }
    }

    /// Reads a URL as endpoints may have it.
    ///
    /// # Errors
    /// [`UrlError`].
    pub fn url(&self, text: &str) -> Result<WebhookUrl, UrlError> {
        WebhookUrl::parse(text, self.allow_loopback)
    }

    /// Sends an endpoint an event that is of no consequence; `None`: too many are being tried.
    pub async fn try_out(&self, endpoint: &Endpoint) -> Option<Tried> {
        let _turn = self.turns.try_acquire().ok()?;
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
                data: format!("{{\"endpoint\":\"{}\"}}", endpoint.id).into(),
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
        Some(Tried {
            event: event.event,
            request: String::from_utf8_lossy(&body).into(),
            at,
            latency_ms: milliseconds(begun.elapsed()),
            status: ended.status(),
            error: ended.error,
            response: ended.answer.and_then(|answer| answer.text),
        })
    }
}
