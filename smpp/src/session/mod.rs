//! Lives here: the session as a pure state machine: inputs and `now` in, actions and octets out.
//! Never here: a socket, a clock, a lock, `async` (transport), or what a message means (the owner).
//!
//! The owner feeds [`Input`]s to [`Session::handle`], writes what [`Session::output`] holds, and comes back with
//! [`Input::Tick`] at [`Session::next_deadline`]. Nothing else happens, so a virtual clock can drive it.

mod config;
mod event;
mod in_flight;
mod inbound;
mod late;
mod permission;
mod timers;
mod unbind;

#[cfg(test)]
mod pair;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod storm;
#[cfg(test)]
mod tests;

use std::time::Instant;

use bytes::BytesMut;

use crate::codec::{CommandId, FrameDecoder, Header};
use crate::pdu::{Bind, BindKind, BindResp, EncodeError, OctetStr, Pdu, Version};
use crate::session::config::UNBOUND_MAX_PDU;
use crate::session::in_flight::InFlight;
use crate::session::late::LateTable;
use crate::session::permission::notifies;
use crate::status::CommandStatus;
use crate::tlv::{Tlv, Tlvs, tag};

pub use config::{Role, SessionConfig};
pub use event::{Action, CloseReason, Input, Notice, Refused, State};
pub use permission::permits;

/// Greatest sequence number we use; the next is 1 (SMPP 3.4 section 5.1.4).
const SEQUENCE_MAX: u32 = 0x7FFF_FFFF;

/// One end of one SMPP connection. `T` is the owner's correlation value, kept per outstanding request.
pub struct Session<T: Clone> {
    config: SessionConfig,
    phase: Phase,
    /// The latest time seen; time never runs backwards here.
    now: Instant,
    next_sequence: u32,
    in_flight: InFlight<T>,
    late: LateTable<T>,
    /// Requests of the peer that the owner has been given and has not answered.
    owed: usize,
    enquiry: Option<Enquiry>,
    /// When the last whole PDU arrived.
    last_received: Instant,
    /// When the last PDU other than enquire_link went either way.
    last_transaction: Instant,
    peer_system_id: OctetStr,
    peer_version: Option<Version>,
    /// What both ends speak; before the bind, what we do.
    version: Version,
    /// The latest congestion_state of the peer, 0 to 100.
    congestion: Option<u8>,
    decoder: FrameDecoder,
    input: BytesMut,
    output: BytesMut,
}

/// `State` with the data that each state needs.
enum Phase {
    Open {
        until: Instant,
    },
    /// ESME: our bind is sent.
    BindSent {
        kind: BindKind,
        sequence: u32,
        offered: Version,
        until: Instant,
    },
    /// SMSC: the peer's bind waits for `Input::AnswerBind`.
    BindAsked {
        kind: BindKind,
        sequence: u32,
        system_id: OctetStr,
        version: Version,
        until: Instant,
    },
    Bound {
        kind: BindKind,
    },
    /// We want to unbind; requests are still outstanding.
    Draining {
        kind: BindKind,
        until: Instant,
        /// Answers that we owed when we decided to go; those for later requests are not waited for, since the peer might
        /// never pause.
        owed: usize,
    },
    /// Our unbind is sent.
    Unbinding {
        kind: BindKind,
        sequence: u32,
        until: Instant,
        /// The peer's own unbind has crossed ours and is answered: nothing more will come.
        crossed: bool,
    },
    /// The peer's unbind waits for its answer until nothing of ours is outstanding.
    PeerUnbinding {
        kind: BindKind,
        sequence: u32,
        until: Instant,
    },
    Closed,
}

/// Our enquire_link that waits for its answer.
#[derive(Clone, Copy)]
struct Enquiry {
    sequence: u32,
    until: Instant,
}

impl<T: Clone> Session<T> {
    /// A session over a connection made at `now`; the bind must follow within `bind_timeout`.
    pub fn new(config: SessionConfig, now: Instant) -> Self {
        let config = config.clamped();
        Self {
            phase: Phase::Open {
                until: now + config.bind_timeout,
            },
            now,
            next_sequence: 1,
            in_flight: InFlight::new(config.window),
            late: LateTable::new(config.late_max),
            owed: 0,
            enquiry: None,
            last_received: now,
            last_transaction: now,
            peer_system_id: OctetStr::default(),
            peer_version: None,
            version: config.version,
            congestion: None,
            decoder: FrameDecoder::new(config.max_pdu.min(UNBOUND_MAX_PDU)),
            input: BytesMut::new(),
            output: BytesMut::new(),
            config,
        }
    }

