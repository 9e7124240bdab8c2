//! Lives here: the databases' faces for organisations, keys and users: the writer's and the readers'.
//! Never here: statements (`people`).

use super::db::Conn;
use super::{ANSWER, Reader, Sql, lost, people, reader, rows, within};
use crate::domain::account::{ApiKey, Organisation};
use crate::domain::ids::{KeyId, OrgId, UserId};
use crate::domain::time::Timestamp;
use crate::domain::user::User;
use crate::store::StoreError;
use crate::store::people::{KeysOf, People, Roster};
use crate::store::reads::OrgBy;

impl People for Sql {
    async fn create_org(&mut self, org: &Organisation) -> Result<bool, StoreError> {
        rows::ask!(self, |db| people::create_org(db, org))
    }

    async fn create_key(&mut self, key: &ApiKey) -> Result<bool, StoreError> {
        rows::ask!(self, |db| people::create_key(db, key))
    }

    async fn key_with(&mut self, id: KeyId) -> Result<Option<ApiKey>, StoreError> {
        rows::ask!(self, |db| people::key_by_id(db, id))
    }

    async fn count_keys(&mut self, org: OrgId, now: Timestamp) -> Result<u32, StoreError> {
        rows::ask!(self, |db| people::count_keys(db, org, now))
    }

    async fn end_key(
        &mut self,
        id: KeyId,
        at: Timestamp,
        successor: Option<KeyId>,
    ) -> Result<(), StoreError> {
        rows::ask!(self, |db| people::end_key(db, id, at, successor))
    }

    async fn note_uses(&mut self, uses: &[(KeyId, Timestamp)]) -> Result<(), StoreError> {
        rows::ask!(self, |db| people::note_uses(db, uses))
    }

    async fn create_user(&mut self, user: &User) -> Result<bool, StoreError> {
        rows::ask!(self, |db| people::create_user(db, user))
    }

    async fn count_users(&mut self, org: OrgId) -> Result<u32, StoreError> {
        rows::ask!(self, |db| people::count_users(db, org))
    }

    async fn remove_user(&mut self, org: OrgId, id: UserId) -> Result<bool, StoreError> {
        rows::ask!(self, |db| people::remove_user(db, org, id))
    }
}

impl Roster for Reader {
    async fn key(&self, hash: &[u8; 32]) -> Result<Option<(ApiKey, Organisation)>, StoreError> {
        reader::ask!(self, |db| people::key(db, hash))
    }

    async fn used_last(&self, limit: u32) -> Result<Vec<(ApiKey, Organisation)>, StoreError> {
        reader::ask!(self, |db| people::used_last(db, limit))
    }

    async fn user(&self, id: UserId) -> Result<Option<(User, Organisation)>, StoreError> {
        reader::ask!(self, |db| people::user(db, id))
    }

    async fn organisation(&self, by: OrgBy<'_>) -> Result<Option<Organisation>, StoreError> {
        reader::ask!(self, |db| people::organisation(db, by))
    }

    async fn organisations(
        &self,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Organisation>, StoreError> {
        reader::ask!(self, |db| people::organisations(db, after, limit))
    }

    async fn keys_of(&self, wanted: &KeysOf) -> Result<Vec<ApiKey>, StoreError> {
        reader::ask!(self, |db| people::keys_of(db, wanted))
    }

    async fn key_by_id(&self, id: KeyId) -> Result<Option<ApiKey>, StoreError> {
        reader::ask!(self, |db| people::key_by_id(db, id))
    }

    async fn users_of(&self, org: OrgId) -> Result<Vec<User>, StoreError> {
        reader::ask!(self, |db| people::users_of(db, org))
    }
}
