//! Lives here: the encodings messages are sent in, and what fits in one message of each.
//! Never here: dividing a text (`segment`), choosing an encoding (`detect`).

use super::gsm7::{Codes, Gsm7};
use super::iso8859::{ascii_encode, latin1_encode};
use super::ucs2::ucs2_encode;

/// Octets of user data in one message on the air interface, header included (3GPP TS 23.040, 9.2.3.16).
pub(super) const USER_DATA_MAX: usize = 140;

/// How septets lie in the octets of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Packing {
    /// One septet in each octet: what nearly every SMSC takes; it packs them itself.
    #[default]
    Unpacked,
    /// Eight septets in seven octets.
    Packed,
}

/// An alphabet and how its text lies in the octets of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// GSM 7 bit text with a pair of tables.
    Gsm7(Gsm7, Packing),
    /// ASCII (IA5), one octet per character.
    Ascii,
    /// ISO 8859-1, one octet per character.
    Latin1,
    /// UCS-2 big endian without byte order mark; characters beyond U+FFFF as UTF-16 surrogate pairs.
    Ucs2,
}

impl Encoding {
    /// The default alphabet, unpacked: the encoding to start from.
    pub const GSM7: Self = Self::Gsm7(Gsm7::DEFAULT, Packing::Unpacked);
    /// The default alphabet, packed.
    pub const GSM7_PACKED: Self = Self::Gsm7(Gsm7::DEFAULT, Packing::Packed);

    /// The `data_coding` of SMPP 5.2.19: 0x00 (the carrier's default, taken as GSM 03.38), 0x01, 0x03 or 0x08.
    #[must_use]
    pub const fn data_coding(self) -> u8 {
        match self {
            Self::Gsm7(..) => 0x00,
            Self::Ascii => 0x01,
            Self::Latin1 => 0x03,
            Self::Ucs2 => 0x08,
        }
    }

    /// Units that fit in one message behind a header of `header_len` octets (length octet included, 0 without
    /// header): septets (160, 153 behind six octets, 152 behind seven), octets (140, 134, 133) or UTF-16 code units
    /// (70, 67, 66). Unpacked septets count as on the air, where the SMSC packs them.
    #[must_use]
    pub const fn capacity(self, header_len: usize) -> usize {
        let room = USER_DATA_MAX.saturating_sub(header_len);
        match self {
            // 140 octets are exactly 160 septets, and the header takes whole ones.
            Self::Gsm7(..) => room * 8 / 7,
            Self::Ascii | Self::Latin1 => room,
            Self::Ucs2 => room / 2,
        }
    }

    /// Whether every character of `text` can be sent so.
    #[must_use]
    pub fn encodes(self, text: &str) -> bool {
        match self {
            Self::Gsm7(gsm7, _) => gsm7.table().have_all(text),
            Self::Ascii => text.is_ascii(),
            Self::Latin1 => text.chars().all(|character| character <= '\u{FF}'),
            Self::Ucs2 => true,
        }
    }

    /// Appends the text's units to `out`: unpacked septets, octets, or code units of two octets.
    ///
    /// # Errors
    /// The first character that the alphabet lacks; `out` is then as it was.
    pub(super) fn encode_units(self, text: &str, out: &mut Vec<u8>) -> Result<(), char> {
        match self {
            Self::Gsm7(gsm7, _) => gsm7.encode(text, out),
            Self::Ascii => ascii_encode(text, out),
            Self::Latin1 => latin1_encode(text, out),
            Self::Ucs2 => {
                ucs2_encode(text, out);
                Ok(())
            }
        }
    }

    /// Octets of one unit before packing.
    pub(super) const fn unit_octets(self) -> usize {
        match self {
            Self::Gsm7(..) | Self::Ascii | Self::Latin1 => 1,
            Self::Ucs2 => 2,
        }
    }

    pub(super) const fn is_packed(self) -> bool {
        matches!(self, Self::Gsm7(_, Packing::Packed))
    }

    /// The tables, for GSM 7 bit text.
    pub(super) const fn tables(self) -> Gsm7 {
        match self {
            Self::Gsm7(gsm7, _) => gsm7,
            Self::Ascii | Self::Latin1 | Self::Ucs2 => Gsm7::DEFAULT,
        }
    }

    /// Calls `each` with every character and its units: two for a character behind an escape and for a surrogate
    /// pair. A character that the alphabet lacks counts as one.
    #[inline]
    pub(super) fn each_character(self, text: &str, mut each: impl FnMut(char, usize)) {
        match self {
            Self::Gsm7(gsm7, _) => {
                let codes: &Codes = gsm7.table();
                for character in text.chars() {
                    each(character, codes.units(character));
                }
            }
            Self::Ascii | Self::Latin1 => {
                for character in text.chars() {
                    each(character, 1);
                }
            }
            Self::Ucs2 => {
                for character in text.chars() {
                    each(character, character.len_utf16());
                }
            }
        }
    }
}
