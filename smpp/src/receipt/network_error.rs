//! Lives here: the `network_error_code` TLV in the forms carriers write.
//! Never here: what a network's code means.

/// `network_error_code` (SMPP 5.3.2.31).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkError {
    /// 1 ANSI-136, 2 IS-95, 3 GSM, 4 to 8 from 5.0; 0 when the carrier wrote only a number.
    pub kind: u8,
    /// The network's code.
    pub code: u32,
}

impl NetworkError {
    /// Reads type and 16-bit code, and what carriers write in its place: one to six ASCII digits, with or without
    /// NUL; a code of two octets without type; four octets with type and three digits or a 24-bit code. `None`
    /// for all else.
    #[must_use]
    pub fn from_octets(octets: &[u8]) -> Option<Self> {
        // No type is an ASCII digit, so that digits cannot be mistaken for type and code.
        let text = octets.strip_suffix(b"\0").unwrap_or(octets);
        if let Some(code) = digits(text) {
            return Some(Self { kind: 0, code });
        }
        Some(match *octets {
            [high, low] => Self {
                kind: 0,
                code: u32::from(u16::from_be_bytes([high, low])),
            },
            [kind, high, low] => Self {
                kind,
                code: u32::from(u16::from_be_bytes([high, low])),
            },
            [kind, a, b, c] => Self {
                kind,
                code: digits(&[a, b, c]).unwrap_or(u32::from_be_bytes([0, a, b, c])),
            },
            _ => return None,
        })
    }

    /// Type and 16-bit code, as the specification has it; `None` when the code needs more.
    #[must_use]
    pub fn to_octets(self) -> Option<[u8; 3]> {
        let [high, low] = u16::try_from(self.code).ok()?.to_be_bytes();
        Some([self.kind, high, low])
    }
}

fn digits(octets: &[u8]) -> Option<u32> {
    if octets.is_empty() || octets.len() > 6 {
        return None;
    }
    octets.iter().try_fold(0, |value, octet| {
        octet
            .is_ascii_digit()
            .then(|| value * 10 + u32::from(octet - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::NetworkError;

    #[test]
    fn trap_13_network_error_codes_are_read_in_all_forms() {
        let gsm = |code| Some(NetworkError { kind: 3, code });
        let bare = |code| Some(NetworkError { kind: 0, code });
        for (octets, expected) in [
            (&b"\x03\x01\x02"[..], gsm(0x0102)),
            (b"034", bare(34)),
            (b"034\0", bare(34)),
            (b"0034", bare(34)),
            (b"7", bare(7)),
            (b"\x03034", gsm(34)),
            (b"\x03\0\x01\x02", gsm(0x0102)),
            (b"\0\x22", bare(34)),
            (b"\x03", None),
            (b"\x03\0\0\0\x22", None),
            (b"", None),
        ] {
            assert_eq!(NetworkError::from_octets(octets), expected, "{octets:?}");
        }
        assert_eq!(
            gsm(0x0102).and_then(NetworkError::to_octets),
            Some([3, 1, 2])
        );
        assert_eq!(gsm(0x1_0000).and_then(NetworkError::to_octets), None);
    }
}
