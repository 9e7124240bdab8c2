//! Lives here: the checks that are more than one cargo command: the C compiler, the crypto
//! provider, the service unit.
//! Never here: their order (`main`).

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::steps::{cargo, workspace};

/// Needs the compiler and the C library's headers, as SQLite does.
const C_PROBE: &[u8] = b"#include <stdlib.h>\nint main(void) { return EXIT_SUCCESS; }\n";

/// Packages that would bring a second crypto provider beside ring. rustls with two of them
/// panics at the first handshake unless one is chosen by hand.
const FOREIGN_CRYPTO: &[&str] = &["aws-lc-rs", "aws-lc-sys", "openssl-sys"];

const UNIT: &str = "mnara.service";

/// Checks that C can be compiled: SQLite, ring and mimalloc are built from source.
///
/// # Errors
/// When it cannot; the error says what to install.
pub(crate) fn c_compiler() -> Result<()> {
    let compiler = env::var_os("CC").unwrap_or_else(|| OsString::from("cc"));
    let advice = "install a C compiler with the C library's headers (Debian and Ubuntu: \
                  apt-get install build-essential; Fedora: dnf install gcc glibc-devel; \
                  Alpine: apk add build-base; macOS: xcode-select --install), or name \
                  yours in CC";
    let shown = compiler.to_string_lossy().into_owned();
    // CC may carry arguments or a wrapper ("ccache gcc"), as the builds of C code allow.
    let mut words = shown.split_whitespace();
    let program = words.next().unwrap_or("cc");
    let mut child = match Command::new(program)
        .args(words)
        .args(["-x", "c", "-fsyntax-only", "-"])
        .stdin(Stdio::piped())
        .spawn()
    {
        Ok(child) => child,
        Err(error) => bail!("no C compiler ({shown}: {error}): {advice}"),
    };
    if let Some(mut input) = child.stdin.take() {
        // A compiler that ends early says why by itself; its exit status decides.
        input.write_all(C_PROBE).ok();
    }
    let status = child.wait().context("cannot wait for the C compiler")?;
    if !status.success() {
        bail!("the C compiler does not work ({shown}: {status}): {advice}");
    }
    println!("    {shown} compiles C");
    Ok(())
}

/// Checks that no package of the build brings a crypto provider other than ring.
///
/// # Errors
/// When one does; the tree of what asks for it is printed.
pub(crate) fn crypto_provider() -> Result<()> {
    let tree = cargo(["tree", "--workspace", "--prefix", "none"])
        .args(["--format", "{p}"])
        .output()?;
    let Some(foreign) = foreign_crypto(&tree) else {
        println!("    none of {}", FOREIGN_CRYPTO.join(", "));
        return Ok(());
    };
    cargo(["tree", "--workspace", "--invert", foreign]).run()?;
    bail!("{foreign} is in the build; ring is to be the only crypto provider");
}

/// Whether `cargo nextest` can be run here.
pub(crate) fn has_nextest() -> bool {
    cargo(["nextest", "--version"]).succeeds()
}

/// Lets systemd judge the service unit, where systemd is installed.
///
/// The unit names the installed binary, which a checking machine does not have. So a copy
/// is judged whose command is the debug binary, which must have been built before.
///
/// # Errors
/// When systemd finds anything to say about the unit.
pub(crate) fn service_unit() -> Result<()> {
    let unit = fs::read_to_string(Path::new(workspace()).join("systemd").join(UNIT))
        .context("cannot read systemd/mnara.service")?;
    let binary = debug_binary()?;
    let copy = with_binary(&unit, &binary)?;

    let folder = env::temp_dir().join(format!("mnara-unit-{}", process::id()));
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let verdict = verify(&folder.join(UNIT), &copy);
    fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    verdict
}

fn verify(path: &Path, unit: &str) -> Result<()> {
    fs::write(path, unit).with_context(|| format!("cannot write {}", path.display()))?;
    let output = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(path)
        .stdin(Stdio::null())
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            println!("    systemd-analyze is not installed; the unit was not judged");
            return Ok(());
        }
        Err(error) => return Err(error).context("cannot start systemd-analyze"),
    };
    let said = String::from_utf8_lossy(&output.stderr);
    print!("{said}");
    // An unknown key is only a warning to systemd and leaves the status at 0. Units of the
    // machine may have complaints of their own, so only lines about ours count then.
    if !output.status.success() || said.contains(UNIT) {
        bail!("systemd-analyze verify objects to systemd/{UNIT}");
    }
    println!("    systemd-analyze verify has no objection to systemd/{UNIT}");
    Ok(())
}

