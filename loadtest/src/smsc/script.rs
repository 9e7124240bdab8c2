//! Lives here: what a simulated carrier is told to do, as data that a scenario file or a test can write and change
//! while it runs. Never here: sockets, or the state of one connection.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use mnara_smpp::{receipt::ReceiptState, status::CommandStatus};
use rand::{Rng, RngExt};
use serde::Deserialize;

/// Everything that may change while the simulator runs. The default takes every message at once and sends a DELIVRD
/// receipt at once when one is asked for.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    /// Time between a submit_sm and its answer.
    pub response_delay_ms: Span,
    /// The first rule that matches decides; without a match the message is accepted.
    pub rules: Vec<Rule>,
    /// Receipts of accepted messages.
    pub receipts: Receipts,
    /// Above this many segments per second over all binds: `throttle_status`.
    pub throttle_per_s: Option<u32>,
    /// Count the rate in fixed windows of this length, as simple carriers do; otherwise a bucket fills steadily.
    pub throttle_window_ms: Option<u32>,
    /// What the bucket holds, as time at the full rate; 100.
    pub throttle_burst_ms: Option<u32>,
    /// What the throttle answers; ESME_RTHROTTLED.
    pub throttle_status: Option<u32>,
    /// Whether the carrier is there at all.
    pub presence: Presence,
    /// Answer every bind with this command_status instead of accepting it.
    pub refuse_binds: Option<u32>,
}

/// Whether the carrier is there. A change holds at once, for every connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// It works; what hung goes on.
    #[default]
    Up,
    /// TCP lives, nobody reads or answers; new connections are taken and hang as well.
    Hung,
    /// Nobody listens and all connections are cut. It comes back on the same port.
    Down,
}

/// A fixed time (`20`) or a uniform range (`[10, 50]`), in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "SpanText")]
pub struct Span {
    /// Shortest, in milliseconds.
    pub min_ms: u64,
    /// Longest, in milliseconds.
    pub max_ms: u64,
}

/// How receipts are sent.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Receipts {
    /// Time between accepting the message and its receipt.
    pub delay_ms: Span,
    /// Final states with their weights; empty means that no receipt is sent at all.
    pub mix: Vec<Weighted>,
    /// Send the receipt before the submit_sm_resp, as some carriers do under load.
    pub before_response: bool,
    /// Send every receipt twice.
    pub duplicate: bool,
    /// States told before the final one, evenly over `delay_ms`, asked for or not.
    pub intermediate: Vec<Stat>,
    /// Some time after the final state, tell the opposite.
    pub contradict: bool,
    /// Chance from 0 to 1 that a message brings another receipt, for an id that no response ever had.
    pub stray: f64,
    /// Where id and state stand.
    pub form: ReceiptForm,
}

/// One entry of the state mix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weighted {
    /// The state reported.
    pub stat: Stat,
    /// Its share, relative to the sum of all weights.
    pub weight: u32,
}

/// The `stat:` of a receipt, SMPP 3.4 appendix B.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Stat {
    /// message_state 2.
    Delivrd,
    /// message_state 3.
    Expired,
    /// message_state 4.
    Deleted,
    /// message_state 5.
    Undeliv,
    /// message_state 6, not final.
    Acceptd,
    /// message_state 7.
    Unknown,
    /// message_state 8.
    Rejectd,
    /// message_state 1, not final.
    Enroute,
}

/// Where a receipt carries id and state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptForm {
    /// Only in the text of short_message.
    #[default]
    Text,
    /// Only in receipted_message_id, message_state and network_error_code.
    Tlv,
    /// In both.
    Both,
}

/// A condition and what to do when it holds.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// All conditions that are set must hold; none set matches everything.
    #[serde(default)]
    pub when: When,
    /// What to do.
    pub then: Then,
}

