//! Lives here: a message's row: writing it, reading it back, and every change of where it stands.
//! Never here: attempts, receipts, events; whether a change should be made (`engine`).

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock};

use super::bulk::Bulk;
use super::db::{Db, Kind, Row, Value, readable};
use super::statement::Statement;
use crate::domain::class::Class;
use crate::domain::credits::Credits;
use crate::domain::ids::{CarrierId, CarrierIndex, MessageId, MessageSeq, OrgId, Place};
use crate::domain::message::{Encoding, FailureCode, Message, State};
use crate::domain::phone::{Msisdn, Sender};
use crate::domain::time::Timestamp;
use crate::flow::Reroute;
use crate::store::rows::{self, Move, Overdue, Stored};
use crate::store::{Carriers, StoreError};

/// The columns that [`message`] reads, under the alias `m`.
pub(in crate::store) const COLUMNS: &str = "m.seq, m.id, m.org, m.class, m.state, m.carrier, \
     m.recipient, m.sender, m.body, m.encoding, m.segments, m.webhook_url, m.metadata, m.tags, \
     m.accepted_at, m.due_at, m.valid_until, m.sent_at, m.client_ref, m.live, m.cost";

/// Where what a statement selects behind [`COLUMNS`] begins.
pub(in crate::store) const NEXT: usize = 21;

/// Reads a row selected with [`COLUMNS`]. An account that is configured no more reads as index
/// `u16::MAX`.
pub(in crate::store) fn message(row: &Row, carriers: &Carriers) -> Result<Stored, StoreError> {
    let corrupt = |what: &'static str| StoreError::Corrupt { what };
    let state = State::from_index(row.int(4)?).ok_or_else(|| corrupt("messages.state"))?;
    let message = Message {
        seq: MessageSeq(row.int(0)?),
        id: MessageId(row.id(1)?),
        org: OrgId(row.id(2)?),
        class: Class::from_index(row.int(3)?).ok_or_else(|| corrupt("messages.class"))?,
        to: Msisdn::from_store(row.text(6)?).map_err(|_| corrupt("messages.recipient"))?,
        from: Sender::parse(row.text(7)?).map_err(|_| corrupt("messages.sender"))?,
        body: row.text(8)?.into(),
        encoding: Encoding::from_index(row.int(9)?).ok_or_else(|| corrupt("messages.encoding"))?,
        segments: row.small(10)?,
        carrier: carriers
            .index(row.text(5)?)
            .unwrap_or(CarrierIndex(u16::MAX)),
        webhook_url: row.opt_text(11)?.map(Into::into),
        metadata: row.opt_text(12)?.map(Into::into),
        tags: row.opt_text(13)?.map(Into::into),
        client_ref: row.opt_text(18)?.map(Into::into),
        live: row.flag(19)?,
        cost: Credits(row.int(20)?),
        accepted_at: Timestamp(row.int(14)?),
        due_at: Timestamp(row.int(15)?),
        valid_until: Timestamp(row.int(16)?),
    };
    Ok(Stored {
        message,
        state,
        sent_at: row.opt_int(17)?.map(Timestamp),
    })
}

/// A failure code's column.
pub(in crate::store) fn failure(text: Option<&str>) -> Option<FailureCode> {
    text.and_then(FailureCode::parse)
}

/// An account's id as rows hold it; empty for one that is configured no more.
pub(in crate::store) fn account(carriers: &Carriers, index: CarrierIndex) -> &str {
    carriers.id(index).map_or("", |id| &id.0)
}

/// The numbers that the message with this id has most likely: the first, and the first that is
/// none of them any more. A UUIDv7 tells when it was made, and the number's day is that of the
/// acceptance, of the same moment or a little later. A look-up by id is quick within them where
/// messages are kept in a table for each day, and must look everywhere else when it finds nothing
/// (a clock that went back). `None`: the id tells no time.
pub(in crate::store) fn likely(id: MessageId) -> Option<(MessageSeq, MessageSeq)> {
    let (seconds, _) = id.0.get_timestamp()?.to_unix();
    let made = i64::try_from(seconds).ok()?.checked_mul(1000)?;
    let day = rows::day_of(Timestamp(made));
    Some((rows::first_of_day(day), rows::first_of_day(day + 2)))
}

