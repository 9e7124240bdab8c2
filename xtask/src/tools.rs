//! Lives here: the programs that tests run, found or installed.
//! Never here: checks of the project itself, or PostgreSQL (`postgres`).

use std::process::{Command, Stdio};

use anyhow::{Result, bail};

/// Each program and the Debian package that brings it: the documentation's own samples are run
/// with curl and Python, a full disk is made with prlimit, and tshark reads what the SMPP crate
/// writes.
const TOOLS: [(&str, &str); 4] = [
    ("curl", "curl"),
    ("python3", "python3"),
    ("prlimit", "util-linux"),
    ("tshark", "tshark"),
];

/// Installs what is missing where that is possible (root on Debian and its kin).
///
/// # Errors
/// When something is missing and cannot be installed; the error says what to install.
pub(crate) fn present() -> Result<()> {
    let missing: Vec<(&str, &str)> = TOOLS
        .into_iter()
        .filter(|(program, _)| !runs(program, "--version"))
        .collect();
    if missing.is_empty() {
        println!("    curl, python3, prlimit and tshark are there");
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
    println!("    installing {}", packages.join(", "));
    if apt_install(&packages) {
        return Ok(());
    }
    bail!(
        "the tests need {}: install the packages {} and run this again",
        missing
            .iter()
            .map(|(program, _)| *program)
            .collect::<Vec<_>>()
            .join(", "),
        packages.join(", ")
    );
}

/// Installs Debian's packages; false where that is not possible.
pub(crate) fn apt_install(packages: &[&str]) -> bool {
    let install = ["install", "--yes", "--no-install-recommends"];
    runs("apt-get", "--version") && apt(&["update"]) && apt(&[&install, packages].concat())
}

fn runs(program: &str, argument: &str) -> bool {
    let mut command = Command::new(program);
    command
        .arg(argument)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn apt(arguments: &[&str]) -> bool {
    let mut command = Command::new("apt-get");
    command
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
