//! Lives here: what is done for receipts that have found no message, by the clock: they are tried
//! as proofs, put into quarantine, counted, and if they are too many an alarm is raised.
//! Never here: the share's arithmetic (`share`), what proves what (`domain::proof`).

use super::Config;
use super::share::{Share, Standing};
use crate::domain::ids::{CarrierId, CarrierIndex};
use crate::domain::lifecycle::SegmentState;
use crate::domain::message::State;
use crate::domain::proof::{RIPE, ToldBy};
use crate::domain::time::Timestamp;
use crate::flow::ReceiptResult;
use crate::flow::signs::{Sign, Signs};
use crate::store::inbox::{Keeping, ReceiptNews};
use crate::store::{Carriers, Store, StoreError};
use crate::telemetry::metrics::receipts::{Receipts, Resolved};

/// The bounds of the inbox are kept every so many turns,
const KEEP_EVERY: u32 = 10;
/// and after so many parked receipts.
const KEEP_AFTER: u32 = 10_000;

const STATES: [&str; 6] = [
    "intermediate",
    "delivered",
    "undelivered",
    "rejected",
    "expired",
    "unknown",
];

const RESULTS: [&str; 7] = [
    "applied",
    "intermediate",
    "duplicate",
    "conflict",
    "parked",
    "unparked",
    "refused",
];
/// The place of what was parked and has found its message, whatever it came to there.
const UNPARKED: usize = 5;

/// Looks after receipts.
pub(super) struct Care {
    config: Config,
    store: Store,
    signs: Signs,
    ids: Vec<CarrierId>,
    meter: Receipts,
    resolved: Resolved,
    share: Share,
    /// Since when receipts were parked that have not been tried as proofs.
    untried: Option<Timestamp>,
    /// When the last one was.
    parked_at: Timestamp,
    parked: u32,
    turns: u32,
}

impl Care {
    /// Begins with what an earlier run has parked.
    pub(super) fn new(
        config: Config,
        store: Store,
        carriers: &Carriers,
        signs: Signs,
        now: Timestamp,
    ) -> Self {
        let names: Vec<&str> = carriers.ids().iter().map(|id| &*id.0).collect();
        Self {
            meter: Receipts::new(&names, &STATES, &RESULTS),
            resolved: Resolved::new(&names, ToldBy::ALL.map(ToldBy::name)),
            share: Share::new(names.len(), config.unmatched_alarm_percent),
            ids: carriers.ids().to_vec(),
            untried: Some(now - config.parked_ttl),
            parked_at: now,
            parked: 0,
            turns: 0,
            config,
            store,
            signs,
        }
    }

    /// A receipt has been committed, or the store will not have it: then its carrier is told so, and
    /// may send it again.
    pub(super) fn took(
        &mut self,
        carrier: CarrierIndex,
        state: Option<SegmentState>,
        at: Timestamp,
        result: ReceiptResult,
    ) {
        let parked = result == ReceiptResult::Parked;
        self.meter
            .committed(carrier.index(), place_of(state), result_of(result));
        if result == ReceiptResult::Refused {
            return;
        }
        self.share.count(carrier, at, parked);
        if parked {
            self.untried.get_or_insert(at);
            self.parked_at = self.parked_at.max(at);
            self.parked = self.parked.saturating_add(1);
        }
    }

    /// What commits have made of receipts.
    pub(super) fn tell(&mut self, news: ReceiptNews) {
        for (carrier, state, _) in &news.unparked {
            if let Some(place) = self.ids.iter().position(|id| id == carrier) {
                self.meter.committed(place, place_of(*state), UNPARKED);
            }
        }
        for carrier in news.proven {
            self.resolved
                .count(carrier.index(), ToldBy::Receipt.place());
        }
        let ended = news.ended.iter().filter_map(|ended| {
            let took = ended.took?;
            self.meter.took(ended.carrier.index(), took);
            Some(Sign::Receipt {
                carrier: ended.carrier,
                to: ended.to,
                class: ended.class,
                delivered: ended.state == State::Delivered,
                took,
            })
        });
        self.signs.tell(ended.collect());
    }

