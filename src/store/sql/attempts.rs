//! Lives here: attempts as carriers answered them, intents, and what both leave to the next run.
//! Never here: receipts on attempts (`receipts`); deciding what an answer means.

use std::collections::HashSet;
use std::sync::LazyLock;

use super::bulk::Bulk;
use super::by_id::ById;
use super::db::{Db, Kind};
use super::messages;
use super::statement::Statement;
use crate::domain::ids::{BindName, CarrierId, IntentId, MessageId, MessageSeq, ReceiptKey};
use crate::domain::lifecycle::SegmentState;
use crate::domain::time::Timestamp;
use crate::flow::AttemptRecord;
use crate::store::batch::Intent;
use crate::store::rows::{AttemptId, Candidate, Interrupted, Stored};
use crate::store::{Carriers, StoreError};

/// Whether a segment of the message `m` may be with a carrier: it has been taken, or is in doubt.
/// A scalar rather than `exists`: PostgreSQL may answer that from a table of all attempts, once it
/// takes the list of messages to be long.
pub(in crate::store) const ATTEMPTED: &str = "coalesce((select 1 from attempts a \
     where a.message = m.seq and a.state <> 6 limit 1), 0)";

static WRITE: Bulk = Bulk::new(
    "insert into attempts (message, part, attempt, carrier, bind, sequence, submitted_at, \
     answered_at, state, status, carrier_message_id, normalised, receipt_key, recipient) {rows} \
     on conflict (message, part, attempt) do update set answered_at = excluded.answered_at, \
     state = excluded.state, status = excluded.status, \
     carrier_message_id = excluded.carrier_message_id, normalised = excluded.normalised, \
     receipt_key = excluded.receipt_key, \
     resolved = case excluded.state when 0 then 1 when 6 then 2 end where attempts.state = 7",
    &[
        Kind::Int,
        Kind::Int,
        Kind::Int,
        Kind::Text,
        Kind::Text,
        Kind::Int,
        Kind::Int,
        Kind::Int,
        Kind::Int,
        Kind::Int,
        Kind::Text,
        Kind::Text,
        Kind::Int,
        Kind::Text,
    ],
);

/// As [`Rows::write_attempts`](crate::store::rows::Rows::write_attempts): only an attempt in doubt
/// can be answered a second time, by its late response.
pub(in crate::store) async fn write_attempts(
    db: &mut Db<'_>,
    attempts: &[(&AttemptRecord, Option<ReceiptKey>)],
) -> Result<(), StoreError> {
    WRITE
        .execute(db, attempts, |(record, key)| {
            let id = record.carrier_message_id.as_ref();
            let in_doubt = record.state == SegmentState::InDoubt;
            [
                record.message.seq.0.into(),
                i64::from(record.part).into(),
                i64::from(record.attempt).into(),
                (&*record.carrier.0).into(),
                (&*record.bind.0).into(),
                record.sequence.into(),
                record.submitted_at.0.into(),
                record.answered_at.0.into(),
                record.state.index().into(),
                record.status.map(i64::from).into(),
                id.map(|(raw, _)| &**raw).into(),
                id.map(|(_, normalised)| &**normalised).into(),
                key.map(|key| key.0).into(),
                in_doubt.then(|| record.message.to.digits()).into(),
            ]
        })
        .await?;
    Ok(())
}

/// As [`Rows::standing`](crate::store::rows::Rows::standing).
pub(in crate::store) async fn standing(
    db: &mut Db<'_>,
    messages: &[MessageSeq],
) -> Result<Vec<(AttemptId, SegmentState)>, StoreError> {
    static STANDING: Bulk = Bulk::new(
        "with v (message) as (select distinct * from ({rows}) as r) \
         select a.message, a.part, a.attempt, a.state \
         from v join {attempts} a on a.message == v.message",
        &[Kind::Int],
    );
    let rows = STANDING.fetch(db, messages, |seq| [seq.0.into()]).await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        let id = (MessageSeq(row.int(0)?), row.small(1)?, row.small(2)?);
        let state = SegmentState::from_index(row.int(3)?).ok_or(StoreError::Corrupt {
            what: "attempts.state",
        })?;
        found.push((id, state));
    }
    // Here, not by the database: a long list is asked in pieces, which may name a message twice.
    found.sort_unstable_by_key(|(id, _)| *id);
    found.dedup_by_key(|(id, _)| *id);
    Ok(found)
}

/// As [`Rows::intend`](crate::store::rows::Rows::intend).
pub(in crate::store) async fn intend(
    db: &mut Db<'_>,
    intents: &[Intent],
) -> Result<(), StoreError> {
    static INTEND: Bulk = Bulk::new(
        "insert into intents (id, carrier, bind, at, messages) {rows} {once}",
        &[Kind::Int, Kind::Text, Kind::Text, Kind::Int, Kind::Bytes],
    );
    let packed: Vec<(&Intent, Vec<u8>)> = intents
        .iter()
        .map(|intent| {
            let seqs = intent.batch.iter().map(|ready| ready.message.seq);
            (intent, seqs.flat_map(|seq| seq.0.to_be_bytes()).collect())
        })
        .collect();
    INTEND
        .execute(db, &packed, |(intent, seqs)| {
            [
                intent.id.0.into(),
                (&*intent.carrier.0).into(),
                (&*intent.bind.0).into(),
                intent.at.0.into(),
                (&**seqs).into(),
            ]
        })
        .await?;
    Ok(())
}

