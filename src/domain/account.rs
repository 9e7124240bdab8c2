//! Lives here: organisations, the keys they sign in with, and what a key is worth: when it works,
//! from where, with which senders, and what it could give to another.
//! Never here: how keys are made or hashed (`api_key`), looked up (`store`).

use std::net::IpAddr;

use ipnet::IpNet;
use secrecy::SecretString;

use super::ids::{KeyId, OrgId};
use super::scope::{Scope, Scopes};
use super::time::Timestamp;

/// Keys of an organisation that work at a time.
pub const KEYS_MAX: u32 = 1000;
/// Networks, and senders, that a key may be held to.
pub const LISTED_MAX: usize = 100;

/// A customer: whose messages, keys, senders and webhooks belong together.
#[derive(Clone, Debug)]
pub struct Organisation {
    /// Its id.
    pub id: OrgId,
    /// Its name, unique, 1 to 64 characters.
    pub name: Box<str>,
    /// ISO 3166 code of the country in which local numbers are read.
    pub country: Box<str>,
    /// Approved senders; empty = every well-formed sender.
    pub senders: Vec<Box<str>>,
    /// The key of its webhook signatures: `whsec_` and base64 of 32 octets.
    pub webhook_secret: SecretString,
    /// When it was created.
    pub created_at: Timestamp,
}

impl Organisation {
    /// The registered spelling of a sender, if this organisation may use it (matched without
    /// regard to case).
    pub fn approved<'a>(&'a self, sender: &'a str) -> Option<&'a str> {
        if self.senders.is_empty() {
            return Some(sender);
        }
        self.senders
            .iter()
            .find(|approved| approved.eq_ignore_ascii_case(sender))
            .map(|approved| &**approved)
    }
}

/// A key as stored: never the key itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id.
    pub id: KeyId,
    /// Whose it is.
    pub org: OrgId,
    /// SHA-256 of the secret part.
    pub hash: [u8; 32],
    /// The first 12 characters, for people.
    pub prefix: Box<str>,
    /// Live (true) or test.
    pub live: bool,
    /// What people call it, at most 64 characters; may be empty.
    pub name: Box<str>,
    /// What it may do.
    pub scopes: Scopes,
    /// The only senders that it may use; empty = all of its organisation.
    pub senders: Vec<Box<str>>,
    /// The only networks that it works from; empty = every one.
    pub networks: Vec<IpNet>,
    /// From when on it does not work any more.
    pub expires_at: Option<Timestamp>,
    /// Requests a minute, where it has a pace of its own.
    pub rate: Option<u32>,
    /// When it was created.
    pub created_at: Timestamp,
    /// From when on it is revoked: later than now while its successor's grace lasts.
    pub revoked_at: Option<Timestamp>,
    /// The key that was made in its place.
    pub replaced_by: Option<KeyId>,
    /// When it was last used, to about a minute.
    pub last_used_at: Option<Timestamp>,
}

/// Whether a key works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It does.
    Active,
    /// Its time is over.
    Expired,
    /// It was revoked, or replaced.
    Revoked,
}

impl Standing {
    /// Its name in answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

/// What a key could not give, because it has not got it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beyond {
    /// This scope.
    Scope(Scope),
    /// Senders beyond its own.
    Senders,
    /// Networks beyond its own.
    Networks,
    /// A life longer than its own.
    Expiry,
    /// A faster pace than its own.
    Rate,
    /// The live environment.
    Live,
}

impl ApiKey {
    /// A key with the scopes of a new one and no bounds: its id and whose it is, the hash of its
    /// secret part and its first characters.
    pub fn new(
        (id, org): (KeyId, OrgId),
        (hash, prefix): ([u8; 32], Box<str>),
        live: bool,
        created_at: Timestamp,
    ) -> Self {
        Self {
            id,
            org,
            hash,
            prefix,
            live,
            name: "".into(),
            scopes: Scopes::usual(),
            senders: Vec::new(),
            networks: Vec::new(),
            expires_at: None,
            rate: None,
            created_at,
            revoked_at: None,
            replaced_by: None,
            last_used_at: None,
        }
    }

    /// Whether it works now.
    pub fn standing(&self, now: Timestamp) -> Standing {
        if self.revoked_at.is_some_and(|at| at <= now) {
            Standing::Revoked
        } else if self.expires_at.is_some_and(|at| at <= now) {
            Standing::Expired
        } else {
            Standing::Active
        }
    }

    /// Whether it works from this address. An IPv4 address in IPv6's clothes is an IPv4 address.
    pub fn admits(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.is_empty() || self.networks.iter().any(|net| net.contains(&address))
    }

    /// Whether it may use a sender of its organisation, matched without regard to case.
    pub fn may_use(&self, sender: &str) -> bool {
        let mut own = self.senders.iter();
        self.senders.is_empty() || own.any(|own| own.eq_ignore_ascii_case(sender))
    }

    /// What of another key it could not give, if anything: nobody makes a key that is worth more
    /// than his own.
    pub fn beyond(&self, other: &Self) -> Option<Beyond> {
        if other.live && !self.live {
            return Some(Beyond::Live);
        }
        if let Some(scope) = self.scopes.lacks(other.scopes) {
            return Some(Beyond::Scope(scope));
        }
        let all_senders = other.senders.is_empty() && !self.senders.is_empty();
        if all_senders || !other.senders.iter().all(|sender| self.may_use(sender)) {
            return Some(Beyond::Senders);
        }
        let covers = |net: &IpNet| self.networks.iter().any(|own| own.contains(net));
        let everywhere = other.networks.is_empty();
        if !self.networks.is_empty() && (everywhere || !other.networks.iter().all(covers)) {
            return Some(Beyond::Networks);
        }
        let outlives = |own| other.expires_at.is_none_or(|at| at > own);
        if self.expires_at.is_some_and(outlives) {
            return Some(Beyond::Expiry);
        }
        let faster = |own| other.rate.is_none_or(|rate| rate > own);
        let paced = match self.rate {
            Some(own) => faster(own),
            None => other.rate.is_some(),
        };
        paced.then_some(Beyond::Rate)
    }
}

