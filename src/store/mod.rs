//! Lives here: the store's face: one writer that groups commits, readers of their own, and the
//! types both speak.
//!
//! From the handle down: [`Store`] -> bounded queues -> [`Writer`] (groups what has arrived,
//! commits, answers) -> `engine` (what one transaction does) -> `rows` (the trait: what is asked
//! of the rows) -> `sql` (SQLite and PostgreSQL), in tests also `memory` (the model).
//! Never here: SQL outside `sql`, decisions about messages.

mod asking;
mod batch;
mod control;
mod copy;
pub mod desk;
mod directory;
mod engine;
pub mod erasure;
mod error;
mod fill;
pub mod hooks;
pub mod housekeeping;
pub mod inbox;
pub mod jobs;
pub mod memo;
#[cfg(test)]
mod memory;
pub mod notices;
mod password;
pub mod people;
mod portions;
mod reader;
mod reads;
mod replay;
mod rows;
mod sandbox;
mod sql;
pub mod till;
mod upkeep;
mod view;
mod waits;
mod writer;

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Mutex, mpsc, oneshot};

use self::asking::own;
use self::batch::{Accept, Chore, ChoreDone, Deliveries, Receipts, Settle};
pub use self::control::{AuditEntry, Bookmark, HoldRow, Obstacle, Sweep, SweepAudit, Swept, Tally};
pub use self::copy::{Compared, Content, Copied, CopyError, Progress, Stage, copy};
pub use self::desk::{Listed, Listing};
use self::directory::Directory;
pub use self::directory::{Caller, Credential};
use self::engine::Engine;
pub use self::error::StoreError;
pub use self::fill::{FillError, fill};
use self::inbox::ReceiptNews;
use self::memo::{Memo, Repeat};
pub use self::password::PasswordFile;
use self::reader::Reader;
use self::reads::Reads;
use self::rows::Rows;
use self::till::Accounts;
pub use self::view::{Carriers, MessageView, QueueRow, TimelineEntry};
pub use self::waits::Wait;
use self::waits::Waits;
pub use self::writer::Writer;
use self::writer::{Ends, IntentRequest, Task, Work};
use crate::domain::class::Class;
use crate::domain::endpoint::Endpoints;
use crate::domain::ids::{self, BindName, CarrierId, CarrierIndex, MessageId, MessageSeq, OrgId};
use crate::domain::message::Message;
use crate::domain::price::PriceList;
use crate::domain::receipt::Receipt;
use crate::domain::time::Timestamp;
use crate::flow::{
    Answered, Committed, DeliveryRecord, EventJob, Ready, ReceiptResult, Settlement, StoreHealth,
    Waiting,
};

/// Commits whose news of receipts may wait for `inbound`; full: dropped, they are statistics.
const NEWS: usize = 256;

/// The store's own configuration.
#[derive(Clone)]
pub struct Config {
    /// `sqlite:PATH` or `postgres://USER:PASSWORD@HOST:PORT/DATABASE`. It may hold a password:
    /// never to be shown.
    pub url: String,
    /// Where the server's password is, if it is not in the URL.
    pub password_file: Option<PasswordFile>,
    /// Connections that read, 1 to 64.
    pub readers: u32,
    /// How long a read may wait for one of them.
    pub read_timeout: Duration,
    /// Accepts in one transaction at most.
    pub accepts_max: usize,
    /// Rows of other work in one transaction at most.
    pub rows_max: usize,
    /// Accepts of one class that may wait for the writer; beyond it clients are told 503.
    pub queue: usize,
    /// For how many days messages are kept; `None` = for good. Whoever deletes them has his own word
    /// for it: here it is what may still be asked for anew.
    pub kept_days: Option<u32>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            url: "sqlite:data/mnara.db".into(),
            password_file: None,
            readers: 4,
            read_timeout: Duration::from_secs(5),
            accepts_max: 256,
            rows_max: 512,
            queue: 4096,
            kept_days: None,
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            url: _,
            password_file: _,
            readers,
            read_timeout,
            accepts_max,
            rows_max,
            queue,
            kept_days,
        } = self;
        f.debug_struct("Config")
            .field("readers", readers)
            .field("read_timeout", read_timeout)
            .field("accepts_max", accepts_max)
            .field("rows_max", rows_max)
            .field("queue", queue)
            .field("kept_days", kept_days)
            .finish_non_exhaustive()
    }
}

