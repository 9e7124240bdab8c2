//! Lives here: where PostgreSQL's programs are on this machine. Never here: installing or running them.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::Error;

/// The oldest major version that the store supports.
pub const MAJOR_MIN: u32 = 15;

/// Names the folder of PostgreSQL's programs, where they are in none of the usual places.
pub const BIN_VARIABLE: &str = "MNARA_PG_BIN";

/// Debian keeps every version's programs in a folder of its own and out of PATH; so do Red Hat's kin, without the slash.
const VERSIONED: [(&str, &str); 2] = [("/usr/lib/postgresql", ""), ("/usr", "pgsql-")];

/// A folder with `initdb`, `postgres` and `psql` of a version that will do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binaries {
    folder: PathBuf,
}

impl Binaries {
    /// Looks in `MNARA_PG_BIN`, in PATH, and where Debian and Red Hat put them, the newest version first.
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub fn find() -> Result<Self, Error> {
        if let Some(folder) = env::var_os(BIN_VARIABLE).filter(|folder| !folder.is_empty()) {
            let folder = PathBuf::from(folder);
            return Self::at(&folder).map_err(|found| Error::Missing { found });
        }
        let path = env::var_os("PATH").unwrap_or_default();
        let mut found = "PostgreSQL's programs (initdb, postgres, psql) are not here".to_owned();
        for folder in env::split_paths(&path).chain(versioned()) {
            match Self::at(&folder) {
                Ok(binaries) => return Ok(binaries),
                // A version that is too old says more than a folder without any.
                Err(why) if folder.join("initdb").exists() => found = why,
                Err(_) => {}
            }
        }
        Err(Error::Missing { found })
    }

    /// The program of this name.
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn at(folder: &Path) -> Result<Self, String> {
        for name in ["initdb", "postgres", "psql"] {
            if !folder.join(name).is_file() {
                return Err(format!("{} has no {name}", folder.display()));
            }
        }
        let output = Command::new(folder.join("postgres"))
            .arg("--version")
            .stdin(Stdio::null())
            .output();
        let said = output
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
            .unwrap_or_default();
        match major(&said) {
            Some(major) if major >= MAJOR_MIN => Ok(Self {
                folder: folder.to_owned(),
            }),
            Some(major) => Err(format!(
                "{} has PostgreSQL {major}, which is too old",
                folder.display()
            )),
            None => Err(format!(
                "{} does not tell its version",
                folder.join("postgres").display()
            )),
        }
    }
}

/// The folders of all installed versions, the newest first.
fn versioned() -> Vec<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = Vec::new();
    for (above, prefix) in VERSIONED {
        let entries = fs::read_dir(above).into_iter().flatten().flatten();
        found.extend(entries.filter_map(|entry| {
            let name = entry.file_name();
            let version = name.to_str()?.strip_prefix(prefix)?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        }));
    }
    found.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    found.into_iter().map(|(_, folder)| folder).collect()
}

/// The major version in `postgres (PostgreSQL) 15.13 (Debian 15.13-0)`.
fn major(said: &str) -> Option<u32> {
    let (_, version) = said.split_once("(PostgreSQL) ")?;
    let digits = version
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(version.len());
    version[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_as_released_and_as_beta() {
        for (said, expected) in [
            (
                "postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)\n",
                Some(15),
            ),
            ("postgres (PostgreSQL) 9.6.24\n", Some(9)),
            ("postgres (PostgreSQL) 18beta1\n", Some(18)),
            ("postgres: not found", None),
            ("", None),
        ] {
            assert_eq!(major(said), expected, "{said}");
        }
    }

    #[test]
    fn a_folder_without_the_programs_says_which_is_missing() {
        let error = Binaries::at(Path::new("/nowhere")).unwrap_err();
        assert_eq!(error, "/nowhere has no initdb");
        let error = Error::Missing { found: error }.to_string();
        assert!(
            error.contains("postgresql-15") && error.contains(BIN_VARIABLE),
            "{error}"
        );
    }
}
