//! Lives here: the simulated carrier: its configuration, its life and its figures.
//! Never here: load generation, or anything that knows the daemon.
//!
//! A [`Smsc`] is one SMPP server on loopback. It answers binds and submit_sm as its [`Script`] says and sends
//! receipts back on any receiver or transceiver bind of the same system_id. The script can be changed while it runs.

mod account;
mod connection;
mod delivery;
mod due;
mod observer;
mod receipts;
mod script;
mod segment;
mod throttle;

use std::{
    collections::HashMap,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use mnara_smpp::{
    server::Listener,
    session::SessionConfig,
    text::{Gsm7, ucs2_decode},
    transport::{Connection, TlsServer},
};
use serde::Deserialize;
use tokio::{
    sync::{Notify, watch},
    task::{JoinHandle, JoinSet},
};

use self::{account::Account, script::Live, throttle::Throttle};
use crate::wait::wait_on;

pub use observer::{Fate, LoggedSubmit, Observer, Submit, SubmitLog};
pub use script::{Presence, ReceiptForm, Receipts, Rule, Script, Span, Stat, Then, Weighted, When};

/// Pause after a failed accept, and while there is no listener.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Fixed properties of a simulator.
#[derive(Clone)]
pub struct SmscConfig {
    /// Port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// Serve TLS instead of plain TCP.
    pub tls: Option<TlsServer>,
    /// Our own name in bind responses, at most 15 octets.
    pub name: String,
    /// The only system_id let in; `None` lets in any.
    pub system_id: Option<String>,
    /// The only password let in; `None` lets in any.
    pub password: Option<String>,
    /// Binds open at once; further ones are refused with ESME_RALYBND.
    pub binds_max: usize,
    /// Unanswered deliver_sm per bind.
    pub receipt_window: usize,
    /// Receipts waiting for a bind, a slot or their time, per system_id; beyond it they are lost and counted.
    pub receipts_max: usize,
    /// How message ids are written.
    pub id_style: IdStyle,
    /// The first message id. `None` starts from the clock, so that a restarted simulator does not repeat its ids.
    pub id_start: Option<u64>,
    /// Seed of all draws (delays, probabilities, state mix).
    pub seed: u64,
    /// What to do.
    pub script: Script,
    /// Learns every submit and acknowledged receipt.
    pub observer: Option<Arc<dyn Observer>>,
}

/// How a simulator writes message ids in submit_sm_resp and in receipts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdStyle {
    /// Decimal in both, at least ten digits.
    #[default]
    Decimal,
    /// Upper-case hexadecimal in both.
    Hex,
    /// Hexadecimal in the response, decimal in the receipt.
    HexDecimal,
    /// Upper-case hexadecimal in the response, lower-case with leading zeros in the receipt.
    HexPadded,
    /// Hyphenated UUID in both.
    Uuid,
}

/// A running simulator. Dropping it ends its tasks; [`Smsc::shutdown`] also waits for them.
pub struct Smsc {
    addr: SocketAddr,
    shared: Arc<Shared>,
    control: watch::Sender<Control>,
    task: JoinHandle<()>,
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// Figures since the start.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Stats {
            $($(#[$doc])* pub $name: u64,)+
        }

        #[derive(Debug, Default)]
        struct Counters {
            $($name: AtomicU64,)+
        }

        impl Counters {
            fn snapshot(&self) -> Stats {
                Stats { $($name: self.$name.load(Ordering::Relaxed),)+ }
            }
        }
    };
}

counters! {
    /// TCP connections accepted.
    connections,
    /// Binds accepted.
    binds,
    /// Binds open now.
    binds_open,
    /// Binds refused.
    binds_refused,
    /// submit_sm read.
    submits,
    /// submit_sm answered, or to be answered, with ESME_ROK.
    accepted,
    /// submit_sm answered with an error status by a rule.
    refused,
    /// submit_sm refused by the rate limit.
    throttled,
    /// submit_sm that were never answered (dropped, disconnected, half-open).
    unanswered,
    /// submit_sm answered after a delay.
    held,
    /// The microseconds that they were held, together.
    held_us,
    /// deliver_sm written, repeats included.
    receipts_sent,
    /// deliver_sm answered with ESME_ROK.
    receipts_acknowledged,
    /// deliver_sm answered with an error status.
    receipts_refused,
    /// deliver_sm not answered (timeout or lost bind); they are sent again.
    receipts_in_doubt,
    /// Receipts given up: backlog full, refused for good, or sent too often.
    receipts_lost,
    /// Protocol notices about the peer.
    notices,
}

