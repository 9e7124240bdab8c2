//! Lives here: unmatched receipts and the responses that they may belong to, read side by side: to
//! try them again when an account's rule for ids has been corrected, and to learn the rule.
//! Never here: SQL, the rules (`mnara_smpp::receipt::IdRule`, `domain::learn`), what a match comes
//! to (`engine`).

use std::collections::HashMap;
use std::time::Duration;

use super::StoreError;
use super::inbox::{Match, Replay};
use super::reads::{Reads, Response};
use super::rows::AttemptId;
use crate::domain::ids::{CarrierId, ReceiptKey};
use crate::domain::learn::{ReceiptId, ResponseId, Samples};
use crate::domain::receipt::Receipt;
use crate::domain::time::Timestamp;

/// How long before a receipt its message was accepted at most: a day of validity, a day of grace,
/// and one more.
const BACK: Duration = Duration::from_secs(3 * 86_400);

/// How long before a sample receipt its response came: most receipts come within minutes.
const BACK_TO_LEARN: Duration = Duration::from_secs(3600);

/// Attempts in one page.
const PAGE: u32 = 2000;

/// Responses read for each receipt of a sample, at most.
const RESPONSES_EACH: u32 = 10;

/// The inbox's receipts that now have an attempt, and how many have none.
pub(super) async fn matches<R: Reads>(
    reads: &R,
    replay: &Replay,
) -> Result<(Vec<Match>, u64), StoreError> {
    let receipts = reads
        .inbox_since(&replay.carrier, replay.since, replay.limit)
        .await?;
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
    let mut after = behind(reads, oldest - BACK).await?;
    loop {
        let page = reads.responses(&replay.carrier, after, PAGE).await?;
        let Some((last, _)) = page.last() else { break };
        after = last.id;
        for (response, _) in page {
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
pub(super) async fn samples<R: Reads>(
    reads: &R,
    carrier: &CarrierId,
    since: Timestamp,
    limit: u32,
) -> Result<Samples, StoreError> {
    let receipts = reads.inbox_since(carrier, since, limit).await?;
    let after = behind(reads, since - BACK_TO_LEARN).await?;
    let limit = limit.saturating_mul(RESPONSES_EACH);
    let responses = reads.responses(carrier, after, limit).await?;
    let receipt = |receipt: Receipt| ReceiptId {
        raw: receipt.raw_id,
        recipient: receipt.evidence.recipient,
    };
    let response = |(response, recipient): (Response, _)| ResponseId {
        raw: response.raw,
        recipient,
    };
    Ok(Samples {
        responses: responses.into_iter().map(response).collect(),
        receipts: receipts.into_iter().map(receipt).collect(),
    })
}

/// The place behind which the attempts of all messages stand that were accepted at this time or
/// later.
async fn behind<R: Reads>(reads: &R, at: Timestamp) -> Result<AttemptId, StoreError> {
    Ok((reads.before(at).await?, u8::MAX, 0))
}
