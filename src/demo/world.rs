//! Lives here: the demo's parts: eight simulated carriers over real SMPP, a webhook listener, the
//! daemon on a database in a temporary folder, an organisation with a live key.
//! Never here: what is printed (`show`).

use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use mnara_loadtest::hook::{HookConfig, Receiver};
use mnara_loadtest::networks::NETWORKS;
use mnara_loadtest::smsc::{Receipts, Script, Smsc, SmscConfig, Span, Stat, SubmitLog, Weighted};
use tempfile::TempDir;

use super::client::Api;
use crate::app::Daemon;
use crate::config;
use crate::ctl::{self, Command, KeyArguments, KeysCommand, OrgsCommand, Target};

/// Everything that runs.
pub(super) struct World {
    pub(super) daemon: Daemon,
    pub(super) carriers: Vec<Carrier>,
    pub(super) hook: Receiver,
    pub(super) api: Api,
    pub(super) key: String,
    pub(super) config_path: std::path::PathBuf,
    /// How many webhook events have been shown.
    pub(super) events_shown: usize,
    folder: TempDir,
}

/// One simulated carrier.
pub(super) struct Carrier {
    pub(super) network: &'static str,
    pub(super) smsc: Smsc,
    pub(super) log: Arc<SubmitLog>,
    /// How many submits have been shown.
    pub(super) shown: usize,
}

impl World {
    /// Starts everything and waits until all binds are up.
    pub(super) async fn start(quick: bool) -> anyhow::Result<Self> {
        let mut carriers = Vec::new();
        for network in NETWORKS {
            carriers.push(carrier(network.id, quick).await?);
        }
        let hook = Receiver::start(HookConfig {
            keep: 10_000,
            ..HookConfig::default()
        })
        .await?;
        let folder = tempfile::tempdir()?;
        let config_path = folder.path().join("mnara.toml");
        let text = config_text(&folder, &carriers, quick)?;
        std::fs::write(&config_path, &text)?;
        let config = config::parse(&text, &config_path, [])?;
        let daemon = Daemon::start(config).await?;
        let (key, secret) = customer(&daemon).await?;
        hook.set_secret(&secret);
        let mut world = Self {
            api: Api::new(daemon.api, key.clone()),
            daemon,
            carriers,
            hook,
            key,
            config_path,
            events_shown: 0,
            folder,
        };
        world.all_bound().await?;
        Ok(world)
    }

    async fn all_bound(&mut self) -> anyhow::Result<()> {
        for bind in &mut self.daemon.binds {
            tokio::time::timeout(Duration::from_secs(10), bind.wait_for(|bind| bind.bound))
                .await
                .context("a simulated carrier did not accept its bind within 10 s")??;
        }
        Ok(())
    }

    /// Ends the daemon in its phases, then the rest.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        self.daemon.stop(false).await?;
        for carrier in self.carriers {
            carrier.smsc.shutdown().await;
        }
        self.hook.shutdown().await;
        self.folder
            .close()
            .context("the temporary folder could not be removed")
    }
}

async fn carrier(network: &'static str, quick: bool) -> anyhow::Result<Carrier> {
    let log = Arc::new(SubmitLog::new(10_000));
    let span = |min_ms, max_ms| Span { min_ms, max_ms };
    let (answer, receipt) = if quick {
        (span(1, 5), span(20, 60))
    } else {
        (span(20, 80), span(600, 2_500))
    };
    let script = Script {
        response_delay_ms: answer,
        receipts: Receipts {
            delay_ms: receipt,
            mix: vec![Weighted {
                stat: Stat::Delivrd,
                weight: 1,
            }],
            ..Receipts::default()
        },
        ..Script::default()
    };
    let config = SmscConfig {
        name: network.to_owned(),
        system_id: Some("mnara".into()),
        password: Some("secret".into()),
        script,
        observer: Some(Arc::clone(&log) as _),
        ..SmscConfig::default()
    };
    let smsc = Smsc::start(config)
        .await
        .context("a simulated carrier cannot listen on loopback")?;
    Ok(Carrier {
        network,
        smsc,
        log,
        shown: 0,
    })
}

fn config_text(folder: &TempDir, carriers: &[Carrier], quick: bool) -> anyhow::Result<String> {
    let (api, admin) = if quick {
        (any(), any())
    } else {
        (usual(8080), usual(9090))
    };
    let database = folder.path().join("mnara.db");
    let mut text = format!(
        "[api]\nlisten = \"{api}\"\n[api.limits]\nlive = \"unlimited\"\ntest = \"unlimited\"\n[admin]\nlisten = \"{admin}\"\n\
         [store]\nurl = \"sqlite:{}\"\n[webhooks]\nallow_loopback = true\n",
        database.display()
    );
    for carrier in carriers {
        let (network, port) = (carrier.network, carrier.smsc.addr().port());
        write!(
            text,
            "[[carrier]]\nid = \"{network}\"\nnetwork = \"{network}\"\nmax_tps = 500\n\
             [[carrier.bind]]\nhost = \"127.0.0.1\"\nport = {port}\nsystem_id = \"mnara\"\n\
             password = \"secret\"\nmode = \"transceiver\"\nwindow = 50\n"
        )?;
    }
    Ok(text)
}

fn any() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// The usual port if it is free, otherwise any.
fn usual(port: u16) -> SocketAddr {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    if TcpListener::bind(address).is_ok() {
        address
    } else {
        any()
    }
}

/// An organisation and its live key, made through the admin listener as an operator would.
async fn customer(daemon: &Daemon) -> anyhow::Result<(String, String)> {
    let target = Target {
        address: daemon.admin,
        token: daemon.token.clone(),
    };
    let org = OrgsCommand::Create {
        name: "Demo".into(),
        country: "TZ".into(),
        senders: Vec::new(),
        postpaid: true,
    };
    let org = ctl::ask(&target, &Command::Orgs { command: org }).await?;
    let command = KeysCommand::Create(Box::new(KeyArguments::plain("Demo")));
    let key = Command::Keys { command };
    let key = ctl::ask(&target, &key).await?;
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    text(&key["key"])
        .zip(text(&org["webhook_secret"]))
        .context("the admin listener answered strangely")
}
