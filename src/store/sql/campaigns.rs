//! Lives here: drafts of bulk jobs, and the databases' faces for them.
//! Never here: jobs (`jobs`), what a draft says.

use std::sync::LazyLock;

use super::db::{Conn, Db, Row, Value};
use super::jobs::{LAST, corrupt};
use super::statement::Statement;
use super::{ANSWER, Reader, Sql, lost, reader, rows, within};
use crate::domain::class::Class;
use crate::domain::ids::{CampaignId, JobId, OrgId};
use crate::domain::time::Timestamp;
use crate::store::StoreError;
use crate::store::jobs::{Campaign, Campaigns, Draft, Drafts};

/// The columns that [`campaign`] reads.
const CAMPAIGN: &str = "id, org, name, sender, message, class, total, due_at, updated_at, body, \
     live, created_at, job";

fn campaign(row: &Row) -> Result<Campaign, StoreError> {
    let launched = row.opt_text(12)?.map(uuid::Uuid::parse_str).transpose();
    Ok(Campaign {
        id: CampaignId(row.id(0)?),
        org: OrgId(row.id(1)?),
        name: row.text(2)?.into(),
        from: row.text(3)?.into(),
        message: row.text(4)?.into(),
        class: Class::from_index(row.int(5)?).ok_or(corrupt("campaigns.class"))?,
        total: row.small(6)?,
        due_at: row.opt_int(7)?.map(Timestamp),
        updated_at: Timestamp(row.int(8)?),
        body: row.text(9)?.into(),
        live: row.flag(10)?,
        created_at: Timestamp(row.int(11)?),
        job: launched.map_err(|_| corrupt("campaigns.job"))?.map(JobId),
    })
}

/// The first ten of them: what a change writes, behind whose it is.
fn values(campaign: &Campaign) -> [Value<'_>; 10] {
    [
        campaign.id.0.into(),
        campaign.org.0.into(),
        (&*campaign.name).into(),
        (&*campaign.from).into(),
        (&*campaign.message).into(),
        (campaign.class.index() as i64).into(),
        campaign.total.into(),
        campaign.due_at.map(|at| at.0).into(),
        campaign.updated_at.0.into(),
        (&*campaign.body).into(),
    ]
}

async fn drafts(db: &mut Db<'_>, org: OrgId) -> Result<u32, StoreError> {
    static COUNT: Statement = Statement::new(
        "select count(*) from campaigns indexed by campaigns_drafts where org = $1 and job is null",
    );
    COUNT.fetch_one(db, &[org.0.into()]).await?.small(0)
}

async fn draft(db: &mut Db<'_>, campaign: &Campaign) -> Result<(), StoreError> {
    static DRAFT: LazyLock<Statement> = LazyLock::new(|| {
        Statement::made(format!(
            "insert into campaigns ({CAMPAIGN}) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
        ))
    });
    let job = campaign.job.map(|job| job.to_string());
    let fixed = [
        campaign.live.into(),
        campaign.created_at.0.into(),
        job.as_deref().into(),
    ];
    DRAFT
        .execute(db, &[&values(campaign)[..], &fixed].concat())
        .await?;
    Ok(())
}

async fn redraft(
    db: &mut Db<'_>,
    campaign: &Campaign,
    seen: Timestamp,
) -> Result<bool, StoreError> {
    static REDRAFT: Statement = Statement::new(
        "update campaigns set name = $3, sender = $4, message = $5, class = $6, total = $7, \
         due_at = $8, updated_at = $9, body = $10 \
         where id = $1 and org = $2 and job is null and updated_at = $11",
    );
    let values = [&values(campaign)[..], &[seen.0.into()]].concat();
    Ok(REDRAFT.execute(db, &values).await? == 1)
}

async fn launch(
    db: &mut Db<'_>,
    (org, (id, seen)): (OrgId, Draft),
    job: JobId,
) -> Result<bool, StoreError> {
    static LAUNCH: Statement = Statement::new(
        "update campaigns set job = $3, body = '' \
         where id = $1 and org = $2 and job is null and updated_at = $4",
    );
    let job = job.to_string();
    let values = [id.0.into(), org.0.into(), (&*job).into(), seen.0.into()];
    Ok(LAUNCH.execute(db, &values).await? == 1)
}

async fn delete_campaign(
    db: &mut Db<'_>,
    (org, live): (OrgId, bool),
    id: CampaignId,
) -> Result<bool, StoreError> {
    static DELETE: Statement =
        Statement::new("delete from campaigns where id = $1 and org = $2 and live = $3");
    let values = [id.0.into(), org.0.into(), live.into()];
    Ok(DELETE.execute(db, &values).await? == 1)
}

