//! Lives here: what every table of either database holds, in the words of the model's dump: so that
//! tests can hold one against the other.
//! Never here: anything that the daemon does.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::db::{Db, Kind, Row};
use super::statement::Statement;
use super::tables::{Column, HOUSE, TABLES, Table};

/// A table's rows, sorted, each column as text: numbers in decimal, octets in hex, ids as they are
/// written, an intent's messages in decimal with commas.
pub(in crate::store) type Dump = BTreeMap<&'static str, Vec<Vec<Option<Box<str>>>>>;

/// What every table holds.
pub(in crate::store) async fn dump(db: &mut Db<'_>) -> sqlx::Result<Dump> {
    let mut dump = Dump::new();
    for table in std::iter::once(&HOUSE).chain(&TABLES) {
        let select = |cell: fn(&Column) -> String| {
            let columns: Vec<String> = columns(table).map(cell).collect();
            format!("select {} from {}", columns.join(", "), table.name)
        };
        let read = Statement::each(select(sqlite), select(postgres));
        let mut rows: Vec<Vec<Option<Box<str>>>> = Vec::new();
        for row in read.fetch(db, &[]).await? {
            rows.push(cells(&row, columns(table))?);
        }
        rows.sort();
        dump.insert(table.name, rows);
    }
    Ok(dump)
}

/// All but the stamps of moves, by which only the databases tell what has moved.
fn columns(table: &Table) -> impl Iterator<Item = &Column> {
    table.columns.iter().filter(|column| column.name != "moved")
}

fn cells<'c>(
    row: &Row,
    columns: impl Iterator<Item = &'c Column>,
) -> sqlx::Result<Vec<Option<Box<str>>>> {
    let mut cells = Vec::new();
    for (place, column) in columns.enumerate() {
        let cell = row.opt_text(place)?;
        cells.push(cell.map(|cell| match (column.kind, column.name) {
            (Kind::Id, _) => id(cell),
            (Kind::Bytes, "messages") => messages(cell),
            (Kind::Bytes | Kind::Int | Kind::Text, _) => cell.into(),
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

fn sqlite(column: &Column) -> String {
    match column.kind {
        Kind::Bytes => format!("lower(hex({}))", column.name),
        // Of an absent one it is empty.
        Kind::Id => format!("nullif(lower(hex({})), '')", column.name),
        Kind::Int | Kind::Text => format!("cast({} as text)", column.name),
    }
}

fn postgres(column: &Column) -> String {
    match column.kind {
        Kind::Bytes => format!("encode({}, 'hex')", column.name),
        Kind::Int | Kind::Text | Kind::Id => format!("cast({} as text)", column.name),
    }
}
