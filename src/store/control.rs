//! Lives here: what the operator's hand asks of the store: holds, sweeps of waiting messages,
//! cancelling and resending single ones, the audit that goes with each in the same commit.
//! Never here: SQL (`sqlite::control`), who may do it, when it is safe (`admin`).

use super::asking::own;
use super::batch::{Chore, ChoreDone};
use super::engine::judge;
use super::reads::Reads;
use super::{MessageView, Store, StoreError};
use crate::domain::class::Class;
use crate::domain::ids::{CarrierId, MessageId, OrgId};
use crate::domain::message::State;
use crate::domain::time::Timestamp;
use crate::flow::health::Hold;

/// One line of the audit: who did what to what, why, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// The login name that `ctl` told, and the credential that was used.
    pub actor: Box<str>,
    /// The command, as its group and name: `carriers.pause`.
    pub action: Box<str>,
    /// The account, bind, message or lane.
    pub subject: Box<str>,
    /// A JSON object: the reason and the parameters; never a secret or a text.
    pub detail: Box<str>,
    /// What came of it.
    pub outcome: Box<str>,
}

/// An account that an operator holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldRow {
    /// The account.
    pub carrier: CarrierId,
    /// Paused or draining; [`Hold::Free`] is no row.
    pub hold: Hold,
    /// Why.
    pub reason: Box<str>,
    /// Who.
    pub actor: Box<str>,
    /// Since when.
    pub at: Timestamp,
    /// It ends then by itself.
    pub until: Option<Timestamp>,
}

/// One round over the queued messages of one lane: a bounded number of rows in one commit.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// Whose lane; it may be an account that is configured no more.
    pub carrier: Box<str>,
    /// Which lane. OTP leave no intent: the caller answers for it that none is with a bind.
    pub class: Class,
    /// Only this organisation's.
    pub org: Option<OrgId>,
    /// Only those accepted before.
    pub accepted_before: Option<Timestamp>,
    /// Behind this place: where the last round ended.
    pub after: Option<Bookmark>,
    /// To the end of that account's lane; `None` = they are cancelled.
    pub to: Option<CarrierId>,
    /// When.
    pub at: Timestamp,
    /// What the messages' owners read, if they are cancelled.
    pub detail: Box<str>,
    /// No other lane of the same command follows: its end is the command's.
    pub last: bool,
    /// The line of the audit that the rounds of one command share.
    pub audit: SweepAudit,
}

/// Where a sweep has come to in its lane: an organisation, and the place in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bookmark(pub OrgId, pub i64);

/// The audit of a command of several rounds: one line, rewritten with each round, so that a
/// command that was broken off tells how far it came.
#[derive(Clone, Debug)]
pub struct SweepAudit {
    /// The line; its outcome is written by the store.
    pub entry: AuditEntry,
    /// Its row, once the first round has written it.
    pub row: Option<i64>,
    /// Changed and left alone in the rounds before.
    pub before: (u64, u64),
}

/// What a round has come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Messages cancelled or moved.
    pub changed: u64,
    /// Messages left alone because they may be with a carrier.
    pub spared: u64,
    /// Where to go on; `None` = the lane's end.
    pub next: Option<Bookmark>,
    /// The audit's row.
    pub audit: i64,
}

/// Why a single message was left as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// There is no such message.
    Missing,
    /// It is not in a state from which this can be done.
    Standing(State),
    /// It stands in a batch that a bind has under way.
    UnderWay,
    /// An earlier attempt may have reached a carrier.
    Attempted,
    /// It is an OTP, which leaves no trace while a bind has it, and its account is in use.
    Otp,
    /// It will be resent by itself.
    ResentByItself,
    /// Its validity has ended.
    Overdue,
}

impl Obstacle {
    /// The audit's word for it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Missing => "refused: no such message",
            Self::Standing(_) => "refused: not in this state",
            Self::UnderWay => "refused: under way to a carrier",
            Self::Attempted => "refused: perhaps with a carrier",
            Self::Otp => "refused: an otp of an account in use",
            Self::ResentByItself => "refused: resent by itself",
            Self::Overdue => "refused: overdue",
        }
    }
}

/// What waits of one organisation in one lane.
#[derive(Clone, Debug)]
pub struct Tally {
    /// The account.
    pub carrier: Box<str>,
    /// The class.
    pub class: Class,
    /// The organisation.
    pub org: OrgId,
    /// Its name; empty if it is gone.
    pub org_name: Box<str>,
    /// Queued, scheduled or uncertain.
    pub state: State,
    /// How many.
    pub messages: u64,
    /// When the first in order was accepted.
    pub oldest: Timestamp,
    /// When the next one is due: scheduled ones only.
    pub due: Option<Timestamp>,
}

/// What the operator's hand wants changed.
#[derive(Debug)]
pub(super) enum Control {
    /// Nothing in the store: only the audit.
    Note,
    Hold(HoldRow),
    Free(CarrierId),
    Sweep(Sweep),
    Cancel {
        message: MessageId,
        at: Timestamp,
        detail: Box<str>,
        otp: bool,
    },
    Resend {
        message: MessageId,
        at: Timestamp,
    },
}

/// What it came to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Controlled {
    Done,
    Swept(Swept),
    Left(Obstacle),
}

