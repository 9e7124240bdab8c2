//! Lives here: the statements of retention, redaction and erasure: what is looked for page by page,
//! and what is changed by message.
//! Never here: when anything is due (`housekeeping`), for whom (`admin`).

use std::collections::HashSet;
use std::sync::LazyLock;

use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;

use super::bulk::Bulk;
use super::days::{PARTED, days, partition};
use super::db::{Db, Kind, Row};
use super::statement::Statement;
use crate::domain::ids::MessageSeq;
use crate::domain::message::State;
use crate::domain::phone::Msisdn;
use crate::store::StoreError;
use crate::store::rows::{day_of_seq, first_of_day};
use crate::store::upkeep::{Dropped, Held, Marks, Page, Span, Wanted};

/// How long a drop waits for each table's readers. Who reads or writes the table meanwhile waits
/// behind it, so rather later than long.
const READERS: &str = "50ms";
/// The server's word for a lock that could not be had in time.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// As [`Upkeep::drop_day`](crate::store::upkeep::Upkeep::drop_day).
pub(super) async fn drop_day(db: &mut Db<'_>, day: i64) -> Result<Dropped, StoreError> {
    let Db::Postgres(conn, _) = db else {
        return Ok(Dropped::ByRows);
    };
    // In the transaction that drops it, whoever has looked before: a carrier's late word has perhaps
    // come since, and its event would go unheard.
    if held(&mut Db::Postgres(conn, None), day).await? != Held::default() {
        return Ok(Dropped::Held);
    }
    match drop_partitions(conn, day).await {
        Ok(()) => Ok(Dropped::Gone),
        Err(sqlx::Error::Database(error))
            if error.code().as_deref() == Some(LOCK_NOT_AVAILABLE) =>
        {
            Ok(Dropped::Busy)
        }
        Err(error) => Err(error.into()),
    }
}

/// All of a day's partitions, or none.
async fn drop_partitions(conn: &mut PgConnection, day: i64) -> sqlx::Result<()> {
    let tables = PARTED.map(|parted| partition(parted.table, day)).join(", ");
    sqlx::raw_sql(AssertSqlSafe(format!(
        "set local lock_timeout = '{READERS}'; drop table if exists {tables}"
    )))
    .execute(conn)
    .await?;
    Ok(())
}

/// As [`Upkeep::delete`](crate::store::upkeep::Upkeep::delete). The message itself goes first: what
/// it says of its end decides.
pub(super) async fn delete(
    db: &mut Db<'_>,
    messages: &[(MessageSeq, State)],
) -> Result<u64, StoreError> {
    static MESSAGES: LazyLock<Bulk> = LazyLock::new(|| {
        let ended = "+messages.state = v.state and v.state > 4";
        Bulk::each(
            format!(
                "with v (seq, state) as ({{rows}}) delete from messages where messages.seq in \
                 (select messages.seq from v join messages on messages.seq = v.seq \
                 where {ended}) returning seq"
            ),
            &format!(
                "with v (seq, state) as ({{rows}}) delete from messages using v \
                 where messages.seq = any(array[v.seq]) and {ended} returning messages.seq"
            ),
            &[Kind::Int, Kind::Int],
        )
    });
    static THEIRS: LazyLock<[Bulk; 3]> =
        LazyLock::new(|| ["attempts", "receipt_events", "deliveries"].map(of_messages));
    let gone = MESSAGES
        .fetch(db, messages, |(seq, state)| {
            [seq.0.into(), state.index().into()]
        })
        .await?;
    static NOTICES: Statement =
        Statement::new("delete from deliveries where data is not null and message < $1");
    let gone = seqs(&gone)?;
    for theirs in &*THEIRS {
        theirs.execute(db, &gone, |seq| [seq.0.into()]).await?;
    }
    // What is about no message goes with the messages of its time.
    if let Some(last) = gone.iter().max() {
        NOTICES.execute(db, &[last.0.into()]).await?;
    }
    Ok(gone.len() as u64)
}

