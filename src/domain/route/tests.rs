//! Lives here: what the plan decides, by tables and by properties.
//! Never here: anything but tests.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::{prop_assert, prop_assert_eq, proptest};
use uuid::Uuid;

use super::score::Scoreboard;
use super::*;
use crate::domain::capability::Pattern;
use crate::domain::numbering::{Country, Network, PlacedBy};

const NOW: Timestamp = Timestamp(1_775_390_584_485);
const NETWORKS: [&str; 3] = ["one", "two", "three"];
const ACCOUNTS: u16 = 8;

fn plan() -> Plan {
    let countries = vec![Country {
        code: "TZ".into(),
        calling_code: "255".into(),
        national_digits: 9,
        mobile_prefixes: vec!["6".into(), "7".into()],
    }];
    let network = |id: &str| Network {
        id: NetworkId(id.into()),
        country: 0,
        telco: id.into(),
        aliases: Vec::new(),
    };
    let prefixes = [("74", 0), ("75", 1), ("76", 2)];
    let prefixes = prefixes.map(|(prefix, network)| (prefix.into(), network));
    Plan::new(countries, NETWORKS.map(network).into(), &prefixes).unwrap()
}

/// Account n belongs to network n mod 3.
fn accounts(classes: impl Fn(u16) -> ClassSet, takes: impl Fn(u16) -> Capability) -> Vec<Account> {
    let account = |n: u16| {
        let network = NETWORKS[usize::from(n) % 3];
        let id = CarrierId(format!("account{n}").into());
        Account::new(id, NetworkId(network.into()), classes(n), takes(n))
    };
    (0..ACCOUNTS).map(account).collect()
}

/// Accounts that can take anything.
fn able() -> Vec<Account> {
    accounts(|_| ClassSet::ALL, |_| Capability::default())
}

fn any() -> Match {
    Match {
        country: None,
        network: None,
        classes: ClassSet::ALL,
        sender: None,
        org: None,
    }
}

fn rule(strategy: Strategy, targets: &[(u16, u32, u64)]) -> Rule {
    let target = |(carrier, weight, cost): &(u16, u32, u64)| Target {
        carrier: CarrierIndex(*carrier),
        weight: *weight,
        cost: Some(*cost),
    };
    Rule {
        name: strategy.name().into(),
        matches: any(),
        strategy,
        targets: targets.iter().map(target).collect(),
    }
}

fn table(rules: Vec<Rule>) -> Table {
    Table::new(plan(), able(), vec![None]).with_rules(rules)
}

fn ask(to: u64, class: Class, from: &Sender) -> Ask<'_> {
    Ask {
        to: Msisdn::from_digits(&to.to_string()).unwrap(),
        from,
        class,
        org: OrgId(Uuid::from_u128(1)),
        segments: 1,
        live: true,
    }
}

fn sender() -> Sender {
    Sender::parse("BANK").unwrap()
}

fn order(table: &Table, to: u64, class: Class) -> Vec<u16> {
    order_at(table, to, class, &Scores::default(), NOW)
}

fn order_at(table: &Table, to: u64, class: Class, scores: &Scores, now: Timestamp) -> Vec<u16> {
    let sender = sender();
    let decision = table.decide(&ask(to, class, &sender), scores, now).unwrap();
    let order = decision.order.iter();
    order.map(|ranked| ranked.target.carrier.0).collect()
}

#[test]
fn without_a_rule_the_accounts_of_the_network_carry_it_in_their_order() {
    let table = table(Vec::new());
    assert_eq!(order(&table, 255_740_000_000, Class::Otp), [0, 3, 6]);
    assert_eq!(order(&table, 255_750_000_000, Class::Otp), [1, 4, 7]);
    assert!(order(&table, 255_710_000_000, Class::Otp).is_empty());
    let fallback = Table::new(plan(), able(), vec![Some(CarrierIndex(5))]);
    assert_eq!(order(&fallback, 255_710_000_000, Class::Otp), [5]);
}

