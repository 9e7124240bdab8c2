//! Lives here: purses, the ledger, purchases and prices.
//! Never here: how amounts move (`domain::ledger`).

use uuid::Uuid;

use super::bulk::Bulk;
use super::db::{Db, Kind, Row};
use super::statement::Statement;
use crate::domain::class::Class;
use crate::domain::credits::Credits;
use crate::domain::ids::{NetworkId, OrgId};
use crate::domain::ledger::{Account, Channel, Line, Purse, PurseId, Terms};
use crate::domain::price::{Price, Scope};
use crate::domain::time::Timestamp;
use crate::store::StoreError;
use crate::store::till::Purchase;

/// As [`Till::purses`](crate::store::till::Till::purses).
pub(in crate::store) async fn purses(db: &mut Db<'_>) -> Result<Vec<(PurseId, Purse)>, StoreError> {
    static ALL: Statement = Statement::new(
        "select org, channel, postpaid, available, reserved, consumed, threshold from purses",
    );
    let rows = ALL.fetch(db, &[]).await?;
    rows.iter().map(purse).collect()
}

/// As [`Accounts::purses_of`](crate::store::till::Accounts::purses_of).
pub(in crate::store) async fn purses_of(
    db: &mut Db<'_>,
    org: OrgId,
) -> Result<Vec<(Channel, Purse)>, StoreError> {
    static OWN: Statement = Statement::new(
        "select org, channel, postpaid, available, reserved, consumed, threshold from purses \
         where org = $1 order by channel",
    );
    let rows = OWN.fetch(db, &[org.0.into()]).await?;
    let own = |row: &Row| purse(row).map(|((_, channel), purse)| (channel, purse));
    rows.iter().map(own).collect()
}

fn purse(row: &Row) -> Result<(PurseId, Purse), StoreError> {
    let terms = if row.flag(2)? {
        Terms::Postpaid
    } else {
        Terms::Prepaid
    };
    let purse = Purse {
        terms,
        available: Credits(row.int(3)?),
        reserved: Credits(row.int(4)?),
        consumed: Credits(row.int(5)?),
        threshold: Credits(row.int(6)?),
    };
    Ok(((OrgId(row.id(0)?), channel(row.int(1)?)?), purse))
}

fn channel(index: i64) -> Result<Channel, StoreError> {
    Channel::from_index(index).ok_or(StoreError::Corrupt {
        what: "a purse's channel",
    })
}

/// As [`Till::put_purses`](crate::store::till::Till::put_purses).
pub(in crate::store) async fn put_purses(
    db: &mut Db<'_>,
    purses: &[(PurseId, Purse)],
) -> Result<(), StoreError> {
    static PUT: Bulk = Bulk::new(
        "insert into purses (org, channel, postpaid, available, reserved, consumed, threshold) \
         {rows} on conflict (org, channel) do update set postpaid = excluded.postpaid, \
         available = excluded.available, reserved = excluded.reserved, \
         consumed = excluded.consumed, threshold = excluded.threshold",
        &[
            Kind::Id,
            Kind::Int,
            Kind::Int,
            Kind::Int,
            Kind::Int,
            Kind::Int,
            Kind::Int,
        ],
    );
    PUT.execute(db, purses, |((org, channel), purse)| {
        [
            org.0.into(),
            channel.index().into(),
            (purse.terms == Terms::Postpaid).into(),
            purse.available.0.into(),
            purse.reserved.0.into(),
            purse.consumed.0.into(),
            purse.threshold.0.into(),
        ]
    })
    .await?;
    Ok(())
}

/// As [`Till::post`](crate::store::till::Till::post). Single statements: a list is filled up with
/// copies of its last row, which would be added twice.
pub(in crate::store) async fn post(
    db: &mut Db<'_>,
    lines: &[(Line, Credits, u64)],
) -> Result<(), StoreError> {
    static POST: Statement = Statement::new(
        "insert into ledger (org, channel, day, source, target, amount, count) \
         values ($1, $2, $3, $4, $5, $6, $7) \
         on conflict (org, channel, day, source, target) do update \
         set amount = ledger.amount + excluded.amount, count = ledger.count + excluded.count",
    );
    for (line, amount, count) in lines {
        let values = [
            line.purse.0.0.into(),
            line.purse.1.index().into(),
            line.day.into(),
            (line.source as i64).into(),
            (line.target as i64).into(),
            amount.0.into(),
            count.cast_signed().into(),
        ];
        POST.execute(db, &values).await?;
    }
    Ok(())
}

/// As [`Accounts::lines`](crate::store::till::Accounts::lines).
pub(in crate::store) async fn lines(
    db: &mut Db<'_>,
    purse: PurseId,
    from_day: i64,
) -> Result<Vec<(Line, Credits, u64)>, StoreError> {
    static LINES: Statement = Statement::new(
        "select day, source, target, amount, count from ledger \
         where org = $1 and channel = $2 and day >= $3 order by day, source, target",
    );
    let values = [purse.0.0.into(), purse.1.index().into(), from_day.into()];
    let rows = LINES.fetch(db, &values).await?;
    let account = |index| {
        Account::from_index(index).ok_or(StoreError::Corrupt {
            what: "a ledger's account",
        })
    };
    let line = |row: &Row| {
        let line = Line {
            purse,
            day: row.int(0)?,
            source: account(row.int(1)?)?,
            target: account(row.int(2)?)?,
        };
        Ok((line, Credits(row.int(3)?), row.small(4)?))
    };
    rows.iter().map(line).collect()
}

