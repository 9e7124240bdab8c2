//! Lives here: learning a carrier's rules for ids from its own ids: which pair of rules makes
//! unmatched receipts and unmatched responses meet. Pure.
//! Never here: reading samples (`store`), putting a rule in force (`config`): a person decides.

use std::borrow::Cow;
use std::collections::HashMap;

use mnara_smpp::receipt::{IdDialect, IdRule};

use super::phone::Msisdn;

/// Matches whose recipients agree that a proposal needs at least,
const AGREEING_MIN: usize = 5;
/// or, where receipts name no recipients, matches of ids alone,
const BARE_MIN: usize = 50;
/// and this share of the receipts, in percent: the rest may be strangers.
const SHARE_MIN: usize = 50;
/// Of the matches, those whose recipients disagree, in percent, at most: ids met by accident.
const DISAGREEING_MAX: usize = 2;
/// Examples of a proposal.
const EXAMPLES: usize = 3;

/// The rules, the simplest first.
const RULES: [IdRule; 7] = [
    IdRule::Raw,
    IdRule::FoldCase,
    IdRule::StripZeros,
    IdRule::Decimal,
    IdRule::FoldHex,
    IdRule::HexToDecimal,
    IdRule::DecimalToHex,
];

/// What rules are learnt from.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    /// Ids of responses that have no final receipt.
    pub responses: Vec<ResponseId>,
    /// Ids of receipts that have no response.
    pub receipts: Vec<ReceiptId>,
}

/// The id in a submit_sm_resp, and whom its message was for.
#[derive(Clone, Debug)]
pub struct ResponseId {
    /// As the carrier wrote it.
    pub raw: Box<str>,
    /// The message's recipient.
    pub recipient: Msisdn,
}

/// The id in a receipt, and whom it says its message was for.
#[derive(Clone, Debug)]
pub struct ReceiptId {
    /// As the carrier wrote it.
    pub raw: Box<str>,
    /// The receipt's recipient, if it names one.
    pub recipient: Option<Msisdn>,
}

/// How a pair of rules fares with the samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fit {
    /// The rules.
    pub ids: IdDialect,
    /// Receipts that find exactly one response, and its recipient is theirs.
    pub agreeing: usize,
    /// Receipts that find exactly one response and name no recipient.
    pub bare: usize,
    /// Receipts that find exactly one response, of another recipient.
    pub disagreeing: usize,
    /// Receipts that find several.
    pub ambiguous: usize,
    /// Pairs that meet, a few: a response's id and a receipt's, both as the carrier wrote them.
    pub examples: Vec<(Box<str>, Box<str>)>,
}

impl Fit {
    /// Receipts that have found their response, as far as can be told.
    pub const fn matched(&self) -> usize {
        self.agreeing + self.bare
    }

    fn is_proof(&self, receipts: usize) -> bool {
        let enough = self.agreeing >= AGREEING_MIN || self.matched() >= BARE_MIN;
        enough
            && self.matched() * 100 >= receipts * SHARE_MIN
            && self.disagreeing * 100 <= self.matched() * DISAGREEING_MAX
    }
}

/// What the samples teach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lesson {
    /// Too little to go by, or no pair of rules that explains it.
    Unclear {
        /// The pair that did best, if any made anything meet.
        best: Option<Fit>,
    },
    /// The rules in force do as well as any: whatever is unmatched has another cause.
    Keep(Fit),
    /// Other rules are better.
    Change {
        /// The simplest of the best.
        to: Fit,
        /// Others that are as good, with these samples.
        equal: Vec<IdDialect>,
    },
}

/// Tries every pair of rules; `present` are those in force.
pub fn learn(samples: &Samples, present: IdDialect) -> Lesson {
    let receipts = distinct(samples.receipts.iter(), |one| &one.raw);
    let responses = distinct(samples.responses.iter(), |one| &one.raw);
    let fits: Vec<Fit> = pairs().map(|ids| fit(ids, &responses, &receipts)).collect();
    let best = fits
        .iter()
        .filter(|fit| fit.is_proof(receipts.len()))
        .map(Fit::matched)
        .max();
    let Some(best) = best else {
        let best = fits.into_iter().max_by_key(Fit::matched);
        return Lesson::Unclear {
            best: best.filter(|fit| fit.matched() > 0),
        };
    };
    let mut equal: Vec<Fit> = fits
        .into_iter()
        .filter(|fit| fit.matched() == best && fit.is_proof(receipts.len()))
        .collect();
    match equal.iter().position(|fit| fit.ids == present) {
        Some(place) => Lesson::Keep(equal.swap_remove(place)),
        None => {
            let to = equal.remove(0);
            Lesson::Change {
                to,
                equal: equal.into_iter().map(|fit| fit.ids).collect(),
            }
        }
    }
}

