//! Lives here: what organisations, keys and users ask of the rows and of the writer.
//! Never here: SQL; what a key is worth (`domain::account`); what is remembered (`directory`).

use std::sync::Arc;

use super::asking::own;
use super::batch::{Chore, ChoreDone};
use super::control::AuditEntry;
use super::directory::Credential;
use super::reads::OrgBy;
use super::{Store, StoreError};
use crate::domain::account::{ApiKey, Organisation};
use crate::domain::ids::{KeyId, OrgId, UserId};
use crate::domain::ledger::Terms;
use crate::domain::time::Timestamp;
use crate::domain::user::User;

/// Users of an organisation.
pub const USERS_MAX: u32 = 1000;
/// Uses of keys that one commit writes.
const USES: usize = 256;

/// What came of a change of people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// It is so.
    Done,
    /// There is one of this name, address or secret already: nothing was changed.
    Taken,
    /// What it was to be done to is not there, or works no more: nothing was changed.
    Missing,
    /// The organisation has as many as it may have: nothing was changed.
    Full,
}

/// Which keys are wanted, the newest first.
#[derive(Clone, Copy, Debug)]
pub struct KeysOf {
    /// Whose.
    pub org: OrgId,
    /// Only those that are not revoked by then; `None`: all.
    pub unrevoked: Option<Timestamp>,
    /// Only those of the test environment.
    pub test_only: bool,
    /// So many at most.
    pub limit: u32,
}

/// The changes, each within the open transaction.
pub(super) trait People {
    /// Writes an organisation; `false` if its name is taken. Ids are new: one that is there already
    /// is an error.
    async fn create_org(&mut self, org: &Organisation) -> Result<bool, StoreError>;

    /// Writes a key; `false` if the organisation does not exist or the secret is there already.
    async fn create_key(&mut self, key: &ApiKey) -> Result<bool, StoreError>;

    /// A key.
    async fn key_with(&mut self, id: KeyId) -> Result<Option<ApiKey>, StoreError>;

    /// How many keys of an organisation are not revoked by then.
    async fn count_keys(&mut self, org: OrgId, now: Timestamp) -> Result<u32, StoreError>;

    /// Says from when on a key is revoked, and, if one takes its place, which.
    async fn end_key(
        &mut self,
        id: KeyId,
        at: Timestamp,
        successor: Option<KeyId>,
    ) -> Result<(), StoreError>;

    /// Notes when keys were used, each once; an earlier time than is known changes nothing.
    async fn note_uses(&mut self, uses: &[(KeyId, Timestamp)]) -> Result<(), StoreError>;

    /// Writes a user; `false` if the organisation does not exist or has one of this address.
    async fn create_user(&mut self, user: &User) -> Result<bool, StoreError>;

    /// How many users an organisation has.
    async fn count_users(&mut self, org: OrgId) -> Result<u32, StoreError>;

    /// Takes a user of an organisation out; `false`: there is none.
    async fn remove_user(&mut self, org: OrgId, id: UserId) -> Result<bool, StoreError>;
}

/// What is read beside the writer.
pub(super) trait Roster {
    /// The key with this hash and its organisation, whether it works or not.
    async fn key(&self, hash: &[u8; 32]) -> Result<Option<(ApiKey, Organisation)>, StoreError>;

    /// The keys that were used last, each with its organisation.
    async fn used_last(&self, limit: u32) -> Result<Vec<(ApiKey, Organisation)>, StoreError>;

    /// The user of this id and its organisation.
    async fn user(&self, id: UserId) -> Result<Option<(User, Organisation)>, StoreError>;

    /// An organisation.
    async fn organisation(&self, by: OrgBy<'_>) -> Result<Option<Organisation>, StoreError>;

    /// Organisations behind this name, by name.
    async fn organisations(&self, after: &str, limit: u32)
    -> Result<Vec<Organisation>, StoreError>;

    /// Keys of an organisation, the newest first.
    async fn keys_of(&self, wanted: &KeysOf) -> Result<Vec<ApiKey>, StoreError>;

    /// A key.
    async fn key_by_id(&self, id: KeyId) -> Result<Option<ApiKey>, StoreError>;

    /// An organisation's users, by address.
    async fn users_of(&self, org: OrgId) -> Result<Vec<User>, StoreError>;
}

/// What the writer is asked for.
#[derive(Clone, Debug)]
pub(super) enum PeopleWork {
    /// With purses on these terms.
    CreateOrg(Organisation, Terms),
    CreateKey(Box<ApiKey>),
    /// A key gets a successor and ends itself at this time.
    Rotate {
        id: KeyId,
        ends: Timestamp,
        successor: Box<ApiKey>,
    },
    Revoke {
        org: OrgId,
        id: KeyId,
        at: Timestamp,
    },
    NoteUses(Vec<(KeyId, Timestamp)>),
    CreateUser(User),
    RemoveUser(OrgId, UserId),
}

impl Changed {
    /// The audit's word for what was not done.
    pub(super) const fn refusal(self) -> Option<&'static str> {
        match self {
            Self::Done => None,
            Self::Taken => Some("refused: there is one already"),
            Self::Missing => Some("refused: there is no such thing"),
            Self::Full => Some("refused: there are too many"),
        }
    }
}

impl Store {
    /// Writes an organisation with purses on these terms; `false` if its name is taken.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] at once while commits fail, [`StoreError::Closed`],
    /// [`StoreError::Unfit`]: nothing was done. [`StoreError::InDoubt`]: it may have been.
    pub async fn create_org(
        &self,
        org: Organisation,
        terms: Terms,
        audit: Option<AuditEntry>,
    ) -> Result<bool, StoreError> {
        let created = self.people(PeopleWork::CreateOrg(org, terms), audit);
        Ok(created.await? == Changed::Done)
    }

