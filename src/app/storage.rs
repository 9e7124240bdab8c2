//! Lives here: the store as the daemon's start and end meet it: opened, waited for, given up, and
//! what its writer runs on.
//! Never here: what the store does.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::config::Config;
use crate::domain::ids::CarrierId;
use crate::domain::sandbox;
use crate::flow::{Committed, EventJob, StoreHealth};
use crate::store::{self, StoreError};
use crate::telemetry::metrics;

/// How long a database server that cannot be reached is waited for at start. Longer than the unit's
/// limit of starts divided by their number, so that systemd goes on starting us.
const STORE_WAIT: Duration = Duration::from_secs(60);
/// Between two such tries.
const STORE_POLL: Duration = Duration::from_secs(1);
/// At shutdown: how often it is looked whether commits work, and for how many looks in a row they
/// must not before they are given up: five seconds, in which a server may be started again.
const STORE_LOOK: Duration = Duration::from_millis(250);
const STORE_LOOKS: u32 = 20;

/// Opens the store and says what was found.
pub(super) async fn open(
    config: &Config,
    committed: mpsc::Sender<Committed>,
    events: mpsc::Sender<EventJob>,
) -> anyhow::Result<store::Opened> {
    let begun = Instant::now();
    let ids = config
        .accounts
        .iter()
        .map(|account| account.id.clone())
        .collect();
    let opened = once_there(&config.store, ids, committed, events).await?;
    let took = begun.elapsed();
    metrics::recovered(took, opened.uncertain);
    tracing::info!(uncertain = opened.uncertain, ?took, "store opened");
    for row in opened.store.queue().await? {
        if !config
            .accounts
            .iter()
            .any(|account| *account.id.0 == *row.carrier)
            && *row.carrier != *sandbox::ACCOUNT
        {
            tracing::warn!(carrier = %row.carrier, messages = row.messages,
                "messages wait for an account that is configured no more; they will expire");
        }
    }
    Ok(opened)
}

/// Opens the store; waits for a server that cannot be reached yet, for it may be starting as we do.
async fn once_there(
    config: &store::Config,
    ids: Vec<CarrierId>,
    committed: mpsc::Sender<Committed>,
    events: mpsc::Sender<EventJob>,
) -> Result<store::Opened, StoreError> {
    let begun = Instant::now();
    let mut told = false;
    loop {
        match store::open(config, ids.clone(), committed.clone(), events.clone()).await {
            Err(error) if error.is_away() && begun.elapsed() < STORE_WAIT => {
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!(%error, "the database is not there; waiting for it for a minute");
                }
                tokio::time::sleep(STORE_POLL).await;
            }
            done => return done,
        }
    }
}

/// Waits until commits have not worked for a while.
pub(super) async fn given_up(health: &StoreHealth) {
    let mut sick = 0;
    while sick < STORE_LOOKS {
        tokio::time::sleep(STORE_LOOK).await;
        sick = if health.is_well() { 0 } else { sick + 1 };
    }
}

/// A runtime of one thread for the writer.
pub(super) fn own_runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}
