//! Lives here: the numbering plan's file (`config/numbering.toml`).
//! Never here: look-ups (`domain::numbering`).

use serde::Deserialize;

use crate::domain::ids::NetworkId;
use crate::domain::numbering::{Country, NETWORKS_MAX, Network, Plan};

/// The plan that ships with this version.
pub const BUILT_IN: &str = include_str!("../../config/numbering.toml");

/// What is wrong with a plan, with its place where there is one.
#[derive(Debug, thiserror::Error)]
pub enum PlanFileError {
    /// Not TOML of the plan's shape.
    #[error("{0}")]
    Toml(Box<toml::de::Error>),
    /// A network names a country that is not in the file.
    #[error("network {network} is of country {country}, which the file does not have")]
    Country {
        /// The network.
        network: String,
        /// What it names.
        country: String,
    },
    /// A prefix is not 1 to 9 digits, or two networks claim it.
    #[error("prefix {0} is not 1 to 9 digits, or two networks claim it")]
    Prefix(Box<str>),
    /// The same id twice, or as somebody's alias.
    #[error("network id {0} stands twice")]
    Id(String),
    /// More networks than a row of the ported numbers can name.
    #[error("more than {NETWORKS_MAX} networks")]
    Networks,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "dated")]
    _dated: String,
    country: Vec<CountryRow>,
    network: Vec<NetworkRow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CountryRow {
    code: String,
    calling_code: String,
    national_digits: usize,
    #[serde(rename = "trunk_prefix")]
    _trunk_prefix: String,
    mobile_prefixes: Vec<Box<str>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NetworkRow {
    id: String,
    country: String,
    telco: String,
    #[serde(default)]
    aliases: Vec<Box<str>>,
    prefixes: Vec<Box<str>>,
}

/// Reads a plan.
///
/// # Errors
/// [`PlanFileError`].
pub fn parse(text: &str) -> Result<Plan, PlanFileError> {
    let file: File = toml::from_str(text).map_err(|error| PlanFileError::Toml(Box::new(error)))?;
    let countries: Vec<Country> = file
        .country
        .into_iter()
        .map(|row| Country {
            code: row.code.into(),
            calling_code: row.calling_code.into(),
            national_digits: row.national_digits,
            mobile_prefixes: row.mobile_prefixes,
        })
        .collect();
    let (mut networks, mut prefixes) = (Vec::new(), Vec::new());
    for row in file.network {
        let country = countries
            .iter()
            .position(|country| *country.code == *row.country)
            .ok_or_else(|| PlanFileError::Country {
                network: row.id.clone(),
                country: row.country.clone(),
            })?;
        let index = networks.len();
        prefixes.extend(row.prefixes.into_iter().map(|prefix| (prefix, index)));
        networks.push(Network {
            id: NetworkId(row.id.into()),
            country,
            telco: row.telco.into(),
            aliases: row.aliases,
        });
    }
    if networks.len() > NETWORKS_MAX {
        return Err(PlanFileError::Networks);
    }
    let names = networks.iter().flat_map(|network: &Network| {
        let aliases = network.aliases.iter().map(|alias| &**alias);
        aliases.chain([&*network.id.0])
    });
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(PlanFileError::Id(pair[0].into()));
    }
    Plan::new(countries, networks, &prefixes).map_err(PlanFileError::Prefix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::phone::Msisdn;

    fn network(plan: &Plan, number: &str) -> String {
        let typed = Msisdn::parse(number).unwrap();
        let located = plan.locate(typed, None).unwrap();
        located.network.map_or_else(
            || "none".into(),
            |index| plan.networks()[index].id.to_string(),
        )
    }

    #[test]
    fn the_built_in_plan_knows_all_eight_networks() {
        let plan = parse(BUILT_IN).unwrap();
        let table = [
            ("+255753276939", "vodacom_tz"),
            ("+255712345678", "tigo_tz"),
            ("+255682345678", "airtel_tz"),
            ("+255622345678", "halotel_tz"),
            ("+2348031234567", "mtn_ng"),
            ("+2347025234567", "mtn_ng"),
            ("+2348051234567", "glo_ng"),
            ("+2348021234567", "airtel_ng"),
            ("+2348091234567", "ninemobile_ng"),
            ("+2347020234567", "smile_ng"),
        ];
        for (number, expected) in table {
            assert_eq!(network(&plan, number), expected, "{number}");
        }
        assert_eq!(plan.network("yas_tz"), plan.network("tigo_tz"));
        assert_eq!(plan.network("t2_ng"), plan.network("ninemobile_ng"));
    }

    #[test]
    fn a_plan_with_an_unknown_key_is_refused_with_its_place() {
        let text = BUILT_IN.replacen("dated =", "datde =", 1);
        let error = parse(&text).unwrap_err().to_string();
        assert!(error.contains("datde"), "{error}");
    }
}
