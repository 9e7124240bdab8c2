//! Lives here: the routing plan as a pure decision: which accounts may carry a message, in which
//! order, and why.
//! Never here: how the plan's file looks (`config`), how accounts stand at the moment
//! (`flow::health`).

pub mod diff;
mod rank;
mod rule;
pub mod score;

use smallvec::SmallVec;

pub use self::rule::{Match, Rule, Strategy, Target};
use self::score::{NetworkKey, Scores};
use super::capability::{self, Capability};
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
    /// Of a live key. Others go to no account of the plan (`flow::routes`).
    pub live: bool,
}

impl<'a> From<&'a Message> for Ask<'a> {
    fn from(message: &'a Message) -> Self {
        Self {
            to: message.to,
            from: &message.from,
            class: message.class,
            org: message.org,
            segments: message.segments,
            live: message.live,
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
    /// The classes that it carries.
    pub classes: ClassSet,
    /// What else it can take.
    pub takes: Capability,
    /// A hash of its id.
    key: u64,
}

impl Account {
    /// An account.
    pub fn new(id: CarrierId, network: NetworkId, classes: ClassSet, takes: Capability) -> Self {
        Self {
            key: fnv(id.0.as_bytes()),
            id,
            network,
            classes,
            takes,
        }
    }

    fn refuses(&self, ask: &Ask<'_>) -> Option<Unfit> {
        if !self.classes.contains(ask.class) {
            return Some(Unfit::Class);
        }
        let taken = self.takes.accepts(ask.from, ask.segments);
        taken.err().map(Unfit::Message)
    }
}

/// Why an account may not carry a message, whatever its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It does not carry the class.
    Class,
    /// It cannot take a message like this.
    Message(capability::Unfit),
}

/// How an account stands at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// In use.
    InUse,
    /// A few messages find out whether it can be used again: none but those.
    HalfOpen,
    /// Out of use, and new messages of this class wait for it as those do that it has.
    Awaited,
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
    /// The recipient's network, by its place in the plan; `None` = a number of no known network.
    pub network: Option<usize>,
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
                        network: self.place.network,
                    });
                }
                // A message on its way from another account has waited already.
                Standing::Awaited if tried.is_empty() && waiting.is_none() => {
                    waiting = Some(carrier);
                    break;
                }
                Standing::Awaited | Standing::HalfOpen | Standing::Open | Standing::Paused => {
                    waiting = waiting.or(Some(carrier));
                }
                Standing::Draining => draining = draining.or(Some(carrier)),
            }
        }
        waiting.or(draining).map(|carrier| Choice {
            carrier,
            available: false,
            network: self.place.network,
        })
    }
}

/// A rule, or the configuration, names an account that does not run.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{by} names account {carrier}")]
pub struct Stranger {
    /// Who names it.
    pub by: Box<str>,
    /// The account.
    pub carrier: CarrierId,
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

    /// The same rules over other accounts, found by their ids: those that run, while the plan was
    /// read with those of a newer configuration.
    ///
    /// # Errors
    /// Who names an account that is not among them.
    pub fn over(mut self, accounts: &[Account]) -> Result<Self, Stranger> {
        let theirs: Vec<Option<CarrierIndex>> = self
            .accounts
            .iter()
            .map(|mine| {
                let found = accounts.iter().position(|account| account.id == mine.id);
                found.map(|index| CarrierIndex(index as u16))
            })
            .collect();
        let mut stranger = None;
        let ids = &self.accounts;
        let mut translate = |by: &str, target: &mut Target| match theirs
            .get(target.carrier.index())
            .copied()
            .flatten()
        {
            Some(index) => target.carrier = index,
            None => {
                let carrier = ids.get(target.carrier.index());
                stranger = carrier.map(|account| Stranger {
                    by: by.into(),
                    carrier: account.id.clone(),
                });
            }
        };
        for rule in &mut self.rules {
            for target in &mut rule.targets {
                translate(&format!("rule {}", rule.name), target);
            }
        }
        for target in self.of_unknown.iter_mut().flatten() {
            translate("unknown_network", target);
        }
        match stranger {
            Some(stranger) => Err(stranger),
            None => {
                let unknown = self.of_unknown.iter();
                let unknown = unknown.map(|list| list.first().map(|target| target.carrier));
                let table = Self::new(self.plan.clone(), accounts.to_vec(), unknown.collect());
                Ok(table.with_rules(self.rules).with_ported(self.ported))
            }
        }
    }

    /// The id of a target's account.
    pub fn name(&self, target: &Target) -> &str {
        let account = self.accounts.get(target.carrier.index());
        account.map_or("", |account| &account.id.0)
    }

    /// The numbering plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The ported numbers.
    pub fn ported(&self) -> &Overlay {
        &self.ported
    }

    /// The accounts that stand in some list of targets beside this one, some of them twice.
    pub fn beside(&self, carrier: CarrierIndex) -> impl Iterator<Item = CarrierIndex> {
        let rules = self.rules.iter().map(|rule| &rule.targets[..]);
        let networks = self.of_network.iter().map(|targets| &targets[..]);
        let lists = rules.chain(networks);
        lists
            .filter(move |list| list.iter().any(|target| target.carrier == carrier))
            .flatten()
            .map(|target| target.carrier)
            .filter(move |other| *other != carrier)
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
