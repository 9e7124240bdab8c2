//! Lives here: one rule of the plan: what it matches, where it sends.
//! Never here: in which order its targets come (`rank`), how a rule is written in a file
//! (`config`).

use std::fmt;

use super::Ask;
use crate::domain::class::ClassSet;
use crate::domain::ids::{CarrierIndex, OrgId};
use crate::domain::numbering::Place;

/// How a rule puts its targets in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// As listed.
    Priority,
    /// Each recipient has its own order; first places are shared out by weight.
    Weighted,
    /// The cheaper first; equal ones as listed.
    LeastCost,
    /// By what is known of delivery, latency and cost.
    Predictive,
}

impl Strategy {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Priority,
        Self::Weighted,
        Self::LeastCost,
        Self::Predictive,
    ];

    /// The name in the configuration and in explanations.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Priority => "priority",
            Self::Weighted => "weighted",
            Self::LeastCost => "least_cost",
            Self::Predictive => "predictive",
        }
    }

    /// Reads a name as the configuration spells it.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|strategy| strategy.name() == name)
    }
}

/// One account that a rule may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The account.
    pub carrier: CarrierIndex,
    /// Its share under [`Strategy::Weighted`]; 0 = only when no other can be used.
    pub weight: u32,
    /// Micro-units of money a segment; `None` = not known.
    pub cost: Option<u64>,
}

/// A sender, or how senders begin; without regard to ASCII case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SenderPattern {
    text: Box<str>,
    prefix: bool,
}

impl SenderPattern {
    /// Reads `NAME` or `NAME*`; `None` for an empty text or a star elsewhere.
    pub fn parse(text: &str) -> Option<Self> {
        let (text, prefix) = match text.strip_suffix('*') {
            Some(start) => (start, true),
            None => (text, false),
        };
        // A number's plus is not part of a sender, whichever way it was typed.
        let text = text.strip_prefix('+').unwrap_or(text);
        (!text.is_empty() && !text.contains('*')).then(|| Self {
            text: text.into(),
            prefix,
        })
    }

    /// Whether the sender is meant.
    pub fn matches(&self, sender: &str) -> bool {
        let (ours, theirs) = (self.text.as_bytes(), sender.as_bytes());
        match self.prefix {
            true => theirs
                .get(..ours.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(ours)),
            false => theirs.eq_ignore_ascii_case(ours),
        }
    }

    /// Whether every sender of the other is one of this.
    fn covers(&self, other: &Self) -> bool {
        self.matches(&other.text) && (self.prefix || !other.prefix)
    }
}

impl fmt::Display for SenderPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = if self.prefix { "*" } else { "" };
        write!(f, "{}{star}", self.text)
    }
}

/// What a rule is for; `None` = any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// Index of the number's country.
    pub country: Option<usize>,
    /// Index of the number's network.
    pub network: Option<usize>,
    /// The classes.
    pub classes: ClassSet,
    /// The sender.
    pub sender: Option<SenderPattern>,
    /// Whose message.
    pub org: Option<OrgId>,
}

impl Match {
    /// Whether the rule is for this.
    pub(super) fn fits(&self, ask: &Ask<'_>, place: &Place) -> bool {
        self.classes.contains(ask.class)
            && self.country.is_none_or(|country| country == place.country)
            && (self.network.is_none() || self.network == place.network)
            && self.org.is_none_or(|org| org == ask.org)
            && self
                .sender
                .as_ref()
                .is_none_or(|sender| sender.matches(ask.from.as_str()))
    }

    /// Whether whatever the other matches is matched by this too. `country_of` says of which
    /// country a network is.
    pub fn covers(&self, other: &Self, country_of: impl Fn(usize) -> usize) -> bool {
        let country = other.country.or_else(|| other.network.map(country_of));
        self.classes.union(other.classes) == self.classes
            && (self.country.is_none() || self.country == country)
            && (self.network.is_none() || self.network == other.network)
            && (self.org.is_none() || self.org == other.org)
            && match (&self.sender, &other.sender) {
                (None, _) => true,
                (Some(_), None) => false,
                (Some(ours), Some(theirs)) => ours.covers(theirs),
            }
    }
}

/// One rule: the first that matches decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name, unique in the plan, 1 to 64 characters.
    pub name: Box<str>,
    /// What it is for.
    pub matches: Match,
    /// How its targets are put in order.
    pub strategy: Strategy,
    /// Its targets, at least one, no account twice.
    pub targets: Vec<Target>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> SenderPattern {
        SenderPattern::parse(text).unwrap()
    }

    #[test]
    fn a_sender_is_matched_whole_or_by_its_beginning() {
        let table = [
            ("BANK", "BANK", true),
            ("BANK", "bank", true),
            ("BANK", "BANKX", false),
            ("BANK*", "BankOfX", true),
            ("BANK*", "BAN", false),
            ("+2557*", "255712345678", true),
        ];
        for (text, sender, expected) in table {
            assert_eq!(pattern(text).matches(sender), expected, "{text} {sender}");
        }
        for wrong in ["", "*", "A*B", "A**"] {
            assert!(SenderPattern::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_rule_covers_what_is_narrower_and_nothing_else() {
        let any = Match {
            country: None,
            network: None,
            classes: ClassSet::ALL,
            sender: None,
            org: None,
        };
        let country = Match {
            country: Some(1),
            ..any.clone()
        };
        let network = Match {
            network: Some(7),
            ..any.clone()
        };
        let bank = |text: &str| Match {
            sender: Some(pattern(text)),
            ..any.clone()
        };
        let of = |_| 1;
        assert!(any.covers(&country, of) && !country.covers(&any, of));
        assert!(country.covers(&network, of) && !network.covers(&country, of));
        assert!(!country.covers(&network, |_| 2));
        assert!(bank("B*").covers(&bank("BANK"), of));
        assert!(bank("B*").covers(&bank("BA*"), of));
        assert!(!bank("BANK").covers(&bank("BANK*"), of));
        assert!(!bank("B*").covers(&any, of));
    }
}
