//! Lives here: what a run leaves to the next: the last commit's number, how it ended, what it was
//! about to send; the schema's level.
//! Never here: deciding what becomes of it (`engine`).

use sqlx::migrate::Migrator;

use super::bulk::Bulk;
use super::db::{Db, Kind};
use super::statement::Statement;
use crate::domain::ids::{BindName, CarrierId, MessageSeq, Place};
use crate::domain::time::Timestamp;
use crate::store::StoreError;
use crate::store::rows::{House, Interrupted};

/// The level of a program: that of the last of its migrations.
pub(super) fn level_of(migrations: &Migrator) -> i64 {
    let versions = migrations.iter().map(|migration| migration.version);
    versions.max().unwrap_or_default()
}

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

pub(in crate::store) async fn house(db: &mut Db<'_>) -> Result<House, StoreError> {
    // Places of what waits no more are in nobody's order.
    static LAST: Statement = Statement::new(
        "select coalesce((select max(seq) from messages), 0), coalesce((select max(place) \
         from messages indexed by messages_waiting where state = 1), 0)",
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

pub(in crate::store) async fn interrupted(
    db: &mut Db<'_>,
) -> Result<Vec<Interrupted>, StoreError> {
    static INTENTS: Statement =
        Statement::new("select bind, at, messages, carrier from intents order by id desc");
    let mut found = Vec::new();
    for row in INTENTS.fetch(db, &[]).await? {
        let (bind, carrier) = (row.text(0)?, row.text(3)?);
        let at = Timestamp(row.int(1)?);
        let (messages, _) = row.bytes(2)?.as_chunks();
        found.extend(messages.iter().map(|octets| Interrupted {
            message: MessageSeq(i64::from_be_bytes(*octets)),
            carrier: CarrierId(carrier.into()),
            bind: BindName(bind.into()),
            at,
        }));
    }
    found.sort_by_key(|one| one.message);
    found.dedup_by_key(|one| one.message);
    Ok(found)
}

pub(in crate::store) async fn doubt(
    db: &mut Db<'_>,
    interrupted: &[Interrupted],
) -> Result<u64, StoreError> {
    // Each segment that no carrier has taken. Its sequence number is not known any more (0).
    static ATTEMPTS: Bulk = Bulk::new(
        "with recursive v (message, carrier, bind, at) as ({rows}), n (part) as (select 1 union \
         all select part + 1 from n where part < 16) \
         insert into attempts (message, part, attempt, carrier, bind, sequence, submitted_at, \
         answered_at, state, recipient) select distinct m.seq, n.part, 1 + coalesce((select \
         max(a.attempt) from attempts a where a.message = m.seq), 0), v.carrier, v.bind, 0, v.at, \
         v.at, 7, m.recipient from v join messages m on m.seq = v.message \
         join n on n.part <= m.segments where m.state in (1, 3) and not exists (select 1 \
         from attempts a where a.message = m.seq and a.part = n.part and a.state not in (6, 7)) \
         on conflict do nothing",
        &[Kind::Int, Kind::Text, Kind::Text, Kind::Int],
    );
    // One that was in doubt already, or an OTP (its first attempt has no intent), has had its one
    // resend.
    static MESSAGES: Bulk = Bulk::new(
        "update messages set state = 3, possible_duplicate = case when state = 3 or class = 0 \
         then 1 else possible_duplicate end where state in (1, 3) and seq in ({rows})",
        &[Kind::Int],
    );
    static FORGET: Statement = Statement::new("delete from intents");
    ATTEMPTS
        .execute(db, interrupted, |one| {
            [
                one.message.0.into(),
                (&*one.carrier.0).into(),
                (&*one.bind.0).into(),
                one.at.0.into(),
            ]
        })
        .await?;
    let doubted = MESSAGES
        .execute(db, interrupted, |one| [one.message.0.into()])
        .await?;
    FORGET.execute(db, &[]).await?;
    Ok(doubted)
}
