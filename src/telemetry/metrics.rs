//! Lives here: the name of every metric with its help text, its buckets, and the prepared
//! handles by which the data path counts without look-ups.
//! Never here: labels from unbounded sets (numbers, organisations, URLs, message ids).

pub mod api;
pub mod bulk;
pub mod carrier;
pub mod receipts;
pub mod retention;
pub mod routing;
pub mod scheduler;
pub mod store;
pub mod webhooks;

use std::time::Duration;

use metrics::gauge;
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
        FAILOVER,
        Kind::Counter,
        "Waiting messages that went to another account, by from, to, class and reason.",
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
    (
        ROUTE_HEALTH,
        Kind::Gauge,
        "1 while an account is in use, 0.5 while probes try it, 0 while its breaker is open.",
    ),
    (
        BREAKER_TRANSITIONS,
        Kind::Counter,
        "Changes of an account's breaker, by carrier, state and reason.",
    ),
    (
        BREAKER_OPEN_SECONDS,
        Kind::Gauge,
        "For how long an account has not been in full use; 0 while it is.",
    ),
    (
        SIGNS_DROPPED,
        Kind::Counter,
        "Observations of accounts dropped because their judge was behind.",
    ),
    (BIND_STATE, Kind::Gauge, "1 for the state a bind is in."),
    (
        BIND_IN_FLIGHT,
        Kind::Gauge,
        "Segments awaiting their answer on a bind.",
    ),
    (BIND_WINDOW, Kind::Gauge, "A bind's window, in segments."),
    (
        BIND_TPS,
        Kind::Gauge,
        "A bind's limit, in segments a second.",
    ),
    (
        BIND_ALARM,
        Kind::Gauge,
        "1 while a bind needs a person, by reason.",
    ),
    (
        BIND_SUBMITS,
        Kind::Counter,
        "Segments answered on a bind, by verdict.",
    ),
    (
        BIND_THROTTLED,
        Kind::Counter,
        "Segments to which a carrier answered that we are too fast, by bind.",
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
        "Receipts committed, by carrier, state and result; one unparked was counted as parked before.",
    ),
    (
        DLR_UNMATCHED,
        Kind::Counter,
        "Receipts that found no message in time, by carrier.",
    ),
    (
        DLR_UNMATCHED_RATIO,
        Kind::Gauge,
        "Share of unmatched receipts over ten minutes, by carrier.",
    ),
    (
        DLR_UNMATCHED_ALARM,
        Kind::Gauge,
        "1 while a carrier's share of unmatched receipts is above the threshold.",
    ),
    (
        DLR_QUARANTINED,
        Kind::Counter,
        "Receipts that went into quarantine without a message.",
    ),
    (
        DLR_DROPPED,
        Kind::Counter,
        "Receipts dropped from quarantine, for their age or for want of room.",
    ),
    (
        UNCERTAIN_RESOLVED,
        Kind::Counter,
        "Attempts in doubt whose outcome became known, by carrier and by what told it.",
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
    (
        WEBHOOK_ENDPOINTS,
        Kind::Gauge,
        "Webhook endpoints, by status.",
    ),
    (
        WEBHOOK_ENDPOINTS_ENDED,
        Kind::Counter,
        "Webhook endpoints that are not called any more for what they answered, by reason.",
    ),
    (STORE_COMMITS, Kind::Counter, "Transactions committed."),
    (
        STORE_FAILURES,
        Kind::Counter,
        "Tries to commit a batch that failed; of one that waits for the database four a second.",
    ),
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
        STORE_SET_ASIDE,
        Kind::Counter,
        "Parts of a batch that the database will not have, by kind; the log says which and why.",
    ),
    (
        LIFECYCLE_REFUSED,
        Kind::Counter,
        "Moves that the lifecycle does not permit.",
    ),
    (
        RETENTION_DAYS,
        Kind::Counter,
        "Days of messages dropped because their time was over.",
    ),
    (
        RETENTION_MESSAGES,
        Kind::Counter,
        "Messages deleted one by one, redacted or erased, by what was done.",
    ),
    (
        RETENTION_OLDEST,
        Kind::Gauge,
        "When the oldest day of messages that is kept began, Unix time; 0 = none is.",
    ),
    (
        RETENTION_HELD,
        Kind::Gauge,
        "Days of messages whose time is over and that hold what has not ended.",
    ),
    (
        RETENTION_CLOCK_DOUBTED,
        Kind::Gauge,
        "1 while the clock is too far from the day on which retention worked last to go by it.",
    ),
    (
        RETENTION_SUCCESS,
        Kind::Gauge,
        "When all that retention had to do was done last, Unix time; 0 = not yet in this run.",
    ),
    (PORTED_ROWS, Kind::Gauge, "Ported numbers in force."),
    (
        PORTED_MODIFIED_SECONDS,
        Kind::Gauge,
        "When the file of ported numbers in force was last changed, Unix time.",
    ),
    (
        CONFIG_RELOAD_SUCCESS,
        Kind::Gauge,
        "1 if the last reload of the configuration was good, 0 if it changed nothing for an error.",
    ),
    (
        CONFIG_RELOAD_SECONDS,
        Kind::Gauge,
        "When the configuration was last loaded, Unix time.",
    ),
    (
        BULK_JOBS,
        Kind::Counter,
        "Bulk jobs accepted, completed, failed, canceled, and spared: unreadable, tried again later.",
    ),
    (
        BULK_RECIPIENTS,
        Kind::Counter,
        "Recipients of bulk jobs: accepted or refused with their job, and made messages of.",
    ),
    (BULK_AT_WORK, Kind::Gauge, "Bulk jobs that are worked at."),
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
const FAILOVER: &str = "mnara_failover_total";
const RETRIES: &str = "mnara_retries_total";
const POSSIBLE_DUPLICATES: &str = "mnara_possible_duplicates_total";
const ROUTE_HEALTH: &str = "mnara_route_health";
const BREAKER_TRANSITIONS: &str = "mnara_breaker_transitions_total";
const BREAKER_OPEN_SECONDS: &str = "mnara_breaker_open_seconds";
const SIGNS_DROPPED: &str = "mnara_signs_dropped_total";
const BIND_STATE: &str = "mnara_bind_state";
const BIND_IN_FLIGHT: &str = "mnara_bind_window_in_flight";
const BIND_WINDOW: &str = "mnara_bind_window_limit";
const BIND_TPS: &str = "mnara_bind_tps_limit";
const BIND_ALARM: &str = "mnara_bind_alarm";
const BIND_SUBMITS: &str = "mnara_bind_submit_total";
const BIND_THROTTLED: &str = "mnara_bind_throttled_total";
const BIND_RESPONSE_SECONDS: &str = "mnara_bind_response_seconds";
const BIND_RECONNECTS: &str = "mnara_bind_reconnects_total";
const PDU_ERRORS: &str = "mnara_pdu_decode_errors_total";
const RECEIPTS: &str = "mnara_dlr_total";
const DLR_UNMATCHED: &str = "mnara_dlr_unmatched_total";
const DLR_UNMATCHED_RATIO: &str = "mnara_dlr_unmatched_ratio";
const DLR_UNMATCHED_ALARM: &str = "mnara_dlr_unmatched_alarm";
const DLR_QUARANTINED: &str = "mnara_dlr_quarantined_total";
const DLR_DROPPED: &str = "mnara_dlr_dropped_total";
const UNCERTAIN_RESOLVED: &str = "mnara_uncertain_resolved_total";
const RECEIPTS_REFUSED: &str = "mnara_dlr_refused_total";
const MO_REFUSED: &str = "mnara_mo_refused_total";
const DLR_LATENCY: &str = "mnara_dlr_latency_seconds";
const WEBHOOK_DELIVERIES: &str = "mnara_webhook_deliveries_total";
const WEBHOOK_SECONDS: &str = "mnara_webhook_attempt_seconds";
const WEBHOOK_IN_FLIGHT: &str = "mnara_webhook_in_flight";
const WEBHOOK_LEFT: &str = "mnara_webhook_left_in_outbox_total";
const WEBHOOK_ENDPOINTS: &str = "mnara_webhook_endpoints";
const WEBHOOK_ENDPOINTS_ENDED: &str = "mnara_webhook_endpoints_disabled_total";
const STORE_COMMITS: &str = "mnara_store_commits_total";
const STORE_FAILURES: &str = "mnara_store_commit_failures_total";
const STORE_COMMIT_SECONDS: &str = "mnara_store_commit_seconds";
const STORE_BATCH_ROWS: &str = "mnara_store_batch_rows";
const STORE_HEALTHY: &str = "mnara_store_healthy";
const STORE_SET_ASIDE: &str = "mnara_store_set_aside_total";
const LIFECYCLE_REFUSED: &str = "mnara_lifecycle_refused_total";
const RETENTION_DAYS: &str = "mnara_retention_days_dropped_total";
const RETENTION_MESSAGES: &str = "mnara_retention_messages_total";
const RETENTION_OLDEST: &str = "mnara_retention_oldest_day_timestamp_seconds";
const RETENTION_HELD: &str = "mnara_retention_days_held";
const RETENTION_CLOCK_DOUBTED: &str = "mnara_retention_clock_doubted";
const RETENTION_SUCCESS: &str = "mnara_retention_success_timestamp_seconds";
const PORTED_ROWS: &str = "mnara_ported_rows";
const PORTED_MODIFIED_SECONDS: &str = "mnara_ported_modified_timestamp_seconds";
const CONFIG_RELOAD_SUCCESS: &str = "mnara_config_reload_success";
const CONFIG_RELOAD_SECONDS: &str = "mnara_config_reload_timestamp_seconds";
const BULK_JOBS: &str = "mnara_bulk_jobs_total";
const BULK_RECIPIENTS: &str = "mnara_bulk_recipients_total";
const BULK_AT_WORK: &str = "mnara_bulk_jobs_at_work";
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
