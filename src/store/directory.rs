//! Lives here: what is read on every request (keys, organisations), remembered for five seconds,
//! so that a revoked key is refused at the latest then.
//! Never here: SQL, deciding what a key may do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dashmap::DashMap;

use super::StoreError;
use super::reader::Reader;
use super::reads::{OrgBy, Reads};
use crate::domain::account::{ApiKey, Organisation};
use crate::domain::ids::OrgId;
use crate::domain::scope::{Scope, Scopes};

const REMEMBERED: Duration = Duration::from_secs(5);
/// Beyond this the memory is emptied: somebody is trying keys, or there are very many.
const ENTRIES_MAX: usize = 65_536;

/// A key and whose it is.
#[derive(Debug)]
pub struct Credential {
    /// The key.
    pub key: ApiKey,
    /// Its organisation.
    pub org: Organisation,
}

impl Credential {
    /// Whether the caller may do this. Every key may do everything of its organisation.
    pub fn may(&self, scope: Scope) -> bool {
        Scopes::ALL.allow(scope)
    }
}

#[derive(Default)]
pub(super) struct Directory {
    keys: DashMap<[u8; 32], (Arc<Credential>, Instant)>,
    orgs: DashMap<OrgId, (Arc<Organisation>, Instant)>,
}

impl Directory {
    /// Only keys that exist are remembered: a flood of wrong ones must not push them out.
    pub(super) async fn credential(
        &self,
        reader: &Reader,
        hash: &[u8; 32],
    ) -> Result<Option<Arc<Credential>>, StoreError> {
        if let Some(entry) = self.keys.get(hash)
            && entry.1.elapsed() < REMEMBERED
        {
            return Ok(Some(Arc::clone(&entry.0)));
        }
        let Some((key, org)) = reader.key(hash).await? else {
            self.keys.remove(hash);
            return Ok(None);
        };
        if self.keys.len() >= ENTRIES_MAX {
            self.keys.clear();
        }
        let credential = Arc::new(Credential { key, org });
        self.keys
            .insert(*hash, (Arc::clone(&credential), Instant::now()));
        Ok(Some(credential))
    }

    pub(super) async fn organisation(
        &self,
        reader: &Reader,
        id: OrgId,
    ) -> Result<Option<Arc<Organisation>>, StoreError> {
        if let Some(entry) = self.orgs.get(&id)
            && entry.1.elapsed() < REMEMBERED
        {
            return Ok(Some(Arc::clone(&entry.0)));
        }
        let Some(org) = reader.organisation(OrgBy::Id(id)).await? else {
            return Ok(None);
        };
        if self.orgs.len() >= ENTRIES_MAX {
            self.orgs.clear();
        }
        let org = Arc::new(org);
        self.orgs.insert(id, (Arc::clone(&org), Instant::now()));
        Ok(Some(org))
    }
}
