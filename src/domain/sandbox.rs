//! Lives here: what becomes of a test key's message: by the last two digits of certain recipients
//! (magic numbers), and at what times. Pure.
//! Never here: who acts it out (`carrier::sandbox`), how a refusal is told (`ingest`, `api`).

use std::time::Duration;

use super::lifecycle::SegmentState;
use super::message::FailureCode;
use super::phone::Msisdn;

/// The account that test messages stand with. No configured account may have this id.
pub const ACCOUNT: &str = "sandbox";

/// What stands before the two digits that choose the outcome: `2557X00000NN` and `23480300000NN`
/// (`reference/api.md`, "Test numbers").
const TANZANIA: &str = "2557";
const NIGERIA: &str = "234803";
const ZEROS: &str = "00000";

/// A carrier answers so long after the message is due: its events come 2 to 5 seconds after the
/// call (seed 003).
const ANSWER: Duration = Duration::from_secs(2);
/// Until then the carrier of [`Magic::Throttled`] says "slower",
const THROTTLED: Duration = Duration::from_secs(3);
/// and this is how long it wants to be left alone.
const PAUSE: Duration = Duration::from_secs(1);
/// Between a carrier's yes and its last word.
const WORD: Duration = Duration::from_secs(1);
/// The same for [`Magic::Slow`]: a minute after the call.
const SLOW: Duration = Duration::from_secs(58);
/// So long after its submit the validity of [`Magic::Silent`] counts as over.
const SILENCE: Duration = Duration::from_secs(2);

/// What a recipient stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Magic {
    /// 01 and every other number: delivered.
    Delivered,
    /// 02: taken, then given up because the handset cannot be reached.
    Absent,
    /// 03: the carrier does not know the number.
    UnknownSubscriber,
    /// 04: the recipient's operator blocks such messages.
    Blocked,
    /// 05: taken, and never heard of again.
    Silent,
    /// 06: the carrier says "slower" first, then delivers.
    Throttled,
    /// 07: delivered after a minute.
    Slow,
    /// 08: not accepted, the balance does not reach.
    Balance,
    /// 09: not accepted, the sender is not approved.
    Sender,
    /// 10: not accepted, too many requests.
    RateLimit,
    /// 11: not accepted, a fault of ours.
    Fault,
    /// 12: taken, then refused by the carrier.
    Rejected,
}

/// Why a test message is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// As with an empty balance.
    Balance,
    /// As with a sender that is not registered.
    Sender,
    /// As with too many requests; when to come again.
    RateLimit(Duration),
    /// As with a fault of ours.
    Fault,
}

/// What the sandbox answers to one submit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Taken.
    Accepted,
    /// Refused for good, with this command_status.
    Refused(u32, FailureCode),
    /// Not now: after this pause.
    SlowDown(Duration),
}

/// How a message ends that the sandbox has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By a receipt.
    Receipt(Word),
    /// Without one.
    Expired,
}

/// What a receipt says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    /// The final state.
    pub state: SegmentState,
    /// As a carrier spells it.
    pub stat: &'static str,
    /// The error.
    pub err: &'static str,
    /// Why the message failed, if it did.
    pub failure: Option<FailureCode>,
}

impl Magic {
    /// What this recipient stands for.
    pub fn of(to: Msisdn) -> Self {
        match ending_of(to.digits()) {
            Some("02") => Self::Absent,
            Some("03") => Self::UnknownSubscriber,
            Some("04") => Self::Blocked,
            Some("05") => Self::Silent,
            Some("06") => Self::Throttled,
            Some("07") => Self::Slow,
            Some("08") => Self::Balance,
            Some("09") => Self::Sender,
            Some("10") => Self::RateLimit,
            Some("11") => Self::Fault,
            Some("12") => Self::Rejected,
            Some(_) | None => Self::Delivered,
        }
    }

