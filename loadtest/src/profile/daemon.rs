//! Lives here: the daemon under test as a child process: built, started, asked and stopped.
//! Never here: load.

use std::{
    ffi::OsStr,
    fs,
    io::{self, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use serde::{Deserialize, de::DeserializeOwned};
use thiserror::Error;
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

use super::bulk::Books;
use crate::http;

/// The daemon has this long to answer /readyz with 200.
const READY_MAX: Duration = Duration::from_secs(30);

/// The daemon has this long to end after SIGTERM before it is killed.
const STOP_MAX: Duration = Duration::from_secs(30);

/// Filling a store may take this long: ten million messages take minutes.
const FILL_MAX: Duration = Duration::from_secs(7_200);

/// One `mnara ctl` call may take this long.
const CTL_MAX: Duration = Duration::from_secs(30);

/// Octets of the daemon's log shown when it fails.
const LOG_TAIL: usize = 4_000;

/// Why the daemon cannot be used. None of these is worth a retry by itself.
#[derive(Debug, Error)]
pub enum DaemonError {
    /// A file or a process could not be handled.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// `cargo build` failed or named no executable.
    #[error("the daemon cannot be built: {0}")]
    Build(String),
    /// The daemon ended, or did not become ready in time.
    #[error("the daemon {what}; its log ends:\n{log}")]
    NotReady {
        /// What it did.
        what: String,
        /// End of its log.
        log: String,
    },
    /// `mnara ctl` failed or printed something else than expected.
    #[error("mnara ctl {what} failed: {output}")]
    Ctl {
        /// Its first arguments.
        what: String,
        /// What it printed.
        output: String,
    },
}

/// What `mnara ctl org create --json` prints.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Org {
    /// Id of the organisation.
    pub(super) id: String,
    /// Secret its webhooks are signed with.
    pub(super) webhook_secret: String,
}

/// What `mnara ctl key create --json` prints.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Key {
    /// The key, shown this once.
    pub(super) key: String,
}

/// A running daemon. Dropping it kills the process; [`Daemon::stop`] ends it properly.
pub(super) struct Daemon {
    child: Child,
    pid: u32,
    binary: PathBuf,
    config: PathBuf,
    log: PathBuf,
}

