//! Lives here: counting what waits: for the queue's gauges, for operators' lists and dry runs.
//! Never here: changing it (`operators`), the messages themselves (`read`).

use std::sync::LazyLock;

use super::by_id::ById;
use super::db::{Db, Row, Value};
use super::operators::organisations;
use super::statement::Statement;
use crate::domain::class::Class;
use crate::domain::ids::{MessageId, OrgId};
use crate::domain::message::State;
use crate::domain::time::Timestamp;
use crate::store::{QueueRow, StoreError, Tally};

/// What waits: queued and scheduled messages by account and class, in no order.
pub(in crate::store) async fn queue(db: &mut Db<'_>) -> Result<Vec<QueueRow>, StoreError> {
    static QUEUE: Statement = Statement::new(
        "select carrier, class, 1, count(*), min(accepted_at) from messages \
         indexed by messages_waiting where state = 1 group by carrier, class \
         union all select carrier, class, 0, count(*), min(accepted_at) from messages \
         indexed by messages_scheduled where state = 0 group by carrier, class",
    );
    let rows = QUEUE.fetch(db, &[]).await?;
    let one = |row: &Row| -> Result<QueueRow, StoreError> {
        Ok(QueueRow {
            carrier: row.text(0)?.into(),
            class: class(row, 1)?,
            state: state(row, 2)?,
            messages: row.small(3)?,
            oldest: Timestamp(row.int(4)?),
        })
    };
    rows.iter().map(one).collect()
}

/// What waits, by lane and organisation, in no order. Queued messages are counted in their index
/// alone: there may be a million; of the other states each row is read.
pub(in crate::store) async fn tallies(db: &mut Db<'_>) -> Result<Vec<Tally>, StoreError> {
    static TALLIES: Statement = Statement::new(
        "select w.carrier, w.class, w.org, w.state, w.n, \
         case when w.state = 1 then (select m.accepted_at from messages m \
         indexed by messages_waiting where m.state = 1 and m.carrier = w.carrier \
         and m.class = w.class and m.org = w.org order by m.place limit 1) else w.head end, \
         w.due, o.name from (\
         select carrier, class, org, 1 as state, count(*) as n, min(place) as head, \
         cast(null as bigint) as due from messages indexed by messages_waiting \
         where state = 1 group by carrier, class, org \
         union all select carrier, class, org, 0, count(*), min(accepted_at), min(due_at) \
         from messages indexed by messages_scheduled where state = 0 group by carrier, class, org \
         union all select carrier, class, org, 3, count(*), min(accepted_at), \
         cast(null as bigint) from messages indexed by messages_in_doubt \
         where state = 3 group by carrier, class, org) w \
         left join organisations o on o.id = w.org",
    );
    let rows = TALLIES.fetch(db, &[]).await?;
    let one = |row: &Row| -> Result<Tally, StoreError> {
        Ok(Tally {
            carrier: row.text(0)?.into(),
            class: class(row, 1)?,
            org: OrgId(row.id(2)?),
            org_name: row.opt_text(7)?.unwrap_or_default().into(),
            state: state(row, 3)?,
            messages: row.small(4)?,
            oldest: Timestamp(row.opt_int(5)?.unwrap_or_default()),
            due: row.opt_int(6)?.map(Timestamp),
        })
    };
    rows.iter().map(one).collect()
}

/// How many queued messages of its lane stand before this one.
pub(in crate::store) async fn ahead_of(db: &mut Db<'_>, id: MessageId) -> Result<u64, StoreError> {
    static OWN: LazyLock<ById> = LazyLock::new(|| ById::new(", m.place"));
    static AHEAD: Statement = Statement::new(
        "select count(*) from messages m indexed by messages_waiting where m.state = 1 \
         and m.carrier = $1 and m.class = $2 and m.place < $3",
    );
    let Some(own) = OWN.fetch(db, id).await? else {
        return Ok(0);
    };
    if state(&own, 4)? != State::Queued {
        return Ok(0);
    }
    let values = [
        own.text(5)?.into(),
        own.int(3)?.into(),
        own.int(super::messages::NEXT)?.into(),
    ];
    AHEAD.fetch_one(db, &values).await?.small(0)
}

/// How many queued messages of a lane would be looked at by a sweep of it, and the ids of the
/// first five by organisation and place.
pub(in crate::store) async fn preview(
    db: &mut Db<'_>,
    (carrier, class): (&str, Class),
    org: Option<OrgId>,
    accepted_before: Option<Timestamp>,
) -> Result<(u64, Vec<MessageId>), StoreError> {
    const LANE: &str = "from messages m indexed by messages_waiting where m.state = 1 \
                        and m.carrier = $1 and m.class = $2 and m.org >= $3 and m.org <= $4";
    const BEFORE: &str = "and m.accepted_at < $5";
    const SAMPLE: &str = "order by m.org, m.place limit 5";
    /// A count and a sample, of all and of those accepted before a time. Of all the index alone is
    /// counted: its count has a text of its own.
    static ALL: LazyLock<[Statement; 2]> = LazyLock::new(|| {
        [
            Statement::made(format!("select count(*) {LANE}")),
            Statement::made(format!("select m.id {LANE} {SAMPLE}")),
        ]
    });
    static OLD: LazyLock<[Statement; 2]> = LazyLock::new(|| {
        [
            Statement::made(format!("select count(*) {LANE} {BEFORE}")),
            Statement::made(format!("select m.id {LANE} {BEFORE} {SAMPLE}")),
        ]
    });
    let (first, last) = organisations(org);
    let mut values = vec![
        carrier.into(),
        (class.index() as i64).into(),
        first.into(),
        last.into(),
    ];
    values.extend(accepted_before.map(|before| Value::from(before.0)));
    let [count, sample] = if accepted_before.is_some() {
        &*OLD
    } else {
        &*ALL
    };
    let count = count.fetch_one(db, &values).await?.small(0)?;
    let rows = sample.fetch(db, &values).await?;
    let ids = rows.iter().map(|row| row.id(0).map(MessageId));
    Ok((count, ids.collect::<Result<_, _>>()?))
}

fn class(row: &Row, column: usize) -> Result<Class, StoreError> {
    Class::from_index(row.int(column)?).ok_or(StoreError::Corrupt {
        what: "messages.class",
    })
}

fn state(row: &Row, column: usize) -> Result<State, StoreError> {
    State::from_index(row.int(column)?).ok_or(StoreError::Corrupt {
        what: "messages.state",
    })
}
