//! Lives here: why a message goes where it goes, for people and for programs. Dry runs and the
//! operator's question have this one answer.
//! Never here: the decision itself (`domain::route`), HTTP.

use serde::Serialize;

use crate::domain::capability;
use crate::domain::class::Class;
use crate::domain::ids::CarrierIndex;
use crate::domain::route::score::Scores;
use crate::domain::route::{Ask, Decision, Ranked, Standing, Strategy, Table, Unfit};
use crate::domain::sandbox;
use crate::domain::time::Timestamp;
use crate::flow::routes::Routes;

/// The routing of one message, with its reasons.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// The number, E.164.
    to: String,
    /// The sender that was asked about.
    from: Box<str>,
    class: &'static str,
    segments: u8,
    /// ISO 3166.
    country: Box<str>,
    /// The network's id; `None` = a mobile number of no known network.
    network: Option<Box<str>>,
    /// `ported`, `prefix` or `unknown`.
    network_by: &'static str,
    /// The rule that decides; `None` = none matches.
    rule: Option<Box<str>>,
    strategy: &'static str,
    /// What that means, a sentence.
    why: String,
    /// All targets, the first choice first.
    candidates: Vec<Candidate>,
    /// The account that a message sent now goes to; `None` = none may carry it.
    carrier: Option<Box<str>>,
    /// It is in use; otherwise the message waits for it.
    available: bool,
    /// The account in use that a waiting message takes when its class's patience has ended;
    /// `None` = there is none now, or it waits for good.
    then: Option<Box<str>>,
    /// That patience, in seconds since `carrier` went out of use.
    then_after_s: Option<u64>,
    /// What a segment costs us with it, in micro-units of money: told to operators, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_per_segment_micros: Option<u64>,
}

/// Who is told: what we pay carriers is not for customers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Somebody of ours.
    Operator,
    /// Whose message it is.
    Customer,
}

/// One target in its place.
#[derive(Debug, Serialize)]
struct Candidate {
    /// From 1.
    rank: usize,
    carrier: Box<str>,
    chosen: bool,
    /// Why it is passed over, as a code.
    skipped: Option<&'static str>,
    weight: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_per_segment_micros: Option<u64>,
    /// Under `predictive`.
    score: Option<f64>,
    /// The same in words.
    reason: String,
}

impl Explanation {
    /// The account that is chosen.
    pub fn carrier(&self) -> Option<&str> {
        self.carrier.as_deref()
    }

    /// The rule that decides; `None`: none matches.
    pub fn rule(&self) -> Option<&str> {
        self.rule.as_deref()
    }

    /// The same for a test message: whatever the plan says, the sandbox takes it.
    fn sandboxed(self) -> Self {
        Self {
            rule: None,
            why: "a test key's messages go to the sandbox, whatever the plan says".into(),
            candidates: Vec::new(),
            carrier: Some(sandbox::ACCOUNT.into()),
            available: true,
            then: None,
            then_after_s: None,
            cost_per_segment_micros: None,
            ..self
        }
    }
}

/// Explains what [`Routes::foresee`] answers to the same question at the same time; `None` if the
/// number is of no country of the plan.
pub fn explain(
    routes: &Routes,
    ask: &Ask<'_>,
    tried: &[CarrierIndex],
    now: Timestamp,
    told: Told,
) -> Option<Explanation> {
    let (table, scores) = (routes.table(), routes.scores());
    let decision = table.decide(ask, &scores, now)?;
    let choice = decision.pick(tried, |carrier| routes.standing(carrier, ask.class, now));
    let chosen =
        |ranked: &Ranked| choice.is_some_and(|choice| choice.carrier == ranked.target.carrier);
    let view = View {
        table: &table,
        scores: &scores,
        ask,
        decision: &decision,
        told,
    };
    let place = &decision.place;
    let candidates = decision.order.iter().zip(1..).map(|(ranked, rank)| {
        let carrier = ranked.target.carrier;
        let standing = routes.standing(carrier, ask.class, now);
        // As `Decision::pick` has it: what comes from another account has waited already.
        let standing = match standing {
            Standing::Awaited if !tried.is_empty() => Standing::Open,
            standing => standing,
        };
        let skipped = skipped(ranked, tried.contains(&carrier), standing);
        let chosen = choice.filter(|_| chosen(ranked));
        view.candidate(rank, ranked, skipped, chosen.map(|_| standing))
    });
    let cost = decision.order.iter().find(|ranked| chosen(ranked));
    let then = choice.filter(|choice| !choice.available).and_then(|first| {
        let standing = |carrier| routes.standing(carrier, ask.class, now);
        let patience = routes.health().patience(ask.class)?;
        let waits = tried.is_empty() && standing(first.carrier) == Standing::Awaited;
        let next = waits.then(|| decision.pick(&[first.carrier], standing))??;
        next.available.then_some((next.carrier, patience.as_secs()))
    });
    let explanation = Explanation {
        to: ask.to.to_string(),
        from: ask.from.as_str().into(),
        class: ask.class.name(),
        segments: ask.segments,
        country: table.plan().countries()[place.country].code.clone(),
        network: place
            .network
            .map(|index| (*table.plan().networks()[index].id.0).into()),
        network_by: place.by.name(),
        rule: decision.rule.map(|index| table.rules()[index].name.clone()),
        strategy: decision.strategy.name(),
        why: view.why(),
        candidates: candidates.collect(),
        carrier: choice.map(|choice| view.name(choice.carrier).into()),
        available: choice.is_some_and(|choice| choice.available),
        then: then.map(|(carrier, _)| view.name(carrier).into()),
        then_after_s: then.map(|(_, seconds)| seconds),
        cost_per_segment_micros: cost.and_then(|ranked| view.cost(ranked)),
    };
    Some(if ask.live {
        explanation
    } else {
        explanation.sandboxed()
    })
}

