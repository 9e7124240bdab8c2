//! Lives here: reading a message's octets by its `data_coding` (SMPP 5.2.19, 3GPP TS 23.038 section 4).
//! Never here: putting parts together (`reassembly`).

use super::encoding::Packing;
use super::gsm7::Gsm7;
use super::iso8859::{ascii_decode, cyrillic_decode, hebrew_decode, latin1_decode};
use super::packed::unpack;
use super::ucs2::ucs2_decode;
use super::udh::{split_udh, tables};

/// What octets can mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Charset {
    /// GSM 7 bit text; its tables stand in the user data header.
    Gsm7,
    /// IA5.
    Ascii,
    /// ISO 8859-1.
    Latin1,
    /// UTF-8: no standard value means it, but some carriers take it as their default.
    Utf8,
    /// UCS-2, read as UTF-16 big endian.
    Ucs2,
    /// ISO 8859-5.
    Cyrillic,
    /// ISO 8859-8.
    Hebrew,
    /// No text: 8-bit data.
    Binary,
    /// A text that is not read here: JIS, ISO 2022-JP, KS C 5601, pictograms.
    Unsupported,
}

/// What a carrier means where the standard leaves it open, as its profile says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TextProfile {
    /// What `data_coding` 0 and the reserved values mean: mostly [`Charset::Gsm7`], often [`Charset::Latin1`],
    /// sometimes [`Charset::Ascii`] or [`Charset::Utf8`].
    pub default: Charset,
    /// What `data_coding` 1 means: [`Charset::Ascii`] by the standard, but some peers label GSM octets so.
    pub ia5: Charset,
    /// How GSM 7 bit text lies in the octets.
    pub packing: Packing,
}

impl Default for TextProfile {
    /// GSM 03.38, unpacked, and ASCII for 1.
    fn default() -> Self {
        Self {
            default: Charset::Gsm7,
            ia5: Charset::Ascii,
            packing: Packing::Unpacked,
        }
    }
}

/// A message that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodedText<'a> {
    /// The user data header without its length octet; empty without one.
    pub header: &'a [u8],
    /// What the octets were taken for.
    pub charset: Charset,
    /// The text. Of [`Charset::Binary`] and [`Charset::Unsupported`] each octet is the character of the same number,
    /// so that nothing is lost.
    pub text: String,
}

impl TextProfile {
    /// What this `data_coding` means here.
    ///
    /// 0x00 to 0x0F are SMPP's own values. 0x10 to 0x1F and 0xC0 to 0xFF are GSM's coding groups with message class
    /// or message waiting, where the low bits are not an alphabet.
    #[must_use]
    pub const fn charset(&self, data_coding: u8) -> Charset {
        match data_coding {
            0x01 => self.ia5,
            0x02 | 0x04 => Charset::Binary,
            0x03 => Charset::Latin1,
            0x06 => Charset::Cyrillic,
            0x07 => Charset::Hebrew,
            0x08 => Charset::Ucs2,
            0x05 | 0x09 | 0x0A | 0x0D | 0x0E => Charset::Unsupported,
            // General group with message class: bits 3 and 2 are the alphabet, 3 is reserved.
            0x10..=0x13 | 0x1C..=0x1F => Charset::Gsm7,
            0x14..=0x17 => Charset::Binary,
            0x18..=0x1B => Charset::Ucs2,
            // Message waiting: discard and store in GSM 7 bit, store in UCS-2.
            0xC0..=0xDF => Charset::Gsm7,
            0xE0..=0xEF => Charset::Ucs2,
            // Message class: bit 2 is 8-bit data, bit 3 reserved.
            0xF0..=0xFF => match data_coding & 0x04 {
                0 => Charset::Gsm7,
                _ => Charset::Binary,
            },
            // Zero, and values reserved in SMPP: 23.038 wants such a text read with the default alphabet.
            0x00 | 0x0B | 0x0C | 0x0F | 0x20..=0xBF => self.default,
        }
    }

    /// Reads a message's octets; `udhi` says whether they start with a user data header. Every input has a reading.
    #[must_use]
    pub fn decode<'a>(&self, data_coding: u8, udhi: bool, octets: &'a [u8]) -> DecodedText<'a> {
        let (header, body) = if udhi {
            split_udh(octets)
        } else {
            (&[][..], octets)
        };
        let charset = self.charset(data_coding);
        let text = match charset {
            Charset::Gsm7 => tables(header).decode(&self.septets(octets.len(), body)),
            other => decode_octets(other, body),
        };
        DecodedText {
            header,
            charset,
            text,
        }
    }

    /// The unpacked septets of a body that ends a message of `whole` octets.
    fn septets<'a>(&self, whole: usize, body: &'a [u8]) -> std::borrow::Cow<'a, [u8]> {
        match self.packing {
            Packing::Unpacked => body.into(),
            Packing::Packed => unpack(body, whole - body.len()).into(),
        }
    }

    /// Reads the parts of one message, given as `(udhi, octets)`, as one text: a character divided between two parts
    /// by a careless sender is whole again. Each part is read with the tables of its own header.
    pub(super) fn decode_parts<'a>(
        &self,
        data_coding: u8,
        parts: impl Iterator<Item = (bool, &'a [u8])>,
    ) -> String {
        let charset = self.charset(data_coding);
        let mut text = String::new();
        let mut pending = Vec::new();
        let mut read_with = Gsm7::DEFAULT;
        for (udhi, octets) in parts {
            let (header, body) = if udhi {
                split_udh(octets)
            } else {
                (&[][..], octets)
            };
            if charset == Charset::Gsm7 {
                let tables = tables(header);
                if tables != read_with {
                    text.push_str(&read_with.decode(&pending));
                    pending.clear();
                    read_with = tables;
                }
                pending.extend_from_slice(&self.septets(octets.len(), body));
            } else {
                pending.extend_from_slice(body);
            }
        }
        text.push_str(&match charset {
            Charset::Gsm7 => read_with.decode(&pending),
            other => decode_octets(other, &pending),
        });
        text
    }
}

/// The message class (0 shows the text at once, "flash") of a `data_coding` that has one.
#[must_use]
pub const fn message_class(data_coding: u8) -> Option<u8> {
    match data_coding {
        0x10..=0x1F | 0xF0..=0xFF => Some(data_coding & 0x03),
        _ => None,
    }
}

fn decode_octets(charset: Charset, octets: &[u8]) -> String {
    match charset {
        Charset::Gsm7 => Gsm7::DEFAULT.decode(octets),
        Charset::Ascii => ascii_decode(octets),
        Charset::Utf8 => String::from_utf8_lossy(octets).into_owned(),
        // Senders should not write a byte order mark; those who do are not made to suffer.
        Charset::Ucs2 => match octets {
            [0xFE, 0xFF, rest @ ..] => ucs2_decode(rest),
            [0xFF, 0xFE, rest @ ..] => {
                let swapped: Vec<u8> = rest
                    .chunks(2)
                    .flat_map(|unit| unit.iter().rev())
                    .copied()
                    .collect();
                ucs2_decode(&swapped)
            }
            plain => ucs2_decode(plain),
        },
        Charset::Cyrillic => cyrillic_decode(octets),
        Charset::Hebrew => hebrew_decode(octets),
        Charset::Latin1 | Charset::Binary | Charset::Unsupported => latin1_decode(octets),
    }
}
