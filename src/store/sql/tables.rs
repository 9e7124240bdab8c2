//! Lives here: the tables and their columns as data, for what treats all of them alike: moving a
//! store, and the tests' dump. A test holds it against the schema.
//! Never here: statements.

use super::db::Kind;

/// A table.
pub(in crate::store) struct Table {
    /// Its name.
    pub(in crate::store) name: &'static str,
    /// Its columns in the order of SQLite's schema: those of the primary key come first.
    pub(in crate::store) columns: &'static [Column],
    /// How many columns the primary key has.
    pub(in crate::store) key: usize,
}

/// A column.
pub(in crate::store) struct Column {
    /// Its name.
    pub(in crate::store) name: &'static str,
    /// What it holds.
    pub(in crate::store) kind: Kind,
}

impl Table {
    const fn new(name: &'static str, key: usize, columns: &'static [Column]) -> Self {
        Self { name, columns, key }
    }

    /// The columns of the primary key.
    pub(in crate::store) fn key(&self) -> &'static [Column] {
        &self.columns[..self.key]
    }
}

/// What a run leaves to the next. Not all of it is its rows' own: some belongs to the schema.
pub(in crate::store) static HOUSE: Table = Table::new("house", 1, &[text("key"), int("value")]);

/// All others, what refers to a table behind it.
pub(in crate::store) static TABLES: [Table; 21] = [
    Table::new(
        "organisations",
        1,
        &[
            id("id"),
            text("name"),
            text("country"),
            text("senders"),
            text("webhook_secret"),
            int("created_at"),
        ],
    ),
    Table::new(
        "api_keys",
        1,
        &[
            id("id"),
            id("org"),
            bytes("hash"),
            text("prefix"),
            int("live"),
            text("name"),
            int("scopes"),
            text("senders"),
            text("networks"),
            int("expires_at"),
            int("rate"),
            int("created_at"),
            int("revoked_at"),
            id("replaced_by"),
            int("last_used_at"),
        ],
    ),
    Table::new(
        "users",
        1,
        &[
            id("id"),
            id("org"),
            text("email"),
            text("name"),
            int("role"),
            int("created_at"),
        ],
    ),
    Table::new(
        "purses",
        2,
        &[
            id("org"),
            int("channel"),
            int("postpaid"),
            int("available"),
            int("reserved"),
            int("consumed"),
            int("threshold"),
            int("day"),
            int("purchase_sum"),
            int("purchase_count"),
            int("reserve_sum"),
            int("reserve_count"),
            int("capture_sum"),
            int("capture_count"),
            int("refund_sum"),
            int("refund_count"),
        ],
    ),
    Table::new(
        "ledger",
        3,
        &[
            id("org"),
            int("channel"),
            int("day"),
            int("purchase_sum"),
            int("purchase_count"),
            int("reserve_sum"),
            int("reserve_count"),
            int("capture_sum"),
            int("capture_count"),
            int("refund_sum"),
            int("refund_count"),
        ],
    ),
    Table::new(
        "purchases",
        3,
        &[
            id("org"),
            int("channel"),
            text("reference"),
            int("at"),
            int("amount"),
            text("note"),
        ],
    ),
    Table::new(
        "prices",
        4,
        &[
            id("org"),
            text("country"),
            text("network"),
            int("class"),
            int("amount"),
        ],
    ),
    Table::new(
        "memos",
        1,
        &[
            bytes("key"),
            bytes("fingerprint"),
            int("status"),
            bytes("body"),
            int("at"),
        ],
    ),
    Table::new(
        "messages",
        1,
        &[
            int("seq"),
            id("id"),
            id("org"),
            int("class"),
            int("state"),
            text("carrier"),
            text("recipient"),
            text("sender"),
            text("body"),
            int("encoding"),
            int("segments"),
            text("webhook_url"),
            text("metadata"),
            text("tags"),
            text("client_ref"),
            int("live"),
            int("cost"),
            int("accepted_at"),
            int("due_at"),
            int("valid_until"),
            int("sent_at"),
            int("final_at"),
            text("failure"),
            text("detail"),
            int("possible_duplicate"),
            int("moved"),
            int("place"),
        ],
    ),
    Table::new(
        "attempts",
        3,
        &[
            int("message"),
            int("part"),
            int("attempt"),
            text("carrier"),
            text("bind"),
            int("sequence"),
            int("submitted_at"),
            int("answered_at"),
            int("state"),
            int("status"),
            text("carrier_message_id"),
            text("normalised"),
            int("receipt_key"),
            text("stat"),
            text("err"),
            text("done_date"),
            int("receipt_at"),
            int("done_at"),
            text("recipient"),
            int("resolved"),
        ],
    ),
    Table::new(
        "receipt_events",
        5,
        &[
            int("message"),
            int("part"),
            int("attempt"),
            int("received_at"),
            text("stat"),
            text("err"),
            text("done_date"),
            int("conflict"),
        ],
    ),
    Table::new(
        "receipt_inbox",
        4,
        &[
            text("carrier"),
            text("normalised"),
            text("stat"),
            text("done_date"),
            int("receipt_key"),
            int("state"),
            text("raw_id"),
            text("err"),
            text("failure"),
            int("received_at"),
            int("done_at"),
            text("recipient"),
            text("sender"),
            text("words"),
            int("submitted_at"),
            int("reference"),
            int("quarantined_at"),
        ],
    ),
    Table::new(
        "intents",
        1,
        &[
            int("id"),
            text("carrier"),
            text("bind"),
            int("at"),
            bytes("messages"),
        ],
    ),
    Table::new(
        "endpoints",
        1,
        &[
            id("id"),
            id("org"),
            int("live"),
            text("url"),
            int("events"),
            int("format"),
            text("description"),
            text("secret"),
            text("old_secret"),
            int("cutover_at"),
            int("disabled_at"),
            text("reason"),
            int("failing_since"),
            int("created_at"),
        ],
    ),
    Table::new(
        "outbox",
        1,
        &[
            id("event"),
            int("message"),
            int("sequence"),
            int("kind"),
            int("at"),
            int("state"),
            text("failure"),
            int("due_at"),
            int("attempts"),
            int("attempts_before"),
            int("asked_at"),
            id("target"),
            id("org"),
            int("live"),
            text("data"),
        ],
    ),
    Table::new(
        "deliveries",
        3,
        &[
            int("message"),
            id("event"),
            int("attempt"),
            int("sequence"),
            int("at"),
            int("latency_ms"),
            int("status"),
            text("error"),
            text("response"),
            id("org"),
            int("live"),
            id("target"),
            int("kind"),
            int("happened_at"),
            int("state"),
            text("failure"),
            text("data"),
        ],
    ),
    Table::new(
        "audit",
        1,
        &[
            int("id"),
            int("at"),
            text("actor"),
            text("action"),
            text("subject"),
            text("detail"),
            text("outcome"),
        ],
    ),
    Table::new(
        "holds",
        1,
        &[
            text("carrier"),
            text("kind"),
            text("reason"),
            text("actor"),
            int("at"),
            int("until"),
        ],
    ),
    Table::new(
        "jobs",
        1,
        &[
            id("id"),
            id("org"),
            int("live"),
            int("state"),
            text("name"),
            text("sender"),
            text("template"),
            int("class"),
            text("webhook_url"),
            text("metadata"),
            text("tags"),
            text("fields"),
            int("rate_limit"),
            int("total"),
            int("cost"),
            int("created_at"),
            int("due_at"),
            int("started_at"),
            int("completed_at"),
        ],
    ),
    Table::new(
        "job_chunks",
        2,
        &[
            id("job"),
            int("chunk"),
            int("state"),
            int("recipients"),
            int("refused"),
            int("cost"),
            int("first_seq"),
            int("last_seq"),
            bytes("body"),
        ],
    ),
    Table::new(
        "campaigns",
        1,
        &[
            id("id"),
            id("org"),
            int("live"),
            text("name"),
            text("sender"),
            text("message"),
            int("class"),
            int("total"),
            int("due_at"),
            int("created_at"),
            int("updated_at"),
            text("job"),
            text("body"),
        ],
    ),
];