    /// Writes a key, unless its organisation does not exist ([`Changed::Missing`]) or has
    /// [`KEYS_MAX`](crate::domain::account::KEYS_MAX) that are not revoked.
    ///
    /// # Errors
    /// As [`Store::create_org`].
    pub async fn create_key(
        &self,
        key: ApiKey,
        audit: Option<AuditEntry>,
    ) -> Result<Changed, StoreError> {
        self.people(PeopleWork::CreateKey(key.into()), audit).await
    }

    /// Puts a successor in the place of a key that is not revoked and has none yet; the key itself
    /// works until `ends`, and counts until then ([`Changed::Full`]).
    ///
    /// # Errors
    /// As [`Store::create_org`].
    pub async fn rotate_key(
        &self,
        id: KeyId,
        ends: Timestamp,
        successor: ApiKey,
        audit: AuditEntry,
    ) -> Result<Changed, StoreError> {
        let successor = successor.into();
        let rotate = PeopleWork::Rotate {
            id,
            ends,
            successor,
        };
        self.people(rotate, Some(audit)).await
    }

    /// Revokes a key of an organisation: once this has returned no request is let in by it.
    ///
    /// # Errors
    /// As [`Store::create_org`].
    pub async fn revoke_key(
        &self,
        org: OrgId,
        id: KeyId,
        audit: AuditEntry,
    ) -> Result<Changed, StoreError> {
        let at = audit.at;
        self.people(PeopleWork::Revoke { org, id, at }, Some(audit))
            .await
    }

    /// Writes a user, unless the organisation has one of this address, or [`USERS_MAX`].
    ///
    /// # Errors
    /// As [`Store::create_org`].
    pub async fn create_user(&self, user: User, audit: AuditEntry) -> Result<Changed, StoreError> {
        self.people(PeopleWork::CreateUser(user), Some(audit)).await
    }

    /// Removes a user: once this has returned no token of its lets anybody in.
    ///
    /// # Errors
    /// As [`Store::create_org`].
    pub async fn remove_user(
        &self,
        org: OrgId,
        id: UserId,
        audit: AuditEntry,
    ) -> Result<Changed, StoreError> {
        let remove = PeopleWork::RemoveUser(org, id);
        self.people(remove, Some(audit)).await
    }

    /// The key with this hash and its organisation, whether it works or not; remembered for five
    /// seconds, or until it is revoked.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub async fn credential(&self, hash: &[u8; 32]) -> Result<Option<Arc<Credential>>, StoreError> {
        self.inner
            .directory
            .credential(&self.inner.reader, hash)
            .await
    }

    /// Whether the key with this hash has been found since the start, or was among those used last
    /// before it, though it may not be there any more: nothing is read.
    pub fn has_seen(&self, hash: &[u8; 32]) -> bool {
        self.inner.directory.has_seen(hash)
    }

    /// The user with this id and its organisation; remembered for five seconds, or until it is
    /// removed.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub async fn user(&self, id: UserId) -> Result<Option<Arc<Credential>>, StoreError> {
        self.inner.directory.user(&self.inner.reader, id).await
    }

    /// An organisation; remembered for five seconds.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub async fn organisation(&self, id: OrgId) -> Result<Option<Arc<Organisation>>, StoreError> {
        self.inner
            .directory
            .organisation(&self.inner.reader, id)
            .await
    }

    /// An organisation by its name.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub async fn organisation_named(&self, name: &str) -> Result<Option<Organisation>, StoreError> {
        self.inner.reader.organisation(OrgBy::Name(name)).await
    }

    /// Notes that a caller was let in. Cheap, and for each key once a minute: what is noted is
    /// written later ([`Store::write_uses`]).
    pub fn note_use(&self, credential: &Credential, now: Timestamp) {
        self.inner.directory.note_use(credential, now);
    }

    /// Writes when keys were used. What cannot be written now is noted again with the key's next
    /// use.
    ///
    /// # Errors
    /// As [`Store::create_org`].
    pub async fn write_uses(&self) -> Result<(), StoreError> {
        let uses = self.inner.directory.take_uses();
        for uses in uses.chunks(USES) {
            let note = Chore::People(PeopleWork::NoteUses(uses.to_vec()));
            self.errand(note).await?;
        }
        Ok(())
    }

    /// Organisations behind this name, by name.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub async fn organisations(
        &self,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Organisation>, StoreError> {
        self.inner.reader.organisations(after, limit).await
    }

    /// Keys of an organisation, the newest first.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub async fn keys_of(&self, wanted: &KeysOf) -> Result<Vec<ApiKey>, StoreError> {
        self.inner.reader.keys_of(wanted).await
    }

    /// A key of any organisation.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub async fn key(&self, id: KeyId) -> Result<Option<ApiKey>, StoreError> {
        self.inner.reader.key_by_id(id).await
    }

    /// An organisation's users, by address.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub async fn users_of(&self, org: OrgId) -> Result<Vec<User>, StoreError> {
        self.inner.reader.users_of(org).await
    }

    pub(super) async fn people(
        &self,
        work: PeopleWork,
        audit: Option<AuditEntry>,
    ) -> Result<Changed, StoreError> {
        let done = self.command(Chore::People(work), audit).await?;
        Ok(own!(done, ChoreDone::People(changed) => changed))
    }
}
