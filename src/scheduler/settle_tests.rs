//! Lives here: what each kind of outcome does to its message.
//! Never here: anything but tests.

use uuid::Uuid;

use super::*;
use crate::domain::ids::{BindName, CarrierId, CarrierIndex, IntentId, MessageId, OrgId};
use crate::domain::message::Encoding;
use crate::domain::phone::{Msisdn, Sender};
use crate::domain::verdict::of_status;

/// A ready message of class transactional with this many segments.
pub(in crate::scheduler) fn ready(seq: i64, segments: u8) -> Ready {
    of_class(seq, segments, Class::Transactional)
}

fn of_class(seq: i64, segments: u8, class: Class) -> Ready {
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
        accepted_at: Timestamp(1_000),
        due_at: Timestamp(1_000),
        valid_until: Timestamp(9_000),
    };
    Ready::first(Arc::new(message))
}

fn outcome(ready: &Ready, part: u8, answer: Answer) -> Outcome {
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

fn accepted(late: bool) -> Answer {
    Answer::Accepted {
        raw_id: "A1".into(),
        normalised: "A1".into(),
        late,
    }
}

fn refused(verdict: Verdict) -> Answer {
    Answer::Refused {
        status: 0x45,
        verdict,
        late: false,
    }
}

fn decide(outcomes: Vec<Outcome>) -> Decided {
    let mut settler = Settler::new(3);
    let mut decided = Decided::default();
    for outcome in outcomes {
        settler.decide(outcome, Instant::now(), &mut decided);
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

fn returns(decided: &Decided) -> Vec<(u16, u16, bool)> {
    decided
        .returns
        .iter()
        .filter_map(|one| match one {
            Return::Again {
                ready, in_doubt, ..
            } => Some((ready.attempt, ready.parts.0, *in_doubt)),
            Return::Taken(..) => None,
        })
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
    assert_eq!(returns(&decided), [(1, 1, false)]);
}

#[test]
fn a_passing_error_is_tried_again_a_bounded_number_of_times() {
    let error = || refused(of_status(0x08));
    let mut one = ready(1, 1);
    assert_eq!(
        returns(&decide(vec![outcome(&one, 1, error())])),
        [(2, 1, false)]
    );
    one.attempt = 3;
    let decided = decide(vec![outcome(&one, 1, error())]);
    assert_eq!(states(&decided), [State::Rejected]);
    assert!(decided.returns.is_empty());
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
    assert_eq!(returns(&decided), [(2, 1, true)]);
}

#[test]
fn in_doubt_is_not_failed_and_each_class_has_its_policy() {
    for (class, resends) in [
        (Class::Otp, true),
        (Class::Transactional, true),
        (Class::Promotional, false),
    ] {
        let decided = decide(vec![outcome(&of_class(1, 1, class), 1, Answer::InDoubt)]);
        assert_eq!(states(&decided), [State::Uncertain], "{class}");
        assert_eq!(
            returns(&decided),
            if resends { vec![(2, 1, true)] } else { vec![] },
            "{class}"
        );
    }
}

#[test]
fn a_message_in_doubt_is_resent_once_only_and_marked() {
    let mut one = ready(1, 1);
    one.possible_duplicate = true;
    let decided = decide(vec![outcome(&one, 1, Answer::InDoubt)]);
    assert!(decided.returns.is_empty());
    assert!(decided.settlement.transitions[0].possible_duplicate);
}

#[test]
fn a_late_response_resolves_the_doubt_and_keeps_the_carrier_id() {
    let decided = decide(vec![outcome(&ready(1, 1), 1, accepted(true))]);
    assert_eq!(states(&decided), [State::Submitted]);
    assert!(matches!(
        decided.returns[..],
        [Return::Taken(MessageSeq(1), 1)]
    ));
    assert!(decided.settlement.attempts[0].carrier_message_id.is_some());
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
    assert_eq!(returns(&decided), [(1, 0b101, false)]);
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

#[test]
fn a_late_refusal_starts_nothing_while_a_resend_may_be_under_way() {
    let answer = Answer::Refused {
        status: 0x45,
        verdict: of_status(0x45),
        late: true,
    };
    let decided = decide(vec![outcome(&ready(1, 1), 1, answer)]);
    assert!(states(&decided).is_empty() && decided.returns.is_empty());
    assert_eq!(decided.settlement.attempts[0].state, SegmentState::Refused);
}

#[test]
fn a_late_refusal_is_the_last_word_where_nothing_is_resent() {
    let verdict = Verdict::Permanent(FailureCode::UnknownSubscriber);
    let answer = Answer::Refused {
        status: 0x0B,
        verdict,
        late: true,
    };
    let decided = decide(vec![outcome(
        &of_class(1, 1, Class::Promotional),
        1,
        answer,
    )]);
    assert_eq!(states(&decided), [State::Rejected]);
}
