//! Lives here: `ctl binds`.
//! Never here: what a bind does with a command (`carrier`).

use serde::Deserialize;
use serde_json::Value;

use super::client::{self, CtlError};
use super::table::table;
use super::{Target, or_dash, read};

pub(super) async fn list(target: &Target) -> Result<Value, CtlError> {
    client::get(target, "/admin/v1/binds", &[]).await
}

pub(super) fn listed(told: Value) -> Result<String, CtlError> {
    read(told).map(|binds: Binds| binds.shown())
}

#[derive(Deserialize)]
struct Binds {
    binds: Vec<Bind>,
}

#[derive(Deserialize)]
struct Bind {
    carrier: String,
    bind: String,
    state: String,
    bound: bool,
    in_flight: u32,
    window: u32,
    last_error: Option<String>,
}

impl Binds {
    fn shown(self) -> String {
        let head = [
            "CARRIER",
            "BIND",
            "STATE",
            "BOUND",
            "IN FLIGHT",
            "LAST ERROR",
        ];
        let rows = self.binds.into_iter().map(|bind| {
            [
                bind.carrier,
                bind.bind,
                bind.state,
                if bind.bound { "yes" } else { "no" }.to_owned(),
                format!("{}/{}", bind.in_flight, bind.window),
                or_dash(bind.last_error),
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
    fn binds_are_shown_as_a_table() {
        let told = json!({"binds": [{"carrier": "mtn_ng", "bind": "mtn_ng/1", "state": "bound",
            "bound": true, "in_flight": 3, "window": 100, "last_error": null}]});
        assert_eq!(
            listed(told).unwrap(),
            "CARRIER  BIND      STATE  BOUND  IN FLIGHT  LAST ERROR\n\
             mtn_ng   mtn_ng/1  bound  yes    3/100      -\n"
        );
    }
}
