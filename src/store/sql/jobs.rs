//! Lives here: bulk jobs and their chunks, and the databases' faces for them.
//! Never here: legal steps (`domain::job`), what recipients say.

use std::sync::LazyLock;

use super::bulk::Bulk;
use super::campaigns;
use super::db::{Conn, Db, Kind, Row, Value, readable};
use super::messages::COLUMNS;
use super::statement::Statement;
use super::{ANSWER, Reader, Sql, lost, read, reader, rows, within};
use crate::domain::class::Class;
use crate::domain::credits::Credits;
use crate::domain::ids::{JobId, MessageSeq, OrgId};
use crate::domain::job::{JobState, Without};
use crate::domain::message::State;
use crate::domain::phone::Sender;
use crate::domain::time::Timestamp;
use crate::store::jobs::{
    Board, Body, Chunk, ChunkState, ChunkView, Expansion, Job, JobView, Jobs, Standing, Whose,
};
use crate::store::{Carriers, MessageView, StoreError};

/// The columns that [`view`] reads.
const JOB: &str = "id, org, live, state, name, sender, template, class, webhook_url, metadata, tags, \
     fields, rate_limit, total, cost, created_at, due_at, started_at, completed_at";
/// The columns that [`chunk_view`] reads.
const CHUNK: &str = "chunk, state, recipients, refused, cost, first_seq, last_seq";

pub(super) const fn corrupt(what: &'static str) -> StoreError {
    StoreError::Corrupt { what }
}

fn view(row: &Row) -> Result<JobView, StoreError> {
    let state = JobState::from_index(row.int(3)?).ok_or(corrupt("jobs.state"))?;
    let job = Job {
        id: JobId(row.id(0)?),
        org: OrgId(row.id(1)?),
        live: row.flag(2)?,
        name: row.text(4)?.into(),
        from: Sender::parse(row.text(5)?).map_err(|_| corrupt("jobs.sender"))?,
        template: row.text(6)?.into(),
        class: Class::from_index(row.int(7)?).ok_or(corrupt("jobs.class"))?,
        webhook_url: row.opt_text(8)?.map(Into::into),
        metadata: row.opt_text(9)?.map(Into::into),
        tags: row.opt_text(10)?.map(Into::into),
        fields: row.text(11)?.into(),
        rate_limit: row.small(12)?,
        total: row.small(13)?,
        cost: Credits(row.int(14)?),
        created_at: Timestamp(row.int(15)?),
        due_at: Timestamp(row.int(16)?),
    };
    Ok(JobView {
        job,
        state,
        started_at: row.opt_int(17)?.map(Timestamp),
        completed_at: row.opt_int(18)?.map(Timestamp),
    })
}

fn chunk_view(row: &Row) -> Result<ChunkView, StoreError> {
    let first = row.opt_int(5)?.map(MessageSeq);
    Ok(ChunkView {
        number: row.small(0)?,
        state: ChunkState::from_index(row.int(1)?).ok_or(corrupt("job_chunks.state"))?,
        recipients: row.small(2)?,
        refused: row.small(3)?,
        cost: Credits(row.int(4)?),
        span: first.zip(row.opt_int(6)?.map(MessageSeq)),
    })
}

