//! Lives here: the PostgreSQL server lost and found again, under a load of all classes with
//! receipts and webhooks; at start; at the end.
//! Never here: what the writer makes of single failures (`store`'s own tests), many losses in a row
//! (`mnara-loadtest run pg-kill`).

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::Method;
use mnara_loadtest::smsc::{Script, Span};
use mnara_privatepg::{Blow, Database, Stop};
use serde_json::Value;
use tokio::time::sleep;
use uuid::Uuid;

use crate::daemon::{Daemon, run};
use crate::postgres::{OwnServer, database};
use crate::world::{Answer, Carrier, Customer, LIMIT, Plan, World, eventually, sms};

const CLIENTS: u64 = 8;
/// Messages accepted before and after each loss.
const EACH: usize = 200;
/// How long the server is away.
const AWAY: Duration = Duration::from_secs(2);
/// Reasons that one loss can have, one after the other, at the most: the session is terminated, or
/// ends without a word, or is reset, or its pipe is broken (a commit and the first try to connect
/// may meet two of these); the old session still holds the lock; the server is shutting down; it
/// refuses connections; it takes one and lets it go; it is starting up, then recovering.
const REASONS: usize = 8;
/// The password in a URL that has the wrong one.
const WRONG: &str = "not-the-passw0rd";

/// What clients were answered, by text.
#[derive(Clone, Default)]
struct Answers {
    accepted: HashMap<String, Uuid>,
    /// May be accepted: their commit was under way when the server was lost.
    doubtful: HashSet<String>,
}

/// A load at a steady pace that goes on whatever it is answered.
struct Load {
    answers: Arc<Mutex<Answers>>,
    refused: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    clients: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    fn start(world: &World) -> Self {
        let (answers, refused) = (Arc::default(), Arc::default());
        let stop = Arc::new(AtomicBool::new(false));
        let client = |first| {
            let (client, hook) = (world.client.clone(), world.hook.url());
            let (answers, refused) = (Arc::clone(&answers), Arc::clone(&refused));
            let stop = Arc::clone(&stop);
            tokio::spawn(async move {
                let mut number = first;
                while !stop.load(Ordering::Relaxed) {
                    send(&client, &hook, number, &answers, &refused).await;
                    number += CLIENTS;
                    sleep(Duration::from_millis(10)).await;
                }
            })
        };
        let clients = (0..CLIENTS).map(client).collect();
        Self {
            answers,
            refused,
            stop,
            clients,
        }
    }

    fn accepted(&self) -> usize {
        self.answers.lock().unwrap().accepted.len()
    }

    async fn until_more(&self) {
        let before = self.accepted();
        eventually("the load is accepted", LIMIT, async || {
            (self.accepted() >= before + EACH).then_some(())
        })
        .await;
    }

    async fn until_refused(&self) {
        let before = self.refused.load(Ordering::Relaxed);
        eventually("the load is refused", LIMIT, async || {
            (self.refused.load(Ordering::Relaxed) > before).then_some(())
        })
        .await;
    }

    /// Ends it. Only what was in flight at the loss can be in doubt: one request of each client.
    async fn end(self) -> Answers {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.await.unwrap();
        }
        let answers = self.answers.lock().unwrap();
        let doubtful = answers.doubtful.len();
        assert!(doubtful as u64 <= CLIENTS, "{:?}", answers.doubtful);
        answers.clone()
    }
}

async fn send(
    client: &Customer,
    hook: &str,
    number: u64,
    answers: &Mutex<Answers>,
    refused: &AtomicU64,
) {
    let class = ["otp", "transactional", "promotional"][(number % 3) as usize];
    let network = ["vodacom_tz", "mtn_ng"][(number % 2) as usize];
    let text = format!("{class} {number}");
    let mut body = sms(network, number, class, &text);
    body["webhook_url"] = hook.into();
    let answer = client.try_send(&body).await.unwrap();
    if answer.status == 201 {
        answers.lock().unwrap().accepted.insert(text, answer.id());
    } else if answer.status == 500 {
        let message = answer.json()["message"].to_string();
        assert!(message.contains("may have been accepted"), "{message}");
        answers.lock().unwrap().doubtful.insert(text);
    } else {
        says_try_again(&answer);
        refused.fetch_add(1, Ordering::Relaxed);
    }
}

fn says_try_again(answer: &Answer) {
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(answer.headers["retry-after"], "1");
    assert_eq!(answer.json()["code"], "overloaded");
}

async fn loaded(server: &OwnServer) -> (World, Load) {
    let script = Script {
        response_delay_ms: Span::between(1, 20),
        ..Script::default()
    };
    let carriers = ["vodacom_tz", "mtn_ng"].map(|id| Carrier::simulated(id, script.clone()));
    let world = World::start(Plan::of(carriers).stored_at(&server.url)).await;
    for carrier in world.carriers() {
        let bound = |stats: &mnara_loadtest::smsc::Stats| stats.binds_open == 1;
        assert!(carrier.smsc.wait_until(LIMIT, bound).await);
    }
    let load = Load::start(&world);
    load.until_more().await;
    (world, load)
}

