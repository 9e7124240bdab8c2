//! Lives here: the world of a scenario: simulated carriers, a webhook receiver, the daemon between
//! them, a customer with a key, and waiting on conditions.
//! Never here: what a scenario expects.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use mnara_loadtest::hook::{self, HookConfig, Receiver};
use mnara_loadtest::networks;
use mnara_loadtest::smsc::{LoggedSubmit, Script, Smsc, SmscConfig, SubmitLog};
use mnara_privatepg::Database;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;
use uuid::Uuid;

use crate::daemon::{Daemon, ctl};
use crate::postgres::database;

/// How long a condition may take where nothing else is said: generous, because a healthy daemon
/// never needs it and a busy machine may.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);
/// Between two looks at a condition.
const LOOK: Duration = Duration::from_millis(10);
/// One HTTP request.
const REQUEST_MAX: Duration = Duration::from_secs(30);
/// system_id and password of every bind.
pub(crate) const CREDENTIALS: (&str, &str) = ("mnara", "s3cr3t-p");

/// What a scenario's world consists of.
pub(crate) struct Plan {
    carriers: Vec<Carrier>,
    sections: String,
    wait_ready: bool,
    /// SQLite in the world's folder when `None`.
    store_url: Option<String>,
    database: Option<Database>,
}

/// What a scenario that is told twice is stored in.
#[derive(Clone, Copy)]
pub(crate) enum Stored {
    /// A file in the world's folder.
    Sqlite,
    /// A database of its own on the server that all tests share.
    Postgres,
}

/// A carrier account and who answers for it.
pub(crate) struct Carrier {
    id: &'static str,
    network: &'static str,
    peer: Peer,
    account: &'static str,
    bind: &'static str,
}

enum Peer {
    Simulated(Box<SmscConfig>),
    At(SocketAddr),
}

/// A simulated carrier and what it has seen.
pub(crate) struct Simulated {
    /// Its account's id: its network, unless it was named otherwise.
    pub(crate) id: &'static str,
    /// The simulator.
    pub(crate) smsc: Smsc,
    /// Every submit.
    pub(crate) log: Arc<SubmitLog>,
}

/// Everything a scenario needs.
pub(crate) struct World {
    /// The daemon.
    pub(crate) daemon: Daemon,
    /// The webhook receiver; it checks signatures.
    pub(crate) hook: Receiver,
    /// The customer's way in.
    pub(crate) client: Customer,
    /// The customer's webhook secret.
    pub(crate) secret: String,
    /// The configuration file.
    pub(crate) config: PathBuf,
    simulated: Vec<Simulated>,
    folder: TempDir,
    /// Dropped after the daemon.
    _database: Option<Database>,
}

/// A customer: a key and an HTTP client.
#[derive(Clone)]
pub(crate) struct Customer {
    http: Client<HttpConnector, Full<Bytes>>,
    /// Where the API listens.
    pub(crate) api: SocketAddr,
    /// Its key.
    pub(crate) key: String,
}

/// An HTTP answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Plan {
    /// One simulated carrier that takes everything and delivers at once.
    pub(crate) fn simple() -> Self {
        Self::of([Carrier::simulated("vodacom_tz", Script::default())])
    }

    /// These carriers.
    pub(crate) fn of(carriers: impl IntoIterator<Item = Carrier>) -> Self {
        Self {
            carriers: carriers.into_iter().collect(),
            sections: String::new(),
            wait_ready: true,
            store_url: None,
            database: None,
        }
    }

    /// Further sections of the configuration file.
    pub(crate) fn with(mut self, sections: &str) -> Self {
        self.sections.push_str(sections);
        self.sections.push('\n');
        self
    }

    /// The store is there, and not SQLite in the world's folder.
    pub(crate) fn stored_at(mut self, url: &str) -> Self {
        self.store_url = Some(url.to_owned());
        self
    }

    /// What the store is.
    pub(crate) fn stored(mut self, stored: Stored) -> Self {
        match stored {
            Stored::Sqlite => self,
            Stored::Postgres => {
                let database = database();
                self.store_url = Some(database.url());
                self.database = Some(database);
                self
            }
        }
    }

    /// The world begins although no bind is bound.
    pub(crate) fn unready(mut self) -> Self {
        self.wait_ready = false;
        self
    }
}

