//! Lives here: what a run leaves to the next: the last commit's number, how it ended; the schema's
//! level; the mark of a copy that is not complete.
//! Never here: deciding what becomes of it (`engine`).

use super::db::{Db, Row};
use super::statement::Statement;
use crate::domain::ids::Place;
use crate::store::StoreError;
use crate::store::rows::House;

/// Whether a program of this level may run on the schema. Newer migrations that only add are no
/// matter; one that takes something away says so in the row `compat`.
pub(super) async fn admits(db: &mut Db<'_>, level: i64) -> Result<(), StoreError> {
    static COMPAT: Statement = Statement::new("select value from house where key = 'compat'");
    let needs = COMPAT.fetch_one(db, &[]).await?.int(0)?;
    if needs <= level {
        Ok(())
    } else {
        Err(StoreError::TooNew { needs, level })
    }
}

/// The mark of a copy that is not complete: the number of its original's last commit.
pub(super) async fn copying(db: &mut Db<'_>) -> Result<Option<i64>, StoreError> {
    static MARK: Statement = Statement::new("select value from house where key = 'copying'");
    let row = MARK.fetch_optional(db, &[]).await?;
    Ok(row.map(|row| row.int(0)).transpose()?)
}

/// Makes the mark on an empty store, and takes off whatever a run without a message has left.
pub(super) async fn mark_copying(db: &mut Db<'_>, commit: i64) -> Result<(), StoreError> {
    static CLEAR: Statement =
        Statement::new("delete from house where key not in ('compat', 'commit', 'copying')");
    static MARK: Statement =
        Statement::new("insert into house (key, value) values ('copying', $1)");
    CLEAR.execute(db, &[]).await?;
    MARK.execute(db, &[commit.into()]).await?;
    Ok(())
}

/// Takes the mark off.
pub(super) async fn unmark_copying(db: &mut Db<'_>) -> Result<(), StoreError> {
    static UNMARK: Statement = Statement::new("delete from house where key = 'copying'");
    UNMARK.execute(db, &[]).await?;
    Ok(())
}

/// What goes along when a store moves: all but the schema's own and the mark.
pub(super) async fn belongings(db: &mut Db<'_>) -> Result<Vec<Row>, StoreError> {
    static ALL: Statement = Statement::new(
        "select key, value from house where key not in ('compat', 'copying') order by key",
    );
    Ok(ALL.fetch(db, &[]).await?)
}

/// Puts down one of those.
pub(super) async fn put_down(db: &mut Db<'_>, row: &Row) -> Result<(), StoreError> {
    static PUT: Statement = Statement::new(
        "insert into house (key, value) values ($1, $2) \
         on conflict (key) do update set value = excluded.value",
    );
    PUT.execute(db, &[row.text(0)?.into(), row.int(1)?.into()])
        .await?;
    Ok(())
}

/// The number of the last commit.
pub(super) async fn last_commit(db: &mut Db<'_>) -> Result<i64, StoreError> {
    static LAST: Statement = Statement::new("select value from house where key = 'commit'");
    Ok(LAST.fetch_one(db, &[]).await?.int(0)?)
}

/// Notes an orderly end; [`house`] takes the note off.
pub(super) async fn sign_off(db: &mut Db<'_>) -> Result<(), StoreError> {
    static NOTE: Statement = Statement::new(
        "insert into house (key, value) values ('orderly', 1) on conflict (key) do nothing",
    );
    NOTE.execute(db, &[]).await?;
    Ok(())
}

/// As [`Rows::note_given`](crate::store::rows::Rows::note_given).
pub(super) async fn note_given(db: &mut Db<'_>, last: Place) -> Result<(), StoreError> {
    static NOTE: Statement = Statement::new(
        "insert into house (key, value) values ('given', $1) \
         on conflict (key) do update set value = excluded.value",
    );
    NOTE.execute(db, &[last.0.into()]).await?;
    Ok(())
}

/// As [`Rows::house`](crate::store::rows::Rows::house).
pub(in crate::store) async fn house(db: &mut Db<'_>) -> Result<House, StoreError> {
    // The note is above all numbers that were ever given. A store that was made up of rows
    // (`fill`) has none, and a number given twice would be a message lost.
    static LAST: Statement = Statement::new(
        "select coalesce((select max(seq) from messages), 0), \
         coalesce((select value from house where key = 'given'), 0)",
    );
    static ORDERLY: Statement = Statement::new("delete from house where key = 'orderly'");
    // Workers that held a lease on an event not yet attempted are gone with their process.
    static LEASES: Statement =
        Statement::new("update outbox set due_at = at where attempts = 0 and due_at > at");
    let row = LAST.fetch_one(db, &[]).await?;
    let last = Place(row.int(0)?.max(row.int(1)?));
    let orderly = ORDERLY.execute(db, &[]).await? == 1;
    LEASES.execute(db, &[]).await?;
    let commit = last_commit(db).await?;
    Ok(House {
        last,
        orderly,
        commit,
    })
}
