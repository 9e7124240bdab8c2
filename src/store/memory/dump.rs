//! Lives here: the whole state as text, by which the model and the databases are compared: by
//! table, rows sorted, columns in the order of `migrations/sqlite/0001_house.sql`. Numbers are
//! decimal, ids hyphenated, other octets hexadecimal, an intent's messages decimal with commas.
//! Never here: reading it back.

use std::collections::BTreeMap;

use secrecy::ExposeSecret;
use uuid::Uuid;

use super::jobs::ChunkRow;
use super::table::{Row, Table};
use super::tables::{
    AttemptRow, AuditRow, DeliveryRow, HouseRow, InboxReceipt, IntentRow, MessageRow, OutboxRow,
    ReceiptEventRow, Tables,
};
use super::till::{DayRow, PurseRow};
use crate::domain::account::{ApiKey, Organisation};
use crate::domain::endpoint::Endpoint;
use crate::domain::ledger::{Day, Terms};
use crate::domain::lifecycle::SegmentState;
use crate::domain::message::FailureCode;
use crate::domain::price::Price;
use crate::domain::time::Timestamp;
use crate::domain::user::User;
use crate::store::control::HoldRow;
use crate::store::jobs::{Campaign, JobView};
use crate::store::memo::Memo;
use crate::store::till::Purchase;

/// A column; `None` = absent.
type Column = Option<Box<str>>;

/// All rows of all tables.
pub(in crate::store) type Dump = BTreeMap<&'static str, Vec<Vec<Column>>>;

impl Tables {
    pub(super) fn dump(&self) -> Dump {
        BTreeMap::from([
            ("house", rows(&self.house, house)),
            ("organisations", rows(&self.organisations, organisation)),
            ("api_keys", rows(&self.api_keys, api_key)),
            ("users", rows(&self.users, user)),
            ("messages", rows(&self.messages, message)),
            ("attempts", rows(&self.attempts, attempt)),
            ("receipt_events", rows(&self.receipt_events, receipt_event)),
            ("receipt_inbox", rows(&self.inbox, inbox)),
            ("intents", rows(&self.intents, intent)),
            ("endpoints", rows(&self.endpoints, endpoint)),
            ("outbox", rows(&self.outbox, event)),
            ("deliveries", rows(&self.deliveries, delivery)),
            ("audit", rows(&self.audit, audit)),
            ("holds", rows(&self.holds, hold)),
            ("purses", rows(&self.money.purses, purse)),
            ("ledger", rows(&self.money.ledger, ledger_line)),
            ("purchases", rows(&self.money.purchases, purchase)),
            ("prices", rows(&self.money.prices, price)),
            ("memos", rows(&self.memos, memo)),
            ("jobs", rows(&self.work.jobs, job)),
            ("job_chunks", rows(&self.work.chunks, chunk)),
            ("campaigns", rows(&self.work.campaigns, campaign)),
        ])
    }
}

fn rows<R: Row>(table: &Table<R>, columns: fn(&R) -> Vec<Column>) -> Vec<Vec<Column>> {
    let mut rows: Vec<_> = table.all().map(columns).collect();
    rows.sort();
    rows
}

fn text<T: ToString + ?Sized>(value: &T) -> Column {
    Some(value.to_string().into())
}

fn json(items: &[impl serde::Serialize]) -> Column {
    serde_json::to_string(items).ok().map(String::into)
}

fn flag(value: bool) -> Column {
    text(&i64::from(value))
}

fn hex(octets: &[u8]) -> Column {
    let digits = octets.iter().map(|octet| format!("{octet:02x}"));
    text(&digits.collect::<String>())
}

fn time(at: Option<Timestamp>) -> Column {
    at.and_then(|at| text(&at.0))
}

fn number(value: Option<impl Into<i64>>) -> Column {
    value.and_then(|value| text(&value.into()))
}

fn failure(code: Option<FailureCode>) -> Column {
    code.and_then(|code| text(&code.name()))
}

fn purse(PurseRow((org, channel), purse): &PurseRow) -> Vec<Column> {
    let mut columns = vec![
        text(org),
        text(&channel.index()),
        flag(purse.terms == Terms::Postpaid),
        text(&purse.available.0),
        text(&purse.reserved.0),
        text(&purse.consumed.0),
        text(&purse.threshold.0),
    ];
    columns.extend(day(&purse.today));
    columns
}

fn memo(row: &Memo) -> Vec<Column> {
    vec![
        hex(&row.key),
        hex(&row.fingerprint),
        text(&row.status),
        hex(&row.body),
        text(&row.at.0),
    ]
}

fn ledger_line(DayRow((org, channel), line): &DayRow) -> Vec<Column> {
    let mut columns = vec![text(org), text(&channel.index())];
    columns.extend(day(line));
    columns
}