#[test]
fn the_first_rule_that_matches_decides_by_each_of_its_keys() {
    let with = |name: &str, matches: Match, target: u16| Rule {
        name: name.into(),
        matches,
        ..rule(Strategy::Priority, &[(target, 1, 1)])
    };
    let rules = vec![
        with(
            "org",
            Match {
                org: Some(OrgId(Uuid::from_u128(9))),
                ..any()
            },
            1,
        ),
        with(
            "sender",
            Match {
                sender: Some(Pattern("PAY*".into())),
                ..any()
            },
            2,
        ),
        with(
            "otp",
            Match {
                classes: ClassSet::of([Class::Otp]),
                ..any()
            },
            3,
        ),
        with(
            "network",
            Match {
                network: Some(1),
                ..any()
            },
            4,
        ),
        with(
            "country",
            Match {
                country: Some(0),
                ..any()
            },
            5,
        ),
        with("never", any(), 6),
    ];
    let table = table(rules);
    let (bank, pay) = (sender(), Sender::parse("PayDay").unwrap());
    let found = |ask: &Ask<'_>| {
        let decision = table.decide(ask, &Scores::default(), NOW).unwrap();
        table.rules()[decision.rule.unwrap()].name.to_string()
    };
    let base = ask(255_740_000_000, Class::Promotional, &bank);
    assert_eq!(found(&base), "country");
    assert_eq!(
        found(&ask(255_750_000_000, Class::Promotional, &bank)),
        "network"
    );
    assert_eq!(found(&ask(255_750_000_000, Class::Otp, &bank)), "otp");
    assert_eq!(found(&ask(255_750_000_000, Class::Otp, &pay)), "sender");
    let org = OrgId(Uuid::from_u128(9));
    assert_eq!(found(&Ask { org, ..base }), "org");
}

#[test]
fn a_ported_number_is_routed_by_its_new_network() {
    let number = Msisdn::from_digits("255740000000").unwrap();
    let ported = Overlay::new(vec![Overlay::row(number, 2)]).unwrap();
    let table = table(Vec::new()).with_ported(ported);
    let sender = sender();
    let ask = ask(255_740_000_000, Class::Otp, &sender);
    let decision = table.decide(&ask, &Scores::default(), NOW).unwrap();
    assert_eq!(decision.place.by, PlacedBy::Ported);
    assert_eq!(order(&table, 255_740_000_000, Class::Otp), [2, 5]);
}

#[test]
fn what_an_account_does_not_take_stands_last_and_is_never_chosen() {
    let classes = |n: u16| match n {
        1 => ClassSet::of([Class::Promotional]),
        _ => ClassSet::ALL,
    };
    let takes = |n: u16| Capability {
        parts_max: if n == 0 { 1 } else { 10 },
        senders: (n == 2)
            .then(|| Pattern("SHOP*".into()))
            .into_iter()
            .collect(),
        ..Capability::default()
    };
    let targets = [(0, 1, 1), (1, 1, 1), (2, 1, 1), (3, 1, 1)];
    let table = Table::new(plan(), accounts(classes, takes), vec![None])
        .with_rules(vec![rule(Strategy::Priority, &targets)]);
    let sender = sender();
    let ask = Ask {
        segments: 2,
        ..ask(255_740_000_000, Class::Otp, &sender)
    };
    let decision = table.decide(&ask, &Scores::default(), NOW).unwrap();
    let unfit: Vec<_> = decision
        .order
        .iter()
        .map(|ranked| (ranked.target.carrier.0, ranked.unfit))
        .collect();
    assert_eq!(
        unfit,
        [
            (3, None),
            (0, Some(Unfit::Message(capability::Unfit::Parts))),
            (1, Some(Unfit::Class)),
            (2, Some(Unfit::Message(capability::Unfit::SenderUnknown))),
        ]
    );
    let in_use = |_| Standing::InUse;
    assert_eq!(decision.pick(&[CarrierIndex(3)], in_use), None);
}

