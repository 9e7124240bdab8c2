//! Lives here: the project's own commands, `cargo xtask test | ci | bench | …`, each as the
//! list of its steps. Never here: how a step runs (`steps`) or what a check looks at
//! (`checks`).

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use mnara_privatepg::URL_VARIABLE;

use postgres::Postgres;
use steps::{Steps, cargo};

mod checks;
mod contract;
mod postgres;
mod steps;
mod tools;

/// The package that measures our codec beside the rival crates.
const RIVALS: &str = "smpp/rivals/Cargo.toml";

/// The one way to check the project.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Clone, Subcommand)]
enum Task {
    /// Do all set-up that a fresh machine needs, then run every test.
    Test {
        /// Run only what these select, as for `cargo nextest run`: `-- -p mnara --lib store`.
        #[arg(last = true)]
        selection: Vec<String>,
    },
    /// Everything that `main` must pass: format, lints, docs, tests, service unit.
    Ci,
    /// Write the committed description of the API anew.
    Openapi {
        /// Make it the promise that later states are held against: when a version is released.
        #[arg(long)]
        release: bool,
    },
    /// Let schemathesis (from PyPI) try every route of a daemon against the API's own description.
    Schemathesis {
        /// Requests for each route, at most, in each phase.
        #[arg(long, default_value_t = 50)]
        examples: u32,
    },
    /// Run the benches and the load profiles; takes minutes and wants a quiet machine.
    Bench,
}

/// The load profiles, with what makes some of them small: all together take about ten minutes. Those
/// on PostgreSQL use the server of `DATABASE_URL`, else a private one each; the one that kills it has
/// its own in any case.
const PROFILES: &[(&str, &[&str])] = &[
    ("singles", &[]),
    ("singles-full", &[]),
    (
        "otp-under-backlog",
        &["--messages", "100000", "--seconds", "15"],
    ),
    ("fairness", &["--messages", "10000"]),
    ("throttle", &["--seconds", "10"]),
    ("failover", &["--seconds", "12"]),
    ("receipt-flood", &["--seconds", "10"]),
    ("receipt-dirt", &["--messages", "10000"]),
    ("slow-carrier", &["--seconds", "10"]),
    ("singles-full", &["--store", "both"]),
    ("stored", &["--rows", "100000", "--store", "sqlite"]),
    ("stored", &["--rows", "100000", "--store", "postgres"]),
    ("pg-kill", &["--kills", "3"]),
];

fn main() -> ExitCode {
    let task = Arguments::parse().task;
    let mut steps = Steps::default();
    let outcome = match task {
        Task::Test { selection } => test(&mut steps, &selection),
        Task::Ci => ci(&mut steps),
        Task::Openapi { release } => steps.run("description", || contract::openapi(release)),
        Task::Schemathesis { examples } => {
            steps.run("schemathesis", || contract::schemathesis(examples))
        }
        Task::Bench => bench(&mut steps),
    };
    steps.print_times();
    match outcome {
        Ok(()) => {
            println!("xtask: everything passed.");
            ExitCode::SUCCESS
        }
        Err(error) => {
            // Cargo's own output stands above; this says which step it belonged to.
            println!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn test(steps: &mut Steps, selection: &[String]) -> Result<()> {
    steps.run("C compiler", checks::c_compiler)?;
    steps.run("tools", tools::present)?;
    steps.run("PostgreSQL's programs", postgres::present)?;
    run_tests(steps, selection)
}

/// Cheap steps first. All of them use the dev profile and select the whole workspace, so
/// that dependencies are checked once (lints, docs) and compiled once (tests, unit).
fn ci(steps: &mut Steps) -> Result<()> {
    steps.run("C compiler", checks::c_compiler)?;
    steps.run("tools", tools::present)?;
    steps.run("PostgreSQL's programs", postgres::present)?;
    steps.run("format", || cargo(["fmt", "--all", "--check"]).run())?;
    steps.run("one crypto provider", checks::crypto_provider)?;
    steps.run("lints", || {
        cargo(["clippy", "--workspace", "--all-targets"])
            .args(["--", "-D", "warnings"])
            .run()
    })?;
    steps.run("docs", || {
        cargo(["doc", "--workspace", "--no-deps"])
            .env("RUSTDOCFLAGS", "-D warnings")
            .run()
    })?;
    // With the tests among the targets, the features are those of the test steps below.
    steps.run("build", || {
        cargo(["build", "--workspace", "--bins", "--tests"]).run()
    })?;
    steps.run("service unit", checks::service_unit)?;
    run_tests(steps, &[])
}

fn bench(steps: &mut Steps) -> Result<()> {
    steps.run("C compiler", checks::c_compiler)?;
    steps.run("PostgreSQL's programs", postgres::present)?;
    steps.run("criterion benches", || {
        cargo(["bench", "--package", "mnara", "--benches"]).run()
    })?;
    // A workspace of its own, so that no rival is ever in the daemon's build or lock file.
    steps.run("rival crates, times", || {
        cargo(["bench", "--manifest-path", RIVALS, "--bench", "codec"]).run()
    })?;
    steps.run("rival crates, allocations", || {
        cargo(["run", "--release", "--manifest-path", RIVALS]).run()
    })?;
    // Once for all that follows, and with the features of the whole workspace.
    steps.run("release build", || {
        cargo(["build", "--release", "--workspace", "--bins"]).run()
    })?;
    for (window, messages) in [("100", "3000000"), ("1", "200000")] {
        steps.run(
            &format!("submit pairs over loopback, window {window}"),
            || {
                checks::loadtest(&[
                    "esme",
                    "--loopback",
                    "--json",
                    "--window",
                    window,
                    "--messages",
                    messages,
                ])
            },
        )?;
    }
    for (profile, options) in PROFILES {
        let step = format!("load profile {profile} {}", options.join(" "));
        steps.run(step.trim_end(), || checks::profile(profile, options))?;
    }
    Ok(())
}

/// Every test or those selected, the runner's summary last: it is the line one looks for. They share one PostgreSQL, each
/// with databases of its own; a private one ends with this function, however that ends.
fn run_tests(steps: &mut Steps, selection: &[String]) -> Result<()> {
    let postgres = steps.run("PostgreSQL", Postgres::start)?;
    if selection.is_empty() {
        steps.run("doc tests", || {
            cargo(["test", "--workspace", "--doc"]).run()
        })?;
    }
    let tests = if checks::has_nextest() {
        cargo(["nextest", "run", "--no-fail-fast"])
    } else {
        println!("xtask: cargo-nextest is not installed; cargo test runs the same tests.");
        cargo(["test", "--tests", "--no-fail-fast"])
    };
    let tests = if selection.is_empty() {
        tests.args(["--workspace"])
    } else {
        tests.args(selection)
    };
    steps.run("tests", || tests.env(URL_VARIABLE, postgres.url()).run())
}