static INSERT: Bulk = Bulk::new(
    "insert into messages (seq, id, org, class, state, carrier, recipient, sender, body, encoding, \
     segments, webhook_url, metadata, tags, client_ref, live, cost, accepted_at, due_at, \
     valid_until, place) {rows} \
     {once}",
    &[
        Kind::Int,
        Kind::Id,
        Kind::Id,
        Kind::Int,
        Kind::Int,
        Kind::Text,
        Kind::Text,
        Kind::Text,
        Kind::Text,
        Kind::Int,
        Kind::Int,
        Kind::Text,
        Kind::Text,
        Kind::Text,
        Kind::Text,
        Kind::Int,
        Kind::Int,
        Kind::Int,
        Kind::Int,
        Kind::Int,
        Kind::Int,
    ],
);

/// As [`rows::Rows::insert_messages`].
pub(in crate::store) async fn insert_messages(
    db: &mut Db<'_>,
    carriers: &Carriers,
    messages: &[Arc<Message>],
) -> Result<(), StoreError> {
    INSERT
        .execute(db, messages, |message| {
            [
                message.seq.0.into(),
                message.id.0.into(),
                message.org.0.into(),
                (message.class.index() as i64).into(),
                message.initial_state().index().into(),
                account(carriers, message.carrier).into(),
                message.to.digits().into(),
                message.from.as_str().into(),
                (&*message.body).into(),
                message.encoding.index().into(),
                i64::from(message.segments).into(),
                message.webhook_url.as_deref().into(),
                message.metadata.as_deref().into(),
                message.tags.as_deref().into(),
                message.client_ref.as_deref().into(),
                message.live.into(),
                message.cost.0.into(),
                message.accepted_at.0.into(),
                message.due_at.0.into(),
                message.valid_until.0.into(),
                message.seq.0.into(),
            ]
        })
        .await?;
    Ok(())
}

/// As [`rows::Rows::messages`].
pub(in crate::store) async fn messages(
    db: &mut Db<'_>,
    carriers: &Carriers,
    seqs: &[MessageSeq],
) -> Result<Vec<Stored>, StoreError> {
    static READ: LazyLock<Bulk> = LazyLock::new(|| {
        let text = format!(
            "with v (seq) as (select distinct * from ({{rows}}) as r) \
             select {COLUMNS} from v join {{messages}} m on m.seq == v.seq"
        );
        Bulk::made(text, &[Kind::Int])
    });
    let rows = READ.fetch(db, &once(seqs), |seq| [seq.0.into()]).await?;
    rows.iter().map(|row| message(row, carriers)).collect()
}

/// Each of them once: a list that names a row twice may name it in two pieces of the statement.
fn once(seqs: &[MessageSeq]) -> Vec<MessageSeq> {
    let mut seqs = seqs.to_vec();
    seqs.sort_unstable();
    seqs.dedup();
    seqs
}

