//! Lives here: arguments, signals and exit codes of the one binary.
//! Never here: wiring (`app`), behaviour.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong arguments, 64 the configuration is wrong (nothing was
//! opened), 70 a task of the daemon failed.
#![warn(clippy::print_stdout, clippy::print_stderr)]

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::{Parser, Subcommand};
use mnara::app::{self, Daemon};
use mnara::config::{self, Config, ConfigError};
use mnara::telemetry::logging;
use mnara::{ctl, demo};
use tokio::signal::unix::{SignalKind, signal};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const EX_CONFIG: u8 = 64;
const EX_SOFTWARE: u8 = 70;

/// Mnara, the SMS gateway: REST in, SMPP out, receipts and signed webhooks back.
#[derive(Parser)]
#[command(name = "mnara", version, about, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the daemon.
    Serve {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Check a configuration file without opening anything; exit 64 with the place if it is wrong.
    Check {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Run a whole world on this machine: the daemon, eight simulated carriers, a webhook listener.
    Demo {
        /// Send one message of each class to each network, wait for receipts and webhooks, exit.
        #[arg(long)]
        once: bool,
    },
    /// Speak to the running daemon, or move its database while it is stopped.
    Ctl {
        /// The daemon's configuration file, which names its admin listener.
        #[arg(
            long,
            value_name = "FILE",
            default_value = "/etc/mnara/mnara.toml",
            global = true
        )]
        config: PathBuf,
        /// The admin listener, if it is not where the file says.
        #[arg(long, value_name = "ADDRESS", global = true)]
        admin: Option<SocketAddr>,
        /// One JSON document instead of text.
        #[arg(long, global = true)]
        json: bool,
        #[command(subcommand)]
        command: Ctl,
    },
}

#[derive(Subcommand)]
enum Ctl {
    /// The database itself, while no daemon has it: move it to another one.
    Store {
        /// What to do with it.
        #[command(subcommand)]
        command: ctl::StoreCommand,
    },
    #[command(flatten)]
    Daemon(ctl::Command),
}

fn main() -> ExitCode {
    // One crypto provider for everything; a second call could only come from ourselves.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("cannot start: {error}"), 1),
    };
    let code = match arguments.command {
        Command::Serve { config } => match read(&config) {
            Ok(config) => runtime.block_on(serve(config)),
            Err(code) => code,
        },
        Command::Check { config } => check(&config),
        Command::Demo { once } => match runtime.block_on(demo::run(once)) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => fail(&format!("demo: {error:#}"), 1),
        },
        Command::Ctl {
            json,
            command: Ctl::Store { command },
            ..
        } => match runtime.block_on(ctl::run_store(&command, json)) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => fail(&error.to_string(), 1),
        },
        Command::Ctl {
            config,
            admin,
            json,
            command: Ctl::Daemon(command),
        } => match config::load_admin(&config, std::env::vars()) {
            Ok(mut reach) => {
                reach.listen = admin.unwrap_or(reach.listen);
                runtime.block_on(control(&reach, command, json))
            }
            Err(error) => fail(&error.to_string(), EX_CONFIG),
        },
    };
    // Tasks that a second signal has left behind must not hold the process.
    runtime.shutdown_timeout(Duration::from_millis(500));
    code
}

/// Nobody may be listening any more: that is no reason to panic, as `eprintln!` does.
fn fail(message: &str, code: u8) -> ExitCode {
    let _ = writeln!(io::stderr(), "mnara: {message}");
    ExitCode::from(code)
}

fn read(path: &Path) -> Result<Config, ExitCode> {
    config::load(path, std::env::vars()).map_err(|error| fail(&error.to_string(), EX_CONFIG))
}

fn check(path: &Path) -> ExitCode {
    let config = match read(path) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let ported = match config.read_ported() {
        Ok(ported) => ported.overlay.len(),
        Err(error) => return fail(&error.to_string(), EX_CONFIG),
    };
    // As in `fail`.
    let _ = writeln!(
        io::stdout(),
        "{}: good; {} carrier accounts, {} rules, {ported} ported numbers",
        path.display(),
        config.accounts.len(),
        config.routes.rules().len(),
    );
    ExitCode::SUCCESS
}

async fn control(admin: &config::Admin, command: ctl::Command, json: bool) -> ExitCode {
    let token = match app::token::for_ctl(admin) {
        Ok(token) => token,
        Err(error) => return fail(&format!("{error:#}"), 1),
    };
    let target = ctl::Target {
        address: admin.listen,
        token,
    };
    match ctl::run(target, command, json).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string(), 1),
    }
}

/// Runs until SIGTERM or SIGINT (SIGHUP reads the configuration again), then ends in phases; a second signal ends at once.
async fn serve(config: Config) -> ExitCode {
    if let Err(error) = logging::start(&config.log) {
        return fail(&error.to_string(), EX_CONFIG);
    }
    let signals = [
        SignalKind::terminate(),
        SignalKind::interrupt(),
        SignalKind::hangup(),
    ];
    let [mut terminate, mut interrupt, mut hangup] = match signals.map(signal) {
        [Ok(terminate), Ok(interrupt), Ok(hangup)] => [terminate, interrupt, hangup],
        [Err(error), ..] | [_, Err(error), _] | [.., Err(error)] => {
            return fail(&format!("signals: {error}"), 1);
        }
    };
    // What a start that is given up has begun in the store ends with its connection.
    let started = tokio::select! {
        started = Daemon::start(config) => started,
        _ = terminate.recv() => return fail("told to stop before it had started", 1),
        _ = interrupt.recv() => return fail("told to stop before it had started", 1),
    };
    let mut daemon = match started {
        Ok(daemon) => daemon,
        Err(error) if error.is::<ConfigError>() => return fail(&error.to_string(), EX_CONFIG),
        Err(error) => return fail(&format!("{error:#}"), 1),
    };
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    let beat = daemon.beat();
    let failed = loop {
        tokio::select! {
            _ = terminate.recv() => break false,
            _ = interrupt.recv() => break false,
            _ = hangup.recv() => daemon.reload().await,
            () = daemon.failed() => break true,
            () = watchdog(&beat) => {}
        }
    };
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    if failed {
        tracing::error!("a task of the daemon ended by itself; stopping");
    }
    tokio::select! {
        _ = terminate.recv() => return fail("second signal: ended at once", 1),
        _ = interrupt.recv() => return fail("second signal: ended at once", 1),
        ended = daemon.stop(failed) => if let Err(error) = ended {
            return fail(&format!("{error:#}"), 1);
        },
    }
    if failed {
        ExitCode::from(EX_SOFTWARE)
    } else {
        ExitCode::SUCCESS
    }
}

/// Tells systemd that we live, but only while the scheduler's loop turns.
async fn watchdog(beat: &AtomicU64) {
    let Some(period) = sd_notify::watchdog_enabled() else {
        return std::future::pending().await;
    };
    let before = beat.load(Ordering::Relaxed);
    tokio::time::sleep(period / 3).await;
    if beat.load(Ordering::Relaxed) != before {
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]);
    }
}
