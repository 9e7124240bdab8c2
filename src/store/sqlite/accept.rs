//! Lives here: a message's row: writing it, reading it back, releasing scheduled ones.
//! Never here: attempts, receipts, events.

use std::sync::Arc;

use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use uuid::Uuid;

use super::bulk::Bulk;
use crate::domain::class::Class;
use crate::domain::ids::{CarrierId, CarrierIndex, MessageId, MessageSeq, OrgId, Place};
use crate::domain::message::{Encoding, FailureCode, Message, State};
use crate::domain::phone::{Msisdn, Sender};
use crate::domain::time::Timestamp;
use crate::flow::Ready;
use crate::store::{Carriers, StoreError};

static INSERT: Bulk = Bulk::new(
    "insert into messages (seq, id, org, class, state, carrier, recipient, sender, body, encoding, \
     segments, webhook_url, metadata, tags, accepted_at, due_at, valid_until, place) values",
    "(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    "on conflict (seq) do nothing",
);

/// The columns that [`message`] reads, under the alias `m`.
pub(super) const COLUMNS: &str = "m.seq, m.id, m.org, m.class, m.state, m.carrier, m.recipient, \
     m.sender, m.body, m.encoding, m.segments, m.webhook_url, m.metadata, m.tags, m.accepted_at, \
     m.due_at, m.valid_until, m.sent_at";

/// Writes new messages; the later of accept and due time decides whether one is scheduled.
pub(super) async fn insert(
    conn: &mut SqliteConnection,
    carriers: &Carriers,
    messages: &[Arc<Message>],
) -> sqlx::Result<()> {
    INSERT
        .execute(conn, messages, |query, message| {
            query
                .bind(message.seq.0)
                .bind(&message.id.0.as_bytes()[..])
                .bind(&message.org.0.as_bytes()[..])
                .bind(message.class.index() as i64)
                .bind(initial_state(message).index())
                .bind(carriers.text(message.carrier))
                .bind(message.to.digits())
                .bind(message.from.as_str())
                .bind(&*message.body)
                .bind(message.encoding.index())
                .bind(i64::from(message.segments))
                .bind(message.webhook_url.as_deref())
                .bind(message.metadata.as_deref())
                .bind(message.tags.as_deref())
                .bind(message.accepted_at.0)
                .bind(message.due_at.0)
                .bind(message.valid_until.0)
                .bind(message.seq.0)
        })
        .await?;
    Ok(())
}

/// Whether a message goes to its lane at once.
pub(super) fn initial_state(message: &Message) -> State {
    if message.due_at > message.accepted_at {
        State::Scheduled
    } else {
        State::Queued
    }
}

/// A message as stored, with what has become of it.
pub(crate) struct Stored {
    /// The message.
    pub(crate) message: Message,
    /// Where it stands.
    pub(crate) state: State,
    /// When a carrier took it.
    pub(crate) sent_at: Option<Timestamp>,
}

/// Reads a row selected with [`COLUMNS`].
pub(super) fn message(row: &SqliteRow, carriers: &Carriers) -> Result<Stored, StoreError> {
    let corrupt = |what: &'static str| StoreError::Corrupt { what };
    let text: &str = row.try_get(5)?;
    let state = State::from_index(row.try_get(4)?).ok_or_else(|| corrupt("messages.state"))?;
    let message = Message {
        seq: MessageSeq(row.try_get(0)?),
        id: MessageId(uuid(row, 1)?),
        org: OrgId(uuid(row, 2)?),
        class: Class::from_index(row.try_get(3)?).ok_or_else(|| corrupt("messages.class"))?,
        to: Msisdn::from_digits(row.try_get(6)?).map_err(|_| corrupt("messages.recipient"))?,
        from: Sender::parse(row.try_get(7)?).map_err(|_| corrupt("messages.sender"))?,
        body: row.try_get::<&str, _>(8)?.into(),
        encoding: Encoding::from_index(row.try_get(9)?)
            .ok_or_else(|| corrupt("messages.encoding"))?,
        segments: row.try_get::<u8, _>(10)?,
        carrier: carriers.index(text).unwrap_or(CarrierIndex(u16::MAX)),
        webhook_url: row.try_get::<Option<&str>, _>(11)?.map(Into::into),
        metadata: row.try_get::<Option<&str>, _>(12)?.map(Into::into),
        tags: row.try_get::<Option<&str>, _>(13)?.map(Into::into),
        accepted_at: Timestamp(row.try_get(14)?),
        due_at: Timestamp(row.try_get(15)?),
        valid_until: Timestamp(row.try_get(16)?),
    };
    let sent_at = row.try_get::<Option<i64>, _>(17)?.map(Timestamp);
    Ok(Stored {
        message,
        state,
        sent_at,
    })
}

/// A 16-octet id column.
pub(super) fn uuid(row: &SqliteRow, column: usize) -> Result<Uuid, StoreError> {
    Uuid::from_slice(row.try_get(column)?).map_err(|_| StoreError::Corrupt { what: "an id" })
}

/// A failure code column.
pub(super) fn failure(text: Option<&str>) -> Option<FailureCode> {
    text.and_then(FailureCode::parse)
}

/// Moves at most `limit` scheduled messages whose time has come to their lanes, each to a fresh
/// place at the end.
pub(super) async fn release(
    conn: &mut SqliteConnection,
    carriers: &Carriers,
    now: Timestamp,
    limit: u32,
    mut next_place: impl FnMut() -> Place,
) -> Result<Vec<Ready>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "select {COLUMNS} from messages m where m.state = 0 and m.due_at <= ? order by m.due_at limit ?"
    ));
    let rows = sqlx::query(sql)
        .bind(now.0)
        .bind(limit)
        .fetch_all(&mut *conn)
        .await?;
    let mut released = Vec::with_capacity(rows.len());
    for row in &rows {
        let message = message(row, carriers)?.message;
        released.push(Ready {
            place: next_place(),
            ..Ready::first(Arc::new(message))
        });
    }
    static RELEASE: Bulk = Bulk::new(
        "with v (seq, place) as (values",
        "(?,?)",
        ") update messages set place = v.place, state = 1 from v \
         where messages.seq = v.seq and messages.state = 0",
    );
    RELEASE
        .execute(conn, &released, |query, ready| {
            query.bind(ready.message.seq.0).bind(ready.place.0)
        })
        .await?;
    Ok(released)
}

/// The text of a carrier's id, shared.
pub(super) fn carrier_text(id: &CarrierId) -> Arc<str> {
    Arc::clone(&id.0)
}