#[test]
fn weights_are_met_over_many_numbers_and_stand_by_targets_come_last() {
    let targets = [(0, 5, 1), (1, 3, 1), (2, 2, 1), (3, 0, 1)];
    let table = table(vec![rule(Strategy::Weighted, &targets)]);
    let mut firsts = [0_u32; 4];
    for to in 255_740_000_000..255_740_010_000_u64 {
        let order = order(&table, to, Class::Promotional);
        firsts[usize::from(order[0])] += 1;
        assert_eq!(order[3], 3);
    }
    for (first, share) in firsts.iter().zip([0.5, 0.3, 0.2, 0.0]) {
        let found = f64::from(*first) / 10_000.0;
        assert!((found - share).abs() < 0.02, "{firsts:?}");
    }
}

#[test]
fn a_weighted_target_that_goes_moves_only_its_own_recipients() {
    let all = table(vec![rule(
        Strategy::Weighted,
        &[(0, 2, 1), (1, 1, 1), (2, 1, 1)],
    )]);
    let fewer = table(vec![rule(Strategy::Weighted, &[(0, 2, 1), (2, 1, 1)])]);
    for to in 255_740_000_000..255_740_001_000_u64 {
        let (before, after) = (order(&all, to, Class::Otp), order(&fewer, to, Class::Otp));
        let left: Vec<u16> = before.into_iter().filter(|carrier| *carrier != 1).collect();
        assert_eq!(left, after);
    }
}

fn known(rates: &[(u16, u32, f32)]) -> Scores {
    let mut board = Scoreboard::default();
    let key = NetworkKey::new(&NetworkId("one".into()));
    for (carrier, percent, seconds) in rates {
        for n in 0..1_000 {
            for class in Class::ALL {
                let took = Duration::from_secs_f32(*seconds);
                let delivered = (n % 100 < *percent).then_some(took);
                board.receipt(CarrierIndex(*carrier), key, class, delivered, NOW);
            }
        }
    }
    board.snapshot(NOW)
}

#[test]
fn predictive_prefers_what_delivers_then_what_is_quick_then_what_is_cheap() {
    let predictive = |costs: [u64; 2]| {
        let targets = [(0, 1, costs[0]), (1, 1, costs[1])];
        table(vec![rule(Strategy::Predictive, &targets)])
    };
    let first = |table: &Table, scores: &Scores, class| {
        order_at(table, 255_740_000_000, class, scores, NOW)[0]
    };
    let equal = predictive([10, 10]);
    assert_eq!(first(&equal, &Scores::default(), Class::Otp), 0);
    assert_eq!(
        first(&equal, &known(&[(0, 70, 3.0), (1, 97, 3.0)]), Class::Otp),
        1
    );
    assert_eq!(
        first(&equal, &known(&[(0, 97, 30.0), (1, 97, 3.0)]), Class::Otp),
        1
    );
    let dear = predictive([10, 5]);
    let same = known(&[(0, 97, 3.0), (1, 97, 3.0)]);
    assert_eq!(first(&dear, &same, Class::Promotional), 1);
    // A little worse and half the price: bulk takes it, a code does not.
    let worse = known(&[(0, 97, 3.0), (1, 85, 3.0)]);
    assert_eq!(first(&dear, &worse, Class::Promotional), 1);
    assert_eq!(first(&dear, &worse, Class::Otp), 0);
}

#[test]
fn a_few_recipients_explore_others_each_hour_and_none_with_otp() {
    let targets = [(0, 1, 1), (1, 1, 1), (2, 1, 1)];
    let table = table(vec![rule(Strategy::Predictive, &targets)]);
    // Account 2 is known to be bad: nobody needs to find out.
    let scores = known(&[(0, 97, 3.0), (2, 10, 3.0)]);
    let explorers = |class, now| {
        let explores = |to: &u64| order_at(&table, *to, class, &scores, now)[0] != 0;
        (255_740_000_000..255_740_010_000_u64)
            .filter(explores)
            .collect::<BTreeSet<u64>>()
    };
    assert!(explorers(Class::Otp, NOW).is_empty());
    let now = explorers(Class::Promotional, NOW);
    assert!((250..350).contains(&now.len()), "{}", now.len());
    for to in &now {
        let order = order_at(&table, *to, Class::Promotional, &scores, NOW);
        assert_eq!(order, [1, 0, 2]);
    }
    let later = explorers(Class::Promotional, NOW + Duration::from_secs(3600));
    assert!(now.intersection(&later).count() < 40);
}