/// As [`rows::Rows::due`].
pub(in crate::store) async fn due(
    db: &mut Db<'_>,
    carriers: &Carriers,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<Message>, StoreError> {
    static DUE: LazyLock<Statement> = LazyLock::new(|| {
        Statement::made(format!(
            "select {COLUMNS} from messages m where m.state = 0 and m.due_at <= $1 \
             order by m.due_at limit $2"
        ))
    });
    let rows = DUE.fetch(db, &[now.0.into(), limit.into()]).await?;
    Ok(readable(&rows, "a scheduled message", |row| {
        Ok(message(row, carriers)?.message)
    }))
}

// A plus before a column keeps both databases from taking a partial index on the state for a
// look-up by seq: PostgreSQL makes its plan once, perhaps while that index is still empty and
// looks cheaper than the key.

/// As [`rows::Rows::release`].
pub(in crate::store) async fn release(
    db: &mut Db<'_>,
    placed: &[(MessageSeq, Place)],
) -> Result<(), StoreError> {
    static RELEASE: Bulk = Bulk::new(
        "with v (seq, place) as ({rows}) update {messages} as messages set place = v.place, state = 1 from v \
         where messages.seq == v.seq and +messages.state = 0",
        &[Kind::Int, Kind::Int],
    );
    RELEASE
        .execute(db, placed, |(seq, place)| [seq.0.into(), place.0.into()])
        .await?;
    Ok(())
}

/// As [`rows::Rows::overdue`].
pub(in crate::store) async fn overdue(
    db: &mut Db<'_>,
    carriers: &Carriers,
    which: Overdue,
    before: Timestamp,
    limit: u32,
) -> Result<Vec<Stored>, StoreError> {
    fn made(which: &str) -> Statement {
        Statement::made(format!(
            "select {COLUMNS} from messages m {which} and m.valid_until < $1 \
             order by m.valid_until limit $2"
        ))
    }
    static UNSENT: LazyLock<Statement> =
        LazyLock::new(|| made("indexed by messages_unsent where m.state = 1"));
    static OPEN: LazyLock<Statement> =
        LazyLock::new(|| made("indexed by messages_open where m.state in (3, 4)"));
    let statement = match which {
        Overdue::Unsent => &UNSENT,
        Overdue::Open => &OPEN,
    };
    let rows = statement
        .fetch(db, &[before.0.into(), limit.into()])
        .await?;
    Ok(readable(&rows, "an overdue message", |row| {
        message(row, carriers)
    }))
}

/// As [`rows::Rows::mark`].
pub(in crate::store) async fn mark(
    db: &mut Db<'_>,
    messages: &[MessageSeq],
) -> Result<(), StoreError> {
    static MARK: Bulk = Bulk::new(
        "with v (seq) as ({rows}) update {messages} as messages set possible_duplicate = 1 from v \
         where messages.seq == v.seq",
        &[Kind::Int],
    );
    MARK.execute(db, messages, |seq| [seq.0.into()]).await?;
    Ok(())
}

/// As [`rows::Rows::make_moves`]. `stamp` is given once in the life of the database, and left on
/// what is moved: where a move was refused it tells which. The usual case, that every move is legal,
/// so costs no row to be returned (`run singles` with a row for each: 21,000 a second, without:
/// 25,000).
pub(in crate::store) async fn make_moves(
    db: &mut Db<'_>,
    moves: &[&Move],
    stamp: i64,
) -> Result<Vec<bool>, StoreError> {
    static MOVE: Bulk = Bulk::new(
        "with v (seq, state, mask, sent_at, final_at, failure, detail, stamp) as ({rows}) \
         update {messages} as messages set state = v.state, \
         sent_at = coalesce(messages.sent_at, v.sent_at), final_at = v.final_at, \
         failure = v.failure, detail = v.detail, moved = v.stamp \
         from v where messages.seq == v.seq and ((v.mask >> messages.state) & 1) = 1",
        &[
            Kind::Int,
            Kind::Int,
            Kind::Int,
            Kind::Int,
            Kind::Int,
            Kind::Text,
            Kind::Text,
            Kind::Int,
        ],
    );
    static MOVED: Bulk = Bulk::new(
        "with v (seq, stamp) as ({rows}) \
         select m.seq from v join {messages} m on m.seq == v.seq and m.moved = v.stamp",
        &[Kind::Int, Kind::Int],
    );
    let changed = MOVE
        .execute(db, moves, |one| move_values(one, stamp))
        .await?;
    if changed == moves.len() as u64 {
        return Ok(vec![true; moves.len()]);
    }
    let rows = MOVED
        .fetch(db, moves, |one| [one.seq.0.into(), stamp.into()])
        .await?;
    let moved = rows.iter().map(|row| row.int(0));
    let moved: HashSet<i64> = moved.collect::<sqlx::Result<_>>()?;
    Ok(moves.iter().map(|one| moved.contains(&one.seq.0)).collect())
}

fn move_values<'q>(one: &'q Move, stamp: i64) -> [Value<'q>; 8] {
    [
        one.seq.0.into(),
        one.to.index().into(),
        one.from.into(),
        (one.to == State::Submitted).then_some(one.at.0).into(),
        one.to.is_terminal().then_some(one.at.0).into(),
        one.failure.map(FailureCode::name).into(),
        one.detail.as_deref().into(),
        stamp.into(),
    ]
}

