//! Lives here: the task that keeps the store from growing and old texts from staying: days of
//! messages dropped, texts of ended messages redacted, round by round, with room for the traffic
//! between.
//! Never here: SQL; what is due (`plan`); whether the clock is believed (`clock`).

mod clock;
mod plan;

use std::fmt::Display;
use std::time::{Duration, Instant, SystemTime};

use tokio_util::sync::CancellationToken;

use self::clock::Clock;
pub(super) use self::plan::first_kept;
use self::plan::{Plan, Step, There};
use super::rows::{day_of, first_of_day};
use super::upkeep::{Dropped, Marks, Page, Span, Survey, Tidied, Tidy, Wanted};
use super::{Store, StoreError};
use crate::domain::ids::MessageSeq;
use crate::domain::message::State;
use crate::domain::time::Timestamp;
use crate::telemetry::metrics::retention as meter;

/// How long messages and their texts are kept, in whole days; `None` = for good; and by which clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Messages with everything of theirs, from the day of their acceptance.
    pub messages_days: Option<u32>,
    /// Texts of messages that have ended; no longer than the messages.
    pub bodies_days: Option<u32>,
    /// If the clock is further from the day on which it was believed last, nothing goes until it has
    /// been so for 24 hours of one run; `None` = any clock is believed.
    pub clock_leap_days_max: Option<u32>,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            messages_days: Some(90),
            bodies_days: Some(30),
            clock_leap_days_max: Some(3),
        }
    }
}

/// Webhook events that no receiver has taken for so long are given up.
pub const EVENTS_KEPT: Duration = Duration::from_secs(5 * 86_400);

/// How often it is looked whether anything is due.
const TICK: Duration = Duration::from_secs(60);
/// Messages that a reader looks at in one statement: some milliseconds.
const PAGE: u32 = 2048;
/// Messages that one transaction deletes, with some five rows each: accepts wait behind it for a
/// few milliseconds.
const DELETED: usize = 64;
/// Messages whose text one transaction takes: one row each.
const REDACTED: usize = 128;
/// Jobs of which one transaction deletes all or takes the texts: each may hold eight megabytes.
const JOBS: u32 = 1;
const DAY: Duration = Duration::from_secs(86_400);
/// The writer is left alone for so many times as long as a round took.
const PAUSE: u32 = 4;
/// And no longer than this.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Keeps house until `stop`. `now` reads the wall clock.
pub async fn keep(
    config: Retention,
    store: Store,
    now: impl Fn() -> Timestamp,
    stop: CancellationToken,
) {
    let mut keeper = Keeper::new(config, store, now, stop);
    meter::begun();
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // What has begun stops between two rounds.
    while keeper.stop.run_until_cancelled(tick.tick()).await.is_some() {
        if keeper.store.health().is_well() && keeper.tend().await.is_err() {
            return;
        }
    }
}

/// The task's own.
pub(super) struct Keeper<N> {
    config: Retention,
    plan: Plan,
    clock: Clock,
    begun: Instant,
    store: Store,
    now: N,
    stop: CancellationToken,
    /// The last look went well.
    well: bool,
}

impl<N: Fn() -> Timestamp> Keeper<N> {
    pub(super) fn new(config: Retention, store: Store, now: N, stop: CancellationToken) -> Self {
        Self {
            config,
            plan: Plan::new(config),
            clock: Clock::new(config.clock_leap_days_max),
            begun: Instant::now(),
            store,
            now,
            stop,
            well: true,
        }
    }

    /// Does all that is due; says whether all of it is done, but for days that are held. What is not
    /// is tried again at the next tick.
    ///
    /// # Errors
    /// [`StoreError::Closed`].
    pub(super) async fn tend(&mut self) -> Result<bool, StoreError> {
        match self.work().await {
            Ok(true) => {
                if !std::mem::replace(&mut self.well, true) {
                    tracing::info!("retention works again");
                }
                meter::succeeded(SystemTime::now());
                return Ok(true);
            }
            Ok(false) => {}
            Err(StoreError::Closed) => return Err(StoreError::Closed),
            Err(error) => self.fails(&error),
        }
        Ok(false)
    }

