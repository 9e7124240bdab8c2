//! Lives here: organisations, API keys and users, written by the writer, read by anybody.
//! Never here: caching (`store::directory`), making keys, whether one works (`domain::account`).

use ipnet::IpNet;
use secrecy::ExposeSecret;

use super::bulk::Bulk;
use super::db::{Db, Kind, Row};
use super::statement::Statement;
use crate::domain::account::{ApiKey, Organisation};
use crate::domain::ids::{KeyId, OrgId, UserId};
use crate::domain::scope::Scopes;
use crate::domain::time::Timestamp;
use crate::domain::user::{Role, User};
use crate::store::StoreError;
use crate::store::people::KeysOf;
use crate::store::reads::OrgBy;

/// Reads keys `k`, as [`api_key`] takes them.
macro_rules! keys {
    ($more:literal) => {
        concat!(
            "select k.id, k.org, k.hash, k.prefix, k.live, k.name, k.scopes, k.senders, k.networks, \
             k.expires_at, k.rate, k.created_at, k.revoked_at, k.replaced_by, k.last_used_at",
            $more
        )
    };
}

/// As [`People::create_org`](crate::store::people::People::create_org).
pub(in crate::store) async fn create_org(
    db: &mut Db<'_>,
    org: &Organisation,
) -> Result<bool, StoreError> {
    static CREATE: Statement = Statement::new(
        "insert into organisations (id, name, country, senders, webhook_secret, created_at) \
         values ($1, $2, $3, $4, $5, $6) on conflict (name) do nothing",
    );
    let senders = list(&org.senders);
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

/// As [`People::create_key`](crate::store::people::People::create_key).
pub(in crate::store) async fn create_key(
    db: &mut Db<'_>,
    key: &ApiKey,
) -> Result<bool, StoreError> {
    static CREATE: Statement = Statement::new(
        "insert into api_keys (id, org, hash, prefix, live, name, scopes, senders, networks, \
         expires_at, rate, created_at, revoked_at, replaced_by, last_used_at) \
         select $1, id, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14 \
         from organisations where id = $15 on conflict (hash) do nothing",
    );
    let senders = list(&key.senders);
    let networks: Vec<String> = key.networks.iter().map(IpNet::to_string).collect();
    let networks = list(&networks);
    let values = [
        key.id.0.into(),
        (&key.hash[..]).into(),
        (&*key.prefix).into(),
        key.live.into(),
        (&*key.name).into(),
        key.scopes.bits().into(),
        (&*senders).into(),
        (&*networks).into(),
        key.expires_at.map(|at| at.0).into(),
        key.rate.map(i64::from).into(),
        key.created_at.0.into(),
        key.revoked_at.map(|at| at.0).into(),
        key.replaced_by.map(|id| id.0).into(),
        key.last_used_at.map(|at| at.0).into(),
        key.org.0.into(),
    ];
    Ok(CREATE.execute(db, &values).await? == 1)
}

/// As [`Roster::key`](crate::store::people::Roster::key).
pub(in crate::store) async fn key(
    db: &mut Db<'_>,
    hash: &[u8; 32],
) -> Result<Option<(ApiKey, Organisation)>, StoreError> {
    static KEY: Statement = Statement::new(keys!(
        ", o.id, o.name, o.country, o.senders, o.webhook_secret, o.created_at \
         from api_keys k join organisations o on o.id = k.org where k.hash = $1"
    ));
    let row = KEY.fetch_optional(db, &[(&hash[..]).into()]).await?;
    row.as_ref().map(key_and_org).transpose()
}

/// As [`Roster::used_last`](crate::store::people::Roster::used_last).
pub(in crate::store) async fn used_last(
    db: &mut Db<'_>,
    limit: u32,
) -> Result<Vec<(ApiKey, Organisation)>, StoreError> {
    static LAST: Statement = Statement::new(keys!(
        ", o.id, o.name, o.country, o.senders, o.webhook_secret, o.created_at \
         from api_keys k join organisations o on o.id = k.org \
         where k.last_used_at is not null order by k.last_used_at desc limit $1"
    ));
    let rows = LAST.fetch(db, &[limit.into()]).await?;
    rows.iter().map(key_and_org).collect()
}

/// As [`Roster::key_by_id`](crate::store::people::Roster::key_by_id).
pub(in crate::store) async fn key_by_id(
    db: &mut Db<'_>,
    id: KeyId,
) -> Result<Option<ApiKey>, StoreError> {
    static KEY: Statement = Statement::new(keys!(" from api_keys k where k.id = $1"));
    let row = KEY.fetch_optional(db, &[id.0.into()]).await?;
    row.as_ref().map(api_key).transpose()
}

/// As [`Roster::keys_of`](crate::store::people::Roster::keys_of).
pub(in crate::store) async fn keys_of(
    db: &mut Db<'_>,
    wanted: &KeysOf,
) -> Result<Vec<ApiKey>, StoreError> {
    static KEYS: Statement = Statement::new(keys!(
        " from api_keys k where k.org = $1 and coalesce(k.revoked_at, $2) >= $2 \
         and k.live <= $3 order by k.id desc limit $4"
    ));
    // Revoked at a time is revoked then.
    let after = wanted.unrevoked.map_or(i64::MIN, |at| at.0 + 1);
    let values = [
        wanted.org.0.into(),
        after.into(),
        (!wanted.test_only).into(),
        wanted.limit.into(),
    ];
    let rows = KEYS.fetch(db, &values).await?;
    rows.iter().map(api_key).collect()
}

/// As [`People::count_keys`](crate::store::people::People::count_keys).
pub(in crate::store) async fn count_keys(
    db: &mut Db<'_>,
    org: OrgId,
    now: Timestamp,
) -> Result<u32, StoreError> {
    static COUNT: Statement = Statement::new(
        "select count(*) from api_keys where org = $1 and (revoked_at is null or revoked_at > $2)",
    );
    let row = COUNT.fetch_one(db, &[org.0.into(), now.0.into()]).await?;
    row.small(0)
}

/// As [`People::end_key`](crate::store::people::People::end_key).
pub(in crate::store) async fn end_key(
    db: &mut Db<'_>,
    id: KeyId,
    at: Timestamp,
    successor: Option<KeyId>,
) -> Result<(), StoreError> {
    static END: Statement = Statement::new(
        "update api_keys set revoked_at = $2, replaced_by = coalesce($3, replaced_by) \
         where id = $1",
    );
    let values = [id.0.into(), at.0.into(), successor.map(|id| id.0).into()];
    END.execute(db, &values).await?;
    Ok(())
}

/// As [`People::note_uses`](crate::store::people::People::note_uses).
pub(in crate::store) async fn note_uses(
    db: &mut Db<'_>,
    uses: &[(KeyId, Timestamp)],
) -> Result<(), StoreError> {
    static NOTE: Bulk = Bulk::new(
        "with v (id, at) as ({rows}) update api_keys set last_used_at = v.at from v \
         where api_keys.id == v.id and (last_used_at is null or last_used_at < v.at)",
        &[Kind::Id, Kind::Int],
    );
    NOTE.execute(db, uses, |(id, at)| [id.0.into(), at.0.into()])
        .await?;
    Ok(())
}

/// As [`People::create_user`](crate::store::people::People::create_user).
pub(in crate::store) async fn create_user(
    db: &mut Db<'_>,
    user: &User,
) -> Result<bool, StoreError> {
    static CREATE: Statement = Statement::new(
        "insert into users (id, org, email, name, role, created_at) \
         select $1, id, $2, $3, $4, $5 from organisations where id = $6 \
         on conflict (org, email) do nothing",
    );
    let values = [
        user.id.0.into(),
        (&*user.email).into(),
        (&*user.name).into(),
        user.role.index().into(),
        user.created_at.0.into(),
        user.org.0.into(),
    ];
    Ok(CREATE.execute(db, &values).await? == 1)
}

/// As [`People::count_users`](crate::store::people::People::count_users).
pub(in crate::store) async fn count_users(db: &mut Db<'_>, org: OrgId) -> Result<u32, StoreError> {
    static COUNT: Statement = Statement::new("select count(*) from users where org = $1");
    COUNT.fetch_one(db, &[org.0.into()]).await?.small(0)
}

/// As [`People::remove_user`](crate::store::people::People::remove_user).
pub(in crate::store) async fn remove_user(
    db: &mut Db<'_>,
    org: OrgId,
    id: UserId,
) -> Result<bool, StoreError> {
    static REMOVE: Statement = Statement::new("delete from users where id = $1 and org = $2");
    Ok(REMOVE.execute(db, &[id.0.into(), org.0.into()]).await? == 1)
}

/// As [`Roster::user`](crate::store::people::Roster::user).
pub(in crate::store) async fn user(
    db: &mut Db<'_>,
    id: UserId,
) -> Result<Option<(User, Organisation)>, StoreError> {
    static USER: Statement = Statement::new(
        "select u.id, u.org, u.email, u.name, u.role, u.created_at, \
         o.id, o.name, o.country, o.senders, o.webhook_secret, o.created_at \
         from users u join organisations o on o.id = u.org where u.id = $1",
    );
    let row = USER.fetch_optional(db, &[id.0.into()]).await?;
    row.map(|row| Ok((person(&row)?, org(&row, USER_COLUMNS)?)))
        .transpose()
}

/// As [`Roster::users_of`](crate::store::people::Roster::users_of).
pub(in crate::store) async fn users_of(
    db: &mut Db<'_>,
    org: OrgId,
) -> Result<Vec<User>, StoreError> {
    static USERS: Statement = Statement::new(
        "select id, org, email, name, role, created_at from users where org = $1 order by email",
    );
    let rows = USERS.fetch(db, &[org.0.into()]).await?;
    rows.iter().map(person).collect()
}

/// As [`Roster::organisation`](crate::store::people::Roster::organisation).
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
    row.map(|row| org(&row, 0)).transpose()
}

