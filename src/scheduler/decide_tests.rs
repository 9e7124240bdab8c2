//! Lives here: what each kind of outcome does to its message.
//! Never here: anything but tests.

use uuid::Uuid;

use super::*;
use crate::domain::class::Class;
use crate::domain::ids::{BindName, CarrierId, CarrierIndex, IntentId, MessageId, OrgId};
use crate::domain::message::{Encoding, Message};
use crate::domain::phone::{Msisdn, Sender};
use crate::domain::verdict::of_status;

/// A ready message of class transactional with this many segments.
pub(in crate::scheduler) fn ready(seq: i64, segments: u8) -> Ready {
    of_class(seq, segments, Class::Transactional)
}

pub(in crate::scheduler) fn of_class(seq: i64, segments: u8, class: Class) -> Ready {
    let message = Message {
        seq: MessageSeq(seq),
        id: MessageId(Uuid::from_u128(seq as u128)),
        org: OrgId(Uuid::nil()),
        class,
        to: Msisdn::from_digits("255753276939").unwrap(),
        from: Sender::parse("MNARA").unwrap(),
        body: "x".into(),
        encoding: Encoding::Gsm7,
        segments,
        carrier: CarrierIndex(0),
        webhook_url: None,
        metadata: None,
        tags: None,
        client_ref: None,
        live: true,
        cost: Default::default(),
        accepted_at: Timestamp(1_000),
        due_at: Timestamp(1_000),
        valid_until: Timestamp(900_000),
    };
    Ready::first(Arc::new(message))
}

pub(in crate::scheduler) fn outcome(ready: &Ready, part: u8, answer: Answer) -> Outcome {
    Outcome {
        ready: ready.clone(),
        part,
        closes: Some(IntentId(7)),
        carrier: CarrierId("c".into()),
        bind: BindName("c/1".into()),
        sequence: 1,
        submitted_at: Timestamp(2_000),
        answered_at: Timestamp(2_100),
        answer,
    }
}

pub(super) fn accepted(late: bool) -> Answer {
    Answer::Accepted {
        raw_id: "A1".into(),
        normalised: "A1".into(),
        late,
    }
}

pub(super) fn refused(verdict: Verdict) -> Answer {
    Answer::Refused {
        status: 0x45,
        verdict,
        late: false,
    }
}

/// A house with this many accounts, all in use, asked in their order.
pub(super) fn among(accounts: u16) -> impl Fn(&Ready) -> Option<(CarrierIndex, bool)> {
    move |ready| {
        let mut left = (0..accounts).map(CarrierIndex);
        let first = left.find(|one| !ready.tried.contains(one))?;
        Some((first, true))
    }
}

fn settler() -> Settler {
    Settler::new(&Config::default())
}

fn decide(outcomes: Vec<Outcome>) -> Decided {
    decide_among(1, outcomes)
}

fn decide_among(accounts: u16, outcomes: Vec<Outcome>) -> Decided {
    let (mut settler, choose) = (settler(), among(accounts));
    let view = View {
        now: Instant::now(),
        wall: Timestamp(2_200),
        choose: &choose,
    };
    let mut decided = Decided::default();
    for outcome in outcomes {
        settler.decide(&outcome, &view, &mut decided);
    }
    assert!(
        settler.several.is_empty(),
        "nothing of a decided message is kept"
    );
    decided
}

fn states(decided: &Decided) -> Vec<State> {
    decided
        .settlement
        .transitions
        .iter()
        .map(|one| one.to)
        .collect()
}

/// Attempt and parts of what is to be tried again in its lane.
fn returns(decided: &Decided) -> Vec<(u16, u16)> {
    let returns = decided.returns.iter();
    returns
        .map(|one| (one.ready.attempt, one.ready.parts.0))
        .collect()
}

/// Attempt, account and mark of what goes to the end of a lane.
fn reroutes(decided: &Decided) -> Vec<(u16, u16, bool)> {
    let reroutes = decided.settlement.reroutes.iter();
    reroutes
        .map(|one| (one.ready.attempt, one.to.0, one.ready.possible_duplicate))
        .collect()
}

