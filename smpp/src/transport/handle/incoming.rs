//! Lives here: what comes out of a shared connection by itself: the peer's requests, and outcomes without a caller.
//! Never here: deciding about them.

use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};

use super::{Command, Outcome, Stand};
use crate::codec::CommandId;
use crate::pdu::{OctetStr, Pdu, Violations};
use crate::session::Role;
use crate::status::CommandStatus;

/// What the peer sends by itself, in the order of its coming, and orphans.
///
/// Dropped, it has every further request of the peer declined, and orphans only counted.
pub struct Incoming {
    events: mpsc::Receiver<Event>,
    stand: watch::Receiver<Stand>,
}

/// One thing that came.
#[derive(Debug)]
pub enum Event {
    /// A request of the peer.
    Request(PeerRequest),
    /// A PDU that wants no answer (alert_notification).
    Notified(Pdu),
    /// An outcome whose caller has gone.
    Orphan(Orphan),
}

/// The outcome of a request that nobody waits for any more: its [`super::Pending`] was dropped, or it had expired and
/// the answer came after all. An `ESME_ROK` here means a message that was sent.
#[derive(Debug)]
pub struct Orphan {
    /// As [`super::Pending::number`].
    pub number: u64,
    /// What came of it; never [`super::NoAnswer::Refused`].
    pub outcome: Outcome,
}

/// A request of the peer with the means to answer it.
#[derive(Debug)]
pub struct PeerRequest {
    /// The request.
    pub pdu: Pdu,
    /// What the lenient decoder overlooked.
    pub violations: Violations,
    /// Answers it.
    pub responder: Responder,
}

/// Answers one request of the peer. Dropped without an answer (also by a panic) it declines, since what is never
/// answered is sent again for days: with `ESME_RX_T_APPN` by an ESME and `ESME_RTHROTTLED` by an SMSC.
pub struct Responder(Option<(Due, mpsc::Sender<Command>)>);

/// An answer of ours.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// The verdict.
    pub status: CommandStatus,
    /// The response; `None` sends the operation's own without a body, and needs an error status.
    pub pdu: Option<Pdu>,
}

/// An answer that is due; holds the request's place among those unanswered.
pub(super) struct Due {
    pub(super) sequence: u32,
    pub(super) command: CommandId,
    pub(super) role: Role,
    pub(super) _place: OwnedSemaphorePermit,
    pub(super) _room: OwnedSemaphorePermit,
}

impl Incoming {
    pub(super) fn new(events: mpsc::Receiver<Event>, stand: watch::Receiver<Stand>) -> Self {
        Self { events, stand }
    }

    /// Waits for the next; `None` when the connection is over and nothing is left. Cancel-safe.
    pub async fn next(&mut self) -> Option<Event> {
        tokio::select! {
            biased;
            event = self.events.recv() => event,
            // An error means that driver and handles have gone, which is as over.
            _ = self.stand.wait_for(|stand| matches!(stand, Stand::Over(_))) => self.events.try_recv().ok(),
        }
    }
}

impl Reply {
    /// Yes, with this response.
    pub const fn ok(pdu: Pdu) -> Self {
        Self {
            status: CommandStatus::ESME_ROK,
            pdu: Some(pdu),
        }
    }

    /// No.
    pub const fn refuse(status: CommandStatus) -> Self {
        Self { status, pdu: None }
    }
}

impl PeerRequest {
    /// Says yes, with this id where the operation gives one (see [`Pdu::accepted`]); a request that needs another
    /// answer (`query_sm`) is declined.
    pub fn accept(self, message_id: impl Into<OctetStr>) {
        if let Some(response) = self.pdu.accepted(message_id.into()) {
            self.responder.answer(Reply::ok(response));
        }
    }

    /// Says no.
    pub fn refuse(self, status: CommandStatus) {
        self.responder.answer(Reply::refuse(status));
    }
}

impl Responder {
    pub(super) fn new(due: Due, to_driver: mpsc::Sender<Command>) -> Self {
        Self(Some((due, to_driver)))
    }

    /// Answers. The answer is written behind everything that was given to the connection before. It is lost when the
    /// connection is over; an answer that the session refuses (it does not fit the peer's version, or is no response)
    /// is replaced by `ESME_RSYSERR`.
    pub fn answer(mut self, reply: Reply) {
        self.send(reply);
    }

    fn send(&mut self, reply: Reply) {
        if let Some((answer, to_driver)) = self.0.take() {
            // Never full, see `Connection::split`; closed when there is nobody to be answered.
            let _ = to_driver.try_send(Command::Reply { answer, reply });
        }
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        if let Some((due, _)) = &self.0 {
            // Whoever panicked over it will do so again.
            let status = if std::thread::panicking() {
                CommandStatus::ESME_RSYSERR
            } else {
                not_now(due.role)
            };
            self.send(Reply::refuse(status));
        }
    }
}

impl std::fmt::Debug for Responder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sequence = self.0.as_ref().map(|(due, _)| due.sequence);
        f.debug_tuple("Responder").field(&sequence).finish()
    }
}

/// The status that makes a peer come again later: ours as the one who receives, or is submitted to.
pub(super) const fn not_now(role: Role) -> CommandStatus {
    match role {
        Role::Esme => CommandStatus::ESME_RX_T_APPN,
        Role::Smsc => CommandStatus::ESME_RTHROTTLED,
    }
}