impl Default for SmscConfig {
    fn default() -> Self {
        Self {
            port: 0,
            tls: None,
            name: "smsc".to_owned(),
            system_id: None,
            password: None,
            binds_max: 64,
            receipt_window: 200,
            receipts_max: 1_000_000,
            id_style: IdStyle::Decimal,
            id_start: None,
            seed: 1,
            script: Script::default(),
            observer: None,
        }
    }
}

impl Smsc {
    /// Binds 127.0.0.1 and begins to serve.
    ///
    /// # Errors
    /// When the port cannot be bound.
    pub async fn start(config: SmscConfig) -> io::Result<Self> {
        let listener = Listener::bind(
            SocketAddr::from((Ipv4Addr::LOCALHOST, config.port)),
            config.tls.clone(),
        )
        .await?;
        let addr = listener.local_addr()?;
        let (control, controlled) = watch::channel(Control::Run);
        let shared = Arc::new(Shared {
            next_id: AtomicU64::new(config.id_start.unwrap_or_else(first_id)),
            epoch: Instant::now(),
            counters: Counters::default(),
            throttle: Throttle::new(),
            live: RwLock::new(Arc::new(Live::new(config.script.clone()))),
            version: AtomicU64::new(0),
            accounts: Mutex::new(HashMap::new()),
            changed: Notify::new(),
            config,
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared), controlled));
        Ok(Self {
            addr,
            shared,
            control,
            task,
        })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Figures so far.
    pub fn stats(&self) -> Stats {
        self.shared.counters.snapshot()
    }

    /// Receipts that wait for their time, a bind or a window slot, over all system_ids.
    pub fn receipts_waiting(&self) -> usize {
        let accounts = self
            .shared
            .accounts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        accounts.values().map(|account| account.len()).sum()
    }

    /// The script in force.
    pub fn script(&self) -> Script {
        self.shared
            .live
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .script
            .clone()
    }

    /// Replaces the script; it holds from each connection's next batch of PDUs on. Rule counters start anew.
    pub fn set_script(&self, script: Script) {
        let presence = script.presence;
        let live = Arc::new(Live::new(script));
        let before = std::mem::replace(
            &mut *self
                .shared
                .live
                .write()
                .unwrap_or_else(PoisonError::into_inner),
            live,
        );
        self.shared.version.fetch_add(1, Ordering::Release);
        if before.script.presence != presence {
            self.command(match presence {
                Presence::Up => Control::Run,
                Presence::Hung => Control::HalfOpen,
                Presence::Down => Control::Down,
            });
        }
    }

    /// Goes away, hangs or comes back, and leaves the rest of the script.
    pub fn set_presence(&self, presence: Presence) {
        self.set_script(Script {
            presence,
            ..self.script()
        });
    }

    /// Replaces the rules and leaves the rest of the script.
    pub fn set_rules(&self, rules: Vec<Rule>) {
        self.set_script(Script {
            rules,
            ..self.script()
        });
    }

    /// Cuts every connection that is open now.
    pub fn disconnect_all(&self) {
        self.command(Control::Disconnect);
    }

    /// Makes every connection that is open now go silent: nothing is read or answered, nothing is closed.
    pub fn half_open_all(&self) {
        self.command(Control::HalfOpen);
    }

    /// Waits until `condition` holds; false when `limit` is over first. It is checked after each batch of PDUs.
    pub async fn wait_until(&self, limit: Duration, condition: impl Fn(&Stats) -> bool) -> bool {
        wait_on(&self.shared.changed, limit, || condition(&self.stats())).await
    }

    /// Stops listening, cuts all connections and waits for the tasks.
    pub async fn shutdown(self) {
        self.command(Control::Stop);
        // A failed join is a panic of the task, which the runtime has reported already.
        let _ = self.task.await;
    }

