//! Lives here: the only wiring: parts built, channels made, tasks started, watched and ended.
//! Never here: behaviour of a part.

mod house;
mod reload;
mod storage;
pub mod token;

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use anyhow::Context;
use metrics_exporter_prometheus::PrometheusHandle;
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::house::House;
use self::reload::Reloader;
use crate::bulk::Bulk;
use crate::config::Config;
use crate::domain::ids::Place;
use crate::domain::time::Timestamp;
use crate::flow::bind::{BindHandle, BindStatus};
use crate::flow::routes::Reload;
use crate::flow::signs::Signs;
use crate::flow::{Committed, Return, Steer, StoreHealth};
use crate::ingest::Ingest;
use crate::scheduler::{feed, settle};
use crate::store::inbox::ReceiptNews;
use crate::telemetry::metrics;
use crate::{admin, api, carrier, flow, inbound, scheduler, store, webhooks};

/// Batches of committed messages that may wait for `feed`; full: the writer waits a moment.
const COMMITTED: usize = 64;
/// Batches of outcomes that may wait for `settle`; full: binds stop pulling.
const OUTCOMES: usize = 1024;
/// Receipts that may wait for `inbound`; full: binds send them back for redelivery.
const RECEIPTS: usize = 8192;
/// Returns that may wait for `feed`; full: `settle` waits a moment.
const RETURNS: usize = 4096;
/// Wishes to reload that may wait; full: who asks waits.
const RELOADS: usize = 4;
/// Orders to `feed` that may wait; full: the breakers nod again, an operator waits.
const STEERS: usize = 16;
/// How often the metrics recorder is tidied.
const UPKEEP: Duration = Duration::from_secs(5);

/// The wall clock.
pub fn now() -> Timestamp {
    SystemTime::now().into()
}

/// The process's metrics page; made at the first call (a process may run several daemons).
fn metrics_page() -> PrometheusHandle {
    static PAGE: OnceLock<PrometheusHandle> = OnceLock::new();
    PAGE.get_or_init(|| {
        let (recorder, handle) = metrics::recorder();
        // Somebody else's recorder would only mean that our page stays empty.
        let _ = ::metrics::set_global_recorder(recorder);
        metrics::describe();
        handle
    })
    .clone()
}

/// A running daemon.
pub struct Daemon {
    /// Where the API listens.
    pub api: SocketAddr,
    /// Where the admin listener is.
    pub admin: SocketAddr,
    /// What `ctl` needs for changes.
    pub token: SecretString,
    /// Every bind, as it describes itself.
    pub binds: Vec<watch::Receiver<BindStatus>>,
    reload: mpsc::Sender<Reload>,
    draining: watch::Sender<bool>,
    stops: Stops,
    tasks: Tasks,
    shutdown_timeout: Duration,
    beat: Arc<AtomicU64>,
    /// Whether the store may note that this run ended by itself.
    orderly: Arc<AtomicBool>,
    health: Arc<StoreHealth>,
}

/// One token for each phase of the end.
#[derive(Default)]
struct Stops {
    doors: CancellationToken,
    binds: CancellationToken,
    workers: CancellationToken,
    writer: CancellationToken,
    admin: CancellationToken,
}

/// Every task, by the phase in which it ends.
#[derive(Default)]
struct Tasks {
    doors: JoinSet<()>,
    binds: JoinSet<()>,
    settling: JoinSet<()>,
    workers: JoinSet<()>,
    writer: JoinSet<()>,
    admin: JoinSet<()>,
}

impl Daemon {
    /// Opens the listeners, then the store, then the binds; answers once all stand.
    ///
    /// # Errors
    /// What cannot be opened, with its name.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let page = metrics_page();
        let mut config = reload::with_ported(config).await?;
        metrics::routing::reloaded(true, SystemTime::now());
        // Before the store: a port that is taken must not cost the store a start.
        let api_listener = listen(config.api.listen, "api").await?;
        let admin_listener = listen(config.admin.listen, "admin").await?;
        let (api, admin) = (api_listener.local_addr()?, admin_listener.local_addr()?);
        let (committed_to, committed) = mpsc::channel(COMMITTED);
        let (events_to, events) = mpsc::channel(config.webhooks.queue);
        let opened = storage::open(&config, committed_to, events_to).await?;
        let token = token::of_daemon(&config.admin)?;

