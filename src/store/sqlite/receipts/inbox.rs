//! Lives here: receipts whose attempt is not known: parked until an outcome or a proof claims them,
//! then in quarantine for people to look at.
//! Never here: correlating (`receipts`), proving (`proof`), trying them again by hand (`replay`).

use std::collections::HashSet;

use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqlitePool, SqliteRow};

use super::segment;
use crate::domain::ids::{CarrierId, CarrierIndex, ReceiptKey};
use crate::domain::lifecycle::SegmentState;
use crate::domain::message::FailureCode;
use crate::domain::phone::Msisdn;
use crate::domain::receipt::{Evidence, Receipt, Words};
use crate::domain::time::Timestamp;
use crate::store::inbox::{Inbox, InboxPage, InboxRow, Keeping, Kept};
use crate::store::sqlite::accept::{self, carrier_text};
use crate::store::sqlite::bulk::Bulk;
use crate::store::{Carriers, StoreError};

/// The columns that [`receipt`] reads.
pub(super) const COLUMNS: &str = "carrier, normalised, stat, done_date, receipt_key, state, raw_id, \
     err, received_at, done_at, recipient, sender, words, submitted_at, reference, failure";

/// One that comes again although it is in quarantine is parked again: its response may be new too.
static PARK: Bulk = Bulk::new(
    "insert into receipt_inbox (carrier, normalised, stat, done_date, receipt_key, state, raw_id, \
     err, received_at, done_at, recipient, sender, words, submitted_at, reference, failure) values",
    "(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    "on conflict do update set received_at = excluded.received_at, quarantined_at = null \
     where receipt_inbox.quarantined_at is not null",
);

pub(super) async fn park(conn: &mut SqliteConnection, receipts: &[&Receipt]) -> sqlx::Result<()> {
    PARK.execute(conn, receipts, |query, receipt| {
        let evidence = &receipt.evidence;
        query
            .bind(carrier_text(&receipt.carrier))
            .bind(&*receipt.normalised)
            .bind(&*receipt.stat)
            .bind(&*receipt.done_date)
            .bind(receipt.key.0)
            .bind(receipt.state.map(SegmentState::index))
            .bind(&*receipt.raw_id)
            .bind(&*receipt.err)
            .bind(receipt.received_at.0)
            .bind(receipt.done_at.map(|at| at.0))
            .bind(evidence.recipient.map(|to| to.digits().to_owned()))
            .bind(&*evidence.sender)
            .bind(&*evidence.words.0)
            .bind(evidence.submitted_at.map(|at| at.0))
            .bind(evidence.reference.map(i64::from))
            .bind(receipt.failure.map(FailureCode::name))
    })
    .await?;
    Ok(())
}

/// Reads a row selected with [`COLUMNS`].
pub(super) fn receipt(row: &SqliteRow) -> Result<Receipt, StoreError> {
    let state: Option<i64> = row.try_get(5)?;
    let recipient: Option<&str> = row.try_get(10)?;
    let submitted_at: Option<i64> = row.try_get(13)?;
    Ok(Receipt {
        carrier: CarrierId(row.try_get::<&str, _>(0)?.into()),
        normalised: row.try_get::<&str, _>(1)?.into(),
        stat: row.try_get::<&str, _>(2)?.into(),
        done_date: row.try_get::<&str, _>(3)?.into(),
        key: ReceiptKey(row.try_get(4)?),
        state: state.map(segment).transpose()?,
        raw_id: row.try_get::<&str, _>(6)?.into(),
        err: row.try_get::<&str, _>(7)?.into(),
        failure: accept::failure(row.try_get(15)?),
        done_at: row.try_get::<Option<i64>, _>(9)?.map(Timestamp),
        evidence: Evidence {
            recipient: recipient.and_then(|to| Msisdn::from_digits(to).ok()),
            sender: row.try_get::<&str, _>(11)?.into(),
            words: Words(row.try_get::<&str, _>(12)?.into()),
            submitted_at: submitted_at.map(Timestamp),
            reference: row.try_get(14)?,
        },
        received_at: Timestamp(row.try_get(8)?),
    })
}

/// The receipt keys that are parked, to be kept in memory. What is in quarantine waits for a
/// person: carriers count their ids anew, and an old receipt must not end a new message.
pub(in crate::store::sqlite) async fn parked_keys(
    conn: &mut SqliteConnection,
) -> sqlx::Result<HashSet<ReceiptKey>> {
    let rows = sqlx::query("select receipt_key from receipt_inbox where quarantined_at is null")
        .fetch_all(conn)
        .await?;
    rows.iter()
        .map(|row| Ok(ReceiptKey(row.try_get(0)?)))
        .collect()
}

/// Takes parked receipts with these keys out of the inbox.
pub(in crate::store::sqlite) async fn unpark(
    conn: &mut SqliteConnection,
    keys: &[ReceiptKey],
) -> Result<Vec<Receipt>, StoreError> {
    static TAKE: std::sync::LazyLock<Bulk> = std::sync::LazyLock::new(|| {
        let tail = format!(") and quarantined_at is null returning {COLUMNS}");
        let head = "delete from receipt_inbox where receipt_key in (";
        Bulk::new(head, "?", Box::leak(tail.into_boxed_str()))
    });
    let rows = TAKE
        .fetch(conn, keys, |query, key| query.bind(key.0))
        .await?;
    let mut receipts = rows.iter().map(receipt).collect::<Result<Vec<_>, _>>()?;
    receipts.sort_by_key(|receipt| receipt.received_at);
    Ok(receipts)
}

