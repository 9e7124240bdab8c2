//! Lives here: the routing plan as a pure decision: which accounts may carry a message, in which
//! order, and why.
//! Never here: how the plan's file looks (`config`), how accounts stand at the moment
//! (`flow::health`).

mod rank;
mod rule;
pub mod score;

use smallvec::SmallVec;

pub use self::rule::{Match, Rule, SenderPattern, Strategy, Target};
use self::score::{NetworkKey, Scores};
use super::class::{Class, ClassSet};
use super::ids::{CarrierId, CarrierIndex, NetworkId, OrgId, fnv};
use super::message::Message;
use super::numbering::{Overlay, Place, Plan};
use super::phone::{Msisdn, Sender};
use super::time::Timestamp;

/// What the plan is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Recipient.
    pub to: Msisdn,
    /// Sender.
    pub from: &'a Sender,
    /// The class.
    pub class: Class,
    /// Whose message.
    pub org: OrgId,
    /// How many segments.
    pub segments: u8,
}

impl<'a> From<&'a Message> for Ask<'a> {
    fn from(message: &'a Message) -> Self {
        Self {
            to: message.to,
            from: &message.from,
            class: message.class,
            org: message.org,
            segments: message.segments,
        }
    }
}

/// An account, as far as routing goes.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its id.
    pub id: CarrierId,
    /// The network it belongs to.
    pub network: NetworkId,
    /// What it does not take.
    pub limits: Limits,
    /// A hash of its id.
    key: u64,
}

impl Account {
    /// An account.
    pub fn new(id: CarrierId, network: NetworkId, limits: Limits) -> Self {
        Self {
            key: fnv(id.0.as_bytes()),
            id,
            network,
            limits,
        }
    }
}

/// What an account does not take, whatever its state.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The classes that it carries.
    pub classes: ClassSet,
    /// Segments of one message at most.
    pub parts_max: u8,
    /// The senders that it takes; empty = all.
    pub senders: Vec<SenderPattern>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            classes: ClassSet::ALL,
            parts_max: u8::MAX,
            senders: Vec::new(),
        }
    }
}

impl Limits {
    fn refuse(&self, ask: &Ask<'_>) -> Option<Unfit> {
        if !self.classes.contains(ask.class) {
            return Some(Unfit::Class);
        }
        if ask.segments > self.parts_max {
            return Some(Unfit::Parts(self.parts_max));
        }
        let known = |pattern: &SenderPattern| pattern.matches(ask.from.as_str());
        (!self.senders.is_empty() && !self.senders.iter().any(known)).then_some(Unfit::Sender)
    }
}

/// Why an account may not carry a message, whatever its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It does not carry the class.
    Class,
    /// It takes no more segments than this.
    Parts(u8),
    /// It does not take the sender.
    Sender,
}

/// How an account stands at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// In use.
    InUse,
    /// Its breaker is open.
    Open,
    /// The operator has paused it.
    Paused,
    /// The operator drains it: it gets nothing new.
    Draining,
}

/// One target in its place.
#[derive(Clone, Copy, Debug)]
pub struct Ranked {
    /// Which.
    pub target: Target,
    /// Why it may not carry the message; such targets stand at the end.
    pub unfit: Option<Unfit>,
    /// By what it was put in its place: a draw (`weighted`), the cost, negative (`least_cost`),
    /// its worth (`predictive`); more comes first. 0 under `priority`.
    pub score: f64,
    /// It stands first only to be tried out.
    pub explored: bool,
}

/// Targets in order.
pub type Order = SmallVec<[Ranked; 8]>;

/// What the plan says of a message.
#[derive(Clone, Debug)]
pub struct Decision {
    /// Where the number belongs.
    pub place: Place,
    /// Index of the rule that decides; `None` = none matches, the accounts of the number's network
    /// or of unknown networks carry it.
    pub rule: Option<usize>,
    /// How the targets were put in order.
    pub strategy: Strategy,
    /// All targets, the first choice first.
    pub order: Order,
}

/// The account to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Which.
    pub carrier: CarrierIndex,
    /// It is in use; otherwise no account is, and the message waits at its first choice.
    pub available: bool,
}

