//! Lives here: the cursor that reads a body's fields with nom.
//! Never here: where a message ends when `sm_length` is wrong (`message`).

use bytes::Bytes;
use nom::bytes::complete::{take, take_till};
use nom::number::complete::{be_u8, be_u32};

use super::{AddressFields, DEST, saturated};
use crate::codec::Header;
use crate::pdu::fault::{DecodeReason, Violation, Violations};
use crate::pdu::{Address, Destination, Field, OctetStr, Unsuccess};
use crate::status::CommandStatus;
use crate::tlv::{self, Tail, Tlvs, tag};

/// A position in a body, and what was overlooked on the way there.
pub(in crate::pdu) struct Reader<'a> {
    header: &'a Header,
    body: &'a Bytes,
    pub(super) rest: &'a [u8],
    /// Of the message to come; 0 when the PDU does not say (`replace_sm`).
    pub(super) data_coding: u8,
    /// A `short_message` that is not empty was read.
    pub(super) has_message: bool,
    pub(in crate::pdu) violations: Violations,
}

impl<'a> Reader<'a> {
    #[inline]
    pub(in crate::pdu) fn new(header: &'a Header, body: &'a Bytes) -> Self {
        let mut violations = Violations::new();
        if !header.status.is_ok() && !header.command.is_response() {
            violations.push(Violation::StatusInRequest(header.status));
        }
        Self {
            header,
            body,
            rest: body,
            data_coding: 0,
            has_message: false,
            violations,
        }
    }

    #[inline]
    pub(in crate::pdu) fn octet(&mut self, field: &Field) -> Result<u8, DecodeReason> {
        let field = *field;
        let (rest, value) =
            be_u8::<_, ()>(self.rest).map_err(|_| DecodeReason::Truncated { field })?;
        self.rest = rest;
        Ok(value)
    }

    #[inline]
    pub(in crate::pdu) fn data_coding(&mut self) -> Result<u8, DecodeReason> {
        self.data_coding = self.octet(&Field::DataCoding)?;
        Ok(self.data_coding)
    }

    /// A string that must begin within the body; its NUL may be missing at the very end.
    #[inline]
    pub(in crate::pdu) fn string(&mut self, field: &Field) -> Result<OctetStr, DecodeReason> {
        // Most strings of a submit_sm are empty.
        if let [0, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok(OctetStr::EMPTY);
        }
        if self.rest.is_empty() {
            return Err(DecodeReason::Truncated { field: *field });
        }
        Ok(self.string_here(*field))
    }

    #[inline]
    pub(in crate::pdu) fn time(&mut self, field: &Field) -> Result<OctetStr, DecodeReason> {
        self.string(field)
    }

    #[inline]
    pub(in crate::pdu) fn secret(&mut self, field: &Field) -> Result<OctetStr, DecodeReason> {
        self.string(field)
    }

    /// A string at the end of a request: peers leave it out.
    #[inline]
    pub(in crate::pdu) fn last_string(&mut self, field: &Field) -> Result<OctetStr, DecodeReason> {
        if self.rest.is_empty() {
            self.violations.push(Violation::MissingField(*field));
            return Ok(OctetStr::EMPTY);
        }
        self.string(field)
    }

    #[inline]
    pub(in crate::pdu) fn address(
        &mut self,
        fields: &AddressFields,
    ) -> Result<Address, DecodeReason> {
        Ok(Address {
            ton: self.octet(&fields.ton)?,
            npi: self.octet(&fields.npi)?,
            addr: self.string(&fields.addr)?,
        })
    }

    /// The string at the start of a response. `00 1D 00 02 68 69` may be an empty string and junk, or one TLV
    /// behind an absent string: the reading that explains every octet wins, the regular one first.
    pub(in crate::pdu) fn answer_string(
        &mut self,
        field: &Field,
    ) -> Result<OctetStr, DecodeReason> {
        let rest = self.rest;
        // The tags a response can carry start with a control character; the digits of an id lie in the vendors'
        // range.
        let may_be_tlvs = rest.first().is_some_and(|first| *first < b' ');
        if may_be_tlvs && !reads_regularly(rest) && tlv::is_plausible(rest) {
            self.violations.push(Violation::TlvsWithoutString(*field));
            return Ok(OctetStr::EMPTY);
        }
        if rest.is_empty() {
            self.absent(*field);
            return Ok(OctetStr::EMPTY);
        }
        self.string(field)
    }

    /// The string at the start of a response with more fields behind it, which few octets could tell from TLVs.
    pub(in crate::pdu) fn answer_id(&mut self, field: &Field) -> Result<OctetStr, DecodeReason> {
        if self.rest.is_empty() {
            self.absent(*field);
            return Ok(OctetStr::EMPTY);
        }
        self.string(field)
    }

    /// A time in a response.
    pub(in crate::pdu) fn answer_time(&mut self, field: &Field) -> Result<OctetStr, DecodeReason> {
        self.answer_id(field)
    }

    /// An octet in a response.
    pub(in crate::pdu) fn answer_octet(&mut self, field: &Field) -> Result<u8, DecodeReason> {
        if self.rest.is_empty() {
            self.absent(*field);
            return Ok(0);
        }
        self.octet(field)
    }

    /// `message_id` of a `deliver_sm_resp`, which the specification leaves unused.
    pub(in crate::pdu) fn unused_string(
        &mut self,
        field: &Field,
    ) -> Result<OctetStr, DecodeReason> {
        self.answer_string(field)
    }

