//! Lives here: what webhook endpoints ask of the rows and of the writer: endpoints, notices, the
//! history of deliveries, and events that are asked for anew.
//! Never here: SQL; HTTP; whom an event goes to (`domain::endpoint`).

use std::sync::Arc;

use arc_swap::Guard;
use secrecy::SecretString;

use super::batch::{Chore, ChoreDone};
use super::control::AuditEntry;
use super::writer::Work;
use super::{Store, StoreError};
use crate::domain::endpoint::{Change, Endpoint, Endpoints};
use crate::domain::event::EventKind;
use crate::domain::ids::{EndpointId, EventId, MessageId, OrgId};
use crate::domain::time::Timestamp;
use crate::flow::EventJob;

/// Events that one request has sent anew at most.
pub const REPLAY_MAX: u32 = 10_000;

/// One attempt to deliver an event, by what it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeliveryId {
    /// The event.
    pub event: EventId,
    /// The number of the attempt, from 1.
    pub attempt: u16,
}

impl DeliveryId {
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

/// Which events are to be sent anew.
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
    },
}

/// What came of making an endpoint.
#[derive(Clone, Debug)]
pub enum Made {
    /// It is there.
    Done(Arc<Endpoint>),
    /// The organisation has as many as it may have.
    TooMany,
}

/// The changes, each within the open transaction.
pub(super) trait Hooks {
    /// Every endpoint.
    async fn endpoints(&mut self) -> Result<Vec<Endpoint>, StoreError>;

    /// Writes an endpoint, instead of what was known of it.
    async fn put_endpoint(&mut self, endpoint: &Endpoint) -> Result<(), StoreError>;

    /// Forgets an endpoint.
    async fn remove_endpoint(&mut self, id: EndpointId) -> Result<(), StoreError>;

    /// Puts at most [`REPLAY_MAX`] of an organisation's events back into the outbox, the oldest first,
    /// due now: those of which attempts are recorded. What still waits there is due now. Returns how
    /// many.
    async fn replay(
        &mut self,
        org: OrgId,
        live: bool,
        replay: &Replay,
        now: Timestamp,
    ) -> Result<u64, StoreError>;
}

/// What is read beside the writer.
pub(super) trait History {
    /// Attempts to deliver, by event and attempt, the newest first.
    async fn delivery_page(&self, page: &DeliveryPage) -> Result<Vec<DeliveryRow>, StoreError>;

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
        until: Timestamp,
    },
    Remove(OrgId, EndpointId),
    Replay {
        org: OrgId,
        live: bool,
        replay: Replay,
        now: Timestamp,
    },
}

/// What came of it.
#[derive(Clone, Debug)]
pub(super) enum HooksDone {
    Made(Made),
    /// The endpoint as it is now; `None`: there is none.
    Changed(Option<Arc<Endpoint>>),
    Removed(bool),
    Replayed(u64),
}

impl HooksDone {
    /// The audit's word for what was not done.
    pub(super) const fn refusal(&self) -> Option<&'static str> {
        match self {
            Self::Made(Made::TooMany) => Some("refused: there are too many"),
            Self::Changed(None) | Self::Removed(false) => Some("refused: there is no such thing"),
            Self::Replayed(0) => Some("refused: there is no such event"),
            Self::Made(Made::Done(_))
            | Self::Changed(Some(_))
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
        match self.hooks(HooksWork::Make(endpoint), audit).await? {
            HooksDone::Made(made) => Ok(made),
            HooksDone::Changed(_) | HooksDone::Removed(_) | HooksDone::Replayed(_) => {
                Ok(Made::TooMany)
            }
        }
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

    /// Gives an endpoint a new secret, beside which the one of now signs until `until`; `None`: the
    /// organisation has no such endpoint.
    ///
    /// # Errors
    /// As [`Store::make_endpoint`].
    pub async fn rotate_secret(
        &self,
        (org, id): (OrgId, EndpointId),
        secret: SecretString,
        until: Timestamp,
        audit: Option<AuditEntry>,
    ) -> Result<Option<Arc<Endpoint>>, StoreError> {
        let work = HooksWork::Rotate {
            org,
            id,
            secret,
            until,
        };
        self.changed(work, audit).await
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
        Ok(matches!(done, HooksDone::Removed(true)))
    }

    /// Sends events of an organisation and environment anew, the oldest first and at most
    /// [`REPLAY_MAX`]; returns how many.
    ///
    /// # Errors
    /// As [`Store::make_endpoint`].
    pub async fn replay_events(
        &self,
        (org, live): (OrgId, bool),
        replay: Replay,
        now: Timestamp,
        audit: Option<AuditEntry>,
    ) -> Result<u64, StoreError> {
        let work = HooksWork::Replay {
            org,
            live,
            replay,
            now,
        };
        match self.hooks(work, audit).await? {
            HooksDone::Replayed(count) => Ok(count),
            HooksDone::Made(_) | HooksDone::Changed(_) | HooksDone::Removed(_) => Ok(0),
        }
    }

    /// A page of an organisation's attempts to deliver.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub async fn delivery_page(&self, page: &DeliveryPage) -> Result<Vec<DeliveryRow>, StoreError> {
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
        match self.hooks(work, audit).await? {
            HooksDone::Changed(endpoint) => Ok(endpoint),
            HooksDone::Made(_) | HooksDone::Removed(_) | HooksDone::Replayed(_) => Ok(None),
        }
    }

    async fn hooks(
        &self,
        work: HooksWork,
        audit: Option<AuditEntry>,
    ) -> Result<HooksDone, StoreError> {
        let ChoreDone::Hooks(done) = self.command(Chore::Hooks(work), audit).await? else {
            return Ok(HooksDone::Removed(false));
        };
        Ok(done)
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
}
