//! Lives here: the rows of receipts whose attempt is not known, and the attempts that people's
//! replays of them are tried with.
//!
//! How many are parked changes by orders of magnitude within a second, and PostgreSQL's statistics
//! do not follow: each statement of the writer leaves it one index to go by.
//! Never here: when a receipt is parked, proven or replayed (`engine`, `replay`).

use std::collections::HashSet;
use std::sync::LazyLock;

use uuid::Uuid;

use super::bulk::Bulk;
use super::db::{Db, Kind, Row, readable};
use super::messages::failure;
use super::receipts::segment;
use super::statement::Statement;
use crate::domain::ids::{CarrierId, CarrierIndex, MessageSeq, ReceiptKey};
use crate::domain::lifecycle::SegmentState;
use crate::domain::message::FailureCode;
use crate::domain::phone::Msisdn;
use crate::domain::receipt::{Evidence, Receipt, Words};
use crate::domain::time::Timestamp;
use crate::store::inbox::{Inbox, InboxPage, InboxRow, Keeping, Kept, Match};
use crate::store::reads::Response;
use crate::store::rows::{AttemptId, Recipient};
use crate::store::{Carriers, StoreError};

/// The columns that [`receipt`] reads.
const COLUMNS: &str = "carrier, normalised, stat, done_date, receipt_key, state, raw_id, err, \
     received_at, done_at, recipient, sender, words, submitted_at, reference, failure";

/// The keys that are parked.
pub(in crate::store) async fn parked_keys(
    db: &mut Db<'_>,
) -> Result<HashSet<ReceiptKey>, StoreError> {
    static PARKED: Statement =
        Statement::new("select receipt_key from receipt_inbox where quarantined_at is null");
    let rows = PARKED.fetch(db, &[]).await?;
    rows.iter().map(|row| Ok(ReceiptKey(row.int(0)?))).collect()
}

/// One that comes again although it is in quarantine is parked again: its response may be new too.
static PARK: LazyLock<Bulk> = LazyLock::new(|| {
    let text = |rows: &str| {
        format!(
            "insert into receipt_inbox ({COLUMNS}) {rows} \
             on conflict (carrier, normalised, stat, done_date) do update \
             set received_at = excluded.received_at, quarantined_at = null \
             where receipt_inbox.quarantined_at is not null"
        )
    };
    // What differs only by octets that PostgreSQL cannot hold is the same there, and no row may be
    // named twice.
    let distinct = text("select distinct on (1, 2, 3, 4) * from ({rows}) v");
    Bulk::each(
        text("{rows}"),
        &distinct,
        &[
            Kind::Text,
            Kind::Text,
            Kind::Text,
            Kind::Text,
            Kind::Int,
            Kind::Int,
            Kind::Text,
            Kind::Text,
            Kind::Int,
            Kind::Int,
            Kind::Text,
            Kind::Text,
            Kind::Text,
            Kind::Int,
            Kind::Int,
            Kind::Text,
        ],
    )
});

/// Parks receipts.
pub(in crate::store) async fn park(
    db: &mut Db<'_>,
    receipts: &[&Receipt],
) -> Result<(), StoreError> {
    PARK.execute(db, receipts, |receipt| {
        let evidence = &receipt.evidence;
        [
            (&*receipt.carrier.0).into(),
            (&*receipt.normalised).into(),
            (&*receipt.stat).into(),
            (&*receipt.done_date).into(),
            receipt.key.0.into(),
            receipt.state.map(SegmentState::index).into(),
            (&*receipt.raw_id).into(),
            (&*receipt.err).into(),
            receipt.received_at.0.into(),
            receipt.done_at.map(|at| at.0).into(),
            evidence.recipient.as_ref().map(Msisdn::digits).into(),
            (&*evidence.sender).into(),
            (&*evidence.words.0).into(),
            evidence.submitted_at.map(|at| at.0).into(),
            evidence.reference.map(i64::from).into(),
            receipt.failure.map(FailureCode::name).into(),
        ]
    })
    .await?;
    Ok(())
}

/// Reads a row selected with [`COLUMNS`].
fn receipt(row: &Row) -> Result<Receipt, StoreError> {
    Ok(Receipt {
        carrier: CarrierId(row.text(0)?.into()),
        normalised: row.text(1)?.into(),
        stat: row.text(2)?.into(),
        done_date: row.text(3)?.into(),
        key: ReceiptKey(row.int(4)?),
        state: row.opt_int(5)?.map(segment).transpose()?,
        raw_id: row.text(6)?.into(),
        err: row.text(7)?.into(),
        failure: failure(row.opt_text(15)?),
        done_at: row.opt_int(9)?.map(Timestamp),
        evidence: Evidence {
            recipient: row
                .opt_text(10)?
                .and_then(|to| Msisdn::from_digits(to).ok()),
            sender: row.text(11)?.into(),
            words: Words(row.text(12)?.into()),
            submitted_at: row.opt_int(13)?.map(Timestamp),
            reference: row.opt_small(14)?,
        },
        received_at: Timestamp(row.int(8)?),
    })
}