    /// Why it is not accepted, if it is not.
    pub const fn refused(self) -> Option<Refused> {
        match self {
            Self::Balance => Some(Refused::Balance),
            Self::Sender => Some(Refused::Sender),
            Self::RateLimit => Some(Refused::RateLimit(Duration::from_secs(1))),
            Self::Fault => Some(Refused::Fault),
            Self::Delivered
            | Self::Absent
            | Self::UnknownSubscriber
            | Self::Blocked
            | Self::Silent
            | Self::Throttled
            | Self::Slow
            | Self::Rejected => None,
        }
    }

    /// When a submit is answered that was made so long after the message was due, counted from the
    /// same time.
    pub fn answers(self, submitted: Duration) -> Duration {
        let first = match self {
            // One that was told "slower" comes again when the pause is over, and waits no longer.
            Self::Throttled if submitted >= ANSWER => THROTTLED,
            _ => ANSWER,
        };
        first.max(submitted)
    }

    /// The answer at this time, counted as in [`Magic::answers`]. What is not accepted anyway
    /// never comes so far; if it did it would be delivered.
    pub fn reply(self, at: Duration) -> Reply {
        match self {
            // ESME_RINVDSTADR.
            Self::UnknownSubscriber => Reply::Refused(0x0B, FailureCode::UnknownSubscriber),
            // Of the range that carriers define; several use it for DND.
            Self::Blocked => Reply::Refused(0x401, FailureCode::BlockedDnd),
            Self::Throttled if at < THROTTLED => Reply::SlowDown(PAUSE),
            Self::Delivered
            | Self::Absent
            | Self::Silent
            | Self::Throttled
            | Self::Slow
            | Self::Balance
            | Self::Sender
            | Self::RateLimit
            | Self::Fault
            | Self::Rejected => Reply::Accepted,
        }
    }

    /// How it ends once it was taken, and how long after that.
    pub const fn ends(self) -> (Duration, Ending) {
        match self {
            Self::Absent => (WORD, Ending::Receipt(ABSENT)),
            Self::Rejected => (WORD, Ending::Receipt(REJECTED)),
            Self::Silent => (SILENCE, Ending::Expired),
            Self::Slow => (SLOW, Ending::Receipt(DELIVERED)),
            Self::Delivered
            | Self::UnknownSubscriber
            | Self::Blocked
            | Self::Throttled
            | Self::Balance
            | Self::Sender
            | Self::RateLimit
            | Self::Fault => (WORD, Ending::Receipt(DELIVERED)),
        }
    }
}

const DELIVERED: Word = Word {
    state: SegmentState::Delivered,
    stat: "DELIVRD",
    err: "000",
    failure: None,
};

const ABSENT: Word = Word {
    state: SegmentState::Undelivered,
    stat: "UNDELIV",
    err: "027",
    failure: Some(FailureCode::AbsentSubscriber),
};

const REJECTED: Word = Word {
    state: SegmentState::Rejected,
    stat: "REJECTD",
    err: "008",
    failure: Some(FailureCode::CarrierRejected),
};

