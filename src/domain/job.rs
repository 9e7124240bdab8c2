//! Lives here: bulk jobs: the states they move through, what has become of their recipients, how many
//! of them may wait in the lanes, and the form in which recipients are kept until their turn comes.
//! Pure.
//! Never here: rows, tasks, what a message costs.

use std::time::Duration;

use super::credits::Credits;
use super::message::State;
use super::phone::Msisdn;
use super::time::Timestamp;

/// Recipients of one job at most.
pub const RECIPIENTS_MAX: usize = 10_000;
/// Recipients that become messages in one commit: about 2 ms of the writer, as a full batch of
/// accepts; what comes meanwhile waits for so long.
pub const CHUNK_MAX: usize = 200;
/// And at least, where a slow job would be nothing but chunks.
const CHUNK_MIN: usize = 50;
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
pub fn chunk_size(rate_limit: u32) -> usize {
    match rate_limit {
        0 => CHUNK_MAX,
        rate => (rate as usize).clamp(CHUNK_MIN, CHUNK_MAX),
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

/// A recipient as kept in a chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// To be sent to.
    Waits(Waits<'a>),
    /// Has a message: those of a chunk follow one another in this order.
    Sent,
    /// Is not sent to.
    Refused {
        /// The number as typed, at most [`TYPED_MAX`] octets of it.
        to: &'a str,
        /// Why.
        why: Why,
    },
}

/// A recipient that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waits<'a> {
    /// Who.
    pub to: Msisdn,
    /// What is held for it.
    pub cost: Credits,
    /// The client's own name for the message.
    pub client_ref: Option<&'a str>,
    /// The template's fields, in its order.
    pub values: Vec<Option<&'a str>>,
}

/// Octets that are kept of what was typed for a number that is none.
pub const TYPED_MAX: usize = 64;

const WAITS: u8 = 0;
const SENT: u8 = 1;
const REFUSED: u8 = 2;

/// Adds a recipient to a chunk.
pub fn pack(entry: &Entry<'_>, chunk: &mut Vec<u8>) {
    match entry {
        Entry::Waits(waits) => {
            chunk.push(WAITS);
            text(waits.to.digits(), chunk);
            number(waits.cost.0.cast_unsigned(), chunk);
            optional(waits.client_ref, chunk);
            number(waits.values.len() as u64, chunk);
            for value in &waits.values {
                optional(*value, chunk);
            }
        }
        Entry::Sent => chunk.push(SENT),
        Entry::Refused { to, why } => {
            chunk.extend([REFUSED, *why as u8]);
            text(&to[..to.floor_char_boundary(TYPED_MAX)], chunk);
        }
    }
}

/// Reads a chunk's recipients, in their order; `None`: it is not one that [`pack`] has written.
pub fn unpack(mut chunk: &[u8]) -> Option<Vec<Entry<'_>>> {
    let mut entries = Vec::with_capacity(CHUNK_MAX);
    while let Some((kind, rest)) = chunk.split_first() {
        chunk = rest;
        entries.push(match *kind {
            WAITS => {
                let to = Msisdn::from_digits(read_text(&mut chunk)?).ok()?;
                let cost = Credits(read_number(&mut chunk)?.cast_signed());
                let client_ref = read_optional(&mut chunk)?;
                let fields = read_number(&mut chunk)?;
                let values = (0..fields).map(|_| read_optional(&mut chunk));
                Entry::Waits(Waits {
                    to,
                    cost,
                    client_ref,
                    values: values.collect::<Option<_>>()?,
                })
            }
            SENT => Entry::Sent,
            REFUSED => {
                let (why, rest) = chunk.split_first()?;
                chunk = rest;
                Entry::Refused {
                    why: *Why::ALL.get(usize::from(*why))?,
                    to: read_text(&mut chunk)?,
                }
            }
            _ => return None,
        });
    }
    Some(entries)
}

/// A chunk from which a number has been erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Without {
    /// What is left to be kept.
    pub body: Vec<u8>,
    /// Recipients that had the number.
    pub recipients: u32,
    /// Those of them that waited: nothing is sent to them.
    pub refused: u32,
    /// What was held for these.
    pub cost: Credits,
}

/// Takes a number out of a chunk, with what was to be said to it; `None`: it is not a chunk.
pub fn without(chunk: &[u8], number: &Msisdn) -> Option<Without> {
    let mut left = Without {
        body: Vec::with_capacity(chunk.len()),
        recipients: 0,
        refused: 0,
        cost: Credits::ZERO,
    };
    let erased = Msisdn::ERASED.to_string();
    for entry in unpack(chunk)? {
        let entry = match entry {
            Entry::Waits(waits) if waits.to == *number => {
                left.refused += 1;
                left.cost += waits.cost;
                let why = Why::Erased;
                Entry::Refused { to: &erased, why }
            }
            Entry::Refused { to, why } if number.is_in(to) => Entry::Refused { to: &erased, why },
            other @ (Entry::Waits(_) | Entry::Sent | Entry::Refused { .. }) => {
                pack(&other, &mut left.body);
                continue;
            }
        };
        left.recipients += 1;
        pack(&entry, &mut left.body);
    }
    Some(left)
}

