//! Lives here: properties of a pair under any schedule of inputs (proptest shrinks the schedule that breaks one).
//! Never here: single rules (tests), long seeded runs (storm).

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::{collection, proptest};
use smallvec::smallvec;

use crate::pdu::BindKind;
use crate::session::pair::{Pair, Side, deliver_sm, deliver_sm_resp, submit_sm, submit_sm_resp};
use crate::session::{Action, CloseReason, Input, SessionConfig};
use crate::status::CommandStatus;

/// One thing that an owner or the world does.
#[derive(Clone, Copy, Debug)]
enum Step {
    Request(Side),
    /// Answers the peer's request that has waited longest, or the newest.
    Answer(Side, bool),
    Pass(u16),
    /// From now on PDUs arrive after this many milliseconds, or never.
    Wire(Option<u16>),
    Unbind(Side),
    Eof(Side),
    Abort(Side),
}

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Esme), Just(Side::Smsc)]
}

/// What happens between two ends that both behave.
fn calm() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => side().prop_map(Step::Request),
        4 => (side(), any::<bool>()).prop_map(|(side, oldest)| Step::Answer(side, oldest)),
        2 => (0_u16..10).prop_map(Step::Pass),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => calm(),
        2 => (0_u16..2_000).prop_map(Step::Pass),
        1 => proptest::option::of(0_u16..300).prop_map(Step::Wire),
        1 => side().prop_map(Step::Unbind),
        1 => side().prop_map(Step::Eof),
        1 => side().prop_map(Step::Abort),
    ]
}

/// What became of a side's requests.
#[derive(Default)]
struct Book {
    sent: u32,
    /// How often each token ended.
    endings: BTreeMap<u32, u32>,
    in_doubt: u32,
    closed: u32,
    /// Numbers of the peer's requests that wait for an answer.
    asked: Vec<u32>,
}

struct World {
    pair: Pair,
    books: [Book; 2],
}

impl World {
    fn new() -> Self {
        let config = |base: SessionConfig| SessionConfig {
            window: 4,
            response_timeout: Duration::from_millis(1_000),
            enquire_link_interval: Duration::from_millis(1_500),
            unbind_timeout: Duration::from_millis(700),
            late_max: 3,
            ..base
        };
        let (esme, smsc) = (SessionConfig::esme(), SessionConfig::smsc());
        Self {
            pair: Pair::bound_with(BindKind::Transceiver, config(esme), config(smsc)),
            books: Default::default(),
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Request(side) => self.request(side),
            Step::Answer(side, oldest) => self.answer(side, oldest),
            Step::Pass(millis) => self.pass(Duration::from_millis(millis.into())),
            Step::Wire(delay) => self.pair.set_fate(move |_, _| match delay {
                Some(millis) => smallvec![Duration::from_millis(millis.into())],
                None => smallvec![],
            }),
            Step::Unbind(side) => {
                let _ = self.pair.input(side, Input::Unbind);
            }
            Step::Eof(side) => self.pair.input(side, Input::Eof).unwrap(),
            Step::Abort(side) => self.pair.abort(side, CloseReason::Aborted),
        }
        self.book();
    }

    fn pass(&mut self, time: Duration) {
        self.pair.advance(time);
        self.book();
    }

    fn request(&mut self, side: Side) {
        let book = &mut self.books[side as usize];
        let pdu = &match side {
            Side::Esme => submit_sm(),
            Side::Smsc => deliver_sm(),
        };
        let token = book.sent;
        let taken = self.pair.input(side, Input::Request { pdu, token });
        book.sent += u32::from(taken.is_ok());
    }

    fn answer(&mut self, side: Side, oldest: bool) {
        let asked = &mut self.books[side as usize].asked;
        if asked.is_empty() {
            return;
        }
        let sequence = asked.remove(if oldest { 0 } else { asked.len() - 1 });
        let respond = Input::Respond {
            sequence,
            status: CommandStatus::ESME_ROK,
            pdu: &match side {
                Side::Esme => deliver_sm_resp(),
                Side::Smsc => submit_sm_resp("1"),
            },
        };
        let _ = self.pair.input(side, respond);
    }

    fn book(&mut self) {
        for side in [Side::Esme, Side::Smsc] {
            for action in self.pair.end(side).take() {
                let book = &mut self.books[side as usize];
                match action {
                    Action::Response { token, .. } => *book.endings.entry(token).or_default() += 1,
                    Action::Expired { token, .. } | Action::InDoubt { token, .. } => {
                        *book.endings.entry(token).or_default() += 1;
                        book.in_doubt += 1;
                    }
                    Action::Request { sequence, .. } => book.asked.push(sequence),
                    Action::Closed { .. } => book.closed += 1,
                    Action::Late { .. } | Action::PeerUnbinding | Action::Notice(_) => {}
                    Action::Bound { .. }
                    | Action::BindRejected { .. }
                    | Action::BindRequested { .. }
                    | Action::Notified { .. }
                    | Action::Congestion { .. } => panic!("not here: {action:?}"),
                }
            }
        }
    }

    fn assert_conserved(&self) {
        for book in &self.books {
            assert_eq!(book.closed, 1, "each side closes once");
            let once: BTreeMap<u32, u32> = (0..book.sent).map(|token| (token, 1)).collect();
            assert_eq!(
                book.endings, once,
                "each token ends once, and no other does"
            );
        }
    }
}

proptest! {
    #[test]
    fn every_token_ends_exactly_once_under_any_schedule(
        steps in collection::vec(any_step(), 0..120),
    ) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
        }
        world.pass(Duration::from_secs(3));
        for side in [Side::Esme, Side::Smsc] {
            world.step(Step::Abort(side));
        }
        world.assert_conserved();
    }

    #[test]
    fn an_unbind_between_ends_that_answer_leaves_nothing_in_doubt(
        steps in collection::vec(calm(), 0..60),
        first in side(),
    ) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
        }
        world.step(Step::Unbind(first));
        // Both go on answering what they were asked.
        for _ in 0..20 {
            world.pass(Duration::ZERO);
            for side in [Side::Esme, Side::Smsc] {
                world.step(Step::Answer(side, true));
            }
        }
        world.assert_conserved();
        let in_doubt = world.books.each_ref().map(|book| book.in_doubt);
        assert_eq!(in_doubt, [0, 0]);
    }
}