fn submits(world: &World) -> u64 {
    let each = world.carriers().iter();
    each.map(|carrier| carrier.smsc.stats().submits).sum()
}

/// While the server is away: not ready, but alive; nothing is submitted; the log is quiet.
async fn is_suspended(world: &World, load: &Load) {
    load.until_refused().await;
    let ready = world.ask_admin("/readyz").await;
    assert_eq!(ready.status, 503);
    assert!(ready.text().contains("[-] the store cannot commit"));
    assert_eq!(world.ask_admin("/livez").await.status, 200);
    // What was written before the store was known to be away may still be on its way.
    sleep(AWAY / 4).await;
    let before = submits(world);
    sleep(AWAY).await;
    assert_eq!(submits(world), before, "nothing is submitted meanwhile");
}

/// Everything accepted has arrived once and is told once, what is in doubt once at most; nothing that
/// was refused went anywhere; no bind has moved.
async fn all_is_well(world: &World, Answers { accepted, doubtful }: &Answers) {
    // Whatever became of the commits whose answers were lost, in the books as in the rows.
    world.ctl(&["credits", "verify"]).await;
    for (text, id) in accepted {
        let message = world.until(*id, "delivered").await;
        assert_eq!(message["possible_duplicate"], false, "{text}: {message}");
    }
    let told = |hook: &mnara_loadtest::hook::Receiver| {
        accepted.values().all(|id| {
            let seen = hook.seen(*id);
            seen.sent && seen.delivered
        })
    };
    assert!(world.hook.wait_until(LIMIT, told).await);
    let counts = world.hook.counts();
    let most = (accepted.len() + doubtful.len()) as u64;
    for told in [counts.sent, counts.delivered] {
        assert!((accepted.len() as u64..=most).contains(&told), "{told}");
    }
    assert_eq!(counts.failed, 0);
    let strange = (counts.doubled, counts.repeats, counts.bad_signatures);
    assert_eq!(strange, (0, 0, 0), "{counts:?}");
    let mut copies: HashMap<String, usize> = HashMap::new();
    for carrier in world.carriers() {
        for submit in carrier.log.snapshot() {
            *copies.entry(submit.text).or_default() += 1;
        }
        let stats = carrier.smsc.stats();
        assert_eq!((stats.binds, stats.binds_open), (1, 1), "{}", carrier.id);
    }
    for (text, copies) in copies {
        let known = accepted.contains_key(&text) || doubtful.contains(&text);
        assert!(known, "{text} was refused");
        assert_eq!(copies, 1, "{text}");
    }
}

/// What the log warns of, or says worse: at the opening that the private server does without fsync,
/// and of the loss each reason why commits fail, once.
fn complains_of_each_reason_once(world: &World) {
    let mut events = world.daemon.log().events();
    events.retain(|event| event["level"] == "ERROR" || event["level"] == "WARN");
    let (losses, others): (Vec<Value>, Vec<Value>) = events
        .into_iter()
        .partition(|event| event["target"] == "mnara::store::writer::outage");
    assert_eq!(others.len(), 1, "{others:#?}");
    let message = others[0]["message"].as_str().unwrap();
    assert!(message.starts_with("fsync is off"), "{message}");
    let reasons: HashSet<&str> = losses
        .iter()
        .map(|event| event["error"].as_str().unwrap())
        .collect();
    assert_eq!(reasons.len(), losses.len(), "{losses:#?}");
    assert!((1..=REASONS).contains(&reasons.len()), "{losses:#?}");
}

