//! Lives here: organisations and the keys they sign in with.
//! Never here: how keys are made or hashed (`api::auth`, `store`).

use secrecy::SecretString;

use super::ids::{KeyId, OrgId};
use super::time::Timestamp;

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
#[derive(Clone, Debug)]
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
    /// When it was created.
    pub created_at: Timestamp,
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
}