/// Conditions on a submit_sm.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct When {
    /// destination_addr begins with this (no plus).
    pub dest_prefix: Option<String>,
    /// destination_addr ends with this.
    pub dest_suffix: Option<String>,
    /// source_addr is exactly this.
    pub sender: Option<String>,
    /// The decoded text contains this.
    pub text_contains: Option<String>,
    /// Every n-th message for which the other conditions hold, counted over all binds: 3 takes the 3rd, 6th, …
    pub every_nth: Option<u64>,
    /// Only the first n messages for which the other conditions hold.
    pub first: Option<u64>,
    /// Chance from 0 to 1, drawn from the simulator's seeded generator.
    pub probability: Option<f64>,
}

/// What a matching rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    /// Accept, as without a rule; shields the message from the rules below.
    Accept,
    /// Answer with this command_status.
    Status(u32),
    /// Accept, with this state in the receipt whatever the mix says.
    Receipt(Stat),
    /// Accept, and never send a receipt.
    NoReceipt,
    /// Take it and never answer.
    Drop,
    /// Cut the connection.
    Disconnect,
    /// Stop reading and answering on this connection, and keep it open.
    HalfOpen,
}

/// What a rule may look at; made only when there are rules.
pub(super) struct Subject<'a> {
    pub(super) source: &'a [u8],
    pub(super) dest: &'a [u8],
    pub(super) data_coding: u8,
    pub(super) text: &'a [u8],
}

/// A script with the counters of its rules, shared by all connections.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) script: Script,
    matches: Vec<AtomicU64>,
    weight: u32,
}

impl Script {
    /// A script that takes everything and never sends a receipt.
    pub fn without_receipts() -> Self {
        Self {
            receipts: Receipts {
                mix: Vec::new(),
                ..Receipts::default()
            },
            ..Self::default()
        }
    }
}

impl Default for Receipts {
    fn default() -> Self {
        Self {
            delay_ms: Span::default(),
            mix: vec![Weighted {
                stat: Stat::Delivrd,
                weight: 1,
            }],
            before_response: false,
            duplicate: false,
            intermediate: Vec::new(),
            contradict: false,
            stray: 0.0,
            form: ReceiptForm::Text,
        }
    }
}

impl Span {
    /// Always `ms` milliseconds.
    pub const fn fixed(ms: u64) -> Self {
        Self {
            min_ms: ms,
            max_ms: ms,
        }
    }

    /// Uniform between the two, both included.
    pub const fn between(min_ms: u64, max_ms: u64) -> Self {
        Self { min_ms, max_ms }
    }

    pub(super) fn draw(self, rng: &mut impl Rng) -> Duration {
        let ms = if self.max_ms > self.min_ms {
            rng.random_range(self.min_ms..=self.max_ms)
        } else {
            self.min_ms
        };
        Duration::from_millis(ms)
    }
}

impl Rule {
    /// `then` for every message.
    pub fn always(then: Then) -> Self {
        Self {
            when: When::default(),
            then,
        }
    }

    /// `then` under `when`.
    pub fn when(when: When, then: Then) -> Self {
        Self { when, then }
    }
}

impl Then {
    /// Answer with `status`.
    pub fn status(status: CommandStatus) -> Self {
        Self::Status(status.0)
    }
}

impl Stat {
    /// The state as the protocol has it.
    pub const fn state(self) -> ReceiptState {
        match self {
            Self::Enroute => ReceiptState::Enroute,
            Self::Delivrd => ReceiptState::Delivered,
            Self::Expired => ReceiptState::Expired,
            Self::Deleted => ReceiptState::Deleted,
            Self::Undeliv => ReceiptState::Undeliverable,
            Self::Acceptd => ReceiptState::Accepted,
            Self::Unknown => ReceiptState::Unknown,
            Self::Rejectd => ReceiptState::Rejected,
        }
    }

    /// What a carrier that contradicts itself tells afterwards.
    pub(super) const fn opposite(self) -> Self {
        match self {
            Self::Delivrd => Self::Undeliv,
            Self::Expired
            | Self::Deleted
            | Self::Undeliv
            | Self::Acceptd
            | Self::Unknown
            | Self::Rejectd
            | Self::Enroute => Self::Delivrd,
        }
    }

