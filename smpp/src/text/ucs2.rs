//! Lives here: UCS-2 as peers use it, which is UTF-16 big endian without byte order mark.
//! Never here: segmentation.

/// Appends `text` to `out`, two octets per code unit, high octet first.
pub fn ucs2_encode(text: &str, out: &mut Vec<u8>) {
    out.reserve(text.len());
    for unit in text.encode_utf16() {
        out.extend_from_slice(&unit.to_be_bytes());
    }
}

/// Reads code units; a lone surrogate and a last odd octet become U+FFFD.
#[must_use]
pub fn ucs2_decode(octets: &[u8]) -> String {
    let (units, odd) = octets.as_chunks::<2>();
    let units = units.iter().map(|unit| u16::from_be_bytes(*unit));
    let mut text: String = char::decode_utf16(units)
        .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect();
    if !odd.is_empty() {
        text.push(char::REPLACEMENT_CHARACTER);
    }
    text
}
