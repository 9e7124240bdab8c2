//! Lives here: PostgreSQL's partitions: what is written for good, a table for each day.
//!
//! A partition is made as a table of its own and then attached. That locks the whole table against
//! other changes of its form only (SHARE UPDATE EXCLUSIVE), while `create table … partition of`
//! would wait for every reader, and make every new reader wait behind it (ACCESS EXCLUSIVE).
//!
//! The writer's statements over lists of messages name the day's partition itself: one that names
//! the whole table opens all its partitions first, whatever it looks for. (On 2 cores a look-up in
//! the whole takes 1 ms with 97 days and 8 ms with 372.)
//! Never here: dropping them.

use std::collections::BTreeSet;

use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;

use crate::domain::ids::MessageSeq;
use crate::store::StoreError;
use crate::store::rows::first_of_day;

/// How many days ahead partitions are made: a daemon that runs makes them in time, and each is one
/// more to be passed over by every statement.
const AHEAD: i64 = 2;

/// Locks that a day's partitions take of the server's table of locks, for the writer and for each
/// reader that asks: a statement locks each partition that its plan names, whether it looks into it
/// or not, and each index that it opens. Those that name the day's partition itself add a few in all.
/// Measured with 97 and 370 days, before messages had the two indexes of lists: a commit 12 for each
/// day, retention's 17, a reader's greediest question 12; what a start settles 20, while nobody reads.
/// Each is two more since; the readers' is an operator's rehearsal, and all others ask for less than 12.
const LOCKS: (i64, i64) = (19, 12);

/// A table of partitions.
pub(in crate::store) struct Parted {
    /// Its name.
    pub(in crate::store) table: &'static str,
    /// Storage parameters of its partitions.
    storage: &'static str,
}

/// The tables of partitions; all are parted by the message's number.
///
/// messages: of the three versions of a row (accepted, sent, ended) the second and third find room
/// on its page, so that it stays warm and one page is written instead of three. attempts: a receipt
/// changes no indexed column; with room on the page it writes no index. Both are vacuumed after a
/// twentieth and ten thousand rows have died, which is only ever so in the newest days: queries of
/// what is due or overdue read their indexes from the end at which the dead lie. The others are
/// only appended to.
pub(in crate::store) const PARTED: [Parted; 4] = [
    Parted {
        table: "messages",
        storage: "fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, \
                  autovacuum_vacuum_threshold = 10000",
    },
    Parted {
        table: "attempts",
        storage: "fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05, \
                  autovacuum_vacuum_threshold = 10000",
    },
    Parted {
        table: "receipt_events",
        storage: "fillfactor = 100",
    },
    Parted {
        table: "deliveries",
        storage: "fillfactor = 100",
    },
];

/// The days of which the tables that texts may name by the day have partitions.
#[derive(Debug)]
pub(in crate::store) struct Days([BTreeSet<i64>; 2]);

/// Those tables, as the texts have them.
const NAMED: [(&str, &str); 2] = [("{messages}", "messages"), ("{attempts}", "attempts")];

impl Days {
    /// Reads what there is, after what is missing has been made.
    pub(super) async fn read(conn: &mut PgConnection) -> Result<Self, StoreError> {
        mend(conn).await?;
        let mut found = [const { BTreeSet::new() }; 2];
        for (found, (_, table)) in found.iter_mut().zip(NAMED) {
            found.extend(days(conn, table).await?);
        }
        Ok(Self(found))
    }

    /// Whether all that a text names has a partition of the day. If not there is nothing that it
    /// could find.
    pub(super) fn have(&self, text: &str, day: i64) -> bool {
        let mut named = NAMED.iter().zip(&self.0);
        named.all(|((word, _), days)| !text.contains(word) || days.contains(&day))
    }
}

/// Whether a text goes to partitions.
pub(super) fn is_parted(text: &str) -> bool {
    NAMED.iter().any(|(word, _)| text.contains(word))
}

