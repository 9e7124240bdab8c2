//! Lives here: what becomes of messages in doubt, in every order in which answers can come.
//! Never here: anything but tests.

use super::tests::{accepted, among, of_class, outcome, ready, refused};
use super::*;
use crate::domain::class::Class;
use crate::domain::lifecycle;
use crate::domain::verdict::of_status;

/// A message's row, as the store moves it, and what settles it.
struct World {
    settler: Settler,
    accounts: u16,
    state: State,
    now: Instant,
    /// What has been sent to the ends of lanes.
    sent: Vec<Ready>,
}

impl World {
    fn new(accounts: u16) -> Self {
        Self {
            settler: Settler::new(&Config::default()),
            accounts,
            state: State::Queued,
            now: Instant::now(),
            sent: Vec::new(),
        }
    }

    /// A world in which this message is in doubt.
    fn doubtful(accounts: u16, ready: &Ready) -> Self {
        let mut world = Self::new(accounts);
        for part in ready.parts.iter() {
            world.hear(ready, part, Answer::InDoubt);
        }
        assert_eq!(world.state, State::Uncertain);
        world
    }

    fn act(&mut self, act: impl FnOnce(&mut Settler, &View<'_>, &mut Decided)) {
        let choose = among(self.accounts);
        let view = View {
            now: self.now,
            wall: Timestamp(3_000),
            choose: &choose,
        };
        let mut decided = Decided::default();
        act(&mut self.settler, &view, &mut decided);
        for one in &decided.settlement.transitions {
            // As the store does: only receipts end what a carrier has taken.
            let taken = self.state == State::Submitted;
            let unsent = one.to != State::Expired || self.state == State::Queued;
            if lifecycle::permits(self.state, one.to) && !taken && unsent {
                self.state = one.to;
            }
        }
        for Reroute { ready, to } in decided.settlement.reroutes {
            if matches!(self.state, State::Queued | State::Uncertain) {
                self.sent.push(Ready {
                    carrier: to,
                    ..ready
                });
            }
        }
    }

    fn hear(&mut self, ready: &Ready, part: u8, answer: Answer) {
        let outcome = outcome(ready, part, answer);
        self.act(|settler, view, decided| settler.decide(&outcome, view, decided));
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.act(Settler::due);
    }
}

fn late(verdict: Verdict) -> Answer {
    match refused(verdict) {
        Answer::Refused {
            status, verdict, ..
        } => Answer::Refused {
            status,
            verdict,
            late: true,
        },
        other => other,
    }
}

const NUMBER: Verdict = Verdict::Permanent(FailureCode::UnknownSubscriber);
const ROUTE: Verdict = Verdict::OtherRoute(FailureCode::CarrierRejected);

#[test]
fn each_class_has_its_time_in_doubt() {
    for (class, seconds) in [
        (Class::Otp, Some(5)),
        (Class::Transactional, Some(60)),
        (Class::Promotional, None),
    ] {
        let mut world = World::doubtful(2, &of_class(1, 1, class));
        world.pass(seconds.unwrap_or(10_000) - 1);
        assert!(world.sent.is_empty(), "{class}");
        world.pass(1);
        let sent: Vec<_> = world
            .sent
            .iter()
            .map(|one| (one.carrier.0, one.attempt, one.possible_duplicate))
            .collect();
        let expected = seconds.map(|_| (1, 2, true));
        assert_eq!(
            sent,
            Vec::from_iter(expected),
            "{class}: on another account"
        );
        world.pass(10_000);
        assert!(world.sent.len() < 2, "{class}: once");
        assert_eq!(world.state, State::Uncertain);
    }
}

#[test]
fn a_message_in_doubt_anew_has_its_whole_time_anew() {
    let first = ready(1, 1);
    let mut world = World::doubtful(2, &first);
    world.pass(40);
    world.hear(&first, 1, late(of_status(0x58)));
    let second = world.sent.remove(0);
    assert_eq!((world.state, second.attempt), (State::Queued, 2));
    world.hear(&second, 1, Answer::InDoubt);
    world.pass(30);
    assert!(world.sent.is_empty(), "the first doubt's time says nothing");
    world.pass(30);
    assert_eq!(world.sent.len(), 1);
}

#[test]
fn what_is_due_all_at_once_is_resent_some_at_a_time() {
    let mut world = World::new(2);
    for seq in 0..300 {
        world.hear(&ready(seq, 1), 1, Answer::InDoubt);
        world.state = State::Queued;
    }
    world.state = State::Uncertain;
    world.pass(60);
    assert_eq!(world.sent.len(), 256);
    world.pass(0);
    assert_eq!(world.sent.len(), 300);
}

#[test]
fn without_another_account_the_same_one_has_it_again() {
    let mut world = World::doubtful(1, &ready(1, 1));
    world.pass(60);
    assert_eq!(world.sent[0].carrier, CarrierIndex(0));
    assert_eq!(world.sent[0].tried[..], [CarrierIndex(0)]);
}

#[test]
fn what_is_not_valid_any_more_is_not_resent() {
    let mut one = ready(1, 1);
    one.message = Arc::new(crate::domain::message::Message {
        valid_until: Timestamp(2_900),
        ..crate::domain::message::Message::clone(&one.message)
    });
    let mut world = World::doubtful(2, &one);
    world.pass(60);
    assert!(world.sent.is_empty());
    assert_eq!(world.state, State::Uncertain);
}

#[test]
fn a_late_yes_calls_the_resend_off() {
    let one = ready(1, 1);
    let mut world = World::doubtful(2, &one);
    world.hear(&one, 1, accepted(true));
    world.pass(60);
    assert_eq!(world.state, State::Submitted);
    assert!(world.sent.is_empty());
}

#[test]
fn a_late_no_is_tried_again_at_once_and_as_no_duplicate() {
    for (verdict, account) in [
        (Verdict::SlowDown(Duration::ZERO), 0),
        (of_status(0x08), 0),
        (ROUTE, 1),
    ] {
        let one = ready(1, 1);
        let mut world = World::doubtful(2, &one);
        world.hear(&one, 1, late(verdict));
        assert_eq!(world.state, State::Queued);
        let sent = &world.sent[0];
        assert_eq!((sent.carrier.0, sent.attempt), (account, 2));
        assert!(!sent.possible_duplicate);
        world.pass(60);
        assert_eq!(world.sent.len(), 1);
    }
}

#[test]
fn a_late_and_final_no_is_the_end() {
    let one = of_class(1, 1, Class::Promotional);
    let mut world = World::doubtful(2, &one);
    world.hear(&one, 1, late(NUMBER));
    assert_eq!(world.state, State::Rejected);
    let mut world = World::doubtful(1, &one);
    world.hear(&one, 1, late(ROUTE));
    assert_eq!(world.state, State::Rejected, "no other account");
}

#[test]
fn a_late_no_mends_its_row_only_when_the_resend_is_on_its_way() {
    let one = ready(1, 1);
    let mut world = World::doubtful(2, &one);
    world.pass(60);
    world.hear(&one, 1, late(NUMBER));
    assert_eq!(world.state, State::Uncertain);
    let resend = world.sent[0].clone();
    world.hear(&resend, 1, accepted(false));
    assert_eq!(world.state, State::Submitted);
}

#[test]
fn a_refused_resend_does_not_end_what_is_still_in_doubt() {
    let one = ready(1, 1);
    let mut world = World::doubtful(2, &one);
    world.pass(60);
    let resend = world.sent[0].clone();
    world.hear(&resend, 1, refused(NUMBER));
    assert_eq!(
        world.state,
        State::Uncertain,
        "the first may have been taken"
    );
    world.hear(&one, 1, accepted(true));
    assert_eq!(world.state, State::Submitted);
}

#[test]
fn of_several_segments_only_those_still_in_doubt_are_resent() {
    let one = ready(1, 3);
    let mut world = World::doubtful(2, &one);
    world.hear(&one, 2, accepted(true));
    world.hear(&one, 1, late(Verdict::SlowDown(Duration::ZERO)));
    assert_eq!(world.state, State::Uncertain, "3 is open");
    world.pass(60);
    let sent = &world.sent[0];
    assert_eq!((sent.parts, sent.possible_duplicate), (Parts(0b101), true));
}

#[test]
fn when_the_last_of_several_is_answered_the_refused_ones_go_again_at_once() {
    let one = ready(1, 2);
    let mut world = World::doubtful(2, &one);
    world.hear(&one, 1, late(Verdict::SlowDown(Duration::ZERO)));
    world.hear(&one, 2, accepted(true));
    let sent = &world.sent[0];
    assert_eq!((sent.parts, sent.possible_duplicate), (Parts(0b1), false));
    assert_eq!(world.state, State::Queued);
}

#[test]
fn a_late_yes_to_one_segment_while_another_is_under_way_counts_for_it() {
    let one = ready(1, 2);
    let mut world = World::new(2);
    world.hear(&one, 1, Answer::InDoubt);
    world.hear(&one, 1, accepted(true));
    world.hear(&one, 2, accepted(false));
    assert_eq!(world.state, State::Submitted);
    assert!(world.settler.next_due().is_none());
}

/// What a carrier will have said of an attempt in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Yes,
    No,
    Nothing,
}

