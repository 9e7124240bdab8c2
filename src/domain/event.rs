//! Lives here: the kinds of events that customers are told of.
//! Never here: how they are told (`webhooks`), who listens (`endpoint`).

use super::message::State;

/// The kinds of webhook events. The numbers are kept in the store and never change meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum EventKind {
    /// A message was taken by a carrier.
    Sent = 0,
    /// It is on the handset.
    Delivered = 1,
    /// It ended in any other way.
    Failed = 2,
    /// It was taken back before any carrier had it.
    Canceled = 3,
    /// Its time was over: for those who have asked for it; the others are told that it failed.
    Expired = 4,
    /// A balance has come down to its threshold.
    CreditsLow = 5,
    /// A bulk job has come to its end.
    BulkCompleted = 6,
    /// An endpoint of the organisation is not called any more.
    EndpointDisabled = 7,
    /// Made to try an endpoint.
    Test = 8,
}

impl EventKind {
    /// All of them, by their numbers.
    pub const ALL: [Self; 9] = [
        Self::Sent,
        Self::Delivered,
        Self::Failed,
        Self::Canceled,
        Self::Expired,
        Self::CreditsLow,
        Self::BulkCompleted,
        Self::EndpointDisabled,
        Self::Test,
    ];

    /// The `type` in the envelope.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sent => "message.sent",
            Self::Delivered => "message.delivered",
            Self::Failed => "message.failed",
            Self::Canceled => "message.canceled",
            Self::Expired => "message.expired",
            Self::CreditsLow => "credits.low",
            Self::BulkCompleted => "bulk.completed",
            Self::EndpointDisabled => "endpoint.disabled",
            Self::Test => "endpoint.test",
        }
    }

    /// The kind with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The number kept in the store.
    pub const fn index(self) -> i64 {
        self as i64
    }

    /// The kind with this number in the store.
    pub fn from_index(index: i64) -> Option<Self> {
        let index = usize::try_from(index).ok()?;
        Self::ALL.get(index).copied()
    }

    /// The event a state is announced by, if it is.
    pub const fn of_state(state: State) -> Option<Self> {
        match state {
            State::Submitted => Some(Self::Sent),
            State::Delivered => Some(Self::Delivered),
            State::Expired => Some(Self::Expired),
            State::Undelivered | State::Rejected | State::Unknown | State::Failed => {
                Some(Self::Failed)
            }
            State::Cancelled => Some(Self::Canceled),
            State::Scheduled | State::Queued | State::Uncertain => None,
        }
    }

    /// What those are told of it who know the first four kinds only: a message's own URL, and
    /// endpoints that have not asked for more.
    pub const fn plain(self) -> Self {
        match self {
            Self::Expired => Self::Failed,
            Self::Sent
            | Self::Delivered
            | Self::Failed
            | Self::Canceled
            | Self::CreditsLow
            | Self::BulkCompleted
            | Self::EndpointDisabled
            | Self::Test => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_keep_their_numbers_and_are_found_by_their_names() {
        for (index, kind) in (0..).zip(EventKind::ALL) {
            assert_eq!(kind.index(), index);
            assert_eq!(EventKind::from_index(index), Some(kind));
            assert_eq!(EventKind::named(kind.name()), Some(kind));
        }
        assert_eq!(EventKind::from_index(9), None);
        assert_eq!(EventKind::from_index(-1), None);
        assert_eq!(EventKind::named("message.read"), None);
    }
}