/// What a table has of messages deleted by their numbers: SQLite has no join there, and PostgreSQL
/// must not walk the table (`statement`).
fn of_messages(table: &str) -> Bulk {
    Bulk::each(
        format!("delete from {table} where {table}.message in ({{rows}})"),
        &format!(
            "with v (message) as ({{rows}}) delete from {table} using v \
             where {table}.message = any(array[v.message])"
        ),
        &[Kind::Int],
    )
}

/// As [`Upkeep::there`](crate::store::upkeep::Upkeep::there). A scalar rather than a join: PostgreSQL
/// would answer that from the whole of the primary key.
pub(super) async fn there(
    db: &mut Db<'_>,
    messages: &[MessageSeq],
) -> Result<HashSet<MessageSeq>, StoreError> {
    static THERE: Bulk = Bulk::new(
        "with v (seq) as ({rows}) select v.seq from v \
         where (select 1 from messages where messages.seq = v.seq limit 1) is not null",
        &[Kind::Int],
    );
    let rows = THERE.fetch(db, messages, |seq| [seq.0.into()]).await?;
    Ok(seqs(&rows)?.into_iter().collect())
}

/// As [`Upkeep::redact`](crate::store::upkeep::Upkeep::redact).
pub(super) async fn redact(db: &mut Db<'_>, messages: &[MessageSeq]) -> Result<u64, StoreError> {
    static REDACT: Bulk = Bulk::new(
        "with v (seq) as ({rows}) update messages set body = '' from v \
         where messages.seq == v.seq and +messages.state > 4",
        &[Kind::Int],
    );
    Ok(REDACT.execute(db, messages, |seq| [seq.0.into()]).await?)
}

/// As [`Upkeep::erase`](crate::store::upkeep::Upkeep::erase).
pub(super) async fn erase(
    db: &mut Db<'_>,
    messages: &[(MessageSeq, State)],
) -> Result<u64, StoreError> {
    static ERASE: Bulk = Bulk::new(
        "with v (seq, state) as ({rows}) update messages set recipient = '', body = '', \
         metadata = null, tags = null, client_ref = null, detail = null, webhook_url = null from v \
         where messages.seq == v.seq and +messages.state = v.state and v.state > 4 \
         returning messages.seq",
        &[Kind::Int, Kind::Int],
    );
    static ATTEMPTS: Bulk = Bulk::new(
        "with v (message) as ({rows}) update attempts set recipient = null from v \
         where attempts.message == v.message",
        &[Kind::Int],
    );
    static ANSWERS: Bulk = Bulk::new(
        "with v (message) as ({rows}) update deliveries set response = null from v \
         where deliveries.message == v.message",
        &[Kind::Int],
    );
    let erased = ERASE
        .fetch(db, messages, |(seq, state)| {
            [seq.0.into(), state.index().into()]
        })
        .await?;
    let erased = seqs(&erased)?;
    ATTEMPTS.execute(db, &erased, |seq| [seq.0.into()]).await?;
    ANSWERS.execute(db, &erased, |seq| [seq.0.into()]).await?;
    Ok(erased.len() as u64)
}

fn seqs(rows: &[Row]) -> Result<Vec<MessageSeq>, StoreError> {
    let seqs = rows.iter().map(|row| Ok(MessageSeq(row.int(0)?)));
    seqs.collect()
}

/// Whom receipts are about is indexed account by account: `accounts` are those of the inbox, each
/// found behind the one before.
const ABOUT: &str = "with recursive accounts (carrier) as (select min(carrier) from receipt_inbox \
     union all select (select min(carrier) from receipt_inbox where carrier > accounts.carrier) \
     from accounts where accounts.carrier is not null)";
const OF_ACCOUNTS: &str = "from receipt_inbox where recipient = $1 \
     and carrier in (select carrier from accounts where carrier is not null)";

/// As [`Upkeep::forget`](crate::store::upkeep::Upkeep::forget).
pub(super) async fn forget(db: &mut Db<'_>, number: Msisdn) -> Result<u64, StoreError> {
    static FORGET: LazyLock<Statement> =
        LazyLock::new(|| Statement::made(format!("{ABOUT} delete {OF_ACCOUNTS}")));
    Ok(FORGET.execute(db, &[number.digits().into()]).await?)
}

