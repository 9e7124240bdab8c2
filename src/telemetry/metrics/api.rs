//! Lives here: handles of the doors and of ingest, prepared once.
//! Never here: names (they stand together in `metrics`), look-ups on the data path.

use std::time::Duration;

use metrics::{Counter, Histogram, counter, histogram};

use super::{AUTH_FAILURES, HTTP_REQUESTS, HTTP_SECONDS, REFUSED};

/// The handles of one route.
pub struct Route {
    name: &'static str,
    usual: (u16, Counter),
    seconds: Histogram,
}

impl Route {
    /// A route's handles; `usual` is the status code of its success.
    pub fn new(name: &'static str, usual: u16) -> Self {
        let counted = counter!(HTTP_REQUESTS, "route" => name, "code" => usual.to_string());
        Self {
            name,
            usual: (usual, counted),
            seconds: histogram!(HTTP_SECONDS, "route" => name),
        }
    }

    /// A request has been answered.
    pub fn answered(&self, code: u16, took: Duration) {
        if code == self.usual.0 {
            self.usual.1.increment(1);
        } else {
            counter!(HTTP_REQUESTS, "route" => self.name, "code" => code.to_string()).increment(1);
        }
        self.seconds.record(took);
    }
}

/// A request was refused for its key.
pub fn auth_failed(reason: &'static str) {
    counter!(AUTH_FAILURES, "reason" => reason).increment(1);
}

/// A message was refused before its acceptance.
pub fn refused(code: &'static str) {
    counter!(REFUSED, "code" => code).increment(1);
}
