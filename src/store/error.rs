//! Lives here: what can go wrong with the store, and which of it passes by itself.
//! Never here: what is done about it.

use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgDatabaseError, PgSeverity};

use crate::domain::ledger::Shortfall;

/// What can go wrong. What [`StoreError::passes`] does so by itself; the rest needs a person.
///
/// Each says all there is to say itself, and names no source: whoever prints a chain of sources would
/// print what a server says of contents.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be opened.
    #[error(
        "cannot open the database {url}: {}; check [store] url, and that it can be reached",
        words(cause)
    )]
    Open {
        /// As configured, without its password.
        url: String,
        /// The cause.
        cause: sqlx::Error,
    },
    /// The file with the server's password is of no use.
    #[error("the password of [store] password_file cannot be read: {path}: {why}")]
    Password {
        /// The file.
        path: String,
        /// What is wrong with it; never what is in it.
        why: String,
    },
    /// The URL says nothing that this program understands.
    #[error("[store] url cannot be used: {why}")]
    Url {
        /// What is wrong with it; never the URL itself, which may hold a password.
        why: String,
    },
    /// The server is not one that this program can work with.
    #[error("the PostgreSQL server cannot be used: {why}")]
    Server {
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// Another process has the database.
    #[error("another daemon uses the database: {holder}; stop it first")]
    InUse {
        /// What it holds, and who it is as far as that is known.
        holder: String,
    },
    /// Its folder, or the lock file in it, cannot be made.
    #[error("cannot create {path} for the database: {source}")]
    Folder {
        /// The folder or file.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// The schema cannot be brought up to date.
    #[error("cannot migrate the database: {}", words_of_migration(.0))]
    Migrate(MigrateError),
    /// A newer version has changed the schema so that this one cannot run on it any more.
    #[error(
        "the database needs a newer version of mnara: only programs of schema level {needs} or \
         later may run on it, this one is of level {level}; install the newer version again"
    )]
    TooNew {
        /// The lowest level of a program that may run on the schema.
        needs: i64,
        /// The level of this one.
        level: i64,
    },
    /// It is a copy that was broken off, or is not what it was copied from.
    #[error(
        "the database is a copy that is not complete: `mnara ctl store copy` with the same --from \
         and --to goes on with it"
    )]
    Incomplete,
    /// The database is not as this run has left it: it has gone back in time (a stale standby was
    /// promoted, a backup restored), or another daemon has written. What this process has in
    /// memory is worth nothing any more: it must end.
    #[error(
        "the database is not as this daemon left it: its last commit is number {found}, not \
         {expected}; a stale standby, a restored backup, or another daemon; the daemon must end"
    )]
    Diverged {
        /// The last commit that this run knows of.
        expected: i64,
        /// The one that was found.
        found: i64,
    },
    /// A statement failed.
    #[error("the database failed: {}", words(.0))]
    Sql(sqlx::Error),
    /// A row holds what no version of this program wrote.
    #[error("the database holds an impossible value in {what}; restore from a backup")]
    Corrupt {
        /// Where.
        what: &'static str,
    },
    /// The database will not have it, and has everything else: the log says why. Nothing was kept,
    /// and it would be the same again.
    #[error("the database will not have it")]
    Unfit,
    /// The organisation has not the credits. Nothing was kept.
    #[error("the balance does not reach: {} of {} credits are there", .0.balance, .0.required)]
    Short(Shortfall),
    /// Commits fail at present (disk full, say). Nothing was kept; try again.
    #[error("the store cannot commit at present")]
    Unavailable,
    /// More accepts wait than the queue holds. Nothing was kept; try again.
    #[error("the store is overloaded")]
    Overloaded,
    /// The database has not answered in time, or not before the daemon went down: it may be kept.
    #[error("whether it was kept is not known")]
    InDoubt,
    /// The daemon is going down. Nothing was kept.
    #[error("the daemon is shutting down")]
    Closed,
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<MigrateError> for StoreError {
    fn from(error: MigrateError) -> Self {
        Self::Migrate(error)
    }
}

