//! Lives here: names as sender addresses.
//! Never here: numbers and short codes, whose type and plan the carrier's profile gives.

use bytes::Bytes;
use thiserror::Error;

use super::decode::Charset;
use super::gsm7::Gsm7;
use super::iso8859::{ascii_decode, latin1_decode};
use crate::pdu::{Address, OctetStr, npi, ton};

/// The most septets in an alphanumeric sender: it has ten octets on the air (3GPP TS 23.040, 9.1.2.5).
pub const SENDER_MAX: usize = 11;

/// Why a name cannot be a sender. The name is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SenderError {
    /// It has no characters.
    #[error("the sender is empty")]
    Empty,
    /// More than [`SENDER_MAX`] septets; the number is how many.
    #[error("the sender takes {0} septets, at most 11 can be sent")]
    TooLong(usize),
    /// Handsets cannot show this character in a sender: GSM 03.38 lacks it, or the carrier's alphabet does.
    #[error("character {0:?} is not in the sender's alphabet")]
    NotEncodable(char),
    /// The character is octet 0x00, which ends the field: `@` in GSM 03.38.
    #[error("character {0:?} would end the sender")]
    Nul(char),
    /// Only digits, perhaps behind `+`: a number, to be sent with the type of one.
    #[error("the sender is a number")]
    Number,
}

/// A name as a source address: type 5 (alphanumeric), plan 0, at most 11 septets.
///
/// `alphabet` is what the carrier reads addresses in, mostly ASCII or GSM 03.38 (where `_` and `$` are other octets).
/// Alphabets of more than one octet per character are taken as ASCII.
///
/// # Errors
/// [`SenderError`].
pub fn alphanumeric_sender(name: &str, alphabet: Charset) -> Result<Address, SenderError> {
    if name.is_empty() {
        return Err(SenderError::Empty);
    }
    let digits = name.strip_prefix('+').unwrap_or(name);
    if digits.bytes().all(|octet| octet.is_ascii_digit()) {
        return Err(SenderError::Number);
    }
    let mut septets = 0;
    for character in name.chars() {
        septets += Gsm7::DEFAULT
            .septets(character)
            .ok_or(SenderError::NotEncodable(character))?;
    }
    if septets > SENDER_MAX {
        return Err(SenderError::TooLong(septets));
    }
    let mut octets = Vec::with_capacity(septets);
    for character in name.chars() {
        let start = octets.len();
        let encoded = match alphabet {
            Charset::Gsm7 => Gsm7::DEFAULT.encode(character.encode_utf8(&mut [0; 4]), &mut octets),
            Charset::Latin1 => u8::try_from(character)
                .map(|octet| octets.push(octet))
                .map_err(|_| character),
            _ if character.is_ascii() => {
                octets.push(character as u8);
                Ok(())
            }
            _ => Err(character),
        };
        encoded.map_err(SenderError::NotEncodable)?;
        if octets[start..].contains(&0) {
            return Err(SenderError::Nul(character));
        }
    }
    let addr = OctetStr::new(Bytes::from(octets));
    Ok(Address::new(ton::ALPHANUMERIC, npi::UNKNOWN, addr))
}

/// The text of an address in the carrier's alphabet.
#[must_use]
pub fn sender_text(address: &Address, alphabet: Charset) -> String {
    let octets = address.addr.as_bytes();
    match alphabet {
        Charset::Gsm7 => Gsm7::DEFAULT.decode(octets),
        Charset::Latin1 => latin1_decode(octets),
        Charset::Utf8 => String::from_utf8_lossy(octets).into_owned(),
        _ => ascii_decode(octets),
    }
}