    /// Says so once.
    fn fails(&mut self, error: &dyn Display) {
        if std::mem::replace(&mut self.well, false) {
            tracing::warn!(%error, "retention failed; it is tried again every minute");
        }
    }

    async fn work(&mut self) -> Result<bool, StoreError> {
        let mut jobs_tended = false;
        loop {
            let mut there = self.there().await?;
            let oldest = there.days.first().map(|day| day * 86_400);
            meter::found(oldest, self.plan.held());
            let now = (self.now)();
            if !self.believes(now, &there) {
                return Ok(false);
            }
            self.see(now, &mut there.marks).await?;
            // Before the days: one that others hold would have them wait.
            if !jobs_tended && !self.tend_jobs(now).await? {
                return Ok(false);
            }
            jobs_tended = true;
            let going = match self.plan.next(now, &there) {
                None => return Ok(true),
                Some(Step::Drop(day)) => self.drop_day(day).await?,
                Some(Step::Redact(day)) => self.redact_day(day, &there).await?,
            };
            if !going || self.stop.is_cancelled() {
                return Ok(false);
            }
        }
    }

    /// Bulk jobs that are over, with the campaigns that they come from: as their messages, by when
    /// they were over. Whether it came to their end before it was told to stop.
    async fn tend_jobs(&self, now: Timestamp) -> Result<bool, StoreError> {
        let before = |days: Option<u32>| days.map(|days| now - DAY * days);
        if let Some(before) = before(self.config.messages_days)
            && !self.jobs(|| self.store.forget_jobs(before, JOBS)).await?
        {
            return Ok(false);
        }
        match before(self.config.bodies_days) {
            Some(before) => self.jobs(|| self.store.redact_jobs(before, JOBS)).await,
            None => Ok(true),
        }
    }

    /// Does something with jobs, some at a time, until there are none; whether it came to that before
    /// it was told to stop.
    async fn jobs<F>(&self, work: impl Fn() -> F) -> Result<bool, StoreError>
    where
        F: Future<Output = Result<u64, StoreError>>,
    {
        while !self.stop.is_cancelled() {
            let begun = Instant::now();
            if work().await? == 0 {
                return Ok(true);
            }
            self.pause(begun.elapsed() * PAUSE).await;
        }
        Ok(false)
    }

    /// Whether the clock may be acted upon; says so when that changes.
    fn believes(&mut self, now: Timestamp, there: &There) -> bool {
        let doubted = self.clock.is_doubted();
        let last = there.last_seen(now);
        let believed = self.clock.believes(now, self.begun.elapsed(), last);
        meter::doubts_clock(!believed);
        if !believed && !doubted {
            tracing::warn!(today = %name(day_of(now)), last = %name(last),
                "the clock is far from the day on which retention worked last: no message and no \
                 text goes until it has been so for 24 hours. Put it right if it is wrong; if it is \
                 right and this cannot wait, set retention.clock_leap_days_max = \"any\" and restart");
        } else if believed && doubted {
            tracing::info!(today = %name(day_of(now)), "retention goes by the clock again");
        }
        believed
    }

    /// Remembers, once a day, which day the clock showed while it was believed.
    async fn see(&self, now: Timestamp, marks: &mut Marks) -> Result<(), StoreError> {
        let seen = day_of(now);
        if marks.seen != seen {
            *marks = Marks { seen, ..*marks };
            self.store.tidy(Tidy::ComeTo(*marks)).await?;
        }
        Ok(())
    }

    async fn there(&self) -> Result<There, StoreError> {
        let reader = &self.store.inner.reader;
        Ok(There {
            days: reader.days().await?,
            marks: reader.marks().await?,
        })
    }

