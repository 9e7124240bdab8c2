//! Lives here: who is read on every request (keys, users, organisations), remembered for five
//! seconds. What is revoked or removed is forgotten with the commit: nobody who reads it before
//! and remembers it after can bring it back.
//! Never here: SQL, deciding whether a key works (`domain::account`).

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use uuid::Uuid;

use super::StoreError;
use super::people::Roster;
use super::reader::Reader;
use super::reads::OrgBy;
use crate::domain::account::{ApiKey, Beyond, Organisation, Standing};
use crate::domain::ids::{KeyId, OrgId, UserId};
use crate::domain::scope::{Scope, Scopes};
use crate::domain::time::Timestamp;
use crate::domain::user::User;

const REMEMBERED: Duration = Duration::from_secs(5);
/// Beyond this the memory is emptied: somebody is trying keys, or there are very many.
const ENTRIES_MAX: usize = 65_536;
/// Keys that are known from the start: some ten MiB.
const KNOWN_MAX: u32 = 10_000;
/// A key's uses are noted this far apart.
const NOTED_EVERY: Duration = Duration::from_secs(60);
/// Uses that wait to be written; what is more is noted again with the key's next use.
const USES_MAX: usize = 8192;

/// Who calls.
#[derive(Clone, Debug)]
pub enum Caller {
    /// A program, by its key.
    Key(ApiKey),
    /// A person, by a token.
    User(User),
}

/// Who calls, and for which organisation.
#[derive(Debug)]
pub struct Credential {
    /// Who.
    pub caller: Caller,
    /// Its organisation.
    pub org: Organisation,
    /// When its use was last noted.
    noted: AtomicI64,
}

impl Credential {
    /// Somebody of an organisation.
    pub const fn new(caller: Caller, org: Organisation) -> Self {
        let noted = match &caller {
            Caller::Key(ApiKey {
                last_used_at: Some(at),
                ..
            }) => at.0,
            Caller::Key(_) | Caller::User(_) => i64::MIN,
        };
        Self {
            caller,
            org,
            noted: AtomicI64::new(noted),
        }
    }

    /// The key's id, or the person's: whose allowance of requests it is.
    pub const fn id(&self) -> Uuid {
        match &self.caller {
            Caller::Key(key) => key.id.0,
            Caller::User(user) => user.id.0,
        }
    }

    /// Whether it works now.
    pub fn standing(&self, now: Timestamp) -> Standing {
        match &self.caller {
            Caller::Key(key) => key.standing(now),
            Caller::User(_) => Standing::Active,
        }
    }

    /// What it may do.
    pub fn scopes(&self) -> Scopes {
        match &self.caller {
            Caller::Key(key) => key.scopes,
            Caller::User(user) => user.role.scopes(),
        }
    }

    /// Whether it may do this.
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes().allow(scope)
    }

    /// Whether it may use a sender of its organisation.
    pub fn may_use(&self, sender: &str) -> bool {
        match &self.caller {
            Caller::Key(key) => key.may_use(sender),
            Caller::User(_) => true,
        }
    }

    /// Whether what it sends is meant for carriers. Of a test key nothing ever is.
    pub const fn is_live(&self) -> bool {
        match &self.caller {
            Caller::Key(key) => key.live,
            Caller::User(_) => true,
        }
    }

    /// What of a key it could not give to another, if anything.
    pub fn beyond(&self, key: &ApiKey) -> Option<Beyond> {
        match &self.caller {
            Caller::Key(own) => own.beyond(key),
            Caller::User(user) => user.role.scopes().lacks(key.scopes).map(Beyond::Scope),
        }
    }

    /// Requests a minute, where it has a pace of its own.
    pub const fn rate(&self) -> Option<u32> {
        match &self.caller {
            Caller::Key(key) => key.rate,
            Caller::User(_) => None,
        }
    }

    /// As the audit names it: never a secret.
    pub fn actor(&self) -> String {
        match &self.caller {
            Caller::Key(key) => format!("key {}", key.id),
            Caller::User(user) => format!("user {}", user.id),
        }
    }
}

/// What a commit has made untrue of what is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Forgotten {
    Key([u8; 32]),
    User(UserId),
}

