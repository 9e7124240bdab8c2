//! Lives here: the operator's commands, sent to the running daemon's admin listener, and what they
//! print: tables for people, one JSON document for programs.
//! Never here: the daemon's own state; rules about what may be done (`admin` judges).

mod audit;
mod binds;
mod carriers;
mod client;
mod credits;
mod erase;
mod jobs;
mod keys;
mod messages;
mod people;
mod queue;
mod receipts;
mod routes;
mod store;
mod table;
mod webhooks;

use std::io::{self, Write};
use std::net::SocketAddr;

use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;

pub use self::binds::{BindArguments, BindsCommand};
pub use self::carriers::{CarriersCommand, HoldArguments};
pub use self::client::CtlError;
pub use self::credits::{CreditsCommand, PricesCommand, ScopeArguments};
pub use self::erase::EraseArguments;
pub use self::jobs::{JobArguments, JobsCommand};
pub use self::keys::{KeyArguments, KeysCommand};
pub use self::messages::MessagesCommand;
pub use self::people::{OrgsCommand, UsersCommand};
pub use self::queue::{QueueCommand, SweepArguments};
pub use self::receipts::ReceiptsCommand;
pub use self::routes::RoutesCommand;
pub use self::store::{MoveError, StoreCommand, run as run_store};
pub use self::webhooks::WebhooksCommand;

/// What to do.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Organisations: the customers whose messages, keys and senders belong together.
    #[command(alias = "org")]
    Orgs {
        /// What to do with them.
        #[command(subcommand)]
        command: OrgsCommand,
    },
    /// API keys.
    #[command(alias = "key")]
    Keys {
        /// What to do with them.
        #[command(subcommand)]
        command: KeysCommand,
    },
    /// Users: the people who call with a token instead of a key.
    Users {
        /// What to do with them.
        #[command(subcommand)]
        command: UsersCommand,
    },
    /// What organisations have: balances, purchases, thresholds.
    Credits {
        /// What to do.
        #[command(subcommand)]
        command: CreditsCommand,
    },
    /// What a segment costs, by organisation, network, country and class.
    Prices {
        /// What to do; without it: list.
        #[command(subcommand)]
        command: Option<PricesCommand>,
    },
    /// Webhook endpoints: how they stand, what they were told; enable, disable, test, replay.
    Webhooks {
        /// What to do.
        #[command(subcommand)]
        command: WebhooksCommand,
    },
    /// The binds: how they stand; up, down, rebind, pace, window.
    Binds {
        /// What to do; without it: list.
        #[command(subcommand)]
        command: Option<BindsCommand>,
    },
    /// The accounts with carriers: how they stand; pause, drain, resume.
    Carriers {
        /// What to do; without it: list.
        #[command(subcommand)]
        command: Option<CarriersCommand>,
    },
    /// What waits, by account and class, and why.
    Queue {
        /// What to do; without it: show.
        #[command(subcommand)]
        command: Option<QueueCommand>,
    },
    /// Single messages: find them; what is known of one; cancel, resend.
    Messages {
        /// What to do with one.
        #[command(subcommand)]
        command: MessagesCommand,
    },
    /// Bulk jobs: list, show, pause, resume, cancel.
    Jobs {
        /// What to do; without it: list.
        #[command(subcommand)]
        command: Option<JobsCommand>,
    },
    /// Receipts that have found no attempt: look at them, try them again, drop them.
    Receipts {
        /// What to do with them.
        #[command(subcommand)]
        command: ReceiptsCommand,
    },
    /// The routing plan: where a message would go, and why.
    Routes {
        /// What to ask.
        #[command(subcommand)]
        command: RoutesCommand,
    },
    /// Read the routing section and its files again, all or nothing; prints what has changed.
    Reload,
    /// Erase a person's number, with texts and all else that tells of the person, from all messages
    /// that have ended. What is for billing stays. Cannot be undone.
    Erase(EraseArguments),
    /// Show what operators have changed, newest first.
    Audit {
        /// So many lines.
        #[arg(long)]
        limit: Option<u32>,
    },
}

/// The daemon to talk to.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its admin listener.
    pub address: SocketAddr,
    /// Its admin token.
    pub token: SecretString,
}

/// Carries a command out and prints its result on standard output: a table, or with `json` the
/// daemon's JSON document on one line.
///
/// # Errors
/// [`CtlError`]: one sentence for standard error; the exit status is then 1.
pub async fn run(target: Target, command: Command, json: bool) -> Result<(), CtlError> {
    let told = ask(&target, &command).await?;
    let verdict = verdict(&command, &told);
    let text = if json {
        format!("{told}\n")
    } else {
        people(&command, told)?
    };
    match io::stdout().lock().write_all(text.as_bytes()) {
        // Whoever read us has seen enough (`ctl queue | head -1`).
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => verdict,
        done => done.map_err(CtlError::Output).and(verdict),
    }
}

