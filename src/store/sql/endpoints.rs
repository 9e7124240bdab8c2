//! Lives here: webhook endpoints; the history of deliveries as it is read, and put back to work.
//! Never here: the outbox as the workers see it (`outbox`), HTTP.

use std::collections::HashSet;
use std::sync::LazyLock;

use super::bulk::Bulk;
use super::db::{Db, Kind, Row, Value};
use super::messages::{COLUMNS, NEXT};
use super::outbox::{EVENT, EVENT_COLUMNS, event};
use super::statement::Statement;
use crate::domain::endpoint::{Endpoint, Events, Format, Reason};
use crate::domain::event::EventKind;
use crate::domain::ids::{EndpointId, EventId, MessageId, MessageSeq, OrgId};
use crate::domain::time::Timestamp;
use crate::store::hooks::{
    Deliveries, Delivery, DeliveryId, DeliveryPage, DeliveryRow, Past, PastPage,
};
use crate::store::{Carriers, StoreError};
use secrecy::ExposeSecret;
use uuid::Uuid;

/// As [`Hooks::endpoints`](crate::store::hooks::Hooks::endpoints).
pub(in crate::store) async fn endpoints(db: &mut Db<'_>) -> Result<Vec<Endpoint>, StoreError> {
    static ALL: Statement = Statement::new(
        "select id, org, live, url, events, format, description, secret, old_secret, cutover_at, \
         disabled_at, reason, failing_since, created_at from endpoints",
    );
    let rows = ALL.fetch(db, &[]).await?;
    rows.iter().map(endpoint).collect()
}

fn endpoint(row: &Row) -> Result<Endpoint, StoreError> {
    let corrupt = |what| StoreError::Corrupt { what };
    let old = row.opt_text(8)?.map(|secret| secret.to_owned().into());
    let reason = row.opt_text(11)?.and_then(Reason::named);
    Ok(Endpoint {
        id: EndpointId(row.id(0)?),
        org: OrgId(row.id(1)?),
        live: row.flag(2)?,
        url: row.text(3)?.into(),
        events: Events::from_bits(row.int(4)?),
        format: Format::from_index(row.int(5)?).ok_or_else(|| corrupt("endpoints.format"))?,
        description: row.text(6)?.into(),
        secret: row.text(7)?.to_owned().into(),
        old: old.zip(row.opt_int(9)?.map(Timestamp)),
        disabled: row.opt_int(10)?.map(Timestamp).zip(reason),
        failing_since: row.opt_int(12)?.map(Timestamp),
        created_at: Timestamp(row.int(13)?),
    })
}

/// As [`Hooks::put_endpoint`](crate::store::hooks::Hooks::put_endpoint).
pub(in crate::store) async fn put_endpoint(
    db: &mut Db<'_>,
    one: &Endpoint,
) -> Result<(), StoreError> {
    static PUT: Statement = Statement::new(
        "insert into endpoints (id, org, live, url, events, format, description, secret, \
         old_secret, cutover_at, disabled_at, reason, failing_since, created_at) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) \
         on conflict (id) do update set url = excluded.url, events = excluded.events, \
         format = excluded.format, description = excluded.description, secret = excluded.secret, \
         old_secret = excluded.old_secret, cutover_at = excluded.cutover_at, \
         disabled_at = excluded.disabled_at, reason = excluded.reason, \
         failing_since = excluded.failing_since",
    );
    let old = one.old.as_ref();
    let values = [
        one.id.0.into(),
        one.org.0.into(),
        one.live.into(),
        (&*one.url).into(),
        one.events.bits().into(),
        one.format.index().into(),
        (&*one.description).into(),
        one.secret.expose_secret().into(),
        old.map(|(secret, _)| secret.expose_secret()).into(),
        old.map(|(_, until)| until.0).into(),
        one.disabled.map(|(at, _)| at.0).into(),
        one.disabled.map(|(_, reason)| reason.name()).into(),
        one.failing_since.map(|at| at.0).into(),
        one.created_at.0.into(),
    ];
    PUT.execute(db, &values).await?;
    Ok(())
}

/// As [`Hooks::remove_endpoint`](crate::store::hooks::Hooks::remove_endpoint).
pub(in crate::store) async fn remove_endpoint(
    db: &mut Db<'_>,
    id: EndpointId,
) -> Result<(), StoreError> {
    static REMOVE: Statement = Statement::new("delete from endpoints where id = $1");
    REMOVE.execute(db, &[id.0.into()]).await?;
    Ok(())
}