#[derive(Default)]
pub(super) struct Directory {
    keys: Memory<[u8; 32], Credential>,
    users: Memory<UserId, Credential>,
    orgs: Memory<OrgId, Organisation>,
    uses: Mutex<HashMap<KeyId, Timestamp>>,
}

impl Directory {
    /// Knows the keys that were used last: a restart lets nobody in the more for it, but whoever
    /// fails behind the same address keeps out only those that are not known.
    pub(super) async fn start(reader: &Reader) -> Result<Self, StoreError> {
        let directory = Self::default();
        for (key, org) in reader.used_last(KNOWN_MAX).await? {
            let hash = key.hash;
            let credential = Arc::new(Credential::new(Caller::Key(key), org));
            directory.keys.remember(0, hash, &credential);
        }
        Ok(directory)
    }

    /// Only keys that exist are remembered: a flood of wrong ones must not push them out.
    pub(super) async fn credential(
        &self,
        reader: &Reader,
        hash: &[u8; 32],
    ) -> Result<Option<Arc<Credential>>, StoreError> {
        match self.keys.known(hash) {
            Some(known) => Ok(Some(known)),
            // Boxed: the read's kilobytes would be part of every request's task.
            None => Box::pin(self.read_key(reader, hash)).await,
        }
    }

    async fn read_key(
        &self,
        reader: &Reader,
        hash: &[u8; 32],
    ) -> Result<Option<Arc<Credential>>, StoreError> {
        let age = self.keys.age();
        let Some((key, org)) = reader.key(hash).await? else {
            self.keys.entries.remove(hash);
            return Ok(None);
        };
        let credential = Arc::new(Credential::new(Caller::Key(key), org));
        if let Some(earlier) = self.keys.remember(age, *hash, &credential) {
            // What was noted since is perhaps not written yet.
            let noted = earlier.noted.load(Ordering::Relaxed);
            credential.noted.fetch_max(noted, Ordering::Relaxed);
        }
        Ok(Some(credential))
    }

    /// Whether a key was found here, or used before the start, however long ago, and is not known to
    /// be gone.
    pub(super) fn has_seen(&self, hash: &[u8; 32]) -> bool {
        self.keys.entries.contains_key(hash)
    }

    pub(super) async fn user(
        &self,
        reader: &Reader,
        id: UserId,
    ) -> Result<Option<Arc<Credential>>, StoreError> {
        match self.users.known(&id) {
            Some(known) => Ok(Some(known)),
            None => Box::pin(self.read_user(reader, id)).await,
        }
    }

    async fn read_user(
        &self,
        reader: &Reader,
        id: UserId,
    ) -> Result<Option<Arc<Credential>>, StoreError> {
        let age = self.users.age();
        let Some((user, org)) = reader.user(id).await? else {
            self.users.entries.remove(&id);
            return Ok(None);
        };
        let credential = Arc::new(Credential::new(Caller::User(user), org));
        self.users.remember(age, id, &credential);
        Ok(Some(credential))
    }

    pub(super) async fn organisation(
        &self,
        reader: &Reader,
        id: OrgId,
    ) -> Result<Option<Arc<Organisation>>, StoreError> {
        if let Some(known) = self.orgs.known(&id) {
            return Ok(Some(known));
        }
        let age = self.orgs.age();
        let Some(org) = reader.organisation(OrgBy::Id(id)).await? else {
            return Ok(None);
        };
        let org = Arc::new(org);
        self.orgs.remember(age, id, &org);
        Ok(Some(org))
    }

    /// Forgets what is not so any more.
    pub(super) fn forget(&self, gone: &Forgotten) {
        match gone {
            Forgotten::Key(hash) => self.keys.forget(hash),
            Forgotten::User(id) => self.users.forget(id),
        }
    }

