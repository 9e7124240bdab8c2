//! Lives here: the newtypes for everything that has an identity.
//! Never here: how identities are made (clocks and random sources belong to the shells).

use std::{fmt, sync::Arc};

use uuid::Uuid;

/// A message's public id: UUIDv7, made at accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(pub Uuid);

/// An organisation's id: UUIDv7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OrgId(pub Uuid);

/// An API key's id: UUIDv7. Not the key itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub Uuid);

/// A webhook event's id: UUIDv7; the same over all attempts to deliver it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(pub Uuid);

/// A message's place in the order of acceptance: 1 and up, given by the store's writer,
/// strictly rising with each commit. 0 = not yet committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct MessageSeq(pub i64);

/// The recorded intent of a batch handed to a bind; 0 = none was needed (OTP).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct IntentId(pub i64);

/// The id of one carrier account, as configured (`carrier.id`, at most 32 characters).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CarrierId(pub Arc<str>);

/// The id of a network, as the numbering plan spells it (`vodacom_tz`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NetworkId(pub Arc<str>);

/// The name of one bind of an account: `account/n`, n from 1 over all its bind blocks.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BindName(pub Arc<str>);

/// A carrier account's position in the configuration: the index of its lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CarrierIndex(pub u16);

impl CarrierIndex {
    /// For indexing tables that are laid out in configuration order.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

macro_rules! display_inner {
    ($($name:ty),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    )*};
}
display_inner!(
    MessageId, OrgId, KeyId, MessageSeq, IntentId, CarrierId, NetworkId, BindName
);

impl fmt::Display for EventId {
    /// `evt_` and 32 hexadecimal digits, as the webhook envelope spells it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "evt_{}", self.0.simple())
    }
}

/// The index key of a carrier's message id: the first 8 octets of SHA-256 over
/// `account NUL normalised id`, as a signed number so that every store can hold it.
///
/// A key is only an index: whoever finds a row by it compares account and id as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReceiptKey(pub i64);

impl ReceiptKey {
    /// The key for a normalised id of one carrier account.
    pub fn new(carrier: &CarrierId, normalised: &str) -> Self {
        use sha2::{Digest, Sha256};
        let mut hash = Sha256::new();
        hash.update(carrier.0.as_bytes());
        hash.update([0]);
        hash.update(normalised.as_bytes());
        let digest = hash.finalize();
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        Self(i64::from_be_bytes(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receipt_keys_are_scoped_to_the_account() {
        let one = CarrierId("mtn_ng".into());
        let two = CarrierId("glo_ng".into());
        assert_eq!(ReceiptKey::new(&one, "77"), ReceiptKey::new(&one, "77"));
        assert_ne!(ReceiptKey::new(&one, "77"), ReceiptKey::new(&two, "77"));
        assert_ne!(ReceiptKey::new(&one, "77"), ReceiptKey::new(&one, "78"));
    }

    #[test]
    fn event_ids_carry_the_envelope_prefix() {
        assert_eq!(
            EventId(Uuid::nil()).to_string(),
            "evt_00000000000000000000000000000000"
        );
    }
}