/// As [`Hooks::replay`](crate::store::hooks::Hooks::replay). An event's last attempt becomes its row in
/// the outbox; whose it is stands there only of notices.
pub(in crate::store) async fn replay(
    db: &mut Db<'_>,
    events: &[(MessageSeq, EventId)],
    now: Timestamp,
) -> Result<u64, StoreError> {
    static BACK: Bulk = Bulk::new(
        "with v (message, event, due_at) as ({rows}) insert into outbox (event, message, sequence, \
         kind, at, state, failure, due_at, asked_at, attempts, attempts_before, target, org, live, \
         data) \
         select d.event, d.message, d.sequence, d.kind, d.happened_at, d.state, d.failure, \
         v.due_at, v.due_at, d.attempt, d.attempt, d.target, \
         case when d.data is null then null else d.org end, \
         case when d.data is null then null else d.live end, d.data \
         from v join deliveries d on d.message == v.message and d.event = v.event \
         where d.attempt = (select max(l.attempt) from deliveries l \
         where l.message = d.message and l.event = d.event) \
         on conflict (event) do update set due_at = excluded.due_at returning event",
        &[Kind::Int, Kind::Id, Kind::Int],
    );
    let rows = BACK
        .fetch(db, events, |(message, event)| {
            [message.0.into(), event.0.into(), now.0.into()]
        })
        .await?;
    // SQLite's list may have held one several times.
    let back: HashSet<Uuid> = rows.iter().map(|row| row.id(0)).collect::<Result<_, _>>()?;
    Ok(back.len() as u64)
}