async fn insert_job(db: &mut Db<'_>, job: &Job, chunks: &[Chunk]) -> Result<(), StoreError> {
    static INSERT: LazyLock<Statement> = LazyLock::new(|| {
        Statement::made(format!(
            "insert into jobs ({JOB}) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, \
             $13, $14, $15, $16, $17, null, null)"
        ))
    });
    static CHUNKS: Bulk = Bulk::new(
        "insert into job_chunks (job, chunk, state, recipients, refused, cost, body) {rows} {once}",
        &[
            Kind::Id,
            Kind::Int,
            Kind::Int,
            Kind::Int,
            Kind::Int,
            Kind::Int,
            Kind::Bytes,
        ],
    );
    let values: [Value<'_>; 17] = [
        job.id.0.into(),
        job.org.0.into(),
        job.live.into(),
        JobState::Scheduled.index().into(),
        (&*job.name).into(),
        job.from.as_str().into(),
        (&*job.template).into(),
        (job.class.index() as i64).into(),
        job.webhook_url.as_deref().into(),
        job.metadata.as_deref().into(),
        job.tags.as_deref().into(),
        (&*job.fields).into(),
        job.rate_limit.into(),
        job.total.into(),
        job.cost.0.into(),
        job.created_at.0.into(),
        job.due_at.0.into(),
    ];
    INSERT.execute(db, &values).await?;
    let numbered: Vec<(u32, &Chunk)> = (0..).zip(chunks).collect();
    CHUNKS
        .execute(db, &numbered, |(number, chunk)| {
            [
                job.id.0.into(),
                (*number).into(),
                (ChunkState::Waiting as i64).into(),
                chunk.recipients.into(),
                chunk.refused.into(),
                chunk.cost.0.into(),
                chunk.body.as_slice().into(),
            ]
        })
        .await?;
    Ok(())
}

async fn job(db: &mut Db<'_>, id: JobId) -> Result<Option<JobView>, StoreError> {
    static ONE: LazyLock<Statement> =
        LazyLock::new(|| Statement::made(format!("select {JOB} from jobs where id = $1")));
    let row = ONE.fetch_optional(db, &[id.0.into()]).await?;
    row.as_ref().map(view).transpose()
}

async fn move_job(db: &mut Db<'_>, moved: &JobView) -> Result<(), StoreError> {
    static MOVE: Statement = Statement::new(
        "update jobs set state = $2, started_at = $3, completed_at = $4 where id = $1",
    );
    let values = [
        moved.job.id.0.into(),
        moved.state.index().into(),
        moved.started_at.map(|at| at.0).into(),
        moved.completed_at.map(|at| at.0).into(),
    ];
    MOVE.execute(db, &values).await?;
    Ok(())
}

async fn chunk(db: &mut Db<'_>, job: JobId, number: u32) -> Result<Option<ChunkView>, StoreError> {
    static ONE: LazyLock<Statement> = LazyLock::new(|| {
        Statement::made(format!(
            "select {CHUNK} from job_chunks where job = $1 and chunk = $2"
        ))
    });
    let row = ONE
        .fetch_optional(db, &[job.0.into(), number.into()])
        .await?;
    row.as_ref().map(chunk_view).transpose()
}

async fn expanded(
    db: &mut Db<'_>,
    expansion: &Expansion,
    span: Option<(MessageSeq, MessageSeq)>,
) -> Result<(), StoreError> {
    static DONE: Statement = Statement::new(
        "update job_chunks set state = $3, refused = $4, first_seq = $5, last_seq = $6, body = $7 \
         where job = $1 and chunk = $2",
    );
    let values = [
        expansion.job.0.into(),
        expansion.chunk.into(),
        (ChunkState::Expanded as i64).into(),
        expansion.refused.into(),
        span.map(|(first, _)| first.0).into(),
        span.map(|(_, last)| last.0).into(),
        expansion.body.as_slice().into(),
    ];
    DONE.execute(db, &values).await?;
    Ok(())
}

async fn drop_chunks(db: &mut Db<'_>, job: JobId) -> Result<Credits, StoreError> {
    static HELD: Statement = Statement::new(
        "select cast(coalesce(sum(cost), 0) as bigint) from job_chunks where job = $1 and state = 0",
    );
    static DROP: Statement =
        Statement::new("update job_chunks set state = 2 where job = $1 and state = 0");
    let held = HELD.fetch_one(db, &[job.0.into()]).await?;
    DROP.execute(db, &[job.0.into()]).await?;
    Ok(Credits(held.int(0)?))
}

