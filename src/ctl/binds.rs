//! Lives here: `ctl binds`.
//! Never here: what a bind does with a command (`carrier`).

use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{self, CtlError};
use super::table::table;
use super::{Target, done, or_dash, read};

const PATH: &str = "/admin/v1/binds";

/// What to do with a bind. Nothing of it outlasts a restart.
#[derive(Debug, clap::Subcommand)]
pub enum BindsCommand {
    /// Show every bind: its state, its window, its pace, why it last ended (the usual command).
    List,
    /// Bind again, after `down`.
    Up(BindArguments),
    /// Finish the window, unbind and stay away.
    Down(BindArguments),
    /// Finish the window, unbind and bind anew at once.
    Rebind(BindArguments),
    /// Set its pace in segments a second.
    SetTps {
        /// Which bind.
        #[command(flatten)]
        bind: BindArguments,
        /// A number, or `default`: as configured.
        #[arg(value_parser = number)]
        value: Number,
    },
    /// Set its window in segments.
    SetWindow {
        /// Which bind.
        #[command(flatten)]
        bind: BindArguments,
        /// A number, or `default`: as configured.
        #[arg(value_parser = number)]
        value: Number,
    },
}

/// Which bind, and why.
#[derive(Debug, clap::Args)]
pub struct BindArguments {
    /// Its name, as `ctl binds` shows it.
    name: String,
    /// Why, for the audit.
    #[arg(long)]
    reason: Option<String>,
    /// Only tell what would be done.
    #[arg(long)]
    dry_run: bool,
}

/// A number, or as configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number(Option<u32>);

fn number(typed: &str) -> Result<Number, String> {
    if typed == "default" {
        return Ok(Number(None));
    }
    let number = typed.parse().map(|number| Number(Some(number)));
    number.map_err(|_| "a number, or `default`".to_owned())
}

impl BindsCommand {
    pub(super) async fn ask(&self, target: &Target) -> Result<Value, CtlError> {
        let body = match self {
            Self::List => return client::get(target, PATH, &[]).await,
            Self::Up(bind) => bind.body("up", None),
            Self::Down(bind) => bind.body("down", None),
            Self::Rebind(bind) => bind.body("rebind", None),
            Self::SetTps { bind, value } => bind.body("set_tps", value.0),
            Self::SetWindow { bind, value } => bind.body("set_window", value.0),
        };
        client::post(target, PATH, &body).await
    }

    pub(super) fn shown(&self, told: Value) -> Result<String, CtlError> {
        match self {
            Self::List => read(told).map(|binds: Binds| binds.shown()),
            Self::Up(_)
            | Self::Down(_)
            | Self::Rebind(_)
            | Self::SetTps { .. }
            | Self::SetWindow { .. } => done(told),
        }
    }
}

impl BindArguments {
    fn body(&self, command: &str, value: Option<u32>) -> Value {
        json!({"bind": self.name, "command": command, "value": value, "reason": self.reason,
            "dry_run": self.dry_run})
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
    since: Option<String>,
    in_flight: u32,
    window: u32,
    tps: u32,
    tps_allowed: u32,
    tps_limit: u32,
    throttled: u64,
    classes: Vec<String>,
    until_restart: Option<String>,
    last_error: Option<String>,
}

impl Binds {
    fn shown(self) -> String {
        let head = [
            "CARRIER",
            "BIND",
            "STATE",
            "SINCE",
            "IN FLIGHT",
            "TPS",
            "THROTTLED",
            "CLASSES",
            "UNTIL RESTART",
            "LAST ERROR",
        ];
        let rows = self.binds.into_iter().map(|bind| {
            let pace = if bind.tps_allowed < bind.tps_limit {
                format!("{}/{} of {}", bind.tps, bind.tps_allowed, bind.tps_limit)
            } else {
                format!("{}/{}", bind.tps, bind.tps_limit)
            };
            let classes = if bind.classes.len() == 3 {
                "all".to_owned()
            } else {
                bind.classes.join(",")
            };
            [
                bind.carrier,
                bind.bind,
                bind.state,
                or_dash(bind.since),
                format!("{}/{}", bind.in_flight, bind.window),
                pace,
                bind.throttled.to_string(),
                classes,
                or_dash(bind.until_restart),
                or_dash(bind.last_error),
            ]
        });
        table(head, rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binds_are_shown_as_a_table() {
        let told = json!({"binds": [{"carrier": "mtn_ng", "bind": "mtn_ng/1", "state": "bound",
            "since": "T1", "bound": true, "host": "h:1", "classes": ["otp"], "in_flight": 3,
            "window": 100, "tps": 7, "tps_allowed": 8, "tps_limit": 10, "throttled": 2,
            "until_restart": "tps 10", "last_error": null}]});
        assert_eq!(
            BindsCommand::List.shown(told).unwrap(),
            "CARRIER  BIND      STATE  SINCE  IN FLIGHT  TPS        THROTTLED  CLASSES  \
             UNTIL RESTART  LAST ERROR\n\
             mtn_ng   mtn_ng/1  bound  T1     3/100      7/8 of 10  2          otp      \
             tps 10         -\n"
        );
    }

    #[test]
    fn a_pace_is_a_number_or_as_configured() {
        assert_eq!(number("50"), Ok(Number(Some(50))));
        assert_eq!(number("default"), Ok(Number(None)));
        assert!(number("-1").is_err() && number("fast").is_err());
    }
}