/// The order in which receipts came, as far as it is known.
fn order(receipt: &Receipt) -> (Timestamp, &str, &str, &str, &str) {
    (
        receipt.received_at,
        &receipt.carrier.0,
        &receipt.normalised,
        &receipt.stat,
        &receipt.done_date,
    )
}

/// Takes parked receipts with these keys out of the inbox, in the order in which they came.
pub(in crate::store) async fn unpark(
    db: &mut Db<'_>,
    keys: &[ReceiptKey],
) -> Result<Vec<Receipt>, StoreError> {
    static UNPARK: LazyLock<Bulk> = LazyLock::new(|| {
        let text = |keyed: &str| {
            format!(
                "delete from receipt_inbox where receipt_key {keyed} \
                 and coalesce(quarantined_at, 0) = 0 returning {COLUMNS}"
            )
        };
        Bulk::each(
            text("in ({rows})"),
            &text("= any(array({rows}))"),
            &[Kind::Int],
        )
    });
    let rows = UNPARK.fetch(db, keys, |key| [key.0.into()]).await?;
    let mut receipts = readable(&rows, "a parked receipt", receipt);
    // The same order on every database, also of what came in one millisecond.
    receipts.sort_by(|one, other| order(one).cmp(&order(other)));
    Ok(receipts)
}

/// Parked receipts about these recipients.
pub(in crate::store) async fn orphans(
    db: &mut Db<'_>,
    recipients: &[Recipient],
) -> Result<Vec<Receipt>, StoreError> {
    static ORPHANS: LazyLock<Bulk> = LazyLock::new(|| {
        let columns = format!("r.{}", COLUMNS.replace(", ", ", r."));
        let there = "r.carrier = v.carrier and r.recipient = v.recipient \
             and coalesce(r.quarantined_at, 0) = 0";
        let sqlite = format!(
            "with v (carrier, recipient) as ({{rows}}) select {columns} \
             from (select distinct carrier, recipient from v) v \
             cross join receipt_inbox r indexed by receipt_inbox_recipient where {there}"
        );
        let postgres = format!(
            "select {columns} from (select distinct * from ({{rows}}) v) v (carrier, recipient) \
             cross join lateral (select * from receipt_inbox r where {there} offset 0) r"
        );
        Bulk::each(sqlite, &postgres, &[Kind::Text, Kind::Text])
    });
    let rows = ORPHANS
        .fetch(db, recipients, |(carrier, to)| {
            [(&*carrier.0).into(), to.digits().into()]
        })
        .await?;
    let mut receipts = readable(&rows, "a parked receipt", receipt);
    receipts.sort_by(|one, other| order(one).cmp(&order(other)));
    Ok(receipts)
}

/// Where receipts are parked that came in this span (both ends included) and name a recipient.
pub(in crate::store) async fn orphaned(
    db: &mut Db<'_>,
    from: Timestamp,
    until: Timestamp,
) -> Result<HashSet<Recipient>, StoreError> {
    static ORPHANED: Statement = Statement::new(
        "select carrier, recipient from receipt_inbox where quarantined_at is null \
         and received_at >= $1 and received_at <= $2 and coalesce(recipient, '') <> ''",
    );
    let rows = ORPHANED.fetch(db, &[from.0.into(), until.0.into()]).await?;
    let mut recipients = HashSet::with_capacity(rows.len());
    for row in &rows {
        if let Ok(to) = Msisdn::from_digits(row.text(1)?) {
            recipients.insert((CarrierId(row.text(0)?.into()), to));
        }
    }
    Ok(recipients)
}

/// A statement that changes all of one half of the inbox but the newest; its last parameter,
/// `stay`, is how many those are.
fn all_but(change: &str, half: &str, stay: &str) -> Statement {
    // The largest number: SQLite knows no offset without a limit.
    let rest = |row: &str| {
        format!(
            "select {row} from receipt_inbox where quarantined_at is {half} \
             order by quarantined_at desc, received_at desc \
             limit 9223372036854775807 offset {stay}"
        )
    };
    let id = "carrier, normalised, stat, done_date";
    Statement::each(
        format!("{change} where ({id}) in ({})", rest(id)),
        format!("{change} where ctid = any(array({}))", rest("ctid")),
    )
}

