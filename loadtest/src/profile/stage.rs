//! Lives here: everything a profile runs on: the daemon, its simulators, the webhook listener, the ledger; started,
//! waited for, stopped. Never here: what a profile does with them.

use std::{
    io,
    net::SocketAddr,
    ops::Range,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    task::JoinHandle,
    time::{interval, sleep},
};

use super::{
    ProfileError,
    daemon::{Daemon, Org, free_port},
    files::{Account, CREDENTIALS, config_text},
    proc,
    store::Store,
};
use crate::{
    hook::{Counts, HookConfig, Receiver},
    ledger::{Ledger, Totals},
    smsc::{IdStyle, Script, Smsc, SmscConfig},
};

/// Binds have this long to come up after /readyz.
pub(super) const BINDS_MAX: Duration = Duration::from_secs(20);

/// Messages in motion may stand still this long before they count as lost.
pub(super) const STALL_MAX: Duration = Duration::from_secs(20);

/// After everything has arrived, late duplicates have this long to show up.
const QUIET: Duration = Duration::from_millis(500);

/// How often the daemon's memory is looked at.
const MEMORY_EVERY: Duration = Duration::from_millis(100);

/// What a profile needs.
pub(super) struct Setup {
    /// Accounts with the carrier of each, in order of the configuration.
    pub(super) sites: Vec<Site>,
    /// Markers that will be used: `0..markers`.
    pub(super) markers: u64,
    /// The profile is given up after this.
    pub(super) limit: Duration,
}

/// An account and the carrier behind it.
pub(super) struct Site {
    pub(super) account: Account,
    pub(super) script: Script,
    pub(super) id_style: IdStyle,
}

impl Site {
    pub(super) fn new(account: Account, script: Script) -> Self {
        Self {
            account,
            script,
            id_style: IdStyle::default(),
        }
    }
}

/// Where progress is told.
pub(super) type Progress<'a> = &'a (dyn Fn(&str) + Sync);

/// What runs.
pub(super) struct Stage<'a> {
    pub(super) ledger: Arc<Ledger>,
    /// In the order of the sites.
    pub(super) smscs: Vec<Smsc>,
    pub(super) hook: Receiver,
    pub(super) daemon: Daemon,
    /// Where the API listens.
    pub(super) api: SocketAddr,
    pub(super) memory: Memory,
    pub(super) store: Store,
    pub(super) progress: Progress<'a>,
    admin: SocketAddr,
    binds: u64,
}

/// All counters at one moment.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) totals: Totals,
    pub(super) hook: Counts,
}

/// An organisation with a key.
#[derive(Clone)]
pub(super) struct Tenant {
    pub(super) org: Org,
    pub(super) key: String,
}

impl<'a> Stage<'a> {
    /// Starts simulators and daemon; [`Stage::ready`] waits for them.
    pub(super) async fn start(
        binary: &Path,
        folder: &Path,
        store: Store,
        setup: Setup,
        progress: Progress<'a>,
    ) -> Result<Self, ProfileError> {
        let markers = usize::try_from(setup.markers).map_err(io::Error::other)?;
        let ledger = Arc::new(Ledger::new(markers));
        let (mut smscs, mut accounts) = (Vec::new(), Vec::new());
        for (site, seed) in setup.sites.into_iter().zip(1..) {
            let smsc = Smsc::start(SmscConfig {
                name: site.account.network.to_owned(),
                system_id: Some(CREDENTIALS.0.to_owned()),
                password: Some(CREDENTIALS.1.to_owned()),
                id_style: site.id_style,
                seed,
                script: site.script,
                observer: Some(Arc::clone(&ledger) as Arc<_>),
                ..SmscConfig::default()
            })
            .await?;
            accounts.push(site.account.at(smsc.addr()));
            smscs.push(smsc);
        }
        let hook = Receiver::start(HookConfig {
            keep: 0,
            messages_max: markers,
            ..HookConfig::default()
        })
        .await?;
        let (api, admin) = (free_port()?, free_port()?);
        let text = config_text(api, admin, &accounts, store.url());
        let daemon = Daemon::start(binary, folder, &text)?;
        progress(&format!(
            "daemon {} with {} accounts",
            daemon.pid(),
            smscs.len()
        ));
        let binds = accounts.iter().flat_map(|account| &account.bind);
        Ok(Self {
            ledger,
            smscs,
            hook,
            memory: Memory::watch(daemon.pid()),
            daemon,
            store,
            api,
            admin,
            binds: binds.map(|bind| bind.count as u64).sum(),
            progress,
        })
    }

