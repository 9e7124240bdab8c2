//! Lives here: purses, the ledger, purchases and prices in the model.
//! Never here: how amounts move (`domain::ledger`).

use std::cmp::Reverse;

use super::table::{Row, Table};
use super::tables::Tables;
use super::{Memory, MemoryReader};
use crate::domain::ids::OrgId;
use crate::domain::ledger::{Channel, Day, Moved, Purse, PurseId, Sum};
use crate::domain::message::State;
use crate::domain::price::{Price, Scope};
use crate::store::StoreError;
use crate::store::till::{Accounts, Check, Purchase, Till};

type Answer<T> = Result<T, StoreError>;

/// A purse and whose it is.
#[derive(Clone)]
pub(super) struct PurseRow(pub(super) PurseId, pub(super) Purse);

impl Row for PurseRow {
    type Key = PurseId;
    type Mark = ();

    fn key(&self) -> PurseId {
        self.0
    }
}

/// A line of the ledger and whose it is.
#[derive(Clone)]
pub(super) struct DayRow(pub(super) PurseId, pub(super) Day);

impl Row for DayRow {
    type Key = (PurseId, i64);
    type Mark = ();

    fn key(&self) -> (PurseId, i64) {
        (self.0, self.1.day)
    }
}

impl Row for Purchase {
    type Key = (PurseId, Box<str>);
    type Mark = ();

    fn key(&self) -> (PurseId, Box<str>) {
        (self.purse, self.reference.clone())
    }
}

impl Row for Price {
    type Key = Scope;
    type Mark = ();

    fn key(&self) -> Scope {
        self.scope.clone()
    }
}

/// The tables of money.
#[derive(Clone, Default)]
pub(super) struct Money {
    pub(super) purses: Table<PurseRow>,
    pub(super) ledger: Table<DayRow>,
    pub(super) purchases: Table<Purchase>,
    pub(super) prices: Table<Price>,
}

impl Money {
    /// Ends the transaction and keeps it.
    pub(super) fn commit(&mut self, kept: &mut Self) {
        self.purses.commit(&mut kept.purses);
        self.ledger.commit(&mut kept.ledger);
        self.purchases.commit(&mut kept.purchases);
        self.prices.commit(&mut kept.prices);
    }

    /// Ends the transaction as if it had never been.
    pub(super) fn undo(&mut self, kept: &Self) {
        self.purses.undo(&kept.purses);
        self.ledger.undo(&kept.ledger);
        self.purchases.undo(&kept.purchases);
        self.prices.undo(&kept.prices);
    }
}

impl Tables {
    fn check(&self, PurseRow(id, purse): &PurseRow) -> Check {
        let mut before = Moved::default();
        for DayRow(_, day) in self.money.ledger.all().filter(|row| row.0 == *id) {
            for (sum, more) in before.0.iter_mut().zip(day.moved.0) {
                sum.amount += more.amount;
                sum.count += more.count;
            }
        }
        let open = self.messages.all().filter(|row| {
            let open = matches!(
                row.state,
                State::Scheduled | State::Queued | State::Uncertain | State::Submitted
            );
            let own = (row.message.org, Channel::Sms) == *id && row.message.live;
            own && open && row.sent_at.is_none()
        });
        let mut open = open.fold(Sum::default(), |sum, row| Sum {
            amount: sum.amount + row.message.cost,
            count: sum.count + 1,
        });
        if id.1 == Channel::Sms {
            let (amount, count) = self.held_by_jobs(id.0);
            open.amount += amount;
            open.count += count;
        }
        Check {
            id: *id,
            purse: *purse,
            before,
            open,
        }
    }
}

impl Till for Memory {
    async fn purses(&mut self) -> Answer<Vec<(PurseId, Purse)>> {
        let purses = self.tables()?.0.money.purses.all();
        Ok(purses.map(|row| (row.0, row.1)).collect())
    }

    async fn put_purses(&mut self, purses: &[(PurseId, Purse)]) -> Answer<()> {
        let money = &mut self.tables()?.0.money;
        for (id, purse) in purses {
            money.purses.put(PurseRow(*id, *purse));
        }
        Ok(())
    }

    async fn post(&mut self, days: &[(PurseId, Day)]) -> Answer<()> {
        let ledger = &mut self.tables()?.0.money.ledger;
        for (purse, day) in days {
            ledger.insert(DayRow(*purse, *day));
        }
        Ok(())
    }

    async fn note_purchase(&mut self, purchase: &Purchase) -> Answer<bool> {
        Ok(self.tables()?.0.money.purchases.insert(purchase.clone()))
    }

    async fn put_price(&mut self, price: &Price) -> Answer<()> {
        self.tables()?.0.money.prices.put(price.clone());
        Ok(())
    }

    async fn remove_price(&mut self, scope: &Scope) -> Answer<bool> {
        Ok(self.tables()?.0.money.prices.remove(scope).is_some())
    }
}

impl Accounts for MemoryReader {
    async fn purses_of(&self, org: OrgId) -> Answer<Vec<(Channel, Purse)>> {
        self.look(|tables, _| {
            let own = tables.money.purses.all().filter(|row| row.0.0 == org);
            own.map(|row| (row.0.1, row.1)).collect()
        })
    }

    async fn ledger(&self, purse: PurseId, limit: u32) -> Answer<Vec<Day>> {
        self.look(|tables, _| {
            let money = &tables.money;
            let over = money.ledger.all().filter(|row| row.0 == purse);
            let open = money.purses.all().filter(|row| row.0 == purse);
            let open = open.map(|row| row.1.today);
            let open = open.filter(|day| day.moved != Moved::default());
            let mut days: Vec<Day> = over.map(|row| row.1).chain(open).collect();
            days.sort_by_key(|day| Reverse(day.day));
            days.truncate(limit as usize);
            days
        })
    }

    async fn purchases(&self, purse: PurseId, limit: u32) -> Answer<Vec<Purchase>> {
        self.look(|tables, _| {
            let all = tables.money.purchases.all();
            let mut own: Vec<Purchase> = all.filter(|one| one.purse == purse).cloned().collect();
            own.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| a.reference.cmp(&b.reference)));
            own.truncate(limit as usize);
            own
        })
    }

    async fn prices(&self) -> Answer<Vec<Price>> {
        self.look(|tables, _| tables.money.prices.all().cloned().collect())
    }

    async fn checks(&self, org: Option<OrgId>) -> Answer<Vec<Check>> {
        self.look(|tables, _| {
            let purses = tables.money.purses.all();
            let asked = purses.filter(|row| org.is_none_or(|org| org == row.0.0));
            asked.map(|row| tables.check(row)).collect()
        })
    }
}
