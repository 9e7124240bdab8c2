//! Lives here: a bound connection shared by many callers: the handle they hold and the future each request is.
//! Never here: protocol rules (session), the task that owns the connection (`driver`), spawned tasks.

mod driver;
mod incoming;
mod submit;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, TryAcquireError, mpsc, oneshot, watch};

use crate::pdu::Pdu;
use crate::session::{CloseReason, Refused};
use crate::status::CommandStatus;
use crate::transport::Connection;

pub use driver::Driver;
pub use incoming::{Event, Incoming, Orphan, PeerRequest, Reply, Responder};
pub use submit::SubmitError;

/// Limits of [`Limits`] itself, so that no channel is without end.
const LIMIT_MAX: usize = 1 << 16;
/// `Shared::congestion` of a peer that has told none.
const NO_CONGESTION: u8 = u8::MAX;

/// How much may wait between a connection and those who use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests of ours outstanding at once, 1 to 65 536. It only narrows the session's own window, which
    /// [`crate::session::SessionConfig::window`] sets: leave it alone to have that.
    pub window: usize,
    /// Requests of the peer without an answer of ours, 1 to 65 536. Further ones are declined at once, with
    /// ESME_RX_T_APPN by an ESME and ESME_RTHROTTLED by an SMSC, so that answers to us are never stuck behind them.
    pub requests_max: usize,
    /// Memory that those requests may take, in octets, 128 KiB to 1 GiB; counted by the KiB. Further ones are declined
    /// likewise: one alone may have 64 KiB.
    pub requests_octets_max: usize,
    /// Outcomes without a caller that wait to be read, 0 to 65 536. Further ones are only counted
    /// ([`Handle::orphans_lost`]).
    pub orphans_max: usize,
}

impl Default for Limits {
    /// The session's window, 1 000 requests of 16 MiB together, 1 000 orphans.
    fn default() -> Self {
        Self {
            window: LIMIT_MAX,
            requests_max: 1_000,
            requests_octets_max: 16 << 20,
            orphans_max: 1_000,
        }
    }
}

/// The correlation value of a connection that is to be split: which request an outcome belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    number: u64,
    /// Where the driver keeps the caller.
    place: u32,
}

/// The peer's answer to a request, whatever its status.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The number that the request was sent with.
    pub sequence: u32,
    /// The peer's verdict; never `ESME_ROK` for a generic_nack.
    pub status: CommandStatus,
    /// `None` for generic_nack or a body that could not be read.
    pub pdu: Option<Pdu>,
    /// From the request to the answer's octets; zero where the answer came after the request had expired.
    pub rtt: Duration,
}

/// Why a request has no answer. Only `Refused` says that nothing was sent; after the others a resend may double.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// Nothing was written: offer it again (`WindowFull`), to another bind (`NotBound`), or mend it.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// No answer within the session's `response_timeout`: in doubt. One that comes later is an [`Orphan`].
    #[error("request {sequence} was not answered in time")]
    Expired {
        /// The number that it was sent with.
        sequence: u32,
    },
    /// The connection ended first: in doubt for ever.
    #[error("the connection ended before the answer")]
    InDoubt,
}

/// What a request came to.
pub type Outcome = Result<Answer, NoAnswer>;

/// One user's end of a connection; cheap to clone. When the last handle is dropped, and the
/// last request of the peer that is still to be answered, the driver unbinds.
#[derive(Clone)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
    shared: Arc<Shared>,
}

/// A request on its way; resolves to its [`Outcome`].
///
/// Dropping it changes nothing on the wire: the slot is free again when the answer comes or the request expires, and
/// the outcome then goes to [`Incoming`] as an [`Orphan`].
#[must_use = "the outcome becomes an orphan when nobody awaits it"]
pub struct Pending {
    number: u64,
    reply: oneshot::Receiver<Outcome>,
    shared: Arc<Shared>,
    /// The outcome has been handed out.
    done: bool,
}

/// What handles ask of the driver.
enum Command {
    Request {
        pdu: Pdu,
        caller: Caller,
    },
    Notify {
        pdu: Pdu,
        reply: oneshot::Sender<Result<(), Refused>>,
        _slot: OwnedSemaphorePermit,
    },
    Reply {
        answer: incoming::Due,
        reply: Reply,
    },
}

/// Who waits for an outcome, with the slot that the request takes.
struct Caller {
    number: u64,
    reply: oneshot::Sender<Outcome>,
    slot: OwnedSemaphorePermit,
}

