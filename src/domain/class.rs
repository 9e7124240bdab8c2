//! Lives here: the three traffic classes and the promise each carries.
//! Never here: queues (see `flow::lane`) or policy numbers (see `scheduler::Config`).

use std::fmt;

/// The class of a message; the order of the variants is the order of service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Class {
    /// One-time passwords: first everywhere, resent quickly in doubt.
    Otp,
    /// Alerts and receipts of business: the default.
    #[default]
    Transactional,
    /// Campaigns: last, with a guaranteed floor, never resent in doubt.
    Promotional,
}

impl Class {
    /// All classes in order of service.
    pub const ALL: [Self; 3] = [Self::Otp, Self::Transactional, Self::Promotional];

    /// Position in [`Class::ALL`], also the number kept in the store.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The class with this number in the store.
    pub fn from_index(index: i64) -> Option<Self> {
        usize::try_from(index)
            .ok()
            .and_then(|index| Self::ALL.get(index).copied())
    }

    /// The name used in the API, in metrics and in the console.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Otp => "otp",
            Self::Transactional => "transactional",
            Self::Promotional => "promotional",
        }
    }

    /// Reads a name as the API spells it.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }
}

/// A set of classes: what a bind may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassSet(u8);

impl ClassSet {
    /// Every class.
    pub const ALL: Self = Self(0b111);

    /// The classes of a list.
    pub fn of(classes: impl IntoIterator<Item = Class>) -> Self {
        let set = classes
            .into_iter()
            .fold(0, |set, class| set | 1 << class.index());
        Self(set)
    }

    /// Whether the class is in it.
    pub const fn contains(self, class: Class) -> bool {
        self.0 & (1 << class.index()) != 0
    }

    /// The classes that are in either.
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those of one, in order of service.
    pub fn iter(self) -> impl Iterator<Item = Class> {
        Class::ALL
            .into_iter()
            .filter(move |class| self.contains(*class))
    }

    /// Whether no class is in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::{Class, ClassSet};

    #[test]
    fn a_set_holds_what_it_was_made_of() {
        let set = ClassSet::of([Class::Otp, Class::Promotional]);
        assert!(set.contains(Class::Otp) && !set.contains(Class::Transactional));
        assert!(ClassSet::of([]).is_empty());
        assert_eq!(ClassSet::of(Class::ALL), ClassSet::ALL);
    }

    #[test]
    fn names_and_numbers_round_trip() {
        for class in Class::ALL {
            assert_eq!(Class::parse(class.name()), Some(class));
            assert_eq!(Class::from_index(class.index() as i64), Some(class));
        }
        assert_eq!(Class::parse("OTP"), None);
        assert_eq!(Class::from_index(3), None);
    }
}
