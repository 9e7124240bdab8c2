//! Lives here: how a session is left: our unbind, the peer's, and the end of the stream.
//! Never here: deadlines (timers).

use std::time::Instant;

use crate::codec::CommandId;
use crate::pdu::BindKind;
use crate::session::{Action, CloseReason, Phase, Refused, Session, put_header};
use crate::status::CommandStatus;

impl<T: Clone> Session<T> {
    pub(super) fn unbind(&mut self, now: Instant) -> Result<(), Refused> {
        match self.phase {
            Phase::Bound { kind } => {
                self.phase = Phase::Draining {
                    kind,
                    until: now + self.config.unbind_timeout,
                    owed: self.owed,
                };
                Ok(())
            }
            Phase::Draining { .. } | Phase::Unbinding { .. } | Phase::PeerUnbinding { .. } => {
                Ok(())
            }
            Phase::Open { .. }
            | Phase::BindSent { .. }
            | Phase::BindAsked { .. }
            | Phase::Closed => Err(Refused::NotBound),
        }
    }

    pub(super) fn eof(&mut self, actions: &mut Vec<Action<T>>) {
        // Many servers close without unbind_resp, or their FIN overtakes it: after our unbind that is an answer.
        // And a peer that has unbound itself need not wait for ours.
        let reason = match self.phase {
            Phase::Unbinding { .. } => CloseReason::Unbound,
            Phase::PeerUnbinding { .. } => CloseReason::PeerUnbound,
            Phase::Open { .. }
            | Phase::BindSent { .. }
            | Phase::BindAsked { .. }
            | Phase::Bound { .. }
            | Phase::Draining { .. }
            | Phase::Closed => CloseReason::PeerClosed,
        };
        self.abort(reason, actions);
    }

    /// Sends our unbind, or answers the peer's, as soon as nobody waits for an answer: we for none of ours, and the
    /// peer for none that the owner has in hand (what it is not told it will send again). It runs after a whole batch
    /// of octets, so that answers behind the peer's unbind count.
    pub(super) fn finish_drain(&mut self, now: Instant, actions: &mut Vec<Action<T>>) {
        match self.phase {
            Phase::Draining { kind, owed: 0, .. } if self.in_flight.len() == 0 => {
                self.send_unbind(kind, now);
            }
            Phase::PeerUnbinding { .. } if self.is_idle() => {
                self.answer_unbind(actions);
            }
            Phase::Unbinding { crossed: true, .. } if self.owed == 0 => {
                self.abort(CloseReason::Unbound, actions);
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
    }

    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.len() == 0 && self.owed == 0
    }

    /// Answers the peer's unbind and ends; what is still outstanding is in doubt.
    pub(super) fn answer_unbind(&mut self, actions: &mut Vec<Action<T>>) {
        if let Phase::PeerUnbinding { sequence, .. } = self.phase {
            self.answer(CommandId::UNBIND_RESP, CommandStatus::ESME_ROK, sequence);
            self.abort(CloseReason::PeerUnbound, actions);
        }
    }

    pub(super) fn send_unbind(&mut self, kind: BindKind, now: Instant) {
        let sequence = self.free_sequence();
        self.use_sequence(sequence);
        put_header(
            &mut self.output,
            CommandId::UNBIND,
            CommandStatus::ESME_ROK,
            sequence,
        );
        self.phase = Phase::Unbinding {
            kind,
            sequence,
            until: now + self.config.unbind_timeout,
            crossed: false,
        };
    }

    /// The peer unbinds: what of ours is outstanding may still be answered before we answer that.
    pub(super) fn unbind_asked(
        &mut self,
        sequence: u32,
        now: Instant,
        actions: &mut Vec<Action<T>>,
    ) {
        match &mut self.phase {
            Phase::Bound { kind } | Phase::Draining { kind, .. } => {
                self.phase = Phase::PeerUnbinding {
                    kind: *kind,
                    sequence,
                    until: now + self.config.unbind_timeout,
                };
                actions.push(Action::PeerUnbinding);
            }
            // Said twice: one answer, to the latest.
            Phase::PeerUnbinding {
                sequence: asked, ..
            } => *asked = sequence,
            Phase::Unbinding { crossed, .. } => {
                *crossed = true;
                self.answer(CommandId::UNBIND_RESP, CommandStatus::ESME_ROK, sequence);
            }
            Phase::Open { .. } | Phase::BindSent { .. } | Phase::BindAsked { .. } => {
                self.answer(CommandId::UNBIND_RESP, CommandStatus::ESME_ROK, sequence);
                self.abort(CloseReason::PeerUnbound, actions);
            }
            Phase::Closed => {}
        }
    }
}
