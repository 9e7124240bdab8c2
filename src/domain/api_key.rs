//! Lives here: the form of API keys: how one is made from random octets, read from a header, and
//! turned into the hash that the store keeps.
//! Never here: random sources, headers, look-ups; what a key may do.

use secrecy::SecretString;
use sha2::{Digest, Sha256};

/// Every prefix that is taken for a key, and whether it means live (true), test, or does not say. The
/// first two are the canonical ones; the rest are the spellings of the products whose clients we
/// serve (seeds 002 to 004), the longer before what it begins with.
const PREFIXES: [(&str, Option<bool>); 9] = [
    ("sk_live_mw_", Some(true)),
    ("sk_test_mw_", Some(false)),
    ("mw_live_", Some(true)),
    ("mw_test_", Some(false)),
    ("mt_live_", Some(true)),
    ("mt_test_", Some(false)),
    ("mk_live_", Some(true)),
    ("mk_test_", Some(false)),
    ("mt_", None),
];

/// Longest text that is looked at as a key, in octets.
const LENGTH_MAX: usize = 128;
/// Random characters of a canonical key (190 bits).
const RANDOM_DIGITS: usize = 32;
/// Characters of its check sum; 62^6 exceeds 2^32.
const CHECK_DIGITS: usize = 6;
/// Characters of a key that are kept and shown, so that people can tell keys apart.
const SHOWN: usize = 12;
/// Characters of the secret of a key that was brought along, of which many must be different: 20 of
/// hexadecimal are 80 bits.
const BROUGHT_MIN: usize = 20;
const DIFFERENT_MIN: usize = 10;
/// And of one of which is said that it may be guessed: a million of digits, a hundred of them a minute.
const WEAK_MIN: usize = 6;
/// Characters of a word that a prefix is made of (`sk_live_`), at most.
const WORD_MAX: usize = 16;
/// Of such a secret no more than one in so many characters is shown.
const SHOWN_OF: usize = 4;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A key as a client presents it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presented {
    /// SHA-256 of the secret part: what follows the known prefix, or all of it without one. The
    /// same secret under another prefix is therefore the same key.
    pub hash: [u8; 32],
    /// What its prefix says it is for; `None` without a known prefix.
    pub live: Option<bool>,
}

/// Why a text cannot be a key; told without looking anything up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Empty, over 128 octets, or with something other than visible ASCII.
    #[error("the key is not one; send it exactly as it was shown when it was created")]
    Malformed,
    /// It has the form of our own keys and its check sum is wrong.
    #[error("the key is mistyped (its check sum is wrong); copy it again")]
    Checksum,
}

/// Why a key that somebody brings along is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BroughtError {
    /// It could not be presented.
    #[error("{0}")]
    Form(#[from] KeyError),
    /// Its prefix names the other environment.
    #[error(
        "the key's prefix names the other environment; say --test for a test key, and only then"
    )]
    Environment,
    /// It can be guessed.
    #[error(
        "the key can be guessed: behind its prefix it must have {BROUGHT_MIN} characters, {DIFFERENT_MIN} of \
         them different; for a test rig that nobody else reaches say --weak"
    )]
    Weak,
    /// It can be guessed at once.
    #[error("the key can be guessed at once: behind its prefix it must have {WEAK_MIN} characters")]
    TooWeak,
}

/// A new key, shown once.
#[derive(Debug)]
pub struct NewKey {
    /// The key itself: `sk_live_mw_` or `sk_test_mw_`, 32 base62 digits, 6 of CRC-32.
    pub text: SecretString,
    /// What the store keeps.
    pub hash: [u8; 32],
    /// Its first 12 characters, for people.
    pub prefix: Box<str>,
}

impl Presented {
    /// Reads a key from a header's text.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let visible = text.bytes().all(|octet| octet.is_ascii_graphic());
        if text.is_empty() || text.len() > LENGTH_MAX || !visible {
            return Err(KeyError::Malformed);
        }
        let known = known(text);
        let (secret, live) = match known {
            Some(("", _)) => return Err(KeyError::Malformed),
            Some((secret, live)) => (secret, live),
            None => (text, None),
        };
        if known.is_some() && !checks(secret) {
            return Err(KeyError::Checksum);
        }
        Ok(Self {
            hash: hash(secret),
            live,
        })
    }
}

