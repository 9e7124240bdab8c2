//! Lives here: `ctl orgs` and `ctl users`.
//! Never here: rules about names, senders and roles (`admin` judges).

use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{self, CtlError};
use super::table::table;
use super::{Target, done, read};

/// What to do with organisations.
#[derive(Debug, clap::Subcommand)]
pub enum OrgsCommand {
    /// All of them, by name.
    List {
        /// Go on behind this name.
        #[arg(long)]
        after: Option<String>,
    },
    /// One.
    Show {
        /// Its name or id.
        org: String,
    },
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

/// What to do with users.
#[derive(Debug, clap::Subcommand)]
pub enum UsersCommand {
    /// An organisation's.
    List {
        /// The organisation's name or id.
        #[arg(long)]
        org: String,
    },
    /// Create one.
    Create {
        /// Its e-mail address, once in an organisation.
        email: String,
        /// The organisation's name or id.
        #[arg(long)]
        org: String,
        /// How the person is called.
        #[arg(long)]
        name: String,
        /// owner, admin, developer or viewer.
        #[arg(long)]
        role: String,
    },
    /// Remove one; its tokens let nobody in any more.
    Remove {
        /// Its e-mail address.
        email: String,
        /// The organisation's name or id.
        #[arg(long)]
        org: String,
    },
    /// Print a token of one, good for a quarter of an hour.
    Token {
        /// Its e-mail address.
        email: String,
        /// The organisation's name or id.
        #[arg(long)]
        org: String,
    },
}

impl OrgsCommand {
    pub(super) async fn ask(&self, target: &Target) -> Result<Value, CtlError> {
        const ORGS: &str = "/admin/v1/orgs";
        match self {
            Self::List { after } => client::get(target, ORGS, &[("after", after)]).await,
            Self::Show { org } => {
                let which = [("org", &Some(org.clone()))];
                client::get(target, "/admin/v1/orgs/show", &which).await
            }
            Self::Create {
                name,
                country,
                senders,
                postpaid,
            } => {
                let body = json!({"name": name, "country": country, "senders": senders,
                    "postpaid": postpaid});
                client::post(target, ORGS, &body).await
            }
        }
    }

    pub(super) fn shown(&self, told: Value) -> Result<String, CtlError> {
        match self {
            Self::List { .. } => read(told).map(|orgs: Orgs| orgs.shown()),
            Self::Show { .. } | Self::Create { .. } => read(told).map(|org: Org| org.shown()),
        }
    }
}

impl UsersCommand {
    pub(super) async fn ask(&self, target: &Target) -> Result<Value, CtlError> {
        const USERS: &str = "/admin/v1/users";
        match self {
            Self::List { org } => client::get(target, USERS, &[("org", &Some(org.clone()))]).await,
            Self::Create {
                email,
                org,
                name,
                role,
            } => {
                let body = json!({"email": email, "org": org, "name": name, "role": role});
                client::post(target, USERS, &body).await
            }
            Self::Remove { email, org } => {
                let body = json!({"email": email, "org": org});
                client::post(target, "/admin/v1/users/remove", &body).await
            }
            Self::Token { email, org } => {
                let body = json!({"email": email, "org": org});
                client::post(target, "/admin/v1/users/token", &body).await
            }
        }
    }

    pub(super) fn shown(&self, told: Value) -> Result<String, CtlError> {
        match self {
            Self::List { .. } => read(told).map(|users: Users| users_shown(&users.users)),
            Self::Create { .. } => read(told).map(|user: User| users_shown(&[user])),
            Self::Remove { .. } => done(told),
            Self::Token { .. } => read(told).map(|token: Token| format!("{}\n", token.token)),
        }
    }
}

#[derive(Deserialize)]
struct Orgs {
    orgs: Vec<Org>,
    more: bool,
}

#[derive(Deserialize)]
struct Org {
    id: String,
    name: String,
    country: String,
    senders: Vec<String>,
    /// At its creation only.
    webhook_secret: Option<String>,
}

#[derive(Deserialize)]
struct Users {
    users: Vec<User>,
}

#[derive(Deserialize)]
struct User {
    id: String,
    email: String,
    name: String,
    role: String,
    created_at: String,
}

#[derive(Deserialize)]
struct Token {
    token: String,
}

impl Orgs {
    fn shown(&self) -> String {
        let rows = self.orgs.iter().map(|org| {
            let senders = any(&org.senders);
            [
                org.name.clone(),
                org.country.clone(),
                org.id.clone(),
                senders,
            ]
        });
        let mut text = table(["NAME", "COUNTRY", "ID", "SENDERS"], rows);
        if let Some(last) = self.orgs.last().filter(|_| self.more) {
            text.push_str(&format!("more: --after '{}'\n", last.name));
        }
        text
    }
}

impl Org {
    fn shown(&self) -> String {
        let mut text = format!(
            "organisation    {}\nid              {}\ncountry         {}\nsenders         {}\n",
            self.name,
            self.id,
            self.country,
            any(&self.senders)
        );
        if let Some(secret) = &self.webhook_secret {
            text.push_str(&format!("webhook secret  {secret}\n"));
        }
        text
    }
}

fn users_shown(users: &[User]) -> String {
    let rows = users.iter().map(|user| {
        let User {
            id,
            email,
            name,
            role,
            created_at,
        } = user;
        [email, name, role, created_at, id].map(Clone::clone)
    });
    table(["EMAIL", "NAME", "ROLE", "CREATED", "ID"], rows)
}

/// A list of which none means any.
pub(super) fn any(items: &[String]) -> String {
    match items {
        [] => "any".to_owned(),
        items => items.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn organisations_and_users_are_shown() {
        let list = OrgsCommand::List { after: None };
        let told = json!({"more": true, "orgs": [{"id": "i", "name": "Duka", "country": "TZ",
            "senders": [], "created_at": "t"}]});
        let shown = list.shown(told).unwrap();
        assert!(shown.contains("Duka  TZ       i   any"), "{shown}");
        assert!(shown.ends_with("more: --after 'Duka'\n"), "{shown}");
        let show = OrgsCommand::Show { org: "Duka".into() };
        let told = json!({"id": "i", "name": "Duka", "country": "TZ", "senders": ["A", "B"]});
        let shown = show.shown(told).unwrap();
        assert!(
            shown.contains("A, B") && !shown.contains("secret"),
            "{shown}"
        );
        let users = UsersCommand::List { org: "Duka".into() };
        let told = json!({"users": [{"id": "u", "email": "asha@duka.tz", "name": "Asha",
            "role": "owner", "created_at": "t"}]});
        assert!(
            users
                .shown(told)
                .unwrap()
                .contains("asha@duka.tz  Asha  owner")
        );
        assert!(matches!(users.shown(json!({})), Err(CtlError::Strange)));
    }
}
