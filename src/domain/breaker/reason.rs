//! Lives here: why a breaker opens: for metrics by name, for people in words.
//! Never here: when it does (`breaker`).

use std::fmt;
use std::time::Duration;

/// Why a breaker opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No bind could submit for so long.
    NoBind(Duration),
    /// Too many failed or missing answers in the window.
    Answers {
        /// Account and system errors.
        failed: u32,
        /// Timeouts and lost binds.
        silent: u32,
        /// Of so many.
        of: u32,
    },
    /// So many failed or missing answers one after another.
    Run(u32),
    /// Response time far beyond the usual.
    Slow {
        /// 95th percentile in the window.
        now: Duration,
        /// 95th percentile at other times.
        usual: Duration,
    },
    /// No answer at all, with segments in flight.
    Stalled {
        /// How many.
        in_flight: u32,
        /// For how long.
        since: Duration,
    },
    /// Far fewer messages are delivered than usual.
    Undelivered {
        /// Percentage in the window.
        now: u32,
        /// Percentage at other times.
        usual: u32,
    },
    /// Too few of the probes were answered well.
    Probes {
        /// Answered badly or not at all.
        bad: u32,
        /// Of so many.
        of: u32,
    },
}

impl Reason {
    /// The name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoBind(_) => "no_bind",
            Self::Answers { failed, silent, .. } if silent > failed => "silence",
            Self::Answers { .. } => "failures",
            Self::Run(_) => "bad_run",
            Self::Slow { .. } => "slow",
            Self::Stalled { .. } => "stalled",
            Self::Undelivered { .. } => "undelivered",
            Self::Probes { .. } => "probes",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoBind(since) => write!(f, "no bind can submit for {since:.1?}"),
            Self::Answers { failed, silent, of } => {
                write!(f, "{failed} of {of} answers failed, {silent} did not come")
            }
            Self::Run(count) => write!(f, "{count} failed or missing answers one after another"),
            Self::Slow { now, usual } => {
                write!(
                    f,
                    "answers take {now:.1?} (95th percentile), usually {usual:.1?}"
                )
            }
            Self::Stalled { in_flight, since } => {
                write!(
                    f,
                    "no answer for {since:.1?} with {in_flight} segments in flight"
                )
            }
            Self::Undelivered { now, usual } => {
                write!(f, "{now} % of messages are delivered, usually {usual} %")
            }
            Self::Probes { bad, of } => {
                write!(f, "{bad} of {of} probes failed or were not answered")
            }
        }
    }
}