impl Decision {
    /// The first fitting target that has not been tried and is in use. If none is in use, the
    /// first that has not been tried (one that is not being drained, if there is one): the message
    /// waits there. `None`: no account may carry it (any more).
    ///
    /// Nothing is tried twice, so a message cannot go round in circles.
    pub fn pick(
        &self,
        tried: &[CarrierIndex],
        standing: impl Fn(CarrierIndex) -> Standing,
    ) -> Option<Choice> {
        let (mut waiting, mut draining) = (None, None);
        for ranked in &self.order {
            let carrier = ranked.target.carrier;
            if ranked.unfit.is_some() || tried.contains(&carrier) {
                continue;
            }
            match standing(carrier) {
                Standing::InUse => {
                    return Some(Choice {
                        carrier,
                        available: true,
                    });
                }
                Standing::Open | Standing::Paused => waiting = waiting.or(Some(carrier)),
                Standing::Draining => draining = draining.or(Some(carrier)),
            }
        }
        waiting.or(draining).map(|carrier| Choice {
            carrier,
            available: false,
        })
    }
}

/// The plan in force: numbers to networks, messages to accounts.
#[derive(Debug, Default)]
pub struct Table {
    plan: Plan,
    ported: Overlay,
    /// By the plan's index of networks.
    keys: Vec<NetworkKey>,
    accounts: Vec<Account>,
    rules: Vec<Rule>,
    /// By the plan's index of networks: the accounts that carry each, the first choice first.
    of_network: Vec<Vec<Target>>,
    /// By the plan's index of countries: where mobile numbers of unknown networks go.
    of_unknown: Vec<Vec<Target>>,
}

impl Table {
    /// A plan without rules: accounts of a network carry it in their order. `unknown` names an
    /// account for the numbers of unknown networks of each country that has one.
    pub fn new(plan: Plan, accounts: Vec<Account>, unknown: Vec<Option<CarrierIndex>>) -> Self {
        let target = |carrier| Target {
            carrier,
            weight: 1,
            cost: None,
        };
        let carrying = |network: &NetworkId| {
            accounts
                .iter()
                .zip(0..)
                .filter(|(account, _)| account.network == *network)
                .map(|(_, index)| target(CarrierIndex(index)))
                .collect()
        };
        let networks = || plan.networks().iter().map(|network| &network.id);
        Self {
            keys: networks().map(NetworkKey::new).collect(),
            of_network: networks().map(carrying).collect(),
            of_unknown: unknown
                .into_iter()
                .map(|carrier| carrier.map(target).into_iter().collect())
                .collect(),
            plan,
            accounts,
            ported: Overlay::default(),
            rules: Vec::new(),
        }
    }

    /// With these rules, whose indexes are of this table's plan and accounts.
    #[must_use]
    pub fn with_rules(self, rules: Vec<Rule>) -> Self {
        Self { rules, ..self }
    }

    /// With these ported numbers, whose networks are of this table's plan.
    #[must_use]
    pub fn with_ported(self, ported: Overlay) -> Self {
        Self { ported, ..self }
    }

    /// The numbering plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The ported numbers.
    pub fn ported(&self) -> &Overlay {
        &self.ported
    }

    /// The accounts, in order.
    pub fn accounts(&self) -> &[Account] {
        &self.accounts
    }

    /// The rules, in order.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The key under which what is known of a number's network stands.
    pub fn key(&self, place: &Place) -> NetworkKey {
        let key = place.network.and_then(|network| self.keys.get(network));
        key.copied().unwrap_or(NetworkKey::ANY)
    }

    /// The accounts that may carry this, in order; `None` if the number is of no country of the
    /// plan. Allocates nothing as long as a rule has at most eight targets.
    pub fn decide(&self, ask: &Ask<'_>, scores: &Scores, now: Timestamp) -> Option<Decision> {
        let place = self.plan.place(ask.to, &self.ported)?;
        let rule = self
            .rules
            .iter()
            .position(|rule| rule.matches.fits(ask, &place));
        let (strategy, targets) = match (rule, place.network) {
            (Some(rule), _) => (
                self.rules[rule].strategy,
                self.rules[rule].targets.as_slice(),
            ),
            (None, Some(network)) => (Strategy::Priority, listed(&self.of_network, network)),
            (None, None) => (Strategy::Priority, listed(&self.of_unknown, place.country)),
        };
        Some(Decision {
            order: rank::order(
                targets,
                strategy,
                ask,
                &self.accounts,
                self.key(&place),
                scores,
                now,
            ),
            place,
            rule,
            strategy,
        })
    }
}

fn listed(lists: &[Vec<Target>], index: usize) -> &[Target] {
    lists.get(index).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests;
