//! Lives here: the operators' listener: metrics, liveness and readiness, and the endpoints that
//! `ctl` uses. It has its own socket so that it answers while the API is overloaded.
//! Never here: customers' requests, SQL, what the numbers mean.

mod audit;
mod binds;
mod broom;
mod carriers;
mod credits;
mod erase;
mod error;
mod find;
mod health;
mod holds;
mod jobs;
mod keys;
mod learn;
mod messages;
mod people;
mod queue;
mod receipts;
mod request;
mod routes;
mod server;
mod sweep;
mod users;
mod waiting;
mod webhooks;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, middleware};
use metrics_exporter_prometheus::PrometheusHandle;
use mnara_smpp::receipt::IdDialect;
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

pub use self::holds::Holds;
use crate::bulk::Bulk;
use crate::domain::ids::CarrierId;
use crate::flow::Steer;
use crate::flow::bind::BindHandle;
use crate::flow::health::Health;
use crate::flow::lane::Lanes;
use crate::flow::routes::{Reload, Routes};
use crate::store::Store;
use crate::tokens::Tokens;
use crate::webhooks::Trials;

/// Octets of a body at most.
const BODY_MAX: usize = 64 * 1024;

/// The listener's own configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it listens: a loopback or management address.
    pub listen: SocketAddr,
    /// What `/admin/v1/` wants as `Authorization: Bearer`; empty = those endpoints refuse all.
    pub token: SecretString,
}

/// What the listener shows and works on.
pub struct Parts {
    /// For organisations, keys and what waits.
    pub store: Store,
    /// What tries webhook endpoints.
    pub trials: Arc<Trials>,
    /// Renders the metrics page.
    pub metrics: PrometheusHandle,
    /// Every bind: its last word about itself, and the way to it.
    pub binds: Vec<BindHandle>,
    /// The accounts with their lanes, in configuration order.
    pub lanes: Vec<(CarrierId, Arc<Lanes>)>,
    /// The accounts' present rules for message ids.
    pub dialects: Vec<IdDialect>,
    /// How the accounts stand.
    pub health: Arc<Health>,
    /// To `feed`: lanes are recalled before what waits in them is changed.
    pub steer: mpsc::Sender<Steer>,
    /// What operators hold; already in force.
    pub holds: Holds,
    /// Whether the daemon is going down.
    pub draining: watch::Receiver<bool>,
    /// The plans in force.
    pub routes: Arc<Routes>,
    /// To the task that reads the configuration again.
    pub reload: mpsc::Sender<Reload>,
    /// What signs users' tokens, if any are accepted.
    pub tokens: Option<Arc<Tokens>>,
    /// Bulk jobs.
    pub bulk: Bulk,
}

/// What the handlers share.
struct Admin {
    token: SecretString,
    parts: Shown,
    holds: holds::Hand,
    sweeping: sweep::Sweeping,
    sweeper: Arc<sweep::Sweeper>,
    wishes: binds::Wishes,
}

/// What the handlers look at: [`Parts`] without what has become tasks.
struct Shown {
    store: Store,
    trials: Arc<Trials>,
    metrics: PrometheusHandle,
    binds: Vec<BindHandle>,
    lanes: Vec<(CarrierId, Arc<Lanes>)>,
    dialects: Vec<IdDialect>,
    health: Arc<Health>,
    draining: watch::Receiver<bool>,
    routes: Arc<Routes>,
    reload: mpsc::Sender<Reload>,
    tokens: Option<Arc<Tokens>>,
    bulk: Bulk,
}

/// Serves the listener until `stop`, then lets running requests finish and returns.
pub async fn serve(listener: TcpListener, config: Config, parts: Parts, stop: CancellationToken) {
    let (router, tasks) = router(config.token, parts, &stop);
    // The tasks end by the same word.
    tokio::join!(server::run(listener, router, stop), tasks);
}

