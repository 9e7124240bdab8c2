//! Lives here: the figures of `singles` and `singles-full`, and whether they passed.
//! Never here: how they were gathered.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::super::sheet::Sheet;
use crate::{hook::Counts, http::HttpReport, ledger::Comparison};

/// Rates are per second, times as their names say; `None` where the profile has no such thing.
#[derive(Clone, Debug, Serialize)]
struct Report {
    /// Requests sent in the measured part.
    messages: u64,
    /// 201 answers per second, from the first request to the last 201.
    accepted_per_s: f64,
    /// Distinct messages per second at the simulators, from the first request to the last submit_sm.
    submitted_per_s: f64,
    /// Acknowledged receipts per second, from the first request to the last one.
    delivered_per_s: Option<f64>,
    /// message.sent and message.delivered per second, from the first request to the last webhook.
    webhooks_per_s: Option<f64>,
    /// Median time of a request.
    accept_p50_ms: f64,
    /// 99th percentile of a request.
    accept_p99_ms: f64,
    /// 99th percentile from the 201 at the client to the submit_sm at the simulator.
    accept_to_submit_p99_ms: f64,
    /// User and system time of the daemon per 10,000 accepted messages.
    daemon_cpu_s_per_10k: Option<f64>,
    /// Largest resident size seen.
    daemon_rss_mib: f64,
    /// User and system time of a private PostgreSQL, all its processes, per 10,000 accepted messages.
    postgres_cpu_s_per_10k: Option<f64>,
    /// Its resident size at the end, what its processes share counted once.
    postgres_rss_mib: Option<f64>,
    /// Accepted messages without submit, receipt or webhook, as far as the profile has them.
    lost: u64,
    /// Messages submitted more than once, or with two webhooks of one type under different ids; each counted once.
    duplicated: u64,
    /// Keep-alive connections of the generator.
    connections: usize,
    /// Simulated networks.
    networks: usize,
    /// 201 answers.
    accepted: u64,
    /// Requests without 201.
    errors: u64,
    /// The first of them.
    first_error: Option<String>,
    /// Accepted, never submitted.
    lost_submits: u64,
    /// Accepted, receipt never acknowledged.
    lost_receipts: u64,
    /// Accepted, webhooks incomplete.
    lost_webhooks: u64,
    /// Submitted more than once.
    doubled_submits: u64,
    /// With two webhooks of one type under different ids.
    doubled_webhooks: u64,
    /// Submitted though no 201 was seen.
    unaccepted_submits: u64,
    /// Webhooks sent again under the same id.
    webhook_repeats: u64,
    /// Webhooks whose signature does not fit.
    bad_signatures: u64,
    /// User and system time of generator and simulators per 10,000 messages.
    generator_cpu_s_per_10k: Option<f64>,
}

/// All that a report is made of.
pub(super) struct Gathered<'a> {
    /// Name of the profile.
    pub(super) profile: &'static str,
    /// The generator's side.
    pub(super) http: &'a HttpReport,
    /// Both sides compared.
    pub(super) comparison: Comparison,
    /// Distinct messages at the simulators and the time from the first request to the last of them.
    pub(super) submitted: (u64, Duration),
    /// Acknowledged receipts likewise.
    pub(super) delivered: Option<(u64, Duration)>,
    /// Webhooks likewise.
    pub(super) webhooks: Option<(u64, Duration)>,
    /// What the listener counted in the measured part.
    pub(super) hook: Counts,
    /// 99th percentile from 201 to submit_sm, microseconds.
    pub(super) accept_to_submit_p99_us: u64,
    /// CPU seconds of the daemon.
    pub(super) daemon_cpu_s: Option<f64>,
    /// CPU seconds of a private PostgreSQL.
    pub(super) postgres_cpu_s: Option<f64>,
    /// Its resident size in MiB.
    pub(super) postgres_rss_mib: Option<f64>,
    /// CPU seconds of this process.
    pub(super) generator_cpu_s: Option<f64>,
    /// Largest resident size of the daemon in MiB.
    pub(super) daemon_rss_mib: f64,
    /// Connections of the generator.
    pub(super) connections: usize,
    /// Simulated networks.
    pub(super) networks: usize,
}

/// The figures, and the verdicts: nothing lost, nothing duplicated, every request answered 201, every signature right.
pub(super) fn sheet(gathered: &Gathered<'_>) -> Sheet {
    let mut sheet = Sheet::new(gathered.profile);
    sheet.nothing_lost(&gathered.comparison, &[gathered.http]);
    let hook = &gathered.hook;
    let wrong = hook.bad_signatures + hook.unreadable + hook.failed;
    sheet.at_most("wrong_webhooks", wrong as f64, 0.0);
    sheet.at_least("accepted_messages", gathered.http.accepted as f64, 1.0);
    let report = serde_json::to_value(Report::new(gathered));
    if let Ok(Value::Object(figures)) = report {
        sheet.figures.extend(figures);
    }
    sheet
}