/// As [`Survey::about`](crate::store::upkeep::Survey::about).
pub(super) async fn about(db: &mut Db<'_>, number: Msisdn) -> Result<u64, StoreError> {
    static COUNT: LazyLock<Statement> =
        LazyLock::new(|| Statement::made(format!("{ABOUT} select count(*) {OF_ACCOUNTS}")));
    COUNT
        .fetch_one(db, &[number.digits().into()])
        .await?
        .small(0)
}

/// As [`Upkeep::come_to`](crate::store::upkeep::Upkeep::come_to).
pub(super) async fn come_to(db: &mut Db<'_>, marks: Marks) -> Result<(), StoreError> {
    static COME_TO: Statement = Statement::new(
        "insert into house (key, value) values ('redaction_looked', $1), ('redaction_done', $2), \
         ('clock_seen', $3) on conflict (key) do update set value = excluded.value",
    );
    let values = [marks.looked.into(), marks.done.into(), marks.seen.into()];
    COME_TO.execute(db, &values).await?;
    Ok(())
}

/// As [`Survey::marks`](crate::store::upkeep::Survey::marks).
pub(super) async fn marks(db: &mut Db<'_>) -> Result<Marks, StoreError> {
    static MARKS: Statement = Statement::new(
        "select coalesce((select value from house where key = 'redaction_looked'), 0), \
         coalesce((select value from house where key = 'redaction_done'), 0), \
         coalesce((select value from house where key = 'clock_seen'), 0)",
    );
    let row = MARKS.fetch_one(db, &[]).await?;
    Ok(Marks {
        looked: row.int(0)?,
        done: row.int(1)?,
        seen: row.int(2)?,
    })
}

/// As [`Survey::days`](crate::store::upkeep::Survey::days).
pub(super) async fn all_days(db: &mut Db<'_>) -> Result<Vec<i64>, StoreError> {
    let mut found = match db {
        Db::Sqlite(conn) => days_with_rows(conn).await?,
        Db::Postgres(conn, _) => days(conn, "messages").await?,
    };
    found.sort_unstable();
    Ok(found)
}

/// From the first number of each day to that of the next that has one.
async fn days_with_rows(conn: &mut SqliteConnection) -> Result<Vec<i64>, StoreError> {
    static FIRST: Statement = Statement::new("select min(seq) from messages where seq >= $1");
    let mut db = Db::Sqlite(conn);
    let (mut found, mut from) = (Vec::new(), MessageSeq(0));
    while let Some(first) = FIRST
        .fetch_one(&mut db, &[from.0.into()])
        .await?
        .opt_int(0)?
    {
        let day = day_of_seq(MessageSeq(first));
        found.push(day);
        from = first_of_day(day + 1);
    }
    Ok(found)
}

/// As [`Survey::held`](crate::store::upkeep::Survey::held).
pub(super) async fn held(db: &mut Db<'_>, day: i64) -> Result<Held, StoreError> {
    static EVENTS: Statement =
        Statement::new("select 1 from outbox where message >= $1 and message < $2 limit 1");
    let (from, until) = (first_of_day(day).0, first_of_day(day + 1).0);
    let open = match db {
        Db::Sqlite(conn) => open_rows(conn, (from, until)).await?,
        Db::Postgres(conn, _) => open_in_partition(conn, day).await?,
    };
    let values = [from.into(), until.into()];
    let events = EVENTS.fetch_optional(db, &values).await?.is_some();
    Ok(Held { open, events })
}

/// The indexes of what is open are small; the day is not.
async fn open_rows(
    conn: &mut SqliteConnection,
    (from, until): (i64, i64),
) -> Result<bool, StoreError> {
    static OPEN: Statement = Statement::new(
        "select exists (select 1 from messages indexed by messages_scheduled \
         where state = 0 and seq >= $1 and seq < $2) \
         or exists (select 1 from messages indexed by messages_unsent \
         where state = 1 and seq >= $1 and seq < $2) \
         or exists (select 1 from messages indexed by messages_open \
         where state in (3, 4) and seq >= $1 and seq < $2)",
    );
    let row = OPEN
        .fetch_one(&mut Db::Sqlite(conn), &[from.into(), until.into()])
        .await?;
    Ok(row.flag(0)?)
}

