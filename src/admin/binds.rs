//! Lives here: the binds, told.
//! Never here: what their states mean (`carrier`).

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Serialize;

use super::Admin;
use super::error::{Refused, json};
use super::request::Operator;
use crate::flow::bind::BindHandle;

#[derive(Serialize)]
struct Binds {
    binds: Vec<BindRow>,
}

#[derive(Serialize)]
struct BindRow {
    carrier: String,
    bind: String,
    state: &'static str,
    bound: bool,
    in_flight: u32,
    window: u32,
    last_error: Option<Box<str>>,
}

/// `GET /admin/v1/binds`.
pub(super) async fn list(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    Operator::admit(&admin, &headers)?;
    let row = |bind: &BindHandle| {
        let status = bind.view.borrow();
        let carrier = admin.parts.lanes.get(status.carrier.index());
        BindRow {
            carrier: carrier.map_or_else(String::new, |(id, _)| id.to_string()),
            bind: status.bind.to_string(),
            state: status.state,
            bound: status.bound,
            in_flight: status.in_flight,
            window: status.window,
            last_error: status.last_error.clone(),
        }
    };
    let binds = admin.parts.binds.iter().map(row).collect();
    Ok(json(StatusCode::OK, &Binds { binds }))
}
