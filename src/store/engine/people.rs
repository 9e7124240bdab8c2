//! Lives here: organisations, keys and users, changed; and what of them must be forgotten with the
//! commit.
//! Never here: what a key is worth (`domain::account`).

use super::Engine;
use crate::domain::account::{ApiKey, KEYS_MAX, Standing};
use crate::domain::ids::KeyId;
use crate::domain::ledger::Channel;
use crate::domain::time::Timestamp;
use crate::domain::user::User;
use crate::store::StoreError;
use crate::store::batch::Effects;
use crate::store::directory::Forgotten;
use crate::store::people::{Changed, PeopleWork, USERS_MAX};
use crate::store::rows::Rows;

impl<R: Rows> Engine<R> {
    /// Does what is wanted of people.
    pub(super) async fn people(
        &mut self,
        work: &PeopleWork,
        effects: &mut Effects,
    ) -> Result<Changed, StoreError> {
        match work {
            PeopleWork::CreateOrg(org, terms) => {
                if !self.rows.create_org(org).await? {
                    return Ok(Changed::Taken);
                }
                for channel in Channel::ALL {
                    effects.sheet.open(&self.books, (org.id, channel), *terms);
                }
                Ok(Changed::Done)
            }
            PeopleWork::CreateKey(key) => self.create_key(key).await,
            PeopleWork::Rotate {
                id,
                ends,
                successor,
            } => self.rotate(*id, *ends, successor, effects).await,
            PeopleWork::Revoke { org, id, at } => {
                let key = self.rows.key_with(*id).await?;
                let Some(key) = key.filter(|key| key.org == *org && works(key, *at)) else {
                    return Ok(Changed::Missing);
                };
                self.rows.end_key(key.id, *at, None).await?;
                effects.forgotten.push(Forgotten::Key(key.hash));
                Ok(Changed::Done)
            }
            PeopleWork::NoteUses(uses) => {
                self.rows.note_uses(uses).await?;
                Ok(Changed::Done)
            }
            PeopleWork::CreateUser(user) => self.create_user(user).await,
            PeopleWork::RemoveUser(org, id) => {
                if !self.rows.remove_user(*org, *id).await? {
                    return Ok(Changed::Missing);
                }
                effects.forgotten.push(Forgotten::User(*id));
                Ok(Changed::Done)
            }
        }
    }

    async fn create_key(&mut self, key: &ApiKey) -> Result<Changed, StoreError> {
        if self.rows.count_keys(key.org, key.created_at).await? >= KEYS_MAX {
            return Ok(Changed::Full);
        }
        let created = self.rows.create_key(key).await?;
        // That a secret is there already happens to nobody who makes it at random.
        Ok(if created {
            Changed::Done
        } else {
            Changed::Missing
        })
    }

    async fn rotate(
        &mut self,
        id: KeyId,
        ends: Timestamp,
        successor: &ApiKey,
        effects: &mut Effects,
    ) -> Result<Changed, StoreError> {
        let now = successor.created_at;
        let old = self.rows.key_with(id).await?;
        let right =
            |key: &ApiKey| key.org == successor.org && works(key, now) && key.replaced_by.is_none();
        let Some(old) = old.filter(right) else {
            return Ok(Changed::Missing);
        };
        // The one goes as the other comes, unless both work for a while.
        if ends > now && self.rows.count_keys(old.org, now).await? >= KEYS_MAX {
            return Ok(Changed::Full);
        }
        if !self.rows.create_key(successor).await? {
            return Ok(Changed::Taken);
        }
        self.rows.end_key(id, ends, Some(successor.id)).await?;
        effects.forgotten.push(Forgotten::Key(old.hash));
        Ok(Changed::Done)
    }

    async fn create_user(&mut self, user: &User) -> Result<Changed, StoreError> {
        if self.rows.count_users(user.org).await? >= USERS_MAX {
            return Ok(Changed::Full);
        }
        let created = self.rows.create_user(user).await?;
        Ok(if created {
            Changed::Done
        } else {
            Changed::Taken
        })
    }
}

/// Whether there is anything to end.
fn works(key: &ApiKey, now: Timestamp) -> bool {
    key.standing(now) != Standing::Revoked
}
