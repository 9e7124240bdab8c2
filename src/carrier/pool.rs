//! Lives here: what an account's binds must agree on before they connect: how many sessions there
//! may be, whether the credentials work, and how many connect in a second.
//! Never here: connecting (`bind`), how long one bind backs off for itself (`backoff`).

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::rate::Gcra;
use crate::domain::class::Class;

/// The first wait after refused credentials, and the longest. At most two binds in a minute.
const REFUSED_FIRST: Duration = Duration::from_secs(30);
const REFUSED_LONGEST: Duration = Duration::from_secs(600);

/// What an account's binds share about connecting.
#[derive(Debug)]
pub(super) struct Pool {
    /// A permit for each session that may be open or opening.
    places: Option<Arc<Semaphore>>,
    credentials: watch::Sender<Credentials>,
    /// Of the whole daemon.
    connects: Arc<Gcra>,
}

/// What is known of the account's credentials. Pure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Credentials {
    /// Not tried yet, or being tried by one bind: the others wait for its word.
    Unproven {
        /// Somebody is trying.
        trying: bool,
    },
    /// They worked.
    Proven,
    /// The carrier refused them so often in a row; one bind at a time tries again, not before.
    Refused { times: u32, until: Instant },
}

/// The right to try, and what the others learn of it. A try that ends without a word (the
/// network, a timeout) leaves the turn to the next.
pub(super) struct Attempt<'a> {
    pool: &'a Pool,
    /// The place among the account's sessions.
    place: Option<OwnedSemaphorePermit>,
}

impl Pool {
    /// For an account of at most `binds_max` sessions.
    pub(super) fn new(binds_max: Option<u32>, connects: Arc<Gcra>) -> Self {
        Self {
            places: binds_max.map(|most| Arc::new(Semaphore::new(most as usize))),
            credentials: watch::Sender::new(Credentials::Unproven { trying: false }),
            connects,
        }
    }

    /// Waits until this bind may connect. Cancel-safe: a dropped wait leaves nothing behind.
    pub(super) async fn admit(&self) -> Attempt<'_> {
        let place = match &self.places {
            // The semaphore is never closed.
            Some(places) => Arc::clone(places).acquire_owned().await.ok(),
            None => None,
        };
        let mut credentials = self.credentials.subscribe();
        loop {
            let mut claimed = Ok(());
            self.credentials.send_if_modified(|known| {
                let before = *known;
                claimed = known.claim(Instant::now());
                *known != before
            });
            match claimed {
                Ok(()) => break,
                Err(Some(until)) => {
                    // Either ends the wait; what the channel held is looked at again.
                    tokio::select! {
                        () = tokio::time::sleep_until(until.into()) => {}
                        _ = credentials.changed() => {}
                    }
                }
                // The sender lives in `self`.
                Err(None) => drop(credentials.changed().await),
            }
        }
        let attempt = Attempt { pool: self, place };
        while let Err(until) = self.connects.take(Class::Transactional, Instant::now()) {
            tokio::time::sleep_until(until.into()).await;
        }
        attempt
    }
}

impl Attempt<'_> {
    /// The credentials work. The place is to be kept while the session stands.
    pub(super) fn proven(mut self) -> Option<OwnedSemaphorePermit> {
        self.pool.credentials.send_replace(Credentials::Proven);
        self.place.take()
    }

    /// The carrier refuses the credentials: nobody of the account tries before the wait is over.
    /// Says how long that is, at least; `jitter` is 0.0 to 1.0.
    pub(super) fn refused(self, jitter: f64) -> Duration {
        let mut wait = Duration::ZERO;
        self.pool.credentials.send_modify(|known| {
            wait = known.refused(Instant::now(), jitter);
        });
        wait
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.pool
            .credentials
            .send_if_modified(Credentials::passed_on);
    }
}

impl Credentials {
    /// Asks for the right to try.
    ///
    /// # Errors
    /// When to ask again; `None` = when somebody else has had its word.
    fn claim(&mut self, now: Instant) -> Result<(), Option<Instant>> {
        match self {
            Self::Proven => Ok(()),
            Self::Unproven { trying: true } => Err(None),
            Self::Unproven { trying } => {
                *trying = true;
                Ok(())
            }
            Self::Refused { until, .. } if now < *until => Err(Some(*until)),
            // Whoever comes first tries; the next one may when this try is long over.
            Self::Refused { until, .. } => {
                *until = now + REFUSED_FIRST;
                Ok(())
            }
        }
    }

    fn refused(&mut self, now: Instant, jitter: f64) -> Duration {
        let times = match self {
            Self::Unproven { .. } | Self::Proven => 0,
            Self::Refused { times, .. } => *times,
        };
        let wait = REFUSED_FIRST.saturating_mul(1 << times.min(10));
        let wait = wait
            .mul_f64(1.0 + 0.5 * jitter.clamp(0.0, 1.0))
            .min(REFUSED_LONGEST);
        *self = Self::Refused {
            times: times + 1,
            until: now + wait,
        };
        wait
    }

    /// A try has ended without a word on the credentials. Returns whether that changed anything.
    fn passed_on(&mut self) -> bool {
        let trying = *self == Self::Unproven { trying: true };
        if trying {
            *self = Self::Unproven { trying: false };
        }
        trying
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Long enough to see that somebody waits.
    const SHORT: Duration = Duration::from_millis(30);

    fn pool(binds_max: Option<u32>, connects_per_s: u32) -> Pool {
        Pool::new(binds_max, Arc::new(Gcra::new(connects_per_s, Some(1))))
    }

    #[test]
    fn wrong_credentials_are_tried_twice_a_minute_at_most_by_the_whole_account() {
        let start = Instant::now();
        let mut credentials = Credentials::Unproven { trying: false };
        let mut tries: Vec<u64> = Vec::new();
        for second in 0..7_200 {
            let now = start + Duration::from_secs(second);
            for _bind in 0..8 {
                if credentials.claim(now).is_ok() {
                    tries.push(second);
                    credentials.refused(now, 0.0);
                }
            }
        }
        assert_eq!(tries[..6], [0, 30, 90, 210, 450, 930], "{tries:?}");
        assert!(
            tries
                .windows(2)
                .skip(6)
                .all(|pair| pair[1] - pair[0] == 600)
        );
        assert!(tries.windows(3).all(|three| three[2] - three[0] >= 60));
    }

    #[tokio::test]
    async fn the_first_bind_finds_out_for_all_whether_the_credentials_work() {
        let pool = pool(None, 1_000);
        let first = pool.admit().await;
        let second = tokio::time::timeout(SHORT, pool.admit()).await;
        assert!(second.is_err(), "it waits for the first");
        drop(first);
        let next = pool.admit().await;
        next.proven();
        let (one, two) = tokio::join!(pool.admit(), pool.admit());
        assert!(one.place.is_none() && two.place.is_none());
    }

    #[tokio::test]
    async fn no_more_sessions_are_open_or_opening_than_the_carrier_allows() {
        let pool = pool(Some(2), 1_000);
        let first = pool.admit().await.proven();
        let second = pool.admit().await;
        let third = tokio::time::timeout(SHORT, pool.admit()).await;
        assert!(third.is_err());
        drop(first);
        let third = pool.admit().await;
        assert!(second.place.is_some() && third.place.is_some());
    }
}
