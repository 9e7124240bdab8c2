//! Lives here: the marker that ties a REST request to the submit_sm it became.
//! Never here: what is done with a match (that is `ledger`).
//!
//! A marked text begins with `#` and nine decimal digits, `#000123456 `, so that the simulator can read the index
//! with a dozen instructions and no look-up.

/// Octets of a marker: `#` and nine digits.
pub const MARKER_LEN: usize = 10;

/// Largest index a marker can carry.
pub const MARKER_MAX: u64 = 999_999_999;

/// Writes `#` and the nine digits of `index` over the first [`MARKER_LEN`] octets of `out`.
///
/// # Panics
/// When `out` is shorter than [`MARKER_LEN`]; the caller's own template has the wrong shape then.
pub fn write_marker(index: u64, out: &mut [u8]) {
    out[0] = b'#';
    write_digits(index, &mut out[1..MARKER_LEN]);
}

/// Writes the lowest decimal digits of `value` so that they fill `out`, with leading zeros.
pub fn write_digits(value: u64, out: &mut [u8]) {
    let mut rest = value;
    for octet in out.iter_mut().rev() {
        *octet = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
    }
}

/// The index of a marked text in GSM 03.38 or ASCII; `None` when the text does not begin with a marker.
pub fn read_marker(text: &[u8]) -> Option<u64> {
    let digits = text.strip_prefix(b"#")?.get(..MARKER_LEN - 1)?;
    digits.iter().try_fold(0u64, |sum, octet| {
        octet
            .is_ascii_digit()
            .then(|| sum * 10 + u64::from(octet - b'0'))
    })
}

/// The index of a marked text in UCS-2 (UTF-16BE).
pub fn read_marker_ucs2(text: &[u8]) -> Option<u64> {
    let mut narrow = [0u8; MARKER_LEN];
    let wide = text.get(..MARKER_LEN * 2)?;
    for (slot, pair) in narrow.iter_mut().zip(wide.chunks_exact(2)) {
        if pair[0] != 0 {
            return None;
        }
        *slot = pair[1];
    }
    read_marker(&narrow)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_marker_is_read_back() {
        for index in [0, 7, 123_456, MARKER_MAX] {
            let mut text = *b"__________ rest";
            write_marker(index, &mut text);
            assert_eq!(read_marker(&text), Some(index));
            assert!(text.ends_with(b" rest"));
        }
    }

    #[test]
    fn a_ucs2_text_yields_its_marker() {
        let text: Vec<u8> = "#000000042 habari ₦"
            .encode_utf16()
            .flat_map(u16::to_be_bytes)
            .collect();
        assert_eq!(read_marker_ucs2(&text), Some(42));
    }

    #[test]
    fn a_text_without_a_marker_yields_nothing() {
        for text in [
            &b""[..],
            b"#12",
            b"hello world and more",
            b"#12345678x and",
            b"0123456789",
        ] {
            assert_eq!(read_marker(text), None);
        }
        assert_eq!(read_marker_ucs2(b"\x04\x10\0#"), None);
    }
}
