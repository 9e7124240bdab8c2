//! Lives here: what the documentation says of the balances.
//! Never here: reading them.

use axum::http::Method;

use super::Services;
use crate::api::docs::{Book, Operation};

/// Describes the routes.
pub(in crate::api) fn describe(book: &mut Book) {
    let balances = Operation::new(
        "getCredits",
        "Credits",
        "Check the balances",
        "The credits of your organisation for SMS and for e-mail. `reserved` is held for messages under way: it is \
         neither in the balance nor consumed yet.",
    )
    .answers::<Services>(200, "The balances.", BALANCES);
    book.add(Method::GET, "/v1/credits", balances);
}

const BALANCES: &str = r#"{
  "sms": {
    "service_type": "sms",
    "balance": 5000,
    "total_purchased": 10000,
    "total_consumed": 5000,
    "low_balance_threshold": 500,
    "is_low_balance": false,
    "reserved": 0
  },
  "email": {
    "service_type": "email",
    "balance": 200,
    "total_purchased": 1000,
    "total_consumed": 800,
    "low_balance_threshold": 100,
    "is_low_balance": true,
    "reserved": 0
  }
}"#;
