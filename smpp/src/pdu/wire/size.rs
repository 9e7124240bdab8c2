//! Lives here: the octets each kind of field takes, and what the specification forbids to write in it.
//! Never here: writing (`write`).

use bytes::Bytes;

use super::AddressFields;
use crate::pdu::fault::EncodeError;
use crate::pdu::{Address, Destination, Field, OctetStr, Unsuccess};
use crate::tlv::{Tlvs, tag};

/// Highest `priority_flag` (SMPP 5.0 4.7.14; 3 in 3.4) and `replace_if_present_flag`; the others use all values.
const PRIORITY_MAX: u8 = 4;
const REPLACE_MAX: u8 = 1;

#[inline]
pub(in crate::pdu) fn octet(value: &u8, field: &Field) -> Result<usize, EncodeError> {
    let max = match field {
        Field::PriorityFlag => PRIORITY_MAX,
        Field::ReplaceIfPresent => REPLACE_MAX,
        _ => return Ok(1),
    };
    if *value > max {
        return Err(EncodeError::Reserved {
            field: *field,
            value: *value,
        });
    }
    Ok(1)
}

#[inline]
pub(in crate::pdu) fn string(text: &OctetStr, field: &Field) -> Result<usize, EncodeError> {
    let len = text.len();
    if len > field.max_len() {
        let field = *field;
        return Err(EncodeError::TooLong { field, len });
    }
    Ok(len + 1)
}

pub(in crate::pdu) fn secret(text: &OctetStr, field: &Field) -> Result<usize, EncodeError> {
    string(text, field)
}

pub(in crate::pdu) fn last_string(text: &OctetStr, field: &Field) -> Result<usize, EncodeError> {
    string(text, field)
}

#[inline]
pub(in crate::pdu) fn answer_string(text: &OctetStr, field: &Field) -> Result<usize, EncodeError> {
    string(text, field)
}

/// Sent empty whatever it holds.
pub(in crate::pdu) fn unused_string(_: &OctetStr, _: &Field) -> Result<usize, EncodeError> {
    Ok(1)
}

/// A time is empty or `YYMMDDhhmmsstnnp` (SMPP 7.1.1): 1 or 17 octets.
#[inline]
pub(in crate::pdu) fn time(text: &OctetStr, field: &Field) -> Result<usize, EncodeError> {
    if text.is_empty() {
        return Ok(1);
    }
    match text.as_bytes() {
        [digits @ .., b'+' | b'-' | b'R']
            if digits.len() == 15 && digits.iter().all(u8::is_ascii_digit) =>
        {
            Ok(17)
        }
        other => Err(EncodeError::Time {
            field: *field,
            len: other.len(),
        }),
    }
}

#[inline]
pub(in crate::pdu) fn address(
    address: &Address,
    fields: &AddressFields,
) -> Result<usize, EncodeError> {
    Ok(2 + string(&address.addr, &fields.addr)?)
}

/// `sm_length` and the message. How it is encoded does not matter here; reading asks.
#[inline]
pub(in crate::pdu) fn message<C>(message: &Bytes, _data_coding: C) -> Result<usize, EncodeError> {
    let len = message.len();
    if len > Field::ShortMessage.max_len() {
        let field = Field::ShortMessage;
        return Err(EncodeError::TooLong { field, len });
    }
    Ok(1 + len)
}

pub(in crate::pdu) fn destinations(destinations: &[Destination]) -> Result<usize, EncodeError> {
    if destinations.is_empty() || destinations.len() > Field::NumberOfDests.max_len() {
        return Err(EncodeError::Count {
            field: Field::NumberOfDests,
            count: destinations.len(),
        });
    }
    destinations.iter().try_fold(1, |len, dest| {
        Ok(len
            + 1
            + match dest {
                Destination::Address(address) => self::address(address, &super::DEST)?,
                Destination::List(name) => string(name, &Field::DlName)?,
            })
    })
}

pub(in crate::pdu) fn failures(failures: &[Unsuccess]) -> Result<usize, EncodeError> {
    if failures.len() > Field::NoUnsuccess.max_len() {
        return Err(EncodeError::Count {
            field: Field::NoUnsuccess,
            count: failures.len(),
        });
    }
    failures.iter().try_fold(1, |len, failure| {
        Ok(len + address(&failure.dest, &super::DEST)? + 4)
    })
}

#[inline]
pub(in crate::pdu) fn tlvs(tlvs: &Tlvs) -> Result<usize, EncodeError> {
    if tlvs.is_empty() {
        return Ok(0);
    }
    for tlv in tlvs {
        let len = tlv.value.len();
        if len > usize::from(u16::MAX) || !tag::shape(tlv.tag).allows(len) {
            return Err(EncodeError::TlvLength { tag: tlv.tag, len });
        }
    }
    Ok(tlvs.wire_len())
}

#[inline]
pub(in crate::pdu) fn tlvs_beside(tlvs: &Tlvs, message: &Bytes) -> Result<usize, EncodeError> {
    if !tlvs.is_empty() && !message.is_empty() && tlvs.get(tag::MESSAGE_PAYLOAD).is_some() {
        return Err(EncodeError::TwoMessages);
    }
    self::tlvs(tlvs)
}

pub(in crate::pdu) fn tlvs_with(tlvs: &Tlvs, needed: &[u16]) -> Result<usize, EncodeError> {
    match needed.iter().find(|tag| tlvs.get(**tag).is_none()) {
        Some(tag) => Err(EncodeError::MissingTlv(*tag)),
        None => self::tlvs(tlvs),
    }
}