#[test]
fn the_difference_of_two_plans_is_said_line_by_line() {
    let named = |name: &str, rule: Rule| Rule {
        name: name.into(),
        ..rule
    };
    let old = table(vec![
        named("gone", rule(Strategy::Priority, &[(0, 1, 1)])),
        named(
            "kept",
            rule(Strategy::Weighted, &[(0, 1, 1), (1, 2, 1), (2, 1, 1)]),
        ),
        named("other", rule(Strategy::Priority, &[(0, 1, 1)])),
    ]);
    let kept = Rule {
        matches: Match {
            country: Some(0),
            classes: ClassSet::of([Class::Otp]),
            sender: Some(Pattern("BANK*".into())),
            ..any()
        },
        ..rule(Strategy::LeastCost, &[(1, 3, 7), (0, 1, 1), (3, 1, 1)])
    };
    let number = Msisdn::from_digits("255740000000").unwrap();
    let ported = Overlay::new(vec![Overlay::row(number, 2)]).unwrap();
    let new = table(vec![
        named("other", rule(Strategy::Priority, &[(0, 1, 1)])),
        named("kept", kept),
        named("new", rule(Strategy::Predictive, &[(4, 1, 1), (5, 1, 1)])),
    ]);
    let new = new.with_ported(ported);
    assert_eq!(
        diff::lines(&old, &new),
        [
            "rule gone removed",
            "rule kept: for TZ, otp, sender BANK* instead of everything",
            "rule kept: least_cost instead of weighted",
            "rule kept: target account2 removed",
            "rule kept: target account1 has weight 3 instead of 2",
            "rule kept: target account1 costs 7 instead of 1",
            "rule kept: target account3 added",
            "rule kept: targets in another order: account1, account0, account3",
            "rule new added: predictive over account4, account5",
            "rules in another order: other, kept; before: kept, other",
            "ported numbers: 1 rows, before 0: 1 added, 0 removed, 0 to another network",
        ]
    );
    assert!(diff::lines(&old, &old).is_empty());
}

#[test]
fn a_plan_is_laid_over_the_accounts_that_run_by_their_ids() {
    let mut running = able();
    running.reverse();
    let table = table(vec![rule(Strategy::Priority, &[(0, 1, 1), (2, 1, 1)])]);
    let over = table.over(&running).unwrap();
    let names: Vec<&str> = over.rules()[0]
        .targets
        .iter()
        .map(|target| over.name(target))
        .collect();
    assert_eq!(names, ["account0", "account2"]);
    assert_eq!(order(&over, 255_740_000_000, Class::Otp), [7, 5]);
    let stranger = over.over(&running[..6]).unwrap_err();
    assert_eq!(stranger.to_string(), "rule priority names account account0");
}

fn strategies() -> impl proptest::strategy::Strategy<Value = Strategy> {
    proptest::sample::select(Strategy::ALL.to_vec())
}

fn standings() -> impl proptest::strategy::Strategy<Value = Vec<Standing>> {
    let all = [
        Standing::InUse,
        Standing::Open,
        Standing::Paused,
        Standing::Draining,
    ];
    let one = proptest::sample::select(all.to_vec());
    proptest::collection::vec(one, usize::from(ACCOUNTS))
}

