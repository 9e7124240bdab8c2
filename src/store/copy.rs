//! Lives here: moving a store from one database to another while no daemon has either: all rows of
//! all tables, and then the proof that both hold the same.
//!
//! What the last run left (open intents, leases, the note of an orderly end) goes along as it is:
//! the next daemon recovers as if it had opened the old store. The copy is marked until it is
//! proved, and no daemon opens it before. One that was broken off goes on behind the last key of
//! each table, as long as the old store has not been used since.
//!
//! PostgreSQL knows no U+0000, which carriers' dirty fields may hold: there it becomes U+FFFD, as
//! when a daemon writes such a field. The proof compares cleaned texts, and counts them.
//! Never here: SQL (`sql::pages`), printing.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::StoreError;
use super::rows::Rows;
use super::sql::Sql;
use super::sql::db::{Kind, Row, Value, clean};
use super::sql::pages::{PAGES, Pages, missing_file, take_whole};
use super::sql::tables::HOUSE;

/// How far a copy has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// The table.
    pub table: &'static str,
    /// Rows of this table that this run has been through.
    pub rows: u64,
}

/// What a copy does at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Rows go over.
    Copying,
    /// Both sides are read again and compared.
    Comparing,
}

/// What has become of a copy.
#[derive(Debug)]
pub struct Copied {
    /// Each table on both sides.
    pub tables: Vec<Compared>,
    /// Rows that this run has copied.
    pub rows: u64,
    /// Whether it went on with a copy that was broken off.
    pub resumed: bool,
}

/// A table on both sides.
#[derive(Debug)]
pub struct Compared {
    /// Its name.
    pub table: &'static str,
    /// The old store's.
    pub from: Content,
    /// The copy's.
    pub to: Content,
}

/// What a table holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// How many rows.
    pub rows: u64,
    /// The sum of a hash of each row, all columns. The same for the same rows in either database;
    /// not for ever: another version of the program may hash otherwise.
    pub checksum: u64,
    /// Texts with U+0000 in them.
    pub with_nul: u64,
}

