//! Lives here: between Unicode and the octets of messages: encodings, user data headers, segmentation.
//! Never here: which encoding a carrier expects under which `data_coding`; its profile says so.

mod gsm7;
mod segment;
mod ucs2;
mod udh;

pub use gsm7::{gsm7_decode, gsm7_encode};
pub use segment::{MAX_PARTS, Segments, TextError, segment_count, split};
pub use ucs2::{ucs2_decode, ucs2_encode};
pub use udh::{CONCAT_LEN, Concat, concat, split_udh};

/// The two encodings messages are sent in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// GSM 03.38 default alphabet with its extension table, one septet in each octet (unpacked).
    Gsm7,
    /// UCS-2 big endian without byte order mark; characters beyond U+FFFF as UTF-16 surrogate pairs.
    Ucs2,
}

impl Encoding {
    /// The `data_coding` of SMPP 5.2.19: 0x00 (carrier default, taken as GSM 03.38) or 0x08.
    #[must_use]
    pub const fn data_coding(self) -> u8 {
        match self {
            Self::Gsm7 => 0x00,
            Self::Ucs2 => 0x08,
        }
    }

    /// Units in a message of one segment: 160 septets or 70 UTF-16 code units.
    #[must_use]
    pub const fn single_max(self) -> usize {
        match self {
            Self::Gsm7 => 160,
            Self::Ucs2 => 70,
        }
    }

    /// Units in each segment of several, beside a user data header of six octets: 153 septets or 67 code units.
    #[must_use]
    pub const fn part_max(self) -> usize {
        match self {
            Self::Gsm7 => 153,
            Self::Ucs2 => 67,
        }
    }

    /// Octets of one unit on the wire.
    const fn unit_octets(self) -> usize {
        match self {
            Self::Gsm7 => 1,
            Self::Ucs2 => 2,
        }
    }

    /// Units this character takes: an extension character or a surrogate pair takes two. A character that GSM
    /// 03.38 lacks counts as one.
    fn units(self, character: char) -> usize {
        match self {
            Self::Gsm7 => gsm7::septets(character).unwrap_or(1),
            Self::Ucs2 => character.len_utf16(),
        }
    }
}

/// The cheaper encoding that holds all of `text`: GSM 03.38 if every character is in its two tables.
#[must_use]
pub fn detect(text: &str) -> Encoding {
    if text
        .chars()
        .all(|character| gsm7::septets(character).is_some())
    {
        Encoding::Gsm7
    } else {
        Encoding::Ucs2
    }
}

#[cfg(test)]
mod tests;
