//! Lives here: what operators change of what waits, and what they read: the audit, holds, sweeps,
//! single messages cancelled or resent, the tally of all queues.
//! Never here: recalling lanes, deciding whether an OTP may be with a bind.

use std::sync::Arc;
use std::time::Duration;

use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqlitePool, SqliteRow};

use super::bulk::Bulk;
use super::judge::{ATTEMPTED, candidate, may_cancel, may_resend, under_way};
use super::{Sqlite, accept};
use crate::domain::class::Class;
use crate::domain::ids::{self, CarrierId, MessageId, MessageSeq, OrgId};
use crate::domain::message::{FailureCode, Message, State};
use crate::domain::time::Timestamp;
use crate::flow::Transition;
use crate::flow::health::Hold;
use crate::store::batch::{ChoreDone, Effects};
use crate::store::control::{
    AuditEntry, Bookmark, Control, Controlled, HoldRow, Obstacle, Sweep, SweepAudit, Swept, Tally,
};
use crate::store::{Carriers, MessageView, StoreError};

/// For so long every batch is looked at after an operator has changed what waits: a bind may have
/// taken a message before its lane was recalled, and ask for its intent after.
const WATCHFUL: Duration = Duration::from_secs(300);
/// Rows that one round looks at: accepts that come meanwhile wait for a few milliseconds.
const ROUND: usize = 256;

impl Sqlite {
    /// What an operator wants changed.
    pub(super) async fn control(
        &mut self,
        control: &Control,
        effects: &mut Effects,
    ) -> Result<Controlled, StoreError> {
        match control {
            Control::Note => {}
            Control::Hold(row) => hold(&mut self.conn, row).await?,
            Control::Free(carrier) => free(&mut self.conn, carrier).await?,
            Control::Sweep(sweep) => {
                return self.sweep(sweep, effects).await.map(Controlled::Swept);
            }
            Control::Cancel {
                message,
                at,
                detail,
                otp,
            } => return self.cancel(*message, *at, detail, *otp, effects).await,
            Control::Resend { message, at } => return self.resend(*message, *at).await,
        }
        Ok(Controlled::Done)
    }

    async fn sweep(&mut self, sweep: &Sweep, effects: &mut Effects) -> Result<Swept, StoreError> {
        self.watchful_until = sweep.at + WATCHFUL;
        let round = round(&mut self.conn, &self.carriers, sweep, self.unsure).await?;
        let changed = if let Some(to) = &sweep.to {
            let next_place = &mut self.next_place;
            let next = || {
                *next_place += 1;
                ids::Place(*next_place - 1)
            };
            to_lane(&mut self.conn, &round.moved, to, next).await?
        } else {
            let moves: Vec<_> = round.cancelled.iter().collect();
            self.transitions(&moves, effects).await?;
            moves.len() as u64
        };
        let so_far = (changed, round.spared);
        let ended = round.next.is_none() && sweep.last;
        let audit = note_round(&mut self.conn, &sweep.audit, so_far, ended).await?;
        Ok(Swept {
            changed,
            spared: round.spared,
            next: round.next,
            audit,
        })
    }

    async fn cancel(
        &mut self,
        id: MessageId,
        at: Timestamp,
        detail: &str,
        otp: bool,
        effects: &mut Effects,
    ) -> Result<Controlled, StoreError> {
        self.watchful_until = at + WATCHFUL;
        let Some(found) = candidate(&mut self.conn, &self.carriers, id).await? else {
            return Ok(Controlled::Left(Obstacle::Missing));
        };
        if let Err(why) = may_cancel(&mut self.conn, &found, otp, self.unsure).await? {
            return Ok(Controlled::Left(why));
        }
        let cancelling = cancelling(found.message, at, detail);
        self.transitions(&[&cancelling], effects).await?;
        Ok(Controlled::Done)
    }

    async fn resend(&mut self, id: MessageId, at: Timestamp) -> Result<Controlled, StoreError> {
        let Some(found) = candidate(&mut self.conn, &self.carriers, id).await? else {
            return Ok(Controlled::Left(Obstacle::Missing));
        };
        if let Err(why) = may_resend(&mut self.conn, &found, at).await? {
            return Ok(Controlled::Left(why));
        }
        let place = self.next_place();
        requeue(&mut self.conn, found.message.seq, place).await?;
        Ok(Controlled::Done)
    }
}

