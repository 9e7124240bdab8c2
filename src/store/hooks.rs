//! Lives here: what webhook endpoints ask of the rows and of the writer: endpoints, notices, the
//! history of deliveries, and events that are asked for anew.
//! Never here: SQL; HTTP; whom an event goes to (`domain::endpoint`).

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::Guard;
use secrecy::SecretString;
use uuid::Uuid;

use super::asking::own;
use super::batch::{Chore, ChoreDone};
use super::control::AuditEntry;
use super::housekeeping::first_kept;
use super::rows::first_of_day;
use super::writer::Work;
use super::{Store, StoreError};
use crate::domain::endpoint::{Change, Endpoint, Endpoints};
use crate::domain::event::EventKind;
use crate::domain::ids::{EndpointId, EventId, MessageId, MessageSeq, OrgId};
use crate::domain::time::Timestamp;
use crate::flow::EventJob;

/// Events that one request has sent anew at most.
pub const REPLAY_MAX: u64 = 10_000;
/// Events that one transaction puts back: accepts wait behind it for a few milliseconds.
const PUT_BACK: usize = 256;
/// Attempts that a reader looks at in one statement, whether they fit or not: some milliseconds.
const LOOK: u32 = 2048;
/// After this long a request says how far it has come: shorter than anybody's patience.
const REPLAY_LASTS: Duration = Duration::from_secs(2);

/// One attempt to deliver an event, by what it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeliveryId {
    /// The event.
    pub event: EventId,
    /// The number of the attempt, from 1.
    pub attempt: u16,
}

impl DeliveryId {
    /// Behind all others.
    pub(super) const LAST: Self = Self {
        event: EventId(Uuid::max()),
        attempt: u16::MAX,
    };

    /// The attempt of this name.
    pub fn parse(text: &str) -> Option<Self> {
        let (event, attempt) = text.strip_prefix("dlv_")?.split_once('_')?;
        Some(Self {
            event: EventId::parse(&format!("evt_{event}"))?,
            attempt: attempt.parse().ok()?,
        })
    }
}

impl std::fmt::Display for DeliveryId {
    /// `dlv_`, the event's 32 hexadecimal digits, `_` and the attempt's number.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "dlv_{}_{}", self.event.0.simple(), self.attempt)
    }
}

/// Which attempts are wanted, the newest events first.
#[derive(Clone, Copy, Debug)]
pub struct DeliveryPage {
    /// Whose.
    pub org: OrgId,
    /// Of live (true) or of test events.
    pub live: bool,
    /// Behind this one.
    pub after: Option<DeliveryId>,
    /// Those that succeeded (true) or failed.
    pub delivered: Option<bool>,
    /// Of events of this kind.
    pub kind: Option<EventKind>,
    /// To this endpoint.
    pub target: Option<EndpointId>,
    /// How many at most.
    pub limit: u32,
    /// So many of the organisation's attempts are looked at, whether they fit or not.
    pub look: u32,
}

/// A page of them.
#[derive(Clone, Debug, Default)]
pub struct Deliveries {
    /// The attempts, the newest events first; perhaps fewer than were asked for, if many did not fit.
    pub rows: Vec<DeliveryRow>,
    /// The next page's [`DeliveryPage::after`]; `None`: the list's end.
    pub next: Option<DeliveryId>,
}

/// An attempt to deliver an event, as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRow {
    /// What it is called.
    pub id: DeliveryId,
    /// What happened.
    pub kind: EventKind,
    /// When that was.
    pub happened_at: Timestamp,
    /// Of which message, if it is of one that is still there.
    pub message: Option<MessageId>,
    /// To which endpoint; `None`: to the message's own URL.
    pub target: Option<EndpointId>,
    /// When the attempt began.
    pub at: Timestamp,
    /// How long it took.
    pub latency_ms: u32,
    /// The HTTP status, if there was one.
    pub status: Option<u16>,
    /// What went wrong.
    pub error: Option<Box<str>>,
}

/// All that is known of an attempt.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// As a list shows it.
    pub row: DeliveryRow,
    /// The event, so that its request can be written again.
    pub job: EventJob,
    /// The beginning of the answer's body.
    pub response: Option<Box<str>>,
}

