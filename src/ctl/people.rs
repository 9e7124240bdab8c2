//! Lives here: `ctl org` and `ctl key`.
//! Never here: rules about names and senders (`admin` judges).

use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{self, CtlError};
use super::{Target, read};

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
        /// It pays for what it has used; otherwise only what it has bought can be used (`ctl
        /// credits add`).
        #[arg(long)]
        postpaid: bool,
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

impl OrgCommand {
    pub(super) async fn ask(&self, target: &Target) -> Result<Value, CtlError> {
        let Self::Create {
            name,
            country,
            senders,
            postpaid,
        } = self;
        let body = json!({"name": name, "country": country, "senders": senders,
            "postpaid": postpaid});
        client::post(target, "/admin/v1/orgs", &body).await
    }

    pub(super) fn shown(told: Value) -> Result<String, CtlError> {
        read(told).map(|org: Org| org.shown())
    }
}

impl KeyCommand {
    pub(super) async fn ask(&self, target: &Target) -> Result<Value, CtlError> {
        let Self::Create { org } = self;
        client::post(target, "/admin/v1/keys", &json!({"org": org})).await
    }

    pub(super) fn shown(told: Value) -> Result<String, CtlError> {
        read(told).map(|key: Key| key.shown())
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_shown() {
        let told = json!({"id": "i", "org": "o", "prefix": "p", "key": "sk_live_mw_x"});
        assert!(KeyCommand::shown(told).unwrap().contains("sk_live_mw_x"));
        assert!(matches!(
            KeyCommand::shown(json!({})),
            Err(CtlError::Strange)
        ));
    }
}
