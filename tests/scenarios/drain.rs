//! Lives here: SIGTERM: the daemon refuses, drains, and leaves nothing in doubt.
//! Never here: SIGKILL.

use std::collections::HashMap;

use mnara_loadtest::smsc::{Rule, Script, Span, Then};

use crate::kill::Load;
use crate::world::{Carrier, LIMIT, Plan, World, eventually, sms};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_under_load_drains_and_leaves_nothing_in_doubt() {
    let slow = Script {
        response_delay_ms: Span::between(50, 200),
        ..Script::default()
    };
    let carriers = ["vodacom_tz", "mtn_ng"].map(|id| Carrier::simulated(id, slow.clone()));
    let mut world = World::start(Plan::of(carriers)).await;
    let load = Load::start(&world.client);
    eventually("the load runs", LIMIT, async || {
        (load.accepted() >= 300).then_some(())
    })
    .await;
    world.daemon.terminate().await;
    let promises = load.end().await;
    let status = world.daemon.ended().await;
    assert!(status.success(), "{status}");
    let phases: Vec<_> = world
        .daemon
        .log()
        .events()
        .iter()
        .filter_map(|event| event["phase"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(phases, ["refusing", "draining", "flushing", "stopped"]);

    world.restart().await;
    assert_eq!(
        world.daemon.log().event("store opened").unwrap()["uncertain"],
        0
    );
    for promise in &promises {
        let message = world.until(promise.id, "delivered").await;
        assert_eq!(message["possible_duplicate"], false, "{message}");
    }
    let mut copies: HashMap<String, usize> = HashMap::new();
    for carrier in world.carriers() {
        for submit in carrier.log.snapshot() {
            *copies.entry(submit.text).or_default() += 1;
        }
    }
    for promise in &promises {
        assert_eq!(copies.get(&promise.text), Some(&1), "{}", promise.text);
    }
}

#[tokio::test]
async fn a_draining_daemon_is_not_ready_waits_for_answers_and_ends_well() {
    let slow = Script {
        response_delay_ms: Span::fixed(1500),
        ..Script::default()
    };
    let mut world = World::start(Plan::of([Carrier::simulated("vodacom_tz", slow)])).await;
    let id = world
        .client
        .send(&sms("vodacom_tz", 1, "transactional", "wait for me"))
        .await;
    world.carrier().until_submits(1).await;
    world.daemon.terminate().await;
    eventually("the daemon is not ready", LIMIT, async || {
        let answer = world.ask_admin("/readyz").await;
        let told = answer.text().contains("[-] the daemon is shutting down");
        (answer.status == 503 && told).then_some(())
    })
    .await;
    assert_eq!(world.ask_admin("/livez").await.status, 200);
    let late = world
        .client
        .try_send(&sms("vodacom_tz", 2, "otp", "too late"))
        .await;
    assert!(
        late.is_err() || late.is_ok_and(|answer| answer.status == 503),
        "the door is closed"
    );
    assert!(world.daemon.ended().await.success());
    world.restart().await;
    world.until(id, "delivered").await;
    assert_eq!(world.carrier().submits_of("wait for me").len(), 1);
}

#[tokio::test]
async fn a_second_sigterm_ends_at_once_and_what_was_under_way_is_found_in_doubt() {
    let silent = Script {
        rules: vec![Rule::always(Then::Drop)],
        ..Script::default()
    };
    let mut world = World::start(Plan::of([Carrier::simulated("vodacom_tz", silent)])).await;
    let mut ids = Vec::new();
    for class in ["transactional", "promotional"] {
        ids.push(world.client.send(&sms("vodacom_tz", 1, class, class)).await);
    }
    world.carrier().until_submits(2).await;
    world.daemon.terminate().await;
    eventually("the drain has begun", LIMIT, async || {
        let events = world.daemon.log().events();
        events
            .iter()
            .any(|event| event["phase"] == "draining")
            .then_some(())
    })
    .await;
    assert!(world.daemon.lives(), "it waits for the answers");
    world.daemon.terminate().await;
    assert_eq!(world.daemon.ended().await.code(), Some(1));
    world.restart().await;
    assert_eq!(
        world.daemon.log().event("store opened").unwrap()["uncertain"],
        2
    );
    for id in ids {
        assert_eq!(world.client.message(id).await["status_detail"], "uncertain");
    }
}
