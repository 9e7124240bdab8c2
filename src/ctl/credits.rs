//! Lives here: `ctl credits` and `ctl prices`.
//! Never here: how amounts move, what a price is for (`admin` judges).

use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{self, CtlError};
use super::table::table;
use super::{Target, done, or_dash, read};

/// What to do with an organisation's credits.
#[derive(Debug, clap::Subcommand)]
pub enum CreditsCommand {
    /// Show balances, the last days and purchases, and whether balances, ledger and messages agree.
    Show {
        /// The organisation's name or id.
        org: String,
    },
    /// Check that balances, ledger and open messages agree; exit status 1 if they do not. It may be
    /// given while messages move.
    Verify {
        /// Only this organisation: name or id.
        #[arg(long)]
        org: Option<String>,
    },
    /// Add credits that were bought; a negative amount takes back.
    Add {
        /// The organisation's name or id.
        org: String,
        /// Credits, with at most three places.
        #[arg(allow_negative_numbers = true)]
        amount: String,
        /// Of the receipt or the invoice: one counts once, so the command may be given again.
        #[arg(long)]
        reference: String,
        /// sms (the usual one) or email.
        #[arg(long)]
        channel: Option<String>,
        /// For people.
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Set the balance from which on down the organisation is told that it is low.
    Threshold {
        /// The organisation's name or id.
        org: String,
        /// Credits.
        threshold: String,
        /// sms (the usual one) or email.
        #[arg(long)]
        channel: Option<String>,
    },
}

/// What to do with prices.
#[derive(Debug, clap::Subcommand)]
pub enum PricesCommand {
    /// Show all prices, the most specific first (the usual command).
    List,
    /// Set what a segment costs; without a scope: for all.
    Set {
        /// Credits for each segment, with at most three places.
        price: String,
        /// What it is for.
        #[command(flatten)]
        scope: ScopeArguments,
    },
    /// Take a price away.
    Remove {
        /// What it is for.
        #[command(flatten)]
        scope: ScopeArguments,
    },
}

/// What a price is for.
#[derive(Debug, clap::Args)]
pub struct ScopeArguments {
    /// Only for this organisation: name or id.
    #[arg(long)]
    org: Option<String>,
    /// Only to numbers of this country, like TZ.
    #[arg(long)]
    country: Option<String>,
    /// Only to this network.
    #[arg(long)]
    network: Option<String>,
    /// Only for this class: otp, transactional, promotional.
    #[arg(long)]
    class: Option<String>,
}

impl CreditsCommand {
    pub(super) async fn ask(&self, target: &Target) -> Result<Value, CtlError> {
        match self {
            Self::Show { org } => {
                let query = [("org", &Some(org.clone()))];
                client::get(target, "/admin/v1/credits", &query).await
            }
            Self::Verify { org } => {
                client::get(target, "/admin/v1/credits/verify", &[("org", org)]).await
            }
            Self::Add {
                org,
                amount,
                reference,
                channel,
                note,
            } => {
                let body = json!({"org": org, "channel": channel, "amount": amount,
                    "reference": reference, "note": note});
                client::post(target, "/admin/v1/credits", &body).await
            }
            Self::Threshold {
                org,
                threshold,
                channel,
            } => {
                let body = json!({"org": org, "channel": channel, "threshold": threshold});
                client::post(target, "/admin/v1/credits/threshold", &body).await
            }
        }
    }

    pub(super) fn shown(&self, told: Value) -> Result<String, CtlError> {
        match self {
            Self::Show { .. } => read(told).map(|credits: Credits| credits.shown()),
            Self::Verify { .. } => read(told).map(|verified: Verified| verified.shown()),
            Self::Add { .. } | Self::Threshold { .. } => done(told),
        }
    }
}

impl PricesCommand {
    pub(super) async fn ask(&self, target: &Target) -> Result<Value, CtlError> {
        const PATH: &str = "/admin/v1/prices";
        match self {
            Self::List => client::get(target, PATH, &[]).await,
            Self::Set { price, scope } => {
                client::post(target, PATH, &scope.body(Some(price))).await
            }
            Self::Remove { scope } => client::post(target, PATH, &scope.body(None)).await,
        }
    }