    /// Waits until the daemon serves and all binds are up.
    pub(super) async fn ready(&mut self) -> Result<(), ProfileError> {
        self.daemon.ready(self.admin).await?;
        let deadline = Instant::now() + BINDS_MAX;
        loop {
            let up = self.smscs.iter().map(|smsc| smsc.stats().binds_open).sum();
            if up >= self.binds {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let wanted = self.binds;
                return Err(ProfileError::Binds { up, wanted });
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Makes an organisation and a key for it.
    pub(super) async fn tenant(&self, name: &str) -> Result<Tenant, ProfileError> {
        let org = self.daemon.create_org(name, "TZ").await?;
        let key = self.daemon.create_key(&org.id).await?.key;
        Ok(Tenant { org, key })
    }

    /// Makes one that pays before it sends, and has so many credits.
    pub(super) async fn prepaid(&self, name: &str, credits: u64) -> Result<Tenant, ProfileError> {
        let org = self.daemon.create_prepaid(name, "TZ", credits).await?;
        let key = self.daemon.create_key(&org.id).await?.key;
        Ok(Tenant { org, key })
    }

    /// Ends everything; true when the daemon ended by itself.
    pub(super) async fn stop(self) -> io::Result<bool> {
        let stopped_cleanly = self.daemon.stop().await?;
        for smsc in self.smscs {
            smsc.shutdown().await;
        }
        self.hook.shutdown().await;
        Ok(stopped_cleanly)
    }

    /// Now, on the ledger's clock.
    pub(super) fn now_us(&self) -> u64 {
        self.ledger.micros(Instant::now())
    }

    pub(super) fn reading(&self) -> Reading {
        Reading {
            totals: self.ledger.totals(),
            hook: self.hook.counts(),
        }
    }

    /// Waits for `time` and sees whether the daemon lives.
    pub(super) async fn pause(&mut self, time: Duration) -> Result<(), ProfileError> {
        sleep(time).await;
        Ok(self.daemon.alive()?)
    }

    /// Waits until every accepted one of `markers` has been submitted, but no longer than `limit`.
    pub(super) async fn submitted(
        &mut self,
        markers: Range<u64>,
        limit: Duration,
    ) -> Result<(), ProfileError> {
        let open = |stage: &Self| {
            let mut entries = stage.ledger.entries(markers.clone());
            entries.any(|entry| entry.accepted_us.is_some() && entry.submits == 0)
        };
        let deadline = Instant::now() + limit;
        while open(self) && Instant::now() < deadline {
            self.pause(Duration::from_millis(50)).await?;
        }
        Ok(())
    }

    /// Waits until `arrived` says so, as long as there is progress.
    pub(super) async fn drained(
        &mut self,
        arrived: impl Fn(&Reading) -> bool,
    ) -> Result<(), ProfileError> {
        let mut last = self.reading();
        let mut moved = Instant::now();
        loop {
            let now = self.reading();
            if arrived(&now) {
                return Ok(());
            }
            if now != last {
                (last, moved) = (now, Instant::now());
            }
            if moved.elapsed() >= STALL_MAX {
                return Ok(());
            }
            self.pause(Duration::from_millis(5)).await?;
        }
    }

    /// Waits until nothing has changed for a moment, so that a late duplicate is still seen.
    pub(super) async fn quiet(&self) {
        let deadline = Instant::now() + STALL_MAX;
        loop {
            let before = self.reading();
            sleep(QUIET).await;
            if self.reading() == before || Instant::now() >= deadline {
                return;
            }
        }
    }
}

/// The daemon's resident memory, looked at all the time.
pub(super) struct Memory {
    pid: u32,
    peak_kib: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Memory {
    fn watch(pid: u32) -> Self {
        let peak_kib = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&peak_kib);
        let task = tokio::spawn(async move {
            let mut ticks = interval(MEMORY_EVERY);
            loop {
                ticks.tick().await;
                seen.fetch_max(proc::rss_kib(pid).unwrap_or(0), Ordering::Relaxed);
            }
        });
        Self {
            pid,
            peak_kib,
            task,
        }
    }

    /// MiB now.
    pub(super) fn now_mib(&self) -> f64 {
        proc::rss_kib(self.pid).map_or(f64::NAN, |kib| kib as f64 / 1024.0)
    }

    /// The most MiB seen.
    pub(super) fn peak_mib(&self) -> f64 {
        self.peak_kib.load(Ordering::Relaxed) as f64 / 1024.0
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.task.abort();
    }
}
