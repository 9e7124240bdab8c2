//! Lives here: how long a bind waits before it tries again, by what went wrong. Pure: the jitter
//! comes in as a number.
//! Never here: sleeping, connecting.

use std::time::Duration;

use mnara_smpp::client::BindError;
use mnara_smpp::status::CommandStatus;

/// What kind of trouble a bind is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Connecting, the network, a peer that went away.
    Network,
    /// The carrier still holds our last session, or our binds are used up: hammering prolongs it.
    AlreadyBound,
    /// Wrong credentials: trying on locks the account.
    Credentials,
}

impl Trouble {
    /// The kind of an error.
    pub(super) fn of(error: &BindError) -> Self {
        match error {
            BindError::Rejected(CommandStatus::ESME_RALYBND) => Self::AlreadyBound,
            BindError::Rejected(
                CommandStatus::ESME_RINVPASWD
                | CommandStatus::ESME_RINVSYSID
                | CommandStatus::ESME_RINVSYSTYP,
            )
            | BindError::Refused(_) => Self::Credentials,
            BindError::Rejected(_)
            | BindError::Connect(_)
            | BindError::Timeout
            | BindError::Closed(_) => Self::Network,
        }
    }

    /// First and longest wait.
    const fn bounds(self) -> (Duration, Duration) {
        match self {
            Self::Network => (Duration::from_millis(500), Duration::from_secs(30)),
            Self::AlreadyBound => (Duration::from_secs(30), Duration::from_secs(120)),
            Self::Credentials => (Duration::from_secs(30), Duration::from_secs(600)),
        }
    }

    /// The name in metrics and logs.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::AlreadyBound => "already_bound",
            Self::Credentials => "credentials",
        }
    }
}

/// Doubling waits, jittered so that binds that fell together do not rise together.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// A session has lasted: the next trouble starts anew.
    pub(super) const fn reset(&mut self) {
        self.failures = 0;
    }

    /// The wait after one more failure: between half and all of the doubled time, by `jitter`
    /// in 0.0 to 1.0.
    pub(super) fn next(&mut self, trouble: Trouble, jitter: f64) -> Duration {
        let (first, longest) = trouble.bounds();
        let doubled = first
            .saturating_mul(1 << self.failures.min(10))
            .min(longest);
        self.failures = self.failures.saturating_add(1);
        doubled.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_their_longest_and_start_anew() {
        let mut backoff = Backoff::default();
        let waits: Vec<u128> = (0..8)
            .map(|_| backoff.next(Trouble::Network, 1.0).as_millis())
            .collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]);
        backoff.reset();
        assert_eq!(backoff.next(Trouble::Network, 0.0).as_millis(), 250);
    }

    #[test]
    fn wrong_credentials_mean_at_most_two_binds_a_minute() {
        let mut backoff = Backoff::default();
        assert!(backoff.next(Trouble::Credentials, 1.0) >= Duration::from_secs(30));
        let error = BindError::Rejected(CommandStatus::ESME_RINVPASWD);
        assert_eq!(Trouble::of(&error), Trouble::Credentials);
    }
}
