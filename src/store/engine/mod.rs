//! Lives here: what one transaction of the writer does, in order, and what is kept in memory
//! beside the rows. The same for every database and for the model.
//!
//! Within a transaction accepts come first, then what carriers answered, then receipts (so that
//! a receipt finds the response that came with it), then everything that can wait.
//! Never here: SQL (`rows` says what is asked of it), channels, when to commit (`writer`).

mod chores;
mod control;
mod desk;
pub(in crate::store) mod hooks;
mod inbox;
mod jobs;
pub(super) mod judge;
mod memo;
mod moves;
mod people;
mod proof;
mod receipts;
mod rollup;
mod till;
mod upkeep;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::Instant;
use uuid::{NoContext, Uuid};

use self::desk::TakenBack;
use super::StoreError;
use super::batch::{Batch, Effects, Reached};
use super::rows::{Move, Rows, Unkept, day_of, day_of_seq, first_of_day};
use crate::domain::endpoint::Endpoints;
use crate::domain::ids::{CarrierId, EventId, IntentId, MessageSeq, Place, ReceiptKey};
use crate::domain::ledger::Books;
use crate::domain::lifecycle::SegmentState;
use crate::domain::message::State;
use crate::domain::receipt::Receipt;
use crate::domain::time::Timestamp;
use crate::flow::{AttemptRecord, Ready, ReceiptResult, Reroute, Transition};

/// How long a start asks what has become of its commit: as long as the daemon waits for a server that
/// is not there.
const START_WAIT: Duration = Duration::from_secs(60);
/// Between two such questions.
const START_POLL: Duration = Duration::from_millis(250);

/// How many numbers are noted as given ahead of their use, and so passed over by the next start: of
/// the 2^40 of a day.
const NUMBERS: i64 = 1 << 20;

/// What was found at start.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Recovered {
    /// Messages still queued that had been handed to a bind: now uncertain.
    pub(super) uncertain: u64,
    /// The newest place whose message a lost run may have handed to a bind without a word in the
    /// store (OTP); 0 after an orderly end.
    pub(super) unsure: Place,
}

/// Why a batch has not been committed.
#[derive(Debug)]
pub(super) enum Unfinished {
    /// Nothing of it was kept.
    Refused(StoreError),
    /// The same, for what is in it: [`StoreError::is_of_contents`].
    Unfit(StoreError),
    /// Perhaps it was: [`Engine::was_kept`] tells. Its effects, if it was.
    Unknown(Box<Effects>, StoreError),
}

impl<E: Into<StoreError>> From<E> for Unfinished {
    fn from(error: E) -> Self {
        Self::Refused(error.into())
    }
}

/// The rows and what is kept in memory beside them.
pub(super) struct Engine<R> {
    rows: R,
    /// The next number for a `seq` or a place: one counter for both, which each day begins anew
    /// at the day's first number.
    next_place: i64,
    /// What the rows have noted: no number above it has been given. The next run begins behind it.
    noted: Place,
    next_intent: i64,
    /// The number of the last commit that is known to be kept.
    commits: i64,
    /// The answer to the last commit was lost, and nobody knows yet what has become of it.
    unresolved: bool,
    /// A commit was kept of which nobody knew any more what it had moved: before anything else is
    /// written, what is in memory is read anew.
    behind: bool,
    /// Days for whose messages there is room in the rows, of those of which this run has heard.
    prepared: HashSet<i64>,
    /// All that this run has deleted is of days before this one.
    gone_before: i64,
    /// Keys of parked receipts, so that outcomes need not look in an empty inbox. May hold keys
    /// that are gone; never lacks one that is there.
    parked: HashSet<ReceiptKey>,
    /// OTP messages up to here may have been sent by a run that did not end well.
    unsure: Place,
    /// An operator has changed what waits: until then every batch is looked at before it is handed
    /// to its bind, not only resends.
    watchful_until: Timestamp,
    /// What organisations have taken back of what waits.
    taken_back: TakenBack,
    /// What everybody has, as committed.
    books: Books,
    /// Who is told of events, as committed,
    endpoints: Arc<Endpoints>,
    /// and as everybody else sees it.
    published: Arc<ArcSwap<Endpoints>>,
}

