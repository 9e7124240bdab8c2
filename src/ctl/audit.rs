//! Lives here: `ctl audit`.
//! Never here: what is written (`admin`, `store`).

use serde::Deserialize;
use serde_json::{Map, Value};

use super::client::{self, CtlError};
use super::table::table;
use super::{Target, read};

pub(super) async fn list(target: &Target, limit: Option<u32>) -> Result<Value, CtlError> {
    let limit = limit.map(|limit| limit.to_string());
    client::get(target, "/admin/v1/audit", &[("limit", &limit)]).await
}

pub(super) fn listed(told: Value) -> Result<String, CtlError> {
    read(told).map(|audit: Audit| audit.shown())
}

#[derive(Deserialize)]
struct Audit {
    audit: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    at: String,
    actor: String,
    action: String,
    subject: String,
    detail: Option<Map<String, Value>>,
    outcome: String,
}

impl Audit {
    fn shown(self) -> String {
        let head = ["AT", "WHO", "ACTION", "SUBJECT", "OUTCOME", "DETAIL"];
        let rows = self.audit.into_iter().map(|line| {
            let detail = line.detail.unwrap_or_default();
            let said = detail.iter().filter(|(_, value)| !value.is_null());
            let said = said.map(|(name, value)| match value {
                Value::String(text) => format!("{name}: {text}"),
                value => format!("{name}: {value}"),
            });
            let detail = said.collect::<Vec<_>>().join(", ");
            [
                line.at,
                line.actor,
                line.action,
                line.subject,
                line.outcome,
                detail,
            ]
        });
        table(head, rows)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lines_are_shown_with_what_they_say() {
        let told = json!({"audit": [{"at": "2026-11-21T16:00:00Z", "actor": "amina (admin token)",
            "action": "carriers.pause", "subject": "one", "outcome": "paused",
            "detail": {"reason": "works", "until": null}}]});
        assert_eq!(
            listed(told).unwrap(),
            "AT                    WHO                  ACTION          SUBJECT  OUTCOME  DETAIL\n\
             2026-11-21T16:00:00Z  amina (admin token)  carriers.pause  one      paused   \
             reason: works\n"
        );
    }
}