/// Writes the line of the audit that belongs to a chore, with what came of it.
pub(super) async fn note_done(
    conn: &mut SqliteConnection,
    entry: &AuditEntry,
    done: &ChoreDone,
) -> sqlx::Result<()> {
    let refused = match done {
        ChoreDone::Created(false) => Some("refused: there is one already, or not what it is for"),
        ChoreDone::Controlled(Controlled::Left(why)) => Some(why.name()),
        ChoreDone::Created(true)
        | ChoreDone::Count(_)
        | ChoreDone::Events(_)
        | ChoreDone::Receipts(_)
        | ChoreDone::Controlled(Controlled::Done | Controlled::Swept(_)) => None,
    };
    let mut entry = entry.clone();
    if let Some(refused) = refused {
        entry.outcome = refused.into();
    }
    note(conn, &entry).await.map(drop)
}

/// Writes a line of the audit; returns its row.
async fn note(conn: &mut SqliteConnection, entry: &AuditEntry) -> sqlx::Result<i64> {
    let done = sqlx::query(
        "insert into audit (at, actor, action, subject, detail, outcome) values (?, ?, ?, ?, ?, ?)",
    )
    .bind(entry.at.0)
    .bind(&*entry.actor)
    .bind(&*entry.action)
    .bind(&*entry.subject)
    .bind(&*entry.detail)
    .bind(&*entry.outcome)
    .execute(conn)
    .await?;
    Ok(done.last_insert_rowid())
}

