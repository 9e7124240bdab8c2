//! Lives here: what each PDU of the peer does to the session.
//! Never here: reading its octets (`codec`, `pdu`), timers, the owner's own requests.

use std::time::Instant;

use crate::codec::{CommandId, Frame, FrameError, Header};
use crate::pdu::{BindKind, DecodeError, DeliverSmResp, OctetStr, Pdu, Version, Violations};
use crate::session::{
    Action, CloseReason, Notice, Phase, Role, Session, is_bind, notifies, permits, put_header,
};
use crate::status::CommandStatus;
use crate::tlv::tag;

impl<T: Clone> Session<T> {
    /// Reads every whole PDU in the buffer. The rest waits for more octets.
    pub(super) fn receive(&mut self, octets: &[u8], now: Instant, actions: &mut Vec<Action<T>>) {
        if matches!(self.phase, Phase::Closed) {
            return;
        }
        // Taken out, because a frame borrows it while the session acts on the frame.
        let mut input = std::mem::take(&mut self.input);
        input.extend_from_slice(octets);
        while !matches!(self.phase, Phase::Closed) {
            match self.decoder.next(&mut input) {
                Ok(None) => break,
                Ok(Some(frame)) => {
                    self.last_received = now;
                    if frame.header.command.is_response() {
                        self.read_response(frame, now, actions);
                    } else {
                        self.read_request(frame, now, actions);
                    }
                }
                Err(FrameError::Oversized { header }) => {
                    self.last_received = now;
                    self.oversized(header, now, actions);
                }
                Err(FrameError::Garbage { header }) => {
                    let status = CommandStatus::ESME_RINVCMDLEN;
                    self.answer(CommandId::GENERIC_NACK, status, header.sequence);
                    self.abort(CloseReason::Garbage, actions);
                }
            }
        }
        // `abort` has given up what was left.
        if !matches!(self.phase, Phase::Closed) {
            self.input = input;
        }
    }

    pub(super) fn answer(&mut self, command: CommandId, status: CommandStatus, sequence: u32) {
        put_header(&mut self.output, command, status, sequence);
    }

    fn oversized(&mut self, header: Header, now: Instant, actions: &mut Vec<Action<T>>) {
        actions.push(Action::Notice(Notice::Oversized { header }));
        if header.command.is_response() {
            self.settle(header, None, now, actions);
        } else {
            self.answer(
                CommandId::GENERIC_NACK,
                CommandStatus::ESME_RINVCMDLEN,
                header.sequence,
            );
        }
    }

    fn read_response(&mut self, frame: Frame<'_>, now: Instant, actions: &mut Vec<Action<T>>) {
        let Header {
            command,
            sequence,
            status,
            ..
        } = frame.header;
        if command != CommandId::ENQUIRE_LINK_RESP {
            self.last_transaction = now;
        }
        if self
            .enquiry
            .is_some_and(|own| own.sequence == sequence && command.answers(CommandId::ENQUIRE_LINK))
        {
            self.enquiry = None;
            return;
        }
        match self.phase {
            Phase::BindSent {
                kind,
                sequence: own,
                ..
            } if own == sequence && command.answers(kind.command()) => {
                self.bind_answered(frame, actions);
                return;
            }
            Phase::Unbinding { sequence: own, .. }
                if own == sequence && command.answers(CommandId::UNBIND) =>
            {
                self.abort(CloseReason::Unbound, actions);
                return;
            }
            Phase::Open { .. }
            | Phase::BindSent { .. }
            | Phase::BindAsked { .. }
            | Phase::Bound { .. }
            | Phase::Draining { .. }
            | Phase::Unbinding { .. }
            | Phase::PeerUnbinding { .. }
            | Phase::Closed => {}
        }
        let header = Header {
            status: verdict(command, status),
            ..frame.header
        };
        self.settle(header, Some(frame), now, actions);
    }

    /// Gives the answer to the request it belongs to, in the window or expired; the body is read only then.
    fn settle(
        &mut self,
        header: Header,
        frame: Option<Frame<'_>>,
        now: Instant,
        actions: &mut Vec<Action<T>>,
    ) {
        let Header {
            command,
            sequence,
            status,
            ..
        } = header;
        if self
            .in_flight
            .find(sequence)
            .is_some_and(|entry| command.answers(entry.command))
        {
            if let Some(entry) = self.in_flight.remove(sequence) {
                let pdu = frame.and_then(|frame| self.read_body(frame, actions));
                let rtt = now.saturating_duration_since(entry.sent);
                actions.push(Action::Response {
                    token: entry.token,
                    sequence,
                    status,
                    pdu,
                    rtt,
                });
            }
        } else if self
            .late
            .command(sequence)
            .is_some_and(|request| command.answers(request))
        {
            if let Some(entry) = self.late.remove(sequence) {
                let pdu = frame.and_then(|frame| self.read_body(frame, actions));
                actions.push(Action::Late {
                    token: entry.token,
                    sequence,
                    status,
                    pdu,
                });
            }
        } else {
            let notice = Notice::UnexpectedResponse {
                command,
                sequence,
                status,
            };
            actions.push(Action::Notice(notice));
        }
    }

