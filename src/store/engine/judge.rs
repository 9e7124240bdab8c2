//! Lives here: whether a message may be cancelled, moved or resent by an operator: one judgement
//! for the change itself and for its dry run.
//! Never here: the change (`control`); reading what is judged (`rows`).

use std::collections::HashSet;

use crate::domain::class::Class;
use crate::domain::ids::{MessageSeq, Place};
use crate::domain::message::{Message, State};
use crate::domain::time::Timestamp;
use crate::store::control::Obstacle;
use crate::store::rows::{Candidate, LaneRow};

/// The message of a lane's row, if it can be swept out of the lane; `None`: it may be with a
/// carrier, or cannot be read, which is nothing to stop all writing for.
/// OTP up to `unsure` may have been sent by a run that did not end well.
pub(super) fn sweepable(
    row: LaneRow,
    under_way: &HashSet<MessageSeq>,
    unsure: Place,
) -> Option<Message> {
    let free = |one: &Message| !perhaps_sent(one, unsure) && !under_way.contains(&one.seq);
    row.message.filter(|one| !row.attempted && free(one))
}

/// Whether it can be cancelled. `otp` says that no bind can have an OTP of its account; OTP up to
/// `unsure` may have been sent by a run that did not end well.
///
/// # Errors
/// What stands in the way.
pub(in crate::store) fn may_cancel(
    candidate: &Candidate,
    under_way: &HashSet<MessageSeq>,
    otp: bool,
    unsure: Place,
) -> Result<(), Obstacle> {
    let Candidate { message, state, .. } = candidate;
    match state {
        State::Scheduled => Ok(()),
        State::Queued if candidate.attempted => Err(Obstacle::Attempted),
        State::Queued if message.class == Class::Otp && (!otp || perhaps_sent(message, unsure)) => {
            Err(Obstacle::Otp)
        }
        State::Queued if under_way.contains(&message.seq) => Err(Obstacle::UnderWay),
        State::Queued => Ok(()),
        State::Uncertain
        | State::Submitted
        | State::Delivered
        | State::Undelivered
        | State::Rejected
        | State::Expired
        | State::Unknown
        | State::Cancelled
        | State::Failed => Err(Obstacle::Standing(*state)),
    }
}

/// Whether it can be resent by an operator: it is in doubt, nobody has it, and nobody will resend
/// it by itself.
///
/// # Errors
/// What stands in the way.
pub(in crate::store) fn may_resend(
    candidate: &Candidate,
    under_way: &HashSet<MessageSeq>,
    at: Timestamp,
) -> Result<(), Obstacle> {
    let message = &candidate.message;
    if candidate.state != State::Uncertain {
        Err(Obstacle::Standing(candidate.state))
    } else if message.class != Class::Promotional && !candidate.possible_duplicate {
        Err(Obstacle::ResentByItself)
    } else if message.valid_until <= at {
        Err(Obstacle::Overdue)
    } else if under_way.contains(&message.seq) {
        Err(Obstacle::UnderWay)
    } else {
        Ok(())
    }
}