/// What handles, pending requests and the driver have in common.
struct Shared {
    /// Free slots; closed as soon as no request is taken any more.
    slots: Arc<Semaphore>,
    next: AtomicU64,
    events: mpsc::Sender<Event>,
    orphans_lost: AtomicU64,
    notices: AtomicU64,
    congestion: AtomicU8,
    unbind: Notify,
    unbind_asked: AtomicBool,
    stand: watch::Sender<Stand>,
}

/// How far the connection's life has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    Bound,
    /// One of the two unbinds: no request is taken any more.
    Leaving,
    Over(CloseReason),
}

impl Connection<Ticket> {
    /// Shares a bound connection: handles to send with, the driver to be spawned and awaited, and what the peer sends.
    ///
    /// Nothing moves until the [`Driver`] runs. All queues between the three are bounded by `limits`.
    pub fn split(mut self, limits: &Limits) -> (Handle, Driver, Incoming) {
        let window = limits.window.clamp(1, self.session().config().window);
        let requests = limits.requests_max.clamp(1, LIMIT_MAX);
        let orphans = limits.orphans_max.min(LIMIT_MAX);
        // Each command holds a slot of the window or one of the peer's requests: never full.
        let (to_driver, commands) = mpsc::channel(window + requests);
        // Requests take at most their own share: the rest is for what must not be lost.
        let (events, incoming) = mpsc::channel(requests + orphans);
        let shared = Arc::new(Shared {
            slots: Arc::new(Semaphore::new(window)),
            next: AtomicU64::new(1),
            events,
            orphans_lost: AtomicU64::new(0),
            notices: AtomicU64::new(0),
            congestion: AtomicU8::new(NO_CONGESTION),
            unbind: Notify::new(),
            unbind_asked: AtomicBool::new(false),
            stand: watch::Sender::new(Stand::Bound),
        });
        let incoming = Incoming::new(incoming, shared.stand.subscribe());
        let driver = Driver::new(
            self,
            commands,
            to_driver.downgrade(),
            Arc::clone(&shared),
            requests,
            limits.requests_octets_max,
        );
        let handle = Handle {
            commands: to_driver,
            shared,
        };
        (handle, driver, incoming)
    }
}

impl Handle {
    /// Sends a request and waits for its outcome; first of all for a free slot. Same as [`Handle::offer`] and then
    /// the [`Pending`].
    ///
    /// Dropped (by a timeout, say) while it waits for a slot, nothing was sent. Dropped later it is as a dropped
    /// [`Pending`]: the message may be sent, and its outcome comes out of [`Incoming`] as an [`Orphan`], whose number
    /// only [`Handle::offer`] tells. Who sets deadlines of his own uses that one.
    ///
    /// # Errors
    /// See [`NoAnswer`].
    pub async fn request(&self, pdu: Pdu) -> Outcome {
        self.offer(pdu).await?.await
    }

    /// Waits for a free slot, callers in the order of their coming, and sends the request.
    ///
    /// Cancel-safe: dropped while it waits, nothing was sent.
    ///
    /// # Errors
    /// [`Refused::NotBound`] when the session is being left or over. Whatever the session itself refuses comes out of
    /// the [`Pending`].
    pub async fn offer(&self, pdu: Pdu) -> Result<Pending, Refused> {
        let slot = self.slot().await?;
        self.send(pdu, slot)
    }

    /// Sends a request now or not at all.
    ///
    /// # Errors
    /// [`Refused::WindowFull`] without a free slot, and as [`Handle::offer`].
    pub fn try_offer(&self, pdu: Pdu) -> Result<Pending, Refused> {
        let slots = Arc::clone(&self.shared.slots);
        let slot = slots.try_acquire_owned().map_err(|error| match error {
            TryAcquireError::NoPermits => Refused::WindowFull,
            TryAcquireError::Closed => Refused::NotBound,
        })?;
        self.send(pdu, slot)
    }

    /// Sends a PDU that has no response (alert_notification). Waits for a free slot, but keeps none.
    ///
    /// # Errors
    /// As [`crate::session::Input::Notify`].
    pub async fn notify(&self, pdu: Pdu) -> Result<(), Refused> {
        let (reply, done) = oneshot::channel();
        let command = Command::Notify {
            pdu,
            reply,
            _slot: self.slot().await?,
        };
        let sent = self.commands.try_send(command);
        sent.map_err(|_| Refused::NotBound)?;
        done.await.unwrap_or(Err(Refused::NotBound))
    }

