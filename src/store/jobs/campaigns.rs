//! Lives here: drafts of jobs: what they ask of the rows and of the writer.
//! Never here: jobs (`jobs`), SQL; what a draft's body says (`api`).

use super::{JobsDone, JobsWork};
use crate::domain::class::Class;
use crate::domain::ids::{CampaignId, JobId, OrgId};
use crate::domain::time::Timestamp;
use crate::store::asking::own;
use crate::store::batch::{Chore, ChoreDone};
use crate::store::{Store, StoreError};

/// Drafts that an organisation may have, live and test together: each may be megabytes.
pub const DRAFTS_MAX: u32 = 100;

/// A draft of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Campaign {
    /// Its id.
    pub id: CampaignId,
    /// Whose.
    pub org: OrgId,
    /// Of a live key.
    pub live: bool,
    /// The client's name for it.
    pub name: Box<str>,
    /// The sender as it was typed.
    pub from: Box<str>,
    /// The text with its places; empty when its time is over.
    pub message: Box<str>,
    /// Class of its messages.
    pub class: Class,
    /// How many recipients it names.
    pub total: u32,
    /// Not before this.
    pub due_at: Option<Timestamp>,
    /// The request that will make the job: JSON. Empty where it is not asked for, and when the job has been made.
    pub body: Box<str>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// The job that it was launched as.
    pub job: Option<JobId>,
}

/// A draft of a campaign: which, and when it was changed last.
pub type Draft = (CampaignId, Timestamp);

/// The changes, each within the open transaction.
pub(in crate::store) trait Campaigns {
    /// How many of an organisation's campaigns have not been launched.
    async fn drafts(&mut self, org: OrgId) -> Result<u32, StoreError>;

    /// Writes a new campaign.
    async fn draft(&mut self, campaign: &Campaign) -> Result<(), StoreError>;

    /// Writes a campaign instead of its draft of that time; `false`: it has changed since, has been
    /// launched, or is gone.
    async fn redraft(&mut self, campaign: &Campaign, seen: Timestamp) -> Result<bool, StoreError>;

    /// Writes that an organisation's draft is launched, and drops its body; `false`: it has changed
    /// since, has been launched, or is gone.
    async fn launch(&mut self, whose: (OrgId, Draft), job: JobId) -> Result<bool, StoreError>;

    /// Deletes a campaign of an organisation's live keys, or of its test keys; `false`: there is none
    /// of this id.
    async fn delete_campaign(
        &mut self,
        whose: (OrgId, bool),
        id: CampaignId,
    ) -> Result<bool, StoreError>;

    /// Deletes at most `limit` drafts that were changed last before a time; returns how many.
    async fn forget_drafts(&mut self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;
}

/// What is read beside the writer.
pub(in crate::store) trait Drafts {
    /// Campaigns of an organisation's live keys, or of its test keys, before this one, the newest
    /// first, without their bodies.
    async fn campaigns(
        &self,
        whose: (OrgId, bool),
        before: Option<CampaignId>,
        limit: u32,
    ) -> Result<Vec<Campaign>, StoreError>;

    /// A campaign.
    async fn campaign(&self, org: OrgId, id: CampaignId) -> Result<Option<Campaign>, StoreError>;

    /// A campaign without its body.
    async fn campaign_face(
        &self,
        org: OrgId,
        id: CampaignId,
    ) -> Result<Option<Campaign>, StoreError>;

    /// The first campaign behind this one, of all organisations, that has not been launched.
    async fn draft_after(&self, after: CampaignId) -> Result<Option<Campaign>, StoreError>;
}

/// What the writer is asked for.
#[derive(Debug)]
pub(in crate::store) enum CampaignWork {
    /// A new one, unless there are too many.
    Draft(Box<Campaign>),
    /// Instead of its draft of a time.
    Redraft(Box<Campaign>, Timestamp),
    Delete((OrgId, bool), CampaignId),
}

impl Store {
    /// Writes a new campaign; `false`: its organisation has [`DRAFTS_MAX`].
    ///
    /// # Errors
    /// As [`Store::order_job`].
    pub async fn draft(&self, campaign: Campaign) -> Result<bool, StoreError> {
        self.campaign_changed(CampaignWork::Draft(Box::new(campaign)))
            .await
    }

    /// Writes a campaign instead of its draft of that time; `false`: it has changed since, has been
    /// launched, or is gone.
    ///
    /// # Errors
    /// As [`Store::order_job`].
    pub async fn redraft(&self, campaign: Campaign, seen: Timestamp) -> Result<bool, StoreError> {
        self.campaign_changed(CampaignWork::Redraft(Box::new(campaign), seen))
            .await
    }

    /// Deletes a campaign of an organisation's live keys, or of its test keys; `false`: there is none
    /// of this id.
    ///
    /// # Errors
    /// As [`Store::order_job`].
    pub async fn delete_campaign(
        &self,
        whose: (OrgId, bool),
        id: CampaignId,
    ) -> Result<bool, StoreError> {
        self.campaign_changed(CampaignWork::Delete(whose, id)).await
    }

    /// A campaign of an organisation.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn campaign(
        &self,
        org: OrgId,
        id: CampaignId,
    ) -> Result<Option<Campaign>, StoreError> {
        self.inner.reader.campaign(org, id).await
    }

    /// A campaign of an organisation, without its body.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn campaign_face(
        &self,
        org: OrgId,
        id: CampaignId,
    ) -> Result<Option<Campaign>, StoreError> {
        self.inner.reader.campaign_face(org, id).await
    }

    /// Campaigns of an organisation's live keys, or of its test keys, before this one, the newest
    /// first, without their bodies.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn campaigns(
        &self,
        whose: (OrgId, bool),
        before: Option<CampaignId>,
        limit: u32,
    ) -> Result<Vec<Campaign>, StoreError> {
        self.inner.reader.campaigns(whose, before, limit).await
    }

    async fn campaign_changed(&self, work: CampaignWork) -> Result<bool, StoreError> {
        let done = self.command(Chore::Jobs(JobsWork::Campaign(work)), None);
        Ok(own!(done.await?, ChoreDone::Jobs(JobsDone::Changed(changed)) => changed))
    }
}
