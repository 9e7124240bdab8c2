//! Lives here: the webhooks against a real store and small receivers on loopback.
//! Never here: rules that a pure part's own table covers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{interval, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Config;
use super::client::{Client, Line, Post, Trouble};
use super::envelope::tests::message;
use super::sign::Signed;
use crate::domain::account::Organisation;
use crate::domain::class::Class;
use crate::domain::endpoint::tests::endpoint;
use crate::domain::endpoint::{Endpoint, Events, Secrets};
use crate::domain::ids::{CarrierId, MessageId, MessageSeq, OrgId};
use crate::domain::ledger::Terms;
use crate::domain::message::{Message, State};
use crate::domain::time::Timestamp;
use crate::domain::webhook_url::WebhookUrl;
use crate::flow::{Committed, EventJob, Settlement, Transition};
use crate::store::hooks::Made;
use crate::store::{self, Store, StoreError, TimelineEntry};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const ONE: Secrets<'_> = Secrets {
    current: SECRET,
    old: None,
};
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const ERROR: &str = "HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n";
const GONE: &str = "HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n";
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// One request as received.
struct Received {
    head: String,
    body: Vec<u8>,
    connection: usize,
}

impl Received {
    fn header(&self, name: &str) -> &str {
        self.head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .unwrap_or_default()
    }
}

/// An HTTP receiver that answers with its script's texts in order, the last one for ever, and
/// keeps connections open whatever it says. An empty text = no answer.
struct Receiver {
    port: u16,
    requests: mpsc::Receiver<Received>,
    /// A connection's number when the other side has closed it.
    closed: mpsc::Receiver<usize>,
    _task: JoinHandle<()>,
}

impl Receiver {
    async fn start(script: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (requests_to, requests) = mpsc::channel(64);
        let (closed_to, closed) = mpsc::channel(64);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            let step = Arc::new(AtomicUsize::new(0));
            for number in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                let (requests, closed) = (requests_to.clone(), closed_to.clone());
                let step = Arc::clone(&step);
                connections.spawn(async move {
                    serve(stream, number, script, &step, &requests).await;
                    let _ = closed.send(number).await;
                });
            }
        });
        Self {
            port,
            requests,
            closed,
            _task: task,
        }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook?token=secret", self.port)
    }

    async fn next(&mut self) -> Received {
        let request = timeout(PATIENCE, self.requests.recv()).await;
        request.expect("a request within the deadline").unwrap()
    }

    async fn next_closed(&mut self) -> usize {
        let number = timeout(PATIENCE, self.closed.recv()).await;
        number.expect("a closed connection in time").unwrap()
    }
}

