//! Lives here: which moves of a message are legal, and what an attempt's outcome or a receipt
//! does to it. Pure: the store applies what is decided here in the transaction that causes it.
//! Never here: SQL, tasks, clocks.

use super::message::{FailureCode, State};

/// Whether a message may move from one state to another
/// (`reference/delivery-semantics.md`, "Message states"). Anything else is refused and counted.
pub const fn permits(from: State, to: State) -> bool {
    match from {
        State::Scheduled => matches!(
            to,
            State::Queued | State::Cancelled | State::Expired | State::Failed
        ),
        State::Queued => matches!(
            to,
            State::Uncertain
                | State::Submitted
                | State::Rejected
                | State::Expired
                | State::Cancelled
                | State::Failed
        ),
        State::Uncertain => matches!(
            to,
            State::Submitted
                | State::Queued
                | State::Rejected
                | State::Unknown
                | State::Delivered
                | State::Undelivered
                | State::Expired
        ),
        State::Submitted => matches!(
            to,
            State::Delivered
                | State::Undelivered
                | State::Rejected
                | State::Expired
                | State::Unknown
        ),
        // Only a carrier's own word may follow what we concluded in its silence.
        State::Unknown | State::Expired => {
            matches!(to, State::Delivered | State::Undelivered | State::Rejected)
        }
        State::Delivered
        | State::Undelivered
        | State::Rejected
        | State::Cancelled
        | State::Failed => false,
    }
}

/// Where one segment stands with its carrier. The numbers are kept in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SegmentState {
    /// Answered ROK; no final receipt yet.
    Submitted = 0,
    /// Final receipt: on the handset.
    Delivered = 1,
    /// Final receipt: given up.
    Undelivered = 2,
    /// Final receipt: refused after acceptance.
    Rejected = 3,
    /// Final receipt: expired or deleted at the carrier.
    Expired = 4,
    /// Final receipt: the carrier itself does not know.
    Unknown = 5,
    /// The submit was answered with an error.
    Refused = 6,
    /// No answer: perhaps taken.
    InDoubt = 7,
}

impl SegmentState {
    const ALL: [Self; 8] = [
        Self::Submitted,
        Self::Delivered,
        Self::Undelivered,
        Self::Rejected,
        Self::Expired,
        Self::Unknown,
        Self::Refused,
        Self::InDoubt,
    ];

    /// The number kept in the store.
    pub const fn index(self) -> i64 {
        self as i64
    }

    /// The state with this number in the store.
    pub fn from_index(index: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.index() == index)
    }

    /// The name in timelines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Submitted => "submitted",
            Self::Delivered => "delivered",
            Self::Undelivered => "undelivered",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Unknown => "unknown",
            Self::Refused => "refused",
            Self::InDoubt => "in_doubt",
        }
    }

    /// A carrier has spoken its last word on it.
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Submitted | Self::InDoubt | Self::Refused)
    }
}

/// What a receipt does to the segment it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// The first final word: the segment takes this state.
    Settled(SegmentState),
    /// An intermediate state, kept as an event.
    Intermediate,
    /// The same final word again: no effect.
    Duplicate,
    /// Another final word than the first: kept as an event, no effect on the state.
    Conflict,
}

/// Applies a receipt's state to a segment; `None` is an intermediate state. Idempotent: the
/// first final word wins, in whatever order and however often receipts come.
pub fn apply_receipt(segment: SegmentState, receipt: Option<SegmentState>) -> Applied {
    let Some(receipt) = receipt else {
        return Applied::Intermediate;
    };
    debug_assert!(receipt.is_final(), "a receipt settles or is intermediate");
    if !segment.is_final() {
        Applied::Settled(receipt)
    } else if segment == receipt {
        Applied::Duplicate
    } else {
        Applied::Conflict
    }
}

/// Where a segment stands that has been tried several times, by its attempts in order: one copy on
/// the handset is enough, and while a copy that a carrier took is under way nothing is over. The
/// same in whatever order the attempts' words came.
pub fn of_attempts(attempts: &[SegmentState]) -> Option<SegmentState> {
    let speaks = |state: SegmentState| match state {
        SegmentState::Refused | SegmentState::InDoubt => 0,
        SegmentState::Undelivered
        | SegmentState::Rejected
        | SegmentState::Expired
        | SegmentState::Unknown => 1,
        SegmentState::Submitted => 2,
        SegmentState::Delivered => 3,
    };
    attempts.iter().copied().max_by_key(|state| speaks(*state))
}

