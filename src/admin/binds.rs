//! Lives here: the binds, told, and the operator's hand on each: up, down, rebind, pace, window.
//! Never here: what a bind does with a command (`carrier`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Admin;
use super::error::{self, Refused};
use super::request::{Body, Done, Operator, changed, read, reason, told};
use crate::domain::class::Class;
use crate::domain::ids::BindName;
use crate::flow::bind::{BindCommand, BindHandle};

/// As the configuration has it.
const TPS_MAX: u32 = 1_000_000;
const WINDOW_MAX: u32 = 10_000;

#[derive(Serialize)]
struct Binds {
    binds: Vec<BindRow>,
}

#[derive(Serialize)]
struct BindRow {
    carrier: String,
    bind: String,
    state: &'static str,
    since: Option<String>,
    bound: bool,
    host: Box<str>,
    classes: Vec<&'static str>,
    in_flight: u32,
    window: u32,
    /// Segments taken in the last second.
    tps: u32,
    /// Segments a second that it allows itself now.
    tps_allowed: u32,
    tps_limit: u32,
    /// How often the carrier has said "slower".
    throttled: u64,
    /// What operators have set; it is gone with the next start.
    until_restart: Option<String>,
    last_error: Option<Box<str>>,
}

/// What operators have set beside the configuration, by bind.
#[derive(Default)]
pub(super) struct Wishes(Mutex<HashMap<BindName, Wish>>);

#[derive(Clone, Copy, Default)]
struct Wish {
    down: bool,
    tps: Option<u32>,
    window: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    bind: String,
    command: Command,
    /// For set_tps and set_window; without it as configured.
    value: Option<u32>,
    reason: Option<String>,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Command {
    Up,
    Down,
    Rebind,
    SetTps,
    SetWindow,
}

impl Wishes {
    // A panic leaves no wish half written: they are replaced whole.
    fn lock(&self) -> MutexGuard<'_, HashMap<BindName, Wish>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn told(&self, bind: &BindName) -> Option<String> {
        let wish = self.lock().get(bind).copied().unwrap_or_default();
        let parts = [
            wish.down.then(|| "down".to_owned()),
            wish.tps.map(|tps| format!("tps {tps}")),
            wish.window.map(|window| format!("window {window}")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }

    /// Remembers a wish; returns what stood before.
    fn note(&self, bind: &BindName, command: Command, value: Option<u32>) -> Wish {
        let mut wishes = self.lock();
        let wish = wishes.entry(bind.clone()).or_default();
        let former = *wish;
        match command {
            Command::Up | Command::Rebind => wish.down = false,
            Command::Down => wish.down = true,
            Command::SetTps => wish.tps = value,
            Command::SetWindow => wish.window = value,
        }
        former
    }
}

impl Command {
    fn order(self, value: Option<u32>) -> BindCommand {
        match self {
            Self::Up => BindCommand::Up,
            Self::Down => BindCommand::Down,
            Self::Rebind => BindCommand::Rebind,
            Self::SetTps => BindCommand::SetTps(value),
            Self::SetWindow => BindCommand::SetWindow(value.map(|value| value as usize)),
        }
    }

    const fn action(self) -> &'static str {
        match self {
            Self::Up => "binds.up",
            Self::Down => "binds.down",
            Self::Rebind => "binds.rebind",
            Self::SetTps => "binds.set-tps",
            Self::SetWindow => "binds.set-window",
        }
    }

    fn outcome(self, value: Option<u32>) -> String {
        let value = |unit: &str| match value {
            Some(value) => format!("{value} {unit} until restart"),
            None => "as configured".to_owned(),
        };
        match self {
            Self::Up => "binds again and stays bound".into(),
            Self::Down => "finishes its window, unbinds and stays away until restart".into(),
            Self::Rebind => "finishes its window, unbinds and binds anew".into(),
            Self::SetTps => format!("pace: {}", value("segments a second")),
            Self::SetWindow => format!("window: {}", value("segments")),
        }
    }