/// Keeps the inbox within its bounds: what is old, and the oldest beyond the number, goes into
/// quarantine; what is old there, and the oldest beyond the number, is dropped.
pub(in crate::store) async fn keep_inbox(
    db: &mut Db<'_>,
    keeping: &Keeping,
) -> Result<Kept, StoreError> {
    static AGED: Statement = Statement::new(
        "update receipt_inbox set quarantined_at = $1 where quarantined_at is null \
         and received_at < $2",
    );
    static SPARE: LazyLock<Statement> = LazyLock::new(|| {
        let change = "update receipt_inbox set quarantined_at = $1";
        all_but(change, "null", "$2")
    });
    static SEEN: Statement = Statement::new("delete from receipt_inbox where quarantined_at < $1");
    static SPARE_SEEN: LazyLock<Statement> =
        LazyLock::new(|| all_but("delete from receipt_inbox", "not null", "$1"));
    let at = keeping.at;
    let aged = (at - keeping.parked_ttl).0;
    let spare = &[at.0.into(), keeping.parked_max.into()];
    let quarantined =
        AGED.execute(db, &[at.0.into(), aged.into()]).await? + SPARE.execute(db, spare).await?;
    let seen = (at - keeping.quarantine_ttl).0;
    let dropped = SEEN.execute(db, &[seen.into()]).await?
        + SPARE_SEEN
            .execute(db, &[keeping.quarantine_max.into()])
            .await?;
    Ok(Kept {
        quarantined,
        dropped,
    })
}

/// Drops an account's receipts in quarantine that came before a time; returns how many.
pub(in crate::store) async fn discard(
    db: &mut Db<'_>,
    carrier: &CarrierId,
    before: Timestamp,
) -> Result<u64, StoreError> {
    static DISCARD: Statement = Statement::new(
        "delete from receipt_inbox where quarantined_at is not null and carrier = $1 \
         and received_at < $2",
    );
    let values = [(&*carrier.0).into(), before.0.into()];
    Ok(DISCARD.execute(db, &values).await?)
}

/// Takes matched receipts out of the inbox; says of each whether it was still there.
pub(in crate::store) async fn take_matched(
    db: &mut Db<'_>,
    matches: &[Match],
) -> Result<Vec<bool>, StoreError> {
    static TAKE: LazyLock<Bulk> = LazyLock::new(|| {
        let id = "carrier, normalised, stat, done_date";
        let sqlite = format!(
            "with v ({id}, key) as ({{rows}}) delete from receipt_inbox \
             where ({id}) in (select {id} from v) returning {id}"
        );
        let postgres = "delete from receipt_inbox r \
             using ({rows}) v (carrier, normalised, stat, done_date, key) \
             where r.receipt_key = any(array[v.key]) and r.carrier || '' = v.carrier \
             and r.normalised || '' = v.normalised and r.stat || '' = v.stat \
             and r.done_date || '' = v.done_date \
             returning r.carrier, r.normalised, r.stat, r.done_date";
        Bulk::each(
            sqlite,
            postgres,
            &[Kind::Text, Kind::Text, Kind::Text, Kind::Text, Kind::Int],
        )
    });
    let rows = TAKE
        .fetch(db, matches, |one| {
            [
                (&*one.receipt.carrier.0).into(),
                (&*one.receipt.normalised).into(),
                (&*one.receipt.stat).into(),
                (&*one.receipt.done_date).into(),
                one.receipt.key.0.into(),
            ]
        })
        .await?;
    let mut there = HashSet::with_capacity(rows.len());
    for row in &rows {
        there.insert((row.text(0)?, row.text(1)?, row.text(2)?, row.text(3)?));
    }
    let is_there = |one: &Match| {
        let Receipt {
            carrier,
            normalised,
            stat,
            done_date,
            ..
        } = &one.receipt;
        there.contains(&(&*carrier.0, &**normalised, &**stat, &**done_date))
    };
    Ok(matches.iter().map(is_there).collect())
}

/// The pages of one half: of all accounts, and of one.
struct Pages {
    all: Statement,
    one: Statement,
}

impl Pages {
    fn new(half: &str) -> Self {
        let page = |whose: &str| {
            Statement::made(format!(
                "select {COLUMNS}, quarantined_at from receipt_inbox \
                 where quarantined_at is {half} and received_at >= $1 {whose} \
                 order by quarantined_at desc, received_at desc limit $2 offset $3"
            ))
        };
        Self {
            all: page(""),
            one: page("and carrier = $4"),
        }
    }
}