fn day(day: &Day) -> Vec<Column> {
    let sums = day.moved.0.iter();
    let sums = sums.flat_map(|sum| [text(&sum.amount.0), text(&sum.count)]);
    [text(&day.day)].into_iter().chain(sums).collect()
}

fn purchase(row: &Purchase) -> Vec<Column> {
    vec![
        text(&row.purse.0),
        text(&row.purse.1.index()),
        text(&row.reference),
        text(&row.at.0),
        text(&row.amount.0),
        text(&row.note),
    ]
}

fn price(row: &Price) -> Vec<Column> {
    let scope = &row.scope;
    vec![
        text(&scope.org.map_or(Uuid::nil(), |org| org.0)),
        text(scope.country.as_deref().unwrap_or_default()),
        text(scope.network.as_ref().map_or("", |network| &network.0)),
        text(&scope.class.map_or(-1, |class| class.index() as i64)),
        text(&row.per_segment.0),
    ]
}

fn job(view: &JobView) -> Vec<Column> {
    let job = &view.job;
    vec![
        text(&job.id),
        text(&job.org),
        flag(job.live),
        text(&view.state.index()),
        text(&job.name),
        text(&job.from.as_str()),
        text(&job.template),
        text(&job.class.index()),
        job.webhook_url.clone(),
        job.metadata.clone(),
        job.tags.clone(),
        text(&job.fields),
        text(&job.rate_limit),
        text(&job.total),
        text(&job.cost.0),
        text(&job.created_at.0),
        text(&job.due_at.0),
        time(view.started_at),
        time(view.completed_at),
    ]
}

fn chunk(row: &ChunkRow) -> Vec<Column> {
    let view = &row.view;
    let body: String = row
        .body
        .iter()
        .map(|octet| format!("{octet:02x}"))
        .collect();
    vec![
        text(&row.job),
        text(&view.number),
        text(&(view.state as i64)),
        text(&view.recipients),
        text(&view.refused),
        text(&view.cost.0),
        number(view.span.map(|(first, _)| first.0)),
        number(view.span.map(|(_, last)| last.0)),
        text(&body),
    ]
}

fn campaign(row: &Campaign) -> Vec<Column> {
    vec![
        text(&row.id),
        text(&row.org),
        flag(row.live),
        text(&row.name),
        text(&row.from),
        text(&row.message),
        text(&row.class.index()),
        text(&row.total),
        time(row.due_at),
        text(&row.created_at.0),
        text(&row.updated_at.0),
        row.job.as_ref().and_then(text),
        text(&row.body),
    ]
}

fn house(row: &HouseRow) -> Vec<Column> {
    vec![text(&row.key), text(&row.value)]
}

fn organisation(row: &Organisation) -> Vec<Column> {
    vec![
        text(&row.id),
        text(&row.name),
        text(&row.country),
        json(&row.senders),
        text(&row.webhook_secret.expose_secret()),
        text(&row.created_at.0),
    ]
}

fn api_key(row: &ApiKey) -> Vec<Column> {
    vec![
        text(&row.id),
        text(&row.org),
        hex(&row.hash),
        text(&row.prefix),
        flag(row.live),
        text(&row.name),
        text(&row.scopes.bits()),
        json(&row.senders),
        json(
            &row.networks
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>(),
        ),
        time(row.expires_at),
        number(row.rate),
        text(&row.created_at.0),
        time(row.revoked_at),
        row.replaced_by.and_then(|id| text(&id)),
        time(row.last_used_at),
    ]
}

fn user(row: &User) -> Vec<Column> {
    vec![
        text(&row.id),
        text(&row.org),
        text(&row.email),
        text(&row.name),
        text(&row.role.index()),
        text(&row.created_at.0),
    ]
}

fn message(row: &MessageRow) -> Vec<Column> {
    let message = &row.message;
    vec![
        text(&message.seq),
        text(&message.id),
        text(&message.org),
        text(&message.class.index()),
        text(&row.state.index()),
        text(&row.carrier),
        text(&message.to.digits()),
        text(&message.from.as_str()),
        text(&message.body),
        text(&message.encoding.index()),
        text(&message.segments),
        message.webhook_url.clone(),
        message.metadata.clone(),
        message.tags.clone(),
        message.client_ref.clone(),
        flag(message.live),
        text(&message.cost.0),
        text(&message.accepted_at.0),
        text(&message.due_at.0),
        text(&message.valid_until.0),
        time(row.sent_at),
        time(row.final_at),
        failure(row.failure),
        row.detail.clone(),
        flag(row.possible_duplicate),
        text(&row.place),
    ]
}

