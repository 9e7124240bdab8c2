//! Lives here: the order of a rule's targets for one message.
//! Never here: which rule it is, whether an account can be used now.

use std::cmp::Ordering;

use super::score::{self, NetworkKey, Scores};
use super::{Account, Ask, Order, Ranked, Strategy, Target};
use crate::domain::class::Class;
use crate::domain::time::Timestamp;

/// Of a thousand recipients so many explore under `predictive`, others every hour, none with OTP.
pub(super) const EXPLORING_PER_MILLE: u64 = 30;
/// A target is known to be bad, and not explored, when so many receipts say so ...
const KNOWN_BAD_COUNT: f32 = 100.0;
/// ... and it is worth less than this share of the best.
const KNOWN_BAD_SHARE: f64 = 0.5;
const HOUR_MS: i64 = 3_600_000;

/// Puts targets in order: the fitting ones by the strategy, then those that do not fit, as listed.
/// A function of its arguments only: explanation, dry run and the real thing agree.
pub(super) fn order(
    targets: &[Target],
    strategy: Strategy,
    ask: &Ask<'_>,
    accounts: &[Account],
    network: NetworkKey,
    scores: &Scores,
    now: Timestamp,
) -> Order {
    let mut order: Order = targets
        .iter()
        .map(|target| Ranked {
            target: *target,
            unfit: accounts
                .get(target.carrier.index())
                .and_then(|account| account.refuses(ask)),
            score: 0.0,
            explored: false,
        })
        .collect();
    match strategy {
        Strategy::Priority => {}
        Strategy::Weighted => {
            for ranked in &mut order {
                let key = accounts.get(ranked.target.carrier.index());
                let key = key.map_or(0, |account| account.key);
                ranked.score = draw(mix(ask.to.value() ^ key), ranked.target.weight);
            }
        }
        Strategy::LeastCost => {
            for ranked in &mut order {
                ranked.score = -(ranked.target.cost.unwrap_or(u64::MAX) as f64);
            }
        }
        Strategy::Predictive => judge(&mut order, ask, network, scores),
    }
    // Stable by its last key: the place in the list. Lists are short.
    sort(&mut order);
    if strategy == Strategy::Predictive && ask.class != Class::Otp {
        explore(&mut order, ask, network, scores, now);
    }
    order
}

/// Scores the fitting targets by what is known of them.
fn judge(order: &mut Order, ask: &Ask<'_>, network: NetworkKey, scores: &Scores) {
    let cheapest = cheapest(order);
    for ranked in order.iter_mut() {
        let carrier = ranked.target.carrier;
        let known = scores.known(carrier, network, ask.class);
        let answered = scores.answered(carrier, ask.class);
        let price = price(cheapest, ranked.target.cost);
        ranked.score = score::worth(ask.class, &known, answered, price);
    }
}

/// The least cost of the fitting targets; `None` unless all their costs are known.
pub(super) fn cheapest(order: &Order) -> Option<u64> {
    let fitting = order.iter().filter(|ranked| ranked.unfit.is_none());
    fitting
        .map(|ranked| ranked.target.cost)
        .try_fold(u64::MAX, |least, cost| Some(least.min(cost?)))
}

/// The cheapest cost over this one, 0 to 1; 1 where costs are not known.
pub(super) fn price(cheapest: Option<u64>, cost: Option<u64>) -> f64 {
    match (cheapest, cost) {
        (Some(cheapest), Some(cost)) if cost > cheapest => cheapest as f64 / cost as f64,
        _ => 1.0,
    }
}

/// The fitting first, then the higher score, then the earlier in the list. An insertion sort: it
/// is stable, allocates nothing, and lists are of a few.
fn sort(order: &mut Order) {
    let before = |one: &Ranked, other: &Ranked| {
        let fits = one.unfit.is_some().cmp(&other.unfit.is_some());
        let score = match one.unfit {
            None => other.score.total_cmp(&one.score),
            Some(_) => Ordering::Equal,
        };
        fits.then(score) == Ordering::Less
    };
    for index in 1..order.len() {
        let mut at = index;
        while at > 0 && before(&order[at], &order[at - 1]) {
            order.swap(at, at - 1);
            at -= 1;
        }
    }
}

/// Lets a few recipients try another target than the best, so that it stays known.
fn explore(order: &mut Order, ask: &Ask<'_>, network: NetworkKey, scores: &Scores, now: Timestamp) {
    let hour = now.0.div_euclid(HOUR_MS).cast_unsigned();
    let dice = mix(ask.to.value() ^ mix(hour));
    if dice % 1000 >= EXPLORING_PER_MILLE {
        return;
    }
    let best = order.first().map_or(0.0, |first| first.score);
    let worthwhile = |ranked: &Ranked| {
        let known = scores.known(ranked.target.carrier, network, ask.class);
        ranked.unfit.is_none()
            && (known.count < KNOWN_BAD_COUNT || ranked.score >= best * KNOWN_BAD_SHARE)
    };
    let others = || 1..order.len();
    let count = others().filter(|at| worthwhile(&order[*at])).count();
    if count == 0 {
        return;
    }
    let chosen = (dice / 1000 % count as u64) as usize;
    let chosen = others().filter(|at| worthwhile(&order[*at])).nth(chosen);
    if let Some(chosen) = chosen {
        order[chosen].explored = true;
        order[..=chosen].rotate_right(1);
    }
}

/// Rendezvous: each target draws by the recipient's number, and first places fall by weight. A
/// target that comes or goes changes only its own recipients' routes. Weight 0 comes last.
fn draw(hash: u64, weight: u32) -> f64 {
    // 53 bits, never 0 nor 1: the logarithm is finite and below zero.
    let share = ((hash >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    match weight {
        0 => -1.0 + share,
        weight => f64::from(weight) / -share.ln(),
    }
}

/// The finaliser of splitmix64: every bit of the input moves half of the output's.
pub(super) const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}
