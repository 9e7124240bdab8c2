//! Lives here: septets packed into octets, seven bits each (3GPP TS 23.038, 6.1.2).
//! Never here: which characters the septets are (`gsm7`).

use super::gsm7::CR;

/// Bits between a user data header and the first septet, which starts on a septet boundary counted from the header's
/// first bit (23.040, 9.2.3.24): 1 behind a header of six octets, 0 behind one of seven or none. `header_len` counts
/// the length octet too.
#[must_use]
pub const fn fill_bits(header_len: usize) -> usize {
    (7 - header_len * 8 % 7) % 7
}

/// Appends the octets of these septets as they follow a header of `header_len` octets (0 without header). The
/// eighth bits are ignored.
///
/// Seven spare bits in the last octet would read as `@`, so they become a carriage return, and a text whose own
/// carriage return ends an octet gets a second one, which changes nothing on a display (23.038, 6.1.2.3.1; SMPP
/// counts octets, not septets, which is what makes the rule needed here).
pub fn pack(septets: &[u8], header_len: usize, out: &mut Vec<u8>) {
    let Some(last) = septets.last() else {
        return;
    };
    out.reserve(septets.len());
    let mut bits: u32 = 0;
    let mut held = fill_bits(header_len);
    for septet in septets {
        bits |= u32::from(septet & 0x7F) << held;
        held += 7;
        if held >= 8 {
            out.push(bits as u8);
            bits >>= 8;
            held -= 8;
        }
    }
    match held {
        0 if *last == CR => out.push(CR),
        0 => {}
        1 => out.push(bits as u8 | CR << 1),
        _ => out.push(bits as u8),
    }
}

/// The septets in these octets, which follow a header of `header_len` octets. A carriage return that ends the last
/// octet is filler and left out.
#[must_use]
pub fn unpack(octets: &[u8], header_len: usize) -> Vec<u8> {
    let mut septets = Vec::with_capacity(octets.len() * 8 / 7);
    let mut bits: u32 = 0;
    let mut held = 0;
    let mut fill = fill_bits(header_len);
    for octet in octets {
        bits |= u32::from(*octet) << held;
        held += 8;
        bits >>= fill;
        held -= fill;
        fill = 0;
        while held >= 7 {
            septets.push(bits as u8 & 0x7F);
            bits >>= 7;
            held -= 7;
        }
    }
    if held == 0 && septets.last() == Some(&CR) {
        septets.pop();
    }
    septets
}