    /// Takes one input. Appends what happened to `actions` (never clears it); octets for the peer are appended to
    /// [`Session::output`].
    ///
    /// # Errors
    /// Never for `Received`, `Tick` and `Eof`; for the others: the input was not taken and nothing changed.
    pub fn handle(
        &mut self,
        input: Input<'_, T>,
        now: Instant,
        actions: &mut Vec<Action<T>>,
    ) -> Result<(), Refused> {
        self.now = self.now.max(now);
        let now = self.now;
        let taken = match input {
            Input::Received(octets) => {
                self.receive(octets, now, actions);
                Ok(())
            }
            Input::Bind(bind) => self.bind(bind, now),
            Input::AnswerBind {
                sequence,
                status,
                system_id,
            } => self.answer_bind(sequence, status, system_id, now, actions),
            Input::Request { pdu, token } => self.request(pdu, token, now),
            Input::Respond {
                sequence,
                status,
                pdu,
            } => self.respond(sequence, status, pdu, now),
            Input::Decline {
                sequence,
                command,
                status,
            } => self.decline_owners(sequence, command, status, now),
            Input::Notify { pdu } => self.notify(pdu, now),
            Input::Unbind => self.unbind(now),
            Input::Tick => {
                self.tick(now, actions);
                Ok(())
            }
            Input::Eof => {
                self.eof(actions);
                Ok(())
            }
        };
        self.finish_drain(now, actions);
        self.check();
        taken
    }

    /// Ends the session at once: hands out what is in doubt, then `Closed`. For the transport (socket errors) and
    /// for owners who cannot wait for an unbind. Without effect on a closed session.
    pub fn abort(&mut self, reason: CloseReason, actions: &mut Vec<Action<T>>) {
        if matches!(self.phase, Phase::Closed) {
            return;
        }
        self.phase = Phase::Closed;
        self.owed = 0;
        self.enquiry = None;
        self.input.clear();
        while let Some(entry) = self.in_flight.remove_oldest() {
            actions.push(Action::InDoubt {
                token: entry.token,
                sequence: entry.sequence,
            });
        }
        actions.push(Action::Closed { reason });
        self.check();
    }

    /// Octets waiting to be written; the writer takes from the front. They remain valid after `Closed`.
    pub fn output(&mut self) -> &mut BytesMut {
        &mut self.output
    }

    /// Slots free for `Input::Request`; meaningful while bound.
    pub fn window_free(&self) -> usize {
        self.in_flight.free()
    }

    /// Another window, clamped as in [`SessionConfig::window`]. What is outstanding beyond a smaller one stays so until
    /// it is answered.
    pub fn set_window(&mut self, window: usize) {
        self.config.window = window;
        self.config = self.config.clone().clamped();
        self.in_flight.resize(self.config.window);
    }

    /// Requests of ours that wait for an answer; at most the window.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Octets of those requests, headers included: what of [`Session::output`] may be of our own making.
    pub fn in_flight_octets(&self) -> usize {
        self.in_flight.octets()
    }

    /// Expired requests still remembered; at most `late_max`.
    pub fn late(&self) -> usize {
        self.late.len()
    }

    /// The peer's system_id, as in `Action::Bound`; empty before.
    pub fn peer_system_id(&self) -> &OctetStr {
        &self.peer_system_id
    }

    /// The peer's version, as in `Action::Bound`; `None` before.
    pub fn peer_version(&self) -> Option<Version> {
        self.peer_version
    }

    /// The version agreed on, the lower of both ends'; what does not fit it is refused. Before the bind it is the one
    /// of the configuration.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The latest congestion_state that the peer sent, as in `Action::Congestion`; `None` until it sends one.
    pub fn congestion(&self) -> Option<u8> {
        self.congestion
    }

    /// The configuration, with its values inside their limits.
    pub fn config(&self) -> &SessionConfig {
        &self.config
    }

    /// Where the session stands.
    pub fn state(&self) -> State {
        match self.phase {
            Phase::Open { .. } => State::Open,
            Phase::BindSent { .. } | Phase::BindAsked { .. } => State::Binding,
            Phase::Bound { kind } => State::Bound(kind),
            Phase::Draining { .. } | Phase::Unbinding { .. } | Phase::PeerUnbinding { .. } => {
                State::Unbinding
            }
            Phase::Closed => State::Closed,
        }
    }

