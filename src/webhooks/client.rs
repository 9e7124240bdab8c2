//! Lives here: one HTTP attempt over a connection that its worker owns and drives.
//!
//! The connection is polled in the worker's own task, between the request and its answer: no
//! task, no pool and no wake-up across threads for each request. (hyper-util's pooled client
//! spawns a task for each request and races a new connection against each busy one.)
//! Never here: retries, queues, which address may be reached (`guard`).

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, RETRY_AFTER, USER_AGENT};
use hyper::{Request, Response, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::rt::TokioIo;
use rustls::crypto::ring;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tower::Service;

use super::Config;
use super::guard::{Guard, GuardError};
use super::sign::Signed;
use crate::domain::webhook_url::WebhookUrl;

/// Octets of an answer's head at most; hyper buffers no more of a connection than this.
const HEAD_MAX: usize = 64 * 1024;

/// Octets of an answer's body that are kept (`reference/api.md`).
const KEPT: usize = 4096;

const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
const MOJAWAVE_SIGNATURE: HeaderName = HeaderName::from_static("x-mojawave-signature");
const MOAA_SIGNATURE: HeaderName = HeaderName::from_static("x-moaa-signature");
const AGENT: &str = concat!("Mnara/", env!("CARGO_PKG_VERSION"));

type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// What all workers share: how to connect and the limits of an attempt.
pub(super) struct Client {
    connector: HttpsConnector<Guard>,
    timeout: Duration,
    response_max: usize,
}

/// A connection that is kept between attempts. Dropping it closes it.
pub(super) struct Line {
    sender: http1::SendRequest<Full<Bytes>>,
    connection: Pin<Box<http1::Connection<Stream, Full<Bytes>>>>,
}

/// What is sent.
pub(super) struct Post<'a> {
    pub(super) url: &'a WebhookUrl,
    pub(super) id: &'a str,
    pub(super) signed: &'a Signed,
    pub(super) body: Bytes,
}

/// The receiver's answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// The beginning of its body as text, if it has one: for people.
    pub(super) text: Option<Box<str>>,
    /// In its seconds form; a date is ignored.
    pub(super) retry_after: Option<Duration>,
}

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error(transparent)]
    Connect(#[from] GuardError),
    #[error("the TLS handshake failed")]
    Tls,
    #[error("the connection ended before an answer")]
    Broken,
    #[error("the answer is not HTTP")]
    NotHttp,
    #[error("no answer in time")]
    TimedOut,
    #[error("the request cannot be built")]
    Request,
}

impl Client {
    /// Certificates are checked against Mozilla's roots; no proxy is ever used.
    pub(super) fn new(config: &Config) -> Self {
        let guard = Guard::new(config.allow_loopback, config.connect_timeout);
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(Arc::new(ring::default_provider()))
            .expect("ring supports the default protocol versions")
            .https_or_http()
            .enable_http1()
            .wrap_connector(guard);
        Self {
            connector,
            timeout: config.timeout,
            response_max: config.response_max,
        }
    }

    /// One attempt, over `line` if there is one. The status decides: a receiver that answers 2xx
    /// has the event, even if the rest of its answer has to be cut off. Redirects are answers
    /// like any other.
    pub(super) async fn post(
        &self,
        line: &mut Option<Line>,
        post: &Post<'_>,
    ) -> Result<Answer, Trouble> {
        let deadline = Instant::now() + self.timeout;
        let response = match timeout_at(deadline, self.head(line, post)).await {
            Ok(Ok(response)) => response,
            Ok(Err(trouble)) => {
                *line = None;
                return Err(trouble);
            }
            Err(_) => {
                *line = None;
                return Err(Trouble::TimedOut);
            }
        };
        let mut answer = Answer::of(&response);
        let body = response.into_body();
        let mut begin = Vec::new();
        let whole = body.is_end_stream()
            || timeout_at(deadline, drain(line, body, self.response_max, &mut begin))
                .await
                .unwrap_or(false);
        if !whole {
            *line = None;
        }
        answer.text = (!begin.is_empty()).then(|| String::from_utf8_lossy(&begin).into());
        Ok(answer)
    }

