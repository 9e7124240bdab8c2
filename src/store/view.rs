//! Lives here: what the store's readers get: a message and what became of it, its timeline, the
//! queue; and the table of configured accounts by which rows name carriers.
//! Never here: SQL, writing.

use std::sync::Arc;

use crate::domain::class::Class;
use crate::domain::ids::{CarrierId, CarrierIndex, EventId};
use crate::domain::lifecycle::SegmentState;
use crate::domain::message::{FailureCode, Message, State};
use crate::domain::proof::ToldBy;
use crate::domain::sandbox;
use crate::domain::time::Timestamp;

/// The carrier accounts, their ids by index and back: those that are configured, and behind them the
/// sandbox, with which test messages stand.
#[derive(Debug)]
pub struct Carriers {
    ids: Vec<CarrierId>,
}

impl Carriers {
    /// In configuration order; at most 65,000. The sandbox is put behind them.
    pub fn new(mut ids: Vec<CarrierId>) -> Self {
        ids.push(CarrierId(sandbox::ACCOUNT.into()));
        Self { ids }
    }

    /// The ids of the configured accounts, in their order.
    pub fn configured(&self) -> &[CarrierId] {
        self.ids
            .split_last()
            .map_or(&[], |(_, configured)| configured)
    }

    /// The ids of all, in the order of their indexes.
    pub fn ids(&self) -> &[CarrierId] {
        &self.ids
    }

    /// The account at an index.
    pub fn id(&self, index: CarrierIndex) -> Option<&CarrierId> {
        self.ids.get(index.index())
    }

    /// Its id as shared text; empty for an account that is configured no more.
    pub fn text(&self, index: CarrierIndex) -> Arc<str> {
        self.id(index)
            .map_or_else(|| "".into(), |id| Arc::clone(&id.0))
    }

    /// The index of an id.
    pub fn index(&self, id: &str) -> Option<CarrierIndex> {
        self.ids
            .iter()
            .position(|known| &*known.0 == id)
            .and_then(|index| u16::try_from(index).ok())
            .map(CarrierIndex)
    }
}

/// A message and what has become of it.
#[derive(Debug)]
pub struct MessageView {
    /// As accepted.
    pub message: Message,
    /// Where it stands.
    pub state: State,
    /// When a carrier took it.
    pub sent_at: Option<Timestamp>,
    /// When it ended.
    pub final_at: Option<Timestamp>,
    /// Why it failed, if it did.
    pub failure: Option<FailureCode>,
    /// The carrier's own words.
    pub detail: Option<Box<str>>,
    /// It may have been sent twice.
    pub possible_duplicate: bool,
}

/// One thing that happened to a message.
#[derive(Debug)]
pub enum TimelineEntry {
    /// A segment was handed to a bind, and what came of it.
    Attempt {
        /// When it was handed over.
        at: Timestamp,
        /// When it was answered or given up.
        answered_at: Timestamp,
        /// Which segment, from 1.
        part: u8,
        /// Which attempt, from 1.
        attempt: u16,
        /// The account.
        carrier: Box<str>,
        /// The bind.
        bind: Box<str>,
        /// Sequence number on the bind.
        sequence: u32,
        /// Where the segment stands now.
        state: SegmentState,
        /// The raw command_status, if answered.
        status: Option<u32>,
        /// The carrier's id, raw.
        carrier_message_id: Option<Box<str>>,
        /// It was in doubt, and this told its outcome.
        told_by: Option<ToldBy>,
    },
    /// A receipt.
    Receipt {
        /// When it reached us.
        at: Timestamp,
        /// For which segment.
        part: u8,
        /// The carrier's state text.
        stat: Box<str>,
        /// The carrier's error text.
        err: Box<str>,
        /// The carrier's date, verbatim.
        done_date: Box<str>,
        /// It contradicts an earlier final one.
        conflict: bool,
    },
    /// An attempt to deliver a webhook event.
    Webhook {
        /// When it began.
        at: Timestamp,
        /// The event.
        event: EventId,
        /// Its position among the message's events.
        sequence: u32,
        /// Which attempt, from 1.
        attempt: u16,
        /// How long it took.
        latency_ms: u32,
        /// The HTTP status, if there was one.
        status: Option<u16>,
        /// What went wrong.
        error: Option<Box<str>>,
    },
}

impl TimelineEntry {
    /// When it happened.
    pub const fn at(&self) -> Timestamp {
        match self {
            Self::Attempt { at, .. } | Self::Receipt { at, .. } | Self::Webhook { at, .. } => *at,
        }
    }
}

/// What waits, by account, class and state.
#[derive(Debug)]
pub struct QueueRow {
    /// The account.
    pub carrier: Box<str>,
    /// The class.
    pub class: Class,
    /// Queued or scheduled.
    pub state: State,
    /// How many.
    pub messages: u64,
    /// When the oldest was accepted.
    pub oldest: Timestamp,
}
