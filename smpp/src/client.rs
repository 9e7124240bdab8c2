//! Lives here: connecting to an SMSC and binding.
//! Never here: reconnecting, back-off and failover (the owner knows why).

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsStream;

use crate::pdu::Bind;
use crate::session::{Action, CloseReason, Input, Refused, SessionConfig};
use crate::status::CommandStatus;
use crate::transport::{Connection, Stream, TcpOptions, TlsClient, TlsError};

/// Where to connect.
#[derive(Clone)]
pub struct Connect {
    /// DNS name or address; all addresses of a name are tried in turn.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// With TLS or plain.
    pub tls: Option<TlsClient>,
    /// For name resolution, TCP and TLS together.
    pub connect_timeout: Duration,
    /// Keep-alive and the like.
    pub tcp: TcpOptions,
}

impl Connect {
    /// Plain TCP with the default options and 10 s to connect.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
            tls: None,
            connect_timeout: Duration::from_secs(10),
            tcp: TcpOptions::default(),
        }
    }
}

/// Why there is no connection. All but `Name` may be retried later.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Not done within `connect_timeout`.
    #[error("connecting took too long")]
    Timeout,
    /// The name does not resolve, or the peer refuses or cannot be reached.
    #[error("cannot connect: {0}")]
    Io(io::Error),
    /// The TLS handshake failed: certificate, version or cipher.
    #[error("TLS handshake failed: {0}")]
    Tls(io::Error),
    /// The host cannot be verified by TLS: a mistake of the configuration.
    #[error(transparent)]
    Name(#[from] TlsError),
}

/// Why there is no bind.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// There is not even a connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The bind's fields cannot be written: a mistake of the configuration.
    #[error("the bind cannot be sent: {0}")]
    Refused(#[from] Refused),
    /// The server said no; hold or stop, by its status.
    #[error("bind rejected: {}", .0.name())]
    Rejected(CommandStatus),
    /// No answer within `bind_timeout`.
    #[error("the bind was not answered")]
    Timeout,
    /// The connection ended before the answer.
    #[error("closed before the bind was answered: {0}")]
    Closed(CloseReason),
}

/// Connects, with TLS if so configured; does not bind.
///
/// # Errors
/// See [`ConnectError`]. Cancel-safe: a dropped future closes the socket.
pub async fn connect<T: Clone>(
    to: &Connect,
    config: SessionConfig,
) -> Result<Connection<T>, ConnectError> {
    let stream = timeout(to.connect_timeout, open(to))
        .await
        .map_err(|_| ConnectError::Timeout)??;
    Ok(Connection::new(stream, config))
}

/// Connects, binds and waits for the answer, at most `bind_timeout` of `config`.
///
/// `Action::Bound` is consumed ([`crate::session::Session::peer_version`] tells the rest); whatever arrived together
/// with it comes out of the first [`Connection::drive`].
///
/// # Errors
/// See [`BindError`]. Cancel-safe: a dropped future closes the socket.
pub async fn bind<T: Clone>(
    to: &Connect,
    bind: &Bind,
    config: SessionConfig,
) -> Result<Connection<T>, BindError> {
    bind_over(connect(to, config).await?, bind).await
}

/// The same over a connection that is there already: one that a carrier has made to ask for a bind
/// ([`crate::session::Action::Notified`] with an outbind), or a stream of the caller's own.
///
/// ```no_run
/// use mnara_smpp::client::{BindError, bind_over};
/// use mnara_smpp::pdu::{Bind, Pdu};
/// use mnara_smpp::server::Listener;
/// use mnara_smpp::session::{Action, SessionConfig};
/// use mnara_smpp::transport::{Connection, Ticket};
///
/// /// The first carrier that asks for a bind, bound; `None` when it goes away without asking.
/// async fn outbound(listener: &Listener, bind: &Bind) -> std::io::Result<Option<Result<Connection<Ticket>, BindError>>> {
///     let (mut connection, _address) = listener.accept(SessionConfig::esme()).await?;
///     let mut actions = Vec::new();
///     loop {
///         connection.drive(&mut actions).await;
///         for action in actions.drain(..) {
///             match action {
///                 // A real client compares system_id and password here.
///                 Action::Notified { pdu: Pdu::Outbind(_), .. } => return Ok(Some(bind_over(connection, bind).await)),
///                 Action::Closed { .. } => return Ok(None),
///                 _ => {}
///             }
///         }
///     }
/// }
/// ```
///
/// # Errors
/// See [`BindError`]. Cancel-safe: a dropped future closes the socket.
pub async fn bind_over<T: Clone>(
    mut connection: Connection<T>,
    bind: &Bind,
) -> Result<Connection<T>, BindError> {
    let mut actions = Vec::new();
    connection.send(Input::Bind(bind), &mut actions)?;
    let mut rest = Vec::new();
    loop {
        connection.drive(&mut actions).await;
        let mut bound = false;
        for action in actions.drain(..) {
            match action {
                Action::Bound { .. } => bound = true,
                Action::BindRejected { status } => return Err(BindError::Rejected(status)),
                Action::Closed { reason } if !bound => {
                    return Err(match reason {
                        CloseReason::BindTimeout => BindError::Timeout,
                        reason => BindError::Closed(reason),
                    });
                }
                other => rest.push(other),
            }
        }
        if bound {
            connection.defer(rest);
            return Ok(connection);
        }
    }
}

async fn open(to: &Connect) -> Result<Stream, ConnectError> {
    let tcp = TcpStream::connect((to.host.as_str(), to.port))
        .await
        .map_err(ConnectError::Io)?;
    to.tcp.apply(&tcp);
    let Some(tls) = &to.tls else {
        return Ok(Stream::Tcp(tcp));
    };
    let (connector, name) = tls.connector(&to.host)?;
    let tls = connector
        .connect(name, tcp)
        .await
        .map_err(ConnectError::Tls)?;
    Ok(Stream::Tls(Box::new(TlsStream::Client(tls))))
}
