//! Lives here: the books: what every organisation has, and how amounts move between its accounts.
//! Double entry: an amount goes from one account of a purse to another, so that all accounts
//! together are zero by construction. What moves on a day is added up in the purse itself, so that a
//! commit writes each purse once and nothing else; when its day is over the sums become a line of
//! the ledger, which never changes again. Pure: a batch is written on a sheet of its own, which is
//! copied into the books when the batch is committed, and thrown away when it is not.
//! Never here: what anything costs (`price`), rows, clocks.

mod purse;

use std::collections::{BTreeMap, HashMap, btree_map};

pub use self::purse::{Account, Channel, Day, Entry, Moved, Purse, PurseId, Sum, Terms};
use super::credits::Credits;

/// Why something cannot be paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortfall {
    /// What there is.
    pub balance: Credits,
    /// What is needed.
    pub required: Credits,
}

impl Shortfall {
    /// What is missing.
    pub fn missing(&self) -> Credits {
        self.required - self.balance
    }
}

/// Every purse, as committed.
#[derive(Clone, Debug, Default)]
pub struct Books {
    purses: HashMap<PurseId, Purse>,
}

impl Books {
    /// The books as they were left.
    pub fn new(purses: impl IntoIterator<Item = (PurseId, Purse)>) -> Self {
        Self {
            purses: purses.into_iter().collect(),
        }
    }

    /// A purse.
    pub fn purse(&self, id: PurseId) -> Option<&Purse> {
        self.purses.get(&id)
    }

    /// What a committed batch has written.
    pub fn copy(&mut self, sheet: &Sheet) {
        self.purses.extend(&sheet.purses);
    }
}

/// What one batch writes: the purses that it has touched, and the days that have ended with it.
#[derive(Clone, Debug, Default)]
pub struct Sheet {
    purses: BTreeMap<PurseId, Purse>,
    over: Vec<(PurseId, Day)>,
}