/// Asked of the partition itself: a condition on the number would be answered by walking all its
/// numbers.
async fn open_in_partition(conn: &mut PgConnection, day: i64) -> Result<bool, StoreError> {
    let name = partition("messages", day);
    let there: bool = sqlx::query_scalar("select to_regclass($1) is not null")
        .bind(&name)
        .fetch_one(&mut *conn)
        .await?;
    if !there {
        return Ok(false);
    }
    // A text of its own for each day: not to be kept among the prepared ones.
    let open = format!(
        "select exists (select 1 from {name} where state = 0) \
         or exists (select 1 from {name} where state = 1) \
         or exists (select 1 from {name} where state in (3, 4))"
    );
    let open = sqlx::query_scalar(AssertSqlSafe(open)).persistent(false);
    Ok(open.fetch_one(conn).await?)
}

/// As [`Survey::page`](crate::store::upkeep::Survey::page). The page's end is found first, so that
/// it is the same whatever is wanted.
pub(super) async fn page(
    db: &mut Db<'_>,
    span: Span,
    wanted: Wanted,
    limit: u32,
) -> Result<Page, StoreError> {
    static END: Statement = Statement::new(
        "select seq from messages where seq > $1 and seq < $2 order by seq limit 1 offset $3",
    );
    static ENDED: Statement = Statement::new(
        "select seq, state from messages where seq > $1 and seq < $2 and +state > 4 order by seq",
    );
    static TEXTS: Statement = Statement::new(
        "select seq, state from messages where seq > $1 and seq < $2 and +state > 4 \
         and body <> '' order by seq",
    );
    static TO: Statement = Statement::new(
        "select seq, state from messages where seq > $1 and seq < $2 and recipient = $3 \
         order by seq",
    );
    let Span { after, before } = span;
    let values = [
        after.0.into(),
        before.0.into(),
        limit.saturating_sub(1).into(),
    ];
    let end = END.fetch_optional(db, &values).await?;
    let upto = match end {
        Some(row) => Some(MessageSeq(row.int(0)?)),
        None => None,
    };
    let until = upto.map_or(before.0, |upto| upto.0 + 1);
    let (after, until) = (after.0.into(), until.into());
    let rows = match wanted {
        Wanted::Ended => ENDED.fetch(db, &[after, until]).await?,
        Wanted::Texts => TEXTS.fetch(db, &[after, until]).await?,
        Wanted::To(number) => {
            TO.fetch(db, &[after, until, number.digits().into()])
                .await?
        }
    };
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        let state = State::from_index(row.int(1)?).ok_or(StoreError::Corrupt {
            what: "messages.state",
        })?;
        found.push((MessageSeq(row.int(0)?), state));
    }
    Ok(Page { found, upto })
}

/// As [`Survey::awaited`](crate::store::upkeep::Survey::awaited). No index knows the messages of
/// events, since each event would pay for it: all of the outbox is read once, which for a million
/// events takes a reader some tenths of a second. From the first of these messages to the last, not
/// one by one: they are of one page.
pub(super) async fn awaited(
    db: &mut Db<'_>,
    messages: &[MessageSeq],
) -> Result<HashSet<MessageSeq>, StoreError> {
    static AWAITED: Statement =
        Statement::new("select distinct message from outbox where message >= $1 and message <= $2");
    let (Some(first), Some(last)) = (messages.iter().min(), messages.iter().max()) else {
        return Ok(HashSet::new());
    };
    let rows = AWAITED.fetch(db, &[first.0.into(), last.0.into()]).await?;
    let found: HashSet<MessageSeq> = seqs(&rows)?.into_iter().collect();
    let asked = messages.iter().copied();
    Ok(asked.filter(|seq| found.contains(seq)).collect())
}
