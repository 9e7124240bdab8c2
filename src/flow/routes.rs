//! Lives here: the routing plan in force, what is known of the accounts and how they stand, put
//! together for those who choose an account: `ingest` for new messages, `scheduler` for waiting
//! ones.
//! Never here: the plan's own rules (`domain::route`).

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use tokio::sync::oneshot;

use super::health::{Breaker, Health, Hold};
use super::signs::{Sign, SignedAnswer};
use crate::domain::class::Class;
use crate::domain::ids::CarrierIndex;
use crate::domain::route::score::{NetworkKey, Scoreboard, Scores};
use crate::domain::route::{Ask, Choice, Decision, Standing, Table};
use crate::domain::time::Timestamp;

/// The way to an account. One for the whole daemon.
#[derive(Debug)]
pub struct Routes {
    table: ArcSwap<Table>,
    scores: ArcSwap<Scores>,
    health: Arc<Health>,
    /// Where test messages go, and nothing else: behind the plan's accounts, which no rule can name.
    sandbox: CarrierIndex,
}

/// A wish to read the plans and what belongs to them again, all or nothing.
#[derive(Debug)]
pub struct Reload {
    /// What has changed, a line each; or why nothing has.
    pub done: oneshot::Sender<Result<Vec<String>, String>>,
}

impl Routes {
    /// A plan over these accounts, of which nothing is known yet.
    pub fn new(table: Table, health: Arc<Health>) -> Self {
        Self {
            sandbox: CarrierIndex(table.accounts().len() as u16),
            table: ArcSwap::from_pointee(table),
            scores: ArcSwap::default(),
            health,
        }
    }

    /// The account with which test messages stand.
    pub const fn sandbox(&self) -> CarrierIndex {
        self.sandbox
    }

    /// The plan in force now. Cheap; not to be held across a wait.
    pub fn table(&self) -> Guard<Arc<Table>> {
        self.table.load()
    }

    /// What is known of the accounts now. As [`Routes::table`].
    pub fn scores(&self) -> Guard<Arc<Scores>> {
        self.scores.load()
    }

    /// How the accounts stand.
    pub fn health(&self) -> &Arc<Health> {
        &self.health
    }

    /// Puts another plan over the same accounts in force, from the next decision on.
    pub fn replace(&self, table: Table) {
        self.table.store(Arc::new(table));
    }

    /// Counts a sign on the board of the one task that keeps it (`scheduler::health`). A receipt
    /// counts for its number's network; answers that say nothing of the account's system are left
    /// out.
    pub fn observe(&self, board: &mut Scoreboard, sign: &Sign, now: Timestamp) {
        match sign {
            Sign::Answer {
                carrier,
                class,
                answer,
                ..
            } => match answer {
                SignedAnswer::Accepted => board.answer(*carrier, *class, true, now),
                SignedAnswer::Failed | SignedAnswer::Silence => {
                    board.answer(*carrier, *class, false, now);
                }
                SignedAnswer::Throttled | SignedAnswer::Refused => {}
            },
            Sign::Receipt {
                carrier,
                to,
                class,
                delivered,
                took,
            } => {
                let table = self.table.load();
                let place = table.plan().place(*to, table.ported());
                let network = place.map_or(NetworkKey::ANY, |place| table.key(&place));
                board.receipt(*carrier, network, *class, delivered.then_some(*took), now);
            }
        }
    }

    /// Makes what the board knows now the base of decisions; by the same task, every second or so.
    pub fn publish(&self, scores: Scores) {
        self.scores.store(Arc::new(scores));
    }

    /// The account for a message: the plan's first fitting target that has not been tried and is
    /// in use; if none is in use, the first that has not been tried. `None`: no account may carry
    /// it (any more). A half-open account is in use for those few that it has invited; each such
    /// answer uses up an invitation.
    ///
    /// Every account that a message comes to is chosen here or by [`Routes::foresee`]: a test message's
    /// is the sandbox, a live one's never.
    pub fn choose(&self, ask: &Ask<'_>, tried: &[CarrierIndex], now: Timestamp) -> Option<Choice> {
        if !ask.live {
            return self.sandboxed(ask, tried);
        }
        let invited = |carrier| self.health.accept_invitation(carrier, ask.class);
        self.decide(ask, now)?.pick(tried, |carrier| {
            match self.standing(carrier, ask.class, now) {
                Standing::HalfOpen if invited(carrier) => Standing::InUse,
                standing => standing,
            }
        })
    }

