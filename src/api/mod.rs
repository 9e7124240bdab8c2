//! Lives here: the REST door: the `/v1` dialect (seed 003) over `ingest` and the store's reads.
//! Never here: SQL, PDUs, what a message means; another listener's routes.

mod auth;
mod body;
mod call;
mod client;
mod code;
mod csv;
mod cursor;
mod deadline;
mod docs;
mod doors;
mod error;
mod events;
mod fields;
mod idempotency;
mod json;
mod limits;
mod query;
mod render;
mod server;
mod submission;
#[cfg(test)]
mod tests;
mod time;
mod v1;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::call::Api;
use self::idempotency::Running;
pub use self::limits::Config as Rates;
use self::server::Limits;
use crate::bulk::Bulk;
use crate::ingest::Ingest;
use crate::store::Store;
use crate::tokens::Tokens;
use crate::webhooks::Trials;

/// The API's own configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Octets of a body at most; more is answered 413.
    pub body_max: usize,
    /// For one request, from its head to its answer.
    pub request_timeout: Duration,
    /// For the head of a request, and for the next request on an idle connection.
    pub header_timeout: Duration,
    /// Connections at once; more wait in the system's backlog.
    pub connections_max: usize,
    /// Our own proxies: what they say of a request's origin is believed.
    pub proxies: Vec<IpNet>,
    /// By what users call; `None`: by keys only.
    pub tokens: Option<Arc<Tokens>>,
    /// Requests in a minute.
    pub limits: Rates,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            body_max: 256 * 1024,
            request_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(30),
            connections_max: 10_000,
            proxies: Vec::new(),
            tokens: None,
            limits: Rates::default(),
        }
    }
}

/// Serves the API on `listener` until `stop`; then takes no more connections, lets the requests
/// that run finish (within `request_timeout`), and returns.
pub async fn serve(
    listener: TcpListener,
    config: Config,
    (ingest, bulk): (Arc<Ingest>, Bulk),
    store: Store,
    trials: Arc<Trials>,
    stop: CancellationToken,
) {
    let limits = Limits {
        connections: config.connections_max,
        header: config.header_timeout,
        answer: config.request_timeout,
        end: config.request_timeout,
    };
    let api = Api {
        ingest,
        bulk,
        store,
        trials,
        body_max: config.body_max,
        request_timeout: config.request_timeout,
        proxies: config.proxies,
        tokens: config.tokens,
        limits: limits::Limits::new(config.limits),
        running: Running::default(),
    };
    server::run(listener, limits, v1::doors().router(Arc::new(api)), stop).await;
}
