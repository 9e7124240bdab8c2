//! Lives here: what goes into a session and what comes out of it.
//! Never here: behaviour.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::codec::{CommandId, Header};
use crate::pdu::{Bind, BindKind, DecodeError, EncodeError, OctetStr, Pdu, Version, Violations};
use crate::status::CommandStatus;

/// What happened, or what the owner wants. `T` is the owner's correlation value.
#[derive(Debug)]
pub enum Input<'a, T> {
    /// Octets just read from the peer; any split and any number of PDUs. They are copied.
    Received(&'a [u8]),
    /// ESME: start the bind. Legal once, before anything else.
    Bind(&'a Bind),
    /// SMSC: answer the peer's bind; `ESME_ROK` accepts it, anything else refuses it and ends the session.
    AnswerBind {
        /// The number that `Action::BindRequested` carried.
        sequence: u32,
        /// The verdict.
        status: CommandStatus,
        /// Our own system_id, at most 15 octets.
        system_id: &'a OctetStr,
    },
    /// A request that takes a window slot.
    Request {
        /// A request PDU that the bind permits; not bind, unbind or enquire_link, which the session sends itself.
        pdu: &'a Pdu,
        /// Comes back with the answer, the expiry or the doubt.
        token: T,
    },
    /// An answer to a request of the peer. Answer each once, and soon: an unbind of
    /// either side waits for the answers that are owed, at most `unbind_timeout`.
    Respond {
        /// The peer's number, echoed untouched.
        sequence: u32,
        /// The verdict.
        status: CommandStatus,
        /// A response PDU, or `Pdu::GenericNack`.
        pdu: &'a Pdu,
    },
    /// Refuse a request of the peer with the operation's own response, its body left out where that is legal.
    Decline {
        /// The peer's number, echoed untouched.
        sequence: u32,
        /// The request's command.
        command: CommandId,
        /// Why; not `ESME_ROK`. `ESME_RINVCMDID` for an operation that is not served.
        status: CommandStatus,
    },
    /// SMSC: a PDU that has no response, and so takes no slot: outbind before the bind (SMPP 3.4 section 4.1.7), or
    /// alert_notification to a bound receiver or transceiver (4.12).
    Notify {
        /// The PDU.
        pdu: &'a Pdu,
    },
    /// Take no more requests, wait for the outstanding ones, then unbind.
    Unbind,
    /// A deadline (`Session::next_deadline`) may have passed.
    Tick,
    /// The peer has closed its half of the connection.
    Eof,
}

/// What the owner of a session has to know or do.
///
/// Each token given with a `Request` that was not refused comes back in exactly one of `Response`, `Expired` and
/// `InDoubt`; `Late` may follow an `Expired`.
#[derive(Clone, Debug, PartialEq)]
pub enum Action<T> {
    /// The bind stands.
    Bound {
        /// Transmitter, receiver or transceiver.
        kind: BindKind,
        /// The peer's own name; may be empty (3.3 servers).
        system_id: OctetStr,
        /// ESME: sc_interface_version of the answer, `None` if the peer sent none. SMSC: interface_version of the bind.
        peer_version: Option<Version>,
    },
    /// ESME: the server refused our bind; `Closed` follows.
    BindRejected {
        /// The server's reason.
        status: CommandStatus,
    },
    /// SMSC: the peer asks to bind; answer with `Input::AnswerBind`.
    BindRequested {
        /// The peer's number.
        sequence: u32,
        /// What it asks for, with its password.
        bind: Bind,
    },
    /// The answer to a `Request`.
    Response {
        /// The owner's value.
        token: T,
        /// Our number.
        sequence: u32,
        /// The peer's verdict; never `ESME_ROK` for a generic_nack.
        status: CommandStatus,
        /// `None` for generic_nack or a body that could not be read.
        pdu: Option<Pdu>,
        /// From `Input::Request` to the octets' arrival.
        rtt: Duration,
    },
    /// No answer within `response_timeout`: the slot is free, the outcome is in doubt.
    Expired {
        /// The owner's value; a later answer carries it again.
        token: T,
        /// Our number.
        sequence: u32,
    },
    /// The answer to a request that had expired.
    Late {
        /// The owner's value.
        token: T,
        /// Our number.
        sequence: u32,
        /// The peer's verdict; never `ESME_ROK` for a generic_nack.
        status: CommandStatus,
        /// `None` for generic_nack or a body that could not be read.
        pdu: Option<Pdu>,
    },
    /// A peer's request for the owner, permitted in this state. Answer with `Input::Respond` or `Input::Decline`.
    Request {
        /// The peer's number: any u32.
        sequence: u32,
        /// The request.
        pdu: Pdu,
        /// What the lenient decoder overlooked.
        violations: Violations,
    },
    /// ESME: a PDU that wants no answer: outbind, which asks us to bind, or alert_notification.
    Notified {
        /// The PDU.
        pdu: Pdu,
        /// What the lenient decoder overlooked.
        violations: Violations,
    },
    /// The peer unbinds: no request of ours is taken any more (`Refused::NotBound`), those outstanding may still be
    /// answered, for `unbind_timeout` at most; then `Closed` follows. Stop offering; a successor may be opened now.
    PeerUnbinding,
    /// The peer's congestion_state (SMPP 5.0 section 4.8.4.18) has changed; precedes the `Response` that told it.
    Congestion {
        /// 0 idle, 1-29 low, 30-49 medium, 50-79 high, 80-89 optimum, 90-99 nearly congested, 100 congested. The
        /// values above are reserved and not handed out.
        state: u8,
    },
    /// To be counted; the session has done what there was to do.
    Notice(Notice),
    /// The session ended while this request was outstanding; precedes `Closed`, in the order of sending.
    InDoubt {
        /// The owner's value.
        token: T,
        /// Our number.
        sequence: u32,
    },
    /// The session has ended; the last action of all. What `Session::output` still holds should be written.
    Closed {
        /// Why.
        reason: CloseReason,
    },
}

/// Something a peer did that is worth counting.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// A request whose body cannot be read; it was refused, unless it has no response, and the stream goes on.
    UndecodableRequest {
        /// Its command.
        command: CommandId,
        /// Its number.
        sequence: u32,
        /// What was wrong.
        error: DecodeError,
    },
    /// A response whose body cannot be read; its header still counted as the answer, if anything waited for it.
    UndecodableResponse {
        /// Its command.
        command: CommandId,
        /// Its number.
        sequence: u32,
        /// What was wrong.
        error: DecodeError,
    },
    /// A response nothing waits for: unknown or duplicate number, or another operation's response. Nothing was freed.
    UnexpectedResponse {
        /// Its command.
        command: CommandId,
        /// Its number.
        sequence: u32,
        /// Its verdict.
        status: CommandStatus,
    },
    /// A response or a bind that was read in spite of its faults.
    Violations {
        /// Its command.
        command: CommandId,
        /// Its number.
        sequence: u32,
        /// The faults.
        violations: Violations,
    },
    /// A PDU longer than `max_pdu`; its octets were skipped. A request was refused, a response counted by its header.
    Oversized {
        /// Its header.
        header: Header,
    },
    /// A request of an operation we do not know; answered with generic_nack ESME_RINVCMDID.
    UnknownCommand {
        /// Its command.
        command: CommandId,
        /// Its number.
        sequence: u32,
    },
    /// A request that this state or bind does not permit; answered with ESME_RINVBNDSTS or ESME_RALYBND.
    NotPermitted {
        /// Its command.
        command: CommandId,
        /// Its number.
        sequence: u32,
    },
    /// A PDU without response that this role or state has no use for (alert_notification, outbind).
    Ignored {
        /// Its command.
        command: CommandId,
    },
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unbound => "unbound",
            Self::PeerUnbound => "the peer unbound",
            Self::PeerClosed => "the peer closed the connection",
            Self::BindRefused(status) => return write!(f, "the bind was refused: {status}"),
            Self::BindTimeout => "no bind, or no answer to it, in time",
            Self::EnquireLinkTimeout => "enquire_link was not answered",
            Self::Inactivity => "nothing was asked for too long",
            Self::UnbindTimeout => "the unbind was not answered",
            Self::Garbage => "the octets are not SMPP",
            Self::PeerNotReading => "the peer takes no octets",
            Self::Io(kind) => return write!(f, "the socket failed: {kind}"),
            Self::Aborted => "ended by its owner",
        })
    }
}