/// As [`Roster::organisations`](crate::store::people::Roster::organisations).
pub(in crate::store) async fn organisations(
    db: &mut Db<'_>,
    after: &str,
    limit: u32,
) -> Result<Vec<Organisation>, StoreError> {
    static ALL: Statement = Statement::new(
        "select id, name, country, senders, webhook_secret, created_at from organisations \
         where name > $1 order by name limit $2",
    );
    let rows = ALL.fetch(db, &[after.into(), limit.into()]).await?;
    rows.iter().map(|row| org(row, 0)).collect()
}

/// How many columns stand before an organisation's where a key is read with it, and a user.
const KEY_COLUMNS: usize = 15;
const USER_COLUMNS: usize = 6;

fn org(row: &Row, at: usize) -> Result<Organisation, StoreError> {
    Ok(Organisation {
        id: OrgId(row.id(at)?),
        name: row.text(at + 1)?.into(),
        country: row.text(at + 2)?.into(),
        senders: listed(row.text(at + 3)?, "organisations.senders")?,
        webhook_secret: row.text(at + 4)?.to_owned().into(),
        created_at: Timestamp(row.int(at + 5)?),
    })
}

fn key_and_org(row: &Row) -> Result<(ApiKey, Organisation), StoreError> {
    Ok((api_key(row)?, org(row, KEY_COLUMNS)?))
}