    /// What [`Routes::choose`] would answer, for those who only ask: no invitation is used up, and
    /// none is counted on.
    pub fn foresee(&self, ask: &Ask<'_>, tried: &[CarrierIndex], now: Timestamp) -> Option<Choice> {
        if !ask.live {
            return self.sandboxed(ask, tried);
        }
        self.decide(ask, now)?
            .pick(tried, |carrier| self.standing(carrier, ask.class, now))
    }

    fn sandboxed(&self, ask: &Ask<'_>, tried: &[CarrierIndex]) -> Option<Choice> {
        let table = self.table.load();
        let place = table.plan().place(ask.to, table.ported())?;
        (!tried.contains(&self.sandbox)).then_some(Choice {
            carrier: self.sandbox,
            available: true,
            network: place.network,
        })
    }

    /// The plan's whole answer, with the order of all targets.
    pub fn decide(&self, ask: &Ask<'_>, now: Timestamp) -> Option<Decision> {
        self.table.load().decide(ask, &self.scores.load(), now)
    }

    /// How an account stands for a class, as [`Decision::pick`] asks.
    pub fn standing(&self, carrier: CarrierIndex, class: Class, now: Timestamp) -> Standing {
        let health = &self.health;
        let (hold, breaker) = (health.hold(carrier), health.breaker(carrier));
        match (hold, breaker) {
            (Hold::Draining, _) => Standing::Draining,
            (Hold::Paused, _) | (Hold::Free, Breaker::Open)
                if !health.is_given_up(carrier, class, now) =>
            {
                Standing::Awaited
            }
            (Hold::Paused, _) => Standing::Paused,
            (Hold::Free, Breaker::Open) => Standing::Open,
            (Hold::Free, Breaker::HalfOpen) => Standing::HalfOpen,
            (Hold::Free, Breaker::Closed) => Standing::InUse,
        }
    }

    /// Whether no other account could carry what this one carries, as the plan in force goes: it
    /// stands in no list beside one that is in use, or ready to be tried (which nobody does while this
    /// one is the choice of all).
    pub fn is_lone(&self, carrier: CarrierIndex) -> bool {
        let stands_in = |other| {
            self.health.breaker(other) != Breaker::Open && self.health.hold(other) == Hold::Free
        };
        !self.table.load().beside(carrier).any(stands_in)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::capability::Capability;
    use crate::domain::class::ClassSet;
    use crate::domain::ids::{CarrierId, NetworkId, OrgId};
    use crate::domain::numbering::{Country, Network, Plan};
    use crate::domain::phone::{Msisdn, Sender};
    use crate::domain::route::Account;

    const FIRST: CarrierIndex = CarrierIndex(0);
    const SECOND: CarrierIndex = CarrierIndex(1);
    const AT: Timestamp = Timestamp(1_000_000);

    /// A plan over two accounts of one network.
    pub(crate) fn two_of_a_network() -> Table {
        let tz = Country {
            code: "TZ".into(),
            calling_code: "255".into(),
            national_digits: 9,
            mobile_prefixes: vec!["7".into()],
        };
        let network = NetworkId("vodacom_tz".into());
        let vodacom = Network {
            id: network.clone(),
            country: 0,
            telco: "Vodacom".into(),
            aliases: Vec::new(),
        };
        let plan = Plan::new(vec![tz], vec![vodacom], &[("75".into(), 0)]).unwrap();
        let account = |id: &str| {
            let id = CarrierId(id.into());
            Account::new(id, network.clone(), ClassSet::ALL, Capability::default())
        };
        Table::new(plan, vec![account("first"), account("second")], vec![None])
    }

    fn routes() -> Routes {
        let patience = [Some(Duration::ZERO), Some(Duration::from_secs(5)), None];
        Routes::new(two_of_a_network(), Arc::new(Health::new(2, patience)))
    }

    fn choose(routes: &Routes, class: Class, now: Timestamp) -> CarrierIndex {
        let from = Sender::parse("MNARA").unwrap();
        routes.choose(&ask(&from, class), &[], now).unwrap().carrier
    }

    fn ask(from: &Sender, class: Class) -> Ask<'_> {
        Ask {
            to: Msisdn::from_digits("255753276939").unwrap(),
            from,
            class,
            org: OrgId(uuid::Uuid::nil()),
            segments: 1,
            live: true,
        }
    }

