//! Lives here: bulk jobs: the states they move through, what has become of their recipients, how many
//! of them may wait in the lanes. Pure.
//! Never here: how recipients are kept (`chunk`), rows, tasks, what a message costs.

mod chunk;

use std::time::Duration;

pub use self::chunk::{Entry, TYPED_MAX, Waits, Without, pack, unpack, without};
use super::credits::Credits;
use super::message::State;
use super::time::Timestamp;

/// Recipients of one job at most.
pub const RECIPIENTS_MAX: usize = 10_000;
/// Recipients that become messages in one commit: about 2 ms of the writer, as a full batch of
/// accepts; what comes meanwhile waits for so long.
pub const CHUNK_MAX: usize = 200;
/// Messages of one job that wait unsent in the lanes at most,
pub const WINDOW_MAX: u64 = 4_000;
/// and how many may at any pace.
pub const WINDOW_MIN: u64 = 2 * CHUNK_MAX as u64;
/// The window is what was sent in about so long: what pausing leaves to be sent.
const WINDOW_SPAN: Duration = Duration::from_secs(2);

/// Where a job stands. The numbers are kept in the store and never change meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JobState {
    /// Waits for its time, or for its turn.
    Scheduled = 0,
    /// Its recipients become messages.
    Processing = 1,
    /// Nothing more becomes a message until it is resumed.
    Paused = 2,
    /// Taken back; what still waits in the lanes is being cancelled.
    Canceling = 3,
    /// Every recipient has been sent to, or has failed.
    Completed = 4,
    /// Nobody could be sent to.
    Failed = 5,
    /// Taken back.
    Canceled = 6,
}

/// What moves a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Its first recipients become messages.
    Begin,
    /// A person stops it for a while.
    Pause,
    /// A person lets it go on.
    Resume,
    /// A person takes it back.
    Cancel,
    /// Nothing of it waits any more.
    Finish {
        /// Somebody was sent to.
        sent: bool,
    },
}

impl Step {
    /// Whether a person who asks for it has it already.
    pub const fn leads_to(self, state: JobState) -> bool {
        match self {
            Self::Pause => matches!(state, JobState::Paused),
            Self::Resume => matches!(state, JobState::Scheduled | JobState::Processing),
            Self::Cancel => matches!(state, JobState::Canceling | JobState::Canceled),
            Self::Begin | Self::Finish { .. } => false,
        }
    }
}

impl JobState {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::Scheduled,
        Self::Processing,
        Self::Paused,
        Self::Canceling,
        Self::Completed,
        Self::Failed,
        Self::Canceled,
    ];

    /// The number kept in the store.
    pub const fn index(self) -> i64 {
        self as i64
    }

    /// The state with this number in the store.
    pub fn from_index(index: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.index() == index)
    }

    /// The name in the API; a job whose time has come and that waits for its turn is queued.
    pub fn name(self, due_at: Timestamp, now: Timestamp) -> &'static str {
        match self {
            Self::Scheduled if due_at <= now => "queued",
            Self::Scheduled => "scheduled",
            Self::Processing => "processing",
            Self::Paused => "paused",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Canceling | Self::Canceled => "canceled",
        }
    }

    /// Whether nothing will change any more.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Canceled)
    }

    /// Where a step leads; `None`: it is not to be taken from here. `begun`: recipients have become
    /// messages. A step to where the job stands already is none.
    pub const fn after(self, step: Step, begun: bool) -> Option<Self> {
        match (self, step) {
            (Self::Scheduled, Step::Begin) => Some(Self::Processing),
            (Self::Scheduled | Self::Processing, Step::Pause) => Some(Self::Paused),
            (Self::Paused, Step::Resume) if begun => Some(Self::Processing),
            (Self::Paused, Step::Resume) => Some(Self::Scheduled),
            (Self::Scheduled | Self::Processing | Self::Paused, Step::Cancel) => {
                Some(Self::Canceling)
            }
            (Self::Scheduled | Self::Processing, Step::Finish { sent: true }) => {
                Some(Self::Completed)
            }
            (Self::Scheduled | Self::Processing, Step::Finish { sent: false }) => {
                Some(Self::Failed)
            }
            (Self::Canceling, Step::Finish { .. }) => Some(Self::Canceled),
            (
                Self::Scheduled
                | Self::Processing
                | Self::Paused
                | Self::Canceling
                | Self::Completed
                | Self::Failed
                | Self::Canceled,
                Step::Begin | Step::Pause | Step::Resume | Step::Cancel | Step::Finish { .. },
            ) => None,
        }
    }
}

