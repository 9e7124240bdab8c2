//! Lives here: what every table of either database holds, in the words of the model's dump: so that
//! tests can hold one against the other.
//! Never here: anything that the daemon does.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::db::{Db, Row};
use super::statement::Statement;

/// A table's rows, sorted, each column as text: numbers in decimal, octets in hex, ids as they are
/// written, an intent's messages in decimal with commas.
pub(in crate::store) type Dump = BTreeMap<&'static str, Vec<Vec<Option<Box<str>>>>>;

/// The tables and their columns in the order of SQLite's schema; `*` marks octets, `#` ids, `,`
/// messages.
const TABLES: &[(&str, &str)] = &[
    ("house", "key value"),
    (
        "organisations",
        "#id name country senders webhook_secret created_at",
    ),
    (
        "api_keys",
        "#id #org *hash prefix live created_at revoked_at",
    ),
    (
        "messages",
        "seq #id #org class state carrier recipient sender body encoding segments webhook_url \
         metadata tags accepted_at due_at valid_until sent_at final_at failure detail \
         possible_duplicate place",
    ),
    (
        "attempts",
        "message part attempt carrier bind sequence submitted_at answered_at state status \
         carrier_message_id normalised receipt_key stat err done_date receipt_at done_at recipient \
         resolved",
    ),
    (
        "receipt_events",
        "message part attempt received_at stat err done_date conflict",
    ),
    (
        "receipt_inbox",
        "carrier normalised stat done_date receipt_key state raw_id err failure received_at done_at \
         recipient sender words submitted_at reference quarantined_at",
    ),
    ("intents", "id carrier bind at ,messages"),
    (
        "outbox",
        "#event message sequence kind at state failure due_at attempts",
    ),
    (
        "deliveries",
        "message sequence attempt #event at latency_ms status error",
    ),
    ("audit", "id at actor action subject detail outcome"),
    ("holds", "carrier kind reason actor at until"),
];

/// What every table holds.
pub(in crate::store) async fn dump(db: &mut Db<'_>) -> sqlx::Result<Dump> {
    let mut dump = Dump::new();
    for (table, columns) in TABLES {
        let columns: Vec<&str> = columns.split_whitespace().collect();
        let select = |column: fn(&str) -> String| {
            let columns: Vec<String> = columns.iter().map(|name| column(name)).collect();
            format!("select {} from {table}", columns.join(", "))
        };
        let read = Statement::each(select(sqlite), select(postgres));
        let mut rows: Vec<Vec<Option<Box<str>>>> = Vec::new();
        for row in read.fetch(db, &[]).await? {
            rows.push(cells(&row, &columns)?);
        }
        rows.sort();
        dump.insert(*table, rows);
    }
    Ok(dump)
}

fn cells(row: &Row, columns: &[&str]) -> sqlx::Result<Vec<Option<Box<str>>>> {
    let mut cells = Vec::with_capacity(columns.len());
    for (place, column) in columns.iter().enumerate() {
        let cell = row.opt_text(place)?;
        cells.push(cell.map(|cell| match column.chars().next() {
            Some('#') => id(cell),
            Some(',') => messages(cell),
            _ => cell.into(),
        }));
    }
    Ok(cells)
}

fn id(hex: &str) -> Box<str> {
    let id = Uuid::parse_str(hex).expect("16 octets");
    id.to_string().into()
}

fn messages(hex: &str) -> Box<str> {
    let each = hex.as_bytes().chunks(16).map(|number| {
        let number = str::from_utf8(number).expect("hex");
        let number = i64::from_str_radix(number, 16).expect("8 octets");
        number.to_string()
    });
    each.collect::<Vec<_>>().join(",").into()
}

fn sqlite(column: &str) -> String {
    match column.strip_prefix(['*', '#', ',']) {
        Some(octets) => format!("lower(hex({octets}))"),
        None => format!("cast({column} as text)"),
    }
}

fn postgres(column: &str) -> String {
    match column.strip_prefix(['*', ',']) {
        Some(octets) => format!("encode({octets}, 'hex')"),
        None => format!("cast({} as text)", column.trim_start_matches('#')),
    }
}

#[cfg(test)]
mod tests {
    use sqlx::Connection;
    use sqlx::sqlite::SqliteConnection;

    use super::*;

    #[tokio::test]
    async fn no_table_and_no_column_is_left_out() {
        let mut conn = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        sqlx::migrate!("migrations/sqlite")
            .run(&mut conn)
            .await
            .unwrap();
        let schema = Statement::new(
            "select t.name, group_concat(c.name, ' ') from sqlite_schema t, \
             (select * from pragma_table_list) l, pragma_table_info(t.name) c \
             where t.type = 'table' and l.name = t.name and l.type = 'table' \
             and t.name not like 'sqlite_%' and t.name not like '\\_sqlx%' escape '\\' \
             group by t.name order by t.rowid",
        );
        let rows = schema.fetch(&mut Db::Sqlite(&mut conn), &[]).await.unwrap();
        let schema: Vec<(&str, &str)> = rows
            .iter()
            .map(|row| (row.text(0).unwrap(), row.text(1).unwrap()))
            .collect();
        let plain = |columns: &str| columns.replace(['*', '#', ','], "");
        let known: Vec<(&str, String)> = TABLES
            .iter()
            .map(|(table, columns)| (*table, plain(columns)))
            .collect();
        let known: Vec<(&str, &str)> = known
            .iter()
            .map(|(table, columns)| (*table, &**columns))
            .collect();
        assert_eq!(schema, known);
    }
}
