//! Lives here: the operator's commands, sent to the running daemon's admin listener, and what they
//! print: tables for people, one JSON document for programs.
//! Never here: the daemon's own state; rules about what may be created (`admin` judges).

mod client;
mod table;

use std::io::{self, Write};
use std::net::SocketAddr;

use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};

pub use self::client::CtlError;
use self::table::table;

/// What to do.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Organisations: the customers whose messages, keys and senders belong together.
    Org {
        /// What to do with one.
        #[command(subcommand)]
        command: OrgCommand,
    },
    /// API keys.
    Key {
        /// What to do with one.
        #[command(subcommand)]
        command: KeyCommand,
    },
    /// Show every bind: its state, its window, why it last ended.
    Binds,
    /// Show what waits, by account and class.
    Queue,
}

/// What to do with an organisation.
#[derive(Debug, clap::Subcommand)]
pub enum OrgCommand {
    /// Create one; prints the secret of its webhook signatures.
    Create {
        /// Its name, unique, 1 to 64 characters.
        name: String,
        /// ISO 3166 code of the country in which its local numbers are read.
        #[arg(long)]
        country: String,
        /// An approved sender; may be given several times. None = every well-formed sender.
        #[arg(long = "sender", value_name = "SENDER")]
        senders: Vec<String>,
    },
}

/// What to do with a key.
#[derive(Debug, clap::Subcommand)]
pub enum KeyCommand {
    /// Create a live key; prints it, once.
    Create {
        /// The organisation's name or id.
        #[arg(long)]
        org: String,
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
    let text = if json {
        format!("{told}\n")
    } else {
        people(&command, told)?
    };
    match io::stdout().lock().write_all(text.as_bytes()) {
        // Whoever read us has seen enough (`ctl queue | head -1`).
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done.map_err(CtlError::Output),
    }
}

/// Carries a command out and gives the daemon's JSON document.
///
/// # Errors
/// [`CtlError`].
pub async fn ask(target: &Target, command: &Command) -> Result<Value, CtlError> {
    match command {
        Command::Org {
            command:
                OrgCommand::Create {
                    name,
                    country,
                    senders,
                },
        } => {
            let body = json!({"name": name, "country": country, "senders": senders});
            client::post(target, "/admin/v1/orgs", &body).await
        }
        Command::Key {
            command: KeyCommand::Create { org },
        } => client::post(target, "/admin/v1/keys", &json!({"org": org})).await,
        Command::Binds => client::get(target, "/admin/v1/binds").await,
        Command::Queue => client::get(target, "/admin/v1/queue").await,
    }
}

fn people(command: &Command, told: Value) -> Result<String, CtlError> {
    match command {
        Command::Org { .. } => read(told).map(|org: Org| org.shown()),
        Command::Key { .. } => read(told).map(|key: Key| key.shown()),
        Command::Binds => read(told).map(|binds: Binds| binds.shown()),
        Command::Queue => read(told).map(|queue: Queue| queue.shown()),
    }
}

fn read<T: for<'de> Deserialize<'de>>(told: Value) -> Result<T, CtlError> {
    serde_json::from_value(told).map_err(|_| CtlError::Strange)
}

#[derive(Deserialize)]
struct Org {
    id: String,
    name: String,
    country: String,
    senders: Vec<String>,
    webhook_secret: String,
}

impl Org {
    fn shown(&self) -> String {
        let senders = match &*self.senders {
            [] => "any".to_owned(),
            senders => senders.join(", "),
        };
        format!(
            "organisation    {}\nid              {}\ncountry         {}\nsenders         {senders}\n\
             webhook secret  {}\n",
            self.name, self.id, self.country, self.webhook_secret
        )
    }
}

#[derive(Deserialize)]
struct Key {
    id: String,
    org: String,
    key: String,
}

impl Key {
    fn shown(&self) -> String {
        format!(
            "key           {}\nid            {}\norganisation  {}\n\
             The key is shown this once; keep it safe.\n",
            self.key, self.id, self.org
        )
    }
}

#[derive(Deserialize)]
struct Binds {
    binds: Vec<Bind>,
}

#[derive(Deserialize)]
struct Bind {
    carrier: String,
    bind: String,
    state: String,
    bound: bool,
    in_flight: u32,
    window: u32,
    last_error: Option<String>,
}

impl Binds {
    fn shown(&self) -> String {
        let head = [
            "CARRIER",
            "BIND",
            "STATE",
            "BOUND",
            "IN FLIGHT",
            "LAST ERROR",
        ];
        let rows = self.binds.iter().map(|bind| {
            [
                bind.carrier.clone(),
                bind.bind.clone(),
                bind.state.clone(),
                if bind.bound { "yes" } else { "no" }.to_owned(),
                format!("{}/{}", bind.in_flight, bind.window),
                bind.last_error.clone().unwrap_or_else(|| "-".to_owned()),
            ]
        });
        table(head, rows)
    }
}

#[derive(Deserialize)]
struct Queue {
    lanes: Vec<Lane>,
}

#[derive(Deserialize)]
struct Lane {
    carrier: String,
    class: String,
    ready: u64,
    spilled: bool,
    queued: u64,
    scheduled: u64,
    oldest_queued_s: Option<u64>,
}

impl Queue {
    fn shown(&self) -> String {
        let head = ["CARRIER", "CLASS", "QUEUED", "READY", "SCHEDULED", "OLDEST"];
        let rows = self.lanes.iter().map(|lane| {
            let more = if lane.spilled { "+" } else { "" };
            [
                lane.carrier.clone(),
                lane.class.clone(),
                lane.queued.to_string(),
                format!("{}{more}", lane.ready),
                lane.scheduled.to_string(),
                lane.oldest_queued_s
                    .map_or_else(|| "-".to_owned(), |age| format!("{age} s")),
            ]
        });
        table(head, rows)
    }
}

#[cfg(test)]
mod tests {
    use clap::{Parser, Subcommand};

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
        let command = parse("org create Demo --country TZ --sender A --sender B").unwrap();
        let Command::Org {
            command:
                OrgCommand::Create {
                    name,
                    country,
                    senders,
                },
        } = command
        else {
            panic!("another command")
        };
        assert_eq!((&*name, &*country, senders.len()), ("Demo", "TZ", 2));
        assert!(matches!(
            parse("key create --org Demo"),
            Ok(Command::Key { .. })
        ));
        assert!(matches!(parse("binds"), Ok(Command::Binds)));
        assert!(matches!(parse("queue"), Ok(Command::Queue)));
        assert!(parse("org create Demo").is_err());
        assert!(parse("key create").is_err());
    }