/// Why a store was not copied. A copy that has begun is kept, marked, and may be gone on with.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// There is no old store.
    #[error("--from: there is no file {path}")]
    Missing {
        /// The file.
        path: String,
    },
    /// It would be copied onto itself.
    #[error("--from and --to are the same store")]
    Same,
    /// There is something else in the new store.
    #[error("--to: the table {table} is not empty; a store is copied into an empty database only")]
    NotEmpty {
        /// The first table that has rows.
        table: &'static str,
    },
    /// The copy that is there was begun from another state than the old store is in.
    #[error(
        "--to holds a copy that was broken off, and the store of --from is not the one it was \
         begun from, or has been used since; empty the database of --to and begin again"
    )]
    Moved,
    /// The old store failed.
    #[error("--from: {0}")]
    From(#[source] StoreError),
    /// The new store failed.
    #[error("--to: {0}")]
    To(#[source] StoreError),
}

impl Copied {
    /// Whether the copy is complete and proved: a daemon opens it.
    pub fn is_complete(&self) -> bool {
        self.tables.iter().all(Compared::agrees)
    }
}

impl Compared {
    /// Whether both sides hold the same.
    pub fn agrees(&self) -> bool {
        (self.from.rows, self.from.checksum) == (self.to.rows, self.to.checksum)
    }

    /// Texts whose U+0000 has become U+FFFD.
    pub fn cleaned(&self) -> u64 {
        self.from.with_nul.saturating_sub(self.to.with_nul)
    }
}

impl Content {
    /// Takes a row in.
    fn add(&mut self, cells: &[Value<'_>]) {
        let mut hasher = DefaultHasher::new();
        for cell in cells {
            match *cell {
                Value::Int(value) => value.hash(&mut hasher),
                Value::Text(text) => {
                    self.with_nul += u64::from(text.is_some_and(|text| text.contains('\0')));
                    text.map(clean).hash(&mut hasher);
                }
                Value::Bytes(octets) => octets.hash(&mut hasher),
                Value::Id(id) => id.hash(&mut hasher),
            }
        }
        self.rows += 1;
        self.checksum = self.checksum.wrapping_add(hasher.finish());
    }
}

/// Copies the store at the URL `from` into the empty database at `to`, or goes on with a copy that
/// was broken off, and compares them. The copy is marked unless [`Copied::is_complete`]. Memory is
/// bounded: a few pages of rows.
///
/// # Errors
/// [`CopyError`].
pub async fn copy(
    from: &str,
    to: &str,
    mut tell: impl FnMut(Progress),
) -> Result<Copied, CopyError> {
    if from == to {
        return Err(CopyError::Same);
    }
    if let Some(path) = missing_file(from) {
        return Err(CopyError::Missing { path });
    }
    let mut old = take_whole(from).await.map_err(CopyError::From)?;
    if old.copying().await.map_err(CopyError::From)?.is_some() {
        return Err(CopyError::From(StoreError::Incomplete));
    }
    let mut new = take_whole(to).await.map_err(CopyError::To)?;
    let resumed = begin(&mut old, &mut new).await?;
    let mut rows = 0;
    for pages in PAGES.iter() {
        rows += transfer(&mut old, &mut new, pages, &mut tell).await?;
    }
    let belongings = old.belongings().await.map_err(CopyError::From)?;
    new.put_down(&belongings).await.map_err(CopyError::To)?;
    let mut tables = vec![compare_house(&belongings, &mut new).await?];
    for pages in PAGES.iter() {
        tables.push(compare(&mut old, &mut new, pages, &mut tell).await?);
    }
    let copied = Copied {
        tables,
        rows,
        resumed,
    };
    new.unhurry().await.map_err(CopyError::To)?;
    if copied.is_complete() {
        new.unmark_copying().await.map_err(CopyError::To)?;
    }
    new.close(false).await.map_err(CopyError::To)?;
    old.close(false).await.map_err(CopyError::From)?;
    Ok(copied)
}

/// Marks the new store, if it is empty or marked already. Returns whether it was.
async fn begin(old: &mut Sql, new: &mut Sql) -> Result<bool, CopyError> {
    let commits = old.commits().await.map_err(CopyError::From)?;
    let marked = new.copying().await.map_err(CopyError::To)?;
    match marked {
        Some(begun_from) if begun_from != commits => return Err(CopyError::Moved),
        Some(_) => {}
        None => {
            for pages in PAGES.iter() {
                if new.last_key(pages).await.map_err(CopyError::To)?.is_some() {
                    let table = pages.table.name;
                    return Err(CopyError::NotEmpty { table });
                }
            }
            new.mark_copying(commits).await.map_err(CopyError::To)?;
        }
    }
    new.hurry().await.map_err(CopyError::To)?;
    Ok(marked.is_some())
}

/// Copies what of a table is not there yet; the next page is read while one is written.
async fn transfer(
    old: &mut Sql,
    new: &mut Sql,
    pages: &Pages,
    tell: &mut impl FnMut(Progress),
) -> Result<u64, CopyError> {
    let last = if pages.keys_are_kept() {
        new.last_key(pages).await.map_err(CopyError::To)?
    } else {
        // These tables are small; what is there is left out.
        None
    };
    let mut rows = 0;
    let mut page = old
        .page(pages, last.as_ref())
        .await
        .map_err(CopyError::From)?;
    while let Some(last) = page.last() {
        let cells = cells(pages, &page).map_err(CopyError::From)?;
        let (next, written) =
            tokio::join!(old.page(pages, Some(last)), new.write_page(pages, &cells));
        written.map_err(CopyError::To)?;
        rows += page.len() as u64;
        tell(Progress {
            stage: Stage::Copying,
            table: pages.table.name,
            rows,
        });
        page = next.map_err(CopyError::From)?;
    }
    Ok(rows)
}

/// Reads a table on both sides.
async fn compare(
    old: &mut Sql,
    new: &mut Sql,
    pages: &Pages,
    tell: &mut impl FnMut(Progress),
) -> Result<Compared, CopyError> {
    let mut compared = Compared {
        table: pages.table.name,
        from: Content::default(),
        to: Content::default(),
    };
    let (mut last, mut new_last) = (None, None);
    loop {
        let (page, new_page) = tokio::join!(
            old.page(pages, last.as_ref()),
            new.page(pages, new_last.as_ref())
        );
        let mut page = page.map_err(CopyError::From)?;
        let mut new_page = new_page.map_err(CopyError::To)?;
        if page.is_empty() && new_page.is_empty() {
            return Ok(compared);
        }
        for row in cells(pages, &page).map_err(CopyError::From)? {
            compared.from.add(&row);
        }
        for row in cells(pages, &new_page).map_err(CopyError::To)? {
            compared.to.add(&row);
        }
        tell(Progress {
            stage: Stage::Comparing,
            table: pages.table.name,
            rows: compared.from.rows,
        });
        // Behind the end there is nothing either.
        last = page.pop().or(last);
        new_last = new_page.pop().or(new_last);
    }
}

/// The same of what the last run has left to the next.
async fn compare_house(old: &[Row], new: &mut Sql) -> Result<Compared, CopyError> {
    let new = new.belongings().await.map_err(CopyError::To)?;
    let content = |rows: &[Row]| {
        let mut content = Content::default();
        for row in rows {
            content.add(&[row.value(0, Kind::Text)?, row.value(1, Kind::Int)?]);
        }
        Ok(content)
    };
    Ok(Compared {
        table: HOUSE.name,
        from: content(old).map_err(CopyError::From)?,
        to: content(&new).map_err(CopyError::To)?,
    })
}

fn cells<'r>(pages: &Pages, page: &'r [Row]) -> Result<Vec<Vec<Value<'r>>>, StoreError> {
    page.iter().map(|row| pages.cells(row)).collect()
}