    pub(super) fn shown(&self, told: Value) -> Result<String, CtlError> {
        match self {
            Self::List => read(told).map(|prices: Prices| prices.shown()),
            Self::Set { .. } | Self::Remove { .. } => done(told),
        }
    }
}

impl ScopeArguments {
    fn body(&self, price: Option<&String>) -> Value {
        json!({"org": self.org, "country": self.country, "network": self.network,
            "class": self.class, "price": price})
    }
}

/// Whether a check has found differences.
pub(super) fn verdict(told: &Value) -> Result<(), CtlError> {
    let verified: Verified = read(told.clone())?;
    match verified.differences.len() {
        0 => Ok(()),
        differences => Err(CtlError::Differ(differences)),
    }
}

#[derive(Deserialize)]
struct Verified {
    purses: usize,
    messages: u64,
    differences: Vec<Difference>,
}

#[derive(Deserialize)]
struct Difference {
    org: String,
    channel: String,
    difference: String,
}

impl Verified {
    fn shown(self) -> String {
        let differences: String = self.differences.iter().map(Difference::shown).collect();
        format!(
            "{differences}{} purses and {} open messages checked\n",
            self.purses, self.messages
        )
    }
}

impl Difference {
    fn shown(&self) -> String {
        format!("! {}, {}: {}\n", self.org, self.channel, self.difference)
    }
}

#[derive(Deserialize)]
struct Credits {
    org: String,
    purses: Vec<Purse>,
    days: Vec<Day>,
    purchases: Vec<Purchase>,
    differences: Vec<Difference>,
}

#[derive(Deserialize)]
struct Day {
    day: String,
    channel: String,
    purchased: String,
    reserved: String,
    captured: String,
    refunded: String,
    messages: u64,
}

#[derive(Deserialize)]
struct Purse {
    channel: String,
    terms: String,
    balance: String,
    reserved: String,
    consumed: String,
    purchased: String,
    threshold: String,
    low: bool,
}

#[derive(Deserialize)]
struct Purchase {
    at: String,
    channel: String,
    reference: String,
    amount: String,
    note: String,
}

impl Credits {
    fn shown(self) -> String {
        let purses = self.purses.into_iter().map(|purse| {
            let low = if purse.low { "low" } else { "-" };
            [
                purse.channel,
                purse.terms,
                purse.balance,
                purse.reserved,
                purse.consumed,
                purse.purchased,
                purse.threshold,
                low.to_owned(),
            ]
        });
        let purses = table(
            [
                "CHANNEL",
                "TERMS",
                "BALANCE",
                "RESERVED",
                "CONSUMED",
                "PURCHASED",
                "THRESHOLD",
                "LOW",
            ],
            purses,
        );
        let days = self.days.into_iter().map(|day| {
            [
                day.day,
                day.channel,
                day.purchased,
                day.reserved,
                day.captured,
                day.refunded,
                day.messages.to_string(),
            ]
        });
        let days = table(
            [
                "DAY",
                "CHANNEL",
                "PURCHASED",
                "RESERVED",
                "CAPTURED",
                "REFUNDED",
                "MESSAGES",
            ],
            days,
        );
        let purchases = self.purchases.into_iter().map(|purchase| {
            [
                purchase.at,
                purchase.channel,
                purchase.amount,
                purchase.reference,
                purchase.note,
            ]
        });
        let purchases = table(["AT", "CHANNEL", "AMOUNT", "REFERENCE", "NOTE"], purchases);
        let agree = match &*self.differences {
            [] => "purses, ledger and messages agree\n".to_owned(),
            differences => differences.iter().map(Difference::shown).collect(),
        };
        format!("{}\n{purses}\n{days}\n{purchases}\n{agree}", self.org)
    }
}

#[derive(Deserialize)]
struct Prices {
    prices: Vec<Price>,
}

#[derive(Deserialize)]
struct Price {
    org: Option<String>,
    country: Option<String>,
    network: Option<String>,
    class: Option<String>,
    price: String,
}

impl Prices {
    fn shown(self) -> String {
        let rows = self.prices.into_iter().map(|price| {
            [
                or_dash(price.org),
                or_dash(price.country),
                or_dash(price.network),
                or_dash(price.class),
                price.price,
            ]
        });
        let prices = table(
            ["ORGANISATION", "COUNTRY", "NETWORK", "CLASS", "PRICE"],
            rows,
        );
        format!("{prices}what no price is for costs 1 credit for each segment\n")
    }
}