fn perhaps_sent(message: &Message, unsure: Place) -> bool {
    message.class == Class::Otp && message.seq.0 <= unsure.0
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::ids::{CarrierIndex, MessageId, OrgId};
    use crate::domain::message::Encoding;
    use crate::domain::phone::{Msisdn, Sender};

    const NOW: Timestamp = Timestamp(1_000_000);

    fn message(class: Class) -> Message {
        Message {
            seq: MessageSeq(7),
            id: MessageId(Uuid::from_u128(7)),
            org: OrgId(Uuid::from_u128(1)),
            class,
            to: Msisdn::from_digits("2348030000000").unwrap(),
            from: Sender::parse("Bank").unwrap(),
            body: "hello".into(),
            encoding: Encoding::Gsm7,
            segments: 1,
            carrier: CarrierIndex(0),
            webhook_url: None,
            metadata: None,
            tags: None,
            client_ref: None,
            live: true,
            cost: Default::default(),
            accepted_at: NOW,
            due_at: NOW,
            valid_until: Timestamp(NOW.0 + 1),
        }
    }

    fn candidate(class: Class, state: State) -> Candidate {
        Candidate {
            message: message(class),
            state,
            attempted: false,
            possible_duplicate: false,
        }
    }

    fn row(class: Class) -> LaneRow {
        LaneRow {
            org: OrgId(Uuid::from_u128(1)),
            place: Place(7),
            attempted: false,
            message: Some(message(class)),
        }
    }

    #[test]
    fn only_what_no_carrier_can_have_is_cancelled() {
        let (none, taken) = (HashSet::new(), HashSet::from([MessageSeq(7)]));
        let mut one = candidate(Class::Transactional, State::Queued);
        assert_eq!(may_cancel(&one, &none, false, Place(9)), Ok(()));
        let under_way = may_cancel(&one, &taken, false, Place(0));
        assert_eq!(under_way, Err(Obstacle::UnderWay));
        one.attempted = true;
        let attempted = may_cancel(&one, &none, false, Place(0));
        assert_eq!(attempted, Err(Obstacle::Attempted));
        for state in State::ALL {
            let found = may_cancel(&candidate(Class::Otp, state), &none, true, Place(0));
            match state {
                State::Scheduled | State::Queued => assert_eq!(found, Ok(())),
                _ => assert_eq!(found, Err(Obstacle::Standing(state))),
            }
        }
    }

    #[test]
    fn an_otp_is_cancelled_only_if_no_bind_and_no_lost_run_can_have_it() {
        let (one, none) = (candidate(Class::Otp, State::Queued), HashSet::new());
        assert_eq!(may_cancel(&one, &none, true, Place(6)), Ok(()));
        assert_eq!(may_cancel(&one, &none, true, Place(7)), Err(Obstacle::Otp));
        assert_eq!(may_cancel(&one, &none, false, Place(0)), Err(Obstacle::Otp));
    }

    #[test]
    fn a_sweep_leaves_what_may_be_with_a_carrier_and_what_cannot_be_read() {
        let (none, taken) = (HashSet::new(), HashSet::from([MessageSeq(7)]));
        assert!(sweepable(row(Class::Otp), &none, Place(6)).is_some());
        assert!(sweepable(row(Class::Otp), &none, Place(7)).is_none());
        assert!(sweepable(row(Class::Promotional), &none, Place(7)).is_some());
        assert!(sweepable(row(Class::Promotional), &taken, Place(0)).is_none());
        let attempted = LaneRow {
            attempted: true,
            ..row(Class::Promotional)
        };
        assert!(sweepable(attempted, &none, Place(0)).is_none());
        let unreadable = LaneRow {
            message: None,
            ..row(Class::Promotional)
        };
        assert!(sweepable(unreadable, &none, Place(0)).is_none());
    }

    #[test]
    fn only_a_doubt_that_nobody_else_will_end_is_resent() {
        let (none, taken) = (HashSet::new(), HashSet::from([MessageSeq(7)]));
        let promotional = candidate(Class::Promotional, State::Uncertain);
        assert_eq!(may_resend(&promotional, &none, NOW), Ok(()));
        let under_way = may_resend(&promotional, &taken, NOW);
        assert_eq!(under_way, Err(Obstacle::UnderWay));
        let overdue = may_resend(&promotional, &none, promotional.message.valid_until);
        assert_eq!(overdue, Err(Obstacle::Overdue));
        let mut otp = candidate(Class::Otp, State::Uncertain);
        let by_itself = may_resend(&otp, &none, NOW);
        assert_eq!(by_itself, Err(Obstacle::ResentByItself));
        otp.possible_duplicate = true;
        assert_eq!(may_resend(&otp, &none, NOW), Ok(()));
        let sent = may_resend(&candidate(Class::Otp, State::Submitted), &none, NOW);
        assert_eq!(sent, Err(Obstacle::Standing(State::Submitted)));
    }
}
