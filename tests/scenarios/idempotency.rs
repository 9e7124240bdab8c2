//! Lives here: clients that repeat named requests over SIGKILL: each is one message and one answer.
//! Never here: names, bodies and statuses in detail (`api`), lost answers of the database (`store`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use http_body_util::Full;
use hyper::Request;
use mnara_loadtest::smsc::{Script, Span};

use crate::kill::{Promise, until_calm};
use crate::world::{Answer, Carrier, Customer, LIMIT, Plan, Stored, World, eventually, sms};

const CLIENTS: usize = 16;
const BEFORE_THE_KILL: usize = 300;
/// Numbers of the simulated network's, one for each request.
const EACH: u64 = 10_000;

/// A named request, and the answers that it has had.
type Told = HashMap<u64, Vec<String>>;

fn text(number: u64) -> String {
    format!("once {number}")
}

async fn once(client: &Customer, number: u64) -> Result<Answer, String> {
    let body = sms("vodacom_tz", number, "transactional", &text(number));
    let request = Request::post(format!("http://{}/v1/sms/send", client.api))
        .header("authorization", format!("Bearer {}", client.key))
        .header("idempotency-key", format!("order-{number}"))
        .body(Full::new(body.to_string().into()));
    client.request(request.unwrap()).await
}

/// Sends named requests, each twice at once, until the daemon answers no more.
fn load(client: &Customer, told: &Arc<Mutex<Told>>) -> Vec<tokio::task::JoinHandle<u64>> {
    let clients = (0..CLIENTS as u64).map(|one| {
        let (client, told) = (client.clone(), Arc::clone(told));
        tokio::spawn(async move {
            for number in one * EACH.. {
                let both = tokio::join!(once(&client, number), once(&client, number));
                for answer in [both.0, both.1] {
                    match answer {
                        Ok(answer) if answer.status == 201 => {
                            let mut told = told.lock().unwrap();
                            told.entry(number).or_default().push(answer.text());
                        }
                        // A twin that waited for two seconds, or a store that is not well.
                        Ok(answer) => {
                            assert!([409, 503].contains(&answer.status), "{}", answer.text());
                        }
                        Err(_) => return number,
                    }
                }
            }
            unreachable!("a client sends until the daemon is killed")
        })
    });
    clients.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn named_requests_that_are_repeated_over_sigkill_are_one_message_each() {
    repeated(Stored::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn named_requests_that_are_repeated_over_sigkill_are_one_message_each_on_postgresql() {
    repeated(Stored::Postgres).await;
}

async fn repeated(stored: Stored) {
    let script = Script {
        response_delay_ms: Span::between(0, 5),
        ..Script::default()
    };
    let carriers = [Carrier::simulated("vodacom_tz", script)];
    let mut world = World::start(Plan::of(carriers).stored(stored)).await;
    let told = Arc::new(Mutex::new(Told::new()));
    let clients = load(&world.client, &told);
    eventually("the load runs", LIMIT, async || {
        (told.lock().unwrap().len() >= BEFORE_THE_KILL).then_some(())
    })
    .await;
    world.daemon.kill().await;
    let mut last = Vec::new();
    for client in clients {
        last.push(client.await.unwrap());
    }
    world.restart().await;

    // Every request again: those that were answered, and those of which nobody knows.
    let told = told.lock().unwrap().clone();
    let mut ids: HashMap<String, u64> = HashMap::new();
    let (mut replayed, mut done_now) = (0, 0);
    for number in told.keys().chain(&last).copied() {
        let again = once(&world.client, number).await.unwrap();
        assert_eq!(again.status, 201, "{}", again.text());
        let is_replay = again.headers.contains_key("idempotent-replayed");
        let answers = told.get(&number).into_iter().flatten();
        for answer in answers {
            assert!(is_replay, "request {number} was answered before the kill");
            assert_eq!(*answer, again.text(), "request {number}");
        }
        if is_replay {
            replayed += 1;
        } else {
            done_now += 1;
        }
        let id = again.json()["data"]["id"].as_str().unwrap().to_owned();
        let other = ids.insert(id, number);
        assert!(
            other.is_none_or(|other| other == number),
            "two requests, one message"
        );
    }
    // One message for each request: what the carrier has seen twice is marked as that.
    for (id, number) in &ids {
        let promise = Promise {
            id: id.parse().unwrap(),
            class: "transactional",
            text: text(*number),
        };
        let message = until_calm(&world, &promise).await;
        let copies = world.carrier().submits_of(&promise.text).len();
        let marked = message["possible_duplicate"] == true;
        assert!(copies <= 1 || marked, "{copies} copies of {message}");
    }
    println!(
        "{} requests repeated after SIGKILL: {replayed} replayed, {done_now} carried out now",
        told.len() + last.len()
    );
}
