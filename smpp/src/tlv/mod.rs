//! Lives here: optional parameters (TLVs, SMPP 3.2.4.1 and 5.3), their tags, and reading and writing them.
//! Never here: which TLVs a PDU should carry.

pub mod tag;
mod value;

pub use value::{Shape, Value};

use std::fmt;

use bytes::Bytes;
use nom::bytes::complete::take;
use nom::number::complete::be_u16;
use smallvec::SmallVec;

use crate::pdu::Hidden;

/// Octets in front of each value: tag and length, two each.
pub const TLV_HEADER_LEN: usize = 4;

/// Most optional parameters of one PDU, read or written. The specification has no limit, but an empty one costs a peer
/// 4 octets and us 40, so that a PDU of nothing else would take ten times its size. No use needs more than a few
/// dozen.
pub const TLVS_MAX: usize = 1_024;

/// One optional parameter. Decoding keeps any tag with any value; [`Tlv::typed`] reads a standard one by its
/// definition. `Debug` shows no `message_payload`.
#[derive(Clone, PartialEq, Eq)]
pub struct Tlv {
    /// The tag; see [`tag`].
    pub tag: u16,
    /// The value's octets, without tag and length; a slice of the frame when decoded.
    pub value: Bytes,
}

impl Tlv {
    /// A TLV with these octets.
    pub fn new(tag: u16, value: impl Into<Bytes>) -> Self {
        Self {
            tag,
            value: value.into(),
        }
    }

    /// A TLV of one octet. Allocates nothing.
    #[must_use]
    pub fn u8(tag: u16, value: u8) -> Self {
        Self {
            tag,
            value: one_octet(value),
        }
    }

    /// A TLV of one big-endian 16-bit integer.
    #[must_use]
    pub fn u16(tag: u16, value: u16) -> Self {
        Self {
            tag,
            value: Bytes::copy_from_slice(&value.to_be_bytes()),
        }
    }

    /// A TLV of one big-endian 32-bit integer.
    #[must_use]
    pub fn u32(tag: u16, value: u32) -> Self {
        Self {
            tag,
            value: Bytes::copy_from_slice(&value.to_be_bytes()),
        }
    }

    /// A TLV of one octet and a big-endian 16-bit integer (`network_error_code` and others).
    #[must_use]
    pub fn u8_u16(tag: u16, first: u8, second: u16) -> Self {
        let [high, low] = second.to_be_bytes();
        Self {
            tag,
            value: Bytes::copy_from_slice(&[first, high, low]),
        }
    }

    /// A TLV holding a C-octet string: `text` and the terminating NUL.
    #[must_use]
    pub fn cstr(tag: u16, text: &str) -> Self {
        let mut value = Vec::with_capacity(text.len() + 1);
        value.extend_from_slice(text.as_bytes());
        value.push(0);
        Self {
            tag,
            value: value.into(),
        }
    }

    /// The value read by the tag's definition; `None` when its length does not allow that.
    #[must_use]
    pub fn typed(&self) -> Option<Value<'_>> {
        tag::shape(self.tag).read(&self.value)
    }
}

impl fmt::Debug for Tlv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match tag::name(self.tag) {
            Some(name) => write!(f, "{name}=")?,
            None => write!(f, "{:#06x}=", self.tag)?,
        }
        if self.tag == tag::MESSAGE_PAYLOAD {
            Hidden(self.value.len()).fmt(f)
        } else {
            self.typed().unwrap_or(Value::Octets(&self.value)).fmt(f)
        }
    }
}

/// The TLVs of one PDU in wire order; repeated and unknown tags are kept. Two fit without allocation (a
/// receipt's `receipted_message_id` and `message_state`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tlvs(SmallVec<[Tlv; 2]>);

impl Tlvs {
    /// No TLVs.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends one, also when the tag is already there.
    pub fn push(&mut self, tlv: Tlv) {
        self.0.push(tlv);
    }

    /// Keeps only those for which `keep` is true.
    pub fn retain(&mut self, mut keep: impl FnMut(&Tlv) -> bool) {
        self.0.retain(|tlv| keep(tlv));
    }