const fn int(name: &'static str) -> Column {
    let kind = Kind::Int;
    Column { name, kind }
}

const fn text(name: &'static str) -> Column {
    let kind = Kind::Text;
    Column { name, kind }
}

const fn bytes(name: &'static str) -> Column {
    let kind = Kind::Bytes;
    Column { name, kind }
}

const fn id(name: &'static str) -> Column {
    let kind = Kind::Id;
    Column { name, kind }
}

#[cfg(test)]
mod tests {
    use sqlx::{Connection, PgConnection, SqliteConnection};

    use super::super::db::{Db, Row};
    use super::super::schema;
    use super::super::statement::Statement;
    use super::*;

    /// A table's name, and each column's name, place in the primary key (0: none) and kind.
    type Described = (String, Vec<(String, i64, Kind)>);

    fn described(rows: &[Row]) -> Vec<Described> {
        let mut tables: Vec<Described> = Vec::new();
        for row in rows {
            let kind = match row.text(2).unwrap() {
                "INTEGER" | "int8" | "int4" | "int2" => Kind::Int,
                "TEXT" | "text" => Kind::Text,
                "bytea" => Kind::Bytes,
                "uuid" => Kind::Id,
                // SQLite has one type for both.
                _ => match row.text(1).unwrap() {
                    "id" | "org" | "event" | "target" | "replaced_by" | "job" => Kind::Id,
                    _ => Kind::Bytes,
                },
            };
            let column = (row.text(1).unwrap().to_owned(), row.int(3).unwrap(), kind);
            let table = row.text(0).unwrap();
            match tables.last_mut() {
                Some((last, columns)) if last == table => columns.push(column),
                _ => tables.push((table.to_owned(), vec![column])),
            }
        }
        tables
    }

