//! Lives here: `[failover]`: how long each class stands by an account that is out of use, and when
//! an account is.
//! Never here: judging accounts (`domain::breaker`).

use std::time::Duration;

use toml::Spanned;

use super::check::{Checked, millis, or, seconds};
use super::file::{Failover, Patience};
use super::place::Source;
use crate::domain::breaker::Limits;

/// Nothing waits longer than this for a move: "never" says it better.
const PATIENCE_MAX: u64 = 86_400;

/// How long each class stands by, in the order of `Class::ALL`.
pub(super) fn patience(
    typed: &Failover,
    default: [Option<Duration>; 3],
    source: &Source<'_>,
) -> Checked<[Option<Duration>; 3]> {
    let mut patience = default;
    let each = [
        &typed.otp_after_s,
        &typed.transactional_after_s,
        &typed.promotional_after_s,
    ];
    for (place, typed) in patience.iter_mut().zip(each) {
        if let Some(typed) = typed {
            *place = one(typed, source)?;
        }
    }
    Ok(patience)
}

fn one(typed: &Spanned<Patience>, source: &Source<'_>) -> Checked<Option<Duration>> {
    match typed.get_ref() {
        Patience::Seconds(typed @ 0..=PATIENCE_MAX) => Ok(Some(Duration::from_secs(*typed))),
        Patience::Word(word) if word == "never" => Ok(None),
        Patience::Seconds(_) | Patience::Word(_) => Err(source.error(
            Some(typed.span()),
            format!("give 0 to {PATIENCE_MAX} seconds, or \"never\""),
        )),
    }
}

/// When an account is out of use, and how it comes back.
pub(super) fn limits(typed: &Failover, source: &Source<'_>) -> Checked<Limits> {
    let default = Limits::default();
    let number =
        |default, typed: &Option<Spanned<u32>>, range| or(default, typed.as_ref(), range, source);
    let in_seconds = |default, typed: &Option<Spanned<u64>>, range| {
        seconds(typed.as_ref(), range, source).map(|typed| typed.unwrap_or(default))
    };
    let in_millis = |default, typed: &Option<Spanned<u64>>, range| {
        millis(default, typed.as_ref(), range, source)
    };
    let limits = Limits {
        bind_grace: in_millis(default.bind_grace, &typed.bind_grace_ms, 0..=60_000)?,
        start_grace: in_seconds(default.start_grace, &typed.start_grace_s, 0..=600)?,
        window: in_seconds(default.window, &typed.window_s, 1..=600)?,
        samples_min: number(default.samples_min, &typed.samples_min, 5..=100_000)?,
        bad_percent: number(default.bad_percent, &typed.bad_percent, 1..=100)?,
        run: number(default.run, &typed.bad_run, 2..=1_000)?,
        slow_floor: in_millis(default.slow_floor, &typed.slow_floor_ms, 100..=60_000)?,
        slow_factor: number(default.slow_factor, &typed.slow_factor, 2..=100)?,
        slow_for: in_seconds(default.slow_for, &typed.slow_for_s, 1..=600)?,
        stall: in_millis(default.stall, &typed.stall_ms, 500..=60_000)?,
        delivery_window: in_seconds(
            default.delivery_window,
            &typed.delivery_window_s,
            10..=86_400,
        )?,
        delivery_floor_percent: number(
            default.delivery_floor_percent,
            &typed.delivery_floor_percent,
            0..=100,
        )?,
        cool_down_min: in_millis(default.cool_down_min, &typed.cool_down_ms, 100..=300_000)?,
        cool_down_max: in_seconds(default.cool_down_max, &typed.cool_down_max_s, 1..=3_600)?,
        quiet: in_seconds(default.quiet, &typed.quiet_s, 1..=86_400)?,
        probes: number(default.probes, &typed.probes, 1..=1_000)?,
        probe_percent: number(default.probe_percent, &typed.probe_percent, 1..=100)?,
        probe_timeout: in_millis(
            default.probe_timeout,
            &typed.probe_timeout_ms,
            100..=300_000,
        )?,
    };
    if limits.cool_down_min > limits.cool_down_max {
        let place = typed.cool_down_ms.as_ref().map(Spanned::span);
        let place = place.or_else(|| typed.cool_down_max_s.as_ref().map(Spanned::span));
        return Err(source.error(
            place,
            "failover.cool_down_ms is longer than failover.cool_down_max_s; it is the first wait, \
             which doubles up to that",
        ));
    }
    Ok(limits)
}
