//! Lives here: the profiles: what is measured, how one is run, and its way from start to result.
//! Never here: a command line, or printing of results.
//!
//! A profile is a file of its own: `setup` says what it needs, `drive` loads it and judges. All share the stage
//! (daemon, simulators, listener, ledger), the traffic, the arithmetic and the sheet. Everything but the daemon runs
//! in this process: simulators and webhook listener on the caller's runtime, generators on threads of their own.

mod backlog;
mod beside;
mod bulk;
mod daemon;
mod dirt;
mod failover;
mod fairness;
mod files;
mod flood;
mod inspect;
mod kill;
mod measure;
mod proc;
mod sheet;
mod singles;
mod slow;
mod stage;
mod store;
mod throttle;
mod traffic;

use std::{
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use thiserror::Error;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::timeout,
};

use self::{
    beside::beside,
    stage::{BINDS_MAX, Progress, Setup, Stage},
    store::Store,
};
pub use daemon::DaemonError;
pub use sheet::{Check, Sheet, Target};
pub use store::StoreKind;

/// What PostgreSQL must reach of SQLite's rates, the server on the same machine.
const STORES_RATIO_MIN: f64 = 0.7;

/// What a full store must reach of an empty one's rates.
const STORED_RATIO_MIN: f64 = 0.8;

/// Messages of a full store, and the days over which they are spread, today among them: those that
/// the default retention keeps.
const STORED: u64 = 10_000_000;
const STORED_DAYS: u32 = 90;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// REST singles through the durable store to the simulators, no receipts.
    Singles,
    /// The same with receipts and signed webhooks.
    SinglesFull,
    /// Ten jobs of ten thousand personalised recipients.
    Bulk,
    /// OTP beside a million promotional messages and a carrier at its limit.
    OtpUnderBacklog,
    /// Nine organisations with little behind one with much.
    Fairness,
    /// Carriers that take less than the configuration says.
    Throttle,
    /// Carriers that die and hang under load, each with another beside it.
    Failover,
    /// Ten receipts for each message.
    ReceiptFlood,
    /// Receipts as bad as they come.
    ReceiptDirt,
    /// A long way to one carrier, and another that answers after half a minute.
    SlowCarrier,
    /// singles-full on an empty store and on one with ten million messages.
    Stored,
    /// A private PostgreSQL killed again and again under load.
    PgKill,
}

