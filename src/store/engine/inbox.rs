//! Lives here: rare work on receipts without an attempt: keeping their number within bounds,
//! proofs by those that have ripened, replays and drops that people asked for.
//! Never here: which receipts a replay matches (`replay`).

use std::collections::HashSet;

use super::{Engine, receipts};
use crate::domain::proof::RIPE;
use crate::domain::receipt::Receipt;
use crate::flow::ReceiptResult;
use crate::store::StoreError;
use crate::store::batch::Effects;
use crate::store::inbox::{InboxDone, InboxWork, Match};
use crate::store::rows::{AttemptId, Rows};

impl<R: Rows> Engine<R> {
    /// Rare work on the inbox.
    pub(super) async fn inbox(
        &mut self,
        work: &InboxWork,
        effects: &mut Effects,
    ) -> Result<InboxDone, StoreError> {
        let mut done = InboxDone::default();
        match work {
            InboxWork::Keep(keeping) => {
                done.kept = self.rows.keep_inbox(keeping).await?;
                if done.kept.quarantined > 0 {
                    effects.left_parked = Some(self.rows.parked_keys().await?);
                }
            }
            InboxWork::Prove { from, now } => {
                let orphaned = self.rows.orphaned(*from, *now - RIPE).await?;
                let before = effects.proven.len();
                self.prove((HashSet::new(), orphaned), *now, effects)
                    .await?;
                done.count = (effects.proven.len() - before) as u64;
            }
            InboxWork::Replay { matches } => {
                let receipts = self.take(matches).await?;
                let correlated =
                    receipts::apply(&mut self.rows, &self.endpoints, &receipts, &[]).await?;
                let parked = |result: &&ReceiptResult| **result != ReceiptResult::Parked;
                done.count = correlated.results.iter().filter(parked).count() as u64;
                self.correlated(&receipts, receipts.len(), correlated, effects);
            }
            InboxWork::Discard { carrier, before } => {
                done.count = self.rows.discard(carrier, *before).await?;
            }
        }
        Ok(done)
    }

    /// Takes matched receipts out of the inbox (those that are still there) and gives their
    /// attempts the ids of now; returns the receipts, with theirs.
    async fn take(&mut self, matches: &[Match]) -> Result<Vec<Receipt>, StoreError> {
        let there = self.rows.take_matched(matches).await?;
        let taken = || {
            let each = matches.iter().zip(&there);
            each.filter(|(_, there)| **there).map(|(one, _)| one)
        };
        let rekeyed: Vec<(AttemptId, &Match)> = taken()
            .flat_map(|one| one.attempts.iter().map(move |id| (*id, one)))
            .collect();
        self.rows.rekey(&rekeyed).await?;
        let now = |one: &Match| Receipt {
            normalised: one.normalised.clone(),
            key: one.key,
            ..one.receipt.clone()
        };
        Ok(taken().map(now).collect())
    }
}
