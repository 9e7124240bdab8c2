//! Lives here: the migrations of both databases, as the program carries them, and their level.
//! Never here: what they say (`migrations/`), running them.

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// One of the files: its number, its name and its text. A file is never changed after its release.
type File = (i64, &'static str, &'static str);

const SQLITE: &[File] = &[(
    1,
    "house",
    include_str!("../../../migrations/sqlite/0001_house.sql"),
)];

const POSTGRES: &[File] = &[(
    1,
    "house",
    include_str!("../../../migrations/postgres/0001_house.sql"),
)];

/// SQLite's.
pub(super) fn sqlite() -> Migrator {
    migrator(SQLITE)
}

/// PostgreSQL's.
pub(super) fn postgres() -> Migrator {
    migrator(POSTGRES)
}

/// The level of a program: that of the last of its migrations.
pub(super) fn level_of(migrations: &Migrator) -> i64 {
    let versions = migrations.iter().map(|migration| migration.version);
    versions.max().unwrap_or_default()
}

/// As `sqlx::migrate!` would make it, which takes both databases and TLS into the compiler.
fn migrator(files: &[File]) -> Migrator {
    let migration = |(version, name, sql): &File| {
        let (name, sql) = ((*name).into(), sql.into_sql_str());
        Migration::new(*version, name, MigrationType::Simple, sql, false)
    };
    let mut migrations = Migrator::with_migrations(files.iter().map(migration).collect());
    // What a newer version has added; what it has taken away `house` tells.
    migrations.set_ignore_missing(true);
    migrations
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_carried_under_its_name() {
        for (folder, files) in [("sqlite", SQLITE), ("postgres", POSTGRES)] {
            let folder = format!("{}/migrations/{folder}", env!("CARGO_MANIFEST_DIR"));
            let found = std::fs::read_dir(&folder).unwrap();
            let mut found: Vec<_> = found
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            found.sort();
            let carried = files
                .iter()
                .map(|(number, name, _)| format!("{number:04}_{name}.sql"));
            assert_eq!(found, carried.collect::<Vec<_>>(), "{folder}");
        }
    }
}
