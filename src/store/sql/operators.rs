//! Lives here: what operators leave in the rows: the audit, holds, lanes swept, a message queued
//! anew.
//! Never here: what may be swept or queued (`engine`), counting what waits (`tallies`).

use std::sync::LazyLock;

use uuid::Uuid;

use super::attempts::ATTEMPTED;
use super::bulk::Bulk;
use super::db::{Db, Kind, Row, Value};
use super::messages::{COLUMNS, NEXT, message};
use super::statement::Statement;
use crate::domain::ids::{CarrierId, MessageSeq, OrgId, Place};
use crate::domain::time::Timestamp;
use crate::flow::health::Hold;
use crate::store::control::{AuditEntry, Bookmark, HoldRow, Sweep};
use crate::store::rows::LaneRow;
use crate::store::{Carriers, StoreError};

/// Writes a line of the audit; returns its row.
pub(in crate::store) async fn note(db: &mut Db<'_>, entry: &AuditEntry) -> Result<i64, StoreError> {
    static NOTE: Statement = Statement::new(
        "insert into audit (at, actor, action, subject, detail, outcome) \
         values ($1, $2, $3, $4, $5, $6) returning id",
    );
    let values = [
        entry.at.0.into(),
        (&*entry.actor).into(),
        (&*entry.action).into(),
        (&*entry.subject).into(),
        (&*entry.detail).into(),
        (&*entry.outcome).into(),
    ];
    Ok(NOTE.fetch_one(db, &values).await?.int(0)?)
}

/// Replaces the outcome of a line of the audit.
pub(in crate::store) async fn renote(
    db: &mut Db<'_>,
    row: i64,
    outcome: &str,
) -> Result<(), StoreError> {
    static RENOTE: Statement = Statement::new("update audit set outcome = $1 where id = $2");
    RENOTE.execute(db, &[outcome.into(), row.into()]).await?;
    Ok(())
}

/// The audit's last lines, newest first.
pub(in crate::store) async fn audit(
    db: &mut Db<'_>,
    limit: u32,
) -> Result<Vec<AuditEntry>, StoreError> {
    static AUDIT: Statement = Statement::new(
        "select at, actor, action, subject, detail, outcome from audit order by id desc limit $1",
    );
    let rows = AUDIT.fetch(db, &[limit.into()]).await?;
    let entry = |row: &Row| -> Result<AuditEntry, StoreError> {
        Ok(AuditEntry {
            at: Timestamp(row.int(0)?),
            actor: row.text(1)?.into(),
            action: row.text(2)?.into(),
            subject: row.text(3)?.into(),
            detail: row.text(4)?.into(),
            outcome: row.text(5)?.into(),
        })
    };
    rows.iter().map(entry).collect()
}

/// Remembers a hold instead of what was known of its account.
pub(in crate::store) async fn hold(db: &mut Db<'_>, hold: &HoldRow) -> Result<(), StoreError> {
    static HOLD: Statement = Statement::new(
        "insert into holds (carrier, kind, reason, actor, at, until) \
         values ($1, $2, $3, $4, $5, $6) on conflict (carrier) do update set \
         kind = excluded.kind, reason = excluded.reason, actor = excluded.actor, \
         at = excluded.at, until = excluded.until",
    );
    let values = [
        (&*hold.carrier.0).into(),
        hold.hold.name().into(),
        (&*hold.reason).into(),
        (&*hold.actor).into(),
        hold.at.0.into(),
        hold.until.map(|until| until.0).into(),
    ];
    HOLD.execute(db, &values).await?;
    Ok(())
}

/// Forgets a hold.
pub(in crate::store) async fn free(db: &mut Db<'_>, carrier: &CarrierId) -> Result<(), StoreError> {
    static FREE: Statement = Statement::new("delete from holds where carrier = $1");
    FREE.execute(db, &[(&*carrier.0).into()]).await?;
    Ok(())
}