/// What has become of recipients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All of them.
    pub total: u64,
    /// No message yet.
    pub pending: u64,
    /// A message that no carrier has taken yet, those in doubt included.
    pub queued: u64,
    /// A carrier has taken it, whatever came of it.
    pub sent: u64,
    /// The handset has it.
    pub delivered: u64,
    /// It failed, before or after a carrier took it; or there was no sending to this recipient.
    pub failed: u64,
    /// Taken back.
    pub canceled: u64,
    /// What carriers' takings have cost.
    pub cost: Credits,
}

impl Counts {
    /// Adds messages that stand alike.
    pub fn add(&mut self, state: State, sent: bool, number: u64, cost: Credits) {
        let sent = sent || matches!(state, State::Submitted | State::Delivered);
        if sent {
            self.sent += number;
            self.cost += cost;
        }
        match state {
            State::Scheduled | State::Queued | State::Uncertain if !sent => self.queued += number,
            State::Scheduled | State::Queued | State::Uncertain | State::Submitted => {}
            State::Delivered => self.delivered += number,
            State::Undelivered
            | State::Rejected
            | State::Expired
            | State::Unknown
            | State::Failed => self.failed += number,
            State::Cancelled => self.canceled += number,
        }
    }

    /// How many wait for something that we do.
    pub const fn open(&self) -> u64 {
        self.pending + self.queued
    }

    /// How much of the work is done, 0 to 100 with one decimal.
    pub fn percent(&self) -> f64 {
        if self.total == 0 {
            return 100.0;
        }
        let done = self.total.saturating_sub(self.open());
        // At most 10,000 recipients: exact.
        (done * 1000 / self.total) as f64 / 10.0
    }
}

/// How many messages of a job may wait unsent, by how many of it were sent lately.
pub fn window(sent: u64, span: Duration) -> u64 {
    let span = span.as_millis().max(1);
    let pace = u128::from(sent) * WINDOW_SPAN.as_millis() / span;
    u64::try_from(pace)
        .unwrap_or(WINDOW_MAX)
        .clamp(WINDOW_MIN, WINDOW_MAX)
}

/// Recipients that become messages at once, of a job that may send so many a second; 0 = any number.
/// Never more than a second's: a slow job is nothing but small chunks.
pub fn chunk_size(rate_limit: u32) -> usize {
    match rate_limit {
        0 => CHUNK_MAX,
        rate => (rate as usize).min(CHUNK_MAX),
    }
}

/// Why nothing is sent to a recipient. The numbers are kept in the store and never change meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// It is no number, or none that the plan can place.
    Number = 0,
    /// No account serves its network.
    Unroutable = 1,
    /// No account to it takes this sender.
    Sender = 2,
    /// Its text is too long.
    TooLong = 3,
    /// Its text is empty, or none that can be sent.
    Text = 4,
    /// A field has neither a value nor a default.
    Missing = 5,
    /// The job names the same number before.
    Duplicate = 6,
    /// Its number was erased before its turn came.
    Erased = 7,
}

impl Why {
    /// All of them, by their numbers.
    pub const ALL: [Self; 8] = [
        Self::Number,
        Self::Unroutable,
        Self::Sender,
        Self::TooLong,
        Self::Text,
        Self::Missing,
        Self::Duplicate,
        Self::Erased,
    ];

