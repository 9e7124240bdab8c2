//! Lives here: the target that gives a peer's octets to a session of either role.
//! Never here: sockets; the storm of two sessions (`smpp/src/session`).

use std::time::{Duration, Instant};

use bytes::Bytes;
use mnara_smpp::pdu::{Bind, DeliverSm, Pdu, SubmitSm, SubmitSmResp};
use mnara_smpp::session::{Action, Input, Role, Session, SessionConfig};
use mnara_smpp::status::CommandStatus;

use crate::random::SplitMix64;

/// Most that one step of ours or of the peer's may add to the output: our own PDUs are smaller.
const OUTPUT_PER_STEP: usize = 400;

/// Octets of output for each octet of input: a bare header of 16 is answered with at most a bind response.
const OUTPUT_PER_OCTET: usize = 4;

/// Whatever a peer sends, in whatever pieces and with whatever pauses, neither role panics, each keeps its promises
/// about actions, and the octets it wants to send stay in proportion to those it read.
///
/// # Panics
/// When it is not so.
pub fn session(data: &[u8]) {
    for role in [Role::Esme, Role::Smsc] {
        Owner::new(role, data).run(data);
    }
}

struct Owner {
    session: Session<u32>,
    random: SplitMix64,
    now: Instant,
    actions: Vec<Action<u32>>,
    /// Requests taken and not yet answered, expired or in doubt.
    outstanding: usize,
    next_token: u32,
    closed: bool,
    /// Octets of output that are accounted for.
    allowed: usize,
}

impl Owner {
    fn new(role: Role, data: &[u8]) -> Self {
        let config = SessionConfig {
            window: 3,
            late_max: 3,
            max_pdu: 300,
            inactivity_timeout: Some(Duration::from_secs(100)),
            ..match role {
                Role::Esme => SessionConfig::esme(),
                Role::Smsc => SessionConfig::smsc(),
            }
        };
        let now = Instant::now();
        let mut owner = Self {
            session: Session::new(config, now),
            random: SplitMix64::of_input(data),
            now,
            actions: Vec::new(),
            outstanding: 0,
            next_token: 0,
            closed: false,
            allowed: 0,
        };
        if role == Role::Esme {
            let bind = Bind {
                system_id: "mnara".into(),
                ..Bind::default()
            };
            owner.give(Input::Bind(&bind));
        }
        owner
    }

    fn run(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            let len = data.len().min(1 + self.random.below(200));
            let (piece, behind) = data.split_at(len);
            data = behind;
            self.allowed += piece.len() * OUTPUT_PER_OCTET;
            self.give(Input::Received(piece));
            self.now += Duration::from_millis(self.random.next() % 20_000);
            match self.random.below(8) {
                0 => self.give(Input::Tick),
                1 | 2 => self.request(),
                3 => self.give(Input::Unbind),
                _ => {}
            }
        }
        self.give(Input::Eof);
        assert!(
            self.closed && self.outstanding == 0,
            "the end settles every request"
        );
    }

    fn request(&mut self) {
        let message = Bytes::from_static(b"hujambo");
        let pdu = match self.session.config().role {
            Role::Esme => Pdu::SubmitSm(SubmitSm {
                short_message: message,
                ..SubmitSm::default()
            }),
            Role::Smsc => Pdu::DeliverSm(DeliverSm {
                short_message: message,
                ..DeliverSm::default()
            }),
        };
        self.next_token += 1;
        self.give(Input::Request {
            pdu: &pdu,
            token: self.next_token,
        });
    }

    fn give(&mut self, input: Input<'_, u32>) {
        let is_request = matches!(input, Input::Request { .. });
        self.allowed += OUTPUT_PER_STEP;
        let taken = self
            .session
            .handle(input, self.now, &mut self.actions)
            .is_ok();
        if is_request && taken {
            self.outstanding += 1;
        }
        let actions = std::mem::take(&mut self.actions);
        for action in &actions {
            assert!(!self.closed, "after Closed: {action:?}");
            self.settle(action);
        }
        assert_eq!(self.session.in_flight(), self.outstanding);
        assert!(self.outstanding <= 3 && self.session.late() <= 3);
        assert_eq!(self.session.state().is_closed(), self.closed);
        let pending = self.session.output().len();
        assert!(
            pending <= self.allowed,
            "{pending} octets of output, {} allowed",
            self.allowed
        );
        for action in &actions {
            self.answer(action);
        }
    }

    /// Each token comes back exactly once.
    fn settle(&mut self, action: &Action<u32>) {
        match action {
            Action::Response { token, .. }
            | Action::Expired { token, .. }
            | Action::InDoubt { token, .. } => {
                assert!(*token <= self.next_token && self.outstanding > 0);
                self.outstanding -= 1;
            }
            Action::Late { token, .. } => assert!(*token <= self.next_token),
            Action::Closed { .. } => self.closed = true,
            Action::Bound { .. }
            | Action::BindRejected { .. }
            | Action::BindRequested { .. }
            | Action::Request { .. }
            | Action::Notified { .. }
            | Action::PeerUnbinding
            | Action::Congestion { .. }
            | Action::Notice(_) => {}
        }
    }

    /// What an owner does, sometimes.
    fn answer(&mut self, action: &Action<u32>) {
        let status = if self.random.below(8) == 0 {
            CommandStatus::ESME_RSYSERR
        } else {
            CommandStatus::ESME_ROK
        };
        match action {
            Action::BindRequested { sequence, .. } => self.give(Input::AnswerBind {
                sequence: *sequence,
                status,
                system_id: &"smsc".into(),
            }),
            Action::Request { sequence, .. } => {
                let resp = Pdu::SubmitSmResp(SubmitSmResp {
                    message_id: "1".into(),
                    ..SubmitSmResp::default()
                });
                self.give(Input::Respond {
                    sequence: *sequence,
                    status,
                    pdu: &resp,
                });
            }
            Action::Bound { .. }
            | Action::BindRejected { .. }
            | Action::Response { .. }
            | Action::Expired { .. }
            | Action::Late { .. }
            | Action::Notified { .. }
            | Action::PeerUnbinding
            | Action::Congestion { .. }
            | Action::Notice(_)
            | Action::InDoubt { .. }
            | Action::Closed { .. } => {}
        }
    }
}