/// A network as people type it: `10.0.0.0/8`, or a single address.
pub fn network(typed: &str) -> Option<IpNet> {
    let typed = typed.trim();
    let net: Option<IpNet> = typed.parse().ok();
    let net = net.or_else(|| typed.parse::<IpAddr>().ok().map(IpNet::from));
    net.map(|net| net.trunc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senders_match_without_case_and_keep_their_registered_spelling() {
        let mut org = Organisation {
            id: OrgId(uuid::Uuid::nil()),
            name: "x".into(),
            country: "TZ".into(),
            senders: vec!["MojaWave".into()],
            webhook_secret: "s".to_owned().into(),
            created_at: Timestamp(0),
        };
        assert_eq!(org.approved("MOJAWAVE"), Some("MojaWave"));
        assert_eq!(org.approved("Other"), None);
        org.senders.clear();
        assert_eq!(org.approved("Other"), Some("Other"));
    }

    fn key() -> ApiKey {
        let ids = (KeyId(uuid::Uuid::nil()), OrgId(uuid::Uuid::nil()));
        ApiKey::new(ids, ([0; 32], "sk_live_mw_a".into()), true, Timestamp(0))
    }

    fn networks(typed: &[&str]) -> Vec<IpNet> {
        typed.iter().map(|net| network(net).unwrap()).collect()
    }

    #[test]
    fn a_key_works_until_it_is_revoked_or_its_time_is_over() {
        let mut key = key();
        assert_eq!(key.standing(Timestamp(i64::MAX)), Standing::Active);
        key.expires_at = Some(Timestamp(20));
        assert_eq!(key.standing(Timestamp(19)), Standing::Active);
        assert_eq!(key.standing(Timestamp(20)), Standing::Expired);
        // A successor's grace.
        key.revoked_at = Some(Timestamp(10));
        assert_eq!(key.standing(Timestamp(9)), Standing::Active);
        assert_eq!(key.standing(Timestamp(10)), Standing::Revoked);
        assert_eq!(key.standing(Timestamp(30)), Standing::Revoked);
    }

    #[test]
    fn addresses_are_held_against_networks_of_both_families() {
        let mut key = key();
        let from = |key: &ApiKey, address: &str| key.admits(address.parse().unwrap());
        assert!(from(&key, "192.0.2.1"));
        key.networks = networks(&["10.1.2.3/8", "192.0.2.7", "2001:db8::/32"]);
        for address in ["10.255.0.1", "192.0.2.7", "::ffff:10.0.0.1", "2001:db8::1"] {
            assert!(from(&key, address), "{address}");
        }
        for address in ["11.0.0.1", "192.0.2.8", "2001:db9::1", "::ffff:11.0.0.1"] {
            assert!(!from(&key, address), "{address}");
        }
        for wrong in ["", "10.0.0.0/33", "10.0.0", "duka", "2001:db8::/129"] {
            assert_eq!(network(wrong), None, "{wrong}");
        }
        assert_eq!(network(" 10.1.2.3/8").unwrap().to_string(), "10.0.0.0/8");
        assert_eq!(network("::1").unwrap().to_string(), "::1/128");
    }

    #[test]
    fn nobody_gives_what_he_has_not_got() {
        let all = key();
        let changed = |change: fn(&mut ApiKey)| {
            let mut other = key();
            change(&mut other);
            other
        };
        let scopes = changed(|key| key.scopes = Scopes::ALL);
        assert_eq!(all.beyond(&scopes), Some(Beyond::Scope(Scope::Admin)));
        assert_eq!(scopes.beyond(&all), None);
        let senders = changed(|key| key.senders = vec!["DUKA".into(), "Soko".into()]);
        assert_eq!(all.beyond(&senders), None);
        assert_eq!(senders.beyond(&all), Some(Beyond::Senders));
        let one = changed(|key| key.senders = vec!["duka".into()]);
        assert_eq!(senders.beyond(&one), None);
        assert_eq!(one.beyond(&senders), Some(Beyond::Senders));
        let wide = changed(|key| key.networks = networks(&["10.0.0.0/8"]));
        let narrow = changed(|key| key.networks = networks(&["10.1.0.0/16"]));
        assert_eq!(wide.beyond(&narrow), None);
        assert_eq!(narrow.beyond(&wide), Some(Beyond::Networks));
        assert_eq!(narrow.beyond(&all), Some(Beyond::Networks));
        let short = changed(|key| key.expires_at = Some(Timestamp(10)));
        let long = changed(|key| key.expires_at = Some(Timestamp(11)));
        assert_eq!(long.beyond(&short), None);
        assert_eq!(short.beyond(&long), Some(Beyond::Expiry));
        assert_eq!(short.beyond(&all), Some(Beyond::Expiry));
        let slow = changed(|key| key.rate = Some(10));
        assert_eq!(
            all.beyond(&slow),
            Some(Beyond::Rate),
            "its own is the plan's"
        );
        assert_eq!(slow.beyond(&all), Some(Beyond::Rate));
        assert_eq!(slow.beyond(&slow), None);
        let test = changed(|key| key.live = false);
        assert_eq!(all.beyond(&test), None);
        assert_eq!(test.beyond(&all), Some(Beyond::Live));
    }
}
