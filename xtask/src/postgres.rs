//! Lives here: the PostgreSQL that the tests run on: the one of `DATABASE_URL`, else a private one, whose programs are
//! installed where that is possible. Never here: how a private server works (`mnara_privatepg`).

use std::env;
use std::fs;

use anyhow::{Context, Result, ensure};
use mnara_privatepg::{
    BIN_VARIABLE, Binaries, Database, Durability, MAJOR_MIN, Server, URL_VARIABLE,
};

use crate::tools::apt_install;

/// Debian's packages: the oldest version that will do, and whatever the release has.
const PACKAGES: [&str; 2] = ["postgresql-15", "postgresql"];

/// Says whether installing a server also makes and starts a cluster, which nobody asked for.
const CLUSTERS: &str = "/etc/postgresql-common/createcluster.conf";

/// A server for one run of the tests; a private one ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Postgres {
    url: String,
    _private: Option<Server>,
}

impl Postgres {
    /// Checks the server of `DATABASE_URL`, or starts a private one.
    ///
    /// # Errors
    /// When there is none, or its role may not create databases.
    pub(crate) fn start() -> Result<Self> {
        let (url, private) = match given() {
            Some(url) => (url, None),
            None => {
                let server = Server::start(Durability::Fast)?;
                (server.url("postgres"), Some(server))
            }
        };
        let version = Database::on(&url)
            .and_then(|database| database.run("SHOW server_version"))
            .context("the tests need a PostgreSQL where they may create databases")?;
        let whose = if private.is_some() {
            "a private one"
        } else {
            "the one of DATABASE_URL"
        };
        let version = version.trim();
        let major = version
            .split(['.', ' '])
            .next()
            .and_then(|major| major.parse().ok());
        ensure!(
            major.is_some_and(|major: u32| major >= MAJOR_MIN),
            "{URL_VARIABLE} names a PostgreSQL {version}; the oldest that will do is {MAJOR_MIN}"
        );
        println!("    PostgreSQL {version}, {whose}");
        Ok(Self {
            url,
            _private: private,
        })
    }

    /// What the tests find in `DATABASE_URL`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

/// Installs PostgreSQL's programs where they are missing and that is possible (root on Debian and its kin). They are
/// needed beside a `DATABASE_URL` too: some tests kill a server, which is then one of their own.
///
/// # Errors
/// When they are missing and cannot be installed; the error says what to install.
pub(crate) fn present() -> Result<()> {
    // Whoever names a folder means that one and no package.
    if Binaries::find().is_err() && env::var_os(BIN_VARIABLE).is_none() {
        println!("    installing PostgreSQL");
        install()?;
    }
    Binaries::find().context("the tests start PostgreSQL")?;
    println!("    PostgreSQL's programs are there");
    Ok(())
}

fn given() -> Option<String> {
    env::var(URL_VARIABLE).ok().filter(|url| !url.is_empty())
}

/// Installs the server's programs and no cluster, as far as that is possible.
fn install() -> Result<()> {
    if !apt_install(&["postgresql-common"]) {
        return Ok(());
    }
    let before = fs::read_to_string(CLUSTERS).with_context(|| CLUSTERS.to_owned())?;
    let without = format!("{before}\ncreate_main_cluster = false\n");
    fs::write(CLUSTERS, without).with_context(|| CLUSTERS.to_owned())?;
    // The first that can be installed; what came of it is for the next look to say.
    let _ = PACKAGES.iter().any(|package| apt_install(&[package]));
    // What the owner of the machine installs later is for the owner to say.
    fs::write(CLUSTERS, before).with_context(|| CLUSTERS.to_owned())
}
