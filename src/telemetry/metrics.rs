//! Lives here: the name of every metric with its help text, its buckets, and the prepared
//! handles by which the data path counts without look-ups.
//! Never here: labels from unbounded sets (numbers, organisations, URLs, message ids).

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

/// What kind of metric a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only rises.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Observations in buckets.
    Histogram,
}

/// Every metric: name, kind, help.
pub const ALL: &[(&str, Kind, &str)] = &[
    (
        BUILD_INFO,
        Kind::Gauge,
        "Always 1; the labels name the version.",
    ),
    (
        HTTP_REQUESTS,
        Kind::Counter,
        "API requests answered, by route and status code.",
    ),
    (
        HTTP_SECONDS,
        Kind::Histogram,
        "Time from request to answer, by route.",
    ),
    (
        AUTH_FAILURES,
        Kind::Counter,
        "Requests refused for their key, by reason.",
    ),
    (ACCEPTED, Kind::Counter, "Messages made durable, by class."),
    (
        REFUSED,
        Kind::Counter,
        "Messages refused before acceptance, by code.",
    ),
    (
        MESSAGES,
        Kind::Counter,
        "Messages that reached a state, by carrier, class and state.",
    ),
    (
        STAGE_SECONDS,
        Kind::Histogram,
        "Time from accept to a stage, by carrier and class.",
    ),
    (
        QUEUE_DEPTH,
        Kind::Gauge,
        "Messages ready in a lane, by carrier and class.",
    ),
    (
        QUEUE_SPILLED,
        Kind::Gauge,
        "1 while more of a lane waits in the store.",
    ),
    (
        RETRIES,
        Kind::Counter,
        "Segments put back to be tried again, by carrier and reason.",
    ),
    (
        POSSIBLE_DUPLICATES,
        Kind::Counter,
        "Messages resent although an attempt is in doubt, by carrier and class.",
    ),
    (BIND_STATE, Kind::Gauge, "1 for the state a bind is in."),
    (
        BIND_IN_FLIGHT,
        Kind::Gauge,
        "Segments awaiting their answer on a bind.",
    ),
    (BIND_WINDOW, Kind::Gauge, "A bind's window, in segments."),
    (
        BIND_SUBMITS,
        Kind::Counter,
        "Segments answered on a bind, by verdict.",
    ),
    (
        BIND_RESPONSE_SECONDS,
        Kind::Histogram,
        "Time from submit_sm to its answer.",
    ),
    (
        BIND_RECONNECTS,
        Kind::Counter,
        "Sessions of a bind that ended, by reason.",
    ),
    (
        PDU_ERRORS,
        Kind::Counter,
        "PDUs that could not be used, by carrier and reason.",
    ),
    (
        RECEIPTS,
        Kind::Counter,
        "Receipts committed, by carrier and result.",
    ),
    (
        RECEIPTS_REFUSED,
        Kind::Counter,
        "Receipts sent back for redelivery because the inbox was full, by carrier.",
    ),
    (
        MO_REFUSED,
        Kind::Counter,
        "Mobile-originated messages refused, by carrier: there is no way in for them yet.",
    ),
    (
        DLR_LATENCY,
        Kind::Histogram,
        "Time from acceptance by the carrier to the final receipt's arrival.",
    ),
    (
        WEBHOOK_DELIVERIES,
        Kind::Counter,
        "Attempts to deliver events, by event and result.",
    ),
    (
        WEBHOOK_SECONDS,
        Kind::Histogram,
        "Time of one attempt to deliver an event.",
    ),
    (
        WEBHOOK_IN_FLIGHT,
        Kind::Gauge,
        "Events being delivered now.",
    ),
    (
        WEBHOOK_LEFT,
        Kind::Counter,
        "Events left in the outbox for the sweep because the workers' queue was full.",
    ),
    (STORE_COMMITS, Kind::Counter, "Transactions committed."),
    (STORE_FAILURES, Kind::Counter, "Transactions that failed."),
    (
        STORE_COMMIT_SECONDS,
        Kind::Histogram,
        "Time of one transaction, begin to commit.",
    ),
    (
        STORE_BATCH_ROWS,
        Kind::Histogram,
        "Rows in one transaction, by kind.",
    ),
    (STORE_HEALTHY, Kind::Gauge, "1 while commits work."),
    (
        LIFECYCLE_REFUSED,
        Kind::Counter,
        "Moves that the lifecycle does not permit.",
    ),
    (
        RECOVERY_SECONDS,
        Kind::Gauge,
        "Time the last start took to open the store and settle what was open.",
    ),
    (
        RECOVERED_UNCERTAIN,
        Kind::Gauge,
        "Messages that the last start found in doubt.",
    ),
];