    /// A plausible `err:` for the state: 0 unless the message failed.
    pub const fn error(self) -> u16 {
        match self {
            Self::Delivrd | Self::Acceptd | Self::Enroute => 0,
            Self::Undeliv => 1,
            Self::Expired => 27,
            Self::Deleted => 5,
            Self::Unknown => 255,
            Self::Rejectd => 8,
        }
    }
}

impl Live {
    pub(super) fn new(script: Script) -> Self {
        let matches = script.rules.iter().map(|_| AtomicU64::new(0)).collect();
        let weight = script
            .receipts
            .mix
            .iter()
            .map(|entry| entry.weight)
            .fold(0, u32::saturating_add);
        Self {
            script,
            matches,
            weight,
        }
    }

    /// The first rule that holds for `subject`, or `Accept`.
    pub(super) fn decide(&self, subject: &Subject<'_>, rng: &mut impl Rng) -> Then {
        let found = self
            .script
            .rules
            .iter()
            .zip(&self.matches)
            .find(|(rule, matches)| holds(&rule.when, matches, subject, rng));
        found.map_or(Then::Accept, |(rule, _)| rule.then)
    }

    /// The state the next receipt reports; `None` when the mix is empty.
    pub(super) fn draw_stat(&self, rng: &mut impl Rng) -> Option<Stat> {
        let mix = &self.script.receipts.mix;
        if mix.len() <= 1 || self.weight == 0 {
            return mix
                .first()
                .filter(|entry| entry.weight > 0)
                .map(|entry| entry.stat);
        }
        let mut draw = rng.random_range(0..self.weight);
        mix.iter()
            .find(|entry| match draw.checked_sub(entry.weight) {
                Some(rest) => {
                    draw = rest;
                    false
                }
                None => true,
            })
            .map(|entry| entry.stat)
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum SpanText {
    Fixed(u64),
    Between([u64; 2]),
}

impl From<SpanText> for Span {
    fn from(text: SpanText) -> Self {
        match text {
            SpanText::Fixed(ms) => Self::fixed(ms),
            SpanText::Between([min, max]) => Self::between(min, max),
        }
    }
}

fn holds(when: &When, matches: &AtomicU64, subject: &Subject<'_>, rng: &mut impl Rng) -> bool {
    let prefix = when
        .dest_prefix
        .as_ref()
        .is_none_or(|prefix| subject.dest.starts_with(prefix.as_bytes()));
    let suffix = when
        .dest_suffix
        .as_ref()
        .is_none_or(|suffix| subject.dest.ends_with(suffix.as_bytes()));
    let sender = when
        .sender
        .as_ref()
        .is_none_or(|sender| subject.source == sender.as_bytes());
    if !(prefix && suffix && sender) {
        return false;
    }
    if let Some(part) = &when.text_contains
        && !super::decode_text(subject.data_coding, subject.text).contains(part.as_str())
    {
        return false;
    }
    if when.every_nth.is_some() || when.first.is_some() {
        let number = matches.fetch_add(1, Ordering::Relaxed) + 1;
        let nth = when
            .every_nth
            .is_none_or(|n| n > 0 && number.is_multiple_of(n));
        let first = when.first.is_none_or(|n| number <= n);
        if !(nth && first) {
            return false;
        }
    }
    when.probability
        .is_none_or(|chance| rng.random_bool(chance.clamp(0.0, 1.0)))
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    fn subject<'a>(dest: &'a str, text: &'a str) -> Subject<'a> {
        Subject {
            source: b"MNARA",
            dest: dest.as_bytes(),
            data_coding: 0,
            text: text.as_bytes(),
        }
    }

    #[test]
    fn the_first_matching_rule_decides() {
        let vodacom = When {
            dest_prefix: Some("25575".into()),
            ..When::default()
        };
        let live = Live::new(Script {
            rules: vec![
                Rule::when(vodacom, Then::Status(0x0B)),
                Rule::always(Then::Drop),
            ],
            ..Script::default()
        });
        let mut rng = StdRng::seed_from_u64(1);
        assert_eq!(
            live.decide(&subject("255750000001", "x"), &mut rng),
            Then::Status(0x0B)
        );
        assert_eq!(
            live.decide(&subject("255620000001", "x"), &mut rng),
            Then::Drop
        );
    }

    #[test]
    fn every_nth_counts_only_messages_that_fit_the_other_conditions() {
        let when = When {
            text_contains: Some("code".into()),
            every_nth: Some(2),
            ..When::default()
        };
        let live = Live::new(Script {
            rules: vec![Rule::when(when, Then::Drop)],
            ..Script::default()
        });
        let mut rng = StdRng::seed_from_u64(1);
        let texts = ["code 1", "hello", "code 2", "hello", "code 3", "code 4"];
        let dropped: Vec<_> = texts
            .iter()
            .filter(|text| live.decide(&subject("1", text), &mut rng) == Then::Drop)
            .collect();
        assert_eq!(dropped, vec![&"code 2", &"code 4"]);
    }

    #[test]
    fn the_same_seed_draws_the_same_fates() {
        let when = When {
            probability: Some(0.3),
            ..When::default()
        };
        let script = Script {
            rules: vec![Rule::when(when, Then::Drop)],
            ..Script::default()
        };
        let run = || {
            let (live, mut rng) = (Live::new(script.clone()), StdRng::seed_from_u64(9));
            (0..1000)
                .map(|_| live.decide(&subject("1", "x"), &mut rng) == Then::Drop)
                .collect::<Vec<_>>()
        };
        let drops = run().into_iter().filter(|dropped| *dropped).count();
        assert_eq!(run(), run());
        assert!((230..370).contains(&drops), "{drops}");
    }

    #[test]
    fn the_state_mix_follows_its_weights_and_an_empty_mix_sends_nothing() {
        let mix = vec![
            Weighted {
                stat: Stat::Delivrd,
                weight: 3,
            },
            Weighted {
                stat: Stat::Undeliv,
                weight: 1,
            },
        ];
        let live = Live::new(Script {
            receipts: Receipts {
                mix,
                ..Receipts::default()
            },
            ..Script::default()
        });
        let mut rng = StdRng::seed_from_u64(5);
        let failed = (0..4000)
            .filter(|_| live.draw_stat(&mut rng) == Some(Stat::Undeliv))
            .count();
        assert!((850..1150).contains(&failed), "{failed}");
        assert_eq!(
            Live::new(Script::without_receipts()).draw_stat(&mut rng),
            None
        );
    }

    #[test]
    fn a_scenario_file_is_read_and_an_unknown_key_is_refused() {
        let script: Script = toml::from_str(
            r#"
            response_delay_ms = [5, 20]
            throttle_per_s = 100
            throttle_window_ms = 1000
            presence = "hung"
            [receipts]
            delay_ms = 500
            intermediate = ["ENROUTE", "ACCEPTD"]
            contradict = true
            stray = 0.5
            mix = [{ stat = "DELIVRD", weight = 9 }, { stat = "UNDELIV", weight = 1 }]
            form = "both"
            [[rules]]
            when = { dest_prefix = "25575", every_nth = 10 }
            then = { status = 0x58 }
            [[rules]]
            when = { text_contains = "lost" }
            then = "drop"
            "#,
        )
        .unwrap();
        assert_eq!(script.response_delay_ms, Span::between(5, 20));
        assert_eq!(script.receipts.delay_ms, Span::fixed(500));
        assert_eq!(
            (script.throttle_window_ms, script.presence),
            (Some(1000), Presence::Hung)
        );
        assert_eq!(
            script.receipts.intermediate,
            vec![Stat::Enroute, Stat::Acceptd]
        );
        assert_eq!(
            (script.rules[0].then, script.rules[1].then),
            (Then::Status(0x58), Then::Drop)
        );
        assert!(toml::from_str::<Script>("delay = 1").is_err());
    }
}
