//! Lives here: what the outcome of a submit_sm says of its account's health.
//! Never here: what it means for the message (`scheduler::settle`), who judges (`domain::breaker`).

use std::time::Duration;

use crate::domain::class::Class;
use crate::domain::ids::CarrierIndex;
use crate::domain::verdict::Verdict;
use crate::flow::signs::{Sign, SignedAnswer};
use crate::flow::{Answer, Outcome};

/// The sign in an outcome; `None` when nothing was sent.
pub(super) fn of(carrier: CarrierIndex, outcome: &Outcome) -> Option<Sign> {
    if outcome.sequence == 0 {
        return None;
    }
    let answer = match &outcome.answer {
        Answer::Accepted { .. } => SignedAnswer::Accepted,
        Answer::Refused { verdict, .. } => match verdict {
            Verdict::Accepted => SignedAnswer::Accepted,
            Verdict::SlowDown(_) => SignedAnswer::Throttled,
            Verdict::Retry(_) | Verdict::Session => SignedAnswer::Failed,
            // These say something of a sender, a number, a route of the carrier's: one customer
            // with a wrong sender must not close an account for all.
            Verdict::OtherRoute(_) | Verdict::Permanent(_) | Verdict::AfterAcceptance => {
                SignedAnswer::Refused
            }
        },
        Answer::InDoubt => SignedAnswer::Silence,
        Answer::NotSent | Answer::Expired => return None,
    };
    Some(Sign::Answer {
        carrier,
        class: outcome.ready.message.class,
        answer,
        took: outcome.answered_at.since(outcome.submitted_at),
    })
}

/// The sign in a "slower" to a segment that stays with its bind.
pub(super) const fn throttled(carrier: CarrierIndex, class: Class, took: Duration) -> Sign {
    Sign::Answer {
        carrier,
        class,
        answer: SignedAnswer::Throttled,
        took,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::carrier::bind::tests::message;
    use crate::domain::ids::{BindName, CarrierId};
    use crate::domain::time::Timestamp;
    use crate::domain::verdict;
    use crate::flow::Ready;

    fn sign(sequence: u32, answer: Answer) -> Option<SignedAnswer> {
        let outcome = Outcome {
            ready: Ready::first(Arc::new(message("x", 1))),
            part: 1,
            closes: None,
            carrier: CarrierId("one".into()),
            bind: BindName("one/1".into()),
            sequence,
            submitted_at: Timestamp(1_000),
            answered_at: Timestamp(1_020),
            answer,
        };
        of(CarrierIndex(3), &outcome).map(|sign| match sign {
            Sign::Answer {
                carrier,
                answer,
                took,
                ..
            } => {
                assert_eq!(carrier, CarrierIndex(3));
                assert_eq!(took, Duration::from_millis(20));
                answer
            }
            Sign::Receipt { .. } => panic!("an answer is no receipt"),
        })
    }

    fn refused(status: u32) -> Answer {
        Answer::Refused {
            status,
            verdict: verdict::of_status(status),
            late: false,
        }
    }

    #[test]
    fn only_what_is_the_account_s_own_fault_is_told_as_one() {
        assert_eq!(sign(1, refused(0x08)), Some(SignedAnswer::Failed));
        assert_eq!(sign(1, refused(0x05)), Some(SignedAnswer::Failed));
        assert_eq!(sign(1, refused(0x58)), Some(SignedAnswer::Throttled));
        assert_eq!(sign(1, refused(0x0A)), Some(SignedAnswer::Refused));
        assert_eq!(sign(1, refused(0x0B)), Some(SignedAnswer::Refused));
        assert_eq!(sign(1, Answer::InDoubt), Some(SignedAnswer::Silence));
    }

    #[test]
    fn what_was_never_sent_says_nothing() {
        assert_eq!(sign(0, refused(0x01)), None, "not encodable");
        assert_eq!(sign(0, Answer::NotSent), None);
        assert_eq!(sign(0, Answer::Expired), None);
    }
}
