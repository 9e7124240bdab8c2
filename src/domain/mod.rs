//! Lives here: the nouns of the daemon and their pure transitions.
//! Never here: tokio, serde, sqlx, axum, a clock, a socket, a lock; `now` is an argument.

pub mod account;
pub mod allowance;
pub mod api_key;
pub mod breaker;
pub mod capability;
pub mod class;
pub mod credits;
pub mod endpoint;
pub mod event;
pub mod ids;
pub mod job;
pub mod key_form;
pub mod learn;
pub mod ledger;
pub mod lifecycle;
pub mod message;
pub mod numbering;
pub mod phone;
pub mod price;
pub mod proof;
pub mod receipt;
pub mod route;
pub mod sandbox;
pub mod scope;
pub mod template;
pub mod time;
pub mod user;
pub mod verdict;
pub mod webhook_url;