impl Carrier {
    /// A simulator with this script.
    pub(crate) fn simulated(network: &'static str, script: Script) -> Self {
        let config = SmscConfig {
            script,
            ..SmscConfig::default()
        };
        Self::configured(network, config)
    }

    /// A simulator.
    pub(crate) fn configured(network: &'static str, config: SmscConfig) -> Self {
        Self {
            id: network,
            network,
            peer: Peer::Simulated(Box::new(config)),
            account: "",
            bind: "window = 50",
        }
    }

    /// Somebody who listens there.
    pub(crate) fn at(network: &'static str, address: SocketAddr) -> Self {
        Self {
            peer: Peer::At(address),
            ..Self::simulated(network, Script::default())
        }
    }

    /// An account's id that is not its network: for the second one of a network.
    pub(crate) fn named(self, id: &'static str) -> Self {
        Self { id, ..self }
    }

    /// Further keys of the account.
    pub(crate) fn account(self, account: &'static str) -> Self {
        Self { account, ..self }
    }

    /// The bind's keys beyond the address, instead of `window = 50`; `PORT` stands for its port.
    pub(crate) fn bind(self, bind: &'static str) -> Self {
        Self { bind, ..self }
    }
}

impl World {
    /// Starts everything and waits until the daemon is ready, with an organisation in Tanzania.
    pub(crate) async fn start(plan: Plan) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let hook = Receiver::start(HookConfig::default()).await.unwrap();
        let config = folder.path().join("mnara.toml");
        let mut simulated = Vec::new();
        let in_folder = || format!("sqlite:{}", folder.path().join("mnara.db").display());
        let store_url = plan.store_url.unwrap_or_else(in_folder);
        let mut text = head(&store_url, &plan.sections);
        for carrier in plan.carriers {
            let address = match carrier.peer {
                Peer::At(address) => address,
                Peer::Simulated(smsc) => {
                    let log = Arc::new(SubmitLog::new(100_000));
                    let smsc = Smsc::start(SmscConfig {
                        observer: Some(Arc::clone(&log) as _),
                        ..*smsc
                    });
                    let smsc = smsc.await.unwrap();
                    let address = smsc.addr();
                    simulated.push(Simulated {
                        id: carrier.id,
                        smsc,
                        log,
                    });
                    address
                }
            };
            let names = (carrier.id, carrier.network);
            push_carrier(&mut text, names, address, carrier.account, carrier.bind);
        }
        std::fs::write(&config, text).unwrap();
        let daemon = Daemon::start(&config).await;
        let client = Customer::new(daemon.api, String::new());
        let mut world = Self {
            daemon,
            hook,
            client,
            secret: String::new(),
            config,
            simulated,
            folder,
            _database: plan.database,
        };
        let org = world
            .ctl(&["org", "create", "Tester", "--country", "TZ", "--postpaid"])
            .await;
        world.secret = org["webhook_secret"].as_str().unwrap().to_owned();
        world.hook.set_secret(&world.secret);
        world.client = world.customer_of("Tester").await;
        if plan.wait_ready {
            world.until_ready().await;
        }
        world
    }

    /// The first carrier, for worlds with one.
    pub(crate) fn carrier(&self) -> &Simulated {
        &self.simulated[0]
    }

    /// The carrier of an account (of a network, unless it was named otherwise).
    pub(crate) fn carrier_of(&self, id: &str) -> &Simulated {
        let found = self.simulated.iter().find(|one| one.id == id);
        found.unwrap()
    }

    /// All simulated carriers.
    pub(crate) fn carriers(&self) -> &[Simulated] {
        &self.simulated
    }

    /// The folder with the database, the token and the configuration.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// A new key of an organisation.
    pub(crate) async fn customer_of(&self, org: &str) -> Customer {
        let create = ["keys", "create", "--org", org, "--scope", "admin"];
        let key = self.ctl(&create).await;
        Customer::new(self.daemon.api, key["key"].as_str().unwrap().to_owned())
    }

    /// A new test key of an organisation.
    pub(crate) async fn tester_of(&self, org: &str) -> Customer {
        let key = self.ctl(&["key", "create", "--org", org, "--test"]).await;
        Customer::new(self.daemon.api, key["key"].as_str().unwrap().to_owned())
    }

    /// Starts another daemon on what the last one left.
    pub(crate) async fn restart(&mut self) {
        assert!(!self.daemon.lives(), "the daemon has been ended before");
        self.daemon = Daemon::start(&self.config).await;
        self.client.api = self.daemon.api;
        self.until_ready().await;
    }

    /// `mnara ctl … --json`, which must succeed.
    pub(crate) async fn ctl(&self, arguments: &[&str]) -> Value {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
        let output = ctl(&self.config, self.daemon.admin, &arguments).await;
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "ctl {arguments:?}: {error}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// What `mnara ctl …` says when it fails, which it must.
    pub(crate) async fn try_ctl(&self, arguments: &[&str]) -> String {
        let output = ctl(&self.config, self.daemon.admin, arguments).await;
        assert!(!output.status.success(), "ctl {arguments:?} succeeded");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// What the admin listener answers to a GET.
    pub(crate) async fn ask_admin(&self, path: &str) -> Answer {
        let url = format!("http://{}{path}", self.daemon.admin);
        self.client
            .request(Request::get(url).body(Full::default()).unwrap())
            .await
            .unwrap()
    }

    /// Waits until `/readyz` says so.
    pub(crate) async fn until_ready(&self) {
        eventually("the daemon is ready", LIMIT, async || {
            (self.ask_admin("/readyz").await.status == 200).then_some(())
        })
        .await;
    }

    /// The sum of a metric over all series whose labels contain each of `labels`.
    pub(crate) async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let page = self.ask_admin("/metrics").await.text();
        let series = page
            .lines()
            .filter_map(|line| line.strip_prefix(name))
            .filter(|rest| rest.starts_with(['{', ' ']));
        let wanted = series.filter(|rest| labels.iter().all(|label| rest.contains(label)));
        let value = |rest: &str| rest.rsplit(' ').next().unwrap().parse::<f64>().unwrap();
        wanted.map(value).sum()
    }

    /// A body for `/v1/sms/send` with events to the world's hook.
    pub(crate) fn sms(&self, network: &str, index: u64, class: &str, text: &str) -> Value {
        let mut sms = sms(network, index, class, text);
        sms["webhook_url"] = self.hook.url().into();
        sms
    }

    /// Waits until a message's `status_detail` is this; returns its details.
    pub(crate) async fn until(&self, id: Uuid, status: &str) -> Value {
        eventually(&format!("{id} is {status}"), LIMIT, async || {
            let message = self.client.message(id).await;
            (message["status_detail"] == status).then_some(message)
        })
        .await
    }
}

