//! Lives here: how one plan differs from another, in words for an operator.
//! Never here: which of them is in force.

use super::{Match, Rule, Table, Target};
use crate::domain::numbering::Plan;

/// The difference, a line for each change; none if the plans route alike.
pub fn lines(old: &Table, new: &Table) -> Vec<String> {
    let mut lines = Vec::new();
    numbering(old.plan(), new.plan(), &mut lines);
    unknown(old, new, &mut lines);
    rules(old, new, &mut lines);
    let (before, after) = (old.ported.len(), new.ported.len());
    let (added, removed, moved) = old.ported.difference(&new.ported);
    if added + removed + moved > 0 {
        lines.push(format!(
            "ported numbers: {after} rows, before {before}: {added} added, {removed} removed, \
             {moved} to another network"
        ));
    }
    lines
}

fn numbering(old: &Plan, new: &Plan, lines: &mut Vec<String>) {
    for country in new.countries() {
        if old.country(&country.code).is_none() {
            lines.push(format!("country {} added", country.code));
        }
    }
    for country in old.countries() {
        match new.country(&country.code) {
            None => lines.push(format!("country {} removed", country.code)),
            Some(index) if new.countries()[index] != *country => {
                lines.push(format!(
                    "country {} has other rules for its numbers",
                    country.code
                ));
            }
            Some(_) => {}
        }
    }
    for (index, network) in new.networks().iter().enumerate() {
        let after = new.prefixes(index);
        match old.network(&network.id.0) {
            None => lines.push(format!("network {} added", network.id)),
            Some(before) => {
                let before = old.prefixes(before);
                let only = |mine: &[u64], theirs: &[u64]| {
                    let only = mine.iter().filter(|prefix| !theirs.contains(prefix));
                    only.map(u64::to_string).collect::<Vec<_>>().join(" ")
                };
                let (added, removed) = (only(&after, &before), only(&before, &after));
                if !added.is_empty() {
                    lines.push(format!("network {}: prefixes {added} added", network.id));
                }
                if !removed.is_empty() {
                    lines.push(format!(
                        "network {}: prefixes {removed} removed",
                        network.id
                    ));
                }
            }
        }
    }
    for network in old.networks() {
        if new.network(&network.id.0).is_none() {
            lines.push(format!("network {} removed", network.id));
        }
    }
}

fn unknown(old: &Table, new: &Table, lines: &mut Vec<String>) {
    let of = |table: &Table, code: &str| {
        let country = table.plan.country(code)?;
        let target = table.of_unknown.get(country)?.first()?;
        Some(table.name(target).to_owned())
    };
    for country in new.plan.countries() {
        let (before, after) = (of(old, &country.code), of(new, &country.code));
        if before != after {
            let shown = |account: Option<String>| account.unwrap_or_else(|| "no account".into());
            lines.push(format!(
                "numbers of unknown networks of {}: {} instead of {}",
                country.code,
                shown(after),
                shown(before)
            ));
        }
    }
}

fn rules(old: &Table, new: &Table, lines: &mut Vec<String>) {
    let find = |table: &Table, name: &str| {
        let found = table.rules.iter().find(|rule| *rule.name == *name);
        found.cloned()
    };
    for rule in &old.rules {
        if find(new, &rule.name).is_none() {
            lines.push(format!("rule {} removed", rule.name));
        }
    }
    for rule in &new.rules {
        match find(old, &rule.name) {
            None => lines.push(format!(
                "rule {} added: {} over {}",
                rule.name,
                rule.strategy.name(),
                names(new, rule)
            )),
            Some(before) => changes((old, &before), (new, rule), lines),
        }
    }
    // The order among those that both have.
    let order = |table: &Table, other: &Table| -> Vec<String> {
        let names = table.rules.iter().map(|rule| rule.name.to_string());
        names.filter(|name| find(other, name).is_some()).collect()
    };
    let (before, after) = (order(old, new), order(new, old));
    if before != after {
        lines.push(format!(
            "rules in another order: {}; before: {}",
            after.join(", "),
            before.join(", ")
        ));
    }
}

fn changes(old: (&Table, &Rule), new: (&Table, &Rule), lines: &mut Vec<String>) {
    let ((old, before), (new, after)) = (old, new);
    let name = &after.name;
    if described(old, &before.matches) != described(new, &after.matches) {
        lines.push(format!(
            "rule {name}: for {} instead of {}",
            described(new, &after.matches),
            described(old, &before.matches)
        ));
    }
    if before.strategy != after.strategy {
        lines.push(format!(
            "rule {name}: {} instead of {}",
            after.strategy.name(),
            before.strategy.name()
        ));
    }
    let find = |table: &Table, rule: &Rule, name: &str| -> Option<Target> {
        let found = rule
            .targets
            .iter()
            .find(|target| table.name(target) == name);
        found.copied()
    };
    for target in &before.targets {
        if find(new, after, old.name(target)).is_none() {
            lines.push(format!("rule {name}: target {} removed", old.name(target)));
        }
    }
    for target in &after.targets {
        let carrier = new.name(target);
        match find(old, before, carrier) {
            None => lines.push(format!("rule {name}: target {carrier} added")),
            Some(earlier) => {
                if earlier.weight != target.weight {
                    lines.push(format!(
                        "rule {name}: target {carrier} has weight {} instead of {}",
                        target.weight, earlier.weight
                    ));
                }
                if earlier.cost != target.cost {
                    let shown = |cost: Option<u64>| {
                        cost.map_or_else(|| "nothing known".into(), |cost| cost.to_string())
                    };
                    lines.push(format!(
                        "rule {name}: target {carrier} costs {} instead of {}",
                        shown(target.cost),
                        shown(earlier.cost)
                    ));
                }
            }
        }
    }
    let order = |table: &Table, rule: &Rule, other: (&Table, &Rule)| -> Vec<String> {
        let names = rule.targets.iter().map(|target| table.name(target));
        let both = names.filter(|name| find(other.0, other.1, name).is_some());
        both.map(str::to_owned).collect()
    };
    let after_order = order(new, after, (old, before));
    if order(old, before, (new, after)) != after_order {
        lines.push(format!(
            "rule {name}: targets in another order: {}",
            names(new, after)
        ));
    }
}

fn names(table: &Table, rule: &Rule) -> String {
    let names = rule.targets.iter().map(|target| table.name(target));
    names.collect::<Vec<_>>().join(", ")
}

/// What a rule is for, in words.
fn described(table: &Table, matches: &Match) -> String {
    let mut parts = Vec::new();
    if let Some(network) = matches
        .network
        .and_then(|index| table.plan.networks().get(index))
    {
        parts.push(network.id.to_string());
    } else if let Some(country) = matches
        .country
        .and_then(|index| table.plan.countries().get(index))
    {
        parts.push(country.code.to_string());
    }
    let classes: Vec<&str> = matches.classes.iter().map(|class| class.name()).collect();
    if classes.len() < 3 {
        parts.push(classes.join(" and "));
    }
    if let Some(sender) = &matches.sender {
        parts.push(format!("sender {}", sender.0));
    }
    if let Some(org) = matches.org {
        parts.push(format!("organisation {org}"));
    }
    match parts.is_empty() {
        true => "everything".into(),
        false => parts.join(", "),
    }
}
