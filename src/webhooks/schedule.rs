//! Lives here: what follows an attempt: done, again and when, or given up. Pure.
//! Never here: clocks, random sources, HTTP.

use std::time::Duration;

/// `Retry-After` is honoured up to this.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 3600);

/// What follows an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The receiver has it.
    Done,
    /// Try again after this long.
    Again(Duration),
    /// Not any more.
    GiveUp,
}

/// Decides. `attempt` is the number of the attempt that has ended, from 1; `delays` begins with
/// the first attempt's own delay; `jitter` is a factor around 1.
pub(super) fn next(
    delays: &[Duration],
    attempt: u16,
    status: Option<u16>,
    retry_after: Option<Duration>,
    jitter: f64,
) -> Next {
    match status {
        Some(200..=299) => return Next::Done,
        // 410 Gone: the receiver asks never to be called again.
        Some(410) => return Next::GiveUp,
        Some(_) | None => {}
    }
    let Some(delay) = delays.get(usize::from(attempt)) else {
        return Next::GiveUp;
    };
    let asked = retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
    Next::Again(delay.mul_f64(jitter).max(asked))
}

/// Whether an answer asks us to go slowly, which narrows the host at once.
pub(super) const fn is_overloaded(status: Option<u16>) -> bool {
    matches!(status, Some(429 | 502..=504))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhooks::Config;

    const HOUR: u64 = 3600;

    #[test]
    fn delays_grow_over_ten_attempts_and_then_it_is_given_up() {
        let delays = Config::default().retry_delays;
        let after = |attempt| next(&delays, attempt, Some(500), None, 1.0);
        let seconds = [
            5,
            30,
            120,
            600,
            1800,
            2 * HOUR,
            5 * HOUR,
            10 * HOUR,
            24 * HOUR,
        ];
        for (attempt, expected) in (1..).zip(seconds) {
            assert_eq!(
                after(attempt),
                Next::Again(Duration::from_secs(expected)),
                "{attempt}"
            );
        }
        assert_eq!(after(10), Next::GiveUp);
        assert_eq!(after(u16::MAX), Next::GiveUp);
    }

    #[test]
    fn answers_decide_what_follows() {
        let delays = Config::default().retry_delays;
        let secs = Duration::from_secs;
        let table = [
            (Some(200), None, 1.0, Next::Done),
            (Some(299), Some(secs(60)), 1.0, Next::Done),
            (Some(410), None, 1.0, Next::GiveUp),
            (Some(302), None, 1.0, Next::Again(secs(5))),
            (Some(404), None, 0.8, Next::Again(secs(4))),
            (None, None, 1.2, Next::Again(secs(6))),
            (Some(429), Some(secs(90)), 1.0, Next::Again(secs(90))),
            (Some(503), Some(secs(1)), 1.0, Next::Again(secs(5))),
            (
                Some(503),
                Some(secs(u64::MAX)),
                1.0,
                Next::Again(secs(24 * HOUR)),
            ),
        ];
        for (status, retry_after, jitter, expected) in table {
            let found = next(&delays, 1, status, retry_after, jitter);
            assert_eq!(found, expected, "{status:?} {retry_after:?}");
        }
    }
}
