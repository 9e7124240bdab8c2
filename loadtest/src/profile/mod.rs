//! Lives here: the profiles: what is measured, how one is run, and its way from start to result.
//! Never here: a command line, or printing of results.
//!
//! A profile is a file of its own: `setup` says what it needs, `drive` loads it and judges. All share the stage
//! (daemon, simulators, listener, ledger), the traffic, the arithmetic and the sheet. Everything but the daemon runs
//! in this process: simulators and webhook listener on the caller's runtime, generators on threads of their own.

mod backlog;
mod daemon;
mod dirt;
mod failover;
mod fairness;
mod files;
mod flood;
mod inspect;
mod measure;
mod proc;
mod sheet;
mod singles;
mod slow;
mod stage;
mod throttle;
mod traffic;

use std::{
    io,
    path::PathBuf,
    time::{Duration, Instant},
};

use thiserror::Error;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::timeout,
};

use self::stage::{BINDS_MAX, Setup, Stage};
pub use daemon::DaemonError;
pub use sheet::{Check, Sheet, Target};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// REST singles through the durable store to the simulators, no receipts.
    Singles,
    /// The same with receipts and signed webhooks.
    SinglesFull,
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
}

/// How a profile is run. `None` takes the profile's default; a profile has no use for some of them.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Keep-alive connections of a closed loop; 128.
    pub connections: Option<usize>,
    /// Messages; 200,000 for singles, 60,000 for singles-full; the backlog of the profiles that have one.
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
    pub const ALL: [Self; 9] = [
        Self::Singles,
        Self::SinglesFull,
        Self::OtpUnderBacklog,
        Self::Fairness,
        Self::Throttle,
        Self::Failover,
        Self::ReceiptFlood,
        Self::ReceiptDirt,
        Self::SlowCarrier,
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
            Self::OtpUnderBacklog => "otp-under-backlog",
            Self::Fairness => "fairness",
            Self::Throttle => "throttle",
            Self::Failover => "failover",
            Self::ReceiptFlood => "receipt-flood",
            Self::ReceiptDirt => "receipt-dirt",
            Self::SlowCarrier => "slow-carrier",
        }
    }

    fn setup(self, options: &Options) -> Setup {
        match self {
            Self::Singles | Self::SinglesFull => singles::setup(self, options),
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
    progress: &(dyn Fn(&str) + Sync),
) -> Result<Sheet, ProfileError> {
    progress("building the daemon (release) if need be");
    let binary = daemon::locate(options.daemon.as_deref()).await?;
    let temporary = tempfile::tempdir()?;
    // Absolute, because the daemon runs with the folder as its working directory.
    let folder = std::path::absolute(options.folder.as_deref().unwrap_or(temporary.path()))?;
    std::fs::create_dir_all(&folder)?;
    let started = Instant::now();
    let setup = profile.setup(options);
    let limit = setup.limit;
    let mut stage = Stage::start(&binary, &folder, setup, progress).await?;
    let measured = async {
        stage.ready().await?;
        profile.drive(&mut stage, options).await
    };
    let result = tokio::select! {
        result = timeout(limit, measured) => {
            result.unwrap_or(Err(ProfileError::TooLong(limit)))
        }
        stopped = interrupted() => stopped.and(Err(ProfileError::Interrupted)),
    };
    let stopped_cleanly = stage.stop().await?;
    let mut sheet = result?;
    sheet.close(started.elapsed(), stopped_cleanly);
    Ok(sheet)
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