    fn bind_answered(&mut self, frame: Frame<'_>, actions: &mut Vec<Action<T>>) {
        let Phase::BindSent { kind, offered, .. } = self.phase else {
            return;
        };
        let status = verdict(frame.header.command, frame.header.status);
        if !status.is_ok() {
            actions.push(Action::BindRejected { status });
            self.abort(CloseReason::BindRefused(status), actions);
            return;
        }
        // The header says yes; a body that cannot be read only withholds the peer's name and version.
        let (system_id, peer_version) = match self.read_body(frame, actions) {
            Some(Pdu::BindResp(answer)) => {
                let version = answer.tlvs.get_u8(tag::SC_INTERFACE_VERSION);
                (answer.system_id, version.map(Version))
            }
            _ => (OctetStr::default(), None),
        };
        let untold = self.config.untold_version.unwrap_or(Version::V3_4);
        let told = peer_version.unwrap_or(untold);
        let least = self.config.least_version.unwrap_or(told);
        self.version = offered.min(told.max(least));
        self.enter_bound(kind, system_id, peer_version, actions);
    }

    fn read_request(&mut self, frame: Frame<'_>, now: Instant, actions: &mut Vec<Action<T>>) {
        let Header {
            command, sequence, ..
        } = frame.header;
        if command == CommandId::ENQUIRE_LINK {
            // In any state: peers enquire before their bind or ours is complete.
            self.answer(
                CommandId::ENQUIRE_LINK_RESP,
                CommandStatus::ESME_ROK,
                sequence,
            );
            return;
        }
        self.last_transaction = now;
        if command == CommandId::UNBIND {
            self.unbind_asked(sequence, now, actions);
        } else if is_bind(command) {
            self.bind_asked(frame, now, actions);
        } else if matches!(command, CommandId::OUTBIND | CommandId::ALERT_NOTIFICATION) {
            self.notified(frame, actions);
        } else {
            self.read_owners_request(frame, actions);
        }
    }

    /// The specification defines no response to these, so none is sent, whatever they are.
    fn notified(&mut self, frame: Frame<'_>, actions: &mut Vec<Action<T>>) {
        let Header {
            command, sequence, ..
        } = frame.header;
        let before_bind = matches!(self.phase, Phase::Open { .. });
        let kind = self.serves();
        if !(before_bind || kind.is_some()) || !notifies(self.peer_role(), kind, command) {
            actions.push(Action::Notice(Notice::Ignored { command }));
            return;
        }
        actions.push(match Pdu::decode(frame) {
            Ok(decoded) => Action::Notified {
                pdu: decoded.pdu,
                violations: decoded.violations,
            },
            Err(error) => Action::Notice(Notice::UndecodableRequest {
                command,
                sequence,
                error,
            }),
        });
    }

    const fn peer_role(&self) -> Role {
        match self.config.role {
            Role::Esme => Role::Smsc,
            Role::Smsc => Role::Esme,
        }
    }

    fn read_owners_request(&mut self, frame: Frame<'_>, actions: &mut Vec<Action<T>>) {
        let Header {
            command, sequence, ..
        } = frame.header;
        let decoded = Pdu::decode(frame);
        if let Ok(decoded) = &decoded
            && matches!(decoded.pdu, Pdu::Unknown { .. })
            && !self.config.vendor_operations
        {
            let status = CommandStatus::ESME_RINVCMDID;
            self.answer(CommandId::GENERIC_NACK, status, sequence);
            actions.push(Action::Notice(Notice::UnknownCommand { command, sequence }));
            return;
        }
        let peer = self.peer_role();
        if !self
            .serves()
            .is_some_and(|kind| permits(peer, kind, command))
        {
            self.refuse(command, sequence, CommandStatus::ESME_RINVBNDSTS, actions);
            return;
        }
        match decoded {
            Ok(decoded) => {
                self.owed += 1;
                actions.push(Action::Request {
                    sequence,
                    pdu: decoded.pdu,
                    violations: decoded.violations,
                });
            }
            Err(error) => self.undecodable(command, sequence, error, actions),
        }
    }