/// Whether a URL is one that can be opened, as far as that shows without opening it.
///
/// # Errors
/// [`StoreError::Url`], which never shows the URL.
pub fn check_url(url: &str) -> Result<(), StoreError> {
    sql::check_url(url)
}

/// Whether a URL that [`check_url`] has nothing against holds a password.
pub fn has_password(url: &str) -> bool {
    sql::has_password(url)
}

/// The handle that every part holds. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    reader: Reader,
    /// OTP messages up to here may have been sent by a run that did not end well.
    unsure: ids::Place,
    directory: Arc<Directory>,
    prices: ArcSwap<PriceList>,
    /// Who is told of events: the engine's to change.
    endpoints: Arc<ArcSwap<Endpoints>>,
    /// Whose turn it is to change them.
    repricing: Mutex<()>,
    health: Arc<StoreHealth>,
    waits: Arc<Waits>,
    kept_days: Option<u32>,
    /// One queue for each class, so that OTP is first here too.
    accepts: [mpsc::Sender<Accept>; 3],
    work: mpsc::Sender<Work>,
}

/// An open store and what was found in it.
pub struct Opened {
    /// The handle.
    pub store: Store,
    /// The task without which nothing is written.
    pub writer: Writer,
    /// What commits make of receipts, for `inbound`. Statistics: what does not fit is dropped.
    pub news: mpsc::Receiver<ReceiptNews>,
    /// Messages that a crash left in doubt.
    pub uncertain: u64,
    /// The newest place whose message a lost run may have handed to a bind without a word in the
    /// store (OTP); 0 after an orderly end.
    pub last: ids::Place,
}

/// Opens the store. `committed` takes what goes to the lanes, `events` what goes to the webhook
/// workers (what does not fit stays in the outbox).
///
/// # Errors
/// [`StoreError::Open`], [`StoreError::Folder`], [`StoreError::Migrate`].
pub async fn open(
    config: &Config,
    carriers: Vec<CarrierId>,
    committed: mpsc::Sender<Committed>,
    events: mpsc::Sender<EventJob>,
) -> Result<Opened, StoreError> {
    let carriers = Arc::new(Carriers::new(carriers));
    let (rows, reader) = sql::open(config, carriers).await?;
    let (opened, task) = start(config, rows, Reader::Sql(reader), committed, events).await?;
    let orderly = task.orderly();
    let writer = Writer::new(orderly, |stop| Box::pin(task.run(stop)));
    Ok(opened(writer))
}

/// Opens the model instead, on a disk of its own.
#[cfg(test)]
async fn open_model(
    disk: &memory::Disk,
    faults: memory::Faults,
    carriers: Vec<CarrierId>,
    committed: mpsc::Sender<Committed>,
    events: mpsc::Sender<EventJob>,
) -> Result<Opened, StoreError> {
    let carriers = Arc::new(Carriers::new(carriers));
    let (rows, reader) = disk.open(carriers, faults)?;
    let reader = Reader::Memory(reader);
    let (opened, task) = start(&Config::default(), rows, reader, committed, events).await?;
    let orderly = task.orderly();
    let writer = Writer::new(orderly, |stop| Box::pin(task.run(stop)));
    Ok(opened(writer))
}

