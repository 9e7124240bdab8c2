//! Lives here: more messages than a lane holds, while the carrier is away.
//! Never here: the lanes' own tests.

use mnara_loadtest::smsc::Script;
use mnara_smpp::status::CommandStatus;

use crate::world::{Carrier, Plan, Stored, World, sms};

#[tokio::test]
async fn what_a_lane_cannot_hold_waits_in_the_store_and_is_submitted_once_in_order() {
    spill(Stored::Sqlite).await;
}

#[tokio::test]
async fn what_a_lane_cannot_hold_waits_in_the_store_and_is_submitted_once_in_order_on_postgresql() {
    spill(Stored::Postgres).await;
}

async fn spill(stored: Stored) {
    const MESSAGES: usize = 500;
    let away = Script {
        refuse_binds: Some(CommandStatus::ESME_RBINDFAIL.0),
        ..Script::default()
    };
    let plan = Plan::of([Carrier::simulated("vodacom_tz", away)])
        .with("[scheduler]\nready_max = 8")
        .stored(stored)
        .unready();
    let world = World::start(plan).await;
    for index in 0..MESSAGES {
        let text = format!("{index}");
        world
            .client
            .send(&sms("vodacom_tz", index as u64, "transactional", &text))
            .await;
    }
    let queue = world.ctl(&["queue"]).await;
    let lanes = queue["lanes"].as_array().unwrap();
    let lane = lanes
        .iter()
        .find(|lane| lane["class"] == "transactional")
        .unwrap();
    assert_eq!(lane["queued"], MESSAGES, "{lane}");
    assert_eq!(lane["spilled"], true, "{lane}");
    assert!(lane["ready"].as_u64().unwrap() <= 8, "{lane}");

    let carrier = world.carrier();
    carrier.smsc.set_script(Script::default());
    carrier.until_submits(MESSAGES).await;
    let order: Vec<usize> = carrier
        .log
        .snapshot()
        .iter()
        .map(|submit| submit.text.parse().unwrap())
        .collect();
    assert_eq!(order, (0..MESSAGES).collect::<Vec<_>>());
    let lane = crate::world::eventually("the queue is empty", crate::world::LIMIT, async || {
        let queue = world.ctl(&["queue"]).await;
        let lanes = queue["lanes"].as_array().unwrap();
        lanes
            .iter()
            .all(|lane| lane["queued"] == 0 && lane["ready"] == 0)
            .then_some(lanes.len())
    })
    .await;
    assert_eq!(lane, 3, "one line for each class");
    assert_eq!(carrier.smsc.stats().accepted, MESSAGES as u64);
}