/// Seven bits an octet, the lowest first.
fn number(mut value: u64, chunk: &mut Vec<u8>) {
    while value >= 0x80 {
        chunk.push(value as u8 | 0x80);
        value >>= 7;
    }
    chunk.push(value as u8);
}

fn text(text: &str, chunk: &mut Vec<u8>) {
    number(text.len() as u64, chunk);
    chunk.extend(text.as_bytes());
}

/// Its length and one, or nought.
fn optional(value: Option<&str>, chunk: &mut Vec<u8>) {
    number(value.map_or(0, |value| value.len() as u64 + 1), chunk);
    chunk.extend(value.unwrap_or_default().as_bytes());
}

fn read_number(chunk: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (octet, rest) = chunk.split_first()?;
        *chunk = rest;
        value |= u64::from(octet & 0x7f) << shift;
        if octet & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn take<'a>(chunk: &mut &'a [u8], length: u64) -> Option<&'a str> {
    let (text, rest) = chunk.split_at_checked(usize::try_from(length).ok()?)?;
    *chunk = rest;
    std::str::from_utf8(text).ok()
}

fn read_text<'a>(chunk: &mut &'a [u8]) -> Option<&'a str> {
    let length = read_number(chunk)?;
    take(chunk, length)
}

fn read_optional<'a>(chunk: &mut &'a [u8]) -> Option<Option<&'a str>> {
    match read_number(chunk)? {
        0 => Some(None),
        length => take(chunk, length - 1).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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

    fn entries<'a>(texts: &'a [(String, Option<String>)]) -> Vec<Entry<'a>> {
        let entry = |(index, (to, value)): (usize, &'a (String, Option<String>))| match index % 3 {
            0 => Entry::Sent,
            1 => Entry::Refused {
                to,
                why: Why::ALL[index % Why::ALL.len()],
            },
            _ => Entry::Waits(Waits {
                to: Msisdn::from_digits("255712345678").unwrap(),
                cost: Credits(index as i64 * 1_000_000),
                client_ref: value.as_deref().filter(|_| index % 2 == 0),
                values: vec![value.as_deref(), Some(to), None],
            }),
        };
        texts.iter().enumerate().map(entry).collect()
    }

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked_as_it_was(
            texts in proptest::collection::vec((".{0,16}", proptest::option::of(".{0,200}")), 0..12)
        ) {
            let entries = entries(&texts);
            let mut chunk = Vec::new();
            entries.iter().for_each(|entry| pack(entry, &mut chunk));
            prop_assert_eq!(unpack(&chunk), Some(entries));
        }

        #[test]
        fn other_octets_are_no_chunk_or_one_but_never_a_panic(
            octets in proptest::collection::vec(any::<u8>(), 0..64)
        ) {
            unpack(&octets);
        }
    }

    #[test]
    fn a_number_is_taken_out_of_a_chunk_and_nobody_else() {
        let waits = |to: &str, value: &'static str| {
            Entry::Waits(Waits {
                to: Msisdn::from_digits(to).unwrap(),
                cost: Credits(7),
                client_ref: Some("r"),
                values: vec![Some(value)],
            })
        };
        let refused = |to, why| Entry::Refused { to, why };
        let entries = [
            Entry::Sent,
            waits("255712345678", "a"),
            waits("255712345679", "b"),
            refused("0712 345 678", Why::Unroutable),
            refused("0712 345 679", Why::Unroutable),
        ];
        let mut chunk = Vec::new();
        entries.iter().for_each(|entry| pack(entry, &mut chunk));
        let number = Msisdn::from_digits("255712345678").unwrap();
        let left = without(&chunk, &number).unwrap();
        let [sent, _, other, _, typed] = entries;
        let expected = [
            sent,
            refused("[erased]", Why::Erased),
            other,
            refused("[erased]", Why::Unroutable),
            typed,
        ];
        assert_eq!(unpack(&left.body).unwrap(), expected);
        assert_eq!(
            (left.recipients, left.refused, left.cost),
            (2, 1, Credits(7))
        );
        let again = without(&left.body, &number).unwrap();
        assert_eq!((again.recipients, again.body), (0, left.body));
        assert_eq!(without(b"\x09", &number), None);
    }

    #[test]
    fn what_was_typed_is_kept_in_bounds() {
        let (long, mut chunk) = ("é".repeat(200), Vec::new());
        pack(
            &Entry::Refused {
                to: &long,
                why: Why::Number,
            },
            &mut chunk,
        );
        let entries = unpack(&chunk).unwrap();
        let [Entry::Refused { to, .. }] = entries[..] else {
            panic!("{entries:?}")
        };
        assert_eq!(to, "é".repeat(TYPED_MAX / 2));
    }
}