fn attempt(row: &AttemptRow) -> Vec<Column> {
    let (message, part, attempt) = row.id;
    let receipt = row.receipt.as_ref();
    vec![
        text(&message),
        text(&part),
        text(&attempt),
        text(&row.carrier),
        text(&row.bind),
        text(&row.sequence),
        text(&row.submitted_at.0),
        text(&row.answered_at.0),
        text(&row.state.index()),
        number(row.status),
        row.raw_id.clone(),
        row.normalised.clone(),
        number(row.receipt_key.map(|key| key.0)),
        receipt.map(|receipt| receipt.stat.clone()),
        receipt.map(|receipt| receipt.err.clone()),
        receipt.map(|receipt| receipt.done_date.clone()),
        time(receipt.map(|receipt| receipt.at)),
        time(receipt.and_then(|receipt| receipt.done_at)),
        row.recipient.clone(),
        number(row.resolved),
    ]
}

fn receipt_event(row: &ReceiptEventRow) -> Vec<Column> {
    let (message, part, attempt) = row.id;
    vec![
        text(&message),
        text(&part),
        text(&attempt),
        text(&row.received_at.0),
        text(&row.stat),
        text(&row.err),
        text(&row.done_date),
        flag(row.conflict),
    ]
}

fn inbox(row: &InboxReceipt) -> Vec<Column> {
    let (receipt, evidence) = (&row.receipt, &row.receipt.evidence);
    vec![
        text(&receipt.carrier),
        text(&receipt.normalised),
        text(&receipt.stat),
        text(&receipt.done_date),
        text(&receipt.key.0),
        number(receipt.state.map(SegmentState::index)),
        text(&receipt.raw_id),
        text(&receipt.err),
        failure(receipt.failure),
        text(&receipt.received_at.0),
        time(receipt.done_at),
        evidence.recipient.and_then(|to| text(&to.digits())),
        text(&evidence.sender),
        text(&evidence.words.0),
        time(evidence.submitted_at),
        number(evidence.reference),
        time(row.quarantined_at),
    ]
}

fn intent(row: &IntentRow) -> Vec<Column> {
    let messages: Vec<String> = row.messages.iter().map(ToString::to_string).collect();
    vec![
        text(&row.id),
        text(&row.carrier),
        text(&row.bind),
        text(&row.at.0),
        text(&messages.join(",")),
    ]
}

fn event(row: &OutboxRow) -> Vec<Column> {
    let event = &row.event;
    let notice = event.notice.as_ref();
    vec![
        text(&event.event.0),
        text(&event.message),
        text(&event.sequence),
        text(&event.kind.index()),
        text(&event.at.0),
        text(&event.state.index()),
        failure(event.failure),
        text(&row.due_at.0),
        text(&row.attempts),
        text(&row.attempts_before),
        row.asked_at.and_then(|at| text(&at.0)),
        event.target.and_then(|target| text(&target.0)),
        notice.and_then(|notice| text(&notice.org)),
        notice.and_then(|notice| flag(notice.live)),
        notice.map(|notice| notice.data.clone()),
    ]
}

fn delivery(row: &DeliveryRow) -> Vec<Column> {
    let event = &row.event;
    vec![
        text(&event.message),
        text(&event.event.0),
        text(&row.attempt),
        text(&event.sequence),
        text(&row.at.0),
        text(&row.latency_ms),
        number(row.status),
        row.error.clone(),
        row.response.clone(),
        text(&row.org),
        flag(row.live),
        event.target.and_then(|target| text(&target.0)),
        text(&event.kind.index()),
        text(&event.at.0),
        text(&event.state.index()),
        failure(event.failure),
        event.notice.as_ref().map(|notice| notice.data.clone()),
    ]
}

fn endpoint(row: &Endpoint) -> Vec<Column> {
    let old = row.old.as_ref();
    vec![
        text(&row.id.0),
        text(&row.org),
        flag(row.live),
        text(&row.url),
        text(&row.events.bits()),
        text(&row.format.index()),
        text(&row.description),
        text(&row.secret.expose_secret()),
        old.and_then(|(secret, _)| text(&secret.expose_secret())),
        time(old.map(|(_, until)| *until)),
        time(row.disabled.map(|(at, _)| at)),
        row.disabled.and_then(|(_, reason)| text(reason.name())),
        time(row.failing_since),
        text(&row.created_at.0),
    ]
}

fn audit(row: &AuditRow) -> Vec<Column> {
    let entry = &row.entry;
    vec![
        text(&row.id),
        text(&entry.at.0),
        text(&entry.actor),
        text(&entry.action),
        text(&entry.subject),
        text(&entry.detail),
        text(&entry.outcome),
    ]
}

fn hold(row: &HoldRow) -> Vec<Column> {
    vec![
        text(&row.carrier),
        text(&row.hold.name()),
        text(&row.reason),
        text(&row.actor),
        text(&row.at.0),
        time(row.until),
    ]
}