/// Remembers a hold instead of what was known of its account.
async fn hold(conn: &mut SqliteConnection, hold: &HoldRow) -> sqlx::Result<()> {
    sqlx::query(
        "insert or replace into holds (carrier, kind, reason, actor, at, until) \
         values (?, ?, ?, ?, ?, ?)",
    )
    .bind(accept::carrier_text(&hold.carrier))
    .bind(hold.hold.name())
    .bind(&*hold.reason)
    .bind(&*hold.actor)
    .bind(hold.at.0)
    .bind(hold.until.map(|until| until.0))
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets a hold.
async fn free(conn: &mut SqliteConnection, carrier: &CarrierId) -> sqlx::Result<()> {
    sqlx::query("delete from holds where carrier = ?")
        .bind(accept::carrier_text(carrier))
        .execute(conn)
        .await?;
    Ok(())
}

/// What a round has found.
struct Round {
    /// Messages to cancel.
    cancelled: Vec<Transition>,
    /// Messages to put at the end of another lane.
    moved: Vec<MessageSeq>,
    /// Messages left alone.
    spared: u64,
    /// Where to go on.
    next: Option<Bookmark>,
}

/// Looks at the next rows of a lane and sorts them: what can be changed, and what may be with a
/// carrier. An OTP up to `unsure` may have been sent by a run that did not end well.
async fn round(
    conn: &mut SqliteConnection,
    carriers: &Carriers,
    sweep: &Sweep,
    unsure: ids::Place,
) -> Result<Round, StoreError> {
    let intended = under_way(conn).await?;
    let which = match sweep.org {
        Some(_) => "m.org = ? and m.place > ?",
        None => "(m.org, m.place) > (?, ?)",
    };
    let sql = sqlx::AssertSqlSafe(format!(
        "select {}, m.place, {ATTEMPTED} from messages m indexed by messages_waiting \
         where m.state = 1 and m.carrier = ? and m.class = ? and {which} \
         order by m.org, m.place limit ?",
        accept::COLUMNS
    ));
    let Bookmark(org, place) = match (sweep.after, sweep.org) {
        (Some(after), _) => after,
        (None, org) => Bookmark(org.unwrap_or(OrgId(uuid::Uuid::nil())), -1),
    };
    let rows = sqlx::query(sql)
        .bind(&*sweep.carrier)
        .bind(sweep.class.index() as i64)
        .bind(org.0.as_bytes().to_vec())
        .bind(place)
        .bind(ROUND as i64)
        .fetch_all(&mut *conn)
        .await?;
    let mut round = Round {
        cancelled: Vec::new(),
        moved: Vec::new(),
        spared: 0,
        next: None,
    };
    for row in &rows {
        let stored = accept::message(row, carriers);
        let place = Bookmark(OrgId(accept::uuid(row, 2)?), row.try_get(18)?);
        if rows.len() == ROUND {
            round.next = Some(place);
        }
        // A row that cannot be read is nothing to stop all writing for.
        let Ok(accept::Stored { message, .. }) = stored else {
            round.spared += 1;
            continue;
        };
        if sweep
            .accepted_before
            .is_some_and(|before| message.accepted_at >= before)
        {
            continue;
        }
        let attempted: bool = row.try_get(19)?;
        let unsure = message.class == Class::Otp && message.seq.0 <= unsure.0;
        if attempted || unsure || intended.contains(&message.seq.0) {
            round.spared += 1;
        } else if sweep.to.is_some() {
            round.moved.push(message.seq);
        } else {
            round
                .cancelled
                .push(cancelling(message, sweep.at, &sweep.detail));
        }
    }
    Ok(round)
}

static TO_LANE: Bulk = Bulk::new(
    "with v (seq, carrier, place) as (values",
    "(?,?,?)",
    ") update messages set carrier = v.carrier, place = v.place from v \
     where messages.seq = v.seq and messages.state = 1",
);

/// Puts queued messages at the end of another account's lane, in their order.
async fn to_lane(
    conn: &mut SqliteConnection,
    messages: &[MessageSeq],
    to: &CarrierId,
    mut next: impl FnMut() -> ids::Place,
) -> sqlx::Result<u64> {
    let rows: Vec<_> = messages.iter().map(|seq| (*seq, next())).collect();
    TO_LANE
        .execute(conn, &rows, |query, (seq, place)| {
            query
                .bind(seq.0)
                .bind(accept::carrier_text(to))
                .bind(place.0)
        })
        .await
}

/// Writes how far a command has come; returns the row.
async fn note_round(
    conn: &mut SqliteConnection,
    audit: &SweepAudit,
    (changed, spared): (u64, u64),
    ended: bool,
) -> sqlx::Result<i64> {
    let (changed, spared) = (audit.before.0 + changed, audit.before.1 + spared);
    let so_far = if ended { "" } else { "so far " };
    let outcome = format!("{so_far}{changed} changed, {spared} left alone");
    let Some(row) = audit.row else {
        let entry = AuditEntry {
            outcome: outcome.into(),
            ..audit.entry.clone()
        };
        return note(conn, &entry).await;
    };
    sqlx::query("update audit set outcome = ? where id = ?")
        .bind(outcome)
        .bind(row)
        .execute(conn)
        .await?;
    Ok(row)
}

/// The move of a cancelled message.
fn cancelling(message: Message, at: Timestamp, detail: &str) -> Transition {
    Transition {
        carrier: message.carrier,
        message: Arc::new(message),
        to: State::Cancelled,
        at,
        sent_at: None,
        failure: Some(FailureCode::Canceled),
        detail: Some(detail.into()),
        possible_duplicate: false,
    }
}

/// Puts a message in doubt back into its lane, at the end, marked.
async fn requeue(
    conn: &mut SqliteConnection,
    message: MessageSeq,
    place: ids::Place,
) -> sqlx::Result<()> {
    sqlx::query(
        "update messages set state = 1, place = ?, possible_duplicate = 1 \
         where seq = ? and state = 3",
    )
    .bind(place.0)
    .bind(message.0)
    .execute(conn)
    .await?;
    Ok(())
}

/// The audit's last lines.
pub(super) async fn audit(pool: &SqlitePool, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
    let rows = sqlx::query(
        "select at, actor, action, subject, detail, outcome from audit order by id desc limit ?",
    )
    .bind(limit)
    .fetch_all(pool)
    .await?;
    let text = |row: &SqliteRow, column| row.try_get::<&str, _>(column).map(Into::into);
    let entry = |row: &SqliteRow| -> sqlx::Result<AuditEntry> {
        Ok(AuditEntry {
            at: Timestamp(row.try_get(0)?),
            actor: text(row, 1)?,
            action: text(row, 2)?,
            subject: text(row, 3)?,
            detail: text(row, 4)?,
            outcome: text(row, 5)?,
        })
    };
    Ok(rows.iter().map(entry).collect::<sqlx::Result<_>>()?)
}

/// All holds.
pub(super) async fn holds(pool: &SqlitePool) -> Result<Vec<HoldRow>, StoreError> {
    let rows =
        sqlx::query("select carrier, kind, reason, actor, at, until from holds order by carrier")
            .fetch_all(pool)
            .await?;
    let mut holds = Vec::with_capacity(rows.len());
    for row in &rows {
        let kind: &str = row.try_get(1)?;
        let known = [Hold::Paused, Hold::Draining];
        let hold = known.into_iter().find(|hold| hold.name() == kind);
        holds.push(HoldRow {
            carrier: CarrierId(row.try_get::<&str, _>(0)?.into()),
            hold: hold.ok_or(StoreError::Corrupt { what: "holds.kind" })?,
            reason: row.try_get::<&str, _>(2)?.into(),
            actor: row.try_get::<&str, _>(3)?.into(),
            at: Timestamp(row.try_get(4)?),
            until: row.try_get::<Option<i64>, _>(5)?.map(Timestamp),
        });
    }
    Ok(holds)
}

/// What waits, by lane and organisation. Queued messages are counted in their index alone: there
/// may be a million; of the other states each row is read.
pub(super) async fn tallies(pool: &SqlitePool) -> Result<Vec<Tally>, StoreError> {
    let rows = sqlx::query(
        "select w.carrier, w.class, w.org, 1, w.n, (select m.accepted_at from messages m \
         indexed by messages_waiting where m.state = 1 and m.carrier = w.carrier \
         and m.class = w.class and m.org = w.org and m.place = w.first limit 1), null, o.name \
         from (select carrier, class, org, count(*) as n, min(place) as first from messages \
         indexed by messages_waiting where state = 1 group by carrier, class, org) w \
         left join organisations o on o.id = w.org \
         union all select m.carrier, m.class, m.org, 0, count(*), min(m.accepted_at), \
         min(m.due_at), o.name from messages m indexed by messages_scheduled \
         left join organisations o on o.id = m.org where m.state = 0 \
         group by m.carrier, m.class, m.org \
         union all select m.carrier, m.class, m.org, 3, count(*), min(m.accepted_at), null, o.name \
         from messages m indexed by messages_in_doubt left join organisations o on o.id = m.org \
         where m.state = 3 group by m.carrier, m.class, m.org",
    )
    .fetch_all(pool)
    .await?;
    let mut tallies = Vec::with_capacity(rows.len());
    for row in &rows {
        let class = Class::from_index(row.try_get(1)?);
        let state = State::from_index(row.try_get(3)?);
        tallies.push(Tally {
            carrier: row.try_get::<&str, _>(0)?.into(),
            class: class.ok_or(StoreError::Corrupt {
                what: "messages.class",
            })?,
            org: OrgId(accept::uuid(row, 2)?),
            org_name: row
                .try_get::<Option<&str>, _>(7)?
                .unwrap_or_default()
                .into(),
            state: state.ok_or(StoreError::Corrupt {
                what: "messages.state",
            })?,
            messages: row.try_get::<i64, _>(4)?.unsigned_abs(),
            oldest: Timestamp(row.try_get::<Option<i64>, _>(5)?.unwrap_or_default()),
            due: row.try_get::<Option<i64>, _>(6)?.map(Timestamp),
        });
    }
    Ok(tallies)
}

/// How many of its lane stand before a queued message.
pub(super) async fn ahead_of(pool: &SqlitePool, id: MessageId) -> Result<u64, StoreError> {
    let row = sqlx::query(
        "select count(*) from messages m indexed by messages_waiting join messages own \
         on m.carrier = own.carrier and m.class = own.class and m.place < own.place \
         where own.id = ? and own.state = 1 and m.state = 1",
    )
    .bind(id.0.as_bytes().to_vec())
    .fetch_one(pool)
    .await?;
    Ok(row.try_get::<i64, _>(0)?.unsigned_abs())
}

/// How many queued messages of a lane there are to be swept, and the ids of the first few.
pub(super) async fn preview(
    pool: &SqlitePool,
    (carrier, class): (&str, Class),
    org: Option<OrgId>,
    accepted_before: Option<Timestamp>,
) -> Result<(u64, Vec<MessageId>), StoreError> {
    const SAMPLE: u32 = 5;
    let mut which = "messages m indexed by messages_waiting where m.state = 1 and m.carrier = ?1 \
                     and m.class = ?2"
        .to_owned();
    if org.is_some() {
        which.push_str(" and m.org = ?3");
    }
    // Without it the index alone is counted.
    if accepted_before.is_some() {
        which.push_str(" and m.accepted_at < ?4");
    }
    let bound = |sql: String| {
        sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(carrier.to_owned())
            .bind(class.index() as i64)
            .bind(org.map(|org| org.0.as_bytes().to_vec()))
            .bind(accepted_before.map(|before| before.0))
    };
    let row = bound(format!("select count(*) from {which}"))
        .fetch_one(pool)
        .await?;
    let count = row.try_get::<i64, _>(0)?.unsigned_abs();
    let sample = format!("select m.id from {which} order by m.org, m.place limit {SAMPLE}");
    let rows = bound(sample).fetch_all(pool).await?;
    let id = |row: &SqliteRow| accept::uuid(row, 0).map(MessageId);
    Ok((count, rows.iter().map(id).collect::<Result<_, _>>()?))
}

/// A message of any organisation, and the account by whose id its row stands.
pub(super) async fn any_message(
    pool: &SqlitePool,
    carriers: &Carriers,
    id: MessageId,
) -> Result<Option<(MessageView, Box<str>)>, StoreError> {
    let row = sqlx::query("select org, carrier from messages where id = ?")
        .bind(id.0.as_bytes().to_vec())
        .fetch_optional(pool)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let org = OrgId(accept::uuid(&row, 0)?);
    let carrier = row.try_get::<&str, _>(1)?.into();
    let view = super::read::message(pool, carriers, org, id).await?;
    Ok(view.map(|view| (view, carrier)))
}
