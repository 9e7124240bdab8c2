//! Lives here: the REST load generator: keep-alive connections, closed or open loop, latencies in HDR histograms.
//! Never here: what a profile makes of the figures.
//!
//! It shares the machine with the daemon it measures, hence raw HTTP/1.1: one write and normally one read per
//! request, and no allocation but the JSON string of the answer.

pub mod response;
mod template;

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{sleep_until, timeout},
};
use uuid::Uuid;

use crate::{
    ledger::{Ledger, latency_histogram},
    marker::MARKER_MAX,
    networks::Network,
};

pub use template::{RequestShape, Template};

/// A request without an answer for this long is an error; the connection is given up.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// A worker that fails this often in a row stops.
const FAILURES_MAX: u32 = 5;

/// One run of the generator.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Where the API listens.
    pub addr: SocketAddr,
    /// The request.
    pub shape: RequestShape,
    /// Destinations cycle through these; must not be empty.
    pub networks: Vec<Network>,
    /// Keep-alive connections, each with one request in flight.
    pub connections: usize,
    /// Closed loop or a rate.
    pub pace: Pace,
    /// Marker of the first message; the others follow it.
    pub first_marker: u64,
    /// Messages to send.
    pub messages: u64,
    /// Stop after this time even if messages are left.
    pub time_limit: Option<Duration>,
}

/// When the next request goes out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// As soon as the connection has its answer.
    Closed,
    /// On a schedule of this many requests per second. A request that is late because all connections were busy is
    /// measured from its scheduled time (no coordinated omission).
    Open {
        /// Requests per second, over 0.
        per_second: f64,
    },
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct HttpReport {
    /// Requests written completely.
    pub sent: u64,
    /// 201 answers with a message id.
    pub accepted: u64,
    /// Answers by status code.
    pub statuses: BTreeMap<u16, u64>,
    /// Requests without a readable answer: connection errors, timeouts, 201 without an id.
    pub errors: u64,
    /// Beginning of the first error, for the operator.
    pub first_error: Option<String>,
    /// From the start to the last answer.
    pub elapsed: Duration,
    /// Latency of every answered request in microseconds.
    pub latency: Histogram<u64>,
    /// When the run began, on the monotonic clock.
    pub started: Instant,
}

/// Runs the generator to its end. Every 201 is recorded in `ledger`.
///
/// # Errors
/// When no networks are given, when markers beyond 999,999,999 would be needed, or when not even one connection can
/// be made.
pub async fn run(config: &HttpConfig, ledger: Arc<Ledger>) -> io::Result<HttpReport> {
    let last = config.first_marker.saturating_add(config.messages);
    if config.networks.is_empty() || last > MARKER_MAX {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "no networks, or more markers than nine digits hold",
        ));
    }
    drop(TcpStream::connect(config.addr).await?);
    let started = Instant::now();
    let shared = Arc::new(Shared {
        next: AtomicU64::new(0),
        started,
        stop_at: config.time_limit.map(|limit| started + limit),
        recorder: Mutex::new(Recorder::new(started)),
        ledger,
    });
    let mut workers = JoinSet::new();
    for _ in 0..config.connections.max(1) {
        let worker = Worker {
            templates: config
                .networks
                .iter()
                .map(|network| Template::new(&config.shape, network))
                .collect(),
            addr: config.addr,
            pace: config.pace,
            first_marker: config.first_marker,
            messages: config.messages,
            shared: Arc::clone(&shared),
            buffer: Vec::with_capacity(4096),
        };
        workers.spawn(worker.run());
    }
    while let Some(ended) = workers.join_next().await {
        ended.map_err(io::Error::other)?;
    }
    let recorder = shared
        .recorder
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    Ok(HttpReport {
        sent: recorder.sent,
        accepted: recorder.accepted,
        statuses: recorder.statuses.clone(),
        errors: recorder.errors,
        first_error: recorder.first_error.clone(),
        elapsed: recorder.last_answer.saturating_duration_since(started),
        latency: recorder.latency.clone(),
        started,
    })
}