    /// The command that brings back what stood before; `None` = that is what stands.
    fn undo(self, value: Option<u32>, bind: &BindName, former: Wish) -> Option<String> {
        let (set, before) = match self {
            Self::Up | Self::Rebind => {
                return former.down.then(|| format!("mnara ctl binds down {bind}"));
            }
            Self::Down => {
                return (!former.down).then(|| format!("mnara ctl binds up {bind}"));
            }
            Self::SetTps => ("set-tps", former.tps),
            Self::SetWindow => ("set-window", former.window),
        };
        let before = (before != value).then_some(before)?;
        let before = before.map_or_else(|| "default".to_owned(), |value| value.to_string());
        Some(format!("mnara ctl binds {set} {bind} {before}"))
    }

    fn check(self, value: Option<u32>) -> Result<(), Refused> {
        let most = match self {
            Self::SetTps => TPS_MAX,
            Self::SetWindow => WINDOW_MAX,
            Self::Up | Self::Down | Self::Rebind if value.is_some() => {
                return Err(Refused::invalid("value goes with set_tps and set_window"));
            }
            Self::Up | Self::Down | Self::Rebind => return Ok(()),
        };
        if value.is_none_or(|value| (1..=most).contains(&value)) {
            Ok(())
        } else {
            Err(Refused::invalid(format!("value must be 1 to {most}")))
        }
    }
}

/// `GET /admin/v1/binds`.
pub(super) async fn list(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    Operator::admit(&admin, &headers)?;
    let row = |bind: &BindHandle| {
        let status = bind.view.borrow().clone();
        let carrier = admin.parts.lanes.get(status.carrier.index());
        let classes = Class::ALL.into_iter();
        BindRow {
            carrier: carrier.map_or_else(String::new, |(id, _)| id.to_string()),
            until_restart: admin.wishes.told(&status.bind),
            bind: status.bind.to_string(),
            state: status.state,
            since: (status.since.0 > 0).then(|| told(status.since)),
            bound: status.bound,
            host: status.host,
            classes: classes
                .filter(|class| status.classes.contains(*class))
                .map(Class::name)
                .collect(),
            in_flight: status.in_flight,
            window: status.window,
            tps: status.tps,
            tps_allowed: status.tps_allowed,
            tps_limit: status.tps_limit,
            throttled: status.throttled,
            last_error: status.last_error,
        }
    };
    let binds = admin.parts.binds.iter().map(row).collect();
    Ok(error::json(StatusCode::OK, &Binds { binds }))
}

/// `POST /admin/v1/binds`: in force until the daemon ends.
pub(super) async fn command(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let operator = Operator::admit(&admin, &headers)?;
    let Wanted {
        bind,
        command,
        value,
        reason: why,
        dry_run,
    } = read(body)?;
    let why = why.as_deref().map(reason).transpose()?;
    command.check(value)?;
    let found = admin.parts.binds.iter().find_map(|handle| {
        let name = handle.view.borrow().bind.clone();
        (*name.0 == *bind.trim()).then_some((handle, name))
    });
    let (handle, name) = found.ok_or_else(|| {
        Refused::missing(format!(
            "there is no bind {bind}; `mnara ctl binds` lists them"
        ))
    })?;
    let outcome = format!("{name}: {}", command.outcome(value));
    if dry_run {
        return Ok(Done::would(outcome).answer());
    }
    // The place is taken first: what stands in the audit happens.
    let place = handle.commands.try_reserve().map_err(|_| {
        Refused::conflict("the bind has not looked at the last commands yet; try again")
    })?;
    let detail = json!({"reason": why, "value": value});
    let audit = operator.entry(command.action(), &name.0, &detail, &command.outcome(value));
    let noted = changed(admin.parts.store.note(audit)).await;
    let noted = noted.map_err(Refused::but_for_the_audit);
    operator.told((command.action(), &name.0), noted)?;
    place.send(command.order(value));
    let former = admin.wishes.note(&name, command, value);
    Ok(Done::new(outcome, command.undo(value, &name, former)).answer())
}