/// Every pair of rules, the simplest first: the same rule for both ids, then those that bring two
/// bases together, then what is left.
fn pairs() -> impl Iterator<Item = IdDialect> {
    let pair = |response, receipt| IdDialect { response, receipt };
    let crossing = [
        pair(IdRule::HexToDecimal, IdRule::Decimal),
        pair(IdRule::Decimal, IdRule::HexToDecimal),
    ];
    let same = RULES.into_iter().map(move |rule| pair(rule, rule));
    let rest = RULES.into_iter().flat_map(move |response| {
        let others = RULES
            .into_iter()
            .filter(move |receipt| *receipt != response);
        others.map(move |receipt| pair(response, receipt))
    });
    let rest = rest.filter(move |one| !crossing.contains(one));
    same.chain(crossing).chain(rest)
}

/// Each id once: a message's parts, and a receipt's repetitions, are one witness.
fn distinct<'a, T>(all: impl Iterator<Item = &'a T>, raw: impl Fn(&T) -> &str) -> Vec<&'a T> {
    let mut seen = std::collections::HashSet::new();
    all.filter(|one| seen.insert(raw(one).to_owned())).collect()
}

fn fit(ids: IdDialect, responses: &[&ResponseId], receipts: &[&ReceiptId]) -> Fit {
    let mut by_key: HashMap<Cow<'_, str>, (usize, &ResponseId)> =
        HashMap::with_capacity(responses.len());
    for response in responses {
        let key = ids.response_key(&response.raw);
        by_key.entry(key).or_insert((0, response)).0 += 1;
    }
    let mut fit = Fit {
        ids,
        agreeing: 0,
        bare: 0,
        disagreeing: 0,
        ambiguous: 0,
        examples: Vec::new(),
    };
    for receipt in receipts {
        let Some((count, response)) = by_key.get(&ids.receipt_key(&receipt.raw)) else {
            continue;
        };
        let meets = match receipt.recipient {
            _ if *count > 1 => {
                fit.ambiguous += 1;
                false
            }
            Some(recipient) if recipient == response.recipient => {
                fit.agreeing += 1;
                true
            }
            Some(_) => {
                fit.disagreeing += 1;
                false
            }
            None => {
                fit.bare += 1;
                true
            }
        };
        if meets && fit.examples.len() < EXAMPLES {
            fit.examples
                .push((response.raw.clone(), receipt.raw.clone()));
        }
    }
    fit
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAW: IdDialect = IdDialect {
        response: IdRule::Raw,
        receipt: IdRule::Raw,
    };

    fn to(number: u64) -> Msisdn {
        Msisdn::from_digits(&format!("255{:09}", number % 1_000_000_000)).unwrap()
    }

    /// Ids as a carrier makes them: rising, with gaps.
    fn numbers(count: u64) -> impl Iterator<Item = u64> {
        (0..count).map(|n| 0x0400_0000_086E_CD50 + n * 7)
    }

    fn samples(
        count: u64,
        response: impl Fn(u64) -> String,
        receipt: impl Fn(u64) -> String,
    ) -> Samples {
        let mut samples = Samples::default();
        for number in numbers(count) {
            samples.responses.push(ResponseId {
                raw: response(number).into(),
                recipient: to(number),
            });
            samples.receipts.push(ReceiptId {
                raw: receipt(number).into(),
                recipient: Some(to(number)),
            });
        }
        samples
    }

    fn changed(lesson: Lesson) -> (IdDialect, usize) {
        match lesson {
            Lesson::Change { to, .. } => (to.ids, to.matched()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn trap_01_to_04_the_classic_dialects_are_recognised() {
        let hex = |n: u64| format!("{n:X}");
        let lower = |n: u64| format!("{n:x}");
        let decimal = |n: u64| n.to_string();
        let padded_hex = |n: u64| format!("{n:020X}");
        let padded = |n: u64| format!("{n:022}");
        let cases: [(&str, Samples, IdRule, IdRule); 7] = [
            (
                "hex, decimal",
                samples(40, hex, decimal),
                IdRule::HexToDecimal,
                IdRule::Decimal,
            ),
            (
                "decimal, hex",
                samples(40, decimal, hex),
                IdRule::Decimal,
                IdRule::HexToDecimal,
            ),
            (
                "padded",
                samples(40, padded_hex, padded),
                IdRule::HexToDecimal,
                IdRule::Decimal,
            ),
            (
                "zeros",
                samples(40, padded, decimal),
                IdRule::StripZeros,
                IdRule::StripZeros,
            ),
            (
                "case",
                samples(40, hex, lower),
                IdRule::FoldCase,
                IdRule::FoldCase,
            ),
            (
                "zeros and case",
                samples(40, padded_hex, lower),
                IdRule::FoldHex,
                IdRule::FoldHex,
            ),
            (
                "0x",
                samples(40, |n| format!("0x{n:x}"), hex),
                IdRule::FoldHex,
                IdRule::FoldHex,
            ),
        ];
        for (name, samples, response, receipt) in cases {
            let (ids, matched) = changed(learn(&samples, RAW));
            assert_eq!((ids.response, ids.receipt), (response, receipt), "{name}");
            assert_eq!(matched, 40, "{name}");
        }
    }

    #[test]
    fn ids_of_digits_only_are_hex_when_their_receipts_say_so() {
        // All of these could be decimal: only the receipts tell.
        let mut all = samples(0, |n| n.to_string(), |n| n.to_string());
        for number in (100..160u64).map(|n| n * 100) {
            let digits = number.to_string();
            let value = u64::from_str_radix(&digits, 16).unwrap();
            all.responses.push(ResponseId {
                raw: digits.into(),
                recipient: to(number),
            });
            all.receipts.push(ReceiptId {
                raw: value.to_string().into(),
                recipient: Some(to(number)),
            });
        }
        let (ids, _) = changed(learn(&all, RAW));
        assert_eq!(
            (ids.response, ids.receipt),
            (IdRule::HexToDecimal, IdRule::Decimal)
        );
    }

    #[test]
    fn the_rules_in_force_stay_when_they_are_as_good() {
        let all = samples(40, |n| n.to_string(), |n| n.to_string());
        let decimal = IdDialect {
            response: IdRule::Decimal,
            receipt: IdRule::Decimal,
        };
        for present in [RAW, decimal] {
            let Lesson::Keep(fit) = learn(&all, present) else {
                panic!("nothing is to be changed");
            };
            assert_eq!((fit.ids, fit.matched()), (present, 40));
        }
    }

    #[test]
    fn what_is_as_good_is_told() {
        let all = samples(40, |n| format!("{n:X}"), |n| n.to_string());
        let Lesson::Change { to, equal } = learn(&all, RAW) else {
            panic!("a change");
        };
        assert_eq!(to.examples.len(), 3);
        assert_eq!(
            to.examples[0],
            ("4000000086ECD50".into(), "288230376293190992".into())
        );
        let other = IdDialect {
            response: IdRule::FoldHex,
            receipt: IdRule::DecimalToHex,
        };
        assert!(equal.contains(&other), "{equal:?}");
    }

    #[test]
    fn few_samples_teach_nothing() {
        let few = samples(4, |n| format!("{n:X}"), |n| n.to_string());
        let Lesson::Unclear { best: Some(best) } = learn(&few, RAW) else {
            panic!("too few");
        };
        assert_eq!(best.matched(), 4);
        assert_eq!(
            learn(&Samples::default(), RAW),
            Lesson::Unclear { best: None }
        );
    }

    #[test]
    fn ids_that_meet_by_accident_do_not_mislead() {
        // Short random ids of two unrelated series: under some rules many of them meet.
        let mut all = Samples::default();
        let mut random = 0x9E37_79B9_u64;
        let mut next = || {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            random >> 33
        };
        for _ in 0..500 {
            all.responses.push(ResponseId {
                raw: format!("{:X}", next() % 1000).into(),
                recipient: to(next()),
            });
            all.receipts.push(ReceiptId {
                raw: (next() % 1000).to_string().into(),
                recipient: Some(to(next())),
            });
        }
        assert!(matches!(learn(&all, RAW), Lesson::Unclear { .. }));
    }

    #[test]
    fn strangers_among_the_receipts_do_not_hide_the_rule() {
        let mut all = samples(60, |n| format!("{n:X}"), |n| n.to_string());
        for number in 0..40u64 {
            all.receipts.push(ReceiptId {
                raw: format!("stranger-{number}").into(),
                recipient: Some(to(number)),
            });
        }
        assert_eq!(changed(learn(&all, RAW)).1, 60);
        for number in 40..90u64 {
            all.receipts.push(ReceiptId {
                raw: format!("stranger-{number}").into(),
                recipient: None,
            });
        }
        assert!(matches!(learn(&all, RAW), Lesson::Unclear { .. }));
    }

    #[test]
    fn without_recipients_more_is_asked_for() {
        let nameless = |count| {
            let mut all = samples(count, |n| format!("{n:X}"), |n| n.to_string());
            for receipt in &mut all.receipts {
                receipt.recipient = None;
            }
            learn(&all, RAW)
        };
        assert!(matches!(nameless(40), Lesson::Unclear { .. }));
        assert_eq!(changed(nameless(60)).1, 60);
    }
}
