//! Lives here: one rule of the plan: what it matches, where it sends.
//! Never here: in which order its targets come (`rank`), how a rule is written in a file
//! (`config`).

use super::Ask;
use crate::domain::capability::Pattern;
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
    pub sender: Option<Pattern>,
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
                // A star of the other can only fall to a star of this.
                (Some(ours), Some(theirs)) => ours.matches(&theirs.0),
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
            sender: Some(Pattern(text.into())),
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