    /// Drops a day as a whole, or what of it may go; whether to go on at once.
    async fn drop_day(&mut self, day: i64) -> Result<bool, StoreError> {
        let held = self.store.inner.reader.held(day).await?;
        if !held.open && !held.events {
            match self.store.tidy(Tidy::DropDay(day)).await? {
                Tidied::Day(Dropped::Gone) => {
                    self.gone(day);
                    return Ok(true);
                }
                Tidied::Day(Dropped::Busy) => {
                    self.fails(&format!(
                        "others read or lock the messages of {}, which are to be dropped",
                        name(day)
                    ));
                    return Ok(false);
                }
                // What holds it since is seen at the next tick.
                Tidied::Day(Dropped::Held) => return Ok(false),
                Tidied::Day(Dropped::ByRows)
                | Tidied::Done
                | Tidied::Messages(_)
                | Tidied::Erased { .. } => {}
            }
        }
        let whole = self
            .each(day, Wanted::Ended, DELETED, Tidy::Delete, meter::deleted)
            .await?;
        if !whole {
            return Ok(false);
        }
        if held.open || held.events {
            tracing::info!(day = %name(day), open = held.open, events = held.events,
                "a day of messages is kept in part for what has not ended");
            self.plan.hold(day, (self.now)());
        } else {
            self.gone(day);
        }
        Ok(true)
    }

    fn gone(&mut self, day: i64) {
        self.plan.dropped(day);
        meter::day_dropped();
        tracing::info!(day = %name(day), "a day of messages is dropped");
    }

    /// Takes the texts of a day; whether to go on at once.
    async fn redact_day(&mut self, day: i64, there: &There) -> Result<bool, StoreError> {
        // Before the texts: what ends meanwhile is perhaps not seen.
        let open = self.store.inner.reader.held(day).await?.open;
        let again = day < there.marks.looked;
        if !(open && again) {
            let redact = |found: Vec<(MessageSeq, State)>| {
                Tidy::Redact(found.into_iter().map(|(seq, _)| seq).collect())
            };
            let whole = self
                .each(day, Wanted::Texts, REDACTED, redact, meter::redacted)
                .await?;
            if !whole {
                return Ok(false);
            }
        }
        let marks = self.plan.redacted(day, open, (self.now)(), there);
        if marks != there.marks {
            self.store.tidy(Tidy::ComeTo(marks)).await?;
        }
        Ok(true)
    }

    /// Does something with all messages of a day that are wanted, some at a time; whether it came
    /// to the day's end before it was told to stop.
    async fn each(
        &self,
        day: i64,
        wanted: Wanted,
        round: usize,
        work: impl Fn(Vec<(MessageSeq, State)>) -> Tidy,
        count: impl Fn(u64),
    ) -> Result<bool, StoreError> {
        let mut span = Span {
            after: MessageSeq(first_of_day(day).0 - 1),
            before: first_of_day(day + 1),
        };
        loop {
            let begun = Instant::now();
            let (found, upto) = self.page(span, wanted).await?;
            self.pause(begun.elapsed()).await;
            for found in found.chunks(round) {
                if self.stop.is_cancelled() {
                    return Ok(false);
                }
                let begun = Instant::now();
                if let Tidied::Messages(changed) = self.store.tidy(work(found.to_vec())).await? {
                    count(changed);
                }
                self.pause(begun.elapsed() * PAUSE).await;
            }
            match upto {
                Some(upto) => span.after = upto,
                None => return Ok(true),
            }
            if self.stop.is_cancelled() {
                return Ok(false);
            }
        }
    }

    /// What is wanted of the first messages of a span. Of those that have ended without what their
    /// owners have not been told of: that is asked after they were found, so that who has an event
    /// later stands elsewhere than it was found.
    async fn page(
        &self,
        span: Span,
        wanted: Wanted,
    ) -> Result<(Vec<(MessageSeq, State)>, Option<MessageSeq>), StoreError> {
        let reader = &self.store.inner.reader;
        let Page { mut found, upto } = reader.page(span, wanted, PAGE).await?;
        if let Wanted::Ended = wanted {
            let seqs: Vec<MessageSeq> = found.iter().map(|(seq, _)| *seq).collect();
            let awaited = reader.awaited(&seqs).await?;
            found.retain(|(seq, _)| !awaited.contains(seq));
        }
        Ok((found, upto))
    }

    async fn pause(&self, pause: Duration) {
        let pause = tokio::time::sleep(pause.min(PAUSE_MAX));
        self.stop.run_until_cancelled(pause).await;
    }
}

/// A day for people: `2026-11-21`. One outside the calendar is the first.
fn name(day: i64) -> String {
    let at = jiff::Timestamp::from_second(day.saturating_mul(86_400)).unwrap_or_default();
    at.strftime("%Y-%m-%d").to_string()
}