    /// `number_of_dests` and that many destinations (SMPP 4.5.1.1).
    pub(in crate::pdu) fn destinations(&mut self) -> Result<Vec<Destination>, DecodeReason> {
        let count = self.octet(&Field::NumberOfDests)?;
        (0..count)
            .map(|_| match self.octet(&Field::DestFlag)? {
                Destination::ADDRESS => Ok(Destination::Address(self.address(&DEST)?)),
                Destination::LIST => Ok(Destination::List(self.string(&Field::DlName)?)),
                value => Err(DecodeReason::DestFlag { value }),
            })
            .collect()
    }

    /// `no_unsuccess` and that many failures (SMPP 4.5.2.1). A response that ends early gives those that are whole.
    pub(in crate::pdu) fn failures(&mut self) -> Result<Vec<Unsuccess>, DecodeReason> {
        let count = self.answer_octet(&Field::NoUnsuccess)?;
        let mut failures = Vec::new();
        for _ in 0..count {
            let Ok(failure) = self.failure() else {
                self.absent(Field::ErrorStatusCode);
                self.rest = &[];
                break;
            };
            failures.push(failure);
        }
        Ok(failures)
    }

    fn failure(&mut self) -> Result<Unsuccess, DecodeReason> {
        let dest = self.address(&DEST)?;
        let field = Field::ErrorStatusCode;
        let (rest, status) =
            be_u32::<_, ()>(self.rest).map_err(|_| DecodeReason::Truncated { field })?;
        self.rest = rest;
        let status = CommandStatus(status);
        Ok(Unsuccess { dest, status })
    }

    /// The TLVs up to the end; what is not a whole TLV becomes a violation, and so does a standard TLV of a length
    /// that its definition does not allow.
    #[inline]
    pub(in crate::pdu) fn tlvs(&mut self) -> Result<Tlvs, DecodeReason> {
        if self.rest.is_empty() {
            return Ok(Tlvs::new());
        }
        Ok(self.some_tlvs())
    }

    #[inline(never)]
    fn some_tlvs(&mut self) -> Tlvs {
        let (tlvs, tail) = tlv::read_all(self.body, self.rest);
        self.rest = &[];
        for tlv in &tlvs {
            if !tag::shape(tlv.tag).allows(tlv.value.len()) {
                let len = saturated(tlv.value.len());
                self.violations
                    .push(Violation::TlvLength { tag: tlv.tag, len });
            }
        }
        match tail {
            Tail::Clean => {}
            Tail::Octets(count) => self.trailing(count),
            Tail::TooMany(octets) => self.violations.push(Violation::TooManyTlvs {
                octets: saturated(octets),
            }),
            Tail::Truncated {
                tag,
                declared,
                available,
            } => self.violations.push(Violation::TruncatedTlv {
                tag,
                declared,
                available: saturated(available),
            }),
        }
        tlvs
    }

    /// The TLVs of a PDU that has a `short_message`, which excludes `message_payload`.
    #[inline]
    pub(in crate::pdu) fn tlvs_beside(&mut self) -> Result<Tlvs, DecodeReason> {
        let tlvs = self.tlvs()?;
        if self.has_message && !tlvs.is_empty() && tlvs.get(tag::MESSAGE_PAYLOAD).is_some() {
            self.violations.push(Violation::TwoMessages);
        }
        Ok(tlvs)
    }

    /// The TLVs of a PDU that cannot do without some of them.
    pub(in crate::pdu) fn tlvs_with(&mut self, needed: &[u16]) -> Result<Tlvs, DecodeReason> {
        let tlvs = self.tlvs()?;
        if self.header.status.is_ok() {
            for tag in needed {
                if tlvs.get(*tag).is_none() {
                    self.violations.push(Violation::MissingTlv(*tag));
                }
            }
        }
        Ok(tlvs)
    }

    /// Drops the rest of a body that should have ended here.
    #[inline]
    pub(in crate::pdu) fn end(&mut self) {
        if !self.rest.is_empty() {
            self.trailing(self.rest.len());
            self.rest = &[];
        }
    }

    /// The next `len` octets, or all there are.
    #[inline]
    pub(super) fn octets(&mut self, len: usize) -> Bytes {
        let (rest, octets) = take::<_, _, ()>(len)(self.rest).unwrap_or((&[], self.rest));
        self.rest = rest;
        self.body.slice_ref(octets)
    }

    /// A response ended before this field. It has done its duty with its header: it always decodes, and with an
    /// error status it may end anywhere.
    #[cold]
    fn absent(&mut self, field: Field) {
        if self.header.status.is_ok() {
            self.violations.push(Violation::MissingField(field));
        }
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
        let len = saturated(len);
        self.violations.push(Violation::OverLong { field, len });
    }

    fn trailing(&mut self, count: usize) {
        let count = saturated(count);
        self.violations.push(Violation::TrailingOctets { count });
    }
}

/// Whether the octets are a string of visible characters, its NUL, and whole TLVs to the end.
fn reads_regularly(rest: &[u8]) -> bool {
    let Some(nul) = rest.iter().position(|octet| *octet == 0) else {
        return false;
    };
    rest[..nul].iter().all(|octet| *octet >= b' ') && tlv::is_whole(&rest[nul + 1..])
}

/// Cuts off the octets before the first NUL, or all when there is none: what nom's `take_till` gives. Eight octets
/// are tested at once, because the addresses of a message make this the hottest loop of decoding.
#[inline(always)]
pub(super) fn c_octets(input: &[u8]) -> (&[u8], &[u8]) {
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