/// Which events are to be sent anew: of those of which attempts are recorded. Events of messages whose
/// day is over, or is over tomorrow, for retention ([`Config::kept_days`]) are not sent anew: what is
/// asked for may wait for days, and would keep them for ever if it could be asked for ever.
///
/// [`Config::kept_days`]: super::Config::kept_days
#[derive(Clone, Copy, Debug)]
pub enum Replay {
    /// This one.
    Event(EventId),
    /// Those of an endpoint that happened in a span; `until` is not of it.
    Span {
        /// The endpoint.
        endpoint: EndpointId,
        /// From then on.
        since: Timestamp,
        /// Until before then.
        until: Timestamp,
        /// Only those that it has not taken at their last attempt.
        failed_only: bool,
        /// Only those behind this one: [`Replayed::next`] of the request before.
        after: Option<EventId>,
    },
}

/// What came of asking for events anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// How many are sent again.
    pub events: u64,
    /// There may be more behind this one; `None`: that was all.
    pub next: Option<EventId>,
}

/// Events of which attempts are recorded, by their ids.
#[derive(Clone, Copy, Debug)]
pub(super) struct Past {
    pub(super) org: OrgId,
    pub(super) live: bool,
    /// `None`: whomever they were for.
    pub(super) target: Option<EndpointId>,
    /// Not itself.
    pub(super) after: EventId,
    /// This one too.
    pub(super) upto: EventId,
    /// Only those whose last attempt failed.
    pub(super) failed_only: bool,
    /// Only those of messages with this number or a higher one.
    pub(super) kept_from: MessageSeq,
    /// So many attempts are looked at, and the rest of those at the last one's event.
    pub(super) look: u32,
}

/// What part of them was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PastPage {
    /// In their order, with what they are about.
    pub(super) events: Vec<(MessageSeq, EventId)>,
    /// The last event that was looked at; `None`: they have been looked at to the end.
    pub(super) next: Option<EventId>,
}

impl Past {
    fn of((org, live): (OrgId, bool), replay: &Replay, kept_from: MessageSeq) -> Self {
        let before = |event: EventId| EventId(Uuid::from_u128(event.0.as_u128().saturating_sub(1)));
        let (target, after, upto, failed_only) = match *replay {
            Replay::Event(event) => (None, before(event), event, false),
            Replay::Span {
                endpoint,
                since,
                until,
                failed_only,
                after,
            } => {
                let first = before(first_event_of(since));
                let first = after.map_or(first, |after| first.max(after));
                (
                    Some(endpoint),
                    first,
                    before(first_event_of(until)),
                    failed_only,
                )
            }
        };
        Self {
            org,
            live,
            target,
            after,
            upto,
            failed_only,
            kept_from,
            look: LOOK,
        }
    }
}

/// No event that happened at this time or later has a lower id than this.
pub(super) fn first_event_of(at: Timestamp) -> EventId {
    let ms = u128::try_from(at.0).unwrap_or(0);
    // A UUIDv7 begins with 48 bits of milliseconds.
    EventId(Uuid::from_u128(ms << 80))
}

/// The first number of a message whose events may be sent anew.
fn kept_from(days: Option<u32>, now: Timestamp) -> MessageSeq {
    // The day after the first that is kept: who deletes looks for waiting events before, and would
    // not see one that comes between.
    let day = first_kept(days, now).map_or(0, |day| day + 1);
    first_of_day(day.max(0))
}

/// What came of making an endpoint.
#[derive(Clone, Debug)]
pub enum Made {
    /// It is there.
    Done(Arc<Endpoint>),
    /// The organisation has as many as it may have.
    TooMany,
}

/// What came of rotating a secret.
#[derive(Clone, Debug)]
pub enum Rotated {
    /// The endpoint as it is now.
    Done(Arc<Endpoint>),
    /// Two secrets hold until then.
    Overlap(Timestamp),
    /// The organisation has no such endpoint.
    Missing,
}

/// The changes, each within the open transaction.
pub(super) trait Hooks {
    /// Every endpoint.
    async fn endpoints(&mut self) -> Result<Vec<Endpoint>, StoreError>;

    /// Writes an endpoint, instead of what was known of it.
    async fn put_endpoint(&mut self, endpoint: &Endpoint) -> Result<(), StoreError>;

    /// Forgets an endpoint.
    async fn remove_endpoint(&mut self, id: EndpointId) -> Result<(), StoreError>;

    /// Puts events (each once) back into the outbox, due now, if attempts of them are recorded. What
    /// still waits there is due now. Returns how many.
    async fn replay(
        &mut self,
        events: &[(MessageSeq, EventId)],
        now: Timestamp,
    ) -> Result<u64, StoreError>;
}