/// The state of a message whose segments stand like this, or `None` while some are open.
/// Delivered means all are; the first other final word in part order names the failure.
pub fn roll_up(segments: &[SegmentState]) -> Option<State> {
    let mut failed = None;
    for segment in segments {
        let state = match segment {
            // A refused segment is tried again, or `settle` has ended the message for it.
            SegmentState::Submitted | SegmentState::InDoubt | SegmentState::Refused => return None,
            SegmentState::Delivered => continue,
            SegmentState::Undelivered => State::Undelivered,
            SegmentState::Rejected => State::Rejected,
            SegmentState::Expired => State::Expired,
            SegmentState::Unknown => State::Unknown,
        };
        failed.get_or_insert(state);
    }
    Some(failed.unwrap_or(State::Delivered))
}

/// The failure code that goes with a terminal state reached by receipts.
pub const fn failure_of(state: State) -> Option<FailureCode> {
    match state {
        State::Undelivered => Some(FailureCode::AbsentSubscriber),
        State::Rejected => Some(FailureCode::CarrierRejected),
        State::Expired => Some(FailureCode::Expired),
        State::Unknown => Some(FailureCode::OutcomeUnknown),
        State::Cancelled => Some(FailureCode::Canceled),
        State::Failed => Some(FailureCode::RouteUnavailable),
        State::Scheduled
        | State::Queued
        | State::Uncertain
        | State::Submitted
        | State::Delivered => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_a_carriers_final_word() {
        for from in [
            State::Delivered,
            State::Undelivered,
            State::Rejected,
            State::Cancelled,
            State::Failed,
        ] {
            for to in State::ALL {
                assert!(!permits(from, to), "{from:?} -> {to:?}");
            }
        }
    }

    #[test]
    fn no_state_follows_itself() {
        for state in State::ALL {
            assert!(!permits(state, state), "{state:?}");
        }
    }

    #[test]
    fn silence_may_be_broken_by_the_carrier_only() {
        assert!(permits(State::Unknown, State::Delivered));
        assert!(permits(State::Expired, State::Delivered));
        assert!(!permits(State::Unknown, State::Queued));
        assert!(!permits(State::Submitted, State::Queued));
    }

    fn permutations(items: &[Option<SegmentState>]) -> Vec<Vec<Option<SegmentState>>> {
        if items.is_empty() {
            return vec![Vec::new()];
        }
        let mut all = Vec::new();
        for index in 0..items.len() {
            let mut rest = items.to_vec();
            let first = rest.remove(index);
            for mut tail in permutations(&rest) {
                tail.insert(0, first);
                all.push(tail);
            }
        }
        all
    }

    #[test]
    fn receipts_in_any_order_with_duplicates_end_in_one_state() {
        let delivered = Some(SegmentState::Delivered);
        for order in permutations(&[None, delivered, None, delivered, delivered]) {
            let mut segment = SegmentState::Submitted;
            let mut settled = 0;
            for receipt in order {
                if let Applied::Settled(state) = apply_receipt(segment, receipt) {
                    segment = state;
                    settled += 1;
                }
            }
            assert_eq!((segment, settled), (SegmentState::Delivered, 1));
        }
    }

    #[test]
    fn the_first_final_word_wins_and_a_contradiction_is_seen() {
        assert_eq!(
            apply_receipt(SegmentState::Delivered, Some(SegmentState::Undelivered)),
            Applied::Conflict
        );
        assert_eq!(
            apply_receipt(SegmentState::InDoubt, Some(SegmentState::Delivered)),
            Applied::Settled(SegmentState::Delivered)
        );
    }

    #[test]
    fn one_copy_on_the_handset_is_enough_and_one_under_way_is_waited_for() {
        use SegmentState as S;
        for (attempts, stands) in [
            (&[S::Undelivered, S::Delivered][..], S::Delivered),
            (&[S::Delivered, S::Undelivered], S::Delivered),
            (&[S::Undelivered, S::Submitted], S::Submitted),
            (&[S::InDoubt, S::Undelivered], S::Undelivered),
            (&[S::Undelivered, S::Expired], S::Expired),
            (&[S::InDoubt, S::Refused], S::Refused),
        ] {
            assert_eq!(of_attempts(attempts), Some(stands), "{attempts:?}");
        }
        assert_eq!(of_attempts(&[]), None);
    }

    #[test]
    fn a_message_is_delivered_when_all_its_segments_are() {
        use SegmentState as S;
        assert_eq!(
            roll_up(&[S::Delivered, S::Delivered]),
            Some(State::Delivered)
        );
        assert_eq!(roll_up(&[S::Delivered, S::Submitted]), None);
        assert_eq!(
            roll_up(&[S::Delivered, S::Expired, S::Undelivered]),
            Some(State::Expired)
        );
        assert_eq!(roll_up(&[S::Refused, S::Delivered]), None);
    }
}
