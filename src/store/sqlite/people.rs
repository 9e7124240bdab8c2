//! Lives here: organisations and API keys, written by the writer, read by anybody.
//! Never here: caching (`store::directory`), making keys.

use secrecy::ExposeSecret;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteExecutor, SqliteRow};

use super::accept::uuid;
use crate::domain::account::{ApiKey, Organisation};
use crate::domain::ids::{KeyId, OrgId};
use crate::domain::time::Timestamp;
use crate::store::StoreError;

const ORG_COLUMNS: &str = "o.id, o.name, o.country, o.senders, o.webhook_secret, o.created_at";

/// Writes an organisation; `false` if its name is taken.
pub(super) async fn create_org(
    conn: &mut SqliteConnection,
    org: &Organisation,
) -> sqlx::Result<bool> {
    let senders = serde_json::to_string(&org.senders).unwrap_or_else(|_| "[]".into());
    let done = sqlx::query(
        "insert into organisations (id, name, country, senders, webhook_secret, created_at) \
         values (?, ?, ?, ?, ?, ?) on conflict (name) do nothing",
    )
    .bind(&org.id.0.as_bytes()[..])
    .bind(&*org.name)
    .bind(&*org.country)
    .bind(senders)
    .bind(org.webhook_secret.expose_secret())
    .bind(org.created_at.0)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Writes a key; `false` if the organisation does not exist or the key is there already.
pub(super) async fn create_key(conn: &mut SqliteConnection, key: &ApiKey) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "insert into api_keys (id, org, hash, prefix, live, created_at) \
         select ?, id, ?, ?, ?, ? from organisations where id = ? on conflict (hash) do nothing",
    )
    .bind(&key.id.0.as_bytes()[..])
    .bind(&key.hash[..])
    .bind(&*key.prefix)
    .bind(i64::from(key.live))
    .bind(key.created_at.0)
    .bind(&key.org.0.as_bytes()[..])
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The key with this hash and its organisation, unless revoked.
pub(super) async fn key(
    conn: impl SqliteExecutor<'_>,
    hash: &[u8; 32],
) -> Result<Option<(ApiKey, Organisation)>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "select {ORG_COLUMNS}, k.id, k.prefix, k.live, k.created_at from api_keys k \
         join organisations o on o.id = k.org where k.hash = ? and k.revoked_at is null"
    ));
    let Some(row) = sqlx::query(sql)
        .bind(&hash[..])
        .fetch_optional(conn)
        .await?
    else {
        return Ok(None);
    };
    let org = org(&row)?;
    let key = ApiKey {
        id: KeyId(uuid(&row, 6)?),
        org: org.id,
        hash: *hash,
        prefix: row.try_get::<&str, _>(7)?.into(),
        live: row.try_get::<bool, _>(8)?,
        created_at: Timestamp(row.try_get(9)?),
    };
    Ok(Some((key, org)))
}

/// An organisation by id, or by its name.
pub(super) async fn organisation(
    conn: impl SqliteExecutor<'_>,
    by: OrgBy<'_>,
) -> Result<Option<Organisation>, StoreError> {
    let (column, id, name) = match by {
        OrgBy::Id(id) => ("id", Some(id), None),
        OrgBy::Name(name) => ("name", None, Some(name)),
    };
    let sql = sqlx::AssertSqlSafe(format!(
        "select {ORG_COLUMNS} from organisations o where o.{column} = ?"
    ));
    let query = sqlx::query(sql);
    let query = match id {
        Some(id) => query.bind(id.0.as_bytes().to_vec()),
        None => query.bind(name),
    };
    query
        .fetch_optional(conn)
        .await?
        .as_ref()
        .map(org)
        .transpose()
}

/// What an organisation is looked up by.
pub(in crate::store) enum OrgBy<'a> {
    Id(OrgId),
    Name(&'a str),
}

fn org(row: &SqliteRow) -> Result<Organisation, StoreError> {
    let senders: Vec<Box<str>> =
        serde_json::from_str(row.try_get(3)?).map_err(|_| StoreError::Corrupt {
            what: "organisations.senders",
        })?;
    Ok(Organisation {
        id: OrgId(uuid(row, 0)?),
        name: row.try_get::<&str, _>(1)?.into(),
        country: row.try_get::<&str, _>(2)?.into(),
        senders,
        webhook_secret: row.try_get::<String, _>(4)?.into(),
        created_at: Timestamp(row.try_get(5)?),
    })
}