#[test]
fn an_accepted_segment_submits_its_message_and_closes_the_intent() {
    let decided = decide(vec![outcome(&ready(1, 1), 1, accepted(false))]);
    assert_eq!(states(&decided), [State::Submitted]);
    assert_eq!(
        decided.settlement.attempts[0].state,
        SegmentState::Submitted
    );
    assert_eq!(decided.settlement.closed_intents, [IntentId(7)]);
    assert!(decided.returns.is_empty());
}

#[test]
fn an_empty_carrier_id_is_accepted_without_a_key_for_receipts() {
    let answer = Answer::Accepted {
        raw_id: "".into(),
        normalised: "".into(),
        late: false,
    };
    let decided = decide(vec![outcome(&ready(1, 1), 1, answer)]);
    assert_eq!(states(&decided), [State::Submitted]);
    assert!(decided.settlement.attempts[0].carrier_message_id.is_none());
}

#[test]
fn a_throttled_message_is_tried_again_without_an_attempt_being_counted() {
    let delay = Duration::from_millis(500);
    let decided = decide(vec![outcome(
        &ready(1, 1),
        1,
        refused(Verdict::SlowDown(delay)),
    )]);
    assert!(states(&decided).is_empty());
    assert!(decided.settlement.attempts.is_empty());
    assert_eq!(returns(&decided), [(1, 1)]);
}

#[test]
fn a_passing_error_is_tried_again_a_bounded_number_of_times() {
    let error = || refused(of_status(0x08));
    let mut one = ready(1, 1);
    assert_eq!(returns(&decide(vec![outcome(&one, 1, error())])), [(2, 1)]);
    (one.attempt, one.refusals) = (3, 2);
    let decided = decide(vec![outcome(&one, 1, error())]);
    assert_eq!(states(&decided), [State::Rejected]);
    assert!(decided.returns.is_empty());
    let decided = decide_among(2, vec![outcome(&one, 1, error())]);
    assert!(states(&decided).is_empty());
    assert_eq!(reroutes(&decided), [(4, 1, false)], "then another account");
    assert_eq!(decided.settlement.reroutes[0].ready.refusals, 0);
}

#[test]
fn a_message_that_ends_one_session_after_another_waits_ever_longer_and_goes_elsewhere() {
    let mut one = ready(1, 1);
    let wait = |ready: &Ready| {
        let begun = Instant::now();
        let decided = decide(vec![outcome(ready, 1, refused(Verdict::Session))]);
        let again = &decided.returns[0];
        let wait = again.at.saturating_duration_since(begun).as_secs();
        (wait, again.ready.clone())
    };
    let mut waits = Vec::new();
    for _ in 0..4 {
        let (waited, again) = wait(&one);
        waits.push(waited);
        one = again;
    }
    assert_eq!(waits, [1, 8, 60, 60]);
    assert_eq!(
        (one.attempt, one.refusals),
        (1, 2),
        "no attempt, and not failed"
    );
    let decided = decide_among(2, vec![outcome(&one, 1, refused(Verdict::Session))]);
    assert_eq!(reroutes(&decided), [(2, 1, false)]);
    assert_eq!(decided.settlement.reroutes[0].ready.refusals, 0);
}

#[test]
fn an_account_that_will_not_take_it_hands_it_on_until_none_is_left() {
    let verdict = Verdict::OtherRoute(FailureCode::CarrierRejected);
    let decided = decide_among(3, vec![outcome(&ready(1, 1), 1, refused(verdict))]);
    assert_eq!(reroutes(&decided), [(2, 1, false)]);
    let mut third = decided.settlement.reroutes[0].ready.clone();
    third.carrier = CarrierIndex(1);
    let decided = decide_among(3, vec![outcome(&third, 1, refused(verdict))]);
    assert_eq!(reroutes(&decided), [(3, 2, false)]);
    let mut last = decided.settlement.reroutes[0].ready.clone();
    last.carrier = CarrierIndex(2);
    let decided = decide_among(3, vec![outcome(&last, 1, refused(verdict))]);
    assert_eq!(states(&decided), [State::Rejected]);
    let failure = decided.settlement.transitions[0].failure;
    assert_eq!(failure, Some(FailureCode::CarrierRejected));
}

