//! Lives here: purses, the ledger, purchases and prices.
//! Never here: how amounts move (`domain::ledger`).

use std::sync::LazyLock;

use uuid::Uuid;

use super::bulk::Bulk;
use super::db::{Db, Kind, Row, Value};
use super::statement::Statement;
use crate::domain::class::Class;
use crate::domain::credits::Credits;
use crate::domain::ids::{NetworkId, OrgId};
use crate::domain::ledger::{Channel, Day, Moved, Purse, PurseId, Sum, Terms};
use crate::domain::price::{Price, Scope};
use crate::domain::time::Timestamp;
use crate::store::StoreError;
use crate::store::till::{Check, Purchase};

/// The columns of a purse, from the left of its row.
const PURSE: &str = "org, channel, postpaid, available, reserved, consumed, threshold, day";
/// The columns of what has moved on a day, in the order of [`Entry`].
const MOVED: &str = "purchase_sum, purchase_count, reserve_sum, reserve_count, \
    capture_sum, capture_count, refund_sum, refund_count";
/// Whose it is, and numbers.
const KINDS: [Kind; 16] = {
    let mut kinds = [Kind::Int; 16];
    kinds[0] = Kind::Id;
    kinds
};

/// As [`Till::purses`](crate::store::till::Till::purses).
pub(in crate::store) async fn purses(db: &mut Db<'_>) -> Result<Vec<(PurseId, Purse)>, StoreError> {
    static ALL: LazyLock<Statement> =
        LazyLock::new(|| Statement::made(format!("select {PURSE}, {MOVED} from purses")));
    let rows = ALL.fetch(db, &[]).await?;
    rows.iter().map(purse).collect()
}

/// As [`Accounts::purses_of`](crate::store::till::Accounts::purses_of).
pub(in crate::store) async fn purses_of(
    db: &mut Db<'_>,
    org: OrgId,
) -> Result<Vec<(Channel, Purse)>, StoreError> {
    static OWN: LazyLock<Statement> = LazyLock::new(|| {
        Statement::made(format!(
            "select {PURSE}, {MOVED} from purses where org = $1 order by channel"
        ))
    });
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
        today: Day {
            day: row.int(7)?,
            moved: moved(row, 8)?,
        },
    };
    Ok(((OrgId(row.id(0)?), channel(row.int(1)?)?), purse))
}

/// What has moved, from this column on.
fn moved(row: &Row, first: usize) -> Result<Moved, StoreError> {
    let mut moved = Moved::default();
    for (entry, sum) in moved.0.iter_mut().enumerate() {
        let column = first + 2 * entry;
        sum.amount = Credits(row.int(column)?);
        sum.count = row.small(column + 1)?;
    }
    Ok(moved)
}

fn channel(index: i64) -> Result<Channel, StoreError> {
    Channel::from_index(index).ok_or(StoreError::Corrupt {
        what: "a purse's channel",
    })
}

/// As [`Till::put_purses`](crate::store::till::Till::put_purses). Nearly every commit writes some: one
/// statement for all of it.
pub(in crate::store) async fn put_purses(
    db: &mut Db<'_>,
    purses: &[(PurseId, Purse)],
) -> Result<(), StoreError> {
    static PUT: LazyLock<Bulk> = LazyLock::new(|| {
        let columns = PURSE.split(", ").chain(MOVED.split(", "));
        let changed: Vec<String> = columns
            .skip(2)
            .map(|column| format!("{column} = excluded.{column}"))
            .collect();
        let changed = changed.join(", ");
        Bulk::made(
            format!(
                "insert into purses ({PURSE}, {MOVED}) {{rows}} \
                 on conflict (org, channel) do update set {changed}"
            ),
            &KINDS,
        )
    });
    PUT.execute(db, purses, |((org, channel), purse)| {
        let [[a, b], [c, d], [e, f], [g, h]] = sums(&purse.today.moved);
        [
            org.0.into(),
            channel.index().into(),
            (purse.terms == Terms::Postpaid).into(),
            purse.available.0.into(),
            purse.reserved.0.into(),
            purse.consumed.0.into(),
            purse.threshold.0.into(),
            purse.today.day.into(),
            a,
            b,
            c,
            d,
            e,
            f,
            g,
            h,
        ]
    })
    .await?;
    Ok(())
}