/// Why a target is passed over: a code and words.
fn skipped(
    ranked: &Ranked,
    tried: bool,
    standing: Standing,
) -> Option<(&'static str, &'static str)> {
    let words = match (ranked.unfit, tried, standing) {
        (Some(Unfit::Class), ..) => ("class", "it does not carry this class"),
        (Some(Unfit::Message(unfit)), ..) => (
            unfit.reason(),
            match unfit {
                capability::Unfit::SenderKind => "it does not take senders of this kind",
                capability::Unfit::SenderLength => "the sender is too short or too long for it",
                capability::Unfit::SenderUnknown => "the sender is not registered with it",
                capability::Unfit::Parts => "it does not take so many segments",
            },
        ),
        (None, true, _) => ("tried", "it has been tried with this message"),
        (None, false, Standing::Paused) => ("paused", "the operator has paused it"),
        (None, false, Standing::Draining) => ("draining", "the operator drains it"),
        (None, false, Standing::Open) => ("out_of_use", "it is out of use"),
        (None, false, Standing::HalfOpen) => (
            "half_open",
            "its breaker is half open: only a few messages try it",
        ),
        (None, false, Standing::InUse | Standing::Awaited) => return None,
    };
    Some(words)
}

/// One decision and what it was made of.
struct View<'a> {
    table: &'a Table,
    scores: &'a Scores,
    ask: &'a Ask<'a>,
    decision: &'a Decision,
    told: Told,
}

impl View<'_> {
    /// What a target costs us, for those who may know.
    fn cost(&self, ranked: &Ranked) -> Option<u64> {
        ranked.target.cost.filter(|_| self.told == Told::Operator)
    }

    fn name(&self, carrier: CarrierIndex) -> &str {
        let account = self.table.accounts().get(carrier.index());
        account.map_or("", |account| &account.id.0)
    }

    fn why(&self) -> String {
        let by = match self.decision.strategy {
            Strategy::Priority => "its targets are tried in the order of the list",
            Strategy::Weighted => "recipients are shared out by weight, and keep their route",
            Strategy::LeastCost => "the cheapest target comes first",
            Strategy::Predictive => {
                "targets are ordered by delivery rate, time to delivery and cost as they are now"
            }
        };
        match (self.decision.rule, self.decision.place.network) {
            (Some(rule), _) => {
                let name = &self.table.rules()[rule].name;
                format!("rule {name} is the first that matches; {by}")
            }
            (None, Some(_)) => {
                "no rule matches; the accounts of the network carry it, in the order of the \
                 configuration"
                    .into()
            }
            (None, None) => {
                "no rule matches, and no known network has the number; routing.unknown_network \
                 names the account"
                    .into()
            }
        }
    }

    fn candidate(
        &self,
        rank: usize,
        ranked: &Ranked,
        skipped: Option<(&'static str, &'static str)>,
        chosen: Option<Standing>,
    ) -> Candidate {
        let strategy = self.decision.strategy;
        let mut reason = self.reason(rank, ranked);
        if let Some((_, words)) = skipped {
            reason.push_str("; passed over: ");
            reason.push_str(words);
        }
        reason.push_str(match chosen {
            None | Some(Standing::InUse) => "",
            Some(Standing::Awaited) => {
                "; it is out of use, and messages of this class wait for it a while before they \
                 take another"
            }
            Some(Standing::HalfOpen | Standing::Open | Standing::Paused | Standing::Draining) => {
                "; chosen all the same: no target is in use, the message waits here"
            }
        });
        Candidate {
            rank,
            carrier: self.name(ranked.target.carrier).into(),
            chosen: chosen.is_some(),
            skipped: skipped.map(|(code, _)| code),
            weight: (strategy == Strategy::Weighted).then_some(ranked.target.weight),
            cost_per_segment_micros: self.cost(ranked),
            score: (strategy == Strategy::Predictive).then_some(ranked.score),
            reason,
        }
    }

    /// Why a target has its place.
    fn reason(&self, rank: usize, ranked: &Ranked) -> String {
        match self.decision.strategy {
            Strategy::Priority => format!("number {rank} in order"),
            Strategy::Weighted if ranked.target.weight == 0 => {
                "weight 0: only when no other can be used".into()
            }
            Strategy::Weighted => {
                let order = self.decision.order.iter();
                let all: u32 = order.map(|ranked| ranked.target.weight).sum();
                let mine = ranked.target.weight;
                format!("weight {mine} of {all}; number {rank} for this recipient")
            }
            Strategy::LeastCost => match (ranked.target.cost, self.cost(ranked)) {
                (_, Some(cost)) => format!("{} micro-units a segment", grouped(cost)),
                (Some(_), None) => format!("number {rank} by cost"),
                (None, None) => "no cost known".into(),
            },
            Strategy::Predictive => self.record(ranked),
        }
    }

    /// What is known of a target, in words.
    fn record(&self, ranked: &Ranked) -> String {
        let (carrier, class) = (ranked.target.carrier, self.ask.class);
        let key = self.table.key(&self.decision.place);
        let known = self.scores.known(carrier, key, class);
        let answered = f64::from(self.scores.answered(carrier, class)) * 100.0;
        let mut words = if known.count < 1.0 {
            format!(
                "too little is known here: {:.1} % delivered and a median of {:.1} s are assumed",
                f64::from(known.delivered) * 100.0,
                known.median,
            )
        } else {
            format!(
                "{:.1} % of {} delivered, median {:.1} s",
                f64::from(known.delivered_raw) * 100.0,
                grouped(known.count.round() as u64),
                known.median,
            )
        };
        words.push_str(&format!(
            ", {answered:.1} % answered, score {:.2}",
            ranked.score
        ));
        if ranked.explored {
            words.push_str(match class {
                Class::Otp => "",
                Class::Transactional | Class::Promotional => {
                    "; tried out first: a few recipients of each hour keep the others known"
                }
            });
        }
        words
    }
}

