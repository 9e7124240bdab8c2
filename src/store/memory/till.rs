//! Lives here: purses, the ledger, purchases and prices in the model.
//! Never here: how amounts move (`domain::ledger`).

use super::table::{Row, Table};
use super::tables::Tables;
use super::{Memory, MemoryReader};
use crate::domain::credits::Credits;
use crate::domain::ids::OrgId;
use crate::domain::ledger::{Channel, Line, Purse, PurseId};
use crate::domain::message::State;
use crate::domain::price::{Price, Scope};
use crate::store::StoreError;
use crate::store::till::{Accounts, Purchase, Till};

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

/// A line of the ledger.
#[derive(Clone)]
pub(super) struct LineRow(pub(super) Line, pub(super) Credits, pub(super) u64);

impl Row for LineRow {
    type Key = Line;
    type Mark = ();

    fn key(&self) -> Line {
        self.0
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
    pub(super) ledger: Table<LineRow>,
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
    fn open_cost(&self, org: OrgId) -> (Credits, u64) {
        let open = self.messages.all().filter(|row| {
            let open = matches!(
                row.state,
                State::Scheduled | State::Queued | State::Uncertain | State::Submitted
            );
            open && row.sent_at.is_none() && row.message.org == org && row.message.live
        });
        open.fold((Credits::ZERO, 0), |(cost, messages), row| {
            (cost + row.message.cost, messages + 1)
        })
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

    async fn post(&mut self, lines: &[(Line, Credits, u64)]) -> Answer<()> {
        let ledger = &mut self.tables()?.0.money.ledger;
        for (line, amount, count) in lines {
            let (before, times) = ledger
                .get(line)
                .map_or((Credits::ZERO, 0), |row| (row.1, row.2));
            ledger.put(LineRow(*line, before + *amount, times + count));
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

    async fn lines(&self, purse: PurseId, from_day: i64) -> Answer<Vec<(Line, Credits, u64)>> {
        self.look(|tables, _| {
            let lines = tables.money.ledger.all();
            let own = lines.filter(|row| row.0.purse == purse && row.0.day >= from_day);
            own.map(|row| (row.0, row.1, row.2)).collect()
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

    async fn open_cost(&self, org: OrgId) -> Answer<(Credits, u64)> {
        self.look(|tables, _| tables.open_cost(org))
    }
}