/// See [`ALL`].
pub const BUILD_INFO: &str = "mnara_build_info";
const HTTP_REQUESTS: &str = "mnara_http_requests_total";
const HTTP_SECONDS: &str = "mnara_http_request_duration_seconds";
const AUTH_FAILURES: &str = "mnara_auth_failures_total";
const ACCEPTED: &str = "mnara_messages_accepted_total";
const REFUSED: &str = "mnara_messages_refused_total";
const MESSAGES: &str = "mnara_messages_total";
const STAGE_SECONDS: &str = "mnara_message_stage_seconds";
const QUEUE_DEPTH: &str = "mnara_queue_depth";
const QUEUE_SPILLED: &str = "mnara_queue_spilled";
const RETRIES: &str = "mnara_retries_total";
const POSSIBLE_DUPLICATES: &str = "mnara_possible_duplicates_total";
const BIND_STATE: &str = "mnara_bind_state";
const BIND_IN_FLIGHT: &str = "mnara_bind_window_in_flight";
const BIND_WINDOW: &str = "mnara_bind_window_limit";
const BIND_SUBMITS: &str = "mnara_bind_submit_total";
const BIND_RESPONSE_SECONDS: &str = "mnara_bind_response_seconds";
const BIND_RECONNECTS: &str = "mnara_bind_reconnects_total";
const PDU_ERRORS: &str = "mnara_pdu_decode_errors_total";
const RECEIPTS: &str = "mnara_dlr_total";
const RECEIPTS_REFUSED: &str = "mnara_dlr_refused_total";
const MO_REFUSED: &str = "mnara_mo_refused_total";
const DLR_LATENCY: &str = "mnara_dlr_latency_seconds";
const WEBHOOK_DELIVERIES: &str = "mnara_webhook_deliveries_total";
const WEBHOOK_SECONDS: &str = "mnara_webhook_attempt_seconds";
const WEBHOOK_IN_FLIGHT: &str = "mnara_webhook_in_flight";
const WEBHOOK_LEFT: &str = "mnara_webhook_left_in_outbox_total";
const STORE_COMMITS: &str = "mnara_store_commits_total";
const STORE_FAILURES: &str = "mnara_store_commit_failures_total";
const STORE_COMMIT_SECONDS: &str = "mnara_store_commit_seconds";
const STORE_BATCH_ROWS: &str = "mnara_store_batch_rows";
const STORE_HEALTHY: &str = "mnara_store_healthy";
const LIFECYCLE_REFUSED: &str = "mnara_lifecycle_refused_total";
const RECOVERY_SECONDS: &str = "mnara_recovery_seconds";
const RECOVERED_UNCERTAIN: &str = "mnara_recovered_uncertain";

const FAST: &[f64] = &[
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0,
];
const QUEUE: &[f64] = &[
    0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 180.0, 600.0,
];
const RECEIPT: &[f64] = &[
    1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 86400.0,
];
const ROWS: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0];