/// As [`History::past`](crate::store::hooks::History::past). Where it ends is found first, by the index
/// alone.
pub(in crate::store) async fn past(db: &mut Db<'_>, past: &Past) -> Result<PastPage, StoreError> {
    static EDGE: Statement = Statement::new(
        "select d.event from deliveries d indexed by deliveries_by_org \
         where d.org = $1 and d.event > $2 and d.event <= $3 order by d.event limit 2 offset $4",
    );
    static PAGE: Statement = Statement::new(
        "select d.message, d.event from deliveries d indexed by deliveries_by_org \
         where d.org = $1 and d.event > $2 and d.event <= $3 and d.live = $4 \
         and +d.message >= $5 and ($6 is null or d.target = $6) \
         and ($7 = 0 or d.status is null or d.status < 200 or d.status > 299) \
         and d.attempt = (select max(l.attempt) from deliveries l \
         where l.message = d.message and l.event = d.event) order by d.event",
    );
    let span: [Value<'_>; 2] = [past.org.0.into(), past.after.0.into()];
    let edge = [past.upto.0.into(), past.look.saturating_sub(1).into()];
    let edge = EDGE.fetch(db, &[&span[..], &edge].concat()).await?;
    let next = match &edge[..] {
        [last, _more] => Some(EventId(last.id(0)?)),
        _ => None,
    };
    let rest = [
        next.unwrap_or(past.upto).0.into(),
        past.live.into(),
        past.kept_from.0.into(),
        Value::Id(past.target.map(|target| target.0)),
        past.failed_only.into(),
    ];
    let rows = PAGE.fetch(db, &[&span[..], &rest].concat()).await?;
    let event = |row: &Row| Ok((MessageSeq(row.int(0)?), EventId(row.id(1)?)));
    let events = rows.iter().map(event).collect::<Result<_, StoreError>>()?;
    Ok(PastPage { events, next })
}

/// The columns of an attempt under the aliases `o` and `m`.
const ATTEMPT: &str = "o.event, o.attempt, o.kind, o.happened_at, m.id, o.target, o.at, \
     o.latency_ms, o.status, o.error";
/// How many they are.
const ATTEMPT_COLUMNS: usize = 10;

/// As [`History::delivery_page`](crate::store::hooks::History::delivery_page). Its lower bound is the
/// last attempt that is looked at, which an index alone tells.
pub(in crate::store) async fn delivery_page(
    db: &mut Db<'_>,
    page: &DeliveryPage,
) -> Result<Deliveries, StoreError> {
    static EDGE: Statement = Statement::new(
        "select o.event, o.attempt from deliveries o indexed by deliveries_by_org \
         where o.org = $1 and (o.event, o.attempt) < ($2, $3) \
         order by o.event desc, o.attempt desc limit 2 offset $4",
    );
    static PAGE: LazyLock<Statement> = LazyLock::new(|| {
        Statement::made(format!(
            "select {ATTEMPT} from deliveries o indexed by deliveries_by_org \
             left join messages m on m.seq == o.message \
             where o.org = $1 and (o.event, o.attempt) < ($2, $3) \
             and (o.event, o.attempt) >= ($4, $5) and o.live = $6 \
             and ($7 is null or o.kind = $7) and ($8 is null or o.target = $8) \
             and ($9 is null or $9 = case when o.status >= 200 and o.status <= 299 then 1 else 0 end) \
             order by o.event desc, o.attempt desc limit $10"
        ))
    });
    let after = page.after.unwrap_or(DeliveryId::LAST);
    let after: [Value<'_>; 3] = [
        page.org.0.into(),
        after.event.0.into(),
        i64::from(after.attempt).into(),
    ];
    let look = [page.look.saturating_sub(1).into()];
    let edge = EDGE.fetch(db, &[&after[..], &look].concat()).await?;
    let rest = match &edge[..] {
        [last, _more] => Some(DeliveryId {
            event: EventId(last.id(0)?),
            attempt: last.small(1)?,
        }),
        _ => None,
    };
    let filters = [
        rest.map_or(Uuid::nil(), |last| last.event.0).into(),
        rest.map_or(0, |last| i64::from(last.attempt)).into(),
        page.live.into(),
        page.kind.map(EventKind::index).into(),
        Value::Id(page.target.map(|target| target.0)),
        page.delivered.map(i64::from).into(),
        (i64::from(page.limit) + 1).into(),
    ];
    let rows = PAGE.fetch(db, &[&after[..], &filters].concat()).await?;
    let shown = &rows[..rows.len().min(page.limit as usize)];
    let full = rows.len() > shown.len();
    let rows = shown.iter().map(|row| attempt(row, 0));
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    let last = rows.last().map(|row| row.id);
    let next = if full { last } else { rest };
    Ok(Deliveries { rows, next })
}

fn attempt(row: &Row, first: usize) -> Result<DeliveryRow, StoreError> {
    let kind = EventKind::from_index(row.int(first + 2)?);
    Ok(DeliveryRow {
        id: DeliveryId {
            event: EventId(row.id(first)?),
            attempt: row.small(first + 1)?,
        },
        kind: kind.ok_or(StoreError::Corrupt {
            what: "deliveries.kind",
        })?,
        happened_at: Timestamp(row.int(first + 3)?),
        message: row.opt_id(first + 4)?.map(MessageId),
        target: row.opt_id(first + 5)?.map(EndpointId),
        at: Timestamp(row.int(first + 6)?),
        latency_ms: row.small(first + 7)?,
        status: row.opt_small(first + 8)?,
        error: row.opt_text(first + 9)?.map(Into::into),
    })
}

/// As [`History::delivery`](crate::store::hooks::History::delivery).
pub(in crate::store) async fn delivery(
    db: &mut Db<'_>,
    carriers: &Carriers,
    org: OrgId,
    id: DeliveryId,
) -> Result<Option<Delivery>, StoreError> {
    static ONE: LazyLock<Statement> = LazyLock::new(|| {
        Statement::made(format!(
            "select {COLUMNS}, {EVENT}, {ATTEMPT}, o.response, o.live \
             from deliveries o left join messages m on m.seq == o.message \
             where o.org = $1 and o.event = $2 and o.attempt = $3 \
             and (m.seq is not null or o.data is not null)"
        ))
    });
    let values = [
        org.0.into(),
        id.event.0.into(),
        i64::from(id.attempt).into(),
    ];
    let Some(row) = ONE.fetch_optional(db, &values).await? else {
        return Ok(None);
    };
    let first = NEXT + EVENT_COLUMNS;
    let listed = attempt(&row, first)?;
    let at = first + ATTEMPT_COLUMNS;
    let mut job = event(&row, carriers, Some(org), row.flag(at + 1)?)?;
    job.at = listed.happened_at;
    job.attempts = id.attempt.saturating_sub(1);
    Ok(Some(Delivery {
        row: listed,
        job,
        response: row.opt_text(at)?.map(Into::into),
    }))
}
