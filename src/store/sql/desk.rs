//! Lives here: lists of messages, and what organisations change of their own.
//! Never here: whether they may (`engine`).
//!
//! A list is read by organisation and number, the newest first. Of a list with filters so many
//! messages are looked at and no more, whoever asks: the statement's lower bound is the number of the
//! last of them, which an index alone tells.

use std::sync::LazyLock;

use super::db::{Conn, Db, Row, Value};
use super::messages::COLUMNS;
use super::read::{MORE, viewed};
use super::statement::Statement;
use super::{ANSWER, Reader, Sql, lost, reader, rows, within};
use crate::domain::ids::MessageSeq;
use crate::domain::time::Timestamp;
use crate::store::desk::{Desk, Listed, Listing, Lists};
use crate::store::{Carriers, StoreError};

impl Desk for Sql {
    async fn reschedule(
        &mut self,
        message: MessageSeq,
        due_at: Timestamp,
        valid_until: Timestamp,
    ) -> Result<bool, StoreError> {
        rows::ask!(self, |db| reschedule(db, message, due_at, valid_until))
    }
}

impl Lists for Reader {
    async fn list(&self, listing: &Listing) -> Result<Listed, StoreError> {
        reader::ask!(self, |db| list(db, &self.carriers, listing))
    }
}

async fn reschedule(
    db: &mut Db<'_>,
    message: MessageSeq,
    due_at: Timestamp,
    valid_until: Timestamp,
) -> Result<bool, StoreError> {
    static RESCHEDULE: Statement = Statement::new(
        "update messages set due_at = $1, valid_until = $2 where seq = $3 and +state = 0",
    );
    let values = [due_at.0.into(), valid_until.0.into(), message.0.into()];
    Ok(RESCHEDULE.execute(db, &values).await? == 1)
}

/// The statements of one way to look for messages.
struct Way {
    /// The number of the first that is not looked at any more.
    edge: Statement,
    /// How many values it asks for.
    asked: usize,
    page: Statement,
}

/// The messages of a span of numbers, the newest first.
const SPAN: &str = "m.seq >= $2 and m.seq < $3";
const NEWEST_FIRST: &str = "order by m.seq desc";

impl Way {
    /// SQLite is told which index to take.
    fn of_org() -> Self {
        let index = "indexed by messages_by_org";
        let sqlite = [index, "m.org = $1", NEWEST_FIRST];
        // In this order only the organisation's index has them, whatever was in the table when the
        // plan was made.
        let both = "m.org = $1 and (m.org, m.seq) < ($1, $3)";
        let postgres = ["", both, "order by m.org desc, m.seq desc"];
        Self::new(4, sqlite, postgres)
    }

    fn of_ref() -> Self {
        let index = "indexed by messages_by_ref";
        let named = "m.org = $1 and m.client_ref = $5";
        let postgres = "order by m.org desc, m.client_ref desc, m.seq desc";
        Self::new(5, [index, named, NEWEST_FIRST], ["", named, postgres])
    }

    fn of_all() -> Self {
        let all = ["", "$1 is null", NEWEST_FIRST];
        Self::new(4, all, all)
    }

    /// For each database: its index, what it is entered with beside the number (of `$1`), the order.
    fn new(asked: usize, sqlite: [&str; 3], postgres: [&str; 3]) -> Self {
        let edge = |[index, by, order]: [&str; 3]| {
            format!(
                "select m.seq from messages m {index} where {by} and {SPAN} {order} \
                 limit 1 offset $4"
            )
        };
        let page = |[index, by, order]: [&str; 3], tag: &str| {
            format!(
                "select {COLUMNS}{MORE} from messages m {index} where {by} and {SPAN} \
                 and m.accepted_at >= $4 and m.accepted_at < $10 \
                 and ($5 is null or m.client_ref = $5) \
                 and (($6 >> m.state) & 1) = 1 \
                 and ($7 is null or m.recipient = $7) \
                 and ($8 is null or lower(m.sender) = $8) \
                 and ($9 is null or m.class = $9) \
                 and ($11 is null or {tag}) \
                 and ($12 is null or m.live = $12) \
                 {order} limit $13"
            )
        };
        let sqlite_tag = "exists (select 1 from json_each(m.tags) t where t.value = $11)";
        // What PostgreSQL cannot unpack (it knows no U+0000) has no tag that could be asked for.
        let postgres_tag = "case when m.tags is null or strpos(m.tags, '\\u0000') > 0 then false \
                            else jsonb_exists(m.tags::jsonb, $11) end";
        Self {
            asked,
            edge: Statement::each(edge(sqlite), edge(postgres)),
            page: Statement::each(page(sqlite, sqlite_tag), page(postgres, postgres_tag)),
        }
    }
}

/// A page of messages.
async fn list(
    db: &mut Db<'_>,
    carriers: &Carriers,
    listing: &Listing,
) -> Result<Listed, StoreError> {
    static OF_ORG: LazyLock<Way> = LazyLock::new(Way::of_org);
    static OF_REF: LazyLock<Way> = LazyLock::new(Way::of_ref);
    static OF_ALL: LazyLock<Way> = LazyLock::new(Way::of_all);
    let org = Value::Id(listing.org.map(|org| org.0));
    let named = listing.client_ref.as_deref();
    let way = match (listing.org, named) {
        (Some(_), Some(_)) => &*OF_REF,
        (Some(_), None) => &*OF_ORG,
        (None, _) => &*OF_ALL,
    };
    let (mut first, above) = listing.span();
    let mut rest = None;
    if !listing.is_plain() {
        let (look, named) = (listing.look.into(), named.into());
        let values = [org, first.0.into(), above.0.into(), look, named];
        if let Some(edge) = way.edge.fetch_optional(db, &values[..way.asked]).await? {
            first = MessageSeq(edge.int(0)? + 1);
            rest = Some(first);
        }
    }
    let sender = listing.from.as_deref().map(str::to_ascii_lowercase);
    let number = listing.to.as_ref().map(|to| to.digits());
    let values = [
        org,
        first.0.into(),
        above.0.into(),
        listing.since.0.into(),
        named.into(),
        listing.mask().into(),
        number.into(),
        sender.as_deref().into(),
        listing.class.map(|class| class.index() as i64).into(),
        listing.until.0.into(),
        listing.tag.as_deref().into(),
        listing.live.map(i64::from).into(),
        (i64::from(listing.limit) + 1).into(),
    ];
    let rows = way.page.fetch(db, &values).await?;
    let full = rows.len() > listing.limit as usize;
    let shown = &rows[..rows.len().min(listing.limit as usize)];
    let read = |row: &Row| viewed(row, carriers);
    let messages: Vec<_> = shown.iter().map(read).collect::<Result<_, _>>()?;
    let last = messages.last().map(|one| one.message.seq);
    Ok(Listed {
        messages,
        next: if full { last } else { rest },
    })
}
