//! Lives here: what a server asks its owner, and what it may be told.
//! Never here: sockets, sessions.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::pdu::{Bind, BindKind, OctetStr, Version};
use crate::session::CloseReason;
use crate::status::CommandStatus;
use crate::transport::{Handle, Limits, Orphan, PeerRequest};

/// The owner's half of a [`super::Server`]. Shared by all its connections, so what it keeps must be behind locks,
/// atomics or channels.
pub trait Service: Send + Sync + 'static {
    /// Whether this bind may be. Runs within the session's `bind_timeout` and is dropped when that is over or the
    /// peer has gone.
    ///
    /// Compare passwords in constant time: only the owner knows the secret's form, so this crate cannot do it.
    fn authenticate(
        &self,
        asked: &BindRequest,
    ) -> impl Future<Output = Result<Accepted, Reject>> + Send;

    /// A request of a bound peer; runs in a task of its own, several of one peer at once, at most
    /// [`Limits::requests_max`]. Answer by `request.responder`, once what was asked for is durable; what is sent by
    /// `peer.handle` after that follows the answer on the wire. Not called for requests that the session refuses, operations it does not know
    /// (a vendor's) among them.
    fn request(&self, peer: &Arc<Peer>, request: PeerRequest) -> impl Future<Output = ()> + Send;

    /// A peer is bound; keep its handle to push deliver_sm. Must not block.
    fn bound(&self, peer: &Arc<Peer>) {
        let _ = peer;
    }

    /// A push of ours came to something and its caller had gone. Must not block.
    fn orphan(&self, peer: &Arc<Peer>, orphan: Orphan) {
        let _ = (peer, orphan);
    }

    /// A bound peer has gone; the last that is heard of it. Must not block. Not called for those who are still there when
    /// `stop_timeout` is over or the server is dropped.
    fn ended(&self, peer: &Arc<Peer>, reason: CloseReason) {
        let _ = (peer, reason);
    }

    /// A connection ended without being bound: over a limit, no bind in time, a failed TLS handshake, or a bind refused
    /// with this status. Must not block. Not called while the server stops, nor where `authenticate` panicked.
    fn turned_away(&self, address: SocketAddr, status: Option<CommandStatus>) {
        let _ = (address, status);
    }
}

/// A peer that asks to bind.
#[derive(Clone, Debug)]
pub struct BindRequest {
    /// What it says, with its password (which `Debug` hides).
    pub bind: Bind,
    /// Where it comes from.
    pub address: SocketAddr,
}

/// The terms of a bind; the default is the server's own.
#[derive(Clone, Debug, Default)]
pub struct Accepted {
    /// Binds that this system_id may have at once; `None` is [`super::ServerConfig::binds_per_system_max`].
    pub binds_max: Option<usize>,
    /// Its queues; `None` is [`super::ServerConfig::limits`].
    pub limits: Option<Limits>,
}

/// Why a bind is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reject {
    /// Nobody has this system_id: ESME_RINVSYSID.
    UnknownSystem,
    /// ESME_RINVPASWD.
    WrongPassword,
    /// ESME_RINVSYSTYP.
    WrongSystemType,
    /// As many binds as it may have: ESME_RALYBND.
    TooManyBinds,
    /// Not from this address, not as this kind, not now: ESME_RBINDFAIL.
    NotAllowed,
    /// We cannot tell at present: ESME_RSYSERR.
    Internal,
    /// Any other; `ESME_ROK` becomes ESME_RBINDFAIL.
    Other(CommandStatus),
}

impl Reject {
    /// What the peer is told.
    pub const fn status(self) -> CommandStatus {
        match self {
            Self::UnknownSystem => CommandStatus::ESME_RINVSYSID,
            Self::WrongPassword => CommandStatus::ESME_RINVPASWD,
            Self::WrongSystemType => CommandStatus::ESME_RINVSYSTYP,
            Self::TooManyBinds => CommandStatus::ESME_RALYBND,
            Self::NotAllowed => CommandStatus::ESME_RBINDFAIL,
            Self::Internal => CommandStatus::ESME_RSYSERR,
            Self::Other(status) if status.is_ok() => CommandStatus::ESME_RBINDFAIL,
            Self::Other(status) => status,
        }
    }
}

/// A bound peer.
pub struct Peer {
    /// Who it is.
    pub system_id: OctetStr,
    /// Transmitter, receiver or transceiver.
    pub kind: BindKind,
    /// Where it comes from.
    pub address: SocketAddr,
    /// The version agreed on.
    pub version: Version,
    /// Sends to it. Whoever keeps it does not keep the connection alive beyond an unbind.
    pub handle: Handle,
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer")
            .field("system_id", &self.system_id)
            .field("kind", &self.kind)
            .field("address", &self.address)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl Peer {
    /// Whether deliver_sm may be pushed to it.
    pub const fn receives(&self) -> bool {
        matches!(self.kind, BindKind::Receiver | BindKind::Transceiver)
    }
}
