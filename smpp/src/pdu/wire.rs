//! Lives here: the cursor that reads a body's fields with nom, and the one that writes them.
//! Never here: which fields a PDU has.

use bytes::Bytes;
use nom::bytes::complete::{take, take_till};
use nom::number::complete::be_u8;

use super::fault::{DecodeReason, EncodeError, Field, Violation, Violations};
use super::octet_str::OctetStr;
use crate::tlv::{self, Tail, Tlvs};

/// A position in a body, and what was overlooked on the way there.
pub(super) struct Reader<'a> {
    body: &'a Bytes,
    rest: &'a [u8],
    pub(super) violations: Violations,
}

impl<'a> Reader<'a> {
    #[inline]
    pub(super) fn new(body: &'a Bytes) -> Self {
        Self {
            body,
            rest: body,
            violations: Violations::new(),
        }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline]
    pub(super) fn u8(&mut self, field: Field) -> Result<u8, DecodeReason> {
        let (rest, value) =
            be_u8::<_, ()>(self.rest).map_err(|_| DecodeReason::Truncated { field })?;
        self.rest = rest;
        Ok(value)
    }

    /// A string that must begin within the body; its NUL may be missing at the very end.
    #[inline]
    pub(super) fn string(&mut self, field: Field) -> Result<OctetStr, DecodeReason> {
        // Most strings of a submit_sm are empty.
        if let [0, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok(OctetStr::EMPTY);
        }
        if self.rest.is_empty() {
            return Err(DecodeReason::Truncated { field });
        }
        Ok(self.string_here(field))
    }

    /// A string at the end of the mandatory part: an empty rest is an absent string.
    pub(super) fn last_string(&mut self, field: Field) -> OctetStr {
        if self.rest.is_empty() {
            self.violations.push(Violation::MissingField(field));
            return OctetStr::EMPTY;
        }
        self.string_here(field)
    }

    #[inline]
    fn string_here(&mut self, field: Field) -> OctetStr {
        let here = self.rest;
        let (behind, text) = c_octets(here);
        if text.len() > field.max_len() {
            self.over_long(field, text.len());
        }
        self.rest = match behind {
            [_nul, rest @ ..] => rest,
            [] => {
                self.violations.push(Violation::MissingTerminator(field));
                &[]
            }
        };
        OctetStr::slice_of(self.body, here, text.len())
    }

    #[cold]
    fn over_long(&mut self, field: Field, len: usize) {
        self.violations.push(Violation::OverLong {
            field,
            len: saturated(len),
        });
    }

    /// The next `len` octets, or all there are.
    #[inline]
    pub(super) fn octets(&mut self, len: usize) -> Bytes {
        let (rest, octets) = take::<_, _, ()>(len)(self.rest).unwrap_or((&[], self.rest));
        self.rest = rest;
        self.body.slice_ref(octets)
    }

    /// The TLVs up to the end; what is not a whole TLV becomes a violation.
    #[inline]
    pub(super) fn tlvs(&mut self) -> Tlvs {
        if self.rest.is_empty() {
            return Tlvs::new();
        }
        let (tlvs, tail) = tlv::read_all(self.body, self.rest);
        self.rest = &[];
        match tail {
            Tail::Clean => {}
            Tail::Octets(count) => self.trailing(count),
            Tail::Truncated {
                tag,
                declared,
                available,
            } => {
                let available = saturated(available);
                self.violations.push(Violation::TruncatedTlv {
                    tag,
                    declared,
                    available,
                });
            }
        }
        tlvs
    }

    /// Drops the rest of a body that should have ended here.
    pub(super) fn end(&mut self) {
        if !self.rest.is_empty() {
            self.trailing(self.rest.len());
            self.rest = &[];
        }
    }

    fn trailing(&mut self, count: usize) {
        self.violations.push(Violation::TrailingOctets {
            count: saturated(count),
        });
    }
}

