//! Lives here: organisations, keys and users in the model.
//! Never here: whether a key works (`domain::account`).

use super::faults::violated;
use super::table::Row;
use super::tables::Tables;
use super::{Memory, MemoryReader};
use crate::domain::account::{ApiKey, Organisation, Standing};
use crate::domain::ids::{KeyId, OrgId, UserId};
use crate::domain::time::Timestamp;
use crate::domain::user::User;
use crate::store::StoreError;
use crate::store::people::{KeysOf, People, Roster};
use crate::store::reads::OrgBy;

type Answer<T> = Result<T, StoreError>;

impl Row for User {
    type Key = UserId;
    /// Whose, and its address.
    type Mark = (OrgId, Box<str>);

    fn key(&self) -> UserId {
        self.id
    }

    fn marks(&self) -> Vec<(OrgId, Box<str>)> {
        vec![(self.org, self.email.clone())]
    }
}

impl Tables {
    fn organisation(&self, by: OrgBy<'_>) -> Option<&Organisation> {
        match by {
            OrgBy::Id(id) => self.organisations.get(&id),
            OrgBy::Name(name) => {
                let name: Box<str> = name.into();
                self.organisations.marked(name.clone()..=name).next()
            }
        }
    }

    fn api_key(&self, hash: &[u8; 32]) -> Option<(&ApiKey, &Organisation)> {
        let key = self.api_keys.marked(*hash..=*hash).next()?;
        Some((key, self.organisations.get(&key.org)?))
    }

    fn unrevoked(&self, org: OrgId, now: Timestamp) -> impl DoubleEndedIterator<Item = &ApiKey> {
        self.api_keys
            .all()
            .filter(move |key| key.org == org && key.standing(now) != Standing::Revoked)
    }
}

impl People for Memory {
    async fn create_org(&mut self, org: &Organisation) -> Answer<bool> {
        let tables = self.tables()?.0;
        if tables.organisation(OrgBy::Name(&org.name)).is_some() {
            return Ok(false);
        }
        if !tables.organisations.insert(org.clone()) {
            return Err(violated("organisations.id is unique"));
        }
        Ok(true)
    }

    async fn create_key(&mut self, key: &ApiKey) -> Answer<bool> {
        let tables = self.tables()?.0;
        let known = tables.organisations.get(&key.org).is_some();
        if !known || tables.api_key(&key.hash).is_some() {
            return Ok(false);
        }
        if !tables.api_keys.insert(key.clone()) {
            return Err(violated("api_keys.id is unique"));
        }
        Ok(true)
    }

    async fn key_with(&mut self, id: KeyId) -> Answer<Option<ApiKey>> {
        Ok(self.tables()?.0.api_keys.get(&id).cloned())
    }

    async fn count_keys(&mut self, org: OrgId, now: Timestamp) -> Answer<u32> {
        let keys = self.tables()?.0.unrevoked(org, now).count();
        Ok(u32::try_from(keys).unwrap_or(u32::MAX))
    }

    async fn end_key(&mut self, id: KeyId, at: Timestamp, successor: Option<KeyId>) -> Answer<()> {
        let end = |key: &mut ApiKey| {
            key.revoked_at = Some(at);
            key.replaced_by = successor.or(key.replaced_by);
        };
        self.tables()?.0.api_keys.change(&id, |_| true, end);
        Ok(())
    }

    async fn note_uses(&mut self, uses: &[(KeyId, Timestamp)]) -> Answer<()> {
        let keys = &mut self.tables()?.0.api_keys;
        for (id, at) in uses {
            let later = |key: &ApiKey| key.last_used_at.is_none_or(|last| last < *at);
            keys.change(id, later, |key| key.last_used_at = Some(*at));
        }
        Ok(())
    }

    async fn create_user(&mut self, user: &User) -> Answer<bool> {
        let tables = self.tables()?.0;
        let address = (user.org, user.email.clone());
        let known = tables.organisations.get(&user.org).is_some();
        if !known
            || tables
                .users
                .marked(address.clone()..=address)
                .next()
                .is_some()
        {
            return Ok(false);
        }
        if !tables.users.insert(user.clone()) {
            return Err(violated("users.id is unique"));
        }
        Ok(true)
    }

    async fn count_users(&mut self, org: OrgId) -> Answer<u32> {
        let users = self.tables()?.0.users.all();
        let users = users.filter(|user| user.org == org).count();
        Ok(u32::try_from(users).unwrap_or(u32::MAX))
    }

    async fn remove_user(&mut self, org: OrgId, id: UserId) -> Answer<bool> {
        let users = &mut self.tables()?.0.users;
        let there = users.get(&id).is_some_and(|user| user.org == org);
        Ok(there && users.remove(&id).is_some())
    }
}

impl Roster for MemoryReader {
    async fn key(&self, hash: &[u8; 32]) -> Answer<Option<(ApiKey, Organisation)>> {
        self.look(|tables, _| {
            let found = tables.api_key(hash);
            found.map(|(key, org)| (key.clone(), org.clone()))
        })
    }

    async fn used_last(&self, limit: u32) -> Answer<Vec<(ApiKey, Organisation)>> {
        self.look(|tables, _| {
            let keys = tables.api_keys.all();
            let mut used: Vec<_> = keys.filter(|key| key.last_used_at.is_some()).collect();
            used.sort_by_key(|key| std::cmp::Reverse(key.last_used_at));
            used.truncate(limit as usize);
            let found = used.iter().filter_map(|key| tables.api_key(&key.hash));
            found.map(|(key, org)| (key.clone(), org.clone())).collect()
        })
    }

    async fn user(&self, id: UserId) -> Answer<Option<(User, Organisation)>> {
        self.look(|tables, _| {
            let user = tables.users.get(&id)?;
            let org = tables.organisations.get(&user.org)?;
            Some((user.clone(), org.clone()))
        })
    }

    async fn organisation(&self, by: OrgBy<'_>) -> Answer<Option<Organisation>> {
        self.look(|tables, _| tables.organisation(by).cloned())
    }

    async fn organisations(&self, after: &str, limit: u32) -> Answer<Vec<Organisation>> {
        self.look(|tables, _| {
            let all = tables.organisations.all();
            let mut all: Vec<_> = all.filter(|org| &*org.name > after).cloned().collect();
            all.sort_by(|a, b| a.name.cmp(&b.name));
            all.truncate(limit as usize);
            all
        })
    }

    async fn keys_of(&self, wanted: &KeysOf) -> Answer<Vec<ApiKey>> {
        self.look(|tables, _| {
            let now = wanted.unrevoked.unwrap_or(Timestamp(i64::MIN));
            let keys = tables.unrevoked(wanted.org, now).rev();
            let keys = keys.filter(|key| !(key.live && wanted.test_only));
            keys.take(wanted.limit as usize).cloned().collect()
        })
    }

    async fn key_by_id(&self, id: KeyId) -> Answer<Option<ApiKey>> {
        self.look(|tables, _| tables.api_keys.get(&id).cloned())
    }

    async fn users_of(&self, org: OrgId) -> Answer<Vec<User>> {
        self.look(|tables, _| {
            let users = tables.users.all().filter(|user| user.org == org);
            let mut users: Vec<_> = users.cloned().collect();
            users.sort_by(|a, b| a.email.cmp(&b.email));
            users
        })
    }
}