/// A page of the inbox, the newest first.
pub(in crate::store) async fn inbox(
    db: &mut Db<'_>,
    page: &InboxPage,
) -> Result<Vec<InboxRow>, StoreError> {
    static PARKED: LazyLock<Pages> = LazyLock::new(|| Pages::new("null"));
    static QUARANTINE: LazyLock<Pages> = LazyLock::new(|| Pages::new("not null"));
    let pages = match page.inbox {
        Inbox::Parked => &PARKED,
        Inbox::Quarantine => &QUARANTINE,
    };
    let mut values = vec![page.since.0.into(), page.limit.into(), page.offset.into()];
    let statement = match &page.carrier {
        None => &pages.all,
        Some(carrier) => {
            values.push((&*carrier.0).into());
            &pages.one
        }
    };
    let rows = statement.fetch(db, &values).await?;
    rows.iter().map(shown).collect()
}

fn shown(row: &Row) -> Result<InboxRow, StoreError> {
    let receipt = receipt(row)?;
    Ok(InboxRow {
        quarantined_at: row.opt_int(16)?.map(Timestamp),
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
}

/// How many receipts that came in this span of time are in the inbox, by account.
pub(in crate::store) async fn unmatched(
    db: &mut Db<'_>,
    carriers: &Carriers,
    from: Timestamp,
    until: Timestamp,
) -> Result<Vec<(CarrierIndex, u64)>, StoreError> {
    // Two spans of one index: parked ones by their time; what the span holds in quarantine went
    // there early, for want of room.
    static UNMATCHED: Statement = Statement::new(
        "select carrier, count(*) from receipt_inbox where (quarantined_at is null \
         or quarantined_at >= $1) and received_at >= $1 and received_at < $2 group by carrier",
    );
    let rows = UNMATCHED
        .fetch(db, &[from.0.into(), until.0.into()])
        .await?;
    let mut counts = Vec::with_capacity(rows.len());
    for row in &rows {
        if let Some(carrier) = carriers.index(row.text(0)?) {
            counts.push((carrier, row.small(1)?));
        }
    }
    Ok(counts)
}

/// An account's receipts in either half of the inbox that came at `since` or later, the oldest
/// first.
pub(in crate::store) async fn inbox_since(
    db: &mut Db<'_>,
    carrier: &CarrierId,
    since: Timestamp,
    limit: u32,
) -> Result<Vec<Receipt>, StoreError> {
    static SINCE: LazyLock<Statement> = LazyLock::new(|| {
        Statement::made(format!(
            "select {COLUMNS} from receipt_inbox where carrier = $1 and received_at >= $2 \
             order by received_at limit $3"
        ))
    });
    let values = [(&*carrier.0).into(), since.0.into(), limit.into()];
    let rows = SINCE.fetch(db, &values).await?;
    rows.iter().map(receipt).collect()
}

/// An account's attempts behind `after` that have an id and no final receipt, in the order of
/// message, part and attempt; with the recipients of their messages.
pub(in crate::store) async fn responses(
    db: &mut Db<'_>,
    carrier: &CarrierId,
    after: AttemptId,
    limit: u32,
) -> Result<Vec<(Response, Msisdn)>, StoreError> {
    // The numbers are compared once more alone: by a row's order no partition is left out.
    static BEHIND: Statement = Statement::new(
        "select a.message, a.part, a.attempt, a.carrier_message_id, m.recipient \
         from attempts a cross join messages m \
         where (a.message, a.part, a.attempt) > ($1, $2, $3) and a.message >= $1 \
         and a.carrier = $4 and a.state = 0 and a.carrier_message_id is not null \
         and m.seq = a.message and m.seq >= $1 \
         order by a.message, a.part, a.attempt limit $5",
    );
    let values = [
        after.0.0.into(),
        i64::from(after.1).into(),
        i64::from(after.2).into(),
        (&*carrier.0).into(),
        limit.into(),
    ];
    let rows = BEHIND.fetch(db, &values).await?;
    let response = |row: &Row| {
        let to = Msisdn::from_store(row.text(4)?).map_err(|_| StoreError::Corrupt {
            what: "messages.recipient",
        })?;
        let response = Response {
            id: (MessageSeq(row.int(0)?), row.small(1)?, row.small(2)?),
            raw: row.text(3)?.into(),
        };
        Ok((response, to))
    };
    rows.iter().map(response).collect()
}

/// A number below those of all messages accepted at this time or later. Ids are in the order of
/// time, numbers nearly so (the writer gives them a little later), hence the least of several.
pub(in crate::store) async fn before(
    db: &mut Db<'_>,
    at: Timestamp,
) -> Result<MessageSeq, StoreError> {
    static LEAST: Statement = Statement::new(
        "select min(seq) from (select seq from messages where id >= $1 order by id limit 64) m",
    );
    let first = Uuid::from_u128(u128::from(at.0.max(0).unsigned_abs()) << 80);
    let row = LEAST.fetch_one(db, &[first.into()]).await?;
    Ok(MessageSeq(row.opt_int(0)?.map_or(i64::MAX, |seq| seq - 1)))
}
