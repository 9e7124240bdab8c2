//! Lives here: the webhook listener: it answers, checks the signature and keeps what came.
//! Never here: what the daemon should have sent (the caller compares).

use std::{
    borrow::Cow,
    collections::{HashMap, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha256;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Notify, watch},
    task::{JoinHandle, JoinSet},
};
use uuid::Uuid;

use crate::{http::response::parse_length, wait::wait_on};

/// Largest request accepted, head and body, in octets.
const REQUEST_LEN_MAX: usize = 1 << 20;

/// Most header fields of a request.
const HEADERS_MAX: usize = 48;

/// How the listener is set up.
#[derive(Clone, Debug)]
pub struct HookConfig {
    /// Port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// The organisation's webhook secret, whole (`whsec_…`). Without one no signature is checked.
    pub secret: Option<String>,
    /// Requests to keep with headers and body, oldest dropped first; 0 keeps none.
    pub keep: usize,
    /// Messages to count events for; events of further messages are counted in `Counts::untracked` only.
    pub messages_max: usize,
}

/// What the listener does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Answer with this status. Events of requests answered outside 200–299 are not counted as received.
    Status(u16),
    /// Close the connection without an answer.
    Cut,
    /// Keep the connection open and never answer.
    Hang,
}

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Event {
    /// Request target.
    pub path: String,
    /// Header fields in the order they came; names as sent.
    pub headers: Vec<(String, String)>,
    /// The exact body.
    pub body: Vec<u8>,
    /// `type` of the envelope, empty when the body is not an envelope.
    pub kind: String,
    /// `data.id` of the envelope.
    pub message_id: Option<Uuid>,
    /// Whether `X-MojaWave-Signature` fits; `None` when no secret is set.
    pub signature_ok: Option<bool>,
    /// How it was answered.
    pub answer: Answer,
    /// When it was complete.
    pub at: Instant,
}

/// Totals of the answered events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests, whatever became of them.
    pub requests: u64,
    /// Distinct messages with message.sent.
    pub sent: u64,
    /// Distinct messages with message.delivered.
    pub delivered: u64,
    /// Distinct messages with message.failed.
    pub failed: u64,
    /// Events of other types.
    pub other: u64,
    /// The same event (same webhook-id) again: a retry.
    pub repeats: u64,
    /// A second event of the same type for a message, with another webhook-id.
    pub doubled: u64,
    /// Requests whose signature is missing or does not fit.
    pub bad_signatures: u64,
    /// Requests without a readable envelope.
    pub unreadable: u64,
    /// Events beyond `messages_max`.
    pub untracked: u64,
    /// Requests answered outside 200–299, cut or left hanging.
    pub refused: u64,
}

/// The events seen for one message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// message.sent came.
    pub sent: bool,
    /// message.delivered came.
    pub delivered: bool,
    /// message.failed came.
    pub failed: bool,
    /// One of them came twice under different webhook-ids.
    pub doubled: bool,
}

/// The listener. Dropping it stops its tasks; [`Receiver::shutdown`] also waits for them.
pub struct Receiver {
    addr: SocketAddr,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Default for HookConfig {
    fn default() -> Self {
        Self {
            port: 0,
            secret: None,
            keep: 10_000,
            messages_max: 2_000_000,
        }
    }
}

impl Receiver {
    /// Binds 127.0.0.1 and begins to answer 200.
    ///
    /// # Errors
    /// When the port cannot be bound.
    pub async fn start(config: HookConfig) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, config.port)).await?;
        let addr = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let shared = Arc::new(Shared {
            key: Mutex::new(config.secret.as_deref().map(key_of)),
            book: Mutex::new(Book::new(config.keep, config.messages_max)),
            changed: Notify::new(),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared), stopped));
        Ok(Self {
            addr,
            shared,
            stop,
            task,
        })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// An address to give as `webhook_url`.
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.addr)
    }

    /// Checks signatures with this secret from now on.
    pub fn set_secret(&self, secret: &str) {
        *lock(&self.shared.key) = Some(key_of(secret));
    }

    /// Answers like this from now on, once the queue of [`Receiver::answer_next`] is used up.
    pub fn set_answer(&self, answer: Answer) {
        lock(&self.shared.book).answer = answer;
    }

    /// Answers the next requests like this, one each, in order.
    pub fn answer_next(&self, answers: impl IntoIterator<Item = Answer>) {
        lock(&self.shared.book).next.extend(answers);
    }

    /// Totals so far.
    pub fn counts(&self) -> Counts {
        lock(&self.shared.book).counts
    }

    /// When the last request was complete.
    pub fn last_request_at(&self) -> Option<Instant> {
        lock(&self.shared.book).last
    }

    /// The events seen for `message`.
    pub fn seen(&self, message: Uuid) -> Seen {
        lock(&self.shared.book)
            .messages
            .get(&message)
            .map_or_else(Seen::default, Marks::seen)
    }

    /// A copy of the kept requests, oldest first.
    pub fn events(&self) -> Vec<Event> {
        lock(&self.shared.book).log.iter().cloned().collect()
    }

    /// Waits until `condition` holds; false when `limit` is over first. It is checked after each request.
    pub async fn wait_until(&self, limit: Duration, condition: impl Fn(&Self) -> bool) -> bool {
        wait_on(&self.shared.changed, limit, || condition(self)).await
    }

    /// Stops listening, closes all connections and waits for the tasks.
    pub async fn shutdown(self) {
        let _ = self.stop.send(true);
        let _ = self.task.await;
    }
}

