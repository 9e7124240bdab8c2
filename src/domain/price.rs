//! Lives here: what a segment costs an organisation, by network and class.
//! Never here: what carriers charge us (`route`), balances (`ledger`).

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
    /// To which network.
    pub network: Option<NetworkId>,
    /// Of which class.
    pub class: Option<Class>,
}

impl Scope {
    fn covers(&self, org: OrgId, network: Option<&NetworkId>, class: Class) -> bool {
        self.org.is_none_or(|one| one == org)
            && self.class.is_none_or(|one| one == class)
            && self.network.as_ref().is_none_or(|one| Some(one) == network)
    }

    /// The organisation's own comes before the network's, this before the class's.
    const fn weight(&self) -> u8 {
        4 * self.org.is_some() as u8 + 2 * self.network.is_some() as u8 + self.class.is_some() as u8
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

/// All prices.
#[derive(Clone, Debug, Default)]
pub struct PriceList {
    /// The most specific first.
    prices: Vec<Price>,
}

impl PriceList {
    /// The list of these prices.
    pub fn new(mut prices: Vec<Price>) -> Self {
        prices.sort_by(|a, b| {
            let weights = b.scope.weight().cmp(&a.scope.weight());
            weights.then_with(|| a.scope.cmp(&b.scope))
        });
        Self { prices }
    }

    /// What a segment costs. A number of no known network has the price of all networks.
    pub fn of(&self, org: OrgId, network: Option<&NetworkId>, class: Class) -> Credits {
        self.prices
            .iter()
            .find(|price| price.scope.covers(org, network, class))
            .map_or(DEFAULT, |price| price.per_segment)
    }

    /// The prices, the most specific first.
    pub fn all(&self) -> &[Price] {
        &self.prices
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn price(org: Option<u128>, network: Option<&str>, class: Option<Class>, milli: i64) -> Price {
        Price {
            scope: Scope {
                org: org.map(|org| OrgId(Uuid::from_u128(org))),
                network: network.map(|network| NetworkId(network.into())),
                class,
            },
            per_segment: Credits(milli),
        }
    }

    #[test]
    fn the_most_specific_price_holds() {
        let list = PriceList::new(vec![
            price(None, None, Some(Class::Otp), 1_200),
            price(None, Some("vodacom_tz"), None, 900),
            price(Some(1), None, None, 800),
            price(Some(1), Some("vodacom_tz"), Some(Class::Otp), 700),
        ]);
        let of = |org: u128, network: &str, class| {
            let network = NetworkId(network.into());
            list.of(OrgId(Uuid::from_u128(org)), Some(&network), class)
                .0
        };
        assert_eq!(of(2, "mtn_ng", Class::Promotional), 1_000);
        assert_eq!(of(2, "mtn_ng", Class::Otp), 1_200);
        assert_eq!(of(2, "vodacom_tz", Class::Otp), 900);
        assert_eq!(of(1, "mtn_ng", Class::Otp), 800);
        assert_eq!(of(1, "vodacom_tz", Class::Otp), 700);
        assert_eq!(of(1, "vodacom_tz", Class::Promotional), 800);
        let nowhere = list.of(OrgId(Uuid::from_u128(2)), None, Class::Promotional);
        assert_eq!(nowhere, DEFAULT);
    }
}
