//! Lives here: organisations and API keys, written by the writer, read by anybody.
//! Never here: caching (`store::directory`), making keys.

use secrecy::ExposeSecret;

use super::db::{Db, Row};
use super::statement::Statement;
use crate::domain::account::{ApiKey, Organisation};
use crate::domain::ids::{KeyId, OrgId};
use crate::domain::time::Timestamp;
use crate::store::StoreError;
use crate::store::reads::OrgBy;

/// As [`Rows::create_org`](crate::store::rows::Rows::create_org).
pub(in crate::store) async fn create_org(
    db: &mut Db<'_>,
    org: &Organisation,
) -> Result<bool, StoreError> {
    static CREATE: Statement = Statement::new(
        "insert into organisations (id, name, country, senders, webhook_secret, created_at) \
         values ($1, $2, $3, $4, $5, $6) on conflict (name) do nothing",
    );
    let senders = serde_json::to_string(&org.senders).unwrap_or_else(|_| "[]".into());
    let values = [
        org.id.0.into(),
        (&*org.name).into(),
        (&*org.country).into(),
        (&*senders).into(),
        org.webhook_secret.expose_secret().into(),
        org.created_at.0.into(),
    ];
    Ok(CREATE.execute(db, &values).await? == 1)
}

/// As [`Rows::create_key`](crate::store::rows::Rows::create_key).
pub(in crate::store) async fn create_key(
    db: &mut Db<'_>,
    key: &ApiKey,
) -> Result<bool, StoreError> {
    static CREATE: Statement = Statement::new(
        "insert into api_keys (id, org, hash, prefix, live, created_at) \
         select $1, id, $2, $3, $4, $5 from organisations where id = $6 \
         on conflict (hash) do nothing",
    );
    let values = [
        key.id.0.into(),
        (&key.hash[..]).into(),
        (&*key.prefix).into(),
        key.live.into(),
        key.created_at.0.into(),
        key.org.0.into(),
    ];
    Ok(CREATE.execute(db, &values).await? == 1)
}

/// As [`Reads::key`](crate::store::reads::Reads::key).
pub(in crate::store) async fn key(
    db: &mut Db<'_>,
    hash: &[u8; 32],
) -> Result<Option<(ApiKey, Organisation)>, StoreError> {
    static KEY: Statement = Statement::new(
        "select o.id, o.name, o.country, o.senders, o.webhook_secret, o.created_at, \
         k.id, k.prefix, k.live, k.created_at from api_keys k \
         join organisations o on o.id = k.org where k.hash = $1 and k.revoked_at is null",
    );
    let Some(row) = KEY.fetch_optional(db, &[(&hash[..]).into()]).await? else {
        return Ok(None);
    };
    let org = org(&row)?;
    let key = ApiKey {
        id: KeyId(row.id(6)?),
        org: org.id,
        hash: *hash,
        prefix: row.text(7)?.into(),
        live: row.flag(8)?,
        created_at: Timestamp(row.int(9)?),
    };
    Ok(Some((key, org)))
}

/// As [`Reads::organisation`](crate::store::reads::Reads::organisation).
pub(in crate::store) async fn organisation(
    db: &mut Db<'_>,
    by: OrgBy<'_>,
) -> Result<Option<Organisation>, StoreError> {
    static BY_ID: Statement = Statement::new(
        "select id, name, country, senders, webhook_secret, created_at from organisations \
         where id = $1",
    );
    static BY_NAME: Statement = Statement::new(
        "select id, name, country, senders, webhook_secret, created_at from organisations \
         where name = $1",
    );
    let row = match by {
        OrgBy::Id(id) => BY_ID.fetch_optional(db, &[id.0.into()]).await?,
        OrgBy::Name(name) => BY_NAME.fetch_optional(db, &[name.into()]).await?,
    };
    row.as_ref().map(org).transpose()
}

fn org(row: &Row) -> Result<Organisation, StoreError> {
    let senders: Vec<Box<str>> =
        serde_json::from_str(row.text(3)?).map_err(|_| StoreError::Corrupt {
            what: "organisations.senders",
        })?;
    Ok(Organisation {
        id: OrgId(row.id(0)?),
        name: row.text(1)?.into(),
        country: row.text(2)?.into(),
        senders,
        webhook_secret: row.text(4)?.to_owned().into(),
        created_at: Timestamp(row.int(5)?),
    })
}