/// As [`Rows::close_intents`](crate::store::rows::Rows::close_intents).
pub(in crate::store) async fn close_intents(
    db: &mut Db<'_>,
    intents: &[IntentId],
) -> Result<(), StoreError> {
    static CLOSE: Bulk = Bulk::new("delete from intents where id in ({rows})", &[Kind::Int]);
    CLOSE.execute(db, intents, |id| [id.0.into()]).await?;
    Ok(())
}

/// As [`Rows::under_way`](crate::store::rows::Rows::under_way).
pub(in crate::store) async fn under_way(
    db: &mut Db<'_>,
) -> Result<HashSet<MessageSeq>, StoreError> {
    static OPEN: Statement = Statement::new("select messages from intents");
    let rows = OPEN.fetch(db, &[]).await?;
    let mut found = HashSet::new();
    for row in &rows {
        found.extend(unpacked(row.bytes(0)?));
    }
    Ok(found)
}

/// The messages of an intent, as its row holds them.
fn unpacked(octets: &[u8]) -> impl Iterator<Item = MessageSeq> {
    let (numbers, _) = octets.as_chunks::<8>();
    numbers
        .iter()
        .map(|number| MessageSeq(i64::from_be_bytes(*number)))
}

/// As [`Rows::interrupted`](crate::store::rows::Rows::interrupted).
pub(in crate::store) async fn interrupted(db: &mut Db<'_>) -> Result<Vec<Interrupted>, StoreError> {
    static OPEN: Statement =
        Statement::new("select carrier, bind, at, messages from intents order by id desc");
    let rows = OPEN.fetch(db, &[]).await?;
    let mut found = Vec::new();
    for row in &rows {
        let carrier = CarrierId(row.text(0)?.into());
        let bind = BindName(row.text(1)?.into());
        let at = Timestamp(row.int(2)?);
        found.extend(unpacked(row.bytes(3)?).map(|message| Interrupted {
            message,
            carrier: carrier.clone(),
            bind: bind.clone(),
            at,
        }));
    }
    // Stable: the newest intent's stays the first of its message.
    found.sort_by_key(|one| one.message);
    found.dedup_by_key(|one| one.message);
    Ok(found)
}

/// The rows of interrupted attempts. Their sequence number is not known any more (0). Without an
/// order among them: it would be a reason for PostgreSQL to read all messages in theirs.
static INTERRUPTED: Bulk = Bulk::new(
    "with recursive v (message, carrier, bind, at) as ({rows}), \
     n (part) as (select 1 union all select part + 1 from n where part < 16) \
     insert into attempts (message, part, attempt, carrier, bind, sequence, submitted_at, \
     answered_at, state, recipient) \
     select m.seq, n.part, 1 + coalesce((select max(a.attempt) from attempts a \
     where a.message == m.seq), 0), v.carrier, v.bind, 0, v.at, v.at, 7, m.recipient \
     from v join messages m on m.seq == v.message join n on n.part <= m.segments \
     where +m.state in (1, 3) and coalesce((select 1 from attempts a where a.message == m.seq \
     and a.part = n.part and a.state not in (6, 7) limit 1), 0) = 0 on conflict do nothing",
    &[Kind::Int, Kind::Text, Kind::Text, Kind::Int],
);

/// As [`Rows::doubt`](crate::store::rows::Rows::doubt). One that was in doubt already, or an OTP
/// (its first attempt has no intent), has had its one resend.
pub(in crate::store) async fn doubt(
    db: &mut Db<'_>,
    interrupted: &[Interrupted],
) -> Result<u64, StoreError> {
    static DOUBT: Bulk = Bulk::new(
        "with v (seq) as ({rows}) update messages set state = 3, possible_duplicate = \
         case when state = 3 or class = 0 then 1 else possible_duplicate end \
         from v where +messages.state in (1, 3) and messages.seq == v.seq",
        &[Kind::Int],
    );
    static FORGET: Statement = Statement::new("delete from intents");
    // A message named in two pieces of the list would have been in doubt already for the second.
    let mut each: Vec<&Interrupted> = interrupted.iter().collect();
    each.sort_by_key(|one| one.message);
    each.dedup_by_key(|one| one.message);
    INTERRUPTED
        .execute(db, &each, |one| {
            [
                one.message.0.into(),
                (&*one.carrier.0).into(),
                (&*one.bind.0).into(),
                one.at.0.into(),
            ]
        })
        .await?;
    let doubted = DOUBT
        .execute(db, &each, |one| [one.message.0.into()])
        .await?;
    FORGET.execute(db, &[]).await?;
    Ok(doubted)
}

/// As [`Rows::candidate`](crate::store::rows::Rows::candidate), for the writer and for readers.
pub(in crate::store) async fn candidate(
    db: &mut Db<'_>,
    carriers: &Carriers,
    id: MessageId,
) -> Result<Option<Candidate>, StoreError> {
    static CANDIDATE: LazyLock<ById> =
        LazyLock::new(|| ById::new(&format!(", {ATTEMPTED}, m.possible_duplicate")));
    let row = CANDIDATE.fetch(db, id).await?;
    let Some(row) = row else { return Ok(None) };
    let Stored { message, state, .. } = messages::message(&row, carriers)?;
    Ok(Some(Candidate {
        message,
        state,
        attempted: row.flag(messages::NEXT)?,
        possible_duplicate: row.flag(messages::NEXT + 1)?,
    }))
}