fn api_key(row: &Row) -> Result<ApiKey, StoreError> {
    let hash = row.bytes(2)?.try_into();
    let networks: Vec<Box<str>> = listed(row.text(8)?, "api_keys.networks")?;
    let networks: Result<_, _> = networks.iter().map(|net| net.parse()).collect();
    let corrupt = |what| StoreError::Corrupt { what };
    Ok(ApiKey {
        id: KeyId(row.id(0)?),
        org: OrgId(row.id(1)?),
        hash: hash.map_err(|_| corrupt("api_keys.hash"))?,
        prefix: row.text(3)?.into(),
        live: row.flag(4)?,
        name: row.text(5)?.into(),
        scopes: Scopes::from_bits(row.int(6)?),
        senders: listed(row.text(7)?, "api_keys.senders")?,
        networks: networks.map_err(|_| corrupt("api_keys.networks"))?,
        expires_at: row.opt_int(9)?.map(Timestamp),
        rate: row.opt_small(10)?,
        created_at: Timestamp(row.int(11)?),
        revoked_at: row.opt_int(12)?.map(Timestamp),
        replaced_by: row.opt_id(13)?.map(KeyId),
        last_used_at: row.opt_int(14)?.map(Timestamp),
    })
}

fn person(row: &Row) -> Result<User, StoreError> {
    Ok(User {
        id: UserId(row.id(0)?),
        org: OrgId(row.id(1)?),
        email: row.text(2)?.into(),
        name: row.text(3)?.into(),
        role: Role::from_index(row.int(4)?).ok_or(StoreError::Corrupt { what: "users.role" })?,
        created_at: Timestamp(row.int(5)?),
    })
}

fn list(items: &[impl serde::Serialize]) -> String {
    serde_json::to_string(items).unwrap_or_else(|_| "[]".into())
}

fn listed(json: &str, what: &'static str) -> Result<Vec<Box<str>>, StoreError> {
    serde_json::from_str(json).map_err(|_| StoreError::Corrupt { what })
}
