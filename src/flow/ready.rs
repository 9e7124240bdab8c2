//! Lives here: a message on its way to a carrier: which of its segments, by which account, as which
//! attempt.
//! Never here: the lanes (`lane`), what becomes of it.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::domain::ids::{CarrierIndex, Place};
use crate::domain::message::Message;

/// The segments of a message, as a set: bit n = part n+1. At most 16.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts(pub u16);

impl Parts {
    /// All parts of a message with this many segments.
    pub const fn all(segments: u8) -> Self {
        Self(((1u32 << segments) - 1) as u16)
    }

    /// This part (from 1) alone.
    pub const fn one(part: u8) -> Self {
        Self(1 << (part - 1))
    }

    /// How many.
    pub const fn count(self) -> u32 {
        self.0.count_ones()
    }

    /// Whether none is left.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the part with this number (from 1) is among them.
    pub const fn contains(self, part: u8) -> bool {
        self.0 & (1 << (part - 1)) != 0
    }

    /// Those that are not in the other set.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Adds the part with this number (from 1).
    pub const fn insert(&mut self, part: u8) {
        self.0 |= 1 << (part - 1);
    }

    /// The part numbers, from 1, ascending.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (1..=16).filter(move |part| self.contains(*part))
    }
}

/// A message that may be submitted now; owned by exactly one lane, bind or timer.
#[derive(Clone, Debug)]
pub struct Ready {
    /// What to send.
    pub message: Arc<Message>,
    /// The account whose lane it is in: the message's own, until it is moved.
    pub carrier: CarrierIndex,
    /// Its place in that lane; the default for a resend, which no lane's order knows.
    pub place: Place,
    /// Accounts that would not take it, or where it is in doubt; it is not moved back to them.
    pub tried: Tried,
    /// Which segments still have to go.
    pub parts: Parts,
    /// Number of this attempt, from 1.
    pub attempt: u16,
    /// How often the present account has answered with a passing error.
    pub refusals: u8,
    /// An earlier attempt may have reached a carrier.
    pub possible_duplicate: bool,
}

/// The accounts that a message has been tried with in vain. A set of a few.
pub type Tried = SmallVec<[CarrierIndex; 4]>;

impl Ready {
    /// A message's first attempt, all its segments.
    pub fn first(message: Arc<Message>) -> Self {
        let parts = Parts::all(message.segments);
        Self {
            carrier: message.carrier,
            place: Place(message.seq.0),
            tried: Tried::new(),
            message,
            parts,
            attempt: 1,
            refusals: 0,
            possible_duplicate: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_a_set_of_segment_numbers() {
        let mut parts = Parts::all(3);
        assert_eq!(parts.iter().collect::<Vec<_>>(), [1, 2, 3]);
        parts = Parts(0);
        parts.insert(2);
        assert!(parts.contains(2) && !parts.contains(1));
        assert_eq!(parts.count(), 1);
        assert_eq!(Parts::all(16).count(), 16);
    }
}
