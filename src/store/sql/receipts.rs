//! Lives here: attempts as receipts find, settle and prove them.
//!
//! A list is joined so that PostgreSQL can only walk the list and look the rows up, whatever its
//! statistics say of a table that was empty when it looked last: by `==` (see `statement`), or by
//! `lateral (… offset 0)`, which nothing is moved into or out of.
//! Never here: receipts without an attempt (`inbox`); what a receipt does (`engine`).

use std::collections::HashSet;
use std::sync::LazyLock;

use super::bulk::Bulk;
use super::db::{Db, Kind, Row, readable};
use super::messages::{COLUMNS, NEXT, message};
use crate::domain::ids::ReceiptKey;
use crate::domain::lifecycle::SegmentState;
use crate::domain::receipt::Receipt;
use crate::domain::time::Timestamp;
use crate::store::inbox::Match;
use crate::store::rows::{AttemptId, Doubt, Keyed, Proof, Recipient, day_of, first_of_day};
use crate::store::{Carriers, StoreError};

/// What [`read_keyed`] reads behind the message's columns.
const KEYED: &str = "a.receipt_key, a.part, a.attempt, a.carrier, a.normalised, a.state, \
     m.possible_duplicate";

/// Attempts of messages of one day, whose first number every row names, by their keys. The index has
/// the day before the key: with one order over all days random keys change a page each, and at 10
/// million rows the rate falls to a seventh (`reference/storage.md`).
static ON_DAY: LazyLock<Bulk> = LazyLock::new(|| {
    let sqlite = format!(
        "with v (first, key) as ({{rows}}) select {COLUMNS}, {KEYED} \
         from (select distinct first, key from v) v \
         cross join attempts a indexed by attempts_by_receipt cross join messages m \
         where (a.message >> 40) = (v.first >> 40) and a.receipt_key = v.key \
         and a.receipt_key is not null and m.seq = a.message"
    );
    // Where the day's partitions are not known it is compared as a parameter, not as a column: so
    // the other days are left out when the statement begins.
    let of_day = |number: &str| {
        let first = "($1::int8[])[1]";
        format!("{number} >= {first} and {number} < {first} + (1::int8 << 40)")
    };
    let postgres = format!(
        "select {COLUMNS}, {KEYED} from (select distinct * from ({{rows}}) v) v (first, key) \
         cross join lateral (select * from {{attempts}} a \
         where a.receipt_key = v.key and {} offset 0) a \
         cross join lateral (select * from {{messages}} m \
         where m.seq = a.message and {} offset 0) m",
        of_day("a.message"),
        of_day("m.seq"),
    );
    Bulk::each(sqlite, &postgres, &[Kind::Int, Kind::Int])
});

/// The same on all days that there are: for SQLite they are found by skipping through the index.
static EVER: LazyLock<Bulk> = LazyLock::new(|| {
    let next = "select min(message >> 40) from attempts indexed by attempts_by_receipt \
         where receipt_key is not null";
    let sqlite = format!(
        "with recursive days (day) as (select ({next}) union all \
         select ({next} and (message >> 40) > days.day) from days where days.day is not null) \
         select {COLUMNS}, {KEYED} from days \
         cross join attempts a indexed by attempts_by_receipt cross join messages m \
         where (a.message >> 40) = days.day and a.receipt_key in ({{rows}}) \
         and a.receipt_key is not null and m.seq = a.message"
    );
    let postgres = format!(
        "select {COLUMNS}, {KEYED} from attempts a \
         cross join lateral (select * from messages m where m.seq = a.message offset 0) m \
         where a.receipt_key = any(array({{rows}}))"
    );
    Bulk::each(sqlite, &postgres, &[Kind::Int])
});