/// A recorder with our buckets and its handle, by which the admin listener renders the page.
pub fn recorder() -> (PrometheusRecorder, PrometheusHandle) {
    let bucket = |builder: PrometheusBuilder, name: &str, buckets: &[f64]| {
        builder
            .set_buckets_for_metric(Matcher::Full(name.into()), buckets)
            .expect("the bucket lists above are not empty")
    };
    let builder = PrometheusBuilder::new();
    let builder = bucket(builder, STAGE_SECONDS, QUEUE);
    let builder = bucket(builder, DLR_LATENCY, RECEIPT);
    let builder = bucket(builder, STORE_BATCH_ROWS, ROWS);
    let builder = [
        HTTP_SECONDS,
        BIND_RESPONSE_SECONDS,
        WEBHOOK_SECONDS,
        STORE_COMMIT_SECONDS,
    ]
    .into_iter()
    .fold(builder, |builder, name| bucket(builder, name, FAST));
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    (recorder, handle)
}

/// Tells the recorder the kind and help of every metric, and sets what is known at start.
pub fn describe() {
    for (name, kind, help) in ALL {
        match kind {
            Kind::Counter => metrics::describe_counter!(*name, *help),
            Kind::Gauge => metrics::describe_gauge!(*name, *help),
            Kind::Histogram => metrics::describe_histogram!(*name, *help),
        }
    }
    gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1);
    gauge!(STORE_HEALTHY).set(1);
}

/// Says what the start found.
pub fn recovered(took: Duration, uncertain: u64) {
    gauge!(RECOVERY_SECONDS).set(took.as_secs_f64());
    gauge!(RECOVERED_UNCERTAIN).set(uncertain as f64);
}

/// Handles of the store.
pub mod store {
    use super::*;

    /// The writer's handles.
    pub struct Writer {
        commits: Counter,
        failures: Counter,
        seconds: Histogram,
        accepts: Histogram,
        rows: Histogram,
        healthy: Gauge,
        left: Counter,
        refused: Counter,
        receipts_home: Counter,
    }

    impl Writer {
        /// Looks the handles up once.
        #[allow(
            clippy::new_without_default,
            reason = "a default would hide the look-ups"
        )]
        pub fn new() -> Self {
            Self {
                commits: counter!(STORE_COMMITS),
                failures: counter!(STORE_FAILURES),
                seconds: histogram!(STORE_COMMIT_SECONDS),
                accepts: histogram!(STORE_BATCH_ROWS, "kind" => "accept"),
                rows: histogram!(STORE_BATCH_ROWS, "kind" => "work"),
                healthy: gauge!(STORE_HEALTHY),
                left: counter!(WEBHOOK_LEFT),
                refused: counter!(LIFECYCLE_REFUSED),
                receipts_home: counter!(RECEIPTS, "carrier" => "any", "result" => "unparked"),
            }
        }

        /// A transaction is durable.
        pub fn committed(&self, took: Duration, accepts: usize, rows: usize) {
            self.commits.increment(1);
            self.seconds.record(took);
            self.healthy.set(1);
            if accepts > 0 {
                self.accepts.record(accepts as f64);
            }
            if rows > 0 {
                self.rows.record(rows as f64);
            }
        }

        /// A transaction failed.
        pub fn failed(&self) {
            self.failures.increment(1);
            self.healthy.set(0);
        }

        /// The workers' queue was full.
        pub fn event_left_in_outbox(&self) {
            self.left.increment(1);
        }

        /// Moves refused, and parked receipts that found their attempt.
        pub fn effects(&self, refused: u64, unparked: usize) {
            self.refused.increment(refused);
            self.receipts_home.increment(unparked as u64);
        }
    }
}

/// Handles of the doors and of ingest.
pub mod api {
    use super::*;

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
                counter!(HTTP_REQUESTS, "route" => self.name, "code" => code.to_string())
                    .increment(1);
            }
            self.seconds.record(took);
        }
    }

    /// A request was refused for its key.
    pub fn auth_failed(reason: &'static str) {
        counter!(AUTH_FAILURES, "reason" => reason).increment(1);
    }

    /// Ingest's handles.
    pub struct Ingest {
        accepted: [Counter; 3],
    }

    impl Ingest {
        /// One for each class, by the class's name in order.
        pub fn new(classes: [&'static str; 3]) -> Self {
            Self {
                accepted: classes.map(|class| counter!(ACCEPTED, "class" => class)),
            }
        }

        /// A message is durable.
        pub fn accepted(&self, class: usize) {
            self.accepted[class].increment(1);
        }

        /// A message was refused.
        pub fn refused(&self, code: &'static str) {
            counter!(REFUSED, "code" => code).increment(1);
        }
    }
}

