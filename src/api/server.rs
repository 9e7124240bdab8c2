//! Lives here: the listener of the API: connections counted and bounded, one task each, HTTP/1.1
//! by hyper straight on the socket, and an end that lets running requests finish.
//! Never here: routes, requests, answers.

mod patient;
mod rest;

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

use self::patient::Patient;
use super::client::Peer;

/// How long the listener rests when the system has no room for another connection.
const REST: Duration = Duration::from_millis(100);

/// Octets of a request's head that are always taken. hyper looks when it has read so many without the
/// end of the head, and a read may bring as many again: beyond twice this the answer is 431 for certain.
/// Its fields are a hundred at most (hyper).
/// So much of a body is also read at once.
const HEAD_MAX: usize = 64 * 1024;

/// The limits of connections.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Connections at once; more wait in the system's backlog.
    pub(super) connections: usize,
    /// For the head of a request, and for the next one on an idle connection.
    pub(super) header: Duration,
    /// For a client to take something of its answer, while there is some.
    pub(super) answer: Duration,
    /// For what still runs after `stop`.
    pub(super) end: Duration,
}

/// Serves until `stop`, then waits until the last connection has ended.
pub(super) async fn run(
    listener: TcpListener,
    limits: Limits,
    router: Router,
    stop: CancellationToken,
) {
    let slots = Arc::new(Semaphore::new(
        limits.connections.min(Semaphore::MAX_PERMITS),
    ));
    let connections = TaskTracker::new();
    loop {
        // Both branches only wait; dropping them loses no connection (`accept` is cancel-safe).
        let slot = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            slot = Arc::clone(&slots).acquire_owned() => slot,
        };
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                let stream = (stream, Peer(address.ip()));
                let connection = connection(stream, limits, router.clone(), stop.clone());
                connections.spawn(async move {
                    connection.await;
                    drop(slot);
                });
            }
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(REST).await;
            }
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// A panic in a handler ends this task and with it one connection, nothing else.
async fn connection(
    (stream, peer): (TcpStream, Peer),
    limits: Limits,
    router: Router,
    stop: CancellationToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection ended before it began");
        return;
    }
    let stream = Patient::new(stream, limits.answer);
    let service = service_fn(move |request| answer(router.clone(), peer, request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header)
        .max_buf_size(HEAD_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // hyper's connection keeps its place when this branch is dropped: it is polled again below.
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(limits.end, connection).await {
                Ok(ended) => ended,
                Err(_) => {
                    tracing::warn!("a connection was cut: its client did not take its answer");
                    return;
                }
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// An answer that comes before the body has been read is kept back until it has been, or says that
/// the connection ends: a client that sends its body in a second segment would find the connection
/// reset, and no answer.
async fn answer(
    mut router: Router,
    peer: Peer,
    request: hyper::Request<Incoming>,
) -> Result<Response, Infallible> {
    let (mut request, rest) = rest::lend(request);
    request.extensions_mut().insert(peer);
    let mut response = router.call(request).await?;
    rest.read(&mut response).await;
    Ok(response)
}

fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
    )
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn start(router: Router) -> (std::net::SocketAddr, CancellationToken, TaskTracker) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let limits = Limits {
            connections: 2,
            header: Duration::from_secs(2),
            answer: Duration::from_millis(500),
            end: Duration::from_secs(5),
        };
        let tasks = TaskTracker::new();
        tasks.spawn(run(listener, limits, router, stop.clone()));
        tasks.close();
        (address, stop, tasks)
    }

    async fn fetch(address: std::net::SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        // A cut connection is an empty answer here.
        let _ = stream.read_to_string(&mut answer).await;
        answer
    }

    /// Sends the head of a request and, if it is not empty, a moment later its body; the answer.
    async fn refused(stream: &mut TcpStream, head: &str, body: &str) -> String {
        let request = format!("POST /refused HTTP/1.1\r\nhost: x\r\n{head}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        stream.write_all(body.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"no") {
            assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0);
        }
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test]
    async fn a_refusal_before_the_body_was_read_leaves_the_connection_usable_or_says_its_end() {
        let early = || async { (hyper::StatusCode::SERVICE_UNAVAILABLE, "no") };
        let router = Router::new().route("/refused", axum::routing::post(early));
        let (address, stop, tasks) = start(router).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        for _ in 0..3 {
            let chunked = refused(
                &mut stream,
                "transfer-encoding: chunked\r\n",
                "4\r\nbody\r\n0\r\n\r\n",
            );
            assert!(!chunked.await.contains("connection: close"));
            let whole = refused(&mut stream, "content-length: 4\r\n", "body").await;
            assert!(whole.starts_with("HTTP/1.1 503") && !whole.contains("connection: close"));
        }
        let late = refused(&mut stream, "content-length: 4\r\n", "bod").await;
        assert!(late.contains("connection: close"), "{late}");
        for head in [
            "content-length: 1000000\r\n",
            "content-length: 4\r\nexpect: 100-continue\r\n",
        ] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let answer = refused(&mut stream, head, "").await;
            assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
            assert!(answer.contains("connection: close"), "{answer}");
        }
        stop.cancel();
        tasks.wait().await;
    }

    #[tokio::test]
    async fn a_client_that_never_takes_its_answer_is_cut() {
        let long = || async { vec![b'x'; 64 << 20] };
        let router = Router::new().route("/long", get(long));
        let (address, stop, tasks) = start(router).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = b"GET /long HTTP/1.1\r\nhost: x\r\n\r\n";
        stream.write_all(request).await.unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
        // What has come meanwhile is still there, but not the rest.
        let mut rest = Vec::new();
        let read = stream.read_to_end(&mut rest).await;
        assert!(read.is_err() || rest.len() < 64 << 20, "{}", rest.len());
        stop.cancel();
        tasks.wait().await;
    }

    #[tokio::test]
    async fn a_head_that_trickles_is_cut_and_one_that_is_too_large_is_refused() {
        let (address, stop, tasks) = start(Router::new()).await;
        let mut slow = TcpStream::connect(address).await.unwrap();
        let begun = tokio::time::Instant::now();
        let trickle = async {
            for octet in b"GET / HTTP/1.1\r\nx-slow: ".iter().chain(&[b'x'; 1_000]) {
                if slow.write_all(&[*octet]).await.is_err() {
                    return;
                }
                let mut end = [0; 64];
                let read = tokio::time::timeout(Duration::from_millis(20), slow.read(&mut end));
                if let Ok(Ok(0) | Err(_)) = read.await {
                    return;
                }
            }
        };
        trickle.await;
        assert!(begun.elapsed() < Duration::from_secs(10), "it was not cut");

        let mut large = TcpStream::connect(address).await.unwrap();
        let head = format!("GET / HTTP/1.1\r\nx-large: {}", "x".repeat(HEAD_MAX));
        // It may be cut while it still sends.
        let _ = large.write_all(head.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = large.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
            "{answer}"
        );
        stop.cancel();
        tasks.wait().await;
    }

    #[tokio::test]
    async fn a_panic_in_a_handler_ends_one_connection_only() {
        async fn broken() -> &'static str {
            panic!("on purpose")
        }
        let router = Router::new()
            .route("/broken", get(broken))
            .route("/fine", get(|| async { "fine" }));
        let (address, stop, tasks) = start(router).await;
        for _ in 0..4 {
            assert_eq!(fetch(address, "/broken").await, "");
            assert!(fetch(address, "/fine").await.ends_with("fine"));
        }
        stop.cancel();
        tasks.wait().await;
    }

    #[tokio::test]
    async fn a_running_request_is_finished_and_idle_connections_end_at_stop() {
        let (entered, enter) = tokio::sync::oneshot::channel();
        let (release, released) = tokio::sync::oneshot::channel::<()>();
        let once = Arc::new(tokio::sync::Mutex::new(Some((entered, released))));
        let slow = move || {
            let once = Arc::clone(&once);
            async move {
                let (entered, released) = once.lock().await.take().unwrap();
                entered.send(()).unwrap();
                released.await.unwrap();
                "done"
            }
        };
        let (address, stop, tasks) = start(Router::new().route("/slow", get(slow))).await;
        let idle = TcpStream::connect(address).await.unwrap();
        let request = tokio::spawn(async move { fetch(address, "/slow").await });
        enter.await.unwrap();
        stop.cancel();
        release.send(()).unwrap();
        assert!(request.await.unwrap().ends_with("done"));
        tasks.wait().await;
        assert!(TcpStream::connect(address).await.is_err());
        drop(idle);
    }
}