/// Settles what the last run has left, and joins the handle to its writer. The latter comes apart:
/// its caller knows its type.
async fn start<R: Rows>(
    config: &Config,
    rows: R,
    reader: Reader,
    committed: mpsc::Sender<Committed>,
    events: mpsc::Sender<EventJob>,
) -> Result<(impl FnOnce(Writer) -> Opened + use<R>, Task<R>), StoreError> {
    let carriers = Arc::clone(rows.carriers());
    let (engine, recovered) = Engine::start(rows).await?;
    let prices = PriceList::new(reader.prices().await?);
    let health = Arc::new(StoreHealth::default());
    let directory = Arc::new(Directory::start(&reader).await?);
    let waits = Arc::new(Waits::default());
    let queues = [0; 3].map(|_| mpsc::channel(config.queue));
    let (work_to, work) = mpsc::channel(config.queue);
    let (news_to, news) = mpsc::channel(NEWS);
    let [otp, transactional, promotional] = queues;
    let inner = Inner {
        reader,
        unsure: recovered.unsure,
        directory: Arc::clone(&directory),
        prices: ArcSwap::from_pointee(prices),
        endpoints: engine.published(),
        repricing: Mutex::default(),
        health: Arc::clone(&health),
        waits: Arc::clone(&waits),
        kept_days: config.kept_days,
        accepts: [otp.0, transactional.0, promotional.0],
        work: work_to,
    };
    let ends = Ends {
        accepts: [otp.1, transactional.1, promotional.1],
        work,
        committed,
        events,
        news: news_to,
        health,
        directory,
        waits,
    };
    let opened = move |writer| Opened {
        store: Store {
            inner: Arc::new(inner),
        },
        writer,
        news,
        uncertain: recovered.uncertain,
        last: recovered.unsure,
    };
    Ok((opened, Task::new(config, engine, &carriers, ends)))
}

impl Store {
    /// Accepts a message; returns once it is durable.
    ///
    /// # Errors
    /// [`StoreError::Overloaded`], [`StoreError::Unavailable`], [`StoreError::Closed`]: nothing
    /// was kept.
    pub async fn accept(&self, message: Message) -> Result<(), StoreError> {
        self.take(message, None).await.map(drop)
    }

    /// Accepts a message together with the answer to its request, which names itself: once, however
    /// often it is asked for. Returns once both are durable, or with what it repeats: then nothing
    /// of it was kept.
    ///
    /// # Errors
    /// As [`Store::accept`].
    pub async fn accept_once(
        &self,
        message: Message,
        memo: Arc<Memo>,
    ) -> Result<Option<Repeat>, StoreError> {
        self.take(message, Some(memo)).await
    }