/// Handles of the scheduler.
pub mod scheduler {
    use super::*;

    /// The handles of one account and class.
    pub struct Lane {
        carrier: String,
        class: &'static str,
        depth: Gauge,
        spilled: Gauge,
        to_submit: Histogram,
        submitted: Counter,
        duplicates: Counter,
    }

    impl Lane {
        /// The handles of a lane.
        pub fn new(carrier: &str, class: &'static str) -> Self {
            let carrier = carrier.to_owned();
            Self {
                depth: gauge!(QUEUE_DEPTH, "carrier" => carrier.clone(), "class" => class),
                spilled: gauge!(QUEUE_SPILLED, "carrier" => carrier.clone(), "class" => class),
                to_submit: histogram!(STAGE_SECONDS, "carrier" => carrier.clone(), "class" => class, "stage" => "submit"),
                submitted: counter!(MESSAGES, "carrier" => carrier.clone(), "class" => class, "state" => "submitted"),
                duplicates: counter!(POSSIBLE_DUPLICATES, "carrier" => carrier.clone(), "class" => class),
                carrier,
                class,
            }
        }

        /// What the lane holds now.
        pub fn depth(&self, depth: usize, spilled: bool) {
            self.depth.set(depth as f64);
            self.spilled.set(f64::from(u8::from(spilled)));
        }

        /// A message was taken by its carrier this long after its acceptance.
        pub fn submitted(&self, after: Duration) {
            self.submitted.increment(1);
            self.to_submit.record(after);
        }

        /// A message reached another state.
        pub fn reached(&self, state: &'static str) {
            counter!(MESSAGES, "carrier" => self.carrier.clone(), "class" => self.class, "state" => state)
                .increment(1);
        }

        /// A segment goes back to be tried again.
        pub fn retried(&self, reason: &'static str) {
            counter!(RETRIES, "carrier" => self.carrier.clone(), "reason" => reason).increment(1);
        }

        /// A message is resent although an attempt is in doubt.
        pub fn possible_duplicate(&self) {
            self.duplicates.increment(1);
        }
    }
}

/// Handles of a bind and of receipts.
pub mod carrier {
    use super::*;

    /// The handles of one bind.
    pub struct Bind {
        carrier: String,
        bind: String,
        in_flight: Gauge,
        accepted: Counter,
        refused: Counter,
        in_doubt: Counter,
        seconds: Histogram,
        receipts_refused: Counter,
        mo_refused: Counter,
    }

    impl Bind {
        /// The handles of a bind with this window.
        pub fn new(carrier: &str, bind: &str, window: u32) -> Self {
            let (carrier, bind) = (carrier.to_owned(), bind.to_owned());
            let submits = |verdict: &'static str| counter!(BIND_SUBMITS, "carrier" => carrier.clone(), "bind" => bind.clone(), "verdict" => verdict);
            gauge!(BIND_WINDOW, "carrier" => carrier.clone(), "bind" => bind.clone())
                .set(f64::from(window));
            Self {
                in_flight: gauge!(BIND_IN_FLIGHT, "carrier" => carrier.clone(), "bind" => bind.clone()),
                accepted: submits("accepted"),
                refused: submits("refused"),
                in_doubt: submits("in_doubt"),
                seconds: histogram!(BIND_RESPONSE_SECONDS, "carrier" => carrier.clone(), "bind" => bind.clone()),
                receipts_refused: counter!(RECEIPTS_REFUSED, "carrier" => carrier.clone()),
                mo_refused: counter!(MO_REFUSED, "carrier" => carrier.clone()),
                carrier,
                bind,
            }
        }

        /// Which of its states the bind is in.
        pub fn state(&self, state: &'static str, all: &[&'static str]) {
            for each in all {
                gauge!(BIND_STATE, "carrier" => self.carrier.clone(), "bind" => self.bind.clone(), "state" => *each)
                    .set(f64::from(u8::from(*each == state)));
            }
        }