/// The text for a day's partitions, or for the whole tables.
pub(super) fn named(text: &str, day: Option<i64>) -> String {
    let name = |table: &str| day.map_or_else(|| table.into(), |day| partition(table, day));
    NAMED.iter().fold(text.to_owned(), |text, (word, table)| {
        text.replace(word, &name(table))
    })
}

/// The name of a table's partition of a day: `messages_d20778`.
pub(in crate::store) fn partition(table: &str, day: i64) -> String {
    format!("{table}_d{day}")
}

/// The days of which a table has partitions.
pub(in crate::store) async fn days(
    conn: &mut PgConnection,
    table: &str,
) -> Result<Vec<i64>, StoreError> {
    let names: Vec<String> = sqlx::query_scalar(
        "select c.relname::text from pg_inherits i join pg_class c on c.oid = i.inhrelid \
         where i.inhparent = to_regclass($1)",
    )
    .bind(table)
    .fetch_all(conn)
    .await?;
    let day = |name: &String| name.strip_prefix(table)?.strip_prefix("_d")?.parse().ok();
    Ok(names.iter().filter_map(day).collect())
}

/// Makes the partitions of a day and of those ahead of it that are not there: ahead of all there are,
/// since of those between some have been dropped. Only that of the day itself must be: the others
/// have time.
pub(super) async fn prepare(
    conn: &mut PgConnection,
    day: i64,
    readers: u32,
) -> Result<(), StoreError> {
    let mut missing = Vec::new();
    for parted in &PARTED {
        let there = days(conn, parted.table).await?;
        let newest = there.iter().copied().max().unwrap_or(day);
        let wanted = (day..=day + AHEAD).filter(|one| *one == day || *one > newest);
        let wanted = wanted.filter(|day| !there.contains(day));
        missing.extend(wanted.map(|day| (day, parted)));
    }
    if !missing.is_empty() {
        look_at_locks(conn, readers).await?;
    }
    missing.sort_by_key(|(day, _)| *day);
    for (missing, parted) in missing {
        match make(conn, parted, missing).await {
            Ok(()) => {}
            Err(error) if missing == day || error.breaks() => return Err(error),
            Err(error) => {
                tracing::warn!(%error, day = missing, "a partition could not be made ahead");
            }
        }
    }
    Ok(())
}

/// Gives every day that has messages what it lacks in the other tables, should somebody have dropped
/// it. What was in it is gone, but what is still said of those messages has its place again. What
/// cannot be made stops nothing else.
async fn mend(conn: &mut PgConnection) -> Result<(), StoreError> {
    let [messages, theirs @ ..] = &PARTED;
    let wanted = days(conn, messages.table).await?;
    for parted in theirs {
        let there: BTreeSet<i64> = days(conn, parted.table).await?.into_iter().collect();
        for day in wanted.iter().filter(|day| !there.contains(day)) {
            let name = partition(parted.table, *day);
            match make(conn, parted, *day).await {
                Ok(()) => {
                    tracing::warn!(
                        table = name,
                        "a day's table was missing and is made anew, empty"
                    );
                }
                Err(error) if error.breaks() => return Err(error),
                Err(error) => {
                    tracing::error!(%error, table = name, "a day's table is missing and cannot be made");
                }
            }
        }
    }
    Ok(())
}

/// Whether the role may make and drop tables of days, which only their owner may; before anything
/// depends on it.
pub(super) async fn examine_owners(conn: &mut PgConnection) -> Result<(), StoreError> {
    let row: Option<(String, String, String)> = sqlx::query_as(
        "with parted as (select to_regclass(name) as oid from unnest($1::text[]) name) \
         select c.relname::text, pg_get_userbyid(c.relowner)::text, current_user::text \
         from pg_class c \
         where (c.oid in (select oid from parted) or c.oid in (select i.inhrelid from pg_inherits i \
         join parted on parted.oid = i.inhparent)) \
         and not pg_has_role(current_user, c.relowner, 'USAGE') order by c.relname limit 1",
    )
    .bind(PARTED.map(|parted| parted.table))
    .fetch_optional(conn)
    .await?;
    match row {
        None => Ok(()),
        Some((table, owner, role)) => Err(StoreError::Server {
            why: format!(
                "table {table} belongs to role {owner}, which our role {role} is no member of: no \
                 day could be added to it; let a superuser give {role} every table (alter table \
                 {table} owner to {role}, and so on; or reassign owned by {owner} to {role} if \
                 {owner} owns nothing else), or restore with pg_restore --no-owner --role={role}"
            ),
        }),
    }
}