async fn loses_its_server_for_a_while(lose: impl AsyncFnOnce(&OwnServer)) {
    let server = OwnServer::start().await;
    let (mut world, load) = loaded(&server).await;
    lose(&server).await;
    is_suspended(&world, &load).await;
    server.restart().await;
    load.until_more().await;
    let answers = load.end().await;
    world.until_ready().await;
    all_is_well(&world, &answers).await;
    complains_of_each_reason_once(&world);
    assert!(
        world
            .daemon
            .log()
            .event("the store commits again")
            .is_some()
    );
    world.daemon.terminate().await;
    assert!(world.daemon.ended().await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_suspends_everything_and_its_return_resumes_it() {
    loses_its_server_for_a_while(async |server| server.kill9(Blow::Everything).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_orderly_restart_of_the_server_costs_nothing() {
    loses_its_server_for_a_while(async |server| server.stop(Stop::Fast).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_whose_connection_is_cut_goes_on_with_another() {
    const CUTS: usize = 5;
    let server = OwnServer::start().await;
    let (world, load) = loaded(&server).await;
    let psql = Database::on(&server.url).unwrap();
    for _ in 0..CUTS {
        let cut = psql.run(
            "select pg_terminate_backend(pid) from pg_stat_activity \
             where application_name like 'mnara writer%'",
        );
        assert_eq!(cut.unwrap(), "t\n");
        load.until_more().await;
    }
    let answers = load.end().await;
    all_is_well(&world, &answers).await;
    drop(psql);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_server_is_taken_for_a_lost_one_and_what_is_refused_meanwhile_is_never_done() {
    let server = OwnServer::start().await;
    let (world, load) = loaded(&server).await;
    let psql = Database::on(&server.url).unwrap();
    let writer = "select pid from pg_stat_activity where application_name like 'mnara writer%'";
    let writer = psql.run(writer).unwrap();
    let signal = async |name: &str| {
        let kill = ["-s", name, writer.trim()];
        let sent = tokio::process::Command::new("kill").args(kill).status();
        assert!(sent.await.unwrap().success());
    };
    signal("STOP").await;
    is_suspended(&world, &load).await;
    let pause = ["carriers", "pause", "mtn_ng", "--reason", "a test"];
    let refused = world.try_ctl(&pause).await;
    assert!(refused.contains("nothing was changed"), "{refused}");
    signal("CONT").await;
    load.until_more().await;
    let answers = load.end().await;
    all_is_well(&world, &answers).await;
    complains_of_each_reason_once(&world);
    let carriers = world.ctl(&["carriers"]).await;
    let held = |row: &Value| row["hold"] != "free";
    assert!(
        !carriers["carriers"].as_array().unwrap().iter().any(held),
        "{carriers}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_while_the_server_is_away_ends_in_time_and_the_next_start_finds_everything() {
    let server = OwnServer::start().await;
    let (mut world, load) = loaded(&server).await;
    server.kill9(Blow::Postmaster).await;
    load.until_refused().await;
    let Answers { accepted, .. } = load.end().await;
    let some = accepted.values().next().unwrap();
    let path = format!("/v1/messages/{some}");
    says_try_again(&world.client.call(Method::GET, &path, "").await.unwrap());
    world.daemon.terminate().await;
    let ended = tokio::time::timeout(Duration::from_secs(20), world.daemon.ended()).await;
    ended.expect("it ends in time");
    server.restart().await;
    world.restart().await;
    for id in accepted.values() {
        eventually(&format!("{id} is calm"), LIMIT, async || {
            let message = world.client.message(*id).await;
            let calm = message["status_detail"] == "delivered"
                || message["status_detail"] == "uncertain" && message["class"] != "otp";
            calm.then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_database_that_has_gone_back_in_time_ends_the_daemon() {
    let database = database();
    let mut world = World::start(Plan::simple().stored_at(&database.url())).await;
    let back = "update house set value = value - 1 where key = 'commit'; \
        select pg_terminate_backend(pid) from pg_stat_activity \
        where datname = current_database() and application_name like 'mnara writer%'";
    database.run(back).unwrap();
    assert_eq!(world.daemon.ended().await.code(), Some(70));
    let told = world
        .daemon
        .log()
        .event("the store's writer has ended")
        .unwrap();
    let error = told["error"].as_str().unwrap();
    assert!(error.contains("not as this daemon left it"), "{error}");
    // The next one goes by what is there.
    world.restart().await;
}

#[tokio::test]
async fn a_server_that_is_not_there_at_start_is_waited_for_and_one_that_refuses_is_not() {
    let server = OwnServer::start().await;
    let mut world = World::start(Plan::simple().stored_at(&server.url)).await;
    world.daemon.terminate().await;
    assert!(world.daemon.ended().await.success());
    server.stop(Stop::Fast).await;
    let late = async {
        sleep(AWAY).await;
        server.restart().await;
    };
    let (daemon, ()) = tokio::join!(Daemon::start(&world.config), late);
    let told = daemon
        .log()
        .event("the database is not there; waiting for it for a minute");
    assert!(told.is_some(), "{:?}", daemon.log().lines());
    drop(daemon);

    let text = std::fs::read_to_string(&world.config).unwrap();
    let (_, rest) = server.url.split_once("://").unwrap();
    let (user, host) = rest.split_once('@').unwrap();
    let user = user.split(':').next().unwrap();
    let wrong = format!("postgres://{user}:{WRONG}@{host}");
    std::fs::write(&world.config, text.replace(&server.url, &wrong)).unwrap();
    let output = run(&["serve", "--config", world.config.to_str().unwrap()]).await;
    assert_eq!(output.status.code(), Some(1));
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(
        said.contains(&format!("{user}@{}", host.split('?').next().unwrap())),
        "{said}"
    );
    assert!(said.contains("password") && !said.contains(WRONG), "{said}");
}