    /// One turn of the clock.
    pub(super) async fn turn(&mut self, now: Timestamp) -> Result<(), StoreError> {
        if !self.store.health().is_well() {
            return Ok(());
        }
        self.turns += 1;
        // What the store will not have of one does not keep the others from their turn.
        let proven = self.prove(now).await;
        let kept = if self.turns.is_multiple_of(KEEP_EVERY) || self.parked >= KEEP_AFTER {
            self.keep(now).await
        } else {
            Ok(())
        };
        proven.and(kept).and(self.judge(now).await)
    }

    /// Tries what has been parked for long enough. A receipt that comes before its attempt is put
    /// in doubt is looked for when that happens; here it is the other way round.
    async fn prove(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let Some(from) = self.untried.filter(|from| *from + RIPE <= now) else {
            return Ok(());
        };
        let proven = self.store.prove_receipts(from, now).await?;
        if proven > 0 {
            tracing::info!(
                attempts = proven,
                "attempts in doubt proven by their receipts"
            );
        }
        let rest = now - RIPE;
        self.untried = (self.parked_at >= rest).then_some(rest);
        Ok(())
    }

    async fn keep(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let config = &self.config;
        let keeping = Keeping {
            at: now,
            parked_ttl: config.parked_ttl,
            parked_max: config.parked_max,
            quarantine_ttl: config.quarantine_ttl,
            quarantine_max: config.quarantine_max,
        };
        self.parked = 0;
        let kept = self.store.keep_receipts(keeping).await?;
        self.meter.kept(kept.quarantined, kept.dropped);
        if kept.dropped > 0 {
            tracing::warn!(
                receipts = kept.dropped,
                "receipts without a message dropped from quarantine: too old or too many"
            );
        }
        Ok(())
    }

    /// Judges what is due: what of it is still in the inbox has found no message.
    async fn judge(&mut self, now: Timestamp) -> Result<(), StoreError> {
        while let Some(due) = self.share.due(now) {
            let unmatched = if due.parked {
                self.store.unmatched_receipts(due.from, due.until).await?
            } else {
                Vec::new()
            };
            let standings = self.share.judge(now, &unmatched);
            self.publish(&standings);
        }
        if self.turns.is_multiple_of(KEEP_EVERY) {
            let standings = self.share.stand(now);
            self.publish(&standings);
        }
        Ok(())
    }

    fn publish(&self, standings: &[Standing]) {
        for standing in standings {
            let place = standing.carrier.index();
            self.meter
                .standing(place, standing.unmatched, standing.ratio, standing.alarm);
            if standing.raised
                && let Some(carrier) = self.ids.get(place)
            {
                tracing::error!(
                    %carrier,
                    percent = (standing.ratio * 1000.0).round() / 10.0,
                    "receipts find no messages: run `mnara ctl carriers learn-ids` for the account, \
                     set response_ids and receipt_ids, then replay its receipts"
                );
            }
        }
    }
}

fn place_of(state: Option<SegmentState>) -> usize {
    match state {
        // Receipts bring final states only.
        None | Some(SegmentState::Submitted | SegmentState::Refused | SegmentState::InDoubt) => 0,
        Some(SegmentState::Delivered) => 1,
        Some(SegmentState::Undelivered) => 2,
        Some(SegmentState::Rejected) => 3,
        Some(SegmentState::Expired) => 4,
        Some(SegmentState::Unknown) => 5,
    }
}

const fn result_of(result: ReceiptResult) -> usize {
    match result {
        ReceiptResult::Applied => 0,
        ReceiptResult::Intermediate => 1,
        ReceiptResult::Duplicate => 2,
        ReceiptResult::Conflict => 3,
        ReceiptResult::Parked => 4,
        ReceiptResult::Refused => 6,
    }
}