/// One GET on a connection of its own, for health checks: status and body.
///
/// # Errors
/// When the connection fails, the answer is not HTTP, or it takes longer than `limit`.
pub async fn get(addr: SocketAddr, path: &str, limit: Duration) -> io::Result<(u16, Vec<u8>)> {
    let asked = async {
        let mut stream = TcpStream::connect(addr).await?;
        exchange(&mut stream, &request("GET", addr, path, None, b""), limit).await
    };
    timeout(limit, asked)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// The octets of one request with a JSON body, if any.
pub fn request(
    method: &str,
    addr: SocketAddr,
    path: &str,
    key: Option<&str>,
    body: &[u8],
) -> Vec<u8> {
    let bearer = key.map(|key| format!("Authorization: Bearer {key}\r\n"));
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {addr}\r\n{}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        bearer.unwrap_or_default(),
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// Sends a request and reads its answer: status and body. The connection may be used again.
///
/// # Errors
/// When the connection fails, the answer is not HTTP, or it takes longer than `limit`.
pub async fn exchange(
    stream: &mut TcpStream,
    request: &[u8],
    limit: Duration,
) -> io::Result<(u16, Vec<u8>)> {
    let exchange = async {
        let written = stream.write_all(request).await;
        let mut buffer = Vec::new();
        // A refusal may come before the body has been written.
        match read_response(stream, &mut buffer).await {
            Ok(response) => Ok((response.status, buffer[response.body].to_vec())),
            Err(error) => Err(written.err().unwrap_or(error)),
        }
    };
    timeout(limit, exchange)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

struct Shared {
    next: AtomicU64,
    started: Instant,
    stop_at: Option<Instant>,
    recorder: Mutex<Recorder>,
    ledger: Arc<Ledger>,
}

struct Recorder {
    sent: u64,
    accepted: u64,
    statuses: BTreeMap<u16, u64>,
    errors: u64,
    first_error: Option<String>,
    last_answer: Instant,
    latency: Histogram<u64>,
}

impl Recorder {
    fn new(started: Instant) -> Self {
        Self {
            sent: 0,
            accepted: 0,
            statuses: BTreeMap::new(),
            errors: 0,
            first_error: None,
            last_answer: started,
            latency: latency_histogram(),
        }
    }
}

struct Worker {
    templates: Vec<Template>,
    addr: SocketAddr,
    pace: Pace,
    first_marker: u64,
    messages: u64,
    shared: Arc<Shared>,
    buffer: Vec<u8>,
}

/// An answer that was read: its status, and the message id of a 201.
struct Answer {
    status: u16,
    id: Option<Uuid>,
    close: bool,
}

#[derive(Deserialize)]
struct SendAnswer {
    data: SendData,
}

#[derive(Deserialize)]
struct SendData {
    id: Uuid,
}

impl Worker {
    async fn run(mut self) {
        let mut stream = None;
        let mut failures = 0;
        while failures < FAILURES_MAX {
            let Some((marker, from)) = self.take().await else {
                return;
            };
            match self.exchange(&mut stream, marker).await {
                Ok(answer) => {
                    failures = 0;
                    if answer.close {
                        stream = None;
                    }
                    self.record(marker, from, &answer);
                }
                Err(error) => {
                    failures += 1;
                    stream = None;
                    self.failed(&error);
                }
            }
        }
    }

    /// The next marker and the instant its latency counts from; waits for its turn in an open loop.
    async fn take(&self) -> Option<(u64, Instant)> {
        let now = Instant::now();
        if self.shared.stop_at.is_some_and(|at| now >= at) {
            return None;
        }
        let index = self.shared.next.fetch_add(1, Ordering::Relaxed);
        if index >= self.messages {
            return None;
        }
        let marker = self.first_marker + index;
        let Pace::Open { per_second } = self.pace else {
            return Some((marker, now));
        };
        // The cast is exact to well under a microsecond for any run that a marker can number.
        let scheduled =
            self.shared.started + Duration::from_secs_f64(index as f64 / per_second.max(0.001));
        if scheduled <= now {
            return Some((marker, scheduled));
        }
        if self.shared.stop_at.is_some_and(|at| scheduled >= at) {
            return None;
        }
        // A free connection waited for its turn: what the timer overslept is ours, not the daemon's.
        sleep_until(scheduled.into()).await;
        Some((marker, Instant::now()))
    }

    async fn exchange(
        &mut self,
        stream: &mut Option<TcpStream>,
        marker: u64,
    ) -> io::Result<Answer> {
        if stream.is_none() {
            let fresh = TcpStream::connect(self.addr).await?;
            fresh.set_nodelay(true)?;
            *stream = Some(fresh);
        }
        let Some(open) = stream.as_mut() else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let network = usize::try_from(marker).unwrap_or(0) % self.templates.len();
        open.write_all(self.templates[network].request(marker))
            .await?;
        self.shared
            .recorder
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .sent += 1;
        self.buffer.clear();
        let response = timeout(ANSWER_TIMEOUT, read_response(open, &mut self.buffer))
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        let id = (response.status == 201)
            .then(|| serde_json::from_slice::<SendAnswer>(&self.buffer[response.body]))
            .transpose()
            .map_err(io::Error::other)?
            .map(|answer| answer.data.id);
        Ok(Answer {
            status: response.status,
            id,
            close: response.close,
        })
    }

    fn record(&self, marker: u64, from: Instant, answer: &Answer) {
        let now = Instant::now();
        if let Some(id) = answer.id {
            self.shared.ledger.accept(marker, id, now);
        }
        let mut recorder = self
            .shared
            .recorder
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let micros = u64::try_from((now - from).as_micros()).unwrap_or(u64::MAX);
        recorder.latency.saturating_record(micros);
        recorder.accepted += u64::from(answer.id.is_some());
        *recorder.statuses.entry(answer.status).or_default() += 1;
        recorder.last_answer = now;
    }

    fn failed(&self, error: &io::Error) {
        let mut recorder = self
            .shared
            .recorder
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        recorder.errors += 1;
        recorder
            .first_error
            .get_or_insert_with(|| error.to_string());
    }
}

async fn read_response(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
) -> io::Result<response::Response> {
    loop {
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(response) = response::parse(buffer).map_err(io::Error::other)? {
            return Ok(response);
        }
    }
}

#[cfg(test)]
mod tests;
