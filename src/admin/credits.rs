//! Lives here: the endpoints about money: balances, purchases, thresholds, the ledger, prices.
//! Never here: how amounts move (`domain::ledger`).

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Admin;
use super::error::{self, Refused};
use super::request::{Asked, Body, Done, Operator, Whose, asked, changed, class, in_time, now};
use super::request::{organisation, quoted, read, told};
use crate::domain::account::Organisation;
use crate::domain::class::Class;
use crate::domain::credits::Credits;
use crate::domain::ids::{NetworkId, OrgId};
use crate::domain::ledger::{Channel, Day, Entry, Purse, Terms};
use crate::domain::price::{Price, Scope};
use crate::domain::time::Timestamp;
use crate::store::till::{Bought, Check, Purchase};

/// Purchases that are shown,
const PURCHASES: u32 = 20;
/// and days.
const DAYS: u32 = 7;
const DAY_MS: i64 = 24 * 3600 * 1000;
/// Characters of a reference, and of a note.
const TEXT_MAX: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WhoseOrAll {
    /// Name or id; none: all.
    org: Option<String>,
}

#[derive(Serialize)]
struct Shown {
    org: String,
    purses: Vec<ShownPurse>,
    days: Vec<ShownDay>,
    purchases: Vec<ShownPurchase>,
    /// Where the books and the messages disagree; empty if they do not.
    differences: Vec<Difference>,
}

/// What was checked.
#[derive(Default, Serialize)]
struct Verified {
    purses: usize,
    /// Open messages that no carrier has taken.
    messages: u64,
    differences: Vec<Difference>,
}

#[derive(Serialize)]
struct Difference {
    org: String,
    channel: &'static str,
    difference: String,
}

#[derive(Serialize)]
struct ShownPurse {
    channel: &'static str,
    terms: &'static str,
    balance: String,
    reserved: String,
    consumed: String,
    purchased: String,
    threshold: String,
    low: bool,
}

/// What has moved on a day, in credits, and of how many messages.
#[derive(Serialize)]
struct ShownDay {
    day: String,
    channel: &'static str,
    purchased: String,
    reserved: String,
    captured: String,
    refunded: String,
    messages: u64,
}

#[derive(Serialize)]
struct ShownPurchase {
    at: String,
    channel: &'static str,
    reference: Box<str>,
    amount: String,
    note: Box<str>,
}

/// `GET /admin/v1/credits?org=…`: what there is, and whether purse, ledger and messages agree.
pub(super) async fn show(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    whose: Asked<Whose>,
) -> Result<Response, Refused> {
    Operator::admit(&admin, &headers)?;
    let org = organisation(&admin, &asked(whose)?.org).await?;
    let store = &admin.parts.store;
    let purses = in_time(store.purses_of(org.id)).await?;
    let mut shown = Shown {
        org: org.name.to_string(),
        purses: purses.iter().map(shown_purse).collect(),
        days: Vec::new(),
        purchases: Vec::new(),
        differences: Vec::new(),
    };
    for (channel, _) in &purses {
        let id = (org.id, *channel);
        let days = in_time(store.ledger(id, DAYS)).await?;
        shown
            .days
            .extend(days.iter().map(|day| shown_day(*channel, day)));
        let purchases = in_time(store.purchases(id, PURCHASES)).await?;
        shown
            .purchases
            .extend(purchases.into_iter().map(shown_purchase));
    }
    let checks = in_time(store.check_purses(Some(org.id))).await?;
    shown.differences = verified(&admin, &checks).await?.differences;
    Ok(error::json(StatusCode::OK, &shown))
}

/// `GET /admin/v1/credits/verify?org=…`: whether the purses of one or of all agree with ledger and
/// messages.
pub(super) async fn verify(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    whose: Asked<WhoseOrAll>,
) -> Result<Response, Refused> {
    Operator::admit(&admin, &headers)?;
    let org = match &asked(whose)?.org {
        Some(org) => Some(organisation(&admin, org).await?.id),
        None => None,
    };
    let checks = in_time(admin.parts.store.check_purses(org)).await?;
    let verified = verified(&admin, &checks).await?;
    Ok(error::json(StatusCode::OK, &verified))
}

async fn verified(admin: &Admin, checks: &[Check]) -> Result<Verified, Refused> {
    let mut verified = Verified {
        purses: checks.len(),
        ..Verified::default()
    };
    for check in checks {
        verified.messages += check.open.count;
        let (org, channel) = check.id;
        for difference in check.differences() {
            verified.differences.push(Difference {
                org: name_of(admin, org).await?,
                channel: channel.name(),
                difference,
            });
        }
    }
    Ok(verified)
}

/// An organisation's name; its id if it has none any more.
async fn name_of(admin: &Admin, org: OrgId) -> Result<String, Refused> {
    let found = in_time(admin.parts.store.organisation(org)).await?;
    Ok(found.map_or_else(|| org.to_string(), |org| org.name.to_string()))
}

