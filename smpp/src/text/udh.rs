//! Lives here: the user data header in front of a message (3GPP TS 23.040, 9.2.3.24).
//! Never here: putting received parts together.

/// Octets of the header that [`super::split`] puts before each part: 05 00 03, reference, total, number.
pub const CONCAT_LEN: usize = 6;

const CONCAT_8: u8 = 0x00;
const CONCAT_16: u8 = 0x08;

/// Which part of which message this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Concat {
    /// Common to all parts; 8 or 16 bits on the wire.
    pub reference: u16,
    /// How many parts there are, from 1.
    pub total: u8,
    /// Which one this is, 1 to `total`.
    pub part: u8,
}

/// Divides a message whose `esm_class` has the UDHI bit into its header (without the length octet) and its text.
/// A header longer than the message is no header: all of it is text.
#[must_use]
pub fn split_udh(message: &[u8]) -> (&[u8], &[u8]) {
    message
        .split_first()
        .and_then(|(len, rest)| rest.split_at_checked(usize::from(*len)))
        .unwrap_or((&[], message))
}

/// The concatenation element of a header as [`split_udh`] returns it; `None` when there is none or its numbers
/// contradict each other.
#[must_use]
pub fn concat(mut header: &[u8]) -> Option<Concat> {
    while let [element, len, rest @ ..] = header {
        let (data, behind) = rest.split_at_checked(usize::from(*len))?;
        let found = match (*element, data) {
            (CONCAT_8, [reference, total, part]) => Some((u16::from(*reference), *total, *part)),
            (CONCAT_16, [high, low, total, part]) => {
                Some((u16::from_be_bytes([*high, *low]), *total, *part))
            }
            _ => None,
        };
        if let Some((reference, total, part)) = found {
            return (part >= 1 && part <= total).then_some(Concat {
                reference,
                total,
                part,
            });
        }
        header = behind;
    }
    None
}

/// The header for one part, with an 8-bit reference.
pub(super) const fn concat_header(reference: u8, total: u8, part: u8) -> [u8; CONCAT_LEN] {
    [5, CONCAT_8, 3, reference, total, part]
}
