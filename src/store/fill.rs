//! Lives here: making up a store that has been in use for days: messages that have ended, with what
//! belongs to each. For measurements.
//! Never here: SQL (`sql::pages`).

use std::ops::Range;
use std::time::{Duration, SystemTime};

use uuid::Uuid;

use super::StoreError;
use super::engine::v7;
use super::rows::{Rows, day_of, first_of_day};
use super::sql::Sql;
use super::sql::db::Value;
use super::sql::pages::{PAGE, PAGES, take_whole};
use crate::domain::class::Class;
use crate::domain::ids::{CarrierId, ReceiptKey};
use crate::domain::lifecycle::SegmentState;
use crate::domain::message::{Encoding, State};
use crate::domain::time::Timestamp;

const DAY: Duration = Duration::from_secs(86_400);
/// Accounts that carried the messages, their binds, and how the numbers of their networks begin.
const ACCOUNTS: [(&str, &str, &str); 4] = [
    ("vodacom_tz", "vodacom_tz/1", "25575"),
    ("mtn_ng", "mtn_ng/1", "234803"),
    ("safaricom_ke", "safaricom_ke/1", "254722"),
    ("mtn_ug", "mtn_ug/1", "256772"),
];
/// What the customer got: an event when a message was sent, one when it was delivered.
const EVENTS: [i64; 2] = [1, 2];
/// The state that each of them tells of.
const STATES: [State; EVENTS.len()] = [State::Submitted, State::Delivered];

/// Why a store was not filled.
#[derive(Debug, thiserror::Error)]
pub enum FillError {
    /// It is in use already.
    #[error("the table {table} is not empty; only an empty database is filled")]
    NotEmpty {
        /// The first table that has rows.
        table: &'static str,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The messages to make up.
struct Plan {
    messages: u64,
    /// The first one's time, and how long it is from there to now, in milliseconds.
    begin: i64,
    span: u64,
    org: Uuid,
    accounts: [CarrierId; ACCOUNTS.len()],
}

/// A message that was made up, and what goes with it.
struct Past {
    seq: i64,
    at: i64,
    id: Uuid,
    org: Uuid,
    class: Class,
    account: &'static str,
    bind: &'static str,
    recipient: String,
    body: String,
    carrier_message_id: String,
    receipt_key: i64,
    done_date: String,
    events: [Uuid; EVENTS.len()],
}

/// Writes so many delivered messages into the empty database at `url`, spread evenly over the
/// `days` before today and today up to now, in order: each with an attempt that has its receipt,
/// and two deliveries. Memory is bounded: two pages of rows.
///
/// # Errors
/// [`FillError`].
pub async fn fill(url: &str, messages: u64, days: u32) -> Result<(), FillError> {
    let mut store = take_whole(url).await?;
    for pages in PAGES.iter() {
        if store.last_key(pages).await?.is_some() {
            let table = pages.table.name;
            return Err(FillError::NotEmpty { table });
        }
    }
    store.hurry().await?;
    let plan = Plan::new(messages, days, Timestamp::from(SystemTime::now()));
    let mut page = plan.page(0..0);
    let mut numbers = 0..0;
    while numbers.end < messages {
        numbers = numbers.end..messages.min(numbers.end + PAGE as u64);
        // The next page is made while one is written.
        let (written, next) = tokio::join!(write(&mut store, &page), async {
            plan.page(numbers.clone())
        });
        written?;
        page = next;
    }
    write(&mut store, &page).await?;
    store.unhurry().await?;
    store.close(true).await?;
    Ok(())
}

impl Plan {
    fn new(messages: u64, days: u32, now: Timestamp) -> Self {
        let midnight = Timestamp(now.0 - now.0.rem_euclid(86_400_000));
        let begin = midnight - DAY * days;
        let span = u64::try_from(now.since(begin).as_millis()).unwrap_or(0);
        Self {
            messages,
            begin: begin.0,
            span,
            org: Uuid::now_v7(),
            accounts: ACCOUNTS.map(|(account, ..)| CarrierId(account.into())),
        }
    }

    /// Messages by their numbers, from 0.
    fn page(&self, numbers: Range<u64>) -> Vec<Past> {
        numbers.map(|number| self.message(number)).collect()
    }

    /// When this message was accepted.
    fn at(&self, number: u64) -> i64 {
        let into = u128::from(self.span) * u128::from(number) / u128::from(self.messages);
        self.begin + i64::try_from(into).unwrap_or(0)
    }

    fn message(&self, number: u64) -> Past {
        let at = self.at(number);
        // Rising over all days, and the right day's: what the store asks of a number.
        let seq = first_of_day(day_of(Timestamp(at))).0 + i64::try_from(number).unwrap_or(0) + 1;
        let random: u64 = rand::random();
        let turn = (number % ACCOUNTS.len() as u64) as usize;
        let (account, bind, prefix) = ACCOUNTS[turn];
        let carrier_message_id = format!("{random:016X}");
        Past {
            seq,
            at,
            id: v7(Timestamp(at)),
            org: self.org,
            class: Class::ALL[(number % 3) as usize],
            account,
            bind,
            recipient: format!("{prefix}{:07}", random % 10_000_000),
            body: format!(
                "Dear customer, your payment of TZS {} to MNARA SHOP was received. Reference \
                 {random:016X}. Thank you for paying with us.",
                random % 1_000_000,
            ),
            receipt_key: ReceiptKey::new(&self.accounts[turn], &carrier_message_id).0,
            carrier_message_id,
            done_date: done_date(at + 3_000),
            events: EVENTS.map(|_| v7(Timestamp(at))),
        }
    }
}

impl Past {
    /// A table's row, or one of its rows; the columns in the table's order.
    fn message(&self) -> Vec<Value<'_>> {
        vec![
            self.seq.into(),
            self.id.into(),
            self.org.into(),
            (self.class.index() as i64).into(),
            State::Delivered.index().into(),
            self.account.into(),
            self.recipient.as_str().into(),
            "MNARA".into(),
            self.body.as_str().into(),
            Encoding::Gsm7.index().into(),
            1_i64.into(),
            "https://hooks.example.com/mnara/sms".into(),
            "{\"invoice\":\"2026-000417\",\"branch\":\"kariakoo\"}".into(),
            Value::Text(None),
            Value::Text(None),
            true.into(),
            1_000_i64.into(),
            self.at.into(),
            self.at.into(),
            (self.at + 86_400_000).into(),
            (self.at + 100).into(),
            (self.at + 3_000).into(),
            Value::Text(None),
            Value::Text(None),
            false.into(),
            Value::Int(None),
            self.seq.into(),
        ]
    }

    fn attempt(&self) -> Vec<Value<'_>> {
        vec![
            self.seq.into(),
            1_i64.into(),
            1_i64.into(),
            self.account.into(),
            self.bind.into(),
            (self.seq & 0xFFFF).into(),
            (self.at + 20).into(),
            (self.at + 100).into(),
            SegmentState::Delivered.index().into(),
            0_i64.into(),
            self.carrier_message_id.as_str().into(),
            self.carrier_message_id.as_str().into(),
            self.receipt_key.into(),
            "DELIVRD".into(),
            "000".into(),
            self.done_date.as_str().into(),
            (self.at + 3_000).into(),
            (self.at + 2_000).into(),
            Value::Text(None),
            Value::Int(None),
        ]
    }

