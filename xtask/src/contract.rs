//! Lives here: the API's description: writing the committed files anew, and schemathesis against a
//! daemon of its own.
//! Never here: what the description says, or whether it only grows: tests of the daemon.

use std::env;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::steps::{cargo, workspace};

/// What is checked of every answer: no 5xx, no undocumented status, kind, form or header.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance";

/// The routes that may end the key that calls them.
const ENDING_KEYS: [&str; 2] = ["revokeKey", "rotateKey"];

/// The version that the checks were chosen for.
const PACKAGE: &str = "schemathesis==4.32.5";

/// How long the daemon may take to start.
const START: Duration = Duration::from_secs(60);

/// Writes `api/openapi.json` and `api/postman.json` anew; with `release`, what they say is what
/// later states are held against.
///
/// # Errors
/// When a test of the description fails.
pub(crate) fn openapi(release: bool) -> Result<()> {
    let what = if release { "release" } else { "write" };
    cargo(["test", "--package", "mnara", "--lib", "api::docs::contract"])
        .env("MNARA_CONTRACT", what)
        .run()
}

/// Runs schemathesis over every route: `examples` requests for each in each phase.
///
/// # Errors
/// When it cannot be installed, or finds anything.
pub(crate) fn schemathesis(examples: u32) -> Result<()> {
    let program = installed()?;
    cargo(["build", "--package", "mnara", "--bin", "mnara"]).run()?;
    let folder = env::temp_dir().join(format!("mnara-schemathesis-{}", process::id()));
    fs::create_dir_all(&folder)?;
    let outcome = judge(&program, &folder, examples);
    fs::remove_dir_all(&folder).ok();
    outcome
}

fn judge(program: &Path, folder: &Path, examples: u32) -> Result<()> {
    let daemon = Daemon::start(folder)?;
    // It learns ids from answers, also that of the key it calls with: what ends keys comes last.
    for choice in ["--exclude-operation-id", "--include-operation-id"] {
        let status = Command::new(program)
            .arg("run")
            .arg(format!("http://{}/openapi.json", daemon.api))
            .args(ENDING_KEYS.iter().flat_map(|id| [choice, id]))
            .args(["--header", &format!("Authorization: Bearer {}", daemon.key)])
            .args(["--checks", CHECKS])
            .args(["--phases", "examples,coverage,fuzzing"])
            .args(["--max-examples", &examples.to_string()])
            .args(["--continue-on-failure", "--no-color"])
            .args(["--request-timeout", "30"])
            .args(["--suppress-health-check", "all"])
            .args(["--workers", "1", "--seed", "1"])
            .current_dir(folder)
            .stdin(Stdio::null())
            .status()
            .context("cannot start schemathesis")?;
        ensure!(status.success(), "schemathesis found something (above)");
    }
    Ok(())
}

/// schemathesis in a virtual environment below the target folder.
fn installed() -> Result<PathBuf> {
    let target = env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(workspace()).join("target"), PathBuf::from);
    let folder = target.join("schemathesis");
    let program = folder.join("bin/schemathesis");
    if program.is_file() {
        return Ok(program);
    }
    let quiet = |program: &Path, arguments: &[&str]| {
        let mut command = Command::new(program);
        let status = command.args(arguments).stdin(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    let at = folder.to_string_lossy().into_owned();
    if !quiet(Path::new("python3"), &["-m", "venv", &at]) {
        bail!(
            "python3 cannot make a virtual environment: install the packages python3 and python3-venv"
        );
    }
    let install = ["install", "--quiet", "--disable-pip-version-check", PACKAGE];
    if !quiet(&folder.join("bin/pip"), &install) {
        bail!(
            "pip cannot install {PACKAGE}: is a package index within reach? `pip config list` names the one it asks"
        );
    }
    Ok(program)
}

/// A daemon on loopback with an organisation whose key has no limit; ended when this is dropped.
struct Daemon {
    child: Child,
    api: String,
    key: String,
}

impl Daemon {
    fn start(folder: &Path) -> Result<Self> {
        let (api, admin, carrier) = (free()?, free()?, free()?);
        let (_, port) = carrier.rsplit_once(':').context("an address has a port")?;
        let config = folder.join("mnara.toml");
        // Nobody listens there: what is accepted waits.
        let text = format!(
            "[api]\nlisten = \"{api}\"\n[admin]\nlisten = \"{admin}\"\n\
             [store]\nurl = \"sqlite:{}\"\n[webhooks]\nallow_loopback = true\n\
             [[carrier]]\nid = \"vodacom_tz\"\nnetwork = \"vodacom_tz\"\nmax_tps = 1000\n\
             [[carrier.bind]]\nhost = \"127.0.0.1\"\nport = {port}\nsystem_id = \"x\"\n\
             password = \"x\"\nmode = \"transceiver\"\n{LIMITS}",
            folder.join("mnara.db").display()
        );
        fs::write(&config, text)?;
        let binary = binary()?;
        let log = fs::File::create(folder.join("daemon.log"))?;
        let child = Command::new(&binary)
            .args(["serve", "--config"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("cannot start the daemon")?;
        let mut daemon = Self {
            child,
            api,
            key: String::new(),
        };
        let org = [
            "org",
            "create",
            "Schemathesis",
            "--country",
            "TZ",
            "--postpaid",
        ];
        let began = Instant::now();
        while ctl(&binary, &config, &org).is_err() {
            let log = || fs::read_to_string(folder.join("daemon.log")).unwrap_or_default();
            ensure!(
                began.elapsed() < START,
                "the daemon does not start:\n{}",
                log()
            );
            thread::sleep(Duration::from_millis(100));
        }
        let told = ctl(&binary, &config, &KEY)?;
        let key = told
            .split('"')
            .find(|word| word.starts_with("sk_"))
            .context("the daemon told no key")?;
        daemon.key = key.to_owned();
        Ok(daemon)
    }
}

/// It may try everything.
const KEY: [&str; 7] = [
    "keys",
    "create",
    "--org",
    "Schemathesis",
    "--scope",
    "admin",
    "--json",
];

/// Thousands of requests come within a minute.
const LIMITS: &str = "[api.limits]\nlive = \"unlimited\"\ncredits = \"unlimited\"\n\
                      failures_per_ip = \"unlimited\"\n";

impl Drop for Daemon {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn ctl(binary: &Path, config: &Path, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(binary);
    let output = command
        .args(["ctl", "--config"])
        .arg(config)
        .args(arguments)
        .stdin(Stdio::null())
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(
        output.status.success(),
        "ctl {}: {said}",
        arguments.join(" ")
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// An address of loopback that is free now.
fn free() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    Ok(listener.local_addr()?.to_string())
}

/// The daemon's binary, built into the same folder as this one.
fn binary() -> Result<PathBuf> {
    let own = env::current_exe().context("cannot tell where this binary is")?;
    Ok(own.with_file_name("mnara"))
}
