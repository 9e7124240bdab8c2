//! Lives here: `ctl routes` and `ctl reload`.
//! Never here: the decision, the files (`admin`).

use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{self, CtlError};
use super::table::table;
use super::{Target, or_dash, read};

/// What to ask of the routing plan.
#[derive(Debug, clap::Subcommand)]
pub enum RoutesCommand {
    /// Say where a message would go now, and why; nothing is sent.
    Explain {
        /// The recipient; a local number needs `--org`.
        number: String,
        /// otp, transactional (the default), promotional.
        #[arg(long)]
        class: Option<String>,
        /// The sender; otherwise the organisation's first.
        #[arg(long)]
        from: Option<String>,
        /// The organisation, by name or id.
        #[arg(long)]
        org: Option<String>,
        /// Segments, 1 to 10.
        #[arg(long)]
        segments: Option<u8>,
    },
}

impl RoutesCommand {
    pub(super) async fn ask(&self, target: &Target) -> Result<Value, CtlError> {
        let Self::Explain {
            number,
            class,
            from,
            org,
            segments,
        } = self;
        let segments = segments.map(|segments| segments.to_string());
        let query = [
            ("to", &Some(number.clone())),
            ("class", class),
            ("from", from),
            ("org", org),
            ("segments", &segments),
        ];
        client::get(target, "/admin/v1/routes/explain", &query).await
    }

    pub(super) fn shown(told: Value) -> Result<String, CtlError> {
        read(told).map(|explanation: Explanation| explanation.shown())
    }
}

pub(super) async fn reload(target: &Target) -> Result<Value, CtlError> {
    client::post(target, "/admin/v1/reload", &json!({})).await
}

pub(super) fn reloaded(told: Value) -> Result<String, CtlError> {
    let Reloaded { changes } = read(told)?;
    if changes.is_empty() {
        return Ok("nothing has changed\n".into());
    }
    Ok(changes.iter().map(|line| format!("{line}\n")).collect())
}

#[derive(Deserialize)]
struct Reloaded {
    changes: Vec<String>,
}

#[derive(Deserialize)]
struct Explanation {
    to: String,
    from: String,
    class: String,
    segments: u8,
    country: String,
    network: Option<String>,
    network_by: String,
    why: String,
    candidates: Vec<Candidate>,
    carrier: Option<String>,
    available: bool,
    then: Option<String>,
    then_after_s: Option<u64>,
}

#[derive(Deserialize)]
struct Candidate {
    rank: u64,
    carrier: String,
    chosen: bool,
    reason: String,
}

impl Explanation {
    fn shown(self) -> String {
        let network = self.network.unwrap_or_else(|| "no known network".into());
        let goes = match (self.carrier, self.then) {
            (Some(carrier), _) if self.available => format!("goes to {carrier}"),
            (Some(carrier), Some(then)) => format!(
                "waits for {carrier} until that has been out of use for {} s, then takes {then}",
                self.then_after_s.unwrap_or_default()
            ),
            (Some(carrier), None) => format!("waits for {carrier}"),
            (None, _) => "no account may carry it".into(),
        };
        let rows = self.candidates.into_iter().map(|one| {
            [
                or_dash(one.chosen.then(|| "*".to_owned())),
                one.rank.to_string(),
                one.carrier,
                one.reason,
            ]
        });
        format!(
            "{} from {}, {}, {} segment(s): {goes}\n{}: {network} (by {})\n{}\n\n{}",
            self.to,
            self.from,
            self.class,
            self.segments,
            self.country,
            self.network_by,
            self.why,
            table(["", "RANK", "CARRIER", "REASON"], rows)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_explained_with_all_its_targets() {
        let told = json!({"to": "+255753276939", "from": "MNARA", "class": "otp", "segments": 1,
            "country": "TZ", "network": "vodacom_tz", "network_by": "prefix", "rule": "otp first",
            "strategy": "priority", "why": "rule `otp first`: by priority", "available": true,
            "carrier": "two", "cost_per_segment_micros": null,
            "candidates": [{"rank": 1, "carrier": "one", "chosen": false, "skipped": "paused",
                "reason": "the operator has paused it"},
                {"rank": 2, "carrier": "two", "chosen": true, "reason": "the next one"}]});
        assert_eq!(
            RoutesCommand::shown(told).unwrap(),
            "+255753276939 from MNARA, otp, 1 segment(s): goes to two\n\
             TZ: vodacom_tz (by prefix)\n\
             rule `otp first`: by priority\n\
             \n\
             \u{20}  RANK  CARRIER  REASON\n\
             -  1     one      the operator has paused it\n\
             *  2     two      the next one\n"
        );
    }

    #[test]
    fn a_message_that_waits_for_its_first_choice_is_said_to_take_the_next() {
        let told = |then: Value| {
            let told = json!({"to": "+255753276939", "from": "MNARA", "class": "otp", "segments": 1,
                "country": "TZ", "network": null, "network_by": "prefix", "why": "x",
                "available": false, "carrier": "one", "candidates": [], "then": then,
                "then_after_s": 5});
            RoutesCommand::shown(told).unwrap()
        };
        let says = "waits for one until that has been out of use for 5 s, then takes two\n";
        assert!(told(json!("two")).contains(says));
        assert!(told(json!(null)).contains("segment(s): waits for one\n"));
    }

    #[test]
    fn a_reload_tells_what_has_changed() {
        let told = json!({"changes": ["rule a: new", "rule b: gone"]});
        assert_eq!(reloaded(told).unwrap(), "rule a: new\nrule b: gone\n");
        assert_eq!(
            reloaded(json!({"changes": []})).unwrap(),
            "nothing has changed\n"
        );
    }
}
