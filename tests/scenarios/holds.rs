//! Lives here: an account that an operator pauses: nothing is submitted to it, not even after a
//! restart, until it is resumed or its time has passed; and the audit that tells of it.
//! Never here: moving what waits to other accounts (`failover`), sweeping it (`sweeping`).

use std::time::Duration;

use crate::daemon::ctl;
use crate::world::{LIMIT, Plan, Stored, World, eventually};

const MESSAGES: usize = 20;

#[tokio::test]
async fn nothing_is_submitted_to_a_paused_account_over_a_restart_until_it_is_resumed() {
    paused(Stored::Sqlite).await;
}

#[tokio::test]
async fn nothing_is_submitted_to_a_paused_account_over_a_restart_until_it_is_resumed_on_postgresql()
{
    paused(Stored::Postgres).await;
}

async fn paused(stored: Stored) {
    let mut world = World::start(Plan::simple().stored(stored)).await;
    let pause = [
        "carriers",
        "pause",
        "vodacom_tz",
        "--reason",
        "works at the carrier",
    ];
    let dry: Vec<&str> = pause.iter().copied().chain(["--dry-run"]).collect();
    assert_eq!(world.ctl(&dry).await["dry_run"], true);
    let told = world.ctl(&pause).await;
    assert_eq!(told["undo"], "mnara ctl carriers resume vodacom_tz");

    let mut ids = Vec::new();
    for index in 0..MESSAGES {
        let class = ["otp", "transactional", "promotional"][index % 3];
        let sms = world.sms("vodacom_tz", index as u64, class, &format!("held {index}"));
        ids.push(world.client.send(&sms).await);
    }
    let lane = lane(&world, "promotional").await;
    let why = lane["why"].as_str().unwrap();
    assert!(
        why.starts_with("paused by ") && why.ends_with("works at the carrier"),
        "{why}"
    );

    world.daemon.terminate().await;
    assert!(world.daemon.ended().await.success());
    world.restart().await;
    let carriers = world.ctl(&["carriers"]).await;
    assert_eq!(carriers["carriers"][0]["hold"], "paused");
    // The lanes have been filled from the store, and the binds leave them alone.
    eventually("the lanes are full", LIMIT, async || {
        let lane = lane_of(&world.ctl(&["queue"]).await, "promotional");
        (lane["ready"] == lane["queued"]).then_some(())
    })
    .await;
    assert_eq!(
        world.carrier().log.count(|_| true),
        0,
        "nothing was submitted"
    );

    world.ctl(&["carriers", "resume", "vodacom_tz"]).await;
    for id in ids {
        world.until(id, "delivered").await;
    }
    assert_eq!(world.carrier().log.count(|_| true), MESSAGES);

    let audit = world.ctl(&["audit", "--limit", "100"]).await;
    let actions: Vec<&str> = audit["audit"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["action"].as_str().unwrap())
        .collect();
    assert_eq!(
        actions,
        [
            "carriers.resume",
            "carriers.pause",
            "key.create",
            "org.create"
        ]
    );
    let text = audit.to_string();
    assert!(!text.contains(&world.client.key) && !text.contains(&world.secret));
}

#[tokio::test]
async fn a_pause_ends_by_itself_and_needs_a_reason() {
    let world = World::start(Plan::simple()).await;
    let without = ["carriers", "pause", "vodacom_tz"];
    let output = ctl(&world.config, world.daemon.admin, &without).await;
    assert_eq!(output.status.code(), Some(2), "clap wants the reason");
    let pause = [
        "carriers",
        "pause",
        "vodacom_tz",
        "--for",
        "1s",
        "--reason",
        "a moment",
    ];
    world.ctl(&pause).await;
    let sms = world.sms("vodacom_tz", 1, "transactional", "after a moment");
    let id = world.client.send(&sms).await;
    world.until(id, "delivered").await;
    let came = eventually("the audit tells it", Duration::from_secs(5), async || {
        let audit = world.ctl(&["audit"]).await;
        let line = audit["audit"][0].clone();
        (line["actor"] == "mnara").then_some(line)
    })
    .await;
    assert_eq!(came["action"], "carriers.resume");
}

async fn lane(world: &World, class: &str) -> serde_json::Value {
    eventually("something waits", LIMIT, async || {
        let lane = lane_of(&world.ctl(&["queue"]).await, class);
        (lane["queued"].as_u64() > Some(0)).then_some(lane)
    })
    .await
}

fn lane_of(queue: &serde_json::Value, class: &str) -> serde_json::Value {
    let lanes = queue["lanes"].as_array().unwrap();
    lanes
        .iter()
        .find(|lane| lane["class"] == class)
        .unwrap()
        .clone()
}
