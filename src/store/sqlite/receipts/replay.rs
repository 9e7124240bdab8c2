//! Lives here: unmatched receipts and the responses that they may belong to, read side by side: to
//! try them again when an account's rule for ids has been corrected, and to learn the rule.
//! Never here: the rules (`mnara_smpp::receipt::IdRule`, `domain::learn`).

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqlitePool};

use super::{AttemptId, inbox};
use crate::domain::ids::{CarrierId, MessageSeq, ReceiptKey};
use crate::domain::learn::{ReceiptId, ResponseId, Samples};
use crate::domain::phone::Msisdn;
use crate::domain::receipt::Receipt;
use crate::domain::time::Timestamp;
use crate::flow::ReceiptResult;
use crate::store::StoreError;
use crate::store::batch::Effects;
use crate::store::inbox::{InboxDone, InboxWork, Match, Replay};
use crate::store::sqlite::Sqlite;
use crate::store::sqlite::accept::carrier_text;
use crate::store::sqlite::bulk::Bulk;
use crate::store::sqlite::receipts::proof::Recipient;

/// How long before a receipt its message was accepted at most: a day of validity, a day of grace,
/// and one more.
const BACK: Duration = Duration::from_secs(3 * 86_400);

/// How long before a sample receipt its response came: most receipts come within minutes.
const BACK_TO_LEARN: Duration = Duration::from_secs(3600);

/// Attempts in one page.
const PAGE: u32 = 2000;

/// Responses read for each receipt of a sample, at most.
const RESPONSES_EACH: u32 = 10;

/// An attempt that has an id and no final receipt.
struct Response {
    id: AttemptId,
    raw: Box<str>,
}

/// A place before all messages accepted at this time or later. Their ids are in the order of
/// time; a scheduled message's seq is newer than its id, hence the least of several.
async fn before(pool: &SqlitePool, at: Timestamp) -> sqlx::Result<i64> {
    let first = u128::from(at.0.max(0).unsigned_abs()) << 80;
    let row = sqlx::query(
        "select min(seq) from (select seq from messages where id >= ? order by id limit 64)",
    )
    .bind(first.to_be_bytes().to_vec())
    .fetch_one(pool)
    .await?;
    Ok(row
        .try_get::<Option<i64>, _>(0)?
        .map_or(i64::MAX, |seq| seq - 1))
}

/// The next page of an account's attempts without a final receipt.
async fn responses(
    pool: &SqlitePool,
    carrier: &CarrierId,
    after: AttemptId,
) -> Result<Vec<Response>, StoreError> {
    let rows = sqlx::query(
        "select message, part, attempt, carrier_message_id from attempts \
         where (message, part, attempt) > (?, ?, ?) and carrier = ? and state = 0 \
         and carrier_message_id is not null order by message, part, attempt limit ?",
    )
    .bind(after.0.0)
    .bind(i64::from(after.1))
    .bind(i64::from(after.2))
    .bind(carrier_text(carrier))
    .bind(PAGE)
    .fetch_all(pool)
    .await?;
    let response = |row: &sqlx::sqlite::SqliteRow| {
        Ok(Response {
            id: (
                MessageSeq(row.try_get(0)?),
                row.try_get(1)?,
                row.try_get(2)?,
            ),
            raw: row.try_get::<&str, _>(3)?.into(),
        })
    };
    rows.iter().map(response).collect()
}

