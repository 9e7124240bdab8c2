//! Lives here: what the daemon says about itself: metric names and handles, logging.
//! Never here: message text, keys, passwords, whole numbers; who serves `/metrics` (`admin`).

pub mod logging;
pub mod metrics;
