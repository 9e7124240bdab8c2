//! Lives here: `[retention]`: how long messages and their texts are kept.
//! Never here: dropping them (`store::housekeeping`).

use std::time::Duration;

use toml::Spanned;

use super::check::Checked;
use super::file::{Days, Retention};
use super::place::Source;
use crate::store::housekeeping::{self, EVENTS_KEPT};
use crate::{inbound, ingest, scheduler};

/// Ten years: "never" says more of what is meant.
const DAYS_MAX: u32 = 3660;
/// No number of days: they are not counted.
const NEVER: &str = "never";
const ANY: &str = "any";
const DAY: Duration = Duration::from_secs(86_400);

/// What else decides how short the times may be.
pub(super) struct Others<'a> {
    pub(super) ingest: &'a ingest::Config,
    pub(super) scheduler: &'a scheduler::Config,
    pub(super) receipts: &'a inbound::Config,
}

/// Checks the times against each other and against how long messages live.
pub(super) fn retention(
    typed: &Retention,
    others: &Others<'_>,
    source: &Source<'_>,
) -> Checked<housekeeping::Retention> {
    let default = housekeeping::Retention::default();
    let messages_min = in_days(others.lives());
    let messages_days = days(typed.messages_days.as_ref(), messages_min, NEVER, source)?;
    let messages_days = messages_days.unwrap_or(default.messages_days);
    let bodies_days = days(typed.bodies_days.as_ref(), 1, NEVER, source)?;
    // Who keeps messages for less than texts are kept by default need not say it twice.
    let usual = messages_days
        .min(default.bodies_days)
        .or(default.bodies_days);
    let bodies_days = bodies_days.unwrap_or(usual);
    if let Some(messages) = messages_days
        && bodies_days.is_none_or(|bodies| bodies > messages)
    {
        let span = typed.bodies_days.as_ref().map(Spanned::span);
        let message = format!(
            "retention.bodies_days is longer than retention.messages_days; give 1 to {messages}: \
             a text goes with its message at the latest"
        );
        return Err(source.error(span, message));
    }
    let words_min = in_days(others.receipts.parked_ttl + others.receipts.quarantine_ttl);
    if let Some(bodies) = bodies_days
        && bodies < words_min
    {
        let span = typed.bodies_days.as_ref().or(typed.messages_days.as_ref());
        let message = format!(
            "receipts that found no message keep the first words of a text for {words_min} days, \
             longer than retention keeps texts; shorten receipts.parked_ttl_s and \
             receipts.quarantine_ttl_s to {bodies} days together, or raise retention.bodies_days"
        );
        return Err(source.error(span.map(Spanned::span), message));
    }
    Ok(housekeeping::Retention {
        messages_days,
        bodies_days,
        clock_leap_days_max: days(typed.clock_leap_days_max.as_ref(), 1, ANY, source)?
            .unwrap_or(default.clock_leap_days_max),
    })
}

impl Others<'_> {
    /// How long after its acceptance a message that was not scheduled may be open, or have an event
    /// that its owner has not been told. A scheduled one keeps its day by itself.
    fn lives(&self) -> Duration {
        let validity = self.ingest.validity.into_iter().max().unwrap_or_default();
        validity + self.scheduler.grace + EVENTS_KEPT
    }
}

/// Whole days, rounded up.
fn in_days(time: Duration) -> u32 {
    let days = time.as_secs().div_ceil(DAY.as_secs());
    u32::try_from(days).unwrap_or(DAYS_MAX)
}

/// `None`: nothing was typed; `Some(None)`: the word for no number.
fn days(
    typed: Option<&Spanned<Days>>,
    min: u32,
    none: &str,
    source: &Source<'_>,
) -> Checked<Option<Option<u32>>> {
    let Some(typed) = typed else {
        return Ok(None);
    };
    let number = match typed.get_ref() {
        Days::Word(word) if word == none => return Ok(Some(None)),
        Days::Number(days) => u32::try_from(*days).ok(),
        Days::Word(_) | Days::Other(_) => None,
    };
    match number.filter(|days| (min..=DAYS_MAX).contains(days)) {
        Some(days) => Ok(Some(Some(days))),
        None => Err(source.error(
            Some(typed.span()),
            format!("give {min} to {DAYS_MAX} days, or \"{none}\""),
        )),
    }
}
