//! Lives here: seeded storms over a pair: loss, delay, reordering, duplication, wrong and missing answers.
//! Never here: single rules (tests).

use std::collections::HashMap;
use std::time::Duration;

use smallvec::smallvec;

use crate::codec::CommandId;
use crate::pdu::{BindKind, Pdu};
use crate::session::pair::{
    Delays, Pair, Side, deliver_sm, deliver_sm_resp, submit_sm, submit_sm_resp,
};
use crate::session::{Action, CloseReason, Input, SessionConfig};
use crate::status::CommandStatus;

/// Storms per test run, each with its own seed.
const STORMS: u64 = 300;
/// Replays one storm: `MNARA_STORM_SEED=17 cargo test -p mnara-smpp storm`.
const SEED_VARIABLE: &str = "MNARA_STORM_SEED";

/// SplitMix64 (Steele, Lea, Flood 2014): enough for a storm, and the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn percent(&mut self, n: u64) -> bool {
        self.below(100) < n
    }

    fn millis(&mut self, max: u64) -> Duration {
        Duration::from_millis(self.below(max))
    }
}

/// Each side's requests by token: how often each ended, and how often it was answered late.
#[derive(Default)]
struct Book {
    endings: HashMap<u32, u32>,
    expired: HashMap<u32, u32>,
    sent: u32,
    closed: u32,
    /// The peer has unbound: nothing more is taken.
    unbinding: bool,
}

struct Storm {
    pair: Pair,
    random: Random,
    window: usize,
    books: [Book; 2],
}

impl Storm {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let window = 1 + usize::try_from(random.below(20)).unwrap();
        let config = |base: SessionConfig, random: &mut Random| SessionConfig {
            window,
            response_timeout: Duration::from_millis(200 + random.below(400)),
            enquire_link_interval: Duration::from_millis(300 + random.below(2_000)),
            unbind_timeout: Duration::from_millis(300),
            late_max: usize::try_from(random.below(50)).unwrap(),
            ..base
        };
        let esme = config(SessionConfig::esme(), &mut random);
        let smsc = config(SessionConfig::smsc(), &mut random);
        let mut pair = Pair::bound_with(BindKind::Transceiver, esme, smsc);
        let mut wire = Random(random.next());
        let (loss, twice, delay) = (wire.below(20), wire.below(20), 1 + wire.below(400));
        pair.set_fate(move |_, _| -> Delays {
            if wire.percent(loss) {
                smallvec![]
            } else if wire.percent(twice) {
                smallvec![wire.millis(delay), wire.millis(delay)]
            } else {
                smallvec![wire.millis(delay)]
            }
        });
        if random.percent(30) {
            pair.esme.session.set_next_sequence(0x7FFF_FFF0);
        }
        Self {
            pair,
            random,
            window,
            books: Default::default(),
        }
    }

    fn run(&mut self) {
        self.rage(300);
        // The end comes in the middle of the load, which goes on as if nobody had noticed.
        match self.random.below(6) {
            0 => self.unbind(Side::Esme),
            1 => self.unbind(Side::Smsc),
            2 => {
                self.unbind(Side::Esme);
                self.unbind(Side::Smsc);
            }
            3 => self.pair.abort(Side::Esme, CloseReason::Aborted),
            4 => self.pair.input(Side::Smsc, Input::Eof).unwrap(),
            _ => self.pair.input(Side::Esme, Input::Eof).unwrap(),
        }
        self.rage(20);
        self.pair.advance(Duration::from_secs(5));
        self.watch();
        for side in [Side::Esme, Side::Smsc] {
            self.pair.input(side, Input::Eof).unwrap();
        }
        self.watch();
        for book in &self.books {
            assert_eq!(book.closed, 1, "each side closes once");
            for token in 0..book.sent {
                assert_eq!(
                    book.endings.get(&token),
                    Some(&1),
                    "token {token} ends exactly once"
                );
            }
            assert_eq!(
                book.endings.len(),
                usize::try_from(book.sent).unwrap(),
                "no token from nowhere"
            );
        }
    }

    fn rage(&mut self, rounds: usize) {
        for _ in 0..rounds {
            self.act();
            let until = self.pair.now + self.random.millis(30);
            while self.pair.step(until) {
                self.watch();
            }
            self.pair.now = until;
            self.watch();
        }
    }

    fn unbind(&mut self, side: Side) {
        // Refused when the storm has ended the session already.
        let _ = self.pair.input(side, Input::Unbind);
    }

    /// A few requests from a random side.
    fn act(&mut self) {
        let side = if self.random.percent(60) {
            Side::Esme
        } else {
            Side::Smsc
        };
        let pdu = if side == Side::Esme {
            submit_sm()
        } else {
            deliver_sm()
        };
        for _ in 0..self.random.below(6) {
            let token = self.books[side as usize].sent;
            if self
                .pair
                .input(side, Input::Request { pdu: &pdu, token })
                .is_ok()
            {
                assert!(
                    !self.books[side as usize].unbinding,
                    "taken after an unbind"
                );
                self.books[side as usize].sent += 1;
            }
        }
    }

    /// Books what happened and answers what was asked, mostly well.
    fn watch(&mut self) {
        for side in [Side::Esme, Side::Smsc] {
            for action in self.pair.end(side).take() {
                let book = &mut self.books[side as usize];
                assert_eq!(book.closed, 0, "nothing follows the end: {action:?}");
                match action {
                    Action::Response { token, .. } | Action::InDoubt { token, .. } => {
                        *book.endings.entry(token).or_default() += 1;
                    }
                    Action::Expired { token, .. } => {
                        *book.endings.entry(token).or_default() += 1;
                        *book.expired.entry(token).or_default() += 1;
                    }
                    Action::Late { token, .. } => {
                        let left = book.expired.get_mut(&token).expect("late follows expired");
                        *left = left.checked_sub(1).expect("late comes once");
                    }
                    Action::Request { sequence, .. } => self.respond(side, sequence),
                    Action::Closed { .. } => book.closed += 1,
                    Action::PeerUnbinding => {
                        assert!(!book.unbinding, "said once");
                        book.unbinding = true;
                    }
                    Action::Notice(_) => {}
                    Action::Bound { .. }
                    | Action::BindRejected { .. }
                    | Action::BindRequested { .. }
                    | Action::Notified { .. }
                    | Action::Congestion { .. } => panic!("not here: {action:?}"),
                }
            }
            assert!(
                self.pair.end(side).session.in_flight() <= self.window,
                "window exceeded"
            );
        }
    }

    fn respond(&mut self, side: Side, sequence: u32) {
        let right = if side == Side::Esme {
            deliver_sm_resp()
        } else {
            submit_sm_resp("1")
        };
        let wrong = if side == Side::Esme {
            submit_sm_resp("1")
        } else {
            deliver_sm_resp()
        };
        let (pdu, status, sequence) = match self.random.below(20) {
            0 => return,
            5 => {
                let command = match side {
                    Side::Esme => CommandId::DELIVER_SM,
                    Side::Smsc => CommandId::SUBMIT_SM,
                };
                let decline = Input::Decline {
                    sequence,
                    command,
                    status: CommandStatus::ESME_RTHROTTLED,
                };
                let _ = self.pair.input(side, decline);
                return;
            }
            1 => (Pdu::GenericNack, CommandStatus::ESME_RINVCMDID, sequence),
            2 => (wrong, CommandStatus::ESME_ROK, sequence),
            3 => (right, CommandStatus::ESME_ROK, sequence.wrapping_add(1)),
            4 => (right, CommandStatus::ESME_RTHROTTLED, sequence),
            _ => (right, CommandStatus::ESME_ROK, sequence),
        };
        // Refused once the session is closed: the answer is lost, as in life.
        let _ = self.pair.input(
            side,
            Input::Respond {
                sequence,
                status,
                pdu: &pdu,
            },
        );
    }
}

