//! Lives here: the cursor that reads well-formed bodies and gives up on all others.
//! Never here: leniency. What gives `None` here is read again from its start by `Reader`, which knows what to do;
//! what gives a value here, `Reader` would read the same and without a violation.
//!
//! Because it calls nothing that is not inlined, its position stays in registers and each field is written once:
//! that is half the time of decoding.

use bytes::{Buf, Bytes};

use super::AddressFields;
use super::read::c_octets;
use crate::codec::Frame;
use crate::pdu::{Address, Field, OctetStr};
use crate::tlv::{self, Tlvs, tag};

/// A position in a body that has been well-formed so far.
pub(in crate::pdu) struct Plain<'b> {
    frame: Frame<'b>,
    at: usize,
    /// TLVs, when the body has been taken off the stream because a message shares it.
    tail: Bytes,
}

impl<'b> Plain<'b> {
    #[inline(always)]
    pub(in crate::pdu) fn new(frame: Frame<'b>) -> Self {
        Self {
            frame,
            at: 0,
            tail: Bytes::new(),
        }
    }

    /// The frame, which is whole as long as only `None` was given.
    #[inline(always)]
    pub(in crate::pdu) fn into_frame(self) -> Frame<'b> {
        self.frame
    }

    #[inline(always)]
    fn rest(&self) -> Option<&[u8]> {
        self.frame.body().get(self.at..)
    }

    #[inline(always)]
    pub(in crate::pdu) fn octet(&mut self, _: &Field) -> Option<u8> {
        let value = *self.frame.body().get(self.at)?;
        self.at += 1;
        Some(value)
    }

    #[inline(always)]
    pub(in crate::pdu) fn data_coding(&mut self) -> Option<u8> {
        self.octet(&Field::DataCoding)
    }

    /// Strings that are stored in place; a longer one is for the other cursor.
    #[inline(always)]
    pub(in crate::pdu) fn string(&mut self, field: &Field) -> Option<OctetStr> {
        let rest = self.rest()?;
        // Most strings of a submit_sm are empty.
        if *rest.first()? == 0 {
            self.at += 1;
            return Some(OctetStr::EMPTY);
        }
        let (behind, text) = c_octets(rest);
        if behind.is_empty() || text.len() > field.max_len() {
            return None;
        }
        let (len, text) = (text.len(), OctetStr::inline_of(rest, text.len())?);
        self.at += len + 1;
        Some(text)
    }

    #[inline(always)]
    pub(in crate::pdu) fn time(&mut self, field: &Field) -> Option<OctetStr> {
        self.string(field)
    }

    #[inline(always)]
    pub(in crate::pdu) fn address(&mut self, fields: &AddressFields) -> Option<Address> {
        Some(Address {
            ton: self.octet(&fields.ton)?,
            npi: self.octet(&fields.npi)?,
            addr: self.string(&fields.addr)?,
        })
    }

    /// A visible first character: anything else may be TLVs behind an absent string.
    #[inline(always)]
    pub(in crate::pdu) fn answer_string(&mut self, field: &Field) -> Option<OctetStr> {
        match self.rest()? {
            [0] => {}
            [first, ..] if *first >= b' ' => {}
            _ => return None,
        }
        self.string(field)
    }

    #[inline(always)]
    pub(in crate::pdu) fn unused_string(&mut self, field: &Field) -> Option<OctetStr> {
        self.answer_string(field)
    }

    /// The message takes over the body's reference count, unless TLVs follow.
    #[inline(always)]
    pub(in crate::pdu) fn message(&mut self) -> Option<Bytes> {
        let (len, rest) = self.rest()?.split_first()?;
        let len = usize::from(*len);
        let tail = rest.get(len..)?;
        if !tail.is_empty() && !are_sound(tail, len > 0) {
            return None;
        }
        let (has_tail, start) = (!tail.is_empty(), self.at + 1);
        if len == 0 && !has_tail {
            return Some(Bytes::new());
        }
        let mut message = self.frame.take_body();
        if has_tail {
            self.tail = message.split_off(start + len);
        }
        message.advance(start);
        Some(message)
    }

    #[inline(always)]
    pub(in crate::pdu) fn tlvs_beside(&mut self) -> Option<Tlvs> {
        Some(if self.tail.is_empty() {
            Tlvs::new()
        } else {
            tlv::read_all(&self.tail, &self.tail).0
        })
    }

    #[inline(always)]
    pub(in crate::pdu) fn tlvs(&mut self) -> Option<Tlvs> {
        let rest = self.rest()?;
        if rest.is_empty() {
            return Some(Tlvs::new());
        }
        if !are_sound(rest, false) {
            return None;
        }
        let body = self.frame.take_body();
        Some(tlv::read_all(&body, &body[self.at..]).0)
    }
}

/// Whether these are whole TLVs of their tags' shapes, without a second message.
#[inline(never)]
fn are_sound(octets: &[u8], has_message: bool) -> bool {
    // None of those has more than the limit.
    octets.len() <= tlv::TLVS_MAX * tlv::TLV_HEADER_LEN
        && tlv::all(octets, |tag, len| {
            tag::shape(tag).allows(len) && !(has_message && tag == tag::MESSAGE_PAYLOAD)
        })
}
