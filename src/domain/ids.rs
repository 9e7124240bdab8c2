//! Lives here: the newtypes for everything that has an identity.
//! Never here: how identities are made (clocks and random sources belong to the shells).

use std::{fmt, sync::Arc};

use uuid::Uuid;

/// A message's public id: UUIDv7, made at accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(pub Uuid);

impl MessageId {
    /// 16 bits that tell a message's segments from those of nearly all others: what goes to a
    /// carrier as `user_message_reference` of the part with this number (from 1), and comes back
    /// with receipts. The same at every attempt.
    pub const fn reference(self, part: u8) -> u16 {
        // The last octets of a UUIDv7 are random.
        let [.., high, low] = *self.0.as_bytes();
        u16::from_be_bytes([high, low]).wrapping_add(part as u16)
    }
}

/// An organisation's id: UUIDv7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OrgId(pub Uuid);

/// An API key's id: UUIDv7. Not the key itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub Uuid);

/// A bulk job's id: UUIDv7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(pub Uuid);

/// A campaign's id: UUIDv7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CampaignId(pub Uuid);

/// A person's id in an organisation: UUIDv7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(pub Uuid);

/// A webhook event's id: UUIDv7; the same over all attempts to deliver it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(pub Uuid);

/// A webhook endpoint's id: UUIDv7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndpointId(pub Uuid);

/// A message's place in the order of acceptance: 1 and up, given by the store's writer,
/// strictly rising with each commit. 0 = not yet committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct MessageSeq(pub i64);

/// A message's place in the order of its lane: its `seq` at accept, a fresh number of the same
/// counter whenever it comes to a lane later (a schedule's release, another account, a doubt that
/// has become a no). The writer gives it, strictly rising with each commit. 0 = before all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Place(pub i64);

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
    MessageId, OrgId, KeyId, UserId, JobId, CampaignId, MessageSeq, Place, IntentId, CarrierId,
    NetworkId, BindName
);

impl fmt::Display for EventId {
    /// `evt_` and 32 hexadecimal digits, as the webhook envelope spells it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "evt_{}", self.0.simple())
    }
}

impl fmt::Display for EndpointId {
    /// `we_` and 32 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "we_{}", self.0.simple())
    }
}

impl EventId {
    /// The event of this name.
    pub fn parse(text: &str) -> Option<Self> {
        simple(text.strip_prefix("evt_")?).map(Self)
    }
}

impl EndpointId {
    /// The endpoint of this name.
    pub fn parse(text: &str) -> Option<Self> {
        simple(text.strip_prefix("we_")?).map(Self)
    }
}

/// An id in its one spelling: 32 digits and lower-case letters.
fn simple(text: &str) -> Option<Uuid> {
    let plain = text.len() == 32 && !text.bytes().any(|octet| octet.is_ascii_uppercase());
    plain.then(|| Uuid::try_parse(text).ok()).flatten()
}

/// The index key of a carrier's message id, a signed number so that every store can hold it.
///
/// It keeps the order in which most carriers count: 11 bits of the account's hash, then the last
/// seven letters and digits of the id as a number in base 36 (37 bits), then 16 bits of the whole
/// id's hash. Ids that follow each other stand side by side in the index, so a batch of them
/// dirties a page or two; a key that is a plain hash dirties a page for each (measured: 70 pages
/// a commit, a quarter of the writer's time). Ids that share their ending still spread over
/// 65,536 keys.
///
/// A key is only an index: whoever finds a row by it compares account and id as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReceiptKey(pub i64);

impl ReceiptKey {
    /// The key for a normalised id of one carrier account. The same for ever: it is stored.
    pub fn new(carrier: &CarrierId, normalised: &str) -> Self {
        let digits = normalised
            .bytes()
            .rev()
            .filter_map(|octet| char::from(octet).to_digit(36));
        let (ending, _) = digits.take(7).fold((0, 1), |(sum, place), digit| {
            (sum + u64::from(digit) * place, place * 36)
        });
        let account = fnv(carrier.0.as_bytes()) >> 53;
        let key = account << 53 | ending << 16 | fnv(normalised.as_bytes()) >> 48;
        Self(key.cast_signed())
    }
}

/// FNV-1a, 64 bits: well spread in its upper bits for short texts.
pub(super) fn fnv(octets: &[u8]) -> u64 {
    let hash = octets
        .iter()
        .fold(0xCBF2_9CE4_8422_2325_u64, |hash, octet| {
            (hash ^ u64::from(*octet)).wrapping_mul(0x100_0000_01B3)
        });
    // One more round, so that the last octet reaches the upper bits too.
    (hash ^ (hash >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15)
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
    fn ids_that_follow_each_other_have_keys_that_do() {
        let carrier = CarrierId("mtn_ng".into());
        let keys: Vec<ReceiptKey> = (0..10_000)
            .map(|n| ReceiptKey::new(&carrier, &format!("0A{n:08}")))
            .collect();
        assert!(keys.is_sorted());
        assert_eq!(
            keys.iter().collect::<std::collections::HashSet<_>>().len(),
            keys.len()
        );
    }

    #[test]
    fn ids_that_share_their_ending_still_spread() {
        let carrier = CarrierId("mtn_ng".into());
        let keys: std::collections::HashSet<ReceiptKey> = (0..10_000)
            .map(|n| ReceiptKey::new(&carrier, &format!("{n}-ABCDEFGH")))
            .collect();
        assert!(keys.len() > 8_000, "{}", keys.len());
    }

    #[test]
    fn event_ids_carry_the_envelope_prefix() {
        assert_eq!(
            EventId(Uuid::nil()).to_string(),
            "evt_00000000000000000000000000000000"
        );
    }
}
