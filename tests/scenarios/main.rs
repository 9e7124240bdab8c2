//! Lives here: the list of scenarios: each is the real daemon as a child process, with simulated
//! carriers and a webhook receiver, told in one file of its own.
//! Never here: tests of a single part; those stand beside the part.
#![allow(
    clippy::unwrap_used,
    reason = "a scenario that cannot go on fails, and says where"
)]

mod daemon;
mod hand;
mod postgres;
mod world;

mod admin;
mod apart;
mod bad_input;
mod binding;
mod bulk;
mod commanded;
mod configuration;
mod credits;
mod disk;
mod doubt;
mod drain;
mod failover;
mod hang_up;
mod holds;
mod hostile;
mod idempotency;
mod journey;
mod keys;
mod kill;
mod late;
mod load_profiles;
mod long;
mod moves;
mod moving;
mod outbox;
mod plan;
mod priority;
mod profiles;
mod proof;
mod reads;
mod receipts;
mod retention;
mod routing;
mod sandbox;
mod scheduled;
mod second;
mod secrets;
mod seed_003;
mod server_loss;
mod silence;
mod spill;
mod storm;
mod sweeping;
mod tenants;
mod throttle;
mod trailing;
mod unheard;
mod webhooks;