    /// In wire order.
    pub fn iter(&self) -> std::slice::Iter<'_, Tlv> {
        self.0.iter()
    }

    /// How many there are, repeated ones counted each.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of the first TLV with this tag.
    #[must_use]
    pub fn get(&self, tag: u16) -> Option<&Bytes> {
        self.0
            .iter()
            .find(|tlv| tlv.tag == tag)
            .map(|tlv| &tlv.value)
    }

    /// The value as one octet; `None` when absent or not exactly one octet long.
    #[must_use]
    pub fn get_u8(&self, tag: u16) -> Option<u8> {
        match self.get(tag)?[..] {
            [value] => Some(value),
            _ => None,
        }
    }

    /// The value as an integer of 16 bits; one octet is accepted too (peers shorten `source_telematics_id` and
    /// others). `None` when absent or of another length.
    #[must_use]
    pub fn get_u16(&self, tag: u16) -> Option<u16> {
        match self.get(tag)?[..] {
            [value] => Some(u16::from(value)),
            [high, low] => Some(u16::from_be_bytes([high, low])),
            _ => None,
        }
    }

    /// The value as an integer of 32 bits; `None` when absent or not exactly four octets long.
    #[must_use]
    pub fn get_u32(&self, tag: u16) -> Option<u32> {
        match self.get(tag)?[..] {
            [a, b, c, d] => Some(u32::from_be_bytes([a, b, c, d])),
            _ => None,
        }
    }

    /// The values of all TLVs with this tag, in wire order.
    pub fn get_all(&self, tag: u16) -> impl Iterator<Item = &Bytes> {
        self.0
            .iter()
            .filter(move |tlv| tlv.tag == tag)
            .map(|tlv| &tlv.value)
    }

    /// The value up to its first NUL, or all of it when the peer forgot the NUL.
    #[must_use]
    pub fn get_cstr(&self, tag: u16) -> Option<&[u8]> {
        self.get(tag)?.split(|octet| *octet == 0).next()
    }
}

impl FromIterator<Tlv> for Tlvs {
    fn from_iter<I: IntoIterator<Item = Tlv>>(tlvs: I) -> Self {
        Self(tlvs.into_iter().collect())
    }
}

impl Extend<Tlv> for Tlvs {
    fn extend<I: IntoIterator<Item = Tlv>>(&mut self, tlvs: I) {
        self.0.extend(tlvs);
    }
}

impl<'a> IntoIterator for &'a Tlvs {
    type Item = &'a Tlv;
    type IntoIter = std::slice::Iter<'a, Tlv>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// What stood behind the last whole TLV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tail {
    /// Nothing: the octets were TLVs to the end.
    Clean,
    /// One to three octets, too few for a tag and a length.
    Octets(usize),
    /// A tag and a length, and fewer octets than the length says.
    Truncated {
        tag: u16,
        declared: u16,
        available: usize,
    },
    /// TLVs beyond `TLVS_MAX`, in octets.
    TooMany(usize),
}

/// Reads TLVs until the end or until one does not fit; those before it are kept. `rest` must be a slice of `body`.
#[inline]
pub(crate) fn read_all(body: &Bytes, mut rest: &[u8]) -> (Tlvs, Tail) {
    let mut tlvs = Tlvs::new();
    loop {
        if rest.is_empty() {
            return (tlvs, Tail::Clean);
        }
        if tlvs.len() == TLVS_MAX {
            return (tlvs, Tail::TooMany(rest.len()));
        }
        match read_one(rest) {
            Ok((behind, (tag, value))) => {
                let value = match value {
                    [octet] => one_octet(*octet),
                    octets => body.slice_ref(octets),
                };
                tlvs.push(Tlv { tag, value });
                rest = behind;
            }
            Err(tail) => return (tlvs, tail),
        }
    }
}

/// Whether `rest` is nothing but whole TLVs (or empty) whose tags are standard or in the vendor range: the test
/// by which a misplaced boundary is found.
pub(crate) fn is_plausible(rest: &[u8]) -> bool {
    all(rest, |tag, _| {
        tag::name(tag).is_some() || tag::is_vendor(tag)
    })
}

/// Whether `rest` is nothing but whole TLVs with any tags.
pub(crate) fn is_whole(rest: &[u8]) -> bool {
    all(rest, |_, _| true)
}

/// Whether `rest` is nothing but whole TLVs that pass, by tag and length of the value. Touches no reference count.
#[inline]
pub(crate) fn all(mut rest: &[u8], mut passes: impl FnMut(u16, usize) -> bool) -> bool {
    while !rest.is_empty() {
        match read_one(rest) {
            Ok((behind, (tag, value))) if passes(tag, value.len()) => rest = behind,
            Ok(_) | Err(_) => return false,
        }
    }
    true
}

