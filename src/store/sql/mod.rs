//! Lives here: the store's rows in SQLite and in PostgreSQL: one set of statements.
//! Never here: channels, tasks, decisions about messages.

mod attempts;
mod bulk;
mod db;
mod messages;
mod outbox;
mod people;
mod statement;
