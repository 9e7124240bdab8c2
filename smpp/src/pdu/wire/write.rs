//! Lives here: the cursor that writes fields into space that was measured and reserved before.
//! Never here: limits (`size` has refused what is over them).

use bytes::Bytes;

use crate::pdu::{Address, Destination, OctetStr, Unsuccess};
use crate::tlv::Tlvs;

/// Space for exactly one PDU, zeroed.
pub(in crate::pdu) struct Writer<'a> {
    rest: &'a mut [u8],
}

impl<'a> Writer<'a> {
    #[inline]
    pub(in crate::pdu) fn new(rest: &'a mut [u8]) -> Self {
        Self { rest }
    }

    #[inline]
    pub(in crate::pdu) fn octets(&mut self, octets: &[u8]) {
        let (here, rest) = std::mem::take(&mut self.rest).split_at_mut(octets.len());
        here.copy_from_slice(octets);
        self.rest = rest;
    }

    /// Without a way to panic, several of these in a row become one.
    #[inline]
    pub(in crate::pdu) fn octet(&mut self, value: &u8) {
        if let [here, rest @ ..] = std::mem::take(&mut self.rest) {
            *here = *value;
            self.rest = rest;
        }
    }

    pub(in crate::pdu) fn answer_octet(&mut self, value: &u8) {
        self.octet(value);
    }

    #[inline]
    pub(in crate::pdu) fn data_coding(&mut self, value: &u8) {
        self.octet(value);
    }

    #[inline]
    pub(in crate::pdu) fn string(&mut self, text: &OctetStr) {
        // The space is zeroed, so that an empty string is one step.
        if !text.is_empty() {
            self.octets(text.as_bytes());
        }
        self.octet(&0);
    }

    #[inline]
    pub(in crate::pdu) fn time(&mut self, text: &OctetStr) {
        self.string(text);
    }

    pub(in crate::pdu) fn answer_id(&mut self, text: &OctetStr) {
        self.string(text);
    }

    pub(in crate::pdu) fn answer_time(&mut self, text: &OctetStr) {
        self.string(text);
    }

    #[inline]
    pub(in crate::pdu) fn secret(&mut self, text: &OctetStr) {
        self.string(text);
    }

    #[inline]
    pub(in crate::pdu) fn answer_string(&mut self, text: &OctetStr) {
        self.string(text);
    }

    #[inline]
    pub(in crate::pdu) fn unused_string(&mut self, _: &OctetStr) {
        self.octet(&0);
    }

    #[inline]
    pub(in crate::pdu) fn address(&mut self, address: &Address) {
        self.octet(&address.ton);
        self.octet(&address.npi);
        self.string(&address.addr);
    }

    #[inline]
    pub(in crate::pdu) fn message(&mut self, message: &Bytes) {
        // `size::message` has refused more than 255.
        self.octet(&(message.len() as u8));
        self.octets(message);
    }

    pub(in crate::pdu) fn destinations(&mut self, destinations: &[Destination]) {
        // `size::destinations` has refused more than 255.
        self.octet(&(destinations.len() as u8));
        for dest in destinations {
            match dest {
                Destination::Address(address) => {
                    self.octet(&Destination::ADDRESS);
                    self.address(address);
                }
                Destination::List(name) => {
                    self.octet(&Destination::LIST);
                    self.string(name);
                }
            }
        }
    }

    pub(in crate::pdu) fn failures(&mut self, failures: &[Unsuccess]) {
        // `size::failures` has refused more than 255.
        self.octet(&(failures.len() as u8));
        for failure in failures {
            self.address(&failure.dest);
            self.octets(&failure.status.0.to_be_bytes());
        }
    }

    #[inline]
    pub(in crate::pdu) fn tlvs(&mut self, tlvs: &Tlvs) {
        for tlv in tlvs {
            self.octets(&tlv.tag.to_be_bytes());
            // `size::tlvs` has refused longer values.
            self.octets(&(tlv.value.len() as u16).to_be_bytes());
            self.octets(&tlv.value);
        }
    }

    #[inline]
    pub(in crate::pdu) fn tlvs_beside(&mut self, tlvs: &Tlvs) {
        self.tlvs(tlvs);
    }

    #[inline]
    pub(in crate::pdu) fn tlvs_with(&mut self, tlvs: &Tlvs) {
        self.tlvs(tlvs);
    }

    /// Whether the space was filled to its last octet.
    pub(in crate::pdu) fn is_full(&self) -> bool {
        self.rest.is_empty()
    }
}