async fn forget_jobs(db: &mut Db<'_>, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
    static OVER: Statement = Statement::new(
        "select id from jobs where completed_at < $1 order by completed_at, id limit $2",
    );
    static CHUNKS: Statement = Statement::new("delete from job_chunks where job = $1");
    static JOB: Statement = Statement::new("delete from jobs where id = $1");
    let over = OVER.fetch(db, &[before.0.into(), limit.into()]).await?;
    for row in &over {
        let id = row.id(0)?;
        CHUNKS.execute(db, &[id.into()]).await?;
        campaigns::forget(db, JobId(id)).await?;
        JOB.execute(db, &[id.into()]).await?;
    }
    Ok(over.len() as u64)
}

/// Behind all ids.
pub(super) const LAST: uuid::Uuid = uuid::Uuid::max();

async fn job_list(
    db: &mut Db<'_>,
    of: Whose,
    before: Option<JobId>,
    limit: u32,
) -> Result<Vec<JobView>, StoreError> {
    static ALL: LazyLock<Statement> = LazyLock::new(|| of_jobs(""));
    static ORG: LazyLock<Statement> = LazyLock::new(|| of_jobs("and org = $3"));
    static KEYS: LazyLock<Statement> = LazyLock::new(|| of_jobs("and org = $3 and live = $4"));
    let before = before.map_or(LAST, |before| before.0).into();
    let rows = match of {
        Whose::All => ALL.fetch(db, &[before, limit.into()]).await?,
        Whose::Org(org) => ORG.fetch(db, &[before, limit.into(), org.0.into()]).await?,
        Whose::Keys(org, live) => {
            let values = [before, limit.into(), org.0.into(), live.into()];
            KEYS.fetch(db, &values).await?
        }
    };
    rows.iter().map(view).collect()
}

fn of_jobs(these: &str) -> Statement {
    Statement::made(format!(
        "select {JOB} from jobs where id < $1 {these} order by id desc limit $2"
    ))
}

async fn due_jobs(
    db: &mut Db<'_>,
    now: Timestamp,
    each: u32,
    limit: u32,
) -> Result<Vec<JobView>, StoreError> {
    static DUE: LazyLock<Statement> = LazyLock::new(|| {
        Statement::made(format!(
            "select {JOB} from (select due.*, row_number() over (partition by org, rest \
             order by due_at, id) as turn from (select jobs.*, case when state = 3 then 0 \
             when exists (select 1 from job_chunks c where c.job = jobs.id and c.state = 0) \
             then 1 else 2 end as rest from jobs where state in (0, 1, 3) \
             and (due_at <= $1 or state = 3)) as due) as due where turn <= $2 \
             order by rest, turn, due_at, id limit $3"
        ))
    });
    let values = [now.0.into(), each.into(), limit.into()];
    let rows = DUE.fetch(db, &values).await?;
    // One that cannot be read must not stop all others.
    Ok(readable(&rows, "a bulk job", view))
}

async fn chunks(db: &mut Db<'_>, job: JobId) -> Result<Vec<ChunkView>, StoreError> {
    static ALL: LazyLock<Statement> = LazyLock::new(|| {
        Statement::made(format!(
            "select {CHUNK} from job_chunks where job = $1 order by chunk"
        ))
    });
    let rows = ALL.fetch(db, &[job.0.into()]).await?;
    rows.iter().map(chunk_view).collect()
}

/// The columns that [`body`] reads.
const BODY: &str = "job, chunk, first_seq, last_seq, body";

fn body(row: &Row) -> Result<Body, StoreError> {
    let first = row.opt_int(2)?.map(MessageSeq);
    Ok(Body {
        job: JobId(row.id(0)?),
        chunk: row.small(1)?,
        span: first.zip(row.opt_int(3)?.map(MessageSeq)),
        packed: row.bytes(4)?.into(),
    })
}

