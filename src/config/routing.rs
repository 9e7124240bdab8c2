//! Lives here: `[routing]`: the numbering plan's file, the accounts that carry its networks, the
//! routing plan's file.
//! Never here: decisions (`domain::route`).

use super::check::{Checked, beside};
use super::file;
use super::place::Source;
use super::rules::Rules;
use crate::carrier::{AccountConfig, Mode};
use crate::domain::class::ClassSet;
use crate::domain::ids::CarrierIndex;
use crate::domain::numbering::Plan;
use crate::domain::route::{Account, Table};
use crate::ingest::plan::{self, PlanFileError};

/// Reads the numbering plan.
pub(super) fn numbering(typed: &file::Routing, source: &Source<'_>) -> Checked<Plan> {
    let Some(typed) = &typed.numbering else {
        return plan::parse(plan::BUILT_IN)
            .map_err(|error| source.error(None, format!("built-in numbering plan: {error}")));
    };
    let path = beside(typed.get_ref(), source);
    let text = std::fs::read_to_string(&path).map_err(|error| {
        source.error(Some(typed.span()), format!("{}: {error}", path.display()))
    })?;
    plan::parse(&text).map_err(|error| {
        let file = Source::new(&text, &path);
        match &error {
            PlanFileError::Toml(toml) => file.error(toml.span(), toml.message()),
            _ => file.error(None, error.to_string()),
        }
    })
}

/// The routing plan over these accounts: the rules of the configuration itself, then those of the
/// plan's file.
pub(super) fn table(
    typed: &file::Routing,
    plan: Plan,
    accounts: &[AccountConfig],
    source: &Source<'_>,
) -> Checked<Table> {
    let unknown = unknown(&typed.unknown_network, &plan, accounts, source)?;
    let mut rules = Rules::new(&plan, accounts);
    rules.add(&typed.rule, source)?;
    if let Some(path) = &typed.plan {
        let span = path.span();
        let path = beside(path.get_ref(), source);
        let text = std::fs::read_to_string(&path)
            .map_err(|error| source.error(Some(span), format!("{}: {error}", path.display())))?;
        let source = Source::new(&text, &path);
        let file: file::PlanFile =
            toml::from_str(&text).map_err(|error| source.error(error.span(), error.message()))?;
        rules.add(&file.rule, &source)?;
    }
    let rules = rules.into_rules();
    let accounts = accounts.iter().map(|account| {
        Account::new(
            account.id.clone(),
            account.network.clone(),
            classes(account),
            account.profile.capability.clone(),
        )
    });
    Ok(Table::new(plan, accounts.collect(), unknown).with_rules(rules))
}

/// What an account's binds can submit, taken together.
fn classes(account: &AccountConfig) -> ClassSet {
    let binds = account.binds.iter();
    binds
        .filter(|bind| bind.mode != Mode::Receiver)
        .fold(ClassSet::of([]), |all, bind| all.union(bind.classes))
}

fn unknown(
    typed: &[file::UnknownNetwork],
    plan: &Plan,
    accounts: &[AccountConfig],
    source: &Source<'_>,
) -> Checked<Vec<Option<CarrierIndex>>> {
    let mut unknown = vec![None; plan.countries().len()];
    for row in typed {
        let country = plan.country(row.country.get_ref()).ok_or_else(|| {
            let message = format!(
                "country \"{}\" is not in the numbering plan",
                row.country.get_ref()
            );
            source.error(Some(row.country.span()), message)
        })?;
        let carrier = accounts
            .iter()
            .position(|account| *account.id.0 == **row.carrier.get_ref())
            .ok_or_else(|| {
                let message = format!("no [[carrier]] has id \"{}\"", row.carrier.get_ref());
                source.error(Some(row.carrier.span()), message)
            })?;
        unknown[country] = Some(CarrierIndex(carrier as u16));
    }
    Ok(unknown)
}