    fn command(&self, control: Control) {
        // Without a receiver the accept loop is gone and there is nothing to command.
        let _ = self.control.send(control);
    }
}

/// What all connections of one simulator share.
struct Shared {
    config: SmscConfig,
    next_id: AtomicU64,
    epoch: Instant,
    counters: Counters,
    throttle: Throttle,
    live: RwLock<Arc<Live>>,
    /// Counts replacements of `live`, so that a connection looks at the lock only when there was one.
    version: AtomicU64,
    accounts: Mutex<HashMap<String, Arc<Account>>>,
    /// Notified after each batch.
    changed: Notify,
}

/// The last command to all connections. A connection acts on commands sent after it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Control {
    Run,
    Disconnect,
    HalfOpen,
    Down,
    Stop,
}

impl Shared {
    fn presence(&self) -> Presence {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        live.script.presence
    }

    fn account(&self, system_id: &str) -> Arc<Account> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(
            accounts
                .entry(system_id.to_owned())
                .or_insert_with(|| Arc::new(Account::new())),
        )
    }

    /// Milliseconds since the start, rounded down: what is due at tick n is sent at n or later.
    fn tick(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.epoch).as_millis()).unwrap_or(u64::MAX)
    }

    /// The first tick that is not before `at`.
    fn tick_after(&self, at: Instant) -> u64 {
        self.tick(at + Duration::from_nanos(999_999))
    }
}

async fn accept(listener: Listener, shared: Arc<Shared>, mut control: watch::Receiver<Control>) {
    let addr = listener.local_addr();
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    let mut number = 0;
    loop {
        // next may be dropped halfway: a connection stays in the backlog, a pause begins anew.
        tokio::select! {
            changed = control.changed() => {
                if changed.is_err() || *control.borrow_and_update() == Control::Stop {
                    break;
                }
            }
            connection = next(listener.as_ref(), &shared) => {
                if let Some(connection) = connection {
                    number += 1;
                    shared.counters.connections.fetch_add(1, Ordering::Relaxed);
                    let mut control = control.clone();
                    control.mark_unchanged();
                    connections.spawn(connection::serve(connection, Arc::clone(&shared), control, number));
                }
                while connections.try_join_next().is_some() {}
            }
        }
        match (shared.presence(), &listener, &addr) {
            (Presence::Down, ..) => listener = None,
            // A port that cannot be had yet is asked for again after the pause of `next`.
            (Presence::Up | Presence::Hung, None, Ok(addr)) => {
                listener = Listener::bind(addr, shared.config.tls.clone()).await.ok();
            }
            (Presence::Up | Presence::Hung, ..) => {}
        }
    }
    drop(listener);
    connections.shutdown().await;
}

/// The next connection; `None` after a pause, when there is no listener or it failed.
async fn next(
    listener: Option<&Listener>,
    shared: &Shared,
) -> Option<Connection<connection::Token>> {
    if let Some(listener) = listener {
        let session = SessionConfig {
            window: shared.config.receipt_window,
            late_max: 0,
            ..SessionConfig::smsc()
        };
        if let Ok((connection, _)) = listener.accept(session).await {
            return Some(connection);
        }
        // Out of file descriptors, most likely: asking again at once would only burn the processor.
    }
    tokio::time::sleep(ACCEPT_PAUSE).await;
    None
}

/// Ids of two simulators must not meet even when both stand for one carrier, nor those of a simulator and its
/// successor: microseconds since 1970 (16 digits), and a number of the simulator within this process before them.
fn first_id() -> u64 {
    static STARTED: AtomicU64 = AtomicU64::new(0);
    let micros = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_micros();
    let instance = STARTED.fetch_add(1, Ordering::Relaxed) % 900;
    u64::try_from(micros).unwrap_or(0) % 10_000_000_000_000_000 + instance * 10_000_000_000_000_000
}

/// Message text as a person reads it: UCS-2 for data_coding 8, GSM 03.38 for all else.
fn decode_text(data_coding: u8, text: &[u8]) -> String {
    if data_coding == 0x08 {
        ucs2_decode(text)
    } else {
        Gsm7::DEFAULT.decode(text)
    }
}

#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod tests;
