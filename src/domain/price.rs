//! Lives here: what a segment costs an organisation, by country, network and class.
//! Never here: what carriers charge us (`route`), balances (`ledger`).

use std::collections::HashMap;

use super::class::Class;
use super::credits::Credits;
use super::ids::{NetworkId, OrgId};

/// What a segment costs where nothing else is said: one credit.
pub const DEFAULT: Credits = Credits::whole(1);

/// What a price is for; what is absent is for all.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// Whose messages.
    pub org: Option<OrgId>,
    /// To numbers of which country: its ISO 3166 code.
    pub country: Option<Box<str>>,
    /// To which network.
    pub network: Option<NetworkId>,
    /// Of which class.
    pub class: Option<Class>,
}

impl Scope {
    fn covers(&self, country: &str, network: Option<&NetworkId>, class: Class) -> bool {
        self.class.is_none_or(|one| one == class)
            && self.country.as_deref().is_none_or(|one| one == country)
            && self.network.as_ref().is_none_or(|one| Some(one) == network)
    }

    /// The organisation's own comes before the network's, this before the country's, this before the
    /// class's.
    const fn weight(&self) -> u8 {
        let [org, network, country, class] = [
            self.org.is_some(),
            self.network.is_some(),
            self.country.is_some(),
            self.class.is_some(),
        ];
        8 * org as u8 + 4 * network as u8 + 2 * country as u8 + class as u8
    }
}

/// A price for each segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// What it is for.
    pub scope: Scope,
    /// The price.
    pub per_segment: Credits,
}

/// All prices. Looking one up reads only those of the organisation and those of all.
#[derive(Clone, Debug, Default)]
pub struct PriceList {
    /// The most specific first.
    of_org: HashMap<OrgId, Vec<Price>>,
    of_all: Vec<Price>,
}

impl PriceList {
    /// The list of these prices.
    pub fn new(mut prices: Vec<Price>) -> Self {
        prices.sort_by(|a, b| {
            let weights = b.scope.weight().cmp(&a.scope.weight());
            weights.then_with(|| a.scope.cmp(&b.scope))
        });
        let mut list = Self::default();
        for price in prices {
            match price.scope.org {
                Some(org) => list.of_org.entry(org).or_default().push(price),
                None => list.of_all.push(price),
            }
        }
        list
    }

    /// What a segment costs to a number of this country and network. One of no known network has the
    /// price of all networks.
    pub fn of(
        &self,
        org: OrgId,
        country: &str,
        network: Option<&NetworkId>,
        class: Class,
    ) -> Credits {
        let own = self.of_org.get(&org).into_iter().flatten();
        own.chain(&self.of_all)
            .find(|price| price.scope.covers(country, network, class))
            .map_or(DEFAULT, |price| price.per_segment)
    }

    /// The prices, those of organisations first, each organisation's most specific first.
    pub fn all(&self) -> impl Iterator<Item = &Price> {
        let mut orgs: Vec<_> = self.of_org.iter().collect();
        orgs.sort_by_key(|(org, _)| **org);
        let own = orgs.into_iter().flat_map(|(_, prices)| prices);
        own.chain(&self.of_all)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    type For<'a> = (
        Option<u128>,
        Option<&'a str>,
        Option<&'a str>,
        Option<Class>,
    );

    fn price((org, country, network, class): For<'_>, milli: i64) -> Price {
        Price {
            scope: Scope {
                org: org.map(|org| OrgId(Uuid::from_u128(org))),
                country: country.map(Into::into),
                network: network.map(|network| NetworkId(network.into())),
                class,
            },
            per_segment: Credits(milli),
        }
    }

    #[test]
    fn the_most_specific_price_holds() {
        let list = PriceList::new(vec![
            price((None, None, None, Some(Class::Otp)), 1_200),
            price((None, Some("TZ"), None, None), 950),
            price((None, None, Some("vodacom_tz"), None), 900),
            price((Some(1), None, None, None), 800),
            price((Some(1), Some("TZ"), None, Some(Class::Otp)), 750),
            price((Some(1), None, Some("vodacom_tz"), Some(Class::Otp)), 700),
        ]);
        let of = |org: u128, country: &str, network: &str, class| {
            let network = NetworkId(network.into());
            let org = OrgId(Uuid::from_u128(org));
            list.of(org, country, Some(&network), class).0
        };
        assert_eq!(of(2, "NG", "mtn_ng", Class::Promotional), 1_000);
        assert_eq!(of(2, "NG", "mtn_ng", Class::Otp), 1_200);
        assert_eq!(of(2, "TZ", "tigo_tz", Class::Otp), 950);
        assert_eq!(of(2, "TZ", "vodacom_tz", Class::Otp), 900);
        assert_eq!(of(1, "NG", "mtn_ng", Class::Otp), 800);
        assert_eq!(of(1, "TZ", "tigo_tz", Class::Otp), 750);
        assert_eq!(of(1, "TZ", "vodacom_tz", Class::Otp), 700);
        assert_eq!(of(1, "TZ", "vodacom_tz", Class::Promotional), 800);
        let org = OrgId(Uuid::from_u128(2));
        assert_eq!(list.of(org, "NG", None, Class::Promotional), DEFAULT);
        assert_eq!(list.of(org, "TZ", None, Class::Promotional), Credits(950));
        assert_eq!(list.all().count(), 6);
    }
}
