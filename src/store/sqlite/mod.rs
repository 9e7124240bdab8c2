//! Lives here: the embedded store: opening it, and committing one batch of the writer.
//! Never here: channels, tasks, decisions about messages.

mod accept;
mod bulk;
mod control;
mod judge;
mod outbox;
mod people;
mod read;
mod receipts;
mod settle;

use std::collections::{HashMap, HashSet};
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection};

use super::batch::{Batch, Chore, ChoreDone, Effects};
use super::{Carriers, Config, StoreError};
use crate::domain::ids::{CarrierId, IntentId, MessageSeq, Place, ReceiptKey};
use crate::domain::lifecycle::{self, SegmentState};
use crate::domain::message::{Message, State};
use crate::domain::receipt::Receipt;
use crate::domain::time::Timestamp;
use crate::flow::{AttemptRecord, EventJob, EventKind, Ready, ReceiptResult, Reroute, Transition};

pub(super) use people::OrgBy;
pub(super) use receipts::AttemptId;
pub(super) use settle::Recovered;

/// The writer's own connection and what it keeps in memory beside it.
pub(super) struct Sqlite {
    conn: SqliteConnection,
    carriers: Arc<Carriers>,
    /// The next number for a `seq` or a place: one counter for both.
    next_place: i64,
    next_intent: i64,
    /// Keys of parked receipts, so that outcomes need not look in an empty inbox. May hold keys
    /// that are gone; never lacks one that is there.
    parked: HashSet<ReceiptKey>,
    /// OTP messages up to here may have been sent by a run that did not end well.
    unsure: Place,
    /// An operator has changed what waits: until then every batch is looked at before it is handed
    /// to its bind, not only resends.
    watchful_until: Timestamp,
    /// Keeps a second daemon away; the system lets go of it with the process, however it ends.
    _lock: File,
}

/// The readers' pool.
pub(super) struct Reader {
    pool: SqlitePool,
    carriers: Arc<Carriers>,
    /// As the writer's.
    unsure: Place,
}

/// Opens the database (creating it and its folder), migrates it, and settles what a crash left.
pub(super) async fn open(
    config: &Config,
    carriers: Arc<Carriers>,
) -> Result<(Sqlite, Reader, Recovered), StoreError> {
    let options = SqliteConnectOptions::from_str(&config.url)
        .map_err(|error| StoreError::Open {
            url: config.url.clone(),
            source: error,
        })?
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(5))
        .pragma("temp_store", "memory")
        // 16 MiB: at each commit SQLite walks the cache's whole table, which grows with the cache.
        .pragma("cache_size", "-16384")
        .pragma("wal_autocheckpoint", "4000")
        .statement_cache_capacity(512)
        .disable_statement_logging();
    let lock = prepare(options.get_filename())?;
    let failed = |source| StoreError::Open {
        url: config.url.clone(),
        source,
    };
    let mut conn = SqliteConnection::connect_with(&options)
        .await
        .map_err(failed)?;
    sqlx::migrate!("migrations/sqlite").run(&mut conn).await?;
    let mut transaction = conn.begin().await?;
    let recovered = settle::recover(&mut transaction).await?;
    transaction.commit().await?;
    let parked = receipts::inbox::parked_keys(&mut conn).await?;
    let pool = SqlitePoolOptions::new()
        .max_connections(config.readers)
        .acquire_timeout(config.read_timeout)
        .connect_with(options.read_only(true).create_if_missing(false))
        .await
        .map_err(failed)?;
    let next_place = recovered.last.0 + 1;
    let unsure = if recovered.orderly {
        Place(0)
    } else {
        recovered.last
    };
    let writer = Sqlite {
        conn,
        carriers: Arc::clone(&carriers),
        next_place,
        next_intent: 1,
        parked,
        unsure,
        watchful_until: Timestamp(0),
        _lock: lock,
    };
    let reader = Reader {
        pool,
        carriers,
        unsure,
    };
    Ok((writer, reader, recovered))
}