async fn serve(
    mut stream: TcpStream,
    connection: usize,
    script: &[&str],
    step: &AtomicUsize,
    requests: &mpsc::Sender<Received>,
) {
    let mut buffer = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            if !matches!(stream.read_buf(&mut buffer).await, Ok(1..)) {
                return;
            }
        };
        let mut received = Received {
            head: String::from_utf8_lossy(&buffer[..end]).into_owned(),
            body: buffer.split_off(end),
            connection,
        };
        buffer.clear();
        let length: usize = received.header("content-length").parse().unwrap_or(0);
        while received.body.len() < length {
            if !matches!(stream.read_buf(&mut received.body).await, Ok(1..)) {
                return;
            }
        }
        if received.head.contains("/dead") {
            continue;
        }
        let reply = script[step.fetch_add(1, Ordering::Relaxed).min(script.len() - 1)];
        requests.send(received).await.unwrap();
        if stream.write_all(reply.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn config() -> Config {
    Config {
        allow_loopback: true,
        retry_delays: vec![
            Duration::ZERO,
            Duration::from_millis(5),
            Duration::from_millis(5),
        ],
        sweep_every: Duration::from_millis(10),
        ..Config::default()
    }
}

/// A store with its writer, an organisation, and the webhooks on top.
struct House {
    store: Store,
    webhooks: JoinHandle<()>,
    stop: CancellationToken,
    writer: JoinHandle<Result<(), StoreError>>,
    writer_stop: CancellationToken,
    _committed: mpsc::Receiver<Committed>,
    _folder: tempfile::TempDir,
}

impl House {
    async fn build(config: Config) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (committed_to, committed) = mpsc::channel(64);
        let (events_to, events) = mpsc::channel::<EventJob>(64);
        let stored = store::Config {
            url: format!("sqlite:{}", folder.path().join("test.db").display()),
            ..store::Config::default()
        };
        let carriers = vec![CarrierId("vodacom_tz".into())];
        let opened = store::open(&stored, carriers, committed_to, events_to)
            .await
            .unwrap();
        let (store, writer) = (opened.store, opened.writer);
        let (stop, writer_stop) = (CancellationToken::new(), CancellationToken::new());
        let writer = tokio::spawn(writer.run(writer_stop.clone()));
        let org = Organisation {
            id: OrgId(Uuid::from_u128(9)),
            name: "acme".into(),
            country: "TZ".into(),
            senders: Vec::new(),
            webhook_secret: SECRET.to_owned().into(),
            created_at: Timestamp(0),
        };
        assert!(store.create_org(org, Terms::Postpaid, None).await.unwrap());
        let webhooks = tokio::spawn(super::run(config, store.clone(), events, stop.clone()));
        Self {
            store,
            webhooks,
            stop,
            writer,
            writer_stop,
            _committed: committed,
            _folder: folder,
        }
    }

    /// Makes an endpoint of the organisation.
    async fn endpoint(&self, id: u128, url: String) -> Arc<Endpoint> {
        let endpoint = Endpoint {
            url: url.into(),
            ..endpoint(id, OrgId(Uuid::from_u128(9)), Events::ALL)
        };
        match self.store.make_endpoint(endpoint, None).await.unwrap() {
            Made::Done(made) => made,
            Made::TooMany => panic!("there is room"),
        }
    }

    /// Accepts a message and has it taken by its carrier, which makes a sent event. An empty URL is
    /// none.
    async fn send(&self, number: u128, url: &str) -> MessageSeq {
        let mut sent = message(Class::Transactional, url);
        sent.id = MessageId(Uuid::from_u128(number));
        sent.due_at = sent.accepted_at;
        sent.webhook_url = (!url.is_empty()).then(|| url.into());
        self.store.accept(sent).await.unwrap();
        let org = OrgId(Uuid::from_u128(9));
        let view = self
            .store
            .message(org, MessageId(Uuid::from_u128(number)))
            .await
            .unwrap()
            .unwrap();
        let message: Arc<Message> = Arc::new(view.message);
        let seq = message.seq;
        let settlement = Settlement {
            transitions: vec![Transition {
                at: message.accepted_at + Duration::from_secs(1),
                carrier: message.carrier,
                message,
                to: State::Submitted,
                sent_at: None,
                failure: None,
                detail: None,
                possible_duplicate: false,
            }],
            ..Settlement::default()
        };
        self.store.settle(settlement).await.unwrap();
        seq
    }

    /// Status codes of a message's attempts, once there are so many.
    async fn attempts(&self, seq: MessageSeq, count: usize) -> Vec<Option<u16>> {
        let found = async {
            let mut tick = interval(Duration::from_millis(2));
            loop {
                tick.tick().await;
                let found: Vec<_> = self
                    .store
                    .timeline(seq)
                    .await
                    .unwrap()
                    .into_iter()
                    .filter_map(|entry| match entry {
                        TimelineEntry::Webhook { status, .. } => Some(status),
                        TimelineEntry::Attempt { .. } | TimelineEntry::Receipt { .. } => None,
                    })
                    .collect();
                if found.len() >= count {
                    return found;
                }
            }
        };
        timeout(PATIENCE, found)
            .await
            .expect("so many attempts in time")
    }

    /// How many events the outbox still holds.
    async fn outbox(&self) -> usize {
        let far = super::worker::now() + Duration::from_secs(100 * 3600);
        self.store.claim_events(far, 100).await.unwrap().len()
    }

    async fn close(self) {
        self.stop.cancel();
        timeout(PATIENCE, self.webhooks).await.unwrap().unwrap();
        self.writer_stop.cancel();
        timeout(PATIENCE, self.writer)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
    }
}

#[tokio::test]
async fn a_delivered_event_is_signed_and_leaves_the_outbox() {
    let mut receiver = Receiver::start(&[OK]).await;
    let house = House::build(config()).await;
    let seq = house.send(1, &receiver.url()).await;
    let request = receiver.next().await;
    assert!(
        request
            .head
            .starts_with("POST /hook?token=secret HTTP/1.1\r\n")
    );
    assert_eq!(request.header("content-type"), "application/json");
    let id = request.header("webhook-id");
    let at: i64 = request.header("webhook-timestamp").parse().unwrap();
    let signed = Signed::new(ONE, id, at, &request.body).unwrap();
    assert_eq!(request.header("webhook-signature"), signed.standard);
    assert_eq!(request.header("x-mojawave-signature"), signed.mojawave());
    assert_eq!(request.header("x-moaa-signature"), signed.moaa());
    let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body["id"], id);
    assert_eq!(body["type"], "message.sent");
    assert_eq!(house.attempts(seq, 1).await, [Some(200)]);
    assert_eq!(house.outbox().await, 0);
    house.close().await;
}

