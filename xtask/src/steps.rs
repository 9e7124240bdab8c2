//! Lives here: running a step under its name and with its time, and running cargo so that
//! an xtask builds exactly what the same command by hand builds.
//! Never here: which steps there are.

use std::env;
use std::ffi::OsStr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// The steps that have run so far, in order, with their times.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    done: Vec<(String, Duration)>,
}

impl Steps {
    /// Runs one step, prints its name before and its time after, and returns what it made.
    ///
    /// # Errors
    /// Those of the step, with its name in front.
    pub(crate) fn run<T>(&mut self, name: &str, step: impl FnOnce() -> Result<T>) -> Result<T> {
        println!("==> {name}");
        let started = Instant::now();
        let outcome = step();
        let took = started.elapsed();
        self.done.push((name.to_owned(), took));
        let word = if outcome.is_ok() { "ok" } else { "FAILED" };
        println!("<== {name}: {word}, {:.1} s", took.as_secs_f64());
        outcome.with_context(|| format!("the step \"{name}\" failed"))
    }

    /// Prints one line per step and their sum.
    pub(crate) fn print_times(&self) {
        let mut sum = Duration::ZERO;
        println!();
        for (name, took) in &self.done {
            println!("  {:>7.1} s  {name}", took.as_secs_f64());
            sum += *took;
        }
        println!("  {:>7.1} s  in all", sum.as_secs_f64());
    }
}

/// A cargo command that is being put together.
#[derive(Debug)]
pub(crate) struct Cargo(Command);

/// Starts a command of the cargo that runs this xtask, in the workspace, without an input.
pub(crate) fn cargo<const N: usize>(args: [&str; N]) -> Cargo {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command
        .args(args)
        .current_dir(workspace())
        .stdin(Stdio::null());
    // `cargo run` describes the xtask package to us in these. Handed on, they would make
    // the build scripts that watch them (ring's does) run again at each change between an
    // xtask and the same command by hand, and with them everything that depends on ring.
    for (name, _) in env::vars_os() {
        if describes_a_package(&name) {
            command.env_remove(name);
        }
    }
    Cargo(command)
}

impl Cargo {
    /// Adds arguments.
    pub(crate) fn args(mut self, args: impl IntoIterator<Item: AsRef<OsStr>>) -> Self {
        self.0.args(args);
        self
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.0.env(name, value);
        self
    }

    /// Runs the command with its output shown.
    ///
    /// # Errors
    /// When it cannot start or does not end with 0.
    pub(crate) fn run(mut self) -> Result<()> {
        let shown = self.shown();
        println!("    {shown}");
        let status = self
            .0
            .status()
            .with_context(|| format!("cannot start {shown}"))?;
        if !status.success() {
            bail!("{shown}: {status}");
        }
        Ok(())
    }

    /// Runs the command and returns its standard output.
    ///
    /// # Errors
    /// When it cannot start, does not end with 0 or prints no UTF-8.
    pub(crate) fn output(mut self) -> Result<String> {
        let shown = self.shown();
        let output = self
            .0
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("cannot start {shown}"))?;
        if !output.status.success() {
            bail!("{shown}: {}", output.status);
        }
        String::from_utf8(output.stdout).with_context(|| format!("{shown}: not UTF-8"))
    }

    /// Whether the command starts and ends with 0; nothing of it is shown.
    pub(crate) fn succeeds(mut self) -> bool {
        self.0
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    fn shown(&self) -> String {
        let args: Vec<_> = self.0.get_args().map(OsStr::to_string_lossy).collect();
        format!("cargo {}", args.join(" "))
    }
}

/// The workspace's folder: the one above this package.
pub(crate) fn workspace() -> &'static str {
    concat!(env!("CARGO_MANIFEST_DIR"), "/..")
}

fn describes_a_package(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| {
        name.starts_with("CARGO_PKG_")
            || name.starts_with("CARGO_MANIFEST_")
            || matches!(
                name,
                "CARGO_BIN_NAME" | "CARGO_CRATE_NAME" | "CARGO_PRIMARY_PACKAGE" | "OUT_DIR"
            )
    })
}

#[cfg(test)]
mod tests {
    use anyhow::Result;

    use super::{Steps, describes_a_package};

    #[test]
    fn a_failing_step_is_named_in_the_error() {
        let mut steps = Steps::default();
        assert!(steps.run("first", || Ok(())).is_ok());
        let outcome: Result<()> = steps.run("second", || anyhow::bail!("no luck"));
        let error = outcome.expect_err("the step fails");
        assert_eq!(format!("{error:#}"), "the step \"second\" failed: no luck");
        assert_eq!(steps.done.len(), 2);
    }

    #[test]
    fn only_what_describes_the_xtask_package_is_kept_from_cargo() {
        for (name, kept_back) in [
            ("CARGO_PKG_VERSION_MAJOR", true),
            ("CARGO_MANIFEST_DIR", true),
            ("CARGO_TARGET_DIR", false),
            ("CARGO_INCREMENTAL", false),
            ("PATH", false),
        ] {
            assert_eq!(describes_a_package(name.as_ref()), kept_back, "{name}");
        }
    }
}
