//! Lives here: why messages of a lane wait, in one sentence: the answer that operators look for.
//! Pure.
//! Never here: reading what it is told of.

use super::request::told;
use crate::flow::health::{Breaker, Hold, Opened};
use crate::store::HoldRow;

/// How a lane and its account stand.
#[derive(Clone, Debug)]
pub(super) struct Standing<'a> {
    /// Commits work.
    pub(super) store_well: bool,
    /// The account is configured.
    pub(super) configured: bool,
    /// What an operator has said.
    pub(super) hold: Option<&'a HoldRow>,
    /// How the breaker stands.
    pub(super) breaker: Breaker,
    /// Why it is not closed.
    pub(super) opened: Option<&'a Opened>,
    /// Binds of the account that can submit, and all.
    pub(super) binds: (u32, u32),
    /// Why the last bind ended.
    pub(super) last_error: Option<&'a str>,
    /// Every window of a bound bind is full.
    pub(super) windows_full: bool,
    /// The account's pace, segments a second, when the carrier has asked for less.
    pub(super) throttled: Option<u32>,
    /// Segments of the account that await their answer.
    pub(super) in_flight: u32,
    /// In the lane, ready for a bind.
    pub(super) ready: u64,
    /// More of the lane is in the store only.
    pub(super) spilled: bool,
}

/// Why they wait: the first cause that holds, from the outermost.
pub(super) fn why(standing: &Standing<'_>) -> String {
    let Standing { hold, binds, .. } = standing;
    if !standing.configured {
        return "its account is configured no more: reroute or purge it, or it will expire".into();
    }
    if !standing.store_well {
        return "the store cannot commit: nothing is submitted until it can".into();
    }
    if let Some(hold) = hold.filter(|hold| hold.hold == Hold::Paused) {
        return held(hold);
    }
    let opened = standing.opened.map_or_else(String::new, |opened| {
        format!(" since {}: {}", told(opened.at), opened.why)
    });
    match standing.breaker {
        Breaker::Open => return format!("the account's breaker is open{opened}"),
        Breaker::HalfOpen => {
            return format!("the account's breaker is half open, a few messages try it{opened}");
        }
        Breaker::Closed => {}
    }
    if binds.0 == 0 {
        let last = standing.last_error.unwrap_or("none has been bound yet");
        return format!("none of the account's {} binds is up: {last}", binds.1);
    }
    if let Some(pace) = standing.throttled {
        return format!("the carrier asks for less: {pace} segments a second now");
    }
    if standing.windows_full {
        return "every window is full: the carrier's answers are awaited".into();
    }
    if standing.spilled {
        return format!(
            "behind {} others that are ready, at the account's rate",
            standing.ready
        );
    }
    if standing.ready == 0 && standing.in_flight > 0 {
        return format!(
            "awaiting the carrier's answer: {} segments are in flight",
            standing.in_flight
        );
    }
    "on its way at the account's rate, or waiting for a retry".into()
}

/// A hold in a sentence.
pub(super) fn held(hold: &HoldRow) -> String {
    let until = hold.until.map_or_else(
        || "until it is resumed".to_owned(),
        |until| format!("until {}", told(until)),
    );
    format!(
        "{} by {} since {}, {until}: {}",
        hold.hold.name(),
        hold.actor,
        told(hold.at),
        hold.reason
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::CarrierId;
    use crate::domain::time::Timestamp;

    #[test]
    fn the_outermost_cause_is_told() {
        let hold = HoldRow {
            carrier: CarrierId("one".into()),
            hold: Hold::Paused,
            reason: "works at the carrier".into(),
            actor: "amina (admin token)".into(),
            at: Timestamp(0),
            until: Some(Timestamp(60_000)),
        };
        let well = Standing {
            store_well: true,
            configured: true,
            hold: None,
            breaker: Breaker::Closed,
            opened: None,
            binds: (1, 2),
            last_error: None,
            windows_full: false,
            throttled: None,
            in_flight: 0,
            ready: 2048,
            spilled: true,
        };
        let opened = Opened {
            why: "no bind for 10 s".into(),
            at: Timestamp(0),
        };
        let draining = HoldRow {
            hold: Hold::Draining,
            ..hold.clone()
        };
        let table = [
            (well.clone(), "behind 2048 others"),
            (
                Standing {
                    hold: Some(&draining),
                    spilled: false,
                    ..well.clone()
                },
                "on its way",
            ),
            (
                Standing {
                    ready: 0,
                    spilled: false,
                    in_flight: 3,
                    ..well.clone()
                },
                "awaiting the carrier's answer: 3 segments",
            ),
            (
                Standing {
                    windows_full: true,
                    ..well.clone()
                },
                "every window is full",
            ),
            (
                Standing {
                    throttled: Some(7),
                    windows_full: true,
                    ..well.clone()
                },
                "asks for less: 7",
            ),
            (
                Standing {
                    binds: (0, 2),
                    last_error: Some("wrong password"),
                    throttled: Some(7),
                    ..well.clone()
                },
                "none of the account's 2 binds is up: wrong password",
            ),
            (
                Standing {
                    breaker: Breaker::Open,
                    opened: Some(&opened),
                    binds: (0, 2),
                    ..well.clone()
                },
                "breaker is open since 1970-01-01T00:00:00Z: no bind for 10 s",
            ),
            (
                Standing {
                    hold: Some(&hold),
                    breaker: Breaker::Open,
                    ..well.clone()
                },
                "paused by amina (admin token) since 1970-01-01T00:00:00Z, until \
                 1970-01-01T00:01:00Z: works at the carrier",
            ),
            (
                Standing {
                    store_well: false,
                    hold: Some(&hold),
                    ..well.clone()
                },
                "the store cannot commit",
            ),
            (
                Standing {
                    configured: false,
                    store_well: false,
                    ..well
                },
                "configured no more",
            ),
        ];
        for (standing, says) in table {
            let told = why(&standing);
            assert!(told.contains(says), "{told}");
        }
    }
}
