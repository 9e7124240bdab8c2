//! Lives here: what organisations ask of their own messages: lists of them, one taken back, one put
//! off; the questions to the rows and the handle's methods.
//! Never here: SQL; what operators do (`control`); who may ask (`api`).

use super::asking::own;
use super::batch::{Chore, ChoreDone};
use super::control::Obstacle;
use super::rows::first_of_day;
use super::{MessageView, Store, StoreError};
use crate::domain::class::Class;
use crate::domain::ids::{MessageId, MessageSeq, OrgId};
use crate::domain::message::State;
use crate::domain::phone::Msisdn;
use crate::domain::time::Timestamp;

/// Above all numbers: a listing from the newest message on.
pub const NEWEST: MessageSeq = MessageSeq(i64::MAX);

/// Which messages are asked for, the newest first.
#[derive(Clone, Debug)]
pub struct Listing {
    /// Whose; `None`: everybody's, for operators.
    pub org: Option<OrgId>,
    /// Only those with a lower number: where the last page ended, or [`NEWEST`].
    pub before: MessageSeq,
    /// Only those accepted at this time or later,
    pub since: Timestamp,
    /// and before this one.
    pub until: Timestamp,
    /// Only those in one of these states; all if there is none.
    pub states: Vec<State>,
    /// Only those to this number.
    pub to: Option<Msisdn>,
    /// Only those from this sender, whatever its case.
    pub from: Option<Box<str>>,
    /// Only those of this class.
    pub class: Option<Class>,
    /// Only those with this name of the client's own.
    pub client_ref: Option<Box<str>>,
    /// Only those with this tag.
    pub tag: Option<Box<str>>,
    /// Only those of live keys, or of test keys.
    pub live: Option<bool>,
    /// As many at most, 1 to 1000.
    pub limit: u32,
    /// So many messages are looked at, whether they fit or not: of the organisation's, or of its
    /// with this `client_ref`; of everybody's if it names none.
    pub look: u32,
}

impl Listing {
    /// All of an organisation's messages, a page of so many.
    pub fn of(org: Option<OrgId>, limit: u32) -> Self {
        Self {
            org,
            before: NEWEST,
            since: Timestamp(0),
            until: Timestamp(i64::MAX),
            states: Vec::new(),
            to: None,
            from: None,
            class: None,
            client_ref: None,
            tag: None,
            live: None,
            limit,
            look: 20_000,
        }
    }

    /// The numbers that messages of its span of time can have: the first, and the first above.
    pub(super) fn span(&self) -> (MessageSeq, MessageSeq) {
        // A clock that was set may have put a message on the day before or after.
        const DAY_MS: i64 = 86_400_000;
        let day = |at: Timestamp| at.0.div_euclid(DAY_MS);
        let first = first_of_day((day(self.since) - 1).max(0));
        let above = match day(self.until) {
            // Beyond it the number of a day does not fit.
            far if far >= 1 << 22 => NEWEST,
            day => first_of_day((day + 2).max(0)),
        };
        (first, above.min(self.before))
    }

    /// The states as a bit mask over their numbers.
    pub(super) fn mask(&self) -> i64 {
        if self.states.is_empty() {
            return -1;
        }
        self.states
            .iter()
            .fold(0, |mask, state| mask | 1 << state.index())
    }

    /// Whether every message of its organisation fits: none is looked at that is not shown.
    pub(super) fn is_plain(&self) -> bool {
        let any_time = self.since.0 <= 0 && self.until.0 == i64::MAX;
        any_time
            && self.live.is_none()
            && self.states.is_empty()
            && self.to.is_none()
            && self.from.is_none()
            && self.class.is_none()
            && self.client_ref.is_none()
            && self.tag.is_none()
    }
}

/// A page of a list.
#[derive(Debug, Default)]
pub struct Listed {
    /// The messages, the newest first; perhaps fewer than were asked for, if many did not fit.
    pub messages: Vec<MessageView>,
    /// The next page's [`Listing::before`]; `None`: the list's end.
    pub next: Option<MessageSeq>,
}

/// The changes, each within the open transaction.
pub(super) trait Desk {
    /// Gives a scheduled message another time and validity; `false`: it is not scheduled any more.
    async fn reschedule(
        &mut self,
        message: MessageSeq,
        due_at: Timestamp,
        valid_until: Timestamp,
    ) -> Result<bool, StoreError>;
}

/// What is read beside the writer.
pub(super) trait Lists {
    /// A page of messages.
    async fn list(&self, listing: &Listing) -> Result<Listed, StoreError>;
}

/// What the writer is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum DeskWork {
    Cancel {
        org: OrgId,
        message: MessageId,
        at: Timestamp,
    },
    Reschedule {
        org: OrgId,
        message: MessageId,
        due_at: Timestamp,
    },
}

/// What came of it.
pub(super) type DeskDone = Result<(), Obstacle>;

impl Store {
    /// Takes a message of an organisation back, gives back what is held for it, and tells its owner:
    /// a scheduled one, or a queued one that no bind can have. One of another organisation is
    /// [`Obstacle::Missing`].
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Closed`]: nothing was done.
    /// [`StoreError::InDoubt`]: it may have been.
    pub async fn take_back(
        &self,
        org: OrgId,
        message: MessageId,
        at: Timestamp,
    ) -> Result<Result<(), Obstacle>, StoreError> {
        self.desk(DeskWork::Cancel { org, message, at }).await
    }

    /// Gives a scheduled message of an organisation another time; it is valid as long after it as it
    /// was before.
    ///
    /// # Errors
    /// As [`Store::take_back`].
    pub async fn reschedule(
        &self,
        org: OrgId,
        message: MessageId,
        due_at: Timestamp,
    ) -> Result<Result<(), Obstacle>, StoreError> {
        let work = DeskWork::Reschedule {
            org,
            message,
            due_at,
        };
        self.desk(work).await
    }

    /// A page of messages, the newest first.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub async fn list(&self, listing: &Listing) -> Result<Listed, StoreError> {
        self.inner.reader.list(listing).await
    }

    async fn desk(&self, work: DeskWork) -> Result<DeskDone, StoreError> {
        let done = self.command(Chore::Desk(work), None).await?;
        Ok(own!(done, ChoreDone::Desk(done) => done))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::rows::day_of_seq;

    #[test]
    fn a_listing_looks_at_the_days_of_its_span_and_one_beside() {
        let mut listing = Listing::of(None, 10);
        assert_eq!(listing.span(), (MessageSeq(0), NEWEST));
        listing.since = Timestamp(20_000 * 86_400_000 + 5);
        listing.until = Timestamp(20_001 * 86_400_000);
        let (first, above) = listing.span();
        assert_eq!((day_of_seq(first), day_of_seq(above)), (19_999, 20_003));
        listing.before = MessageSeq(first.0 + 7);
        assert_eq!(listing.span().1, listing.before);
    }
}
