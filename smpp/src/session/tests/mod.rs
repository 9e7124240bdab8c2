//! Lives here: the session's rules, each a test named as a sentence, by theme.
//! Never here: storms (`storm`), tables (beside their code).

mod answers;
mod link;
mod opening;
mod peers_requests;
mod rarer;
mod unbind;
mod version;

use std::time::Instant;

use crate::pdu::BindKind;
use crate::session::pair::{bind, raw, submit_sm, written};
use crate::session::{Action, Input, Session, SessionConfig};

/// One session whose peer is the test itself, octet by octet.
struct Solo {
    session: Session<u32>,
    now: Instant,
    actions: Vec<Action<u32>>,
}

impl Solo {
    fn new(config: SessionConfig) -> Self {
        let now = Instant::now();
        Self {
            session: Session::new(config, now),
            now,
            actions: Vec::new(),
        }
    }

    /// A bound ESME; its next own number is 2.
    fn esme() -> Self {
        Self::bound(SessionConfig::esme())
    }

    /// The same with another configuration.
    fn bound(config: SessionConfig) -> Self {
        let mut solo = Self::new(config);
        solo.input(Input::Bind(&bind(BindKind::Transceiver)));
        assert_eq!(written(&mut solo.session).len(), 1);
        solo.receive(&raw(0x8000_0009, 0, 1, b"smsc\0"));
        assert!(matches!(solo.take()[..], [Action::Bound { .. }]));
        solo
    }

    fn input(&mut self, input: Input<'_, u32>) {
        self.session
            .handle(input, self.now, &mut self.actions)
            .unwrap();
    }

    fn receive(&mut self, octets: &[u8]) {
        self.input(Input::Received(octets));
    }

    fn submit(&mut self, token: u32) {
        self.input(Input::Request {
            pdu: &submit_sm(),
            token,
        });
    }

    fn take(&mut self) -> Vec<Action<u32>> {
        std::mem::take(&mut self.actions)
    }
}
