//! Lives here: the alphabets of one octet per character: ASCII and the parts of ISO 8859 that SMPP names.
//! Never here: which `data_coding` means which (`decode`).

/// Appends `text` as ISO 8859-1 (`data_coding` 3): one octet per character.
///
/// # Errors
/// The first character above U+00FF; `out` is then as it was.
pub fn latin1_encode(text: &str, out: &mut Vec<u8>) -> Result<(), char> {
    encode(text, 0xFF, out)
}

/// Reads ISO 8859-1. Every octet is the character of the same number, so nothing is lost.
#[must_use]
pub fn latin1_decode(octets: &[u8]) -> String {
    octets.iter().copied().map(char::from).collect()
}

/// Appends `text` as ASCII, which is IA5 (`data_coding` 1): one octet per character.
///
/// # Errors
/// The first character above U+007F; `out` is then as it was.
pub fn ascii_encode(text: &str, out: &mut Vec<u8>) -> Result<(), char> {
    encode(text, 0x7F, out)
}

/// Reads ASCII; octets above 0x7F become U+FFFD.
#[must_use]
pub fn ascii_decode(octets: &[u8]) -> String {
    octets
        .iter()
        .map(|octet| match octet.is_ascii() {
            true => char::from(*octet),
            false => char::REPLACEMENT_CHARACTER,
        })
        .collect()
}

/// Reads ISO 8859-5 (Cyrillic, `data_coding` 6).
#[must_use]
pub fn cyrillic_decode(octets: &[u8]) -> String {
    let character = |octet: u8| match octet {
        0xA1..=0xAC | 0xAE..=0xEF | 0xF1..=0xFC | 0xFE..=0xFF => {
            char::from_u32(0x0400 + u32::from(octet) - 0xA0)
                .expect("U+0401 to U+045F are characters")
        }
        0xF0 => '№',
        0xFD => '§',
        same => char::from(same),
    };
    octets.iter().copied().map(character).collect()
}

/// Reads ISO 8859-8 (Hebrew, `data_coding` 7) in the order of the octets; unassigned octets become U+FFFD.
#[must_use]
pub fn hebrew_decode(octets: &[u8]) -> String {
    let character = |octet: u8| match octet {
        0xE0..=0xFA => char::from_u32(0x05D0 + u32::from(octet) - 0xE0)
            .expect("U+05D0 to U+05EA are characters"),
        0xAA => '×',
        0xBA => '÷',
        0xDF => '\u{2017}',
        0xFD => '\u{200E}',
        0xFE => '\u{200F}',
        0xA1 | 0xBF..=0xDE | 0xFB..=0xFC | 0xFF => char::REPLACEMENT_CHARACTER,
        same => char::from(same),
    };
    octets.iter().copied().map(character).collect()
}

fn encode(text: &str, last: u8, out: &mut Vec<u8>) -> Result<(), char> {
    let start = out.len();
    out.reserve(text.len());
    for character in text.chars() {
        match u8::try_from(character) {
            Ok(octet) if octet <= last => out.push(octet),
            _ => {
                out.truncate(start);
                return Err(character);
            }
        }
    }
    Ok(())
}