/// What is read beside the writer.
pub(super) trait History {
    /// Attempts to deliver, by event and attempt, the newest first.
    async fn delivery_page(&self, page: &DeliveryPage) -> Result<Deliveries, StoreError>;

    /// Events of which attempts are recorded, in the order of their ids.
    async fn past(&self, past: &Past) -> Result<PastPage, StoreError>;

    /// An organisation's attempt.
    async fn delivery(&self, org: OrgId, id: DeliveryId) -> Result<Option<Delivery>, StoreError>;
}

/// What the writer is asked for.
#[derive(Debug)]
pub(super) enum HooksWork {
    Make(Endpoint),
    Change {
        org: OrgId,
        id: EndpointId,
        change: Change,
        at: Timestamp,
    },
    Rotate {
        org: OrgId,
        id: EndpointId,
        secret: SecretString,
        at: Timestamp,
        until: Timestamp,
    },
    Remove(OrgId, EndpointId),
    Replay {
        events: Vec<(MessageSeq, EventId)>,
        now: Timestamp,
    },
}

/// What came of it.
#[derive(Clone, Debug)]
pub(super) enum HooksDone {
    Made(Made),
    /// The endpoint as it is now; `None`: there is none.
    Changed(Option<Arc<Endpoint>>),
    Rotated(Rotated),
    Removed(bool),
    Replayed(u64),
}

impl HooksDone {
    /// The audit's word for what was not done.
    pub(super) const fn refusal(&self) -> Option<&'static str> {
        match self {
            Self::Made(Made::TooMany) => Some("refused: there are too many"),
            Self::Changed(None) | Self::Removed(false) | Self::Rotated(Rotated::Missing) => {
                Some("refused: there is no such thing")
            }
            Self::Rotated(Rotated::Overlap(_)) => Some("refused: two secrets hold already"),
            Self::Replayed(0) => Some("refused: there is no such event"),
            Self::Made(Made::Done(_))
            | Self::Changed(Some(_))
            | Self::Rotated(Rotated::Done(_))
            | Self::Removed(true)
            | Self::Replayed(_) => None,
        }
    }
}

impl Store {
    /// Gives leased events back to the outbox, each due at its time. Never waits: when the
    /// writer's queue is full they come back when their lease ends.
    pub fn leave_events(&self, events: Vec<(EventId, Timestamp)>) {
        let _ = self.inner.work.try_send(Work::Leave(events));
    }

    /// The endpoints of now. Cheap; not to be held across a wait.
    pub fn endpoints(&self) -> Guard<Arc<Endpoints>> {
        self.inner.endpoints.load()
    }

    /// Makes an endpoint.
    ///
    /// # Errors
    /// As for every operator's command ([`StoreError::Unavailable`]: nothing was done;
    /// [`StoreError::InDoubt`]).
    pub async fn make_endpoint(
        &self,
        endpoint: Endpoint,
        audit: Option<AuditEntry>,
    ) -> Result<Made, StoreError> {
        let done = self.hooks(HooksWork::Make(endpoint), audit).await?;
        Ok(own!(done, HooksDone::Made(made) => made))
    }

    /// Changes an organisation's endpoint; `None`: it has no such endpoint.
    ///
    /// # Errors
    /// As [`Store::make_endpoint`].
    pub async fn change_endpoint(
        &self,
        (org, id): (OrgId, EndpointId),
        change: Change,
        at: Timestamp,
        audit: Option<AuditEntry>,
    ) -> Result<Option<Arc<Endpoint>>, StoreError> {
        let work = HooksWork::Change {
            org,
            id,
            change,
            at,
        };
        self.changed(work, audit).await
    }

    /// Gives an endpoint a new secret, beside which the one of now signs from `at` until `until`.
    ///
    /// # Errors
    /// As [`Store::make_endpoint`].
    pub async fn rotate_secret(
        &self,
        (org, id): (OrgId, EndpointId),
        secret: SecretString,
        (at, until): (Timestamp, Timestamp),
        audit: Option<AuditEntry>,
    ) -> Result<Rotated, StoreError> {
        let work = HooksWork::Rotate {
            org,
            id,
            secret,
            at,
            until,
        };
        let done = self.hooks(work, audit).await?;
        Ok(own!(done, HooksDone::Rotated(rotated) => rotated))
    }

