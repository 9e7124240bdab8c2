//! Lives here: the result of a profile: its figures, and each target with what was reached.
//! Never here: how the figures were gathered.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::{http::HttpReport, ledger::Comparison};

/// The one object that `run --json` prints.
#[derive(Clone, Debug, Serialize)]
pub struct Sheet {
    /// Name of the profile.
    pub profile: &'static str,
    /// Every check holds.
    pub ok: bool,
    /// The promises of the profile, each with what was reached.
    pub checks: Vec<Check>,
    /// What was measured; units last in the names.
    #[serde(flatten)]
    pub figures: Map<String, Value>,
}

/// One promise.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// What was measured.
    pub name: &'static str,
    /// The value; null when there was nothing to measure, which never passes.
    pub value: f64,
    /// What it must be.
    #[serde(flatten)]
    pub target: Target,
    /// It is.
    pub ok: bool,
}

/// What a value must be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
}

impl Target {
    /// False for a value that is no number.
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
        }
    }
}

impl Sheet {
    pub(super) fn new(profile: &'static str) -> Self {
        Self {
            profile,
            ok: true,
            checks: Vec::new(),
            figures: Map::new(),
        }
    }

    /// Notes a number, rounded to what can be meant.
    pub(super) fn figure(&mut self, name: &str, value: f64) {
        self.note(name, round(value).into());
    }

    /// Notes anything else.
    pub(super) fn note(&mut self, name: &str, value: Value) {
        self.figures.insert(name.to_owned(), value);
    }

    pub(super) fn at_most(&mut self, name: &'static str, value: f64, most: f64) {
        self.check(name, value, Target::AtMost(most));
    }

    pub(super) fn at_least(&mut self, name: &'static str, value: f64, least: f64) {
        self.check(name, value, Target::AtLeast(least));
    }

    /// The promises of every profile: all requests answered 201, nothing lost, nothing twice.
    pub(super) fn nothing_lost(&mut self, comparison: &Comparison, sent: &[&HttpReport]) {
        self.accepted(sent);
        self.compared(comparison);
    }

    /// Nothing lost, nothing twice.
    pub(super) fn compared(&mut self, comparison: &Comparison) {
        self.at_most("lost", comparison.lost as f64, 0.0);
        self.at_most("duplicated", comparison.duplicated as f64, 0.0);
        let unaccepted = comparison.submitted_unaccepted as f64;
        self.at_most("submitted_without_201", unaccepted, 0.0);
    }

    /// Every request was answered 201.
    pub(super) fn accepted(&mut self, sent: &[&HttpReport]) {
        let count = |value: fn(&HttpReport) -> u64| sent.iter().map(|one| value(one)).sum::<u64>();
        let accepted = count(|one| one.accepted);
        let requests = count(|one| one.sent.max(one.accepted + one.errors));
        self.figure("accepted", accepted as f64);
        self.at_most("not_accepted", (requests - accepted) as f64, 0.0);
        if let Some(error) = sent.iter().find_map(|one| one.first_error.clone()) {
            self.note("first_error", error.into());
        }
    }

    /// What is known only when all is over.
    pub(super) fn close(&mut self, store: &str, stopped_cleanly: bool) {
        self.note("store", store.into());
        self.note("stopped_cleanly", stopped_cleanly.into());
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        self.note("cores", cores.into());
    }

    fn check(&mut self, name: &'static str, value: f64, target: Target) {
        let ok = target.holds(value);
        self.ok &= ok;
        self.checks.push(Check {
            name,
            value: round(value),
            target,
            ok,
        });
    }
}

/// Four digits after the point.
fn round(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_check_that_fails_fails_the_run_and_nothing_measured_never_passes() {
        let mut sheet = Sheet::new("test");
        sheet.at_most("ratio", 1.2, 1.2);
        sheet.at_least("share", 0.95, 0.95);
        assert!(sheet.ok);
        sheet.at_most("empty", f64::NAN, 1.0);
        assert!(!sheet.ok && !sheet.checks[2].ok);
        let mut sheet = Sheet::new("test");
        sheet.at_least("share", 0.94, 0.95);
        assert!(!sheet.ok);
    }

    #[test]
    fn a_check_shows_its_value_its_target_and_its_verdict() {
        let mut sheet = Sheet::new("test");
        sheet.at_most("p99_ms", 1.234_567, 50.0);
        sheet.figure("rate_per_s", 10.0);
        let json = serde_json::to_value(&sheet).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "profile": "test", "ok": true, "rate_per_s": 10.0,
                "checks": [{"name": "p99_ms", "value": 1.2346, "at_most": 50.0, "ok": true}],
            })
        );
    }
}