/// Keeps the inbox within its bounds: what is old, and the oldest beyond the number, goes into
/// quarantine; what is old there, and the oldest beyond the number, is dropped.
pub(in crate::store::sqlite) async fn keep(
    conn: &mut SqliteConnection,
    keeping: &Keeping,
) -> sqlx::Result<Kept> {
    let aged = "update receipt_inbox set quarantined_at = ? where quarantined_at is null \
                and received_at < ?";
    let mut quarantined = sqlx::query(aged)
        .bind(keeping.at.0)
        .bind((keeping.at - keeping.parked_ttl).0)
        .execute(&mut *conn)
        .await?
        .rows_affected();
    let spare = "update receipt_inbox set quarantined_at = ? \
         where (carrier, normalised, stat, done_date) in (select carrier, normalised, stat, \
         done_date from receipt_inbox where quarantined_at is null \
         order by received_at desc limit -1 offset ?)";
    quarantined += sqlx::query(spare)
        .bind(keeping.at.0)
        .bind(keeping.parked_max)
        .execute(&mut *conn)
        .await?
        .rows_affected();
    let mut dropped = sqlx::query("delete from receipt_inbox where quarantined_at < ?")
        .bind((keeping.at - keeping.quarantine_ttl).0)
        .execute(&mut *conn)
        .await?
        .rows_affected();
    let spare = "delete from receipt_inbox where (carrier, normalised, stat, done_date) in (select \
         carrier, normalised, stat, done_date from receipt_inbox where quarantined_at is not null \
         order by quarantined_at desc, received_at desc limit -1 offset ?)";
    dropped += sqlx::query(spare)
        .bind(keeping.quarantine_max)
        .execute(&mut *conn)
        .await?
        .rows_affected();
    Ok(Kept {
        quarantined,
        dropped,
    })
}

/// Drops what an operator has seen enough of; returns how many.
pub(in crate::store::sqlite) async fn discard(
    conn: &mut SqliteConnection,
    carrier: &CarrierId,
    before: Timestamp,
) -> sqlx::Result<u64> {
    let gone = sqlx::query(
        "delete from receipt_inbox where quarantined_at is not null and carrier = ? \
         and received_at < ?",
    )
    .bind(carrier_text(carrier))
    .bind(before.0)
    .execute(conn)
    .await?;
    Ok(gone.rows_affected())
}

/// A page of the inbox, the newest first.
pub(in crate::store::sqlite) async fn list(
    pool: &SqlitePool,
    page: &InboxPage,
) -> Result<Vec<InboxRow>, StoreError> {
    let place = match page.inbox {
        Inbox::Parked => "quarantined_at is null and received_at >= ?1 order by received_at desc",
        Inbox::Quarantine => {
            "quarantined_at is not null and received_at >= ?1 \
             order by quarantined_at desc, received_at desc"
        }
    };
    let (which, order) = place.split_once(" order by ").unwrap_or((place, "1"));
    let sql = sqlx::AssertSqlSafe(format!(
        "select {COLUMNS}, quarantined_at from receipt_inbox where {which} \
         and (?2 is null or carrier = ?2) order by {order} limit ?3 offset ?4"
    ));
    let rows = sqlx::query(sql)
        .bind(page.since.0)
        .bind(page.carrier.as_ref().map(carrier_text))
        .bind(page.limit)
        .bind(page.offset)
        .fetch_all(pool)
        .await?;
    let shown = |row: &SqliteRow| {
        let receipt = receipt(row)?;
        Ok(InboxRow {
            quarantined_at: row.try_get::<Option<i64>, _>(16)?.map(Timestamp),
            recipient: receipt.evidence.recipient.map(|to| to.masked().into()),
            carrier: receipt.carrier,
            raw_id: receipt.raw_id,
            normalised: receipt.normalised,
            state: receipt.state,
            stat: receipt.stat,
            err: receipt.err,
            done_date: receipt.done_date,
            received_at: receipt.received_at,
        })
    };
    rows.iter().map(shown).collect()
}

/// How many receipts that came in this span of time are in the inbox, by account.
pub(in crate::store::sqlite) async fn unmatched(
    pool: &SqlitePool,
    carriers: &Carriers,
    from: Timestamp,
    until: Timestamp,
) -> Result<Vec<(CarrierIndex, u64)>, StoreError> {
    // Two spans of one index: parked ones by their time; what the span holds in quarantine went
    // there early, for want of room.
    let rows = sqlx::query(
        "select carrier, count(*) from receipt_inbox where (quarantined_at is null \
         or quarantined_at >= ?1) and received_at >= ?1 and received_at < ?2 group by carrier",
    )
    .bind(from.0)
    .bind(until.0)
    .fetch_all(pool)
    .await?;
    let mut counts = Vec::with_capacity(rows.len());
    for row in &rows {
        if let Some(carrier) = carriers.index(row.try_get(0)?) {
            counts.push((carrier, row.try_get::<i64, _>(1)?.unsigned_abs()));
        }
    }
    Ok(counts)
}