    /// The code in the API.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Number => "invalid_number",
            Self::Unroutable => "unroutable_number",
            Self::Sender => "sender_invalid",
            Self::TooLong => "message_too_long",
            Self::Text => "unprocessable",
            Self::Missing => "template_variable_missing",
            Self::Duplicate => "duplicate",
            Self::Erased => "erased",
        }
    }

    /// The sentence for people.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Number => "This is no number that messages can be sent to.",
            Self::Unroutable => "No carrier account serves this number's network.",
            Self::Sender => "No carrier account to this number takes this sender.",
            Self::TooLong => "The text for this recipient needs too many segments.",
            Self::Text => "The text for this recipient is empty or cannot be sent.",
            Self::Missing => "A placeholder has neither a value for this recipient nor a default.",
            Self::Duplicate => "The job names the same number before.",
            Self::Erased => "The number was erased before its turn came; nothing is sent to it.",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_numbers_round_trip() {
        for state in JobState::ALL {
            assert_eq!(JobState::from_index(state.index()), Some(state));
        }
        for (index, why) in Why::ALL.into_iter().enumerate() {
            assert_eq!(why as usize, index);
        }
    }

    #[test]
    fn no_chunk_is_more_than_a_second_of_its_job() {
        let sizes = [(0, 200), (1, 1), (3, 3), (200, 200), (1_000, 200)];
        for (rate, size) in sizes {
            assert_eq!(chunk_size(rate), size, "{rate}");
        }
    }

    #[test]
    fn only_legal_steps_are_taken() {
        use JobState::*;
        let sent = Step::Finish { sent: true };
        let steps = [Step::Begin, Step::Pause, Step::Resume, Step::Cancel, sent];
        let table = [
            (
                Scheduled,
                [
                    Some(Processing),
                    Some(Paused),
                    None,
                    Some(Canceling),
                    Some(Completed),
                ],
            ),
            (
                Processing,
                [None, Some(Paused), None, Some(Canceling), Some(Completed)],
            ),
            (
                Paused,
                [None, None, Some(Processing), Some(Canceling), None],
            ),
            (Canceling, [None, None, None, None, Some(Canceled)]),
            (Completed, [None; 5]),
            (Failed, [None; 5]),
            (Canceled, [None; 5]),
        ];
        for (state, expected) in table {
            assert_eq!(
                steps.map(|step| state.after(step, true)),
                expected,
                "{state:?}"
            );
        }
        assert_eq!(Paused.after(Step::Resume, false), Some(Scheduled));
        assert_eq!(
            Processing.after(Step::Finish { sent: false }, true),
            Some(Failed)
        );
    }

    #[test]
    fn a_job_is_queued_from_its_time_on() {
        let (now, later) = (Timestamp(5), Timestamp(6));
        assert_eq!(JobState::Scheduled.name(later, now), "scheduled");
        assert_eq!(JobState::Scheduled.name(now, now), "queued");
    }

    #[test]
    fn counts_say_what_was_sent_and_what_it_cost() {
        let one = Credits::whole(1);
        let mut counts = Counts {
            total: 10,
            pending: 2,
            failed: 1,
            ..Counts::default()
        };
        counts.add(State::Queued, false, 1, one);
        counts.add(State::Submitted, true, 2, one.times(2));
        counts.add(State::Delivered, true, 1, one);
        counts.add(State::Undelivered, true, 1, one);
        counts.add(State::Failed, false, 1, one);
        counts.add(State::Cancelled, false, 1, one);
        let found = (
            counts.sent,
            counts.delivered,
            counts.failed,
            counts.canceled,
        );
        assert_eq!(found, (4, 1, 3, 1));
        assert_eq!((counts.open(), counts.cost), (3, one.times(4)));
        assert!((counts.percent() - 70.0).abs() < f64::EPSILON);
    }

    #[test]
    fn the_window_follows_the_pace_within_its_bounds() {
        let second = Duration::from_secs(1);
        assert_eq!(window(0, second), WINDOW_MIN);
        assert_eq!(window(1_000, second), 2_000);
        assert_eq!(window(1_000, Duration::ZERO), WINDOW_MAX);
    }
}
