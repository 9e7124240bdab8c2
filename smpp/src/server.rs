//! Lives here: accepting connections of ESMEs.
//! Never here: who may bind (the owner answers the bind), limits on the number of connections (the owner's too).

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, ToSocketAddrs};

use crate::session::SessionConfig;
use crate::transport::{Connection, Handshake, Stream, TlsServer, tune};

/// A listening socket, plain or TLS.
pub struct Listener {
    tcp: TcpListener,
    tls: Option<TlsServer>,
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
        Self { tcp, tls }
    }

    /// Waits for the next connection. A TLS handshake is not awaited here: it runs inside the connection's `drive`,
    /// under the session's `bind_timeout`. Cancel-safe.
    ///
    /// # Errors
    /// Out of file descriptors, or the connection was aborted before it was taken: wait a moment and call again.
    pub async fn accept<T: Clone>(
        &self,
        config: SessionConfig,
    ) -> io::Result<(Connection<T>, SocketAddr)> {
        let (tcp, peer) = self.tcp.accept().await?;
        tune(&tcp);
        let stream = match &self.tls {
            Some(tls) => Stream::Handshake(Handshake::new(tls.acceptor().accept(tcp))),
            None => Stream::Tcp(tcp),
        };
        Ok((Connection::new(stream, config), peer))
    }

    /// The address it listens on, with the port that was taken.
    ///
    /// # Errors
    /// The socket has failed.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}
