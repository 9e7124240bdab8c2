//! Lives here: one organisation's purse: its accounts, what moves amounts between them, and what has
//! moved on its last day.
//! Never here: all purses together, and what a batch does to them (the module above).

use crate::domain::credits::Credits;
use crate::domain::ids::OrgId;

/// What credits are for; each has a purse of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// Text messages.
    Sms,
    /// E-mail.
    Email,
}

impl Channel {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Sms, Self::Email];

    /// The name in the API (`service_type`).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sms => "sms",
            Self::Email => "email",
        }
    }

    /// The number kept in the store.
    pub const fn index(self) -> i64 {
        self as i64
    }

    /// The channel with this number in the store.
    pub const fn from_index(index: i64) -> Option<Self> {
        match index {
            0 => Some(Self::Sms),
            1 => Some(Self::Email),
            _ => None,
        }
    }
}

/// When an organisation pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terms {
    /// Before: what it has not bought it cannot use.
    Prepaid,
    /// After: whatever it uses counts as bought.
    Postpaid,
}

/// An account of a purse. The numbers are kept in the store and never change meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    /// Where purchases come from: negative.
    Sold = 0,
    /// What can be used.
    Available = 1,
    /// What accepted messages will cost if a carrier takes them.
    Reserved = 2,
    /// What messages have cost that carriers have taken.
    Consumed = 3,
}

impl Account {
    /// All of them, by their numbers.
    pub const ALL: [Self; 4] = [Self::Sold, Self::Available, Self::Reserved, Self::Consumed];

    /// The name, for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sold => "sold",
            Self::Available => "available",
            Self::Reserved => "reserved",
            Self::Consumed => "consumed",
        }
    }

    /// The account with this number in the store.
    pub fn from_index(index: i64) -> Option<Self> {
        let index = usize::try_from(index).ok()?;
        Self::ALL.get(index).copied()
    }
}

/// What moves an amount. The order is that of the store's columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entry {
    /// Credits are bought; negative: taken back.
    Purchase = 0,
    /// An accepted message's cost is held.
    Reserve = 1,
    /// A carrier has taken the message.
    Capture = 2,
    /// No carrier will.
    Refund = 3,
}

impl Entry {
    /// All of them, in their order.
    pub const ALL: [Self; 4] = [Self::Purchase, Self::Reserve, Self::Capture, Self::Refund];

    /// The name, for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Purchase => "purchase",
            Self::Reserve => "reserve",
            Self::Capture => "capture",
            Self::Refund => "refund",
        }
    }

    /// From which account to which it goes.
    pub const fn accounts(self, terms: Terms) -> (Account, Account) {
        let source = match terms {
            Terms::Prepaid => Account::Available,
            Terms::Postpaid => Account::Sold,
        };
        match self {
            Self::Purchase => (Account::Sold, Account::Available),
            Self::Reserve => (source, Account::Reserved),
            Self::Capture => (Account::Reserved, Account::Consumed),
            Self::Refund => (Account::Reserved, source),
        }
    }
}

/// How much, and for how many messages or purchases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// All together.
    pub amount: Credits,
    /// How many they are.
    pub count: u64,
}

/// What has moved in a purse, by [`Entry`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved(pub [Sum; 4]);

impl Moved {
    /// What entries of this kind come to.
    pub const fn by(&self, entry: Entry) -> Sum {
        self.0[entry as usize]
    }

    fn add(&mut self, entry: Entry, amount: Credits) {
        let sum = &mut self.0[entry as usize];
        sum.amount += amount;
        sum.count += 1;
    }
}

/// What has moved in a purse on a day: a line of the ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Day {
    /// Days since 1970 UTC.
    pub day: i64,
    /// What has moved.
    pub moved: Moved,
}

/// Whose purse, and for what.
pub type PurseId = (OrgId, Channel);

/// What an organisation has for a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purse {
    /// When it pays.
    pub terms: Terms,
    /// What can be used: never below zero.
    pub available: Credits,
    /// What is held for messages under way.
    pub reserved: Credits,
    /// What has been used.
    pub consumed: Credits,
    /// The balance from which on down it counts as low.
    pub threshold: Credits,
    /// What has moved on the day of its last entry: not in the ledger yet.
    pub today: Day,
}

impl Purse {
    /// An empty one.
    pub const fn new(terms: Terms) -> Self {
        Self {
            terms,
            available: Credits::ZERO,
            reserved: Credits::ZERO,
            consumed: Credits::ZERO,
            threshold: Credits::ZERO,
            today: Day {
                day: 0,
                moved: Moved(
                    [Sum {
                        amount: Credits::ZERO,
                        count: 0,
                    }; 4],
                ),
            },
        }
    }

    /// All that was ever bought, less what was taken back.
    pub fn purchased(&self) -> Credits {
        self.available + self.reserved + self.consumed
    }

    /// Whether the balance is low; one that pays later has none.
    pub fn is_low(&self) -> bool {
        self.terms == Terms::Prepaid && self.available <= self.threshold
    }

    /// Where its balances differ from what has moved on all days before its last, and on that: the
    /// account, what it holds, what it should hold.
    pub fn differences(&self, before: &Moved) -> Vec<(Account, Credits, Credits)> {
        let mut replayed = Self::new(self.terms);
        for moved in [before, &self.today.moved] {
            for entry in Entry::ALL {
                replayed.shift(entry, moved.by(entry).amount);
            }
        }
        [
            (Account::Available, self.available, replayed.available),
            (Account::Reserved, self.reserved, replayed.reserved),
            (Account::Consumed, self.consumed, replayed.consumed),
        ]
        .into_iter()
        .filter(|(_, kept, replayed)| kept != replayed)
        .collect()
    }

    fn of(&mut self, account: Account) -> Option<&mut Credits> {
        match account {
            Account::Sold => None,
            Account::Available => Some(&mut self.available),
            Account::Reserved => Some(&mut self.reserved),
            Account::Consumed => Some(&mut self.consumed),
        }
    }

    fn shift(&mut self, entry: Entry, amount: Credits) {
        let (source, target) = entry.accounts(self.terms);
        if let Some(account) = self.of(source) {
            *account -= amount;
        }
        if let Some(account) = self.of(target) {
            *account += amount;
        }
    }

    /// Writes an entry; returns the day before, if this one begins another and something moved on it.
    /// A day that is over stays as it is: what comes late, or by a clock that was set back, counts
    /// for the last day.
    pub(super) fn enter(&mut self, day: i64, entry: Entry, amount: Credits) -> Option<Day> {
        let mut over = None;
        if day > self.today.day {
            let moved = Moved::default();
            over = Some(std::mem::replace(&mut self.today, Day { day, moved }));
        }
        self.shift(entry, amount);
        self.today.moved.add(entry, amount);
        over.filter(|day| day.moved != Moved::default())
    }
}
