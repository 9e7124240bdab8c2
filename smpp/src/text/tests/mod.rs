//! Lives here: the tests of the text module, one file per concern, and the texts they share.
//! Never here: anything else.

mod alphabets;
mod choosing;
mod decoding;
mod reassembling;
mod segmentation;

use proptest::prelude::{Just, Strategy, any, prop_oneof};

use super::{Encoding, Gsm7, Locking, Method, Packing, Single};

const LOCKING: [Locking; 3] = [Locking::Default, Locking::Turkish, Locking::Portuguese];
const SINGLE: [Single; 4] = [
    Single::Default,
    Single::Turkish,
    Single::Spanish,
    Single::Portuguese,
];

fn tables() -> impl Strategy<Value = Gsm7> {
    (0..LOCKING.len(), 0..SINGLE.len()).prop_map(|(locking, single)| Gsm7 {
        locking: LOCKING[locking],
        single: SINGLE[single],
    })
}

fn encoding() -> impl Strategy<Value = Encoding> {
    prop_oneof![
        4 => (tables(), any::<bool>()).prop_map(|(tables, packed)| {
            Encoding::Gsm7(tables, if packed { Packing::Packed } else { Packing::Unpacked })
        }),
        1 => Just(Encoding::Ascii),
        1 => Just(Encoding::Latin1),
        1 => Just(Encoding::Ucs2),
    ]
}

fn method() -> impl Strategy<Value = Method> {
    prop_oneof![
        any::<u8>().prop_map(Method::Udh8),
        any::<u16>().prop_map(Method::Udh16),
        any::<u16>().prop_map(Method::Sar),
        Just(Method::Payload),
    ]
}

/// Every character of these tables.
fn repertoire(tables: Gsm7) -> Vec<char> {
    let locking = (0u8..128).filter(|septet| *septet != 0x1B);
    let single = (0u8..128).filter(|code| !matches!(code, 0x0D | 0x1B));
    let locking = locking.map(|septet| tables.decode(&[septet]));
    let single = single.map(|code| tables.decode(&[0x1B, code]));
    locking
        .chain(single)
        .flat_map(|text| text.chars().collect::<Vec<_>>())
        .collect()
}

/// An encoding and a text that it holds, of up to this many characters.
fn encoded_text(max: usize) -> impl Strategy<Value = (Encoding, String)> {
    (encoding(), proptest::collection::vec(any::<u32>(), 0..max)).prop_map(|(encoding, seeds)| {
        let alphabet: Vec<char> = match encoding {
            Encoding::Gsm7(tables, _) => repertoire(tables),
            Encoding::Ascii => (0..=0x7F).map(char::from).collect(),
            Encoding::Latin1 => (0..=0xFF).map(char::from).collect(),
            Encoding::Ucs2 => "aж😀ẹ\u{fffd}\u{10ffff}".chars().collect(),
        };
        let pick = |seed: u32| alphabet[seed as usize % alphabet.len()];
        (encoding, seeds.into_iter().map(pick).collect())
    })
}