impl Sheet {
    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.purses.is_empty()
    }

    /// The purses as the batch leaves them.
    pub fn purses(&self) -> impl Iterator<Item = (PurseId, &Purse)> {
        self.purses.iter().map(|(id, purse)| (*id, purse))
    }

    /// The days that are over: new lines of the ledger.
    pub fn over(&self) -> &[(PurseId, Day)] {
        &self.over
    }

    /// The purses that have come to be low with this batch: each crossing is seen once.
    pub fn crossings<'s>(&'s self, books: &'s Books) -> impl Iterator<Item = (PurseId, &'s Purse)> {
        self.purses().filter(|(id, purse)| {
            purse.is_low() && books.purse(*id).is_some_and(|before| !before.is_low())
        })
    }

    /// Opens a purse; an existing one is left as it is.
    pub fn open(&mut self, books: &Books, id: PurseId, terms: Terms) {
        if self.purse(books, id).is_none() {
            self.purses.insert(id, Purse::new(terms));
        }
    }

    /// Holds what a message will cost.
    ///
    /// # Errors
    /// [`Shortfall`]: nothing was held. Who has no purse has a balance of nothing.
    pub fn reserve(
        &mut self,
        books: &Books,
        id: PurseId,
        day: i64,
        amount: Credits,
    ) -> Result<(), Shortfall> {
        if amount == Credits::ZERO {
            return Ok(());
        }
        let short = |balance| Shortfall {
            balance,
            required: amount,
        };
        let Some(purse) = self.purse(books, id) else {
            return Err(short(Credits::ZERO));
        };
        if purse.terms == Terms::Prepaid && purse.available < amount {
            return Err(short(purse.available));
        }
        self.enter(books, id, day, (Entry::Reserve, amount));
        Ok(())
    }

    /// Takes what was held for a message: a carrier has it.
    pub fn capture(&mut self, books: &Books, id: PurseId, day: i64, amount: Credits) {
        self.enter(books, id, day, (Entry::Capture, amount));
    }

    /// Gives back what was held for a message: no carrier will have it.
    pub fn refund(&mut self, books: &Books, id: PurseId, day: i64, amount: Credits) {
        self.enter(books, id, day, (Entry::Refund, amount));
    }

    /// Adds to what can be used; a negative amount takes back, but not more than is there.
    ///
    /// # Errors
    /// [`Shortfall`]: there is less; nothing was taken.
    pub fn purchase(
        &mut self,
        books: &Books,
        id: PurseId,
        day: i64,
        amount: Credits,
    ) -> Result<(), Shortfall> {
        let balance = self
            .purse(books, id)
            .map_or(Credits::ZERO, |purse| purse.available);
        if balance + amount < Credits::ZERO {
            return Err(Shortfall {
                balance,
                required: -amount,
            });
        }
        self.enter(books, id, day, (Entry::Purchase, amount));
        Ok(())
    }

    /// Sets the balance from which on down a purse counts as low; `false`: there is no such purse.
    pub fn set_threshold(&mut self, books: &Books, id: PurseId, threshold: Credits) -> bool {
        let Some(mut purse) = self.purse(books, id) else {
            return false;
        };
        purse.threshold = threshold;
        self.purses.insert(id, purse);
        true
    }

    /// The purse as the batch has it so far.
    pub fn purse(&self, books: &Books, id: PurseId) -> Option<Purse> {
        let touched = self.purses.get(&id);
        touched.or_else(|| books.purse(id)).copied()
    }

    fn enter(&mut self, books: &Books, id: PurseId, day: i64, (entry, amount): (Entry, Credits)) {
        if amount == Credits::ZERO {
            return;
        }
        let purse = match self.purses.entry(id) {
            btree_map::Entry::Occupied(touched) => touched.into_mut(),
            btree_map::Entry::Vacant(free) => match books.purse(id) {
                Some(purse) => free.insert(*purse),
                None => return,
            },
        };
        let over = purse.enter(day, entry, amount);
        self.over.extend(over.map(|day| (id, day)));
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::ids::OrgId;

    const ID: PurseId = (OrgId(Uuid::nil()), Channel::Sms);
    const ONE: Credits = Credits::whole(1);

    fn books(credits: i64, terms: Terms) -> Books {
        let purse = Purse {
            available: Credits::whole(credits),
            ..Purse::new(terms)
        };
        Books::new([(ID, purse)])
    }

    #[test]
    fn of_a_hundred_against_a_balance_for_fifty_fifty_are_paid() {
        let books = books(50, Terms::Prepaid);
        let mut sheet = Sheet::default();
        let paid = (0..100).filter(|_| sheet.reserve(&books, ID, 1, ONE).is_ok());
        assert_eq!(paid.count(), 50);
        let refused = sheet.reserve(&books, ID, 1, ONE).unwrap_err();
        assert_eq!(refused.missing(), ONE);
        let purse = sheet.purse(&books, ID).unwrap();
        let reserved = Sum {
            amount: Credits::whole(50),
            count: 50,
        };
        assert_eq!(purse.today.moved.by(Entry::Reserve), reserved);
    }

    #[test]
    fn a_day_that_is_over_becomes_a_line_and_what_comes_late_counts_for_the_next() {
        let mut books = books(0, Terms::Prepaid);
        let mut before = Moved::default();
        let mut lines = Vec::new();
        for (day, credits) in [(7, 5), (7, 4), (9, 1), (8, 2), (12, 1)] {
            let mut sheet = Sheet::default();
            let credits = Credits::whole(credits);
            sheet.purchase(&books, ID, day, credits).unwrap();
            sheet.reserve(&books, ID, day, ONE).unwrap();
            for (_, over) in sheet.over() {
                for entry in Entry::ALL {
                    before.0[entry as usize].amount += over.moved.by(entry).amount;
                }
                let bought = over.moved.by(Entry::Purchase);
                lines.push((over.day, bought.amount.0 / 1000, bought.count));
            }
            books.copy(&sheet);
        }
        assert_eq!(lines, [(7, 9, 2), (9, 3, 2)]);
        let purse = books.purse(ID).unwrap();
        assert_eq!(purse.today.day, 12);
        assert_eq!(purse.differences(&before), []);
        let balances = [(Account::Available, 8), (Account::Reserved, 5)];
        let balances = balances.map(|(account, kept)| (account, Credits::whole(kept)));
        let told = purse.differences(&Moved::default());
        let told: Vec<_> = told
            .into_iter()
            .map(|(account, kept, _)| (account, kept))
            .collect();
        assert_eq!(told, balances);
    }

    #[test]
    fn a_sheet_that_is_thrown_away_has_changed_nothing() {
        let mut books = books(2, Terms::Prepaid);
        let mut lost = Sheet::default();
        lost.reserve(&books, ID, 1, ONE).unwrap();
        drop(lost);
        let mut kept = Sheet::default();
        kept.reserve(&books, ID, 1, ONE).unwrap();
        kept.capture(&books, ID, 1, ONE);
        books.copy(&kept);
        let purse = books.purse(ID).unwrap();
        assert_eq!(
            (purse.available, purse.reserved, purse.consumed),
            (ONE, Credits::ZERO, ONE)
        );
    }

    #[test]
    fn what_is_refunded_goes_back_to_where_it_came_from() {
        for (terms, available) in [(Terms::Prepaid, 3), (Terms::Postpaid, 3)] {
            let mut books = books(3, terms);
            let mut sheet = Sheet::default();
            for _ in 0..3 {
                sheet.reserve(&books, ID, 1, ONE).unwrap();
            }
            sheet.refund(&books, ID, 1, ONE);
            sheet.refund(&books, ID, 1, ONE);
            sheet.capture(&books, ID, 1, ONE);
            books.copy(&sheet);
            let purse = books.purse(ID).unwrap();
            let (left, bought) = match terms {
                Terms::Prepaid => (available - 1, 3),
                Terms::Postpaid => (available, 4),
            };
            assert_eq!(purse.available, Credits::whole(left));
            assert_eq!(purse.purchased(), Credits::whole(bought));
            assert_eq!((purse.reserved, purse.consumed), (Credits::ZERO, ONE));
        }
    }

    #[test]
    fn who_pays_later_is_never_short_nor_low() {
        let books = books(0, Terms::Postpaid);
        let mut sheet = Sheet::default();
        sheet.reserve(&books, ID, 1, Credits::whole(9)).unwrap();
        assert_eq!(sheet.crossings(&books).count(), 0);
    }

    #[test]
    fn a_balance_is_told_to_be_low_once_for_each_crossing() {
        let mut books = books(3, Terms::Prepaid);
        let mut sheet = Sheet::default();
        assert!(sheet.set_threshold(&books, ID, ONE));
        books.copy(&sheet);
        let mut told = Vec::new();
        // Down to two, to one, to none; up again; down.
        for amount in [-1, -1, -1, 5, -4] {
            let mut sheet = Sheet::default();
            sheet
                .purchase(&books, ID, 1, Credits::whole(amount))
                .unwrap();
            told.push(sheet.crossings(&books).count());
            books.copy(&sheet);
        }
        assert_eq!(told, [0, 1, 0, 0, 1]);
    }

    #[test]
    fn no_more_is_taken_back_than_is_there() {
        let books = books(1, Terms::Prepaid);
        let mut sheet = Sheet::default();
        let short = sheet.purchase(&books, ID, 1, Credits::whole(-2));
        assert_eq!(short.unwrap_err().missing(), ONE);
        assert!(sheet.is_empty());
    }

    #[test]
    fn who_has_no_purse_can_pay_for_nothing() {
        let books = Books::default();
        let mut sheet = Sheet::default();
        let short = sheet.reserve(&books, ID, 1, ONE).unwrap_err();
        assert_eq!(short.balance, Credits::ZERO);
        sheet.open(&books, ID, Terms::Postpaid);
        assert!(sheet.reserve(&books, ID, 1, ONE).is_ok());
    }
}