    fn known() -> Vec<Described> {
        let describe = |table: &Table| {
            let columns = table.columns.iter().zip(1..).map(|(column, place)| {
                let place = if place <= table.key { place } else { 0 };
                let place = i64::try_from(place).unwrap();
                (column.name.to_owned(), place, column.kind)
            });
            (table.name.to_owned(), columns.collect())
        };
        std::iter::once(&HOUSE)
            .chain(&TABLES)
            .map(describe)
            .collect()
    }

    #[tokio::test]
    async fn no_table_and_no_column_of_sqlite_is_left_out() {
        let mut conn = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        schema::sqlite().run(&mut conn).await.unwrap();
        let schema = Statement::new(
            "select t.name, c.name, c.type, c.pk from sqlite_schema t, \
             (select * from pragma_table_list) l, pragma_table_info(t.name) c \
             where t.type = 'table' and l.name = t.name and l.type = 'table' \
             and t.name not like 'sqlite_%' and t.name not like '\\_sqlx%' escape '\\' \
             order by t.rowid, c.cid",
        );
        let rows = schema.fetch(&mut Db::Sqlite(&mut conn), &[]).await.unwrap();
        assert_eq!(described(&rows), known());
    }

    #[tokio::test]
    async fn no_table_and_no_column_of_postgresql_is_left_out() {
        let database = mnara_privatepg::Database::fresh().unwrap();
        let mut conn = PgConnection::connect(&database.url()).await.unwrap();
        schema::postgres().run(&mut conn).await.unwrap();
        let schema = Statement::new(
            "select c.relname::text, a.attname::text, t.typname::text, \
             coalesce(array_position(i.indkey::int2[], a.attnum) + 1, 0)::int8 \
             from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 \
             join pg_type t on t.oid = a.atttypid \
             join pg_index i on i.indrelid = c.oid and i.indisprimary \
             where c.relkind in ('r', 'p') and not c.relispartition \
             and c.relnamespace = 'public'::regnamespace and c.relname not like '\\_sqlx%' \
             order by c.relname, a.attname",
        );
        let mut db = Db::Postgres(&mut conn, None);
        let rows = schema.fetch(&mut db, &[]).await.unwrap();
        // The order of columns is each schema's own.
        let mut known = known();
        for (_, columns) in &mut known {
            columns.sort();
        }
        known.sort();
        assert_eq!(described(&rows), known);
    }
}