/// The daemon's executable: `given`, else the environment's `MNARA_BIN`, else a release build of this workspace.
///
/// # Errors
/// [`DaemonError::Build`] when the build fails.
pub(super) async fn locate(given: Option<&Path>) -> Result<PathBuf, DaemonError> {
    if let Some(path) = given {
        return absolute(path);
    }
    if let Some(path) = std::env::var_os("MNARA_BIN").filter(|path| !path.is_empty()) {
        return absolute(Path::new(&path));
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let output = Command::new(cargo)
        .args(["build", "--release", "-p", "mnara", "--bin", "mnara"])
        .arg("--message-format=json-render-diagnostics")
        .current_dir(workspace)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .await
        .map_err(|source| DaemonError::Io {
            what: "cargo build".into(),
            source,
        })?;
    if !output.status.success() {
        return Err(DaemonError::Build(output.status.to_string()));
    }
    executable(&String::from_utf8_lossy(&output.stdout))
        .ok_or_else(|| DaemonError::Build("cargo named no executable".into()))
}

/// Fills the empty store at `url`, which no daemon uses, with `messages` that have ended, spread over `days` up to now.
///
/// # Errors
/// [`DaemonError::Ctl`] when the daemon's hidden command fails.
pub(super) async fn fill(
    binary: &Path,
    url: &str,
    messages: u64,
    days: u32,
) -> Result<(), DaemonError> {
    let (messages, days) = (messages.to_string(), days.to_string());
    let mut command = Command::new(binary);
    command.args(["ctl", "store", "fill", "--url", url]);
    command.args(["--messages", &messages, "--days", &days]);
    let output = output(&mut command, FILL_MAX, "store fill").await?;
    if output.status.success() {
        return Ok(());
    }
    Err(refused("store fill", &output))
}

/// A port on loopback that was free a moment ago.
///
/// # Errors
/// When no port can be bound at all.
pub(super) fn free_port() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

impl Daemon {
    /// Starts `binary serve` in `folder` with `config_text` as its configuration.
    ///
    /// # Errors
    /// When files cannot be written or the process cannot be started.
    pub(super) fn start(
        binary: &Path,
        folder: &Path,
        config_text: &str,
    ) -> Result<Self, DaemonError> {
        let config = folder.join("mnara.toml");
        let log = folder.join("daemon.log");
        let write = || -> io::Result<fs::File> {
            fs::File::create(&config)?.write_all(config_text.as_bytes())?;
            fs::File::create(&log)
        };
        let in_folder = |source| DaemonError::Io {
            what: folder.display().to_string(),
            source,
        };
        let out = write().map_err(in_folder)?;
        let err = out.try_clone().map_err(in_folder)?;
        let child = Command::new(binary)
            .args([
                OsStr::new("serve"),
                OsStr::new("--config"),
                config.as_os_str(),
            ])
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| DaemonError::Io {
                what: binary.display().to_string(),
                source,
            })?;
        // A child that was just spawned and not yet awaited has an id.
        let pid = child.id().unwrap_or(0);
        Ok(Self {
            child,
            pid,
            binary: binary.to_owned(),
            config,
            log,
        })
    }

    /// Process id.
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits until /readyz on `admin` answers 200.
    ///
    /// # Errors
    /// When the daemon ends or is not ready within 30 s.
    pub(super) async fn ready(&mut self, admin: SocketAddr) -> Result<(), DaemonError> {
        let deadline = Instant::now() + READY_MAX;
        loop {
            let answer = http::get(admin, "/readyz", Duration::from_secs(1)).await;
            if answer.as_ref().is_ok_and(|(status, _)| *status == 200) {
                return Ok(());
            }
            self.alive()?;
            if Instant::now() >= deadline {
                let last = match answer {
                    Ok((status, body)) => format!("{status} {}", String::from_utf8_lossy(&body)),
                    Err(error) => error.to_string(),
                };
                return Err(self.failed(format!(
                    "is not ready after {READY_MAX:?} (/readyz: {last})"
                )));
            }
            sleep(Duration::from_millis(25)).await;
        }
    }

    /// Checks that the process has not ended.
    ///
    /// # Errors
    /// [`DaemonError::NotReady`] with the end of its log.
    pub(super) fn alive(&mut self) -> Result<(), DaemonError> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(self.failed(format!("ended with {status}"))),
            Err(source) => Err(DaemonError::Io {
                what: "waiting for the daemon".into(),
                source,
            }),
        }
    }

    /// Creates an organisation.
    ///
    /// # Errors
    /// [`DaemonError::Ctl`].
    pub(super) async fn create_org(&self, name: &str, country: &str) -> Result<Org, DaemonError> {
        self.ctl(&["org", "create", name, "--country", country, "--postpaid"])
            .await
    }

    /// Creates one that pays before it sends, and buys so many credits for it.
    ///
    /// # Errors
    /// [`DaemonError::Ctl`].
    pub(super) async fn create_prepaid(
        &self,
        name: &str,
        country: &str,
        credits: u64,
    ) -> Result<Org, DaemonError> {
        let org: Org = self
            .ctl(&["org", "create", name, "--country", country])
            .await?;
        let credits = credits.to_string();
        let add = ["credits", "add", &org.id, &credits, "--reference", "load"];
        self.ctl::<serde_json::Value>(&add).await?;
        Ok(org)
    }

    /// What an organisation's books say.
    ///
    /// # Errors
    /// [`DaemonError::Ctl`].
    pub(super) async fn credits(&self, org: &str) -> Result<Books, DaemonError> {
        self.ctl(&["credits", "show", org]).await
    }

    /// Creates a live key for `org`.
    ///
    /// # Errors
    /// [`DaemonError::Ctl`].
    pub(super) async fn create_key(&self, org: &str) -> Result<Key, DaemonError> {
        self.ctl(&["key", "create", "--org", org]).await
    }

    /// SIGTERM, and SIGKILL when that does not end it in 30 s. True when it ended by itself with status 0.
    ///
    /// # Errors
    /// When the process cannot be awaited.
    pub(super) async fn stop(mut self) -> io::Result<bool> {
        if self.pid != 0 && matches!(self.child.try_wait(), Ok(None)) {
            // The standard library sends only SIGKILL; the shell's own kill needs no further package.
            Command::new("sh")
                .arg("-c")
                .arg(format!("kill -TERM {}", self.pid))
                .status()
                .await?;
        }
        match timeout(STOP_MAX, self.child.wait()).await {
            Ok(status) => Ok(status?.success()),
            Err(_) => {
                self.child.kill().await?;
                Ok(false)
            }
        }
    }

    async fn ctl<T: DeserializeOwned>(&self, arguments: &[&str]) -> Result<T, DaemonError> {
        let what = arguments
            .iter()
            .take(2)
            .copied()
            .collect::<Vec<_>>()
            .join(" ");
        let mut command = Command::new(&self.binary);
        command
            .args(["ctl", "--config"])
            .arg(&self.config)
            // Where the daemon keeps its token when its database is a server's.
            .current_dir(self.config.parent().unwrap_or(Path::new(".")))
            .args(arguments)
            .arg("--json");
        let output = output(&mut command, CTL_MAX, &what).await?;
        let text = String::from_utf8_lossy(&output.stdout);
        let parsed = output
            .status
            .success()
            .then(|| serde_json::from_str(text.trim()).ok())
            .flatten();
        parsed.ok_or_else(|| refused(&what, &output))
    }

    fn failed(&self, what: String) -> DaemonError {
        let log = fs::read(&self.log).unwrap_or_default();
        let tail = &log[log.len().saturating_sub(LOG_TAIL)..];
        DaemonError::NotReady {
            what,
            log: String::from_utf8_lossy(tail).into_owned(),
        }
    }
}