type Cut<'a> = (&'a [u8], (u16, &'a [u8]));

#[inline]
fn read_one(input: &[u8]) -> Result<Cut<'_>, Tail> {
    let too_few = |_| Tail::Octets(input.len());
    let (rest, tag) = be_u16::<_, ()>(input).map_err(too_few)?;
    let (rest, declared) = be_u16::<_, ()>(rest).map_err(too_few)?;
    let (behind, value) = take::<_, _, ()>(declared)(rest).map_err(|_| Tail::Truncated {
        tag,
        declared,
        available: rest.len(),
    })?;
    Ok((behind, (tag, value)))
}

/// Half of all TLVs have one octet, and a reference count would cost more than it.
#[inline]
fn one_octet(value: u8) -> Bytes {
    let at = usize::from(value);
    Bytes::from_static(&OCTETS[at..=at])
}

/// All octet values in order, so that a one-octet TLV can point at its value.
static OCTETS: [u8; 256] = {
    let mut octets = [0; 256];
    let mut at = 0;
    while at < 256 {
        octets[at] = at as u8;
        at += 1;
    }
    octets
};

#[cfg(test)]
mod tests {
    use super::{TLVS_MAX, Tail, Tlv, Tlvs, is_plausible, read_all, tag};
    use bytes::Bytes;

    #[test]
    fn order_repeats_and_unknown_tags_are_kept() {
        let wire =
            Bytes::from_static(b"\x14\x01\0\x02hi\x03\x81\0\x01a\x03\x81\0\x01b\x99\x99\0\0");
        let (tlvs, tail) = read_all(&wire, &wire);
        assert_eq!(tail, Tail::Clean);
        let tags: Vec<u16> = tlvs.iter().map(|tlv| tlv.tag).collect();
        assert_eq!(tags, [0x1401, tag::CALLBACK_NUM, tag::CALLBACK_NUM, 0x9999]);
        assert_eq!(
            tlvs.get(tag::CALLBACK_NUM).map(|value| &value[..]),
            Some(&b"a"[..])
        );
        assert!(
            !is_plausible(&wire),
            "0x9999 is neither standard nor vendor"
        );
    }

    #[test]
    fn integers_and_strings_are_read_with_odd_lengths() {
        let tlvs: Tlvs = [
            Tlv::u8(tag::MESSAGE_STATE, 2),
            Tlv::u16(tag::SOURCE_PORT, 0x1234),
            Tlv::new(tag::DESTINATION_PORT, Bytes::from_static(b"\x07")),
            Tlv::cstr(tag::RECEIPTED_MESSAGE_ID, "abc"),
            Tlv::new(
                tag::ADDITIONAL_STATUS_INFO_TEXT,
                Bytes::from_static(b"no end"),
            ),
        ]
        .into_iter()
        .collect();
        assert_eq!(tlvs.get_u8(tag::MESSAGE_STATE), Some(2));
        assert_eq!(tlvs.get_u8(tag::SOURCE_PORT), None);
        assert_eq!(tlvs.get_u16(tag::SOURCE_PORT), Some(0x1234));
        assert_eq!(tlvs.get_u16(tag::DESTINATION_PORT), Some(7));
        assert_eq!(tlvs.get_cstr(tag::RECEIPTED_MESSAGE_ID), Some(&b"abc"[..]));
        assert_eq!(
            tlvs.get_cstr(tag::ADDITIONAL_STATUS_INFO_TEXT),
            Some(&b"no end"[..])
        );
        assert_eq!(tlvs.get_u8(tag::PAYLOAD_TYPE), None);
    }

    #[test]
    fn more_tlvs_than_any_use_needs_take_no_memory() {
        let wire = Bytes::from([0x14, 0, 0, 0].repeat(TLVS_MAX + 2));
        let (tlvs, tail) = read_all(&wire, &wire);
        assert_eq!((tlvs.len(), tail), (TLVS_MAX, Tail::TooMany(8)));
    }

    #[test]
    fn a_cut_tlv_is_described_and_the_ones_before_it_stay() {
        let wire = Bytes::from_static(b"\x04\x27\0\x01\x02\0\x1e\0\x09abc");
        let (tlvs, tail) = read_all(&wire, &wire);
        assert_eq!(tlvs.len(), 1);
        assert_eq!(
            tail,
            Tail::Truncated {
                tag: tag::RECEIPTED_MESSAGE_ID,
                declared: 9,
                available: 3
            }
        );
        let wire = Bytes::from_static(b"\x04\x27\0");
        assert_eq!(read_all(&wire, &wire).1, Tail::Octets(3));
    }
}
