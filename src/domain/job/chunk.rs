//! Lives here: the form in which recipients of a job are kept until their turn comes, and what is left
//! of it when one of them is erased. Pure.
//! Never here: jobs (`job`), rows.

use super::{CHUNK_MAX, Why};
use crate::domain::credits::Credits;
use crate::domain::phone::Msisdn;

/// A recipient as kept in a chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// To be sent to.
    Waits(Waits<'a>),
    /// Has a message: those of a chunk follow one another in this order.
    Sent,
    /// Is not sent to.
    Refused {
        /// The number as typed, at most [`TYPED_MAX`] octets of it.
        to: &'a str,
        /// Why.
        why: Why,
    },
}

/// A recipient that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waits<'a> {
    /// Who.
    pub to: Msisdn,
    /// What is held for it.
    pub cost: Credits,
    /// The client's own name for the message.
    pub client_ref: Option<&'a str>,
    /// The template's fields, in its order.
    pub values: Vec<Option<&'a str>>,
}

/// Octets that are kept of what was typed for a number that is none.
pub const TYPED_MAX: usize = 64;

const WAITS: u8 = 0;
const SENT: u8 = 1;
const REFUSED: u8 = 2;

/// Adds a recipient to a chunk.
pub fn pack(entry: &Entry<'_>, chunk: &mut Vec<u8>) {
    match entry {
        Entry::Waits(waits) => {
            chunk.push(WAITS);
            text(waits.to.digits(), chunk);
            number(waits.cost.0.cast_unsigned(), chunk);
            optional(waits.client_ref, chunk);
            number(waits.values.len() as u64, chunk);
            for value in &waits.values {
                optional(*value, chunk);
            }
        }
        Entry::Sent => chunk.push(SENT),
        Entry::Refused { to, why } => {
            chunk.extend([REFUSED, *why as u8]);
            text(&to[..to.floor_char_boundary(TYPED_MAX)], chunk);
        }
    }
}

/// Reads a chunk's recipients, in their order; `None`: it is not one that [`pack`] has written.
pub fn unpack(mut chunk: &[u8]) -> Option<Vec<Entry<'_>>> {
    let mut entries = Vec::with_capacity(CHUNK_MAX);
    while let Some((kind, rest)) = chunk.split_first() {
        chunk = rest;
        entries.push(match *kind {
            WAITS => {
                let to = Msisdn::from_digits(read_text(&mut chunk)?).ok()?;
                let cost = Credits(read_number(&mut chunk)?.cast_signed());
                let client_ref = read_optional(&mut chunk)?;
                let fields = read_number(&mut chunk)?;
                let values = (0..fields).map(|_| read_optional(&mut chunk));
                Entry::Waits(Waits {
                    to,
                    cost,
                    client_ref,
                    values: values.collect::<Option<_>>()?,
                })
            }
            SENT => Entry::Sent,
            REFUSED => {
                let (why, rest) = chunk.split_first()?;
                chunk = rest;
                Entry::Refused {
                    why: *Why::ALL.get(usize::from(*why))?,
                    to: read_text(&mut chunk)?,
                }
            }
            _ => return None,
        });
    }
    Some(entries)
}

/// A chunk from which a number has been erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Without {
    /// What is left to be kept.
    pub body: Vec<u8>,
    /// Recipients that had the number.
    pub recipients: u32,
    /// Those of them that waited: nothing is sent to them.
    pub refused: u32,
    /// What was held for these.
    pub cost: Credits,
}

/// Takes a number out of a chunk, with what was to be said to it; `None`: it is not a chunk.
pub fn without(chunk: &[u8], number: &Msisdn) -> Option<Without> {
    let mut left = Without {
        body: Vec::with_capacity(chunk.len()),
        recipients: 0,
        refused: 0,
        cost: Credits::ZERO,
    };
    let erased = Msisdn::ERASED.to_string();
    for entry in unpack(chunk)? {
        let entry = match entry {
            Entry::Waits(waits) if waits.to == *number => {
                left.refused += 1;
                left.cost += waits.cost;
                let why = Why::Erased;
                Entry::Refused { to: &erased, why }
            }
            Entry::Refused { to, why } if number.is_in(to) => Entry::Refused { to: &erased, why },
            other @ (Entry::Waits(_) | Entry::Sent | Entry::Refused { .. }) => {
                pack(&other, &mut left.body);
                continue;
            }
        };
        left.recipients += 1;
        pack(&entry, &mut left.body);
    }
    Some(left)
}