impl<R: Rows> Engine<R> {
    /// Settles what the last run has left. Whatever was intended and has no outcome becomes
    /// uncertain, its attempt in doubt; one that was in doubt already, or an OTP (its first attempt
    /// has no intent), has had its one resend.
    pub(super) async fn start(mut rows: R) -> Result<(Self, Recovered), StoreError> {
        rows.begin().await?;
        let house = rows.house().await?;
        let interrupted = rows.interrupted().await?;
        let uncertain = rows.doubt(&interrupted).await?;
        let books = Books::new(rows.purses().await?);
        let endpoints = Arc::new(Endpoints::new(rows.endpoints().await?));
        let commits = house.commit + 1;
        match rows.commit(commits).await {
            Ok(()) => {}
            Err(Unkept::Refused(error)) => return Err(error),
            Err(Unkept::Unknown(error)) => resolve(&mut rows, commits, error).await?,
        }
        let parked = rows.parked_keys().await?;
        let orderly = house.orderly && interrupted.is_empty();
        let unsure = if orderly { Place(0) } else { house.last };
        let engine = Self {
            rows,
            next_place: house.last.0 + 1,
            noted: house.last,
            next_intent: 1,
            commits,
            unresolved: false,
            behind: false,
            prepared: HashSet::new(),
            gone_before: i64::MIN,
            parked,
            unsure,
            watchful_until: Timestamp(0),
            taken_back: TakenBack::default(),
            books,
            published: Arc::new(ArcSwap::new(Arc::clone(&endpoints))),
            endpoints,
        };
        Ok((engine, Recovered { uncertain, unsure }))
    }

    /// The endpoints, as each commit leaves them.
    pub(super) fn published(&self) -> Arc<ArcSwap<Endpoints>> {
        Arc::clone(&self.published)
    }

    /// To be called once by the task that will commit, before its first commit.
    pub(super) async fn enter(&mut self) -> Result<(), StoreError> {
        self.rows.enter().await
    }

    /// The number of the next accepted message, its place as well. A number is not used again if
    /// its commit fails.
    pub(super) fn next_seq(&mut self, accepted_at: Timestamp) -> MessageSeq {
        let first = first_of_day(day_of(accepted_at)).0;
        self.next_place = self.next_place.max(first) + 1;
        MessageSeq(self.next_place - 1)
    }

    /// A place at the end of a lane.
    fn next_place(&mut self) -> Place {
        self.next_place += 1;
        Place(self.next_place - 1)
    }

    /// The id of the next intent.
    pub(super) fn next_intent(&mut self) -> IntentId {
        self.next_intent += 1;
        IntentId(self.next_intent - 1)
    }

    /// Commits a batch as one transaction, or nothing of it.
    pub(super) async fn commit(&mut self, batch: &Batch) -> Result<Effects, Unfinished> {
        if let Err(error) = self.prepare(batch).await {
            return Err(self.refused(error));
        }
        self.begin().await?;
        let effects = match self.apply(batch).await {
            Ok(effects) => effects,
            Err(error) => {
                self.rows.rollback().await;
                return Err(self.refused(error));
            }
        };
        match self.rows.commit(self.commits + 1).await {
            Ok(()) => {
                self.kept(&effects);
                Ok(effects)
            }
            Err(Unkept::Refused(error)) => {
                self.rows.rollback().await;
                Err(self.refused(error))
            }
            Err(Unkept::Unknown(error)) => {
                self.unresolved = true;
                Err(Unfinished::Unknown(Box::new(effects), error))
            }
        }
    }

    /// Why a batch was not kept. If it is for what is in it, days are prepared anew: room that has
    /// gone behind this program's back looks the same.
    fn refused(&mut self, error: StoreError) -> Unfinished {
        if error.is_of_contents() {
            self.prepared.clear();
            Unfinished::Unfit(error)
        } else {
            Unfinished::Refused(error)
        }
    }

    /// Begins a transaction. If the end of the last one has been left unknown (who was to be told has
    /// been told so) it is asked for now: the next commit must not bear its number.
    async fn begin(&mut self) -> Result<(), StoreError> {
        if self.unresolved && self.was_kept(&Effects::default()).await? {
            self.behind = true;
        }
        self.rows.begin().await?;
        if self.behind {
            if let Err(error) = self.catch_up().await {
                self.rows.rollback().await;
                return Err(error);
            }
            self.behind = false;
        }
        Ok(())
    }

    /// Reads anew what is kept in memory beside the rows.
    async fn catch_up(&mut self) -> Result<(), StoreError> {
        self.books = Books::new(self.rows.purses().await?);
        let endpoints = self.rows.endpoints().await?;
        self.publish(Endpoints::new(endpoints));
        self.parked.extend(self.rows.parked_keys().await?);
        Ok(())
    }

    /// Makes room for the messages that the batch accepts, and for all that will be written of them.
    /// What it says of others has its place: they are there, or nothing is written ([`Self::gone`]).
    async fn prepare(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let accepts = batch.accepts.iter().map(|accept| accept.message.seq);
        let days = accepts.chain(Self::notices(batch)).map(day_of_seq);
        for day in days.chain(self.expanding(batch)) {
            if !self.prepared.contains(&day) {
                self.rows.prepare_day(day).await?;
                self.prepared.insert(day);
            }
        }
        Ok(())
    }

