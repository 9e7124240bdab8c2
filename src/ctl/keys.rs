//! Lives here: `ctl keys`.
//! Never here: rules about keys (`admin` judges).

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{self, CtlError};
use super::people::any;
use super::table::table;
use super::{Target, done, or_dash, period, read};

const KEYS: &str = "/admin/v1/keys";
/// Octets that are read of a key: many more than one has.
const SECRET_MAX: u64 = 4096;

/// What to do with keys.
#[derive(Debug, clap::Subcommand)]
pub enum KeysCommand {
    /// An organisation's, the newest first.
    List {
        /// The organisation's name or id.
        #[arg(long)]
        org: String,
        /// Those that are revoked too.
        #[arg(long)]
        all: bool,
    },
    /// One; never the key itself.
    Show {
        /// Its id.
        id: String,
    },
    /// Create one; prints it, once.
    Create(Box<KeyArguments>),
    /// Revoke one: from then on it lets nobody in.
    Revoke {
        /// Its id.
        id: String,
    },
    /// Put another in its place, with the same rights and bounds; prints that, once.
    Rotate {
        /// Its id.
        id: String,
        /// How long the old one works still (90s, 30m, 2h, 7d); without it: not at all.
        #[arg(long, value_name = "TIME", value_parser = period)]
        grace: Option<u64>,
    },
}

/// What a new key is to be.
#[derive(Debug, clap::Args)]
pub struct KeyArguments {
    /// The organisation's name or id.
    #[arg(long)]
    org: String,
    /// What people call it.
    #[arg(long, default_value = "")]
    name: String,
    /// For the sandbox: nothing that it sends goes to a carrier.
    #[arg(long)]
    test: bool,
    /// What it may do: sms:send, otp, messages:read, credits:read, webhooks:read, webhooks:write,
    /// keys:write, admin (everything). May be given several times; none = send and read.
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// A sender that it may use; may be given several times. None = all of its organisation.
    #[arg(long = "sender", value_name = "SENDER")]
    senders: Vec<String>,
    /// An address or network (CIDR) that it works from; may be given several times. None = any.
    #[arg(long = "ip", value_name = "NETWORK")]
    ips: Vec<String>,
    /// From when on it works no more: RFC 3339, 2027-01-31T00:00:00Z.
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
    /// Requests a minute, instead of the pace of all.
    #[arg(long, value_name = "N")]
    rate: Option<u32>,
    /// Take the key that stands in this file (-: on standard input) instead of making one: it was
    /// made elsewhere, and its users shall not notice.
    #[arg(long, value_name = "FILE")]
    key_from: Option<PathBuf>,
    /// It may be one that can be guessed: for test rigs that nobody else reaches.
    #[arg(long, requires = "key_from")]
    weak: bool,
}

impl KeysCommand {
    pub(super) async fn ask(&self, target: &Target) -> Result<Value, CtlError> {
        let of = |id: &str, what: &str| {
            let mut path = format!("{KEYS}/");
            client::encode(&mut path, id);
            path + what
        };
        match self {
            Self::List { org, all } => {
                let all = Some(all.to_string());
                client::get(target, KEYS, &[("org", &Some(org.clone())), ("all", &all)]).await
            }
            Self::Show { id } => client::get(target, &of(id, ""), &[]).await,
            Self::Create(arguments) => client::post(target, KEYS, &arguments.body()?).await,
            Self::Revoke { id } => client::post(target, &of(id, "/revoke"), &json!({})).await,
            Self::Rotate { id, grace } => {
                let body = json!({"grace_s": grace.unwrap_or_default()});
                client::post(target, &of(id, "/rotate"), &body).await
            }
        }
    }

    pub(super) fn shown(&self, told: Value) -> Result<String, CtlError> {
        match self {
            Self::List { .. } => read(told).map(|keys: Keys| keys.shown()),
            Self::Show { .. } | Self::Create(_) | Self::Rotate { .. } => {
                read(told).map(|key: Key| key.shown())
            }
            Self::Revoke { .. } => done(told),
        }
    }
}

impl KeyArguments {
    /// A live key of an organisation without bounds of its own.
    pub fn plain(org: &str) -> Self {
        Self {
            org: org.to_owned(),
            name: String::new(),
            test: false,
            scopes: Vec::new(),
            senders: Vec::new(),
            ips: Vec::new(),
            expires: None,
            rate: None,
            key_from: None,
            weak: false,
        }
    }

    fn body(&self) -> Result<Value, CtlError> {
        let Self {
            org,
            name,
            test,
            scopes,
            senders,
            ips,
            expires,
            rate,
            key_from,
            weak,
        } = self;
        let scopes = (!scopes.is_empty()).then_some(scopes);
        let key = key_from.as_deref().map(secret).transpose()?;
        Ok(json!({
            "org": org, "name": name, "test": test, "scopes": scopes, "senders": senders,
            "ips": ips, "expires_at": expires, "rate": rate, "key": key, "weak": weak,
        }))
    }
}

