//! Mnara: a high-throughput SMPP gateway. REST in, SMPP out, receipts and signed webhooks back.
//!
//! Lives here: the list of layers, lowest first; `ARCHITECTURE.md` tells what each may know.
//! Never here: code.
// What prints panics where nobody listens any more: a log does not, and only the demo prints.
#![cfg_attr(not(test), warn(clippy::print_stdout, clippy::print_stderr))]

pub mod domain;
pub mod telemetry;

pub mod flow;
pub mod store;

pub mod carrier;
pub mod inbound;
pub mod ingest;
pub mod scheduler;
pub mod tokens;
pub mod webhooks;

pub mod bulk;

pub mod admin;
pub mod api;
pub mod ctl;

pub mod app;
pub mod config;
pub mod demo;