proptest! {
    #[test]
    fn every_order_is_a_permutation_of_the_targets_with_the_fitting_ones_first(
        strategy in strategies(),
        class in 0..3_usize,
        targets in proptest::collection::btree_map(0..ACCOUNTS, (0_u32..10, 0_u64..5), 1..8),
        rates in proptest::collection::vec((0..ACCOUNTS, 0_u32..100, 0.1_f32..100.0), 0..4),
        parts in proptest::collection::vec(0_u8..3, usize::from(ACCOUNTS)),
        to in 255_740_000_000_u64..255_770_000_000,
        at in 0_i64..4_000_000_000_000,
    ) {
        let targets: Vec<_> = targets.into_iter().map(|(n, (weight, cost))| (n, weight, cost)).collect();
        let takes = |n: u16| Capability { parts_max: parts[usize::from(n)], ..Capability::default() };
        let table = Table::new(plan(), accounts(|_| ClassSet::ALL, takes), vec![None])
            .with_rules(vec![rule(strategy, &targets)]);
        let sender = sender();
        let ask = ask(to, Class::ALL[class], &sender);
        let scores = known(&rates);
        let decision = table.decide(&ask, &scores, Timestamp(at)).unwrap();
        let found: BTreeSet<u16> = decision.order.iter().map(|ranked| ranked.target.carrier.0).collect();
        prop_assert_eq!(decision.order.len(), targets.len());
        prop_assert_eq!(found, targets.iter().map(|target| target.0).collect());
        let fits = |ranked: &Ranked| parts[ranked.target.carrier.index()] >= 1;
        prop_assert!(decision.order.iter().all(|ranked| ranked.unfit.is_none() == fits(ranked)));
        prop_assert!(decision.order.is_sorted_by_key(|ranked| ranked.unfit.is_some()));
        // The same question has the same answer.
        let again = table.decide(&ask, &scores, Timestamp(at)).unwrap();
        let carriers = |decision: &Decision| -> Vec<u16> {
            decision.order.iter().map(|ranked| ranked.target.carrier.0).collect()
        };
        prop_assert_eq!(carriers(&decision), carriers(&again));
    }

    #[test]
    fn least_cost_never_prefers_the_dearer(
        targets in proptest::collection::btree_map(0..ACCOUNTS, 0_u64..100, 1..8),
        to in 255_740_000_000_u64..255_770_000_000,
    ) {
        let targets: Vec<_> = targets.into_iter().map(|(n, cost)| (n, 1, cost)).collect();
        let table = table(vec![rule(Strategy::LeastCost, &targets)]);
        let sender = sender();
        let decision = table.decide(&ask(to, Class::Otp, &sender), &Scores::default(), NOW).unwrap();
        prop_assert!(decision.order.is_sorted_by_key(|ranked| (ranked.target.cost, ranked.target.carrier)));
    }

    #[test]
    fn an_account_out_of_use_is_never_chosen_while_another_is_in_use(
        strategy in strategies(),
        targets in proptest::collection::btree_map(0..ACCOUNTS, (0_u32..10, 0_u64..5), 1..8),
        standings in standings(),
        tried in proptest::collection::vec(0..ACCOUNTS, 0..4),
        to in 255_740_000_000_u64..255_770_000_000,
    ) {
        let targets: Vec<_> = targets.into_iter().map(|(n, (weight, cost))| (n, weight, cost)).collect();
        let table = table(vec![rule(strategy, &targets)]);
        let sender = sender();
        let decision = table.decide(&ask(to, Class::Promotional, &sender), &Scores::default(), NOW).unwrap();
        let tried: Vec<_> = tried.into_iter().map(CarrierIndex).collect();
        let choice = decision.pick(&tried, |carrier| standings[carrier.index()]);
        let left: Vec<_> = decision
            .order
            .iter()
            .map(|ranked| ranked.target.carrier)
            .filter(|carrier| !tried.contains(carrier))
            .collect();
        let of = |carrier: &CarrierIndex| standings[carrier.index()];
        let first = left.iter().find(|carrier| of(carrier) == Standing::InUse);
        match (choice, first) {
            (Some(choice), Some(first)) => {
                prop_assert_eq!((choice.carrier, choice.available), (*first, true));
            }
            (Some(choice), None) => {
                prop_assert!(!choice.available && left.contains(&choice.carrier));
                let drained = of(&choice.carrier) == Standing::Draining;
                prop_assert!(!drained || left.iter().all(|carrier| of(carrier) == Standing::Draining));
            }
            (None, _) => prop_assert!(left.is_empty()),
        }
    }
}
