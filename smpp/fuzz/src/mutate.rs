//! Lives here: making a new input from known ones.
//! Never here: judging what a target does with it.

use crate::random::SplitMix64;

/// Inputs never grow beyond this many octets.
const LEN_MAX: usize = 4096;

/// Most changes made to one input.
const CHANGES_MAX: usize = 5;

/// Octets that decide something somewhere: limits of lengths, escapes, digits, bits of classes and codings.
const OCTETS: &[u8] = &[
    0x00, 0x01, 0x02, 0x04, 0x05, 0x08, 0x0F, 0x10, 0x11, 0x1B, 0x20, 0x30, 0x39, 0x3A, 0x40, 0x44,
    0x7F, 0x80, 0xD8, 0xDC, 0xFE, 0xFF,
];

/// Lengths around every limit.
const LENGTHS: &[u32] = &[
    0,
    1,
    2,
    3,
    4,
    15,
    16,
    17,
    21,
    64,
    65,
    140,
    160,
    254,
    255,
    256,
    4095,
    0xFFFE,
    0xFFFF,
    0x0001_0000,
    0x00FF_FFFF,
    0x0100_0000,
    0x0100_0001,
    0x7FFF_FFFF,
    0x8000_0000,
    0xFFFF_FFFF,
];

/// What is worth having in an input: TLV headers, user data headers, words of receipts, times.
const WORDS: &[&[u8]] = &[
    b"\x00\x1E\x00\x05",
    b"\x04\x24\x00\x02",
    b"\x04\x27\x00\x01\x02",
    b"\x04\x23\x00\x03",
    b"\x02\x10\x00\x01\x34",
    b"\x02\x0C\x00\x02\x00\x01",
    b"\x13\x0C\x00\x00",
    b"\x14\x01\x00\x02",
    b"\x06\x06\x00\x02",
    b"\x05\x00\x03\x01\x02\x01",
    b"\x06\x08\x04\x01\x01\x02\x02",
    b"\x03\x24\x01\x01",
    b"\x03\x25\x01\x02",
    b"\x1B\x65",
    b"\x1B\x1B",
    b"\xD8\x3D\xDE\x00",
    b"\xFE\xFF",
    b"id:",
    b"stat:",
    b"err:",
    b"submit date:",
    b"done date:",
    b"text:",
    b"DELIVRD",
    b" ",
    b"261121102530",
    b"20261121102530",
    b"000001000000000R",
    b"261121102530004+",
];

/// One to five changes to one of `seeds`, of which there must be some; `words` are those of the target.
#[must_use]
pub(crate) fn mutate(
    random: &mut SplitMix64,
    seeds: &[Vec<u8>],
    words: &[&'static [u8]],
) -> Vec<u8> {
    let mut data = random.pick(seeds).clone();
    for _ in 0..=random.below(CHANGES_MAX) {
        // Without words of its own an input is changed exactly as it always was.
        if !words.is_empty() && random.below(3) == 0 {
            let at = random.below(data.len() + 1);
            insert(&mut data, at, random.pick::<&[u8]>(words));
        } else {
            change(random, seeds, &mut data);
        }
    }
    data.truncate(LEN_MAX);
    data
}

fn change(random: &mut SplitMix64, seeds: &[Vec<u8>], data: &mut Vec<u8>) {
    let at = random.below(data.len() + 1);
    match random.below(12) {
        0 | 1 => {
            if let Some(octet) = data.get_mut(at) {
                *octet ^= 1 << random.below(8);
            }
        }
        2 => {
            if let Some(octet) = data.get_mut(at) {
                *octet = *random.pick(OCTETS);
            }
        }
        3 => {
            if let Some(octet) = data.get_mut(at) {
                *octet = random.next() as u8;
            }
        }
        4 => data.truncate(at),
        5 => {
            let end = (at + 1 + random.below(8)).min(data.len());
            data.drain(at.min(end)..end);
        }
        6 => {
            let end = (at + 1 + random.below(64)).min(data.len());
            let again = data[at.min(end)..end].to_vec();
            insert(data, at, &again);
        }
        7 => insert(data, at, random.pick::<&[u8]>(WORDS)),
        8 => splice(random, seeds, data, at),
        9 => {
            let length = (*random.pick(LENGTHS) as u16).to_be_bytes();
            overwrite(data, at, &length);
        }
        10 => {
            // Position 0 holds command_length in what a peer sends.
            let at = if random.below(2) == 0 { 0 } else { at };
            overwrite(data, at, &random.pick(LENGTHS).to_be_bytes());
        }
        _ => {
            // Mends command_length, so that the changes behind it are read at all.
            let length = data.len() as u32;
            overwrite(data, 0, &length.to_be_bytes());
        }
    }
}

fn insert(data: &mut Vec<u8>, at: usize, octets: &[u8]) {
    data.splice(at..at, octets.iter().copied());
}

fn overwrite(data: &mut [u8], at: usize, octets: &[u8]) {
    if let Some(place) = data.get_mut(at..at + octets.len()) {
        place.copy_from_slice(octets);
    }
}

/// Goes on with the end of another seed: another tail of the same PDU, or the next PDU of a stream.
fn splice(random: &mut SplitMix64, seeds: &[Vec<u8>], data: &mut Vec<u8>, at: usize) {
    let other = random.pick(seeds);
    if random.below(2) == 0 {
        data.extend_from_slice(other);
    } else {
        data.truncate(at);
        data.extend_from_slice(&other[random.below(other.len() + 1)..]);
    }
}

#[cfg(test)]
mod tests {
    use super::{LEN_MAX, mutate};
    use crate::random::SplitMix64;

    #[test]
    fn the_same_seed_makes_the_same_inputs_within_the_limit() {
        let seeds = [b"abc".to_vec(), Vec::new(), vec![7; LEN_MAX]];
        let inputs = |seed| {
            let mut random = SplitMix64::new(seed);
            (0..2000)
                .map(|_| mutate(&mut random, &seeds, &[b"word"]))
                .collect::<Vec<_>>()
        };
        let first = inputs(1);
        assert_eq!(first, inputs(1));
        assert_ne!(first, inputs(2));
        assert!(first.iter().all(|input| input.len() <= LEN_MAX));
    }
}