    /// Notes that a key was used, if that was not noted within the last minute.
    pub(super) fn note_use(&self, credential: &Credential, now: Timestamp) {
        let Caller::Key(key) = &credential.caller else {
            return;
        };
        let noted = credential.noted.load(Ordering::Relaxed);
        let due = noted.saturating_add(NOTED_EVERY.as_millis() as i64);
        if now.0 < due {
            return;
        }
        let taken =
            credential
                .noted
                .compare_exchange(noted, now.0, Ordering::Relaxed, Ordering::Relaxed);
        if taken.is_err() {
            return;
        }
        let mut uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        if uses.len() < USES_MAX || uses.contains_key(&key.id) {
            uses.insert(key.id, now);
        }
    }

    /// The uses that wait to be written.
    pub(super) fn take_uses(&self) -> Vec<(KeyId, Timestamp)> {
        let mut uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        uses.drain().collect()
    }
}

/// Things by key, each for five seconds.
struct Memory<K, T> {
    entries: DashMap<K, (Arc<T>, Instant)>,
    /// How often something was forgotten.
    age: AtomicU64,
}

impl<K: std::hash::Hash + Eq, T> Default for Memory<K, T> {
    fn default() -> Self {
        Self {
            entries: DashMap::new(),
            age: AtomicU64::new(0),
        }
    }
}

impl<K: std::hash::Hash + Eq, T> Memory<K, T> {
    fn known(&self, key: &K) -> Option<Arc<T>> {
        let entry = self.entries.get(key)?;
        (entry.1.elapsed() < REMEMBERED).then(|| Arc::clone(&entry.0))
    }

    /// To be asked before something is read that is to be remembered.
    fn age(&self) -> u64 {
        self.age.load(Ordering::SeqCst)
    }

    /// Remembers what was read since this age, unless something was forgotten meanwhile: it might be
    /// this. Both happen under the entry's lock, so either sees the other. Returns what was there
    /// before.
    fn remember(&self, age: u64, key: K, value: &Arc<T>) -> Option<Arc<T>> {
        if self.entries.len() >= ENTRIES_MAX {
            self.entries.clear();
        }
        let entry = self.entries.entry(key);
        if self.age() != age {
            return None;
        }
        let new = (Arc::clone(value), Instant::now());
        match entry {
            dashmap::Entry::Occupied(mut there) => Some(there.insert(new).0),
            dashmap::Entry::Vacant(room) => {
                room.insert(new);
                None
            }
        }
    }

    fn forget(&self, key: &K) {
        self.age.fetch_add(1, Ordering::SeqCst);
        self.entries.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_before_it_was_forgotten_is_not_remembered_after() {
        let memory: Memory<u8, u8> = Memory::default();
        let age = memory.age();
        assert!(memory.remember(age, 1, &Arc::new(10)).is_none());
        assert_eq!(memory.known(&1).as_deref(), Some(&10));
        let age = memory.age();
        memory.forget(&1);
        assert_eq!(memory.known(&1), None);
        assert!(memory.remember(age, 1, &Arc::new(10)).is_none());
        assert_eq!(memory.known(&1), None, "its reader was slow");
        assert!(memory.remember(memory.age(), 1, &Arc::new(11)).is_none());
        let earlier = memory.remember(memory.age(), 1, &Arc::new(12));
        assert_eq!(earlier.as_deref(), Some(&11));
        assert_eq!(memory.known(&1).as_deref(), Some(&12));
    }

    #[test]
    fn a_use_is_noted_once_a_minute() {
        let directory = Directory::default();
        let credential = Credential::new(
            Caller::Key(ApiKey::new(
                (KeyId(Uuid::nil()), OrgId(Uuid::nil())),
                ([0; 32], "sk_live_mw_a".into()),
                true,
                Timestamp(0),
            )),
            Organisation {
                id: OrgId(Uuid::nil()),
                name: "Duka".into(),
                country: "TZ".into(),
                senders: Vec::new(),
                webhook_secret: "s".to_owned().into(),
                created_at: Timestamp(0),
            },
        );
        let noted = |at| {
            directory.note_use(&credential, Timestamp(at));
            directory.take_uses()
        };
        let id = KeyId(Uuid::nil());
        assert_eq!(noted(1_000), [(id, Timestamp(1_000))]);
        assert_eq!(noted(60_999), []);
        assert_eq!(noted(61_000), [(id, Timestamp(61_000))]);
        assert_eq!(noted(500), [], "the clock went back");
    }
}