/// Whether what a check has told is good; what else is told always is.
fn verdict(command: &Command, told: &Value) -> Result<(), CtlError> {
    match command {
        Command::Credits {
            command: CreditsCommand::Verify { .. },
        } => credits::verdict(told),
        _ => Ok(()),
    }
}

/// Carries a command out and gives the daemon's JSON document.
///
/// # Errors
/// [`CtlError`].
pub async fn ask(target: &Target, command: &Command) -> Result<Value, CtlError> {
    match command {
        Command::Orgs { command } => command.ask(target).await,
        Command::Keys { command } => command.ask(target).await,
        Command::Users { command } => command.ask(target).await,
        Command::Credits { command } => command.ask(target).await,
        Command::Prices { command } => {
            let command = command.as_ref().unwrap_or(&PricesCommand::List);
            command.ask(target).await
        }
        Command::Webhooks { command } => command.ask(target).await,
        Command::Binds { command } => {
            let command = command.as_ref().unwrap_or(&BindsCommand::List);
            command.ask(target).await
        }
        Command::Carriers { command } => {
            let command = command.as_ref().unwrap_or(&CarriersCommand::List);
            command.ask(target).await
        }
        Command::Queue { command } => {
            let command = command.as_ref().unwrap_or(&QueueCommand::ALL);
            command.ask(target).await
        }
        Command::Messages { command } => command.ask(target).await,
        Command::Jobs { command } => {
            let command = command.as_ref().unwrap_or(&JobsCommand::LIST);
            command.ask(target).await
        }
        Command::Receipts { command } => command.ask(target).await,
        Command::Routes { command } => command.ask(target).await,
        Command::Reload => routes::reload(target).await,
        Command::Erase(arguments) => arguments.ask(target).await,
        Command::Audit { limit } => audit::list(target, *limit).await,
    }
}

fn people(command: &Command, told: Value) -> Result<String, CtlError> {
    match command {
        Command::Orgs { command } => command.shown(told),
        Command::Keys { command } => command.shown(told),
        Command::Users { command } => command.shown(told),
        Command::Credits { command } => command.shown(told),
        Command::Prices { command } => {
            let command = command.as_ref().unwrap_or(&PricesCommand::List);
            command.shown(told)
        }
        Command::Webhooks { command } => command.shown(told),
        Command::Binds { command } => {
            let command = command.as_ref().unwrap_or(&BindsCommand::List);
            command.shown(told)
        }
        Command::Carriers { command } => {
            let command = command.as_ref().unwrap_or(&CarriersCommand::List);
            command.shown(told)
        }
        Command::Queue { command } => {
            let command = command.as_ref().unwrap_or(&QueueCommand::ALL);
            command.shown(told)
        }
        Command::Messages { command } => command.shown(told),
        Command::Jobs { command } => {
            let command = command.as_ref().unwrap_or(&JobsCommand::LIST);
            command.shown(told)
        }
        Command::Receipts { command } => command.shown(told),
        Command::Routes { .. } => RoutesCommand::shown(told),
        Command::Reload => routes::reloaded(told),
        Command::Erase(_) => EraseArguments::shown(told),
        Command::Audit { .. } => audit::listed(told),
    }
}

fn read<T: for<'de> Deserialize<'de>>(told: Value) -> Result<T, CtlError> {
    serde_json::from_value(told).map_err(|_| CtlError::Strange)
}

#[derive(Deserialize)]
struct Done {
    outcome: String,
    undo: Option<String>,
}

/// What a change has come to, and how it is taken back.
fn done(told: Value) -> Result<String, CtlError> {
    read(told).map(|done: Done| {
        let undo = done.undo.map(|command| format!("undo: {command}\n"));
        format!("{}\n{}", done.outcome, undo.unwrap_or_default())
    })
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}