    fn read_body(&mut self, frame: Frame<'_>, actions: &mut Vec<Action<T>>) -> Option<Pdu> {
        let Header {
            command, sequence, ..
        } = frame.header;
        if command == CommandId::GENERIC_NACK {
            return None;
        }
        match Pdu::decode(frame) {
            Ok(decoded) => {
                note_violations(command, sequence, decoded.violations, actions);
                let state = decoded
                    .pdu
                    .tlvs()
                    .and_then(|tlvs| tlvs.get_u8(tag::CONGESTION_STATE));
                // Above 100 is reserved.
                if let Some(state) = state.filter(|state| *state <= 100)
                    && self.congestion != Some(state)
                {
                    self.congestion = Some(state);
                    actions.push(Action::Congestion { state });
                }
                Some(decoded.pdu)
            }
            Err(error) => {
                let notice = Notice::UndecodableResponse {
                    command,
                    sequence,
                    error,
                };
                actions.push(Action::Notice(notice));
                None
            }
        }
    }

    /// The bind's kind, while the peer may send requests: until its own unbind.
    fn serves(&self) -> Option<BindKind> {
        match self.phase {
            Phase::PeerUnbinding { .. } | Phase::Unbinding { crossed: true, .. } => None,
            Phase::Open { .. }
            | Phase::BindSent { .. }
            | Phase::BindAsked { .. }
            | Phase::Bound { .. }
            | Phase::Draining { .. }
            | Phase::Unbinding { .. }
            | Phase::Closed => self.bound_kind(),
        }
    }

    fn bind_asked(&mut self, frame: Frame<'_>, now: Instant, actions: &mut Vec<Action<T>>) {
        let Header {
            command, sequence, ..
        } = frame.header;
        if self.config.role == Role::Esme {
            self.refuse(command, sequence, CommandStatus::ESME_RINVBNDSTS, actions);
            return;
        }
        if !matches!(self.phase, Phase::Open { .. }) {
            self.refuse(command, sequence, CommandStatus::ESME_RALYBND, actions);
            return;
        }
        let (bind, violations) = match Pdu::decode(frame) {
            Ok(decoded) => match decoded.pdu {
                Pdu::Bind(bind) => (bind, decoded.violations),
                _ => return self.refuse(command, sequence, CommandStatus::ESME_RSYSERR, actions),
            },
            Err(error) => return self.undecodable(command, sequence, error, actions),
        };
        note_violations(command, sequence, violations, actions);
        self.phase = Phase::BindAsked {
            kind: bind.kind,
            sequence,
            system_id: bind.system_id.clone(),
            version: bind.interface_version,
            until: now + self.config.bind_timeout,
        };
        actions.push(Action::BindRequested { sequence, bind });
    }

    /// Answers with the operation's own response, header only: an error needs no body (SMPP 3.4 section 4.4.2).
    pub(super) fn decline(&mut self, command: CommandId, status: CommandStatus, sequence: u32) {
        let empty = Pdu::DeliverSmResp(DeliverSmResp::default());
        // Section 4.6.2 makes no such exception for deliver_sm_resp: it keeps its empty message_id.
        if command != CommandId::DELIVER_SM
            || empty.encode(status, sequence, &mut self.output).is_err()
        {
            self.answer(command.response(), status, sequence);
        }
    }

    fn refuse(
        &mut self,
        command: CommandId,
        sequence: u32,
        status: CommandStatus,
        actions: &mut Vec<Action<T>>,
    ) {
        self.decline(command, status, sequence);
        actions.push(Action::Notice(Notice::NotPermitted { command, sequence }));
    }

    /// An unanswered PDU is sent again for days, so each gets an answer; the frame has been taken off the stream.
    fn undecodable(
        &mut self,
        command: CommandId,
        sequence: u32,
        error: DecodeError,
        actions: &mut Vec<Action<T>>,
    ) {
        self.decline(command, error.status(), sequence);
        actions.push(Action::Notice(Notice::UndecodableRequest {
            command,
            sequence,
            error,
        }));
    }
}

/// A generic_nack is a refusal whatever its status says.
fn verdict(command: CommandId, status: CommandStatus) -> CommandStatus {
    if command == CommandId::GENERIC_NACK && status.is_ok() {
        CommandStatus::ESME_RUNKNOWNERR
    } else {
        status
    }
}

fn note_violations<T>(
    command: CommandId,
    sequence: u32,
    violations: Violations,
    actions: &mut Vec<Action<T>>,
) {
    if !violations.is_empty() {
        actions.push(Action::Notice(Notice::Violations {
            command,
            sequence,
            violations,
        }));
    }
}
