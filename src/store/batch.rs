//! Lives here: what one transaction of the writer holds, and what comes of it.
//! Never here: SQL, channels' loops.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::StoreError;
use super::asking::Asked;
use super::control::{AuditEntry, Control, Controlled};
use super::desk::{DeskDone, DeskWork};
use super::directory::Forgotten;
use super::hooks::{HooksDone, HooksWork};
use super::inbox::{Ended, InboxDone, InboxWork};
use super::jobs::{JobsDone, JobsWork};
use super::memo::{Memo, MemoWork, Repeat};
use super::people::{Changed, PeopleWork};
use super::till::{TillDone, TillWork};
use crate::domain::class::Class;
use crate::domain::endpoint::{Endpoints, Reason};
use crate::domain::ids::{
    BindName, CarrierId, CarrierIndex, EndpointId, EventId, IntentId, MessageId, MessageSeq, Place,
    ReceiptKey,
};
use crate::domain::ledger::{Sheet, Shortfall};
use crate::domain::lifecycle::SegmentState;
use crate::domain::message::{Message, State};
use crate::domain::receipt::Receipt;
use crate::domain::time::Timestamp;
use crate::flow::{Answered, DeliveryRecord, EventJob, Ready, ReceiptResult, Settlement};

/// How long a worker may take over an event before the sweep offers it again.
pub(super) const EVENT_LEASE: Duration = Duration::from_secs(60);

/// A message to accept, and who waits for the yes.
#[derive(Debug)]
pub(super) struct Accept {
    pub(super) message: Arc<Message>,
    /// What its request is answered, if that names itself: kept with the message.
    pub(super) memo: Option<Arc<Memo>>,
    /// What its request repeats, if it does: then nothing was kept.
    pub(super) reply: oneshot::Sender<Result<Option<Repeat>, StoreError>>,
}

/// A batch about to be handed to a bind.
#[derive(Debug)]
pub(super) struct Intent {
    pub(super) id: IntentId,
    pub(super) carrier: CarrierId,
    pub(super) bind: BindName,
    pub(super) at: Timestamp,
    pub(super) batch: Vec<Ready>,
    pub(super) to: mpsc::Sender<Answered>,
}

/// What carriers answered.
#[derive(Debug)]
pub(super) struct Settle {
    pub(super) settlement: Settlement,
    /// `None`: a part of one, of which a later part answers for all.
    pub(super) reply: Option<oneshot::Sender<()>>,
}

/// Receipts that arrived.
#[derive(Debug)]
pub(super) struct Receipts {
    pub(super) receipts: Vec<Receipt>,
    /// The results of those before them, if they have been divided: known by now.
    pub(super) earlier: Option<oneshot::Receiver<Vec<ReceiptResult>>>,
    pub(super) reply: oneshot::Sender<Vec<ReceiptResult>>,
}

impl Receipts {
    /// Tells their results, and those of the parts before them. Who has gone needs none.
    pub(super) fn answer(self, results: Vec<ReceiptResult>) {
        let earlier = self.earlier.map(|mut earlier| earlier.try_recv());
        let mut all = match earlier {
            None => Vec::new(),
            Some(Ok(earlier)) => earlier,
            // Nobody knows what came of those before: as if none of them had been kept.
            Some(Err(_)) => return,
        };
        all.extend(results);
        let _ = self.reply.send(all);
    }
}

/// Attempts to deliver webhook events.
#[derive(Debug)]
pub(super) struct Deliveries {
    pub(super) records: Vec<DeliveryRecord>,
    /// As of a [`Settle`].
    pub(super) reply: Option<oneshot::Sender<()>>,
}

/// Rare work of the writer.
#[derive(Debug)]
pub(super) enum Chore {
    People(PeopleWork),
    /// What an operator wants changed.
    Control(Control),
    ReleaseDue {
        now: Timestamp,
        limit: u32,
    },
    ClaimEvents {
        now: Timestamp,
        limit: u32,
    },
    Receipts(InboxWork),
    Till(TillWork),
    Desk(DeskWork),
    Memo(MemoWork),
    Jobs(JobsWork),
    Hooks(HooksWork),
    GiveUpEvents {
        before: Timestamp,
        limit: u32,
    },
    EndOverdue {
        queued_before: Timestamp,
        open_before: Timestamp,
        at: Timestamp,
        limit: u32,
    },
}

impl Chore {
    /// The log's word for it.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::People(_) => "change organisations, keys or users",
            Self::Control(_) => "an operator's change",
            Self::ReleaseDue { .. } => "release scheduled messages",
            Self::ClaimEvents { .. } => "lease events",
            Self::Receipts(_) => "look after receipts",
            Self::Till(_) => "change credits or prices",
            Self::Desk(_) => "an organisation's change",
            Self::Memo(_) => "keep or drop answers",
            Self::Jobs(_) => "look after bulk jobs",
            Self::Hooks(_) => "change webhook endpoints",
            Self::GiveUpEvents { .. } => "give up events",
            Self::EndOverdue { .. } => "end overdue messages",
        }
    }

    /// Rows that it will touch, roughly.
    pub(super) fn rows(&self) -> usize {
        match self {
            Self::Jobs(JobsWork::Expand(expansion)) => 2 * expansion.messages.len(),
            Self::Jobs(JobsWork::Create(order)) => 16 + order.chunks.len(),
            Self::Hooks(HooksWork::Replay { events, .. }) => 2 * events.len(),
            _ => 16,
        }
    }
}