/// Seven bits an octet, the lowest first.
fn number(mut value: u64, chunk: &mut Vec<u8>) {
    while value >= 0x80 {
        chunk.push(value as u8 | 0x80);
        value >>= 7;
    }
    chunk.push(value as u8);
}

fn text(text: &str, chunk: &mut Vec<u8>) {
    number(text.len() as u64, chunk);
    chunk.extend(text.as_bytes());
}

/// Its length and one, or nought.
fn optional(value: Option<&str>, chunk: &mut Vec<u8>) {
    number(value.map_or(0, |value| value.len() as u64 + 1), chunk);
    chunk.extend(value.unwrap_or_default().as_bytes());
}

fn read_number(chunk: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (octet, rest) = chunk.split_first()?;
        *chunk = rest;
        value |= u64::from(octet & 0x7f) << shift;
        if octet & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn take<'a>(chunk: &mut &'a [u8], length: u64) -> Option<&'a str> {
    let (text, rest) = chunk.split_at_checked(usize::try_from(length).ok()?)?;
    *chunk = rest;
    std::str::from_utf8(text).ok()
}

fn read_text<'a>(chunk: &mut &'a [u8]) -> Option<&'a str> {
    let length = read_number(chunk)?;
    take(chunk, length)
}

fn read_optional<'a>(chunk: &mut &'a [u8]) -> Option<Option<&'a str>> {
    match read_number(chunk)? {
        0 => Some(None),
        length => take(chunk, length - 1).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entries<'a>(texts: &'a [(String, Option<String>)]) -> Vec<Entry<'a>> {
        let entry = |(index, (to, value)): (usize, &'a (String, Option<String>))| match index % 3 {
            0 => Entry::Sent,
            1 => Entry::Refused {
                to,
                why: Why::ALL[index % Why::ALL.len()],
            },
            _ => Entry::Waits(Waits {
                to: Msisdn::from_digits("255712345678").unwrap(),
                cost: Credits(index as i64 * 1_000_000),
                client_ref: value.as_deref().filter(|_| index % 2 == 0),
                values: vec![value.as_deref(), Some(to), None],
            }),
        };
        texts.iter().enumerate().map(entry).collect()
    }

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked_as_it_was(
            texts in proptest::collection::vec((".{0,16}", proptest::option::of(".{0,200}")), 0..12)
        ) {
            let entries = entries(&texts);
            let mut chunk = Vec::new();
            entries.iter().for_each(|entry| pack(entry, &mut chunk));
            prop_assert_eq!(unpack(&chunk), Some(entries));
        }

        #[test]
        fn other_octets_are_no_chunk_or_one_but_never_a_panic(
            octets in proptest::collection::vec(any::<u8>(), 0..64)
        ) {
            unpack(&octets);
        }
    }

    #[test]
    fn a_number_is_taken_out_of_a_chunk_and_nobody_else() {
        let waits = |to: &str, value: &'static str| {
            Entry::Waits(Waits {
                to: Msisdn::from_digits(to).unwrap(),
                cost: Credits(7),
                client_ref: Some("r"),
                values: vec![Some(value)],
            })
        };
        let refused = |to, why| Entry::Refused { to, why };
        let entries = [
            Entry::Sent,
            waits("255712345678", "a"),
            waits("255712345679", "b"),
            refused("0712 345 678", Why::Unroutable),
            refused("0712 345 679", Why::Unroutable),
        ];
        let mut chunk = Vec::new();
        entries.iter().for_each(|entry| pack(entry, &mut chunk));
        let number = Msisdn::from_digits("255712345678").unwrap();
        let left = without(&chunk, &number).unwrap();
        let [sent, _, other, _, typed] = entries;
        let expected = [
            sent,
            refused("[erased]", Why::Erased),
            other,
            refused("[erased]", Why::Unroutable),
            typed,
        ];
        assert_eq!(unpack(&left.body).unwrap(), expected);
        assert_eq!(
            (left.recipients, left.refused, left.cost),
            (2, 1, Credits(7))
        );
        let again = without(&left.body, &number).unwrap();
        assert_eq!((again.recipients, again.body), (0, left.body));
        assert_eq!(without(b"\x09", &number), None);
    }

    #[test]
    fn what_was_typed_is_kept_in_bounds() {
        let (long, mut chunk) = ("é".repeat(200), Vec::new());
        pack(
            &Entry::Refused {
                to: &long,
                why: Why::Number,
            },
            &mut chunk,
        );
        let entries = unpack(&chunk).unwrap();
        let [Entry::Refused { to, .. }] = entries[..] else {
            panic!("{entries:?}")
        };
        assert_eq!(to, "é".repeat(TYPED_MAX / 2));
    }
}
