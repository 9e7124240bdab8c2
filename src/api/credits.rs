//! Lives here: `GET /v1/credits` (seed 003), and how amounts are written in JSON.
//! Never here: moving credits (`admin`), prices.

use axum::http::request::Parts;
use serde::{Serialize, Serializer};
use serde_json::{Number, Value};

use super::auth;
use super::error::ApiError;
use super::v1::Api;
use crate::domain::credits::Credits;
use crate::domain::ledger::{Channel, Purse, Terms};

/// What an organisation has for a channel.
#[derive(Serialize)]
struct Service {
    service_type: &'static str,
    balance: Amount,
    /// All that was ever bought, less what was taken back.
    total_purchased: Amount,
    total_consumed: Amount,
    low_balance_threshold: Amount,
    is_low_balance: bool,
    /// What is held for messages under way; it is neither in the balance nor consumed yet.
    reserved: Amount,
}

#[derive(Serialize)]
struct Services {
    sms: Service,
    email: Service,
}

/// The body.
#[derive(Serialize)]
struct Answer {
    success: bool,
    data: Services,
}

/// Credits as a JSON number: an integer when they are whole, else with at most three places.
struct Amount(Credits);

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        amount(self.0).serialize(serializer)
    }
}

/// The same as a value.
pub(super) fn amount(credits: Credits) -> Value {
    if credits.0 % 1000 == 0 {
        return Value::from(credits.0 / 1000);
    }
    // At most 2^53 thousandths are exact: nine billions of credits.
    let fraction = Number::from_f64(credits.0 as f64 / 1000.0);
    fraction.map_or(Value::Null, Value::Number)
}

/// The caller's balances, as JSON.
pub(super) async fn read(api: &Api, request: &Parts) -> Result<Vec<u8>, ApiError> {
    let credential = auth::sign_in(&request.headers, &api.store).await?;
    let purses = api.store.purses_of(credential.org.id).await;
    let purses = purses.map_err(ApiError::store)?;
    let service = |channel: Channel| {
        let purse = purses.iter().find(|(one, _)| *one == channel);
        service(channel, purse.map(|(_, purse)| purse))
    };
    let answer = Answer {
        success: true,
        data: Services {
            sms: service(Channel::Sms),
            email: service(Channel::Email),
        },
    };
    serde_json::to_vec(&answer).map_err(|_| super::v1::unwritable())
}

fn service(channel: Channel, purse: Option<&Purse>) -> Service {
    let none = Purse::new(Terms::Prepaid);
    let purse = purse.unwrap_or(&none);
    Service {
        service_type: channel.name(),
        balance: Amount(purse.available),
        total_purchased: Amount(purse.purchased()),
        total_consumed: Amount(purse.consumed),
        low_balance_threshold: Amount(purse.threshold),
        is_low_balance: purse.is_low(),
        reserved: Amount(purse.reserved),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_credits_are_written_as_integers() {
        for (milli, text) in [
            (5_000_000, "5000"),
            (0, "0"),
            (1_500, "1.5"),
            (-20, "-0.02"),
        ] {
            assert_eq!(amount(Credits(milli)).to_string(), text);
        }
    }

    #[test]
    fn a_purse_is_shown_as_the_seed_has_it() {
        let purse = Purse {
            available: Credits::whole(5_000),
            reserved: Credits::ZERO,
            consumed: Credits::whole(5_000),
            threshold: Credits::whole(500),
            ..Purse::new(Terms::Prepaid)
        };
        let shown = serde_json::to_string(&service(Channel::Sms, Some(&purse))).unwrap();
        assert_eq!(
            shown,
            r#"{"service_type":"sms","balance":5000,"total_purchased":10000,"total_consumed":5000,"low_balance_threshold":500,"is_low_balance":false,"reserved":0}"#
        );
    }
}