/// What the resend is answered with at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resend {
    Taken,
    Refused,
    Doubt(Word),
}

/// Where a message ends: what counts is what was said, not when.
fn expected(first: Word, before: bool, resend: Resend) -> State {
    match (first, resend) {
        (Word::Yes, _) => State::Submitted,
        (Word::No, _) if before => State::Rejected,
        (_, Resend::Taken | Resend::Doubt(Word::Yes)) => State::Submitted,
        (Word::No, Resend::Refused | Resend::Doubt(Word::No)) => State::Rejected,
        (_, Resend::Refused | Resend::Doubt(_)) => State::Uncertain,
    }
}

#[test]
fn answers_in_any_order_and_number_end_in_one_state() {
    let words = [Word::Yes, Word::No, Word::Nothing];
    let resends = [Resend::Taken, Resend::Refused]
        .into_iter()
        .chain(words.map(Resend::Doubt));
    for (first, resend) in words
        .into_iter()
        .flat_map(|first| resends.clone().map(move |resend| (first, resend)))
    {
        // Late words come at any of these points, in any order, once or twice.
        for points in 0..4u32.pow(3) {
            let at = |nth: u32| points / 4u32.pow(nth) % 4;
            let story = (first, resend, points);
            tell(story, [at(0), at(1)], at(2));
        }
    }
}