    /// Whether a commit that was [`Unfinished::Unknown`] was kept; no other may be begun before.
    ///
    /// # Errors
    /// It is not known yet.
    pub(super) async fn was_kept(&mut self, effects: &Effects) -> Result<bool, StoreError> {
        let kept = self.rows.was_kept(self.commits + 1).await?;
        self.unresolved = false;
        if kept {
            self.kept(effects);
        }
        Ok(kept)
    }

    fn kept(&mut self, effects: &Effects) {
        self.commits += 1;
        self.noted = self.noted.max(effects.noted);
        self.books.copy(&effects.sheet);
        if let Some(endpoints) = &effects.endpoints {
            self.publish(endpoints.clone());
        }
        if let Some(left) = &effects.left_parked {
            self.parked = left | &effects.parked;
        }
        let gone = |key: &&ReceiptKey| !effects.parked.contains(key);
        for key in effects.home.iter().filter(gone) {
            self.parked.remove(key);
        }
    }

    fn publish(&mut self, endpoints: Endpoints) {
        self.endpoints = Arc::new(endpoints);
        self.published.store(Arc::clone(&self.endpoints));
    }

    /// Finds out whether commits work.
    pub(super) async fn probe(&mut self) -> Result<(), StoreError> {
        self.rows.probe().await
    }

    /// Notes how the run ends, and closes; called once, last.
    pub(super) async fn close(self, orderly: bool) -> Result<(), StoreError> {
        self.rows.close(orderly).await
    }

    async fn apply(&mut self, batch: &Batch) -> Result<Effects, StoreError> {
        let mut effects = Effects::default();
        let mut known = self.known(&batch.accepts).await?;
        let accepted = self.charge(&batch.accepts, &mut known, &mut effects);
        self.rows.insert_messages(&accepted).await?;
        self.rows.put_memos(&known.new).await?;
        effects.committed = accepted
            .into_iter()
            .filter(|one| one.initial_state() == State::Queued)
            .map(Ready::first)
            .collect();
        self.rows.intend(&batch.intents).await?;
        let gone = self.gone(batch).await?;
        self.settle(batch, &gone, &mut effects).await?;
        self.turn_back_stale(batch, &mut effects).await?;
        let records: Vec<_> = batch
            .deliveries
            .iter()
            .flat_map(|deliveries| &deliveries.records)
            .filter(|record| !gone.contains(&record.job.seq()))
            .collect();
        self.rows.record_deliveries(&records).await?;
        self.heard(&records, &mut effects).await?;
        // Several workers may have left the same event: the last word holds.
        let left: HashMap<EventId, Timestamp> = batch.left.iter().copied().collect();
        let left: Vec<(EventId, Timestamp)> = left.into_iter().collect();
        self.rows.set_due(&left).await?;
        // All of the batch at once; chores look at the outbox, and may have events of their own.
        self.rows.insert_events(&effects.events).await?;
        let told = effects.events.len();
        for chore in &batch.chores {
            let done = self.chore(&chore.chore, &mut effects).await?;
            if let Some(audit) = &chore.audit {
                self.note_done(audit, &done).await?;
            }
            effects.chores.push(done);
        }
        self.notify_of_balances(batch, &mut effects);
        self.rows.insert_events(&effects.events[told..]).await?;
        self.write_sheet(&effects).await?;
        effects.noted = self.note_given().await?;
        Ok(effects)
    }

    /// Notes how far the numbers go, ahead by so many that hardly a commit has to.
    async fn note_given(&mut self) -> Result<Place, StoreError> {
        if self.next_place <= self.noted.0 + 1 {
            return Ok(Place(0));
        }
        let last = Place(self.next_place + NUMBERS);
        self.rows.note_given(last).await?;
        Ok(last)
    }

    /// Outcomes, then new receipts together with parked ones that the outcomes have brought home.
    async fn settle(
        &mut self,
        batch: &Batch,
        gone: &HashSet<MessageSeq>,
        effects: &mut Effects,
    ) -> Result<(), StoreError> {
        let settlements = || batch.settlements.iter().map(|settle| &settle.settlement);
        let records: Vec<_> = settlements()
            .flat_map(|settlement| &settlement.attempts)
            .filter(|record| !gone.contains(&record.message.seq))
            .collect();
        let keys = self.attempts(&records).await?;
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
        self.rows.close_intents(&closed).await?;

        let home: Vec<ReceiptKey> = keys
            .into_iter()
            .filter(|key| self.parked.contains(key))
            .collect();
        let parked = self.rows.unpark(&home).await?;
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
        let orphans = self.receive(batch, &parked, &several, effects).await?;
        let now = records.iter().map(|record| record.answered_at);
        let now = now.chain(orphans.iter().map(|orphan| orphan.received_at));
        let now = now.max().unwrap_or_default();
        let recipients = proof::recipients(&records, orphans.into_iter());
        self.prove(recipients, now, effects).await
    }

