//! Lives here: commands on the database itself, which no daemon has at that time: moving a store
//! to another database, and what they print.
//! Never here: the moving (`store`).

use std::io::{self, Write};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::table::table;
use crate::store::{self, Copied, CopyError, FillError, Progress, Stage};

/// A long copy tells this often how far it has come.
const EVERY: Duration = Duration::from_secs(5);

/// What to do with a database.
#[derive(Debug, clap::Subcommand)]
pub enum StoreCommand {
    /// Move a store to another database, SQLite or PostgreSQL either way, and prove the copy.
    ///
    /// Stop the daemon first: both databases are taken as a daemon takes them. The new one must be
    /// empty (PostgreSQL: `createdb -E UTF8 mnara`; a file is made). Then everything goes over as
    /// it is: messages, what waits, what is in doubt, keys, secrets, the audit log. At the end both
    /// sides are read again and compared, table by table; until they agree no daemon opens the
    /// copy. A copy that was broken off goes on where it stopped when the same command is given
    /// again. The old store is not changed, beyond being brought to this version's schema.
    ///
    /// Afterwards set [store] url to the new database and start the daemon. Never start one on
    /// the old store again: it would send what waits there a second time.
    ///
    /// Exit status: 0 when the copy is complete and proved, otherwise 1.
    Copy {
        /// The store to copy: sqlite:PATH or postgres://USER@HOST:PORT/DATABASE. A command line can
        /// be read by others: leave a password to PGPASSWORD or ~/.pgpass.
        #[arg(long, value_name = "URL")]
        from: String,
        /// The empty database that it goes to.
        #[arg(long, value_name = "URL")]
        to: String,
    },
    /// Fill an empty database with messages that have ended, for measurements.
    #[command(hide = true)]
    Fill {
        /// The database.
        #[arg(long)]
        url: String,
        /// How many.
        #[arg(long)]
        messages: u64,
        /// The days before today over which they are spread, today up to now beside them.
        #[arg(long)]
        days: u32,
    },
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// The copy.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// The filling.
    #[error(transparent)]
    Fill(#[from] FillError),
    /// Standard output failed.
    #[error("cannot print the result: {0}")]
    Output(#[from] io::Error),
}

/// Carries a command out and prints what has come of it on standard output, on the way how far it
/// has come on standard error. Returns whether all is well.
///
/// # Errors
/// [`MoveError`]: one sentence for standard error; the exit status is then 1.
pub async fn run(command: &StoreCommand, json: bool) -> Result<bool, MoveError> {
    match command {
        StoreCommand::Copy { from, to } => {
            let begun = Instant::now();
            let mut told = Told {
                with: None,
                begun,
                last: begun,
            };
            let copied = store::copy(from, to, |progress| tell(&mut told, progress)).await?;
            let text = if json {
                format!("{}\n", document(&copied, begun.elapsed()))
            } else {
                people(&copied, begun.elapsed())
            };
            io::stdout().lock().write_all(text.as_bytes())?;
            Ok(copied.is_complete())
        }
        StoreCommand::Fill {
            url,
            messages,
            days,
        } => {
            store::fill(url, *messages, *days).await?;
            Ok(true)
        }
    }
}

/// When a copy began with a table, and when it last told how far it has come.
struct Told {
    with: Option<(Stage, &'static str)>,
    begun: Instant,
    last: Instant,
}

/// Tells how far a copy has come, if it was not told a moment ago.
fn tell(told: &mut Told, progress: Progress) {
    let Progress { stage, table, rows } = progress;
    let now = Instant::now();
    if told.with != Some((stage, table)) {
        // Its first page was begun when the one before ended, or nearly.
        told.with = Some((stage, table));
        told.begun = now;
    }
    if now.duration_since(told.last) >= EVERY {
        told.last = now;
        let stage = match stage {
            Stage::Copying => "copying",
            Stage::Comparing => "comparing",
        };
        let rate = rate(rows, now.duration_since(told.begun));
        // Nobody may be listening: the copy goes on.
        let _ = writeln!(io::stderr(), "{stage} {table}: rows {rows}{rate}");
    }
}

/// Nothing where there is nothing to measure.
fn rate(rows: u64, time: Duration) -> String {
    let rate = rows as f64 / time.as_secs_f64().max(0.001);
    if rate < 1.0 || time < Duration::from_millis(10) {
        String::new()
    } else {
        format!(", {rate:.0}/s")
    }
}

fn people(copied: &Copied, time: Duration) -> String {
    let head = [
        "TABLE",
        "ROWS FROM",
        "ROWS TO",
        "CHECKSUM FROM",
        "CHECKSUM TO",
        "CLEANED",
        "",
    ];
    let rows = copied.tables.iter().map(|one| {
        [
            one.table.to_owned(),
            one.from.rows.to_string(),
            one.to.rows.to_string(),
            format!("{:016x}", one.from.checksum),
            format!("{:016x}", one.to.checksum),
            one.cleaned().to_string(),
            if one.agrees() { "same" } else { "DIFFERENT" }.to_owned(),
        ]
    });
    let mut text = table(head, rows);
    let cleaned: u64 = copied.tables.iter().map(store::Compared::cleaned).sum();
    if cleaned > 0 {
        text.push_str(&format!(
            "{cleaned} texts of carriers held U+0000, which PostgreSQL does not know: now U+FFFD\n"
        ));
    }
    let resumed = if copied.resumed {
        ", going on with a copy that was broken off"
    } else {
        ""
    };
    text.push_str(&format!(
        "rows copied{resumed}: {}; copied and compared in {:.1} s{}\n",
        copied.rows,
        time.as_secs_f64(),
        rate(copied.rows, time),
    ));
    text.push_str(if copied.is_complete() {
        "the copy is complete: set [store] url to it; start no daemon on the old store again\n"
    } else {
        "THE COPY DIFFERS and no daemon will open it: empty the new database and begin again\n"
    });
    text
}

fn document(copied: &Copied, time: Duration) -> Value {
    let tables = copied.tables.iter().map(|one| {
        let side = |side: store::Content| {
            let checksum = format!("{:016x}", side.checksum);
            json!({"rows": side.rows, "checksum": checksum})
        };
        json!({
            "table": one.table,
            "from": side(one.from),
            "to": side(one.to),
            "cleaned": one.cleaned(),
            "same": one.agrees(),
        })
    });
    json!({
        "complete": copied.is_complete(),
        "resumed": copied.resumed,
        "rows_copied": copied.rows,
        "seconds": time.as_secs_f64(),
        "tables": tables.collect::<Vec<_>>(),
    })
}