        let house = House::new(&mut config, opened.store.clone());
        let (reload, asked) = mpsc::channel(RELOADS);
        let stops = Stops::default();
        let mut tasks = Tasks::default();
        let orderly = tasks.write(opened.writer, &stops.writer);
        let (steer_to, steer) = mpsc::channel(STEERS);
        let streams = (committed, steer);
        let returns = tasks.schedule(&house, &config, streams, opened.last, &stops.workers);
        tasks.workers.spawn(webhooks::run(
            config.webhooks.clone(),
            house.store.clone(),
            events,
            stops.workers.clone(),
        ));
        tasks
            .workers
            .spawn(upkeep(page.clone(), stops.workers.clone()));
        tasks.workers.spawn(store::housekeeping::keep(
            config.retention,
            house.store.clone(),
            now,
            stops.workers.clone(),
        ));
        // Before the binds: what is paused must not be pulled from.
        let reloader = Reloader::new(&config, Arc::clone(&house.routes), steer_to.clone());
        let reloading = reloader.run(asked, stops.workers.clone());
        tasks.workers.spawn(reloading);
        let holds = house.holds(steer_to.clone()).await?;
        let back = (returns, opened.news);
        let (signs_to, signs) = flow::signs::channel();
        let binds = tasks.carry(&house, &config, back, signs_to, &stops.binds);
        let views: Vec<_> = binds.iter().map(|bind| bind.view.clone()).collect();
        let judging = scheduler::health::Inputs {
            signs,
            binds: views.clone(),
            steer: steer_to.clone(),
        };
        tasks.judge(&house, &config, judging, &stops.workers);
        let (draining, draining_seen) = watch::channel(false);
        let (ingest, bulk) = house.ways_in(&config);
        let hands = (holds, steer_to.clone(), bulk.clone());
        let parts = house.admin_parts(page, binds, hands, draining_seen, reload.clone());
        let admin_config = admin::Config {
            listen: admin,
            token: token.clone(),
        };
        tasks.admin.spawn(admin::serve(
            admin_listener,
            admin_config,
            parts,
            stops.admin.clone(),
        ));
        let shutdown_timeout = config.shutdown_timeout;
        let health = Arc::clone(house.store.health());
        tasks.expand(&bulk, &stops.doors);
        tasks.open_door(api_listener, config, &house, (ingest, bulk), &stops.doors);
        tracing::info!(%api, %admin, "listening");
        let beat = house.beat;
        Ok(Self {
            api,
            admin,
            token,
            binds: views,
            reload,
            draining,
            stops,
            tasks,
            shutdown_timeout,
            beat,
            orderly,
            health,
        })
    }

    /// Asks for the configuration to be read again; the log says what came of it.
    pub async fn reload(&self) {
        let (done, _) = oneshot::channel();
        // A daemon that is going down does not reload any more.
        let _ = self.reload.send(Reload { done }).await;
    }

    /// A number that rises while the scheduler's loop turns; for watchdogs.
    pub fn beat(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.beat)
    }

    /// Waits until a task ends that should not have: a fault of ours.
    pub async fn failed(&mut self) {
        tokio::select! {
            Some(_) = self.tasks.doors.join_next() => {}
            Some(_) = self.tasks.binds.join_next() => {}
            Some(_) = self.tasks.settling.join_next() => {}
            Some(_) = self.tasks.workers.join_next() => {}
            Some(_) = self.tasks.writer.join_next() => {}
            Some(_) = self.tasks.admin.join_next() => {}
        }
    }

    /// Ends in named phases, each logged, all within the deadline. After a fault (`failed`) the
    /// store is not told that the run ended well: the next start trusts nothing of it.
    ///
    /// # Errors
    /// When the deadline passes: what was not finished is found by the next start.
    pub async fn stop(self, failed: bool) -> anyhow::Result<()> {
        let Self {
            draining,
            stops,
            mut tasks,
            shutdown_timeout,
            orderly,
            health,
            ..
        } = self;
        let phases = async {
            phase("refusing");
            draining.send_replace(true);
            stops.doors.cancel();
            join(&mut tasks.doors).await;
            phase("draining");
            stops.binds.cancel();
            let flushing = async {
                let bound = join(&mut tasks.binds).await;
                phase("flushing");
                let settled = join(&mut tasks.settling).await;
                stops.workers.cancel();
                join(&mut tasks.workers).await;
                bound && settled
            };
            let mut flushing = pin!(flushing);
            let well = tokio::select! {
                well = &mut flushing => well && !failed,
                () = storage::given_up(&health) => {
                    // Everybody would wait for commits that do not come.
                    tracing::error!(
                        "the store cannot commit; what is under way is left to the next start"
                    );
                    orderly.store(false, Ordering::Relaxed);
                    stops.writer.cancel();
                    flushing.await;
                    false
                }
            };
            orderly.store(well, Ordering::Relaxed);
            stops.writer.cancel();
            join(&mut tasks.writer).await;
            stops.admin.cancel();
            join(&mut tasks.admin).await;
            phase("stopped");
        };
        tokio::time::timeout(shutdown_timeout, phases)
            .await
            .context("shutdown took too long; what was under way is found by the next start")
    }
}

