//! Lives here: the load-test library, that is the simulated carrier, the load generators, the webhook
//! listener and the profile runner. Never here: anything the daemon needs to do its work, or a command line.
//!
//! Three users share it: the binary `mnara-loadtest`, the daemon's `demo` command, and the scenario tests.

pub mod esme;
pub mod hook;
pub mod http;
pub mod ledger;
pub mod marker;
pub mod networks;
pub mod profile;
pub mod smsc;
mod wait;
