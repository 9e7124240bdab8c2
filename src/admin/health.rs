//! Lives here: whether traffic should come here: the rule of `/readyz` and its telling.
//! Never here: what to do about it.

use std::fmt::Write;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;

use super::{Admin, Shown};

/// `/readyz`: 200 or 503; with `?verbose` a line for each check.
pub(super) async fn ready(
    State(admin): State<Arc<Admin>>,
    RawQuery(query): RawQuery,
) -> (StatusCode, String) {
    let verbose = query.is_some_and(|query| {
        query
            .split('&')
            .any(|pair| pair.split('=').next() == Some("verbose"))
    });
    let (ready, told) = judge(&admin.parts);
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let word = if ready { "ready\n" } else { "not ready\n" };
    // Who is told "not ready" wants to know why in any case.
    (
        status,
        if verbose || !ready {
            format!("{told}{word}")
        } else {
            word.to_owned()
        },
    )
}

/// Ready is: not going down, commits work, and at least one bind is bound. A single account
/// without a bind is a warning: its messages wait, the others' go.
fn judge(parts: &Shown) -> (bool, String) {
    let mut told = String::new();
    let mut line = |mark: char, text: std::fmt::Arguments<'_>| {
        // Writing to a String cannot fail.
        let _ = writeln!(told, "[{mark}] {text}");
    };
    let draining = *parts.draining.borrow();
    if draining {
        line('-', format_args!("the daemon is shutting down"));
    } else {
        line('+', format_args!("running"));
    }
    let well = parts.store.health().is_well();
    if well {
        line('+', format_args!("the store commits"));
    } else {
        line(
            '-',
            format_args!("the store cannot commit; the log says why"),
        );
    }
    let mut bound_anywhere = false;
    for (index, (carrier, _)) in parts.lanes.iter().enumerate() {
        let (mut bound, mut all) = (0, 0);
        for bind in &parts.binds {
            let status = bind.view.borrow();
            if status.carrier.index() == index {
                all += 1;
                bound += u32::from(status.bound);
            }
        }
        bound_anywhere |= bound > 0;
        let mark = if bound > 0 { '+' } else { '!' };
        line(
            mark,
            format_args!("{carrier}: {bound} of {all} binds bound"),
        );
    }
    if !bound_anywhere {
        line('-', format_args!("no bind is bound; `ctl binds` says why"));
    }
    (!draining && well && bound_anywhere, told)
}