/// The routes, and the task behind them, which ends by `stop`.
fn router(
    token: SecretString,
    parts: Parts,
    stop: &CancellationToken,
) -> (Router, impl Future<Output = ()> + use<>) {
    let (holds, keeping) = parts.holds.split(stop.clone());
    let sweeper = Arc::new(sweep::Sweeper {
        store: parts.store.clone(),
        accounts: parts.lanes.iter().map(|(id, _)| id.clone()).collect(),
        binds: parts.binds.iter().map(|bind| bind.view.clone()).collect(),
        holds: holds.clone(),
        steer: parts.steer,
    });
    let (sweeping, working) = Arc::clone(&sweeper).split(stop.clone());
    let admin = Admin {
        token,
        parts: Shown {
            store: parts.store,
            trials: parts.trials,
            metrics: parts.metrics,
            binds: parts.binds,
            lanes: parts.lanes,
            dialects: parts.dialects,
            health: parts.health,
            draining: parts.draining,
            routes: parts.routes,
            reload: parts.reload,
            tokens: parts.tokens,
            bulk: parts.bulk,
        },
        holds,
        sweeping,
        sweeper,
        wishes: binds::Wishes::default(),
    };
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(health::ready))
        .route("/admin/v1/orgs", get(people::list).post(people::create))
        .route("/admin/v1/orgs/show", get(people::show))
        .route("/admin/v1/keys", get(keys::list).post(keys::create))
        .route("/admin/v1/keys/{id}", get(keys::show))
        .route("/admin/v1/keys/{id}/rotate", post(keys::rotate))
        .route("/admin/v1/keys/{id}/revoke", post(keys::revoke))
        .route("/admin/v1/users", get(users::list).post(users::create))
        .route("/admin/v1/users/remove", post(users::remove))
        .route("/admin/v1/users/token", post(users::token))
        .route("/admin/v1/credits", get(credits::show).post(credits::buy))
        .route("/admin/v1/credits/threshold", post(credits::threshold))
        .route("/admin/v1/credits/verify", get(credits::verify))
        .route(
            "/admin/v1/prices",
            get(credits::prices).post(credits::set_price),
        )
        .route("/admin/v1/webhooks/endpoints", get(webhooks::endpoints))
        .route("/admin/v1/webhooks/endpoints/{id}", post(webhooks::switch))
        .route(
            "/admin/v1/webhooks/endpoints/{id}/test",
            post(webhooks::try_out),
        )
        .route("/admin/v1/webhooks/deliveries", get(webhooks::deliveries))
        .route("/admin/v1/webhooks/replay", post(webhooks::replay))
        .route("/admin/v1/binds", get(binds::list).post(binds::command))
        .route(
            "/admin/v1/carriers",
            get(carriers::list).post(carriers::hold),
        )
        .route("/admin/v1/queue", get(queue::show))
        .route("/admin/v1/queue/purge", post(broom::purge))
        .route("/admin/v1/queue/reroute", post(broom::reroute))
        .route("/admin/v1/messages", get(find::find))
        .route("/admin/v1/messages/{id}", get(messages::trace))
        .route("/admin/v1/messages/{id}/cancel", post(messages::cancel))
        .route("/admin/v1/messages/{id}/resend", post(messages::resend))
        .route("/admin/v1/carriers/learn-ids", get(learn::ids))
        .route("/admin/v1/jobs", get(jobs::list))
        .route("/admin/v1/jobs/{id}", get(jobs::show))
        .route("/admin/v1/jobs/{id}/{what}", post(jobs::change))
        .route("/admin/v1/receipts", get(receipts::list))
        .route("/admin/v1/receipts/replay", post(receipts::replay))
        .route("/admin/v1/receipts/drop", post(receipts::discard))
        .route("/admin/v1/erase", post(erase::erase))
        .route("/admin/v1/audit", get(audit::list))
        .route("/admin/v1/routes/explain", get(routes::explain))
        .route("/admin/v1/reload", post(routes::reload))
        .fallback(error::not_found)
        .method_not_allowed_fallback(error::not_allowed)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(middleware::from_fn(request::without_nul))
        .with_state(Arc::new(admin));
    let tasks = async {
        tokio::join!(keeping, working);
    };
    (router, tasks)
}

async fn metrics(State(admin): State<Arc<Admin>>) -> Response {
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], admin.parts.metrics.render()).into_response()
}

#[cfg(test)]
mod tests;