/// How a profile is run. `None` takes the profile's default; a profile has no use for some of them.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Keep-alive connections of a closed loop; 128.
    pub connections: Option<usize>,
    /// Messages; 200,000 for singles, 60,000 for singles-full, 100,000 for bulk; the backlog of the profiles that have one.
    pub messages: Option<u64>,
    /// Stop sending after this time; the length of each measured part of the other profiles.
    pub time_limit: Option<Duration>,
    /// Requests per second of an open loop; otherwise the loop of singles is closed.
    pub rate: Option<f64>,
    /// Segments per second that a simulated carrier takes.
    pub tps: Option<u32>,
    /// Simulated networks of singles, 1 to 8; 8.
    pub networks: Option<usize>,
    /// Binds per network of singles; 1.
    pub binds: Option<usize>,
    /// Window of each bind; 200 for singles.
    pub window: Option<usize>,
    /// Messages of the warm-up; 4,000 for singles.
    pub warm_up: Option<u64>,
    /// The stores to run on, one after the other; two are put beside each other. SQLite when empty.
    pub stores: Vec<StoreKind>,
    /// The PostgreSQL to make a database on; without it a private server is started.
    pub database_url: Option<String>,
    /// Messages that a full store holds before the run; 10,000,000.
    pub rows: Option<u64>,
    /// How often PostgreSQL is killed; 10.
    pub kills: Option<u32>,
    /// Take away what the profile is about, to see that its checks notice.
    pub sabotage: bool,
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
    /// PostgreSQL cannot be started or asked.
    #[error(transparent)]
    Postgres(#[from] mnara_privatepg::Error),
    /// The result cannot be put together.
    #[error(transparent)]
    Sheet(#[from] serde_json::Error),
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
    /// Something that should have been over was not.
    #[error("not over after {0:?}")]
    TooLong(Duration),
    /// Ctrl-C or SIGTERM.
    #[error("interrupted")]
    Interrupted,
}

impl Profile {
    /// All profiles.
    pub const ALL: [Self; 12] = [
        Self::Singles,
        Self::SinglesFull,
        Self::Bulk,
        Self::OtpUnderBacklog,
        Self::Fairness,
        Self::Throttle,
        Self::Failover,
        Self::ReceiptFlood,
        Self::ReceiptDirt,
        Self::SlowCarrier,
        Self::Stored,
        Self::PgKill,
    ];

    /// The profile of this name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }

    /// The name on the command line and in the result.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Singles => "singles",
            Self::SinglesFull => "singles-full",
            Self::Bulk => "bulk",
            Self::OtpUnderBacklog => "otp-under-backlog",
            Self::Fairness => "fairness",
            Self::Throttle => "throttle",
            Self::Failover => "failover",
            Self::ReceiptFlood => "receipt-flood",
            Self::ReceiptDirt => "receipt-dirt",
            Self::SlowCarrier => "slow-carrier",
            Self::Stored => "stored",
            Self::PgKill => "pg-kill",
        }
    }

    fn setup(self, options: &Options) -> Setup {
        match self {
            Self::Singles | Self::SinglesFull => singles::setup(self, options),
            Self::Stored => singles::setup(Self::SinglesFull, options),
            Self::PgKill => kill::setup(options),
            Self::Bulk => bulk::setup(options),
            Self::OtpUnderBacklog => backlog::setup(options),
            Self::Fairness => fairness::setup(options),
            Self::Throttle => throttle::setup(options),
            Self::Failover => failover::setup(options),
            Self::ReceiptFlood => flood::setup(options),
            Self::ReceiptDirt => dirt::setup(options),
            Self::SlowCarrier => slow::setup(options),
        }
    }

    async fn drive(self, stage: &mut Stage<'_>, options: &Options) -> Result<Sheet, ProfileError> {
        match self {
            Self::Singles | Self::SinglesFull => singles::drive(self, stage, options).await,
            Self::Stored => singles::drive(Self::SinglesFull, stage, options).await,
            Self::PgKill => kill::drive(stage, options).await,
            Self::Bulk => bulk::drive(stage, options).await,
            Self::OtpUnderBacklog => backlog::drive(stage, options).await,
            Self::Fairness => fairness::drive(stage, options).await,
            Self::Throttle => throttle::drive(stage, options).await,
            Self::Failover => failover::drive(stage, options).await,
            Self::ReceiptFlood => flood::drive(stage, options).await,
            Self::ReceiptDirt => dirt::drive(stage, options).await,
            Self::SlowCarrier => slow::drive(stage, options).await,
        }
    }
}

/// Runs a profile to its end; `progress` gets a line now and then. The daemon is stopped on every way out.
///
/// # Errors
/// [`ProfileError`] when there is nothing to report. A promise that does not hold is no error, but a sheet that is not
/// `ok`.
pub async fn run(
    profile: Profile,
    options: &Options,
    progress: Progress<'_>,
) -> Result<Sheet, ProfileError> {
    let mut options = options.clone();
    if profile == Profile::PgKill {
        // Whatever was asked for: only a server of our own may be killed.
        options.stores = vec![StoreKind::Postgres];
        options.database_url = None;
    }
    progress("building the daemon (release) if need be");
    let run = Run {
        profile,
        options: &options,
        binary: daemon::locate(options.daemon.as_deref()).await?,
        progress,
    };
    let first = options.stores.first().copied().unwrap_or_default();
    let sheet = run.on(first).await?;
    let Some(&second) = options.stores.get(1) else {
        return Ok(sheet);
    };
    let pair = [
        (first.name(), sheet),
        (second.name(), run.on(second).await?),
    ];
    let [first, second] = pair;
    Ok(beside(profile.name(), first, second, STORES_RATIO_MIN)?)
}

