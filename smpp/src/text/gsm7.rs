//! Lives here: the GSM 03.38 default alphabet and its extension table (3GPP TS 23.038, 6.2.1), unpacked.
//! Never here: packing into seven bits, national shift tables.

/// Announces a character of the extension table.
pub(super) const ESC: u8 = 0x1B;

/// Septet to character. 0x1B is the escape; alone it is shown as a space, as 23.038 wants it.
const ALPHABET: [char; 128] = [
    '@', '£', '$', '¥', 'è', 'é', 'ù', 'ì', 'ò', 'Ç', '\n', 'Ø', 'ø', '\r', 'Å', 'å', //
    'Δ', '_', 'Φ', 'Γ', 'Λ', 'Ω', 'Π', 'Ψ', 'Σ', 'Θ', 'Ξ', ' ', 'Æ', 'æ', 'ß', 'É', //
    ' ', '!', '"', '#', '¤', '%', '&', '\'', '(', ')', '*', '+', ',', '-', '.', '/', //
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', ':', ';', '<', '=', '>', '?', //
    '¡', 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O', //
    'P', 'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', 'Ä', 'Ö', 'Ñ', 'Ü', '§', //
    '¿', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', //
    'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', 'ä', 'ö', 'ñ', 'ü', 'à', //
];

/// Code behind the escape, and its character.
const EXTENSION: [(u8, char); 10] = [
    (0x0A, '\u{c}'),
    (0x14, '^'),
    (0x28, '{'),
    (0x29, '}'),
    (0x2F, '\\'),
    (0x3C, '['),
    (0x3D, '~'),
    (0x3E, ']'),
    (0x40, '|'),
    (0x65, '€'),
];

/// Set in `BY_LATIN1` for a character of the extension table.
const EXTENDED: u8 = 0x80;
/// In `BY_LATIN1` for a character in neither table.
const ABSENT: u8 = 0xFF;

/// U+0000 to U+00FF to septet, so that nearly all of real text costs one look-up.
const BY_LATIN1: [u8; 256] = {
    let mut table = [ABSENT; 256];
    let mut septet = 0;
    while septet < ALPHABET.len() {
        let character = ALPHABET[septet] as usize;
        if character < table.len() && septet != ESC as usize {
            table[character] = septet as u8;
        }
        septet += 1;
    }
    let mut at = 0;
    while at < EXTENSION.len() {
        let character = EXTENSION[at].1 as usize;
        if character < table.len() {
            table[character] = EXTENDED | EXTENSION[at].0;
        }
        at += 1;
    }
    table
};

/// Appends `text` to `out`, one septet per octet; extension characters take two octets.
///
/// # Errors
/// The first character that GSM 03.38 lacks; `out` is then as it was.
pub fn gsm7_encode(text: &str, out: &mut Vec<u8>) -> Result<(), char> {
    let start = out.len();
    out.reserve(text.len());
    for character in text.chars() {
        match code(character) {
            ABSENT => {
                out.truncate(start);
                return Err(character);
            }
            septet if septet & EXTENDED != 0 => out.extend_from_slice(&[ESC, septet & !EXTENDED]),
            septet => out.push(septet),
        }
    }
    Ok(())
}

/// Reads unpacked septets. Every input has a reading: an unknown extension code is the default alphabet's
/// character, a doubled or final escape a space (23.038, 6.2.1.1), and an octet above 0x7F, which no septet can
/// be, U+FFFD.
#[must_use]
pub fn gsm7_decode(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len());
    let mut octets = octets.iter();
    while let Some(&octet) = octets.next() {
        if octet != ESC {
            text.push(plain(octet));
            continue;
        }
        match octets.next() {
            Some(&code) => text.push(extended(code).unwrap_or_else(|| plain(code))),
            None => text.push(' '),
        }
    }
    text
}

/// Septets this character takes: one, two, or `None` when it is in neither table.
#[inline]
pub(super) fn septets(character: char) -> Option<usize> {
    match code(character) {
        ABSENT => None,
        septet if septet & EXTENDED != 0 => Some(2),
        _ => Some(1),
    }
}

#[inline]
fn code(character: char) -> u8 {
    match BY_LATIN1.get(character as usize) {
        Some(code) => *code,
        None => code_beyond_latin1(character),
    }
}

fn code_beyond_latin1(character: char) -> u8 {
    match character {
        '€' => EXTENDED | 0x65,
        'Δ' => 0x10,
        'Φ' => 0x12,
        'Γ' => 0x13,
        'Λ' => 0x14,
        'Ω' => 0x15,
        'Π' => 0x16,
        'Ψ' => 0x17,
        'Σ' => 0x18,
        'Θ' => 0x19,
        'Ξ' => 0x1A,
        _ => ABSENT,
    }
}

fn plain(octet: u8) -> char {
    ALPHABET
        .get(usize::from(octet))
        .copied()
        .unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn extended(code: u8) -> Option<char> {
    EXTENSION
        .iter()
        .find(|(known, _)| *known == code)
        .map(|(_, character)| *character)
}