/// As [`Till::note_purchase`](crate::store::till::Till::note_purchase).
pub(in crate::store) async fn note_purchase(
    db: &mut Db<'_>,
    purchase: &Purchase,
) -> Result<bool, StoreError> {
    static NOTE: Statement = Statement::new(
        "insert into purchases (org, channel, reference, at, amount, note) \
         values ($1, $2, $3, $4, $5, $6) on conflict (org, channel, reference) do nothing",
    );
    let values = [
        purchase.purse.0.0.into(),
        purchase.purse.1.index().into(),
        (&*purchase.reference).into(),
        purchase.at.0.into(),
        purchase.amount.0.into(),
        (&*purchase.note).into(),
    ];
    Ok(NOTE.execute(db, &values).await? == 1)
}

/// As [`Accounts::purchases`](crate::store::till::Accounts::purchases).
pub(in crate::store) async fn purchases(
    db: &mut Db<'_>,
    purse: PurseId,
    limit: u32,
) -> Result<Vec<Purchase>, StoreError> {
    static LAST: Statement = Statement::new(
        "select reference, at, amount, note from purchases where org = $1 and channel = $2 \
         order by at desc, reference limit $3",
    );
    let values = [purse.0.0.into(), purse.1.index().into(), limit.into()];
    let rows = LAST.fetch(db, &values).await?;
    let one = |row: &Row| {
        Ok(Purchase {
            purse,
            reference: row.text(0)?.into(),
            at: Timestamp(row.int(1)?),
            amount: Credits(row.int(2)?),
            note: row.text(3)?.into(),
        })
    };
    rows.iter().map(one).collect()
}

/// As [`Till::put_price`](crate::store::till::Till::put_price).
pub(in crate::store) async fn put_price(db: &mut Db<'_>, price: &Price) -> Result<(), StoreError> {
    static PUT: Statement = Statement::new(
        "insert into prices (org, network, class, amount) values ($1, $2, $3, $4) \
         on conflict (org, network, class) do update set amount = excluded.amount",
    );
    let (org, network, class) = key(&price.scope);
    let values = [
        org.into(),
        network.into(),
        class.into(),
        price.per_segment.0.into(),
    ];
    PUT.execute(db, &values).await?;
    Ok(())
}

/// As [`Till::remove_price`](crate::store::till::Till::remove_price).
pub(in crate::store) async fn remove_price(
    db: &mut Db<'_>,
    scope: &Scope,
) -> Result<bool, StoreError> {
    static REMOVE: Statement =
        Statement::new("delete from prices where org = $1 and network = $2 and class = $3");
    let (org, network, class) = key(scope);
    let values = [org.into(), network.into(), class.into()];
    Ok(REMOVE.execute(db, &values).await? == 1)
}

/// A scope as its row has it.
fn key(scope: &Scope) -> (Uuid, &str, i64) {
    (
        scope.org.map_or(Uuid::nil(), |org| org.0),
        scope.network.as_ref().map_or("", |network| &network.0),
        scope.class.map_or(-1, |class| class.index() as i64),
    )
}

/// As [`Accounts::prices`](crate::store::till::Accounts::prices).
pub(in crate::store) async fn prices(db: &mut Db<'_>) -> Result<Vec<Price>, StoreError> {
    static ALL: Statement = Statement::new("select org, network, class, amount from prices");
    let rows = ALL.fetch(db, &[]).await?;
    let price = |row: &Row| {
        let (org, network) = (row.id(0)?, row.text(1)?);
        let scope = Scope {
            org: (!org.is_nil()).then_some(OrgId(org)),
            network: (!network.is_empty()).then(|| NetworkId(network.into())),
            class: Class::from_index(row.int(2)?),
        };
        Ok(Price {
            scope,
            per_segment: Credits(row.int(3)?),
        })
    };
    rows.iter().map(price).collect()
}

/// As [`Accounts::open_cost`](crate::store::till::Accounts::open_cost): by the small indexes of what
/// is open.
pub(in crate::store) async fn open_cost(
    db: &mut Db<'_>,
    org: OrgId,
) -> Result<(Credits, u64), StoreError> {
    static OPEN: Statement = Statement::new(
        "select cast(coalesce(sum(amount), 0) as bigint), cast(coalesce(sum(number), 0) as bigint) from (\
         select sum(cost) as amount, count(*) as number from messages indexed by messages_scheduled \
         where state = 0 and org = $1 and live = 1 \
         union all select sum(cost), count(*) from messages indexed by messages_unsent \
         where state = 1 and org = $1 and live = 1 and sent_at is null \
         union all select sum(cost), count(*) from messages indexed by messages_open \
         where state in (3, 4) and org = $1 and live = 1 and sent_at is null) as parts",
    );
    let row = OPEN.fetch_one(db, &[org.0.into()]).await?;
    Ok((Credits(row.int(0)?), row.small(1)?))
}
