//! Lives here: what happens by the clock alone: scheduled messages come due, overdue ones end,
//! events nobody takes are given up, old answers dropped, gauges are set.
//! Never here: deciding about single messages.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Config;
use super::settle::lane_meters;
use crate::domain::class::Class;
use crate::domain::time::Timestamp;
use crate::flow::lane::Lanes;
use crate::store::housekeeping::EVENTS_KEPT;
use crate::store::{Carriers, Store, StoreError, memo};

const TICK: Duration = Duration::from_secs(1);
/// Rows of one round, so that a round stays short; more follow at once.
const ROUND: u32 = 500;
/// A queued message is ended by the clock only when no bind can be about to take it,
const QUEUED_MARGIN: Duration = Duration::from_secs(30);
/// and when the answer to what was sent last has been awaited and, so long after, settled.
const ANSWERED_MARGIN: Duration = Duration::from_secs(10);
/// Old events and answers are looked for every so many ticks.
const SELDOM: u64 = 60;
/// When keys were used is written every so many ticks.
const USES_EVERY: u64 = 5;

/// Keeps time until `stop`. `now` reads the wall clock.
pub async fn keep(
    config: Config,
    store: Store,
    carriers: Arc<Carriers>,
    accounts: Vec<Arc<Lanes>>,
    now: impl Fn() -> Timestamp,
    stop: CancellationToken,
) {
    let meters = lane_meters(&carriers);
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for round in 0u64.. {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        for (lanes, meters) in accounts.iter().zip(&meters) {
            for class in Class::ALL {
                meters[class.index()].depth(lanes.depth(class), lanes.is_spilled(class));
            }
        }
        if !store.health().is_well() {
            continue;
        }
        let each_minute = round.is_multiple_of(SELDOM);
        // What the store will not have of one (its log says why) does not keep the others from their
        // turn. It is closed only at shutdown, which ends this task by itself.
        let turns = [
            release(&store, &now).await,
            end(&config, &store, &now).await,
            if each_minute {
                give_up(&store, &now).await
            } else {
                Ok(())
            },
            if each_minute {
                forget(&store, &now).await
            } else {
                Ok(())
            },
            if round.is_multiple_of(USES_EVERY) {
                store.write_uses().await
            } else {
                Ok(())
            },
        ];
        if turns
            .iter()
            .any(|turn| matches!(turn, Err(StoreError::Closed)))
        {
            return;
        }
    }
}

async fn release(store: &Store, now: &impl Fn() -> Timestamp) -> Result<(), StoreError> {
    while store.release_due(now(), ROUND).await? >= u64::from(ROUND) {}
    Ok(())
}

async fn end(
    config: &Config,
    store: &Store,
    now: &impl Fn() -> Timestamp,
) -> Result<(), StoreError> {
    loop {
        let at = now();
        let ended = store
            .end_overdue(at - margin(config.answer_max), at - config.grace, at, ROUND)
            .await?;
        if ended < u64::from(ROUND) {
            return Ok(());
        }
    }
}

async fn give_up(store: &Store, now: &impl Fn() -> Timestamp) -> Result<(), StoreError> {
    let before = now() - EVENTS_KEPT;
    let mut events = 0;
    loop {
        let given_up = store.give_up_events(before, ROUND).await?;
        events += given_up;
        if given_up < u64::from(ROUND) {
            break;
        }
    }
    if events > 0 {
        tracing::warn!(events, "webhook events given up: not taken for five days");
    }
    Ok(())
}

/// Drops answers that are kept for nobody any more.
async fn forget(store: &Store, now: &impl Fn() -> Timestamp) -> Result<(), StoreError> {
    let before = now() - memo::KEPT;
    while store.drop_answers(before, ROUND).await? >= u64::from(ROUND) {}
    Ok(())
}

/// How long after its validity a queued message is ended: it may be in flight until then, and in
/// doubt is not failed.
fn margin(answer_max: Duration) -> Duration {
    QUEUED_MARGIN.max(answer_max + ANSWERED_MARGIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_in_flight_is_not_ended() {
        let seconds = |answer_max| margin(Duration::from_secs(answer_max)).as_secs();
        assert_eq!([1, 30, 120].map(seconds), [30, 40, 130]);
    }
}