struct Shared {
    key: Mutex<Option<Hmac<Sha256>>>,
    book: Mutex<Book>,
    changed: Notify,
}

struct Book {
    counts: Counts,
    messages: HashMap<Uuid, Marks>,
    messages_max: usize,
    log: VecDeque<Event>,
    keep: usize,
    answer: Answer,
    next: VecDeque<Answer>,
    last: Option<Instant>,
}

/// For each event type the hash of the webhook-id seen, 0 for none.
#[derive(Clone, Copy, Default)]
struct Marks {
    sent: u64,
    delivered: u64,
    failed: u64,
    doubled: bool,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    data: Option<EnvelopeData>,
}

#[derive(Deserialize)]
struct EnvelopeData {
    id: Option<Uuid>,
}

/// A request found in a connection's buffer.
struct Request<'a> {
    path: &'a str,
    headers: &'a [httparse::Header<'a>],
    body: &'a [u8],
}

impl Marks {
    fn seen(&self) -> Seen {
        Seen {
            sent: self.sent != 0,
            delivered: self.delivered != 0,
            failed: self.failed != 0,
            doubled: self.doubled,
        }
    }
}

impl Book {
    fn new(keep: usize, messages_max: usize) -> Self {
        Self {
            counts: Counts::default(),
            messages: HashMap::new(),
            messages_max,
            log: VecDeque::new(),
            keep,
            answer: Answer::Status(200),
            next: VecDeque::new(),
            last: None,
        }
    }

    fn take(&mut self, request: &Request<'_>, signature_ok: Option<bool>) -> Answer {
        let answer = self.next.pop_front().unwrap_or(self.answer);
        let envelope = serde_json::from_slice::<Envelope<'_>>(request.body).ok();
        self.counts.requests += 1;
        self.last = Some(Instant::now());
        self.counts.bad_signatures += u64::from(signature_ok == Some(false));
        self.counts.unreadable += u64::from(envelope.is_none());
        if matches!(answer, Answer::Status(200..=299)) {
            if let Some(envelope) = &envelope {
                self.count(request, envelope);
            }
        } else {
            self.counts.refused += 1;
        }
        if self.keep > 0 {
            if self.log.len() == self.keep {
                self.log.pop_front();
            }
            self.log
                .push_back(event_of(request, envelope.as_ref(), signature_ok, answer));
        }
        answer
    }

    fn count(&mut self, request: &Request<'_>, envelope: &Envelope<'_>) {
        let Some(message) = envelope.data.as_ref().and_then(|data| data.id) else {
            self.counts.other += 1;
            return;
        };
        if self.messages.len() >= self.messages_max && !self.messages.contains_key(&message) {
            self.counts.untracked += 1;
            return;
        }
        let counts = &mut self.counts;
        let marks = self.messages.entry(message).or_default();
        let (mark, total) = match envelope.kind.as_ref() {
            "message.sent" => (&mut marks.sent, &mut counts.sent),
            "message.delivered" => (&mut marks.delivered, &mut counts.delivered),
            "message.failed" => (&mut marks.failed, &mut counts.failed),
            _ => {
                counts.other += 1;
                return;
            }
        };
        let id = header(request.headers, "webhook-id")
            .or(envelope.id.as_deref().map(str::as_bytes))
            .map_or(1, hash_of);
        match *mark {
            0 => {
                *mark = id;
                *total += 1;
            }
            known if known == id => counts.repeats += 1,
            _ => {
                counts.doubled += 1;
                marks.doubled = true;
            }
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, mut stopped: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        // Both branches may be dropped halfway: accept keeps the connection in the backlog.
        tokio::select! {
            _ = stopped.changed() => break,
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(serve(stream, Arc::clone(&shared)));
                }
                while connections.try_join_next().is_some() {}
            }
        }
    }
    connections.shutdown().await;
}

