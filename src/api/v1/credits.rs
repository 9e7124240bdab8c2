//! Lives here: `GET /v1/credits` (seed 003).
//! Never here: moving credits (`admin`), prices.

mod describe;

use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::call::Visit;
use crate::api::doors::Doors;
use crate::api::error::ApiError;
use crate::api::json::{self, Amount};
use crate::domain::ledger::{Channel, Purse, Terms};
use crate::domain::scope::Scope;

pub(in crate::api) use self::describe::describe;

/// What an organisation has for a channel.
#[derive(Serialize, ToSchema)]
#[schema(as = Balance)]
struct Service {
    /// `sms` or `email`.
    service_type: &'static str,
    /// What can be spent now.
    balance: Amount,
    /// All that was ever bought, less what was taken back.
    total_purchased: Amount,
    total_consumed: Amount,
    low_balance_threshold: Amount,
    /// The balance is at or below the threshold.
    is_low_balance: bool,
    /// What is held for messages under way; it is neither in the balance nor consumed yet.
    reserved: Amount,
}

/// What an organisation has for each channel.
#[derive(Serialize, ToSchema)]
#[schema(as = Balances)]
struct Services {
    sms: Service,
    email: Service,
}

pub(in crate::api) fn doors(doors: Doors) -> Doors {
    doors.get("/v1/credits", Scope::CreditsRead, read)
}

async fn read(visit: Visit) -> Result<Response, ApiError> {
    let purses = visit.api.store.purses_of(visit.caller.org.id).await;
    let purses = purses.map_err(ApiError::store)?;
    let service = |channel: Channel| {
        let purse = purses.iter().find(|(one, _)| *one == channel);
        service(channel, purse.map(|(_, purse)| purse))
    };
    let services = Services {
        sms: service(Channel::Sms),
        email: service(Channel::Email),
    };
    json::success(StatusCode::OK, &services)
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
    use crate::domain::credits::Credits;

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