    /// Forgets an endpoint; `false`: the organisation has no such endpoint.
    ///
    /// # Errors
    /// As [`Store::make_endpoint`].
    pub async fn remove_endpoint(
        &self,
        (org, id): (OrgId, EndpointId),
        audit: Option<AuditEntry>,
    ) -> Result<bool, StoreError> {
        let done = self.hooks(HooksWork::Remove(org, id), audit).await?;
        Ok(own!(done, HooksDone::Removed(removed) => removed))
    }

    /// Sends events of an organisation and environment anew, the oldest first and at most
    /// [`REPLAY_MAX`], for two seconds or a little longer. They are chosen beside the writer, which puts
    /// back some at a time. What the audit is told is written with the first of them.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`], or as [`Store::make_endpoint`], of the first of
    /// them. What goes wrong later ends it: the answer says how far it has come.
    pub async fn replay_events(
        &self,
        whose: (OrgId, bool),
        replay: Replay,
        now: Timestamp,
        mut audit: Option<AuditEntry>,
    ) -> Result<Replayed, StoreError> {
        let begun = Instant::now();
        let mut past = Past::of(whose, &replay, kept_from(self.inner.kept_days, now));
        let (mut events, mut more) = (0, true);
        let work = async {
            // A page has no more events than attempts are looked at.
            while more && events + u64::from(LOOK) <= REPLAY_MAX && begun.elapsed() < REPLAY_LASTS {
                let page = self.inner.reader.past(&past).await?;
                for some in page.events.chunks(PUT_BACK) {
                    events += self.put_back(some, now, audit.take()).await?;
                    past.after = some.last().map_or(past.after, |(_, event)| *event);
                }
                past.after = page.next.unwrap_or(past.upto);
                more = page.next.is_some();
            }
            Ok(())
        };
        if let Err(error) = work.await
            && events == 0
        {
            return Err(error);
        }
        if audit.is_some() {
            // That nothing was found is noted, too.
            self.put_back(&[], now, audit).await?;
        }
        let next = more.then_some(past.after);
        Ok(Replayed { events, next })
    }

    async fn put_back(
        &self,
        events: &[(MessageSeq, EventId)],
        now: Timestamp,
        audit: Option<AuditEntry>,
    ) -> Result<u64, StoreError> {
        let events = events.to_vec();
        let work = HooksWork::Replay { events, now };
        let done = self.hooks(work, audit).await?;
        Ok(own!(done, HooksDone::Replayed(count) => count))
    }

    /// A page of an organisation's attempts to deliver.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub async fn delivery_page(&self, page: &DeliveryPage) -> Result<Deliveries, StoreError> {
        self.inner.reader.delivery_page(page).await
    }

    /// An organisation's attempt to deliver.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub async fn delivery(
        &self,
        org: OrgId,
        id: DeliveryId,
    ) -> Result<Option<Delivery>, StoreError> {
        self.inner.reader.delivery(org, id).await
    }

    async fn changed(
        &self,
        work: HooksWork,
        audit: Option<AuditEntry>,
    ) -> Result<Option<Arc<Endpoint>>, StoreError> {
        let done = self.hooks(work, audit).await?;
        Ok(own!(done, HooksDone::Changed(endpoint) => endpoint))
    }

    async fn hooks(
        &self,
        work: HooksWork,
        audit: Option<AuditEntry>,
    ) -> Result<HooksDone, StoreError> {
        let done = self.command(Chore::Hooks(work), audit).await?;
        Ok(own!(done, ChoreDone::Hooks(done) => done))
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn an_attempt_is_found_by_its_name_and_by_no_other() {
        let id = DeliveryId {
            event: EventId(Uuid::from_u128(0xab)),
            attempt: 3,
        };
        let name = id.to_string();
        assert_eq!(name, "dlv_000000000000000000000000000000ab_3");
        assert_eq!(DeliveryId::parse(&name), Some(id));
        for wrong in [
            "",
            "dlv_",
            "dlv_1_1",
            "evt_000000000000000000000000000000ab_3",
            "dlv_000000000000000000000000000000ab",
            "dlv_000000000000000000000000000000AB_3",
            "dlv_000000000000000000000000000000ab_70000",
        ] {
            assert_eq!(DeliveryId::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_day_before_it_is_deleted_nothing_of_a_message_is_sent_anew() {
        let now = Timestamp(100 * 86_400_000 + 5);
        assert_eq!(kept_from(None, now), MessageSeq(0));
        assert_eq!(kept_from(Some(90), now), first_of_day(11));
        assert_eq!(first_kept(Some(90), now), Some(10));
        assert_eq!(kept_from(Some(3660), now), MessageSeq(0));
    }
}
