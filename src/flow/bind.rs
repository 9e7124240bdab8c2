//! Lives here: a bind as others see it: how it stands, and what an operator wants of it.
//! Never here: what a bind does (`carrier`).

use tokio::sync::{mpsc, watch};

use crate::domain::class::ClassSet;
use crate::domain::ids::{BindName, CarrierIndex};
use crate::domain::time::Timestamp;

/// What an operator wants of one bind; in force until the daemon ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindCommand {
    /// Stay bound (the usual state).
    Up,
    /// Finish the window, unbind and stay away.
    Down,
    /// Finish the window, unbind and bind anew at once.
    Rebind,
    /// Segments a second of this bind; `None` = as configured.
    SetTps(Option<u32>),
    /// Segments that may await their answer; `None` = as configured.
    SetWindow(Option<usize>),
}

/// An operator's way to one bind.
#[derive(Clone, Debug)]
pub struct BindHandle {
    /// The bind, as it describes itself.
    pub view: watch::Receiver<BindStatus>,
    /// What is wanted of it. Full: it has not looked at the last wishes yet, try again.
    pub commands: mpsc::Sender<BindCommand>,
}

/// One line of `ctl binds`: a bind as its task last described itself.
#[derive(Clone, Debug)]
pub struct BindStatus {
    /// Its account.
    pub carrier: CarrierIndex,
    /// Its name.
    pub bind: BindName,
    /// `waiting` (for its turn to connect), `connecting`, `bound`, `backing_off`, `unbinding`,
    /// `down` (an operator wants it so), `closed`.
    pub state: &'static str,
    /// Since when.
    pub since: Timestamp,
    /// Whether its session stands.
    pub bound: bool,
    /// Whether it is of a kind that submits: not a receiver.
    pub submits: bool,
    /// What it carries.
    pub classes: ClassSet,
    /// Where its last session went, `host:port`; empty before the first.
    pub host: Box<str>,
    /// Segments awaiting their answer.
    pub in_flight: u32,
    /// Its window.
    pub window: u32,
    /// Segments that the carrier took in the last second of its session.
    pub tps: u32,
    /// Segments a second that it allows itself now: never more than the limit.
    pub tps_allowed: u32,
    /// Its limit.
    pub tps_limit: u32,
    /// Whether the carrier has said "slower" and the pace is not back yet. The pace is under the
    /// limit without that, too: by its burst, and while a session warms up.
    pub slowed: bool,
    /// How often the carrier has said "slower".
    pub throttled: u64,
    /// Why it last ended, if it did.
    pub last_error: Option<Box<str>>,
}

impl BindStatus {
    /// A bind that has done nothing yet.
    pub fn new(carrier: CarrierIndex, bind: BindName) -> Self {
        Self {
            carrier,
            bind,
            state: "connecting",
            since: Timestamp(0),
            bound: false,
            submits: true,
            classes: ClassSet::ALL,
            host: "".into(),
            in_flight: 0,
            window: 0,
            tps: 0,
            tps_allowed: 0,
            tps_limit: 0,
            slowed: false,
            throttled: 0,
            last_error: None,
        }
    }
}