    #[test]
    fn each_class_stands_by_an_account_that_is_out_of_use_as_long_as_its_patience_lasts() {
        let routes = routes();
        routes.health().set_breaker(FIRST, Breaker::Open, AT);
        assert_eq!(choose(&routes, Class::Otp, AT), SECOND);
        assert_eq!(choose(&routes, Class::Transactional, AT), FIRST);
        let later = AT + Duration::from_secs(5);
        assert_eq!(choose(&routes, Class::Transactional, later), SECOND);
        assert_eq!(choose(&routes, Class::Promotional, later), FIRST);
        routes.health().set_hold(FIRST, Hold::Draining, later);
        assert_eq!(choose(&routes, Class::Promotional, later), SECOND);
    }

    #[test]
    fn a_half_open_account_is_chosen_by_those_it_invites_and_by_all_when_it_is_closed() {
        let routes = routes();
        let health = routes.health();
        health.set_breaker(FIRST, Breaker::Open, AT);
        health.set_breaker(FIRST, Breaker::HalfOpen, AT);
        assert_eq!(choose(&routes, Class::Promotional, AT), SECOND);
        health.invite(FIRST, 1, false);
        assert_eq!(choose(&routes, Class::Otp, AT), SECOND);
        assert_eq!(choose(&routes, Class::Promotional, AT), FIRST);
        assert_eq!(choose(&routes, Class::Promotional, AT), SECOND);
        health.set_breaker(FIRST, Breaker::Closed, AT);
        assert_eq!(choose(&routes, Class::Otp, AT), FIRST);
    }

    #[test]
    fn whoever_only_asks_uses_up_no_invitation() {
        let routes = routes();
        routes.health().set_breaker(FIRST, Breaker::HalfOpen, AT);
        routes.health().invite(FIRST, 1, false);
        let from = Sender::parse("MNARA").unwrap();
        let ask = ask(&from, Class::Promotional);
        for _ in 0..3 {
            let choice = routes.foresee(&ask, &[], AT).unwrap();
            assert_eq!(choice.carrier, SECOND);
        }
        assert_eq!(choose(&routes, Class::Promotional, AT), FIRST);
    }

    #[test]
    fn a_test_message_goes_to_the_sandbox_and_a_live_one_never() {
        let routes = routes();
        let sandbox = routes.sandbox();
        assert!(sandbox != FIRST && sandbox != SECOND);
        let from = Sender::parse("MNARA").unwrap();
        let choices = |live, tried: &[CarrierIndex]| {
            let ask = Ask {
                live,
                ..ask(&from, Class::Otp)
            };
            let chosen = routes.choose(&ask, tried, AT);
            assert_eq!(chosen, routes.foresee(&ask, tried, AT));
            chosen.map(|choice| choice.carrier)
        };
        for carrier in [FIRST, SECOND] {
            routes.health().set_breaker(carrier, Breaker::Open, AT);
            for tried in [&[][..], &[FIRST], &[FIRST, SECOND]] {
                assert_eq!(choices(false, tried), Some(sandbox));
                assert_ne!(choices(true, tried), Some(sandbox));
            }
        }
        assert_eq!(choices(false, &[sandbox]), None, "no carrier stands in");
        assert_eq!(choices(true, &[FIRST, SECOND]), None);
    }

    #[test]
    fn an_account_is_lone_when_the_others_of_its_lists_are_out_of_use() {
        let routes = routes();
        assert!(!routes.is_lone(FIRST));
        routes.health().set_hold(SECOND, Hold::Paused, AT);
        assert!(routes.is_lone(FIRST) && !routes.is_lone(SECOND));
        routes.health().set_hold(SECOND, Hold::Free, AT);
        routes.health().set_breaker(SECOND, Breaker::HalfOpen, AT);
        assert!(!routes.is_lone(FIRST), "the other only waits to be tried");
    }
}
