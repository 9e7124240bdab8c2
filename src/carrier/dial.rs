//! Lives here: one attempt to connect and bind, host by host.
//! Never here: when to try (`bind`, `pool`), what follows a failure.

use std::sync::Arc;
use std::time::Duration;

use mnara_smpp::client::{self, BindError};
use mnara_smpp::pdu::{Bind, BindKind, OctetStr};
use mnara_smpp::session::SessionConfig;
use mnara_smpp::transport::Connection;
use secrecy::ExposeSecret;
use tokio::sync::OwnedSemaphorePermit;

use super::backoff::Trouble;
use super::live::Handed;
use super::pool::Attempt;
use super::{Account, BindConfig, Mode, Seat, profile};

/// A bound connection.
pub(super) struct Dialled {
    pub(super) connection: Connection<Handed>,
    /// Its place among the account's sessions, kept until the connection is gone.
    pub(super) place: Option<OwnedSemaphorePermit>,
    /// Where it goes.
    pub(super) host: Box<str>,
}

/// Why there is none.
pub(super) struct Failed {
    pub(super) error: BindError,
    /// How long the account waits, if that is not for the bind to say.
    pub(super) wait: Option<Duration>,
}

/// What an attempt needs.
pub(super) struct Dial {
    account: Arc<Account>,
    config: BindConfig,
    window: usize,
}

impl Dial {
    pub(super) fn of(seat: &Seat, window: usize) -> Self {
        Self {
            account: Arc::clone(&seat.account),
            config: seat.config.clone(),
            window,
        }
    }

    /// Connects and binds to the first host that lets itself be connected to; one that answers the
    /// bind, whatever it answers, is the carrier's word. Cancel-safe: a dropped attempt closes its
    /// socket and leaves the turn to others.
    pub(super) async fn dial(&self, attempt: Attempt<'_>) -> Result<Dialled, Failed> {
        let spoken = &self.account.config.profile.session;
        let bind = bind_of(&self.config, spoken);
        let mut last = None;
        for host in &self.config.hosts {
            let session = session_of(&self.config, self.window, spoken);
            let error = match client::bind(&connect_of(&self.config, host), &bind, session).await {
                Ok(connection) => {
                    return Ok(Dialled {
                        connection,
                        place: attempt.proven(),
                        host: format!("{}:{}", host.0, host.1).into(),
                    });
                }
                Err(error) => error,
            };
            match &error {
                BindError::Connect(_) | BindError::Timeout | BindError::Closed(_) => {
                    last = Some(error);
                }
                BindError::Rejected(_) | BindError::Refused(_) => {
                    let credentials = Trouble::of(&error) == Trouble::Credentials;
                    let wait = credentials.then(|| attempt.refused(rand::random()));
                    return Err(Failed { error, wait });
                }
            }
        }
        // The configuration has at least one host.
        let error = last.unwrap_or(BindError::Timeout);
        Err(Failed { error, wait: None })
    }
}

fn connect_of(config: &BindConfig, (host, port): &(String, u16)) -> client::Connect {
    client::Connect {
        tls: config.tls.clone(),
        connect_timeout: config.connect_timeout,
        ..client::Connect::new(host.clone(), *port)
    }
}

fn bind_of(config: &BindConfig, spoken: &profile::Session) -> Bind {
    let octets = |text: &str| OctetStr::copy_from_slice(text.as_bytes());
    Bind {
        kind: match config.mode {
            Mode::Transmitter => BindKind::Transmitter,
            Mode::Receiver => BindKind::Receiver,
            Mode::Transceiver => BindKind::Transceiver,
        },
        system_id: octets(&config.system_id),
        password: octets(config.password.expose_secret()),
        system_type: octets(&config.system_type),
        interface_version: spoken.interface_version,
        // `check` has let through what the carrier issued.
        long_credentials: true,
        ..Bind::default()
    }
}

fn session_of(config: &BindConfig, window: usize, spoken: &profile::Session) -> SessionConfig {
    SessionConfig {
        least_version: spoken.least_version,
        untold_version: spoken.untold_version,
        window,
        bind_timeout: config.connect_timeout,
        response_timeout: config.response_timeout,
        enquire_link_interval: config.enquire_link_interval,
        ..SessionConfig::esme()
    }
}