    fn bind(&mut self, bind: &Bind, now: Instant) -> Result<(), Refused> {
        if self.config.role != Role::Esme || !matches!(self.phase, Phase::Open { .. }) {
            return Err(Refused::NotPermitted);
        }
        let sequence = self.free_sequence();
        Pdu::Bind(bind.clone()).encode(CommandStatus::ESME_ROK, sequence, &mut self.output)?;
        self.use_sequence(sequence);
        self.phase = Phase::BindSent {
            kind: bind.kind,
            sequence,
            offered: bind.interface_version,
            until: now + self.config.bind_timeout,
        };
        self.last_transaction = now;
        Ok(())
    }

    fn answer_bind(
        &mut self,
        sequence: u32,
        status: CommandStatus,
        system_id: &OctetStr,
        now: Instant,
        actions: &mut Vec<Action<T>>,
    ) -> Result<(), Refused> {
        let (kind, peer, version) = match &self.phase {
            Phase::BindAsked {
                kind,
                sequence: asked,
                system_id,
                version,
                ..
            } => {
                if *asked != sequence {
                    return Err(Refused::NotPermitted);
                }
                (*kind, system_id.clone(), *version)
            }
            Phase::Open { .. }
            | Phase::BindSent { .. }
            | Phase::Bound { .. }
            | Phase::Draining { .. }
            | Phase::Unbinding { .. }
            | Phase::PeerUnbinding { .. }
            | Phase::Closed => return Err(Refused::NotPermitted),
        };
        let mut tlvs = Tlvs::default();
        // A 3.3 peer does not know TLVs (SMPP 3.4 section 3.4.1).
        if version.has_tlvs() && status.is_ok() {
            let ours = self.config.version.0;
            tlvs.push(Tlv::u8(tag::SC_INTERFACE_VERSION, ours));
        }
        let answer = Pdu::BindResp(BindResp {
            kind,
            system_id: system_id.clone(),
            tlvs,
        });
        answer.encode(status, sequence, &mut self.output)?;
        self.last_transaction = now;
        if status.is_ok() {
            self.version = self.config.version.min(version);
            self.enter_bound(kind, peer, Some(version), actions);
        } else {
            self.abort(CloseReason::BindRefused(status), actions);
        }
        Ok(())
    }

    fn enter_bound(
        &mut self,
        kind: BindKind,
        system_id: OctetStr,
        peer_version: Option<Version>,
        actions: &mut Vec<Action<T>>,
    ) {
        self.phase = Phase::Bound { kind };
        self.decoder.set_max_pdu(self.config.max_pdu);
        self.peer_system_id = system_id.clone();
        self.peer_version = peer_version;
        actions.push(Action::Bound {
            kind,
            system_id,
            peer_version,
        });
    }

    fn request(&mut self, pdu: &Pdu, token: T, now: Instant) -> Result<(), Refused> {
        let Phase::Bound { kind } = self.phase else {
            return Err(Refused::NotBound);
        };
        let command = pdu.command();
        if !permits(self.config.role, kind, command) {
            return Err(Refused::NotPermitted);
        }
        if self.in_flight.free() == 0 {
            return Err(Refused::WindowFull);
        }
        let sequence = self.free_sequence();
        let before = self.output.len();
        self.encode(pdu, CommandStatus::ESME_ROK, sequence)?;
        let octets = self.output.len() - before;
        self.use_sequence(sequence);
        self.in_flight.insert(sequence, command, token, octets, now);
        self.last_transaction = now;
        Ok(())
    }

    fn respond(
        &mut self,
        sequence: u32,
        status: CommandStatus,
        pdu: &Pdu,
        now: Instant,
    ) -> Result<(), Refused> {
        if self.bound_kind().is_none() {
            return Err(Refused::NotBound);
        }
        let command = pdu.command();
        let request = command.request();
        if !command.is_response() || is_bind(request) || is_link(request) {
            return Err(Refused::NotPermitted);
        }
        match self.encode(pdu, status, sequence) {
            Err(error @ EncodeError::NotInVersion { .. }) => {
                let plain = pdu.plain_answer().ok_or(error)?;
                self.encode(&plain, status, sequence)?;
            }
            encoded => encoded?,
        }
        self.answered(now);
        Ok(())
    }

    /// An answer of the owner's is written.
    fn answered(&mut self, now: Instant) {
        self.owed = self.owed.saturating_sub(1);
        if let Phase::Draining { owed, .. } = &mut self.phase {
            *owed = owed.saturating_sub(1);
        }
        self.last_transaction = now;
    }

    /// Writes what the peer's version can read, or nothing.
    fn encode(
        &mut self,
        pdu: &Pdu,
        status: CommandStatus,
        sequence: u32,
    ) -> Result<(), EncodeError> {
        pdu.fits(self.version)?;
        pdu.encode(status, sequence, &mut self.output)
    }