/// With a comma after each third digit.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;
    use crate::domain::capability::Capability;
    use crate::domain::class::ClassSet;
    use crate::domain::ids::{CarrierId, NetworkId, OrgId};
    use crate::domain::phone::{Msisdn, Sender};
    use crate::domain::route::score::Scoreboard;
    use crate::domain::route::{Account, Match, Rule, Target};
    use crate::flow::health::{Breaker, Health, Hold};
    use crate::flow::signs::Sign;
    use crate::ingest::plan;

    const NOW: Timestamp = Timestamp(1_775_390_584_485);

    fn routes(strategy: Strategy) -> Routes {
        routes_with(strategy, [Some(Duration::ZERO); 3])
    }

    fn routes_with(strategy: Strategy, patience: [Option<Duration>; 3]) -> Routes {
        let plan = plan::parse(plan::BUILT_IN).unwrap();
        let account = |id: &str| {
            let network = NetworkId("vodacom_tz".into());
            Account::new(
                CarrierId(id.into()),
                network,
                ClassSet::ALL,
                Capability::default(),
            )
        };
        let unknown = vec![None; plan.countries().len()];
        let targets = [(0, 3, 9_000), (1, 2, 8_500), (2, 0, 1_000_000)];
        let target = |(carrier, weight, cost)| Target {
            carrier: CarrierIndex(carrier),
            weight,
            cost: Some(cost),
        };
        let rule = Rule {
            name: "tz".into(),
            matches: Match {
                country: Some(0),
                network: None,
                classes: ClassSet::ALL,
                sender: None,
                org: None,
            },
            strategy,
            targets: targets.map(target).into(),
        };
        let accounts = ["one", "two", "three"].map(account).into();
        let table = Table::new(plan, accounts, unknown).with_rules(vec![rule]);
        Routes::new(table, Arc::new(Health::new(3, patience)))
    }

    fn told(routes: &Routes, tried: &[CarrierIndex], class: Class) -> Value {
        let from = Sender::parse("BANK").unwrap();
        let ask = Ask {
            to: Msisdn::from_digits("255753276939").unwrap(),
            from: &from,
            class,
            org: OrgId(Uuid::nil()),
            segments: 1,
            live: true,
        };
        let explanation = explain(routes, &ask, tried, NOW, Told::Operator).unwrap();
        let customers = explain(routes, &ask, tried, NOW, Told::Customer).unwrap();
        assert_eq!(customers.carrier(), explanation.carrier());
        let customers = serde_json::to_string(&customers).unwrap();
        assert!(!customers.contains("micro"), "what we pay: {customers}");
        let chosen = routes.choose(&ask, tried, NOW).map(|choice| choice.carrier);
        let names = ["one", "two", "three"];
        assert_eq!(
            explanation.carrier(),
            chosen.map(|carrier| names[carrier.index()])
        );
        serde_json::to_value(explanation).unwrap()
    }

    #[test]
    fn a_decision_is_told_with_all_its_reasons() {
        let routes = routes(Strategy::LeastCost);
        routes
            .health()
            .set_breaker(CarrierIndex(1), Breaker::Open, NOW);
        assert_eq!(
            told(&routes, &[CarrierIndex(2)], Class::Otp),
            json!({
                "to": "+255753276939", "from": "BANK", "class": "otp", "segments": 1,
                "country": "TZ", "network": "vodacom_tz", "network_by": "prefix",
                "rule": "tz", "strategy": "least_cost",
                "why": "rule tz is the first that matches; the cheapest target comes first",
                "candidates": [
                    {"rank": 1, "carrier": "two", "chosen": false, "skipped": "out_of_use",
                     "weight": null, "cost_per_segment_micros": 8_500, "score": null,
                     "reason": "8,500 micro-units a segment; passed over: it is out of use"},
                    {"rank": 2, "carrier": "one", "chosen": true, "skipped": null,
                     "weight": null, "cost_per_segment_micros": 9_000, "score": null,
                     "reason": "9,000 micro-units a segment"},
                    {"rank": 3, "carrier": "three", "chosen": false, "skipped": "tried",
                     "weight": null, "cost_per_segment_micros": 1_000_000, "score": null,
                     "reason": "1,000,000 micro-units a segment; passed over: it has been tried \
                                with this message"},
                ],
                "carrier": "one", "available": true, "then": null, "then_after_s": null,
                "cost_per_segment_micros": 9_000,
            })
        );
    }

    #[test]
    fn predictive_says_what_it_has_seen() {
        let routes = routes(Strategy::Predictive);
        let mut board = Scoreboard::default();
        for n in 0..1_204 {
            let sign = Sign::Receipt {
                carrier: CarrierIndex(0),
                to: Msisdn::from_digits("255753276939").unwrap(),
                class: Class::Otp,
                delivered: n % 25 != 0,
                took: Duration::from_millis(3_000),
            };
            routes.observe(&mut board, &sign, NOW);
        }
        routes.publish(board.snapshot(NOW));
        let told = told(&routes, &[], Class::Otp);
        let reason = |at: usize| told["candidates"][at]["reason"].as_str().unwrap();
        assert_eq!(
            reason(0),
            "95.9 % of 1,204 delivered, median 3.4 s, 99.0 % answered, score 0.81"
        );
        assert!(
            reason(1).starts_with("too little is known here: 90.0 % delivered"),
            "{}",
            reason(1)
        );
        assert_eq!(told["carrier"], "one");
    }

    #[test]
    fn a_class_with_patience_is_said_to_wait_for_its_first_choice() {
        let routes = routes_with(Strategy::Priority, [None; 3]);
        let open = CarrierIndex(0);
        routes.health().set_breaker(open, Breaker::Open, NOW);
        let waits = told(&routes, &[], Class::Promotional);
        assert_eq!(
            (&waits["carrier"], &waits["available"]),
            (&json!("one"), &json!(false))
        );
        let reason = waits["candidates"][0]["reason"].as_str().unwrap();
        assert!(
            reason.ends_with("wait for it a while before they take another"),
            "{reason}"
        );
        assert_eq!(
            waits["then"],
            json!(null),
            "without patience it waits for good"
        );
        let patient = routes_with(Strategy::Priority, [Some(Duration::from_secs(30)); 3]);
        patient.health().set_breaker(open, Breaker::Open, NOW);
        let waits = told(&patient, &[], Class::Promotional);
        assert_eq!(
            (&waits["carrier"], &waits["then"], &waits["then_after_s"]),
            (&json!("one"), &json!("two"), &json!(30))
        );
        let moved = told(&routes, &[CarrierIndex(2)], Class::Promotional);
        assert_eq!(moved["carrier"], "two");
        assert_eq!(moved["candidates"][0]["skipped"], "out_of_use");
    }

    #[test]
    fn when_no_target_is_in_use_the_message_is_said_to_wait() {
        let routes = routes(Strategy::Weighted);
        for carrier in 0..3 {
            routes
                .health()
                .set_hold(CarrierIndex(carrier), Hold::Paused, NOW);
        }
        let told = told(&routes, &[], Class::Promotional);
        assert_eq!(told["available"], false);
        let reason = told["candidates"][0]["reason"].as_str().unwrap();
        assert!(
            reason.contains("passed over: the operator has paused it; chosen all the same"),
            "{reason}"
        );
    }
}
