//! Lives here: the profiles: daemon, simulators and generator started together, run, drained and compared.
//! Never here: a command line, or printing of results.
//!
//! Everything but the daemon runs in this process: simulators and webhook listener on the caller's runtime, the REST
//! generator on a thread of its own.

mod bench;
mod daemon;
mod files;
mod proc;
mod report;

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use thiserror::Error;
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
    task::JoinHandle,
    time::interval,
};

use crate::{
    http::{self, HttpConfig, HttpReport, Pace, RequestShape},
    ledger::{Ledger, Notified},
    networks::{NETWORKS, Network},
    smsc::{Receipts, Script, Span},
};

use self::bench::{BINDS_MAX, Bench, Reading, arrived};
pub use daemon::{Daemon, DaemonError, Key, Org, free_port, locate};
pub use files::{CREDENTIALS, Layout, config_text};
pub use report::{Gathered, Report, counts_since};

/// Markers kept ready per second of a run that is limited by time and not by messages.
const MARKERS_PER_S: u64 = 100_000;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// REST singles through the durable store to the simulators, no receipts.
    Singles,
    /// The same with receipts and signed webhooks.
    SinglesFull,
}

/// How a profile is run. `None` takes the profile's default.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Keep-alive connections of the generator; 128.
    pub connections: Option<usize>,
    /// Messages; 200,000 for singles, 60,000 for singles-full.
    pub messages: Option<u64>,
    /// Stop sending after this time.
    pub time_limit: Option<Duration>,
    /// Requests per second of an open loop; otherwise the loop is closed.
    pub rate: Option<f64>,
    /// Simulated networks, 1 to 8; 8.
    pub networks: Option<usize>,
    /// Binds per network; 1.
    pub binds: Option<usize>,
    /// Window of each bind; 200.
    pub window: Option<usize>,
    /// Messages of the warm-up; 4,000.
    pub warm_up: Option<u64>,
    /// The daemon's executable.
    pub daemon: Option<PathBuf>,
    /// Folder for configuration, database and log; a temporary one is removed at the end.
    pub folder: Option<PathBuf>,
}

/// Why a profile has no result.
#[derive(Debug, Error)]
pub enum ProfileError {
    /// The daemon cannot be built, started or asked.
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    /// Files, sockets or processes.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The daemon is ready and has not bound to all simulators.
    #[error("{up} of {wanted} binds are up after {BINDS_MAX:?}")]
    Binds {
        /// Binds open.
        up: u64,
        /// Binds configured.
        wanted: u64,
    },
    /// The warm-up did not come through, so that a measurement would mean nothing.
    #[error("the warm-up failed: {0}")]
    WarmUp(String),
    /// Ctrl-C or SIGTERM.
    #[error("interrupted")]
    Interrupted,
}

impl Profile {
    /// All profiles.
    pub const ALL: [Self; 2] = [Self::Singles, Self::SinglesFull];

    /// The profile of this name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }

    /// The name on the command line and in the result.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Singles => "singles",
            Self::SinglesFull => "singles-full",
        }
    }

    const fn messages(self) -> u64 {
        match self {
            Self::Singles => 200_000,
            Self::SinglesFull => 60_000,
        }
    }

    /// Receipts and webhooks are part of it.
    const fn full(self) -> bool {
        matches!(self, Self::SinglesFull)
    }
}

