//! Lives here: what the values of standard TLVs look like, and reading one by it.
//! Never here: which tag has which shape (`tag`).

use std::fmt;

/// What a TLV's value consists of, with its least and greatest length in octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One octet.
    U8,
    /// Two octets, big-endian.
    U16,
    /// Four octets, big-endian.
    U32,
    /// One octet and a big-endian 16-bit integer.
    U8U16,
    /// A string that ends with a NUL, which counts.
    Text(usize, usize),
    /// Octets.
    Octets(usize, usize),
}

impl Shape {
    /// Any octets.
    pub const ANY: Self = Self::Octets(0, u16::MAX as usize);

    /// Whether a value may have this many octets.
    #[inline]
    #[must_use]
    pub const fn allows(self, len: usize) -> bool {
        let (least, most) = match self {
            Self::U8 => (1, 1),
            Self::U16 => (2, 2),
            Self::U32 => (4, 4),
            Self::U8U16 => (3, 3),
            Self::Text(least, most) | Self::Octets(least, most) => (least, most),
        };
        least <= len && len <= most
    }

    /// Reads a value of this shape; `None` when its length is not allowed. A text may lack its NUL.
    #[must_use]
    pub fn read(self, octets: &[u8]) -> Option<Value<'_>> {
        Some(match (self, octets) {
            (Self::U8, [value]) => Value::U8(*value),
            (Self::U16, [high, low]) => Value::U16(u16::from_be_bytes([*high, *low])),
            (Self::U32, [a, b, c, d]) => Value::U32(u32::from_be_bytes([*a, *b, *c, *d])),
            (Self::U8U16, [first, high, low]) => {
                Value::U8U16(*first, u16::from_be_bytes([*high, *low]))
            }
            (Self::Text(..), text) if self.allows(text.len()) => {
                Value::Text(text.split(|octet| *octet == 0).next().unwrap_or_default())
            }
            (Self::Octets(..), octets) if self.allows(octets.len()) => Value::Octets(octets),
            _ => return None,
        })
    }
}

/// A TLV's value, read by its definition.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// One octet.
    U8(u8),
    /// A 16-bit integer.
    U16(u16),
    /// A 32-bit integer.
    U32(u32),
    /// `network_error_code` (type and code), `broadcast_content_type` (network and service),
    /// `broadcast_frequency_interval` (unit and number).
    U8U16(u8, u16),
    /// A string without its NUL, in an unstated character set.
    Text(&'a [u8]),
    /// Octets that the tag's definition does not divide further.
    Octets(&'a [u8]),
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::U8(value) => write!(f, "{value}"),
            Self::U16(value) => write!(f, "{value}"),
            Self::U32(value) => write!(f, "{value}"),
            Self::U8U16(first, second) => write!(f, "{first}:{second}"),
            Self::Text(text) => write!(f, "\"{}\"", text.escape_ascii()),
            Self::Octets(octets) => octets.iter().try_for_each(|octet| write!(f, "{octet:02x}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Shape, Value};
    use crate::tlv::{Tlv, tag};

    #[test]
    fn a_value_is_read_by_its_tags_definition() {
        let typed =
            |tag: u16, value: &'static [u8]| Tlv::new(tag, value).typed().map(|v| format!("{v:?}"));
        assert_eq!(typed(tag::MESSAGE_STATE, b"\x02").as_deref(), Some("2"));
        assert_eq!(
            typed(tag::SAR_MSG_REF_NUM, b"\x01\x02").as_deref(),
            Some("258")
        );
        assert_eq!(
            typed(tag::QOS_TIME_TO_LIVE, b"\0\0\x0e\x10").as_deref(),
            Some("3600")
        );
        assert_eq!(
            typed(tag::NETWORK_ERROR_CODE, b"\x03\0\x22").as_deref(),
            Some("3:34")
        );
        assert_eq!(
            typed(tag::RECEIPTED_MESSAGE_ID, b"ab\0").as_deref(),
            Some("\"ab\"")
        );
        assert_eq!(
            typed(tag::CALLBACK_NUM, b"\x01\x01\x0112").as_deref(),
            Some("0101013132")
        );
        assert_eq!(typed(0x1400, b"").as_deref(), Some(""));
        assert_eq!(typed(tag::MESSAGE_STATE, b"\x02\x02"), None);
        assert_eq!(typed(tag::SOURCE_SUBADDRESS, b"\x02"), None);
    }

    #[test]
    fn every_standard_tag_has_a_name_and_a_shape_of_its_own_width() {
        assert_eq!(tag::STANDARD.len(), 64);
        assert!(tag::STANDARD.is_sorted());
        for tag in tag::STANDARD {
            assert!(tag::name(*tag).is_some());
            assert_eq!(
                tag::shape(*tag) == Shape::ANY,
                *tag == tag::MESSAGE_PAYLOAD,
                "{tag:#06x}"
            );
        }
        assert_eq!((tag::name(0x1400), tag::shape(0x1400)), (None, Shape::ANY));
    }

    #[test]
    fn a_message_payload_is_not_shown() {
        let tlv = Tlv::new(tag::MESSAGE_PAYLOAD, &b"code 1234"[..]);
        assert_eq!(format!("{tlv:?}"), "message_payload=<9 octets>");
        assert_eq!(format!("{:?}", Tlv::u8(0x1401, 7)), "0x1401=07");
        assert_eq!(format!("{:?}", Value::U8(1)), "1");
    }
}