    #[test]
    fn answers_are_shown_as_tables() {
        let told = json!({"binds": [{"carrier": "mtn_ng", "bind": "mtn_ng/1", "state": "bound",
            "bound": true, "in_flight": 3, "window": 100, "last_error": null}]});
        let text = people(&Command::Binds, told).unwrap();
        assert_eq!(
            text,
            "CARRIER  BIND      STATE  BOUND  IN FLIGHT  LAST ERROR\n\
             mtn_ng   mtn_ng/1  bound  yes    3/100      -\n"
        );
        let told = json!({"lanes": [{"carrier": "mtn_ng", "class": "otp", "ready": 5,
            "spilled": true, "queued": 9, "scheduled": 0, "oldest_queued_s": 4}]});
        let text = people(&Command::Queue, told).unwrap();
        assert_eq!(
            text,
            "CARRIER  CLASS  QUEUED  READY  SCHEDULED  OLDEST\n\
             mtn_ng   otp    9       5+     0          4 s\n"
        );
        let told = json!({"id": "i", "org": "o", "prefix": "p", "key": "sk_live_mw_x"});
        let command = Command::Key {
            command: KeyCommand::Create { org: "o".into() },
        };
        assert!(people(&command, told).unwrap().contains("sk_live_mw_x"));
        assert!(matches!(
            people(&Command::Queue, json!({})),
            Err(CtlError::Strange)
        ));
    }
}
