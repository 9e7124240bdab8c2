//! Lives here: the store's rows in SQLite and in PostgreSQL: one set of statements.
//! Never here: channels, tasks, decisions about messages.

mod attempts;
mod bulk;
mod by_id;
mod db;
mod inbox;
mod messages;
pub(super) mod operators;
pub(super) mod read;
mod receipts;
mod statement;
pub(super) mod tallies;