#[tokio::test]
async fn an_event_that_met_a_500_is_sent_again_octet_by_octet() {
    let mut receiver = Receiver::start(&[ERROR, OK]).await;
    let house = House::build(config()).await;
    let seq = house.send(1, &receiver.url()).await;
    let (first, second) = (receiver.next().await, receiver.next().await);
    assert_eq!(first.header("webhook-id"), second.header("webhook-id"));
    assert_eq!(first.body, second.body);
    assert_eq!(house.attempts(seq, 2).await, [Some(500), Some(200)]);
    assert_eq!(house.outbox().await, 0);
    house.close().await;
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_not_called_again() {
    let receiver = Receiver::start(&[GONE]).await;
    let house = House::build(config()).await;
    let seq = house.send(1, &receiver.url()).await;
    assert_eq!(house.attempts(seq, 1).await, [Some(410)]);
    assert_eq!(house.outbox().await, 0);
    house.close().await;
}

#[tokio::test]
async fn an_event_is_given_up_after_its_last_attempt() {
    let receiver = Receiver::start(&[ERROR]).await;
    let house = House::build(config()).await;
    let seq = house.send(1, &receiver.url()).await;
    assert_eq!(house.attempts(seq, 3).await, [Some(500); 3]);
    assert_eq!(house.outbox().await, 0);
    house.close().await;
}

#[tokio::test]
async fn a_url_that_may_not_be_called_ends_its_event_with_the_reason() {
    let house = House::build(config()).await;
    let seq = house.send(1, "http://169.254.169.254/latest").await;
    assert_eq!(house.attempts(seq, 1).await, [None]);
    assert_eq!(house.outbox().await, 0);
    house.close().await;
}

#[tokio::test]
async fn a_receiver_that_never_answers_blocks_only_itself() {
    let mut silent = Receiver::start(&[""]).await;
    let mut lively = Receiver::start(&[OK]).await;
    let house = House::build(Config {
        per_host: 1,
        concurrency: 2,
        queue: 2,
        ..config()
    })
    .await;
    for number in 1..6 {
        house.send(number, &silent.url()).await;
    }
    silent.next().await;
    let seq = house.send(9, &lively.url()).await;
    lively.next().await;
    assert_eq!(house.attempts(seq, 1).await, [Some(200)]);
    house.close().await;
}

#[tokio::test]
async fn what_is_not_delivered_at_shutdown_stays_in_the_outbox() {
    let mut silent = Receiver::start(&[""]).await;
    let house = House::build(config()).await;
    house.send(1, &silent.url()).await;
    silent.next().await;
    house.stop.cancel();
    let House {
        webhooks,
        store,
        writer_stop,
        writer,
        ..
    } = house;
    timeout(Duration::from_secs(5), webhooks)
        .await
        .unwrap()
        .unwrap();
    let far = super::worker::now() + Duration::from_secs(3600);
    assert_eq!(store.claim_events(far, 10).await.unwrap().len(), 1);
    writer_stop.cancel();
    writer.await.unwrap().unwrap();
}

/// Posts once with a client alone.
async fn post(client: &Client, line: &mut Option<Line>, url: &str) -> Result<u16, Trouble> {
    let url = WebhookUrl::parse(url, true).unwrap();
    let body = Bytes::from_static(b"{}");
    let signed = Signed::new(ONE, "evt_1", 1, &body).unwrap();
    let post = Post {
        url: &url,
        id: "evt_1",
        signed: &signed,
        body,
    };
    client.post(line, &post).await.map(|answer| answer.status)
}

fn client(timeout_ms: u64) -> Client {
    Client::new(&Config {
        timeout: Duration::from_millis(timeout_ms),
        ..config()
    })
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let mut receiver = Receiver::start(&[
        "HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 307 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n",
        OK,
    ])
    .await;
    let (client, mut line) = (client(10_000), None);
    for expected in [302, 307, 200] {
        assert_eq!(
            post(&client, &mut line, &receiver.url()).await.unwrap(),
            expected
        );
        let request = receiver.next().await;
        assert!(request.head.starts_with("POST /hook?"));
        assert_eq!(request.connection, 0, "answers keep their connection");
    }
}

#[tokio::test]
async fn an_answer_whose_body_drips_is_cut_off_and_its_status_counts() {
    let mut receiver =
        Receiver::start(&["HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\nx"]).await;
    let mut line = None;
    let status = post(&client(200), &mut line, &receiver.url()).await;
    assert_eq!(status.unwrap(), 200);
    assert_eq!(receiver.next_closed().await, 0);
}

#[tokio::test]
async fn an_answer_whose_head_drips_is_no_answer() {
    let mut receiver = Receiver::start(&["HTTP/1.1 20"]).await;
    let mut line = None;
    let trouble = post(&client(200), &mut line, &receiver.url()).await;
    assert!(matches!(trouble, Err(Trouble::TimedOut)));
    assert_eq!(receiver.next_closed().await, 0);
}

#[tokio::test]
async fn an_answer_beyond_the_cap_is_cut_off() {
    let long = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: 200000\r\n\r\n{}",
        "x".repeat(200_000)
    );
    let script: &'static [&'static str] = Box::leak(Box::new([&*Box::leak(long.into_boxed_str())]));
    let mut receiver = Receiver::start(script).await;
    let mut line = None;
    let status = post(&client(10_000), &mut line, &receiver.url()).await;
    assert_eq!(status.unwrap(), 200);
    assert_eq!(receiver.next_closed().await, 0);
}