impl Tasks {
    /// Runs the store's writer. On a thread of its own: each statement's answer wakes the writer
    /// from the database's thread, and on the shared runtime such a wake waits behind up to 61
    /// other tasks.
    fn write(&mut self, writer: store::Writer, stop: &CancellationToken) -> Arc<AtomicBool> {
        let (stop, orderly) = (stop.clone(), writer.orderly());
        self.writer
            .spawn_blocking(move || match storage::own_runtime() {
                Ok(runtime) => {
                    if let Err(error) = runtime.block_on(writer.run(stop)) {
                        tracing::error!(%error, "the store's writer has ended");
                    }
                }
                Err(error) => tracing::error!(%error, "the writer's thread cannot start"),
            });
        orderly
    }

    /// Starts what fills the lanes and what the clock asks for.
    fn schedule(
        &mut self,
        house: &House,
        config: &Config,
        (committed, steer): (mpsc::Receiver<Committed>, mpsc::Receiver<Steer>),
        before_start: Place,
        stop: &CancellationToken,
    ) -> mpsc::Sender<Return> {
        let (returns_to, returns) = mpsc::channel(RETURNS);
        let (refill, beat) = (Arc::clone(&house.refill), Arc::clone(&house.beat));
        let inputs = feed::Inputs {
            committed,
            returns,
            steer,
            refill,
            beat,
        };
        let (scheduler, store) = (config.scheduler.clone(), house.store.clone());
        self.workers.spawn(feed::run(
            scheduler.clone(),
            house.scheduler_links(),
            house.lanes(),
            before_start,
            inputs,
            stop.clone(),
        ));
        let carriers = Arc::clone(&house.carriers);
        self.workers.spawn(scheduler::keep(
            scheduler,
            store,
            carriers,
            house.lanes(),
            now,
            stop.clone(),
        ));
        returns_to
    }

    /// Starts the binds and those who take what binds bring. The senders live in the binds only:
    /// when the last bind has ended, `settle` and `inbound` finish what is left and end.
    fn carry(
        &mut self,
        house: &House,
        config: &Config,
        (returns, news): (mpsc::Sender<Return>, mpsc::Receiver<ReceiptNews>),
        signs: Signs,
        stop: &CancellationToken,
    ) -> Vec<BindHandle> {
        let (outcomes_to, outcomes) = mpsc::channel(OUTCOMES);
        let (receipts_to, receipts) = mpsc::channel(RECEIPTS);
        self.settling.spawn(settle::run(
            config.scheduler.clone(),
            house.scheduler_links(),
            outcomes,
            returns,
        ));
        self.settling.spawn(inbound::run(
            config.receipts,
            house.store.clone(),
            Arc::clone(&house.carriers),
            inbound::Inputs {
                receipts,
                news,
                signs: signs.clone(),
            },
            now,
        ));
        let links = carrier::Links {
            store: house.store.clone(),
            outcomes: outcomes_to,
            receipts: receipts_to,
            signs,
            now,
        };
        let binds = carrier::start(
            &mut self.binds,
            &config.carrier,
            &house.accounts,
            &links,
            stop,
        );
        let sandbox = (house.routes.sandbox(), Arc::clone(&house.sandbox));
        carrier::sandbox::start(&mut self.binds, sandbox, links, stop.clone());
        binds
    }

    /// Starts the judge of all accounts.
    fn judge(
        &mut self,
        house: &House,
        config: &Config,
        inputs: scheduler::health::Inputs,
        stop: &CancellationToken,
    ) {
        self.workers.spawn(scheduler::health::run(
            config.scheduler.breaker,
            house.named_lanes(),
            Arc::clone(&house.routes),
            inputs,
            now,
            stop.clone(),
        ));
    }

    /// Starts what makes messages of bulk jobs. It ends with the doors: what it makes is new.
    fn expand(&mut self, bulk: &Bulk, stop: &CancellationToken) {
        self.doors.spawn(bulk.runner().run(now, stop.clone()));
    }

    /// Opens the door: from here on messages are accepted.
    fn open_door(
        &mut self,
        listener: TcpListener,
        config: Config,
        house: &House,
        ways: (Arc<Ingest>, Bulk),
        stop: &CancellationToken,
    ) {
        let store = house.store.clone();
        let trials = Arc::clone(&house.trials);
        let serving = api::serve(listener, config.api, ways, store, trials, stop.clone());
        self.doors.spawn(serving);
    }
}

fn phase(name: &'static str) {
    tracing::info!(phase = name, "shutdown");
    // Nobody listens outside systemd.
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Status(name)]);
}

/// Waits for all tasks; says whether none failed.
async fn join(tasks: &mut JoinSet<()>) -> bool {
    let mut well = true;
    while let Some(done) = tasks.join_next().await {
        if let Err(error) = done {
            tracing::error!(%error, "a task failed");
            well = false;
        }
    }
    well
}

async fn listen(address: SocketAddr, name: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("{name}.listen {address} cannot be opened; is another daemon running?")
    })
}

async fn upkeep(page: PrometheusHandle, stop: CancellationToken) {
    let mut tick = tokio::time::interval(UPKEEP);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => page.run_upkeep(),
        }
    }
}
