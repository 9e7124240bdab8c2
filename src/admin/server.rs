//! Lives here: the operators' socket: few connections, one task each, and a bounded end.
//! Never here: routes; the API's listener, which is made for many.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

/// Connections at once; more wait in the system's backlog.
const CONNECTIONS_MAX: usize = 256;
/// For the head of a request, and for the next request on an idle connection. Longer than the
/// usual interval between two scrapes of the metrics.
const HEADER: Duration = Duration::from_secs(75);
/// For a whole request.
const REQUEST: Duration = Duration::from_secs(30);
/// For what still runs after `stop`.
const END: Duration = Duration::from_secs(2);
/// How long the listener rests when the system has no room for another connection.
const REST: Duration = Duration::from_millis(100);

/// Serves until `stop`, then waits until the last connection has ended.
pub(super) async fn run(listener: TcpListener, router: Router, stop: CancellationToken) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let connections = TaskTracker::new();
    // Dropping either wait loses no connection: `accept` is cancel-safe.
    let next = async || {
        let slot = Arc::clone(&slots).acquire_owned().await;
        (slot, listener.accept().await)
    };
    while let Some((slot, accepted)) = stop.run_until_cancelled(next()).await {
        match accepted {
            Ok((stream, _)) => {
                let connection = connection(stream, router.clone(), stop.clone());
                connections.spawn(async move {
                    connection.await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept an admin connection");
                tokio::time::sleep(REST).await;
            }
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

async fn connection(stream: TcpStream, router: Router, stop: CancellationToken) {
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let answer = router.clone().call(request);
        async move {
            match tokio::time::timeout(REQUEST, answer).await {
                Ok(answer) => answer,
                Err(_) => Ok(StatusCode::REQUEST_TIMEOUT.into_response()),
            }
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // The connection keeps its place when this branch is dropped: it is polled again below.
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(END, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "an admin connection ended early");
    }
}
