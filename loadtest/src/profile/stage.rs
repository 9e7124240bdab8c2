//! Lives here: everything a profile needs around the daemon, and waiting until all of it has come to rest.
//! Never here: the daemon, or the figures.

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::sleep;

use super::{CREDENTIALS, Daemon, Plan, ProfileError};
use crate::{
    hook::{Counts, HookConfig, Receiver},
    ledger::{Ledger, Totals},
    smsc::{Smsc, SmscConfig},
};

/// Binds have this long to come up after /readyz.
pub(super) const BINDS_MAX: Duration = Duration::from_secs(20);

/// Messages in motion may stand still this long before they count as lost.
const STALL_MAX: Duration = Duration::from_secs(20);

/// After everything has arrived, late duplicates have this long to show up.
const QUIET: Duration = Duration::from_millis(500);

/// The simulators, the webhook listener and the ledger they write.
pub(super) struct Bench {
    pub(super) ledger: Arc<Ledger>,
    pub(super) smscs: Vec<Smsc>,
    pub(super) hook: Receiver,
}

/// All counters at one moment.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) totals: Totals,
    pub(super) hook: Counts,
}

impl Bench {
    pub(super) async fn start(plan: &Plan) -> io::Result<Self> {
        let markers = plan.warm_up.saturating_add(plan.messages);
        let ledger = Arc::new(Ledger::new(
            usize::try_from(markers).map_err(io::Error::other)?,
        ));
        let mut smscs = Vec::new();
        for network in &plan.networks {
            let config = SmscConfig {
                name: network.id.to_owned(),
                system_id: Some(CREDENTIALS.0.to_owned()),
                password: Some(CREDENTIALS.1.to_owned()),
                script: plan.script(),
                observer: Some(Arc::clone(&ledger) as Arc<_>),
                ..SmscConfig::default()
            };
            smscs.push(Smsc::start(config).await?);
        }
        let messages_max = usize::try_from(markers).unwrap_or(usize::MAX);
        let hook = Receiver::start(HookConfig {
            keep: 0,
            messages_max,
            ..HookConfig::default()
        })
        .await?;
        Ok(Self {
            ledger,
            smscs,
            hook,
        })
    }

    pub(super) fn addrs(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.smscs.iter().map(Smsc::addr)
    }

    pub(super) fn reading(&self) -> Reading {
        Reading {
            totals: self.ledger.totals(),
            hook: self.hook.counts(),
        }
    }

    pub(super) async fn shutdown(self) {
        for smsc in self.smscs {
            smsc.shutdown().await;
        }
        self.hook.shutdown().await;
    }

    pub(super) async fn binds_up(&self, wanted: u64) -> Result<(), ProfileError> {
        let deadline = Instant::now() + BINDS_MAX;
        loop {
            let up = self.smscs.iter().map(|smsc| smsc.stats().binds_open).sum();
            if up >= wanted {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(ProfileError::Binds { up, wanted });
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until `accepted` messages since `before` have arrived everywhere, as long as there is progress.
    pub(super) async fn drain(
        &self,
        full: bool,
        accepted: u64,
        before: &Reading,
        daemon: &mut Daemon,
    ) -> Result<(), ProfileError> {
        let mut last = self.reading();
        let mut moved = Instant::now();
        loop {
            let now = self.reading();
            if arrived(full, &now, before) >= accepted {
                return Ok(());
            }
            if now != last {
                (last, moved) = (now, Instant::now());
            }
            if moved.elapsed() >= STALL_MAX {
                return Ok(());
            }
            daemon.alive()?;
            sleep(Duration::from_millis(5)).await;
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

/// Messages since `before` that have reached the last station of the profile.
pub(super) fn arrived(full: bool, now: &Reading, before: &Reading) -> u64 {
    let submitted = now.totals.submitted - before.totals.submitted;
    if !full {
        return submitted;
    }
    submitted
        .min(now.totals.receipted - before.totals.receipted)
        .min(now.hook.sent - before.hook.sent)
        .min(now.hook.delivered - before.hook.delivered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_profile_has_arrived_only_when_its_slowest_part_has() {
        let before = Reading {
            totals: Totals {
                submitted: 10,
                receipted: 10,
                ..Totals::default()
            },
            ..Reading::default()
        };
        let mut now = before;
        now.totals.submitted = 110;
        assert_eq!(arrived(false, &now, &before), 100);
        now.totals.receipted = 60;
        (now.hook.sent, now.hook.delivered) = (90, 40);
        assert_eq!(arrived(true, &now, &before), 40);
    }
}