    async fn take(
        &self,
        message: Message,
        memo: Option<Arc<Memo>>,
    ) -> Result<Option<Repeat>, StoreError> {
        if !self.inner.health.is_well() {
            return Err(StoreError::Unavailable);
        }
        let (reply, done) = oneshot::channel();
        let queue = &self.inner.accepts[message.class.index()];
        queue
            .try_send(Accept {
                message: Arc::new(message),
                memo,
                reply,
            })
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => StoreError::Overloaded,
                mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
            })?;
        done.await.map_err(|_| StoreError::Closed)?
    }

    /// Records that `batch` is about to be handed to a bind; the answer goes to `to`. Never
    /// waits: a bind has its connection to look after.
    ///
    /// # Errors
    /// The batch itself when the writer's queue is full or closed: ask again soon.
    pub fn intend(
        &self,
        (carrier, bind): (CarrierId, BindName),
        at: Timestamp,
        batch: Vec<Ready>,
        to: mpsc::Sender<Answered>,
    ) -> Result<(), Vec<Ready>> {
        let request = IntentRequest {
            carrier,
            bind,
            at,
            batch,
            to,
        };
        match self.inner.work.try_send(Work::Intent(request)) {
            Ok(()) => Ok(()),
            Err(error) => match error.into_inner() {
                Work::Intent(request) => Err(request.batch),
                _ => unreachable!("a queue hands back what it was given"),
            },
        }
    }

    /// Commits what carriers answered; returns once it is durable, however long that takes. What
    /// the database will not have of it is in doubt then.
    ///
    /// # Errors
    /// [`StoreError::Closed`].
    pub async fn settle(&self, settlement: Settlement) -> Result<(), StoreError> {
        let (reply, done) = oneshot::channel();
        let reply = Some(reply);
        self.send(Work::Settle(Settle { settlement, reply }))
            .await?;
        done.await.map_err(|_| StoreError::Closed)
    }

    /// Applies receipts; returns once they are durable, with a result for each
    /// ([`ReceiptResult::Refused`]: that one is not).
    ///
    /// # Errors
    /// [`StoreError::Closed`]: none was kept.
    pub async fn receipts(&self, receipts: Vec<Receipt>) -> Result<Vec<ReceiptResult>, StoreError> {
        let (reply, done) = oneshot::channel();
        let receipts = Receipts {
            receipts,
            earlier: None,
            reply,
        };
        self.send(Work::Receipts(receipts)).await?;
        done.await.map_err(|_| StoreError::Closed)
    }

    /// Records attempts to deliver events.
    ///
    /// # Errors
    /// [`StoreError::Closed`].
    pub async fn deliveries(&self, records: Vec<DeliveryRecord>) -> Result<(), StoreError> {
        let (reply, done) = oneshot::channel();
        let reply = Some(reply);
        self.send(Work::Deliveries(Deliveries { records, reply }))
            .await?;
        done.await.map_err(|_| StoreError::Closed)
    }

    async fn send(&self, work: Work) -> Result<(), StoreError> {
        self.inner
            .work
            .send(work)
            .await
            .map_err(|_| StoreError::Closed)
    }

    /// Sends scheduled messages that are due to their lanes; returns how many.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] at once while commits fail, [`StoreError::Closed`].
    pub async fn release_due(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.count(Chore::ReleaseDue { now, limit }).await
    }

    /// Ends queued messages valid until before `queued_before`, and submitted or uncertain ones
    /// valid until before `open_before`; returns how many.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] at once while commits fail, [`StoreError::Closed`].
    pub async fn end_overdue(
        &self,
        queued_before: Timestamp,
        open_before: Timestamp,
        at: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        self.count(Chore::EndOverdue {
            queued_before,
            open_before,
            at,
            limit,
        })
        .await
    }

    /// Gives up at most `limit` webhook events from before a time, the oldest first; returns how
    /// many.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] at once while commits fail, [`StoreError::Closed`].
    pub async fn give_up_events(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.count(Chore::GiveUpEvents { before, limit }).await
    }

    /// Leases webhook events that are due.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] at once while commits fail, [`StoreError::Closed`].
    pub async fn claim_events(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<EventJob>, StoreError> {
        let done = self.errand(Chore::ClaimEvents { now, limit }).await?;
        Ok(own!(done, ChoreDone::Events(events) => events))
    }

    /// Whether commits work at present.
    pub fn health(&self) -> &Arc<StoreHealth> {
        &self.inner.health
    }

    /// One message of an organisation.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub async fn message(
        &self,
        org: OrgId,
        id: MessageId,
    ) -> Result<Option<MessageView>, StoreError> {
        self.inner.reader.message(org, id).await
    }

    /// Everything that happened to a message after its acceptance, in order of time.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub async fn timeline(&self, seq: MessageSeq) -> Result<Vec<TimelineEntry>, StoreError> {
        self.inner.reader.timeline(seq).await
    }

    /// An organisation's next queued messages in a lane after `after`, in order of place.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub async fn waiting(
        &self,
        lane: (CarrierIndex, Class),
        org: OrgId,
        after: ids::Place,
        limit: u32,
    ) -> Result<Vec<Waiting>, StoreError> {
        self.inner.reader.waiting(lane, org, after, limit).await
    }

    /// The organisations of which messages are queued in a lane, each with its newest place.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub async fn backlog(
        &self,
        lane: (CarrierIndex, Class),
    ) -> Result<Vec<(OrgId, ids::Place)>, StoreError> {
        self.inner.reader.backlog(lane).await
    }

    /// Which of these messages still wait in an account's lanes, or are in doubt there.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn still_there(
        &self,
        carrier: CarrierIndex,
        messages: &[MessageSeq],
    ) -> Result<HashSet<MessageSeq>, StoreError> {
        self.inner.reader.still_there(carrier, messages).await
    }

    /// Messages in doubt after `after`, in order.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub async fn in_doubt(
        &self,
        after: MessageSeq,
        limit: u32,
    ) -> Result<Vec<Waiting>, StoreError> {
        self.inner.reader.in_doubt(after, limit).await
    }

    /// What waits in the store.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub async fn queue(&self) -> Result<Vec<QueueRow>, StoreError> {
        self.inner.reader.queue().await
    }
}

#[cfg(test)]
mod tests;