/// Makes the folder and the file if they are not there, readable by the daemon's user only (they
/// hold texts, numbers and secrets; SQLite gives its log the same rights), and takes the database
/// for this process. A second daemon would otherwise recover what the first has under way: its
/// intents would count as lost, and its messages be sent twice.
fn prepare(database: &Path) -> Result<File, StoreError> {
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |source| StoreError::Folder { path, source }
    };
    if let Some(folder) = database.parent() {
        let mut builder = DirBuilder::new();
        builder
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(failed(folder))?;
    }
    let private = |path: &Path| {
        let mut options = OpenOptions::new();
        options
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path)
            .map_err(failed(path))
    };
    let mut beside = database.as_os_str().to_owned();
    beside.push(".lock");
    let beside = PathBuf::from(beside);
    let lock = private(&beside)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(StoreError::InUse {
                holder: format!("it holds {}", beside.display()),
            });
        }
        Err(TryLockError::Error(source)) => return Err(failed(&beside)(source)),
    }
    private(database)?;
    Ok(lock)
}

impl Sqlite {
    /// The configured accounts.
    pub(super) fn carriers(&self) -> &Carriers {
        &self.carriers
    }

    /// The number of the next accepted message, its place as well. A number is not used again if
    /// its commit fails.
    pub(super) fn next_seq(&mut self) -> MessageSeq {
        self.next_place += 1;
        MessageSeq(self.next_place - 1)
    }

    /// A place at the end of a lane.
    fn next_place(&mut self) -> Place {
        Place(self.next_seq().0)
    }

    /// The id of the next intent.
    pub(super) fn next_intent(&mut self) -> IntentId {
        self.next_intent += 1;
        IntentId(self.next_intent - 1)
    }

    /// Commits a batch as one transaction, or nothing of it.
    ///
    /// Within it accepts come first, then what carriers answered, then receipts (so that a
    /// receipt finds the response that came with it), then everything that can wait.
    pub(super) async fn commit(&mut self, batch: &Batch) -> Result<Effects, StoreError> {
        sqlx::query("begin immediate")
            .execute(&mut self.conn)
            .await?;
        let done = match self.apply(batch).await {
            Ok(effects) => sqlx::query("commit")
                .execute(&mut self.conn)
                .await
                .map(|_| effects)
                .map_err(Into::into),
            Err(error) => Err(error),
        };
        if let Ok(effects) = &done {
            let gone = |key: &&ReceiptKey| !effects.parked.contains(key);
            for key in effects.home.iter().filter(gone) {
                self.parked.remove(key);
            }
        } else {
            // The transaction may be gone already; then there is nothing to roll back.
            let _ = sqlx::query("rollback").execute(&mut self.conn).await;
        }
        done
    }

