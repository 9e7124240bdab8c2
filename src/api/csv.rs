//! Lives here: CSV files (RFC 4180), and messages as their rows.
//! Never here: which messages.

use std::borrow::Cow;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::Response;

use super::events::per_segment;
use super::json::amount;
use super::render::shown;
use super::time;
use crate::domain::time::Timestamp;
use crate::store::MessageView;

const COLUMNS: [&str; 22] = [
    "id",
    "to",
    "from",
    "message",
    "status",
    "status_detail",
    "class",
    "network",
    "target",
    "segments",
    "credits_cost",
    "cost_per_segment",
    "queued_at",
    "scheduled_at",
    "sent_at",
    "delivered_at",
    "ended_at",
    "failure_code",
    "possible_duplicate",
    "client_ref",
    "tags",
    "metadata",
];

/// The row of the columns' names.
pub(super) fn head() -> Bytes {
    let mut rows = Rows::default();
    rows.write(COLUMNS);
    rows.written()
}

/// A file of this name: an answer.
pub(super) fn file(name: &str, rows: impl Into<Body>) -> Response {
    let mut response = Response::new(rows.into());
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("text/csv; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, kind);
    if let Ok(name) = HeaderValue::try_from(format!("attachment; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    response
}

/// Rows in memory.
#[derive(Default)]
pub(super) struct Rows(Vec<u8>);

impl Rows {
    /// A message's row.
    pub(super) fn push(&mut self, view: &MessageView, network: &str, account: &str) {
        let message = &view.message;
        let at = |at: Option<Timestamp>| at.map(time::rfc3339);
        let scheduled = (message.due_at > message.accepted_at).then_some(message.due_at);
        let delivered = view.final_at.filter(|_| view.state.public() == "delivered");
        let times = [
            Some(message.accepted_at),
            scheduled,
            view.sent_at,
            delivered,
            view.final_at,
        ]
        .map(at);
        let [queued, scheduled, sent, delivered, ended] = times
            .each_ref()
            .map(|at| at.as_ref().map_or("", |at| at.as_str()));
        let cost = amount(message.cost).to_string();
        let each = per_segment(message.cost, message.segments).to_string();
        self.write([
            &message.id.to_string(),
            &message.to.to_string(),
            &guarded(message.from.as_str()),
            &guarded(shown(message.class, &message.body)),
            view.state.public(),
            view.state.name(),
            message.class.name(),
            network,
            account,
            &message.segments.to_string(),
            &cost,
            &each,
            queued,
            scheduled,
            sent,
            delivered,
            ended,
            view.failure.map_or("", |failure| failure.name()),
            if view.possible_duplicate {
                "true"
            } else {
                "false"
            },
            &guarded(message.client_ref.as_deref().unwrap_or_default()),
            message.tags.as_deref().unwrap_or_default(),
            message.metadata.as_deref().unwrap_or_default(),
        ]);
    }

    /// A row of any file.
    pub(super) fn write<const CELLS: usize>(&mut self, cells: [&str; CELLS]) {
        for (at, cell) in cells.into_iter().enumerate() {
            if at > 0 {
                self.0.push(b',');
            }
            if cell.contains([',', '"', '\n', '\r']) {
                self.0.push(b'"');
                self.0
                    .extend_from_slice(cell.replace('"', "\"\"").as_bytes());
                self.0.push(b'"');
            } else {
                self.0.extend_from_slice(cell.as_bytes());
            }
        }
        self.0.extend_from_slice(b"\r\n");
    }

    /// All of them.
    pub(super) fn written(self) -> Bytes {
        self.0.into()
    }
}

/// Text that a spreadsheet would take for a formula, with a mark before it. White space before it
/// hides none.
pub(super) fn guarded(text: &str) -> Cow<'_, str> {
    let passed_over = |one: char| one.is_whitespace() && !matches!(one, '\t' | '\r');
    let first = text.trim_start_matches(passed_over);
    if first.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{text}").into()
    } else {
        text.into()
    }
}

/// The same for a column of numbers: `+255…` stays what it is.
pub(super) fn guarded_number(text: &str) -> Cow<'_, str> {
    match text.strip_prefix('+').map(str::as_bytes) {
        Some(digits @ [_, ..]) if digits.iter().all(u8::is_ascii_digit) => text.into(),
        Some(_) | None => guarded(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::render::tests::view;

    #[test]
    fn formulas_are_marked_as_text_and_numbers_are_not() {
        let table = [
            ("=1+1", "'=1+1"),
            ("+cmd|x", "'+cmd|x"),
            ("-5", "'-5"),
            ("@x", "'@x"),
            ("+", "'+"),
            (" =1+1", "' =1+1"),
            ("\n\u{a0}@x", "'\n\u{a0}@x"),
            (" \tx", "' \tx"),
            ("\r=1", "'\r=1"),
            ("0712 =", "0712 ="),
            (" x", " x"),
            ("", ""),
        ];
        for (cell, expected) in table {
            assert_eq!(guarded(cell), expected);
            assert_eq!(guarded_number(cell), expected);
        }
        assert_eq!(guarded("+255712345678"), "'+255712345678");
        assert_eq!(guarded_number("+255712345678"), "+255712345678");
    }

    #[test]
    fn a_row_has_a_cell_for_each_column_and_no_text_is_a_formula() {
        let mut view = view();
        view.message.body = "=cmd(\"x\"),\nnext".into();
        view.message.client_ref = Some("-7".into());
        view.message.tags = Some("[\"a\"]".into());
        view.final_at = Some(Timestamp(1_000));
        let mut rows = Rows::default();
        rows.push(&view, "vodacom_tz", "voda_1");
        let text = [head(), rows.written()].concat();
        let mut read = ::csv::Reader::from_reader(&text[..]);
        let row = read.records().next().unwrap().unwrap();
        let cell = |name: &str| {
            let at = COLUMNS.iter().position(|column| *column == name);
            row[at.unwrap()].to_owned()
        };
        assert_eq!(cell("message"), "'=cmd(\"x\"),\nnext");
        assert_eq!(cell("to"), "+255753276939");
        assert_eq!(cell("client_ref"), "'-7");
        assert_eq!(cell("tags"), "[\"a\"]");
        assert_eq!(cell("delivered_at"), "1970-01-01T00:00:01.000Z");
        assert_eq!(
            (cell("network"), cell("target")),
            ("vodacom_tz".into(), "voda_1".into())
        );
        assert_eq!(cell("cost_per_segment"), "0");
    }
}
