//! Lives here: one SIGKILL after another, with webhooks: what crash recovery leaves behind must be
//! good enough for the next crash.
//! Never here: a single kill, and the rules for duplicates (`kill`).

use std::time::Duration;

use mnara_loadtest::smsc::{Script, Span};

use crate::kill::{Load, Promise};
use crate::world::{Carrier, LIMIT, Plan, World, eventually};

const KILLS: usize = 5;
const EACH: usize = 120;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_kills_in_a_row_lose_no_message_and_no_event() {
    let slow = Script {
        response_delay_ms: Span::between(1, 20),
        ..Script::default()
    };
    let carriers = ["vodacom_tz", "mtn_ng"].map(|id| Carrier::simulated(id, slow.clone()));
    let mut world = World::start(Plan::of(carriers)).await;
    let mut promises: Vec<Promise> = Vec::new();
    for _ in 0..KILLS {
        let load = Load::told(&world.client, &world.hook.url(), promises.len() as u64);
        eventually("the load runs", LIMIT, async || {
            (load.accepted() >= EACH).then_some(())
        })
        .await;
        world.daemon.kill().await;
        promises.extend(load.end().await);
        world.restart().await;
    }
    let (mut delivered, mut uncertain) = (0, 0);
    for promise in &promises {
        let status = eventually("every message is calm", LIMIT, async || {
            let message = world.client.message(promise.id).await;
            let status = message["status_detail"].as_str().unwrap().to_owned();
            (status == "delivered" || status == "uncertain").then_some(status)
        })
        .await;
        if status == "uncertain" {
            uncertain += 1;
            continue;
        }
        delivered += 1;
        let told = world
            .hook
            .wait_until(LIMIT, |hook| hook.seen(promise.id).delivered);
        assert!(told.await, "{} {} is told", promise.id, promise.class);
    }
    let counts = world.hook.counts();
    assert_eq!(
        (counts.doubled, counts.bad_signatures),
        (0, 0),
        "{counts:?}"
    );
    assert!(delivered > promises.len() / 2);
    let refused = world.metric("mnara_lifecycle_refused_total", &[]).await;
    println!(
        "{} promised over {KILLS} kills: {delivered} delivered and told, {uncertain} wait for \
         proof, 0 lost; {} events came again; {refused} moves refused since the last start",
        promises.len(),
        counts.repeats
    );
    world.daemon.terminate().await;
    let ended = tokio::time::timeout(Duration::from_secs(30), world.daemon.ended()).await;
    assert!(ended.unwrap().success());
}