    fn delivery(&self, event: usize) -> Vec<Value<'_>> {
        vec![
            self.seq.into(),
            self.events[event].into(),
            1_i64.into(),
            EVENTS[event].into(),
            (self.at + 3_000 * event as i64 + 150).into(),
            12_i64.into(),
            200_i64.into(),
            Value::Text(None),
            Value::Text(None),
            self.org.into(),
            true.into(),
            Value::Id(None),
            (EVENTS[event] - 1).into(),
            (self.at + 3_000 * event as i64 + 100).into(),
            STATES[event].index().into(),
            Value::Text(None),
            Value::Text(None),
        ]
    }
}

async fn write(store: &mut Sql, page: &[Past]) -> Result<(), StoreError> {
    for (table, rows) in [
        ("messages", page.iter().map(Past::message).collect()),
        ("attempts", page.iter().map(Past::attempt).collect()),
        ("deliveries", deliveries(page)),
    ] {
        let pages = PAGES.iter().find(|pages| pages.table.name == table);
        if let Some(pages) = pages {
            let rows: Vec<Vec<Value<'_>>> = rows;
            store.write_page(pages, &rows).await?;
        }
    }
    Ok(())
}

fn deliveries(page: &[Past]) -> Vec<Vec<Value<'_>>> {
    let events = |past| (0..EVENTS.len()).map(move |event| Past::delivery(past, event));
    page.iter().flat_map(events).collect()
}

/// A time as carriers write it: `2601310959`.
fn done_date(at: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(at).unwrap_or_default();
    at.strftime("%y%m%d%H%M").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_spread_evenly_in_order_and_their_ids_tell_their_time() {
        let now = Timestamp(20_000 * 86_400_000 + 43_200_000);
        let plan = Plan::new(700, 3, now);
        let page = plan.page(0..700);
        assert_eq!(page[0].at, 19_997 * 86_400_000);
        assert!(page.is_sorted_by(|one, next| one.seq < next.seq && one.at <= next.at));
        assert!(page[699].at <= now.0);
        for day in 19_997..=20_000 {
            let first = first_of_day(day).0..first_of_day(day + 1).0;
            let of_day = page.iter().filter(|past| first.contains(&past.seq));
            assert_eq!(of_day.count(), if day < 20_000 { 200 } else { 100 });
        }
        for past in &page {
            let (seconds, _) = past.id.get_timestamp().unwrap().to_unix();
            assert_eq!(seconds as i64, past.at / 1000);
        }
    }
}