        /// Segments in flight.
        pub fn in_flight(&self, count: usize) {
            self.in_flight.set(count as f64);
        }

        /// A segment was answered ROK.
        pub fn accepted(&self, took: Duration) {
            self.accepted.increment(1);
            self.seconds.record(took);
        }

        /// A segment was answered with an error.
        pub fn refused(&self, took: Duration) {
            self.refused.increment(1);
            self.seconds.record(took);
        }

        /// A segment was not answered.
        pub fn in_doubt(&self) {
            self.in_doubt.increment(1);
        }

        /// A session ended.
        pub fn ended(&self, reason: &'static str) {
            counter!(BIND_RECONNECTS, "carrier" => self.carrier.clone(), "bind" => self.bind.clone(), "reason" => reason)
                .increment(1);
        }

        /// A PDU could not be used.
        pub fn pdu_error(&self, reason: &'static str) {
            counter!(PDU_ERRORS, "carrier" => self.carrier.clone(), "reason" => reason)
                .increment(1);
        }

        /// A receipt was sent back because the inbox was full.
        pub fn receipt_refused(&self) {
            self.receipts_refused.increment(1);
        }

        /// A mobile-originated message was refused.
        pub fn mo_refused(&self) {
            self.mo_refused.increment(1);
        }
    }

    /// Receipts committed, by result.
    pub struct Receipts {
        results: Vec<(String, [Counter; 5])>,
    }

    impl Receipts {
        /// Handles for these accounts; `results` in the order in which they are counted.
        pub fn new(carriers: &[&str], results: [&'static str; 5]) -> Self {
            let handles = |carrier: &str| {
                results.map(|result| counter!(RECEIPTS, "carrier" => carrier.to_owned(), "result" => result))
            };
            Self {
                results: carriers
                    .iter()
                    .map(|carrier| ((*carrier).to_owned(), handles(carrier)))
                    .collect(),
            }
        }

        /// A receipt of this account is durable.
        pub fn committed(&self, carrier: &str, result: usize) {
            if let Some((_, counters)) = self.results.iter().find(|(name, _)| name == carrier) {
                counters[result].increment(1);
            }
        }
    }
}

/// Handles of the webhook workers.
pub mod webhooks {
    use super::*;

    /// The handles of all workers.
    pub struct Worker {
        delivered: [Counter; 3],
        failed: [Counter; 3],
        seconds: Histogram,
        in_flight: Gauge,
        left: Counter,
    }

    impl Worker {
        /// One for each kind of event, by its name in order.
        pub fn new(events: [&'static str; 3]) -> Self {
            let handles = |result: &'static str| {
                events
                    .map(|event| counter!(WEBHOOK_DELIVERIES, "event" => event, "result" => result))
            };
            Self {
                delivered: handles("delivered"),
                failed: handles("failed"),
                seconds: histogram!(WEBHOOK_SECONDS),
                in_flight: gauge!(WEBHOOK_IN_FLIGHT),
                left: counter!(WEBHOOK_LEFT),
            }
        }

        /// An attempt has ended.
        pub fn attempted(&self, event: usize, delivered: bool, took: Duration) {
            let counters = if delivered {
                &self.delivered
            } else {
                &self.failed
            };
            counters[event].increment(1);
            self.seconds.record(took);
        }

        /// Events being delivered now.
        pub fn in_flight(&self, count: usize) {
            self.in_flight.set(count as f64);
        }

        /// Events were put back to the outbox because a queue was full.
        pub fn left_in_outbox(&self, count: usize) {
            self.left.increment(count as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_the_prefix_its_unit_and_appears_once() {
        let mut seen = std::collections::HashSet::new();
        for (name, kind, help) in ALL {
            assert!(name.starts_with("mnara_"), "{name}");
            assert!(seen.insert(name), "{name} twice");
            assert!(help.ends_with('.'), "{name}");
            assert_eq!(*kind == Kind::Counter, name.ends_with("_total"), "{name}");
        }
    }
}