    /// Finds out whether commits work, by one that really writes and leaves nothing behind.
    pub(super) async fn probe(&mut self) -> Result<(), StoreError> {
        let mut transaction = self.conn.begin().await?;
        for sql in [
            "insert or replace into intents (id, carrier, bind, at, messages) values (0, '', '', 0, zeroblob(8192))",
            "delete from intents where id = 0",
        ] {
            sqlx::query(sql).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    async fn apply(&mut self, batch: &Batch) -> Result<Effects, StoreError> {
        let mut effects = Effects::default();
        let accepted: Vec<Arc<Message>> = batch
            .accepts
            .iter()
            .map(|accept| Arc::clone(&accept.message))
            .collect();
        accept::insert(&mut self.conn, &self.carriers, &accepted).await?;
        effects.committed = accepted
            .into_iter()
            .filter(|one| accept::initial_state(one) == State::Queued)
            .map(Ready::first)
            .collect();
        settle::intend(&mut self.conn, &batch.intents).await?;
        self.settle(batch, &mut effects).await?;
        self.turn_back_stale(batch, &mut effects).await?;
        let records: Vec<_> = batch
            .deliveries
            .iter()
            .flat_map(|deliveries| &deliveries.records)
            .collect();
        outbox::record(&mut self.conn, &records).await?;
        outbox::due_at(&mut self.conn, &batch.left).await?;
        for chore in &batch.chores {
            let done = self.chore(&chore.chore, &mut effects).await?;
            if let Some(audit) = &chore.audit {
                control::note_done(&mut self.conn, audit, &done).await?;
            }
            effects.chores.push(done);
        }
        Ok(effects)
    }

    /// Outcomes, then new receipts together with parked ones that the outcomes have brought home.
    async fn settle(&mut self, batch: &Batch, effects: &mut Effects) -> Result<(), StoreError> {
        let settlements = || batch.settlements.iter().map(|settle| &settle.settlement);
        let records: Vec<_> = settlements()
            .flat_map(|settlement| &settlement.attempts)
            .collect();
        let keys = settle::attempts(&mut self.conn, &records).await?;
        let transitions: Vec<_> = settlements()
            .flat_map(|settlement| &settlement.transitions)
            .collect();
        let refused = self.transitions(&transitions, effects).await?;
        // What was to be queued anew and is not in doubt any more has been told to its lane already.
        let requeued = |seq| refused.contains(&(seq, State::Queued));
        let reroutes: Vec<&Reroute> = settlements()
            .flat_map(|settlement| &settlement.reroutes)
            .filter(|reroute| !requeued(reroute.ready.message.seq))
            .collect();
        self.reroute(&reroutes, effects).await?;
        let closed: Vec<_> = settlements()
            .flat_map(|settlement| &settlement.closed_intents)
            .chain(&batch.closed)
            .copied()
            .collect();
        settle::close(&mut self.conn, &closed).await?;

        let home: Vec<ReceiptKey> = keys
            .into_iter()
            .filter(|key| self.parked.contains(key))
            .collect();
        let parked = receipts::inbox::unpark(&mut self.conn, &home).await?;
        effects.home = home;
        let mut several: Vec<MessageSeq> = transitions
            .iter()
            .filter(|one| one.to == State::Submitted && one.message.segments > 1)
            .map(|one| one.message.seq)
            .collect();
        let late = self.accepted_late(&records, &several).await?;
        self.transitions(&late.iter().collect::<Vec<_>>(), effects)
            .await?;
        several.extend(late.iter().map(|one| one.message.seq));
        let arrived = batch.receipts.iter().flat_map(|arrived| &arrived.receipts);
        let all: Vec<Receipt> = parked.iter().chain(arrived).cloned().collect();
        let mut orphans = Vec::new();
        if !(all.is_empty() && several.is_empty()) {
            let correlated =
                receipts::apply(&mut self.conn, &self.carriers, &all, &several).await?;
            let mut results = correlated.results[parked.len()..].iter().copied();
            for arrived in &batch.receipts {
                let results: Vec<_> = results.by_ref().take(arrived.receipts.len()).collect();
                let parked = arrived.receipts.iter().zip(&results);
                orphans.extend(
                    parked
                        .filter(|(_, result)| **result == ReceiptResult::Parked)
                        .map(|(receipt, _)| receipt),
                );
                effects.receipts.push(results);
            }
            self.correlated(&all, parked.len(), correlated, effects);
        }
        let now = records.iter().map(|record| record.answered_at);
        let now = now.chain(orphans.iter().map(|orphan| orphan.received_at));
        let now = now.max().unwrap_or_default();
        let recipients = receipts::proof::recipients(&records, orphans.into_iter());
        self.prove(recipients, now, effects).await
    }

    /// Gathers what correlating receipts has come to; the first `unparked` came from the inbox.
    fn correlated(
        &mut self,
        receipts: &[Receipt],
        unparked: usize,
        correlated: receipts::Correlated,
        effects: &mut Effects,
    ) {
        let each = || receipts.iter().zip(&correlated.results);
        for (receipt, result) in each() {
            if *result == ReceiptResult::Parked {
                self.parked.insert(receipt.key);
                effects.parked.insert(receipt.key);
            }
        }
        effects.unparked.extend(
            each()
                .take(unparked)
                .filter(|(_, result)| **result != ReceiptResult::Parked)
                .map(|(receipt, result)| (receipt.carrier.clone(), receipt.state, *result)),
        );
        effects.events.extend(correlated.jobs);
        effects.reached.extend(correlated.reached);
        effects.ended.extend(correlated.ended);
    }

    /// Moves messages to the ends of lanes, and tells those that have come there.
    async fn reroute(&mut self, reroutes: &[&Reroute], effects: &mut Effects) -> sqlx::Result<()> {
        let placed: Vec<(&Reroute, Place)> = reroutes
            .iter()
            .map(|reroute| (*reroute, self.next_place()))
            .collect();
        let come = settle::reroute(&mut self.conn, &self.carriers, &placed).await?;
        effects.committed.extend(come);
        Ok(())
    }

    /// Segments accepted for messages that no transition of this batch speaks of: late answers.
    async fn accepted_late(
        &mut self,
        records: &[&AttemptRecord],
        submitted: &[MessageSeq],
    ) -> Result<Vec<Transition>, StoreError> {
        let late: HashMap<MessageSeq, Timestamp> = records
            .iter()
            .filter(|record| record.message.segments > 1)
            .filter(|record| record.state == SegmentState::Submitted)
            .filter(|record| !submitted.contains(&record.message.seq))
            .map(|record| (record.message.seq, record.answered_at))
            .collect();
        if late.is_empty() {
            return Ok(Vec::new());
        }
        receipts::accepted_late(&mut self.conn, &self.carriers, &late).await
    }

    /// A resend whose message has meanwhile turned out to be with the carrier, or has ended, is
    /// not handed to its bind; nor, for a while after an operator has changed what waits, is any
    /// message that has ended or moved to another account. This is the one gate.
    async fn turn_back_stale(&mut self, batch: &Batch, effects: &mut Effects) -> sqlx::Result<()> {
        let asked: Vec<(MessageSeq, &CarrierId)> = batch
            .intents
            .iter()
            .flat_map(|intent| {
                let watchful = intent.at < self.watchful_until;
                let asked = intent.batch.iter();
                asked
                    .filter(move |ready| watchful || ready.possible_duplicate)
                    .map(|ready| (ready.message.seq, &intent.carrier))
            })
            .collect();
        if !asked.is_empty() {
            let unsent = settle::still_unsent(&mut self.conn, &asked).await?;
            effects.stale = asked
                .into_iter()
                .map(|(seq, _)| seq)
                .filter(|seq| !unsent.contains(seq))
                .collect();
        }
        Ok(())
    }

    /// Moves messages; says which moves were refused.
    async fn transitions(
        &mut self,
        transitions: &[&Transition],
        effects: &mut Effects,
    ) -> Result<HashSet<(MessageSeq, State)>, StoreError> {
        let moves: Vec<settle::Move> = transitions.iter().map(|one| (*one).into()).collect();
        let made = settle::moves(&mut self.conn, &moves).await?;
        let (made, refused): (Vec<_>, Vec<_>) =
            transitions.iter().zip(made).partition(|(_, made)| *made);
        effects.refused_moves += refused.len() as u64;
        let made: Vec<&Transition> = made.into_iter().map(|(one, _)| *one).collect();
        let reached = made
            .iter()
            .map(|one| (one.carrier, one.message.class, one.to));
        effects.reached.extend(reached);
        let jobs: Vec<EventJob> = made.into_iter().filter_map(announce).collect();
        outbox::insert(&mut self.conn, &jobs).await?;
        effects.events.extend(jobs);
        let refused = refused.into_iter();
        Ok(refused.map(|(one, _)| (one.message.seq, one.to)).collect())
    }

    async fn chore(
        &mut self,
        chore: &Chore,
        effects: &mut Effects,
    ) -> Result<ChoreDone, StoreError> {
        Ok(match chore {
            Chore::CreateOrg(org) => {
                ChoreDone::Created(people::create_org(&mut self.conn, org).await?)
            }
            Chore::CreateKey(key) => {
                ChoreDone::Created(people::create_key(&mut self.conn, key).await?)
            }
            Chore::Control(control) => ChoreDone::Controlled(self.control(control, effects).await?),
            Chore::ReleaseDue { now, limit } => {
                let next = &mut self.next_place;
                let released =
                    accept::release(&mut self.conn, &self.carriers, *now, *limit, || {
                        *next += 1;
                        Place(*next - 1)
                    })
                    .await?;
                let count = released.len() as u64;
                effects.committed.extend(released);
                ChoreDone::Count(count)
            }
            Chore::ClaimEvents { now, limit } => ChoreDone::Events(
                outbox::claim(&mut self.conn, &self.carriers, *now, *limit).await?,
            ),
            Chore::Receipts(work) => ChoreDone::Receipts(self.inbox(work, effects).await?),
            Chore::GiveUpEvents { before } => {
                ChoreDone::Count(outbox::give_up(&mut self.conn, *before).await?)
            }
            Chore::EndOverdue {
                queued_before,
                open_before,
                at,
                limit,
            } => {
                let cut = (*queued_before, *open_before);
                ChoreDone::Count(self.end_overdue(cut, *at, *limit, effects).await?)
            }
        })
    }

    /// Ends what should have ended: queued messages past their validity expire, submitted and
    /// uncertain ones past validity and grace become unknown.
    async fn end_overdue(
        &mut self,
        (queued_before, open_before): (Timestamp, Timestamp),
        at: Timestamp,
        limit: u32,
        effects: &mut Effects,
    ) -> Result<u64, StoreError> {
        let mut rows = self
            .overdue(
                "indexed by messages_unsent where m.state = 1",
                queued_before,
                limit,
            )
            .await?;
        let open = "indexed by messages_open where m.state in (3, 4)";
        rows.append(&mut self.overdue(open, open_before, limit).await?);
        let mut transitions = Vec::with_capacity(rows.len());
        for row in &rows {
            let stored = match accept::message(row, &self.carriers) {
                Ok(stored) => stored,
                // One row is nothing to stop all writing for: what fails here is tried for ever.
                Err(error) => {
                    tracing::error!(%error, "an overdue message cannot be read and is left as it is");
                    continue;
                }
            };
            let to = if stored.state == State::Queued {
                State::Expired
            } else {
                State::Unknown
            };
            transitions.push(Transition {
                sent_at: stored.sent_at,
                carrier: stored.message.carrier,
                message: Arc::new(stored.message),
                to,
                at,
                failure: lifecycle::failure_of(to),
                detail: None,
                possible_duplicate: false,
            });
        }
        self.transitions(&transitions.iter().collect::<Vec<_>>(), effects)
            .await?;
        Ok(transitions.len() as u64)
    }

    async fn overdue(
        &mut self,
        which: &'static str,
        before: Timestamp,
        limit: u32,
    ) -> sqlx::Result<Vec<sqlx::sqlite::SqliteRow>> {
        let columns = accept::COLUMNS;
        let sql = sqlx::AssertSqlSafe(format!(
            "select {columns} from messages m {which} and m.valid_until < ? limit ?"
        ));
        sqlx::query(sql)
            .bind(before.0)
            .bind(limit)
            .fetch_all(&mut self.conn)
            .await
    }

    /// Notes an orderly end, truncates the write-ahead log and closes; called once, last.
    pub(super) async fn close(mut self, orderly: bool) -> Result<(), StoreError> {
        if orderly {
            settle::sign_off(&mut self.conn).await?;
        }
        sqlx::query("pragma wal_checkpoint(truncate)")
            .execute(&mut self.conn)
            .await?;
        self.conn.close().await?;
        Ok(())
    }
}

/// The event that announces a transition decided outside the store, if its message wants one.
fn announce(transition: &Transition) -> Option<EventJob> {
    transition.message.webhook_url.as_ref()?;
    let kind = EventKind::of_state(transition.to)?;
    Some(EventJob {
        event: outbox::new_event(),
        kind,
        sequence: if kind == EventKind::Sent { 1 } else { 2 },
        message: Arc::clone(&transition.message),
        at: transition.at,
        sent_at: transition.sent_at,
        state: transition.to,
        failure: transition.failure,
        attempts: 0,
    })
}

mod reader;