/// The attempts that carry one of these keys. An account that counts its ids anew means its newest
/// message, so a day is only looked at for keys that no later one has: today, yesterday, then all.
/// Most receipts come within seconds, and find their attempts in pages that are in memory.
pub(in crate::store) async fn keyed(
    db: &mut Db<'_>,
    carriers: &Carriers,
    keys: &[ReceiptKey],
    at: Timestamp,
) -> Result<Vec<Keyed>, StoreError> {
    let mut missing = keys.to_vec();
    missing.sort_unstable();
    missing.dedup();
    let mut found: Vec<Keyed> = Vec::with_capacity(missing.len());
    let today = day_of(at);
    for day in [today, today - 1] {
        let first = first_of_day(day).0;
        let rows = ON_DAY
            .fetch(db, &missing, |key| [first.into(), key.0.into()])
            .await?;
        let mut there = HashSet::with_capacity(rows.len());
        for one in readable(&rows, "an attempt", |row| read_keyed(row, carriers)) {
            there.insert(one.key);
            found.push(one);
        }
        missing.retain(|key| !there.contains(key));
        if missing.is_empty() {
            return Ok(found);
        }
    }
    let rows = EVER.fetch(db, &missing, |key| [key.0.into()]).await?;
    let old = readable(&rows, "an attempt", |row| read_keyed(row, carriers));
    found.extend(old);
    Ok(found)
}

fn read_keyed(row: &Row, carriers: &Carriers) -> Result<Keyed, StoreError> {
    let stored = message(row, carriers)?;
    Ok(Keyed {
        key: ReceiptKey(row.int(NEXT)?),
        id: (
            stored.message.seq,
            row.small(NEXT + 1)?,
            row.small(NEXT + 2)?,
        ),
        carrier: row.text(NEXT + 3)?.into(),
        normalised: row.text(NEXT + 4)?.into(),
        state: segment(row.int(NEXT + 5)?)?,
        possible_duplicate: row.flag(NEXT + 6)?,
        stored,
    })
}

/// Where an attempt stands, by its number.
pub(in crate::store) fn segment(index: i64) -> Result<SegmentState, StoreError> {
    SegmentState::from_index(index).ok_or(StoreError::Corrupt {
        what: "attempts.state",
    })
}

/// Writes receipts onto the attempts that they settle.
pub(in crate::store) async fn settle_attempts(
    db: &mut Db<'_>,
    settled: &[(AttemptId, SegmentState, &Receipt)],
) -> Result<(), StoreError> {
    static SETTLE: Bulk = Bulk::new(
        "with v (message, part, attempt, state, stat, err, done_date, receipt_at, done_at) \
         as ({rows}) update {attempts} as attempts set state = v.state, stat = v.stat, err = v.err, \
         done_date = v.done_date, receipt_at = v.receipt_at, done_at = v.done_at from v \
         where attempts.message == v.message and attempts.part = v.part \
         and attempts.attempt = v.attempt",
        &[
            Kind::Int,
            Kind::Int,
            Kind::Int,
            Kind::Int,
            Kind::Text,
            Kind::Text,
            Kind::Text,
            Kind::Int,
            Kind::Int,
        ],
    );
    SETTLE
        .execute(db, settled, |(id, state, receipt)| {
            [
                id.0.0.into(),
                i64::from(id.1).into(),
                i64::from(id.2).into(),
                state.index().into(),
                (&*receipt.stat).into(),
                (&*receipt.err).into(),
                (&*receipt.done_date).into(),
                receipt.received_at.0.into(),
                receipt.done_at.map(|at| at.0).into(),
            ]
        })
        .await?;
    Ok(())
}

/// Writes receipts that changed nothing but are part of the story; `true` = a contradiction.
pub(in crate::store) async fn note_receipts(
    db: &mut Db<'_>,
    receipts: &[(AttemptId, &Receipt, bool)],
) -> Result<(), StoreError> {
    static NOTE: Bulk = Bulk::new(
        "insert into receipt_events (message, part, attempt, received_at, stat, err, done_date, \
         conflict) {rows} on conflict do nothing",
        &[
            Kind::Int,
            Kind::Int,
            Kind::Int,
            Kind::Int,
            Kind::Text,
            Kind::Text,
            Kind::Text,
            Kind::Int,
        ],
    );
    NOTE.execute(db, receipts, |(id, receipt, conflict)| {
        [
            id.0.0.into(),
            i64::from(id.1).into(),
            i64::from(id.2).into(),
            receipt.received_at.0.into(),
            (&*receipt.stat).into(),
            (&*receipt.err).into(),
            (&*receipt.done_date).into(),
            (*conflict).into(),
        ]
    })
    .await?;
    Ok(())
}