    /// Applies what was parked and what has arrived; returns what has found no attempt.
    async fn receive<'b>(
        &mut self,
        batch: &'b Batch,
        parked: &[Receipt],
        several: &[MessageSeq],
        effects: &mut Effects,
    ) -> Result<Vec<&'b Receipt>, StoreError> {
        let arrived = batch.receipts.iter().flat_map(|arrived| &arrived.receipts);
        let all: Vec<Receipt> = parked.iter().chain(arrived).cloned().collect();
        let mut orphans = Vec::new();
        if all.is_empty() && several.is_empty() {
            return Ok(orphans);
        }
        let correlated = receipts::apply(&mut self.rows, &self.endpoints, &all, several).await?;
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
        Ok(orphans)
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
        for (org, cost, at) in correlated.taken {
            self.charge_taken(org, cost, at, effects);
        }
        effects.events.extend(correlated.jobs);
        effects.reached.extend(correlated.reached);
        effects.ended.extend(correlated.ended);
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
        rollup::accepted_late(&mut self.rows, &late).await
    }

    /// A resend whose message has meanwhile turned out to be with the carrier, or has ended, is
    /// not handed to its bind; nor is one that its owner has taken back; nor, for a while after an
    /// operator has changed what waits, is any message that has ended or moved to another account.
    /// This is the one gate.
    async fn turn_back_stale(
        &mut self,
        batch: &Batch,
        effects: &mut Effects,
    ) -> Result<(), StoreError> {
        let asked: Vec<(MessageSeq, &CarrierId)> = batch
            .intents
            .iter()
            .flat_map(|intent| {
                let watchful = intent.at < self.watchful_until;
                let taken_back = &self.taken_back;
                let asked = intent.batch.iter();
                asked
                    .filter(move |ready| {
                        let message = ready.message.seq;
                        watchful || ready.possible_duplicate || taken_back.has(message)
                    })
                    .map(|ready| (ready.message.seq, &intent.carrier))
            })
            .collect();
        if !asked.is_empty() {
            let unsent = self.rows.unsent(&asked).await?;
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
        let moves: Vec<Move> = transitions.iter().map(|one| (*one).into()).collect();
        let mut held = self.held(transitions).await?;
        let made = moves::make(&mut self.rows, &moves).await?;
        let (made, refused): (Vec<_>, Vec<_>) =
            transitions.iter().zip(made).partition(|(_, made)| *made);
        effects.refused_moves += refused.len() as u64;
        let made: Vec<&Transition> = made.into_iter().map(|(one, _)| *one).collect();
        for one in &made {
            self.charge_move(one, &mut held, effects);
        }
        let reached = made.iter().map(|one| Reached {
            message: one.message.id,
            carrier: one.carrier,
            class: one.message.class,
            state: one.to,
        });
        effects.reached.extend(reached);
        for one in made {
            hooks::announce(&self.endpoints, one, &mut effects.events);
        }
        let refused = refused.into_iter();
        Ok(refused.map(|(one, _)| (one.message.seq, one.to)).collect())
    }
}

/// Asks what has become of the start's commit until that is known, for a while. Begun anew, the start
/// would not find the note of an orderly end that its lost commit may have taken off, and would take
/// all OTPs that wait for possible duplicates.
///
/// # Errors
/// `lost`: it was not kept, and may be begun anew. [`StoreError::Diverged`], or what is in the way at
/// the end of that while: the next start goes by what it finds, and trusts no end that it does not
/// know.
async fn resolve(rows: &mut impl Rows, number: i64, lost: StoreError) -> Result<(), StoreError> {
    tracing::warn!(error = %lost,
        "the answer to the start's commit was lost; asking for a minute what has become of it");
    let begun = Instant::now();
    loop {
        match rows.was_kept(number).await {
            Ok(true) => return Ok(()),
            Ok(false) => return Err(lost),
            Err(error) if error.ends() || begun.elapsed() >= START_WAIT => return Err(error),
            Err(_) => tokio::time::sleep(START_POLL).await,
        }
    }
}

/// An id for an event that happened at this time, and says so.
fn new_event(at: Timestamp) -> EventId {
    EventId(v7(at))
}

/// A fresh id of this time.
pub(super) fn v7(at: Timestamp) -> Uuid {
    let ms = u64::try_from(at.0).unwrap_or(0);
    let nanoseconds = u32::try_from(ms % 1000 * 1_000_000).unwrap_or(0);
    let at = uuid::Timestamp::from_unix(NoContext, ms / 1000, nanoseconds);
    Uuid::new_v7(at)
}