/// The last two digits of a magic number.
fn ending_of(digits: &str) -> Option<&str> {
    let rest = digits.strip_prefix(TANZANIA).and_then(|rest| rest.get(1..));
    let rest = rest.or_else(|| digits.strip_prefix(NIGERIA))?;
    rest.strip_prefix(ZEROS).filter(|last| last.len() == 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn magic(digits: &str) -> Magic {
        Magic::of(Msisdn::from_digits(digits).unwrap())
    }

    const S: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn the_last_two_digits_choose_the_outcome_in_both_countries() {
        for (last, expected) in [
            ("00", Magic::Delivered),
            ("01", Magic::Delivered),
            ("02", Magic::Absent),
            ("03", Magic::UnknownSubscriber),
            ("04", Magic::Blocked),
            ("05", Magic::Silent),
            ("06", Magic::Throttled),
            ("07", Magic::Slow),
            ("08", Magic::Balance),
            ("09", Magic::Sender),
            ("10", Magic::RateLimit),
            ("11", Magic::Fault),
            ("12", Magic::Rejected),
            ("13", Magic::Delivered),
            ("99", Magic::Delivered),
        ] {
            assert_eq!(magic(&format!("2557500000{last}")), expected, "{last}");
            assert_eq!(magic(&format!("2556500000{last}")), Magic::Delivered);
            assert_eq!(magic(&format!("23480300000{last}")), expected, "{last}");
            assert_eq!(magic(&format!("23480400000{last}")), Magic::Delivered);
        }
    }

    #[test]
    fn other_numbers_that_end_so_are_delivered() {
        for digits in [
            "255753276902",
            "255750000102",
            "2557500000021",
            "2348030000103",
            "2348030001002",
        ] {
            assert_eq!(magic(digits), Magic::Delivered, "{digits}");
        }
    }

    type Ended = (Duration, Ending);

    /// What a client sees, on a virtual clock that begins when the message is due: the times of
    /// the answers and of the end, with what each says.
    fn story(magic: Magic) -> (Vec<(Duration, Reply)>, Option<Ended>) {
        let (mut now, mut replies) = (Duration::ZERO, Vec::new());
        loop {
            now = magic.answers(now);
            let reply = magic.reply(now);
            replies.push((now, reply));
            match reply {
                Reply::Accepted => {
                    let (after, ending) = magic.ends();
                    return (replies, Some((now + after, ending)));
                }
                Reply::Refused(..) => return (replies, None),
                Reply::SlowDown(pause) => now += pause,
            }
            assert!(replies.len() < 10, "{magic:?} never ends");
        }
    }

    #[test]
    fn every_outcome_has_its_timetable() {
        let delivered = Ending::Receipt(DELIVERED);
        let taken = || vec![(S(2), Reply::Accepted)];
        let refused = |status, code| (vec![(S(2), Reply::Refused(status, code))], None);
        assert_eq!(story(Magic::Delivered), (taken(), Some((S(3), delivered))));
        assert_eq!(story(Magic::Slow), (taken(), Some((S(60), delivered))));
        assert_eq!(
            story(Magic::Silent),
            (taken(), Some((S(4), Ending::Expired)))
        );
        let throttled = vec![(S(2), Reply::SlowDown(S(1))), (S(3), Reply::Accepted)];
        assert_eq!(
            story(Magic::Throttled),
            (throttled, Some((S(4), delivered)))
        );
        let unknown = refused(0x0B, FailureCode::UnknownSubscriber);
        assert_eq!(story(Magic::UnknownSubscriber), unknown);
        let blocked = refused(0x401, FailureCode::BlockedDnd);
        assert_eq!(story(Magic::Blocked), blocked);
        for (magic, state, failure) in [
            (
                Magic::Absent,
                SegmentState::Undelivered,
                FailureCode::AbsentSubscriber,
            ),
            (
                Magic::Rejected,
                SegmentState::Rejected,
                FailureCode::CarrierRejected,
            ),
        ] {
            let (replies, end) = story(magic);
            assert_eq!(replies, taken());
            let Some((at, Ending::Receipt(word))) = end else {
                panic!("{magic:?} ends by a receipt");
            };
            assert_eq!((at, word.state, word.failure), (S(3), state, Some(failure)));
        }
    }

    #[test]
    fn only_four_are_refused_at_the_door() {
        let refused = |last: &str| magic(&format!("2557500000{last}")).refused();
        assert_eq!(refused("08"), Some(Refused::Balance));
        assert_eq!(refused("09"), Some(Refused::Sender));
        assert_eq!(refused("10"), Some(Refused::RateLimit(S(1))));
        assert_eq!(refused("11"), Some(Refused::Fault));
        for last in ["01", "02", "03", "04", "05", "06", "07", "12", "50"] {
            assert_eq!(refused(last), None, "{last}");
        }
    }

    #[test]
    fn what_comes_late_is_answered_at_once() {
        assert_eq!(Magic::Delivered.answers(S(90)), S(90));
        assert_eq!(Magic::Throttled.answers(S(90)), S(90));
        assert_eq!(Magic::Throttled.reply(S(90)), Reply::Accepted);
    }
}
