//! Lives here: the carrier accounts and their binds: pulling from lanes, pacing, the sessions,
//! reconnecting; what goes out and comes in is translated at this edge.
//! Never here: HTTP, SQL, what an outcome means for its message.

mod backoff;
mod bind;
mod dial;
mod inward;
mod live;
mod pace;
mod pool;
pub mod profile;
mod pull;
mod rate;
pub mod sandbox;
mod signs;
mod stage;
mod throttle;
mod translate;
mod write;

use std::sync::Arc;
use std::time::Duration;

use mnara_smpp::transport::TlsClient;
use secrecy::SecretString;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::pool::Pool;
use self::profile::Profile;
use self::rate::{Gcra, Slots};
use crate::domain::class::ClassSet;
use crate::domain::ids::{BindName, CarrierId, CarrierIndex, NetworkId};
use crate::domain::time::Timestamp;
use crate::flow::bind::{BindHandle, BindStatus};
use crate::flow::lane::Lanes;
use crate::flow::signs::Signs;
use crate::flow::{Outcome, ReceiptArrived};
use crate::store::Store;

/// Wishes of operators that may wait for a bind; full: the operator is told to try again.
const COMMANDS: usize = 8;

/// The largest window of a bind.
pub const WINDOW_MAX: usize = 10_000;

/// One account with one operator.
#[derive(Clone, Debug)]
pub struct AccountConfig {
    /// Its id.
    pub id: CarrierId,
    /// The network it belongs to.
    pub network: NetworkId,
    /// Segments a second over all its binds.
    pub max_tps: u32,
    /// Of these, how many may leave at once: the pace is then `max_tps - (burst - 1)`, so that no
    /// sliding second holds more than `max_tps`. `None` = 3 % of it and one.
    pub burst: Option<u32>,
    /// Segments that may await their answer over all its binds; `None` = the binds' windows only.
    pub window: Option<usize>,
    /// Sessions that the carrier allows, over all its binds; `None` = one for each bind.
    pub binds_max: Option<u32>,
    /// In what this carrier differs from others: the built-in default, the named profile and the
    /// account's own keys, one over the other.
    pub profile: Arc<Profile>,
    /// Its binds, one entry for each block of the configuration.
    pub binds: Vec<BindConfig>,
}

/// A number of equal binds.
#[derive(Clone)]
pub struct BindConfig {
    /// Names or addresses with their ports, at least one; each is tried when those before it cannot
    /// be connected to.
    pub hosts: Vec<(String, u16)>,
    /// With TLS or plain.
    pub tls: Option<TlsClient>,
    /// At most 15 octets.
    pub system_id: String,
    /// At most 8 octets (SMPP 4.1.1).
    pub password: SecretString,
    /// At most 12 octets.
    pub system_type: String,
    /// What it may carry.
    pub mode: Mode,
    /// How many of these.
    pub count: u32,
    /// Segments that may await their answer.
    pub window: usize,
    /// Segments a second of one bind; `None` = only the account's limit.
    pub max_tps: Option<u32>,
    /// As the account's, for `max_tps` of one bind.
    pub burst: Option<u32>,
    /// The classes it carries.
    pub classes: ClassSet,
    /// How long a fresh session's pace rises, from a tenth of it; zero = not at all.
    pub warm_up: Duration,
    /// How long a submit_sm may stay unanswered before it is in doubt.
    pub response_timeout: Duration,
    /// Idle time after which the link is checked.
    pub enquire_link_interval: Duration,
    /// For connecting and for the bind's answer, each.
    pub connect_timeout: Duration,
}

impl std::fmt::Debug for BindConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BindConfig")
            .field("hosts", &self.hosts)
            .field("system_id", &self.system_id)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

/// The kind of bind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Submits only.
    Transmitter,
    /// Receipts only.
    Receiver,
    /// Both.
    Transceiver,
}

