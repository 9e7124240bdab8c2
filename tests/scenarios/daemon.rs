//! Lives here: the daemon as a child process: started, heard, asked through `ctl`, ended.
//! Never here: carriers, messages.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::world::eventually;

/// The binary under test.
const BINARY: &str = env!("CARGO_BIN_EXE_mnara");
/// Starting, with a debug build on a busy machine.
const START_MAX: Duration = Duration::from_secs(30);
/// Ending after SIGTERM; the daemon's own deadline is shorter.
const END_MAX: Duration = Duration::from_secs(60);
/// Lines of the log that a failing scenario shows.
const SHOWN: usize = 60;

/// A running daemon. Dropping it kills the process.
pub(crate) struct Daemon {
    child: Child,
    pid: u32,
    log: Log,
    hearing: [AbortHandle; 2],
    /// Where the API listens.
    pub(crate) api: SocketAddr,
    /// Where the admin listener is.
    pub(crate) admin: SocketAddr,
}

/// What a daemon has said so far, on both streams.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Daemon {
    /// Starts `serve` and waits until it listens.
    pub(crate) async fn start(config: &Path) -> Self {
        // A file size limit, where a scenario sets one, is to be an error and not a signal.
        let mut child = Command::new("sh")
            .args(["-c", "trap '' XFSZ; exec \"$@\"", "sh", BINARY])
            .args([
                OsStr::new("serve"),
                OsStr::new("--config"),
                config.as_os_str(),
            ])
            // Where it keeps its token when its database is a server's.
            .current_dir(config.parent().unwrap())
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let pid = child.id().unwrap();
        let log = Log::default();
        let hearing = [
            log.follow(child.stdout.take().unwrap()),
            log.follow(child.stderr.take().unwrap()),
        ];
        let listening = async || {
            let line = log.event("listening");
            if line.is_none()
                && let Ok(Some(status)) = child.try_wait()
            {
                panic!("the daemon ended with {status}:\n{}", log.tail());
            }
            line
        };
        let line = eventually("the daemon listens", START_MAX, listening).await;
        let address = |name: &str| line[name].as_str().unwrap().parse().unwrap();
        Self {
            child,
            pid,
            log: log.clone(),
            hearing,
            api: address("api"),
            admin: address("admin"),
        }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// What it has said.
    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// Closes the ends at which both its streams are read: whatever it says from now on fails.
    pub(crate) fn hear_no_more(&self) {
        for stream in &self.hearing {
            stream.abort();
        }
    }

    /// Whether the process is still there.
    pub(crate) fn lives(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// SIGKILL: no goodbye.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// SIGTERM, without waiting for what follows.
    pub(crate) async fn terminate(&self) {
        self.signal("TERM").await;
    }

    /// SIGHUP, without waiting for what follows.
    pub(crate) async fn hang_up(&self) {
        self.signal("HUP").await;
    }

    async fn signal(&self, name: &str) {
        // The standard library sends SIGKILL only.
        let kill = format!("kill -{name} {}", self.pid);
        let sent = Command::new("sh").args(["-c", &kill]).status().await;
        assert!(sent.unwrap().success(), "{kill}");
    }

    /// Waits for the end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let end = timeout(END_MAX, self.child.wait()).await;
        end.expect("the daemon ends after SIGTERM").unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the daemon's log ends:\n{}", self.log.tail());
        }
    }
}

impl Log {
    /// Every line, as JSON where it is JSON.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.lines()
            .iter()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// The first line with this message.
    pub(crate) fn event(&self, message: &str) -> Option<Value> {
        self.events()
            .into_iter()
            .find(|event| event["message"] == message)
    }

    /// A copy of all lines.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn tail(&self) -> String {
        let lines = self.lines();
        lines[lines.len().saturating_sub(SHOWN)..].join("\n")
    }

    fn follow(&self, stream: impl AsyncRead + Unpin + Send + 'static) -> AbortHandle {
        let log = self.clone();
        // Ends with the stream, that is with the child.
        let following = tokio::spawn(async move {
            let mut lines = BufReader::new(stream).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                log.0
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(line);
            }
        });
        following.abort_handle()
    }
}

/// Runs the binary to its end with these arguments.
pub(crate) async fn run(arguments: &[&str]) -> Output {
    run_in(Path::new("."), arguments).await
}

async fn run_in(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(BINARY);
    command
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = timeout(START_MAX, command.output()).await;
    output.expect("the command ends").unwrap()
}

/// `mnara ctl` as an operator types it, where the daemon was started.
pub(crate) async fn ctl(config: &Path, admin: SocketAddr, arguments: &[&str]) -> Output {
    let folder = config.parent().unwrap();
    let admin = admin.to_string();
    let mut all = vec![
        "ctl",
        "--config",
        config.to_str().unwrap(),
        "--admin",
        &admin,
    ];
    all.extend(arguments);
    run_in(folder, &all).await
}