/// The columns of what has moved.
fn sums(moved: &Moved) -> [[Value<'static>; 2]; 4] {
    moved
        .0
        .map(|sum| [sum.amount.0.into(), sum.count.cast_signed().into()])
}

/// As [`Till::post`](crate::store::till::Till::post). Once a day for each purse.
pub(in crate::store) async fn post(
    db: &mut Db<'_>,
    days: &[(PurseId, Day)],
) -> Result<(), StoreError> {
    static POST: LazyLock<Bulk> = LazyLock::new(|| {
        Bulk::made(
            format!("insert into ledger (org, channel, day, {MOVED}) {{rows}} {{once}}"),
            &KINDS[..11],
        )
    });
    POST.execute(db, days, |((org, channel), line)| {
        let [[a, b], [c, d], [e, f], [g, h]] = sums(&line.moved);
        let (org, channel, day) = (org.0.into(), channel.index().into(), line.day.into());
        [org, channel, day, a, b, c, d, e, f, g, h]
    })
    .await?;
    Ok(())
}

/// As [`Accounts::ledger`](crate::store::till::Accounts::ledger).
pub(in crate::store) async fn ledger(
    db: &mut Db<'_>,
    purse: PurseId,
    limit: u32,
) -> Result<Vec<Day>, StoreError> {
    static DAYS: LazyLock<Statement> = LazyLock::new(|| {
        Statement::made(format!(
            "select day, {MOVED} from ledger where org = $1 and channel = $2 \
             union all select day, {MOVED} from purses where org = $1 and channel = $2 \
             and purchase_count + reserve_count + capture_count + refund_count > 0 \
             order by day desc limit $3"
        ))
    });
    let values = [purse.0.0.into(), purse.1.index().into(), limit.into()];
    let rows = DAYS.fetch(db, &values).await?;
    let day = |row: &Row| {
        let (day, moved) = (row.int(0)?, moved(row, 1)?);
        Ok(Day { day, moved })
    };
    rows.iter().map(day).collect()
}

/// As [`Accounts::checks`](crate::store::till::Accounts::checks): one statement, so that all of it is
/// of one moment. What is open is found by its small indexes; what jobs
/// have yet to make is open too.
pub(in crate::store) async fn checks(
    db: &mut Db<'_>,
    org: Option<OrgId>,
) -> Result<Vec<Check>, StoreError> {
    static ALL: LazyLock<Statement> = LazyLock::new(|| check_of("1 = 1"));
    static OWN: LazyLock<Statement> = LazyLock::new(|| check_of("org = $1"));
    let rows = match org {
        Some(org) => OWN.fetch(db, &[org.0.into()]).await?,
        None => ALL.fetch(db, &[]).await?,
    };
    let check = |row: &Row| {
        let (id, purse) = purse(row)?;
        Ok(Check {
            id,
            purse,
            before: moved(row, 16)?,
            open: Sum {
                amount: Credits(row.int(24)?),
                count: row.small(25)?,
            },
        })
    };
    rows.iter().map(check).collect()
}

fn check_of(whose: &str) -> Statement {
    let each = |what: fn(&str) -> String| {
        let columns: Vec<String> = MOVED.split(", ").map(what).collect();
        columns.join(", ")
    };
    let summed = each(|column| format!("cast(sum({column}) as bigint) as all_{column}"));
    let before = each(|column| format!("coalesce(all_{column}, 0)"));
    let open = |index: &str, which: &str| {
        format!(
            "select org, sum(cost) as amount, count(*) as number from messages indexed by {index} \
             where {which} and live = 1 and {whose} group by org"
        )
    };
    let scheduled = open("messages_scheduled", "state = 0");
    let queued = open("messages_unsent", "state = 1 and sent_at is null");
    let doubtful = open("messages_open", "state in (3, 4) and sent_at is null");
    let jobs = format!(
        "select org, sum(c.cost) as amount, sum(c.recipients - c.refused) as number \
         from jobs j join job_chunks c on c.job = j.id \
         where j.state in (0, 1, 2) and c.state = 0 and live = 1 and {whose} group by org"
    );
    Statement::made(format!(
        "select {PURSE}, {MOVED}, {before}, coalesce(amount, 0), coalesce(number, 0) from \
         (select * from purses where {whose}) as kept \
         left join (select org as owner, channel as for_channel, {summed} from ledger \
         where {whose} group by org, channel) as sums on owner = org and for_channel = channel \
         left join (select org as payer, cast(sum(amount) as bigint) as amount, \
         cast(sum(number) as bigint) as number from \
         ({scheduled} union all {queued} union all {doubtful} union all {jobs}) as parts group by org) as held \
         on payer = org and channel = 0 order by org, channel"
    ))
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
        "insert into prices (org, country, network, class, amount) values ($1, $2, $3, $4, $5) \
         on conflict (org, country, network, class) do update set amount = excluded.amount",
    );
    let (org, country, network, class) = key(&price.scope);
    let values = [
        org.into(),
        country.into(),
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
    static REMOVE: Statement = Statement::new(
        "delete from prices where org = $1 and country = $2 and network = $3 and class = $4",
    );
    let (org, country, network, class) = key(scope);
    let values = [org.into(), country.into(), network.into(), class.into()];
    Ok(REMOVE.execute(db, &values).await? == 1)
}

/// A scope as its row has it.
fn key(scope: &Scope) -> (Uuid, &str, &str, i64) {
    (
        scope.org.map_or(Uuid::nil(), |org| org.0),
        scope.country.as_deref().unwrap_or_default(),
        scope.network.as_ref().map_or("", |network| &network.0),
        scope.class.map_or(-1, |class| class.index() as i64),
    )
}

/// As [`Accounts::prices`](crate::store::till::Accounts::prices).
pub(in crate::store) async fn prices(db: &mut Db<'_>) -> Result<Vec<Price>, StoreError> {
    static ALL: Statement =
        Statement::new("select org, country, network, class, amount from prices");
    let rows = ALL.fetch(db, &[]).await?;
    let price = |row: &Row| {
        let (org, country, network) = (row.id(0)?, row.text(1)?, row.text(2)?);
        let scope = Scope {
            org: (!org.is_nil()).then_some(OrgId(org)),
            country: (!country.is_empty()).then(|| country.into()),
            network: (!network.is_empty()).then(|| NetworkId(network.into())),
            class: Class::from_index(row.int(3)?),
        };
        Ok(Price {
            scope,
            per_segment: Credits(row.int(4)?),
        })
    };
    rows.iter().map(price).collect()
}
