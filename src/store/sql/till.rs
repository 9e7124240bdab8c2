//! Lives here: the databases' faces for money: the writer's and the readers'.
//! Never here: statements (`purses`).

use super::db::Conn;
use super::{ANSWER, Reader, Sql, lost, purses, reader, rows, within};
use crate::domain::ids::OrgId;
use crate::domain::ledger::{Channel, Day, Purse, PurseId};
use crate::domain::price::{Price, Scope};
use crate::store::StoreError;
use crate::store::till::{Accounts, Check, Purchase, Till};

impl Till for Sql {
    async fn purses(&mut self) -> Result<Vec<(PurseId, Purse)>, StoreError> {
        rows::ask!(self, |db| purses::purses(db))
    }

    async fn put_purses(&mut self, purses: &[(PurseId, Purse)]) -> Result<(), StoreError> {
        rows::ask!(self, |db| purses::put_purses(db, purses))
    }

    async fn post(&mut self, days: &[(PurseId, Day)]) -> Result<(), StoreError> {
        rows::ask!(self, |db| purses::post(db, days))
    }

    async fn note_purchase(&mut self, purchase: &Purchase) -> Result<bool, StoreError> {
        rows::ask!(self, |db| purses::note_purchase(db, purchase))
    }

    async fn put_price(&mut self, price: &Price) -> Result<(), StoreError> {
        rows::ask!(self, |db| purses::put_price(db, price))
    }

    async fn remove_price(&mut self, scope: &Scope) -> Result<bool, StoreError> {
        rows::ask!(self, |db| purses::remove_price(db, scope))
    }
}

impl Accounts for Reader {
    async fn purses_of(&self, org: OrgId) -> Result<Vec<(Channel, Purse)>, StoreError> {
        reader::ask!(self, |db| purses::purses_of(db, org))
    }

    async fn ledger(&self, purse: PurseId, limit: u32) -> Result<Vec<Day>, StoreError> {
        reader::ask!(self, |db| purses::ledger(db, purse, limit))
    }

    async fn purchases(&self, purse: PurseId, limit: u32) -> Result<Vec<Purchase>, StoreError> {
        reader::ask!(self, |db| purses::purchases(db, purse, limit))
    }

    async fn prices(&self) -> Result<Vec<Price>, StoreError> {
        reader::ask!(self, |db| purses::prices(db))
    }

    async fn checks(&self, org: Option<OrgId>) -> Result<Vec<Check>, StoreError> {
        reader::ask!(self, |db| purses::checks(db, org))
    }
}