async fn forget_drafts(db: &mut Db<'_>, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
    static STALE: Statement = Statement::new(
        "select id from campaigns indexed by campaigns_stale where job is null and updated_at < $1 \
         order by updated_at limit $2",
    );
    static FORGET: Statement = Statement::new("delete from campaigns where id = $1");
    let stale = STALE.fetch(db, &[before.0.into(), limit.into()]).await?;
    for row in &stale {
        FORGET.execute(db, &[row.id(0)?.into()]).await?;
    }
    Ok(stale.len() as u64)
}

async fn campaigns(
    db: &mut Db<'_>,
    (org, live): (OrgId, bool),
    before: Option<CampaignId>,
    limit: u32,
) -> Result<Vec<Campaign>, StoreError> {
    static OWN: LazyLock<Statement> = LazyLock::new(|| {
        Statement::made(format!(
            "select {} from campaigns where org = $1 and live = $2 and id < $3 \
             order by id desc limit $4",
            face()
        ))
    });
    let before = before.map_or(LAST, |before| before.0);
    let values = [org.0.into(), live.into(), before.into(), limit.into()];
    OWN.fetch(db, &values).await?.iter().map(campaign).collect()
}

/// The columns without the body.
fn face() -> String {
    CAMPAIGN.replace("body", "''")
}

fn one_of(columns: &str) -> Statement {
    Statement::made(format!(
        "select {columns} from campaigns where id = $1 and org = $2"
    ))
}

async fn one_campaign(
    db: &mut Db<'_>,
    (org, id): (OrgId, CampaignId),
    whole: bool,
) -> Result<Option<Campaign>, StoreError> {
    static WHOLE: LazyLock<Statement> = LazyLock::new(|| one_of(CAMPAIGN));
    static FACE: LazyLock<Statement> = LazyLock::new(|| one_of(&face()));
    let one: &Statement = if whole { &WHOLE } else { &FACE };
    let row = one.fetch_optional(db, &[id.0.into(), org.0.into()]).await?;
    row.as_ref().map(campaign).transpose()
}

async fn draft_after(db: &mut Db<'_>, after: CampaignId) -> Result<Option<Campaign>, StoreError> {
    static NEXT: LazyLock<Statement> = LazyLock::new(|| {
        Statement::made(format!(
            "select {CAMPAIGN} from campaigns where id > $1 and job is null order by id limit 1"
        ))
    });
    let row = NEXT.fetch_optional(db, &[after.0.into()]).await?;
    row.as_ref().map(campaign).transpose()
}

/// Takes the text from what a job was launched from.
pub(super) async fn redact(db: &mut Db<'_>, job: JobId) -> Result<(), StoreError> {
    static REDACT: Statement = Statement::new("update campaigns set message = '' where job = $1");
    REDACT.execute(db, &[(&*job.to_string()).into()]).await?;
    Ok(())
}

/// Deletes what a job was launched from.
pub(super) async fn forget(db: &mut Db<'_>, job: JobId) -> Result<(), StoreError> {
    static FORGET: Statement = Statement::new("delete from campaigns where job = $1");
    FORGET.execute(db, &[(&*job.to_string()).into()]).await?;
    Ok(())
}

impl Campaigns for Sql {
    async fn drafts(&mut self, org: OrgId) -> Result<u32, StoreError> {
        rows::ask!(self, |db| drafts(db, org))
    }

    async fn draft(&mut self, campaign: &Campaign) -> Result<(), StoreError> {
        rows::ask!(self, |db| draft(db, campaign))
    }

    async fn redraft(&mut self, campaign: &Campaign, seen: Timestamp) -> Result<bool, StoreError> {
        rows::ask!(self, |db| redraft(db, campaign, seen))
    }

    async fn launch(&mut self, whose: (OrgId, Draft), job: JobId) -> Result<bool, StoreError> {
        rows::ask!(self, |db| launch(db, whose, job))
    }

    async fn delete_campaign(
        &mut self,
        whose: (OrgId, bool),
        id: CampaignId,
    ) -> Result<bool, StoreError> {
        rows::ask!(self, |db| delete_campaign(db, whose, id))
    }

    async fn forget_drafts(&mut self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        rows::ask!(self, |db| forget_drafts(db, before, limit))
    }
}

impl Drafts for Reader {
    async fn campaigns(
        &self,
        whose: (OrgId, bool),
        before: Option<CampaignId>,
        limit: u32,
    ) -> Result<Vec<Campaign>, StoreError> {
        reader::ask!(self, |db| campaigns(db, whose, before, limit))
    }

    async fn campaign(&self, org: OrgId, id: CampaignId) -> Result<Option<Campaign>, StoreError> {
        reader::ask!(self, |db| one_campaign(db, (org, id), true))
    }

    async fn campaign_face(
        &self,
        org: OrgId,
        id: CampaignId,
    ) -> Result<Option<Campaign>, StoreError> {
        reader::ask!(self, |db| one_campaign(db, (org, id), false))
    }

    async fn draft_after(&self, after: CampaignId) -> Result<Option<Campaign>, StoreError> {
        reader::ask!(self, |db| draft_after(db, after))
    }
}
