//! Lives here: the routing plan as a pure decision: which accounts may carry a message, in which
//! order, and why.
//! Never here: how the plan's file looks (`config`), how accounts stand at the moment
//! (`flow::health`).

use smallvec::SmallVec;

use super::class::Class;
use super::ids::{CarrierIndex, NetworkId, OrgId};
use super::message::Message;
use super::numbering::Plan;
use super::phone::{Msisdn, Sender};

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

/// The plan in force: numbers to networks, networks to accounts.
#[derive(Debug, Default)]
pub struct Table {
    plan: Plan,
    /// By the plan's index of networks: the accounts that carry each, the first choice first.
    routes: Vec<SmallVec<[CarrierIndex; 4]>>,
    /// By the plan's index of countries: where mobile numbers of unknown networks go.
    fallback: Vec<Option<CarrierIndex>>,
}

impl Table {
    /// `accounts` are the configured accounts' networks, in order; accounts of a network carry it
    /// in this order. `fallback` names an account for each country that has one.
    pub fn new(plan: Plan, accounts: &[NetworkId], fallback: Vec<Option<CarrierIndex>>) -> Self {
        let carrying = |network: &NetworkId| {
            accounts
                .iter()
                .zip(0..)
                .filter(|(carried, _)| *carried == network)
                .map(|(_, index)| CarrierIndex(index))
                .collect()
        };
        Self {
            routes: plan
                .networks()
                .iter()
                .map(|network| carrying(&network.id))
                .collect(),
            plan,
            fallback,
        }
    }

    /// The numbering plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The accounts that may carry this, the first choice first.
    pub fn targets(&self, ask: &Ask<'_>) -> SmallVec<[CarrierIndex; 4]> {
        let Some((country, network)) = self.plan.place(ask.to) else {
            return SmallVec::new();
        };
        match network {
            Some(network) => self.routes[network].clone(),
            None => self.fallback[country].into_iter().collect(),
        }
    }
}