async fn bodies(
    db: &mut Db<'_>,
    job: JobId,
    from: u32,
    until: u32,
) -> Result<Vec<Body>, StoreError> {
    static BODIES: LazyLock<Statement> = LazyLock::new(|| {
        Statement::made(format!(
            "select {BODY} from job_chunks where job = $1 and chunk >= $2 and chunk <= $3 \
             order by chunk"
        ))
    });
    let values = [job.0.into(), from.into(), until.into()];
    BODIES.fetch(db, &values).await?.iter().map(body).collect()
}

async fn named(
    db: &mut Db<'_>,
    (job, chunk): (JobId, u32),
    limit: u32,
) -> Result<Vec<Body>, StoreError> {
    static NAMED: LazyLock<Statement> = LazyLock::new(|| {
        Statement::made(format!(
            "select {BODY} from job_chunks indexed by job_chunks_named \
             where (state <> 1 or refused > 0) and (job, chunk) > ($1, $2) \
             order by job, chunk limit $3"
        ))
    });
    let values = [job.0.into(), chunk.into(), limit.into()];
    NAMED.fetch(db, &values).await?.iter().map(body).collect()
}

async fn erase_recipient(
    db: &mut Db<'_>,
    (job, chunk): (JobId, u32),
    left: &Without,
) -> Result<(), StoreError> {
    static ERASE: Statement = Statement::new(
        "update job_chunks set body = $3, refused = refused + $4, cost = cost - $5 \
         where job = $1 and chunk = $2",
    );
    let values = [
        job.0.into(),
        chunk.into(),
        left.body.as_slice().into(),
        left.refused.into(),
        left.cost.0.into(),
    ];
    ERASE.execute(db, &values).await?;
    Ok(())
}

async fn redact_jobs(db: &mut Db<'_>, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
    static OVER: Statement = Statement::new(
        "select id from jobs indexed by jobs_with_texts where completed_at < $1 and template <> '' \
         order by completed_at limit $2",
    );
    static JOB: Statement = Statement::new("update jobs set template = '' where id = $1");
    static CHUNKS: Statement =
        Statement::new("update job_chunks set body = $2 where job = $1 and state = 2");
    let over = OVER.fetch(db, &[before.0.into(), limit.into()]).await?;
    for row in &over {
        let id = row.id(0)?;
        JOB.execute(db, &[id.into()]).await?;
        CHUNKS
            .execute(db, &[id.into(), (&[] as &[u8]).into()])
            .await?;
        campaigns::redact(db, JobId(id)).await?;
    }
    Ok(over.len() as u64)
}

async fn standings(
    db: &mut Db<'_>,
    job: JobId,
    from: u32,
    until: u32,
) -> Result<Vec<Standing>, StoreError> {
    // The chunks first, then each one's run of numbers: SQLite keeps the order of a cross join.
    static STAND: Statement = Statement::new(
        "select c.chunk, m.state, m.sent_at is not null, count(*), \
         cast(sum(m.cost) as bigint) from job_chunks c cross join messages m \
         where c.job = $1 and c.chunk between $2 and $3 \
         and m.seq between c.first_seq and c.last_seq \
         group by c.chunk, m.state, m.sent_at is not null",
    );
    let values = [job.0.into(), from.into(), until.into()];
    let standing = |row: &Row| {
        Ok(Standing {
            chunk: row.small(0)?,
            state: State::from_index(row.int(1)?).ok_or(corrupt("messages.state"))?,
            sent: row.flag(2)?,
            number: row.small(3)?,
            cost: Credits(row.int(4)?),
        })
    };
    STAND
        .fetch(db, &values)
        .await?
        .iter()
        .map(standing)
        .collect()
}

async fn messages_of(
    db: &mut Db<'_>,
    carriers: &Carriers,
    (job, from, until): (JobId, u32, u32),
) -> Result<Vec<MessageView>, StoreError> {
    // As in `standings`.
    static MESSAGES: LazyLock<Statement> = LazyLock::new(|| {
        Statement::made(format!(
            "select {COLUMNS}, m.final_at, m.failure, m.detail, m.possible_duplicate \
             from job_chunks c cross join messages m \
             where c.job = $1 and c.chunk between $2 and $3 \
             and m.seq between c.first_seq and c.last_seq order by m.seq"
        ))
    });
    let values = [job.0.into(), from.into(), until.into()];
    let rows = MESSAGES.fetch(db, &values).await?;
    rows.iter().map(|row| read::viewed(row, carriers)).collect()
}

