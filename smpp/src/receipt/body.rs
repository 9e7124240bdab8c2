//! Lives here: the characters of a receipt's body, whatever its octets are and whatever `data_coding` calls them.
//! Never here: fields.

use std::borrow::Cow;

use crate::text::ucs2_decode;

/// Octets of a body that are read: the most that `message_payload` can hold. Longer ones are cut.
const MAX_LEN: usize = 65_535;

/// Octets by which a body shows whether its characters are of one octet or two.
const SAMPLE: usize = 16;

/// GSM 03.38's underscore; in ASCII a control character that no carrier writes.
const GSM_UNDERSCORE: u8 = 0x11;

/// Reads a body. Receipts are written in ASCII, whatever the alphabet around it, so that `data_coding` adds
/// nothing but the quoted message's letters, and is sometimes wrong in either direction: it is not asked. ASCII
/// and UTF-8 are borrowed, two-octet characters of either order are found by their zeros, and what else there is
/// is Latin-1. Control characters (GSM's 0x00 and 0x1B in a quotation) stay.
pub(super) fn decode(octets: &[u8]) -> Cow<'_, str> {
    let octets = octets.get(..MAX_LEN).unwrap_or(octets);
    match wide(octets) {
        Some(Order::BigEndian) => ucs2_decode(octets).into(),
        Some(Order::LittleEndian) => {
            let swapped: Vec<u8> = octets
                .as_chunks::<2>()
                .0
                .iter()
                .flat_map(|[low, high]| [*high, *low])
                .collect();
            ucs2_decode(&swapped).into()
        }
        None => narrow(octets),
    }
}

enum Order {
    BigEndian,
    LittleEndian,
}

/// Whether at least half of the first characters have an octet that is zero on the same side. In characters of
/// one octet a zero is `@` or a stray terminator, and never stands at every second place.
fn wide(octets: &[u8]) -> Option<Order> {
    let (pairs, _) = octets[..octets.len().min(SAMPLE)].as_chunks::<2>();
    let count = |matches: fn(&[u8; 2]) -> bool| pairs.iter().filter(|pair| matches(pair)).count();
    if pairs.is_empty() {
        return None;
    }
    if count(|[high, low]| *high == 0 && *low != 0) * 2 >= pairs.len() {
        return Some(Order::BigEndian);
    }
    (count(|[low, high]| *low != 0 && *high == 0) * 2 >= pairs.len()).then_some(Order::LittleEndian)
}

/// Reads characters of one octet.
pub(super) fn narrow(octets: &[u8]) -> Cow<'_, str> {
    let latin1 = |octet: &u8| match *octet {
        GSM_UNDERSCORE => '_',
        octet => char::from(octet),
    };
    match str::from_utf8(octets) {
        Ok(text) if !octets.contains(&GSM_UNDERSCORE) => Cow::Borrowed(text),
        Ok(text) => text.replace(char::from(GSM_UNDERSCORE), "_").into(),
        Err(_) => octets.iter().map(latin1).collect::<String>().into(),
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::decode;

    #[test]
    fn ordinary_bodies_are_borrowed() {
        for text in [
            "id:1 stat:DELIVRD",
            "id:1 text:\0\u{1b}x",
            "id:1 text:₦",
            "",
        ] {
            assert!(matches!(decode(text.as_bytes()), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn characters_of_two_octets_are_found_in_both_orders() {
        let text = "id:1 stat:DELIVRD text:₦";
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (mark, octets) in [
            ("", big.clone()),
            ("", little.clone()),
            ("\u{feff}", [b"\xfe\xff", &big[..]].concat()),
            ("\u{feff}", [b"\xff\xfe", &little[..]].concat()),
        ] {
            assert_eq!(decode(&octets), format!("{mark}{text}"));
        }
    }

    #[test]
    fn other_octets_are_latin1_and_gsm_underscores_are_seen() {
        assert_eq!(decode(b"id:1 text:caf\xe9"), "id:1 text:café");
        assert_eq!(decode(b"id:a\x11b"), "id:a_b");
        assert_eq!(decode(b"id:a\x11b text:\xe9"), "id:a_b text:é");
    }
}
