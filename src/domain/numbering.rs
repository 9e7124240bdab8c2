//! Lives here: the numbering plan as a look-up: from a number as typed to its country and network.
//! Never here: reading files (`ingest` owns their formats).

mod overlay;

pub use self::overlay::{NETWORKS_MAX, Overlay};
use super::ids::NetworkId;
use super::phone::{Msisdn, Typed};

/// A country's rules for its national numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Country {
    /// ISO 3166 code, two capital letters.
    pub code: Box<str>,
    /// Calling code without plus.
    pub calling_code: Box<str>,
    /// Digits after the calling code.
    pub national_digits: usize,
    /// Prefixes of national numbers that are mobile at all.
    pub mobile_prefixes: Vec<Box<str>>,
}

/// A network and the national prefixes that are its own, before portability.
#[derive(Clone, Debug)]
pub struct Network {
    /// Its id.
    pub id: NetworkId,
    /// Index into the plan's countries.
    pub country: usize,
    /// The public name (`airtel` in both countries).
    pub telco: Box<str>,
    /// Other ids by which it may be named.
    pub aliases: Vec<Box<str>>,
}

/// What the plan says of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Located {
    /// The number in E.164.
    pub number: Msisdn,
    /// Index into [`Plan::countries`].
    pub country: usize,
    /// Index into [`Plan::networks`]; `None` = a mobile number of no known network.
    pub network: Option<usize>,
}

/// Where a number belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Index into [`Plan::countries`].
    pub country: usize,
    /// Index into [`Plan::networks`]; `None` = a mobile number of no known network.
    pub network: Option<usize>,
    /// How the network is known.
    pub by: PlacedBy,
}

/// How the network of a number is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlacedBy {
    /// The number has been ported: it is in the overlay.
    Ported,
    /// By its longest known prefix.
    Prefix,
    /// It is not.
    Nothing,
}

impl PlacedBy {
    /// The name in explanations.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ported => "ported",
            Self::Prefix => "prefix",
            Self::Nothing => "unknown",
        }
    }
}

/// Why the plan cannot place a number. Each says what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A local number without a country to read it in.
    #[error("the number is local; give it in E.164, or set the organisation's country")]
    LocalWithoutCountry,
    /// A country that is not in the plan.
    #[error("no carrier serves this country")]
    UnknownCountry,
    /// The wrong number of digits for its country.
    #[error("the number has the wrong number of digits for its country")]
    WrongLength,
    /// Not a mobile number.
    #[error("the number is not a mobile number")]
    NotMobile,
}

/// The plan: countries, networks and a prefix table, longest prefix first.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    countries: Vec<Country>,
    networks: Vec<Network>,
    /// `prefixes[n]` holds the full (calling code + national) prefixes of n digits, sorted.
    prefixes: Vec<Vec<(u64, usize)>>,
}

/// Longest calling code + national prefix that the table holds.
const PREFIX_DIGITS_MAX: usize = 12;

impl Plan {
    /// Builds the table. `prefixes` are (national prefix, index of its network).
    ///
    /// # Errors
    /// The prefix that is not 1 to 9 digits, or that two networks claim.
    pub fn new(
        countries: Vec<Country>,
        networks: Vec<Network>,
        prefixes: &[(Box<str>, usize)],
    ) -> Result<Self, Box<str>> {
        let mut table = vec![Vec::new(); PREFIX_DIGITS_MAX + 1];
        for (prefix, network) in prefixes {
            let country = &countries[networks[*network].country];
            let full = format!("{}{prefix}", country.calling_code);
            let value = full.parse::<u64>().map_err(|_| prefix.clone())?;
            if prefix.is_empty() || full.len() > PREFIX_DIGITS_MAX {
                return Err(prefix.clone());
            }
            table[full.len()].push((value, *network));
        }
        for row in &mut table {
            row.sort_unstable();
            if let Some(pair) = row.windows(2).find(|pair| pair[0].0 == pair[1].0) {
                return Err(pair[0].0.to_string().into());
            }
        }
        Ok(Self {
            countries,
            networks,
            prefixes: table,
        })
    }

    /// The countries, in file order.
    pub fn countries(&self) -> &[Country] {
        &self.countries
    }

    /// The networks, in file order.
    pub fn networks(&self) -> &[Network] {
        &self.networks
    }

    /// The index of a country by its ISO code.
    pub fn country(&self, code: &str) -> Option<usize> {
        self.countries
            .iter()
            .position(|country| &*country.code == code)
    }

    /// The index of a network by its id or one of its aliases.
    pub fn network(&self, name: &str) -> Option<usize> {
        self.networks.iter().position(|network| {
            *network.id.0 == *name || network.aliases.iter().any(|alias| **alias == *name)
        })
    }

    /// The prefixes of a network with their calling code, as numbers, the shorter first.
    pub fn prefixes(&self, network: usize) -> Vec<u64> {
        let all = self.prefixes.iter().flatten();
        all.filter(|entry| entry.1 == network)
            .map(|entry| entry.0)
            .collect()
    }