/// The daemon's binary beside this one: both are built into the same folder.
fn debug_binary() -> Result<PathBuf> {
    let own = env::current_exe().context("cannot tell where this binary is")?;
    let binary = own.with_file_name("mnara");
    if !binary.is_file() {
        bail!(
            "{} is not there; the build should have made it",
            binary.display()
        );
    }
    Ok(binary)
}

/// Runs the load generator's release binary, which must have been built before.
///
/// # Errors
/// When what it measured is not ok.
pub(crate) fn loadtest(arguments: &[&str]) -> Result<()> {
    let status = Command::new(release_binary("mnara-loadtest")?)
        .args(arguments)
        .status()
        .context("cannot start mnara-loadtest")?;
    if !status.success() {
        bail!(
            "mnara-loadtest {} is not ok ({status})",
            arguments.join(" ")
        );
    }
    Ok(())
}

/// A load profile of the release daemon, with options that make it smaller.
///
/// # Errors
/// As [`loadtest`].
pub(crate) fn profile(name: &str, options: &[&str]) -> Result<()> {
    let daemon = release_binary("mnara")?;
    let daemon = daemon
        .to_str()
        .context("the target folder's path is not UTF-8")?;
    let mut arguments = vec!["run", name, "--json", "--daemon", daemon];
    arguments.extend(options);
    loadtest(&arguments)
}

fn release_binary(name: &str) -> Result<PathBuf> {
    let debug = env::current_exe().context("cannot tell where this binary is")?;
    debug
        .ancestors()
        .nth(2)
        .map(|target| target.join("release").join(name))
        .context("this binary is in no target folder")
}

/// The unit with the program of its `ExecStart=` replaced and its arguments kept.
fn with_binary(unit: &str, binary: &Path) -> Result<String> {
    let mut replaced = 0;
    let mut copy = String::with_capacity(unit.len() + 64);
    for line in unit.lines() {
        match line.strip_prefix("ExecStart=") {
            Some(command) => {
                let arguments = command.split_once(' ').map_or("", |(_, rest)| rest);
                copy.push_str(&format!("ExecStart={} {arguments}", binary.display()));
                replaced += 1;
            }
            None => copy.push_str(line),
        }
        copy.push('\n');
    }
    if replaced != 1 {
        bail!("the unit has {replaced} lines ExecStart=, not one");
    }
    Ok(copy)
}

/// The first package of `cargo tree --prefix none --format {p}` that is foreign crypto.
fn foreign_crypto(tree: &str) -> Option<&'static str> {
    FOREIGN_CRYPTO.iter().copied().find(|foreign| {
        tree.lines()
            .filter_map(|line| line.split_whitespace().next())
            .any(|package| package == *foreign)
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{foreign_crypto, with_binary};

    #[test]
    fn the_copy_of_the_unit_differs_in_the_program_alone() {
        let unit = "[Service]\nExecStart=/usr/bin/mnara serve --config /etc/m.toml\nUser=m\n";
        let copy = with_binary(unit, Path::new("/t/debug/mnara")).expect("one ExecStart");
        assert_eq!(
            copy,
            "[Service]\nExecStart=/t/debug/mnara serve --config /etc/m.toml\nUser=m\n"
        );
    }

    #[test]
    fn a_unit_without_its_command_is_refused() {
        assert!(with_binary("[Service]\nUser=m\n", Path::new("/t/mnara")).is_err());
    }

    #[test]
    fn a_second_crypto_provider_is_found_by_its_whole_name() {
        let ours = "rustls v0.23.46\nring v0.17.14\nrustls v0.23.46 (*)\naws-lc-rs-like v1.0.0\n";
        assert_eq!(foreign_crypto(ours), None);
        let theirs = format!("{ours}aws-lc-sys v0.30.0\n");
        assert_eq!(foreign_crypto(&theirs), Some("aws-lc-sys"));
    }
}