impl StoreError {
    /// Whether it passes by itself: whoever asked may ask again in a while.
    pub fn passes(&self) -> bool {
        match self {
            Self::Unavailable | Self::Overloaded | Self::InDoubt | Self::Closed => true,
            Self::Sql(error) => breaks(error) || waits(error),
            Self::Open { .. }
            | Self::Url { .. }
            | Self::Password { .. }
            | Self::Server { .. }
            | Self::InUse { .. }
            | Self::Folder { .. }
            | Self::Migrate(_)
            | Self::TooNew { .. }
            | Self::Incomplete
            | Self::Diverged { .. }
            | Self::Corrupt { .. }
            | Self::Unfit
            | Self::Short(_) => false,
        }
    }

    /// Whether nothing was done: nothing speaks against asking again.
    pub fn refused(&self) -> bool {
        matches!(self, Self::Unfit | Self::Short(_))
            || (self.passes() && !matches!(self, Self::InDoubt))
    }

    /// What is to be said of something that is done in several commits when one of them is
    /// refused: that nothing was done holds only if none has been before.
    pub fn after(self, begun: bool) -> Self {
        if begun && self.refused() {
            Self::InDoubt
        } else {
            self
        }
    }

    /// Whether the server could not be reached when its database was to be opened, or was lost
    /// while it was: it may be starting just now.
    pub fn is_away(&self) -> bool {
        match self {
            Self::Open { cause, .. } => {
                let starting = |code: &str| code.starts_with("57P");
                let code = cause.as_database_error().and_then(|answer| answer.code());
                matches!(cause, sqlx::Error::Io(_))
                    || waits(cause)
                    || code.is_some_and(|code| starting(&code))
            }
            Self::Sql(source)
            | Self::Migrate(
                MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _),
            ) => breaks(source) || waits(source),
            Self::Url { .. }
            | Self::Password { .. }
            | Self::Server { .. }
            | Self::InUse { .. }
            | Self::Folder { .. }
            | Self::Migrate(_)
            | Self::TooNew { .. }
            | Self::Incomplete
            | Self::Diverged { .. }
            | Self::Corrupt { .. }
            | Self::Unfit
            | Self::Short(_)
            | Self::Unavailable
            | Self::Overloaded
            | Self::InDoubt
            | Self::Closed => false,
        }
    }

    /// Whether the daemon can go on no more with what it has in memory, or with its own version.
    pub(super) fn ends(&self) -> bool {
        matches!(self, Self::Diverged { .. } | Self::TooNew { .. })
    }

    /// Whether it is the database's word about what was to be written or was found there, over a
    /// connection that is well: it would say the same again, and perhaps of one part alone.
    pub(super) fn is_of_contents(&self) -> bool {
        match self {
            Self::Corrupt { .. } => true,
            Self::Sql(error) => is_of_contents(error),
            Self::Open { .. }
            | Self::Url { .. }
            | Self::Password { .. }
            | Self::Server { .. }
            | Self::InUse { .. }
            | Self::Folder { .. }
            | Self::Migrate(_)
            | Self::TooNew { .. }
            | Self::Incomplete
            | Self::Diverged { .. }
            | Self::Unfit
            | Self::Short(_)
            | Self::Unavailable
            | Self::Overloaded
            | Self::InDoubt
            | Self::Closed => false,
        }
    }

    /// Whether the connection that brought it can be used no more.
    pub(super) fn breaks(&self) -> bool {
        matches!(self, Self::Sql(error) if breaks(error))
    }
}

/// Whether the connection is lost with this error. A server's answer leaves it whole unless it is
/// the last one (fatal), or tells of a lost connection itself.
pub(super) fn breaks(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(answer) => {
            answer
                .try_downcast_ref::<PgDatabaseError>()
                .is_some_and(|answer| {
                    let last = matches!(answer.severity(), PgSeverity::Fatal | PgSeverity::Panic);
                    // 08: connection exceptions; 40003: whether the statement was done is not known;
                    // 57P01 to 57P05: the server goes down, or ends this session.
                    let code = answer.code();
                    last || code.starts_with("08") || code.starts_with("57P") || code == "40003"
                })
        }
        // Whatever else there is was decided here, or is about one value or one statement.
        _ => false,
    }
}

/// As [`StoreError::is_of_contents`].
fn is_of_contents(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::Encode(_) => true,
        sqlx::Error::Database(answer) => match answer.try_downcast_ref::<PgDatabaseError>() {
            Some(postgres) => !breaks(error) && is_class_of_contents(postgres.code()),
            None => answer
                .code()
                .and_then(|code| code.parse().ok())
                .is_some_and(is_result_of_contents),
        },
        _ => false,
    }
}