#[test]
fn parts_that_one_account_has_stay_there_and_the_others_go_elsewhere() {
    let one = ready(1, 3);
    let verdict = Verdict::OtherRoute(FailureCode::CarrierRejected);
    let decided = decide_among(
        2,
        vec![
            outcome(&one, 2, accepted(false)),
            outcome(&one, 1, refused(verdict)),
            outcome(&one, 3, refused(of_status(0x08))),
        ],
    );
    assert_eq!(reroutes(&decided), [(2, 1, false)]);
    assert_eq!(decided.settlement.reroutes[0].ready.parts, Parts(0b101));
}

#[test]
fn a_retry_that_would_come_after_the_validity_is_the_end_at_once() {
    let mut one = ready(1, 1);
    let message = Message {
        valid_until: Timestamp(20_000),
        ..Message::clone(&one.message)
    };
    one.message = Arc::new(message);
    let decided = decide(vec![outcome(&one, 1, refused(of_status(0x08)))]);
    assert_eq!(states(&decided), [State::Expired]);
    let failure = decided.settlement.transitions[0].failure;
    assert_eq!(failure, Some(FailureCode::Expired));
}

#[test]
fn what_failed_together_does_not_come_back_together() {
    let waits: std::collections::HashSet<Duration> = (1..=100)
        .map(|seq| spread(Duration::from_secs(30), &ready(seq, 1)))
        .collect();
    assert!(waits.len() > 50);
    let (least, most) = (Duration::from_secs(30), Duration::from_millis(37_500));
    assert!(waits.iter().all(|wait| (least..=most).contains(wait)));
}

#[test]
fn a_permanent_refusal_rejects_with_its_code() {
    let verdict = Verdict::Permanent(FailureCode::UnknownSubscriber);
    let decided = decide(vec![outcome(&ready(1, 1), 1, refused(verdict))]);
    assert_eq!(states(&decided), [State::Rejected]);
    assert_eq!(
        decided.settlement.transitions[0].failure,
        Some(FailureCode::UnknownSubscriber)
    );
}

#[test]
fn an_error_that_may_follow_acceptance_leaves_the_attempt_in_doubt() {
    let decided = decide(vec![outcome(
        &ready(1, 1),
        1,
        refused(Verdict::AfterAcceptance),
    )]);
    assert_eq!(states(&decided), [State::Uncertain]);
    let attempt = &decided.settlement.attempts[0];
    assert_eq!(
        (attempt.state, attempt.status),
        (SegmentState::InDoubt, Some(0x45))
    );
    assert!(decided.returns.is_empty() && reroutes(&decided).is_empty());
}

#[test]
fn only_the_segments_that_were_not_taken_are_tried_again() {
    let one = ready(1, 3);
    let decided = decide(vec![
        outcome(&one, 2, accepted(false)),
        outcome(&one, 1, refused(Verdict::SlowDown(Duration::ZERO))),
        outcome(&one, 3, Answer::NotSent),
    ]);
    assert!(states(&decided).is_empty());
    assert_eq!(returns(&decided), [(1, 0b101)]);
}

#[test]
fn a_message_of_several_segments_is_submitted_when_all_are_taken() {
    let one = ready(1, 2);
    let decided = decide(vec![
        outcome(&one, 2, accepted(false)),
        outcome(&one, 1, accepted(false)),
    ]);
    assert_eq!(states(&decided), [State::Submitted]);
    assert_eq!(decided.settlement.attempts.len(), 2);
}

#[test]
fn an_expired_message_fails_with_its_event() {
    let decided = decide(vec![outcome(&ready(1, 2), 1, Answer::Expired)]);
    assert_eq!(states(&decided), [State::Expired]);
    assert_eq!(
        decided.settlement.transitions[0].failure,
        Some(FailureCode::Expired)
    );
}