#[test]
fn in_any_storm_every_token_ends_exactly_once() {
    if let Ok(seed) = std::env::var(SEED_VARIABLE) {
        Storm::new(seed.parse().expect("a number")).run();
        return;
    }
    for seed in 0..STORMS {
        let outcome = std::panic::catch_unwind(|| Storm::new(seed).run());
        if let Err(panic) = outcome {
            eprintln!("the storm broke it: replay with {SEED_VARIABLE}={seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn random_octets_never_panic() {
    for seed in 0..2_000 {
        let mut random = Random(seed);
        let mut pair = Pair::bound(BindKind::Transceiver);
        for _ in 0..20 {
            let side = if random.percent(50) {
                Side::Esme
            } else {
                Side::Smsc
            };
            let length = random.below(80);
            // Plausible headers reach further than noise does.
            let command = [
                0x8000_0004,
                4,
                5,
                9,
                0x8000_0009,
                6,
                0x15,
                0x103,
                0x0B,
                0x102,
                0x8000_0103,
                0x8000_0006,
            ][usize::try_from(random.below(12)).unwrap()];
            let mut octets = Vec::new();
            for field in [
                16 + u32::try_from(length).unwrap(),
                command,
                0,
                1 + u32::try_from(random.below(3)).unwrap(),
            ] {
                octets.extend_from_slice(&field.to_be_bytes());
            }
            octets.extend((0..length).map(|_| random.next().to_le_bytes()[0] & 0x47));
            if random.percent(5) {
                octets.rotate_left(3);
            }
            pair.input(side, Input::Received(&octets)).unwrap();
        }
    }
}