    fn decline_owners(
        &mut self,
        sequence: u32,
        command: CommandId,
        status: CommandStatus,
        now: Instant,
    ) -> Result<(), Refused> {
        if self.bound_kind().is_none() {
            return Err(Refused::NotBound);
        }
        if command.is_response() || is_bind(command) || is_link(command) || status.is_ok() {
            return Err(Refused::NotPermitted);
        }
        self.decline(command, status, sequence);
        self.answered(now);
        Ok(())
    }

    fn notify(&mut self, pdu: &Pdu, now: Instant) -> Result<(), Refused> {
        let kind = match self.phase {
            Phase::Open { .. } => None,
            Phase::Bound { kind } => Some(kind),
            Phase::BindSent { .. }
            | Phase::BindAsked { .. }
            | Phase::Draining { .. }
            | Phase::Unbinding { .. }
            | Phase::PeerUnbinding { .. }
            | Phase::Closed => return Err(Refused::NotBound),
        };
        if !notifies(self.config.role, kind, pdu.command()) {
            return Err(Refused::NotPermitted);
        }
        let sequence = self.free_sequence();
        self.encode(pdu, CommandStatus::ESME_ROK, sequence)?;
        self.use_sequence(sequence);
        self.last_transaction = now;
        Ok(())
    }

    /// The next number that nobody waits for: not in the window, not remembered as late, not the session's own.
    ///
    /// It ends, because the tables together hold far fewer numbers than there are.
    fn free_sequence(&self) -> u32 {
        let mut sequence = self.next_sequence;
        while self.in_flight.occupied(sequence)
            || self.late.contains(sequence)
            || self.own_sequences().contains(&Some(sequence))
        {
            sequence = after(sequence);
        }
        sequence
    }

    fn use_sequence(&mut self, sequence: u32) {
        self.next_sequence = after(sequence);
    }

    /// Numbers of the session's own requests that wait for an answer.
    fn own_sequences(&self) -> [Option<u32>; 2] {
        let phase = match self.phase {
            Phase::BindSent { sequence, .. } | Phase::Unbinding { sequence, .. } => Some(sequence),
            Phase::Open { .. }
            | Phase::BindAsked { .. }
            | Phase::Bound { .. }
            | Phase::Draining { .. }
            | Phase::PeerUnbinding { .. }
            | Phase::Closed => None,
        };
        [phase, self.enquiry.map(|enquiry| enquiry.sequence)]
    }

    /// The bind's kind, while anything but the session's own PDUs may travel.
    fn bound_kind(&self) -> Option<BindKind> {
        match self.phase {
            Phase::Bound { kind }
            | Phase::Draining { kind, .. }
            | Phase::Unbinding { kind, .. }
            | Phase::PeerUnbinding { kind, .. } => Some(kind),
            Phase::Open { .. }
            | Phase::BindSent { .. }
            | Phase::BindAsked { .. }
            | Phase::Closed => None,
        }
    }

    /// Debug builds: what must hold between two inputs.
    fn check(&self) {
        self.in_flight.check();
        self.late.check();
        debug_assert!((1..=SEQUENCE_MAX).contains(&self.next_sequence));
        debug_assert!(
            self.in_flight.len() == 0 || self.bound_kind().is_some(),
            "requests are outstanding only over a bind"
        );
        debug_assert!(!matches!(self.phase, Phase::Closed) || self.next_deadline().is_none());
        debug_assert!(
            !matches!(self.phase, Phase::PeerUnbinding { .. }) || !self.is_idle(),
            "the peer's unbind waits only for answers"
        );
    }

    #[cfg(test)]
    fn set_next_sequence(&mut self, sequence: u32) {
        self.next_sequence = sequence;
    }
}

const fn after(sequence: u32) -> u32 {
    if sequence >= SEQUENCE_MAX {
        1
    } else {
        sequence + 1
    }
}

const fn is_bind(request: CommandId) -> bool {
    matches!(
        request,
        CommandId::BIND_RECEIVER | CommandId::BIND_TRANSMITTER | CommandId::BIND_TRANSCEIVER
    )
}

const fn is_link(request: CommandId) -> bool {
    matches!(request, CommandId::UNBIND | CommandId::ENQUIRE_LINK)
}

/// A PDU without body (SMPP 3.4 section 3.2).
fn put_header(out: &mut BytesMut, command: CommandId, status: CommandStatus, sequence: u32) {
    out.extend_from_slice(
        &Header {
            length: 16,
            command,
            status,
            sequence,
        }
        .to_octets(),
    );
}
