//! Lives here: the endpoints about routing: why a message would go where, and reading the
//! configuration again. Both want the token.
//! Never here: the explanation itself (`ingest::explain`), the reload (`app`).

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::oneshot;
use tokio::time::timeout;
use uuid::Uuid;

use super::Admin;
use super::error::{self, Refused};
use super::request::{Asked, Operator, asked, changed, class, now, organisation};
use crate::domain::account::Organisation;
use crate::domain::class::Class;
use crate::domain::ids::OrgId;
use crate::domain::phone::{Msisdn, Sender};
use crate::domain::route::Ask;
use crate::flow::routes::Reload;
use crate::ingest::explain::{Told, explain as explain_route};

/// Who a message is taken to be from when the question does not say.
const SENDER: &str = "MNARA";
/// Segments of one message at most.
const SEGMENTS_MAX: u8 = 10;
/// How long a reload may take before its answer is no longer awaited.
const RELOAD: Duration = Duration::from_secs(25);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    /// The number; a local one needs `org`.
    to: String,
    class: Option<String>,
    from: Option<String>,
    /// Name or id.
    org: Option<String>,
    segments: Option<u8>,
}

#[derive(Serialize)]
struct Reloaded {
    /// A line for each change; none if nothing has changed.
    changes: Vec<String>,
}

/// `GET /admin/v1/routes/explain?to=…&class=…&from=…&org=…&segments=…`.
pub(super) async fn explain(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    question: Asked<Question>,
) -> Result<Response, Refused> {
    Operator::admit(&admin, &headers)?;
    let question = asked(question)?;
    let class = question
        .class
        .as_deref()
        .map_or(Ok(Class::default()), class)?;
    let segments = question.segments.unwrap_or(1);
    if !(1..=SEGMENTS_MAX).contains(&segments) {
        let message = format!("segments must be 1 to {SEGMENTS_MAX}");
        return Err(Refused::invalid(message));
    }
    let org = match &question.org {
        Some(wanted) => Some(organisation(&admin, wanted).await?),
        None => None,
    };
    let from = from(question.from.as_deref(), org.as_deref())?;
    let typed = Msisdn::parse(&question.to).map_err(|error| Refused::invalid(error.to_string()))?;
    let routes = &admin.parts.routes;
    let to = {
        let table = routes.table();
        let home = org
            .as_ref()
            .and_then(|org| table.plan().country(&org.country));
        let located = table.plan().locate(typed, home);
        located
            .map_err(|error| Refused::invalid(error.to_string()))?
            .number
    };
    let ask = Ask {
        to,
        from: &from,
        class,
        org: org.map_or(OrgId(Uuid::nil()), |org| org.id),
        segments,
        live: true,
    };
    let explanation = explain_route(routes, &ask, &[], now(), Told::Operator);
    let explanation =
        explanation.ok_or_else(|| Refused::invalid("no carrier serves this country"))?;
    Ok(error::json(StatusCode::OK, &explanation))
}

/// `POST /admin/v1/reload`: the difference in words, or 409 with the reason why nothing changed.
pub(super) async fn reload(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let operator = Operator::admit(&admin, &headers)?;
    let (done, answer) = oneshot::channel();
    let reload = &admin.parts.reload;
    let asking = async {
        reload.send(Reload { done }).await.ok()?;
        answer.await.ok()
    };
    match timeout(RELOAD, asking).await {
        Ok(Some(Ok(changes))) => {
            let detail = json!({"changes": changes});
            let (action, subject) = ("config.reload", "routing");
            let audit = operator.entry(action, subject, &detail, "in force");
            operator.told((action, subject), Ok(()))?;
            // The plan is in force already: that the audit cannot be kept is no reason to deny it.
            if changed(admin.parts.store.note(audit)).await.is_err() {
                tracing::warn!("a reload is in force that the audit does not have");
            }
            Ok(error::json(StatusCode::OK, &Reloaded { changes }))
        }
        Ok(Some(Err(why))) => Err(Refused::conflict(format!("nothing was changed: {why}"))),
        Ok(None) => Err(Refused::conflict("the daemon is going down")),
        Err(_) => Err(Refused::conflict(
            "the files are still being read; the log will say what came of it",
        )),
    }
}

/// The sender of the question, in the organisation's registered spelling, as a real send has it.
fn from(typed: Option<&str>, org: Option<&Organisation>) -> Result<Sender, Refused> {
    let registered = org
        .and_then(|org| org.senders.first())
        .map(|sender| &**sender);
    let text = typed.or(registered).unwrap_or(SENDER);
    let sender = Sender::parse(text).map_err(|error| Refused::invalid(error.to_string()))?;
    let approved = match org {
        Some(org) => org.approved(sender.as_str()),
        None => Some(sender.as_str()),
    };
    let approved = approved
        .ok_or_else(|| Refused::invalid("the sender is not approved for this organisation"))?;
    Sender::parse(approved).map_err(|error| Refused::invalid(error.to_string()))
}
