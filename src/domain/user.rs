//! Lives here: the people of an organisation and what their roles let them do.
//! Never here: how they prove who they are (`tokens`).

use super::ids::{OrgId, UserId};
use super::scope::{Scope, Scopes};
use super::time::Timestamp;

/// Characters of an e-mail address at most (RFC 5321, 4.5.3.1).
const EMAIL_MAX: usize = 254;

/// A person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// Whose.
    pub org: OrgId,
    /// In lower case, once in an organisation.
    pub email: Box<str>,
    /// As the person is called, 1 to 64 characters.
    pub name: Box<str>,
    /// What it may do.
    pub role: Role,
    /// When it was created.
    pub created_at: Timestamp,
}

/// What a person does in an organisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Whose it is: everything.
    Owner,
    /// Who runs it: everything but what only an owner may do, of which there is nothing at this
    /// door.
    Admin,
    /// Who builds with it: send, read, look after webhooks; no keys.
    Developer,
    /// Who looks on: read.
    Viewer,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Owner, Self::Admin, Self::Developer, Self::Viewer];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Developer => "developer",
            Self::Viewer => "viewer",
        }
    }

    /// The role of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// Its number in the store.
    pub const fn index(self) -> i64 {
        self as i64
    }

    /// The role of this number.
    pub fn from_index(index: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.index() == index)
    }

    /// What it may do.
    pub fn scopes(self) -> Scopes {
        match self {
            Self::Owner | Self::Admin => Scopes::ALL,
            Self::Developer => Scopes::of([
                Scope::SmsSend,
                Scope::Otp,
                Scope::MessagesRead,
                Scope::CreditsRead,
                Scope::WebhooksRead,
                Scope::WebhooksWrite,
            ]),
            Self::Viewer => {
                Scopes::of([Scope::MessagesRead, Scope::CreditsRead, Scope::WebhooksRead])
            }
        }
    }
}

/// An e-mail address as it is kept: in lower case, if it looks like one.
pub fn email(typed: &str) -> Option<Box<str>> {
    let email = typed.trim();
    let (local, domain) = email.rsplit_once('@')?;
    let plain = |c: char| !c.is_whitespace() && !c.is_control();
    let fine = !local.is_empty() && domain.contains('.') && email.chars().all(plain);
    (fine && email.len() <= EMAIL_MAX).then(|| email.to_lowercase().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_read_back_and_only_those_who_run_it_have_keys() {
        for role in Role::ALL {
            assert_eq!(Role::parse(role.name()), Some(role));
            assert_eq!(Role::from_index(role.index()), Some(role));
            assert!(role.scopes().allow(Scope::CreditsRead));
        }
        let keys = Role::ALL.map(|role| role.scopes().allow(Scope::KeysWrite));
        assert_eq!(keys, [true, true, false, false]);
        let send = Role::ALL.map(|role| role.scopes().allow(Scope::SmsSend));
        assert_eq!(send, [true, true, true, false]);
        assert_eq!(Role::parse("root"), None);
        assert_eq!(Role::from_index(4), None);
    }

    #[test]
    fn addresses_are_kept_in_lower_case() {
        assert_eq!(
            email(" Asha@Duka.CO.TZ ").as_deref(),
            Some("asha@duka.co.tz")
        );
        let long = format!("{}@duka.tz", "a".repeat(250));
        for wrong in ["", "asha", "@duka.tz", "asha@duka", "a sha@duka.tz", &long] {
            assert_eq!(email(wrong), None, "{wrong}");
        }
    }
}