/// What a chore came to.
#[derive(Debug)]
pub(super) enum ChoreDone {
    People(Changed),
    Count(u64),
    Events(Vec<EventJob>),
    Controlled(Controlled),
    Receipts(InboxDone),
    Till(TillDone),
    Desk(DeskDone),
    /// An answer, unless its request repeats one.
    Kept(Option<Repeat>),
    Jobs(JobsDone),
    Hooks(HooksDone),
}

/// A chore and who waits for it.
#[derive(Debug)]
pub(super) struct Errand {
    pub(super) chore: Chore,
    /// Written in the same commit, if an operator asked for it.
    pub(super) audit: Option<AuditEntry>,
    pub(super) asked: Asked<ChoreDone>,
}

/// Everything of one transaction. Kept until it is committed: all but accepts are tried again
/// when a commit fails, because their causes cannot be undone; chores as long as somebody waits for
/// them.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) accepts: Vec<Accept>,
    pub(super) intents: Vec<Intent>,
    pub(super) settlements: Vec<Settle>,
    pub(super) receipts: Vec<Receipts>,
    pub(super) deliveries: Vec<Deliveries>,
    pub(super) chores: Vec<Errand>,
    /// Events that the webhook workers had no room for, and when they are due again.
    pub(super) left: Vec<(EventId, Timestamp)>,
    /// Intents that came to nothing: all their messages were turned back.
    pub(super) closed: Vec<IntentId>,
    /// Rows that the work beside accepts will touch, roughly.
    pub(super) rows: usize,
    /// How often the database has refused it for what is in it.
    pub(super) refusals: u32,
    /// It is written instead of what the database will not have.
    pub(super) instead: bool,
}

impl Batch {
    /// Whether there is nothing to commit.
    pub(super) fn is_empty(&self) -> bool {
        self.accepts.is_empty() && self.only_accepts()
    }

    /// Whether there is nothing beside accepts.
    pub(super) fn only_accepts(&self) -> bool {
        self.intents.is_empty()
            && self.settlements.is_empty()
            && self.receipts.is_empty()
            && self.deliveries.is_empty()
            && self.chores.is_empty()
            && self.left.is_empty()
            && self.closed.is_empty()
    }
}

/// A move that was made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reached {
    pub(super) message: MessageId,
    /// The account that it waits for, or that has answered.
    pub(super) carrier: CarrierIndex,
    pub(super) class: Class,
    pub(super) state: State,
}

/// What a committed batch came to, in the order of its parts.
#[derive(Debug, Default)]
pub(super) struct Effects {
    /// Messages for the lanes, in order of place.
    pub(super) committed: Vec<Ready>,
    /// Events for the webhook workers.
    pub(super) events: Vec<EventJob>,
    /// Results for each [`Receipts`] of the batch.
    pub(super) receipts: Vec<Vec<ReceiptResult>>,
    /// Parked receipts that an outcome or a proof of this batch brought home: whose, what they
    /// said, and what it came to.
    pub(super) unparked: Vec<(CarrierId, Option<SegmentState>, ReceiptResult)>,
    /// Attempts in doubt that a receipt has proven to be with their carrier.
    pub(super) proven: Vec<CarrierIndex>,
    /// Messages that receipts have ended.
    pub(super) ended: Vec<Ended>,
    /// Results for each [`Errand`].
    pub(super) chores: Vec<ChoreDone>,
    /// Messages that must not be handed to their bind any more.
    pub(super) stale: HashSet<MessageSeq>,
    /// Keys whose receipts were taken out of the inbox,
    pub(super) home: Vec<ReceiptKey>,
    /// and those whose receipts were put into it.
    pub(super) parked: HashSet<ReceiptKey>,
    /// The keys that are still parked now that the inbox has been kept within its bounds. Only a
    /// commit makes them so: after a try that failed more are.
    pub(super) left_parked: Option<HashSet<ReceiptKey>>,
    /// Moves that were made.
    pub(super) reached: Vec<Reached>,
    /// Messages that could not be paid for: they are not accepted.
    pub(super) short: HashMap<MessageSeq, Shortfall>,
    /// Messages whose requests repeat others: they are not accepted.
    pub(super) repeats: HashMap<MessageSeq, Repeat>,
    /// What has moved in the books.
    pub(super) sheet: Sheet,
    /// What must not be remembered any more.
    pub(super) forgotten: Vec<Forgotten>,
    /// The endpoints as the batch leaves them, if it changes any.
    pub(super) endpoints: Option<Endpoints>,
    /// Endpoints that are not called any more for what their deliveries came to.
    pub(super) disabled: Vec<(EndpointId, Reason)>,
    /// Moves that the lifecycle refused.
    pub(super) refused_moves: u64,
    /// What was noted of the numbers given, if anything; 0 = nothing.
    pub(super) noted: Place,
}