    /// Receivers close idle connections whenever they like, also while a request is on its way:
    /// a connection that has been used before is replaced once, within the same attempt.
    async fn head(
        &self,
        line: &mut Option<Line>,
        post: &Post<'_>,
    ) -> Result<Response<Incoming>, Trouble> {
        if line.is_some() {
            match exchange(line, post).await {
                Err(Trouble::Broken) => {}
                done => return done,
            }
        }
        *line = Some(self.open(post.url).await?);
        exchange(line, post).await
    }

    async fn open(&self, url: &WebhookUrl) -> Result<Line, Trouble> {
        let uri = Uri::try_from(url.origin()).map_err(|_| Trouble::Request)?;
        let stream = self.connector.clone().call(uri).await.map_err(|error| {
            match error.downcast::<GuardError>() {
                Ok(error) => Trouble::Connect(*error),
                // The connector itself fails in no other way.
                Err(_) => Trouble::Tls,
            }
        })?;
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(HEAD_MAX)
            .handshake(stream)
            .await
            .map_err(|_| Trouble::Broken)?;
        Ok(Line {
            sender,
            connection: Box::pin(connection),
        })
    }
}

impl Answer {
    fn of(response: &Response<Incoming>) -> Self {
        let retry_after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse().ok())
            .map(Duration::from_secs);
        Self {
            status: response.status().as_u16(),
            text: None,
            retry_after,
        }
    }
}

/// Returns when the connection has ended, and forgets it; never returns without one.
pub(super) async fn ended(line: &mut Option<Line>) {
    match line {
        Some(kept) => {
            // How it ended is of no interest to an idle connection.
            let _ = kept.connection.as_mut().await;
            *line = None;
        }
        None => std::future::pending().await,
    }
}

/// Sends over the line that there is and drives it until the answer's head has come.
async fn exchange(line: &mut Option<Line>, post: &Post<'_>) -> Result<Response<Incoming>, Trouble> {
    let request = request(post)?;
    let Some(Line { sender, connection }) = line else {
        return Err(Trouble::Broken);
    };
    // The connection is polled first in both selects: it is what makes the other one progress.
    let ready = tokio::select! {
        biased;
        _ = connection.as_mut() => false,
        ready = sender.ready() => ready.is_ok(),
    };
    if !ready {
        *line = None;
        return Err(Trouble::Broken);
    }
    let mut response = std::pin::pin!(sender.send_request(request));
    let (answer, ended) = tokio::select! {
        biased;
        // Whoever answers and closes has answered: the answer is ready by now, or never.
        _ = connection.as_mut() => (response.await, true),
        answer = &mut response => (answer, false),
    };
    if ended {
        *line = None;
    }
    answer.map_err(|error| match error.is_parse() {
        true => Trouble::NotHttp,
        false => Trouble::Broken,
    })
}

/// Reads the rest of an answer so that its connection can be used again. False if it is longer
/// than `max` octets or breaks off. `begin` takes its first [`KEPT`] octets.
async fn drain(
    line: &mut Option<Line>,
    mut body: Incoming,
    max: usize,
    begin: &mut Vec<u8>,
) -> bool {
    let mut seen = 0;
    loop {
        let frame = tokio::select! {
            biased;
            // What had been read before the end is still in `body`.
            () = ended(line) => continue,
            frame = body.frame() => frame,
        };
        match frame {
            None => return true,
            Some(Err(_)) => return false,
            Some(Ok(frame)) => {
                let data = frame.data_ref().map_or(&[][..], Bytes::as_ref);
                let room = KEPT - begin.len();
                begin.extend_from_slice(&data[..data.len().min(room)]);
                seen += data.len();
            }
        }
        if seen > max {
            return false;
        }
    }
}

fn request(post: &Post<'_>) -> Result<Request<Full<Bytes>>, Trouble> {
    Request::post(post.url.target())
        .header(HOST, post.url.authority())
        .header(USER_AGENT, AGENT)
        .header(CONTENT_TYPE, "application/json")
        .header(WEBHOOK_ID, post.id)
        .header(WEBHOOK_TIMESTAMP, &post.signed.timestamp)
        .header(WEBHOOK_SIGNATURE, &post.signed.standard)
        .header(MOJAWAVE_SIGNATURE, post.signed.mojawave())
        .header(MOAA_SIGNATURE, post.signed.moaa())
        .body(Full::new(post.body.clone()))
        .map_err(|_| Trouble::Request)
}