#[tokio::test]
async fn a_connection_closed_by_its_receiver_is_replaced_within_the_attempt() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (requests, mut received) = mpsc::channel(8);
    let server = tokio::spawn(async move {
        for number in 0..2 {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = Vec::new();
            while !buffer.ends_with(b"{}") {
                stream.read_buf(&mut buffer).await.unwrap();
            }
            stream.write_all(OK.as_bytes()).await.unwrap();
            requests.send(number).await.unwrap();
        }
    });
    let (client, mut line) = (client(10_000), None);
    assert_eq!(post(&client, &mut line, &url).await.unwrap(), 200);
    assert_eq!(received.recv().await, Some(0));
    assert_eq!(post(&client, &mut line, &url).await.unwrap(), 200);
    assert_eq!(received.recv().await, Some(1));
    server.await.unwrap();
}

#[tokio::test]
async fn troubles_are_told_apart() {
    let receiver = Receiver::start(&["SSH-2.0-nothing here\r\n\r\n"]).await;
    let client = client(10_000);
    let found = post(&client, &mut None, &receiver.url()).await;
    assert!(matches!(found, Err(Trouble::NotHttp)), "{found:?}");
    let secure = format!("https://localhost:{}/", receiver.port);
    // The receiver waits for a request's end that never comes: only the deadline ends this.
    let found = post(&self::client(200), &mut None, &secure).await;
    assert!(
        matches!(found, Err(Trouble::TimedOut | Trouble::Tls)),
        "{found:?}"
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let found = post(&client, &mut None, &closed).await;
    assert!(matches!(found, Err(Trouble::Connect(_))), "{found:?}");
}

#[tokio::test]
async fn a_dead_endpoint_does_not_delay_another_on_the_same_host() {
    let mut receiver = Receiver::start(&[OK]).await;
    let house = House::build(Config {
        allow_loopback: true,
        per_host: 2,
        ..Config::default()
    })
    .await;
    let at = |path: &str| format!("http://127.0.0.1:{}{path}", receiver.port);
    house.endpoint(1, at("/dead")).await;
    house.endpoint(2, at("/alive")).await;
    let begun = std::time::Instant::now();
    for number in 1..=20 {
        house.send(number, "").await;
    }
    for _ in 0..20 {
        let request = receiver.next().await;
        assert!(request.head.starts_with("POST /alive "));
    }
    // An attempt at the dead one takes ten seconds.
    assert!(begun.elapsed() < Config::default().timeout);
    house.close().await;
}

#[tokio::test]
async fn an_endpoint_signs_with_its_own_secret_and_a_disabled_one_is_not_called() {
    let mut receiver = Receiver::start(&[GONE, OK]).await;
    let house = House::build(Config {
        allow_loopback: true,
        ..Config::default()
    })
    .await;
    let url = format!("http://127.0.0.1:{}/hook", receiver.port);
    let made = house.endpoint(1, url).await;
    let first = house.send(1, "").await;
    let request = receiver.next().await;
    let at = request.header("webhook-timestamp").parse().unwrap();
    let id = request.header("webhook-id");
    let signed = Signed::new(made.secrets(Timestamp(0)), id, at, &request.body).unwrap();
    assert_eq!(request.header("webhook-signature"), signed.standard);
    assert_eq!(request.header("x-mojawave-signature"), signed.mojawave());
    assert_eq!(house.attempts(first, 1).await, [Some(410)]);
    let second = house.send(2, "").await;
    assert!(house.store.timeline(second).await.unwrap().is_empty());
    assert_eq!(house.outbox().await, 0);
    house.close().await;
}