    /// Takes no more requests, waits for what is outstanding (at most twice the session's `unbind_timeout`), unbinds
    /// and waits for the end.
    ///
    /// Those who wait for a slot are refused. The unbind goes on when the future is dropped.
    pub async fn unbind(&self) -> CloseReason {
        self.start_unbind();
        self.closed().await
    }

    /// Starts what [`Handle::unbind`] waits for.
    pub fn start_unbind(&self) {
        self.shared.unbind_asked.store(true, Ordering::Release);
        self.shared.leave();
        self.shared.unbind.notify_one();
    }

    /// Waits until no request is taken any more, because either side unbinds or the connection is over: the moment to
    /// open a successor. What is outstanding may still be answered.
    pub async fn leaving(&self) {
        let mut stand = self.shared.stand.subscribe();
        // An error is impossible while `self` holds the other end; it would mean over.
        let _ = stand.wait_for(|stand| *stand != Stand::Bound).await;
    }

    /// Waits until the connection is over; tells why. `Aborted` when the driver was dropped.
    pub async fn closed(&self) -> CloseReason {
        let mut stand = self.shared.stand.subscribe();
        let over = stand.wait_for(|stand| matches!(stand, Stand::Over(_)));
        match over.await.as_deref() {
            Ok(Stand::Over(reason)) => *reason,
            // Impossible while `self` holds the other end.
            Ok(Stand::Bound | Stand::Leaving) | Err(_) => CloseReason::Aborted,
        }
    }

    /// Whether requests are taken: false once either side unbinds or the connection is over.
    pub fn is_bound(&self) -> bool {
        !self.shared.slots.is_closed()
    }

    /// Slots free at this moment.
    pub fn window_free(&self) -> usize {
        self.shared.slots.available_permits()
    }

    /// The peer's latest congestion_state, 0 to 100, as [`crate::session::Action::Congestion`] tells it.
    pub fn congestion(&self) -> Option<u8> {
        let state = self.shared.congestion.load(Ordering::Relaxed);
        (state != NO_CONGESTION).then_some(state)
    }

    /// Outcomes that had no caller and found no room in [`Incoming`], or no [`Incoming`].
    pub fn orphans_lost(&self) -> u64 {
        self.shared.orphans_lost.load(Ordering::Relaxed)
    }

    /// How often the peer did something that the session only notes ([`crate::session::Notice`]).
    pub fn notices(&self) -> u64 {
        self.shared.notices.load(Ordering::Relaxed)
    }

    async fn slot(&self) -> Result<OwnedSemaphorePermit, Refused> {
        let slot = Arc::clone(&self.shared.slots).acquire_owned().await;
        slot.map_err(|_| Refused::NotBound)
    }

    fn send(&self, pdu: Pdu, slot: OwnedSemaphorePermit) -> Result<Pending, Refused> {
        let number = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let (to_caller, reply) = oneshot::channel();
        let caller = Caller {
            number,
            reply: to_caller,
            slot,
        };
        let sent = self.commands.try_send(Command::Request { pdu, caller });
        // Never full, see `split`: the driver has gone.
        sent.map_err(|_| Refused::NotBound)?;
        Ok(Pending {
            number,
            reply,
            shared: Arc::clone(&self.shared),
            done: false,
        })
    }
}

impl Pending {
    /// The request's number on this connection, which an [`Orphan`] carries too: 1, 2, 3 and so on as offered.
    pub fn number(&self) -> u64 {
        self.number
    }
}

impl Future for Pending {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let outcome = std::task::ready!(Pin::new(&mut self.reply).poll(cx));
        self.done = true;
        // The driver was dropped with this request outstanding.
        Poll::Ready(outcome.unwrap_or(Err(NoAnswer::InDoubt)))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        // From here on the driver sees that nobody listens; an outcome that came just before is taken along.
        self.reply.close();
        if let Ok(outcome) = self.reply.try_recv() {
            self.shared.orphan(self.number, outcome);
        }
    }
}

impl Shared {
    /// No request is taken any more.
    fn leave(&self) {
        self.slots.close();
        self.stand.send_if_modified(|stand| {
            let bound = *stand == Stand::Bound;
            if bound {
                *stand = Stand::Leaving;
            }
            bound
        });
    }

    fn orphan(&self, number: u64, outcome: Outcome) {
        // Nothing was sent and nobody cares.
        if matches!(outcome, Err(NoAnswer::Refused(_))) {
            return;
        }
        let event = Event::Orphan(Orphan { number, outcome });
        if self.events.try_send(event).is_err() {
            self.orphans_lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}