fn shown_day(channel: Channel, day: &Day) -> ShownDay {
    let by = |entry| day.moved.by(entry);
    let midnight = told(Timestamp(day.day.saturating_mul(DAY_MS)));
    ShownDay {
        day: midnight.split('T').next().unwrap_or_default().to_owned(),
        channel: channel.name(),
        purchased: by(Entry::Purchase).amount.to_string(),
        reserved: by(Entry::Reserve).amount.to_string(),
        captured: by(Entry::Capture).amount.to_string(),
        refunded: by(Entry::Refund).amount.to_string(),
        messages: by(Entry::Reserve).count,
    }
}

fn shown_purse((channel, purse): &(Channel, Purse)) -> ShownPurse {
    ShownPurse {
        channel: channel.name(),
        terms: match purse.terms {
            Terms::Prepaid => "prepaid",
            Terms::Postpaid => "postpaid",
        },
        balance: purse.available.to_string(),
        reserved: purse.reserved.to_string(),
        consumed: purse.consumed.to_string(),
        purchased: purse.purchased().to_string(),
        threshold: purse.threshold.to_string(),
        low: purse.is_low(),
    }
}

fn shown_purchase(purchase: Purchase) -> ShownPurchase {
    ShownPurchase {
        at: told(purchase.at),
        channel: purchase.purse.1.name(),
        reference: purchase.reference,
        amount: purchase.amount.to_string(),
        note: purchase.note,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bill {
    /// Name or id.
    org: String,
    channel: Option<String>,
    /// Credits; negative: taken back.
    amount: String,
    /// Of a receipt or an invoice: one counts once.
    reference: String,
    #[serde(default)]
    note: String,
}

/// `POST /admin/v1/credits`.
pub(super) async fn buy(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let operator = Operator::admit(&admin, &headers)?;
    let bill: Bill = read(body)?;
    let org = organisation(&admin, &bill.org).await?;
    let channel = channel(bill.channel.as_deref())?;
    let amount = amount("amount", &bill.amount)?;
    if amount == Credits::ZERO {
        return Err(Refused::invalid("amount must not be zero"));
    }
    let reference = line("reference", &bill.reference, 1)?;
    let note = line("note", &bill.note, 0)?;
    let purchase = Purchase {
        purse: (org.id, channel),
        reference: reference.into(),
        at: now(),
        amount,
        note: note.into(),
    };
    let (action, subject) = ("credits.buy", org.name.to_string());
    let detail = json!({"channel": channel.name(), "amount": amount.to_string(),
        "reference": reference, "note": note});
    let audit = operator.entry(action, &subject, &detail, "done");
    let bought = changed(admin.parts.store.buy(purchase, audit)).await;
    let outcome = operator.told((action, &subject), bought.and_then(|bought| said(&bought)))?;
    let undo = format!(
        "mnara ctl credits add {} {} --reference {}",
        quoted(&org.name),
        -amount,
        quoted(&format!("undo of {reference}"))
    );
    let outcome = format!("{} has {outcome} credits for {}", org.name, channel.name());
    Ok(Done::new(outcome, Some(undo)).answer())
}

fn said(bought: &Bought) -> Result<Credits, Refused> {
    match bought {
        Bought::Done(purse) => Ok(purse.available),
        Bought::Known => Err(Refused::conflict(
            "this reference has been used: nothing was changed; look with `ctl credits show`",
        )),
        Bought::Short(short) => Err(Refused::conflict(format!(
            "only {} are there, {} cannot be taken back",
            short.balance, short.required
        ))),
        Bought::Missing => Err(Refused::missing("the organisation has no such purse")),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mark {
    /// Name or id.
    org: String,
    channel: Option<String>,
    threshold: String,
}

/// `POST /admin/v1/credits/threshold`.
pub(super) async fn threshold(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let operator = Operator::admit(&admin, &headers)?;
    let mark: Mark = read(body)?;
    let org = organisation(&admin, &mark.org).await?;
    let channel = channel(mark.channel.as_deref())?;
    let threshold = amount("threshold", &mark.threshold)?;
    if threshold < Credits::ZERO {
        return Err(Refused::invalid("threshold must not be negative"));
    }
    let (action, subject) = ("credits.threshold", org.name.to_string());
    let detail = json!({"channel": channel.name(), "threshold": threshold.to_string()});
    let audit = operator.entry(action, &subject, &detail, "done");
    let store = &admin.parts.store;
    let set = changed(store.set_threshold((org.id, channel), threshold, audit)).await;
    let set = set.and_then(|there| {
        if there {
            Ok(())
        } else {
            Err(Refused::missing("the organisation has no such purse"))
        }
    });
    operator.told((action, &subject), set)?;
    let outcome = format!(
        "{} is told of a low balance at {threshold} credits for {}",
        org.name,
        channel.name()
    );
    Ok(Done::new(outcome, None).answer())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tariff {
    /// Name or id; none: for all.
    org: Option<String>,
    /// ISO 3166 code.
    country: Option<String>,
    network: Option<String>,
    class: Option<String>,
    /// Credits for each segment; none: the price is taken away.
    price: Option<String>,
}

#[derive(Serialize)]
struct ShownPrice {
    org: Option<String>,
    country: Option<Box<str>>,
    network: Option<String>,
    class: Option<&'static str>,
    price: String,
}

/// `GET /admin/v1/prices`.
pub(super) async fn prices(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    Operator::admit(&admin, &headers)?;
    let store = &admin.parts.store;
    let mut shown = Vec::new();
    let prices = Arc::clone(&store.prices());
    for price in prices.all() {
        let org = match price.scope.org {
            Some(id) => Some(name_of(&admin, id).await?),
            None => None,
        };
        shown.push(ShownPrice {
            org,
            country: price.scope.country.clone(),
            network: price.scope.network.as_ref().map(ToString::to_string),
            class: price.scope.class.map(Class::name),
            price: price.per_segment.to_string(),
        });
    }
    Ok(error::json(StatusCode::OK, &json!({"prices": shown})))
}

/// `POST /admin/v1/prices`.
pub(super) async fn set_price(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let operator = Operator::admit(&admin, &headers)?;
    let tariff: Tariff = read(body)?;
    let org = match &tariff.org {
        Some(org) => Some(organisation(&admin, org).await?),
        None => None,
    };
    let scope = scope(&admin, &tariff, org.as_deref())?;
    let words = words(&tariff, org.as_deref());
    let price = tariff.price.as_deref();
    let price = price.map(|price| amount("price", price)).transpose()?;
    let store = &admin.parts.store;
    let detail = json!({"price": price.map(|price| price.to_string())});
    let action = "prices.set";
    let audit = operator.entry(action, &words, &detail, "done");
    let outcome = match price {
        Some(price) if price < Credits::ZERO => {
            return Err(Refused::invalid("price must not be negative"));
        }
        Some(per_segment) => {
            let price = Price { scope, per_segment };
            let set = changed(store.set_price(price, audit)).await;
            operator.told((action, &words), set)?;
            format!("a segment costs {per_segment} credits: {words}")
        }
        None => {
            let removed = changed(store.remove_price(scope, audit)).await;
            let removed = removed.and_then(|was| {
                let none = || Refused::missing("there is no such price; look with `ctl prices`");
                if was { Ok(()) } else { Err(none()) }
            });
            operator.told((action, &words), removed)?;
            format!("there is no price of its own any more: {words}")
        }
    };
    Ok(Done::new(outcome, None).answer())
}

fn scope(admin: &Admin, tariff: &Tariff, org: Option<&Organisation>) -> Result<Scope, Refused> {
    let table = admin.parts.routes.table();
    let plan = table.plan();
    let country = match tariff.country.as_deref() {
        Some(typed) => {
            let countries = plan.countries().iter().map(|country| &*country.code);
            Some(known("country", typed, countries)?.into())
        }
        None => None,
    };
    let network = match tariff.network.as_deref() {
        Some(typed) => {
            let networks = plan.networks().iter().map(|network| &*network.id.0);
            Some(NetworkId(known("network", typed, networks)?.into()))
        }
        None => None,
    };
    Ok(Scope {
        org: org.map(|org| org.id),
        country,
        network,
        class: tariff.class.as_deref().map(class).transpose()?,
    })
}

/// One of the plan's, whatever its case.
fn known<'p>(
    field: &str,
    typed: &str,
    mut all: impl Iterator<Item = &'p str> + Clone,
) -> Result<&'p str, Refused> {
    let names: Vec<&str> = all.clone().collect();
    let found = all.find(|one| one.eq_ignore_ascii_case(typed.trim()));
    found.ok_or_else(|| Refused::invalid(format!("{field} must be one of {}", names.join(", "))))
}

/// What a price is for, for people.
fn words(tariff: &Tariff, org: Option<&Organisation>) -> String {
    let org = org.map_or("every organisation", |org| &org.name);
    let country = tariff.country.as_deref().unwrap_or("every country");
    let network = tariff.network.as_deref().unwrap_or("every network");
    let class = tariff.class.as_deref().unwrap_or("every class");
    format!("{org}, {country}, {network}, {class}")
}

fn channel(typed: Option<&str>) -> Result<Channel, Refused> {
    let Some(typed) = typed else {
        return Ok(Channel::Sms);
    };
    let found = Channel::ALL.into_iter().find(|one| one.name() == typed);
    found.ok_or_else(|| Refused::invalid("channel must be sms or email"))
}

fn amount(field: &str, typed: &str) -> Result<Credits, Refused> {
    Credits::parse(typed.trim()).ok_or_else(|| {
        Refused::invalid(format!(
            "{field} must be a number with at most three places, like 5000 or 0.85"
        ))
    })
}

/// One line of text.
fn line<'t>(field: &str, typed: &'t str, least: usize) -> Result<&'t str, Refused> {
    let text = typed.trim();
    let length = text.chars().count();
    if (least..=TEXT_MAX).contains(&length) && !text.chars().any(char::is_control) {
        return Ok(text);
    }
    Err(Refused::invalid(format!(
        "{field} must have {least} to {TEXT_MAX} printable characters"
    )))
}