/// Runs a profile to its end; `progress` gets a line now and then. The daemon is stopped on every way out.
///
/// # Errors
/// [`ProfileError`] when there is nothing to report. Lost or doubled messages are no error, but a report that is not
/// `ok`.
pub async fn run(
    profile: Profile,
    options: &Options,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<Report, ProfileError> {
    progress("building the daemon (release) if need be");
    let binary = locate(options.daemon.as_deref()).await?;
    let temporary = tempfile::tempdir()?;
    // Absolute, because the daemon runs with the folder as its working directory.
    let folder = std::path::absolute(options.folder.as_deref().unwrap_or(temporary.path()))?;
    std::fs::create_dir_all(&folder)?;
    let plan = Plan::new(profile, options);
    let bench = Bench::start(&plan).await?;
    let (api, admin) = (free_port()?, free_port()?);
    let layout = Layout {
        api,
        admin,
        carriers: plan
            .networks
            .iter()
            .map(|network| network.id.to_owned())
            .zip(bench.addrs())
            .collect(),
        binds: plan.binds,
        window: plan.window,
    };
    let mut daemon = Daemon::start(&binary, &folder, &config_text(&layout, &folder))?;
    progress(&format!(
        "daemon {} with {} networks",
        daemon.pid(),
        plan.networks.len()
    ));
    let result = tokio::select! {
        result = measure(&plan, &bench, &mut daemon, &layout, progress) => result,
        stopped = interrupted() => stopped.and(Err(ProfileError::Interrupted)),
    };
    let stopped_cleanly = daemon.stop().await?;
    bench.shutdown().await;
    let mut report = result?;
    report.stopped_cleanly = stopped_cleanly;
    Ok(report)
}

/// Waits for Ctrl-C or SIGTERM: either must stop the daemon too.
async fn interrupted() -> Result<(), ProfileError> {
    let mut terminate = signal(SignalKind::terminate())?;
    // Both signals stay registered; a dropped branch loses nothing that matters any more.
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed?,
        _ = terminate.recv() => {}
    }
    Ok(())
}

/// A profile with all its numbers.
struct Plan {
    profile: Profile,
    networks: Vec<Network>,
    connections: usize,
    messages: u64,
    warm_up: u64,
    time_limit: Option<Duration>,
    pace: Pace,
    binds: usize,
    window: usize,
}

impl Plan {
    fn new(profile: Profile, options: &Options) -> Self {
        let by_time = options
            .time_limit
            .map(|limit| (limit.as_secs() + 1) * MARKERS_PER_S);
        Self {
            profile,
            networks: NETWORKS[..options
                .networks
                .unwrap_or(NETWORKS.len())
                .clamp(1, NETWORKS.len())]
                .to_vec(),
            connections: options.connections.unwrap_or(128).max(1),
            messages: options
                .messages
                .or(by_time)
                .unwrap_or(profile.messages())
                .max(1),
            warm_up: options.warm_up.unwrap_or(4_000),
            time_limit: options.time_limit,
            pace: options
                .rate
                .map_or(Pace::Closed, |per_second| Pace::Open { per_second }),
            binds: options.binds.unwrap_or(1).max(1),
            window: options.window.unwrap_or(200).max(1),
        }
    }

    fn script(&self) -> Script {
        if self.profile.full() {
            let receipts = Receipts {
                delay_ms: Span::fixed(20),
                ..Receipts::default()
            };
            Script {
                receipts,
                ..Script::default()
            }
        } else {
            Script::without_receipts()
        }
    }
}

