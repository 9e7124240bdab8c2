//! Lives here: accepting connections: one by one ([`Listener`]), or a whole server with limits ([`Server`]).
//! Never here: who may bind and what requests mean ([`Service`], the owner's), protocol rules (session).

mod peer;
mod service;
mod tally;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, ToSocketAddrs};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::pdu::{Field, OctetStr};
use crate::server::tally::Tally;
use crate::session::{Role, SessionConfig};
use crate::transport::{Connection, Handshake, Limits, Stream, TcpOptions, TlsServer};

pub use service::{Accepted, BindRequest, Peer, Reject, Service};

/// Octets of a system_id (SMPP 5.2.1); a longer one is cut.
const SYSTEM_ID_MAX: usize = Field::SystemId.max_len();
/// Pause after a failed accept: without file descriptors the next one fails at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listening socket, plain or TLS.
pub struct Listener {
    tcp: TcpListener,
    tls: Option<TlsServer>,
    options: TcpOptions,
}

/// Limits and name of a [`Server`].
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Our own system_id, at most 15 octets.
    pub system_id: OctetStr,
    /// Window, timers and PDU size of every session; its role is always [`Role::Smsc`].
    pub session: SessionConfig,
    /// Queues of each bind that is accepted without its own.
    pub limits: Limits,
    /// Connections at once, bound or not; each takes about 70 KiB. Further ones are closed as they come.
    pub connections_max: usize,
    /// Connections at once from one address. Further ones are closed as they come.
    pub connections_per_address_max: usize,
    /// Binds at once of one system_id that is accepted without its own limit. Further ones get ESME_RALYBND.
    pub binds_per_system_max: usize,
    /// How long [`Server::run`] waits for unbinds and requests under way once it is told to stop.
    pub stop_timeout: Duration,
}

impl Default for ServerConfig {
    /// Named `mnara`; 1 000 connections, 100 from one address, 10 binds of one system, 30 s to stop.
    fn default() -> Self {
        Self {
            system_id: OctetStr::from("mnara"),
            session: SessionConfig::smsc(),
            limits: Limits::default(),
            connections_max: 1_000,
            connections_per_address_max: 100,
            binds_per_system_max: 10,
            stop_timeout: Duration::from_secs(30),
        }
    }
}

/// An SMSC: accepts, authenticates, limits, and hands each peer's requests to the [`Service`].
pub struct Server<S> {
    listener: Listener,
    house: Arc<House<S>>,
}

/// What all connections of a server share.
struct House<S> {
    config: ServerConfig,
    service: S,
    systems: Arc<Tally<OctetStr>>,
}

impl<S: Service> Server<S> {
    /// A server on a listening socket; nothing is accepted until it runs.
    pub fn new(listener: Listener, mut config: ServerConfig, service: S) -> Self {
        config.session.role = Role::Smsc;
        let name = config.system_id.as_bytes();
        config.system_id = OctetStr::copy_from_slice(&name[..name.len().min(SYSTEM_ID_MAX)]);
        let house = House {
            config,
            service,
            systems: Tally::new(),
        };
        Self {
            listener,
            house: Arc::new(house),
        }
    }

    /// Serves until `stop` resolves. Then accepts nobody, unbinds everybody, and returns when all are gone and all
    /// requests under way are done, after `stop_timeout` at the latest. Dropping the future ends all at once.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let Self { listener, house } = self;
        let (tell, told) = watch::channel(false);
        let addresses = Tally::new();
        let mut peers = JoinSet::new();
        let mut stop = pin!(stop);
        loop {
            // `accept` and `join_next` are cancel-safe, `stop` is only looked at.
            tokio::select! {
                () = &mut stop => break,
                Some(_) = peers.join_next(), if !peers.is_empty() => {}
                accepted = listener.next() => match accepted {
                    Ok((stream, address)) => {
                        let most = house.config.connections_per_address_max;
                        let place = addresses.take(&address.ip(), most);
                        let Some(place) = place.filter(|_| peers.len() < house.config.connections_max) else {
                            house.service.turned_away(address, None);
                            continue;
                        };
                        let connection = Connection::new(stream, house.config.session.clone());
                        let serving = peer::serve(connection, address, Arc::clone(&house), told.clone());
                        peers.spawn(async move {
                            serving.await;
                            drop::<tally::Place<IpAddr>>(place);
                        });
                    }
                    // Its peer has gone already; the next one is none the worse for it.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                    Err(_) => sleep(ACCEPT_PAUSE).await,
                },
            }
        }
        drop(listener);
        tell.send_replace(true);
        let gone = async { while peers.join_next().await.is_some() {} };
        if timeout(house.config.stop_timeout, gone).await.is_err() {
            peers.shutdown().await;
        }
    }
}

impl Listener {
    /// Listens on `addr`; port 0 takes a free one.
    ///
    /// # Errors
    /// The address is taken, not ours, or not permitted.
    pub async fn bind(addr: impl ToSocketAddrs, tls: Option<TlsServer>) -> io::Result<Self> {
        Ok(Self::from_tcp(TcpListener::bind(addr).await?, tls))
    }

    /// Listens on a socket made elsewhere (systemd's socket activation).
    pub fn from_tcp(tcp: TcpListener, tls: Option<TlsServer>) -> Self {
        Self {
            tcp,
            tls,
            options: TcpOptions::default(),
        }
    }

    /// The same with other options for the sockets it accepts.
    #[must_use]
    pub fn with_options(mut self, options: TcpOptions) -> Self {
        self.options = options;
        self
    }

    /// Waits for the next connection. A TLS handshake is not awaited here: it runs inside the connection's `drive`,
    /// under the session's `bind_timeout`. With [`SessionConfig::esme`] it awaits carriers who connect to ask for a
    /// bind (outbind, SMPP 3.4 section 2.2.1); [`crate::client::bind_over`] then binds. Cancel-safe.
    ///
    /// # Errors
    /// Out of file descriptors, or the connection was aborted before it was taken: wait a moment and call again.
    pub async fn accept<T: Clone>(
        &self,
        config: SessionConfig,
    ) -> io::Result<(Connection<T>, SocketAddr)> {
        let (stream, peer) = self.next().await?;
        Ok((Connection::new(stream, config), peer))
    }

    async fn next(&self) -> io::Result<(Stream, SocketAddr)> {
        let (tcp, peer) = self.tcp.accept().await?;
        self.options.apply(&tcp);
        let stream = match &self.tls {
            Some(tls) => Stream::Handshake(Handshake::new(tls.acceptor().accept(tcp))),
            None => Stream::Tcp(tcp),
        };
        Ok((stream, peer))
    }

    /// The address it listens on, with the port that was taken.
    ///
    /// # Errors
    /// The socket has failed.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}