/// What all binds share.
#[derive(Clone, Debug)]
pub struct Config {
    /// Share of each window, in percent, that only OTP may use.
    pub otp_reserve_percent: u8,
    /// A class that has waited for this many segments of others on a bind has one turn; 0 = never.
    pub promotional_floor: u32,
    /// Connections that all binds together open in a second.
    pub connects_per_s: u32,
    /// deliver_sm of one bind that may wait for their commit; more are sent back for redelivery.
    pub receipts_max: usize,
    /// How long a bind may finish its window at shutdown.
    pub drain_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            otp_reserve_percent: 10,
            promotional_floor: 20,
            connects_per_s: 50,
            receipts_max: 1024,
            drain_timeout: Duration::from_secs(20),
        }
    }
}

/// Where binds get from and give to.
#[derive(Clone)]
pub struct Links {
    /// For intents.
    pub store: Store,
    /// To the scheduler's `settle`.
    pub outcomes: mpsc::Sender<Vec<Outcome>>,
    /// To `inbound`.
    pub receipts: mpsc::Sender<ReceiptArrived>,
    /// To `scheduler::health`.
    pub signs: Signs,
    /// The wall clock.
    pub now: fn() -> Timestamp,
}

/// One bind, before its task runs.
struct Seat {
    account: Arc<Account>,
    config: BindConfig,
    name: BindName,
    /// Its place among the account's binds, for the lanes' bell.
    place: usize,
}

/// What an account's binds share.
struct Account {
    config: AccountConfig,
    index: CarrierIndex,
    lanes: Arc<Lanes>,
    rate: Gcra,
    /// Its window, if it has one of its own.
    slots: Option<Slots>,
    pool: Pool,
}

/// The number of binds that an account opens.
pub fn bind_count(account: &AccountConfig) -> usize {
    account.binds.iter().map(|bind| bind.count as usize).sum()
}

/// Starts every bind's task in `tasks`; they end after `stop`, when their windows are empty or
/// the drain time is over. Returns a handle of each bind.
pub fn start(
    tasks: &mut JoinSet<()>,
    config: &Config,
    accounts: &[(AccountConfig, Arc<Lanes>)],
    links: &Links,
    stop: &CancellationToken,
) -> Vec<BindHandle> {
    let mut handles = Vec::new();
    // A few at once: a small daemon is there at once, and a thousand binds are still spread.
    let at_once = 1 + config.connects_per_s / 5;
    let connects = Arc::new(Gcra::new(config.connects_per_s, Some(at_once)));
    for (index, (account, lanes)) in accounts.iter().enumerate() {
        let account = Arc::new(Account {
            rate: Gcra::new(account.max_tps, account.burst),
            slots: account
                .window
                .map(|window| Slots::new(window, config.otp_reserve_percent)),
            pool: Pool::new(account.binds_max, Arc::clone(&connects)),
            config: account.clone(),
            index: CarrierIndex(index as u16),
            lanes: Arc::clone(lanes),
        });
        let binds = account
            .config
            .binds
            .iter()
            .flat_map(|bind| (0..bind.count).map(move |_| bind));
        for (place, bind) in binds.enumerate() {
            let seat = Seat {
                account: Arc::clone(&account),
                config: bind.clone(),
                name: BindName(format!("{}/{}", account.config.id, place + 1).into()),
                place,
            };
            let (tell, view) = watch::channel(seat.status((links.now)()));
            let (commands, wanted) = mpsc::channel(COMMANDS);
            handles.push(BindHandle { view, commands });
            tasks.spawn(bind::run(
                seat,
                config.clone(),
                links.clone(),
                (tell, wanted),
                stop.clone(),
            ));
        }
    }
    handles
}

impl Seat {
    /// What there is to say before it has done anything.
    fn status(&self, now: Timestamp) -> BindStatus {
        let tps = self.config.tps(&self.account.config);
        BindStatus {
            state: bind::CONNECTING,
            since: now,
            submits: self.config.mode != Mode::Receiver,
            classes: self.config.classes,
            window: self.config.window as u32,
            tps_allowed: tps,
            tps_limit: tps,
            ..BindStatus::new(self.account.index, self.name.clone())
        }
    }
}

impl BindConfig {
    /// Segments a second of one bind.
    fn tps(&self, account: &AccountConfig) -> u32 {
        self.max_tps.unwrap_or(account.max_tps)
    }
}

#[cfg(test)]
mod tests;
