//! Lives here: the octet stream under a connection, plain or TLS, and the socket's options.
//! Never here: SMPP.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::{Accept, TlsStream};

/// Options of a TCP socket. TCP_NODELAY is always set: octets are coalesced before they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpOptions {
    /// Idle time before the first keep-alive probe. The session's enquire_link is usually faster; this catches what
    /// has no session timer.
    pub keepalive_time: Duration,
    /// Pace of the next probes.
    pub keepalive_interval: Duration,
    /// Unanswered probes that end the connection.
    pub keepalive_retries: u32,
    /// How long written octets may stay unacknowledged (TCP_USER_TIMEOUT, on Linux): writes into a dead path succeed
    /// for many minutes otherwise.
    pub user_timeout: Duration,
}

impl Default for TcpOptions {
    /// Three probes from 60 s on, 10 s apart: 90 s to a verdict; 60 s for octets written.
    fn default() -> Self {
        Self {
            keepalive_time: Duration::from_secs(60),
            keepalive_interval: Duration::from_secs(10),
            keepalive_retries: 3,
            user_timeout: Duration::from_secs(60),
        }
    }
}

impl TcpOptions {
    /// Failures are ignored: a socket that refuses an option works without it, or is dead and its first read says so.
    pub(crate) fn apply(&self, tcp: &TcpStream) {
        let _ = tcp.set_nodelay(true);
        let socket = SockRef::from(tcp);
        let keepalive = TcpKeepalive::new()
            .with_time(self.keepalive_time)
            .with_interval(self.keepalive_interval)
            .with_retries(self.keepalive_retries);
        let _ = socket.set_tcp_keepalive(&keepalive);
        #[cfg(target_os = "linux")]
        let _ = socket.set_tcp_user_timeout(Some(self.user_timeout));
    }
}

/// A connected socket.
pub enum Stream {
    /// Plain TCP.
    Tcp(TcpStream),
    /// TLS over TCP, handshake done; either end.
    Tls(Box<TlsStream<TcpStream>>),
    /// TLS whose server-side handshake runs with the first reads and writes, so that a slow client holds up nobody
    /// but itself and falls to the session's `bind_timeout`.
    Handshake(Handshake),
}

/// A TLS handshake on its way (server side).
pub struct Handshake(Option<Box<Accept<TcpStream>>>);

impl Handshake {
    pub(crate) fn new(accept: Accept<TcpStream>) -> Self {
        Self(Some(Box::new(accept)))
    }
}

impl Stream {
    /// The peer's address.
    ///
    /// # Errors
    /// The peer has gone, or the handshake failed.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Tcp(tcp) => tcp.peer_addr(),
            Self::Tls(tls) => tls.get_ref().0.peer_addr(),
            Self::Handshake(handshake) => handshake
                .0
                .as_ref()
                .and_then(|accept| accept.get_ref())
                .ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected))?
                .peer_addr(),
        }
    }

    /// Runs a pending handshake to its end; a failed one fails again at each call.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self::Handshake(handshake) = self else {
            return Poll::Ready(Ok(()));
        };
        let Some(accept) = handshake.0.as_mut() else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        match ready!(Pin::new(accept).poll(cx)) {
            Ok(tls) => {
                *self = Self::Tls(Box::new(TlsStream::Server(tls)));
                Poll::Ready(Ok(()))
            }
            Err(error) => {
                handshake.0 = None;
                Poll::Ready(Err(error))
            }
        }
    }
}

impl From<TcpStream> for Stream {
    fn from(tcp: TcpStream) -> Self {
        Self::Tcp(tcp)
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_ready(cx))?;
        match this {
            Self::Tcp(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
            Self::Handshake(_) => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_ready(cx))?;
        match this {
            Self::Tcp(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
            Self::Handshake(_) => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
            Self::Handshake(_) => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
            Self::Handshake(_) => Poll::Ready(Ok(())),
        }
    }
}
