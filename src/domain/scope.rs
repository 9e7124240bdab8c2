//! Lives here: what a key or a user may do in its organisation.
//! Never here: who has which (`account`), where that is asked (`api`).

/// One right. The numbers are kept in the store and never change meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Scope {
    /// Send messages and jobs, cancel and move them.
    SmsSend = 0,
    /// Send messages of the class `otp`.
    Otp = 1,
    /// Read messages, jobs and their events.
    MessagesRead = 2,
    /// Read balances.
    CreditsRead = 3,
    /// Read webhook endpoints and deliveries.
    WebhooksRead = 4,
    /// Change webhook endpoints, send events again.
    WebhooksWrite = 5,
    /// See, make, change and revoke keys.
    KeysWrite = 6,
    /// All of it.
    Admin = 7,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 8] = [
        Self::SmsSend,
        Self::Otp,
        Self::MessagesRead,
        Self::CreditsRead,
        Self::WebhooksRead,
        Self::WebhooksWrite,
        Self::KeysWrite,
        Self::Admin,
    ];

    /// The name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SmsSend => "sms:send",
            Self::Otp => "otp",
            Self::MessagesRead => "messages:read",
            Self::CreditsRead => "credits:read",
            Self::WebhooksRead => "webhooks:read",
            Self::WebhooksWrite => "webhooks:write",
            Self::KeysWrite => "keys:write",
            Self::Admin => "admin",
        }
    }

    /// Reads a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }
}

/// A set of them; `admin` holds all the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Scopes(u16);

impl Scopes {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Everything.
    pub const ALL: Self = Self(1 << Scope::Admin as u16);

    /// The scopes of a list.
    pub fn of(scopes: impl IntoIterator<Item = Scope>) -> Self {
        let set = scopes.into_iter().fold(0, |set, one| set | 1 << one as u16);
        Self(set)
    }

    /// Whether this is allowed.
    pub const fn allow(self, scope: Scope) -> bool {
        self.0 & (1 << scope as u16 | Self::ALL.0) != 0
    }

    /// What a new key has unless it is told otherwise: to send everything and to read everything.
    pub fn usual() -> Self {
        Self::of([
            Scope::SmsSend,
            Scope::Otp,
            Scope::MessagesRead,
            Scope::CreditsRead,
            Scope::WebhooksRead,
        ])
    }

    /// The first right of another set that is none here: what could not be given away.
    pub fn lacks(self, other: Self) -> Option<Scope> {
        let all = other.0 & Self::ALL.0 != 0;
        let held = |scope: &Scope| (*scope == Scope::Admin) == all && other.allow(*scope);
        let mut held = Scope::ALL.into_iter().filter(held);
        held.find(|scope| !self.allow(*scope))
    }

    /// The scopes by name; `admin` stands alone.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let all = self.0 & Self::ALL.0 != 0;
        Scope::ALL
            .into_iter()
            .filter(move |scope| (*scope == Scope::Admin) == all && self.allow(*scope))
            .map(Scope::name)
    }

    /// The number kept in the store.
    pub const fn bits(self) -> i64 {
        self.0 as i64
    }

    /// The set with this number; bits that mean nothing here are left out.
    pub fn from_bits(bits: i64) -> Self {
        Self::of(
            Scope::ALL
                .into_iter()
                .filter(|scope| bits & (1 << *scope as i64) != 0),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admin_holds_all_the_others_and_is_named_alone() {
        assert!(Scope::ALL.iter().all(|scope| Scopes::ALL.allow(*scope)));
        assert_eq!(Scopes::ALL.names().collect::<Vec<_>>(), ["admin"]);
        let otp = Scopes::of([Scope::Otp]);
        assert_eq!(Scopes::ALL.lacks(otp), None);
        assert_eq!(otp.lacks(Scopes::ALL), Some(Scope::Admin));
        let every = Scopes::of(
            Scope::ALL
                .into_iter()
                .filter(|scope| *scope != Scope::Admin),
        );
        assert_eq!(every.lacks(Scopes::ALL), Some(Scope::Admin));
        assert_eq!(every.lacks(Scopes::usual()), None);
    }

    #[test]
    fn sets_and_names_round_trip() {
        let some = Scopes::of([Scope::SmsSend, Scope::KeysWrite]);
        assert_eq!(Scopes::from_bits(some.bits() | 1 << 40), some);
        assert_eq!(some.names().collect::<Vec<_>>(), ["sms:send", "keys:write"]);
        for scope in Scope::ALL {
            assert_eq!(Scope::parse(scope.name()), Some(scope));
            assert!(!Scopes::NONE.allow(scope));
        }
    }
}
