//! Lives here: load on the stage's API, on a thread of its own. Never here: how a request is written (`http`).

use std::{io, ops::Range, sync::Arc, time::Duration};

use tokio::{runtime::Builder, task::JoinHandle, time::interval};

use super::{ProfileError, stage::Stage};
use crate::{
    http::{self, HttpConfig, HttpReport, Pace, RequestShape},
    networks::Network,
};

/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_millis(500);

/// What to send.
#[derive(Clone)]
pub(super) struct Traffic {
    pub(super) key: String,
    /// The API's default when `None`.
    pub(super) class: Option<&'static str>,
    /// Marker m goes to the network m modulo their number.
    pub(super) networks: Vec<Network>,
    pub(super) markers: Range<u64>,
    pub(super) pace: Pace,
    pub(super) connections: usize,
    pub(super) time_limit: Option<Duration>,
    pub(super) webhook_url: Option<String>,
}

impl Traffic {
    /// A closed loop of `class` over `connections`.
    pub(super) fn closed(
        key: &str,
        class: &'static str,
        networks: &[Network],
        markers: Range<u64>,
        connections: usize,
    ) -> Self {
        Self {
            key: key.to_owned(),
            class: Some(class),
            networks: networks.to_vec(),
            markers,
            pace: Pace::Closed,
            connections,
            time_limit: None,
            webhook_url: None,
        }
    }

    /// The same at a steady rate whatever the answers.
    pub(super) fn open(
        key: &str,
        class: &'static str,
        networks: &[Network],
        markers: Range<u64>,
        per_second: f64,
    ) -> Self {
        // So many that an answer of 300 ms keeps nobody from being on time.
        let connections = (per_second * 0.3) as usize;
        Self {
            pace: Pace::Open { per_second },
            ..Self::closed(key, class, networks, markers, connections.clamp(8, 64))
        }
    }
}

/// Load that is under way.
pub(super) struct Running(JoinHandle<io::Result<HttpReport>>);

impl Running {
    /// Waits for its end, tells how it goes and sees whether the daemon lives.
    pub(super) async fn done(mut self, stage: &mut Stage<'_>) -> Result<HttpReport, ProfileError> {
        let mut ticks = interval(TELL_EVERY);
        let mut last = stage.reading();
        loop {
            // A join handle and an interval keep their state when dropped halfway.
            tokio::select! {
                done = &mut self.0 => return Ok(done.map_err(io::Error::other)??),
                _ = ticks.tick() => {
                    let now = stage.reading();
                    (stage.progress)(&format!(
                        "{} submitted ({}/s), {} receipts, {} webhooks",
                        now.totals.submitted,
                        (now.totals.submitted - last.totals.submitted) * 2,
                        now.totals.receipted,
                        now.hook.requests,
                    ));
                    last = now;
                    stage.daemon.alive()?;
                }
            }
        }
    }
}

impl Stage<'_> {
    /// Begins to send.
    pub(super) fn send(&self, traffic: Traffic) -> Running {
        let config = HttpConfig {
            addr: self.api,
            shape: RequestShape {
                host: self.api.to_string(),
                path: "/v1/sms/send".to_owned(),
                key: traffic.key,
                sender: "MNARA".to_owned(),
                text: "Karibu Mnara, ujumbe huu ni wa majaribio ya kasi.".to_owned(),
                class: traffic.class.map(str::to_owned),
                webhook_url: traffic.webhook_url,
            },
            networks: traffic.networks,
            connections: traffic.connections,
            pace: traffic.pace,
            first_marker: traffic.markers.start,
            messages: traffic.markers.end - traffic.markers.start,
            time_limit: traffic.time_limit,
        };
        let ledger = Arc::clone(&self.ledger);
        // A runtime of its own, so that its wake-ups never cross threads.
        Running(tokio::task::spawn_blocking(move || {
            Builder::new_current_thread()
                .enable_all()
                .build()?
                .block_on(http::run(&config, ledger))
        }))
    }

    /// Sends all of it.
    pub(super) async fn sent(&mut self, traffic: Traffic) -> Result<HttpReport, ProfileError> {
        self.send(traffic).done(self).await
    }

    /// Sends all of it and waits for the simulators; anything else than success ends the profile.
    pub(super) async fn warm_up(&mut self, traffic: Traffic) -> Result<(), ProfileError> {
        let markers = traffic.markers.clone();
        let wanted = markers.end - markers.start;
        if wanted == 0 {
            return Ok(());
        }
        (self.progress)(&format!("warming up with {wanted} messages"));
        let sent = self.sent(traffic).await?;
        if sent.accepted < wanted {
            let statuses = || format!("answers by status: {:?}", sent.statuses);
            let why = sent.first_error.clone().unwrap_or_else(statuses);
            let accepted = sent.accepted;
            return Err(ProfileError::WarmUp(format!(
                "{accepted} of {wanted} accepted; {why}"
            )));
        }
        self.submitted(markers.clone(), super::stage::STALL_MAX)
            .await?;
        let through = self
            .ledger
            .entries(markers)
            .filter(|entry| entry.submits > 0);
        let through = through.count() as u64;
        if through < wanted {
            return Err(ProfileError::WarmUp(format!(
                "{through} of {wanted} accepted messages were submitted"
            )));
        }
        Ok(())
    }
}
