//! Lives here: what the rules of the routing plan must be, and what they become.
//! Never here: decisions (`domain::route`), the rest of `[routing]` (`routing`).

use std::collections::{HashMap, HashSet};

use toml::Spanned;
use uuid::Uuid;

use super::check::{Checked, or};
use super::file;
use super::place::Source;
use crate::carrier::AccountConfig;
use crate::domain::capability::Pattern;
use crate::domain::class::{Class, ClassSet};
use crate::domain::ids::{CarrierIndex, OrgId};
use crate::domain::numbering::Plan;
use crate::domain::route::{Match, Rule, Strategy, Target};

/// Rules at most; each message is compared with them one after the other, at a few nanoseconds.
const RULES_MAX: usize = 1_000;
/// Targets of a rule at most.
const TARGETS_MAX: usize = 16;
const NAME_MAX: usize = 64;

/// The rules read so far, from the configuration itself and then from the plan's file.
pub(super) struct Rules<'a> {
    plan: &'a Plan,
    accounts: HashMap<&'a str, CarrierIndex>,
    rules: Vec<Rule>,
    names: HashSet<String>,
}

impl<'a> Rules<'a> {
    pub(super) fn new(plan: &'a Plan, accounts: &'a [AccountConfig]) -> Self {
        let accounts = accounts.iter().zip(0..);
        Self {
            plan,
            accounts: accounts
                .map(|(account, index)| (&*account.id.0, CarrierIndex(index)))
                .collect(),
            rules: Vec::new(),
            names: HashSet::new(),
        }
    }

    /// Adds the rules of one file.
    pub(super) fn add(
        &mut self,
        typed: &[Spanned<file::Rule>],
        source: &Source<'_>,
    ) -> Checked<()> {
        for rule in typed {
            if self.rules.len() == RULES_MAX {
                let message = format!("more than {RULES_MAX} rules; join those with equal targets");
                return Err(source.error(Some(rule.span()), message));
            }
            let rule = self.rule(rule.get_ref(), source)?;
            self.rules.push(rule);
        }
        Ok(())
    }

    pub(super) fn into_rules(self) -> Vec<Rule> {
        self.rules
    }

    fn rule(&mut self, typed: &file::Rule, source: &Source<'_>) -> Checked<Rule> {
        let name = typed.name.get_ref();
        let wrong = |message: String| Err(source.error(Some(typed.name.span()), message));
        let length = name.chars().count();
        if !(1..=NAME_MAX).contains(&length) || name.chars().any(char::is_control) {
            return wrong(format!(
                "rule.name has 1 to {NAME_MAX} printable characters"
            ));
        }
        if !self.names.insert(name.clone()) {
            return wrong(format!(
                "rule \"{name}\" stands twice; give it another name"
            ));
        }
        let matches = self.matches(typed, source)?;
        let country_of = |network: usize| self.plan.networks()[network].country;
        let earlier = self.rules.iter();
        if let Some(earlier) = earlier
            .into_iter()
            .find(|rule| rule.matches.covers(&matches, country_of))
        {
            return wrong(format!(
                "rule \"{name}\" is never reached: \"{}\" before it matches all that it does; put \
                 it before that one, or remove it",
                earlier.name
            ));
        }
        let strategy = match &typed.strategy {
            None => Strategy::Priority,
            Some(typed) => Strategy::parse(typed.get_ref()).ok_or_else(|| {
                let names = Strategy::ALL.map(Strategy::name).join(", ");
                let message = format!("strategy is one of {names}");
                source.error(Some(typed.span()), message)
            })?,
        };
        Ok(Rule {
            name: name.as_str().into(),
            matches,
            strategy,
            targets: self.targets(&typed.targets, strategy, source)?,
        })
    }

    fn matches(&self, typed: &file::Rule, source: &Source<'_>) -> Checked<Match> {
        let country = typed.country.as_ref().map(|typed| {
            self.plan.country(typed.get_ref()).ok_or_else(|| {
                let message = format!(
                    "country \"{}\" is not in the numbering plan",
                    typed.get_ref()
                );
                source.error(Some(typed.span()), message)
            })
        });
        let country = country.transpose()?;
        let network = typed.network.as_ref().map(|typed| {
            self.plan.network(typed.get_ref()).ok_or_else(|| {
                let message = format!(
                    "network \"{}\" is not in the numbering plan",
                    typed.get_ref()
                );
                source.error(Some(typed.span()), message)
            })
        });
        let network = network.transpose()?;
        if let (Some(country), Some(network), Some(typed)) = (country, network, &typed.network) {
            let home = self.plan.networks()[network].country;
            if home != country {
                let message = format!(
                    "network \"{}\" is of {}; leave out the rule's country",
                    typed.get_ref(),
                    self.plan.countries()[home].code
                );
                return Err(source.error(Some(typed.span()), message));
            }
        }
        Ok(Match {
            country,
            network,
            classes: classes(typed.class.as_ref(), source)?,
            sender: sender(typed.sender.as_ref(), source)?,
            org: org(typed.org.as_ref(), source)?,
        })
    }