/// The inbox's receipts that now have an attempt, and how many have none.
pub(in crate::store::sqlite) async fn matches(
    pool: &SqlitePool,
    replay: &Replay,
) -> Result<(Vec<Match>, u64), StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "select {} from receipt_inbox where carrier = ? and received_at >= ? \
         order by received_at limit ?",
        inbox::COLUMNS
    ));
    let rows = sqlx::query(sql)
        .bind(carrier_text(&replay.carrier))
        .bind(replay.since.0)
        .bind(replay.limit)
        .fetch_all(pool)
        .await?;
    let receipts = rows
        .iter()
        .map(inbox::receipt)
        .collect::<Result<Vec<Receipt>, _>>()?;
    let Some(oldest) = receipts.iter().map(|receipt| receipt.received_at).min() else {
        return Ok((Vec::new(), 0));
    };
    let mut found: HashMap<Box<str>, Vec<AttemptId>> = receipts
        .iter()
        .map(|receipt| {
            let key = replay.ids.receipt_key(&receipt.raw_id);
            ((*key).into(), Vec::new())
        })
        .collect();
    let mut after: AttemptId = (MessageSeq(before(pool, oldest - BACK).await?), u8::MAX, 0);
    loop {
        let page = responses(pool, &replay.carrier, after).await?;
        let Some(last) = page.last() else { break };
        after = last.id;
        for response in page {
            let key = replay.ids.response_key(&response.raw);
            if let Some(attempts) = found.get_mut(&*key) {
                // The newest message that has the id, all its segments that do.
                attempts.retain(|other| other.0 == response.id.0);
                attempts.push(response.id);
            }
        }
    }
    let mut matches = Vec::new();
    let mut unmatched = 0;
    for receipt in receipts {
        let normalised: Box<str> = (*replay.ids.receipt_key(&receipt.raw_id)).into();
        let attempts = found.get(&normalised).cloned().unwrap_or_default();
        if attempts.is_empty() {
            unmatched += 1;
            continue;
        }
        matches.push(Match {
            key: ReceiptKey::new(&receipt.carrier, &normalised),
            receipt,
            normalised,
            attempts,
        });
    }
    Ok((matches, unmatched))
}

/// Ids to learn an account's rules from.
pub(in crate::store::sqlite) async fn samples(
    pool: &SqlitePool,
    carrier: &CarrierId,
    since: Timestamp,
    limit: u32,
) -> Result<Samples, StoreError> {
    let receipts = sqlx::query(
        "select raw_id, recipient from receipt_inbox where carrier = ? and received_at >= ? \
         order by received_at limit ?",
    )
    .bind(carrier_text(carrier))
    .bind(since.0)
    .bind(limit)
    .fetch_all(pool)
    .await?;
    let responses = sqlx::query(
        "select a.carrier_message_id, m.recipient from attempts a join messages m \
         on m.seq = a.message where a.message > ? and a.carrier = ? and a.state = 0 \
         and a.carrier_message_id is not null order by a.message limit ?",
    )
    .bind(before(pool, since - BACK_TO_LEARN).await?)
    .bind(carrier_text(carrier))
    .bind(limit.saturating_mul(RESPONSES_EACH))
    .fetch_all(pool)
    .await?;
    let mut samples = Samples::default();
    for row in &receipts {
        let recipient: Option<&str> = row.try_get(1)?;
        samples.receipts.push(ReceiptId {
            raw: row.try_get::<&str, _>(0)?.into(),
            recipient: recipient.and_then(|to| Msisdn::from_digits(to).ok()),
        });
    }
    for row in &responses {
        let recipient = Msisdn::from_digits(row.try_get(1)?).map_err(|_| StoreError::Corrupt {
            what: "messages.recipient",
        })?;
        samples.responses.push(ResponseId {
            raw: row.try_get::<&str, _>(0)?.into(),
            recipient,
        });
    }
    Ok(samples)
}

static TAKE: Bulk = Bulk::new(
    "delete from receipt_inbox where (carrier, normalised, stat, done_date) in (values",
    "(?,?,?,?)",
    ") returning normalised, stat, done_date",
);

static REKEY: Bulk = Bulk::new(
    "with v (message, part, attempt, normalised, receipt_key) as (values",
    "(?,?,?,?,?)",
    ") update attempts set normalised = v.normalised, receipt_key = v.receipt_key \
     from v where attempts.message = v.message and attempts.part = v.part \
     and attempts.attempt = v.attempt and attempts.state = 0",
);