impl Store {
    /// Writes a line of the audit, for what has its effect elsewhere.
    ///
    /// # Errors
    /// As of [`Store::create_org`].
    pub async fn note(&self, audit: AuditEntry) -> Result<(), StoreError> {
        self.control(Control::Note, Some(audit)).await.map(drop)
    }

    /// Remembers that an account is held, instead of what was known of it.
    ///
    /// # Errors
    /// As of [`Store::create_org`].
    pub async fn hold(&self, hold: HoldRow, audit: AuditEntry) -> Result<(), StoreError> {
        self.control(Control::Hold(hold), Some(audit))
            .await
            .map(drop)
    }

    /// Forgets an account's hold.
    ///
    /// # Errors
    /// As of [`Store::create_org`].
    pub async fn free(&self, carrier: CarrierId, audit: AuditEntry) -> Result<(), StoreError> {
        self.control(Control::Free(carrier), Some(audit))
            .await
            .map(drop)
    }

    /// One round of a sweep. Its lane must have been recalled.
    ///
    /// # Errors
    /// As of [`Store::create_org`].
    pub async fn sweep(&self, sweep: Sweep) -> Result<Swept, StoreError> {
        let done = self.control(Control::Sweep(sweep), None).await?;
        Ok(own!(done, Controlled::Swept(swept) => swept))
    }

    /// Cancels a scheduled or queued message; the latter's lane must have been recalled. `otp`
    /// says that an OTP cannot be with a bind.
    ///
    /// # Errors
    /// As of [`Store::create_org`].
    pub async fn cancel(
        &self,
        message: MessageId,
        otp: bool,
        detail: Box<str>,
        audit: AuditEntry,
    ) -> Result<Result<(), Obstacle>, StoreError> {
        let at = audit.at;
        let cancel = Control::Cancel {
            message,
            at,
            detail,
            otp,
        };
        self.control(cancel, Some(audit)).await.map(obstacle)
    }

    /// Puts a message in doubt that is not resent by itself back into its lane, marked as a
    /// possible duplicate. Its lane must have been recalled.
    ///
    /// # Errors
    /// As of [`Store::create_org`].
    pub async fn resend(
        &self,
        message: MessageId,
        audit: AuditEntry,
    ) -> Result<Result<(), Obstacle>, StoreError> {
        let at = audit.at;
        self.control(Control::Resend { message, at }, Some(audit))
            .await
            .map(obstacle)
    }

    /// What would stand in the way of [`Store::cancel`] now; nothing is changed.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub async fn may_cancel(
        &self,
        message: MessageId,
        otp: bool,
    ) -> Result<Result<(), Obstacle>, StoreError> {
        let reader = &self.inner.reader;
        let Some(found) = reader.candidate(message).await? else {
            return Ok(Err(Obstacle::Missing));
        };
        let under_way = reader.under_way().await?;
        let unsure = self.inner.unsure;
        Ok(judge::may_cancel(&found, &under_way, otp, unsure))
    }

    /// What would stand in the way of [`Store::resend`] at this time; nothing is changed.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub async fn may_resend(
        &self,
        message: MessageId,
        at: Timestamp,
    ) -> Result<Result<(), Obstacle>, StoreError> {
        let reader = &self.inner.reader;
        let Some(found) = reader.candidate(message).await? else {
            return Ok(Err(Obstacle::Missing));
        };
        let under_way = reader.under_way().await?;
        Ok(judge::may_resend(&found, &under_way, at))
    }

    async fn control(
        &self,
        control: Control,
        audit: Option<AuditEntry>,
    ) -> Result<Controlled, StoreError> {
        let done = self.command(Chore::Control(control), audit).await?;
        Ok(own!(done, ChoreDone::Controlled(done) => done))
    }

    /// The audit's last lines, newest first.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn audit(&self, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        self.inner.reader.audit(limit).await
    }

    /// All holds.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn holds(&self) -> Result<Vec<HoldRow>, StoreError> {
        self.inner.reader.holds().await
    }

    /// What waits, by lane and organisation.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub async fn tallies(&self) -> Result<Vec<Tally>, StoreError> {
        self.inner.reader.tallies().await
    }

    /// How many queued messages of a lane would be looked at by a sweep of it, and the ids of the
    /// first few.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub async fn preview(
        &self,
        lane: (&str, Class),
        org: Option<OrgId>,
        accepted_before: Option<Timestamp>,
    ) -> Result<(u64, Vec<MessageId>), StoreError> {
        let reader = &self.inner.reader;
        reader.preview(lane, org, accepted_before).await
    }

    /// A message of any organisation, and the account by whose id its row stands.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub async fn any_message(
        &self,
        id: MessageId,
    ) -> Result<Option<(MessageView, Box<str>)>, StoreError> {
        self.inner.reader.any_message(id).await
    }

    /// How many queued messages of its lane stand before this one.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn ahead_of(&self, id: MessageId) -> Result<u64, StoreError> {
        self.inner.reader.ahead_of(id).await
    }
}

fn obstacle(done: Controlled) -> Result<(), Obstacle> {
    match done {
        Controlled::Left(obstacle) => Err(obstacle),
        Controlled::Done | Controlled::Swept(_) => Ok(()),
    }
}
