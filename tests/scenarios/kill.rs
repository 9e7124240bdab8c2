//! Lives here: SIGKILL under load: what was promised is kept, what may have gone twice is marked.
//! Never here: power loss (a killed process's writes survive in the page cache).

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use mnara_loadtest::smsc::{Script, Span};
use serde_json::Value;
use uuid::Uuid;

use crate::world::{Carrier, Customer, LIMIT, Plan, Stored, World, eventually, sms};

const CLIENTS: usize = 16;
const BEFORE_THE_KILL: usize = 500;
const CLASSES: [&str; 3] = ["otp", "transactional", "promotional"];

/// A message that the client was told is accepted.
#[derive(Clone)]
pub(crate) struct Promise {
    pub(crate) id: Uuid,
    pub(crate) class: &'static str,
    /// Unique among the load's messages.
    pub(crate) text: String,
}

/// Clients that send until the daemon answers no more.
pub(crate) struct Load {
    promises: Arc<Mutex<Vec<Promise>>>,
    clients: Vec<tokio::task::JoinHandle<()>>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_201_survives_sigkill_under_load_and_what_may_be_doubled_is_marked() {
    killed(Stored::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_201_survives_sigkill_under_load_and_what_may_be_doubled_is_marked_on_postgresql() {
    killed(Stored::Postgres).await;
}

async fn killed(stored: Stored) {
    let slow = Script {
        response_delay_ms: Span::between(5, 60),
        ..Script::default()
    };
    let carriers = ["vodacom_tz", "mtn_ng"].map(|id| Carrier::simulated(id, slow.clone()));
    let mut world = World::start(Plan::of(carriers).stored(stored)).await;
    let load = Load::start(&world.client);
    eventually("the load runs", LIMIT, async || {
        (load.accepted() >= BEFORE_THE_KILL).then_some(())
    })
    .await;
    world.daemon.kill().await;
    let promises = load.end().await;
    world.restart().await;
    let recovered = world.daemon.log().event("store opened").unwrap();
    world.ctl(&["credits", "verify"]).await;

    let mut copies: HashMap<String, usize> = HashMap::new();
    let mut found: HashMap<Uuid, Value> = HashMap::new();
    for promise in &promises {
        // A lost message would be answered 404 here, and fail.
        let message = until_calm(&world, promise).await;
        found.insert(promise.id, message);
    }
    for carrier in world.carriers() {
        for submit in carrier.log.snapshot() {
            *copies.entry(submit.text).or_default() += 1;
        }
    }
    let (mut doubled, mut uncertain) = (0, 0);
    for promise in &promises {
        let (message, copies) = (
            &found[&promise.id],
            copies.get(&promise.text).copied().unwrap_or(0),
        );
        let in_doubt = message["status_detail"] == "uncertain";
        uncertain += usize::from(in_doubt);
        assert!(
            copies > 0 || in_doubt,
            "{} {}: never submitted: {message}",
            promise.id,
            promise.class
        );
        if copies > 1 {
            doubled += 1;
            assert_eq!(
                message["possible_duplicate"], true,
                "{copies} copies of {message}"
            );
            assert_eq!(copies, 2, "{message}");
            assert_ne!(promise.class, "promotional", "{message}");
        }
    }
    println!(
        "{} promised before SIGKILL, 0 lost; {} in doubt at the restart, {uncertain} of the promised \
         still wait for proof; {doubled} submitted twice, all marked",
        promises.len(),
        recovered["uncertain"]
    );
}

/// Waits until a message has arrived, or waits for proof as its class has it.
pub(crate) async fn until_calm(world: &World, promise: &Promise) -> Value {
    let what = format!("{} {} is calm", promise.id, promise.class);
    eventually(&what, LIMIT, async || {
        let message = world.client.message(promise.id).await;
        let calm = match message["status_detail"].as_str().unwrap() {
            "delivered" => true,
            // An OTP is resent after five seconds; a second doubt leaves it where it is.
            "uncertain" => promise.class != "otp",
            "queued" | "submitted" => false,
            other => panic!("{} is {other}", promise.id),
        };
        calm.then_some(message)
    })
    .await
}

impl Load {
    /// Starts sending messages of all classes to Vodacom and MTN.
    pub(crate) fn start(client: &Customer) -> Self {
        Self::run(client, None, 0)
    }

    /// The same with events to `hook`; texts are numbered from `first`.
    pub(crate) fn told(client: &Customer, hook: &str, first: u64) -> Self {
        Self::run(client, Some(hook), first)
    }

    fn run(client: &Customer, hook: Option<&str>, first: u64) -> Self {
        let promises = Arc::new(Mutex::new(Vec::new()));
        let next = Arc::new(AtomicU64::new(first));
        let send = || {
            let (client, promises, next) =
                (client.clone(), Arc::clone(&promises), Arc::clone(&next));
            let hook = hook.map(str::to_owned);
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let class = CLASSES[(number % 3) as usize];
                    let network = ["vodacom_tz", "mtn_ng"][(number % 2) as usize];
                    let text = format!("load {number}");
                    let mut body = sms(network, number, class, &text);
                    if let Some(hook) = &hook {
                        body["webhook_url"] = hook.as_str().into();
                    }
                    match client.try_send(&body).await {
                        Ok(answer) if answer.status == 201 => {
                            let id = answer.id();
                            promises.lock().unwrap().push(Promise { id, class, text });
                        }
                        Ok(answer) => assert_eq!(answer.status, 503, "{}", answer.text()),
                        Err(_) => return,
                    }
                }
            })
        };
        let clients = (0..CLIENTS).map(|_| send()).collect();
        Self { promises, clients }
    }

    /// Messages accepted so far.
    pub(crate) fn accepted(&self) -> usize {
        self.promises.lock().unwrap().len()
    }

    /// Waits until all clients have given up; returns what they were promised.
    pub(crate) async fn end(self) -> Vec<Promise> {
        for client in self.clients {
            client.await.unwrap();
        }
        let promises = self.promises.lock().unwrap();
        promises.clone()
    }
}