impl Report {
    fn new(gathered: &Gathered<'_>) -> Self {
        let Gathered {
            http,
            comparison,
            hook,
            ..
        } = gathered;
        let errors = http.sent.max(http.accepted + http.errors) - http.accepted;
        let per_10k = |seconds: f64| round(seconds * 10_000.0 / (http.accepted.max(1) as f64), 4);
        let ms = |micros: u64| round(micros as f64 / 1000.0, 3);
        Self {
            messages: http.sent,
            accepted_per_s: rate((http.accepted, http.elapsed)),
            submitted_per_s: rate(gathered.submitted),
            delivered_per_s: gathered.delivered.map(rate),
            webhooks_per_s: gathered.webhooks.map(rate),
            accept_p50_ms: ms(http.latency.value_at_quantile(0.5)),
            accept_p99_ms: ms(http.latency.value_at_quantile(0.99)),
            accept_to_submit_p99_ms: ms(gathered.accept_to_submit_p99_us),
            daemon_cpu_s_per_10k: gathered.daemon_cpu_s.map(per_10k),
            daemon_rss_mib: round(gathered.daemon_rss_mib, 1),
            postgres_cpu_s_per_10k: gathered.postgres_cpu_s.map(per_10k),
            postgres_rss_mib: gathered.postgres_rss_mib.map(|mib| round(mib, 1)),
            lost: comparison.lost,
            duplicated: comparison.duplicated,
            connections: gathered.connections,
            networks: gathered.networks,
            accepted: http.accepted,
            errors,
            first_error: first_error(http),
            lost_submits: comparison.never_submitted,
            lost_receipts: comparison.never_receipted,
            lost_webhooks: comparison.never_notified,
            doubled_submits: comparison.submitted_twice,
            doubled_webhooks: comparison.notified_twice,
            unaccepted_submits: comparison.submitted_unaccepted,
            webhook_repeats: hook.repeats,
            bad_signatures: hook.bad_signatures,
            generator_cpu_s_per_10k: gathered.generator_cpu_s.map(per_10k),
        }
    }
}

/// What the listener counted between two readings.
pub(super) fn counts_since(now: Counts, before: Counts) -> Counts {
    Counts {
        requests: now.requests - before.requests,
        sent: now.sent - before.sent,
        delivered: now.delivered - before.delivered,
        failed: now.failed - before.failed,
        other: now.other - before.other,
        repeats: now.repeats - before.repeats,
        doubled: now.doubled - before.doubled,
        bad_signatures: now.bad_signatures - before.bad_signatures,
        unreadable: now.unreadable - before.unreadable,
        untracked: now.untracked - before.untracked,
        refused: now.refused - before.refused,
    }
}

fn first_error(http: &HttpReport) -> Option<String> {
    let status = || http.statuses.keys().find(|status| **status != 201);
    http.first_error
        .clone()
        .or_else(|| status().map(|status| format!("answered {status}")))
}

fn rate((count, time): (u64, Duration)) -> f64 {
    round(count as f64 / time.as_secs_f64().max(1e-6), 1)
}

fn round(value: f64, digits: i32) -> f64 {
    let factor = 10f64.powi(digits);
    (value * factor).round() / factor
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Instant};

    use super::*;
    use crate::ledger::latency_histogram;

    fn http(sent: u64, accepted: u64) -> HttpReport {
        let mut latency = latency_histogram();
        latency.saturating_record(2_000);
        HttpReport {
            sent,
            accepted,
            statuses: BTreeMap::from([(201, accepted), (503, sent - accepted)]),
            errors: 0,
            first_error: None,
            elapsed: Duration::from_secs(2),
            latency,
            started: Instant::now(),
        }
    }

    fn gathered(http: &HttpReport) -> Gathered<'_> {
        Gathered {
            profile: "singles",
            http,
            comparison: Comparison {
                accepted: http.accepted,
                ..Comparison::default()
            },
            submitted: (http.accepted, Duration::from_secs(4)),
            delivered: None,
            webhooks: Some((300, Duration::from_secs(3))),
            hook: Counts::default(),
            accept_to_submit_p99_us: 1_500,
            daemon_cpu_s: Some(0.5),
            postgres_cpu_s: None,
            postgres_rss_mib: None,
            generator_cpu_s: None,
            daemon_rss_mib: 2.0,
            connections: 128,
            networks: 8,
        }
    }

    #[test]
    fn figures_are_rates_over_their_own_times_and_absent_ones_are_null() {
        let http = http(20_000, 20_000);
        let json = serde_json::to_value(sheet(&gathered(&http))).unwrap();
        assert_eq!(json["ok"], true);
        assert_eq!(
            (
                json["accepted_per_s"].as_f64(),
                json["submitted_per_s"].as_f64()
            ),
            (Some(1e4), Some(5e3))
        );
        assert_eq!(
            (&json["delivered_per_s"], json["webhooks_per_s"].as_f64()),
            (&Value::Null, Some(100.0))
        );
        assert_eq!(
            (
                json["daemon_cpu_s_per_10k"].as_f64(),
                json["daemon_rss_mib"].as_f64()
            ),
            (Some(0.25), Some(2.0))
        );
        assert_eq!(json["accept_to_submit_p99_ms"].as_f64(), Some(1.5));
    }

    #[test]
    fn a_single_loss_double_refusal_or_bad_signature_fails_the_run() {
        let good = http(100, 100);
        let fails = |change: fn(&mut Gathered<'_>)| {
            let mut gathered = gathered(&good);
            change(&mut gathered);
            !sheet(&gathered).ok
        };
        assert!(fails(|gathered| gathered.comparison.lost = 1));
        assert!(fails(|gathered| gathered.comparison.duplicated = 1));
        assert!(fails(
            |gathered| gathered.comparison.submitted_unaccepted = 1
        ));
        assert!(fails(|gathered| gathered.hook.bad_signatures = 1));
        assert!(!fails(|gathered| gathered.hook.repeats = 1));
        let refused = http(100, 99);
        let sheet = sheet(&gathered(&refused));
        assert!(!sheet.ok);
        assert_eq!(
            (
                sheet.figures["errors"].as_u64(),
                sheet.figures["first_error"].as_str()
            ),
            (Some(1), Some("answered 503"))
        );
    }
}