impl Customer {
    /// Who calls with this key, or token.
    pub(crate) fn new(api: SocketAddr, key: String) -> Self {
        let http = Client::builder(TokioExecutor::new()).build_http();
        Self { http, api, key }
    }

    /// Sends a request; an error is a connection that failed.
    pub(crate) async fn request(&self, request: Request<Full<Bytes>>) -> Result<Answer, String> {
        let work = async {
            let response = self.http.request(request).await.map_err(say)?;
            let (head, body) = response.into_parts();
            let body = body.collect().await.map_err(say)?.to_bytes();
            Ok(Answer {
                status: head.status.as_u16(),
                headers: head.headers,
                body,
            })
        };
        timeout(REQUEST_MAX, work)
            .await
            .unwrap_or_else(|_| Err("no answer".into()))
    }

    /// A request with the customer's key.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: impl Into<Bytes>,
    ) -> Result<Answer, String> {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.api))
            .header("authorization", format!("Bearer {}", self.key))
            .header("content-type", "application/json")
            .body(Full::new(body.into()));
        self.request(request.unwrap()).await
    }

    /// `POST /v1/sms/send`.
    pub(crate) async fn try_send(&self, body: &Value) -> Result<Answer, String> {
        self.call(Method::POST, "/v1/sms/send", body.to_string())
            .await
    }

    /// Sends a message that must be accepted.
    pub(crate) async fn send(&self, body: &Value) -> Uuid {
        let answer = self.try_send(body).await.unwrap();
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.id()
    }

    /// A message's details.
    pub(crate) async fn message(&self, id: Uuid) -> Value {
        self.read(&format!("/v1/messages/{id}")).await
    }

    /// A message's timeline.
    pub(crate) async fn events(&self, id: Uuid) -> Vec<Value> {
        let data = self.read(&format!("/v1/messages/{id}/events")).await;
        data["events"].as_array().unwrap().clone()
    }

    async fn read(&self, path: &str) -> Value {
        let answer = self.call(Method::GET, path, "").await.unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()["data"].take()
    }
}

