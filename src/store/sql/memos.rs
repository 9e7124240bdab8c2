//! Lives here: what requests that name themselves have been answered: statements, and the
//! databases' faces for them.
//! Never here: which requests repeat one (`store::memo`).

use std::sync::{Arc, LazyLock};

use bytes::Bytes;

use super::bulk::Bulk;
use super::db::{Conn, Db, Kind, Row};
use super::statement::{Statement, for_postgres};
use super::{ANSWER, Reader, Sql, lost, reader, rows, within};
use crate::domain::time::Timestamp;
use crate::store::StoreError;
use crate::store::memo::{Answers, Memo, MemoKey, Memos};

impl Memos for Sql {
    async fn memos(&mut self, keys: &[MemoKey]) -> Result<Vec<Memo>, StoreError> {
        rows::ask!(self, |db| memos(db, keys))
    }

    async fn put_memos(&mut self, memos: &[Arc<Memo>]) -> Result<(), StoreError> {
        rows::ask!(self, |db| put_memos(db, memos))
    }

    async fn empty_memos(&mut self, keys: &[MemoKey]) -> Result<(), StoreError> {
        rows::ask!(self, |db| empty_memos(db, keys))
    }

    async fn drop_memos(&mut self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        rows::ask!(self, |db| drop_memos(db, before, limit))
    }
}

impl Answers for Reader {
    async fn memo(&self, key: &MemoKey) -> Result<Option<Memo>, StoreError> {
        let found = reader::ask!(self, |db| memos(db, std::slice::from_ref(key)))?;
        Ok(found.into_iter().next())
    }

    async fn answers(
        &self,
        after: &MemoKey,
        limit: u32,
    ) -> Result<Vec<(MemoKey, Bytes)>, StoreError> {
        reader::ask!(self, |db| answers(db, after, limit))
    }
}

async fn memos(db: &mut Db<'_>, keys: &[MemoKey]) -> Result<Vec<Memo>, StoreError> {
    // A list is filled up with copies of its last row.
    static FIND: Bulk = Bulk::new(
        "with v (key) as (select distinct * from ({rows}) as r) \
         select m.key, m.fingerprint, m.status, m.body, m.at from v join memos m on m.key == v.key",
        &[Kind::Bytes],
    );
    let rows = FIND.fetch(db, keys, |key| [key[..].into()]).await?;
    rows.iter().map(memo).collect()
}

fn memo(row: &Row) -> Result<Memo, StoreError> {
    let hash = |column| {
        let octets = row.bytes(column)?;
        octets.try_into().map_err(|_| StoreError::Corrupt {
            what: "a request's hash",
        })
    };
    Ok(Memo {
        key: hash(0)?,
        fingerprint: hash(1)?,
        status: row.small(2)?,
        body: Bytes::copy_from_slice(row.bytes(3)?),
        at: Timestamp(row.int(4)?),
    })
}

async fn put_memos(db: &mut Db<'_>, memos: &[Arc<Memo>]) -> Result<(), StoreError> {
    static PUT: Bulk = Bulk::new(
        "insert into memos (key, fingerprint, status, body, at) {rows} {once}",
        &[Kind::Bytes, Kind::Bytes, Kind::Int, Kind::Bytes, Kind::Int],
    );
    PUT.execute(db, memos, |memo| {
        [
            memo.key[..].into(),
            memo.fingerprint[..].into(),
            i64::from(memo.status).into(),
            memo.body[..].into(),
            memo.at.0.into(),
        ]
    })
    .await?;
    Ok(())
}

async fn answers(
    db: &mut Db<'_>,
    after: &MemoKey,
    limit: u32,
) -> Result<Vec<(MemoKey, Bytes)>, StoreError> {
    static NEXT: Statement = Statement::new(
        "select key, fingerprint, status, body, at from memos where key > $1 order by key limit $2",
    );
    let rows = NEXT.fetch(db, &[after[..].into(), limit.into()]).await?;
    let answer = |row| memo(row).map(|memo| (memo.key, memo.body));
    rows.iter().map(answer).collect()
}

async fn empty_memos(db: &mut Db<'_>, keys: &[MemoKey]) -> Result<(), StoreError> {
    static EMPTY: Bulk = Bulk::new(
        "with v (key, body) as ({rows}) update memos set body = v.body from v \
         where memos.key == v.key",
        &[Kind::Bytes, Kind::Bytes],
    );
    let none: &[u8] = &[];
    EMPTY
        .execute(db, keys, |key| [key[..].into(), none.into()])
        .await?;
    Ok(())
}

async fn drop_memos(db: &mut Db<'_>, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
    static DROP: LazyLock<Statement> = LazyLock::new(|| {
        let old =
            "select key from memos indexed by memos_by_time where at < $1 order by at limit $2";
        Statement::each(
            format!("delete from memos where key in ({old})"),
            format!(
                "delete from memos where key = any(array({}))",
                for_postgres(old)
            ),
        )
    });
    Ok(DROP.execute(db, &[before.0.into(), limit.into()]).await?)
}