async fn measure(
    plan: &Plan,
    bench: &Bench,
    daemon: &mut Daemon,
    layout: &Layout,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<Report, ProfileError> {
    daemon.ready(layout.admin).await?;
    bench
        .binds_up(u64::try_from(plan.binds * plan.networks.len()).unwrap_or(u64::MAX))
        .await?;
    let org = daemon.create_org("load", "TZ").await?;
    let key = daemon.create_key(&org.id).await?;
    bench.hook.set_secret(&org.webhook_secret);
    let full = plan.profile.full();
    let base = HttpConfig {
        addr: layout.api,
        shape: RequestShape {
            host: layout.api.to_string(),
            path: "/v1/sms/send".to_owned(),
            key: key.key,
            sender: "MNARA".to_owned(),
            text: "Karibu Mnara, ujumbe huu ni wa majaribio ya kasi.".to_owned(),
            class: None,
            webhook_url: full.then(|| bench.hook.url()),
        },
        networks: plan.networks.clone(),
        connections: plan.connections,
        pace: plan.pace,
        first_marker: plan.warm_up,
        messages: plan.messages,
        time_limit: plan.time_limit,
    };
    warm_up(plan, bench, daemon, &base, progress).await?;
    progress(&format!(
        "measuring {} messages on {} connections",
        plan.messages, plan.connections
    ));
    let before = bench.reading();
    let meter = Meter::start(daemon.pid());
    let (http, mut rss) = load(base, bench, daemon, progress).await?;
    bench.drain(full, http.accepted, &before, daemon).await?;
    rss = rss.max(proc::rss_kib(daemon.pid()));
    let (daemon_cpu_s, generator_cpu_s) = meter.seconds();
    bench.quiet().await;
    Ok(conclude(
        plan,
        bench,
        &http,
        &before,
        &Used {
            daemon_cpu_s,
            generator_cpu_s,
            rss,
        },
    ))
}

async fn warm_up(
    plan: &Plan,
    bench: &Bench,
    daemon: &mut Daemon,
    base: &HttpConfig,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<(), ProfileError> {
    if plan.warm_up == 0 {
        return Ok(());
    }
    progress(&format!("warming up with {} messages", plan.warm_up));
    let config = HttpConfig {
        first_marker: 0,
        messages: plan.warm_up,
        pace: Pace::Closed,
        time_limit: None,
        ..base.clone()
    };
    let report = generate(config, Arc::clone(&bench.ledger))
        .await
        .map_err(io::Error::other)??;
    if report.accepted < plan.warm_up {
        let error = report
            .first_error
            .unwrap_or_else(|| format!("answers by status: {:?}", report.statuses));
        return Err(ProfileError::WarmUp(format!(
            "{} of {} accepted; {error}",
            report.accepted, plan.warm_up
        )));
    }
    bench
        .drain(
            plan.profile.full(),
            report.accepted,
            &Reading::default(),
            daemon,
        )
        .await?;
    let through = arrived(plan.profile.full(), &bench.reading(), &Reading::default());
    if through < report.accepted {
        let reading = bench.reading();
        return Err(ProfileError::WarmUp(format!(
            "of {} accepted, {} were submitted, {} receipts acknowledged, {} sent and {} delivered webhooks came",
            report.accepted,
            reading.totals.submitted,
            reading.totals.receipted,
            reading.hook.sent,
            reading.hook.delivered
        )));
    }
    Ok(())
}

/// Runs the generator, tells how it goes and watches the daemon's memory.
async fn load(
    config: HttpConfig,
    bench: &Bench,
    daemon: &mut Daemon,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<(HttpReport, Option<u64>), ProfileError> {
    let mut running = generate(config, Arc::clone(&bench.ledger));
    let mut ticks = interval(Duration::from_millis(500));
    let mut rss = None;
    let mut last = bench.reading();
    loop {
        // A join handle and an interval keep their state when dropped halfway.
        tokio::select! {
            done = &mut running => return Ok((done.map_err(io::Error::other)??, rss)),
            _ = ticks.tick() => {
                rss = rss.max(proc::rss_kib(daemon.pid()));
                let now = bench.reading();
                progress(&format!(
                    "{} submitted ({}/s), {} receipts, {} webhooks",
                    now.totals.submitted,
                    (now.totals.submitted - last.totals.submitted) * 2,
                    now.totals.receipted,
                    now.hook.requests,
                ));
                last = now;
                daemon.alive()?;
            }
        }
    }
}

/// The generator on a thread and runtime of its own, so that its wake-ups never cross threads.
fn generate(config: HttpConfig, ledger: Arc<Ledger>) -> JoinHandle<io::Result<HttpReport>> {
    tokio::task::spawn_blocking(move || {
        Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(http::run(&config, ledger))
    })
}

/// CPU time from a moment on.
struct Meter {
    pid: u32,
    ticks_per_s: u64,
    daemon: Option<u64>,
    own: Option<u64>,
}

impl Meter {
    fn start(pid: u32) -> Self {
        let own = proc::cpu_ticks(std::process::id());
        Self {
            pid,
            ticks_per_s: proc::ticks_per_s(),
            daemon: proc::cpu_ticks(pid),
            own,
        }
    }

    /// Seconds used by the daemon and by this process.
    fn seconds(&self) -> (Option<f64>, Option<f64>) {
        let since = |now: Option<u64>, then: Option<u64>| {
            Some(now?.saturating_sub(then?) as f64 / self.ticks_per_s as f64)
        };
        let daemon = since(proc::cpu_ticks(self.pid), self.daemon);
        (daemon, since(proc::cpu_ticks(std::process::id()), self.own))
    }
}

struct Used {
    daemon_cpu_s: Option<f64>,
    generator_cpu_s: Option<f64>,
    rss: Option<u64>,
}

fn conclude(
    plan: &Plan,
    bench: &Bench,
    http: &HttpReport,
    before: &Reading,
    used: &Used,
) -> Report {
    let full = plan.profile.full();
    let now = bench.reading();
    let hook = counts_since(now.hook, before.hook);
    let comparison = bench.ledger.compare(plan.warm_up, full, |id| {
        if !full {
            return Notified::NOT_EXPECTED;
        }
        let seen = bench.hook.seen(id);
        Notified {
            complete: seen.sent && seen.delivered,
            doubled: seen.doubled,
        }
    });
    let started_us = bench.ledger.micros(http.started);
    let until = |last_us: u64| Duration::from_micros(last_us.saturating_sub(started_us));
    let hook_time = bench
        .hook
        .last_request_at()
        .map(|at| at.saturating_duration_since(http.started));
    let submitted = now.totals.submitted - before.totals.submitted;
    let receipted = now.totals.receipted - before.totals.receipted;
    Report::new(&Gathered {
        profile: plan.profile.name(),
        http,
        comparison,
        submitted: (submitted, until(now.totals.last_submit_us)),
        delivered: full.then(|| (receipted, until(now.totals.last_receipt_us))),
        webhooks: full.then(|| (hook.sent + hook.delivered, hook_time.unwrap_or_default())),
        hook,
        accept_to_submit_p99_us: bench
            .ledger
            .accept_to_submit(plan.warm_up)
            .value_at_quantile(0.99),
        daemon_cpu_s: used.daemon_cpu_s,
        generator_cpu_s: used.generator_cpu_s,
        daemon_rss_kib: used.rss,
        connections: plan.connections,
        networks: plan.networks.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_override_the_defaults_of_a_profile() {
        let plan = Plan::new(Profile::Singles, &Options::default());
        assert_eq!(
            (plan.messages, plan.connections, plan.networks.len()),
            (200_000, 128, 8)
        );
        assert!(plan.script().receipts.mix.is_empty());
        let options = Options {
            time_limit: Some(Duration::from_secs(2)),
            networks: Some(3),
            ..Options::default()
        };
        let plan = Plan::new(Profile::SinglesFull, &options);
        assert_eq!((plan.messages, plan.networks.len()), (300_000, 3));
        assert!(!plan.script().receipts.mix.is_empty());
        assert_eq!(Profile::by_name("singles-full"), Some(Profile::SinglesFull));
        assert_eq!(Profile::by_name("nothing"), None);
    }

    #[tokio::test]
    async fn a_bench_has_one_simulator_per_network() {
        let options = Options {
            messages: Some(10),
            networks: Some(2),
            ..Options::default()
        };
        let bench = Bench::start(&Plan::new(Profile::Singles, &options))
            .await
            .unwrap();
        assert_eq!(bench.addrs().count(), 2);
        assert!(bench.binds_up(0).await.is_ok());
        bench.shutdown().await;
    }
}