/// All holds, by account.
pub(in crate::store) async fn holds(db: &mut Db<'_>) -> Result<Vec<HoldRow>, StoreError> {
    static HOLDS: Statement = Statement::new(
        "select carrier, kind, reason, actor, at, until from holds order by carrier",
    );
    let rows = HOLDS.fetch(db, &[]).await?;
    let mut holds = Vec::with_capacity(rows.len());
    for row in &rows {
        let kind = row.text(1)?;
        let known = [Hold::Paused, Hold::Draining];
        let hold = known.into_iter().find(|hold| hold.name() == kind);
        holds.push(HoldRow {
            carrier: CarrierId(row.text(0)?.into()),
            hold: hold.ok_or(StoreError::Corrupt { what: "holds.kind" })?,
            reason: row.text(2)?.into(),
            actor: row.text(3)?.into(),
            at: Timestamp(row.int(4)?),
            until: row.opt_int(5)?.map(Timestamp),
        });
    }
    Ok(holds)
}

/// The organisations of a lane that are looked at, both ends included: one, or all.
pub(super) fn organisations(org: Option<OrgId>) -> (Uuid, Uuid) {
    org.map_or((Uuid::nil(), Uuid::max()), |org| (org.0, org.0))
}

/// At most `limit` queued messages of the sweep's lane behind its bookmark, by organisation and
/// place. A row that cannot be read is nothing to stop all writing for: it has no message.
pub(in crate::store) async fn lane_page(
    db: &mut Db<'_>,
    carriers: &Carriers,
    sweep: &Sweep,
    limit: u32,
) -> Result<Vec<LaneRow>, StoreError> {
    static PAGE: LazyLock<Statement> = LazyLock::new(|| {
        Statement::made(format!(
            "select {COLUMNS}, m.place, {ATTEMPTED} \
             from messages m indexed by messages_waiting \
             where m.state = 1 and m.carrier = $1 and m.class = $2 \
             and (m.org, m.place) > ($3, $4) and m.org <= $5 \
             order by m.org, m.place limit $6"
        ))
    });
    let (first, last) = organisations(sweep.org);
    let Bookmark(org, place) = sweep.after.unwrap_or(Bookmark(OrgId(first), -1));
    let values = [
        (&*sweep.carrier).into(),
        (sweep.class.index() as i64).into(),
        org.0.into(),
        place.into(),
        last.into(),
        limit.into(),
    ];
    let rows = PAGE.fetch(db, &values).await?;
    let one = |row: &Row| -> Result<LaneRow, StoreError> {
        Ok(LaneRow {
            org: OrgId(row.id(2)?),
            place: Place(row.int(NEXT)?),
            attempted: row.flag(NEXT + 1)?,
            message: message(row, carriers).ok().map(|stored| stored.message),
        })
    };
    rows.iter().map(one).collect()
}

/// Puts queued messages into another account's lane; returns how many.
pub(in crate::store) async fn to_lane(
    db: &mut Db<'_>,
    placed: &[(MessageSeq, Place)],
    to: &CarrierId,
) -> Result<u64, StoreError> {
    // The plus keeps PostgreSQL from reading all that is queued: it would go by the small index of
    // that rather than by the numbers.
    static TO_LANE: Bulk = Bulk::new(
        "with v (seq, carrier, place) as ({rows}) \
         update {messages} as messages set carrier = v.carrier, place = v.place from v \
         where messages.seq == v.seq and +messages.state = 1",
        &[Kind::Int, Kind::Text, Kind::Int],
    );
    let moved = TO_LANE
        .execute(db, placed, |(seq, place)| -> [Value<'_>; 3] {
            [seq.0.into(), (&*to.0).into(), place.0.into()]
        })
        .await?;
    Ok(moved)
}

/// Queues a message in doubt anew, marked as a possible duplicate.
pub(in crate::store) async fn requeue(
    db: &mut Db<'_>,
    message: MessageSeq,
    place: Place,
) -> Result<(), StoreError> {
    static REQUEUE: Statement = Statement::new(
        "update messages set state = 1, place = $1, possible_duplicate = 1 \
         where seq = $2 and state = 3",
    );
    REQUEUE
        .execute(db, &[place.0.into(), message.0.into()])
        .await?;
    Ok(())
}