/// Serves one connection until it ends; an error on it is the peer's affair and ends it.
async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let mut buffer = Vec::with_capacity(8192);
    let mut out = Vec::with_capacity(256);
    loop {
        match stream.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let mut start = 0;
        let ending = loop {
            match step(&buffer[start..], &shared, &mut out) {
                Step::Again(length) => start += length,
                Step::More => break None,
                Step::End(answer) => break Some(answer),
            }
        };
        buffer.drain(..start);
        if start > 0 {
            shared.changed.notify_waiters();
        }
        if !out.is_empty() {
            if stream.write_all(&out).await.is_err() {
                return;
            }
            out.clear();
        }
        match ending {
            Some(Answer::Hang) => {
                shared.changed.notify_waiters();
                std::future::pending::<()>().await;
            }
            Some(Answer::Cut | Answer::Status(_)) => {
                shared.changed.notify_waiters();
                return;
            }
            None if buffer.len() > REQUEST_LEN_MAX => return,
            None => {}
        }
    }
}

enum Step {
    /// A request of this length was answered into the output.
    Again(usize),
    /// The buffer holds no complete request.
    More,
    /// The connection ends like this, after the output was written.
    End(Answer),
}

fn step(buffer: &[u8], shared: &Shared, out: &mut Vec<u8>) -> Step {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut headers);
    let head = match parsed.parse(buffer) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Step::More,
        Err(_) => return Step::End(Answer::Cut),
    };
    let path = parsed.path.unwrap_or("");
    let Some(length) = header(parsed.headers, "content-length").and_then(parse_length) else {
        out.extend_from_slice(
            b"HTTP/1.1 411 Length Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        );
        return Step::End(Answer::Status(411));
    };
    let Some(body) = buffer.get(head..head.saturating_add(length)) else {
        return Step::More;
    };
    let request = Request {
        path,
        headers: parsed.headers,
        body,
    };
    let signature_ok = lock(&shared.key).clone().map(|key| verify(key, &request));
    match lock(&shared.book).take(&request, signature_ok) {
        Answer::Status(200) => {
            out.extend_from_slice(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
        Answer::Status(status) => out.extend_from_slice(
            format!("HTTP/1.1 {status} Scripted\r\nContent-Length: 0\r\n\r\n").as_bytes(),
        ),
        ending @ (Answer::Cut | Answer::Hang) => return Step::End(ending),
    }
    Step::Again(head + length)
}

fn verify(mut key: Hmac<Sha256>, request: &Request<'_>) -> bool {
    let Some(signature) = header(request.headers, "x-mojawave-signature").and_then(unhex) else {
        return false;
    };
    key.update(request.body);
    key.verify_slice(&signature).is_ok()
}

fn event_of(
    request: &Request<'_>,
    envelope: Option<&Envelope<'_>>,
    signature_ok: Option<bool>,
    answer: Answer,
) -> Event {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    Event {
        path: request.path.to_owned(),
        headers: request
            .headers
            .iter()
            .map(|field| (field.name.to_owned(), text(field.value)))
            .collect(),
        body: request.body.to_vec(),
        kind: envelope
            .map(|envelope| envelope.kind.clone().into_owned())
            .unwrap_or_default(),
        message_id: envelope.and_then(|envelope| envelope.data.as_ref()?.id),
        signature_ok,
        answer,
        at: Instant::now(),
    }
}

impl Event {
    /// The value of a header field, whatever the case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

fn header<'a>(headers: &[httparse::Header<'a>], name: &str) -> Option<&'a [u8]> {
    headers
        .iter()
        .find(|field| field.name.eq_ignore_ascii_case(name))
        .map(|field| field.value)
}

fn key_of(secret: &str) -> Hmac<Sha256> {
    Hmac::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length")
}

/// 32 octets from 64 hexadecimal digits.
fn unhex(text: &[u8]) -> Option<[u8; 32]> {
    let digits: &[u8; 64] = text.try_into().ok()?;
    let mut octets = [0; 32];
    for (octet, pair) in octets.iter_mut().zip(digits.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *octet = u8::try_from(high * 16 + low).ok()?;
    }
    Some(octets)
}

/// Never 0, which stands for "not seen".
fn hash_of(id: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish().max(1)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
