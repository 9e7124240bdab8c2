//! Lives here: `OctetStr`, the string type of all PDU fields that end with a NUL on the wire.
//! Never here: field limits; `encode` enforces them.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use bytes::Bytes;

/// Octets kept inside the value itself. 23 and the length octet fill the same 32 octets that `Bytes` needs, and
/// all fields of a `submit_sm` (addresses of 20, times of 16) fit: decoding them touches no reference count.
const INLINE_MAX: usize = 23;

/// A C-octet string without its NUL (SMPP 3.1): octets of an unstated character set, mostly ASCII.
///
/// Up to 23 octets are stored in the value itself; longer ones (some message ids) share the frame's buffer, so
/// whoever keeps one for long should copy it out ([`OctetStr::to_str_lossy`]) rather than pin a read buffer.
#[derive(Clone)]
pub struct OctetStr(Repr);

#[derive(Clone)]
enum Repr {
    Inline {
        len: u8,
        octets: [u8; INLINE_MAX],
    },
    /// Always longer than `INLINE_MAX`.
    Shared(Bytes),
}

impl OctetStr {
    /// The empty string.
    pub const EMPTY: Self = Self(Repr::Inline {
        len: 0,
        octets: [0; INLINE_MAX],
    });

    /// The octets up to the first NUL: what a peer would read back.
    #[must_use]
    pub fn new(mut octets: Bytes) -> Self {
        octets.truncate(until_nul(&octets).len());
        Self::inline(&octets).unwrap_or(Self(Repr::Shared(octets)))
    }

    /// Copies the octets up to the first NUL.
    #[must_use]
    pub fn copy_from_slice(octets: &[u8]) -> Self {
        let octets = until_nul(octets);
        Self::inline(octets).unwrap_or_else(|| Self(Repr::Shared(Bytes::copy_from_slice(octets))))
    }

    /// The first `len` octets of `rest`, which must be NUL-free; `rest` must be a slice of `whole`.
    #[inline]
    pub(crate) fn slice_of(whole: &Bytes, rest: &[u8], len: usize) -> Self {
        match rest.first_chunk::<INLINE_MAX>() {
            // Copying a fixed number of octets, those behind the string too, is two instructions; copying `len`
            // of them is a call. Octets behind `len` are never read.
            Some(octets) if len <= INLINE_MAX => Self(Repr::Inline {
                len: len as u8,
                octets: *octets,
            }),
            _ => {
                let part = &rest[..len];
                Self::inline(part).unwrap_or_else(|| Self(Repr::Shared(whole.slice_ref(part))))
            }
        }
    }

    /// The first `len` octets of `rest`, which must be NUL-free, if they can be stored in place.
    #[inline(always)]
    pub(crate) fn inline_of(rest: &[u8], len: usize) -> Option<Self> {
        match rest.first_chunk::<INLINE_MAX>() {
            Some(octets) if len <= INLINE_MAX => Some(Self(Repr::Inline {
                len: len as u8,
                octets: *octets,
            })),
            _ => Self::inline(&rest[..len]),
        }
    }

    #[inline]
    fn inline(text: &[u8]) -> Option<Self> {
        let mut octets = [0; INLINE_MAX];
        octets.get_mut(..text.len())?.copy_from_slice(text);
        Some(Self(Repr::Inline {
            len: text.len() as u8,
            octets,
        }))
    }

    /// The octets, without NUL.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline { len, octets } => &octets[..usize::from(*len)],
            Repr::Shared(octets) => octets,
        }
    }

    /// Number of octets, without NUL.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Whether there is no octet.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// As text; what is not UTF-8 (a Latin-1 sender) becomes U+FFFD.
    #[must_use]
    pub fn to_str_lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.as_bytes())
    }
}

impl Default for OctetStr {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl From<&str> for OctetStr {
    fn from(text: &str) -> Self {
        Self::copy_from_slice(text.as_bytes())
    }
}

impl From<String> for OctetStr {
    fn from(text: String) -> Self {
        Self::new(Bytes::from(text))
    }
}

impl AsRef<[u8]> for OctetStr {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl PartialEq for OctetStr {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for OctetStr {}

impl PartialEq<str> for OctetStr {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<&str> for OctetStr {
    fn eq(&self, other: &&str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialOrd for OctetStr {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for OctetStr {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for OctetStr {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl fmt::Debug for OctetStr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.as_bytes().escape_ascii())
    }
}

fn until_nul(octets: &[u8]) -> &[u8] {
    octets.split(|octet| *octet == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::OctetStr;
    use bytes::Bytes;
    use std::collections::HashSet;

    #[test]
    fn it_is_as_small_as_the_bytes_it_may_hold() {
        assert_eq!(size_of::<OctetStr>(), size_of::<Bytes>());
    }

    #[test]
    fn short_and_long_strings_compare_and_hash_alike_however_made() {
        for text in [
            "",
            "a",
            "12345678901234567890123",
            "123456789012345678901234",
        ] {
            let copied = OctetStr::from(text);
            let shared = OctetStr::new(Bytes::from(text));
            assert_eq!(copied, shared);
            assert_eq!(copied.as_bytes(), text.as_bytes());
            assert_eq!(
                (copied.len(), copied.is_empty()),
                (text.len(), text.is_empty())
            );
            assert_eq!(HashSet::from([copied, shared]).len(), 1);
        }
    }

    #[test]
    fn a_nul_ends_the_string() {
        assert_eq!(OctetStr::new(Bytes::from_static(b"ab\0cd")), "ab");
        assert_eq!(OctetStr::from("\0"), OctetStr::EMPTY);
        assert_eq!(
            OctetStr::copy_from_slice(b"0123456789012345678901234\0x").len(),
            25
        );
    }

    #[test]
    fn foreign_octets_are_shown_not_lost() {
        let sender = OctetStr::copy_from_slice(b"Caf\xe9");
        assert_eq!(format!("{sender:?}"), "\"Caf\\xe9\"");
        assert_eq!(sender.to_str_lossy(), "Caf\u{fffd}");
    }
}
