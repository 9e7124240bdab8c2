//! Lives here: the octets a PDU will take, and what the specification forbids to write.
//! Never here: writing (`write`).

use bytes::Bytes;

use super::{AddressFields, DEST};
use crate::pdu::fault::EncodeError;
use crate::pdu::{Address, Destination, Field, OctetStr, Unsuccess};
use crate::tlv::{TLV_HEADER_LEN, TLVS_MAX, Tlvs, tag};

/// Highest `priority_flag` (SMPP 5.0 4.7.14; 3 in 3.4) and `replace_if_present_flag`; the others use all values.
const PRIORITY_MAX: u8 = 4;
const REPLACE_MAX: u8 = 1;

/// Measures a body field by field, in the order in which it will be written.
#[derive(Default)]
pub(in crate::pdu) struct Size {
    octets: usize,
    /// A `short_message` that is not empty was measured.
    has_message: bool,
}

type Measured = Result<(), EncodeError>;

impl Size {
    /// Octets of all fields so far.
    #[inline]
    pub(in crate::pdu) const fn octets(&self) -> usize {
        self.octets
    }

    #[inline]
    pub(in crate::pdu) fn octet(&mut self, value: &u8, field: &Field) -> Measured {
        self.octets += 1;
        let max = match field {
            Field::PriorityFlag => PRIORITY_MAX,
            Field::ReplaceIfPresent => REPLACE_MAX,
            _ => return Ok(()),
        };
        if *value > max {
            let (field, value) = (*field, *value);
            return Err(EncodeError::Reserved { field, value });
        }
        Ok(())
    }

    pub(in crate::pdu) fn answer_octet(&mut self, value: &u8, field: &Field) -> Measured {
        self.octet(value, field)
    }

    #[inline]
    pub(in crate::pdu) fn data_coding(&mut self, _: &u8) -> Measured {
        self.octets += 1;
        Ok(())
    }

    #[inline]
    pub(in crate::pdu) fn string(&mut self, text: &OctetStr, field: &Field) -> Measured {
        self.long_string(text, field, field.max_len())
    }

    /// A string with another limit than the specification's.
    #[inline]
    pub(in crate::pdu) fn long_string(
        &mut self,
        text: &OctetStr,
        field: &Field,
        max: usize,
    ) -> Measured {
        let len = text.len();
        if len > max {
            let field = *field;
            return Err(EncodeError::TooLong { field, len });
        }
        self.octets += len + 1;
        Ok(())
    }

    pub(in crate::pdu) fn secret(&mut self, text: &OctetStr, field: &Field) -> Measured {
        self.string(text, field)
    }

    #[inline]
    pub(in crate::pdu) fn answer_string(&mut self, text: &OctetStr, field: &Field) -> Measured {
        self.string(text, field)
    }

    pub(in crate::pdu) fn answer_id(&mut self, text: &OctetStr, field: &Field) -> Measured {
        self.string(text, field)
    }

    /// Sent empty whatever it holds.
    #[inline]
    pub(in crate::pdu) fn unused_string(&mut self, _: &OctetStr, _: &Field) -> Measured {
        self.octets += 1;
        Ok(())
    }

    /// A time is empty or `YYMMDDhhmmsstnnp` (SMPP 7.1.1): 1 or 17 octets.
    #[inline]
    pub(in crate::pdu) fn time(&mut self, text: &OctetStr, field: &Field) -> Measured {
        if !text.is_empty() && !is_time(text.as_bytes()) {
            let (field, len) = (*field, text.len());
            return Err(EncodeError::Time { field, len });
        }
        self.octets += text.len() + 1;
        Ok(())
    }

    pub(in crate::pdu) fn answer_time(&mut self, text: &OctetStr, field: &Field) -> Measured {
        self.time(text, field)
    }

    #[inline]
    pub(in crate::pdu) fn address(
        &mut self,
        address: &Address,
        fields: &AddressFields,
    ) -> Measured {
        self.octets += 2;
        self.string(&address.addr, &fields.addr)
    }

    /// `sm_length` and the message.
    #[inline]
    pub(in crate::pdu) fn message(&mut self, message: &Bytes) -> Measured {
        let len = message.len();
        if len > Field::ShortMessage.max_len() {
            let field = Field::ShortMessage;
            return Err(EncodeError::TooLong { field, len });
        }
        self.has_message = len > 0;
        self.octets += 1 + len;
        Ok(())
    }

    pub(in crate::pdu) fn destinations(&mut self, dests: &[Destination]) -> Measured {
        let (field, count) = (Field::NumberOfDests, dests.len());
        if count == 0 || count > field.max_len() {
            return Err(EncodeError::Count { field, count });
        }
        self.octets += 1;
        dests.iter().try_for_each(|dest| {
            self.octets += 1;
            match dest {
                Destination::Address(address) => self.address(address, &DEST),
                Destination::List(name) => self.string(name, &Field::DlName),
            }
        })
    }

    pub(in crate::pdu) fn failures(&mut self, failures: &[Unsuccess]) -> Measured {
        let (field, count) = (Field::NoUnsuccess, failures.len());
        if count > field.max_len() {
            return Err(EncodeError::Count { field, count });
        }
        self.octets += 1;
        failures.iter().try_for_each(|failure| {
            self.octets += 4;
            self.address(&failure.dest, &DEST)
        })
    }

    #[inline]
    pub(in crate::pdu) fn tlvs(&mut self, tlvs: &Tlvs) -> Measured {
        if tlvs.len() > TLVS_MAX {
            return Err(EncodeError::TooManyTlvs(tlvs.len()));
        }
        for tlv in tlvs {
            let len = tlv.value.len();
            if len > usize::from(u16::MAX) || !tag::shape(tlv.tag).allows(len) {
                return Err(EncodeError::TlvLength { tag: tlv.tag, len });
            }
            self.octets += TLV_HEADER_LEN + len;
        }
        Ok(())
    }

    /// The TLVs of a PDU that has a `short_message`, which excludes `message_payload`.
    #[inline]
    pub(in crate::pdu) fn tlvs_beside(&mut self, tlvs: &Tlvs) -> Measured {
        if self.has_message && !tlvs.is_empty() && tlvs.get(tag::MESSAGE_PAYLOAD).is_some() {
            return Err(EncodeError::TwoMessages);
        }
        self.tlvs(tlvs)
    }

    /// The TLVs of a PDU that cannot do without some of them.
    pub(in crate::pdu) fn tlvs_with(&mut self, tlvs: &Tlvs, needed: &[u16]) -> Measured {
        match needed.iter().find(|tag| tlvs.get(**tag).is_none()) {
            Some(tag) => Err(EncodeError::MissingTlv(*tag)),
            None => self.tlvs(tlvs),
        }
    }
}

fn is_time(text: &[u8]) -> bool {
    match text {
        [digits @ .., b'+' | b'-' | b'R'] => {
            digits.len() == 15 && digits.iter().all(u8::is_ascii_digit)
        }
        _ => false,
    }
}
