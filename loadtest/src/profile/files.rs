//! Lives here: the configuration file of the daemon under test. Never here: starting it.

use std::net::SocketAddr;

use serde::Serialize;

use crate::networks::Network;

/// system_id and password that the simulators of a profile expect.
pub(super) const CREDENTIALS: (&str, &str) = ("mnara", "secret");

/// More segments a second than any profile offers: the account's own limit is not what is measured.
pub(super) const UNLIMITED: u32 = 100_000;

/// One `[[carrier]]`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Account {
    pub(super) id: String,
    pub(super) network: &'static str,
    /// Segments per second over all binds.
    pub(super) max_tps: u32,
    /// How ids are written in responses.
    pub(super) response_ids: &'static str,
    /// And in receipts.
    pub(super) receipt_ids: &'static str,
    pub(super) bind: Vec<Bind>,
}

/// One `[[carrier.bind]]`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Bind {
    host: String,
    port: u16,
    system_id: &'static str,
    password: &'static str,
    pub(super) mode: &'static str,
    /// Equal binds.
    pub(super) count: usize,
    /// Segments that may await their answer, for each.
    pub(super) window: usize,
    /// Then the outcome is in doubt.
    pub(super) response_timeout_ms: u64,
    /// Pause between link checks.
    pub(super) enquire_link_s: u64,
}

impl Account {
    /// The only account of `network`: one transceiver bind, no limit of its own, ids as they come.
    pub(super) fn of(network: Network, window: usize) -> Self {
        Self {
            id: network.id.to_owned(),
            network: network.id,
            max_tps: UNLIMITED,
            response_ids: "raw",
            receipt_ids: "raw",
            bind: vec![Bind::new("transceiver", window)],
        }
    }

    /// The same under another name: a second account of its network.
    pub(super) fn named(self, suffix: &str) -> Self {
        Self {
            id: format!("{}_{suffix}", self.id),
            ..self
        }
    }

    /// All binds go to the simulator at `addr`.
    pub(super) fn at(mut self, addr: SocketAddr) -> Self {
        for bind in &mut self.bind {
            bind.host = addr.ip().to_string();
            bind.port = addr.port();
        }
        self
    }
}

impl Bind {
    /// One bind, to be placed by [`Account::at`].
    pub(super) fn new(mode: &'static str, window: usize) -> Self {
        Self {
            host: String::new(),
            port: 0,
            system_id: CREDENTIALS.0,
            password: CREDENTIALS.1,
            mode,
            count: 1,
            window,
            response_timeout_ms: 30_000,
            enquire_link_s: 30,
        }
    }

    /// So many equal ones.
    pub(super) fn times(self, count: usize) -> Self {
        Self { count, ..self }
    }
}

/// The configuration file's text.
pub(super) fn config_text(
    api: SocketAddr,
    admin: SocketAddr,
    accounts: &[Account],
    store_url: &str,
) -> String {
    let file = File {
        api: Api {
            listen: api,
            limits: Limits {
                live: "unlimited",
                credits: "unlimited",
            },
        },
        admin: Listen { listen: admin },
        store: StoreAt { url: store_url },
        webhooks: Webhooks {
            allow_loopback: true,
        },
        carrier: accounts,
    };
    toml::to_string(&file).expect("plain tables of strings and numbers always serialise")
}

#[derive(Serialize)]
struct File<'a> {
    api: Api,
    admin: Listen,
    store: StoreAt<'a>,
    webhooks: Webhooks,
    carrier: &'a [Account],
}

#[derive(Serialize)]
struct Api {
    listen: SocketAddr,
    limits: Limits,
}

/// Requests in a minute: the daemon's own limits are not what is measured.
#[derive(Serialize)]
struct Limits {
    live: &'static str,
    credits: &'static str,
}

#[derive(Serialize)]
struct Listen {
    listen: SocketAddr,
}

#[derive(Serialize)]
struct StoreAt<'a> {
    url: &'a str,
}

#[derive(Serialize)]
struct Webhooks {
    allow_loopback: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::networks::NETWORKS;

    #[test]
    fn the_file_has_the_shape_the_daemon_reads() {
        let addr = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let mut second = Account::of(NETWORKS[5], 200).named("b").at(addr(2776));
        second.bind[0].count = 2;
        let accounts = [Account::of(NETWORKS[0], 50).at(addr(2775)), second];
        let text = config_text(
            addr(8080),
            addr(9090),
            &accounts,
            "sqlite:/tmp/a \"b\"/mnara.db",
        );
        let file: toml::Table = toml::from_str(&text).unwrap();
        assert_eq!(file["api"]["listen"].as_str(), Some("127.0.0.1:8080"));
        assert_eq!(file["admin"]["listen"].as_str(), Some("127.0.0.1:9090"));
        assert_eq!(
            file["store"]["url"].as_str(),
            Some("sqlite:/tmp/a \"b\"/mnara.db")
        );
        assert_eq!(file["webhooks"]["allow_loopback"].as_bool(), Some(true));
        let glo = &file["carrier"][1];
        assert_eq!(
            (glo["id"].as_str(), glo["network"].as_str()),
            (Some("glo_ng_b"), Some("glo_ng"))
        );
        let bind = &glo["bind"][0];
        assert_eq!(
            (bind["port"].as_integer(), bind["count"].as_integer()),
            (Some(2776), Some(2))
        );
        assert_eq!(
            (bind["mode"].as_str(), bind["window"].as_integer()),
            (Some("transceiver"), Some(200))
        );
    }
}