/// Tells one story: the first attempt's late word at two points, the resend's at one.
fn tell((first, resend, points): (Word, Resend, u32), firsts: [u32; 2], other: u32) {
    let one = ready(1, 1);
    let mut world = World::doubtful(2, &one);
    let word = |world: &mut World, ready: &Ready, word: Word| match word {
        Word::Yes => world.hear(ready, 1, accepted(true)),
        Word::No => world.hear(ready, 1, late(NUMBER)),
        Word::Nothing => {}
    };
    let mut again = None;
    for point in 0..4 {
        for _ in firsts.iter().filter(|at| **at == point) {
            word(&mut world, &one, first);
        }
        match point {
            0 => {
                world.pass(60);
                again = world.sent.first().cloned();
            }
            1 => match (&again, resend) {
                (Some(again), Resend::Taken) => world.hear(again, 1, accepted(false)),
                (Some(again), Resend::Refused) => world.hear(again, 1, refused(NUMBER)),
                (Some(again), Resend::Doubt(_)) => world.hear(again, 1, Answer::InDoubt),
                (None, _) => {}
            },
            _ => {
                if let (Some(again), Resend::Doubt(said)) = (&again, resend)
                    && (other % 2 == point - 2 || other > 1)
                {
                    word(&mut world, again, said);
                }
            }
        }
    }
    let before = firsts.contains(&0);
    let expected = expected(first, before, resend);
    assert_eq!(world.state, expected, "{first:?}, {resend:?}, {points}");
    assert!(world.sent.len() < 2, "resent once");
}