impl NewKey {
    /// Makes a canonical key of 32 octets from a cryptographic random source.
    pub fn from_random(live: bool, random: [u8; 32]) -> Self {
        let mut secret = String::with_capacity(RANDOM_DIGITS + CHECK_DIGITS);
        secret.extend(base62::<RANDOM_DIGITS>(random).map(char::from));
        let check = crc32fast::hash(secret.as_bytes());
        let mut octets = [0; 32];
        octets[28..].copy_from_slice(&check.to_be_bytes());
        secret.extend(base62::<CHECK_DIGITS>(octets).map(char::from));
        let prefix = if live { PREFIXES[0].0 } else { PREFIXES[1].0 };
        let text = format!("{prefix}{secret}");
        Self {
            hash: hash(&secret),
            prefix: text[..SHOWN].into(),
            text: text.into(),
        }
    }

    /// A key that was made elsewhere; `weak`: it may be one that can be guessed.
    ///
    /// # Errors
    /// [`BroughtError`].
    pub fn brought(live: bool, text: &str, weak: bool) -> Result<Self, BroughtError> {
        let presented = Presented::parse(text)?;
        if presented.live.is_some_and(|says| says != live) {
            return Err(BroughtError::Environment);
        }
        let (secret, _) = known(text).unwrap_or((text, None));
        let (words, guessed) = behind_words(secret);
        let other = if live { "test" } else { "live" };
        if presented.live.is_none() && words.split(['_', '-']).any(|word| word == other) {
            return Err(BroughtError::Environment);
        }
        let mut different: Vec<u8> = guessed.bytes().collect();
        different.sort_unstable();
        different.dedup();
        if guessed.len() < WEAK_MIN {
            return Err(BroughtError::TooWeak);
        }
        if !weak && (guessed.len() < BROUGHT_MIN || different.len() < DIFFERENT_MIN) {
            return Err(BroughtError::Weak);
        }
        let prefix = text.len() - secret.len();
        let shown = SHOWN.saturating_sub(prefix).min(secret.len() / SHOWN_OF);
        Ok(Self {
            hash: presented.hash,
            prefix: text[..prefix + shown].into(),
            text: text.to_owned().into(),
        })
    }
}

/// What stands behind a known prefix, and what that says.
fn known(text: &str) -> Option<(&str, Option<bool>)> {
    PREFIXES
        .iter()
        .find_map(|(prefix, live)| Some((text.strip_prefix(prefix)?, *live)))
}

/// The words that a secret begins with, as the prefixes of products that we do not know are made, and
/// what stands behind them: that alone is what somebody would have to guess.
fn behind_words(secret: &str) -> (&str, &str) {
    let mut at = 0;
    while let Some(end) = secret[at..].find(['_', '-'])
        && end <= WORD_MAX
        && secret[at..at + end]
            .bytes()
            .all(|octet| octet.is_ascii_alphabetic())
    {
        at += end + 1;
    }
    secret.split_at(at)
}

/// Whether a secret's check sum is right. Only secrets of the canonical form have one; of others
/// (older products, keys brought along) the look-up alone decides.
fn checks(secret: &str) -> bool {
    let canonical = secret.len() == RANDOM_DIGITS + CHECK_DIGITS
        && secret.bytes().all(|octet| octet.is_ascii_alphanumeric());
    if !canonical {
        return true;
    }
    let (random, check) = secret.split_at(RANDOM_DIGITS);
    let mut octets = [0; 32];
    octets[28..].copy_from_slice(&crc32fast::hash(random.as_bytes()).to_be_bytes());
    base62::<CHECK_DIGITS>(octets) == check.as_bytes()
}

fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// The lowest `N` base62 digits of a 256-bit number, the highest first. Of 32 digits no value is
/// likelier than another by more than 2^-65.
fn base62<const N: usize>(mut number: [u8; 32]) -> [u8; N] {
    let mut digits = [0; N];
    for digit in digits.iter_mut().rev() {
        let mut rest = 0u32;
        for octet in number.iter_mut().skip_while(|octet| **octet == 0) {
            let value = rest * 256 + u32::from(*octet);
            *octet = (value / 62) as u8;
            rest = value % 62;
        }
        *digit = BASE62[rest as usize];
    }
    digits
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn random(seed: u8) -> [u8; 32] {
        let mut octets = [0; 32];
        for (octet, index) in octets.iter_mut().zip(0u8..) {
            *octet = index.wrapping_mul(151).wrapping_add(seed);
        }
        octets
    }

    #[test]
    fn a_new_key_is_read_back_to_its_hash() {
        for live in [true, false] {
            let key = NewKey::from_random(live, random(7));
            let text = key.text.expose_secret();
            let prefix = ["sk_test_mw_", "sk_live_mw_"][usize::from(live)];
            let secret = "jONSYoMnpSap30MhTcpt6z9mS1sxXS764eUJWr";
            assert_eq!(text, format!("{prefix}{secret}"), "keys are out there");
            assert_eq!(&*key.prefix, &text[..12]);
            let presented = Presented::parse(text).unwrap();
            assert_eq!(
                presented,
                Presented {
                    hash: key.hash,
                    live: Some(live)
                }
            );
        }
    }

    #[test]
    fn different_octets_make_different_keys_and_extremes_fit() {
        let one = NewKey::from_random(true, random(1));
        let two = NewKey::from_random(true, random(2));
        assert_ne!(one.hash, two.hash);
        for octets in [[0; 32], [255; 32]] {
            let key = NewKey::from_random(true, octets);
            assert!(Presented::parse(key.text.expose_secret()).is_ok());
        }
    }

    #[test]
    fn every_single_mistyped_digit_is_found_offline() {
        let key = NewKey::from_random(true, random(9));
        let text = key.text.expose_secret();
        for at in 11..text.len() {
            let mut typed = text.as_bytes().to_vec();
            typed[at] = if typed[at] == b'a' { b'b' } else { b'a' };
            let typed = String::from_utf8(typed).unwrap();
            assert_eq!(Presented::parse(&typed), Err(KeyError::Checksum), "{at}");
        }
    }

    #[test]
    fn the_same_secret_is_the_same_key_under_every_prefix() {
        let short = Presented::parse("sk_live_mw_8472910").unwrap();
        assert_eq!(short.live, Some(true));
        for (prefix, live) in PREFIXES {
            let presented = Presented::parse(&format!("{prefix}8472910")).unwrap();
            assert_eq!(
                presented,
                Presented {
                    hash: short.hash,
                    live
                }
            );
        }
        let bare = Presented::parse("8472910").unwrap();
        assert_eq!(
            bare,
            Presented {
                hash: short.hash,
                live: None
            }
        );
    }

    #[test]
    fn a_key_is_brought_along_if_it_cannot_be_guessed() {
        let take = |live, text| NewKey::brought(live, text, false);
        let own = NewKey::from_random(true, random(3));
        for (live, text, shown) in [
            (true, own.text.expose_secret(), "sk_live_mw_"),
            (true, "mw_live_0123456789abcdefghij", "mw_live_0123"),
            (false, "0f8fad5b-d9cb-469f-a165-70867728950e", "0f8fad5b-"),
            (false, "mt_0123456789abcdefghij", "mt_01234"),
            (true, "sk_live_0123456789abcdefghij", "sk_live"),
            (false, "acme-test-0123456789abcdefghij", "acme-te"),
            (false, "sk_live0_0123456789abcdefghij", "sk_live"),
        ] {
            let key = take(live, text).unwrap();
            assert!(
                key.prefix.starts_with(shown) && key.prefix.len() <= SHOWN,
                "{key:?}"
            );
            assert_eq!(key.text.expose_secret(), text);
            assert_eq!(key.hash, Presented::parse(text).unwrap().hash);
        }
        for (live, text, error) in [
            (
                false,
                "mw_live_0123456789abcdefghij",
                BroughtError::Environment,
            ),
            (true, "sk_live_mw_8472910", BroughtError::Weak),
            (
                true,
                "sk_live_mw_00000000000000000000000",
                BroughtError::Weak,
            ),
            (true, "two words", KeyError::Malformed.into()),
            // The prefixes of products that we do not know.
            (true, "sk_live_000000000123", BroughtError::Weak),
            (true, "acme-gateway-live_000000000123", BroughtError::Weak),
            (true, "mt_gateway_prod_000000000123", BroughtError::Weak),
            (
                true,
                "sk_test_0123456789abcdefghij",
                BroughtError::Environment,
            ),
            (
                false,
                "sk_live_0123456789abcdefghij",
                BroughtError::Environment,
            ),
            (
                true,
                "mt_test-0123456789abcdefghij",
                BroughtError::Environment,
            ),
        ] {
            assert_eq!(take(live, text).unwrap_err(), error, "{text}");
        }
        for text in ["sk_live_mw_12345", "sk_live_12345", "12345", "acme_test"] {
            let refused = NewKey::brought(true, text, true).unwrap_err();
            assert_eq!(refused, BroughtError::TooWeak, "{text}");
        }
        let rig = NewKey::brought(true, "sk_live_mw_8472910", true).unwrap();
        assert_eq!(&*rig.prefix, "sk_live_mw_8");
    }

    #[test]
    fn what_cannot_be_a_key_is_malformed() {
        let long = "x".repeat(129);
        for text in [
            "",
            "sk_live_mw_",
            "mk_test_",
            "mt_",
            "a b",
            "clé",
            "a\u{0}b",
            &long,
        ] {
            assert_eq!(Presented::parse(text), Err(KeyError::Malformed), "{text:?}");
        }
    }
}