    fn targets(
        &self,
        typed: &Spanned<Vec<Spanned<file::Target>>>,
        strategy: Strategy,
        source: &Source<'_>,
    ) -> Checked<Vec<Target>> {
        let count = typed.get_ref().len();
        if !(1..=TARGETS_MAX).contains(&count) {
            let message = format!("a rule has 1 to {TARGETS_MAX} targets, not {count}");
            return Err(source.error(Some(typed.span()), message));
        }
        let mut targets: Vec<Target> = Vec::with_capacity(count);
        for row in typed.get_ref() {
            let target = self.target(row, strategy, source)?;
            if targets
                .iter()
                .any(|earlier| earlier.carrier == target.carrier)
            {
                let carrier = &row.get_ref().carrier;
                let message = format!("carrier \"{}\" stands twice in the rule", carrier.get_ref());
                return Err(source.error(Some(carrier.span()), message));
            }
            targets.push(target);
        }
        if strategy == Strategy::Weighted && targets.iter().all(|target| target.weight == 0) {
            let message =
                "all weights are 0, which means only when no other can be used; give one more";
            return Err(source.error(Some(typed.span()), message));
        }
        Ok(targets)
    }

    fn target(
        &self,
        typed: &Spanned<file::Target>,
        strategy: Strategy,
        source: &Source<'_>,
    ) -> Checked<Target> {
        let (span, typed) = (typed.span(), typed.get_ref());
        let id = typed.carrier.get_ref();
        let carrier = self.accounts.get(id.as_str()).ok_or_else(|| {
            let message = format!("no [[carrier]] has id \"{id}\"");
            source.error(Some(typed.carrier.span()), message)
        })?;
        if let (Some(weight), Strategy::Priority | Strategy::LeastCost | Strategy::Predictive) =
            (&typed.weight, strategy)
        {
            let message = format!(
                "weight means nothing under strategy \"{}\"; leave it out, or take \"weighted\"",
                strategy.name()
            );
            return Err(source.error(Some(weight.span()), message));
        }
        if typed.cost_micros.is_none() && strategy == Strategy::LeastCost {
            let message = "strategy \"least_cost\" needs the cost_micros of each target";
            return Err(source.error(Some(span), message));
        }
        let cost = typed.cost_micros.as_ref();
        Ok(Target {
            carrier: *carrier,
            weight: or(1, typed.weight.as_ref(), 0..=1_000, source)?,
            cost: cost
                .map(|cost| or(0, Some(cost), 0..=1_000_000_000_000, source))
                .transpose()?,
        })
    }
}

fn classes(
    typed: Option<&Spanned<Vec<Spanned<String>>>>,
    source: &Source<'_>,
) -> Checked<ClassSet> {
    let Some(typed) = typed else {
        return Ok(ClassSet::ALL);
    };
    let names = typed.get_ref().iter();
    let classes = names
        .map(|name| {
            Class::parse(name.get_ref()).ok_or_else(|| {
                let message = "a class is otp, transactional or promotional";
                source.error(Some(name.span()), message)
            })
        })
        .collect::<Checked<Vec<Class>>>()?;
    if classes.is_empty() {
        let message = "class lists no class; leave it out for all of them";
        return Err(source.error(Some(typed.span()), message));
    }
    Ok(ClassSet::of(classes))
}

fn sender(typed: Option<&Spanned<String>>, source: &Source<'_>) -> Checked<Option<Pattern>> {
    let Some(typed) = typed else { return Ok(None) };
    let text = typed.get_ref();
    // A sender's plus is not part of it.
    let pattern = text.strip_prefix('+').unwrap_or(text);
    let stars = pattern.matches('*').count();
    if pattern.is_empty() || pattern == "*" || stars > 1 || (stars == 1 && !pattern.ends_with('*'))
    {
        let message = "sender is a sender (\"BANK\") or how senders begin (\"BANK*\")";
        return Err(source.error(Some(typed.span()), message));
    }
    Ok(Some(Pattern(pattern.into())))
}

fn org(typed: Option<&Spanned<String>>, source: &Source<'_>) -> Checked<Option<OrgId>> {
    let Some(typed) = typed else { return Ok(None) };
    let id = Uuid::try_parse(typed.get_ref()).map_err(|_| {
        let message =
            "org is an organisation's id (not its name), as `mnara ctl orgs create` printed it";
        source.error(Some(typed.span()), message)
    })?;
    Ok(Some(OrgId(id)))
}