/// A profile that is being run, perhaps several times.
struct Run<'a> {
    profile: Profile,
    options: &'a Options,
    binary: PathBuf,
    progress: Progress<'a>,
}

impl Run<'_> {
    /// All of the profile on one kind of store.
    async fn on(&self, kind: StoreKind) -> Result<Sheet, ProfileError> {
        if self.profile != Profile::Stored {
            return self.once(kind, kind.name(), 0).await;
        }
        let rows = self.options.rows.unwrap_or(STORED);
        let empty = self
            .once(kind, &format!("{}-empty", kind.name()), 0)
            .await?;
        let full = self
            .once(kind, &format!("{}-full", kind.name()), rows)
            .await?;
        let (name, least) = (self.profile.name(), STORED_RATIO_MIN);
        Ok(beside(name, ("empty", empty), ("full", full), least)?)
    }

    /// Once, on a new store that holds `rows` messages before the daemon starts. With a given folder several runs are
    /// told apart by `name`.
    async fn once(&self, kind: StoreKind, name: &str, rows: u64) -> Result<Sheet, ProfileError> {
        let temporary = folder()?;
        let several = self.options.stores.len() > 1 || self.profile == Profile::Stored;
        let given = self.options.folder.as_deref();
        let given = given.map(|folder| folder.join(if several { name } else { "" }));
        // Absolute, because the daemon runs with the folder as its working directory.
        let folder = std::path::absolute(given.as_deref().unwrap_or(temporary.path()))?;
        std::fs::create_dir_all(&folder)?;
        let started = Instant::now();
        let store = Store::make(kind, self.options.database_url.as_deref(), &folder)?;
        if rows > 0 {
            (self.progress)(&format!("filling {} with {rows} messages", kind.name()));
            until_interrupted(self.fill(&store, rows)).await?;
        }
        let filled_s = started.elapsed().as_secs_f64();
        let mut sheet = self.staged(store, &folder).await?;
        if rows > 0 {
            sheet.figure("rows", rows as f64);
            sheet.figure("filled_s", filled_s);
        }
        sheet.figure("took_s", started.elapsed().as_secs_f64());
        Ok(sheet)
    }

    async fn fill(&self, store: &Store, rows: u64) -> Result<(), ProfileError> {
        daemon::fill(&self.binary, store.url(), rows, STORED_DAYS).await?;
        store.settle()
    }

    /// With daemon and simulators, which are stopped on every way out.
    async fn staged(&self, store: Store, folder: &Path) -> Result<Sheet, ProfileError> {
        let kind = store.kind();
        let setup = self.profile.setup(self.options);
        let limit = setup.limit;
        let mut stage = Stage::start(&self.binary, folder, store, setup, self.progress).await?;
        let measured = async {
            stage.ready().await?;
            self.profile.drive(&mut stage, self.options).await
        };
        let measured = async {
            let result = timeout(limit, measured).await;
            result.unwrap_or(Err(ProfileError::TooLong(limit)))
        };
        let result = until_interrupted(measured).await;
        let stopped_cleanly = stage.stop().await?;
        let mut sheet = result?;
        sheet.close(kind.name(), stopped_cleanly);
        Ok(sheet)
    }
}

/// A temporary folder that PostgreSQL's user may pass through; a private server's own folder in it is closed.
fn folder() -> io::Result<tempfile::TempDir> {
    use std::os::unix::fs::PermissionsExt;
    tempfile::Builder::new()
        .permissions(std::fs::Permissions::from_mode(0o711))
        .tempdir()
}

/// Either of the two signals ends the work.
async fn until_interrupted<T>(
    work: impl Future<Output = Result<T, ProfileError>>,
) -> Result<T, ProfileError> {
    // The work is given up when it loses: whoever called then stops what it had started.
    tokio::select! {
        result = work => result,
        stopped = interrupted() => stopped.and(Err(ProfileError::Interrupted)),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_is_found_by_its_name() {
        for profile in Profile::ALL {
            assert_eq!(Profile::by_name(profile.name()), Some(profile));
        }
        assert_eq!(Profile::by_name("nothing"), None);
    }
}
