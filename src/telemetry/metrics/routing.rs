//! Lives here: what is counted of routing and of reloads.
//! Never here: names (they stand in `metrics`).

use std::time::SystemTime;

use metrics::gauge;

use super::{CONFIG_RELOAD_SECONDS, CONFIG_RELOAD_SUCCESS, PORTED_MODIFIED_SECONDS, PORTED_ROWS};

/// The ported numbers in force.
pub fn ported(rows: usize, modified: Option<SystemTime>) {
    gauge!(PORTED_ROWS).set(rows as f64);
    if let Some(modified) = modified {
        gauge!(PORTED_MODIFIED_SECONDS).set(unix(modified));
    }
}

/// A reload has ended.
pub fn reloaded(well: bool, at: SystemTime) {
    gauge!(CONFIG_RELOAD_SUCCESS).set(if well { 1.0 } else { 0.0 });
    if well {
        gauge!(CONFIG_RELOAD_SECONDS).set(unix(at));
    }
}

fn unix(at: SystemTime) -> f64 {
    at.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}