/// Cuts off the octets before the first NUL, or all when there is none: what nom's `take_till` gives. Eight octets
/// are tested at once, because the addresses of a message make this the hottest loop of decoding.
#[inline]
fn c_octets(input: &[u8]) -> (&[u8], &[u8]) {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let (words, tail) = input.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // The lowest bit set here stands in the first octet that is zero.
        let zeros = word.wrapping_sub(LOW) & !word & HIGH;
        if zeros != 0 {
            let (text, behind) = input.split_at(at * 8 + (zeros.trailing_zeros() / 8) as usize);
            return (behind, text);
        }
    }
    let text = take_till::<_, _, ()>(|octet| octet == 0)(tail).map_or(tail, |(_, text)| text);
    let (text, behind) = input.split_at(words.len() * 8 + text.len());
    (behind, text)
}

/// Writes into space that was measured and reserved before.
pub(super) struct Writer<'a> {
    rest: &'a mut [u8],
}

impl<'a> Writer<'a> {
    #[inline]
    pub(super) fn new(rest: &'a mut [u8]) -> Self {
        Self { rest }
    }

    #[inline]
    pub(super) fn octets(&mut self, octets: &[u8]) {
        let (here, rest) = std::mem::take(&mut self.rest).split_at_mut(octets.len());
        here.copy_from_slice(octets);
        self.rest = rest;
    }

    #[inline]
    pub(super) fn u8(&mut self, value: u8) {
        self.octets(&[value]);
    }

    #[inline]
    pub(super) fn string(&mut self, text: &OctetStr) {
        // The space is zeroed, so that an empty string is one step.
        if !text.is_empty() {
            self.octets(text.as_bytes());
        }
        self.u8(0);
    }

    #[inline]
    pub(super) fn tlvs(&mut self, tlvs: &Tlvs) {
        for tlv in tlvs {
            self.octets(&tlv.tag.to_be_bytes());
            // `tlvs_len` has refused longer values.
            self.octets(&(tlv.value.len() as u16).to_be_bytes());
            self.octets(&tlv.value);
        }
    }

    /// Whether the space was filled to its last octet.
    pub(super) fn is_full(&self) -> bool {
        self.rest.is_empty()
    }
}

/// Octets of a string on the wire, NUL included, unless it is over its limit.
#[inline]
pub(super) fn string_len(text: &OctetStr, field: Field) -> Result<usize, EncodeError> {
    let len = text.len();
    if len > field.max_len() {
        return Err(EncodeError::TooLong { field, len });
    }
    Ok(len + 1)
}

/// Octets of a time on the wire, NUL included: 1 or 17.
#[inline]
pub(super) fn time_len(text: &OctetStr, field: Field) -> Result<usize, EncodeError> {
    match text.len() {
        0 => Ok(1),
        16 => Ok(17),
        len => Err(EncodeError::TimeLength { field, len }),
    }
}

/// Octets of the TLVs on the wire, unless one value is too long for its length field.
#[inline]
pub(super) fn tlvs_len(tlvs: &Tlvs) -> Result<usize, EncodeError> {
    for tlv in tlvs {
        if tlv.value.len() > usize::from(u16::MAX) {
            return Err(EncodeError::TlvTooLong {
                tag: tlv.tag,
                len: tlv.value.len(),
            });
        }
    }
    Ok(tlvs.wire_len())
}

/// Lengths stand in violations as `u32`; a frame is far shorter.
pub(super) fn saturated(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Just, any, prop_assert_eq, prop_oneof, proptest};

    use super::c_octets;

    proptest! {
        #[test]
        fn the_first_nul_is_found_wherever_it_stands(
            octets in proptest::collection::vec(prop_oneof![9 => any::<u8>(), 1 => Just(0), 1 => Just(1)], 0..60),
        ) {
            let end = octets.iter().position(|octet| *octet == 0).unwrap_or(octets.len());
            prop_assert_eq!(c_octets(&octets), (&octets[end..], &octets[..end]));
        }
    }
}