static DOUBTS: LazyLock<Bulk> = LazyLock::new(|| {
    let columns = "a.carrier, a.part, a.attempt, a.submitted_at, a.bind, a.sequence";
    let sqlite = format!(
        "with v (carrier, recipient) as ({{rows}}) select {COLUMNS}, {columns} \
         from (select distinct carrier, recipient from v) v \
         cross join attempts a indexed by attempts_in_doubt cross join messages m \
         where a.carrier = v.carrier and a.recipient = v.recipient and a.state = 7 \
         and m.seq = a.message"
    );
    let postgres = format!(
        "select {COLUMNS}, {columns} \
         from (select distinct * from ({{rows}}) v) v (carrier, recipient) \
         cross join lateral (select * from attempts a where a.carrier = v.carrier \
         and a.recipient = v.recipient and a.state = 7 offset 0) a \
         cross join lateral (select * from messages m where m.seq = a.message offset 0) m"
    );
    Bulk::each(sqlite, &postgres, &[Kind::Text, Kind::Text])
});

/// The attempts in doubt at these recipients.
pub(in crate::store) async fn doubts(
    db: &mut Db<'_>,
    carriers: &Carriers,
    recipients: &[Recipient],
) -> Result<Vec<Doubt>, StoreError> {
    let rows = DOUBTS
        .fetch(db, recipients, |(carrier, to)| {
            [(&*carrier.0).into(), to.digits().into()]
        })
        .await?;
    let doubt = |row: &Row| {
        Ok(Doubt {
            carrier: row.text(NEXT)?.into(),
            part: row.small(NEXT + 1)?,
            attempt: row.small(NEXT + 2)?,
            submitted_at: Timestamp(row.int(NEXT + 3)?),
            sent: (row.text(NEXT + 4)?.into(), row.small(NEXT + 5)?),
            stored: message(row, carriers)?,
        })
    };
    Ok(readable(&rows, "an attempt in doubt", doubt))
}

/// Gives attempts in doubt the ids that their receipts have brought, as their responses would
/// have.
pub(in crate::store) async fn prove(db: &mut Db<'_>, proofs: &[Proof]) -> Result<(), StoreError> {
    // `+ 0`: not by the index of all that is in doubt.
    static PROVE: Bulk = Bulk::new(
        "with v (message, part, attempt, answered_at, raw_id, normalised, receipt_key) as ({rows}) \
         update {attempts} as attempts set state = 0, resolved = 3, answered_at = v.answered_at, \
         carrier_message_id = v.raw_id, normalised = v.normalised, receipt_key = v.receipt_key \
         from v where attempts.message == v.message and attempts.part = v.part \
         and attempts.attempt = v.attempt and attempts.state + 0 = 7",
        &[
            Kind::Int,
            Kind::Int,
            Kind::Int,
            Kind::Int,
            Kind::Text,
            Kind::Text,
            Kind::Int,
        ],
    );
    PROVE
        .execute(db, proofs, |proof| {
            [
                proof.message.0.into(),
                i64::from(proof.part).into(),
                i64::from(proof.attempt).into(),
                proof.at.0.into(),
                (&*proof.raw_id).into(),
                (&*proof.normalised).into(),
                proof.key.0.into(),
            ]
        })
        .await?;
    Ok(())
}

/// Gives submitted attempts the ids of now.
pub(in crate::store) async fn rekey(
    db: &mut Db<'_>,
    rekeyed: &[(AttemptId, &Match)],
) -> Result<(), StoreError> {
    static REKEY: Bulk = Bulk::new(
        "with v (message, part, attempt, normalised, receipt_key) as ({rows}) \
         update {attempts} as attempts set normalised = v.normalised, receipt_key = v.receipt_key from v \
         where attempts.message == v.message and attempts.part = v.part \
         and attempts.attempt = v.attempt and attempts.state = 0",
        &[Kind::Int, Kind::Int, Kind::Int, Kind::Text, Kind::Int],
    );
    REKEY
        .execute(db, rekeyed, |(id, one)| {
            [
                id.0.0.into(),
                i64::from(id.1).into(),
                i64::from(id.2).into(),
                (&*one.normalised).into(),
                one.key.0.into(),
            ]
        })
        .await?;
    Ok(())
}