/// PostgreSQL's classes (appendix A of its manual): 21 cardinality, 22 data (values, arithmetic),
/// 23 integrity, 27 triggered change, 42 rules (a table, column or right that is not there), 44 check
/// option, 54 limits (a value too large for an index), P0 raised by a procedure.
/// None of them is what has only to be waited for, or a full disk, or too little memory (53).
fn is_class_of_contents(code: &str) -> bool {
    ["21", "22", "23", "27", "42", "44", "54", "P0"]
        .iter()
        .any(|class| code.starts_with(class))
}

/// SQLite's result codes, of which the lower octet says what it is: 1 error (arithmetic, a missing
/// table), 18 too big, 19 constraint (also `raise` of a trigger), 20 mismatch, 25 range.
const fn is_result_of_contents(code: u32) -> bool {
    matches!(code & 0xff, 1 | 18 | 19 | 20 | 25)
}

/// What a database says, for people. Never its details, which show rows; nor its message where that
/// may quote a value: those of class 22 do, those of P0 are written by others.
fn words(error: &sqlx::Error) -> String {
    let answer = error.as_database_error();
    let answer = answer.and_then(|answer| answer.try_downcast_ref::<PgDatabaseError>());
    match answer {
        Some(answer) => {
            let code = answer.code();
            if code.starts_with("22") || code.starts_with("P0") {
                return format!(
                    "SQLSTATE {code}; the server's own log has its words, which may show contents"
                );
            }
            // Not sqlx's own line: the number in it is one of PostgreSQL's sources.
            let said = format!("{} (SQLSTATE {code})", answer.message());
            if answer.hint().is_some_and(is_of_locks) {
                return format!(
                    "{said}; raise max_locks_per_transaction on its server and restart it"
                );
            }
            said
        }
        None => error.to_string(),
    }
}

/// Whether a server's hint is about its table of locks. The setting's name is in no language.
fn is_of_locks(hint: &str) -> bool {
    hint.contains("max_locks_per_transaction")
}

/// The same of a migration.
fn words_of_migration(error: &MigrateError) -> String {
    match error {
        MigrateError::Execute(cause) => words(cause),
        MigrateError::ExecuteMigration(cause, number) => format!("{number}: {}", words(cause)),
        // Whatever else there is sqlx says itself.
        other => other.to_string(),
    }
}

/// Whether something has only to be waited for.
fn waits(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => true,
        // Deadlock or serialization, too many connections, a lock not had in time, a statement
        // that took too long.
        sqlx::Error::Database(answer) => {
            answer
                .try_downcast_ref::<PgDatabaseError>()
                .is_some_and(|answer| {
                    let code = answer.code();
                    ["40001", "40P01", "53300", "55P03", "57014"].contains(&code)
                })
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_about_contents_is_told_from_what_will_pass() {
        for code in [
            "22003", "22021", "23505", "23514", "42P01", "54000", "P0001",
        ] {
            assert!(is_class_of_contents(code), "{code}");
        }
        // Serialization, deadlock, full disk, memory, connections, lock, read-only, shutdown,
        // disk error, corrupt index, a failed transaction, a plan that is out of date.
        for code in [
            "40001", "40P01", "53100", "53200", "53300", "55P03", "25006", "57P01", "57014",
            "58030", "XX002", "25P02", "0A000",
        ] {
            assert!(!is_class_of_contents(code), "{code}");
        }
        // Check, unique, trigger, mismatch, too big, overflow.
        for code in [275, 2067, 1811, 20, 18, 1] {
            assert!(is_result_of_contents(code), "{code}");
        }
        // Busy, locked, memory, read-only, input and output, corrupt, full, schema.
        for code in [5, 6, 7, 8, 10, 778, 11, 13, 17] {
            assert!(!is_result_of_contents(code), "{code}");
        }
        assert!(StoreError::Corrupt { what: "x" }.is_of_contents());
        assert!(!StoreError::Sql(sqlx::Error::PoolTimedOut).is_of_contents());
        assert!(StoreError::Unfit.refused() && !StoreError::Unfit.passes());
    }

    #[test]
    fn a_full_table_of_locks_is_known_by_the_server_s_hint_in_any_language() {
        assert!(is_of_locks(
            "You might need to increase max_locks_per_transaction."
        ));
        assert!(is_of_locks(
            "Sie müssen möglicherweise »max_locks_per_transaction« erhöhen."
        ));
        assert!(!is_of_locks("Check your disk."));
    }
}