/// As [`rows::Rows::reroute`].
pub(in crate::store) async fn reroute(
    db: &mut Db<'_>,
    carriers: &Carriers,
    reroutes: &[(&Reroute, Place)],
) -> Result<HashMap<MessageSeq, State>, StoreError> {
    static REROUTE: Bulk = Bulk::new(
        "with v (seq, source, carrier, place, marked) as ({rows}) \
         update {messages} as messages set carrier = v.carrier, place = v.place, \
         possible_duplicate = case when v.marked = 1 and messages.state = 1 then 1 \
         else messages.possible_duplicate end \
         from v where messages.seq == v.seq and messages.carrier = v.source \
         and +messages.state in (1, 3)",
        // A mark that only memory knows (an OTP of before a crash) must outlast the other lane's
        // store; that of a resend is written when it has gone, or a restart before that would
        // make none.
        &[Kind::Int, Kind::Text, Kind::Text, Kind::Int, Kind::Int],
    );
    static PLACES: Bulk = Bulk::new(
        "with v (seq) as (select distinct * from ({rows}) as r) \
         select m.seq, m.place, m.state from v join {messages} m on m.seq == v.seq",
        &[Kind::Int],
    );
    let changed = REROUTE
        .execute(db, reroutes, |(reroute, place)| {
            [
                reroute.ready.message.seq.0.into(),
                account(carriers, reroute.ready.carrier).into(),
                account(carriers, reroute.to).into(),
                place.0.into(),
                reroute.ready.possible_duplicate.into(),
            ]
        })
        .await?;
    if changed == 0 {
        return Ok(HashMap::new());
    }
    let rows = PLACES
        .fetch(db, reroutes, |(reroute, _)| {
            [reroute.ready.message.seq.0.into()]
        })
        .await?;
    let asked: HashSet<(i64, i64)> = reroutes
        .iter()
        .map(|(reroute, place)| (reroute.ready.message.seq.0, place.0))
        .collect();
    let mut come = HashMap::with_capacity(rows.len());
    for row in &rows {
        let seq = row.int(0)?;
        if asked.contains(&(seq, row.int(1)?)) {
            let state = State::from_index(row.int(2)?).ok_or(StoreError::Corrupt {
                what: "messages.state",
            })?;
            come.insert(MessageSeq(seq), state);
        }
    }
    Ok(come)
}

/// As [`rows::Rows::unsent`].
pub(in crate::store) async fn unsent(
    db: &mut Db<'_>,
    asked: &[(MessageSeq, &CarrierId)],
) -> Result<HashSet<MessageSeq>, StoreError> {
    static UNSENT: Bulk = Bulk::new(
        "with v (seq, carrier) as ({rows}) \
         select m.seq from v join {messages} m on m.seq == v.seq and m.carrier = v.carrier \
         where +m.state in (1, 3)",
        &[Kind::Int, Kind::Text],
    );
    let rows = UNSENT
        .fetch(db, asked, |(seq, carrier)| {
            [seq.0.into(), (&*carrier.0).into()]
        })
        .await?;
    rows.iter().map(|row| Ok(MessageSeq(row.int(0)?))).collect()
}

#[cfg(test)]
mod tests {
    use uuid::{NoContext, Uuid};

    use super::*;

    #[test]
    fn an_id_made_just_before_midnight_is_looked_for_on_both_days() {
        let made = uuid::Timestamp::from_unix(NoContext, 20_000 * 86_400 - 1, 0);
        let (from, before) = likely(MessageId(Uuid::new_v7(made))).unwrap();
        assert_eq!(rows::day_of_seq(from), 19_999);
        assert_eq!(before, rows::first_of_day(20_001));
        assert_eq!(likely(MessageId(Uuid::from_u128(7))), None);
    }
}
