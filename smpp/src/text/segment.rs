//! Lives here: dividing a text into the segments that go out as one submit_sm each.
//! Never here: choosing references, prices.

use bytes::Bytes;
use smallvec::SmallVec;
use thiserror::Error;

use super::udh::{CONCAT_LEN, concat_header};
use super::{Encoding, gsm7, gsm7_encode, ucs2_encode};

/// The most parts a message can have: the total is one octet of the header.
pub const MAX_PARTS: usize = 255;

/// A text ready to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segments {
    /// What the parts are encoded in.
    pub encoding: Encoding,
    /// The octets for each `short_message`, at most 160 each. With several parts each starts with a user data
    /// header of six octets, and `esm_class` needs [`crate::pdu::esm_class::UDHI`]. An empty text is one empty
    /// part. All parts share one allocation.
    pub parts: SmallVec<[Bytes; 1]>,
}

impl Segments {
    /// Whether the parts start with a user data header.
    #[must_use]
    pub fn has_udh(&self) -> bool {
        self.parts.len() > 1
    }
}

/// Why a text cannot be sent. The text is at fault; sending it again cannot help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TextError {
    /// GSM 03.38 lacks this character; the other encoding has it.
    #[error("character {0:?} is not in GSM 03.38")]
    NotEncodable(char),
    /// More than 255 parts; the number is how many it would take.
    #[error("{0} parts are needed, at most 255 can be sent")]
    TooManyParts(usize),
}

/// How many parts [`split`] sends for this text, at least one. Allocates nothing.
///
/// A character that GSM 03.38 lacks counts as one septet; `split` refuses it.
#[must_use]
pub fn segment_count(text: &str, encoding: Encoding) -> usize {
    let mut total = 0;
    let mut parts = 1;
    let mut used = 0;
    for character in text.chars() {
        let units = encoding.units(character);
        total += units;
        // A character of two units never straddles a boundary.
        if used + units > encoding.part_max() {
            parts += 1;
            used = 0;
        }
        used += units;
    }
    if total <= encoding.single_max() {
        1
    } else {
        parts
    }
}

/// Encodes a text and divides it: one part of up to 160 septets or 70 code units, else parts of up to 153 or 67
/// behind a header with this 8-bit reference (23.040, 9.2.3.24.1). An escape sequence and a surrogate pair stay
/// in one part.
///
/// # Errors
/// [`TextError::NotEncodable`] with the first character that GSM 03.38 lacks, [`TextError::TooManyParts`].
pub fn split(text: &str, encoding: Encoding, reference: u8) -> Result<Segments, TextError> {
    let mut octets = Vec::new();
    match encoding {
        Encoding::Gsm7 => gsm7_encode(text, &mut octets).map_err(TextError::NotEncodable)?,
        Encoding::Ucs2 => ucs2_encode(text, &mut octets),
    }
    let mut parts = SmallVec::new();
    if octets.len() <= encoding.single_max() * encoding.unit_octets() {
        parts.push(Bytes::from(octets));
        return Ok(Segments { encoding, parts });
    }
    let cuts = cuts(&octets, encoding);
    let Ok(total) = u8::try_from(cuts.len()) else {
        return Err(TextError::TooManyParts(cuts.len()));
    };
    let mut wire = Vec::with_capacity(octets.len() + cuts.len() * CONCAT_LEN);
    let mut ends: SmallVec<[usize; 8]> = SmallVec::new();
    let mut start = 0;
    for (part, end) in (1..=total).zip(&cuts) {
        wire.extend_from_slice(&concat_header(reference, total, part));
        wire.extend_from_slice(&octets[start..*end]);
        start = *end;
        ends.push(wire.len());
    }
    let wire = Bytes::from(wire);
    let mut start = 0;
    for end in ends {
        parts.push(wire.slice(start..end));
        start = end;
    }
    Ok(Segments { encoding, parts })
}

/// Where each part of the encoded text ends.
fn cuts(octets: &[u8], encoding: Encoding) -> SmallVec<[usize; 8]> {
    let room = encoding.part_max() * encoding.unit_octets();
    let mut cuts = SmallVec::new();
    let mut start = 0;
    while octets.len() - start > room {
        let mut end = start + room;
        if opens_pair(&octets[..end], encoding) {
            end -= encoding.unit_octets();
        }
        cuts.push(end);
        start = end;
    }
    cuts.push(octets.len());
    cuts
}

/// Whether the last unit is the first of an inseparable two.
fn opens_pair(octets: &[u8], encoding: Encoding) -> bool {
    match (encoding, octets) {
        (Encoding::Gsm7, [.., last]) => *last == gsm7::ESC,
        // High surrogates are 0xD800 to 0xDBFF.
        (Encoding::Ucs2, [.., high, _]) => matches!(high, 0xD8..=0xDB),
        _ => false,
    }
}
