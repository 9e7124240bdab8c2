//! Lives here: what the daemon's tasks share, and what each part is given of it.
//! Never here: tasks, channels, the order in which parts begin and end (`app`).

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use anyhow::Context;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::{Notify, mpsc, watch};

use super::now;
use crate::bulk::Bulk;
use crate::config::Config;
use crate::domain::ids::CarrierId;
use crate::flow::Steer;
use crate::flow::bind::BindHandle;
use crate::flow::health::Health;
use crate::flow::lane::Lanes;
use crate::flow::routes::{Reload, Routes};
use crate::ingest::Ingest;
use crate::scheduler::feed;
use crate::store::{Carriers, Store};
use crate::tokens::Tokens;
use crate::webhooks::Trials;
use crate::{admin, carrier};

/// What the tasks share.
pub(super) struct House {
    pub(super) store: Store,
    pub(super) carriers: Arc<Carriers>,
    pub(super) accounts: Vec<(carrier::AccountConfig, Arc<Lanes>)>,
    /// The lanes of test messages, behind those of all accounts.
    pub(super) sandbox: Arc<Lanes>,
    pub(super) refill: Arc<Notify>,
    pub(super) beat: Arc<AtomicU64>,
    pub(super) routes: Arc<Routes>,
    pub(super) tokens: Option<Arc<Tokens>>,
    pub(super) trials: Arc<Trials>,
}

impl House {
    pub(super) fn new(config: &mut Config, store: Store) -> Self {
        let refill = Arc::new(Notify::new());
        let accounts = config.accounts.iter();
        let accounts: Vec<_> = accounts
            .map(|account| (account.clone(), lanes(config, account, &refill)))
            .collect();
        let ids = accounts
            .iter()
            .map(|(account, _)| account.id.clone())
            .collect();
        let carriers = Arc::new(Carriers::new(ids));
        let scheduler = &config.scheduler;
        let lanes = accounts.iter().map(|(_, lanes)| Arc::clone(lanes));
        let health = Health::new(accounts.len(), scheduler.patience)
            .with_lanes(lanes.collect(), scheduler.breaker.probes);
        let health = Arc::new(health);
        let sandbox = carrier::sandbox::LANE;
        let sandbox = Lanes::new(sandbox, sandbox, 1, Arc::clone(&refill));
        Self {
            store,
            carriers,
            accounts,
            sandbox: Arc::new(sandbox),
            refill,
            beat: Arc::default(),
            routes: Arc::new(Routes::new(std::mem::take(&mut config.routes), health)),
            tokens: config.api.tokens.clone(),
            trials: Arc::new(Trials::new(&config.webhooks, config.api.request_timeout)),
        }
    }

    pub(super) fn scheduler_links(&self) -> feed::Links {
        feed::Links {
            store: self.store.clone(),
            routes: Arc::clone(&self.routes),
            carriers: Arc::clone(&self.carriers),
            now,
        }
    }

    /// All lanes, by the carriers' indexes.
    pub(super) fn lanes(&self) -> Vec<Arc<Lanes>> {
        let accounts = self.accounts.iter().map(|(_, lanes)| lanes);
        let all = accounts.chain([&self.sandbox]);
        all.cloned().collect()
    }

    pub(super) fn named_lanes(&self) -> Vec<(CarrierId, Arc<Lanes>)> {
        self.accounts
            .iter()
            .map(|(account, lanes)| (account.id.clone(), Arc::clone(lanes)))
            .collect()
    }

    /// What operators hold, put in force.
    pub(super) async fn holds(&self, steer: mpsc::Sender<Steer>) -> anyhow::Result<admin::Holds> {
        let health = Arc::clone(self.routes.health());
        let ids = self.carriers.configured().to_vec();
        admin::Holds::load(self.store.clone(), ids, health, steer)
            .await
            .context("the operators' holds cannot be read")
    }

    pub(super) fn admin_parts(
        &self,
        metrics: PrometheusHandle,
        binds: Vec<BindHandle>,
        (holds, steer, bulk): (admin::Holds, mpsc::Sender<Steer>, Bulk),
        draining: watch::Receiver<bool>,
        reload: mpsc::Sender<Reload>,
    ) -> admin::Parts {
        admin::Parts {
            store: self.store.clone(),
            trials: Arc::clone(&self.trials),
            metrics,
            binds,
            lanes: self.named_lanes(),
            dialects: self
                .accounts
                .iter()
                .map(|(account, _)| account.profile.ids)
                .collect(),
            health: Arc::clone(self.routes.health()),
            steer,
            holds,
            draining,
            routes: Arc::clone(&self.routes),
            reload,
            tokens: self.tokens.clone(),
            bulk,
        }
    }

    /// The ways in for doors: one by one, and many at once.
    pub(super) fn ways_in(&self, config: &Config) -> (Arc<Ingest>, Bulk) {
        let (config, store) = (config.ingest.clone(), self.store.clone());
        let routes = Arc::clone(&self.routes);
        let ingest = Arc::new(Ingest::new(config, store.clone(), routes));
        (Arc::clone(&ingest), Bulk::new(ingest, store))
    }
}

fn lanes(config: &Config, account: &carrier::AccountConfig, refill: &Arc<Notify>) -> Arc<Lanes> {
    let scheduler = &config.scheduler;
    let windows: usize = account
        .binds
        .iter()
        .map(|bind| bind.window * bind.count as usize)
        .sum();
    let binds = carrier::bind_count(account);
    let returned = windows.max(64);
    Arc::new(Lanes::new(
        scheduler.lane(account.max_tps),
        returned,
        binds,
        Arc::clone(refill),
    ))
}
