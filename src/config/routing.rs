//! Lives here: `[routing]`: the numbering plan's file and the accounts that carry its networks.
//! Never here: decisions (`domain::route`).

use super::check::{Checked, beside};
use super::file;
use super::place::Source;
use crate::carrier::AccountConfig;
use crate::domain::ids::CarrierIndex;
use crate::domain::route::{Account, Limits, Table};
use crate::ingest::plan::{self, Loaded, PlanFileError};

/// Reads the numbering plan.
pub(super) fn numbering(typed: &file::Routing, source: &Source<'_>) -> Checked<Loaded> {
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

/// The routing plan over these accounts.
pub(super) fn table(
    typed: &file::Routing,
    loaded: Loaded,
    accounts: &[AccountConfig],
    source: &Source<'_>,
) -> Checked<Table> {
    let fallback = fallback(&typed.unknown_network, &loaded, accounts, source)?;
    let accounts = accounts.iter().map(|account| {
        Account::new(
            account.id.clone(),
            account.network.clone(),
            Limits::default(),
        )
    });
    Ok(Table::new(loaded.plan, accounts.collect(), fallback))
}

fn fallback(
    typed: &[file::UnknownNetwork],
    loaded: &Loaded,
    accounts: &[AccountConfig],
    source: &Source<'_>,
) -> Checked<Vec<Option<CarrierIndex>>> {
    let mut fallback = vec![None; loaded.plan.countries().len()];
    for row in typed {
        let country = loaded.plan.country(row.country.get_ref()).ok_or_else(|| {
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
        fallback[country] = Some(CarrierIndex(carrier as u16));
    }
    Ok(fallback)
}
