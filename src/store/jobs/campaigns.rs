//! Lives here: drafts of jobs, as the handle has them.
//! Never here: what they ask of the rows (`jobs`), SQL.

use super::{Board, Campaign, JobsDone, JobsWork};
use crate::domain::ids::{CampaignId, OrgId};
use crate::domain::time::Timestamp;
use crate::store::{Store, StoreError};

impl Store {
    /// Writes a new campaign.
    ///
    /// # Errors
    /// As [`Store::order_job`].
    pub async fn draft(&self, campaign: Campaign) -> Result<(), StoreError> {
        let work = JobsWork::Draft(Box::new(campaign), None);
        self.jobs_command(work, None).await.map(drop)
    }

    /// Writes a campaign instead of its draft of that time; `false`: it has changed since, has been
    /// launched, or is gone.
    ///
    /// # Errors
    /// As [`Store::order_job`].
    pub async fn redraft(&self, campaign: Campaign, seen: Timestamp) -> Result<bool, StoreError> {
        let work = JobsWork::Draft(Box::new(campaign), Some(seen));
        self.job_changed(work).await
    }

    /// Deletes a campaign; `false`: the organisation has none of this id.
    ///
    /// # Errors
    /// As [`Store::order_job`].
    pub async fn delete_campaign(&self, org: OrgId, id: CampaignId) -> Result<bool, StoreError> {
        let done = self.jobs_command(JobsWork::DeleteCampaign(org, id), None);
        Ok(matches!(done.await?, JobsDone::Changed(true)))
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

    /// An organisation's campaigns before this one, the newest first, without their bodies.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn campaigns(
        &self,
        org: OrgId,
        before: Option<CampaignId>,
        limit: u32,
    ) -> Result<Vec<Campaign>, StoreError> {
        self.inner.reader.campaigns(org, before, limit).await
    }
}