/// Takes matched receipts out of the inbox (those that are still there) and gives their attempts
/// the ids of now; returns the receipts, with theirs.
async fn take(conn: &mut SqliteConnection, matches: &[Match]) -> Result<Vec<Receipt>, StoreError> {
    let rows = TAKE
        .fetch(conn, matches, |query, one| {
            query
                .bind(carrier_text(&one.receipt.carrier))
                .bind(&*one.receipt.normalised)
                .bind(&*one.receipt.stat)
                .bind(&*one.receipt.done_date)
        })
        .await?;
    let mut there: HashSet<(&str, &str, &str)> = HashSet::with_capacity(rows.len());
    for row in &rows {
        there.insert((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
    }
    let is_there = |one: &&Match| {
        let receipt = &one.receipt;
        there.contains(&(&*receipt.normalised, &*receipt.stat, &*receipt.done_date))
    };
    let taken: Vec<&Match> = matches.iter().filter(is_there).collect();
    let rekeyed: Vec<(AttemptId, &Match)> = taken
        .iter()
        .flat_map(|one| one.attempts.iter().map(move |id| (*id, *one)))
        .collect();
    REKEY
        .execute(conn, &rekeyed, |query, ((message, part, attempt), one)| {
            query
                .bind(message.0)
                .bind(i64::from(*part))
                .bind(i64::from(*attempt))
                .bind(&*one.normalised)
                .bind(one.key.0)
        })
        .await?;
    let now = |one: &Match| Receipt {
        normalised: one.normalised.clone(),
        key: one.key,
        ..one.receipt.clone()
    };
    Ok(taken.into_iter().map(now).collect())
}

impl Sqlite {
    /// Rare work on the inbox.
    pub(in crate::store::sqlite) async fn inbox(
        &mut self,
        work: &InboxWork,
        effects: &mut Effects,
    ) -> Result<InboxDone, StoreError> {
        let mut done = InboxDone::default();
        match work {
            InboxWork::Keep(keeping) => {
                done.kept = inbox::keep(&mut self.conn, keeping).await?;
                if done.kept.quarantined > 0 {
                    self.parked = inbox::parked_keys(&mut self.conn).await?;
                }
            }
            InboxWork::Prove { from, now } => {
                let orphaned = self.ripe(*from, *now).await?;
                let before = effects.proven.len();
                self.prove((HashSet::new(), orphaned), *now, effects)
                    .await?;
                done.count = (effects.proven.len() - before) as u64;
            }
            InboxWork::Replay { matches } => {
                let receipts = take(&mut self.conn, matches).await?;
                let correlated =
                    super::apply(&mut self.conn, &self.carriers, &receipts, &[]).await?;
                let parked = |result: &&ReceiptResult| **result != ReceiptResult::Parked;
                done.count = correlated.results.iter().filter(parked).count() as u64;
                self.correlated(&receipts, receipts.len(), correlated, effects);
            }
            InboxWork::Discard { carrier, before } => {
                done.count = inbox::discard(&mut self.conn, carrier, *before).await?;
            }
        }
        Ok(done)
    }

    /// Where receipts wait that came since `from` and are old enough to be looked at.
    async fn ripe(
        &mut self,
        from: Timestamp,
        now: Timestamp,
    ) -> Result<HashSet<Recipient>, StoreError> {
        let rows = sqlx::query(
            "select distinct carrier, recipient from receipt_inbox where quarantined_at is null \
             and received_at >= ? and received_at <= ? and recipient is not null",
        )
        .bind(from.0)
        .bind((now - crate::domain::proof::RIPE).0)
        .fetch_all(&mut self.conn)
        .await?;
        let mut recipients = HashSet::with_capacity(rows.len());
        for row in &rows {
            if let Ok(to) = Msisdn::from_digits(row.try_get(1)?) {
                recipients.insert((CarrierId(row.try_get::<&str, _>(0)?.into()), to));
            }
        }
        Ok(recipients)
    }
}
