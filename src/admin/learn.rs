//! Lives here: what an account's own ids teach about the rules for them, told to people.
//! Never here: the learning (`domain::learn`), putting a rule in force (a person edits the file).

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use mnara_smpp::receipt::IdDialect;
use serde::{Deserialize, Serialize};

use super::Admin;
use super::error::{Refused, json};
use super::request::{Asked, Operator, account, asked, in_time, now};
use crate::domain::learn::{Fit, Lesson, learn};

/// Ids of either kind that are looked at.
const SAMPLES: u32 = 5_000;
const SINCE_S: u64 = 3 * 86_400;

/// Of which account.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    carrier: String,
    since_s: Option<u64>,
}

#[derive(Serialize)]
struct Learnt {
    carrier: String,
    /// `unclear`, `keep` or `change`.
    lesson: &'static str,
    present: Rules,
    /// What is proposed, kept, or did best.
    rules: Option<Rules>,
    /// How it fares with the samples.
    matched: usize,
    disagreeing: usize,
    ambiguous: usize,
    responses: usize,
    receipts: usize,
    /// Ids that meet: of a response and of a receipt.
    examples: Vec<(Box<str>, Box<str>)>,
    /// Rules that fare as well.
    equal: Vec<Rules>,
    /// The sentence for people.
    outcome: String,
}

#[derive(Serialize)]
struct Rules {
    response: &'static str,
    receipt: &'static str,
}

impl From<IdDialect> for Rules {
    fn from(ids: IdDialect) -> Self {
        Self {
            response: ids.response.name(),
            receipt: ids.receipt.name(),
        }
    }
}

/// `GET /admin/v1/carriers/learn-ids`.
pub(super) async fn ids(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    query: Asked<Wanted>,
) -> Result<Response, Refused> {
    Operator::admit(&admin, &headers)?;
    let wanted = asked(query)?;
    let index = account(&admin, &wanted.carrier)?;
    let id = admin.parts.lanes[index.index()].0.clone();
    let present = admin.parts.dialects[index.index()];
    let since = now() - Duration::from_secs(wanted.since_s.unwrap_or(SINCE_S));
    let samples = in_time(admin.parts.store.id_samples(&id, since, SAMPLES)).await?;
    let (responses, receipts) = (samples.responses.len(), samples.receipts.len());
    // All pairs of rules over all samples take a while.
    let learning = tokio::task::spawn_blocking(move || learn(&samples, present));
    let lesson = learning.await.map_err(|_| Refused::unavailable())?;
    let (name, fit, equal) = match lesson {
        Lesson::Unclear { best } => ("unclear", best, Vec::new()),
        Lesson::Keep(fit) => ("keep", Some(fit), Vec::new()),
        Lesson::Change { to, equal } => ("change", Some(to), equal),
    };
    let of = |count: fn(&Fit) -> usize| fit.as_ref().map_or(0, count);
    let learnt = Learnt {
        outcome: outcome(&id.0, name, fit.as_ref()),
        carrier: id.to_string(),
        lesson: name,
        present: present.into(),
        rules: fit.as_ref().map(|fit| fit.ids.into()),
        matched: of(Fit::matched),
        disagreeing: of(|fit| fit.disagreeing),
        ambiguous: of(|fit| fit.ambiguous),
        responses,
        receipts,
        examples: fit.map_or_else(Vec::new, |fit| fit.examples),
        equal: equal.into_iter().map(Rules::from).collect(),
    };
    Ok(json(StatusCode::OK, &learnt))
}

fn outcome(id: &str, lesson: &str, fit: Option<&Fit>) -> String {
    let Some(fit) = fit else {
        return format!(
            "{id}: no rules make unmatched receipts and responses meet; more samples may"
        );
    };
    let Rules { response, receipt } = fit.ids.into();
    match lesson {
        "change" => format!(
            "{id}: set response_ids = \"{response}\" and receipt_ids = \"{receipt}\" in its \
             [[carrier]], restart, then `mnara ctl receipts replay {id}`"
        ),
        "keep" => format!("{id}: its rules fit; what is unmatched has another cause"),
        _ => format!(
            "{id}: too little to go by; {response} and {receipt} did best with {} matches",
            fit.matched()
        ),
    }
}