impl Jobs for Sql {
    async fn insert_job(&mut self, job: &Job, chunks: &[Chunk]) -> Result<(), StoreError> {
        rows::ask!(self, |db| insert_job(db, job, chunks))
    }

    async fn job(&mut self, id: JobId) -> Result<Option<JobView>, StoreError> {
        rows::ask!(self, |db| job(db, id))
    }

    async fn move_job(&mut self, moved: &JobView) -> Result<(), StoreError> {
        rows::ask!(self, |db| move_job(db, moved))
    }

    async fn chunk(&mut self, job: JobId, number: u32) -> Result<Option<ChunkView>, StoreError> {
        rows::ask!(self, |db| chunk(db, job, number))
    }

    async fn expanded(
        &mut self,
        expansion: &Expansion,
        span: Option<(MessageSeq, MessageSeq)>,
    ) -> Result<(), StoreError> {
        rows::ask!(self, |db| expanded(db, expansion, span))
    }

    async fn drop_chunks(&mut self, job: JobId) -> Result<Credits, StoreError> {
        rows::ask!(self, |db| drop_chunks(db, job))
    }

    async fn redact_jobs(&mut self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        rows::ask!(self, |db| redact_jobs(db, before, limit))
    }

    async fn body(&mut self, job: JobId, number: u32) -> Result<Option<Body>, StoreError> {
        let found: Result<Vec<Body>, StoreError> =
            rows::ask!(self, |db| bodies(db, job, number, number));
        Ok(found?.pop())
    }

    async fn erase_recipient(
        &mut self,
        whose: (JobId, u32),
        left: &Without,
    ) -> Result<(), StoreError> {
        rows::ask!(self, |db| erase_recipient(db, whose, left))
    }

    async fn forget_jobs(&mut self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        rows::ask!(self, |db| forget_jobs(db, before, limit))
    }
}

impl Board for Reader {
    async fn job_view(&self, id: JobId) -> Result<Option<JobView>, StoreError> {
        reader::ask!(self, |db| job(db, id))
    }

    async fn job_list(
        &self,
        of: Whose,
        before: Option<JobId>,
        limit: u32,
    ) -> Result<Vec<JobView>, StoreError> {
        reader::ask!(self, |db| job_list(db, of, before, limit))
    }

    async fn due_jobs(
        &self,
        now: Timestamp,
        each: u32,
        limit: u32,
    ) -> Result<Vec<JobView>, StoreError> {
        reader::ask!(self, |db| due_jobs(db, now, each, limit))
    }

    async fn chunks(&self, job: JobId) -> Result<Vec<ChunkView>, StoreError> {
        reader::ask!(self, |db| chunks(db, job))
    }

    async fn bodies(&self, job: JobId, from: u32, until: u32) -> Result<Vec<Body>, StoreError> {
        reader::ask!(self, |db| bodies(db, job, from, until))
    }

    async fn named(&self, after: (JobId, u32), limit: u32) -> Result<Vec<Body>, StoreError> {
        reader::ask!(self, |db| named(db, after, limit))
    }

    async fn standings(
        &self,
        job: JobId,
        from: u32,
        until: u32,
    ) -> Result<Vec<Standing>, StoreError> {
        reader::ask!(self, |db| standings(db, job, from, until))
    }

    async fn messages_of(
        &self,
        job: JobId,
        from: u32,
        until: u32,
    ) -> Result<Vec<MessageView>, StoreError> {
        reader::ask!(self, |db| messages_of(
            db,
            &self.carriers,
            (job, from, until)
        ))
    }
}