async fn output(command: &mut Command, limit: Duration, what: &str) -> Result<Output, DaemonError> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    timeout(limit, output)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        .map_err(|source| DaemonError::Io {
            what: format!("mnara ctl {what}"),
            source,
        })
}

/// A key may stand on stdout, so only what went wrong is repeated.
fn refused(what: &str, output: &Output) -> DaemonError {
    let said = String::from_utf8_lossy(&output.stderr);
    DaemonError::Ctl {
        what: what.to_owned(),
        output: format!("{}, {}", output.status, said.trim()),
    }
}

/// The daemon runs in a folder of its own, where a relative path would mean another file.
fn absolute(path: &Path) -> Result<PathBuf, DaemonError> {
    std::path::absolute(path).map_err(|source| DaemonError::Io {
        what: path.display().to_string(),
        source,
    })
}

/// The path of the binary `mnara` among cargo's messages, one JSON object a line.
fn executable(messages: &str) -> Option<PathBuf> {
    #[derive(Deserialize)]
    struct Message {
        target: Option<Target>,
        executable: Option<PathBuf>,
    }
    #[derive(Deserialize)]
    struct Target {
        name: String,
    }
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok())
        .filter(|message| {
            message
                .target
                .as_ref()
                .is_some_and(|target| target.name == "mnara")
        })
        .find_map(|message| message.executable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_is_found_among_cargos_messages() {
        let messages = concat!(
            "{\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"bytes\"},\"executable\":null}\n",
            "not json\n",
            "{\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"mnara\"},\"executable\":null}\n",
            "{\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"mnara\"},\"executable\":\"/t/release/mnara\"}\n",
            "{\"reason\":\"build-finished\",\"success\":true}\n",
        );
        assert_eq!(
            executable(messages),
            Some(PathBuf::from("/t/release/mnara"))
        );
        assert_eq!(executable(""), None);
    }

    #[tokio::test]
    async fn a_relative_executable_still_means_the_same_file_in_the_daemons_folder() {
        let located = locate(Some(Path::new("target/mnara"))).await.unwrap();
        assert_eq!(
            located,
            std::env::current_dir().unwrap().join("target/mnara")
        );
    }

    #[tokio::test]
    async fn a_daemon_that_ends_at_once_is_reported_with_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let binary = script(folder.path(), "echo 'mnara.toml:3:1 unknown key'; exit 64");
        let mut daemon = Daemon::start(&binary, folder.path(), "").unwrap();
        let error = daemon
            .ready(free_port().unwrap())
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("64") && error.contains("mnara.toml:3:1 unknown key"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_daemon_that_heeds_sigterm_stops_cleanly() {
        let folder = tempfile::tempdir().unwrap();
        let ready = folder.path().join("ready");
        let body = format!(
            "trap 'exit 0' TERM; touch {}; while :; do sleep 0.05; done",
            ready.display()
        );
        let binary = script(folder.path(), &body);
        let daemon = Daemon::start(&binary, folder.path(), "").unwrap();
        let trapped = async {
            while !ready.exists() {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(10), trapped).await.unwrap();
        assert!(daemon.stop().await.unwrap());
    }

    #[tokio::test]
    async fn ctl_answers_are_read_and_its_failures_are_shown() {
        let folder = tempfile::tempdir().unwrap();
        let body = r#"case "$1 $4" in
            "ctl org") echo '{"id":"org_1","name":"load","country":"TZ","webhook_secret":"whsec_x"}' ;;
            "ctl key") echo 'no such org' >&2; exit 1 ;;
            *) sleep 60 ;;
        esac"#;
        let binary = script(folder.path(), body);
        let daemon = Daemon::start(&binary, folder.path(), "").unwrap();
        let org = daemon.create_org("load", "TZ").await.unwrap();
        assert_eq!(
            (org.id.as_str(), org.webhook_secret.as_str()),
            ("org_1", "whsec_x")
        );
        let error = daemon.create_key(&org.id).await.unwrap_err().to_string();
        assert!(error.contains("no such org"), "{error}");
    }

    fn script(folder: &Path, body: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = folder.join("mnara.sh");
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }
}