/// What stands in a file, without the end of its line. It is never an argument: those are seen by
/// all, and kept in the shell's history.
fn secret(path: &Path) -> Result<String, CtlError> {
    let unread = |cause| CtlError::Unread {
        path: path.to_owned(),
        cause,
    };
    let mut text = String::new();
    let read = if path == Path::new("-") {
        io::stdin()
            .lock()
            .take(SECRET_MAX)
            .read_to_string(&mut text)
    } else {
        let file = File::open(path).map_err(unread)?;
        file.take(SECRET_MAX).read_to_string(&mut text)
    };
    read.map_err(unread)?;
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    Ok(text)
}

#[derive(Deserialize)]
struct Keys {
    keys: Vec<Key>,
}

#[derive(Deserialize)]
struct Key {
    id: String,
    org: String,
    name: String,
    prefix: String,
    environment: String,
    status: String,
    scopes: Vec<String>,
    senders: Vec<String>,
    ips: Vec<String>,
    rate: Option<u32>,
    created_at: String,
    expires_at: Option<String>,
    last_used_at: Option<String>,
    revoked_at: Option<String>,
    replaced_by: Option<String>,
    /// At its creation only.
    key: Option<String>,
}

impl Keys {
    fn shown(&self) -> String {
        let rows = self.keys.iter().map(|key| {
            [
                format!("{}…", key.prefix),
                key.name.clone(),
                key.status.clone(),
                key.scopes.join(" "),
                or_dash(key.last_used_at.clone()),
                or_dash(key.expires_at.clone()),
                key.id.clone(),
            ]
        });
        let head = [
            "KEY",
            "NAME",
            "STATUS",
            "SCOPES",
            "LAST USED",
            "EXPIRES",
            "ID",
        ];
        table(head, rows)
    }
}

impl Key {
    fn shown(&self) -> String {
        let secret = self.key.as_deref();
        let shown = secret.map_or_else(|| format!("{}…", self.prefix), str::to_owned);
        let rate = self.rate.map(|rate| format!("{rate} requests a minute"));
        let mut lines = vec![
            ("key", shown),
            ("id", self.id.clone()),
            ("organisation", self.org.clone()),
            ("name", self.name.clone()),
            ("environment", self.environment.clone()),
            ("status", self.status.clone()),
            ("scopes", self.scopes.join(", ")),
            ("senders", any(&self.senders)),
            ("addresses", any(&self.ips)),
            ("pace", or_dash(rate)),
            ("created", self.created_at.clone()),
            ("expires", or_dash(self.expires_at.clone())),
            ("last used", or_dash(self.last_used_at.clone())),
        ];
        if let Some(at) = &self.revoked_at {
            lines.push(("revoked", at.clone()));
        }
        if let Some(successor) = &self.replaced_by {
            lines.push(("replaced by", successor.clone()));
        }
        let lines = lines
            .iter()
            .map(|(name, value)| format!("{name:14}{value}\n"));
        let mut text: String = lines.collect();
        if secret.is_some() {
            text.push_str("The key is shown this once; keep it safe.\n");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told() -> Value {
        json!({"id": "i", "org": "o", "name": "Till 3", "prefix": "sk_live_mw_x",
            "environment": "live", "status": "active", "scopes": ["otp"], "senders": [],
            "ips": ["10.0.0.0/8"], "rate": 90, "created_at": "t", "expires_at": null,
            "last_used_at": null, "revoked_at": null, "replaced_by": null})
    }

    #[test]
    fn a_key_is_shown_whole_only_when_it_is_new() {
        let show = KeysCommand::Show { id: "i".into() };
        let shown = show.shown(told()).unwrap();
        assert!(shown.contains("key           sk_live_mw_x…\n"), "{shown}");
        assert!(shown.contains("90 requests a minute") && !shown.contains("this once"));
        let mut new = told();
        new["key"] = json!("sk_live_mw_xyz");
        let rotate = KeysCommand::Rotate {
            id: "i".into(),
            grace: None,
        };
        let shown = rotate.shown(new).unwrap();
        assert!(shown.contains("key           sk_live_mw_xyz\n"), "{shown}");
        assert!(shown.ends_with("keep it safe.\n"));
        let list = KeysCommand::List {
            org: "Duka".into(),
            all: false,
        };
        let shown = list.shown(json!({"keys": [told()]})).unwrap();
        assert!(
            shown.contains("sk_live_mw_x…  Till 3  active  otp"),
            "{shown}"
        );
        assert!(matches!(show.shown(json!({})), Err(CtlError::Strange)));
    }
}