impl Answer {
    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// `data.id`.
    pub(crate) fn id(&self) -> Uuid {
        self.json()["data"]["id"].as_str().unwrap().parse().unwrap()
    }
}

impl Simulated {
    /// The submits of a text.
    pub(crate) fn submits_of(&self, text: &str) -> Vec<LoggedSubmit> {
        let mut all = self.log.snapshot();
        all.retain(|submit| submit.text == text);
        all
    }

    /// Waits for so many submits in all.
    pub(crate) async fn until_submits(&self, count: usize) {
        let enough = |_: &_| self.log.count(|_| true) >= count;
        let come = self.smsc.wait_until(LIMIT, enough).await;
        let seen = self.log.count(|_| true);
        assert!(
            come,
            "{}: {seen} submits came, {count} were expected",
            self.id
        );
    }
}

/// A body for `/v1/sms/send`.
pub(crate) fn sms(network: &str, index: u64, class: &str, text: &str) -> Value {
    let to = networks::by_id(network).unwrap().number(index);
    json!({"to": to, "from": "MNARA", "message": text, "class": class})
}

/// A header of a webhook.
pub(crate) fn header<'a>(event: &'a hook::Event, name: &str) -> &'a str {
    let found = event
        .headers
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case(name));
    &found.unwrap_or_else(|| panic!("the webhook has {name}")).1
}

/// Looks until `check` yields something.
pub(crate) async fn eventually<T>(
    what: &str,
    limit: Duration,
    mut check: impl AsyncFnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = check().await {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        tokio::time::sleep(LOOK).await;
    }
}

/// The file without its carriers.
fn head(store_url: &str, sections: &str) -> String {
    let webhooks = if sections.contains("[webhooks]") {
        ""
    } else {
        "[webhooks]\nallow_loopback = true\n"
    };
    let limits = if sections.contains("[api.limits]") {
        ""
    } else {
        "[api.limits]\nlive = \"unlimited\"\ntest = \"unlimited\"\ncredits = \"unlimited\"\nfailures_per_ip = \"unlimited\"\n"
    };
    format!(
        "[api]\nlisten = \"127.0.0.1:0\"\n{limits}[admin]\nlisten = \"127.0.0.1:0\"\n\
         [store]\nurl = \"{store_url}\"\n{webhooks}{sections}"
    )
}

fn push_carrier(
    text: &mut String,
    (id, network): (&str, &str),
    at: SocketAddr,
    account: &str,
    bind: &str,
) {
    let (system_id, password) = CREDENTIALS;
    let (host, port) = (at.ip(), at.port());
    let bind = bind.replace("PORT", &port.to_string());
    let mode = if bind.contains("mode") {
        ""
    } else {
        "mode = \"transceiver\"\n"
    };
    let pace = if account.contains("max_tps") {
        ""
    } else {
        "max_tps = 10000"
    };
    writeln!(
        text,
        "[[carrier]]\nid = \"{id}\"\nnetwork = \"{network}\"\n{pace}\n{account}\n\
         [[carrier.bind]]\nhost = \"{host}\"\nport = {port}\nsystem_id = \"{system_id}\"\n\
         password = \"{password}\"\n{mode}{bind}"
    )
    .unwrap();
}

fn say(error: impl std::error::Error) -> String {
    error.to_string()
}
