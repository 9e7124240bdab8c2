//! Lives here: the configuration file of the daemon under test. Never here: starting it.

use std::{net::SocketAddr, path::Path};

use serde::Serialize;

/// What the daemon is to be configured with.
#[derive(Clone, Debug)]
pub struct Layout {
    /// API listener.
    pub api: SocketAddr,
    /// Admin listener.
    pub admin: SocketAddr,
    /// Network ids with the simulator of each.
    pub carriers: Vec<(String, SocketAddr)>,
    /// Binds per carrier.
    pub binds: usize,
    /// Window of each bind.
    pub window: usize,
}

/// system_id and password that the simulators of a profile expect.
pub const CREDENTIALS: (&str, &str) = ("mnara", "secret");

/// The configuration file's text; the store lies in `folder`.
pub fn config_text(layout: &Layout, folder: &Path) -> String {
    let carriers = layout.carriers.iter().map(|(network, addr)| Carrier {
        id: network,
        network,
        // Far above what any profile offers: the profile measures the daemon, not its rate limit.
        max_tps: 100_000,
        bind: vec![Bind {
            host: addr.ip().to_string(),
            port: addr.port(),
            system_id: CREDENTIALS.0,
            password: CREDENTIALS.1,
            mode: "transceiver",
            count: layout.binds,
            window: layout.window,
        }],
    });
    let file = File {
        api: Listen { listen: layout.api },
        admin: Listen {
            listen: layout.admin,
        },
        store: Store {
            url: format!("sqlite:{}", folder.join("mnara.db").display()),
        },
        webhooks: Webhooks {
            allow_loopback: true,
        },
        carrier: carriers.collect(),
    };
    toml::to_string(&file).expect("plain tables of strings and numbers always serialise")
}

#[derive(Serialize)]
struct File<'a> {
    api: Listen,
    admin: Listen,
    store: Store,
    webhooks: Webhooks,
    carrier: Vec<Carrier<'a>>,
}

#[derive(Serialize)]
struct Listen {
    listen: SocketAddr,
}

#[derive(Serialize)]
struct Store {
    url: String,
}

#[derive(Serialize)]
struct Webhooks {
    allow_loopback: bool,
}

#[derive(Serialize)]
struct Carrier<'a> {
    id: &'a str,
    network: &'a str,
    max_tps: u32,
    bind: Vec<Bind<'a>>,
}

#[derive(Serialize)]
struct Bind<'a> {
    host: String,
    port: u16,
    system_id: &'a str,
    password: &'a str,
    mode: &'a str,
    count: usize,
    window: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_has_the_shape_the_daemon_reads() {
        let addr = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let layout = Layout {
            api: addr(8080),
            admin: addr(9090),
            carriers: vec![
                ("vodacom_tz".into(), addr(2775)),
                ("glo_ng".into(), addr(2776)),
            ],
            binds: 2,
            window: 200,
        };
        let text = config_text(&layout, Path::new("/tmp/a \"b\""));
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
            (Some("glo_ng"), Some("glo_ng"))
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