/// Reads a time as people type it: `90s`, `30m`, `2h`, `1d`. In seconds.
fn period(typed: &str) -> Result<u64, String> {
    let wrong = || "a time is a number and its unit: 90s, 30m, 2h, 1d".to_owned();
    let unit = typed.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = typed[..typed.len() - 1].parse().map_err(|_| wrong())?;
    number.checked_mul(seconds).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use clap::{Parser, Subcommand};
    use serde_json::json;

    use super::*;

    #[derive(Parser)]
    struct Arguments {
        #[command(subcommand)]
        command: Command,
    }

    fn parse(arguments: &str) -> Result<Command, clap::Error> {
        let arguments = std::iter::once("ctl").chain(arguments.split(' '));
        Arguments::try_parse_from(arguments).map(|arguments| arguments.command)
    }

    #[test]
    fn the_documented_commands_are_understood() {
        let _ = Command::augment_subcommands(clap::Command::new("ctl"));
        let command = parse("orgs create Demo --country TZ --sender A --sender B").unwrap();
        let Command::Orgs {
            command:
                OrgsCommand::Create {
                    name,
                    country,
                    senders,
                    postpaid,
                },
        } = command
        else {
            panic!("another command")
        };
        assert_eq!((&*name, &*country, senders.len()), ("Demo", "TZ", 2));
        assert!(!postpaid);
        for fine in [
            "orgs list --after Demo",
            "orgs show Demo",
            "org create Demo --country TZ --postpaid",
            "key create --org Demo",
            "keys create --org Demo --name Till --test --scope otp --scope sms:send --sender A",
            "keys create --org Demo --ip 10.0.0.0/8 --ip ::1 --expires 2027-01-31T00:00:00Z --rate 90",
            "keys list --org Demo --all",
            "keys show 01a1fdce-e407-73d4-a781-ea8479400538",
            "keys revoke 01a1fdce-e407-73d4-a781-ea8479400538",
            "keys rotate 01a1fdce-e407-73d4-a781-ea8479400538 --grace 2h",
            "users create asha@duka.tz --org Demo --name Asha --role owner",
            "users list --org Demo",
            "users remove asha@duka.tz --org Demo",
            "users token asha@duka.tz --org Demo",
            "credits show Demo",
            "credits add Demo 5000 --reference INV-1",
            "credits add Demo -12.5 --reference INV-2 --channel email --note mistake",
            "credits threshold Demo 500",
            "credits verify",
            "credits verify --org Demo",
            "prices",
            "prices set 0.85 --org Demo --network vodacom_tz --class otp",
            "prices set 0.85 --country TZ",
            "prices remove --org Demo",
            "webhooks endpoints --org Demo",
            "webhooks deliveries Demo --status failed --event message.sent --limit 5",
            "webhooks replay --endpoint we_1 --since 2h --until 1h --failed",
            "webhooks replay --event evt_1 --org Demo",
            "webhooks enable we_1",
            "webhooks disable we_1",
            "webhooks test we_1",
            "binds",
            "binds list",
            "binds down one/1 --reason works",
            "binds up one/1 --dry-run",
            "binds rebind one/1",
            "binds set-tps one/1 20",
            "binds set-window one/1 default",
            "carriers",
            "carriers list",
            "carriers pause one --reason works --for 30m",
            "carriers drain one --reason works --dry-run",
            "carriers resume one",
            "carriers learn-ids one --since 1d",
            "queue",
            "queue show --carrier one --class otp --org Demo",
            "queue purge --carrier one --older-than 2h --reason works --dry-run",
            "queue reroute --carrier one --to two --reason works",
            "messages find --to +255753276939 --status failed --since 1d --until 2h --limit 5",
            "messages find --org Demo --client-ref order-7",
            "messages trace 01a1fdce-e407-73d4-a781-ea8479400538",
            "messages cancel 01a1fdce-e407-73d4-a781-ea8479400538 --reason typo",
            "messages resend 01a1fdce-e407-73d4-a781-ea8479400538 --reason asked --dry-run",
            "routes explain +255753276939 --class otp --from MNARA --org Demo --segments 2",
            "reload",
            "jobs",
            "jobs list --org Demo --limit 5",
            "jobs show 01a1fdce-e407-73d4-a781-ea8479400538",
            "jobs pause 01a1fdce-e407-73d4-a781-ea8479400538 --reason asked",
            "jobs resume 01a1fdce-e407-73d4-a781-ea8479400538 --reason asked --dry-run",
            "jobs cancel 01a1fdce-e407-73d4-a781-ea8479400538 --reason asked",
            "receipts list --carrier one --since 1d --limit 5",
            "receipts replay one --since 2h --dry-run",
            "receipts drop one --older-than 1d --reason old",
            "audit --limit 5",
            "erase --to +255712345678 --reason asked --dry-run",
        ] {
            assert!(parse(fine).is_ok(), "{fine}");
        }
        for wrong in [
            "org create Demo",
            "key create",
            "keys list",
            "keys rotate 1 --grace soon",
            "users create asha@duka.tz --org Demo",
            "webhooks replay --event evt_1",
            "webhooks replay --endpoint we_1",
            "carriers pause one",
            "carriers pause one --reason works --for soon",
            "carriers drain --reason works",
            "queue purge --carrier one",
            "queue reroute --carrier one --reason works",
            "messages cancel 1",
            "jobs cancel 1",
            "binds set-tps one/1 fast",
            "audit --limit many",
            "erase --to +255712345678",
            "erase --reason asked",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_are_a_number_and_a_unit() {
        for (typed, seconds) in [("90s", 90), ("30m", 1800), ("2h", 7200), ("1d", 86_400)] {
            assert_eq!(period(typed), Ok(seconds));
        }
        for wrong in [
            "",
            "s",
            "30",
            "-1s",
            "1w",
            "1.5h",
            "٣m",
            "99999999999999999999d",
        ] {
            assert!(period(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_change_is_told_with_its_way_back() {
        let told = json!({"dry_run": false, "outcome": "one is paused", "undo": "mnara ctl x"});
        assert_eq!(done(told).unwrap(), "one is paused\nundo: mnara ctl x\n");
        let told = json!({"dry_run": true, "outcome": "dry run: it would", "undo": null});
        assert_eq!(done(told).unwrap(), "dry run: it would\n");
    }
}
