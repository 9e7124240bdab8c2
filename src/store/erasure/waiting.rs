//! Lives here: a number taken out of what waits to become messages (bulk jobs, drafts of them), and out
//! of answers kept for repeated requests.
//! Never here: messages; SQL.

use std::collections::BTreeMap;

use serde_json::value::{RawValue, to_raw_value};

use super::{Erased, Erasure, Reached};
use crate::domain::ids::{CampaignId, JobId};
use crate::domain::job;
use crate::domain::time::Timestamp;
use crate::store::jobs::{Board, Campaign, Drafts};
use crate::store::memo::{Answers, MemoKey};
use crate::store::people::Roster;
use crate::store::reads::OrgBy;
use crate::store::{Store, StoreError};

/// Chunks that are read at once: two hundred recipients each, with what is to be said to them.
const CHUNKS: u32 = 16;
/// Answers that are read at once.
const ANSWERS: u32 = 256;

impl Store {
    /// As [`Store::erase`], for the draft behind this one.
    pub(super) async fn erase_from_draft(
        &self,
        after: CampaignId,
        erasure: &Erasure,
        row: &mut Option<i64>,
        erased: &mut Erased,
    ) -> Result<Reached, StoreError> {
        let Some(draft) = self.inner.reader.draft_after(after).await? else {
            return Ok(Reached::DRAFTS);
        };
        let (id, seen, org) = (draft.id, draft.updated_at, draft.org);
        let org = self.inner.reader.organisation(OrgBy::Id(org)).await?;
        let at_home = org.is_some_and(|org| erasure.countries.contains(&org.country));
        let number = erasure.number;
        // Megabytes of JSON: the runtime's threads are for OTPs.
        let named = move |typed: &str| number.is_typed(typed, at_home);
        let work = tokio::task::spawn_blocking(move || shortened(draft, named));
        let found = work.await.map_err(|_| StoreError::Closed)?;
        let Some((mut draft, recipients)) = found else {
            return Ok(Reached::Draft(id));
        };
        if let Some(at) = self.begin(erasure, row, erased).await? {
            draft.updated_at = at.max(Timestamp(seen.0 + 1));
            if !self.redraft(draft, seen).await? {
                // Somebody has changed it meanwhile: it is looked at again.
                return Ok(Reached::Draft(after));
            }
        }
        erased.recipients += recipients;
        Ok(Reached::Draft(id))
    }

    /// As [`Store::erase`], for the chunks of jobs behind this one.
    pub(super) async fn erase_from_jobs(
        &self,
        after: (JobId, u32),
        erasure: &Erasure,
        row: &mut Option<i64>,
        erased: &mut Erased,
    ) -> Result<Reached, StoreError> {
        let number = erasure.number;
        let page = self.inner.reader.named(after, CHUNKS).await?;
        let Some(last) = page.last() else {
            return Ok(Reached::CHUNKS);
        };
        let reached = Reached::Chunk(last.job, last.chunk);
        for body in page {
            let left = job::without(&body.packed, &number);
            let Some(left) = left.filter(|left| left.recipients > 0) else {
                continue;
            };
            erased.recipients += match self.begin(erasure, row, erased).await? {
                None => left.recipients.into(),
                Some(at) => {
                    let whose = (body.job, body.chunk);
                    self.erase_recipient(whose, number, at).await?
                }
            };
        }
        Ok(reached)
    }

    /// As [`Store::erase`], for the kept answers behind this one.
    pub(super) async fn erase_from_answers(
        &self,
        after: MemoKey,
        erasure: &Erasure,
        row: &mut Option<i64>,
        erased: &mut Erased,
    ) -> Result<Reached, StoreError> {
        let page = self.inner.reader.answers(&after, ANSWERS).await?;
        let Some((last, _)) = page.last() else {
            return Ok(Reached::ANSWERS);
        };
        let named = page.iter().filter(|(_, body)| {
            let body = String::from_utf8_lossy(body);
            erasure.number.is_in(&body)
        });
        let keys: Vec<_> = named.map(|(key, _)| *key).collect();
        if !keys.is_empty() {
            let number = keys.len() as u64;
            if self.begin(erasure, row, erased).await?.is_some() {
                self.empty_answers(keys).await?;
            }
            erased.answers += number;
        }
        Ok(Reached::Answer(*last))
    }

    /// Before the first change: the audit says that it has begun. When that is; `None`: nothing is to
    /// be changed.
    async fn begin(
        &self,
        erasure: &Erasure,
        row: &mut Option<i64>,
        erased: &mut Erased,
    ) -> Result<Option<Timestamp>, StoreError> {
        let Some(entry) = &erasure.entry else {
            return Ok(None);
        };
        if row.is_none() {
            *row = Some(self.erase_round((&[], None), entry, None, erased).await?);
        }
        Ok(Some(entry.at))
    }
}

/// A draft without the recipients that are so named, and how many these are; `None`: there are none.
fn shortened(draft: Campaign, named: impl Fn(&str) -> bool) -> Option<(Campaign, u64)> {
    let mut fields: BTreeMap<String, &RawValue> = serde_json::from_str(&draft.body).ok()?;
    let all: Vec<&RawValue> = serde_json::from_str(fields.get("recipients")?.get()).ok()?;
    let kept: Vec<&RawValue> = all
        .iter()
        .copied()
        .filter(|one| !typed(one).is_some_and(|typed| named(&typed)))
        .collect();
    let gone = all.len() - kept.len();
    if gone == 0 {
        return None;
    }
    let total = u32::try_from(kept.len()).ok()?;
    let kept = to_raw_value(&kept).ok()?;
    fields.insert("recipients".into(), &kept);
    let body = serde_json::to_string(&fields).ok()?;
    let draft = Campaign {
        body: body.into(),
        total,
        ..draft
    };
    Some((draft, gone as u64))
}

/// A recipient's number as it was typed.
fn typed(recipient: &RawValue) -> Option<String> {
    if let Ok(typed) = serde_json::from_str(recipient.get()) {
        return Some(typed);
    }
    let fields: BTreeMap<String, &RawValue> = serde_json::from_str(recipient.get()).ok()?;
    let number = fields.get("to").or_else(|| fields.get("phone"))?;
    serde_json::from_str(number.get()).ok()
}