/// Says so while there is time if the server's table of locks will not do: when it is full, commits
/// fail ("out of shared memory") until there are fewer days.
pub(super) async fn look_at_locks(conn: &mut PgConnection, readers: u32) -> Result<(), StoreError> {
    let there = days(conn, PARTED[0].table).await?.len();
    let (each, sessions): (i64, i64) = sqlx::query_as(
        "select current_setting('max_locks_per_transaction')::int8, \
         current_setting('max_connections')::int8 + current_setting('max_prepared_transactions')::int8",
    )
    .fetch_one(conn)
    .await?;
    if let Some(needed) = more_locks(there, each, sessions, readers) {
        tracing::warn!(
            days = there,
            max_locks_per_transaction = each,
            needed,
            "the PostgreSQL server may come to have too few locks for so many days of messages, and \
             then commits fail: raise its max_locks_per_transaction, or shorten retention or use \
             fewer readers"
        );
    }
    Ok(())
}

/// What the setting should be if it is too low for so many days, a week more included.
fn more_locks(days: usize, each: i64, sessions: i64, readers: u32) -> Option<i64> {
    let days = i64::try_from(days).unwrap_or(i64::MAX);
    let needed = days
        .saturating_add(AHEAD)
        .saturating_mul(LOCKS.0 + LOCKS.1 * i64::from(readers));
    let needed = needed / sessions.max(1) + 1;
    (needed > each).then_some(needed)
}

/// Makes the partitions that rows of these days need, if the table is one of partitions: those of
/// all tables, since a day that has messages is expected to have everything.
pub(super) async fn receive(
    conn: &mut PgConnection,
    table: &str,
    wanted: &BTreeSet<i64>,
) -> Result<(), StoreError> {
    if !PARTED.iter().any(|parted| parted.table == table) {
        return Ok(());
    }
    for parted in &PARTED {
        let there = days(conn, parted.table).await?;
        for day in wanted.iter().filter(|day| !there.contains(day)) {
            make(conn, parted, *day).await?;
        }
    }
    Ok(())
}

async fn make(conn: &mut PgConnection, parted: &Parted, day: i64) -> Result<(), StoreError> {
    // One text is one transaction: a table that is there is attached.
    let create = AssertSqlSafe(create(parted, day));
    sqlx::raw_sql(create).execute(conn).await?;
    Ok(())
}

fn create(parted: &Parted, day: i64) -> String {
    let Parted { table, storage } = parted;
    let name = partition(table, day);
    let (MessageSeq(from), MessageSeq(to)) = (first_of_day(day), first_of_day(day + 1));
    format!(
        "create table {name} (like {table} including defaults) with ({storage}); \
         alter table {table} attach partition {name} for values from ({from}) to ({to})"
    )
}

#[cfg(test)]
mod tests {
    use super::more_locks;

    #[test]
    fn a_server_s_own_setting_does_for_ninety_days_and_not_for_a_year() {
        // Ninety days, today and those ahead, and the four readers of the default.
        assert_eq!(more_locks(93, 64, 100, 4), None);
        assert_eq!(more_locks(372, 64, 100, 4), Some(251));
        assert_eq!(more_locks(372, 256, 100, 4), None);
        assert_eq!(more_locks(93, 64, 100, 16), Some(201));
    }
}
