//! Lives here: the ported numbers: millions of numbers that have left the network of their prefix,
//! packed into eight octets each.
//! Never here: the file they come from (`ingest::ported`).

use std::cmp::Ordering;
use std::fmt;

use crate::domain::phone::Msisdn;

/// Bits of a row that name the network; the number, at most 15 digits (50 bits), stands above.
const NETWORK_BITS: u32 = 14;
/// Networks that a row can name.
pub const NETWORKS_MAX: usize = 1 << NETWORK_BITS;
/// Rows, or entries, under one entry of the level above: two cache lines.
const STRIDE: usize = 16;
/// A level of so many entries (8 KiB) needs none above it.
const TOP_MAX: usize = 1024;

/// Which network each ported number belongs to now: a static search tree. Of five million rows
/// (40 MB) only the last of its four levels is not in the processor's caches, so that a look-up
/// waits for memory about once; a plain binary search does a dozen times.
#[derive(Clone, Default)]
pub struct Overlay {
    /// Sorted.
    rows: Box<[u64]>,
    /// Each 16th entry of the level below; the lowest first, which is that of the rows.
    levels: Vec<Box<[u64]>>,
}

impl Overlay {
    /// Packs one row.
    pub const fn row(number: Msisdn, network: u16) -> u64 {
        number.value() << NETWORK_BITS | network as u64
    }

    /// Puts rows, made by [`Overlay::row`], in order.
    ///
    /// # Errors
    /// The first number that stands twice.
    pub fn new(mut rows: Vec<u64>) -> Result<Self, u64> {
        rows.sort_unstable();
        let number = |row: u64| row >> NETWORK_BITS;
        if let Some(pair) = rows
            .windows(2)
            .find(|pair| number(pair[0]) == number(pair[1]))
        {
            return Err(number(pair[0]));
        }
        let rows: Box<[u64]> = rows.into();
        let mut levels: Vec<Box<[u64]>> = Vec::new();
        loop {
            let below = levels.last().unwrap_or(&rows);
            if below.len() <= TOP_MAX {
                return Ok(Self { rows, levels });
            }
            let level = below.iter().step_by(STRIDE).copied().collect();
            levels.push(level);
        }
    }

    /// The index of the network that a number has been ported to.
    pub fn network(&self, number: Msisdn) -> Option<usize> {
        let from = number.value() << NETWORK_BITS;
        // How many entries of the level above lie before the number; at the top, a bound.
        let mut before = None;
        for level in self.levels.iter().rev().chain([&self.rows]) {
            let begin = before.map_or(0, |before: usize| before.saturating_sub(1) * STRIDE);
            let end = match before {
                None => level.len(),
                Some(_) => level.len().min(begin + STRIDE),
            };
            let stretch = level.get(begin..end)?;
            before = Some(begin + stretch.partition_point(|entry| *entry < from));
        }
        let row = *self.rows.get(before?)?;
        (row >> NETWORK_BITS == number.value())
            .then_some((row & (NETWORKS_MAX as u64 - 1)) as usize)
    }

    /// How a newer overlay differs: numbers added, removed, and with another network.
    pub fn difference(&self, newer: &Self) -> (usize, usize, usize) {
        let number = |row: &u64| *row >> NETWORK_BITS;
        let (mut mine, mut theirs) = (self.rows.iter().peekable(), newer.rows.iter().peekable());
        let (mut added, mut removed, mut moved) = (0, 0, 0);
        loop {
            match (mine.peek(), theirs.peek()) {
                (None, None) => return (added, removed, moved),
                (Some(_), None) => {
                    removed += 1;
                    mine.next();
                }
                (None, Some(_)) => {
                    added += 1;
                    theirs.next();
                }
                (Some(one), Some(other)) => match number(one).cmp(&number(other)) {
                    Ordering::Less => {
                        removed += 1;
                        mine.next();
                    }
                    Ordering::Greater => {
                        added += 1;
                        theirs.next();
                    }
                    Ordering::Equal => {
                        moved += usize::from(one != other);
                        mine.next();
                        theirs.next();
                    }
                },
            }
        }
    }

    /// How many numbers.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl fmt::Debug for Overlay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Overlay({} rows)", self.rows.len())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::{prop_assert_eq, proptest};

    use super::*;

    fn number(value: u64) -> Msisdn {
        Msisdn::from_digits(&value.to_string()).unwrap()
    }

    #[test]
    fn a_number_that_stands_twice_is_named() {
        let rows = [255_712_345_678, 255_712_345_679, 255_712_345_678];
        let rows = rows
            .iter()
            .zip(0..)
            .map(|(value, network)| Overlay::row(number(*value), network))
            .collect();
        assert_eq!(Overlay::new(rows).unwrap_err(), 255_712_345_678);
    }

    #[test]
    fn the_difference_counts_what_came_went_and_moved() {
        let overlay = |rows: &[(u64, u16)]| {
            let rows = rows.iter();
            Overlay::new(
                rows.map(|(value, network)| Overlay::row(number(*value), *network))
                    .collect(),
            )
            .unwrap()
        };
        let old = overlay(&[
            (255_700_000_001, 1),
            (255_700_000_002, 1),
            (255_700_000_004, 1),
        ]);
        let new = overlay(&[
            (255_700_000_002, 2),
            (255_700_000_003, 1),
            (255_700_000_004, 1),
            (255_700_000_005, 1),
        ]);
        assert_eq!(old.difference(&new), (2, 1, 1));
        assert_eq!(old.difference(&old), (0, 0, 0));
        assert_eq!(Overlay::default().difference(&new), (4, 0, 0));
    }

    #[test]
    fn rows_are_found_through_all_levels() {
        let all = 255_700_000_000..255_700_300_000_u64;
        let packed = all
            .clone()
            .step_by(3)
            .map(|value| Overlay::row(number(value), 7));
        let overlay = Overlay::new(packed.collect()).unwrap();
        assert_eq!(overlay.levels.len(), 2);
        for value in all {
            let expected = (value % 3 == 255_700_000_000 % 3).then_some(7);
            assert_eq!(overlay.network(number(value)), expected, "{value}");
        }
        assert_eq!(overlay.network(number(999_999_999_999)), None);
        assert_eq!(overlay.network(number(1_000_000)), None);
    }

    proptest! {
        #[test]
        fn every_row_is_found_and_nothing_else(
            rows in proptest::collection::btree_map(255_700_000_000_u64..255_700_003_000, 0_u16..16_384, 0..1_500),
        ) {
            let rows: BTreeMap<u64, u16> = rows;
            let packed = rows
                .iter()
                .rev()
                .map(|(value, network)| Overlay::row(number(*value), *network))
                .collect();
            let overlay = Overlay::new(packed).unwrap();
            prop_assert_eq!(overlay.len(), rows.len());
            for value in 255_699_999_999_u64..255_700_003_001 {
                let expected = rows.get(&value).map(|network| usize::from(*network));
                prop_assert_eq!(overlay.network(number(value)), expected, "{}", value);
            }
        }

        #[test]
        fn the_longest_numbers_fit(value in 999_999_999_999_000_u64..=999_999_999_999_999) {
            let overlay = Overlay::new(vec![Overlay::row(number(value), 16_383)]).unwrap();
            prop_assert_eq!(overlay.network(number(value)), Some(16_383));
        }
    }
}