    /// Places a number as typed; a local one is read in `home`.
    ///
    /// # Errors
    /// [`PlanError`], each variant with its remedy.
    pub fn locate(&self, typed: Typed, home: Option<usize>) -> Result<Located, PlanError> {
        let (number, country) = match typed {
            Typed::International(number) => {
                let country = self
                    .countries
                    .iter()
                    .position(|country| number.digits().starts_with(&*country.calling_code))
                    .ok_or(PlanError::UnknownCountry)?;
                (number, country)
            }
            Typed::Local(local) => {
                let home = home.ok_or(PlanError::LocalWithoutCountry)?;
                let full = format!("{}{}", self.countries[home].calling_code, local.digits());
                let number = Msisdn::from_digits(&full).map_err(|_| PlanError::WrongLength)?;
                (number, home)
            }
        };
        let rules = &self.countries[country];
        let national = &number.digits()[rules.calling_code.len()..];
        if national.len() != rules.national_digits {
            return Err(PlanError::WrongLength);
        }
        if !rules
            .mobile_prefixes
            .iter()
            .any(|prefix| national.starts_with(&**prefix))
        {
            return Err(PlanError::NotMobile);
        }
        Ok(Located {
            number,
            country,
            network: self.network_of(number),
        })
    }

    /// Where a number in E.164 belongs, ported numbers first; `None` if no country of the plan has
    /// it.
    pub fn place(&self, number: Msisdn, ported: &Overlay) -> Option<Place> {
        let country = self
            .countries
            .iter()
            .position(|country| number.digits().starts_with(&*country.calling_code))?;
        let (network, by) = match ported.network(number) {
            Some(network) => (Some(network), PlacedBy::Ported),
            None => match self.network_of(number) {
                Some(network) => (Some(network), PlacedBy::Prefix),
                None => (None, PlacedBy::Nothing),
            },
        };
        Some(Place {
            country,
            network,
            by,
        })
    }

    fn network_of(&self, number: Msisdn) -> Option<usize> {
        let digits = number.digits();
        let longest = PREFIX_DIGITS_MAX.min(digits.len());
        let mut value = digits[..longest].parse::<u64>().ok()?;
        for length in (1..=longest).rev() {
            let row = &self.prefixes[length];
            if let Ok(found) = row.binary_search_by_key(&value, |entry| entry.0) {
                return Some(row[found].1);
            }
            value /= 10;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        let countries = vec![Country {
            code: "NG".into(),
            calling_code: "234".into(),
            national_digits: 10,
            mobile_prefixes: vec!["70".into(), "80".into()],
        }];
        let network = |id: &str| Network {
            id: NetworkId(id.into()),
            country: 0,
            telco: id.into(),
            aliases: Vec::new(),
        };
        let networks = vec![network("mtn_ng"), network("smile_ng")];
        Plan::new(
            countries,
            networks,
            &[("702".into(), 0), ("7020".into(), 1), ("803".into(), 0)],
        )
        .unwrap()
    }

    #[test]
    fn a_ported_number_is_of_its_new_network() {
        let plan = plan();
        let number = Msisdn::from_digits("2347020000000").unwrap();
        let placed = |overlay: &Overlay| plan.place(number, overlay).unwrap();
        let before = placed(&Overlay::default());
        assert_eq!((before.network, before.by), (Some(1), PlacedBy::Prefix));
        let overlay = Overlay::new(vec![Overlay::row(number, 0)]).unwrap();
        let after = placed(&overlay);
        assert_eq!((after.network, after.by), (Some(0), PlacedBy::Ported));
    }

    fn network(plan: &Plan, text: &str) -> Result<Option<String>, PlanError> {
        let typed = Msisdn::parse(text).unwrap();
        plan.locate(typed, Some(0)).map(|located| {
            located
                .network
                .map(|index| plan.networks()[index].id.to_string())
        })
    }

    #[test]
    fn the_longest_prefix_wins() {
        let plan = plan();
        assert_eq!(
            network(&plan, "+2347020000000"),
            Ok(Some("smile_ng".into()))
        );
        assert_eq!(network(&plan, "+2347025000000"), Ok(Some("mtn_ng".into())));
        assert_eq!(network(&plan, "08031234567"), Ok(Some("mtn_ng".into())));
        assert_eq!(network(&plan, "+2348090000000"), Ok(None));
    }

    #[test]
    fn numbers_outside_the_plan_are_named() {
        let plan = plan();
        assert_eq!(
            network(&plan, "+254700000000"),
            Err(PlanError::UnknownCountry)
        );
        assert_eq!(network(&plan, "+23480312345"), Err(PlanError::WrongLength));
        assert_eq!(network(&plan, "+2341803123456"), Err(PlanError::NotMobile));
        assert_eq!(network(&plan, "+2349003123456"), Err(PlanError::NotMobile));
        let typed = Msisdn::parse("08031234567").unwrap();
        assert_eq!(
            plan.locate(typed, None),
            Err(PlanError::LocalWithoutCountry)
        );
    }

    #[test]
    fn a_prefix_claimed_twice_is_refused() {
        let plan = plan();
        let refused = Plan::new(
            plan.countries().to_vec(),
            plan.networks().to_vec(),
            &[("803".into(), 0), ("803".into(), 1)],
        );
        assert_eq!(refused.unwrap_err(), "234803".into());
    }
}