/// Why a session ended. All but `Unbound` and `PeerUnbound` may leave requests in doubt on the other side too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// Our unbind was answered, or the peer closed after it.
    Unbound,
    /// The peer unbound; it was answered, or closed before that.
    PeerUnbound,
    /// The peer closed the connection without unbind.
    PeerClosed,
    /// The bind was refused, by us or by the peer.
    BindRefused(CommandStatus),
    /// No bind, or no answer to it, within `bind_timeout`.
    BindTimeout,
    /// Our enquire_link was not answered within `response_timeout`.
    EnquireLinkTimeout,
    /// No transaction within `inactivity_timeout`; an unbind was written, its answer is not awaited.
    Inactivity,
    /// Our unbind was not answered within `unbind_timeout`.
    UnbindTimeout,
    /// The octets are not SMPP, or the position in the stream is lost.
    Garbage,
    /// The peer takes no octets and the write buffer is full.
    PeerNotReading,
    /// The socket failed (also: TLS handshake or record failure, as `InvalidData`).
    Io(io::ErrorKind),
    /// The owner ended the session at once.
    Aborted,
}

/// Why an input was not taken. Nothing was changed, and the token is not outstanding.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// All slots are taken: hold the request until a `Response` or `Expired`.
    #[error("the window is full")]
    WindowFull,
    /// Not bound yet, unbinding, or closed: hold the request for another session.
    #[error("the session is not bound")]
    NotBound,
    /// This bind, role or state does not carry this PDU: the owner's mistake.
    #[error("the PDU is not permitted in this role, bind or state")]
    NotPermitted,
    /// The PDU cannot be written: a field over its limit, or nothing for the version agreed on
    /// ([`EncodeError::NotInVersion`]): the owner's mistake, fail the message.
    #[error("the PDU cannot be encoded: {0}")]
    Encode(#[from] EncodeError),
}

/// Where a session stands (SMPP 3.4 section 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Connected, no bind yet.
    Open,
    /// The bind is sent (ESME) or waits for `AnswerBind` (SMSC).
    Binding,
    /// Requests flow.
    Bound(BindKind),
    /// One of the two unbinds: no new requests of ours, outstanding ones may still be answered.
    Unbinding,
    /// Over.
    Closed,
}

impl State {
    /// Whether requests of ours may be sent.
    pub const fn is_bound(self) -> bool {
        matches!(self, Self::Bound(_))
    }

    /// Whether the session is over.
    pub const fn is_closed(self) -> bool {
        matches!(self, Self::Closed)
    }
}
